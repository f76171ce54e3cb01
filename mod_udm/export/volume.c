/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * volume.c: the cutting. What is written goes to the volume under way, the first one to its spool;
 * a volume that is full is closed, and the next one begins with the next byte.
 */
#include "spool.h"
#include "volume.h"

struct udm_volumes_t {
    apr_pool_t *pool;
    udm_volume_target_t target;
    apr_int64_t limit;
    apr_int64_t used;   /* of this volume, without the marker of the first */
    udm_spool_t *first; /* the first volume, while it is under way */
    uint32_t disk;
    bool open; /* the target is */
};

udm_error_t *udm_volumes_open(udm_volumes_t **volumes, apr_pool_t *p,
                              const udm_volume_target_t *target, apr_int64_t limit,
                              const char *spool_dir)
{
    udm_volumes_t *v = apr_pcalloc(p, sizeof(*v));

    if (limit < UDM_VOLUME_MIN) {
        return udm_error_make(p, UDM_E_STORE, "files of so few bytes cannot be made");
    }
    v->pool = p;
    v->target = *target;
    v->limit = limit % UDM_VOLUME_BLOCK == 0 ? limit - 1 : limit;
    *volumes = v;
    return udm_spool_open(&v->first, p, spool_dir);
}

/* What may still be put into this volume; the first must leave room for the marker. */
static apr_int64_t room(const udm_volumes_t *v)
{
    return v->limit - v->used - (v->disk == 0 ? UDM_SPLIT_MARKER_SIZE : 0);
}

apr_int64_t udm_volumes_size(const udm_volumes_t *volumes, apr_size_t more)
{
    return volumes->used + (apr_int64_t)more +
           (volumes->disk == 0 && !volumes->first ? UDM_SPLIT_MARKER_SIZE : 0);
}

/* Writes to the volume under way, which has the room. */
static udm_error_t *put(udm_volumes_t *v, const void *data, apr_size_t size)
{
    udm_error_t *error;

    if (v->first != NULL) {
        error = udm_spool_write(v->first, data, size);
    }
    else {
        error = v->open ? NULL : v->target.open(v->target.context);
        v->open = error == NULL;
        if (error == NULL) {
            error = v->target.write(v->target.context, data, size);
        }
    }
    v->used += (apr_int64_t)size;
    return error;
}

/* Sends the first volume on its way: now it is known whether it has a marker. */
static udm_error_t *release_first(udm_volumes_t *v, bool split)
{
    udm_sink_t sink = {v->target.write, v->target.context};
    udm_spool_t *spool = v->first;
    udm_error_t *error;

    error = v->target.open(v->target.context);
    if (error == NULL) {
        v->open = true;
        v->first = NULL;
        if (split) {
            error = v->target.write(v->target.context, UDM_SPLIT_MARKER, UDM_SPLIT_MARKER_SIZE);
        }
    }
    if (error == NULL) {
        error = udm_spool_copy(spool, &sink);
    }
    udm_spool_close(spool);
    return error;
}

/* Ends this volume, of which there will be another. */
static udm_error_t *next_volume(udm_volumes_t *v)
{
    udm_error_t *error = NULL;

    if (v->first != NULL) {
        error = release_first(v, true);
    }
    /* A byte that nothing refers to: `limit` is no multiple itself, so it has the room. */
    if (error == NULL && udm_volumes_size(v, 0) % UDM_VOLUME_BLOCK == 0) {
        error = put(v, "", 1);
    }
    if (error == NULL) {
        error = v->target.close(v->target.context);
    }
    v->open = false;
    v->used = 0;
    v->disk++;
    return error;
}

udm_error_t *udm_volumes_write(udm_volumes_t *volumes, const void *data, apr_size_t size)
{
    const char *from = data;
    udm_error_t *error = NULL;

    while (error == NULL && size != 0) {
        apr_int64_t fits = room(volumes);

        if (fits == 0) {
            error = next_volume(volumes);
        }
        else {
            apr_size_t take = (apr_int64_t)size < fits ? size : (apr_size_t)fits;

            error = put(volumes, from, take);
            from += take;
            size -= take;
        }
    }
    return error;
}

udm_error_t *udm_volumes_whole(udm_volumes_t *volumes, apr_size_t size)
{
    if (size > UDM_VOLUME_WHOLE_MAX) {
        return udm_error_make(volumes->pool, UDM_E_INTERNAL, "a header of the archive is too long");
    }
    return room(volumes) < (apr_int64_t)size ? next_volume(volumes) : NULL;
}

udm_error_t *udm_volumes_ending(udm_volumes_t *volumes, apr_int64_t size)
{
    return volumes->disk == 0 && room(volumes) < size ? next_volume(volumes) : NULL;
}

bool udm_volumes_is_split(const udm_volumes_t *volumes)
{
    return volumes->disk != 0;
}

uint32_t udm_volumes_disk(const udm_volumes_t *volumes)
{
    return volumes->disk;
}

apr_int64_t udm_volumes_offset(const udm_volumes_t *volumes)
{
    return volumes->used;
}

udm_error_t *udm_volumes_finish(udm_volumes_t *volumes)
{
    udm_error_t *error = NULL;

    if (volumes->first != NULL) {
        error = release_first(volumes, false);
    }
    if (error == NULL) {
        error = volumes->target.close(volumes->target.context);
        volumes->open = false;
    }
    return error;
}
