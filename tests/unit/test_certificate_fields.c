/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_certificate_fields.c: certificates that are odd beside their keys: extensions, versions,
 * times and subjects.
 */
#include <string.h>

#include <apr_strings.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "unit.h"
#include "certificatetest.h"
#include "core/certificate.h"

/* With an extension, of OpenSSL's own writing or (`raw`) of these bytes. */
static const char *extended(int nid, const char *value, const char *object, int critical, der raw,
                            int times)
{
    EVP_PKEY *signer;
    X509 *x509 = certificatetest_make(&signer);
    X509_EXTENSION *extension;
    int i;

    if (value) {
        extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    }
    else {
        ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
        ASN1_OBJECT *kind = OBJ_txt2obj(object, 1);

        ASN1_OCTET_STRING_set(octets, raw.data, raw.size);
        extension = X509_EXTENSION_create_by_OBJ(NULL, kind, critical, octets);
        ASN1_OCTET_STRING_free(octets);
        ASN1_OBJECT_free(kind);
    }
    ck_assert_ptr_nonnull(extension);
    for (i = 0; i < times; i++) {
        X509_add_ext(x509, extension, -1);
    }
    X509_EXTENSION_free(extension);
    return certificatetest_finish(x509, signer);
}

START_TEST(test_extensions)
{
    static const char usage[] = "2.5.29.15", other[] = "1.3.6.1.4.1.99999.7";
    const der none = {(unsigned char *)"", 0};
    der large = {apr_pcalloc(pool, 40000), 40000};

    certificatetest_takes(extended(NID_ext_key_usage, "critical,codeSigning", NULL, 0, none, 1));
    certificatetest_takes(extended(NID_basic_constraints, "critical,CA:TRUE", NULL, 0, none, 1));
    certificatetest_takes(extended(NID_key_usage, "critical,keyEncipherment", NULL, 0, none, 1));
    certificatetest_refuses(
        extended(NID_key_usage, "critical,keyCertSign,cRLSign", NULL, 0, none, 1),
        "its key usage does not allow encryption of keys");
    certificatetest_refuses(extended(NID_key_usage, "keyEncipherment", NULL, 0, none, 2),
                            "extensions are damaged");
    /* a usage of nothing, and rubbish */
    certificatetest_refuses(extended(0, NULL, usage, 1, certificatetest_bytes("\x03\x01\0", 3), 1),
                            "the certificate");
    certificatetest_refuses(extended(0, NULL, usage, 1, certificatetest_bytes("hello", 5), 1),
                            "extensions are damaged");
    certificatetest_refuses(extended(0, NULL, usage, 0, none, 1), "extensions are damaged");
    certificatetest_refuses(extended(0, NULL, "2.5.29.19", 1, certificatetest_bytes("hello", 5), 1),
                            "extensions are damaged");
    /* what is not known is passed over, unless it must not be */
    certificatetest_takes(extended(0, NULL, other, 0, certificatetest_bytes("hello", 5), 1));
    certificatetest_refuses(extended(0, NULL, other, 1, certificatetest_bytes("hello", 5), 1),
                            "critical extension that is not known");
    certificatetest_takes(extended(0, NULL, other, 0, large, 1));
    large.size = 40000;
    certificatetest_refuses(extended(0, NULL, other, 0, large, 2),
                            "a certificate has at most 65536");
}
END_TEST

START_TEST(test_versions)
{
    EVP_PKEY *signer;
    X509 *x509 = certificatetest_make(&signer);

    X509_set_version(x509, X509_VERSION_1);
    certificatetest_takes(certificatetest_finish(x509, signer));
    x509 = certificatetest_make(&signer);
    ASN1_INTEGER_set_int64(X509_get_serialNumber(x509), -7);
    certificatetest_takes(certificatetest_finish(x509, signer));
    x509 = certificatetest_make(&signer);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 0);
    certificatetest_takes(certificatetest_finish(x509, signer));
    x509 = certificatetest_make(&signer);
    BN_to_ASN1_INTEGER(certificatetest_odd_bits(4096), X509_get_serialNumber(x509));
    certificatetest_takes(certificatetest_finish(x509, signer));
}
END_TEST

/* With these times, which nobody checks on their way in. */
static const char *timed(int type, const char *before, const char *after)
{
    const char *const texts[2] = {before, after};
    EVP_PKEY *signer;
    X509 *x509 = certificatetest_make(&signer);
    int i;

    for (i = 0; i < 2; i++) {
        ASN1_TIME *time = i == 0 ? X509_getm_notBefore(x509) : X509_getm_notAfter(x509);

        if (texts[i]) {
            ASN1_STRING_set(time, texts[i], -1);
            time->type = type;
        }
    }
    return certificatetest_finish(x509, signer);
}

START_TEST(test_times)
{
    const int general = V_ASN1_GENERALIZEDTIME, utc = V_ASN1_UTCTIME;
    const char *pem = timed(general, NULL, "99991231235959Z");
    udm_certificate_t *certificate;

    certificatetest_takes(pem);
    unit_ok(udm_certificate_parse(&certificate, pool, pem, strlen(pem), UDM_ENCRYPTION_SMIME, NOW));
    ck_assert_int_eq(certificate->not_after, apr_time_from_sec(APR_INT64_C(253402300799)));
    certificatetest_takes(timed(general, "00010101000000Z", NULL)); /* what .NET calls no time */
    certificatetest_takes(timed(general, "00000101000000Z", NULL));
    certificatetest_takes(timed(general, "16010101000000Z", NULL)); /* and Windows */
    certificatetest_takes(timed(utc, "500101000000Z", NULL));       /* 1950 */
    certificatetest_refuses(timed(utc, NULL, "500101000000Z"),
                            "has expired: it was valid until 1950-01-01");
    certificatetest_refuses(timed(general, "99991231235959Z", NULL),
                            "not yet valid: it will be at 9999-12-31");
    /* both ends the wrong way round */
    certificatetest_refuses(timed(utc, "300101000000Z", "200101000000Z"), "the certificate");
    certificatetest_refuses(timed(utc, NULL, "301301000000Z"), "dates of validity are damaged");
    certificatetest_refuses(timed(utc, NULL, "300230000000Z"), "dates of validity are damaged");
    certificatetest_refuses(timed(utc, NULL, "300101250000Z"), "dates of validity are damaged");
    certificatetest_refuses(timed(utc, "hello", NULL), "dates of validity are damaged");
    certificatetest_refuses(timed(utc, "", NULL), "dates of validity are damaged");
    certificatetest_refuses(timed(general, NULL, "20300101000000"),
                            "dates of validity are damaged");
    certificatetest_refuses(timed(general, NULL, "-0300101000000Z"),
                            "dates of validity are damaged");
    certificatetest_refuses(timed(general, NULL, "99999999999999Z"),
                            "dates of validity are damaged");
}
END_TEST

/* With this subject, which nobody checks on its way in. */
static const char *named(int type, const char *text, int size)
{
    EVP_PKEY *signer;
    X509 *x509 = certificatetest_make(&signer);
    X509_NAME *name = X509_NAME_new();

    if (type) {
        X509_NAME_ENTRY *entry = X509_NAME_ENTRY_create_by_NID(
            NULL, NID_commonName, V_ASN1_UTF8STRING, (const unsigned char *)"x", 1);
        ASN1_STRING *data = X509_NAME_ENTRY_get_data(entry);

        ASN1_STRING_set(data, text, size);
        data->type = type;
        X509_NAME_add_entry(name, entry, -1, 0);
        X509_NAME_ENTRY_free(entry);
    }
    ck_assert(X509_set_subject_name(x509, name));
    X509_NAME_free(name);
    return certificatetest_finish(x509, signer);
}

/* With these three bytes in place of both "odd". */
static const char *renamed(const char *text)
{
    EVP_PKEY *signer;
    X509 *x509 = certificatetest_make(&signer);
    BIO *bio = BIO_new(BIO_s_mem());
    unsigned char *data = NULL, *at;
    const char *pem;
    int size;

    ck_assert(X509_sign(x509, signer, EVP_sha256()) > 0);
    size = i2d_X509(x509, &data);
    while ((at = memmem(data, (size_t)size, "odd", 3))) {
        memcpy(at, text, 3);
    }
    PEM_write_bio(bio, PEM_STRING_X509, "", data, size);
    size = (int)BIO_get_mem_data(bio, (char **)&at);
    pem = apr_pstrmemdup(pool, (char *)at, (apr_size_t)size);
    OPENSSL_free(data);
    BIO_free(bio);
    X509_free(x509);
    EVP_PKEY_free(signer);
    return pem;
}

static const char *subject_of(const char *pem)
{
    udm_certificate_t *certificate;

    unit_ok(udm_certificate_parse(&certificate, pool, pem, strlen(pem), UDM_ENCRYPTION_SMIME, NOW));
    certificatetest_takes(pem);
    return certificate->subject;
}

START_TEST(test_subjects)
{
    const int utf8 = V_ASN1_UTF8STRING;

    ck_assert_str_eq(subject_of(named(0, NULL, 0)), "");
    ck_assert_str_eq(subject_of(named(utf8, "a\0b.example.com", 15)), "CN=a\\00b.example.com");
    ck_assert_str_eq(subject_of(named(utf8, "a\r\nUDM0001: b", 13)), "CN=a\\0D\\0AUDM0001: b");
    ck_assert_str_eq(subject_of(named(utf8, "G\xc3\xa4ste", 6)), "CN=G\\C3\\A4ste");
    ck_assert_str_eq(subject_of(named(V_ASN1_BMPSTRING, "\0a\0b", 4)), "CN=ab");
    ck_assert_str_eq(subject_of(named(V_ASN1_T61STRING, "a\xe4", 2)), "CN=a\\C3\\A4");
    /* text that is not in the encoding that it says, which OpenSSL makes no names of */
    certificatetest_refuses(renamed("od\xff"), "certificate");
    certificatetest_refuses(renamed("o\xc3\xc3"), "certificate");
    certificatetest_refuses(renamed("\xed\xa0\x80"), "certificate");
}
END_TEST

TCase *certificate_fields_case(void)
{
    TCase *tc = unit_case("certificate_fields");

    tcase_add_test(tc, test_extensions);
    tcase_add_test(tc, test_versions);
    tcase_add_test(tc, test_times);
    tcase_add_test(tc, test_subjects);
    return tc;
}
