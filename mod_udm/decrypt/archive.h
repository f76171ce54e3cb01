/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.h: walks through the ZIP archive of an export from its first byte to its last, and
 * verifies all of it. Accepted is what an export looks like and nothing else, so every other reader
 * sees the same entries.
 */
#ifndef UDM_DECRYPT_ARCHIVE_H
#define UDM_DECRYPT_ARCHIVE_H

#include <stdio.h>

#include "decrypt/joined.h"
#include "decrypt/output.h"

/* What was found. */
typedef struct udm_archive_sum_t {
    apr_int64_t entries; /* without the manifest */
    apr_int64_t size;    /* of their content */
} udm_archive_sum_t;

/*
 * Reads all volumes, hands the content on to `output`. `list`: gets a line for each entry, or NULL.
 * @return UDM_E_UNPROCESSABLE when anything is not as it must be
 */
udm_error_t *udm_archive_read(udm_archive_sum_t *sum, apr_pool_t *p, udm_joined_t *joined,
                              udm_output_t *output, const char *export_id, FILE *list);

#endif
