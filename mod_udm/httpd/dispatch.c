/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch.c: from a request to the function that answers it.
 */
#include "httpd/dispatch.h"

#include <http_core.h>
#include <http_protocol.h>

#include "httpd/auth.h"
#include "httpd/handler.h"
#include "httpd/request.h"
#include "httpd/respond.h"
#include "httpd/secrets.h"

/* Which function answers which operation. */
static int (*const handlers[])(request_rec *r, udm_request_t *q) = {
#define HANDLER(operation, handler, ...) [UDM_OP_##operation] = udm_handle_##handler,
    UDM_OPERATIONS(HANDLER)};

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

int udm_dispatch_guard(request_rec *r)
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

int udm_dispatch(request_rec *r)
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
    if (q->route->json && !udm_request_takes_json(r)) {
        return udm_respond_error_as(
            r, HTTP_NOT_ACCEPTABLE,
            udm_error_make(r->pool, UDM_E_INVALID,
                           "the answer is application/json, which the Accept header rules out"));
    }
    return handlers[q->route->operation](r, q);
}
