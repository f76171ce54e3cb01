/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_envelope.c: S/MIME text as `openssl smime -decrypt` reads it, and never larger than promised.
 */
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "core/text.h"
#include "export/envelope.h"
#include "scratch.h"

static EVP_PKEY *key;

/* A certificate for a new key of so many bits. */
static const char *certificate(unsigned bits, const char *name)
{
    X509 *x509 = X509_new();
    BIO *out = BIO_new(BIO_s_mem());
    X509_NAME *subject = X509_get_subject_name(x509);
    const char *pem;
    char *text;
    long size;

    key = EVP_RSA_gen(bits);
    ck_assert_ptr_nonnull(key);
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 0x12345678);
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 86400);
    for (int i = 0; i < 3; i++) {
        X509_NAME_add_entry_by_txt(subject, "OU", MBSTRING_UTF8, (const unsigned char *)name, -1,
                                   -1, 0);
    }
    X509_set_issuer_name(x509, subject);
    X509_set_pubkey(x509, key);
    ck_assert_int_gt(X509_sign(x509, key, EVP_sha256()), 0);
    ck_assert_int_eq(PEM_write_bio_X509(out, x509), 1);
    size = BIO_get_mem_data(out, &text);
    pem = apr_pstrmemdup(pool, text, (apr_size_t)size);
    BIO_free(out);
    X509_free(x509);
    return pem;
}

static udm_error_t *to_buffer(void *context, const void *data, apr_size_t size)
{
    udm_buffer_add(context, data, size);
    return NULL;
}

static udm_error_t *full(void *context, const void *data, apr_size_t size)
{
    int *left = context;

    return (*left)-- > 0 ? NULL : udm_error_make(pool, UDM_E_STORE, "the store is full");
}

/* The envelope of `data`, written in pieces of `piece` bytes; checks size and hash. */
static udm_buffer_t *wrap(const udm_recipient_t *recipient, const unsigned char *data,
                          apr_size_t size, apr_size_t piece)
{
    udm_buffer_t *out = udm_buffer_make(pool);
    udm_sink_t sink = {to_buffer, out};
    udm_envelope_t *envelope;
    unsigned char digest[32];
    const char *sha256;
    apr_int64_t total;

    unit_ok(udm_envelope_open(&envelope, pool, recipient, &sink));
    for (apr_size_t done = 0; done < size; done += piece) {
        unit_ok(
            udm_envelope_write(envelope, data + done, piece < size - done ? piece : size - done));
    }
    unit_ok(udm_envelope_finish(&total, &sha256, pool, envelope));
    ck_assert_int_eq(total, (apr_int64_t)out->size);
    ck_assert_int_eq(EVP_Digest(out->data, out->size, digest, NULL, EVP_sha256(), NULL), 1);
    ck_assert_str_eq(sha256, udm_text_hex(pool, digest, sizeof(digest)));
    ck_assert_uint_eq(ERR_peek_error(), 0);
    return out;
}

static const unsigned char *bytes(apr_size_t size)
{
    unsigned char *data = apr_palloc(pool, size + 1);
    uint32_t state = 99;

    for (apr_size_t i = 0; i < size; i++) {
        data[i] = (unsigned char)(unit_random(&state) >> 7);
    }
    /* What text mode would damage. */
    if (size > 4) {
        memcpy(data, "\r\n\n\r", 4);
    }
    return data;
}

static void write_file(const char *path, const void *data, apr_size_t size)
{
    FILE *file = fopen(path, "wb");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(as_openssl_reads_it)
{
    static const apr_size_t sizes[] = {0, 1, 15, 16, 47, 48, 4096, 65536, 65537, 1000003};
    const char *dir = scratch_dir();
    udm_recipient_t *recipient;
    FILE *file;

    unit_ok(udm_recipient_make(&recipient, pool, certificate(2048, "unit")));
    file = fopen(apr_pstrcat(pool, dir, "/key", NULL), "w");
    ck_assert_int_eq(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const unsigned char *data = bytes(sizes[i]);
        udm_buffer_t *text = wrap(recipient, data, sizes[i], 1 + 7919 * i);
        const char *back;
        apr_size_t size;

        write_file(apr_pstrcat(pool, dir, "/in", NULL), text->data, text->size);
        ck_assert_int_eq(
            scratch_run("cd %s && openssl smime -decrypt -inkey key -in in -out out", dir), 0);
        back = scratch_read(&size, apr_pstrcat(pool, dir, "/out", NULL));
        ck_assert_uint_eq(size, sizes[i]);
        ck_assert(memcmp(back, data, size) == 0);
    }
    EVP_PKEY_free(key);
}
END_TEST

START_TEST(what_is_in_it)
{
    udm_recipient_t *recipient;
    udm_buffer_t *text;
    CMS_ContentInfo *cms;
    CMS_RecipientInfo *info;
    X509_ALGOR *algorithm;
    BIO *in, *content = NULL;
    char line[256];
    int lines = 0;

    unit_ok(udm_recipient_make(&recipient, pool, certificate(2048, "unit")));
    text = wrap(recipient, bytes(5000), 5000, 5000);
    in = BIO_new_mem_buf(text->data, (int)text->size);
    cms = SMIME_read_CMS(in, &content);
    ck_assert_ptr_nonnull(cms);
    ck_assert_int_eq(OBJ_obj2nid(CMS_get0_type(cms)), NID_pkcs7_enveloped);
    ck_assert_int_eq(sk_CMS_RecipientInfo_num(CMS_get0_RecipientInfos(cms)), 1);
    info = sk_CMS_RecipientInfo_value(CMS_get0_RecipientInfos(cms), 0);
    ck_assert_int_eq(CMS_RecipientInfo_type(info), CMS_RECIPINFO_TRANS);
    ck_assert_int_eq(CMS_RecipientInfo_ktri_get0_algs(info, NULL, NULL, &algorithm), 1);
    ck_assert_int_eq(OBJ_obj2nid(algorithm->algorithm), NID_rsaEncryption);
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    /* AES-256-CBC by its object identifier. */
    in = BIO_new_mem_buf(text->data, (int)text->size);
    while (BIO_gets(in, line, sizeof(line)) > 0 && line[0] != '\n') {
        lines++;
    }
    ck_assert_int_eq(lines, 4);
    content = BIO_push(BIO_new(BIO_f_base64()), in);
    {
        static const unsigned char oid[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a};
        unsigned char der[2000];
        int size = BIO_read(content, der, sizeof(der));

        ck_assert_int_gt(size, 500);
        ck_assert_ptr_nonnull(memmem(der, (size_t)size, oid, sizeof(oid)));
    }
    BIO_free_all(content);
    /* No line longer than 64 characters, and no carriage return. */
    ck_assert_ptr_null(memchr(text->data, '\r', text->size));
    EVP_PKEY_free(key);
}
END_TEST

START_TEST(never_larger)
{
    static const apr_int64_t limits[] = {65536, 65537, 70000, 100001, 1000000, 5000000};
    udm_recipient_t *recipient;

    unit_ok(udm_recipient_make(&recipient, pool,
                               _i == 0 ? certificate(2048, "a")
                                       : certificate(4096, "a rather long name of a department")));
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        apr_int64_t most = udm_recipient_capacity(recipient, limits[i]);
        const unsigned char *data = bytes((apr_size_t)most);

        for (apr_size_t piece = 1000; piece < 200000; piece = piece * 7 + 1) {
            udm_buffer_t *text = wrap(recipient, data, (apr_size_t)most, piece);

            ck_assert_uint_le(text->size, (apr_size_t)limits[i]);
            ck_assert_uint_ge(text->size, (apr_size_t)(limits[i] - limits[i] / 200 - 200));
        }
    }
    ck_assert_int_eq(udm_recipient_capacity(recipient, 500), 0);
    EVP_PKEY_free(key);
}
END_TEST

START_TEST(errors)
{
    udm_recipient_t *recipient;
    udm_envelope_t *envelope;
    int left = 2;
    udm_sink_t sink = {full, &left};
    udm_error_t *error = NULL;
    const char *sha256;
    apr_int64_t size;

    unit_fails(udm_recipient_make(&recipient, pool, "rubbish"), UDM_E_CERTIFICATE,
               "cannot be read");
    unit_ok(udm_recipient_make(&recipient, pool, certificate(2048, "unit")));
    unit_ok(udm_envelope_open(&envelope, pool, recipient, &sink));
    for (int i = 0; i < 10 && error == NULL; i++) {
        error = udm_envelope_write(envelope, bytes(65536), 65536);
    }
    unit_fails(error, UDM_E_STORE, "the store is full");
    /* At the very end, too. */
    left = 1;
    unit_ok(udm_envelope_open(&envelope, pool, recipient, &sink));
    unit_ok(udm_envelope_write(envelope, "abc", 3));
    unit_fails(udm_envelope_finish(&size, &sha256, pool, envelope), UDM_E_STORE,
               "the store is full");
    ck_assert_uint_eq(ERR_peek_error(), 0);
    EVP_PKEY_free(key);
}
END_TEST

TCase *envelope_case(void)
{
    TCase *tc = unit_case("envelope");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, as_openssl_reads_it);
    tcase_add_test(tc, what_is_in_it);
    tcase_add_loop_test(tc, never_larger, 0, 2);
    tcase_add_test(tc, errors);
    return tc;
}
