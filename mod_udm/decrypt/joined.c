/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * joined.c: one buffer, whose unread bytes go to its front when more are wanted than it has.
 */
#include <string.h>

#include "decrypt/cms.h"
#include "decrypt/joined.h"

#define PIECE_SIZE  65536
#define BUFFER_SIZE (UDM_JOINED_PEEK_MAX + PIECE_SIZE)

struct udm_joined_t {
    apr_pool_t *pool;
    const udm_inputs_t *inputs;
    EVP_PKEY *key;
    const volatile sig_atomic_t *stop;
    apr_pool_t *part_pool; /* of the part under way */
    udm_mime_t *mime;
    udm_cms_t *cms;
    uint32_t disk;
    apr_int64_t offset;
    bool ended;         /* the part did; the buffer may still hold bytes */
    apr_size_t at, end; /* of the unread bytes in the buffer */
    unsigned char buffer[BUFFER_SIZE];
};

/* An error of a part outlives it. */
static udm_error_t *keep(udm_joined_t *j, udm_error_t *error)
{
    return error != NULL ? udm_error_copy(j->pool, error) : NULL;
}

static udm_error_t *open_part(udm_joined_t *j)
{
    udm_error_t *error;

    apr_pool_create(&j->part_pool, j->pool);
    error = udm_mime_open(&j->mime, j->part_pool, j->inputs->list[j->disk].path, j->stop);
    if (error == NULL) {
        error = udm_cms_open(&j->cms, j->part_pool, j->mime, j->key);
    }
    j->offset = 0;
    j->ended = false;
    j->at = j->end = 0;
    return keep(j, error);
}

/* What was read must be what the sum was checked of. */
static udm_error_t *end_part(udm_joined_t *j)
{
    const udm_input_t *input = &j->inputs->list[j->disk];
    unsigned char digest[UDM_SHA256_SIZE];
    udm_error_t *error = NULL;

    j->ended = true;
    if (input->has_sum) {
        error = udm_mime_sha256(digest, j->mime);
        if (error == NULL && memcmp(digest, input->sha256, sizeof(digest)) != 0) {
            error = udm_inputs_wrong_sum(j->pool, input);
        }
    }
    return error;
}

udm_error_t *udm_joined_open(udm_joined_t **joined, apr_pool_t *p, const udm_inputs_t *inputs,
                             EVP_PKEY *key, const volatile sig_atomic_t *stop)
{
    udm_joined_t *j = apr_pcalloc(p, sizeof(*j));

    j->pool = p;
    j->inputs = inputs;
    j->key = key;
    j->stop = stop;
    *joined = j;
    return open_part(j);
}

udm_error_t *udm_joined_peek(const unsigned char **data, apr_size_t *size, udm_joined_t *joined,
                             apr_size_t want)
{
    while (joined->end - joined->at < want && !joined->ended) {
        apr_size_t got;
        udm_error_t *error;

        memmove(joined->buffer, joined->buffer + joined->at, joined->end - joined->at);
        joined->end -= joined->at;
        joined->at = 0;
        error = udm_cms_read(joined->buffer + joined->end, &got, joined->cms,
                             BUFFER_SIZE - joined->end);
        if (error == NULL && got == 0) {
            error = end_part(joined);
        }
        if (error != NULL) {
            return keep(joined, error);
        }
        joined->end += got;
    }
    *data = joined->buffer + joined->at;
    *size = joined->end - joined->at;
    return NULL;
}

void udm_joined_skip(udm_joined_t *joined, apr_size_t size)
{
    joined->at += size;
    joined->offset += (apr_int64_t)size;
}

udm_error_t *udm_joined_next(udm_joined_t *joined)
{
    if (udm_joined_is_last(joined)) {
        return udm_error_make(joined->pool, UDM_E_UNPROCESSABLE,
                              "%s: the archive in it is cut short, or goes on in a part that was "
                              "not given",
                              udm_joined_path(joined));
    }
    apr_pool_destroy(joined->part_pool);
    joined->disk++;
    return open_part(joined);
}

uint32_t udm_joined_disk(const udm_joined_t *joined)
{
    return joined->disk;
}

bool udm_joined_is_last(const udm_joined_t *joined)
{
    return joined->disk + 1 == joined->inputs->count;
}

apr_int64_t udm_joined_offset(const udm_joined_t *joined)
{
    return joined->offset;
}

const char *udm_joined_path(const udm_joined_t *joined)
{
    return joined->inputs->list[joined->disk].path;
}

udm_error_t *udm_joined_tail(unsigned char *tail, apr_size_t *size, apr_pool_t *p, const char *path,
                             EVP_PKEY *key, const volatile sig_atomic_t *stop, apr_size_t space)
{
    udm_input_t input = {.path = path};
    udm_inputs_t inputs = {.list = &input, .count = 1};
    apr_pool_t *scratch;
    udm_joined_t *j;
    const unsigned char *data = NULL;
    apr_size_t got = 0;
    udm_error_t *error;

    apr_pool_create(&scratch, p);
    error = udm_joined_open(&j, scratch, &inputs, key, stop);
    *size = 0;
    do {
        apr_size_t take;

        if (error == NULL) {
            error = udm_joined_peek(&data, &got, j, space + 1);
        }
        if (error != NULL || data == NULL) {
            break;
        }
        /* Keeps back what may be the end. */
        take = got > space ? got - space : 0;
        if (j->ended) {
            *size = got - take;
            memcpy(tail, data + take, *size);
        }
        udm_joined_skip(j, take);
    } while (!j->ended);
    error = error != NULL ? udm_error_copy(p, error) : NULL;
    apr_pool_destroy(scratch);
    return error;
}
