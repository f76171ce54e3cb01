/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * download.h: files by name, for whoever holds a good link (no principal): many at once, because the
 * line in the audit has to be durable before the first byte goes out.
 */
#ifndef UDM_DB_DOWNLOAD_H
#define UDM_DB_DOWNLOAD_H

#include "db/tenant.h"

/* One that is asked for, and what came of it. */
typedef struct udm_download_t {
    apr_pool_t *pool; /* of what came of it */
    const char *name;
    apr_int64_t size; /* of the file in the store, or -1 */
    const char *client_address;
    const char *request_id;
    udm_error_t *error; /* NULL: it can be downloaded, if this is its size: */
    apr_int64_t listed_size;
    apr_time_t created;
    const char *sha256;
} udm_download_t;

/*
 * Looks the files up and audits each one ("file.download") whose size is the one that is listed: what
 * is not in the store, or not whole, is not downloaded. `error` of each gets UDM_E_NOT_FOUND, or
 * UDM_E_GONE for one past its retention.
 * @return an error of the database: then nothing is known of any, and nothing audited
 */
udm_error_t *udm_download_many(apr_pool_t *p, udm_pg_t *db, udm_download_t *const *downloads,
                               int count);

#endif
