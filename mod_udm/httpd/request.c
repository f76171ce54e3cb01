/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * request.c: recognises requests and reads bodies.
 */
#include <stdlib.h>
#include <string.h>

#include <httpd.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#include <apr_buckets.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "core/redact.h"
#include "core/text.h"
#include "httpd/request.h"
#include "httpd/secrets.h"

#define REQUEST_ID_MAX 128

/* Bytes of a body that are made room for before any of it has come. */
#define BODY_ANNOUNCED 1048576

/* The id that the client sent, if it is harmless in a header, a log line and the audit: no key. */
static const char *request_id(request_rec *r)
{
    const char *id = apr_table_get(r->headers_in, "X-Request-Id");
    apr_size_t length = 0;

    if (id) {
        while (id[length] && (apr_isalnum(id[length]) || strchr("._-:+/=@", id[length]))) {
            length++;
        }
        if (length > 0 && !id[length] && length <= REQUEST_ID_MAX &&
            udm_redact(r->pool, id, UDM_REDACT_OTHERS) == id) {
            return id;
        }
    }
    id = apr_table_get(r->subprocess_env, "UNIQUE_ID");
    return id ? id : udm_text_uuid(r->pool);
}

/* Which credentials are asked for here: the route says so unless the section does. */
static udm_need need_of(const udm_dir_t *dir, udm_need need)
{
    if (need == UDM_NEED_NONE) {
        return need;
    }
    switch (dir->require) {
    case UDM_REQUIRE_KEY:
        return UDM_NEED_KEY;
    case UDM_REQUIRE_TOKEN:
        return UDM_NEED_TOKEN;
    case UDM_REQUIRE_BOTH:
        return UDM_NEED_BOTH;
    case UDM_REQUIRE_ANY:
        return UDM_NEED_ANY;
    case UDM_REQUIRE_UNSET:
    case UDM_REQUIRE_DEFAULT:
        break;
    }
    return need;
}

/* Below the mount: "/udm/v10/x" is "/v10/x". NULL when the path is not below it. */
static const char *path_below(const char *mount, const char *uri)
{
    apr_size_t length = strlen(mount);

    if (strncmp(uri, mount, length) || (uri[length] && uri[length] != '/')) {
        return NULL;
    }
    return uri[length] ? uri + length : "/";
}

/* The version that a path begins with, if it is switched on; else 0. */
static int version_of(apr_pool_t *p, int versions, const char *path)
{
    const char *rest = path + 1;
    udm_version version;

    return udm_version_parse(&version, ap_getword(p, &rest, '/')) ? version & versions : 0;
}

/* What a section asks for where no route says it: what its versions do. */
static udm_need rest_need_of(const udm_dir_t *dir, int version)
{
    int versions = version ? version : udm_config_versions(dir);

    return need_of(dir, versions & UDM_V10 ? UDM_NEED_BOTH : UDM_NEED_KEY);
}

/* @return true for a path that begins as those of the API do: "/v" and digits, or "/download" */
static bool begins_as_ours(const char *path)
{
    static const char downloads[] = "/download";
    apr_size_t size = sizeof(downloads) - 1;

    if (strncmp(path, downloads, size) != 0) {
        size = path[1] == 'v' ? strspn(path + 2, "0123456789") : 0;
        size = size > 0 ? size + 2 : 0;
    }
    return size > 0 && (!path[size] || path[size] == '/');
}

/* @return true for a path that nobody answers but the API, if only to say that it has no such one */
static bool is_of_api(const udm_request_t *q)
{
    return !q->route_error || q->route_error->kind == UDM_E_METHOD || begins_as_ours(q->path);
}

/* Puts the request where it is now: a section may say what others do not. */
static void place_request(udm_request_t *q, request_rec *r, const udm_dir_t *dir, const char *path)
{
    int versions = udm_config_versions(dir);

    q->dir = dir;
    q->path = path;
    q->version = path ? version_of(r->pool, versions, path) : 0;
    q->rest_need = rest_need_of(dir, q->version);
    if (!path) {
        q->need = q->rest_need;
        return;
    }
    q->route_error =
        udm_route_find(&q->route, &q->parameter, &q->allow, r->pool, versions, r->method, path);
    if (q->route_error) {
        q->route = NULL;
        /* a 404 or 405 of the API tells nobody anything; another path may be somebody else's */
        q->need = is_of_api(q) ? UDM_NEED_NONE : q->rest_need;
    }
    else {
        q->need = need_of(dir, q->route->need);
    }
}

bool udm_request_elsewhere(const request_rec *r, const udm_request_t *q)
{
    if (r->proxyreq != PROXYREQ_NONE || !q->path) {
        return true;
    }
    if (is_of_api(q)) {
        return false;
    }
    if (!q->located) {
        return true;
    }
    /* without one that somebody has named, httpd takes its own or the media type for one */
    return r->handler && strcmp(r->handler, AP_DEFAULT_HANDLER_NAME) != 0 &&
           (!r->content_type || strncmp(r->content_type, r->handler, strlen(r->handler)) != 0);
}

bool udm_request_of_others(const request_rec *r, const udm_request_t *q)
{
    return r->proxyreq != PROXYREQ_NONE || !q->path || !is_of_api(q);
}

static udm_request_t *make_request(request_rec *r, const udm_dir_t *dir, const char *path)
{
    udm_request_t *q = apr_pcalloc(r->pool, sizeof(*q));

    q->id = request_id(r);
    place_request(q, r, dir, path);
    q->audit.client_address = r->useragent_ip;
    q->audit.request_id = q->id;
    apr_table_setn(r->notes, "udm-request-id", q->id);
    ap_set_module_config(r->request_config, &udm_module, q);
    if (path) {
        udm_secrets_ours(r);
    }
    return q;
}

/* The path of a request line that may end anywhere, or NULL. */
static const char *path_of_line(apr_pool_t *p, const char *line)
{
    const char *at = line ? strchr(line, ' ') : NULL;
    const char *authority = at ? strstr(at, "://") : NULL;

    if (!at) {
        return NULL;
    }
    at++;
    if (*at != '/' && authority && strcspn(at, "/?") > (apr_size_t)(authority - at)) {
        at = authority + 3;
        at += strcspn(at, "/? ");
    }
    return *at == '/' ? apr_pstrmemdup(p, at, strcspn(at, "? ")) : NULL;
}

udm_request_t *udm_request_cut_off(request_rec *r, const apr_array_header_t *mounts)
{
    const char *path = path_of_line(r->pool, r->the_request), *below = NULL;
    const udm_dir_t *dir = NULL;
    int i;

    /* of sections in one another the inner one holds */
    for (i = 0; path && i < mounts->nelts; i++) {
        const udm_dir_t *mounted = APR_ARRAY_IDX(mounts, i, udm_mount_t).dir;
        const char *rest = path_below(mounted->mount, path);

        if (rest && (!dir || strlen(mounted->mount) > strlen(dir->mount))) {
            dir = mounted;
            below = rest;
        }
    }
    if (!dir) {
        return NULL;
    }
    if (!r->method) {
        r->method = "-"; /* httpd takes it from the line only with the rest */
    }
    return make_request(r, dir, below);
}

udm_request_t *udm_request_known(const request_rec *r)
{
    return ap_get_module_config(r->request_config, &udm_module);
}

udm_request_t *udm_request_get(request_rec *r)
{
    const udm_dir_t *dir = udm_config_dir(r);
    udm_request_t *q = udm_request_known(r);
    const char *path;

    if (dir->enabled != 1) {
        return NULL;
    }
    if (q && q->path && q->dir == dir) {
        return q;
    }
    path = path_below(dir->mount, r->uri);
    if (!path) {
        return NULL;
    }
    if (!q || !q->path) {
        return make_request(r, dir, path);
    }
    place_request(q, r, dir, path);
    return q;
}

udm_request_t *udm_request_guarded(request_rec *r)
{
    udm_request_t *q = udm_request_get(r);

    if (!q) {
        q = udm_request_known(r);
    }
    return q ? q : make_request(r, udm_config_dir(r), NULL);
}

/* Why the body was not read: LimitRequestBody, or a client that went, stalled or sent rubbish. */
static udm_error_t *unread(request_rec *r, apr_status_t status)
{
    if (ap_map_http_request_error(status, HTTP_BAD_REQUEST) == HTTP_REQUEST_ENTITY_TOO_LARGE) {
        return udm_error_make(r->pool, UDM_E_TOO_LARGE,
                              "the request body is larger than this server takes");
    }
    return udm_error_status(r->pool, UDM_E_INVALID, status,
                            "the request body could not be read to its end");
}

/* @return an error when the header names a coding beside `plain`, which changes nothing */
static udm_error_t *check_codings(request_rec *r, const char *header, const char *plain)
{
    const char *rest = apr_table_get(r->headers_in, header);
    char *coding;

    while (rest && *rest) {
        coding = ap_getword(r->pool, &rest, ',');
        apr_collapse_spaces(coding, coding);
        if (*coding && ap_cstr_casecmp(coding, plain)) {
            apr_table_setn(r->err_headers_out, "Accept-Encoding", "identity");
            return udm_error_make(r->pool, UDM_E_MEDIA_TYPE,
                                  "the body is packed, as %s says: send it as it is, without that "
                                  "header",
                                  header);
        }
    }
    return NULL;
}

/* Nothing here unpacks a body. A filter that does so (mod_deflate) has taken the header away by now. */
static udm_error_t *check_coding(request_rec *r)
{
    udm_error_t *error = check_codings(r, "Content-Encoding", "identity");

    return error ? error : check_codings(r, "Transfer-Encoding", "chunked");
}

udm_error_t *udm_request_body(const char **data, apr_size_t *size, request_rec *r,
                              apr_int64_t limit)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    apr_bucket_brigade *bb;
    udm_error_t *too_large = udm_error_make(
        r->pool, UDM_E_TOO_LARGE,
        "the request body is too large: at most %" APR_INT64_T_FMT " bytes are taken here", limit);
    apr_size_t capacity = 8191;
    char *buffer;
    bool ended = false;
    apr_off_t announced = 0;

    *size = 0;
    /* httpd has refused a length that is no number */
    if (length && (apr_strtoff(&announced, length, NULL, 10) || announced > limit)) {
        return too_large;
    }
    if (length) {
        /* so it never has to move; what is larger gets its room as it comes, and not for the asking */
        capacity = (apr_size_t)(announced < BODY_ANNOUNCED ? announced : BODY_ANNOUNCED);
    }
    buffer = apr_palloc(r->pool, capacity + 1);
    bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    while (!ended) {
        apr_status_t status =
            ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES, APR_BLOCK_READ, 65536);
        apr_bucket *b;

        if (status != APR_SUCCESS) {
            return unread(r, status);
        }
        for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
            const char *piece;
            apr_size_t piece_size;

            if (APR_BUCKET_IS_EOS(b)) {
                ended = true;
                break;
            }
            if (APR_BUCKET_IS_METADATA(b)) {
                continue;
            }
            status = apr_bucket_read(b, &piece, &piece_size, APR_BLOCK_READ);
            if (status != APR_SUCCESS) {
                return unread(r, status);
            }
            if (piece_size > (apr_size_t)limit - *size) {
                return too_large;
            }
            if (*size + piece_size > capacity) {
                char *larger;

                capacity = 2 * (*size + piece_size);
                larger = apr_palloc(r->pool, capacity + 1);
                memcpy(larger, buffer, *size);
                buffer = larger;
            }
            memcpy(buffer + *size, piece, piece_size);
            *size += piece_size;
        }
        apr_brigade_cleanup(bb);
    }
    buffer[*size] = '\0';
    *data = buffer;
    return *size > 0 ? check_coding(r) : NULL;
}

bool udm_request_has_type(const request_rec *r, const char *type)
{
    const char *sent = apr_table_get(r->headers_in, "Content-Type");
    apr_size_t length = strlen(type);

    return sent && !ap_cstr_casecmpn(sent, type, length) &&
           (!sent[length] || sent[length] == ';' || apr_isspace(sent[length]));
}

/* @return true when the parameters of a media range say q=0 */
static bool weighs_nothing(const char *parameters)
{
    const char *q;

    for (q = parameters; q; q = strchr(q, ';')) {
        for (q++; apr_isspace(*q); q++) {
        }
        if ((*q == 'q' || *q == 'Q') && q[1] == '=') {
            return strtod(q + 2, NULL) <= 0;
        }
    }
    return false;
}

bool udm_request_takes_json(const request_rec *r)
{
    static const char *const ranges[] = {"*/*", "application/*", "application/json",
                                         "application/problem+json", NULL};
    const char *accept = apr_table_get(r->headers_in, "Accept");
    char *copy, *range, *state;
    int i;

    if (!accept || !*accept) {
        return true;
    }
    copy = apr_pstrdup(r->pool, accept);
    for (range = apr_strtok(copy, ",", &state); range; range = apr_strtok(NULL, ",", &state)) {
        char *parameters = strchr(range, ';');

        if (!parameters || !weighs_nothing(parameters)) {
            if (parameters) {
                *parameters = '\0';
            }
            apr_collapse_spaces(range, range);
            for (i = 0; ranges[i]; i++) {
                if (!ap_cstr_casecmp(range, ranges[i])) {
                    return true;
                }
            }
        }
    }
    return false;
}
