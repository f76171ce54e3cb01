/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * quota.c: holds what brings more work against the limits of a contact centre.
 */
#include "db/quota.h"

#include <string.h>

#include <apr_strings.h>

/* Each limit, what there is as much of as it allows, and what to do. */
static const struct {
    const char *name, *what, *help;
} limits[] = {
    {"queued", "the contact center has as many runs in the queue",
     "wait until some have begun, or cancel some"},
    {"recurring", "the contact center has as many recurring jobs",
     "suspend or delete one, or wait until one is over"},
    {"bytes_per_day", "the exports of the contact center made as many bytes in 24 hours",
     "wait as long as Retry-After says"},
};

/* clang-format off */
static const udm_statement_t check = {
    "udm_quota_check",
    "SELECT o.quota, o.most, o.wait FROM udm.quota q, LATERAL udm.over_quota(q.ccid,"
    " ARRAY[$2::bigint], ARRAY[$3::boolean], ARRAY[$4::boolean]) o WHERE q.ccid = $1"};
/* clang-format on */

udm_error_t *udm_quota_refusal(apr_pool_t *p, const udm_result_t *rows, int row, int column)
{
    const char *name = udm_result_text(rows, row, column);
    udm_error_t *error;
    size_t i = 0;

    if (!name) {
        return NULL;
    }
    while (i < sizeof(limits) / sizeof(*limits) - 1 && strcmp(limits[i].name, name) != 0) {
        i++;
    }
    error = udm_error_make(p, UDM_E_QUOTA, "%s as its quota \"%s\" allows (%s): %s", limits[i].what,
                           name, udm_result_text(rows, row, column + 1), limits[i].help);
    error->retry_after = (int)udm_result_int(rows, row, column + 2);
    return error;
}

udm_error_t *udm_quota_check(apr_pool_t *p, udm_pg_t *db, const char *ccid, apr_int64_t job,
                             bool run, bool recur)
{
    const char *values[4] = {ccid, udm_pg_int(p, job), run ? "t" : "f", recur ? "t" : "f"};
    udm_result_t *rows;
    udm_error_t *error = udm_pg_query(&rows, p, db, &check, 4, values);

    return error || rows->rows == 0 ? error : udm_quota_refusal(p, rows, 0, 0);
}

const char *udm_quota_put_off(apr_pool_t *p, const char *apart)
{
    return apr_pstrcat(p, "runs of a recurring job of the contact center are at least ", apart,
                       " apart", NULL);
}
