/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_recurring.c: jobs that run again and again: when their runs are, which are missed, and which
 * window each takes.
 */
#include "dbtest.h"

#include <string.h>

#include <apr_strings.h>

#include "core/text.h"
#include "db/control.h"
#include "queuetest.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* A job with this schedule that takes what came since its last run. */
static udm_job_t *moving(const char *schedule)
{
    udm_job_t *job = dbtest_job();

    job->time_all = false;
    dbtest_schedule(job, schedule);
    return job;
}

static apr_int64_t create(const udm_job_t *job)
{
    udm_job_info_t *info;

    dbtest_ok(
        udm_job_create(&info, pool, dbtest_httpd(), job, dbtest_audit(dbtest_principal("acme"))));
    return info->id;
}

static void change(udm_change what, apr_int64_t id)
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

static int schedule(void)
{
    apr_time_t next;
    int made;

    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    return made;
}

/* SQL about the only job `j` and its latest run `r`. */
static const char *state(const char *expressions)
{
    return dbtest_value(apr_psprintf(pool,
                                     "SELECT concat_ws(' ', %s) FROM udm.job j LEFT JOIN udm.run r"
                                     " ON r.job_id = j.id ORDER BY r.id DESC LIMIT 1",
                                     expressions));
}

/* As if the job had been due for so long, and had been accepted long before. */
static void make_due(const char *interval)
{
    dbtest_exec(apr_psprintf(pool,
                             "UPDATE udm.job SET next_run_at = now() - interval '%s',"
                             " schedule_since = now() - interval '10 days'",
                             interval));
}

/* Takes the run that waits, whatever its settle time. */
static udm_run_t *claim(void)
{
    udm_run_t *run;

    dbtest_exec("UPDATE udm.run SET ready_at = now() WHERE status = 'QUEUED'");
    dbtest_ok(queuetest_claim(&run, pool, dbtest_worker(), "worker-1", 5));
    ck_assert_ptr_nonnull(run);
    return run;
}

static void complete(const udm_run_t *run)
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

    ck_assert_int_eq(schedule(), 0);
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
        create(moving(later_schedules[i].schedule));
        ck_assert_str_eq(
            state(apr_psprintf(pool,
                               "next_run_at AT TIME ZONE 'UTC' = (SELECT %s FROM"
                               " (SELECT schedule_since AT TIME ZONE 'UTC' AS since) s),"
                               " schedule_since BETWEEN now() - interval '1 min' AND now(),"
                               " schedule_type, j.status, r.id IS NULL, runs_left",
                               later_schedules[i].first)),
            i == 3 ? "t t recurring SCHEDULED t 7" : "t t recurring SCHEDULED t");
        ck_assert_int_eq(schedule(), 0);
    }
}
END_TEST

START_TEST(at_once_and_then_by_cron)
{
    create(moving("{'immediately':true,'cron':'0 3 * * *','runs':'5'}"));
    ck_assert_str_eq(
        state("r.status, j.status, r.scheduled_at = schedule_since, runs_left,"
              " next_run_at = (date_trunc('day', schedule_since AT TIME ZONE 'UTC'"
              " - interval '3 h') + interval '1 day 3 h') AT TIME ZONE 'UTC', moves_watermark"),
        "QUEUED QUEUED t 4 t t");
    ck_assert_int_eq(schedule(), 0);
}
END_TEST

START_TEST(daily_begins_now)
{
    create(moving("{'runs':'daily'}"));
    ck_assert_str_eq(state("r.status, r.scheduled_at = schedule_since,"
                           " next_run_at = schedule_since + interval '1 day'"),
                     "QUEUED t t");
    complete(claim());
    ck_assert_str_eq(state("r.status, j.status"), "COMPLETED SCHEDULED");
    /* The time of day stays to the microsecond. */
    make_due("5 days");
    ck_assert_int_eq(schedule(), 1);
    ck_assert_str_eq(state("r.scheduled_at = schedule_since + interval '10 days',"
                           " next_run_at = schedule_since + interval '11 days'"),
                     "t t");
}
END_TEST

START_TEST(a_count_of_runs_ends)
{
    apr_int64_t id = create(moving("{'cron':'0 0 1 1 *','runs':'3'}"));
    int i;

    for (i = 2; i >= 0; i--) {
        make_due("1 minute");
        ck_assert_int_eq(schedule(), 1);
        ck_assert_str_eq(state("runs_left, next_run_at IS NULL, r.status, j.status"),
                         apr_psprintf(pool, "%d %s QUEUED QUEUED", i, i == 0 ? "t" : "f"));
        complete(claim());
        ck_assert_str_eq(state("j.status"), i == 0 ? "COMPLETED" : "SCHEDULED");
    }
    assert_over(id);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run"), "3");
}
END_TEST

START_TEST(one_run_at_once_is_all)
{
    apr_int64_t id = create(moving("{'immediately':true,'cron':'* * * * *','runs':'1'}"));

    ck_assert_str_eq(state("runs_left, next_run_at IS NULL, j.status"), "0 t QUEUED");
    dbtest_ok(udm_queue_fail(pool, dbtest_worker(), claim(), "x"));
    ck_assert_str_eq(state("j.status"), "FAILED");
    assert_over(id);
}
END_TEST

/* At the latest of the missed times, and the next is yet to come. */
START_TEST(missed_runs_become_one)
{
    create(moving("{'cron':'* * * * *'}"));
    make_due("3 hours");
    ck_assert_int_eq(schedule(), 1);
    ck_assert_str_eq(state("r.scheduled_at = date_trunc('minute', r.created_at), next_run_at ="
                           " date_trunc('minute', r.created_at) + interval '1 minute'"),
                     "t t");
    ck_assert_int_eq(schedule(), 0);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run"), "1");
}
END_TEST

/* A run that is late, but has missed no other, keeps its own time. */
START_TEST(a_late_run_keeps_its_time)
{
    create(moving("{'cron':'0 0 1 1 *'}"));
    dbtest_exec("UPDATE udm.job SET schedule_since = now() - interval '2 years',"
                " next_run_at = date_trunc('year', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'");
    ck_assert_int_eq(schedule(), 1);
    ck_assert_str_eq(state("(r.scheduled_at AT TIME ZONE 'UTC') = date_trunc('year', r.created_at"
                           " AT TIME ZONE 'UTC'), next_run_at > r.created_at"),
                     "t t");
}
END_TEST

/* What was made comes with when it is due next: the caller sleeps until then. */
START_TEST(next_counts_what_was_made)
{
    apr_time_t next;
    int made;

    create(moving("{'runs':'hourly'}"));
    make_due("1 minute");
    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    ck_assert_int_eq(made, 1);
    ck_assert(next > apr_time_now() - apr_time_from_sec(60));
    ck_assert(next <= apr_time_now() + apr_time_from_sec(3600));
}
END_TEST

static const char *const active[] = {"QUEUED", "IN_PROGRESS", "SUSPENDED"};

START_TEST(an_active_run_blocks)
{
    create(moving("{'cron':'* * * * *'}"));
    make_due("1 hour");
    ck_assert_int_eq(schedule(), 1);
    dbtest_exec(
        apr_psprintf(pool, "UPDATE udm.run SET status = '%s', window_to = now()", active[_i]));
    make_due("50 minutes");
    ck_assert_int_eq(schedule(), 0);
    dbtest_exec("UPDATE udm.run SET status = 'FAILED', finished_at = now()");
    ck_assert_int_eq(schedule(), 1);
    ck_assert_int_eq(schedule(), 0);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run"), "2");
    ck_assert_str_eq(state("next_run_at > r.created_at"), "t");
}
END_TEST

START_TEST(suspended_between_runs)
{
    apr_int64_t id = create(moving("{'cron':'* * * * *'}"));
    const char *plan;

    change(UDM_CHANGE_SUSPEND, id);
    make_due("1 hour");
    plan = state("next_run_at");
    ck_assert_int_eq(schedule(), 0);
    ck_assert_str_eq(state("next_run_at"), plan);
    ck_assert_str_eq(state("j.status"), "SUSPENDED");
    change(UDM_CHANGE_RESUME, id);
    ck_assert_str_eq(state("next_run_at"), plan);
    ck_assert_str_eq(state("j.status"), "SCHEDULED");
    ck_assert_int_eq(schedule(), 1);
    ck_assert_int_eq(schedule(), 0);
    ck_assert_str_eq(state("r.scheduled_at = date_trunc('minute', r.created_at)"), "t");
}
END_TEST

/* Its first run waits for the resume, and takes the time of that. */
START_TEST(suspended_from_the_beginning)
{
    udm_job_t *job = moving("{'immediately':true,'cron':'0 0 1 1 *','runs':'2'}");
    apr_int64_t id;

    job->suspended = true;
    id = create(job);
    ck_assert_str_eq(state("j.status, r.id IS NULL, next_run_at = schedule_since, runs_left"),
                     "SUSPENDED t t 2");
    ck_assert_int_eq(schedule(), 0);
    change(UDM_CHANGE_RESUME, id);
    ck_assert_int_eq(schedule(), 1);
    ck_assert_str_eq(state("r.scheduled_at = schedule_since, runs_left, next_run_at > now()"),
                     "t 1 t");
}
END_TEST

START_TEST(cancelled_run_of_a_recurring_job)
{
    apr_int64_t id = create(moving("{'cron':'* * * * *'}"));

    make_due("1 hour");
    ck_assert_int_eq(schedule(), 1);
    change(UDM_CHANGE_CANCEL, id);
    ck_assert_str_eq(state("r.status, j.status, next_run_at > r.created_at"),
                     "CANCELLED SCHEDULED t");
    make_due("1 minute");
    ck_assert_int_eq(schedule(), 1);
}
END_TEST

/* ---- which window ---- */

#define WINDOW                                                                                     \
    "moves_watermark, coalesce(window_from::text, 'open'), window_to = r.scheduled_at,"            \
    " r.ready_at - r.scheduled_at"

START_TEST(windows_move_on)
{
    udm_job_t *job = moving("{'cron':'* * * * *'}");
    const char *mark;

    dbtest_exec("UPDATE udm.data_type SET settle_seconds = 7"
                " WHERE (source, name) = ('UCS', 'Interaction')");
    create(job);
    make_due("1 hour");
    ck_assert_int_eq(schedule(), 1);
    ck_assert_str_eq(state(WINDOW), "t open t 00:00:07");
    ck_assert_str_eq(state("watermark IS NULL"), "t");
    complete(claim());
    ck_assert_str_eq(state("watermark = window_to, window_to = r.scheduled_at"), "t t");
    mark = state("watermark");
    /* Neither a run that failed nor one that was cancelled moves it. */
    dbtest_exec("UPDATE udm.job SET watermark = watermark - interval '30 minutes'");
    mark = state("watermark");
    make_due("1 minute");
    ck_assert_int_eq(schedule(), 1);
    ck_assert_str_eq(state(WINDOW), apr_psprintf(pool, "t %s t 00:00:07", mark));
    dbtest_ok(udm_queue_fail(pool, dbtest_worker(), claim(), "x"));
    ck_assert_str_eq(state("watermark"), mark);
    make_due("1 minute");
    ck_assert_int_eq(schedule(), 1);
    claim();
    change(UDM_CHANGE_CANCEL, apr_atoi64(state("j.id")));
    ck_assert_str_eq(state("watermark, r.status"), apr_pstrcat(pool, mark, " CANCELLED", NULL));
    /* The next one covers all of it. */
    make_due("1 minute");
    ck_assert_int_eq(schedule(), 1);
    ck_assert_str_eq(state(WINDOW), apr_psprintf(pool, "t %s t 00:00:07", mark));
    complete(claim());
    ck_assert_str_eq(state("watermark = r.scheduled_at"), "t");
}
END_TEST

/* The same for the run that is made together with its job. */
START_TEST(window_of_a_run_at_once)
{
    udm_job_t *job = moving("{'immediately':true,'cron':'* * * * *'}");

    ck_assert(udm_text_parse_time(&job->date_from, "2026-01-01"));
    dbtest_exec("UPDATE udm.data_type SET settle_seconds = 8");
    create(job);
    ck_assert_str_eq(state("moves_watermark, window_from = '2026-01-01Z', window_to ="
                           " r.scheduled_at, r.ready_at - r.scheduled_at"),
                     "t t t 00:00:08");
}
END_TEST

START_TEST(window_from_a_date)
{
    udm_job_t *job = moving("{'cron':'* * * * *'}");

    ck_assert(udm_text_parse_time(&job->date_from, "2026-01-01"));
    create(job);
    make_due("1 hour");
    ck_assert_int_eq(schedule(), 1);
    ck_assert_str_eq(state("window_from = '2026-01-01Z', window_to = r.scheduled_at"), "t t");
    complete(claim());
    make_due("1 minute");
    ck_assert_int_eq(schedule(), 1);
    ck_assert_str_eq(state("window_from = watermark, watermark > '2026-01-02Z'"), "t t");
}
END_TEST

/* Until then there is nothing, and what came before it is for no run. */
START_TEST(window_from_a_date_to_come)
{
    udm_job_t *job = moving("{'cron':'* * * * *'}");
    int i;

    ck_assert(udm_text_parse_time(&job->date_from, "2099-01-01"));
    create(job);
    for (i = 0; i < 2; i++) {
        make_due("1 hour");
        ck_assert_int_eq(schedule(), 1);
        ck_assert_str_eq(state("window_from = '2099-01-01Z', window_to = '2099-01-01Z'"), "t t");
        complete(claim());
        ck_assert_str_eq(state("watermark = '2099-01-01Z'"), "t");
    }
}
END_TEST

/* The first run, when it is made with the job, begins no earlier either. */
START_TEST(window_at_once_from_a_date_to_come)
{
    udm_job_t *job = moving("{'immediately':true,'cron':'* * * * *'}");

    ck_assert(udm_text_parse_time(&job->date_from, "2099-01-01"));
    create(job);
    ck_assert_str_eq(state("window_from = '2099-01-01Z', window_to = '2099-01-01Z'"), "t t");
}
END_TEST

static void set_frame(udm_job_t *job, int which)
{
    job->time_all = which == 0;
    if (which != 2) {
        ck_assert(which == 0 || udm_text_parse_time(&job->date_from, "2026-01-01"));
    }
    if (which != 0) {
        ck_assert(udm_text_parse_time(&job->date_to, "2026-02-01"));
    }
}

START_TEST(fixed_windows_do_not_move)
{
    static const char *const windows[] = {"t - -", "f 2026-01-01 2026-02-01", "f - 2026-02-01"};
    udm_job_t *job = moving("{'immediately':true,'cron':'* * * * *'}");
    int i;

    set_frame(job, _i);
    create(job);
    for (i = 0; i < 3; i++) {
        ck_assert_str_eq(
            state("window_all, coalesce((window_from AT TIME ZONE 'UTC')::date::text, '-'),"
                  " coalesce((window_to AT TIME ZONE 'UTC')::date::text, '-')"),
            windows[_i]);
        ck_assert_str_eq(state("moves_watermark, r.ready_at - r.scheduled_at"), "f 00:00:00");
        complete(claim());
        ck_assert_str_eq(state("watermark IS NULL"), "t");
        make_due("1 minute");
        ck_assert_int_eq(schedule(), 1);
    }
}
END_TEST

/* A type whose late rows could be missed is told of when the job is sent. */
START_TEST(types_without_moving_windows)
{
    udm_job_t *job = moving("{'cron':'* * * * *'}");
    udm_job_info_t *info;
    udm_error_t *error;
    apr_int64_t id;

    dbtest_exec("UPDATE udm.data_type SET moving_window = false");
    error =
        udm_job_create(&info, pool, dbtest_httpd(), job, dbtest_audit(dbtest_principal("acme")));
    dbtest_fault(error, "/timeFrame", "since its last run");
    dbtest_fault(error, "/timeFrame", "send a dateTo, or {\"all\":true}");
    set_frame(job, 1);
    id = create(job);
    job->date_to = UDM_NO_TIME;
    error = udm_job_replace(&info, pool, dbtest_httpd(), id, job, NULL,
                            dbtest_audit(dbtest_principal("acme")));
    dbtest_fault(error, "/timeFrame", "since its last run");
    set_frame(job, 0);
    create(job);
    /* One run has a window that ends when it is asked for. */
    job->time_all = false;
    dbtest_schedule(job, "{'immediately':true}");
    create(job);
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
        ck_assert(udm_text_parse_time(&job->date_from, "2026-01-02"));
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
    udm_job_t *job = moving("{'cron':'* * * * *','runs':'9'}");
    const char *mark, *expected;
    apr_int64_t id;

    dbtest_exec("SELECT udm.register_attributes('UCS', 'Interaction')");
    ck_assert(udm_text_parse_time(&job->date_from, "2026-01-01"));
    id = create(job);
    make_due("1 hour");
    ck_assert_int_eq(schedule(), 1);
    complete(claim());
    dbtest_exec("UPDATE udm.job SET watermark = watermark - interval '30 minutes'");
    mark = state("watermark");
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
        ck_assert_str_eq(state("next_run_at > schedule_since, j.status, runs_left"),
                         "t SCHEDULED 9");
        make_due("1 minute");
        ck_assert_int_eq(schedule(), 1);
    }
    ck_assert_str_eq(
        state(apr_psprintf(pool,
                           "r.status, runs_left, moves_watermark, window_from ="
                           " timestamptz '%s' AT TIME ZONE 'UTC' AT TIME ZONE 'UTC',"
                           " window_to = r.scheduled_at, r.id = j.latest_run_id",
                           strchr(expected, ':') ? expected
                                                 : apr_pstrcat(pool, expected, " 00:00Z", NULL))),
        "QUEUED 8 t t t t");
    ck_assert_str_eq(state("watermark IS NOT NULL"), expected == mark ? "t" : "f");
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
    udm_job_t *job = moving("{'cron':'* * * * *'}");
    apr_int64_t id = create(job);

    make_due("1 hour");
    ck_assert_int_eq(schedule(), 1);
    dbtest_schedule(job, "{'cron':'0 0 1 1 *'}");
    replace(id, job);
    ck_assert_str_eq(state("r.id IS NULL, j.status, next_run_at > now()"), "t SCHEDULED t");
}
END_TEST

/* ---- the end of a window that settles ---- */

static void settle(udm_run_t *run, const char *barrier, const char *end)
{
    apr_time_t to;

    ck_assert(udm_text_parse_time(&to, end));
    dbtest_ok(udm_queue_settle(pool, dbtest_worker(), run, barrier, to));
    ck_assert_str_eq(run->settle_barrier, barrier);
    ck_assert_int_eq(run->window_to, to);
}

START_TEST(a_window_ends_earlier)
{
    udm_run_t *run, *again;
    apr_time_t since;

    create(moving("{'immediately':true,'cron':'0 0 1 1 *'}"));
    run = claim();
    ck_assert_ptr_null(run->settle_barrier);
    ck_assert_int_eq(run->settle_since, UDM_NO_TIME);
    ck_assert(run->moves_watermark);
    settle(run, "12345", udm_text_time(pool, run->window_to));
    since = run->settle_since;
    ck_assert(since != UDM_NO_TIME);
    dbtest_ok(udm_queue_release(pool, dbtest_worker(), run, 0, false, NULL));
    /* The next look goes on from there. */
    again = claim();
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
    complete(again);
    ck_assert_str_eq(state("watermark = '2026-03-01Z', window_to = '2026-03-01Z'"), "t t");
    make_due("1 minute");
    ck_assert_int_eq(schedule(), 1);
    ck_assert_str_eq(state("window_from = '2026-03-01Z', window_to = r.scheduled_at,"
                           " settle_barrier IS NULL, settle_since IS NULL"),
                     "t t t t");
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
    tcase_add_test(tc, windows_move_on);
    tcase_add_test(tc, window_of_a_run_at_once);
    tcase_add_test(tc, window_from_a_date);
    tcase_add_test(tc, window_from_a_date_to_come);
    tcase_add_test(tc, window_at_once_from_a_date_to_come);
    tcase_add_loop_test(tc, fixed_windows_do_not_move, 0, 3);
    tcase_add_test(tc, types_without_moving_windows);
    tcase_add_loop_test(tc, replaced_and_run_at_once, 0, DEFINITIONS);
    tcase_add_loop_test(tc, replaced_and_run_later, 0, DEFINITIONS);
    tcase_add_test(tc, replaced_while_a_run_waits);
    tcase_add_test(tc, a_window_ends_earlier);
    return tc;
}
