/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_schedule.c: what is taken as a schedule, every fault of one that is not, and times that were
 * worked out with a calendar in hand.
 */
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "scheduletest.h"
#include "core/calendar.h"
#include "core/json.h"
#include "core/schedule.h"

/* A Tuesday. */
#define NOW "2026-11-24T11:05:00.250Z"

apr_time_t scheduletest_instant(const char *text)
{
    apr_time_t when;

    ck_assert_msg(udm_calendar_parse(&when, text), "no instant: %s", text);
    return when;
}

void scheduletest_is_at(apr_time_t when, const char *expected, const char *what)
{
    const char *text = udm_calendar_text(pool, when);

    if (!expected) {
        ck_assert_msg(when == UDM_NO_TIME, "%s: %s, expected never", what, text ? text : "never");
        return;
    }
    ck_assert_msg(when == scheduletest_instant(expected), "%s: %s, expected %s", what,
                  text ? text : "never", expected);
}

/* Reads a schedulerParam with ' for ", accepted at `now`. */
static bool parse(udm_schedule_t *schedule, udm_error_t **error, const char *param, const char *now)
{
    char *copy = apr_pstrdup(pool, param), *c;
    json_t *json;

    for (c = copy; *c; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    unit_ok(udm_json_parse(&json, pool, copy, strlen(copy)));
    *error = NULL;
    return udm_schedule_parse(schedule, error, pool, "/schedulerParam", json,
                              scheduletest_instant(now));
}

static udm_schedule_t takes(const char *param)
{
    udm_schedule_t schedule;
    udm_error_t *error;
    bool good = parse(&schedule, &error, param, NOW);

    unit_ok(error);
    ck_assert(good);
    return schedule;
}

/* Expects exactly one fault; `pointer` is below /schedulerParam. */
static void refuses(const char *param, const char *pointer, const char *words)
{
    udm_schedule_t schedule;
    udm_error_t *error;
    const udm_fault_t *fault;

    ck_assert_msg(!parse(&schedule, &error, param, NOW), "%s is taken", param);
    unit_fails(error, UDM_E_INVALID, words);
    ck_assert_msg(error->faults->nelts == 1, "%s: %d faults", param, error->faults->nelts);
    fault = &APR_ARRAY_IDX(error->faults, 0, udm_fault_t);
    ck_assert_str_eq(fault->pointer, apr_pstrcat(pool, "/schedulerParam", pointer, NULL));
}

/* The first run and those after it, up to a NULL that stands for never, or the end of six. */
static void runs_at(const char *param, const char *const expected[6])
{
    udm_schedule_t schedule = takes(param);
    apr_time_t when = udm_schedule_first(&schedule, scheduletest_instant(NOW));
    int i;

    for (i = 0; i < 6; i++) {
        scheduletest_is_at(when, expected[i], param);
        if (!expected[i]) {
            return;
        }
        when = udm_schedule_next(&schedule, when);
    }
}
#define RUNS_AT(param, ...) runs_at((param), (const char *const[6]){__VA_ARGS__})

START_TEST(test_one_run)
{
    udm_schedule_t schedule = takes("{}");

    ck_assert_int_eq(schedule.kind, UDM_RUNS_NOW);
    ck_assert(!schedule.recurs);
    ck_assert_int_eq(schedule.start, UDM_NO_TIME);
    RUNS_AT("{}", NOW, NULL);
    RUNS_AT("{'immediately':true}", NOW, NULL);
    RUNS_AT("{'immediately':null,'cron':null,'runs':null,'startDate':null}", NOW, NULL);
    RUNS_AT("{'unknown':{'cron':1},'immediately':true}", NOW, NULL);
    scheduletest_is_at(udm_schedule_last(&schedule, scheduletest_instant(NOW)), NULL, "now, last");

    schedule = takes("{'startDate':'2026-12-01 06:00'}");
    ck_assert_int_eq(schedule.kind, UDM_RUNS_ONCE);
    ck_assert(!schedule.recurs);
    RUNS_AT("{'startDate':'2026-12-01 06:00'}", "2026-12-01T06:00Z", NULL);
    RUNS_AT("{'startDate':'2026-12-01','immediately':false}", "2026-12-01", NULL);
    RUNS_AT("{'startDate':'2026-11-24T13:00+01:00'}", "2026-11-24T12:00Z", NULL);
    RUNS_AT("{'startDate':'2026-11-24'}", NOW, NULL); /* past */
    RUNS_AT("{'startDate':'2026-11-24T11:05:00.249Z'}", NOW, NULL);
    RUNS_AT("{'startDate':'2026-11-24T11:05:00.251Z'}", "2026-11-24T11:05:00.251Z", NULL);
    scheduletest_is_at(udm_schedule_last(&schedule, scheduletest_instant("2026-12-01T05:59:59")),
                       NULL, "once, before");
    scheduletest_is_at(udm_schedule_last(&schedule, scheduletest_instant("2027-01-01")),
                       "2026-12-01T06:00", "once, after");
    scheduletest_is_at(udm_schedule_next(&schedule, scheduletest_instant("2026-12-01T06:00")), NULL,
                       "once, over");
}
END_TEST

START_TEST(test_cron_schedule)
{
    udm_schedule_t schedule = takes("{'cron':'0 6 * * *','runs':'012'}");

    ck_assert_int_eq(schedule.kind, UDM_RUNS_CRON);
    ck_assert(schedule.recurs);
    ck_assert(!schedule.immediately);
    ck_assert_int_eq(schedule.runs_max, 12);
    ck_assert_int_eq(takes("{'cron':'0 6 * * *'}").runs_max, 0);
    ck_assert_int_eq(takes("{'cron':'0 6 * * *','runs':'2147483647'}").runs_max, 2147483647);
    RUNS_AT("{'cron':'0 6 * * *','immediately':false}", "2026-11-25T06:00", "2026-11-26T06:00",
            "2026-11-27T06:00", "2026-11-28T06:00", "2026-11-29T06:00", "2026-11-30T06:00");
    /* one run now, and then the cron */
    RUNS_AT("{'cron':'0 0 1 1 ?','immediately':true}", NOW, "2027-01-01", "2028-01-01",
            "2029-01-01", "2030-01-01", "2031-01-01");
    ck_assert(takes("{'cron':'0 0 1 1 ?','immediately':true}").immediately);
    /* no run before startDate, and one at it */
    RUNS_AT("{'cron':'0 6 * * *','startDate':'2026-12-24T06:00:00.000Z'}", "2026-12-24T06:00",
            "2026-12-25T06:00", "2026-12-26T06:00", "2026-12-27T06:00", "2026-12-28T06:00",
            "2026-12-29T06:00");
    RUNS_AT("{'cron':'0 6 * * *','startDate':'2026-12-24T06:00:00.001Z'}", "2026-12-25T06:00",
            "2026-12-26T06:00", "2026-12-27T06:00", "2026-12-28T06:00", "2026-12-29T06:00",
            "2026-12-30T06:00");
    RUNS_AT("{'cron':'0 6 1 * *','startDate':'2020-01-01'}", "2026-12-01T06:00", "2027-01-01T06:00",
            "2027-02-01T06:00", "2027-03-01T06:00", "2027-04-01T06:00", "2027-05-01T06:00");
    RUNS_AT("{'cron':'0 0 12 ? * SUN 2026-2027/1'}", "2026-11-29T12:00", "2026-12-06T12:00",
            "2026-12-13T12:00", "2026-12-20T12:00", "2026-12-27T12:00", "2027-01-03T12:00");
    RUNS_AT("{'cron':'0 0 0 31 12 ? 2026,2028'}", "2026-12-31", "2028-12-31", NULL);

    schedule = takes("{'cron':'0 6 * * *','startDate':'2026-12-24T06:00:00Z'}");
    scheduletest_is_at(udm_schedule_last(&schedule, scheduletest_instant("2026-12-24T05:59:59")),
                       NULL, "before startDate");
    scheduletest_is_at(udm_schedule_last(&schedule, scheduletest_instant("2026-12-24T06:00")),
                       "2026-12-24T06:00", "at it");
    /* runs missed for a week are passed over */
    scheduletest_is_at(udm_schedule_last(&schedule, scheduletest_instant("2026-12-31T07:00")),
                       "2026-12-31T06:00", "missed");
    scheduletest_is_at(udm_schedule_next(&schedule, scheduletest_instant("2026-12-31T07:00")),
                       "2027-01-01T06:00", "next");
    scheduletest_is_at(udm_schedule_next(&schedule, APR_INT64_MIN), "2026-12-24T06:00",
                       "from the beginning");
    scheduletest_is_at(udm_schedule_next(&schedule, APR_INT64_MAX), NULL, "at the end");
    scheduletest_is_at(udm_schedule_last(&schedule, APR_INT64_MIN), NULL, "at the beginning");
    scheduletest_is_at(udm_schedule_last(&schedule, APR_INT64_MAX), "9999-12-31T06:00",
                       "from the end");
}
END_TEST

START_TEST(test_words)
{
    udm_schedule_t schedule = takes("{'runs':'Hourly','startDate':'2026-12-24T10:20:00Z'}");

    ck_assert_int_eq(schedule.kind, UDM_RUNS_HOURLY);
    ck_assert(schedule.recurs);
    RUNS_AT("{'runs':'hourly','startDate':'2026-12-24T10:20Z'}", "2026-12-24T11:00",
            "2026-12-24T12:00", "2026-12-24T13:00", "2026-12-24T14:00", "2026-12-24T15:00",
            "2026-12-24T16:00");
    RUNS_AT("{'runs':'hourly','startDate':'2026-12-31T22:00Z'}", "2026-12-31T22:00",
            "2026-12-31T23:00", "2027-01-01T00:00", "2027-01-01T01:00", "2027-01-01T02:00",
            "2027-01-01T03:00");
    RUNS_AT("{'runs':'hourly'}", "2026-11-24T12:00", "2026-11-24T13:00", "2026-11-24T14:00",
            "2026-11-24T15:00", "2026-11-24T16:00", "2026-11-24T17:00");
    RUNS_AT("{'runs':'hourly','immediately':true}", NOW, "2026-11-24T12:00", "2026-11-24T13:00",
            "2026-11-24T14:00", "2026-11-24T15:00", "2026-11-24T16:00");

    /* from now on: the first one is now, whether said or not */
    RUNS_AT("{'runs':'daily'}", NOW, "2026-11-25T11:05:00.250Z", "2026-11-26T11:05:00.250Z",
            "2026-11-27T11:05:00.250Z", "2026-11-28T11:05:00.250Z", "2026-11-29T11:05:00.250Z");
    RUNS_AT("{'runs':'daily','immediately':true}", NOW, "2026-11-25T11:05:00.250Z",
            "2026-11-26T11:05:00.250Z", "2026-11-27T11:05:00.250Z", "2026-11-28T11:05:00.250Z",
            "2026-11-29T11:05:00.250Z");
    RUNS_AT("{'runs':'daily','startDate':'2026-02-28T23:59:59.999Z'}", "2026-11-24T23:59:59.999Z",
            "2026-11-25T23:59:59.999Z", "2026-11-26T23:59:59.999Z", "2026-11-27T23:59:59.999Z",
            "2026-11-28T23:59:59.999Z", "2026-11-29T23:59:59.999Z");
    RUNS_AT("{'runs':'DAILY','startDate':'2026-11-24T12:05:00.250+01:00'}", NOW,
            "2026-11-25T11:05:00.250Z", "2026-11-26T11:05:00.250Z", "2026-11-27T11:05:00.250Z",
            "2026-11-28T11:05:00.250Z", "2026-11-29T11:05:00.250Z");
    RUNS_AT("{'runs':'daily','startDate':'2026-11-24T11:05:00.249Z'}", "2026-11-25T11:05:00.249Z",
            "2026-11-26T11:05:00.249Z", "2026-11-27T11:05:00.249Z", "2026-11-28T11:05:00.249Z",
            "2026-11-29T11:05:00.249Z", "2026-11-30T11:05:00.249Z");
    /* a Friday, and before 1970 a Wednesday */
    RUNS_AT("{'runs':'weekly','startDate':'2027-01-01T08:30Z'}", "2027-01-01T08:30",
            "2027-01-08T08:30", "2027-01-15T08:30", "2027-01-22T08:30", "2027-01-29T08:30",
            "2027-02-05T08:30");
    RUNS_AT("{'runs':'weekly','startDate':'1969-12-31T23:59:59.750Z'}", "2026-11-25T23:59:59.750Z",
            "2026-12-02T23:59:59.750Z", "2026-12-09T23:59:59.750Z", "2026-12-16T23:59:59.750Z",
            "2026-12-23T23:59:59.750Z", "2026-12-30T23:59:59.750Z");
    RUNS_AT("{'runs':'monthly','startDate':'2027-12-31T08:30Z'}", "2027-12-31T08:30",
            "2028-01-31T08:30", "2028-02-29T08:30", "2028-03-31T08:30", "2028-04-30T08:30",
            "2028-05-31T08:30");
    RUNS_AT("{'runs':'monthly','startDate':'2026-12-29'}", "2026-12-29", "2027-01-29", "2027-02-28",
            "2027-03-29", "2027-04-29", "2027-05-29");
    RUNS_AT("{'runs':'monthly','startDate':'2026-12-30'}", "2026-12-30", "2027-01-30", "2027-02-28",
            "2027-03-30", "2027-04-30", "2027-05-30");
    RUNS_AT("{'runs':'monthly','startDate':'2026-11-30'}", "2026-11-30", "2026-12-30", "2027-01-30",
            "2027-02-28", "2027-03-30", "2027-04-30");
    RUNS_AT("{'runs':'monthly','startDate':'2024-02-29'}", "2026-11-29", "2026-12-29", "2027-01-29",
            "2027-02-28", "2027-03-29", "2027-04-29");

    schedule = takes("{'runs':'monthly','startDate':'2027-01-31T00:00:00.500Z'}");
    scheduletest_is_at(
        udm_schedule_last(&schedule, scheduletest_instant("2027-01-31T00:00:00.499Z")), NULL,
        "before");
    scheduletest_is_at(
        udm_schedule_last(&schedule, scheduletest_instant("2027-02-28T00:00:00.499Z")),
        "2027-01-31T00:00:00.5", "just before");
    scheduletest_is_at(
        udm_schedule_last(&schedule, scheduletest_instant("2027-02-28T00:00:00.500Z")),
        "2027-02-28T00:00:00.5", "at it");
    scheduletest_is_at(
        udm_schedule_next(&schedule, scheduletest_instant("2027-02-28T00:00:00.500Z")),
        "2027-03-31T00:00:00.5", "strictly after");
    scheduletest_is_at(udm_schedule_last(&schedule, APR_INT64_MIN), NULL, "at the beginning");
    scheduletest_is_at(udm_schedule_next(&schedule, APR_INT64_MIN), "2027-01-31T00:00:00.5",
                       "first of all");
}
END_TEST

#define HOUR apr_time_from_sec(3600)

/* A next run that comes too soon after one is put off, and nothing else is. */
START_TEST(test_next_apart)
{
    static const struct {
        const char *param, *run;
        int hours;
        const char *next;
        bool put_off;
    } cases[] = {
        {"{'runs':'hourly'}", "2026-05-05T10:00Z", 0, "2026-05-05T11:00Z", false},
        {"{'runs':'hourly'}", "2026-05-05T10:00Z", 1, "2026-05-05T11:00Z", false},
        {"{'runs':'hourly'}", "2026-05-05T10:00Z", 2, "2026-05-05T12:00Z", true},
        {"{'cron':'0 3 * * *'}", "2026-05-05T23:30Z", 4, "2026-05-06T03:30Z", true},
        {"{'cron':'0 3 * * *'}", "2026-05-05T23:30Z", 3, "2026-05-06T03:00Z", false},
        {"{'cron':'0 0 3 5 5 ? 2026'}", "2026-05-05T03:00Z", 9, NULL, false},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        apr_time_t run = scheduletest_instant(cases[i].run);
        udm_schedule_t schedule;
        udm_error_t *error;
        bool put_off;

        ck_assert(parse(&schedule, &error, cases[i].param, "2026-01-01"));
        scheduletest_is_at(
            udm_schedule_next_apart(&put_off, &schedule, run, run, cases[i].hours * HOUR),
            cases[i].next, cases[i].param);
        ck_assert_msg(put_off == cases[i].put_off, "%s", cases[i].param);
    }
}
END_TEST

START_TEST(test_denser)
{
    static const struct {
        const char *param;
        int hours;
        bool denser;
    } cases[] = {
        {"{'runs':'hourly'}", 0, false},
        {"{'runs':'hourly'}", 1, false},
        {"{'runs':'hourly'}", 2, true},
        {"{'runs':'daily'}", 24, false},
        {"{'runs':'daily'}", 25, true},
        {"{'cron':'0 0,23 * * *'}", 2, true}, /* over midnight */
        {"{'cron':'0 3 1 * *'}", 24 * 28, false},
        {"{'cron':'0 3 1 * *'}", 24 * 29, true}, /* in February */
        {"{'cron':'0 3 29 2 *'}", 24 * 366, false},
        {"{'cron':'0 3,4 29 2 *'}", 2, true},
        {"{'cron':'0 3,4 * * *','runs':'1'}", 2, false},
        {"{'cron':'0 3,4 * * *','runs':'2'}", 2, true},
        {"{'cron':'0 3,4 * * *','runs':'2','immediately':true}", 2, false},
        {"{'cron':'0 3,4 * * *','runs':'3','immediately':true}", 2, true},
        {"{}", 1, false},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        udm_schedule_t schedule;
        udm_error_t *error;

        ck_assert(parse(&schedule, &error, cases[i].param, "2026-01-01"));
        ck_assert_msg(udm_schedule_is_denser(&schedule, scheduletest_instant("2026-01-01"),
                                             cases[i].hours * HOUR) == cases[i].denser,
                      "%s %d", cases[i].param, cases[i].hours);
    }
}
END_TEST

/* Reading a stored schedule again: with the same `now` it is the same, whatever the time is. */
START_TEST(test_read_again)
{
    udm_schedule_t schedule;
    udm_error_t *error;

    ck_assert(parse(&schedule, &error, "{'runs':'monthly'}", "2026-01-31T10:00Z"));
    scheduletest_is_at(udm_schedule_next(&schedule, scheduletest_instant("2026-02-28T10:00Z")),
                       "2026-03-31T10:00Z", "day 31");
    ck_assert(parse(&schedule, &error, "{'cron':'0 0 0 1 1 ? 2025'}", "2024-05-05"));
    scheduletest_is_at(udm_schedule_next(&schedule, scheduletest_instant(NOW)), NULL, "over");
    scheduletest_is_at(udm_schedule_last(&schedule, scheduletest_instant(NOW)), "2025-01-01",
                       "over, last");
    ck_assert(parse(&schedule, &error, "{'cron':'0 0 1 1 *'}", "2026-01-01"));
    scheduletest_is_at(udm_schedule_first(&schedule, scheduletest_instant("2026-01-01")),
                       "2026-01-01", "just now");
}
END_TEST

START_TEST(test_faults)
{
    udm_schedule_t schedule;
    udm_error_t *error;
    const udm_fault_t *faults;

    refuses("[]", "", "must be an object");
    refuses("{'immediately':false}", "/immediately", "false alone says no time to run");
    refuses("{'immediately':'true'}", "/immediately", "must be true or false, without quotes");
    refuses("{'immediately':1,'cron':'0 6 * * *'}", "/immediately", "must be true or false");
    refuses("{'immediately':true,'startDate':'2026-12-01'}", "/startDate", "beside immediately");
    refuses("{'immediately':true,'startDate':'2026-12-01','cron':'0 6 * * *'}", "/startDate",
            "beside immediately");
    refuses("{'startDate':'tomorrow'}", "/startDate", "must be an RFC 3339 date");
    refuses("{'startDate':''}", "/startDate", "must be an RFC 3339 date");
    refuses("{'startDate':1795500000}", "/startDate", "must be a string");
    refuses("{'startDate':'2026-02-30','runs':'daily'}", "/startDate", "must be an RFC 3339 date");
    refuses("{'runs':'5'}", "/runs", "only beside cron");
    refuses("{'runs':'5','startDate':'2026-12-01'}", "/runs", "only beside cron");
    refuses("{'runs':'5','immediately':false}", "/runs", "only beside cron");
    refuses("{'runs':'0','cron':'0 6 * * *'}", "/runs", "a number, 1 to 2147483647");
    refuses("{'runs':'-1','cron':'0 6 * * *'}", "/runs", "a number, 1 to 2147483647");
    refuses("{'runs':'1.5','cron':'0 6 * * *'}", "/runs", "a number, 1 to 2147483647");
    refuses("{'runs':'2147483648','cron':'0 6 * * *'}", "/runs", "a number, 1 to 2147483647");
    refuses("{'runs':'99999999999999999999','cron':'0 6 * * *'}", "/runs", "a number, 1 to");
    refuses("{'runs':''}", "/runs", "must be hourly, daily, weekly or monthly");
    refuses("{'runs':'yearly'}", "/runs", "must be hourly, daily, weekly or monthly");
    refuses("{'runs':' daily'}", "/runs", "must be hourly, daily, weekly or monthly");
    refuses("{'runs':5,'cron':'0 6 * * *'}", "/runs", "must be a string");
    refuses("{'runs':'Daily','cron':'0 6 * * *'}", "/runs", "cannot say \"daily\" beside cron");
    refuses("{'cron':'','runs':'5'}", "/cron", "must have 5 fields");
    refuses("{'cron':5,'runs':'5'}", "/cron", "must be a string");
    refuses("{'cron':'0 6 * * * * * *'}", "/cron", "and has 8");
    /* never */
    refuses("{'cron':'0 0 30 2 *'}", "/cron", "asks for no run at all");
    refuses("{'cron':'0 0 30 2 *','immediately':true}", "/cron", "asks for no run at all");
    refuses("{'cron':'0 0 0 1 1 ? 2025'}", "/cron", "asks for no run at all");
    refuses("{'cron':'0 0 0 1 1 ? 2027','startDate':'2027-01-01T00:00:00.001Z'}", "/cron",
            "asks for no run at all");
    refuses("{'cron':'0 0 0 29 2 ? 2100'}", "/cron", "allowed are 1970 to 2099");
    refuses("{'cron':'0 0 0 29 2 ? 2099'}", "/cron", "asks for no run at all");
    refuses("{'cron':'0 0 31 4,6,9,11 ?'}", "/cron", "asks for no run at all");
    refuses("{'cron':'0 0 L-30 FEB ?'}", "/cron", "asks for no run at all");
    refuses("{'cron':'0 0 31W 2 ?'}", "/cron", "asks for no run at all");
    refuses("{'cron':'0 0 ? 2 MON#5','startDate':'9999-02-01'}", "/cron", "asks for no run at all");
    refuses("{'runs':'hourly','startDate':'9999-12-31T23:30Z'}", "/startDate",
            "asks for no run at all");

    /* all of them at once */
    ck_assert(!parse(&schedule, &error,
                     "{'immediately':0,'cron':'60 24 * * *','runs':'0',"
                     "'startDate':'?'}",
                     NOW));
    ck_assert_int_eq(error->faults->nelts, 5);
    faults = (const udm_fault_t *)error->faults->elts;
    ck_assert_str_eq(faults[0].pointer, "/schedulerParam/immediately");
    ck_assert_str_eq(faults[1].detail, "has \"60\" in the field minute: allowed are 0 to 59");
    ck_assert_str_eq(faults[2].detail, "has \"24\" in the field hour: allowed are 0 to 23");
    ck_assert_str_eq(faults[2].pointer, "/schedulerParam/cron");
    ck_assert_str_eq(faults[3].pointer, "/schedulerParam/runs");
    ck_assert_str_eq(faults[4].pointer, "/schedulerParam/startDate");
}
END_TEST

TCase *schedule_case(void)
{
    TCase *tc = unit_case("schedule");

    tcase_add_test(tc, test_one_run);
    tcase_add_test(tc, test_cron_schedule);
    tcase_add_test(tc, test_words);
    tcase_add_test(tc, test_next_apart);
    tcase_add_test(tc, test_denser);
    tcase_add_test(tc, test_read_again);
    tcase_add_test(tc, test_faults);
    return tc;
}
