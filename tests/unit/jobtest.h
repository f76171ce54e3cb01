/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * jobtest.h: what the tests of jobs share; it is in test_job.c.
 */
#ifndef UDM_JOBTEST_H
#define UDM_JOBTEST_H

#include "core/job.h"

/* The right body with some members replaced by those of `changes`; null removes one. */
json_t *jobtest_changed(const char *changes);

/* The job of that body, which is right. */
udm_job_t *jobtest_takes_version(const char *changes, udm_version version);

/* The same in v10. */
udm_job_t *jobtest_takes(const char *changes);

/* Expects exactly one fault, in v10. */
void jobtest_refuses(const char *changes, const char *pointer, const char *words);

/* A text of `count` characters, two bytes each. */
const char *jobtest_umlauts(int count);

#endif
