/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * apikey.h: the form of an API key: udm_<id>_<secret>, 12 and 64 lower-case hex digits.
 */
#ifndef UDM_CORE_APIKEY_H
#define UDM_CORE_APIKEY_H

#include <stdbool.h>

#include <apr_pools.h>

#include "core/text.h"

#define UDM_APIKEY_ID_SIZE 12

typedef struct udm_apikey_t {
    char id[UDM_APIKEY_ID_SIZE + 1];
    unsigned char secret_sha256[UDM_SHA256_SIZE]; /* the secret itself is not kept */
} udm_apikey_t;

/* @return false when `text` has not the form of a key */
bool udm_apikey_parse(udm_apikey_t *key, const char *text);

#endif
