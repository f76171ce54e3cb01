/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * parts.c: volumes into envelopes into the store.
 */
#include <apr_strings.h>

#include "core/run.h"
#include "export/parts.h"
#include "export/relay.h"

/* A part that is written, waiting for its name. */
typedef struct written_t {
    udm_object_t *object;
    apr_int64_t size;
    const char *sha256;
} written_t;

struct udm_parts_t {
    apr_pool_t *pool;
    udm_store_t *store;
    const char *export_id;
    const udm_recipient_t *recipient;
    apr_int64_t limit;
    int most;
    bool too_many;
    apr_array_header_t *written; /* of written_t */
    apr_pool_t *object_pool;     /* of all objects; the envelope's thread writes them */
    udm_object_t *object;        /* of the part under way */
    udm_envelope_t *envelope;
    apr_pool_t *envelope_pool;
};

udm_parts_t *udm_parts_make(apr_pool_t *p, udm_store_t *store, const char *export_id,
                            const udm_recipient_t *recipient, apr_int64_t limit, int most)
{
    udm_parts_t *parts = apr_pcalloc(p, sizeof(*parts));

    parts->pool = p;
    parts->store = store;
    parts->export_id = export_id;
    parts->recipient = recipient;
    parts->limit = limit;
    parts->most = most;
    parts->written = apr_array_make(p, 4, sizeof(written_t));
    parts->object_pool = udm_relay_pool(p);
    return parts;
}

static udm_error_t *object_write(void *context, const void *data, apr_size_t size)
{
    udm_parts_t *parts = context;

    return parts->store->write(parts->object, data, size);
}

static udm_error_t *part_open(void *context)
{
    udm_parts_t *parts = context;
    udm_sink_t sink = {object_write, parts};
    udm_error_t *error;

    if (parts->written->nelts >= parts->most) {
        parts->too_many = true;
        return udm_error_make(parts->pool, UDM_E_INVALID,
                              "the export would have more than %d files", parts->most);
    }
    error = parts->store->create(&parts->object, parts->store, parts->object_pool, parts->export_id,
                                 parts->written->nelts + 1);
    if (error == NULL) {
        apr_pool_create(&parts->envelope_pool, parts->pool);
        error = udm_envelope_open(&parts->envelope, parts->envelope_pool, parts->recipient, &sink);
    }
    return error;
}

static udm_error_t *part_write(void *context, const void *data, apr_size_t size)
{
    udm_parts_t *parts = context;

    return udm_envelope_write(parts->envelope, data, size);
}

static udm_error_t *part_close(void *context)
{
    udm_parts_t *parts = context;
    written_t part;
    udm_error_t *error;

    part.object = parts->object;
    error = udm_envelope_finish(&part.size, &part.sha256, parts->pool, parts->envelope);
    if (error == NULL && part.size > parts->limit) {
        error =
            udm_error_make(parts->pool, UDM_E_INTERNAL,
                           "a file of %" APR_INT64_T_FMT " bytes is larger than asked", part.size);
    }
    if (error == NULL) {
        error = parts->store->finish(parts->object);
    }
    if (error == NULL) {
        APR_ARRAY_PUSH(parts->written, written_t) = part;
        /* The error, if there is one, lives in this pool. */
        apr_pool_destroy(parts->envelope_pool);
    }
    return error;
}

static udm_error_t *part_prepend(void *context, const void *data, apr_size_t size)
{
    udm_parts_t *parts = context;
    udm_error_t *error = part_open(parts);
    written_t *all;
    written_t last;

    if (error == NULL) {
        error = part_write(parts, data, size);
    }
    if (error == NULL) {
        error = part_close(parts);
    }
    if (error == NULL) {
        all = (written_t *)parts->written->elts;
        last = all[parts->written->nelts - 1];
        memmove(all + 1, all, sizeof(*all) * (apr_size_t)(parts->written->nelts - 1));
        all[0] = last;
    }
    return error;
}

bool udm_parts_are_too_many(const udm_parts_t *parts)
{
    return parts->too_many;
}

udm_volume_target_t udm_parts_target(udm_parts_t *parts)
{
    udm_volume_target_t target = {part_open, part_write, part_close, part_prepend, parts};

    return target;
}

udm_error_t *udm_parts_publish(apr_array_header_t **published, apr_pool_t *p, udm_parts_t *parts)
{
    udm_encryption encryption = udm_recipient_encryption(parts->recipient);
    int count = parts->written->nelts;
    apr_array_header_t *list = apr_array_make(p, count, sizeof(udm_part_t));
    udm_error_t *error = NULL;

    for (int i = 0; error == NULL && i < count; i++) {
        const written_t *part = &APR_ARRAY_IDX(parts->written, i, written_t);
        udm_part_t out;

        out.name = udm_artifact_name(p, parts->export_id,
                                     i == count - 1 ? UDM_ARTIFACT_LAST : i + 1, encryption);
        out.size = part->size;
        out.sha256 = apr_pstrdup(p, part->sha256);
        APR_ARRAY_PUSH(list, udm_part_t) = out;
        error = parts->store->publish(part->object, out.name);
    }
    *published = list;
    return error;
}
