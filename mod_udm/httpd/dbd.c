/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * dbd.c: the only file that knows mod_dbd.
 *
 * mod_dbd hands out connections; what is done with them goes through libpq, because apr_dbd hides
 * SQLSTATEs, loses its prepared statements when a connection is reset, and crashes when a
 * transaction begins on a lost one. ap_dbd_acquire() is never used: it holds a connection until the
 * response is delivered, however slow the client.
 */
#include <string.h>

#include <httpd.h>
#include <http_log.h>

#include <apr_dbd.h>
#include <apr_optional.h>
#include <mod_dbd.h>

#include "db/installation.h"
#include "httpd/child.h"
#include "httpd/dbd.h"
#include "httpd/request.h"

APLOG_USE_MODULE(udm);

/* After a failed connect nobody tries for this long: mod_dbd connects under its pool's lock. */
#define FAIL_FAST apr_time_from_sec(1)
/* How long a server is waited for that does not say anything: more than the statement_timeout of 5 s that
 * README has in DBDParams. */
#define PATIENCE_MS 8000
/* SQLSTATEs */
#define READ_ONLY    "25006"
#define LOCK_TIMEOUT "55P03"
#define CANCELLED    "57014" /* by statement_timeout, mostly while it waits for a lock */
/* The loss of the database is logged at most this often by each child, for each server. */
#define LOG_EVERY apr_time_from_sec(10)

bool udm_dbd_available(void)
{
    return APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open) != NULL &&
           APR_RETRIEVE_OPTIONAL_FN(ap_dbd_close) != NULL;
}

/* The error of a database that is out of reach; starts the time in which nobody tries. */
static udm_error_t *out_of_reach(request_rec *r, const char *detail)
{
    atomic_store(&udm_child_of(r)->database_retry, apr_time_now() + FAIL_FAST);
    return udm_error_detail(
        r->pool,
        udm_error_make(r->pool, UDM_E_DATABASE, "the database does not answer: try again soon"),
        "%s", detail);
}

/*
 * Logs the loss of the database, but not once for each request. While it cannot be asked whether a
 * key is still good, none is; but a server that somebody's lock made say no can be asked.
 */
static void note_loss(request_rec *r, const udm_error_t *error)
{
    udm_child_t *child = udm_child_of(r);
    apr_time_t now = apr_time_now();
    long long due = atomic_load(&child->database_log);

    if (child->lookups && strcmp(error->sqlstate, LOCK_TIMEOUT) != 0 &&
        strcmp(error->sqlstate, CANCELLED) != 0) {
        udm_lookups_forget(child->lookups);
    }
    if (now >= due && atomic_compare_exchange_strong(&child->database_log, &due, now + LOG_EVERY)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "UDM0030: %s",
                      udm_error_line(r->pool, error));
    }
}

/*
 * Makes a lost connection anew. With `look`, finds out first whether the server closed it meanwhile,
 * without a round trip: the first call takes the farewell message, the second the end of the
 * stream. What is run again on a new connection anyhow needs no such look.
 */
static bool revive(udm_pg_t *db, bool look)
{
    PGconn *conn = db->conn;

    if (look && PQstatus(conn) == CONNECTION_OK && PQconsumeInput(conn)) {
        (void)PQconsumeInput(conn);
    }
    if (PQstatus(conn) != CONNECTION_OK && !udm_pg_reset(conn)) {
        return false;
    }
    /* the encoding of a new session is whatever the environment or the database says */
    return PQclientEncoding(conn) == pg_char_to_encoding("UTF8") ||
           !udm_pg_exec(db->pool, db, "SET client_encoding = 'UTF8'");
}

/* Ends what the work left open, so that the next borrower finds a clean session. */
static void tidy(udm_pg_t *db)
{
    PGTransactionStatusType state = PQtransactionStatus(db->conn);

    if (state == PQTRANS_INTRANS || state == PQTRANS_INERROR) {
        udm_pg_exec(db->pool, db, "ROLLBACK");
    }
}

/* What is done on a borrowed connection. */
typedef struct work_t {
    udm_dbd_fn fn;
    void *baton;
    bool begun; /* `fn` was called */
} work_t;

/*
 * Runs `fn` on a schema that fits. A schema that changed since that was looked at is found out by what
 * a statement misses.
 */
static udm_error_t *run(request_rec *r, udm_pg_t *db, work_t *work)
{
    udm_error_t *error = udm_installation_check(r->pool, db);
    udm_error_t *wrong;

    if (error) {
        return error;
    }
    work->begun = true;
    error = work->fn(db, work->baton);
    if (error && udm_pg_undefined(error)) {
        tidy(db);
        wrong = udm_installation_check(r->pool, db);
        error = wrong ? wrong : error;
    }
    return error;
}

/* The same, and once more on a new connection where the first one was lost or led to a server that takes
 * no changes any more, if nothing can have been done, or `again` says that it may be done twice. */
static udm_error_t *run_on(request_rec *r, PGconn *conn, bool again, work_t *work)
{
    apr_pool_t *lease; /* of its own: a long list leases once for each of its batches */
    udm_error_t *error;
    udm_pg_t *db;

    apr_pool_create(&lease, r->pool);
    db = udm_pg_wrap(lease, conn);
    db->patience = PATIENCE_MS;
    if (!revive(db, !again)) {
        error = out_of_reach(r, "a pooled connection is lost and cannot be made anew");
    }
    else {
        error = run(r, db, work);
        again = again || !work->begun || (error && strcmp(error->sqlstate, READ_ONLY) == 0);
        /* Not after a wait: whoever has waited that long is told. */
        if (error && again && !db->late && PQstatus(conn) != CONNECTION_OK && revive(db, false)) {
            error = run(r, db, work);
        }
    }
    tidy(db);
    (void)PQsetnonblocking(conn, 0); /* as other borrowers know it */
    apr_pool_destroy(lease);
    return error;
}

udm_error_t *udm_dbd_with(request_rec *r, bool again, udm_dbd_fn fn, void *baton)
{
    APR_OPTIONAL_FN_TYPE(ap_dbd_open) *dbd_open = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open);
    APR_OPTIONAL_FN_TYPE(ap_dbd_close) *dbd_close = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_close);
    udm_child_t *child = udm_child_of(r);
    const udm_request_t *q = udm_request_known(r);
    const char *ccid = q && q->who ? q->who->ccid : NULL;
    work_t work = {.fn = fn, .baton = baton};
    udm_error_t *error;
    ap_dbd_t *dbd;
    PGconn *conn;

    if (!dbd_open || !dbd_close) {
        return udm_error_make(r->pool, UDM_E_INTERNAL, "mod_dbd is not loaded");
    }
    if (apr_time_now() < atomic_load(&child->database_retry)) {
        return udm_error_make(r->pool, UDM_E_DATABASE,
                              "the database does not answer: try again soon");
    }
    if (ccid && !udm_shares_take(child->shares, ccid)) {
        return udm_error_make(r->pool, UDM_E_DATABASE,
                              "other requests of this contact centre wait for the database: try "
                              "again soon");
    }
    dbd = dbd_open(r->pool, r->server);
    if (!dbd) {
        error = out_of_reach(r, "mod_dbd gives no connection");
        note_loss(r, error);
        goto out;
    }
    if (strcmp(apr_dbd_name(dbd->driver), "pgsql")) {
        error = udm_error_make(r->pool, UDM_E_INTERNAL, "DBDriver must be pgsql, not %s",
                               apr_dbd_name(dbd->driver));
        dbd_close(r->server, dbd);
        goto out;
    }
    conn = apr_dbd_native_handle(dbd->driver, dbd->handle);
    error = run_on(r, conn, again, &work);
    dbd_close(r->server, dbd);
    if (error && error->kind == UDM_E_DATABASE) {
        note_loss(r, error);
    }
out:
    if (ccid) {
        udm_shares_give(child->shares, ccid);
    }
    return error;
}
