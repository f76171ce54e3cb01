/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * principal.h: who asks, for which tenant, and what they may do.
 */
#ifndef UDM_CORE_PRINCIPAL_H
#define UDM_CORE_PRINCIPAL_H

#include <stdbool.h>

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

/* What may be done with one data type. */
typedef struct udm_right_t {
    const char *source;
    const char *type;
    bool read;
    bool write;
    bool gone; /* not registered any more: the right is for the jobs, history and files of it */
} udm_right_t;

typedef struct udm_principal_t {
    const char *ccid;             /* the tenant; never NULL */
    const char *subject;          /* of the token, or the key's label; never NULL */
    const char *key_id;           /* NULL when only a token was sent */
    apr_array_header_t *rights;   /* of udm_right_t */
    bool certificate;             /* may replace the tenant's certificate */
    apr_array_header_t *roles;    /* of const char *: for Require udm-role */
    apr_interval_time_t good_for; /* of the key, from when it was looked up; UDM_NO_TIME: no end */
} udm_principal_t;

/* @return true when the principal may read (or, with `write`, change) data of this type */
bool udm_principal_may(const udm_principal_t *who, const char *source, const char *type,
                       bool write);

/* A copy in `p`, with all that it points to. */
udm_principal_t *udm_principal_copy(apr_pool_t *p, const udm_principal_t *who);

/* What both of two sets of rights allow (decisions 5.3). New array of udm_right_t in `p`. */
apr_array_header_t *udm_principal_common(apr_pool_t *p, const apr_array_header_t *a,
                                         const apr_array_header_t *b);

#endif
