/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h: pre-signed links: "<base>/download/<name>?expires=<unix seconds>&signature=<hex>".
 *
 * The signature is HMAC-SHA256 over "GET\n<name>\n<expires>", lower-case hex, last in the URL. It
 * is checked first and in constant time; only then is the expiry looked at (decisions 4.6).
 */
#ifndef UDM_CORE_LINK_H
#define UDM_CORE_LINK_H

#include <apr_pools.h>
#include <apr_time.h>

#include "core/error.h"

/* Signing keys: links are made with the current one and accepted from both. Immutable. */
typedef struct udm_link_keys_t udm_link_keys_t;

/*
 * Reads a key file: one key a line, 64 or more hex digits; the first is the current one, a second
 * the previous one; lines that start with '#' are skipped.
 * @return UDM_E_INVALID that says what is wrong, never a digit of a key
 */
udm_error_t *udm_link_keys_parse(udm_link_keys_t **keys, apr_pool_t *p, const char *text,
                                 apr_size_t size);

/* The query of a link to `name` that is good until `expires` (whole seconds). */
const char *udm_link_query(apr_pool_t *p, const udm_link_keys_t *keys, const char *name,
                           apr_time_t expires);

/*
 * Checks the query of a link at the instant `now`.
 * @return UDM_E_FORBIDDEN for a wrong signature or form, UDM_E_GONE for a good one that has expired
 */
udm_error_t *udm_link_check(apr_pool_t *p, const udm_link_keys_t *keys, const char *name,
                            const char *query, apr_time_t now);

#endif
