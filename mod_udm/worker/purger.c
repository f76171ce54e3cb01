/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * purger.c: removes from the store what the database calls removed, and notes that it is gone. First
 * the object, then the note: whatever ends this in between, the file is removed once more, which is no
 * error. Between, batch by batch, it looks through the store for orphans: see sweep.c.
 */
#include "core/clock.h"
#include "core/text.h"
#include "worker/purger.h"

#include <unistd.h>

#include <apr_strings.h>

#include "db/retention.h"
#include "worker/storage.h"
#include "worker/sweep.h"
#include "worker/upkeep.h"

#define BATCH         100
#define COMPLAIN_MS   60000
#define FORGET_MS     (3600 * 1000)
#define LIMIT(worker) ((worker)->settings->log_level)
#define POLL_MS       (UDM_POLL_SECONDS * 1000)

/* What only this thread touches. */
typedef struct purge_t {
    udm_worker_t *worker;
    apr_pool_t *pool;    /* as long as the thread */
    apr_pool_t *db_pool; /* as long as a connection */
    apr_pool_t *turn;    /* as long as a batch */
    udm_pg_t *db;        /* NULL: not connected */
    udm_sweep_t *sweep;  /* NULL: none is under way */
    apr_pool_t *sweep_pool;
    apr_int64_t sweep_at;
    apr_int64_t forget_at;
    apr_int64_t complain_at; /* not before */
} purge_t;

/* A store that is away stays away for a while: once a minute is enough to say so. */
static void complain(purge_t *t, const udm_error_t *error)
{
    apr_int64_t now = udm_clock_ms();
    bool again = now < t->complain_at;

    if (!again) {
        t->complain_at = now + COMPLAIN_MS;
    }
    udm_log(LIMIT(t->worker), again ? UDM_LOG_DEBUG : UDM_LOG_ERROR,
            "UDM0240: what is to leave the store stays there for now, trying again: %s",
            udm_error_line(t->turn, error));
}

/*
 * Removes one batch. `left` gets how many are still there; an error is the database's. The store is
 * opened anew each time: what is not there because another store is mounted, or none, is not gone.
 */
static udm_error_t *remove_batch(int *left, purge_t *t, const apr_array_header_t *files)
{
    apr_array_header_t *gone = apr_array_make(t->turn, files->nelts, sizeof(apr_int64_t));
    udm_error_t *failed;
    udm_store_t *store;
    int i;

    failed = udm_storage_open(&store, t->turn, t->worker, t->db, UDM_STORAGE_FIND);
    if (failed && failed->kind != UDM_E_STORE) {
        *left = files->nelts;
        return failed;
    }
    for (i = 0; !failed && i < files->nelts && udm_worker_goes_on(t->worker); i++) {
        const udm_due_file_t *file = &APR_ARRAY_IDX(files, i, udm_due_file_t);
        udm_error_t *error = store->remove(store, t->turn, file->name);

        if (error) {
            complain(t, error);
        }
        else {
            APR_ARRAY_PUSH(gone, apr_int64_t) = file->id;
        }
    }
    if (failed) {
        complain(t, failed);
    }
    *left = files->nelts - gone->nelts;
    if (gone->nelts == 0) {
        return NULL;
    }
    udm_log(LIMIT(t->worker), UDM_LOG_INFO, "UDM0241: taken out of the store: %s",
            udm_text_count(t->turn, gone->nelts, "file"));
    return udm_retention_files_gone(t->turn, t->db, gone);
}

/* What the database is in the way of there must not keep files in the store. */
static udm_error_t *tolerate(purge_t *t, udm_error_t *error)
{
    if (!error || error->kind == UDM_E_DATABASE || error->kind == UDM_E_STOPPED) {
        return error;
    }
    udm_log(LIMIT(t->worker), UDM_LOG_ERROR,
            "UDM0523: what is over stays in the database for now, trying again: %s",
            udm_error_line(t->turn, error));
    return NULL;
}

/* All that there is to remove, unless the store does not let go of some. */
static udm_error_t *purge(purge_t *t)
{
    apr_array_header_t *files;
    udm_error_t *error;
    int count, left;
    bool fresh;

    do {
        apr_pool_clear(t->turn);
        count = left = 0;
        error = udm_worker_connected(&t->db, &fresh, t->db_pool, t->worker, UDM_DUTY_PURGER,
                                     &t->worker->stop);
        if (!error) {
            error = udm_retention_due_files(&files, t->turn, t->db, BATCH);
        }
        if (!error && files->nelts > 0) {
            count = files->nelts;
            error = remove_batch(&left, t, files);
        }
    } while (!error && left == 0 && count == BATCH && udm_worker_goes_on(t->worker));
    if (!error) {
        /* Whose files are out of the store by now can go on to leave. */
        error = tolerate(t, udm_upkeep_tenants(t->turn, t->worker, t->db));
    }
    if (!error && udm_clock_ms() >= t->forget_at) {
        error = udm_retention_forget_retries(t->turn, t->db);
        if (!error) {
            error = tolerate(t, udm_upkeep_pass(t->turn, t->worker, t->db));
        }
        t->forget_at = udm_clock_ms() + FORGET_MS;
    }
    return error;
}

static void end_sweep(purge_t *t)
{
    t->sweep = NULL;
    t->sweep_at = udm_clock_ms() + (apr_int64_t)t->worker->settings->sweep_interval * 1000;
    apr_pool_clear(t->sweep_pool);
}

/* One batch of a sweep, when one is due. An error is the database's. */
static udm_error_t *sweep(purge_t *t)
{
    udm_error_t *error = NULL;
    bool more = true;

    apr_pool_clear(t->turn);
    if (!t->sweep && udm_clock_ms() < t->sweep_at) {
        return NULL;
    }
    if (!t->sweep) {
        error = udm_sweep_begin(&t->sweep, t->sweep_pool, t->worker, t->db);
    }
    if (!error) {
        error = udm_sweep_batch(&more, t->sweep, t->turn, t->db);
    }
    if (error) {
        error = udm_error_copy(t->turn, error);
    }
    if (error && error->kind == UDM_E_STORE) {
        complain(t, error);
        error = NULL;
        more = more && t->sweep;
    }
    if (error || !more) {
        end_sweep(t);
    }
    return error;
}

/* Milliseconds until there may be something to do again. */
static int pause_of(const purge_t *t)
{
    apr_int64_t until = t->sweep_at - udm_clock_ms();

    /* What is removed during a sweep does not wait for its end. */
    return t->sweep || until < 0 ? 0 : until < POLL_MS ? (int)until : POLL_MS;
}

static void *APR_THREAD_FUNC purger_main(apr_thread_t *thread, void *data)
{
    udm_worker_t *worker = data;
    udm_error_t *error;
    purge_t t = {0};
    unsigned seen = 0;
    int backoff = 0;
    int pause;

    (void)thread;
    t.worker = worker;
    t.pool = udm_worker_pool();
    apr_pool_create(&t.db_pool, t.pool);
    apr_pool_create(&t.turn, t.pool);
    apr_pool_create(&t.sweep_pool, t.pool);
    do {
        error = purge(&t);
        if (!error) {
            error = sweep(&t);
        }
        pause = pause_of(&t);
        if (!error) {
            backoff = 0;
        }
        else if (error->kind == UDM_E_DATABASE || error->kind == UDM_E_STOPPED) {
            if (error->kind == UDM_E_DATABASE) {
                udm_worker_database_down(worker, t.turn, error);
            }
            t.db = NULL;
            apr_pool_clear(t.db_pool);
            pause = udm_worker_backoff(&backoff);
        }
        else {
            complain(&t, error);
            pause = POLL_MS;
        }
    } while (udm_worker_wait(worker, &worker->purges, &seen, pause));
    apr_pool_destroy(t.pool);
    udm_worker_thread_ends(worker);
    return NULL;
}

udm_error_t *udm_purger_start(apr_thread_t **thread, apr_pool_t *p, udm_worker_t *worker)
{
    return udm_worker_thread(thread, p, worker, purger_main, worker);
}
