/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * etag.h: entity tags of what the API shows, and If-Match (RFC 9110 8.8.3 and 13.1.1).
 */
#ifndef UDM_CORE_ETAG_H
#define UDM_CORE_ETAG_H

#include <stdbool.h>

#include <apr_pools.h>
#include <apr_tables.h>
#include <jansson.h>

#define UDM_ETAG_SIZE 32 /* hexadecimal digits of a tag, without its quotes */

/*
 * The strong tag of a representation: half of the SHA-256 of its bare JSON text, in quotes. The
 * same whether the answer is wrapped or not. NULL for what is not UTF-8.
 */
const char *udm_etag_make(apr_pool_t *p, const json_t *json);

/* The same for a text that is made already. */
const char *udm_etag_text(apr_pool_t *p, const char *text);

/*
 * Whether a list of tags (If-Match, If-None-Match) names this one. A proxy that compresses what it
 * hands on makes the tag weak or appends the coding (W/"x", "x-gzip", "x-br"); it stands for the same
 * content, of which the tag is a hash, so it counts as the tag itself. NULL names nothing.
 */
bool udm_etag_names(const char *list, const char *etag);

/* Whether If-Match lets a change through: NULL (not sent) does, "*" does, else the list must name
 * the tag. */
bool udm_etag_allows(const char *if_match, const char *etag);

/*
 * The tags that If-Match lets through, to be compared where the tag is made: an array of const char *,
 * each in quotes, with what a proxy has added taken off, and none that could not be one of ours. NULL:
 * any, for there is no such header, or it is "*".
 */
apr_array_header_t *udm_etag_list(apr_pool_t *p, const char *if_match);

#endif
