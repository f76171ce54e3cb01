/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep.h: looks once through the store and takes out what belongs to nothing.
 */
#ifndef UDM_WORKER_SWEEP_H
#define UDM_WORKER_SWEEP_H

#include "worker/worker.h"

typedef struct udm_sweep_t udm_sweep_t;

/* Opens the store, for as long as `p` lives. @return UDM_E_STORE, or an error of the database */
udm_error_t *udm_sweep_begin(udm_sweep_t **sweep, apr_pool_t *p, udm_worker_t *worker,
                             udm_pg_t *db);

/*
 * Looks at some of it; `more` gets whether there is more, also after UDM_E_STORE: then something stays
 * for the next sweep.
 */
udm_error_t *udm_sweep_batch(bool *more, udm_sweep_t *sweep, apr_pool_t *p, udm_pg_t *db);

#endif
