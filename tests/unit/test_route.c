/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_route.c: which operation answers which method and path.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "core/route.h"

static udm_error_t *find(const udm_route_t **route, const char **parameter, const char **allow,
                         const char *method, const char *path)
{
    return udm_route_find(route, parameter, allow, pool, UDM_ALL_VERSIONS, method, path);
}

static void finds(const char *method, const char *path, udm_operation operation, const char *value)
{
    const char *parameter, *allow;
    const udm_route_t *route;

    unit_ok(find(&route, &parameter, &allow, method, path));
    ck_assert_msg(route->operation == operation, "%s %s: %s", method, path, route->path);
    ck_assert_pstr_eq(parameter, value);
    ck_assert_ptr_null(allow);
}

static void allows(const char *method, const char *path, const char *expected)
{
    const char *parameter, *allow;
    const udm_route_t *route;

    unit_fails(find(&route, &parameter, &allow, method, path), UDM_E_METHOD, expected);
    ck_assert_str_eq(allow, expected);
    ck_assert_ptr_null(route);
    ck_assert_ptr_null(parameter);
}

/* Expects no resource, and a message with these words. */
static void misses(int versions, const char *method, const char *path, const char *words)
{
    const char *parameter, *allow;
    const udm_route_t *route;

    unit_fails(udm_route_find(&route, &parameter, &allow, pool, versions, method, path),
               UDM_E_NOT_FOUND, words);
    ck_assert_ptr_null(parameter);
    ck_assert_ptr_null(route);
    ck_assert_ptr_null(allow);
}

static void unknown(const char *path)
{
    misses(UDM_ALL_VERSIONS, "GET", path, "there is no such resource");
}

START_TEST(test_finds_every_operation)
{
    finds("GET", "/v10/cipher", UDM_OP_CERTIFICATE_GET, NULL);
    finds("POST", "/v10/cipher/my cert.pem", UDM_OP_CERTIFICATE_UPLOAD, "my cert.pem");
    finds("GET", "/v10/data/attributes", UDM_OP_ATTRIBUTE_LIST, NULL);
    finds("GET", "/v10/data/job-statuses", UDM_OP_STATUS_LIST, NULL);
    finds("GET", "/v10/data/sources", UDM_OP_SOURCE_LIST, NULL);
    finds("GET", "/v10/data/sub-types", UDM_OP_SUB_TYPE_LIST, NULL);
    finds("GET", "/v10/data/types", UDM_OP_TYPE_LIST, NULL);
    finds("GET", "/v10/export/history", UDM_OP_RUN_LIST, NULL);
    finds("DELETE", "/v10/export/history", UDM_OP_RUN_DELETE_MANY, NULL);
    finds("GET", "/v10/export/history/17", UDM_OP_RUN_GET, "17");
    finds("DELETE", "/v10/export/history/17", UDM_OP_RUN_DELETE, "17");
    finds("GET", "/v10/export/history/17/progress", UDM_OP_RUN_PROGRESS, "17");
    finds("GET", "/v10/export/jobs", UDM_OP_JOB_LIST, NULL);
    finds("POST", "/v10/export/jobs", UDM_OP_JOB_CREATE, NULL);
    finds("DELETE", "/v10/export/jobs", UDM_OP_JOB_DELETE_MANY, NULL);
    finds("POST", "/v10/export/jobs/cancel/17", UDM_OP_JOB_CANCEL, "17");
    finds("POST", "/v10/export/jobs/resume/17", UDM_OP_JOB_RESUME, "17");
    finds("POST", "/v10/export/jobs/suspend/17", UDM_OP_JOB_SUSPEND, "17");
    finds("GET", "/v10/export/jobs/17", UDM_OP_JOB_GET, "17");
    finds("PUT", "/v10/export/jobs/17", UDM_OP_JOB_REPLACE, "17");
    finds("DELETE", "/v10/export/jobs/17", UDM_OP_JOB_DELETE, "17");
    finds("GET", "/v10/file-metadatas", UDM_OP_FILE_LIST, NULL);
    finds("GET", "/v10/files", UDM_OP_FILE_LINK_MANY, NULL);
    finds("DELETE", "/v10/files", UDM_OP_FILE_DELETE_MANY, NULL);
    finds("GET", "/v10/files/a.zip.smime", UDM_OP_FILE_LINK, "a.zip.smime");
    finds("DELETE", "/v10/files/a.zip.smime", UDM_OP_FILE_DELETE, "a.zip.smime");
    finds("GET", "/v10/resources/labels", UDM_OP_LABELS, NULL);
    finds("GET", "/v10/version", UDM_OP_VERSION, NULL);
    finds("GET", "/v4/export/history", UDM_OP_RUN_LIST, NULL);
    finds("DELETE", "/v4/export/history", UDM_OP_RUN_DELETE_MANY, NULL);
    finds("GET", "/v4/export/history/17", UDM_OP_RUN_GET, "17");
    finds("DELETE", "/v4/export/history/17", UDM_OP_RUN_DELETE, "17");
    finds("GET", "/v4/export/history/17/progress", UDM_OP_RUN_PROGRESS, "17");
    finds("GET", "/v4/export/jobs", UDM_OP_JOB_LIST, NULL);
    finds("POST", "/v4/export/jobs", UDM_OP_JOB_CREATE, NULL);
    finds("DELETE", "/v4/export/jobs", UDM_OP_JOB_DELETE_MANY, NULL);
    finds("POST", "/v4/export/jobs/cancel/17", UDM_OP_JOB_CANCEL, "17");
    finds("POST", "/v4/export/jobs/resume/17", UDM_OP_JOB_RESUME, "17");
    finds("POST", "/v4/export/jobs/suspend/17", UDM_OP_JOB_SUSPEND, "17");
    finds("GET", "/v4/export/jobs/17", UDM_OP_JOB_GET, "17");
    finds("PUT", "/v4/export/jobs/17", UDM_OP_JOB_REPLACE, "17");
    finds("DELETE", "/v4/export/jobs/17", UDM_OP_JOB_DELETE, "17");
    finds("GET", "/v3/cipher", UDM_OP_CERTIFICATE_GET, NULL);
    finds("POST", "/v3/cipher/my cert.pem", UDM_OP_CERTIFICATE_UPLOAD, "my cert.pem");
    finds("GET", "/v3/data/job-statuses", UDM_OP_STATUS_LIST, NULL);
    finds("GET", "/v3/data/sources", UDM_OP_SOURCE_LIST, NULL);
    finds("GET", "/v3/data/sub-types", UDM_OP_SUB_TYPE_LIST, NULL);
    finds("GET", "/v3/data/types", UDM_OP_TYPE_LIST, NULL);
    finds("GET", "/v3/file-metadatas", UDM_OP_FILE_LIST, NULL);
    finds("GET", "/v3/files", UDM_OP_FILE_LINK_MANY, NULL);
    finds("DELETE", "/v3/files", UDM_OP_FILE_DELETE_MANY, NULL);
    finds("GET", "/v3/files/a.zip.smime", UDM_OP_FILE_LINK, "a.zip.smime");
    finds("DELETE", "/v3/files/a.zip.smime", UDM_OP_FILE_DELETE, "a.zip.smime");
    finds("GET", "/v3/version", UDM_OP_VERSION, NULL);
    finds("GET", "/download/a.zip.smime", UDM_OP_FILE_DOWNLOAD, "a.zip.smime");
    finds("GET", "/openapi.json", UDM_OP_OPENAPI, NULL);
}
END_TEST

START_TEST(test_no_empty_part)
{
    const udm_route_t *route;

    for (route = udm_route_table(); route->method; route++) {
        unknown(apr_pstrcat(pool, route->path, "/", NULL));
        unknown(apr_pstrcat(pool, route->path, "//", NULL));
        /* and what a {parameter} stands for is not empty, either */
        if (strchr(route->path, '{')) {
            unknown(apr_pstrmemdup(pool, route->path, strcspn(route->path, "{")));
        }
    }
    unknown("/v10/export/jobs/17/");
    unknown("/v10/export//jobs");
    unknown("//v10/version");
    unknown("/v10/export/history//progress");
    unknown("/");
    unknown("");
}
END_TEST

START_TEST(test_head)
{
    finds("HEAD", "/v10/version", UDM_OP_VERSION, NULL);
    finds("HEAD", "/download/x", UDM_OP_FILE_DOWNLOAD, "x");
    allows("HEAD", "/v10/cipher/x", "OPTIONS, POST");
}
END_TEST

START_TEST(test_other_methods)
{
    allows("OPTIONS", "/v10/export/jobs", "DELETE, GET, HEAD, OPTIONS, POST");
    allows("PUT", "/v10/export/jobs", "DELETE, GET, HEAD, OPTIONS, POST");
    allows("POST", "/v10/export/jobs/17", "DELETE, GET, HEAD, OPTIONS, PUT");
    allows("GET", "/v10/export/jobs/cancel/17", "OPTIONS, POST");
    allows("POST", "/openapi.json", "GET, HEAD, OPTIONS");
    allows("POST", "/download/x", "GET, HEAD, OPTIONS");
    /* a path is that of its version */
    allows("POST", "/v3/files", "DELETE, GET, HEAD, OPTIONS");
    allows("POST", "/v10/version", "GET, HEAD, OPTIONS");
    allows("GET", "/v10/cipher/x", "OPTIONS, POST");
    allows("BREW", "/v10/version", "GET, HEAD, OPTIONS");
    allows("get", "/v10/version", "GET, HEAD, OPTIONS");
    allows("", "/v10/version", "GET, HEAD, OPTIONS");
}
END_TEST

START_TEST(test_unknown_paths)
{
    static const char *const paths[] = {"",
                                        "/",
                                        "//",
                                        "/v10",
                                        "/v10/",
                                        "/v10x/version",
                                        "/v/version",
                                        "/openapi.json/x",
                                        "/v10/openapi.json",
                                        "/v10/versions",
                                        "/v10/versio",
                                        "/V10/version",
                                        "v10/version",
                                        "//v10/version",
                                        "/v10//version",
                                        "/v10/version/x",
                                        "/v10/export/jobs/1/2",
                                        "/v10/export/history/1/status",
                                        "/v10/files/a/b",
                                        "/download",
                                        "/download/",
                                        "/v10/{id}",
                                        "/v4/version",
                                        "/v4/files",
                                        "/v4/data/types",
                                        "/v3/export/jobs",
                                        "/v3/data/attributes",
                                        "/v3/resources/labels",
                                        "/v10/export/jobs/pause/1",
                                        "/v10/export/jobs/cancel/1/2"};
    size_t i;

    for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        unknown(paths[i]);
    }
}
END_TEST

START_TEST(test_literal_beats_parameter)
{
    finds("POST", "/v10/export/jobs/cancel/cancel", UDM_OP_JOB_CANCEL, "cancel");
    finds("GET", "/v10/export/jobs/cancel", UDM_OP_JOB_GET, "cancel");
    allows("POST", "/v10/export/jobs/cancel", "DELETE, GET, HEAD, OPTIONS, PUT");
    finds("GET", "/v10/export/history/progress/progress", UDM_OP_RUN_PROGRESS, "progress");
}
END_TEST

START_TEST(test_versions_that_are_off)
{
    static const char *const methods[] = {"GET", "POST", "OPTIONS", "BREW"};
    static const char off[] = "version v3 of the API is switched off here; switched on: v10, v4";
    size_t i;

    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        misses(UDM_V10 | UDM_V4, methods[i], "/v3/version", off);
        misses(UDM_V10 | UDM_V4, methods[i], "/v3/nothing/of/the/kind", off);
        misses(UDM_V10 | UDM_V4, methods[i], "/v3", off);
        misses(UDM_V10 | UDM_V4, methods[i], "/v3/", off);
        misses(UDM_V10, methods[i], "/v9/version",
               "there is no such version of the API; switched on: v10");
    }
    misses(UDM_V3, "GET", "/v10/version",
           "version v10 of the API is switched off here; switched on: v3");
    misses(UDM_V4, "GET", "/v01/version", "no such version of the API; switched on: v4");
    misses(0, "GET", "/v4/export/jobs", "switched on: none");
    misses(UDM_V10, "GET", "/v3x/version", "there is no such resource");
    misses(UDM_V10, "GET", "v3/version", "there is no such resource");
}
END_TEST

START_TEST(test_beside_the_versions)
{
    const char *parameter, *allow;
    const udm_route_t *route;

    unit_ok(udm_route_find(&route, &parameter, &allow, pool, UDM_V10, "GET", "/download/x"));
    ck_assert_int_eq(route->operation, UDM_OP_FILE_DOWNLOAD);
    unit_ok(udm_route_find(&route, &parameter, &allow, pool, UDM_V4, "GET", "/openapi.json"));
    ck_assert_int_eq(route->operation, UDM_OP_OPENAPI);
    unit_ok(udm_route_find(&route, &parameter, &allow, pool, UDM_V3, "GET", "/v3/version"));
    ck_assert_int_eq(route->version, UDM_V3);
}
END_TEST

START_TEST(test_version_names)
{
    udm_version version;

    ck_assert_str_eq(udm_version_name(UDM_V10), "v10");
    ck_assert_str_eq(udm_version_name(UDM_V4), "v4");
    ck_assert_str_eq(udm_version_name(UDM_V3), "v3");
    ck_assert(udm_version_parse(&version, "v4"));
    ck_assert_int_eq(version, UDM_V4);
    ck_assert(!udm_version_parse(&version, "4"));
    ck_assert(!udm_version_parse(&version, "V4"));
    ck_assert(!udm_version_parse(&version, "v41"));
    ck_assert(!udm_version_parse(&version, ""));
}
END_TEST

/* What the reference of the API says about the credentials of an operation. */
static udm_need need_of(const udm_route_t *route)
{
    if (route->version == 0) {
        return UDM_NEED_NONE;
    }
    if (route->version != UDM_V10 || route->operation == UDM_OP_VERSION) {
        return UDM_NEED_KEY;
    }
    return route->operation == UDM_OP_LABELS ? UDM_NEED_OPTIONAL : UDM_NEED_BOTH;
}

START_TEST(test_table)
{
    const udm_route_t *route, *other;

    for (route = udm_route_table(); route->method; route++) {
        const char *open = strchr(route->path, '{');

        if (open) {
            ck_assert_ptr_nonnull(strchr(open, '}'));
            ck_assert_ptr_null(strchr(open + 1, '{'));
        }
        if (route->version != 0) {
            const char *name = udm_version_name(route->version);

            ck_assert_int_eq(strncmp(route->path + 1, name, strlen(name)), 0);
            ck_assert_int_eq(route->path[1 + strlen(name)], '/');
        }
        ck_assert_msg(route->need == need_of(route), "%s %s", route->method, route->path);
        for (other = udm_route_table(); other < route; other++) {
            ck_assert(strcmp(other->method, route->method) || strcmp(other->path, route->path));
            ck_assert(other->version != route->version || other->operation != route->operation);
        }
    }
}
END_TEST

START_TEST(test_mutations)
{
    uint32_t state = 88172645u;
    int i;

    for (i = 0; i < 100; i++) {
        const udm_route_t *seed;

        for (seed = udm_route_table(); seed->method; seed++) {
            char *path = unit_mutate(&state, seed->path);
            const char *parameter, *allow;
            const udm_route_t *route;
            udm_error_t *error = find(&route, &parameter, &allow, seed->method, path);

            ck_assert((error == NULL) == (route != NULL));
            if (parameter) {
                ck_assert_str_ne(parameter, "");
                ck_assert_ptr_null(strchr(parameter, '/'));
            }
            free(path);
        }
        apr_pool_clear(pool);
    }
}
END_TEST

TCase *route_case(void)
{
    TCase *tc = unit_case("route");

    tcase_add_test(tc, test_finds_every_operation);
    tcase_add_test(tc, test_no_empty_part);
    tcase_add_test(tc, test_head);
    tcase_add_test(tc, test_other_methods);
    tcase_add_test(tc, test_unknown_paths);
    tcase_add_test(tc, test_literal_beats_parameter);
    tcase_add_test(tc, test_versions_that_are_off);
    tcase_add_test(tc, test_beside_the_versions);
    tcase_add_test(tc, test_version_names);
    tcase_add_test(tc, test_table);
    tcase_add_test(tc, test_mutations);
    return tc;
}
