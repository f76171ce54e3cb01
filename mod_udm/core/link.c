/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * link.c: signs the query of a download link, and checks one that comes back.
 */
#include <stdbool.h>
#include <string.h>

#include <apr_escape.h>
#include <apr_strings.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "core/link.h"
#include "core/text.h"

#define KEYS_MAX        2
#define KEY_DIGITS_MIN  64
#define KEY_DIGITS_MAX  1024
#define EXPIRES         "expires="
#define SIGNATURE       "&signature="
#define TIME_DIGITS_MAX 12 /* far beyond the year 9999 */

struct udm_link_keys_t {
    int count; /* the current key comes first */
    struct {
        unsigned char *data;
        apr_size_t size;
    } key[KEYS_MAX];
};

/* Takes one line of the key file. */
static udm_error_t *add_key(udm_link_keys_t *keys, apr_pool_t *p, const char *line, int number)
{
    apr_size_t digits = strlen(line);
    unsigned char *data;

    if (keys->count == KEYS_MAX) {
        return udm_error_make(p, UDM_E_INVALID,
                              "line %d of the link key file is a third key: there may be two, the "
                              "current one and the previous one",
                              number);
    }
    if (digits < KEY_DIGITS_MIN || digits > KEY_DIGITS_MAX || digits % 2 != 0) {
        return udm_error_make(
            p, UDM_E_INVALID,
            "line %d of the link key file has %s: a key is an even number of hex digits, %d to %d",
            number, udm_text_count(p, (apr_int64_t)digits, "character"), KEY_DIGITS_MIN,
            KEY_DIGITS_MAX);
    }
    data = apr_palloc(p, digits / 2);
    if (!udm_text_unhex(data, digits / 2, line)) {
        return udm_error_make(p, UDM_E_INVALID,
                              "line %d of the link key file is no key: it holds something other "
                              "than hex digits",
                              number);
    }
    keys->key[keys->count].data = data;
    keys->key[keys->count].size = digits / 2;
    keys->count++;
    return NULL;
}

udm_error_t *udm_link_keys_parse(udm_link_keys_t **keys, apr_pool_t *p, const char *text,
                                 apr_size_t size)
{
    udm_link_keys_t *made = apr_pcalloc(p, sizeof(*made));
    udm_error_t *error = NULL;
    const char *end = text + size;
    int number;

    *keys = NULL;
    for (number = 1; text < end && !error; number++) {
        const char *newline = memchr(text, '\n', (apr_size_t)(end - text));
        apr_size_t length = (apr_size_t)((newline ? newline : end) - text);

        if (memchr(text, '\0', length)) {
            return udm_error_make(p, UDM_E_INVALID, "line %d of the link key file holds a NUL",
                                  number);
        }
        if (length > 0 && text[0] != '#') {
            while (length > 0 && strchr(" \t\r", text[length - 1])) {
                length--;
            }
            error = length ? add_key(made, p, apr_pstrmemdup(p, text, length), number) : NULL;
        }
        text = newline ? newline + 1 : end;
    }
    if (!error && made->count == 0) {
        error = udm_error_make(p, UDM_E_INVALID,
                               "the link key file holds no key: write one of at least %d hex "
                               "digits into it",
                               KEY_DIGITS_MIN);
    }
    if (!error) {
        *keys = made;
    }
    return error;
}

/* The signature with one key. `expires` is the decimal text that stands in the link. */
static bool sign(unsigned char mac[UDM_SHA256_SIZE], apr_pool_t *p, const udm_link_keys_t *keys,
                 int i, const char *name, const char *expires)
{
    const char *text = apr_pstrcat(p, "GET\n", name, "\n", expires, NULL);
    unsigned int size = UDM_SHA256_SIZE;

    return HMAC(EVP_sha256(), keys->key[i].data, (int)keys->key[i].size,
                (const unsigned char *)text, strlen(text), mac, &size) &&
           size == UDM_SHA256_SIZE;
}

const char *udm_link_query(apr_pool_t *p, const udm_link_keys_t *keys, const char *name,
                           apr_time_t expires)
{
    const char *when = apr_psprintf(p, "%" APR_TIME_T_FMT, apr_time_sec(expires));
    unsigned char mac[UDM_SHA256_SIZE];

    if (!sign(mac, p, keys, 0, name, when)) {
        memset(mac, 0, sizeof(mac)); /* a link that nobody accepts */
    }
    return apr_pstrcat(p, EXPIRES, when, SIGNATURE, apr_pescape_hex(p, mac, sizeof(mac), 0), NULL);
}

/* Takes "expires=<digits>&signature=<64 lower-case hex>" apart, and nothing else. */
static bool split_query(const char **expires, unsigned char mac[UDM_SHA256_SIZE], apr_pool_t *p,
                        const char *query)
{
    apr_size_t count;

    if (!query || strncmp(query, EXPIRES, strlen(EXPIRES)) != 0) {
        return false;
    }
    query += strlen(EXPIRES);
    count = strspn(query, "0123456789");
    if (count < 1 || count > TIME_DIGITS_MAX ||
        strncmp(query + count, SIGNATURE, strlen(SIGNATURE)) != 0) {
        return false;
    }
    *expires = apr_pstrmemdup(p, query, count);
    query += count + strlen(SIGNATURE);
    return !strpbrk(query, "ABCDEF") && udm_text_unhex(mac, UDM_SHA256_SIZE, query);
}

udm_error_t *udm_link_check(apr_pool_t *p, const udm_link_keys_t *keys, const char *name,
                            const char *query, apr_time_t now)
{
    unsigned char sent[UDM_SHA256_SIZE], mac[UDM_SHA256_SIZE];
    const char *expires;
    bool good = false;
    int i;

    if (!split_query(&expires, sent, p, query)) {
        return udm_error_make(p, UDM_E_FORBIDDEN, "this link is not complete, or was changed");
    }
    for (i = 0; i < keys->count; i++) {
        if (sign(mac, p, keys, i, name, expires) && udm_text_equal_secret(mac, sent, sizeof(mac))) {
            good = true;
        }
    }
    if (!good) {
        return udm_error_make(p, UDM_E_FORBIDDEN, "this link's signature is wrong");
    }
    if (now >= apr_time_from_sec(apr_atoi64(expires))) {
        return udm_error_make(p, UDM_E_GONE, "this link has expired: ask for a new one");
    }
    return NULL;
}
