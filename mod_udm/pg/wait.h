/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.h: waiting for a server in such a way that neither it nor the network can hold a thread for ever:
 * each wait ends at a time, and when another thread says so.
 */
#ifndef UDM_PG_WAIT_H
#define UDM_PG_WAIT_H

#include <apr_time.h>
#include <libpq-fe.h>

#include "core/stop.h"

typedef enum {
    UDM_WAIT_READY, /* what was waited for may be there now */
    UDM_WAIT_STOPPED,
    UDM_WAIT_LATE,
    UDM_WAIT_BROKEN /* the connection is no more */
} udm_wait;

/* The end of a wait that begins now and may take `ms`; for the functions below. 0 ms: it has none. */
apr_int64_t udm_wait_until(int ms);

/* Waits until the server has sent something, and takes that in. */
udm_wait udm_wait_input(PGconn *conn, const udm_stop_t *stop, apr_int64_t until);

/*
 * Waits until all of what is to be sent was given to the network, and then for the last result of it, as
 * PQexec gives it. `result` gets NULL unless the wait is READY or BROKEN, and may be NULL with these two.
 */
udm_wait udm_wait_result(PGresult **result, PGconn *conn, const udm_stop_t *stop,
                         apr_int64_t until);

/* Waits for a connection that PQconnectStart or PQresetStart has begun; `go_on` is the function that polls
 * it. @return READY once PQstatus tells what came of it */
udm_wait udm_wait_connection(PGconn *conn, PostgresPollingStatusType (*go_on)(PGconn *),
                             const udm_stop_t *stop, apr_int64_t until);

/*
 * Tells the server to end what it does for the connection of `cancel`, which is freed. A server that
 * does not even listen to that is not waited for longer than a moment.
 */
void udm_wait_cancel(PGcancel *cancel);

/*
 * Ends a connection of which an answer is still owed, for whoever owns it: PQstatus is CONNECTION_BAD
 * from now on. The server finds out when it next sends something, or by its own timeouts.
 */
void udm_wait_give_up(PGconn *conn);

#endif
