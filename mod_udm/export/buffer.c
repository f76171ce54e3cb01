/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * buffer.c: the growing buffer, and the two inner loops of the encoder: JSON strings and raw JSON.
 *
 * Both loops copy runs of bytes that need no look of their own, 16 or 8 at a time.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <apr_escape.h>

#include "export/base64.h"
#include "export/buffer.h"

#define ONES  0x0101010101010101ULL
#define HIGHS 0x8080808080808080ULL

/* Set (in the high bits) when a byte of `x` is zero; exact as a yes or no. */
#define ZERO_BYTE(x) (((x)-ONES) & ~(x)&HIGHS)

/* Set when a byte of `x` is below 0x20 or above 0x7f. */
#define ODD_BYTE(x) ((((x)-ONES * 0x20) | (x)) & HIGHS)

static apr_status_t buffer_free(void *data)
{
    udm_buffer_t *buffer = data;

    free(buffer->data);
    buffer->data = NULL;
    buffer->size = buffer->space = 0;
    return APR_SUCCESS;
}

udm_buffer_t *udm_buffer_make(apr_pool_t *p)
{
    udm_buffer_t *buffer = apr_pcalloc(p, sizeof(*buffer));

    apr_pool_cleanup_register(p, buffer, buffer_free, apr_pool_cleanup_null);
    udm_buffer_grow(buffer, 1);
    return buffer;
}

void udm_buffer_grow(udm_buffer_t *buffer, apr_size_t more)
{
    apr_size_t wanted = buffer->size + more;
    apr_size_t space = buffer->space != 0 ? buffer->space : 1024;
    char *data;

    if (wanted < more) {
        abort();
    }
    while (space < wanted) {
        space = space > wanted / 2 ? space * 2 : wanted;
    }
    data = realloc(buffer->data, space);
    if (data == NULL) {
        /* As an APR pool would: there is nothing to go on with, and the run is repeated later. */
        fputs("out of memory\n", stderr);
        abort();
    }
    buffer->data = data;
    buffer->space = space;
}

void udm_buffer_clear(udm_buffer_t *buffer, apr_size_t keep)
{
    buffer->size = 0;
    if (buffer->space > keep) {
        buffer_free(buffer);
        udm_buffer_grow(buffer, 1);
    }
}

void udm_buffer_format(udm_buffer_t *buffer, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length > 0) {
        udm_buffer_reserve(buffer, (apr_size_t)length + 1);
        va_start(args, format);
        vsnprintf(buffer->data + buffer->size, (size_t)length + 1, format, args);
        va_end(args);
        buffer->size += (apr_size_t)length;
    }
}

void udm_buffer_hex(udm_buffer_t *buffer, const unsigned char *data, apr_size_t size)
{
    udm_buffer_reserve(buffer, 2 * size + 1); /* and a NUL */
    apr_escape_hex(buffer->data + buffer->size, data, size, 0, NULL);
    buffer->size += 2 * size;
}

void udm_buffer_base64(udm_buffer_t *buffer, const void *data, apr_size_t size)
{
    apr_size_t more = UDM_BASE64_SIZE(size);

    udm_buffer_reserve(buffer, more);
    udm_base64(buffer->data + buffer->size, data, size);
    buffer->size += more;
}

/* Length of the well-formed UTF-8 sequence of two to four bytes at `s` (RFC 3629), else 0. */
static apr_size_t sequence(const unsigned char *s, const unsigned char *end)
{
    apr_size_t left = (apr_size_t)(end - s);

#define TAIL(i) ((s[i] & 0xc0) == 0x80)
    if (s[0] < 0xc2) {
        return 0;
    }
    if (s[0] < 0xe0) {
        return left >= 2 && TAIL(1) ? 2 : 0;
    }
    if (s[0] < 0xf0) {
        if (left < 3 || !TAIL(1) || !TAIL(2) || (s[0] == 0xe0 && s[1] < 0xa0) ||
            (s[0] == 0xed && s[1] > 0x9f)) {
            return 0;
        }
        return 3;
    }
    if (left < 4 || s[0] > 0xf4 || !TAIL(1) || !TAIL(2) || !TAIL(3) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) {
        return 0;
    }
    return 4;
#undef TAIL
}

/*
 * Whether the sequence at `s` ends a line to readers that know Unicode's line ends: U+0085, U+2028,
 * U+2029. JSON lets them stand in a string, but whoever cuts JSON Lines with such a reader would cut
 * there, so they are escaped. All of them are longer escaped than as they are.
 */
static inline bool ends_line(const unsigned char *s)
{
    if (s[0] == 0xe2) {
        return s[1] == 0x80 && (s[2] & 0xfe) == 0xa8;
    }
    return s[0] == 0xc2 && s[1] == 0x85;
}

static char *escape_line_end(char *to, const unsigned char *s)
{
    memcpy(to, s[0] == 0xc2 ? "\\u0085" : s[2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
    return to + 6;
}

/* What a byte that cannot stand in a string becomes: up to six characters. */
static char *escape(char *to, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char letter;

    switch (c) {
    case '"':
    case '\\':
        letter = (char)c;
        break;
    case '\b':
        letter = 'b';
        break;
    case '\f':
        letter = 'f';
        break;
    case '\n':
        letter = 'n';
        break;
    case '\r':
        letter = 'r';
        break;
    case '\t':
        letter = 't';
        break;
    default:
        memcpy(to, "\\u00", 4);
        to[4] = hex[c >> 4];
        to[5] = hex[c & 15];
        return to + 6;
    }
    to[0] = '\\';
    to[1] = letter;
    return to + 2;
}

/*
 * Copies up to the first control, byte above 0x7f, or (with `quotes`) quote or backslash. There is
 * room for all up to `end`. @return how many bytes
 */
static inline apr_size_t copy_run(char *to, const unsigned char *from, const unsigned char *end,
                                  bool quotes)
{
    const unsigned char *s = from;

#ifdef __SSE2__
    for (; end - s >= 16; s += 16, to += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)s);
        /* as signed bytes, those above 0x7f are below 0x20, too */
        __m128i odd = _mm_cmplt_epi8(x, _mm_set1_epi8(0x20));
        unsigned mask;

        if (quotes) {
            odd = _mm_or_si128(odd, _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')),
                                                 _mm_cmpeq_epi8(x, _mm_set1_epi8('\\'))));
        }
        _mm_storeu_si128((__m128i *)(void *)to, x);
        mask = (unsigned)_mm_movemask_epi8(odd);
        if (mask != 0) {
            return (apr_size_t)(s - from) + (apr_size_t)__builtin_ctz(mask);
        }
    }
#endif
    for (; end - s >= 8; s += 8, to += 8) {
        uint64_t x, odd;

        memcpy(&x, s, 8);
        odd = ODD_BYTE(x);
        if (quotes) {
            odd |= ZERO_BYTE(x ^ (ONES * '"')) | ZERO_BYTE(x ^ (ONES * '\\'));
        }
        if (odd != 0) {
            break;
        }
        memcpy(to, &x, 8);
    }
    for (; s < end && *s >= 0x20 && *s < 0x80 && !(quotes && (*s == '"' || *s == '\\')); s++) {
        *to++ = (char)*s;
    }
    return (apr_size_t)(s - from);
}

bool udm_buffer_escaped(udm_buffer_t *buffer, const char *text, apr_size_t size)
{
    const unsigned char *s = (const unsigned char *)text;
    const unsigned char *end = s + size;
    char *to;

    /* Room for all as it is, a quote and one escape; each further escape takes its own. */
    udm_buffer_reserve(buffer, size + 16);
    to = buffer->data + buffer->size;
    while (s < end) {
        apr_size_t length = copy_run(to, s, end, true);

        to += length;
        s += length;
        if (s == end) {
            break;
        }
        if (*s >= 0x80) {
            do {
                length = sequence(s, end);
                if (length == 0) {
                    return false;
                }
                if (ends_line(s)) {
                    break;
                }
                memcpy(to, s, length);
                to += length;
                s += length;
            } while (s < end && *s >= 0x80);
            if (s == end || *s < 0x80) {
                continue;
            }
            to = escape_line_end(to, s);
            s += length;
        }
        else {
            to = escape(to, *s++);
        }
        buffer->size = (apr_size_t)(to - buffer->data);
        udm_buffer_reserve(buffer, (apr_size_t)(end - s) + 16);
        to = buffer->data + buffer->size;
    }
    buffer->size = (apr_size_t)(to - buffer->data);
    return true;
}

bool udm_buffer_string(udm_buffer_t *buffer, const char *text, apr_size_t size)
{
    udm_buffer_char(buffer, '"');
    if (!udm_buffer_escaped(buffer, text, size)) {
        return false;
    }
    udm_buffer_char(buffer, '"');
    return true;
}

bool udm_buffer_json(udm_buffer_t *buffer, const char *json, apr_size_t size)
{
    const unsigned char *s = (const unsigned char *)json;
    const unsigned char *end = s + size;
    char *to;

    udm_buffer_reserve(buffer, size + 16);
    to = buffer->data + buffer->size;
    while (s < end) {
        apr_size_t run = copy_run(to, s, end, false);

        to += run;
        s += run;
        if (s == end) {
            break;
        }
        if (*s >= 0x80) {
            apr_size_t length;

            do {
                length = sequence(s, end);
                if (length == 0) {
                    return false;
                }
                if (ends_line(s)) { /* which is inside a string: JSON allows it nowhere else */
                    break;
                }
                memcpy(to, s, length);
                to += length;
                s += length;
            } while (s < end && *s >= 0x80);
            if (s == end || *s < 0x80) {
                continue;
            }
            to = escape_line_end(to, s);
            s += length;
            buffer->size = (apr_size_t)(to - buffer->data);
            udm_buffer_reserve(buffer, (apr_size_t)(end - s) + 16);
            to = buffer->data + buffer->size;
        }
        else if (*s == '\0') {
            return false;
        }
        else {
            *to++ = *s == '\n' || *s == '\r' ? ' ' : (char)*s;
            s++;
        }
    }
    buffer->size = (apr_size_t)(to - buffer->data);
    return true;
}
