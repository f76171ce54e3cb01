/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * respond.c: writes answers.
 */
#include <string.h>

#include <httpd.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>

#include <apr_strings.h>

#include "core/etag.h"
#include "core/json.h"
#include "httpd/dbd.h"
#include "httpd/request.h"
#include "httpd/respond.h"

APLOG_USE_MODULE(udm);

#define TYPE_JSON    "application/json"
#define TYPE_PROBLEM "application/problem+json"

/* Deprecation (RFC 9745) and, if configured, Sunset (RFC 8594) of what is about to end. */
static void set_deprecation(request_rec *r, const udm_request_t *q)
{
    if (!(q->version & UDM_DEPRECATED_VERSIONS)) {
        return;
    }
    apr_table_setn(r->err_headers_out, "Deprecation",
                   apr_psprintf(r->pool, "@%d", UDM_DEPRECATED_SINCE));
    if (q->dir->sunset && *q->dir->sunset) {
        apr_table_setn(r->err_headers_out, "Sunset", q->dir->sunset);
    }
}

void udm_respond_headers(request_rec *r)
{
    const udm_request_t *q = udm_request_known(r);

    /* err_headers_out is sent whatever becomes of the request */
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->err_headers_out, "X-Content-Type-Options", "nosniff");
    if (q) {
        apr_table_setn(r->err_headers_out, "X-Request-Id", q->id);
        set_deprecation(r, q);
    }
}

void udm_respond_whole(request_rec *r)
{
    apr_table_unset(r->headers_in, "Range");
    apr_table_unset(r->headers_in, "Request-Range"); /* which httpd takes for the same */
}

bool udm_respond_wraps(request_rec *r)
{
    const udm_request_t *q = udm_request_known(r);

    return q && q->path && udm_config_wrapped(q->dir);
}

/* Begins an answer of the module: no error page replaces it. */
static void begin(request_rec *r, int status)
{
    udm_request_t *q = udm_request_known(r);

    if (q) {
        q->ours = true;
    }
    udm_respond_headers(r);
    udm_respond_whole(r);
    r->status = status;
}

/* Writes a whole body; httpd drops it for HEAD. */
static int respond_text(request_rec *r, const char *type, const char *text)
{
    ap_set_content_type(r, type);
    ap_set_content_length(r, (apr_off_t)strlen(text));
    ap_rputs(text, r);
    return OK;
}

/* An answer that could not be made. */
static int respond_unmade(request_rec *r)
{
    return udm_respond_error(
        r, udm_error_make(r->pool, UDM_E_INTERNAL, "an answer could not be put into JSON"));
}

/* Writes JSON as it is. */
static int respond_bare(request_rec *r, int status, const char *type, json_t *json)
{
    const char *text = json ? udm_json_text(r->pool, json) : NULL;

    json_decref(json);
    if (r->eos_sent) {
        return OK; /* httpd has answered already, when it read the body */
    }
    if (!text) {
        return respond_unmade(r);
    }
    begin(r, status);
    return respond_text(r, type, text);
}

/* In its envelope, where answers have one. */
static const char *dressed(request_rec *r, const char *text)
{
    return udm_respond_wraps(r)
               ? apr_pstrcat(r->pool, UDM_JSON_ENVELOPE_BEFORE, text, UDM_JSON_ENVELOPE_AFTER, NULL)
               : text;
}

int udm_respond_text(request_rec *r, int status, const char *text)
{
    if (r->eos_sent) {
        return OK; /* as above */
    }
    begin(r, status);
    return respond_text(r, TYPE_JSON, dressed(r, text));
}

int udm_respond_json(request_rec *r, int status, json_t *json)
{
    if (json && udm_respond_wraps(r)) {
        json = udm_json_envelope(json);
    }
    return respond_bare(r, status, TYPE_JSON, json);
}

int udm_respond_as_is(request_rec *r, json_t *json)
{
    return respond_bare(r, HTTP_OK, TYPE_JSON, json);
}

/* httpd compares what is left of it strongly, or not at all. */
static void recognize(request_rec *r, const char *name, const char *etag)
{
    if (udm_etag_names(apr_table_get(r->headers_in, name), etag)) {
        apr_table_setn(r->headers_in, name, etag);
    }
}

void udm_respond_recognize_tag(request_rec *r, const char *etag)
{
    recognize(r, "If-None-Match", etag);
    /* a part of what a proxy has compressed must never be completed with a part of what is here */
    if (!apr_table_get(r->headers_in, "Range")) {
        recognize(r, "If-Match", etag);
    }
}

/* Answers with JSON that has a tag, or with the 304 or 412 that the tag calls for. */
static int respond_tagged(request_rec *r, const char *etag, const char *text,
                          const char *cache_control)
{
    int status;

    /* without a date of change there is nothing to compare these with */
    apr_table_unset(r->headers_in, "If-Modified-Since");
    apr_table_unset(r->headers_in, "If-Unmodified-Since");
    /* a compressed answer would have another tag, which If-Match could not name */
    apr_table_setn(r->subprocess_env, "no-gzip", "1");
    apr_table_setn(r->subprocess_env, "no-brotli", "1");
    apr_table_setn(r->headers_out, "ETag", etag);
    udm_respond_whole(r);
    udm_respond_recognize_tag(r, etag);
    status = ap_meets_conditions(r);
    if (status == HTTP_PRECONDITION_FAILED) {
        return udm_respond_error(
            r, udm_error_make(r->pool, UDM_E_PRECONDITION,
                              "what is here has not the entity tag that If-Match names"));
    }
    begin(r, HTTP_OK);
    apr_table_setn(r->err_headers_out, "Cache-Control", cache_control);
    return status == OK ? respond_text(r, TYPE_JSON, text) : status;
}

int udm_respond_resource_text(request_rec *r, const char *text)
{
    return udm_respond_resource_tagged(r, udm_etag_text(r->pool, text), text);
}

int udm_respond_resource_tagged(request_rec *r, const char *etag, const char *text)
{
    return respond_tagged(r, etag, dressed(r, text), "private, no-cache");
}

int udm_respond_resource(request_rec *r, json_t *json)
{
    const char *text = json ? udm_json_text(r->pool, json) : NULL;

    json_decref(json);
    return text ? udm_respond_resource_text(r, text) : respond_unmade(r);
}

int udm_respond_document(request_rec *r, const char *text)
{
    return respond_tagged(r, udm_etag_text(r->pool, text), text, "no-cache");
}

int udm_respond_empty(request_rec *r, int status)
{
    if (r->eos_sent) {
        return OK; /* as above */
    }
    begin(r, status);
    if (status != HTTP_NO_CONTENT) {
        ap_set_content_length(r, 0);
    }
    return OK;
}

/* The problem document of an error, under the given status. */
static json_t *problem_of(request_rec *r, int status, const udm_error_t *error)
{
    json_t *problem = udm_json_problem(r->pool, error);

    json_object_set_new(problem, "status", json_integer(status));
    json_object_set_new(problem, "title", json_string(udm_json_title(status)));
    return problem;
}

/* The body of an error as it is sent here, and its media type. */
static json_t *error_body(const char **type, request_rec *r, int status, const udm_error_t *error)
{
    json_t *problem = problem_of(r, status, error);

    if (udm_respond_wraps(r)) {
        *type = TYPE_JSON;
        return udm_json_error_envelope(status, problem, NULL);
    }
    *type = TYPE_PROBLEM;
    return problem;
}

int udm_respond_left(request_rec *r, int status, const char *reason, json_t *left)
{
    if (udm_respond_wraps(r)) {
        const udm_error_t *error = udm_error_make(r->pool, UDM_E_INVALID, "%s", reason);

        left = udm_json_error_envelope(status, problem_of(r, status, error), left);
    }
    return respond_bare(r, status, TYPE_JSON, left);
}

/* An answer nobody expected is for the log; the client gets what it can quote. */
static const udm_error_t *for_client(request_rec *r, const udm_error_t *error)
{
    const udm_request_t *q = udm_request_known(r);

    if (error->kind != UDM_E_INTERNAL && udm_error_http_status(error) != 500) {
        return error;
    }
    ap_log_rerror(APLOG_MARK, APLOG_ERR, error->status, r, "UDM0040: request %s: %s",
                  q ? q->id : "-", udm_error_line(r->pool, error));
    return udm_error_make(r->pool, UDM_E_INTERNAL,
                          "the server made a mistake; quote the request id %s to whoever runs it",
                          q ? q->id : "-");
}

/* When to try again, for those whom it may help. */
static void set_retry_after(request_rec *r, int status, const udm_error_t *error)
{
    if (error->retry_after > 0) {
        apr_table_setn(r->err_headers_out, "Retry-After", apr_itoa(r->pool, error->retry_after));
    }
    else if (status == HTTP_SERVICE_UNAVAILABLE) {
        apr_table_setn(r->err_headers_out, "Retry-After", UDM_RETRY_AFTER);
    }
}

int udm_respond_error_as(request_rec *r, int status, const udm_error_t *error)
{
    const char *type;
    json_t *body = error_body(&type, r, status, for_client(r, error));

    set_retry_after(r, status, error);
    return respond_bare(r, status, type, body);
}

int udm_respond_error(request_rec *r, const udm_error_t *error)
{
    return udm_respond_error_as(r, udm_error_http_status(error), error);
}

int udm_respond_refuse(request_rec *r, const udm_error_t *error)
{
    udm_request_t *q = udm_request_guarded(r);
    int status = udm_error_http_status(error);

    q->refusal = for_client(r, error);
    set_retry_after(r, status, error);
    ap_custom_response(r, status, "\"refused"); /* whatever ErrorDocument says */
    return status;
}

/* What is said of a status that httpd itself chose. */
static const char *reason_of(const request_rec *r, int status)
{
    switch (status) {
    case HTTP_UNAUTHORIZED:
        return "credentials are needed here: the headers x-api-key and Authorization: Bearer";
    case HTTP_FORBIDDEN:
        return "the rules of this server do not allow you to do that";
    case HTTP_REQUEST_ENTITY_TOO_LARGE:
        return "the request body is larger than this server takes";
    case HTTP_REQUEST_URI_TOO_LARGE:
        return apr_psprintf(r->pool,
                            "the request line is longer than the %d bytes that this server takes: "
                            "name fewer things in one request",
                            r->server->limit_req_line);
    case HTTP_RANGE_NOT_SATISFIABLE:
        return "the file has none of the bytes that Range asks for: see Content-Range";
    case HTTP_REQUEST_TIME_OUT:
        return "the request did not arrive in time: send it again";
    default:
        return "this server refused the request";
    }
}

const char *udm_respond_problem_text(const char **type, request_rec *r, int status)
{
    const udm_request_t *q = udm_request_known(r);
    const udm_error_t *error = q ? q->refusal : NULL;
    const char *text;
    json_t *body;

    if (!error || udm_error_http_status(error) != status) {
        error = udm_error_make(r->pool, UDM_E_INVALID, "%s", reason_of(r, status));
    }
    body = error_body(type, r, status, error);
    text = udm_json_text(r->pool, body);
    json_decref(body);
    return text;
}
