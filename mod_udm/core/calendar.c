/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * calendar.c: instants as text. No locale, no time zone, no errno.
 */
#include <apr_strings.h>

#include "core/calendar.h"

#define MS_PER_DAY 86400000

/* Writes a number with as many digits as it has room for. */
static void put_digits(char *at, int count, int number)
{
    while (count-- > 0) {
        at[count] = (char)('0' + number % 10);
        number /= 10;
    }
}

const char *udm_calendar_text(apr_pool_t *p, apr_time_t when)
{
    apr_int64_t ms, days, year;
    int month, day, in_day;

    if (when == UDM_NO_TIME) {
        return NULL;
    }
    ms = udm_calendar_floor(when, 1000);
    days = udm_calendar_floor(ms, MS_PER_DAY);
    in_day = (int)(ms - days * MS_PER_DAY);
    udm_calendar_date(&year, &month, &day, days);
    if (year >= 0 && year <= 9999) {
        char *text = apr_pstrmemdup(p, "0000-00-00T00:00:00.000Z", 24);

        put_digits(text, 4, (int)year);
        put_digits(text + 5, 2, month);
        put_digits(text + 8, 2, day);
        put_digits(text + 11, 2, in_day / 3600000);
        put_digits(text + 14, 2, in_day / 60000 % 60);
        put_digits(text + 17, 2, in_day / 1000 % 60);
        put_digits(text + 20, 3, in_day % 1000);
        return text;
    }
    return apr_psprintf(p, "%04" APR_INT64_T_FMT "-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month,
                        day, in_day / 3600000, in_day / 60000 % 60, in_day / 1000 % 60,
                        in_day % 1000);
}

/* Reads exactly `count` digits and steps over them. @return -1 when they are none */
static int digits(const char **text, int count)
{
    int value = 0;

    for (; count > 0; count--, (*text)++) {
        if (**text < '0' || **text > '9') {
            return -1;
        }
        value = value * 10 + (**text - '0');
    }
    return value;
}

/* Steps over `c`. @return false when something else stands there */
static bool skip(const char **text, char c)
{
    if (**text != c) {
        return false;
    }
    (*text)++;
    return true;
}

/* Reads ".123456789" into microseconds; 0 when there is no fraction. @return -1 for a bad one */
static int fraction(const char **text)
{
    int count, value = 0;

    if (!skip(text, '.')) {
        return 0;
    }
    for (count = 0; **text >= '0' && **text <= '9'; count++, (*text)++) {
        if (count < 6) {
            value = value * 10 + (**text - '0');
        }
    }
    if (count < 1 || count > 9) {
        return -1;
    }
    for (; count < 6; count++) {
        value *= 10;
    }
    return value;
}

/* Reads "Z", "+02:00" or nothing into minutes east of Greenwich. @return false for a bad zone */
static bool zone(int *minutes, const char **text)
{
    int sign, hour, minute;

    *minutes = 0;
    if (**text == '\0' || skip(text, 'Z') || skip(text, 'z')) {
        return true;
    }
    if (skip(text, '+')) {
        sign = 1;
    }
    else if (skip(text, '-')) {
        sign = -1;
    }
    else {
        return false;
    }
    hour = digits(text, 2);
    if (hour < 0 || hour > 23 || !skip(text, ':')) {
        return false;
    }
    minute = digits(text, 2);
    if (minute < 0 || minute > 59) {
        return false;
    }
    *minutes = sign * (hour * 60 + minute);
    return true;
}

bool udm_calendar_parse(apr_time_t *when, const char *text)
{
    int year, month, day, hour = 0, minute = 0, second = 0, micro = 0, east = 0;
    apr_int64_t seconds;

    year = digits(&text, 4);
    if (year < 1 || !skip(&text, '-')) {
        return false;
    }
    month = digits(&text, 2);
    if (month < 1 || month > 12 || !skip(&text, '-')) {
        return false;
    }
    day = digits(&text, 2);
    if (day < 1 || day > udm_calendar_month_days(year, month)) {
        return false;
    }
    if (skip(&text, 'T') || skip(&text, 't') || skip(&text, ' ')) {
        hour = digits(&text, 2);
        if (hour < 0 || hour > 23 || !skip(&text, ':')) {
            return false;
        }
        minute = digits(&text, 2);
        if (minute < 0 || minute > 59) {
            return false;
        }
        if (skip(&text, ':')) {
            second = digits(&text, 2);
            if (second < 0 || second > 59) {
                return false;
            }
            micro = fraction(&text);
            if (micro < 0) {
                return false;
            }
        }
        if (!zone(&east, &text)) {
            return false;
        }
    }
    if (*text != '\0') {
        return false;
    }
    seconds = udm_calendar_days(year, month, day) * UDM_DAY_SECONDS + hour * 3600 + minute * 60 +
              second - east * 60;
    /* an offset can push the instant out of the years 1 to 9999 */
    if (seconds < udm_calendar_days(1, 1, 1) * UDM_DAY_SECONDS ||
        seconds >= (udm_calendar_days(9999, 12, 31) + 1) * UDM_DAY_SECONDS) {
        return false;
    }
    *when = apr_time_make(seconds, micro);
    return true;
}
