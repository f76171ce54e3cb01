/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.h: what the reading of entries (archive.c) and that of the central directory (directory.c)
 * share: the walk through the volumes, and the numbers in headers (APPNOTE.TXT).
 */
#ifndef UDM_DECRYPT_WALK_H
#define UDM_DECRYPT_WALK_H

#include "decrypt/archive.h"
#include "decrypt/notes.h"

#define UDM_ZIP_LOCAL         0x04034b50U
#define UDM_ZIP_DESCRIPTOR    0x08074b50U
#define UDM_ZIP_CENTRAL       0x02014b50U
#define UDM_ZIP_END           0x06054b50U
#define UDM_ZIP_END64         0x06064b50U
#define UDM_ZIP_END64_LOCATOR 0x07064b50U

#define UDM_ZIP_VERSION        20 /* of what is needed to read deflate */
#define UDM_ZIP_VERSION_ZIP64  45
#define UDM_ZIP_MADE_BY        (3 << 8 | UDM_ZIP_VERSION_ZIP64) /* Unix */
#define UDM_ZIP_DEFLATE        8
#define UDM_ZIP_HAS_DESCRIPTOR 0x0008
#define UDM_ZIP_UTF8           0x0800
#define UDM_ZIP_EXTRA_ZIP64    0x0001
#define UDM_ZIP_EXTRA_PAD      0xd935
#define UDM_ZIP_MAX16          0xffffU
#define UDM_ZIP_MAX32          0xffffffffU
#define UDM_ZIP_NAME_MAX       511

/* No volume's size is a multiple of this: one that would be is padded. */
#define UDM_WALK_BLOCK 16384

typedef struct udm_walk_t {
    apr_pool_t *pool;
    udm_joined_t *joined;
    udm_output_t *output;
    udm_notes_t *notes;
} udm_walk_t;

static inline unsigned udm_get16(const unsigned char *at)
{
    return at[0] | (unsigned)at[1] << 8;
}

static inline uint32_t udm_get32(const unsigned char *at)
{
    return udm_get16(at) | (uint32_t)udm_get16(at + 2) << 16;
}

static inline uint64_t udm_get64(const unsigned char *at)
{
    return udm_get32(at) | (uint64_t)udm_get32(at + 4) << 32;
}

/* The error of an archive that is not as it must be; names the file and the position in it. */
udm_error_t *udm_walk_damaged(udm_walk_t *walk, const char *what);

/*
 * Shows the next `want` bytes at a place where a header begins, which is never cut: when this
 * volume has ended, in the next one.
 */
udm_error_t *udm_walk_header(const unsigned char **data, udm_walk_t *walk, apr_size_t want);

/* Shows `want` bytes of the header that was found. */
udm_error_t *udm_walk_whole(const unsigned char **data, udm_walk_t *walk, apr_size_t want);

/* Reads the central directory and the end of the archive, and writes those of a copy. */
udm_error_t *udm_walk_directory(udm_walk_t *walk);

#endif
