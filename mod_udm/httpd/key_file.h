/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * key_file.h: key files: read when the server starts, read again in each child once they change.
 *
 * A set of keys never changes after it was made. A request that uses one holds it until its end, so
 * that the set may be replaced at any time.
 */
#ifndef UDM_HTTPD_KEY_FILE_H
#define UDM_HTTPD_KEY_FILE_H

#include <httpd.h>

#include "core/error.h"
#include "core/link.h"
#include "core/token.h"

typedef enum { UDM_KEY_FILE_LINK, UDM_KEY_FILE_TOKEN } udm_key_file_kind;

typedef struct udm_key_file_t udm_key_file_t;

/* A file that a directive names; nothing is read yet. */
udm_key_file_t *udm_key_file_make(apr_pool_t *p, udm_key_file_kind kind, const char *path);

/* Reads the file for the first time, in the parent. @return an error that names file and reason */
udm_error_t *udm_key_file_load(udm_key_file_t *file, apr_pool_t *pconf);

/* Makes the file ready for the threads of a child. */
apr_status_t udm_key_file_child_init(udm_key_file_t *file, apr_pool_t *pchild);

/*
 * The keys that hold now, until the end of the request. Looks at most every 5 s whether the file
 * has changed; a new file that is no good leaves the old keys in place and is logged once.
 */
const udm_link_keys_t *udm_key_file_link_keys(udm_key_file_t *file, request_rec *r);

/* The same with a look at the file first: for a link that none of those keys has signed, for another
 * child or host may have read the file a moment earlier. Costs a stat(2) while nothing has changed. */
const udm_link_keys_t *udm_key_file_link_keys_now(udm_key_file_t *file, request_rec *r);

const udm_jwks_t *udm_key_file_token_keys(udm_key_file_t *file, request_rec *r);

#endif
