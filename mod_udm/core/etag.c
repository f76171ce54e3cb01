/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * etag.c: entity tags made of content, and how a list names them.
 */
#include <string.h>

#include <apr_strings.h>

#include "core/etag.h"
#include "core/json.h"
#include "core/text.h"

const char *udm_etag_make(apr_pool_t *p, const json_t *json)
{
    const char *text = udm_json_text(p, json);

    return text ? udm_etag_text(p, text) : NULL;
}

const char *udm_etag_text(apr_pool_t *p, const char *text)
{
    return apr_psprintf(p, "\"%.*s\"", UDM_ETAG_SIZE, udm_text_sha256(p, text, strlen(text)));
}

/* What may stand between the members of a list (RFC 9110 5.6.1: empty ones are to be ignored). */
static const char *skip(const char *text)
{
    return text + strspn(text, " \t,");
}

/* What a proxy may have put behind a tag, within its quotes: a separator and a coding. */
static bool is_coding(const char *text, apr_size_t size)
{
    static const char *const codings[] = {"gzip", "x-gzip", "br", "zstd", "deflate", "compress"};
    apr_size_t separators = strspn(text, "-;:+"), i;

    if (separators == 0 || separators >= size) {
        return false;
    }
    text += separators;
    size -= separators;
    for (i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        if (strlen(codings[i]) == size && memcmp(text, codings[i], size) == 0) {
            return true;
        }
    }
    return false;
}

bool udm_etag_names(const char *list, const char *etag)
{
    /* without the closing quote */
    apr_size_t known = etag ? strlen(etag) - 1 : 0;
    const char *at;

    if (!list || !etag) {
        return false;
    }
    for (at = skip(list); *at; at = skip(at)) {
        const char *tag = strncmp(at, "W/", 2) == 0 ? at + 2 : at;
        const char *end = *tag == '"' ? strchr(tag + 1, '"') : NULL;
        apr_size_t size;

        if (!end) {
            return false; /* no list of tags: better no change than one that was not meant */
        }
        size = (apr_size_t)(end - tag);
        if (size >= known && memcmp(tag, etag, known) == 0 &&
            (size == known || is_coding(tag + known, size - known))) {
            return true;
        }
        at = end + 1;
    }
    return false;
}

/* "*" and no header at all. */
static bool is_any(const char *if_match)
{
    const char *at = if_match ? if_match + strspn(if_match, " \t") : "*";

    return *at == '*' && at[1 + strspn(at + 1, " \t")] == '\0';
}

bool udm_etag_allows(const char *if_match, const char *etag)
{
    return is_any(if_match) || udm_etag_names(if_match, etag);
}

apr_array_header_t *udm_etag_list(apr_pool_t *p, const char *if_match)
{
    apr_array_header_t *tags;
    const char *at;

    if (is_any(if_match)) {
        return NULL;
    }
    tags = apr_array_make(p, 2, sizeof(const char *));
    for (at = skip(if_match); *at; at = skip(at)) {
        const char *tag = strncmp(at, "W/", 2) == 0 ? at + 2 : at;
        const char *end = *tag == '"' ? strchr(tag + 1, '"') : NULL;
        apr_size_t digits;

        if (!end) {
            break; /* as above */
        }
        tag++;
        digits = strspn(tag, "0123456789abcdef");
        if (digits >= UDM_ETAG_SIZE &&
            (tag + UDM_ETAG_SIZE == end ||
             is_coding(tag + UDM_ETAG_SIZE, (apr_size_t)(end - tag) - UDM_ETAG_SIZE))) {
            APR_ARRAY_PUSH(tags, const char *) = apr_psprintf(p, "\"%.*s\"", UDM_ETAG_SIZE, tag);
        }
        at = end + 1;
    }
    return tags;
}
