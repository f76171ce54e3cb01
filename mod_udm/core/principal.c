/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * principal.c: what a set of rights allows.
 */
#include <string.h>

#include <apr_strings.h>

#include "core/principal.h"

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

udm_principal_t *udm_principal_copy(apr_pool_t *p, const udm_principal_t *who)
{
    udm_principal_t *copy = apr_pmemdup(p, who, sizeof(*who));
    int i;

    copy->ccid = apr_pstrdup(p, who->ccid);
    copy->subject = apr_pstrdup(p, who->subject);
    copy->key_id = apr_pstrdup(p, who->key_id);
    copy->rights = apr_array_copy(p, who->rights);
    for (i = 0; i < copy->rights->nelts; i++) {
        udm_right_t *right = &APR_ARRAY_IDX(copy->rights, i, udm_right_t);

        right->source = apr_pstrdup(p, right->source);
        right->type = apr_pstrdup(p, right->type);
    }
    copy->roles = apr_array_copy(p, who->roles);
    for (i = 0; i < copy->roles->nelts; i++) {
        APR_ARRAY_IDX(copy->roles, i, const char *) =
            apr_pstrdup(p, APR_ARRAY_IDX(copy->roles, i, const char *));
    }
    return copy;
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
