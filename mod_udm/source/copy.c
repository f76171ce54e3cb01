/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.c: the stream of rows: COPY in its binary form, one tuple after the other.
 */
#include <string.h>

#include <apr_strings.h>

#include "core/text.h"
#include "pg/wait.h"
#include "source/private.h"

/* A row of so many bytes leaves a connection that is not worth keeping. */
#define SWOLLEN 1048576

static const char copy_signature[11] = "PGCOPY\n\377\r\n";

/* An error of the connection itself, or of `result`, which is cleared. */
static udm_error_t *read_error(udm_source_t *s, PGresult *result)
{
    const relation_t *relation = s->reading;
    udm_error_t *error;

    if (udm_stop_raised(s->stop)) {
        PQclear(result);
        return udm_source_stopped(s);
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
        return udm_source_stopped(s);
    case UDM_WAIT_LATE:
        udm_pg_give_up_late(s->db);
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
        return udm_source_stopped(s);
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
            return udm_source_stopped(s);
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
