/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * buffer.h: a growing run of bytes that is filled, handed on and filled again; and the sink, the one
 * form in which a stage of the pipeline takes bytes from the stage before it.
 */
#ifndef UDM_EXPORT_BUFFER_H
#define UDM_EXPORT_BUFFER_H

#include <stdbool.h>
#include <string.h>

#include <apr_pools.h>

#include "core/error.h"

typedef struct udm_sink_t {
    udm_error_t *(*write)(void *context, const void *data, apr_size_t size);
    void *context;
} udm_sink_t;

typedef struct udm_buffer_t {
    char *data;       /* never NULL: an empty one can be pointed into, too */
    apr_size_t size;  /* bytes that are filled */
    apr_size_t space; /* bytes that there are */
} udm_buffer_t;

/* An empty buffer; its memory goes back with `p`. */
udm_buffer_t *udm_buffer_make(apr_pool_t *p);

/* Makes the buffer larger than udm_buffer_reserve found it; ends the program when memory is out. */
void udm_buffer_grow(udm_buffer_t *buffer, apr_size_t more);

/* Empties the buffer, and gives its memory back if there is more than `keep` bytes of it. */
void udm_buffer_clear(udm_buffer_t *buffer, apr_size_t keep);

/* Makes sure that `more` bytes can be put behind what is there. */
static inline void udm_buffer_reserve(udm_buffer_t *buffer, apr_size_t more)
{
    if (buffer->space - buffer->size < more) {
        udm_buffer_grow(buffer, more);
    }
}

static inline void udm_buffer_add(udm_buffer_t *buffer, const void *data, apr_size_t size)
{
    udm_buffer_reserve(buffer, size);
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

static inline void udm_buffer_char(udm_buffer_t *buffer, char c)
{
    udm_buffer_reserve(buffer, 1);
    buffer->data[buffer->size++] = c;
}

static inline void udm_buffer_text(udm_buffer_t *buffer, const char *text)
{
    udm_buffer_add(buffer, text, strlen(text));
}

void udm_buffer_format(udm_buffer_t *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Lower-case hex. */
void udm_buffer_hex(udm_buffer_t *buffer, const unsigned char *data, apr_size_t size);

/* Base64 (RFC 4648, with padding), without line breaks. */
void udm_buffer_base64(udm_buffer_t *buffer, const void *data, apr_size_t size);

/*
 * A JSON string with its quotes, escaped as PostgreSQL does it: \" \\ \b \f \n \r \t, \u00XX for the
 * other controls, everything else as it is; but U+0085, U+2028 and U+2029, which some readers take for
 * the end of a line, are escaped, too.
 * @return false when `text` is not well-formed UTF-8; the buffer then holds a part of it
 */
bool udm_buffer_string(udm_buffer_t *buffer, const char *text, apr_size_t size);

/*
 * What stands between the quotes: of a whole text, or of a part that ends with a character.
 * @return the same
 */
bool udm_buffer_escaped(udm_buffer_t *buffer, const char *text, apr_size_t size);

/*
 * JSON as it is, on one line: a raw line break can stand only outside of strings and becomes a
 * space; U+0085, U+2028 and U+2029 can stand only inside, and are escaped.
 * @return false when `json` is not well-formed UTF-8, or has a NUL
 */
bool udm_buffer_json(udm_buffer_t *buffer, const char *json, apr_size_t size);

#endif
