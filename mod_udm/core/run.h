/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h: a run of a job, as the worker that has claimed it knows it, and the files that come of it.
 */
#ifndef UDM_CORE_RUN_H
#define UDM_CORE_RUN_H

#include <stdbool.h>

#include <apr_tables.h>
#include <apr_time.h>

#include "core/encryption.h"

/* A claimed run and everything that its export needs. */
typedef struct udm_run_t {
    apr_int64_t id;
    apr_int64_t job_id;
    const char *ccid;
    const char *source;
    const char *type;
    const char *title;
    bool window_all;
    apr_time_t window_from; /* UDM_NO_TIME: open */
    apr_time_t window_to;
    bool moves_watermark;       /* the window begins where the last one ended, and moves on */
    const char *settle_barrier; /* see udm_source_settle; NULL before it was asked */
    apr_time_t settle_since;    /* when it was first asked, by the database's clock */
    apr_time_t now;             /* the claim, by that clock */
    apr_array_header_t *media;
    bool export_attachments;
    const char *filters;          /* JSON text: [{attribute, operator, value}] */
    apr_int64_t file_split_bytes; /* 0: not asked for */
    int attempt;
    const char *worker_id;
    const char *export_id; /* UUID of this attempt's files */
    const char
        *previous_export_id;     /* of the attempt before, whose files are to be removed; or NULL */
    const char *certificate_pem; /* NULL: the tenant has none */
    udm_encryption encryption;   /* the tenant's or, if it has none, the job's */
    bool exhausted;              /* interrupted too often: see udm_queue_claim */
} udm_run_t;

/* One finished file, in part order. */
typedef struct udm_part_t {
    const char *name;
    apr_int64_t size;
    const char *sha256;
} udm_part_t;

#endif
