/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * claimer.c: the thread of a slot, which claims runs and has attempt.c export them.
 *
 * It has its own connection and its own pools with an allocator that no other thread uses.
 */
#include "worker/claimer.h"

#include <apr_strings.h>

#include "core/clock.h"
#include "worker/attempt.h"
#include "worker/storage.h"

/* A claim waits for nobody: a server that does not answer it for so long does not answer. */
#define CLAIM_PATIENCE 5000

/* What somebody holds is looked at again after the first, twice as long each time, up to the second. */
#define HELD_MS     25
#define HELD_MAX_MS 800

/* Whether all slots but the reserve are busy. Call with worker->lock held. */
static bool all_busy(const udm_worker_t *worker)
{
    int i;

    for (i = 0; i < worker->slot_count; i++) {
        if (!worker->slots[i]->reserve && !worker->slots[i]->run) {
            return false;
        }
    }
    return worker->slot_count > 0;
}

static bool may_claim(const udm_slot_t *slot)
{
    bool may;

    apr_thread_mutex_lock(slot->worker->lock);
    may = !slot->reserve || all_busy(slot->worker);
    apr_thread_mutex_unlock(slot->worker->lock);
    return may;
}

static void begin_run(udm_slot_t *slot, const udm_run_t *run, apr_int64_t claimed)
{
    udm_worker_t *worker = slot->worker;

    apr_thread_mutex_lock(worker->lock);
    udm_stop_lower(&slot->watch.stop);
    atomic_store(&slot->watch.percent, 0);
    atomic_store(&slot->watch.rows, 0);
    slot->run = run;
    slot->verdict = UDM_VERDICT_NONE;
    slot->renewed = claimed;
    if (!slot->reserve && all_busy(worker)) {
        /* Only the reserve waits. */
        worker->wakes++;
        apr_thread_cond_broadcast(worker->wake);
    }
    if (worker->phase >= UDM_PHASE_HAND_BACK) {
        udm_slot_stop(slot, UDM_VERDICT_HAND_BACK);
    }
    apr_thread_mutex_unlock(worker->lock);
}

static void end_run(udm_slot_t *slot)
{
    apr_thread_mutex_lock(slot->worker->lock);
    slot->run = NULL;
    apr_thread_mutex_unlock(slot->worker->lock);
}

/*
 * The claim itself is waited for also when what runs is handed back: one that went through is handed
 * back as well, and is not left to its lease.
 */
static udm_error_t *claim(udm_run_t **run, bool *held, udm_slot_t *slot)
{
    const udm_settings_t *settings = slot->worker->settings;
    udm_error_t *error;

    slot->db->stop = NULL;
    slot->db->patience = CLAIM_PATIENCE;
    error = udm_queue_claim(run, held, slot->run_pool, slot->db, slot->id, settings->attempts,
                            slot->reserve);
    slot->db->patience = UDM_PG_PATIENCE;
    return error;
}

/*
 * Runs everything that can be claimed; `held` gets whether something could be but for somebody's lock.
 * @return an error when the database or the store is away
 */
static udm_error_t *work(bool *held, udm_slot_t *slot)
{
    udm_worker_t *worker = slot->worker;
    apr_int64_t claimed;
    udm_error_t *error;
    udm_run_t *run;
    bool fresh;

    *held = false;
    for (;;) {
        apr_pool_clear(slot->run_pool);
        if (!udm_worker_goes_on(worker)) {
            return NULL;
        }
        if (slot->db) {
            slot->db->stop = &worker->stop;
        }
        error = udm_worker_connected(&slot->db, &fresh, slot->db_pool, worker, UDM_DUTY_SLOT,
                                     &worker->stop);
        if (!error && !may_claim(slot)) {
            return NULL;
        }
        if (!error) {
            error =
                udm_storage_open(&slot->store, slot->run_pool, worker, slot->db, UDM_STORAGE_BEGIN);
        }
        claimed = udm_clock_ms();
        if (!error) {
            error = claim(&run, held, slot);
        }
        if (error) {
            return error;
        }
        udm_worker_database_up(worker);
        udm_storage_up(worker);
        if (!run) {
            /* An idle slot does not keep anybody from unmounting the store. */
            apr_pool_clear(slot->run_pool);
            return NULL;
        }
        begin_run(slot, run, claimed);
        udm_attempt_run(slot, run);
        end_run(slot);
    }
}

static void *APR_THREAD_FUNC claimer_main(apr_thread_t *thread, void *data)
{
    udm_slot_t *slot = data;
    udm_worker_t *worker = slot->worker;
    udm_error_t *error;
    unsigned seen = 0;
    int backoff = 0;
    int held_ms = 0;
    bool held;
    int pause;

    (void)thread;
    slot->pool = udm_worker_pool();
    apr_pool_create(&slot->db_pool, slot->pool);
    apr_pool_create(&slot->run_pool, slot->pool);
    slot->hold = udm_source_hold_make(slot->pool);
    do {
        error = work(&held, slot);
        pause = udm_source_hold_expire(slot->hold) ? UDM_SOURCE_HOLD_MS : UDM_POLL_SECONDS * 1000;
        held_ms = !held                   ? 0
                  : held_ms == 0          ? HELD_MS
                  : held_ms < HELD_MAX_MS ? 2 * held_ms
                                          : held_ms;
        if (!error) {
            backoff = 0;
            pause = held && held_ms < pause ? held_ms : pause;
        }
        else if (error->kind == UDM_E_STORE) {
            udm_storage_down(worker, slot->run_pool, error);
            apr_pool_clear(slot->run_pool);
            pause = udm_worker_backoff(&backoff);
        }
        else {
            if (error->kind != UDM_E_STOPPED) {
                udm_worker_database_down(worker, slot->run_pool, error);
            }
            slot->db = NULL;
            apr_pool_clear(slot->db_pool);
            pause = udm_worker_backoff(&backoff);
        }
    } while (udm_worker_wait(worker, &worker->wakes, &seen, pause));
    apr_pool_destroy(slot->pool);
    udm_worker_thread_ends(worker);
    return NULL;
}

udm_error_t *udm_claimer_start(udm_slot_t **slot, apr_pool_t *p, udm_worker_t *worker, int number,
                               bool reserve)
{
    udm_slot_t *s = apr_pcalloc(p, sizeof(*s));
    udm_error_t *error;

    *slot = NULL;
    s->worker = worker;
    s->reserve = reserve;
    s->id = apr_psprintf(p, "%s/%d", worker->name, number);
    atomic_init(&s->watch.percent, 0);
    atomic_init(&s->watch.rows, 0);
    error = udm_stop_make(&s->watch.stop, p);
    if (!error) {
        error = udm_worker_thread(&s->thread, p, worker, claimer_main, s);
    }
    if (!error) {
        *slot = s;
    }
    return error;
}
