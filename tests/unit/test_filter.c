/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_filter.c: attribute filters: their shape, and their values as PostgreSQL gets them.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "core/filter.h"
#include "core/json.h"

#define POINTER "/jobParams/filters"

/* The document in a text with ' for ". */
static json_t *document(const char *text)
{
    char *copy = apr_pstrdup(pool, text), *c;
    json_t *json;

    for (c = copy; *c; c++) {
        if (*c == '\'') {
            *c = '"';
        }
    }
    unit_ok(udm_json_parse(&json, pool, copy, strlen(copy)));
    return json;
}

static apr_array_header_t *takes_json(const json_t *json)
{
    apr_array_header_t *filters;
    udm_error_t *error = NULL;

    udm_filter_parse(&filters, &error, pool, POINTER, json);
    unit_ok(error);
    return filters;
}

static apr_array_header_t *takes(const char *text)
{
    return takes_json(document(text));
}

/* Expects exactly one fault, below POINTER. */
static void refuses_json(const json_t *json, const char *pointer, const char *words)
{
    apr_array_header_t *filters;
    udm_error_t *error = NULL;
    int i;

    udm_filter_parse(&filters, &error, pool, POINTER, json);
    unit_fails(error, UDM_E_INVALID, words);
    ck_assert_ptr_nonnull(filters);
    for (i = 0; i < filters->nelts; i++) {
        ck_assert_ptr_nonnull(APR_ARRAY_IDX(filters, i, udm_job_filter_t).attribute);
    }
    ck_assert_int_eq(error->faults->nelts, 1);
    ck_assert_str_eq(APR_ARRAY_IDX(error->faults, 0, udm_fault_t).pointer,
                     apr_pstrcat(pool, POINTER, pointer, NULL));
}

static void refuses(const char *text, const char *pointer, const char *words)
{
    refuses_json(document(text), pointer, words);
}

START_TEST(test_shape)
{
    static const char *const words[] = {"eq", "ne", "lt", "le", "gt", "ge", "contains"};
    apr_array_header_t *filters;
    const udm_job_filter_t *filter;
    size_t i;

    ck_assert_int_eq(takes_json(NULL)->nelts, 0);
    ck_assert_int_eq(takes("[]")->nelts, 0);
    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        filters = takes(
            apr_psprintf(pool, "[{'attribute':'A b','operator':'%s','value':'x'}]", words[i]));
        ck_assert_int_eq(filters->nelts, 1);
        filter = &APR_ARRAY_IDX(filters, 0, udm_job_filter_t);
        ck_assert_int_eq(filter->test, (udm_filter_test)i);
        ck_assert_str_eq(filter->attribute, "A b");
        ck_assert_str_eq(json_string_value(filter->value), "x");
    }
    filters = takes("[{'attribute':'a','operator':'eq','value':1.5,'x':1},"
                    "{'attribute':'a','operator':'ne','value':false},"
                    "{'attribute':'a','operator':'in','value':['x',2,true]}]");
    ck_assert_int_eq(filters->nelts, 3);
    filter = &APR_ARRAY_IDX(filters, 2, udm_job_filter_t);
    ck_assert_int_eq(filter->test, UDM_TEST_IN);
    ck_assert_uint_eq(json_array_size(filter->value), 3);
}
END_TEST

START_TEST(test_bad_shape)
{
#define FILTER(attribute, operator, value)                                                         \
    "[{'attribute':" attribute ",'operator':" operator",'value':" value "}]"
    refuses("{}", "", "must be an array");
    refuses("'x'", "", "must be an array");
    refuses("['x']", "/0", "must be an object");
    refuses("[{'operator':'eq','value':1}]", "/0/attribute", "name of an attribute");
    refuses(FILTER("''", "'eq'", "1"), "/0/attribute", "name of an attribute");
    refuses(FILTER("7", "'eq'", "1"), "/0/attribute", "name of an attribute");
    refuses("[{'attribute':'a','value':1}]", "/0/operator",
            "one of: eq, ne, lt, le, gt, ge, contains, in");
    refuses(FILTER("'a'", "'EQ'", "1"), "/0/operator", "one of: eq");
    refuses(FILTER("'a'", "'='", "1"), "/0/operator", "one of: eq");
    refuses(FILTER("'a'", "null", "1"), "/0/operator", "one of: eq");
    refuses("[{'attribute':'a','operator':'eq'}]", "/0/value", "is required");
    refuses(FILTER("'a'", "'eq'", "null"), "/0/value", "a string, a number, true or false");
    refuses(FILTER("'a'", "'eq'", "[1]"), "/0/value", "a string, a number, true or false");
    refuses(FILTER("'a'", "'eq'", "{}"), "/0/value", "a string, a number, true or false");
    refuses(FILTER("'a'", "'in'", "1"), "/0/value", "array of at least one value");
    refuses(FILTER("'a'", "'in'", "[]"), "/0/value", "array of at least one value");
    refuses(FILTER("'a'", "'in'", "['x',null]"), "/0/value/1", "a string, a number");
    refuses(FILTER("'a'", "'in'", "[['x']]"), "/0/value/0", "a string, a number");
    refuses("[{'attribute':'a','operator':'eq','value':1},5]", "/1", "must be an object");
#undef FILTER
}
END_TEST

START_TEST(test_every_fault_is_told)
{
    apr_array_header_t *filters;
    udm_error_t *error = NULL;

    udm_filter_parse(&filters, &error, pool, POINTER,
                     document("[{},{'attribute':'a','operator':'in','value':[null,{}]},"
                              "{'attribute':'b','operator':'eq','value':1}]"));
    ck_assert_int_eq(error->faults->nelts, 5);
    ck_assert_int_eq(filters->nelts, 1); /* the good one */
}
END_TEST

/* One filter of a value; takes over `value`. */
static json_t *filter_with(const char *attribute, const char *word, json_t *value)
{
    return udm_json_own(pool, json_pack("[{s:s,s:s,s:o}]", "attribute", attribute, "operator", word,
                                        "value", value));
}

static json_t *many(size_t count)
{
    json_t *array = json_array();

    while (count-- > 0) {
        json_array_append_new(array, json_integer(1));
    }
    return array;
}

START_TEST(test_limits)
{
    json_t *filters = udm_json_own(pool, json_array());
    const char *longest = apr_psprintf(pool, "%0*d\xc3\xa4", UDM_FILTER_VALUE_MAX - 1, 1);
    const char *longer = apr_pstrcat(pool, longest, "x", NULL);
    int i;

    takes_json(filter_with(longest, "eq", json_string(longest)));
    refuses_json(filter_with(longer, "eq", json_true()), "/0/attribute", "at most 1000 characters");
    refuses_json(filter_with("a", "eq", json_string(longer)), "/0/value",
                 "at most 1000 characters");
    refuses_json(filter_with("a", "in", json_pack("[s,s]", "x", longer)), "/0/value/1",
                 "at most 1000 characters");
    takes_json(filter_with("a", "in", many(UDM_FILTER_VALUES_MAX)));
    refuses_json(filter_with("a", "in", many(UDM_FILTER_VALUES_MAX + 1)), "/0/value",
                 "at most 1000 values");
    for (i = 0; i < UDM_FILTERS_MAX; i++) {
        json_array_append(filters, json_array_get(filter_with("a", "eq", json_true()), 0));
    }
    ck_assert_int_eq(takes_json(filters)->nelts, UDM_FILTERS_MAX);
    json_array_append(filters, json_array_get(filters, 0));
    refuses_json(filters, "", "at most 20 filters");
}
END_TEST

START_TEST(test_text)
{
    ck_assert_str_eq(udm_filter_text(pool, NULL), "[]");
    ck_assert_str_eq(udm_filter_text(pool, takes("[]")), "[]");
    ck_assert_str_eq(
        udm_filter_text(pool, takes("[{'x':1,'value':['a\\u00e4',2.5],'operator':'in',"
                                    "'attribute':'b'},{'attribute':'c','operator':'ne',"
                                    "'value':true}]")),
        "[{\"attribute\":\"b\",\"operator\":\"in\",\"value\":[\"a\xc3\xa4\",\"2.5\"]},"
        "{\"attribute\":\"c\",\"operator\":\"ne\",\"value\":true}]");
    ck_assert_str_eq(
        udm_filter_text(pool, takes("[{'attribute':'a','operator':'lt','value':1e19}]")),
        "[{\"attribute\":\"a\",\"operator\":\"lt\",\"value\":\"1e+19\"}]");
}
END_TEST

/* The first filter of a value in JSON with ' for ". */
static const udm_job_filter_t *filter_of(const char *word, const char *value)
{
    return &APR_ARRAY_IDX(
        takes(apr_psprintf(pool, "[{'attribute':'a','operator':'%s','value':%s}]", word, value)), 0,
        udm_job_filter_t);
}

static const char *value_of(const char *word, const char *value, udm_attribute_kind kind)
{
    udm_error_t *error = NULL;
    apr_array_header_t *texts =
        udm_filter_values(&error, pool, POINTER "/0", filter_of(word, value), kind);

    unit_ok(error);
    ck_assert_int_eq(texts->nelts, 1);
    return APR_ARRAY_IDX(texts, 0, const char *);
}

static void no_value(const char *word, const char *value, udm_attribute_kind kind,
                     const char *pointer, const char *words)
{
    udm_error_t *error = NULL;

    ck_assert_ptr_null(udm_filter_values(&error, pool, POINTER "/0", filter_of(word, value), kind));
    unit_fails(error, UDM_E_INVALID, words);
    ck_assert_int_eq(error->faults->nelts, 1);
    ck_assert_str_eq(APR_ARRAY_IDX(error->faults, 0, udm_fault_t).pointer,
                     apr_pstrcat(pool, POINTER "/0", pointer, NULL));
}

START_TEST(test_strings)
{
    ck_assert_str_eq(value_of("eq", "'50%_\\\\'", UDM_ATTRIBUTE_STRING), "50%_\\");
    ck_assert_str_eq(value_of("contains", "''", UDM_ATTRIBUTE_STRING), "");
    ck_assert_str_eq(value_of("lt", "'1'", UDM_ATTRIBUTE_STRING), "1");
    ck_assert_str_eq(value_of("in", "['x']", UDM_ATTRIBUTE_STRING), "x");
    no_value("eq", "1", UDM_ATTRIBUTE_STRING, "/value", "must be a string; the attribute is");
    no_value("eq", "true", UDM_ATTRIBUTE_STRING, "/value", "must be a string");
    no_value("in", "['x',1]", UDM_ATTRIBUTE_STRING, "/value/1", "must be a string");
}
END_TEST

START_TEST(test_numbers)
{
    static const char *const same[] = {"0",
                                       "-1",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "0.1",
                                       "-12.75",
                                       "123456789.123",
                                       "0.30000000000000004",
                                       "1.7976931348623157e+308",
                                       "'99999999999999999999999.000000000000000000001'",
                                       "'-0.50'",
                                       "'1e5'",
                                       "'1.5E-12'",
                                       "'1e+999'",
                                       "'007'"};
    static const char *const bad[] = {"''",       "'x'",   "'1x'",       "' 1'",   "'1 '",
                                      "'+1'",     "'-'",   "'.5'",       "'5.'",   "'1e'",
                                      "'1e+'",    "'--1'", "'1,5'",      "'NaN'",  "'0x1'",
                                      "'1e1000'", "true",  "'Infinity'", "'1.5.2'"};
    size_t i;

    for (i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        const char *plain = same[i];

        if (*plain == '\'') {
            plain = apr_pstrndup(pool, plain + 1, strlen(plain) - 2);
        }
        ck_assert_str_eq(value_of("eq", same[i], UDM_ATTRIBUTE_NUMBER), plain);
    }
    ck_assert_str_eq(value_of("ge", "1e3", UDM_ATTRIBUTE_NUMBER), "1000");
    ck_assert_str_eq(value_of("ge", "2.50", UDM_ATTRIBUTE_NUMBER), "2.5");
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        no_value("eq", bad[i], UDM_ATTRIBUTE_NUMBER, "/value", "must be a number");
    }
    no_value("contains", "1", UDM_ATTRIBUTE_NUMBER, "/operator",
             "must be one of: eq, ne, lt, le, gt, ge, in; the attribute is of the kind number");
}
END_TEST

START_TEST(test_booleans)
{
    ck_assert_str_eq(value_of("eq", "true", UDM_ATTRIBUTE_BOOLEAN), "true");
    ck_assert_str_eq(value_of("ne", "false", UDM_ATTRIBUTE_BOOLEAN), "false");
    ck_assert_str_eq(value_of("in", "[false]", UDM_ATTRIBUTE_BOOLEAN), "false");
    no_value("eq", "'true'", UDM_ATTRIBUTE_BOOLEAN, "/value", "true or false, without quotes");
    no_value("eq", "1", UDM_ATTRIBUTE_BOOLEAN, "/value", "true or false");
    no_value("lt", "true", UDM_ATTRIBUTE_BOOLEAN, "/operator", "must be one of: eq, ne, in");
    no_value("contains", "true", UDM_ATTRIBUTE_BOOLEAN, "/operator", "must be one of: eq, ne, in");
}
END_TEST

START_TEST(test_times)
{
    ck_assert_str_eq(value_of("eq", "'2026-11-24'", UDM_ATTRIBUTE_DATE), "2026-11-24");
    ck_assert_str_eq(value_of("le", "'2026-11-24T00:00:00Z'", UDM_ATTRIBUTE_DATE), "2026-11-24");
    ck_assert_str_eq(value_of("le", "'1969-12-31T02:00+02:00'", UDM_ATTRIBUTE_DATE), "1969-12-31");
    no_value("eq", "'2026-11-24T00:00:00.000001Z'", UDM_ATTRIBUTE_DATE, "/value", "must be a date");
    no_value("eq", "'2026-11-24T00:00:00+02:00'", UDM_ATTRIBUTE_DATE, "/value", "must be a date");
    no_value("eq", "'2026-02-30'", UDM_ATTRIBUTE_DATE, "/value", "must be a date");
    no_value("eq", "20261124", UDM_ATTRIBUTE_DATE, "/value", "must be a date");
    no_value("contains", "'2026-11-24'", UDM_ATTRIBUTE_DATE, "/operator", "kind date");

    ck_assert_str_eq(value_of("gt", "'2026-11-24'", UDM_ATTRIBUTE_DATETIME),
                     "2026-11-24T00:00:00.000000Z");
    ck_assert_str_eq(value_of("gt", "'2026-11-24T08:00:00.1234567+02:00'", UDM_ATTRIBUTE_DATETIME),
                     "2026-11-24T06:00:00.123456Z");
    ck_assert_str_eq(value_of("gt", "'1969-12-31T23:59:59.999999Z'", UDM_ATTRIBUTE_DATETIME),
                     "1969-12-31T23:59:59.999999Z");
    no_value("eq", "'now'", UDM_ATTRIBUTE_DATETIME, "/value", "a date or an instant");
    no_value("eq", "'infinity'", UDM_ATTRIBUTE_DATETIME, "/value", "a date or an instant");
    no_value("eq", "1795500000", UDM_ATTRIBUTE_DATETIME, "/value", "a date or an instant");
    no_value("contains", "'2026-11-24'", UDM_ATTRIBUTE_DATETIME, "/operator", "kind datetime");
}
END_TEST

START_TEST(test_many_values)
{
    udm_error_t *error = NULL;
    apr_array_header_t *texts = udm_filter_values(
        &error, pool, POINTER "/0", filter_of("in", "[3,'2',1.5]"), UDM_ATTRIBUTE_NUMBER);

    unit_ok(error);
    ck_assert_int_eq(texts->nelts, 3);
    ck_assert_str_eq(APR_ARRAY_IDX(texts, 0, const char *), "3");
    ck_assert_str_eq(APR_ARRAY_IDX(texts, 1, const char *), "2");
    ck_assert_str_eq(APR_ARRAY_IDX(texts, 2, const char *), "1.5");
    /* every value that does not fit is told, and they add to what was there */
    ck_assert_ptr_null(udm_filter_values(&error, pool, POINTER "/0",
                                         filter_of("in", "['x',1,true]"), UDM_ATTRIBUTE_NUMBER));
    ck_assert_int_eq(error->faults->nelts, 2);
    ck_assert_ptr_null(udm_filter_values(&error, pool, POINTER "/1", filter_of("contains", "'x'"),
                                         UDM_ATTRIBUTE_DATE));
    ck_assert_int_eq(error->faults->nelts, 4);
    ck_assert_str_eq(APR_ARRAY_IDX(error->faults, 3, udm_fault_t).pointer, POINTER "/1/value");
}
END_TEST

START_TEST(test_kinds)
{
    udm_attribute_kind kind;
    int i;

    for (i = UDM_ATTRIBUTE_STRING; i <= UDM_ATTRIBUTE_DATETIME; i++) {
        ck_assert(udm_attribute_kind_parse(&kind, udm_attribute_kind_name((udm_attribute_kind)i)));
        ck_assert_int_eq(kind, (udm_attribute_kind)i);
    }
    ck_assert_str_eq(udm_attribute_kind_name(UDM_ATTRIBUTE_DATETIME), "datetime");
    ck_assert(!udm_attribute_kind_parse(&kind, "String"));
    ck_assert(!udm_attribute_kind_parse(&kind, ""));
}
END_TEST

START_TEST(test_mutations)
{
    static const char seed[] =
        "[{\"attribute\":\"a\",\"operator\":\"in\",\"value\":[\"2026-11-24\",\"-1.5e3\",2]},"
        "{\"attribute\":\"b\",\"operator\":\"contains\",\"value\":\"x\xc3\xa4\"},"
        "{\"attribute\":\"c\",\"operator\":\"lt\",\"value\":\"2026-11-24T06:00:00Z\"}]";
    uint32_t state = 2891336453u;
    int i, j, good = 0, fitting = 0;

    for (i = 0; i < 4000; i++) {
        char *text = unit_mutate(&state, seed);
        apr_array_header_t *filters;
        json_t *json;

        if (!udm_json_parse(&json, pool, text, strlen(text))) {
            udm_error_t *error = NULL;

            udm_filter_parse(&filters, &error, pool, POINTER, json);
            good += !error;
            for (j = 0; j < filters->nelts; j++) {
                udm_error_t *fault = NULL;
                bool fits = udm_filter_values(&fault, pool, POINTER,
                                              &APR_ARRAY_IDX(filters, j, udm_job_filter_t),
                                              (udm_attribute_kind)(i % 5)) != NULL;

                ck_assert(fits == (fault == NULL));
                fitting += fits;
            }
        }
        free(text);
        apr_pool_clear(pool);
    }
    ck_assert_int_gt(good, 100);
    ck_assert_int_gt(fitting, 100);
}
END_TEST

TCase *filter_case(void)
{
    TCase *tc = unit_case("filter");

    tcase_add_test(tc, test_shape);
    tcase_add_test(tc, test_bad_shape);
    tcase_add_test(tc, test_every_fault_is_told);
    tcase_add_test(tc, test_limits);
    tcase_add_test(tc, test_text);
    tcase_add_test(tc, test_strings);
    tcase_add_test(tc, test_numbers);
    tcase_add_test(tc, test_booleans);
    tcase_add_test(tc, test_times);
    tcase_add_test(tc, test_many_values);
    tcase_add_test(tc, test_kinds);
    tcase_add_test(tc, test_mutations);
    return tc;
}
