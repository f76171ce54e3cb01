/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c: sets sessions up, runs statements, keeps them prepared, and turns SQLSTATEs into errors that
 * never hold libpq's text as the reason.
 *
 * Nothing here calls a function of libpq that waits by itself: what is sent is sent by PQsend..., and
 * pg/wait.h waits for the answer.
 */
#include "pg/client.h"

#include <string.h>

#include <apr_strings.h>

#include "core/text.h"
#include "pg/wait.h"

#define SQLSTATE_UNKNOWN_STATEMENT   "26000"
#define SQLSTATE_DUPLICATE_STATEMENT "42P05"
#define SQLSTATE_READ_ONLY           "25006"

#define REASON_NO_ANSWER "the database does not answer; try again later"
#define REASON_TOO_LONG  "the database took too long over this; try again later"

static apr_status_t result_clear(void *data)
{
    PQclear(data);
    return APR_SUCCESS;
}

udm_pg_t *udm_pg_wrap(apr_pool_t *p, PGconn *conn)
{
    udm_pg_t *db = apr_pcalloc(p, sizeof(*db));

    db->conn = conn;
    db->session = udm_session_of(conn);
    db->pool = p;
    db->patience = UDM_PG_PATIENCE;
    /* Or libpq would wait by itself where the server does not read. */
    (void)PQsetnonblocking(conn, 1);
    return db;
}

void udm_pg_give_up(udm_pg_t *db)
{
    udm_wait_give_up(db->conn);
}

void udm_pg_give_up_late(udm_pg_t *db)
{
    db->late = true;
    udm_pg_give_up(db);
}

bool udm_pg_undefined(const udm_error_t *error)
{
    static const char *const states[] = {"42P01", "42703", "42883", "3F000", "42501", "0A000"};
    apr_size_t i;

    for (i = 0; i < sizeof(states) / sizeof(*states); i++) {
        if (strcmp(error->sqlstate, states[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Which errors another try later may cure, and with which words. NULL: none of them. */
static const char *passing_reason(const char *sqlstate)
{
    if (strcmp(sqlstate, "57014") == 0 || strcmp(sqlstate, "55P03") == 0) {
        return REASON_TOO_LONG;
    }
    if (strncmp(sqlstate, "08", 2) == 0 || strncmp(sqlstate, "53", 2) == 0 ||
        strncmp(sqlstate, "57P", 3) == 0 || strncmp(sqlstate, "40", 2) == 0 ||
        strcmp(sqlstate, SQLSTATE_READ_ONLY) == 0) {
        return REASON_NO_ANSWER;
    }
    return NULL;
}

/* What is known of an unsuccessful result, for the log. */
static const char *result_message(apr_pool_t *p, udm_pg_t *db, const PGresult *result)
{
    const char *message = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *constraint = result ? PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME) : NULL;

    if (!message && result && *PQresultErrorMessage(result)) {
        message = PQresultErrorMessage(result);
    }
    if (!message && *PQerrorMessage(db->conn)) {
        message = PQerrorMessage(db->conn);
    }
    if (!message) {
        message = result ? PQresStatus(PQresultStatus(result)) : "no result";
    }
    if (db->late) {
        message = apr_psprintf(p, "no answer within %d ms", db->patience);
    }
    return apr_pstrcat(p, udm_text_line(p, message), constraint ? " (" : NULL, constraint, ")",
                       NULL);
}

udm_error_t *udm_pg_error(apr_pool_t *p, udm_pg_t *db, const PGresult *result)
{
    const char *sqlstate = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    udm_error_t *error;
    const char *reason;

    if (udm_stop_raised(db->stop)) {
        return udm_error_make(p, UDM_E_STOPPED, "stopped");
    }

    if (!sqlstate) {
        sqlstate = "";
        /*
         * Not from the server. That nothing could be sent is told before all that it said last was
         * read, and only the end of that shows libpq that the connection is broken.
         */
        PQconsumeInput(db->conn);
    }
    reason = passing_reason(sqlstate);
    if (!reason && PQstatus(db->conn) == CONNECTION_BAD) {
        reason = REASON_NO_ANSWER;
    }
    if (reason) {
        error = udm_error_make(p, UDM_E_DATABASE, "%s", reason);
    }
    else if (strcmp(sqlstate, "23505") == 0) {
        error = udm_error_make(p, UDM_E_CONFLICT, "this exists already");
    }
    else if (strcmp(sqlstate, "23503") == 0) {
        error = udm_error_make(p, UDM_E_CONFLICT,
                               "what this is about was renamed or removed at the same moment");
    }
    else {
        error = udm_error_make(p, UDM_E_INTERNAL,
                               "the database gave an answer that was not "
                               "expected; the log says more");
    }
    apr_cpystrn(error->sqlstate, sqlstate, sizeof(error->sqlstate));
    if (result && PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION)) {
        apr_cpystrn(error->routine, PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION),
                    sizeof(error->routine));
    }
    return udm_error_detail(p, error, "%s", result_message(p, db, result));
}

/*
 * A server that ceased to take changes is not the one that the connection was made for: the next one may
 * lead to another.
 */
static void leave_read_only(udm_pg_t *db, const udm_error_t *error)
{
    if (strcmp(error->sqlstate, SQLSTATE_READ_ONLY) == 0 && !db->reads_only) {
        udm_pg_give_up(db);
    }
}

/* Ties a result to the pool, or makes the error of it. `name` is of the statement, for the log. */
static udm_error_t *result_take(udm_result_t **result, apr_pool_t *p, udm_pg_t *db, PGresult *raw,
                                const char *name)
{
    ExecStatusType status = raw ? PQresultStatus(raw) : PGRES_FATAL_ERROR;
    udm_error_t *error;

    *result = NULL;
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        error = udm_pg_error(p, db, raw);
        if (udm_pg_undefined(error)) {
            udm_session_set_checked(db->session, 0);
        }
        leave_read_only(db, error);
        PQclear(raw);
        if (name) {
            udm_error_detail(p, error, "statement %s: %s", name, error->detail);
        }
        return error;
    }
    *result = apr_pcalloc(p, sizeof(**result));
    (*result)->result = raw;
    (*result)->rows = PQntuples(raw);
    apr_pool_cleanup_register(p, raw, result_clear, apr_pool_cleanup_null);
    return NULL;
}

static bool has_sqlstate(const PGresult *result, const char *sqlstate)
{
    const char *is = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;

    return is && strcmp(is, sqlstate) == 0;
}

/* Where it does not come in time, what comes later would be taken for the answer to something else. */
PGresult *udm_pg_answer(udm_pg_t *db, int sent)
{
    PGresult *result = NULL;

    if (sent && udm_wait_result(&result, db->conn, db->stop, udm_wait_until(db->patience)) ==
                    UDM_WAIT_LATE) {
        udm_pg_give_up_late(db);
    }
    return result;
}

static udm_error_t *run_simple(apr_pool_t *p, udm_pg_t *db, const char *sql)
{
    PGresult *raw = udm_pg_answer(db, PQsendQuery(db->conn, sql));
    ExecStatusType status = raw ? PQresultStatus(raw) : PGRES_FATAL_ERROR;
    udm_error_t *error = NULL;

    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        error = udm_pg_error(p, db, raw);
        leave_read_only(db, error);
    }
    PQclear(raw);
    return error;
}

/*
 * Sets the session up, unless that was done. What is set in a transaction that others began goes when
 * they roll it back, so it is not taken for lasting.
 */
static udm_error_t *set_up(apr_pool_t *p, udm_pg_t *db)
{
    PGTransactionStatusType state = PQtransactionStatus(db->conn);
    udm_error_t *error;

    if (state == PQTRANS_IDLE) {
        db->local = false;
    }
    if (db->local || udm_session_pinned(db->session) || state == PQTRANS_INERROR ||
        state == PQTRANS_ACTIVE) {
        return NULL;
    }
    error = run_simple(p, db, UDM_SESSION_PIN);
    if (!error && state == PQTRANS_IDLE) {
        udm_session_set_pinned(db->session);
    }
    return error;
}

static PGresult *exec_text(udm_pg_t *db, const char *sql, int count, const char *const *values)
{
    return udm_pg_answer(db, PQsendQueryParams(db->conn, sql, count, NULL, values, NULL, NULL, 0));
}

/*
 * Runs a statement by its name, prepared before if it is not known to be. A pooler that hands each
 * statement to another session would never know it: then it is run unprepared.
 */
static PGresult *exec_prepared(udm_pg_t *db, const udm_statement_t *statement, int count,
                               const char *const *values)
{
    PGresult *result;
    int tries;

    for (tries = 0; tries < 2 && !udm_session_wanders(db->session); tries++) {
        if (tries > 0 || !udm_session_has(db->session, statement->name)) {
            result = udm_pg_answer(
                db, PQsendPrepare(db->conn, statement->name, statement->sql, count, NULL));
            if (!result || (PQresultStatus(result) != PGRES_COMMAND_OK &&
                            !has_sqlstate(result, SQLSTATE_DUPLICATE_STATEMENT))) {
                return result;
            }
            PQclear(result);
            udm_session_add(db->session, statement->name);
        }
        result = udm_pg_answer(
            db, PQsendQueryPrepared(db->conn, statement->name, count, values, NULL, NULL, 0));
        if (!has_sqlstate(result, SQLSTATE_UNKNOWN_STATEMENT)) {
            return result;
        }
        PQclear(result);
    }
    udm_session_set_wanders(db->session);
    return exec_text(db, statement->sql, count, values);
}

udm_error_t *udm_pg_query(udm_result_t **result, apr_pool_t *p, udm_pg_t *db,
                          const udm_statement_t *statement, int count, const char *const *values)
{
    udm_error_t *error = set_up(p, db);
    PGresult *raw;

    *result = NULL;
    if (error) {
        return error;
    }
    /* In a transaction an unknown statement would abort what came before it. */
    if (PQtransactionStatus(db->conn) == PQTRANS_IDLE) {
        raw = exec_prepared(db, statement, count, values);
    }
    else {
        raw = exec_text(db, statement->sql, count, values);
    }
    return result_take(result, p, db, raw, statement->name);
}

udm_error_t *udm_pg_query_text(udm_result_t **result, apr_pool_t *p, udm_pg_t *db, const char *sql,
                               int count, const char *const *values)
{
    udm_error_t *error = set_up(p, db);
    PGresult *raw;

    *result = NULL;
    if (error) {
        return error;
    }
    raw = exec_text(db, sql, count, values);
    return result_take(result, p, db, raw, NULL);
}

udm_error_t *udm_pg_exec(apr_pool_t *p, udm_pg_t *db, const char *sql)
{
    udm_error_t *error = set_up(p, db);

    return error ? error : run_simple(p, db, sql);
}

udm_error_t *udm_pg_begin(apr_pool_t *p, udm_pg_t *db, const char *modes)
{
    udm_error_t *error =
        run_simple(p, db, apr_pstrcat(p, "BEGIN ", modes, "; " UDM_SESSION_PIN_LOCAL, NULL));

    db->local = !error;
    return error;
}

udm_error_t *udm_pg_discard(apr_pool_t *p, udm_pg_t *db)
{
    udm_session_forget(db->session);
    db->local = false;
    return run_simple(p, db, "DISCARD ALL");
}
