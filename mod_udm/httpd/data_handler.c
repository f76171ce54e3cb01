/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * data_handler.c: /version, /resources/labels, and the catalog below /data.
 */
#include <httpd.h>

#include <jansson.h>

#include "core/filter.h"
#include "core/job.h"
#include "core/run.h"
#include "db/catalog.h"
#include "httpd/dbd.h"
#include "httpd/handler.h"

/* A packager may say which build this is. */
#ifndef UDM_BUILD_NUMBER
#define UDM_BUILD_NUMBER "0"
#endif
#ifndef UDM_CHANGESET
#define UDM_CHANGESET ""
#endif

int udm_handle_version(request_rec *r, udm_request_t *q)
{
    return udm_respond_json(r, HTTP_OK,
                            json_pack("{s:s, s:s, s:s, s:s}", "version", UDM_VERSION, "buildNumber",
                                      UDM_BUILD_NUMBER, "changeset", UDM_CHANGESET, "name",
                                      "mod_udm"));
}

int udm_handle_status_list(request_rec *r, udm_request_t *q)
{
    const udm_label_t *status;
    json_t *list = json_array();

    for (status = udm_status_labels(); status->value; status++) {
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "label", status->label, "value", status->value));
    }
    return udm_respond_json(r, HTTP_OK, list);
}

/* What is read of the catalog for one answer. */
typedef struct catalog_read_t {
    request_rec *r;
    const udm_principal_t *who;
    const char *source;
    const char *type;
    const apr_array_header_t *entities;
    apr_array_header_t *rows;
    udm_labels_t labels;
} catalog_read_t;

static udm_error_t *read_labels(udm_pg_t *db, void *baton)
{
    catalog_read_t *read = baton;

    return udm_catalog_labels(&read->labels, read->r->pool, db, read->who);
}

/* {value: label} of an array of udm_value_t; NULL is an empty one. */
static json_t *label_object(const apr_array_header_t *values)
{
    json_t *object = json_object();
    int i;

    for (i = 0; values && i < values->nelts; i++) {
        const udm_value_t *value = &APR_ARRAY_IDX(values, i, udm_value_t);

        json_object_set_new(object, value->value, json_string(value->label));
    }
    return object;
}

/* The words of this program alone are for everybody; those of the catalog go by rights. */
int udm_handle_labels(request_rec *r, udm_request_t *q)
{
    catalog_read_t read = {.r = r, .who = q->who};
    udm_error_t *error = q->who ? udm_dbd_with(r, true, read_labels, &read) : NULL;
    const udm_label_t *status;
    json_t *statuses;

    if (error) {
        return udm_respond_error(r, error);
    }
    statuses = json_object();
    for (status = udm_status_labels(); status->value; status++) {
        json_object_set_new(statuses, status->value, json_string(status->label));
    }
    return udm_respond_json(r, HTTP_OK,
                            json_pack("{s:o, s:o, s:o, s:o, s:{s:s, s:s, s:s}}", "statuses",
                                      statuses, "types", label_object(read.labels.types), "sources",
                                      label_object(read.labels.sources), "media",
                                      label_object(read.labels.media), "scheduleTypes",
                                      udm_schedule_type_name(UDM_SCHEDULE_NOW), "Immediately",
                                      udm_schedule_type_name(UDM_SCHEDULE_ONCE), "Once",
                                      udm_schedule_type_name(UDM_SCHEDULE_RECURRING), "Recurring"));
}

static udm_error_t *read_sources(udm_pg_t *db, void *baton)
{
    catalog_read_t *read = baton;

    return udm_catalog_sources(&read->rows, read->r->pool, db, read->who);
}

static udm_error_t *read_types(udm_pg_t *db, void *baton)
{
    catalog_read_t *read = baton;

    return udm_catalog_types(&read->rows, read->r->pool, db, read->who, read->source);
}

/* Answers with a list that the API reference answers 204 for when there is nothing in it. */
static int respond_some(request_rec *r, json_t *list)
{
    if (json_array_size(list) > 0) {
        return udm_respond_json(r, HTTP_OK, list);
    }
    json_decref(list);
    return udm_respond_empty(r, HTTP_NO_CONTENT);
}

int udm_handle_source_list(request_rec *r, udm_request_t *q)
{
    catalog_read_t read = {.r = r, .who = q->who};
    udm_error_t *error = udm_dbd_with(r, true, read_sources, &read);
    json_t *list;
    int i;

    if (error) {
        return udm_respond_error(r, error);
    }
    list = json_array();
    for (i = 0; i < read.rows->nelts; i++) {
        const udm_value_t *source = &APR_ARRAY_IDX(read.rows, i, udm_value_t);

        json_array_append_new(
            list, json_pack("{s:s, s:s}", "label", source->label, "value", source->value));
    }
    return respond_some(r, list);
}

int udm_handle_type_list(request_rec *r, udm_request_t *q)
{
    static const char *const known[] = {"source", NULL};
    catalog_read_t read = {.r = r, .who = q->who};
    apr_table_t *query;
    udm_error_t *error = udm_handler_query(&query, r, known);
    json_t *list;
    int i;

    if (!error) {
        error = udm_handler_parameter(&read.source, r, query, "source");
    }
    if (!error) {
        error = udm_dbd_with(r, true, read_types, &read);
    }
    if (error) {
        return udm_respond_error(r, error);
    }
    list = json_array();
    for (i = 0; i < read.rows->nelts; i++) {
        const udm_type_name_t *type = &APR_ARRAY_IDX(read.rows, i, udm_type_name_t);

        json_array_append_new(list,
                              json_pack("{s:s, s:s}", "name", type->name, "source", type->source));
    }
    return respond_some(r, list);
}

static udm_error_t *read_sub_types(udm_pg_t *db, void *baton)
{
    catalog_read_t *read = baton;

    return udm_catalog_sub_types(&read->rows, read->r->pool, db, read->who, read->source,
                                 read->type);
}

int udm_handle_sub_type_list(request_rec *r, udm_request_t *q)
{
    static const char *const known[] = {"source", "dataType", NULL};
    catalog_read_t read = {.r = r, .who = q->who};
    apr_table_t *query;
    udm_error_t *error = udm_handler_query(&query, r, known);
    json_t *list;
    int i;

    if (!error) {
        error = udm_handler_parameter(&read.source, r, query, "source");
    }
    if (!error) {
        error = udm_handler_parameter(&read.type, r, query, "dataType");
    }
    if (!error) {
        error = udm_dbd_with(r, true, read_sub_types, &read);
    }
    if (error) {
        return udm_respond_error(r, error);
    }
    list = json_array();
    for (i = 0; i < read.rows->nelts; i++) {
        const udm_sub_type_t *sub_type = &APR_ARRAY_IDX(read.rows, i, udm_sub_type_t);

        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:s, s:b}", "name", sub_type->name,
                                        "displayName", sub_type->label, "source", sub_type->source,
                                        "dataType", sub_type->type, "enabled", sub_type->enabled));
    }
    return respond_some(r, list);
}

static udm_error_t *read_attributes(udm_pg_t *db, void *baton)
{
    catalog_read_t *read = baton;

    return udm_catalog_attributes(&read->rows, read->r->pool, db, read->who, read->entities);
}

int udm_handle_attribute_list(request_rec *r, udm_request_t *q)
{
    static const char *const known[] = {"entities", NULL};
    catalog_read_t read = {.r = r, .who = q->who};
    apr_table_t *query;
    udm_error_t *error = udm_handler_query(&query, r, known);
    json_t *list;
    int i;

    if (!error) {
        apr_array_header_t *entities = udm_handler_items(r, query, "entities");

        read.entities = entities->nelts > 0 ? entities : NULL;
        error = udm_dbd_with(r, true, read_attributes, &read);
    }
    if (error) {
        return udm_respond_error(r, error);
    }
    list = json_array();
    for (i = 0; i < read.rows->nelts; i++) {
        const udm_attribute_t *attribute = &APR_ARRAY_IDX(read.rows, i, udm_attribute_t);

        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "name", attribute->name,
                                              "displayName", attribute->label, "type",
                                              udm_attribute_kind_name(attribute->kind), "entity",
                                              attribute->entity));
    }
    return udm_respond_json(r, HTTP_OK, list);
}
