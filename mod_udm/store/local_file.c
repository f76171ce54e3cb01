/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * local_file.c: what objects and the mark are written with, and why that can fail.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "store/local_private.h"

udm_error_t *udm_store_local_error(apr_pool_t *p, int status, const char *path)
{
    const char *reason = "the store cannot be used";

    if (status == ENOSPC || status == EDQUOT) {
        reason = "the store is full";
    }
    else if (status == EROFS || status == EACCES || status == EPERM) {
        reason = "the store is read-only";
    }
    else if (status == ENOENT || status == ENOTDIR) {
        reason = "there is no store where it is said to be";
    }
    return udm_error_detail(p, udm_error_status(p, UDM_E_STORE, status, "%s", reason), "%s: %s",
                            path, strerror(status));
}

int udm_store_local_write(int fd, const char *data, apr_size_t size)
{
    while (size != 0) {
        ssize_t n = write(fd, data, size);

        if (n > 0) {
            data += n;
            size -= (apr_size_t)n;
        }
        else if (n == 0 || errno != EINTR) {
            return n == 0 ? EIO : errno;
        }
    }
    return 0;
}

int udm_store_local_sync(int fd)
{
    return fsync(fd) != 0 && errno != EINVAL ? errno : 0;
}
