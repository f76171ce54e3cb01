/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.c: what the planner says of a statement that reads rows, and what its errors mean.
 */
#include <string.h>

#include <apr_strings.h>
#include <jansson.h>

#include "source/private.h"

/* How the server calls the check for policies, in any language. */
#define POLICIES_ROUTINE "check_enable_rls"

/* A name that is looked up while a statement runs, or is made ready, and that is not there. */
static bool is_unknown_name(const char *state)
{
    static const char *const states[] = {"42P01", "42883", "42704", "42703", "3F000"};
    apr_size_t i;

    for (i = 0; i < sizeof(states) / sizeof(*states); i++) {
        if (strcmp(state, states[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The relation and its columns were looked up by then: what is wrong is inside of it. */
udm_error_t *udm_source_explain_statement(const udm_source_t *s, udm_error_t *error,
                                          const char *rel)
{
    const char *source = s->type->source;
    apr_pool_t *p = s->pool;
    const char *reason = NULL;

    if (strcmp(error->sqlstate, "42501") == 0) {
        if (strcmp(error->routine, POLICIES_ROUTINE) == 0) {
            reason = apr_psprintf(
                p,
                "%s of source \"%s\", or something that it is made of, is under row-level "
                "security, "
                "which would leave out rows: let the reader see all of them, or register the type "
                "with row_security => true if that is meant",
                rel, source);
        }
        else {
            reason = apr_psprintf(
                p, "the reader of source \"%s\" may not read %s, or something that it is made of",
                source, rel);
        }
    }
    else if (is_unknown_name(error->sqlstate)) {
        reason = apr_psprintf(
            p,
            "%s of source \"%s\", or a function that it calls, uses a name that is not found%s "
            "(SQLSTATE %s): %s",
            rel, source, s->type->search_path ? " in the search_path of the type" : "",
            error->sqlstate,
            s->type->search_path
                ? "register the type with all schemas that it needs"
                : "it does not exist any more, or the type has to be registered with the "
                  "search_path that its functions need");
    }
    else if (strcmp(error->sqlstate, "55000") == 0) {
        reason = apr_psprintf(p,
                              "%s of source \"%s\", or something that it is made of, is not ready "
                              "to be read: a materialized view that has never been refreshed, it "
                              "may be",
                              rel, source);
    }
    error = udm_source_explain_error(s, error, rel);
    if (reason && error->kind == UDM_E_SOURCE) {
        error->reason = reason;
        error->status = strcmp(error->sqlstate, "55000") == 0 ? APR_SUCCESS : APR_EINVAL;
    }
    return error;
}

/* Whether a node of a plan, or of what is below it, is of a kind. */
static bool has_node(const json_t *plan, const char *kind)
{
    const char *node = json_string_value(json_object_get(plan, "Node Type"));
    const json_t *inner;
    size_t i;

    if (node && strcmp(node, kind) == 0) {
        return true;
    }
    json_array_foreach(json_object_get(plan, "Plans"), i, inner)
    {
        if (has_node(inner, kind)) {
            return true;
        }
    }
    return false;
}

/*
 * Locks that a parallel worker took for a function end with it, so that neither does somebody wait who
 * wants to change what it read, nor is that looked at in the end: such functions are called here alone.
 */
static udm_error_t *read_functions_alone(udm_source_t *s)
{
    return udm_source_query(
        &(udm_result_t *){NULL}, s, "its session",
        "SELECT pg_catalog.set_config('max_parallel_workers_per_gather', '0', true)"
        " WHERE EXISTS (SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_rewrite w"
        "   ON w.ev_class OPERATOR(pg_catalog.=) l.relation"
        "  JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=)"
        "    'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid"
        "   AND d.objid OPERATOR(pg_catalog.=) w.oid AND d.refobjid OPERATOR(pg_catalog.>=)"
        "    '16384'::pg_catalog.oid AND d.refclassid OPERATOR(pg_catalog.=)"
        "    ANY ('{pg_catalog.pg_proc,pg_catalog.pg_operator}'"
        "     ::pg_catalog.regclass[]::pg_catalog.oid[])"
        " WHERE l.locktype OPERATOR(pg_catalog.=) 'relation'"
        "  AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())",
        0, NULL);
}

udm_error_t *udm_source_plan(apr_int64_t *rows, bool *foreign, udm_source_t *s,
                             const relation_t *relation, const char *sql)
{
    udm_result_t *result;
    udm_error_t *error;
    json_t *json, *plan;
    bool parallel;

    error = udm_pg_query_text(&result, s->pool, s->db,
                              apr_pstrcat(s->pool, "EXPLAIN (FORMAT JSON) ", sql, NULL), 0, NULL);
    if (error) {
        return udm_source_explain_statement(s, error, relation->shown);
    }
    json = json_loads(udm_result_text(result, 0, 0), 0, NULL);
    plan = json_object_get(json_array_get(json, 0), "Plan");
    *rows = (apr_int64_t)json_number_value(json_object_get(plan, "Plan Rows"));
    *foreign = has_node(plan, "Foreign Scan");
    parallel = has_node(plan, "Gather") || has_node(plan, "Gather Merge");
    json_decref(json);
    if (*rows < 1) {
        *rows = 1;
    }
    return parallel ? read_functions_alone(s) : NULL;
}

/*
 * What is locked, for a rewritten view has locked what is in it, be it read or not: how many relations
 * whose rows may be older than they have been there, a materialized view and a table of a subscription
 * of them, whether a view calls functions of dblink, and whether one calls others that no extension has.
 */
static const char late_sql[] =
    "WITH locked AS (SELECT c.oid, c.relkind, EXISTS (SELECT FROM pg_catalog.pg_subscription_rel s"
    "   WHERE s.srrelid OPERATOR(pg_catalog.=) c.oid) AS subscribed"
    "  FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c"
    "    ON c.oid OPERATOR(pg_catalog.=) l.relation"
    "  WHERE l.locktype OPERATOR(pg_catalog.=) 'relation'"
    "   AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()),"
    " called AS (SELECT x.extname FROM locked v JOIN pg_catalog.pg_rewrite w"
    "    ON w.ev_class OPERATOR(pg_catalog.=) v.oid"
    "  JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=)"
    "    'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid"
    "   AND d.objid OPERATOR(pg_catalog.=) w.oid AND d.refclassid OPERATOR(pg_catalog.=)"
    "    'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid"
    "   AND d.refobjid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid"
    "  LEFT JOIN pg_catalog.pg_depend e ON e.classid OPERATOR(pg_catalog.=) d.refclassid"
    "   AND e.objid OPERATOR(pg_catalog.=) d.refobjid"
    "   AND e.deptype OPERATOR(pg_catalog.=) 'e'::pg_catalog.\"char\""
    "  LEFT JOIN pg_catalog.pg_extension x ON x.oid OPERATOR(pg_catalog.=) e.refobjid"
    "  WHERE v.relkind OPERATOR(pg_catalog.=) 'v'::pg_catalog.\"char\")"
    "SELECT pg_catalog.count(*) FILTER (WHERE subscribed"
    "   OR relkind OPERATOR(pg_catalog.=) ANY ('{f,m}'::pg_catalog.\"char\"[])),"
    " pg_catalog.min(oid::pg_catalog.regclass::pg_catalog.text)"
    "  FILTER (WHERE relkind OPERATOR(pg_catalog.=) 'm'::pg_catalog.\"char\"),"
    " pg_catalog.min(oid::pg_catalog.regclass::pg_catalog.text) FILTER (WHERE subscribed),"
    " EXISTS (SELECT FROM called WHERE extname OPERATOR(pg_catalog.=) 'dblink'::pg_catalog.name),"
    " EXISTS (SELECT FROM called WHERE extname IS NULL) FROM locked";

udm_error_t *udm_source_find_late(udm_source_late_t *late, udm_source_t *s, bool foreign)
{
    udm_result_t *result;
    udm_error_t *error = udm_source_query(&result, s, "its session", late_sql, 0, NULL);
    const char *stored, *subscribed;

    memset(late, 0, sizeof(*late));
    if (error) {
        return error;
    }
    s->late_before = udm_result_int(result, 0, 0);
    stored = udm_result_text(result, 0, 1);
    subscribed = udm_result_text(result, 0, 2);
    late->calls = udm_result_bool(result, 0, 4);
    late->instead = "register a source that reads from that server itself";
    if (stored) {
        late->why = apr_psprintf(s->pool,
                                 "are those of a materialized view (%s), which has them only from "
                                 "its next refresh on",
                                 stored);
        late->instead = "register what it is made of";
    }
    else if (subscribed) {
        late->why = apr_psprintf(s->pool,
                                 "come from another server (by a subscription, to %s), and later "
                                 "than they were written there",
                                 subscribed);
    }
    else if (udm_result_bool(result, 0, 3)) {
        late->why = "come from another server (by dblink), where it is not known what is still "
                    "being written";
    }
    else if (foreign) {
        late->why = "come from another server (a foreign table), where it is not known what is "
                    "still being written";
    }
    return NULL;
}

udm_error_t *udm_source_check_window(udm_source_t *s, const relation_t *relation, bool foreign)
{
    udm_source_late_t late;
    udm_error_t *error;

    if (!s->run->moves_watermark) {
        return NULL;
    }
    if (!s->type->moving_window) {
        return udm_source_lasting(
            udm_error_make(s->pool, UDM_E_SOURCE,
                           "type \"%s\" of source \"%s\" is registered without moving windows: a "
                           "job cannot take what came since its last run, give it a dateTo or "
                           "{\"all\":true}",
                           s->type->name, s->type->source));
    }
    error = udm_source_find_late(&late, s, foreign);
    if (error || !late.why) {
        return error;
    }
    return udm_source_lasting(
        udm_error_make(s->pool, UDM_E_SOURCE,
                       "rows of %s in source \"%s\" %s: a job cannot take what came since its last "
                       "run, give it a dateTo or {\"all\":true}, or %s",
                       relation->shown, s->type->source, late.why, late.instead));
}
