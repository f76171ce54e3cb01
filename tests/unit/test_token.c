/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_token.c: which tokens are believed. Keys are made and tokens signed here.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <cjose/cjose.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "unit.h"
#include "tokentest.h"
#include "core/json.h"
#include "core/token.h"

static const udm_token_policy_t policy = {"https://issuer", "udm", "contact_center_id",
                                          "authorities", 60};

cjose_jwk_t *rsa_1, *rsa_2, *ec_256, *ec_384, *ec_521;

static void make_keys(void)
{
    rsa_1 = cjose_jwk_create_RSA_random(2048, (const uint8_t *)"\x01\x00\x01", 3, NULL);
    rsa_2 = cjose_jwk_create_RSA_random(2048, (const uint8_t *)"\x01\x00\x01", 3, NULL);
    ec_256 = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, NULL);
    ec_384 = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_384, NULL);
    ec_521 = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_521, NULL);
    cjose_jwk_set_kid(rsa_1, "r1", 2, NULL);
    cjose_jwk_set_kid(rsa_2, "r2", 2, NULL);
    cjose_jwk_set_kid(ec_256, "e1", 2, NULL);
    cjose_jwk_set_kid(ec_384, "e2", 2, NULL);
    cjose_jwk_set_kid(ec_521, "e3", 2, NULL);
}

static void free_keys(void)
{
    cjose_jwk_release(rsa_1);
    cjose_jwk_release(rsa_2);
    cjose_jwk_release(ec_256);
    cjose_jwk_release(ec_384);
    cjose_jwk_release(ec_521);
}

TCase *tokentest_case(const char *name)
{
    TCase *tc = unit_case(name);

    tcase_add_unchecked_fixture(tc, make_keys, free_keys);
    return tc;
}

json_t *tokentest_key_json(const cjose_jwk_t *jwk, const char *more)
{
    char *text = cjose_jwk_to_json(jwk, false, NULL);
    json_t *json, *with;

    unit_ok(udm_json_parse(&json, pool, text, strlen(text)));
    unit_ok(udm_json_parse(&with, pool, more, strlen(more)));
    json_object_update(json, with);
    free(text);
    return json;
}

const char *tokentest_set_text(json_t *a, json_t *b, json_t *c)
{
    json_t *keys = json_array(), *set = udm_json_own(pool, json_object());

    json_object_set_new(set, "keys", keys);
    json_array_append(keys, a);
    if (b) {
        json_array_append(keys, b);
    }
    if (c) {
        json_array_append(keys, c);
    }
    return udm_json_text(pool, set);
}

udm_jwks_t *tokentest_parse_set(const char *text)
{
    udm_jwks_t *jwks;

    unit_ok(udm_jwks_parse(&jwks, pool, text, strlen(text)));
    ck_assert_uint_eq(ERR_peek_error(), 0);
    return jwks;
}

udm_jwks_t *tokentest_all_keys(void)
{
    return tokentest_parse_set(tokentest_set_text(tokentest_key_json(rsa_1, "{}"),
                                                  tokentest_key_json(rsa_2, "{}"),
                                                  tokentest_key_json(ec_256, "{}")));
}

const char *tokentest_sign(const cjose_jwk_t *jwk, const char *header, const char *claims)
{
    json_t *head = json_loads(header, 0, NULL);
    cjose_jws_t *jws =
        cjose_jws_sign(jwk, (cjose_header_t *)head, (const uint8_t *)claims, strlen(claims), NULL);
    const char *text, *copy;

    ck_assert_ptr_nonnull(jws);
    ck_assert(cjose_jws_export(jws, &text, NULL));
    copy = apr_pstrdup(pool, text);
    cjose_jws_release(jws);
    json_decref(head);
    return copy;
}

static const char *encode(const void *data, size_t size)
{
    char *text;
    size_t length;
    const char *copy;

    ck_assert(cjose_base64url_encode(data, size, &text, &length, NULL));
    copy = apr_pstrmemdup(pool, text, length);
    free(text);
    return copy;
}

/* A big number of a key, as it stands in its JSON. */
static BIGNUM *number_of(json_t *json, const char *member)
{
    const char *text = json_string_value(json_object_get(json, member));
    uint8_t *bytes;
    size_t size;
    BIGNUM *number;

    ck_assert(cjose_base64url_decode(text, strlen(text), &bytes, &size, NULL));
    number = BN_bin2bn(bytes, (int)size, NULL);
    free(bytes);
    return number;
}

/* The PEM form of an RSA key's public half. */
static const char *public_pem(const cjose_jwk_t *jwk)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    json_t *json = tokentest_key_json(jwk, "{}");
    BIGNUM *n = number_of(json, "n"), *e = number_of(json, "e");
    BIO *bio = BIO_new(BIO_s_mem());
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params;
    const char *copy;
    char *text;
    long size;

    OSSL_PARAM_BLD_push_BN(builder, "n", n);
    OSSL_PARAM_BLD_push_BN(builder, "e", e);
    params = OSSL_PARAM_BLD_to_param(builder);
    ck_assert(EVP_PKEY_fromdata_init(context) > 0);
    ck_assert(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) > 0);
    PEM_write_bio_PUBKEY(bio, key);
    size = BIO_get_mem_data(bio, &text);
    copy = apr_pstrmemdup(pool, text, (apr_size_t)size);
    BIO_free(bio);
    EVP_PKEY_free(key);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    EVP_PKEY_CTX_free(context);
    return copy;
}

/* A token put together by hand. */
static const char *forge(const char *header, const char *claims, const char *signature)
{
    return apr_pstrcat(pool, encode(header, strlen(header)), ".", encode(claims, strlen(claims)),
                       ".", signature, NULL);
}

udm_token_claims_t *tokentest_takes(const udm_jwks_t *jwks, const char *token)
{
    udm_token_claims_t *claims;

    unit_ok(udm_token_verify(&claims, pool, jwks, &policy, token, NOW));
    ck_assert_uint_eq(ERR_peek_error(), 0);
    return claims;
}

void tokentest_refuses_kind(const udm_jwks_t *jwks, const char *token, udm_error_kind kind,
                            const char *words)
{
    udm_token_claims_t *claims = (udm_token_claims_t *)-1;

    unit_fails(udm_token_verify(&claims, pool, jwks, &policy, token, NOW), kind, words);
    ck_assert_ptr_null(claims);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

void tokentest_refuses(const udm_jwks_t *jwks, const char *token, const char *words)
{
    tokentest_refuses_kind(jwks, token, UDM_E_UNAUTHENTICATED, words);
}

const char *tokentest_with_claims(const char *claims)
{
    return tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", claims);
}

START_TEST(test_every_algorithm)
{
    static const char *const rsa[] = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"};
    udm_jwks_t *jwks = tokentest_all_keys();
    udm_token_claims_t *claims;
    size_t i;

    for (i = 0; i < sizeof(rsa) / sizeof(rsa[0]); i++) {
        const char *header =
            apr_psprintf(pool, "{\"alg\":\"%s\",\"kid\":\"r1\",\"typ\":\"JWT\"}", rsa[i]);

        claims = tokentest_takes(jwks, tokentest_sign(rsa_1, header, CLAIMS));
        ck_assert_str_eq(claims->subject, "alice");
        ck_assert_str_eq(claims->ccid, "cc-1");
        ck_assert_int_eq(claims->expires, NOW + apr_time_from_sec(300));
        ck_assert_int_eq(claims->roles->nelts, 1);
        tokentest_refuses(jwks, tokentest_sign(rsa_2, header, CLAIMS), "signature is wrong");
    }
    jwks = tokentest_parse_set(tokentest_set_text(tokentest_key_json(ec_256, "{}"),
                                                  tokentest_key_json(ec_384, "{}"),
                                                  tokentest_key_json(ec_521, "{}")));
    tokentest_takes(jwks, tokentest_sign(ec_256, "{\"alg\":\"ES256\",\"kid\":\"e1\"}", CLAIMS));
    tokentest_takes(jwks, tokentest_sign(ec_384, "{\"alg\":\"ES384\",\"kid\":\"e2\"}", CLAIMS));
    tokentest_takes(jwks, tokentest_sign(ec_521, "{\"alg\":\"ES512\",\"kid\":\"e3\"}", CLAIMS));
    tokentest_takes(jwks, tokentest_sign(ec_521, "{\"alg\":\"ES512\"}", CLAIMS));
}
END_TEST

START_TEST(test_algorithm_is_bound_to_the_key)
{
    udm_jwks_t *jwks = tokentest_all_keys();
    const char *none, *pem = public_pem(rsa_1);
    cjose_jwk_t *hmac;

    /* no signature at all */
    none = forge("{\"alg\":\"none\"}", CLAIMS, "");
    tokentest_refuses(jwks, none, "malformed");
    tokentest_refuses(jwks, apr_pstrcat(pool, none, "AAAA", NULL), "algorithm is not accepted");
    tokentest_refuses(jwks, forge("{\"alg\":\"NONE\"}", CLAIMS, "AAAA"),
                      "algorithm is not accepted");
    tokentest_refuses(jwks, forge("{\"alg\":\"rs256\"}", CLAIMS, "AAAA"),
                      "algorithm is not accepted");
    tokentest_refuses(jwks, forge("{}", CLAIMS, "AAAA"), "algorithm is not accepted");
    tokentest_refuses(jwks, forge("{\"alg\":256}", CLAIMS, "AAAA"), "algorithm is not accepted");
    tokentest_refuses(jwks, forge("{\"alg\":\"RS256\",\"alg\":\"none\"}", CLAIMS, "AAAA"),
                      "header is not a JSON object");

    /* the public key's PEM as the secret of an HMAC */
    hmac = cjose_jwk_create_oct_spec((const uint8_t *)pem, strlen(pem), NULL);
    tokentest_refuses(jwks, tokentest_sign(hmac, "{\"alg\":\"HS256\",\"kid\":\"r1\"}", CLAIMS),
                      "algorithm is not accepted");
    cjose_jwk_release(hmac);

    /* a key of another type, or on another curve */
    tokentest_refuses(jwks, tokentest_sign(ec_256, "{\"alg\":\"ES256\",\"kid\":\"r1\"}", CLAIMS),
                      "does not fit it");
    tokentest_refuses(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"kid\":\"e1\"}", CLAIMS),
                      "does not fit it");
    jwks = tokentest_parse_set(tokentest_set_text(tokentest_key_json(ec_384, "{}"),
                                                  tokentest_key_json(ec_256, "{}"), NULL));
    tokentest_refuses(jwks, tokentest_sign(ec_384, "{\"alg\":\"ES256\",\"kid\":\"e2\"}", CLAIMS),
                      "does not fit it");

    /* a key that says for which algorithm it is */
    jwks = tokentest_parse_set(tokentest_set_text(
        tokentest_key_json(rsa_1, "{\"alg\":\"PS256\",\"use\":\"sig\"}"), NULL, NULL));
    tokentest_takes(jwks, tokentest_sign(rsa_1, "{\"alg\":\"PS256\"}", CLAIMS));
    tokentest_refuses(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\"}", CLAIMS),
                      "no key is known here that fits");
}
END_TEST

START_TEST(test_header)
{
    udm_jwks_t *jwks = tokentest_all_keys();

    tokentest_takes(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"typ\":\"jwt\"}", CLAIMS));
    tokentest_takes(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"typ\":\"AT+JWT\"}", CLAIMS));
    tokentest_takes(
        jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"typ\":\"application/at+jwt\"}", CLAIMS));
    /* keys that the token brings along count for nothing */
    tokentest_refuses(
        jwks,
        tokentest_sign(ec_384,
                       apr_psprintf(pool, "{\"alg\":\"ES384\",\"jwk\":%s}",
                                    udm_json_text(pool, tokentest_key_json(ec_384, "{}"))),
                       CLAIMS),
        "no key is known here");
    tokentest_refuses(jwks,
                      tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"typ\":\"logout+jwt\"}", CLAIMS),
                      "another type");
    tokentest_refuses(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"typ\":\"\"}", CLAIMS),
                      "another type");
    tokentest_refuses(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"typ\":null}", CLAIMS),
                      "another type");
    tokentest_refuses(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"crit\":[\"exp\"]}", CLAIMS),
                      "crit");
    tokentest_refuses(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"crit\":null}", CLAIMS),
                      "crit");
}
END_TEST

/* What the same type is called by others. */
START_TEST(test_typ)
{
    static const char *const good[] = {"JWT",
                                       "at+jwt",
                                       "application/jwt",
                                       "application/at+jwt",
                                       "Application/AT+JWT",
                                       "APPLICATION/JWT"};
    static const char *const bad[] = {"id_token+jwt",
                                      "dpop+jwt",
                                      "application/logout+jwt",
                                      "secevent+jwt",
                                      "application/okta-internal-at+jwt",
                                      "application/",
                                      "text/at+jwt",
                                      "application/application/jwt",
                                      "application/at+jwt;x=y",
                                      " jwt",
                                      "jwt ",
                                      "at-jwt",
                                      "JWS",
                                      "x/at+jwt"};
    udm_jwks_t *jwks = tokentest_all_keys();
    size_t i;

    tokentest_takes(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\"}", CLAIMS));
    for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
        tokentest_takes(
            jwks,
            tokentest_sign(rsa_1, apr_psprintf(pool, "{\"alg\":\"RS256\",\"typ\":\"%s\"}", good[i]),
                           CLAIMS));
    }
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        tokentest_refuses(
            jwks,
            tokentest_sign(rsa_1, apr_psprintf(pool, "{\"alg\":\"RS256\",\"typ\":\"%s\"}", bad[i]),
                           CLAIMS),
            "typ must be JWT or at+jwt, with or without application/");
    }
}
END_TEST

START_TEST(test_tampering)
{
    udm_jwks_t *jwks = tokentest_all_keys();
    const char *token = tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", CLAIMS);
    const char *other = tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"kid\":\"r1\"}",
                                       "{\"exp\":1795500300,\"contact_center_id\":\"cc-2\"}");
    const char *dot = strchr(token, '.'), *last = strrchr(token, '.');
    const char *other_last = strrchr(other, '.'), *ec;
    char *copy;
    size_t i, size = strlen(token);

    tokentest_takes(jwks, token);
    tokentest_refuses(jwks,
                      apr_pstrcat(pool, apr_pstrmemdup(pool, token, (apr_size_t)(last - token)),
                                  other_last, NULL),
                      "signature is wrong");
    /* every character counts; the last of a part holds unused bits, so it may */
    for (i = 0; i < size; i += 7) {
        udm_token_claims_t *claims;

        copy = apr_pstrdup(pool, token);
        copy[i] = copy[i] == 'A' ? 'Q' : 'A';
        if (i != size - 1) {
            ck_assert_ptr_nonnull(udm_token_verify(&claims, pool, jwks, &policy, copy, NOW));
        }
    }
    tokentest_refuses(jwks, "", "malformed");
    tokentest_refuses(jwks, ".", "malformed");
    tokentest_refuses(jwks, "..", "malformed");
    tokentest_refuses(jwks, "a.b", "malformed");
    tokentest_refuses(jwks, apr_pstrmemdup(pool, token, (apr_size_t)(last - token)), "malformed");
    tokentest_refuses(jwks, apr_pstrcat(pool, token, ".", NULL), "malformed");
    tokentest_refuses(jwks, apr_pstrcat(pool, token, ".e30", NULL), "malformed");
    tokentest_refuses(jwks, apr_pstrcat(pool, token, ".e30.e30", NULL), "malformed");
    tokentest_refuses(jwks, apr_pstrcat(pool, token, "=", NULL), "malformed");
    tokentest_refuses(jwks, apr_pstrcat(pool, token, "\n", NULL), "malformed");
    tokentest_refuses(jwks, apr_pstrcat(pool, " ", token, NULL), "malformed");
    tokentest_refuses(jwks, apr_pstrcat(pool, "+", token, NULL), "malformed");
    tokentest_refuses(jwks, apr_pstrcat(pool, "e30e3", dot, NULL), "malformed");
    tokentest_refuses(jwks, apr_pstrcat(pool, "W10", dot, NULL),
                      "header is not a JSON object"); /* [] */
    tokentest_refuses(jwks, apr_pstrcat(pool, "____", dot, NULL), "header is not a JSON object");
    /* a signature of another length: longer by zeros, or cut */
    tokentest_refuses(jwks, apr_pstrcat(pool, token, "AAAA", NULL), "does not fit it");
    tokentest_refuses(jwks, apr_pstrmemdup(pool, token, size - 4), "does not fit it");
    ec = tokentest_sign(ec_256, "{\"alg\":\"ES256\"}", CLAIMS);
    tokentest_refuses(jwks, apr_pstrcat(pool, ec, "AA", NULL), "no key is known here that fits");
}
END_TEST

START_TEST(test_size)
{
    udm_jwks_t *jwks = tokentest_all_keys();
    char *text = apr_palloc(pool, 20001);
    const char *token;

    memset(text, 'A', 20000);
    text[20000] = '\0';
    tokentest_refuses(jwks, text, "too long");
    text[UDM_TOKEN_MAX_SIZE + 1] = '\0';
    tokentest_refuses(jwks, text, "too long");
    text[UDM_TOKEN_MAX_SIZE] = '\0';
    tokentest_refuses(jwks, text, "malformed");
    text[11000] = '\0';
    token =
        tokentest_with_claims(apr_psprintf(pool,
                                           "{\"exp\":1795500300,\"iss\":\"https://issuer\",\"aud\":"
                                           "\"udm\",\"contact_center_id\":\"cc\",\"x\":\"%s\"}",
                                           text));
    ck_assert_str_eq(tokentest_takes(jwks, token)->ccid, "cc");
}
END_TEST

typedef struct {
    const udm_jwks_t *jwks;
    const char *const *tokens;
    int count;
    int good;
} reader;

static void *verify_many(void *data)
{
    reader *r = data;
    apr_pool_t *own;
    int i;

    apr_pool_create(&own, NULL);
    for (i = 0; i < 60; i++) {
        udm_token_claims_t *claims;

        r->good +=
            udm_token_verify(&claims, own, r->jwks, &policy, r->tokens[i % r->count], NOW) == NULL;
        apr_pool_clear(own);
    }
    apr_pool_destroy(own);
    return NULL;
}

/* Threads share one set without a lock; the thread sanitizer watches this one. */
START_TEST(test_threads)
{
    const char *tokens[3];
    reader readers[4];
    pthread_t threads[4];
    udm_jwks_t *jwks = tokentest_all_keys();
    int i;

    tokens[0] = tokentest_sign(rsa_1, "{\"alg\":\"RS256\"}", CLAIMS);
    tokens[1] = tokentest_sign(rsa_2, "{\"alg\":\"PS256\"}", CLAIMS);
    tokens[2] = tokentest_sign(ec_256, "{\"alg\":\"ES256\"}", CLAIMS);
    for (i = 0; i < 4; i++) {
        readers[i] = (reader){jwks, tokens, 3, 0};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, verify_many, &readers[i]), 0);
    }
    for (i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(readers[i].good, 60);
    }
}
END_TEST

START_TEST(test_mutations)
{
    udm_jwks_t *jwks = tokentest_all_keys(), *others;
    const char *token =
        tokentest_sign(ec_256, "{\"alg\":\"ES256\",\"kid\":\"e1\",\"typ\":\"JWT\"}", CLAIMS);
    const char *set = tokentest_set_text(tokentest_key_json(ec_256, "{\"use\":\"sig\"}"),
                                         tokentest_key_json(ec_384, "{}"), NULL);
    uint32_t state = 668265263u;
    apr_pool_t *scratch;
    int i;

    apr_pool_create(&scratch, pool);
    for (i = 0; i < 3000; i++) {
        static const char *const headers[] = {
            "{\"alg\":\"RS256\",\"kid\":\"r1\",\"typ\":\"at+jwt\"}",
            "{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}"};
        char *text = unit_mutate(&state, token);
        char *header = unit_mutate(&state, headers[i % 2]);
        udm_token_claims_t *claims;
        udm_error_t *error = udm_token_verify(&claims, scratch, jwks, &policy, text, NOW);

        ck_assert((error == NULL) == (claims != NULL));
        if (!error) { /* only in bits that mean nothing */
            ck_assert_uint_eq(strlen(text), strlen(token));
        }
        ck_assert_ptr_nonnull(udm_token_verify(
            &claims, scratch, jwks, &policy,
            apr_pstrcat(scratch, encode(header, strlen(header)), ".e30.AAAA", NULL), NOW));
        free(text);
        free(header);
        text = unit_mutate(&state, set);
        error = udm_jwks_parse(&others, scratch, text, strlen(text));
        ck_assert((error == NULL) == (others != NULL));
        free(text);
        ck_assert_uint_eq(ERR_peek_error(), 0);
        apr_pool_clear(scratch);
    }
}
END_TEST

TCase *token_case(void)
{
    TCase *tc = tokentest_case("token");

    tcase_add_test(tc, test_every_algorithm);
    tcase_add_test(tc, test_algorithm_is_bound_to_the_key);
    tcase_add_test(tc, test_header);
    tcase_add_test(tc, test_tampering);
    tcase_add_test(tc, test_size);
    tcase_add_test(tc, test_typ);
    tcase_add_test(tc, test_threads);
    tcase_add_test(tc, test_mutations);
    return tc;
}
