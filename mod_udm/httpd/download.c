/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * download.c: GET <mount>/download/{name}: hands a file to whoever holds a signed link.
 *
 * The file goes through httpd's own path: sendfile or mmap, Range, If-Range and conditional requests
 * are httpd's. The link is the credential; any other one that is sent along is neither needed nor
 * looked at.
 */
#include <string.h>

#include <httpd.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#include <apr_base64.h>
#include <apr_buckets.h>
#include <apr_file_io.h>
#include <apr_strings.h>

#include "core/artifact.h"
#include "core/link.h"
#include "core/text.h"
#include "db/download.h"
#include "httpd/batch.h"
#include "httpd/child.h"
#include "httpd/config.h"
#include "httpd/handler.h"
#include "store/store.h"

APLOG_USE_MODULE(udm);

/* Read into memory: less work than httpd's mmap, whose end interrupts every core that a thread is on. */
#define SMALL_FILE 16384

/* Opens the file in the store and notes its state in r->finfo; whether it is listed is not known. */
static udm_error_t *open_file(apr_file_t **fd, request_rec *r, const char *name)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    const char *root = udm_config_main()->store;
    const char *path = udm_store_local_path(r->pool, root, name);
    apr_status_t status;

    if (!path) {
        return udm_error_make(r->pool, UDM_E_INTERNAL, "file %s has not the name of an object",
                              name);
    }
    status =
        apr_file_open(fd, path, APR_READ | APR_BINARY | AP_SENDFILE_ENABLED(core->enable_sendfile),
                      APR_OS_DEFAULT, r->pool);
    if (status == APR_SUCCESS) {
        status = apr_file_info_get(&r->finfo, APR_FINFO_NORM, *fd);
        status = status == APR_INCOMPLETE ? APR_SUCCESS : status;
    }
    if (status != APR_SUCCESS && !udm_store_local_present(r->pool, root)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, status, r,
                      "UDM0071: %s is not the store, or not now: is its volume not mounted?", root);
        return udm_error_status(r->pool, UDM_E_STORE, status,
                                "the files are out of reach at the moment: try again later");
    }
    if (status != APR_SUCCESS) {
        return udm_error_status(r->pool, UDM_E_INTERNAL, status,
                                "file %s is listed but cannot be opened in the store", name);
    }
    if (r->finfo.filetype != APR_REG) {
        return udm_error_make(r->pool, UDM_E_INTERNAL, "file %s is no file in the store", name);
    }
    return NULL;
}

/* The header Repr-Digest (RFC 9530): of the whole file, also where a part of it is sent. */
static const char *repr_digest(apr_pool_t *p, const char *sha256)
{
    unsigned char digest[UDM_SHA256_SIZE];
    char *text;

    if (!udm_text_unhex(digest, sizeof(digest), sha256)) {
        return NULL;
    }
    text = apr_palloc(p, apr_base64_encode_len(sizeof(digest)));
    apr_base64_encode_binary(text, digest, sizeof(digest));
    return apr_pstrcat(p, "sha-256=:", text, ":", NULL);
}

/* The headers of the file: it never changes, so its hash is a strong ETag. */
static void set_headers(request_rec *r, const udm_download_t *info)
{
    const char *digest = repr_digest(r->pool, info->sha256);
    const char *etag = apr_pstrcat(r->pool, "\"", info->sha256, "\"", NULL);
    udm_artifact_t artifact;

    /* It has such a name: it was found in the store. */
    (void)udm_artifact_parse(&artifact, info->name);
    ap_set_content_type(r, udm_encryption_media_type(artifact.encryption));
    apr_table_setn(r->headers_out, "Content-Disposition",
                   apr_pstrcat(r->pool, "attachment; filename=\"", info->name, "\"", NULL));
    apr_table_setn(r->headers_out, "ETag", etag);
    udm_respond_recognize_tag(r, etag);
    apr_table_setn(r->headers_out, "Accept-Ranges", "bytes");
    if (digest) {
        apr_table_setn(r->headers_out, "Repr-Digest", digest);
    }
    apr_table_setn(r->err_headers_out, "Referrer-Policy", "no-referrer");
    /* it is encrypted: compressing it would only cost Range and Content-Length */
    apr_table_setn(r->subprocess_env, "no-gzip", "1");
    apr_table_setn(r->subprocess_env, "no-brotli", "1");
    ap_update_mtime(r, info->created);
    ap_set_last_modified(r);
    ap_set_content_length(r, r->finfo.size);
}

/* Puts the open file into the brigade. */
static void add_file(apr_bucket_brigade *bb, request_rec *r, apr_file_t *fd)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    apr_size_t size = (apr_size_t)r->finfo.size;
    apr_bucket *bucket;
    char *data;

    if (r->finfo.size > 0 && r->finfo.size <= SMALL_FILE && !r->header_only) {
        data = apr_palloc(r->pool, size);
        if (apr_file_read_full(fd, data, size, NULL) == APR_SUCCESS) {
            bucket = apr_bucket_pool_create(data, size, r->pool, bb->bucket_alloc);
            APR_BRIGADE_INSERT_TAIL(bb, bucket);
            return;
        }
        /* A file that cannot be read ends as httpd's own do. */
    }
    bucket = apr_brigade_insert_file(bb, fd, 0, r->finfo.size, r->pool);
#if APR_HAS_MMAP
    if (core->enable_mmap == ENABLE_MMAP_OFF) {
        apr_bucket_file_enable_mmap(bucket, 0);
    }
#endif
}

/* Sends the open file. */
static int send_file(request_rec *r, apr_file_t *fd)
{
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_status_t status;

    add_file(bb, r, fd);
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(bb->bucket_alloc));
    status = ap_pass_brigade(r->output_filters, bb);
    if (status != APR_SUCCESS && r->status != HTTP_OK && !r->connection->aborted) {
        return AP_FILTER_ERROR;
    }
    if (status != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, status, r, "UDM0070: a download was not completed");
    }
    return OK;
}

UDM_BATCH_FN(udm_handler_ask_downloads, udm_download_t, udm_download_many)

/* Holds the link against the keys, and where none fits against those that are in the file by now. */
static udm_error_t *check_link(request_rec *r, const udm_request_t *q)
{
    udm_key_file_t *file = udm_config_main()->link_keys;
    const udm_link_keys_t *keys = udm_key_file_link_keys(file, r);
    const char *query = r->args ? r->args : "";
    const udm_link_keys_t *now;
    udm_error_t *error = udm_link_check(r->pool, keys, q->parameter, query, apr_time_now());

    if (error && error->kind == UDM_E_FORBIDDEN) {
        now = udm_key_file_link_keys_now(file, r);
        if (now != keys) {
            error = udm_link_check(r->pool, now, q->parameter, query, apr_time_now());
        }
    }
    return error;
}

int udm_handle_file_download(request_rec *r, udm_request_t *q)
{
    udm_download_t download = {.pool = r->pool,
                               .name = q->parameter,
                               .size = -1,
                               .client_address = q->audit.client_address,
                               .request_id = q->audit.request_id};
    apr_file_t *fd = NULL;
    udm_error_t *not_open = NULL;
    int status;
    udm_error_t *error = check_link(r, q);

    if (!error) {
        not_open = open_file(&fd, r, q->parameter);
        /* what cannot be sent is not to stand in the audit as downloaded */
        download.size = not_open ? -1 : r->finfo.size;
        error = udm_batch_ask(udm_child_of(r)->downloads, r, &download, "");
        if (!error) {
            error = download.error;
        }
    }
    if (!error) {
        error = not_open;
    }
    if (!error && r->finfo.size != download.listed_size) {
        error = udm_error_make(r->pool, UDM_E_INTERNAL,
                               "file %s has %" APR_OFF_T_FMT
                               " bytes in the store, not %" APR_INT64_T_FMT,
                               q->parameter, r->finfo.size, download.listed_size);
    }
    if (error) {
        return udm_respond_error(r, error);
    }
    udm_respond_headers(r);
    set_headers(r, &download);
    status = ap_meets_conditions(r);
    if (status == HTTP_PRECONDITION_FAILED) {
        ap_set_content_length(r, 0);
        apr_table_unset(r->headers_out, "Content-Disposition");
        apr_table_unset(r->headers_out, "Repr-Digest");
        return udm_respond_error(
            r, udm_error_make(r->pool, UDM_E_PRECONDITION,
                              "the file is not the one that the condition names"));
    }
    if (status != OK) {
        return status; /* 304 */
    }
    return send_file(r, fd);
}
