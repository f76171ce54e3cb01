/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * steady.c: begins the transaction of a source so that its rows are those of one moment.
 *
 * PostgreSQL takes rows from the snapshot, but what a relation is, and where its rows are kept, from
 * the catalog as it is now: what TRUNCATE, ALTER or a new view did since the snapshot shows as an empty
 * relation, another query or other types. So the relations are locked first, which waits for whoever
 * is at it, and the snapshot comes after that. What cannot be locked (materialized views, what
 * functions read, anything of a reader with rights on columns alone) is looked at once it was read,
 * for nothing that was read changes before the transaction ends.
 *
 * All that is set here ends with the transaction: a pooler may hand the session to somebody else.
 */
#include <string.h>

#include <apr_strings.h>

#include "source/private.h"

/*
 * Nothing of the session may depend on how the reader's role or its database is set up: neither how a
 * value is written, nor which value a text is in a view, nor (gin_fuzzy_search_limit) which rows there
 * are.
 */
#define SETTINGS                                                                                   \
    "SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL TimeZone = 'UTC';"                     \
    " SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres';"                     \
    " SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex';"                           \
    " SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10s';"                            \
    " SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL client_encoding = 'UTF8';"      \
    " SET LOCAL quote_all_identifiers = off; SET LOCAL standard_conforming_strings = on;"          \
    " SET LOCAL array_nulls = on; SET LOCAL transform_null_equals = off;"                          \
    " SET LOCAL xmlbinary = 'base64'; SET LOCAL xmloption = 'content';"                            \
    " SET LOCAL lc_monetary = 'C'; SET LOCAL lc_numeric = 'C'; SET LOCAL lc_time = 'C';"           \
    " SET LOCAL timezone_abbreviations = 'Default'; SET LOCAL backslash_quote = 'safe_encoding';"  \
    " SET LOCAL gin_fuzzy_search_limit = 0;"

/* clang-format off */
/* So many partitions are not locked that need not be read: there is not room for any number of locks. */
#define LOCKABLE(schema, name)                                                                     \
    "(SELECT (c.relkind IN ('r', 'v') OR c.relkind = 'p'"                                          \
    " AND (SELECT count(*) FROM pg_partition_tree(c.oid)) <= 200) AND has_table_privilege(c.oid, 'SELECT')"                \
    " AND has_schema_privilege(n.oid, 'USAGE')"                                                    \
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"                               \
    " WHERE n.nspname = " schema "::text AND c.relname = " name "::text)"

/* Which relations can be locked as a whole, and the session that the server itself sees. */
static const char look_sql[] = "SELECT pg_backend_pid()," LOCKABLE("$1", "$2");
static const char look_at_both_sql[] =
    "SELECT pg_backend_pid()," LOCKABLE("$1", "$2") "," LOCKABLE("$3", "$4");

/*
 * Whether a relation that this transaction has locked, and so has read, was made, filled anew or given
 * another query since the snapshot, or became part of another or ceased to be one; whether a function was
 * replaced where a view calls any, for what they call nobody knows; whether words of an enum, or members of
 * a composite type, were renamed, and others came or went.
 * And how many of the relations have late rows (see plan.c). The functions look at the catalog as it is
 * now, the tables are as the snapshot shows them: what has another place (ctid) was changed. Every name is
 * qualified, for the search_path may be the source's; a view may have set a timeout, too.
 */
#define MOVED(table, row)                                                                          \
    "pg_catalog.currtid2('pg_catalog." table "', " row ".ctid) OPERATOR(pg_catalog.<>) " row ".ctid"
const char udm_source_changed_sql[] =
    "SET LOCAL statement_timeout = 0;"
    "WITH RECURSIVE locked AS MATERIALIZED (SELECT l.relation, c.oid, c.relkind, c.relfilenode,"
    "   c.relispartition, c.relhassubclass"
    "  FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_class c"
    "    ON c.oid OPERATOR(pg_catalog.=) l.relation"
    "  WHERE l.locktype OPERATOR(pg_catalog.=) 'relation'"
    "   AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()"
    "   AND l.relation OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid),"
    " used (oid) AS (SELECT a.atttypid FROM locked l JOIN pg_catalog.pg_attribute a"
    "    ON a.attrelid OPERATOR(pg_catalog.=) l.oid"
    "  WHERE a.atttypid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid"
    "  UNION SELECT x.oid FROM used u JOIN pg_catalog.pg_type t"
    "    ON t.oid OPERATOR(pg_catalog.=) u.oid"
    "   CROSS JOIN LATERAL (SELECT pg_catalog.unnest(ARRAY[t.typelem, t.typbasetype])"
    "    UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a"
    "     WHERE a.attrelid OPERATOR(pg_catalog.=) t.typrelid) x (oid)"
    "  WHERE x.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid)"
    "SELECT pg_catalog.bool_or(CASE WHEN c.oid IS NULL"
    "  THEN (pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass,"
    "        c.relation, 0)).type OPERATOR(pg_catalog.=)"
    "       ANY (ARRAY['table', 'view', 'materialized view', 'foreign table'])"
    "  WHEN c.relkind OPERATOR(pg_catalog.=) 'v'::pg_catalog.\"char\""
    "  THEN EXISTS (SELECT FROM pg_catalog.pg_rewrite w"
    "        WHERE w.ev_class OPERATOR(pg_catalog.=) c.oid AND " MOVED("pg_rewrite", "w") ")"
    "  WHEN c.relkind OPERATOR(pg_catalog.=) ANY ('{r,m}'::pg_catalog.\"char\"[])"
    "   AND pg_catalog.pg_relation_filenode(c.oid) OPERATOR(pg_catalog.<>) c.relfilenode THEN true"
    /* What becomes a child has columns that are its parent's from then on. */
    "  WHEN c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,f}'::pg_catalog.\"char\"[])"
    "   AND NOT c.relispartition"
    "   AND EXISTS (SELECT FROM pg_catalog.pg_attribute a"
    "        WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid"
    "         AND a.attnum OPERATOR(pg_catalog.>) '0'::pg_catalog.int2"
    "         AND NOT a.attisdropped AND " MOVED("pg_attribute", "a") ") THEN true"
    /* What was one is either gone, or has its columns for itself. */
    "  WHEN c.relhassubclass"
    "  THEN EXISTS (SELECT FROM pg_catalog.pg_inherits i"
    "        WHERE i.inhparent OPERATOR(pg_catalog.=) c.oid AND (SELECT"
    "          pg_catalog.pg_table_is_visible(i.inhrelid) IS NULL OR " MOVED("pg_attribute", "a")
    "          FROM pg_catalog.pg_attribute a"
    "         WHERE a.attrelid OPERATOR(pg_catalog.=) i.inhrelid AND NOT a.attisdropped"
    "          AND a.attinhcount::pg_catalog.int4 OPERATOR(pg_catalog.>) 0"
    "         ORDER BY a.attnum LIMIT 1)"
    "         AND NOT EXISTS (SELECT FROM locked o"
    "          WHERE o.relation OPERATOR(pg_catalog.=) i.inhrelid))"
    "  ELSE false END)"
    " OR EXISTS (SELECT FROM pg_catalog.pg_enum e WHERE " MOVED("pg_enum", "e") ")"
    /* A table whose row another one has for a value is locked by nobody. */
    " OR EXISTS (SELECT FROM pg_catalog.pg_class y"
    "     WHERE y.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid"
    "      AND (y.relkind OPERATOR(pg_catalog.=) 'c'::pg_catalog.\"char\""
    "       OR y.reltype OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT u.oid FROM used u)))"
    "      AND (" MOVED("pg_class", "y")
    "       OR EXISTS (SELECT FROM pg_catalog.pg_attribute a"
    "        WHERE a.attrelid OPERATOR(pg_catalog.=) y.oid AND " MOVED("pg_attribute", "a") ")))"
    " OR (EXISTS (SELECT FROM locked v JOIN pg_catalog.pg_rewrite w"
    "     ON w.ev_class OPERATOR(pg_catalog.=) v.oid JOIN pg_catalog.pg_depend d"
    "     ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid"
    "      AND d.objid OPERATOR(pg_catalog.=) w.oid"
    "     WHERE v.relkind OPERATOR(pg_catalog.=) 'v'::pg_catalog.\"char\""
    "      AND d.refclassid OPERATOR(pg_catalog.=)"
    "       ANY ('{pg_catalog.pg_proc,pg_catalog.pg_operator}'::pg_catalog.regclass[]::pg_catalog.oid[])"
    "      AND d.refobjid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid)"
    "  AND EXISTS (SELECT FROM pg_catalog.pg_proc f"
    "     WHERE f.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid"
    "      AND (pg_catalog.pg_function_is_visible(f.oid) IS NULL OR " MOVED("pg_proc", "f") "))),"
    " pg_catalog.count(*) FILTER (WHERE c.relkind"
    "    OPERATOR(pg_catalog.=) ANY ('{f,m}'::pg_catalog.\"char\"[])"
    "   OR EXISTS (SELECT FROM pg_catalog.pg_subscription_rel s"
    "    WHERE s.srrelid OPERATOR(pg_catalog.=) c.oid))"
    " FROM locked c";
/* clang-format on */

udm_error_t *udm_source_changed(const udm_source_t *s, const char *rel)
{
    return udm_error_make(s->pool, UDM_E_SOURCE,
                          "%s of source \"%s\", or something that it is made of, was replaced or "
                          "filled anew while the export began",
                          rel, s->type->source);
}

/* The first server that ends a transaction which takes long, whatever it does. */
#define HAS_TRANSACTION_TIMEOUT 170000

static const char *settings(const udm_source_t *s)
{
    return apr_pstrcat(s->pool, SETTINGS,
                       PQserverVersion(s->db->conn) >= HAS_TRANSACTION_TIMEOUT
                           ? " SET LOCAL transaction_timeout = 0;"
                           : "",
                       " SET LOCAL row_security = ", s->type->row_security ? "on" : "off", NULL);
}

/* Which relations to lock: "a, b"; "" for none. Sets s->locked when those are all. */
static udm_error_t *look(const char **list, udm_source_t *s, bool files)
{
    const udm_data_type_t *type = s->type;
    const char *values[4] = {type->relation_schema, type->relation_name, type->attachment_schema,
                             type->attachment_relation};
    apr_pool_t *p = s->pool;
    udm_result_t *row;
    udm_error_t *error;
    int i;

    *list = "";
    error = udm_source_query(&row, s, "its catalog", files ? look_at_both_sql : look_sql,
                             files ? 4 : 2, values);
    if (error) {
        return error;
    }
    s->pooled = udm_result_int(row, 0, 0) != PQbackendPID(s->db->conn);
    s->locked = true;
    for (i = 0; i < (files ? 2 : 1); i++) {
        if (udm_result_bool(row, 0, 1 + i)) {
            *list = apr_pstrcat(p, *list, **list ? ", " : "", udm_pg_identifier(p, values[2 * i]),
                                ".", udm_pg_identifier(p, values[2 * i + 1]), NULL);
        }
        else {
            s->locked = false;
        }
    }
    return NULL;
}

#define SNAPSHOT_MODES "ISOLATION LEVEL REPEATABLE READ, READ ONLY"

udm_error_t *udm_source_begin(udm_source_t *s, bool files)
{
    const char *begin, *list;
    udm_error_t *error = udm_pg_begin(s->pool, s->db, "READ ONLY");

    if (error) {
        return udm_source_explain_error(s, error, "its session");
    }
    error = look(&list, s, files);
    if (error) {
        return error;
    }
    begin = apr_pstrcat(s->pool, "ROLLBACK; BEGIN " SNAPSHOT_MODES "; ", settings(s), NULL);
    error = udm_pg_exec(
        s->pool, s->db,
        *list ? apr_psprintf(s->pool, "%s; LOCK TABLE %s IN ACCESS SHARE MODE", begin, list)
              : begin);
    /* The owner of a view may have rights on columns alone, or a view have too many partitions. */
    if (error && *list &&
        (strncmp(error->sqlstate, "42", 2) == 0 || strcmp(error->sqlstate, "53200") == 0)) {
        s->locked = false;
        error = udm_pg_exec(s->pool, s->db, begin);
    }
    return error ? udm_source_explain_error(s, error, s->rows.shown) : NULL;
}

udm_error_t *udm_source_join(udm_source_t *s, udm_pg_t *db)
{
    udm_error_t *error = udm_pg_begin(s->pool, db, SNAPSHOT_MODES);

    error = error ? error
                  : udm_pg_exec(s->pool, db,
                                apr_psprintf(s->pool, "SET TRANSACTION SNAPSHOT '%s'; %s",
                                             s->exported, settings(s)));
    return error ? udm_source_explain_error(s, error, "its snapshot") : NULL;
}

/* What is sent of a column, in the words of the server. */
static bool is_as_expected(const udm_column_t *column, Oid type)
{
    return column->element ? column->array == type : column->type == type;
}

udm_error_t *udm_source_check_types(udm_source_t *s)
{
    PGconn *conn = s->db->conn;
    udm_error_t *error = NULL;
    PGresult *result;
    bool good;
    int i;

    if (s->locked) {
        return NULL;
    }
    result = udm_pg_answer(s->db, PQsendPrepare(conn, "", s->rows_sql, 0, NULL));
    good = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (good) {
        PQclear(result);
        result = udm_pg_answer(s->db, PQsendDescribePrepared(conn, ""));
        good = PQresultStatus(result) == PGRES_COMMAND_OK;
    }
    if (!good) {
        error =
            udm_source_explain_statement(s, udm_pg_error(s->pool, s->db, result), s->rows.shown);
    }
    for (i = 0; !error && i < s->columns->nelts; i++) {
        if (!is_as_expected(&APR_ARRAY_IDX(s->columns, i, udm_column_t), PQftype(result, i + 2))) {
            error = udm_source_changed(s, s->rows.shown);
        }
    }
    PQclear(result);
    return error;
}
