/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_encode.c: tuples made by hand. What to_json gives for whole types is compared with a real
 * PostgreSQL in tests/db/test_export_types.c.
 */
#include <stdlib.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "scratch.h"
#include "encodetest.h"
#include "core/text.h"
#include "export/base64.h"
#include "export/encode.h"
#include "source/source.h"

udm_buffer_t *encodetest_tuple;

static void put(uint64_t value, int bytes)
{
    while (bytes-- > 0) {
        udm_buffer_char(encodetest_tuple, (char)(value >> (8 * bytes)));
    }
}

void encodetest_begin(int fields)
{
    encodetest_tuple = udm_buffer_make(pool);
    put((uint64_t)fields, 2);
}

void encodetest_put(const void *data, int size)
{
    put((uint32_t)size, 4);
    if (size > 0) {
        udm_buffer_add(encodetest_tuple, data, (apr_size_t)size);
    }
}

static void put_number(uint64_t value, int bytes)
{
    put((uint32_t)bytes, 4);
    put(value, bytes);
}

void encodetest_column(apr_array_header_t *columns, const char *name, Oid type, bool json,
                       Oid element)
{
    udm_column_t *c = apr_array_push(columns);

    c->name = name;
    c->type = type;
    c->json = json;
    c->element = element;
}

/* An udm_encoder_full_fn that hands on whatever there is. */
static udm_error_t *hand_on(udm_buffer_t **out, void *context)
{
    encodetest_parts_t *parts = context;

    ck_assert_ptr_eq(*out, parts->out);
    parts->most = parts->most > parts->out->size ? parts->most : parts->out->size;
    udm_buffer_add(parts->done, parts->out->data, parts->out->size);
    *out = parts->out = udm_buffer_make(pool);
    return NULL;
}

udm_error_t *encodetest_encode(encodetest_parts_t *parts, apr_array_header_t *columns)
{
    udm_encoder_t *encoder;
    const udm_field_t *fields;
    unsigned char *exact = malloc(encodetest_tuple->size);
    udm_error_t *error = udm_encoder_make(&encoder, pool, columns);

    memset(parts, 0, sizeof(*parts));
    parts->done = udm_buffer_make(pool);
    parts->out = udm_buffer_make(pool);
    memcpy(exact, encodetest_tuple->data, encodetest_tuple->size);
    if (error == NULL) {
        error = udm_encoder_read(&fields, encoder, pool, exact, encodetest_tuple->size);
    }
    if (error == NULL) {
        error = udm_encoder_write(parts->out, encoder, pool, hand_on, parts);
    }
    free(exact);
    if (parts->out->size != 0) {
        udm_buffer_add(parts->done, parts->out->data, parts->out->size);
    }
    return error;
}

static udm_error_t *encode(const char **json, apr_array_header_t *columns)
{
    encodetest_parts_t parts;
    udm_error_t *error = encodetest_encode(&parts, columns);

    *json = parts.done->size != 0 ? apr_pstrmemdup(pool, parts.done->data, parts.done->size) : "";
    return error;
}

const char *encodetest_value(Oid type, bool json, Oid element, const void *data, int size)
{
    apr_array_header_t *columns = apr_array_make(pool, 1, sizeof(udm_column_t));
    const char *text;

    encodetest_column(columns, "x", type, json, element);
    encodetest_begin(3);
    encodetest_put(NULL, -1);
    encodetest_put("k", 1);
    encodetest_put(data, size);
    unit_ok(encode(&text, columns));
    ck_assert_msg(strncmp(text, "{\"x\":", 5) == 0, "%s", text);
    return apr_pstrmemdup(pool, text + 5, strlen(text) - 6);
}

udm_error_t *encodetest_fault(Oid type, bool json, Oid element, const void *data, int size)
{
    apr_array_header_t *columns = apr_array_make(pool, 1, sizeof(udm_column_t));
    const char *text;
    udm_error_t *error;

    encodetest_column(columns, "broken", type, json, element);
    encodetest_begin(3);
    encodetest_put(NULL, -1);
    encodetest_put("k", 1);
    encodetest_put(data, size);
    error = encode(&text, columns);
    ck_assert_str_eq(text, "");
    return error;
}

/* As OpenSSL has it, in every length, with nothing written behind its end. */
START_TEST(base64_is_that_of_openssl)
{
    unsigned char data[300];
    unsigned char wanted[UDM_BASE64_SIZE(sizeof(data)) + 1];
    uint32_t state = 1;

    for (apr_size_t size = 0; size <= sizeof(data); size++) {
        char *text = malloc(UDM_BASE64_SIZE(size) + 1), *end;

        for (apr_size_t i = 0; i < size; i++) {
            state = state * 1664525 + 1013904223;
            data[i] = (unsigned char)(state >> 24);
        }
        text[UDM_BASE64_SIZE(size)] = '!';
        end = udm_base64(text, data, size);
        ck_assert_int_eq(end - text, EVP_EncodeBlock(wanted, data, (int)size));
        ck_assert_mem_eq(text, wanted, (size_t)(end - text));
        ck_assert_int_eq(*end, '!');
        free(text);
    }
}
END_TEST

START_TEST(a_row)
{
    apr_array_header_t *columns = apr_array_make(pool, 8, sizeof(udm_column_t));
    const char *json;
    udm_encoder_t *encoder;
    const udm_field_t *fields;

    encodetest_column(columns, "id", 20, false, 0);
    encodetest_column(columns, "na\"me", 25, false, 0);
    encodetest_column(columns, "gone", 1184, false, 0);
    encodetest_column(columns, "when", 1184, false, 0);
    encodetest_column(columns, "yes", 16, false, 0);
    encodetest_begin(7);
    encodetest_put("3", 1);
    encodetest_put("key-1", 5);
    put_number((uint64_t)-42, 8);
    encodetest_put("J\xc3\xbcrgen", 7);
    encodetest_put(NULL, -1);
    put_number(UINT64_C(492078680780000), 8);
    put_number(1, 1);
    unit_ok(encode(&json, columns));
    ck_assert_str_eq(json, "{\"id\":-42,\"na\\\"me\":\"J\xc3\xbcrgen\",\"gone\":null,"
                           "\"when\":\"2015-08-05T08:31:20.780000Z\",\"yes\":true}");
    unit_ok(udm_encoder_make(&encoder, pool, columns));
    unit_ok(udm_encoder_read(&fields, encoder, pool, (unsigned char *)encodetest_tuple->data,
                             encodetest_tuple->size));
    ck_assert_int_eq(fields[UDM_ROW_SUBTYPE].size, 1);
    ck_assert_mem_eq(fields[UDM_ROW_KEY].data, "key-1", 5);
    /* One byte more or less, or a field too few. */
    unit_fails(udm_encoder_read(&fields, encoder, pool, (unsigned char *)encodetest_tuple->data,
                                encodetest_tuple->size - 1),
               UDM_E_SOURCE, "unknown form");
    udm_buffer_char(encodetest_tuple, 0);
    unit_fails(udm_encoder_read(&fields, encoder, pool, (unsigned char *)encodetest_tuple->data,
                                encodetest_tuple->size),
               UDM_E_SOURCE, "unknown form");
}
END_TEST

/* Every length and every place of something to escape, against a plain loop and against jansson. */
START_TEST(strings)
{
    static const char *const odd[] = {"\"",
                                      "\\",
                                      "\b",
                                      "\f",
                                      "\n",
                                      "\r",
                                      "\t",
                                      "\x01",
                                      "\x1f",
                                      "\x7f",
                                      "\xc3\xa4",
                                      "\xe6\xbc\xa2",
                                      "\xf0\x9f\x98\x80",
                                      "\xc2\x84",
                                      "\xc2\x85",
                                      "\xc2\x86",
                                      "\xe2\x80\xa7",
                                      "\xe2\x80\xa8",
                                      "\xe2\x80\xa9",
                                      "\xe2\x80\xaa",
                                      "\xe2\x81\xa8",
                                      "\xe3\x80\xa8"};
    static const char *const escaped[] = {"\\\"",
                                          "\\\\",
                                          "\\b",
                                          "\\f",
                                          "\\n",
                                          "\\r",
                                          "\\t",
                                          "\\u0001",
                                          "\\u001f",
                                          "\x7f",
                                          "\xc3\xa4",
                                          "\xe6\xbc\xa2",
                                          "\xf0\x9f\x98\x80",
                                          "\xc2\x84",
                                          "\\u0085",
                                          "\xc2\x86",
                                          "\xe2\x80\xa7",
                                          "\\u2028",
                                          "\\u2029",
                                          "\xe2\x80\xaa",
                                          "\xe2\x81\xa8",
                                          "\xe3\x80\xa8"};

    for (int size = 0; size < 20; size++) {
        for (int at = 0; at <= size; at++) {
            for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
                const char *plain = "abcdefghijklmnopqrstuvwxyz";
                const char *text = apr_psprintf(pool, "%.*s%s%s%.*s", at, plain, odd[i], odd[i],
                                                size - at, plain + at);
                const char *wanted = apr_psprintf(pool, "\"%.*s%s%s%.*s\"", at, plain, escaped[i],
                                                  escaped[i], size - at, plain + at);
                const char *got = encodetest_value(25, false, 0, text, (int)strlen(text));
                json_t *read = json_loads(got, JSON_DECODE_ANY, NULL);

                ck_assert_str_eq(got, wanted);
                ck_assert_str_eq(json_string_value(read), text);
                json_decref(read);
                /* JSON that has these characters raw, as json and jsonb may. */
                if ((unsigned char)odd[i][0] >= 0x7f) {
                    text = apr_psprintf(pool, "[\"%s\"]", text);
                    wanted = apr_psprintf(pool, "[%s]", wanted);
                    ck_assert_str_eq(encodetest_value(114, true, 0, text, (int)strlen(text)),
                                     wanted);
                }
            }
        }
    }
}
END_TEST

START_TEST(not_utf8)
{
    static const char *const bad[] = {"\x80",
                                      "\xff",
                                      "\xc3",
                                      "\xc3(",
                                      "\xc0\xaf",
                                      "\xe0\x80\xaf",
                                      "\xed\xa0\x80",
                                      "\xf0\x80\x80\xaf",
                                      "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80\x80",
                                      "\xe6\xbc",
                                      "\xf0\x9f\x98"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (int before = 0; before < 40; before++) {
            const char *text = apr_psprintf(pool, "%.*s%s", before,
                                            "0123456789012345678901234567890123456789", bad[i]);
            udm_error_t *error = encodetest_fault(25, false, 0, text, (int)strlen(text));

            unit_fails(error, UDM_E_SOURCE, "column \"broken\" holds text that is not UTF-8");
            ck_assert(udm_source_permanent(error));
            unit_fails(encodetest_fault(114, true, 0, text, (int)strlen(text)), UDM_E_SOURCE,
                       "UTF-8");
        }
    }
}
END_TEST

/* The decision about a sequence is that of core/text.c. */
START_TEST(utf8_as_elsewhere)
{
    uint32_t state = 5;

    for (int i = 0; i < 100000; i++) {
        char text[8];
        int size = 1 + (int)(unit_random(&state) % sizeof(text));
        udm_buffer_t *out = udm_buffer_make(pool);

        for (int k = 0; k < size; k++) {
            static const unsigned char likely[] = {0x41, 0x80, 0xbf, 0xc2, 0xe0, 0xed,
                                                   0xef, 0xf0, 0xf4, 0x90, 0x9f, 0xa0};

            text[k] = (char)likely[unit_random(&state) % sizeof(likely)];
        }
        ck_assert_int_eq(udm_buffer_string(out, text, (apr_size_t)size),
                         udm_text_is_utf8(text, (apr_size_t)size));
        if (i % 1000 == 0) {
            apr_pool_clear(pool);
        }
    }
}
END_TEST

/* Clean runs are copied many bytes at a time: in every length, and whatever ends them, as one by one. */
START_TEST(runs_of_any_length)
{
    static const char *const ends[] = {"\"",   "\\", "\n", "\x01", "\xc3\xa9", "\xf0\x9f\x98\x80",
                                       "\x7f", ""};
    static const char *const in_string[] = {"\\\"", "\\\\", "\\n", "\\u0001",
                                            NULL,   NULL,   NULL,  NULL};
    static const char *const in_json[] = {NULL, NULL, " ", NULL, NULL, NULL, NULL, NULL};

    for (int before = 0; before < 70; before++) {
        for (int after = 0; after < 40; after += 3) {
            for (unsigned e = 0; e < sizeof(ends) / sizeof(*ends); e++) {
                const char *a = apr_pstrmemdup(pool, apr_psprintf(pool, "%070d", before), before);
                const char *b = apr_pstrmemdup(pool, apr_psprintf(pool, "%070d", after), after);
                const char *text = apr_pstrcat(pool, a, ends[e], b, ends[e], NULL);
                udm_buffer_t *out = udm_buffer_make(pool);
                const char *is = in_string[e] ? in_string[e] : ends[e];
                const char *wanted = apr_pstrcat(pool, "\"", a, is, b, is, "\"", NULL);

                ck_assert(udm_buffer_string(out, text, strlen(text)));
                ck_assert_uint_eq(out->size, strlen(wanted));
                ck_assert_mem_eq(out->data, wanted, out->size);
                out->size = 0;
                is = in_json[e] ? in_json[e] : ends[e];
                wanted = apr_pstrcat(pool, a, is, b, is, NULL);
                ck_assert(udm_buffer_json(out, text, strlen(text)));
                ck_assert_uint_eq(out->size, strlen(wanted));
                ck_assert(out->size == 0 || memcmp(out->data, wanted, out->size) == 0);
            }
        }
        apr_pool_clear(pool);
    }
}
END_TEST

START_TEST(json)
{
    static const char raw[] = "{ \"a\\n\" :\n[1,\r\n 2]}";

    ck_assert_str_eq(encodetest_value(114, true, 0, raw, sizeof(raw) - 1),
                     "{ \"a\\n\" : [1,   2]}");
    ck_assert_str_eq(encodetest_value(25, true, 0, "\"x\"", 3), "\"x\"");
    ck_assert_str_eq(encodetest_value(3802, true, 0, "\1{\"a\": 1}", 9), "{\"a\": 1}");
    unit_fails(encodetest_fault(3802, true, 0, "\2{}", 3), UDM_E_SOURCE, "form that is not known");
    unit_fails(encodetest_fault(3802, true, 0, "\1", 1), UDM_E_SOURCE, "form that is not known");
}
END_TEST

START_TEST(bytes_and_uuid)
{
    static const unsigned char id[16] = {0x0b, 0x3c, 0x7c, 0x1e, 0x11, 0x11, 0x42, 0x22,
                                         0x83, 0x33, 0x44, 0x44, 0x55, 0x55, 0x66, 0x66};

    ck_assert_str_eq(encodetest_value(2950, false, 0, id, 16),
                     "\"0b3c7c1e-1111-4222-8333-444455556666\"");
    ck_assert_str_eq(encodetest_value(17, false, 0, "", 0), "\"\"");
    ck_assert_str_eq(encodetest_value(17, false, 0, "\0\xff", 2), "\"AP8=\"");
    ck_assert_str_eq(encodetest_value(17, false, 0, "abc", 3), "\"YWJj\"");
    unit_fails(encodetest_fault(2950, false, 0, id, 15), UDM_E_SOURCE, "form that is not known");
}
END_TEST

START_TEST(arrays)
{
    static const char two_by_two[] = "\0\0\0\2\0\0\0\1\0\0\0\x17"
                                     "\0\0\0\2\0\0\0\1\0\0\0\2\0\0\0\1"
                                     "\0\0\0\4\0\0\0\1\xff\xff\xff\xff"
                                     "\0\0\0\4\0\0\0\3\0\0\0\4\0\0\0\4";
    static const char empty[] = "\0\0\0\0\0\0\0\0\0\0\0\x17";
    static const char zero[] = "\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\0\0\0\0\1";
    static const char more[] = "\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\0\0\0\0\1\0\0\0\0";
    int size = sizeof(two_by_two) - 1;

    ck_assert_str_eq(encodetest_value(1007, false, 23, two_by_two, size), "[[1,null],[3,4]]");
    ck_assert_str_eq(encodetest_value(1007, false, 23, empty, sizeof(empty) - 1), "[]");
    ck_assert_str_eq(encodetest_value(22, false, 21, zero, sizeof(zero) - 1), "[]");
    unit_fails(encodetest_fault(22, false, 21, more, sizeof(more) - 1), UDM_E_SOURCE, "form");
    for (int i = 0; i < size; i++) {
        unit_fails(encodetest_fault(1007, false, 23, two_by_two, i), UDM_E_SOURCE, "form");
    }
    unit_fails(encodetest_fault(1009, false, 25, two_by_two, size + 1), UDM_E_SOURCE, "form");
}
END_TEST

START_TEST(unknown_type)
{
    unit_fails(encodetest_fault(600, false, 0, "", 0), UDM_E_SOURCE,
               "column \"broken\" is of a type");
}
END_TEST

/* Whatever comes over the wire: an error or JSON, and no byte beyond the end. */
START_TEST(any_bytes)
{
    static const Oid types[] = {16,  17,  18,  19,   20,   21,   23,   25,
                                114, 700, 701, 1082, 1184, 1700, 2950, 3802};
    uint32_t state = 3;

    for (int i = 0; i < 50000; i++) {
        Oid type = types[unit_random(&state) % (sizeof(types) / sizeof(types[0]))];
        bool array = unit_random(&state) % 3 == 0;
        apr_array_header_t *columns = apr_array_make(pool, 1, sizeof(udm_column_t));
        unsigned char data[48];
        int size = (int)(unit_random(&state) % sizeof(data));
        const char *text;

        for (int k = 0; k < size; k++) {
            data[k] = unit_random(&state) % 3 != 0 ? 0 : (unsigned char)unit_random(&state);
        }
        if (array && size > 4) {
            data[3] = (unsigned char)(unit_random(&state) % 4);
        }
        encodetest_column(columns, "x", array ? 1 : type, type == 114 && !array, array ? type : 0);
        encodetest_begin(3);
        encodetest_put(NULL, -1);
        encodetest_put("", 0);
        encodetest_put(data, size);
        if (encode(&text, columns) == NULL) {
            ck_assert_int_eq(text[strlen(text) - 1], '}');
        }
        if (i % 100 == 0) {
            apr_pool_clear(pool);
        }
    }
}
END_TEST

TCase *encode_case(void)
{
    TCase *tc = unit_case("encode");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, base64_is_that_of_openssl);
    tcase_add_test(tc, a_row);
    tcase_add_test(tc, strings);
    tcase_add_test(tc, not_utf8);
    tcase_add_test(tc, utf8_as_elsewhere);
    tcase_add_test(tc, runs_of_any_length);
    tcase_add_test(tc, json);
    tcase_add_test(tc, bytes_and_uuid);
    tcase_add_test(tc, arrays);
    tcase_add_test(tc, unknown_type);
    tcase_add_test(tc, any_bytes);
    return tc;
}
