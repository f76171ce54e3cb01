/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * names.c: a Bloom filter over the names that were given out. It never says "new" of a name that is
 * not, and wrongly says "known" of 4 in a million names when there are a million (one in 200 when
 * there are three): those get a number that they would not have needed, which harms nobody.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "export/names.h"
#include "export/zip.h"

#define FILTER_BITS  25
#define FILTER_SIZE  ((apr_size_t)1 << (FILTER_BITS - 3))
#define FILTER_TESTS 8

/* After so many numbers of one name, those of all names are used: a key of ever the same value. */
#define TRIES_MAX 16

/* No file system that people use takes a name of more than 255 bytes: this, "-<number>", ".json". */
#define STEM_MAX (255 - 21 - 5)

struct udm_names_t {
    unsigned char *filter; /* made with the first name; its pages come as they are needed */
    apr_uint64_t given;
};

static apr_status_t names_free(void *data)
{
    udm_names_t *names = data;

    free(names->filter);
    return APR_SUCCESS;
}

udm_names_t *udm_names_make(apr_pool_t *p)
{
    udm_names_t *names = apr_pcalloc(p, sizeof(*names));

    apr_pool_cleanup_register(p, names, names_free, apr_pool_cleanup_null);
    return names;
}

/* FNV-1a without the case of letters, its bits then mixed (as splitmix64 does). */
static uint64_t hash_name(const udm_buffer_t *name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (apr_size_t i = 0; i < name->size; i++) {
        unsigned char c = (unsigned char)name->data[i];

        h = (h ^ (c >= 'A' && c <= 'Z' ? c + 32 : c)) * UINT64_C(0x100000001b3);
    }
    h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
    return h ^ (h >> 31);
}

/* Notes a name. @return true when it is certainly new */
static bool note(udm_names_t *names, const udm_buffer_t *name)
{
    uint64_t h = hash_name(name);
    uint32_t at = (uint32_t)h;
    uint32_t step = (uint32_t)(h >> 32) | 1;
    bool fresh = false;

    for (int i = 0; i < FILTER_TESTS; i++, at += step) {
        uint32_t bit = at >> (32 - FILTER_BITS);
        unsigned char mask = (unsigned char)(1 << (bit & 7));

        if ((names->filter[bit >> 3] & mask) == 0) {
            fresh = true;
            names->filter[bit >> 3] |= mask;
        }
    }
    return fresh;
}

/*
 * Whether Windows takes a name for a device, whatever follows its first dot. Those with other
 * characters than letters and digits (CONIN$, COM and a superscript) are none once they are encoded.
 */
static bool is_device(const udm_buffer_t *name)
{
    static const char *const plain[] = {"con", "prn", "aux", "nul"};
    const char *dot = memchr(name->data, '.', name->size);
    apr_size_t size = dot != NULL ? (apr_size_t)(dot - name->data) : name->size;

    if (size == 4) {
        return (strncasecmp(name->data, "com", 3) == 0 || strncasecmp(name->data, "lpt", 3) == 0) &&
               name->data[3] >= '0' && name->data[3] <= '9';
    }
    for (apr_size_t i = 0; size == 3 && i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (strncasecmp(name->data, plain[i], 3) == 0) {
            return true;
        }
    }
    return false;
}

/* Percent-encodes the first character: no other name begins so, for letters stay as they are. */
static void encode_first(udm_buffer_t *name)
{
    char code[4];

    snprintf(code, sizeof(code), "%%%02X", (unsigned)(unsigned char)name->data[0]);
    udm_buffer_reserve(name, 2);
    memmove(name->data + 3, name->data + 1, name->size - 1);
    memcpy(name->data, code, 3);
    name->size += 2;
}

void udm_names_finish(udm_names_t *names, udm_buffer_t *name)
{
    apr_size_t stem;

    if (is_device(name)) {
        encode_first(name);
    }
    if (name->size > STEM_MAX) { /* it is put together of several */
        udm_zip_name_cut(name, STEM_MAX - UDM_ZIP_NAME_HASH, name->data, name->size);
    }
    stem = name->size;
    if (names->filter == NULL) {
        names->filter = calloc(1, FILTER_SIZE);
        if (names->filter == NULL) {
            abort();
        }
    }
    names->given++;
    for (apr_uint64_t n = 2; !note(names, name); n++) {
        if (n == TRIES_MAX) {
            n = names->given > TRIES_MAX ? names->given : TRIES_MAX;
        }
        name->size = stem;
        udm_buffer_format(name, "-%" APR_UINT64_T_FMT, n);
    }
    udm_buffer_text(name, ".json");
}
