/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * job.c: stores a job, plans one anew, and reads one job or run.
 */
#include "db/job_private.h"

#include <string.h>

#include <apr_strings.h>

#include "core/json.h"
#include "core/text.h"
#include "db/row.h"

/* The parameters that a definition fills, whether it is stored for the first time or anew. */
enum {
    PLAN_CCID,
    PLAN_FAMILY,
    PLAN_SOURCE,
    PLAN_TYPE,
    PLAN_TITLE,
    PLAN_DESCRIPTION,
    PLAN_ALL,
    PLAN_FROM,
    PLAN_TO,
    PLAN_MEDIA,
    PLAN_ATTACHMENTS,
    PLAN_SPLIT_SIZE,
    PLAN_SPLIT_BYTES,
    PLAN_SCHEDULE_TYPE,
    PLAN_SCHEDULE,
    PLAN_START,
    PLAN_SUSPENDED,
    PLAN_SUBJECT,
    PLAN_KEY_ID,
    PLAN_ADDRESS,
    PLAN_REQUEST,
    PLAN_FILTERS,
    PLAN_NEXT,  /* the run after the first, if the first is due now */
    PLAN_RUNS,  /* how many runs there may be */
    PLAN_SINCE, /* when the schedule was accepted */
    PLAN_MOVES, /* whether the windows of the runs move on */
    PLAN_ENCRYPTION,
    PLAN_VALUES
};

/*
 * Job, first run, its progress and the audit, in one statement. Whether the job is due now, the
 * clock of the database says. The ids come first, because no part of a statement sees rows that
 * another part of it writes. `job_id` is SQL for the id, `mark` for where the last window ended,
 * `store` what writes the job, `also` more to select from. A moving window waits for its settle time
 * (decisions 2.3).
 */
/* clang-format off */
#define PLAN(job_id, mark, also, store, action)                                                    \
    "WITH plan AS MATERIALIZED (SELECT " job_id " AS job_id,"                                      \
    " CASE WHEN due THEN nextval('udm.job_or_run_id') END AS run_id, due, start,"                  \
    " CASE WHEN $17::boolean THEN 'SUSPENDED' WHEN due THEN 'QUEUED' ELSE 'SCHEDULED' END"         \
    " AS status,"                                                                                  \
    UDM_DB_TIME_IN("$8") " AS date_from," UDM_DB_TIME_IN("$9") " AS date_to,"                      \
    " CASE WHEN $26::boolean THEN " mark " END AS mark"                                            \
    " FROM (SELECT start, NOT $17::boolean AND start <= now() AS due"                              \
    " FROM (SELECT coalesce(" UDM_DB_TIME_IN("$16") ", now()) AS start) s) d" also "),"            \
    " job AS (" store "),"                                                                         \
    " new_run AS (INSERT INTO udm.run (id, job_id, ccid, source, type, title, description,"        \
    " window_all, window_from, window_to, moves_watermark, media, export_attachments,"             \
    " file_split_size, file_split_bytes, filters, scheduled_at, ready_at, created_by)"             \
    " SELECT run_id, job_id, $1, $3, $4, $5, $6, $7::boolean, coalesce(mark, date_from),"          \
    " CASE WHEN $26::boolean THEN greatest(start, mark, date_from)"                                \
    " WHEN num_nonnulls(date_from, date_to) = 0 AND NOT $7::boolean THEN start"                    \
    " ELSE date_to END, $26::boolean, $10::text[],"                                                \
    " $11::boolean, $12, $13::bigint, $22::jsonb, start,"                                          \
    " start + CASE WHEN $26::boolean THEN make_interval(secs => (SELECT settle_seconds"            \
    " FROM udm.data_type t WHERE t.source = $3 AND t.name = $4)) ELSE interval '0' END,"           \
    " $18 FROM plan WHERE due RETURNING id),"                                                      \
    " new_progress AS (INSERT INTO udm.run_progress (run_id) SELECT id FROM new_run),"             \
    " new_audit AS (INSERT INTO udm.audit (ccid, subject, key_id, action, object, client_address," \
    " request_id) SELECT $1, $18, $19, '" action "', job_id::text, $20, $21 FROM plan)"            \
    " SELECT job_id, status, " UDM_DB_TIME("now()") " FROM plan"

/* The workers are told when the commit is over: see udm.run_notify(). */
#define PLAN_HINT_LATER ", set_config('udm.notifies_later', 'on', true)"

#define PLAN_NEXT_RUN  "CASE WHEN due THEN " UDM_DB_TIME_IN("$23") " ELSE start END"
#define PLAN_RUNS_LEFT "$24::integer - due::integer"

/* Where the last window ended counts on only for the same rows, in the same frame. */
#define PLAN_SAME                                                                                  \
    "(j.source, j.type, j.filters, j.time_all) = ($3, $4, $22::jsonb, $7::boolean)"                \
    " AND j.media @> $10::text[] AND j.media <@ $10::text[]"                                       \
    " AND (j.date_from, j.date_to) IS NOT DISTINCT FROM"                                           \
    " (" UDM_DB_TIME_IN("$8") ", " UDM_DB_TIME_IN("$9") ")"

static const udm_statement_t job_insert = {
    "udm_job_insert",
    PLAN("nextval('udm.job_or_run_id')", "NULL::timestamptz", PLAN_HINT_LATER,
    "INSERT INTO udm.job (id, ccid, family, source, type, title, description,"
    " time_all, date_from, date_to, media, export_attachments, file_split_size, file_split_bytes,"
    " schedule_type, schedule, next_run_at, suspended, status, latest_run_id, created_by, filters,"
    " runs_left, schedule_since, encryption)"
    " SELECT job_id, $1, $2, $3, $4, $5, $6, $7::boolean, date_from, date_to, $10::text[],"
    " $11::boolean, $12, $13::bigint, $14, $15::jsonb, " PLAN_NEXT_RUN ","
    " $17::boolean, status, run_id, $18, $22::jsonb, " PLAN_RUNS_LEFT ", " UDM_DB_TIME_IN("$25")
    ", $27 FROM plan", "job.create")};

static const udm_statement_t job_replace = {
    "udm_job_replace",
    PLAN("$28::bigint",
    "(SELECT j.watermark FROM udm.job j WHERE j.id = $28::bigint AND " PLAN_SAME ")", "",
    "UPDATE udm.job j SET family = $2, source = $3, type = $4, title = $5, description = $6,"
    " time_all = $7::boolean, date_from = plan.date_from, date_to = plan.date_to,"
    " media = $10::text[], export_attachments = $11::boolean, file_split_size = $12,"
    " file_split_bytes = $13::bigint, schedule_type = $14, schedule = $15::jsonb,"
    " next_run_at = " PLAN_NEXT_RUN ", suspended = $17::boolean,"
    " status = plan.status, latest_run_id = coalesce(plan.run_id,"
    /* a run of other data is not shown to those who may see this */
    " CASE WHEN (j.source, j.type) = ($3, $4) THEN j.latest_run_id END),"
    " filters = $22::jsonb, runs_left = " PLAN_RUNS_LEFT ", changed_at = now(),"
    " schedule_since = " UDM_DB_TIME_IN("$25") ", encryption = $27,"
    " watermark = CASE WHEN " PLAN_SAME " THEN j.watermark END"
    " FROM plan WHERE j.id = plan.job_id", "job.replace")};
/* clang-format on */

static void plan_values(const char **values, apr_pool_t *p, const udm_job_t *job,
                        const udm_audit_t *audit)
{
    apr_time_t first = udm_schedule_first(&job->schedule, job->schedule_since);

    memset(values, 0, PLAN_VALUES * sizeof(*values));
    values[PLAN_CCID] = audit->who->ccid;
    values[PLAN_FAMILY] = job->family;
    values[PLAN_SOURCE] = job->source;
    values[PLAN_TYPE] = job->type;
    values[PLAN_TITLE] = job->title;
    values[PLAN_DESCRIPTION] = job->description;
    values[PLAN_ALL] = job->time_all ? "t" : "f";
    values[PLAN_FROM] = udm_db_time(p, job->date_from);
    values[PLAN_TO] = udm_db_time(p, job->date_to);
    values[PLAN_MEDIA] = udm_db_array(p, job->media);
    values[PLAN_ATTACHMENTS] = job->export_attachments ? "t" : "f";
    values[PLAN_SPLIT_SIZE] = job->file_split_size;
    values[PLAN_SPLIT_BYTES] =
        job->file_split_bytes > 0 ? udm_db_int(p, job->file_split_bytes) : NULL;
    values[PLAN_SCHEDULE_TYPE] = udm_schedule_type_name(job->schedule_type);
    values[PLAN_SCHEDULE] = job->schedule_json ? job->schedule_json : "{}";
    values[PLAN_START] = udm_db_time(p, first);
    values[PLAN_SUSPENDED] = job->suspended ? "t" : "f";
    values[PLAN_SUBJECT] = audit->who->subject;
    values[PLAN_KEY_ID] = audit->who->key_id;
    values[PLAN_ADDRESS] = audit->client_address;
    values[PLAN_REQUEST] = audit->request_id;
    values[PLAN_FILTERS] = job->filters ? udm_filter_text(p, job->filters) : "[]";
    if (job->schedule.recurs && job->schedule.runs_max != 1) {
        values[PLAN_NEXT] = udm_db_time(p, udm_schedule_next(&job->schedule, first));
    }
    if (job->schedule.runs_max > 0) {
        values[PLAN_RUNS] = udm_db_int(p, job->schedule.runs_max);
    }
    values[PLAN_SINCE] = udm_db_time(p, job->schedule_since);
    values[PLAN_MOVES] = udm_job_window_moves(job) ? "t" : "f";
    values[PLAN_ENCRYPTION] = udm_encryption_name(job->encryption);
}

udm_error_t *udm_job_plan_anew(apr_pool_t *p, udm_db_t *db, apr_int64_t id,
                               const udm_job_t *checked, const udm_audit_t *audit)
{
    const char *values[PLAN_VALUES + 1];
    udm_result_t *row;

    plan_values(values, p, checked, audit);
    values[PLAN_VALUES] = udm_db_int(p, id);
    return udm_db_query(&row, p, db, &job_replace, PLAN_VALUES + 1, values);
}

static const udm_statement_t job_hint = {"udm_job_hint", "SELECT pg_notify('udm_run', '')"};

void udm_job_hint(apr_pool_t *p, udm_db_t *db)
{
    udm_result_t *row;

    /* The job is stored, whatever becomes of this: workers look by themselves, too. */
    (void)udm_db_query(&row, p, db, &job_hint, 0, NULL);
}

udm_error_t *udm_job_insert(udm_job_info_t **info, apr_pool_t *p, udm_db_t *db,
                            const udm_job_t *job, const udm_audit_t *audit)
{
    const char *values[PLAN_VALUES];
    udm_job_t *checked = NULL;
    udm_job_info_t *made;
    udm_result_t *row;
    udm_error_t *error;

    *info = NULL;
    error = udm_job_check(&checked, p, db, job, audit->who);
    if (!error) {
        plan_values(values, p, checked, audit);
        error = udm_db_query(&row, p, db, &job_insert, PLAN_VALUES, values);
    }
    if (error) {
        return error;
    }
    made = apr_pcalloc(p, sizeof(*made));
    made->id = udm_result_int(row, 0, 0);
    made->type = checked->type;
    made->source = checked->source;
    made->title = checked->title;
    made->file_split_size = checked->file_split_size ? checked->file_split_size : "";
    made->status = udm_result_text(row, 0, 1);
    made->created = udm_result_time(row, 0, 2);
    made->date_from = checked->date_from;
    made->date_to = checked->date_to;
    made->description = checked->description ? checked->description : "";
    made->media = checked->media;
    made->export_attachments = checked->export_attachments;
    *info = made;
    return NULL;
}

udm_error_t *udm_job_create(udm_job_info_t **info, apr_pool_t *p, udm_db_t *db,
                            const udm_job_t *job, const udm_audit_t *audit)
{
    udm_error_t *error = udm_job_insert(info, p, db, job, audit);

    if (!error) {
        udm_job_hint(p, db);
    }
    return error;
}

/* Whose they are, and who may see them, is looked at here: those who ask are not one. */
static const udm_statement_t jobs_select = {"udm_job_get", "SELECT " UDM_JOB_COLUMNS
                                                           ", j.ccid FROM " UDM_JOB_TABLES
                                                           " WHERE j.id = ANY ($1::bigint[])"};

static const udm_statement_t run_select = {"udm_run_get",
                                           "SELECT " UDM_RUN_COLUMNS " FROM " UDM_RUN_TABLES
                                           " WHERE r.id = $1::bigint AND r.ccid = $2"};

/* clang-format off */
static const udm_statement_t definition_select = {
    "udm_job_definition",
    "SELECT family, source, type, title, description, time_all,"
    UDM_DB_TIME("date_from") "," UDM_DB_TIME("date_to")
    ", to_json(media)::text, export_attachments, file_split_size, file_split_bytes,"
    " filters::text, suspended, schedule::text, " UDM_DB_TIME("schedule_since") " FROM udm.job j"
    " WHERE j.id = $1::bigint AND j.ccid = $2"};
/* clang-format on */

/* Where a row says what data it is about. */
#define INFO_TYPE         2
#define INFO_SOURCE       3
#define DEFINITION_SOURCE 1
#define DEFINITION_TYPE   2

udm_error_t *udm_job_unknown(apr_pool_t *p, bool run)
{
    return udm_error_make(p, UDM_E_NOT_FOUND, "there is no %s with this id",
                          run ? "history record" : "job");
}

/* One row of a job or a run by its id. One row is held against the rights here and not by SQL. */
static udm_error_t *select_one(udm_result_t **row, apr_pool_t *p, udm_db_t *db,
                               const udm_statement_t *statement, bool run,
                               const udm_principal_t *who, apr_int64_t id)
{
    const char *values[2] = {udm_db_int(p, id), who->ccid};
    bool defines = statement == &definition_select;
    udm_error_t *error = udm_db_query(row, p, db, statement, 2, values);

    if (!error && ((*row)->rows == 0 ||
                   !udm_principal_may(
                       who, udm_result_text(*row, 0, defines ? DEFINITION_SOURCE : INFO_SOURCE),
                       udm_result_text(*row, 0, defines ? DEFINITION_TYPE : INFO_TYPE), false))) {
        error = udm_job_unknown(p, run);
    }
    return error;
}

/* A copy that outlives the result of the statement. */
static udm_job_info_t *copy_info(apr_pool_t *p, const udm_job_info_t *info)
{
    udm_job_info_t *copy = apr_pmemdup(p, info, sizeof(*info));
    int i;

    copy->type = apr_pstrdup(p, info->type);
    copy->source = apr_pstrdup(p, info->source);
    copy->title = apr_pstrdup(p, info->title);
    copy->file_split_size = apr_pstrdup(p, info->file_split_size);
    copy->file_name = apr_pstrdup(p, info->file_name);
    copy->status = apr_pstrdup(p, info->status);
    copy->status_reason = apr_pstrdup(p, info->status_reason);
    copy->description = apr_pstrdup(p, info->description);
    copy->media = apr_array_copy(p, info->media);
    for (i = 0; i < copy->media->nelts; i++) {
        APR_ARRAY_IDX(copy->media, i, const char *) =
            apr_pstrdup(p, APR_ARRAY_IDX(copy->media, i, const char *));
    }
    return copy;
}

udm_error_t *udm_job_get_many(apr_pool_t *p, udm_db_t *db, udm_job_ask_t *const *asks, int count)
{
    apr_array_header_t *ids = apr_array_make(p, count, sizeof(const char *));
    const char *value;
    udm_result_t *rows;
    udm_error_t *error;
    int i, row;

    for (i = 0; i < count; i++) {
        APR_ARRAY_PUSH(ids, const char *) = udm_db_int(p, asks[i]->id);
        asks[i]->info = NULL;
    }
    value = udm_db_array(p, ids);
    error = udm_db_query(&rows, p, db, &jobs_select, 1, &value);
    for (row = 0; !error && row < rows->rows; row++) {
        const udm_job_info_t *info = udm_row_job(p, rows, row);
        const char *ccid = udm_result_text(rows, row, UDM_JOB_COLUMN_COUNT);

        for (i = 0; i < count; i++) {
            if (asks[i]->id == info->id && strcmp(asks[i]->who->ccid, ccid) == 0 &&
                udm_principal_may(asks[i]->who, info->source, info->type, false)) {
                asks[i]->info = copy_info(asks[i]->pool, info);
            }
        }
    }
    for (i = 0; !error && i < count; i++) {
        asks[i]->error = asks[i]->info ? NULL : udm_job_unknown(asks[i]->pool, false);
    }
    return error;
}

udm_error_t *udm_job_get(udm_job_info_t **info, apr_pool_t *p, udm_db_t *db,
                         const udm_principal_t *who, apr_int64_t id)
{
    udm_job_ask_t ask = {.pool = p, .who = who, .id = id};
    udm_error_t *error = udm_job_get_many(p, db, (udm_job_ask_t *const[]){&ask}, 1);

    *info = ask.info;
    return error ? error : ask.error;
}

udm_error_t *udm_run_get(udm_job_info_t **info, apr_pool_t *p, udm_db_t *db,
                         const udm_principal_t *who, apr_int64_t id)
{
    udm_result_t *row;
    udm_error_t *error = select_one(&row, p, db, &run_select, true, who, id);

    *info = error ? NULL : udm_row_job(p, row, 0);
    return error;
}

/*
 * What was stored as jsonb. A number too large for an integer of 64 bits has lost its exponent
 * there and is read as a real.
 */
static json_t *stored_json(apr_pool_t *p, const char *text)
{
    json_t *json = json_loads(text, 0, NULL);

    return udm_json_own(p, json ? json : json_loads(text, JSON_DECODE_INT_AS_REAL, NULL));
}

/* The schedule, of which the row keeps the words that were sent, and when. */
static udm_error_t *read_schedule(udm_job_t *job, apr_pool_t *p, const udm_result_t *row, int c)
{
    json_t *schedule = stored_json(p, udm_result_text(row, 0, c));
    udm_error_t *error = NULL;

    job->schedule_json = udm_json_text(p, schedule);
    job->schedule_since = udm_result_time(row, 0, c + 1);
    if (!udm_schedule_parse(&job->schedule, &error, p, "/schedulerParam", schedule,
                            job->schedule_since)) {
        return udm_error_make(p, UDM_E_INTERNAL, "the stored schedule of the job cannot be read");
    }
    job->schedule_type = udm_schedule_type_of(&job->schedule);
    return NULL;
}

udm_error_t *udm_job_definition(udm_job_t **job, apr_pool_t *p, udm_db_t *db,
                                const udm_principal_t *who, apr_int64_t id)
{
    udm_result_t *row;
    udm_error_t *error = select_one(&row, p, db, &definition_select, false, who, id);
    udm_job_t *read;
    int c = 0;

    *job = NULL;
    if (error) {
        return error;
    }
    read = apr_pcalloc(p, sizeof(*read));
    read->family = udm_result_text(row, 0, c++);
    read->source = udm_result_text(row, 0, c++);
    read->type = udm_result_text(row, 0, c++);
    read->title = udm_result_text(row, 0, c++);
    read->description = udm_result_text(row, 0, c++);
    read->time_all = udm_result_bool(row, 0, c++);
    read->date_from = udm_result_time(row, 0, c++);
    read->date_to = udm_result_time(row, 0, c++);
    read->media = udm_result_array(p, row, 0, c++);
    read->export_attachments = udm_result_bool(row, 0, c++);
    read->file_split_size = udm_result_text(row, 0, c++);
    read->file_split_bytes = udm_result_int(row, 0, c++);
    udm_filter_parse(&read->filters, &error, p, "/jobParams/filters",
                     stored_json(p, udm_result_text(row, 0, c++)));
    if (error) {
        return udm_error_make(p, UDM_E_INTERNAL, "the stored filters of the job cannot be read");
    }
    read->suspended = udm_result_bool(row, 0, c++);
    error = read_schedule(read, p, row, c);
    *job = error ? NULL : read;
    return error;
}

udm_error_t *udm_job_representation(json_t **json, apr_pool_t *p, udm_db_t *db,
                                    const udm_principal_t *who, apr_int64_t id, udm_version version)
{
    udm_job_info_t *info;
    udm_job_t *job;
    udm_error_t *error;

    *json = NULL;
    if (version == UDM_V4) {
        error = udm_job_definition(&job, p, db, who, id);
        if (!error) {
            *json = udm_job_json(p, job, id);
        }
        return error;
    }
    error = udm_job_get(&info, p, db, who, id);
    if (!error) {
        *json = udm_job_info_json(p, info, version);
    }
    return error;
}
