/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * installation.h: what there is one of in a database: the version of its schema, the id and the store of
 * the installation, and the list of its workers.
 */
#ifndef UDM_DB_INSTALLATION_H
#define UDM_DB_INSTALLATION_H

#include "pg/client.h"

/*
 * Finds out whether schema udm is the one that this program is made for. The answer is good for some
 * seconds, unless a statement meets what is not there. Outside a transaction.
 * @return UDM_E_DATABASE when it is not; the reason is for a tenant, the detail says what the admin has
 *         to do
 */
udm_error_t *udm_installation_check(apr_pool_t *p, udm_pg_t *db);

/* Whether that error says that the schema is of another version, and not that there is none yet. */
bool udm_installation_wrong_schema(const udm_error_t *error);

/* The number of the last migration in sql/migrations, as this program was built. */
extern const int udm_schema_version;

/* The id of this installation, for the mark in the store, and whether it has a store. */
udm_error_t *udm_installation_read(const char **id, bool *has_store, apr_pool_t *p, udm_pg_t *db);

/* Makes a directory the store of the installation `id`. It may be called more than once. */
typedef udm_error_t *udm_installation_mark(apr_pool_t *p, const char *id, void *baton);

/*
 * Notes that there is a store, once `mark` has made one; does nothing when it was noted already. Of
 * several workers one does so at a time, so that two never mark different directories.
 */
udm_error_t *udm_installation_begin_store(apr_pool_t *p, udm_pg_t *db, udm_installation_mark *mark,
                                          void *baton);

/*
 * Has this session LISTEN where workers are told that there may be something to do. A hint only, with
 * nothing in it: whoever gets one looks.
 */
udm_error_t *udm_installation_listen(apr_pool_t *p, udm_pg_t *db);

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
udm_error_t *udm_heartbeat_write(apr_pool_t *p, udm_pg_t *db, const udm_heartbeat_t *heartbeat);

/* Forgets workers that were not seen for a day, but never this one. */
udm_error_t *udm_heartbeat_forget(apr_pool_t *p, udm_pg_t *db, const char *id);

#endif
