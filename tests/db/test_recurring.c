/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_recurring.c: jobs that run again and again: when their runs are, which are missed, and what
 * a PUT changes.
 */
#include "dbtest.h"
#include "recurringtest.h"

#include <string.h>

#include <apr_strings.h>

#include "core/calendar.h"
#include "db/control.h"
#include "queuetest.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

udm_job_t *recurringtest_moving(const char *schedule)
{
    udm_job_t *job = dbtest_job();

    job->time_all = false;
    dbtest_schedule(job, schedule);
    return job;
}

apr_int64_t recurringtest_create(const udm_job_t *job)
{
    udm_job_info_t *info;

    dbtest_ok(
        udm_job_create(&info, pool, dbtest_httpd(), job, dbtest_audit(dbtest_principal("acme"))));
    return info->id;
}

void recurringtest_change(udm_change what, apr_int64_t id)
{
    udm_job_info_t *info;

    dbtest_ok(udm_job_change(&info, pool, dbtest_httpd(), what, id, NULL,
                             dbtest_audit(dbtest_principal("acme"))));
}

static void replace(apr_int64_t id, const udm_job_t *job)
{
    udm_job_info_t *info;

    dbtest_ok(udm_job_replace(&info, pool, dbtest_httpd(), id, job, NULL,
                              dbtest_audit(dbtest_principal("acme"))));
}

int recurringtest_schedule(void)
{
    apr_time_t next;
    int made;

    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    return made;
}

const char *recurringtest_state(const char *expressions)
{
    return dbtest_value(apr_psprintf(pool,
                                     "SELECT concat_ws(' ', %s) FROM udm.job j LEFT JOIN udm.run r"
                                     " ON r.job_id = j.id ORDER BY r.id DESC LIMIT 1",
                                     expressions));
}

void recurringtest_make_due(const char *interval)
{
    dbtest_exec(apr_psprintf(pool,
                             "UPDATE udm.job SET next_run_at = now() - interval '%s',"
                             " schedule_since = now() - interval '10 days'",
                             interval));
}

udm_run_t *recurringtest_claim(void)
{
    udm_run_t *run;

    dbtest_exec("UPDATE udm.run SET ready_at = now() WHERE status = 'QUEUED'");
    dbtest_ok(queuetest_claim(&run, pool, dbtest_worker(), "worker-1", 5));
    ck_assert_ptr_nonnull(run);
    return run;
}

void recurringtest_complete(const udm_run_t *run)
{
    apr_array_header_t *parts = apr_array_make(pool, 1, sizeof(udm_part_t));
    udm_part_t *part = apr_array_push(parts);

    part->name = apr_psprintf(pool, "export-%s.zip.smime", run->export_id);
    part->size = 1234;
    part->sha256 = HASH;
    dbtest_ok(udm_queue_complete(pool, dbtest_worker(), run, parts, 1, 30));
}

static void assert_over(apr_int64_t id)
{
    udm_job_info_t *info;

    ck_assert_int_eq(recurringtest_schedule(), 0);
    dbtest_fails(udm_job_change(&info, pool, dbtest_httpd(), UDM_CHANGE_SUSPEND, id, NULL,
                                dbtest_audit(dbtest_principal("acme"))),
                 UDM_E_INVALID, "over");
}

/* ---- when ---- */

static const struct {
    const char *schedule;
    const char *first; /* SQL, from the instant `since`, in UTC and without zone */
} later_schedules[] = {
    {"{'cron':'0 3 * * *'}", "date_trunc('day', since - interval '3 h') + interval '1 day 3 h'"},
    {"{'cron':'0 0 3 * * ?'}", "date_trunc('day', since - interval '3 h') + interval '1 day 3 h'"},
    {"{'cron':'* * * * *'}", "date_trunc('minute', since) + interval '1 min'"},
    {"{'cron':'0 0 1 1 *','runs':'7'}", "date_trunc('year', since) + interval '1 year'"},
    {"{'runs':'hourly'}", "date_trunc('hour', since) + interval '1 h'"},
    {"{'runs':'daily','startDate':'2099-05-31T06:00:00.25Z'}",
     "timestamp '2099-05-31 06:00:00.25'"},
    {"{'runs':'monthly','startDate':'2099-05-31'}", "timestamp '2099-05-31'"},
    {"{'cron':'0 3 * * *','startDate':'2099-05-31T04:00:00Z'}", "timestamp '2099-06-01 03:00'"},
    {"{'runs':'daily','startDate':'2020-01-01T03:00:00Z'}",
     "date_trunc('day', since - interval '3 h') + interval '1 day 3 h'"},
};

START_TEST(first_run_is_later)
{
    apr_size_t i;

    for (i = 0; i < sizeof(later_schedules) / sizeof(later_schedules[0]); i++) {
        dbtest_exec("DELETE FROM udm.job");
        recurringtest_create(recurringtest_moving(later_schedules[i].schedule));
        ck_assert_str_eq(recurringtest_state(apr_psprintf(
                             pool,
                             "next_run_at AT TIME ZONE 'UTC' = (SELECT %s FROM"
                             " (SELECT schedule_since AT TIME ZONE 'UTC' AS since) s),"
                             " schedule_since BETWEEN now() - interval '1 min' AND now(),"
                             " schedule_type, j.status, r.id IS NULL, runs_left",
                             later_schedules[i].first)),
                         i == 3 ? "t t recurring SCHEDULED t 7" : "t t recurring SCHEDULED t");
        ck_assert_int_eq(recurringtest_schedule(), 0);
    }
}
END_TEST

START_TEST(at_once_and_then_by_cron)
{
    recurringtest_create(
        recurringtest_moving("{'immediately':true,'cron':'0 3 * * *','runs':'5'}"));
    ck_assert_str_eq(
        recurringtest_state(
            "r.status, j.status, r.scheduled_at = schedule_since, runs_left,"
            " next_run_at = (date_trunc('day', schedule_since AT TIME ZONE 'UTC'"
            " - interval '3 h') + interval '1 day 3 h') AT TIME ZONE 'UTC', moves_watermark"),
        "QUEUED QUEUED t 4 t t");
    ck_assert_int_eq(recurringtest_schedule(), 0);
}
END_TEST

START_TEST(daily_begins_now)
{
    recurringtest_create(recurringtest_moving("{'runs':'daily'}"));
    ck_assert_str_eq(recurringtest_state("r.status, r.scheduled_at = schedule_since,"
                                         " next_run_at = schedule_since + interval '1 day'"),
                     "QUEUED t t");
    recurringtest_complete(recurringtest_claim());
    ck_assert_str_eq(recurringtest_state("r.status, j.status"), "COMPLETED SCHEDULED");
    /* The time of day stays to the microsecond. */
    recurringtest_make_due("5 days");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    ck_assert_str_eq(recurringtest_state("r.scheduled_at = schedule_since + interval '10 days',"
                                         " next_run_at = schedule_since + interval '11 days'"),
                     "t t");
}
END_TEST

START_TEST(a_count_of_runs_ends)
{
    apr_int64_t id = recurringtest_create(recurringtest_moving("{'cron':'0 0 1 1 *','runs':'3'}"));
    int i;

    for (i = 2; i >= 0; i--) {
        recurringtest_make_due("1 minute");
        ck_assert_int_eq(recurringtest_schedule(), 1);
        ck_assert_str_eq(recurringtest_state("runs_left, next_run_at IS NULL, r.status, j.status"),
                         apr_psprintf(pool, "%d %s QUEUED QUEUED", i, i == 0 ? "t" : "f"));
        recurringtest_complete(recurringtest_claim());
        ck_assert_str_eq(recurringtest_state("j.status"), i == 0 ? "COMPLETED" : "SCHEDULED");
    }
    assert_over(id);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run"), "3");
}
END_TEST

START_TEST(one_run_at_once_is_all)
{
    apr_int64_t id = recurringtest_create(
        recurringtest_moving("{'immediately':true,'cron':'* * * * *','runs':'1'}"));

    ck_assert_str_eq(recurringtest_state("runs_left, next_run_at IS NULL, j.status"), "0 t QUEUED");
    dbtest_ok(udm_queue_fail(pool, dbtest_worker(), recurringtest_claim(), "x"));
    ck_assert_str_eq(recurringtest_state("j.status"), "FAILED");
    assert_over(id);
}
END_TEST

/* At the latest of the missed times, and the next is yet to come. */
START_TEST(missed_runs_become_one)
{
    recurringtest_create(recurringtest_moving("{'cron':'* * * * *'}"));
    recurringtest_make_due("3 hours");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    ck_assert_str_eq(
        recurringtest_state("r.scheduled_at = date_trunc('minute', r.created_at), next_run_at ="
                            " date_trunc('minute', r.created_at) + interval '1 minute'"),
        "t t");
    ck_assert_int_eq(recurringtest_schedule(), 0);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run"), "1");
}
END_TEST

/* A run that is late, but has missed no other, keeps its own time. */
START_TEST(a_late_run_keeps_its_time)
{
    recurringtest_create(recurringtest_moving("{'cron':'0 0 1 1 *'}"));
    dbtest_exec("UPDATE udm.job SET schedule_since = now() - interval '2 years',"
                " next_run_at = date_trunc('year', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    ck_assert_str_eq(
        recurringtest_state("(r.scheduled_at AT TIME ZONE 'UTC') = date_trunc('year', r.created_at"
                            " AT TIME ZONE 'UTC'), next_run_at > r.created_at"),
        "t t");
}
END_TEST

/* What was made comes with when it is due next: the caller sleeps until then. */
START_TEST(next_counts_what_was_made)
{
    apr_time_t next;
    int made;

    recurringtest_create(recurringtest_moving("{'runs':'hourly'}"));
    recurringtest_make_due("1 minute");
    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    ck_assert_int_eq(made, 1);
    ck_assert(next > apr_time_now() - apr_time_from_sec(60));
    ck_assert(next <= apr_time_now() + apr_time_from_sec(3600));
}
END_TEST

static const char *const active[] = {"QUEUED", "IN_PROGRESS", "SUSPENDED"};

START_TEST(an_active_run_blocks)
{
    recurringtest_create(recurringtest_moving("{'cron':'* * * * *'}"));
    recurringtest_make_due("1 hour");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    dbtest_exec(
        apr_psprintf(pool, "UPDATE udm.run SET status = '%s', window_to = now()", active[_i]));
    recurringtest_make_due("50 minutes");
    ck_assert_int_eq(recurringtest_schedule(), 0);
    dbtest_exec("UPDATE udm.run SET status = 'FAILED', finished_at = now()");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    ck_assert_int_eq(recurringtest_schedule(), 0);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run"), "2");
    ck_assert_str_eq(recurringtest_state("next_run_at > r.created_at"), "t");
}
END_TEST

START_TEST(suspended_between_runs)
{
    apr_int64_t id = recurringtest_create(recurringtest_moving("{'cron':'* * * * *'}"));
    const char *plan;

    recurringtest_change(UDM_CHANGE_SUSPEND, id);
    recurringtest_make_due("1 hour");
    plan = recurringtest_state("next_run_at");
    ck_assert_int_eq(recurringtest_schedule(), 0);
    ck_assert_str_eq(recurringtest_state("next_run_at"), plan);
    ck_assert_str_eq(recurringtest_state("j.status"), "SUSPENDED");
    recurringtest_change(UDM_CHANGE_RESUME, id);
    ck_assert_str_eq(recurringtest_state("next_run_at"), plan);
    ck_assert_str_eq(recurringtest_state("j.status"), "SCHEDULED");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    ck_assert_int_eq(recurringtest_schedule(), 0);
    ck_assert_str_eq(recurringtest_state("r.scheduled_at = date_trunc('minute', r.created_at)"),
                     "t");
}
END_TEST

/* Its first run waits for the resume, and takes the time of that. */
START_TEST(suspended_from_the_beginning)
{
    udm_job_t *job = recurringtest_moving("{'immediately':true,'cron':'0 0 1 1 *','runs':'2'}");
    apr_int64_t id;

    job->suspended = true;
    id = recurringtest_create(job);
    ck_assert_str_eq(
        recurringtest_state("j.status, r.id IS NULL, next_run_at = schedule_since, runs_left"),
        "SUSPENDED t t 2");
    ck_assert_int_eq(recurringtest_schedule(), 0);
    recurringtest_change(UDM_CHANGE_RESUME, id);
    ck_assert_int_eq(recurringtest_schedule(), 1);
    ck_assert_str_eq(
        recurringtest_state("r.scheduled_at = schedule_since, runs_left, next_run_at > now()"),
        "t 1 t");
}
END_TEST

START_TEST(cancelled_run_of_a_recurring_job)
{
    apr_int64_t id = recurringtest_create(recurringtest_moving("{'cron':'* * * * *'}"));

    recurringtest_make_due("1 hour");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    recurringtest_change(UDM_CHANGE_CANCEL, id);
    ck_assert_str_eq(recurringtest_state("r.status, j.status, next_run_at > r.created_at"),
                     "CANCELLED SCHEDULED t");
    recurringtest_make_due("1 minute");
    ck_assert_int_eq(recurringtest_schedule(), 1);
}
END_TEST

/* ---- PUT ---- */

static void add_filter(udm_job_t *job)
{
    udm_job_filter_t *filter = apr_array_push(job->filters);

    filter->attribute = "duration";
    filter->test = UDM_TEST_GT;
    filter->value = json_integer(5);
}

/* What a PUT changes, and whether the next window begins where the last one ended. */
static const char *change_definition(udm_job_t *job, int which)
{
    switch (which) {
    case 0:
        return "kept";
    case 1:
        job->title = "Another title";
        job->export_attachments = true;
        return "kept";
    case 2:
        add_filter(job);
        return "2026-01-01";
    case 3:
        ck_assert(udm_calendar_parse(&job->date_from, "2026-01-02"));
        return "2026-01-02";
    case 4:
        job->source = "UCSX";
        return "2026-01-01";
    case 5:
        APR_ARRAY_PUSH(job->media, const char *) = "Email";
        return "2026-01-01";
    default:
        job->type = "Contact";
        return "2026-01-01";
    }
}

#define DEFINITIONS 7

static void replaced(bool at_once, int which)
{
    udm_job_t *job = recurringtest_moving("{'cron':'* * * * *','runs':'9'}");
    const char *mark, *expected;
    apr_int64_t id;

    dbtest_exec("SELECT udm.register_attributes('UCS', 'Interaction')");
    ck_assert(udm_calendar_parse(&job->date_from, "2026-01-01"));
    id = recurringtest_create(job);
    recurringtest_make_due("1 hour");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    recurringtest_complete(recurringtest_claim());
    dbtest_exec("UPDATE udm.job SET watermark = watermark - interval '30 minutes'");
    mark = recurringtest_state("watermark");
    expected = change_definition(job, which);
    if (strcmp(expected, "kept") == 0) {
        expected = mark;
    }
    if (at_once) {
        dbtest_schedule(job, "{'immediately':true,'cron':'* * * * *','runs':'9'}");
        replace(id, job);
    }
    else {
        replace(id, job);
        ck_assert_str_eq(recurringtest_state("next_run_at > schedule_since, j.status, runs_left"),
                         "t SCHEDULED 9");
        recurringtest_make_due("1 minute");
        ck_assert_int_eq(recurringtest_schedule(), 1);
    }
    ck_assert_str_eq(
        recurringtest_state(apr_psprintf(
            pool,
            "r.status, runs_left, moves_watermark, window_from ="
            " timestamptz '%s' AT TIME ZONE 'UTC' AT TIME ZONE 'UTC',"
            " window_to = r.scheduled_at, r.id = j.latest_run_id",
            strchr(expected, ':') ? expected : apr_pstrcat(pool, expected, " 00:00Z", NULL))),
        "QUEUED 8 t t t t");
    ck_assert_str_eq(recurringtest_state("watermark IS NOT NULL"), expected == mark ? "t" : "f");
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run"), "2");
}

START_TEST(replaced_and_run_at_once)
{
    replaced(true, _i);
}
END_TEST

START_TEST(replaced_and_run_later)
{
    replaced(false, _i);
}
END_TEST

/* The waiting run of the old definition makes room. */
START_TEST(replaced_while_a_run_waits)
{
    udm_job_t *job = recurringtest_moving("{'cron':'* * * * *'}");
    apr_int64_t id = recurringtest_create(job);

    recurringtest_make_due("1 hour");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    dbtest_schedule(job, "{'cron':'0 0 1 1 *'}");
    replace(id, job);
    ck_assert_str_eq(recurringtest_state("r.id IS NULL, j.status, next_run_at > now()"),
                     "t SCHEDULED t");
}
END_TEST

TCase *recurring_case(void)
{
    TCase *tc = dbtest_case("recurring");

    tcase_add_test(tc, first_run_is_later);
    tcase_add_test(tc, at_once_and_then_by_cron);
    tcase_add_test(tc, daily_begins_now);
    tcase_add_test(tc, a_count_of_runs_ends);
    tcase_add_test(tc, one_run_at_once_is_all);
    tcase_add_test(tc, missed_runs_become_one);
    tcase_add_test(tc, a_late_run_keeps_its_time);
    tcase_add_test(tc, next_counts_what_was_made);
    tcase_add_loop_test(tc, an_active_run_blocks, 0, (int)(sizeof(active) / sizeof(active[0])));
    tcase_add_test(tc, suspended_between_runs);
    tcase_add_test(tc, suspended_from_the_beginning);
    tcase_add_test(tc, cancelled_run_of_a_recurring_job);
    tcase_add_loop_test(tc, replaced_and_run_at_once, 0, DEFINITIONS);
    tcase_add_loop_test(tc, replaced_and_run_later, 0, DEFINITIONS);
    tcase_add_test(tc, replaced_while_a_run_waits);
    return tc;
}
