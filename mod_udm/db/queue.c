/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.c: the worker's side of jobs and runs. Each change is one statement, so that it is whole or
 * not at all without a transaction held open, and its clock is the database's.
 */
#include "db/queue.h"

#include <string.h>

#include <apr_strings.h>

#include "core/text.h"
#include "pg/transaction.h"

#define TEXT_OF(x)  TEXT_OF_(x)
#define TEXT_OF_(x) #x
#define LEASE       "make_interval(secs => " TEXT_OF(UDM_LEASE_SECONDS) ")"

/* The fence of every change: $1 to $4 are made by fence_values(). */
#define FENCE_VALUES 4
#define OURS                                                                                       \
    "r.id = $1::bigint AND r.worker_id = $2::text AND r.attempt = $3::integer "                    \
    "AND r.export_id = $4::uuid AND r.status = 'IN_PROGRESS'"

static void fence_values(const char **values, apr_pool_t *p, const udm_run_t *run)
{
    values[0] = udm_pg_int(p, run->id);
    values[1] = run->worker_id;
    values[2] = udm_pg_int(p, run->attempt);
    values[3] = run->export_id;
}

static udm_error_t *lost(apr_pool_t *p, const udm_run_t *run)
{
    return udm_error_make(p, UDM_E_LOST, "run %" APR_INT64_T_FMT " is no longer this worker's",
                          run->id);
}

/* The column that tells whether there was something that somebody holds. */
#define CLAIM_HELD 23

/* Everything about a claim is in the function: see sql/migrations/0017_turns.sql. */
/* clang-format off */
static const udm_statement_t claim = {
    "udm_queue_claim",
    "SELECT (c.run).id, (c.run).job_id, (c.run).ccid, (c.run).source, (c.run).type, (c.run).title,"
    "       (c.run).window_all, " UDM_PG_TIME("(c.run).window_from") ", "
    UDM_PG_TIME("(c.run).window_to") ", to_json((c.run).media)::text, (c.run).export_attachments,"
    "       (c.run).filters::text, (c.run).file_split_bytes, (c.run).attempt, (c.run).export_id::text,"
    "       c.previous::text, c.pem, c.interrupted AND (c.run).attempt > $2::integer,"
    "       (c.run).moves_watermark, (c.run).settle_barrier, " UDM_PG_TIME("(c.run).settle_since") ","
    "       " UDM_PG_TIME("now()") ", c.encryption, c.held"
    "  FROM udm.claim_run($1, " LEASE ", $3::boolean) c"};
/* clang-format on */

udm_error_t *udm_queue_claim(udm_run_t **run, bool *held, apr_pool_t *p, udm_pg_t *db,
                             const char *worker_id, int max_attempts, bool reserve)
{
    const char *values[] = {worker_id, udm_pg_int(p, max_attempts), reserve ? "t" : "f"};
    udm_result_t *result;
    udm_error_t *error;
    udm_run_t *r;
    int c = 0;

    *held = false;
    *run = NULL;
    error = udm_pg_query(&result, p, db, &claim, 3, values);
    if (error) {
        return error;
    }
    if (!udm_result_text(result, 0, 0)) {
        *held = udm_result_bool(result, 0, CLAIM_HELD);
        return NULL;
    }
    r = apr_pcalloc(p, sizeof(*r));
    r->id = udm_result_int(result, 0, c++);
    r->job_id = udm_result_int(result, 0, c++);
    r->ccid = udm_result_text(result, 0, c++);
    r->source = udm_result_text(result, 0, c++);
    r->type = udm_result_text(result, 0, c++);
    r->title = udm_result_text(result, 0, c++);
    r->window_all = udm_result_bool(result, 0, c++);
    r->window_from = udm_result_time(result, 0, c++);
    r->window_to = udm_result_time(result, 0, c++);
    r->media = udm_result_array(p, result, 0, c++);
    r->export_attachments = udm_result_bool(result, 0, c++);
    r->filters = udm_result_text(result, 0, c++);
    r->file_split_bytes = udm_result_int(result, 0, c++);
    r->attempt = (int)udm_result_int(result, 0, c++);
    r->worker_id = apr_pstrdup(p, worker_id);
    r->export_id = udm_result_text(result, 0, c++);
    r->previous_export_id = udm_result_text(result, 0, c++);
    r->certificate_pem = udm_result_text(result, 0, c++);
    r->exhausted = udm_result_bool(result, 0, c++);
    r->moves_watermark = udm_result_bool(result, 0, c++);
    r->settle_barrier = udm_result_text(result, 0, c++);
    r->settle_since = udm_result_time(result, 0, c++);
    r->now = udm_result_time(result, 0, c++);
    if (!udm_encryption_parse(&r->encryption, udm_result_text(result, 0, c++))) {
        return udm_error_make(p, UDM_E_INTERNAL,
                              "run %" APR_INT64_T_FMT " is to be encrypted in a way not known here",
                              r->id);
    }
    *run = r;
    return NULL;
}

/*
 * Nothing but the rows that are renewed is locked, and what somebody holds is passed over. A row is looked
 * at once more when its lock is there: whoever took the run over has changed export_id by then. An update
 * of run_progress alone stays a HOT update of a narrow row.
 *
 * The job of a run that goes on may be suspended.
 */
/* clang-format off */
static const udm_statement_t renew = {
    "udm_queue_renew",
    "WITH mine AS MATERIALIZED ("
    "  SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::smallint[], $4::bigint[])"
    "             WITH ORDINALITY AS m (run, export, percent, rows, n)),"
    " free AS MATERIALIZED ("
    "  SELECT p.run_id, m.n, m.percent, m.rows FROM mine m JOIN udm.run r ON r.id = m.run"
    "    JOIN udm.run_progress p ON p.run_id = m.run"
    "   WHERE r.status = 'IN_PROGRESS' AND r.export_id = m.export AND p.export_id = m.export"
    "     FOR NO KEY UPDATE OF p SKIP LOCKED),"
    " renewed AS ("
    "  UPDATE udm.run_progress p SET lease_until = now() + " LEASE ","
    "         percent = f.percent, rows_done = f.rows"
    "    FROM free f WHERE p.run_id = f.run_id RETURNING f.n)"
    "SELECT CASE WHEN r.export_id = m.export AND r.status IN ('CANCELLED', 'SUSPENDED') THEN 'unwanted'"
    "            WHEN r.export_id = m.export AND r.status = 'IN_PROGRESS' AND p.export_id = m.export"
    "            THEN CASE WHEN EXISTS (SELECT FROM udm.job j WHERE j.id = r.job_id AND j.suspended)"
    "                      THEN 'unwanted' WHEN w.n IS NULL THEN 'held' ELSE 'renewed' END"
    "            ELSE 'lost' END"
    "  FROM mine m LEFT JOIN udm.run r ON r.id = m.run LEFT JOIN udm.run_progress p ON p.run_id = m.run"
    "  LEFT JOIN renewed w ON w.n = m.n ORDER BY m.n"};
/* clang-format on */

static udm_lease_state lease_state(const char *state)
{
    return strcmp(state, "renewed") == 0    ? UDM_LEASE_RENEWED
           : strcmp(state, "held") == 0     ? UDM_LEASE_HELD
           : strcmp(state, "unwanted") == 0 ? UDM_LEASE_UNWANTED
                                            : UDM_LEASE_LOST;
}

udm_error_t *udm_queue_renew(apr_array_header_t *leases, apr_pool_t *p, udm_pg_t *db)
{
    apr_array_header_t *lists[4];
    const char *values[4];
    udm_result_t *result;
    udm_error_t *error;
    int i;

    if (leases->nelts == 0) {
        return NULL;
    }
    for (i = 0; i < 4; i++) {
        lists[i] = apr_array_make(p, leases->nelts, sizeof(const char *));
    }
    for (i = 0; i < leases->nelts; i++) {
        const udm_lease_t *lease = &APR_ARRAY_IDX(leases, i, udm_lease_t);
        int percent = lease->percent < 0 ? 0 : lease->percent > 100 ? 100 : lease->percent;

        APR_ARRAY_PUSH(lists[0], const char *) = udm_pg_int(p, lease->run_id);
        APR_ARRAY_PUSH(lists[1], const char *) = lease->export_id;
        APR_ARRAY_PUSH(lists[2], const char *) = udm_pg_int(p, percent);
        APR_ARRAY_PUSH(lists[3], const char *) = udm_pg_int(p, lease->rows);
    }
    for (i = 0; i < 4; i++) {
        values[i] = udm_pg_array(p, lists[i]);
    }
    error = udm_pg_query(&result, p, db, &renew, 4, values);
    for (i = 0; !error && i < result->rows; i++) {
        APR_ARRAY_IDX(leases, i, udm_lease_t).state = lease_state(udm_result_text(result, i, 0));
    }
    return error;
}

/* clang-format off */
static const udm_statement_t settle = {
    "udm_queue_settle",
    "UPDATE udm.run r SET settle_barrier = $5, settle_since = coalesce(settle_since, now()),"
    " window_to = " UDM_PG_TIME_IN("$6") " WHERE " OURS " RETURNING " UDM_PG_TIME("settle_since")};
/* clang-format on */

udm_error_t *udm_queue_settle(apr_pool_t *p, udm_pg_t *db, udm_run_t *run, const char *barrier,
                              apr_time_t window_to)
{
    const char *values[FENCE_VALUES + 2];
    udm_result_t *result;
    udm_error_t *error;

    fence_values(values, p, run);
    values[FENCE_VALUES] = barrier;
    values[FENCE_VALUES + 1] = udm_pg_time(p, window_to);
    error = udm_pg_query(&result, p, db, &settle, FENCE_VALUES + 2, values);
    if (error) {
        return error;
    }
    if (result->rows == 0) {
        return lost(p, run);
    }
    run->settle_barrier = barrier;
    run->settle_since = udm_result_time(result, 0, 0);
    run->window_to = window_to;
    return NULL;
}

/* What the job shows once its run has changed, udm.job_status() says: whoever names the run asks it. */
/* clang-format off */
static const udm_statement_t complete = {
    "udm_queue_complete",
    "WITH done AS ("
    "  UPDATE udm.run r SET status = 'COMPLETED', status_reason = NULL, finished_at = now(),"
    "         file_name = $5::text, file_size = $6::bigint, row_count = $7::bigint"
    "   WHERE " OURS " RETURNING r.*),"
    " progress AS ("
    "  UPDATE udm.run_progress p SET lease_until = NULL, export_id = NULL, percent = 100,"
    "         rows_done = $7::bigint"
    "    FROM done d WHERE p.run_id = d.id),"
    " files AS ("
    "  INSERT INTO udm.file (name, run_id, job_id, ccid, source, type, job_title, part, size,"
    "                        sha256, expires_at)"
    "  SELECT f.name, d.id, d.job_id, d.ccid, d.source, d.type, d.title, f.part, f.size, f.sha256,"
    "         now() + make_interval(days => $8::integer)"
    "    FROM done d, unnest($9::text[], $10::bigint[], $11::text[]) WITH ORDINALITY"
    "                 AS f (name, size, sha256, part)),"
    " job AS ("
    "  UPDATE udm.job j SET latest_run_id = d.id,"
    "         watermark = CASE WHEN d.moves_watermark THEN d.window_to ELSE j.watermark END"
    "    FROM done d WHERE j.id = d.job_id)"
    "SELECT count(udm.audit_write(d.ccid, d.worker_id, NULL, 'run.complete', d.id::text, NULL, NULL,"
    "       jsonb_build_object('jobId', d.job_id, 'rows', d.row_count, 'files', $9::text[])))"
    "  FROM done d"};

static const udm_statement_t is_complete = {
    "udm_queue_is_complete",
    "SELECT FROM udm.run"
    " WHERE id = $1::bigint AND export_id = $2::uuid AND status = 'COMPLETED'"};
/* clang-format on */

udm_error_t *udm_queue_complete(apr_pool_t *p, udm_pg_t *db, const udm_run_t *run,
                                const apr_array_header_t *parts, apr_int64_t rows,
                                int retention_days)
{
    apr_array_header_t *names = apr_array_make(p, parts->nelts, sizeof(const char *));
    apr_array_header_t *sizes = apr_array_make(p, parts->nelts, sizeof(const char *));
    apr_array_header_t *sums = apr_array_make(p, parts->nelts, sizeof(const char *));
    const char *values[FENCE_VALUES + 7];
    const char *again[2];
    udm_result_t *result;
    udm_error_t *error;
    apr_int64_t size = 0;
    int i;

    if (parts->nelts == 0) {
        return udm_error_make(p, UDM_E_INTERNAL, "an export without a file cannot be completed");
    }
    for (i = 0; i < parts->nelts; i++) {
        const udm_part_t *part = &APR_ARRAY_IDX(parts, i, udm_part_t);

        APR_ARRAY_PUSH(names, const char *) = part->name;
        APR_ARRAY_PUSH(sizes, const char *) = udm_pg_int(p, part->size);
        APR_ARRAY_PUSH(sums, const char *) = part->sha256;
        size += part->size;
    }
    fence_values(values, p, run);
    values[4] = APR_ARRAY_IDX(names, names->nelts - 1, const char *);
    values[5] = udm_pg_int(p, size);
    values[6] = udm_pg_int(p, rows);
    values[7] = udm_pg_int(p, retention_days);
    values[8] = udm_pg_array(p, names);
    values[9] = udm_pg_array(p, sizes);
    values[10] = udm_pg_array(p, sums);
    error = udm_pg_query(&result, p, db, &complete, FENCE_VALUES + 7, values);
    if (error || udm_result_int(result, 0, 0) == 1) {
        return error;
    }
    /* Perhaps by us: the commit went through, its answer did not. */
    again[0] = values[0];
    again[1] = run->export_id;
    error = udm_pg_query(&result, p, db, &is_complete, 2, again);
    if (error || result->rows == 1) {
        return error;
    }
    return lost(p, run);
}

/* clang-format off */
static const udm_statement_t fail = {
    "udm_queue_fail",
    "WITH done AS ("
    "  UPDATE udm.run r SET status = 'FAILED', status_reason = $5::text, finished_at = now()"
    "   WHERE " OURS " RETURNING r.*),"
    " progress AS ("
    "  UPDATE udm.run_progress p SET lease_until = NULL, export_id = NULL"
    "    FROM done d WHERE p.run_id = d.id),"
    " job AS ("
    "  UPDATE udm.job j SET latest_run_id = d.id FROM done d WHERE j.id = d.job_id)"
    "SELECT count(udm.audit_write(d.ccid, d.worker_id, NULL, 'run.fail', d.id::text, NULL, NULL,"
    "       jsonb_build_object('jobId', d.job_id, 'reason', d.status_reason)))"
    "  FROM done d"};
/* clang-format on */

udm_error_t *udm_queue_fail(apr_pool_t *p, udm_pg_t *db, const udm_run_t *run, const char *reason)
{
    const char *values[FENCE_VALUES + 1];
    udm_result_t *result;
    udm_error_t *error;

    fence_values(values, p, run);
    values[FENCE_VALUES] = reason;
    error = udm_pg_query(&result, p, db, &fail, FENCE_VALUES + 1, values);
    if (!error && udm_result_int(result, 0, 0) == 0) {
        return lost(p, run);
    }
    return error;
}

/* export_id stays: whoever claims the run next removes what that attempt may have left behind. */
/* clang-format off */
static const udm_statement_t release = {
    "udm_queue_release",
    "WITH done AS ("
    "  UPDATE udm.run r"
    "     SET status = CASE WHEN EXISTS (SELECT FROM udm.job j"
    "                                     WHERE j.id = r.job_id AND j.suspended)"
    "                       THEN 'SUSPENDED' ELSE 'QUEUED' END,"
    "         ready_at = now() + make_interval(secs => $5::integer), worker_id = NULL,"
    "         status_reason = CASE WHEN EXISTS (SELECT FROM udm.job j"
    "                                     WHERE j.id = r.job_id AND j.suspended)"
    "                              THEN NULL ELSE coalesce($7, r.status_reason) END,"
    "         attempt = CASE WHEN $6::boolean THEN r.attempt ELSE greatest(r.attempt - 1, 0) END"
    "   WHERE " OURS " RETURNING r.id, r.job_id),"
    " progress AS ("
    "  UPDATE udm.run_progress p SET lease_until = NULL, export_id = NULL, percent = 0,"
    "         rows_done = 0"
    "    FROM done d WHERE p.run_id = d.id),"
    " job AS ("
    "  UPDATE udm.job j SET latest_run_id = d.id FROM done d WHERE j.id = d.job_id)"
    "SELECT count(*) FROM done"};
/* clang-format on */

udm_error_t *udm_queue_release(apr_pool_t *p, udm_pg_t *db, const udm_run_t *run, int delay,
                               bool counts, const char *reason)
{
    const char *values[FENCE_VALUES + 3];
    udm_result_t *result;
    udm_error_t *error;

    fence_values(values, p, run);
    values[FENCE_VALUES] = udm_pg_int(p, delay);
    values[FENCE_VALUES + 1] = counts ? "true" : "false";
    values[FENCE_VALUES + 2] = reason;
    error = udm_pg_query(&result, p, db, &release, FENCE_VALUES + 3, values);
    if (!error && udm_result_int(result, 0, 0) == 0) {
        return lost(p, run);
    }
    return error;
}

static const udm_statement_t hold = {
    "udm_queue_hold", "SELECT udm.hold_gone($1::bigint, $2::text, $3::integer, $4::uuid)"};

udm_error_t *udm_queue_hold(apr_pool_t *p, udm_pg_t *db, const udm_run_t *run)
{
    const char *values[FENCE_VALUES];
    udm_result_t *result;
    udm_error_t *error;

    fence_values(values, p, run);
    error = udm_pg_query(&result, p, db, &hold, FENCE_VALUES, values);
    if (error || strcmp(udm_result_text(result, 0, 0), "held") == 0) {
        return error;
    }
    if (strcmp(udm_result_text(result, 0, 0), "registered") == 0) {
        return udm_queue_release(p, db, run, 0, false, NULL);
    }
    return lost(p, run);
}
