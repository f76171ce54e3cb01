/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog.c: reads sources, data types and what belongs to them out of the catalog.
 */
#include "db/catalog.h"

#include <string.h>

#include <apr_strings.h>
#include <jansson.h>

#include "db/row.h"

/* That data type `t` is one of the pairs in $1 and $2, which
 * udm_row_rights_registered makes. */
#define VISIBLE "(t.source, t.name) IN (SELECT * FROM unnest($1::text[], $2::text[]))"

/* A name beats an alias, should an alias be like another source's name. */
/* clang-format off */
static const udm_statement_t type_select = {
    "udm_catalog_type",
    "SELECT s.name, s.label, s.family, s.layout = 'records', s.connection, t.name, t.label,"
    " t.relation_schema, t.relation_name, t.tenant_column, to_json(t.tenants)::text, t.key_column,"
    " t.time_column, t.subtype_column, t.media_column, to_json(t.columns)::text,"
    " t.attachment_schema, t.attachment_relation, t.attachment_tenant_column,"
    " t.attachment_id_column, t.attachment_entity_column, t.attachment_name_column,"
    " t.attachment_mime_column, t.attachment_content_column,"
    " (SELECT json_agg(json_build_array(v.value, v.name, v.label) ORDER BY v.name)"
    " FROM udm.sub_type v WHERE v.source = t.source AND v.type = t.name)::text,"
    " (SELECT json_agg(json_build_array(v.value, v.name, v.label) ORDER BY v.name)"
    " FROM udm.media v WHERE v.source = t.source AND v.type = t.name)::text,"
    " (SELECT json_agg(json_build_array(a.name, a.column_name, a.label, a.kind) ORDER BY a.name)"
    " FROM udm.attribute a WHERE a.source = t.source AND a.type = t.name)::text,"
    " t.row_security, to_json(t.search_path)::text, t.moving_window,"
    " t.attachments_removed_at IS NOT NULL"
    " FROM udm.source s JOIN udm.data_type t ON t.source = s.name"
    " WHERE (s.name = $1 OR s.alias = $1) AND t.name = $2 ORDER BY s.name = $1 DESC LIMIT 1"};
/* clang-format on */

/* Reads json_agg([value, name, label], ...); NULL is the empty array. */
static apr_array_header_t *read_values(apr_pool_t *p, const char *text)
{
    apr_array_header_t *values = apr_array_make(p, 8, sizeof(udm_value_t));
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;
    json_t *item;
    size_t i;

    json_array_foreach(json, i, item)
    {
        udm_value_t *value = apr_array_push(values);

        value->value = apr_pstrdup(p, json_string_value(json_array_get(item, 0)));
        value->name = apr_pstrdup(p, json_string_value(json_array_get(item, 1)));
        value->label = apr_pstrdup(p, json_string_value(json_array_get(item, 2)));
    }
    json_decref(json);
    return values;
}

static udm_error_t *unknown_kind(apr_pool_t *p, const char *attribute, const char *kind)
{
    return udm_error_make(p, UDM_E_INTERNAL,
                          "attribute \"%s\" in the catalog is of kind \"%s\", which this version "
                          "does not know",
                          attribute, kind ? kind : "");
}

/* Reads json_agg([name, column, label, kind], ...). */
static udm_error_t *read_attributes(apr_array_header_t **attributes, apr_pool_t *p,
                                    const char *text)
{
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;
    udm_error_t *error = NULL;
    json_t *item;
    size_t i;

    *attributes = apr_array_make(p, 8, sizeof(udm_attribute_t));
    json_array_foreach(json, i, item)
    {
        const char *kind = json_string_value(json_array_get(item, 3));
        udm_attribute_t *attribute = apr_array_push(*attributes);

        attribute->name = apr_pstrdup(p, json_string_value(json_array_get(item, 0)));
        attribute->column = apr_pstrdup(p, json_string_value(json_array_get(item, 1)));
        attribute->label = apr_pstrdup(p, json_string_value(json_array_get(item, 2)));
        attribute->entity = NULL;
        if (!error && (!kind || !udm_attribute_kind_parse(&attribute->kind, kind))) {
            error = unknown_kind(p, attribute->name, kind);
        }
    }
    json_decref(json);
    return error;
}

/* NULL stays NULL: there it means something else than an empty array. */
static apr_array_header_t *read_names(apr_pool_t *p, const udm_result_t *row, int column)
{
    return udm_result_text(row, 0, column) ? udm_result_array(p, row, 0, column) : NULL;
}

udm_error_t *udm_catalog_type(udm_data_type_t **type, apr_pool_t *p, udm_pg_t *db,
                              const char *source, const char *name)
{
    const char *values[2] = {source, name};
    udm_data_type_t *found;
    udm_result_t *row;
    udm_error_t *error;
    int c = 0;

    *type = NULL;
    error = udm_pg_query(&row, p, db, &type_select, 2, values);
    if (error) {
        return error;
    }
    if (row->rows == 0) {
        return udm_error_make(p, UDM_E_NOT_FOUND, "there is no data type \"%s\" in source \"%s\"",
                              name, source);
    }
    found = apr_pcalloc(p, sizeof(*found));
    found->source = udm_result_text(row, 0, c++);
    found->source_label = udm_result_text(row, 0, c++);
    found->family = udm_result_text(row, 0, c++);
    found->records = udm_result_bool(row, 0, c++);
    found->connection = udm_result_text(row, 0, c++);
    found->name = udm_result_text(row, 0, c++);
    found->label = udm_result_text(row, 0, c++);
    found->relation_schema = udm_result_text(row, 0, c++);
    found->relation_name = udm_result_text(row, 0, c++);
    found->tenant_column = udm_result_text(row, 0, c++);
    found->tenants = read_names(p, row, c++);
    found->key_column = udm_result_text(row, 0, c++);
    found->time_column = udm_result_text(row, 0, c++);
    found->subtype_column = udm_result_text(row, 0, c++);
    found->media_column = udm_result_text(row, 0, c++);
    found->columns = read_names(p, row, c++);
    found->attachment_schema = udm_result_text(row, 0, c++);
    found->attachment_relation = udm_result_text(row, 0, c++);
    found->attachment_tenant_column = udm_result_text(row, 0, c++);
    found->attachment_id_column = udm_result_text(row, 0, c++);
    found->attachment_entity_column = udm_result_text(row, 0, c++);
    found->attachment_name_column = udm_result_text(row, 0, c++);
    found->attachment_mime_column = udm_result_text(row, 0, c++);
    found->attachment_content_column = udm_result_text(row, 0, c++);
    found->sub_types = read_values(p, udm_result_text(row, 0, c++));
    found->media = read_values(p, udm_result_text(row, 0, c++));
    error = read_attributes(&found->attributes, p, udm_result_text(row, 0, c++));
    found->row_security = udm_result_bool(row, 0, c++);
    found->search_path = read_names(p, row, c++);
    found->moving_window = udm_result_bool(row, 0, c++);
    found->attachments_removed = udm_result_bool(row, 0, c++);
    if (!error) {
        *type = found;
    }
    return error;
}

/* A name beats an alias here, too. */
/* clang-format off */
static const udm_statement_t all_of_select = {
    "udm_catalog_all_of",
    "SELECT (SELECT s.name FROM udm.source s WHERE s.name = $1 OR s.alias = $1"
    "  ORDER BY s.name = $1 DESC LIMIT 1),"
    " (SELECT to_json(coalesce(array_agg(s.name ORDER BY s.name), '{}'))::text FROM udm.source s),"
    " (SELECT to_json(coalesce(array_agg(t.name ORDER BY t.name), '{}'))::text FROM udm.data_type t"
    "   WHERE t.source = (SELECT s.name FROM udm.source s WHERE s.name = $1 OR s.alias = $1"
    "                      ORDER BY s.name = $1 DESC LIMIT 1)),"
    " (SELECT to_json(coalesce(array_agg(c.ccid ORDER BY c.ccid), '{}'))::text FROM udm.tenant c)"};
/* clang-format on */

udm_error_t *udm_catalog_all_of(const char **canonical, apr_array_header_t **types,
                                apr_array_header_t **centres, apr_pool_t *p, udm_pg_t *db,
                                const char *source)
{
    udm_result_t *row;
    udm_error_t *error = udm_pg_query(&row, p, db, &all_of_select, 1, &source);

    if (error) {
        return error;
    }
    *canonical = udm_result_text(row, 0, 0);
    if (!*canonical) {
        apr_array_header_t *names = udm_result_array(p, row, 0, 1);

        return udm_error_make(p, UDM_E_NOT_FOUND, "there is no source \"%s\"; there %s%s", source,
                              names->nelts ? "are: " : "is none", apr_array_pstrcat(p, names, ','));
    }
    *types = udm_result_array(p, row, 0, 2);
    *centres = udm_result_array(p, row, 0, 3);
    return NULL;
}

static const udm_statement_t sources_select = {
    "udm_catalog_sources",
    "SELECT name, label FROM udm.source WHERE name = ANY ($1::text[]) ORDER BY name"};

udm_error_t *udm_catalog_sources(apr_array_header_t **sources, apr_pool_t *p, udm_pg_t *db,
                                 const udm_principal_t *who)
{
    const char *names;
    const char *types;
    udm_result_t *rows;
    udm_error_t *error;
    int i;

    *sources = apr_array_make(p, 4, sizeof(udm_value_t));
    udm_row_rights_registered(&names, &types, p, who);
    error = udm_pg_query(&rows, p, db, &sources_select, 1, &names);
    if (error) {
        return error;
    }
    for (i = 0; i < rows->rows; i++) {
        udm_value_t *value = apr_array_push(*sources);

        value->value = value->name = udm_result_text(rows, i, 0);
        value->label = udm_result_text(rows, i, 1);
    }
    return NULL;
}

static const udm_statement_t types_select = {
    "udm_catalog_types",
    "SELECT t.name, t.source FROM udm.data_type t JOIN udm.source s ON s.name = t.source"
    " WHERE " VISIBLE
    " AND ($3::text IS NULL OR s.name = $3 OR s.alias = $3) ORDER BY t.source, t.name"};

udm_error_t *udm_catalog_types(apr_array_header_t **types, apr_pool_t *p, udm_pg_t *db,
                               const udm_principal_t *who, const char *source)
{
    const char *values[3] = {NULL, NULL, source};
    udm_result_t *rows;
    udm_error_t *error;
    int i;

    *types = apr_array_make(p, 8, sizeof(udm_type_name_t));
    udm_row_rights_registered(&values[0], &values[1], p, who);
    error = udm_pg_query(&rows, p, db, &types_select, 3, values);
    if (error) {
        return error;
    }
    for (i = 0; i < rows->rows; i++) {
        udm_type_name_t *type = apr_array_push(*types);

        type->name = udm_result_text(rows, i, 0);
        type->source = udm_result_text(rows, i, 1);
    }
    return NULL;
}

/* ---- sub-types ---- */

/* Every visible type, so that what is asked for can be told from what is not there. */
/* clang-format off */
static const udm_statement_t sub_types_select = {
    "udm_catalog_sub_types",
    "SELECT t.source, s.alias, t.name,"
    " (SELECT json_agg(json_build_array(v.name, v.label, v.enabled) ORDER BY v.name)"
    " FROM udm.sub_type v WHERE v.source = t.source AND v.type = t.name)::text"
    " FROM udm.data_type t JOIN udm.source s ON s.name = t.source"
    " WHERE " VISIBLE " ORDER BY t.source, t.name"};
/* clang-format on */

/* What is asked for is not repeated: the same words for what is unknown and what is not visible. */
static udm_error_t *not_among(apr_pool_t *p, const char *parameter, const apr_array_header_t *names)
{
    const char *words = "none";
    int i;

    for (i = 0; i < names->nelts; i++) {
        words = apr_pstrcat(p, i ? words : "", i ? ", " : "", APR_ARRAY_IDX(names, i, const char *),
                            NULL);
    }
    return udm_error_make(p, UDM_E_INVALID, "the parameter %s must be one of: %s", parameter,
                          words);
}

/* Adds a name that is not there yet. */
static void push_once(apr_array_header_t *names, const char *name)
{
    int i;

    for (i = 0; i < names->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(names, i, const char *), name) == 0) {
            return;
        }
    }
    APR_ARRAY_PUSH(names, const char *) = name;
}

/* The canonical name of a source that is asked for by name or, failing that, by alias. */
static udm_error_t *visible_source(const char **found, apr_pool_t *p, const udm_result_t *rows,
                                   const char *asked)
{
    apr_array_header_t *names = apr_array_make(p, 4, sizeof(const char *));
    const char *by_alias = NULL;
    int i;

    *found = NULL;
    for (i = 0; i < rows->rows; i++) {
        const char *name = udm_result_text(rows, i, 0);
        const char *alias = udm_result_text(rows, i, 1);

        push_once(names, name);
        if (strcmp(name, asked) == 0) {
            *found = name;
        }
        if (alias && strcmp(alias, asked) == 0) {
            by_alias = name;
        }
    }
    *found = *found ? *found : by_alias;
    return *found ? NULL : not_among(p, "source", names);
}

/* Whether a row is of the source and type; NULL is any. */
static bool is_of(const udm_result_t *rows, int row, const char *source, const char *type)
{
    return (!source || strcmp(udm_result_text(rows, row, 0), source) == 0) &&
           (!type || strcmp(udm_result_text(rows, row, 2), type) == 0);
}

static udm_error_t *check_type(apr_pool_t *p, const udm_result_t *rows, const char *source,
                               const char *asked)
{
    apr_array_header_t *names = apr_array_make(p, 8, sizeof(const char *));
    int i;

    for (i = 0; i < rows->rows; i++) {
        if (is_of(rows, i, source, asked)) {
            return NULL;
        }
        if (is_of(rows, i, source, NULL)) {
            push_once(names, udm_result_text(rows, i, 2));
        }
    }
    return not_among(p, "dataType", names);
}

/* Reads json_agg([name, label, enabled], ...) of one type. */
static void add_sub_types(apr_array_header_t *sub_types, apr_pool_t *p, const udm_result_t *rows,
                          int row)
{
    const char *text = udm_result_text(rows, row, 3);
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;
    json_t *item;
    size_t i;

    json_array_foreach(json, i, item)
    {
        udm_sub_type_t *sub_type = apr_array_push(sub_types);

        sub_type->name = apr_pstrdup(p, json_string_value(json_array_get(item, 0)));
        sub_type->label = apr_pstrdup(p, json_string_value(json_array_get(item, 1)));
        sub_type->enabled = json_is_true(json_array_get(item, 2));
        sub_type->source = udm_result_text(rows, row, 0);
        sub_type->type = udm_result_text(rows, row, 2);
    }
    json_decref(json);
}

udm_error_t *udm_catalog_sub_types(apr_array_header_t **sub_types, apr_pool_t *p, udm_pg_t *db,
                                   const udm_principal_t *who, const char *source, const char *type)
{
    const char *values[2];
    udm_result_t *rows;
    udm_error_t *error;
    int i;

    *sub_types = apr_array_make(p, 8, sizeof(udm_sub_type_t));
    udm_row_rights_registered(&values[0], &values[1], p, who);
    error = udm_pg_query(&rows, p, db, &sub_types_select, 2, values);
    if (!error && source) {
        error = visible_source(&source, p, rows, source);
    }
    if (!error && type) {
        error = check_type(p, rows, source, type);
    }
    for (i = 0; !error && i < rows->rows; i++) {
        if (is_of(rows, i, source, type)) {
            add_sub_types(*sub_types, p, rows, i);
        }
    }
    return error;
}

/* ---- attributes ---- */

/*
 * The same attribute of one entity may be in several sources: the first by name stands for all.
 * Without entities, the types themselves are asked for.
 */
/* clang-format off */
static const udm_statement_t attributes_select = {
    "udm_catalog_attributes",
    "WITH type AS (SELECT t.source, t.name FROM udm.data_type t WHERE " VISIBLE "),"
    " asked AS ("
    "  SELECT e.entity, min(e.place) AS place"
    "    FROM unnest($3::text[]) WITH ORDINALITY AS e (entity, place) GROUP BY e.entity"
    "  UNION ALL"
    "  SELECT DISTINCT t.name, 0::bigint FROM type t WHERE $3::text[] IS NULL)"
    " SELECT DISTINCT ON (k.place, k.entity, a.name) a.name, a.label, a.kind, k.entity"
    "   FROM asked k"
    "   JOIN type t ON t.name = k.entity"
    "               OR EXISTS (SELECT FROM udm.sub_type v WHERE v.source = t.source"
    "                             AND v.type = t.name AND v.name = k.entity)"
    "   JOIN udm.attribute a ON a.source = t.source AND a.type = t.name"
    "  ORDER BY k.place, k.entity, a.name, t.source, t.name"};
/* clang-format on */

udm_error_t *udm_catalog_attributes(apr_array_header_t **attributes, apr_pool_t *p, udm_pg_t *db,
                                    const udm_principal_t *who, const apr_array_header_t *entities)
{
    const char *values[3];
    udm_result_t *rows;
    udm_error_t *error;
    int i;

    *attributes = apr_array_make(p, 16, sizeof(udm_attribute_t));
    udm_row_rights_registered(&values[0], &values[1], p, who);
    values[2] = entities ? udm_pg_array(p, entities) : NULL;
    error = udm_pg_query(&rows, p, db, &attributes_select, 3, values);
    for (i = 0; !error && i < rows->rows; i++) {
        const char *kind = udm_result_text(rows, i, 2);
        udm_attribute_t *attribute = apr_array_push(*attributes);

        attribute->name = udm_result_text(rows, i, 0);
        attribute->column = NULL;
        attribute->label = udm_result_text(rows, i, 1);
        attribute->entity = udm_result_text(rows, i, 3);
        if (!udm_attribute_kind_parse(&attribute->kind, kind)) {
            error = unknown_kind(p, attribute->name, kind);
        }
    }
    return error;
}

/* ---- labels ---- */

/* A name that several sources use has the label of the first of them. */
/* clang-format off */
static const udm_statement_t labels_select = {
    "udm_catalog_labels",
    "WITH type AS (SELECT * FROM udm.data_type t WHERE " VISIBLE ")"
    " SELECT * FROM ("
    "  (SELECT DISTINCT ON (t.name) 'type', t.name, t.label FROM type t ORDER BY t.name, t.source)"
    "  UNION ALL"
    "  SELECT 'source', s.name, s.label FROM udm.source s"
    "   WHERE s.name IN (SELECT t.source FROM type t)"
    "  UNION ALL"
    "  (SELECT DISTINCT ON (m.name) 'media', m.name, m.label"
    "     FROM type t JOIN udm.media m ON m.source = t.source AND m.type = t.name"
    "    ORDER BY m.name, t.source, t.name)) AS x (what, name, label)"
    " ORDER BY what, name"};
/* clang-format on */

udm_error_t *udm_catalog_labels(udm_labels_t *labels, apr_pool_t *p, udm_pg_t *db,
                                const udm_principal_t *who)
{
    const char *values[2];
    udm_result_t *rows;
    udm_error_t *error;
    int i;

    labels->types = apr_array_make(p, 8, sizeof(udm_value_t));
    labels->sources = apr_array_make(p, 4, sizeof(udm_value_t));
    labels->media = apr_array_make(p, 32, sizeof(udm_value_t));
    udm_row_rights_registered(&values[0], &values[1], p, who);
    error = udm_pg_query(&rows, p, db, &labels_select, 2, values);
    for (i = 0; !error && i < rows->rows; i++) {
        const char *what = udm_result_text(rows, i, 0);
        udm_value_t *value = apr_array_push(*what == 't'   ? labels->types
                                            : *what == 's' ? labels->sources
                                                           : labels->media);

        value->value = value->name = udm_result_text(rows, i, 1);
        value->label = udm_result_text(rows, i, 2);
    }
    return error;
}
