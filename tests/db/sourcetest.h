/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * sourcetest.h: what the tests of sources share; it is in test_source.c.
 */
#ifndef UDM_SOURCETEST_H
#define UDM_SOURCETEST_H

#include <sys/stat.h>

#include "source/source.h"

/* Makes the folder with the file "demo", which names the reader of the fixture. */
void sourcetest_folder(void);
const char *sourcetest_path(void);

/* Writes a file in it; only "demo" and "other_one" are removed with it. */
void sourcetest_file(const char *name, const char *text, mode_t mode);

/* A type of the catalog, and a run of a contact centre for everything of it. */
udm_data_type_t *sourcetest_type(const char *source, const char *name);
udm_run_t *sourcetest_run(const char *ccid);

/* The type Contact, whose rows are those of another relation, of no time. */
udm_data_type_t *sourcetest_plain(const char *relation);

/* The opened source; or the error that it gives instead. */
udm_source_t *sourcetest_opened(const udm_data_type_t *type, const udm_run_t *run);
udm_error_t *sourcetest_refused(const udm_data_type_t *type, const udm_run_t *run);

/* The first `count` fields of every row, rows sorted: "a b,c d"; `rest` of what is being read. */
const char *sourcetest_rows(udm_source_t *source, int count);
const char *sourcetest_rest(udm_source_t *source, int count);

/* The same of a source that is opened for that, and closed again. */
const char *sourcetest_rows_of(const udm_data_type_t *type, const udm_run_t *run, int count);

/* How often a relation has been scanned, "seq" or by "idx". */
int sourcetest_scans(const char *relation, const char *kind);

#endif
