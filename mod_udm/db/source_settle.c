/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * source_settle.c: whether everything that is stamped inside a moving window can be seen by now.
 *
 * A transaction may stamp a row long before it commits. So the first look notes the next id that
 * the source will give to a writing transaction, and the window is settled once all that were
 * given a lower one are over. Needs no right but to connect.
 */
#include <apr_strings.h>

#include "core/text.h"
#include "db/source_private.h"

/* clang-format off */
static const char look_sql[] =
    "SELECT pg_snapshot_xmax(s)::text,"
    " pg_snapshot_xmin(s) >= coalesce($1::text, pg_snapshot_xmax(s)::text)::xid8"
    " FROM pg_current_snapshot() s";

/* When others' transactions began is shown to some roles only, and for prepared ones to none. */
static const char oldest_sql[] =
    "SELECT pg_has_role('pg_read_all_stats', 'USAGE') AND NOT EXISTS (SELECT FROM pg_prepared_xacts),"
    " (SELECT " UDM_DB_TIME("min(xact_start)") " FROM pg_stat_activity"
    " WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid())";
/* clang-format on */

/* Asks the source on a connection of its own. */
static udm_error_t *ask(udm_result_t **result, apr_pool_t *p, const char *source_dir,
                        const udm_data_type_t *type, const char *sql, int count,
                        const char *const *values)
{
    const char *conninfo;
    udm_db_t *db;
    udm_error_t *error = udm_source_read_connection(&conninfo, p, source_dir, type);

    if (!error) {
        error = udm_db_connect(&db, p, conninfo, "udm-worker", UDM_E_SOURCE);
    }
    if (!error) {
        error = udm_db_query_text(result, p, db, sql, count, values);
    }
    if (error && !udm_source_permanent(error)) {
        error->kind = UDM_E_SOURCE;
        error->reason = apr_psprintf(p, "the source \"%s\" does not answer", type->source);
    }
    return error;
}

udm_error_t *udm_source_settle(bool *settled, const char **barrier, apr_pool_t *p,
                               const char *source_dir, const udm_data_type_t *type)
{
    udm_result_t *row;
    udm_error_t *error;

    *settled = false;
    error = ask(&row, p, source_dir, type, look_sql, 1, barrier);
    if (error) {
        return error;
    }
    *settled = udm_result_bool(row, 0, 1);
    if (!*barrier) {
        *barrier = udm_result_text(row, 0, 0);
    }
    return NULL;
}

udm_error_t *udm_source_oldest_writer(apr_time_t *began, apr_pool_t *p, const char *source_dir,
                                      const udm_data_type_t *type)
{
    udm_result_t *row;
    udm_error_t *error = ask(&row, p, source_dir, type, oldest_sql, 0, NULL);

    *began = UDM_NO_TIME;
    if (error) {
        return error;
    }
    if (!udm_result_bool(row, 0, 0)) {
        return udm_source_lasting(udm_error_make(
            p, UDM_E_SOURCE,
            "a transaction in source \"%s\" has been open for so long that rows of it might be "
            "missed, and its reader may not see since when: end it, or grant the reader "
            "pg_read_all_stats; the next run takes up where the last complete one ended",
            type->source));
    }
    *began = udm_result_time(row, 0, 1);
    return NULL;
}
