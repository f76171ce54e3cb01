/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * tokentest.h: what the tests of tokens share; it is in test_token.c.
 */
#ifndef UDM_TOKENTEST_H
#define UDM_TOKENTEST_H

#include <cjose/cjose.h>
#include <jansson.h>

#include "unit.h"
#include "core/token.h"

#define SECONDS 1795500000
#define NOW     apr_time_from_sec(SECONDS)
#define CLAIMS                                                                                     \
    "{\"exp\":1795500300,\"nbf\":1795499900,\"iss\":\"https://issuer\",\"aud\":\"udm\","           \
    "\"sub\":\"alice\",\"contact_center_id\":\"cc-1\",\"authorities\":[\"UDM UCSX Exporter\"]}"

/* A new test case whose tests have `pool` and the keys. */
TCase *tokentest_case(const char *name);

/* The set with both RSA keys and the one on P-256. */
udm_jwks_t *tokentest_all_keys(void);

/* The claims of a good token. */
udm_token_claims_t *tokentest_takes(const udm_jwks_t *jwks, const char *token);

/* Expects this error, and no claims. */
void tokentest_refuses_kind(const udm_jwks_t *jwks, const char *token, udm_error_kind kind,
                            const char *words);

/* The same of a token that is not believed. */
void tokentest_refuses(const udm_jwks_t *jwks, const char *token, const char *words);

/* A good token but for its claims. */
const char *tokentest_with_claims(const char *claims);

/* Made once, for RSA keys take their time: two of RSA and one for each curve. */
extern cjose_jwk_t *rsa_1, *rsa_2, *ec_256, *ec_384, *ec_521;

/* A key as JSON; `more` are members to add or replace ("{}" for none). */
json_t *tokentest_key_json(const cjose_jwk_t *jwk, const char *more);

/* The text of a key set of up to three keys. */
const char *tokentest_set_text(json_t *a, json_t *b, json_t *c);

/* The key set of a text. */
udm_jwks_t *tokentest_parse_set(const char *text);

/* Signs `claims`; `header` is JSON with at least an alg. */
const char *tokentest_sign(const cjose_jwk_t *jwk, const char *header, const char *claims);

#endif
