/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ends.c: jobs, runs and files of a data type that is not registered any more, why something
 * waits, and who works; as the roles udm_httpd and udm_worker.
 */
#include "dbtest.h"

#include <string.h>

#include <apr_strings.h>

#include "queuetest.h"
#include "db/catalog.h"
#include "db/control.h"
#include "db/installation.h"
#include "db/job.h"
#include "db/retention.h"
#include "db/row.h"

#define GONE "type \"Task\" of source \"iWD\" is not registered any more"

/* Somebody of acme who has a role by its token, as httpd finds it out now. */
static udm_principal_t *with_role(const char *ccid, const char *role)
{
    udm_token_claims_t *claims = apr_pcalloc(pool, sizeof(*claims));

    claims->subject = "jane";
    claims->ccid = ccid;
    claims->roles = apr_array_make(pool, 1, sizeof(const char *));
    APR_ARRAY_PUSH(claims->roles, const char *) = role;
    return dbtest_authenticated(NULL, claims);
}

static udm_principal_t *owner(void)
{
    return with_role("acme", "iWD Administrator");
}

/* A recurring job of acme's iWD/Task that is due now; its run is queued. */
static apr_int64_t task_job(void)
{
    udm_job_t *job = dbtest_job();
    udm_job_info_t *info;

    job->family = "DataSync";
    job->source = "iWD";
    job->type = "Task";
    dbtest_schedule(job, "{'immediately':true,'cron':'0 2 * * *'}");
    dbtest_ok(udm_job_create(&info, pool, dbtest_httpd(), job, dbtest_audit(owner())));
    return info->id;
}

static udm_error_t *change(udm_change change, apr_int64_t id)
{
    udm_job_info_t *info;

    return udm_job_change(&info, pool, dbtest_httpd(), change, id, NULL, dbtest_audit(owner()));
}

/* What the API shows of a job, or of the latest run. */
static udm_job_info_t *shown(apr_int64_t id)
{
    udm_job_info_t *info;

    dbtest_ok(udm_job_get(&info, pool, dbtest_httpd(), owner(), id));
    return info;
}

static udm_job_info_t *shown_run(void)
{
    udm_job_info_t *info;

    dbtest_ok(udm_run_get(&info, pool, dbtest_httpd(), with_role("acme", "Reader"),
                          apr_atoi64(dbtest_value("SELECT max(id) FROM udm.run"))));
    return info;
}

static const char *states(void)
{
    return dbtest_value(
        "SELECT concat_ws(' ', j.status, j.suspended, r.status, r.worker_id, r.attempt)"
        " FROM udm.job j LEFT JOIN udm.run r ON r.id = j.latest_run_id");
}

static void remove_by_hand(void)
{
    dbtest_exec("DELETE FROM udm.data_type WHERE source = 'iWD' AND name = 'Task'");
}

static void narrow(void)
{
    dbtest_exec(
        "UPDATE udm.data_type SET tenants = '{other}' WHERE source = 'iWD' AND name = 'Task'");
}

static void remove_source_by_hand(void)
{
    dbtest_exec("DELETE FROM udm.data_type WHERE source = 'iWD';"
                "DELETE FROM udm.source WHERE name = 'iWD'");
}

static void (*const ways[])(void) = {remove_by_hand, narrow, remove_source_by_hand};

/* However the type goes, the owner sees the job and can end it, and nobody sees the type. */
START_TEST(owners_keep_what_is_gone)
{
    apr_int64_t id = task_job();
    apr_array_header_t *list;
    udm_job_info_t *info;
    udm_error_t *error;

    ways[_i]();
    ck_assert_str_eq(shown(id)->status, "SUSPENDED");
    ck_assert_str_eq(shown(id)->status_reason, GONE);
    ck_assert_str_eq(states(), "SUSPENDED t SUSPENDED 0");
    /* Others are where they were. */
    error = udm_job_get(&info, pool, dbtest_httpd(), with_role("acme", "UDM UCSX Exporter"), id);
    dbtest_fails(error, UDM_E_NOT_FOUND, "no job");
    error = udm_job_get(&info, pool, dbtest_httpd(), with_role("other", "iWD Administrator"), id);
    dbtest_fails(error, UDM_E_NOT_FOUND, "no job");
    /* The catalog has it no more. */
    dbtest_ok(udm_catalog_types(&list, pool, dbtest_httpd(), owner(), NULL));
    ck_assert_int_eq(list->nelts, 0);
    dbtest_ok(udm_catalog_sources(&list, pool, dbtest_httpd(), owner()));
    ck_assert_int_eq(list->nelts, 0);
    /* No run of it is made or taken, and it is not resumed. */
    dbtest_fails(change(UDM_CHANGE_RESUME, id), UDM_E_INVALID, "not registered any more");
    ck_assert_ptr_null(queuetest_claimed("w/1"));
    if (_i % 2) {
        dbtest_ok(change(UDM_CHANGE_CANCEL, id));
    }
    dbtest_ok(change(UDM_CHANGE_DELETE, id));
    ck_assert_str_eq(dbtest_value("SELECT string_agg(status, ' ') FROM udm.run"), "CANCELLED");
}
END_TEST

/* Whatever names a new job that is not possible says what is there, and that is not the gone one. */
START_TEST(nothing_new_of_what_is_gone)
{
    udm_job_t *job = dbtest_job();
    udm_job_info_t *info;
    udm_error_t *error;

    task_job();
    remove_by_hand();
    job->family = "DataSync";
    job->source = "iWD";
    job->type = "Task";
    error = udm_job_create(&info, pool, dbtest_httpd(), job, dbtest_audit(owner()));
    dbtest_fault(error, "/source", "there is none that you may export");
}
END_TEST

START_TEST(registered_again)
{
    apr_int64_t id = task_job();

    remove_by_hand();
    dbtest_exec("SELECT udm.register_type('iWD', 'Task', 'demo.task', 'id', tenants => '{acme}')");
    ck_assert_str_eq(shown(id)->status, "SUSPENDED");
    ck_assert_ptr_nonnull(strstr(shown(id)->status_reason, "is again: resume the job"));
    dbtest_ok(change(UDM_CHANGE_RESUME, id));
    ck_assert_str_eq(states(), "QUEUED f QUEUED 0");
    ck_assert_ptr_null(shown(id)->status_reason);
    ck_assert_ptr_nonnull(queuetest_claimed("w/1"));
}
END_TEST

/* A job that was stored while its type went is met by a worker, which holds it. */
START_TEST(a_worker_holds_what_is_gone)
{
    apr_int64_t id = task_job();
    udm_run_t *run;

    remove_by_hand();
    dbtest_exec("UPDATE udm.run SET status = 'QUEUED', status_reason = NULL;"
                "UPDATE udm.job SET status = 'QUEUED', suspended = false, status_reason = NULL");
    run = queuetest_claimed("w/1");
    dbtest_ok(udm_queue_hold(pool, dbtest_worker(), run));
    ck_assert_str_eq(shown(id)->status_reason, GONE);
    ck_assert_str_eq(states(), "SUSPENDED t SUSPENDED 0");
    dbtest_fails(udm_queue_hold(pool, dbtest_worker(), run), UDM_E_LOST, "");
    dbtest_ok(change(UDM_CHANGE_CANCEL, id));
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.audit WHERE action = 'job.suspend'"
                                  " AND ccid = 'acme'"),
                     "2");
}
END_TEST

/* One that was only renamed since the claim goes back into the queue. */
START_TEST(a_worker_does_not_hold_what_was_renamed)
{
    udm_run_t *run;

    task_job();
    run = queuetest_claimed("w/1");
    dbtest_ok(udm_queue_hold(pool, dbtest_worker(), run));
    ck_assert_str_eq(states(), "QUEUED f QUEUED 0");
    run = queuetest_claimed("w/1");
    dbtest_exec("SELECT udm.rename_type('iWD', 'Task', 'Item')");
    ck_assert_str_eq(states(), "QUEUED f QUEUED 0");
    dbtest_fails(udm_queue_hold(pool, dbtest_worker(), run), UDM_E_LOST, "");
    run = queuetest_claimed("w/2");
    ck_assert_str_eq(run->type, "Item");
}
END_TEST

/* ---- why it waits ---- */

static void beat(const char *id, const char *state)
{
    udm_heartbeat_t heartbeat = {
        .id = id, .host = "h", .pid = 1, .version = "1", .slots = 2, .state = state};

    dbtest_ok(udm_heartbeat_write(pool, dbtest_worker(), &heartbeat));
}

static void ago(const char *interval)
{
    dbtest_exec(
        apr_psprintf(pool, "UPDATE udm.worker SET seen_at = now() - interval '%s'", interval));
}

START_TEST(what_the_last_attempt_failed_of)
{
    udm_job_info_t *info;
    apr_int64_t id;
    udm_run_t *run;
    const char *words;

    queuetest_queued("x");
    id = apr_atoi64(dbtest_value("SELECT id FROM udm.job"));
    dbtest_exec("UPDATE udm.job SET latest_run_id = (SELECT id FROM udm.run)");
    ck_assert_ptr_null(shown_run()->status_reason);
    run = queuetest_claimed("w/1");
    dbtest_ok(
        udm_queue_release(pool, dbtest_worker(), run, 600, true, "the source does not answer"));
    words = apr_psprintf(
        pool, "attempt 1 failed: the source does not answer; the next one is due at %s",
        dbtest_value("SELECT to_char(ready_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
                     " FROM udm.run"));
    ck_assert_str_eq(shown_run()->status_reason, words);
    dbtest_ok(udm_job_get(&info, pool, dbtest_httpd(), with_role("acme", "Reader"), id));
    ck_assert_str_eq(info->status, "QUEUED");
    ck_assert_str_eq(info->status_reason, words);
    /* Handed back, it keeps what is known. */
    dbtest_exec("UPDATE udm.run SET ready_at = now()");
    run = queuetest_claimed("w/1");
    ck_assert_ptr_null(shown_run()->status_reason);
    dbtest_ok(udm_queue_release(pool, dbtest_worker(), run, 0, false, NULL));
    ck_assert_ptr_nonnull(strstr(shown_run()->status_reason, "attempt 1 failed: the source"));
    /* Somebody suspended it: that is why it does not run. */
    dbtest_ok(udm_job_change(&info, pool, dbtest_httpd(), UDM_CHANGE_SUSPEND, id, NULL,
                             dbtest_audit(with_role("acme", "UDM UCSX Exporter"))));
    ck_assert_str_eq(info->status, "SUSPENDED");
    ck_assert_ptr_null(info->status_reason);
    ck_assert_ptr_null(shown_run()->status_reason);
}
END_TEST

START_TEST(what_a_window_waits_for)
{
    queuetest_queued("x");
    dbtest_exec(
        "UPDATE udm.run SET moves_watermark = true, ready_at = now() + interval '1 minute'");
    ck_assert_ptr_nonnull(strstr(shown_run()->status_reason, "its window settles until 2"));
    dbtest_exec("UPDATE udm.run SET settle_since = '2026-01-02 03:04:05Z'");
    ck_assert_str_eq(shown_run()->status_reason, "waits for transactions in the source that began"
                                                 " before 2026-01-02T03:04:05Z");
}
END_TEST

START_TEST(whether_it_is_too_many)
{
    queuetest_queued("first");
    queuetest_claimed("w/1");
    queuetest_queued("x");
    dbtest_exec("UPDATE udm.run SET ready_at = now() - interval '31 seconds'"
                " WHERE status = 'QUEUED'; SELECT udm.set_quota('acme', running => 2)");
    beat("w", "ready");
    ck_assert_str_eq(shown_run()->status_reason, "waits for a free slot of a worker");
    dbtest_exec("SELECT udm.set_quota('acme', running => 1)");
    ck_assert_str_eq(shown_run()->status_reason, "at most 1 export of the contact center at once");
}
END_TEST

START_TEST(whether_anybody_works)
{
    queuetest_queued("x");
    ck_assert_ptr_null(shown_run()->status_reason);
    dbtest_exec("UPDATE udm.run SET ready_at = now() - interval '31 seconds'");
    ck_assert_str_eq(shown_run()->status_reason, "no worker has been seen yet");
    beat("w", "ready");
    ck_assert_str_eq(shown_run()->status_reason, "waits for a free slot of a worker");
    beat("w", "no-store");
    ck_assert_str_eq(shown_run()->status_reason, "no worker can use its store");
    beat("w", "ending");
    ck_assert_ptr_nonnull(strstr(shown_run()->status_reason, "it is ending"));
    dbtest_exec("UPDATE udm.worker SET seen_at = '2026-01-02 03:04:05Z'");
    ck_assert_str_eq(shown_run()->status_reason,
                     "no worker has been seen since 2026-01-02T03:04:05Z");
    beat("w", "ended");
    ck_assert_ptr_nonnull(strstr(shown_run()->status_reason, "no worker has been seen since 2"));
    beat("v", "ready");
    ck_assert_str_eq(shown_run()->status_reason, "waits for a free slot of a worker");
    /* What goes on, but nobody is there. */
    dbtest_exec("UPDATE udm.run SET status = 'IN_PROGRESS'");
    ck_assert_ptr_null(shown_run()->status_reason);
    ago("1 minute");
    ck_assert_ptr_nonnull(
        strstr(shown_run()->status_reason, "interrupted; no worker has been seen"));
    dbtest_exec("UPDATE udm.run SET status = 'COMPLETED'");
    ck_assert_ptr_null(shown_run()->status_reason);
}
END_TEST

/* What a statement does to udm.worker, as PostgreSQL tells it. */
static const char *scans_of_workers(const char *sql)
{
    const char *found = "";
    udm_result_t *plan;
    int i;

    dbtest_ok(udm_pg_query_text(
        &plan, pool, dbtest_admin(),
        apr_pstrcat(pool, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ", sql, NULL), 0,
        NULL));
    for (i = 0; i < plan->rows; i++) {
        const char *line = udm_result_text(plan, i, 0);
        const char *at = strstr(line, " on worker");

        if (at) {
            found = apr_pstrcat(pool, found, strchr(at, '(') ? strchr(at, '(') : at, ";", NULL);
        }
    }
    return found;
}

/* However many wait, who works is asked once; and not at all where nothing waits. */
START_TEST(who_works_is_asked_once)
{
    static const char runs[] = "SELECT " UDM_RUN_COLUMNS " FROM " UDM_RUN_TABLES;
    static const char jobs[] = "SELECT " UDM_JOB_COLUMNS " FROM " UDM_JOB_TABLES;
    const char *const lists[] = {runs, jobs};
    const char *scans;
    unsigned i;

    for (i = 0; i < 20; i++) {
        queuetest_queued("x");
    }
    dbtest_exec(
        "UPDATE udm.job j SET latest_run_id = (SELECT id FROM udm.run r WHERE r.job_id = j.id);"
        "UPDATE udm.run SET ready_at = now() - interval '1 minute'");
    for (i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        scans = scans_of_workers(lists[i]);
        ck_assert_msg(strstr(scans, "loops=1)") && !strstr(scans, "loops=2"), "%s", scans);
    }
    dbtest_exec("UPDATE udm.run SET status = 'COMPLETED'; UPDATE udm.job SET status = 'COMPLETED'");
    for (i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        scans = scans_of_workers(lists[i]);
        ck_assert_msg(strstr(scans, "never executed") && !strstr(scans, "loops"), "%s", scans);
    }
}
END_TEST

START_TEST(a_job_that_was_due)
{
    apr_int64_t id = apr_atoi64(queuetest_planned("now() - interval '1 minute'", "false"));
    udm_principal_t *who = with_role("acme", "Reader");
    udm_job_info_t *info;

    dbtest_ok(udm_job_get(&info, pool, dbtest_httpd(), who, id));
    ck_assert_str_eq(info->status, "SCHEDULED");
    ck_assert_ptr_nonnull(strstr(info->status_reason, "it was due at 2"));
    ck_assert_ptr_nonnull(strstr(info->status_reason, "Z; no worker has been seen yet"));
    dbtest_exec("UPDATE udm.job SET next_run_at = now() + interval '1 minute'");
    dbtest_ok(udm_job_get(&info, pool, dbtest_httpd(), who, id));
    ck_assert_ptr_null(info->status_reason);
}
END_TEST

START_TEST(workers_are_forgotten)
{
    beat("old", "ready");
    beat("gone", "ended");
    ago("25 hours");
    beat("new", "ready");
    dbtest_ok(udm_heartbeat_forget(pool, dbtest_worker(), "old"));
    ck_assert_str_eq(dbtest_value("SELECT string_agg(id, ' ' ORDER BY id) FROM udm.worker"),
                     "new old");
    dbtest_ok(udm_heartbeat_forget(pool, dbtest_worker(), "new"));
    ck_assert_str_eq(dbtest_value("SELECT string_agg(id, ' ' ORDER BY id) FROM udm.worker"), "new");
}
END_TEST

/* ---- growth ---- */

static apr_int64_t purged(udm_retention_kind kind, int days)
{
    apr_int64_t gone, total = 0, after = 0;

    do {
        dbtest_ok(udm_retention_purge(&gone, &after, pool, dbtest_worker(), kind, days));
        total += gone;
    } while (after > 0);
    return total;
}

static const char *titles(const char *table)
{
    return dbtest_value(
        apr_psprintf(pool, "SELECT string_agg(title, ' ' ORDER BY title) FROM udm.%s", table));
}

/* A job and its run, both of so many days ago; `run` and `next` are more of each. */
static void old_run(const char *title, int days, const char *status, const char *next)
{
    queuetest_queued(title);
    dbtest_exec(apr_psprintf(
        pool,
        "UPDATE udm.job SET status = '%s', created_at = now() - interval '%d days',"
        " changed_at = now() - interval '%d days', next_run_at = %s,"
        " latest_run_id = (SELECT max(id) FROM udm.run) WHERE title = '%s';"
        "UPDATE udm.run SET status = '%s', created_at = now() - interval '%d days',"
        " finished_at = CASE WHEN '%s' IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED') THEN NULL"
        " ELSE now() - interval '%d days' END WHERE title = '%s'",
        status, days, days, next, title, status, days, status, days, title));
}

START_TEST(history_ends)
{
    old_run("a-done", 20, "COMPLETED", "NULL");
    old_run("b-failed", 20, "FAILED", "NULL");
    old_run("c-young", 5, "COMPLETED", "NULL");
    old_run("d-waits", 20, "QUEUED", "NULL");
    old_run("e-suspended", 20, "SUSPENDED", "NULL");
    old_run("f-recurs", 20, "COMPLETED", "now() + interval '1 day'");
    old_run("g-file", 20, "COMPLETED", "NULL");
    dbtest_exec(
        "INSERT INTO udm.file (name, run_id, job_id, ccid, source, type, job_title, part,"
        " size, sha256, expires_at) SELECT 'export-' || gen_random_uuid() || '.zip.smime', id,"
        " job_id, ccid, source, type, title, 1, 1, repeat('0a', 32), now() + interval '1 day'"
        " FROM udm.run WHERE title = 'g-file';"
        /* a record that is no longer the latest of a job that goes on */
        "INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, status,"
        " created_at, finished_at) SELECT job_id, ccid, source, type, 'f-earlier', true,"
        " 'COMPLETED', created_at, finished_at FROM udm.run WHERE title = 'f-recurs';"
        /* a job that was cancelled before it had any */
        "INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type,"
        " schedule, status, created_at, changed_at) SELECT ccid, family, source, type, t,"
        " true, 'once', '{}', 'CANCELLED', created_at, now() - i FROM udm.job,"
        " (VALUES ('h-never', interval '20 days'), ('i-lately', interval '0 days')) v (t, i)"
        " WHERE title = 'a-done'");
    ck_assert_int_eq(purged(UDM_RETENTION_RUNS, 10), 3);
    ck_assert_str_eq(titles("run"), "c-young d-waits e-suspended f-recurs g-file");
    ck_assert_str_eq(titles("job"), "c-young d-waits e-suspended f-recurs g-file h-never i-lately");
    ck_assert_int_eq(purged(UDM_RETENTION_JOBS, 10), 1);
    ck_assert_str_eq(titles("job"), "c-young d-waits e-suspended f-recurs g-file i-lately");
    ck_assert_int_eq(purged(UDM_RETENTION_RUNS, 10), 0);
    dbtest_exec("UPDATE udm.file SET removed_at = now(), removal = 'expired', purged_at = now()");
    ck_assert_int_eq(purged(UDM_RETENTION_RUNS, 10), 1);
    ck_assert_str_eq(dbtest_value("SELECT sum(rows) = (SELECT count(*) FROM udm.run)"
                                  " FROM udm.run_count"),
                     "t");
    ck_assert_str_eq(dbtest_value("SELECT string_agg(detail ->> 'runs', ' ' ORDER BY id)"
                                  " FROM udm.audit WHERE action = 'history.purge'"),
                     "3 0 1");
}
END_TEST

/* More than one batch, the young behind the old and among them. */
START_TEST(history_ends_in_steps)
{
    dbtest_exec("INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, status,"
                " created_at, finished_at) SELECT n, 'acme', 'UCS', 'Interaction', 't', true,"
                " CASE WHEN n % 10 = 0 THEN 'SUSPENDED' ELSE 'COMPLETED' END, at, at"
                " FROM (SELECT n, now() - (8000 - n) * interval '1 hour' AS at"
                " FROM generate_series(1, 8000) n) x");
    ck_assert_int_eq(purged(UDM_RETENTION_RUNS, 100), 5600 - 560);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run WHERE status = 'COMPLETED' AND"
                                  " finished_at < now() - interval '100 days'"),
                     "0");
    ck_assert_str_eq(dbtest_value("SELECT sum(rows) = (SELECT count(*) FROM udm.run)"
                                  " FROM udm.run_count"),
                     "t");
}
END_TEST

START_TEST(tombstones_end)
{
    dbtest_exec(
        "INSERT INTO udm.file (name, run_id, job_id, ccid, source, type, job_title, part,"
        " size, sha256, created_at, expires_at, removed_at, removal, purged_at)"
        " SELECT 'export-' || gen_random_uuid() || '.zip.smime', 1, 1, 'acme', 'UCS',"
        " 'Interaction', t, 1, 1, repeat('0a', 32), now() - interval '50 days', now(), removed,"
        " CASE WHEN removed IS NOT NULL THEN 'expired' END, purged FROM (VALUES"
        " ('there', NULL::timestamptz, NULL::timestamptz),"
        " ('leaving', now() - interval '20 days', NULL),"
        " ('gone', now() - interval '20 days', now() - interval '20 days'),"
        " ('lately', now(), now())) v (t, removed, purged)");
    ck_assert_int_eq(purged(UDM_RETENTION_FILES, 10), 1);
    ck_assert_str_eq(
        dbtest_value("SELECT string_agg(job_title, ' ' ORDER BY job_title) FROM udm.file"),
        "lately leaving there");
}
END_TEST

START_TEST(the_audit_ends)
{
    apr_int64_t gone, after = 0;

    dbtest_exec("INSERT INTO udm.audit (at, action)"
                " SELECT now() - n * interval '1 day' + interval '1 hour', 'old'"
                " FROM generate_series(5000, 1, -1) n");
    /* Never what is young, whoever asks. */
    dbtest_fails(udm_retention_purge(&gone, &after, pool, dbtest_worker(), UDM_RETENTION_AUDIT, 29),
                 UDM_E_INTERNAL, "");
    ck_assert_int_eq(purged(UDM_RETENTION_AUDIT, 40), 4960);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.audit WHERE action = 'old'"), "40");
    ck_assert_str_eq(dbtest_value("SELECT sum((detail ->> 'rows')::int) FROM udm.audit"
                                  " WHERE action = 'audit.purge'"),
                     "4960");
}
END_TEST

/* One at a time: whoever comes meanwhile leaves it. */
START_TEST(one_worker_purges)
{
    old_run("a", 20, "COMPLETED", "NULL");
    dbtest_exec("BEGIN; SELECT udm.purge_audit(30, 0, 10)");
    ck_assert_int_eq(purged(UDM_RETENTION_RUNS, 10), 0);
    dbtest_exec("COMMIT");
    ck_assert_int_eq(purged(UDM_RETENTION_RUNS, 10), 1);
}
END_TEST

START_TEST(gone_types_are_forgotten)
{
    apr_int64_t id = task_job();

    remove_by_hand();
    dbtest_ok(udm_retention_forget_types(pool, dbtest_worker()));
    ck_assert_str_eq(shown(id)->status, "SUSPENDED");
    dbtest_ok(change(UDM_CHANGE_DELETE, id));
    dbtest_exec("DELETE FROM udm.run");
    dbtest_ok(udm_retention_forget_types(pool, dbtest_worker()));
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.gone_type"), "0");
}
END_TEST

TCase *ends_case(void)
{
    TCase *tc = dbtest_case("ends");

    tcase_add_loop_test(tc, owners_keep_what_is_gone, 0, sizeof(ways) / sizeof(*ways));
    tcase_add_test(tc, nothing_new_of_what_is_gone);
    tcase_add_test(tc, registered_again);
    tcase_add_test(tc, a_worker_holds_what_is_gone);
    tcase_add_test(tc, a_worker_does_not_hold_what_was_renamed);
    tcase_add_test(tc, what_the_last_attempt_failed_of);
    tcase_add_test(tc, what_a_window_waits_for);
    tcase_add_test(tc, whether_it_is_too_many);
    tcase_add_test(tc, whether_anybody_works);
    tcase_add_test(tc, who_works_is_asked_once);
    tcase_add_test(tc, a_job_that_was_due);
    tcase_add_test(tc, workers_are_forgotten);
    tcase_add_test(tc, history_ends);
    tcase_add_test(tc, history_ends_in_steps);
    tcase_add_test(tc, tombstones_end);
    tcase_add_test(tc, the_audit_ends);
    tcase_add_test(tc, one_worker_purges);
    tcase_add_test(tc, gone_types_are_forgotten);
    return tc;
}
