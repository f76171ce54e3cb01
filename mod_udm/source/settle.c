/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * settle.c: whether everything that is stamped inside a moving window can be seen by now.
 *
 * A transaction may stamp a row long before it commits. So the first look takes an id of the source
 * for itself, and the window is settled once all writing transactions that were given a lower one
 * are over. The end of a snapshot would not do: it is what follows the highest id that is over, and
 * a writer that is still open may have that very id. Needs no right but to connect.
 */
#include <apr_strings.h>

#include "core/calendar.h"
#include "source/private.h"

/* clang-format off */
static const char look_sql[] =
    "SELECT b::text, pg_snapshot_xmin(pg_current_snapshot()) >= b"
    " FROM (SELECT CASE WHEN $1::text IS NOT NULL THEN $1::xid8"
    " WHEN NOT pg_is_in_recovery() THEN pg_current_xact_id() END AS b OFFSET 0) s";

/*
 * When others' transactions began is shown to some roles only, and by no server for prepared ones,
 * nor by a standby for any: first, whether it can be known; then whether it is for prepared ones
 * that it cannot. Those are counted last, so that one which is prepared meanwhile is not missed. A
 * transaction of another database writes nothing in this one.
 */
static const char oldest_sql[] =
    "SELECT known AND prepared = 0, prepared > 0, " UDM_PG_TIME("began") " FROM (SELECT w.*,"
    " (SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()"
    " AND w.known IS NOT NULL) AS prepared"
    " FROM (SELECT NOT pg_is_in_recovery() AND count(xact_start) = count(*) AS known,"
    " min(xact_start) AS began FROM pg_stat_activity WHERE backend_xid IS NOT NULL"
    " AND datname = current_database() AND pid <> pg_backend_pid() OFFSET 0) w OFFSET 0) p";
/* clang-format on */

/*
 * Asks the source on a connection of its own, which does not outlive the question, in a transaction
 * that can write nothing; it can have an id all the same.
 */
static udm_error_t *ask(udm_result_t **result, apr_pool_t *p, const char *source_dir,
                        const udm_data_type_t *type, const udm_stop_t *stop, const char *sql,
                        int count, const char *const *values)
{
    const char *conninfo;
    apr_pool_t *own;
    udm_pg_t *db;
    udm_error_t *error = udm_source_read_connection(&conninfo, p, source_dir, type);

    apr_pool_create(&own, p);
    if (!error) {
        error = udm_pg_connect(&db, own, conninfo, "udm-worker", UDM_E_SOURCE, stop);
    }
    if (!error) {
        error = udm_pg_begin(own, db, "ISOLATION LEVEL READ COMMITTED, READ ONLY");
    }
    if (!error) {
        error = udm_pg_query_text(result, p, db, sql, count, values);
    }
    if (error) {
        error = udm_error_copy(p, error);
    }
    apr_pool_destroy(own);
    if (error && error->kind != UDM_E_STOPPED && !udm_source_permanent(error)) {
        error->kind = UDM_E_SOURCE;
        error->reason = udm_source_away(p, type);
    }
    return error;
}

udm_error_t *udm_source_settle(bool *settled, const char **barrier, apr_pool_t *p,
                               const char *source_dir, const udm_data_type_t *type,
                               const udm_stop_t *stop)
{
    udm_result_t *row = NULL;
    udm_error_t *error;

    *settled = false;
    error = ask(&row, p, source_dir, type, stop, look_sql, 1, barrier);
    if (error) {
        return error;
    }
    if (!udm_result_text(row, 0, 0)) {
        return udm_source_lasting(
            udm_error_make(p, UDM_E_SOURCE,
                           "the source \"%s\" is a standby, which does not know what is still "
                           "being written: a job that takes what came since its last run needs "
                           "the primary",
                           type->source));
    }
    *settled = udm_result_bool(row, 0, 1);
    if (!*barrier) {
        *barrier = udm_result_text(row, 0, 0);
    }
    return NULL;
}

udm_error_t *udm_source_oldest_writer(apr_time_t *began, apr_pool_t *p, const char *source_dir,
                                      const udm_data_type_t *type, const udm_stop_t *stop)
{
    udm_result_t *row = NULL;
    udm_error_t *error = ask(&row, p, source_dir, type, stop, oldest_sql, 0, NULL);

    *began = UDM_NO_TIME;
    if (error) {
        return error;
    }
    if (!udm_result_bool(row, 0, 0)) {
        return udm_source_lasting(udm_error_make(
            p, UDM_E_SOURCE,
            "a %stransaction in source \"%s\" has been open for so long that rows of it might be "
            "missed, and its reader may not see since when: %s; the next run takes up where the "
            "last complete one ended",
            udm_result_bool(row, 0, 1) ? "prepared " : "", type->source,
            udm_result_bool(row, 0, 1) ? "commit it or roll it back"
                                       : "end it, or grant the reader pg_read_all_stats"));
    }
    *began = udm_result_time(row, 0, 2);
    return NULL;
}
