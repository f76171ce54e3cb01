/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_certificate.c: which files are taken as the certificate to encrypt to. All of them are made
 * here.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_escape.h>
#include <apr_strings.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "unit.h"
#include "core/certificate.h"

#define DAY 86400
#define NOW apr_time_from_sec(1795500000) /* 2026-11-24T06:00:00Z */

/* What a test certificate is like. */
typedef struct {
    const char *key;   /* "RSA", "RSA-PSS", "ED25519", or a curve */
    int bits;          /* of RSA */
    long from, to;     /* days from NOW */
    const char *usage; /* keyUsage; NULL: none */
} recipe;

static const recipe good_recipe = {"RSA", 2048, -1, 365, NULL};

static EVP_PKEY *make_key(const recipe *r)
{
    EVP_PKEY_CTX *context;
    EVP_PKEY *key = NULL;

    if (strcmp(r->key, "ED25519") == 0) {
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    }
    if (strncmp(r->key, "RSA", 3) != 0) {
        return EVP_EC_gen(r->key);
    }
    context = EVP_PKEY_CTX_new_from_name(NULL, r->key, NULL);
    ck_assert(EVP_PKEY_keygen_init(context) > 0);
    ck_assert(EVP_PKEY_CTX_set_rsa_keygen_bits(context, r->bits) > 0);
    ck_assert(EVP_PKEY_generate(context, &key) > 0);
    EVP_PKEY_CTX_free(context);
    return key;
}

/* A self-signed certificate; `key` gets its private key. */
static X509 *make_x509(EVP_PKEY **key, const recipe *r)
{
    X509 *x509 = X509_new();
    X509_NAME *name = X509_get_subject_name(x509);
    long now = (long)apr_time_sec(NOW);

    *key = make_key(r);
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    ASN1_TIME_set(X509_getm_notBefore(x509), now + r->from * DAY);
    ASN1_TIME_set(X509_getm_notAfter(x509), now + r->to * DAY);
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"A, B", -1, -1, 0);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)"exports", -1, -1,
                               0);
    X509_set_issuer_name(x509, name);
    X509_set_pubkey(x509, *key);
    if (r->usage) {
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, r->usage);

        X509_add_ext(x509, extension, -1);
        X509_EXTENSION_free(extension);
    }
    ck_assert(X509_sign(x509, *key, strcmp(r->key, "ED25519") == 0 ? NULL : EVP_sha256()) > 0);
    return x509;
}

/* What a memory BIO holds, in the test's pool. */
static const char *text_of(BIO *bio)
{
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    const char *text = apr_pstrmemdup(pool, data, (apr_size_t)size);

    BIO_free(bio);
    return text;
}

static const char *make_pem(const recipe *r)
{
    BIO *bio = BIO_new(BIO_s_mem());
    EVP_PKEY *key;
    X509 *x509 = make_x509(&key, r);

    PEM_write_bio_X509(bio, x509);
    X509_free(x509);
    EVP_PKEY_free(key);
    return text_of(bio);
}

static udm_error_t *parse(udm_certificate_t **certificate, const char *text)
{
    return udm_certificate_parse(certificate, pool, text, strlen(text), UDM_ENCRYPTION_SMIME, NOW);
}

static udm_error_t *parse_gcm(udm_certificate_t **certificate, const char *text)
{
    return udm_certificate_parse(certificate, pool, text, strlen(text), UDM_ENCRYPTION_CMS_GCM,
                                 NOW);
}

/* Whichever way files are to be encrypted in. */
static void refuses_bytes(const char *data, apr_size_t size, apr_time_t now, const char *words)
{
    udm_encryption encryption;

    for (encryption = UDM_ENCRYPTION_SMIME; encryption <= UDM_ENCRYPTION_CMS_GCM; encryption++) {
        udm_certificate_t *certificate = (udm_certificate_t *)-1;

        unit_fails(udm_certificate_parse(&certificate, pool, data, size, encryption, now),
                   UDM_E_INVALID, words);
        ck_assert_ptr_null(certificate);
        ck_assert_uint_eq(ERR_peek_error(), 0); /* nothing is left for whoever looks next */
    }
}

static void refuses(const char *text, const char *words)
{
    refuses_bytes(text, strlen(text), NOW, words);
}

static void refuses_recipe(recipe r, const char *words)
{
    refuses(make_pem(&r), words);
}

START_TEST(test_good)
{
    const char *pem = make_pem(&good_recipe);
    udm_certificate_t *certificate;
    unsigned char digest[32];
    unsigned int size = sizeof(digest);
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    unit_ok(parse(&certificate, pem));
    ck_assert_str_eq(certificate->pem, pem);
    ck_assert_str_eq(certificate->subject, "CN=exports,O=A\\, B");
    ck_assert_int_eq(certificate->not_before, NOW - apr_time_from_sec(DAY));
    ck_assert_int_eq(certificate->not_after, NOW + apr_time_from_sec(365 * DAY));
    X509_digest(x509, EVP_sha256(), digest, &size);
    ck_assert_str_eq(certificate->fingerprint, apr_pescape_hex(pool, digest, size, 0));
    ck_assert_uint_eq(ERR_peek_error(), 0);
    X509_free(x509);
    BIO_free(bio);
}
END_TEST

START_TEST(test_text_around)
{
    const char *pem = make_pem(&good_recipe);
    udm_certificate_t *certificate;
    char *windows = apr_pcalloc(pool, 2 * strlen(pem) + 1), *to = windows;
    const char *c;

    unit_ok(parse(&certificate,
                  apr_pstrcat(pool, "Certificate:\n    Data:\n\n", pem, "\nthe end\n", NULL)));
    ck_assert_str_eq(certificate->pem, pem);
    for (c = pem; *c; c++) {
        if (*c == '\n') {
            *to++ = '\r';
        }
        *to++ = *c;
    }
    unit_ok(parse(&certificate, apr_pstrcat(pool, "\xef\xbb\xbf", windows, NULL)));
    ck_assert_str_eq(certificate->pem, pem);
    unit_ok(
        udm_certificate_parse(&certificate, pool, pem, strlen(pem) - 1, UDM_ENCRYPTION_SMIME, NOW));
}
END_TEST

START_TEST(test_key_usage)
{
    recipe r = good_recipe;
    udm_certificate_t *certificate;

    r.usage = "critical,digitalSignature,keyEncipherment";
    unit_ok(parse(&certificate, make_pem(&r)));
    r.usage = "keyEncipherment";
    unit_ok(parse(&certificate, make_pem(&r)));
    r.usage = "digitalSignature,dataEncipherment";
    refuses_recipe(r, "its key usage does not allow encryption of keys");
}
END_TEST

START_TEST(test_validity)
{
    recipe r = good_recipe;
    const char *pem = make_pem(&r);
    udm_certificate_t *certificate;
    apr_time_t from = NOW - apr_time_from_sec(DAY), to = NOW + apr_time_from_sec(365 * DAY);

    unit_ok(
        udm_certificate_parse(&certificate, pool, pem, strlen(pem), UDM_ENCRYPTION_SMIME, from));
    unit_ok(udm_certificate_parse(&certificate, pool, pem, strlen(pem), UDM_ENCRYPTION_SMIME, to));
    refuses_bytes(pem, strlen(pem), from - 1, "not yet valid: it will be at 2026-11-23T06:00:00");
    refuses_bytes(pem, strlen(pem), to + apr_time_from_sec(1),
                  "has expired: it was valid until 2027-11-24T06:00:00");
}
END_TEST

START_TEST(test_other_keys)
{
    refuses_recipe((recipe){"RSA", 1024, -1, 365, NULL}, "has 1024 bits, and 2048 to 16384");
    refuses_recipe((recipe){"RSA", 2047, -1, 365, NULL}, "has 2047 bits");
    refuses_recipe((recipe){"ED25519", 0, -1, 365, NULL}, "is of another kind; an RSA key");
    refuses_recipe((recipe){"RSA-PSS", 2048, -1, 365, NULL}, "RSA-PSS key, which can only sign");
}
END_TEST

/* EC is for cms-gcm alone. */
START_TEST(test_ec)
{
    static const char *const curves[] = {"P-256", "P-384", "P-521"};
    recipe r = {NULL, 0, -1, 365, NULL};
    udm_certificate_t *certificate;
    size_t i;

    for (i = 0; i < 3; i++) {
        const char *pem;

        r.key = curves[i];
        pem = make_pem(&r);
        unit_ok(parse_gcm(&certificate, pem));
        ck_assert_str_eq(certificate->pem, pem);
        unit_fails(parse(&certificate, pem), UDM_E_INVALID, "UDMEncryption cms-gcm");
        unit_fails(parse(&certificate, pem), UDM_E_INVALID, "an RSA key of at least 2048 bits");
    }
    unit_ok(parse_gcm(&certificate, make_pem(&good_recipe)));
    r.key = "ED25519";
    unit_fails(parse_gcm(&certificate, make_pem(&r)), UDM_E_INVALID, "or an EC key on P-256");
    r.key = "secp256k1";
    unit_fails(parse_gcm(&certificate, make_pem(&r)), UDM_E_INVALID,
               "is on curve secp256k1, and P-256, P-384 or P-521");
    r.key = "brainpoolP256r1";
    unit_fails(parse_gcm(&certificate, make_pem(&r)), UDM_E_INVALID, "is on curve brainpoolP256r1");
    r.key = "P-384";
    r.usage = "critical,digitalSignature,keyAgreement";
    unit_ok(parse_gcm(&certificate, make_pem(&r)));
    r.usage = "digitalSignature,keyEncipherment";
    unit_fails(parse_gcm(&certificate, make_pem(&r)), UDM_E_INVALID,
               "its key usage does not allow key agreement");
    r = good_recipe;
    r.usage = "keyAgreement";
    unit_fails(parse_gcm(&certificate, make_pem(&r)), UDM_E_INVALID,
               "its key usage does not allow encryption of keys");
}
END_TEST

/* A curve that is spelled out could be any, whatever it resembles. */
START_TEST(test_explicit_curve)
{
    recipe r = {"P-256", 0, -1, 365, NULL};
    BIO *bio = BIO_new(BIO_s_mem());
    udm_certificate_t *certificate;
    EVP_PKEY *key;
    X509 *x509 = make_x509(&key, &r);

    ck_assert_int_eq(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING,
                                                    OSSL_PKEY_EC_ENCODING_EXPLICIT),
                     1);
    X509_set_pubkey(x509, key);
    ck_assert(X509_sign(x509, key, EVP_sha256()) > 0);
    PEM_write_bio_X509(bio, x509);
    unit_fails(parse_gcm(&certificate, text_of(bio)), UDM_E_INVALID, "spells out its curve");
    ck_assert_uint_eq(ERR_peek_error(), 0);
    X509_free(x509);
    EVP_PKEY_free(key);
}
END_TEST

START_TEST(test_encryption_words)
{
    udm_encryption e = UDM_ENCRYPTION_CMS_GCM;

    ck_assert(udm_encryption_parse(&e, "SMIME"));
    ck_assert_int_eq(e, UDM_ENCRYPTION_SMIME);
    ck_assert(udm_encryption_parse(&e, "cms-gcm"));
    ck_assert_int_eq(e, UDM_ENCRYPTION_CMS_GCM);
    ck_assert(!udm_encryption_parse(&e, "gcm") && !udm_encryption_parse(&e, "") &&
              !udm_encryption_parse(&e, NULL) && !udm_encryption_parse(&e, "smime "));
    ck_assert_int_eq(e, UDM_ENCRYPTION_CMS_GCM);
    for (e = UDM_ENCRYPTION_SMIME; e <= UDM_ENCRYPTION_CMS_GCM; e++) {
        udm_encryption same;

        ck_assert(udm_encryption_parse(&same, udm_encryption_name(e)) && same == e);
    }
    ck_assert_str_eq(udm_encryption_suffix(UDM_ENCRYPTION_SMIME), ".smime");
    ck_assert_str_eq(udm_encryption_suffix(UDM_ENCRYPTION_CMS_GCM), ".p7m");
    for (e = UDM_ENCRYPTION_SMIME; e <= UDM_ENCRYPTION_CMS_GCM; e++) {
        udm_encryption same;

        ck_assert(udm_encryption_parse_suffix(&same, udm_encryption_suffix(e)) && same == e);
    }
    ck_assert(!udm_encryption_parse_suffix(&e, "") && !udm_encryption_parse_suffix(&e, "p7m") &&
              !udm_encryption_parse_suffix(&e, ".P7M"));
    ck_assert_str_eq(udm_encryption_media_type(UDM_ENCRYPTION_SMIME),
                     "application/pkcs7-mime; smime-type=enveloped-data");
    ck_assert_str_eq(udm_encryption_media_type(UDM_ENCRYPTION_CMS_GCM),
                     "application/pkcs7-mime; smime-type=authEnveloped-data");
}
END_TEST

START_TEST(test_chain)
{
    const char *pem = make_pem(&good_recipe);

    refuses(apr_pstrcat(pool, pem, pem, NULL), "more than one certificate (a chain)");
    refuses(apr_pstrcat(pool, pem, "text\n", make_pem(&good_recipe), NULL), "a chain");
}
END_TEST

START_TEST(test_private_key)
{
    BIO *traditional = BIO_new(BIO_s_mem()), *pkcs8 = BIO_new(BIO_s_mem());
    BIO *public = BIO_new(BIO_s_mem()), *locked = BIO_new(BIO_s_mem());
    const char *pem = make_pem(&good_recipe), *text;
    EVP_PKEY *key = make_key(&good_recipe);

    PEM_write_bio_PrivateKey_traditional(traditional, key, NULL, NULL, 0, NULL, NULL);
    PEM_write_bio_PKCS8PrivateKey(pkcs8, key, NULL, NULL, 0, NULL, NULL);
    PEM_write_bio_PKCS8PrivateKey(locked, key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL);
    PEM_write_bio_PUBKEY(public, key);
    EVP_PKEY_free(key);
    text = text_of(traditional);
    refuses(text, "holds a private key");
    refuses(apr_pstrcat(pool, pem, text, NULL), "holds a private key");
    refuses(apr_pstrcat(pool, text, pem, NULL), "holds a private key");
    refuses(apr_pstrcat(pool, pem, "-----BEGIN PRIVATE KEY-----\ndamaged", NULL),
            "holds a private key");
    refuses(text_of(pkcs8), "holds a private key");
    refuses(text_of(locked), "holds a private key");
    refuses(text_of(public), "a block of another kind (PUBLIC KEY)");
}
END_TEST

START_TEST(test_der)
{
    EVP_PKEY *key;
    X509 *x509 = make_x509(&key, &good_recipe);
    BIO *bio = BIO_new(BIO_s_mem());
    unsigned char *der = NULL;
    int size = i2d_X509(x509, &der);

    refuses_bytes((const char *)der, (apr_size_t)size, NOW, "in DER form, and PEM is needed");
    refuses_bytes((const char *)der, (apr_size_t)size / 2, NOW, "the file is binary (DER");
    /* a block that goes on after the certificate */
    der = OPENSSL_realloc(der, (size_t)size + 1);
    der[size] = 0;
    PEM_write_bio(bio, PEM_STRING_X509, "", der, size + 1);
    refuses(text_of(bio), "or a damaged one");
    OPENSSL_free(der);
    X509_free(x509);
    EVP_PKEY_free(key);
}
END_TEST

START_TEST(test_rubbish)
{
    const char *pem = make_pem(&good_recipe);
    char *large = apr_palloc(pool, UDM_CERTIFICATE_MAX_SIZE + 1), *copy;

    refuses("", "the file is empty");
    refuses(" \r\n\n", "the file is empty");
    refuses("\xef\xbb\xbf", "the file is empty");
    refuses("hello", "no certificate in PEM form");
    refuses("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "");
    refuses("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
            "holds no X.509 certificate");
    refuses("-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n",
            "PEM form is damaged");
    refuses(apr_pstrmemdup(pool, pem, strlen(pem) / 2), "PEM form is damaged");
    refuses("-----BEGIN CERTIFICATE REQUEST-----\naGVsbG8=\n-----END CERTIFICATE REQUEST-----\n",
            "another kind (CERTIFICATE REQUEST)");
    refuses_bytes("\0\0\0\0", 4, NOW, "no certificate in PEM form");
    refuses_bytes("\0", 1, NOW, "no certificate in PEM form");
    memset(large, '\n', UDM_CERTIFICATE_MAX_SIZE + 1);
    refuses_bytes(large, UDM_CERTIFICATE_MAX_SIZE + 1, NOW, "65537 bytes");
    /* a byte of the form that is not its own */
    copy = apr_pstrdup(pool, pem);
    copy[40] = copy[40] == 'A' ? 'B' : 'A';
    refuses(copy, "");
}
END_TEST

START_TEST(test_mutations)
{
    static const recipe ec_recipe = {"P-384", 0, -1, 365, "keyAgreement"};
    const char *pem = make_pem(_i == 0 ? &good_recipe : &ec_recipe);
    udm_certificate_t *certificate;
    uint32_t state = 77233117u;
    apr_pool_t *scratch;
    int i;

    apr_pool_create(&scratch, pool);
    for (i = 0; i < 1000; i++) {
        char *text = unit_mutate(&state, pem);
        udm_error_t *error = udm_certificate_parse(&certificate, scratch, text, strlen(text),
                                                   (udm_encryption)_i, NOW);

        ck_assert((error == NULL) == (certificate != NULL));
        ck_assert_uint_eq(ERR_peek_error(), 0);
        free(text);
        apr_pool_clear(scratch);
    }
}
END_TEST

TCase *certificate_case(void)
{
    TCase *tc = unit_case("certificate");

    tcase_add_test(tc, test_good);
    tcase_add_test(tc, test_text_around);
    tcase_add_test(tc, test_key_usage);
    tcase_add_test(tc, test_validity);
    tcase_add_test(tc, test_other_keys);
    tcase_add_test(tc, test_ec);
    tcase_add_test(tc, test_explicit_curve);
    tcase_add_test(tc, test_encryption_words);
    tcase_add_test(tc, test_chain);
    tcase_add_test(tc, test_private_key);
    tcase_add_test(tc, test_der);
    tcase_add_test(tc, test_rubbish);
    tcase_add_loop_test(tc, test_mutations, 0, 2);
    return tc;
}
