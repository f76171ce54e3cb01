/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * spool.h: bytes put aside until they can be written: an unlinked file, encrypted under a key that
 * is held only in memory. Written once from the beginning, then read from the beginning.
 */
#ifndef UDM_EXPORT_SPOOL_H
#define UDM_EXPORT_SPOOL_H

#include "export/buffer.h"

typedef struct udm_spool_t udm_spool_t;

/*
 * A new spool in the directory `dir`; closed with `p`, or by udm_spool_close.
 * @return UDM_E_STORE
 */
udm_error_t *udm_spool_open(udm_spool_t **spool, apr_pool_t *p, const char *dir);

/* Appends. Not after udm_spool_rewind. */
udm_error_t *udm_spool_write(udm_spool_t *spool, const void *data, apr_size_t size);

/* How many bytes were written. */
apr_int64_t udm_spool_size(const udm_spool_t *spool);

/* Ends the writing; the next read is from the beginning. May be called again, to read again. */
udm_error_t *udm_spool_rewind(udm_spool_t *spool);

/* Reads up to `size` bytes; `got` is less only at the end. */
udm_error_t *udm_spool_read(void *data, apr_size_t *got, udm_spool_t *spool, apr_size_t size);

/* Moves all of it into `sink`, and closes it. */
udm_error_t *udm_spool_empty(udm_spool_t *spool, const udm_sink_t *sink);

/*
 * Whether a spool can be had in `dir`: makes one, fills it a little, and gives it back.
 * @return UDM_E_STORE
 */
udm_error_t *udm_spool_try(apr_pool_t *p, const char *dir);

/* Gives back the file, the memory and the key. */
void udm_spool_close(udm_spool_t *spool);

#endif
