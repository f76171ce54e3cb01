/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * local.c: a store in a directory: <root>/<first two digits of the UUID>/<name>.
 *
 * An object is written as "export-<uuid>.<part>.part" and gets its name by a rename that never
 * replaces anything. The worker writes and the web server reads: files 0640, directories 0750, with
 * the set-group-id bit of the root, whatever the umask says.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "core/text.h"
#include "store.h"

#define BUFFER_SIZE 262144
#define UUID_SIZE   36

static const char mark_name[] = ".udm-store";
static const char prefix[] = "export-";

typedef struct local_store_t {
    udm_store_t base;
    mode_t directory_mode;
} local_store_t;

struct udm_object_t {
    apr_pool_t *pool;
    udm_store_t *store;
    const char *directory;
    const char *path; /* of the ".part" */
    int fd;
    char *buffer;
    apr_size_t used;
};

/* Why the store failed, for a person; where, for the log. */
static udm_error_t *store_error(apr_pool_t *p, int status, const char *path)
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

/* A UUID in lower case, which is also what makes it safe as a part of a path. */
static bool is_uuid(const char *text)
{
    for (int i = 0; i < UUID_SIZE; i++) {
        char c = text[i];

        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (c != '-') {
                return false;
            }
        }
        else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return true;
}

/* export-<uuid>.z(ip|[0-9]{2,5}).(smime|p7m) */
static bool is_object_name(const char *name)
{
    apr_size_t digits;

    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0) {
        return false;
    }
    name += sizeof(prefix) - 1;
    if (!is_uuid(name) || strncmp(name + UUID_SIZE, ".z", 2) != 0) {
        return false;
    }
    name += UUID_SIZE + 2;
    digits = strspn(name, "0123456789");
    if (digits >= 2 && digits <= 5) {
        name += digits;
    }
    else if (strncmp(name, "ip", 2) == 0) {
        name += 2;
    }
    else {
        return false;
    }
    return strcmp(name, ".smime") == 0 || strcmp(name, ".p7m") == 0;
}

static const char *directory_of(apr_pool_t *p, const char *root, const char *export_id)
{
    return apr_psprintf(p, "%s/%.2s", root, export_id);
}

const char *udm_store_local_path(apr_pool_t *p, const char *root, const char *name)
{
    if (!is_object_name(name)) {
        return NULL;
    }
    return apr_pstrcat(p, directory_of(p, root, name + sizeof(prefix) - 1), "/", name, NULL);
}

/* Makes durable which names a directory has. */
static int sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = 0;

    if (fd < 0) {
        return errno;
    }
    if (fsync(fd) != 0 && errno != EINVAL) {
        status = errno;
    }
    close(fd);
    return status;
}

static int write_all(int fd, const char *data, apr_size_t size)
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

/* The directory of an export; made when it is the first one there. */
static udm_error_t *make_directory(local_store_t *store, apr_pool_t *p, const char *path)
{
    int status;

    if (mkdir(path, 0750) != 0) {
        if (errno != EEXIST) {
            return store_error(p, errno, path);
        }
    }
    else if (chmod(path, store->directory_mode) != 0) {
        return store_error(p, errno, path);
    }
    /* Also when it was there: whoever made it may have died before this, or not be there yet. */
    status = sync_directory(store->base.root);
    return status != 0 ? store_error(p, status, store->base.root) : NULL;
}

static void object_close(udm_object_t *object)
{
    if (object->fd >= 0) {
        close(object->fd);
        object->fd = -1;
    }
    free(object->buffer);
    object->buffer = NULL;
}

static apr_status_t object_cleanup(void *data)
{
    object_close(data);
    return APR_SUCCESS;
}

static udm_error_t *local_create(udm_object_t **object, udm_store_t *store, apr_pool_t *p,
                                 const char *export_id, int part)
{
    udm_object_t *o = apr_pcalloc(p, sizeof(*o));
    udm_error_t *error;

    if (strlen(export_id) != UUID_SIZE || !is_uuid(export_id)) {
        return udm_error_make(p, UDM_E_INTERNAL, "the id of an export is no UUID");
    }
    o->pool = p;
    o->store = store;
    o->directory = directory_of(p, store->root, export_id);
    o->path = apr_psprintf(p, "%s/%s%s.%d.part", o->directory, prefix, export_id, part);
    error = make_directory((local_store_t *)store, p, o->directory);
    if (error != NULL) {
        return error;
    }
    o->fd = open(o->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (o->fd < 0) {
        return store_error(p, errno, o->path);
    }
    apr_pool_cleanup_register(p, o, object_cleanup, apr_pool_cleanup_null);
    if (fchmod(o->fd, 0640) != 0) {
        return store_error(p, errno, o->path);
    }
    o->buffer = malloc(BUFFER_SIZE);
    if (o->buffer == NULL) {
        return store_error(p, ENOMEM, o->path);
    }
    *object = o;
    return NULL;
}

static udm_error_t *flush_object(udm_object_t *object)
{
    int status = write_all(object->fd, object->buffer, object->used);

    object->used = 0;
    return status != 0 ? store_error(object->pool, status, object->path) : NULL;
}

static udm_error_t *local_write(udm_object_t *object, const void *data, apr_size_t size)
{
    const char *from = data;

    while (size != 0) {
        apr_size_t room = BUFFER_SIZE - object->used;
        apr_size_t take = size < room ? size : room;

        memcpy(object->buffer + object->used, from, take);
        object->used += take;
        from += take;
        size -= take;
        if (object->used == BUFFER_SIZE) {
            udm_error_t *error = flush_object(object);

            if (error != NULL) {
                return error;
            }
        }
    }
    return NULL;
}

static udm_error_t *local_finish(udm_object_t *object)
{
    udm_error_t *error = flush_object(object);

    if (error == NULL && fsync(object->fd) != 0) {
        error = store_error(object->pool, errno, object->path);
    }
    object_close(object);
    return error;
}

/* Renames without ever replacing; where the kernel or the file system cannot, by way of a link. */
static int rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) {
        return errno;
    }
    if (link(from, to) != 0) {
        return errno;
    }
    return unlink(from) != 0 ? errno : 0;
}

static udm_error_t *local_publish(udm_object_t *object, const char *name)
{
    const char *path = udm_store_local_path(object->pool, object->store->root, name);
    int status;

    if (path == NULL || strncmp(path, object->directory, strlen(object->directory)) != 0 ||
        object->fd >= 0) {
        return udm_error_make(object->pool, UDM_E_INTERNAL, "an object cannot be called \"%s\"",
                              name);
    }
    status = rename_new(object->path, path);
    if (status == EEXIST) {
        return udm_error_status(object->pool, UDM_E_STORE, status,
                                "the store has an object \"%s\" already", name);
    }
    if (status == 0) {
        status = sync_directory(object->directory);
    }
    return status != 0 ? store_error(object->pool, status, path) : NULL;
}

static udm_error_t *local_remove(udm_store_t *store, apr_pool_t *p, const char *name)
{
    const char *path = udm_store_local_path(p, store->root, name);
    int status;

    if (path == NULL) {
        return udm_error_make(p, UDM_E_INTERNAL, "\"%s\" is not the name of an object", name);
    }
    if (unlink(path) != 0) {
        return errno == ENOENT ? NULL : store_error(p, errno, path);
    }
    status = sync_directory(directory_of(p, store->root, name + sizeof(prefix) - 1));
    return status != 0 ? store_error(p, status, path) : NULL;
}

static udm_error_t *local_remove_export(udm_store_t *store, apr_pool_t *p, const char *export_id)
{
    const char *directory, *start;
    apr_size_t length;
    struct dirent *found;
    int status = 0;
    bool removed = false;
    DIR *dir;

    if (strlen(export_id) != UUID_SIZE || !is_uuid(export_id)) {
        return udm_error_make(p, UDM_E_INTERNAL, "the id of an export is no UUID");
    }
    directory = directory_of(p, store->root, export_id);
    start = apr_pstrcat(p, prefix, export_id, ".", NULL);
    length = strlen(start);
    dir = opendir(directory);
    if (dir == NULL) {
        /* No directory, no objects; but the store itself must be there. */
        if (errno == ENOENT && access(store->root, F_OK) == 0) {
            return NULL;
        }
        return store_error(p, errno, directory);
    }
    while ((found = readdir(dir)) != NULL) {
        if (strncmp(found->d_name, start, length) == 0) {
            if (unlinkat(dirfd(dir), found->d_name, 0) == 0) {
                removed = true;
            }
            else if (errno != ENOENT) {
                status = errno;
            }
        }
    }
    closedir(dir);
    if (status == 0 && removed) {
        status = sync_directory(directory);
    }
    return status != 0 ? store_error(p, status, directory) : NULL;
}

/* Reads whose store it is. @return 0, or an errno: ENOENT when nobody said so yet */
static int read_mark(char *id, apr_size_t size, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
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
static int write_mark(apr_pool_t *p, const char *root, const char *path, const char *id)
{
    const char *text = apr_pstrcat(p, id, "\n", NULL);
    char *temporary = apr_pstrcat(p, root, "/.udm-store-XXXXXX", NULL);
    int fd = mkostemp(temporary, O_CLOEXEC);
    int status;

    if (fd < 0) {
        return errno;
    }
    status = write_all(fd, text, strlen(text));
    if (status == 0 && (fchmod(fd, 0640) != 0 || fsync(fd) != 0)) {
        status = errno;
    }
    close(fd);
    if (status == 0 && link(temporary, path) != 0) {
        status = errno;
    }
    unlink(temporary);
    return status != 0 ? status : sync_directory(root);
}

/* Sees to it that the store is this installation's. */
static udm_error_t *check_mark(apr_pool_t *p, const char *root, const char *installation)
{
    const char *path = apr_pstrcat(p, root, "/", mark_name, NULL);
    char id[256];
    int status = read_mark(id, sizeof(id), path);

    if (status == ENOENT) {
        status = write_mark(p, root, path, installation);
        if (status == EEXIST || status == 0) {
            status = read_mark(id, sizeof(id), path);
        }
    }
    if (status != 0) {
        return store_error(p, status, path);
    }
    if (strcmp(id, installation) != 0) {
        return udm_error_detail(
            p,
            udm_error_make(p, UDM_E_STORE,
                           "the store belongs to another installation: give each one a directory "
                           "of its own"),
            "%s says %s, this installation is %s", path, id, installation);
    }
    return NULL;
}

udm_error_t *udm_store_local_open(udm_store_t **store, apr_pool_t *p, const char *root,
                                  const char *installation)
{
    local_store_t *s = apr_pcalloc(p, sizeof(*s));
    struct stat info;
    udm_error_t *error;

    if (stat(root, &info) != 0) {
        return store_error(p, errno, root);
    }
    if (!S_ISDIR(info.st_mode)) {
        return store_error(p, ENOTDIR, root);
    }
    error = installation != NULL ? check_mark(p, root, installation) : NULL;
    if (error != NULL) {
        return error;
    }
    s->directory_mode = 0750 | (info.st_mode & S_ISGID);
    s->base.kind = "local";
    s->base.root = apr_pstrdup(p, root);
    s->base.create = local_create;
    s->base.write = local_write;
    s->base.finish = local_finish;
    s->base.publish = local_publish;
    s->base.remove = local_remove;
    s->base.remove_export = local_remove_export;
    *store = &s->base;
    return NULL;
}
