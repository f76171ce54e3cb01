/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * number.c: binary numbers and times as text, digit for digit what PostgreSQL itself prints.
 *
 * Floating point: PostgreSQL prints the shortest decimal that lies strictly between the midpoints to
 * the neighbouring numbers, the closest one if there are several. Most numbers come from decimals of
 * at most 15 digits (6 for float4): those are found with printf and proved by reading them back. The
 * rest goes through exact integer arithmetic (Steele and White's algorithm).
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/calendar.h"
#include "export/number.h"

/* From 1970-01-01 to the day that PostgreSQL counts from. */
#define DAYS_TO_2000 10957

void udm_number_int(udm_buffer_t *out, int64_t value)
{
    char text[24];
    char *s = text + sizeof(text);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        *--s = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0) {
        *--s = '-';
    }
    udm_buffer_add(out, s, (apr_size_t)(text + sizeof(text) - s));
}

/* A natural number of up to 1,280 bits, more than any step for a double needs. */
#define LIMBS 40
typedef struct natural_t {
    int size;
    uint32_t limb[LIMBS];
} natural_t;

static void set(natural_t *a, uint64_t value)
{
    a->limb[0] = (uint32_t)value;
    a->limb[1] = (uint32_t)(value >> 32);
    a->size = a->limb[1] != 0 ? 2 : a->limb[0] != 0;
}

static void multiply(natural_t *a, uint32_t by)
{
    uint64_t carry = 0;

    for (int i = 0; i < a->size; i++) {
        carry += (uint64_t)a->limb[i] * by;
        a->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry != 0 && a->size < LIMBS) {
        a->limb[a->size++] = (uint32_t)carry;
    }
}

static void power10(natural_t *a, int exponent)
{
    for (; exponent >= 9; exponent -= 9) {
        multiply(a, 1000000000);
    }
    for (; exponent > 0; exponent--) {
        multiply(a, 10);
    }
}

static void shift(natural_t *a, int bits)
{
    int whole = bits / 32;

    multiply(a, (uint32_t)1 << (bits % 32));
    if (whole != 0 && a->size != 0 && a->size + whole <= LIMBS) {
        memmove(a->limb + whole, a->limb, (size_t)a->size * sizeof(a->limb[0]));
        memset(a->limb, 0, (size_t)whole * sizeof(a->limb[0]));
        a->size += whole;
    }
}

static int compare(const natural_t *a, const natural_t *b)
{
    if (a->size != b->size) {
        return a->size < b->size ? -1 : 1;
    }
    for (int i = a->size; i-- > 0;) {
        if (a->limb[i] != b->limb[i]) {
            return a->limb[i] < b->limb[i] ? -1 : 1;
        }
    }
    return 0;
}

static void add(natural_t *a, const natural_t *b)
{
    uint64_t carry = 0;

    for (int i = 0; i < LIMBS && (i < a->size || i < b->size || carry != 0); i++) {
        carry += (uint64_t)(i < a->size ? a->limb[i] : 0) + (i < b->size ? b->limb[i] : 0);
        if (i >= a->size) {
            a->size = i + 1;
        }
        a->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static void subtract(natural_t *a, const natural_t *b)
{
    int64_t borrow = 0;

    for (int i = 0; i < a->size; i++) {
        borrow += (int64_t)a->limb[i] - (i < b->size ? b->limb[i] : 0);
        a->limb[i] = (uint32_t)borrow;
        borrow >>= 32;
    }
    while (a->size > 0 && a->limb[a->size - 1] == 0) {
        a->size--;
    }
}

/*
 * Digits of mantissa * 2^exponent, and in `point` the power of ten of the first one.
 * `closer_below`: the number below is only half as far as the one above (a power of two).
 */
static int shortest(char *digits, int *point, uint64_t mantissa, int exponent, bool closer_below)
{
    natural_t r, s, above, below, sum;
    int count = 0;
    int k = (int)ceil((exponent + log2((double)mantissa)) * 0.30102999566398120 - 1e-10);

    /* value = r / s, and the midpoints are at r + above and r - below. */
    set(&r, mantissa);
    set(&s, 1);
    set(&above, 1);
    set(&below, 1);
    shift(&r, closer_below ? 2 : 1);
    shift(&s, closer_below ? 2 : 1);
    shift(&above, closer_below ? 1 : 0);
    if (exponent >= 0) {
        shift(&r, exponent);
        shift(&above, exponent);
        shift(&below, exponent);
    }
    else {
        shift(&s, -exponent);
    }
    if (k >= 0) {
        power10(&s, k);
    }
    else {
        power10(&r, -k);
        power10(&above, -k);
        power10(&below, -k);
    }
    /* The estimate may be one too small: then value + above reaches 10^k. */
    sum = r;
    add(&sum, &above);
    if (compare(&sum, &s) > 0) {
        k++;
    }
    else {
        multiply(&r, 10);
        multiply(&above, 10);
        multiply(&below, 10);
    }
    *point = k - 1;
    for (;;) {
        int digit = 0;
        bool low, high;

        while (compare(&r, &s) >= 0) {
            subtract(&r, &s);
            digit++;
        }
        low = compare(&r, &below) < 0;
        sum = r;
        add(&sum, &above);
        high = compare(&sum, &s) > 0;
        if (low || high) {
            int half;

            add(&r, &r);
            half = compare(&r, &s);
            if (high && (!low || half > 0 || (half == 0 && digit % 2 != 0))) {
                digit++;
            }
            digits[count++] = (char)('0' + digit);
            break;
        }
        digits[count++] = (char)('0' + digit);
        multiply(&r, 10);
        multiply(&above, 10);
        multiply(&below, 10);
    }
    /* A last digit of 10 carries. */
    for (int i = count - 1; i >= 0 && digits[i] > '9'; i--) {
        if (i == 0) {
            digits[0] = '1';
            *point += 1;
            return 1;
        }
        digits[i - 1]++;
        count = i;
    }
    return count;
}

/* Digits with their point, as printf's %g would place it for numbers of `precision` digits. */
static void place(udm_buffer_t *out, const char *digits, int count, int point, int precision)
{
    while (count > 1 && digits[count - 1] == '0') {
        count--;
    }
    if (point < -4 || point >= precision) {
        udm_buffer_char(out, digits[0]);
        if (count > 1) {
            udm_buffer_char(out, '.');
            udm_buffer_add(out, digits + 1, (apr_size_t)count - 1);
        }
        udm_buffer_format(out, "e%c%02d", point < 0 ? '-' : '+', abs(point));
    }
    else if (point < 0) {
        udm_buffer_add(out, "0.000", (apr_size_t)(1 - point));
        udm_buffer_add(out, digits, (apr_size_t)count);
    }
    else {
        for (int i = 0; i <= point || i < count; i++) {
            if (i == point + 1) {
                udm_buffer_char(out, '.');
            }
            udm_buffer_char(out, i < count ? digits[i] : '0');
        }
    }
}

/* What has no digits. @return true when that was all */
static bool special(udm_buffer_t *out, double value)
{
    if (isnan(value)) {
        udm_buffer_text(out, "\"NaN\"");
    }
    else if (isinf(value)) {
        udm_buffer_text(out, value < 0 ? "\"-Infinity\"" : "\"Infinity\"");
    }
    else if (value == 0) {
        udm_buffer_text(out, signbit(value) ? "-0" : "0");
    }
    else {
        return false;
    }
    return true;
}

/* Digits and exponent out of printf's d.ddde+xx form. */
static int parse(char *digits, int *point, const char *text)
{
    int count = 0;

    digits[count++] = *text++;
    for (; *text != 'e'; text++) {
        if (*text != '.') {
            digits[count++] = *text;
        }
    }
    *point = (int)strtol(text + 1, NULL, 10);
    return count;
}

void udm_number_float8(udm_buffer_t *out, double value)
{
    char digits[32];
    char text[40];
    int point, count, exponent;
    double size = fabs(value);

    if (special(out, value)) {
        return;
    }
    if (value < 0) {
        udm_buffer_char(out, '-');
    }
    if (size < 1e15 && size == floor(size)) {
        udm_number_int(out, (int64_t)size);
        return;
    }
    /* Below 2^53 no decimal of 15 digits is a midpoint, and at most one reads back as the number,
     * unless it is so small that it has fewer digits itself. */
    if (size >= DBL_MIN && size < 9007199254740992.0) {
        snprintf(text, sizeof(text), "%.14e", size);
        if (strtod(text, NULL) == size) {
            count = parse(digits, &point, text);
            place(out, digits, count, point, DBL_DIG);
            return;
        }
        if (size == floor(size)) {
            snprintf(text, sizeof(text), "%.15e", size);
            count = parse(digits, &point, text);
            place(out, digits, count, point, DBL_DIG);
            return;
        }
    }
    {
        double fraction = frexp(size, &exponent);
        int bits = exponent < DBL_MIN_EXP ? DBL_MANT_DIG - (DBL_MIN_EXP - exponent) : DBL_MANT_DIG;

        count = shortest(digits, &point, (uint64_t)ldexp(fraction, bits), exponent - bits,
                         fraction == 0.5 && exponent > DBL_MIN_EXP);
    }
    place(out, digits, count, point, DBL_DIG);
}

void udm_number_float4(udm_buffer_t *out, float value)
{
    char digits[32];
    char text[40];
    int point, count, exponent;
    float size = fabsf(value);

    if (special(out, value)) {
        return;
    }
    if (value < 0) {
        udm_buffer_char(out, '-');
    }
    if (size < 1e6f && size == floorf(size)) {
        udm_number_int(out, (int64_t)size);
        return;
    }
    if (size >= FLT_MIN && size < 16777216.0f) {
        snprintf(text, sizeof(text), "%.5e", (double)size);
        if (strtof(text, NULL) == size) {
            count = parse(digits, &point, text);
            place(out, digits, count, point, FLT_DIG);
            return;
        }
        if (size == floorf(size)) {
            snprintf(text, sizeof(text), "%.7e", (double)size);
            count = parse(digits, &point, text);
            place(out, digits, count, point, FLT_DIG);
            return;
        }
    }
    {
        float fraction = frexpf(size, &exponent);
        int bits = exponent < FLT_MIN_EXP ? FLT_MANT_DIG - (FLT_MIN_EXP - exponent) : FLT_MANT_DIG;

        count = shortest(digits, &point, (uint64_t)ldexpf(fraction, bits), exponent - bits,
                         fraction == 0.5f && exponent > FLT_MIN_EXP);
    }
    place(out, digits, count, point, FLT_DIG);
}

static int get16(const unsigned char *data)
{
    return (int16_t)((data[0] << 8) | data[1]);
}

static char *four(char *to, int value)
{
    to[0] = (char)('0' + value / 1000);
    to[1] = (char)('0' + value / 100 % 10);
    to[2] = (char)('0' + value / 10 % 10);
    to[3] = (char)('0' + value % 10);
    return to + 4;
}

bool udm_number_numeric(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    int count, weight, scale, sign, i;
    char *to, *start;

    if (size < 8) {
        return false;
    }
    /* Unlike the others without a sign: a numeric may have more than 32,767 of them. */
    count = get16(data) & 0xffff;
    weight = get16(data + 2);
    sign = get16(data + 4) & 0xffff;
    scale = get16(data + 6) & 0x3fff;
    data += 8;
    if (sign == 0xc000 || sign == 0xd000 || sign == 0xf000) {
        udm_buffer_text(out, sign == 0xc000   ? "\"NaN\""
                             : sign == 0xd000 ? "\"Infinity\""
                                              : "\"-Infinity\"");
        return true;
    }
    if ((sign != 0 && sign != 0x4000) || size != 8 + 2 * (apr_size_t)count) {
        return false;
    }
    for (i = 0; i < count; i++) {
        if (get16(data + 2 * i) < 0 || get16(data + 2 * i) > 9999) {
            return false;
        }
    }
    udm_buffer_reserve(out,
                       (weight >= 0 ? 4 * ((apr_size_t)weight + 1) : 0) + (apr_size_t)scale + 16);
    to = out->data + out->size;
    if (sign == 0x4000) {
        *to++ = '-';
    }
    start = to;
    /* Digits are of base 10,000; the first one stands for 10000^weight. */
    for (i = 0; i <= weight; i++) {
        to = four(to, i < count ? get16(data + 2 * i) : 0);
    }
    while (start < to && *start == '0') {
        start++;
    }
    if (start == to) {
        to = out->data + out->size + (sign == 0x4000);
        *to++ = '0';
    }
    else {
        char *first = out->data + out->size + (sign == 0x4000);

        memmove(first, start, (size_t)(to - start));
        to = first + (to - start);
    }
    if (scale > 0) {
        char *end;

        *to++ = '.';
        end = to + scale;
        for (i = weight + 1; to < end; i++) {
            to = four(to, i >= 0 && i < count ? get16(data + 2 * i) : 0);
        }
        to = end;
    }
    out->size = (apr_size_t)(to - out->data);
    return true;
}

static char *two(char *to, int value)
{
    to[0] = (char)('0' + value / 10);
    to[1] = (char)('0' + value % 10);
    return to + 2;
}

/* "2015-08-05", from days since 2000; years before 1 count from 1 BC. @return true for those */
static bool day_text(udm_buffer_t *out, int64_t days)
{
    apr_int64_t year;
    int month, day;
    bool before;
    char *to;

    udm_calendar_date(&year, &month, &day, days + DAYS_TO_2000);
    before = year <= 0;
    if (before) {
        year = 1 - year;
    }
    if (year > 9999) {
        udm_number_int(out, year);
    }
    else {
        udm_buffer_reserve(out, 4);
        four(out->data + out->size, (int)year);
        out->size += 4;
    }
    udm_buffer_reserve(out, 6);
    to = out->data + out->size;
    *to++ = '-';
    to = two(to, month);
    *to++ = '-';
    two(to, day);
    out->size += 6;
    return before;
}

void udm_number_date(udm_buffer_t *out, int32_t days)
{
    if (days == INT32_MAX || days == INT32_MIN) {
        udm_buffer_text(out, days > 0 ? "\"infinity\"" : "\"-infinity\"");
        return;
    }
    udm_buffer_char(out, '"');
    if (day_text(out, days)) {
        udm_buffer_text(out, " BC");
    }
    udm_buffer_char(out, '"');
}

static void instant(udm_buffer_t *out, int64_t microseconds, bool utc)
{
    const int64_t per_day = INT64_C(86400000000);
    int64_t days, rest;
    int seconds, fraction;
    bool before;
    char *to;

    if (microseconds == INT64_MAX || microseconds == INT64_MIN) {
        udm_buffer_text(out, microseconds > 0 ? "\"infinity\"" : "\"-infinity\"");
        return;
    }
    days = microseconds / per_day;
    rest = microseconds % per_day;
    if (rest < 0) {
        rest += per_day;
        days--;
    }
    seconds = (int)(rest / 1000000);
    fraction = (int)(rest % 1000000);
    udm_buffer_char(out, '"');
    before = day_text(out, days);
    udm_buffer_reserve(out, 24);
    to = out->data + out->size;
    *to++ = 'T';
    to = two(to, seconds / 3600);
    *to++ = ':';
    to = two(to, seconds / 60 % 60);
    *to++ = ':';
    to = two(to, seconds % 60);
    if (utc || fraction != 0) {
        *to++ = '.';
        to = two(to, fraction / 10000);
        to = two(to, fraction / 100 % 100);
        to = two(to, fraction % 100);
        while (!utc && to[-1] == '0') {
            to--;
        }
    }
    if (utc) {
        *to++ = 'Z';
    }
    out->size = (apr_size_t)(to - out->data);
    if (before) {
        udm_buffer_text(out, " BC");
    }
    udm_buffer_char(out, '"');
}

void udm_number_timestamp(udm_buffer_t *out, int64_t microseconds)
{
    instant(out, microseconds, false);
}

void udm_number_timestamptz(udm_buffer_t *out, int64_t microseconds)
{
    instant(out, microseconds, true);
}
