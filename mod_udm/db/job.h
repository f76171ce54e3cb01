/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h: jobs and runs as the API sees them, one by one. Every function here filters by the principal's
 * tenant and rights: what is not visible does not exist.
 */
#ifndef UDM_DB_JOB_H
#define UDM_DB_JOB_H

#include "core/job.h"
#include "db/catalog.h"
#include "db/tenant.h"

/* A checked job that is to be stored, and what came of it. */
typedef struct udm_job_new_t {
    apr_pool_t *pool; /* of what came of it */
    const udm_job_t *job;
    const udm_audit_t *audit;
    udm_job_info_t *info; /* with the strings of `job`; NULL with an error */
    udm_error_t
        *error; /* neither: what it names was renamed or removed, it is to be checked again */
} udm_job_new_t;

#define UDM_JOB_TRIES 3 /* how often a job is checked before udm_job_renamed() is the answer */

/*
 * Stores jobs, each with its first run if it is due now, and the audit, in one statement, and tells the
 * workers. Several only outside of a transaction, and of one contact centre: its rows may be locked.
 * @return UDM_E_DATABASE of a database that is lost, or of a lock that was not let go: then none is
 *         stored, unless it did not get round to answering. Else it is known of each what came of it.
 */
udm_error_t *udm_job_insert(apr_pool_t *p, udm_pg_t *db, udm_job_new_t *const *jobs, int count);

/* What to say of a job that was checked and could not be stored time and again. */
udm_error_t *udm_job_renamed(apr_pool_t *p);

/* All of it for one job. */
udm_error_t *udm_job_create(udm_job_info_t **info, apr_pool_t *p, udm_pg_t *db,
                            const udm_job_t *job, const udm_audit_t *audit);

/* A retry of POST: the header Idempotency-Key and what tells one body from another. */
typedef struct udm_retry_t {
    const char *key;
    const char *body_sha256; /* lower-case hex */
    udm_version version;
} udm_retry_t;

/*
 * The same, once for each tenant, version and key within 24 h (decisions 2.8). `answer` gets the
 * JobInfo as JSON text, of the job that is made now or was made then, `etag` that of the job as it was
 * then, and `id` its id. The record
 * of it is written in the transaction that makes the job, so neither exists without the other.
 * @return also UDM_E_UNPROCESSABLE for the same key with another body, UDM_E_CONFLICT while the
 *         first request is still running
 */
udm_error_t *udm_job_create_once(const char **answer, const char **etag, apr_int64_t *id,
                                 apr_pool_t *p, udm_pg_t *db, const udm_job_t *job,
                                 const udm_retry_t *retry, const udm_audit_t *audit);

/* One of several jobs that are asked for at once. */
typedef struct udm_job_ask_t {
    apr_pool_t *pool; /* of what comes of it */
    const udm_principal_t *who;
    apr_int64_t id;
    udm_job_info_t *info;
    udm_error_t *error; /* as of udm_job_get; `info` is NULL then */
} udm_job_ask_t;

/* @return an error of the database, of all of them */
udm_error_t *udm_job_get_many(apr_pool_t *p, udm_pg_t *db, udm_job_ask_t *const *asks, int count);

/* @return UDM_E_NOT_FOUND for an unknown, foreign or invisible id */
udm_error_t *udm_job_get(udm_job_info_t **info, apr_pool_t *p, udm_pg_t *db,
                         const udm_principal_t *who, apr_int64_t id);
udm_error_t *udm_run_get(udm_job_info_t **info, apr_pool_t *p, udm_pg_t *db,
                         const udm_principal_t *who, apr_int64_t id);

/* The definition of a job, as it was sent. @return as udm_job_get */
udm_error_t *udm_job_definition(udm_job_t **job, apr_pool_t *p, udm_pg_t *db,
                                const udm_principal_t *who, apr_int64_t id);

#endif
