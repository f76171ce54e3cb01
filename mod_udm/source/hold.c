/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * hold.c: one connection to a source that outlives the run it was made for.
 *
 * A new session costs its server more than reading some rows does: a process, and a catalog that it
 * does not know yet. Nothing of one run is left to the next: its transaction is rolled back, which
 * takes its settings along, and all else that a session can have goes with DISCARD ALL. Whoever takes
 * the connection sets the session up, checks the reader and looks the relation up as on a new one.
 */
#include <string.h>

#include <apr_strings.h>

#include "core/clock.h"
#include "source/private.h"

/* What else was changed for new sessions (a password, pg_hba.conf) counts after this at the latest. */
#define AGE_MS 60000

/* A server that does not answer in this time to what ends a run is not waited for. */
#define CLEAN_MS   5000
#define PARTING_MS 1000 /* nor is this of one that is not to be used again */

struct udm_source_hold_t {
    apr_pool_t *pool; /* of the connection: cleared with it */
    udm_pg_t *db;     /* NULL: there is none */
    const char *conninfo;
    apr_int64_t made;
    apr_int64_t used; /* when it was given back */
    bool lent;
    bool spent; /* not to be used once more: only its end is waited for */
};

static void drop(udm_source_hold_t *hold)
{
    if (hold->spent && hold->db) {
        /* A pooler closes its session where a transaction has not ended. */
        hold->db->patience = PARTING_MS;
        PQclear(udm_pg_answer(hold->db, 1));
    }
    hold->db = NULL;
    hold->lent = hold->spent = false;
    apr_pool_clear(hold->pool);
}

/* Before the pool of the connection goes. */
static apr_status_t part(void *data)
{
    drop(data);
    return APR_SUCCESS;
}

udm_source_hold_t *udm_source_hold_make(apr_pool_t *p)
{
    udm_source_hold_t *hold = apr_pcalloc(p, sizeof(*hold));

    apr_pool_create(&hold->pool, p);
    apr_pool_pre_cleanup_register(p, hold, part);
    return hold;
}

bool udm_source_hold_expire(udm_source_hold_t *hold)
{
    if (hold->db && udm_clock_ms() - hold->used >= UDM_SOURCE_HOLD_MS) {
        drop(hold);
    }
    return hold->db != NULL;
}

/* Whether the connection is to the same server as the same reader, and can be used once more. */
static bool fits(const udm_source_hold_t *hold, const char *conninfo)
{
    apr_int64_t now = udm_clock_ms();

    return hold->db && !hold->lent && !hold->spent && strcmp(hold->conninfo, conninfo) == 0 &&
           now - hold->made < AGE_MS && now - hold->used < UDM_SOURCE_HOLD_MS;
}

/* Takes the answer to the ROLLBACK, which was not waited for. @return whether it went well */
static bool is_clean(udm_source_hold_t *hold)
{
    PGresult *result = udm_pg_answer(hold->db, 1);
    bool good = PQresultStatus(result) == PGRES_COMMAND_OK;

    PQclear(result);
    return good && PQtransactionStatus(hold->db->conn) == PQTRANS_IDLE;
}

/*
 * Whether the server would let the reader in as it is now: what was taken from a role counts for the
 * next run, not only for the next session.
 */
static bool may_log_in(udm_pg_t *db, apr_pool_t *p)
{
    udm_result_t *row;
    udm_error_t *error =
        udm_pg_query_text(&row, p, db,
                          "SELECT rolcanlogin AND coalesce(rolvaliduntil > pg_catalog.now(), true)"
                          " AND pg_catalog.has_database_privilege(current_database(), 'CONNECT')"
                          " FROM pg_catalog.pg_roles WHERE rolname = session_user",
                          0, NULL);

    return !error && row->rows == 1 && udm_result_bool(row, 0, 0);
}

udm_error_t *udm_source_hold_take(udm_pg_t **db, udm_source_hold_t *hold, apr_pool_t *p,
                                  const char *conninfo, const udm_stop_t *stop)
{
    udm_error_t *error = NULL;

    *db = NULL;
    if (fits(hold, conninfo)) {
        hold->db->stop = stop;
        if (is_clean(hold) && !udm_pg_discard(p, hold->db) && may_log_in(hold->db, p)) {
            *db = hold->db;
        }
    }
    if (!*db && udm_stop_raised(stop)) {
        error = udm_error_make(p, UDM_E_STOPPED, "the export was stopped");
        drop(hold);
    }
    else if (!*db) {
        /* Also when the one that was kept broke: that says nothing about a new one. */
        drop(hold);
        hold->conninfo = apr_pstrdup(hold->pool, conninfo);
        hold->made = udm_clock_ms();
        error = udm_pg_connect(db, hold->pool, conninfo, "udm-worker", UDM_E_SOURCE, stop);
        error = error ? udm_error_copy(p, error) : NULL;
    }
    if (!error) {
        hold->db = *db;
        hold->db->stop = stop;
        hold->lent = true;
    }
    return error;
}

void udm_source_hold_drop(udm_source_hold_t *hold)
{
    drop(hold);
}

void udm_source_hold_give_back(udm_source_hold_t *hold, bool pooled)
{
    PGconn *conn = hold->db->conn;

    hold->lent = false;
    hold->spent = pooled;
    hold->used = udm_clock_ms();
    hold->db->stop = NULL;
    hold->db->patience = CLEAN_MS;
    /*
     * Only after a run that came to its end. The snapshot goes at once; the answer is read by whoever
     * takes the connection, so that a server which is frozen now holds up nobody.
     */
    if (PQstatus(conn) != CONNECTION_OK || PQtransactionStatus(conn) != PQTRANS_INTRANS ||
        !PQsendQuery(conn, "ROLLBACK")) {
        drop(hold);
    }
}
