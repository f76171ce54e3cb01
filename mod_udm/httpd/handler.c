/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * handler.c: from a request to the function that answers it.
 */
#include <string.h>

#include <httpd.h>
#include <http_core.h>
#include <http_protocol.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "core/etag.h"
#include "core/listing.h"
#include "core/text.h"
#include "httpd/auth.h"
#include "httpd/handler.h"
#include "httpd/secrets.h"

#define IDS_MAX 1000 /* in one request */

/* Which function answers which operation, and whether it answers in JSON. */
static const struct {
    udm_handler_fn handle;
    bool json;
} handlers[UDM_OP_COUNT] = {
    [UDM_OP_VERSION] = {udm_handle_version, true},
    [UDM_OP_LABELS] = {udm_handle_labels, true},
    [UDM_OP_CERTIFICATE_GET] = {udm_handle_certificate_get, true},
    [UDM_OP_CERTIFICATE_UPLOAD] = {udm_handle_certificate_upload, true},
    [UDM_OP_SOURCE_LIST] = {udm_handle_source_list, true},
    [UDM_OP_TYPE_LIST] = {udm_handle_type_list, true},
    [UDM_OP_SUB_TYPE_LIST] = {udm_handle_sub_type_list, true},
    [UDM_OP_ATTRIBUTE_LIST] = {udm_handle_attribute_list, true},
    [UDM_OP_STATUS_LIST] = {udm_handle_status_list, true},
    [UDM_OP_JOB_LIST] = {udm_handle_job_list, true},
    [UDM_OP_JOB_CREATE] = {udm_handle_job_create, true},
    [UDM_OP_JOB_DELETE_MANY] = {udm_handle_job_delete_many, false},
    [UDM_OP_JOB_GET] = {udm_handle_job_get, true},
    [UDM_OP_JOB_REPLACE] = {udm_handle_job_replace, true},
    [UDM_OP_JOB_DELETE] = {udm_handle_job_delete, false},
    [UDM_OP_JOB_CANCEL] = {udm_handle_job_cancel, false},
    [UDM_OP_JOB_SUSPEND] = {udm_handle_job_suspend, true},
    [UDM_OP_JOB_RESUME] = {udm_handle_job_resume, true},
    [UDM_OP_RUN_LIST] = {udm_handle_run_list, true},
    [UDM_OP_RUN_DELETE_MANY] = {udm_handle_run_delete_many, false},
    [UDM_OP_RUN_GET] = {udm_handle_run_get, true},
    [UDM_OP_RUN_DELETE] = {udm_handle_run_delete, false},
    [UDM_OP_RUN_PROGRESS] = {udm_handle_run_progress, true},
    [UDM_OP_FILE_LIST] = {udm_handle_file_list, true},
    [UDM_OP_FILE_LINK_MANY] = {udm_handle_file_link_many, true},
    [UDM_OP_FILE_DELETE_MANY] = {udm_handle_file_delete_many, false},
    [UDM_OP_FILE_LINK] = {udm_handle_file_link, false},
    [UDM_OP_FILE_DELETE] = {udm_handle_file_delete, false},
    [UDM_OP_FILE_DOWNLOAD] = {udm_handle_file_download, false},
    [UDM_OP_OPENAPI] = {udm_handle_openapi, true},
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

/*
 * Somebody else answers what is below a mount: a proxy, a file, a script. He does so for those alone
 * who are let in, whatever sections, rewriting and the order of modules have led to it.
 */
static udm_error_t *let_in(request_rec *r, udm_request_t *q)
{
    if (udm_auth_by_others(r)) {
        return NULL;
    }
    if (q->need != q->rest_need) {
        /* a route that asked for less is answered by somebody else */
        q->need = q->rest_need;
        q->who = NULL;
    }
    return udm_auth_find(r, q);
}

int udm_handler_guard(request_rec *r)
{
    udm_request_t *q;
    udm_error_t *error;

    if (r->main || udm_config_dir(r)->enabled != 1) {
        return DECLINED;
    }
    q = udm_request_guarded(r);
    if (!udm_request_of_others(r, q)) {
        return DECLINED;
    }
    error = let_in(r, q);
    if (error) {
        return udm_respond_refuse(r, error);
    }
    udm_secrets_handed_over(r);
    return DECLINED;
}

int udm_handler(request_rec *r)
{
    udm_request_t *q;
    udm_error_t *error;

    if (udm_config_dir(r)->enabled != 1) {
        return DECLINED;
    }
    q = udm_request_guarded(r);
    if (udm_request_elsewhere(r, q)) {
        error = let_in(r, q);
        return error ? udm_respond_error(r, error) : DECLINED;
    }
    if (r->user && !*r->user) {
        r->user = NULL; /* see udm_auth_check */
    }
    error = udm_auth_find(r, q);
    if (!error && !q->route) {
        return answer_no_route(r, q);
    }
    if (error) {
        return udm_respond_error(r, error);
    }
    if (q->need != UDM_NEED_NONE && q->need != UDM_NEED_OPTIONAL && !q->who) {
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
    /* an id has one spelling */
    if (*q->parameter != '0' && udm_text_parse_id(id, q->parameter)) {
        return NULL;
    }
    return udm_error_make(r->pool, UDM_E_INVALID,
                          "the id in the path must be a positive number without leading zeros");
}

udm_error_t *udm_handler_query(apr_table_t **query, request_rec *r, const char *const *known)
{
    udm_error_t *error = udm_listing_query(query, r->pool, r->args ? r->args : "");

    return error || !known ? error : udm_listing_names(r->pool, *query, known);
}

udm_error_t *udm_handler_parameter(const char **value, request_rec *r, const apr_table_t *query,
                                   const char *name)
{
    const char *found = apr_table_get(query, name);

    *value = found && *found ? found : NULL;
    return udm_listing_once(r->pool, query, name);
}

apr_array_header_t *udm_handler_items(request_rec *r, const apr_table_t *query, const char *name)
{
    apr_array_header_t *items = apr_array_make(r->pool, 8, sizeof(const char *));
    const apr_array_header_t *all = apr_table_elts(query);
    const char *rest;
    char *item, *end;
    int i;

    for (i = 0; i < all->nelts; i++) {
        const apr_table_entry_t *entry = &APR_ARRAY_IDX(all, i, apr_table_entry_t);

        for (rest = strcmp(entry->key, name) ? "" : entry->val; *rest;) {
            item = ap_getword(r->pool, &rest, ',');
            for (; apr_isspace(*item); item++) {
            }
            for (end = item + strlen(item); end > item && apr_isspace(end[-1]); end--) {
            }
            *end = '\0';
            if (*item) {
                APR_ARRAY_PUSH(items, const char *) = item;
            }
        }
    }
    return items;
}

/* @return true when the array holds the id */
static bool has_id(const apr_array_header_t *ids, apr_int64_t id)
{
    int i;

    for (i = 0; i < ids->nelts; i++) {
        if (APR_ARRAY_IDX(ids, i, apr_int64_t) == id) {
            return true;
        }
    }
    return false;
}

udm_error_t *udm_handler_ids(apr_array_header_t **ids, request_rec *r)
{
    static const char *const known[] = {"jobIDs", NULL};
    apr_array_header_t *items;
    apr_table_t *query;
    udm_error_t *error = udm_handler_query(&query, r, known);
    apr_int64_t id;
    int i;

    if (error) {
        return error;
    }
    items = udm_handler_items(r, query, "jobIDs");
    if (items->nelts == 0 || items->nelts > IDS_MAX) {
        return udm_error_make(
            r->pool, UDM_E_INVALID,
            "the parameter jobIDs must name 1 to %d ids, with commas between them", IDS_MAX);
    }
    *ids = apr_array_make(r->pool, items->nelts, sizeof(apr_int64_t));
    for (i = 0; i < items->nelts; i++) {
        const char *item = APR_ARRAY_IDX(items, i, const char *);

        if (!udm_text_parse_id(&id, item)) {
            return udm_error_make(r->pool, UDM_E_INVALID,
                                  "jobIDs: \"%.40s\" is no id: ids are positive numbers; nothing "
                                  "was deleted",
                                  item);
        }
        if (!has_id(*ids, id)) {
            APR_ARRAY_PUSH(*ids, apr_int64_t) = id;
        }
    }
    return NULL;
}

int udm_handler_respond_deleted(request_rec *r, const apr_array_header_t *left, bool names)
{
    json_t *list;
    int i;

    if (left->nelts == 0) {
        return udm_respond_empty(r, HTTP_NO_CONTENT);
    }
    list = json_array();
    for (i = 0; i < left->nelts; i++) {
        json_array_append_new(
            list, names ? json_string(APR_ARRAY_IDX(left, i, const char *))
                        : json_integer((json_int_t)APR_ARRAY_IDX(left, i, apr_int64_t)));
    }
    return udm_respond_left(r, HTTP_INTERNAL_SERVER_ERROR,
                            "not everything could be deleted: data lists what is left", list);
}

int udm_handler_respond_no_404(request_rec *r, const udm_error_t *error)
{
    return error->kind == UDM_E_NOT_FOUND ? udm_respond_error_as(r, HTTP_BAD_REQUEST, error)
                                          : udm_respond_error(r, error);
}

udm_error_t *udm_handler_if_match(request_rec *r, json_t *current)
{
    const char *if_match = apr_table_get(r->headers_in, "If-Match");
    bool good =
        !if_match || (current && udm_etag_allows(if_match, udm_etag_make(r->pool, current)));

    json_decref(current);
    return good ? NULL
                : udm_error_make(r->pool, UDM_E_PRECONDITION,
                                 "what is here has not the entity tag that If-Match names: read it "
                                 "again");
}

const char *udm_handler_base_url(request_rec *r, const udm_request_t *q)
{
    if (q->dir->public_url) {
        return q->dir->public_url;
    }
    return ap_construct_url(r->pool, ap_escape_uri(r->pool, q->dir->mount), r);
}
