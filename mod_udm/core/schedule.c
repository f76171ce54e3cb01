/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule.c: reads a schedulerParam, and turns the words of `runs` into sets as those of cron, so
 * that there is one search.
 */
#include <string.h>

#include <apr_cstr.h>
#include <apr_strings.h>

#include "core/calendar.h"
#include "core/schedule.h"
#include "core/text.h"

/* What is carried through the reading of one schedulerParam. */
typedef struct {
    apr_pool_t *p;
    udm_error_t **error;
    const char *pointer;
    const json_t *json;
    bool good; /* no fault so far */
} reader;

static const char *below(const reader *r, const char *key)
{
    return apr_pstrcat(r->p, r->pointer, "/", key, NULL);
}

#define GAPS_LOOKED_AT 1000

#define FAULT(r, key, ...)                                                                         \
    do {                                                                                           \
        udm_error_fault((r)->error, (r)->p, below((r), (key)), __VA_ARGS__);                       \
        (r)->good = false;                                                                         \
    } while (0)

/* A member, or NULL when it is absent; null counts as absent. */
static const json_t *member(const reader *r, const char *key)
{
    const json_t *value = json_object_get(r->json, key);

    return json_is_null(value) ? NULL : value;
}

/* A string member. @return NULL when it is absent, or after a fault */
static const char *read_string(reader *r, const char *key)
{
    const json_t *value = member(r, key);

    if (value && !json_is_string(value)) {
        FAULT(r, key, "must be a string");
        return NULL;
    }
    return value ? json_string_value(value) : NULL;
}

static void read_start(reader *r, udm_schedule_t *schedule)
{
    const char *text = read_string(r, "startDate");

    schedule->start = UDM_NO_TIME;
    if (text && !udm_calendar_parse(&schedule->start, text)) {
        FAULT(r, "startDate",
              "must be an RFC 3339 date or instant, like 2026-11-24 or 2026-11-24T06:00:00Z");
        schedule->start = UDM_NO_TIME;
    }
}

/* The two meanings of `runs`: a number beside cron, or a recurrence in a word. */
static void read_runs(reader *r, udm_schedule_t *schedule)
{
    static const struct {
        const char *word;
        udm_schedule_kind kind;
    } recurrences[] = {{"hourly", UDM_RUNS_HOURLY},
                       {"daily", UDM_RUNS_DAILY},
                       {"weekly", UDM_RUNS_WEEKLY},
                       {"monthly", UDM_RUNS_MONTHLY}};
    const char *text = read_string(r, "runs");
    apr_int64_t number;
    apr_size_t i;

    if (!text) {
        return;
    }
    for (i = 0; i < sizeof(recurrences) / sizeof(recurrences[0]); i++) {
        if (apr_cstr_casecmp(text, recurrences[i].word) == 0) {
            if (schedule->recurs) {
                FAULT(r, "runs", "cannot say \"%s\" beside cron: send one or the other",
                      recurrences[i].word);
            }
            schedule->kind = recurrences[i].kind;
            schedule->recurs = true;
            return;
        }
    }
    if (!udm_text_parse_id(&number, text) || number > APR_INT32_MAX) {
        FAULT(r, "runs",
              "must be hourly, daily, weekly or monthly, or beside cron a number, 1 to %d",
              APR_INT32_MAX);
    }
    else if (!schedule->recurs) {
        FAULT(r, "runs", "can be a number only beside cron, which says when these runs are");
    }
    else {
        schedule->runs_max = (apr_int32_t)number;
    }
}

/* The sets of hourly, daily, weekly and monthly, after what startDate looks like in UTC. */
static void set_recurrence(udm_schedule_t *schedule)
{
    udm_cron_t *cron = &schedule->cron;
    apr_int64_t second = udm_calendar_floor(schedule->start, APR_USEC_PER_SEC);
    apr_time_exp_t at;

    apr_time_exp_gmt(&at, apr_time_from_sec(second));
    memset(cron, 0, sizeof(*cron));
    cron->months = ~(apr_uint64_t)0;
    cron->any_year = true;
    cron->any_day = schedule->kind != UDM_RUNS_MONTHLY;
    cron->any_weekday = schedule->kind != UDM_RUNS_WEEKLY;
    if (schedule->kind == UDM_RUNS_HOURLY) {
        cron->seconds = cron->minutes = 1;
        cron->hours = ((apr_uint64_t)1 << 24) - 1;
        return;
    }
    cron->seconds = (apr_uint64_t)1 << at.tm_sec;
    cron->minutes = (apr_uint64_t)1 << at.tm_min;
    cron->hours = (apr_uint64_t)1 << at.tm_hour;
    cron->weekdays = (apr_uint64_t)1 << at.tm_wday;
    cron->days = (apr_uint64_t)1 << at.tm_mday;
    cron->clamp = true;
    schedule->cron_usec = (apr_int32_t)(schedule->start - apr_time_from_sec(second));
}

bool udm_schedule_parse(udm_schedule_t *schedule, udm_error_t **error, apr_pool_t *p,
                        const char *pointer, const json_t *json, apr_time_t now)
{
    reader r = {p, error, pointer, json, true};
    const json_t *immediately;
    const char *cron;

    memset(schedule, 0, sizeof(*schedule));
    if (!json_is_object(json)) {
        udm_error_fault(error, p, pointer, "must be an object");
        return false;
    }
    immediately = member(&r, "immediately");
    if (immediately && !json_is_boolean(immediately)) {
        FAULT(&r, "immediately", "must be true or false, without quotes");
    }
    cron = read_string(&r, "cron");
    if (member(&r, "cron")) {
        schedule->kind = UDM_RUNS_CRON;
        schedule->recurs = true;
    }
    if (cron && !udm_cron_parse(&schedule->cron, error, p, below(&r, "cron"), cron)) {
        r.good = false;
    }
    read_runs(&r, schedule);
    read_start(&r, schedule);
    if (json_is_true(immediately) && member(&r, "startDate")) {
        FAULT(&r, "startDate", "cannot stand beside immediately: send one or the other");
    }
    if (!r.good) {
        return false;
    }
    if (schedule->recurs) {
        schedule->immediately = json_is_true(immediately);
        if (schedule->kind != UDM_RUNS_CRON) {
            schedule->start = schedule->start == UDM_NO_TIME ? now : schedule->start;
            set_recurrence(schedule);
        }
        if (udm_schedule_next(schedule, now - 1) == UDM_NO_TIME) {
            FAULT(&r, schedule->kind == UDM_RUNS_CRON ? "cron" : "startDate",
                  "asks for no run at all: there is no such time from now, or from startDate, on");
        }
    }
    else if (schedule->start != UDM_NO_TIME) {
        schedule->kind = UDM_RUNS_ONCE;
    }
    else if (json_is_false(immediately)) {
        FAULT(&r, "immediately",
              "false alone says no time to run: send true, or a startDate, cron or runs");
    }
    return r.good;
}

apr_time_t udm_schedule_first(const udm_schedule_t *schedule, apr_time_t now)
{
    if (schedule->recurs && !schedule->immediately) {
        return udm_schedule_next(schedule, now - 1);
    }
    return schedule->kind == UDM_RUNS_ONCE && schedule->start > now ? schedule->start : now;
}

apr_time_t udm_schedule_next(const udm_schedule_t *schedule, apr_time_t after)
{
    apr_time_t next;

    if (!schedule->recurs) {
        return schedule->kind == UDM_RUNS_ONCE && schedule->start > after ? schedule->start
                                                                          : UDM_NO_TIME;
    }
    if (schedule->start != UDM_NO_TIME && schedule->start > after) {
        after = schedule->start - 1;
    }
    next = udm_cron_next(&schedule->cron, after - schedule->cron_usec);
    return next == UDM_NO_TIME ? next : next + schedule->cron_usec;
}

apr_time_t udm_schedule_next_apart(bool *put_off, const udm_schedule_t *schedule, apr_time_t after,
                                   apr_time_t run, apr_interval_time_t apart)
{
    apr_time_t next = udm_schedule_next(schedule, after);

    *put_off = next != UDM_NO_TIME && next - run < apart;
    return *put_off ? run + apart : next;
}

bool udm_schedule_is_denser(const udm_schedule_t *schedule, apr_time_t since,
                            apr_interval_time_t apart)
{
    int left = schedule->runs_max > 0 ? schedule->runs_max : GAPS_LOOKED_AT + 1;
    apr_time_t one, next;

    if (!schedule->recurs || apart <= 0) {
        return false;
    }
    left = left > GAPS_LOOKED_AT + 1 ? GAPS_LOOKED_AT + 1 : left;
    next = udm_schedule_next(schedule, since - 1);
    for (left -= schedule->immediately; left > 1 && next != UDM_NO_TIME; left--) {
        one = next;
        next = udm_schedule_next(schedule, one);
        if (next != UDM_NO_TIME && next - one < apart) {
            return true;
        }
    }
    return false;
}

apr_time_t udm_schedule_last(const udm_schedule_t *schedule, apr_time_t at)
{
    apr_time_t last = UDM_NO_TIME;

    if (schedule->recurs && at >= 0) {
        last = udm_cron_last(&schedule->cron, at - schedule->cron_usec);
        last = last == UDM_NO_TIME ? last : last + schedule->cron_usec;
    }
    if (schedule->kind == UDM_RUNS_ONCE && schedule->start <= at) {
        last = schedule->start;
    }
    return last < schedule->start ? UDM_NO_TIME : last;
}
