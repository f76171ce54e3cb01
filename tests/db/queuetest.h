/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * queuetest.h: what the tests of the queue share; it is in test_queue.c.
 */
#ifndef UDM_QUEUETEST_H
#define UDM_QUEUETEST_H

#include "db/queue.h"

/* A job with a queued run, as the API would make them; returns the run's id in decimal. */
const char *queuetest_queued(const char *title);

/* A job that is not due before `next` (SQL), suspended or not (SQL, too); returns its id. */
const char *queuetest_planned(const char *next, const char *suspended);

/* The run that the queue gives; NULL: none. */
udm_run_t *queuetest_claimed(const char *worker_id);

/* udm_queue_claim of a slot that is no reserve. */
udm_error_t *queuetest_claim(udm_run_t **run, apr_pool_t *p, udm_pg_t *db, const char *worker_id,
                             int max_attempts);

/* Renews the lease of one run: `wanted` is false when it is UNWANTED; UDM_E_LOST when it is LOST. */
udm_error_t *queuetest_renew(bool *wanted, apr_pool_t *p, udm_pg_t *db, const udm_run_t *run,
                             int percent, apr_int64_t rows);

/* udm_queue_schedule until there is no more: `made` gets how many it made in all. */
udm_error_t *queuetest_schedule(int *made, apr_time_t *next, apr_pool_t *p, udm_pg_t *db);

/* Changes a run, or its job, behind everybody's back: `assignment` in SQL. */
void queuetest_set_run(const udm_run_t *run, const char *assignment);
void queuetest_set_job(const udm_run_t *run, const char *assignment);

/* What SQL says of a run `r`, its progress `p` and its job `j`. */
const char *queuetest_run_value(const udm_run_t *run, const char *expression);

/* The run's lease is over. */
void queuetest_expire_lease(const udm_run_t *run);

/* The files of an export. */
apr_array_header_t *queuetest_two_parts(void);

#endif
