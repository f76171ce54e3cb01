/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.c: connections, waiting, phases, and the log of outages.
 */
#include "worker/worker.h"

#include <string.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "core/clock.h"
#include "db/installation.h"

/* What a pool may keep for its next use; the rest goes back to the system. */
#define POOL_KEEPS (1024 * 1024)

#define LIMIT(worker) ((worker)->settings->log_level)

int udm_worker_backoff(int *last)
{
    unsigned random = 0;

    *last = *last == 0 ? 500 : *last > 5000 ? 10000 : 2 * *last;
    apr_generate_random_bytes((unsigned char *)&random, sizeof(random));
    return *last / 2 + (int)(random % (unsigned)(*last / 2 + 1));
}

/* ---- connections ---- */

/* Nothing here takes as long as compiling it would. */
#define SETTINGS "SET TimeZone = 'UTC'; SET jit = off;"

#define USUAL                                                                                      \
    "", SETTINGS " SET statement_timeout = '10s'; SET lock_timeout = '5s'", UDM_PG_PATIENCE

/*
 * A lease that a crash of the server takes back is one that nobody renewed, so that its commit is not
 * waited for.
 */
static const struct {
    const char *name;
    const char *conninfo;
    const char *settings;
    int patience;
} duties[] = {
    [UDM_DUTY_PLANNER] = {"udm-worker planner", USUAL},
    [UDM_DUTY_LEASES] =
        {"udm-worker leases", "connect_timeout=2 ",
         SETTINGS
         " SET statement_timeout = '2s'; SET lock_timeout = '1s'; SET synchronous_commit = off",
         2500},
    [UDM_DUTY_SLOT] = {"udm-worker slot", USUAL},
    [UDM_DUTY_PURGER] = {"udm-worker purger", USUAL},
};

udm_error_t *udm_worker_connect(udm_pg_t **db, apr_pool_t *p, const udm_worker_t *worker,
                                udm_worker_duty duty, const udm_stop_t *stop)
{
    const char *conninfo = worker->settings->database;
    udm_error_t *error;

    /* A peer that vanished must not hold a thread for longer than a lease; the settings win. */
    if (strncmp(conninfo, "postgres", 8) != 0) {
        conninfo = apr_pstrcat(p,
                               "keepalives_idle=10 keepalives_interval=3 keepalives_count=3 "
                               "tcp_user_timeout=10000 ",
                               duties[duty].conninfo, conninfo, NULL);
    }
    error = udm_pg_connect(db, p, conninfo, duties[duty].name, UDM_E_DATABASE, stop);
    if (error) {
        return error;
    }
    (*db)->patience = duties[duty].patience;
    error = udm_pg_exec(p, *db, duties[duty].settings);
    if (!error) {
        error = udm_installation_check(p, *db);
    }
    if (error) {
        *db = NULL;
    }
    return error;
}

bool udm_worker_usable(const udm_pg_t *db)
{
    return db && PQstatus(db->conn) == CONNECTION_OK &&
           PQtransactionStatus(db->conn) != PQTRANS_ACTIVE;
}

udm_error_t *udm_worker_connected(udm_pg_t **db, bool *fresh, apr_pool_t *p, udm_worker_t *worker,
                                  udm_worker_duty duty, const udm_stop_t *stop)
{
    udm_error_t *error;
    apr_pool_t *turn;

    *fresh = false;
    if (udm_worker_usable(*db)) {
        apr_pool_create(&turn, p);
        error = udm_installation_check(turn, *db);
        error = error ? udm_error_copy(p, error) : NULL;
        apr_pool_destroy(turn);
        if (!error || udm_worker_usable(*db)) {
            return error;
        }
    }
    *db = NULL;
    *fresh = true;
    apr_pool_clear(p);
    return udm_worker_connect(db, p, worker, duty, stop);
}

void udm_worker_database_down(udm_worker_t *worker, apr_pool_t *p, const udm_error_t *error)
{
    bool wrong = udm_installation_wrong_schema(error);
    bool first;

    apr_thread_mutex_lock(worker->lock);
    first = wrong ? worker->failed == 0 : !worker->outage;
    if (!wrong) {
        worker->outage = true;
    }
    apr_thread_mutex_unlock(worker->lock);
    if (!wrong) {
        udm_log(LIMIT(worker), first ? UDM_LOG_ERROR : UDM_LOG_DEBUG,
                "UDM0210: the database cannot be used, trying again until it can: %s",
                udm_error_line(p, error));
        return;
    }
    udm_worker_fail(worker, UDM_EXIT_SCHEMA);
    if (first) {
        udm_log(LIMIT(worker), UDM_LOG_ERROR, "UDM0400: the worker does not run: %s",
                error->detail);
    }
}

void udm_worker_database_up(udm_worker_t *worker)
{
    bool was;

    apr_thread_mutex_lock(worker->lock);
    was = worker->outage;
    worker->outage = false;
    apr_thread_mutex_unlock(worker->lock);
    if (was) {
        udm_log(LIMIT(worker), UDM_LOG_INFO, "UDM0211: the database answers again");
    }
}

/* ---- phases and waiting ---- */

udm_phase udm_worker_phase(udm_worker_t *worker)
{
    udm_phase phase;

    apr_thread_mutex_lock(worker->lock);
    phase = worker->phase;
    apr_thread_mutex_unlock(worker->lock);
    return phase;
}

void udm_worker_enter(udm_worker_t *worker, udm_phase phase)
{
    if (worker->phase >= phase) {
        return;
    }
    worker->phase = phase;
    worker->looks++;
    apr_thread_cond_broadcast(worker->wake);
    if (phase >= UDM_PHASE_HAND_BACK) {
        udm_stop_raise(&worker->stop);
    }
}

bool udm_worker_goes_on(udm_worker_t *worker)
{
    return udm_worker_phase(worker) == UDM_PHASE_WORK;
}

void udm_worker_fail(udm_worker_t *worker, int status)
{
    apr_thread_mutex_lock(worker->lock);
    if (worker->failed == 0) {
        worker->failed = status;
    }
    apr_thread_mutex_unlock(worker->lock);
    udm_worker_ring(worker);
}

void udm_worker_ring(udm_worker_t *worker)
{
    if (write(worker->bell, "", 1) < 0) {
        /* The pipe is full of bells: the keeper will look anyway. */
    }
}

void udm_worker_wake(udm_worker_t *worker, unsigned *count)
{
    apr_thread_mutex_lock(worker->lock);
    (*count)++;
    apr_thread_cond_broadcast(worker->wake);
    apr_thread_mutex_unlock(worker->lock);
}

/* Others are woken by the same condition. */
static void wait_for_wake(udm_worker_t *worker, const unsigned *wakes, unsigned *seen, int ms,
                          udm_phase last)
{
    apr_int64_t until = udm_clock_ms() + ms;
    apr_int64_t left = ms;

    while (*wakes == *seen && worker->phase <= last && left > 0) {
        apr_thread_cond_timedwait(worker->wake, worker->lock, left * 1000);
        left = until - udm_clock_ms();
    }
    *seen = *wakes;
}

bool udm_worker_wait(udm_worker_t *worker, const unsigned *wakes, unsigned *seen, int ms)
{
    bool going;

    apr_thread_mutex_lock(worker->lock);
    wait_for_wake(worker, wakes, seen, ms, UDM_PHASE_WORK);
    going = worker->phase == UDM_PHASE_WORK;
    apr_thread_mutex_unlock(worker->lock);
    return going;
}

void udm_worker_wait_on(udm_worker_t *worker, const unsigned *wakes, unsigned *seen, int ms)
{
    apr_thread_mutex_lock(worker->lock);
    wait_for_wake(worker, wakes, seen, ms, UDM_PHASE_OVER);
    apr_thread_mutex_unlock(worker->lock);
}

/* ---- threads ---- */

udm_error_t *udm_worker_thread(apr_thread_t **thread, apr_pool_t *p, udm_worker_t *worker,
                               apr_thread_start_t start, void *data)
{
    apr_status_t status;

    apr_thread_mutex_lock(worker->lock);
    status = apr_thread_create(thread, NULL, start, data, p);
    if (status == APR_SUCCESS) {
        worker->running++;
    }
    apr_thread_mutex_unlock(worker->lock);
    if (status != APR_SUCCESS) {
        return udm_error_status(p, UDM_E_INTERNAL, status, "a thread cannot be started");
    }
    return NULL;
}

void udm_worker_thread_ends(udm_worker_t *worker)
{
    apr_thread_mutex_lock(worker->lock);
    worker->running--;
    apr_thread_mutex_unlock(worker->lock);
    udm_worker_ring(worker);
}

apr_pool_t *udm_worker_pool(void)
{
    apr_allocator_t *allocator;
    apr_pool_t *p;

    apr_allocator_create(&allocator);
    apr_allocator_max_free_set(allocator, POOL_KEEPS);
    apr_pool_create_unmanaged_ex(&p, NULL, allocator);
    apr_allocator_owner_set(allocator, p);
    return p;
}
