/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * local_private.h: what the files of the local store share: local.c stands on local_mark.c, both on
 * local_file.c.
 */
#ifndef UDM_STORE_LOCAL_PRIVATE_H
#define UDM_STORE_LOCAL_PRIVATE_H

#include "store/store.h"

/* UDM_E_STORE: why it failed, for a person; where, for the log. `status` is an errno. */
udm_error_t *udm_store_local_error(apr_pool_t *p, int status, const char *path);

/* Writes all of it. @return 0, or an errno */
int udm_store_local_write(int fd, const char *data, apr_size_t size);

/* Makes durable which names an open directory has. @return 0, or an errno */
int udm_store_local_sync(int fd);

/* Sees to it that the open directory `root` at `path` has the mark of this installation. */
udm_error_t *udm_store_local_check(apr_pool_t *p, int root, const char *path,
                                   const char *installation);

#endif
