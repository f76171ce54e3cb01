/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * tenant.c: who asks and what they may do, the tenant's certificate, and the audit.
 */
#include "db/tenant.h"

#include <string.h>

#include <apr_strings.h>
#include <jansson.h>

#include "core/text.h"

/*
 * One row, whatever is sent: the key's columns are NULL for an unknown id, the token's tenant is
 * NULL for an unknown one. The use is noted only for a good key, and at most once a minute, so that
 * a busy key does not write for each request.
 */
static const udm_statement_t authenticate = {
    "udm_authenticate",
    "WITH used AS (UPDATE udm.api_key SET last_used_at = now()"
    " WHERE key_id = $1 AND secret_sha256 = decode($2, 'hex') AND revoked_at IS NULL"
    " AND (expires_at IS NULL OR expires_at > now())"
    " AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute'))"
    " SELECT k.ccid, k.label, encode(k.secret_sha256, 'hex'), k.revoked_at IS NOT NULL,"
    " coalesce(k.expires_at <= now(), false), to_json(k.roles)::text,"
    " CASE WHEN k.key_id IS NOT NULL THEN (SELECT json_agg(json_build_array(source, type, may_read,"
    " may_write)) FROM udm.rights(k.roles, k.ccid))::text END,"
    " CASE WHEN k.key_id IS NOT NULL THEN udm.may_certificate(k.roles) END,"
    " t.ccid,"
    " CASE WHEN t.ccid IS NOT NULL THEN (SELECT json_agg(json_build_array(source, type, may_read,"
    " may_write)) FROM udm.rights($4::text[], t.ccid))::text END,"
    " CASE WHEN t.ccid IS NOT NULL THEN udm.may_certificate($4::text[]) END,"
    " (extract(epoch FROM k.expires_at - now()) * 1000000)::bigint"
    " FROM (SELECT) one LEFT JOIN udm.api_key k ON k.key_id = $1"
    " LEFT JOIN udm.tenant t ON t.ccid = $3"};

enum {
    KEY_CCID,
    KEY_LABEL,
    KEY_SECRET,
    KEY_REVOKED,
    KEY_EXPIRED,
    KEY_ROLES,
    KEY_RIGHTS,
    KEY_CERTIFICATE,
    TOKEN_CCID,
    TOKEN_RIGHTS,
    TOKEN_CERTIFICATE,
    KEY_GOOD_FOR
};

/* Reads json_agg([source, type, read, write], ...); NULL is the empty set. */
static apr_array_header_t *read_rights(apr_pool_t *p, const char *text)
{
    apr_array_header_t *rights = apr_array_make(p, 8, sizeof(udm_right_t));
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;
    json_t *item;
    size_t i;

    json_array_foreach(json, i, item)
    {
        udm_right_t *right = apr_array_push(rights);

        right->source = apr_pstrdup(p, json_string_value(json_array_get(item, 0)));
        right->type = apr_pstrdup(p, json_string_value(json_array_get(item, 1)));
        right->read = json_is_true(json_array_get(item, 2));
        right->write = json_is_true(json_array_get(item, 3));
    }
    json_decref(json);
    return rights;
}

static bool holds(const apr_array_header_t *names, const char *name)
{
    int i;

    for (i = 0; i < names->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(names, i, const char *), name) == 0) {
            return true;
        }
    }
    return false;
}

/* The token's roles that the key has, too; a key with "*" has them all. */
static apr_array_header_t *common_roles(apr_pool_t *p, const apr_array_header_t *key,
                                        const apr_array_header_t *token)
{
    apr_array_header_t *common = apr_array_make(p, 4, sizeof(const char *));
    bool all = holds(key, "*");
    int i;

    for (i = 0; i < token->nelts; i++) {
        const char *role = APR_ARRAY_IDX(token, i, const char *);

        if (all || holds(key, role)) {
            APR_ARRAY_PUSH(common, const char *) = role;
        }
    }
    return common;
}

/* Unknown, wrong and revoked keys get the same words, so that none can be told from another. */
static udm_error_t *check_key(apr_pool_t *p, const udm_apikey_t *key, const udm_result_t *row)
{
    const char *hex = udm_result_text(row, 0, KEY_SECRET);
    unsigned char secret[UDM_SHA256_SIZE];

    if (!hex || !udm_text_unhex(secret, sizeof(secret), hex) ||
        !udm_text_equal_secret(secret, key->secret_sha256, sizeof(secret)) ||
        udm_result_bool(row, 0, KEY_REVOKED)) {
        return udm_error_make(p, UDM_E_UNAUTHENTICATED, "the API key is not valid");
    }
    if (udm_result_bool(row, 0, KEY_EXPIRED)) {
        return udm_error_make(p, UDM_E_UNAUTHENTICATED, "the API key has expired");
    }
    return NULL;
}

udm_error_t *udm_tenant_authenticate(udm_principal_t **who, apr_pool_t *p, udm_db_t *db,
                                     const udm_apikey_t *key, const udm_token_claims_t *claims)
{
    const char *values[4] = {NULL, NULL, NULL, NULL};
    const char *ccid = NULL;
    udm_principal_t *found;
    udm_result_t *row;
    udm_error_t *error;

    *who = NULL;
    if (key) {
        values[0] = key->id;
        values[1] = udm_text_hex(p, key->secret_sha256, UDM_SHA256_SIZE);
    }
    if (claims) {
        values[2] = claims->ccid;
        values[3] = udm_db_array(p, claims->roles);
    }
    error = udm_db_query(&row, p, db, &authenticate, 4, values);
    if (error) {
        return error;
    }
    if (key) {
        error = check_key(p, key, row);
        if (error) {
            return error;
        }
        ccid = udm_result_text(row, 0, KEY_CCID);
    }
    if (key && claims && strcmp(ccid, claims->ccid) != 0) {
        return udm_error_make(p, UDM_E_FORBIDDEN,
                              "the API key and the token belong to different contact centers");
    }
    if (claims) {
        ccid = udm_result_text(row, 0, TOKEN_CCID);
        if (!ccid) {
            return udm_error_make(p, UDM_E_FORBIDDEN,
                                  "the contact center of the token is not known here");
        }
    }

    found = apr_pcalloc(p, sizeof(*found));
    found->ccid = apr_pstrdup(p, ccid);
    found->good_for = udm_result_time(row, 0, KEY_GOOD_FOR);
    if (key) {
        found->key_id = apr_pstrdup(p, key->id);
        found->subject = apr_pstrdup(p, udm_result_text(row, 0, KEY_LABEL));
        found->rights = read_rights(p, udm_result_text(row, 0, KEY_RIGHTS));
        found->certificate = udm_result_bool(row, 0, KEY_CERTIFICATE);
        found->roles = udm_result_array(p, row, 0, KEY_ROLES);
    }
    if (claims) {
        apr_array_header_t *rights = read_rights(p, udm_result_text(row, 0, TOKEN_RIGHTS));
        bool certificate = udm_result_bool(row, 0, TOKEN_CERTIFICATE);

        found->subject = apr_pstrdup(p, claims->subject ? claims->subject : "");
        found->rights = key ? udm_principal_common(p, found->rights, rights) : rights;
        found->certificate = key ? found->certificate && certificate : certificate;
        found->roles =
            key ? common_roles(p, found->roles, claims->roles) : apr_array_copy(p, claims->roles);
    }
    *who = found;
    return NULL;
}

static const udm_statement_t audit_insert = {
    "udm_audit_insert",
    "INSERT INTO udm.audit (ccid, subject, key_id, action, object, client_address, request_id,"
    " detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)"};

udm_error_t *udm_audit_write(apr_pool_t *p, udm_db_t *db, const udm_audit_t *audit,
                             const char *ccid, const char *action, const char *object,
                             const char *detail_json)
{
    const char *values[8] = {audit->who ? audit->who->ccid : ccid,
                             audit->who ? audit->who->subject : NULL,
                             audit->who ? audit->who->key_id : NULL,
                             action,
                             object,
                             audit->client_address,
                             audit->request_id,
                             detail_json};
    udm_result_t *result;

    return udm_db_query(&result, p, db, &audit_insert, 8, values);
}

static const udm_statement_t encryption_select = {
    "udm_tenant_encryption", "SELECT encryption FROM udm.tenant WHERE ccid = $1"};

udm_error_t *udm_tenant_encryption(udm_encryption *encryption, apr_pool_t *p, udm_db_t *db,
                                   const char *ccid)
{
    udm_result_t *row;
    udm_error_t *error = udm_db_query(&row, p, db, &encryption_select, 1, &ccid);
    const char *word = !error && row->rows > 0 ? udm_result_text(row, 0, 0) : NULL;

    if (word && !udm_encryption_parse(encryption, word)) {
        return udm_error_make(p, UDM_E_INTERNAL,
                              "the encryption of the contact center is not known here");
    }
    return error;
}

/* clang-format off */
static const udm_statement_t certificate_select = {
    "udm_certificate_select",
    "SELECT name, size, " UDM_DB_TIME("modified_at") "," UDM_DB_TIME("not_after")
    ", pem, fingerprint FROM udm.certificate WHERE ccid = $1"};
/* clang-format on */

udm_error_t *udm_certificate_get(udm_certificate_info_t **info, apr_pool_t *p, udm_db_t *db,
                                 const char *ccid)
{
    udm_certificate_info_t *found;
    udm_result_t *row;
    udm_error_t *error;

    *info = NULL;
    error = udm_db_query(&row, p, db, &certificate_select, 1, &ccid);
    if (error) {
        return error;
    }
    if (row->rows == 0) {
        return udm_error_make(p, UDM_E_NOT_FOUND,
                              "no certificate is stored: upload one with "
                              "POST .../cipher/{name}");
    }
    found = apr_pcalloc(p, sizeof(*found));
    found->name = udm_result_text(row, 0, 0);
    found->size = udm_result_int(row, 0, 1);
    found->modified = udm_result_time(row, 0, 2);
    found->not_after = udm_result_time(row, 0, 3);
    found->pem = udm_result_text(row, 0, 4);
    found->fingerprint = udm_result_text(row, 0, 5);
    *info = found;
    return NULL;
}

/* The lock on the old row makes two uploads at once audit each the one that it replaced. */
/* clang-format off */
static const udm_statement_t certificate_upsert = {
    "udm_certificate_upsert",
    "WITH old AS (SELECT fingerprint FROM udm.certificate WHERE ccid = $1 FOR UPDATE),"
    " put AS (INSERT INTO udm.certificate (ccid, name, pem, size, fingerprint, not_before,"
    " not_after) VALUES ($1, $2, $3, $4::integer, $5, "
    UDM_DB_TIME_IN("$6") "," UDM_DB_TIME_IN("$7") ")"
    " ON CONFLICT (ccid) DO UPDATE SET name = excluded.name, pem = excluded.pem,"
    " size = excluded.size, fingerprint = excluded.fingerprint, not_before = excluded.not_before,"
    " not_after = excluded.not_after, modified_at = now())"
    " INSERT INTO udm.audit (ccid, subject, key_id, action, object, client_address, request_id,"
    " detail) VALUES ($1, $8, $9, 'certificate.upload', $2, $10, $11,"
    " jsonb_build_object('old', (SELECT fingerprint FROM old), 'new', $5::text))"};
/* clang-format on */

udm_error_t *udm_certificate_put(apr_pool_t *p, udm_db_t *db, const udm_audit_t *audit,
                                 const char *name, const udm_certificate_t *certificate,
                                 apr_int64_t size)
{
    const char *values[11] = {audit->who->ccid,
                              name,
                              certificate->pem,
                              udm_db_int(p, size),
                              certificate->fingerprint,
                              udm_db_time(p, certificate->not_before),
                              udm_db_time(p, certificate->not_after),
                              audit->who->subject,
                              audit->who->key_id,
                              audit->client_address,
                              audit->request_id};
    udm_result_t *result;

    return udm_db_query(&result, p, db, &certificate_upsert, 11, values);
}
