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
 * A row for each, whatever is sent: the key's columns are NULL for an unknown id, the token's tenant
 * is NULL for one that is unknown or being removed.
 */
static const udm_statement_t credentials_select = {
    "udm_credentials",
    "SELECT a.n - 1, k.ccid, k.label, encode(k.secret_sha256, 'hex'), k.revoked_at IS NOT NULL,"
    " coalesce(k.expires_at <= now(), false), to_json(k.roles)::text,"
    " " UDM_PG_TIME_LEFT(
        "k.expires_at") ","
                        " coalesce(k.last_used_at < now() - interval '1 minute', true), t.ccid, "
                        "g.generation"
                        " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS a (key_id, ccid, "
                        "n)"
                        " LEFT JOIN udm.api_key k ON k.key_id = a.key_id"
                        " LEFT JOIN udm.tenant t ON t.ccid = a.ccid AND t.ending_since IS NULL"
                        " CROSS JOIN udm.rights_generation g"};

enum {
    ROW_INDEX,
    KEY_CCID,
    KEY_LABEL,
    KEY_SECRET,
    KEY_REVOKED,
    KEY_EXPIRED,
    KEY_ROLES,
    KEY_GOOD_FOR,
    KEY_USE_IS_NEWS,
    TOKEN_CCID,
    GENERATION
};

/* $1 roles of the key, $2 of the token, $3 tenant. */
static const udm_statement_t rights_select = {
    "udm_rights",
    "SELECT (SELECT json_agg(json_build_array(source, type, may_read, may_write, gone))"
    " FROM udm.rights($1::text[], $3))::text, udm.may_certificate($1::text[]),"
    " (SELECT json_agg(json_build_array(source, type, may_read, may_write, gone))"
    " FROM udm.rights($2::text[], $3))::text, udm.may_certificate($2::text[]),"
    " generation FROM udm.rights_generation"};

enum { RIGHTS_KEY, CERTIFICATE_KEY, RIGHTS_TOKEN, CERTIFICATE_TOKEN, RIGHTS_GENERATION };

/* Once a minute, whoever finds at the same time that it is to be noted. */
static const udm_statement_t key_used = {
    "udm_key_used", "UPDATE udm.api_key SET last_used_at = now() WHERE key_id = $1"
                    " AND coalesce(last_used_at < now() - interval '1 minute', true)"};

/* Reads json_agg([source, type, read, write, gone], ...); NULL is the empty set. */
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
        right->gone = json_is_true(json_array_get(item, 4));
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
static udm_error_t *check_key(apr_pool_t *p, const udm_apikey_t *key, const udm_result_t *rows,
                              int row)
{
    const char *hex = udm_result_text(rows, row, KEY_SECRET);
    unsigned char secret[UDM_SHA256_SIZE];

    if (!hex || !udm_text_unhex(secret, sizeof(secret), hex) ||
        !udm_text_equal_secret(secret, key->secret_sha256, sizeof(secret)) ||
        udm_result_bool(rows, row, KEY_REVOKED)) {
        return udm_error_make(p, UDM_E_UNAUTHENTICATED, "the API key is not valid");
    }
    if (udm_result_bool(rows, row, KEY_EXPIRED)) {
        return udm_error_make(p, UDM_E_UNAUTHENTICATED, "the API key has expired");
    }
    return NULL;
}

/* What a row says of the credentials that it is about. */
static udm_error_t *take_row(udm_credentials_t *c, const udm_result_t *rows, int row)
{
    const char *ccid = udm_result_text(rows, row, KEY_CCID);
    udm_principal_t *who;

    if (c->key) {
        udm_error_t *error = check_key(c->pool, c->key, rows, row);

        if (error) {
            return error;
        }
    }
    if (c->key && c->claims && strcmp(ccid, c->claims->ccid) != 0) {
        return udm_error_make(c->pool, UDM_E_FORBIDDEN,
                              "the API key and the token belong to different contact centers");
    }
    if (c->claims) {
        ccid = udm_result_text(rows, row, TOKEN_CCID);
        if (!ccid) {
            return udm_error_make(c->pool, UDM_E_FORBIDDEN,
                                  "the contact center of the token is not known here");
        }
    }
    who = apr_pcalloc(c->pool, sizeof(*who));
    who->ccid = apr_pstrdup(c->pool, ccid);
    who->good_for = udm_result_time(rows, row, KEY_GOOD_FOR);
    if (c->key) {
        who->key_id = apr_pstrdup(c->pool, c->key->id);
        who->subject = apr_pstrdup(c->pool, udm_result_text(rows, row, KEY_LABEL));
        c->key_roles = udm_result_array(c->pool, rows, row, KEY_ROLES);
        who->roles = apr_array_copy(c->pool, c->key_roles);
        c->use_is_news = udm_result_bool(rows, row, KEY_USE_IS_NEWS);
    }
    if (c->claims) {
        who->subject = apr_pstrdup(c->pool, c->claims->subject ? c->claims->subject : "");
        who->roles = c->key ? common_roles(c->pool, c->key_roles, c->claims->roles)
                            : apr_array_copy(c->pool, c->claims->roles);
    }
    c->generation = udm_result_int(rows, row, GENERATION);
    c->who = who;
    return NULL;
}

udm_error_t *udm_tenant_credentials(apr_pool_t *p, udm_pg_t *db, udm_credentials_t *const *shown,
                                    int count)
{
    apr_array_header_t *keys = apr_array_make(p, count, sizeof(const char *));
    apr_array_header_t *tenants = apr_array_make(p, count, sizeof(const char *));
    const char *values[2];
    udm_result_t *rows;
    udm_error_t *error;
    int i;

    for (i = 0; i < count; i++) {
        APR_ARRAY_PUSH(keys, const char *) = shown[i]->key ? shown[i]->key->id : NULL;
        APR_ARRAY_PUSH(tenants, const char *) = shown[i]->claims ? shown[i]->claims->ccid : NULL;
        shown[i]->who = NULL;
    }
    values[0] = udm_pg_array(p, keys);
    values[1] = udm_pg_array(p, tenants);
    error = udm_pg_query(&rows, p, db, &credentials_select, 2, values);
    if (!error && rows->rows != count) {
        error = udm_error_make(p, UDM_E_INTERNAL,
                               "the table udm.rights_generation must have exactly one row");
    }
    for (i = 0; !error && i < count; i++) {
        udm_credentials_t *c = shown[udm_result_int(rows, i, ROW_INDEX)];

        c->error = take_row(c, rows, i);
    }
    return error;
}

udm_error_t *udm_tenant_rights(apr_pool_t *p, udm_pg_t *db, udm_credentials_t *c)
{
    const char *values[3] = {c->key ? udm_pg_array(p, c->key_roles) : NULL,
                             c->claims ? udm_pg_array(p, c->claims->roles) : NULL, c->who->ccid};
    apr_array_header_t *key, *token;
    udm_result_t *row;
    udm_error_t *error = udm_pg_query(&row, p, db, &rights_select, 3, values);

    if (error) {
        return error;
    }
    key = read_rights(c->pool, udm_result_text(row, 0, RIGHTS_KEY));
    token = read_rights(c->pool, udm_result_text(row, 0, RIGHTS_TOKEN));
    c->who->rights = !c->claims ? key : c->key ? udm_principal_common(c->pool, key, token) : token;
    c->who->certificate = (!c->key || udm_result_bool(row, 0, CERTIFICATE_KEY)) &&
                          (!c->claims || udm_result_bool(row, 0, CERTIFICATE_TOKEN));
    c->generation = udm_result_int(row, 0, RIGHTS_GENERATION);
    return NULL;
}

udm_error_t *udm_tenant_key_used(apr_pool_t *p, udm_pg_t *db, const udm_apikey_t *key)
{
    udm_result_t *result;

    return udm_pg_query(&result, p, db, &key_used, 1, (const char *const[]){key->id});
}

static const udm_statement_t audit_write = {
    "udm_audit_write", "SELECT udm.audit_write($1, $2, $3, $4, $5, $6, $7, $8::jsonb)"};

udm_error_t *udm_audit_write(apr_pool_t *p, udm_pg_t *db, const udm_audit_t *audit,
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

    return udm_pg_query(&result, p, db, &audit_write, 8, values);
}

static const udm_statement_t encryption_select = {
    "udm_tenant_encryption",
    "SELECT encryption FROM udm.tenant WHERE ccid = $1 AND ending_since IS NULL"};

udm_error_t *udm_tenant_unknown(apr_pool_t *p)
{
    return udm_error_make(p, UDM_E_FORBIDDEN, "the contact center is not known here any more");
}

udm_error_t *udm_tenant_encryption(udm_encryption *encryption, apr_pool_t *p, udm_pg_t *db,
                                   const char *ccid)
{
    udm_result_t *row;
    udm_error_t *error = udm_pg_query(&row, p, db, &encryption_select, 1, &ccid);
    const char *word = !error && row->rows > 0 ? udm_result_text(row, 0, 0) : NULL;

    if (!error && row->rows == 0) {
        return udm_tenant_unknown(p);
    }
    if (word && !udm_encryption_parse(encryption, word)) {
        return udm_error_make(p, UDM_E_INTERNAL,
                              "the encryption of the contact center is not known here");
    }
    return error;
}

/* clang-format off */
static const udm_statement_t certificate_select = {
    "udm_certificate_select",
    "SELECT name, size, " UDM_PG_TIME("modified_at") "," UDM_PG_TIME("not_after")
    ", pem, fingerprint FROM udm.certificate WHERE ccid = $1"};
/* clang-format on */

udm_error_t *udm_certificate_get(udm_certificate_info_t **info, apr_pool_t *p, udm_pg_t *db,
                                 const char *ccid)
{
    udm_certificate_info_t *found;
    udm_result_t *row;
    udm_error_t *error;

    *info = NULL;
    error = udm_pg_query(&row, p, db, &certificate_select, 1, &ccid);
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
    UDM_PG_TIME_IN("$6") "," UDM_PG_TIME_IN("$7") ")"
    " ON CONFLICT (ccid) DO UPDATE SET name = excluded.name, pem = excluded.pem,"
    " size = excluded.size, fingerprint = excluded.fingerprint, not_before = excluded.not_before,"
    " not_after = excluded.not_after, modified_at = now())"
    " SELECT udm.audit_write($1, $8, $9, 'certificate.upload', $2, $10, $11,"
    " jsonb_build_object('old', (SELECT fingerprint FROM old), 'new', $5::text))"};
/* clang-format on */

udm_error_t *udm_certificate_put(apr_pool_t *p, udm_pg_t *db, const udm_audit_t *audit,
                                 const char *name, const udm_certificate_t *certificate,
                                 apr_int64_t size)
{
    const char *values[11] = {audit->who->ccid,
                              name,
                              certificate->pem,
                              udm_pg_int(p, size),
                              certificate->fingerprint,
                              udm_pg_time(p, certificate->not_before),
                              udm_pg_time(p, certificate->not_after),
                              audit->who->subject,
                              audit->who->key_id,
                              audit->client_address,
                              audit->request_id};
    udm_result_t *result;

    return udm_pg_query(&result, p, db, &certificate_upsert, 11, values);
}
