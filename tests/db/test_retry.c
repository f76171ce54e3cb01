/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_retry.c: a job is created once for each Idempotency-Key, however often it is sent.
 */
#include "dbtest.h"

#include <pthread.h>
#include <string.h>

#include <apr_strings.h>

#include "core/json.h"
#include "db/job.h"
#include "db/queue.h"
#include "db/installation.h"

#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const char *last_etag; /* of what was answered last */

/* The error, and what was answered. */
static udm_error_t *post_as(const char **answer, apr_int64_t *id, const udm_principal_t *who,
                            const char *key, const char *hash, udm_version version)
{
    udm_retry_t retry = {key, hash, version};
    udm_error_t *error = udm_job_create_once(answer, &last_etag, id, pool, dbtest_httpd(),
                                             dbtest_job(), &retry, dbtest_audit(who));

    ck_assert_int_eq(PQtransactionStatus(dbtest_httpd()->conn), PQTRANS_IDLE);
    ck_assert(!error == (*answer != NULL));
    ck_assert(!error == (last_etag != NULL));
    ck_assert(!error == (*id > 0));
    return error;
}

static udm_error_t *post(const char **answer, apr_int64_t *id, const char *key, const char *hash)
{
    return post_as(answer, id, dbtest_principal("acme"), key, hash, UDM_V10);
}

/* How many jobs, runs, lines of the audit, and records there are. */
static const char *counts(void)
{
    return dbtest_value("SELECT concat_ws(' ', (SELECT count(*) FROM udm.job),"
                        " (SELECT count(*) FROM udm.run), (SELECT count(*) FROM udm.audit"
                        " WHERE action = 'job.create'), (SELECT count(*) FROM udm.idempotency))");
}

START_TEST(same_answer_again)
{
    const char *first, *again;
    apr_int64_t id, same;
    udm_job_info_t *shown;
    json_t *json;

    dbtest_ok(post(&first, &id, "key-1", HASH_A));
    ck_assert_str_eq(counts(), "1 1 1 1");
    dbtest_ok(udm_job_get(&shown, pool, dbtest_httpd(), dbtest_principal("acme"), id));
    ck_assert_str_eq(last_etag, shown->etag);
    json = udm_json_own(pool, json_loads(first, 0, NULL));
    ck_assert_int_eq(json_integer_value(json_object_get(json, "id")), id);
    ck_assert_str_eq(json_string_value(json_object_get(json, "status")), "QUEUED");
    /* The answer is that of then, whatever has become of the job. */
    dbtest_exec("UPDATE udm.job SET status = 'COMPLETED'; DELETE FROM udm.run");
    dbtest_ok(post(&again, &same, "key-1", HASH_A));
    ck_assert_str_eq(again, first);
    ck_assert_str_eq(last_etag, shown->etag);
    ck_assert_int_eq(same, id);
    ck_assert_str_eq(counts(), "1 0 1 1");
    dbtest_exec("DELETE FROM udm.job");
    dbtest_ok(post(&again, &same, "key-1", HASH_A));
    ck_assert_str_eq(again, first);
    ck_assert_str_eq(counts(), "0 0 1 1");
}
END_TEST

START_TEST(tells_the_worker)
{
    const char *answer;
    apr_int64_t id;

    dbtest_ok(udm_installation_listen(pool, dbtest_worker()));
    dbtest_ok(post(&answer, &id, "key-1", HASH_A));
    ck_assert(dbtest_notified(dbtest_worker()));
}
END_TEST

START_TEST(another_body)
{
    const char *answer;
    apr_int64_t id;

    dbtest_ok(post(&answer, &id, "key-1", HASH_A));
    dbtest_fails(post(&answer, &id, "key-1", HASH_B), UDM_E_UNPROCESSABLE, "another body");
    ck_assert_str_eq(counts(), "1 1 1 1");
    /* Another key, case included, is another request, and so is another version or tenant. */
    dbtest_ok(post(&answer, &id, "Key-1", HASH_B));
    dbtest_ok(post_as(&answer, &id, dbtest_principal("acme"), "key-1", HASH_B, UDM_V4));
    ck_assert_str_eq(counts(), "3 3 3 3");
    ck_assert_ptr_null(strstr(answer, "exportAttachments"));
    dbtest_exec("INSERT INTO udm.certificate SELECT 'other', name, pem, size, fingerprint,"
                " not_before, not_after FROM udm.certificate");
    dbtest_ok(post_as(&answer, &id, dbtest_principal("other"), "key-1", HASH_B, UDM_V10));
    ck_assert_str_eq(counts(), "4 4 4 4");
}
END_TEST

START_TEST(for_a_day)
{
    const char *first, *second;
    apr_int64_t id, later;

    dbtest_ok(post(&first, &id, "key-1", HASH_A));
    dbtest_exec("UPDATE udm.idempotency SET created_at = now() - interval '23 hours 59 minutes'");
    dbtest_ok(post(&second, &later, "key-1", HASH_A));
    ck_assert_int_eq(later, id);
    dbtest_exec("UPDATE udm.idempotency SET created_at = now() - interval '24 hours'");
    dbtest_ok(post(&second, &later, "key-1", HASH_B));
    ck_assert_int_gt(later, id);
    ck_assert_str_eq(counts(), "2 2 2 1");
    dbtest_fails(post(&first, &id, "key-1", HASH_A), UDM_E_UNPROCESSABLE, "another body");
    dbtest_ok(post(&first, &id, "key-1", HASH_B));
    ck_assert_int_eq(id, later);
    ck_assert_str_eq(first, second);
}
END_TEST

/* The answer tells of data, so it is only for those who might have asked for it. */
START_TEST(only_for_those_who_may)
{
    const char *answer;
    apr_int64_t id;

    dbtest_ok(post(&answer, &id, "key-1", HASH_A));
    dbtest_fails(post_as(&answer, &id, dbtest_principal_of("acme", "UCS", "Contact", true, true),
                         "key-1", HASH_A, UDM_V10),
                 UDM_E_FORBIDDEN, "role");
    dbtest_fails(post_as(&answer, &id,
                         dbtest_principal_of("acme", "UCS", "Interaction", true, false), "key-1",
                         HASH_A, UDM_V10),
                 UDM_E_FORBIDDEN, "role");
    ck_assert_str_eq(counts(), "1 1 1 1");
}
END_TEST

/* What failed is not kept, and neither is half of it. */
START_TEST(errors_are_not_kept)
{
    udm_retry_t retry = {"key-1", HASH_A, UDM_V10};
    udm_job_t *job = dbtest_job();
    const char *answer, *etag;
    apr_int64_t id;

    job->type = "Nothing";
    dbtest_fault(udm_job_create_once(&answer, &etag, &id, pool, dbtest_httpd(), job, &retry,
                                     dbtest_audit(dbtest_principal("acme"))),
                 "/jobParams/type", "Nothing");
    ck_assert_str_eq(counts(), "0 0 0 0");
    ck_assert_int_eq(PQtransactionStatus(dbtest_httpd()->conn), PQTRANS_IDLE);

    retry.body_sha256 = "no hash"; /* which the record refuses, after the job was written */
    dbtest_fails(udm_job_create_once(&answer, &etag, &id, pool, dbtest_httpd(), dbtest_job(),
                                     &retry, dbtest_audit(dbtest_principal("acme"))),
                 UDM_E_INTERNAL, "not expected");
    ck_assert_ptr_null(answer);
    ck_assert_int_eq(id, 0);
    ck_assert_str_eq(counts(), "0 0 0 0");
    ck_assert_int_eq(PQtransactionStatus(dbtest_httpd()->conn), PQTRANS_IDLE);
    dbtest_ok(post(&answer, &id, "key-1", HASH_B));
    ck_assert_str_eq(counts(), "1 1 1 1");
}
END_TEST

/* A request of a thread, over a connection of its own. */
typedef struct other_t {
    apr_pool_t *pool;
    udm_pg_t *db;
    const udm_job_t *job;
    const udm_audit_t *audit;
    const char *answer;
    const char *etag;
    apr_int64_t id;
    udm_error_t *error;
} other_t;

static void *post_other(void *data)
{
    udm_retry_t retry = {"key-1", HASH_A, UDM_V10};
    other_t *other = data;

    other->error = udm_job_create_once(&other->answer, &other->etag, &other->id, other->pool,
                                       other->db, other->job, &retry, other->audit);
    return NULL;
}

/* While the first request has not ended nobody waits for it; afterwards all get its answer. */
START_TEST(still_running)
{
    other_t other = {0};
    const char *answer;
    apr_int64_t id;
    pthread_t thread;

    ck_assert_int_eq(apr_pool_create(&other.pool, pool), APR_SUCCESS);
    dbtest_ok(udm_pg_connect(&other.db, other.pool, dbtest_conninfo("udm_httpd"), "udm-test",
                             UDM_E_DATABASE, NULL));
    other.job = dbtest_job();
    other.audit = dbtest_audit(dbtest_principal("acme"));
    /* Stops the first one at the insert of its job, in its transaction. */
    dbtest_exec("BEGIN; LOCK TABLE udm.job IN EXCLUSIVE MODE");
    ck_assert_int_eq(pthread_create(&thread, NULL, post_other, &other), 0);
    while (!dbtest_value("SELECT 1 FROM pg_locks WHERE NOT granted")) {
    }
    dbtest_fails(post(&answer, &id, "key-1", HASH_A), UDM_E_CONFLICT, "still running");
    dbtest_exec("ROLLBACK");
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    dbtest_ok(other.error);
    dbtest_ok(post(&answer, &id, "key-1", HASH_A));
    ck_assert_int_eq(id, other.id);
    ck_assert_str_eq(answer, other.answer);
    ck_assert_str_eq(counts(), "1 1 1 1");
}
END_TEST

/* Anybody who may connect may lock any number: it means nothing here. */
START_TEST(nobody_else_has_the_key)
{
    const char *answer;
    apr_int64_t id;

    dbtest_exec(
        "SELECT pg_advisory_lock(hashtextextended(json_build_array('udm.idempotency', 'acme',"
        " 'v10', 'key-1')::text, 0))");
    dbtest_ok(post(&answer, &id, "key-1", HASH_A));
    ck_assert_str_eq(counts(), "1 1 1 1");
}
END_TEST

TCase *retry_case(void)
{
    TCase *tc = dbtest_case("retry");

    tcase_add_test(tc, same_answer_again);
    tcase_add_test(tc, tells_the_worker);
    tcase_add_test(tc, another_body);
    tcase_add_test(tc, for_a_day);
    tcase_add_test(tc, only_for_those_who_may);
    tcase_add_test(tc, errors_are_not_kept);
    tcase_add_test(tc, still_running);
    tcase_add_test(tc, nobody_else_has_the_key);
    return tc;
}
