/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope.h: what is encrypted for a certificate, in one of two ways:
 *
 *   smime    S/MIME (RFC 8551) enveloped-data as text: MIME headers and base64, AES-256-CBC, RSA.
 *            `openssl smime -decrypt -inkey KEY -in FILE -out FILE` reads it.
 *   cms-gcm  CMS AuthEnvelopedData (RFC 5083), binary: AES-256-GCM (RFC 5084) with the key for
 *            RSA-OAEP with SHA-256, or for ECDH (RFC 5753).
 *            `openssl cms -decrypt -inform DER -inkey KEY -in FILE -out FILE` reads it.
 *
 * Either is BER of indefinite lengths, but DER when there are less than UDM_ENVELOPE_WHOLE bytes.
 */
#ifndef UDM_EXPORT_ENVELOPE_H
#define UDM_EXPORT_ENVELOPE_H

#include "core/encryption.h"
#include "export/buffer.h"

/* Fewer plain bytes are encrypted in one go, into definite lengths. */
#define UDM_ENVELOPE_WHOLE 65536

/* Whom files are encrypted for; made once for a run. */
typedef struct udm_recipient_t udm_recipient_t;
typedef struct udm_envelope_t udm_envelope_t;

/* @return UDM_E_CERTIFICATE when nothing can be encrypted so for this certificate (in PEM) */
udm_error_t *udm_recipient_make(udm_recipient_t **recipient, apr_pool_t *p, const char *pem,
                                udm_encryption encryption);

udm_encryption udm_recipient_encryption(const udm_recipient_t *recipient);

/* The most bytes whose envelope is not larger than `limit` bytes; 0 when nothing fits. */
apr_int64_t udm_recipient_capacity(const udm_recipient_t *recipient, apr_int64_t limit);

/*
 * Begins an envelope, which goes to `sink`. Its memory goes back with `p`.
 * From here to the end of udm_envelope_finish the sink may be called by another thread, never by two
 * at a time; what it uses, the pool of its errors too, must not be used by others meanwhile.
 */
udm_error_t *udm_envelope_open(udm_envelope_t **envelope, apr_pool_t *p,
                               const udm_recipient_t *recipient, const udm_sink_t *sink);
udm_error_t *udm_envelope_write(udm_envelope_t *envelope, const void *data, apr_size_t size);

/*
 * Ends it. `size` and `sha256` (lower-case hex, in `p`) get those of all that went to the sink.
 * @return also UDM_E_INTERNAL when nothing was written: OpenSSL streams no empty CMS
 */
udm_error_t *udm_envelope_finish(apr_int64_t *size, const char **sha256, apr_pool_t *p,
                                 udm_envelope_t *envelope);

#endif
