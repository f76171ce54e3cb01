/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * run_handler.c: /export/history: one record, its progress, and deleting records.
 */
#include <httpd.h>

#include <jansson.h>

#include "core/job.h"
#include "db/control.h"
#include "db/job.h"
#include "httpd/dbd.h"
#include "httpd/handler.h"

typedef struct run_work_t {
    request_rec *r;
    const udm_request_t *q;
    apr_int64_t id;
    udm_job_info_t *info;
} run_work_t;

static udm_error_t *read_run(udm_pg_t *db, void *baton)
{
    run_work_t *work = baton;

    return udm_run_get(&work->info, work->r->pool, db, work->q->who, work->id);
}

/* Reads the record whose id stands in the path. */
static udm_error_t *read_info(udm_job_info_t **info, request_rec *r, const udm_request_t *q)
{
    run_work_t work = {.r = r, .q = q};
    udm_error_t *error = udm_handler_id(&work.id, r, q);

    if (!error) {
        error = udm_dbd_with(r, true, read_run, &work);
    }
    *info = work.info;
    return error;
}

int udm_handle_run_get(request_rec *r, udm_request_t *q)
{
    udm_job_info_t *info;
    udm_error_t *error = read_info(&info, r, q);

    if (error) {
        return udm_respond_error(r, error);
    }
    return udm_respond_resource_text(r, udm_job_info_text(r->pool, info, q->route->version));
}

int udm_handle_run_progress(request_rec *r, udm_request_t *q)
{
    udm_job_info_t *info;
    udm_error_t *error = read_info(&info, r, q);

    if (error) {
        return udm_handler_respond_no_404(r, error);
    }
    return udm_respond_resource(
        r, json_pack("{s:i, s:s}", "progress", info->progress, "status", info->status));
}

static udm_error_t *delete_run(udm_pg_t *db, void *baton)
{
    run_work_t *work = baton;
    udm_error_t *error = NULL;

    if (apr_table_get(work->r->headers_in, "If-Match")) {
        error = read_run(db, work);
        if (!error) {
            error = udm_handler_if_match(
                work->r, udm_job_info_json(work->r->pool, work->info, work->q->route->version));
        }
    }
    return error ? error : udm_run_delete(work->r->pool, db, work->id, &work->q->audit);
}

int udm_handle_run_delete(request_rec *r, udm_request_t *q)
{
    run_work_t work = {.r = r, .q = q};
    udm_error_t *error = udm_handler_id(&work.id, r, q);

    if (!error) {
        error = udm_dbd_with(r, false, delete_run, &work);
    }
    return error ? udm_handler_respond_no_404(r, error) : udm_respond_empty(r, HTTP_NO_CONTENT);
}

int udm_handle_run_delete_many(request_rec *r, udm_request_t *q)
{
    return udm_handler_delete_ids(r, q, true);
}
