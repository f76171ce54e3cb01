/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h: what a job or a run shows of itself, a run as the worker that has claimed it knows it, and the
 * files that come of it.
 *
 * Who decides what: udm.job_status() what a job shows, udm.make_runs() where the window of a run begins
 * and ends (both in sql/migrations/0018_job_state.sql), udm_transition_job() which changes are allowed.
 */
#ifndef UDM_CORE_RUN_H
#define UDM_CORE_RUN_H

#include <stdbool.h>

#include <apr_tables.h>
#include <apr_time.h>

#include "core/encryption.h"

/* A status of the API (decisions 2.1). A run has none of SCHEDULED. */
typedef enum {
    UDM_STATUS_NONE, /* of a run that is not there */
    UDM_STATUS_QUEUED,
    UDM_STATUS_IN_PROGRESS,
    UDM_STATUS_SUSPENDED,
    UDM_STATUS_SCHEDULED,
    UDM_STATUS_COMPLETED,
    UDM_STATUS_FAILED,
    UDM_STATUS_CANCELLED
} udm_status;

/* The words of the API, and the database, for a status; NULL for UDM_STATUS_NONE. */
const char *udm_status_name(udm_status status);

/* The status of that name; UDM_STATUS_NONE for any other text. */
udm_status udm_status_of(const char *name);

/* Whether a run with this status waits or goes on. A job has at most one that does. */
bool udm_status_is_active(udm_status status);

/* All statuses with their labels, in the order in which the API lists them, ended by a NULL value. */
typedef struct udm_label_t {
    const char *value;
    const char *label;
} udm_label_t;
const udm_label_t *udm_status_labels(void);

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
