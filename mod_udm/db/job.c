/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * job.c: stores a job, reads one job or run, and finds a file by its name.
 */
#include "db/job.h"

#include <string.h>

#include <apr_strings.h>

#include "core/text.h"
#include "db/row.h"

/* Always one row; what is unknown is NULL. What belongs to other tenants is unknown. */
/* clang-format off */
static const udm_statement_t check_select = {
    "udm_job_check",
    "SELECT s.name, s.family, t.name, t.time_column IS NOT NULL, t.media_column IS NOT NULL,"
    " (SELECT to_json(array_agg(m.name ORDER BY m.name)) FROM udm.media m"
    " WHERE m.source = t.source AND m.type = t.name)::text,"
    " c.ccid IS NOT NULL, coalesce(c.not_after <= now(), false)," UDM_DB_TIME("c.not_after")
    " FROM (SELECT) one"
    " LEFT JOIN LATERAL (SELECT name, family FROM udm.source o WHERE (name = $1 OR alias = $1)"
    " AND EXISTS (SELECT FROM udm.data_type d WHERE d.source = o.name"
    " AND (d.tenants IS NULL OR $3 = ANY (d.tenants)))"
    " ORDER BY name = $1 DESC LIMIT 1) s ON true"
    " LEFT JOIN udm.data_type t ON t.source = s.name AND t.name = $2"
    " AND (t.tenants IS NULL OR $3 = ANY (t.tenants))"
    " LEFT JOIN udm.certificate c ON c.ccid = $3"};
/* clang-format on */

enum {
    CHECK_SOURCE,
    CHECK_FAMILY,
    CHECK_TYPE,
    CHECK_HAS_TIME,
    CHECK_HAS_MEDIA,
    CHECK_MEDIA,
    CHECK_HAS_CERTIFICATE,
    CHECK_EXPIRED,
    CHECK_NOT_AFTER
};

/* The names, comma-separated, or what to say when there are none. */
static const char *list_of(apr_pool_t *p, const apr_array_header_t *names)
{
    const char *text = "";
    int i;

    if (names->nelts == 0) {
        return "there is none that you may export";
    }
    for (i = 0; i < names->nelts; i++) {
        text = apr_pstrcat(p, text, i > 0 ? ", " : "it must be one of ",
                           APR_ARRAY_IDX(names, i, const char *), NULL);
    }
    return text;
}

static int find(const apr_array_header_t *names, const char *name, bool any_case)
{
    int i;

    for (i = 0; i < names->nelts; i++) {
        const char *has = APR_ARRAY_IDX(names, i, const char *);

        if ((any_case ? strcasecmp(has, name) : strcmp(has, name)) == 0) {
            return i;
        }
    }
    return -1;
}

/* What the principal may write: sources, or the types of one source. */
static apr_array_header_t *writable(apr_pool_t *p, const udm_principal_t *who, const char *source)
{
    apr_array_header_t *names = apr_array_make(p, 8, sizeof(const char *));
    int i;

    for (i = 0; i < who->rights->nelts; i++) {
        const udm_right_t *right = &APR_ARRAY_IDX(who->rights, i, udm_right_t);
        const char *name = source ? right->type : right->source;

        if (right->write && (!source || strcmp(right->source, source) == 0) &&
            find(names, name, false) < 0) {
            APR_ARRAY_PUSH(names, const char *) = name;
        }
    }
    return names;
}

/* Media as the catalog spells them, each once; a fault for each that the type does not have. */
static apr_array_header_t *check_media(udm_error_t **error, apr_pool_t *p, const udm_job_t *job,
                                       const udm_result_t *row)
{
    apr_array_header_t *legal = udm_result_array(p, row, 0, CHECK_MEDIA);
    apr_array_header_t *media = apr_array_make(p, 4, sizeof(const char *));
    int i;

    if (job->media->nelts > 0 && !udm_result_bool(row, 0, CHECK_HAS_MEDIA)) {
        udm_error_fault(error, p, "/jobParams/media",
                        "data of type \"%s\" has no media: send an empty array", job->type);
        return media;
    }
    for (i = 0; i < job->media->nelts; i++) {
        const char *name = APR_ARRAY_IDX(job->media, i, const char *);
        int at = find(legal, name, true);

        if (at < 0) {
            udm_error_fault(error, p, apr_psprintf(p, "/jobParams/media/%d", i),
                            "there is no medium \"%s\" for this type; %s", name,
                            legal->nelts > 0 ? list_of(p, legal) : "send an empty array");
            continue;
        }
        name = APR_ARRAY_IDX(legal, at, const char *);
        if (find(media, name, false) < 0) {
            APR_ARRAY_PUSH(media, const char *) = name;
        }
    }
    return media;
}

/*
 * Holds the job against the catalog and the certificate. `checked` gets a copy with the canonical
 * source and media.
 */
static udm_error_t *check(udm_job_t **checked, apr_pool_t *p, udm_db_t *db, const udm_job_t *job,
                          const udm_principal_t *who)
{
    const char *values[3] = {job->source, job->type, who->ccid};
    const char *source;
    const char *family;
    const char *type;
    udm_result_t *row;
    udm_error_t *error;

    error = udm_db_query(&row, p, db, &check_select, 3, values);
    if (error) {
        return error;
    }
    source = udm_result_text(row, 0, CHECK_SOURCE);
    family = udm_result_text(row, 0, CHECK_FAMILY);
    type = udm_result_text(row, 0, CHECK_TYPE);
    if (type && !udm_principal_may(who, source, type, true)) {
        return udm_error_make(p, UDM_E_FORBIDDEN,
                              "this needs a role that may export data of type \"%s\" of source "
                              "\"%s\"",
                              type, source);
    }
    *checked = apr_pmemdup(p, job, sizeof(*job));
    if (!source) {
        udm_error_fault(&error, p, "/source", "there is no source \"%s\"; %s", job->source,
                        list_of(p, writable(p, who, NULL)));
        return error;
    }
    (*checked)->source = source;
    (*checked)->family = family;
    if (job->family && strcmp(job->family, family) != 0) {
        udm_error_fault(&error, p, "/type", "source \"%s\" is of family %s, not %s", source, family,
                        job->family);
    }
    if (!type) {
        udm_error_fault(&error, p, "/jobParams/type",
                        "there is no data type \"%s\" in source \"%s\"; %s", job->type, source,
                        list_of(p, writable(p, who, source)));
        return error;
    }
    if (!job->time_all && !udm_result_bool(row, 0, CHECK_HAS_TIME)) {
        udm_error_fault(&error, p, "/timeFrame",
                        "data of type \"%s\" has no time to choose by: send {\"all\":true}", type);
    }
    (*checked)->media = check_media(&error, p, job, row);
    if (error) {
        return error;
    }
    if (!udm_result_bool(row, 0, CHECK_HAS_CERTIFICATE)) {
        return udm_error_make(p, UDM_E_INVALID,
                              "there is no certificate to encrypt the export for: upload one with "
                              "POST /v10/cipher/{name}");
    }
    if (udm_result_bool(row, 0, CHECK_EXPIRED)) {
        return udm_error_make(p, UDM_E_INVALID,
                              "the certificate to encrypt the export for expired at %s: upload a "
                              "new one with POST /v10/cipher/{name}",
                              udm_text_time(p, udm_result_time(row, 0, CHECK_NOT_AFTER)));
    }
    return NULL;
}

/*
 * Job, first run, its progress and the audit, in one statement. Whether the job is due now, the
 * clock of the database says. The ids come first, because no part of a statement sees rows that
 * another part of it writes.
 */
/* clang-format off */
static const udm_statement_t job_insert = {
    "udm_job_insert",
    "WITH plan AS MATERIALIZED (SELECT nextval('udm.job_or_run_id') AS job_id,"
    " CASE WHEN due THEN nextval('udm.job_or_run_id') END AS run_id, due, start,"
    " CASE WHEN $17::boolean THEN 'SUSPENDED' WHEN due THEN 'QUEUED' ELSE 'SCHEDULED' END"
    " AS status,"
    UDM_DB_TIME_IN("$8") " AS date_from," UDM_DB_TIME_IN("$9") " AS date_to"
    " FROM (SELECT start, NOT $17::boolean AND start <= now() AS due"
    " FROM (SELECT coalesce(" UDM_DB_TIME_IN("$16") ", now()) AS start) s) d),"
    " new_job AS (INSERT INTO udm.job (id, ccid, family, source, type, title, description,"
    " time_all, date_from, date_to, media, export_attachments, file_split_size, file_split_bytes,"
    " schedule_type, schedule, next_run_at, suspended, status, latest_run_id, created_by)"
    " SELECT job_id, $1, $2, $3, $4, $5, $6, $7::boolean, date_from, date_to, $10::text[],"
    " $11::boolean, $12, $13::bigint, $14, $15::jsonb, CASE WHEN NOT due THEN start END,"
    " $17::boolean, status, run_id, $18 FROM plan),"
    " new_run AS (INSERT INTO udm.run (id, job_id, ccid, source, type, title, description,"
    " window_all, window_from, window_to, media, export_attachments, file_split_size,"
    " file_split_bytes, scheduled_at, created_by)"
    " SELECT run_id, job_id, $1, $3, $4, $5, $6, $7::boolean, date_from,"
    " CASE WHEN num_nonnulls(date_from, date_to) = 0 AND NOT $7::boolean THEN start"
    " ELSE date_to END, $10::text[],"
    " $11::boolean, $12, $13::bigint, start, $18 FROM plan WHERE due RETURNING id),"
    " new_progress AS (INSERT INTO udm.run_progress (run_id) SELECT id FROM new_run),"
    " new_audit AS (INSERT INTO udm.audit (ccid, subject, key_id, action, object, client_address,"
    " request_id) SELECT $1, $18, $19, 'job.create', job_id::text, $20, $21 FROM plan)"
    " SELECT job_id, status, " UDM_DB_TIME("now()") " FROM plan"};
/* clang-format on */

/* Stores a checked job. `row` gets its id, status and time. */
static udm_error_t *insert(udm_result_t **row, apr_pool_t *p, udm_db_t *db, const udm_job_t *job,
                           const udm_audit_t *audit)
{
    const char *values[21] = {
        audit->who->ccid,
        job->family,
        job->source,
        job->type,
        job->title,
        job->description,
        job->time_all ? "t" : "f",
        udm_db_time(p, job->date_from),
        udm_db_time(p, job->date_to),
        udm_db_array(p, job->media),
        job->export_attachments ? "t" : "f",
        job->file_split_size,
        job->file_split_bytes > 0 ? udm_db_int(p, job->file_split_bytes) : NULL,
        udm_schedule_type_name(job->schedule_type),
        job->schedule_json ? job->schedule_json : "{}",
        job->schedule_type == UDM_SCHEDULE_ONCE ? udm_db_time(p, job->start) : NULL,
        job->suspended ? "t" : "f",
        audit->who->subject,
        audit->who->key_id,
        audit->client_address,
        audit->request_id};

    return udm_db_query(row, p, db, &job_insert, 21, values);
}

udm_error_t *udm_job_create(udm_job_info_t **info, apr_pool_t *p, udm_db_t *db,
                            const udm_job_t *job, const udm_audit_t *audit)
{
    udm_job_t *checked = NULL;
    udm_job_info_t *made;
    udm_result_t *row;
    udm_error_t *error;

    *info = NULL;
    error = check(&checked, p, db, job, audit->who);
    if (!error) {
        error = insert(&row, p, db, checked, audit);
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

static const udm_statement_t job_select = {
    "udm_job_get",
    "SELECT " UDM_JOB_COLUMNS " FROM " UDM_JOB_TABLES
    " WHERE j.id = $1::bigint AND j.ccid = $2 AND " UDM_ROW_VISIBLE("j", "$3", "$4")};

static const udm_statement_t run_select = {
    "udm_run_get",
    "SELECT " UDM_RUN_COLUMNS " FROM " UDM_RUN_TABLES
    " WHERE r.id = $1::bigint AND r.ccid = $2 AND " UDM_ROW_VISIBLE("r", "$3", "$4")};

/* The same for both: what is not there and what is not visible have one answer. */
static udm_error_t *get(udm_job_info_t **info, apr_pool_t *p, udm_db_t *db,
                        const udm_statement_t *statement, const char *what,
                        const udm_principal_t *who, apr_int64_t id)
{
    const char *values[4] = {udm_db_int(p, id), who->ccid, NULL, NULL};
    udm_result_t *row;
    udm_error_t *error;

    *info = NULL;
    udm_row_rights(&values[2], &values[3], p, who, false);
    error = udm_db_query(&row, p, db, statement, 4, values);
    if (error) {
        return error;
    }
    if (row->rows == 0) {
        return udm_error_make(p, UDM_E_NOT_FOUND, "there is no %s %" APR_INT64_T_FMT, what, id);
    }
    *info = udm_row_job(p, row, 0);
    return NULL;
}

udm_error_t *udm_job_get(udm_job_info_t **info, apr_pool_t *p, udm_db_t *db,
                         const udm_principal_t *who, apr_int64_t id)
{
    return get(info, p, db, &job_select, "job", who, id);
}

udm_error_t *udm_run_get(udm_job_info_t **info, apr_pool_t *p, udm_db_t *db,
                         const udm_principal_t *who, apr_int64_t id)
{
    return get(info, p, db, &run_select, "history record", who, id);
}

/* Reads a file and audits the use of it, if there is one to use, in one statement. */
#define FILE_SELECT(where, when, action, subject, key_id, address, request)                        \
    "WITH f AS MATERIALIZED (SELECT * FROM udm.file f WHERE " where "),"                           \
    " new_audit AS (INSERT INTO udm.audit (ccid, subject, key_id, action, object, client_address," \
    " request_id) SELECT ccid, " subject ", " key_id ", '" action "', name, " address ", " request \
    " FROM f WHERE removed_at IS NULL AND expires_at > now() AND " when ")"                        \
    " SELECT " UDM_FILE_COLUMNS ", coalesce(f.removal, CASE WHEN f.expires_at <= now() THEN"       \
    " 'expired' END) FROM f"

static const udm_statement_t file_link_select = {
    "udm_file_link",
    FILE_SELECT("f.name = $1 AND f.ccid = $2 AND " UDM_ROW_VISIBLE("f", "$3", "$4"), "true",
                "file.link", "$5", "$6", "$7", "$8")};

static const udm_statement_t file_download_select = {
    "udm_file_download",
    FILE_SELECT("f.name = $1", "f.size = $6::bigint", "file.download", "$2", "$3", "$4", "$5")};

static udm_error_t *find_file(udm_file_info_t **info, apr_pool_t *p, udm_db_t *db,
                              const udm_statement_t *statement, int count,
                              const char *const *values)
{
    const char *gone;
    udm_result_t *row;
    udm_error_t *error;

    *info = NULL;
    error = udm_db_query(&row, p, db, statement, count, values);
    if (error) {
        return error;
    }
    gone = row->rows == 0 ? "deleted" : udm_result_text(row, 0, UDM_FILE_COLUMN_COUNT);
    if (!gone) {
        *info = udm_row_file(p, row, 0);
        return NULL;
    }
    if (strcmp(gone, "expired") == 0) {
        return udm_error_make(p, UDM_E_GONE, "the time that file \"%s\" is kept is over",
                              values[0]);
    }
    return udm_error_make(p, UDM_E_NOT_FOUND, "there is no file \"%s\"", values[0]);
}

udm_error_t *udm_file_link(udm_file_info_t **info, apr_pool_t *p, udm_db_t *db, const char *name,
                           const udm_audit_t *audit)
{
    const char *values[8] = {name,
                             audit->who->ccid,
                             NULL,
                             NULL,
                             audit->who->subject,
                             audit->who->key_id,
                             audit->client_address,
                             audit->request_id};

    udm_row_rights(&values[2], &values[3], p, audit->who, false);
    return find_file(info, p, db, &file_link_select, 8, values);
}

udm_error_t *udm_file_download(udm_file_info_t **info, apr_pool_t *p, udm_db_t *db,
                               const char *name, apr_int64_t size, const udm_audit_t *audit)
{
    const char *values[6] = {name,
                             audit->who ? audit->who->subject : NULL,
                             audit->who ? audit->who->key_id : NULL,
                             audit->client_address,
                             audit->request_id,
                             udm_db_int(p, size)};

    return find_file(info, p, db, &file_download_select, 6, values);
}
