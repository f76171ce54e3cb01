/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * volume.c: the cutting. What is written goes to the volume under way; one that is full is closed,
 * and the next one begins with the next byte.
 */
#include "core/zip_format.h"
#include "export/volume.h"

struct udm_volumes_t {
    apr_pool_t *pool;
    udm_volume_target_t target;
    apr_int64_t limit;
    apr_int64_t used; /* of this volume */
    uint32_t disk;
    bool open; /* the target is */
};

udm_error_t *udm_volumes_open(udm_volumes_t **volumes, apr_pool_t *p,
                              const udm_volume_target_t *target, apr_int64_t limit)
{
    udm_volumes_t *v = apr_pcalloc(p, sizeof(*v));

    if (limit < UDM_VOLUME_MIN) {
        return udm_error_make(p, UDM_E_STORE, "files of so few bytes cannot be made");
    }
    v->pool = p;
    v->target = *target;
    v->limit = limit % UDM_ZIP_VOLUME_BLOCK == 0 ? limit - 1 : limit;
    *volumes = v;
    return NULL;
}

/* What may still be put into this volume. */
static apr_int64_t room(const udm_volumes_t *v)
{
    return v->limit - v->used;
}

apr_int64_t udm_volumes_size(const udm_volumes_t *volumes, apr_size_t more)
{
    return volumes->used + (apr_int64_t)more;
}

/* Writes to the volume under way, which has the room. */
static udm_error_t *put(udm_volumes_t *v, const void *data, apr_size_t size)
{
    udm_error_t *error = v->open ? NULL : v->target.open(v->target.context);

    v->open = error == NULL;
    if (error == NULL) {
        error = v->target.write(v->target.context, data, size);
    }
    v->used += (apr_int64_t)size;
    return error;
}

/* Ends this volume, of which there will be another. */
static udm_error_t *next_volume(udm_volumes_t *v)
{
    unsigned char marker[4];
    udm_error_t *error = NULL;

    /* A byte that nothing refers to: `limit` is no multiple itself, so it has the room. */
    if (udm_volumes_size(v, 0) % UDM_ZIP_VOLUME_BLOCK == 0) {
        error = put(v, "", 1);
    }
    if (error == NULL) {
        error = v->target.close(v->target.context);
    }
    if (error == NULL && v->disk == 0) {
        udm_put32(marker, UDM_ZIP_SPLIT);
        error = v->target.prepend(v->target.context, marker, sizeof(marker));
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

uint32_t udm_volumes_lead(const udm_volumes_t *volumes)
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
    volumes->open = false;
    return volumes->target.close(volumes->target.context);
}
