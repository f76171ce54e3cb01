/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_queue_schedule.c: which jobs that are due get a run, and when there is something to do next.
 */
#include "dbtest.h"

#include <pthread.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_time.h>

#include "queuetest.h"
#include "core/calendar.h"

START_TEST(schedule_makes_what_is_due)
{
    const char *due = queuetest_planned("now() - interval '1 minute'", "false");
    const char *later = queuetest_planned("now() + interval '1 hour'", "false");
    const char *suspended = queuetest_planned("now() - interval '1 minute'", "true");
    apr_time_t next, before = apr_time_now();
    udm_run_t *run;
    int made;

    dbtest_exec("UPDATE udm.job SET filters = '[{\"attribute\": \"a\"}]'");
    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    ck_assert_int_eq(made, 1);
    ck_assert(next > before + apr_time_from_sec(3500) && next < before + apr_time_from_sec(3700));
    ck_assert_str_eq(
        dbtest_value(apr_psprintf(pool, "SELECT concat_ws('|', job_id, title, description,"
                                        " window_all, window_from = '2026-01-01Z',"
                                        " window_to = '2026-02-01Z', media,"
                                        " export_attachments, file_split_size,"
                                        " file_split_bytes, status, filters) FROM udm.run")),
        apr_psprintf(pool,
                     "%s|planned|words|f|t|t|{Chat}|t|1MB|1000000|QUEUED|[{\"attribute\": \"a\"}]",
                     due));
    ck_assert_str_eq(dbtest_value(apr_psprintf(pool,
                                               "SELECT concat_ws(' ', status, next_run_at IS NULL,"
                                               " latest_run_id = (SELECT id FROM udm.run))"
                                               " FROM udm.job WHERE id = %s",
                                               due)),
                     "QUEUED t t");
    ck_assert_str_eq(dbtest_value(apr_psprintf(pool,
                                               "SELECT string_agg(status, ' ') FROM udm.job"
                                               " WHERE id IN (%s, %s)",
                                               later, suspended)),
                     "SCHEDULED SCHEDULED");
    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    ck_assert_int_eq(made, 0);
    run = queuetest_claimed("w/1");
    ck_assert_str_eq(udm_pg_int(pool, run->job_id), due);
}
END_TEST

START_TEST(schedule_waits_for_the_run_before)
{
    apr_time_t next;
    udm_run_t *run;
    int made;

    queuetest_queued("x");
    run = queuetest_claimed("w/1");
    queuetest_set_job(run, "next_run_at = now() - interval '1 second'");
    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    ck_assert_int_eq(made, 0);
    ck_assert_int_eq(next, UDM_NO_TIME);
    dbtest_ok(udm_queue_fail(pool, dbtest_worker(), run, "x"));
    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    ck_assert_int_eq(made, 1);
}
END_TEST

/* Whoever is told when to look again needs no poll for a run that waits for its time. */
START_TEST(schedule_says_when_a_run_is_ready)
{
    apr_time_t next, before = apr_time_now();
    udm_run_t *run;
    int made;

    queuetest_planned("now() + interval '1 hour'", "false");
    queuetest_queued("x");
    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    ck_assert(next > before + apr_time_from_sec(3500)); /* it is ready already */
    run = queuetest_claimed("w/1");
    dbtest_ok(udm_queue_release(pool, dbtest_worker(), run, 600, true, NULL));
    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    ck_assert_int_eq(made, 0);
    ck_assert(next > before + apr_time_from_sec(500) && next < before + apr_time_from_sec(700));
    queuetest_set_run(run, "status = 'SUSPENDED'");
    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    ck_assert(next > before + apr_time_from_sec(3500));
}
END_TEST

/* The clock was set back: a lease that then lasts for a day would keep a dead worker's run for a day. */
START_TEST(schedule_shortens_leases)
{
    static const struct {
        const char *lease, *is;
    } cases[] = {
        {"interval '1 day'", "t"},    /* not an hour's, a lease's time left */
        {"interval '-1 day'", "f"},   /* over, and stays so */
        {"interval '12 second'", "f"} /* a little long is left alone */
    };
    apr_time_t next;
    udm_run_t *run;
    int made;

    queuetest_queued("x");
    run = queuetest_claimed("w/1");
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *before;

        dbtest_exec(apr_psprintf(pool, "UPDATE udm.run_progress SET lease_until = now() + %s",
                                 cases[i].lease));
        before = dbtest_value("SELECT lease_until::text FROM udm.run_progress");
        dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
        ck_assert_str_eq(dbtest_value(apr_psprintf(pool,
                                                   "SELECT lease_until::text <> '%s'"
                                                   " FROM udm.run_progress",
                                                   before)),
                         cases[i].is);
    }
    dbtest_exec("UPDATE udm.run_progress SET lease_until = now() + interval '1 day'");
    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    ck_assert_str_eq(dbtest_value("SELECT lease_until BETWEEN now() AND now() + interval '10 s'"
                                  " FROM udm.run_progress"),
                     "t");
    dbtest_ok(udm_queue_fail(pool, dbtest_worker(), run, "x"));
}
END_TEST

START_TEST(schedule_more_than_a_batch)
{
    apr_time_t next;
    int made;

    dbtest_exec("INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type,"
                " schedule, next_run_at, status) SELECT 'acme', 'UCS', 'UCS', 'Contact', 'x' || n,"
                " true, 'once', '{}', now(), 'SCHEDULED' FROM generate_series(1, 250) n");
    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    ck_assert_int_eq(made, 250);
    ck_assert_str_eq(dbtest_value("SELECT concat_ws(' ', count(*), count(DISTINCT job_id))"
                                  " FROM udm.run JOIN udm.run_progress ON run_id = id"),
                     "250 250");
}
END_TEST

#define RACERS     2
#define RACED_JOBS 60
#define ROUNDS     5

typedef struct racer_t {
    pthread_t thread;
    pthread_barrier_t *start;
    apr_pool_t *pool;
    udm_pg_t *db;
    int made;
    udm_error_t *error;
} racer_t;

static void *race_main(void *data)
{
    racer_t *racer = data;
    apr_time_t next;

    pthread_barrier_wait(racer->start);
    racer->error = queuetest_schedule(&racer->made, &next, racer->pool, racer->db);
    return NULL;
}

START_TEST(two_schedule_at_once)
{
    racer_t racers[RACERS] = {0};
    pthread_barrier_t start;
    int round, i, made;

    dbtest_exec(apr_psprintf(
        pool,
        "INSERT INTO udm.job (ccid, family, source, type, title, time_all,"
        " schedule_type, schedule, status) SELECT 'acme', 'UCS', 'UCS', 'Contact', 'x' || n, true,"
        " 'recurring', '{\"cron\":\"0 0 1 1 *\"}', 'SCHEDULED' FROM generate_series(1, %d) n",
        RACED_JOBS));
    pthread_barrier_init(&start, NULL, RACERS);
    for (i = 0; i < RACERS; i++) {
        racers[i].start = &start;
        ck_assert_int_eq(apr_pool_create(&racers[i].pool, NULL), APR_SUCCESS);
        dbtest_ok(udm_pg_connect(&racers[i].db, racers[i].pool, dbtest_conninfo("udm_worker"),
                                 "udm-test", UDM_E_DATABASE, NULL));
    }
    for (round = 1; round <= ROUNDS; round++) {
        dbtest_exec("UPDATE udm.job SET next_run_at = now() - interval '1 minute'");
        made = 0;
        for (i = 0; i < RACERS; i++) {
            ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, race_main, &racers[i]), 0);
        }
        for (i = 0; i < RACERS; i++) {
            pthread_join(racers[i].thread, NULL);
            dbtest_ok(racers[i].error);
            made += racers[i].made;
        }
        ck_assert_int_eq(made, RACED_JOBS);
        dbtest_exec("UPDATE udm.run SET status = 'FAILED', finished_at = now()");
        ck_assert_str_eq(dbtest_value("SELECT concat_ws(' ', min(n), max(n), count(*)) FROM"
                                      " (SELECT count(*) AS n FROM udm.run GROUP BY job_id) s"),
                         apr_psprintf(pool, "%d %d %d", round, round, RACED_JOBS));
    }
    pthread_barrier_destroy(&start);
    for (i = 0; i < RACERS; i++) {
        apr_pool_destroy(racers[i].pool);
    }
}
END_TEST

/*
 * Somebody makes a run between the moment from which a worker sees the queue and its lock on the job,
 * which is due again already. A policy makes it wait there.
 */
START_TEST(a_run_made_meanwhile)
{
    racer_t late = {.pool = pool, .db = dbtest_worker()};
    pthread_barrier_t start;

    queuetest_planned("now() - interval '1 hour'", "false");
    dbtest_exec("CREATE FUNCTION public.gate() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN"
                " IF current_query() LIKE '%SKIP LOCKED%' THEN"
                " PERFORM pg_advisory_xact_lock_shared(1); END IF; RETURN true; END $$;"
                "CREATE POLICY gate ON udm.job USING (public.gate());"
                "ALTER TABLE udm.job ENABLE ROW LEVEL SECURITY;"
                "SELECT pg_advisory_lock(1)");
    pthread_barrier_init(&start, NULL, 1);
    late.start = &start;
    ck_assert_int_eq(pthread_create(&late.thread, NULL, race_main, &late), 0);
    while (strcmp(dbtest_value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"
                               " AND datname = current_database()"),
                  "1") != 0) {
        apr_sleep(1000);
    }
    dbtest_exec("BEGIN; INSERT INTO udm.run (job_id, ccid, source, type, title, window_all)"
                " SELECT id, ccid, source, type, title, true FROM udm.job;"
                "INSERT INTO udm.run_progress (run_id) SELECT id FROM udm.run;"
                "UPDATE udm.job SET status = 'QUEUED', next_run_at = now() - interval '1 minute';"
                "COMMIT; SELECT pg_advisory_unlock(1)");
    pthread_join(late.thread, NULL);
    pthread_barrier_destroy(&start);
    dbtest_ok(late.error);
    ck_assert_int_eq(late.made, 0);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run"), "1");
    ck_assert_str_eq(dbtest_value("SELECT next_run_at < now() FROM udm.job"), "t");
}
END_TEST

/* How many rows of the queue were read up to now, by whoever. */
static apr_int64_t rows_read(void)
{
    dbtest_ok(udm_pg_exec(pool, dbtest_worker(), "SELECT pg_stat_force_next_flush()"));
    return apr_atoi64(dbtest_value("SELECT sum(seq_tup_read + idx_tup_fetch)"
                                   " FROM pg_stat_user_tables WHERE relid IN ('udm.run'::regclass,"
                                   " 'udm.run_progress'::regclass)"));
}

/* A worker looks often: what waits must not be read each time. */
START_TEST(schedule_passes_by_a_long_queue)
{
    apr_int64_t before;
    apr_time_t next;
    int made, i;

    if (PQserverVersion(dbtest_worker()->conn) < 150000) {
        return; /* counts what was read some time later */
    }
    dbtest_exec("INSERT INTO udm.run (job_id, ccid, source, type, title, window_all)"
                " SELECT -n, 'acme', 'UCS', 'Interaction', 'waits', true"
                " FROM generate_series(1, 20000) n;"
                "INSERT INTO udm.run_progress (run_id) SELECT id FROM udm.run");
    dbtest_exec("ANALYZE udm.run, udm.run_progress");
    queuetest_claimed("w/1");
    before = rows_read();
    for (i = 0; i < 10; i++) {
        dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
        ck_assert_int_eq(made, 0);
    }
    ck_assert_int_lt(rows_read() - before, 100);
}
END_TEST

TCase *queue_schedule_case(void)
{
    TCase *tc = dbtest_case("queue_schedule");

    tcase_add_test(tc, schedule_makes_what_is_due);
    tcase_add_test(tc, schedule_waits_for_the_run_before);
    tcase_add_test(tc, schedule_says_when_a_run_is_ready);
    tcase_add_test(tc, schedule_shortens_leases);
    tcase_add_test(tc, schedule_more_than_a_batch);
    tcase_add_test(tc, two_schedule_at_once);
    tcase_add_test(tc, a_run_made_meanwhile);
    tcase_add_test(tc, schedule_passes_by_a_long_queue);
    return tc;
}
