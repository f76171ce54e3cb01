/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * row.c: reads the rows of jobs, runs and files, and writes rights as parameters.
 */
#include "db/row.h"

static void put_rights(const char **sources, const char **types, apr_pool_t *p,
                       const udm_principal_t *who, bool write, bool gone)
{
    apr_array_header_t *s = apr_array_make(p, who->rights->nelts, sizeof(const char *));
    apr_array_header_t *t = apr_array_make(p, who->rights->nelts, sizeof(const char *));
    int i;

    for (i = 0; i < who->rights->nelts; i++) {
        const udm_right_t *right = &APR_ARRAY_IDX(who->rights, i, udm_right_t);

        if (right->read && (right->write || !write) && (!right->gone || gone)) {
            APR_ARRAY_PUSH(s, const char *) = right->source;
            APR_ARRAY_PUSH(t, const char *) = right->type;
        }
    }
    *sources = udm_pg_array(p, s);
    *types = udm_pg_array(p, t);
}

void udm_row_rights(const char **sources, const char **types, apr_pool_t *p,
                    const udm_principal_t *who, bool write)
{
    put_rights(sources, types, p, who, write, true);
}

void udm_row_rights_registered(const char **sources, const char **types, apr_pool_t *p,
                               const udm_principal_t *who)
{
    put_rights(sources, types, p, who, false, false);
}

udm_job_info_t *udm_row_job(apr_pool_t *p, const udm_result_t *result, int row)
{
    udm_job_info_t *info = apr_pcalloc(p, sizeof(*info));
    int c = 0;

    info->id = udm_result_int(result, row, c++);
    info->parent_id = udm_result_int(result, row, c++);
    info->type = udm_result_text(result, row, c++);
    info->source = udm_result_text(result, row, c++);
    info->title = udm_result_text(result, row, c++);
    info->file_split_size = udm_result_text(result, row, c++);
    info->file_name = udm_result_text(result, row, c++);
    info->file_size = udm_result_int(result, row, c++);
    info->status = udm_result_text(result, row, c++);
    info->status_reason = udm_result_text(result, row, c++);
    info->created = udm_result_time(result, row, c++);
    info->date_from = udm_result_time(result, row, c++);
    info->date_to = udm_result_time(result, row, c++);
    info->description = udm_result_text(result, row, c++);
    info->media = udm_result_array(p, result, row, c++);
    info->progress = (int)udm_result_int(result, row, c++);
    info->export_attachments = udm_result_bool(result, row, c++);
    return info;
}

udm_file_info_t *udm_row_file(apr_pool_t *p, const udm_result_t *result, int row)
{
    udm_file_info_t *info = apr_pcalloc(p, sizeof(*info));
    int c = 0;

    info->id = udm_result_int(result, row, c++);
    info->name = udm_result_text(result, row, c++);
    info->size = udm_result_int(result, row, c++);
    info->type = udm_result_text(result, row, c++);
    info->source = udm_result_text(result, row, c++);
    info->job_title = udm_result_text(result, row, c++);
    info->job_id = udm_result_int(result, row, c++);
    info->run_id = udm_result_int(result, row, c++);
    info->created = udm_result_time(result, row, c++);
    info->expires = udm_result_time(result, row, c++);
    info->remaining_days = (int)udm_result_int(result, row, c++);
    info->sha256 = udm_result_text(result, row, c++);
    info->ccid = udm_result_text(result, row, c++);
    return info;
}
