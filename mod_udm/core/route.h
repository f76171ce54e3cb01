/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h: the table of operations: version, method, path, and which credentials it asks for.
 *
 * Whoever adds an operation adds a line here and a handler in httpd/.
 */
#ifndef UDM_ROUTE_H
#define UDM_ROUTE_H

#include <apr_pools.h>

#include "error.h"

typedef enum {
    UDM_OP_VERSION,
    UDM_OP_CERTIFICATE_GET,
    UDM_OP_CERTIFICATE_UPLOAD,
    UDM_OP_SOURCE_LIST,
    UDM_OP_TYPE_LIST,
    UDM_OP_JOB_CREATE,
    UDM_OP_JOB_LIST,
    UDM_OP_JOB_GET,
    UDM_OP_RUN_LIST,
    UDM_OP_RUN_GET,
    UDM_OP_RUN_PROGRESS,
    UDM_OP_FILE_LIST,
    UDM_OP_FILE_LINK,
    UDM_OP_FILE_DOWNLOAD, /* the signed link itself */
    UDM_OP_COUNT
} udm_operation;

/* Which credentials an operation asks for (decisions: 5.1). */
typedef enum {
    UDM_NEED_NONE,
    UDM_NEED_KEY,   /* the key; a token, if sent, must be good */
    UDM_NEED_TOKEN, /* the token; a key, if sent, must be good */
    UDM_NEED_BOTH,
    UDM_NEED_ANY /* one of them; each that is sent must be good */
} udm_need;

typedef enum { UDM_V10 = 1, UDM_V4 = 2, UDM_V3 = 4 } udm_version;

/* One line of the table. Static. */
typedef struct udm_route_t {
    udm_operation operation;
    udm_version version; /* 0 for what stands beside the versions */
    const char *method;  /* "GET" answers HEAD too */
    const char *path;    /* "/v10/export/jobs/{id}": at most one {parameter}, never empty */
    udm_need need;
} udm_route_t;

/*
 * Finds the operation for a method and a path below the mount ("/v10/version"; one trailing slash
 * is forgiven). `path` is already unescaped by the server. `parameter` gets what {…} matched, in
 * `p`, or NULL.
 * @return UDM_E_NOT_FOUND for an unknown path; UDM_E_METHOD for a known path with another method,
 *         with `allow` set to the list for the Allow header ("GET, HEAD, OPTIONS, POST")
 */
udm_error_t *udm_route_find(const udm_route_t **route, const char **parameter, const char **allow,
                            apr_pool_t *p, const char *method, const char *path);

/* The table itself, for tests and for the OpenAPI check; ends with a NULL method. */
const udm_route_t *udm_route_table(void);

#endif
