/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * cron.c: reads cron expressions into sets, and searches them field by field: the months first,
 * then the days of a month as one set, then hour, minute and second.
 */
#include <string.h>
#include <time.h>

#include <apr_cstr.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "core/calendar.h"
#include "core/cron.h"
#include "core/text.h"

#define BIT(n)     ((apr_uint64_t)1 << (n))
#define FIRST_YEAR 1970
#define LAST_YEAR  9999

typedef enum { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, YEAR, FIELDS } field_name;

typedef struct {
    const char *name;
    int low, high; /* the numbers that may be written */
    int values;    /* how many different ones; what ranges wrap around at */
    const char *allowed;
    const char *const *words; /* in place of numbers, from `low` on, in upper case; NULL for none */
} field_rule;

static const char *const months[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL",
                                     "AUG", "SEP", "OCT", "NOV", "DEC", NULL};
static const char *const weekdays[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", NULL};

static const field_rule rules[FIELDS] = {
    [SECOND] = {"second", 0, 59, 60, "0 to 59", NULL},
    [MINUTE] = {"minute", 0, 59, 60, "0 to 59", NULL},
    [HOUR] = {"hour", 0, 23, 24, "0 to 23", NULL},
    [DAY] = {"day of month", 1, 31, 31, "1 to 31, L, L-1 to L-30, LW and 1W to 31W", NULL},
    [MONTH] = {"month", 1, 12, 12, "1 to 12 and JAN to DEC", months},
    [WEEKDAY] = {"weekday", 0, 7, 7, "0 to 7 and SUN to SAT, also as 5L or 5#2", weekdays},
    [YEAR] = {"year", FIRST_YEAR, 2099, 130, "1970 to 2099", NULL},
};
static const field_rule quartz_weekday = {
    "weekday", 1, 7, 7, "1 (Sunday) to 7 and SUN to SAT, also as 6L or 6#2, and L", weekdays};

/* What is carried through the reading of one field. */
typedef struct {
    apr_pool_t *p;
    udm_cron_t *cron;
    field_name field;
    const field_rule *rule;
    bool quartz;
    apr_uint64_t *set; /* of the field */
    const char *fault; /* what is wrong with the item; "" when the rule's `allowed` says it */
} reader;

static bool fails(reader *r, const char *fault)
{
    r->fault = fault;
    return false;
}

/* Moves past one character of either case; `c` is its upper case. @return false without it */
static bool skip(const char **at, char c)
{
    if (**at == '\0' || apr_toupper(**at) != c) {
        return false;
    }
    (*at)++;
    return true;
}

/* A run of up to four digits. @return -1 when there is none */
static int read_number(const char **at)
{
    int value = 0, digits;

    for (digits = 0; digits < 4 && **at >= '0' && **at <= '9'; digits++) {
        value = value * 10 + (*(*at)++ - '0');
    }
    return digits > 0 ? value : -1;
}

/* A number or a word of the field. @return false when there is none, or it is out of range */
static bool read_value(reader *r, const char **at, int *value)
{
    int i;

    for (i = 0; r->rule->words && r->rule->words[i]; i++) {
        if (apr_cstr_casecmpn(*at, r->rule->words[i], 3) == 0) {
            *at += 3;
            *value = r->rule->low + i;
            return true;
        }
    }
    *value = read_number(at);
    return (*value >= r->rule->low && *value <= r->rule->high) || fails(r, "");
}

/* The bit of a value: weekdays from Sunday as 0, years from FIRST_YEAR; past the end wraps. */
static int bit_of(const reader *r, int value)
{
    if (r->field == WEEKDAY) {
        return (value - (r->quartz ? 1 : 0)) % 7;
    }
    return (value - r->rule->low) % r->rule->values + (r->field == YEAR ? 0 : r->rule->low);
}

/* Sets from `low` to `high`, which may be past the end, each `step`. */
static void set_values(reader *r, int low, int high, int step)
{
    int value, bit;

    for (value = low; value <= high; value += step) {
        bit = bit_of(r, value);
        r->set[bit / 64] |= BIT(bit % 64);
    }
}

/* L and all that starts with it: L-n, LW, L-nW in the day of month; alone in Quartz' weekday. */
static bool read_last(reader *r, const char *at)
{
    int before = 0;
    bool near;

    if (r->field == WEEKDAY) {
        if (!r->quartz) {
            return fails(r, "L needs its weekday here, like 5L for the last Friday");
        }
        r->cron->weekdays |= BIT(6);
        return *at == '\0' || fails(r, "");
    }
    if (skip(&at, '-')) {
        before = read_number(&at);
    }
    near = skip(&at, 'W');
    if (*at != '\0' || before < 0 || before > 30) {
        return fails(r, "");
    }
    *(near ? &r->cron->near_from_end : &r->cron->days_from_end) |= BIT(before);
    return true;
}

/* 15W, 5L and 5#2, after their number; `taken` when it is one. @return false when it is wrong */
static bool read_suffix(reader *r, const char *at, int value, bool *taken)
{
    int nth;

    *taken = true;
    if (r->field == DAY && skip(&at, 'W')) {
        r->cron->near_days |= BIT(value);
    }
    else if (r->field == WEEKDAY && skip(&at, 'L')) {
        r->cron->last_weekdays |= BIT(bit_of(r, value));
    }
    else if (r->field == WEEKDAY && skip(&at, '#')) {
        nth = read_number(&at);
        if (nth < 1 || nth > 5) {
            return fails(r, "what follows # must be 1 to 5");
        }
        r->cron->nth_weekdays[nth - 1] |= BIT(bit_of(r, value));
    }
    else {
        *taken = false;
        return true;
    }
    return *at == '\0' || fails(r, "");
}

/* One item of a list: star, n, a-b, each with a step, or one of the special forms. */
static bool read_item(reader *r, const char *at)
{
    int low = r->rule->low, high = r->rule->high, step = 1;
    bool star = skip(&at, '*'), range = false, taken;

    if (!star) {
        if ((r->field == DAY || r->field == WEEKDAY) && skip(&at, 'L')) {
            return read_last(r, at);
        }
        if (!read_value(r, &at, &low) || !read_suffix(r, at, low, &taken)) {
            return false;
        }
        if (taken) {
            return true;
        }
        range = skip(&at, '-');
        if (range && !read_value(r, &at, &high)) {
            return false;
        }
    }
    if (skip(&at, '/')) {
        step = read_number(&at);
        if (step < 1 || step > r->rule->values) {
            return fails(r, apr_psprintf(r->p, "the step must be 1 to %d", r->rule->values));
        }
    }
    else if (!star && !range) {
        high = low;
    }
    if (*at != '\0') {
        return fails(r, "");
    }
    if (high < low) {
        if (r->field == YEAR) {
            return fails(r, "a range of years cannot run backwards");
        }
        high += r->rule->values;
    }
    set_values(r, low, high, step);
    return true;
}

/* Reads one field, of which the first wrong item is told. */
static bool read_field(reader *r, udm_error_t **error, const char *pointer, const char *text)
{
    const char *comma, *item;

    if (strcmp(text, "?") == 0 && (r->field == DAY || r->field == WEEKDAY)) {
        text = "*";
    }
    if (strcmp(text, "*") == 0) {
        r->cron->any_day |= r->field == DAY;
        r->cron->any_weekday |= r->field == WEEKDAY;
        r->cron->any_year |= r->field == YEAR;
    }
    for (;; text = comma + 1) {
        comma = strchr(text, ',');
        item = comma ? apr_pstrmemdup(r->p, text, (apr_size_t)(comma - text)) : text;
        r->fault = "";
        if (!read_item(r, item)) {
            /* a short excerpt is enough, cut between two characters */
            int shown = (int)udm_text_utf8_prefix(item, strnlen(item, 40));

            if (*r->fault) {
                udm_error_fault(error, r->p, pointer, "has \"%.*s\" in the field %s: %s", shown,
                                item, r->rule->name, r->fault);
            }
            else {
                udm_error_fault(error, r->p, pointer,
                                "has \"%.*s\" in the field %s: allowed are %s", shown, item,
                                r->rule->name, r->rule->allowed);
            }
            return false;
        }
        if (!comma) {
            return true;
        }
    }
}

bool udm_cron_parse(udm_cron_t *cron, udm_error_t **error, apr_pool_t *p, const char *pointer,
                    const char *text)
{
    static const char *const blanks = " \t";
    const char *words[FIELDS];
    char *rest, *word;
    apr_uint64_t *const sets[FIELDS] = {&cron->seconds, &cron->minutes,  &cron->hours, &cron->days,
                                        &cron->months,  &cron->weekdays, cron->years};
    int count = 0, i;
    bool good = true;

    memset(cron, 0, sizeof(*cron));
    if (strlen(text) > UDM_CRON_MAX) {
        udm_error_fault(error, p, pointer, "must have at most %d bytes", UDM_CRON_MAX);
        return false;
    }
    for (word = apr_strtok(apr_pstrdup(p, text), blanks, &rest); word;
         word = apr_strtok(NULL, blanks, &rest)) {
        if (count < FIELDS) {
            words[count] = word;
        }
        count++;
    }
    if (count < 5 || count > FIELDS) {
        udm_error_fault(
            error, p, pointer,
            "must have 5 fields (minute, hour, day of month, month, weekday), or 6 or 7 "
            "(second first, year last), and has %d",
            count);
        return false;
    }
    for (i = 0; i < count; i++) {
        reader r = {.p = p, .cron = cron, .quartz = count > 5};

        r.field = (field_name)(r.quartz ? i : i + 1);
        r.rule = r.quartz && r.field == WEEKDAY ? &quartz_weekday : &rules[r.field];
        r.set = sets[r.field];
        good &= read_field(&r, error, pointer, words[i]);
    }
    if (count == 5) {
        cron->seconds = BIT(0);
    }
    cron->any_year |= count < FIELDS;
    return good;
}

static bool in_word(int n)
{
    return n >= 0 && n < 64;
}

static bool has(apr_uint64_t set, int n)
{
    return in_word(n) && (set & BIT(n)) != 0;
}

/* The lowest element from `from` on, or the highest up to `until`. @return -1 when there is none */
static int bit_from(apr_uint64_t set, int from)
{
    set = in_word(from) ? set & ~(apr_uint64_t)0 << from : 0;
    return set ? __builtin_ctzll(set) : -1;
}

static int bit_until(apr_uint64_t set, int until)
{
    set = in_word(until) ? set & ~(apr_uint64_t)0 >> (63 - until) : 0;
    return set ? 63 - __builtin_clzll(set) : -1;
}

/* The first time of day not before the one given, in seconds. @return -1 when there is none */
static int time_from(const udm_cron_t *cron, int hour, int minute, int second)
{
    int h = bit_from(cron->hours, hour), m = 0, s = 0;

    if (h == hour) {
        m = bit_from(cron->minutes, minute);
        if (m == minute) {
            s = bit_from(cron->seconds, second);
            if (s >= 0) {
                return h * 3600 + m * 60 + s;
            }
            m = bit_from(cron->minutes, minute + 1);
        }
        if (m >= 0) {
            return h * 3600 + m * 60 + bit_from(cron->seconds, 0);
        }
        h = bit_from(cron->hours, hour + 1);
    }
    if (h < 0) {
        return -1;
    }
    return h * 3600 + bit_from(cron->minutes, 0) * 60 + bit_from(cron->seconds, 0);
}

/* The last time of day not after the one given. @return -1 when there is none */
static int time_until(const udm_cron_t *cron, int hour, int minute, int second)
{
    int h = bit_until(cron->hours, hour), m, s;

    if (h == hour) {
        m = bit_until(cron->minutes, minute);
        if (m == minute) {
            s = bit_until(cron->seconds, second);
            if (s >= 0) {
                return h * 3600 + m * 60 + s;
            }
            m = bit_until(cron->minutes, minute - 1);
        }
        if (m >= 0) {
            return h * 3600 + m * 60 + bit_until(cron->seconds, 59);
        }
        h = bit_until(cron->hours, hour - 1);
    }
    if (h < 0) {
        return -1;
    }
    return h * 3600 + bit_until(cron->minutes, 59) * 60 + bit_until(cron->seconds, 59);
}

/* The set of one day; empty when the month has no such day. */
static apr_uint64_t day_set(int day, int length)
{
    return day >= 1 && day <= length ? BIT(day) : 0;
}

/* The weekday, Monday to Friday, nearest to a day without leaving the month; empty as above. */
static apr_uint64_t near_set(int day, int length, int first_weekday)
{
    int weekday = (first_weekday + day - 1) % 7;

    if (day < 1 || day > length) {
        return 0;
    }
    if (weekday == 6) {
        day += day > 1 ? -1 : 2;
    }
    else if (weekday == 0) {
        day += day < length ? 1 : -2;
    }
    return BIT(day);
}

/* The days that the field day of month asks for. */
static apr_uint64_t days_by_date(const udm_cron_t *cron, int length, int first_weekday)
{
    apr_uint64_t month = BIT(length + 1) - 2, set = cron->days & month;
    int n;

    if (cron->clamp && (cron->days & ~month) != 0) {
        set |= BIT(length);
    }
    for (n = bit_from(cron->days_from_end, 0); n >= 0; n = bit_from(cron->days_from_end, n + 1)) {
        set |= day_set(length - n, length);
    }
    for (n = bit_from(cron->near_days, 0); n >= 0; n = bit_from(cron->near_days, n + 1)) {
        set |= near_set(n, length, first_weekday);
    }
    for (n = bit_from(cron->near_from_end, 0); n >= 0; n = bit_from(cron->near_from_end, n + 1)) {
        set |= near_set(length - n, length, first_weekday);
    }
    return set;
}

/* The days that the field weekday asks for. */
static apr_uint64_t days_by_weekday(const udm_cron_t *cron, int length, int first_weekday)
{
    apr_uint64_t set = 0;
    int weekday, first, nth;

    for (weekday = 0; weekday < 7; weekday++) {
        first = 1 + (weekday - first_weekday + 7) % 7;
        if (has(cron->weekdays, weekday)) {
            set |= (BIT(0) | BIT(7) | BIT(14) | BIT(21) | BIT(28)) << first;
        }
        for (nth = 0; nth < 5; nth++) {
            if (has(cron->nth_weekdays[nth], weekday)) {
                set |= BIT(first + 7 * nth);
            }
        }
        if (has(cron->last_weekdays, weekday)) {
            set |= BIT(first + (length - first) / 7 * 7);
        }
    }
    return set & (BIT(length + 1) - 2);
}

/* The days of a month on which it is due. */
static apr_uint64_t days_of(const udm_cron_t *cron, int year, int month)
{
    int length = udm_calendar_month_days(year, month), index = year - FIRST_YEAR;
    int first_weekday =
        (int)((udm_calendar_days(year, month, 1) + 4) % 7); /* 1970-01-01 was a Thursday */

    if (!has(cron->months, month)) {
        return 0;
    }
    if (!cron->any_year && (index >= 192 || !has(cron->years[index / 64], index % 64))) {
        return 0;
    }
    if (cron->any_day && cron->any_weekday) {
        return BIT(length + 1) - 2;
    }
    if (cron->any_day) {
        return days_by_weekday(cron, length, first_weekday);
    }
    if (cron->any_weekday) {
        return days_by_date(cron, length, first_weekday);
    }
    return days_by_date(cron, length, first_weekday) | days_by_weekday(cron, length, first_weekday);
}

static apr_time_t instant_of(int year, int month, int day, int second_of_day)
{
    return apr_time_from_sec(udm_calendar_days(year, month, day) * UDM_DAY_SECONDS + second_of_day);
}

apr_time_t udm_cron_next(const udm_cron_t *cron, apr_time_t after)
{
    time_t from = after < 0 ? 0 : (time_t)apr_time_sec(after) + 1;
    struct tm at;
    int year, month, day, second, last_year;
    apr_uint64_t days;

    if (from >= udm_calendar_days(LAST_YEAR + 1, 1, 1) * UDM_DAY_SECONDS) {
        return UDM_NO_TIME;
    }
    gmtime_r(&from, &at);
    year = at.tm_year + 1900;
    month = at.tm_mon + 1;
    days = days_of(cron, year, month);
    second = time_from(cron, at.tm_hour, at.tm_min, at.tm_sec);
    if (second >= 0 && has(days, at.tm_mday)) {
        return instant_of(year, month, at.tm_mday, second);
    }
    day = bit_from(days, at.tm_mday + 1);
    /* the calendar repeats itself after 400 years: what is not due in these never is */
    last_year = year + 400 < LAST_YEAR ? year + 400 : LAST_YEAR;
    while (day < 0) {
        if (++month > 12) {
            month = 1;
            if (++year > last_year) {
                return UDM_NO_TIME;
            }
        }
        day = bit_from(days_of(cron, year, month), 1);
    }
    return instant_of(year, month, day, time_from(cron, 0, 0, 0));
}

apr_time_t udm_cron_last(const udm_cron_t *cron, apr_time_t at)
{
    const time_t end = (time_t)(udm_calendar_days(LAST_YEAR + 1, 1, 1) * UDM_DAY_SECONDS) - 1;
    time_t until = (time_t)apr_time_sec(at);
    struct tm tm;
    int year, month, day, second, first_year;
    apr_uint64_t days;

    if (at < 0) {
        return UDM_NO_TIME;
    }
    until = until < end ? until : end;
    gmtime_r(&until, &tm);
    year = tm.tm_year + 1900;
    month = tm.tm_mon + 1;
    days = days_of(cron, year, month);
    second = time_until(cron, tm.tm_hour, tm.tm_min, tm.tm_sec);
    if (second >= 0 && has(days, tm.tm_mday)) {
        return instant_of(year, month, tm.tm_mday, second);
    }
    day = bit_until(days, tm.tm_mday - 1);
    /* years that are named may lie further back than 400 */
    first_year = cron->any_year && year - 400 > FIRST_YEAR ? year - 400 : FIRST_YEAR;
    while (day < 0) {
        if (--month < 1) {
            month = 12;
            if (--year < first_year) {
                return UDM_NO_TIME;
            }
        }
        day = bit_until(days_of(cron, year, month), 31);
    }
    return instant_of(year, month, day, time_until(cron, 23, 59, 59));
}
