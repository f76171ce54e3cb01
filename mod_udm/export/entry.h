/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.h: the content of one file of the archive on its way: counted and compressed.
 */
#ifndef UDM_EXPORT_ENTRY_H
#define UDM_EXPORT_ENTRY_H

#include <stdint.h>

#include "core/text.h"
#include "export/buffer.h"

typedef struct udm_entry_t udm_entry_t;

/* What is known of an entry once all of it went through. */
typedef struct udm_entry_sum_t {
    apr_int64_t size;       /* of the content */
    apr_int64_t compressed; /* of the raw deflate stream */
    uint32_t crc;
    unsigned char sha256[UDM_SHA256_SIZE]; /* of the content; whoever made that knows it */
} udm_entry_sum_t;

/* A compressor; its memory (some 500 KiB) goes back with `p`. */
udm_error_t *udm_entry_make(udm_entry_t **entry, apr_pool_t *p);

/* Begins a new content; what comes out of it goes to `sink`. */
udm_error_t *udm_entry_begin(udm_entry_t *entry, const udm_sink_t *sink);
udm_error_t *udm_entry_write(udm_entry_t *entry, const void *data, apr_size_t size);
/* `sum` gets all but the hash. */
udm_error_t *udm_entry_finish(udm_entry_t *entry, udm_entry_sum_t *sum);

#endif
