/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_job_many.c: jobs that are created together.
 */
#include "dbtest.h"
#include "jobtest.h"

#include <apr_strings.h>

#include "db/job.h"
#include "db/job_check.h"

/* Stored together, each is what it would be alone; one that cannot be stored spoils no other. */
START_TEST(many_are_stored_at_once)
{
    udm_principal_t *who = dbtest_principal("acme"), *nobody = dbtest_principal("acme");
    udm_job_new_t new[4], *all[4];
    udm_job_cipher_t cipher;
    udm_job_t *job;
    int i;

    nobody->ccid = "no such tenant";
    for (i = 0; i < 4; i++) {
        job = dbtest_job();
        job->title = apr_psprintf(pool, "job %d {\"a\", NULL}", i);
        job->description = i == 1 ? "say \\ \"so\"" : NULL;
        if (i == 2) {
            dbtest_later(job);
        }
        dbtest_ok(udm_job_check(&job, &cipher, pool, dbtest_httpd(), job, who));
        new[i] = (udm_job_new_t){.pool = pool, .job = job, .audit = dbtest_audit(who)};
        all[i] = &new[i];
    }
    dbtest_ok(udm_job_insert(pool, dbtest_httpd(), all, 3));
    for (i = 0; i < 3; i++) {
        dbtest_ok(new[i].error);
        ck_assert_str_eq(new[i].info->status, i == 2 ? "SCHEDULED" : "QUEUED");
        ck_assert_str_eq(new[i].info->title, new[i].job->title);
    }
    ck_assert_str_eq(
        dbtest_value("SELECT string_agg(concat_ws(' ', title, description, status, (SELECT count(*)"
                     " FROM udm.run r JOIN udm.run_progress p ON p.run_id = r.id WHERE r.id ="
                     " j.latest_run_id AND r.title = j.title), (SELECT count(*) FROM udm.audit"
                     " WHERE object = j.id::text AND action = 'job.create')), '; ' ORDER BY id)"
                     " FROM udm.job j"),
        "job 0 {\"a\", NULL} QUEUED 1 1; job 1 {\"a\", NULL} say \\ \"so\" QUEUED 1 1; "
        "job 2 {\"a\", NULL} SCHEDULED 0 1");
    for (i = 0; i < 3; i++) {
        ck_assert_str_eq(
            dbtest_value(apr_psprintf(
                pool, "SELECT title FROM udm.job WHERE id = %" APR_INT64_T_FMT, new[i].info->id)),
            new[i].job->title);
    }
    job = apr_pmemdup(pool, new[1].job, sizeof(*job));
    job->schedule_json = "{"; /* which PostgreSQL refuses */
    new[1].job = job;
    dbtest_ok(udm_job_insert(pool, dbtest_httpd(), all, 4));
    dbtest_fails(new[1].error, UDM_E_INTERNAL, "not expected");
    ck_assert_ptr_null(new[1].info);
    for (i = 0; i < 4; i++) {
        ck_assert(i == 1 || (new[i].error == NULL &&new[i].info != NULL));
    }
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.job"), "6");
    /* What is not there any more is to be checked again. */
    new[1].job = new[0].job;
    new[1].audit = dbtest_audit(nobody);
    job = apr_pmemdup(pool, new[2].job, sizeof(*job));
    job->type = "Renamed";
    new[2].job = job;
    dbtest_ok(udm_job_insert(pool, dbtest_httpd(), all, 4));
    for (i = 0; i < 4; i++) {
        ck_assert_ptr_null(new[i].error);
        ck_assert_int_eq(new[i].info != NULL, i == 0 || i == 3);
    }
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.job"), "8");
}
END_TEST

/* A lock of their contact centre is waited for once, however many they are. */
START_TEST(many_wait_once)
{
    udm_principal_t *who = dbtest_principal("acme");
    udm_job_new_t new[8], *all[8];
    udm_job_cipher_t cipher;
    udm_job_t *job;
    int i;

    dbtest_ok(udm_job_check(&job, &cipher, pool, dbtest_httpd(), dbtest_job(), who));
    for (i = 0; i < 8; i++) {
        new[i] = (udm_job_new_t){.pool = pool, .job = job, .audit = dbtest_audit(who)};
        all[i] = &new[i];
    }
    dbtest_ok(udm_pg_exec(pool, dbtest_httpd(), "SET lock_timeout = '100ms'"));
    dbtest_exec("BEGIN");
    dbtest_exec("SELECT FROM udm.tenant WHERE ccid = 'acme' FOR UPDATE");
    dbtest_fails(udm_job_insert(pool, dbtest_httpd(), all, 8), UDM_E_DATABASE, "took too long");
    dbtest_exec("ROLLBACK");
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.job"), "0");
    dbtest_ok(udm_job_insert(pool, dbtest_httpd(), all, 8));
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.job"), "8");
}
END_TEST

/* Whoever is asked for together: each sees what it would see alone. */
START_TEST(many_at_once)
{
    const udm_principal_t *acme = dbtest_principal("acme"), *other = dbtest_principal("other");
    apr_int64_t id = jobtest_create(dbtest_job(), acme)->id,
                second = jobtest_create(dbtest_job(), acme)->id;
    const struct {
        const udm_principal_t *who;
        apr_int64_t id;
        bool seen;
    } cases[] = {
        {acme, id, true},
        {other, id, false},
        {acme, second + 1000, false},
        {acme, second, true},
        {dbtest_principal_of("acme", "UCS", "Contact", true, true), id, false},
        {acme, id, true},
        {dbtest_principal_of("acme", "UCS", "Interaction", true, false), second, true},
    };
    enum { COUNT = sizeof(cases) / sizeof(*cases) };
    udm_job_ask_t asks[COUNT], *all[COUNT];
    int i;

    for (i = 0; i < COUNT; i++) {
        asks[i] = (udm_job_ask_t){.pool = pool, .who = cases[i].who, .id = cases[i].id};
        all[i] = &asks[i];
    }
    dbtest_ok(udm_job_get_many(pool, dbtest_httpd(), all, COUNT));
    for (i = 0; i < COUNT; i++) {
        if (cases[i].seen) {
            dbtest_ok(asks[i].error);
            ck_assert_int_eq(asks[i].info->id, cases[i].id);
            ck_assert_str_eq(asks[i].info->status, "QUEUED");
        }
        else {
            dbtest_fails(asks[i].error, UDM_E_NOT_FOUND, "no job");
            ck_assert_ptr_null(asks[i].info);
        }
    }
}
END_TEST

TCase *job_many_case(void)
{
    TCase *tc = dbtest_case("job_many");

    tcase_add_test(tc, many_are_stored_at_once);
    tcase_add_test(tc, many_wait_once);
    tcase_add_test(tc, many_at_once);
    return tc;
}
