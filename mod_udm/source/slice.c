/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * slice.c: contents that are too large for a row, in slices, over a second connection that has joined the
 * snapshot of the first.
 */
#include <string.h>

#include <apr_strings.h>

#include "source/private.h"

/* The second connection joins the snapshot of the first. */
static udm_error_t *open_slices(udm_source_t *s)
{
    udm_error_t *error;
    udm_pg_t *db;

    error = udm_source_connect(&db, s, NULL);
    if (error) {
        return error;
    }
    error = udm_source_join(s, db);
    error = error ? error : udm_source_bind_settings(s, db, "{}");
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
        return udm_source_stopped(s);
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
