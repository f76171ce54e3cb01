/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * text.c: hex, UUID, sizes and UTF-8. No locale, no errno.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <apr_escape.h>
#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "core/text.h"

const char *udm_text_sha256(apr_pool_t *p, const void *data, apr_size_t size)
{
    unsigned char hash[UDM_SHA256_SIZE];

    SHA256(data, size, hash);
    return apr_pescape_hex(p, hash, sizeof(hash), 0);
}

bool udm_text_unhex(unsigned char *data, apr_size_t size, const char *text)
{
    return strlen(text) == 2 * size &&
           apr_unescape_hex(data, text, (apr_ssize_t)(2 * size), 0, NULL) == APR_SUCCESS;
}

const char *udm_text_uuid(apr_pool_t *p)
{
    unsigned char bytes[16];
    const char *hex;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        abort(); /* no random numbers at all: a name that repeats would overwrite an export */
    }
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    hex = apr_pescape_hex(p, bytes, sizeof(bytes), 0);
    return apr_psprintf(p, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

bool udm_text_is_uuid(const char *text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    int i;

    for (i = 0; i < UDM_UUID_SIZE; i++) {
        bool good =
            form[i] == '-' ? text[i] == '-' : text[i] && strchr("0123456789abcdef", text[i]);

        if (!good) {
            return false;
        }
    }
    return text[i] == '\0';
}

/* @return the length of the well-formed character at `s`, of at most `left` bytes, or 0 */
static apr_size_t utf8_character(const unsigned char *s, apr_size_t left)
{
    unsigned char low = 0x80, high = 0xbf;
    apr_size_t size, i;

    if (s[0] < 0x80) {
        return s[0] != 0;
    }
    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        size = 2;
    }
    else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        size = 3;
    }
    else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        size = 4;
    }
    else {
        return 0;
    }
    if (size > left) {
        return 0;
    }
    /* the second byte rules out overlong forms, surrogates and what lies above U+10FFFF */
    switch (s[0]) {
    case 0xe0:
        low = 0xa0;
        break;
    case 0xed:
        high = 0x9f;
        break;
    case 0xf0:
        low = 0x90;
        break;
    case 0xf4:
        high = 0x8f;
        break;
    default:
        break;
    }
    if (s[1] < low || s[1] > high) {
        return 0;
    }
    for (i = 2; i < size; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return size;
}

apr_size_t udm_text_utf8_prefix(const char *text, apr_size_t size)
{
    const unsigned char *s = (const unsigned char *)text;
    apr_size_t at = 0;

    while (at < size) {
        apr_size_t step = utf8_character(s + at, size - at);

        if (step == 0) {
            break;
        }
        at += step;
    }
    return at;
}

bool udm_text_is_utf8(const char *text, apr_size_t size)
{
    return udm_text_utf8_prefix(text, size) == size;
}

bool udm_text_has_control(const char *text)
{
    const unsigned char *c;

    for (c = (const unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0)) {
            return true;
        }
    }
    return false;
}

apr_size_t udm_text_characters(const char *text)
{
    apr_size_t count = 0;

    for (; *text; text++) {
        count += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return count;
}

/* Reads a run of digits, below 2^63. @return false when there is none, or it is too large */
static bool number(apr_int64_t *value, const char **text)
{
    const char *start = *text;

    *value = 0;
    for (; **text >= '0' && **text <= '9'; (*text)++) {
        int digit = **text - '0';

        if (*value > (APR_INT64_MAX - digit) / 10) {
            return false;
        }
        *value = *value * 10 + digit;
    }
    return *text != start;
}

bool udm_text_parse_size(apr_int64_t *bytes, const char *text)
{
    static const struct {
        const char *name;
        apr_int64_t factor;
    } units[] = {{"", 1},       {"KB", 1000},     {"MB", 1000000},    {"GB", 1000000000},
                 {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}};
    apr_int64_t value;
    apr_size_t i;

    if (!number(&value, &text) || value == 0) {
        return false;
    }
    if (*text == ' ' && text[1] != '\0') {
        text++;
    }
    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcasecmp(text, units[i].name) == 0) {
            if (value > APR_INT64_MAX / units[i].factor) {
                return false;
            }
            *bytes = value * units[i].factor;
            return true;
        }
    }
    return false;
}

const char *udm_text_size(apr_pool_t *p, apr_int64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB"};
    apr_int64_t unit = 1024;
    int i = 0;

    while (i < 2 && (bytes >= 16 * 1024 * unit || bytes % (1024 * unit) == 0)) {
        unit *= 1024;
        i++;
    }
    return apr_psprintf(p, "%" APR_INT64_T_FMT "%s", bytes / unit + (bytes % unit != 0), units[i]);
}

bool udm_text_parse_id(apr_int64_t *id, const char *text)
{
    apr_int64_t value;

    if (!number(&value, &text) || *text != '\0' || value == 0) {
        return false;
    }
    *id = value;
    return true;
}

const char *udm_text_count(apr_pool_t *p, apr_int64_t count, const char *noun)
{
    return apr_psprintf(p, "%" APR_INT64_T_FMT " %s%s", count, noun, count == 1 ? "" : "s");
}

bool udm_text_equal_secret(const void *a, const void *b, apr_size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}

const char *udm_text_line(apr_pool_t *p, const char *message)
{
    char *line = apr_pstrdup(p, message ? message : "");
    apr_size_t size = strlen(line);
    char *c;

    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == ' ')) {
        line[--size] = '\0';
    }
    for (c = line; *c; c++) {
        if (*c == '\n' || *c == '\t' || *c == '\r') {
            *c = ' ';
        }
    }
    return line;
}
