/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.h: attribute filters of a job, jobParams.filters: [{attribute, operator, value}], all of
 * which a row must meet (decisions 2.9).
 */
#ifndef UDM_CORE_FILTER_H
#define UDM_CORE_FILTER_H

#include <stdbool.h>

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include <jansson.h>

#include "core/error.h"

#define UDM_FILTERS_MAX       20   /* in one job */
#define UDM_FILTER_VALUES_MAX 1000 /* of one "in" */
#define UDM_FILTER_VALUE_MAX  1000 /* characters of one string */

/* How an attribute compares. The words of the catalog and of /data/attributes. */
typedef enum {
    UDM_ATTRIBUTE_STRING,
    UDM_ATTRIBUTE_NUMBER,
    UDM_ATTRIBUTE_BOOLEAN,
    UDM_ATTRIBUTE_DATE,
    UDM_ATTRIBUTE_DATETIME
} udm_attribute_kind;

typedef enum {
    UDM_TEST_EQ,
    UDM_TEST_NE, /* also true where the attribute is null */
    UDM_TEST_LT,
    UDM_TEST_LE,
    UDM_TEST_GT,
    UDM_TEST_GE,
    UDM_TEST_CONTAINS, /* strings only; any case, % and _ literal */
    UDM_TEST_IN
} udm_filter_test;

/* One filter whose shape is right; whether its values fit, udm_filter_values() says. */
typedef struct udm_job_filter_t {
    const char *attribute;
    udm_filter_test test;
    const json_t *value; /* a scalar, or for UDM_TEST_IN an array of scalars */
} udm_job_filter_t;

/*
 * Reads the array: shape, operators, limits; every fault goes to `error` under `pointer`
 * ("/jobParams/filters") and its index. `filters` gets an array of udm_job_filter_t, empty for
 * NULL. Nothing of `json` is kept.
 */
void udm_filter_parse(apr_array_header_t **filters, udm_error_t **error, apr_pool_t *p,
                      const char *pointer, const json_t *json);

/* The filters as an array of objects with nothing but the three members; a new reference. */
json_t *udm_filter_json(const apr_array_header_t *filters);

/* The filters as compact JSON with nothing but the three members, for the database. "[]" for
 * none. Reals become decimal strings. */
const char *udm_filter_text(apr_pool_t *p, const apr_array_header_t *filters);

/*
 * The values of a filter as text that PostgreSQL reads as `kind` (text, numeric, boolean, date or
 * timestamptz in UTC): an array of const char *, with one element unless the test is UDM_TEST_IN.
 * Numbers may be JSON numbers or decimal strings.
 * @return NULL and a fault for each value or operator that does not fit the kind, at `pointer`
 *         ("/jobParams/filters/0")
 */
apr_array_header_t *udm_filter_values(udm_error_t **error, apr_pool_t *p, const char *pointer,
                                      const udm_job_filter_t *filter, udm_attribute_kind kind);

/* An instant as PostgreSQL reads it: UTC, with the microseconds that the API's own form cuts off. */
const char *udm_filter_time(apr_pool_t *p, apr_time_t when);

/* "string" ...; and back. @return false for no such word */
const char *udm_attribute_kind_name(udm_attribute_kind kind);
bool udm_attribute_kind_parse(udm_attribute_kind *kind, const char *name);

#endif
