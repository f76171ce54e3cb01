/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * row.h: what the SQL files of this room share: the columns of a job, a run and a file as the API
 * shows them, and the rights of a principal as parameters. Private to db/.
 */
#ifndef UDM_DB_ROW_H
#define UDM_DB_ROW_H

#include "job.h"

/*
 * Columns and tables of one JobInfo. `j` is the job, `r` the run (of a job: its latest). The columns
 * are in the order that udm_row_job reads.
 */
/* clang-format off */
#define UDM_JOB_COLUMNS                                                                            \
    "j.id, 0::bigint, j.type, j.source, j.title, coalesce(j.file_split_size, ''), r.file_name,"    \
    " coalesce(r.file_size, 0), j.status,"                                                         \
    UDM_JOB_REASON ","                                                                             \
    UDM_DB_TIME("j.created_at") "," UDM_DB_TIME("j.date_from") "," UDM_DB_TIME("j.date_to")        \
    ", coalesce(j.description, ''), to_json(j.media)::text," UDM_JOB_PROGRESS                      \
    ", j.export_attachments"
#define UDM_RUN_COLUMNS                                                                            \
    "r.id, r.job_id, r.type, r.source, r.title, coalesce(r.file_split_size, ''), r.file_name,"     \
    " coalesce(r.file_size, 0), r.status,"                                                         \
    " CASE WHEN r.status IN ('FAILED', 'CANCELLED') THEN r.status_reason END,"                     \
    UDM_DB_TIME("r.created_at") "," UDM_DB_TIME("r.window_from") "," UDM_DB_TIME("r.window_to")    \
    ", coalesce(r.description, ''), to_json(r.media)::text," UDM_RUN_PROGRESS                      \
    ", r.export_attachments"
/* clang-format on */
#define UDM_JOB_COLUMN_COUNT 17

#define UDM_JOB_TABLES "udm.job j LEFT JOIN udm.run r ON r.id = j.latest_run_id"
#define UDM_RUN_TABLES "udm.run r"

/* A job that was cancelled before its first run has no record that would say why, nor has one whose
 * record was deleted. */
#define UDM_CANCELLED_REASON "cancelled on request"
#define UDM_JOB_REASON                                                                             \
    " CASE j.status WHEN 'FAILED' THEN coalesce(r.status_reason, 'the record of it was deleted')"  \
    " WHEN 'CANCELLED' THEN coalesce(r.status_reason, '" UDM_CANCELLED_REASON "') END"

/* What waits has come no way yet, whatever an earlier attempt had reached. Most runs are completed,
 * so how far they came is looked up for the others alone. */
#define UDM_ROW_PROGRESS(status)                                                                   \
    " CASE WHEN " status " = 'COMPLETED' THEN 100"                                                 \
    " WHEN " status " IN ('IN_PROGRESS', 'FAILED', 'CANCELLED') THEN coalesce((SELECT p.percent"   \
    " FROM udm.run_progress p WHERE p.run_id = r.id), 0)"                                          \
    " ELSE 0 END"
#define UDM_JOB_PROGRESS UDM_ROW_PROGRESS("j.status")
#define UDM_RUN_PROGRESS UDM_ROW_PROGRESS("r.status")

/* Columns of one file, `f`, in the order that udm_row_file reads. */
/* clang-format off */
#define UDM_FILE_COLUMNS                                                                           \
    "f.id, f.name, f.size, f.type, f.source, f.job_title, f.job_id, f.run_id,"                     \
    UDM_DB_TIME("f.created_at") "," UDM_DB_TIME("f.expires_at")                                    \
    ", greatest(0, ceil(extract(epoch FROM f.expires_at - now()) / 86400))::integer,"              \
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

/* One row of the columns above. Its strings are those of the result. */
udm_job_info_t *udm_row_job(apr_pool_t *p, const udm_result_t *result, int row);
udm_file_info_t *udm_row_file(apr_pool_t *p, const udm_result_t *result, int row);

#endif
