/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * apikey.c: reads the form of an API key, and keeps only a hash of its secret.
 */
#include <string.h>

#include <openssl/sha.h>

#include "core/apikey.h"

#define PREFIX      "udm_"
#define HEX         "0123456789abcdef"
#define SECRET_SIZE 64
#define KEY_SIZE    (sizeof(PREFIX) - 1 + UDM_APIKEY_ID_SIZE + 1 + SECRET_SIZE)

bool udm_apikey_parse(udm_apikey_t *key, const char *text)
{
    const char *id, *secret;

    memset(key, 0, sizeof(*key));
    if (!text || strlen(text) != KEY_SIZE || strncmp(text, PREFIX, sizeof(PREFIX) - 1) != 0) {
        return false;
    }
    id = text + sizeof(PREFIX) - 1;
    secret = id + UDM_APIKEY_ID_SIZE + 1;
    if (strspn(id, HEX) != UDM_APIKEY_ID_SIZE || secret[-1] != '_' ||
        strspn(secret, HEX) != SECRET_SIZE) {
        return false;
    }
    memcpy(key->id, id, UDM_APIKEY_ID_SIZE);
    /* the hash is over the secret's text, as the function that makes keys has it */
    return SHA256((const unsigned char *)secret, SECRET_SIZE, key->secret_sha256) != NULL;
}
