/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * retention.h: what ends by itself: contact centres that are being removed, rows that are older than they
 * are to be kept, files whose time is over, answers to retries. All of it in small steps, each a
 * transaction; whatever ends one of them, the next goes on.
 */
#ifndef UDM_DB_RETENTION_H
#define UDM_DB_RETENTION_H

#include "pg/client.h"

/* What is kept for a time. */
typedef enum {
    UDM_RETENTION_RUNS,  /* history, and with its last record a job that is over */
    UDM_RETENTION_JOBS,  /* jobs that are over and have no record */
    UDM_RETENTION_FILES, /* what is known of files that are out of the store */
    UDM_RETENTION_AUDIT
} udm_retention_kind;

/*
 * Removes those of the next rows behind `*after` (0 at first) that are over for `days`. `gone` gets
 * how many; `*after` where to go on, or 0 when there are no more, or another worker does this now.
 */
udm_error_t *udm_retention_purge(apr_int64_t *gone, apr_int64_t *after, apr_pool_t *p, udm_pg_t *db,
                                 udm_retention_kind kind, int days);

/* One step towards the end of contact centres that are being removed; `more` gets whether another
 * one can follow at once. */
udm_error_t *udm_retention_end_tenants(bool *more, apr_pool_t *p, udm_pg_t *db);

/* Forgets data types that are not registered any more and of which nothing is left. */
udm_error_t *udm_retention_forget_types(apr_pool_t *p, udm_pg_t *db);

/* A file that is to leave the store. */
typedef struct udm_due_file_t {
    apr_int64_t id;
    const char *name;
} udm_due_file_t;

/*
 * Marks files whose time is over as removed, then gives up to `limit` files (of udm_due_file_t) that are
 * removed but still in the store. No lock is held: taking out of the store what is not there is no
 * error, so two workers may meet.
 */
udm_error_t *udm_retention_due_files(apr_array_header_t **files, apr_pool_t *p, udm_pg_t *db,
                                     int limit);

/* Notes that they are out of the store; `ids` of apr_int64_t. */
udm_error_t *udm_retention_files_gone(apr_pool_t *p, udm_pg_t *db, const apr_array_header_t *ids);

/* Forgets answers to retries that are older than 24 hours. */
udm_error_t *udm_retention_forget_retries(apr_pool_t *p, udm_pg_t *db);

/*
 * A name in the store that belongs to nothing. It is `dead` when it was never published, its attempt
 * is known to be over, or its file was removed.
 */
typedef struct udm_orphan_t {
    int index; /* in the names that were asked about */
    bool dead;
} udm_orphan_t;

/*
 * Which of `names` (of const char *, see core/artifact.h) are orphans (of udm_orphan_t):
 * neither listed as a file that is in the store, nor of a run in progress. Because no attempt has the
 * id of an earlier one, what was in the store before this was asked and is an orphan stays one.
 */
udm_error_t *udm_retention_orphans(apr_array_header_t **orphans, apr_pool_t *p, udm_pg_t *db,
                                   const apr_array_header_t *names);

#endif
