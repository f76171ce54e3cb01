/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * row.h: what the SQL files of this room share: the columns of a job, a run and a file as the API
 * shows them, and the rights of a principal as parameters. Private to db/.
 */
#ifndef UDM_DB_ROW_H
#define UDM_DB_ROW_H

#include "config.h"
#include "core/file.h"
#include "core/job.h"
#include "core/principal.h"
#include "pg/client.h"

/*
 * Columns and tables of one JobInfo. `j` is the job, `r` the run (of a job: its latest). The columns
 * are in the order that udm_row_job reads.
 */
/* clang-format off */
#define UDM_JOB_COLUMNS                                                                            \
    "j.id, 0::bigint, j.type, j.source, j.title, coalesce(j.file_split_size, ''), r.file_name,"    \
    " coalesce(r.file_size, 0), j.status,"                                                         \
    UDM_JOB_REASON ","                                                                             \
    UDM_PG_TIME("j.created_at") "," UDM_PG_TIME("j.date_from") "," UDM_PG_TIME("j.date_to")        \
    ", coalesce(j.description, ''), to_json(j.media)::text," UDM_JOB_PROGRESS                      \
    ", j.export_attachments"
#define UDM_RUN_COLUMNS                                                                            \
    "r.id, r.job_id, r.type, r.source, r.title, coalesce(r.file_split_size, ''), r.file_name,"     \
    " coalesce(r.file_size, 0), r.status,"                                                         \
    UDM_RUN_REASON ","                                                                             \
    UDM_PG_TIME("r.created_at") "," UDM_PG_TIME("r.window_from") "," UDM_PG_TIME("r.window_to")    \
    ", coalesce(r.description, ''), to_json(r.media)::text," UDM_RUN_PROGRESS                      \
    ", r.export_attachments"
/* clang-format on */
#define UDM_JOB_COLUMN_COUNT 17

#define UDM_JOB_TABLES "udm.job j LEFT JOIN udm.run r ON r.id = j.latest_run_id"
#define UDM_RUN_TABLES "udm.run r"

/* A job that was cancelled before its first run has no record that would say why, nor has one whose
 * record was deleted. */
#define UDM_CANCELLED_REASON "cancelled on request"
/* clang-format off */
#define UDM_JOB_REASON                                                                             \
    " CASE j.status WHEN 'COMPLETED' THEN NULL"                                                    \
    " WHEN 'FAILED' THEN coalesce(r.status_reason, 'the record of it was deleted')"                \
    " WHEN 'CANCELLED' THEN coalesce(j.status_reason, r.status_reason, '" UDM_CANCELLED_REASON "')" \
    " WHEN 'SUSPENDED' THEN coalesce(j.status_reason,"                                             \
    " CASE WHEN r.status = 'SUSPENDED' THEN r.status_reason END)"                                  \
    " WHEN 'SCHEDULED' THEN CASE WHEN j.next_run_at < " UDM_ROW_LATE " THEN"                       \
    " 'it was due at ' || " UDM_ROW_UTC("j.next_run_at") " || '; ' || coalesce(" UDM_ROW_FULL ", " \
    UDM_ROW_WORKERS ") ELSE j.status_reason END"                                                   \
    UDM_ROW_REASON_ACTIVE " END"
#define UDM_RUN_REASON                                                                             \
    " CASE r.status WHEN 'COMPLETED' THEN NULL"                                                    \
    " WHEN 'FAILED' THEN r.status_reason WHEN 'CANCELLED' THEN r.status_reason"                    \
    " WHEN 'SUSPENDED' THEN r.status_reason"                                                       \
    UDM_ROW_REASON_ACTIVE " END"

/*
 * Why a run `r` waits: what its last attempt failed of, what its window waits for, whether its contact
 * centre has made as much, or has as many under way, as it may, and whether there is anybody to take it. Who
 * works is asked at most once for a statement, and only if it has a row that waits: those subselects depend
 * on no row.
 */
#define UDM_ROW_LATE "now() - interval '30 seconds'"
#define UDM_ROW_UTC(x) "to_char(" x " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
#define UDM_ROW_REASON_ACTIVE                                                                      \
    " WHEN 'QUEUED' THEN nullif(concat_ws('; ',"                                                   \
    " CASE WHEN r.status_reason IS NOT NULL THEN 'attempt ' || r.attempt || ' failed: ' ||"        \
    " r.status_reason || '; the next one is due at ' || " UDM_ROW_UTC("r.ready_at")                \
    " WHEN r.settle_since IS NOT NULL THEN 'waits for transactions in the source that began"       \
    " before ' || " UDM_ROW_UTC("r.settle_since")                                                  \
    " WHEN r.moves_watermark AND r.ready_at > now() THEN 'its window settles until ' || "          \
    UDM_ROW_UTC("r.ready_at") " END,"                                                              \
    " CASE WHEN r.ready_at < " UDM_ROW_LATE " THEN"                                                \
    " coalesce(" UDM_ROW_BYTES ", " UDM_ROW_QUOTA ", " UDM_ROW_WORKERS ") END), '')"               \
    " WHEN 'IN_PROGRESS' THEN (SELECT 'interrupted; no worker has been seen since ' || "           \
    UDM_ROW_UTC("max(w.seen_at)") " FROM udm.worker w HAVING max(w.seen_at) < " UDM_ROW_LATE ")"
#define UDM_ROW_QUOTA                                                                              \
    "(SELECT 'at most ' || q.running || CASE q.running WHEN 1 THEN ' export' ELSE ' exports' END"  \
    " || ' of the contact center at once' FROM udm.quota q WHERE q.ccid = r.ccid AND q.running <=" \
    " (SELECT count(*) FROM udm.run o WHERE o.status = 'IN_PROGRESS' AND o.ccid = r.ccid))"
/* As a claim has found out. */
#define UDM_ROW_BYTES                                                                              \
    "(SELECT 'the exports of the contact center have made the ' || q.bytes_per_day || ' bytes'"    \
    " || ' that they may in 24 hours; it goes on at ' || " UDM_ROW_UTC("t.waits_until")              \
    " FROM udm.quota q JOIN udm.turn t ON t.ccid = q.ccid WHERE q.ccid = r.ccid"                   \
    " AND q.bytes_per_day IS NOT NULL AND t.waits_until > now())"
/* Why no run is made of a job `j` that is due. */
#define UDM_ROW_FULL                                                                               \
    "(SELECT 'at most ' || q.queued || CASE q.queued WHEN 1 THEN ' run' ELSE ' runs' END"          \
    " || ' of the contact center in the queue' FROM udm.quota q WHERE q.ccid = j.ccid"             \
    " AND q.queued <= (SELECT count(*) FROM (SELECT FROM udm.run o WHERE o.status = 'QUEUED'"      \
    " AND o.ccid = j.ccid ORDER BY o.ready_at, o.id LIMIT q.queued) w))"
#define UDM_ROW_WORKERS                                                                            \
    "(SELECT CASE WHEN count(*) = 0 THEN 'no worker has been seen yet'"                            \
    " WHEN bool_or(w.state = 'ready' AND w.fresh) THEN 'waits for a free slot of a worker'"        \
    " WHEN bool_or(w.state = 'no-store' AND w.fresh) THEN 'no worker can use its store'"           \
    " WHEN bool_or(w.state = 'ending' AND w.fresh) THEN 'the worker takes no more: it is ending'"  \
    " ELSE 'no worker has been seen since ' || " UDM_ROW_UTC("max(w.seen_at)") " END"              \
    " FROM (SELECT state, seen_at, seen_at >= " UDM_ROW_LATE " AS fresh FROM udm.worker) w)"
/* clang-format on */

/* What waits has come no way yet, whatever an earlier attempt had reached. Most runs are completed,
 * so how far they came is looked up for the others alone. */
#define UDM_ROW_PROGRESS(status)                                                                   \
    " CASE WHEN " status " = 'COMPLETED' THEN 100"                                                 \
    " WHEN " status " IN ('IN_PROGRESS', 'FAILED', 'CANCELLED') THEN coalesce((SELECT p.percent"   \
    " FROM udm.run_progress p WHERE p.run_id = r.id), 0)"                                          \
    " ELSE 0 END"
#define UDM_JOB_PROGRESS UDM_ROW_PROGRESS("j.status")
#define UDM_RUN_PROGRESS UDM_ROW_PROGRESS("r.status")

/*
 * The entity tag of a job: the version of its definition, and of what else is shown that changes without
 * it. Another version of mod_udm may show the same in other words, so it makes other tags. What may hold
 * a blank comes last.
 */
/* clang-format off */
#define UDM_ROW_TAG(of)                                                                            \
    "'\"' || left(encode(sha256(convert_to(concat_ws(' ', '" PACKAGE_VERSION "', " of "), 'UTF8')),"  \
    " 'hex'), 32) || '\"'"
#define UDM_DEFINITION_TAG  UDM_ROW_TAG("'definition', j.version")
#define UDM_NEW_TAG(status) UDM_ROW_TAG("1, " status ", 0, 0, '-'")
#define UDM_JOB_TAG                                                                                \
    UDM_ROW_TAG("i.version, i.status, i.progress, i.file_size, coalesce(i.file_name, '-'), i.reason")

/* The jobs of $1, as UDM_JOB_TAG takes them: each of these is worked out once. */
#define UDM_JOB_SHOWN                                                                              \
    "(SELECT " UDM_JOB_COLUMNS ", j.ccid, j.version FROM " UDM_JOB_TABLES                          \
    " WHERE j.id = ANY ($1::bigint[]) OFFSET 0) AS i (id, parent_id, type, source, title,"         \
    " file_split_size, file_name, file_size, status, reason, created, date_from, date_to,"         \
    " description, media, progress, export_attachments, ccid, version)"
/* clang-format on */

/* Columns of one file, `f`, in the order that udm_row_file reads. */
/* clang-format off */
#define UDM_FILE_COLUMNS                                                                           \
    "f.id, f.name, f.size, f.type, f.source, f.job_title, f.job_id, f.run_id,"                     \
    UDM_PG_TIME("f.created_at") "," UDM_PG_TIME("f.expires_at")                                    \
    ", greatest(0, ceil(" UDM_PG_TIME_LEFT("f.expires_at") " / 86400000000.0))::integer,"            \
    " f.sha256, f.ccid"
/* clang-format on */
#define UDM_FILE_COLUMN_COUNT 13

/*
 * SQL: (source, type) is one of the pairs in two array parameters. `t` is the alias of the row.
 */
#define UDM_ROW_VISIBLE(t, sources, types)                                                         \
    "(" t ".source, " t ".type) IN (SELECT * FROM unnest(" sources "::text[], " types "::text[]))"

/* The pairs that the principal may read (with `write`: read and write), as two array literals of
 * equal length. */
void udm_row_rights(const char **sources, const char **types, apr_pool_t *p,
                    const udm_principal_t *who, bool write);

/* Those of them to read that are registered: what the catalog shows. */
void udm_row_rights_registered(const char **sources, const char **types, apr_pool_t *p,
                               const udm_principal_t *who);

/* One row of the columns above. Its strings are those of the result. */
udm_job_info_t *udm_row_job(apr_pool_t *p, const udm_result_t *result, int row);
udm_file_info_t *udm_row_file(apr_pool_t *p, const udm_result_t *result, int row);

#endif
