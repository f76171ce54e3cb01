/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * job_private.h: what the files that create and replace jobs share. Private to db/.
 */
#ifndef UDM_DB_JOB_PRIVATE_H
#define UDM_DB_JOB_PRIVATE_H

#include "core/job.h"
#include "db/tenant.h"

/*
 * Plans a checked job anew under the id that it has: definition, schedule, and the first run if it
 * is due now; with the audit "job.replace". The caller has locked it and seen to its waiting run.
 */
udm_error_t *udm_job_plan_anew(apr_pool_t *p, udm_pg_t *db, apr_int64_t id,
                               const udm_job_t *checked, const udm_audit_t *audit);

/* The answer to what is not there, not visible, or another tenant's: the same for all three. */
udm_error_t *udm_job_unknown(apr_pool_t *p, bool run);

#endif
