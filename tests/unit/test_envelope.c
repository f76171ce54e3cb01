/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_envelope.c: S/MIME text and CMS as `openssl smime` and `openssl cms` read them, and never
 * larger than promised.
 */
#include <apr_escape.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "scratch.h"
#include "export/envelope.h"
#include "export/relay.h"

static EVP_PKEY *key;

static EVP_PKEY *rsa(unsigned bits)
{
    return EVP_RSA_gen(bits);
}

static EVP_PKEY *ec(const char *curve)
{
    return EVP_EC_gen(curve);
}

/* A certificate for this key, which the test then has. */
static const char *certificate(EVP_PKEY *its, const char *name)
{
    X509 *x509 = X509_new();
    BIO *out = BIO_new(BIO_s_mem());
    X509_NAME *subject = X509_get_subject_name(x509);
    const char *pem;
    char *text;
    long size;

    key = its;
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
    ck_assert_int_gt(X509_sign(x509, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()), 0);
    ck_assert_int_eq(PEM_write_bio_X509(out, x509), 1);
    size = BIO_get_mem_data(out, &text);
    pem = apr_pstrmemdup(pool, text, (apr_size_t)size);
    BIO_free(out);
    X509_free(x509);
    return pem;
}

/* The ways that are tested: whom for, how, and what reads it. */
static const struct {
    udm_encryption encryption;
    const char *curve; /* NULL: RSA of `bits` */
    unsigned bits;
    const char *name;
    const char *read;
} ways[] = {
    {UDM_ENCRYPTION_SMIME, NULL, 2048, "a", "smime -decrypt"},
    {UDM_ENCRYPTION_SMIME, NULL, 4096, "a rather long name of a department", "smime -decrypt"},
    {UDM_ENCRYPTION_CMS_GCM, NULL, 2048, "a", "cms -decrypt -inform DER"},
    {UDM_ENCRYPTION_CMS_GCM, NULL, 3072, "a rather long name", "cms -decrypt -inform DER"},
    {UDM_ENCRYPTION_CMS_GCM, "P-256", 0, "a", "cms -decrypt -inform DER"},
    {UDM_ENCRYPTION_CMS_GCM, "P-384", 0, "a rather long name", "cms -decrypt -inform DER"},
    {UDM_ENCRYPTION_CMS_GCM, "P-521", 0, "a", "cms -decrypt -inform DER"},
};
#define WAYS ((int)(sizeof(ways) / sizeof(ways[0])))

/* The recipient of one way; `key` gets the private key. */
static udm_recipient_t *recipient_of(int way)
{
    udm_recipient_t *recipient;
    EVP_PKEY *its = ways[way].curve != NULL ? ec(ways[way].curve) : rsa(ways[way].bits);

    unit_ok(udm_recipient_make(&recipient, pool, certificate(its, ways[way].name),
                               ways[way].encryption));
    ck_assert_int_eq(udm_recipient_encryption(recipient), ways[way].encryption);
    return recipient;
}

static udm_error_t *to_buffer(void *context, const void *data, apr_size_t size)
{
    udm_buffer_add(context, data, size);
    return NULL;
}

/* A sink that takes so many pieces more; its pool is its own, for another thread may call it. */
typedef struct full_t {
    apr_pool_t *pool;
    int left;
} full_t;

static udm_error_t *full(void *context, const void *data, apr_size_t size)
{
    full_t *f = context;

    return f->left-- > 0 ? NULL : udm_error_make(f->pool, UDM_E_STORE, "the store is full");
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
    ck_assert_str_eq(sha256, apr_pescape_hex(pool, digest, sizeof(digest), 0));
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

static void write_key(const char *dir)
{
    FILE *file = fopen(apr_pstrcat(pool, dir, "/key", NULL), "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(as_openssl_reads_it)
{
    static const apr_size_t sizes[] = {1, 2, 15, 16, 47, 48, 4096, 65536, 65537, 1000003};
    const char *dir = scratch_dir();
    udm_recipient_t *recipient = recipient_of(_i);

    write_key(dir);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const unsigned char *data = bytes(sizes[i]);
        udm_buffer_t *text = wrap(recipient, data, sizes[i], 1 + 7919 * i);
        const char *back;
        apr_size_t size;

        write_file(apr_pstrcat(pool, dir, "/in", NULL), text->data, text->size);
        ck_assert_int_eq(
            scratch_run("cd %s && openssl %s -inkey key -in in -out out", dir, ways[_i].read), 0);
        back = scratch_read(&size, apr_pstrcat(pool, dir, "/out", NULL));
        ck_assert_uint_eq(size, sizes[i]);
        ck_assert(memcmp(back, data, size) == 0);
    }
    EVP_PKEY_free(key);
}
END_TEST

/* With cms-gcm every byte counts, as stock OpenSSL sees it. */
START_TEST(no_byte_can_be_changed)
{
    const char *dir = scratch_dir();
    udm_recipient_t *recipient = recipient_of(_i == 0 ? 2 : 4);
    udm_buffer_t *whole = wrap(recipient, bytes(300), 300, 300);
    uint32_t state = 4711;

    write_key(dir);
    for (int i = 0; i < 40; i++) {
        unsigned char *changed = apr_pmemdup(pool, whole->data, whole->size);
        /* The last bytes are the content and its tag, the first ones hold the key. */
        apr_size_t at = i < 20 ? whole->size - 8 - unit_random(&state) % 316
                               : unit_random(&state) % whole->size;

        changed[at] ^= (unsigned char)(1 << unit_random(&state) % 8);
        write_file(apr_pstrcat(pool, dir, "/in", NULL), changed, whole->size);
        if (scratch_run("cd %s && openssl cms -decrypt -inform DER -inkey key -in in -out out "
                        "2>/dev/null",
                        dir) == 0) {
            apr_size_t size;
            const char *back = scratch_read(&size, apr_pstrcat(pool, dir, "/out", NULL));

            /* A name of the recipient, or the form of a length, is not what is protected. */
            ck_assert_msg(at < whole->size - 324 && size == 300 &&
                              memcmp(back, bytes(300), 300) == 0,
                          "byte %d can be changed", (int)at);
        }
    }
    EVP_PKEY_free(key);
}
END_TEST

/* That OpenSSL writes what the RFCs and we say: by object identifiers, in their order. */
START_TEST(what_is_in_gcm)
{
    static const char auth_enveloped[] = "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17";
    /* rsaesOaep, hashAlgorithm and maskGenAlgorithm SHA-256 */
    static const char oaep[] =
        "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07"
        "\x30\x2b\xa0\x0d\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01"
        "\xa1\x1a\x30\x18\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
        "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01";
    /* dhSinglePass-stdDH-sha256kdf-scheme, id-aes256-wrap */
    static const char ecdh[] = "\x06\x06\x2b\x81\x04\x01\x0b\x01"
                               "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2d";
    /* aes-256-gcm, a nonce of 12 bytes */
    static const char gcm[] = "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2e\x30\x11\x04\x0c";
    /* a tag of 16 bytes */
    static const char tag_size[] = "\x02\x01\x10";
    /* of what is streamed the ends of content, of AuthEnvelopedData and around it, with the tag in
     * between */
    static const char end[] = "\0\0\0\0\0\0";
    udm_recipient_t *recipient = recipient_of(_i);
    udm_buffer_t *der = wrap(recipient, bytes(5000), 5000, 5000);
    udm_buffer_t *again = wrap(recipient, bytes(5000), 5000, 5000);
    const char *wanted[] = {auth_enveloped, ways[_i].curve != NULL ? ecdh : oaep, gcm, tag_size};
    apr_size_t sizes[] = {sizeof(auth_enveloped) - 1,
                          ways[_i].curve != NULL ? sizeof(ecdh) - 1 : sizeof(oaep) - 1,
                          sizeof(gcm) - 1, sizeof(tag_size) - 1};
    const char *from = (const char *)der->data, *to = from + der->size, *nonce = NULL;

    for (int i = 0; i < 4; i++) {
        const char *at = memmem(from, (size_t)(to - from), wanted[i], sizes[i]);

        ck_assert_msg(at != NULL, "%d is not there", i);
        from = at + sizes[i];
        nonce = i == 2 ? from : nonce;
    }
    ck_assert(memcmp(to - 18, "\x04\x10", 2) == 0);
    der = wrap(recipient, bytes(UDM_ENVELOPE_WHOLE), UDM_ENVELOPE_WHOLE, 5000);
    to = (const char *)der->data + der->size;
    ck_assert(memcmp(to - 6, end, 6) == 0);
    ck_assert(memcmp(to - 6 - 18, "\x04\x10", 2) == 0);
    /* A nonce and a key of its own for each: an envelope shares nothing with another. */
    ck_assert_ptr_null(memmem(again->data, again->size, nonce, 12));
    ck_assert_ptr_null(memmem(again->data, again->size, nonce + 40, 32));
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

    recipient = recipient_of(0);
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
    udm_recipient_t *recipient = recipient_of(_i);

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        apr_int64_t most = udm_recipient_capacity(recipient, limits[i]);
        const unsigned char *data = bytes((apr_size_t)most);

        for (apr_size_t piece = 1000; piece < 200000; piece = piece * 7 + 1) {
            udm_buffer_t *text = wrap(recipient, data, (apr_size_t)most, piece);

            ck_assert_uint_le(text->size, (apr_size_t)limits[i]);
            ck_assert_uint_ge(text->size, (apr_size_t)(limits[i] - limits[i] / 200 - 200));
        }
    }
    ck_assert_int_eq(udm_recipient_capacity(recipient, 300), 0);
    EVP_PKEY_free(key);
}
END_TEST

/* Many limits, each with the most that fits and a little less. */
START_TEST(never_larger_for_any_limit)
{
    udm_recipient_t *recipient = recipient_of(_i);
    const unsigned char *data = bytes(200000);
    uint32_t state = 2026;

    for (int i = 0; i < 300; i++) {
        apr_int64_t limit = 700 + unit_random(&state) % (i % 3 == 0 ? 190000 : 9000);
        apr_int64_t most = udm_recipient_capacity(recipient, limit);

        most -= most > 50 ? unit_random(&state) % 3 * (unit_random(&state) % 16) : 0;
        if (most > 0) {
            ck_assert_uint_le(wrap(recipient, data, (apr_size_t)most, 70001)->size,
                              (apr_size_t)limit);
        }
    }
    EVP_PKEY_free(key);
}
END_TEST

/* More than 2^36 - 32 bytes must not be encrypted with GCM under one nonce. */
START_TEST(gcm_has_an_end)
{
    const apr_int64_t end = (APR_INT64_C(1) << 36) - 32;
    udm_recipient_t *smime = recipient_of(0), *gcm;

    ck_assert_int_gt(udm_recipient_capacity(smime, APR_INT64_C(1) << 40), end);
    EVP_PKEY_free(key);
    gcm = recipient_of(4);
    ck_assert_int_lt(udm_recipient_capacity(gcm, end), end);
    ck_assert_int_eq(udm_recipient_capacity(gcm, APR_INT64_C(1) << 37), end);
    ck_assert_int_eq(udm_recipient_capacity(gcm, INT64_MAX / 2), end);
    EVP_PKEY_free(key);
}
END_TEST

/* OpenSSL has 127 numbers for what others make, in a process; libpq's TLS needs one of them. */
START_TEST(takes_no_number_of_openssl)
{
    const char *pem = certificate(rsa(2048), "unit");
    udm_recipient_t *recipient;
    int before = BIO_get_new_index();

    unit_ok(udm_recipient_make(&recipient, pool, pem, UDM_ENCRYPTION_SMIME));
    unit_ok(udm_recipient_make(&recipient, pool, pem, UDM_ENCRYPTION_CMS_GCM));
    ck_assert_int_eq(BIO_get_new_index(), before + 1);
}
END_TEST

START_TEST(errors)
{
    udm_recipient_t *recipient;
    udm_envelope_t *envelope;
    full_t to = {udm_relay_pool(pool), 2};
    udm_sink_t sink = {full, &to};
    udm_error_t *error = NULL;
    const char *sha256;
    apr_pool_t *abandoned;
    apr_int64_t size;

    for (int e = UDM_ENCRYPTION_SMIME; e <= UDM_ENCRYPTION_CMS_GCM; e++) {
        unit_fails(udm_recipient_make(&recipient, pool, "rubbish", (udm_encryption)e),
                   UDM_E_CERTIFICATE, "cannot be read");
    }
    unit_fails(udm_recipient_make(&recipient, pool, certificate(ec("P-256"), "unit"),
                                  UDM_ENCRYPTION_SMIME),
               UDM_E_CERTIFICATE, "RSA key");
    EVP_PKEY_free(key);
    /* A key that can only sign. */
    unit_fails(udm_recipient_make(&recipient, pool,
                                  certificate(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), "unit"),
                                  UDM_ENCRYPTION_CMS_GCM),
               UDM_E_CERTIFICATE, "nothing can be encrypted");
    EVP_PKEY_free(key);
    recipient = recipient_of(_i);
    unit_ok(udm_envelope_open(&envelope, pool, recipient, &sink));
    for (int i = 0; i < 10 && error == NULL; i++) {
        error = udm_envelope_write(envelope, bytes(65536), 65536);
    }
    unit_fails(error, UDM_E_STORE, "the store is full");
    /* One that is given up while its sink is at work. */
    to.left = 1000;
    apr_pool_create(&abandoned, pool);
    unit_ok(udm_envelope_open(&envelope, abandoned, recipient, &sink));
    unit_ok(udm_envelope_write(envelope, bytes(400000), 400000));
    apr_pool_destroy(abandoned);
    /* At the very end, too. */
    to.left = ways[_i].encryption == UDM_ENCRYPTION_SMIME ? 1 : 0;
    unit_ok(udm_envelope_open(&envelope, pool, recipient, &sink));
    unit_ok(udm_envelope_write(envelope, "abc", 3));
    unit_fails(udm_envelope_finish(&size, &sha256, pool, envelope), UDM_E_STORE,
               "the store is full");
    /* Nothing at all is no export. */
    to.left = 9;
    unit_ok(udm_envelope_open(&envelope, pool, recipient, &sink));
    unit_fails(udm_envelope_finish(&size, &sha256, pool, envelope), UDM_E_INTERNAL,
               "must hold something");
    ck_assert_uint_eq(ERR_peek_error(), 0);
    EVP_PKEY_free(key);
}
END_TEST

/* What is short has definite lengths (DER); what is streamed has not. */
START_TEST(definite_lengths)
{
    static const apr_size_t sizes[] = {
        1, 15, 16, UDM_ENVELOPE_WHOLE - 1, UDM_ENVELOPE_WHOLE, UDM_ENVELOPE_WHOLE + 1, 300000};
    const char *dir = scratch_dir();
    const udm_recipient_t *recipient = recipient_of(_i);
    bool text = udm_recipient_encryption(recipient) == UDM_ENCRYPTION_SMIME;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const udm_buffer_t *out = wrap(recipient, bytes(sizes[i]), sizes[i], 7000);
        FILE *file = fopen(apr_pstrcat(pool, dir, "/in", NULL), "w");

        ck_assert_ptr_nonnull(file);
        ck_assert_uint_eq(fwrite(out->data, 1, out->size, file), out->size);
        ck_assert_int_eq(fclose(file), 0);
        ck_assert_int_eq(
            scratch_run("cd %s && %s >der", dir, text ? "sed '1,/^$/d' in | base64 -d" : "cat in"),
            0);
        ck_assert_int_eq(scratch_run("cd %s && openssl asn1parse -inform DER -in der >tree &&"
                                     " grep -q 'l= *inf' tree",
                                     dir),
                         sizes[i] < UDM_ENVELOPE_WHOLE ? 1 : 0);
    }
}
END_TEST

TCase *envelope_case(void)
{
    TCase *tc = unit_case("envelope");

    tcase_add_loop_test(tc, definite_lengths, 0, WAYS);

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, as_openssl_reads_it, 0, WAYS);
    tcase_add_loop_test(tc, no_byte_can_be_changed, 0, 2);
    tcase_add_test(tc, what_is_in_it);
    tcase_add_loop_test(tc, what_is_in_gcm, 2, WAYS);
    tcase_add_loop_test(tc, never_larger, 0, WAYS);
    tcase_add_loop_test(tc, never_larger_for_any_limit, 0, WAYS);
    tcase_add_test(tc, gcm_has_an_end);
    tcase_add_test(tc, takes_no_number_of_openssl);
    tcase_add_loop_test(tc, errors, 0, WAYS);
    return tc;
}
