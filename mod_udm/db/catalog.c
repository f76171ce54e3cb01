/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog.c: reads sources and data types out of the catalog.
 */
#include "db/catalog.h"

#include <string.h>

#include <apr_strings.h>
#include <jansson.h>

#include "db/row.h"

/* A name beats an alias, should an alias be like another source's name. */
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
    " FROM udm.media v WHERE v.source = t.source AND v.type = t.name)::text"
    " FROM udm.source s JOIN udm.data_type t ON t.source = s.name"
    " WHERE (s.name = $1 OR s.alias = $1) AND t.name = $2 ORDER BY s.name = $1 DESC LIMIT 1"};

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

/* NULL stays NULL: there it means something else than an empty array. */
static apr_array_header_t *read_names(apr_pool_t *p, const udm_result_t *row, int column)
{
    return udm_result_text(row, 0, column) ? udm_result_array(p, row, 0, column) : NULL;
}

udm_error_t *udm_catalog_type(udm_data_type_t **type, apr_pool_t *p, udm_db_t *db,
                              const char *source, const char *name)
{
    const char *values[2] = {source, name};
    udm_data_type_t *found;
    udm_result_t *row;
    udm_error_t *error;
    int c = 0;

    *type = NULL;
    error = udm_db_query(&row, p, db, &type_select, 2, values);
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
    *type = found;
    return NULL;
}

static const udm_statement_t sources_select = {
    "udm_catalog_sources",
    "SELECT name, label FROM udm.source WHERE name = ANY ($1::text[]) ORDER BY name"};

udm_error_t *udm_catalog_sources(apr_array_header_t **sources, apr_pool_t *p, udm_db_t *db,
                                 const udm_principal_t *who)
{
    const char *names;
    const char *types;
    udm_result_t *rows;
    udm_error_t *error;
    int i;

    *sources = apr_array_make(p, 4, sizeof(udm_value_t));
    udm_row_rights(&names, &types, p, who, false);
    error = udm_db_query(&rows, p, db, &sources_select, 1, &names);
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
    " WHERE (t.source, t.name) IN (SELECT * FROM unnest($1::text[], $2::text[]))"
    " AND ($3::text IS NULL OR s.name = $3 OR s.alias = $3) ORDER BY t.source, t.name"};

udm_error_t *udm_catalog_types(apr_array_header_t **types, apr_pool_t *p, udm_db_t *db,
                               const udm_principal_t *who, const char *source)
{
    const char *values[3] = {NULL, NULL, source};
    udm_result_t *rows;
    udm_error_t *error;
    int i;

    *types = apr_array_make(p, 8, sizeof(udm_type_name_t));
    udm_row_rights(&values[0], &values[1], p, who, false);
    error = udm_db_query(&rows, p, db, &types_select, 3, values);
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
