/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * leases.c: renews leases, on a connection of its own, with short statements that wait for nobody. What
 * the server, or somebody's lock, keeps from being renewed is tried again well before the lease is over.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "worker/leases.h"

#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "core/clock.h"
#include "db/installation.h"
#include "worker/slot.h"

#define RENEW_MS 3000
#define HELD_MS  300  /* when somebody holds a lease */
#define GAP_MS   500  /* for a cancel they are looked at this often */
#define AGAIN_MS 1000 /* at most, until the database is tried again */
#define TURN_MS  1000 /* the heartbeat: when the worker's state has changed */
#define BEAT_MS  (UDM_HEARTBEAT_SECONDS * 1000)

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

/* What only this thread touches. */
typedef struct leases_t {
    udm_worker_t *worker;
    apr_pool_t *pool;    /* as long as the thread */
    apr_pool_t *db_pool; /* as long as a connection */
    apr_pool_t *turn;    /* as long as a turn of the loop */
    udm_pg_t *db;        /* NULL: not connected */
    apr_int64_t renewed; /* when they were last looked at */
    apr_int64_t renew_at;
    apr_int64_t beat_at;
    const char *beaten; /* the state that was noted last; NULL: none */
} leases_t;

/* ---- leases ---- */

/* What runs now: an array of udm_lease_t, with the slot of each in `slots`. */
static apr_array_header_t *leases_of(apr_array_header_t **slots, leases_t *l)
{
    udm_worker_t *worker = l->worker;
    apr_array_header_t *leases = apr_array_make(l->turn, 4, sizeof(udm_lease_t));
    int i;

    *slots = apr_array_make(l->turn, 4, sizeof(udm_slot_t *));
    apr_thread_mutex_lock(worker->lock);
    for (i = 0; i < worker->slot_count; i++) {
        udm_slot_t *slot = worker->slots[i];
        udm_lease_t *lease;

        if (!slot->run) {
            continue;
        }
        lease = apr_array_push(leases);
        lease->run_id = slot->run->id;
        lease->export_id = apr_pstrdup(l->turn, slot->run->export_id);
        lease->percent = atomic_load(&slot->watch.percent);
        lease->rows = atomic_load(&slot->watch.rows);
        APR_ARRAY_PUSH(*slots, udm_slot_t *) = slot;
    }
    apr_thread_mutex_unlock(worker->lock);
    return leases;
}

/*
 * What the database said of a slot's run, if the slot still has it. A lease that somebody holds was ours
 * at that moment; nobody else can take the run before it is let go.
 */
static void tell_slot(leases_t *l, udm_slot_t *slot, const udm_lease_t *lease, apr_int64_t sent)
{
    udm_worker_t *worker = l->worker;

    apr_thread_mutex_lock(worker->lock);
    if (slot->run && strcmp(slot->run->export_id, lease->export_id) == 0) {
        if (lease->state == UDM_LEASE_LOST) {
            udm_slot_stop(slot, UDM_VERDICT_LOST);
        }
        else if (lease->state == UDM_LEASE_UNWANTED) {
            udm_slot_stop(slot, UDM_VERDICT_UNWANTED);
        }
        slot->renewed = sent;
    }
    apr_thread_mutex_unlock(worker->lock);
}

static udm_error_t *renew(leases_t *l)
{
    apr_int64_t sent = udm_clock_ms();
    apr_array_header_t *slots;
    apr_array_header_t *leases = leases_of(&slots, l);
    udm_error_t *error = udm_queue_renew(leases, l->turn, l->db);
    int i;

    l->renewed = sent;
    l->renew_at = sent + RENEW_MS;
    for (i = 0; !error && i < leases->nelts; i++) {
        const udm_lease_t *lease = &APR_ARRAY_IDX(leases, i, udm_lease_t);

        tell_slot(l, APR_ARRAY_IDX(slots, i, udm_slot_t *), lease, sent);
        if (lease->state == UDM_LEASE_HELD) {
            l->renew_at = sent + HELD_MS;
        }
    }
    return error;
}

/* ---- the heartbeat ---- */

static const char *state_of(udm_worker_t *worker)
{
    const char *state;

    apr_thread_mutex_lock(worker->lock);
    state = worker->phase == UDM_PHASE_OVER   ? "ended"
            : worker->phase != UDM_PHASE_WORK ? "ending"
            : worker->store_away              ? "no-store"
                                              : "ready";
    apr_thread_mutex_unlock(worker->lock);
    return state;
}

static bool beat_is_due(leases_t *l)
{
    return udm_clock_ms() >= l->beat_at || !l->beaten ||
           strcmp(l->beaten, state_of(l->worker)) != 0;
}

/* Notes that this worker is there, and what it does. */
static udm_error_t *beat(leases_t *l)
{
    udm_worker_t *worker = l->worker;
    udm_heartbeat_t heartbeat = {.id = worker->name,
                                 .host = worker->host,
                                 .pid = (int)getpid(),
                                 .version = PACKAGE_VERSION,
                                 .slots = worker->settings->slots,
                                 .state = state_of(worker)};
    udm_error_t *error = udm_heartbeat_write(l->turn, l->db, &heartbeat);

    if (!error) {
        l->beaten = heartbeat.state;
        l->beat_at = udm_clock_ms() + BEAT_MS;
    }
    return error;
}

/* ---- the thread ---- */

static udm_error_t *take_turn(leases_t *l)
{
    bool renewing = udm_clock_ms() >= l->renew_at;
    udm_error_t *error = NULL;

    if (!renewing && !beat_is_due(l)) {
        return NULL;
    }
    /* Whether the schema is still the right one is not asked: what runs goes on under its lease. A server
     * that takes no changes any more refuses these. */
    if (!udm_worker_usable(l->db)) {
        l->db = NULL;
        apr_pool_clear(l->db_pool);
        error = udm_worker_connect(&l->db, l->db_pool, l->worker, UDM_DUTY_LEASES, NULL);
    }
    if (!error && renewing) {
        error = renew(l);
    }
    if (!error && beat_is_due(l)) {
        error = beat(l);
    }
    return error;
}

/* Until something is due, or a hint came; then not at once if it was looked a moment ago. */
static void rest(leases_t *l, unsigned *seen)
{
    udm_worker_t *worker = l->worker;
    apr_int64_t ms = l->renew_at - udm_clock_ms();
    unsigned before = *seen;

    udm_worker_wait_on(worker, &worker->looks, seen, (int)(ms < TURN_MS ? ms : TURN_MS));
    if (*seen != before && l->renew_at > l->renewed + GAP_MS) {
        l->renew_at = l->renewed + GAP_MS;
    }
}

static void *APR_THREAD_FUNC leases_main(apr_thread_t *thread, void *data)
{
    udm_worker_t *worker = data;
    leases_t l = {.worker = worker, .pool = udm_worker_pool()};
    udm_error_t *error;
    unsigned seen = 0;
    int backoff = 0;
    int pause;

    (void)thread;
    apr_pool_create(&l.db_pool, l.pool);
    apr_pool_create(&l.turn, l.pool);
    while (udm_worker_phase(worker) != UDM_PHASE_OVER) {
        apr_pool_clear(l.turn);
        error = take_turn(&l);
        if (error) {
            udm_worker_database_down(worker, l.turn, error);
            l.db = NULL;
            apr_pool_clear(l.db_pool);
            l.renew_at = udm_clock_ms();
            pause = udm_worker_backoff(&backoff);
            udm_worker_wait_on(worker, &worker->looks, &seen, pause < AGAIN_MS ? pause : AGAIN_MS);
            continue;
        }
        backoff = 0;
        rest(&l, &seen);
    }
    if (l.beaten && udm_worker_usable(l.db)) {
        apr_pool_clear(l.turn);
        (void)beat(&l);
    }
    apr_pool_destroy(l.pool);
    udm_worker_thread_ends(worker);
    return NULL;
}

udm_error_t *udm_leases_start(apr_thread_t **thread, apr_pool_t *p, udm_worker_t *worker)
{
    return udm_worker_thread(thread, p, worker, leases_main, worker);
}
