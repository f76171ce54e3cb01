/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h: META-INF/manifest.json, the last entry of every archive: what the export is and, for
 * each entry in archive order, SHA-256, size and rows. It shows damage that the encryption does not.
 */
#ifndef UDM_EXPORT_MANIFEST_H
#define UDM_EXPORT_MANIFEST_H

#include "core/run.h"
#include "export/entry.h"

typedef struct udm_manifest_t udm_manifest_t;

/* The entries wait in a spool, so memory does not depend on their number. */
udm_error_t *udm_manifest_open(udm_manifest_t **manifest, apr_pool_t *p, const char *spool_dir);

/* Notes the next entry of the archive. */
udm_error_t *udm_manifest_add(udm_manifest_t *manifest, const char *name,
                              const udm_entry_sum_t *sum, apr_int64_t rows);

/* What is said of the export as a whole. */
typedef struct udm_manifest_head_t {
    const udm_run_t *run;
    const char *snapshot;
    const char *fingerprint; /* of the certificate */
    apr_time_t created;
    apr_int64_t rows;
} udm_manifest_head_t;

/* Writes the manifest into `sink`. */
udm_error_t *udm_manifest_write(udm_manifest_t *manifest, const udm_manifest_head_t *head,
                                const udm_sink_t *sink);

#endif
