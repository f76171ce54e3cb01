/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.h: which algorithms an envelope has. What is tried out before a certificate is taken and what
 * files are put into later is made here, the same way.
 */
#ifndef UDM_CORE_SEAL_H
#define UDM_CORE_SEAL_H

#include <openssl/cms.h>

#include "core/encryption.h"

/*
 * A CMS for the certificate that has no content yet: smime with AES-256-CBC and RSA, cms-gcm with
 * AES-256-GCM and RSA-OAEP (SHA-256) or ECDH. `flags` are those of CMS_encrypt().
 * @return NULL when OpenSSL cannot, its error queue then says why; else to be freed by the caller
 */
CMS_ContentInfo *udm_seal_make(X509 *x509, udm_encryption encryption, unsigned flags);

#endif
