/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * controltest.h: what the tests of changes share; it is in test_control.c.
 */
#ifndef UDM_CONTROLTEST_H
#define UDM_CONTROLTEST_H

#include "db/control.h"

/* What the audit calls each change. */
extern const char *const controltest_change_names[];

/* acme changes its job; the error of that. */
udm_error_t *controltest_change(udm_change change, apr_int64_t id);

/* Deletes a run; the error of that. */
udm_error_t *controltest_run_delete(apr_int64_t id, const udm_principal_t *who);

/* A job and its runs in words: +s suspended, +d due some time, +r has a latest run. */
const char *controltest_state(apr_int64_t id);

/* How often the audit has this of what acme did with the object. */
const char *controltest_audits(const char *action, apr_int64_t id);

/* The id of the only run. */
apr_int64_t controltest_only_run(void);

/* What a job can be. */
typedef enum {
    PLANNED,
    HALTED,
    QUEUED,
    HELD, /* suspended while it was queued: never started */
    RUNNING,
    WAITING, /* suspended while it ran */
    BACK,    /* handed back by a worker: started, and queued again */
    OVER,
    CALLED_OFF,
    AGAIN_PLANNED, /* AGAIN: the job recurs */
    AGAIN_QUEUED,
    AGAIN_RUNNING,
    AGAIN_WAITING,
    AGAIN_LAST, /* runs, and is not to run again */
    AGAIN_OVER,
    STATES
} controltest_state_t;

/* A new job in this state, alone and without audits; its id. */
apr_int64_t controltest_make(controltest_state_t name);

#endif
