/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_race.c: clients that change one job at random while workers schedule, claim and end its
 * runs: whatever meets whatever, the rows stay true to each other.
 */
#include "dbtest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "core/text.h"
#include "db/control.h"
#include "queuetest.h"

#define CLIENTS 3
#define WORKERS 2
#define TURNS   250 /* of each client */

/* What all threads share. The id is that of the job as it is now. */
typedef struct race_t {
    _Atomic apr_int64_t id;
    atomic_bool over;
    const udm_audit_t *audit;
} race_t;

typedef struct racer_t {
    race_t *race;
    apr_pool_t *pool;
    udm_pg_t *db;
    unsigned seed;
    udm_job_t now, later;
    int changed; /* what went well */
    int refused; /* what the state did not allow, or came too late */
    udm_error_t *error;
    pthread_t thread;
} racer_t;

static unsigned chance(racer_t *racer, unsigned of)
{
    racer->seed = racer->seed * 1103515245u + 12345u;
    return (racer->seed >> 16) % of;
}

/* Counts what may happen; keeps the first of all other errors. */
static bool expected(racer_t *racer, const udm_error_t *error, udm_error_kind a, udm_error_kind b)
{
    if (!error) {
        racer->changed++;
        return true;
    }
    if (error->kind == a || error->kind == b) {
        racer->refused++;
        return true;
    }
    if (!racer->error) {
        racer->error = udm_error_copy(racer->pool, error);
    }
    return false;
}

/* Something is due again, as a recurrence would make it. */
static udm_error_t *plan_next(apr_pool_t *p, udm_pg_t *db, apr_int64_t id)
{
    static const udm_statement_t statement = {
        "test_race_plan", "UPDATE udm.job SET next_run_at = now(), schedule_type = 'recurring'"
                          " WHERE id = $1::bigint"};
    const char *value = udm_pg_int(p, id);
    udm_result_t *result;

    return udm_pg_query(&result, p, db, &statement, 1, &value);
}

/* Deletes one of the job's records, whichever. */
static udm_error_t *delete_record(racer_t *racer, apr_pool_t *p, apr_int64_t id)
{
    static const udm_statement_t statement = {"test_race_records",
                                              "SELECT id FROM udm.run WHERE job_id = $1::bigint"
                                              " ORDER BY hashint8(id + $2::bigint) LIMIT 1"};
    const char *values[2] = {udm_pg_int(p, id), udm_pg_int(p, chance(racer, 1000))};
    udm_result_t *row;
    udm_error_t *error = udm_pg_query(&row, p, racer->db, &statement, 2, values);

    if (error || row->rows == 0) {
        return error;
    }
    return udm_run_delete(p, racer->db, udm_result_int(row, 0, 0), racer->race->audit);
}

/* One change of a client. */
static udm_error_t *one_change(racer_t *racer, apr_pool_t *p)
{
    race_t *race = racer->race;
    apr_int64_t id = race->id;
    udm_job_info_t *info;
    udm_error_t *error;
    unsigned what = chance(racer, 16);

    if (what < 3) {
        return udm_job_change(&info, p, racer->db, UDM_CHANGE_CANCEL, id, NULL, race->audit);
    }
    if (what < 6) {
        return udm_job_change(&info, p, racer->db, UDM_CHANGE_SUSPEND, id, NULL, race->audit);
    }
    if (what < 9) {
        return udm_job_change(&info, p, racer->db, UDM_CHANGE_RESUME, id, NULL, race->audit);
    }
    if (what < 11) {
        return udm_job_replace(&info, p, racer->db, id,
                               chance(racer, 2) ? &racer->now : &racer->later, NULL, race->audit);
    }
    if (what < 12) {
        return delete_record(racer, p, id);
    }
    if (what < 15) {
        return plan_next(p, racer->db, id);
    }
    error = udm_job_change(&info, p, racer->db, UDM_CHANGE_DELETE, id, NULL, race->audit);
    if (!error) {
        error = udm_job_create(&info, p, racer->db, &racer->now, race->audit);
        if (!error) {
            race->id = info->id;
        }
    }
    return error;
}

static void *client(void *data)
{
    racer_t *racer = data;
    apr_pool_t *p;
    int turn;

    apr_pool_create(&p, racer->pool);
    for (turn = 0; turn < TURNS && !racer->error; turn++) {
        expected(racer, one_change(racer, p), UDM_E_INVALID, UDM_E_NOT_FOUND);
        apr_pool_clear(p);
    }
    return NULL;
}

/* One run, from its claim to one of its ends. */
static void work(racer_t *racer, apr_pool_t *p, const udm_run_t *run)
{
    apr_array_header_t *parts = apr_array_make(p, 1, sizeof(udm_part_t));
    udm_part_t *part = apr_array_push(parts);
    bool wanted = true;
    unsigned i;

    for (i = chance(racer, 4); i > 0 && wanted; i--) {
        udm_error_t *error = queuetest_renew(&wanted, p, racer->db, run, 50, 1);

        if (error) {
            expected(racer, error, UDM_E_LOST, UDM_E_LOST);
            return;
        }
    }
    if (!wanted) {
        /* As a worker does that was told to stop: it hands back what may be its own no more. */
        expected(racer, udm_queue_release(p, racer->db, run, 0, false, NULL), UDM_E_LOST,
                 UDM_E_LOST);
        return;
    }
    part->name = apr_psprintf(p, "export-%s.zip.smime", udm_text_uuid(p));
    part->size = 1;
    part->sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    switch (chance(racer, 3)) {
    case 0:
        expected(racer, udm_queue_fail(p, racer->db, run, "at random"), UDM_E_LOST, UDM_E_LOST);
        break;
    case 1:
        expected(racer, udm_queue_release(p, racer->db, run, 0, true, NULL), UDM_E_LOST,
                 UDM_E_LOST);
        break;
    default:
        expected(racer, udm_queue_complete(p, racer->db, run, parts, 1, 30), UDM_E_LOST,
                 UDM_E_LOST);
        break;
    }
}

static void *worker(void *data)
{
    racer_t *racer = data;
    udm_run_t *run;
    apr_time_t next;
    apr_pool_t *p;
    int made;

    apr_pool_create(&p, racer->pool);
    while (!racer->race->over && !racer->error) {
        if (expected(racer, queuetest_schedule(&made, &next, p, racer->db), UDM_E_LOST,
                     UDM_E_LOST) &&
            expected(racer, queuetest_claim(&run, p, racer->db, "racer", 1000000), UDM_E_LOST,
                     UDM_E_LOST) &&
            run) {
            work(racer, p, run);
        }
        apr_pool_clear(p);
    }
    return NULL;
}

/*
 * What must hold at every moment, asked of one snapshot: a job shows its active run; without one it
 * shows how it rests; no run is active without its job, or without its progress.
 */
static const char invariants[] =
    "SELECT string_agg(concat_ws(' ', j.status, j.suspended, j.next_run_at IS NOT NULL,"
    " j.latest_run_id = r.id, r.status), '; ')"
    " FROM udm.job j FULL JOIN (SELECT * FROM udm.run"
    " WHERE status IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED')) r ON r.job_id = j.id"
    " WHERE NOT CASE"
    " WHEN j.id IS NULL THEN false"
    " WHEN r.id IS NOT NULL THEN j.status = r.status AND j.latest_run_id = r.id"
    " AND j.suspended = (r.status = 'SUSPENDED')"
    " AND EXISTS (SELECT FROM udm.run_progress p WHERE p.run_id = r.id)"
    " WHEN j.status = 'SCHEDULED' THEN NOT j.suspended AND j.next_run_at IS NOT NULL"
    " WHEN j.status = 'SUSPENDED' THEN j.suspended AND j.next_run_at IS NOT NULL"
    " ELSE j.status IN ('COMPLETED', 'FAILED', 'CANCELLED') AND NOT j.suspended"
    " AND j.next_run_at IS NULL END";

static void start(racer_t *racer, race_t *race, const char *role, unsigned seed,
                  void *(*run)(void *))
{
    memset(racer, 0, sizeof(*racer));
    racer->race = race;
    racer->seed = seed;
    racer->now = *dbtest_job();
    racer->later = racer->now;
    dbtest_later(&racer->later);
    dbtest_schedule(&racer->now, "{'immediately':true,'cron':'0 0 1 1 *'}");
    /* No parent: pools with one parent must not be made by several threads at once. */
    ck_assert_int_eq(apr_pool_create(&racer->pool, NULL), APR_SUCCESS);
    dbtest_ok(udm_pg_connect(&racer->db, racer->pool, dbtest_conninfo(role), "udm-test",
                             UDM_E_DATABASE, NULL));
    ck_assert_int_eq(pthread_create(&racer->thread, NULL, run, racer), 0);
}

START_TEST(rows_stay_true)
{
    racer_t racers[CLIENTS + WORKERS];
    udm_job_info_t *info;
    race_t race;
    const char *broken = NULL;
    int changed = 0, refused = 0, looks = 0;
    int i;

    race.audit = dbtest_audit(dbtest_principal("acme"));
    atomic_init(&race.over, false);
    dbtest_ok(udm_job_create(&info, pool, dbtest_httpd(), dbtest_job(), race.audit));
    atomic_init(&race.id, info->id);
    dbtest_admin();
    for (i = 0; i < CLIENTS + WORKERS; i++) {
        start(&racers[i], &race, i < CLIENTS ? "udm_httpd" : "udm_worker", 4711u + (unsigned)i,
              i < CLIENTS ? client : worker);
    }
    for (i = 0; i < CLIENTS; i++) {
        while (!broken && pthread_tryjoin_np(racers[i].thread, NULL) != 0) {
            broken = dbtest_value(invariants);
            looks++;
        }
    }
    race.over = true;
    for (i = 0; i < CLIENTS + WORKERS; i++) {
        if (i >= CLIENTS) {
            ck_assert_int_eq(pthread_join(racers[i].thread, NULL), 0);
        }
        dbtest_ok(racers[i].error);
        changed += i < CLIENTS ? racers[i].changed : 0;
        refused += i < CLIENTS ? racers[i].refused : 0;
    }
    ck_assert_msg(!broken, "rows that do not fit: %s", broken);
    ck_assert_ptr_null(dbtest_value(invariants));
    ck_assert_int_eq(changed + refused, CLIENTS * TURNS);
    ck_assert_int_gt(changed, CLIENTS * TURNS / 4);
    ck_assert_int_gt(looks, 10);
    /* Each line of the audit stands for a change, and the other way round. */
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.job j WHERE NOT EXISTS (SELECT FROM"
                                  " udm.audit a WHERE a.action = 'job.create'"
                                  " AND a.object = j.id::text)"),
                     "0");
    ck_assert_str_eq(dbtest_value("SELECT (SELECT count(*) FROM udm.audit WHERE action ="
                                  " 'job.create') - (SELECT count(*) FROM udm.audit WHERE action ="
                                  " 'job.delete') - (SELECT count(*) FROM udm.job)"),
                     "0");
    for (i = 0; i < CLIENTS + WORKERS; i++) {
        apr_pool_destroy(racers[i].pool);
    }
}
END_TEST

TCase *race_case(void)
{
    TCase *tc = dbtest_case("race");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, rows_stay_true);
    return tc;
}
