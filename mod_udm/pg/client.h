/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h: a PostgreSQL connection: statements with parameters, results, SQLSTATEs as errors.
 *
 * The same code serves the worker, which owns its connections, and httpd, which borrows them from
 * mod_dbd: a udm_pg_t wraps a PGconn and never closes one it did not open. One thread at a time.
 *
 * No wait here is without an end. An answer that does not come in time is UDM_E_DATABASE, and its
 * connection is no good any more (PQstatus), for the answer may still come. A connection whose server
 * takes no changes any more (25006) is given up as well, for a new one may lead to the server that does.
 *
 * Before anything else a session gets a search_path of its own (pg/session.h), be it new or reset
 * behind our back, so that no function, operator or type that somebody made in a schema of the
 * database is called by its name. Whoever sends something to the server by libpq alone does it after
 * one of the functions below. It is a statement and no parameter of the connection, which poolers
 * refuse. Behind a pooler that hands each transaction to another session (transaction pooling) the
 * setting stays with that session; a transaction begun by udm_pg_begin leaves nothing behind.
 */
#ifndef UDM_PG_CLIENT_H
#define UDM_PG_CLIENT_H

#include <stdbool.h>

#include <apr_pools.h>
#include <libpq-fe.h>

#include "core/error.h"
#include "core/stop.h"
#include "pg/result.h"
#include "pg/session.h"
#include "pg/value.h"

typedef struct udm_pg_t {
    PGconn *conn;
    udm_session_t *session; /* what is known of the server's end */
    bool local;             /* pinned for the transaction that udm_pg_begin began */
    apr_pool_t *pool;       /* of the wrapper, not of results */
    const udm_stop_t *stop; /* ends waits for answers, with UDM_E_STOPPED; NULL: nothing does */
    int patience;           /* ms for which an answer is waited for; 0: as long as it takes */
    bool late;              /* one did not come in that time */
    bool reads_only;        /* a change that is refused says nothing about the server */
} udm_pg_t;

/* A statement_timeout of up to 10 s ends a statement before this ends the connection. */
#define UDM_PG_PATIENCE 15000

/*
 * A statement with a name under which a connection keeps it prepared. It is prepared where it is not
 * known to be, and once more when the server says 26000 (no such statement), which it says where
 * somebody else forgot it for us. `name` in lower case; unique in the program.
 */
typedef struct udm_statement_t {
    const char *name;
    const char *sql;
} udm_statement_t;

/*
 * Opens a connection that closes with `p`. `conninfo` is a libpq string; client_encoding, the
 * application name and a connect_timeout of 5 s (for each host; 60 s at most) are added unless it names
 * them. Only the names of hosts are looked up without a limit but the resolver's. `stop` is kept in `db`.
 * @return `kind` (UDM_E_DATABASE or UDM_E_SOURCE), or UDM_E_STOPPED; the reason names neither host, user
 *         nor password, the detail is libpq's message
 */
udm_error_t *udm_pg_connect(udm_pg_t **db, apr_pool_t *p, const char *conninfo,
                            const char *application_name, udm_error_kind kind,
                            const udm_stop_t *stop);

/* Wraps a connection of somebody else, which is in libpq's nonblocking mode from then on. */
udm_pg_t *udm_pg_wrap(apr_pool_t *p, PGconn *conn);

/* Makes a lost connection that is wrapped anew, in the time that udm_pg_connect would take. @return whether
 * it can be used */
bool udm_pg_reset(PGconn *conn);

/* Ends a connection, for whoever owns it: PQstatus says so from now on. The second one says why: what was
 * waited for did not come in time. */
void udm_pg_give_up(udm_pg_t *db);
void udm_pg_give_up_late(udm_pg_t *db);

/* Which servers the connection string asks for by target_session_attrs. */
typedef enum { UDM_PG_ANY, UDM_PG_PRIMARY, UDM_PG_READ_WRITE } udm_pg_target;
udm_pg_target udm_pg_target_of(PGconn *conn);

/*
 * Runs a statement with text parameters (NULL means NULL) and fetches all its rows as text. Outside
 * a transaction it is kept prepared.
 * @return UDM_E_DATABASE when the server is gone (08*, 57P*, 53*: worth another try later),
 *         UDM_E_CONFLICT for 23505, else UDM_E_INTERNAL; always with the SQLSTATE
 */
udm_error_t *udm_pg_query(udm_result_t **result, apr_pool_t *p, udm_pg_t *db,
                          const udm_statement_t *statement, int count, const char *const *values);

/* Runs SQL made at run time (never from a client's text), not prepared. Otherwise the same. */
udm_error_t *udm_pg_query_text(udm_result_t **result, apr_pool_t *p, udm_pg_t *db, const char *sql,
                               int count, const char *const *values);

/* Runs SQL without parameters and without a result to read: BEGIN, COMMIT, LISTEN, ... */
udm_error_t *udm_pg_exec(apr_pool_t *p, udm_pg_t *db, const char *sql);

/* Begins a transaction; `modes` as BEGIN takes them. What it sets up ends with it. */
udm_error_t *udm_pg_begin(apr_pool_t *p, udm_pg_t *db, const char *modes);

/* DISCARD ALL: the session is as it was when it began, and is set up anew before its next use. */
udm_error_t *udm_pg_discard(apr_pool_t *p, udm_pg_t *db);

/* Whether a statement failed for want of what it names: a relation, column, function, or a right. */
bool udm_pg_undefined(const udm_error_t *error);

/* Waits for the last result of what was sent by libpq itself; `sent` is what that returned. The caller
 * clears it. NULL: udm_pg_error() says why. */
PGresult *udm_pg_answer(udm_pg_t *db, int sent);

/* Maps a failed PGresult (or NULL) to an error; for the callers that use libpq directly. */
udm_error_t *udm_pg_error(apr_pool_t *p, udm_pg_t *db, const PGresult *result);

#endif
