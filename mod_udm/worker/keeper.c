/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.c: keeps the leases of what the slots run, makes the runs of due jobs, and passes on hints.
 *
 * It never waits for a slot, and no slot waits for it. All it knows of the outside comes through
 * one poll(2): the database's socket, signals, stdin of a supervised worker, and the slots' bell.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "worker/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <apr_strings.h>

#include "core/calendar.h"
#include "core/clock.h"
#include "core/text.h"
#include "db/installation.h"
#include "export/spool.h"
#include "worker/purge.h"
#include "worker/storage.h"

#define RENEW_MS      3000
#define POLL_MS       (UDM_POLL_SECONDS * 1000)
#define BEAT_MS       (UDM_HEARTBEAT_SECONDS * 1000)
#define LEASE_MS      (UDM_LEASE_SECONDS * 1000)
#define HINT_GAP_MS   200 /* a burst of notifications is answered this often */
#define REST_MS       25 /* after the slots: for due jobs and files, which can wait for a run to begin */
#define RENEW_GAP_MS  500   /* and makes the leases be looked at this often: for a cancel */
#define HAND_BACK_MS  20000 /* then the process ends, whatever its slots do */
#define CLOCK_MS      1000  /* more than a clock that is kept right moves at once */
#define CONTROL_LINES 256

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

typedef struct keeper_t {
    udm_worker_t *worker;
    apr_pool_t *pool;
    apr_pool_t *db_pool; /* as long as a connection */
    apr_pool_t *turn;    /* as long as a turn of the loop */
    udm_pg_t *db;        /* NULL: not connected */
    int signals;
    int bell;    /* read end */
    int control; /* stdin, or -1 */
    char line[CONTROL_LINES];
    size_t line_size;
    int backoff;
    apr_int64_t connect_at;
    apr_int64_t renew_at;
    apr_int64_t schedule_at;
    apr_int64_t beat_at;
    const char *beaten;   /* the state that was noted last; NULL: none */
    apr_int64_t purge_at; /* when to wake the purger; 0: at no time known */
    apr_int64_t next_at;  /* when a job is due or a run ready; 0: not known */
    apr_int64_t clock;    /* the host's clock less the one that is never set */
    apr_int64_t renewed;  /* when that was last done */
    apr_int64_t hinted;   /* when the last hint was acted on */
    apr_int64_t end_by;   /* 0 unless handing back */
    bool hint;
    int failed; /* cannot go on: the status to exit with, else 0 */
} keeper_t;

#define LIMIT(k) ((k)->worker->settings->log_level)

static apr_int64_t earlier(apr_int64_t a, apr_int64_t b)
{
    return a < b ? a : b;
}

/* Another try does not help while the programs and the schema do not fit: an admin has to act. */
static void database_lost(keeper_t *k, const udm_error_t *error)
{
    if (udm_installation_wrong_schema(error)) {
        udm_log(LIMIT(k), UDM_LOG_ERROR, "UDM0400: the worker does not run: %s", error->detail);
        k->failed = UDM_EXIT_SCHEMA;
    }
    else {
        udm_worker_database_down(k->worker, k->turn, error);
    }
    k->db = NULL;
    apr_pool_clear(k->db_pool);
    k->connect_at = udm_clock_ms() + udm_worker_backoff(&k->backoff);
}

static void wake(keeper_t *k, unsigned *count)
{
    apr_thread_mutex_lock(k->worker->lock);
    (*count)++;
    apr_thread_cond_broadcast(k->worker->wake);
    apr_thread_mutex_unlock(k->worker->lock);
}

static void wake_slots(keeper_t *k)
{
    wake(k, &k->worker->wakes);
}

static void wake_purger(keeper_t *k)
{
    k->purge_at = 0;
    wake(k, &k->worker->purges);
}

static udm_phase phase_of(keeper_t *k)
{
    udm_phase phase;

    apr_thread_mutex_lock(k->worker->lock);
    phase = k->worker->phase;
    apr_thread_mutex_unlock(k->worker->lock);
    return phase;
}

/* ---- the end ---- */

static void hand_back(keeper_t *k, const char *why)
{
    udm_worker_t *worker = k->worker;
    int i;

    if (k->end_by) {
        return;
    }
    k->end_by = udm_clock_ms() + HAND_BACK_MS;
    udm_log(LIMIT(k), UDM_LOG_INFO, "UDM0230: %s: handing back what runs", why);
    apr_thread_mutex_lock(worker->lock);
    worker->phase = UDM_PHASE_HAND_BACK;
    for (i = 0; i < worker->slot_count; i++) {
        udm_slot_stop(worker->slots[i], UDM_VERDICT_HAND_BACK);
    }
    apr_thread_cond_broadcast(worker->wake);
    apr_thread_mutex_unlock(worker->lock);
}

static void drain(keeper_t *k)
{
    udm_worker_t *worker = k->worker;

    if (k->end_by) {
        return;
    }
    udm_log(LIMIT(k), UDM_LOG_INFO, "UDM0231: the supervisor is gone: finishing what runs");
    apr_thread_mutex_lock(worker->lock);
    if (worker->phase == UDM_PHASE_WORK) {
        worker->phase = UDM_PHASE_DRAIN;
    }
    apr_thread_cond_broadcast(worker->wake);
    apr_thread_mutex_unlock(worker->lock);
}

/* What the supervisor says. */
static void read_control(keeper_t *k)
{
    char text[CONTROL_LINES];
    ssize_t got = read(k->control, text, sizeof(text));
    ssize_t i;

    if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    if (got <= 0) {
        k->control = -1;
        drain(k);
        return;
    }
    for (i = 0; i < got; i++) {
        if (text[i] != '\n') {
            if (k->line_size < sizeof(k->line) - 1) {
                k->line[k->line_size++] = text[i];
            }
            continue;
        }
        k->line[k->line_size] = '\0';
        k->line_size = 0;
        if (strcmp(k->line, "stop") == 0) {
            hand_back(k, "the supervisor says stop");
        }
        else if (*k->line) {
            udm_log(LIMIT(k), UDM_LOG_WARN, "UDM0232: stdin: \"%s\" is not understood; stop is",
                    k->line);
        }
    }
}

static void read_signal(keeper_t *k)
{
    struct signalfd_siginfo info;

    if (read(k->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        hand_back(k, info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
    }
}

/* ---- the database ---- */

/* Notes that this worker is there, and what it does; with `ended` that it is not there any more. */
static void beat(keeper_t *k, bool ended)
{
    udm_worker_t *worker = k->worker;
    udm_heartbeat_t heartbeat = {.id = worker->name,
                                 .host = worker->host,
                                 .pid = (int)getpid(),
                                 .version = PACKAGE_VERSION,
                                 .slots = worker->slot_count};
    apr_int64_t now = udm_clock_ms();
    udm_error_t *error;

    apr_thread_mutex_lock(worker->lock);
    heartbeat.state = ended                             ? "ended"
                      : worker->phase != UDM_PHASE_WORK ? "ending"
                      : worker->store_away              ? "no-store"
                                                        : "ready";
    apr_thread_mutex_unlock(worker->lock);
    if (now < k->beat_at && k->beaten && strcmp(k->beaten, heartbeat.state) == 0) {
        return;
    }
    error = udm_heartbeat_write(k->turn, k->db, &heartbeat);
    if (error) {
        database_lost(k, error);
        return;
    }
    k->beaten = heartbeat.state;
    k->beat_at = now + BEAT_MS;
}

/* The first time: the store is checked, and the slots are started. */
static udm_error_t *start_slots(keeper_t *k)
{
    udm_worker_t *worker = k->worker;
    udm_store_t *store;
    udm_error_t *error;
    int i;

    error = udm_storage_open(&store, k->turn, worker, k->db, UDM_STORAGE_BEGIN);
    if (error && error->kind != UDM_E_STORE) {
        return error;
    }
    if (!error) {
        error = udm_spool_try(k->turn, worker->settings->spool_dir);
    }
    worker->slots = apr_pcalloc(k->pool, sizeof(*worker->slots) * (size_t)worker->settings->slots);
    for (i = 0; !error && i < worker->settings->slots; i++) {
        error = udm_slot_start(&worker->slots[i], k->pool, worker, i + 1);
        worker->slot_count = error ? i : i + 1;
    }
    if (!error) {
        error = udm_purge_start(&worker->purger, k->pool, worker);
    }
    if (error) {
        udm_log(LIMIT(k), UDM_LOG_ERROR, "UDM0233: the worker cannot start: %s",
                udm_error_line(k->turn, error));
        k->failed = 1;
        return NULL;
    }
    udm_log(LIMIT(k), UDM_LOG_INFO, "UDM0234: ready: %s, as %s",
            udm_text_count(k->turn, worker->slot_count, "slot"), worker->name);
    return NULL;
}

static void connect_database(keeper_t *k)
{
    udm_error_t *error;

    apr_pool_clear(k->db_pool);
    error = udm_worker_connect(&k->db, k->db_pool, k->worker);
    if (!error) {
        error = udm_installation_listen(k->turn, k->db);
    }
    if (!error && k->worker->slot_count == 0) {
        error = start_slots(k);
    }
    if (error) {
        database_lost(k, error);
        return;
    }
    /* Whatever was notified meanwhile was not heard. */
    k->hint = true;
    k->schedule_at = udm_clock_ms();
}

/* ---- leases ---- */

/* What the database says about one slot's run. Touches the slot only while it still has that run. */
static udm_error_t *renew_slot(keeper_t *k, udm_slot_t *slot)
{
    udm_worker_t *worker = k->worker;
    apr_int64_t sent = udm_clock_ms();
    udm_verdict verdict = UDM_VERDICT_NONE;
    udm_run_t run = {0};
    udm_error_t *error;
    bool wanted;

    apr_thread_mutex_lock(worker->lock);
    if (slot->run) {
        run.id = slot->run->id;
        run.attempt = slot->run->attempt;
        run.worker_id = slot->id;
        run.export_id = apr_pstrdup(k->turn, slot->run->export_id);
    }
    apr_thread_mutex_unlock(worker->lock);
    if (!run.export_id) {
        return NULL;
    }
    error = udm_queue_renew(&wanted, k->turn, k->db, &run, atomic_load(&slot->watch.percent),
                            atomic_load(&slot->watch.rows));
    if (error && error->kind == UDM_E_LOST) {
        verdict = UDM_VERDICT_LOST;
        error = NULL;
    }
    else if (!error && !wanted) {
        verdict = UDM_VERDICT_UNWANTED;
    }
    if (error) {
        return error;
    }
    apr_thread_mutex_lock(worker->lock);
    if (slot->run && strcmp(slot->run->export_id, run.export_id) == 0) {
        if (verdict != UDM_VERDICT_NONE) {
            udm_slot_stop(slot, verdict);
        }
        slot->renewed = sent;
    }
    apr_thread_mutex_unlock(worker->lock);
    return NULL;
}

static void renew_all(keeper_t *k)
{
    udm_error_t *error = NULL;
    int i;

    for (i = 0; !error && i < k->worker->slot_count; i++) {
        error = renew_slot(k, k->worker->slots[i]);
    }
    if (error) {
        database_lost(k, error);
    }
    k->renewed = udm_clock_ms();
    k->renew_at = k->renewed + RENEW_MS;
}

/* A lease that could not be renewed in time may be somebody else's by now. */
static void stop_stale(keeper_t *k)
{
    udm_worker_t *worker = k->worker;
    apr_int64_t now = udm_clock_ms();
    int i;

    apr_thread_mutex_lock(worker->lock);
    for (i = 0; i < worker->slot_count; i++) {
        udm_slot_t *slot = worker->slots[i];

        if (slot->run && slot->verdict == UDM_VERDICT_NONE && now - slot->renewed > LEASE_MS) {
            udm_log(LIMIT(k), UDM_LOG_WARN,
                    "UDM0235: run %" APR_INT64_T_FMT
                    " is stopped: its lease could not be renewed in time",
                    slot->run->id);
            udm_slot_stop(slot, UDM_VERDICT_LOST);
        }
    }
    apr_thread_mutex_unlock(worker->lock);
}

/* ---- due jobs ---- */

static void schedule(keeper_t *k)
{
    bool reached = k->next_at != 0 && udm_clock_ms() >= k->next_at;
    udm_error_t *error, *wrong;
    apr_int64_t now;
    apr_time_t next;
    int made;

    error = udm_installation_check(k->turn, k->db);
    if (!error) {
        error = udm_queue_schedule(&made, &next, k->turn, k->db);
    }
    if (error) {
        if (udm_pg_undefined(error)) {
            wrong = udm_installation_check(k->turn, k->db);
            error = wrong ? wrong : error;
        }
        database_lost(k, error);
        return;
    }
    /* Not when it connects: a server that answers but cannot do this is not back. */
    udm_worker_database_up(k->worker);
    k->backoff = 0;
    if (made > 0) {
        udm_log(LIMIT(k), UDM_LOG_INFO, "UDM0236: queued what was due: %s",
                udm_text_count(k->turn, made, "job"));
    }
    if (made > 0 || reached) {
        wake_slots(k);
    }
    now = udm_clock_ms();
    if (reached) {
        k->next_at = 0;
    }
    if (next != UDM_NO_TIME) {
        apr_int64_t at = now + (next - apr_time_now()) / 1000 + 1;

        /* An earlier one stands: the slots may have looked a moment too early for it. */
        k->next_at = k->next_at == 0 ? at : earlier(at, k->next_at);
    }
    k->schedule_at = now + POLL_MS;
    if (k->next_at != 0) {
        k->schedule_at = earlier(k->schedule_at, k->next_at);
    }
}

static void read_notifications(keeper_t *k)
{
    PGnotify *notification;

    if (!PQconsumeInput(k->db->conn)) {
        database_lost(k, udm_pg_error(k->turn, k->db, NULL));
        return;
    }
    while ((notification = PQnotifies(k->db->conn)) != NULL) {
        PQfreemem(notification);
        k->hint = true;
    }
}

/* ---- the loop ---- */

/*
 * The threads wait by the host's clock, and when that is set back they would wait for as much longer:
 * then they are woken.
 */
static void watch_clock(keeper_t *k)
{
    apr_int64_t clock = apr_time_as_msec(apr_time_now()) - udm_clock_ms();
    apr_int64_t moved = clock - k->clock;

    k->clock = clock;
    if (moved > CLOCK_MS || moved < -CLOCK_MS) {
        udm_log(LIMIT(k), UDM_LOG_INFO,
                "UDM0243: this host's clock was set by %" APR_INT64_T_FMT " ms", moved);
        wake_slots(k);
        wake_purger(k);
    }
}

/* What is due at this turn. */
static void act(keeper_t *k)
{
    apr_int64_t now = udm_clock_ms();

    watch_clock(k);
    if (!k->db && !k->failed && now >= k->connect_at) {
        connect_database(k);
    }
    if (k->db && !k->failed) {
        if (k->hint && now - k->hinted >= HINT_GAP_MS) {
            k->hint = false;
            k->hinted = now;
            k->schedule_at = earlier(k->schedule_at, now + REST_MS);
            k->purge_at = now + REST_MS;
            k->renew_at = earlier(k->renew_at, k->renewed + RENEW_GAP_MS);
            wake_slots(k);
        }
        if (now >= k->renew_at) {
            renew_all(k);
        }
        if (k->db && now >= k->schedule_at && phase_of(k) == UDM_PHASE_WORK) {
            schedule(k);
        }
        if (k->purge_at != 0 && now >= k->purge_at) {
            wake_purger(k);
        }
        if (k->db && k->worker->slot_count > 0) {
            beat(k, false);
        }
        /* A notification may have come in with the answer to a statement. */
        if (k->db) {
            read_notifications(k);
        }
    }
    stop_stale(k);
}

static void wait_for_event(keeper_t *k)
{
    apr_int64_t now = udm_clock_ms();
    apr_int64_t until = now + 1000;
    struct pollfd fds[4];
    char bells[64];

    if (k->db) {
        until = earlier(until, k->renew_at);
        if (k->beaten && !k->failed) {
            until = earlier(until, k->beat_at);
        }
        if (phase_of(k) == UDM_PHASE_WORK) {
            until = earlier(until, k->schedule_at);
        }
        if (k->hint) {
            until = earlier(until, k->hinted + HINT_GAP_MS);
        }
        if (k->purge_at != 0) {
            until = earlier(until, k->purge_at);
        }
    }
    else {
        until = earlier(until, k->connect_at);
    }
    fds[0].fd = k->signals;
    fds[1].fd = k->bell;
    fds[2].fd = k->control;
    fds[3].fd = k->db ? PQsocket(k->db->conn) : -1;
    fds[0].events = fds[1].events = fds[2].events = fds[3].events = POLLIN;
    if (poll(fds, 4, until > now ? (int)(until - now) : 0) <= 0) {
        return;
    }
    if (fds[0].revents) {
        read_signal(k);
    }
    if (fds[1].revents && read(k->bell, bells, sizeof(bells)) < 0) {
        return;
    }
    if (fds[2].revents) {
        read_control(k);
    }
    if (fds[3].revents && k->db) {
        read_notifications(k);
    }
}

/* @return whether the process may end */
static bool is_over(keeper_t *k)
{
    udm_worker_t *worker = k->worker;
    udm_phase phase;
    int running;

    apr_thread_mutex_lock(worker->lock);
    phase = worker->phase;
    running = worker->running;
    apr_thread_mutex_unlock(worker->lock);
    if (worker->slot_count > 0 && running == 0 && phase == UDM_PHASE_WORK) {
        k->failed = 1; /* every thread gave up */
    }
    if (k->end_by && running > 0 && udm_clock_ms() > k->end_by) {
        udm_log(LIMIT(k), UDM_LOG_ERROR,
                "UDM0237: not ended in time: %s; what runs there goes on when its lease runs out",
                udm_text_count(k->turn, running, "thread"));
        _exit(1);
    }
    if (k->failed && phase == UDM_PHASE_WORK) {
        hand_back(k, "the worker cannot go on");
        phase = UDM_PHASE_HAND_BACK;
    }
    return phase != UDM_PHASE_WORK && running == 0;
}

static const char *host_name(apr_pool_t *p)
{
    char host[256] = "";

    gethostname(host, sizeof(host) - 1);
    return apr_pstrdup(p, host);
}

static udm_error_t *open_channels(keeper_t *k, bool supervised)
{
    sigset_t set;
    int bell[2];

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    /* signalfd rather than a handler: a handler would need a global to reach the loop. */
    k->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (k->signals < 0 || pipe2(bell, O_CLOEXEC | O_NONBLOCK) != 0) {
        return udm_error_status(k->pool, UDM_E_INTERNAL, errno, "no signals or no pipe to be had");
    }
    k->bell = bell[0];
    k->worker->bell = bell[1];
    k->control = supervised ? STDIN_FILENO : -1;
    return NULL;
}

int udm_keeper_run(apr_pool_t *p, const udm_settings_t *settings, bool supervised)
{
    udm_worker_t worker = {0};
    keeper_t k = {0};
    udm_error_t *error;
    apr_status_t ignored;
    int i;

    worker.settings = settings;
    worker.host = host_name(p);
    worker.name = apr_psprintf(p, "%s/%ld/%.8s", worker.host, (long)getpid(), udm_text_uuid(p));
    k.worker = &worker;
    k.pool = p;
    k.clock = apr_time_as_msec(apr_time_now()) - udm_clock_ms();
    apr_pool_create(&k.db_pool, p);
    apr_pool_create(&k.turn, p);
    if (apr_thread_mutex_create(&worker.lock, APR_THREAD_MUTEX_DEFAULT, p) != APR_SUCCESS ||
        apr_thread_cond_create(&worker.wake, p) != APR_SUCCESS) {
        error = udm_error_make(p, UDM_E_INTERNAL, "no lock to be had");
    }
    else {
        error = open_channels(&k, supervised);
    }
    if (error) {
        udm_log(settings->log_level, UDM_LOG_ERROR, "UDM0238: %s", udm_error_line(p, error));
        return 1;
    }
    while (!is_over(&k)) {
        apr_pool_clear(k.turn);
        act(&k);
        wait_for_event(&k);
    }
    for (i = 0; i < worker.slot_count; i++) {
        apr_thread_join(&ignored, worker.slots[i]->thread);
    }
    if (worker.purger) {
        apr_thread_join(&ignored, worker.purger);
    }
    if (k.db && k.beaten) {
        apr_pool_clear(k.turn);
        beat(&k, true);
    }
    apr_pool_clear(k.db_pool);
    udm_log(settings->log_level, UDM_LOG_INFO, "UDM0239: ended");
    return k.failed;
}
