/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_replace.c: PUT of a job: what becomes of its definition, its run and its watermark.
 */
#include "dbtest.h"

#include <string.h>

#include <apr_strings.h>

#include "core/json.h"
#include "core/calendar.h"
#include "db/control.h"

static apr_int64_t create(const udm_job_t *job)
{
    udm_job_info_t *info;

    dbtest_ok(
        udm_job_create(&info, pool, dbtest_httpd(), job, dbtest_audit(dbtest_principal("acme"))));
    return info->id;
}

static udm_error_t *replace_as(udm_job_info_t **info, apr_int64_t id, const udm_job_t *job,
                               const udm_principal_t *who)
{
    udm_error_t *error =
        udm_job_replace(info, pool, dbtest_httpd(), id, job, NULL, dbtest_audit(who));

    ck_assert_int_eq(PQtransactionStatus(dbtest_httpd()->conn), PQTRANS_IDLE);
    ck_assert(!*info == (error != NULL));
    return error;
}

static udm_job_info_t *replace(apr_int64_t id, const udm_job_t *job)
{
    udm_job_info_t *info;

    dbtest_ok(replace_as(&info, id, job, dbtest_principal("acme")));
    return info;
}

/* A job that waits for its time. */
static udm_job_t *later(void)
{
    udm_job_t *job = dbtest_job();

    dbtest_later(job);
    return job;
}

static void add_filter(udm_job_t *job, const char *attribute, const char *value)
{
    udm_job_filter_t *filter = apr_array_push(job->filters);

    filter->attribute = attribute;
    filter->test = UDM_TEST_EQ;
    filter->value = udm_json_own(pool, json_loads(value, JSON_DECODE_ANY, NULL));
}

START_TEST(everything_is_new)
{
    apr_int64_t id = create(dbtest_job());
    udm_job_t *job = dbtest_job();
    udm_job_info_t *info;
    const char *created =
        dbtest_value("SELECT concat_ws(' ', created_at, created_by) FROM udm.job");
    const char *old_run = dbtest_value("SELECT id FROM udm.run");

    dbtest_exec("SELECT udm.register_attributes('UCSX', 'Interaction');"
                "UPDATE udm.job SET changed_at = now() - interval '1 day', runs_left = 3");
    job->source = "UCSX";
    job->title = "New title";
    job->description = "New words";
    job->time_all = false;
    ck_assert(udm_calendar_parse(&job->date_from, "2026-01-01"));
    ck_assert(udm_calendar_parse(&job->date_to, "2026-02-01"));
    APR_ARRAY_PUSH(job->media, const char *) = "email";
    job->export_attachments = true;
    job->file_split_size = "1 MB";
    job->file_split_bytes = 1000000;
    add_filter(job, "duration", "5");
    info = replace(id, job);
    ck_assert_int_eq(info->id, id);
    ck_assert_str_eq(info->status, "QUEUED");
    ck_assert_str_eq(info->title, "New title");
    ck_assert_str_eq(info->source, "UCSX");
    ck_assert_str_eq(
        dbtest_value("SELECT concat_ws('|', family, source, type, title, description, time_all,"
                     " date_from = '2026-01-01Z', date_to = '2026-02-01Z', media,"
                     " export_attachments, file_split_size, file_split_bytes, schedule_type,"
                     " schedule, coalesce(next_run_at::text, '-'), suspended, status, runs_left,"
                     " filters, changed_at > now() - interval '1 hour') FROM udm.job"),
        "UCS|UCSX|Interaction|New title|New words|f|t|t|{Email}|t|1 MB|1000000|immediately|"
        "{\"immediately\": true}|-|f|QUEUED|[{\"value\": 5, \"operator\": \"eq\","
        " \"attribute\": \"duration\"}]|t");
    ck_assert_str_eq(dbtest_value("SELECT concat_ws(' ', created_at, created_by) FROM udm.job"),
                     created);
    ck_assert_str_eq(
        dbtest_value("SELECT concat_ws('|', r.id = j.latest_run_id, r.job_id = j.id, r.ccid,"
                     " r.source, r.type, r.title, r.description, r.window_all,"
                     " r.window_from = j.date_from, r.window_to = j.date_to, r.media, r.filters ="
                     " j.filters, r.status, r.attempt, p.percent) FROM udm.job j, udm.run r"
                     " JOIN udm.run_progress p ON p.run_id = r.id"),
        "t|t|acme|UCSX|Interaction|New title|New words|f|t|t|{Email}|t|QUEUED|0|0");
    ck_assert_str_ne(dbtest_value("SELECT id FROM udm.run"), old_run);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.audit WHERE action = 'job.replace'"
                                  " AND ccid = 'acme' AND subject = 'tester' AND client_address ="
                                  " '192.0.2.1' AND request_id = 'request-1'"
                                  " AND object = (SELECT id::text FROM udm.job)"),
                     "1");
}
END_TEST

START_TEST(planned_anew)
{
    apr_int64_t id = create(dbtest_job());
    udm_job_t *job = later();

    ck_assert_str_eq(replace(id, job)->status, "SCHEDULED");
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run"), "0");
    ck_assert_str_eq(
        dbtest_value(apr_psprintf(pool,
                                  "SELECT " UDM_PG_TIME("next_run_at") " = %s AND latest_run_id IS"
                                                                       " NULL FROM udm.job",
                                  udm_pg_int(pool, job->schedule.start))),
        "t");
    job->suspended = true;
    ck_assert_str_eq(replace(id, job)->status, "SUSPENDED");
    ck_assert_str_eq(dbtest_value("SELECT suspended AND next_run_at IS NOT NULL FROM udm.job"),
                     "t");
    ck_assert_str_eq(replace(id, dbtest_job())->status, "QUEUED");
    ck_assert_str_eq(dbtest_value("SELECT NOT suspended AND next_run_at IS NULL FROM udm.job"),
                     "t");
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run"), "1");
}
END_TEST

/* A new definition is checked as that of a new job, after the job was found. */
START_TEST(checked_as_a_new_one)
{
    udm_principal_t *who = dbtest_principal("acme");
    apr_int64_t id = create(later());
    const char *before = dbtest_value("SELECT j::text FROM udm.job j");
    udm_job_t *job = dbtest_job();
    udm_job_info_t *info;
    udm_error_t *error;

    job->family = "DataSync";
    APR_ARRAY_PUSH(job->media, const char *) = "pigeon";
    add_filter(job, "duration", "5");
    error = replace_as(&info, id, job, who);
    dbtest_fault(error, "/type", "family UCS");
    dbtest_fault(error, "/jobParams/media/0", "pigeon");
    dbtest_fault(error, "/jobParams/filters/0/attribute", "duration");
    dbtest_fails(replace_as(&info, id + 100, job, who), UDM_E_NOT_FOUND,
                 "there is no job with this id");
    job = dbtest_job();
    job->type = "Contact";
    dbtest_fails(
        replace_as(&info, id, job, dbtest_principal_of("acme", "UCS", "Interaction", true, true)),
        UDM_E_FORBIDDEN, "\"Contact\"");
    /* Nor may a job be taken over by its new type. */
    dbtest_fails(
        replace_as(&info, id, job, dbtest_principal_of("acme", "UCS", "Contact", true, true)),
        UDM_E_NOT_FOUND, "there is no job with this id");
    dbtest_exec("DELETE FROM udm.certificate");
    dbtest_fails(replace_as(&info, id, dbtest_job(), who), UDM_E_INVALID, "no certificate");
    ck_assert_str_eq(dbtest_value("SELECT j::text FROM udm.job j"), before);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.audit WHERE action = 'job.replace'"),
                     "0");
}
END_TEST

/* A PUT says anew how the files are encrypted; the certificate must fit that. */
START_TEST(encryption)
{
    udm_principal_t *who = dbtest_principal("acme");
    udm_job_t *job = dbtest_job();
    udm_job_info_t *info;
    apr_int64_t id;

    dbtest_later(job);
    id = create(job);
    ck_assert_str_eq(dbtest_value("SELECT encryption FROM udm.job"), "smime");
    job->encryption = UDM_ENCRYPTION_CMS_GCM;
    dbtest_ok(replace_as(&info, id, job, who));
    ck_assert_str_eq(dbtest_value("SELECT encryption FROM udm.job"), "cms-gcm");
    dbtest_exec(
        apr_psprintf(pool, "UPDATE udm.certificate SET pem = '%s'", dbtest_ec_certificate_pem));
    dbtest_ok(replace_as(&info, id, job, who));
    job->encryption = UDM_ENCRYPTION_SMIME;
    dbtest_fails(replace_as(&info, id, job, who), UDM_E_INVALID, "UDMEncryption cms-gcm");
    ck_assert_str_eq(dbtest_value("SELECT encryption FROM udm.job"), "cms-gcm");
}
END_TEST

/* What the watermark says holds for the same rows in the same frame only. */
START_TEST(watermark)
{
    static const char *const changes[] = {"nothing", "title",  "media",  "schedule",
                                          "alias",   "source", "type",   "from",
                                          "to",      "all",    "filter", "filters"};
    size_t i;

    dbtest_exec("SELECT udm.register_attributes(s, 'Interaction') FROM unnest(ARRAY['UCS',"
                " 'UCSX']) s");
    for (i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        udm_job_t *job = later();
        bool kept = i < 5 && i != 2;
        apr_int64_t id;

        job->time_all = false;
        ck_assert(udm_calendar_parse(&job->date_from, "2026-01-01"));
        add_filter(job, "duration", "5");
        dbtest_exec("DELETE FROM udm.job");
        id = create(job);
        dbtest_exec("UPDATE udm.job SET watermark = '2026-03-01Z', schedule_type = 'recurring'");
        switch (i) {
        case 1:
            job->title = "another";
            break;
        case 2:
            APR_ARRAY_PUSH(job->media, const char *) = "email";
            break;
        case 3:
            dbtest_later(job);
            break;
        case 4:
            job->source = "Contact History";
            break;
        case 5:
            job->source = "UCSX";
            break;
        case 6:
            job->type = "Contact";
            job->filters->nelts = 0;
            break;
        case 7:
            job->date_from += 1;
            break;
        case 8:
            ck_assert(udm_calendar_parse(&job->date_to, "2026-02-01"));
            break;
        case 9:
            job->time_all = true;
            job->date_from = UDM_NO_TIME;
            break;
        case 10:
            job->filters->nelts = 0;
            add_filter(job, "duration", "6");
            break;
        case 11:
            job->filters->nelts = 0;
            break;
        default:
            break;
        }
        replace(id, job);
        ck_assert_msg(strcmp(dbtest_value("SELECT watermark IS NOT NULL FROM udm.job"),
                             kept ? "t" : "f") == 0,
                      "%s", changes[i]);
        ck_assert_str_eq(
            dbtest_value("SELECT coalesce(watermark = '2026-03-01Z', true) FROM udm.job"), "t");
    }
}
END_TEST

/* History of before keeps its own copy of what it was asked to do. */
START_TEST(history_is_not_rewritten)
{
    apr_int64_t id = create(dbtest_job());
    udm_job_t *job = dbtest_job();
    const char *before;

    dbtest_exec("UPDATE udm.run SET status = 'COMPLETED', started_at = now();"
                "UPDATE udm.job SET status = 'COMPLETED', schedule_type = 'recurring'");
    before = dbtest_value("SELECT r::text FROM udm.run r");
    job->title = "another";
    job->type = "Contact";
    replace(id, job);
    ck_assert_str_eq(dbtest_value("SELECT r::text FROM udm.run r WHERE status = 'COMPLETED'"),
                     before);
    ck_assert_str_eq(dbtest_value("SELECT j.latest_run_id = r.id AND r.title = 'another' FROM"
                                  " udm.job j, udm.run r WHERE r.status = 'QUEUED'"),
                     "t");
}
END_TEST

TCase *replace_case(void)
{
    TCase *tc = dbtest_case("replace");

    tcase_add_test(tc, everything_is_new);
    tcase_add_test(tc, planned_anew);
    tcase_add_test(tc, checked_as_a_new_one);
    tcase_add_test(tc, encryption);
    tcase_add_test(tc, watermark);
    tcase_add_test(tc, history_is_not_rewritten);
    return tc;
}
