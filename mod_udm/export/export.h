/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * export.h: one run, from rows to published files.
 *
 *   source ─▶ reader (encode) ─▶ relay ─▶ archive (deflate) ─▶ zip ─▶ volume ─▶ envelope ─▶ store
 *
 * Each step is a file of this room; the relay is where the second thread begins. Memory does not
 * depend on the number of rows: what cannot be written in order goes to a spool (an unlinked file,
 * encrypted under a key held only in memory).
 */
#ifndef UDM_EXPORT_EXPORT_H
#define UDM_EXPORT_EXPORT_H

#include <stdatomic.h>

#include "db/queue.h"
#include "source/source.h"
#include "store/store.h"

/* Shared between the thread that exports and the one that keeps its lease. */
typedef struct udm_export_watch_t {
    udm_stop_t stop;    /* raised by another thread: end at once, publish nothing */
    atomic_int percent; /* set by the exporter */
    atomic_llong rows;  /* set by the exporter */
} udm_export_watch_t;

/* The certificate that was tried out last: all zero at first, of one thread. */
typedef struct udm_export_tried_t {
    char fingerprint[65];
    udm_encryption encryption;
} udm_export_tried_t;

typedef struct udm_export_settings_t {
    const char *source_dir;
    const char *spool_dir;     /* for unlinked spool files; on a disk, not a tmpfs */
    apr_int64_t max_part_size; /* bytes of the largest downloadable file */
    int max_parts;             /* files that an export may have */
    apr_int64_t max_row;       /* bytes of the largest row, as the source sends it */
    udm_source_hold_t *hold;   /* keeps the connection to the source; NULL: nobody does */
    udm_export_tried_t *tried; /* spares the next run its trial; NULL: each has one */
} udm_export_settings_t;

/*
 * Exports a claimed run into the store: reads one snapshot, writes every part, makes them durable
 * and publishes them. On any error nothing of it is left published. The caller then completes the
 * run in the database; when that fails, it calls store->remove_export.
 * `parts` gets udm_part_t in order, the last volume (".zip.smime" or ".zip.p7m") last; `rows`
 * the records written.
 * @return UDM_E_INVALID when there would be more files than there may be, and what to ask for instead;
 * UDM_E_CERTIFICATE, UDM_E_SOURCE, UDM_E_STORE, UDM_E_STOPPED, each with a reason for a person
 */
udm_error_t *udm_export_run(apr_array_header_t **parts, apr_int64_t *rows, apr_pool_t *p,
                            const udm_export_settings_t *settings, const udm_data_type_t *type,
                            const udm_run_t *run, udm_store_t *store, udm_export_watch_t *watch);

#endif
