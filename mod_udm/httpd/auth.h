/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * auth.h: AuthType UDM: who asks, by API key, by token, or by both.
 */
#ifndef UDM_HTTPD_AUTH_H
#define UDM_HTTPD_AUTH_H

#include <httpd.h>

#include "core/error.h"
#include "httpd/request.h"
#include "pg/client.h"

/*
 * Finds who asks, once for a request: verifies each credential that was sent, asks for those that
 * `q->need` names, and sets q->who and r->user.
 * @return UDM_E_UNAUTHENTICATED (the WWW-Authenticate header is then set), UDM_E_FORBIDDEN, ...
 */
udm_error_t *udm_auth_find(request_rec *r, udm_request_t *q);

/* The same once more, as if UDMKeyCache were Off: who asks may do what the database says now. */
udm_error_t *udm_auth_anew(request_rec *r, udm_request_t *q);

/* @return true when httpd has let somebody in by another AuthType than ours */
bool udm_auth_by_others(request_rec *r);

/* What is asked of the database for several requests at once (udm_credentials_t): see batch.h. */
udm_error_t *udm_auth_ask(apr_pool_t *p, udm_pg_t *db, void *const *items, int count);

/* The hooks: force_authn, check_authn and note_auth_failure of AuthType UDM. */
int udm_auth_force(request_rec *r);
int udm_auth_check(request_rec *r);
int udm_auth_note_failure(request_rec *r, const char *auth_type);

/* Registers "Require udm-role NAME". */
void udm_auth_register_provider(apr_pool_t *p);

#endif
