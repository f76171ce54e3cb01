/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate.c: judges a certificate before exports are encrypted to it.
 *
 * OpenSSL's error queue belongs to the thread, and httpd's own TLS reads it: it is left empty here.
 */
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include <apr_escape.h>
#include <apr_strings.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/calendar.h"
#include "core/certificate.h"
#include "core/seal.h"
#include "core/text.h"
#include "core/weak_rsa.h"

/* So many private keys of EC are tried. */
#define COUNTED 100

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 16384 /* OpenSSL computes with nothing larger */

/*
 * What FIPS 186-5 and SP 800-56B allow: 2^16 < e < 2^256. With e = 1 nothing is encrypted, a small one
 * was the way in of many attacks, and a large one is a sign of a private exponent that is too small.
 */
#define RSA_E_MIN        65537
#define RSA_E_BITS_MAX   256
#define RSA_E_BITS_LARGE OPENSSL_RSA_MAX_PUBEXP_BITS    /* beside a modulus of more bits than */
#define RSA_LARGE_BITS   OPENSSL_RSA_SMALL_MODULUS_BITS /* these OpenSSL takes no larger one */

static udm_error_t *invalid(apr_pool_t *p, const char *reason)
{
    return udm_error_make(p, UDM_E_INVALID, "%s", reason);
}

/* @return true when `needle` stands anywhere in the data */
static bool holds(const char *data, apr_size_t size, const char *needle)
{
    return memmem(data, size, needle, strlen(needle)) != NULL;
}

/* Says what a file is that has no PEM block at all. */
static udm_error_t *not_pem(apr_pool_t *p, const char *data, apr_size_t size)
{
    const unsigned char *bytes = (const unsigned char *)data;
    X509 *der = d2i_X509(NULL, &bytes, (long)size);

    if (der) {
        X509_free(der);
        return invalid(p, "the certificate is in DER form, and PEM is needed: convert it with "
                          "openssl x509 -inform DER -in FILE -out FILE.pem");
    }
    if (size > 1 && (unsigned char)data[0] == 0x30 && (unsigned char)data[1] >= 0x80) {
        return invalid(p, "the file is binary (DER, PKCS#7 or PKCS#12), and a certificate in PEM "
                          "form is needed");
    }
    return invalid(p, "the file holds no certificate in PEM form (no line "
                      "-----BEGIN CERTIFICATE-----)");
}

/* Reads the one CERTIFICATE block. `*x509` must be freed, also after an error. */
static udm_error_t *read_block(X509 **x509, apr_pool_t *p, const char *data, apr_size_t size)
{
    BIO *bio = BIO_new_mem_buf(data, (int)size);
    udm_error_t *error = NULL;
    int blocks = 0;

    while (!error) {
        char *name = NULL, *header = NULL;
        unsigned char *der = NULL;
        const unsigned char *at;
        long length = 0;

        if (!PEM_read_bio(bio, &name, &header, &der, &length)) {
            if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
                error =
                    invalid(p, "the PEM form is damaged: the block is cut off, or is no base64");
            }
            else if (blocks == 0) {
                error = not_pem(p, data, size);
            }
            break;
        }
        blocks++;
        at = der;
        if (strcmp(name, PEM_STRING_X509) != 0 && strcmp(name, PEM_STRING_X509_OLD) != 0) {
            error = udm_error_make(p, UDM_E_INVALID,
                                   "the file holds a block of another kind (%.40s): send the "
                                   "certificate alone",
                                   name);
        }
        else if (*x509) {
            error = invalid(p, "the file holds more than one certificate (a chain): send only the "
                               "one to encrypt to");
        }
        else if (*header || !(*x509 = d2i_X509(NULL, &at, length)) || at != der + length) {
            error =
                invalid(p, "the CERTIFICATE block holds no X.509 certificate, or a damaged one");
        }
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    BIO_free(bio);
    return error;
}

/* A positive number as it stands in DER, without zeros in front. */
typedef struct number {
    const unsigned char *bytes;
    size_t size;
} number;

/*
 * Enters or reads one element of DER, up to `end`.
 * @return false for another tag, for what goes on past the end, or has its length in a longer form
 */
static bool read_element(const unsigned char **content, long *size, const unsigned char **at,
                         const unsigned char *end, int tag)
{
    const unsigned char *start = *at;
    int found, class;
    int form = ASN1_get_object(at, size, &found, &class, end - *at);

    *content = *at;
    return form == (tag == V_ASN1_SEQUENCE ? V_ASN1_CONSTRUCTED : 0) && found == tag &&
           class == V_ASN1_UNIVERSAL &&
           ASN1_object_size(0, (int)*size, tag) == *size + (*at - start);
}

/* Reads an INTEGER. @return false also for one that is negative, or padded */
static bool read_positive(number *n, const unsigned char **at, const unsigned char *end)
{
    const unsigned char *content;
    long size;

    if (!read_element(&content, &size, at, end, V_ASN1_INTEGER) || size == 0 || content[0] > 0x7f ||
        (size > 1 && content[0] == 0 && content[1] <= 0x7f)) {
        return false;
    }
    *at += size;
    n->bytes = content[0] == 0 ? content + 1 : content;
    n->size = (size_t)(content[0] == 0 ? size - 1 : size);
    return true;
}

static int bits_of(const number *n)
{
    int bits = 0;

    if (n->size > 0) {
        unsigned char top;

        for (top = n->bytes[0]; top; top >>= 1) {
            bits++;
        }
        bits += 8 * ((int)n->size - 1);
    }
    return bits;
}

static bool is_odd(const number *n)
{
    return n->size > 0 && n->bytes[n->size - 1] & 1;
}

/* Zero is in order here, and is told of as what it is. */
static bool is_below(const number *n, unsigned long limit)
{
    unsigned long value = 0;
    size_t i;

    for (i = 0; i < n->size && i < sizeof(value); i++) {
        value = value << 8 | n->bytes[i];
    }
    return n->size <= sizeof(value) && value < limit;
}

/* The key as the certificate has it: whole bytes. */
static bool get_key(const unsigned char **at, const unsigned char **end, const X509 *x509)
{
    const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(x509);
    int size = ASN1_STRING_length(bits);

    if (size == 0 || (bits->flags & 7) != 0) {
        return false;
    }
    *at = ASN1_STRING_get0_data(bits);
    *end = *at + size;
    return true;
}

/*
 * An RSA key's numbers. OpenSSL reads more than DER allows, and takes a negative number
 * for the positive one of the same bits.
 */
static bool read_rsa(number *modulus, number *exponent, const X509 *x509)
{
    const unsigned char *at, *end, *content;
    long size;

    return get_key(&at, &end, x509) && read_element(&content, &size, &at, end, V_ASN1_SEQUENCE) &&
           at + size == end && read_positive(modulus, &at, end) &&
           read_positive(exponent, &at, end) && at == end;
}

/* RSA transports the content's key. */
static udm_error_t *check_rsa(apr_pool_t *p, const X509 *x509)
{
    number modulus, exponent;
    int bits, e_bits, e_most;

    if (!read_rsa(&modulus, &exponent, x509)) {
        return invalid(p, "the certificate's RSA key is damaged: it is not two positive numbers in "
                          "DER form");
    }
    bits = bits_of(&modulus);
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
        return udm_error_make(p, UDM_E_INVALID,
                              "the certificate's RSA key has %s, and %d to %d are needed",
                              udm_text_count(p, bits, "bit"), RSA_BITS_MIN, RSA_BITS_MAX);
    }
    if (!is_odd(&modulus)) {
        return invalid(p, "the certificate's RSA key is unsafe: its modulus is even");
    }
    e_bits = bits_of(&exponent);
    e_most = bits > RSA_LARGE_BITS ? RSA_E_BITS_LARGE : RSA_E_BITS_MAX;
    if (is_below(&exponent, RSA_E_MIN) || !is_odd(&exponent)) {
        return udm_error_make(
            p, UDM_E_INVALID,
            "the certificate's RSA key is unsafe: its public exponent must be odd "
            "and at least %d",
            RSA_E_MIN);
    }
    if (e_bits > e_most) {
        return udm_error_make(
            p, UDM_E_INVALID,
            "the certificate's RSA key is unsafe: its public exponent has %d bits, "
            "and at most %d are allowed beside a modulus of %d",
            e_bits, e_most, bits);
    }
    return NULL;
}

/* RFC 5480: compressed or not, but neither hybrid nor the point at infinity, which encrypts nothing. */
static udm_error_t *check_point(apr_pool_t *p, const X509 *x509)
{
    const unsigned char *point, *end;

    if (!get_key(&point, &end, x509) || point[0] < POINT_CONVERSION_COMPRESSED ||
        point[0] > POINT_CONVERSION_UNCOMPRESSED) {
        return invalid(p, "the certificate's EC key is unsafe: its point is at infinity, or not in "
                          "the form that RFC 5480 asks for");
    }
    return NULL;
}

/* EC agrees on a key that the content's key is wrapped with, which smime does not have. */
static udm_error_t *check_ec(apr_pool_t *p, const X509 *x509, EVP_PKEY *key,
                             udm_encryption encryption)
{
    char curve[64];
    int is_explicit = 0;

    if (encryption != UDM_ENCRYPTION_CMS_GCM) {
        return invalid(p, "the certificate has an EC key, which needs the encryption cms-gcm "
                          "(UDMEncryption cms-gcm), and here it is smime: an RSA key of at least "
                          "2048 bits is needed");
    }
    /* whose parameters could be anything */
    if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                               &is_explicit) != 1 ||
        is_explicit || EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) != 1) {
        return invalid(p, "the certificate's EC key spells out its curve, and a named one is "
                          "needed: P-256, P-384 or P-521");
    }
    switch (OBJ_txt2nid(curve)) {
    case NID_X9_62_prime256v1:
    case NID_secp384r1:
    case NID_secp521r1:
        return check_point(p, x509);
    default:
        return udm_error_make(p, UDM_E_INVALID,
                              "the certificate's EC key is on curve %s, and P-256, P-384 or P-521 "
                              "is needed",
                              curve);
    }
}

/* Exports are encrypted to the key: it must be of a fit kind and size, and allowed to. */
static udm_error_t *check_key(apr_pool_t *p, X509 *x509, udm_encryption encryption)
{
    const char *needed = encryption == UDM_ENCRYPTION_CMS_GCM
                             ? "an RSA key of at least 2048 bits, or an EC key on P-256, P-384 or "
                               "P-521, is needed"
                             : "an RSA key of at least 2048 bits is needed";
    EVP_PKEY *key = X509_get0_pubkey(x509);
    uint32_t usage = KU_KEY_ENCIPHERMENT;
    udm_error_t *error = NULL;

    if (!key) {
        return udm_error_make(
            p, UDM_E_INVALID,
            "the certificate's key cannot be read: it is damaged, or of a kind or "
            "on a curve that is not known here; %s",
            needed);
    }
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        error = check_rsa(p, x509);
        break;
    case EVP_PKEY_EC:
        error = check_ec(p, x509, key, encryption);
        usage = KU_KEY_AGREEMENT;
        break;
    case EVP_PKEY_RSA_PSS:
        return invalid(p, "the certificate has an RSA-PSS key, which can only sign; a plain RSA "
                          "key of at least 2048 bits is needed");
    default:
        return udm_error_make(p, UDM_E_INVALID, "the certificate's key is of another kind; %s",
                              needed);
    }
    if (error) {
        return error;
    }
    if (X509_get_extension_flags(x509) & EXFLAG_INVALID) {
        return invalid(p, "the certificate's extensions are damaged");
    }
    /* RFC 5280, 4.2: whoever does not know it must not use the certificate */
    if (X509_get_extension_flags(x509) & EXFLAG_CRITICAL) {
        return invalid(p, "the certificate has a critical extension that is not known here");
    }
    /* all bits are set where the extension is absent */
    if (!(X509_get_key_usage(x509) & usage)) {
        return udm_error_make(p, UDM_E_INVALID,
                              "the certificate cannot be used: its key usage does not allow %s",
                              usage == KU_KEY_AGREEMENT ? "key agreement" : "encryption of keys");
    }
    return NULL;
}

/* @return false for a time that is malformed */
static bool read_time(apr_time_t *when, const ASN1_TIME *time)
{
    struct tm tm;

    if (!ASN1_TIME_to_tm(time, &tm)) {
        return false;
    }
    *when = apr_time_from_sec(timegm(&tm));
    return true;
}

static udm_error_t *check_validity(udm_certificate_t *made, apr_pool_t *p, const X509 *x509,
                                   apr_time_t now)
{
    if (!read_time(&made->not_before, X509_get0_notBefore(x509)) ||
        !read_time(&made->not_after, X509_get0_notAfter(x509))) {
        return invalid(p, "the certificate's dates of validity are damaged");
    }
    if (now < made->not_before) {
        return udm_error_make(p, UDM_E_INVALID,
                              "the certificate is not yet valid: it will be at %s",
                              udm_calendar_text(p, made->not_before));
    }
    if (now >= made->not_after + apr_time_from_sec(1)) { /* its last second counts */
        return udm_error_make(p, UDM_E_INVALID,
                              "the certificate has expired: it was valid until %s",
                              udm_calendar_text(p, made->not_after));
    }
    return NULL;
}

static udm_error_t *out_of_memory(apr_pool_t *p)
{
    return udm_error_status(p, UDM_E_INTERNAL, APR_ENOMEM, "the certificate cannot be read");
}

/* Fills in what is said about the certificate. */
static udm_error_t *describe(udm_certificate_t *made, apr_pool_t *p, X509 *x509)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_size = sizeof(digest);
    BIO *pem = BIO_new(BIO_s_mem()), *subject = BIO_new(BIO_s_mem());
    udm_error_t *error = NULL;
    char *text;
    long size;

    if (!pem || !subject || !X509_digest(x509, EVP_sha256(), digest, &digest_size) ||
        !PEM_write_bio_X509(pem, x509)) {
        error = out_of_memory(p);
    }
    else if (X509_NAME_print_ex(subject, X509_get_subject_name(x509), 0, XN_FLAG_RFC2253) < 0) {
        error = invalid(p, "the certificate's subject is damaged: it holds text that is not in the "
                           "encoding that it says");
    }
    else {
        made->fingerprint = apr_pescape_hex(p, digest, digest_size, 0);
        size = BIO_get_mem_data(pem, &text);
        made->pem = apr_pstrmemdup(p, text, (apr_size_t)size);
        size = BIO_get_mem_data(subject, &text);
        made->subject = size > 0 ? apr_pstrmemdup(p, text, (apr_size_t)size) : "";
    }
    BIO_free(pem);
    BIO_free(subject);
    return error;
}

udm_error_t *udm_certificate_parse(udm_certificate_t **certificate, apr_pool_t *p, const char *data,
                                   apr_size_t size, udm_encryption encryption, apr_time_t now)
{
    udm_certificate_t *made = apr_pcalloc(p, sizeof(*made));
    udm_error_t *error = NULL;
    X509 *x509 = NULL;

    *certificate = NULL;
    if (size > UDM_CERTIFICATE_MAX_SIZE) {
        return udm_error_make(p, UDM_E_INVALID,
                              "the file has %" APR_SIZE_T_FMT
                              " bytes; a certificate has at most %d",
                              size, UDM_CERTIFICATE_MAX_SIZE);
    }
    if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
        data += 3; /* the byte order mark of some editors */
        size -= 3;
    }
    if (strspn(apr_pstrmemdup(p, data, size), " \t\r\n") == size) {
        return invalid(p, "the file is empty");
    }
    if (holds(data, size, "PRIVATE KEY-----")) {
        return invalid(p, "the file holds a private key: send the certificate alone, and take the "
                          "key for compromised");
    }
    ERR_clear_error();
    if (!(error = read_block(&x509, p, data, size)) && !(error = check_key(p, x509, encryption)) &&
        !(error = check_validity(made, p, x509, now))) {
        error = describe(made, p, x509);
    }
    X509_free(x509);
    ERR_clear_error();
    if (!error) {
        *certificate = made;
    }
    return error;
}

/* The numbers of the key: an RSA modulus that is no product of two primes, a point off its curve. */
static bool has_good_key(X509 *x509)
{
    EVP_PKEY *key = X509_get0_pubkey(x509);
    EVP_PKEY_CTX *context = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    bool good = context && EVP_PKEY_public_check(context) > 0;

    EVP_PKEY_CTX_free(context);
    return good;
}

/* Whether anybody finds the factors of the modulus. An EC key has none. */
static bool is_weak(X509 *x509)
{
    BIGNUM *n = NULL;
    bool weak =
        EVP_PKEY_get_bn_param(X509_get0_pubkey(x509), OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
        (udm_weak_rsa_is_roca(n) || udm_weak_rsa_is_close(n) || udm_weak_rsa_has_small_factor(n));

    BN_free(n);
    return weak;
}

/*
 * Whether an EC key's private one is a number that is found by counting, or its negative: then the
 * point is the curve's generator, or one of its first multiples. False for other keys.
 */
static bool is_counted(X509 *x509)
{
    const EVP_PKEY *key = X509_get0_pubkey(x509);
    BIGNUM *x = NULL, *other = BN_new();
    EC_GROUP *group = NULL;
    EC_POINT *point = NULL;
    bool counted = false;
    char curve[64];
    int i;

    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
        EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) == 1 &&
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1) {
        group = EC_GROUP_new_by_curve_name(OBJ_txt2nid(curve));
        point = group ? EC_POINT_dup(EC_GROUP_get0_generator(group), group) : NULL;
    }
    for (i = 0; point && other && !counted && i < COUNTED; i++) {
        counted = EC_POINT_get_affine_coordinates(group, point, other, NULL, NULL) == 1 &&
                  BN_cmp(x, other) == 0;
        if (EC_POINT_add(group, point, point, EC_GROUP_get0_generator(group), NULL) != 1) {
            break;
        }
    }
    EC_POINT_free(point);
    EC_GROUP_free(group);
    BN_free(other);
    BN_free(x);
    return counted;
}

/* Encrypts a byte as files will be. */
static bool can_encrypt(X509 *x509, udm_encryption encryption)
{
    BIO *in = BIO_new_mem_buf("x", 1), *out = BIO_new(BIO_s_null());
    CMS_ContentInfo *cms = udm_seal_make(x509, encryption, 0);
    bool good =
        in && out && cms && CMS_final(cms, in, NULL, CMS_BINARY) > 0 && i2d_CMS_bio(out, cms) > 0;

    CMS_ContentInfo_free(cms);
    BIO_free(in);
    BIO_free(out);
    return good;
}

udm_error_t *udm_certificate_try(apr_pool_t *p, const udm_certificate_t *certificate,
                                 udm_encryption encryption)
{
    BIO *bio = BIO_new_mem_buf(certificate->pem, -1);
    X509 *x509 = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    udm_error_t *error = NULL;

    if (!x509) {
        error = out_of_memory(p);
    }
    else if (!has_good_key(x509)) {
        error =
            invalid(p, "the certificate's key is unsafe: its numbers are not those of a key that "
                       "was made as it should be");
    }
    else if (is_weak(x509)) {
        error = invalid(
            p, "the certificate's RSA key is unsafe: anybody can compute the private key from "
               "it, because of how its primes were chosen (CVE-2017-15361, CVE-2022-26320)");
    }
    else if (is_counted(x509)) {
        error = invalid(p, "the certificate's EC key is unsafe: its private key is a number that "
                           "anybody finds by counting");
    }
    else if (!can_encrypt(x509, encryption)) {
        error = invalid(p, "nothing can be encrypted for the certificate");
    }
    if (error) {
        char text[160];

        ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
        error = udm_error_detail(p, error, "%s", text);
    }
    X509_free(x509);
    BIO_free(bio);
    ERR_clear_error();
    return error;
}
