/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * auth.c: AuthType UDM.
 *
 * The handler calls udm_auth_find() again when no hook did: an AuthType that is missing, or a
 * section that lets everybody in, never opens the API.
 */
#include <string.h>

#include <httpd.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <ap_provider.h>
#include <mod_auth.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "core/apikey.h"
#include "core/token.h"
#include "db/tenant.h"
#include "httpd/auth.h"
#include "httpd/dbd.h"
#include "httpd/respond.h"

APLOG_USE_MODULE(udm);

#define AUTH_TYPE "UDM"

/* @return true when the section says AuthType UDM */
static bool is_auth_type(request_rec *r)
{
    const char *type = ap_auth_type(r);

    return type && !ap_cstr_casecmp(type, AUTH_TYPE);
}

/* What may stand in a quoted string of a challenge (RFC 9110 5.6.4), without any escape. */
static const char *quotable(apr_pool_t *p, const char *text)
{
    char *copy = apr_pstrdup(p, text);
    char *c;

    for (c = copy; *c; c++) {
        if (*c == '"' || *c == '\\' || *c < ' ' || *c > '~') {
            *c = '\'';
        }
    }
    return copy;
}

/* The challenge of RFC 6750; `token_error` says what is wrong with a token, NULL that none is. */
static void challenge(request_rec *r, const char *token_error)
{
    const char *realm = ap_auth_name(r);
    const char *value = apr_pstrcat(r->pool, "Bearer realm=\"",
                                    quotable(r->pool, realm ? realm : "udm"), "\"", NULL);

    if (token_error) {
        value = apr_pstrcat(r->pool, value, ", error=\"invalid_token\", error_description=\"",
                            quotable(r->pool, token_error), "\"", NULL);
    }
    apr_table_setn(r->err_headers_out, "WWW-Authenticate", value);
}

/* A credential that is missing or of no known form. */
static udm_error_t *unauthenticated(request_rec *r, const char *reason)
{
    challenge(r, NULL);
    return udm_error_make(r->pool, UDM_E_UNAUTHENTICATED, "%s", reason);
}

/* Says which credentials are asked for. */
static udm_error_t *missing(request_rec *r, udm_need need)
{
    switch (need) {
    case UDM_NEED_KEY:
        return unauthenticated(r, "send an API key in the header x-api-key");
    case UDM_NEED_TOKEN:
        return unauthenticated(r, "send a token in the header Authorization: Bearer <token>");
    case UDM_NEED_ANY:
        return unauthenticated(r, "send an API key in the header x-api-key, or a token in the "
                                  "header Authorization: Bearer <token>");
    case UDM_NEED_BOTH:
    case UDM_NEED_NONE:
    case UDM_NEED_OPTIONAL:
        break;
    }
    return unauthenticated(r, "send both an API key in the header x-api-key and a token in the "
                              "header Authorization: Bearer <token>");
}

/* Verifies the token in an Authorization header. */
static udm_error_t *read_token(udm_token_claims_t **claims, request_rec *r, const udm_request_t *q,
                               const char *header)
{
    static const char scheme[] = "Bearer ";
    const udm_dir_t *dir = q->dir;
    udm_token_policy_t policy;
    const udm_jwks_t *jwks;
    udm_error_t *error;

    if (ap_cstr_casecmpn(header, scheme, sizeof(scheme) - 1)) {
        return unauthenticated(r, "the header Authorization must be: Bearer <token>");
    }
    for (header += sizeof(scheme) - 1; *header == ' '; header++) {
    }
    jwks = dir->token_keys ? udm_keys_token(dir->token_keys, r) : NULL;
    if (!jwks) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "UDM0050: a token was sent, but there is no UDMTokenKeys here");
        return unauthenticated(r, "no tokens are taken here: no keys to verify them with are set");
    }
    policy.issuer = dir->token_issuer;
    policy.audience = dir->token_audience;
    policy.tenant_claim =
        dir->token_tenant_claim ? dir->token_tenant_claim : UDM_DEFAULT_TENANT_CLAIM;
    policy.roles_claim = dir->token_roles_claim ? dir->token_roles_claim : UDM_DEFAULT_ROLES_CLAIM;
    policy.skew =
        (int)apr_time_sec(dir->token_skew == UDM_UNSET ? UDM_DEFAULT_SKEW : dir->token_skew);
    error = udm_token_verify(claims, r->pool, jwks, &policy, header, apr_time_now());
    if (error && error->kind == UDM_E_UNAUTHENTICATED) {
        challenge(r, error->reason);
    }
    return error;
}

/* What is looked up in the database. */
typedef struct lookup_t {
    request_rec *r;
    udm_principal_t *who;
    const udm_apikey_t *key;
    const udm_token_claims_t *claims;
} lookup_t;

static udm_error_t *look_up(udm_db_t *db, void *baton)
{
    lookup_t *lookup = baton;

    return udm_tenant_authenticate(&lookup->who, lookup->r->pool, db, lookup->key, lookup->claims);
}

udm_error_t *udm_auth_find(request_rec *r, udm_request_t *q)
{
    const char *key_text = apr_table_get(r->headers_in, "x-api-key");
    const char *header = apr_table_get(r->headers_in, "Authorization");
    lookup_t lookup = {r, NULL, NULL, NULL};
    udm_apikey_t key;
    udm_token_claims_t *claims = NULL;
    udm_error_t *error;

    if (q->who || q->need == UDM_NEED_NONE ||
        (q->need == UDM_NEED_OPTIONAL && !key_text && !header)) {
        return NULL;
    }
    if (key_text && !udm_apikey_parse(&key, key_text)) {
        return unauthenticated(r, "the API key is not valid");
    }
    if (header) {
        error = read_token(&claims, r, q, header);
        if (error) {
            return error;
        }
    }
    if ((!key_text && (q->need == UDM_NEED_KEY || q->need == UDM_NEED_BOTH)) ||
        (!header && (q->need == UDM_NEED_TOKEN || q->need == UDM_NEED_BOTH)) ||
        (!key_text && !header)) {
        return missing(r, q->need);
    }
    lookup.key = key_text ? &key : NULL;
    lookup.claims = claims;
    /* noting the last use of a key twice does no harm, so a lost connection is tried again */
    error = udm_dbd_with(r, true, look_up, &lookup);
    if (error) {
        if (error->kind == UDM_E_UNAUTHENTICATED) {
            challenge(r, NULL);
        }
        return error;
    }
    q->who = lookup.who;
    q->audit.who = lookup.who;
    r->user = apr_pstrdup(r->pool, lookup.who->subject);
    r->ap_auth_type = apr_pstrdup(r->pool, AUTH_TYPE);
    return NULL;
}

/* Without this an inherited "Require all granted" would switch authentication off. */
int udm_auth_force(request_rec *r)
{
    return is_auth_type(r) ? OK : DECLINED;
}

int udm_auth_check(request_rec *r)
{
    udm_request_t *q;
    udm_error_t *error;

    if (!is_auth_type(r)) {
        return DECLINED;
    }
    q = udm_request_guarded(r);
    error = udm_auth_find(r, q);
    if (error) {
        /* DONE and not a status: httpd would write an HTML page */
        udm_respond_error(r, error);
        return DONE;
    }
    if (!q->who) {
        /* nobody is needed here, but httpd wants a name; the handler takes it away again */
        r->user = apr_pstrdup(r->pool, "");
        r->ap_auth_type = apr_pstrdup(r->pool, AUTH_TYPE);
    }
    return OK;
}

int udm_auth_note_failure(request_rec *r, const char *auth_type)
{
    if (ap_cstr_casecmp(auth_type, AUTH_TYPE)) {
        return DECLINED;
    }
    challenge(r, NULL);
    return OK;
}

/* "Require udm-role NAME...": any of the roles. A key that was given "*" has every role. */
static authz_status role_check(request_rec *r, const char *names, const void *parsed)
{
    const udm_request_t *q = udm_request_known(r);
    const char *line = names;
    const char *name;
    int i;

    if (!r->user) {
        return AUTHZ_DENIED_NO_USER;
    }
    if (!q) {
        return AUTHZ_DENIED;
    }
    if (q->need == UDM_NEED_NONE || (q->need == UDM_NEED_OPTIONAL && !q->who)) {
        /* a signed link, or an answer that is the same for everybody */
        return AUTHZ_GRANTED;
    }
    if (!q->who) {
        return AUTHZ_DENIED;
    }
    while (*line && *(name = ap_getword_conf(r->pool, &line))) {
        for (i = 0; i < q->who->roles->nelts; i++) {
            const char *role = APR_ARRAY_IDX(q->who->roles, i, const char *);

            if (!strcmp(role, name) || !strcmp(role, "*")) {
                return AUTHZ_GRANTED;
            }
        }
    }
    return AUTHZ_DENIED;
}

static const char *role_parse(cmd_parms *cmd, const char *names, const void **parsed)
{
    const char *line = names;

    *parsed = NULL;
    return *ap_getword_conf(cmd->temp_pool, &line)
               ? NULL
               : "Require udm-role: must name at least one role";
}

static const authz_provider role_provider = {role_check, role_parse};

void udm_auth_register_provider(apr_pool_t *p)
{
    ap_register_auth_provider(p, AUTHZ_PROVIDER_GROUP, "udm-role", AUTHZ_PROVIDER_VERSION,
                              &role_provider, AP_AUTH_INTERNAL_PER_CONF);
}
