/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_certificate_odd.c: certificates that are well-formed enough to be read, with odd keys. What
 * is taken can be encrypted for, and by nobody but the owner of the key be read; the rest is
 * refused with its reason.
 */
#include <string.h>

#include <apr_strings.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "unit.h"
#include "certificatetest.h"
#include "core/certificate.h"

der certificatetest_bytes(const void *data, int size)
{
    return (der){apr_pmemdup(pool, data, (apr_size_t)size), size};
}

static der join(der a, der b)
{
    der all = {apr_palloc(pool, (apr_size_t)(a.size + b.size)), a.size + b.size};

    memcpy(all.data, a.data, (size_t)a.size);
    memcpy(all.data + a.size, b.data, (size_t)b.size);
    return all;
}

/* An element; `form` is 1 for one that is made of others. */
static der wrap(int form, int tag, der content)
{
    unsigned char head[16], *end = head;

    ASN1_put_object(&end, form, content.size, tag, V_ASN1_UNIVERSAL);
    return join(certificatetest_bytes(head, (int)(end - head)), content);
}

static der sequence(der content)
{
    return wrap(1, V_ASN1_SEQUENCE, content);
}

static der integer(const BIGNUM *n)
{
    ASN1_INTEGER *i = BN_to_ASN1_INTEGER(n, NULL);
    unsigned char *data = NULL;
    int size = i2d_ASN1_INTEGER(i, &data);
    der made = certificatetest_bytes(data, size);

    OPENSSL_free(data);
    ASN1_INTEGER_free(i);
    return made;
}

static der rsa(const BIGNUM *n, const BIGNUM *e)
{
    return sequence(join(integer(n), integer(e)));
}

/* Numbers; freed with the process. */
static BIGNUM *number(unsigned long value)
{
    BIGNUM *n = BN_new();

    BN_set_word(n, value);
    return n;
}

static BIGNUM *plus(const BIGNUM *a, long b)
{
    BIGNUM *sum = BN_dup(a);

    b < 0 ? BN_sub_word(sum, (BN_ULONG)-b) : BN_add_word(sum, (BN_ULONG)b);
    return sum;
}

static BIGNUM *negative(const BIGNUM *n)
{
    BIGNUM *other = BN_dup(n);

    BN_set_negative(other, 1);
    return other;
}

BIGNUM *certificatetest_odd_bits(int bits)
{
    BIGNUM *n = BN_new();

    BN_rand(n, bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD);
    return n;
}

static BIGNUM *prime(int bits)
{
    BIGNUM *n = BN_new();

    BN_generate_prime_ex(n, bits, 0, NULL, NULL, NULL);
    return n;
}

static BIGNUM *product(const BIGNUM *a, const BIGNUM *b)
{
    BN_CTX *context = BN_CTX_new();
    BIGNUM *n = BN_new();

    BN_mul(n, a, b, context);
    BN_CTX_free(context);
    return n;
}

/* The modulus of a good key of so many bits. */
static BIGNUM *modulus_of(unsigned bits)
{
    EVP_PKEY *key = EVP_RSA_gen(bits);
    BIGNUM *n = NULL;

    ck_assert(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n));
    EVP_PKEY_free(key);
    return n;
}

X509 *certificatetest_make(EVP_PKEY **signer)
{
    static EVP_PKEY *rsa_key; /* one for each test, which is a process */
    X509 *x509 = X509_new();
    X509_NAME *name = X509_get_subject_name(x509);

    *signer = EVP_EC_gen("P-256");
    if (!rsa_key) {
        rsa_key = EVP_RSA_gen(2048);
    }
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    ASN1_TIME_set(X509_getm_notBefore(x509), (long)apr_time_sec(NOW) - DAY);
    ASN1_TIME_set(X509_getm_notAfter(x509), (long)apr_time_sec(NOW) + DAY);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)"odd", -1, -1, 0);
    X509_set_issuer_name(x509, name);
    X509_set_pubkey(x509, rsa_key);
    return x509;
}

const char *certificatetest_finish(X509 *x509, EVP_PKEY *signer)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const char *pem;
    char *data;
    long size;

    ck_assert(X509_sign(x509, signer, EVP_sha256()) > 0);
    ck_assert(PEM_write_bio_X509(bio, x509));
    size = BIO_get_mem_data(bio, &data);
    pem = apr_pstrmemdup(pool, data, (apr_size_t)size);
    BIO_free(bio);
    X509_free(x509);
    EVP_PKEY_free(signer);
    ERR_clear_error();
    return pem;
}

/* With this key, of a kind, with a parameter (a curve's OID, NULL, ...), and bits in its last byte
 * that do not count. */
static const char *keyed(int kind, int type, void *parameter, der key, int unused)
{
    EVP_PKEY *signer;
    X509 *x509 = certificatetest_make(&signer);
    unsigned char *data = OPENSSL_malloc((size_t)key.size + 1);
    ASN1_BIT_STRING *bits;

    memcpy(data, key.data, (size_t)key.size);
    ck_assert(X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(x509), OBJ_nid2obj(kind), type, parameter,
                                     data, key.size));
    bits = X509_get0_pubkey_bitstr(x509);
    bits->flags = (bits->flags & ~7L) | ASN1_STRING_FLAG_BITS_LEFT | unused;
    return certificatetest_finish(x509, signer);
}

static const char *keyed_rsa(der key)
{
    return keyed(NID_rsaEncryption, V_ASN1_NULL, NULL, key, 0);
}

static const char *keyed_ec(int curve, der point)
{
    return keyed(NID_X9_62_id_ecPublicKey, V_ASN1_OBJECT, OBJ_nid2obj(curve), point, 0);
}

static const char *numbers(const BIGNUM *n, const BIGNUM *e)
{
    return keyed_rsa(rsa(n, e));
}

udm_error_t *certificatetest_upload(const char *pem, udm_encryption encryption)
{
    udm_certificate_t *certificate;
    udm_error_t *error =
        udm_certificate_parse(&certificate, pool, pem, strlen(pem), encryption, NOW);

    if (!error) {
        ck_assert_uint_eq(ERR_peek_error(), 0);
        error = udm_certificate_try(pool, certificate, encryption);
    }
    ck_assert_uint_eq(ERR_peek_error(), 0);
    return error;
}

void certificatetest_takes(const char *pem)
{
    unit_ok(certificatetest_upload(pem, UDM_ENCRYPTION_SMIME));
    unit_ok(certificatetest_upload(pem, UDM_ENCRYPTION_CMS_GCM));
}

#define refuses_gcm(pem, words)                                                                    \
    unit_fails(certificatetest_upload(pem, UDM_ENCRYPTION_CMS_GCM), UDM_E_INVALID, words)

START_TEST(test_exponent)
{
    static const unsigned long good[] = {65537, 65539, 0xffffffff};
    static const unsigned long small[] = {0,  1,   2,     3,     4,     5,        17,
                                          35, 257, 65535, 65536, 65538, 1UL << 40};
    BIGNUM *n = modulus_of(2048), *e = BN_new();
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
        certificatetest_takes(numbers(n, number(good[i])));
    }
    for (i = 0; i < sizeof(small) / sizeof(*small); i++) {
        certificatetest_refuses(numbers(n, number(small[i])),
                                "public exponent must be odd and at least 65537");
    }
    certificatetest_takes(numbers(n, certificatetest_odd_bits(256)));
    certificatetest_refuses(numbers(n, certificatetest_odd_bits(257)),
                            "exponent has 257 bits, and at most 256");
    certificatetest_refuses(numbers(n, plus(certificatetest_odd_bits(256), 1)), "must be odd");
    certificatetest_refuses(numbers(n, certificatetest_odd_bits(2047)), "exponent has 2047 bits");
    certificatetest_refuses(numbers(n, n), "exponent has 2048 bits");
    certificatetest_refuses(numbers(n, plus(n, 2)), "exponent has 2048 bits");
    certificatetest_refuses(numbers(n, certificatetest_odd_bits(16384)), "exponent has 16384 bits");
    BN_lshift(e, n, 1);
    certificatetest_refuses(numbers(n, plus(e, 1)), "exponent has 2049 bits");
    certificatetest_refuses(numbers(n, negative(number(65537))), "RSA key is damaged");
    certificatetest_refuses(numbers(n, negative(number(1))), "RSA key is damaged");
    n = modulus_of(3584); /* which OpenSSL takes no large exponent beside of */
    certificatetest_takes(numbers(n, certificatetest_odd_bits(64)));
    certificatetest_refuses(numbers(n, certificatetest_odd_bits(65)),
                            "exponent has 65 bits, and at most 64");
}
END_TEST

START_TEST(test_modulus)
{
    BIGNUM *n = modulus_of(2048), *e = number(65537), *p = prime(1024), *three = number(3);
    BIGNUM *wide = BN_new();

    certificatetest_refuses(numbers(negative(n), e), "RSA key is damaged");
    certificatetest_refuses(numbers(number(0), e), "has 0 bits");
    certificatetest_refuses(numbers(number(1), e), "has 1 bit, and");
    certificatetest_refuses(numbers(number(65537), e), "has 17 bits");
    certificatetest_refuses(numbers(plus(n, 1), e), "its modulus is even");
    certificatetest_refuses(numbers(certificatetest_odd_bits(2047), e),
                            "has 2047 bits, and 2048 to 16384");
    certificatetest_refuses(numbers(certificatetest_odd_bits(16385), e),
                            "has 16385 bits, and 2048 to 16384");
    certificatetest_refuses(numbers(certificatetest_odd_bits(60000), e), "has 60000 bits");
    /* which nobody has the private key of, or everybody */
    certificatetest_refuses(numbers(prime(2048), e),
                            "not those of a key that was made as it should be");
    certificatetest_refuses(numbers(product(three, prime(2047)), e), "not those of a key");
    certificatetest_refuses(numbers(product(number(751), modulus_of(2048)), e),
                            "not those of a key");
    certificatetest_refuses(numbers(product(p, p), e), "not those of a key");
    BN_one(wide);
    BN_lshift(wide, wide, 2047);
    certificatetest_refuses(numbers(plus(wide, 1), e),
                            "not those of a key"); /* 2^2047 + 1 is 3 times something */
}
END_TEST

/* A prime of so many bits that is a power of 65537 modulo all the small ones, as some chips made them. */
static BIGNUM *roca_prime(int bits)
{
    BN_CTX *context = BN_CTX_new();
    BIGNUM *all = number(2), *p = BN_new(), *power = BN_new(), *k = BN_new();
    int i;

    for (i = 3; i <= 167; i += 2) {
        BIGNUM *n = number((unsigned long)i);

        if (BN_check_prime(n, context, NULL) == 1) {
            BN_mul(all, all, n, context);
        }
        BN_free(n);
    }
    do {
        BN_rand(k, 64, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY);
        BN_mod_exp(power, number(65537), k, all, context);
        BN_rand(k, bits - BN_num_bits(all) + 1, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ANY);
        BN_mul(p, k, all, context);
        BN_add(p, p, power);
    } while (BN_num_bits(p) != bits || BN_check_prime(p, context, NULL) != 1);
    BN_CTX_free(context);
    return p;
}

static BIGNUM *prime_behind(const BIGNUM *n)
{
    BN_CTX *context = BN_CTX_new();
    BIGNUM *p = plus(n, 2);

    while (BN_check_prime(p, context, NULL) != 1) {
        BN_add_word(p, 2);
    }
    BN_CTX_free(context);
    return p;
}

/* Keys that look like any other, but for how their primes were chosen. */
START_TEST(test_weak_primes)
{
    BIGNUM *e = number(65537), *p = prime(1025), *far = BN_new();

    certificatetest_refuses(numbers(product(roca_prime(1024), roca_prime(1025)), e),
                            "anybody can compute the private key");
    certificatetest_refuses(numbers(product(p, prime_behind(p)), e),
                            "anybody can compute the private key");
    /* half of the bits in common is near, but too far to be found */
    BN_one(far);
    BN_lshift(far, far, 600);
    BN_add(far, far, p);
    certificatetest_takes(numbers(product(p, prime_behind(far)), e));
    certificatetest_takes(numbers(product(roca_prime(1024), prime(1025)), e));
    /* one of them is found at once, and the other is what is left */
    certificatetest_refuses(numbers(product(number(757), prime(2047)), e),
                            "anybody can compute the private key");
    certificatetest_refuses(numbers(product(number(65521), modulus_of(2048)), e),
                            "anybody can compute the private");
}
END_TEST

/* What OpenSSL would read, and DER does not have. */
START_TEST(test_form_of_rsa)
{
    BIGNUM *n = modulus_of(2048), *e = number(65537);
    der good = rsa(n, e), one = integer(n), two = integer(e), all = join(one, two);
    der raw = {NULL, 256}, forms;
    unsigned char buffer[256];

    certificatetest_takes(keyed_rsa(good));
    certificatetest_takes(
        keyed(NID_rsaEncryption, V_ASN1_UNDEF, NULL, good, 0)); /* some leave the NULL out */
    /* the top bit makes it negative, though OpenSSL does not look */
    BN_bn2bin(n, buffer);
    raw.data = buffer;
    certificatetest_refuses(keyed_rsa(sequence(join(wrap(0, V_ASN1_INTEGER, raw), two))),
                            "RSA key is damaged");
    certificatetest_refuses(
        keyed_rsa(sequence(
            join(wrap(0, V_ASN1_INTEGER, join(certificatetest_bytes("\0\0", 2), raw)), two))),
        "RSA key is damaged");
    certificatetest_refuses(
        keyed_rsa(
            sequence(join(one, wrap(0, V_ASN1_INTEGER, certificatetest_bytes("\0\1\0\1", 4))))),
        "RSA key is damaged");
    certificatetest_refuses(
        keyed_rsa(sequence(join(one, wrap(0, V_ASN1_INTEGER, certificatetest_bytes("", 0))))),
        "the certificate's");
    certificatetest_refuses(keyed_rsa(join(good, certificatetest_bytes("\0", 1))),
                            "the certificate's");
    certificatetest_refuses(keyed_rsa(sequence(join(all, two))), "the certificate's");
    certificatetest_refuses(keyed_rsa(sequence(one)), "the certificate's");
    certificatetest_refuses(keyed_rsa(sequence(certificatetest_bytes("", 0))), "the certificate's");
    certificatetest_refuses(keyed_rsa(certificatetest_bytes("", 0)), "the certificate's");
    /* of indefinite length, and with a length in a longer form than it needs */
    forms = join(join(certificatetest_bytes("\x30\x80", 2), all), certificatetest_bytes("\0\0", 2));
    certificatetest_refuses(keyed_rsa(forms), "the certificate's");
    forms = join(certificatetest_bytes("\x02\x81\x03", 3), certificatetest_bytes("\1\0\1", 3));
    certificatetest_refuses(keyed_rsa(sequence(join(one, forms))), "RSA key is damaged");
    forms = certificatetest_bytes("\x30\x83\0\0\0", 5);
    forms.data[3] = (unsigned char)(all.size >> 8);
    forms.data[4] = (unsigned char)all.size;
    certificatetest_refuses(keyed_rsa(join(forms, all)), "RSA key is damaged");
    certificatetest_refuses(
        keyed(NID_rsaEncryption, V_ASN1_NULL, NULL, rsa(n, number(65536 * 3 + 2)), 1),
        "the certificate's");
}
END_TEST

/* The point of a key on a curve, in a form. */
static der point_of(const char *curve, int form)
{
    EVP_PKEY *key = EVP_EC_gen(curve);
    unsigned char *data = NULL;
    der made;

    EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                   form == POINT_CONVERSION_COMPRESSED     ? "compressed"
                                   : form == POINT_CONVERSION_UNCOMPRESSED ? "uncompressed"
                                                                           : "hybrid");
    made.size = i2d_PublicKey(key, &data);
    made = certificatetest_bytes(data, made.size);
    ck_assert_int_eq(made.data[0] & ~1, form);
    OPENSSL_free(data);
    EVP_PKEY_free(key);
    return made;
}

/* The point of a private key, or of its negative. */
static der point_of_private(int nid, BN_ULONG private, bool negative)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(nid);
    EC_POINT *point = EC_POINT_new(group);
    unsigned char data[200];
    size_t size;

    ck_assert_int_eq(EC_POINT_mul(group, point, number(private), NULL, NULL, NULL), 1);
    if (negative) {
        ck_assert_int_eq(EC_POINT_invert(group, point, NULL), 1);
    }
    size =
        EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, data, sizeof(data), NULL);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    return certificatetest_bytes(data, (int)size);
}

START_TEST(test_point)
{
    static const struct {
        const char *name;
        int nid;
    } curves[] = {
        {"P-256", NID_X9_62_prime256v1}, {"P-384", NID_secp384r1}, {"P-521", NID_secp521r1}};
    const char *pem;
    size_t i;

    for (i = 0; i < 3; i++) {
        int nid = curves[i].nid;
        der point = point_of(curves[i].name, POINT_CONVERSION_UNCOMPRESSED);
        der zero = {apr_pcalloc(pool, (apr_size_t)point.size), point.size};

        pem = keyed_ec(nid, point);
        unit_ok(certificatetest_upload(pem, UDM_ENCRYPTION_CMS_GCM));
        unit_fails(certificatetest_upload(pem, UDM_ENCRYPTION_SMIME), UDM_E_INVALID,
                   "UDMEncryption cms-gcm");
        unit_ok(certificatetest_upload(
            keyed_ec(nid, point_of(curves[i].name, POINT_CONVERSION_COMPRESSED)),
            UDM_ENCRYPTION_CMS_GCM));
        refuses_gcm(keyed_ec(nid, point_of(curves[i].name, POINT_CONVERSION_HYBRID)),
                    "the form that RFC 5480 asks for");
        refuses_gcm(keyed_ec(nid, certificatetest_bytes("\0", 1)), "its point is at infinity");
        refuses_gcm(keyed_ec(nid, zero), "");
        refuses_gcm(keyed_ec(nid, point_of_private(nid, 1, false)), "anybody finds by counting");
        refuses_gcm(keyed_ec(nid, point_of_private(nid, 1, true)), "anybody finds by counting");
        refuses_gcm(keyed_ec(nid, point_of_private(nid, 100, true)), "anybody finds by counting");
        unit_ok(certificatetest_upload(keyed_ec(nid, point_of_private(nid, 1234567890, false)),
                                       UDM_ENCRYPTION_CMS_GCM));
        zero.data[0] = POINT_CONVERSION_UNCOMPRESSED;
        refuses_gcm(keyed_ec(nid, zero), "key cannot be read: it is damaged");
        point.data[point.size - 1] ^= 1;
        refuses_gcm(keyed_ec(nid, point), "key cannot be read: it is damaged");
        point.data[point.size - 1] ^= 1;
        refuses_gcm(keyed_ec(nid, certificatetest_bytes(point.data, point.size - 1)),
                    "key cannot be read");
        refuses_gcm(keyed_ec(nid, join(point, certificatetest_bytes("\0", 1))),
                    "key cannot be read");
        refuses_gcm(keyed_ec(nid, certificatetest_bytes("", 0)), "the certificate's");
        memset(point.data + 1, 0xff, (size_t)point.size - 1); /* past the field */
        refuses_gcm(keyed_ec(nid, point), "key cannot be read");
    }
    /* the point of one curve, said to be on another */
    refuses_gcm(keyed_ec(NID_secp384r1, point_of("P-256", POINT_CONVERSION_UNCOMPRESSED)),
                "key cannot be read");
    refuses_gcm(keyed_ec(NID_secp256k1, point_of("P-256", POINT_CONVERSION_UNCOMPRESSED)), "");
    refuses_gcm(keyed_ec(NID_rsaEncryption, point_of("P-256", POINT_CONVERSION_UNCOMPRESSED)),
                "on a curve that is not known here");
    refuses_gcm(keyed(NID_X9_62_id_ecPublicKey, V_ASN1_NULL, NULL,
                      point_of("P-256", POINT_CONVERSION_UNCOMPRESSED), 0),
                "");
}
END_TEST

static const char *with_public(EVP_PKEY *key)
{
    EVP_PKEY *signer;
    X509 *x509 = certificatetest_make(&signer);

    ck_assert_ptr_nonnull(key);
    ck_assert(X509_set_pubkey(x509, key));
    EVP_PKEY_free(key);
    return certificatetest_finish(x509, signer);
}

static EVP_PKEY *make_dsa(void)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "DSA", NULL);
    EVP_PKEY *parameters = NULL, *key = NULL;

    ck_assert(EVP_PKEY_paramgen_init(context) > 0);
    EVP_PKEY_CTX_set_params(
        context,
        (OSSL_PARAM[]){OSSL_PARAM_int(OSSL_PKEY_PARAM_FFC_PBITS, &(int){1024}), OSSL_PARAM_END});
    ck_assert(EVP_PKEY_paramgen(context, &parameters) > 0);
    EVP_PKEY_CTX_free(context);
    context = EVP_PKEY_CTX_new_from_pkey(NULL, parameters, NULL);
    ck_assert(EVP_PKEY_keygen_init(context) > 0 && EVP_PKEY_generate(context, &key) > 0);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(parameters);
    return key;
}

START_TEST(test_other_kinds)
{
    static const char *const kinds[] = {"X25519", "X448", "ED25519", "ED448"};
    size_t i;

    for (i = 0; i < 4; i++) {
        certificatetest_refuses(with_public(EVP_PKEY_Q_keygen(NULL, NULL, kinds[i])),
                                "is of another kind; an RSA key");
    }
    certificatetest_refuses(with_public(make_dsa()), "is of another kind");
    refuses_gcm(with_public(EVP_EC_gen("SM2")), "the certificate's");
    refuses_gcm(with_public(EVP_EC_gen("sect283k1")), "is on curve sect283k1");
    refuses_gcm(with_public(EVP_EC_gen("P-224")), "is on curve");
    certificatetest_refuses(
        keyed(NID_rsaesOaep, V_ASN1_UNDEF, NULL, rsa(modulus_of(2048), number(65537)), 0),
        "key cannot be read");
    certificatetest_refuses(
        keyed(NID_commonName, V_ASN1_NULL, NULL, rsa(modulus_of(2048), number(65537)), 0),
        "key cannot be read");
}
END_TEST

TCase *certificate_odd_case(void)
{
    TCase *tc = unit_case("certificate_odd");

    tcase_add_test(tc, test_exponent);
    tcase_add_test(tc, test_modulus);
    tcase_add_test(tc, test_weak_primes);
    tcase_add_test(tc, test_form_of_rsa);
    tcase_add_test(tc, test_point);
    tcase_add_test(tc, test_other_kinds);
    return tc;
}
