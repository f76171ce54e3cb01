/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * growth.c: calls the functions of the schema that remove what is over. They run with rights that a
 * worker has not, and hold on to the least ages that are allowed, whatever a worker asks for.
 */
#include "db/growth.h"

/* Rows that are looked at in one step. */
#define BATCH "2000"

static const udm_statement_t purges[] = {
    [UDM_GROWTH_RUNS] = {"udm_growth_runs",
                         "SELECT * FROM udm.purge_runs($1::integer, $2::bigint, " BATCH ")"},
    [UDM_GROWTH_JOBS] = {"udm_growth_jobs",
                         "SELECT * FROM udm.purge_jobs($1::integer, $2::bigint, " BATCH ")"},
    [UDM_GROWTH_FILES] = {"udm_growth_files",
                          "SELECT * FROM udm.purge_files($1::integer, $2::bigint, " BATCH ")"},
    [UDM_GROWTH_AUDIT] = {"udm_growth_audit",
                          "SELECT * FROM udm.purge_audit($1::integer, $2::bigint, " BATCH ")"},
};

static const udm_statement_t end_tenants = {"udm_growth_end_tenants",
                                            "SELECT udm.end_tenants(" BATCH ")"};
static const udm_statement_t forget_types = {"udm_growth_forget_types",
                                             "SELECT udm.forget_gone_types()"};

udm_error_t *udm_growth_purge(apr_int64_t *gone, apr_int64_t *after, apr_pool_t *p, udm_db_t *db,
                              udm_growth_kind kind, int days)
{
    const char *values[2] = {udm_db_int(p, days), udm_db_int(p, *after)};
    udm_result_t *row;
    udm_error_t *error = udm_db_query(&row, p, db, &purges[kind], 2, values);

    *gone = *after = 0;
    if (!error) {
        *after = udm_result_int(row, 0, 0);
        *gone = udm_result_int(row, 0, 1);
    }
    return error;
}

udm_error_t *udm_growth_end_tenants(bool *more, apr_pool_t *p, udm_db_t *db)
{
    udm_result_t *row;
    udm_error_t *error = udm_db_query(&row, p, db, &end_tenants, 0, NULL);

    *more = !error && udm_result_bool(row, 0, 0);
    return error;
}

udm_error_t *udm_growth_forget_types(apr_pool_t *p, udm_db_t *db)
{
    udm_result_t *row;

    return udm_db_query(&row, p, db, &forget_types, 0, NULL);
}
