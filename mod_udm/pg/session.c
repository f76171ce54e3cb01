/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c: keeps what is known of a session with its connection, by libpq's events.
 */
#include "pg/session.h"

#include <stdlib.h>

#include <apr_hash.h>
#include <apr_pools.h>
#include <apr_strings.h>
#include <libpq-events.h>

struct udm_session_t {
    apr_pool_t *pool; /* of the names; it has no parent, for nobody's pool outlives every PGconn */
    apr_hash_t *statements; /* by name; NULL: none */
    bool pinned;
    bool wanders;
    apr_time_t checked;
};

static int on_event(PGEventId id, void *info, void *baton)
{
    udm_session_t *session;

    (void)baton;
    switch (id) {
    case PGEVT_CONNRESET:
        udm_session_forget(PQinstanceData(((PGEventConnReset *)info)->conn, on_event));
        break;
    case PGEVT_CONNDESTROY:
        session = PQinstanceData(((PGEventConnDestroy *)info)->conn, on_event);
        if (session) {
            apr_pool_destroy(session->pool);
            free(session);
        }
        break;
    default:
        break;
    }
    return 1;
}

udm_session_t *udm_session_of(PGconn *conn)
{
    udm_session_t *session = PQinstanceData(conn, on_event);

    if (session) {
        return session;
    }
    session = calloc(1, sizeof(*session));
    if (!session || apr_pool_create_unmanaged(&session->pool) != APR_SUCCESS) {
        free(session);
        return NULL;
    }
    /* It fails also where this was done before, which then left no instance behind. */
    (void)PQregisterEventProc(conn, on_event, "mod_udm", NULL);
    if (!PQsetInstanceData(conn, on_event, session)) {
        apr_pool_destroy(session->pool);
        free(session);
        return NULL;
    }
    return session;
}

void udm_session_forget(udm_session_t *session)
{
    if (session) {
        apr_pool_clear(session->pool);
        session->statements = NULL;
        session->pinned = session->wanders = false;
        session->checked = 0;
    }
}

bool udm_session_pinned(const udm_session_t *session)
{
    return session && session->pinned;
}

void udm_session_set_pinned(udm_session_t *session)
{
    if (session) {
        session->pinned = true;
    }
}

bool udm_session_has(const udm_session_t *session, const char *name)
{
    return session && session->statements &&
           apr_hash_get(session->statements, name, APR_HASH_KEY_STRING) != NULL;
}

void udm_session_add(udm_session_t *session, const char *name)
{
    const char *own;

    if (!session || udm_session_has(session, name)) {
        return;
    }
    if (!session->statements) {
        session->statements = apr_hash_make(session->pool);
    }
    own = apr_pstrdup(session->pool, name);
    apr_hash_set(session->statements, own, APR_HASH_KEY_STRING, own);
}

bool udm_session_wanders(const udm_session_t *session)
{
    return session && session->wanders;
}

void udm_session_set_wanders(udm_session_t *session)
{
    if (session) {
        session->wanders = true;
    }
}

apr_time_t udm_session_checked(const udm_session_t *session)
{
    return session ? session->checked : 0;
}

void udm_session_set_checked(udm_session_t *session, apr_time_t when)
{
    if (session) {
        session->checked = when;
    }
}
