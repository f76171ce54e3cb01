/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * export.c: one run from beginning to end: which row goes into which entry of the archive, and in
 * which order entries are finished.
 *
 * Layout "lines": a stream for each entity type. The first one goes straight into the archive, the
 * others, since one scan feeds them all, compressed into spools, which are appended once the source
 * is closed. Layout "records": an entry for each row.
 *
 * Rows are encoded into the block of their stream, and blocks are what goes on to be compressed.
 */
#include <stdlib.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "core/certificate.h"
#include "core/job.h"
#include "encode.h"
#include "export.h"
#include "manifest.h"
#include "names.h"
#include "parts.h"
#include "spool.h"
#include "zip.h"

/* A block is compressed once it has this many bytes. */
#define BLOCK_SIZE 131072

/* Of an attachment's content at a time: whole groups of base64, so that slices can be joined. */
#define SLICE_SIZE (UDM_SOURCE_SLICE / 3 * 3)

/* Fields of an attachment (db/source.h). */
enum {
    ATTACHMENT_SUBTYPE,
    ATTACHMENT_ENTITY,
    ATTACHMENT_ID,
    ATTACHMENT_NAME,
    ATTACHMENT_MIME_TYPE,
    ATTACHMENT_SIZE,
    ATTACHMENT_CONTENT,
    ATTACHMENT_FIELDS
};

/* An entry of the archive that rows go into. */
typedef struct stream_t {
    const char *name;
    udm_buffer_t *block;
    udm_entry_t *entry;
    apr_pool_t *pool;   /* of block and entry, for as long as they are needed */
    udm_spool_t *spool; /* NULL: straight into the archive */
    udm_entry_sum_t sum;
    apr_int64_t rows;
} stream_t;

/* Streams of one kind, by entity type. */
typedef struct streams_t {
    const char *infix; /* between the entity type and the job's id */
    apr_hash_t *by_type;
    apr_array_header_t *spooled; /* of stream_t *, in order of their first row */
    stream_t *direct;
} streams_t;

typedef struct export_t {
    apr_pool_t *pool;
    const udm_export_settings_t *settings;
    const udm_data_type_t *type;
    const udm_run_t *run;
    udm_export_watch_t *watch;
    udm_source_t *source;
    udm_zip_t *zip;
    udm_manifest_t *manifest;
    udm_names_t *names;
    udm_buffer_t *name; /* scratch, for making one */
    streams_t rows;
    streams_t attachments;
    apr_int64_t count;    /* rows read */
    apr_int64_t estimate; /* rows expected */
} export_t;

static udm_error_t *stopped(export_t *x)
{
    if (!atomic_load_explicit(&x->watch->stop, memory_order_relaxed)) {
        return NULL;
    }
    return udm_error_make(x->pool, UDM_E_STOPPED, "the export was stopped");
}

/* Into the archive; also what is copied from spools, so it looks for a stop. */
static udm_error_t *to_archive(void *context, const void *data, apr_size_t size)
{
    export_t *x = context;
    udm_error_t *error = stopped(x);

    return error != NULL ? error : udm_zip_write(x->zip, data, size);
}

static udm_error_t *to_spool(void *context, const void *data, apr_size_t size)
{
    return udm_spool_write(context, data, size);
}

/* The name in x->name, finished, as a string. */
static const char *finish_name(export_t *x)
{
    udm_names_finish(x->names, x->name);
    udm_buffer_char(x->name, '\0');
    return x->name->data;
}

/* ---- streams ---- */

/* Begins the content of a stream that has its name: in the archive, or in a spool. */
static udm_error_t *stream_begin(export_t *x, stream_t *stream, bool direct)
{
    udm_sink_t sink = {to_archive, x};
    udm_error_t *error;

    if (direct) {
        error = udm_zip_begin(x->zip, stream->name, NULL);
    }
    else {
        error = udm_spool_open(&stream->spool, x->pool, x->settings->spool_dir);
        sink.write = to_spool;
        sink.context = stream->spool;
    }
    stream->rows = 0;
    stream->block->size = 0;
    return error != NULL ? error : udm_entry_begin(stream->entry, &sink);
}

static udm_error_t *stream_flush(stream_t *stream)
{
    udm_error_t *error = udm_entry_write(stream->entry, stream->block->data, stream->block->size);

    stream->block->size = 0;
    return error;
}

/* Ends the content. In the archive, that is the end of the entry. */
static udm_error_t *stream_finish(export_t *x, stream_t *stream)
{
    udm_error_t *error = stream_flush(stream);

    if (error == NULL) {
        error = udm_entry_finish(stream->entry, &stream->sum);
    }
    if (error == NULL && stream->spool == NULL) {
        error = udm_zip_end(x->zip, &stream->sum);
        if (error == NULL) {
            error = udm_manifest_add(x->manifest, stream->name, &stream->sum, stream->rows);
        }
    }
    return error;
}

/* Moves a spooled stream into the archive. */
static udm_error_t *stream_append(export_t *x, stream_t *stream)
{
    udm_sink_t sink = {to_archive, x};
    udm_error_t *error = udm_zip_begin(x->zip, stream->name, &stream->sum);

    if (error == NULL) {
        error = udm_spool_copy(stream->spool, &sink);
    }
    udm_spool_close(stream->spool);
    if (error == NULL) {
        error = udm_zip_end(x->zip, &stream->sum);
    }
    if (error == NULL) {
        error = udm_manifest_add(x->manifest, stream->name, &stream->sum, stream->rows);
    }
    return error;
}

static udm_error_t *stream_make(stream_t **stream, export_t *x)
{
    stream_t *s = apr_pcalloc(x->pool, sizeof(*s));

    apr_pool_create(&s->pool, x->pool);
    s->block = udm_buffer_make(s->pool);
    *stream = s;
    return udm_entry_make(&s->entry, s->pool);
}

static void streams_make(streams_t *streams, export_t *x, const char *infix)
{
    streams->infix = infix;
    streams->by_type = apr_hash_make(x->pool);
    streams->spooled = apr_array_make(x->pool, 8, sizeof(stream_t *));
}

/* The name of the entity type with this value in the subtype column. */
static const char *entity_type(const export_t *x, const udm_field_t *value)
{
    for (int i = 0; value->size >= 0 && i < x->type->sub_types->nelts; i++) {
        const udm_value_t *sub_type = &APR_ARRAY_IDX(x->type->sub_types, i, udm_value_t);

        if (strlen(sub_type->value) == (apr_size_t)value->size &&
            memcmp(sub_type->value, value->data, (apr_size_t)value->size) == 0) {
            return sub_type->name;
        }
    }
    return x->type->name;
}

/* The stream of an entity type; made with its first row. */
static udm_error_t *stream_of(stream_t **stream, export_t *x, streams_t *streams,
                              const udm_field_t *value)
{
    const char *type = entity_type(x, value);
    stream_t *s = apr_hash_get(streams->by_type, type, APR_HASH_KEY_STRING);
    udm_error_t *error;

    *stream = s;
    if (s != NULL) {
        return NULL;
    }
    error = stream_make(&s, x);
    if (error != NULL) {
        return error;
    }
    x->name->size = 0;
    udm_zip_name(x->name, type, strlen(type));
    udm_buffer_format(x->name, "%s-%" APR_INT64_T_FMT, streams->infix, x->run->job_id);
    s->name = apr_pstrdup(x->pool, finish_name(x));
    apr_hash_set(streams->by_type, type, APR_HASH_KEY_STRING, s);
    error = stream_begin(x, s, streams->direct == NULL);
    if (streams->direct == NULL) {
        streams->direct = s;
    }
    else {
        APR_ARRAY_PUSH(streams->spooled, stream_t *) = s;
    }
    *stream = s;
    return error;
}

/* Ends all streams of a kind; what they compressed with is given back. */
static udm_error_t *streams_finish(export_t *x, streams_t *streams)
{
    udm_error_t *error = NULL;

    if (streams->direct != NULL) {
        error = stream_finish(x, streams->direct);
    }
    for (int i = 0; error == NULL && i < streams->spooled->nelts; i++) {
        stream_t *stream = APR_ARRAY_IDX(streams->spooled, i, stream_t *);

        error = stream_finish(x, stream);
        if (error == NULL) {
            apr_pool_destroy(stream->pool);
        }
    }
    return error;
}

static udm_error_t *streams_append(export_t *x, streams_t *streams)
{
    udm_error_t *error = NULL;

    for (int i = 0; error == NULL && i < streams->spooled->nelts; i++) {
        error = stream_append(x, APR_ARRAY_IDX(streams->spooled, i, stream_t *));
    }
    return error;
}

/* ---- rows ---- */

/* One row more, for the progress. */
static void count_row(export_t *x)
{
    apr_int64_t percent;

    x->count++;
    atomic_store_explicit(&x->watch->rows, x->count, memory_order_relaxed);
    if (x->count % 256 == 1) {
        percent = x->count < x->estimate ? x->count * 100 / x->estimate : 99;
        atomic_store_explicit(&x->watch->percent, (int)(percent < 99 ? percent : 99),
                              memory_order_relaxed);
    }
}

/* The next tuple of what is being read, unless the export is to stop. */
static udm_error_t *next_tuple(const unsigned char **tuple, apr_size_t *size, export_t *x)
{
    udm_error_t *error = stopped(x);

    return error != NULL ? error : udm_source_next(tuple, size, x->source);
}

static udm_error_t *row_as_line(export_t *x, udm_encoder_t *encoder, const udm_field_t *fields)
{
    stream_t *stream;
    udm_error_t *error = stream_of(&stream, x, &x->rows, &fields[UDM_ROW_SUBTYPE]);

    if (error == NULL) {
        error = udm_encoder_write(stream->block, encoder, x->pool);
    }
    if (error == NULL) {
        udm_buffer_char(stream->block, '\n');
        stream->rows++;
        if (stream->block->size >= BLOCK_SIZE) {
            error = stream_flush(stream);
        }
    }
    return error;
}

/* A key as part of a name; one that is NULL or empty gives way to the number of the row. */
static void add_key(export_t *x, const udm_field_t *key)
{
    if (key->size > 0) {
        udm_zip_name(x->name, key->data, (apr_size_t)key->size);
    }
    else {
        udm_buffer_format(x->name, "row-%" APR_INT64_T_FMT, x->count);
    }
}

static udm_error_t *row_as_record(export_t *x, udm_encoder_t *encoder, const udm_field_t *fields,
                                  stream_t *stream)
{
    udm_error_t *error;

    x->name->size = 0;
    add_key(x, &fields[UDM_ROW_KEY]);
    stream->name = finish_name(x);
    error = stream_begin(x, stream, true);
    if (error == NULL) {
        error = udm_encoder_write(stream->block, encoder, x->pool);
    }
    if (error == NULL) {
        udm_buffer_char(stream->block, '\n');
        stream->rows = 1;
        error = stream_finish(x, stream);
    }
    return error;
}

static udm_error_t *export_rows(export_t *x, stream_t *record)
{
    udm_encoder_t *encoder;
    udm_error_t *error = udm_encoder_make(&encoder, x->pool, udm_source_columns(x->source));

    if (error == NULL) {
        error = udm_source_rows(x->source);
    }
    while (error == NULL) {
        const unsigned char *tuple;
        const udm_field_t *fields;
        apr_size_t size;

        error = next_tuple(&tuple, &size, x);
        if (error != NULL || tuple == NULL) {
            break;
        }
        error = udm_encoder_read(&fields, encoder, x->pool, tuple, size);
        if (error == NULL) {
            count_row(x);
            error = record != NULL ? row_as_record(x, encoder, fields, record)
                                   : row_as_line(x, encoder, fields);
        }
    }
    return error != NULL ? error : streams_finish(x, &x->rows);
}

/* ---- attachments ---- */

/* "name":"value", with a comma before it unless it is the first. */
static udm_error_t *add_member(export_t *x, udm_buffer_t *out, const char *name,
                               const udm_field_t *value)
{
    udm_buffer_format(out, "%s\"%s\":", out->data[out->size - 1] == '{' ? "" : ",", name);
    if (value->size < 0) {
        udm_buffer_text(out, "null");
    }
    else if (!udm_buffer_string(out, (const char *)value->data, (apr_size_t)value->size)) {
        udm_error_t *error = udm_error_make(
            x->pool, UDM_E_SOURCE, "the %s of an attachment holds text that is not UTF-8", name);

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

/* Content that was too large to come with its row, slice by slice. */
static udm_error_t *add_slices(export_t *x, stream_t *stream, const udm_field_t *fields,
                               apr_int64_t size, apr_pool_t *scratch)
{
    const char *entity = field_text(scratch, &fields[ATTACHMENT_ENTITY]);
    const char *id = field_text(scratch, &fields[ATTACHMENT_ID]);
    unsigned char *slice;
    udm_error_t *error = NULL;

    if (entity == NULL || id == NULL) {
        error = udm_error_make(x->pool, UDM_E_SOURCE, "an attachment has no %s",
                               id == NULL ? "id" : "entity");
        error->status = APR_EINVAL;
        return error;
    }
    slice = malloc(SLICE_SIZE);
    if (slice == NULL) {
        return udm_error_make(x->pool, UDM_E_INTERNAL, "there is no memory for an attachment");
    }
    for (apr_int64_t offset = 0; error == NULL && offset < size;) {
        apr_size_t want = size - offset < SLICE_SIZE ? (apr_size_t)(size - offset) : SLICE_SIZE;
        apr_size_t got;

        error = stopped(x);
        if (error == NULL) {
            error = udm_source_slice(slice, &got, x->source, entity, id, offset, want);
        }
        if (error == NULL && got != want) {
            error = udm_error_make(x->pool, UDM_E_SOURCE,
                                   "an attachment has less content than its size says");
        }
        if (error == NULL) {
            udm_buffer_base64(stream->block, slice, got);
            error = stream_flush(stream);
            offset += (apr_int64_t)got;
        }
    }
    free(slice);
    return error;
}

/* {id, entityid, name, mimeType, size, content} */
static udm_error_t *write_attachment(export_t *x, stream_t *stream, const udm_field_t *fields,
                                     apr_pool_t *scratch)
{
    udm_buffer_t *out = stream->block;
    const udm_field_t *size = &fields[ATTACHMENT_SIZE];
    const udm_field_t *content = &fields[ATTACHMENT_CONTENT];
    udm_error_t *error;

    udm_buffer_char(out, '{');
    error = add_member(x, out, "id", &fields[ATTACHMENT_ID]);
    if (error == NULL) {
        error = add_member(x, out, "entityid", &fields[ATTACHMENT_ENTITY]);
    }
    if (error == NULL) {
        error = add_member(x, out, "name", &fields[ATTACHMENT_NAME]);
    }
    if (error == NULL) {
        error = add_member(x, out, "mimeType", &fields[ATTACHMENT_MIME_TYPE]);
    }
    if (error != NULL) {
        return error;
    }
    if (size->size < 0) {
        udm_buffer_text(out, ",\"size\":null,\"content\":null}\n");
        return NULL;
    }
    udm_buffer_format(out, ",\"size\":%.*s,\"content\":\"", (int)size->size,
                      (const char *)size->data);
    if (content->size >= 0) {
        udm_buffer_base64(out, content->data, (apr_size_t)content->size);
    }
    else {
        error = add_slices(x, stream, fields, apr_atoi64(field_text(scratch, size)), scratch);
    }
    udm_buffer_text(out, "\"}\n");
    return error;
}

static udm_error_t *export_attachment(export_t *x, stream_t *record, const udm_field_t *fields,
                                      apr_pool_t *scratch)
{
    stream_t *stream = record;
    udm_error_t *error;

    if (record != NULL) {
        x->name->size = 0;
        add_key(x, &fields[ATTACHMENT_ENTITY]);
        udm_buffer_text(x->name, "-attachment-");
        add_key(x, &fields[ATTACHMENT_ID]);
        record->name = finish_name(x);
        error = stream_begin(x, record, true);
    }
    else {
        error = stream_of(&stream, x, &x->attachments, &fields[ATTACHMENT_SUBTYPE]);
    }
    if (error == NULL) {
        error = write_attachment(x, stream, fields, scratch);
    }
    if (error == NULL) {
        stream->rows++;
        if (record != NULL) {
            error = stream_finish(x, record);
        }
        else if (stream->block->size >= BLOCK_SIZE) {
            error = stream_flush(stream);
        }
    }
    return error;
}

static udm_error_t *export_attachments(export_t *x, stream_t *record)
{
    udm_field_t fields[ATTACHMENT_FIELDS];
    apr_pool_t *scratch;
    udm_error_t *error;

    apr_pool_create(&scratch, x->pool);
    error = udm_source_attachments(x->source);
    while (error == NULL) {
        const unsigned char *tuple;
        apr_size_t size;

        error = next_tuple(&tuple, &size, x);
        if (error != NULL || tuple == NULL) {
            break;
        }
        error = udm_tuple_read(fields, ATTACHMENT_FIELDS, x->pool, tuple, size);
        if (error == NULL) {
            error = export_attachment(x, record, fields, scratch);
        }
        apr_pool_clear(scratch);
    }
    apr_pool_destroy(scratch);
    return error != NULL ? error : streams_finish(x, &x->attachments);
}

/* ---- the run ---- */

/* Tells the keeper of the lease which source to cancel; NULL before it is closed. */
static void show_source(export_t *x, udm_source_t *source)
{
    apr_thread_mutex_lock(x->watch->lock);
    x->watch->source = source;
    apr_thread_mutex_unlock(x->watch->lock);
}

/* Everything that needs the source open. `snapshot` gets the snapshot that was read. */
static udm_error_t *read_source(const char **snapshot, export_t *x)
{
    stream_t *record = NULL;
    apr_pool_t *source_pool;
    udm_error_t *error;

    apr_pool_create(&source_pool, x->pool);
    error = udm_source_open(&x->source, source_pool, x->settings->source_dir, x->type, x->run);
    if (error == NULL) {
        show_source(x, x->source);
        *snapshot = apr_pstrdup(x->pool, udm_source_snapshot(x->source));
        x->estimate = udm_source_estimate(x->source);
        if (x->type->records) {
            error = stream_make(&record, x);
        }
        if (error == NULL) {
            error = export_rows(x, record);
        }
        if (error == NULL && x->run->export_attachments && x->type->attachment_relation != NULL) {
            error = export_attachments(x, record);
        }
        show_source(x, NULL);
    }
    error = error != NULL ? udm_error_copy(x->pool, error) : NULL;
    apr_pool_destroy(source_pool);
    return error;
}

static udm_error_t *to_entry(void *context, const void *data, apr_size_t size)
{
    return udm_entry_write(context, data, size);
}

/* The manifest, straight into the archive. */
static udm_error_t *write_manifest(export_t *x, const udm_manifest_head_t *head)
{
    udm_sink_t archive = {to_archive, x};
    udm_sink_t sink;
    udm_entry_sum_t sum;
    udm_entry_t *entry;
    udm_error_t *error = udm_entry_make(&entry, x->pool);

    if (error == NULL) {
        error = udm_zip_begin(x->zip, UDM_MANIFEST_NAME, NULL);
    }
    if (error == NULL) {
        error = udm_entry_begin(entry, &archive);
    }
    if (error == NULL) {
        sink.write = to_entry;
        sink.context = entry;
        error = udm_manifest_write(x->manifest, head, &sink);
    }
    if (error == NULL) {
        error = udm_entry_finish(entry, &sum);
    }
    return error != NULL ? error : udm_zip_end(x->zip, &sum);
}

/* Whom to encrypt for: the certificate is looked at again, for it may have expired since. */
static udm_error_t *read_certificate(udm_certificate_t **certificate, udm_recipient_t **recipient,
                                     export_t *x)
{
    const char *pem = x->run->certificate_pem;
    udm_error_t *error;

    if (pem == NULL) {
        return udm_error_make(x->pool, UDM_E_CERTIFICATE,
                              "there is no certificate to encrypt for: upload one and repeat the "
                              "export");
    }
    error = udm_certificate_parse(certificate, x->pool, pem, strlen(pem), apr_time_now());
    if (error != NULL) {
        return udm_error_detail(x->pool,
                                udm_error_make(x->pool, UDM_E_CERTIFICATE,
                                               "the certificate cannot be used: %s", error->reason),
                                "%s", error->detail != NULL ? error->detail : "");
    }
    return udm_recipient_make(recipient, x->pool, (*certificate)->pem);
}

/* The largest file to make, from what was asked for and what is allowed. */
static apr_int64_t file_limit(const export_t *x)
{
    apr_int64_t limit = x->settings->max_part_size;

    if (x->run->file_split_bytes > 0 && x->run->file_split_bytes < limit) {
        limit = x->run->file_split_bytes;
    }
    return limit < UDM_SPLIT_MIN ? UDM_SPLIT_MIN : limit;
}

/* The whole of it, in x->pool, up to but not including the end of the run. */
static udm_error_t *run_export(apr_array_header_t **published, apr_pool_t *p, export_t *x,
                               udm_store_t *store)
{
    udm_manifest_head_t head = {x->run, NULL, NULL, apr_time_now(), 0};
    udm_certificate_t *certificate;
    udm_recipient_t *recipient;
    udm_parts_t *parts;
    udm_volumes_t *volumes;
    udm_volume_target_t target;
    const char *spool_dir = x->settings->spool_dir;
    apr_int64_t capacity;
    udm_error_t *error;

    error = read_certificate(&certificate, &recipient, x);
    if (error != NULL) {
        return error;
    }
    capacity = udm_recipient_capacity(recipient, file_limit(x));
    if (capacity < UDM_VOLUME_MIN) {
        return udm_error_make(
            x->pool, UDM_E_CERTIFICATE,
            "the certificate is too large for files of %" APR_INT64_T_FMT " bytes", file_limit(x));
    }
    head.fingerprint = certificate->fingerprint;
    parts = udm_parts_make(x->pool, store, x->run->export_id, recipient, file_limit(x));
    target = udm_parts_target(parts);
    error = udm_volumes_open(&volumes, x->pool, &target, capacity, spool_dir);
    if (error == NULL) {
        error = udm_zip_open(&x->zip, x->pool, volumes, spool_dir, head.created);
    }
    if (error == NULL) {
        error = udm_manifest_open(&x->manifest, x->pool, spool_dir);
    }
    if (error == NULL) {
        error = read_source(&head.snapshot, x);
    }
    if (error == NULL) {
        error = streams_append(x, &x->rows);
    }
    if (error == NULL) {
        error = streams_append(x, &x->attachments);
    }
    head.rows = x->count;
    if (error == NULL) {
        error = write_manifest(x, &head);
    }
    if (error == NULL) {
        error = udm_zip_finish(x->zip);
    }
    if (error == NULL) {
        error = stopped(x);
    }
    return error != NULL ? error : udm_parts_publish(published, p, parts);
}

udm_error_t *udm_export_run(apr_array_header_t **parts, apr_int64_t *rows, apr_pool_t *p,
                            const udm_export_settings_t *settings, const udm_data_type_t *type,
                            const udm_run_t *run, udm_store_t *store, udm_export_watch_t *watch)
{
    apr_pool_t *pool;
    export_t *x;
    udm_error_t *error;

    apr_pool_create(&pool, p);
    x = apr_pcalloc(pool, sizeof(*x));
    x->pool = pool;
    x->settings = settings;
    x->type = type;
    x->run = run;
    x->watch = watch;
    x->names = udm_names_make(pool);
    x->name = udm_buffer_make(pool);
    streams_make(&x->rows, x, "");
    streams_make(&x->attachments, x, "-Attachment");
    error = run_export(parts, p, x, store);
    *rows = x->count;
    if (error == NULL) {
        atomic_store(&watch->percent, 100);
    }
    else {
        /* Whatever a stop broke off, and however, it is a stop. */
        error = atomic_load(&watch->stop)
                    ? udm_error_make(p, UDM_E_STOPPED, "the export was stopped")
                    : udm_error_copy(p, error);
    }
    apr_pool_destroy(pool);
    if (error != NULL) {
        udm_error_t *left = store->remove_export(store, p, run->export_id);

        if (left != NULL) {
            udm_error_detail(p, error, "%s; what was written is still there: %s",
                             error->detail != NULL ? error->detail : "", udm_error_line(p, left));
        }
    }
    return error;
}
