/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_json.c: what is taken as a JSON document, problem documents and envelopes.
 */
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "core/json.h"
#include "core/text.h"

static udm_error_t *parse(json_t **json, const char *text)
{
    return udm_json_parse(json, pool, text, strlen(text));
}

static void fails(const char *text, const char *words)
{
    json_t *json = (json_t *)-1;

    unit_fails(parse(&json, text), UDM_E_INVALID, words);
    ck_assert_ptr_null(json);
}

START_TEST(test_parse)
{
    json_t *json;

    unit_ok(parse(&json, " {\"z\": [1, \"\xc3\xa4\", null], \"a\": true}\n"));
    ck_assert_str_eq(udm_json_text(pool, json), "{\"z\":[1,\"\xc3\xa4\",null],\"a\":true}");
    unit_ok(parse(&json, "\xef\xbb\xbf[]"));
    unit_ok(parse(&json, "\"text\""));
    unit_ok(udm_json_parse(&json, pool, "[1]trailing", 3)); /* the size counts */
    ck_assert_int_eq(json_array_size(json), 1);
}
END_TEST

START_TEST(test_faults)
{
    json_t *json;

    fails("", "empty");
    fails(" \r\n\t ", "empty");
    fails("{", "line 1, column 1");
    fails("[1,\n  2,\n  ]", "line 3, column 3");
    fails("{\"a\":1} x", "end of file expected");
    fails("{\"a\":1,\"a\":2}", "duplicate object key");
    fails("{a:1}", "line 1");
    fails("[\"\xc3\xa4\xff\"]", "line 1, column 4: a byte that is not UTF-8");
    fails("[\"\xed\xa0\x80\"]", "not UTF-8");
    fails("[\"\\u0000\"]", "line 1");
    fails("[\"\\ud800\"]", "line 1");
    fails("[01]", "line 1");
    fails("[NaN]", "line 1");
    fails("[1e999]", "line 1");
    fails("[99999999999999999999]", "line 1");
    unit_fails(udm_json_parse(&json, pool, "[\0]", 3), UDM_E_INVALID, "a NUL byte");
}
END_TEST

/* `count` times `open`, then `close`. */
static const char *nested(int count, const char *open, const char *close)
{
    apr_size_t size = strlen(open);
    char *text = apr_pcalloc(pool, (apr_size_t)count * (size + strlen(close)) + 1), *at = text;
    int i;

    for (i = 0; i < count; i++) {
        at = apr_cpystrn(at, open, size + 1);
    }
    for (i = 0; i < count; i++) {
        at = apr_cpystrn(at, close, strlen(close) + 1);
    }
    return text;
}

START_TEST(test_depth)
{
    json_t *json;

    unit_ok(parse(&json, nested(UDM_JSON_MAX_DEPTH, "[", "]")));
    fails(nested(UDM_JSON_MAX_DEPTH + 1, "[", "]"), "more than 64 levels deep");
    fails(nested(1000, "[", "]"), "line 1, column 65: nested more than 64");
    fails(nested(1000, "{\"a\":", "}"), "nested more than");
    fails(nested(1000000, "[", ""), "nested more than");
    /* brackets in strings do not count, escapes do not end one */
    unit_ok(parse(&json, apr_pstrcat(pool, "[\"\\\"", nested(1000, "[", ""), "\"]", NULL)));
    fails(apr_pstrcat(pool, "[\"\\\\\",", nested(1000, "[", ""), NULL), "nested more than");
}
END_TEST

/* What makes a value: an element, a member, an array or an object with its brackets. */
START_TEST(test_values)
{
    const int most = UDM_JSON_MAX_VALUES;
    json_t *json;

    unit_ok(parse(&json, apr_pstrcat(pool, "[", nested(most - 2, "0,", ""), "0]", NULL)));
    ck_assert_uint_eq(json_array_size(json), (size_t)most - 1);
    fails(apr_pstrcat(pool, "[", nested(most - 1, "0,", ""), "0]", NULL), "at most 25000");
    unit_ok(parse(&json, apr_pstrcat(pool, "[", nested(most - 2, "{ },", ""), "[\t]]", NULL)));
    fails(apr_pstrcat(pool, "[", nested(most - 1, "[ ],", ""), "{}]", NULL), "too many values");
    unit_ok(parse(&json, apr_pstrcat(pool, "[", nested(most / 2 - 1, "[0],", ""), "0]", NULL)));
    fails(apr_pstrcat(pool, "[", nested(most / 2, "{\"\":0},", ""), "0]", NULL), "too many values");
    fails(apr_pstrcat(pool, "\n[", nested(1000000, "\"x\",", ""), "0]", NULL), "at line 2, column");
    /* commas in strings do not count */
    unit_ok(parse(&json, apr_pstrcat(pool, "[\"\\\"", nested(50000, ",[", ""), "\"]", NULL)));
}
END_TEST

START_TEST(test_released_with_the_pool)
{
    apr_pool_t *child;
    json_t *json = json_string("kept");

    apr_pool_create(&child, pool);
    udm_json_own(child, json_incref(json));
    ck_assert_int_eq((int)json->refcount, 2);
    apr_pool_destroy(child);
    ck_assert_int_eq((int)json->refcount, 1);
    json_decref(json);
    ck_assert_ptr_null(udm_json_own(pool, NULL));
}
END_TEST

START_TEST(test_problem)
{
    udm_error_t *error = NULL;
    json_t *json;

    json = udm_json_own(pool, udm_json_problem(pool, udm_error_make(pool, UDM_E_GONE, "too late")));
    ck_assert_str_eq(udm_json_text(pool, json),
                     "{\"type\":\"about:blank\",\"title\":\"Gone\",\"status\":410,"
                     "\"detail\":\"too late\"}");
    udm_error_fault(&error, pool, "/a~1b", "is wrong");
    udm_error_fault(&error, pool, "", "is \"worse\"");
    error->reason = "no";
    udm_error_detail(pool, error, "for the log only");
    json = udm_json_own(pool, udm_json_problem(pool, error));
    ck_assert_str_eq(
        udm_json_text(pool, json),
        "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,"
        "\"detail\":\"no\",\"errors\":[{\"pointer\":\"/a~1b\",\"detail\":\"is wrong\"},"
        "{\"pointer\":\"\",\"detail\":\"is \\\"worse\\\"\"}]}");
    /* a reason that is no UTF-8 still makes a whole document */
    json = udm_json_own(
        pool, udm_json_problem(pool, udm_error_make(pool, UDM_E_INVALID, "a\xff\xfe\xc3\xa4\xc3")));
    ck_assert_str_eq(json_string_value(json_object_get(json, "detail")), "a??\xc3\xa4?");
}
END_TEST

START_TEST(test_envelope)
{
    json_t *json = udm_json_own(pool, udm_json_envelope(json_pack("{s:[i]}", "a", 1)));
    const char *text = udm_json_text(pool, json);

    ck_assert_str_eq(text, "{\"status\":{\"code\":0,\"detail\":{},\"message\":\"successful\"},"
                           "\"data\":{\"a\":[1]}}");
    /* a list that is streamed looks the same */
    ck_assert_str_eq(text, UDM_JSON_ENVELOPE_BEFORE "{\"a\":[1]}" UDM_JSON_ENVELOPE_AFTER);
    ck_assert_str_eq(udm_json_text(pool, udm_json_own(pool, udm_json_success())),
                     "{\"status\":{\"code\":0,\"detail\":{},\"message\":\"successful\"}}");
}
END_TEST

START_TEST(test_error_envelope)
{
    udm_error_t *error = udm_error_make(pool, UDM_E_NOT_FOUND, "no");
    json_t *json;

    json = udm_json_own(pool, udm_json_error_envelope(404, udm_json_problem(pool, error), NULL));
    ck_assert_str_eq(udm_json_text(pool, json),
                     "{\"status\":{\"code\":404,\"detail\":{\"type\":\"about:blank\",\"title\":"
                     "\"Not Found\",\"status\":404,\"detail\":\"no\"},\"message\":\"Not Found\"}}");
    json = udm_json_own(
        pool, udm_json_error_envelope(500, udm_json_problem(pool, error), json_pack("[s]", "x")));
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(json, "status"), "code")),
                     500);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(json, "status"), "message")),
                     "Not Found"); /* the title of the problem document */
    ck_assert_str_eq(udm_json_text(pool, json_object_get(json, "data")), "[\"x\"]");
    /* without a problem document the status alone speaks */
    json = udm_json_own(pool, udm_json_error_envelope(500, NULL, json_array()));
    ck_assert_str_eq(udm_json_text(pool, json),
                     "{\"status\":{\"code\":500,\"detail\":{},\"message\":"
                     "\"Internal Server Error\"},\"data\":[]}");
}
END_TEST

START_TEST(test_title)
{
    ck_assert_str_eq(udm_json_title(404), "Not Found");
    ck_assert_str_eq(udm_json_title(503), "Service Unavailable");
    ck_assert_str_eq(udm_json_title(599), "Error");
}
END_TEST

START_TEST(test_mutations)
{
    static const char *const seeds[] = {
        "{\"a\":[1,2.5e3,\"x\\u00e4\\n\",{\"b\":null}],\"c\":{\"d\":[[],[true,false]]}}",
        "[\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\", -0.1, {\"\":\"\"}]"};
    uint32_t state = 2463534242u;
    json_t *json;
    int i;

    for (i = 0; i < 4000; i++) {
        char *text = unit_mutate(&state, seeds[i % 2]);
        udm_error_t *error = udm_json_parse(&json, pool, text, strlen(text));

        ck_assert((error == NULL) == (json != NULL));
        if (error) {
            ck_assert_int_eq(error->kind, UDM_E_INVALID);
        }
        free(text);
        apr_pool_clear(pool);
    }
}
END_TEST

/* What is written piece by piece is what jansson writes of the same. */
START_TEST(test_out)
{
    static const apr_int64_t numbers[] = {0, 7, -1, 1000000, INT64_MAX, INT64_MIN};
    json_t *array = udm_json_own(pool, json_array());
    udm_json_out_t *out = udm_json_out(pool, 1);
    char text[600];
    apr_size_t i;

    udm_json_put(out, "[");
    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        json_array_append_new(array, json_integer(numbers[i]));
        udm_json_put_int(out, numbers[i]);
        udm_json_put(out, ",");
    }
    /* each ASCII character by itself, then all of them, and others */
    for (i = 1; i < 128; i++) {
        text[0] = (char)i;
        text[1] = '\0';
        json_array_append_new(array, json_string(text));
        udm_json_put_string(out, text);
        udm_json_put(out, ",");
    }
    for (i = 1; i < 128; i++) {
        text[i - 1] = (char)i;
    }
    strcpy(text + 127, "\xc3\xa4\xe2\x82\xac\xe2\x80\xa8\xf0\x9f\x98\x80");
    json_array_append_new(array, json_string(text));
    udm_json_put_string(out, text);
    udm_json_put(out, ",");
    udm_json_put_string(out, "");
    json_array_append_new(array, json_string(""));
    udm_json_put(out, ",");
    udm_json_put_string(out, NULL);
    json_array_append_new(array, json_null());
    udm_json_put(out, "]");
    ck_assert_str_eq(udm_json_out_text(out), udm_json_text(pool, array));
}
END_TEST

TCase *json_case(void)
{
    TCase *tc = unit_case("json");

    tcase_add_test(tc, test_parse);
    tcase_add_test(tc, test_faults);
    tcase_add_test(tc, test_depth);
    tcase_add_test(tc, test_values);
    tcase_add_test(tc, test_released_with_the_pool);
    tcase_add_test(tc, test_problem);
    tcase_add_test(tc, test_envelope);
    tcase_add_test(tc, test_error_envelope);
    tcase_add_test(tc, test_title);
    tcase_add_test(tc, test_out);
    tcase_add_test(tc, test_mutations);
    return tc;
}
