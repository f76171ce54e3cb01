/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.c: what other threads do with the run of a slot: they stop it.
 */
#include "worker/slot.h"

#include "core/clock.h"

#define LEASE_MS (UDM_LEASE_SECONDS * 1000)

#define LIMIT(worker) ((worker)->settings->log_level)

void udm_slot_stop(udm_slot_t *slot, udm_verdict verdict)
{
    if (!slot->run) {
        return;
    }
    if (slot->verdict == UDM_VERDICT_NONE) {
        slot->verdict = verdict;
    }
    udm_stop_raise(&slot->watch.stop);
}

void udm_slot_stop_stale(udm_worker_t *worker)
{
    apr_int64_t now = udm_clock_ms();
    int i;

    apr_thread_mutex_lock(worker->lock);
    for (i = 0; i < worker->slot_count; i++) {
        udm_slot_t *slot = worker->slots[i];

        if (slot->run && slot->verdict == UDM_VERDICT_NONE && now - slot->renewed > LEASE_MS) {
            udm_log(LIMIT(worker), UDM_LOG_WARN,
                    "UDM0235: run %" APR_INT64_T_FMT
                    " is stopped: its lease could not be renewed in time",
                    slot->run->id);
            udm_slot_stop(slot, UDM_VERDICT_LOST);
        }
    }
    apr_thread_mutex_unlock(worker->lock);
}
