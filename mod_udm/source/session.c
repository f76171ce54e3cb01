/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c: a connection of the reader, and what its statements find in it: the values that they read by
 * current_setting(), and the bounds of the window.
 */
#include "core/calendar.h"
#include "source/private.h"

udm_error_t *udm_source_connect(udm_pg_t **db, udm_source_t *s, udm_source_hold_t *hold)
{
    udm_error_t *error;

    error = hold ? udm_source_hold_take(db, hold, s->pool, s->conninfo, s->stop)
                 : udm_pg_connect(db, s->pool, s->conninfo, "udm-worker", UDM_E_SOURCE, s->stop);
    if (error && error->kind == UDM_E_SOURCE) {
        error->reason = udm_source_away(s->pool, s->type);
    }
    if (error) {
        return error;
    }
    (*db)->stop = s->stop;
    (*db)->patience = UDM_SOURCE_SILENCE;
    return NULL;
}

/* clang-format off */
static const char settings_sql[] =
    "SELECT set_config('udm.ccid', $1::text, true),"
    " set_config('udm.media', $2::text, true),"
    " format('timestamptz %L', " UDM_PG_TIME_IN("$3") "),"
    " format('timestamptz %L', " UDM_PG_TIME_IN("$4") "),"
    " pg_current_snapshot()::text";
/* clang-format on */

/* The bounds of the window as SQL; where there is none, PostgreSQL writes a NULL. */
static const char *bound(const udm_result_t *result, int column, apr_time_t time)
{
    return time != UDM_NO_TIME ? udm_result_text(result, 0, column) : NULL;
}

/*
 * The values that a statement reads with current_setting(), for this transaction only, and the
 * bounds of the window. As the first statement of the transaction it takes the snapshot.
 */
udm_error_t *udm_source_bind_settings(udm_source_t *s, udm_pg_t *db, const char *media)
{
    const char *values[4];
    udm_result_t *result;
    udm_error_t *error;

    values[0] = s->run->ccid;
    values[1] = media;
    values[2] = udm_pg_time(s->pool, s->run->window_from);
    values[3] = udm_pg_time(s->pool, s->run->window_to);
    error = udm_pg_query_text(&result, s->pool, db, settings_sql, 4, values);
    if (error) {
        return udm_source_explain_error(s, error, "its session");
    }
    s->from = bound(result, 2, s->run->window_from);
    s->to = bound(result, 3, s->run->window_to);
    s->snapshot = udm_result_text(result, 0, 4);
    return NULL;
}
