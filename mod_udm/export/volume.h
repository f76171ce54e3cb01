/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * volume.h: cuts the archive into volumes of a largest size (APPNOTE.TXT, section 8).
 *
 * A split archive begins with a marker that one in a single piece does not have, and which of the
 * two it is shows only when the first volume is full. The marker then becomes a volume of its own,
 * which is put in front; nothing has to wait for it.
 */
#ifndef UDM_EXPORT_VOLUME_H
#define UDM_EXPORT_VOLUME_H

#include "export/buffer.h"

/* Nothing that must not be cut is larger. */
#define UDM_VOLUME_WHOLE_MAX 1024

/* The smallest volume that can be asked for. */
#define UDM_VOLUME_MIN 4096

/* Where volumes go, one after the other. */
typedef struct udm_volume_target_t {
    udm_error_t *(*open)(void *context);
    udm_error_t *(*write)(void *context, const void *data, apr_size_t size);
    udm_error_t *(*close)(void *context);
    /* A whole volume that comes before all others; called at most once, between two of them. */
    udm_error_t *(*prepend)(void *context, const void *data, apr_size_t size);
    void *context;
} udm_volume_target_t;

typedef struct udm_volumes_t udm_volumes_t;

/* No volume becomes larger than `limit` bytes (at least UDM_VOLUME_MIN). */
udm_error_t *udm_volumes_open(udm_volumes_t **volumes, apr_pool_t *p,
                              const udm_volume_target_t *target, apr_int64_t limit);

/* Writes bytes that may be cut anywhere. */
udm_error_t *udm_volumes_write(udm_volumes_t *volumes, const void *data, apr_size_t size);

/* Goes to the next volume unless `size` bytes fit into this one: they will not be cut. */
udm_error_t *udm_volumes_whole(udm_volumes_t *volumes, apr_size_t size);

/*
 * To be called once before the last `size` bytes (cut or not). After it udm_volumes_lead is final:
 * when they do not fit behind what is there, the first volume ends here.
 */
udm_error_t *udm_volumes_ending(udm_volumes_t *volumes, apr_int64_t size);

/* How many volumes were put in front of the first: 1 in a split archive, else 0. */
uint32_t udm_volumes_lead(const udm_volumes_t *volumes);

/* Number of the volume being written, from 0 without those in front, and the position in it. */
uint32_t udm_volumes_disk(const udm_volumes_t *volumes);
apr_int64_t udm_volumes_offset(const udm_volumes_t *volumes);

/* The size that the volume being written would have with `more` bytes. */
apr_int64_t udm_volumes_size(const udm_volumes_t *volumes, apr_size_t more);

/* Ends the last volume. */
udm_error_t *udm_volumes_finish(udm_volumes_t *volumes);

#endif
