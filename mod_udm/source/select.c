/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * select.c: from a catalog entry to the statements that read rows and attachments. Every identifier passes
 * through udm_pg_identifier; every value is read with current_setting(), but for the bounds of the window:
 * those are constants, as PostgreSQL itself wrote them, for it works a setting out anew for each row and
 * plans as if that were dear.
 */
#include <string.h>

#include <apr_strings.h>

#include "core/text.h"
#include "source/private.h"
#include "source/type.h"

/* "alias"."name", after making sure that the column is there. `name` may be NULL: then no column. */
static udm_error_t *column_sql(const char **sql, const attribute_t **attribute, udm_source_t *s,
                               const relation_t *relation, const char *alias, const char *name)
{
    const attribute_t *a = name ? udm_source_attribute(relation, name) : NULL;

    *sql = NULL;
    *attribute = a;
    if (name && !a) {
        return udm_source_no_column(s, relation, name);
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

        error =
            udm_source_filter_sql(&sql, s, filter, column, udm_source_attribute(&s->rows, name));
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
    error = udm_pg_query_text(
        &result, s->pool, s->db,
        apr_psprintf(s->pool, "SELECT (" UDM_SOURCE_CCID "::%s) IS NULL", a->cast), 0, NULL);
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
        add_condition(conditions, udm_source_is_tenants(p, sql, a));
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
        add_condition(conditions, udm_source_is_of_media(p, sql, a));
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

            a = udm_source_attribute(&s->rows, name);
            if (!a) {
                return udm_source_no_column(s, &s->rows, name);
            }
            udm_source_add_column(s, list, a);
        }
    }
    else {
        for (i = 0; i < s->rows.attributes->nelts; i++) {
            udm_source_add_column(s, list, &APR_ARRAY_IDX(s->rows.attributes, i, attribute_t));
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
        tenant = udm_source_is_tenants(p, tenant, tenant_type);
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
        s->rows.sql, udm_source_hangs_on(p, entity, entity_type, key, key_type),
        where(p, conditions));
    that = places ? "a.ctid OPERATOR(pg_catalog.=) $2::tid"
                    " AND a.tableoid OPERATOR(pg_catalog.=) $1::oid"
                  : apr_pstrcat(p, udm_source_has_value(p, entity, entity_type, "$1::text"),
                                " AND ", udm_source_has_value(p, id, id_type, "$2::text"), NULL);
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

    error = udm_source_load_relation(&s->rows, s, type->relation_schema, type->relation_name);
    error = error ? error : make_rows_sql(s);
    if (!error && files) {
        error = udm_source_load_relation(&s->files, s, type->attachment_schema,
                                         type->attachment_relation);
        error = error ? error : make_files_sql(s);
    }
    return error;
}
