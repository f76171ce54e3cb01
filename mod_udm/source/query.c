/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * source_query.c: from a catalog entry to SQL: looks up the relations and their columns, and writes
 * the statements that read them. Every identifier passes through udm_pg_identifier; every value is
 * read with current_setting(), but for the bounds of the window: those are constants, as PostgreSQL
 * itself wrote them, for it works a setting out anew for each row and plans as if that were dear.
 */
#include <string.h>

#include <apr_strings.h>

#include "core/text.h"
#include "source/type.h"
#include "source/private.h"

/* What is read in its binary form; everything else as its to_json(). */
static const Oid fast_types[] = {
    TYPE_CHAR, TYPE_OID,       TYPE_BOOL, TYPE_BYTEA,  TYPE_NAME,    TYPE_INT8,       TYPE_INT2,
    TYPE_INT4, TYPE_TEXT,      TYPE_JSON, TYPE_FLOAT4, TYPE_FLOAT8,  TYPE_BPCHAR,     TYPE_VARCHAR,
    TYPE_DATE, TYPE_TIMESTAMP, TYPE_UUID, TYPE_JSONB,  TYPE_NUMERIC, TYPE_TIMESTAMPTZ};

/* What PostgreSQL itself comes with has lower numbers (FirstNormalObjectId). */
#define FIRST_OF_OTHERS 16384

static bool is_fast(Oid type)
{
    apr_size_t i;

    for (i = 0; i < sizeof(fast_types) / sizeof(fast_types[0]); i++) {
        if (fast_types[i] == type) {
            return true;
        }
    }
    return false;
}

static const attribute_t *find_attribute(const relation_t *relation, const char *name)
{
    int i;

    for (i = 0; i < relation->attributes->nelts; i++) {
        const attribute_t *a = &APR_ARRAY_IDX(relation->attributes, i, attribute_t);

        if (strcmp(a->name, name) == 0) {
            return a;
        }
    }
    return NULL;
}

/*
 * The columns of a relation, with domains, also those of elements, followed down to the type below
 * them; one row without a column for a relation that has none.
 */
/* clang-format off */
static const char columns_sql[] =
    "WITH RECURSIVE rel AS ("
    " SELECT c.oid, c.relkind, c.relispopulated"
    "   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    "  WHERE n.nspname = $1::text AND c.relname = $2::text),"
    " base AS ("
    " SELECT a.attnum, a.attname, a.atttypid AS typid, a.attcollation"
    "   FROM pg_attribute a JOIN rel ON a.attrelid = rel.oid"
    "  WHERE a.attnum > 0 AND NOT a.attisdropped"
    " UNION ALL"
    " SELECT b.attnum, b.attname, t.typbasetype, b.attcollation"
    "   FROM base b JOIN pg_type t ON t.oid = b.typid WHERE t.typtype = 'd')"
    "SELECT b.attname, b.typid::bigint,"
    "       CASE WHEN t.typcategory = 'A' THEN (WITH RECURSIVE element AS ("
    "         SELECT t.typelem AS typid UNION ALL SELECT d.typbasetype"
    "           FROM element e JOIN pg_type d ON d.oid = e.typid WHERE d.typtype = 'd')"
    "        SELECT e.typid FROM element e JOIN pg_type d ON d.oid = e.typid"
    "         WHERE d.typtype <> 'd') ELSE 0 END::bigint,"
    "       format_type(b.typid, -1), b.attcollation::bigint,"
    "       t.typtype = 'e', t.typcategory = 'S', rel.relkind, rel.relispopulated"
    "  FROM rel LEFT JOIN (base b JOIN pg_type t ON t.oid = b.typid AND t.typtype <> 'd') ON true"
    " ORDER BY b.attnum";

static const char loose_sql[] =
    "SELECT oid::bigint FROM pg_collation WHERE oid = ANY ($1::oid[]) AND NOT collisdeterministic";
/* clang-format on */

/* What a relation that is none of rows is called; NULL for those that are. */
static const char *no_rows_of(char kind)
{
    switch (kind) {
    case 'r':
    case 'p':
    case 'v':
    case 'm':
    case 'f':
        return NULL;
    case 'i':
    case 'I':
        return "an index";
    case 'S':
        return "a sequence";
    case 'c':
        return "a composite type";
    default:
        return "something else";
    }
}

static udm_error_t *check_relation(const udm_source_t *s, const relation_t *relation)
{
    const char *is = no_rows_of(relation->kind);

    if (is) {
        return udm_source_lasting(udm_error_make(s->pool, UDM_E_SOURCE,
                                                 "%s of source \"%s\" is %s, not a table or a view",
                                                 relation->shown, s->type->source, is));
    }
    if (relation->attributes->nelts == 0) {
        return udm_source_lasting(udm_error_make(s->pool, UDM_E_SOURCE,
                                                 "%s of source \"%s\" has no columns",
                                                 relation->shown, s->type->source));
    }
    /* Not for ever: a refresh may come by itself. */
    if (!relation->filled) {
        return udm_error_make(s->pool, UDM_E_SOURCE,
                              "%s of source \"%s\" is a materialized view that is not populated: "
                              "REFRESH MATERIALIZED VIEW it first",
                              relation->shown, s->type->source);
    }
    return NULL;
}

/*
 * Which columns have a collation that finds texts equal whose bytes are not. PostgreSQL has none of its
 * own, so mostly there is nothing to ask.
 */
static udm_error_t *find_loose(relation_t *relation, udm_source_t *s)
{
    apr_array_header_t *oids = apr_array_make(s->pool, 4, sizeof(const char *));
    udm_result_t *result;
    const char *values[1];
    udm_error_t *error;
    int i, j;

    for (i = 0; i < relation->attributes->nelts; i++) {
        const attribute_t *a = &APR_ARRAY_IDX(relation->attributes, i, attribute_t);

        if (a->collation >= FIRST_OF_OTHERS) {
            APR_ARRAY_PUSH(oids, const char *) = udm_pg_int(s->pool, a->collation);
        }
    }
    if (oids->nelts == 0) {
        return NULL;
    }
    values[0] = udm_pg_array(s->pool, oids);
    error = udm_source_query(&result, s, relation->shown, loose_sql, 1, values);
    for (i = 0; !error && i < result->rows; i++) {
        for (j = 0; j < relation->attributes->nelts; j++) {
            attribute_t *a = &APR_ARRAY_IDX(relation->attributes, j, attribute_t);

            a->loose = a->loose || a->collation == (Oid)udm_result_int(result, i, 0);
        }
    }
    return error;
}

static udm_error_t *load_relation(relation_t *relation, udm_source_t *s, const char *schema,
                                  const char *name)
{
    const char *values[] = {schema, name};
    apr_pool_t *p = s->pool;
    udm_result_t *result;
    udm_error_t *error;
    int i;

    relation->shown = apr_pstrcat(p, schema, ".", name, NULL);
    relation->sql =
        apr_pstrcat(p, udm_pg_identifier(p, schema), ".", udm_pg_identifier(p, name), NULL);
    error = udm_source_query(&result, s, relation->shown, columns_sql, 2, values);
    if (error) {
        return error;
    }
    if (result->rows == 0) {
        return udm_source_lasting(udm_error_make(p, UDM_E_SOURCE,
                                                 "there is no relation %s in source \"%s\"",
                                                 relation->shown, s->type->source));
    }
    relation->attributes = apr_array_make(p, result->rows, sizeof(attribute_t));
    for (i = 0; i < result->rows && udm_result_text(result, i, 0); i++) {
        attribute_t *a = apr_array_push(relation->attributes);

        a->name = udm_result_text(result, i, 0);
        a->type = (Oid)udm_result_int(result, i, 1);
        a->element = (Oid)udm_result_int(result, i, 2);
        a->cast = udm_result_text(result, i, 3);
        a->collation = (Oid)udm_result_int(result, i, 4);
        a->equality = udm_result_bool(result, i, 5) || (is_fast(a->type) && a->type != TYPE_JSON);
        a->words = udm_result_bool(result, i, 6);
    }
    relation->kind = *udm_result_text(result, 0, 7);
    relation->filled = udm_result_bool(result, 0, 8);
    error = check_relation(s, relation);
    return error ? error : find_loose(relation, s);
}

/* Adds a column to the output and its expression to the select list. */
static void add_column(udm_source_t *s, apr_array_header_t *expressions, const attribute_t *a)
{
    udm_column_t *column = apr_array_push(s->columns);
    const char *sql = apr_pstrcat(s->pool, "r.", udm_pg_identifier(s->pool, a->name), NULL);

    column->name = a->name;
    column->type = a->type;
    if (is_fast(a->type)) {
        column->json = a->type == TYPE_JSON || a->type == TYPE_JSONB;
    }
    else if (is_fast(a->element)) {
        column->element = a->element;
        column->array = a->type;
    }
    else {
        column->type = TYPE_TEXT;
        column->json = true;
        sql = apr_pstrcat(s->pool, "pg_catalog.to_json(", sql, ")::text", NULL);
    }
    APR_ARRAY_PUSH(expressions, const char *) = sql;
}

static udm_error_t *no_column(udm_source_t *s, const relation_t *relation, const char *name)
{
    return udm_source_lasting(udm_error_make(s->pool, UDM_E_SOURCE,
                                             "%s of source \"%s\" has no column \"%s\"",
                                             relation->shown, s->type->source, name));
}

/* ---- the statements ---- */

/* "alias"."name", after making sure that the column is there. `name` may be NULL: then no column. */
static udm_error_t *column_sql(const char **sql, const attribute_t **attribute, udm_source_t *s,
                               const relation_t *relation, const char *alias, const char *name)
{
    const attribute_t *a = name ? find_attribute(relation, name) : NULL;

    *sql = NULL;
    *attribute = a;
    if (name && !a) {
        return no_column(s, relation, name);
    }
    if (a) {
        *sql = apr_pstrcat(s->pool, alias, ".", udm_pg_identifier(s->pool, name), NULL);
    }
    return NULL;
}

static void add_condition(apr_array_header_t *conditions, const char *condition)
{
    APR_ARRAY_PUSH(conditions, const char *) = condition;
}

static const char *joined(apr_pool_t *p, const apr_array_header_t *conditions, const char *with)
{
    apr_array_header_t *all = apr_array_make(p, 2 * conditions->nelts, sizeof(const char *));
    int i;

    for (i = 0; i < conditions->nelts; i++) {
        APR_ARRAY_PUSH(all, const char *) = i ? with : "";
        APR_ARRAY_PUSH(all, const char *) = APR_ARRAY_IDX(conditions, i, const char *);
    }
    return apr_array_pstrcat(p, all, '\0');
}

const char *udm_source_same_text(apr_pool_t *p, const char *a, const char *b)
{
    return apr_psprintf(p, "(%s)::text COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) (%s)::text",
                        a, b);
}

/* Whether equal values have equal bytes, so that their = is enough. */
static bool is_exact(const attribute_t *a)
{
    return (a->type == TYPE_TEXT || a->type == TYPE_VARCHAR) && !a->loose;
}

/*
 * That a column has the value which `text`, an expression of type text, is the text of. It is cast to
 * the column's type, not the column to text, so that an index can be used. Values may be equal that
 * have not the same text ('007' and '7' as integers, long names cut to 63 bytes, 'acme' and 'ACME'
 * where the collation finds them so), so the texts must have the same bytes, too.
 */
static const char *has_value(apr_pool_t *p, const char *column, const attribute_t *a,
                             const char *text)
{
    const char *same = udm_source_same_text(p, column, text);
    const char *equal;

    if (!a->equality) {
        return apr_pstrcat(p, "(", same, ")", NULL);
    }
    equal = apr_psprintf(p, "%s OPERATOR(pg_catalog.=) (%s)::%s", column, text, a->cast);
    return is_exact(a) ? equal : apr_psprintf(p, "(%s AND %s)", equal, same);
}

#define CCID "pg_catalog.current_setting('udm.ccid')"

/* That a row is the tenant's. */
static const char *is_tenants(apr_pool_t *p, const char *column, const attribute_t *a)
{
    return has_value(p, column, a, CCID);
}

/*
 * That a row is of one of the media. Their values are whatever the type takes for its own, so that
 * only where it is a text the bytes count.
 */
static const char *is_of_media(apr_pool_t *p, const char *column, const attribute_t *a)
{
    const char *values = apr_psprintf(p, "pg_catalog.current_setting('udm.media')::%s[]", a->cast);
    const char *same = apr_psprintf(
        p, "%s::text COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) ANY ((%s)::text[])", column,
        values);
    const char *equal;

    if (!a->equality) {
        return same;
    }
    equal = apr_psprintf(p, "%s OPERATOR(pg_catalog.=) ANY (%s)", column, values);
    return !a->words || is_exact(a) ? equal : apr_pstrcat(p, equal, " AND ", same, NULL);
}

/* That an attachment hangs on a row: by their own = where they have the same one. */
static const char *hangs_on(apr_pool_t *p, const char *entity, const attribute_t *e,
                            const char *key, const attribute_t *k)
{
    const char *same = udm_source_same_text(p, entity, key);
    const char *equal;

    if (e->type != k->type || e->collation != k->collation || !e->equality) {
        return same;
    }
    equal = apr_psprintf(p, "%s OPERATOR(pg_catalog.=) %s", entity, key);
    return e->loose ? apr_pstrcat(p, equal, " AND ", same, NULL) : equal;
}

/* The conditions that the filters of the run make. */
static udm_error_t *filter_conditions(apr_array_header_t *conditions, udm_source_t *s)
{
    udm_error_t *error = NULL;
    int i;

    for (i = 0; !error && i < s->filters->nelts; i++) {
        const source_filter_t *filter = &APR_ARRAY_IDX(s->filters, i, source_filter_t);
        const char *name = filter->attribute->column;
        const char *column = apr_pstrcat(s->pool, "r.", udm_pg_identifier(s->pool, name), NULL);
        const char *sql;

        error = udm_source_filter_sql(&sql, s, filter, column, find_attribute(&s->rows, name));
        if (!error) {
            add_condition(conditions, sql);
        }
    }
    return error;
}

/*
 * That the id of the contact centre is one that the column can hold. Where it is a text there is
 * nothing to ask.
 */
static udm_error_t *check_tenant_type(udm_source_t *s, const relation_t *relation,
                                      const attribute_t *a)
{
    udm_result_t *result;
    udm_error_t *error;

    if (a->words || !a->equality) {
        return NULL;
    }
    error =
        udm_pg_query_text(&result, s->pool, s->db,
                          apr_psprintf(s->pool, "SELECT (" CCID "::%s) IS NULL", a->cast), 0, NULL);
    if (error && strncmp(error->sqlstate, "22", 2) == 0) {
        udm_error_t *misfit = udm_source_lasting(udm_error_make(
            s->pool, UDM_E_SOURCE,
            "column \"%s\" of %s in source \"%s\" is of type %s, and the id of this contact centre "
            "is no value of it: the tenant column must hold the ids of contact centres",
            a->name, relation->shown, s->type->source, a->cast));

        memcpy(misfit->sqlstate, error->sqlstate, sizeof(misfit->sqlstate));
        return udm_error_detail(s->pool, misfit, "%s", error->detail);
    }
    return error ? udm_source_explain_error(s, error, relation->shown) : NULL;
}

/* The conditions of the main rows: tenant, window, media, filters. */
static udm_error_t *row_conditions(apr_array_header_t *conditions, udm_source_t *s)
{
    const udm_data_type_t *type = s->type;
    const attribute_t *a;
    apr_pool_t *p = s->pool;
    udm_error_t *error;
    const char *sql;

    error = column_sql(&sql, &a, s, &s->rows, "r", type->tenant_column);
    if (error) {
        return error;
    }
    if (sql) {
        error = check_tenant_type(s, &s->rows, a);
        if (error) {
            return error;
        }
        add_condition(conditions, is_tenants(p, sql, a));
    }
    error = column_sql(&sql, &a, s, &s->rows, "r", type->time_column);
    if (error) {
        return error;
    }
    if (!s->run->window_all) {
        if (!sql) {
            return udm_source_lasting(
                udm_error_make(p, UDM_E_SOURCE,
                               "type \"%s\" of source \"%s\" has no time column, so "
                               "it cannot be exported by time frame",
                               type->name, type->source));
        }
        if (s->from) {
            add_condition(conditions,
                          apr_pstrcat(p, sql, " OPERATOR(pg_catalog.>=) ", s->from, NULL));
        }
        if (s->to) {
            add_condition(conditions, apr_pstrcat(p, sql, " OPERATOR(pg_catalog.<) ", s->to, NULL));
        }
    }
    error = column_sql(&sql, &a, s, &s->rows, "r", type->media_column);
    if (error) {
        return error;
    }
    if (s->run->media->nelts > 0) {
        if (!sql) {
            return udm_source_lasting(
                udm_error_make(p, UDM_E_SOURCE, "type \"%s\" of source \"%s\" has no media column",
                               type->name, type->source));
        }
        add_condition(conditions, is_of_media(p, sql, a));
    }
    return filter_conditions(conditions, s);
}

static const char *where(apr_pool_t *p, const apr_array_header_t *conditions)
{
    return conditions->nelts ? apr_pstrcat(p, " WHERE ", joined(p, conditions, " AND "), NULL) : "";
}

/* The select list of the rows, and the columns that come of it. */
static udm_error_t *make_rows_sql(udm_source_t *s)
{
    const udm_data_type_t *type = s->type;
    apr_array_header_t *conditions = apr_array_make(s->pool, 4, sizeof(const char *));
    apr_array_header_t *list = apr_array_make(s->pool, 32, sizeof(const char *));
    const char *first, *large = NULL;
    const attribute_t *a, *subtype, *key;
    udm_error_t *error;
    const char *sql;
    int i;

    s->columns = apr_array_make(s->pool, 32, sizeof(udm_column_t));
    error = column_sql(&sql, &subtype, s, &s->rows, "r", type->subtype_column);
    if (error) {
        return error;
    }
    first = sql ? apr_pstrcat(s->pool, sql, "::text", NULL) : "NULL::text";
    APR_ARRAY_PUSH(list, const char *) = first;
    error = column_sql(&sql, &key, s, &s->rows, "r", type->key_column);
    if (error) {
        return error;
    }
    /* Only files that are called by it need the key. */
    APR_ARRAY_PUSH(list, const char *) =
        type->records ? apr_pstrcat(s->pool, sql, "::text", NULL) : "NULL::text";
    if (type->columns) {
        for (i = 0; i < type->columns->nelts; i++) {
            const char *name = APR_ARRAY_IDX(type->columns, i, const char *);

            a = find_attribute(&s->rows, name);
            if (!a) {
                return no_column(s, &s->rows, name);
            }
            add_column(s, list, a);
        }
    }
    else {
        for (i = 0; i < s->rows.attributes->nelts; i++) {
            add_column(s, list, &APR_ARRAY_IDX(s->rows.attributes, i, attribute_t));
        }
    }
    error = row_conditions(conditions, s);
    error =
        error ? error : udm_source_limit_rows(&large, s, subtype, key, where(s->pool, conditions));
    if (error) {
        return error;
    }
    if (large) {
        APR_ARRAY_IDX(list, 0, const char *) = udm_source_refusing(s->pool, large, first);
    }
    s->rows_sql = apr_pstrcat(s->pool, "SELECT ", joined(s->pool, list, ", "), " FROM ",
                              s->rows.sql, " r", where(s->pool, conditions), NULL);
    return NULL;
}

/*
 * Whether each row of a relation can be found again by its table and its place there (ctid), which
 * stay the same for a snapshot: those of tables can, those of views and foreign tables cannot. A reader
 * to whom only some columns were granted may not ask for it.
 */
static udm_error_t *rows_have_places(bool *places, udm_source_t *s, const char *schema,
                                     const char *name)
{
    const char *values[] = {schema, name};
    udm_result_t *result;
    udm_error_t *error =
        udm_source_query(&result, s, s->files.shown,
                         "WITH RECURSIVE tree AS ("
                         " SELECT c.oid, has_table_privilege(c.oid, 'SELECT') AS granted"
                         "   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                         "  WHERE n.nspname = $1::text AND c.relname = $2::text"
                         " UNION"
                         " SELECT i.inhrelid, true"
                         "   FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid)"
                         "SELECT coalesce(bool_and(t.granted AND (c.relkind = 'p'"
                         " OR (c.relkind IN ('r', 'm') AND m.amname = 'heap'))), false)"
                         "  FROM tree t JOIN pg_class c ON c.oid = t.oid"
                         "  LEFT JOIN pg_am m ON m.oid = c.relam",
                         2, values);

    if (!error) {
        *places = udm_result_bool(result, 0, 0);
    }
    return error;
}

static udm_error_t *make_files_sql(udm_source_t *s)
{
    const udm_data_type_t *type = s->type;
    apr_array_header_t *conditions = apr_array_make(s->pool, 4, sizeof(const char *));
    const attribute_t *id_type, *entity_type, *content_type, *tenant_type, *key_type, *other;
    const char *id, *entity, *name, *mime, *content, *tenant, *key, *subtype, *that;
    const relation_t *f = &s->files;
    apr_pool_t *p = s->pool;
    udm_error_t *error;
    bool places;

    error = column_sql(&id, &id_type, s, f, "a", type->attachment_id_column);
    error = error ? error
                  : column_sql(&entity, &entity_type, s, f, "a", type->attachment_entity_column);
    error = error ? error : column_sql(&name, &other, s, f, "a", type->attachment_name_column);
    error = error ? error : column_sql(&mime, &other, s, f, "a", type->attachment_mime_column);
    error = error ? error
                  : column_sql(&content, &content_type, s, f, "a", type->attachment_content_column);
    error = error ? error
                  : column_sql(&tenant, &tenant_type, s, f, "a", type->attachment_tenant_column);
    error = error ? error : column_sql(&key, &key_type, s, &s->rows, "r", type->key_column);
    error = error ? error : column_sql(&subtype, &other, s, &s->rows, "r", type->subtype_column);
    error = error ? error : row_conditions(conditions, s);
    if (error) {
        return error;
    }
    if (!id_type || !entity_type || !content_type || !key_type) {
        return udm_error_make(p, UDM_E_INTERNAL, "the catalog entry of %s is not whole", f->shown);
    }
    switch (content_type->type) {
    case TYPE_BYTEA:
        break;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_JSON:
        content = apr_pstrcat(p, "pg_catalog.convert_to(", content, "::text, 'UTF8')", NULL);
        break;
    default:
        return udm_source_lasting(
            udm_error_make(p, UDM_E_SOURCE,
                           "column \"%s\" of %s in source \"%s\" is of type %s; "
                           "content must be bytea or text",
                           content_type->name, f->shown, type->source, content_type->cast));
    }
    if (tenant_type) {
        error = check_tenant_type(s, f, tenant_type);
        if (error) {
            return error;
        }
        tenant = is_tenants(p, tenant, tenant_type);
        add_condition(conditions, tenant);
    }
    error = rows_have_places(&places, s, type->attachment_schema, type->attachment_relation);
    if (error) {
        return error;
    }
    if (s->max_row > 0) {
        const char *large =
            apr_psprintf(p,
                         "coalesce(pg_catalog.octet_length(%s::text), 0)::bigint"
                         " + coalesce(pg_catalog.octet_length(%s::text), 0)"
                         " + coalesce(pg_catalog.octet_length(%s::text), 0)"
                         " + coalesce(pg_catalog.octet_length(%s::text), 0)"
                         " + coalesce(pg_catalog.octet_length(%s::text), 0) > %" APR_INT64_T_FMT,
                         entity, id, name ? name : "NULL", mime ? mime : "NULL",
                         subtype ? subtype : "NULL", s->max_row);

        subtype = udm_source_refusing(
            p, large, subtype ? apr_pstrcat(p, subtype, "::text", NULL) : "NULL::text");
    }
    s->files_sql = apr_psprintf(
        p,
        "SELECT %s::text, %s::text, %s::text, %s::text, %s::text, "
        "pg_catalog.octet_length(%s)::text, "
        "CASE WHEN pg_catalog.octet_length(%s) OPERATOR(pg_catalog.<=) %d THEN %s END, "
        "%s FROM %s a JOIN %s r ON %s%s",
        subtype ? subtype : "NULL", entity, id, name, mime, content, content, UDM_SOURCE_SLICE,
        content, places ? "a.tableoid::text, a.ctid::text" : "NULL::text, NULL::text", f->sql,
        s->rows.sql, hangs_on(p, entity, entity_type, key, key_type), where(p, conditions));
    that = places ? "a.ctid OPERATOR(pg_catalog.=) $2::tid"
                    " AND a.tableoid OPERATOR(pg_catalog.=) $1::oid"
                  : apr_pstrcat(p, has_value(p, entity, entity_type, "$1::text"), " AND ",
                                has_value(p, id, id_type, "$2::text"), NULL);
    that = apr_pstrcat(p, " FROM ", f->sql, " a WHERE ", that, " AND pg_catalog.octet_length(",
                       content, ") OPERATOR(pg_catalog.=) $3::integer", tenant ? " AND " : "",
                       tenant ? tenant : "", NULL);
    /*
     * One value for all slices: to find the row again, to convert a text, or to unpack what is compressed
     * from its beginning on, for each slice, takes longer the longer the content is. What is stored as it
     * is stays where it is.
     */
    s->slice_sql = apr_pstrcat(
        p,
        "DECLARE udm_slices NO SCROLL CURSOR FOR SELECT pg_catalog.substring(y.c, g.at, "
        "$4::integer)"
        " FROM (SELECT CASE WHEN pg_catalog.pg_column_size(z.c) OPERATOR(pg_catalog.<)"
        " pg_catalog.octet_length(z.c) THEN pg_catalog.substring(z.c, 1) ELSE z.c END AS c"
        " FROM (SELECT ",
        content, " AS c", that,
        " LIMIT 1) z OFFSET 0) y, pg_catalog.generate_series(1, pg_catalog.octet_length(y.c),"
        " $4::integer) g (at)",
        NULL);
    if (!places) {
        s->twins_sql = apr_pstrcat(p, "SELECT pg_catalog.count(DISTINCT pg_catalog.md5(", content,
                                   "))", that, NULL);
        s->twin_sql = apr_pstrcat(p, "SELECT 1", that, " LIMIT 2", NULL);
    }
    return NULL;
}

/* The values that the media names of the run stand for. */
udm_error_t *udm_source_media_values(const char **literal, udm_source_t *s)
{
    const apr_array_header_t *known = s->type->media;
    apr_array_header_t *values = apr_array_make(s->pool, 4, sizeof(const char *));
    int i, j;

    for (i = 0; i < s->run->media->nelts; i++) {
        const char *name = APR_ARRAY_IDX(s->run->media, i, const char *);
        bool found = false;

        for (j = 0; known && j < known->nelts; j++) {
            const udm_value_t *value = &APR_ARRAY_IDX(known, j, udm_value_t);

            if (strcmp(value->name, name) == 0) {
                APR_ARRAY_PUSH(values, const char *) = value->value;
                found = true;
            }
        }
        if (!found) {
            return udm_source_lasting(
                udm_error_make(s->pool, UDM_E_SOURCE,
                               "type \"%s\" of source \"%s\" has no media \"%s\" "
                               "any more",
                               s->type->name, s->type->source, name));
        }
    }
    *literal = udm_pg_array(s->pool, values);
    return NULL;
}

udm_error_t *udm_source_make_statements(udm_source_t *s, bool files)
{
    const udm_data_type_t *type = s->type;
    udm_error_t *error;

    error = load_relation(&s->rows, s, type->relation_schema, type->relation_name);
    error = error ? error : make_rows_sql(s);
    if (!error && files) {
        error = load_relation(&s->files, s, type->attachment_schema, type->attachment_relation);
        error = error ? error : make_files_sql(s);
    }
    return error;
}
