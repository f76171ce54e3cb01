/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.c: reads attribute filters, and turns their values into text that PostgreSQL reads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "core/calendar.h"
#include "core/filter.h"
#include "core/json.h"
#include "core/text.h"

/* A power of ten beyond this says a mistake, and would make PostgreSQL write thousands of digits. */
#define EXPONENT_DIGITS_MAX 3

#define EXPONENT_LIMIT "an exponent of at most 3 digits"

/* In the order of udm_filter_test. */
static const char *const tests[] = {"eq", "ne", "lt", "le", "gt", "ge", "contains", "in"};
#define TEST_COUNT ((int)(sizeof(tests) / sizeof(tests[0])))
#define TEST_NAMES "eq, ne, lt, le, gt, ge, contains, in"

/* In the order of udm_attribute_kind. */
static const char *const kinds[] = {"string", "number", "boolean", "date", "datetime"};
#define KIND_COUNT ((int)(sizeof(kinds) / sizeof(kinds[0])))

const char *udm_attribute_kind_name(udm_attribute_kind kind)
{
    return kinds[kind];
}

bool udm_attribute_kind_parse(udm_attribute_kind *kind, const char *name)
{
    int i;

    for (i = 0; i < KIND_COUNT; i++) {
        if (strcmp(kinds[i], name) == 0) {
            *kind = (udm_attribute_kind)i;
            return true;
        }
    }
    return false;
}

const char *udm_filter_time(apr_pool_t *p, apr_time_t when)
{
    apr_time_t micro = when % APR_USEC_PER_SEC;

    if (micro < 0) {
        micro += APR_USEC_PER_SEC;
    }
    return apr_psprintf(p, "%.19s.%06" APR_TIME_T_FMT "Z", udm_calendar_text(p, when), micro);
}

/* The pointer of a member or, with a number for it, of an element. */
static const char *below(apr_pool_t *p, const char *pointer, const char *key)
{
    return apr_pstrcat(p, pointer, "/", key, NULL);
}

/* The pointer of a value: that of an element unless `index` is -1. Only a fault needs it. */
static const char *value_pointer(apr_pool_t *p, const char *pointer, int index)
{
    return index < 0 ? pointer : apr_psprintf(p, "%s/%d", pointer, index);
}

/* One value of a filter by itself: a scalar, and not too long. */
static bool parse_scalar(udm_error_t **error, apr_pool_t *p, const char *pointer, int index,
                         const json_t *value)
{
    if (!json_is_string(value) && !json_is_number(value) && !json_is_boolean(value)) {
        udm_error_fault(error, p, value_pointer(p, pointer, index),
                        "must be a string, a number, true or false");
        return false;
    }
    if (json_is_string(value) &&
        udm_text_characters(json_string_value(value)) > UDM_FILTER_VALUE_MAX) {
        udm_error_fault(error, p, value_pointer(p, pointer, index),
                        "must have at most %d characters", UDM_FILTER_VALUE_MAX);
        return false;
    }
    return true;
}

/* The array of values of an "in". */
static bool parse_values(udm_error_t **error, apr_pool_t *p, const char *pointer,
                         const json_t *values)
{
    const json_t *item;
    bool good = true;
    size_t i;

    if (!json_is_array(values) || json_array_size(values) == 0) {
        udm_error_fault(error, p, pointer, "must be an array of at least one value for \"in\"");
        return false;
    }
    if (json_array_size(values) > UDM_FILTER_VALUES_MAX) {
        udm_error_fault(error, p, pointer, "must have at most %d values", UDM_FILTER_VALUES_MAX);
        return false;
    }
    json_array_foreach(values, i, item)
    {
        good &= parse_scalar(error, p, pointer, (int)i, item);
        if (udm_error_is_full(*error)) {
            break;
        }
    }
    return good;
}

/* The operator by its word. */
static bool parse_test(udm_filter_test *test, udm_error_t **error, apr_pool_t *p,
                       const char *pointer, const json_t *json)
{
    const char *word = json_string_value(json);
    int i;

    for (i = 0; word && i < TEST_COUNT; i++) {
        if (strcmp(tests[i], word) == 0) {
            *test = (udm_filter_test)i;
            return true;
        }
    }
    udm_error_fault(error, p, pointer, "must be one of: " TEST_NAMES);
    return false;
}

/* The name of the attribute. @return NULL after a fault */
static const char *parse_attribute(udm_error_t **error, apr_pool_t *p, const char *pointer,
                                   const json_t *json)
{
    const char *name = json_string_value(json);

    if (!name || !*name) {
        udm_error_fault(error, p, pointer, "must be the name of an attribute");
        return NULL;
    }
    if (udm_text_characters(name) > UDM_FILTER_VALUE_MAX) {
        udm_error_fault(error, p, pointer, "must have at most %d characters", UDM_FILTER_VALUE_MAX);
        return NULL;
    }
    return apr_pstrdup(p, name);
}

/* Reads one filter; adds it when all of it is right. */
static void parse_filter(apr_array_header_t *filters, udm_error_t **error, apr_pool_t *p,
                         const char *pointer, const json_t *json)
{
    const json_t *value = json_object_get(json, "value");
    const char *at = below(p, pointer, "value");
    udm_job_filter_t filter = {NULL, UDM_TEST_EQ, NULL};
    bool good;

    if (!json_is_object(json)) {
        udm_error_fault(error, p, pointer, "must be an object: {attribute, operator, value}");
        return;
    }
    filter.attribute = parse_attribute(error, p, below(p, pointer, "attribute"),
                                       json_object_get(json, "attribute"));
    good = parse_test(&filter.test, error, p, below(p, pointer, "operator"),
                      json_object_get(json, "operator"));
    if (!value) {
        udm_error_fault(error, p, at, "is required");
        return;
    }
    /* of an operator that is none, either shape may be meant */
    if (good && filter.test == UDM_TEST_IN) {
        good = parse_values(error, p, at, value);
    }
    else if (good) {
        good = parse_scalar(error, p, at, -1, value);
    }
    if (good && filter.attribute) {
        filter.value = udm_json_own(p, json_deep_copy(value));
        APR_ARRAY_PUSH(filters, udm_job_filter_t) = filter;
    }
}

void udm_filter_parse(apr_array_header_t **filters, udm_error_t **error, apr_pool_t *p,
                      const char *pointer, const json_t *json)
{
    const json_t *item;
    size_t i;

    *filters = apr_array_make(p, 4, sizeof(udm_job_filter_t));
    if (!json) {
        return;
    }
    if (!json_is_array(json)) {
        udm_error_fault(error, p, pointer, "must be an array of {attribute, operator, value}");
        return;
    }
    if (json_array_size(json) > UDM_FILTERS_MAX) {
        udm_error_fault(error, p, pointer, "must have at most %d filters", UDM_FILTERS_MAX);
        return;
    }
    json_array_foreach(json, i, item)
    {
        parse_filter(*filters, error, p, apr_psprintf(p, "%s/%d", pointer, (int)i), item);
    }
}

json_t *udm_filter_json(const apr_array_header_t *filters)
{
    json_t *json = json_array();
    int i;

    for (i = 0; filters && i < filters->nelts; i++) {
        const udm_job_filter_t *filter = &APR_ARRAY_IDX(filters, i, udm_job_filter_t);
        json_t *item = json_object();

        json_object_set_new(item, "attribute", json_string(filter->attribute));
        json_object_set_new(item, "operator", json_string(tests[filter->test]));
        json_object_set_new(item, "value", json_deep_copy(filter->value));
        json_array_append_new(json, item);
    }
    return json;
}

/* @return how many decimal digits `text` begins with */
static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* -?digits[.digits][e[+-]digits] */
static bool is_decimal(const char *text)
{
    size_t count;

    text += *text == '-';
    count = digits(text);
    if (count == 0) {
        return false;
    }
    text += count;
    if (*text == '.') {
        count = digits(text + 1);
        if (count == 0) {
            return false;
        }
        text += 1 + count;
    }
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '+' || *text == '-';
        count = digits(text);
        if (count == 0 || count > EXPONENT_DIGITS_MAX) {
            return false;
        }
        text += count;
    }
    return *text == '\0';
}

/* A real as few digits as bring it back: what the client wrote, as far as a double holds it. */
static const char *real_text(apr_pool_t *p, double number)
{
    char text[40]; /* the longest is 24: -2.2250738585072014e-308 */

    snprintf(text, sizeof(text), "%.15g", number);
    if (strtod(text, NULL) != number) {
        snprintf(text, sizeof(text), "%.17g", number);
    }
    return apr_pstrdup(p, text);
}

/*
 * Puts decimal strings for reals, which mean the same: jsonb would write 1e19 as an integer that no
 * integer of C holds. `value` is a scalar or an array of them, the member "value" of `filter`.
 */
static void reals_to_text(apr_pool_t *p, json_t *value, json_t *filter)
{
    json_t *element;
    size_t i;

    if (json_is_real(value)) {
        json_object_set_new(filter, "value", json_string(real_text(p, json_real_value(value))));
    }
    json_array_foreach(value, i, element)
    {
        if (json_is_real(element)) {
            json_array_set_new(value, i, json_string(real_text(p, json_real_value(element))));
        }
    }
}

const char *udm_filter_text(apr_pool_t *p, const apr_array_header_t *filters)
{
    json_t *json = udm_filter_json(filters);
    const char *text;
    json_t *item;
    size_t i;

    json_array_foreach(json, i, item)
    {
        reals_to_text(p, json_object_get(item, "value"), item);
    }
    text = udm_json_text(p, json);
    json_decref(json);
    return text;
}

/* A number as text. @return NULL for none */
static const char *number_text(apr_pool_t *p, const json_t *value)
{
    if (json_is_integer(value)) {
        return apr_psprintf(p, "%" APR_INT64_T_FMT, (apr_int64_t)json_integer_value(value));
    }
    if (json_is_real(value)) {
        return real_text(p, json_real_value(value));
    }
    return json_is_string(value) && is_decimal(json_string_value(value))
               ? apr_pstrdup(p, json_string_value(value))
               : NULL;
}

/* An instant, or (with `date`) a day of the calendar, as text. @return NULL for none */
static const char *time_text(apr_pool_t *p, const json_t *value, bool date)
{
    apr_time_t when;

    if (!json_is_string(value) || !udm_calendar_parse(&when, json_string_value(value))) {
        return NULL;
    }
    if (!date) {
        return udm_filter_time(p, when);
    }
    return when % (24 * 3600 * APR_USEC_PER_SEC) == 0
               ? apr_psprintf(p, "%.10s", udm_calendar_text(p, when))
               : NULL;
}

/* One value as `kind` has it. @return NULL with `legal` saying what may be */
static const char *value_text(const char **legal, apr_pool_t *p, const json_t *value,
                              udm_attribute_kind kind)
{
    switch (kind) {
    case UDM_ATTRIBUTE_STRING:
        *legal = "a string";
        return json_is_string(value) ? apr_pstrdup(p, json_string_value(value)) : NULL;
    case UDM_ATTRIBUTE_NUMBER:
        *legal = "a number, or a string of one, like \"-12.50\", with " EXPONENT_LIMIT;
        return number_text(p, value);
    case UDM_ATTRIBUTE_BOOLEAN:
        *legal = "true or false, without quotes";
        return json_is_boolean(value) ? (json_is_true(value) ? "true" : "false") : NULL;
    case UDM_ATTRIBUTE_DATE:
        *legal = "a date, like \"2026-11-24\"";
        return time_text(p, value, true);
    case UDM_ATTRIBUTE_DATETIME:
        *legal = "a date or an instant, like \"2026-11-24\" or \"2026-11-24T06:00:00Z\"";
        return time_text(p, value, false);
    }
    return NULL;
}

/* Whether an operator makes sense for a kind of attribute; says which do where not. */
static bool check_test(udm_error_t **error, apr_pool_t *p, const char *pointer,
                       udm_filter_test test, udm_attribute_kind kind)
{
    const char *legal;

    if (kind == UDM_ATTRIBUTE_STRING) {
        return true;
    }
    if (kind == UDM_ATTRIBUTE_BOOLEAN) {
        legal = "eq, ne, in";
        if (test == UDM_TEST_EQ || test == UDM_TEST_NE || test == UDM_TEST_IN) {
            return true;
        }
    }
    else {
        legal = "eq, ne, lt, le, gt, ge, in";
        if (test != UDM_TEST_CONTAINS) {
            return true;
        }
    }
    udm_error_fault(error, p, below(p, pointer, "operator"),
                    "must be one of: %s; the attribute is of the kind %s", legal,
                    udm_attribute_kind_name(kind));
    return false;
}

/* Adds one value to the texts. */
static bool add_value(apr_array_header_t *texts, udm_error_t **error, apr_pool_t *p,
                      const char *pointer, int index, const json_t *value, udm_attribute_kind kind)
{
    const char *legal = "", *text = value_text(&legal, p, value, kind);

    if (!text) {
        udm_error_fault(error, p, value_pointer(p, pointer, index),
                        "must be %s; the attribute is of the kind %s", legal,
                        udm_attribute_kind_name(kind));
        return false;
    }
    APR_ARRAY_PUSH(texts, const char *) = text;
    return true;
}

apr_array_header_t *udm_filter_values(udm_error_t **error, apr_pool_t *p, const char *pointer,
                                      const udm_job_filter_t *filter, udm_attribute_kind kind)
{
    apr_array_header_t *texts = apr_array_make(p, 1, sizeof(const char *));
    const char *at = below(p, pointer, "value");
    bool good = check_test(error, p, pointer, filter->test, kind);
    const json_t *item;
    size_t i;

    if (filter->test != UDM_TEST_IN) {
        good &= add_value(texts, error, p, at, -1, filter->value, kind);
    }
    else {
        json_array_foreach(filter->value, i, item)
        {
            good &= add_value(texts, error, p, at, (int)i, item, kind);
            if (udm_error_is_full(*error)) {
                break;
            }
        }
    }
    return good ? texts : NULL;
}
