/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h: where finished files are kept: a table of functions, so that a second kind of store can
 * stand beside the local one.
 *
 * An object is written under a name that nobody is given (".part"), made durable, and only then
 * published under its own name. Names are those of core/artifact.h.
 */
#ifndef UDM_STORE_STORE_H
#define UDM_STORE_STORE_H

#include <errno.h>
#include <stdbool.h>

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

#include "core/error.h"

typedef struct udm_store_t udm_store_t;
typedef struct udm_object_t udm_object_t;               /* an object being written */
typedef struct udm_store_listing_t udm_store_listing_t; /* a look through the whole store */

/* The status of the error about a directory that nobody has marked as a store. */
#define UDM_STORE_UNMARKED ENODATA

/* What is in the store under the name of an object, published or not (".part"). */
typedef struct udm_stored_t {
    const char *name;
    apr_time_t changed;
} udm_stored_t;

struct udm_store_t {
    const char *kind;
    const char *root;

    /* Begins an object of one export: `export_id` is its UUID, `part` its number from 1. */
    udm_error_t *(*create)(udm_object_t **object, udm_store_t *store, apr_pool_t *p,
                           const char *export_id, int part);
    udm_error_t *(*write)(udm_object_t *object, const void *data, apr_size_t size);
    /* Makes what was written durable and closes it; not yet visible. */
    udm_error_t *(*finish)(udm_object_t *object);
    /* Publishes a finished object under `name`, durably: it exists, whole, once this returns. */
    udm_error_t *(*publish)(udm_object_t *object, const char *name);
    /* Removes an object by name, be it published or a ".part"; one that is not there is no error. */
    udm_error_t *(*remove)(udm_store_t *store, apr_pool_t *p, const char *name);
    /* Removes every object of an export, published or not: what a dead attempt left behind. */
    udm_error_t *(*remove_export)(udm_store_t *store, apr_pool_t *p, const char *export_id);
    /* Begins a look through the store, which lasts as long as `p`. */
    udm_error_t *(*list)(udm_store_listing_t **listing, udm_store_t *store, apr_pool_t *p);
    /*
     * Looks at up to `limit` entries more; `found` (of udm_stored_t) gets those that have the name of
     * an object, `more` whether there is more to look at. After an error, which is one of a part of
     * the store, the next call goes on behind that part.
     */
    udm_error_t *(*next)(apr_array_header_t **found, bool *more, udm_store_listing_t *listing,
                         apr_pool_t *p, int limit);
};

/*
 * Opens a local store below `root` (a directory that exists), as long as `p` lives. With an
 * `installation` id, only when the mark there says so: one that has none, or another's, is refused.
 * With NULL that is not looked at.
 * @return UDM_E_STORE; with the status UDM_STORE_UNMARKED when there is no mark
 */
udm_error_t *udm_store_local_open(udm_store_t **store, apr_pool_t *p, const char *root,
                                  const char *installation);

/* Makes `root` the store of this installation, unless it is another's: writes the mark. */
udm_error_t *udm_store_local_adopt(apr_pool_t *p, const char *root, const char *installation);

/* Whether the directory is there and somebody's store: not the one below a volume that is away. */
bool udm_store_local_present(apr_pool_t *p, const char *root);

/* The path of an object in a local store, for whoever serves it as a file. NULL when `name` has not
 * the form of the name of one that is published. */
const char *udm_store_local_path(apr_pool_t *p, const char *root, const char *name);

#endif
