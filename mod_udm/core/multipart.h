/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * multipart.h: takes one field out of a multipart/form-data body (RFC 7578) that is in memory.
 */
#ifndef UDM_CORE_MULTIPART_H
#define UDM_CORE_MULTIPART_H

#include <stdbool.h>

#include <apr_pools.h>

#include "core/error.h"

/*
 * Finds the field `name`, which must be there exactly once. `field` points into `body`. Other
 * fields are ignored. Takes no memory to speak of, whatever the body is like.
 * @return UDM_E_INVALID that says what is wrong with the body
 */
udm_error_t *udm_multipart_field(const char **field, apr_size_t *field_size, apr_pool_t *p,
                                 const char *content_type, const char *body, apr_size_t size,
                                 const char *name);

/*
 * @return true when a Content-Type names a boundary: then the body is a form, whatever media type stands
 *         before it. curl -F adds the boundary to the type that its user gave.
 */
bool udm_multipart_announced(apr_pool_t *p, const char *content_type);

#endif
