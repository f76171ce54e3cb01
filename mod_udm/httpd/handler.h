/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * handler.h: one function for each operation.
 *
 * A handler is called once the credentials are good. It answers through udm_respond_*() and returns
 * what these return; what it returns else is a status for httpd.
 */
#ifndef UDM_HTTPD_HANDLER_H
#define UDM_HTTPD_HANDLER_H

#include <httpd.h>

#include "httpd/request.h"

/* The content handler of the module. @return DECLINED for what is none of ours */
int udm_handler(request_rec *r);

/* Reads the {id} of a path. @return UDM_E_INVALID that says what an id is */
udm_error_t *udm_handler_id(apr_int64_t *id, request_rec *r, const udm_request_t *q);

/* The query of the request, decoded. */
udm_error_t *udm_handler_query(apr_table_t **query, request_rec *r);

typedef int (*udm_handler_fn)(request_rec *r, udm_request_t *q);

/* data_handler.c */
int udm_handle_version(request_rec *r, udm_request_t *q);
int udm_handle_source_list(request_rec *r, udm_request_t *q);
int udm_handle_type_list(request_rec *r, udm_request_t *q);
/* certificate_handler.c */
int udm_handle_certificate_get(request_rec *r, udm_request_t *q);
int udm_handle_certificate_upload(request_rec *r, udm_request_t *q);
/* job_handler.c */
int udm_handle_job_create(request_rec *r, udm_request_t *q);
int udm_handle_job_get(request_rec *r, udm_request_t *q);
int udm_handle_run_get(request_rec *r, udm_request_t *q);
int udm_handle_run_progress(request_rec *r, udm_request_t *q);
/* list_handler.c */
int udm_handle_job_list(request_rec *r, udm_request_t *q);
int udm_handle_run_list(request_rec *r, udm_request_t *q);
int udm_handle_file_list(request_rec *r, udm_request_t *q);
/* file_handler.c */
int udm_handle_file_link(request_rec *r, udm_request_t *q);
/* download.c */
int udm_handle_file_download(request_rec *r, udm_request_t *q);

/* The absolute URL at which the API begins, for links and Location headers. */
const char *udm_handler_base_url(request_rec *r, const udm_request_t *q);

#endif
