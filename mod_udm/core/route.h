/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h: which operation a method and a path mean, in which version.
 */
#ifndef UDM_CORE_ROUTE_H
#define UDM_CORE_ROUTE_H

#include <stdbool.h>

#include <apr_pools.h>

#include "core/error.h"
#include "core/operation.h"

/* Which credentials an operation asks for (decisions: 5.1). */
typedef enum {
    UDM_NEED_NONE,
    UDM_NEED_OPTIONAL, /* none, unless UDMRequire says otherwise; each that is sent must be good */
    UDM_NEED_KEY,      /* the key; a token, if sent, must be good */
    UDM_NEED_TOKEN,    /* the token; a key, if sent, must be good */
    UDM_NEED_BOTH,
    UDM_NEED_ANY /* one of them; each that is sent must be good */
} udm_need;

typedef enum { UDM_V10 = 1, UDM_V4 = 2, UDM_V3 = 4 } udm_version;
#define UDM_ALL_VERSIONS        (UDM_V10 | UDM_V4 | UDM_V3)
#define UDM_DEPRECATED_VERSIONS (UDM_V4 | UDM_V3)

/* Since when v4 and v3 are deprecated, for the header Deprecation (RFC 9745): 2026-01-01 UTC. */
#define UDM_DEPRECATED_SINCE 1767225600

/* An operation in one version. Static. */
typedef struct udm_route_t {
    udm_operation operation;
    udm_version version; /* 0 for what stands beside the versions */
    const char *method;  /* "GET" answers HEAD too */
    const char *path;    /* "/v10/export/jobs/{id}": at most one {parameter}, never empty */
    udm_need need;
    bool json; /* answers in JSON */
} udm_route_t;

/*
 * Finds the operation for a method and a path below the mount ("/v10/version"; no part of it is empty,
 * so "/v10/version/" is none). `path` is already unescaped by the server; `versions` is a mask of those that are
 * switched on. `parameter` gets what {…} matched, in `p`, or NULL.
 * @return UDM_E_NOT_FOUND for an unknown path, and for everything below a version that is off or
 *         unknown, with a reason that says so and names those that are on; UDM_E_METHOD for a known
 *         path with another method, with `allow` set to the list for the Allow header ("GET, HEAD,
 *         OPTIONS, POST")
 */
udm_error_t *udm_route_find(const udm_route_t **route, const char **parameter, const char **allow,
                            apr_pool_t *p, int versions, const char *method, const char *path);

/* "v10" ... */
const char *udm_version_name(udm_version version);
/* @return false for a word that names no version */
bool udm_version_parse(udm_version *version, const char *name);

/* All of them, for tests and for the OpenAPI check; ends with a NULL method. */
const udm_route_t *udm_route_table(void);

#endif
