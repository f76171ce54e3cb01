/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_job.c: creating jobs (first run, audit), reading jobs, their definitions, and runs.
 */
#include "dbtest.h"
#include "jobtest.h"

#include <string.h>

#include <apr_strings.h>

#include "core/json.h"
#include "core/calendar.h"
#include "db/job.h"
#include "db/job_check.h"
#include "db/installation.h"

udm_job_info_t *jobtest_create(const udm_job_t *job, const udm_principal_t *who)
{
    udm_job_info_t *info;

    dbtest_ok(udm_job_create(&info, pool, dbtest_httpd(), job, dbtest_audit(who)));
    return info;
}

void jobtest_add_media(udm_job_t *job, const char *name)
{
    APR_ARRAY_PUSH(job->media, const char *) = name;
}

START_TEST(runs_at_once)
{
    udm_principal_t *who = dbtest_principal("acme");
    udm_job_t *job = dbtest_job();
    udm_job_info_t *info, *read;

    job->source = "Contact History";
    job->description = "with everything";
    job->time_all = false;
    ck_assert(udm_calendar_parse(&job->date_from, "2026-01-01"));
    ck_assert(udm_calendar_parse(&job->date_to, "2026-02-01T00:00:00.123Z"));
    jobtest_add_media(job, "CHAT");
    jobtest_add_media(job, "email");
    jobtest_add_media(job, "chat");
    job->export_attachments = true;
    job->file_split_size = "1 MB";
    job->file_split_bytes = 1000000;
    who->key_id = "0123456789ab";
    info = jobtest_create(job, who);

    ck_assert_int_gt(info->id, 0);
    ck_assert_int_eq(info->parent_id, 0);
    ck_assert_str_eq(info->status, "QUEUED");
    ck_assert_str_eq(info->source, "UCS");
    ck_assert_str_eq(info->type, "Interaction");
    ck_assert_str_eq(info->title, "All of it");
    ck_assert_str_eq(info->file_split_size, "1 MB");
    ck_assert_ptr_null(info->file_name);
    ck_assert_ptr_null(info->status_reason);
    ck_assert_int_eq(info->date_from, job->date_from);
    ck_assert_int_eq(info->date_to, job->date_to);
    ck_assert_str_eq(info->description, "with everything");
    ck_assert_int_eq(info->media->nelts, 2);
    ck_assert_str_eq(APR_ARRAY_IDX(info->media, 0, const char *), "Chat");
    ck_assert_str_eq(APR_ARRAY_IDX(info->media, 1, const char *), "Email");
    ck_assert_int_eq(info->progress, 0);
    ck_assert(info->export_attachments);

    /* What was answered is what is stored. */
    dbtest_ok(udm_job_get(&read, pool, dbtest_httpd(), who, info->id));
    ck_assert_int_eq(read->id, info->id);
    ck_assert_int_eq(read->parent_id, 0);
    ck_assert_str_eq(read->type, info->type);
    ck_assert_str_eq(read->source, info->source);
    ck_assert_str_eq(read->title, info->title);
    ck_assert_str_eq(read->file_split_size, info->file_split_size);
    ck_assert_ptr_null(read->file_name);
    ck_assert_int_eq(read->file_size, 0);
    ck_assert_str_eq(read->status, info->status);
    ck_assert_ptr_null(read->status_reason);
    ck_assert_int_eq(read->created, info->created);
    ck_assert_int_eq(read->date_from, info->date_from);
    ck_assert_int_eq(read->date_to, info->date_to);
    ck_assert_str_eq(read->description, info->description);
    ck_assert_int_eq(read->media->nelts, 2);
    ck_assert_int_eq(read->progress, 0);
    ck_assert(read->export_attachments);

    ck_assert_str_eq(
        dbtest_value("SELECT concat_ws('|', r.id = j.latest_run_id, r.id > j.id, j.family,"
                     " j.schedule, coalesce(j.next_run_at::text, '-'), j.created_by,"
                     " r.window_all, r.window_from = j.date_from, r.window_to = j.date_to,"
                     " r.media = j.media, r.title = j.title, r.source = j.source, r.type = j.type,"
                     " r.export_attachments, r.file_split_bytes, r.status, r.attempt, p.percent,"
                     " r.description = j.description, r.ccid)"
                     " FROM udm.job j JOIN udm.run r ON r.job_id = j.id"
                     " JOIN udm.run_progress p ON p.run_id = r.id"),
        "t|t|UCS|{\"immediately\": true}|-|tester|f|t|t|t|t|t|t|t|1000000|QUEUED|0|0|t|acme");
    ck_assert_str_eq(
        dbtest_value(apr_psprintf(pool,
                                  "SELECT count(*) FROM udm.audit WHERE action = 'job.create'"
                                  " AND object = '%" APR_INT64_T_FMT "' AND ccid = 'acme'"
                                  " AND subject = 'tester' AND key_id = '0123456789ab'"
                                  " AND client_address = '192.0.2.1' AND request_id = 'request-1'",
                                  info->id)),
        "1");
}
END_TEST

START_TEST(whole_window)
{
    udm_principal_t *who = dbtest_principal("acme");
    udm_job_info_t *info = jobtest_create(dbtest_job(), who);

    ck_assert(info->date_from == UDM_NO_TIME);
    ck_assert(info->date_to == UDM_NO_TIME);
    ck_assert_str_eq(info->description, "");
    ck_assert_str_eq(info->file_split_size, "");
    dbtest_ok(udm_job_get(&info, pool, dbtest_httpd(), who, info->id));
    ck_assert(info->date_from == UDM_NO_TIME);
    ck_assert_str_eq(info->description, "");
    ck_assert_str_eq(info->file_split_size, "");
    ck_assert_int_eq(info->media->nelts, 0);
    ck_assert_str_eq(dbtest_value("SELECT window_all AND window_from IS NULL AND window_to IS NULL"
                                  " FROM udm.run"),
                     "t");
}
END_TEST

START_TEST(open_window)
{
    udm_job_t *job = dbtest_job();

    job->time_all = false;
    ck_assert(udm_calendar_parse(&job->date_from, "2026-01-01"));
    jobtest_create(job, dbtest_principal("acme"));
    ck_assert_str_eq(dbtest_value("SELECT NOT window_all AND window_from = '2026-01-01Z'"
                                  " AND window_to IS NULL FROM udm.run"),
                     "t");
}
END_TEST

/* No dates and not all: all up to the scheduled time, which leaves out rows without a time. */
START_TEST(window_up_to_the_run)
{
    udm_job_t *job = dbtest_job();

    job->time_all = false;
    jobtest_create(job, dbtest_principal("acme"));
    ck_assert_str_eq(dbtest_value("SELECT NOT window_all AND window_from IS NULL"
                                  " AND window_to = scheduled_at FROM udm.run"),
                     "t");
}
END_TEST

START_TEST(starts_later)
{
    udm_job_t *job = dbtest_job();
    udm_job_info_t *info;

    dbtest_later(job);
    info = jobtest_create(job, dbtest_principal("acme"));
    ck_assert_str_eq(info->status, "SCHEDULED");
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run"), "0");
    ck_assert_str_eq(
        dbtest_value(apr_psprintf(
            pool,
            "SELECT " UDM_PG_TIME("next_run_at") " = %s"
                                                 " AND latest_run_id IS NULL"
                                                 " AND schedule_type = 'once' FROM udm.job",
            udm_pg_int(pool, job->schedule.start))),
        "t");
}
END_TEST

START_TEST(started_in_the_past_is_now)
{
    udm_job_t *job = dbtest_job();
    udm_job_info_t *info;

    dbtest_schedule(job, "{'startDate':'2020-01-01'}");
    info = jobtest_create(job, dbtest_principal("acme"));
    ck_assert_str_eq(info->status, "QUEUED");
    ck_assert_str_eq(
        dbtest_value(
            "SELECT next_run_at IS NULL AND latest_run_id = r.id"
            " AND r.scheduled_at BETWEEN r.created_at - interval '1 minute' AND r.created_at"
            " AND r.ready_at = r.scheduled_at"
            " FROM udm.job j JOIN udm.run r ON r.job_id = j.id"),
        "t");
}
END_TEST

START_TEST(suspended_makes_no_run)
{
    udm_principal_t *who = dbtest_principal("acme");
    udm_job_t *job = dbtest_job();
    udm_job_info_t *info;

    job->suspended = true;
    info = jobtest_create(job, who);
    ck_assert_str_eq(info->status, "SUSPENDED");
    ck_assert_str_eq(dbtest_value("SELECT suspended AND next_run_at <= created_at FROM udm.job"),
                     "t");
    dbtest_schedule(job, "{'startDate':'2020-01-01'}");
    info = jobtest_create(job, who);
    ck_assert_str_eq(info->status, "SUSPENDED");
    ck_assert_str_eq(dbtest_value("SELECT next_run_at <= created_at FROM udm.job"
                                  " ORDER BY id DESC LIMIT 1"),
                     "t");
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run"), "0");
}
END_TEST

/* Several tell the workers when they are committed, once for all. */
START_TEST(tells_the_worker)
{
    udm_pg_t *worker = dbtest_worker();
    udm_principal_t *who = dbtest_principal("acme");
    udm_job_new_t new[2], *all[2] = {&new[0], &new[1]};
    udm_job_cipher_t cipher;
    PGnotify *notification;
    udm_job_t *job;

    dbtest_ok(udm_installation_listen(pool, worker));
    jobtest_create(dbtest_job(), who);
    dbtest_ok(udm_pg_exec(pool, worker, "SELECT 1"));
    notification = PQnotifies(worker->conn);
    ck_assert_ptr_nonnull(notification);
    ck_assert_str_eq(notification->relname, dbtest_value("SELECT channel FROM udm.installation"));
    PQfreemem(notification);
    dbtest_ok(udm_job_check(&job, &cipher, pool, dbtest_httpd(), dbtest_job(), who));
    new[0] = new[1] = (udm_job_new_t){.pool = pool, .job = job, .audit = dbtest_audit(who)};
    dbtest_ok(udm_job_insert(pool, dbtest_httpd(), all, 2));
    ck_assert(dbtest_notified(worker));
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run"), "3");
}
END_TEST

START_TEST(family_follows_from_the_source)
{
    udm_job_t *job = dbtest_job();

    job->family = NULL;
    job->source = "iWD";
    job->type = "Task";
    jobtest_create(job, dbtest_principal("acme"));
    ck_assert_str_eq(dbtest_value("SELECT family FROM udm.job"), "DataSync");
}
END_TEST

/* What the Location says is stored, and what the contact centre says wins. */
START_TEST(encryption)
{
    static const char stored[] = "SELECT encryption FROM udm.job ORDER BY id DESC LIMIT 1";
    udm_principal_t *who = dbtest_principal("acme");
    udm_job_t *job = dbtest_job();

    jobtest_create(job, who);
    ck_assert_str_eq(dbtest_value(stored), "smime");
    job->encryption = UDM_ENCRYPTION_CMS_GCM;
    jobtest_create(job, who);
    ck_assert_str_eq(dbtest_value(stored), "cms-gcm");
    /* The job keeps what the Location said: the contact centre may change its mind. */
    dbtest_exec("SELECT udm.set_encryption('acme', 'smime')");
    jobtest_create(job, who);
    ck_assert_str_eq(dbtest_value(stored), "cms-gcm");
}
END_TEST

START_TEST(ids_are_of_one_sequence)
{
    udm_principal_t *who = dbtest_principal("acme");
    udm_job_info_t *first = jobtest_create(dbtest_job(), who);
    udm_job_info_t *second = jobtest_create(dbtest_job(), who);
    udm_job_info_t *read;

    ck_assert_int_gt(second->id, first->id + 1);
    dbtest_fails(udm_run_get(&read, pool, dbtest_httpd(), who, first->id), UDM_E_NOT_FOUND,
                 "there is no history record with this id");
    dbtest_ok(udm_run_get(&read, pool, dbtest_httpd(), who, first->id + 1));
    ck_assert_int_eq(read->parent_id, first->id);
    ck_assert_str_eq(read->title, first->title);
    dbtest_fails(udm_job_get(&read, pool, dbtest_httpd(), who, first->id + 1), UDM_E_NOT_FOUND,
                 "there is no job with this id");
    ck_assert_ptr_null(read);
}
END_TEST

START_TEST(what_is_not_visible_is_not_there)
{
    udm_principal_t *who = dbtest_principal("acme");
    apr_int64_t id = jobtest_create(dbtest_job(), who)->id;
    udm_principal_t *blind[3];
    udm_job_info_t *read;
    int i;

    blind[0] = dbtest_principal("other");
    blind[1] = dbtest_principal_of("acme", "UCSX", "Interaction", true, true);
    blind[2] = dbtest_principal_of("acme", "UCS", "Interaction", false, true);
    for (i = 0; i < 3; i++) {
        dbtest_fails(udm_job_get(&read, pool, dbtest_httpd(), blind[i], id), UDM_E_NOT_FOUND,
                     "there is no job with this id");
        dbtest_fails(udm_run_get(&read, pool, dbtest_httpd(), blind[i], id + 1), UDM_E_NOT_FOUND,
                     "there is no history record with this id");
    }
    /* Rights of (UCS, Contact) and (UCSX, Interaction) are not one of (UCS, Interaction). */
    who = dbtest_principal_of("acme", "UCS", "Contact", true, true);
    *(udm_right_t *)apr_array_push(who->rights) =
        (udm_right_t){"UCSX", "Interaction", true, true, false};
    dbtest_fails(udm_job_get(&read, pool, dbtest_httpd(), who, id), UDM_E_NOT_FOUND, "no job");
}
END_TEST

START_TEST(a_job_shows_its_latest_run)
{
    udm_principal_t *who = dbtest_principal("acme");
    apr_int64_t id = jobtest_create(dbtest_job(), who)->id;
    udm_job_info_t *job, *run;

    dbtest_exec(
        "UPDATE udm.run_progress SET percent = 42;"
        "UPDATE udm.run SET status = 'IN_PROGRESS'; UPDATE udm.job SET status = 'IN_PROGRESS'");
    dbtest_ok(udm_job_get(&job, pool, dbtest_httpd(), who, id));
    dbtest_ok(udm_run_get(&run, pool, dbtest_httpd(), who, id + 1));
    ck_assert_int_eq(job->progress, 42);
    ck_assert_int_eq(run->progress, 42);

    dbtest_exec("UPDATE udm.run SET status = 'QUEUED'; UPDATE udm.job SET status = 'QUEUED'");
    dbtest_ok(udm_job_get(&job, pool, dbtest_httpd(), who, id));
    ck_assert_int_eq(job->progress, 0);

    dbtest_exec("UPDATE udm.run SET status = 'COMPLETED', file_name = 'export-x.zip.smime',"
                " file_size = 5000000000, status_reason = 'not to be shown';"
                " UPDATE udm.job SET status = 'COMPLETED'");
    dbtest_ok(udm_job_get(&job, pool, dbtest_httpd(), who, id));
    dbtest_ok(udm_run_get(&run, pool, dbtest_httpd(), who, id + 1));
    ck_assert_int_eq(job->progress, 100);
    ck_assert_str_eq(job->file_name, "export-x.zip.smime");
    ck_assert_int_eq(job->file_size, 5000000000LL);
    ck_assert_ptr_null(job->status_reason);
    ck_assert_ptr_null(run->status_reason);
    ck_assert_str_eq(run->file_name, "export-x.zip.smime");
    ck_assert_int_eq(run->progress, 100);

    dbtest_exec("UPDATE udm.run SET status = 'FAILED', status_reason = 'a reason';"
                " UPDATE udm.job SET status = 'FAILED'");
    dbtest_ok(udm_job_get(&job, pool, dbtest_httpd(), who, id));
    dbtest_ok(udm_run_get(&run, pool, dbtest_httpd(), who, id + 1));
    ck_assert_str_eq(job->status_reason, "a reason");
    ck_assert_str_eq(run->status_reason, "a reason");
    ck_assert_int_eq(run->progress, 42);

    /* A job lives on without its history. */
    dbtest_exec("DELETE FROM udm.run");
    dbtest_ok(udm_job_get(&job, pool, dbtest_httpd(), who, id));
    ck_assert_ptr_null(job->file_name);
    ck_assert_str_eq(job->status_reason, "the record of it was deleted");
}
END_TEST

void jobtest_add_filter(udm_job_t *job, const char *attribute, udm_filter_test test,
                        const char *value)
{
    udm_job_filter_t *filter = apr_array_push(job->filters);

    filter->attribute = attribute;
    filter->test = test;
    filter->value = udm_json_own(pool, json_loads(value, JSON_DECODE_ANY, NULL));
    ck_assert_ptr_nonnull(filter->value);
}

START_TEST(filters_are_stored)
{
    udm_job_t *job = dbtest_job();
    udm_job_t *read;
    apr_int64_t id;

    dbtest_exec("SELECT udm.register_attributes('UCS', 'Interaction')");
    jobtest_add_filter(job, "subject", UDM_TEST_CONTAINS, "\"a \\\" quote\"");
    jobtest_add_filter(job, "duration", UDM_TEST_IN, "[1, 2.5, \"9223372036854775808\"]");
    id = jobtest_create(job, dbtest_principal("acme"))->id;
    ck_assert_str_eq(
        dbtest_value(
            "SELECT j.filters = r.filters AND j.filters = '["
            "{\"attribute\":\"subject\",\"operator\":\"contains\",\"value\":\"a \\\" quote\"},"
            "{\"attribute\":\"duration\",\"operator\":\"in\",\"value\":"
            "[1, \"2.5\", \"9223372036854775808\"]}]' FROM udm.job j, udm.run r"),
        "t");
    dbtest_ok(udm_job_definition(&read, pool, dbtest_httpd(), dbtest_principal("acme"), id));
    ck_assert_int_eq(read->filters->nelts, 2);
    ck_assert_str_eq(udm_filter_text(pool, read->filters), udm_filter_text(pool, job->filters));
}
END_TEST

START_TEST(definition_is_what_was_sent)
{
    udm_principal_t *who = dbtest_principal("acme");
    udm_principal_t *blind[3];
    udm_job_t *job = dbtest_job();
    udm_job_t *read;
    apr_int64_t id;
    int i;

    job->description = "words";
    job->time_all = false;
    ck_assert(udm_calendar_parse(&job->date_from, "2026-01-01T00:00:00.000001Z"));
    jobtest_add_media(job, "chat");
    job->export_attachments = true;
    job->file_split_size = "1 MB";
    job->file_split_bytes = 1000000;
    job->suspended = true;
    dbtest_schedule(job, "{'startDate':'2096-02-29 01:02','x':[1e300]}");
    id = jobtest_create(job, who)->id;
    dbtest_ok(udm_job_definition(&read, pool, dbtest_httpd(), who, id));
    ck_assert_str_eq(read->family, "UCS");
    ck_assert_str_eq(read->source, "UCS");
    ck_assert_str_eq(read->type, "Interaction");
    ck_assert_str_eq(read->title, "All of it");
    ck_assert_str_eq(read->description, "words");
    ck_assert(!read->time_all);
    ck_assert_int_eq(read->date_from, job->date_from);
    ck_assert(read->date_to == UDM_NO_TIME);
    ck_assert_str_eq(apr_array_pstrcat(pool, read->media, ','), "Chat");
    ck_assert(read->export_attachments);
    ck_assert_str_eq(read->file_split_size, "1 MB");
    ck_assert_int_eq(read->file_split_bytes, 1000000);
    ck_assert_int_eq(read->filters->nelts, 0);
    ck_assert(read->suspended);
    ck_assert_int_eq(read->schedule_type, UDM_SCHEDULE_ONCE);
    ck_assert_int_eq(read->schedule.start, job->schedule.start);
    ck_assert_ptr_nonnull(strstr(read->schedule_json, "\"startDate\":\"2096-02-29 01:02\""));

    blind[0] = dbtest_principal("other");
    blind[1] = dbtest_principal_of("acme", "UCSX", "Interaction", true, true);
    blind[2] = dbtest_principal_of("acme", "UCS", "Interaction", false, true);
    for (i = 0; i < 3; i++) {
        dbtest_fails(udm_job_definition(&read, pool, dbtest_httpd(), blind[i], id), UDM_E_NOT_FOUND,
                     "there is no job with this id");
        ck_assert_ptr_null(read);
    }
}
END_TEST

TCase *job_case(void)
{
    TCase *tc = dbtest_case("job");

    tcase_add_test(tc, runs_at_once);
    tcase_add_test(tc, whole_window);
    tcase_add_test(tc, open_window);
    tcase_add_test(tc, window_up_to_the_run);
    tcase_add_test(tc, starts_later);
    tcase_add_test(tc, started_in_the_past_is_now);
    tcase_add_test(tc, suspended_makes_no_run);
    tcase_add_test(tc, tells_the_worker);
    tcase_add_test(tc, family_follows_from_the_source);
    tcase_add_test(tc, encryption);
    tcase_add_test(tc, ids_are_of_one_sequence);
    tcase_add_test(tc, what_is_not_visible_is_not_there);
    tcase_add_test(tc, a_job_shows_its_latest_run);
    tcase_add_test(tc, filters_are_stored);
    tcase_add_test(tc, definition_is_what_was_sent);
    return tc;
}
