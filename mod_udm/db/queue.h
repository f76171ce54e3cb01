/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h: the worker's side of jobs and runs: due jobs, claim, lease, progress, end.
 *
 * Every change after the claim is fenced: it names worker_id, attempt and export_id, and UDM_E_LOST
 * means that the run is no longer ours and nothing was changed. Locks are taken in the order run,
 * progress, job.
 */
#ifndef UDM_DB_QUEUE_H
#define UDM_DB_QUEUE_H

#include "core/run.h"
#include "pg/client.h"

#define UDM_LEASE_SECONDS 10

/*
 * Makes the runs of some jobs that are due. `more` gets whether it is to be called again at once; if not,
 * `next` gets when the next job is due or the next run in the queue is ready, by this host's clock, or
 * UDM_NO_TIME. Also shortens leases that last longer than any is given for: the database's clock was set
 * back since.
 */
udm_error_t *udm_queue_schedule(int *made, bool *more, apr_time_t *next, apr_pool_t *p,
                                udm_pg_t *db);

/*
 * Claims a run whose lease ran out, or the oldest that is ready of the contact centre whose turn it is;
 * with `reserve`, of one that has nothing under way. It waits for nobody: `held` gets whether something
 * could have been claimed but for a lock that somebody holds. `run` gets NULL when there is none.
 * A run whose lease ran out after `max_attempts` attempts comes with `exhausted` set: the caller
 * removes what previous_export_id left behind and fails it, so that nothing stays in the store even
 * when this caller dies, too.
 * The claim can be seen at once, but a crash of the server may take it back: the caller renews the
 * lease before it touches the source, so that an export which brings its server down is counted.
 */
udm_error_t *udm_queue_claim(udm_run_t **run, bool *held, apr_pool_t *p, udm_pg_t *db,
                             const char *worker_id, int max_attempts, bool reserve);

typedef enum {
    UDM_LEASE_RENEWED,
    UDM_LEASE_UNWANTED, /* somebody cancelled or suspended the run: stop, and publish nothing */
    UDM_LEASE_LOST,     /* the run is no longer this attempt's */
    UDM_LEASE_HELD /* still this attempt's, but not renewed for a lock: try again soon, for when
                         * that is let go, the lease may have run out and be anybody's to take */
} udm_lease_state;

/* The lease of one attempt, and how far that is. */
typedef struct udm_lease_t {
    apr_int64_t run_id;
    const char *export_id;
    int percent;
    apr_int64_t rows;
    udm_lease_state state; /* set by udm_queue_renew */
} udm_lease_t;

/* Renews `leases` (of udm_lease_t) and notes the progress, in one statement that waits for no lock. */
udm_error_t *udm_queue_renew(apr_array_header_t *leases, apr_pool_t *p, udm_pg_t *db);

/*
 * Notes what a moving window waits for, and where it ends, which may be earlier than it was planned.
 * Sets both in `run`.
 */
udm_error_t *udm_queue_settle(apr_pool_t *p, udm_pg_t *db, udm_run_t *run, const char *barrier,
                              apr_time_t window_to);

/*
 * COMPLETED: run, job, files and audit in one transaction. `parts` of udm_part_t. May be called again
 * after UDM_E_DATABASE: it succeeds when the first call did, though its answer was lost.
 */
udm_error_t *udm_queue_complete(apr_pool_t *p, udm_pg_t *db, const udm_run_t *run,
                                const apr_array_header_t *parts, apr_int64_t rows,
                                int retention_days);

/* FAILED, with a sentence for a person. */
udm_error_t *udm_queue_fail(apr_pool_t *p, udm_pg_t *db, const udm_run_t *run, const char *reason);

/*
 * Back to QUEUED: handed back (`delay` 0, the attempt does not count), or to be tried again after
 * `delay` seconds. SUSPENDED instead when the job is. `reason`: a sentence on what this attempt
 * failed of; NULL: none that is new.
 */
udm_error_t *udm_queue_release(apr_pool_t *p, udm_pg_t *db, const udm_run_t *run, int delay,
                               bool counts, const char *reason);

/*
 * SUSPENDED, and its job, too: for a run whose data type is not registered any more. When it is after
 * all, under the name that the run has now, the run goes back to QUEUED.
 */
udm_error_t *udm_queue_hold(apr_pool_t *p, udm_pg_t *db, const udm_run_t *run);

#endif
