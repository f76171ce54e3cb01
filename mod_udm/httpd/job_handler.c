/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * job_handler.c: POST /export/jobs, and one job, run or progress by id.
 */
#include <httpd.h>
#include <http_protocol.h>

#include <apr_strings.h>
#include <jansson.h>

#include "core/job.h"
#include "core/json.h"
#include "db/job.h"
#include "httpd/dbd.h"
#include "httpd/handler.h"

typedef struct job_create_t {
    request_rec *r;
    const udm_job_t *job;
    const udm_audit_t *audit;
    udm_job_info_t *info;
} job_create_t;

static udm_error_t *create_job(udm_db_t *db, void *baton)
{
    job_create_t *create = baton;

    return udm_job_create(&create->info, create->r->pool, db, create->job, create->audit);
}

/* Reads the body of a job. The client sends it at its own pace, so no connection is held here. */
static udm_error_t *read_job(udm_job_t **job, request_rec *r, const udm_request_t *q)
{
    const char *data;
    apr_size_t size;
    json_t *body;
    udm_error_t *error = udm_request_body(&data, &size, r, udm_config_max_body(q->dir));

    if (error) {
        return error;
    }
    if (size == 0) {
        return udm_error_make(r->pool, UDM_E_INVALID,
                              "the request has no body: send the job as application/json");
    }
    if (!udm_request_has_type(r, "application/json")) {
        return udm_error_make(r->pool, UDM_E_MEDIA_TYPE,
                              "the body must be application/json, and Content-Type must say so");
    }
    error = udm_json_parse(&body, r->pool, data, size);
    return error ? error : udm_job_parse(job, r->pool, body, q->route->version);
}

int udm_handle_job_create(request_rec *r, udm_request_t *q)
{
    job_create_t create = {r, NULL, &q->audit, NULL};
    udm_job_t *job;
    udm_error_t *error = read_job(&job, r, q);

    if (!error) {
        create.job = job;
        error = udm_dbd_with(r, false, create_job, &create);
    }
    if (error) {
        return udm_respond_error(r, error);
    }
    apr_table_setn(r->headers_out, "Location",
                   apr_psprintf(r->pool, "%s%s/%" APR_INT64_T_FMT, udm_handler_base_url(r, q),
                                q->route->path, create.info->id));
    return udm_respond_json(r, HTTP_ACCEPTED,
                            udm_job_info_json(r->pool, create.info, q->route->version));
}

typedef struct info_read_t {
    request_rec *r;
    const udm_principal_t *who;
    apr_int64_t id;
    udm_job_info_t *info;
} info_read_t;

static udm_error_t *read_job_info(udm_db_t *db, void *baton)
{
    info_read_t *read = baton;

    return udm_job_get(&read->info, read->r->pool, db, read->who, read->id);
}

static udm_error_t *read_run_info(udm_db_t *db, void *baton)
{
    info_read_t *read = baton;

    return udm_run_get(&read->info, read->r->pool, db, read->who, read->id);
}

/* Reads the job or run whose id stands in the path. */
static udm_error_t *read_info(udm_job_info_t **info, request_rec *r, const udm_request_t *q,
                              udm_dbd_fn fn)
{
    info_read_t read = {r, q->who, 0, NULL};
    udm_error_t *error = udm_handler_id(&read.id, r, q);

    if (!error) {
        error = udm_dbd_with(r, true, fn, &read);
    }
    *info = read.info;
    return error;
}

/* Answers with one job or run. */
static int respond_info(request_rec *r, const udm_request_t *q, udm_dbd_fn fn)
{
    udm_job_info_t *info;
    udm_error_t *error = read_info(&info, r, q, fn);

    if (error) {
        return udm_respond_error(r, error);
    }
    return udm_respond_json(r, HTTP_OK, udm_job_info_json(r->pool, info, q->route->version));
}

int udm_handle_job_get(request_rec *r, udm_request_t *q)
{
    return respond_info(r, q, read_job_info);
}

int udm_handle_run_get(request_rec *r, udm_request_t *q)
{
    return respond_info(r, q, read_run_info);
}

int udm_handle_run_progress(request_rec *r, udm_request_t *q)
{
    udm_job_info_t *info;
    udm_error_t *error = read_info(&info, r, q, read_run_info);

    if (error) {
        /* the API reference lists no 404 for this one */
        return error->kind == UDM_E_NOT_FOUND ? udm_respond_error_as(r, HTTP_BAD_REQUEST, error)
                                              : udm_respond_error(r, error);
    }
    return udm_respond_json(
        r, HTTP_OK, json_pack("{s:i, s:s}", "progress", info->progress, "status", info->status));
}
