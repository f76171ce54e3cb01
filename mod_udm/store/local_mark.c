/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * local_mark.c: the file ".udm-store", which says whose store a directory is. The directory below a
 * volume that is not mounted has none, and so it is never taken for a store that is empty.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "core/text.h"
#include "store/local_private.h"

static const char mark_name[] = ".udm-store";

/* Reads whose store it is. @return 0, or an errno: ENOENT when nobody said so yet */
static int read_mark(char *id, apr_size_t size, int root)
{
    int fd = openat(root, mark_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n;
    int status;

    if (fd < 0) {
        return errno;
    }
    n = read(fd, id, size - 1);
    status = n < 0 ? errno : 0;
    close(fd);
    if (status == 0) {
        id[n] = '\0';
        id[strcspn(id, "\r\n")] = '\0';
    }
    return status;
}

/* Writes the mark under another name and links it, so that it is there whole or not at all. */
static int write_mark(apr_pool_t *p, int root, const char *id)
{
    const char *text = apr_pstrcat(p, id, "\n", NULL);
    const char *temporary = apr_pstrcat(p, mark_name, "-", udm_text_uuid(p), NULL);
    int fd = openat(root, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    int status;

    if (fd < 0) {
        return errno;
    }
    status = udm_store_local_write(fd, text, strlen(text));
    if (status == 0 && (fchmod(fd, 0640) != 0 || fsync(fd) != 0)) {
        status = errno;
    }
    close(fd);
    if (status == 0 && linkat(root, temporary, root, mark_name, 0) != 0) {
        status = errno;
    }
    unlinkat(root, temporary, 0);
    return status != 0 ? status : udm_store_local_sync(root);
}

udm_error_t *udm_store_local_check(apr_pool_t *p, int root, const char *path,
                                   const char *installation)
{
    const char *mark = apr_pstrcat(p, path, "/", mark_name, NULL);
    char id[256];
    int status = read_mark(id, sizeof(id), root);

    if (status == ENOENT) {
        return udm_error_detail(
            p,
            udm_error_status(p, UDM_E_STORE, UDM_STORE_UNMARKED,
                             "the directory of the store is nobody's store: is its volume not "
                             "mounted? To begin a new store there on purpose, SELECT "
                             "udm.new_store()"),
            "%s does not exist", mark);
    }
    if (status != 0) {
        return udm_store_local_error(p, status, mark);
    }
    if (strcmp(id, installation) != 0) {
        return udm_error_detail(
            p,
            udm_error_make(p, UDM_E_STORE,
                           "the store belongs to another installation: give each one a directory "
                           "of its own"),
            "%s says %s, this installation is %s", mark, id, installation);
    }
    return NULL;
}

bool udm_store_local_present(apr_pool_t *p, const char *root)
{
    return access(apr_pstrcat(p, root, "/", mark_name, NULL), F_OK) == 0;
}

udm_error_t *udm_store_local_adopt(apr_pool_t *p, const char *root, const char *installation)
{
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    udm_error_t *error;
    int status;

    if (fd < 0) {
        return udm_store_local_error(p, errno, root);
    }
    error = udm_store_local_check(p, fd, root, installation);
    if (error != NULL && error->status == UDM_STORE_UNMARKED) {
        status = write_mark(p, fd, installation);
        /* Somebody else may have been quicker: then it is said whose it is. */
        error = status == 0 || status == EEXIST
                    ? udm_store_local_check(p, fd, root, installation)
                    : udm_store_local_error(p, status, apr_pstrcat(p, root, "/", mark_name, NULL));
    }
    close(fd);
    return error;
}
