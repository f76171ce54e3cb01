/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt.c: exports a run, and decides and writes what becomes of it then.
 *
 * The leases are renewed meanwhile by another thread; whatever is written at the end is fenced.
 */
#include "worker/attempt.h"

#include <string.h>

#include <apr_strings.h>

#include "core/artifact.h"
#include "core/calendar.h"
#include "core/clock.h"
#include "core/text.h"
#include "db/catalog.h"
#include "worker/storage.h"

/* While handing back: how long the database may stay away before the lease is left to run out, and how
 * long it is waited for an answer. */
#define HAND_BACK_PATIENCE 2500
#define HAND_BACK_ANSWER   2000
#define HELD_PAUSE         apr_time_from_msec(200)
#define SETTLE_LOOKS       5 /* before a run goes back to the queue ... */
#define SETTLE_PAUSE       apr_time_from_msec(100)
#define SETTLE_DELAY       2 /* ... for so many seconds */

#define LIMIT(worker) ((worker)->settings->log_level)

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

static udm_error_t *write_ending(udm_slot_t *slot, apr_pool_t *p, const udm_run_t *run,
                                 const ending_t *ending)
{
    switch (ending->kind) {
    case END_COMPLETE:
        return udm_queue_complete(p, slot->db, run, ending->parts, ending->rows,
                                  slot->worker->settings->retention_days);
    case END_FAIL:
        return udm_queue_fail(p, slot->db, run, ending->reason);
    case END_HOLD:
        return udm_queue_hold(p, slot->db, run);
    case END_RELEASE:
        break;
    }
    return udm_queue_release(p, slot->db, run, ending->delay, ending->counts, ending->reason);
}

/*
 * For what is written at the end the stop is over: it ended the export. A server that does not answer
 * while this worker ends leaves time for one more try.
 */
static udm_error_t *connect_to_end(udm_slot_t *slot)
{
    udm_worker_t *worker = slot->worker;
    udm_error_t *error = NULL;

    if (!udm_worker_usable(slot->db)) {
        slot->db = NULL;
        apr_pool_clear(slot->db_pool);
        error = udm_worker_connect(&slot->db, slot->db_pool, worker, UDM_DUTY_SLOT, NULL);
    }
    if (!error) {
        slot->db->stop = NULL;
        slot->db->patience =
            udm_worker_phase(worker) >= UDM_PHASE_HAND_BACK ? HAND_BACK_ANSWER : UDM_PG_PATIENCE;
    }
    return error;
}

/* Waits, but not past a change of phase. @return whether to go on trying */
static bool wait_to_retry(udm_slot_t *slot, end_kind kind, apr_int64_t since, int *backoff)
{
    udm_worker_t *worker = slot->worker;
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
static udm_error_t *end_run(udm_slot_t *slot, const udm_run_t *run, const ending_t *ending)
{
    apr_int64_t since = udm_clock_ms();
    bool unsure = false;
    udm_error_t *error;
    int backoff = 0;
    apr_pool_t *p;

    apr_pool_create(&p, slot->run_pool);
    for (;;) {
        apr_pool_clear(p);
        error = connect_to_end(slot);
        if (!error) {
            error = write_ending(slot, p, run, ending);
        }
        if (!error || error->kind != UDM_E_DATABASE) {
            break;
        }
        unsure = true;
        udm_worker_database_down(slot->worker, p, error);
        if (!wait_to_retry(slot, ending->kind, since, &backoff)) {
            break;
        }
    }
    if (!error || error->kind == UDM_E_LOST) {
        udm_worker_database_up(slot->worker);
    }
    else if (unsure) {
        /* Not even a refusal says what became of the tries before it. */
        error->kind = UDM_E_DATABASE;
    }
    return error ? udm_error_copy(slot->run_pool, error) : NULL;
}

/* ---- a run ---- */

/* Removes what an attempt may have left in the store. */
static udm_error_t *remove_output(udm_slot_t *slot, const char *export_id)
{
    return slot->store->remove_export(slot->store, slot->run_pool, export_id);
}

static void remove_output_or_log(udm_slot_t *slot, const udm_run_t *run)
{
    udm_error_t *error = remove_output(slot, run->export_id);

    if (error) {
        udm_log(LIMIT(slot->worker), UDM_LOG_ERROR,
                "UDM0212: run %" APR_INT64_T_FMT ": " UDM_ARTIFACT_PREFIX
                "%s.* cannot be removed: %s",
                run->id, run->export_id, udm_error_line(slot->run_pool, error));
    }
}

/* When the wait for older writers is over, a moving window ends where the oldest one began. */
static udm_error_t *cut_window(udm_slot_t *slot, udm_run_t *run, const udm_data_type_t *type)
{
    apr_time_t end, began;
    udm_error_t *error = udm_source_oldest_writer(
        &began, slot->run_pool, slot->worker->settings->source_dir, type, &slot->watch.stop);

    if (error) {
        return error;
    }
    end = began != UDM_NO_TIME && began < run->window_to ? began : run->window_to;
    if (run->window_from != UDM_NO_TIME && end < run->window_from) {
        end = run->window_from;
    }
    if (end < run->window_to) {
        udm_log(LIMIT(slot->worker), UDM_LOG_WARN,
                "UDM0223: run %" APR_INT64_T_FMT
                ": its window ends at %s, for an older transaction is still open in source \"%s\"",
                run->id, udm_calendar_text(slot->run_pool, end), type->source);
    }
    return udm_queue_settle(slot->run_pool, slot->db, run, run->settle_barrier, end);
}

/*
 * Looks whether a moving window can be read. A moment is waited for here, longer in the queue, so
 * that no slot stands still for somebody's long transaction: `unsettled` says so.
 */
static udm_error_t *settle_window(bool *unsettled, udm_slot_t *slot, udm_run_t *run,
                                  const udm_data_type_t *type)
{
    const udm_settings_t *settings = slot->worker->settings;
    const udm_stop_t *stop = &slot->watch.stop;
    const char *barrier = run->settle_barrier;
    bool settled = false;
    udm_error_t *error;
    int i;

    *unsettled = false;
    for (i = 0; i < SETTLE_LOOKS && !udm_stop_raised(stop); i++) {
        if (i > 0) {
            apr_sleep(SETTLE_PAUSE);
        }
        error =
            udm_source_settle(&settled, &barrier, slot->run_pool, settings->source_dir, type, stop);
        if (!error && !run->settle_barrier) {
            error = udm_queue_settle(slot->run_pool, slot->db, run, barrier, run->window_to);
        }
        if (error || settled) {
            return error;
        }
    }
    /* Who is stopped before the first look has nothing to cut. */
    if (run->settle_barrier && !udm_stop_raised(stop) &&
        run->now - run->settle_since >= apr_time_from_sec(settings->settle_limit)) {
        return cut_window(slot, run, type);
    }
    *unsettled = true;
    return udm_error_make(slot->run_pool, UDM_E_STOPPED,
                          "older transactions are open in the source");
}

/*
 * Makes the claim last (udm_queue_claim), and hears of a cancel that came meanwhile. Whoever holds the
 * lease is waited for, as long as the run is wanted.
 */
static udm_error_t *confirm_claim(udm_slot_t *slot, const udm_run_t *run)
{
    apr_array_header_t *leases = apr_array_make(slot->run_pool, 1, sizeof(udm_lease_t));
    udm_lease_t *lease = apr_array_push(leases);
    udm_worker_t *worker = slot->worker;
    udm_error_t *error;
    apr_pool_t *p;

    lease->run_id = run->id;
    lease->export_id = run->export_id;
    lease->percent = 0;
    lease->rows = 0;
    apr_pool_create(&p, slot->run_pool);
    for (;;) {
        apr_pool_clear(p);
        error = udm_queue_renew(leases, p, slot->db);
        if (error || lease->state != UDM_LEASE_HELD || udm_stop_raised(&slot->watch.stop)) {
            break;
        }
        apr_sleep(HELD_PAUSE);
    }
    if (error) {
        return udm_error_copy(slot->run_pool, error);
    }
    if (lease->state != UDM_LEASE_RENEWED) {
        apr_thread_mutex_lock(worker->lock);
        udm_slot_stop(slot,
                      lease->state == UDM_LEASE_LOST ? UDM_VERDICT_LOST : UDM_VERDICT_UNWANTED);
        apr_thread_mutex_unlock(worker->lock);
        error = udm_error_make(slot->run_pool, UDM_E_STOPPED, "the export was stopped");
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

static udm_error_t *export(apr_array_header_t **parts, apr_int64_t *rows, bool *unsettled,
                           udm_slot_t *slot, udm_run_t *run)
{
    const udm_settings_t *settings = slot->worker->settings;
    udm_export_settings_t export_settings = {0};
    udm_data_type_t *type;
    udm_error_t *error = NULL;

    if (run->previous_export_id) {
        error = remove_output(slot, run->previous_export_id);
    }
    if (error) {
        return error;
    }
    if (run->exhausted) {
        return udm_error_make(slot->run_pool, UDM_E_INVALID, "the export was interrupted %s",
                              udm_text_count(slot->run_pool, run->attempt - 1, "time"));
    }
    /* What stops the export also ends what is waited for until it begins. */
    slot->db->stop = &slot->watch.stop;
    error = confirm_claim(slot, run);
    if (!error) {
        error = udm_catalog_type(&type, slot->run_pool, slot->db, run->source, run->type);
    }
    if ((error && error->kind == UDM_E_NOT_FOUND) || (!error && !is_type_of(type, run))) {
        return udm_error_make(slot->run_pool, UDM_E_GONE,
                              "type \"%s\" of source \"%s\" is not registered any more", run->type,
                              run->source);
    }
    if (!error && run->export_attachments && type->attachments_removed) {
        error = udm_error_make(slot->run_pool, UDM_E_INVALID,
                               "attachments, which this job asks for, are not registered any more");
    }
    if (error) {
        return error;
    }
    if (run->moves_watermark) {
        error = settle_window(unsettled, slot, run, type);
        if (error) {
            return error;
        }
    }
    export_settings.source_dir = settings->source_dir;
    export_settings.spool_dir = settings->spool_dir;
    export_settings.max_part_size = settings->max_part_size;
    export_settings.max_parts = settings->max_parts;
    export_settings.max_row = settings->max_row;
    export_settings.hold = slot->hold;
    export_settings.tried = &slot->tried;
    return udm_export_run(parts, rows, slot->run_pool, &export_settings, type, run, slot->store,
                          &slot->watch);
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
static void end_failure(udm_slot_t *slot, const udm_run_t *run, const udm_error_t *error)
{
    const udm_settings_t *settings = slot->worker->settings;
    ending_t ending = {.kind = END_FAIL, .reason = udm_error_told(slot->run_pool, error)};
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
    failed = end_run(slot, run, &ending);
    if (failed && failed->kind == UDM_E_LOST) {
        udm_log(LIMIT(slot->worker), UDM_LOG_INFO,
                "UDM0228: run %" APR_INT64_T_FMT
                ": attempt %d failed when it was not ours any more: %s",
                run->id, run->attempt, udm_error_line(slot->run_pool, error));
        return;
    }
    if (ending.kind == END_RELEASE) {
        udm_log(LIMIT(slot->worker), UDM_LOG_WARN,
                "UDM0213: run %" APR_INT64_T_FMT ": attempt %d failed, next in %d s: %s", run->id,
                run->attempt, ending.delay, udm_error_line(slot->run_pool, error));
    }
    else {
        udm_log(LIMIT(slot->worker), UDM_LOG_WARN, "UDM0214: run %" APR_INT64_T_FMT " failed: %s",
                run->id, udm_error_line(slot->run_pool, error));
    }
    if (failed) {
        udm_log(LIMIT(slot->worker), UDM_LOG_ERROR,
                "UDM0215: run %" APR_INT64_T_FMT " stays as it is until its lease runs out: %s",
                run->id, udm_error_line(slot->run_pool, failed));
    }
}

/* After an export that went well. */
static void end_success(udm_slot_t *slot, const udm_run_t *run, const apr_array_header_t *parts,
                        apr_int64_t rows)
{
    ending_t ending = {.kind = END_COMPLETE, .parts = parts, .rows = rows};
    udm_error_t *error = end_run(slot, run, &ending);

    if (!error) {
        udm_log(LIMIT(slot->worker), UDM_LOG_INFO,
                "UDM0216: run %" APR_INT64_T_FMT " completed: %s in %s", run->id,
                udm_text_count(slot->run_pool, rows, "row"),
                udm_text_count(slot->run_pool, parts->nelts, "file"));
        return;
    }
    if (error->kind == UDM_E_DATABASE) {
        /* Whether it was completed is not known: files that may be listed must stay. */
        udm_log(LIMIT(slot->worker), UDM_LOG_ERROR,
                "UDM0217: run %" APR_INT64_T_FMT
                " is exported, but the database did not say that it is completed: %s",
                run->id, udm_error_line(slot->run_pool, error));
        return;
    }
    remove_output_or_log(slot, run);
    if (error->kind == UDM_E_LOST) {
        udm_log(LIMIT(slot->worker), UDM_LOG_INFO,
                "UDM0218: run %" APR_INT64_T_FMT
                " was exported, but is not ours any more; its files are removed",
                run->id);
        return;
    }
    end_failure(slot, run, error);
}

/* After an export that was stopped on purpose. */
static void end_stopped(udm_slot_t *slot, const udm_run_t *run, udm_verdict verdict)
{
    ending_t ending = {.kind = END_RELEASE};
    udm_error_t *error;

    udm_log(LIMIT(slot->worker), UDM_LOG_INFO, "UDM0219: run %" APR_INT64_T_FMT " stopped: %s",
            run->id,
            verdict == UDM_VERDICT_UNWANTED ? "cancelled or suspended"
            : verdict == UDM_VERDICT_LOST   ? "its lease is lost"
                                            : "handed back");
    if (verdict == UDM_VERDICT_LOST) {
        return;
    }
    /* A cancelled run is not ours to change, which the fence says. */
    error = end_run(slot, run, &ending);
    if (error && error->kind != UDM_E_LOST) {
        udm_log(LIMIT(slot->worker), UDM_LOG_ERROR,
                "UDM0220: run %" APR_INT64_T_FMT " stays as it is until its lease runs out: %s",
                run->id, udm_error_line(slot->run_pool, error));
    }
}

/* While a moving window settles, the run goes back to the queue; that is no attempt. */
static void end_unsettled(udm_slot_t *slot, const udm_run_t *run)
{
    ending_t ending = {.kind = END_RELEASE, .delay = SETTLE_DELAY};
    udm_error_t *error;

    udm_log(LIMIT(slot->worker), UDM_LOG_DEBUG,
            "UDM0224: run %" APR_INT64_T_FMT " waits for older transactions in its source",
            run->id);
    error = end_run(slot, run, &ending);
    if (error && error->kind != UDM_E_LOST) {
        udm_log(LIMIT(slot->worker), UDM_LOG_ERROR,
                "UDM0225: run %" APR_INT64_T_FMT " stays as it is until its lease runs out: %s",
                run->id, udm_error_line(slot->run_pool, error));
    }
}

/* The type of the run is not registered any more: the job waits for its owner, and says so. */
static void end_gone(udm_slot_t *slot, const udm_run_t *run, const udm_error_t *gone)
{
    ending_t ending = {.kind = END_HOLD};
    udm_error_t *error = end_run(slot, run, &ending);

    if (!error) {
        udm_log(LIMIT(slot->worker), UDM_LOG_WARN, "UDM0520: run %" APR_INT64_T_FMT " is held: %s",
                run->id, udm_error_line(slot->run_pool, gone));
    }
    else if (error->kind != UDM_E_LOST) {
        udm_log(LIMIT(slot->worker), UDM_LOG_ERROR,
                "UDM0521: run %" APR_INT64_T_FMT " stays as it is until its lease runs out: %s",
                run->id, udm_error_line(slot->run_pool, error));
    }
}

void udm_attempt_run(udm_slot_t *slot, udm_run_t *run)
{
    apr_array_header_t *parts = NULL;
    apr_int64_t rows = 0;
    udm_verdict verdict;
    udm_error_t *error;
    bool unsettled = false;

    udm_log(LIMIT(slot->worker), UDM_LOG_INFO,
            "UDM0221: run %" APR_INT64_T_FMT " of job %" APR_INT64_T_FMT
            " (%s/%s) begins, attempt %d",
            run->id, run->job_id, run->source, run->type, run->attempt);
    error = export(&parts, &rows, &unsettled, slot, run);
    apr_thread_mutex_lock(slot->worker->lock);
    verdict = slot->verdict;
    apr_thread_mutex_unlock(slot->worker->lock);
    if (!error) {
        end_success(slot, run, parts, rows);
    }
    else if (verdict != UDM_VERDICT_NONE) {
        end_stopped(slot, run, verdict);
    }
    else if (unsettled) {
        end_unsettled(slot, run);
    }
    else if (error->kind == UDM_E_GONE) {
        end_gone(slot, run, error);
    }
    else {
        end_failure(slot, run, error);
    }
}
