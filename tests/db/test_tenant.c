/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_tenant.c: who asks, with which rights; certificates; the audit; the catalog as the API shows
 * it.
 */
#include "dbtest.h"

#include <string.h>

#include <apr_strings.h>

#include "core/text.h"
#include "db/catalog.h"

/* Makes an API key by the function that admins use. */
static udm_apikey_t *make_key(const char *ccid, const char *roles)
{
    udm_apikey_t *key = apr_pcalloc(pool, sizeof(*key));
    const char *text = dbtest_value(apr_psprintf(
        pool, "SELECT udm.create_api_key('%s', 'label of %s', '%s')", ccid, ccid, roles));

    ck_assert(udm_apikey_parse(key, text));
    return key;
}

/* A token that was verified; `role` may be NULL. */
static udm_token_claims_t *make_claims(const char *ccid, const char *role)
{
    udm_token_claims_t *claims = apr_pcalloc(pool, sizeof(*claims));

    claims->subject = "jane";
    claims->ccid = ccid;
    claims->roles = apr_array_make(pool, 2, sizeof(const char *));
    if (role) {
        APR_ARRAY_PUSH(claims->roles, const char *) = role;
    }
    return claims;
}

static void refuse(const udm_apikey_t *key, const udm_token_claims_t *claims, udm_error_kind kind,
                   const char *words)
{
    udm_credentials_t shown = {.pool = pool, .key = key, .claims = claims};

    dbtest_ok(
        udm_tenant_credentials(pool, dbtest_httpd(), (udm_credentials_t *const[]){&shown}, 1));
    dbtest_fails(shown.error, kind, words);
    ck_assert_ptr_null(shown.who);
}

#define BAD_KEY "the API key is not valid"

START_TEST(key_alone)
{
    udm_principal_t *who = dbtest_authenticated(make_key("acme", "{\"UDM UCSX Exporter\"}"), NULL);

    ck_assert_str_eq(who->ccid, "acme");
    ck_assert_str_eq(who->subject, "label of acme");
    ck_assert_ptr_nonnull(who->key_id);
    ck_assert(who->certificate);
    ck_assert_int_eq(who->rights->nelts, 3);
    ck_assert(udm_principal_may(who, "UCS", "Interaction", true));
    ck_assert(udm_principal_may(who, "UCS", "Contact", false));
    ck_assert(udm_principal_may(who, "UCSX", "Interaction", true));
    ck_assert(!udm_principal_may(who, "iWD", "Task", false));
    ck_assert_int_eq(who->roles->nelts, 1);
    ck_assert_str_eq(APR_ARRAY_IDX(who->roles, 0, const char *), "UDM UCSX Exporter");
}
END_TEST

START_TEST(token_alone)
{
    udm_principal_t *who = dbtest_authenticated(NULL, make_claims("acme", "iWD Administrator"));

    ck_assert_str_eq(who->ccid, "acme");
    ck_assert_str_eq(who->subject, "jane");
    ck_assert_ptr_null(who->key_id);
    ck_assert(who->certificate);
    ck_assert_int_eq(who->rights->nelts, 1);
    ck_assert(udm_principal_may(who, "iWD", "Task", true));
    ck_assert_int_eq(who->roles->nelts, 1);
}
END_TEST

/* iWD/Task belongs to acme alone: for the other contact centre it does not exist, whoever asks. */
START_TEST(what_others_own_is_not_there)
{
    udm_principal_t *who = dbtest_authenticated(NULL, make_claims("other", "iWD Administrator"));

    ck_assert_int_eq(who->rights->nelts, 0);
    who = dbtest_authenticated(make_key("other", "{*}"), NULL);
    ck_assert_int_eq(who->rights->nelts, 3);
    ck_assert(!udm_principal_may(who, "iWD", "Task", false));
    who = dbtest_authenticated(make_key("acme", "{*}"), NULL);
    ck_assert_int_eq(who->rights->nelts, 4);
}
END_TEST

START_TEST(both_have_what_both_grant)
{
    udm_principal_t *who =
        dbtest_authenticated(make_key("acme", "{\"*\"}"), make_claims("acme", "iWD Administrator"));

    ck_assert_str_eq(who->subject, "jane");
    ck_assert_ptr_nonnull(who->key_id);
    ck_assert_int_eq(who->rights->nelts, 1);
    ck_assert(udm_principal_may(who, "iWD", "Task", true));
    ck_assert(who->certificate);
    ck_assert_int_eq(who->roles->nelts, 1);
    ck_assert_str_eq(APR_ARRAY_IDX(who->roles, 0, const char *), "iWD Administrator");

    who = dbtest_authenticated(make_key("acme", "{\"UDM UCSX Exporter\"}"),
                               make_claims("acme", "iWD Administrator"));
    ck_assert_int_eq(who->rights->nelts, 0);
    ck_assert_int_eq(who->roles->nelts, 0);
}
END_TEST

/* Each of several gets what it would get alone, and in its place. */
START_TEST(many_at_once)
{
    udm_apikey_t *good = make_key("acme", "{*}"), *other = make_key("other", "{Reader}");
    udm_apikey_t wrong = *good;
    udm_credentials_t c[] = {{.key = good},
                             {.key = &wrong},
                             {.claims = make_claims("nowhere", NULL)},
                             {.key = other, .claims = make_claims("acme", NULL)},
                             {.key = other, .claims = make_claims("other", "Reader")},
                             {.claims = make_claims("acme", "iWD Administrator")},
                             {.key = good}};
    udm_credentials_t *shown[7];
    unsigned i;

    wrong.secret_sha256[0] ^= 1;
    for (i = 0; i < 7; i++) {
        c[i].pool = pool;
        shown[i] = &c[i];
    }
    dbtest_ok(udm_tenant_credentials(pool, dbtest_httpd(), shown, 7));
    dbtest_ok(c[0].error);
    ck_assert_str_eq(c[0].who->subject, "label of acme");
    dbtest_fails(c[1].error, UDM_E_UNAUTHENTICATED, BAD_KEY);
    dbtest_fails(c[2].error, UDM_E_FORBIDDEN, "not known here");
    dbtest_fails(c[3].error, UDM_E_FORBIDDEN, "different contact centers");
    dbtest_ok(c[4].error);
    ck_assert_str_eq(c[4].who->ccid, "other");
    ck_assert_str_eq(APR_ARRAY_IDX(c[4].who->roles, 0, const char *), "Reader");
    dbtest_ok(c[5].error);
    ck_assert_str_eq(c[5].who->ccid, "acme");
    ck_assert_ptr_null(c[5].who->key_id);
    dbtest_ok(c[6].error);
    ck_assert_str_eq(c[6].who->key_id, good->id);
    ck_assert(!c[1].who && !c[2].who && !c[3].who);
}
END_TEST

/* Whatever can change what somebody may do changes the generation; nothing else does. */
START_TEST(generation_of_rights)
{
    static const struct {
        const char *sql;
        bool changes;
    } cases[] = {
        {"INSERT INTO udm.role VALUES ('R', true, false, false)", true},
        {"UPDATE udm.role SET may_write = true WHERE name = 'R'", true},
        {"INSERT INTO udm.role_grant (role, source) VALUES ('R', 'UCS')", true},
        {"UPDATE udm.role_grant SET source = 'UCSX' WHERE role = 'R'", true},
        {"DELETE FROM udm.role_grant WHERE role = 'R'", true},
        {"DELETE FROM udm.role WHERE name = 'R'", true},
        {"SELECT udm.register_source('New', 'DataSync')", true},
        {"UPDATE udm.data_type SET tenants = '{other}' WHERE name = 'Task'", true},
        {"UPDATE udm.source SET family = family WHERE name = 'iWD'", true},
        {"DELETE FROM udm.data_type WHERE name = 'Task'", true},
        {"UPDATE udm.gone_type SET family = 'UCS'", true},
        {"DELETE FROM udm.gone_type", true},
        {"TRUNCATE udm.role_grant", true},
        {"UPDATE udm.api_key SET last_used_at = now()", false},
        {"SELECT udm.create_tenant('one more')", false},
    };
    const char *before = dbtest_value("SELECT generation::text FROM udm.rights_generation");
    unsigned i;

    make_key("acme", "{*}");
    for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *after;

        dbtest_exec(cases[i].sql);
        after = dbtest_value("SELECT generation::text FROM udm.rights_generation");
        ck_assert_msg((strcmp(before, after) != 0) == cases[i].changes, "%s: %s", cases[i].sql,
                      after);
        before = after;
    }
}
END_TEST

START_TEST(read_write_and_certificate_are_apart)
{
    udm_principal_t *who;

    dbtest_exec("INSERT INTO udm.role VALUES ('UCS Reader', true, false, false),"
                " ('Uploader', false, false, true), ('Nothing', false, false, false);"
                "INSERT INTO udm.role_grant VALUES ('UCS Reader', NULL, 'UCS', NULL),"
                " ('Nothing', NULL, NULL, NULL)");
    who = dbtest_authenticated(make_key("acme", "{UCS Reader}"), NULL);
    ck_assert(!who->certificate);
    ck_assert(udm_principal_may(who, "UCS", "Interaction", false));
    ck_assert(!udm_principal_may(who, "UCS", "Interaction", true));
    ck_assert(!udm_principal_may(who, "UCSX", "Interaction", false));

    who = dbtest_authenticated(make_key("acme", "{Uploader}"), NULL);
    ck_assert(who->certificate);
    ck_assert(!udm_principal_may(who, "UCS", "Interaction", false));

    who =
        dbtest_authenticated(make_key("acme", "{Reader,Uploader}"), make_claims("acme", "Reader"));
    ck_assert(!who->certificate);
    ck_assert(udm_principal_may(who, "UCS", "Contact", false));

    who = dbtest_authenticated(make_key("acme", "{Nothing}"), NULL);
    ck_assert(!udm_principal_may(who, "UCS", "Interaction", false));
    ck_assert(!who->certificate);
}
END_TEST

START_TEST(no_role_no_right)
{
    udm_principal_t *who = dbtest_authenticated(NULL, make_claims("acme", NULL));

    ck_assert_int_eq(who->rights->nelts, 0);
    ck_assert(!who->certificate);
    ck_assert_int_eq(who->roles->nelts, 0);

    who = dbtest_authenticated(NULL, make_claims("acme", "no such role"));
    ck_assert_int_eq(who->rights->nelts, 0);
    ck_assert(!who->certificate);
}
END_TEST

START_TEST(bad_keys_are_alike)
{
    udm_apikey_t *key = make_key("acme", "{*}");
    udm_apikey_t *wrong = apr_pmemdup(pool, key, sizeof(*key));
    udm_apikey_t *unknown = apr_pmemdup(pool, key, sizeof(*key));

    wrong->secret_sha256[UDM_SHA256_SIZE - 1] ^= 1;
    refuse(wrong, NULL, UDM_E_UNAUTHENTICATED, BAD_KEY);
    strcpy(unknown->id, "ffffffffffff");
    refuse(unknown, NULL, UDM_E_UNAUTHENTICATED, BAD_KEY);
    dbtest_authenticated(key, NULL);
    ck_assert_str_eq(dbtest_value(apr_psprintf(pool, "SELECT udm.revoke_api_key('%s')", key->id)),
                     "t");
    refuse(key, NULL, UDM_E_UNAUTHENTICATED, BAD_KEY);
    refuse(key, make_claims("acme", "iWD Administrator"), UDM_E_UNAUTHENTICATED, BAD_KEY);
}
END_TEST

START_TEST(expired_key_says_so_to_its_owner_only)
{
    udm_apikey_t *key = make_key("acme", "{*}");

    dbtest_exec("UPDATE udm.api_key SET expires_at = now() + interval '1 hour'");
    dbtest_authenticated(key, NULL);
    dbtest_exec("UPDATE udm.api_key SET expires_at = now()");
    refuse(key, NULL, UDM_E_UNAUTHENTICATED, "the API key has expired");
    key->secret_sha256[0] ^= 1;
    refuse(key, NULL, UDM_E_UNAUTHENTICATED, BAD_KEY);
}
END_TEST

START_TEST(tenants_must_agree)
{
    udm_apikey_t *key = make_key("acme", "{*}");

    refuse(key, make_claims("other", "iWD Administrator"), UDM_E_FORBIDDEN,
           "different contact centers");
    refuse(key, make_claims("nobody", "iWD Administrator"), UDM_E_FORBIDDEN,
           "different contact centers");
    refuse(NULL, make_claims("nobody", "iWD Administrator"), UDM_E_FORBIDDEN, "not known here");
}
END_TEST

START_TEST(use_is_noted_once_a_minute)
{
    udm_apikey_t *key = make_key("acme", "{*}");
    udm_apikey_t *wrong = apr_pmemdup(pool, key, sizeof(*key));

    wrong->secret_sha256[0] ^= 1;
    refuse(wrong, NULL, UDM_E_UNAUTHENTICATED, BAD_KEY);
    ck_assert_ptr_null(dbtest_value("SELECT last_used_at FROM udm.api_key"));
    dbtest_authenticated(key, NULL);
    ck_assert_str_eq(dbtest_value("SELECT now() - last_used_at < interval '1 minute'"
                                  " FROM udm.api_key"),
                     "t");
    dbtest_exec("UPDATE udm.api_key SET last_used_at = now() - interval '50 seconds'");
    dbtest_authenticated(key, NULL);
    ck_assert_str_eq(dbtest_value("SELECT now() - last_used_at > interval '45 seconds'"
                                  " FROM udm.api_key"),
                     "t");
    dbtest_exec("UPDATE udm.api_key SET last_used_at = now() - interval '61 seconds'");
    dbtest_authenticated(key, NULL);
    ck_assert_str_eq(dbtest_value("SELECT now() - last_used_at < interval '45 seconds'"
                                  " FROM udm.api_key"),
                     "t");
    dbtest_exec("UPDATE udm.api_key SET last_used_at = NULL, revoked_at = now()");
    refuse(key, NULL, UDM_E_UNAUTHENTICATED, BAD_KEY);
    ck_assert_ptr_null(dbtest_value("SELECT last_used_at FROM udm.api_key"));
}
END_TEST

/* The last line of the audit, its columns with a bar between them. */
static const char *last_audit(void)
{
    return dbtest_value("SELECT concat_ws('|', ccid, subject, coalesce(key_id, '-'), action,"
                        " coalesce(object, '-'), client_address, request_id, detail)"
                        " FROM udm.audit ORDER BY id DESC LIMIT 1");
}

START_TEST(audit_lines)
{
    udm_principal_t *who = dbtest_principal("acme");
    udm_audit_t nobody = {NULL, "192.0.2.7", "request-2"};

    who->key_id = "0123456789ab";
    dbtest_ok(udm_audit_write(pool, dbtest_httpd(), dbtest_audit(who), NULL, "job.create", "thing",
                              "{\"a\": 1}"));
    ck_assert_str_eq(last_audit(),
                     "acme|tester|0123456789ab|job.create|thing|192.0.2.1|request-1|{\"a\": 1}");
    dbtest_ok(udm_audit_write(pool, dbtest_httpd(), &nobody, "other", "job.create", NULL, NULL));
    ck_assert_str_eq(last_audit(), "other|-|job.create|-|192.0.2.7|request-2");
}
END_TEST

/* A certificate as core would have read it. */
static udm_certificate_t *make_certificate(char digit)
{
    udm_certificate_t *certificate = apr_pcalloc(pool, sizeof(*certificate));
    char *fingerprint = apr_palloc(pool, 65);

    memset(fingerprint, digit, 64);
    fingerprint[64] = '\0';
    certificate->pem = apr_psprintf(pool, "pem %c", digit);
    certificate->fingerprint = fingerprint;
    certificate->subject = "CN=x";
    certificate->not_before = apr_time_from_sec(1700000000);
    certificate->not_after = apr_time_from_sec(4000000000);
    return certificate;
}

START_TEST(certificates)
{
    udm_principal_t *who = dbtest_principal("other");
    udm_certificate_info_t *info;

    dbtest_fails(udm_certificate_get(&info, pool, dbtest_httpd(), "other"), UDM_E_NOT_FOUND,
                 "POST .../cipher/{name}");
    dbtest_ok(udm_certificate_put(pool, dbtest_httpd(), dbtest_audit(who), "first.pem",
                                  make_certificate('1'), 1234));
    dbtest_ok(udm_certificate_get(&info, pool, dbtest_httpd(), "other"));
    ck_assert_str_eq(info->name, "first.pem");
    ck_assert_int_eq(info->size, 1234);
    ck_assert_str_eq(info->pem, "pem 1");
    ck_assert_int_eq(info->not_after, apr_time_from_sec(4000000000));
    ck_assert_ptr_nonnull(strstr(last_audit(), "certificate.upload|first.pem|192.0.2.1"));
    ck_assert_ptr_nonnull(strstr(last_audit(), "\"old\": null"));

    dbtest_exec("UPDATE udm.certificate SET modified_at = '2020-01-01Z'");
    dbtest_ok(udm_certificate_put(pool, dbtest_httpd(), dbtest_audit(who), "second.pem",
                                  make_certificate('2'), 4321));
    dbtest_ok(udm_certificate_get(&info, pool, dbtest_httpd(), "other"));
    ck_assert_str_eq(info->name, "second.pem");
    ck_assert_int_eq(info->size, 4321);
    ck_assert_int_eq(info->fingerprint[63], '2');
    ck_assert_str_eq(dbtest_value("SELECT now() - modified_at < interval '1 hour' FROM"
                                  " udm.certificate WHERE ccid = 'other'"),
                     "t");
    ck_assert_str_eq(dbtest_value("SELECT detail->>'old' = repeat('1', 64)"
                                  " AND detail->>'new' = repeat('2', 64) FROM udm.audit"
                                  " ORDER BY id DESC LIMIT 1"),
                     "t");

    dbtest_ok(udm_certificate_get(&info, pool, dbtest_httpd(), "acme"));
    ck_assert_str_eq(info->pem, dbtest_certificate_pem);
}
END_TEST

START_TEST(encryption_of_a_tenant)
{
    udm_encryption e = UDM_ENCRYPTION_CMS_GCM;
    udm_error_t *error;

    /* Nothing is said: what the caller has stays. */
    dbtest_ok(udm_tenant_encryption(&e, pool, dbtest_httpd(), "acme"));
    ck_assert_int_eq(e, UDM_ENCRYPTION_CMS_GCM);
    e = UDM_ENCRYPTION_SMIME;
    dbtest_ok(udm_tenant_encryption(&e, pool, dbtest_httpd(), "acme"));
    ck_assert_int_eq(e, UDM_ENCRYPTION_SMIME);
    dbtest_exec("SELECT udm.set_encryption('acme', 'cms-gcm')");
    dbtest_ok(udm_tenant_encryption(&e, pool, dbtest_httpd(), "other"));
    ck_assert_int_eq(e, UDM_ENCRYPTION_SMIME);
    error = udm_tenant_encryption(&e, pool, dbtest_httpd(), "nobody");
    ck_assert_ptr_nonnull(error);
    ck_assert_int_eq(error->kind, UDM_E_FORBIDDEN);
    dbtest_ok(udm_tenant_encryption(&e, pool, dbtest_httpd(), "acme"));
    ck_assert_int_eq(e, UDM_ENCRYPTION_CMS_GCM);
    dbtest_exec("SELECT udm.set_encryption('acme', 'smime')");
    dbtest_ok(udm_tenant_encryption(&e, pool, dbtest_httpd(), "acme"));
    ck_assert_int_eq(e, UDM_ENCRYPTION_SMIME);
}
END_TEST

START_TEST(catalog_types_whole)
{
    udm_data_type_t *type;

    dbtest_ok(udm_catalog_type(&type, pool, dbtest_worker(), "Contact History", "Interaction"));
    ck_assert_str_eq(type->source, "UCS");
    ck_assert_str_eq(type->family, "UCS");
    ck_assert(!type->records);
    ck_assert_str_eq(type->connection, "demo");
    ck_assert_str_eq(type->name, "Interaction");
    ck_assert_str_eq(type->relation_schema, "demo");
    ck_assert_str_eq(type->relation_name, "interaction");
    ck_assert_str_eq(type->tenant_column, "ccid");
    ck_assert_ptr_null(type->tenants);
    ck_assert_str_eq(type->key_column, "id");
    ck_assert_str_eq(type->time_column, "start_date");
    ck_assert_str_eq(type->subtype_column, "entity_type");
    ck_assert_str_eq(type->media_column, "media_type");
    ck_assert_ptr_null(type->columns);
    ck_assert_str_eq(type->attachment_relation, "document");
    ck_assert_str_eq(type->attachment_tenant_column, "ccid");
    ck_assert_str_eq(type->attachment_content_column, "content");
    ck_assert_int_eq(type->sub_types->nelts, 3);
    ck_assert_str_eq(APR_ARRAY_IDX(type->sub_types, 0, udm_value_t).value, "2");
    ck_assert_str_eq(APR_ARRAY_IDX(type->sub_types, 0, udm_value_t).name, "CHAT");
    ck_assert_int_eq(type->media->nelts, 3);

    dbtest_exec("UPDATE udm.data_type SET columns = '{id,title}' WHERE name = 'Task'");
    dbtest_ok(udm_catalog_type(&type, pool, dbtest_worker(), "iWD", "Task"));
    ck_assert_str_eq(type->source_label, "Workload");
    ck_assert_ptr_null(type->tenant_column);
    ck_assert_int_eq(type->tenants->nelts, 1);
    ck_assert_str_eq(APR_ARRAY_IDX(type->tenants, 0, const char *), "acme");
    ck_assert_int_eq(type->columns->nelts, 2);
    ck_assert_ptr_null(type->time_column);
    ck_assert_ptr_null(type->attachment_schema);
    ck_assert_int_eq(type->sub_types->nelts, 0);

    dbtest_ok(udm_catalog_type(&type, pool, dbtest_worker(), "UCSX", "Interaction"));
    ck_assert(type->records);
    dbtest_fails(udm_catalog_type(&type, pool, dbtest_worker(), "UCS", "Task"), UDM_E_NOT_FOUND,
                 "Task");
    dbtest_fails(udm_catalog_type(&type, pool, dbtest_worker(), "ucs", "Contact"), UDM_E_NOT_FOUND,
                 "ucs");
}
END_TEST

START_TEST(catalog_shows_what_may_be_read)
{
    udm_principal_t *who = dbtest_principal("acme");
    apr_array_header_t *found;

    dbtest_ok(udm_catalog_sources(&found, pool, dbtest_httpd(), who));
    ck_assert_int_eq(found->nelts, 3);
    ck_assert_str_eq(APR_ARRAY_IDX(found, 2, udm_value_t).value, "iWD");
    ck_assert_str_eq(APR_ARRAY_IDX(found, 2, udm_value_t).label, "Workload");
    dbtest_ok(udm_catalog_types(&found, pool, dbtest_httpd(), who, NULL));
    ck_assert_int_eq(found->nelts, 4);
    dbtest_ok(udm_catalog_types(&found, pool, dbtest_httpd(), who, "Contact History"));
    ck_assert_int_eq(found->nelts, 2);
    ck_assert_str_eq(APR_ARRAY_IDX(found, 0, udm_type_name_t).name, "Contact");
    ck_assert_str_eq(APR_ARRAY_IDX(found, 0, udm_type_name_t).source, "UCS");
    dbtest_ok(udm_catalog_types(&found, pool, dbtest_httpd(), who, "nothing"));
    ck_assert_int_eq(found->nelts, 0);

    who = dbtest_principal_of("acme", "UCS", "Contact", true, false);
    dbtest_ok(udm_catalog_sources(&found, pool, dbtest_httpd(), who));
    ck_assert_int_eq(found->nelts, 1);
    ck_assert_str_eq(APR_ARRAY_IDX(found, 0, udm_value_t).value, "UCS");
    dbtest_ok(udm_catalog_types(&found, pool, dbtest_httpd(), who, "UCS"));
    ck_assert_int_eq(found->nelts, 1);

    who = dbtest_principal_of("acme", "UCS", "Contact", false, true);
    dbtest_ok(udm_catalog_sources(&found, pool, dbtest_httpd(), who));
    ck_assert_int_eq(found->nelts, 0);
    dbtest_ok(udm_catalog_types(&found, pool, dbtest_httpd(), who, NULL));
    ck_assert_int_eq(found->nelts, 0);
}
END_TEST

TCase *tenant_case(void)
{
    TCase *tc = dbtest_case("tenant");

    tcase_add_test(tc, key_alone);
    tcase_add_test(tc, token_alone);
    tcase_add_test(tc, what_others_own_is_not_there);
    tcase_add_test(tc, both_have_what_both_grant);
    tcase_add_test(tc, many_at_once);
    tcase_add_test(tc, generation_of_rights);
    tcase_add_test(tc, read_write_and_certificate_are_apart);
    tcase_add_test(tc, no_role_no_right);
    tcase_add_test(tc, bad_keys_are_alike);
    tcase_add_test(tc, expired_key_says_so_to_its_owner_only);
    tcase_add_test(tc, tenants_must_agree);
    tcase_add_test(tc, use_is_noted_once_a_minute);
    tcase_add_test(tc, audit_lines);
    tcase_add_test(tc, certificates);
    tcase_add_test(tc, encryption_of_a_tenant);
    tcase_add_test(tc, catalog_types_whole);
    tcase_add_test(tc, catalog_shows_what_may_be_read);
    return tc;
}
