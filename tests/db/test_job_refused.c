/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_job_refused.c: what a job must fit to be created, and that of one that does not nothing is
 * left.
 */
#include "dbtest.h"
#include "jobtest.h"

#include <string.h>

#include <apr_strings.h>

#include "db/job.h"
#include "db/job_check.h"

static udm_error_t *refused(const udm_job_t *job, const udm_principal_t *who)
{
    udm_job_info_t *info;
    udm_error_t *error = udm_job_create(&info, pool, dbtest_httpd(), job, dbtest_audit(who));

    ck_assert_ptr_nonnull(error);
    ck_assert_ptr_null(info);
    ck_assert_str_eq(dbtest_value("SELECT (SELECT count(*) FROM udm.job)"
                                  " + (SELECT count(*) FROM udm.run)"
                                  " + (SELECT count(*) FROM udm.audit"
                                  " WHERE action = 'job.create')"),
                     "0");
    return error;
}

START_TEST(unknown_source)
{
    udm_job_t *job = dbtest_job();
    udm_error_t *error;

    job->source = "Nowhere";
    error = refused(job, dbtest_principal("acme"));
    dbtest_fault(error, "/source", "\"Nowhere\"");
    dbtest_fault(error, "/source", "UCS, UCSX, iWD");
    error = refused(job, dbtest_principal_of("acme", "UCSX", "Interaction", true, true));
    dbtest_fault(error, "/source", "must be one of UCSX");
    error = refused(job, dbtest_principal_of("acme", "UCSX", "Interaction", true, false));
    dbtest_fault(error, "/source", "none that you may export");
}
END_TEST

/* A source of which nothing belongs to the caller is answered as one that does not exist. */
START_TEST(source_of_somebody_else)
{
    udm_job_t *job = dbtest_job();

    job->source = "iWD";
    job->family = "DataSync";
    job->type = "Task";
    job->media = apr_array_make(pool, 1, sizeof(const char *));
    dbtest_fault(refused(job, dbtest_principal_of("other", "UCS", "Contact", true, true)),
                 "/source", "there is no source \"iWD\"; it must be one of UCS");
}
END_TEST

START_TEST(faults_come_together)
{
    udm_job_t *job = dbtest_job();
    udm_error_t *error;
    int i;

    job->family = "DataSync";
    jobtest_add_media(job, "Chat");
    jobtest_add_media(job, "pigeon");
    jobtest_add_media(job, "smoke");
    error = refused(job, dbtest_principal("acme"));
    ck_assert_int_eq(error->faults->nelts, 3);
    dbtest_fault(error, "/type", "family UCS");
    dbtest_fault(error, "/jobParams/media/1", "\"pigeon\"");
    dbtest_fault(error, "/jobParams/media/1", "Chat, Email, Voice");
    dbtest_fault(error, "/jobParams/media/2", "\"smoke\"");

    /* a catalog that has hundreds is not repeated in each of a hundred faults */
    dbtest_exec("INSERT INTO udm.media (source, type, value, name, label) SELECT 'UCS',"
                " 'Interaction', 'm' || n, 'M' || to_char(n, 'FM000'), 'M'"
                " FROM generate_series(1, 300) n");
    for (i = 0; i < 997; i++) {
        jobtest_add_media(job, apr_psprintf(pool, "no %d", i));
    }
    error = refused(job, dbtest_principal("acme"));
    ck_assert_int_eq(error->faults->nelts, UDM_FAULTS_MAX);
    ck_assert_ptr_nonnull(strstr(error->reason, "there are more"));
    dbtest_fault(error, "/jobParams/media/99", "M048, or one of 253 more");
    ck_assert_uint_lt(strlen(APR_ARRAY_IDX(error->faults, 99, udm_fault_t).detail), 500);

    job->type = "Nothing";
    error = refused(job, dbtest_principal("acme"));
    dbtest_fault(error, "/type", "family UCS");
    dbtest_fault(error, "/jobParams/type", "Interaction, Contact");

    job = dbtest_job();
    job->family = "DataSync";
    job->source = "iWD";
    job->type = "Task";
    job->time_all = false;
    job->date_from = apr_time_now();
    jobtest_add_media(job, "Chat");
    error = refused(job, dbtest_principal("acme"));
    ck_assert_int_eq(error->faults->nelts, 2);
    dbtest_fault(error, "/timeFrame", "\"all\":true");
    dbtest_fault(error, "/jobParams/media", "empty array");
}
END_TEST

/* Media that only differ in case: the very one, and any of them where that is not there. */
START_TEST(media_that_are_alike)
{
    udm_job_t *job = dbtest_job();
    udm_job_info_t *info;

    dbtest_exec("SELECT udm.register_media('UCS', 'Interaction', 'c1', 'CHAT'),"
                " udm.register_media('UCS', 'Interaction', 'c2', 'chat')");
    jobtest_add_media(job, "Chat");
    jobtest_add_media(job, "chat");
    info = jobtest_create(job, dbtest_principal("acme"));
    ck_assert_str_eq(apr_array_pstrcat(pool, info->media, ','), "Chat,chat");
    job->media = apr_array_make(pool, 1, sizeof(const char *));
    jobtest_add_media(job, "EMAIL");
    info = jobtest_create(job, dbtest_principal("acme"));
    ck_assert_str_eq(apr_array_pstrcat(pool, info->media, ','), "Email");
}
END_TEST

START_TEST(attachments_of_a_type_without)
{
    udm_job_t *job = dbtest_job();

    job->type = "Contact";
    job->export_attachments = true;
    ck_assert(jobtest_create(job, dbtest_principal("acme"))->export_attachments);
}
END_TEST

/* Who still asks for them is told, before an export could lack them. */
START_TEST(attachments_of_a_type_that_lost_them)
{
    udm_job_t *job = dbtest_job();
    udm_job_cipher_t cipher;
    udm_job_t *checked;

    job->type = "Interaction";
    job->export_attachments = true;
    jobtest_create(job, dbtest_principal("acme"));
    dbtest_exec("SELECT udm.remove_attachments('UCS', 'Interaction', true)");
    dbtest_fault(
        udm_job_check(&checked, &cipher, pool, dbtest_httpd(), job, dbtest_principal("acme")),
        "/jobParams/exportAttachments", "not registered any more");
    job->export_attachments = false;
    jobtest_create(job, dbtest_principal("acme"));
}
END_TEST

START_TEST(outside_the_role)
{
    udm_job_t *job = dbtest_job();

    dbtest_fails(refused(job, dbtest_principal_of("acme", "UCS", "Contact", true, true)),
                 UDM_E_FORBIDDEN, "\"Interaction\"");
    dbtest_fails(refused(job, dbtest_principal_of("acme", "UCS", "Interaction", true, false)),
                 UDM_E_FORBIDDEN, "\"UCS\"");
    dbtest_fails(refused(job, dbtest_principal_of("acme", "UCSX", "Interaction", true, true)),
                 UDM_E_FORBIDDEN, "role");
    jobtest_create(job, dbtest_principal_of("acme", "UCS", "Interaction", false, true));
}
END_TEST

START_TEST(certificate_is_needed)
{
    udm_error_t *error = refused(dbtest_job(), dbtest_principal("other"));

    dbtest_fails(error, UDM_E_INVALID, "no certificate");
    ck_assert_ptr_nonnull(strstr(error->reason, "POST .../cipher/{name}"));
    ck_assert_ptr_null(error->faults);
    dbtest_exec("UPDATE udm.certificate SET not_after = '2021-02-03 04:05:06Z'");
    error = refused(dbtest_job(), dbtest_principal("acme"));
    dbtest_fails(error, UDM_E_INVALID, "expired at 2021-02-03T04:05:06.000Z");
    ck_assert_ptr_nonnull(strstr(error->reason, "POST .../cipher/{name}"));
}
END_TEST

/* A job whose runs could not encrypt for the certificate is not taken. */
START_TEST(certificate_must_fit_the_encryption)
{
    static const char *const tenant[] = {"NULL", "'smime'", "'cms-gcm'"};
    udm_principal_t *who = dbtest_principal("acme");
    udm_job_t *job = dbtest_job();

    dbtest_exec(
        apr_psprintf(pool, "UPDATE udm.certificate SET pem = '%s'", dbtest_ec_certificate_pem));
    for (int i = 0; i < 3; i++) {
        for (int e = UDM_ENCRYPTION_SMIME; e <= UDM_ENCRYPTION_CMS_GCM; e++) {
            bool good = i == 2 || (i == 0 && e == UDM_ENCRYPTION_CMS_GCM);

            dbtest_exec(apr_psprintf(pool,
                                     "DELETE FROM udm.job; DELETE FROM udm.run;"
                                     "SELECT udm.set_encryption('acme', %s);",
                                     tenant[i]));
            job->encryption = (udm_encryption)e;
            if (good) {
                jobtest_create(job, who);
            }
            else {
                udm_job_info_t *info;
                udm_error_t *error =
                    udm_job_create(&info, pool, dbtest_httpd(), job, dbtest_audit(who));

                dbtest_fails(error, UDM_E_INVALID, "UDMEncryption cms-gcm");
                dbtest_fails(error, UDM_E_INVALID, "POST .../cipher/{name}");
                ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.job"), "0");
            }
        }
    }
}
END_TEST

START_TEST(filters_must_fit)
{
    udm_job_t *job = dbtest_job();
    udm_error_t *error;

    jobtest_add_filter(job, "subject", UDM_TEST_EQ, "\"x\"");
    dbtest_fault(refused(job, dbtest_principal("acme")), "/jobParams/filters/0/attribute",
                 "it has none to filter by");
    dbtest_exec("SELECT udm.register_attribute('UCS', 'Interaction', 'subject'),"
                " udm.register_attribute('UCS', 'Interaction', 'duration', 'Length')");
    job = dbtest_job();
    jobtest_add_filter(job, "subject", UDM_TEST_EQ, "\"x\"");
    jobtest_add_filter(job, "duration", UDM_TEST_EQ, "1");
    jobtest_add_filter(job, "Length", UDM_TEST_EQ, "\"long\"");
    jobtest_add_filter(job, "Subject", UDM_TEST_EQ, "\"x\"");
    jobtest_add_media(job, "pigeon");
    error = refused(job, dbtest_principal("acme"));
    ck_assert_int_eq(error->faults->nelts, 4);
    dbtest_fault(error, "/jobParams/filters/1/attribute",
                 "\"duration\" of this type; it must be one of Length, subject");
    dbtest_fault(error, "/jobParams/filters/2/value", "");
    dbtest_fault(error, "/jobParams/filters/3/attribute", "\"Subject\"");
    dbtest_fault(error, "/jobParams/media/0", "pigeon");
    /* An attribute of another type is none of this one. */
    job = dbtest_job();
    job->type = "Contact";
    jobtest_add_filter(job, "subject", UDM_TEST_EQ, "\"x\"");
    dbtest_fault(refused(job, dbtest_principal("acme")), "/jobParams/filters/0/attribute",
                 "it has none to filter by");
}
END_TEST

TCase *job_refused_case(void)
{
    TCase *tc = dbtest_case("job_refused");

    tcase_add_test(tc, unknown_source);
    tcase_add_test(tc, source_of_somebody_else);
    tcase_add_test(tc, faults_come_together);
    tcase_add_test(tc, media_that_are_alike);
    tcase_add_test(tc, attachments_of_a_type_without);
    tcase_add_test(tc, attachments_of_a_type_that_lost_them);
    tcase_add_test(tc, outside_the_role);
    tcase_add_test(tc, certificate_is_needed);
    tcase_add_test(tc, certificate_must_fit_the_encryption);
    tcase_add_test(tc, filters_must_fit);
    return tc;
}
