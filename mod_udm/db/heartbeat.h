/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * heartbeat.h: how others know of a worker: one row of udm.worker, which it writes again and again.
 */
#ifndef UDM_DB_HEARTBEAT_H
#define UDM_DB_HEARTBEAT_H

#include "db.h"

/* Who was not seen for 30 seconds is gone: see row.h. */
#define UDM_HEARTBEAT_SECONDS 10

/* What a worker says of itself. */
typedef struct udm_heartbeat_t {
    const char *id; /* of the process: no other has the same */
    const char *host;
    int pid;
    const char *version;
    int slots;
    const char *state; /* "ready", "no-store", "ending" or "ended" */
} udm_heartbeat_t;

/* Notes it, with the time by the database's clock. */
udm_error_t *udm_heartbeat_write(apr_pool_t *p, udm_db_t *db, const udm_heartbeat_t *heartbeat);

/* Forgets workers that were not seen for a day, but never this one. */
udm_error_t *udm_heartbeat_forget(apr_pool_t *p, udm_db_t *db, const char *id);

#endif
