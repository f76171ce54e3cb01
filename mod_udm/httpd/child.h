/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * child.h: what the threads of a child share while they answer requests to one server. Another server may
 * have another database, and the trouble of that is none of this one's. It is made when the child begins
 * (mod_udm.c).
 */
#ifndef UDM_HTTPD_CHILD_H
#define UDM_HTTPD_CHILD_H

#include <stdatomic.h>

#include <httpd.h>

#include "core/route.h"
#include "httpd/lookups.h"
#include "httpd/shares.h"

/* Times in microseconds since 1970. */
typedef struct udm_child_t {
    atomic_llong database_retry; /* no connection is tried before this instant */
    atomic_llong database_log;   /* nor is its loss logged again before this one */
    udm_lookups_t *lookups;      /* NULL when it could not be made */
    udm_shares_t *shares;        /* of the connections to the database */
    /* what openapi_handler.c keeps, by versions and envelope; from malloc */
    _Atomic(char *) openapi[2 * (UDM_ALL_VERSIONS + 1)];
    /* what requests ask the database together */
    struct udm_batch_t *credentials; /* of udm_credentials_t */
    struct udm_batch_t *jobs;        /* of udm_job_ask_t */
    struct udm_batch_t *new_jobs;    /* of udm_job_new_t */
    struct udm_batch_t *downloads;   /* of udm_download_t */
} udm_child_t;

/* Of the server that was asked; never NULL while a request is answered. */
udm_child_t *udm_child_of(const request_rec *r);

#endif
