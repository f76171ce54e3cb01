/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.c: pieces into entries, entries into the archive or a spool, spools into the archive.
 */
#include <apr_strings.h>

#include "core/zip_format.h"
#include "export/archive.h"
#include "export/entry.h"
#include "export/spool.h"
#include "export/zip.h"

/* What an entry takes without its name: the headers before it and in the directory, and its line in the
 * manifest, of which the hash cannot be compressed much. */
#define ENTRY_SIZE 180

/* An entry that is open, or that waits in its spool. */
typedef struct open_t {
    udm_buffer_t *name;
    udm_entry_t *entry; /* what compresses it; NULL: it is not open */
    udm_spool_t *spool; /* NULL: it goes straight into the archive */
    udm_archive_t *archive;
    udm_entry_sum_t sum;
    apr_int64_t rows;
} open_t;

struct udm_archive_t {
    apr_pool_t *pool;
    const char *spool_dir;
    const udm_stop_t *stop;
    apr_int64_t size; /* udm_archive_size */
    apr_int64_t rows;
    udm_volumes_t *volumes;
    udm_zip_t *zip;
    udm_manifest_t *manifest;
    apr_array_header_t *open; /* of open_t *, by number of entry; NULL: none of this number yet */
    const open_t *direct;     /* the one that goes straight into the archive; NULL: none does */
    apr_array_header_t *spooled; /* of open_t *, in the order of their beginnings */
    apr_array_header_t *spare;   /* of udm_entry_t *, which compress nothing at the moment */
};

static udm_error_t *stopped(const udm_archive_t *a)
{
    if (!udm_stop_raised(a->stop)) {
        return NULL;
    }
    return udm_error_make(a->pool, UDM_E_STOPPED, "the export was stopped");
}

/* Into the archive; also what is copied from spools, so it looks for a stop. */
static udm_error_t *to_archive(void *context, const void *data, apr_size_t size)
{
    udm_archive_t *a = context;
    udm_error_t *error = stopped(a);

    return error != NULL ? error : udm_zip_write(a->zip, data, size);
}

/* What comes out of a compressor, on its way to the archive or the spool of its entry. */
static udm_error_t *from_entry(void *context, const void *data, apr_size_t size)
{
    open_t *o = context;

    o->archive->size += (apr_int64_t)size;
    return o->spool == NULL ? to_archive(o->archive, data, size)
                            : udm_spool_write(o->spool, data, size);
}

udm_error_t *udm_archive_open(udm_archive_t **archive, apr_pool_t *p,
                              const udm_volume_target_t *target, apr_int64_t capacity,
                              const char *spool_dir, apr_time_t created, const udm_stop_t *stop)
{
    udm_archive_t *a = apr_pcalloc(p, sizeof(*a));
    udm_error_t *error;

    a->pool = p;
    a->spool_dir = spool_dir;
    a->stop = stop;
    a->open = apr_array_make(p, 8, sizeof(open_t *));
    a->spooled = apr_array_make(p, 8, sizeof(open_t *));
    a->spare = apr_array_make(p, 8, sizeof(udm_entry_t *));
    error = udm_volumes_open(&a->volumes, p, target, capacity);
    if (error == NULL) {
        error = udm_zip_open(&a->zip, p, a->volumes, spool_dir, created);
    }
    if (error == NULL) {
        error = udm_manifest_open(&a->manifest, p, spool_dir);
    }
    *archive = a;
    return error;
}

/* The entry of this number; one that is not open is an empty one. */
static open_t *entry_of(udm_archive_t *a, int number)
{
    open_t *o;

    while (a->open->nelts <= number) {
        APR_ARRAY_PUSH(a->open, open_t *) = NULL;
    }
    o = APR_ARRAY_IDX(a->open, number, open_t *);
    if (o == NULL) {
        o = apr_pcalloc(a->pool, sizeof(*o));
        o->name = udm_buffer_make(a->pool);
        APR_ARRAY_IDX(a->open, number, open_t *) = o;
    }
    return o;
}

/* A compressor is large: it is kept for the next entry. */
static udm_error_t *take_compressor(udm_entry_t **entry, udm_archive_t *a)
{
    udm_entry_t **spare = apr_array_pop(a->spare);

    if (spare == NULL) {
        return udm_entry_make(entry, a->pool);
    }
    *entry = *spare;
    return NULL;
}

static udm_error_t *begin(udm_archive_t *a, open_t *o, const char *name)
{
    const udm_sink_t sink = {from_entry, o};
    udm_error_t *error = take_compressor(&o->entry, a);

    if (error != NULL) {
        return error;
    }
    o->rows = 0;
    o->spool = NULL;
    o->archive = a;
    a->size += ENTRY_SIZE + 2 * (apr_int64_t)strlen(name);
    o->name->size = 0;
    udm_buffer_add(o->name, name, strlen(name) + 1);
    if (a->direct == NULL) {
        a->direct = o;
        error = udm_zip_begin(a->zip, name, NULL);
    }
    else {
        APR_ARRAY_PUSH(a->spooled, open_t *) = o;
        error = udm_spool_open(&o->spool, a->pool, a->spool_dir);
    }
    return error != NULL ? error : udm_entry_begin(o->entry, &sink);
}

/* The entry is whole, and in the archive. */
static udm_error_t *note(udm_archive_t *a, const open_t *o)
{
    udm_error_t *error = udm_zip_end(a->zip, &o->sum);

    return error != NULL ? error : udm_manifest_add(a->manifest, o->name->data, &o->sum, o->rows);
}

static udm_error_t *end(udm_archive_t *a, open_t *o, const udm_piece_t *last)
{
    udm_error_t *error = udm_entry_finish(o->entry, &o->sum);

    memcpy(o->sum.sha256, last->sha256, sizeof(o->sum.sha256));
    APR_ARRAY_PUSH(a->spare, udm_entry_t *) = o->entry;
    o->entry = NULL;
    if (error == NULL && o == a->direct) {
        a->direct = NULL;
        return note(a, o);
    }
    APR_ARRAY_IDX(a->open, last->entry, open_t *) = NULL;
    return error;
}

udm_error_t *udm_archive_take(udm_archive_t *archive, const udm_block_t *block)
{
    const char *from = block->bytes->data;
    udm_error_t *error = stopped(archive);

    for (int i = 0; error == NULL && i < block->count; i++) {
        const udm_piece_t *piece = &block->pieces[i];
        open_t *o = entry_of(archive, piece->entry);

        if (piece->begins) {
            error = begin(archive, o, from);
            from += piece->name_size;
        }
        if (error == NULL) {
            error = udm_entry_write(o->entry, from, piece->size);
            from += piece->size;
            o->rows += piece->rows;
            archive->rows += piece->rows;
        }
        if (error == NULL && piece->ends) {
            error = end(archive, o, piece);
        }
    }
    return error;
}

apr_int64_t udm_archive_size(apr_int64_t *rows, const udm_archive_t *archive)
{
    *rows = archive->rows;
    return archive->size;
}

/* Moves a spooled entry into the archive. */
static udm_error_t *append(udm_archive_t *a, open_t *o)
{
    udm_sink_t sink = {to_archive, a};
    udm_error_t *error = udm_zip_begin(a->zip, o->name->data, &o->sum);

    if (error == NULL) {
        error = udm_spool_empty(o->spool, &sink);
    }
    return error != NULL ? error : note(a, o);
}

static udm_error_t *to_entry(void *context, const void *data, apr_size_t size)
{
    return udm_entry_write(context, data, size);
}

/* The manifest, straight into the archive; it does not list itself. */
static udm_error_t *write_manifest(udm_archive_t *a, const udm_manifest_head_t *head)
{
    udm_sink_t archive = {to_archive, a};
    udm_sink_t sink;
    udm_entry_sum_t sum;
    udm_entry_t *entry;
    udm_error_t *error = take_compressor(&entry, a);

    if (error == NULL) {
        error = udm_zip_begin(a->zip, UDM_MANIFEST_NAME, NULL);
    }
    if (error == NULL) {
        error = udm_entry_begin(entry, &archive);
    }
    if (error == NULL) {
        sink.write = to_entry;
        sink.context = entry;
        error = udm_manifest_write(a->manifest, head, &sink);
    }
    if (error == NULL) {
        error = udm_entry_finish(entry, &sum);
    }
    return error != NULL ? error : udm_zip_end(a->zip, &sum);
}

udm_error_t *udm_archive_finish(udm_archive_t *archive, const udm_manifest_head_t *head)
{
    udm_error_t *error = NULL;

    for (int i = 0; error == NULL && i < archive->spooled->nelts; i++) {
        error = append(archive, APR_ARRAY_IDX(archive->spooled, i, open_t *));
    }
    if (error == NULL) {
        error = write_manifest(archive, head);
    }
    if (error == NULL) {
        error = udm_zip_finish(archive->zip);
    }
    return error != NULL ? error : stopped(archive);
}
