/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.c: which row goes into which entry, and what an entry is called.
 *
 * Layout "lines": an entry for each entity type, and a block under way for each of them. Layout
 * "records": an entry for each row, many in one block.
 */
#include <stdlib.h>

#include <apr_hash.h>
#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "export/encode.h"
#include "export/names.h"
#include "export/reader.h"
#include "export/zip.h"

/* Of an attachment's content at a time: whole groups of base64, so that slices can be joined. */
#define SLICE_SIZE (UDM_SOURCE_SLICE / 3 * 3)

/* At a time into a block, so that it stays below 128 KiB. */
#define CONTENT_SIZE 6144

/* Fields of an attachment (source/source.h). */
enum {
    ATTACHMENT_SUBTYPE,
    ATTACHMENT_ENTITY,
    ATTACHMENT_ID,
    ATTACHMENT_NAME,
    ATTACHMENT_MIME_TYPE,
    ATTACHMENT_SIZE,
    ATTACHMENT_CONTENT,
    ATTACHMENT_TABLE,
    ATTACHMENT_PLACE,
    ATTACHMENT_FIELDS
};

/* What rows go into: the entry of an entity type, or, in layout "records", one after the other. */
typedef struct stream_t {
    int entry; /* its number */
    udm_block_t *block;
    apr_int64_t rows; /* in the piece under way */
    EVP_MD_CTX *hash; /* of the entry, up to that piece */
} stream_t;

typedef struct reader_t {
    apr_pool_t *pool;
    const udm_data_type_t *type;
    const udm_run_t *run;
    udm_export_watch_t *watch;
    udm_source_t *source;
    udm_relay_t *relay;
    EVP_MD *sha256;
    udm_names_t *names;
    udm_buffer_t *name;          /* scratch, for making one */
    const char *infix;           /* between the entity type and the job's id */
    stream_t *record;            /* the only one of layout "records"; NULL in the other */
    apr_hash_t *by_type;         /* of stream_t, by entity type */
    apr_array_header_t *streams; /* the same, in order of their first row */
    int entries;                 /* how many numbers were given out */
    apr_int64_t max_row;         /* bytes */
    apr_int64_t count;           /* rows read */
    apr_int64_t estimate;        /* rows expected */
} reader_t;

static udm_error_t *stopped(const reader_t *r)
{
    return udm_error_make(r->pool, UDM_E_STOPPED, "the export was stopped");
}

/* The name in r->name, finished, as a string. */
static const char *finish_name(reader_t *r)
{
    udm_names_finish(r->names, r->name);
    udm_buffer_char(r->name, '\0');
    return r->name->data;
}

/* ---- streams ---- */

static apr_status_t hash_free(void *data)
{
    EVP_MD_CTX_free(data);
    return APR_SUCCESS;
}

static apr_status_t sha256_free(void *data)
{
    EVP_MD_free(data);
    return APR_SUCCESS;
}

static stream_t *stream_make(reader_t *r)
{
    stream_t *stream = apr_pcalloc(r->pool, sizeof(*stream));

    stream->entry = r->entries++;
    stream->block = udm_relay_block(r->relay);
    stream->hash = EVP_MD_CTX_new();
    apr_pool_cleanup_register(r->pool, stream->hash, hash_free, apr_pool_cleanup_null);
    return stream;
}

/*
 * Ends the piece under way, and the entry with it or not. It is hashed here and not where it is
 * compressed, because that thread has the most to do.
 */
static udm_error_t *end_piece(reader_t *r, stream_t *stream, bool ends)
{
    udm_piece_t *piece = udm_block_close(stream->block, stream->rows, ends);
    const udm_buffer_t *bytes = stream->block->bytes;

    stream->rows = 0;
    if (stream->hash == NULL ||
        (piece->begins && EVP_DigestInit_ex2(stream->hash, r->sha256, NULL) != 1) ||
        EVP_DigestUpdate(stream->hash, bytes->data + bytes->size - piece->size, piece->size) != 1 ||
        (ends && EVP_DigestFinal_ex(stream->hash, piece->sha256, NULL) != 1)) {
        ERR_clear_error();
        return udm_error_make(r->pool, UDM_E_INTERNAL, "SHA-256 cannot be computed");
    }
    return NULL;
}

/* Ends the piece under way, and the entry with it or not; a block that is full is handed on. */
static udm_error_t *stream_close(reader_t *r, stream_t *stream, bool ends)
{
    udm_block_t *full = stream->block;
    udm_error_t *error = end_piece(r, stream, ends);

    if (error != NULL || full->bytes->size < UDM_BLOCK_SIZE) {
        return error;
    }
    if (!udm_relay_put(r->relay, full)) {
        return stopped(r); /* the relay knows why */
    }
    stream->block = udm_relay_block(r->relay);
    return NULL;
}

/* Hands on what there is of an entry once it fills a block; more of it comes. */
static udm_error_t *stream_flush(reader_t *r, stream_t *stream)
{
    udm_error_t *error;

    if (stream->block->bytes->size < UDM_BLOCK_SIZE) {
        return NULL;
    }
    error = stream_close(r, stream, false);
    if (error == NULL) {
        udm_block_open(stream->block, stream->entry, NULL);
    }
    return error;
}

/* Hands on the last block of a stream. */
static udm_error_t *stream_end(reader_t *r, stream_t *stream)
{
    return udm_relay_put(r->relay, stream->block) ? NULL : stopped(r);
}

/* The name of the entity type with this value in the subtype column. */
static const char *entity_type(const reader_t *r, const udm_field_t *value)
{
    for (int i = 0; value->size >= 0 && i < r->type->sub_types->nelts; i++) {
        const udm_value_t *sub_type = &APR_ARRAY_IDX(r->type->sub_types, i, udm_value_t);

        if (strlen(sub_type->value) == (apr_size_t)value->size &&
            memcmp(sub_type->value, value->data, (apr_size_t)value->size) == 0) {
            return sub_type->name;
        }
    }
    return r->type->name;
}

/* The stream of an entity type; made, and its entry begun, with its first row. */
static stream_t *stream_of(reader_t *r, const udm_field_t *value)
{
    const char *type = entity_type(r, value);
    stream_t *stream = apr_hash_get(r->by_type, type, APR_HASH_KEY_STRING);

    if (stream == NULL) {
        stream = stream_make(r);
        r->name->size = 0;
        udm_zip_name(r->name, type, strlen(type));
        udm_buffer_format(r->name, "%s-%" APR_INT64_T_FMT, r->infix, r->run->job_id);
        udm_block_open(stream->block, stream->entry, finish_name(r));
        apr_hash_set(r->by_type, type, APR_HASH_KEY_STRING, stream);
        APR_ARRAY_PUSH(r->streams, stream_t *) = stream;
    }
    return stream;
}

/* Begins the next entry of layout "records"; its name is in r->name, but for the end. */
static stream_t *next_record(reader_t *r)
{
    udm_block_open(r->record->block, r->record->entry, finish_name(r));
    return r->record;
}

/* Ends the entries of all entity types. */
static udm_error_t *streams_end(reader_t *r)
{
    udm_error_t *error = NULL;

    for (int i = 0; error == NULL && i < r->streams->nelts; i++) {
        stream_t *stream = APR_ARRAY_IDX(r->streams, i, stream_t *);

        error = end_piece(r, stream, true);
        if (error == NULL) {
            error = stream_end(r, stream);
        }
    }
    apr_hash_clear(r->by_type);
    apr_array_clear(r->streams);
    return error;
}

/* ---- rows ---- */

/* One row more, for the progress. */
static void count_row(reader_t *r)
{
    apr_int64_t percent;

    r->count++;
    atomic_store_explicit(&r->watch->rows, r->count, memory_order_relaxed);
    if (r->count % 256 == 1) {
        percent = r->count < r->estimate ? r->count * 100 / r->estimate : 99;
        atomic_store_explicit(&r->watch->percent, (int)(percent < 99 ? percent : 99),
                              memory_order_relaxed);
    }
}

/* The next tuple of what is being read, unless the export is to stop. */
static udm_error_t *next_tuple(const unsigned char **tuple, apr_size_t *size, reader_t *r)
{
    if (udm_stop_raised(&r->watch->stop) || udm_relay_failed(r->relay)) {
        return stopped(r);
    }
    return udm_source_next(tuple, size, r->source);
}

/* What was written is a row, or an attachment: it ends an entry, or a line of one. */
static udm_error_t *end_row(reader_t *r, stream_t *stream)
{
    udm_buffer_char(stream->block->bytes, '\n');
    stream->rows++;
    return stream == r->record ? stream_close(r, stream, true) : stream_flush(r, stream);
}

/* A key as part of a name; one that is NULL or empty gives way to the number of the row. */
static void add_key(reader_t *r, const udm_field_t *key)
{
    if (key->size > 0) {
        udm_zip_name(r->name, key->data, (apr_size_t)key->size);
    }
    else {
        udm_buffer_format(r->name, "row-%" APR_INT64_T_FMT, r->count);
    }
}

/* A row that is being written. */
typedef struct row_t {
    reader_t *reader;
    stream_t *stream;
} row_t;

/* An udm_encoder_full_fn. */
static udm_error_t *row_part(udm_buffer_t **out, void *context)
{
    row_t *row = context;
    udm_error_t *error = stream_flush(row->reader, row->stream);

    *out = row->stream->block->bytes;
    return error;
}

static udm_error_t *read_row(reader_t *r, udm_encoder_t *encoder, const udm_field_t *fields)
{
    stream_t *stream;
    udm_error_t *error;
    row_t row;

    count_row(r);
    if (r->record != NULL) {
        r->name->size = 0;
        add_key(r, &fields[UDM_ROW_KEY]);
        stream = next_record(r);
    }
    else {
        stream = stream_of(r, &fields[UDM_ROW_SUBTYPE]);
    }
    row.reader = r;
    row.stream = stream;
    error = udm_encoder_write(stream->block->bytes, encoder, r->pool, row_part, &row);
    return error != NULL ? error : end_row(r, stream);
}

/* A row that came although it is too large: which column is the largest, and which row it is. */
static udm_error_t *too_large(const reader_t *r, const udm_field_t *fields)
{
    const apr_array_header_t *columns = udm_source_columns(r->source);
    const char *largest = NULL;
    const char *key = NULL;
    apr_ssize_t most = -1;
    udm_error_t *error;

    for (int i = 0; i < columns->nelts; i++) {
        const udm_column_t *column = &APR_ARRAY_IDX(columns, i, udm_column_t);
        const udm_field_t *field = &fields[UDM_ROW_COLUMNS + i];

        if (field->size > most) {
            most = field->size;
            largest = column->name;
        }
    }
    error = udm_source_too_large(r->pool, r->type, r->max_row, largest);
    if (r->record != NULL && fields[UDM_ROW_KEY].size >= 0) {
        /* As much as is shown, and more, which then is cut. */
        key = apr_pstrmemdup(r->pool, (const char *)fields[UDM_ROW_KEY].data,
                             fields[UDM_ROW_KEY].size < 1000 ? (apr_size_t)fields[UDM_ROW_KEY].size
                                                             : 1000);
        error->about = apr_psprintf(r->pool, "the one whose \"%s\" is %s", r->type->key_column,
                                    udm_source_about(r->pool, key));
    }
    else {
        error->about =
            apr_psprintf(r->pool, "row %" APR_INT64_T_FMT " of those that were read", r->count + 1);
    }
    return error;
}

static udm_error_t *read_rows(reader_t *r)
{
    udm_encoder_t *encoder;
    udm_error_t *error = udm_encoder_make(&encoder, r->pool, udm_source_columns(r->source));

    if (error == NULL) {
        error = udm_source_rows(r->source);
    }
    while (error == NULL) {
        const unsigned char *tuple;
        const udm_field_t *fields;
        apr_size_t size;

        error = next_tuple(&tuple, &size, r);
        if (error != NULL || tuple == NULL) {
            break;
        }
        error = udm_encoder_read(&fields, encoder, r->pool, tuple, size);
        if (error == NULL && (apr_int64_t)size > r->max_row) {
            error = too_large(r, fields);
        }
        if (error == NULL) {
            error = read_row(r, encoder, fields);
        }
    }
    return error != NULL ? error : streams_end(r);
}

/* ---- attachments ---- */

/* "name":"value", with a comma before it unless it is the first. */
static udm_error_t *add_member(reader_t *r, udm_buffer_t *out, const char *name,
                               const udm_field_t *value)
{
    udm_buffer_format(out, "%s\"%s\":", out->data[out->size - 1] == '{' ? "" : ",", name);
    if (value->size < 0) {
        udm_buffer_text(out, "null");
    }
    else if (!udm_buffer_string(out, (const char *)value->data, (apr_size_t)value->size)) {
        udm_error_t *error = udm_error_make(
            r->pool, UDM_E_SOURCE, "the %s of an attachment holds text that is not UTF-8", name);

        error->status = APR_EINVAL;
        return error;
    }
    return NULL;
}

static const char *field_text(apr_pool_t *p, const udm_field_t *field)
{
    return field->size < 0 ? NULL
                           : apr_pstrmemdup(p, (const char *)field->data, (apr_size_t)field->size);
}

/* Content of an attachment, in whole groups of base64 unless it is the last of it. */
static udm_error_t *add_content(reader_t *r, stream_t *stream, const unsigned char *data,
                                apr_size_t size)
{
    udm_error_t *error = NULL;

    while (error == NULL && size != 0) {
        apr_size_t take = size < CONTENT_SIZE ? size : CONTENT_SIZE;

        udm_buffer_base64(stream->block->bytes, data, take);
        error = stream_flush(r, stream);
        data += take;
        size -= take;
    }
    return error;
}

/* Content that was too large to come with its row, slice by slice. */
static udm_error_t *add_slices(reader_t *r, stream_t *stream, const udm_field_t *fields,
                               apr_pool_t *scratch)
{
    const udm_content_t of = {field_text(scratch, &fields[ATTACHMENT_ENTITY]),
                              field_text(scratch, &fields[ATTACHMENT_ID]),
                              field_text(scratch, &fields[ATTACHMENT_SIZE]),
                              field_text(scratch, &fields[ATTACHMENT_TABLE]),
                              field_text(scratch, &fields[ATTACHMENT_PLACE])};
    apr_int64_t size = apr_atoi64(of.size);
    unsigned char *slice;
    udm_error_t *error = NULL;

    if (of.place == NULL && (of.entity == NULL || of.id == NULL)) {
        error = udm_error_make(r->pool, UDM_E_SOURCE, "an attachment has no %s",
                               of.id == NULL ? "id" : "entity");
        error->status = APR_EINVAL;
        return error;
    }
    slice = malloc(SLICE_SIZE);
    if (slice == NULL) {
        return udm_error_make(r->pool, UDM_E_INTERNAL, "there is no memory for an attachment");
    }
    for (apr_int64_t offset = 0; error == NULL && offset < size;) {
        apr_size_t want = size - offset < SLICE_SIZE ? (apr_size_t)(size - offset) : SLICE_SIZE;
        apr_size_t got;

        error = udm_source_slice(slice, &got, r->source, &of, offset, want);
        if (error == NULL && got != want) {
            error = udm_error_make(r->pool, UDM_E_SOURCE,
                                   "an attachment has less content than its size says");
        }
        if (error == NULL) {
            error = add_content(r, stream, slice, got);
            offset += (apr_int64_t)got;
        }
    }
    free(slice);
    return error;
}

/* {id, entityid, name, mimeType, size, content} */
static udm_error_t *write_attachment(reader_t *r, stream_t *stream, const udm_field_t *fields,
                                     apr_pool_t *scratch)
{
    udm_buffer_t *out = stream->block->bytes;
    const udm_field_t *size = &fields[ATTACHMENT_SIZE];
    const udm_field_t *content = &fields[ATTACHMENT_CONTENT];
    udm_error_t *error;

    udm_buffer_char(out, '{');
    error = add_member(r, out, "id", &fields[ATTACHMENT_ID]);
    if (error == NULL) {
        error = add_member(r, out, "entityid", &fields[ATTACHMENT_ENTITY]);
    }
    if (error == NULL) {
        error = add_member(r, out, "name", &fields[ATTACHMENT_NAME]);
    }
    if (error == NULL) {
        error = add_member(r, out, "mimeType", &fields[ATTACHMENT_MIME_TYPE]);
    }
    if (error != NULL) {
        return error;
    }
    if (size->size < 0) {
        udm_buffer_text(out, ",\"size\":null,\"content\":null}");
        return NULL;
    }
    udm_buffer_format(out, ",\"size\":%.*s,\"content\":\"", (int)size->size,
                      (const char *)size->data);
    if (content->size >= 0) {
        error = add_content(r, stream, content->data, (apr_size_t)content->size);
    }
    else {
        error = add_slices(r, stream, fields, scratch);
    }
    if (error == NULL) {
        udm_buffer_text(stream->block->bytes, "\"}");
    }
    return error;
}

static udm_error_t *read_attachment(reader_t *r, const udm_field_t *fields, apr_pool_t *scratch)
{
    stream_t *stream;
    udm_error_t *error;

    if (r->record != NULL) {
        r->name->size = 0;
        add_key(r, &fields[ATTACHMENT_ENTITY]);
        udm_buffer_text(r->name, "-attachment-");
        add_key(r, &fields[ATTACHMENT_ID]);
        stream = next_record(r);
    }
    else {
        stream = stream_of(r, &fields[ATTACHMENT_SUBTYPE]);
    }
    error = write_attachment(r, stream, fields, scratch);
    return error != NULL ? error : end_row(r, stream);
}

static udm_error_t *read_attachments(reader_t *r)
{
    udm_field_t fields[ATTACHMENT_FIELDS];
    apr_pool_t *scratch;
    udm_error_t *error;

    r->infix = "-Attachment";
    apr_pool_create(&scratch, r->pool);
    error = udm_source_attachments(r->source);
    while (error == NULL) {
        const unsigned char *tuple;
        apr_size_t size;

        error = next_tuple(&tuple, &size, r);
        if (error != NULL || tuple == NULL) {
            break;
        }
        error = udm_tuple_read(fields, ATTACHMENT_FIELDS, r->pool, tuple, size);
        if (error == NULL) {
            error = read_attachment(r, fields, scratch);
        }
        apr_pool_clear(scratch);
    }
    apr_pool_destroy(scratch);
    return error != NULL ? error : streams_end(r);
}

/* ---- all of it ---- */

udm_error_t *udm_reader_run(apr_int64_t *rows, apr_pool_t *p, udm_source_t *source,
                            udm_relay_t *relay, const udm_data_type_t *type, const udm_run_t *run,
                            udm_export_watch_t *watch, apr_int64_t max_row)
{
    reader_t reader = {.pool = p, .type = type, .run = run, .watch = watch, .source = source};
    udm_error_t *error;

    reader.relay = relay;
    reader.max_row = max_row;
    reader.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    apr_pool_cleanup_register(p, reader.sha256, sha256_free, apr_pool_cleanup_null);
    reader.names = udm_names_make(p);
    reader.name = udm_buffer_make(p);
    reader.infix = "";
    reader.by_type = apr_hash_make(p);
    reader.streams = apr_array_make(p, 8, sizeof(stream_t *));
    reader.estimate = udm_source_estimate(source);
    if (type->records) {
        reader.record = stream_make(&reader);
    }
    error = read_rows(&reader);
    if (error == NULL && run->export_attachments && type->attachment_relation != NULL) {
        error = read_attachments(&reader);
    }
    if (error == NULL && reader.record != NULL) {
        error = stream_end(&reader, reader.record);
    }
    *rows = reader.count;
    return error;
}
