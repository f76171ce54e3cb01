/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h: values on their way into SQL: parameters as text, times, arrays, names.
 */
#ifndef UDM_PG_VALUE_H
#define UDM_PG_VALUE_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

/* SQL for a timestamptz as udm_result_time reads it, and for a parameter made by udm_pg_time.
 * What is outside of the years that the API can say, infinity among it, is their first or last moment. */
#define UDM_PG_TIME(x)                                                                             \
    "(CASE WHEN " x " >= '10000-01-01 00:00+00' THEN 253402300799999999"                           \
    " WHEN " x " < '0001-01-01 00:00+00' THEN -62135596800000000"                                  \
    " ELSE (extract(epoch FROM " x ") * 1000000)::bigint END)"
/* How long until then: no interval, because there is none to a time that is infinite. */
#define UDM_PG_TIME_LEFT(x) "(" UDM_PG_TIME(x) " - " UDM_PG_TIME("now()") ")"
/* Seconds and their fraction apart: the product with an interval is floating point. */
#define UDM_PG_TIME_IN(x)                                                                          \
    "(timestamptz 'epoch' + " x "::bigint / 1000000 * interval '1 second' + " x                    \
    "::bigint % 1000000 * interval '1 microsecond')"

/* UDM_PG_TIME of an expression that is made at run time. */
const char *udm_pg_time_of(apr_pool_t *p, const char *expression);

/* Parameters: in decimal; NULL for UDM_NO_TIME; an array literal of const char *, NULL among them. */
const char *udm_pg_int(apr_pool_t *p, apr_int64_t value);
const char *udm_pg_time(apr_pool_t *p, apr_time_t value);
const char *udm_pg_array(apr_pool_t *p, const apr_array_header_t *values);

/* Quotes an identifier: the one place where a name of the catalog becomes SQL. */
const char *udm_pg_identifier(apr_pool_t *p, const char *name);

#endif
