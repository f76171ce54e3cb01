/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.h: a slot is a thread that runs one export at a time; and what slots and keeper share.
 */
#ifndef UDM_WORKER_SLOT_H
#define UDM_WORKER_SLOT_H

#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>
#include <apr_thread_proc.h>

#include "db/queue.h"
#include "export/export.h"
#include "worker/settings.h"

/* How often slots look for work, and the keeper for due jobs, without any hint. */
#define UDM_POLL_SECONDS 5

typedef enum {
    UDM_PHASE_WORK,
    UDM_PHASE_DRAIN,    /* claim no more, finish what runs */
    UDM_PHASE_HAND_BACK /* give what runs back to the queue */
} udm_phase;

/* Why a run is to be stopped. The first reason stands. */
typedef enum {
    UDM_VERDICT_NONE,
    UDM_VERDICT_UNWANTED, /* cancelled or suspended */
    UDM_VERDICT_LOST,     /* somebody else may own it */
    UDM_VERDICT_HAND_BACK
} udm_verdict;

typedef struct udm_slot_t udm_slot_t;

/* Shared by all threads. Members below the line are guarded by `lock`. */
typedef struct udm_worker_t {
    const udm_settings_t *settings;
    const char *name; /* of this process: no other has the same */
    const char *host;
    udm_slot_t **slots;
    int slot_count;       /* 0 until they are started */
    apr_thread_t *purger; /* NULL until it is started */
    int bell;             /* a pipe's end that threads write to when they end */
    apr_thread_mutex_t *lock;
    /* ---- */
    apr_thread_cond_t *wake; /* signalled with a count or `phase` changed */
    unsigned wakes;          /* of the slots */
    unsigned purges;         /* of the purger: also at hints, but after the slots */
    udm_phase phase;
    bool outage;     /* the database is away, and that was logged */
    bool store_away; /* so is the store */
    int running;     /* threads that have not ended */
} udm_worker_t;

struct udm_slot_t {
    udm_worker_t *worker;
    const char *id; /* worker_id of its runs; no other slot has the same */
    apr_thread_t *thread;
    udm_export_watch_t watch;
    /* ---- guarded by worker->lock */
    const udm_run_t *run; /* NULL while idle */
    udm_verdict verdict;  /* on `run` */
    apr_int64_t renewed;  /* when the lease of `run` was last known to be renewed */
};

/* Milliseconds to wait after another failure: from 500, doubled up to 10,000, with jitter. */
int udm_worker_backoff(int *last);

/* Connects to the database of the queue, with limits on how long anything there may take. */
udm_error_t *udm_worker_connect(udm_pg_t **db, apr_pool_t *p, const udm_worker_t *worker);

/* Logs the first failure of an outage, and its end. Any thread. */
void udm_worker_database_down(udm_worker_t *worker, apr_pool_t *p, const udm_error_t *error);
void udm_worker_database_up(udm_worker_t *worker);

/*
 * Waits until one of the counts of wakes has changed or `ms` have passed; `seen` is the caller's own, 0
 * at first.
 * @return udm_worker_goes_on()
 */
bool udm_worker_wait(udm_worker_t *worker, const unsigned *wakes, unsigned *seen, int ms);

/* @return false once no new work is to begin */
bool udm_worker_goes_on(udm_worker_t *worker);

/* Starts a thread that counts as running until it calls udm_worker_thread_ends, last of all. */
udm_error_t *udm_worker_thread(apr_thread_t **thread, apr_pool_t *p, udm_worker_t *worker,
                               apr_thread_start_t start, void *data);
void udm_worker_thread_ends(udm_worker_t *worker);

/* Starts one more slot. */
udm_error_t *udm_slot_start(udm_slot_t **slot, apr_pool_t *p, udm_worker_t *worker, int number);

/* Stops the slot's run; the first verdict stands. Call with worker->lock held. */
void udm_slot_stop(udm_slot_t *slot, udm_verdict verdict);

#endif
