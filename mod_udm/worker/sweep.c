/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep.c: takes orphans out of the store: what a worker that died left behind, or one that woke up
 * when its run was somebody else's.
 *
 * Each has stayed for a while first: what is known to be over, for an hour; what nothing is known of,
 * for a day, because the database may be the one that does not know better.
 */
#include "worker/sweep.h"

#include "db/retention.h"
#include "worker/storage.h"

#define BATCH 500

struct udm_sweep_t {
    udm_worker_t *worker;
    udm_store_t *store;
    udm_store_listing_t *listing;
    apr_int64_t seen;
    apr_int64_t removed;
};

udm_error_t *udm_sweep_begin(udm_sweep_t **sweep, apr_pool_t *p, udm_worker_t *worker, udm_pg_t *db)
{
    udm_sweep_t *s = apr_pcalloc(p, sizeof(*s));
    udm_error_t *error;

    *sweep = NULL;
    s->worker = worker;
    error = udm_storage_open(&s->store, p, worker, db, UDM_STORAGE_FIND);
    if (!error) {
        error = s->store->list(&s->listing, s->store, p);
    }
    if (!error) {
        *sweep = s;
    }
    return error;
}

/* Those of `found` that the database is to be asked about, and their names. */
static apr_array_header_t *old_enough(apr_array_header_t **names, apr_pool_t *p,
                                      const apr_array_header_t *found, apr_time_t before)
{
    apr_array_header_t *old = apr_array_make(p, 8, sizeof(udm_stored_t));
    int i;

    *names = apr_array_make(p, 8, sizeof(const char *));
    for (i = 0; i < found->nelts; i++) {
        const udm_stored_t *stored = &APR_ARRAY_IDX(found, i, udm_stored_t);

        if (stored->changed <= before) {
            APR_ARRAY_PUSH(old, udm_stored_t) = *stored;
            APR_ARRAY_PUSH(*names, const char *) = stored->name;
        }
    }
    return old;
}

/* One that cannot be removed does not keep the others; its error is returned. */
static udm_error_t *remove_orphans(udm_sweep_t *s, apr_pool_t *p, udm_pg_t *db,
                                   const apr_array_header_t *found)
{
    const udm_settings_t *settings = s->worker->settings;
    apr_time_t now = apr_time_now();
    apr_time_t dead = now - apr_time_from_sec(settings->dead_age);
    apr_time_t unknown = now - apr_time_from_sec(settings->orphan_age);
    apr_array_header_t *old, *names, *orphans;
    udm_error_t *error, *failed = NULL;
    int i;

    old = old_enough(&names, p, found, dead > unknown ? dead : unknown);
    if (old->nelts == 0) {
        return NULL;
    }
    error = udm_retention_orphans(&orphans, p, db, names);
    for (i = 0; !error && i < orphans->nelts && udm_worker_goes_on(s->worker); i++) {
        const udm_orphan_t *orphan = &APR_ARRAY_IDX(orphans, i, udm_orphan_t);
        const udm_stored_t *stored = &APR_ARRAY_IDX(old, orphan->index, udm_stored_t);
        udm_error_t *stays;

        if (stored->changed > (orphan->dead ? dead : unknown)) {
            continue;
        }
        stays = s->store->remove(s->store, p, stored->name);
        if (stays) {
            failed = stays;
        }
        else {
            s->removed++;
        }
    }
    return error ? error : failed;
}

udm_error_t *udm_sweep_batch(bool *more, udm_sweep_t *sweep, apr_pool_t *p, udm_pg_t *db)
{
    udm_log_level limit = sweep->worker->settings->log_level;
    apr_array_header_t *found;
    udm_error_t *error, *failed;

    failed = sweep->store->next(&found, more, sweep->listing, p, BATCH);
    sweep->seen += found->nelts;
    error = remove_orphans(sweep, p, db, found);
    if (!*more) {
        udm_log(limit, sweep->removed > 0 ? UDM_LOG_INFO : UDM_LOG_DEBUG,
                "UDM0242: orphans taken out of the store: %" APR_INT64_T_FMT " of %" APR_INT64_T_FMT
                " objects",
                sweep->removed, sweep->seen);
    }
    return error ? error : failed;
}
