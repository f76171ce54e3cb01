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

#include <apr_escape.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "core/apikey.h"
#include "core/calendar.h"
#include "core/clock.h"
#include "core/text.h"
#include "core/token.h"
#include "db/tenant.h"
#include "httpd/auth.h"
#include "httpd/batch.h"
#include "httpd/child.h"
#include "httpd/dbd.h"
#include "httpd/respond.h"

APLOG_USE_MODULE(udm);

/* Beyond this the rights of a generation are looked up anew, in case something went past its count. */
#define RIGHTS_LIFETIME apr_time_from_sec(60)

/* @return true when the section says AuthType UDM */
static bool is_auth_type(request_rec *r)
{
    const char *type = ap_auth_type(r);

    return type && !ap_cstr_casecmp(type, UDM_AUTH_TYPE);
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

/*
 * The lookups, in which what was found stays for `lifetime`; NULL when nothing is to be kept: a key
 * that is revoked, or a right that is taken away, is good for that much longer.
 */
static udm_lookups_t *lookups_of(apr_interval_time_t *lifetime, request_rec *r,
                                 const udm_request_t *q)
{
    *lifetime = udm_config_key_cache(q->dir);
    return *lifetime > 0 && !q->anew ? udm_child_of(r)->lookups : NULL;
}

static void *copy_claims(apr_pool_t *p, const void *value)
{
    const udm_token_claims_t *claims = value;
    udm_token_claims_t *copy = apr_pmemdup(p, claims, sizeof(*claims));
    int i;

    copy->subject = apr_pstrdup(p, claims->subject);
    copy->ccid = apr_pstrdup(p, claims->ccid);
    copy->roles = apr_array_copy(p, claims->roles);
    for (i = 0; i < copy->roles->nelts; i++) {
        APR_ARRAY_IDX(copy->roles, i, const char *) =
            apr_pstrdup(p, APR_ARRAY_IDX(copy->roles, i, const char *));
    }
    return copy;
}

/* Verifies a token, unless the same one was good by the same keys and rules a moment ago. */
static udm_error_t *verify(const udm_token_claims_t **claims, request_rec *r,
                           const udm_request_t *q, const udm_jwks_t *jwks,
                           const udm_token_policy_t *policy, const char *token)
{
    apr_time_t since = udm_clock(), now = apr_time_now();
    unsigned char id[UDM_LOOKUPS_ID_SIZE];
    apr_interval_time_t lifetime;
    udm_lookups_t *lookups = lookups_of(&lifetime, r, q);
    udm_token_claims_t *verified;
    udm_error_t *error;

    if (lookups) {
        const char *texts[] = {"token",
                               apr_pescape_hex(r->pool, udm_jwks_sha256(jwks), UDM_SHA256_SIZE, 0),
                               apr_itoa(r->pool, policy->skew),
                               policy->issuer,
                               policy->audience,
                               policy->tenant_claim,
                               policy->roles_claim,
                               token};

        udm_lookups_id(id, r->pool, texts, sizeof(texts) / sizeof(texts[0]), NULL);
        *claims = udm_lookups_get(lookups, r->pool, id, lifetime);
        if (*claims) {
            return NULL;
        }
    }
    error = udm_token_verify(&verified, r->pool, jwks, policy, token, now);
    *claims = verified;
    if (!error && lookups) {
        apr_interval_time_t left = verified->expires + apr_time_from_sec(policy->skew) - now;

        udm_lookups_put(lookups, id, verified, copy_claims, since,
                        since + (left < lifetime ? left : lifetime));
    }
    return error;
}

/* Verifies the token in an Authorization header. */
static udm_error_t *read_token(const udm_token_claims_t **claims, request_rec *r,
                               const udm_request_t *q, const char *header)
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
    jwks = dir->token_keys ? udm_key_file_token_keys(dir->token_keys, r) : NULL;
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
    error = verify(claims, r, q, jwks, &policy, header);
    if (error && error->kind == UDM_E_UNAUTHENTICATED) {
        challenge(r, error->reason);
    }
    return error;
}

UDM_BATCH_FN(udm_auth_ask, udm_credentials_t, udm_tenant_credentials)

/* What is looked up for one request alone. */
typedef struct lookup_t {
    request_rec *r;
    udm_credentials_t *credentials;
} lookup_t;

static udm_error_t *look_up_rights(udm_pg_t *db, void *baton)
{
    lookup_t *lookup = baton;

    return udm_tenant_rights(lookup->r->pool, db, lookup->credentials);
}

/* Noting it twice does no harm. */
static udm_error_t *note_use(udm_pg_t *db, void *baton)
{
    lookup_t *lookup = baton;

    return udm_tenant_key_used(lookup->r->pool, db, lookup->credentials->key);
}

static void *copy_principal(apr_pool_t *p, const void *value)
{
    return udm_principal_copy(p, value);
}

/*
 * An id for what those with these roles may do. `generation` is that of the rights. Beside the roles
 * it has how many there are: a token without roles is another thing than none.
 */
static void rights_id(unsigned char *id, request_rec *r, const udm_credentials_t *c)
{
    const apr_array_header_t *token_roles = c->claims ? c->claims->roles : NULL;
    const char *const facts[] = {
        "rights",
        apr_psprintf(r->pool, "%" APR_INT64_T_FMT, c->generation),
        c->who->ccid,
        c->key ? apr_itoa(r->pool, c->key_roles->nelts) : NULL,
        token_roles ? apr_itoa(r->pool, token_roles->nelts) : NULL,
    };
    apr_array_header_t *texts = apr_array_make(r->pool, 16, sizeof(const char *));
    unsigned i;

    for (i = 0; i < sizeof(facts) / sizeof(*facts); i++) {
        APR_ARRAY_PUSH(texts, const char *) = facts[i];
    }
    if (c->key) {
        apr_array_cat(texts, c->key_roles);
    }
    udm_lookups_id(id, r->pool, (const char *const *)texts->elts, texts->nelts, token_roles);
}

/*
 * Adds what they may do. It is remembered, whatever UDMKeyCache says: as long as the generation is
 * the same it is the same.
 */
static udm_error_t *add_rights(request_rec *r, udm_credentials_t *c)
{
    lookup_t lookup = {r, c};
    udm_lookups_t *lookups = udm_child_of(r)->lookups;
    apr_time_t since = udm_clock();
    unsigned char id[UDM_LOOKUPS_ID_SIZE];
    const udm_principal_t *known;
    udm_error_t *error;

    if (lookups) {
        rights_id(id, r, c);
        known = udm_lookups_get(lookups, r->pool, id, RIGHTS_LIFETIME);
        if (known) {
            c->who->rights = known->rights;
            c->who->certificate = known->certificate;
            return NULL;
        }
    }
    error = udm_dbd_with(r, true, look_up_rights, &lookup);
    if (!error && lookups) {
        rights_id(id, r, c); /* the generation may be another one by now */
        udm_lookups_put(lookups, id, c->who, copy_principal, since, since + RIGHTS_LIFETIME);
    }
    return error;
}

/* Asks the database who shows these credentials. */
static udm_error_t *look_up(udm_principal_t **who, request_rec *r, const udm_apikey_t *key,
                            const udm_token_claims_t *claims)
{
    udm_credentials_t c = {.pool = r->pool, .key = key, .claims = claims};
    lookup_t lookup = {r, &c};
    udm_error_t *error = udm_batch_ask(udm_child_of(r)->credentials, r, &c, "");

    if (!error) {
        error = c.error;
    }
    if (!error) {
        error = add_rights(r, &c);
    }
    if (!error && c.use_is_news) {
        error = udm_dbd_with(r, true, note_use, &lookup);
    }
    *who = error ? NULL : c.who;
    return error;
}

/* Finds who shows these credentials, in the database unless it said so a moment ago. */
static udm_error_t *identify(const udm_principal_t **who, request_rec *r, const udm_request_t *q,
                             const udm_apikey_t *key, const udm_token_claims_t *claims)
{
    apr_time_t since = udm_clock();
    unsigned char id[UDM_LOOKUPS_ID_SIZE];
    apr_interval_time_t lifetime, good_for;
    udm_lookups_t *lookups = lookups_of(&lifetime, r, q);
    udm_principal_t *found;
    udm_error_t *error;

    if (lookups) {
        const char *texts[] = {
            "principal", key ? key->id : NULL,
            key ? apr_pescape_hex(r->pool, key->secret_sha256, UDM_SHA256_SIZE, 0) : NULL,
            claims ? claims->ccid : NULL, claims ? claims->subject : NULL};

        udm_lookups_id(id, r->pool, texts, sizeof(texts) / sizeof(texts[0]),
                       claims ? claims->roles : NULL);
        *who = udm_lookups_get(lookups, r->pool, id, lifetime);
        if (*who) {
            return NULL;
        }
    }
    error = look_up(&found, r, key, claims);
    *who = found;
    if (!error && lookups) {
        good_for = found->good_for;
        udm_lookups_put(lookups, id, found, copy_principal, since,
                        since +
                            (good_for != UDM_NO_TIME && good_for < lifetime ? good_for : lifetime));
    }
    return error;
}

/*
 * Who asks, as one word for the logs: the tenant and the id of the key or, without one, what the token
 * says, percent-encoded. The label of a key is for people: it may hold blanks.
 */
static char *user_name(apr_pool_t *p, const udm_principal_t *who)
{
    static const char harmless[] = "-._~@:+";
    static const char digits[] = "0123456789ABCDEF";
    const char *parts[] = {who->ccid, who->key_id ? who->key_id : who->subject};
    char *name = apr_palloc(p, 3 * (strlen(parts[0]) + strlen(parts[1])) + 2), *to = name;
    const char *from;
    int i;

    for (i = 0; i < 2; i++) {
        for (from = parts[i]; *from; from++) {
            if (apr_isalnum(*from) || strchr(harmless, *from)) {
                *to++ = *from;
            }
            else {
                *to++ = '%';
                *to++ = digits[(unsigned char)*from >> 4];
                *to++ = digits[(unsigned char)*from & 15];
            }
        }
        *to++ = i == 0 ? '/' : '\0';
    }
    return name;
}

udm_error_t *udm_auth_find(request_rec *r, udm_request_t *q)
{
    const char *key_text = apr_table_get(r->headers_in, "x-api-key");
    const char *header = apr_table_get(r->headers_in, "Authorization");
    udm_apikey_t key;
    const udm_token_claims_t *claims = NULL;
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
    error = identify(&q->who, r, q, key_text ? &key : NULL, claims);
    if (!error && !q->who) {
        error = unauthenticated(r, "the credentials are not valid");
    }
    if (error) {
        if (error->kind == UDM_E_UNAUTHENTICATED) {
            challenge(r, NULL);
        }
        return error;
    }
    q->audit.who = q->who;
    r->user = user_name(r->pool, q->who);
    r->ap_auth_type = apr_pstrdup(r->pool, UDM_AUTH_TYPE);
    return NULL;
}

udm_error_t *udm_auth_anew(request_rec *r, udm_request_t *q)
{
    q->anew = true;
    q->who = NULL;
    return udm_auth_find(r, q);
}

bool udm_auth_by_others(request_rec *r)
{
    return udm_config_others_auth(r) && r->ap_auth_type && r->user && *r->user;
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
    if (r->proxyreq != PROXYREQ_NONE) {
        q->need = q->rest_need;
    }
    error = udm_auth_find(r, q);
    if (error) {
        return udm_respond_refuse(r, error);
    }
    if (!q->who) {
        /* nobody is needed here, but httpd wants a name; the handler takes it away again */
        r->user = apr_pstrdup(r->pool, "");
        r->ap_auth_type = apr_pstrdup(r->pool, UDM_AUTH_TYPE);
    }
    return OK;
}

int udm_auth_note_failure(request_rec *r, const char *auth_type)
{
    if (ap_cstr_casecmp(auth_type, UDM_AUTH_TYPE)) {
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
