/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * width.c: has the source itself refuse a row that is larger than may be sent. libpq takes in a
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
#include "source/private.h"
#include "source/type.h"

/* How much larger than its stored form a value can be: LZ4 makes 255 bytes of one, pglz 90. */
#define PACKED 256

/* Columns of up to so many bytes (varchar(n), char(n), at 4 bytes a character) count as nothing, as long as
 * all columns of that size are no more than half of the limit. A numeric may have so many. */
#define NARROW 73728

/*
 * How much larger than its decompressed form a value is when it is sent: the four bytes of a NULL in an
 * array stand for a bit of it; a bit is a digit, and an element of an enum a word. A number of eight
 * bytes in a jsonb has up to 131,072 digits, and so may have those in whatever others have made of them.
 */
#define GROWTH_ARRAY   32
#define GROWTH_WORDS   128
#define GROWTH_NUMBERS 16384

/* What PostgreSQL itself comes with has lower numbers (FirstNormalObjectId). */
#define FIRST_OF_OTHERS 16384

/* As much of a key as a reason shows, and more, which then is cut. */
#define KEY_SHOWN "1000"

/* What PostgreSQL calls the setting that nobody has. */
#define SETTING "udm.row_too_large"

/*
 * The columns of a relation that may be wide, but for texts of up to $3 bytes, and how many bytes a row
 * has at most as it is stored, NULL where that is not known: a page, and what is outside of it.
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
    "SELECT a.attname,"
    "       CASE WHEN s.known THEN s.bytes + pg_catalog.current_setting('block_size')::bigint END"
    "  FROM root r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid, stored s"
    " WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attlen < 0"
    "   AND NOT (a.atttypid IN (1042, 1043) AND a.atttypmod BETWEEN 0 AND $3::bigint / 4)";

typedef struct wide_t {
    const char *name;
    const char *sql;
    const char *size; /* to the byte, as a bigint */
    bool exact;       /* its size costs nothing */
    apr_int64_t growth;
} wide_t;

static bool has_exact_size(Oid type)
{
    return type == TYPE_TEXT || type == TYPE_VARCHAR || type == TYPE_BPCHAR || type == TYPE_BYTEA;
}

/* Whether a type has numbers in it which are sent as their digits. */
static bool has_digits(Oid type)
{
    static const Oid types[] = {TYPE_JSONB,          TYPE_JSONB_ARRAY,   TYPE_NUMRANGE,
                                TYPE_NUMRANGE_ARRAY, TYPE_NUMMULTIRANGE, TYPE_NUMMULTIRANGE_ARRAY,
                                TYPE_JSONPATH,       TYPE_JSONPATH_ARRAY};
    apr_size_t i;

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i] == type) {
            return true;
        }
    }
    return type >= FIRST_OF_OTHERS;
}

static apr_int64_t growth_of(const attribute_t *a, const udm_column_t *column)
{
    if (column->element == 0 && (column->type == TYPE_JSON || column->type == TYPE_NUMERIC)) {
        return 1;
    }
    if (column->element != 0 && column->element != TYPE_JSONB) {
        return GROWTH_ARRAY; /* of whatever name */
    }
    if (has_digits(a->type) || a->type == TYPE_NUMERIC) {
        return GROWTH_NUMBERS;
    }
    return GROWTH_WORDS;
}

/* Whether the size of a column is that of what is read of it: not of the text of a bytea. */
static bool is_exact(const attribute_t *a, const udm_column_t *column)
{
    return has_exact_size(a->type) && (a->type != TYPE_BYTEA || column->type == TYPE_BYTEA);
}

/* How large a value is as it is sent. */
static const char *size_sql(apr_pool_t *p, const udm_column_t *column, const attribute_t *a,
                            const char *sql)
{
    const char *before = "pg_catalog.to_json(", *after = ")::text";

    if (column->element != 0) {
        before = "pg_catalog.array_send(";
        after = ")";
    }
    else if (column->type == TYPE_JSONB) {
        before = "pg_catalog.jsonb_send(";
        after = ")";
    }
    else if (column->type == TYPE_JSON) {
        before = "pg_catalog.json_send(";
        after = ")";
    }
    else if (column->type == TYPE_NUMERIC) {
        before = "pg_catalog.numeric_send(";
        after = ")";
    }
    else if (!column->json) {
        before = "";
        after = is_exact(a, column) ? "" : "::text";
    }
    return apr_pstrcat(p, "pg_catalog.octet_length(", before, sql, after, ")::bigint", NULL);
}

/* A column that may be wide, and what is read of it; nothing if it is none of the columns found. */
static void add_wide(apr_array_header_t *wide, const udm_source_t *s, const udm_result_t *found,
                     const attribute_t *a, const udm_column_t *column)
{
    bool exact = is_exact(a, column);
    apr_int64_t growth = exact ? 1 : growth_of(a, column);
    apr_pool_t *p = s->pool;
    wide_t *w;
    int i;

    for (i = 0; i < found->rows; i++) {
        if (strcmp(udm_result_text(found, i, 0), a->name) == 0) {
            break;
        }
    }
    if (i == found->rows || (udm_result_text(found, i, 1) &&
                             udm_result_int(found, i, 1) <= s->max_row / PACKED / growth)) {
        return;
    }
    w = apr_array_push(wide);
    w->name = a->name;
    w->sql = apr_pstrcat(p, "r.", udm_pg_identifier(p, a->name), NULL);
    w->size = size_sql(p, column, a, w->sql);
    w->exact = exact;
    w->growth = growth;
}

static const attribute_t *attribute_of(const udm_source_t *s, const udm_column_t *column)
{
    int i;

    for (i = 0; i < s->rows.attributes->nelts; i++) {
        const attribute_t *a = &APR_ARRAY_IDX(s->rows.attributes, i, attribute_t);

        if (strcmp(a->name, column->name) == 0) {
            return a;
        }
    }
    return NULL;
}

/* Those of the columns that are read which may be wide, and of the two that are read as their texts. */
static udm_error_t *find_wide(apr_array_header_t **wide, udm_source_t *s,
                              const attribute_t *subtype, const attribute_t *key)
{
    const attribute_t *texts[] = {subtype, s->type->records ? key : NULL};
    apr_pool_t *p = s->pool;
    apr_int64_t narrow = s->max_row / 2 / (s->columns->nelts + 2);
    const char *values[] = {s->type->relation_schema, s->type->relation_name,
                            udm_pg_int(p, narrow < NARROW ? narrow : NARROW)};
    udm_result_t *result;
    udm_error_t *error = udm_source_query(&result, s, s->rows.shown, wide_sql, 3, values);
    int i;

    *wide = apr_array_make(p, 8, sizeof(wide_t));
    for (i = 0; !error && i < s->columns->nelts; i++) {
        const udm_column_t *column = &APR_ARRAY_IDX(s->columns, i, udm_column_t);

        /* Of the other types that are read as they are only a numeric varies. */
        if (column->json || column->element != 0 || has_exact_size(column->type) ||
            (column->type == TYPE_NUMERIC && narrow < NARROW)) {
            add_wide(*wide, s, result, attribute_of(s, column), column);
        }
    }
    for (i = 0; !error && i < 2; i++) {
        if (texts[i]) {
            const udm_column_t column = {.name = texts[i]->name, .type = TYPE_TEXT};

            add_wide(*wide, s, result, texts[i], &column);
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
    apr_array_header_t *some = apr_array_make(p, wide->nelts, sizeof(const char *));
    apr_array_header_t *sizes = apr_array_make(p, wide->nelts, sizeof(const char *));
    int count[2] = {0, 0};
    int i;

    for (i = 0; i < wide->nelts; i++) {
        count[APR_ARRAY_IDX(wide, i, wide_t).exact]++;
    }
    for (i = 0; i < 2; i++) {
        share[i] /= count[i] > 0 ? count[i] : 1;
        share[i] /= count[!i] > 0 ? 2 : 1;
    }
    for (i = 0; i < wide->nelts; i++) {
        const wide_t *w = &APR_ARRAY_IDX(wide, i, wide_t);

        APR_ARRAY_PUSH(some, const char *) =
            apr_psprintf(p, "%spg_catalog.%s(%s) > %" APR_INT64_T_FMT, i ? " OR " : "",
                         w->exact ? "octet_length" : "pg_column_size", w->sql,
                         w->exact ? share[1] : share[0] / PACKED / w->growth);
        APR_ARRAY_PUSH(sizes, const char *) =
            apr_psprintf(p, "%scoalesce(%s, 0)", i ? " + " : "", w->size);
    }
    *size = apr_array_pstrcat(p, sizes, '\0');
    return apr_psprintf(p, "(%s) AND %s > %" APR_INT64_T_FMT, apr_array_pstrcat(p, some, '\0'),
                        *size, s->max_row);
}

const char *udm_source_refusing(apr_pool_t *p, const char *condition, const char *otherwise)
{
    return apr_pstrcat(p, "CASE WHEN ", condition,
                       " THEN pg_catalog.current_setting('" SETTING "') ELSE ", otherwise, " END",
                       NULL);
}

udm_error_t *udm_source_limit_rows(const char **condition, udm_source_t *s,
                                   const attribute_t *subtype, const attribute_t *key,
                                   const char *where)
{
    apr_array_header_t *wide;
    apr_pool_t *p = s->pool;
    apr_array_header_t *names;
    const char *size;
    udm_error_t *error;
    int i;

    *condition = NULL;
    if (s->max_row <= 0) {
        return NULL;
    }
    error = find_wide(&wide, s, subtype, key);
    if (error || wide->nelts == 0) {
        return error;
    }
    *condition = condition_sql(&size, s, wide);
    names = apr_array_make(p, wide->nelts, sizeof(const char *));
    for (i = 0; i < wide->nelts; i++) {
        const wide_t *w = &APR_ARRAY_IDX(wide, i, wide_t);

        APR_ARRAY_PUSH(names, const char *) = apr_psprintf(p, "(%d, %s)", i, w->size);
    }
    s->wide_names = apr_array_make(p, wide->nelts, sizeof(const char *));
    for (i = 0; i < wide->nelts; i++) {
        APR_ARRAY_PUSH(s->wide_names, const char *) = APR_ARRAY_IDX(wide, i, wide_t).name;
    }
    s->large_sql =
        apr_psprintf(p,
                     "SELECT %s, (SELECT v.n FROM (VALUES %s) v (n, size)"
                     " ORDER BY v.size DESC NULLS LAST LIMIT 1), %s FROM %s r%s%s %s LIMIT 1",
                     key ? apr_pstrcat(p, "pg_catalog.left(r.", udm_pg_identifier(p, key->name),
                                       "::text, " KEY_SHOWN ")", NULL)
                         : "NULL",
                     apr_array_pstrcat(p, names, ','), size, s->rows.sql, where,
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
    udm_error_t *error = udm_pg_exec(s->pool, s->db, "ROLLBACK TO SAVEPOINT udm_rows");

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
