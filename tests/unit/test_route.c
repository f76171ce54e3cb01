/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_route.c: which operation answers which method and path.
 */
#include <stdlib.h>
#include <string.h>

#include "core/route.h"
#include "unit.h"

static udm_error_t *find(const udm_route_t **route, const char **parameter, const char **allow,
                         const char *method, const char *path)
{
    return udm_route_find(route, parameter, allow, pool, method, path);
}

static void finds(const char *method, const char *path, udm_operation operation, const char *value)
{
    const char *parameter, *allow;
    const udm_route_t *route;

    unit_ok(find(&route, &parameter, &allow, method, path));
    ck_assert_int_eq(route->operation, operation);
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

static void unknown(const char *path)
{
    const char *parameter, *allow;
    const udm_route_t *route;

    unit_fails(find(&route, &parameter, &allow, "GET", path), UDM_E_NOT_FOUND, "no such");
    ck_assert_ptr_null(route);
    ck_assert_ptr_null(allow);
}

START_TEST(test_finds_every_operation)
{
    finds("GET", "/v10/version", UDM_OP_VERSION, NULL);
    finds("GET", "/v10/cipher", UDM_OP_CERTIFICATE_GET, NULL);
    finds("POST", "/v10/cipher/my cert.pem", UDM_OP_CERTIFICATE_UPLOAD, "my cert.pem");
    finds("GET", "/v10/data/sources", UDM_OP_SOURCE_LIST, NULL);
    finds("GET", "/v10/data/types", UDM_OP_TYPE_LIST, NULL);
    finds("POST", "/v10/export/jobs", UDM_OP_JOB_CREATE, NULL);
    finds("GET", "/v10/export/jobs", UDM_OP_JOB_LIST, NULL);
    finds("GET", "/v10/export/jobs/17", UDM_OP_JOB_GET, "17");
    finds("GET", "/v10/export/history", UDM_OP_RUN_LIST, NULL);
    finds("GET", "/v10/export/history/18", UDM_OP_RUN_GET, "18");
    finds("GET", "/v10/export/history/18/progress", UDM_OP_RUN_PROGRESS, "18");
    finds("GET", "/v10/file-metadatas", UDM_OP_FILE_LIST, NULL);
    finds("GET", "/v10/files/a.zip.smime", UDM_OP_FILE_LINK, "a.zip.smime");
    finds("GET", "/download/a.zip.smime", UDM_OP_FILE_DOWNLOAD, "a.zip.smime");
}
END_TEST

START_TEST(test_forgives_one_slash)
{
    finds("GET", "/v10/version/", UDM_OP_VERSION, NULL);
    finds("GET", "/v10/export/jobs/17/", UDM_OP_JOB_GET, "17");
    finds("POST", "/v10/export/jobs/", UDM_OP_JOB_CREATE, NULL);
    unknown("/v10/version//");
    unknown("/v10/export/jobs//");
    unknown("/v10/export/history//progress");
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
    allows("OPTIONS", "/v10/export/jobs", "GET, HEAD, OPTIONS, POST");
    allows("DELETE", "/v10/export/jobs", "GET, HEAD, OPTIONS, POST");
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
                                        "/v9/version",
                                        "/v10/versions",
                                        "/v10/versio",
                                        "/V10/version",
                                        "v10/version",
                                        "//v10/version",
                                        "/v10//version",
                                        "/v10/version/x",
                                        "/v10/export/jobs/1/2",
                                        "/v10/export/history/1/status",
                                        "/v10/files",
                                        "/v10/files/a/b",
                                        "/download",
                                        "/download/",
                                        "/v10/{id}",
                                        "/v4/export/jobs",
                                        "/v3/version"};
    size_t i;

    for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        unknown(paths[i]);
    }
}
END_TEST

START_TEST(test_table)
{
    const udm_route_t *route;
    unsigned seen = 0;

    for (route = udm_route_table(); route->method; route++) {
        const char *open = strchr(route->path, '{');

        seen |= 1u << route->operation;
        if (open) {
            ck_assert_ptr_nonnull(strchr(open, '}'));
            ck_assert_ptr_null(strchr(open + 1, '{'));
        }
        if (route->version == 0) {
            ck_assert_int_eq(route->need, UDM_NEED_NONE);
        }
        else if (route->operation == UDM_OP_VERSION) {
            ck_assert_int_eq(route->need, UDM_NEED_KEY);
        }
        else {
            ck_assert_int_eq(route->version, UDM_V10);
            ck_assert_int_eq(route->need, UDM_NEED_BOTH);
        }
    }
    ck_assert_uint_eq(seen, (1u << UDM_OP_COUNT) - 1); /* none is forgotten */
}
END_TEST

START_TEST(test_mutations)
{
    uint32_t state = 88172645u;
    int i;

    for (i = 0; i < 300; i++) {
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
    tcase_add_test(tc, test_forgives_one_slash);
    tcase_add_test(tc, test_head);
    tcase_add_test(tc, test_other_methods);
    tcase_add_test(tc, test_unknown_paths);
    tcase_add_test(tc, test_table);
    tcase_add_test(tc, test_mutations);
    return tc;
}
