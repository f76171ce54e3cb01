/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * notes.h: what was found of each entry, in an unlinked file, for the manifest and the central
 * directory to be compared with: hashes and numbers only, so memory does not depend on how many
 * entries there are, and nothing of the content is in it.
 */
#ifndef UDM_DECRYPT_NOTES_H
#define UDM_DECRYPT_NOTES_H

#include <stdint.h>

#include "core/error.h"
#include "core/text.h"

typedef struct udm_note_t {
    unsigned char name[UDM_SHA256_SIZE];   /* SHA-256 of the name */
    unsigned char folded[UDM_SHA256_SIZE]; /* of the name without the case of letters */
    unsigned char sha256[UDM_SHA256_SIZE]; /* of the content */
    apr_int64_t size;
    apr_int64_t compressed;
    apr_int64_t offset; /* of the local header in its volume */
    apr_int64_t copy;   /* of the same in a copy in one piece */
    uint32_t disk;
    uint32_t crc;
    uint16_t flags;
    uint16_t time, date;
    uint16_t unused;
} udm_note_t;

typedef struct udm_notes_t udm_notes_t;

/* `dir`: where the file lies. */
udm_error_t *udm_notes_open(udm_notes_t **notes, apr_pool_t *p, const char *dir);

udm_error_t *udm_notes_add(udm_notes_t *notes, const udm_note_t *note);
apr_int64_t udm_notes_count(const udm_notes_t *notes);

/* Reads from the first one on; udm_notes_read is not called more often than there are notes. */
udm_error_t *udm_notes_rewind(udm_notes_t *notes);
udm_error_t *udm_notes_read(udm_note_t *note, udm_notes_t *notes);

/* @return UDM_E_UNPROCESSABLE when two entries have one name, be it in another case of letters */
udm_error_t *udm_notes_check_unique(udm_notes_t *notes);

#endif
