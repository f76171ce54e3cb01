/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h: values on their way into SQL: parameters as text, times, arrays, names.
 */
#ifndef UDM_PG_VALUE_H
#define UDM_PG_VALUE_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

/* SQL for a timestamptz as udm_result_time reads it, and for a parameter made by udm_pg_time. */
#define UDM_PG_TIME(x) "(extract(epoch FROM " x ") * 1000000)::bigint"
/* Seconds and their fraction apart: the product with an interval is floating point. */
#define UDM_PG_TIME_IN(x)                                                                          \
    "(timestamptz 'epoch' + " x "::bigint / 1000000 * interval '1 second' + " x                    \
    "::bigint % 1000000 * interval '1 microsecond')"

/* Parameters: in decimal; NULL for UDM_NO_TIME; an array literal of const char *, NULL among them. */
const char *udm_pg_int(apr_pool_t *p, apr_int64_t value);
const char *udm_pg_time(apr_pool_t *p, apr_time_t value);
const char *udm_pg_array(apr_pool_t *p, const apr_array_header_t *values);

/* Quotes an identifier: the one place where a name of the catalog becomes SQL. */
const char *udm_pg_identifier(apr_pool_t *p, const char *name);

#endif
