/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * storage.c: opens the store. The database knows whether the installation has one: only while it has
 * none a directory becomes it, so that the empty one below a volume that is not mounted never does.
 */
#include "worker/storage.h"

#include "db/installation.h"

static udm_error_t *adopt(apr_pool_t *p, const char *id, void *baton)
{
    return udm_store_local_adopt(p, baton, id);
}

udm_error_t *udm_storage_open(udm_store_t **store, apr_pool_t *p, const udm_worker_t *worker,
                              udm_pg_t *db, udm_storage_mode mode)
{
    const char *root = worker->settings->store;
    bool begun = false;
    udm_error_t *error;
    bool has_store;
    const char *id;

    error = udm_installation_read(&id, &has_store, p, db);
    if (!error && !has_store && mode == UDM_STORAGE_BEGIN) {
        error = udm_installation_begin_store(p, db, adopt, (void *)root);
        begun = true;
    }
    if (!error) {
        error = udm_store_local_open(store, p, root, id);
    }
    if (!error && begun) {
        udm_log(worker->settings->log_level, UDM_LOG_INFO,
                "UDM0226: from now on %s is this installation's store", root);
    }
    return error;
}

void udm_storage_down(udm_worker_t *worker, apr_pool_t *p, const udm_error_t *error)
{
    bool first;

    apr_thread_mutex_lock(worker->lock);
    first = !worker->store_away;
    worker->store_away = true;
    apr_thread_mutex_unlock(worker->lock);
    udm_log(worker->settings->log_level, first ? UDM_LOG_ERROR : UDM_LOG_DEBUG,
            "UDM0222: the store cannot be used, nothing is exported until it can: %s",
            udm_error_line(p, error));
}

void udm_storage_up(udm_worker_t *worker)
{
    bool was;

    apr_thread_mutex_lock(worker->lock);
    was = worker->store_away;
    worker->store_away = false;
    apr_thread_mutex_unlock(worker->lock);
    if (was) {
        udm_log(worker->settings->log_level, UDM_LOG_INFO, "UDM0227: the store can be used again");
    }
}
