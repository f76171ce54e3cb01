/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h: what the threads of a worker share. Each has one duty and a file pair of its own:
 *
 *   keeper    the main thread: signals, the supervisor, phases, the end; no database
 *   planner   hears notifications, makes the runs of due jobs, wakes the others
 *   leases    renews the leases of what the slots run, and says that the worker is there
 *   claimer   claims runs and exports them, one at a time, a slot each; attempt.h has one attempt of a run
 *   purger    takes out of store and database what is over
 *
 * No thread waits for another one, and each has a connection of its own, so that what holds one of them
 * up holds up its own duty alone.
 */
#ifndef UDM_WORKER_WORKER_H
#define UDM_WORKER_WORKER_H

#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>
#include <apr_thread_proc.h>

#include "pg/client.h"
#include "worker/settings.h"

/* How often slots look for work, and the planner for due jobs, without any hint. */
#define UDM_POLL_SECONDS 5

/* In this order, never back. */
typedef enum {
    UDM_PHASE_WORK,
    UDM_PHASE_DRAIN,     /* claim no more, finish what runs */
    UDM_PHASE_HAND_BACK, /* give what runs back to the queue */
    UDM_PHASE_OVER       /* nothing runs any more */
} udm_phase;

struct udm_slot_t;

/* Shared by all threads. Members below the line are guarded by `lock`. */
typedef struct udm_worker_t {
    const udm_settings_t *settings;
    const char *name; /* of this process: no other has the same */
    const char *host;
    int bell;        /* a pipe's end: what is written there makes the keeper look */
    udm_stop_t stop; /* raised when what runs is handed back: ends what waits for a server */
    apr_thread_mutex_t *lock;
    /* ---- */
    apr_thread_cond_t *wake; /* signalled with a count or `phase` changed */
    unsigned wakes;          /* of the slots */
    apr_int64_t heard;       /* when the planner's server last gave a sign; 0: not yet */
    unsigned purges;         /* of the purger: also at hints, but after the slots */
    unsigned looks;          /* of the leases: at hints, for a cancel may be among them */
    udm_phase phase;
    struct udm_slot_t **slots;
    int slot_count;  /* 0 until they are started */
    bool ready;      /* the database and the store were found to be as they should */
    bool outage;     /* the database is away, and that was logged */
    bool store_away; /* so is the store */
    int failed;      /* the worker cannot go on: the status to exit with, else 0 */
    int running;     /* threads that have not ended */
} udm_worker_t;

/* Milliseconds to wait after another failure: from 500, doubled up to 10,000, with jitter. */
int udm_worker_backoff(int *last);

/* ---- connections to the database of the queue ---- */

/* Whose it is: the server shows it as application_name "udm-worker leases", unless the settings name
 * another. The leases' statements may take 2 s, and connecting to each host, too: well below a lease. The
 * others' may take 10 s. */
typedef enum { UDM_DUTY_PLANNER, UDM_DUTY_LEASES, UDM_DUTY_SLOT, UDM_DUTY_PURGER } udm_worker_duty;

/* Connects; what waits there ends with `stop`. */
udm_error_t *udm_worker_connect(udm_pg_t **db, apr_pool_t *p, const udm_worker_t *worker,
                                udm_worker_duty duty, const udm_stop_t *stop);

/* Whether the connection is there, and no answer is owed on it. NULL is none. */
bool udm_worker_usable(const udm_pg_t *db);

/*
 * Finds out whether the connection that a thread keeps in `*db` (NULL: none yet) is still one to the
 * right server and schema, and makes it anew where it is not, which `fresh` tells. `p` is as old as the
 * connection, and is cleared before another one is made.
 */
udm_error_t *udm_worker_connected(udm_pg_t **db, bool *fresh, apr_pool_t *p, udm_worker_t *worker,
                                  udm_worker_duty duty, const udm_stop_t *stop);

/*
 * Logs the first failure of an outage, and its end. One that another try does not help, because programs
 * and schema do not fit, makes the worker end: see UDM_EXIT_SCHEMA. Any thread.
 */
void udm_worker_database_down(udm_worker_t *worker, apr_pool_t *p, const udm_error_t *error);
void udm_worker_database_up(udm_worker_t *worker);

/* The exit status where schema udm is not of the version that the program is made for: EX_CONFIG of
 * sysexits.h. Starting it again does not help. */
#define UDM_EXIT_SCHEMA 78

/* ---- phases and waiting ---- */

udm_phase udm_worker_phase(udm_worker_t *worker);

/* Goes on to a later phase, and wakes everybody. Call with worker->lock held. */
void udm_worker_enter(udm_worker_t *worker, udm_phase phase);

/* @return false once no new work is to begin */
bool udm_worker_goes_on(udm_worker_t *worker);

/* The worker cannot go on and exits with `status`; the first one stands. Any thread. */
void udm_worker_fail(udm_worker_t *worker, int status);

/* Makes the keeper look. */
void udm_worker_ring(udm_worker_t *worker);

/* Wakes those who wait for a count of wakes. */
void udm_worker_wake(udm_worker_t *worker, unsigned *count);

/*
 * Waits until one of the counts of wakes has changed or `ms` have passed; `seen` is the caller's own, 0
 * at first. It does not wait once no new work is to begin.
 * @return udm_worker_goes_on()
 */
bool udm_worker_wait(udm_worker_t *worker, const unsigned *wakes, unsigned *seen, int ms);

/* The same for whoever has work to the end. */
void udm_worker_wait_on(udm_worker_t *worker, const unsigned *wakes, unsigned *seen, int ms);

/* ---- threads ---- */

/* Starts a thread that counts as running until it calls udm_worker_thread_ends, last of all. */
udm_error_t *udm_worker_thread(apr_thread_t **thread, apr_pool_t *p, udm_worker_t *worker,
                               apr_thread_start_t start, void *data);
void udm_worker_thread_ends(udm_worker_t *worker);

/* A pool for a thread, with an allocator that no other thread uses. */
apr_pool_t *udm_worker_pool(void);

#endif
