/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * job_handler.c: /export/jobs: making, reading, replacing, controlling and deleting jobs.
 */
#include <string.h>

#include <httpd.h>

#include <apr_strings.h>
#include <jansson.h>

#include "core/clock.h"
#include "core/job.h"
#include "core/json.h"
#include "core/text.h"
#include "db/control.h"
#include "db/job.h"
#include "db/job_check.h"
#include "httpd/batch.h"
#include "httpd/child.h"
#include "httpd/dbd.h"
#include "httpd/handler.h"

#define RETRY_KEY_MAX 255 /* bytes of an Idempotency-Key */
/* What was read of a certificate is the same for ever; it need not be kept that long. */
#define CERTIFICATE_LIFETIME apr_time_from_sec(60)

#define BULK_BATCH 50 /* ids that are deleted with one borrowed connection */

typedef struct job_work_t {
    request_rec *r;
    const udm_request_t *q;
    apr_int64_t id;
    udm_job_t *job;     /* as it was sent */
    udm_job_t *checked; /* as it is stored */
    udm_job_cipher_t cipher;
    const char *body_sha256;
    udm_retry_t retry;
    udm_condition_t condition;
    udm_change change;
    udm_job_info_t *info;
    const char *answer; /* JSON text */
    const char *etag;
} job_work_t;

/* What every handler of one job begins with: the id in the path, and If-Match. */
static udm_error_t *start(job_work_t *work, request_rec *r, const udm_request_t *q)
{
    memset(work, 0, sizeof(*work));
    work->r = r;
    work->q = q;
    work->condition.if_match = apr_table_get(r->headers_in, "If-Match");
    work->condition.version = q->route->version;
    return q->parameter ? udm_handler_id(&work->id, r, q) : NULL;
}

/* Reads the body of a job. The client sends it at its own pace, so no connection is held here. */
static udm_error_t *read_job(job_work_t *work)
{
    request_rec *r = work->r;
    const char *data;
    apr_size_t size;
    json_t *body;
    udm_error_t *error = udm_request_body(&data, &size, r, udm_config_max_body(work->q->dir));

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
    work->body_sha256 = udm_text_sha256(r->pool, data, size);
    error = udm_json_parse(&body, r->pool, data, size);
    if (!error) {
        error = udm_job_parse(&work->job, r->pool, body, work->q->route->version, apr_time_now());
    }
    if (!error) {
        work->job->encryption = udm_config_encryption(work->q->dir);
    }
    return error;
}

/*
 * Reads the header Idempotency-Key: a string of structured fields (RFC 8941 3.3.3), or the same
 * without its quotes. `key` gets NULL when it was not sent.
 */
static udm_error_t *read_retry_key(const char **key, request_rec *r)
{
    const char *sent = apr_table_get(r->headers_in, "Idempotency-Key");
    apr_size_t length = sent ? strlen(sent) : 0;
    bool quoted = length >= 2 && sent[0] == '"' && sent[length - 1] == '"';
    const char *from, *end;
    char *to;

    *key = NULL;
    if (!sent) {
        return NULL;
    }
    *key = to = apr_palloc(r->pool, length + 1);
    end = sent + length - quoted;
    for (from = sent + quoted; from < end; from++) {
        if (quoted && *from == '\\' && from + 1 < end && strchr("\"\\", from[1])) {
            from++;
        }
        else if (*from <= ' ' || *from > '~' || (quoted && strchr("\"\\", *from))) {
            break;
        }
        *to++ = *from;
    }
    *to = '\0';
    if (from < end || to == *key || to - *key > RETRY_KEY_MAX) {
        return udm_error_make(r->pool, UDM_E_INVALID,
                              "the header Idempotency-Key must be 1 to %d visible ASCII characters",
                              RETRY_KEY_MAX);
    }
    return NULL;
}

static udm_error_t *check_job(udm_pg_t *db, void *baton)
{
    job_work_t *work = baton;

    return udm_job_check(&work->checked, &work->cipher, work->r->pool, db, work->job, work->q->who);
}

/* When a certificate is good. */
typedef struct span_t {
    apr_time_t from;
    apr_time_t to;
} span_t;

static void *copy_span(apr_pool_t *p, const void *value)
{
    return apr_pmemdup(p, value, sizeof(span_t));
}

/* Reading a certificate takes as long as all else that httpd does for a POST, and it is mostly the same. */
static udm_error_t *check_cipher(request_rec *r, const udm_job_cipher_t *cipher)
{
    udm_lookups_t *lookups = udm_child_of(r)->lookups;
    const char *texts[] = {"certificate", udm_encryption_name(cipher->encryption), cipher->pem};
    apr_time_t since = udm_clock();
    unsigned char id[UDM_LOOKUPS_ID_SIZE];
    udm_certificate_t *certificate;
    const span_t *good = NULL;
    udm_error_t *error;

    udm_lookups_id(id, r->pool, texts, 3, NULL);
    if (lookups) {
        good = udm_lookups_get(lookups, r->pool, id, CERTIFICATE_LIFETIME);
    }
    if (good && good->from <= cipher->now && cipher->now < good->to) {
        return NULL;
    }
    error = udm_job_check_cipher(&certificate, r->pool, cipher);
    if (!error && lookups) {
        span_t span = {certificate->not_before, certificate->not_after};

        udm_lookups_put(lookups, id, &span, copy_span, since, since + CERTIFICATE_LIFETIME);
    }
    return error;
}

static udm_error_t *create_once(udm_pg_t *db, void *baton)
{
    job_work_t *work = baton;

    return udm_job_create_once(&work->answer, &work->etag, &work->id, work->r->pool, db, work->job,
                               &work->retry, &work->q->audit);
}

UDM_BATCH_FN(udm_handler_ask_new_jobs, udm_job_new_t, udm_job_insert)

/* Checks the job, and stores it together with those that others send at the moment. */
static udm_error_t *create_job(job_work_t *work)
{
    request_rec *r = work->r;
    udm_job_new_t new = {.pool = r->pool, .audit = &work->q->audit};
    udm_error_t *error = NULL;
    int tries;

    for (tries = 0; tries < UDM_JOB_TRIES && !error && !new.info; tries++) {
        error = udm_dbd_with(r, true, check_job, work);
        if (!error) {
            error = check_cipher(r, &work->cipher);
        }
        if (!error) {
            new.job = work->checked;
            error = udm_batch_ask(udm_child_of(r)->new_jobs, r, &new, work->q->who->ccid);
        }
        if (!error) {
            error = new.error;
        }
    }
    if (error) {
        return error;
    }
    if (!new.info) {
        return udm_job_renamed(r->pool);
    }
    work->info = new.info;
    work->id = new.info->id;
    return NULL;
}

int udm_handle_job_create(request_rec *r, udm_request_t *q)
{
    job_work_t work;
    udm_error_t *error = start(&work, r, q);

    if (!error) {
        error = read_retry_key(&work.retry.key, r);
    }
    if (!error) {
        error = read_job(&work);
    }
    if (!error) {
        work.retry.body_sha256 = work.body_sha256;
        work.retry.version = q->route->version;
        error = work.retry.key ? udm_dbd_with(r, false, create_once, &work) : create_job(&work);
    }
    if (error) {
        return udm_respond_error(r, error);
    }
    if (!work.answer) {
        work.answer = udm_job_info_text(r->pool, work.info, q->route->version);
        work.etag = work.info->etag;
    }
    /* v4 shows a job in another form than this answer has, so its tag is not that of the answer */
    if (q->route->version == UDM_V10) {
        apr_table_setn(r->headers_out, "ETag", work.etag);
    }
    apr_table_setn(r->headers_out, "Location",
                   apr_psprintf(r->pool, "%s%s/%" APR_INT64_T_FMT, udm_handler_base_url(r, q),
                                q->route->path, work.id));
    return udm_respond_text(r, HTTP_ACCEPTED, work.answer);
}

static udm_error_t *read_definition(udm_pg_t *db, void *baton)
{
    job_work_t *work = baton;

    return udm_job_definition(&work->job, work->r->pool, db, work->q->who, work->id);
}

UDM_BATCH_FN(udm_handler_ask_jobs, udm_job_ask_t, udm_job_get_many)

/*
 * What GET of a job shows, and its tag: the definition in v4, else JobInfo. Clients ask for nothing as
 * often as for what became of a job: in v10 and v3 without a tree of JSON on the way, and together with
 * whoever else asks.
 */
static udm_error_t *read_shown(job_work_t *work)
{
    request_rec *r = work->r;
    udm_job_ask_t ask = {.pool = r->pool, .who = work->q->who, .id = work->id};
    udm_error_t *error;

    if (work->q->route->version == UDM_V4) {
        error = udm_dbd_with(r, true, read_definition, work);
        if (!error) {
            work->etag = work->job->etag;
            work->answer = udm_json_text(
                r->pool, udm_json_own(r->pool, udm_job_json(r->pool, work->job, work->id)));
        }
        return error;
    }
    error = udm_batch_ask(udm_child_of(r)->jobs, r, &ask, "");
    if (!error) {
        error = ask.error;
    }
    if (!error) {
        work->etag = ask.info->etag;
        work->answer = udm_job_info_text(r->pool, ask.info, work->q->route->version);
    }
    return error;
}

int udm_handle_job_get(request_rec *r, udm_request_t *q)
{
    job_work_t work;
    udm_error_t *error = start(&work, r, q);

    if (!error) {
        error = read_shown(&work);
    }
    return error ? udm_respond_error(r, error)
                 : udm_respond_resource_tagged(r, work.etag, work.answer);
}

static udm_error_t *replace_job(udm_pg_t *db, void *baton)
{
    job_work_t *work = baton;

    return udm_job_replace(&work->info, work->r->pool, db, work->id, work->job, &work->condition,
                           &work->q->audit);
}

int udm_handle_job_replace(request_rec *r, udm_request_t *q)
{
    job_work_t work;
    udm_error_t *error = start(&work, r, q);

    if (!error) {
        error = read_job(&work);
    }
    if (!error) {
        error = udm_dbd_with(r, false, replace_job, &work);
    }
    if (error) {
        return udm_respond_error(r, error);
    }
    return udm_respond_json(r, HTTP_OK, udm_job_info_json(r->pool, work.info, q->route->version));
}

static udm_error_t *change_job(udm_pg_t *db, void *baton)
{
    job_work_t *work = baton;

    return udm_job_change(&work->info, work->r->pool, db, work->change, work->id, &work->condition,
                          &work->q->audit);
}

/* Makes a change that needs no body. */
static udm_error_t *change(job_work_t *work, request_rec *r, const udm_request_t *q,
                           udm_change what)
{
    udm_error_t *error = start(work, r, q);

    work->change = what;
    return error ? error : udm_dbd_with(r, false, change_job, work);
}

int udm_handle_job_delete(request_rec *r, udm_request_t *q)
{
    job_work_t work;
    udm_error_t *error = change(&work, r, q, UDM_CHANGE_DELETE);

    return error ? udm_handler_respond_no_404(r, error) : udm_respond_empty(r, HTTP_NO_CONTENT);
}

int udm_handle_job_cancel(request_rec *r, udm_request_t *q)
{
    job_work_t work;
    udm_error_t *error = change(&work, r, q, UDM_CHANGE_CANCEL);

    return error ? udm_respond_error(r, error) : udm_respond_empty(r, HTTP_OK);
}

/* Suspends or resumes: v4 documents another answer than v10. */
static int suspend_or_resume(request_rec *r, udm_request_t *q, udm_change what)
{
    job_work_t work;
    udm_error_t *error = change(&work, r, q, what);

    if (error) {
        return udm_respond_error(r, error);
    }
    if (q->route->version == UDM_V4) {
        return udm_respond_as_is(r, udm_json_success());
    }
    return udm_respond_json(r, HTTP_OK, udm_job_info_json(r->pool, work.info, q->route->version));
}

int udm_handle_job_suspend(request_rec *r, udm_request_t *q)
{
    return suspend_or_resume(r, q, UDM_CHANGE_SUSPEND);
}

int udm_handle_job_resume(request_rec *r, udm_request_t *q)
{
    return suspend_or_resume(r, q, UDM_CHANGE_RESUME);
}

/* What a bulk delete has left to do. */
typedef struct bulk_t {
    request_rec *r;
    const udm_request_t *q;
    bool runs;
    const apr_array_header_t *ids; /* of apr_int64_t */
    int done;
    apr_array_header_t *left;
} bulk_t;

static udm_error_t *delete_batch(udm_pg_t *db, void *baton)
{
    bulk_t *bulk = baton;
    apr_array_header_t *batch = apr_array_make(bulk->r->pool, BULK_BATCH, sizeof(apr_int64_t));
    apr_array_header_t *left;
    udm_error_t *error;

    while (batch->nelts < BULK_BATCH && bulk->done < bulk->ids->nelts) {
        APR_ARRAY_PUSH(batch, apr_int64_t) = APR_ARRAY_IDX(bulk->ids, bulk->done++, apr_int64_t);
    }
    error = udm_job_delete_many(&left, bulk->r->pool, db, bulk->runs, batch, &bulk->q->audit);
    if (!error) {
        apr_array_cat(bulk->left, left);
    }
    return error;
}

int udm_handler_delete_ids(request_rec *r, udm_request_t *q, bool runs)
{
    bulk_t bulk = {.r = r, .q = q, .runs = runs};
    apr_array_header_t *ids;
    udm_error_t *error = udm_handler_ids(&ids, r);

    bulk.ids = ids;
    bulk.left = apr_array_make(r->pool, 4, sizeof(apr_int64_t));
    while (!error && bulk.done < ids->nelts) {
        error = udm_dbd_with(r, false, delete_batch, &bulk);
    }
    return error ? udm_respond_error(r, error) : udm_handler_respond_deleted(r, bulk.left, false);
}

int udm_handle_job_delete_many(request_rec *r, udm_request_t *q)
{
    return udm_handler_delete_ids(r, q, false);
}
