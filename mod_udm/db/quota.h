/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * quota.h: what is said to a contact centre that is at one of its limits. The limits are those of
 * udm.set_quota(), and udm.over_quota() is the only place that holds requests against them. Private to db/.
 */
#ifndef UDM_DB_QUOTA_H
#define UDM_DB_QUOTA_H

#include "pg/client.h"

/* SQL: two columns of what is kept between two runs of a job, in microseconds and as text; NULL: nothing
 * is. `q` is the alias of udm.quota. */
#define UDM_QUOTA_APART(q)                                                                         \
    " (extract(epoch FROM " q ".least_interval) * 1000000)::bigint, " q ".least_interval::text"

/* Three columns from `column` on say which limit, its value, and when to try again (s). @return
 * UDM_E_QUOTA; NULL where the first of them is */
udm_error_t *udm_quota_refusal(apr_pool_t *p, const udm_result_t *rows, int row, int column);

/*
 * Whether a job may go on: `run` that its run goes back into the queue, `recur` that more follow. Until the
 * transaction ends nobody else takes the room.
 * @return UDM_E_QUOTA
 */
udm_error_t *udm_quota_check(apr_pool_t *p, udm_pg_t *db, const char *ccid, apr_int64_t job,
                             bool run, bool recur);

/* Why the next run of a job is later than its schedule says; `apart` as of UDM_QUOTA_APART. */
const char *udm_quota_put_off(apr_pool_t *p, const char *apart);

#endif
