/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_recurring_window.c: which window each run of a recurring job takes.
 */
#include "dbtest.h"
#include "recurringtest.h"

#include <apr_strings.h>

#include "core/calendar.h"
#include "db/control.h"
#include "db/queue.h"

#define WINDOW                                                                                     \
    "moves_watermark, coalesce(window_from::text, 'open'), window_to = r.scheduled_at,"            \
    " r.ready_at - r.scheduled_at"

START_TEST(windows_move_on)
{
    udm_job_t *job = recurringtest_moving("{'cron':'* * * * *'}");
    const char *mark;

    dbtest_exec("UPDATE udm.data_type SET settle_seconds = 7"
                " WHERE (source, name) = ('UCS', 'Interaction')");
    recurringtest_create(job);
    recurringtest_make_due("1 hour");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    ck_assert_str_eq(recurringtest_state(WINDOW), "t open t 00:00:07");
    ck_assert_str_eq(recurringtest_state("watermark IS NULL"), "t");
    recurringtest_complete(recurringtest_claim());
    ck_assert_str_eq(recurringtest_state("watermark = window_to, window_to = r.scheduled_at"),
                     "t t");
    mark = recurringtest_state("watermark");
    /* Neither a run that failed nor one that was cancelled moves it. */
    dbtest_exec("UPDATE udm.job SET watermark = watermark - interval '30 minutes'");
    mark = recurringtest_state("watermark");
    recurringtest_make_due("1 minute");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    ck_assert_str_eq(recurringtest_state(WINDOW), apr_psprintf(pool, "t %s t 00:00:07", mark));
    dbtest_ok(udm_queue_fail(pool, dbtest_worker(), recurringtest_claim(), "x"));
    ck_assert_str_eq(recurringtest_state("watermark"), mark);
    recurringtest_make_due("1 minute");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    recurringtest_claim();
    recurringtest_change(UDM_CHANGE_CANCEL, apr_atoi64(recurringtest_state("j.id")));
    ck_assert_str_eq(recurringtest_state("watermark, r.status"),
                     apr_pstrcat(pool, mark, " CANCELLED", NULL));
    /* The next one covers all of it. */
    recurringtest_make_due("1 minute");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    ck_assert_str_eq(recurringtest_state(WINDOW), apr_psprintf(pool, "t %s t 00:00:07", mark));
    recurringtest_complete(recurringtest_claim());
    ck_assert_str_eq(recurringtest_state("watermark = r.scheduled_at"), "t");
}
END_TEST

/* The same for the run that is made together with its job. */
START_TEST(window_of_a_run_at_once)
{
    udm_job_t *job = recurringtest_moving("{'immediately':true,'cron':'* * * * *'}");

    ck_assert(udm_calendar_parse(&job->date_from, "2026-01-01"));
    dbtest_exec("UPDATE udm.data_type SET settle_seconds = 8");
    recurringtest_create(job);
    ck_assert_str_eq(recurringtest_state("moves_watermark, window_from = '2026-01-01Z', window_to ="
                                         " r.scheduled_at, r.ready_at - r.scheduled_at"),
                     "t t t 00:00:08");
}
END_TEST

START_TEST(window_from_a_date)
{
    udm_job_t *job = recurringtest_moving("{'cron':'* * * * *'}");

    ck_assert(udm_calendar_parse(&job->date_from, "2026-01-01"));
    recurringtest_create(job);
    recurringtest_make_due("1 hour");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    ck_assert_str_eq(recurringtest_state("window_from = '2026-01-01Z', window_to = r.scheduled_at"),
                     "t t");
    recurringtest_complete(recurringtest_claim());
    recurringtest_make_due("1 minute");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    ck_assert_str_eq(recurringtest_state("window_from = watermark, watermark > '2026-01-02Z'"),
                     "t t");
}
END_TEST

/* Until then there is nothing, and what came before it is for no run. */
START_TEST(window_from_a_date_to_come)
{
    udm_job_t *job = recurringtest_moving("{'cron':'* * * * *'}");
    int i;

    ck_assert(udm_calendar_parse(&job->date_from, "2099-01-01"));
    recurringtest_create(job);
    for (i = 0; i < 2; i++) {
        recurringtest_make_due("1 hour");
        ck_assert_int_eq(recurringtest_schedule(), 1);
        ck_assert_str_eq(
            recurringtest_state("window_from = '2099-01-01Z', window_to = '2099-01-01Z'"), "t t");
        recurringtest_complete(recurringtest_claim());
        ck_assert_str_eq(recurringtest_state("watermark = '2099-01-01Z'"), "t");
    }
}
END_TEST

/* The first run, when it is made with the job, begins no earlier either. */
START_TEST(window_at_once_from_a_date_to_come)
{
    udm_job_t *job = recurringtest_moving("{'immediately':true,'cron':'* * * * *'}");

    ck_assert(udm_calendar_parse(&job->date_from, "2099-01-01"));
    recurringtest_create(job);
    ck_assert_str_eq(recurringtest_state("window_from = '2099-01-01Z', window_to = '2099-01-01Z'"),
                     "t t");
}
END_TEST

static void set_frame(udm_job_t *job, int which)
{
    job->time_all = which == 0;
    if (which != 2) {
        ck_assert(which == 0 || udm_calendar_parse(&job->date_from, "2026-01-01"));
    }
    if (which != 0) {
        ck_assert(udm_calendar_parse(&job->date_to, "2026-02-01"));
    }
}

START_TEST(fixed_windows_do_not_move)
{
    static const char *const windows[] = {"t - -", "f 2026-01-01 2026-02-01", "f - 2026-02-01"};
    udm_job_t *job = recurringtest_moving("{'immediately':true,'cron':'* * * * *'}");
    int i;

    set_frame(job, _i);
    recurringtest_create(job);
    for (i = 0; i < 3; i++) {
        ck_assert_str_eq(
            recurringtest_state(
                "window_all, coalesce((window_from AT TIME ZONE 'UTC')::date::text, '-'),"
                " coalesce((window_to AT TIME ZONE 'UTC')::date::text, '-')"),
            windows[_i]);
        ck_assert_str_eq(recurringtest_state("moves_watermark, r.ready_at - r.scheduled_at"),
                         "f 00:00:00");
        recurringtest_complete(recurringtest_claim());
        ck_assert_str_eq(recurringtest_state("watermark IS NULL"), "t");
        recurringtest_make_due("1 minute");
        ck_assert_int_eq(recurringtest_schedule(), 1);
    }
}
END_TEST

/* A type whose late rows could be missed is told of when the job is sent. */
START_TEST(types_without_moving_windows)
{
    udm_job_t *job = recurringtest_moving("{'cron':'* * * * *'}");
    udm_job_info_t *info;
    udm_error_t *error;
    apr_int64_t id;

    dbtest_exec("UPDATE udm.data_type SET moving_window = false");
    error =
        udm_job_create(&info, pool, dbtest_httpd(), job, dbtest_audit(dbtest_principal("acme")));
    dbtest_fault(error, "/timeFrame", "since its last run");
    dbtest_fault(error, "/timeFrame", "send a dateTo, or {\"all\":true}");
    set_frame(job, 1);
    id = recurringtest_create(job);
    job->date_to = UDM_NO_TIME;
    error = udm_job_replace(&info, pool, dbtest_httpd(), id, job, NULL,
                            dbtest_audit(dbtest_principal("acme")));
    dbtest_fault(error, "/timeFrame", "since its last run");
    set_frame(job, 0);
    recurringtest_create(job);
    /* One run has a window that ends when it is asked for. */
    job->time_all = false;
    dbtest_schedule(job, "{'immediately':true}");
    recurringtest_create(job);
}
END_TEST

static void settle(udm_run_t *run, const char *barrier, const char *end)
{
    apr_time_t to;

    ck_assert(udm_calendar_parse(&to, end));
    dbtest_ok(udm_queue_settle(pool, dbtest_worker(), run, barrier, to));
    ck_assert_str_eq(run->settle_barrier, barrier);
    ck_assert_int_eq(run->window_to, to);
}

START_TEST(a_window_ends_earlier)
{
    udm_run_t *run, *again;
    apr_time_t since;

    recurringtest_create(recurringtest_moving("{'immediately':true,'cron':'0 0 1 1 *'}"));
    run = recurringtest_claim();
    ck_assert_ptr_null(run->settle_barrier);
    ck_assert_int_eq(run->settle_since, UDM_NO_TIME);
    ck_assert(run->moves_watermark);
    settle(run, "12345", udm_calendar_text(pool, run->window_to));
    since = run->settle_since;
    ck_assert(since != UDM_NO_TIME);
    dbtest_ok(udm_queue_release(pool, dbtest_worker(), run, 0, false, NULL));
    /* The next look goes on from there. */
    again = recurringtest_claim();
    ck_assert_int_eq(again->id, run->id);
    ck_assert_int_eq(again->attempt, run->attempt);
    ck_assert_str_eq(again->settle_barrier, "12345");
    ck_assert_int_eq(again->settle_since, since);
    ck_assert(again->now >= since);
    /* Who has lost it changes nothing. */
    dbtest_fails(udm_queue_settle(pool, dbtest_worker(), run, "1", run->window_to), UDM_E_LOST,
                 "run");
    settle(again, "12345", "2026-03-01");
    ck_assert_int_eq(again->settle_since, since);
    recurringtest_complete(again);
    ck_assert_str_eq(recurringtest_state("watermark = '2026-03-01Z', window_to = '2026-03-01Z'"),
                     "t t");
    recurringtest_make_due("1 minute");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    ck_assert_str_eq(recurringtest_state("window_from = '2026-03-01Z', window_to = r.scheduled_at,"
                                         " settle_barrier IS NULL, settle_since IS NULL"),
                     "t t t t");
}
END_TEST

TCase *recurring_window_case(void)
{
    TCase *tc = dbtest_case("recurring_window");

    tcase_add_test(tc, windows_move_on);
    tcase_add_test(tc, window_of_a_run_at_once);
    tcase_add_test(tc, window_from_a_date);
    tcase_add_test(tc, window_from_a_date_to_come);
    tcase_add_test(tc, window_at_once_from_a_date_to_come);
    tcase_add_loop_test(tc, fixed_windows_do_not_move, 0, 3);
    tcase_add_test(tc, types_without_moving_windows);
    tcase_add_test(tc, a_window_ends_earlier);
    return tc;
}
