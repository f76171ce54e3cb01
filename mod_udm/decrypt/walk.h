/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.h: what the reading of entries (archive.c) and that of the central directory (directory.c)
 * share: the walk through the volumes.
 */
#ifndef UDM_DECRYPT_WALK_H
#define UDM_DECRYPT_WALK_H

#include "core/zip_format.h"
#include "decrypt/joined.h"
#include "decrypt/notes.h"
#include "decrypt/output.h"

typedef struct udm_walk_t {
    apr_pool_t *pool;
    udm_joined_t *joined;
    udm_output_t *output;
    udm_notes_t *notes;
} udm_walk_t;

/* The error of an archive that is not as it must be; names the file and the position in it. */
udm_error_t *udm_walk_damaged(udm_walk_t *walk, const char *what);

/*
 * Shows the next `want` bytes at a place where a header begins, which is never cut: when this
 * volume has ended, in the next one.
 */
udm_error_t *udm_walk_header(const unsigned char **data, udm_walk_t *walk, apr_size_t want);

/* Shows `want` bytes of the header that was found. */
udm_error_t *udm_walk_whole(const unsigned char **data, udm_walk_t *walk, apr_size_t want);

#endif
