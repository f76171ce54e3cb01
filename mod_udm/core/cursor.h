/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor.h: where a list goes on, as an opaque text that a client hands back.
 *
 * Nothing in it is secret, and nothing in it is believed: what it leads to is filtered by tenant and
 * rights like any other page, and each part of it is checked before it is used.
 */
#ifndef UDM_CORE_CURSOR_H
#define UDM_CORE_CURSOR_H

#include <stdbool.h>

#include <apr_pools.h>

typedef struct udm_cursor_t {
    const char *list;     /* what list, order and filters it is of: udm_listing_t's `print` */
    apr_int64_t count;    /* all matches when the list was opened */
    const char *snapshot; /* what the list sees: a pg_snapshot in PostgreSQL's form */
    const char *key;      /* the order field of the last row of the page, as text */
    apr_int64_t id;       /* and its id */
} udm_cursor_t;

/* The cursor as text of letters, digits, - and _, in `p`. */
const char *udm_cursor_text(apr_pool_t *p, const udm_cursor_t *cursor);

/* Reads such a text. @return false for what was never made here, with `cursor` as it was */
bool udm_cursor_parse(udm_cursor_t *cursor, apr_pool_t *p, const char *text);

#endif
