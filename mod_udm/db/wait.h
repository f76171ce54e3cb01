/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.h: waiting for a server in such a way that another thread can end it, whatever the server does.
 */
#ifndef UDM_DB_WAIT_H
#define UDM_DB_WAIT_H

#include <stdatomic.h>
#include <stdbool.h>

#include <apr_pools.h>
#include <libpq-fe.h>

#include "core/error.h"

/* What ends waits: raised by one thread, seen by the one that waits. Made once, used again and again. */
typedef struct udm_stop_t {
    atomic_bool raised;
    int fd; /* readable once raised */
} udm_stop_t;

/* Makes one that is not raised; it lives as long as `p`. */
udm_error_t *udm_stop_make(udm_stop_t *stop, apr_pool_t *p);

/* Raises it; never waits. Any thread. */
void udm_stop_raise(udm_stop_t *stop);

/* Takes it back. Not while somebody waits. */
void udm_stop_lower(udm_stop_t *stop);

/* NULL is never raised. */
bool udm_stop_raised(const udm_stop_t *stop);

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
