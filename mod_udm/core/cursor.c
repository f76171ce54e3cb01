/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor.c: a cursor as an array of JSON in base64url, and back.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <cjose/base64.h>
#include <jansson.h>

#include "core/cursor.h"
#include "core/json.h"

const char *udm_cursor_text(apr_pool_t *p, const udm_cursor_t *cursor)
{
    json_t *json = json_pack("[s, I, s, s, I]", cursor->list, (json_int_t)cursor->count,
                             cursor->snapshot, cursor->key, (json_int_t)cursor->id);
    const char *text = udm_json_text(p, udm_json_own(p, json)), *copy;
    char *encoded;
    size_t size;

    if (!cjose_base64url_encode((const uint8_t *)text, strlen(text), &encoded, &size, NULL)) {
        abort(); /* out of memory, as a pool would */
    }
    copy = apr_pstrmemdup(p, encoded, size);
    free(encoded);
    return copy;
}

/*
 * Reads the number of a transaction, of its epoch and 32 bits of which PostgreSQL gives no transaction 0,
 * and steps over it. @return 0 when there is none
 */
static apr_uint64_t read_xid(const char **text)
{
    apr_uint64_t xid = 0;

    for (; **text >= '0' && **text <= '9'; (*text)++) {
        apr_uint64_t digit = (apr_uint64_t)(**text - '0');

        if (xid > (APR_UINT64_MAX - digit) / 10) {
            return 0;
        }
        xid = xid * 10 + digit;
    }
    return xid & APR_UINT32_MAX ? xid : 0;
}

/* Whether PostgreSQL takes the text as a pg_snapshot: "least:next:running,running", in order. */
static bool is_snapshot(const char *text)
{
    apr_uint64_t least, next, last, xid;

    least = read_xid(&text);
    if (least == 0 || *text++ != ':') {
        return false;
    }
    next = read_xid(&text);
    if (next == 0 || next < least || *text++ != ':') {
        return false;
    }
    for (last = 0; *text; last = xid) {
        if (last > 0 && *text++ != ',') {
            return false;
        }
        xid = read_xid(&text);
        if (xid < least || xid >= next || xid <= last) {
            return false;
        }
    }
    return true;
}

bool udm_cursor_parse(udm_cursor_t *cursor, apr_pool_t *p, const char *text)
{
    udm_cursor_t read;
    json_t *json = NULL;
    json_int_t count, id;
    uint8_t *decoded;
    size_t size;
    bool good;

    /* cjose takes more than base64url for it */
    if (text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")] ||
        strlen(text) % 4 == 1 ||
        !cjose_base64url_decode(text, strlen(text), &decoded, &size, NULL)) {
        return false;
    }
    good = !udm_json_parse(&json, p, (const char *)decoded, size) &&
           json_unpack(json, "[s, I, s, s, I!]", &read.list, &count, &read.snapshot, &read.key,
                       &id) == 0 &&
           count > 0 && id > 0 && is_snapshot(read.snapshot);
    free(decoded);
    if (good) {
        read.count = count;
        read.id = id;
        *cursor = read;
    }
    return good;
}
