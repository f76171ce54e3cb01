/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * cron.h: cron expressions, and when they are due. All in UTC.
 *
 * Two forms (decisions 2.2), told apart by the number of fields:
 *   5        minute hour day-of-month month weekday        weekday 0-7, 0 and 7 are Sunday
 *   6 or 7   second minute hour day-of-month month weekday [year]
 *                                                 Quartz: weekday 1-7, 1 is Sunday
 * Fields stand between spaces or tabs; letters are of either case. A field is a list (`,`) of
 *   *  n  a-b  and each of them with a step, as in a-b/s; n/s is from n to the end of the field.
 *      a-b may wrap around: 22-2, FRI-MON, 28-3 (not years); steps count on across the seam. A
 *      step is 1 to the number of values of the field, so that "every 90 minutes" is a fault and
 *      not hourly.
 *   JAN-DEC and SUN-SAT in place of numbers
 *   day of month: L the last day, L-n the n-th before it, 15W the weekday (Monday to Friday)
 *      nearest to the 15th within its month, LW, L-nW; months without such a day are passed over
 *   weekday: 5L the last Friday of the month (6L in Quartz), 5#2 the second one; L alone is
 *      Saturday in Quartz, and a fault with 5 fields
 * `?` alone is `*`, for day of month and weekday. A day is due when it fits both of these fields;
 * it is enough that it fits either when neither is exactly `*` or `?`. Years are 1970 to 2099; an
 * absent year, or `*`, is every year to 9999.
 */
#ifndef UDM_CORE_CRON_H
#define UDM_CORE_CRON_H

#include <stdbool.h>

#include <apr_pools.h>
#include <apr_time.h>

#include "core/error.h"

#define UDM_CRON_MAX 1000 /* bytes of an expression */

/* A read expression: bit n of each set stands for n. Plain data, to be copied at will. */
typedef struct udm_cron_t {
    apr_uint64_t seconds;
    apr_uint64_t minutes;
    apr_uint64_t hours;
    apr_uint64_t days;            /* 1 to 31 */
    apr_uint64_t days_from_end;   /* n days before the last one: L, L-n */
    apr_uint64_t near_days;       /* nW */
    apr_uint64_t near_from_end;   /* LW, L-nW */
    apr_uint64_t months;          /* 1 to 12 */
    apr_uint64_t weekdays;        /* 0 (Sunday) to 6 */
    apr_uint64_t last_weekdays;   /* nL */
    apr_uint64_t nth_weekdays[5]; /* n#1 to n#5 */
    apr_uint64_t years[3];        /* from 1970 on; not looked at when any_year */
    bool any_year;
    bool any_day;     /* the day of month says nothing */
    bool any_weekday; /* the weekday says nothing */
    bool clamp;       /* days past the end of a month stand for its last one; never from text */
} udm_cron_t;

/*
 * Reads an expression. One fault at `pointer` for each field that is wrong, saying which it is and
 * what it allows. What can be read may still never be due: 0 0 30 2 *.
 * @return false after a fault; `cron` is not to be used then
 */
bool udm_cron_parse(udm_cron_t *cron, udm_error_t **error, apr_pool_t *p, const char *pointer,
                    const char *text);

/*
 * The first time it is due after (never at) an instant, from 1970 to the end of the year 9999.
 * @return UDM_NO_TIME (text.h) when there is none
 */
apr_time_t udm_cron_next(const udm_cron_t *cron, apr_time_t after);

/* The last time it was due before or at an instant, else UDM_NO_TIME. */
apr_time_t udm_cron_last(const udm_cron_t *cron, apr_time_t at);

#endif
