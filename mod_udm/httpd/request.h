/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h: what the module knows of a request, and its body.
 */
#ifndef UDM_HTTPD_REQUEST_H
#define UDM_HTTPD_REQUEST_H

#include <stdbool.h>

#include <httpd.h>

#include "core/error.h"
#include "core/principal.h"
#include "core/route.h"
#include "db/tenant.h"
#include "httpd/config.h"

/* A request below a section with UDM On (or, with path NULL, one that only AuthType UDM guards). */
typedef struct udm_request_t {
    const udm_dir_t *dir;     /* what holds where the request is now */
    const char *path;         /* below the mount, "/v10/version"; NULL for AuthType UDM elsewhere */
    const char *id;           /* of the request, for the client and the logs */
    const udm_route_t *route; /* NULL: unknown path or method, see route_error */
    udm_error_t *route_error;
    int version;                /* udm_version that the path begins with, if it is on; else 0 */
    const char *parameter;      /* what {...} of the route stands for, or NULL */
    const char *allow;          /* methods of a known path that was asked for with another one */
    udm_need need;              /* which credentials are asked for, if the module answers */
    udm_need rest_need;         /* the same if another handler does: never none */
    const udm_principal_t *who; /* NULL until somebody was found */
    bool anew;                  /* nothing that was found before is used again */
    udm_audit_t audit;
    bool located;               /* no other module has said where it goes */
    bool ours;                  /* the response is made by the module: no error page replaces it */
    const udm_error_t *refusal; /* why it was refused, for the page that httpd makes of it */
} udm_request_t;

/*
 * The record of a request below a section with UDM On, made when it is asked for the first time.
 * @return NULL when the request is none of ours
 */
udm_request_t *udm_request_get(request_rec *r);

/* The same for a request that AuthType UDM guards, wherever it goes. Never NULL. */
udm_request_t *udm_request_guarded(request_rec *r);

/*
 * The record of a request whose line httpd did not read to its end (LimitRequestLine), by as much of the
 * line as there is: no hook has seen it, and it has no address. `mounts` are those of a server, of
 * udm_mount_t. @return NULL when it is below none of them
 */
udm_request_t *udm_request_cut_off(request_rec *r, const apr_array_header_t *mounts);

/* @return the record if there is one already, whatever section holds now; else NULL */
udm_request_t *udm_request_known(const request_rec *r);

/*
 * @return true when another handler than the module's answers what is below a mount: a proxy, or
 * what an Alias, ScriptAlias, RewriteRule or SetHandler names for a path that the API does not have
 */
bool udm_request_elsewhere(const request_rec *r, const udm_request_t *q);

/*
 * The same before it is known which handler there is.
 * @return true when what is asked for is nothing that the API has
 */
bool udm_request_of_others(const request_rec *r, const udm_request_t *q);

/*
 * Reads the whole body.
 * @return UDM_E_TOO_LARGE above `limit` bytes, UDM_E_INVALID if cut off, UDM_E_MEDIA_TYPE if packed
 */
udm_error_t *udm_request_body(const char **data, apr_size_t *size, request_rec *r,
                              apr_int64_t limit);

/* @return true when Content-Type is `type`, with any parameters */
bool udm_request_has_type(const request_rec *r, const char *type);

/* @return true when the client takes JSON */
bool udm_request_takes_json(const request_rec *r);

#endif
