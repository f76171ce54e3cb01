/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * exporttest.h: what the tests of whole exports share; it is in test_export.c.
 */
#ifndef UDM_EXPORTTEST_H
#define UDM_EXPORTTEST_H

#include "export/export.h"

/* Of the running test. */
typedef struct exporttest_t {
    const char *dir;
    const char *store_dir;
    const char *key;
    udm_store_t *store;
    udm_export_settings_t settings;
    udm_export_watch_t watch;
    udm_run_t run;
    apr_array_header_t *parts;
    apr_int64_t rows;
} exporttest_t;

/* A store, a source and a run of everything of acme's, whose files are encrypted for the RSA key. */
exporttest_t *exporttest_prepare(void);

/* Exports; or says why it cannot. */
udm_error_t *exporttest_try(exporttest_t *b, const char *source, const char *type);

/* Exports, checks the parts, decrypts and unpacks them into <dir>/out. */
void exporttest_unpack(exporttest_t *b, const char *source, const char *type);

/* The text of an unpacked file. */
const char *exporttest_file(const exporttest_t *b, const char *name);

/* Nothing of the export is in the store, and nothing in the spool directory. */
void exporttest_nothing_left(const exporttest_t *b);

/* The SQL of `format`, with `sql` for each of its places. */
const char *exporttest_filled(const char *format, const char *sql);

/* All lines that SQL gives, each ended. */
const char *exporttest_sql_lines(const char *sql);

#endif
