/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.h: a slot has room for one run at a time: what its own thread (claimer.c) and others know of it.
 */
#ifndef UDM_WORKER_SLOT_H
#define UDM_WORKER_SLOT_H

#include "db/queue.h"
#include "export/export.h"
#include "worker/worker.h"

/* Why a run is to be stopped. The first reason stands. */
typedef enum {
    UDM_VERDICT_NONE,
    UDM_VERDICT_UNWANTED, /* cancelled or suspended */
    UDM_VERDICT_LOST,     /* somebody else may own it */
    UDM_VERDICT_HAND_BACK
} udm_verdict;

typedef struct udm_slot_t {
    udm_worker_t *worker;
    const char *id; /* worker_id of its runs; no other slot has the same */
    bool reserve;   /* see udm_claimer_start */
    apr_thread_t *thread;
    udm_export_watch_t watch;
    /* ---- its own thread's alone */
    apr_pool_t *pool;     /* as long as the thread */
    apr_pool_t *db_pool;  /* as long as a connection */
    apr_pool_t *run_pool; /* as long as a run */
    udm_pg_t *db;         /* NULL: not connected */
    udm_store_t *store;   /* of the run: lives in its pool */
    udm_source_hold_t *hold;
    udm_export_tried_t tried;
    /* ---- guarded by worker->lock */
    const udm_run_t *run; /* NULL while idle */
    udm_verdict verdict;  /* on `run` */
    apr_int64_t renewed;  /* when the lease of `run` was last known to be ours */
} udm_slot_t;

/* Stops the slot's run; the first verdict stands. Call with worker->lock held. */
void udm_slot_stop(udm_slot_t *slot, udm_verdict verdict);

/* Stops every run of which the lease could not be renewed in time: it may be somebody else's by now. */
void udm_slot_stop_stale(udm_worker_t *worker);

#endif
