/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * certificatetest.h: what the tests of odd certificates share; it is in test_certificate_odd.c.
 */
#ifndef UDM_CERTIFICATETEST_H
#define UDM_CERTIFICATETEST_H

#include <openssl/x509.h>

#include "core/certificate.h"

#define DAY 86400
#define NOW apr_time_from_sec(1795500000) /* 2026-11-24T06:00:00Z */

/* Some bytes of DER. */
typedef struct {
    unsigned char *data;
    int size;
} der;

/* These bytes. */
der certificatetest_bytes(const void *data, int size);

/* An odd number of so many bits; whoever asks for no factors gets none below 1000. */
BIGNUM *certificatetest_odd_bits(int bits);

/* A certificate with a good RSA key, to be changed; `signer` is another key. */
X509 *certificatetest_make(EVP_PKEY **signer);

/* Signs, frees both, gives the PEM. */
const char *certificatetest_finish(X509 *x509, EVP_PKEY *signer);

/* What an upload does. */
udm_error_t *certificatetest_upload(const char *pem, udm_encryption encryption);

/* It is good for either encryption. */
void certificatetest_takes(const char *pem);

/* Neither encryption takes it, and the reason says so. */
#define certificatetest_refuses(pem, words)                                                        \
    do {                                                                                           \
        const char *refused = (pem);                                                               \
        unit_fails(certificatetest_upload(refused, UDM_ENCRYPTION_SMIME), UDM_E_INVALID, words);   \
        unit_fails(certificatetest_upload(refused, UDM_ENCRYPTION_CMS_GCM), UDM_E_INVALID, words); \
    } while (0)

#endif
