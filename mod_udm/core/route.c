/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * route.c: the routes of the operations, and the search in them.
 */
#include <stdbool.h>
#include <string.h>

#include <apr_strings.h>

#include "core/route.h"

/* The routes of a row of the table, by the versions that it names. */
/* clang-format off */
#define ROUTES(operation, handler, versions, method, path, need, json)                             \
    ROUTES_##versions(UDM_OP_##operation, method, path, UDM_NEED_##need, json)
#define ROUTES_BESIDE(operation, method, path, need, json)                                         \
    {operation, 0, method, path, need, json},
#define ROUTES_V10(operation, method, path, need, json)                                            \
    {operation, UDM_V10, method, "/v10" path, need, json},
#define ROUTES_V10_V4(operation, method, path, need, json)                                         \
    ROUTES_V10(operation, method, path, need, json)                                                \
    {operation, UDM_V4, method, "/v4" path, UDM_NEED_KEY, json},
#define ROUTES_V10_V3(operation, method, path, need, json)                                         \
    ROUTES_V10(operation, method, path, need, json)                                                \
    {operation, UDM_V3, method, "/v3" path, UDM_NEED_KEY, json},
/* clang-format on */

static const udm_route_t table[] = {UDM_OPERATIONS(ROUTES){.method = NULL}};

/* In the order in which a message names them. */
static const struct {
    udm_version version;
    const char *name;
} version_names[] = {{UDM_V10, "v10"}, {UDM_V4, "v4"}, {UDM_V3, "v3"}};
#define VERSION_COUNT (sizeof(version_names) / sizeof(version_names[0]))

/* In the order of the Allow header; every bit stands for one. */
static const char *const methods[] = {"DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"};
#define METHOD_COUNT (sizeof(methods) / sizeof(methods[0]))

const udm_route_t *udm_route_table(void)
{
    return table;
}

const char *udm_version_name(udm_version version)
{
    apr_size_t i;

    for (i = 0; i < VERSION_COUNT; i++) {
        if (version_names[i].version == version) {
            return version_names[i].name;
        }
    }
    return "";
}

bool udm_version_parse(udm_version *version, const char *name)
{
    apr_size_t i;

    for (i = 0; i < VERSION_COUNT; i++) {
        if (strcmp(version_names[i].name, name) == 0) {
            *version = version_names[i].version;
            return true;
        }
    }
    return false;
}

/*
 * Says no to every path below a version that is off, or that is none. NULL for a path that the
 * table is to answer.
 */
static udm_error_t *check_version(apr_pool_t *p, int versions, const char *path)
{
    const char *segment = *path == '/' ? path + 1 : path, *name, *on = "";
    apr_size_t size = strcspn(segment, "/"), digits, i;
    udm_version version;
    bool known;

    digits = *path == '/' && *segment == 'v' ? strspn(segment + 1, "0123456789") : 0;
    if (digits == 0 || digits + 1 != size) {
        return NULL;
    }
    name = apr_pstrmemdup(p, segment, size);
    known = udm_version_parse(&version, name);
    if (known && (versions & (int)version)) {
        return NULL;
    }
    for (i = 0; i < VERSION_COUNT; i++) {
        if (versions & (int)version_names[i].version) {
            on = apr_pstrcat(p, on, *on ? ", " : "", version_names[i].name, NULL);
        }
    }
    if (!*on) {
        on = "none";
    }
    if (known) {
        return udm_error_make(p, UDM_E_NOT_FOUND,
                              "version %s of the API is switched off here; switched on: %s", name,
                              on);
    }
    return udm_error_make(p, UDM_E_NOT_FOUND,
                          "there is no such version of the API; switched on: %s", on);
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
                            apr_pool_t *p, int versions, const char *method, const char *path)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    const char *value, *found_value = NULL;
    const udm_route_t *r, *found = NULL;
    apr_size_t size = strlen(path), value_size, found_size = 0;
    udm_error_t *error;

    *route = NULL;
    *parameter = NULL;
    *allow = NULL;
    error = check_version(p, versions, path);
    if (error) {
        return error;
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
        return udm_error_make(
            p, UDM_E_NOT_FOUND, "there is no such resource%s",
            size > 1 && path[size - 1] == '/' ? ": an address here has no slash at its end" : "");
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
