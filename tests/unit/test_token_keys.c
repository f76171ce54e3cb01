/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_token_keys.c: which key sets are taken, and which of the keys a token is verified with.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <cjose/cjose.h>
#include <openssl/err.h>

#include "unit.h"
#include "tokentest.h"
#include "core/json.h"
#include "core/token.h"

START_TEST(test_kid)
{
    udm_jwks_t *jwks = tokentest_all_keys();
    json_t *nameless = tokentest_key_json(rsa_1, "{}");

    tokentest_takes(jwks, tokentest_sign(rsa_2, "{\"alg\":\"RS256\",\"kid\":\"r2\"}", CLAIMS));
    tokentest_takes(
        jwks, tokentest_sign(rsa_2, "{\"alg\":\"RS256\"}", CLAIMS)); /* tries those that fit */
    tokentest_refuses(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"kid\":\"r2\"}", CLAIMS),
                      "signature is wrong");
    tokentest_refuses(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"kid\":\"r3\"}", CLAIMS),
                      "names a key that is not known");
    tokentest_refuses(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"kid\":\"R1\"}", CLAIMS),
                      "names a key that is not known");
    tokentest_refuses(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"kid\":7}", CLAIMS),
                      "kid is not a string");
    tokentest_refuses(jwks, tokentest_sign(ec_384, "{\"alg\":\"ES384\"}", CLAIMS),
                      "no key is known here that fits");
    json_object_del(nameless, "kid");
    jwks = tokentest_parse_set(tokentest_set_text(nameless, NULL, NULL));
    tokentest_takes(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\"}", CLAIMS));
    tokentest_refuses(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", CLAIMS),
                      "not known");
    /* two keys of one name are both tried */
    jwks =
        tokentest_parse_set(tokentest_set_text(tokentest_key_json(rsa_2, "{\"kid\":\"x\"}"),
                                               tokentest_key_json(rsa_1, "{\"kid\":\"x\"}"), NULL));
    tokentest_takes(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"kid\":\"x\"}", CLAIMS));
}
END_TEST

/* A token without a kid costs at most eight verifications. */
START_TEST(test_candidates_are_limited)
{
    json_t *keys = json_array(), *set = udm_json_own(pool, json_object());
    const char *token = tokentest_sign(rsa_1, "{\"alg\":\"RS256\"}", CLAIMS);
    const char *text;
    int i;

    json_object_set_new(set, "keys", keys);
    for (i = 0; i < 7; i++) {
        json_array_append(keys, tokentest_key_json(rsa_2, "{}"));
    }
    json_array_append(keys, tokentest_key_json(rsa_1, "{}"));
    text = udm_json_text(pool, set);
    tokentest_takes(tokentest_parse_set(text), token);
    json_array_insert(keys, 0, tokentest_key_json(rsa_2, "{}"));
    text = udm_json_text(pool, set);
    tokentest_refuses(tokentest_parse_set(text), token, "signature is wrong");
    tokentest_takes(tokentest_parse_set(text),
                    tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", CLAIMS));
}
END_TEST

/* With an exponent of 1 what is signed is its own signature. */
START_TEST(test_exponents_of_keys)
{
    static const char *const bad[] = {"AQ", "AAE", "AA", "Ag", "AQAA", "AAAAAQ"};
    udm_jwks_t *jwks;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const char *more = apr_psprintf(pool, "{\"e\":\"%s\"}", bad[i]);
        const char *text = tokentest_set_text(tokentest_key_json(rsa_1, more), NULL, NULL);

        unit_fails(udm_jwks_parse(&jwks, pool, text, strlen(text)), UDM_E_INVALID,
                   "holds no key for");
        jwks = tokentest_parse_set(tokentest_set_text(tokentest_key_json(rsa_1, more),
                                                      tokentest_key_json(rsa_2, "{}"), NULL));
        tokentest_refuses(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", CLAIMS),
                          "not known here");
    }
    jwks = tokentest_parse_set(
        tokentest_set_text(tokentest_key_json(rsa_1, "{\"e\":\"AQAB\"}"), NULL, NULL));
    tokentest_takes(jwks, tokentest_sign(rsa_1, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", CLAIMS));
}
END_TEST

static void refuses_set(const char *text, const char *words)
{
    udm_jwks_t *jwks = (udm_jwks_t *)-1;

    unit_fails(udm_jwks_parse(&jwks, pool, text, strlen(text)), UDM_E_INVALID, words);
    ck_assert_ptr_null(jwks);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

START_TEST(test_key_sets)
{
    cjose_jwk_t *weak = cjose_jwk_create_RSA_random(1024, (const uint8_t *)"\x01\x00\x01", 3, NULL);
    char *private = cjose_jwk_to_json(ec_256, true, NULL);
    json_t *rsa = tokentest_key_json(rsa_1, "{}");

    refuses_set("", "the key set (JWKS) is not valid JSON: the document is empty");
    refuses_set("{\"keys\":[", "not valid JSON: at line 1");
    refuses_set("{\"keys\":[\"d\":\"a secret\"]}", "not valid JSON: at line 1");
    refuses_set("[]", "no JWKS");
    refuses_set("{}", "no JWKS");
    refuses_set("{\"keys\":{}}", "no JWKS");
    refuses_set("{\"keys\":[]}", "holds no key");
    refuses_set("{\"keys\":[1,null,\"x\",{},{\"kty\":7},{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}]}",
                "holds no key");
    refuses_set(
        "{\"keys\":[{\"kty\":\"RSA\"},{\"kty\":\"EC\"},{\"kty\":\"EC\",\"crv\":\"P-256\"}]}",
        "holds no key");
    refuses_set(tokentest_set_text(tokentest_key_json(weak, "{}"), NULL, NULL), "holds no key");
    refuses_set(tokentest_set_text(tokentest_key_json(rsa_1, "{\"use\":\"enc\"}"), NULL, NULL),
                "holds no key");
    refuses_set(
        tokentest_set_text(tokentest_key_json(rsa_1, "{\"key_ops\":[\"encrypt\"]}"), NULL, NULL),
        "holds no key");
    refuses_set(tokentest_set_text(tokentest_key_json(rsa_1, "{\"alg\":\"RSA-OAEP\"}"), NULL, NULL),
                "holds no key");
    refuses_set(tokentest_set_text(tokentest_key_json(rsa_1, "{\"alg\":\"ES256\"}"), NULL, NULL),
                "holds no key");
    refuses_set(tokentest_set_text(tokentest_key_json(ec_256, "{\"alg\":\"ES384\"}"), NULL, NULL),
                "holds no key");
    refuses_set(
        tokentest_set_text(tokentest_key_json(ec_256, "{\"crv\":\"secp256k1\"}"), NULL, NULL),
        "holds no key");
    refuses_set(tokentest_set_text(tokentest_key_json(ec_256, "{\"x\":\"AAAA\"}"), NULL, NULL),
                "holds no key");
    /* base64url that cjose's own reader stumbles over */
    refuses_set(tokentest_set_text(tokentest_key_json(ec_256, "{\"x\":\"AAAAA=AA\"}"), NULL, NULL),
                "holds no key");
    refuses_set(tokentest_set_text(tokentest_key_json(rsa_1, "{\"n\":\"A=\"}"), NULL, NULL),
                "holds no key");
    refuses_set(tokentest_set_text(tokentest_key_json(rsa_1, "{\"e\":\"\"}"), NULL, NULL),
                "holds no key");
    refuses_set(tokentest_set_text(tokentest_key_json(rsa_1, "{\"e\":\"AQ+B\"}"), NULL, NULL),
                "holds no key");
    refuses_set(tokentest_set_text(tokentest_key_json(rsa_1, "{\"e\":65537}"), NULL, NULL),
                "holds no key");
    /* private keys make the whole set bad, wherever they stand */
    refuses_set(apr_psprintf(pool, "{\"keys\":[%s,%s]}", udm_json_text(pool, rsa), private),
                "key 2 of the key set holds private");
    refuses_set("{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}", "key 1 of the key set holds");
    refuses_set(tokentest_set_text(tokentest_key_json(rsa_1, "{\"p\":\"AQ\"}"), NULL, NULL),
                "holds private");
    /* what cannot be used does not harm what can */
    tokentest_takes(
        tokentest_parse_set(tokentest_set_text(
            tokentest_key_json(weak, "{}"), tokentest_key_json(rsa_1, "{\"use\":\"enc\"}"),
            tokentest_key_json(rsa_1, "{\"key_ops\":[\"verify\"],\"x5t\":\"x\"}"))),
        tokentest_sign(rsa_1, "{\"alg\":\"RS256\"}", CLAIMS));
    cjose_jwk_release(weak);
    free(private);
}
END_TEST

/* A syntax error in a key file does not print what stands beside it. */
START_TEST(test_key_set_reason_is_discreet)
{
    const char *text = "{\"keys\":[{\"kty\":\"RSA\" \"d\":\"geheim\"}]}";
    udm_jwks_t *jwks;
    udm_error_t *error = udm_jwks_parse(&jwks, pool, text, strlen(text));

    ck_assert_ptr_null(strstr(udm_error_line(pool, error), "\"d\""));
    text = "{\"keys\":[ geheim ]}";
    error = udm_jwks_parse(&jwks, pool, text, strlen(text));
    ck_assert_ptr_null(strstr(udm_error_line(pool, error), "geheim"));
}
END_TEST

TCase *token_keys_case(void)
{
    TCase *tc = tokentest_case("token_keys");

    tcase_add_test(tc, test_kid);
    tcase_add_test(tc, test_candidates_are_limited);
    tcase_add_test(tc, test_exponents_of_keys);
    tcase_add_test(tc, test_key_sets);
    tcase_add_test(tc, test_key_set_reason_is_discreet);
    return tc;
}
