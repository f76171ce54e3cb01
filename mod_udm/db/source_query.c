/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * source_query.c: from a catalog entry to SQL: looks up the relations and their columns, and writes
 * the statements that read them. Every identifier passes through udm_db_identifier; every value is
 * read with current_setting(), but for the bounds of the window: those are constants, as PostgreSQL
 * itself wrote them, for it works a setting out anew for each row and plans as if that were dear.
 */
#include <string.h>

#include <apr_strings.h>

#include "core/text.h"
#include "db/pgtype.h"
#include "db/source_private.h"

/* What is read in its binary form; everything else as its to_json(). */
static const Oid fast_types[] = {
    TYPE_CHAR, TYPE_OID,       TYPE_BOOL, TYPE_BYTEA,  TYPE_NAME,    TYPE_INT8,       TYPE_INT2,
    TYPE_INT4, TYPE_TEXT,      TYPE_JSON, TYPE_FLOAT4, TYPE_FLOAT8,  TYPE_BPCHAR,     TYPE_VARCHAR,
    TYPE_DATE, TYPE_TIMESTAMP, TYPE_UUID, TYPE_JSONB,  TYPE_NUMERIC, TYPE_TIMESTAMPTZ};

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

/* The columns of a relation, with domains, also those of elements, followed down to the type below
 * them. */
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
        apr_pstrcat(p, udm_db_identifier(p, schema), ".", udm_db_identifier(p, name), NULL);
    error =
        udm_source_query(&result, s, relation->shown,
                         "WITH RECURSIVE base AS ("
                         " SELECT a.attnum, a.attname, a.atttypid AS typid"
                         "   FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
                         "   JOIN pg_namespace n ON n.oid = c.relnamespace"
                         "  WHERE n.nspname = $1::text AND c.relname = $2::text"
                         "    AND a.attnum > 0 AND NOT a.attisdropped"
                         " UNION ALL"
                         " SELECT b.attnum, b.attname, t.typbasetype"
                         "   FROM base b JOIN pg_type t ON t.oid = b.typid WHERE t.typtype = 'd')"
                         "SELECT b.attname, b.typid::bigint,"
                         "       CASE WHEN t.typcategory = 'A' THEN (WITH RECURSIVE element AS ("
                         "         SELECT t.typelem AS typid UNION ALL SELECT d.typbasetype"
                         "           FROM element e JOIN pg_type d ON d.oid = e.typid"
                         "          WHERE d.typtype = 'd')"
                         "        SELECT e.typid FROM element e JOIN pg_type d ON d.oid = e.typid"
                         "         WHERE d.typtype <> 'd') ELSE 0 END::bigint,"
                         "       format_type(b.typid, -1)"
                         "  FROM base b JOIN pg_type t ON t.oid = b.typid"
                         " WHERE t.typtype <> 'd' ORDER BY b.attnum",
                         2, values);
    if (error) {
        return error;
    }
    if (result->rows == 0) {
        return udm_source_lasting(udm_error_make(p, UDM_E_SOURCE,
                                                 "there is no relation %s in source \"%s\"",
                                                 relation->shown, s->type->source));
    }
    relation->attributes = apr_array_make(p, result->rows, sizeof(attribute_t));
    for (i = 0; i < result->rows; i++) {
        attribute_t *a = apr_array_push(relation->attributes);

        a->name = udm_result_text(result, i, 0);
        a->type = (Oid)udm_result_int(result, i, 1);
        a->element = (Oid)udm_result_int(result, i, 2);
        a->cast = udm_result_text(result, i, 3);
    }
    return NULL;
}

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

/* Adds a column to the output and its expression to the select list. */
static void add_column(udm_source_t *s, apr_array_header_t *expressions, const attribute_t *a)
{
    udm_column_t *column = apr_array_push(s->columns);
    const char *sql = apr_pstrcat(s->pool, "r.", udm_db_identifier(s->pool, a->name), NULL);

    column->name = a->name;
    column->type = a->type;
    if (is_fast(a->type)) {
        column->json = a->type == TYPE_JSON || a->type == TYPE_JSONB;
    }
    else if (is_fast(a->element)) {
        column->element = a->element;
    }
    else {
        column->type = TYPE_TEXT;
        column->json = true;
        sql = apr_pstrcat(s->pool, "to_json(", sql, ")::text", NULL);
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
        *sql = apr_pstrcat(s->pool, alias, ".", udm_db_identifier(s->pool, name), NULL);
    }
    return NULL;
}

static void add_condition(apr_array_header_t *conditions, const char *condition)
{
    APR_ARRAY_PUSH(conditions, const char *) = condition;
}

static const char *joined(apr_pool_t *p, const apr_array_header_t *conditions, const char *with)
{
    const char *text = "";
    int i;

    for (i = 0; i < conditions->nelts; i++) {
        text =
            apr_pstrcat(p, text, i ? with : "", APR_ARRAY_IDX(conditions, i, const char *), NULL);
    }
    return text;
}

/*
 * That a row is the tenant's. The setting is cast to the column's type, not the column to text, so that
 * an index can be used. Casting may make two tenants equal ('007' and '7' as integers, long names cut
 * to 63 bytes), so for any type but text the texts must be equal, too.
 */
static const char *is_tenants(apr_pool_t *p, const char *column, const attribute_t *a)
{
    const char *equal = apr_psprintf(p, "%s = current_setting('udm.ccid')::%s", column, a->cast);

    if (a->type == TYPE_TEXT || a->type == TYPE_VARCHAR) {
        return equal;
    }
    return apr_psprintf(p, "(%s AND %s::text = current_setting('udm.ccid'))", equal, column);
}

/* The conditions that the filters of the run make. */
static udm_error_t *filter_conditions(apr_array_header_t *conditions, udm_source_t *s)
{
    udm_error_t *error = NULL;
    int i;

    for (i = 0; !error && i < s->filters->nelts; i++) {
        const source_filter_t *filter = &APR_ARRAY_IDX(s->filters, i, source_filter_t);
        const char *name = filter->attribute->column;
        const char *column = apr_pstrcat(s->pool, "r.", udm_db_identifier(s->pool, name), NULL);
        const char *sql;

        error = udm_source_filter_sql(&sql, s, filter, column, find_attribute(&s->rows, name));
        if (!error) {
            add_condition(conditions, sql);
        }
    }
    return error;
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
            add_condition(conditions, apr_pstrcat(p, sql, " >= ", s->from, NULL));
        }
        if (s->to) {
            add_condition(conditions, apr_pstrcat(p, sql, " < ", s->to, NULL));
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
        add_condition(conditions, apr_psprintf(p, "%s = ANY (current_setting('udm.media')::%s[])",
                                               sql, a->cast));
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
    const attribute_t *a;
    udm_error_t *error;
    const char *sql;
    int i;

    s->columns = apr_array_make(s->pool, 32, sizeof(udm_column_t));
    error = column_sql(&sql, &a, s, &s->rows, "r", type->subtype_column);
    if (error) {
        return error;
    }
    first = sql ? apr_pstrcat(s->pool, sql, "::text", NULL) : "NULL::text";
    APR_ARRAY_PUSH(list, const char *) = first;
    error = column_sql(&sql, &a, s, &s->rows, "r", type->key_column);
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
    error = error ? error : udm_source_limit_rows(&large, s, sql, where(s->pool, conditions));
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
    const char *id, *entity, *name, *mime, *content, *tenant, *key, *subtype, *same, *that;
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
        content = apr_pstrcat(p, "convert_to(", content, "::text, 'UTF8')", NULL);
        break;
    default:
        return udm_source_lasting(
            udm_error_make(p, UDM_E_SOURCE,
                           "column \"%s\" of %s in source \"%s\" is of type %s; "
                           "content must be bytea or text",
                           content_type->name, f->shown, type->source, content_type->cast));
    }
    if (tenant_type) {
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
                         "coalesce(octet_length(%s::text), 0)::bigint"
                         " + coalesce(octet_length(%s::text), 0)"
                         " + coalesce(octet_length(%s::text), 0)"
                         " + coalesce(octet_length(%s::text), 0) > %" APR_INT64_T_FMT,
                         entity, id, name ? name : "NULL", mime ? mime : "NULL", s->max_row);

        subtype = udm_source_refusing(
            p, large, subtype ? apr_pstrcat(p, subtype, "::text", NULL) : "NULL::text");
    }
    same = key_type->type == entity_type->type ? "" : "::text";
    s->files_sql = apr_psprintf(
        p,
        "SELECT %s::text, %s::text, %s::text, %s::text, %s::text, octet_length(%s)::text, "
        "CASE WHEN octet_length(%s) <= %d THEN %s END, %s "
        "FROM %s a JOIN %s r ON %s%s = %s%s%s",
        subtype ? subtype : "NULL", entity, id, name, mime, content, content, UDM_SOURCE_SLICE,
        content, places ? "a.tableoid::text, a.ctid::text" : "NULL::text, NULL::text", f->sql,
        s->rows.sql, entity, same, key, same, where(p, conditions));
    /* The values are compared as they came out, too: equal to a collation is not the same. */
    that = places ? "a.ctid = $2::tid AND a.tableoid = $1::oid"
                  : apr_psprintf(p,
                                 "%s = $1::text::%s AND %s = $2::text::%s"
                                 " AND %s::text COLLATE \"C\" = $1::text"
                                 " AND %s::text COLLATE \"C\" = $2::text",
                                 entity, entity_type->cast, id, id_type->cast, entity, id);
    that = apr_pstrcat(p, " FROM ", f->sql, " a WHERE ", that, " AND octet_length(", content,
                       ") = $3::integer", tenant ? " AND " : "", tenant ? tenant : "", NULL);
    s->slice_sql =
        apr_pstrcat(p, "SELECT substring(", content, " FROM $4::integer FOR $5::integer)", that,
                    " LIMIT $6::bigint", NULL);
    s->twins_sql =
        places ? NULL : apr_pstrcat(p, "SELECT count(DISTINCT md5(", content, "))", that, NULL);
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
    *literal = udm_db_array(s->pool, values);
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
