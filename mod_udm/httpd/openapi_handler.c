/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * openapi_handler.c: GET <mount>/openapi.json: the description of the API, as it is here.
 */
#include <httpd.h>

#include "core/openapi.h"
#include "httpd/handler.h"

int udm_handle_openapi(request_rec *r, udm_request_t *q)
{
    json_t *document;
    udm_error_t *error =
        udm_openapi_document(&document, r->pool, udm_config_versions(q->dir),
                             udm_config_wrapped(q->dir), udm_handler_base_url(r, q));

    return error ? udm_respond_error(r, error) : udm_respond_document(r, document);
}
