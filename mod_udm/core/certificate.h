/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate.h: what a certificate must be before exports are encrypted to it (decisions 4.5).
 */
#ifndef UDM_CORE_CERTIFICATE_H
#define UDM_CORE_CERTIFICATE_H

#include <apr_pools.h>
#include <apr_time.h>

#include "core/encryption.h"
#include "core/error.h"

/* Largest certificate file that is taken, in bytes. */
#define UDM_CERTIFICATE_MAX_SIZE 65536

typedef struct udm_certificate_t {
    const char *pem;         /* normalised: the one CERTIFICATE block, nothing around it */
    const char *fingerprint; /* SHA-256 over the DER form, lower-case hex */
    const char *subject;     /* RFC 2253 */
    apr_time_t not_before;
    apr_time_t not_after;
} udm_certificate_t;

/*
 * Reads one X.509 certificate in PEM that is valid at `now`, with a key that files can be encrypted
 * to in this way: RSA of at least 2048 bits with a public exponent of 65537 or more, or with cms-gcm
 * EC on P-256, P-384 or P-521. Text around the block (as `openssl x509 -text` writes) is fine.
 * @return UDM_E_INVALID that says why not: empty, DER, a private key, a chain, a key that is too
 *         small, unsafe, of another kind or of another use, not yet valid, expired, rubbish
 */
udm_error_t *udm_certificate_parse(udm_certificate_t **certificate, apr_pool_t *p, const char *data,
                                   apr_size_t size, udm_encryption encryption, apr_time_t now);

/*
 * What takes longer, 4 ms for RSA of 2048 bits and seconds for 16384, and is done before a certificate
 * is taken and before a file is made: the key is computed with, and one byte encrypted.
 * @return UDM_E_INVALID that says what does not work, with OpenSSL's words as detail
 */
udm_error_t *udm_certificate_try(apr_pool_t *p, const udm_certificate_t *certificate,
                                 udm_encryption encryption);

#endif
