/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_queue_claim.c: which run a worker gets, and what it is told of it.
 */
#include "dbtest.h"

#include <pthread.h>
#include <string.h>

#include <apr_strings.h>

#include "queuetest.h"
#include "core/calendar.h"

START_TEST(claim_gives_everything)
{
    const char *id = queuetest_queued("first");
    udm_run_t *run = queuetest_claimed("w/1");

    ck_assert_ptr_nonnull(run);
    ck_assert_str_eq(udm_pg_int(pool, run->id), id);
    ck_assert_str_eq(udm_pg_int(pool, run->job_id), queuetest_run_value(run, "r.job_id"));
    ck_assert_str_eq(run->ccid, "acme");
    ck_assert_str_eq(run->source, "UCS");
    ck_assert_str_eq(run->type, "Interaction");
    ck_assert_str_eq(run->title, "first");
    ck_assert(!run->window_all);
    ck_assert_int_eq(run->window_from, APR_INT64_C(1767323045678901));
    ck_assert_int_eq(run->window_to, UDM_NO_TIME);
    ck_assert_int_eq(run->media->nelts, 2);
    ck_assert_str_eq(APR_ARRAY_IDX(run->media, 0, const char *), "Email");
    ck_assert_str_eq(APR_ARRAY_IDX(run->media, 1, const char *), "a \"b");
    ck_assert(run->export_attachments);
    ck_assert_str_eq(run->filters, "[]");
    ck_assert_int_eq(run->file_split_bytes, 65536);
    ck_assert_int_eq(run->attempt, 1);
    ck_assert_str_eq(run->worker_id, "w/1");
    ck_assert_int_eq(strlen(run->export_id), 36);
    ck_assert_ptr_null(run->previous_export_id);
    ck_assert(!run->exhausted);
    ck_assert_str_eq(run->certificate_pem, dbtest_certificate_pem);
    ck_assert_int_eq(run->encryption, UDM_ENCRYPTION_SMIME);
    ck_assert_str_eq(queuetest_run_value(run, "concat_ws(' ', r.status, j.status, r.worker_id,"
                                              " r.export_id::text, j.latest_run_id = r.id,"
                                              " r.started_at IS NOT NULL,"
                                              " p.lease_until BETWEEN now() + interval '5 s'"
                                              " AND now() + interval '10 s')"),
                     apr_psprintf(pool, "IN_PROGRESS IN_PROGRESS w/1 %s t t t", run->export_id));
    ck_assert_ptr_null(queuetest_claimed("w/2"));
}
END_TEST

START_TEST(claim_gives_the_filters)
{
    queuetest_queued("first");
    dbtest_exec("UPDATE udm.run SET filters = '[{\"attribute\": \"a\\\"b\", \"operator\": \"eq\","
                " \"value\": 9007199254740993}]'");
    ck_assert_str_eq(queuetest_claimed("w/1")->filters,
                     dbtest_value("SELECT filters::text FROM udm.run"));
}
END_TEST

START_TEST(claim_takes_the_oldest_that_is_ready)
{
    const char *second, *first;
    udm_run_t *run;

    dbtest_exec(apr_psprintf(pool,
                             "UPDATE udm.run SET ready_at = now() + interval '1 hour'"
                             " WHERE id = %s",
                             queuetest_queued("not ready")));
    second = queuetest_queued("second");
    first = queuetest_queued("first");
    dbtest_exec(apr_psprintf(pool,
                             "UPDATE udm.run SET ready_at = now() - interval '1 hour'"
                             " WHERE id = %s",
                             first));
    run = queuetest_claimed("w/1");
    ck_assert_str_eq(udm_pg_int(pool, run->id), first);
    run = queuetest_claimed("w/1");
    ck_assert_str_eq(udm_pg_int(pool, run->id), second);
    ck_assert_ptr_null(queuetest_claimed("w/1"));
}
END_TEST

#define RACERS     4
#define RACED_RUNS 40

typedef struct racer_t {
    pthread_t thread;
    apr_pool_t *pool;
    udm_pg_t *db;
    const char *worker_id;
    int claims;
    udm_error_t *error;
} racer_t;

static void *race_main(void *data)
{
    racer_t *racer = data;
    udm_run_t *run;
    bool held;

    do {
        racer->error =
            udm_queue_claim(&run, &held, racer->pool, racer->db, racer->worker_id, 3, false);
        racer->claims += !racer->error && run;
    } while (!racer->error && (run || held));
    return NULL;
}

/* Workers that claim at the same moment never get the same run. */
START_TEST(claim_races)
{
    racer_t racers[RACERS] = {0};
    int claims = 0;
    int i;

    for (i = 0; i < RACED_RUNS; i++) {
        queuetest_queued("x");
    }
    for (i = 0; i < RACERS; i++) {
        racers[i].worker_id = apr_psprintf(pool, "w/%d", i);
        ck_assert_int_eq(apr_pool_create(&racers[i].pool, NULL), APR_SUCCESS);
        dbtest_ok(udm_pg_connect(&racers[i].db, racers[i].pool, dbtest_conninfo("udm_worker"),
                                 "udm-test", UDM_E_DATABASE, NULL));
    }
    for (i = 0; i < RACERS; i++) {
        ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, race_main, &racers[i]), 0);
    }
    for (i = 0; i < RACERS; i++) {
        pthread_join(racers[i].thread, NULL);
        dbtest_ok(racers[i].error);
        claims += racers[i].claims;
        apr_pool_destroy(racers[i].pool);
    }
    ck_assert_int_eq(claims, RACED_RUNS);
    ck_assert_str_eq(dbtest_value("SELECT concat_ws(' ', count(*), max(attempt)) FROM udm.run"
                                  " WHERE status = 'IN_PROGRESS'"),
                     apr_psprintf(pool, "%d 1", RACED_RUNS));
}
END_TEST

/* The contact centre's word is above the job's, also for what waits already. */
START_TEST(claim_gives_the_encryption)
{
    static const struct {
        const char *tenant;
        const char *job;
        udm_encryption result;
    } cases[] = {
        {"NULL", "'smime'", UDM_ENCRYPTION_SMIME},
        {"NULL", "'cms-gcm'", UDM_ENCRYPTION_CMS_GCM},
        {"'smime'", "'cms-gcm'", UDM_ENCRYPTION_SMIME},
        {"'cms-gcm'", "'smime'", UDM_ENCRYPTION_CMS_GCM},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        udm_run_t *run;

        queuetest_queued("x");
        dbtest_exec(apr_psprintf(pool,
                                 "UPDATE udm.job SET encryption = %s;"
                                 "SELECT udm.set_encryption('acme', %s);"
                                 "SELECT udm.set_encryption('other', 'smime')",
                                 cases[i].job, cases[i].tenant));
        run = queuetest_claimed("w/1");
        ck_assert_ptr_nonnull(run);
        ck_assert_int_eq(run->encryption, cases[i].result);
    }
}
END_TEST

START_TEST(claim_without_certificate)
{
    udm_run_t *run;

    queuetest_queued("x");
    dbtest_exec("DELETE FROM udm.certificate");
    run = queuetest_claimed("w/1");
    ck_assert_ptr_nonnull(run);
    ck_assert_ptr_null(run->certificate_pem);
}
END_TEST

/* A row that another transaction has locked is passed over, not waited for. */
START_TEST(claim_skips_what_is_locked)
{
    const char *id = queuetest_queued("locked");
    const char *other = queuetest_queued("free");
    udm_run_t *run;

    dbtest_exec("BEGIN");
    dbtest_exec(apr_psprintf(pool, "SELECT 1 FROM udm.run WHERE id = %s FOR UPDATE", id));
    run = queuetest_claimed("w/1");
    ck_assert_str_eq(udm_pg_int(pool, run->id), other);
    ck_assert_ptr_null(queuetest_claimed("w/1"));
    dbtest_exec("ROLLBACK");
    ck_assert_str_eq(udm_pg_int(pool, queuetest_claimed("w/1")->id), id);
}
END_TEST

START_TEST(claim_after_the_lease)
{
    udm_run_t *run, *again;
    bool wanted;

    queuetest_queued("x");
    run = queuetest_claimed("w/1");
    ck_assert_ptr_null(queuetest_claimed("w/2"));
    queuetest_expire_lease(run);
    again = queuetest_claimed("w/2");
    ck_assert_ptr_nonnull(again);
    ck_assert_int_eq(again->id, run->id);
    ck_assert_int_eq(again->attempt, 2);
    ck_assert_str_eq(again->previous_export_id, run->export_id);
    ck_assert_str_ne(again->export_id, run->export_id);
    /* Whoever lost it changes nothing any more. */
    dbtest_fails(queuetest_renew(&wanted, pool, dbtest_worker(), run, 1, 1), UDM_E_LOST, "run");
    dbtest_fails(udm_queue_complete(pool, dbtest_worker(), run, queuetest_two_parts(), 1, 30),
                 UDM_E_LOST, "run");
    dbtest_fails(udm_queue_fail(pool, dbtest_worker(), run, "x"), UDM_E_LOST, "run");
    dbtest_fails(udm_queue_release(pool, dbtest_worker(), run, 0, true, NULL), UDM_E_LOST, "run");
    ck_assert_str_eq(queuetest_run_value(run, "concat_ws(' ', r.status, r.worker_id, r.attempt)"),
                     "IN_PROGRESS w/2 2");
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.file"), "0");
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.audit WHERE action LIKE 'run.%'"), "0");
}
END_TEST

TCase *queue_claim_case(void)
{
    TCase *tc = dbtest_case("queue_claim");

    tcase_add_test(tc, claim_gives_everything);
    tcase_add_test(tc, claim_gives_the_filters);
    tcase_add_test(tc, claim_takes_the_oldest_that_is_ready);
    tcase_add_test(tc, claim_races);
    tcase_add_test(tc, claim_gives_the_encryption);
    tcase_add_test(tc, claim_without_certificate);
    tcase_add_test(tc, claim_skips_what_is_locked);
    tcase_add_test(tc, claim_after_the_lease);
    return tc;
}
