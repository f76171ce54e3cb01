/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * parts.h: the downloadable files of an export: each volume in an envelope of its own, each envelope
 * an object of the store; named and published together at the end.
 */
#ifndef UDM_EXPORT_PARTS_H
#define UDM_EXPORT_PARTS_H

#include <apr_tables.h>

#include "core/artifact.h"
#include "export/envelope.h"
#include "export/volume.h"
#include "store/store.h"

/* The most parts that can be named. */
#define UDM_PARTS_MAX (UDM_ARTIFACT_PART_MAX + 1)

typedef struct udm_parts_t udm_parts_t;

/*
 * `limit`: the largest file that may come of a volume; a larger one is UDM_E_INTERNAL. `most`: how many
 * parts there may be, up to UDM_PARTS_MAX; one more is UDM_E_INVALID.
 */
udm_parts_t *udm_parts_make(apr_pool_t *p, udm_store_t *store, const char *export_id,
                            const udm_recipient_t *recipient, apr_int64_t limit, int most);

/* Whether there would have been more parts than there may be. */
bool udm_parts_are_too_many(const udm_parts_t *parts);

/* Where volumes go. */
udm_volume_target_t udm_parts_target(udm_parts_t *parts);

/*
 * Publishes all parts, the last one last. `published` gets udm_part_t (db/queue.h) in order, in `p`.
 * Their names tell the recipient's encryption.
 */
udm_error_t *udm_parts_publish(apr_array_header_t **published, apr_pool_t *p, udm_parts_t *parts);

#endif
