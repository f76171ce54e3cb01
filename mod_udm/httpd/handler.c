/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * handler.c: from a request to the function that answers it.
 */
#include <string.h>

#include <httpd.h>
#include <http_core.h>
#include <http_protocol.h>

#include <apr_strings.h>

#include "core/listing.h"
#include "core/text.h"
#include "httpd/auth.h"
#include "httpd/handler.h"

/* Which function answers which operation, and whether it answers in JSON. */
static const struct {
    udm_handler_fn handle;
    bool json;
} handlers[UDM_OP_COUNT] = {
    [UDM_OP_VERSION] = {udm_handle_version, true},
    [UDM_OP_CERTIFICATE_GET] = {udm_handle_certificate_get, true},
    [UDM_OP_CERTIFICATE_UPLOAD] = {udm_handle_certificate_upload, true},
    [UDM_OP_SOURCE_LIST] = {udm_handle_source_list, true},
    [UDM_OP_TYPE_LIST] = {udm_handle_type_list, true},
    [UDM_OP_JOB_CREATE] = {udm_handle_job_create, true},
    [UDM_OP_JOB_LIST] = {udm_handle_job_list, true},
    [UDM_OP_JOB_GET] = {udm_handle_job_get, true},
    [UDM_OP_RUN_LIST] = {udm_handle_run_list, true},
    [UDM_OP_RUN_GET] = {udm_handle_run_get, true},
    [UDM_OP_RUN_PROGRESS] = {udm_handle_run_progress, true},
    [UDM_OP_FILE_LIST] = {udm_handle_file_list, true},
    [UDM_OP_FILE_LINK] = {udm_handle_file_link, false},
    [UDM_OP_FILE_DOWNLOAD] = {udm_handle_file_download, false},
};

/* Answers a known path with another method, or an unknown one. */
static int answer_no_route(request_rec *r, const udm_request_t *q)
{
    if (q->route_error->kind == UDM_E_METHOD && q->allow) {
        apr_table_setn(r->err_headers_out, "Allow", q->allow);
        if (r->method_number == M_OPTIONS) {
            return udm_respond_empty(r, HTTP_NO_CONTENT);
        }
    }
    return udm_respond_error(r, q->route_error);
}

int udm_handler(request_rec *r)
{
    udm_request_t *q = udm_request_get(r);
    udm_error_t *error;

    if (!q) {
        return DECLINED;
    }
    if (r->user && !*r->user) {
        r->user = NULL; /* see udm_auth_check */
    }
    if (!q->route) {
        return answer_no_route(r, q);
    }
    error = udm_auth_find(r, q);
    if (error) {
        return udm_respond_error(r, error);
    }
    if (q->need != UDM_NEED_NONE && !q->who) {
        return udm_respond_error(r, udm_error_make(r->pool, UDM_E_INTERNAL, "nobody asks"));
    }
    if (handlers[q->route->operation].json && !udm_request_takes_json(r)) {
        return udm_respond_error_as(
            r, HTTP_NOT_ACCEPTABLE,
            udm_error_make(r->pool, UDM_E_INVALID,
                           "the answer is application/json, which the Accept header rules out"));
    }
    return handlers[q->route->operation].handle(r, q);
}

udm_error_t *udm_handler_id(apr_int64_t *id, request_rec *r, const udm_request_t *q)
{
    if (udm_text_parse_id(id, q->parameter)) {
        return NULL;
    }
    return udm_error_make(r->pool, UDM_E_INVALID, "the id in the path must be a positive number");
}

udm_error_t *udm_handler_query(apr_table_t **query, request_rec *r)
{
    return udm_listing_query(query, r->pool, r->args ? r->args : "");
}

const char *udm_handler_base_url(request_rec *r, const udm_request_t *q)
{
    if (q->dir->public_url) {
        return q->dir->public_url;
    }
    return ap_construct_url(r->pool, ap_escape_uri(r->pool, q->dir->mount), r);
}
