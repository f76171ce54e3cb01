/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * source.c: reads a data type from the database that holds it, as the reader of that source.
 *
 * Everything runs in one REPEATABLE READ transaction that is opened here and never committed. Once
 * connected, no wait for the server goes on when the run is to stop (db/wait.h).
 */
#include <string.h>

#include <apr_strings.h>
#include <jansson.h>

#include "core/calendar.h"
#include "core/text.h"
#include "pg/wait.h"
#include "source/private.h"

/* A row of so many bytes leaves a connection that is not worth keeping. */
#define SWOLLEN 1048576

static const char copy_signature[11] = "PGCOPY\n\377\r\n";

bool udm_source_permanent(const udm_error_t *error)
{
    return error->kind == UDM_E_SOURCE && error->status == APR_EINVAL;
}

/* What libpq says of a connection that it cannot make tells neither from the other in every language. */
const char *udm_source_away(apr_pool_t *p, const udm_data_type_t *type)
{
    return apr_psprintf(p, "the source \"%s\" does not answer or does not let its reader in",
                        type->source);
}

/* An error that no second try will cure. */
udm_error_t *udm_source_lasting(udm_error_t *error)
{
    error->status = APR_EINVAL;
    return error;
}

/* What a failed statement means, in words that a tenant may read; `rel` is what it read. */
udm_error_t *udm_source_explain_error(const udm_source_t *s, udm_error_t *error, const char *rel)
{
    apr_pool_t *p = s->pool;
    const char *source = s->type->source;
    const char *state = error->sqlstate;
    bool lasting = false;

    if (udm_stop_raised(s->stop)) {
        return udm_error_make(p, UDM_E_STOPPED, "the export was stopped");
    }
    if (strcmp(state, "42501") == 0) {
        error->reason = apr_psprintf(p, "the reader of source \"%s\" may not read %s", source, rel);
        lasting = true;
    }
    else if (strcmp(state, "42P01") == 0 || strcmp(state, "42703") == 0 ||
             strcmp(state, "3F000") == 0) {
        error->reason = apr_psprintf(p,
                                     "%s of source \"%s\" has changed: it or one of its columns "
                                     "does not exist",
                                     rel, source);
        lasting = true;
    }
    else if (strcmp(state, "57014") == 0 || strcmp(state, "55P03") == 0) {
        error->reason =
            apr_psprintf(p, "the source \"%s\" took too long, or %s is locked", source, rel);
    }
    else if (error->kind == UDM_E_DATABASE || *state == '\0') {
        error->reason = apr_psprintf(p, "the source \"%s\" does not answer", source);
    }
    else {
        error->reason =
            apr_psprintf(p, "%s of source \"%s\" cannot be read (SQLSTATE %s)", rel, source, state);
        /* What is wrong with a statement or a value is wrong the next time, too. */
        lasting = strncmp(state, "42", 2) == 0 || strncmp(state, "22", 2) == 0 ||
                  strncmp(state, "0A", 2) == 0 || strncmp(state, "54", 2) == 0;
    }
    error->kind = UDM_E_SOURCE;
    error->status = lasting ? APR_EINVAL : APR_SUCCESS;
    return error;
}

/* Longest value that a reason holds. */
#define ABOUT_MAX 200

const char *udm_source_about(apr_pool_t *p, const char *value)
{
    apr_size_t size = strlen(value);

    if (size <= ABOUT_MAX) {
        return apr_pstrcat(p, "\"", value, "\"", NULL);
    }
    for (size = ABOUT_MAX; size > ABOUT_MAX - 4 && ((unsigned char)value[size] & 0xc0) == 0x80;) {
        size--;
    }
    return apr_psprintf(p, "\"%.*s...\"", (int)size, value);
}

udm_error_t *udm_source_query(udm_result_t **result, udm_source_t *s, const char *rel,
                              const char *sql, int count, const char *const *values)
{
    udm_error_t *error = udm_pg_query_text(result, s->pool, s->db, sql, count, values);

    return error ? udm_source_explain_error(s, error, rel) : NULL;
}

/* What a reader must not be able to do, be it by an attribute of its own or by a role that it can become:
 * the number in reader_sql, and how a reason says it. */
static const char *const reader_rights[] = {
    "is a superuser",
    "can create roles (CREATEROLE)",
    "can pass by row-level security (BYPASSRLS)",
    "can read the whole cluster as a replica does (REPLICATION)",
    "can create databases (CREATEDB)",
    "can run programs on the server (pg_execute_server_program)",
    "can read files of the server (pg_read_server_files)",
    "can write files of the server (pg_write_server_files)",
    "can write all data (pg_write_all_data)",
    "can end others' sessions (pg_signal_backend)",
    "can rebuild others' tables (pg_maintain)",
    "can have others' data replicated (pg_create_subscription)",
    "was granted functions that reach files of the server (pg_read_file, lo_import and the like)",
};

/* Reading much (pg_read_all_data) is a reader's trade, as long as it cannot use schema udm. */
/* clang-format off */
static const char reader_sql[] =
    "SELECT (SELECT min(w.n) FROM pg_roles m,"
    " LATERAL (VALUES (0, m.rolsuper), (1, m.rolcreaterole), (2, m.rolbypassrls),"
    " (3, m.rolreplication), (4, m.rolcreatedb), (5, m.rolname = 'pg_execute_server_program'),"
    " (6, m.rolname = 'pg_read_server_files'), (7, m.rolname = 'pg_write_server_files'),"
    " (8, m.rolname = 'pg_write_all_data'), (9, m.rolname = 'pg_signal_backend'),"
    " (10, m.rolname = 'pg_maintain'), (11, m.rolname = 'pg_create_subscription'),"
    " (12, EXISTS (SELECT FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang"
    " WHERE p.proname IN ('pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'pg_stat_file',"
    " 'lo_import', 'lo_export', 'pg_file_write', 'dblink_connect_u')"
    /* what anybody may call so is in another language */
    " AND l.lanname IN ('internal', 'c')"
    " AND has_function_privilege(m.oid, p.oid, 'EXECUTE')))) w (n, has)"
    " WHERE w.has AND (pg_has_role(session_user, m.oid, 'MEMBER')"
    " OR pg_has_role(current_user, m.oid, 'MEMBER'))),"
    " EXISTS (SELECT FROM pg_namespace n, pg_roles m WHERE n.nspname = 'udm'"
    " AND (pg_has_role(session_user, m.oid, 'MEMBER')"
    " OR pg_has_role(current_user, m.oid, 'MEMBER'))"
    " AND has_schema_privilege(m.oid, n.oid, 'USAGE, CREATE')),"
    " EXISTS (SELECT FROM pg_roles m WHERE m.rolname IN ('udm_owner', 'udm_httpd', 'udm_worker')"
    " AND (pg_has_role(session_user, m.oid, 'MEMBER')"
    " OR pg_has_role(current_user, m.oid, 'MEMBER')))";
/* clang-format on */

/*
 * Whoever can do more than read what was granted could be made to do it by a view that somebody
 * registers: read other tenants' jobs and keys, files of the server, or give itself more rights.
 */
static udm_error_t *check_reader(udm_source_t *s)
{
    udm_result_t *result;
    udm_error_t *error = udm_source_query(&result, s, "its catalog", reader_sql, 0, NULL);

    if (error) {
        return error;
    }
    if (udm_result_text(result, 0, 0)) {
        return udm_source_lasting(
            udm_error_make(s->pool, UDM_E_SOURCE,
                           "the reader of source \"%s\" %s: give the source a role that can read "
                           "its relations and nothing else",
                           s->type->source, reader_rights[udm_result_int(result, 0, 0)]));
    }
    if (udm_result_bool(result, 0, 1)) {
        return udm_source_lasting(udm_error_make(
            s->pool, UDM_E_SOURCE, "the reader of source \"%s\" can use schema udm: revoke it",
            s->type->source));
    }
    if (udm_result_bool(result, 0, 2)) {
        /* roles are those of the whole cluster, and the schema may be in another database of it */
        return udm_source_lasting(
            udm_error_make(s->pool, UDM_E_SOURCE,
                           "the reader of source \"%s\" is, or can become, a role of the service "
                           "itself: give the source a role that can read its relations and "
                           "nothing else",
                           s->type->source));
    }
    return NULL;
}

/* ---- opening ---- */

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

/* `hold` may be NULL. */
static udm_error_t *connect_reader(udm_pg_t **db, udm_source_t *s, udm_source_hold_t *hold)
{
    udm_error_t *error;

    error = hold ? udm_source_hold_take(db, hold, s->pool, s->conninfo, s->stop)
                 : udm_pg_connect(db, s->pool, s->conninfo, "udm-worker", UDM_E_SOURCE, s->stop);
    if (error && error->kind == UDM_E_SOURCE) {
        error->reason = udm_source_away(s->pool, s->type);
    }
    if (error) {
        return error;
    }
    (*db)->stop = s->stop;
    (*db)->patience = UDM_SOURCE_SILENCE;
    return NULL;
}

/* clang-format off */
static const char settings_sql[] =
    "SELECT set_config('udm.ccid', $1::text, true),"
    " set_config('udm.media', $2::text, true),"
    " format('timestamptz %L', " UDM_PG_TIME_IN("$3") "),"
    " format('timestamptz %L', " UDM_PG_TIME_IN("$4") "),"
    " pg_current_snapshot()::text";
/* clang-format on */

/* The bounds of the window as SQL; where there is none, PostgreSQL writes a NULL. */
static const char *bound(const udm_result_t *result, int column, apr_time_t time)
{
    return time != UDM_NO_TIME ? udm_result_text(result, 0, column) : NULL;
}

/*
 * The values that a statement reads with current_setting(), for this transaction only, and the
 * bounds of the window. As the first statement of the transaction it takes the snapshot.
 */
static udm_error_t *bind_settings(udm_source_t *s, udm_pg_t *db, const char *media)
{
    const char *values[4];
    udm_result_t *result;
    udm_error_t *error;

    values[0] = s->run->ccid;
    values[1] = media;
    values[2] = udm_pg_time(s->pool, s->run->window_from);
    values[3] = udm_pg_time(s->pool, s->run->window_to);
    error = udm_pg_query_text(&result, s->pool, db, settings_sql, 4, values);
    if (error) {
        return udm_source_explain_error(s, error, "its session");
    }
    s->from = bound(result, 2, s->run->window_from);
    s->to = bound(result, 3, s->run->window_to);
    s->snapshot = udm_result_text(result, 0, 4);
    return NULL;
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
        error = connect_reader(&s->db, s, hold);
    }
    if (s->db) {
        s->cancel = PQgetCancel(s->db->conn);
        apr_pool_cleanup_register(p, s, source_close, apr_pool_cleanup_null);
    }
    if (error) {
        return error;
    }
    error = udm_source_begin(s, files);
    error = error ? error : bind_settings(s, s->db, media);
    error = error ? error : check_reader(s);
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

/* ---- reading ---- */

static udm_error_t *stopped(udm_source_t *s)
{
    return udm_error_make(s->pool, UDM_E_STOPPED, "the export was stopped");
}

/* An error of the connection itself, or of `result`, which is cleared. */
static udm_error_t *read_error(udm_source_t *s, PGresult *result)
{
    const relation_t *relation = s->reading;
    udm_error_t *error;

    if (udm_stop_raised(s->stop)) {
        PQclear(result);
        return stopped(s);
    }
    error = udm_pg_error(s->pool, s->db, result);
    PQclear(result);
    return udm_source_explain_statement(s, error, relation ? relation->shown : "a relation");
}

static udm_error_t *wait_input(udm_source_t *s)
{
    switch (udm_wait_input(s->db->conn, s->stop, udm_wait_until(s->db->patience))) {
    case UDM_WAIT_READY:
        return NULL;
    case UDM_WAIT_STOPPED:
        return stopped(s);
    case UDM_WAIT_LATE:
        s->db->late = true;
        udm_pg_give_up(s->db);
        break;
    case UDM_WAIT_BROKEN:
        break;
    }
    return read_error(s, NULL);
}

static udm_error_t *next_result(PGresult **result, udm_source_t *s)
{
    udm_error_t *error = NULL;

    *result = NULL;
    while (!error && PQisBusy(s->db->conn)) {
        error = wait_input(s);
    }
    if (!error) {
        *result = PQgetResult(s->db->conn);
    }
    return error;
}

static udm_error_t *begin_copy(udm_source_t *s, const relation_t *relation, const char *sql)
{
    PGresult *result;
    udm_error_t *error;

    if (s->reading) {
        return udm_error_make(s->pool, UDM_E_INTERNAL, "the rows before are not read to their end");
    }
    if (udm_stop_raised(s->stop)) {
        return stopped(s);
    }
    if (s->large_sql && relation == &s->rows) {
        /* So that a row that is too large can be looked up in the same snapshot. */
        error = udm_pg_exec(s->pool, s->db, "SAVEPOINT udm_rows");
        if (error) {
            return udm_source_explain_error(s, error, "its session");
        }
    }
    s->reading = relation;
    s->header_done = false;
    if (!PQsendQuery(s->db->conn,
                     apr_pstrcat(s->pool, "COPY (", sql, ") TO STDOUT (FORMAT binary); ",
                                 udm_source_changed_sql, NULL))) {
        return read_error(s, NULL);
    }
    error = next_result(&result, s);
    if (error) {
        return error;
    }
    if (PQresultStatus(result) != PGRES_COPY_OUT) {
        return read_error(s, result);
    }
    PQclear(result);
    return NULL;
}

udm_error_t *udm_source_rows(udm_source_t *source)
{
    return begin_copy(source, &source->rows, source->rows_sql);
}

udm_error_t *udm_source_attachments(udm_source_t *source)
{
    if (!source->files_sql) {
        return udm_error_make(source->pool, UDM_E_INTERNAL,
                              "this source was opened without attachments");
    }
    return begin_copy(source, &source->files, source->files_sql);
}

static apr_uint32_t get_uint32(const unsigned char *in)
{
    return (apr_uint32_t)in[0] << 24 | (apr_uint32_t)in[1] << 16 | (apr_uint32_t)in[2] << 8 | in[3];
}

static udm_error_t *bad_stream(udm_source_t *s)
{
    return udm_error_make(s->pool, UDM_E_SOURCE,
                          "the source \"%s\" sent something that is not binary COPY data",
                          s->type->source);
}

/* Skips signature, flags and extension, which stand before the first tuple. */
static udm_error_t *skip_header(const unsigned char **in, apr_size_t *size, udm_source_t *s)
{
    const apr_size_t fixed = sizeof(copy_signature) + 8;
    apr_uint32_t extension;

    if (*size < fixed || memcmp(*in, copy_signature, sizeof(copy_signature)) != 0 ||
        (get_uint32(*in + sizeof(copy_signature)) & 0xffff0000u)) {
        return bad_stream(s);
    }
    extension = get_uint32(*in + sizeof(copy_signature) + 4);
    if (*size - fixed < extension) {
        return bad_stream(s);
    }
    *in += fixed + extension;
    *size -= fixed + extension;
    s->header_done = true;
    return NULL;
}

/* The error of a statement that ended; says more where a row was too large for it. */
static udm_error_t *refused_row(udm_source_t *s, udm_error_t *error)
{
    PGresult *result;

    if (!udm_source_is_too_large(error)) {
        return error;
    }
    if (s->reading != &s->rows) {
        return udm_source_lasting(
            udm_error_make(s->pool, UDM_E_SOURCE,
                           "an attachment in %s of source \"%s\" has an id, name or type of "
                           "more than %s",
                           s->files.shown, s->type->source, udm_text_size(s->pool, s->max_row)));
    }
    do { /* what the server still says of the statement */
        udm_error_t *broken = next_result(&result, s);

        if (broken) {
            return broken;
        }
        PQclear(result);
    } while (result);
    return udm_source_explain_large(s);
}

/*
 * After the trailer: the server still has to say that the statement went well, and that what it read
 * is as it was when the snapshot was taken.
 */
static udm_error_t *end_copy(udm_source_t *s)
{
    PGresult *result;
    udm_error_t *error;
    bool ended = false, changed = false;
    apr_int64_t late = 0;

    for (;;) {
        error = next_result(&result, s);
        if (error) {
            return error;
        }
        if (!result) {
            break;
        }
        if (PQresultStatus(result) == PGRES_TUPLES_OK) {
            ended = true;
            changed = *PQgetvalue(result, 0, 0) == 't';
            late = apr_atoi64(PQgetvalue(result, 0, 1));
        }
        else if (PQresultStatus(result) != PGRES_COMMAND_OK) {
            return refused_row(s, read_error(s, result));
        }
        PQclear(result);
    }
    if (!ended) {
        return read_error(s, NULL);
    }
    if (changed) {
        return udm_source_changed(s, s->reading->shown);
    }
    /* What functions read no plan shows. */
    if (s->run->moves_watermark && late > s->late_before) {
        return udm_source_check_window(s, s->reading, true);
    }
    s->reading = NULL;
    return NULL;
}

udm_error_t *udm_source_next(const unsigned char **tuple, apr_size_t *size, udm_source_t *source)
{
    udm_source_t *s = source;
    bool trailer = false;
    udm_error_t *error;
    const unsigned char *in;
    apr_size_t left;
    int got;

    *tuple = NULL;
    *size = 0;
    if (!s->reading) {
        return udm_error_make(s->pool, UDM_E_INTERNAL, "no rows are being read");
    }
    for (;;) {
        if (s->buffer) {
            PQfreemem(s->buffer);
            s->buffer = NULL;
        }
        if (udm_stop_raised(s->stop)) {
            return stopped(s);
        }
        got = PQgetCopyData(s->db->conn, &s->buffer, 1);
        if (got == 0) {
            error = wait_input(s);
            if (error) {
                return error;
            }
            continue;
        }
        if (got < 0) {
            break;
        }
        /* libpq never makes its buffer smaller. */
        s->swollen = s->swollen || got > SWOLLEN;
        in = (const unsigned char *)s->buffer;
        left = (apr_size_t)got;
        if (!s->header_done) {
            error = skip_header(&in, &left, s);
            if (error) {
                return error;
            }
            if (left == 0) {
                continue;
            }
        }
        if (left < 2 || trailer) {
            return bad_stream(s);
        }
        if (in[0] == 0xff && in[1] == 0xff) {
            trailer = true;
            continue;
        }
        *tuple = in;
        *size = left;
        return NULL;
    }
    if (got == -2) {
        return read_error(s, NULL);
    }
    error = end_copy(s);
    if (!error && !trailer) {
        return bad_stream(s);
    }
    return error;
}

/* The second connection joins the snapshot of the first. */
static udm_error_t *open_slices(udm_source_t *s)
{
    udm_error_t *error;
    udm_pg_t *db;

    error = connect_reader(&db, s, NULL);
    if (error) {
        return error;
    }
    error = udm_source_join(s, db);
    error = error ? error : bind_settings(s, db, "{}");
    error = error ? error : udm_source_set_path(s, db);
    if (!error) {
        s->slices = db;
    }
    return error;
}

/* What is wrong with content that could be another one's. */
static udm_error_t *twins_error(udm_source_t *s, const udm_content_t *of)
{
    udm_error_t *error = udm_source_lasting(
        udm_error_make(s->pool, UDM_E_SOURCE,
                       "two attachments in %s of source \"%s\" have the same entity, id and size, "
                       "and more than %d "
                       "bytes: nothing tells their contents apart, so give each an id of its own",
                       s->files.shown, s->type->source, UDM_SOURCE_SLICE));

    error->about = apr_psprintf(s->pool, "id %s of %s", udm_source_about(s->pool, of->id),
                                udm_source_about(s->pool, of->entity));
    return error;
}

/* A statement on the second connection, whose result is binary. */
static PGresult *ask_slices(udm_source_t *s, const char *sql, int count, const char *const *values)
{
    return udm_pg_answer(
        s->slices, PQsendQueryParams(s->slices->conn, sql, count, NULL, values, NULL, NULL, 1));
}

static udm_error_t *slices_error(udm_source_t *s, PGresult *result)
{
    return udm_source_explain_error(s, udm_pg_error(s->pool, s->slices, result), s->files.shown);
}

/*
 * No pool here and below, unless there is an error: there may be many attachments, and the pool lives as
 * long as the run.
 */
static udm_error_t *close_content(udm_source_t *s)
{
    PGresult *result = ask_slices(s, "CLOSE udm_slices", 0, NULL);
    udm_error_t *error = NULL;

    s->slice_at = 0;
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        error = slices_error(s, result);
    }
    PQclear(result);
    return error;
}

/* More than one row has what is known of a content: a view may well show the same one twice. */
static udm_error_t *check_twins(udm_source_t *s, const udm_content_t *of, const char *const *values)
{
    PGresult *result = ask_slices(s, s->twin_sql, 3, values);
    udm_result_t *contents;
    udm_error_t *error = NULL;

    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        error = slices_error(s, result);
    }
    else if (PQntuples(result) > 1) {
        error = udm_pg_query_text(&contents, s->pool, s->slices, s->twins_sql, 3, values);
        if (error) {
            error = udm_source_explain_error(s, error, s->files.shown);
        }
        else if (udm_result_int(contents, 0, 0) > 1) {
            error = twins_error(s, of);
        }
    }
    PQclear(result);
    return error;
}

static udm_error_t *open_content(udm_source_t *s, const udm_content_t *of, apr_size_t size)
{
    const char *values[4];
    char length[32];
    udm_error_t *error = NULL;
    PGresult *result;

    if (!s->slices) {
        error = open_slices(s);
    }
    else if (s->slice_at > 0) {
        error = close_content(s);
    }
    apr_snprintf(length, sizeof(length), "%" APR_SIZE_T_FMT, size);
    values[0] = s->twin_sql ? of->entity : of->table;
    values[1] = s->twin_sql ? of->id : of->place;
    values[2] = of->size;
    values[3] = length;
    if (!error && s->twin_sql) {
        error = check_twins(s, of, values);
    }
    if (error) {
        return error;
    }
    result = ask_slices(s, s->slice_sql, 4, values);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        error = slices_error(s, result);
    }
    PQclear(result);
    return error;
}

udm_error_t *udm_source_slice(unsigned char *data, apr_size_t *got, udm_source_t *source,
                              const udm_content_t *of, apr_int64_t offset, apr_size_t size)
{
    udm_source_t *s = source;
    udm_error_t *error = NULL;
    PGresult *result;

    *got = 0;
    if (!s->exported) {
        return udm_error_make(s->pool, UDM_E_INTERNAL,
                              "this source was opened without attachments");
    }
    if (udm_stop_raised(s->stop)) {
        return stopped(s);
    }
    if (offset == 0) {
        error = open_content(s, of, size);
    }
    else if (offset != s->slice_at) {
        error =
            udm_error_make(s->pool, UDM_E_INTERNAL, "the slices of a content are read in order");
    }
    if (error) {
        return error;
    }
    result = ask_slices(s, "FETCH udm_slices", 0, NULL);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        error = slices_error(s, result);
    }
    else if (PQntuples(result) > 0 && !PQgetisnull(result, 0, 0) &&
             (apr_size_t)PQgetlength(result, 0, 0) <= size) {
        *got = (apr_size_t)PQgetlength(result, 0, 0);
        memcpy(data, PQgetvalue(result, 0, 0), *got);
    }
    PQclear(result);
    s->slice_at = offset + (apr_int64_t)*got;
    /* The source has it in memory. */
    if (!error && s->slice_at > 0 && s->slice_at >= apr_atoi64(of->size)) {
        error = close_content(s);
    }
    return error;
}
