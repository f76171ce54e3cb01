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
#include "pg/client.h"

/* Credentials that somebody shows, and what the database says of them. */
typedef struct udm_credentials_t {
    apr_pool_t *pool;                 /* of what it says */
    const udm_apikey_t *key;          /* NULL: none was sent; */
    const udm_token_claims_t *claims; /* likewise, but one of the two there is */
    udm_error_t *error;   /* why they are not good; NULL: they are, and this is who it is: */
    udm_principal_t *who; /* but for the rights and `certificate` */
    apr_array_header_t *key_roles; /* of const char *; NULL without a key */
    apr_int64_t generation;        /* of the rights: a number that changes when any may have */
    bool use_is_news;              /* the use of the key is to be noted */
} udm_credentials_t;

/*
 * Finds who asks, for several at once.
 * `error` of each gets UDM_E_UNAUTHENTICATED for a key that is unknown, wrong, revoked or expired
 * (one reason for the first three); UDM_E_FORBIDDEN for two tenants, or a tenant that is not known
 * here.
 */
udm_error_t *udm_tenant_credentials(apr_pool_t *p, udm_pg_t *db, udm_credentials_t *const *shown,
                                    int count);

/*
 * Adds what those with good credentials may do: with key and token, what both grant. They depend on
 * nothing but the roles, the tenant and the generation.
 */
udm_error_t *udm_tenant_rights(apr_pool_t *p, udm_pg_t *db, udm_credentials_t *credentials);

/* Notes that a key was used now, at most once a minute. */
udm_error_t *udm_tenant_key_used(apr_pool_t *p, udm_pg_t *db, const udm_apikey_t *key);

/* What is written beside a change: who did it from where. */
typedef struct udm_audit_t {
    const udm_principal_t *who; /* NULL for a signed link */
    const char *client_address;
    const char *request_id;
} udm_audit_t;

/* Writes one line of the audit. `ccid` for who == NULL; `object` and `detail_json` may be NULL. */
udm_error_t *udm_audit_write(apr_pool_t *p, udm_pg_t *db, const udm_audit_t *audit,
                             const char *ccid, const char *action, const char *object,
                             const char *detail_json);

/* What to say to whoever shows a credential that is remembered of a tenant that is not there any more. */
udm_error_t *udm_tenant_unknown(apr_pool_t *p);

/*
 * How the tenant's files are encrypted: `encryption` keeps what the caller put there unless
 * udm.set_encryption() said otherwise for the tenant.
 * @return UDM_E_FORBIDDEN for one that is unknown or being removed
 */
udm_error_t *udm_tenant_encryption(udm_encryption *encryption, apr_pool_t *p, udm_pg_t *db,
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
udm_error_t *udm_certificate_get(udm_certificate_info_t **info, apr_pool_t *p, udm_pg_t *db,
                                 const char *ccid);

/* Stores or replaces the tenant's certificate; audits old and new fingerprint in the same
 * transaction. `size` is what was uploaded, in bytes. */
udm_error_t *udm_certificate_put(apr_pool_t *p, udm_pg_t *db, const udm_audit_t *audit,
                                 const char *name, const udm_certificate_t *certificate,
                                 apr_int64_t size);

#endif
