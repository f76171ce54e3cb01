/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * principal.c: what a set of rights allows.
 */
#include <string.h>

#include "principal.h"

bool udm_principal_may(const udm_principal_t *who, const char *source, const char *type, bool write)
{
    int i;

    for (i = 0; who->rights && i < who->rights->nelts; i++) {
        const udm_right_t *right = &APR_ARRAY_IDX(who->rights, i, udm_right_t);

        if ((write ? right->write : right->read) && strcmp(right->source, source) == 0 &&
            strcmp(right->type, type) == 0) {
            return true;
        }
    }
    return false;
}

apr_array_header_t *udm_principal_common(apr_pool_t *p, const apr_array_header_t *a,
                                         const apr_array_header_t *b)
{
    apr_array_header_t *common =
        apr_array_make(p, a->nelts > 0 ? a->nelts : 1, sizeof(udm_right_t));
    int i, j;

    for (i = 0; i < a->nelts; i++) {
        udm_right_t both = APR_ARRAY_IDX(a, i, udm_right_t);
        bool read = false, write = false;

        for (j = 0; j < b->nelts; j++) {
            const udm_right_t *other = &APR_ARRAY_IDX(b, j, udm_right_t);

            if (strcmp(other->source, both.source) == 0 && strcmp(other->type, both.type) == 0) {
                read = read || other->read;
                write = write || other->write;
            }
        }
        both.read = both.read && read;
        both.write = both.write && write;
        if (both.read || both.write) {
            APR_ARRAY_PUSH(common, udm_right_t) = both;
        }
    }
    return common;
}
