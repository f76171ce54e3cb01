/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * mime.h: an encrypted file as the bytes of its CMS: S/MIME text (RFC 8551) is decoded, DER is
 * taken as it is. Memory does not depend on the size of the file.
 */
#ifndef UDM_DECRYPT_MIME_H
#define UDM_DECRYPT_MIME_H

#include <signal.h>

#include "core/error.h"
#include "core/text.h"

typedef struct udm_mime_t udm_mime_t;

/*
 * Opens a regular file. Once `*stop` is not 0, reading ends with UDM_E_STOPPED.
 * @return UDM_E_STORE when it cannot be read, UDM_E_UNPROCESSABLE when it is no encrypted file
 */
udm_error_t *udm_mime_open(udm_mime_t **mime, apr_pool_t *p, const char *path,
                           const volatile sig_atomic_t *stop);

/* The next bytes, good until the next call; `size` 0 at the end of the file. */
udm_error_t *udm_mime_read(udm_mime_t *mime, const unsigned char **data, apr_size_t *size);

/* The name that udm_mime_open was given. */
const char *udm_mime_path(const udm_mime_t *mime);

/* SHA-256 of the whole file as it is stored, after udm_mime_read gave its end. */
udm_error_t *udm_mime_sha256(unsigned char digest[UDM_SHA256_SIZE], udm_mime_t *mime);

/* SHA-256 of a file, by itself. */
udm_error_t *udm_mime_hash_file(unsigned char digest[UDM_SHA256_SIZE], apr_pool_t *p,
                                const char *path, const volatile sig_atomic_t *stop);

#endif
