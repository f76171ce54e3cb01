/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * jobtest.h: what the tests of jobs share; it is in test_job.c.
 */
#ifndef UDM_JOBTEST_H
#define UDM_JOBTEST_H

#include "db/job.h"

/* Creates a job, which is taken; what is shown of it. */
udm_job_info_t *jobtest_create(const udm_job_t *job, const udm_principal_t *who);

/* Adds a medium by its name, which is kept. */
void jobtest_add_media(udm_job_t *job, const char *name);

/* Adds a filter whose value is JSON. */
void jobtest_add_filter(udm_job_t *job, const char *attribute, udm_filter_test test,
                        const char *value);

#endif
