/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * purger.h: a thread of its own that takes removed and expired files out of the store, and what belongs
 * to nothing. Neither a store that hangs nor slots that are all busy hold anything else up through it.
 */
#ifndef UDM_WORKER_PURGER_H
#define UDM_WORKER_PURGER_H

#include "worker/worker.h"

/* Starts it; it ends with the phase of work. */
udm_error_t *udm_purger_start(apr_thread_t **thread, apr_pool_t *p, udm_worker_t *worker);

#endif
