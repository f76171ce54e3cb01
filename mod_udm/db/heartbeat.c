/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * heartbeat.c: writes a worker's row, and removes those of workers that are gone for long.
 */
#include "db/heartbeat.h"

/* The row that is there is only updated, in columns without an index: its page is all that changes. */
static const udm_statement_t beat = {
    "udm_heartbeat_write",
    "INSERT INTO udm.worker AS w (id, host, pid, version, slots, state)"
    " VALUES ($1, $2, $3::integer, $4, $5::integer, $6)"
    " ON CONFLICT (id) DO UPDATE SET seen_at = now(), state = excluded.state"};

static const udm_statement_t forget = {
    "udm_heartbeat_forget",
    "DELETE FROM udm.worker WHERE id <> $1 AND seen_at < now() - interval '1 day'"};

udm_error_t *udm_heartbeat_write(apr_pool_t *p, udm_db_t *db, const udm_heartbeat_t *heartbeat)
{
    const char *values[6] = {heartbeat->id,
                             heartbeat->host,
                             udm_db_int(p, heartbeat->pid),
                             heartbeat->version,
                             udm_db_int(p, heartbeat->slots),
                             heartbeat->state};
    udm_result_t *result;

    return udm_db_query(&result, p, db, &beat, 6, values);
}

udm_error_t *udm_heartbeat_forget(apr_pool_t *p, udm_db_t *db, const char *id)
{
    udm_result_t *result;

    return udm_db_query(&result, p, db, &forget, 1, &id);
}
