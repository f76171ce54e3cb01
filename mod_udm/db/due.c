/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * due.c: makes the runs of jobs that are due, and says when there is something to do next.
 *
 * A job whose run is not over makes no second one: what it misses, like what was missed while no
 * worker was up, becomes one run, at the latest of the times missed (decisions 2.4). Its window
 * begins where the last completed one ended, so it covers the gap.
 */
#include <jansson.h>

#include "core/calendar.h"
#include "core/json.h"
#include "core/schedule.h"
#include "db/queue.h"
#include "db/quota.h"
#include "pg/transaction.h"

/* One at a time, however many are due at once: a transaction must not last. */
#define BATCH_TEXT "100"

#define IDLE                                                                                       \
    " AND NOT EXISTS (SELECT FROM udm.run r WHERE r.job_id = j.id"                                 \
    " AND r.status IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED'))"

#define TEXT_OF(x)  TEXT_OF_(x)
#define TEXT_OF_(x) #x
#define LEASES(n)   "make_interval(secs => " #n " * " TEXT_OF(UDM_LEASE_SECONDS) ")"
#define LASTING     "p.lease_until > now() + " LEASES(2)

/* Without a lock, because mostly there is nothing to do. */
/* clang-format off */
static const udm_statement_t look = {
    "udm_queue_look",
    "SELECT EXISTS (SELECT FROM udm.job j WHERE j.next_run_at <= now() AND NOT j.suspended" IDLE "),"
    " (SELECT " UDM_PG_TIME_LEFT("next.at") " FROM (SELECT least((SELECT min(next_run_at) FROM udm.job"
    " WHERE next_run_at > now() AND NOT suspended),"
    " (SELECT min(ready_at) FROM udm.run WHERE status = 'QUEUED' AND ready_at > now())) AS at) next),"
    " EXISTS (SELECT FROM udm.run r JOIN udm.run_progress p ON p.run_id = r.id"
    " WHERE r.status = 'IN_PROGRESS' AND " LASTING ")"};

/* Of whoever lives it is renewed, be it shortened or not; of whoever died it now runs out soon. */
static const udm_statement_t shorten = {
    "udm_queue_shorten",
    "UPDATE udm.run_progress p SET lease_until = now() + " LEASES(1) " FROM udm.run r"
    " WHERE r.id = p.run_id AND r.status = 'IN_PROGRESS' AND " LASTING};

/*
 * By turns, and no more than have room in the queue of the contact centre; what has none stays due, and
 * its window ends the later. Some of each contact centre that has one which is due, found without looking
 * at all of them; whose has waited longest comes first.
 *
 * A job that somebody else's transaction holds is skipped: that one makes the run, or changes the
 * job. Of a job that somebody has just let go the newest version is locked, though the runs are those
 * from when this statement began: `make` looks for them once more.
 */
#define PLANNED " FROM udm.job j WHERE j.next_run_at IS NOT NULL AND NOT j.suspended"
static const udm_statement_t due = {
    "udm_queue_due",
    "WITH RECURSIVE planner AS ("
    " (SELECT j.ccid, j.next_run_at" PLANNED " ORDER BY j.ccid, j.next_run_at, j.id LIMIT 1)"
    " UNION ALL SELECT n.* FROM planner p, LATERAL (SELECT j.ccid, j.next_run_at" PLANNED
    " AND j.ccid > p.ccid ORDER BY j.ccid, j.next_run_at, j.id LIMIT 1) n),"
    " turn AS MATERIALIZED (SELECT ccid, count(*) OVER () AS centres FROM planner"
    " WHERE next_run_at <= now() ORDER BY next_run_at, ccid)"
    "SELECT d.id, " UDM_PG_TIME("d.next_run_at") "," UDM_PG_TIME("now()") ", d.schedule::text,"
    UDM_PG_TIME("d.schedule_since") ", d.runs_left IS NULL OR d.runs_left > 1," UDM_QUOTA_APART("q")
    " FROM turn t LEFT JOIN udm.quota q ON q.ccid = t.ccid,"
    " LATERAL (SELECT j.*" PLANNED " AND j.ccid = t.ccid AND j.next_run_at <= now()" IDLE
    " ORDER BY j.next_run_at, j.id LIMIT least(greatest(1, " BATCH_TEXT " / t.centres),"
    " CASE WHEN q.queued IS NOT NULL THEN udm.queue_room(q.ccid) END)"
    " FOR UPDATE OF j SKIP LOCKED) d LIMIT " BATCH_TEXT};

/*
 * Whatever makes a run of a job has locked the job, so with its lock held nobody else makes one. The
 * window is the business of udm.make_runs().
 */
static const udm_statement_t make = {
    "udm_queue_make",
    "WITH plan AS MATERIALIZED (SELECT d.*, nextval('udm.job_or_run_id') AS run_id"
    " FROM (SELECT j.id, n.scheduled, n.following, n.reason FROM (SELECT id, reason, "
    UDM_PG_TIME_IN("scheduled") " AS scheduled, " UDM_PG_TIME_IN("following") " AS following"
    " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])"
    " AS u (id, scheduled, following, reason)) n"
    " JOIN udm.job j ON j.id = n.id" IDLE " ORDER BY n.scheduled, j.id) d),"
    " job AS (UPDATE udm.job j SET next_run_at = plan.following, runs_left = j.runs_left - 1,"
    " latest_run_id = plan.run_id, status_reason = plan.reason FROM plan WHERE j.id = plan.id RETURNING j.id)"
    " SELECT udm.make_runs(array_agg(plan.id ORDER BY plan.run_id),"
    " array_agg(plan.scheduled ORDER BY plan.run_id), NULL)"
    " FROM plan JOIN job ON job.id = plan.id"};
/* clang-format on */

enum { DUE_ID, DUE_AT, DUE_NOW, DUE_SCHEDULE, DUE_SINCE, DUE_MORE, DUE_APART, DUE_APART_TEXT };

/*
 * When the run of a due job is scheduled, and when the one after it; UDM_NO_TIME for none. A
 * schedule that cannot be read (any more) has no run after this one. `reason`: why that one is put off;
 * NULL: it is not.
 */
static void plan_run(apr_time_t *scheduled, apr_time_t *next, const char **reason, apr_pool_t *p,
                     const udm_result_t *rows, int row)
{
    json_t *json = udm_json_own(
        p, json_loads(udm_result_text(rows, row, DUE_SCHEDULE), JSON_DECODE_INT_AS_REAL, NULL));
    apr_time_t now = udm_result_time(rows, row, DUE_NOW);
    udm_error_t *error = NULL;
    udm_schedule_t schedule;
    apr_time_t last;
    bool put_off;

    *reason = NULL;
    *scheduled = udm_result_time(rows, row, DUE_AT);
    *next = UDM_NO_TIME;
    if (!udm_schedule_parse(&schedule, &error, p, "", json,
                            udm_result_time(rows, row, DUE_SINCE)) ||
        !schedule.recurs) {
        return;
    }
    last = udm_schedule_last(&schedule, now);
    if (last > *scheduled) {
        *scheduled = last;
    }
    if (udm_result_bool(rows, row, DUE_MORE)) {
        *next = udm_schedule_next_apart(&put_off, &schedule, now, *scheduled,
                                        udm_result_int(rows, row, DUE_APART));
        *reason = put_off ? udm_quota_put_off(p, udm_result_text(rows, row, DUE_APART_TEXT)) : NULL;
    }
}

typedef struct batch_t {
    int found;
    int made;
} batch_t;

static udm_error_t *make_batch(apr_pool_t *p, udm_pg_t *db, void *baton)
{
    apr_array_header_t *lists[4];
    const char *values[4];
    const char *reason;
    udm_result_t *rows;
    udm_error_t *error;
    batch_t *batch = baton;
    int i;

    batch->found = batch->made = 0;
    error = udm_pg_query(&rows, p, db, &due, 0, NULL);
    if (error || rows->rows == 0) {
        return error;
    }
    for (i = 0; i < 4; i++) {
        lists[i] = apr_array_make(p, rows->rows, sizeof(const char *));
    }
    for (i = 0; i < rows->rows; i++) {
        apr_time_t scheduled, next;

        plan_run(&scheduled, &next, &reason, p, rows, i);
        APR_ARRAY_PUSH(lists[0], const char *) = udm_result_text(rows, i, DUE_ID);
        APR_ARRAY_PUSH(lists[1], const char *) = udm_pg_time(p, scheduled);
        APR_ARRAY_PUSH(lists[2], const char *) = udm_pg_time(p, next);
        APR_ARRAY_PUSH(lists[3], const char *) = reason;
    }
    for (i = 0; i < 4; i++) {
        values[i] = udm_pg_array(p, lists[i]);
    }
    batch->found = rows->rows;
    error = udm_pg_query(&rows, p, db, &make, 4, values);
    if (!error) {
        batch->made = (int)udm_result_int(rows, 0, 0);
    }
    return error;
}

udm_error_t *udm_queue_schedule(int *made, bool *more, apr_time_t *next, apr_pool_t *p,
                                udm_pg_t *db)
{
    udm_result_t *result, *shortened;
    batch_t batch = {0};
    udm_error_t *error;
    apr_time_t wait;

    *made = 0;
    *more = false;
    *next = UDM_NO_TIME;
    error = udm_pg_query(&result, p, db, &look, 0, NULL);
    if (!error && udm_result_bool(result, 0, 0)) {
        error = udm_transaction(p, db, make_batch, &batch);
    }
    if (error) {
        return error;
    }
    *made = batch.made;
    if (batch.found > 0) {
        /* Only once none is found it is known when those of the last batch are due again. */
        *more = true;
        return NULL;
    }
    if (udm_result_bool(result, 0, 2)) {
        error = udm_pg_query(&shortened, p, db, &shorten, 0, NULL);
        if (error) {
            return error;
        }
    }
    wait = udm_result_time(result, 0, 1);
    if (wait != UDM_NO_TIME) {
        *next = apr_time_now() + wait;
    }
    return NULL;
}
