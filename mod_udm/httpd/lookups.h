/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * lookups.h: what was found of credentials, roles and certificates a moment ago, in one child, for its
 * next requests.
 *
 * Entries go by a SHA-256: no key and no token is kept. What an entry holds never changes after it
 * was made; a request that uses one holds it until its end, so that it may be replaced at any time.
 */
#ifndef UDM_HTTPD_LOOKUPS_H
#define UDM_HTTPD_LOOKUPS_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

#include "core/text.h"

#define UDM_LOOKUPS_ID_SIZE UDM_SHA256_SIZE

typedef struct udm_lookups_t udm_lookups_t;

/* Makes an empty cache, of a fixed number of entries, for the threads of a child. */
apr_status_t udm_lookups_create(udm_lookups_t **cache, apr_pool_t *pchild);

/*
 * The id of some texts, of which any may be NULL, and unless it is NULL those in `more`. The first one
 * says what kind of thing is kept.
 */
void udm_lookups_id(unsigned char *id, apr_pool_t *p, const char *const *texts, int count,
                    const apr_array_header_t *more);

/*
 * What was kept under `id` less than `lifetime` ago and may still be used.
 * @return NULL when there is nothing; else it is good until `p` ends
 */
const void *udm_lookups_get(udm_lookups_t *cache, apr_pool_t *p, const unsigned char *id,
                            apr_interval_time_t lifetime);

/* Copies `value` into a pool; returns the copy. */
typedef void *(*udm_lookups_copy_fn)(apr_pool_t *p, const void *value);

/*
 * Keeps a copy of `value` under `id`. `since` is a reading of udm_clock() from before it was looked
 * up; `until` one from which on it must not be used.
 */
void udm_lookups_put(udm_lookups_t *cache, const unsigned char *id, const void *value,
                     udm_lookups_copy_fn copy, apr_time_t since, apr_time_t until);

/* Nothing that was looked up until now is used again. */
void udm_lookups_forget(udm_lookups_t *cache);

#endif
