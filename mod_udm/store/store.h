/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h: where finished files are kept: a table of functions, so that a second kind of store can
 * stand beside the local one.
 *
 * An object is written under a name that nobody is given (".part"), made durable, and only then
 * published under its own name. Names are made by the worker: "export-<uuid>.zip.smime" and the like.
 */
#ifndef UDM_STORE_H
#define UDM_STORE_H

#include <apr_file_io.h>
#include <apr_pools.h>
#include <apr_time.h>

#include "core/error.h"

typedef struct udm_store_t udm_store_t;
typedef struct udm_object_t udm_object_t; /* an object being written */

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
    /* Removes an object by name; one that is not there is no error. */
    udm_error_t *(*remove)(udm_store_t *store, apr_pool_t *p, const char *name);
    /* Removes every object of an export, published or not: what a dead attempt left behind. */
    udm_error_t *(*remove_export)(udm_store_t *store, apr_pool_t *p, const char *export_id);
};

/*
 * Opens a local store below `root` (a directory that exists). With an `installation` id, writes or
 * checks the mark in the store and refuses another installation's; with NULL (readers) it does not.
 * @return UDM_E_STORE
 */
udm_error_t *udm_store_local_open(udm_store_t **store, apr_pool_t *p, const char *root,
                                  const char *installation);

/* The path of an object in a local store, for whoever serves it as a file. NULL when `name` has not
 * the form of an object's name. */
const char *udm_store_local_path(apr_pool_t *p, const char *root, const char *name);

#endif
