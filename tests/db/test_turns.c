/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_turns.c: that nobody's lock, run or long queue is in the way of another's: whose turn a claim is,
 * what it passes over, limits, and leases that are renewed whatever is locked.
 */
#include "dbtest.h"

#include <pthread.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_time.h>

#include "queuetest.h"

/* Runs of `ccid` that are ready, in a row, since `ago`. */
static void add_runs(const char *ccid, int count, const char *ago)
{
    dbtest_exec(apr_psprintf(
        pool,
        "WITH j AS (INSERT INTO udm.job (ccid, family, source, type, title, time_all,"
        " schedule_type, schedule, status) SELECT '%s', 'UCS', 'UCS', 'Interaction', 'x', true,"
        " 'immediately', '{}', 'QUEUED' FROM generate_series(1, %d) RETURNING *),"
        " r AS (INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, ready_at)"
        " SELECT id, ccid, source, type, title, true, now() - interval '%s' FROM j RETURNING id)"
        " INSERT INTO udm.run_progress (run_id) SELECT id FROM r",
        ccid, count, ago));
}

static udm_run_t *claimed(bool *held, bool reserve)
{
    udm_run_t *run;

    dbtest_ok(udm_queue_claim(&run, held, pool, dbtest_worker(), "w/1", 3, reserve));
    return run;
}

/* Whose the next claims are, until there is nothing more to claim. */
static const char *claims(int count)
{
    const char *said = "";
    bool held;

    for (; count > 0; count--) {
        udm_run_t *run = claimed(&held, false);

        said = apr_pstrcat(pool, said, *said ? " " : "", run ? run->ccid : "none", NULL);
    }
    return said;
}

/* Another connection of the superuser, in a transaction. */
static udm_pg_t *psql(const char *sql)
{
    udm_pg_t *db;

    dbtest_ok(udm_pg_connect(&db, pool, dbtest_conninfo(NULL), "psql", UDM_E_DATABASE, NULL));
    dbtest_ok(udm_pg_exec(pool, db, "BEGIN"));
    dbtest_ok(udm_pg_exec(pool, db, sql));
    return db;
}

static const char *lock_of(const char *table, const char *column, apr_int64_t id)
{
    return apr_psprintf(pool, "SELECT 1 FROM udm.%s WHERE %s = %" APR_INT64_T_FMT " FOR UPDATE",
                        table, column, id);
}

/* ---- what a claim passes over ---- */

START_TEST(claim_passes_over_what_is_held)
{
    static const struct {
        const char *table, *column, *key;
    } cases[] = {{"run", "id", "id"}, {"run_progress", "run_id", "id"}, {"job", "id", "job_id"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *first = queuetest_queued("first");
        const char *second = queuetest_queued("second");
        udm_pg_t *db =
            psql(lock_of(cases[i].table, cases[i].column,
                         apr_atoi64(dbtest_value(apr_psprintf(
                             pool, "SELECT %s FROM udm.run WHERE id = %s", cases[i].key, first)))));
        udm_run_t *run;
        bool held;

        run = claimed(&held, false);
        ck_assert_ptr_nonnull(run);
        ck_assert_str_eq(udm_pg_int(pool, run->id), second);
        ck_assert_ptr_null(claimed(&held, false));
        ck_assert_msg(held, "%s", cases[i].table);
        dbtest_ok(udm_pg_exec(pool, db, "ROLLBACK"));
        run = claimed(&held, false);
        ck_assert_str_eq(udm_pg_int(pool, run->id), first);
        ck_assert_ptr_null(claimed(&held, false));
        ck_assert(!held);
    }
}
END_TEST

/* The same for one that was interrupted. */
START_TEST(takeover_passes_over_what_is_held)
{
    udm_run_t *run, *other;
    udm_pg_t *db;
    bool held;

    queuetest_queued("first");
    run = queuetest_claimed("w/1");
    queuetest_queued("second");
    other = queuetest_claimed("w/1");
    dbtest_exec("UPDATE udm.run_progress SET lease_until = now() - interval '1 second'");
    db = psql(lock_of("job", "id", run->job_id));
    ck_assert_int_eq(claimed(&held, false)->id, other->id);
    ck_assert_ptr_null(claimed(&held, false));
    ck_assert(held);
    dbtest_ok(udm_pg_exec(pool, db, "ROLLBACK"));
    ck_assert_int_eq(claimed(&held, false)->id, run->id);
}
END_TEST

/* A job that was deleted behind everybody's back keeps its run from nothing. */
START_TEST(claim_without_a_job)
{
    bool held;

    queuetest_queued("x");
    dbtest_exec("DELETE FROM udm.job");
    ck_assert_ptr_nonnull(claimed(&held, false));
}
END_TEST

/* ---- whose turn it is ---- */

START_TEST(claims_go_by_turns)
{
    add_runs("acme", 4, "1 hour");
    add_runs("other", 2, "1 minute");
    ck_assert_str_eq(claims(7), "acme other acme other acme acme none");
}
END_TEST

/* With nothing under way, the one comes that was not served for longest. */
START_TEST(claims_of_short_runs_go_by_turns)
{
    add_runs("acme", 3, "1 hour");
    add_runs("other", 2, "1 minute");
    for (int i = 0; i < 5; i++) {
        udm_run_t *run = queuetest_claimed("w/1");

        ck_assert_str_eq(run->ccid, i % 2 == 0 ? "acme" : "other");
        dbtest_ok(udm_queue_fail(pool, dbtest_worker(), run, "x"));
    }
}
END_TEST

/* While somebody claims for a contact centre, others claim for others first, and then beside it. */
START_TEST(claims_at_once_are_of_several)
{
    udm_pg_t *db;

    add_runs("acme", 3, "1 hour");
    add_runs("other", 1, "1 minute");
    db = psql("SELECT 1 FROM udm.turn WHERE ccid = 'acme' FOR UPDATE");
    ck_assert_str_eq(claims(3), "other acme acme");
    dbtest_ok(udm_pg_exec(pool, db, "ROLLBACK"));
}
END_TEST

START_TEST(reserve_is_for_who_has_nothing)
{
    udm_run_t *run;
    bool held;

    add_runs("acme", 3, "1 hour");
    run = queuetest_claimed("w/1");
    ck_assert_ptr_null(claimed(&held, true));
    ck_assert(!held);
    add_runs("other", 2, "1 minute");
    ck_assert_str_eq(claimed(&held, true)->ccid, "other");
    ck_assert_ptr_null(claimed(&held, true));
    /* One that was interrupted is under way, unless nothing else is. */
    add_runs("acme", 1, "1 hour");
    dbtest_exec(apr_psprintf(pool,
                             "UPDATE udm.run_progress SET lease_until = now() - interval '1 s'"
                             " WHERE run_id = %" APR_INT64_T_FMT,
                             run->id));
    ck_assert_int_eq(claimed(&held, true)->id, run->id);
}
END_TEST

/* ---- limits ---- */

START_TEST(quota_of_running)
{
    udm_run_t *run;
    udm_pg_t *db;
    bool held;

    add_runs("acme", 4, "1 hour");
    add_runs("other", 1, "1 minute");
    dbtest_exec("SELECT udm.set_quota('acme', running => 2)");
    run = queuetest_claimed("w/1");
    ck_assert_str_eq(run->ccid, "acme");
    ck_assert_str_eq(claims(3), "other acme none");
    dbtest_ok(udm_queue_fail(pool, dbtest_worker(), run, "x"));
    /* Two who claim at once do not pass it together. */
    db = psql("SELECT 1 FROM udm.turn WHERE ccid = 'acme' FOR UPDATE");
    ck_assert_ptr_null(claimed(&held, false));
    ck_assert(held);
    dbtest_ok(udm_pg_exec(pool, db, "ROLLBACK"));
    ck_assert_str_eq(claims(2), "acme none");
    dbtest_exec("SELECT udm.set_quota('acme')");
    ck_assert_str_eq(claims(2), "acme none");
}
END_TEST

typedef struct late_t {
    udm_pg_t *db;
    udm_run_t *run;
    udm_error_t *error;
} late_t;

static void *claim_late(void *data)
{
    late_t *late = data;
    bool held;

    late->error = udm_queue_claim(&late->run, &held, pool, late->db, "w/1", 3, false);
    return NULL;
}

/*
 * Somebody else's claim comes between the moment from which a worker sees the queue and its lock on the
 * turn: it counts. A policy makes the worker wait there.
 */
START_TEST(quota_counts_who_came_meanwhile)
{
    late_t late = {.db = dbtest_worker()};
    pthread_t thread;

    add_runs("acme", 2, "1 hour");
    dbtest_exec("SELECT udm.set_quota('acme', running => 1);"
                "CREATE FUNCTION public.gate() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN"
                " PERFORM pg_advisory_xact_lock_shared(1); RETURN true; END $$;"
                "CREATE POLICY gate ON udm.turn USING (public.gate());"
                "ALTER TABLE udm.turn ENABLE ROW LEVEL SECURITY;"
                "SELECT pg_advisory_lock(1)");
    ck_assert_int_eq(pthread_create(&thread, NULL, claim_late, &late), 0);
    while (strcmp(dbtest_value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"
                               " AND datname = current_database()"),
                  "1") != 0) {
        apr_sleep(1000);
    }
    dbtest_exec(
        "UPDATE udm.run SET status = 'IN_PROGRESS' WHERE id = (SELECT max(id) FROM udm.run);"
        "SELECT pg_advisory_unlock(1)");
    pthread_join(thread, NULL);
    dbtest_ok(late.error);
    ck_assert_ptr_null(late.run);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run WHERE status = 'QUEUED'"), "1");
}
END_TEST

START_TEST(quota_is_set)
{
    static const struct {
        const char *arguments, *words;
    } bad[] = {{"'nobody', 1", "there is no contact centre \"nobody\""},
               {"'acme', running => 0", "a limit is a number from 1 on"},
               {"'acme', queued => -1", "a limit is a number from 1 on"},
               {"'acme', recurring => -1", "a limit is a number from 1 on"},
               {"NULL, 1", "there is no contact centre"},
               {"'acme', least_interval => '0'", "a limit is a number from 1 on"},
               {"'acme', least_interval => '-1 day'", "a limit is a number from 1 on"},
               {"'acme', least_interval => '367 days'", "longer than none and at most a year"},
               {"'acme', bytes_per_day => 0", "a limit is a number from 1 on"}};
    udm_error_t *error;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        error = udm_pg_exec(pool, dbtest_admin(),
                            apr_psprintf(pool, "SELECT udm.set_quota(%s)", bad[i].arguments));
        ck_assert_ptr_nonnull(error);
        ck_assert_ptr_nonnull(strstr(error->detail, bad[i].words));
    }
    dbtest_exec("SELECT udm.set_quota('acme', 1, 2, 0, '1 hour', 5000000000)");
    ck_assert_str_eq(dbtest_value("SELECT q::text FROM udm.quota q"),
                     "(acme,1,2,0,01:00:00,5000000000)");
    dbtest_exec("SELECT udm.set_quota('acme', queued => 3)");
    ck_assert_str_eq(dbtest_value("SELECT q::text FROM udm.quota q"), "(acme,,3,,,)");
    dbtest_exec("SELECT udm.set_quota('acme')");
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.quota"), "0");
    ck_assert_str_eq(dbtest_value("SELECT string_agg(concat_ws(' ', ccid, detail->'old'->>'queued',"
                                  " detail->'new'->>'queued'), ', ' ORDER BY id)"
                                  " FROM udm.audit WHERE action = 'tenant.quota'"),
                     "acme 2, acme 2 3, acme 3");
}
END_TEST

/* A contact centre takes its limits and its turn along, and they end with it. */
START_TEST(quota_and_turn_go_along)
{
    dbtest_exec("SELECT udm.create_tenant('third'); SELECT udm.set_quota('third', 1);"
                "UPDATE udm.turn SET waits_until = 'infinity' WHERE ccid = 'third';"
                "SELECT udm.rename_tenant('third', 'fourth')");
    ck_assert_str_eq(
        dbtest_value("SELECT q.running || t.ccid FROM udm.quota q JOIN udm.turn t"
                     " ON t.ccid = q.ccid WHERE t.ccid = 'fourth' AND waits_until > now()"),
        "1fourth");
    dbtest_exec("SELECT udm.remove_tenant('fourth', true)");
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.turn WHERE ccid = 'fourth'"), "0");
}
END_TEST

/* ---- a long queue ---- */

static apr_int64_t rows_read(void)
{
    dbtest_ok(udm_pg_exec(pool, dbtest_worker(), "SELECT pg_stat_force_next_flush()"));
    return apr_atoi64(dbtest_value("SELECT sum(seq_tup_read + idx_tup_fetch)"
                                   " FROM pg_stat_user_tables WHERE relid IN ('udm.run'::regclass,"
                                   " 'udm.run_progress'::regclass, 'udm.job'::regclass)"));
}

#define CENTRES 500
#define CLAIMS  20

/* What a claim costs goes with the contact centres that wait, and not with all that waits. */
START_TEST(claims_from_a_long_queue)
{
    apr_int64_t before;
    apr_time_t began;

    if (PQserverVersion(dbtest_worker()->conn) < 150000) {
        return; /* counts what was read some time later */
    }
    /* First while the server knows nothing of what is in the tables. */
    dbtest_exec(apr_psprintf(
        pool,
        "INSERT INTO udm.tenant (ccid, name) SELECT 'c' || n, 'c' FROM generate_series(1, %d) n;"
        "INSERT INTO udm.run (job_id, ccid, source, type, title, window_all)"
        " SELECT -n, CASE WHEN n <= 50000 THEN 'acme' ELSE 'c' || 1 + n %% %d END,"
        " 'UCS', 'Interaction', 'waits', true FROM generate_series(1, 100000) n;"
        "INSERT INTO udm.run_progress (run_id) SELECT id FROM udm.run",
        CENTRES, CENTRES));
    ck_assert_str_eq(claims(1), "acme");
    for (int pass = 0; pass < 2; pass++) {
        before = rows_read();
        began = apr_time_now();
        for (int i = 0; i < CLAIMS; i++) {
            ck_assert_str_ne(claims(1), "none");
        }
        printf("claims of 100,000 runs that wait, of %d contact centres: %.1f ms each\n",
               CENTRES + 1, (double)(apr_time_now() - began) / 1000 / CLAIMS);
        ck_assert_int_lt((rows_read() - before) / CLAIMS, 2 * CENTRES);
        dbtest_exec("ANALYZE udm.run, udm.run_progress, udm.job, udm.turn, udm.tenant");
    }
}
END_TEST

/* ---- leases ---- */

static void add_lease(apr_array_header_t *leases, const udm_run_t *run, int percent)
{
    udm_lease_t *lease = apr_array_push(leases);

    lease->run_id = run->id;
    lease->export_id = run->export_id;
    lease->percent = percent;
    lease->rows = percent;
}

static udm_lease_state renewed(const udm_run_t *run)
{
    apr_array_header_t *leases = apr_array_make(pool, 1, sizeof(udm_lease_t));

    add_lease(leases, run, 1);
    dbtest_ok(udm_queue_renew(leases, pool, dbtest_worker()));
    return APR_ARRAY_IDX(leases, 0, udm_lease_t).state;
}

static const char *lease_of(const udm_run_t *run)
{
    return dbtest_value(apr_psprintf(pool,
                                     "SELECT lease_until::text || percent FROM udm.run_progress"
                                     " WHERE run_id = %" APR_INT64_T_FMT,
                                     run->id));
}

/* Each of several in one statement gets what is its own. */
START_TEST(leases_are_renewed_together)
{
    apr_array_header_t *leases = apr_array_make(pool, 4, sizeof(udm_lease_t));
    udm_run_t *runs[6];
    udm_pg_t *db;

    for (int i = 0; i < 6; i++) {
        queuetest_queued("x");
        runs[i] = queuetest_claimed("w/1");
        add_lease(leases, runs[i], 10 + i);
    }
    dbtest_exec("UPDATE udm.run_progress SET lease_until = now()");
    queuetest_set_run(runs[1], "status = 'CANCELLED'");
    queuetest_set_job(runs[2], "suspended = true");
    queuetest_set_run(runs[3], "status = 'QUEUED', worker_id = NULL");
    db = psql(lock_of("run_progress", "run_id", runs[4]->id));
    dbtest_ok(udm_queue_renew(leases, pool, dbtest_worker()));
    dbtest_ok(udm_pg_exec(pool, db, "ROLLBACK"));
    for (int i = 0; i < 6; i++) {
        static const udm_lease_state states[] = {UDM_LEASE_RENEWED,  UDM_LEASE_UNWANTED,
                                                 UDM_LEASE_UNWANTED, UDM_LEASE_LOST,
                                                 UDM_LEASE_HELD,     UDM_LEASE_RENEWED};
        ck_assert_int_eq(APR_ARRAY_IDX(leases, i, udm_lease_t).state, states[i]);
    }
    ck_assert_str_eq(dbtest_value("SELECT string_agg(percent::text, ' ' ORDER BY run_id)"
                                  " FROM udm.run_progress WHERE lease_until > now()"),
                     "10 12 15");
    ck_assert_int_eq(renewed(runs[4]), UDM_LEASE_RENEWED);
}
END_TEST

/* Whoever holds a run, or its job, holds no lease up. */
START_TEST(leases_need_no_run)
{
    udm_run_t *run;
    udm_pg_t *db;

    queuetest_queued("x");
    run = queuetest_claimed("w/1");
    db = psql(lock_of("run", "id", run->id));
    dbtest_ok(udm_pg_exec(pool, db, lock_of("job", "id", run->job_id)));
    ck_assert_int_eq(renewed(run), UDM_LEASE_RENEWED);
    dbtest_ok(udm_pg_exec(pool, db, "ROLLBACK"));
}
END_TEST

/* Neither while another one takes the run over, nor afterwards. */
START_TEST(a_lost_lease_is_never_renewed)
{
    const char *lease;
    udm_run_t *run;
    udm_pg_t *db;

    queuetest_queued("x");
    run = queuetest_claimed("w/1");
    dbtest_exec("UPDATE udm.run_progress SET lease_until = now() - interval '1 second'");
    db = psql("SET LOCAL ROLE udm_worker");
    dbtest_ok(udm_pg_exec(pool, db, "SELECT (run).id FROM udm.claim_run('w/2', '10 s', false)"));
    ck_assert_int_eq(renewed(run), UDM_LEASE_HELD);
    dbtest_ok(udm_pg_exec(pool, db, "COMMIT"));
    lease = lease_of(run);
    ck_assert_int_eq(renewed(run), UDM_LEASE_LOST);
    ck_assert_str_eq(lease_of(run), lease);
    /* Were it not for the export's id in the lease: the run as it was when the renewal began. */
    queuetest_set_run(run, apr_psprintf(pool, "export_id = '%s'", run->export_id));
    ck_assert_int_eq(renewed(run), UDM_LEASE_LOST);
    ck_assert_str_eq(lease_of(run), lease);
}
END_TEST

/* Nor after the end: what a run has come to stays. */
START_TEST(an_ended_lease_is_never_renewed)
{
    udm_run_t *run;

    queuetest_queued("x");
    run = queuetest_claimed("w/1");
    dbtest_ok(udm_queue_release(pool, dbtest_worker(), run, 0, false, NULL));
    ck_assert_int_eq(renewed(run), UDM_LEASE_LOST);
    queuetest_set_run(run, "status = 'IN_PROGRESS', worker_id = 'w/1'");
    ck_assert_int_eq(renewed(run), UDM_LEASE_LOST);
    ck_assert_ptr_null(lease_of(run));
    run = queuetest_claimed("w/1");
    dbtest_ok(udm_queue_fail(pool, dbtest_worker(), run, "x"));
    queuetest_set_run(run, "status = 'IN_PROGRESS'");
    ck_assert_int_eq(renewed(run), UDM_LEASE_LOST);
}
END_TEST

/* ---- due jobs ---- */

/* Others' jobs are not behind all those of one contact centre, and one call makes but some. */
START_TEST(due_jobs_go_by_turns)
{
    apr_time_t next;
    int made;
    bool more;

    dbtest_exec("INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type,"
                " schedule, next_run_at, status) SELECT CASE WHEN n = 5000 THEN 'other' ELSE 'acme'"
                " END, 'UCS', 'UCS', 'Contact', 'x', true, 'once', '{}',"
                " now() - interval '1 hour' + n * interval '1 ms', 'SCHEDULED'"
                " FROM generate_series(1, 5000) n");
    dbtest_ok(udm_queue_schedule(&made, &more, &next, pool, dbtest_worker()));
    ck_assert(more);
    ck_assert_int_gt(made, 0);
    ck_assert_int_le(made, 100);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run WHERE ccid = 'other'"), "1");
}
END_TEST

START_TEST(due_jobs_that_are_held)
{
    const char *first = queuetest_planned("now() - interval '2 hours'", "false");
    udm_pg_t *db = psql(lock_of("job", "id", apr_atoi64(first)));
    apr_time_t next;
    int made;

    queuetest_planned("now() - interval '1 hour'", "false");
    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    ck_assert_int_eq(made, 1);
    dbtest_ok(udm_pg_exec(pool, db, "ROLLBACK"));
    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    ck_assert_int_eq(made, 1);
}
END_TEST

TCase *turns_case(void)
{
    TCase *tc = dbtest_case("turns");

    tcase_add_test(tc, claim_passes_over_what_is_held);
    tcase_add_test(tc, takeover_passes_over_what_is_held);
    tcase_add_test(tc, claim_without_a_job);
    tcase_add_test(tc, claims_go_by_turns);
    tcase_add_test(tc, claims_of_short_runs_go_by_turns);
    tcase_add_test(tc, claims_at_once_are_of_several);
    tcase_add_test(tc, reserve_is_for_who_has_nothing);
    tcase_add_test(tc, quota_of_running);
    tcase_add_test(tc, quota_counts_who_came_meanwhile);
    tcase_add_test(tc, quota_is_set);
    tcase_add_test(tc, quota_and_turn_go_along);
    tcase_add_test(tc, claims_from_a_long_queue);
    tcase_add_test(tc, leases_are_renewed_together);
    tcase_add_test(tc, leases_need_no_run);
    tcase_add_test(tc, a_lost_lease_is_never_renewed);
    tcase_add_test(tc, an_ended_lease_is_never_renewed);
    tcase_add_test(tc, due_jobs_go_by_turns);
    tcase_add_test(tc, due_jobs_that_are_held);
    return tc;
}
