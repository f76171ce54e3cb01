/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * multipart.c: a strict reader of multipart/form-data. Whoever forgets a boundary, a header or the
 * end is told so, because half a certificate must never look like a whole one.
 */
#include <stdbool.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "core/multipart.h"

#define PARTS_MAX    16
#define BOUNDARY_MAX 70 /* RFC 2046 5.1.1 */

static udm_error_t *malformed(apr_pool_t *p, const char *what)
{
    return udm_error_make(p, UDM_E_INVALID, "the multipart/form-data body is malformed: %s", what);
}

/* Passes over a quoted string that begins at `c`. @return where its closing quote is, or `end` */
static const char *quoted_end(const char *c, const char *end)
{
    for (c++; c < end && *c != '"'; c++) {
        if (*c == '\\' && c + 1 < end) {
            c++;
        }
    }
    return c;
}

/* The text of a quoted string, without its escapes. */
static const char *unquoted(apr_pool_t *p, const char *from, const char *end)
{
    char *text = apr_palloc(p, end - from + 1), *out = text;

    for (; from < end; from++) {
        if (*from == '\\' && from + 1 < end) {
            from++;
        }
        *out++ = *from;
    }
    *out = '\0';
    return text;
}

/*
 * Reads the parameter `name` of a header value ("form-data; name=\"file\""), quoted or not. `size`
 * is that of the value. Takes memory for that parameter alone. @return NULL when it is not there
 */
static const char *parameter(apr_pool_t *p, const char *value, apr_size_t size, const char *name)
{
    apr_size_t name_size = strlen(name);
    const char *end = value + size;
    const char *c = memchr(value, ';', size);

    while (c) {
        const char *from, *key;
        bool found, quoted;

        for (c++; c < end && apr_isspace(*c); c++) {
        }
        for (key = c; c < end && *c != '=' && *c != ';'; c++) {
        }
        found = c < end && *c == '=' && (apr_size_t)(c - key) == name_size &&
                !strncasecmp(key, name, name_size);
        if (c < end && *c == '=') {
            c++;
        }
        from = c;
        quoted = c < end && *c == '"';
        if (quoted) {
            c = quoted_end(c, end);
        }
        else {
            for (; c < end && *c != ';' && !apr_isspace(*c); c++) {
            }
        }
        if (found && quoted) {
            return c < end ? unquoted(p, from + 1, c) : NULL;
        }
        if (found) {
            return apr_pstrmemdup(p, from, c - from);
        }
        c = c < end ? memchr(c, ';', end - c) : NULL;
    }
    return NULL;
}

bool udm_multipart_announced(apr_pool_t *p, const char *content_type)
{
    return parameter(p, content_type, strlen(content_type), "boundary") != NULL;
}

/* Where a header line ends, with the lines that go on with it (they begin with a blank). */
static const char *line_end(const char *at, const char *end)
{
    for (; at < end && (at = memchr(at, '\r', end - at)) != NULL; at++) {
        if (end - at < 2 || (at[1] == '\n' && (end - at == 2 || (at[2] != ' ' && at[2] != '\t')))) {
            return at;
        }
    }
    return end;
}

/* The value of one header in the head of a part, without blanks around it. */
static const char *header(const char *head, const char *end, const char *name, apr_size_t *size)
{
    apr_size_t name_size = strlen(name);

    while (head < end) {
        const char *eol = line_end(head, end);

        if ((apr_size_t)(eol - head) > name_size && head[name_size] == ':' &&
            !strncasecmp(head, name, name_size)) {
            const char *value = head + name_size + 1;

            for (; value < eol && apr_isspace(*value); value++) {
            }
            for (; eol > value && apr_isspace(eol[-1]); eol--) {
            }
            *size = eol - value;
            return value;
        }
        head = end - eol > 2 ? eol + 2 : end;
    }
    return NULL;
}

/* @return true for a Content-Disposition of that type, with or without parameters */
static bool is_disposition(const char *value, apr_size_t size, const char *type)
{
    apr_size_t length = strlen(type);

    return size >= length && !strncasecmp(value, type, length) &&
           (size == length || value[length] == ';' || apr_isspace(value[length]));
}

/* The name of the field in a part, or NULL; says whether its content is as it is. */
static const char *part_name(apr_pool_t *p, const char *head, const char *end, bool *plain)
{
    apr_size_t size = 0;
    const char *value = header(head, end, "Content-Transfer-Encoding", &size);

    *plain = !value || (size == 4 && !strncasecmp(value, "7bit", 4)) ||
             (size == 4 && !strncasecmp(value, "8bit", 4)) ||
             (size == 6 && !strncasecmp(value, "binary", 6));
    value = header(head, end, "Content-Disposition", &size);
    /* curl says attachment when its user gave the form another media type */
    if (!value ||
        (!is_disposition(value, size, "form-data") && !is_disposition(value, size, "attachment"))) {
        return NULL;
    }
    return parameter(p, value, size, "name");
}

/* Skips the rest of a delimiter line. @return NULL when it is not ended as it must be */
static const char *after_delimiter(const char *at, const char *end)
{
    for (; at < end && (*at == ' ' || *at == '\t'); at++) {
    }
    return end - at >= 2 && at[0] == '\r' && at[1] == '\n' ? at + 2 : NULL;
}

udm_error_t *udm_multipart_field(const char **field, apr_size_t *field_size, apr_pool_t *p,
                                 const char *content_type, const char *body, apr_size_t size,
                                 const char *name)
{
    const char *boundary = parameter(p, content_type, strlen(content_type), "boundary");
    const char *end = body + size;
    const char *at, *delimiter;
    apr_size_t length;
    int parts;

    *field = NULL;
    if (!boundary || !*boundary || strlen(boundary) > BOUNDARY_MAX) {
        return malformed(p, "Content-Type names no boundary of 1 to 70 characters");
    }
    delimiter = apr_pstrcat(p, "\r\n--", boundary, NULL);
    length = strlen(delimiter);
    /* the first delimiter may stand at the very beginning, without the line break */
    if (size >= length - 2 && !memcmp(body, delimiter + 2, length - 2)) {
        at = body + length - 2;
    }
    else {
        at = memmem(body, size, delimiter, length);
        if (!at) {
            return malformed(p, "the boundary of Content-Type does not occur in it");
        }
        at += length;
    }
    for (parts = 0; end - at < 2 || at[0] != '-' || at[1] != '-'; parts++) {
        const char *head, *content, *next, *found;
        bool plain;

        head = after_delimiter(at, end);
        if (!head || parts == PARTS_MAX) {
            return malformed(p,
                             head ? "it has more than 16 parts" : "a boundary line is not ended");
        }
        /* a part without any header begins with the empty line itself */
        content = end - head >= 2 && head[0] == '\r' && head[1] == '\n'
                      ? head - 2
                      : memmem(head, end - head, "\r\n\r\n", 4);
        next = content ? memmem(content + 4, end - content - 4, delimiter, length) : NULL;
        if (!next) {
            return malformed(p, "it ends in the middle of a part");
        }
        if (content > head && memmem(head, content - head, delimiter, length)) {
            return malformed(p, "the headers of a part are not ended by an empty line");
        }
        found = content > head ? part_name(p, head, content, &plain) : NULL;
        if (found && !strcmp(found, name)) {
            if (*field) {
                return malformed(p,
                                 apr_pstrcat(p, "the field \"", name, "\" is there twice", NULL));
            }
            if (!plain) {
                return malformed(p, "a Content-Transfer-Encoding is not taken");
            }
            *field = content + 4;
            *field_size = next - *field;
        }
        at = next + length;
    }
    if (!*field) {
        return udm_error_make(
            p, UDM_E_INVALID,
            "the multipart/form-data body has no field \"%s\": send the file in a "
            "form field of that name",
            name);
    }
    return NULL;
}
