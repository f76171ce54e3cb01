/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * token.c: verifies tokens with cjose.
 *
 * The header is read and judged here, before cjose sees the token: cjose would pick the algorithm
 * by the token's word alone. Threads share a key set without a lock because verifying changes
 * nothing in it: cjose_jws_verify() only reads the cjose_jwk_t (its reference count, which is not
 * atomic, is touched by cjose_jwk_retain() and _release() alone, and neither is called before the
 * set's pool ends); OpenSSL guards what it caches in an RSA key; and no json_t of the key set is
 * kept: what is needed of it is copied into plain strings.
 */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <apr_cstr.h>
#include <apr_strings.h>
#include <cjose/cjose.h>
#include <openssl/err.h>
#include <openssl/sha.h>

#include "core/json.h"
#include "core/text.h"
#include "core/token.h"

#define RSA_BITS_MIN     2048
#define RSA_BITS_MAX     16384
#define CANDIDATES_MAX   8 /* keys that are tried for one token */
#define ROLES_MAX        1000
#define TIME_SECONDS_MAX 253402300799.0 /* the end of the year 9999 */

#define BASE64URL "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

/* One algorithm, and the keys it may be used with. */
typedef struct {
    const char *name;
    const char *kty;
    const char *curve;     /* NULL: no curve, the key is RSA */
    size_t signature_size; /* 0: that of the key */
} algorithm;

static const algorithm algorithms[] = {
    {"RS256", "RSA", NULL, 0},    {"RS384", "RSA", NULL, 0},    {"RS512", "RSA", NULL, 0},
    {"PS256", "RSA", NULL, 0},    {"PS384", "RSA", NULL, 0},    {"PS512", "RSA", NULL, 0},
    {"ES256", "EC", "P-256", 64}, {"ES384", "EC", "P-384", 96}, {"ES512", "EC", "P-521", 132}};
#define ALGORITHM_COUNT (sizeof(algorithms) / sizeof(algorithms[0]))

/* One usable key. Plain copies, so that reading them counts no reference. */
typedef struct {
    const cjose_jwk_t *jwk;
    const char *kty;
    const char *curve; /* NULL for RSA */
    const char *kid;   /* NULL when the key has none */
    const char *alg;   /* NULL: any that fits */
    size_t size;       /* of an RSA signature */
} key;

struct udm_jwks_t {
    apr_array_header_t *keys; /* of key */
    unsigned char sha256[UDM_SHA256_SIZE];
};

static apr_status_t release_jwk(void *data)
{
    cjose_jwk_release(data);
    return APR_SUCCESS;
}

/* A string member. @return NULL when it is absent or no string */
static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* @return true when the key is for checking signatures, as far as it says */
static bool for_signatures(const json_t *jwk)
{
    const json_t *operations = json_object_get(jwk, "key_ops"), *item;
    const char *use = text_of(jwk, "use");
    size_t i;

    if (use && strcmp(use, "sig") != 0) {
        return false;
    }
    if (!operations) {
        return true;
    }
    json_array_foreach(operations, i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), "verify") == 0) {
            return true;
        }
    }
    return false;
}

/* @return true when the key's own "alg", if it has one, is one that we verify and fits its type */
static bool has_fit_alg(const key *k)
{
    size_t i;

    if (!k->alg) {
        return true;
    }
    for (i = 0; i < ALGORITHM_COUNT; i++) {
        const algorithm *a = &algorithms[i];

        if (strcmp(a->name, k->alg) == 0) {
            return strcmp(a->kty, k->kty) == 0 &&
                   (!a->curve || (k->curve && strcmp(a->curve, k->curve) == 0));
        }
    }
    return false;
}

/* @return true when a key object holds private or symmetric key material */
static bool is_private(const json_t *jwk)
{
    static const char *const members[] = {"d", "k", "p", "q", "dp", "dq", "qi", "oth", "priv"};
    size_t i;

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (json_object_get(jwk, members[i])) {
            return true;
        }
    }
    return false;
}

/*
 * @return true when the members are base64url, with or without padding. cjose must not see anything
 * else: it ends the process on some (an assertion on "A=").
 */
static bool has_numbers(const json_t *jwk, const char *first, const char *second)
{
    const char *names[] = {first, second};
    int i;

    for (i = 0; i < 2; i++) {
        const char *text = text_of(jwk, names[i]);
        size_t size = text ? strspn(text, BASE64URL) : 0;

        if (size == 0 || size % 4 == 1 || text[size + strspn(text + size, "=")] != '\0') {
            return false;
        }
    }
    return true;
}

/* With an exponent of 1, or an even one, everybody could sign, or nobody. */
static bool has_fit_exponent(const json_t *jwk)
{
    const char *text = text_of(jwk, "e");
    uint8_t *bytes = NULL;
    size_t size = 0, i;
    unsigned high = 0;
    bool fit;

    if (!cjose_base64url_decode(text, strlen(text), &bytes, &size, NULL) || size == 0) {
        return false;
    }
    for (i = 0; i + 1 < size; i++) {
        high |= bytes[i];
    }
    fit = (bytes[size - 1] & 1) && (high || bytes[size - 1] > 1);
    cjose_get_dealloc()(bytes);
    return fit;
}

/* Adds one key of the set, or skips it (RFC 7517, section 5). */
static void add_key(apr_array_header_t *keys, apr_pool_t *p, json_t *jwk)
{
    const char *kty = text_of(jwk, "kty");
    cjose_jwk_t *imported;
    key k = {0};

    if (!kty || (strcmp(kty, "RSA") != 0 && strcmp(kty, "EC") != 0) || !for_signatures(jwk)) {
        return;
    }
    k.kty = apr_pstrdup(p, kty);
    k.curve = strcmp(kty, "EC") == 0 ? apr_pstrdup(p, text_of(jwk, "crv")) : NULL;
    k.kid = apr_pstrdup(p, text_of(jwk, "kid"));
    k.alg = apr_pstrdup(p, text_of(jwk, "alg"));
    if (!has_fit_alg(&k) ||
        !(k.curve ? has_numbers(jwk, "x", "y")
                  : has_numbers(jwk, "n", "e") && has_fit_exponent(jwk)) ||
        !(imported = cjose_jwk_import_json((cjose_header_t *)jwk, NULL))) {
        return;
    }
    if (!k.curve) {
        size_t bits = cjose_jwk_get_keysize(imported, NULL);

        if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
            cjose_jwk_release(imported);
            return;
        }
        k.size = bits / 8;
    }
    k.jwk = imported;
    apr_pool_cleanup_register(p, imported, release_jwk, apr_pool_cleanup_null);
    APR_ARRAY_PUSH(keys, key) = k;
}

udm_error_t *udm_jwks_parse(udm_jwks_t **jwks, apr_pool_t *p, const char *text, apr_size_t size)
{
    udm_jwks_t *made = apr_pcalloc(p, sizeof(*made));
    apr_pool_t *scratch;
    udm_error_t *error, *copy = NULL;
    json_t *document, *item;
    const json_t *set;
    const char *near;
    size_t i;

    *jwks = NULL;
    made->keys = apr_array_make(p, 4, sizeof(key));
    if (apr_pool_create(&scratch, p) != APR_SUCCESS) {
        return udm_error_status(p, UDM_E_INTERNAL, APR_ENOMEM, "out of memory");
    }
    error = udm_json_parse(&document, scratch, text, size);
    if (error) {
        copy = udm_error_make(p, UDM_E_INVALID, "the key set (JWKS) is %s", error->reason);
        near = strstr(copy->reason, " near '");
        if (near) { /* what stands there may be a private key, put there by mistake */
            copy->reason = apr_pstrmemdup(p, copy->reason, (apr_size_t)(near - copy->reason));
        }
        goto out;
    }
    set = json_object_get(document, "keys");
    if (!json_is_array(set)) {
        copy = udm_error_make(p, UDM_E_INVALID,
                              "the key set is no JWKS: an object with an array \"keys\" is needed");
        goto out;
    }
    json_array_foreach(set, i, item)
    {
        if (is_private(item)) {
            copy = udm_error_make(p, UDM_E_INVALID,
                                  "key %d of the key set holds private or symmetric key material: "
                                  "only public keys belong there",
                                  (int)i + 1);
            goto out;
        }
        add_key(made->keys, p, item);
    }
    if (made->keys->nelts == 0) {
        copy = udm_error_make(p, UDM_E_INVALID,
                              "the key set holds no key for checking signatures: RSA of at least "
                              "%d bits, or EC on P-256, P-384 or P-521, is needed",
                              RSA_BITS_MIN);
        goto out;
    }
    SHA256((const unsigned char *)text, size, made->sha256);
    *jwks = made;
out:
    ERR_clear_error();
    apr_pool_destroy(scratch);
    return copy;
}

const unsigned char *udm_jwks_sha256(const udm_jwks_t *jwks)
{
    return jwks->sha256;
}

/* Every refusal of a token; none of them repeats what was sent. */
static udm_error_t *refuse(apr_pool_t *p, const char *reason)
{
    return udm_error_make(p, UDM_E_UNAUTHENTICATED, "%s", reason);
}

/* The three parts of a compact JWS, as they stand in it. */
typedef struct {
    const char *text;
    size_t size;
} part;

/* Takes a token apart. @return false unless it is three parts of base64url without padding */
static bool split(part parts[3], const char *token)
{
    int i;

    for (i = 0; i < 3; i++) {
        parts[i].text = token;
        parts[i].size = strspn(token, BASE64URL);
        if (parts[i].size == 0 || parts[i].size % 4 == 1) {
            return false;
        }
        token += parts[i].size;
        if (*token != (i < 2 ? '.' : '\0')) {
            return false;
        }
        token++;
    }
    return true;
}

/* Decodes base64url and reads the JSON object in it, released with `p`. @return NULL for none */
static json_t *decode_object(apr_pool_t *p, const part *encoded)
{
    json_t *json = NULL;
    uint8_t *text = NULL;
    size_t size = 0;

    if (!cjose_base64url_decode(encoded->text, encoded->size, &text, &size, NULL)) {
        return NULL;
    }
    if (udm_json_parse(&json, p, (const char *)text, size) != NULL || !json_is_object(json)) {
        json = NULL;
    }
    cjose_get_dealloc()(text);
    return json;
}

/* Judges the header. `alg` gets the algorithm, `kid` the key that is named, or NULL. */
static udm_error_t *read_header(const algorithm **alg, const char **kid, apr_pool_t *p,
                                const json_t *header)
{
    const json_t *typ = json_object_get(header, "typ"), *named = json_object_get(header, "kid");
    const char *name = text_of(header, "alg");
    size_t i;

    *alg = NULL;
    *kid = json_string_value(named);
    if (json_object_get(header, "crit")) {
        return refuse(p, "the token asks for extensions (crit) that are not supported");
    }
    if (typ) {
        const char *type = json_is_string(typ) ? json_string_value(typ) : "";

        if (apr_cstr_casecmpn(type, "application/", 12) == 0) {
            type += 12; /* RFC 7515 lets a sender write the whole media type */
        }
        if (apr_cstr_casecmp(type, "JWT") != 0 && apr_cstr_casecmp(type, "at+jwt") != 0) {
            return refuse(p, "the token is of another type: typ must be JWT or at+jwt, with or "
                             "without application/ in front, or absent");
        }
    }
    if (named && !*kid) {
        return refuse(p, "the token's kid is not a string");
    }
    for (i = 0; name && i < ALGORITHM_COUNT; i++) {
        if (strcmp(algorithms[i].name, name) == 0) {
            *alg = &algorithms[i];
            return NULL;
        }
    }
    return refuse(p, "the token's algorithm is not accepted");
}

/* @return true when a token of this algorithm may be checked with the key */
static bool fits(const key *k, const algorithm *alg, const char *kid, size_t signature_size)
{
    return (!kid || (k->kid && strcmp(k->kid, kid) == 0)) && strcmp(k->kty, alg->kty) == 0 &&
           (!alg->curve || strcmp(k->curve, alg->curve) == 0) &&
           (!k->alg || strcmp(k->alg, alg->name) == 0) &&
           signature_size == (alg->curve ? alg->signature_size : k->size);
}

/* Checks the signature with every key that fits, up to a limit. */
static udm_error_t *check_signature(apr_pool_t *p, const udm_jwks_t *jwks, const char *token,
                                    const part *signature, const algorithm *alg, const char *kid)
{
    /* the length is that of the key or the curve: what is padded or cut is not even tried */
    size_t signature_size = signature->size * 3 / 4;
    bool good = false;
    int i, tried = 0;
    cjose_jws_t *jws = cjose_jws_import(token, strlen(token), NULL);

    if (!jws) {
        ERR_clear_error();
        return refuse(p, "the token is malformed");
    }
    for (i = 0; i < jwks->keys->nelts && tried < CANDIDATES_MAX && !good; i++) {
        const key *k = &APR_ARRAY_IDX(jwks->keys, i, key);

        if (fits(k, alg, kid, signature_size)) {
            tried++;
            good = cjose_jws_verify(jws, k->jwk, NULL);
        }
    }
    cjose_jws_release(jws);
    ERR_clear_error();
    if (good) {
        return NULL;
    }
    if (tried == 0) {
        return refuse(p, kid ? "the token names a key that is not known here, or does not fit it"
                             : "no key is known here that fits the token");
    }
    return refuse(p, "the token's signature is wrong");
}

/* A NumericDate (RFC 7519: seconds, perhaps with a fraction). @return false for anything else */
static bool read_date(apr_time_t *when, const json_t *value)
{
    double seconds = json_number_value(value);

    if (!json_is_number(value) || !isfinite(seconds) || seconds < 0 || seconds > TIME_SECONDS_MAX) {
        return false;
    }
    *when = (apr_time_t)(seconds * APR_USEC_PER_SEC);
    return true;
}

/* exp, nbf, iss and aud. */
static udm_error_t *check_claims(apr_time_t *expires, apr_pool_t *p, const json_t *payload,
                                 const udm_token_policy_t *policy, apr_time_t now)
{
    const json_t *nbf = json_object_get(payload, "nbf"), *aud = json_object_get(payload, "aud");
    const char *iss = text_of(payload, "iss");
    apr_time_t skew = apr_time_from_sec(policy->skew), not_before;
    const json_t *item;
    bool meant = false;
    size_t i;

    if (!read_date(expires, json_object_get(payload, "exp"))) {
        return refuse(p, "the token has no usable expiry (exp)");
    }
    if (now >= *expires + skew) {
        return refuse(p, "the token has expired");
    }
    if (nbf && !read_date(&not_before, nbf)) {
        return refuse(p, "the token's nbf is no date");
    }
    if (nbf && now < not_before - skew) {
        return refuse(p, "the token is not valid yet");
    }
    if (policy->issuer && (!iss || strcmp(iss, policy->issuer) != 0)) {
        return refuse(p, "the token is from another issuer (iss)");
    }
    if (policy->audience) {
        if (json_is_string(aud)) {
            meant = strcmp(json_string_value(aud), policy->audience) == 0;
        }
        json_array_foreach(aud, i, item)
        {
            meant = meant || (json_is_string(item) &&
                              strcmp(json_string_value(item), policy->audience) == 0);
        }
        if (!meant) {
            return refuse(p, "the token is meant for another audience (aud)");
        }
    }
    return NULL;
}

/*
 * A claim by its name, which may have dots of its own ("https://example.com/roles"), or else by a path
 * through objects ("realm_access.roles"), whose names may have some, too. The longest name counts.
 */
static const json_t *find_claim(apr_pool_t *p, const json_t *object, const char *path)
{
    const json_t *found = json_object_get(object, path);
    const char *dot = path + strlen(path);

    while (!found && dot > path) {
        if (*--dot == '.') {
            const json_t *inner =
                json_object_get(object, apr_pstrmemdup(p, path, (apr_size_t)(dot - path)));

            found = json_is_object(inner) ? find_claim(p, inner, dot + 1) : NULL;
        }
    }
    return found;
}

/* Whether a string in this claim is a list with blanks between its items (RFC 8693, 4.2; scp: Entra). */
static bool is_scope(const char *path)
{
    const char *dot = strrchr(path, '.'), *last = dot ? dot + 1 : path;

    return strcmp(last, "scope") == 0 || strcmp(last, "scp") == 0;
}

/* Adds a role. "*" is for keys and means nothing here. */
static void add_role(apr_array_header_t *roles, apr_pool_t *p, const char *name)
{
    if (name && *name && strcmp(name, "*") != 0 && roles->nelts < ROLES_MAX) {
        APR_ARRAY_PUSH(roles, const char *) = apr_pstrdup(p, name);
    }
}

/* Adds what the claim holds: strings, or objects with a name; a string alone is one role. */
static void read_roles(apr_array_header_t *roles, apr_pool_t *p, const json_t *claim,
                       const char *path)
{
    const char *text = json_string_value(claim);
    const json_t *item;
    size_t i;

    if (text && is_scope(path)) {
        char *rest, *word;

        for (word = apr_strtok(apr_pstrdup(p, text), " ", &rest); word;
             word = apr_strtok(NULL, " ", &rest)) {
            add_role(roles, p, word);
        }
        return;
    }
    add_role(roles, p, text);
    json_array_foreach(claim, i, item)
    {
        add_role(roles, p, json_is_object(item) ? text_of(item, "name") : json_string_value(item));
    }
}

udm_error_t *udm_token_verify(udm_token_claims_t **claims, apr_pool_t *p, const udm_jwks_t *jwks,
                              const udm_token_policy_t *policy, const char *token, apr_time_t now)
{
    udm_token_claims_t *made = apr_pcalloc(p, sizeof(*made));
    const json_t *header, *payload;
    const algorithm *alg;
    const char *kid, *ccid;
    udm_error_t *error;
    part parts[3];

    *claims = NULL;
    if (strnlen(token, UDM_TOKEN_MAX_SIZE + 1) > UDM_TOKEN_MAX_SIZE) {
        return refuse(p, "the token is too long");
    }
    if (!split(parts, token)) {
        return refuse(p, "the token is malformed: a signed JWT in compact form is needed");
    }
    header = decode_object(p, &parts[0]);
    if (!header) {
        return refuse(p, "the token's header is not a JSON object");
    }
    if ((error = read_header(&alg, &kid, p, header)) ||
        (error = check_signature(p, jwks, token, &parts[2], alg, kid))) {
        return error;
    }
    payload = decode_object(p, &parts[1]);
    if (!payload) {
        return refuse(p, "the token's claims are not a JSON object");
    }
    error = check_claims(&made->expires, p, payload, policy, now);
    if (error) {
        return error;
    }
    ccid = json_string_value(find_claim(p, payload, policy->tenant_claim));
    if (!ccid || !*ccid) {
        return udm_error_make(p, UDM_E_FORBIDDEN, "the token does not name a contact centre");
    }
    made->ccid = apr_pstrdup(p, ccid);
    made->subject = text_of(payload, "sub") ? apr_pstrdup(p, text_of(payload, "sub")) : "";
    made->roles = apr_array_make(p, 4, sizeof(const char *));
    read_roles(made->roles, p, find_claim(p, payload, policy->roles_claim), policy->roles_claim);
    *claims = made;
    return NULL;
}
