/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_queue.c: lease, and the ends of a run, as the role udm_worker.
 */
#include "dbtest.h"

#include <apr_strings.h>

#include "queuetest.h"
#include "db/installation.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

const char *queuetest_queued(const char *title)
{
    return dbtest_value(apr_psprintf(
        pool,
        "WITH j AS (INSERT INTO udm.job (ccid, family, source, type, title, time_all, "
        "schedule_type,"
        " schedule, status) VALUES ('acme', 'UCS', 'UCS', 'Interaction', '%s', true, 'immediately',"
        " '{}', 'QUEUED') RETURNING *),"
        " r AS (INSERT INTO udm.run (job_id, ccid, source, type, title, window_from, window_all,"
        " media, export_attachments, file_split_bytes)"
        " SELECT id, ccid, source, type, title, '2026-01-02 03:04:05.678901Z', false,"
        " '{Email,\"a \\\"b\"}', true, 65536 FROM j RETURNING id),"
        " p AS (INSERT INTO udm.run_progress (run_id) SELECT id FROM r)"
        "SELECT id FROM r",
        title));
}

const char *queuetest_planned(const char *next, const char *suspended)
{
    return dbtest_value(apr_psprintf(
        pool,
        "INSERT INTO udm.job (ccid, family, source, type, title, description, time_all, date_from,"
        " date_to, media, export_attachments, file_split_size, file_split_bytes, schedule_type,"
        " schedule, next_run_at, status, suspended) VALUES ('acme', 'UCS', 'UCS', 'Interaction',"
        " 'planned', 'words', false, '2026-01-01Z', '2026-02-01Z', '{Chat}', true, '1MB', 1000000,"
        " 'once', '{}', %s, 'SCHEDULED', %s) RETURNING id",
        next, suspended));
}

const char *queuetest_run_value(const udm_run_t *run, const char *expression)
{
    return dbtest_value(apr_psprintf(pool,
                                     "SELECT %s FROM udm.run r JOIN udm.run_progress p"
                                     " ON p.run_id = r.id LEFT JOIN udm.job j ON j.id = r.job_id"
                                     " WHERE r.id = %" APR_INT64_T_FMT,
                                     expression, run->id));
}

udm_error_t *queuetest_claim(udm_run_t **run, apr_pool_t *p, udm_pg_t *db, const char *worker_id,
                             int max_attempts)
{
    bool held;

    return udm_queue_claim(run, &held, p, db, worker_id, max_attempts, false);
}

udm_run_t *queuetest_claimed(const char *worker_id)
{
    udm_run_t *run;

    dbtest_ok(queuetest_claim(&run, pool, dbtest_worker(), worker_id, 3));
    return run;
}

udm_error_t *queuetest_renew(bool *wanted, apr_pool_t *p, udm_pg_t *db, const udm_run_t *run,
                             int percent, apr_int64_t rows)
{
    apr_array_header_t *leases = apr_array_make(p, 1, sizeof(udm_lease_t));
    udm_lease_t *lease = apr_array_push(leases);
    udm_error_t *error;

    lease->run_id = run->id;
    lease->export_id = run->export_id;
    lease->percent = percent;
    lease->rows = rows;
    error = udm_queue_renew(leases, p, db);
    *wanted = !error && lease->state != UDM_LEASE_UNWANTED;
    return !error && lease->state == UDM_LEASE_LOST
               ? udm_error_make(p, UDM_E_LOST, "the run is no longer this attempt's")
               : error;
}

udm_error_t *queuetest_schedule(int *made, apr_time_t *next, apr_pool_t *p, udm_pg_t *db)
{
    udm_error_t *error;
    bool more;
    int some;

    *made = 0;
    do {
        error = udm_queue_schedule(&some, &more, next, p, db);
        *made += some;
    } while (!error && more);
    return error;
}

void queuetest_expire_lease(const udm_run_t *run)
{
    dbtest_exec(apr_psprintf(pool,
                             "UPDATE udm.run_progress SET lease_until = now() - interval '1 second'"
                             " WHERE run_id = %" APR_INT64_T_FMT,
                             run->id));
}

void queuetest_set_run(const udm_run_t *run, const char *assignment)
{
    dbtest_exec(apr_psprintf(pool, "UPDATE udm.run SET %s WHERE id = %" APR_INT64_T_FMT, assignment,
                             run->id));
}

void queuetest_set_job(const udm_run_t *run, const char *assignment)
{
    dbtest_exec(apr_psprintf(pool, "UPDATE udm.job SET %s WHERE id = %" APR_INT64_T_FMT, assignment,
                             run->job_id));
}

apr_array_header_t *queuetest_two_parts(void)
{
    apr_array_header_t *parts = apr_array_make(pool, 2, sizeof(udm_part_t));
    udm_part_t *part = apr_array_push(parts);

    part->name = "export-11111111-2222-4333-8444-555555555555.z01.smime";
    part->size = 65000;
    part->sha256 = HASH;
    part = apr_array_push(parts);
    part->name = "export-11111111-2222-4333-8444-555555555555.zip.smime";
    part->size = 1234;
    part->sha256 = HASH;
    return parts;
}

/* A claim by the same worker is another claim: the export's id is part of the fence. */
START_TEST(fence_knows_the_export)
{
    udm_run_t *run, old;
    bool wanted;

    queuetest_queued("x");
    run = queuetest_claimed("w/1");
    old = *run;
    dbtest_ok(udm_queue_release(pool, dbtest_worker(), run, 0, false, NULL));
    run = queuetest_claimed("w/1");
    ck_assert_int_eq(run->attempt, old.attempt);
    dbtest_fails(queuetest_renew(&wanted, pool, dbtest_worker(), &old, 1, 1), UDM_E_LOST, "run");
    dbtest_fails(udm_queue_fail(pool, dbtest_worker(), &old, "x"), UDM_E_LOST, "run");
    dbtest_ok(queuetest_renew(&wanted, pool, dbtest_worker(), run, 1, 1));
    ck_assert(wanted);
}
END_TEST

START_TEST(exhausted_after_too_many)
{
    udm_run_t *run;
    int i;

    queuetest_queued("x");
    for (i = 1; i <= 3; i++) {
        run = queuetest_claimed("w/1");
        ck_assert_int_eq(run->attempt, i);
        ck_assert(!run->exhausted);
        queuetest_expire_lease(run);
    }
    run = queuetest_claimed("w/1");
    ck_assert(run->exhausted);
    ck_assert_ptr_nonnull(run->previous_export_id);
    /* A run that waits in the queue was not interrupted, however often it was tried. */
    dbtest_ok(udm_queue_release(pool, dbtest_worker(), run, 0, true, NULL));
    ck_assert(!queuetest_claimed("w/1")->exhausted);
}
END_TEST

START_TEST(renew_prolongs_and_notes)
{
    udm_run_t *run;
    bool wanted = false;

    queuetest_queued("x");
    run = queuetest_claimed("w/1");
    dbtest_exec("UPDATE udm.run_progress SET lease_until = now() + interval '1 second'");
    dbtest_ok(queuetest_renew(&wanted, pool, dbtest_worker(), run, 42, 4242));
    ck_assert(wanted);
    ck_assert_str_eq(queuetest_run_value(run, "concat_ws(' ', p.percent, p.rows_done,"
                                              " p.lease_until > now() + interval '5 s')"),
                     "42 4242 t");
    dbtest_ok(queuetest_renew(&wanted, pool, dbtest_worker(), run, 400, 5));
    ck_assert_str_eq(queuetest_run_value(run, "p.percent"), "100");
}
END_TEST

START_TEST(renew_tells_of_cancel_and_suspend)
{
    udm_run_t *run;
    bool wanted = true;

    queuetest_queued("x");
    run = queuetest_claimed("w/1");
    queuetest_set_run(run, "status = 'CANCELLED'");
    dbtest_ok(queuetest_renew(&wanted, pool, dbtest_worker(), run, 1, 1));
    ck_assert(!wanted);
    queuetest_set_run(run, "status = 'SUSPENDED'");
    dbtest_ok(queuetest_renew(&wanted, pool, dbtest_worker(), run, 1, 1));
    ck_assert(!wanted);
    queuetest_set_run(run, "status = 'IN_PROGRESS'");
    queuetest_set_job(run, "suspended = true");
    dbtest_ok(queuetest_renew(&wanted, pool, dbtest_worker(), run, 1, 1));
    ck_assert(!wanted);
    queuetest_set_job(run, "suspended = false");
    queuetest_set_run(run, "status = 'QUEUED'");
    dbtest_fails(queuetest_renew(&wanted, pool, dbtest_worker(), run, 1, 1), UDM_E_LOST, "run");
    queuetest_set_run(run, "status = 'FAILED'");
    dbtest_exec("DELETE FROM udm.run");
    dbtest_fails(queuetest_renew(&wanted, pool, dbtest_worker(), run, 1, 1), UDM_E_LOST, "run");
}
END_TEST

START_TEST(complete_writes_it_all)
{
    udm_run_t *run;

    queuetest_queued("the title");
    run = queuetest_claimed("w/1");
    dbtest_ok(udm_queue_complete(pool, dbtest_worker(), run, queuetest_two_parts(), 99, 7));
    ck_assert_str_eq(
        queuetest_run_value(run, "concat_ws(' ', r.status, j.status, r.file_name, r.file_size,"
                                 " r.row_count, p.percent, p.rows_done, p.lease_until IS NULL,"
                                 " r.finished_at IS NOT NULL)"),
        "COMPLETED COMPLETED export-11111111-2222-4333-8444-555555555555.zip.smime "
        "66234 99 100 99 t t");
    ck_assert_str_eq(
        dbtest_value("SELECT string_agg(concat_ws(' ', part, size, sha256, ccid, source,"
                     " type, job_title, round(extract(epoch FROM expires_at - now())"
                     " / 86400), name LIKE '%.z01.smime'), ', ' ORDER BY part)"
                     " FROM udm.file"),
        "1 65000 " HASH " acme UCS Interaction the title 7 t, "
        "2 1234 " HASH " acme UCS Interaction the title 7 f");
    ck_assert_str_eq(
        dbtest_value(apr_psprintf(pool, "SELECT concat_ws(' ', ccid, object, detail->>'rows')"
                                        " FROM udm.audit WHERE action = 'run.complete'")),
        apr_psprintf(pool, "acme %" APR_INT64_T_FMT " 99", run->id));
    /* The answer was lost and it is sent again: no error, and nothing twice. */
    dbtest_ok(udm_queue_complete(pool, dbtest_worker(), run, queuetest_two_parts(), 99, 7));
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.file"), "2");
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.audit WHERE action = 'run.complete'"),
                     "1");
}
END_TEST

START_TEST(complete_needs_a_file)
{
    udm_run_t *run;

    queuetest_queued("x");
    run = queuetest_claimed("w/1");
    dbtest_fails(udm_queue_complete(pool, dbtest_worker(), run,
                                    apr_array_make(pool, 1, sizeof(udm_part_t)), 1, 30),
                 UDM_E_INTERNAL, "without a file");
    ck_assert_str_eq(queuetest_run_value(run, "r.status"), "IN_PROGRESS");
}
END_TEST

START_TEST(complete_keeps_a_schedule)
{
    udm_run_t *run;

    queuetest_queued("x");
    run = queuetest_claimed("w/1");
    queuetest_set_job(run, "next_run_at = now() + interval '1 hour'");
    queuetest_set_run(run, "moves_watermark = true, window_to = '2026-05-06Z'");
    dbtest_ok(udm_queue_complete(pool, dbtest_worker(), run, queuetest_two_parts(), 1, 30));
    ck_assert_str_eq(
        queuetest_run_value(run, "concat_ws(' ', r.status, j.status, j.watermark = '2026-05-06Z')"),
        "COMPLETED SCHEDULED t");
}
END_TEST

START_TEST(complete_after_cancel_is_lost)
{
    udm_run_t *run;

    queuetest_queued("x");
    run = queuetest_claimed("w/1");
    queuetest_set_run(run, "status = 'CANCELLED', status_reason = 'by hand'");
    dbtest_fails(udm_queue_complete(pool, dbtest_worker(), run, queuetest_two_parts(), 1, 30),
                 UDM_E_LOST, "run");
    ck_assert_str_eq(queuetest_run_value(run, "concat_ws(' ', r.status, r.status_reason)"),
                     "CANCELLED by hand");
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.file"), "0");
}
END_TEST

START_TEST(fail_says_why)
{
    udm_run_t *run;

    queuetest_queued("x");
    run = queuetest_claimed("w/1");
    queuetest_set_run(run, "moves_watermark = true, window_to = '2026-05-06Z'");
    dbtest_ok(udm_queue_fail(pool, dbtest_worker(), run, "it's broken"));
    ck_assert_str_eq(queuetest_run_value(run, "concat_ws('|', r.status, j.status, r.status_reason,"
                                              " r.finished_at IS NOT NULL, p.lease_until IS NULL,"
                                              " j.watermark IS NULL)"),
                     "FAILED|FAILED|it's broken|t|t|t");
    ck_assert_str_eq(dbtest_value("SELECT detail->>'reason' FROM udm.audit"
                                  " WHERE action = 'run.fail'"),
                     "it's broken");
    ck_assert_ptr_null(queuetest_claimed("w/1"));
}
END_TEST

START_TEST(release_gives_back)
{
    udm_run_t *run;

    queuetest_queued("x");
    run = queuetest_claimed("w/1");
    dbtest_ok(udm_queue_release(pool, dbtest_worker(), run, 0, false, NULL));
    ck_assert_str_eq(queuetest_run_value(run,
                                         "concat_ws(' ', r.status, j.status, r.attempt, p.percent,"
                                         " r.worker_id IS NULL, p.lease_until IS NULL)"),
                     "QUEUED QUEUED 0 0 t t");
    run = queuetest_claimed("w/2");
    ck_assert_int_eq(run->attempt, 1);
    ck_assert_ptr_nonnull(run->previous_export_id);
    dbtest_ok(udm_queue_release(pool, dbtest_worker(), run, 3600, true, NULL));
    ck_assert_str_eq(queuetest_run_value(run, "concat_ws(' ', r.status, r.attempt,"
                                              " r.ready_at > now() + interval '59 min')"),
                     "QUEUED 1 t");
    ck_assert_ptr_null(queuetest_claimed("w/2"));
}
END_TEST

START_TEST(release_of_a_suspended_job)
{
    udm_run_t *run;

    queuetest_queued("x");
    run = queuetest_claimed("w/1");
    queuetest_set_job(run, "suspended = true");
    dbtest_ok(udm_queue_release(pool, dbtest_worker(), run, 0, false, NULL));
    ck_assert_str_eq(queuetest_run_value(run, "concat_ws(' ', r.status, j.status)"),
                     "SUSPENDED SUSPENDED");
    ck_assert_ptr_null(queuetest_claimed("w/1"));
}
END_TEST

/* Work wakes the workers; looking for work in vain, or doing it, does not. */
START_TEST(notifications_are_hints_to_work)
{
    udm_pg_t *db = dbtest_worker();
    apr_time_t next;
    udm_run_t *run;
    int made;

    dbtest_ok(udm_installation_listen(pool, db));
    ck_assert(!dbtest_notified(db));
    ck_assert_ptr_null(queuetest_claimed("w/1"));
    dbtest_ok(queuetest_schedule(&made, &next, pool, db));
    ck_assert(!dbtest_notified(db));
    queuetest_queued("x");
    ck_assert(dbtest_notified(db));
    run = queuetest_claimed("w/1");
    ck_assert(!dbtest_notified(db));
    dbtest_ok(udm_queue_release(pool, db, run, 0, true, NULL));
    ck_assert(dbtest_notified(db));
    run = queuetest_claimed("w/1");
    queuetest_set_run(run, "status = 'CANCELLED'");
    ck_assert(dbtest_notified(db));
    queuetest_planned("now() + interval '1 hour'", "false");
    ck_assert(dbtest_notified(db));
}
END_TEST

static bool has_store(void)
{
    const char *id;
    bool has;

    dbtest_ok(udm_installation_read(&id, &has, pool, dbtest_worker()));
    ck_assert_str_eq(id, dbtest_value("SELECT id FROM udm.installation"));
    return has;
}

typedef struct marked_t {
    int times;
    udm_error_t *error;
} marked_t;

static udm_error_t *mark(apr_pool_t *p, const char *id, void *baton)
{
    marked_t *marked = baton;

    ck_assert_str_eq(id, dbtest_value("SELECT id FROM udm.installation"));
    /* Nobody else looks at it at this moment, and it is not noted yet. */
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM (SELECT FROM udm.installation"
                                  " FOR UPDATE SKIP LOCKED) x"),
                     "0");
    ck_assert(!has_store());
    marked->times++;
    return marked->error;
}

START_TEST(store_is_begun_once)
{
    udm_error_t failed = {.kind = UDM_E_STORE, .reason = "no room for a mark"};
    marked_t marked = {0};

    ck_assert(!has_store());
    marked.error = &failed;
    dbtest_fails(udm_installation_begin_store(pool, dbtest_worker(), mark, &marked), UDM_E_STORE,
                 "no room");
    ck_assert(!has_store());
    marked.error = NULL;
    dbtest_ok(udm_installation_begin_store(pool, dbtest_worker(), mark, &marked));
    ck_assert(has_store());
    ck_assert_int_eq(marked.times, 2);
    dbtest_ok(udm_installation_begin_store(pool, dbtest_worker(), mark, &marked));
    ck_assert_int_eq(marked.times, 2);
}
END_TEST

START_TEST(new_store_is_asked_for)
{
    marked_t marked = {0};
    udm_error_t *error;

    dbtest_ok(udm_installation_begin_store(pool, dbtest_worker(), mark, &marked));
    error = udm_pg_exec(pool, dbtest_worker(), "SELECT udm.new_store()");
    ck_assert_ptr_nonnull(error);
    ck_assert_str_eq(error->sqlstate, "42501");
    error = udm_pg_exec(pool, dbtest_httpd(), "SELECT udm.new_store()");
    ck_assert_ptr_nonnull(error);
    ck_assert_str_eq(error->sqlstate, "42501");
    ck_assert(has_store());
    dbtest_exec("SET ROLE udm_owner; SELECT udm.new_store(); RESET ROLE");
    ck_assert(!has_store());
    ck_assert_str_eq(
        dbtest_value("SELECT concat_ws(' ', count(*), bool_and(subject = session_user),"
                     " bool_and(detail->>'since' IS NOT NULL)) FROM udm.audit"
                     " WHERE action = 'store.new'"),
        "1 t t");
    dbtest_ok(udm_installation_begin_store(pool, dbtest_worker(), mark, &marked));
    ck_assert(has_store());
    ck_assert_int_eq(marked.times, 2);
}
END_TEST

START_TEST(database_away)
{
    udm_pg_t *db = dbtest_worker();
    udm_run_t *run;

    queuetest_queued("x");
    dbtest_kill_connections();
    dbtest_fails(queuetest_claim(&run, pool, db, "w/1", 3), UDM_E_DATABASE, "does not answer");
    ck_assert_ptr_null(run);
}
END_TEST

TCase *queue_case(void)
{
    TCase *tc = dbtest_case("queue");

    tcase_add_test(tc, fence_knows_the_export);
    tcase_add_test(tc, exhausted_after_too_many);
    tcase_add_test(tc, renew_prolongs_and_notes);
    tcase_add_test(tc, renew_tells_of_cancel_and_suspend);
    tcase_add_test(tc, complete_writes_it_all);
    tcase_add_test(tc, complete_needs_a_file);
    tcase_add_test(tc, complete_keeps_a_schedule);
    tcase_add_test(tc, complete_after_cancel_is_lost);
    tcase_add_test(tc, fail_says_why);
    tcase_add_test(tc, release_gives_back);
    tcase_add_test(tc, release_of_a_suspended_job);
    tcase_add_test(tc, notifications_are_hints_to_work);
    tcase_add_test(tc, store_is_begun_once);
    tcase_add_test(tc, new_store_is_asked_for);
    tcase_add_test(tc, database_away);
    return tc;
}
