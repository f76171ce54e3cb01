/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h: what is known of the server's end of a connection: whether it was set up, which
 * statements it keeps prepared, and when the database was last found to be as it should.
 *
 * The knowledge hangs on the PGconn and is freed with it. Whoever resets the connection behind our
 * back (mod_dbd does) makes it begin anew, for libpq tells us. Private to db/; whoever has the
 * connection has this, one thread at a time. `session` may be NULL where there was no memory for it:
 * then nothing is known, and nothing kept.
 */
#ifndef UDM_PG_SESSION_H
#define UDM_PG_SESSION_H

#include <stdbool.h>

#include <apr_time.h>
#include <libpq-fe.h>

typedef struct udm_session_t udm_session_t;

/* Of a connection; made at the first call. @return NULL without memory */
udm_session_t *udm_session_of(PGconn *conn);

/* Nothing is known any more: the session was set back to how it began. */
void udm_session_forget(udm_session_t *session);

/* Whether names mean the server's own things alone (UDM_SESSION_PIN was run). */
bool udm_session_pinned(const udm_session_t *session);
void udm_session_set_pinned(udm_session_t *session);

/* The first statement of every session: no function, operator, type or relation that somebody else
 * made is ever taken for the one that is meant. The temporary schema comes last, or it would come
 * first. It calls nothing itself. */
#define UDM_SESSION_PATH      "pg_catalog, pg_temp"
#define UDM_SESSION_PIN       "SET search_path = " UDM_SESSION_PATH
#define UDM_SESSION_PIN_LOCAL "SET LOCAL search_path = " UDM_SESSION_PATH

/* Whether the statement of this name was prepared in this session. */
bool udm_session_has(const udm_session_t *session, const char *name);
void udm_session_add(udm_session_t *session, const char *name);

/* What was prepared a moment ago is not there: each statement meets another session of the server,
 * so none is prepared from now on. */
bool udm_session_wanders(const udm_session_t *session);
void udm_session_set_wanders(udm_session_t *session);

/* When whoever uses the connection last found the database to be as it should; 0: not in this session,
 * or a statement met what is not there since. */
apr_time_t udm_session_checked(const udm_session_t *session);
void udm_session_set_checked(udm_session_t *session, apr_time_t when);

#endif
