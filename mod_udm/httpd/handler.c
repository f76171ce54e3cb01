/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * handler.c: what handlers share: ids, queries, lists of what was not done.
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
#include "httpd/handler.h"

#define IDS_MAX 1000 /* in one request */

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
