/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * db.h: a PostgreSQL connection: statements with parameters, results, SQLSTATEs as errors.
 *
 * The same code serves the worker, which owns its connections, and httpd, which borrows them from
 * mod_dbd: a udm_db_t wraps a PGconn and never closes one it did not open. One thread at a time.
 *
 * Before anything else a session gets a search_path of its own (db/session.h), be it new or reset
 * behind our back, so that no function, operator or type that somebody made in a schema of the
 * database is called by its name. Whoever sends something to the server by libpq alone does it after
 * one of the functions below. It is a statement and no parameter of the connection, which poolers
 * refuse. Behind a pooler that hands each transaction to another session (transaction pooling) the
 * setting stays with that session; a transaction begun by udm_db_begin leaves nothing behind.
 */
#ifndef UDM_DB_H
#define UDM_DB_H

#include <stdbool.h>

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include <libpq-fe.h>

#include "core/error.h"
#include "session.h"
#include "wait.h"

typedef struct udm_db_t {
    PGconn *conn;
    udm_session_t *session; /* what is known of the server's end */
    bool local;             /* pinned for the transaction that udm_db_begin began */
    apr_pool_t *pool;       /* of the wrapper, not of results */
    const udm_stop_t *stop; /* ends waits for answers, with UDM_E_STOPPED; NULL: nothing does */
} udm_db_t;

/*
 * A statement with a name under which a connection keeps it prepared. It is prepared where it is not
 * known to be, and once more when the server says 26000 (no such statement), which it says where
 * somebody else forgot it for us. `name` in lower case; unique in the program.
 */
typedef struct udm_statement_t {
    const char *name;
    const char *sql;
} udm_statement_t;

typedef struct udm_result_t {
    PGresult *result; /* cleared with the pool */
    int rows;
} udm_result_t;

/*
 * Opens a connection that closes with `p`. `conninfo` is a libpq string; client_encoding, the
 * application name and a connect timeout of 5 s are added unless it names them.
 * @return `kind` (UDM_E_DATABASE or UDM_E_SOURCE); the reason names neither host, user nor password,
 *         the detail is libpq's message
 */
udm_error_t *udm_db_connect(udm_db_t **db, apr_pool_t *p, const char *conninfo,
                            const char *application_name, udm_error_kind kind);

/* Wraps a connection of somebody else. */
udm_db_t *udm_db_wrap(apr_pool_t *p, PGconn *conn);

/*
 * Runs a statement with text parameters (NULL means NULL) and fetches all its rows as text. Outside
 * a transaction it is kept prepared.
 * @return UDM_E_DATABASE when the server is gone (08*, 57P*, 53*: worth another try later),
 *         UDM_E_CONFLICT for 23505, else UDM_E_INTERNAL; always with the SQLSTATE
 */
udm_error_t *udm_db_query(udm_result_t **result, apr_pool_t *p, udm_db_t *db,
                          const udm_statement_t *statement, int count, const char *const *values);

/* Runs SQL made at run time (never from a client's text), not prepared. Otherwise the same. */
udm_error_t *udm_db_query_text(udm_result_t **result, apr_pool_t *p, udm_db_t *db, const char *sql,
                               int count, const char *const *values);

/* Runs SQL without parameters and without a result to read: BEGIN, COMMIT, LISTEN, ... */
udm_error_t *udm_db_exec(apr_pool_t *p, udm_db_t *db, const char *sql);

/* Begins a transaction; `modes` as BEGIN takes them. What it sets up ends with it. */
udm_error_t *udm_db_begin(apr_pool_t *p, udm_db_t *db, const char *modes);

/* DISCARD ALL: the session is as it was when it began, and is set up anew before its next use. */
udm_error_t *udm_db_discard(apr_pool_t *p, udm_db_t *db);

/*
 * Finds out whether schema udm is the one that this program is made for. The answer is good for some
 * seconds, unless a statement meets what is not there. Outside a transaction.
 * @return UDM_E_DATABASE when it is not; the reason is for a tenant, the detail says what the admin has
 *         to do
 */
udm_error_t *udm_db_check_schema(apr_pool_t *p, udm_db_t *db);

/* Whether that error says that the schema is of another version, and not that there is none yet. */
bool udm_db_wrong_schema(const udm_error_t *error);

/* Whether a statement failed for want of what another version of the schema has. */
bool udm_db_doubts_schema(const udm_error_t *error);

/* The number of the last migration in sql/migrations, as this program was built. */
extern const int udm_schema_version;

/* Values of a result: NULL, 0, false or UDM_NO_TIME for SQL NULL. Text lives with the result. */
const char *udm_result_text(const udm_result_t *result, int row, int column);
apr_int64_t udm_result_int(const udm_result_t *result, int row, int column);
bool udm_result_bool(const udm_result_t *result, int row, int column);
/* Of a column selected with UDM_DB_TIME(...): microseconds since 1970. */
apr_time_t udm_result_time(const udm_result_t *result, int row, int column);
/* Of a column selected with to_json(text[])::text: an array of const char * in `p`. */
apr_array_header_t *udm_result_array(apr_pool_t *p, const udm_result_t *result, int row,
                                     int column);

/* SQL for a timestamptz as udm_result_time reads it, and for a parameter made by udm_db_time. */
#define UDM_DB_TIME(x) "(extract(epoch FROM " x ") * 1000000)::bigint"
/* Seconds and their fraction apart: the product with an interval is floating point. */
#define UDM_DB_TIME_IN(x)                                                                          \
    "(timestamptz 'epoch' + " x "::bigint / 1000000 * interval '1 second' + " x                    \
    "::bigint % 1000000 * interval '1 microsecond')"

/* Parameters: in decimal; NULL for UDM_NO_TIME; an array literal of const char *, NULL among them. */
const char *udm_db_int(apr_pool_t *p, apr_int64_t value);
const char *udm_db_time(apr_pool_t *p, apr_time_t value);
const char *udm_db_array(apr_pool_t *p, const apr_array_header_t *values);

/* Quotes an identifier: the one place where a name of the catalog becomes SQL. */
const char *udm_db_identifier(apr_pool_t *p, const char *name);

/* Maps a failed PGresult (or NULL) to an error; for the callers that use libpq directly. */
udm_error_t *udm_db_error(apr_pool_t *p, udm_db_t *db, const PGresult *result);

#endif
