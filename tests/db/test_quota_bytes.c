/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_quota_bytes.c: how much the exports of a contact centre may make in 24 hours.
 */
#include "dbtest.h"

#include <apr_strings.h>

#include "jobtest.h"
#include "queuetest.h"
#include "recurringtest.h"

static udm_error_t *create(apr_int64_t *id, const udm_job_t *job)
{
    udm_job_info_t *info;
    udm_error_t *error =
        udm_job_create(&info, pool, dbtest_httpd(), job, dbtest_audit(dbtest_principal("acme")));

    *id = error ? 0 : info->id;
    return error;
}

static void add_file(const char *ccid, int size, const char *ago)
{
    dbtest_exec(apr_psprintf(
        pool,
        "INSERT INTO udm.file (name, run_id, job_id, ccid, source, type, job_title, part, size,"
        " sha256, created_at, expires_at, removed_at, removal) VALUES ('export-' ||"
        " gen_random_uuid() || '.zip.smime', 1, 1, '%s', 'UCS', 'Interaction', 'x', 1, %d,"
        " repeat('0', 64), now() - interval '%s', now(), now(), 'deleted')",
        ccid, size, ago));
}

START_TEST(bytes_at_most)
{
    const char *words = "the exports of the contact center made as many bytes in 24 hours as its"
                        " quota \"bytes_per_day\" allows (1000): wait as long as Retry-After says";
    udm_job_t *later = dbtest_job();
    udm_job_info_t *info;
    apr_int64_t id, waiting;
    udm_error_t *error;
    udm_run_t *run, *goes_on;
    bool held;

    dbtest_later(later);
    add_file("acme", 5000, "25 hours");
    add_file("acme", 400, "23 hours");
    add_file("acme", 599, "20 hours");
    add_file("other", 5000, "1 hour");
    dbtest_exec("SELECT udm.set_quota('acme', bytes_per_day => 1000)");
    dbtest_ok(create(&id, dbtest_job()));
    goes_on = queuetest_claimed("w/1");
    ck_assert_ptr_nonnull(goes_on);
    dbtest_ok(create(&waiting, dbtest_job()));
    add_file("acme", 1, "0");
    error = create(&id, dbtest_job());
    dbtest_fails(error, UDM_E_QUOTA, words);
    ck_assert_msg(error->retry_after > 3500 && error->retry_after <= 3600, "%d",
                  error->retry_after); /* until the oldest is a day old */
    dbtest_ok(create(&id, later));
    dbtest_ok(create(&id, recurringtest_moving("{'cron': '0 3 * * *'}")));
    /* What waits goes on waiting, and says why; what is under way goes on. */
    ck_assert_ptr_null(queuetest_claimed("w/1"));
    dbtest_exec("UPDATE udm.run SET ready_at = now() - interval '31 seconds'"
                " WHERE status = 'QUEUED'");
    dbtest_ok(udm_job_get(&info, pool, dbtest_httpd(), dbtest_principal("acme"), waiting));
    ck_assert_str_eq(
        info->status_reason,
        apr_psprintf(pool,
                     "the exports of the contact center have made the 1000 bytes that they may in"
                     " 24 hours; it goes on at %s",
                     dbtest_value("SELECT to_char(created_at AT TIME ZONE 'UTC' + interval '1 day',"
                                  " 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM udm.file"
                                  " WHERE size = 400")));
    dbtest_ok(queuetest_renew(&held, pool, dbtest_worker(), goes_on, 1, 1));
    recurringtest_complete(goes_on);
    /* Once it has aged out, by itself. It is the claim that looks again, at the time it has noted. */
    dbtest_exec("UPDATE udm.file SET created_at = created_at - interval '1 day'"
                " WHERE ccid = 'acme'");
    ck_assert_ptr_null(queuetest_claimed("w/1"));
    dbtest_exec("UPDATE udm.turn SET waits_until = now() - interval '1 second'"
                " WHERE waits_until IS NOT NULL");
    dbtest_ok(create(&id, dbtest_job()));
    run = queuetest_claimed("w/1");
    ck_assert_ptr_nonnull(run);
    ck_assert_int_eq(run->job_id, waiting);
}
END_TEST

/* More is allowed: whoever waits waits no longer. Another one never did. */
START_TEST(bytes_and_a_new_limit)
{
    add_file("acme", 1000, "1 hour");
    queuetest_queued("x");
    dbtest_exec("SELECT udm.set_quota('acme', bytes_per_day => 1000);"
                "WITH r AS (INSERT INTO udm.run (job_id, ccid, source, type, title, window_all)"
                " VALUES (-1, 'other', 'UCS', 'Interaction', 'x', true) RETURNING id)"
                " INSERT INTO udm.run_progress (run_id) SELECT id FROM r");
    ck_assert_str_eq(queuetest_claimed("w/1")->ccid, "other");
    ck_assert_ptr_null(queuetest_claimed("w/1"));
    dbtest_exec("SELECT udm.set_quota('acme', bytes_per_day => 1001)");
    ck_assert_str_eq(queuetest_claimed("w/1")->ccid, "acme");
}
END_TEST

static apr_int64_t rows_read(udm_pg_t *db)
{
    dbtest_ok(udm_pg_exec(pool, db, "SELECT pg_stat_force_next_flush()"));
    return apr_atoi64(dbtest_value("SELECT sum(seq_tup_read + idx_tup_fetch) FROM"
                                   " pg_stat_user_tables WHERE relid IN ('udm.file'::regclass,"
                                   " 'udm.run'::regclass, 'udm.job'::regclass)"));
}

/* Whoever is beyond the limit is added up once, and no more of its files than it takes. */
START_TEST(claims_add_up_once)
{
    apr_int64_t before;

    if (PQserverVersion(dbtest_worker()->conn) < 150000) {
        return; /* counts what was read some time later */
    }
    queuetest_queued("x");
    dbtest_exec("INSERT INTO udm.file (name, run_id, job_id, ccid, source, type, job_title, part,"
                " size, sha256, created_at, expires_at) SELECT 'export-' || gen_random_uuid() ||"
                " '.zip.smime', 1, 1, CASE WHEN n % 2 = 0 THEN 'acme' ELSE 'other' END, 'UCS',"
                " 'Interaction', 'x', 1, 10, repeat('0', 64), now() - interval '1 s' * n, now()"
                " FROM generate_series(1, 20000) n;"
                "SELECT udm.set_quota('acme', bytes_per_day => 1000)");
    before = rows_read(dbtest_worker());
    for (int i = 0; i < 10; i++) {
        ck_assert_ptr_null(queuetest_claimed("w/1"));
    }
    ck_assert_int_le(rows_read(dbtest_worker()) - before, 200);
    ck_assert_str_eq(dbtest_value("SELECT waits_until = (SELECT max(created_at) FROM (SELECT"
                                  " created_at, sum(size) OVER (ORDER BY created_at DESC) AS s FROM"
                                  " udm.file WHERE ccid = 'acme') f WHERE s >= 1000)"
                                  " + interval '1 day' FROM udm.turn WHERE ccid = 'acme'"),
                     "t");
}
END_TEST

/* What is over is not read, however much it is, and though the server believes that all of it waits. */
START_TEST(posts_read_no_history)
{
    udm_job_t *daily = recurringtest_moving("{'cron': '0 3 * * *'}");
    apr_int64_t before, id;

    if (PQserverVersion(dbtest_worker()->conn) < 150000) {
        return;
    }
    dbtest_exec("ALTER TABLE udm.run SET (autovacuum_enabled = off);"
                "ALTER TABLE udm.job SET (autovacuum_enabled = off);"
                "INSERT INTO udm.tenant (ccid, name) SELECT 'c' || n, 'c' FROM"
                " generate_series(1, 49) n;"
                "INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type,"
                " schedule, next_run_at) SELECT CASE n % 50 WHEN 0 THEN 'acme' ELSE 'c' || n % 50"
                " END, 'UCS', 'UCS', 'Interaction', 'x', true, 'recurring', '{}',"
                " now() + interval '1 hour' FROM generate_series(1, 10000) n;"
                "INSERT INTO udm.run (job_id, ccid, source, type, title, window_all)"
                " SELECT id, ccid, source, type, title, true FROM udm.job;"
                "ANALYZE udm.job, udm.run");
    dbtest_exec("UPDATE udm.run SET status = 'COMPLETED'; UPDATE udm.job SET next_run_at = NULL;"
                "SELECT udm.set_quota('acme', queued => 500, recurring => 500,"
                " bytes_per_day => 5000)");
    before = rows_read(dbtest_httpd());
    for (int i = 0; i < 10; i++) {
        dbtest_ok(create(&id, dbtest_job()));
        dbtest_ok(create(&id, daily));
    }
    ck_assert_int_le(rows_read(dbtest_httpd()) - before, 2000);
}
END_TEST

TCase *quota_bytes_case(void)
{
    TCase *tc = dbtest_case("quota_bytes");

    tcase_add_test(tc, bytes_at_most);
    tcase_add_test(tc, bytes_and_a_new_limit);
    tcase_add_test(tc, claims_add_up_once);
    tcase_add_test(tc, posts_read_no_history);
    return tc;
}
