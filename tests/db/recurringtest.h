/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * recurringtest.h: what the tests of recurring jobs share; it is in test_recurring.c.
 */
#ifndef UDM_RECURRINGTEST_H
#define UDM_RECURRINGTEST_H

#include "db/control.h"
#include "db/queue.h"

/* A job with this schedule that takes what came since its last run. */
udm_job_t *recurringtest_moving(const char *schedule);

/* acme creates a job; its id. */
apr_int64_t recurringtest_create(const udm_job_t *job);

/* acme changes a job of its own. */
void recurringtest_change(udm_change what, apr_int64_t id);

/* Makes the runs that are due; how many those are. */
int recurringtest_schedule(void);

/* SQL about the only job `j` and its latest run `r`. */
const char *recurringtest_state(const char *expressions);

/* As if the job had been due for so long, and had been accepted long before. */
void recurringtest_make_due(const char *interval);

/* Takes the run that waits, whatever its settle time. */
udm_run_t *recurringtest_claim(void);

/* The run ends well, with one file. */
void recurringtest_complete(const udm_run_t *run);

#endif
