/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate_handler.c: /cipher: the certificate that a contact centre's exports are encrypted to.
 */
#include <string.h>

#include <httpd.h>
#include <http_protocol.h>

#include <apr_strings.h>
#include <jansson.h>

#include "core/calendar.h"
#include "core/certificate.h"
#include "core/multipart.h"
#include "core/text.h"
#include "db/tenant.h"
#include "httpd/dbd.h"
#include "httpd/handler.h"

/* The largest body: a certificate file and the form around it. */
#define BODY_MAX      (128 * 1024)
#define NAME_MAX_SIZE 255

typedef struct certificate_work_t {
    request_rec *r;
    const udm_request_t *q;
    const char *file; /* what was uploaded */
    apr_size_t size;
    udm_certificate_info_t *info;
} certificate_work_t;

static udm_error_t *get_certificate(udm_pg_t *db, void *baton)
{
    certificate_work_t *work = baton;

    return udm_certificate_get(&work->info, work->r->pool, db, work->q->who->ccid);
}

/* What the API shows of a certificate. */
static json_t *info_json(const certificate_work_t *work)
{
    return json_pack("{s:s, s:s, s:I, s:s?}", "ccid", work->q->who->ccid, "name", work->info->name,
                     "size", (json_int_t)work->info->size, "lastModified",
                     udm_calendar_text(work->r->pool, work->info->modified));
}

/* What the certificate must be depends on how the contact centre's files are encrypted. */
static udm_error_t *put_certificate(udm_pg_t *db, void *baton)
{
    certificate_work_t *work = baton;
    udm_encryption encryption = udm_config_encryption(work->q->dir);
    udm_certificate_t *certificate;
    udm_error_t *error = udm_tenant_encryption(&encryption, work->r->pool, db, work->q->who->ccid);

    if (!error) {
        error = udm_certificate_parse(&certificate, work->r->pool, work->file, work->size,
                                      encryption, apr_time_now());
    }
    if (!error) {
        error = udm_certificate_try(work->r->pool, certificate, encryption);
    }
    if (!error && apr_table_get(work->r->headers_in, "If-Match")) {
        error = get_certificate(db, work);
        if (!error || error->kind == UDM_E_NOT_FOUND) {
            error = udm_handler_if_match(work->r, error ? NULL : info_json(work));
        }
    }
    if (error) {
        return error;
    }
    return udm_certificate_put(work->r->pool, db, &work->q->audit, work->q->parameter, certificate,
                               (apr_int64_t)work->size);
}

int udm_handle_certificate_get(request_rec *r, udm_request_t *q)
{
    certificate_work_t work = {.r = r, .q = q};
    udm_error_t *error = udm_dbd_with(r, true, get_certificate, &work);

    if (error) {
        return udm_respond_error(r, error);
    }
    return udm_respond_resource(r, info_json(&work));
}

/* The name is shown to people and stored: it must be that of a file, not a path. */
static udm_error_t *check_name(apr_pool_t *p, const char *name)
{
    const char *c;

    for (c = name; *c && *c != '/' && *c != '\\'; c++) {
    }
    if (*c || c == name || c - name > NAME_MAX_SIZE || !strcmp(name, ".") || !strcmp(name, "..") ||
        !udm_text_is_utf8(name, c - name) || udm_text_has_control(name)) {
        return udm_error_make(
            p, UDM_E_INVALID,
            "the certificate's file name in the path must be a plain file name in "
            "UTF-8 of at most %d bytes, without slashes or control characters",
            NAME_MAX_SIZE);
    }
    return NULL;
}

/* Whether the body is a form: its type says so, or names a boundary, of whatever media type it is. */
static bool is_form(const request_rec *r)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");

    if (type && udm_multipart_announced(r->pool, type)) {
        type = apr_pstrmemdup(r->pool, type, strcspn(type, "; \t"));
        return udm_request_has_type(r, type); /* which also sees to Content-Encoding */
    }
    return udm_request_has_type(r, "multipart/form-data");
}

/* Takes the certificate file out of the body. */
static udm_error_t *read_file(const char **file, apr_size_t *file_size, request_rec *r)
{
    const char *data;
    apr_size_t size;
    udm_error_t *error = udm_request_body(&data, &size, r, BODY_MAX);

    if (error) {
        return error;
    }
    if (size == 0) {
        return udm_error_make(
            r->pool, UDM_E_INVALID,
            "the request has no body: send the certificate as multipart/form-data "
            "in the field \"file\"");
    }
    if (is_form(r)) {
        error =
            udm_multipart_field(file, file_size, r->pool,
                                apr_table_get(r->headers_in, "Content-Type"), data, size, "file");
    }
    else if (udm_request_has_type(r, "application/x-pem-file")) {
        *file = data;
        *file_size = size;
    }
    else {
        error = udm_error_make(r->pool, UDM_E_MEDIA_TYPE,
                               "send the certificate as multipart/form-data in the field \"file\", "
                               "or alone as application/x-pem-file");
    }
    if (!error && *file_size > UDM_CERTIFICATE_MAX_SIZE) {
        error = udm_error_make(r->pool, UDM_E_TOO_LARGE,
                               "the certificate file is too large: at most %d bytes are taken",
                               UDM_CERTIFICATE_MAX_SIZE);
    }
    return error;
}

int udm_handle_certificate_upload(request_rec *r, udm_request_t *q)
{
    certificate_work_t work = {.r = r, .q = q};
    udm_error_t *error;

    if (!udm_config_certificate_upload(q->dir)) {
        error = udm_error_make(r->pool, UDM_E_FORBIDDEN,
                               "certificates cannot be uploaded here: ask whoever runs the server");
    }
    else if (!q->who->certificate) {
        error = udm_error_make(r->pool, UDM_E_FORBIDDEN,
                               "you may not replace the certificate: it takes a role with that "
                               "right");
    }
    else {
        error = check_name(r->pool, q->parameter);
    }
    if (!error) {
        error = read_file(&work.file, &work.size, r);
    }
    if (!error) {
        error = udm_dbd_with(r, false, put_certificate, &work);
    }
    if (error) {
        return udm_respond_error(r, error);
    }
    return udm_respond_json(r, HTTP_CREATED, json_string(q->parameter));
}
