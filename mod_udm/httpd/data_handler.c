/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * data_handler.c: /version, /data/sources, /data/types.
 */
#include <httpd.h>
#include <http_protocol.h>

#include <jansson.h>

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

/* What is read of the catalog for one answer. */
typedef struct catalog_read_t {
    request_rec *r;
    const udm_principal_t *who;
    const char *source;
    apr_array_header_t *rows;
} catalog_read_t;

static udm_error_t *read_sources(udm_db_t *db, void *baton)
{
    catalog_read_t *read = baton;

    return udm_catalog_sources(&read->rows, read->r->pool, db, read->who);
}

static udm_error_t *read_types(udm_db_t *db, void *baton)
{
    catalog_read_t *read = baton;

    return udm_catalog_types(&read->rows, read->r->pool, db, read->who, read->source);
}

int udm_handle_source_list(request_rec *r, udm_request_t *q)
{
    catalog_read_t read = {r, q->who, NULL, NULL};
    udm_error_t *error = udm_dbd_with(r, true, read_sources, &read);
    json_t *list;
    int i;

    if (error) {
        return udm_respond_error(r, error);
    }
    if (read.rows->nelts == 0) {
        return udm_respond_empty(r, HTTP_NO_CONTENT);
    }
    list = json_array();
    for (i = 0; i < read.rows->nelts; i++) {
        const udm_value_t *source = &APR_ARRAY_IDX(read.rows, i, udm_value_t);

        json_array_append_new(
            list, json_pack("{s:s, s:s}", "label", source->label, "value", source->value));
    }
    return udm_respond_json(r, HTTP_OK, list);
}

int udm_handle_type_list(request_rec *r, udm_request_t *q)
{
    catalog_read_t read = {r, q->who, NULL, NULL};
    apr_table_t *query;
    udm_error_t *error = udm_handler_query(&query, r);
    json_t *list;
    int i;

    if (!error) {
        read.source = apr_table_get(query, "source");
        if (read.source && !*read.source) {
            read.source = NULL;
        }
        error = udm_dbd_with(r, true, read_types, &read);
    }
    if (error) {
        return udm_respond_error(r, error);
    }
    if (read.rows->nelts == 0) {
        return udm_respond_empty(r, HTTP_NO_CONTENT);
    }
    list = json_array();
    for (i = 0; i < read.rows->nelts; i++) {
        const udm_type_name_t *type = &APR_ARRAY_IDX(read.rows, i, udm_type_name_t);

        json_array_append_new(list,
                              json_pack("{s:s, s:s}", "name", type->name, "source", type->source));
    }
    return udm_respond_json(r, HTTP_OK, list);
}
