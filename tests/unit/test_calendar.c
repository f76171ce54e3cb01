/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_calendar.c: dates and days, instants in and out.
 */
#include "unit.h"
#include "core/calendar.h"

/* Whether the day follows the one before it, as dates and as numbers. */
static bool follows(apr_int64_t days)
{
    apr_int64_t year, year_before;
    int month, day, month_before, day_before;

    udm_calendar_date(&year_before, &month_before, &day_before, days - 1);
    udm_calendar_date(&year, &month, &day, days);
    if (udm_calendar_days((int)year, month, day) != days) {
        return false;
    }
    if (day != 1) {
        return day == day_before + 1 && month == month_before && year == year_before;
    }
    return day_before == udm_calendar_month_days((int)year_before, month_before) &&
           year * 12 + month == year_before * 12 + month_before + 1;
}

/* Every day of 400 years: of those before the year 0, around it, now, and late ones. */
START_TEST(test_days)
{
    static const apr_int64_t from[] = {-1200000, -719468 - 70000, 0, 2500000};

    for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
        for (apr_int64_t days = from[i]; days < from[i] + 146097; days++) {
            if (!follows(days)) {
                ck_abort_msg("day %ld", (long)days);
            }
        }
    }
}
END_TEST

START_TEST(test_known_days)
{
    apr_int64_t year;
    int month, day;

    ck_assert_int_eq(udm_calendar_days(1970, 1, 1), 0);
    ck_assert_int_eq(udm_calendar_days(2000, 2, 29), 11016);
    ck_assert_int_eq(udm_calendar_days(0, 3, 1), -719468);
    ck_assert_int_eq(udm_calendar_days(-4713, 11, 24), -2440588); /* day 0 of Julian days */
    udm_calendar_date(&year, &month, &day, 2145031948 + 10957);   /* the last that PostgreSQL has */
    ck_assert_int_eq(year, 5874897);
    ck_assert_int_eq(month * 100 + day, 1231);
}
END_TEST

START_TEST(test_time_out)
{
    ck_assert_ptr_null(udm_calendar_text(pool, UDM_NO_TIME));
    ck_assert_str_eq(udm_calendar_text(pool, 0), "1970-01-01T00:00:00.000Z");
    ck_assert_str_eq(udm_calendar_text(pool, 1795500000123999), "2026-11-24T06:00:00.123Z");
    ck_assert_str_eq(udm_calendar_text(pool, -1), "1969-12-31T23:59:59.999Z");
    ck_assert_str_eq(udm_calendar_text(pool, apr_time_from_sec(951782400)),
                     "2000-02-29T00:00:00.000Z");
    ck_assert_str_eq(udm_calendar_text(pool, apr_time_from_sec(253402300799)),
                     "9999-12-31T23:59:59.000Z");
    ck_assert_str_eq(udm_calendar_text(pool, apr_time_from_sec(-62135596800)),
                     "0001-01-01T00:00:00.000Z");
}
END_TEST

START_TEST(test_time_in)
{
    static const struct {
        const char *text;
        apr_time_t when;
    } good[] = {{"2026-11-24T06:00:00.000Z", 1795500000000000},
                {"2026-11-24T06:00:00Z", 1795500000000000},
                {"2026-11-24t06:00:00z", 1795500000000000},
                {"2026-11-24 06:00:00", 1795500000000000},
                {"2026-11-24T06:00", 1795500000000000},
                {"2026-11-24T06:00Z", 1795500000000000},
                {"2026-11-24T08:00:00+02:00", 1795500000000000},
                {"2026-11-24T00:30:00-05:30", 1795500000000000},
                {"2026-11-24", 1795478400000000},
                {"1970-01-01T00:00:00.5Z", 500000},
                {"1970-01-01T00:00:00.123456789Z", 123456},
                {"1969-12-31T23:59:59.999999Z", -1},
                {"2000-02-29", 951782400000000},
                {"2024-02-29", 1709164800000000},
                {"0001-01-01", -62135596800000000},
                {"9999-12-31T23:59:59.999999Z", 253402300799999999}};
    static const char *const bad[] = {"",
                                      "now",
                                      "2026",
                                      "2026-11",
                                      "2026-11-24T",
                                      "2026-11-24Z",
                                      "2026-11-24T06",
                                      "2026-11-24T6:00",
                                      "2026-11-24T06:00:00.Z",
                                      "2026-11-24T06:00:00.1234567890Z",
                                      "2026-11-24T06:00:00,5Z",
                                      "2026-11-24T24:00:00Z",
                                      "2026-11-24T23:60:00Z",
                                      "2026-12-31T23:59:60Z",
                                      "2026-11-24T06:00:00+0200",
                                      "2026-11-24T06:00:00+24:00",
                                      "2026-11-24T06:00:00+02:60",
                                      "2026-11-24T06:00:00 Z",
                                      "2026-11-24  06:00:00",
                                      "2026-11-24T06:00:00ZZ",
                                      " 2026-11-24",
                                      "2026-11-24 ",
                                      "2026-00-10",
                                      "2026-13-10",
                                      "2026-11-00",
                                      "2026-11-31",
                                      "2026-02-29",
                                      "1900-02-29",
                                      "2100-02-29",
                                      "0000-01-01",
                                      "-2026-01-01",
                                      "12026-01-01",
                                      "2026-1-1",
                                      "0001-01-01T00:00:00+00:01",
                                      "9999-12-31T23:59:59-00:01",
                                      "20261124T060000Z"};
    apr_time_t when;
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        when = 1;
        ck_assert_msg(udm_calendar_parse(&when, good[i].text), "%s", good[i].text);
        ck_assert_msg(when == good[i].when, "%s", good[i].text);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!udm_calendar_parse(&when, bad[i]), "%s", bad[i]);
    }
}
END_TEST

/* Out and in again, over eight centuries with all their leap years. */
START_TEST(test_time_round_trip)
{
    apr_time_t when, again;
    int day;

    for (day = -146097; day < 146097; day += 13) {
        when = apr_time_from_sec((apr_int64_t)day * 86400 + 86399) + 999000;
        ck_assert(udm_calendar_parse(&again, udm_calendar_text(pool, when)));
        ck_assert_msg(again == when, "day %d", day);
        apr_pool_clear(pool);
    }
}
END_TEST

TCase *calendar_case(void)
{
    TCase *tc = unit_case("calendar");

    tcase_add_test(tc, test_days);
    tcase_add_test(tc, test_known_days);
    tcase_add_test(tc, test_time_out);
    tcase_add_test(tc, test_time_in);
    tcase_add_test(tc, test_time_round_trip);
    return tc;
}
