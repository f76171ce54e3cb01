/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * source_width.c: has the source itself refuse a row that is larger than may be sent. libpq takes in a
 * row whole and says how large it is only then, so that the memory would be gone before we could tell.
 *
 * A condition over the sizes of the columns stands in front of the row, in a CASE that reads a setting
 * which nobody has: that ends the statement with an error of its own, before any value was fetched. Its
 * first half is cheap: no column is larger than its share of the limit, by the size of a text or bytea,
 * which stands in its header, and of anything else by what is stored of it, which decompressed is no
 * more than PACKED times that. Only where that does not hold the second half looks how large the row is
 * to the byte. Where no row can be so large, for next to nothing is stored outside of the rows
 * (TOAST), there is no condition at all.
 */
#include <string.h>

#include <apr_strings.h>

#include "core/text.h"
#include "db/pgtype.h"
#include "db/source_private.h"

/* How much larger than its stored form a value can be: LZ4 makes 255 bytes of one, pglz 90. */
#define PACKED 256

/* Columns of up to so many bytes count as nothing (varchar(n), char(n), at 4 bytes a character). */
#define NARROW 65536

/* What PostgreSQL calls the setting that nobody has. */
#define SETTING "udm.row_too_large"

/*
 * The columns of a relation that may be wide; none when even all that is stored of the relation could
 * not make a row of $3 bytes. A row has a page at most, beside what is outside of it.
 */
static const char wide_sql[] =
    "WITH RECURSIVE root AS ("
    " SELECT c.oid FROM pg_catalog.pg_class c"
    "   JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    "  WHERE n.nspname = $1::text AND c.relname = $2::text"
    "), tree AS ("
    " SELECT oid FROM root UNION"
    " SELECT i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid"
    "), stored AS ("
    " SELECT bool_and(c.relkind = 'p' OR (c.relkind IN ('r', 'm') AND m.amname = 'heap')) AS known,"
    "        coalesce(sum(pg_catalog.pg_relation_size(c.reltoastrelid)), 0) AS bytes"
    "   FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid"
    "   LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam)"
    "SELECT a.attname FROM root r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid, stored s"
    " WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attlen < 0"
    "   AND NOT (a.atttypid IN (1042, 1043) AND a.atttypmod BETWEEN 0 AND $4::integer / 4)"
    "   AND NOT (s.known AND (s.bytes + pg_catalog.current_setting('block_size')::bigint) * "
    "$5::bigint <= $3::bigint)";

typedef struct wide_t {
    const char *name;
    const char *sql;
    const char *size; /* to the byte, as a bigint */
    bool exact;       /* its size costs nothing */
} wide_t;

static bool has_exact_size(Oid type)
{
    return type == TYPE_TEXT || type == TYPE_VARCHAR || type == TYPE_BPCHAR || type == TYPE_BYTEA;
}

/* How large a value is as it is sent. */
static const char *size_sql(apr_pool_t *p, const udm_column_t *column, const char *sql)
{
    const char *form = "pg_catalog.to_json(%s)::text";

    if (column->element != 0) {
        form = "pg_catalog.array_send(%s)";
    }
    else if (column->type == TYPE_JSONB) {
        form = "pg_catalog.jsonb_send(%s)";
    }
    else if (column->type == TYPE_JSON) {
        form = "pg_catalog.json_send(%s)";
    }
    else if (!column->json) {
        form = "%s";
    }
    return apr_pstrcat(p, "pg_catalog.octet_length(",
                       apr_pstrmemdup(p, form, (apr_size_t)(strstr(form, "%s") - form)), sql,
                       strstr(form, "%s") + 2, ")::bigint", NULL);
}

/* Those of the columns that are read which may be wide. */
static udm_error_t *find_wide(apr_array_header_t **wide, udm_source_t *s)
{
    apr_pool_t *p = s->pool;
    const char *values[] = {s->type->relation_schema, s->type->relation_name,
                            apr_psprintf(p, "%" APR_INT64_T_FMT, s->max_row), APR_STRINGIFY(NARROW),
                            APR_STRINGIFY(PACKED)};
    udm_result_t *result;
    udm_error_t *error = udm_source_query(&result, s, s->rows.shown, wide_sql, 5, values);
    int i, k;

    *wide = apr_array_make(p, 8, sizeof(wide_t));
    for (i = 0; !error && i < s->columns->nelts; i++) {
        const udm_column_t *column = &APR_ARRAY_IDX(s->columns, i, udm_column_t);
        bool exact = !column->json && column->element == 0 && has_exact_size(column->type);

        /* Of the other types that are read as they are only a numeric varies, and up to 64 KiB. */
        if (!exact && !column->json && column->element == 0) {
            continue;
        }
        for (k = 0; k < result->rows; k++) {
            wide_t *w;

            if (strcmp(udm_result_text(result, k, 0), column->name) != 0) {
                continue;
            }
            w = apr_array_push(*wide);
            w->name = column->name;
            w->sql = apr_pstrcat(p, "r.", udm_db_identifier(p, column->name), NULL);
            w->size = size_sql(p, column, w->sql);
            w->exact = exact;
            break;
        }
    }
    return error;
}

/* The first half of the condition, and the row's size for the second. */
static const char *condition_sql(const char **size, const udm_source_t *s,
                                 const apr_array_header_t *wide)
{
    apr_pool_t *p = s->pool;
    apr_int64_t share[2] = {s->max_row, s->max_row};
    int count[2] = {0, 0};
    const char *some = "";
    int i;

    *size = "";
    for (i = 0; i < wide->nelts; i++) {
        count[APR_ARRAY_IDX(wide, i, wide_t).exact]++;
    }
    for (i = 0; i < 2; i++) {
        share[i] /= count[i] > 0 ? count[i] : 1;
        share[i] /= count[!i] > 0 ? 2 : 1;
    }
    share[0] /= PACKED;
    for (i = 0; i < wide->nelts; i++) {
        const wide_t *w = &APR_ARRAY_IDX(wide, i, wide_t);

        some = apr_psprintf(p, "%s%spg_catalog.%s(%s) > %" APR_INT64_T_FMT, some, i ? " OR " : "",
                            w->exact ? "octet_length" : "pg_column_size", w->sql, share[w->exact]);
        *size = apr_pstrcat(p, *size, i ? " + " : "", "coalesce(", w->size, ", 0)", NULL);
    }
    return apr_psprintf(p, "(%s) AND %s > %" APR_INT64_T_FMT, some, *size, s->max_row);
}

const char *udm_source_refusing(apr_pool_t *p, const char *condition, const char *otherwise)
{
    return apr_pstrcat(p, "CASE WHEN ", condition,
                       " THEN pg_catalog.current_setting('" SETTING "') ELSE ", otherwise, " END",
                       NULL);
}

udm_error_t *udm_source_limit_rows(const char **condition, udm_source_t *s, const char *key,
                                   const char *where)
{
    apr_array_header_t *wide;
    apr_pool_t *p = s->pool;
    const char *names = "";
    const char *size;
    udm_error_t *error;
    int i;

    *condition = NULL;
    if (s->max_row <= 0) {
        return NULL;
    }
    error = find_wide(&wide, s);
    if (error || wide->nelts == 0) {
        return error;
    }
    *condition = condition_sql(&size, s, wide);
    for (i = 0; i < wide->nelts; i++) {
        const wide_t *w = &APR_ARRAY_IDX(wide, i, wide_t);

        names = apr_psprintf(p, "%s%s(%d, %s)", names, i ? ", " : "", i, w->size);
    }
    s->wide_names = apr_array_make(p, wide->nelts, sizeof(const char *));
    for (i = 0; i < wide->nelts; i++) {
        APR_ARRAY_PUSH(s->wide_names, const char *) = APR_ARRAY_IDX(wide, i, wide_t).name;
    }
    s->large_sql =
        apr_psprintf(p,
                     "SELECT %s::text, (SELECT v.n FROM (VALUES %s) v (n, size)"
                     " ORDER BY v.size DESC NULLS LAST LIMIT 1), %s FROM %s r%s%s %s LIMIT 1",
                     key ? key : "NULL", names, size, s->rows.sql, where,
                     *where ? " AND" : " WHERE", *condition);
    return NULL;
}

bool udm_source_is_too_large(const udm_error_t *error)
{
    return strcmp(error->sqlstate, "42704") == 0 && error->detail &&
           strstr(error->detail, SETTING) != NULL;
}

udm_error_t *udm_source_too_large(apr_pool_t *p, const udm_data_type_t *type, apr_int64_t limit,
                                  const char *column)
{
    return udm_source_lasting(udm_error_make(
        p, UDM_E_SOURCE,
        "a row of type \"%s\" of source \"%s\" is larger than the %s that are "
        "allowed here%s%s%s",
        type->name, type->source, udm_text_size(p, limit), column ? "; its column \"" : "",
        column ? column : "", column ? "\" is the largest part of it" : ""));
}

udm_error_t *udm_source_explain_large(udm_source_t *s)
{
    const char *column = NULL;
    const char *key = NULL;
    udm_result_t *result;
    udm_error_t *error = udm_db_exec(s->pool, s->db, "ROLLBACK TO SAVEPOINT udm_rows");

    if (error) {
        return udm_source_explain_error(s, error, s->rows.shown);
    }
    error = udm_source_query(&result, s, s->rows.shown, s->large_sql, 0, NULL);
    if (error) {
        return error;
    }
    if (result->rows == 1) {
        key = udm_result_text(result, 0, 0);
        column = APR_ARRAY_IDX(s->wide_names, (int)udm_result_int(result, 0, 1), const char *);
    }
    error = udm_source_too_large(s->pool, s->type, s->max_row, column);
    if (key) {
        error->about = apr_psprintf(s->pool, "the one whose \"%s\" is %s", s->type->key_column,
                                    udm_source_about(s->pool, key));
    }
    return error;
}
