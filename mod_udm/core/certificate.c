/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate.c: judges a certificate before exports are encrypted to it.
 *
 * OpenSSL's error queue belongs to the thread, and httpd's own TLS reads it: it is left empty here.
 */
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include <apr_strings.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "certificate.h"
#include "text.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 16384 /* OpenSSL computes with nothing larger */

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

/* RSA transports the content's key. */
static udm_error_t *check_rsa(apr_pool_t *p, EVP_PKEY *key)
{
    int bits = EVP_PKEY_get_bits(key);

    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
        return udm_error_make(p, UDM_E_INVALID,
                              "the certificate's RSA key has %d bits, and %d to %d are needed",
                              bits, RSA_BITS_MIN, RSA_BITS_MAX);
    }
    return NULL;
}

/* EC agrees on a key that the content's key is wrapped with, which smime does not have. */
static udm_error_t *check_ec(apr_pool_t *p, EVP_PKEY *key, udm_encryption encryption)
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
        return NULL;
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
        return udm_error_make(p, UDM_E_INVALID, "the certificate's key cannot be read; %s", needed);
    }
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        error = check_rsa(p, key);
        break;
    case EVP_PKEY_EC:
        error = check_ec(p, key, encryption);
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
                              udm_text_time(p, made->not_before));
    }
    if (now >= made->not_after + apr_time_from_sec(1)) { /* its last second counts */
        return udm_error_make(p, UDM_E_INVALID,
                              "the certificate has expired: it was valid until %s",
                              udm_text_time(p, made->not_after));
    }
    return NULL;
}

/* Fills in what is said about the certificate. @return false when memory is out */
static bool describe(udm_certificate_t *made, apr_pool_t *p, X509 *x509)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_size = sizeof(digest);
    BIO *pem = BIO_new(BIO_s_mem()), *subject = BIO_new(BIO_s_mem());
    bool good = false;
    char *text;
    long size;

    if (pem && subject && X509_digest(x509, EVP_sha256(), digest, &digest_size) &&
        PEM_write_bio_X509(pem, x509) &&
        X509_NAME_print_ex(subject, X509_get_subject_name(x509), 0, XN_FLAG_RFC2253) >= 0) {
        made->fingerprint = udm_text_hex(p, digest, digest_size);
        size = BIO_get_mem_data(pem, &text);
        made->pem = apr_pstrmemdup(p, text, (apr_size_t)size);
        size = BIO_get_mem_data(subject, &text);
        made->subject = size > 0 ? apr_pstrmemdup(p, text, (apr_size_t)size) : "";
        good = true;
    }
    BIO_free(pem);
    BIO_free(subject);
    return good;
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
        !(error = check_validity(made, p, x509, now)) && !describe(made, p, x509)) {
        error = udm_error_status(p, UDM_E_INTERNAL, APR_ENOMEM, "the certificate cannot be read");
    }
    X509_free(x509);
    ERR_clear_error();
    if (!error) {
        *certificate = made;
    }
    return error;
}
