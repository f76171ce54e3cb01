/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h: jobs, runs and files as the API sees them. Every function here filters by the principal's
 * tenant and rights: what is not visible does not exist.
 */
#ifndef UDM_DB_JOB_H
#define UDM_DB_JOB_H

#include "catalog.h"
#include "core/job.h"
#include "core/listing.h"
#include "tenant.h"

/*
 * Checks a job against the catalog (source, type, family, media, time column), the principal's right
 * to write it and the tenant's certificate; then stores it, with its first run if it is due now, and
 * the audit, in one transaction.
 * @return UDM_E_INVALID with the faults; UDM_E_FORBIDDEN for data outside the role
 */
udm_error_t *udm_job_create(udm_job_info_t **info, apr_pool_t *p, udm_db_t *db,
                            const udm_job_t *job, const udm_audit_t *audit);

/* @return UDM_E_NOT_FOUND for an unknown, foreign or invisible id */
udm_error_t *udm_job_get(udm_job_info_t **info, apr_pool_t *p, udm_db_t *db,
                         const udm_principal_t *who, apr_int64_t id);
udm_error_t *udm_run_get(udm_job_info_t **info, apr_pool_t *p, udm_db_t *db,
                         const udm_principal_t *who, apr_int64_t id);

/* One downloadable file. */
typedef struct udm_file_info_t {
    apr_int64_t id;
    const char *name;
    apr_int64_t size;
    const char *type;
    const char *source;
    const char *job_title;
    apr_int64_t job_id;
    apr_int64_t run_id;
    apr_time_t created;
    apr_time_t expires;
    int remaining_days; /* rounded up; 0 once expired */
    const char *sha256;
    const char *ccid;
} udm_file_info_t;

/*
 * A file by name, for a link; writes the audit ("file.link").
 * @return UDM_E_NOT_FOUND, or UDM_E_GONE for one past its retention
 */
udm_error_t *udm_file_link(udm_file_info_t **info, apr_pool_t *p, udm_db_t *db, const char *name,
                           const udm_audit_t *audit);

/*
 * A file by name, for whoever holds a good link (no principal); writes the audit ("file.download")
 * when `size` is its size: what is not in the store, or not whole, is not downloaded.
 * @return as udm_file_link
 */
udm_error_t *udm_file_download(udm_file_info_t **info, apr_pool_t *p, udm_db_t *db,
                               const char *name, apr_int64_t size, const udm_audit_t *audit);

/* What the three lists offer (decisions 1.4). Static. */
const udm_listing_spec_t *udm_job_listing(void);
const udm_listing_spec_t *udm_run_listing(void);
const udm_listing_spec_t *udm_file_listing(void);

typedef enum { UDM_LIST_JOBS, UDM_LIST_RUNS, UDM_LIST_FILES } udm_list_kind;

/*
 * A list under way. It is read in keyset batches, so that no connection is held between them; the
 * highest id is fixed by udm_list_open, so later rows do not appear in the middle.
 */
typedef struct udm_list_t udm_list_t;

/* Counts the matches and fixes the list. `count` gets all matches, whatever from and size say. */
udm_error_t *udm_list_open(udm_list_t **list, apr_int64_t *count, apr_pool_t *p, udm_db_t *db,
                           udm_list_kind kind, const udm_listing_t *listing,
                           const udm_principal_t *who);

/*
 * The next batch of at most 1,000 rows into `batch` (pointers to udm_job_info_t or udm_file_info_t,
 * by kind), in `p`; an empty one ends the list. `p` may be cleared between batches, `list` lives on.
 */
udm_error_t *udm_list_next(apr_array_header_t **batch, apr_pool_t *p, udm_db_t *db,
                           udm_list_t *list);

#endif
