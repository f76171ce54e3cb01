/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * ber.h: walks through BER (X.690) as it comes in: elements of definite and of indefinite length,
 * one after the other, without holding more than is asked for.
 */
#ifndef UDM_DECRYPT_BER_H
#define UDM_DECRYPT_BER_H

#include <stdbool.h>

#include "decrypt/mime.h"

/* Deepest nesting; a CMS that holds what we read has 7 levels. */
#define UDM_BER_DEPTH 24

#define UDM_BER_CONSTRUCTED 0x20
#define UDM_BER_INTEGER     0x02
#define UDM_BER_OCTETS      0x04
#define UDM_BER_OID         0x06
#define UDM_BER_SEQUENCE    0x30
#define UDM_BER_SET         0x31
#define UDM_BER_CONTEXT(n)  (0x80 | (n))

/* The beginning of an element. */
typedef struct udm_ber_element_t {
    unsigned char tag; /* the identifier octet; tags above 30 are not read */
    apr_int64_t size;  /* of the content; -1: up to its end mark */
    unsigned char raw[10];
    apr_size_t raw_size;
} udm_ber_element_t;

/* A growing copy of elements. */
typedef struct udm_ber_copy_t {
    unsigned char *data;
    apr_size_t size;
    apr_size_t space;
} udm_ber_copy_t;

typedef struct udm_ber_t udm_ber_t;

udm_ber_t *udm_ber_make(apr_pool_t *p, udm_mime_t *mime);

/* The next element inside of the one that was entered last; `*end` when there is none. */
udm_error_t *udm_ber_next(udm_ber_element_t *element, bool *end, udm_ber_t *ber);

/* The same where there must be one, with this tag. */
udm_error_t *udm_ber_expect(udm_ber_element_t *element, udm_ber_t *ber, unsigned char tag);

/* Goes into an element (a constructed one), and out of it where it must have ended. */
udm_error_t *udm_ber_enter(udm_ber_t *ber, const udm_ber_element_t *element);
udm_error_t *udm_ber_leave(udm_ber_t *ber);

/* Out of an element whose end udm_ber_next has said. */
void udm_ber_left(udm_ber_t *ber);

/* The whole element, added to `copy`, which has a fixed space. */
udm_error_t *udm_ber_copy(udm_ber_copy_t *copy, udm_ber_t *ber, const udm_ber_element_t *element);
udm_error_t *udm_ber_skip(udm_ber_t *ber, const udm_ber_element_t *element);

/* Some of the next `most` bytes of content, at least one. */
udm_error_t *udm_ber_bytes(const unsigned char **data, apr_size_t *size, udm_ber_t *ber,
                           apr_int64_t most);

/* Fails unless the file ends here. */
udm_error_t *udm_ber_finish(udm_ber_t *ber);

#endif
