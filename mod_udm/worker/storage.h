/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * storage.h: the one way in which the worker comes to its store.
 */
#ifndef UDM_WORKER_STORAGE_H
#define UDM_WORKER_STORAGE_H

#include "store/store.h"
#include "worker/worker.h"

typedef enum {
    UDM_STORAGE_FIND, /* the store that there is */
    UDM_STORAGE_BEGIN /* one that is begun now, if the installation has none yet */
} udm_storage_mode;

/*
 * Opens the store, for as long as `p` lives, so that nothing is ever taken for it that is not: open it
 * anew for each piece of work, and do not hold it open without.
 * @return UDM_E_STORE, or UDM_E_DATABASE
 */
udm_error_t *udm_storage_open(udm_store_t **store, apr_pool_t *p, const udm_worker_t *worker,
                              udm_pg_t *db, udm_storage_mode mode);

/* Logs the first failure of a store that is away, and the end of that. Any thread. */
void udm_storage_down(udm_worker_t *worker, apr_pool_t *p, const udm_error_t *error);
void udm_storage_up(udm_worker_t *worker);

#endif
