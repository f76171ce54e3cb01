/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_openapi.c: the description of the API against the table of operations, and what is left of it
 * at a mount that offers less.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "core/job.h"
#include "core/json.h"
#include "core/openapi.h"
#include "core/route.h"

static json_t *document(int versions, bool wrapped)
{
    json_t *json;

    unit_ok(udm_openapi_document(&json, pool, versions, wrapped, "https://udm.example.com/udm"));
    return udm_json_own(pool, json);
}

/* A member below members. */
static json_t *at(json_t *json, const char *path)
{
    char *copy = apr_pstrdup(pool, path), *last, *name;

    for (name = apr_strtok(copy, "|", &last); name; name = apr_strtok(NULL, "|", &last)) {
        json = json_object_get(json, name);
    }
    return json;
}

/* What a reference stands for; anything else for itself. */
static json_t *meant(json_t *doc, json_t *json)
{
    const char *reference = json_string_value(json_object_get(json, "$ref"));
    char *path, *c;

    if (!reference) {
        return json;
    }
    path = apr_pstrdup(pool, reference + strlen("#/"));
    for (c = path; *c; c++) {
        *c = *c == '/' ? '|' : *c;
    }
    json = at(doc, path);
    ck_assert_msg(json != NULL, "%s means nothing", reference);
    return json;
}

static const char *lower(const char *method)
{
    char *copy = apr_pstrdup(pool, method), *c;

    for (c = copy; *c; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    return copy;
}

/* The operation that answers a route, or NULL. */
static json_t *operation_of(json_t *doc, const udm_route_t *route)
{
    return json_object_get(json_object_get(json_object_get(doc, "paths"), route->path),
                           lower(route->method));
}

START_TEST(test_every_route_is_described)
{
    json_t *doc = document(UDM_ALL_VERSIONS, false), *ids = json_object();
    const udm_route_t *route;

    for (route = udm_route_table(); route->method; route++) {
        json_t *operation = operation_of(doc, route);
        const char *id = json_string_value(json_object_get(operation, "operationId"));

        ck_assert_msg(operation != NULL, "not described: %s %s", route->method, route->path);
        ck_assert_msg(id && !json_object_get(ids, id), "%s %s: operationId", route->method,
                      route->path);
        json_object_set_new(ids, id, json_true());
        ck_assert_ptr_nonnull(json_object_get(operation, "responses"));
    }
    json_decref(ids);
}
END_TEST

START_TEST(test_nothing_else_is_described)
{
    static const char *const methods[] = {"get",     "put",  "post",  "delete",
                                          "options", "head", "patch", "trace"};
    json_t *doc = document(UDM_ALL_VERSIONS, false), *item;
    const char *path;
    int count = 0;
    size_t i;

    json_object_foreach(json_object_get(doc, "paths"), path, item)
    {
        for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
            const udm_route_t *route = udm_route_table();

            if (!json_object_get(item, methods[i])) {
                continue;
            }
            count++;
            while (route->method && (strcmp(route->path, path) != 0 ||
                                     strcmp(lower(route->method), methods[i]) != 0)) {
                route++;
            }
            ck_assert_msg(route->method != NULL, "no such operation: %s %s", methods[i], path);
        }
    }
    ck_assert_int_eq(count, 56);
}
END_TEST

/* Whether parameters (a list of them, or of references) declare this one in the path. */
static bool declares(json_t *doc, json_t *parameters, const char *name)
{
    json_t *item;
    size_t i;

    json_array_foreach(parameters, i, item)
    {
        json_t *parameter = meant(doc, item);

        if (strcmp(json_string_value(json_object_get(parameter, "name")), name) == 0 &&
            strcmp(json_string_value(json_object_get(parameter, "in")), "path") == 0) {
            ck_assert(json_is_true(json_object_get(parameter, "required")));
            return true;
        }
    }
    return false;
}

START_TEST(test_parameters)
{
    json_t *doc = document(UDM_ALL_VERSIONS, false);
    const udm_route_t *route;

    for (route = udm_route_table(); route->method; route++) {
        const char *open = strchr(route->path, '{');
        const char *name;

        if (!open) {
            continue;
        }
        name = apr_pstrmemdup(pool, open + 1, strcspn(open + 1, "}"));
        ck_assert_msg(
            declares(doc, json_object_get(operation_of(doc, route), "parameters"), name) ||
                declares(doc,
                         at(doc, apr_pstrcat(pool, "paths|", route->path, "|parameters", NULL)),
                         name),
            "%s %s: {%s} is not declared", route->method, route->path, name);
    }
}
END_TEST

START_TEST(test_deprecated)
{
    json_t *doc = document(UDM_ALL_VERSIONS, false);
    const udm_route_t *route;

    for (route = udm_route_table(); route->method; route++) {
        ck_assert_msg(json_is_true(json_object_get(operation_of(doc, route), "deprecated")) ==
                          ((route->version & UDM_DEPRECATED_VERSIONS) != 0),
                      "%s %s", route->method, route->path);
    }
}
END_TEST

/* Every answer of a deprecated version says so, refusals too; and no other does. */
START_TEST(test_deprecated_answers)
{
    json_t *doc = document(UDM_ALL_VERSIONS, false);
    const udm_route_t *route;

    for (route = udm_route_table(); route->method; route++) {
        json_t *responses = json_object_get(operation_of(doc, route), "responses"), *response;
        bool deprecated = (route->version & UDM_DEPRECATED_VERSIONS) != 0;
        const char *code;

        json_object_foreach(responses, code, response)
        {
            json_t *headers = json_object_get(meant(doc, response), "headers");

            ck_assert_msg((json_object_get(headers, "Deprecation") != NULL) == deprecated &&
                              (json_object_get(headers, "Sunset") != NULL) == deprecated,
                          "%s %s %s", route->method, route->path, code);
        }
        ck_assert_msg(json_object_get(responses, "414") != NULL, "%s %s", route->method,
                      route->path);
    }
}
END_TEST

/* A member of a request body, as the document has it. */
static json_t *sent(json_t *doc, const char *path)
{
    json_t *member = at(json_object_get(at(doc, "components"), "schemas"), path);

    ck_assert_msg(member != NULL, "no %s", path);
    return member;
}

/* The limits that the document tells are those of the code. */
START_TEST(test_limits)
{
    static const struct {
        const char *path;
        const char *keyword;
        int limit;
    } limits[] = {
        {"Job|properties|source", "maxLength", UDM_NAME_MAX},
        {"JobV4|properties|source", "maxLength", UDM_NAME_MAX},
        {"JobV4|properties|type", "maxLength", UDM_NAME_MAX},
        {"Job|properties|title", "maxLength", UDM_TITLE_MAX},
        {"JobV4|properties|title", "maxLength", UDM_TITLE_MAX},
        {"Job|properties|description", "maxLength", UDM_DESCRIPTION_MAX},
        {"JobV4|properties|description", "maxLength", UDM_DESCRIPTION_MAX},
        {"JobV4|properties|fileSplitSize", "maxLength", UDM_SPLIT_SIZE_MAX},
        {"JobParams|properties|fileSplitSize", "maxLength", UDM_SPLIT_SIZE_MAX},
        {"JobParams|properties|type", "maxLength", UDM_NAME_MAX},
        {"JobParams|properties|media", "maxItems", UDM_MEDIA_MAX},
        {"JobParams|properties|media|items", "maxLength", UDM_NAME_MAX},
        {"JobParams|properties|filters", "maxItems", UDM_FILTERS_MAX},
        {"SchedulerParam|properties|cron", "maxLength", UDM_CRON_MAX},
        {"SchedulerParam|properties|runs", "maxLength", UDM_RUNS_MAX},
        {"Filter|properties|attribute", "maxLength", UDM_FILTER_VALUE_MAX},
        {"Filter|properties|value", "maxLength", UDM_FILTER_VALUE_MAX},
        {"Filter|properties|value", "maxItems", UDM_FILTER_VALUES_MAX},
        {"Filter|properties|value|items", "maxLength", UDM_FILTER_VALUE_MAX},
    };
    json_t *doc = document(UDM_ALL_VERSIONS, false);
    size_t i;

    for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        ck_assert_msg(json_integer_value(json_object_get(sent(doc, limits[i].path),
                                                         limits[i].keyword)) == limits[i].limit,
                      "%s", limits[i].path);
    }
}
END_TEST

/* The credentials of a route as the document has them. */
static const char *security_of(const udm_route_t *route)
{
    switch (route->need) {
    case UDM_NEED_NONE:
        return "[]";
    case UDM_NEED_OPTIONAL:
        return "[{},{\"apiKey\":[],\"bearer\":[]}]";
    case UDM_NEED_KEY:
        return route->version == UDM_V10 ? "[{\"apiKey\":[]}]"
                                         : "[{\"apiKey\":[]},{\"apiKey\":[],\"bearer\":[]}]";
    default:
        return "[{\"apiKey\":[],\"bearer\":[]}]";
    }
}

START_TEST(test_security)
{
    json_t *doc = document(UDM_ALL_VERSIONS, false);
    const udm_route_t *route;

    for (route = udm_route_table(); route->method; route++) {
        json_t *security = json_object_get(operation_of(doc, route), "security");

        ck_assert_msg(security != NULL, "%s %s: no security", route->method, route->path);
        ck_assert_msg(strcmp(udm_json_text(pool, security), security_of(route)) == 0, "%s %s: %s",
                      route->method, route->path, udm_json_text(pool, security));
    }
}
END_TEST

/* Every reference in a piece of the document; each is resolved. */
static void collect(json_t *doc, json_t *json, json_t *used)
{
    const char *key;
    json_t *value;
    size_t i;

    json_array_foreach(json, i, value)
    {
        collect(doc, value, used);
    }
    json_object_foreach(json, key, value)
    {
        if (strcmp(key, "$ref") == 0) {
            meant(doc, json);
            json_object_set_new(used, json_string_value(value), json_true());
        }
        else if (strcmp(key, "security") == 0) {
            const char *scheme;
            json_t *scopes, *requirement;

            json_array_foreach(value, i, requirement)
            {
                json_object_foreach(requirement, scheme, scopes)
                {
                    ck_assert_msg(at(doc, apr_pstrcat(pool, "components|securitySchemes|", scheme,
                                                      NULL)) != NULL,
                                  "no such scheme: %s", scheme);
                    json_object_set_new(
                        used, apr_pstrcat(pool, "#/components/securitySchemes/", scheme, NULL),
                        json_true());
                }
            }
        }
        collect(doc, value, used);
    }
}

/* Nothing refers to what is not there, and nothing is there that nothing refers to. */
static void check_whole(json_t *doc)
{
    json_t *used = json_object(), *group, *component, *tag, *item;
    const char *section, *name, *path;
    size_t i;

    collect(doc, doc, used);
    json_object_foreach(json_object_get(doc, "components"), section, group)
    {
        ck_assert_uint_gt(json_object_size(group), 0);
        json_object_foreach(group, name, component)
        {
            ck_assert_msg(json_object_get(used, apr_pstrcat(pool, "#/components/", section, "/",
                                                            name, NULL)) != NULL,
                          "unused: %s/%s", section, name);
        }
    }
    json_decref(used);
    json_array_foreach(json_object_get(doc, "tags"), i, tag)
    {
        const char *text = json_string_value(json_object_get(tag, "name"));
        bool found = false;

        json_object_foreach(json_object_get(doc, "paths"), path, item)
        {
            found = found ||
                    strstr(udm_json_text(pool, item), apr_psprintf(pool, "\"%s\"", text)) != NULL;
        }
        ck_assert_msg(found, "unused tag: %s", text);
    }
}

START_TEST(test_versions)
{
    int versions;

    for (versions = 0; versions <= UDM_ALL_VERSIONS; versions++) {
        json_t *doc = document(versions, versions % 2);
        const udm_route_t *route;

        for (route = udm_route_table(); route->method; route++) {
            ck_assert_msg((operation_of(doc, route) != NULL) ==
                              (route->version == 0 || (route->version & versions)),
                          "%d: %s %s", versions, route->method, route->path);
        }
        check_whole(doc);
        ck_assert_str_eq(udm_json_text(pool, json_object_get(doc, "servers")),
                         "[{\"url\":\"https://udm.example.com/udm\"}]");
        ck_assert_ptr_null(strstr(udm_json_text(pool, doc), "x-udm-bare"));
        ck_assert_str_eq(json_string_value(json_object_get(doc, "openapi")), "3.1.0");
    }
}
END_TEST

START_TEST(test_only_what_is_used)
{
    json_t *doc = document(UDM_V3, false);

    ck_assert_ptr_null(at(doc, "components|schemas|JobInfo"));
    ck_assert_ptr_nonnull(at(doc, "components|schemas|CertificateInfo"));
    ck_assert_ptr_null(at(document(UDM_V4, false), "components|schemas|CertificateInfo"));
    ck_assert_ptr_nonnull(at(document(UDM_V4, false), "components|schemas|JobInfoV4"));
    /* with no version at all, links and the description itself are left */
    doc = document(0, false);
    ck_assert_uint_eq(json_object_size(json_object_get(doc, "paths")), 2);
    ck_assert_ptr_null(at(doc, "components|securitySchemes"));
}
END_TEST

/* Expects the schema of an envelope with the old schema (text) as its data. */
static void check_success(json_t *doc, json_t *media, json_t *old, const char *where)
{
    json_t *schema = json_object_get(media, "schema");
    json_t *status = meant(doc, at(schema, "properties|status"));

    ck_assert_msg(json_equal(at(schema, "properties|data"), json_object_get(old, "schema")), "%s",
                  where);
    ck_assert_str_eq(udm_json_text(pool, json_object_get(schema, "required")),
                     "[\"status\",\"data\"]");
    ck_assert_str_eq(udm_json_text(pool, at(status, "properties|code")), "{\"const\":0}");
    ck_assert(json_is_false(json_object_get(schema, "additionalProperties")));
    ck_assert(json_is_false(json_object_get(status, "additionalProperties")));
    if (json_object_get(old, "example")) {
        ck_assert_msg(json_equal(at(media, "example|data"), json_object_get(old, "example")), "%s",
                      where);
        ck_assert_str_eq(udm_json_text(pool, at(media, "example|status")),
                         "{\"code\":0,\"detail\":{},\"message\":\"successful\"}");
    }
}

/* Expects the schema of the envelope of an error of this status. */
static void check_error(json_t *content, json_t *old, int status, const char *where)
{
    json_t *media = json_object_get(content, "application/json");
    json_t *problem = at(old, "application/problem+json"), *array = at(old, "application/json");
    json_t *data = at(media, "schema|properties|data");
    const char *required = array && !problem ? "[\"status\",\"data\"]" : "[\"status\"]";

    ck_assert_msg(json_object_size(content) == 1 && media, "%s", where);
    ck_assert_msg(json_integer_value(at(media, "schema|properties|status|properties|code|const")) ==
                      status,
                  "%s: %s", where, udm_json_text(pool, media));
    if (problem) {
        ck_assert(json_equal(at(media, "schema|properties|status|properties|detail"),
                             json_object_get(problem, "schema")));
    }
    ck_assert_msg(data ? json_equal(data, json_object_get(array, "schema")) : !array, "%s", where);
    ck_assert_str_eq(udm_json_text(pool, at(media, "schema|required")), required);
    if (array && json_object_get(array, "example")) {
        ck_assert(json_equal(at(media, "example|data"), json_object_get(array, "example")));
        ck_assert_int_eq(json_integer_value(at(media, "example|status|code")), status);
        ck_assert_int_eq(json_integer_value(at(media, "example|status|detail|status")), status);
        ck_assert_str_ne(json_string_value(at(media, "example|status|detail|detail")), "");
    }
}

/* What the two operations of v4 that answer with an envelope anyway, and this document itself, are. */
static bool is_bare(const udm_route_t *route, const char *code)
{
    return *code == '2' && (route->operation == UDM_OP_OPENAPI ||
                            (route->version == UDM_V4 && (route->operation == UDM_OP_JOB_SUSPEND ||
                                                          route->operation == UDM_OP_JOB_RESUME)));
}

START_TEST(test_wrapped)
{
    json_t *bare = document(UDM_ALL_VERSIONS, false), *wrapped = document(UDM_ALL_VERSIONS, true);
    int successes = 0, errors = 0, arrays = 0, as_is = 0;
    const udm_route_t *route;

    for (route = udm_route_table(); route->method; route++) {
        json_t *responses = json_object_get(operation_of(wrapped, route), "responses"), *response;
        const char *code;

        json_object_foreach(responses, code, response)
        {
            json_t *old = meant(
                bare, at(operation_of(bare, route), apr_pstrcat(pool, "responses|", code, NULL)));
            json_t *content = json_object_get(meant(wrapped, response), "content");
            const char *where = apr_psprintf(pool, "%s %s %s", route->method, route->path, code);

            old = json_object_get(old, "content");
            ck_assert_msg((old == NULL) == (content == NULL), "%s", where);
            if (!old) {
                continue;
            }
            if (is_bare(route, code) || (*code == '2' && !at(old, "application/json"))) {
                ck_assert_msg(json_equal(old, content), "%s", where);
                as_is++;
            }
            else if (*code == '2') {
                check_success(wrapped, at(content, "application/json"), at(old, "application/json"),
                              where);
                successes++;
            }
            else {
                check_error(content, old, atoi(code), where);
                arrays += at(old, "application/json") != NULL;
                errors++;
            }
        }
    }
    check_whole(wrapped);
    ck_assert_int_ge(successes, 28);
    ck_assert_int_ge(errors, 54);
    ck_assert_int_ge(arrays, 4);
    ck_assert_int_ge(as_is, 3);
}
END_TEST

/* Each answer is a document of its own. */
START_TEST(test_documents_are_independent)
{
    json_t *first = document(UDM_ALL_VERSIONS, true), *second;

    json_object_clear(json_object_get(first, "paths"));
    second = document(UDM_ALL_VERSIONS, true);
    ck_assert_uint_gt(json_object_size(json_object_get(second, "paths")), 30);
    ck_assert(json_equal(second, document(UDM_ALL_VERSIONS, true)));
}
END_TEST

TCase *openapi_case(void)
{
    TCase *tc = unit_case("openapi");

    tcase_add_test(tc, test_every_route_is_described);
    tcase_add_test(tc, test_nothing_else_is_described);
    tcase_add_test(tc, test_parameters);
    tcase_add_test(tc, test_deprecated);
    tcase_add_test(tc, test_deprecated_answers);
    tcase_add_test(tc, test_limits);
    tcase_add_test(tc, test_security);
    tcase_add_test(tc, test_versions);
    tcase_add_test(tc, test_only_what_is_used);
    tcase_add_test(tc, test_wrapped);
    tcase_add_test(tc, test_documents_are_independent);
    return tc;
}
