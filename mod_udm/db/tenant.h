/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * tenant.h: credentials, rights and certificates of contact centres, and the audit.
 */
#ifndef UDM_DB_TENANT_H
#define UDM_DB_TENANT_H

#include "core/apikey.h"
#include "core/certificate.h"
#include "core/principal.h"
#include "core/token.h"
#include "db.h"

/*
 * Finds who asks. `key` or `claims` may be NULL, not both. One round trip; notes the key's use at
 * most once a minute. With both, the rights are those that both grant.
 * @return UDM_E_UNAUTHENTICATED for a key that is unknown, wrong, revoked or expired (one reason
 *         for the first three); UDM_E_FORBIDDEN for two tenants, or a tenant that is not known here
 */
udm_error_t *udm_tenant_authenticate(udm_principal_t **who, apr_pool_t *p, udm_db_t *db,
                                     const udm_apikey_t *key, const udm_token_claims_t *claims);

/* What is written beside a change: who did it from where. */
typedef struct udm_audit_t {
    const udm_principal_t *who; /* NULL for a signed link */
    const char *client_address;
    const char *request_id;
} udm_audit_t;

/* Writes one line of the audit. `ccid` for who == NULL; `object` and `detail_json` may be NULL. */
udm_error_t *udm_audit_write(apr_pool_t *p, udm_db_t *db, const udm_audit_t *audit,
                             const char *ccid, const char *action, const char *object,
                             const char *detail_json);

/*
 * How the tenant's files are encrypted: `encryption` keeps what the caller put there unless
 * udm.set_encryption() said otherwise for the tenant.
 */
udm_error_t *udm_tenant_encryption(udm_encryption *encryption, apr_pool_t *p, udm_db_t *db,
                                   const char *ccid);

typedef struct udm_certificate_info_t {
    const char *name;
    apr_int64_t size;
    apr_time_t modified;
    apr_time_t not_after;
    const char *pem;
    const char *fingerprint;
} udm_certificate_info_t;

/* @return UDM_E_NOT_FOUND when the tenant has none */
udm_error_t *udm_certificate_get(udm_certificate_info_t **info, apr_pool_t *p, udm_db_t *db,
                                 const char *ccid);

/* Stores or replaces the tenant's certificate; audits old and new fingerprint in the same
 * transaction. `size` is what was uploaded, in bytes. */
udm_error_t *udm_certificate_put(apr_pool_t *p, udm_db_t *db, const udm_audit_t *audit,
                                 const char *name, const udm_certificate_t *certificate,
                                 apr_int64_t size);

#endif
