/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * leases.h: a thread of its own that renews the leases of what the slots run, hears by that whether it
 * is still wanted, and says that the worker is there. It goes on until nothing runs any more.
 */
#ifndef UDM_WORKER_LEASES_H
#define UDM_WORKER_LEASES_H

#include "worker/worker.h"

/* Starts it; it ends with UDM_PHASE_OVER. */
udm_error_t *udm_leases_start(apr_thread_t **thread, apr_pool_t *p, udm_worker_t *worker);

#endif
