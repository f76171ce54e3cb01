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

#include "catalog.h"
#include "core/encryption.h"
#include "db.h"

#define UDM_LEASE_SECONDS 10

/* A claimed run and everything that its export needs. */
typedef struct udm_run_t {
    apr_int64_t id;
    apr_int64_t job_id;
    const char *ccid;
    const char *source;
    const char *type;
    const char *title;
    bool window_all;
    apr_time_t window_from; /* UDM_NO_TIME: open */
    apr_time_t window_to;
    bool moves_watermark;       /* the window begins where the last one ended, and moves on */
    const char *settle_barrier; /* see udm_source_settle; NULL before it was asked */
    apr_time_t settle_since;    /* when it was first asked, by the database's clock */
    apr_time_t now;             /* the claim, by that clock */
    apr_array_header_t *media;
    bool export_attachments;
    const char *filters;          /* JSON text: [{attribute, operator, value}] */
    apr_int64_t file_split_bytes; /* 0: not asked for */
    int attempt;
    const char *worker_id;
    const char *export_id; /* UUID of this attempt's files */
    const char
        *previous_export_id;     /* of the attempt before, whose files are to be removed; or NULL */
    const char *certificate_pem; /* NULL: the tenant has none */
    udm_encryption encryption;   /* the tenant's or, if it has none, the job's */
    bool exhausted;              /* interrupted too often: see udm_queue_claim */
} udm_run_t;

/*
 * Makes the runs of jobs that are due. `next` gets when the next job is due or the next run in the
 * queue is ready, by this host's clock, or UDM_NO_TIME. Also shortens leases that last longer than
 * any is given for: the database's clock was set back since.
 */
udm_error_t *udm_queue_schedule(int *made, apr_time_t *next, apr_pool_t *p, udm_db_t *db);

/*
 * Claims the oldest run that is ready or whose lease ran out. `run` gets NULL when there is none.
 * A run whose lease ran out after `max_attempts` attempts comes with `exhausted` set: the caller
 * removes what previous_export_id left behind and fails it, so that nothing stays in the store even
 * when this caller dies, too.
 * The claim can be seen at once, but a crash of the server may take it back: the caller renews the
 * lease before it touches the source, so that an export which brings its server down is counted.
 */
udm_error_t *udm_queue_claim(udm_run_t **run, apr_pool_t *p, udm_db_t *db, const char *worker_id,
                             int max_attempts);

/*
 * Renews the lease and notes the progress. `wanted` gets whether the run is still to go on: false
 * once somebody cancelled or suspended it (then stop and publish nothing). Of `run` only id,
 * worker_id, attempt and export_id are read.
 */
udm_error_t *udm_queue_renew(bool *wanted, apr_pool_t *p, udm_db_t *db, const udm_run_t *run,
                             int percent, apr_int64_t rows_done);

/* One finished file, in part order. */
typedef struct udm_part_t {
    const char *name;
    apr_int64_t size;
    const char *sha256;
} udm_part_t;

/*
 * Notes what a moving window waits for, and where it ends, which may be earlier than it was planned.
 * Sets both in `run`.
 */
udm_error_t *udm_queue_settle(apr_pool_t *p, udm_db_t *db, udm_run_t *run, const char *barrier,
                              apr_time_t window_to);

/*
 * COMPLETED: run, job, files and audit in one transaction. `parts` of udm_part_t. May be called again
 * after UDM_E_DATABASE: it succeeds when the first call did, though its answer was lost.
 */
udm_error_t *udm_queue_complete(apr_pool_t *p, udm_db_t *db, const udm_run_t *run,
                                const apr_array_header_t *parts, apr_int64_t rows,
                                int retention_days);

/* FAILED, with a sentence for a person. */
udm_error_t *udm_queue_fail(apr_pool_t *p, udm_db_t *db, const udm_run_t *run, const char *reason);

/*
 * Back to QUEUED: handed back (`delay` 0, the attempt does not count), or to be tried again after
 * `delay` seconds. SUSPENDED instead when the job is. `reason`: a sentence on what this attempt
 * failed of; NULL: none that is new.
 */
udm_error_t *udm_queue_release(apr_pool_t *p, udm_db_t *db, const udm_run_t *run, int delay,
                               bool counts, const char *reason);

/*
 * SUSPENDED, and its job, too: for a run whose data type is not registered any more. When it is after
 * all, under the name that the run has now, the run goes back to QUEUED.
 */
udm_error_t *udm_queue_hold(apr_pool_t *p, udm_db_t *db, const udm_run_t *run);

/* A file that is to leave the store. */
typedef struct udm_purge_t {
    apr_int64_t id;
    const char *name;
} udm_purge_t;

/*
 * Marks files whose time is over as removed, then gives up to `limit` files (of udm_purge_t) that are
 * removed but still in the store. No lock is held: taking out of the store what is not there is no
 * error, so two workers may meet.
 */
udm_error_t *udm_queue_purge(apr_array_header_t **files, apr_pool_t *p, udm_db_t *db, int limit);

/* Notes that they are out of the store; `ids` of apr_int64_t. */
udm_error_t *udm_queue_purged(apr_pool_t *p, udm_db_t *db, const apr_array_header_t *ids);

/* Forgets answers to retries that are older than 24 hours. */
udm_error_t *udm_queue_forget_retries(apr_pool_t *p, udm_db_t *db);

/*
 * A name in the store that belongs to nothing. It is `dead` when it was never published, its attempt
 * is known to be over, or its file was removed.
 */
typedef struct udm_orphan_t {
    int index; /* in the names that were asked about */
    bool dead;
} udm_orphan_t;

/*
 * Which of `names` (of const char *, each "export-<uuid>." and more) are orphans (of udm_orphan_t):
 * neither listed as a file that is in the store, nor of a run in progress. Because no attempt has the
 * id of an earlier one, what was in the store before this was asked and is an orphan stays one.
 */
udm_error_t *udm_queue_orphans(apr_array_header_t **orphans, apr_pool_t *p, udm_db_t *db,
                               const apr_array_header_t *names);

/*
 * Has this session LISTEN where workers are told that there may be something to do. A hint only, with
 * nothing in it: whoever gets one looks.
 */
udm_error_t *udm_queue_listen(apr_pool_t *p, udm_db_t *db);

/* The id of this installation, for the mark in the store, and whether it has a store. */
udm_error_t *udm_queue_installation(const char **id, bool *has_store, apr_pool_t *p, udm_db_t *db);

/* Makes a directory the store of the installation `id`. It may be called more than once. */
typedef udm_error_t *udm_queue_mark(apr_pool_t *p, const char *id, void *baton);

/*
 * Notes that there is a store, once `mark` has made one; does nothing when it was noted already. Of
 * several workers one does so at a time, so that two never mark different directories.
 */
udm_error_t *udm_queue_begin_store(apr_pool_t *p, udm_db_t *db, udm_queue_mark *mark, void *baton);

#endif
