/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * open.c: opens a source, step by step, until its rows can be read, and closes it.
 *
 * Everything runs in one REPEATABLE READ transaction that is opened here and never committed. Once
 * connected, no wait for the server goes on when the run is to stop (pg/wait.h).
 */
#include <string.h>

#include <apr_strings.h>

#include "pg/wait.h"
#include "source/private.h"

static apr_status_t source_close(void *data)
{
    udm_source_t *s = data;

    if (s->buffer) {
        PQfreemem(s->buffer);
    }
    /* Nothing else tells the server that nobody reads any more, before it next sends something. */
    if (s->cancel && s->db && PQstatus(s->db->conn) == CONNECTION_OK &&
        PQtransactionStatus(s->db->conn) == PQTRANS_ACTIVE) {
        udm_wait_cancel(s->cancel);
    }
    else {
        PQfreeCancel(s->cancel);
    }
    s->cancel = NULL;
    if (s->hold && s->db && s->swollen) {
        udm_source_hold_drop(s->hold);
    }
    else if (s->hold && s->db) {
        udm_source_hold_give_back(s->hold, s->pooled);
    }
    return APR_SUCCESS;
}

static bool owns_relation(const udm_data_type_t *type, const char *ccid)
{
    int i;

    for (i = 0; i < type->tenants->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(type->tenants, i, const char *), ccid) == 0) {
            return true;
        }
    }
    return false;
}

udm_error_t *udm_source_open(udm_source_t **source, apr_pool_t *p, const char *source_dir,
                             const udm_data_type_t *type, const udm_run_t *run,
                             const udm_stop_t *stop)
{
    return udm_source_open_held(source, p, source_dir, type, run, stop, NULL, 0);
}

udm_error_t *udm_source_open_held(udm_source_t **source, apr_pool_t *p, const char *source_dir,
                                  const udm_data_type_t *type, const udm_run_t *run,
                                  const udm_stop_t *stop, udm_source_hold_t *hold,
                                  apr_int64_t max_row)
{
    udm_source_t *s = apr_pcalloc(p, sizeof(*s));
    bool files = run->export_attachments && type->attachment_relation;
    const char *media = "{}";
    udm_result_t *result;
    udm_error_t *error;
    apr_int64_t ignored;
    bool foreign = false;

    *source = NULL;
    s->pool = p;
    s->type = type;
    s->run = run;
    s->stop = stop;
    s->max_row = max_row;
    s->rows.shown = apr_pstrcat(p, type->relation_schema, ".", type->relation_name, NULL);
    /* Without a column that tells them apart, every row belongs to each of the tenants. */
    if (!type->tenant_column && (!type->tenants || !owns_relation(type, run->ccid))) {
        return udm_source_lasting(
            udm_error_make(p, UDM_E_SOURCE,
                           "type \"%s\" of source \"%s\" does not belong to this "
                           "contact centre",
                           type->name, type->source));
    }
    error = udm_source_read_connection(&s->conninfo, p, source_dir, type);
    if (!error) {
        error = udm_source_media_values(&media, s);
    }
    if (!error) {
        error = udm_source_read_filters(s);
    }
    if (!error) {
        s->hold = hold;
        error = udm_source_connect(&s->db, s, hold);
    }
    if (s->db) {
        s->cancel = PQgetCancel(s->db->conn);
        apr_pool_cleanup_register(p, s, source_close, apr_pool_cleanup_null);
    }
    if (error) {
        return error;
    }
    error = udm_source_begin(s, files);
    error = error ? error : udm_source_bind_settings(s, s->db, media);
    error = error ? error : udm_source_check_reader(s);
    error = error ? error : udm_source_bind_filters(s);
    error = error ? error : udm_source_make_statements(s, files);
    error = error ? error : udm_source_set_path(s, s->db);
    error = error ? error : udm_source_plan(&s->estimate, &s->foreign, s, &s->rows, s->rows_sql);
    error = error ? error : udm_source_check_types(s);
    error = error ? error : udm_source_check_window(s, &s->rows, s->foreign);
    if (!error && files) {
        error = udm_source_plan(&ignored, &foreign, s, &s->files, s->files_sql);
        error = error ? error : udm_source_check_window(s, &s->files, foreign);
        s->foreign = s->foreign || foreign;
        error = error ? error
                      : udm_source_query(&result, s, "its session", "SELECT pg_export_snapshot()",
                                         0, NULL);
        if (!error) {
            s->exported = udm_result_text(result, 0, 0);
        }
    }
    if (!error) {
        *source = s;
    }
    return error;
}

const apr_array_header_t *udm_source_columns(const udm_source_t *source)
{
    return source->columns;
}

apr_int64_t udm_source_estimate(udm_source_t *source)
{
    return source->estimate;
}

const char *udm_source_snapshot(const udm_source_t *source)
{
    return source->snapshot;
}
