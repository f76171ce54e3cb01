/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.h: waiting for a server in such a way that another thread can end it, whatever the server does.
 */
#ifndef UDM_PG_WAIT_H
#define UDM_PG_WAIT_H

#include <libpq-fe.h>

#include "core/stop.h"

typedef enum {
    UDM_WAIT_INPUT, /* there may be more to read now */
    UDM_WAIT_STOPPED,
    UDM_WAIT_BROKEN /* the connection is no more */
} udm_wait;

/* Waits until the server has sent something, and takes that in. */
udm_wait udm_wait_input(PGconn *conn, const udm_stop_t *stop);

/* The last result of what was sent, as PQexec gives it. @return NULL once stopped */
PGresult *udm_wait_result(PGconn *conn, const udm_stop_t *stop);

/*
 * Tells the server to end what it does for the connection of `cancel`, which is freed. A server that
 * does not even listen to that is not waited for longer than a moment.
 */
void udm_wait_cancel(PGcancel *cancel);

#endif
