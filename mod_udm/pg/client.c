/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * db.c: the only place that talks to libpq on behalf of the other SQL files: it sets sessions up,
 * runs statements, keeps them prepared, and turns SQLSTATEs into errors that never hold libpq's text
 * as the reason.
 */
#include "pg/client.h"

#include <string.h>

#include <apr_strings.h>

#include "pg/wait.h"

#define SQLSTATE_UNKNOWN_STATEMENT   "26000"
#define SQLSTATE_DUPLICATE_STATEMENT "42P05"

#define REASON_NO_ANSWER "the database does not answer; try again later"
#define REASON_TOO_LONG  "the database took too long over this; try again later"

static apr_status_t result_clear(void *data)
{
    PQclear(data);
    return APR_SUCCESS;
}

static apr_status_t conn_finish(void *data)
{
    PQfinish(data);
    return APR_SUCCESS;
}

/* libpq would print notices to stderr, past the log. */
static void notice_drop(void *baton, const PGresult *result)
{
    (void)baton;
    (void)result;
}

/* libpq's messages end with a newline and may have several lines. */
static const char *one_line(apr_pool_t *p, const char *message)
{
    char *line = apr_pstrdup(p, message ? message : "");
    apr_size_t size = strlen(line);
    char *c;

    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == ' ')) {
        line[--size] = '\0';
    }
    for (c = line; *c; c++) {
        if (*c == '\n' || *c == '\t' || *c == '\r') {
            *c = ' ';
        }
    }
    return line;
}

/*
 * conninfo as keywords and values, with our defaults where it is silent. The application name is
 * only a fallback so that a service file may name one, too.
 */
static int connect_parameters(apr_pool_t *p, const PQconninfoOption *options,
                              const char *application_name, const char ***keywords,
                              const char ***values)
{
    const PQconninfoOption *o;
    int count = 0;
    bool encoding = false;
    bool timeout = false;

    for (o = options; o->keyword; o++) {
        count++;
    }
    *keywords = apr_pcalloc(p, sizeof(char *) * (apr_size_t)(count + 4));
    *values = apr_pcalloc(p, sizeof(char *) * (apr_size_t)(count + 4));
    count = 0;
    for (o = options; o->keyword; o++) {
        if (!o->val || strcmp(o->keyword, "fallback_application_name") == 0) {
            continue;
        }
        encoding = encoding || strcmp(o->keyword, "client_encoding") == 0;
        timeout = timeout || strcmp(o->keyword, "connect_timeout") == 0;
        (*keywords)[count] = apr_pstrdup(p, o->keyword);
        (*values)[count++] = apr_pstrdup(p, o->val);
    }
    (*keywords)[count] = "fallback_application_name";
    (*values)[count++] = application_name;
    if (!encoding) {
        (*keywords)[count] = "client_encoding";
        (*values)[count++] = "UTF8";
    }
    if (!timeout) {
        (*keywords)[count] = "connect_timeout";
        (*values)[count++] = "5";
    }
    return count;
}

udm_error_t *udm_pg_connect(udm_pg_t **db, apr_pool_t *p, const char *conninfo,
                            const char *application_name, udm_error_kind kind)
{
    const char *what = kind == UDM_E_SOURCE ? "the source's database" : "the database";
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    const char **keywords;
    const char **values;
    udm_error_t *error;
    PGconn *conn;

    *db = NULL;
    if (!options) {
        /* What libpq says of a string it cannot read may quote a password. */
        return udm_error_make(p, kind, "the connection string of %s cannot be read", what);
    }
    connect_parameters(p, options, application_name, &keywords, &values);
    PQconninfoFree(options);
    conn = PQconnectdbParams(keywords, values, 0);
    if (!conn) {
        return udm_error_status(p, kind, APR_ENOMEM, "%s does not answer; try again later", what);
    }
    if (PQstatus(conn) != CONNECTION_OK) {
        error = udm_error_make(p, kind, "%s does not answer; try again later", what);
        udm_error_detail(p, error, "%s", one_line(p, PQerrorMessage(conn)));
        PQfinish(conn);
        return error;
    }
    PQsetNoticeReceiver(conn, notice_drop, NULL);
    apr_pool_cleanup_register(p, conn, conn_finish, apr_pool_cleanup_null);
    *db = udm_pg_wrap(p, conn);
    return NULL;
}

udm_pg_t *udm_pg_wrap(apr_pool_t *p, PGconn *conn)
{
    udm_pg_t *db = apr_pcalloc(p, sizeof(*db));

    db->conn = conn;
    db->session = udm_session_of(conn);
    db->pool = p;
    return db;
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
        strcmp(sqlstate, "25006") == 0) {
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
    return apr_pstrcat(p, one_line(p, message), constraint ? " (" : NULL, constraint, ")", NULL);
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

/* Sends simple SQL and waits for its last result, as long as nothing is to stop. */
static PGresult *exec_simple(udm_pg_t *db, const char *sql)
{
    if (!db->stop) {
        return PQexec(db->conn, sql);
    }
    return PQsendQuery(db->conn, sql) ? udm_wait_result(db->conn, db->stop) : NULL;
}

static udm_error_t *run_simple(apr_pool_t *p, udm_pg_t *db, const char *sql)
{
    PGresult *raw = exec_simple(db, sql);
    ExecStatusType status = raw ? PQresultStatus(raw) : PGRES_FATAL_ERROR;
    udm_error_t *error = NULL;

    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        error = udm_pg_error(p, db, raw);
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
            result = PQprepare(db->conn, statement->name, statement->sql, count, NULL);
            if (!result || (PQresultStatus(result) != PGRES_COMMAND_OK &&
                            !has_sqlstate(result, SQLSTATE_DUPLICATE_STATEMENT))) {
                return result;
            }
            PQclear(result);
            udm_session_add(db->session, statement->name);
        }
        result = PQexecPrepared(db->conn, statement->name, count, values, NULL, NULL, 0);
        if (!has_sqlstate(result, SQLSTATE_UNKNOWN_STATEMENT)) {
            return result;
        }
        PQclear(result);
    }
    udm_session_set_wanders(db->session);
    return PQexecParams(db->conn, statement->sql, count, NULL, values, NULL, NULL, 0);
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
        raw = PQexecParams(db->conn, statement->sql, count, NULL, values, NULL, NULL, 0);
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
    if (!db->stop) {
        raw = PQexecParams(db->conn, sql, count, NULL, values, NULL, NULL, 0);
    }
    else {
        raw = PQsendQueryParams(db->conn, sql, count, NULL, values, NULL, NULL, 0)
                  ? udm_wait_result(db->conn, db->stop)
                  : NULL;
    }
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
