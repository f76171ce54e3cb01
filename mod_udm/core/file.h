/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h: a finished file, as lists and links show it.
 */
#ifndef UDM_CORE_FILE_H
#define UDM_CORE_FILE_H

#include <apr_time.h>

/* One downloadable file. */
typedef struct udm_file_info_t {
    apr_int64_t id;
    const char *name;
    apr_int64_t size;
    const char *type;
    const char *source;
    const char *job_title;
    apr_int64_t job_id;
    apr_int64_t run_id;
    apr_time_t created;
    apr_time_t expires;
    int remaining_days; /* rounded up; 0 once expired */
    const char *sha256;
    const char *ccid;
} udm_file_info_t;

#endif
