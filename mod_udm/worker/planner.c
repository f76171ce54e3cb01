/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * planner.c: makes the runs of due jobs, and passes on hints.
 *
 * However many jobs are due, they are made a batch at a time; between two of them notifications are
 * read, and whatever was made can be claimed.
 */
#include "worker/planner.h"

#include <apr_strings.h>

#include "core/calendar.h"
#include "core/clock.h"
#include "core/text.h"
#include "db/installation.h"
#include "db/queue.h"
#include "export/spool.h"
#include "pg/session.h"
#include "pg/wait.h"
#include "worker/storage.h"

#define POLL_MS     (UDM_POLL_SECONDS * 1000)
#define TURN_MS     1000
#define MADE_SAID   10000 /* jobs, of which one line of the log tells at most */
#define HINT_GAP_MS 200   /* a burst of notifications is answered this often */
#define REST_MS     25 /* after the slots: for due jobs and files, which can wait for a run to begin */

/* What only this thread touches. */
typedef struct planner_t {
    udm_worker_t *worker;
    apr_pool_t *pool;    /* as long as the thread */
    apr_pool_t *db_pool; /* as long as a connection */
    apr_pool_t *turn;    /* as long as a turn of the loop */
    udm_pg_t *db;        /* NULL: not connected */
    bool ready;          /* all was found to be as it should */
    bool failed;         /* and that it is not */
    bool hint;
    int made;           /* jobs that got their run, since that was last logged */
    apr_int64_t hinted; /* when the last hint was acted on */
    apr_int64_t asked;  /* when the server last gave a sign */
    apr_int64_t schedule_at;
    apr_int64_t next_at;  /* when a job is due or a run ready; 0: not known */
    apr_int64_t purge_at; /* when to wake the purger; 0: at no time known */
} planner_t;

#define LIMIT(p) ((p)->worker->settings->log_level)

static apr_int64_t earlier(apr_int64_t a, apr_int64_t b)
{
    return a < b ? a : b;
}

/* ---- the beginning ---- */

/* The first time: store and spool are checked. @return an error of the database */
static udm_error_t *find_ready(planner_t *p)
{
    udm_worker_t *worker = p->worker;
    udm_store_t *store;
    udm_error_t *error;

    error = udm_storage_open(&store, p->turn, worker, p->db, UDM_STORAGE_BEGIN);
    if (error && error->kind != UDM_E_STORE) {
        return error;
    }
    if (!error) {
        error = udm_spool_try(p->turn, worker->settings->spool_dir);
    }
    if (error) {
        udm_log(LIMIT(p), UDM_LOG_ERROR, "UDM0233: the worker cannot start: %s",
                udm_error_line(p->turn, error));
        p->failed = true;
        udm_worker_fail(worker, 1);
        return NULL;
    }
    apr_thread_mutex_lock(worker->lock);
    worker->ready = true;
    apr_thread_mutex_unlock(worker->lock);
    udm_worker_ring(worker);
    p->ready = true;
    return NULL;
}

/* A connection that listens, to the server that there is now. */
static udm_error_t *connect_database(planner_t *p)
{
    udm_worker_t *worker = p->worker;
    bool fresh;
    udm_error_t *error =
        udm_worker_connected(&p->db, &fresh, p->db_pool, worker, UDM_DUTY_PLANNER, &worker->stop);

    if (!error && fresh) {
        error = udm_installation_listen(p->turn, p->db);
        /* Whatever was notified meanwhile was not heard. */
        p->hint = true;
        p->schedule_at = udm_clock_ms();
    }
    if (!error && !p->ready) {
        error = find_ready(p);
    }
    return error;
}

/* ---- due jobs ---- */

static udm_error_t *schedule(planner_t *p)
{
    udm_worker_t *worker = p->worker;
    bool reached = p->next_at != 0 && udm_clock_ms() >= p->next_at;
    udm_error_t *error;
    apr_int64_t now;
    apr_time_t next;
    bool more;
    int made;

    error = udm_queue_schedule(&made, &more, &next, p->turn, p->db);
    if (error) {
        return error;
    }
    /* Not when it connects: a server that answers but cannot do this is not back. */
    udm_worker_database_up(worker);
    p->made += made;
    if (p->made > 0 && (!more || p->made >= MADE_SAID)) {
        udm_log(LIMIT(p), UDM_LOG_INFO, "UDM0236: queued what was due: %s",
                udm_text_count(p->turn, p->made, "job"));
        p->made = 0;
    }
    if (made > 0 || reached) {
        udm_worker_wake(worker, &worker->wakes);
    }
    now = udm_clock_ms();
    if (more) {
        p->schedule_at = now;
        return NULL;
    }
    if (reached) {
        p->next_at = 0;
    }
    if (next != UDM_NO_TIME) {
        apr_int64_t at = now + (next - apr_time_now()) / 1000 + 1;

        /* An earlier one stands: the slots may have looked a moment too early for it. */
        p->next_at = p->next_at == 0 ? at : earlier(at, p->next_at);
    }
    p->schedule_at = now + POLL_MS;
    if (p->next_at != 0) {
        p->schedule_at = earlier(p->schedule_at, p->next_at);
    }
    return NULL;
}

/* What this met may be that the schema is being changed. */
static udm_error_t *schedule_or_say_why(planner_t *p)
{
    udm_error_t *error = schedule(p);
    udm_error_t *wrong;

    if (error && udm_pg_undefined(error)) {
        wrong = udm_installation_check(p->turn, p->db);
        error = wrong ? wrong : error;
    }
    return error;
}

/* ---- hints ---- */

/* What has come in: with the answer to a statement, too. */
static void take_hints(planner_t *p)
{
    PGnotify *notification;

    while ((notification = PQnotifies(p->db->conn)) != NULL) {
        PQfreemem(notification);
        p->hint = true;
    }
}

static void pass_hints_on(planner_t *p)
{
    udm_worker_t *worker = p->worker;
    apr_int64_t now = udm_clock_ms();

    take_hints(p);
    if (p->hint && now - p->hinted >= HINT_GAP_MS) {
        p->hint = false;
        p->hinted = now;
        p->schedule_at = earlier(p->schedule_at, now + REST_MS);
        p->purge_at = now + REST_MS;
        udm_worker_wake(worker, &worker->wakes);
        udm_worker_wake(worker, &worker->looks);
    }
    if (p->purge_at != 0 && now >= p->purge_at) {
        p->purge_at = 0;
        udm_worker_wake(worker, &worker->purges);
    }
}

/* Asks the server for a sign once a second, and tells the keeper that it is there. */
static udm_error_t *ask_whether_heard(planner_t *p)
{
    udm_worker_t *worker = p->worker;
    apr_int64_t now = udm_clock_ms();
    udm_error_t *error;

    if (now - p->asked < TURN_MS) {
        return NULL;
    }
    udm_session_set_checked(p->db->session, 0);
    error = udm_installation_check(p->turn, p->db);
    if (!error) {
        p->asked = now;
        apr_thread_mutex_lock(worker->lock);
        worker->heard = udm_clock_ms();
        apr_thread_mutex_unlock(worker->lock);
    }
    return error;
}

/* Until a notification comes, or something is due. An error is the end of the connection. */
static udm_error_t *wait_for_hints(planner_t *p)
{
    apr_int64_t now = udm_clock_ms();
    apr_int64_t until = earlier(now + TURN_MS, p->schedule_at);

    take_hints(p);
    if (p->hint) {
        until = earlier(until, p->hinted + HINT_GAP_MS);
    }
    if (p->purge_at != 0) {
        until = earlier(until, p->purge_at);
    }
    if (until <= now) {
        return NULL;
    }
    if (udm_wait_input(p->db->conn, &p->worker->stop, udm_wait_until((int)(until - now))) ==
        UDM_WAIT_BROKEN) {
        return udm_pg_error(p->turn, p->db, NULL);
    }
    return NULL;
}

/* ---- the thread ---- */

static udm_error_t *take_turn(planner_t *p)
{
    udm_error_t *error = connect_database(p);

    if (!error && p->ready) {
        error = ask_whether_heard(p);
    }
    if (!error && p->ready) {
        pass_hints_on(p);
        if (udm_clock_ms() >= p->schedule_at) {
            error = schedule_or_say_why(p);
        }
    }
    return error || p->failed ? error : wait_for_hints(p);
}

static void *APR_THREAD_FUNC planner_main(apr_thread_t *thread, void *data)
{
    udm_worker_t *worker = data;
    planner_t p = {.worker = worker, .pool = udm_worker_pool()};
    udm_error_t *error;
    int backoff = 0;

    (void)thread;
    apr_pool_create(&p.db_pool, p.pool);
    apr_pool_create(&p.turn, p.pool);
    while (udm_worker_goes_on(worker) && !p.failed) {
        apr_pool_clear(p.turn);
        error = take_turn(&p);
        if (!error) {
            backoff = 0;
        }
        else if (error->kind != UDM_E_STOPPED) {
            unsigned none = 0;
            unsigned seen = 0;

            udm_worker_database_down(worker, p.turn, error);
            p.db = NULL;
            apr_pool_clear(p.db_pool);
            udm_worker_wait(worker, &none, &seen, udm_worker_backoff(&backoff));
        }
    }
    apr_pool_destroy(p.pool);
    udm_worker_thread_ends(worker);
    return NULL;
}

udm_error_t *udm_planner_start(apr_thread_t **thread, apr_pool_t *p, udm_worker_t *worker)
{
    return udm_worker_thread(thread, p, worker, planner_main, worker);
}
