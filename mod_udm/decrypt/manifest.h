/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h: reads META-INF/manifest.json as it comes out of the archive, and compares each of its
 * entries with what was found.
 */
#ifndef UDM_DECRYPT_MANIFEST_H
#define UDM_DECRYPT_MANIFEST_H

#include <stdbool.h>
#include <stdio.h>

#include "decrypt/notes.h"

typedef struct udm_manifest_t udm_manifest_t;

/* The notes of all other entries are complete. `list`: gets a line for each entry, or NULL. */
udm_error_t *udm_manifest_open(udm_manifest_t **manifest, apr_pool_t *p, udm_notes_t *notes,
                               FILE *list);

udm_error_t *udm_manifest_write(udm_manifest_t *manifest, const void *data, apr_size_t size);

/*
 * Fails unless it listed every entry, and was a whole document of the export `export_id` ("": of
 * any).
 */
udm_error_t *udm_manifest_finish(udm_manifest_t *manifest, const char *export_id);

#endif
