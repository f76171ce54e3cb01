/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * calendar.h: dates of the Gregorian calendar, which is taken to have been in use ever since, and
 * instants as text. All of it is UTC.
 */
#ifndef UDM_CORE_CALENDAR_H
#define UDM_CORE_CALENDAR_H

#include <stdbool.h>

#include <apr_pools.h>
#include <apr_time.h>

#define UDM_DAY_SECONDS 86400

/* No instant, where one could stand. */
#define UDM_NO_TIME APR_INT64_MIN

/* Divides downward, also below zero. */
static inline apr_int64_t udm_calendar_floor(apr_int64_t a, apr_int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days since 1970-01-01 of a date. The year before 1 is 0. */
static inline apr_int64_t udm_calendar_days(int year, int month, int day)
{
    apr_int64_t y = month <= 2 ? year - 1 : year; /* begins in March: leap days come last */
    apr_int64_t era = udm_calendar_floor(y, 400);
    apr_int64_t year_of_era = y - era * 400;
    apr_int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

/* The date that is so many days after 1970-01-01. In the header for the dates of an export. */
static inline void udm_calendar_date(apr_int64_t *year, int *month, int *day, apr_int64_t days)
{
    apr_int64_t since = days + 719468; /* since 0000-03-01 */
    apr_int64_t era = (since >= 0 ? since : since - 146096) / 146097;
    unsigned day_of_era = (unsigned)(since - era * 146097);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month_of_year = (5 * day_of_year + 2) / 153;

    *day = (int)(day_of_year - (153 * month_of_year + 2) / 5 + 1);
    *month = (int)(month_of_year < 10 ? month_of_year + 3 : month_of_year - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

/* How many days a month has. */
static inline int udm_calendar_month_days(int year, int month)
{
    if (month == 2) {
        return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
    }
    return 30 + (month + (month > 7 ? 1 : 0)) % 2;
}

/*
 * An instant out: ISO 8601, UTC, milliseconds ("2026-11-24T06:00:00.000Z"), or NULL for
 * UDM_NO_TIME. Microseconds since 1970, as apr_time_t counts.
 */
const char *udm_calendar_text(apr_pool_t *p, apr_time_t when);

/*
 * An instant in: RFC 3339 with any offset, a space for the T allowed, seconds and fraction
 * optional, or a bare date (midnight UTC). No zone means UTC. Years 1 to 9999, real dates only.
 * @return false when `text` is none
 */
bool udm_calendar_parse(apr_time_t *when, const char *text);

#endif
