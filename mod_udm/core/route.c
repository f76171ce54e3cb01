/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * route.c: the table of operations, and the search in it.
 */
#include <stdbool.h>
#include <string.h>

#include <apr_strings.h>

#include "route.h"

static const udm_route_t table[] = {
    {UDM_OP_VERSION, UDM_V10, "GET", "/v10/version", UDM_NEED_KEY},
    {UDM_OP_CERTIFICATE_GET, UDM_V10, "GET", "/v10/cipher", UDM_NEED_BOTH},
    {UDM_OP_CERTIFICATE_UPLOAD, UDM_V10, "POST", "/v10/cipher/{certificatefilename}",
     UDM_NEED_BOTH},
    {UDM_OP_SOURCE_LIST, UDM_V10, "GET", "/v10/data/sources", UDM_NEED_BOTH},
    {UDM_OP_TYPE_LIST, UDM_V10, "GET", "/v10/data/types", UDM_NEED_BOTH},
    {UDM_OP_JOB_CREATE, UDM_V10, "POST", "/v10/export/jobs", UDM_NEED_BOTH},
    {UDM_OP_JOB_LIST, UDM_V10, "GET", "/v10/export/jobs", UDM_NEED_BOTH},
    {UDM_OP_JOB_GET, UDM_V10, "GET", "/v10/export/jobs/{id}", UDM_NEED_BOTH},
    {UDM_OP_RUN_LIST, UDM_V10, "GET", "/v10/export/history", UDM_NEED_BOTH},
    {UDM_OP_RUN_GET, UDM_V10, "GET", "/v10/export/history/{id}", UDM_NEED_BOTH},
    {UDM_OP_RUN_PROGRESS, UDM_V10, "GET", "/v10/export/history/{id}/progress", UDM_NEED_BOTH},
    {UDM_OP_FILE_LIST, UDM_V10, "GET", "/v10/file-metadatas", UDM_NEED_BOTH},
    {UDM_OP_FILE_LINK, UDM_V10, "GET", "/v10/files/{filename}", UDM_NEED_BOTH},
    {UDM_OP_FILE_DOWNLOAD, 0, "GET", "/download/{name}", UDM_NEED_NONE},
    {UDM_OP_COUNT, 0, NULL, NULL, UDM_NEED_NONE}};

/* In the order of the Allow header; every bit stands for one. */
static const char *const methods[] = {"DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"};
#define METHOD_COUNT (sizeof(methods) / sizeof(methods[0]))

const udm_route_t *udm_route_table(void)
{
    return table;
}

/*
 * Compares a path of `size` bytes with a route's; `value` gets the place and size of what the
 * {parameter} matched, or NULL.
 */
static bool matches(const char **value, apr_size_t *value_size, const char *pattern,
                    const char *path, apr_size_t size)
{
    const char *end = path + size;

    *value = NULL;
    *value_size = 0;
    while (*pattern) {
        if (*pattern == '{') {
            const char *start = path;

            while (path < end && *path != '/') {
                path++;
            }
            if (path == start) {
                return false;
            }
            *value = start;
            *value_size = (apr_size_t)(path - start);
            pattern = strchr(pattern, '}') + 1;
        }
        else if (path < end && *path == *pattern) {
            path++;
            pattern++;
        }
        else {
            return false;
        }
    }
    return path == end;
}

/* The methods of all routes of one path, and the two that follow from them. */
static const char *allow_list(apr_pool_t *p, const char *pattern)
{
    const udm_route_t *route;
    const char *list = NULL;
    apr_size_t i;

    for (i = 0; i < METHOD_COUNT; i++) {
        bool allowed = strcmp(methods[i], "OPTIONS") == 0;

        for (route = table; route->method && !allowed; route++) {
            allowed = strcmp(route->path, pattern) == 0 &&
                      (strcmp(route->method, methods[i]) == 0 ||
                       (strcmp(methods[i], "HEAD") == 0 && strcmp(route->method, "GET") == 0));
        }
        if (allowed) {
            list = list ? apr_pstrcat(p, list, ", ", methods[i], NULL) : methods[i];
        }
    }
    return list;
}

udm_error_t *udm_route_find(const udm_route_t **route, const char **parameter, const char **allow,
                            apr_pool_t *p, const char *method, const char *path)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    const char *value, *found_value = NULL;
    const udm_route_t *r, *found = NULL;
    apr_size_t size = strlen(path), value_size, found_size = 0;

    *route = NULL;
    *parameter = NULL;
    *allow = NULL;
    if (size > 1 && path[size - 1] == '/') {
        size--;
    }
    /* which path is meant does not depend on the method; a literal one beats a {parameter} */
    for (r = table; r->method; r++) {
        if (matches(&value, &value_size, r->path, path, size) && (!found || !value)) {
            found = r;
            found_value = value;
            found_size = value_size;
        }
    }
    if (!found) {
        return udm_error_make(p, UDM_E_NOT_FOUND, "there is no such resource");
    }
    if (found_value) {
        *parameter = apr_pstrmemdup(p, found_value, found_size);
    }
    for (r = table; r->method; r++) {
        if (strcmp(r->path, found->path) == 0 && strcmp(r->method, wanted) == 0) {
            *route = r;
            return NULL;
        }
    }
    *parameter = NULL;
    *allow = allow_list(p, found->path);
    return udm_error_make(p, UDM_E_METHOD, "this resource answers only to: %s", *allow);
}
