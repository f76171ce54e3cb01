/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.h: takes blocks and makes entries of the archive of them, in the order in which they can be
 * written.
 *
 * Several entries may be open at a time, since one scan of the source feeds all entity types. The
 * first of them goes straight into the archive; the others, compressed, into spools, from where
 * udm_archive_finish appends them.
 */
#ifndef UDM_EXPORT_ARCHIVE_H
#define UDM_EXPORT_ARCHIVE_H

#include "core/stop.h"
#include "export/block.h"
#include "export/manifest.h"
#include "export/volume.h"

typedef struct udm_archive_t udm_archive_t;

/*
 * An archive in volumes of at most `capacity` bytes, which go to `target`. `stop` ends whatever is
 * under way with UDM_E_STOPPED. Its memory is that of `p`.
 * The functions here are for one thread at a time, and so is `p` between them.
 */
udm_error_t *udm_archive_open(udm_archive_t **archive, apr_pool_t *p,
                              const udm_volume_target_t *target, apr_int64_t capacity,
                              const char *spool_dir, apr_time_t created, const udm_stop_t *stop);

/* Takes in all pieces of a block, which is then free for others. */
udm_error_t *udm_archive_take(udm_archive_t *archive, const udm_block_t *block);

/*
 * About how many bytes the archive would have if it ended with what was taken in so far, whether that
 * is in it or still in a spool. `rows` gets how many rows those were.
 */
apr_int64_t udm_archive_size(apr_int64_t *rows, const udm_archive_t *archive);

/* Appends what is spooled, writes the manifest and ends the archive. No entry is open any more. */
udm_error_t *udm_archive_finish(udm_archive_t *archive, const udm_manifest_head_t *head);

#endif
