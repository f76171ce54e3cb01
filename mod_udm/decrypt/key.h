/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * key.h: the private key of the certificate that an export was made for.
 */
#ifndef UDM_DECRYPT_KEY_H
#define UDM_DECRYPT_KEY_H

#include <openssl/evp.h>

#include "core/error.h"

/*
 * Reads a PEM file. `passphrase_file` may be NULL: then the passphrase of an encrypted key is asked
 * for on the terminal. The key goes with `p`.
 * @return UDM_E_STORE when a file cannot be read, UDM_E_CERTIFICATE when it is no key for this
 */
udm_error_t *udm_key_read(EVP_PKEY **key, apr_pool_t *p, const char *path,
                          const char *passphrase_file);

#endif
