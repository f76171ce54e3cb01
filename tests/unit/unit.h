/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * unit.h: what the unit tests share: a pool for each test, and one test case for each file.
 */
#ifndef UDM_UNIT_H
#define UDM_UNIT_H

#include <stddef.h>
#include <stdint.h>

#include <apr_pools.h>
#include <check.h>

#include "core/error.h"

/* The pool of the running test; made before it, destroyed after it. */
extern apr_pool_t *pool;

/* A new test case whose tests have `pool`. */
TCase *unit_case(const char *name);

/* Fails the test, with the error's line, unless `error` is NULL. */
#define unit_ok(error) unit_ok_at((error), __FILE__, __LINE__)
void unit_ok_at(const udm_error_t *error, const char *file, int line);

/* Fails the test unless `error` is of this kind and its reason (or a fault) contains `words`. */
#define unit_fails(error, kind, words) unit_fails_at((error), (kind), (words), __FILE__, __LINE__)
void unit_fails_at(const udm_error_t *error, udm_error_kind kind, const char *words,
                   const char *file, int line);

/* A small generator with the same numbers on every machine; `state` must not start as 0. */
uint32_t unit_random(uint32_t *state);

/* Bytes of memory that this process has mapped, to see what a call took of it. */
size_t unit_memory(void);

/*
 * A copy of `text` in memory of exactly its size (so that AddressSanitizer sees one byte too many),
 * with a few bytes changed, removed, doubled or inserted; the caller frees it.
 */
char *unit_mutate(uint32_t *state, const char *text);

TCase *apikey_case(void);
TCase *artifact_case(void);
TCase *archive_case(void);
TCase *calendar_case(void);
TCase *certificate_case(void);
TCase *certificate_odd_case(void);
TCase *certificate_fields_case(void);
TCase *encode_case(void);
TCase *encode_number_case(void);
TCase *encode_parts_case(void);
TCase *envelope_case(void);
TCase *error_case(void);
TCase *etag_case(void);
TCase *filter_case(void);
TCase *job_case(void);
TCase *job_limits_case(void);
TCase *job_info_case(void);
TCase *json_case(void);
TCase *link_case(void);
TCase *listing_case(void);
TCase *memory_case(void);
TCase *multipart_case(void);
TCase *openapi_case(void);
TCase *principal_case(void);
TCase *redact_case(void);
TCase *route_case(void);
TCase *schedule_case(void);
TCase *cron_case(void);
TCase *spool_case(void);
TCase *store_case(void);
TCase *text_case(void);
TCase *token_case(void);
TCase *token_keys_case(void);
TCase *token_claims_case(void);
TCase *transition_case(void);
TCase *zip_case(void);

#endif
