/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * encodetest.h: what the tests of the encoder share; it is in test_encode.c.
 */
#ifndef UDM_ENCODETEST_H
#define UDM_ENCODETEST_H

#include "export/encode.h"
#include "source/source.h"

/* The tuple that is being made. */
extern udm_buffer_t *encodetest_tuple;

/* Starts a tuple of so many fields. */
void encodetest_begin(int fields);

/* Adds a field; a size of -1 is NULL. */
void encodetest_put(const void *data, int size);

/* Adds a column. */
void encodetest_column(apr_array_header_t *columns, const char *name, Oid type, bool json,
                       Oid element);

/* Of a row: what was handed on, the most of it at a time, and where the rest goes. */
typedef struct encodetest_parts_t {
    udm_buffer_t *done;
    apr_size_t most;
    udm_buffer_t *out;
} encodetest_parts_t;

/* Encodes the tuple, in memory of exactly its size. */
udm_error_t *encodetest_encode(encodetest_parts_t *parts, apr_array_header_t *columns);

/* The JSON of one value of a column "x". */
const char *encodetest_value(Oid type, bool json, Oid element, const void *data, int size);

/* The error of one value, of which nothing was written. */
udm_error_t *encodetest_fault(Oid type, bool json, Oid element, const void *data, int size);

#endif
