/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * list_handler.c: lists of jobs, runs and files, of any length.
 *
 * A list is read and written in batches. Each batch borrows a connection only while it is read, so
 * a slow client holds none; and lives in a pool that is cleared, so memory does not depend on the
 * length of the list.
 */
#include <httpd.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#include <apr_strings.h>
#include <jansson.h>

#include "core/calendar.h"
#include "core/json.h"
#include "core/listing.h"
#include "db/file.h"
#include "db/job.h"
#include "db/list.h"
#include "httpd/auth.h"
#include "httpd/dbd.h"
#include "httpd/handler.h"

APLOG_USE_MODULE(udm);

#define WRITE_SIZE 24576 /* what is gathered before it is written */

typedef struct list_read_t {
    request_rec *r;
    const udm_request_t *q;
    udm_list_kind kind;
    const udm_listing_t *listing;
    apr_int64_t count;
    udm_list_t *list;
    apr_pool_t *batch_pool;
    apr_array_header_t *batch;
} list_read_t;

/* Counts, fixes the list, and reads the first batch: a short list takes one loan. */
static udm_error_t *read_first(udm_pg_t *db, void *baton)
{
    list_read_t *read = baton;
    udm_error_t *error = udm_list_open(&read->list, &read->count, read->r->pool, db, read->kind,
                                       read->listing, read->q->who);

    return error || read->r->header_only
               ? error
               : udm_list_next(&read->batch, read->batch_pool, db, read->list);
}

static udm_error_t *read_next(udm_pg_t *db, void *baton)
{
    list_read_t *read = baton;

    return udm_list_next(&read->batch, read->batch_pool, db, read->list);
}

/* An item of file-metadatas. */
static void put_file(udm_json_out_t *out, apr_pool_t *p, const udm_file_info_t *file)
{
    udm_json_put(out, "{\"id\":");
    udm_json_put_int(out, file->id);
    udm_json_put(out, ",\"name\":");
    udm_json_put_string(out, file->name);
    udm_json_put(out, ",\"size\":");
    udm_json_put_int(out, file->size);
    udm_json_put(out, ",\"type\":");
    udm_json_put_string(out, file->type);
    udm_json_put(out, ",\"source\":");
    udm_json_put_string(out, file->source);
    udm_json_put(out, ",\"jobTitle\":");
    udm_json_put_string(out, file->job_title);
    udm_json_put(out, ",\"jobId\":");
    udm_json_put_int(out, file->job_id);
    udm_json_put(out, ",\"historyId\":");
    udm_json_put_int(out, file->run_id);
    udm_json_put(out, ",\"createdDate\":");
    udm_json_put_string(out, udm_calendar_text(p, file->created));
    udm_json_put(out, ",\"expirationDate\":");
    udm_json_put_string(out, udm_calendar_text(p, file->expires));
    udm_json_put(out, ",\"remainingDays\":");
    udm_json_put_int(out, file->remaining_days);
    udm_json_put(out, ",\"sha256\":");
    udm_json_put_string(out, file->sha256);
    udm_json_put(out, "}");
}

/*
 * Ends an answer that cannot be completed, so that nobody takes it for whole: the bucket makes the
 * chunk filter leave out the last chunk (and HTTP/2 reset the stream), then the connection closes.
 */
static void break_off(request_rec *r, const udm_error_t *error)
{
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, alloc);

    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "UDM0060: a list was broken off: %s",
                  udm_error_line(r->pool, error));
    r->connection->keepalive = AP_CONN_CLOSE;
    APR_BRIGADE_INSERT_TAIL(bb, ap_bucket_error_create(HTTP_BAD_GATEWAY, NULL, r->pool, alloc));
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(alloc));
    (void)ap_pass_brigade(r->output_filters, bb);
}

/* Writes one batch. @return false once the client is gone */
static bool write_batch(const list_read_t *read, bool *comma)
{
    udm_json_out_t *out = udm_json_out(read->batch_pool, 32768);
    int i;

    for (i = 0; i < read->batch->nelts; i++) {
        const void *row = APR_ARRAY_IDX(read->batch, i, const void *);

        udm_json_put(out, *comma ? "," : "");
        if (read->kind == UDM_LIST_FILES) {
            put_file(out, read->batch_pool, row);
        }
        else {
            udm_job_info_put(out, read->batch_pool, row, read->q->route->version);
        }
        *comma = true;
        if (out->size >= WRITE_SIZE || i + 1 == read->batch->nelts) {
            if (ap_rwrite(out->text, (int)out->size, read->r) < 0) {
                return false;
            }
            out->size = 0;
        }
    }
    return true;
}

/* Writes the page, batch by batch; the first one is read already. */
static int stream(list_read_t *read)
{
    request_rec *r = read->r;
    udm_error_t *error = NULL;
    const char *next;
    bool comma = false;
    bool wraps = udm_respond_wraps(r);

    ap_rprintf(r, "%s{\"count\":%" APR_INT64_T_FMT ",\"from\":%" APR_INT64_T_FMT ",\"items\":[",
               wraps ? UDM_JSON_ENVELOPE_BEFORE : "", read->count, read->listing->from);
    while (read->batch->nelts > 0) {
        if (!write_batch(read, &comma) || r->connection->aborted) {
            return OK;
        }
        apr_pool_clear(read->batch_pool);
        error = udm_dbd_with(r, true, read_next, read);
        if (error) {
            break_off(r, error);
            return OK;
        }
    }
    next = udm_list_cursor(r->pool, read->list);
    if (next) { /* letters, digits, - and _ */
        ap_rprintf(r, "],\"next\":\"%s\"", next);
    }
    ap_rprintf(r, "%s,\"size\":%" APR_INT64_T_FMT "}%s", next ? "" : "]", read->listing->size,
               wraps ? UDM_JSON_ENVELOPE_AFTER : "");
    return OK;
}

/* The answer of all three lists. */
static int handle_list(request_rec *r, udm_request_t *q, udm_list_kind kind,
                       const udm_listing_spec_t *spec)
{
    list_read_t read = {.r = r, .q = q, .kind = kind};
    udm_listing_t *listing;
    apr_table_t *query;
    udm_error_t *error = udm_handler_query(&query, r, NULL);

    if (!error) {
        error = udm_listing_parse(&listing, r->pool, spec, q->route->version, query);
    }
    if (!error && listing->after) {
        /* under names from before a rename this would be the end of the list */
        error = udm_auth_anew(r, q);
    }
    if (!error) {
        read.listing = listing;
        apr_pool_create(&read.batch_pool, r->pool);
        error = udm_dbd_with(r, true, read_first, &read);
    }
    if (error) {
        return udm_respond_error(r, error);
    }
    if (read.count == 0 && kind != UDM_LIST_FILES) {
        return udm_respond_empty(r, HTTP_NO_CONTENT);
    }
    q->ours = true;
    udm_respond_headers(r);
    udm_respond_whole(r);
    ap_set_content_type(r, "application/json");
    return r->header_only ? OK : stream(&read);
}

int udm_handle_job_list(request_rec *r, udm_request_t *q)
{
    return handle_list(r, q, UDM_LIST_JOBS, udm_job_listing());
}

int udm_handle_run_list(request_rec *r, udm_request_t *q)
{
    return handle_list(r, q, UDM_LIST_RUNS, udm_run_listing());
}

int udm_handle_file_list(request_rec *r, udm_request_t *q)
{
    return handle_list(r, q, UDM_LIST_FILES, udm_file_listing());
}
