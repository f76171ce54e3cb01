/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * encode.h: a row of a source, in COPY's binary form, as a JSON object.
 */
#ifndef UDM_EXPORT_ENCODE_H
#define UDM_EXPORT_ENCODE_H

#include <apr_tables.h>

#include "export/buffer.h"

/* One field of a tuple. */
typedef struct udm_field_t {
    const unsigned char *data;
    apr_ssize_t size; /* -1: NULL */
} udm_field_t;

/*
 * Takes a tuple apart into exactly `count` fields, which point into it.
 * @return UDM_E_SOURCE when it has not that many, or is cut short
 */
udm_error_t *udm_tuple_read(udm_field_t *fields, int count, apr_pool_t *p,
                            const unsigned char *tuple, apr_size_t size);

typedef struct udm_encoder_t udm_encoder_t;

/* The fields in front of the columns of a row (source/source.h). */
#define UDM_ROW_SUBTYPE 0
#define UDM_ROW_KEY     1
#define UDM_ROW_COLUMNS 2

/*
 * An encoder for rows of these columns (of udm_column_t, source/source.h).
 * @return UDM_E_SOURCE for a column whose type it does not know
 */
udm_error_t *udm_encoder_make(udm_encoder_t **encoder, apr_pool_t *p,
                              const apr_array_header_t *columns);

/* The fields of the next row, subtype and key first; valid as long as `tuple` is. */
udm_error_t *udm_encoder_read(const udm_field_t **fields, udm_encoder_t *encoder, apr_pool_t *p,
                              const unsigned char *tuple, apr_size_t size);

/* Hands on what is in `out`, if it is enough; what follows goes into the buffer that it then names. */
typedef udm_error_t *(*udm_encoder_full_fn)(udm_buffer_t **out, void *context);

/*
 * Puts the row that was read behind what is in `out`, as one line of JSON without its end. Whenever
 * there are some 64 KiB more `full` is called, also within a value (text, bytea, JSON, arrays): a row is
 * never in memory as a whole once more.
 * @return what `full` returns; UDM_E_SOURCE that names the column and what is wrong with it: `out` is
 * then as it was, but for long rows
 */
udm_error_t *udm_encoder_write(udm_buffer_t *out, udm_encoder_t *encoder, apr_pool_t *p,
                               udm_encoder_full_fn full, void *context);

#endif
