/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_encode_parts.c: what is too long for one buffer is handed on in parts, whose bytes are the
 * same.
 */
#include "scratch.h"
#include "encodetest.h"
#include "source/source.h"

/* A tuple of a text "x" and a true "y". */
static void begin_text(const udm_buffer_t *text)
{
    encodetest_begin(4);
    encodetest_put(NULL, -1);
    encodetest_put("k", 1);
    encodetest_put(text->data, (int)text->size);
    encodetest_put("\1", 1);
}

/* A long text comes in parts, which end between characters, wherever those fall. */
START_TEST(long_texts_in_parts)
{
    apr_array_header_t *columns = apr_array_make(pool, 2, sizeof(udm_column_t));
    udm_buffer_t *text = udm_buffer_make(pool);
    udm_buffer_t *wanted;
    encodetest_parts_t parts;

    encodetest_column(columns, "x", 25, false, 0);
    encodetest_column(columns, "y", 16, false, 0);
    while (text->size < 300000) {
        udm_buffer_text(text, "a\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\n");
    }
    for (apr_size_t shift = 0; shift < 12; shift++) {
        begin_text(text);
        udm_buffer_char(text, 'b');
        memmove(text->data + 1, text->data, text->size - 1);
        text->data[0] = 'b';
        unit_ok(encodetest_encode(&parts, columns));
        wanted = udm_buffer_make(pool);
        udm_buffer_text(wanted, "{\"x\":");
        ck_assert(udm_buffer_string(wanted, (const char *)encodetest_tuple->data + 2 + 4 + 5 + 4,
                                    encodetest_tuple->size - 2 - 4 - 5 - 4 - 5));
        udm_buffer_text(wanted, ",\"y\":true}");
        ck_assert_uint_eq(parts.done->size, wanted->size);
        ck_assert_mem_eq(parts.done->data, wanted->data, wanted->size);
        ck_assert_uint_lt(parts.most, 2 * 65536);
    }
    /* One that is cut within a character is not taken for two that are whole. */
    for (apr_size_t at = 65530; at < 65542; at++) {
        begin_text(text);
        encodetest_tuple->data[15 + at] = (char)0xa9;
        encodetest_tuple->data[15 + at + 1] = 'c';
        encodetest_tuple->data[15 + at - 1] = 'c';
        ck_assert_ptr_nonnull(encodetest_encode(&parts, columns));
    }
}
END_TEST

static void add32(udm_buffer_t *out, uint32_t value)
{
    const unsigned char bytes[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                                    (unsigned char)(value >> 8), (unsigned char)value};

    udm_buffer_add(out, bytes, sizeof(bytes));
}

/* An array of `count` times the same element; its JSON is put into `wanted`. */
static udm_buffer_t *array_of(udm_buffer_t *wanted, uint32_t count, const udm_buffer_t *element,
                              const udm_buffer_t *json)
{
    udm_buffer_t *array = udm_buffer_make(pool);

    add32(array, 1);
    add32(array, 0);
    add32(array, 0);
    add32(array, count);
    add32(array, 1);
    udm_buffer_char(wanted, '[');
    for (uint32_t i = 0; i < count; i++) {
        add32(array, (uint32_t)element->size);
        udm_buffer_add(array, element->data, element->size);
        udm_buffer_text(wanted, i == 0 ? "" : ",");
        udm_buffer_add(wanted, json->data, json->size);
    }
    udm_buffer_char(wanted, ']');
    return array;
}

/* Encodes one long value, and compares; no more than some 128 KiB of it are held at a time. */
static void in_parts(Oid type, bool json, Oid element, const udm_buffer_t *data,
                     const udm_buffer_t *wanted)
{
    apr_array_header_t *columns = apr_array_make(pool, 3, sizeof(udm_column_t));
    encodetest_parts_t parts;

    encodetest_column(columns, "w", 16, false, 0);
    encodetest_column(columns, "x", type, json, element);
    encodetest_column(columns, "y", 16, false, 0);
    encodetest_begin(5);
    encodetest_put(NULL, -1);
    encodetest_put("k", 1);
    encodetest_put("\1", 1);
    encodetest_put(data->data, (int)data->size);
    encodetest_put("\1", 1);
    unit_ok(encodetest_encode(&parts, columns));
    ck_assert_uint_eq(parts.done->size, 14 + wanted->size + 10);
    ck_assert_mem_eq(parts.done->data + 14, wanted->data, wanted->size);
    ck_assert_mem_eq(parts.done->data + 14 + wanted->size, ",\"y\":true}", 10);
    ck_assert_uint_lt(parts.most, 2 * 65536 + 4096);
}

START_TEST(long_values_in_parts)
{
    udm_buffer_t *bytes = udm_buffer_make(pool), *base64 = udm_buffer_make(pool);
    udm_buffer_t *text = udm_buffer_make(pool), *string = udm_buffer_make(pool);
    udm_buffer_t *jsonb = udm_buffer_make(pool), *array, *wanted = udm_buffer_make(pool);
    udm_buffer_t *small = udm_buffer_make(pool), *number = udm_buffer_make(pool);

    for (uint32_t i = 0; i < 200000u + (uint32_t)_i; i++) {
        udm_buffer_char(bytes, (char)(i * 7919 >> 3));
    }
    udm_buffer_char(base64, '"');
    udm_buffer_base64(base64, bytes->data, bytes->size);
    udm_buffer_char(base64, '"');
    in_parts(17, false, 0, bytes, base64);
    for (int i = 0; i < _i; i++) {
        udm_buffer_char(text, ' ');
    }
    while (text->size < 300000) {
        udm_buffer_text(text, "\xd0\x96\xe2\x82\xac\xf0\x9f\x98\x80");
    }
    ck_assert(udm_buffer_string(string, text->data, text->size));
    in_parts(25, false, 0, text, string);
    in_parts(114, true, 0, string, string);
    udm_buffer_char(jsonb, 1);
    udm_buffer_add(jsonb, string->data, string->size);
    in_parts(3802, true, 0, jsonb, string);
    array = array_of(wanted, 3, text, string);
    in_parts(1009, false, 25, array, wanted);
    wanted->size = 0;
    array = array_of(wanted, 2, bytes, base64);
    in_parts(1001, false, 17, array, wanted);
    wanted->size = 0;
    array = array_of(wanted, 2, jsonb, string);
    in_parts(3807, false, 3802, array, wanted);
    wanted->size = 0;
    add32(small, 1234567);
    udm_buffer_text(number, "1234567");
    array = array_of(wanted, 100000, small, number);
    in_parts(1007, false, 23, array, wanted);
    /* What is wrong is found in whatever part it is. */
    text->data[text->size - 1] = 'x';
    {
        apr_array_header_t *columns = apr_array_make(pool, 1, sizeof(udm_column_t));
        encodetest_parts_t parts;

        encodetest_column(columns, "broken", 1009, false, 25);
        wanted->size = 0;
        text->data[250000] = (char)0xff;
        array = array_of(wanted, 2, text, string);
        encodetest_begin(3);
        encodetest_put(NULL, -1);
        encodetest_put("k", 1);
        encodetest_put(array->data, (int)array->size);
        unit_fails(encodetest_encode(&parts, columns), UDM_E_SOURCE,
                   "column \"broken\" holds text that is not UTF-8");
    }
}
END_TEST

/* No column is long, but all of them together are. */
START_TEST(long_rows_in_parts)
{
    apr_array_header_t *columns = apr_array_make(pool, 100, sizeof(udm_column_t));
    char *value50k = apr_palloc(pool, 50000);
    encodetest_parts_t parts;

    memset(value50k, 'v', 50000);
    encodetest_begin(102);
    encodetest_put(NULL, -1);
    encodetest_put("k", 1);
    for (int i = 0; i < 100; i++) {
        encodetest_column(columns, "x", 25, false, 0);
        encodetest_put(value50k, 50000);
    }
    unit_ok(encodetest_encode(&parts, columns));
    ck_assert_uint_eq(parts.done->size, 100 * (50000 + 7) + 1);
    ck_assert_uint_lt(parts.most, 2 * 65536);
}
END_TEST

TCase *encode_parts_case(void)
{
    TCase *tc = unit_case("encode_parts");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, long_texts_in_parts);
    tcase_add_loop_test(tc, long_values_in_parts, 0, 9);
    tcase_add_test(tc, long_rows_in_parts);
    return tc;
}
