/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * claimer.h: a thread that claims runs and exports them, one at a time.
 */
#ifndef UDM_WORKER_CLAIMER_H
#define UDM_WORKER_CLAIMER_H

#include "worker/slot.h"

/*
 * Starts one more slot. The reserve is there for who has nothing under way while all others are busy: what
 * one contact centre exports does not keep another one's first export from beginning.
 */
udm_error_t *udm_claimer_start(udm_slot_t **slot, apr_pool_t *p, udm_worker_t *worker, int number,
                               bool reserve);

#endif
