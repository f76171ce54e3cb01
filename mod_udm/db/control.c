/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * control.c: reads the state of a job and its run under lock, asks what a change leads to, and
 * writes that.
 *
 * Locks are taken in one order everywhere: run, its progress, job. So the run comes first here,
 * too, although the job is what was asked for; and because a scheduler may have made a run before
 * the job was locked, it is looked for once more after that.
 */
#include "db/control.h"

#include <string.h>

#include <apr_strings.h>

#include "core/etag.h"
#include "db/job_check.h"
#include "db/job_private.h"
#include "db/quota.h"
#include "db/row.h"
#include "pg/transaction.h"

#define ACTIVE "('QUEUED', 'IN_PROGRESS', 'SUSPENDED')"

/* Nothing is locked that the principal does not see: nobody could make another tenant wait. */
/* clang-format off */
static const udm_statement_t run_of_job_lock = {
    "udm_control_run_of_job",
    "SELECT r.id, r.status FROM udm.run r WHERE r.job_id = $1::bigint AND r.status IN " ACTIVE
    " AND EXISTS (SELECT FROM udm.job j WHERE j.id = r.job_id AND j.ccid = $2 AND "
    UDM_ROW_VISIBLE("j", "$3", "$4") ") FOR UPDATE OF r"};

/* Of a job whose records were deleted, its status and its watermark still tell that it began. */
#define JOB_STATE                                                                                  \
    "SELECT j.source, j.type, j.schedule_type = 'recurring', j.suspended,"                         \
    " j.next_run_at IS NOT NULL, j.status IN ('IN_PROGRESS', 'COMPLETED', 'FAILED')"               \
    " OR (j.schedule_type = 'recurring' AND j.watermark IS NOT NULL)"                              \
    " OR EXISTS (SELECT FROM udm.run r WHERE r.job_id = j.id AND r.started_at IS NOT NULL"         \
    " AND (j.schedule_type = 'recurring' OR r.status IN " ACTIVE "))"                              \
    " FROM udm.job j WHERE j.id = $1::bigint AND j.ccid = $2"

static const udm_statement_t job_lock = {
    "udm_control_job",
    JOB_STATE " AND " UDM_ROW_VISIBLE("j", "$3", "$4") " FOR UPDATE OF j"};
static const udm_statement_t job_of_run_lock = {
    "udm_control_job_of_run",
    JOB_STATE " FOR UPDATE OF j"};

static const udm_statement_t run_lock = {
    "udm_control_run",
    "SELECT r.id, r.status, r.job_id, r.source, r.type FROM udm.run r"
    " WHERE r.id = $1::bigint AND r.ccid = $2 AND " UDM_ROW_VISIBLE("r", "$3", "$4")
    " FOR UPDATE OF r"};
/* clang-format on */

static const udm_statement_t other_run = {
    "udm_control_other_run", "SELECT FROM udm.run WHERE job_id = $1::bigint AND status IN " ACTIVE
                             " AND id IS DISTINCT FROM $2::bigint"};

static const udm_statement_t run_cancel = {
    "udm_control_run_cancel",
    "UPDATE udm.run SET status = 'CANCELLED', status_reason = $2, finished_at = now()"
    " WHERE id = $1::bigint"};

/* Whoever holds the run sees it when it renews its lease, and needs its fence for that. */
static const udm_statement_t run_suspend = {
    "udm_control_run_suspend", "UPDATE udm.run SET status = 'SUSPENDED', status_reason = NULL"
                               " WHERE id = $1::bigint"};

/* An attempt that was interrupted on request is none; a settle time that goes on goes on. */
static const udm_statement_t run_resume = {
    "udm_control_run_resume",
    "UPDATE udm.run SET status = 'QUEUED', ready_at = greatest(ready_at, now()), worker_id = NULL,"
    " status_reason = NULL,"
    " attempt = CASE WHEN worker_id IS NULL THEN attempt ELSE greatest(attempt - 1, 0) END"
    " WHERE id = $1::bigint"};

static const udm_statement_t run_forget = {"udm_control_run_forget",
                                           "DELETE FROM udm.run WHERE id = $1::bigint"};

static const udm_statement_t job_forget_run = {
    "udm_control_job_forget_run", "UPDATE udm.job j SET latest_run_id = NULL"
                                  " WHERE j.id = $1::bigint AND j.latest_run_id = $2::bigint"};

static const udm_statement_t job_update = {
    "udm_control_job_update",
    "UPDATE udm.job SET suspended = $2::boolean, status_reason = NULL,"
    " next_run_at = CASE WHEN NOT $3::boolean THEN next_run_at END, changed_at = now()"
    " WHERE id = $1::bigint"};

static const udm_statement_t job_delete = {"udm_control_job_delete",
                                           "DELETE FROM udm.job WHERE id = $1::bigint"};

static const udm_statement_t job_matches = {
    "udm_control_job_matches", "SELECT " UDM_JOB_TAG " = ANY ($2::text[]) FROM " UDM_JOB_SHOWN};
static const udm_statement_t definition_matches = {"udm_control_definition_matches",
                                                   "SELECT " UDM_DEFINITION_TAG
                                                   " = ANY ($2::text[]) FROM udm.job j"
                                                   " WHERE j.id = ANY ($1::bigint[])"};

static const char *const audit_actions[] = {
    [UDM_CHANGE_CANCEL] = "job.cancel", [UDM_CHANGE_SUSPEND] = "job.suspend",
    [UDM_CHANGE_RESUME] = "job.resume", [UDM_CHANGE_REPLACE] = "job.replace",
    [UDM_CHANGE_DELETE] = "job.delete",
};

/* What one attempt works on: what was asked for, then what was found under lock. */
typedef struct control_t {
    udm_job_info_t **info;
    udm_change change;
    apr_int64_t id; /* of the job, or of the run that is deleted */
    const udm_job_t *definition;
    const udm_condition_t *condition;
    const udm_audit_t *audit;

    apr_int64_t job_id;
    apr_int64_t run_id; /* 0: none */
    udm_job_state_t state;
    const char *source;
    const char *type;
} control_t;

static const udm_statement_t registered = {"udm_control_registered",
                                           "SELECT udm.is_registered($1, $2, $3)"};

/* The status of a run that waits or goes on; of any other there is nothing to change. */
static udm_status run_state(const char *name)
{
    udm_status status = udm_status_of(name);

    return udm_status_is_active(status) ? status : UDM_STATUS_NONE;
}

static void read_job_state(control_t *control, const udm_result_t *row)
{
    control->source = udm_result_text(row, 0, 0);
    control->type = udm_result_text(row, 0, 1);
    control->state.recurring = udm_result_bool(row, 0, 2);
    control->state.suspended = udm_result_bool(row, 0, 3);
    control->state.due = udm_result_bool(row, 0, 4);
    control->state.started = udm_result_bool(row, 0, 5);
}

/* Who may see what is locked: the parameters of all three statements. */
static void lock_values(const char **values, apr_pool_t *p, const control_t *control)
{
    values[0] = udm_pg_int(p, control->id);
    values[1] = control->audit->who->ccid;
    udm_row_rights(&values[2], &values[3], p, control->audit->who, false);
}

/* Locks a job and its run, and reads their state. */
static udm_error_t *lock_job(control_t *control, apr_pool_t *p, udm_pg_t *db)
{
    const char *values[4];
    const char *others[2];
    udm_result_t *row;
    udm_error_t *error;

    lock_values(values, p, control);
    error = udm_pg_query(&row, p, db, &run_of_job_lock, 4, values);
    if (error) {
        return error;
    }
    memset(&control->state, 0, sizeof(control->state));
    control->run_id = row->rows > 0 ? udm_result_int(row, 0, 0) : 0;
    control->state.run = row->rows > 0 ? run_state(udm_result_text(row, 0, 1)) : UDM_STATUS_NONE;
    error = udm_pg_query(&row, p, db, &job_lock, 4, values);
    if (error) {
        return error;
    }
    if (row->rows == 0) {
        return udm_job_unknown(p, false);
    }
    control->job_id = control->id;
    read_job_state(control, row);
    others[0] = values[0];
    others[1] = control->run_id > 0 ? udm_pg_int(p, control->run_id) : NULL;
    error = udm_pg_query(&row, p, db, &other_run, 2, others);
    if (!error && row->rows > 0) {
        return udm_transaction_again(p);
    }
    return error;
}

/* Locks a history record and the job that it is of, if that is still there. */
static udm_error_t *lock_run(control_t *control, apr_pool_t *p, udm_pg_t *db)
{
    const char *values[4];
    udm_result_t *run, *job;
    udm_error_t *error;

    lock_values(values, p, control);
    error = udm_pg_query(&run, p, db, &run_lock, 4, values);
    if (error) {
        return error;
    }
    if (run->rows == 0) {
        return udm_job_unknown(p, true);
    }
    memset(&control->state, 0, sizeof(control->state));
    control->run_id = control->id;
    control->job_id = udm_result_int(run, 0, 2);
    values[0] = udm_pg_int(p, control->job_id);
    error = udm_pg_query(&job, p, db, &job_of_run_lock, 2, values);
    if (error) {
        return error;
    }
    if (job->rows > 0) {
        read_job_state(control, job);
    }
    control->state.run = run_state(udm_result_text(run, 0, 1));
    control->source = udm_result_text(run, 0, 3); /* the record's own, whatever the job is now */
    control->type = udm_result_text(run, 0, 4);
    return NULL;
}

static udm_error_t *check_right(const control_t *control, apr_pool_t *p)
{
    if (udm_principal_may(control->audit->who, control->source, control->type, true)) {
        return NULL;
    }
    return udm_error_make(p, UDM_E_FORBIDDEN,
                          "this needs a role that may change exports of type \"%s\" of source "
                          "\"%s\"",
                          control->type, control->source);
}

/* What is gone does not go on, nor does what is beyond a limit. */
static udm_error_t *check_resumed(const control_t *control, apr_pool_t *p, udm_pg_t *db,
                                  const udm_transition_t *to)
{
    const char *values[3] = {control->source, control->type, control->audit->who->ccid};
    udm_result_t *row;
    udm_error_t *error = udm_pg_query(&row, p, db, &registered, 3, values);

    if (!error && !udm_result_bool(row, 0, 0)) {
        error = udm_error_make(p, UDM_E_INVALID,
                               "this job cannot be resumed: type \"%s\" of source \"%s\" is not "
                               "registered any more",
                               control->type, control->source);
    }
    return error ? error
                 : udm_quota_check(p, db, control->audit->who->ccid, control->job_id,
                                   to->run == UDM_RUN_TO_QUEUED,
                                   control->state.recurring && control->state.due);
}

/* Holds If-Match against the job as it stands under the lock. */
static udm_error_t *check_condition(const control_t *control, apr_pool_t *p, udm_pg_t *db)
{
    const udm_condition_t *condition = control->condition;
    apr_array_header_t *tags = condition ? udm_etag_list(p, condition->if_match) : NULL;
    const char *values[2];
    udm_result_t *row;
    udm_error_t *error;

    if (!tags) {
        return NULL;
    }
    values[0] = apr_psprintf(p, "{%" APR_INT64_T_FMT "}", control->id);
    values[1] = udm_pg_array(p, tags);
    error = udm_pg_query(
        &row, p, db, condition->version == UDM_V4 ? &definition_matches : &job_matches, 2, values);
    if (!error && (row->rows == 0 || !udm_result_bool(row, 0, 0))) {
        error = udm_error_make(p, UDM_E_PRECONDITION,
                               "the job is not the one that If-Match names: read it again");
    }
    return error;
}

/* Writes what becomes of the run. */
static udm_error_t *write_run(const control_t *control, apr_pool_t *p, udm_pg_t *db,
                              udm_run_change change)
{
    const char *values[2] = {udm_pg_int(p, control->run_id), NULL};
    const char *forget[2] = {udm_pg_int(p, control->job_id), values[0]};
    udm_result_t *result;
    udm_error_t *error;

    switch (change) {
    case UDM_RUN_TO_CANCELLED:
        values[1] = control->change == UDM_CHANGE_DELETE ? "cancelled because its job was deleted"
                                                         : UDM_CANCELLED_REASON;
        return udm_pg_query(&result, p, db, &run_cancel, 2, values);
    case UDM_RUN_TO_SUSPENDED:
        return udm_pg_query(&result, p, db, &run_suspend, 1, values);
    case UDM_RUN_TO_QUEUED:
        return udm_pg_query(&result, p, db, &run_resume, 1, values);
    case UDM_RUN_FORGET:
        error = udm_pg_query(&result, p, db, &run_forget, 1, values);
        return error ? error : udm_pg_query(&result, p, db, &job_forget_run, 2, forget);
    case UDM_RUN_KEEP:
        break;
    }
    return NULL;
}

/* Writes what becomes of the job. UDM_JOB_PLAN needs the new definition, checked. */
static udm_error_t *write_job(const control_t *control, apr_pool_t *p, udm_pg_t *db,
                              const udm_transition_t *to, const udm_job_t *checked)
{
    const char *values[3] = {udm_pg_int(p, control->job_id), to->suspended ? "t" : "f",
                             to->unplan ? "t" : "f"};
    udm_result_t *result;

    switch (to->job) {
    case UDM_JOB_KEEP:
        break;
    case UDM_JOB_WRITE:
        return udm_pg_query(&result, p, db, &job_update, 3, values);
    case UDM_JOB_PLAN:
        return udm_job_plan_anew(p, db, control->job_id, checked, control->audit);
    case UDM_JOB_DELETE:
        return udm_pg_query(&result, p, db, &job_delete, 1, values);
    }
    return NULL;
}

/*
 * What a body cannot say in its version stays as it is, as long as the job is about the same data: or
 * a client of v4 that sends back what it has read would widen the export.
 */
static udm_error_t *keep_unsaid(const control_t *control, apr_pool_t *p, udm_pg_t *db,
                                udm_job_t *checked)
{
    udm_job_t *stored;
    udm_error_t *error;

    if ((!checked->keeps_filters && !checked->keeps_attachments) ||
        strcmp(checked->source, control->source) != 0 ||
        strcmp(checked->type, control->type) != 0) {
        return NULL;
    }
    error = udm_job_definition(&stored, p, db, control->audit->who, control->job_id);
    if (!error && checked->keeps_filters) {
        checked->filters = stored->filters;
    }
    if (!error && checked->keeps_attachments) {
        checked->export_attachments = stored->export_attachments;
    }
    return error;
}

/* One change of a job, in a transaction. */
static udm_error_t *change_job(apr_pool_t *p, udm_pg_t *db, void *baton)
{
    control_t *control = baton;
    udm_certificate_t *certificate;
    udm_job_cipher_t cipher;
    udm_job_t *checked = NULL;
    udm_transition_t to;
    udm_error_t *error = lock_job(control, p, db);

    if (!error) {
        error = check_right(control, p);
    }
    if (!error) {
        error = check_condition(control, p, db);
    }
    if (!error && control->definition) {
        error = udm_job_check(&checked, &cipher, p, db, control->definition, control->audit->who);
        if (!error) {
            error = udm_job_check_cipher(&certificate, p, &cipher);
        }
        if (!error) {
            error = keep_unsaid(control, p, db, checked);
        }
    }
    if (!error) {
        error = udm_transition_job(&to, p, control->change, &control->state);
    }
    if (!error && control->change == UDM_CHANGE_RESUME && !to.same) {
        error = check_resumed(control, p, db, &to);
    }
    if (error) {
        return error;
    }
    if (!to.same) {
        error = write_run(control, p, db, to.run);
        if (!error) {
            error = write_job(control, p, db, &to, checked);
        }
        if (!error && to.job != UDM_JOB_PLAN) { /* which has written its own */
            error = udm_audit_write(p, db, control->audit, NULL, audit_actions[control->change],
                                    udm_pg_int(p, control->job_id), NULL);
        }
    }
    if (!error && to.job != UDM_JOB_DELETE) {
        error = udm_job_get(control->info, p, db, control->audit->who, control->job_id);
    }
    return error;
}

udm_error_t *udm_job_change(udm_job_info_t **info, apr_pool_t *p, udm_pg_t *db, udm_change change,
                            apr_int64_t id, const udm_condition_t *condition,
                            const udm_audit_t *audit)
{
    control_t control = {
        .info = info, .change = change, .id = id, .condition = condition, .audit = audit};
    udm_error_t *error;

    *info = NULL;
    error = udm_transaction(p, db, change_job, &control);
    if (error) {
        *info = NULL;
    }
    return error;
}

udm_error_t *udm_job_replace(udm_job_info_t **info, apr_pool_t *p, udm_pg_t *db, apr_int64_t id,
                             const udm_job_t *job, const udm_condition_t *condition,
                             const udm_audit_t *audit)
{
    control_t control = {.info = info,
                         .change = UDM_CHANGE_REPLACE,
                         .id = id,
                         .definition = job,
                         .condition = condition,
                         .audit = audit};
    udm_error_t *error;

    *info = NULL;
    error = udm_transaction(p, db, change_job, &control);
    if (error) {
        *info = NULL;
    }
    return error;
}

/* One history record, in a transaction. */
static udm_error_t *delete_run(apr_pool_t *p, udm_pg_t *db, void *baton)
{
    control_t *control = baton;
    udm_transition_t to = {0};
    udm_error_t *error = lock_run(control, p, db);

    if (!error) {
        error = check_right(control, p);
    }
    if (!error) {
        error = udm_transition_run_delete(&to, p, &control->state);
    }
    if (!error) {
        error = write_run(control, p, db, to.run);
    }
    if (!error) {
        error = write_job(control, p, db, &to, NULL);
    }
    if (!error) {
        error = udm_audit_write(p, db, control->audit, NULL, "run.delete",
                                udm_pg_int(p, control->run_id), NULL);
    }
    return error;
}

udm_error_t *udm_run_delete(apr_pool_t *p, udm_pg_t *db, apr_int64_t id, const udm_audit_t *audit)
{
    control_t control = {.change = UDM_CHANGE_CANCEL, .id = id, .audit = audit};

    return udm_transaction(p, db, delete_run, &control);
}

/* clang-format off */
#define VISIBLE_IDS(table)                                                                         \
    "SELECT t.id FROM " table " t WHERE t.id = ANY ($1::bigint[]) AND t.ccid = $2"                 \
    " AND " UDM_ROW_VISIBLE("t", "$3", "$4")
/* clang-format on */

static const udm_statement_t visible_jobs = {"udm_control_visible_jobs", VISIBLE_IDS("udm.job")};
static const udm_statement_t visible_runs = {"udm_control_visible_runs", VISIBLE_IDS("udm.run")};

/* Those of many ids that are worth a transaction. */
static udm_error_t *visible_ids(apr_array_header_t **visible, apr_pool_t *p, udm_pg_t *db,
                                bool runs, const apr_array_header_t *ids,
                                const udm_principal_t *who)
{
    apr_array_header_t *texts = apr_array_make(p, ids->nelts, sizeof(const char *));
    const char *values[4];
    udm_result_t *rows;
    udm_error_t *error;
    int i;

    for (i = 0; i < ids->nelts; i++) {
        APR_ARRAY_PUSH(texts, const char *) = udm_pg_int(p, APR_ARRAY_IDX(ids, i, apr_int64_t));
    }
    values[0] = udm_pg_array(p, texts);
    values[1] = who->ccid;
    udm_row_rights(&values[2], &values[3], p, who, false);
    error = udm_pg_query(&rows, p, db, runs ? &visible_runs : &visible_jobs, 4, values);
    *visible = apr_array_make(p, ids->nelts, sizeof(apr_int64_t));
    for (i = 0; !error && i < rows->rows; i++) {
        APR_ARRAY_PUSH(*visible, apr_int64_t) = udm_result_int(rows, i, 0);
    }
    return error;
}

static bool holds(const apr_array_header_t *ids, apr_int64_t id)
{
    int i;

    for (i = 0; i < ids->nelts && APR_ARRAY_IDX(ids, i, apr_int64_t) != id; i++) {
    }
    return i < ids->nelts;
}

udm_error_t *udm_job_delete_many(apr_array_header_t **left, apr_pool_t *p, udm_pg_t *db, bool runs,
                                 const apr_array_header_t *ids, const udm_audit_t *audit)
{
    udm_job_info_t *info;
    apr_array_header_t *visible;
    udm_error_t *error;
    apr_pool_t *own;
    int i;

    *left = apr_array_make(p, 4, sizeof(apr_int64_t));
    error = visible_ids(&visible, p, db, runs, ids, audit->who);
    if (error) {
        return error;
    }
    apr_pool_create(&own, p);
    for (i = 0; i < ids->nelts; i++) {
        apr_int64_t id = APR_ARRAY_IDX(ids, i, apr_int64_t);

        if (!holds(visible, id)) {
            APR_ARRAY_PUSH(*left, apr_int64_t) = id;
            continue;
        }
        apr_pool_clear(own);
        error = runs ? udm_run_delete(own, db, id, audit)
                     : udm_job_change(&info, own, db, UDM_CHANGE_DELETE, id, NULL, audit);
        if (!error) {
            continue;
        }
        if (error->kind == UDM_E_DATABASE || error->kind == UDM_E_INTERNAL) {
            error = udm_error_copy(p, error);
            break;
        }
        APR_ARRAY_PUSH(*left, apr_int64_t) = id;
        error = NULL;
    }
    apr_pool_destroy(own);
    return error;
}
