/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * token.h: verifies a JWT (RFC 7519) against a JWKS (RFC 7517), with cjose.
 *
 * RS256/384/512, PS256/384/512, ES256/384/512; the algorithm must fit the key's type (and the key's
 * own "alg" and "use", if it has them), so that `none` and HS256-with-the-public-key are never even
 * tried (RFC 8725).
 */
#ifndef UDM_CORE_TOKEN_H
#define UDM_CORE_TOKEN_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

#include "core/error.h"

/* Longest token that is looked at; a longer one is a 401. */
#define UDM_TOKEN_MAX_SIZE 16384

/* A set of public keys. Immutable once made, so threads may share it without a lock. */
typedef struct udm_jwks_t udm_jwks_t;

/*
 * What a Location expects of a token. Durations in seconds. NULL means: not checked. A claim is named
 * as it is, dots and all, or by a path through objects: realm_access.roles.
 */
typedef struct udm_token_policy_t {
    const char *issuer;
    const char *audience;
    const char *tenant_claim; /* never NULL */
    const char *roles_claim;  /* never NULL */
    int skew;
} udm_token_policy_t;

/* What a good token says. Strings live in the pool given to udm_token_verify. */
typedef struct udm_token_claims_t {
    const char *subject;
    const char *ccid;
    apr_array_header_t *roles; /* of const char *; never holds "*" */
    apr_time_t expires;
} udm_token_claims_t;

/*
 * Reads a JWKS document; keys of other kinds or uses are skipped. Released with `p`.
 * @return UDM_E_INVALID for what is no JWKS, or holds no usable key, or holds a private key
 */
udm_error_t *udm_jwks_parse(udm_jwks_t **jwks, apr_pool_t *p, const char *text, apr_size_t size);

/* SHA-256 of the document that the set was read from: 32 bytes. */
const unsigned char *udm_jwks_sha256(const udm_jwks_t *jwks);

/*
 * Verifies a compact JWS and its claims at the instant `now`: exp (required), nbf, iss, aud (string
 * or array), with the policy's skew; rejects `crit` and a typ other than JWT or at+jwt, which
 * may have application/ in front (RFC 7515, RFC 9068).
 * @return UDM_E_UNAUTHENTICATED whose reason says which rule failed, never what was sent;
 *         UDM_E_FORBIDDEN for a good token without the tenant claim
 */
udm_error_t *udm_token_verify(udm_token_claims_t **claims, apr_pool_t *p, const udm_jwks_t *jwks,
                              const udm_token_policy_t *policy, const char *token, apr_time_t now);

#endif
