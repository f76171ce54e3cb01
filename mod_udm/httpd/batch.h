/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h: what many requests ask of the database at the same time, asked together.
 */
#ifndef UDM_HTTPD_BATCH_H
#define UDM_HTTPD_BATCH_H

#include <stdbool.h>

#include <httpd.h>

#include "pg/client.h"

/* Of one child and one server, for one kind of question. */
typedef struct udm_batch_t udm_batch_t;

/* How many are asked for together at most. */
#define UDM_BATCH_MAX 64

/*
 * Asks for all `items` in one statement. `p` is for what is needed meanwhile; an answer goes into its
 * item, with whatever it points to from a pool that the item brings along. Nobody else uses that
 * pool meanwhile.
 * @return an error of the database, which is that of all items
 */
typedef udm_error_t *(*udm_batch_fn)(apr_pool_t *p, udm_pg_t *db, void *const *items, int count);

/* Defines the udm_batch_fn `name` by a function of db/ that takes pointers to `type`. */
#define UDM_BATCH_FN(name, type, ask)                                                              \
    udm_error_t *name(apr_pool_t *p, udm_pg_t *db, void *const *items, int count)                  \
    {                                                                                              \
        type *typed[UDM_BATCH_MAX]; /* NOLINT(bugprone-macro-parentheses) */                       \
        int i;                                                                                     \
                                                                                                   \
        for (i = 0; i < count; i++) {                                                              \
            typed[i] = items[i];                                                                   \
        }                                                                                          \
        return ask(p, db, typed, count);                                                           \
    }

/* `again`: see udm_dbd_with(). Good as long as `pchild` is. */
udm_batch_t *udm_batch_create(apr_pool_t *pchild, bool again, udm_batch_fn fn);

/*
 * Has `item` asked for, by itself or with those of other requests of the same group. Any number of threads
 * at a time. `group`: whose trouble they share, like a contact centre whose rows somebody has locked; ""
 * where there is none to share.
 * @return an error of the database, in r->pool
 */
udm_error_t *udm_batch_ask(udm_batch_t *batch, request_rec *r, void *item, const char *group);

#endif
