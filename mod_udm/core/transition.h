/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * transition.h: which changes of a job and its runs are legal, and what they lead to.
 *
 * The one place that knows: db/control.c reads the state under lock, asks here, and writes what it
 * is told. What a worker does to a run it holds (claim, complete, fail, release) is fenced in
 * db/queue.c and needs no table.
 */
#ifndef UDM_CORE_TRANSITION_H
#define UDM_CORE_TRANSITION_H

#include <stdbool.h>

#include <apr_pools.h>

#include "core/error.h"
#include "core/run.h"

typedef enum {
    UDM_CHANGE_CANCEL,
    UDM_CHANGE_SUSPEND,
    UDM_CHANGE_RESUME,
    UDM_CHANGE_REPLACE, /* PUT */
    UDM_CHANGE_DELETE
} udm_change;

typedef struct udm_job_state_t {
    bool recurring; /* more runs may come of it than one */
    bool suspended; /* no new run is to start */
    bool due;       /* a next run is planned */
    bool started;   /* a run of it has begun at some time */
    udm_status run; /* of its only run that is not over, or UDM_STATUS_NONE */
} udm_job_state_t;

/* What becomes of the run that is not over. */
typedef enum {
    UDM_RUN_KEEP,
    UDM_RUN_TO_CANCELLED,
    UDM_RUN_TO_SUSPENDED,
    UDM_RUN_TO_QUEUED,
    UDM_RUN_FORGET /* the row goes: the job is planned anew before it began, or it is deleted */
} udm_run_change;

/* What becomes of the job. What it shows then follows from its run and its plan: udm.job_status(). */
typedef enum {
    UDM_JOB_KEEP,
    UDM_JOB_WRITE, /* `suspended` and `unplan` are to be written */
    UDM_JOB_PLAN,  /* as a new job: the definition says */
    UDM_JOB_DELETE /* the row goes */
} udm_job_fate;

typedef struct udm_transition_t {
    bool same; /* it is so already: nothing is to be written, and the answer is that of a change */
    udm_run_change run;
    udm_job_fate job;
    bool suspended; /* of the job, afterwards */
    bool unplan;    /* the planned next run is dropped */
} udm_transition_t;

/*
 * What a change of a job leads to (decisions 2.5 to 2.7).
 * @return UDM_E_INVALID that says why the state does not allow it, and what would
 */
udm_error_t *udm_transition_job(udm_transition_t *to, apr_pool_t *p, udm_change change,
                                const udm_job_state_t *from);

/*
 * What deleting one history record leads to, in whatever state that run is: `run` is UDM_STATUS_NONE
 * for one that is over. A run that waits is cancelled by it, and the job with it unless it recurs.
 * @return UDM_E_INVALID for a run in progress
 */
udm_error_t *udm_transition_run_delete(udm_transition_t *to, apr_pool_t *p,
                                       const udm_job_state_t *from);

#endif
