/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * block.h: what the rows became, on its way into the archive: a run of bytes and, in order, what of
 * it belongs to which entry. One block holds a piece of one large entry, or many small ones.
 */
#ifndef UDM_EXPORT_BLOCK_H
#define UDM_EXPORT_BLOCK_H

#include "core/text.h"
#include "export/buffer.h"

/* A block goes on its way once it has this many bytes: most then take no more than 128 KiB. */
#define UDM_BLOCK_SIZE (131072 - 8192)

/* A part of the content of an entry. In the block, its name stands in front of it. */
typedef struct udm_piece_t {
    int entry;   /* number of the entry, for as long as it is open; then free for the next */
    bool begins; /* it is the first piece, and has the name */
    bool ends;   /* it is the last one */
    apr_size_t name_size; /* with its NUL; 0 unless it begins */
    apr_size_t size;
    apr_int64_t rows;                      /* in this piece */
    unsigned char sha256[UDM_SHA256_SIZE]; /* of the whole entry; of the last piece alone */
} udm_piece_t;

typedef struct udm_block_t {
    udm_buffer_t *bytes;
    udm_piece_t *pieces;
    int count;
    int space;
} udm_block_t;

/* An empty block; its memory goes back with `p`. */
udm_block_t *udm_block_make(apr_pool_t *p);

void udm_block_clear(udm_block_t *block);

/*
 * Begins a piece, whose content is what is put into `bytes` until udm_block_close. `name`: the first
 * of the entry; NULL: one more.
 */
void udm_block_open(udm_block_t *block, int entry, const char *name);

/*
 * Ends the piece that was begun last; with `ends`, its entry, too. Its content is then the last
 * piece->size bytes of the block. @return it, until the next one is begun: the caller fills in sha256
 */
udm_piece_t *udm_block_close(udm_block_t *block, apr_int64_t rows, bool ends);

#endif
