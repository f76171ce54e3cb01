/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * joined.h: the decrypted parts, one after the other, with the position in each: the volumes of the
 * archive. What is read is not verified until its volume has ended.
 */
#ifndef UDM_DECRYPT_JOINED_H
#define UDM_DECRYPT_JOINED_H

#include <openssl/evp.h>

#include "decrypt/inputs.h"

/* The most that can be looked at in one piece. */
#define UDM_JOINED_PEEK_MAX 2048

typedef struct udm_joined_t udm_joined_t;

udm_error_t *udm_joined_open(udm_joined_t **joined, apr_pool_t *p, const udm_inputs_t *inputs,
                             EVP_PKEY *key, const volatile sig_atomic_t *stop);

/*
 * Shows at least `want` bytes of this volume, fewer only at its end, which then is verified; does
 * not go forward.
 */
udm_error_t *udm_joined_peek(const unsigned char **data, apr_size_t *size, udm_joined_t *joined,
                             apr_size_t want);

/* Goes forward by what was shown. */
void udm_joined_skip(udm_joined_t *joined, apr_size_t size);

/* Goes to the next volume, from the end of this one; fails when there is none. */
udm_error_t *udm_joined_next(udm_joined_t *joined);

/* Number of the volume, from 0; whether it is the last; the position in it. */
uint32_t udm_joined_disk(const udm_joined_t *joined);
bool udm_joined_is_last(const udm_joined_t *joined);
apr_int64_t udm_joined_offset(const udm_joined_t *joined);

/* The file that the volume is in. */
const char *udm_joined_path(const udm_joined_t *joined);

/* The last `*size` bytes, as many as there are up to `space`, of one file. */
udm_error_t *udm_joined_tail(unsigned char *tail, apr_size_t *size, apr_pool_t *p, const char *path,
                             EVP_PKEY *key, const volatile sig_atomic_t *stop, apr_size_t space);

#endif
