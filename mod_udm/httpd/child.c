/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c: which child belongs to which server.
 */
#include "httpd/child.h"

#include <apr_hash.h>

#include "httpd/config.h"

udm_child_t *udm_child_of(const request_rec *r)
{
    return apr_hash_get(udm_config_main()->children, &r->server, sizeof(r->server));
}
