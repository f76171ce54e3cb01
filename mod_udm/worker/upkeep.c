/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * upkeep.c: one pass over what the database keeps for a time, oldest first. Between two steps that
 * removed something there is a pause as long as a step, so that nobody else is slowed down for long.
 */
#include "core/clock.h"
#include "worker/upkeep.h"

#include "db/installation.h"
#include "db/retention.h"

#define LIMIT(worker) ((worker)->settings->log_level)
#define PAUSE_MAX     apr_time_from_sec(1)

/* One kind, to its end; `total` gets how many rows went. */
static udm_error_t *purge_kind(apr_int64_t *total, apr_pool_t *p, udm_worker_t *worker,
                               udm_pg_t *db, udm_retention_kind kind, int days)
{
    apr_int64_t gone, after = 0;
    udm_error_t *error;

    *total = 0;
    if (days == 0) {
        return NULL;
    }
    do {
        apr_int64_t began = udm_clock_ms();

        apr_pool_clear(p);
        error = udm_retention_purge(&gone, &after, p, db, kind, days);
        *total += gone;
        if (gone > 0 && after > 0) {
            apr_interval_time_t pause = (udm_clock_ms() - began) * 1000;

            apr_sleep(pause < PAUSE_MAX ? pause : PAUSE_MAX);
        }
    } while (!error && after > 0 && udm_worker_goes_on(worker));
    return error;
}

udm_error_t *udm_upkeep_tenants(apr_pool_t *p, udm_worker_t *worker, udm_pg_t *db)
{
    udm_error_t *error;
    bool more;

    do {
        error = udm_retention_end_tenants(&more, p, db);
    } while (!error && more && udm_worker_goes_on(worker));
    return error;
}

udm_error_t *udm_upkeep_pass(apr_pool_t *p, udm_worker_t *worker, udm_pg_t *db)
{
    const udm_settings_t *settings = worker->settings;
    apr_int64_t runs = 0, jobs = 0, files = 0, audit = 0;
    udm_error_t *error;

    error = purge_kind(&runs, p, worker, db, UDM_RETENTION_RUNS, settings->history_days);
    if (!error) {
        error = purge_kind(&jobs, p, worker, db, UDM_RETENTION_JOBS, settings->history_days);
    }
    if (!error) {
        error = purge_kind(&files, p, worker, db, UDM_RETENTION_FILES, settings->tombstone_days);
    }
    if (!error) {
        error = purge_kind(&audit, p, worker, db, UDM_RETENTION_AUDIT, settings->audit_days);
    }
    if (runs + jobs + files + audit > 0) {
        udm_log(LIMIT(worker), UDM_LOG_INFO,
                "UDM0522: gone after their time: history records %" APR_INT64_T_FMT
                ", jobs without any %" APR_INT64_T_FMT ", removed files %" APR_INT64_T_FMT
                ", audit rows %" APR_INT64_T_FMT,
                runs, jobs, files, audit);
    }
    if (!error) {
        error = udm_retention_forget_types(p, db);
    }
    if (!error) {
        error = udm_heartbeat_forget(p, db, worker->name);
    }
    return error;
}
