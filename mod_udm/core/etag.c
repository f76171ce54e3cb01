/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * etag.c: entity tags made of content, and their comparison with If-Match.
 */
#include <string.h>

#include <apr_strings.h>
#include <openssl/sha.h>

#include "etag.h"
#include "json.h"
#include "text.h"

const char *udm_etag_make(apr_pool_t *p, const json_t *json)
{
    const char *text = udm_json_text(p, json);

    return text ? udm_etag_text(p, text) : NULL;
}

const char *udm_etag_text(apr_pool_t *p, const char *text)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *)text, strlen(text), digest);
    return apr_pstrcat(p, "\"", udm_text_hex(p, digest, sizeof(digest) / 2), "\"", NULL);
}

/* What may stand between the members of a list (RFC 9110 5.6.1: empty ones are to be ignored). */
static const char *skip(const char *text)
{
    return text + strspn(text, " \t,");
}

bool udm_etag_allows(const char *if_match, const char *etag)
{
    const char *at;

    if (!if_match) {
        return true;
    }
    at = if_match + strspn(if_match, " \t");
    if (*at == '*' && at[1 + strspn(at + 1, " \t")] == '\0') {
        return true;
    }
    for (at = skip(at); *at && etag; at = skip(at)) {
        bool weak = strncmp(at, "W/", 2) == 0;
        const char *tag = weak ? at + 2 : at;
        const char *end = *tag == '"' ? strchr(tag + 1, '"') : NULL;
        apr_size_t size;

        if (!end) {
            return false; /* no list of tags: better no change than one that was not meant */
        }
        size = (apr_size_t)(end + 1 - tag);
        if (!weak && strlen(etag) == size && memcmp(tag, etag, size) == 0) {
            return true;
        }
        at = end + 1;
    }
    return false;
}
