/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_quota.c: the limits of a contact centre: what is below them, at them and beyond, who waits and goes
 * on, and that several at once do not pass them together. test_quota_bytes.c has the limit of bytes.
 */
#include "dbtest.h"

#include <pthread.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_time.h>

#include "core/calendar.h"
#include "db/control.h"
#include "db/job_check.h"
#include "jobtest.h"
#include "queuetest.h"
#include "recurringtest.h"

#define SHA256  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define NO_ROOM "as many runs in the queue as its quota \"queued\" allows ("

static udm_error_t *create(apr_int64_t *id, const udm_job_t *job)
{
    udm_job_info_t *info;
    udm_error_t *error =
        udm_job_create(&info, pool, dbtest_httpd(), job, dbtest_audit(dbtest_principal("acme")));

    *id = error ? 0 : info->id;
    return error;
}

static udm_error_t *change(udm_change what, apr_int64_t id)
{
    udm_job_info_t *info;

    return udm_job_change(&info, pool, dbtest_httpd(), what, id, NULL,
                          dbtest_audit(dbtest_principal("acme")));
}

static udm_error_t *replace(apr_int64_t id, const udm_job_t *job)
{
    udm_job_info_t *info;

    return udm_job_replace(&info, pool, dbtest_httpd(), id, job, NULL,
                           dbtest_audit(dbtest_principal("acme")));
}

/* UDM_E_QUOTA with these words, and when to try again. */
static void refused(const udm_error_t *error, const char *words, int after)
{
    dbtest_fails(error, UDM_E_QUOTA, words);
    ck_assert_int_eq(error->retry_after, after);
}

/* A job for `ccid` that was checked as one of acme's, which has a certificate. */
static udm_job_new_t checked(const udm_job_t *job, const char *ccid)
{
    udm_job_cipher_t cipher;
    udm_job_t *good;

    dbtest_ok(udm_job_check(&good, &cipher, pool, dbtest_httpd(), job, dbtest_principal("acme")));
    return (udm_job_new_t){
        .pool = pool, .job = good, .audit = dbtest_audit(dbtest_principal(ccid))};
}

static const char *rows(void)
{
    return dbtest_value("SELECT concat_ws(' ', (SELECT count(*) FROM udm.job),"
                        " (SELECT count(*) FROM udm.run), (SELECT count(*) FROM udm.audit"
                        " WHERE action LIKE 'job.%'))");
}

static udm_job_t *daily(void)
{
    return recurringtest_moving("{'cron': '0 3 * * *'}");
}

/* ---- runs in the queue ---- */

START_TEST(queued_at_most)
{
    udm_job_t *now = dbtest_job(), *later = dbtest_job();
    apr_int64_t first, id, waiting;
    udm_job_new_t other;
    const char *before;
    udm_run_t *run;

    dbtest_later(later);
    dbtest_exec("SELECT udm.set_quota('acme', queued => 2)");
    dbtest_ok(create(&first, now));
    dbtest_ok(create(&id, now));
    dbtest_ok(create(&waiting, later)); /* waits for its time, and not in the queue */
    before = rows();
    refused(create(&id, now), NO_ROOM "2): wait until some have begun, or cancel some", 60);
    refused(replace(waiting, now), NO_ROOM, 60);
    ck_assert_str_eq(rows(), before);
    ck_assert_str_eq(dbtest_value("SELECT string_agg(status, ' ' ORDER BY id) FROM udm.job"),
                     "QUEUED QUEUED SCHEDULED");
    /* One that is there already takes no more room than it had. */
    dbtest_ok(replace(first, now));
    other = checked(now, "other");
    dbtest_ok(udm_job_insert(pool, dbtest_httpd(), (udm_job_new_t *const[]){&other}, 1));
    ck_assert_ptr_nonnull(other.info);
    /* What was suspended takes a place again. */
    dbtest_ok(change(UDM_CHANGE_SUSPEND, first));
    dbtest_ok(create(&id, now));
    refused(change(UDM_CHANGE_RESUME, first), NO_ROOM, 60);
    dbtest_ok(change(UDM_CHANGE_CANCEL, id));
    dbtest_ok(change(UDM_CHANGE_RESUME, first));
    refused(create(&id, now), NO_ROOM, 60);
    while ((run = queuetest_claimed("w/1")) != NULL && strcmp(run->ccid, "acme") != 0) {
    }
    ck_assert_ptr_nonnull(run);
    dbtest_ok(create(&id, now));
    refused(create(&id, now), NO_ROOM, 60);
    dbtest_exec("SELECT udm.set_quota('acme', queued => 3)");
    dbtest_ok(create(&id, now));
    dbtest_exec("SELECT udm.set_quota('acme')");
    dbtest_ok(create(&id, now));
}
END_TEST

/* Of several that are stored together, those are that have room. */
START_TEST(queued_of_many)
{
    udm_job_new_t new[5], *all[5];
    udm_job_t *later = dbtest_job();
    int i;

    dbtest_later(later);
    for (i = 0; i < 5; i++) {
        new[i] = checked(i == 3 ? later : dbtest_job(), i == 4 ? "other" : "acme");
        all[i] = &new[i];
    }
    dbtest_exec("SELECT udm.set_quota('acme', queued => 1), udm.set_quota('other', queued => 1)");
    dbtest_ok(udm_job_insert(pool, dbtest_httpd(), all, 5));
    for (i = 0; i < 5; i++) {
        if (i == 1 || i == 2) {
            refused(new[i].error, NO_ROOM "1)", 60);
            ck_assert_ptr_null(new[i].info);
        }
        else {
            dbtest_ok(new[i].error);
            ck_assert_ptr_nonnull(new[i].info);
        }
    }
    ck_assert_str_eq(rows(), "3 2 3");
}
END_TEST

/* A request that was refused is none: the same key goes well once there is room. */
START_TEST(queued_with_a_key)
{
    const udm_audit_t *audit = dbtest_audit(dbtest_principal("acme"));
    udm_retry_t retry = {"key", SHA256, UDM_V10};
    const char *answer, *etag;
    apr_int64_t id;

    dbtest_exec("SELECT udm.set_quota('acme', queued => 1)");
    dbtest_ok(create(&id, dbtest_job()));
    refused(
        udm_job_create_once(&answer, &etag, &id, pool, dbtest_httpd(), dbtest_job(), &retry, audit),
        NO_ROOM, 60);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.idempotency"), "0");
    queuetest_claimed("w/1");
    dbtest_ok(udm_job_create_once(&answer, &etag, &id, pool, dbtest_httpd(), dbtest_job(), &retry,
                                  audit));
    ck_assert(id > 0);
}
END_TEST

/* What is due beyond it stays due; its run takes up where the last one ended. */
START_TEST(queued_and_due)
{
    apr_int64_t id, waits;
    udm_job_info_t *info;
    udm_run_t *run;

    dbtest_ok(create(&id, daily()));
    dbtest_exec("UPDATE udm.job SET watermark = now() - interval '5 days'");
    recurringtest_make_due("2 days");
    dbtest_exec("SELECT udm.set_quota('acme', queued => 1)");
    dbtest_ok(create(&waits, dbtest_job()));
    ck_assert_int_eq(recurringtest_schedule(), 0);
    dbtest_ok(udm_job_get(&info, pool, dbtest_httpd(), dbtest_principal("acme"), id));
    ck_assert_str_eq(info->status, "SCHEDULED");
    ck_assert_ptr_nonnull(strstr(info->status_reason, "it was due at 2"));
    ck_assert_ptr_nonnull(
        strstr(info->status_reason, "; at most 1 run of the contact center in the queue"));
    queuetest_claimed("w/1");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    run = recurringtest_claim();
    ck_assert_int_eq(run->job_id, id);
    ck_assert_str_eq(queuetest_run_value(run, "r.window_from = now()::date - interval '5 days'"
                                              " + (r.window_from - r.window_from::date)"
                                              " AND r.window_to > now() - interval '1 day'"
                                              " AND j.next_run_at > now()"),
                     "t");
    recurringtest_complete(run);
    ck_assert_str_eq(queuetest_run_value(run, "j.watermark = r.window_to"), "t");
}
END_TEST

/* As many as have room, whoever else's are due. */
START_TEST(queued_and_many_due)
{
    dbtest_exec("INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type,"
                " schedule, next_run_at) SELECT CASE WHEN n <= 150 THEN 'acme' ELSE 'other' END,"
                " 'UCS', 'UCS', 'Contact', 'x' || n, true, 'once', '{}', now()"
                " FROM generate_series(1, 300) n;"
                "SELECT udm.set_quota('acme', queued => 7)");
    ck_assert_int_eq(recurringtest_schedule(), 157);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run WHERE ccid = 'acme'"), "7");
    while (queuetest_claimed("w/1")) {
    }
    ck_assert_int_eq(recurringtest_schedule(), 7);
}
END_TEST

/* ---- recurring jobs ---- */

START_TEST(recurring_at_most)
{
    const char *words = "as many recurring jobs as its quota \"recurring\" allows (2): suspend or"
                        " delete one, or wait until one is over";
    udm_job_t *later = dbtest_job();
    apr_int64_t first, id, once;

    dbtest_later(later);
    dbtest_exec("SELECT udm.set_quota('acme', recurring => 2)");
    dbtest_ok(create(&first, daily()));
    dbtest_ok(create(&id, daily()));
    dbtest_ok(create(&once, later));
    refused(create(&id, daily()), words, 3600);
    refused(create(&id, recurringtest_moving("{'runs': 'daily'}")), words, 3600);
    refused(replace(once, daily()), words, 3600);
    /* No more than one run comes of it. */
    dbtest_ok(create(&id, recurringtest_moving("{'runs': '1', 'cron': '0 3 * * *',"
                                               " 'immediately': true}")));
    dbtest_ok(replace(first, recurringtest_moving("{'runs': 'hourly'}")));
    dbtest_ok(change(UDM_CHANGE_SUSPEND, first));
    dbtest_ok(replace(once, daily()));
    refused(change(UDM_CHANGE_RESUME, first), words, 3600);
    /* With fewer allowed, what is there goes on, and may be changed. */
    dbtest_exec("SELECT udm.set_quota('acme', recurring => 0)");
    dbtest_ok(replace(once, recurringtest_moving("{'runs': 'hourly'}")));
    recurringtest_make_due("1 minute");
    ck_assert_int_eq(recurringtest_schedule(), 2);
    refused(create(&id, daily()), "\"recurring\" allows (0)", 3600);
    dbtest_ok(create(&id, dbtest_job()));
}
END_TEST

/* ---- the time between two runs ---- */

START_TEST(interval_at_least)
{
    static const char *const too_dense[] = {"{'cron': '* * * * *'}", "{'cron': '0 3,4 1 1 *'}",
                                            "{'cron': '0 0 23,1 * * ?'}", "{'runs': 'hourly'}"};
    static const char *const good[] = {"{'cron': '0 3 * * *'}", "{'cron': '0 0,6 * * *'}",
                                       "{'cron': '* * * * *', 'runs': '1'}", "{'runs': 'daily'}",
                                       "{'immediately': true}"};
    const char *words = "runs of a recurring job of the contact center are at least 06:00:00 apart";
    udm_error_t *error;
    apr_int64_t id;

    dbtest_exec("SELECT udm.set_quota('acme', least_interval => '6 hours')");
    for (size_t i = 0; i < sizeof(too_dense) / sizeof(*too_dense); i++) {
        error = create(&id, recurringtest_moving(too_dense[i]));
        ck_assert_msg(error && error->kind == UDM_E_INVALID, "%s", too_dense[i]);
        dbtest_fault(error,
                     strstr(too_dense[i], "cron") ? "/schedulerParam/cron" : "/schedulerParam/runs",
                     words);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        dbtest_ok(create(&id, recurringtest_moving(good[i])));
    }
}
END_TEST

/* What the schedule of an older job asks for too soon comes later, and says why. */
START_TEST(interval_of_what_is_planned)
{
    const char *words = "runs of a recurring job of the contact center are at least 06:00:00 apart";
    udm_job_info_t *info;
    apr_int64_t id;
    udm_run_t *run;

    dbtest_ok(create(&id, recurringtest_moving("{'cron': '* * * * *', 'immediately': true}")));
    ck_assert_str_eq(recurringtest_state("j.next_run_at < now() + interval '1 hour'"), "t");
    dbtest_exec("SELECT udm.set_quota('acme', least_interval => '6 hours')");
    recurringtest_complete(recurringtest_claim());
    dbtest_ok(udm_job_get(&info, pool, dbtest_httpd(), dbtest_principal("acme"), id));
    ck_assert_str_eq(info->status, "SCHEDULED");
    ck_assert_str_eq(info->status_reason, words);
    ck_assert_str_eq(recurringtest_state("j.next_run_at = r.scheduled_at + interval '6 hours'"),
                     "t");
    /* So are those that follow; no row is left out between them. */
    recurringtest_make_due("1 minute");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    run = recurringtest_claim();
    ck_assert_str_eq(queuetest_run_value(run, "r.window_from = j.watermark AND j.next_run_at"
                                              " = r.scheduled_at + interval '6 hours'"),
                     "t");
    recurringtest_complete(run);
    dbtest_ok(udm_job_get(&info, pool, dbtest_httpd(), dbtest_principal("acme"), id));
    ck_assert_str_eq(info->status_reason, words);
    dbtest_exec("SELECT udm.set_quota('acme')");
    recurringtest_make_due("1 minute");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    recurringtest_complete(recurringtest_claim());
    ck_assert_str_eq(recurringtest_state("j.next_run_at < now() + interval '1 hour',"
                                         " j.status_reason IS NULL"),
                     "t t");
}
END_TEST

/* A run at once is not followed too soon. */
START_TEST(interval_after_a_run_at_once)
{
    apr_int64_t id;

    dbtest_exec("SELECT udm.set_quota('acme', least_interval => '1 day')");
    dbtest_ok(create(&id, recurringtest_moving("{'cron': '0 3 * * *', 'immediately': true}")));
    ck_assert_str_eq(recurringtest_state("j.next_run_at = r.scheduled_at + interval '1 day',"
                                         " j.status_reason"),
                     "t runs of a recurring job of the contact center are at least 1 day apart");
}
END_TEST

/* ---- several at once ---- */

#define RACERS 8
#define EACH   5

typedef struct racer_t {
    pthread_t thread;
    pthread_barrier_t *start;
    apr_pool_t *pool;
    udm_pg_t *db;
    const udm_job_t *job;
    const udm_audit_t *audit;
    bool schedules;
    int made, refused;
    udm_error_t *error;
} racer_t;

static void *race_main(void *data)
{
    racer_t *racer = data;
    udm_job_info_t *info;
    apr_time_t next;
    bool more = true;
    int i, made;

    pthread_barrier_wait(racer->start);
    for (i = 0; i < EACH && !racer->error; i++) {
        udm_error_t *error;

        if (racer->schedules) {
            error = udm_queue_schedule(&made, &more, &next, racer->pool, racer->db);
            racer->made += made;
        }
        else {
            error = udm_job_create(&info, racer->pool, racer->db, racer->job, racer->audit);
            racer->made += error == NULL;
        }
        if (error && error->kind == UDM_E_QUOTA) {
            racer->refused++;
        }
        else {
            racer->error = error;
        }
    }
    return NULL;
}

/* Clients and workers make runs at the same time: there are as many as there may be, and not one more. */
static void race(const udm_job_t *job, bool schedules)
{
    racer_t racers[RACERS] = {0};
    pthread_barrier_t start;
    int i;

    pthread_barrier_init(&start, NULL, RACERS);
    for (i = 0; i < RACERS; i++) {
        racers[i] = (racer_t){.start = &start,
                              .job = job,
                              .audit = dbtest_audit(dbtest_principal("acme")),
                              .schedules = schedules && i % 4 == 0};
        ck_assert_int_eq(apr_pool_create(&racers[i].pool, NULL), APR_SUCCESS);
        dbtest_ok(udm_pg_connect(&racers[i].db, racers[i].pool,
                                 dbtest_conninfo(racers[i].schedules ? "udm_worker" : "udm_httpd"),
                                 "udm-test", UDM_E_DATABASE, NULL));
    }
    for (i = 0; i < RACERS; i++) {
        ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, race_main, &racers[i]), 0);
    }
    for (i = 0; i < RACERS; i++) {
        pthread_join(racers[i].thread, NULL);
        dbtest_ok(racers[i].error);
    }
    pthread_barrier_destroy(&start);
    for (i = 0; i < RACERS; i++) {
        apr_pool_destroy(racers[i].pool);
    }
}

START_TEST(nobody_passes_queued)
{
    dbtest_exec("INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type,"
                " schedule, next_run_at) SELECT 'acme', 'UCS', 'UCS', 'Contact', 'x' || n,"
                " true, 'once', '{}', now() FROM generate_series(1, 20) n;"
                "SELECT udm.set_quota('acme', queued => 13)");
    race(dbtest_job(), true);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run"), "13");
}
END_TEST

START_TEST(nobody_passes_recurring)
{
    dbtest_exec("SELECT udm.set_quota('acme', recurring => 7)");
    race(daily(), false);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.job"), "7");
}
END_TEST

/* Whoever comes while another one's job is stored and not committed waits, and then counts it. */
START_TEST(what_comes_meanwhile_counts)
{
    racer_t late = {.pool = pool, .db = dbtest_httpd(), .job = dbtest_job()};
    pthread_barrier_t start;
    udm_pg_t *db;
    int tries;

    dbtest_exec("SELECT udm.set_quota('acme', queued => 1)");
    dbtest_ok(udm_pg_connect(&db, pool, dbtest_conninfo(NULL), "psql", UDM_E_DATABASE, NULL));
    dbtest_ok(udm_pg_exec(pool, db, "BEGIN"));
    dbtest_ok(
        udm_pg_exec(pool, db, "SELECT udm.over_quota('acme', '{NULL}', '{true}', '{false}')"));
    dbtest_ok(udm_pg_exec(pool, db,
                          "INSERT INTO udm.run (job_id, ccid, source, type, title, window_all)"
                          " VALUES (1, 'acme', 'UCS', 'Interaction', 'x', true)"));
    late.audit = dbtest_audit(dbtest_principal("acme"));
    late.start = &start;
    pthread_barrier_init(&start, NULL, 1);
    ck_assert_int_eq(pthread_create(&late.thread, NULL, race_main, &late), 0);
    for (tries = 0; tries < 10000; tries++) {
        if (strcmp(dbtest_value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type ="
                                " 'Lock' AND datname = current_database()"),
                   "1") == 0) {
            break;
        }
        apr_sleep(1000);
    }
    ck_assert_msg(tries < 10000, "it does not wait");
    /* A worker does not wait for that, be it that it makes nothing of that contact centre meanwhile. */
    dbtest_exec("INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type,"
                " schedule, next_run_at) SELECT c, 'UCS', 'UCS', 'Contact', 'x', true, 'once',"
                " '{}', now() FROM unnest('{acme,other}'::text[]) c");
    ck_assert_int_eq(recurringtest_schedule(), 1);
    dbtest_ok(udm_pg_exec(pool, db, "COMMIT"));
    pthread_join(late.thread, NULL);
    pthread_barrier_destroy(&start);
    dbtest_ok(late.error);
    ck_assert_int_eq(late.made, 0);
    ck_assert_int_eq(late.refused, EACH);
}
END_TEST

TCase *quota_case(void)
{
    TCase *tc = dbtest_case("quota");

    tcase_add_test(tc, queued_at_most);
    tcase_add_test(tc, queued_of_many);
    tcase_add_test(tc, queued_with_a_key);
    tcase_add_test(tc, queued_and_due);
    tcase_add_test(tc, queued_and_many_due);
    tcase_add_test(tc, recurring_at_most);
    tcase_add_test(tc, interval_at_least);
    tcase_add_test(tc, interval_of_what_is_planned);
    tcase_add_test(tc, interval_after_a_run_at_once);
    tcase_add_test(tc, nobody_passes_queued);
    tcase_add_test(tc, nobody_passes_recurring);
    tcase_add_test(tc, what_comes_meanwhile_counts);
    return tc;
}
