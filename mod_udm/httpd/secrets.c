/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * secrets.c: hides credentials where httpd takes its log lines from.
 *
 * httpd copies the request line into the scoreboard right behind post_read_request, and again before
 * the access log; it writes Referer behind each line of the error log, and a path that it refuses as
 * it was sent. So these are replaced as soon as there is a request.
 */
#include <stdbool.h>
#include <string.h>

#include <httpd.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <scoreboard.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "core/redact.h"
#include "httpd/config.h"
#include "httpd/secrets.h"

#define STATE "udm-secrets"

/* The headers that are credentials as a whole. */
static const char *const credentials[] = {"x-api-key", "Authorization", "Proxy-Authorization"};
#define CREDENTIAL_COUNT (sizeof(credentials) / sizeof(credentials[0]))

/* What is known of the secrets in a request, and what was put away. */
typedef struct secrets_t {
    udm_redact_scope scope;
    char *unparsed_uri;       /* NULL: nothing to put back */
    char *the_request;        /* likewise */
    apr_array_header_t *held; /* of held_t; NULL: none */
    bool in_path;             /* there was one in the path, too */
} secrets_t;

/* A header that was put away. */
typedef struct held_t {
    char *name, *value, *shown;
} held_t;

/* Replaces a text that httpd has of a request. */
#define HIDE(r, field, scope) (field) = (char *)udm_redact((r)->pool, (field), (scope))

/* What is known of a request; NULL for nothing yet, and for a sub-request. */
static secrets_t *state_of(request_rec *r)
{
    void *state = NULL;

    apr_pool_userdata_get(&state, STATE, r->pool);
    return state;
}

/* The same, made when there is none. A request that goes on elsewhere (r->prev) has the same pool. */
static secrets_t *make_state(request_rec *r)
{
    secrets_t *state = state_of(r);

    if (!state) {
        state = apr_pcalloc(r->pool, sizeof(*state));
        state->scope = UDM_REDACT_OTHERS;
        apr_pool_userdata_setn(state, STATE, NULL, r->pool);
    }
    return state;
}

/* As httpd is about to do with the path of the request. @return false where httpd will refuse it */
static bool normalize(request_rec *r, char *path)
{
#if AP_MODULE_MAGIC_AT_LEAST(20120211, 109)
    const core_server_config *core = ap_get_core_module_config(r->server->module_config);
    unsigned flags = AP_NORMALIZE_NOT_ABOVE_ROOT | AP_NORMALIZE_DECODE_UNRESERVED;

    if (core->merge_slashes != AP_CORE_CONFIG_OFF) {
        flags |= AP_NORMALIZE_MERGE_SLASHES;
    }
    if (!ap_normalize_path(path, flags)) {
        return false;
    }
#else
    ap_getparents(path);
    ap_no2slash(path);
#endif
    return ap_unescape_url_keep2f(path, 1) == OK;
}

/* @return true for a path below a mount of any server, and for one that httpd will refuse */
static bool is_ours(request_rec *r)
{
    const apr_array_header_t *mounts = udm_config_main()->mount_paths;
    char *path = r->parsed_uri.path;
    apr_size_t size;
    int i;

    if (!path || *path != '/') {
        return true; /* "*" is the whole server */
    }
    if (strchr(path, '%') || strstr(path, "//") || strstr(path, "/.")) {
        path = apr_pstrdup(r->pool, path);
        if (!normalize(r, path)) {
            return true;
        }
    }
    for (i = 0; mounts && i < mounts->nelts; i++) {
        const char *mount = APR_ARRAY_IDX(mounts, i, const char *);

        size = strlen(mount);
        /* "/udm-ui" and "/udm2" are other paths, which may be another application's */
        if (!strncasecmp(path, mount, size) &&
            (!path[size] || (!apr_isalnum(path[size]) && !strchr("-._~", path[size])))) {
            return true;
        }
    }
    return false;
}

static void hide_header(request_rec *r, const char *name, udm_redact_scope scope)
{
    const char *value = apr_table_get(r->headers_in, name);
    const char *hidden = udm_redact(r->pool, value, scope);

    if (hidden != value) {
        apr_table_setn(r->headers_in, name, hidden);
    }
}

/* What may be written before the request is over. */
static void hide_early(request_rec *r, udm_redact_scope scope)
{
    HIDE(r, r->the_request, scope);
    HIDE(r, r->parsed_uri.user, scope); /* httpd makes a line of these where there is a password */
    hide_header(r, "Referer", scope);
    hide_header(r, "User-Agent", scope);
}

/* @return true for a header that is a credential as a whole */
static bool is_credential(const char *name)
{
    apr_size_t i;

    for (i = 0; i < CREDENTIAL_COUNT && ap_cstr_casecmp(name, credentials[i]); i++) {
    }
    return i < CREDENTIAL_COUNT;
}

/* @return true where a credential was sent as a name or a password, in any of several headers */
static bool is_basic(request_rec *r, const char *value, udm_redact_scope scope)
{
    static const char scheme[] = "Basic";
    const char *plain;

    while ((value = ap_strcasestr(value, scheme)) != NULL) {
        for (value += sizeof(scheme) - 1; *value == ' ' || *value == '\t'; value++) {
        }
        plain = ap_pbase64decode(r->pool, value);
        if (udm_redact(r->pool, plain, scope) != plain) {
            return true;
        }
    }
    return false;
}

/* Replaces the headers by what may be written of them. What they were is kept in `held`, if given. */
static void hide_headers(request_rec *r, udm_redact_scope scope, bool whole,
                         apr_array_header_t *held)
{
    const apr_array_header_t *all = apr_table_elts(r->headers_in);
    int i;

    for (i = 0; i < all->nelts; i++) {
        apr_table_entry_t *header = &APR_ARRAY_IDX(all, i, apr_table_entry_t);
        held_t change = {header->key, header->val, NULL};

        change.shown =
            is_credential(header->key) && (whole || is_basic(r, header->val, UDM_REDACT_OTHERS))
                ? apr_pstrdup(r->pool, UDM_REDACTED)
                : (char *)udm_redact(r->pool, header->val, scope);
        header->val = change.shown;
        if (held) { /* no format names a header that is called so */
            HIDE(r, header->key, scope);
        }
        if (held && (change.shown != change.value || header->key != change.name)) {
            APR_ARRAY_PUSH(held, held_t) = change;
        }
    }
}

int udm_secrets_hold(request_rec *r)
{
    secrets_t *state = make_state(r);

    /* a URL that holds a credential of ours was meant for us, wherever it goes */
    if (is_ours(r) || udm_redact(r->pool, r->unparsed_uri, UDM_REDACT_OTHERS) != r->unparsed_uri) {
        state->scope = UDM_REDACT_OURS;
    }
    hide_early(r, state->scope);
    if (udm_config_main()->log_forensic) {
        bool ours = state->scope == UDM_REDACT_OURS;

        /* rewriting may yet lead here what now looks like another's */
        state->the_request = r->the_request;
        HIDE(r, r->the_request, ours ? UDM_REDACT_OURS : UDM_REDACT_TOKENS);
        state->held = apr_array_make(r->pool, 4, sizeof(held_t));
        hide_headers(r, ours ? UDM_REDACT_OURS : UDM_REDACT_TOKENS, ours, state->held);
    }
    return DECLINED;
}

int udm_secrets_release(request_rec *r)
{
    secrets_t *state = state_of(r);
    const apr_array_header_t *all = apr_table_elts(r->headers_in);
    int i, k;

    for (i = 0; state && state->held && i < all->nelts; i++) {
        apr_table_entry_t *header = &APR_ARRAY_IDX(all, i, apr_table_entry_t);

        for (k = 0; k < state->held->nelts; k++) {
            held_t *change = &APR_ARRAY_IDX(state->held, k, held_t);

            if (header->val == change->shown) { /* else somebody has changed it meanwhile */
                header->key = change->name;
                header->val = change->value;
            }
        }
    }
    if (state && state->held) {
        r->the_request = state->the_request;
        state->held = NULL;
    }
    return DECLINED;
}

int udm_secrets_read(request_rec *r)
{
    secrets_t *state = make_state(r);

    state->unparsed_uri = r->unparsed_uri;
    HIDE(r, r->unparsed_uri, state->scope);
    return DECLINED;
}

int udm_secrets_translate(request_rec *r)
{
    secrets_t *state = state_of(r);

    if (state && state->unparsed_uri) {
        /* httpd has taken it; a proxy may be told to send it on (nocanon) */
        r->unparsed_uri = state->unparsed_uri;
        state->unparsed_uri = NULL;
    }
    if (state && state->scope == UDM_REDACT_OURS) {
        const char *uri = r->uri;

        /* no path of ours holds one; what else looks like a secret may be a name of a proxied one */
        HIDE(r, r->uri, UDM_REDACT_TOKENS);
        state->in_path = r->uri != uri;
    }
    return DECLINED;
}

bool udm_secrets_in_path(request_rec *r, const char *path, bool named)
{
    const secrets_t *state = state_of(r);

    return (state && state->in_path) ||
           udm_redact(r->pool, path, named ? UDM_REDACT_TOKENS : UDM_REDACT_OURS) != path;
}

void udm_secrets_handed_over(request_rec *r)
{
    static const char to_http[] = "proxy:http";

    /* what mod_speling makes its message of; scripts and proxies have r->args */
    HIDE(r, r->parsed_uri.query, UDM_REDACT_OURS);
    /* other protocols tell the server behind what stands here */
    if (r->filename && !ap_cstr_casecmpn(r->filename, to_http, sizeof(to_http) - 1)) {
        HIDE(r, r->uri, UDM_REDACT_OURS);
    }
}

/* @return true where httpd's modules may write a credential that a header holds, or one of its URL */
static bool tells(request_rec *r, const char *value, udm_redact_scope scope)
{
    static const char bearer[] = "Bearer ", digest[] = "Digest";
    char *from, *to;

    if (!ap_cstr_casecmpn(value, bearer, sizeof(bearer) - 1)) {
        scope = UDM_REDACT_OTHERS; /* that AuthType may take tokens */
    }
    else if (!ap_cstr_casecmpn(value, digest, sizeof(digest) - 1)) {
        value = from = to = apr_pstrcat(r->pool, value, " ", r->unparsed_uri, NULL);
        for (; *from; from++) {
            if (*from != '\\') { /* before any byte of a quoted string */
                *to++ = *from;
            }
        }
        *to = '\0';
    }
    return udm_redact(r->pool, value, scope) != value || is_basic(r, value, scope);
}

int udm_secrets_authn(request_rec *r)
{
    udm_redact_scope scope =
        udm_config_dir(r)->enabled == 1 ? UDM_REDACT_TOKENS : UDM_REDACT_OTHERS;
    const char *name = r->proxyreq == PROXYREQ_PROXY ? "Proxy-Authorization" : "Authorization";
    const char *value = apr_table_get(r->headers_in, name);

    if (!udm_config_others_auth(r) || !value || !tells(r, value, scope)) {
        return DECLINED;
    }
    ap_note_auth_failure(r);
    return HTTP_UNAUTHORIZED;
}

void udm_secrets_refused(request_rec *r)
{
    if (!r->main && !state_of(r)) {
        make_state(r)->scope = UDM_REDACT_OURS;
        hide_early(r, UDM_REDACT_OURS);
    }
}

void udm_secrets_ours(request_rec *r)
{
    secrets_t *state = r->main ? NULL : make_state(r);

    if (state && state->scope != UDM_REDACT_OURS) {
        state->scope = UDM_REDACT_OURS;
        hide_early(r, UDM_REDACT_OURS);
        ap_update_child_status(r->connection->sbh, SERVER_BUSY_WRITE, r);
    }
}

static void hide_table(request_rec *r, const apr_table_t *table, udm_redact_scope scope)
{
    const apr_array_header_t *all = apr_table_elts(table);
    int i;

    for (i = 0; i < all->nelts; i++) {
        apr_table_entry_t *entry = &APR_ARRAY_IDX(all, i, apr_table_entry_t);

        /* it may be the copy of a header */
        if (entry->val && is_basic(r, entry->val, UDM_REDACT_OTHERS)) {
            entry->val = apr_pstrdup(r->pool, UDM_REDACTED);
        }
        HIDE(r, entry->val, scope);
    }
}

/* All that a log format can name, but for the request's headers. */
static void hide_all(request_rec *r, udm_redact_scope scope)
{
    const apr_table_t *const tables[] = {r->headers_in,  r->headers_out,    r->err_headers_out,
                                         r->notes,       r->subprocess_env, r->trailers_in,
                                         r->trailers_out};
    apr_size_t i;

    HIDE(r, r->the_request, scope);
    HIDE(r, r->unparsed_uri, scope);
    HIDE(r, r->uri, scope);
    HIDE(r, r->filename, scope);
    HIDE(r, r->canonical_filename, scope);
    HIDE(r, r->path_info, scope);
    HIDE(r, r->args, scope);
    HIDE(r, r->parsed_uri.scheme, scope);
    HIDE(r, r->parsed_uri.user, scope);
    HIDE(r, r->parsed_uri.hostname, scope);
    HIDE(r, r->parsed_uri.path, scope);
    HIDE(r, r->parsed_uri.query, scope);
    HIDE(r, r->parsed_uri.fragment, scope);
    HIDE(r, r->method, scope);
    HIDE(r, r->hostname, scope);
    HIDE(r, r->user, scope);
    for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (tables[i]) {
            hide_table(r, tables[i], scope);
        }
    }
}

int udm_secrets_log(request_rec *r)
{
    secrets_t *state = state_of(r);
    /* a request line that httpd could not read has no path to go by */
    bool ours = !state || state->scope == UDM_REDACT_OURS, asked = ours;

    /* the whole chain of an internal redirect: the log picks what it likes from either end */
    while (r->prev) {
        r = r->prev;
    }
    for (; r; r = r->next) {
        /* there is a record of it (request.h) */
        asked = asked || ap_get_module_config(r->request_config, &udm_module);
        hide_headers(r, ours ? UDM_REDACT_OURS : UDM_REDACT_OTHERS, asked, NULL);
        hide_all(r, ours ? UDM_REDACT_OURS : UDM_REDACT_OTHERS);
    }
    return DECLINED;
}
