/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.c: the worker's side of jobs and runs. Each change is one statement, so that it is whole or
 * not at all without a transaction held open, and its clock is the database's.
 */
#include "db/queue.h"

#include <string.h>

#include <apr_strings.h>

#include "core/text.h"
#include "db/transaction.h"

#define TEXT_OF(x)  TEXT_OF_(x)
#define TEXT_OF_(x) #x
#define LEASE       "make_interval(secs => " TEXT_OF(UDM_LEASE_SECONDS) ")"

/* The fence of every change: $1 to $4 are made by fence_values(). */
#define FENCE_VALUES 4
#define OURS                                                                                       \
    "r.id = $1::bigint AND r.worker_id = $2::text AND r.attempt = $3::integer "                    \
    "AND r.export_id = $4::uuid AND r.status = 'IN_PROGRESS'"

/* At a time, however many are due at once: a statement must not run for long. */
#define SCHEDULE_BATCH 100
#define EXPIRE_BATCH   100
#define FORGET_BATCH   10000

static void fence_values(const char **values, apr_pool_t *p, const udm_run_t *run)
{
    values[0] = udm_db_int(p, run->id);
    values[1] = run->worker_id;
    values[2] = udm_db_int(p, run->attempt);
    values[3] = run->export_id;
}

static udm_error_t *lost(apr_pool_t *p, const udm_run_t *run)
{
    return udm_error_make(p, UDM_E_LOST, "run %" APR_INT64_T_FMT " is no longer this worker's",
                          run->id);
}

/*
 * Run and progress are both locked, so that after a wait PostgreSQL looks at the newest version of
 * both: with the run alone, one that was claimed a moment ago would be judged by its old, empty lease.
 *
 * Its commit is not waited for: a claim that a crash of the server takes back has changed nothing, and
 * whoever made it fails at the fence. Before the source is touched, a renewal makes it last.
 */
/* clang-format off */
static const udm_statement_t claim = {
    "udm_queue_claim",
    "WITH candidate AS ("
    "  SELECT r.id, r.export_id AS previous, r.status = 'IN_PROGRESS' AS interrupted"
    "    FROM udm.run r JOIN udm.run_progress p ON p.run_id = r.id"
    "   WHERE r.status IN ('QUEUED', 'IN_PROGRESS')"
    "     AND ((r.status = 'QUEUED' AND r.ready_at <= now())"
    "          OR (r.status = 'IN_PROGRESS' AND (p.lease_until IS NULL OR p.lease_until < now())))"
    "   ORDER BY r.ready_at, r.id LIMIT 1"
    "   FOR UPDATE OF r, p SKIP LOCKED),"
    " claimed AS ("
    "  UPDATE udm.run r SET status = 'IN_PROGRESS', attempt = r.attempt + 1, worker_id = $1::text,"
    "         export_id = gen_random_uuid(), started_at = now()"
    "    FROM candidate c, set_config('synchronous_commit', 'off', true) WHERE r.id = c.id"
    "  RETURNING r.*, c.previous, c.interrupted),"
    " leased AS ("
    "  UPDATE udm.run_progress p SET lease_until = now() + " LEASE ", percent = 0, rows_done = 0"
    "    FROM claimed c WHERE p.run_id = c.id),"
    " job AS ("
    "  UPDATE udm.job j SET status = 'IN_PROGRESS', latest_run_id = c.id"
    "    FROM claimed c WHERE j.id = c.job_id)"
    "SELECT c.id, c.job_id, c.ccid, c.source, c.type, c.title, c.window_all,"
    "       " UDM_DB_TIME("c.window_from") ", " UDM_DB_TIME("c.window_to") ","
    "       to_json(c.media)::text, c.export_attachments, c.filters::text, c.file_split_bytes,"
    "       c.attempt, c.export_id::text, c.previous::text, x.pem,"
    "       c.interrupted AND c.attempt > $2::integer, c.moves_watermark, c.settle_barrier,"
    "       " UDM_DB_TIME("c.settle_since") ", " UDM_DB_TIME("now()") ","
    "       coalesce(t.encryption, j.encryption, 'smime')"
    "  FROM claimed c JOIN udm.tenant t ON t.ccid = c.ccid"
    "  LEFT JOIN udm.job j ON j.id = c.job_id LEFT JOIN udm.certificate x ON x.ccid = c.ccid"};
/* clang-format on */

udm_error_t *udm_queue_claim(udm_run_t **run, apr_pool_t *p, udm_db_t *db, const char *worker_id,
                             int max_attempts)
{
    const char *values[] = {worker_id, udm_db_int(p, max_attempts)};
    udm_result_t *result;
    udm_error_t *error;
    udm_run_t *r;
    int c = 0;

    *run = NULL;
    error = udm_db_query(&result, p, db, &claim, 2, values);
    if (error || result->rows == 0) {
        return error;
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
 * The lock on the run makes a renewal that waited for another worker's claim see that claim. Updates
 * run_progress alone, so it stays a HOT update of a narrow row. "unwanted" also covers a job
 * that was suspended while its run goes on.
 */
/* clang-format off */
static const udm_statement_t renew = {
    "udm_queue_renew",
    "WITH mine AS ("
    "  SELECT r.id, r.status,"
    "         EXISTS (SELECT FROM udm.job j WHERE j.id = r.job_id AND j.suspended) AS suspended"
    "    FROM udm.run r"
    "   WHERE r.id = $1::bigint AND r.worker_id = $2::text AND r.attempt = $3::integer"
    "     AND r.export_id = $4::uuid FOR SHARE OF r),"
    " renewed AS ("
    "  UPDATE udm.run_progress p SET lease_until = now() + " LEASE ","
    "         percent = $5::smallint, rows_done = $6::bigint"
    "    FROM mine WHERE p.run_id = mine.id AND mine.status = 'IN_PROGRESS')"
    "SELECT status, suspended FROM mine"};
/* clang-format on */

udm_error_t *udm_queue_renew(bool *wanted, apr_pool_t *p, udm_db_t *db, const udm_run_t *run,
                             int percent, apr_int64_t rows_done)
{
    const char *values[FENCE_VALUES + 2];
    udm_result_t *result;
    udm_error_t *error;
    const char *status;

    *wanted = true;
    fence_values(values, p, run);
    values[FENCE_VALUES] = udm_db_int(p, percent < 0 ? 0 : percent > 100 ? 100 : percent);
    values[FENCE_VALUES + 1] = udm_db_int(p, rows_done);
    error = udm_db_query(&result, p, db, &renew, FENCE_VALUES + 2, values);
    if (error) {
        return error;
    }
    if (result->rows == 0) {
        return lost(p, run);
    }
    status = udm_result_text(result, 0, 0);
    if (strcmp(status, "CANCELLED") == 0 || strcmp(status, "SUSPENDED") == 0) {
        *wanted = false;
        return NULL;
    }
    if (strcmp(status, "IN_PROGRESS") != 0) {
        return lost(p, run);
    }
    *wanted = !udm_result_bool(result, 0, 1);
    return NULL;
}

/* clang-format off */
static const udm_statement_t settle = {
    "udm_queue_settle",
    "UPDATE udm.run r SET settle_barrier = $5, settle_since = coalesce(settle_since, now()),"
    " window_to = " UDM_DB_TIME_IN("$6") " WHERE " OURS " RETURNING " UDM_DB_TIME("settle_since")};
/* clang-format on */

udm_error_t *udm_queue_settle(apr_pool_t *p, udm_db_t *db, udm_run_t *run, const char *barrier,
                              apr_time_t window_to)
{
    const char *values[FENCE_VALUES + 2];
    udm_result_t *result;
    udm_error_t *error;

    fence_values(values, p, run);
    values[FENCE_VALUES] = barrier;
    values[FENCE_VALUES + 1] = udm_db_time(p, window_to);
    error = udm_db_query(&result, p, db, &settle, FENCE_VALUES + 2, values);
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

/* What the job shows once its run has ended in `status` (an SQL expression). */
#define JOB_AFTER(status)                                                                          \
    "CASE WHEN j.next_run_at IS NULL THEN " status " WHEN j.suspended THEN 'SUSPENDED' "           \
    "ELSE 'SCHEDULED' END"

/* clang-format off */
static const udm_statement_t complete = {
    "udm_queue_complete",
    "WITH done AS ("
    "  UPDATE udm.run r SET status = 'COMPLETED', status_reason = NULL, finished_at = now(),"
    "         file_name = $5::text, file_size = $6::bigint, row_count = $7::bigint"
    "   WHERE " OURS " RETURNING r.*),"
    " progress AS ("
    "  UPDATE udm.run_progress p SET lease_until = NULL, percent = 100, rows_done = $7::bigint"
    "    FROM done d WHERE p.run_id = d.id),"
    " files AS ("
    "  INSERT INTO udm.file (name, run_id, job_id, ccid, source, type, job_title, part, size,"
    "                        sha256, expires_at)"
    "  SELECT f.name, d.id, d.job_id, d.ccid, d.source, d.type, d.title, f.part, f.size, f.sha256,"
    "         now() + make_interval(days => $8::integer)"
    "    FROM done d, unnest($9::text[], $10::bigint[], $11::text[]) WITH ORDINALITY"
    "                 AS f (name, size, sha256, part)),"
    " job AS ("
    "  UPDATE udm.job j SET status = " JOB_AFTER("'COMPLETED'") ","
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

udm_error_t *udm_queue_complete(apr_pool_t *p, udm_db_t *db, const udm_run_t *run,
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
        APR_ARRAY_PUSH(sizes, const char *) = udm_db_int(p, part->size);
        APR_ARRAY_PUSH(sums, const char *) = part->sha256;
        size += part->size;
    }
    fence_values(values, p, run);
    values[4] = APR_ARRAY_IDX(names, names->nelts - 1, const char *);
    values[5] = udm_db_int(p, size);
    values[6] = udm_db_int(p, rows);
    values[7] = udm_db_int(p, retention_days);
    values[8] = udm_db_array(p, names);
    values[9] = udm_db_array(p, sizes);
    values[10] = udm_db_array(p, sums);
    error = udm_db_query(&result, p, db, &complete, FENCE_VALUES + 7, values);
    if (error || udm_result_int(result, 0, 0) == 1) {
        return error;
    }
    /* Perhaps by us: the commit went through, its answer did not. */
    again[0] = values[0];
    again[1] = run->export_id;
    error = udm_db_query(&result, p, db, &is_complete, 2, again);
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
    "  UPDATE udm.run_progress p SET lease_until = NULL FROM done d WHERE p.run_id = d.id),"
    " job AS ("
    "  UPDATE udm.job j SET status = " JOB_AFTER("'FAILED'") " FROM done d WHERE j.id = d.job_id)"
    "SELECT count(udm.audit_write(d.ccid, d.worker_id, NULL, 'run.fail', d.id::text, NULL, NULL,"
    "       jsonb_build_object('jobId', d.job_id, 'reason', d.status_reason)))"
    "  FROM done d"};
/* clang-format on */

udm_error_t *udm_queue_fail(apr_pool_t *p, udm_db_t *db, const udm_run_t *run, const char *reason)
{
    const char *values[FENCE_VALUES + 1];
    udm_result_t *result;
    udm_error_t *error;

    fence_values(values, p, run);
    values[FENCE_VALUES] = reason;
    error = udm_db_query(&result, p, db, &fail, FENCE_VALUES + 1, values);
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
    "   WHERE " OURS " RETURNING r.id, r.job_id, r.status),"
    " progress AS ("
    "  UPDATE udm.run_progress p SET lease_until = NULL, percent = 0, rows_done = 0"
    "    FROM done d WHERE p.run_id = d.id),"
    " job AS ("
    "  UPDATE udm.job j SET status = d.status FROM done d WHERE j.id = d.job_id)"
    "SELECT count(*) FROM done"};
/* clang-format on */

udm_error_t *udm_queue_release(apr_pool_t *p, udm_db_t *db, const udm_run_t *run, int delay,
                               bool counts, const char *reason)
{
    const char *values[FENCE_VALUES + 3];
    udm_result_t *result;
    udm_error_t *error;

    fence_values(values, p, run);
    values[FENCE_VALUES] = udm_db_int(p, delay);
    values[FENCE_VALUES + 1] = counts ? "true" : "false";
    values[FENCE_VALUES + 2] = reason;
    error = udm_db_query(&result, p, db, &release, FENCE_VALUES + 3, values);
    if (!error && udm_result_int(result, 0, 0) == 0) {
        return lost(p, run);
    }
    return error;
}

static const udm_statement_t hold = {
    "udm_queue_hold", "SELECT udm.hold_gone($1::bigint, $2::text, $3::integer, $4::uuid)"};

udm_error_t *udm_queue_hold(apr_pool_t *p, udm_db_t *db, const udm_run_t *run)
{
    const char *values[FENCE_VALUES];
    udm_result_t *result;
    udm_error_t *error;

    fence_values(values, p, run);
    error = udm_db_query(&result, p, db, &hold, FENCE_VALUES, values);
    if (error || strcmp(udm_result_text(result, 0, 0), "held") == 0) {
        return error;
    }
    if (strcmp(udm_result_text(result, 0, 0), "registered") == 0) {
        return udm_queue_release(p, db, run, 0, false, NULL);
    }
    return lost(p, run);
}

/* ---- files and retries that are over ---- */

/*
 * What expires now comes with what was removed before: a statement does not see its own changes. In
 * any order, because one that cannot be taken out of the store must not stand before the others for
 * ever.
 */
/* clang-format off */
static const udm_statement_t purge = {
    "udm_queue_purge",
    "WITH due AS ("
    "  SELECT f.id FROM udm.file f WHERE f.expires_at <= now() AND f.removed_at IS NULL"
    "   ORDER BY f.expires_at LIMIT " TEXT_OF(EXPIRE_BATCH)
    "   FOR UPDATE SKIP LOCKED),"
    " expired AS ("
    "  UPDATE udm.file f SET removed_at = now(), removal = 'expired'"
    "    FROM due WHERE f.id = due.id RETURNING f.id, f.name, f.ccid),"
    " audited AS MATERIALIZED ("
    "  SELECT id, name, udm.audit_write(ccid, session_user, NULL, 'file.expire', name, NULL, NULL,"
    "         NULL) FROM expired)"
    "SELECT x.id, x.name"
    "  FROM (SELECT id, name FROM audited"
    "        UNION ALL"
    "        SELECT id, name FROM udm.file WHERE removed_at IS NOT NULL AND purged_at IS NULL) x"
    " ORDER BY random() LIMIT $1::integer"};

/* Locked in one order, whoever else notes the same files. */
static const udm_statement_t purged = {
    "udm_queue_purged",
    "WITH gone AS ("
    "  SELECT id FROM udm.file"
    "   WHERE id = ANY ($1::bigint[]) AND removed_at IS NOT NULL AND purged_at IS NULL"
    "   ORDER BY id FOR UPDATE)"
    "UPDATE udm.file f SET purged_at = now() FROM gone WHERE f.id = gone.id"};

static const udm_statement_t forget_retries = {
    "udm_queue_forget_retries",
    "WITH gone AS ("
    "  DELETE FROM udm.idempotency WHERE ctid = ANY (ARRAY("
    "    SELECT ctid FROM udm.idempotency WHERE created_at < now() - interval '24 hours'"
    "     LIMIT " TEXT_OF(FORGET_BATCH) "))"
    "  RETURNING 1)"
    "SELECT count(*) FROM gone"};
/* clang-format on */

udm_error_t *udm_queue_purge(apr_array_header_t **files, apr_pool_t *p, udm_db_t *db, int limit)
{
    const char *value = udm_db_int(p, limit);
    udm_result_t *result;
    udm_error_t *error;
    int i;

    *files = apr_array_make(p, 4, sizeof(udm_purge_t));
    error = udm_db_query(&result, p, db, &purge, 1, &value);
    for (i = 0; !error && i < result->rows; i++) {
        udm_purge_t *file = apr_array_push(*files);

        file->id = udm_result_int(result, i, 0);
        file->name = udm_result_text(result, i, 1);
    }
    return error;
}

udm_error_t *udm_queue_purged(apr_pool_t *p, udm_db_t *db, const apr_array_header_t *ids)
{
    apr_array_header_t *texts = apr_array_make(p, ids->nelts, sizeof(const char *));
    udm_result_t *result;
    const char *value;
    int i;

    for (i = 0; i < ids->nelts; i++) {
        APR_ARRAY_PUSH(texts, const char *) = udm_db_int(p, APR_ARRAY_IDX(ids, i, apr_int64_t));
    }
    value = udm_db_array(p, texts);
    return udm_db_query(&result, p, db, &purged, 1, &value);
}

udm_error_t *udm_queue_forget_retries(apr_pool_t *p, udm_db_t *db)
{
    udm_result_t *result;
    udm_error_t *error;

    do {
        error = udm_db_query(&result, p, db, &forget_retries, 0, NULL);
    } while (!error && udm_result_int(result, 0, 0) == FORGET_BATCH);
    return error;
}

/* ---- the store ---- */

/*
 * One look at files and runs together: a run that is completed meanwhile is either in progress or
 * listed, never neither.
 */
/* clang-format off */
static const udm_statement_t orphan = {
    "udm_queue_orphans",
    "SELECT n.i - 1,"
    "       n.name LIKE '%.part' OR EXISTS (SELECT FROM udm.file f WHERE f.name = n.name)"
    "       OR EXISTS (SELECT FROM udm.run r WHERE r.export_id = substr(n.name, 8, 36)::uuid)"
    "  FROM unnest($1::text[]) WITH ORDINALITY AS n (name, i)"
    " WHERE NOT EXISTS (SELECT FROM udm.file f"
    "                    WHERE f.name = n.name AND f.purged_at IS NULL)"
    "   AND NOT EXISTS (SELECT FROM udm.run r"
    "                    WHERE r.export_id = substr(n.name, 8, 36)::uuid"
    "                      AND r.status = 'IN_PROGRESS')"};
/* clang-format on */

udm_error_t *udm_queue_orphans(apr_array_header_t **orphans, apr_pool_t *p, udm_db_t *db,
                               const apr_array_header_t *names)
{
    const char *value = udm_db_array(p, names);
    udm_result_t *result;
    udm_error_t *error;
    int i;

    *orphans = apr_array_make(p, 4, sizeof(udm_orphan_t));
    error = udm_db_query(&result, p, db, &orphan, 1, &value);
    for (i = 0; !error && i < result->rows; i++) {
        udm_orphan_t *found = apr_array_push(*orphans);

        found->index = (int)udm_result_int(result, i, 0);
        found->dead = udm_result_bool(result, i, 1);
    }
    return error;
}

#define INSTALLATION "SELECT id::text, store_since IS NOT NULL FROM udm.installation"

static const udm_statement_t installation = {"udm_queue_installation", INSTALLATION};
static const udm_statement_t installation_lock = {"udm_queue_installation_lock",
                                                  INSTALLATION " FOR UPDATE"};
static const udm_statement_t begin_store = {"udm_queue_begin_store",
                                            "UPDATE udm.installation SET store_since = now()"};

static udm_error_t *no_installation(apr_pool_t *p)
{
    return udm_error_make(p, UDM_E_INTERNAL,
                          "the database has no row in udm.installation: run udm-migrate again");
}

static const udm_statement_t channel = {"udm_queue_channel",
                                        "SELECT channel FROM udm.installation"};

static udm_error_t *read_installation(const char **id, bool *has_store, apr_pool_t *p, udm_db_t *db,
                                      const udm_statement_t *statement)
{
    udm_result_t *result;
    udm_error_t *error;

    *id = NULL;
    *has_store = false;
    error = udm_db_query(&result, p, db, statement, 0, NULL);
    if (!error && result->rows == 0) {
        return no_installation(p);
    }
    if (!error) {
        *id = udm_result_text(result, 0, 0);
        *has_store = udm_result_bool(result, 0, 1);
    }
    return error;
}

udm_error_t *udm_queue_listen(apr_pool_t *p, udm_db_t *db)
{
    udm_result_t *result;
    udm_error_t *error = udm_db_query(&result, p, db, &channel, 0, NULL);

    if (!error && result->rows == 0) {
        error = no_installation(p);
    }
    /* Of a-z, 0-9 and _, as the column says. */
    return error
               ? error
               : udm_db_exec(p, db, apr_pstrcat(p, "LISTEN ", udm_result_text(result, 0, 0), NULL));
}

udm_error_t *udm_queue_installation(const char **id, bool *has_store, apr_pool_t *p, udm_db_t *db)
{
    return read_installation(id, has_store, p, db, &installation);
}

typedef struct marking_t {
    udm_queue_mark *mark;
    void *baton;
} marking_t;

/* First the mark, then the note: a mark without the note is found by whoever comes next. */
static udm_error_t *mark_and_note(apr_pool_t *p, udm_db_t *db, void *baton)
{
    const marking_t *marking = baton;
    udm_result_t *result;
    udm_error_t *error;
    bool has_store;
    const char *id;

    error = read_installation(&id, &has_store, p, db, &installation_lock);
    if (error || has_store) {
        return error;
    }
    error = marking->mark(p, id, marking->baton);
    return error ? error : udm_db_query(&result, p, db, &begin_store, 0, NULL);
}

udm_error_t *udm_queue_begin_store(apr_pool_t *p, udm_db_t *db, udm_queue_mark *mark, void *baton)
{
    marking_t marking = {mark, baton};

    return udm_transaction(p, db, mark_and_note, &marking);
}
