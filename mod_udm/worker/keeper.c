/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.c: starts the threads, and ends them.
 *
 * It waits for nothing but one poll(2), for signals, stdin of a supervised worker, and a bell that the
 * other threads ring; no server and no store can keep it from hearing these.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "worker/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <apr_strings.h>

#include "core/clock.h"
#include "core/text.h"
#include "worker/claimer.h"
#include "worker/leases.h"
#include "worker/planner.h"
#include "worker/purger.h"
#include "worker/slot.h"

#define TURN_MS       1000
#define DEAF_MS       1500 /* the planner's server gives a sign every second, unless it stands still */
#define DEAF_TURN_MS  250
#define HAND_BACK_MS  20000 /* then the process ends, whatever its slots do */
#define CLOCK_MS      1000  /* more than a clock that is kept right moves at once */
#define CONTROL_LINES 256

typedef struct keeper_t {
    udm_worker_t *worker;
    apr_pool_t *pool;
    apr_pool_t *turn;                        /* as long as a turn of the loop */
    apr_thread_t *planner, *leases, *purger; /* NULL until they are started */
    int signals;
    int bell;    /* read end */
    int control; /* stdin, or -1 */
    char line[CONTROL_LINES];
    size_t line_size;
    bool deaf;          /* nobody hears notifications */
    apr_int64_t clock;  /* the host's clock less the one that is never set */
    apr_int64_t end_by; /* 0 unless handing back */
} keeper_t;

#define LIMIT(k) ((k)->worker->settings->log_level)

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
    udm_worker_enter(worker, UDM_PHASE_HAND_BACK);
    for (i = 0; i < worker->slot_count; i++) {
        udm_slot_stop(worker->slots[i], UDM_VERDICT_HAND_BACK);
    }
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
    udm_worker_enter(worker, UDM_PHASE_DRAIN);
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

/* ---- the beginning ---- */

/* Once the planner found that the database and the store can be used. */
static void start_the_others(keeper_t *k)
{
    udm_worker_t *worker = k->worker;
    int count = worker->settings->slots + 1;
    udm_slot_t **slots = apr_pcalloc(k->pool, sizeof(*slots) * (size_t)count);
    udm_error_t *error = udm_leases_start(&k->leases, k->pool, worker);
    int i;

    apr_thread_mutex_lock(worker->lock);
    worker->slots = slots;
    apr_thread_mutex_unlock(worker->lock);
    for (i = 0; !error && i < count; i++) {
        error = udm_claimer_start(&slots[i], k->pool, worker, i + 1, i + 1 == count);
        if (!error) {
            apr_thread_mutex_lock(worker->lock);
            worker->slot_count = i + 1;
            apr_thread_mutex_unlock(worker->lock);
        }
    }
    if (!error) {
        error = udm_purger_start(&k->purger, k->pool, worker);
    }
    if (error) {
        udm_log(LIMIT(k), UDM_LOG_ERROR, "UDM0600: the worker cannot start: %s",
                udm_error_line(k->turn, error));
        udm_worker_fail(worker, EXIT_FAILURE);
        return;
    }
    udm_log(LIMIT(k), UDM_LOG_INFO, "UDM0234: ready: %s, as %s",
            udm_text_count(k->turn, worker->settings->slots, "slot"), worker->name);
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
        udm_worker_wake(k->worker, &k->worker->wakes);
        udm_worker_wake(k->worker, &k->worker->purges);
        udm_worker_wake(k->worker, &k->worker->looks);
    }
}

/*
 * The planner hears for all. While its server keeps it waiting the slots look by themselves; one that is
 * away is tried in their own time.
 */
static void hear_for_the_planner(keeper_t *k)
{
    udm_worker_t *worker = k->worker;

    apr_thread_mutex_lock(worker->lock);
    k->deaf = worker->phase == UDM_PHASE_WORK && worker->heard != 0 && !worker->outage &&
              udm_clock_ms() - worker->heard > DEAF_MS;
    apr_thread_mutex_unlock(worker->lock);
    if (k->deaf) {
        udm_worker_wake(worker, &worker->wakes);
    }
}

/* What the others did since the last turn. @return whether the process may end */
static bool is_over(keeper_t *k)
{
    udm_worker_t *worker = k->worker;
    udm_phase phase;
    int running, failed;
    bool ready;

    apr_thread_mutex_lock(worker->lock);
    running = worker->running;
    failed = worker->failed;
    ready = worker->ready;
    /* The leases are kept until nothing else is there. */
    if (worker->phase != UDM_PHASE_WORK && running == (k->leases ? 1 : 0)) {
        udm_worker_enter(worker, UDM_PHASE_OVER);
    }
    phase = worker->phase;
    apr_thread_mutex_unlock(worker->lock);
    if (phase == UDM_PHASE_WORK && failed != 0) {
        hand_back(k, "the worker cannot go on");
    }
    else if (phase == UDM_PHASE_WORK && ready && !k->leases) {
        start_the_others(k);
    }
    if (k->end_by && running > 0 && udm_clock_ms() > k->end_by) {
        udm_log(LIMIT(k), UDM_LOG_ERROR,
                "UDM0237: not ended in time: %s; what runs there goes on when its lease runs out",
                udm_text_count(k->turn, running, "thread"));
        _exit(1);
    }
    return phase == UDM_PHASE_OVER && running == 0;
}

static void wait_for_event(keeper_t *k)
{
    struct pollfd fds[3];
    char bells[64];

    fds[0].fd = k->signals;
    fds[1].fd = k->bell;
    fds[2].fd = k->control;
    fds[0].events = fds[1].events = fds[2].events = POLLIN;
    if (poll(fds, 3, k->deaf ? DEAF_TURN_MS : TURN_MS) <= 0) {
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
}

static void join_all(keeper_t *k)
{
    udm_worker_t *worker = k->worker;
    apr_status_t ignored;
    int i;

    for (i = 0; i < worker->slot_count; i++) {
        apr_thread_join(&ignored, worker->slots[i]->thread);
    }
    if (k->planner) {
        apr_thread_join(&ignored, k->planner);
    }
    if (k->leases) {
        apr_thread_join(&ignored, k->leases);
    }
    if (k->purger) {
        apr_thread_join(&ignored, k->purger);
    }
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

/* All that threads share. */
static udm_error_t *make_worker(udm_worker_t *worker, apr_pool_t *p, const udm_settings_t *settings)
{
    worker->settings = settings;
    worker->host = host_name(p);
    worker->name = apr_psprintf(p, "%s/%ld/%.8s", worker->host, (long)getpid(), udm_text_uuid(p));
    if (apr_thread_mutex_create(&worker->lock, APR_THREAD_MUTEX_DEFAULT, p) != APR_SUCCESS ||
        apr_thread_cond_create(&worker->wake, p) != APR_SUCCESS) {
        return udm_error_make(p, UDM_E_INTERNAL, "no lock to be had");
    }
    return udm_stop_make(&worker->stop, p);
}

int udm_keeper_run(apr_pool_t *p, const udm_settings_t *settings, bool supervised)
{
    udm_worker_t worker = {0};
    keeper_t k = {0};
    udm_error_t *error;

    k.worker = &worker;
    k.pool = p;
    k.clock = apr_time_as_msec(apr_time_now()) - udm_clock_ms();
    apr_pool_create(&k.turn, p);
    error = make_worker(&worker, p, settings);
    if (!error) {
        error = open_channels(&k, supervised);
    }
    if (!error) {
        error = udm_planner_start(&k.planner, p, &worker);
    }
    if (error) {
        udm_log(settings->log_level, UDM_LOG_ERROR, "UDM0238: %s", udm_error_line(p, error));
        return EXIT_FAILURE;
    }
    while (!is_over(&k)) {
        wait_for_event(&k);
        apr_pool_clear(k.turn);
        watch_clock(&k);
        hear_for_the_planner(&k);
        udm_slot_stop_stale(&worker);
    }
    join_all(&k);
    udm_log(settings->log_level, UDM_LOG_INFO, "UDM0239: ended");
    return worker.failed;
}
