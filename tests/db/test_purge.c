/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_purge.c: which files a worker is to take out of the store, and what it forgets, as the role
 * udm_worker.
 */
#include "dbtest.h"

#include <apr_strings.h>

#include "db/queue.h"
#include "db/retention.h"
#include "db/installation.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Files named by `part`; `when` (SQL) is when they expire. */
static void files(int first, int last, const char *when)
{
    dbtest_exec(apr_psprintf(
        pool,
        "INSERT INTO udm.file (name, run_id, job_id, ccid, source, type, job_title, part, size,"
        " sha256, expires_at) SELECT format('export-11111111-2222-4333-8444-%%s.zip.smime',"
        " lpad(n::text, 12, '0')), 1, 1, 'acme', 'UCS', 'Interaction', 'x', n, 1, '" HASH "', %s"
        " FROM generate_series(%d, %d) n",
        when, first, last));
}

/* How many files a purge gives. */
static int to_purge(int limit)
{
    apr_array_header_t *found;

    dbtest_ok(udm_retention_due_files(&found, pool, dbtest_worker(), limit));
    return found->nelts;
}

static const char *file_value(int part, const char *expression)
{
    return dbtest_value(
        apr_psprintf(pool, "SELECT %s FROM udm.file WHERE part = %d", expression, part));
}

START_TEST(purge_gives_what_is_removed)
{
    apr_array_header_t *found, *ids = apr_array_make(pool, 2, sizeof(apr_int64_t));
    const udm_due_file_t *file;

    files(1, 3, "now() + interval '1 hour'");
    ck_assert_int_eq(to_purge(10), 0);
    dbtest_exec("UPDATE udm.file SET removed_at = now(), removal = 'deleted' WHERE part <= 2");
    ck_assert_int_eq(to_purge(10), 2);
    ck_assert_int_eq(to_purge(1), 1);
    dbtest_exec("UPDATE udm.file SET purged_at = now() WHERE part = 2");
    dbtest_ok(udm_retention_due_files(&found, pool, dbtest_worker(), 10));
    ck_assert_int_eq(found->nelts, 1);
    file = &APR_ARRAY_IDX(found, 0, udm_due_file_t);
    ck_assert_str_eq(file->name, file_value(1, "name"));
    ck_assert_str_eq(udm_pg_int(pool, file->id), file_value(1, "id"));
    APR_ARRAY_PUSH(ids, apr_int64_t) = file->id;
    /* One that was not removed is not marked, whoever says so. */
    APR_ARRAY_PUSH(ids, apr_int64_t) = apr_atoi64(file_value(3, "id"));
    dbtest_ok(udm_retention_files_gone(pool, dbtest_worker(), ids));
    ck_assert_str_eq(file_value(1, "purged_at IS NOT NULL"), "t");
    ck_assert_str_eq(file_value(3, "purged_at IS NULL"), "t");
    ck_assert_int_eq(to_purge(10), 0);
    dbtest_ok(udm_retention_files_gone(pool, dbtest_worker(),
                                       apr_array_make(pool, 1, sizeof(apr_int64_t))));
    /* Nothing was to expire, so nothing is audited; the deletion was somebody else's. */
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.audit WHERE action LIKE 'file.%'"),
                     "0");
}
END_TEST

START_TEST(purge_lets_files_expire)
{
    files(1, 1, "now() - interval '1 second'");
    files(2, 2, "now() + interval '1 hour'");
    files(3, 3, "now() - interval '1 day'");
    dbtest_exec("UPDATE udm.file SET removed_at = now(), removal = 'deleted' WHERE part = 3");
    ck_assert_int_eq(to_purge(10), 2);
    ck_assert_str_eq(file_value(1, "concat_ws(' ', removal, removed_at IS NOT NULL, purged_at IS"
                                   " NULL)"),
                     "expired t t");
    ck_assert_str_eq(file_value(2, "removal IS NULL"), "t");
    ck_assert_str_eq(file_value(3, "removal"), "deleted");
    ck_assert_str_eq(dbtest_value("SELECT string_agg(concat_ws(' ', action, ccid, object), ',')"
                                  " FROM udm.audit WHERE action LIKE 'file.%'"),
                     apr_pstrcat(pool, "file.expire acme ", file_value(1, "name"), NULL));
    /* It expires once, and comes until it is gone. */
    ck_assert_int_eq(to_purge(10), 2);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.audit WHERE action = 'file.expire'"),
                     "1");
}
END_TEST

START_TEST(purge_is_bounded)
{
    files(1, 250, "now()");
    ck_assert_int_eq(to_purge(30), 30);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.file WHERE removed_at IS NOT NULL"),
                     "100");
    ck_assert_int_eq(to_purge(1000), 200);
    ck_assert_int_eq(to_purge(1000), 250);
    ck_assert_int_eq(to_purge(1000), 250);
}
END_TEST

/* A file whose row somebody holds is passed over, not waited for. */
START_TEST(purge_skips_what_is_locked)
{
    files(1, 2, "now()");
    dbtest_exec("BEGIN; SELECT FROM udm.file WHERE part = 1 FOR UPDATE");
    ck_assert_int_eq(to_purge(10), 1);
    dbtest_exec("ROLLBACK");
    ck_assert_int_eq(to_purge(10), 2);
}
END_TEST

/* What is to leave the store wakes the workers; that it has left does not. */
START_TEST(removal_is_notified)
{
    apr_array_header_t *found, *ids = apr_array_make(pool, 2, sizeof(apr_int64_t));
    udm_pg_t *db = dbtest_worker();

    files(1, 1, "now() + interval '1 hour'");
    dbtest_ok(udm_installation_listen(pool, db));
    ck_assert_int_eq(to_purge(10), 0);
    ck_assert(!dbtest_notified(db));
    dbtest_exec("UPDATE udm.file SET removed_at = now(), removal = 'deleted'");
    ck_assert(dbtest_notified(db));
    dbtest_ok(udm_retention_due_files(&found, pool, db, 10));
    APR_ARRAY_PUSH(ids, apr_int64_t) = APR_ARRAY_IDX(found, 0, udm_due_file_t).id;
    dbtest_ok(udm_retention_files_gone(pool, db, ids));
    ck_assert(!dbtest_notified(db));
}
END_TEST

START_TEST(retries_are_forgotten_after_a_day)
{
    dbtest_exec(
        "INSERT INTO udm.idempotency (ccid, version, key, body_sha256, job_id, source, type,"
        " answer, created_at) SELECT 'acme', 'v10', n, '" HASH "', 1, 'UCS', 'Contact', '{}',"
        " now() - interval '23 hours 59 minutes' - n % 2 * interval '2 minutes'"
        " FROM generate_series(1, 20010) n");
    dbtest_ok(udm_retention_forget_retries(pool, dbtest_worker()));
    ck_assert_str_eq(dbtest_value("SELECT concat_ws(' ', count(*), bool_and(key::int % 2 = 0))"
                                  " FROM udm.idempotency"),
                     "10005 t");
    dbtest_exec("UPDATE udm.idempotency SET created_at = now() - interval '2 days'");
    dbtest_ok(udm_retention_forget_retries(pool, dbtest_worker()));
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.idempotency"), "0");
}
END_TEST

#define EXPORT "export-22222222-2222-4333-8444-00000000000"

/* A run whose latest attempt has the id that ends in `digit`. */
static void run_of(int digit, const char *status)
{
    dbtest_exec(apr_psprintf(
        pool,
        "INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, status, export_id)"
        " VALUES (%d, 'acme', 'UCS', 'Interaction', 'x', true, '%s',"
        " '22222222-2222-4333-8444-00000000000%d')",
        digit, status, digit));
}

/* How the names that are asked about are judged: o(rphan), d(ead), or - for what stays. */
static const char *judged(const char *const *names, int count)
{
    apr_array_header_t *asked = apr_array_make(pool, count, sizeof(const char *));
    apr_array_header_t *orphans;
    char *result = apr_pcalloc(pool, (apr_size_t)count + 1);

    for (int i = 0; i < count; i++) {
        APR_ARRAY_PUSH(asked, const char *) = names[i];
        result[i] = '-';
    }
    dbtest_ok(udm_retention_orphans(&orphans, pool, dbtest_worker(), asked));
    for (int i = 0; i < orphans->nelts; i++) {
        const udm_orphan_t *orphan = &APR_ARRAY_IDX(orphans, i, udm_orphan_t);

        ck_assert_int_lt(orphan->index, count);
        result[orphan->index] = orphan->dead ? 'd' : 'o';
    }
    return result;
}

START_TEST(orphans_belong_to_nothing)
{
    static const char *const names[] = {
        /* of a run in progress */
        EXPORT "1.1.part",
        EXPORT "1.z01.smime",
        /* of runs that are not */
        EXPORT "2.zip.smime",
        EXPORT "3.zip.smime",
        EXPORT "4.zip.smime",
        EXPORT "5.1.part",
        EXPORT "6.zip.smime",
        /* of nothing that is known */
        EXPORT "7.1.part",
        EXPORT "7.zip.smime",
        /* listed; removed, but still to be taken out; taken out */
        "export-11111111-2222-4333-8444-000000000001.zip.smime",
        "export-11111111-2222-4333-8444-000000000002.zip.smime",
        "export-11111111-2222-4333-8444-000000000003.zip.smime",
        "export-11111111-2222-4333-8444-000000000001.1.part",
    };

    run_of(1, "IN_PROGRESS");
    run_of(2, "COMPLETED");
    run_of(3, "FAILED");
    run_of(4, "CANCELLED");
    run_of(5, "QUEUED");
    run_of(6, "SUSPENDED");
    files(1, 3, "now() + interval '1 hour'");
    dbtest_exec("UPDATE udm.file SET removed_at = now(), removal = 'deleted' WHERE part >= 2");
    dbtest_exec("UPDATE udm.file SET purged_at = now() WHERE part = 3");
    ck_assert_str_eq(judged(names, 13), "--ddddddo--dd");
    ck_assert_str_eq(judged(names, 0), "");
    ck_assert_str_eq(judged(names + 8, 1), "o");
}
END_TEST

TCase *purge_case(void)
{
    TCase *tc = dbtest_case("purge");

    tcase_add_test(tc, purge_gives_what_is_removed);
    tcase_add_test(tc, purge_lets_files_expire);
    tcase_add_test(tc, purge_is_bounded);
    tcase_add_test(tc, purge_skips_what_is_locked);
    tcase_add_test(tc, removal_is_notified);
    tcase_add_test(tc, orphans_belong_to_nothing);
    tcase_add_test(tc, retries_are_forgotten_after_a_day);
    return tc;
}
