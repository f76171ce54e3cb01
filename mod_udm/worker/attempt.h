/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt.h: one attempt of a run: the export, and how it ends.
 */
#ifndef UDM_WORKER_ATTEMPT_H
#define UDM_WORKER_ATTEMPT_H

#include "worker/slot.h"

/*
 * Exports the run that the slot has claimed, and writes how that ended, fenced: losing the lease
 * meanwhile costs work but never correctness. Of the slot's own thread.
 */
void udm_attempt_run(udm_slot_t *slot, udm_run_t *run);

#endif
