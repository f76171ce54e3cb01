/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * number.h: numbers and times in PostgreSQL's binary form, as the text that PostgreSQL gives them.
 */
#ifndef UDM_EXPORT_NUMBER_H
#define UDM_EXPORT_NUMBER_H

#include <stdint.h>

#include "export/buffer.h"

void udm_number_int(udm_buffer_t *out, int64_t value);

/* The shortest digits that read back as the same number; NaN and infinities as JSON strings. */
void udm_number_float4(udm_buffer_t *out, float value);
void udm_number_float8(udm_buffer_t *out, double value);

/* All digits and the scale of a numeric. @return false when `data` has not the form of one */
bool udm_number_numeric(udm_buffer_t *out, const unsigned char *data, apr_size_t size);

/* A JSON string: days and microseconds since 2000-01-01, as to_json writes dates and times. */
void udm_number_date(udm_buffer_t *out, int32_t days);
void udm_number_timestamp(udm_buffer_t *out, int64_t microseconds);

/* The same in UTC, always with microseconds and a Z. */
void udm_number_timestamptz(udm_buffer_t *out, int64_t microseconds);

#endif
