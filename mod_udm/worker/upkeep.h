/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * upkeep.h: what the purger's thread does for the database: see db/retention.h.
 */
#ifndef UDM_WORKER_UPKEEP_H
#define UDM_WORKER_UPKEEP_H

#include "worker/slot.h"

/* Goes on with contact centres that are being removed, as far as that can be done now. */
udm_error_t *udm_upkeep_tenants(apr_pool_t *p, udm_worker_t *worker, udm_pg_t *db);

/*
 * Removes all that is older than the settings say, in steps that give way to others, and forgets what
 * nobody needs any more. `p` is cleared between the steps.
 */
udm_error_t *udm_upkeep_pass(apr_pool_t *p, udm_worker_t *worker, udm_pg_t *db);

#endif
