/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule.h: schedulerParam of a job, {immediately?, cron?, runs?, startDate?}, and when it asks
 * for runs (decisions 2.2). All in UTC, and without a clock: who calls says what time it is.
 *
 *   {} or immediately:true          one run now
 *   startDate                       one run then; now, when that is past
 *   cron                            again and again, see cron.h
 *   runs "hourly"                   at each full hour
 *   runs "daily|weekly|monthly"     at startDate's time of day, weekday, day of the month (in a
 *                                   month that lacks that day, on its last one)
 *   runs "12" with cron             12 runs at most, a run by immediately being one of them
 *   startDate with a recurrence     no run before it; without one, `now` is the startDate of runs
 *   immediately with a recurrence   one run now, and then the recurrence
 */
#ifndef UDM_CORE_SCHEDULE_H
#define UDM_CORE_SCHEDULE_H

#include <stdbool.h>

#include <apr_pools.h>
#include <apr_time.h>
#include <jansson.h>

#include "core/cron.h"
#include "core/error.h"

typedef enum {
    UDM_RUNS_NOW,
    UDM_RUNS_ONCE,
    UDM_RUNS_CRON, /* this and all that follow recur */
    UDM_RUNS_HOURLY,
    UDM_RUNS_DAILY,
    UDM_RUNS_WEEKLY,
    UDM_RUNS_MONTHLY
} udm_schedule_kind;

/* Plain data: holds no pointer. */
typedef struct udm_schedule_t {
    udm_schedule_kind kind;
    bool recurs;
    bool immediately;      /* recurs, and has a run at once before that */
    apr_int32_t runs_max;  /* at most so many runs; 0: no limit */
    apr_time_t start;      /* no run before it; UDM_NO_TIME when nothing says so */
    udm_cron_t cron;       /* recurs: the times of the recurrence, whatever the kind, ... */
    apr_int32_t cron_usec; /* ... each so many microseconds later */
} udm_schedule_t;

/*
 * Reads a schedulerParam that was accepted at `now`. Who reads it again later must give the same
 * `now`, for it is the startDate that is not sent. null counts as absent, unknown members do not
 * count, words of `runs` are of either case. Every fault goes to `error`, below `pointer`
 * ("/schedulerParam"): what is no schedule, contradicts itself, or asks for no run from `now` on.
 * @return false after a fault; `schedule` is not to be used then
 */
bool udm_schedule_parse(udm_schedule_t *schedule, udm_error_t **error, apr_pool_t *p,
                        const char *pointer, const json_t *json, apr_time_t now);

/* When the first run is, for a schedule that was read with this `now`. Never earlier than that. */
apr_time_t udm_schedule_first(const udm_schedule_t *schedule, apr_time_t now);

/*
 * The first run that startDate or the recurrence asks for after (never at) an instant; a run by
 * immediately is not among them. After missed runs, next(now) passes over them.
 * @return UDM_NO_TIME when there is none
 */
apr_time_t udm_schedule_next(const udm_schedule_t *schedule, apr_time_t after);

/*
 * udm_schedule_next, but no less than `apart` after the run at `run`; `put_off` gets whether that is later
 * than the schedule asks for. What the schedule asks for until then is asked for at that time.
 */
apr_time_t udm_schedule_next_apart(bool *put_off, const udm_schedule_t *schedule, apr_time_t after,
                                   apr_time_t run, apr_interval_time_t apart);

/*
 * Whether the recurrence asks for runs that are less than `apart` from each other. Looks at the first
 * thousand from `since` on: what comes closer only later is put off when it does.
 */
bool udm_schedule_is_denser(const udm_schedule_t *schedule, apr_time_t since,
                            apr_interval_time_t apart);

/* udm_schedule_next, looking back: the last one before or at an instant, else UDM_NO_TIME. */
apr_time_t udm_schedule_last(const udm_schedule_t *schedule, apr_time_t at);

#endif
