/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * result.h: the rows that a statement gave, and their values.
 */
#ifndef UDM_PG_RESULT_H
#define UDM_PG_RESULT_H

#include <stdbool.h>

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include <libpq-fe.h>

typedef struct udm_result_t {
    PGresult *result; /* cleared with the pool */
    int rows;
} udm_result_t;

/* Values of a result: NULL, 0, false or UDM_NO_TIME for SQL NULL. Text lives with the result. */
const char *udm_result_text(const udm_result_t *result, int row, int column);
apr_int64_t udm_result_int(const udm_result_t *result, int row, int column);
bool udm_result_bool(const udm_result_t *result, int row, int column);
/* Of a column selected with UDM_PG_TIME(...) (pg/value.h): microseconds since 1970. */
apr_time_t udm_result_time(const udm_result_t *result, int row, int column);
/* Of a column selected with to_json(text[])::text: an array of const char * in `p`. */
apr_array_header_t *udm_result_array(apr_pool_t *p, const udm_result_t *result, int row,
                                     int column);

#endif
