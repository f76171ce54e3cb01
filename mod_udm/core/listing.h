/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * listing.h: the query of a list (decisions 1.4): from, size, descAsc, orderField and the filters,
 * read by a table that says which parameters and order fields the list has; in v10 also cursor and
 * after, which lead from page to page.
 */
#ifndef UDM_CORE_LISTING_H
#define UDM_CORE_LISTING_H

#include <stdbool.h>

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

#include "core/cursor.h"
#include "core/error.h"
#include "core/route.h"

typedef enum {
    UDM_FILTER_CONTAINS, /* case-insensitive, % and _ literal */
    UDM_FILTER_STATUS,   /* a status by value or label, exact, any case */
    UDM_FILTER_ID,       /* a positive integer */
    UDM_FILTER_BOOLEAN,  /* true or false */
    UDM_FILTER_SCHEDULE, /* immediately, once, recurring */
    UDM_FILTER_FROM,     /* an instant: field >= value */
    UDM_FILTER_TO        /* an instant: field < value */
} udm_filter_kind;

typedef struct udm_filter_spec_t {
    const char *parameter; /* in the query string */
    udm_filter_kind kind;
    const char *expression; /* the SQL it is compared with; used by db/ only */
    int versions;           /* mask of those that have it; in others it is an unknown parameter */
} udm_filter_spec_t;

typedef struct udm_order_spec_t {
    const char *field;      /* as in the JSON of an item */
    const char *expression; /* SQL, never NULL for any row; used by db/ only */
    const char *sql_type;   /* the type of the expression: "bigint", "text", "timestamptz" ... */
    int versions;           /* mask of those whose items have the field */
} udm_order_spec_t;

/* What one list offers. Static tables, each ended by a NULL name. */
typedef struct udm_listing_spec_t {
    const udm_filter_spec_t *filters;
    const udm_order_spec_t *orders;
} udm_listing_spec_t;

/* A filter that was asked for, its value already checked and in a form SQL takes as text. */
typedef struct udm_filter_t {
    const udm_filter_spec_t *spec;
    const char *value;
} udm_filter_t;

typedef struct udm_listing_t {
    apr_int64_t from; /* default 0 */
    apr_int64_t size; /* default 999999999 */
    bool descending;
    const udm_order_spec_t *order; /* default: createdDate */
    apr_array_header_t *filters;   /* of udm_filter_t */
    bool cursor;                   /* the answer says where the next page begins */
    const udm_cursor_t *after;     /* where this page begins; NULL: at `from` */
    const char *print;             /* tells this list in its order with its filters from others */
} udm_listing_t;

/*
 * Reads a decoded query as one version has it: `query` maps parameter names to values; unknown ones
 * are ignored and an empty value means absent.
 * @return UDM_E_INVALID that names the parameter and the legal values, also for a name that differs
 *         from a known one in case alone
 */
udm_error_t *udm_listing_parse(udm_listing_t **listing, apr_pool_t *p,
                               const udm_listing_spec_t *spec, udm_version version,
                               const apr_table_t *query);

/* @return UDM_E_INVALID when a parameter that stands for one value is there more than once */
udm_error_t *udm_listing_once(apr_pool_t *p, const apr_table_t *query, const char *name);

/*
 * Names count as they are written. @return UDM_E_INVALID for one in the query that differs from one of
 * `known` (ended by NULL) in case alone: it would be ignored, and nobody would say so
 */
udm_error_t *udm_listing_names(apr_pool_t *p, const apr_table_t *query, const char *const *known);

/*
 * Splits a raw query string into a table: %XX and + decoded, equal names in their order.
 * @return UDM_E_INVALID for a broken escape, a NUL or invalid UTF-8
 */
udm_error_t *udm_listing_query(apr_table_t **query, apr_pool_t *p, const char *raw);

#endif
