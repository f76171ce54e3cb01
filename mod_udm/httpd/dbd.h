/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * dbd.h: a connection borrowed from mod_dbd's pool for a moment, never across a response byte.
 */
#ifndef UDM_HTTPD_DBD_H
#define UDM_HTTPD_DBD_H

#include <stdbool.h>

#include <httpd.h>

#include "core/error.h"
#include "pg/client.h"

/* What a client is asked to wait after a 503, in seconds. */
#define UDM_RETRY_AFTER "2"

/* Work on a borrowed connection. Everything that leaves it lives in the request's pool. */
typedef udm_error_t *(*udm_dbd_fn)(udm_pg_t *db, void *baton);

/*
 * Borrows a connection, runs `fn`, and gives the connection back without an open transaction. With
 * `again`, `fn` is run a second time when the connection turned out to be lost: only for what
 * changes nothing, or may be done twice.
 * @return what `fn` returned, or UDM_E_DATABASE when there is no connection
 */
udm_error_t *udm_dbd_with(request_rec *r, bool again, udm_dbd_fn fn, void *baton);

/* @return true when mod_dbd is loaded */
bool udm_dbd_available(void);

#endif
