/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * job.c: stores a job, plans one anew, and reads one job or run.
 */
#include "db/job.h"

#include <string.h>

#include <apr_strings.h>

#include "core/json.h"
#include "core/text.h"
#include "db/job_check.h"
#include "db/job_private.h"
#include "db/quota.h"
#include "db/row.h"
#include "pg/transaction.h"

/* What a definition fills, whether it is stored for the first time or anew: a parameter each, which is
 * an array, for several may be stored at once. In the order of PLAN_NAMES. */
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
    PLAN_ENCRYPTION,
    PLAN_ID,     /* of the job that is planned anew */
    PLAN_REASON, /* why `next` is later than the schedule says; NULL: it is not */
    PLAN_VALUES
};

/* clang-format off */
#define PLAN_NAMES                                                                                 \
    "ccid, family, source, type, title, description, time_all, date_from, date_to, media,"         \
    " attachments, split_size, split_bytes, schedule_type, schedule, start, suspended, subject,"   \
    " key_id, address, request, filters, next, runs, since, encryption, id, reason"
#define PLAN_ASKED                                                                                 \
    "unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],"   \
    " $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],"    \
    " $15::text[], $16::text[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[],"  \
    " $22::text[], $23::text[], $24::text[], $25::text[], $26::text[], $27::text[],"  \
    " $28::text[])"                                                                                \
    " WITH ORDINALITY AS a (" PLAN_NAMES ", n)"

/*
 * Jobs, their first runs and the audit, in one statement. Whether a job is due now, the clock of the
 * database says; what the job shows, and the window of its run, are the business of its functions. The
 * ids come first, because no part of a statement sees rows that another part of it writes; a function
 * does. What is beyond a limit of its contact centre gets none of it, but the limit; whoever has no limits
 * pays nothing for that. `job_id` is SQL for the id, `store` what writes the job `j`, `also` more to do with
 * what is asked for, `d`.
 */
#define PLAN(job_id, also, store, action)                                                          \
    "WITH asked AS MATERIALIZED (SELECT d.*, NOT suspended AND schedule_type = 'recurring'"        \
    " AND (NOT due OR next IS NOT NULL) AS recur"                                                  \
    " FROM (SELECT s.*, NOT suspended AND start <= now() AS due"                                   \
    " FROM (SELECT n, ccid, family, source, type, title, description,"                             \
    " time_all::boolean AS time_all," UDM_PG_TIME_IN("date_from") " AS date_from,"                 \
    UDM_PG_TIME_IN("date_to") " AS date_to, media::text[] AS media,"                               \
    " attachments::boolean AS attachments, split_size, split_bytes::bigint AS split_bytes,"        \
    " schedule_type, schedule::jsonb AS schedule,"                                                 \
    " coalesce(" UDM_PG_TIME_IN("start") ", now()) AS start, suspended::boolean AS suspended,"     \
    " subject, key_id, address, request, filters::jsonb AS filters,"                               \
    UDM_PG_TIME_IN("next") " AS next, runs::integer AS runs,"                                      \
    UDM_PG_TIME_IN("since") " AS since, encryption, id::bigint AS id, reason"                       \
    " FROM " PLAN_ASKED ") s) d" also "),"                                                         \
    " refused AS MATERIALIZED (SELECT a.places[o.n] AS n, o.quota, o.most, o.wait"                 \
    " FROM (SELECT ccid, array_agg(n ORDER BY n) AS places, array_agg(id ORDER BY n) AS ids,"      \
    " array_agg(due ORDER BY n) AS runs, array_agg(recur ORDER BY n) AS recurs"                    \
    " FROM asked GROUP BY ccid ORDER BY ccid) a JOIN udm.quota q ON q.ccid = a.ccid,"              \
    " LATERAL udm.over_quota(a.ccid, a.ids, a.runs, a.recurs) o),"                                 \
    " plan AS MATERIALIZED (SELECT a.*, " job_id " AS job_id,"                                     \
    " CASE WHEN due THEN nextval('udm.job_or_run_id') END AS run_id"                               \
    " FROM asked a WHERE n NOT IN (SELECT n FROM refused)),"                                       \
    " job AS (" store " RETURNING j.id, j.status),"                                                \
    " made AS MATERIALIZED (SELECT udm.make_runs(array_agg(job_id ORDER BY n),"                    \
    " array_agg(start ORDER BY n), array_agg(subject ORDER BY n)) AS runs"                         \
    " FROM plan JOIN job ON job.id = job_id WHERE due)"                                            \
    " SELECT n - 1, job_id, job.status, " UDM_PG_TIME("now()") ", udm.audit_write(ccid, subject,"  \
    " key_id, '" action "', job_id::text, address, request, NULL), " UDM_NEW_TAG("job.status")     \
    ", NULL, NULL, NULL FROM plan JOIN job ON job.id = job_id, made WHERE made.runs >= 0"          \
    " UNION ALL SELECT n - 1, NULL, NULL, NULL, NULL, NULL, quota, most, wait FROM refused"

enum { PLANNED_N, PLANNED_ID, PLANNED_STATUS, PLANNED_NOW, PLANNED_AUDIT, PLANNED_TAG, PLANNED_QUOTA };

/*
 * Whether the workers are told when the commit is over, and not with it: see udm.run_notify(). What was
 * renamed or removed since the job was checked gets none: it would be nobody's. Whoever renames has
 * locked the table, and a statement that waited for that sees the new names. (Subselects, because a
 * join would change the order, which is that of the ids.)
 */
#define PLAN_OF_NEW                                                                                \
    ", set_config('udm.notifies_later', $29, true)"                                                \
    " WHERE (SELECT t.tenants IS NULL OR d.ccid = ANY (t.tenants) FROM udm.data_type t"            \
    " WHERE t.source = d.source AND t.name = d.type)"                                              \
    " AND (SELECT x.ending_since IS NULL FROM udm.tenant x WHERE x.ccid = d.ccid)"

/* Where the last window ended counts on only for the same rows, in the same frame. */
#define PLAN_SAME                                                                                  \
    "(j.source, j.type, j.filters, j.time_all) = (plan.source, plan.type, plan.filters,"           \
    " plan.time_all) AND j.media @> plan.media AND j.media <@ plan.media"                          \
    " AND (j.date_from, j.date_to) IS NOT DISTINCT FROM (plan.date_from, plan.date_to)"

static const udm_statement_t jobs_insert = {
    "udm_jobs_insert",
    PLAN("nextval('udm.job_or_run_id')", PLAN_OF_NEW,
    "INSERT INTO udm.job AS j (id, ccid, family, source, type, title, description,"
    " time_all, date_from, date_to, media, export_attachments, file_split_size, file_split_bytes,"
    " schedule_type, schedule, next_run_at, suspended, latest_run_id, created_by, filters,"
    " runs_left, schedule_since, encryption, status_reason)"
    " SELECT job_id, ccid, family, source, type, title, description, time_all, date_from, date_to,"
    " media, attachments, split_size, split_bytes, schedule_type, schedule,"
    " CASE WHEN due THEN next ELSE start END, suspended, run_id, subject, filters,"
    " runs - due::integer, since, encryption, CASE WHEN due THEN reason END FROM plan",
    "job.create")};

static const udm_statement_t job_replace = {
    "udm_jobs_replace",
    PLAN("a.id", "",
    "UPDATE udm.job j SET family = plan.family, source = plan.source, type = plan.type,"
    " title = plan.title, description = plan.description, time_all = plan.time_all,"
    " date_from = plan.date_from, date_to = plan.date_to, media = plan.media,"
    " export_attachments = plan.attachments, file_split_size = plan.split_size,"
    " file_split_bytes = plan.split_bytes, schedule_type = plan.schedule_type,"
    " schedule = plan.schedule, next_run_at = CASE WHEN due THEN next ELSE start END,"
    " suspended = plan.suspended, status_reason = CASE WHEN due THEN reason END,"
    " latest_run_id = coalesce(plan.run_id,"
    /* a run of other data is not shown to those who may see this */
    " CASE WHEN (j.source, j.type) = (plan.source, plan.type) THEN j.latest_run_id END),"
    " filters = plan.filters, runs_left = runs - due::integer, changed_at = now(),"
    " schedule_since = since, encryption = plan.encryption,"
    " watermark = CASE WHEN " PLAN_SAME " THEN j.watermark END"
    " FROM plan WHERE j.id = plan.job_id", "job.replace")};
/* clang-format on */

/* What becomes of one job; `id` is 0 for a new one. */
static void plan_values(const char **values, apr_pool_t *p, const udm_job_t *job,
                        const udm_audit_t *audit, apr_int64_t id)
{
    apr_time_t first = udm_schedule_first(&job->schedule, job->schedule_since);
    bool put_off;

    memset(values, 0, PLAN_VALUES * sizeof(*values));
    values[PLAN_CCID] = audit->who->ccid;
    values[PLAN_FAMILY] = job->family;
    values[PLAN_SOURCE] = job->source;
    values[PLAN_TYPE] = job->type;
    values[PLAN_TITLE] = job->title;
    values[PLAN_DESCRIPTION] = job->description;
    values[PLAN_ALL] = job->time_all ? "t" : "f";
    values[PLAN_FROM] = udm_pg_time(p, job->date_from);
    values[PLAN_TO] = udm_pg_time(p, job->date_to);
    values[PLAN_MEDIA] = udm_pg_array(p, job->media);
    values[PLAN_ATTACHMENTS] = job->export_attachments ? "t" : "f";
    values[PLAN_SPLIT_SIZE] = job->file_split_size;
    values[PLAN_SPLIT_BYTES] =
        job->file_split_bytes > 0 ? udm_pg_int(p, job->file_split_bytes) : NULL;
    values[PLAN_SCHEDULE_TYPE] = udm_schedule_type_name(job->schedule_type);
    values[PLAN_SCHEDULE] = job->schedule_json ? job->schedule_json : "{}";
    values[PLAN_START] = udm_pg_time(p, first);
    values[PLAN_SUSPENDED] = job->suspended ? "t" : "f";
    values[PLAN_SUBJECT] = audit->who->subject;
    values[PLAN_KEY_ID] = audit->who->key_id;
    values[PLAN_ADDRESS] = audit->client_address;
    values[PLAN_REQUEST] = audit->request_id;
    values[PLAN_FILTERS] = job->filters ? udm_filter_text(p, job->filters) : "[]";
    if (job->schedule.recurs && job->schedule.runs_max != 1) {
        values[PLAN_NEXT] = udm_pg_time(
            p, udm_schedule_next_apart(&put_off, &job->schedule, first, first, job->apart));
        values[PLAN_REASON] = put_off ? udm_quota_put_off(p, job->apart_text) : NULL;
    }
    if (job->schedule.runs_max > 0) {
        values[PLAN_RUNS] = udm_pg_int(p, job->schedule.runs_max);
    }
    values[PLAN_SINCE] = udm_pg_time(p, job->schedule_since);
    values[PLAN_ENCRYPTION] = udm_encryption_name(job->encryption);
    values[PLAN_ID] = id > 0 ? udm_pg_int(p, id) : NULL;
}

/* An array for each column, from a row for each job. */
static void plan_columns(const char **columns, apr_pool_t *p, const char *(*rows)[PLAN_VALUES],
                         int count)
{
    int c, row;

    for (c = 0; c < PLAN_VALUES; c++) {
        apr_array_header_t *column = apr_array_make(p, count, sizeof(const char *));

        for (row = 0; row < count; row++) {
            APR_ARRAY_PUSH(column, const char *) = rows[row][c];
        }
        columns[c] = udm_pg_array(p, column);
    }
}

udm_error_t *udm_job_plan_anew(apr_pool_t *p, udm_pg_t *db, apr_int64_t id,
                               const udm_job_t *checked, const udm_audit_t *audit)
{
    const char *values[1][PLAN_VALUES];
    const char *columns[PLAN_VALUES];
    udm_result_t *row;
    udm_error_t *error;

    plan_values(values[0], p, checked, audit, id);
    plan_columns(columns, p, values, 1);
    error = udm_pg_query(&row, p, db, &job_replace, PLAN_VALUES, columns);
    return error || row->rows == 0 ? error : udm_quota_refusal(p, row, 0, PLANNED_QUOTA);
}

static const udm_statement_t hint = {"udm_job_hint",
                                     "SELECT pg_notify(channel, '') FROM udm.installation"};

/* What the API shows of a job that was stored a moment ago. */
static udm_job_info_t *new_info(const udm_job_new_t *new, const udm_result_t *rows, int row)
{
    udm_job_info_t *info = apr_pcalloc(new->pool, sizeof(*info));

    info->id = udm_result_int(rows, row, PLANNED_ID);
    info->status = apr_pstrdup(new->pool, udm_result_text(rows, row, PLANNED_STATUS));
    info->created = udm_result_time(rows, row, PLANNED_NOW);
    info->etag = apr_pstrdup(new->pool, udm_result_text(rows, row, PLANNED_TAG));
    info->type = new->job->type;
    info->source = new->job->source;
    info->title = new->job->title;
    info->file_split_size = new->job->file_split_size ? new->job->file_split_size : "";
    info->date_from = new->job->date_from;
    info->date_to = new->job->date_to;
    info->description = new->job->description ? new->job->description : "";
    info->media = new->job->media;
    info->export_attachments = new->job->export_attachments;
    return info;
}

/*
 * Stores them all but those beyond a limit, or none. One tells the workers with its commit, so that they
 * begin the sooner; several come when there is much to do, and then what others commit is not to wait for
 * this.
 */
static udm_error_t *insert_all(apr_pool_t *p, udm_pg_t *db, udm_job_new_t *const *jobs, int count)
{
    const char *(*values)[PLAN_VALUES] = apr_palloc(p, (apr_size_t)count * sizeof(*values));
    const char *columns[PLAN_VALUES + 1];
    bool later = count > 1;
    udm_result_t *rows, *hinted;
    udm_error_t *error;
    int i;

    for (i = 0; i < count; i++) {
        plan_values(values[i], p, jobs[i]->job, jobs[i]->audit, 0);
        jobs[i]->info = NULL;
        jobs[i]->error = NULL;
    }
    plan_columns(columns, p, values, count);
    columns[PLAN_VALUES] = later ? "on" : "off";
    error = udm_pg_query(&rows, p, db, &jobs_insert, PLAN_VALUES + 1, columns);
    if (!error && later) {
        /* They are stored, whatever becomes of this: workers look by themselves, too. */
        (void)udm_pg_query(&hinted, p, db, &hint, 0, NULL);
    }
    for (i = 0; !error && i < rows->rows; i++) {
        udm_job_new_t *new = jobs[udm_result_int(rows, i, PLANNED_N)];

        new->error = udm_quota_refusal(new->pool, rows, i, PLANNED_QUOTA);
        new->info = new->error ? NULL : new_info(new, rows, i);
    }
    return error;
}

udm_error_t *udm_job_insert(apr_pool_t *p, udm_pg_t *db, udm_job_new_t *const *jobs, int count)
{
    udm_error_t *error = insert_all(p, db, jobs, count);
    int i;

    /*
     * They are of one contact centre: the lock that this waited for in vain holds them all up, and each by
     * itself would wait as long again, after those before it. A deadlock is over.
     */
    if (!error || count == 1 || (error->kind == UDM_E_DATABASE && !udm_transaction_passes(error))) {
        return error;
    }
    /* None was stored. No job is to fail because of another. */
    for (i = 0; i < count; i++) {
        error = insert_all(p, db, &jobs[i], 1);
        if (error) {
            jobs[i]->error = udm_error_copy(jobs[i]->pool, error);
        }
    }
    return NULL;
}

udm_error_t *udm_job_renamed(apr_pool_t *p)
{
    return udm_error_make(p, UDM_E_CONFLICT,
                          "what the job names is being renamed or removed: send it again");
}

udm_error_t *udm_job_create(udm_job_info_t **info, apr_pool_t *p, udm_pg_t *db,
                            const udm_job_t *job, const udm_audit_t *audit)
{
    udm_job_new_t new = {.pool = p, .audit = audit};
    udm_job_t *checked = NULL;
    udm_certificate_t *certificate;
    udm_job_cipher_t cipher;
    udm_error_t *error = NULL;
    int tries;

    for (tries = 0; !error && !new.info &&tries < UDM_JOB_TRIES; tries++) {
        error = udm_job_check(&checked, &cipher, p, db, job, audit->who);
        if (!error) {
            error = udm_job_check_cipher(&certificate, p, &cipher);
        }
        if (!error) {
            new.job = checked;
            error = udm_job_insert(p, db, (udm_job_new_t *const[]){&new}, 1);
        }
        if (!error) {
            error = new.error;
        }
    }
    *info = new.info;
    return error || new.info ? error : udm_job_renamed(p);
}

/* Whose they are, and who may see them, is looked at here: those who ask are not one. */
static const udm_statement_t jobs_select = {"udm_jobs_get",
                                            "SELECT i.*, " UDM_JOB_TAG " FROM " UDM_JOB_SHOWN};

static const udm_statement_t run_select = {"udm_run_get",
                                           "SELECT " UDM_RUN_COLUMNS " FROM " UDM_RUN_TABLES
                                           " WHERE r.id = $1::bigint AND r.ccid = $2"};

/* clang-format off */
static const udm_statement_t definition_select = {
    "udm_job_definition",
    "SELECT family, source, type, title, description, time_all,"
    UDM_PG_TIME("date_from") "," UDM_PG_TIME("date_to")
    ", to_json(media)::text, export_attachments, file_split_size, file_split_bytes,"
    " filters::text, suspended, schedule::text, " UDM_PG_TIME("schedule_since") ", "
    UDM_DEFINITION_TAG " FROM udm.job j"
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
static udm_error_t *select_one(udm_result_t **row, apr_pool_t *p, udm_pg_t *db,
                               const udm_statement_t *statement, bool run,
                               const udm_principal_t *who, apr_int64_t id)
{
    const char *values[2] = {udm_pg_int(p, id), who->ccid};
    bool defines = statement == &definition_select;
    udm_error_t *error = udm_pg_query(row, p, db, statement, 2, values);

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
    copy->etag = apr_pstrdup(p, info->etag);
    copy->media = apr_array_copy(p, info->media);
    for (i = 0; i < copy->media->nelts; i++) {
        APR_ARRAY_IDX(copy->media, i, const char *) =
            apr_pstrdup(p, APR_ARRAY_IDX(copy->media, i, const char *));
    }
    return copy;
}

udm_error_t *udm_job_get_many(apr_pool_t *p, udm_pg_t *db, udm_job_ask_t *const *asks, int count)
{
    apr_array_header_t *ids = apr_array_make(p, count, sizeof(const char *));
    const char *value;
    udm_result_t *rows;
    udm_error_t *error;
    int i, row;

    for (i = 0; i < count; i++) {
        APR_ARRAY_PUSH(ids, const char *) = udm_pg_int(p, asks[i]->id);
        asks[i]->info = NULL;
    }
    value = udm_pg_array(p, ids);
    error = udm_pg_query(&rows, p, db, &jobs_select, 1, &value);
    for (row = 0; !error && row < rows->rows; row++) {
        udm_job_info_t *info = udm_row_job(p, rows, row);
        const char *ccid = udm_result_text(rows, row, UDM_JOB_COLUMN_COUNT);

        info->etag = udm_result_text(rows, row, UDM_JOB_COLUMN_COUNT + 2);
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

udm_error_t *udm_job_get(udm_job_info_t **info, apr_pool_t *p, udm_pg_t *db,
                         const udm_principal_t *who, apr_int64_t id)
{
    udm_job_ask_t ask = {.pool = p, .who = who, .id = id};
    udm_error_t *error = udm_job_get_many(p, db, (udm_job_ask_t *const[]){&ask}, 1);

    *info = ask.info;
    return error ? error : ask.error;
}

udm_error_t *udm_run_get(udm_job_info_t **info, apr_pool_t *p, udm_pg_t *db,
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

udm_error_t *udm_job_definition(udm_job_t **job, apr_pool_t *p, udm_pg_t *db,
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
    read->etag = udm_result_text(row, 0, c + 2);
    *job = error ? NULL : read;
    return error;
}
