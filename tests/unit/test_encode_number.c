/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_encode_number.c: numbers and times as PostgreSQL prints them.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "scratch.h"
#include "encodetest.h"
#include "export/number.h"

static const char *float8(double number)
{
    udm_buffer_t *out = udm_buffer_make(pool);

    udm_number_float8(out, number);
    return apr_pstrmemdup(pool, out->data, out->size);
}

static const char *float4(float number)
{
    udm_buffer_t *out = udm_buffer_make(pool);

    udm_number_float4(out, number);
    return apr_pstrmemdup(pool, out->data, out->size);
}

/* As PostgreSQL 15 prints them. */
START_TEST(floats)
{
    ck_assert_str_eq(float8(0), "0");
    ck_assert_str_eq(float8(-0.0), "-0");
    ck_assert_str_eq(float8(1), "1");
    ck_assert_str_eq(float8(0.1), "0.1");
    ck_assert_str_eq(float8(0.1 + 0.2), "0.30000000000000004");
    ck_assert_str_eq(float8(123456789012345.0), "123456789012345");
    ck_assert_str_eq(float8(1e15), "1e+15");
    ck_assert_str_eq(float8(1234567890123456.0), "1.234567890123456e+15");
    ck_assert_str_eq(float8(0.0001), "0.0001");
    ck_assert_str_eq(float8(0.00001234), "1.234e-05");
    /* 1e23 itself is the midpoint of two numbers, and midpoints are not taken. */
    ck_assert_str_eq(float8(1e23), "9.999999999999999e+22");
    ck_assert_str_eq(float8(9007199254740993.0), "9.007199254740992e+15");
    ck_assert_str_eq(float8(DBL_MAX), "1.7976931348623157e+308");
    ck_assert_str_eq(float8(DBL_MIN), "2.2250738585072014e-308");
    ck_assert_str_eq(float8(5e-324), "5e-324");
    ck_assert_str_eq(float8(-2.5), "-2.5");
    ck_assert_str_eq(float8(NAN), "\"NaN\"");
    ck_assert_str_eq(float8(-INFINITY), "\"-Infinity\"");
    ck_assert_str_eq(float4(0.1f), "0.1");
    ck_assert_str_eq(float4(16777216.0f), "1.6777216e+07");
    ck_assert_str_eq(float4(1e6f), "1e+06");
    ck_assert_str_eq(float4(FLT_MAX), "3.4028235e+38");
    ck_assert_str_eq(float4(1e-45f), "1e-45");
    ck_assert_str_eq(float4(INFINITY), "\"Infinity\"");
}
END_TEST

/* Any bits: it reads back as the same number. */
START_TEST(floats_round_trip)
{
    uint32_t state = 11;

    for (int i = 0; i < 200000; i++) {
        uint64_t bits = (uint64_t)unit_random(&state) << 32 | unit_random(&state);
        uint32_t half = (uint32_t)bits;
        double d;
        float f;

        memcpy(&d, &bits, sizeof(d));
        memcpy(&f, &half, sizeof(f));
        if (isfinite(d)) {
            ck_assert_double_eq(strtod(float8(d), NULL), d);
            ck_assert_uint_le(strlen(float8(d)), 24);
        }
        if (isfinite(f)) {
            ck_assert_float_eq(strtof(float4(f), NULL), f);
            ck_assert_uint_le(strlen(float4(f)), 16);
        }
        if (i % 1000 == 0) {
            apr_pool_clear(pool);
        }
    }
}
END_TEST

static const char *numeric(int count, int weight, unsigned sign, int scale, const int *digits)
{
    unsigned char data[64];
    int size = 8;

    data[0] = (unsigned char)(count >> 8), data[1] = (unsigned char)count;
    data[2] = (unsigned char)((unsigned)weight >> 8), data[3] = (unsigned char)weight;
    data[4] = (unsigned char)(sign >> 8), data[5] = (unsigned char)sign;
    data[6] = (unsigned char)(scale >> 8), data[7] = (unsigned char)scale;
    for (int i = 0; i < count; i++) {
        data[size++] = (unsigned char)(digits[i] >> 8);
        data[size++] = (unsigned char)digits[i];
    }
    return encodetest_value(1700, false, 0, data, size);
}

START_TEST(numerics)
{
    ck_assert_str_eq(numeric(0, 0, 0, 0, NULL), "0");
    ck_assert_str_eq(numeric(0, 0, 0, 3, NULL), "0.000");
    ck_assert_str_eq(numeric(1, 0, 0, 0, (int[]){7}), "7");
    ck_assert_str_eq(numeric(1, 2, 0x4000, 0, (int[]){12}), "-1200000000");
    ck_assert_str_eq(numeric(3, 1, 0, 4, (int[]){1, 23, 4500}), "10023.4500");
    ck_assert_str_eq(numeric(1, -1, 0, 2, (int[]){500}), "0.05");
    ck_assert_str_eq(numeric(1, -2, 0x4000, 8, (int[]){1}), "-0.00000001");
    ck_assert_str_eq(numeric(2, 0, 0, 5, (int[]){3, 1415}), "3.14150");
    ck_assert_str_eq(numeric(0, 0, 0xc000, 0, NULL), "\"NaN\"");
    ck_assert_str_eq(numeric(0, 0, 0xd000, 0, NULL), "\"Infinity\"");
    ck_assert_str_eq(numeric(0, 0, 0xf000, 0, NULL), "\"-Infinity\"");
    unit_fails(encodetest_fault(1700, false, 0, "\0\1\0\0\0\0\0\0", 8), UDM_E_SOURCE, "form");
    unit_fails(encodetest_fault(1700, false, 0, "\0\1\0\0\0\0\0\0\x7f\xff", 10), UDM_E_SOURCE,
               "form");
}
END_TEST

static const char *number(Oid type, uint64_t bits, int bytes)
{
    unsigned char data[8];

    for (int i = 0; i < bytes; i++) {
        data[i] = (unsigned char)(bits >> (8 * (bytes - 1 - i)));
    }
    return encodetest_value(type, false, 0, data, bytes);
}

START_TEST(numbers_and_times)
{
    ck_assert_str_eq(number(21, 0x8000, 2), "-32768");
    ck_assert_str_eq(number(23, 0x80000000, 4), "-2147483648");
    ck_assert_str_eq(number(20, UINT64_C(0x8000000000000000), 8), "-9223372036854775808");
    ck_assert_str_eq(number(20, INT64_MAX, 8), "9223372036854775807");
    ck_assert_str_eq(number(16, 0, 1), "false");
    ck_assert_str_eq(number(26, 0xffffffff, 4), "\"4294967295\"");
    ck_assert_str_eq(number(1082, 0, 4), "\"2000-01-01\"");
    ck_assert_str_eq(number(1082, (uint32_t)-1, 4), "\"1999-12-31\"");
    ck_assert_str_eq(number(1082, 59, 4), "\"2000-02-29\"");
    ck_assert_str_eq(number(1082, INT32_MAX, 4), "\"infinity\"");
    ck_assert_str_eq(number(1082, 0x80000000, 4), "\"-infinity\"");
    ck_assert_str_eq(number(1082, 2921940, 4), "\"10000-01-01\"");
    ck_assert_str_eq(number(1082, (uint32_t)-730120, 4), "\"0001-12-31 BC\"");
    ck_assert_str_eq(number(1184, 0, 8), "\"2000-01-01T00:00:00.000000Z\"");
    ck_assert_str_eq(number(1184, (uint64_t)-1, 8), "\"1999-12-31T23:59:59.999999Z\"");
    ck_assert_str_eq(number(1184, INT64_MAX, 8), "\"infinity\"");
    ck_assert_str_eq(number(1184, UINT64_C(0x8000000000000000), 8), "\"-infinity\"");
    ck_assert_str_eq(number(1114, 0, 8), "\"2000-01-01T00:00:00\"");
    ck_assert_str_eq(number(1114, 1500000, 8), "\"2000-01-01T00:00:01.5\"");
    ck_assert_str_eq(number(1114, 100, 8), "\"2000-01-01T00:00:00.0001\"");
}
END_TEST

TCase *encode_number_case(void)
{
    TCase *tc = unit_case("encode_number");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, floats);
    tcase_add_test(tc, floats_round_trip);
    tcase_add_test(tc, numerics);
    tcase_add_test(tc, numbers_and_times);
    return tc;
}
