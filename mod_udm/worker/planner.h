/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * planner.h: a thread of its own that makes the runs of due jobs, a small batch at a time, and between
 * them hears notifications and passes them on: to the slots, the leases and the purger.
 */
#ifndef UDM_WORKER_PLANNER_H
#define UDM_WORKER_PLANNER_H

#include "worker/worker.h"

/*
 * Starts it; it ends with the phase of work. First it finds out whether database and store are as they
 * should be, and says so by worker->ready, or fails the worker.
 */
udm_error_t *udm_planner_start(apr_thread_t **thread, apr_pool_t *p, udm_worker_t *worker);

#endif
