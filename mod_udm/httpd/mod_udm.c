/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_udm.c: where httpd meets the module: the hooks, and the record that names everything.
 *
 * A request goes through these, in this order: translate_name notes it, map_to_storage keeps it
 * away from the file system, check_authn finds who asks, type_checker and the handler see to it that
 * this is known before anybody else answers, and the handler answers what is ours. An error page that
 * httpd writes on the way becomes JSON.
 */
#include <string.h>

#include <httpd.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mpm_common.h>
#include <mod_auth.h>
#include <util_filter.h>

#include <apr_file_io.h>
#include <apr_hash.h>
#include <apr_strings.h>

#include "httpd/auth.h"
#include "httpd/batch.h"
#include "httpd/child.h"
#include "httpd/config.h"
#include "httpd/dispatch.h"
#include "httpd/handler.h"
#include "httpd/request.h"
#include "httpd/respond.h"
#include "httpd/secrets.h"
#include "httpd/supervisor.h"

#define ERROR_FILTER "UDM_PROBLEM"
#define ANY_METHODS  "DELETE, GET, HEAD, OPTIONS, POST, PUT" /* of what has no list of its own */

/*
 * The record of a request by the sections that hold for its path as it is now, wherever rewriting has
 * led it; NULL when it is none of ours. Leaves those sections in force.
 */
static udm_request_t *request_here(request_rec *r)
{
    return ap_location_walk(r) == OK ? udm_request_get(r) : NULL;
}

/* Notes what is ours, after mod_rewrite and mod_alias had their say. */
static int udm_translate_name(request_rec *r)
{
    /* statuses that httpd may choose before or beside the handler: no ErrorDocument for them */
    static const int statuses[] = {HTTP_BAD_REQUEST,
                                   HTTP_UNAUTHORIZED,
                                   HTTP_FORBIDDEN,
                                   HTTP_NOT_FOUND,
                                   HTTP_METHOD_NOT_ALLOWED,
                                   HTTP_REQUEST_TIME_OUT,
                                   HTTP_REQUEST_ENTITY_TOO_LARGE,
                                   HTTP_RANGE_NOT_SATISFIABLE,
                                   HTTP_EXPECTATION_FAILED,
                                   HTTP_INTERNAL_SERVER_ERROR,
                                   HTTP_SERVICE_UNAVAILABLE};
    ap_conf_vector_t *before = r->per_dir_config;
    udm_request_t *q = request_here(r);
    apr_size_t i;

    r->per_dir_config = before;
    if (!q) {
        return DECLINED;
    }
    q->located = true;
    for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        ap_custom_response(r, statuses[i], "\"refused");
    }
    return OK;
}

/* What no module may be asked for below a mount, whichever would answer. */
static udm_error_t *forbidden(request_rec *r, udm_request_t *q)
{
    bool named;

    if (r->method_number == M_TRACE) {
        if (!q->allow) {
            q->allow = ANY_METHODS;
        }
        return udm_error_make(r->pool, UDM_E_METHOD,
                              "TRACE would send credentials back, and is not answered here");
    }
    /* a hash looks like a piece of one: a certificate may be named by it, and what a proxy answers */
    named =
        r->proxyreq != PROXYREQ_NONE || (q->route ? q->route->operation == UDM_OP_CERTIFICATE_UPLOAD
                                                  : q->route_error->kind == UDM_E_METHOD);
    if (udm_secrets_in_path(r, q->path, named)) {
        return udm_error_make(r->pool, UDM_E_NOT_FOUND,
                              "there is no such resource: a key, a token or a signature has no "
                              "place in a path");
    }
    return NULL;
}

/* Nothing of ours is below the document root, so no directory is walked. */
static int udm_map_to_storage(request_rec *r)
{
    ap_conf_vector_t *before = r->per_dir_config;
    udm_request_t *q = request_here(r);
    udm_error_t *error = q ? forbidden(r, q) : NULL;

    if (error) {
        return udm_respond_refuse(r, error); /* with the headers of its section */
    }
    r->per_dir_config = before;
    if (!q || r->proxyreq != PROXYREQ_NONE || (!q->located && udm_request_of_others(r, q))) {
        return DECLINED;
    }
    /* no slash and no dot: no other module finds a directory or an extension in it */
    r->filename = apr_pstrdup(r->pool, "udm");
    r->path_info = NULL;
    return OK;
}

/* Replaces the body of an error page by a problem document. */
static apr_status_t udm_problem_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    const udm_request_t *q = udm_request_known(r);
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_bucket *b, *next;
    const char *text, *type;
    bool eos = false;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = next) {
        next = APR_BUCKET_NEXT(b);
        if (APR_BUCKET_IS_EOS(b)) {
            eos = true;
        }
        if (!AP_BUCKET_IS_EOR(b)) {
            apr_bucket_delete(b);
        }
    }
    if (!eos) {
        return APR_BRIGADE_EMPTY(bb) ? APR_SUCCESS : ap_pass_brigade(f->next, bb);
    }
    if (r->status == HTTP_UNAUTHORIZED && q->who) {
        /* known, but "Require" says no: another credential of the same kind would not help */
        r->status = HTTP_FORBIDDEN;
        r->status_line = NULL;
        /* httpd has moved it from the one table to the other by now */
        apr_table_unset(r->err_headers_out, "WWW-Authenticate");
        apr_table_unset(r->headers_out, "WWW-Authenticate");
    }
    if (r->status == HTTP_METHOD_NOT_ALLOWED && q->refusal && q->allow) {
        apr_table_setn(r->headers_out, "Allow", q->allow); /* in place of httpd's own */
    }
    if (r->status == HTTP_RANGE_NOT_SATISFIABLE) {
        apr_table_setn(r->headers_out, "Content-Range",
                       apr_psprintf(r->pool, "bytes */%" APR_OFF_T_FMT, r->finfo.size));
    }
    text = udm_respond_problem_text(&type, r, r->status);
    udm_respond_headers(r);
    ap_set_content_type(r, type);
    ap_set_content_length(r, (apr_off_t)strlen(text));
    APR_BRIGADE_INSERT_HEAD(bb, apr_bucket_eos_create(alloc));
    APR_BRIGADE_INSERT_HEAD(bb, apr_bucket_pool_create(text, strlen(text), r->pool, alloc));
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

/* An error page is about to be written. */
static void udm_insert_error_filter(request_rec *r)
{
    const udm_server_t *own = udm_config_server(r->server);
    const udm_request_t *q = udm_request_known(r);

    if (!q && r->status == HTTP_REQUEST_URI_TOO_LARGE) {
        /* which server was meant stands in what was not read: the one with this address, or any */
        q = udm_request_cut_off(r, own->mounts);
        q = q ? q : udm_request_cut_off(r, udm_config_main()->mounts);
    }
    udm_secrets_refused(r);
    if (q && (q->path || q->refusal) && !q->ours && ap_is_HTTP_ERROR(r->status)) {
        ap_add_output_filter(ERROR_FILTER, NULL, r, r->connection);
    }
}

/*
 * What is below a mount is kept by no cache that answers before anybody is asked who he is
 * (CacheQuickHandler).
 */
static void udm_insert_filter(request_rec *r)
{
    if (udm_config_dir(r)->enabled == 1) {
        ap_remove_output_filter_byhandle(r->output_filters, "CACHE_SAVE");
        ap_remove_output_filter_byhandle(r->output_filters, "CACHE_SAVE_SUBREQ");
    }
}

static int udm_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    return udm_config_check(pconf, ptemp, s);
}

/* -D DUMP_UDM_WORKER: prints the settings, so that a worker of its own can be given them. */
static void udm_test_config(apr_pool_t *pconf, server_rec *s)
{
    apr_file_t *out;

    if (ap_exists_config_define("DUMP_UDM_WORKER") &&
        apr_file_open_stdout(&out, pconf) == APR_SUCCESS) {
        apr_file_puts(udm_config_worker_settings(pconf, udm_config_main()), out);
        apr_file_flush(out);
    }
}

static int udm_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK; /* the first of two passes: the module is unloaded after it */
    }
    return udm_supervisor_start(pconf, s);
}

static int udm_monitor(apr_pool_t *p, server_rec *s)
{
    return udm_supervisor_monitor(s);
}

/* Half of the connections for each contact centre, so that two may have their troubles at a time. */
static udm_child_t *make_child(apr_pool_t *pchild, int connections)
{
    udm_child_t *child = apr_pcalloc(pchild, sizeof(*child));

    if (udm_lookups_create(&child->lookups, pchild) != APR_SUCCESS) {
        child->lookups = NULL;
    }
    child->shares = udm_shares_create(pchild, connections > 1 ? (connections + 1) / 2 : 1);
    child->credentials = udm_batch_create(pchild, true, udm_auth_ask);
    child->jobs = udm_batch_create(pchild, true, udm_handler_ask_jobs);
    child->new_jobs = udm_batch_create(pchild, false, udm_handler_ask_new_jobs);
    child->downloads = udm_batch_create(pchild, false, udm_handler_ask_downloads);
    return child;
}

/* Makes what the threads of a child share for each server, and readies the key files. */
static void udm_child_init(apr_pool_t *pchild, server_rec *s)
{
    udm_server_t *conf = udm_config_main();
    apr_hash_t *children = apr_hash_make(pchild);
    int i;

    for (; s; s = s->next) {
        udm_server_t *own = udm_config_server(s);

        /* By server, for those without a directive of ours have the main server's configuration. */
        apr_hash_set(children, apr_pmemdup(pchild, &s, sizeof(s)), sizeof(s),
                     make_child(pchild, conf->connections));
        for (i = 0; i < own->key_files->nelts; i++) {
            udm_key_file_child_init(APR_ARRAY_IDX(own->key_files, i, udm_key_file_t *), pchild);
        }
    }
    conf->children = children;
    udm_supervisor_child_init();
}

static void udm_register_hooks(apr_pool_t *p)
{
    static const char *const after[] = {"mod_rewrite.c", "mod_alias.c", "mod_proxy.c", NULL};
    static const char *const others[] = {"mod_cache.c", "mod_proxy.c", NULL};
    static const char *const proxy[] = {"mod_proxy.c", NULL};
    static const char *const info[] = {"mod_info.c", NULL};
    static const char *const forensic[] = {"mod_log_forensic.c", NULL};

    ap_hook_check_config(udm_config_hide_passwords, NULL, info, APR_HOOK_REALLY_FIRST);
    ap_hook_check_config(udm_check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_test_config(udm_test_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(udm_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(udm_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_monitor(udm_monitor, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_read_request(udm_secrets_hold, NULL, forensic, APR_HOOK_REALLY_FIRST - 1);
    ap_hook_post_read_request(udm_secrets_release, forensic, NULL, APR_HOOK_REALLY_FIRST + 1);
    ap_hook_post_read_request(udm_secrets_read, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_translate_name(udm_secrets_translate, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_translate_name(udm_translate_name, after, NULL, APR_HOOK_LAST);
    ap_hook_map_to_storage(udm_map_to_storage, NULL, proxy, APR_HOOK_FIRST);
    ap_hook_force_authn(udm_auth_force, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_authn(udm_secrets_authn, NULL, NULL, APR_HOOK_REALLY_FIRST,
                        AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authn(udm_auth_check, NULL, NULL, APR_HOOK_MIDDLE, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_type_checker(udm_dispatch_guard, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_note_auth_failure(udm_auth_note_failure, NULL, NULL, APR_HOOK_MIDDLE);
    udm_auth_register_provider(p);
    ap_hook_insert_filter(udm_insert_filter, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_handler(udm_dispatch, NULL, others, APR_HOOK_REALLY_FIRST);
    ap_register_output_filter(ERROR_FILTER, udm_problem_filter, NULL, AP_FTYPE_CONTENT_SET);
    ap_hook_insert_error_filter(udm_insert_error_filter, NULL, NULL, APR_HOOK_LAST);
    ap_hook_log_transaction(udm_secrets_log, NULL, NULL, APR_HOOK_REALLY_FIRST);
}

AP_DECLARE_MODULE(udm) = {STANDARD20_MODULE_STUFF,
                          udm_config_create_dir,
                          udm_config_merge_dir,
                          udm_config_create_server,
                          NULL,
                          udm_config_commands,
                          udm_register_hooks,
                          AP_MODULE_FLAG_NONE};
