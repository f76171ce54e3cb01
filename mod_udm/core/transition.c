/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * transition.c: the rules for cancel, suspend, resume, replace and delete.
 */
#include <string.h>

#include "core/transition.h"

#define REFUSE(p, ...) udm_error_make((p), UDM_E_INVALID, __VA_ARGS__)

/* A run that waits or goes on. */
static bool is_active(const udm_job_state_t *from)
{
    return from->run != UDM_STATUS_NONE;
}

/* Nothing goes on, and nothing will. */
static bool is_over(const udm_job_state_t *from)
{
    return !is_active(from) && !from->due;
}

/* A run in progress has begun, whatever else is written. */
static bool has_started(const udm_job_state_t *from)
{
    return from->started || from->run == UDM_STATUS_IN_PROGRESS;
}

/* What is left of a job once its active run is taken away. */
static void without_run(udm_transition_t *to, const udm_job_state_t *from)
{
    to->job = UDM_JOB_WRITE;
    if (from->recurring && from->due) {
        return;
    }
    to->suspended = false;
    to->unplan = from->due;
}

static udm_error_t *cancel(udm_transition_t *to, apr_pool_t *p, const udm_job_state_t *from)
{
    if (is_over(from)) {
        return REFUSE(p, "this job cannot be cancelled: its work is over");
    }
    if (!is_active(from) && from->recurring) {
        return REFUSE(p, "there is no run to cancel: suspend or delete the job to stop it from "
                         "running again");
    }
    if (is_active(from)) {
        to->run = UDM_RUN_TO_CANCELLED;
    }
    without_run(to, from);
    return NULL;
}

static udm_error_t *suspend(udm_transition_t *to, apr_pool_t *p, const udm_job_state_t *from)
{
    if (is_over(from)) {
        return REFUSE(p, "this job cannot be suspended: its work is over");
    }
    if (from->suspended) {
        to->same = true;
        return NULL;
    }
    if (from->run == UDM_STATUS_QUEUED || from->run == UDM_STATUS_IN_PROGRESS) {
        to->run = UDM_RUN_TO_SUSPENDED;
    }
    to->job = UDM_JOB_WRITE;
    to->suspended = true;
    return NULL;
}

static udm_error_t *resume(udm_transition_t *to, apr_pool_t *p, const udm_job_state_t *from)
{
    if (is_over(from)) {
        return REFUSE(p, "this job cannot be resumed: its work is over");
    }
    if (!from->suspended) {
        to->same = true;
        return NULL;
    }
    if (from->run == UDM_STATUS_SUSPENDED) {
        to->run = UDM_RUN_TO_QUEUED;
    }
    to->job = UDM_JOB_WRITE;
    to->suspended = false;
    return NULL;
}

static udm_error_t *replace(udm_transition_t *to, apr_pool_t *p, const udm_job_state_t *from)
{
    if (from->recurring) {
        if (is_active(from) && has_started(from)) {
            return REFUSE(p, "this job cannot be changed while a run of it waits or is in "
                             "progress: wait until it is over, or cancel it");
        }
    }
    else if (has_started(from)) {
        return REFUSE(p, "this job cannot be changed: its run has started; create another job");
    }
    else if (is_over(from)) {
        return REFUSE(p, "this job cannot be changed: its work is over; create another job");
    }
    if (is_active(from)) {
        to->run = UDM_RUN_FORGET;
    }
    to->job = UDM_JOB_PLAN;
    return NULL;
}

static udm_error_t *delete_job(udm_transition_t *to, apr_pool_t *p, const udm_job_state_t *from)
{
    if (from->run == UDM_STATUS_IN_PROGRESS) {
        return REFUSE(p, "this job cannot be deleted: a run of it is in progress; cancel it "
                         "first");
    }
    if (is_active(from)) {
        to->run = UDM_RUN_TO_CANCELLED;
    }
    to->job = UDM_JOB_DELETE;
    return NULL;
}

/* What is not changed stays. */
static void keep(udm_transition_t *to, const udm_job_state_t *from)
{
    memset(to, 0, sizeof(*to));
    to->run = UDM_RUN_KEEP;
    to->job = UDM_JOB_KEEP;
    to->suspended = from->suspended;
}

udm_error_t *udm_transition_job(udm_transition_t *to, apr_pool_t *p, udm_change change,
                                const udm_job_state_t *from)
{
    keep(to, from);
    switch (change) {
    case UDM_CHANGE_CANCEL:
        return cancel(to, p, from);
    case UDM_CHANGE_SUSPEND:
        return suspend(to, p, from);
    case UDM_CHANGE_RESUME:
        return resume(to, p, from);
    case UDM_CHANGE_REPLACE:
        return replace(to, p, from);
    case UDM_CHANGE_DELETE:
        return delete_job(to, p, from);
    }
    return udm_error_make(p, UDM_E_INTERNAL, "no such change of a job");
}

udm_error_t *udm_transition_run_delete(udm_transition_t *to, apr_pool_t *p,
                                       const udm_job_state_t *from)
{
    keep(to, from);
    if (from->run == UDM_STATUS_IN_PROGRESS) {
        return REFUSE(p, "this history record cannot be deleted: the run is in progress; cancel "
                         "its job first");
    }
    to->run = UDM_RUN_FORGET;
    if (is_active(from)) {
        without_run(to, from);
    }
    return NULL;
}
