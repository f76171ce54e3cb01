/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * block.c: bytes, and whose they are.
 */
#include <stdio.h>
#include <stdlib.h>

#include "export/block.h"

static apr_status_t block_free(void *data)
{
    udm_block_t *block = data;

    free(block->pieces);
    block->pieces = NULL;
    return APR_SUCCESS;
}

udm_block_t *udm_block_make(apr_pool_t *p)
{
    udm_block_t *block = apr_pcalloc(p, sizeof(*block));

    block->bytes = udm_buffer_make(p);
    apr_pool_cleanup_register(p, block, block_free, apr_pool_cleanup_null);
    return block;
}

void udm_block_clear(udm_block_t *block)
{
    udm_buffer_clear(block->bytes, 2 * UDM_BLOCK_SIZE);
    block->count = 0;
}

void udm_block_open(udm_block_t *block, int entry, const char *name)
{
    udm_piece_t *piece;

    if (block->count == block->space) {
        int space = block->space != 0 ? 2 * block->space : 4;
        udm_piece_t *pieces = realloc(block->pieces, (size_t)space * sizeof(*pieces));

        if (pieces == NULL) {
            /* As a buffer does it. */
            fputs("out of memory\n", stderr);
            abort();
        }
        block->pieces = pieces;
        block->space = space;
    }
    piece = &block->pieces[block->count++];
    piece->entry = entry;
    piece->begins = name != NULL;
    piece->ends = false;
    piece->name_size = name != NULL ? strlen(name) + 1 : 0;
    if (name != NULL) {
        udm_buffer_add(block->bytes, name, piece->name_size);
    }
    piece->size = block->bytes->size; /* until it is closed, where it begins */
    piece->rows = 0;
}

udm_piece_t *udm_block_close(udm_block_t *block, apr_int64_t rows, bool ends)
{
    udm_piece_t *piece = &block->pieces[block->count - 1];

    piece->size = block->bytes->size - piece->size;
    piece->rows = rows;
    piece->ends = ends;
    return piece;
}
