/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cron.c: what is taken as a cron expression, every fault of one that is not, and times that
 * were worked out with a calendar in hand.
 */
#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "scheduletest.h"
#include "core/calendar.h"
#include "core/cron.h"

static udm_cron_t cron_of(const char *text)
{
    udm_cron_t cron;
    udm_error_t *error = NULL;
    bool good = udm_cron_parse(&cron, &error, pool, "", text);

    unit_ok(error);
    ck_assert(good);
    return cron;
}

/* What follows `after`; and back again from there, with nothing in between. */
static void due(const char *text, const char *after, const char *expected)
{
    udm_cron_t cron = cron_of(text);
    apr_time_t next = udm_cron_next(&cron, scheduletest_instant(after));

    scheduletest_is_at(next, expected, text);
    if (expected) {
        scheduletest_is_at(udm_cron_last(&cron, next), expected, text);
        scheduletest_is_at(udm_cron_next(&cron, next - 1), expected, text);
        ck_assert_msg(udm_cron_last(&cron, next - 1) <= scheduletest_instant(after),
                      "%s: due between", text);
    }
}

START_TEST(test_cron_faults)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "and has 0"},
        {"@daily", "and has 1"},
        {"* * * *", "and has 4"},
        {"60 * * * *", "in the field minute: allowed are 0 to 59"},
        {"-1 * * * *", "\"-1\" in the field minute"},
        {"+1 * * * *", "\"+1\" in the field minute"},
        {"1.5 * * * *", "\"1.5\" in the field minute"},
        {"00001 * * * *", "\"00001\" in the field minute"},
        {"18446744073709551616 * * * *", "in the field minute"},
        {"? * * * *", "\"?\" in the field minute"},
        {"L * * * *", "\"L\" in the field minute"},
        {"H * * * *", "\"H\" in the field minute"},
        {"5, * * * *", "\"\" in the field minute"},
        {",5 * * * *", "\"\" in the field minute"},
        {"5,,6 * * * *", "\"\" in the field minute"},
        {"5- * * * *", "\"5-\" in the field minute"},
        {"-5 * * * *", "\"-5\" in the field minute"},
        {"5-60 * * * *", "\"5-60\" in the field minute"},
        {"5-6-7 * * * *", "\"5-6-7\" in the field minute"},
        {"*5 * * * *", "\"*5\" in the field minute"},
        {"*-5 * * * *", "\"*-5\" in the field minute"},
        {"** * * * *", "\"**\" in the field minute"},
        {"*/0 * * * *", "the step must be 1 to 60"},
        {"*/61 * * * *", "the step must be 1 to 60"},
        {"*/90 * * * *", "the step must be 1 to 60"},
        {"*/ * * * *", "the step must be 1 to 60"},
        {"*/-5 * * * *", "the step must be 1 to 60"},
        {"*/5/5 * * * *", "\"*/5/5\" in the field minute"},
        {"/5 * * * *", "\"/5\" in the field minute"},
        {"0\n* * * * *", "in the field minute"},
        {"0 24 * * *", "in the field hour: allowed are 0 to 23"},
        {"0 */25 * * *", "the step must be 1 to 24"},
        {"0 0 0 * *", "in the field day of month: allowed are 1 to 31, L, L-1 to L-30, LW and 1W"},
        {"0 0 32 * *", "in the field day of month"},
        {"0 0 L-31 * *", "\"L-31\" in the field day of month"},
        {"0 0 L- * *", "\"L-\" in the field day of month"},
        {"0 0 L3 * *", "\"L3\" in the field day of month"},
        {"0 0 L/2 * *", "\"L/2\" in the field day of month"},
        {"0 0 20-L * *", "\"20-L\" in the field day of month"},
        {"0 0 32W * *", "\"32W\" in the field day of month"},
        {"0 0 W * *", "\"W\" in the field day of month"},
        {"0 0 *W * *", "\"*W\" in the field day of month"},
        {"0 0 1W-5 * *", "\"1W-5\" in the field day of month"},
        {"0 0 1-5W * *", "\"1-5W\" in the field day of month"},
        {"0 0 5#2 * *", "\"5#2\" in the field day of month"},
        {"0 0 5C * *", "\"5C\" in the field day of month"},
        {"0 0 MON * *", "\"MON\" in the field day of month"},
        {"0 0 1,? * *", "\"?\" in the field day of month"},
        {"0 0 ?/2 * *", "\"?/2\" in the field day of month"},
        {"0 0 * 0 *", "in the field month: allowed are 1 to 12 and JAN to DEC"},
        {"0 0 * 13 *", "in the field month"},
        {"0 0 * JANUARY *", "\"JANUARY\" in the field month"},
        {"0 0 * JA *", "\"JA\" in the field month"},
        {"0 0 * ? *", "\"?\" in the field month"},
        {"0 0 * SUN *", "\"SUN\" in the field month"},
        {"0 0 * * 8", "in the field weekday: allowed are 0 to 7 and SUN to SAT"},
        {"0 0 * * FRIDAY", "\"FRIDAY\" in the field weekday"},
        {"0 0 * * L", "L needs its weekday here"},
        {"0 0 * * 5L3", "\"5L3\" in the field weekday"},
        {"0 0 * * 8L", "\"8L\" in the field weekday"},
        {"0 0 * * 5W", "\"5W\" in the field weekday"},
        {"0 0 * * 5#0", "what follows # must be 1 to 5"},
        {"0 0 * * 5#6", "what follows # must be 1 to 5"},
        {"0 0 * * 5#", "what follows # must be 1 to 5"},
        {"0 0 * * 5#1/2", "\"5#1/2\" in the field weekday"},
        {"0 0 * * 1-5L", "\"1-5L\" in the field weekday"},
        {"0 0 * * */8", "the step must be 1 to 7"},
        {"60 0 0 * * *", "in the field second: allowed are 0 to 59"},
        {"0 0 0 ? * 0", "in the field weekday: allowed are 1 (Sunday) to 7 and SUN to SAT"},
        {"0 0 0 ? * 8", "in the field weekday"},
        {"0 0 0 ? * LW", "\"LW\" in the field weekday"},
        {"0 0 0 ? * 2 1969", "in the field year: allowed are 1970 to 2099"},
        {"0 0 0 ? * 2 2100", "in the field year"},
        {"0 0 0 ? * 2 26", "in the field year"},
        {"0 0 0 ? * 2 20266", "in the field year"},
        {"0 0 0 ? * 2 2030-2020", "cannot run backwards"},
        {"0 0 0 ? * 2 */131", "the step must be 1 to 130"},
        {"0 0 0 ? * 2 2026 *", "and has 8"},
        /* an excerpt, between two characters */
        {"0 0 * * \xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
         "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4-"
         "\xc3\xa4\xc3\xa4",
         "\xc3\xa4\xc3\xa4-\" in the field weekday"},
    };
    udm_cron_t cron;
    udm_error_t *error;
    char *longest;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        error = NULL;
        ck_assert_msg(!udm_cron_parse(&cron, &error, pool, "/cron", bad[i].text), "%s is taken",
                      bad[i].text);
        unit_fails(error, UDM_E_INVALID, bad[i].words);
        ck_assert_int_eq(error->faults->nelts, 1);
    }
    longest = apr_palloc(pool, UDM_CRON_MAX + 2);
    memset(longest, ' ', UDM_CRON_MAX + 1);
    memcpy(longest, "0 0 * * 1", 9);
    longest[UDM_CRON_MAX] = '\0';
    cron_of(longest);
    longest[UDM_CRON_MAX] = ' ';
    longest[UDM_CRON_MAX + 1] = '\0';
    error = NULL;
    ck_assert(!udm_cron_parse(&cron, &error, pool, "/cron", longest));
    unit_fails(error, UDM_E_INVALID, "at most 1000 bytes");
}
END_TEST

static const struct {
    const char *text, *after, *expected;
} table[] = {
    /* strictly after */
    {"* * * * *", "2026-11-24T11:05:00Z", "2026-11-24T11:06:00Z"},
    {"* * * * *", "2026-11-24T11:04:59.999Z", "2026-11-24T11:05:00Z"},
    {"* * * * * *", "2026-11-24T11:05:00Z", "2026-11-24T11:05:01Z"},
    {"5 11 * * *", "2026-11-24T11:05:00Z", "2026-11-25T11:05:00Z"},
    /* carry from one field to the next, to the end of a year */
    {"*/20 * * * *", "2026-12-31T23:40:00Z", "2027-01-01T00:00:00Z"},
    {"59 59 23 31 12 ?", "2026-12-31T23:59:59Z", "2027-12-31T23:59:59Z"},
    {"15 10,20 * * *", "2026-11-24T10:15:00Z", "2026-11-24T20:15:00Z"},
    {"10,30 10 * * *", "2026-11-24T10:20:00Z", "2026-11-24T10:30:00Z"},
    {"30 10 * * *", "2026-11-24T10:40:00Z", "2026-11-25T10:30:00Z"},
    {"20,40 10 10 * * *", "2026-11-24T10:10:30Z", "2026-11-24T10:10:40Z"},
    {"20 10,12 10 * * *", "2026-11-24T10:10:30Z", "2026-11-24T10:12:20Z"},
    {"0 */4 * * *", "2026-11-24T11:05:00Z", "2026-11-24T12:00:00Z"},
    {"0 */4 * * *", "2026-11-24T20:00:00Z", "2026-11-25T00:00:00Z"},
    {"  0\t12 * * * ", "2026-11-24", "2026-11-24T12:00:00Z"},
    /* steps */
    {"5/20 * * * *", "2026-11-24T11:05:00Z", "2026-11-24T11:25:00Z"},
    {"5/20 * * * *", "2026-11-24T11:45:00Z", "2026-11-24T12:05:00Z"},
    {"10-30/15 * * * *", "2026-11-24T11:10:00Z", "2026-11-24T11:25:00Z"},
    {"10-30/15 * * * *", "2026-11-24T11:25:00Z", "2026-11-24T12:10:00Z"},
    {"*/60 */24 * * *", "2026-11-24T11:10:00Z", "2026-11-25T00:00:00Z"},
    {"0 0 */10 * ?", "2026-11-24", "2026-12-01"}, /* 1, 11, 21, 31 */
    {"0 0 */10 * ?", "2026-12-21", "2026-12-31"},
    {"0 0 1 */5 ?", "2026-11-24", "2027-01-01"}, /* 1, 6, 11 */
    {"0 0 0 1 1 ? */4", "2026-11-24", "2030-01-01"},
    {"0 0 0 1 1 ? 2028/4", "2030-11-24", "2032-01-01"},
    /* wrap around */
    {"0 22-2 * * *", "2026-11-24T02:00:00Z", "2026-11-24T22:00:00Z"},
    {"0 22-2 * * *", "2026-11-24T23:00:00Z", "2026-11-25T00:00:00Z"},
    {"0 22-4/3 * * *", "2026-11-24T22:00:00Z", "2026-11-25T01:00:00Z"},
    {"0 22-4/3 * * *", "2026-11-25T01:00:00Z", "2026-11-25T04:00:00Z"},
    {"0 0 30-2 * ?", "2026-11-24", "2026-11-30"},
    {"0 0 30-2 * ?", "2026-11-30", "2026-12-01"},
    {"0 0 30-2 * ?", "2026-12-02", "2026-12-30"},
    {"0 0 1 NOV-feb ?", "2026-02-01", "2026-11-01"},
    {"0 0 1 11-2 ?", "2026-12-01", "2027-01-01"},
    {"50-10/15 * * * *", "2026-11-24T11:50:00Z", "2026-11-24T12:05:00Z"},
    /* weekdays: 2026-11-24 is a Tuesday */
    {"0 0 * * 0", "2026-11-24", "2026-11-29"},
    {"0 0 * * 7", "2026-11-24", "2026-11-29"},
    {"0 0 ? * sun", "2026-11-24", "2026-11-29"},
    {"0 0 * * 1-5", "2026-11-27", "2026-11-30"},
    {"0 0 * * FRI-MON", "2026-11-24", "2026-11-27"},
    {"0 0 * * FRI-MON", "2026-11-28", "2026-11-29"},
    {"0 0 * * FRI-MON", "2026-11-30", "2026-12-04"},
    {"0 0 * * 5-7", "2026-11-28", "2026-11-29"},
    {"0 0 * * 5-7", "2026-11-29", "2026-12-04"},
    {"0 0 * * 7-2", "2026-11-24", "2026-11-29"},
    {"0 0 * * 7-2", "2026-11-30", "2026-12-01"},
    {"0 0 * * 6-0", "2026-11-29", "2026-12-05"},
    {"0 0 * * */2", "2026-11-24", "2026-11-26"}, /* Sun, Tue, Thu, Sat */
    {"0 0 * * 1/2", "2026-11-27", "2026-11-29"}, /* Mon, Wed, Fri, 7 */
    {"0 0 0 ? * 1", "2026-11-24", "2026-11-29"},
    {"0 0 0 ? * 7", "2026-11-24", "2026-11-28"},
    {"0 0 0 ? * 2-6", "2026-11-27", "2026-11-30"},
    {"0 0 0 ? * 6-2", "2026-11-24", "2026-11-27"},
    {"0 0 0 ? * 6-2", "2026-11-30", "2026-12-04"},
    {"0 0 0 ? * 2/2", "2026-11-27", "2026-11-30"}, /* Mon, Wed, Fri */
    {"0 0 0 ? * L", "2026-11-24", "2026-11-28"},
    {"0 0 0 ? * MON,THU", "2026-11-24", "2026-11-26"},
    /* day of month OR weekday, unless one of them is exactly a star or a question mark */
    {"0 0 13 * FRI", "2026-11-06", "2026-11-13"},
    {"0 0 13 * FRI", "2026-11-13", "2026-11-20"},
    {"0 0 15 * FRI", "2026-11-13", "2026-11-15"},
    {"0 0 * * FRI", "2026-11-13", "2026-11-20"},
    {"0 0 ? * FRI", "2026-11-13", "2026-11-20"},
    {"0 0 13 * ?", "2026-11-13", "2026-12-13"},
    {"0 0 ? * ?", "2026-11-13", "2026-11-14"},
    {"0 0 */2 * FRI", "2026-11-05", "2026-11-06"},
    {"0 0 */2 * FRI", "2026-11-06", "2026-11-07"},
    {"0 0 1-31 * FRI", "2026-11-06", "2026-11-07"}, /* every day */
    {"0 0 13 * 0-6", "2026-11-06", "2026-11-07"},   /* every day */
    {"0 0 13 * */7", "2026-11-06", "2026-11-08"},   /* and Sundays */
    {"0 0 0 13 * 6", "2026-11-13", "2026-11-20"},
    /* months that lack a day, leap years, centuries */
    {"0 0 31 * *", "2026-08-31", "2026-10-31"},
    {"0 0 30 * *", "2027-01-30", "2027-03-30"},
    {"0 0 29 2 *", "2026-11-24", "2028-02-29"},
    {"0 0 29 2 *", "2096-02-29", "2104-02-29"},
    {"0 0 29 2 *", "2196-02-29", "2204-02-29"},
    {"0 0 29 2 *", "1996-02-29", "2000-02-29"},
    {"0 0 29 2 *", "2396-02-29", "2400-02-29"},
    {"0 0 * 2 *", "2100-02-28", "2101-02-01"},
    {"0 0 * 2 *", "2000-02-28", "2000-02-29"},
    {"0 0 ? 2 MON#5", "2026-11-24", "2044-02-29"}, /* a leap day on a Monday */
    {"0 0 ? 2 MON#5", "2072-02-29", "2112-02-29"}, /* and none for forty years */
    /* L */
    {"0 0 L * *", "2026-11-24", "2026-11-30"},
    {"0 0 l * *", "2027-02-01", "2027-02-28"},
    {"0 0 L * *", "2028-02-28", "2028-02-29"},
    {"0 0 L 2 *", "2100-01-01", "2100-02-28"},
    {"0 0 L-2 * *", "2026-11-24", "2026-11-28"},
    {"0 0 L-30 * *", "2026-11-24", "2026-12-01"},
    {"0 0 L-29 * *", "2027-01-02", "2027-03-02"}, /* February has none, and March ends on a 31st */
    {"0 0 15,L * *", "2026-11-24", "2026-11-30"},
    {"0 0 15,L * *", "2026-11-30", "2026-12-15"},
    {"0 0 L * MON", "2026-11-24", "2026-11-30"},
    {"0 0 L * MON", "2026-12-01", "2026-12-07"},
    {"0 0 * * 5L", "2026-11-24", "2026-11-27"},
    {"0 0 * * 5l", "2026-11-27", "2026-12-25"},
    {"0 0 * * friL", "2027-01-01", "2027-01-29"},
    {"0 0 * * 0L", "2026-11-24", "2026-11-29"},
    {"0 0 * * 7L", "2026-11-24", "2026-11-29"},
    {"0 0 0 ? * 6L", "2026-11-24", "2026-11-27"},
    {"0 0 0 ? * 1L", "2026-11-24", "2026-11-29"},
    {"0 0 1 * 5L", "2026-11-24", "2026-11-27"},
    {"0 0 1 * 5L", "2026-11-27", "2026-12-01"},
    {"0 0 ? 2 1L", "2027-01-01", "2027-02-22"}, /* 28 days that begin on a Monday */
    /* # */
    {"0 0 * * 5#2", "2026-11-24", "2026-12-11"},
    {"0 0 * * 2#1", "2026-11-24", "2026-12-01"},
    {"0 0 * * TUE#5", "2026-11-24", "2026-12-29"},
    {"0 0 * * TUE#5", "2026-12-29", "2027-03-30"},
    {"0 0 * * MON#1,MON#3", "2026-11-24", "2026-12-07"},
    {"0 0 * * MON#1,MON#3", "2026-12-07", "2026-12-21"},
    {"0 0 * * 7#1", "2026-11-24", "2026-12-06"},
    {"0 0 0 ? * 6#3", "2026-11-24", "2026-12-18"},
    {"0 0 0 ? * 1#1", "2026-11-24", "2026-12-06"},
    /* W: 2026-11-15 and 29 are Sundays, 2026-08-01 and 2026-10-31 are Saturdays */
    {"0 0 15W * *", "2026-11-01", "2026-11-16"},
    {"0 0 28W 11 *", "2026-11-01", "2026-11-27"},
    {"0 0 17w * *", "2026-11-01", "2026-11-17"},
    {"0 0 1W * *", "2026-07-31", "2026-08-03"},
    {"0 0 1W * *", "2026-10-31", "2026-11-02"},
    {"0 0 31W * *", "2026-10-01", "2026-10-30"},
    {"0 0 31W * *", "2026-10-30", "2026-12-31"},
    {"0 0 31W 5 *", "2026-01-01", "2026-05-29"}, /* the 31st is a Sunday and the last day */
    {"0 0 30W 8 *", "2026-01-01", "2026-08-31"}, /* the 30th is a Sunday, the 31st still August */
    {"0 0 LW * *", "2026-10-01", "2026-10-30"},
    {"0 0 LW 5 *", "2026-01-01", "2026-05-29"},
    {"0 0 LW * *", "2026-11-01", "2026-11-30"},
    {"0 0 L-1W 11 *", "2026-11-01", "2026-11-30"},
    {"0 0 L-2W 11 *", "2026-11-01", "2026-11-27"},
    {"0 0 0 1W * ?", "2026-11-24", "2026-12-01"},
    /* years, and the ends of time */
    {"0 0 0 1 1 ? 2030", "2026-11-24", "2030-01-01"},
    {"0 0 0 1 1 ? 2030", "2030-01-01", NULL},
    {"0 0 0 1 1 ? 2030,2032-2034", "2030-01-01", "2032-01-01"},
    {"0 0 0 31 12 ? 2099", "2026-11-24", "2099-12-31"},
    {"0 0 0 1 1 ? *", "2099-11-24", "2100-01-01"},
    {"0 0 0 1 1 ? */1", "2099-11-24", NULL},
    {"0 0 30 2 ?", "2026-11-24", NULL},
    {"* * * * * *", "9999-12-31T23:59:58Z", "9999-12-31T23:59:59Z"},
    {"* * * * * *", "9999-12-31T23:59:59Z", NULL},
    {"0 0 1 1 *", "9998-12-31", "9999-01-01"},
    {"0 0 1 1 *", "9999-01-01", NULL},
    {"0 0 1 1 *", "1969-06-01", "1970-01-01"},
    {"0 0 1 1 *", "0001-01-01", "1970-01-01"},
};

START_TEST(test_cron_table)
{
    due(table[_i].text, table[_i].after, table[_i].expected);
}
END_TEST

START_TEST(test_cron_last)
{
    udm_cron_t cron = cron_of("0 0 29 2 *");

    scheduletest_is_at(udm_cron_last(&cron, scheduletest_instant("2104-02-28T23:59:59")),
                       "2096-02-29", "2104");
    scheduletest_is_at(udm_cron_last(&cron, scheduletest_instant("1972-02-28")), NULL,
                       "before the first");
    scheduletest_is_at(udm_cron_last(&cron, scheduletest_instant("1969-12-31T23:59:59")), NULL,
                       "before 1970");
    cron = cron_of("10,50 10,30 6,18 * * *");
    scheduletest_is_at(udm_cron_last(&cron, scheduletest_instant("2026-11-24T18:30:50")),
                       "2026-11-24T18:30:50", "at it");
    scheduletest_is_at(udm_cron_last(&cron, scheduletest_instant("2026-11-24T18:30:49.999Z")),
                       "2026-11-24T18:30:10", "s");
    scheduletest_is_at(udm_cron_last(&cron, scheduletest_instant("2026-11-24T18:30:09")),
                       "2026-11-24T18:10:50", "min");
    scheduletest_is_at(udm_cron_last(&cron, scheduletest_instant("2026-11-24T18:20")),
                       "2026-11-24T18:10:50", "minute");
    scheduletest_is_at(udm_cron_last(&cron, scheduletest_instant("2026-11-24T18:10:09")),
                       "2026-11-24T06:30:50", "hour");
    scheduletest_is_at(udm_cron_last(&cron, scheduletest_instant("2026-11-24T06:10:09")),
                       "2026-11-23T18:30:50", "day");
    cron = cron_of("0 0 0 1 1 ? 1970");
    scheduletest_is_at(udm_cron_last(&cron, scheduletest_instant("9999-12-31")), "1970-01-01",
                       "eight thousand years");
    cron = cron_of("0 0 30 2 *");
    scheduletest_is_at(udm_cron_last(&cron, scheduletest_instant("9999-12-31")), NULL, "never");
    cron = cron_of("0 0 31 12 *");
    scheduletest_is_at(udm_cron_last(&cron, APR_INT64_MAX), "9999-12-31", "past the end");
}
END_TEST

/* Expressions with a few bytes changed: read or refused, and what is read goes there and back. */
START_TEST(test_cron_mutations)
{
    static const char *const seeds[] = {"0 6 * * *", "*/15 22-2 1,15,L-3W 1-12/3 MON-FRI",
                                        "0 0 12 ? * 6L 2027", "5 4 LW FEB,NOV 5#2,2#1,0L",
                                        "0 0 0 31W 2/5 ?"};
    uint32_t state = 20261124;
    int taken = 0, i;

    for (i = 0; i < 20000; i++) {
        char *text = unit_mutate(&state, seeds[unit_random(&state) % 5]);
        apr_time_t at = apr_time_from_sec(1795500000) + unit_random(&state) * (apr_time_t)100003;
        apr_time_t next, last;
        udm_cron_t cron;
        udm_error_t *error = NULL;

        if (udm_cron_parse(&cron, &error, pool, "/cron", text)) {
            taken++;
            next = udm_cron_next(&cron, at);
            last = udm_cron_last(&cron, at);
            ck_assert_msg(next == UDM_NO_TIME || next > at, "%s: next", text);
            ck_assert_msg(last <= at, "%s: last", text);
            ck_assert_msg(next == UDM_NO_TIME || (udm_cron_last(&cron, next) == next &&
                                                  udm_cron_last(&cron, next - 1) == last),
                          "%s: back from next", text);
            ck_assert_msg(last == UDM_NO_TIME || udm_cron_next(&cron, last - 1) == last,
                          "%s: forth to last", text);
        }
        else {
            ck_assert(error && error->faults->nelts > 0);
        }
        free(text);
        apr_pool_clear(pool);
    }
    ck_assert_int_gt(taken, 1000);
    ck_assert_int_lt(taken, 19000);
}
END_TEST

TCase *cron_case(void)
{
    TCase *tc = unit_case("cron");

    tcase_add_test(tc, test_cron_faults);
    tcase_add_loop_test(tc, test_cron_table, 0, (int)(sizeof(table) / sizeof(table[0])));
    tcase_add_test(tc, test_cron_last);
    tcase_add_test(tc, test_cron_mutations);
    return tc;
}
