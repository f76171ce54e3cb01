/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * growth.h: what ends in the database by itself: contact centres that are being removed, and what is
 * older than it is to be kept. All of it in small steps, each a transaction, each by one worker at a
 * time; whatever ends one of them, the next goes on.
 */
#ifndef UDM_DB_GROWTH_H
#define UDM_DB_GROWTH_H

#include "db.h"

/* What is kept for a time. */
typedef enum {
    UDM_GROWTH_RUNS,  /* history, and with its last record a job that is over */
    UDM_GROWTH_JOBS,  /* jobs that are over and have no record */
    UDM_GROWTH_FILES, /* what is known of files that are out of the store */
    UDM_GROWTH_AUDIT
} udm_growth_kind;

/*
 * Removes those of the next rows behind `*after` (0 at first) that are over for `days`. `gone` gets
 * how many; `*after` where to go on, or 0 when there are no more, or another worker does this now.
 */
udm_error_t *udm_growth_purge(apr_int64_t *gone, apr_int64_t *after, apr_pool_t *p, udm_db_t *db,
                              udm_growth_kind kind, int days);

/* One step towards the end of contact centres that are being removed; `more` gets whether another
 * one can follow at once. */
udm_error_t *udm_growth_end_tenants(bool *more, apr_pool_t *p, udm_db_t *db);

/* Forgets data types that are not registered any more and of which nothing is left. */
udm_error_t *udm_growth_forget_types(apr_pool_t *p, udm_db_t *db);

#endif
