/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * zip.h: the ZIP archive around compressed entries, written in one go: deflate, ZIP64 where it is
 * needed, true volumes. The central directory waits in a spool, so memory does not depend on the
 * number of entries.
 */
#ifndef UDM_EXPORT_ZIP_H
#define UDM_EXPORT_ZIP_H

#include <apr_time.h>

#include "export/entry.h"
#include "export/volume.h"

/* Longest name that udm_zip_name makes, its ending not counted. */
#define UDM_ZIP_NAME_MAX 200

typedef struct udm_zip_t udm_zip_t;

/* `created` is the time that every entry carries. */
udm_error_t *udm_zip_open(udm_zip_t **zip, apr_pool_t *p, udm_volumes_t *volumes,
                          const char *spool_dir, apr_time_t created);

/*
 * Begins an entry. With `sum`, which is then final, its sizes stand in front of the data; with NULL
 * they follow it.
 */
udm_error_t *udm_zip_begin(udm_zip_t *zip, const char *name, const udm_entry_sum_t *sum);

/* Compressed data of the entry. */
udm_error_t *udm_zip_write(udm_zip_t *zip, const void *data, apr_size_t size);

/* Ends the entry. */
udm_error_t *udm_zip_end(udm_zip_t *zip, const udm_entry_sum_t *sum);

/* Writes the central directory and ends the last volume. */
udm_error_t *udm_zip_finish(udm_zip_t *zip);

/*
 * What data may call a file: [A-Za-z0-9._-] as it is, the rest percent-encoded, and so are a dot
 * at either end and one behind another. Different names stay different; what would be too long is
 * cut and ends in a hash. Added to `name`.
 */
void udm_zip_name(udm_buffer_t *name, const void *data, apr_size_t size);

/* What stands for the end of a name that would be too long: a dash and 32 hex digits. */
#define UDM_ZIP_NAME_HASH 33

/*
 * Cuts a name after `keep` bytes, or before a %XX that would be cut; a hash of `data`, which is all
 * of it, keeps it apart from others that begin so.
 */
void udm_zip_name_cut(udm_buffer_t *name, apr_size_t keep, const void *data, apr_size_t size);

#endif
