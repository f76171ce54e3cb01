/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c: tries a type out as a run would read it, and says what would leave and what to mind.
 */
#include <string.h>

#include <apr_strings.h>

#include "core/calendar.h"
#include "source/private.h"

#define FIRST_ROW_SECONDS "20"

static void warn(udm_source_trial_t *trial, const char *text)
{
    APR_ARRAY_PUSH(trial->warnings, const char *) = text;
}

static const attribute_t *find(const relation_t *relation, const char *name)
{
    int i;

    for (i = 0; name && i < relation->attributes->nelts; i++) {
        const attribute_t *a = &APR_ARRAY_IDX(relation->attributes, i, attribute_t);

        if (strcmp(a->name, name) == 0) {
            return a;
        }
    }
    return NULL;
}

/* A registered column and its type; nothing where none is registered. */
static void add_role(udm_source_trial_t *trial, apr_pool_t *p, const char *role,
                     const relation_t *relation, const char *name)
{
    const attribute_t *a = find(relation, name);

    if (a) {
        APR_ARRAY_PUSH(trial->roles, const char *) =
            apr_psprintf(p, "%s: %s (%s)", role, a->name, a->cast);
    }
}

static void add_roles(udm_source_trial_t *trial, const udm_source_t *s)
{
    const udm_data_type_t *t = s->type;
    apr_pool_t *p = s->pool;

    add_role(trial, p, "tenant column", &s->rows, t->tenant_column);
    add_role(trial, p, "key column", &s->rows, t->key_column);
    add_role(trial, p, "time column", &s->rows, t->time_column);
    add_role(trial, p, "subtype column", &s->rows, t->subtype_column);
    add_role(trial, p, "media column", &s->rows, t->media_column);
    if (t->attachment_relation) {
        APR_ARRAY_PUSH(trial->roles, const char *) =
            apr_pstrcat(p, "attachments: ", s->files.shown, NULL);
        add_role(trial, p, "attachments' tenant column", &s->files, t->attachment_tenant_column);
        add_role(trial, p, "attachments' id column", &s->files, t->attachment_id_column);
        add_role(trial, p, "attachments' entity column", &s->files, t->attachment_entity_column);
        add_role(trial, p, "attachments' content column", &s->files, t->attachment_content_column);
    }
}

static void add_columns(udm_source_trial_t *trial, const udm_source_t *s)
{
    int i;

    for (i = 0; i < s->columns->nelts; i++) {
        const char *name = APR_ARRAY_IDX(s->columns, i, udm_column_t).name;

        APR_ARRAY_PUSH(trial->columns, const char *) =
            apr_psprintf(s->pool, "%s (%s)", name, find(&s->rows, name)->cast);
    }
}

static bool has_text(const relation_t *relation, const char *name)
{
    const attribute_t *a = find(relation, name);

    return !a || a->words;
}

/* What the relations and the session are like, as far as it can bring surprises. */
static void add_warnings(udm_source_trial_t *trial, const udm_source_t *s,
                         const udm_source_late_t *late)
{
    const udm_data_type_t *t = s->type;

    if (!t->columns) {
        warn(trial, "columns are not given: all of them leave, and those that are added later");
    }
    if (!has_text(&s->rows, t->tenant_column) ||
        (t->attachment_relation && !has_text(&s->files, t->attachment_tenant_column))) {
        warn(trial, "the tenant column is no text: a contact centre has rows only where its id is "
                    "exactly what the column's value looks like as text");
    }
    if (t->row_security) {
        warn(trial,
             "row-level security is meant to hold: what its policies hide does not leave, and "
             "no run says so");
    }
    if (t->time_column && late->why) {
        warn(trial,
             apr_psprintf(s->pool, "rows %s: jobs that take what came since their last run fail",
                          late->why));
    }
    else if (t->time_column && t->moving_window && late->calls) {
        warn(trial,
             "a view calls functions: if any of them reads from another server, of which nothing "
             "is seen here, the type must be registered with moving_window => false");
    }
    if (s->foreign) {
        warn(trial,
             "a table that is filled anew on its own server while an export begins may show as "
             "empty");
    }
    if (s->pooled) {
        warn(trial, "the source is reached through a pooler: its connections are not kept from one "
                    "run to the next");
    }
}

/* Each attribute that jobs may filter by has a column whose type fits its kind. */
static void add_attributes(udm_source_trial_t *trial, const udm_source_t *s)
{
    int i;

    for (i = 0; i < s->type->attributes->nelts; i++) {
        const udm_attribute_t *a = &APR_ARRAY_IDX(s->type->attributes, i, udm_attribute_t);
        source_filter_t filter = {a, UDM_TEST_EQ, "", "udm.filter_0"};
        const char *column =
            apr_pstrcat(s->pool, "r.", udm_pg_identifier(s->pool, a->column), NULL);
        const char *sql;
        udm_error_t *error =
            udm_source_filter_sql(&sql, s, &filter, column, find(&s->rows, a->column));

        if (error) {
            warn(trial, error->reason);
        }
    }
}

/* Some of what can be wrong only shows while rows are read. */
static udm_error_t *read_one(udm_source_trial_t *trial, udm_source_t *s, const char *sql,
                             const relation_t *relation)
{
    udm_error_t *error;
    bool slow;

    error = udm_pg_exec(s->pool, s->db,
                        apr_psprintf(s->pool,
                                     "SET LOCAL statement_timeout = '" FIRST_ROW_SECONDS "s'; "
                                     "SELECT pg_catalog.count(*) FROM (%s LIMIT 1) one",
                                     sql));
    slow = error && strcmp(error->sqlstate, "57014") == 0;
    if (slow) {
        warn(trial, apr_psprintf(s->pool,
                                 "%s gave no row within " FIRST_ROW_SECONDS
                                 " s: an index that begins with the tenant column is wanted",
                                 relation->shown));
        return NULL;
    }
    return error ? udm_source_explain_statement(s, error, relation->shown) : NULL;
}

static udm_error_t *look_at_server(udm_source_trial_t *trial, udm_source_t *s)
{
    udm_result_t *row;
    udm_error_t *error = udm_source_query(
        &row, s, "its session",
        "SELECT current_user, current_database(), current_setting('server_version'),"
        " pg_is_in_recovery()",
        0, NULL);

    if (error) {
        return error;
    }
    trial->reader = udm_result_text(row, 0, 0);
    trial->database = udm_result_text(row, 0, 1);
    trial->server = udm_result_text(row, 0, 2);
    if (udm_result_bool(row, 0, 3) && s->type->time_column) {
        warn(trial, "the source is a standby: jobs that take what came since their last run fail");
    }
    return NULL;
}

udm_error_t *udm_source_try(udm_source_trial_t *trial, apr_pool_t *p, const char *source_dir,
                            const udm_data_type_t *type, const char *ccid)
{
    udm_run_t *run = apr_pcalloc(p, sizeof(*run));
    udm_source_late_t late;
    udm_source_t *s;
    udm_error_t *error;

    memset(trial, 0, sizeof(*trial));
    run->ccid = ccid;
    run->window_all = true;
    run->window_from = run->window_to = UDM_NO_TIME;
    run->media = apr_array_make(p, 1, sizeof(const char *));
    run->export_attachments = true;
    error = udm_source_open(&s, p, source_dir, type, run, NULL);
    if (error) {
        return error;
    }
    trial->relation = s->rows.shown;
    trial->estimate = s->estimate;
    trial->roles = apr_array_make(p, 8, sizeof(const char *));
    trial->columns = apr_array_make(p, 32, sizeof(const char *));
    trial->warnings = apr_array_make(p, 4, sizeof(const char *));
    error = look_at_server(trial, s);
    error = error ? error : udm_source_find_late(&late, s, s->foreign);
    if (error) {
        return error;
    }
    add_roles(trial, s);
    add_columns(trial, s);
    add_warnings(trial, s, &late);
    add_attributes(trial, s);
    error = read_one(trial, s, s->rows_sql, &s->rows);
    if (!error && s->files_sql && PQtransactionStatus(s->db->conn) == PQTRANS_INTRANS) {
        error = read_one(trial, s, s->files_sql, &s->files);
    }
    return error;
}
