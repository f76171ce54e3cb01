/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_control.c: cancel, suspend, resume, replace and delete, and the rows that come of it; who
 * may; If-Match; many at once.
 */
#include "dbtest.h"
#include "controltest.h"
#include "queuetest.h"

#include <apr_strings.h>

#include "core/json.h"
#include "db/control.h"
#include "db/queue.h"
#include "db/installation.h"

#define NO_ID 9223372036854775807

const char *const controltest_change_names[] = {
    [UDM_CHANGE_CANCEL] = "job.cancel", [UDM_CHANGE_SUSPEND] = "job.suspend",
    [UDM_CHANGE_RESUME] = "job.resume", [UDM_CHANGE_REPLACE] = "job.replace",
    [UDM_CHANGE_DELETE] = "job.delete",
};

static apr_int64_t create(const udm_job_t *job)
{
    udm_job_info_t *info;

    dbtest_ok(
        udm_job_create(&info, pool, dbtest_httpd(), job, dbtest_audit(dbtest_principal("acme"))));
    return info->id;
}

static udm_error_t *change_as(udm_job_info_t **info, udm_change change, apr_int64_t id,
                              const udm_condition_t *condition, const udm_principal_t *who)
{
    udm_error_t *error =
        change == UDM_CHANGE_REPLACE
            ? udm_job_replace(info, pool, dbtest_httpd(), id, dbtest_job(), condition,
                              dbtest_audit(who))
            : udm_job_change(info, pool, dbtest_httpd(), change, id, condition, dbtest_audit(who));

    ck_assert_int_eq(PQtransactionStatus(dbtest_httpd()->conn), PQTRANS_IDLE);
    ck_assert(!*info == (error || change == UDM_CHANGE_DELETE));
    return error;
}

udm_error_t *controltest_change(udm_change change, apr_int64_t id)
{
    udm_job_info_t *info;
    udm_error_t *error = change_as(&info, change, id, NULL, dbtest_principal("acme"));

    if (info) {
        ck_assert_int_eq(info->id, id);
        ck_assert_str_eq(info->status,
                         dbtest_value(apr_psprintf(
                             pool, "SELECT status FROM udm.job WHERE id = %" APR_INT64_T_FMT, id)));
    }
    return error;
}

udm_error_t *controltest_run_delete(apr_int64_t id, const udm_principal_t *who)
{
    udm_error_t *error = udm_run_delete(pool, dbtest_httpd(), id, dbtest_audit(who));

    ck_assert_int_eq(PQtransactionStatus(dbtest_httpd()->conn), PQTRANS_IDLE);
    return error;
}

const char *controltest_state(apr_int64_t id)
{
    return dbtest_value(apr_psprintf(
        pool,
        "SELECT coalesce((SELECT concat(status, CASE WHEN suspended THEN '+s' END,"
        " CASE WHEN next_run_at IS NOT NULL THEN '+d' END,"
        " CASE WHEN latest_run_id IS NOT NULL THEN '+r' END) FROM udm.job WHERE id = %s), 'gone')"
        " || ' / ' || coalesce((SELECT string_agg(status, ' ' ORDER BY id) FROM udm.run"
        " WHERE job_id = %s), '')",
        udm_pg_int(pool, id), udm_pg_int(pool, id)));
}

const char *controltest_audits(const char *action, apr_int64_t id)
{
    return dbtest_value(apr_psprintf(pool,
                                     "SELECT count(*) FROM udm.audit WHERE action = '%s'"
                                     " AND object = '%" APR_INT64_T_FMT "' AND ccid = 'acme'"
                                     " AND subject = 'tester' AND client_address = '192.0.2.1'"
                                     " AND request_id = 'request-1'",
                                     action, id));
}

apr_int64_t controltest_only_run(void)
{
    return apr_atoi64(dbtest_value("SELECT id FROM udm.run"));
}

/* A worker takes the one run that waits. */
static udm_run_t *claim(void)
{
    udm_run_t *run;

    dbtest_ok(queuetest_claim(&run, pool, dbtest_worker(), "worker-1", 5));
    ck_assert_ptr_nonnull(run);
    return run;
}

apr_int64_t controltest_make(controltest_state_t name)
{
    bool again = name >= AGAIN_PLANNED;
    udm_job_t *job = dbtest_job();
    udm_run_t *run = NULL;
    apr_int64_t id;

    dbtest_exec("DELETE FROM udm.run; DELETE FROM udm.job");
    if (name == PLANNED || name == HALTED || name == CALLED_OFF || name == AGAIN_PLANNED) {
        dbtest_later(job);
    }
    job->suspended = name == HALTED;
    id = create(job);
    if (again) {
        dbtest_exec("UPDATE udm.job SET schedule_type = 'recurring'");
    }
    if (again && name < AGAIN_LAST) {
        dbtest_exec("UPDATE udm.job SET next_run_at = now() + interval '1 hour'");
    }
    if ((name >= RUNNING && name <= OVER) || name >= AGAIN_RUNNING) {
        run = claim();
    }
    if (name == HELD || name == WAITING || name == AGAIN_WAITING) {
        dbtest_ok(controltest_change(UDM_CHANGE_SUSPEND, id));
    }
    if (name == OVER || name == AGAIN_OVER) {
        dbtest_ok(udm_queue_fail(pool, dbtest_worker(), run, "a reason"));
    }
    if (name == BACK) {
        dbtest_ok(udm_queue_release(pool, dbtest_worker(), run, 0, false, NULL));
    }
    if (name == CALLED_OFF) {
        dbtest_ok(controltest_change(UDM_CHANGE_CANCEL, id));
    }
    dbtest_exec("ALTER TABLE udm.audit DISABLE TRIGGER USER; DELETE FROM udm.audit");
    return id;
}

/* Files of a record and of a job stay. */
START_TEST(files_stay)
{
    apr_int64_t id = controltest_make(RUNNING);
    apr_int64_t run_id = controltest_only_run();

    dbtest_exec(
        "INSERT INTO udm.file (name, run_id, job_id, ccid, source, type, job_title, part, size,"
        " sha256, expires_at) SELECT 'export-' || gen_random_uuid() || '.zip.smime', id, job_id,"
        " ccid, source, type, title, 1, 1, repeat('0a', 32), now() + interval '1 day' FROM udm.run;"
        "UPDATE udm.run SET status = 'COMPLETED'; UPDATE udm.job SET status = 'COMPLETED'");
    dbtest_ok(controltest_run_delete(run_id, dbtest_principal("acme")));
    dbtest_ok(controltest_change(UDM_CHANGE_DELETE, id));
    ck_assert_str_eq(controltest_state(id), "gone / ");
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.file WHERE removed_at IS NULL"), "1");
}
END_TEST

START_TEST(cancelled_run)
{
    apr_int64_t id = controltest_make(RUNNING);
    udm_job_info_t *info;
    udm_run_t *run;
    bool wanted;

    dbtest_exec("UPDATE udm.run SET status = 'QUEUED', worker_id = NULL");
    run = claim();
    dbtest_ok(change_as(&info, UDM_CHANGE_CANCEL, id, NULL, dbtest_principal("acme")));
    ck_assert_str_eq(info->status, "CANCELLED");
    ck_assert_str_eq(info->status_reason, "cancelled on request");
    ck_assert_str_eq(dbtest_value("SELECT concat_ws(' ', status, status_reason,"
                                  " finished_at >= started_at, worker_id) FROM udm.run"),
                     "CANCELLED cancelled on request t worker-1");
    /* The worker that holds it is told, and can end it in no other way any more. */
    dbtest_ok(queuetest_renew(&wanted, pool, dbtest_worker(), run, 50, 1));
    ck_assert(!wanted);
    dbtest_fails(udm_queue_fail(pool, dbtest_worker(), run, "no"), UDM_E_LOST, "");
    dbtest_fails(udm_queue_release(pool, dbtest_worker(), run, 0, false, NULL), UDM_E_LOST, "");
    ck_assert_str_eq(controltest_state(id), "CANCELLED+r / CANCELLED");

    /* Without a record of it the job itself says so. */
    id = controltest_make(PLANNED);
    dbtest_ok(change_as(&info, UDM_CHANGE_CANCEL, id, NULL, dbtest_principal("acme")));
    ck_assert_str_eq(info->status, "CANCELLED");
    ck_assert_str_eq(info->status_reason, "cancelled on request");

    id = controltest_make(QUEUED);
    dbtest_ok(controltest_change(UDM_CHANGE_DELETE, id));
    ck_assert_str_eq(dbtest_value("SELECT status_reason FROM udm.run"),
                     "cancelled because its job was deleted");
}
END_TEST

START_TEST(suspended_and_resumed_run)
{
    apr_int64_t id = controltest_make(QUEUED);
    const char *before, *held;
    udm_run_t *run, *next;
    bool wanted;

    run = claim();
    ck_assert_int_eq(run->attempt, 1);
    before = dbtest_value("SELECT concat_ws(' ', worker_id, attempt, export_id) FROM udm.run");
    dbtest_ok(controltest_change(UDM_CHANGE_SUSPEND, id));
    held = dbtest_value("SELECT concat_ws(' ', worker_id, attempt, export_id) FROM udm.run");
    ck_assert_str_eq(held, before);
    dbtest_ok(queuetest_renew(&wanted, pool, dbtest_worker(), run, 50, 1));
    ck_assert(!wanted);
    dbtest_ok(queuetest_claim(&next, pool, dbtest_worker(), "worker-2", 5));
    ck_assert_ptr_null(next);

    /* The attempt that was broken off is none; the fence of the old holder is no longer good. */
    dbtest_ok(controltest_change(UDM_CHANGE_RESUME, id));
    ck_assert_str_eq(dbtest_value("SELECT concat_ws(' ', status, attempt, worker_id IS NULL,"
                                  " ready_at <= now()) FROM udm.run"),
                     "QUEUED 0 t t");
    dbtest_fails(queuetest_renew(&wanted, pool, dbtest_worker(), run, 50, 1), UDM_E_LOST, "");
    next = claim();
    ck_assert_int_eq(next->attempt, 1);
    ck_assert_str_eq(next->previous_export_id, run->export_id);
    ck_assert_str_ne(next->export_id, run->export_id);
    dbtest_fails(queuetest_renew(&wanted, pool, dbtest_worker(), run, 50, 1), UDM_E_LOST, "");
    dbtest_ok(queuetest_renew(&wanted, pool, dbtest_worker(), next, 50, 1));
    ck_assert(wanted);

    /* What was only waiting keeps its attempts, and how long it is to wait. */
    dbtest_ok(udm_queue_release(pool, dbtest_worker(), next, 3600, true, NULL));
    before = dbtest_value("SELECT concat_ws(' ', attempt, ready_at) FROM udm.run");
    dbtest_ok(controltest_change(UDM_CHANGE_SUSPEND, id));
    dbtest_ok(controltest_change(UDM_CHANGE_RESUME, id));
    ck_assert_str_eq(dbtest_value("SELECT concat_ws(' ', attempt, ready_at) FROM udm.run"), before);
    ck_assert_int_eq(*before, '1');
}
END_TEST

/* What a worker waits for: new work, work that is off, and a job that is to rest. */
START_TEST(the_worker_is_told)
{
    static const struct {
        controltest_state_t from;
        udm_change change;
    } tests[] = {{RUNNING, UDM_CHANGE_CANCEL},  {RUNNING, UDM_CHANGE_SUSPEND},
                 {WAITING, UDM_CHANGE_RESUME},  {HALTED, UDM_CHANGE_RESUME},
                 {PLANNED, UDM_CHANGE_REPLACE}, {QUEUED, UDM_CHANGE_DELETE}};
    PGconn *conn = dbtest_worker()->conn;
    PGnotify *notify;
    size_t i;

    for (i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
        apr_int64_t id = controltest_make(tests[i].from);

        dbtest_ok(udm_installation_listen(pool, dbtest_worker()));
        while ((notify = PQnotifies(conn))) {
            PQfreemem(notify);
        }
        dbtest_ok(controltest_change(tests[i].change, id));
        dbtest_ok(udm_pg_exec(pool, dbtest_worker(), "SELECT 1"));
        ck_assert(PQconsumeInput(conn));
        notify = PQnotifies(conn);
        ck_assert_msg(notify, "test %d: nobody was told", (int)i);
        PQfreemem(notify);
        dbtest_ok(udm_pg_exec(pool, dbtest_worker(), "UNLISTEN *"));
        while ((notify = PQnotifies(conn))) {
            PQfreemem(notify);
        }
    }
}
END_TEST

/* A principal with the role Reader alone, as a key gives it. */
static udm_principal_t *key_of_reader(void)
{
    const char *text = dbtest_value("SELECT udm.create_api_key('acme', 'reads', '{Reader}')");
    udm_apikey_t key;

    ck_assert(udm_apikey_parse(&key, text));
    return dbtest_authenticated(&key, NULL);
}

/* Every change as somebody: each must fail alike, and leave all as it was. */
static void all_fail(const udm_principal_t *who, apr_int64_t id, apr_int64_t run,
                     udm_error_kind kind, const char *words)
{
    udm_condition_t any = {"*", UDM_V4};
    const char *before = controltest_state(id);
    udm_job_info_t *info;
    int c;

    for (c = UDM_CHANGE_CANCEL; c <= UDM_CHANGE_DELETE; c++) {
        dbtest_fails(change_as(&info, (udm_change)c, id, NULL, who), kind, words);
        dbtest_fails(change_as(&info, (udm_change)c, id, &any, who), kind, words);
    }
    dbtest_fails(controltest_run_delete(run, who), kind,
                 kind == UDM_E_NOT_FOUND ? "there is no history record with this id" : words);
    ck_assert_str_eq(controltest_state(id), before);
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.audit WHERE action LIKE 'job.%'"
                                  " OR action LIKE 'run.%'"),
                     "0");
}

START_TEST(who_may)
{
    static const controltest_state_t states[] = {QUEUED, RUNNING, OVER};
    size_t i;

    for (i = 0; i < sizeof(states) / sizeof(*states); i++) {
        apr_int64_t id = controltest_make(states[i]);
        apr_int64_t run = controltest_only_run();

        all_fail(dbtest_principal("other"), id, run, UDM_E_NOT_FOUND,
                 "there is no job with this id");
        all_fail(dbtest_principal_of("acme", "UCSX", "Interaction", true, true), id, run,
                 UDM_E_NOT_FOUND, "there is no job with this id");
        all_fail(dbtest_principal_of("acme", "UCS", "Interaction", false, true), id, run,
                 UDM_E_NOT_FOUND, "there is no job with this id");
        all_fail(dbtest_principal("acme"), NO_ID, NO_ID, UDM_E_NOT_FOUND,
                 "there is no job with this id");
        all_fail(dbtest_principal("acme"), run, id, UDM_E_NOT_FOUND,
                 "there is no job with this id");
        all_fail(dbtest_principal_of("acme", "UCS", "Interaction", true, false), id, run,
                 UDM_E_FORBIDDEN, "role that may change exports of type \"Interaction\"");
        all_fail(key_of_reader(), id, run, UDM_E_FORBIDDEN, "role");
    }
}
END_TEST

/* The tag that GET of a version shows. */
static const char *tag_of(apr_int64_t id, udm_version version)
{
    udm_principal_t *who = dbtest_principal("acme");
    udm_job_info_t *info;
    udm_job_t *job;

    if (version == UDM_V4) {
        dbtest_ok(udm_job_definition(&job, pool, dbtest_httpd(), who, id));
        return job->etag;
    }
    dbtest_ok(udm_job_get(&info, pool, dbtest_httpd(), who, id));
    return info->etag;
}

START_TEST(if_match)
{
    udm_principal_t *who = dbtest_principal("acme");
    udm_condition_t condition = {NULL, UDM_V10};
    udm_job_info_t *info;
    const char *tag, *old;
    apr_int64_t id;
    int c;

    for (c = UDM_CHANGE_CANCEL; c <= UDM_CHANGE_DELETE; c++) {
        id = controltest_make(PLANNED);
        tag = tag_of(id, UDM_V10);
        condition.if_match = "\"0123456789abcdef0123456789abcdef\"";
        dbtest_fails(change_as(&info, (udm_change)c, id, &condition, who), UDM_E_PRECONDITION,
                     "the job is not the one that If-Match names: read it again");
        condition.if_match = "W/\"0123456789abcdef0123456789abcdef\"";
        dbtest_fails(change_as(&info, (udm_change)c, id, &condition, who), UDM_E_PRECONDITION,
                     "read it again");
        condition.if_match = tag_of(id, UDM_V4); /* which is another representation */
        dbtest_fails(change_as(&info, (udm_change)c, id, &condition, who), UDM_E_PRECONDITION,
                     "read it again");
        ck_assert_str_eq(controltest_state(id), "SCHEDULED+d / ");
        ck_assert_str_eq(controltest_audits(controltest_change_names[c], id), "0");
        condition.if_match = apr_pstrcat(pool, "\"x\", ", tag, NULL);
        dbtest_ok(change_as(&info, (udm_change)c, id, &condition, who));
        condition.if_match = "*";
        id = controltest_make(PLANNED);
        dbtest_ok(change_as(&info, (udm_change)c, id, &condition, who));
        id = controltest_make(PLANNED);
        condition.if_match = apr_pstrcat(pool, "W/", tag_of(id, UDM_V10), NULL);
        dbtest_ok(change_as(&info, (udm_change)c, id, &condition, who));
    }
    /* A change makes another tag; in v4 only one of the definition does. */
    id = controltest_make(QUEUED);
    old = tag_of(id, UDM_V10);
    condition.if_match = tag_of(id, UDM_V4);
    condition.version = UDM_V4;
    claim();
    ck_assert_str_ne(tag_of(id, UDM_V10), old);
    ck_assert_str_eq(tag_of(id, UDM_V4), condition.if_match);
    dbtest_ok(change_as(&info, UDM_CHANGE_SUSPEND, id, &condition, who));
    dbtest_fails(change_as(&info, UDM_CHANGE_CANCEL, id, &condition, who), UDM_E_PRECONDITION,
                 "read it again"); /* "suspended" is part of the definition */
    dbtest_fails(change_as(&info, UDM_CHANGE_CANCEL, NO_ID, &condition, who), UDM_E_NOT_FOUND,
                 "there is no job with this id");
    /* As a proxy writes it that compresses, and what is none of ours, be it no text at all. */
    condition.if_match = apr_psprintf(pool, "\"\xff\", W/\"%.32s-gzip\"", tag_of(id, UDM_V4) + 1);
    dbtest_ok(change_as(&info, UDM_CHANGE_CANCEL, id, &condition, who));
    condition.if_match = "\"\xff\"";
    dbtest_fails(change_as(&info, UDM_CHANGE_DELETE, id, &condition, who), UDM_E_PRECONDITION,
                 "read it again");
}
END_TEST

/* What GET shows is never another thing under the same tag: neither of the job nor of its run. */
START_TEST(every_change_makes_another_tag)
{
    static const char *const changes[] = {"UPDATE udm.job SET title = 'new'",
                                          "UPDATE udm.job SET schedule = '{\"startDate\": "
                                          "\"2099-01-01\"}'", /* which v10 does not show */
                                          "UPDATE udm.job SET filters = '[{\"attribute\": \"a\", "
                                          "\"operator\": \"eq\","
                                          " \"value\": \"b\"}]'",
                                          "UPDATE udm.job SET suspended = true",
                                          "UPDATE udm.run_progress SET percent = 1",
                                          "UPDATE udm.run_progress SET percent = 2",
                                          "UPDATE udm.run SET status = 'FAILED', status_reason = "
                                          "'one';"
                                          " UPDATE udm.job SET latest_run_id = latest_run_id",
                                          "UPDATE udm.run SET status_reason = 'two'",
                                          "UPDATE udm.run SET file_name = 'export-a.zip.smime'",
                                          "UPDATE udm.run SET file_name = 'export-b.zip.smime'",
                                          "UPDATE udm.run SET file_size = 1",
                                          "UPDATE udm.job SET latest_run_id = NULL"};
    enum { OF_DEFINITION = 4 };
    apr_int64_t id = controltest_make(QUEUED);
    const char *tag, *definition;
    int i;

    claim();
    tag = tag_of(id, UDM_V10);
    definition = tag_of(id, UDM_V4);
    ck_assert_str_ne(tag, definition);
    for (i = 0; i < (int)(sizeof(changes) / sizeof(changes[0])); i++) {
        const char *before = tag, *definition_before = definition;

        ck_assert_str_eq(tag_of(id, UDM_V10), before);
        ck_assert_str_eq(tag_of(id, UDM_V4), definition_before);
        dbtest_exec(changes[i]);
        tag = tag_of(id, UDM_V10);
        definition = tag_of(id, UDM_V4);
        ck_assert_msg(strcmp(tag, before) != 0, "%s", changes[i]);
        ck_assert_msg((strcmp(definition, definition_before) != 0) == (i < OF_DEFINITION), "%s",
                      changes[i]);
    }
}
END_TEST

/* The ids in `array`, with blanks between them. */
static const char *ids_text(const apr_array_header_t *array)
{
    const char *text = "";
    int i;

    for (i = 0; i < array->nelts; i++) {
        text = apr_psprintf(pool, "%s%s%" APR_INT64_T_FMT, text, i > 0 ? " " : "",
                            APR_ARRAY_IDX(array, i, apr_int64_t));
    }
    return text;
}

START_TEST(many)
{
    apr_array_header_t *ids = apr_array_make(pool, 8, sizeof(apr_int64_t));
    apr_array_header_t *runs = apr_array_make(pool, 8, sizeof(apr_int64_t));
    const udm_audit_t *audit = dbtest_audit(dbtest_principal("acme"));
    apr_array_header_t *left;
    apr_int64_t running = controltest_make(RUNNING);
    apr_int64_t busy = controltest_only_run();
    udm_job_t *contact = dbtest_job();
    apr_int64_t a, b, c;

    contact->type = "Contact";
    a = create(dbtest_job());
    b = create(contact);
    c = create(dbtest_job());
    APR_ARRAY_PUSH(ids, apr_int64_t) = c;
    APR_ARRAY_PUSH(ids, apr_int64_t) = NO_ID;
    APR_ARRAY_PUSH(ids, apr_int64_t) = running;
    APR_ARRAY_PUSH(ids, apr_int64_t) = a;
    APR_ARRAY_PUSH(ids, apr_int64_t) = b;
    APR_ARRAY_PUSH(ids, apr_int64_t) = c;
    dbtest_ok(udm_job_delete_many(
        &left, pool, dbtest_httpd(), false, ids,
        dbtest_audit(dbtest_principal_of("acme", "UCS", "Interaction", true, false))));
    ck_assert_str_eq(ids_text(left), ids_text(ids));
    dbtest_ok(udm_job_delete_many(
        &left, pool, dbtest_httpd(), false, ids,
        dbtest_audit(dbtest_principal_of("acme", "UCS", "Interaction", true, true))));
    ck_assert_str_eq(ids_text(left), apr_psprintf(pool,
                                                  "%" APR_INT64_T_FMT " %" APR_INT64_T_FMT
                                                  " %" APR_INT64_T_FMT " %" APR_INT64_T_FMT,
                                                  (apr_int64_t)NO_ID, running, b, c));
    ck_assert_str_eq(dbtest_value("SELECT string_agg(id::text, ' ' ORDER BY id) FROM udm.job"),
                     apr_psprintf(pool, "%" APR_INT64_T_FMT " %" APR_INT64_T_FMT, running, b));
    ck_assert_str_eq(controltest_audits("job.delete", a), "1");
    ck_assert_str_eq(controltest_audits("job.delete", c), "1");

    APR_ARRAY_PUSH(runs, apr_int64_t) = c + 1;
    APR_ARRAY_PUSH(runs, apr_int64_t) = c;
    APR_ARRAY_PUSH(runs, apr_int64_t) = busy;
    APR_ARRAY_PUSH(runs, apr_int64_t) = b + 1;
    dbtest_ok(udm_job_delete_many(&left, pool, dbtest_httpd(), true, runs, audit));
    ck_assert_str_eq(ids_text(left),
                     apr_psprintf(pool, "%" APR_INT64_T_FMT " %" APR_INT64_T_FMT, c, busy));
    ck_assert_str_eq(controltest_state(b), "CANCELLED / ");
    ck_assert_str_eq(controltest_audits("run.delete", b + 1), "1");

    runs->nelts = 0;
    dbtest_ok(udm_job_delete_many(&left, pool, dbtest_httpd(), true, runs, audit));
    ck_assert_int_eq(left->nelts, 0);
}
END_TEST

/* An error of the database is none of the ids. */
START_TEST(many_without_a_database)
{
    apr_array_header_t *ids = apr_array_make(pool, 8, sizeof(apr_int64_t));
    udm_pg_t *db = udm_pg_wrap(pool, dbtest_httpd()->conn);
    apr_array_header_t *left;

    APR_ARRAY_PUSH(ids, apr_int64_t) = NO_ID;
    APR_ARRAY_PUSH(ids, apr_int64_t) = controltest_make(QUEUED);
    dbtest_kill_connections();
    dbtest_fails(
        udm_job_delete_many(&left, pool, db, false, ids, dbtest_audit(dbtest_principal("acme"))),
        UDM_E_DATABASE, "does not answer");
    ck_assert_int_eq(left->nelts, 0);
    PQreset(db->conn);
    dbtest_ok(
        udm_job_delete_many(&left, pool, db, false, ids, dbtest_audit(dbtest_principal("acme"))));
    ck_assert_int_eq(left->nelts, 1);
}
END_TEST

TCase *control_case(void)
{
    TCase *tc = dbtest_case("control");

    tcase_add_test(tc, files_stay);
    tcase_add_test(tc, cancelled_run);
    tcase_add_test(tc, suspended_and_resumed_run);
    tcase_add_test(tc, the_worker_is_told);
    tcase_add_test(tc, who_may);
    tcase_add_test(tc, if_match);
    tcase_add_test(tc, every_change_makes_another_tag);
    tcase_add_test(tc, many);
    tcase_add_test(tc, many_without_a_database);
    return tc;
}
