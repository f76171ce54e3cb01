/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * ber.c: the walk. Positions are counted from the first byte, so an element that reaches beyond the
 * one it stands in is found where it begins.
 */
#include <string.h>

#include "decrypt/ber.h"

#define NO_BOUND APR_INT64_MAX

struct udm_ber_t {
    apr_pool_t *pool;
    udm_mime_t *mime;
    const unsigned char *data;
    apr_size_t size;
    apr_int64_t at;
    int depth;
    /* Of each element entered: its end (-1: a mark), and the nearest known end around it. */
    apr_int64_t end[UDM_BER_DEPTH];
    apr_int64_t bound[UDM_BER_DEPTH];
};

udm_ber_t *udm_ber_make(apr_pool_t *p, udm_mime_t *mime)
{
    udm_ber_t *ber = apr_pcalloc(p, sizeof(*ber));

    ber->pool = p;
    ber->mime = mime;
    /* The file itself has no end that is known. */
    ber->end[0] = NO_BOUND;
    ber->bound[0] = NO_BOUND;
    return ber;
}

static udm_error_t *damaged(udm_ber_t *ber, const char *what)
{
    return udm_error_make(ber->pool, UDM_E_UNPROCESSABLE, "%s: is damaged: %s",
                          udm_mime_path(ber->mime), what);
}

/* Makes sure that there is a byte. */
static udm_error_t *more(udm_ber_t *ber)
{
    udm_error_t *error = NULL;

    if (ber->size == 0) {
        error = udm_mime_read(ber->mime, &ber->data, &ber->size);
        if (error == NULL && ber->size == 0) {
            error = damaged(ber, "it was cut short");
        }
    }
    return error;
}

static udm_error_t *take_byte(unsigned char *byte, udm_ber_t *ber)
{
    udm_error_t *error;

    if (ber->at >= ber->bound[ber->depth]) {
        return damaged(ber, "an element reaches beyond the one it stands in");
    }
    error = more(ber);
    if (error == NULL) {
        *byte = *ber->data++;
        ber->size--;
        ber->at++;
    }
    return error;
}

/* The length octets of an element. */
static udm_error_t *take_length(udm_ber_element_t *e, udm_ber_t *ber)
{
    unsigned char first, byte;
    udm_error_t *error = take_byte(&first, ber);

    if (error != NULL) {
        return error;
    }
    e->raw[e->raw_size++] = first;
    if (first < 0x80) {
        e->size = first;
        return NULL;
    }
    if (first == 0x80) {
        e->size = -1;
        return (e->tag & UDM_BER_CONSTRUCTED) != 0 ? NULL
                                                   : damaged(ber, "an element has no length");
    }
    if (first > 0x88) {
        return damaged(ber, "an element's length is too long");
    }
    e->size = 0;
    for (int i = 0; i < (first & 0x7f); i++) {
        error = take_byte(&byte, ber);
        if (error != NULL) {
            return error;
        }
        e->raw[e->raw_size++] = byte;
        if (e->size > APR_INT64_MAX >> 8) {
            return damaged(ber, "an element's length is too large");
        }
        e->size = e->size << 8 | byte;
    }
    return NULL;
}

udm_error_t *udm_ber_next(udm_ber_element_t *element, bool *end, udm_ber_t *ber)
{
    udm_error_t *error;

    *end = ber->at == ber->end[ber->depth];
    if (*end) {
        return NULL;
    }
    element->tag = 0;
    error = take_byte(&element->tag, ber);
    if (error != NULL) {
        return error;
    }
    element->raw[0] = element->tag;
    element->raw_size = 1;
    error = take_length(element, ber);
    if (error != NULL) {
        return error;
    }
    if (element->tag == 0) {
        *end = true;
        return element->size == 0 && ber->end[ber->depth] < 0
                   ? NULL
                   : damaged(ber, "an end mark stands where none belongs");
    }
    if ((element->tag & 0x1f) == 0x1f) {
        return damaged(ber, "an element has an unknown tag");
    }
    if (element->size > ber->bound[ber->depth] - ber->at) {
        return damaged(ber, "an element reaches beyond the one it stands in");
    }
    return NULL;
}

udm_error_t *udm_ber_expect(udm_ber_element_t *element, udm_ber_t *ber, unsigned char tag)
{
    bool end;
    udm_error_t *error = udm_ber_next(element, &end, ber);

    if (error == NULL && (end || element->tag != tag)) {
        error = damaged(ber, "it is not built as encrypted data are");
    }
    return error;
}

udm_error_t *udm_ber_enter(udm_ber_t *ber, const udm_ber_element_t *element)
{
    if (ber->depth + 1 == UDM_BER_DEPTH) {
        return damaged(ber, "its elements are nested too deep");
    }
    ber->depth++;
    ber->end[ber->depth] = element->size < 0 ? -1 : ber->at + element->size;
    ber->bound[ber->depth] = element->size < 0 ? ber->bound[ber->depth - 1] : ber->end[ber->depth];
    return NULL;
}

void udm_ber_left(udm_ber_t *ber)
{
    ber->depth--;
}

udm_error_t *udm_ber_leave(udm_ber_t *ber)
{
    udm_ber_element_t element;
    bool end;
    udm_error_t *error = udm_ber_next(&element, &end, ber);

    if (error == NULL && !end) {
        error = damaged(ber, "it has an element too many");
    }
    udm_ber_left(ber);
    return error;
}

udm_error_t *udm_ber_bytes(const unsigned char **data, apr_size_t *size, udm_ber_t *ber,
                           apr_int64_t most)
{
    udm_error_t *error = more(ber);

    if (error == NULL) {
        *data = ber->data;
        *size = (apr_int64_t)ber->size < most ? ber->size : (apr_size_t)most;
        ber->data += *size;
        ber->size -= *size;
        ber->at += (apr_int64_t)*size;
    }
    return error;
}

static udm_error_t *add(udm_ber_copy_t *copy, udm_ber_t *ber, const void *data, apr_size_t size)
{
    if (copy == NULL) {
        return NULL;
    }
    if (copy->space - copy->size < size) {
        return damaged(ber, "its header is too long");
    }
    memcpy(copy->data + copy->size, data, size);
    copy->size += size;
    return NULL;
}

/* `copy` may be NULL. The nesting is bounded by udm_ber_enter. */
udm_error_t *udm_ber_copy(udm_ber_copy_t *copy, udm_ber_t *ber, const udm_ber_element_t *element)
{
    udm_error_t *error = add(copy, ber, element->raw, element->raw_size);
    apr_int64_t left = element->size;
    bool end = false;

    while (error == NULL && left > 0) {
        const unsigned char *data;
        apr_size_t size;

        error = udm_ber_bytes(&data, &size, ber, left);
        if (error == NULL) {
            error = add(copy, ber, data, size);
            left -= (apr_int64_t)size;
        }
    }
    if (error != NULL || element->size >= 0) {
        return error;
    }
    error = udm_ber_enter(ber, element);
    while (error == NULL && !end) {
        udm_ber_element_t inner;

        error = udm_ber_next(&inner, &end, ber);
        if (error == NULL && !end) {
            error = udm_ber_copy(copy, ber, &inner);
        }
    }
    if (error == NULL) {
        udm_ber_left(ber);
        error = add(copy, ber, "\0\0", 2);
    }
    return error;
}

udm_error_t *udm_ber_skip(udm_ber_t *ber, const udm_ber_element_t *element)
{
    return udm_ber_copy(NULL, ber, element);
}

udm_error_t *udm_ber_finish(udm_ber_t *ber)
{
    udm_error_t *error = NULL;

    if (ber->size == 0) {
        error = udm_mime_read(ber->mime, &ber->data, &ber->size);
    }
    if (error == NULL && ber->size != 0) {
        error = damaged(ber, "something stands behind its end");
    }
    return error;
}
