/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h: changes of jobs and history records: cancel, suspend, resume, replace, delete.
 *
 * Each is one transaction: it locks the job's run and the job (in that order, as everything does
 * that locks both), asks core/transition.h, writes what that says, and the audit. Everything
 * filters by tenant and rights: what is not visible does not exist; what is visible but may not be
 * written is UDM_E_FORBIDDEN.
 */
#ifndef UDM_DB_CONTROL_H
#define UDM_DB_CONTROL_H

#include "core/transition.h"
#include "db/job.h"

/* If-Match: the change is made only while the job, as this version's GET shows it, has that tag. */
typedef struct udm_condition_t {
    const char *if_match; /* the header; NULL: no condition */
    udm_version version;
} udm_condition_t;

/*
 * Any change but UDM_CHANGE_REPLACE. `info` gets the job afterwards, or NULL when it was deleted.
 * The audit says "job.cancel" and so on, and nothing when all was so already. `condition` may be
 * NULL.
 * @return UDM_E_NOT_FOUND; UDM_E_INVALID when the state does not allow it; UDM_E_PRECONDITION
 */
udm_error_t *udm_job_change(udm_job_info_t **info, apr_pool_t *p, udm_pg_t *db, udm_change change,
                            apr_int64_t id, const udm_condition_t *condition,
                            const udm_audit_t *audit);

/*
 * PUT: checks the job as udm_job_create does and plans it anew under its id ("job.replace"). The
 * watermark is kept only if source, type, filters and time frame are as they were.
 * @return as both
 */
udm_error_t *udm_job_replace(udm_job_info_t **info, apr_pool_t *p, udm_pg_t *db, apr_int64_t id,
                             const udm_job_t *job, const udm_condition_t *condition,
                             const udm_audit_t *audit);

/* One history record ("run.delete"); its files stay. @return as udm_job_change */
udm_error_t *udm_run_delete(apr_pool_t *p, udm_pg_t *db, apr_int64_t id, const udm_audit_t *audit);

/*
 * Many jobs, or many history records (`runs`), each in a transaction of its own. `ids` and `left`
 * are arrays of apr_int64_t; `left` gets those that were not deleted, in the order asked. An error
 * of the database ends it: what was deleted before stays deleted.
 */
udm_error_t *udm_job_delete_many(apr_array_header_t **left, apr_pool_t *p, udm_pg_t *db, bool runs,
                                 const apr_array_header_t *ids, const udm_audit_t *audit);

#endif
