/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * handler.h: one function for each operation, and what these share.
 *
 * A handler is called once the credentials are good. It answers through respond.h and returns
 * what these return; what it returns else is a status for httpd.
 */
#ifndef UDM_HTTPD_HANDLER_H
#define UDM_HTTPD_HANDLER_H

#include <httpd.h>

#include "core/operation.h"
#include "httpd/request.h"
#include "httpd/respond.h"

/* The handlers, one for each row of the table of operations. */
#define UDM_HANDLER(operation, handler, ...)                                                       \
    int udm_handle_##handler(request_rec *r, udm_request_t *q);
UDM_OPERATIONS(UDM_HANDLER)
#undef UDM_HANDLER

/* Reads the {id} of a path. @return UDM_E_INVALID that says what an id is */
udm_error_t *udm_handler_id(apr_int64_t *id, request_rec *r, const udm_request_t *q);

/*
 * The query of the request, decoded. `known` names the parameters that the operation has, ended by NULL;
 * NULL where another function knows them.
 * @return UDM_E_INVALID also for a name that differs from a known one in case alone
 */
udm_error_t *udm_handler_query(apr_table_t **query, request_rec *r, const char *const *known);

/* A parameter of the query; NULL when it is absent or empty. @return UDM_E_INVALID if it is there twice */
udm_error_t *udm_handler_parameter(const char **value, request_rec *r, const apr_table_t *query,
                                   const char *name);

/*
 * The items (const char *) of a parameter that is a list with commas, or is there several times.
 * Blanks around an item are no part of it, empty ones are left out.
 */
apr_array_header_t *udm_handler_items(request_rec *r, const apr_table_t *query, const char *name);

/*
 * The ids (apr_int64_t) in the parameter jobIDs, each once.
 * @return UDM_E_INVALID when there is none, when one is no id, or when there are too many
 */
udm_error_t *udm_handler_ids(apr_array_header_t **ids, request_rec *r);

/*
 * Holds If-Match against what is there now, for a change that is not made under its lock; `current`
 * is what GET shows, NULL when there is nothing. Takes it over.
 * @return UDM_E_PRECONDITION
 */
udm_error_t *udm_handler_if_match(request_rec *r, json_t *current);

/*
 * Answers a bulk delete: 204, or 500 with the array of those that are left (of apr_int64_t, or with
 * `names` of const char *).
 */
int udm_handler_respond_deleted(request_rec *r, const apr_array_header_t *left, bool names);

/*
 * Answers with an error of an operation that documents no 404: what is unknown is then a 400.
 */
int udm_handler_respond_no_404(request_rec *r, const udm_error_t *error);

/*
 * Answers a bulk delete of jobs, or of history records. A connection is borrowed for a batch of ids
 * at a time, so that a long list keeps nobody from one.
 */
int udm_handler_delete_ids(request_rec *r, udm_request_t *q, bool runs);

/* What is asked of the database for several requests at once: see batch.h. */
udm_error_t *udm_handler_ask_jobs(apr_pool_t *p, udm_pg_t *db, void *const *items, int count);
udm_error_t *udm_handler_ask_new_jobs(apr_pool_t *p, udm_pg_t *db, void *const *items, int count);
udm_error_t *udm_handler_ask_downloads(apr_pool_t *p, udm_pg_t *db, void *const *items, int count);

/* The absolute URL at which the API begins, for links and Location headers. */
const char *udm_handler_base_url(request_rec *r, const udm_request_t *q);

#endif
