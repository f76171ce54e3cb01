/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * multipart.h: takes one field out of a multipart/form-data body (RFC 7578) that is in memory.
 */
#ifndef UDM_HTTPD_MULTIPART_H
#define UDM_HTTPD_MULTIPART_H

#include <apr_pools.h>

#include "core/error.h"

/*
 * Finds the field `name`, which must be there exactly once. `field` points into `body`. Other
 * fields are ignored.
 * @return UDM_E_INVALID that says what is wrong with the body
 */
udm_error_t *udm_multipart_field(const char **field, apr_size_t *field_size, apr_pool_t *p,
                                 const char *content_type, const char *body, apr_size_t size,
                                 const char *name);

#endif
