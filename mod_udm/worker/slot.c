/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.c: claim, export, and what becomes of the run then.
 *
 * A slot has its own connection and its own pools with an allocator that no other thread uses. The
 * keeper renews the lease meanwhile; whatever the slot writes at the end is fenced, so that losing
 * the lease costs work but never correctness.
 */
#include "worker/slot.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "core/artifact.h"
#include "core/calendar.h"
#include "core/clock.h"
#include "core/text.h"
#include "db/catalog.h"
#include "db/installation.h"
#include "worker/storage.h"

/* What a pool may keep for its next run; the rest goes back to the system. */
#define POOL_KEEPS (1024 * 1024)

/* While handing back: how long the database may stay away before the lease is left to run out. */
#define HAND_BACK_PATIENCE 5000
#define SETTLE_LOOKS       5 /* before a run goes back to the queue ... */
#define SETTLE_PAUSE       apr_time_from_msec(100)
#define SETTLE_DELAY       2 /* ... for so many seconds */

#define LIMIT(worker) ((worker)->settings->log_level)

/* What only the slot's own thread touches. */
typedef struct desk_t {
    udm_slot_t *slot;
    udm_worker_t *worker;
    apr_pool_t *pool;     /* as long as the thread */
    apr_pool_t *db_pool;  /* as long as a connection */
    apr_pool_t *run_pool; /* as long as a run */
    udm_pg_t *db;         /* NULL: not connected */
    udm_store_t *store;   /* of the run: lives in its pool */
    udm_source_hold_t *hold;
    udm_export_tried_t tried;
} desk_t;

/* How a run ends. */
typedef enum { END_COMPLETE, END_FAIL, END_HOLD, END_RELEASE } end_kind;

typedef struct ending_t {
    end_kind kind;
    const apr_array_header_t *parts;
    apr_int64_t rows;
    const char *reason;
    int delay;
    bool counts;
} ending_t;

int udm_worker_backoff(int *last)
{
    unsigned random = 0;

    *last = *last == 0 ? 500 : *last > 5000 ? 10000 : 2 * *last;
    apr_generate_random_bytes((unsigned char *)&random, sizeof(random));
    return *last / 2 + (int)(random % (unsigned)(*last / 2 + 1));
}

udm_error_t *udm_worker_connect(udm_pg_t **db, apr_pool_t *p, const udm_worker_t *worker)
{
    const char *conninfo = worker->settings->database;
    udm_error_t *error;

    /* A peer that vanished must not hold a thread for longer than a lease; the settings win. */
    if (strncmp(conninfo, "postgres", 8) != 0) {
        conninfo = apr_pstrcat(p,
                               "keepalives_idle=10 keepalives_interval=3 keepalives_count=3 "
                               "tcp_user_timeout=10000 ",
                               conninfo, NULL);
    }
    error = udm_pg_connect(db, p, conninfo, "udm-worker", UDM_E_DATABASE, NULL);
    if (error) {
        return error;
    }
    error = udm_pg_exec(
        p, *db, "SET TimeZone = 'UTC'; SET statement_timeout = '10s'; SET lock_timeout = '5s'");
    if (!error) {
        error = udm_installation_check(p, *db);
    }
    if (error) {
        *db = NULL;
    }
    return error;
}

void udm_worker_database_down(udm_worker_t *worker, apr_pool_t *p, const udm_error_t *error)
{
    bool first;

    apr_thread_mutex_lock(worker->lock);
    first = !worker->outage;
    worker->outage = true;
    apr_thread_mutex_unlock(worker->lock);
    udm_log(LIMIT(worker), first ? UDM_LOG_ERROR : UDM_LOG_DEBUG,
            "UDM0210: the database cannot be used, trying again until it can: %s",
            udm_error_line(p, error));
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

bool udm_worker_goes_on(udm_worker_t *worker)
{
    bool going;

    apr_thread_mutex_lock(worker->lock);
    going = worker->phase == UDM_PHASE_WORK;
    apr_thread_mutex_unlock(worker->lock);
    return going;
}

bool udm_worker_wait(udm_worker_t *worker, const unsigned *wakes, unsigned *seen, int ms)
{
    apr_int64_t until = udm_clock_ms() + ms;
    apr_int64_t left = ms;
    bool going;

    apr_thread_mutex_lock(worker->lock);
    /* Others are woken by the same condition. */
    while (*wakes == *seen && worker->phase == UDM_PHASE_WORK && left > 0) {
        apr_thread_cond_timedwait(worker->wake, worker->lock, left * 1000);
        left = until - udm_clock_ms();
    }
    *seen = *wakes;
    going = worker->phase == UDM_PHASE_WORK;
    apr_thread_mutex_unlock(worker->lock);
    return going;
}

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
    if (write(worker->bell, "", 1) < 0) {
        /* The pipe is full of bells: the keeper will look anyway. */
    }
}

void udm_slot_stop(udm_slot_t *slot, udm_verdict verdict)
{
    if (!slot->run) {
        return;
    }
    if (slot->verdict == UDM_VERDICT_NONE) {
        slot->verdict = verdict;
    }
    udm_stop_raise(&slot->watch.stop);
}

/* ---- the database ---- */

static udm_error_t *connected(desk_t *d)
{
    if (d->db && PQstatus(d->db->conn) != CONNECTION_OK) {
        d->db = NULL;
    }
    if (d->db) {
        return NULL;
    }
    apr_pool_clear(d->db_pool);
    return udm_worker_connect(&d->db, d->db_pool, d->worker);
}

static udm_error_t *write_ending(desk_t *d, apr_pool_t *p, const udm_run_t *run,
                                 const ending_t *ending)
{
    switch (ending->kind) {
    case END_COMPLETE:
        return udm_queue_complete(p, d->db, run, ending->parts, ending->rows,
                                  d->worker->settings->retention_days);
    case END_FAIL:
        return udm_queue_fail(p, d->db, run, ending->reason);
    case END_HOLD:
        return udm_queue_hold(p, d->db, run);
    case END_RELEASE:
        break;
    }
    return udm_queue_release(p, d->db, run, ending->delay, ending->counts, ending->reason);
}

/* Waits, but not past a change of phase. @return whether to go on trying */
static bool wait_to_retry(desk_t *d, end_kind kind, apr_int64_t since, int *backoff)
{
    udm_worker_t *worker = d->worker;
    apr_interval_time_t pause = (apr_interval_time_t)udm_worker_backoff(backoff) * 1000;
    apr_int64_t waited;
    udm_phase phase;

    apr_thread_mutex_lock(worker->lock);
    phase = worker->phase;
    if (phase == UDM_PHASE_HAND_BACK && pause > 500000) {
        pause = 500000;
    }
    apr_thread_cond_timedwait(worker->wake, worker->lock, pause);
    phase = worker->phase;
    apr_thread_mutex_unlock(worker->lock);
    waited = udm_clock_ms() - since;
    if (phase == UDM_PHASE_HAND_BACK && waited > HAND_BACK_PATIENCE) {
        return false;
    }
    /* A finished export is worth waiting for; anything else the end of the lease does, too. */
    return kind == END_COMPLETE || waited < UDM_LEASE_SECONDS * 1000;
}

/*
 * Writes how the run ended, again and again while the database is away. Only its own answer says
 * whether a completion that was sent before a connection broke went through.
 */
static udm_error_t *end_run(desk_t *d, const udm_run_t *run, const ending_t *ending)
{
    apr_int64_t since = udm_clock_ms();
    bool unsure = false;
    udm_error_t *error;
    int backoff = 0;
    apr_pool_t *p;

    apr_pool_create(&p, d->run_pool);
    for (;;) {
        apr_pool_clear(p);
        error = connected(d);
        if (!error) {
            error = write_ending(d, p, run, ending);
        }
        if (!error || error->kind != UDM_E_DATABASE) {
            break;
        }
        unsure = true;
        udm_worker_database_down(d->worker, p, error);
        if (!wait_to_retry(d, ending->kind, since, &backoff)) {
            break;
        }
    }
    if (!error || error->kind == UDM_E_LOST) {
        udm_worker_database_up(d->worker);
    }
    else if (unsure) {
        /* Not even a refusal says what became of the tries before it. */
        error->kind = UDM_E_DATABASE;
    }
    return error ? udm_error_copy(d->run_pool, error) : NULL;
}

/* ---- a run ---- */

/* Removes what an attempt may have left in the store. */
static udm_error_t *remove_output(desk_t *d, const char *export_id)
{
    return d->store->remove_export(d->store, d->run_pool, export_id);
}

static void remove_output_or_log(desk_t *d, const udm_run_t *run)
{
    udm_error_t *error = remove_output(d, run->export_id);

    if (error) {
        udm_log(LIMIT(d->worker), UDM_LOG_ERROR,
                "UDM0212: run %" APR_INT64_T_FMT ": " UDM_ARTIFACT_PREFIX
                "%s.* cannot be removed: %s",
                run->id, run->export_id, udm_error_line(d->run_pool, error));
    }
}

/* When the wait for older writers is over, a moving window ends where the oldest one began. */
static udm_error_t *cut_window(desk_t *d, udm_run_t *run, const udm_data_type_t *type)
{
    apr_time_t end, began;
    udm_error_t *error = udm_source_oldest_writer(
        &began, d->run_pool, d->worker->settings->source_dir, type, &d->slot->watch.stop);

    if (error) {
        return error;
    }
    end = began != UDM_NO_TIME && began < run->window_to ? began : run->window_to;
    if (run->window_from != UDM_NO_TIME && end < run->window_from) {
        end = run->window_from;
    }
    if (end < run->window_to) {
        udm_log(LIMIT(d->worker), UDM_LOG_WARN,
                "UDM0223: run %" APR_INT64_T_FMT
                ": its window ends at %s, for an older transaction is still open in source \"%s\"",
                run->id, udm_calendar_text(d->run_pool, end), type->source);
    }
    return udm_queue_settle(d->run_pool, d->db, run, run->settle_barrier, end);
}

/*
 * Looks whether a moving window can be read. A moment is waited for here, longer in the queue, so
 * that no slot stands still for somebody's long transaction: `later` says so.
 */
static udm_error_t *settle_window(bool *later, desk_t *d, udm_run_t *run,
                                  const udm_data_type_t *type)
{
    const udm_settings_t *settings = d->worker->settings;
    const udm_stop_t *stop = &d->slot->watch.stop;
    const char *barrier = run->settle_barrier;
    bool settled = false;
    udm_error_t *error;
    int i;

    *later = false;
    for (i = 0; i < SETTLE_LOOKS && !udm_stop_raised(stop); i++) {
        if (i > 0) {
            apr_sleep(SETTLE_PAUSE);
        }
        error =
            udm_source_settle(&settled, &barrier, d->run_pool, settings->source_dir, type, stop);
        if (!error && !run->settle_barrier) {
            error = udm_queue_settle(d->run_pool, d->db, run, barrier, run->window_to);
        }
        if (error || settled) {
            return error;
        }
    }
    /* Who is stopped before the first look has nothing to cut. */
    if (run->settle_barrier && !udm_stop_raised(stop) &&
        run->now - run->settle_since >= apr_time_from_sec(settings->settle_limit)) {
        return cut_window(d, run, type);
    }
    *later = true;
    return udm_error_make(d->run_pool, UDM_E_STOPPED, "older transactions are open in the source");
}

/* Makes the claim last (udm_queue_claim), and hears of a cancel that came meanwhile. */
static udm_error_t *confirm_claim(desk_t *d, const udm_run_t *run)
{
    udm_worker_t *worker = d->worker;
    bool wanted;
    udm_error_t *error = udm_queue_renew(&wanted, d->run_pool, d->db, run, 0, 0);
    bool lost = error && error->kind == UDM_E_LOST;

    if (lost || (!error && !wanted)) {
        apr_thread_mutex_lock(worker->lock);
        udm_slot_stop(d->slot, lost ? UDM_VERDICT_LOST : UDM_VERDICT_UNWANTED);
        apr_thread_mutex_unlock(worker->lock);
        error = udm_error_make(d->run_pool, UDM_E_STOPPED, "the export was stopped");
    }
    return error;
}

/* Whether it is the type of the run: of its source, and not of one that has the name as its alias; and
 * registered for its contact centre. */
static bool is_type_of(const udm_data_type_t *type, const udm_run_t *run)
{
    bool has = !type->tenants;
    int i;

    for (i = 0; !has && i < type->tenants->nelts; i++) {
        has = strcmp(APR_ARRAY_IDX(type->tenants, i, const char *), run->ccid) == 0;
    }
    return has && strcmp(type->source, run->source) == 0;
}

static udm_error_t *export(apr_array_header_t **parts, apr_int64_t *rows, bool *later, desk_t *d,
                           udm_run_t *run)
{
    const udm_settings_t *settings = d->worker->settings;
    udm_export_settings_t export_settings = {0};
    udm_data_type_t *type;
    udm_error_t *error = NULL;

    if (run->previous_export_id) {
        error = remove_output(d, run->previous_export_id);
    }
    if (error) {
        return error;
    }
    if (run->exhausted) {
        return udm_error_make(d->run_pool, UDM_E_INVALID, "the export was interrupted %s",
                              udm_text_count(d->run_pool, run->attempt - 1, "time"));
    }
    error = connected(d);
    if (!error) {
        error = confirm_claim(d, run);
    }
    if (!error) {
        error = udm_catalog_type(&type, d->run_pool, d->db, run->source, run->type);
    }
    if ((error && error->kind == UDM_E_NOT_FOUND) || (!error && !is_type_of(type, run))) {
        return udm_error_make(d->run_pool, UDM_E_GONE,
                              "type \"%s\" of source \"%s\" is not registered any more", run->type,
                              run->source);
    }
    if (!error && run->export_attachments && type->attachments_removed) {
        error = udm_error_make(d->run_pool, UDM_E_INVALID,
                               "attachments, which this job asks for, are not registered any more");
    }
    if (error) {
        return error;
    }
    if (run->moves_watermark) {
        error = settle_window(later, d, run, type);
        if (error) {
            return error;
        }
    }
    export_settings.source_dir = settings->source_dir;
    export_settings.spool_dir = settings->spool_dir;
    export_settings.max_part_size = settings->max_part_size;
    export_settings.max_parts = settings->max_parts;
    export_settings.max_row = settings->max_row;
    export_settings.hold = d->hold;
    export_settings.tried = &d->tried;
    return udm_export_run(parts, rows, d->run_pool, &export_settings, type, run, d->store,
                          &d->slot->watch);
}

static bool may_pass(const udm_error_t *error)
{
    switch (error->kind) {
    case UDM_E_SOURCE:
        return !udm_source_permanent(error);
    case UDM_E_CERTIFICATE:
    case UDM_E_INVALID:
    case UDM_E_NOT_FOUND:
        return false;
    default:
        return true;
    }
}

/*
 * The run goes back to the queue, or fails for good. Only the answer to that says whether the failure
 * was ours: who takes a run over removes what is there of it, under the feet of whoever woke up late.
 */
static void try_later(desk_t *d, const udm_run_t *run, const udm_error_t *error)
{
    const udm_settings_t *settings = d->worker->settings;
    ending_t ending = {.kind = END_FAIL, .reason = udm_error_told(d->run_pool, error)};
    apr_int64_t delay = settings->retry_delay;
    udm_error_t *failed;
    int i;

    if (may_pass(error) && run->attempt < settings->attempts) {
        for (i = 1; i < run->attempt && delay < 86400; i++) {
            delay *= 6;
        }
        ending.kind = END_RELEASE;
        ending.delay = delay < 86400 ? (int)delay : 86400;
        ending.counts = true;
    }
    failed = end_run(d, run, &ending);
    if (failed && failed->kind == UDM_E_LOST) {
        udm_log(LIMIT(d->worker), UDM_LOG_INFO,
                "UDM0228: run %" APR_INT64_T_FMT
                ": attempt %d failed when it was not ours any more: %s",
                run->id, run->attempt, udm_error_line(d->run_pool, error));
        return;
    }
    if (ending.kind == END_RELEASE) {
        udm_log(LIMIT(d->worker), UDM_LOG_WARN,
                "UDM0213: run %" APR_INT64_T_FMT ": attempt %d failed, next in %d s: %s", run->id,
                run->attempt, ending.delay, udm_error_line(d->run_pool, error));
    }
    else {
        udm_log(LIMIT(d->worker), UDM_LOG_WARN, "UDM0214: run %" APR_INT64_T_FMT " failed: %s",
                run->id, udm_error_line(d->run_pool, error));
    }
    if (failed) {
        udm_log(LIMIT(d->worker), UDM_LOG_ERROR,
                "UDM0215: run %" APR_INT64_T_FMT " stays as it is until its lease runs out: %s",
                run->id, udm_error_line(d->run_pool, failed));
    }
}

/* After an export that went well. */
static void settle_success(desk_t *d, const udm_run_t *run, const apr_array_header_t *parts,
                           apr_int64_t rows)
{
    ending_t ending = {.kind = END_COMPLETE, .parts = parts, .rows = rows};
    udm_error_t *error = end_run(d, run, &ending);

    if (!error) {
        udm_log(LIMIT(d->worker), UDM_LOG_INFO,
                "UDM0216: run %" APR_INT64_T_FMT " completed: %s in %s", run->id,
                udm_text_count(d->run_pool, rows, "row"),
                udm_text_count(d->run_pool, parts->nelts, "file"));
        return;
    }
    if (error->kind == UDM_E_DATABASE) {
        /* Whether it was completed is not known: files that may be listed must stay. */
        udm_log(LIMIT(d->worker), UDM_LOG_ERROR,
                "UDM0217: run %" APR_INT64_T_FMT
                " is exported, but the database did not say that it is completed: %s",
                run->id, udm_error_line(d->run_pool, error));
        return;
    }
    remove_output_or_log(d, run);
    if (error->kind == UDM_E_LOST) {
        udm_log(LIMIT(d->worker), UDM_LOG_INFO,
                "UDM0218: run %" APR_INT64_T_FMT
                " was exported, but is not ours any more; its files are removed",
                run->id);
        return;
    }
    try_later(d, run, error);
}

/* After an export that was stopped on purpose. */
static void settle_stopped(desk_t *d, const udm_run_t *run, udm_verdict verdict)
{
    ending_t ending = {.kind = END_RELEASE};
    udm_error_t *error;

    udm_log(LIMIT(d->worker), UDM_LOG_INFO, "UDM0219: run %" APR_INT64_T_FMT " stopped: %s",
            run->id,
            verdict == UDM_VERDICT_UNWANTED ? "cancelled or suspended"
            : verdict == UDM_VERDICT_LOST   ? "its lease is lost"
                                            : "handed back");
    if (verdict == UDM_VERDICT_LOST) {
        return;
    }
    /* A cancelled run is not ours to change, which the fence says. */
    error = end_run(d, run, &ending);
    if (error && error->kind != UDM_E_LOST) {
        udm_log(LIMIT(d->worker), UDM_LOG_ERROR,
                "UDM0220: run %" APR_INT64_T_FMT " stays as it is until its lease runs out: %s",
                run->id, udm_error_line(d->run_pool, error));
    }
}

/* While a moving window settles, the run goes back to the queue; that is no attempt. */
static void settle_later(desk_t *d, const udm_run_t *run)
{
    ending_t ending = {.kind = END_RELEASE, .delay = SETTLE_DELAY};
    udm_error_t *error;

    udm_log(LIMIT(d->worker), UDM_LOG_DEBUG,
            "UDM0224: run %" APR_INT64_T_FMT " waits for older transactions in its source",
            run->id);
    error = end_run(d, run, &ending);
    if (error && error->kind != UDM_E_LOST) {
        udm_log(LIMIT(d->worker), UDM_LOG_ERROR,
                "UDM0225: run %" APR_INT64_T_FMT " stays as it is until its lease runs out: %s",
                run->id, udm_error_line(d->run_pool, error));
    }
}

/* The type of the run is not registered any more: the job waits for its owner, and says so. */
static void settle_gone(desk_t *d, const udm_run_t *run, const udm_error_t *gone)
{
    ending_t ending = {.kind = END_HOLD};
    udm_error_t *error = end_run(d, run, &ending);

    if (!error) {
        udm_log(LIMIT(d->worker), UDM_LOG_WARN, "UDM0520: run %" APR_INT64_T_FMT " is held: %s",
                run->id, udm_error_line(d->run_pool, gone));
    }
    else if (error->kind != UDM_E_LOST) {
        udm_log(LIMIT(d->worker), UDM_LOG_ERROR,
                "UDM0521: run %" APR_INT64_T_FMT " stays as it is until its lease runs out: %s",
                run->id, udm_error_line(d->run_pool, error));
    }
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
    if (worker->phase == UDM_PHASE_HAND_BACK) {
        udm_slot_stop(slot, UDM_VERDICT_HAND_BACK);
    }
    apr_thread_mutex_unlock(worker->lock);
}

static void run_one(desk_t *d, udm_run_t *run, apr_int64_t claimed)
{
    udm_slot_t *slot = d->slot;
    apr_array_header_t *parts = NULL;
    apr_int64_t rows = 0;
    udm_verdict verdict;
    udm_error_t *error;
    bool later = false;

    begin_run(slot, run, claimed);
    udm_log(LIMIT(d->worker), UDM_LOG_INFO,
            "UDM0221: run %" APR_INT64_T_FMT " of job %" APR_INT64_T_FMT
            " (%s/%s) begins, attempt %d",
            run->id, run->job_id, run->source, run->type, run->attempt);
    error = export(&parts, &rows, &later, d, run);
    apr_thread_mutex_lock(d->worker->lock);
    verdict = slot->verdict;
    apr_thread_mutex_unlock(d->worker->lock);
    if (!error) {
        settle_success(d, run, parts, rows);
    }
    else if (verdict != UDM_VERDICT_NONE) {
        settle_stopped(d, run, verdict);
    }
    else if (later) {
        settle_later(d, run);
    }
    else if (error->kind == UDM_E_GONE) {
        settle_gone(d, run, error);
    }
    else {
        try_later(d, run, error);
    }
    apr_thread_mutex_lock(d->worker->lock);
    slot->run = NULL;
    apr_thread_mutex_unlock(d->worker->lock);
}

/* ---- the thread ---- */

/* Runs everything that can be claimed. @return an error when the database or the store is away */
static udm_error_t *work(desk_t *d)
{
    apr_int64_t claimed;
    udm_error_t *error;
    udm_run_t *run;

    for (;;) {
        apr_pool_clear(d->run_pool);
        if (!udm_worker_goes_on(d->worker)) {
            return NULL;
        }
        error = connected(d);
        if (!error) {
            error = udm_storage_open(&d->store, d->run_pool, d->worker, d->db, UDM_STORAGE_BEGIN);
        }
        claimed = udm_clock_ms();
        if (!error) {
            error = udm_queue_claim(&run, d->run_pool, d->db, d->slot->id,
                                    d->worker->settings->attempts);
        }
        if (error) {
            return error;
        }
        udm_worker_database_up(d->worker);
        udm_storage_up(d->worker);
        if (!run) {
            /* An idle slot does not keep anybody from unmounting the store. */
            apr_pool_clear(d->run_pool);
            return NULL;
        }
        run_one(d, run, claimed);
    }
}

static void make_desk(desk_t *d, udm_slot_t *slot, apr_allocator_t *allocator)
{
    memset(d, 0, sizeof(*d));
    d->slot = slot;
    d->worker = slot->worker;
    apr_allocator_max_free_set(allocator, POOL_KEEPS);
    apr_pool_create_unmanaged_ex(&d->pool, NULL, allocator);
    apr_allocator_owner_set(allocator, d->pool);
    apr_pool_create(&d->db_pool, d->pool);
    apr_pool_create(&d->run_pool, d->pool);
    d->hold = udm_source_hold_make(d->pool);
}

static void *APR_THREAD_FUNC slot_main(apr_thread_t *thread, void *data)
{
    udm_slot_t *slot = data;
    udm_worker_t *worker = slot->worker;
    apr_allocator_t *allocator;
    udm_error_t *error;
    unsigned seen = 0;
    int backoff = 0;
    int pause;
    desk_t d;

    apr_allocator_create(&allocator);
    make_desk(&d, slot, allocator);
    do {
        error = work(&d);
        pause = udm_source_hold_expire(d.hold) ? UDM_SOURCE_HOLD_MS : UDM_POLL_SECONDS * 1000;
        if (!error) {
            backoff = 0;
        }
        else if (error->kind == UDM_E_STORE) {
            udm_storage_down(worker, d.run_pool, error);
            apr_pool_clear(d.run_pool);
            pause = udm_worker_backoff(&backoff);
        }
        else {
            udm_worker_database_down(worker, d.run_pool, error);
            d.db = NULL;
            apr_pool_clear(d.db_pool);
            pause = udm_worker_backoff(&backoff);
        }
    } while (udm_worker_wait(worker, &worker->wakes, &seen, pause));
    apr_pool_destroy(d.pool);
    udm_worker_thread_ends(worker);
    return NULL;
}

udm_error_t *udm_slot_start(udm_slot_t **slot, apr_pool_t *p, udm_worker_t *worker, int number)
{
    udm_slot_t *s = apr_pcalloc(p, sizeof(*s));
    udm_error_t *error;

    *slot = NULL;
    s->worker = worker;
    s->id = apr_psprintf(p, "%s/%d", worker->name, number);
    atomic_init(&s->watch.percent, 0);
    atomic_init(&s->watch.rows, 0);
    error = udm_stop_make(&s->watch.stop, p);
    if (!error) {
        error = udm_worker_thread(&s->thread, p, worker, slot_main, s);
    }
    if (!error) {
        *slot = s;
    }
    return error;
}
