/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * file_handler.c: GET /files/{filename}: a redirect to a signed link.
 */
#include <string.h>

#include <httpd.h>
#include <http_protocol.h>

#include <apr_strings.h>
#include <jansson.h>

#include "core/link.h"
#include "core/text.h"
#include "db/job.h"
#include "httpd/dbd.h"
#include "httpd/handler.h"

typedef struct link_work_t {
    request_rec *r;
    const udm_request_t *q;
    udm_file_info_t *info;
} link_work_t;

static udm_error_t *link_file(udm_db_t *db, void *baton)
{
    link_work_t *work = baton;

    return udm_file_link(&work->info, work->r->pool, db, work->q->parameter, &work->q->audit);
}

int udm_handle_file_link(request_rec *r, udm_request_t *q)
{
    link_work_t work = {r, q, NULL};
    const udm_link_keys_t *keys = udm_keys_link(udm_config_main()->link_keys, r);
    apr_time_t expires;
    udm_error_t *error;

    if (!udm_text_is_utf8(q->parameter, strlen(q->parameter)) || strlen(q->parameter) > 255) {
        error = udm_error_make(r->pool, UDM_E_NOT_FOUND, "there is no such file");
    }
    else {
        /* writes the audit, so it is not tried twice */
        error = udm_dbd_with(r, false, link_file, &work);
    }
    if (error) {
        return udm_respond_error(r, error);
    }
    /* rounded up to the second that the link can carry */
    expires = apr_time_from_sec(
        apr_time_sec(apr_time_now() + udm_config_link_ttl(q->dir) + APR_USEC_PER_SEC - 1));
    apr_table_setn(r->headers_out, "Location",
                   apr_pstrcat(r->pool, udm_handler_base_url(r, q), "/download/",
                               ap_escape_path_segment(r->pool, work.info->name), "?",
                               udm_link_query(r->pool, keys, work.info->name, expires), NULL));
    apr_table_setn(r->err_headers_out, "Referrer-Policy", "no-referrer");
    return udm_respond_empty(r, HTTP_SEE_OTHER);
}
