/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * cms.h: decrypts one file as it is read: CMS EnvelopedData (RFC 5652) with AES-CBC and
 * AuthEnvelopedData (RFC 5083, RFC 5084) with AES-GCM.
 */
#ifndef UDM_DECRYPT_CMS_H
#define UDM_DECRYPT_CMS_H

#include <openssl/evp.h>

#include "decrypt/mime.h"

/* udm_cms_read wants so much space. */
#define UDM_CMS_READ_MIN 64

typedef struct udm_cms_t udm_cms_t;

/* @return UDM_E_CERTIFICATE when this key does not open the file */
udm_error_t *udm_cms_open(udm_cms_t **cms, apr_pool_t *p, udm_mime_t *mime, EVP_PKEY *key);

/*
 * The next bytes of what was encrypted; `size` 0 at the end, and then the file was whole, and with
 * AES-GCM nobody without the content's key has changed it. What is given out before that is not
 * verified.
 */
udm_error_t *udm_cms_read(unsigned char *data, apr_size_t *size, udm_cms_t *cms, apr_size_t space);

#endif
