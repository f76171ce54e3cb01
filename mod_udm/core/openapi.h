/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * openapi.h: the description of the API (OpenAPI 3.1), as it holds at one mount.
 *
 * The whole document is conf/openapi.json, compiled in; what a mount does not offer is taken out of
 * it, so that a client generated from it finds everything that it was promised.
 */
#ifndef UDM_CORE_OPENAPI_H
#define UDM_CORE_OPENAPI_H

#include <stdbool.h>

#include <apr_pools.h>
#include <jansson.h>

#include "core/error.h"

/*
 * The document for the versions of a mask of udm_version: other versions' paths and what only they
 * refer to are left out; with `wrapped`, JSON answers are described in their envelope; `base_url`
 * is the only server. A new reference.
 */
udm_error_t *udm_openapi_document(json_t **document, apr_pool_t *p, int versions, bool wrapped,
                                  const char *base_url);

#endif
