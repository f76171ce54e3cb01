/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * local.c: a store in a directory: <root>/<first two digits of the UUID>/<name>.
 *
 * An object is written as "export-<uuid>.<part>.part" and gets its name by a rename that never
 * replaces anything. The worker writes and the web server reads: files 0640, directories 0750, with
 * the set-group-id bit of the root, whatever the umask says.
 *
 * The root is opened once, and everything is done below what was opened then: when another directory
 * comes to lie at the same path, or the empty one below a volume, nothing is written or missed there.
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

#include "core/artifact.h"
#include "store/local_private.h"

#define BUFFER_SIZE 262144

/* Bytes of a file that are given to the disk at a time while it is written. */
#define WRITEBACK_SIZE (8 << 20)
#define DIRECTORIES    256

typedef struct local_store_t {
    udm_store_t base;
    int root;         /* the directory itself, open */
    struct stat info; /* which one it is */
    mode_t directory_mode;
} local_store_t;

/* Paths are below the root. */
struct udm_object_t {
    apr_pool_t *pool;
    local_store_t *store;
    const char *directory;
    const char *path; /* of the ".part" */
    int fd;
    char *buffer;
    apr_size_t used;
    off_t written;
    off_t begun; /* what the disk was given of that */
};

struct udm_store_listing_t {
    local_store_t *store;
    int number; /* of the directory that comes next */
    char directory[3];
    DIR *dir; /* NULL: between two */
};

/* Why the store failed, for a path below the root. */
static udm_error_t *error_at(apr_pool_t *p, const local_store_t *store, int status,
                             const char *path)
{
    return udm_store_local_error(p, status, apr_pstrcat(p, store->base.root, "/", path, NULL));
}

/* Reads the name of an object that is published. */
static bool is_object_name(udm_artifact_t *artifact, const char *name)
{
    return udm_artifact_parse(artifact, name) && !artifact->draft;
}

/* The directory of an export. */
static const char *directory_of(apr_pool_t *p, const char *export_id)
{
    return apr_pstrmemdup(p, export_id, 2);
}

const char *udm_store_local_path(apr_pool_t *p, const char *root, const char *name)
{
    udm_artifact_t artifact;

    if (!is_object_name(&artifact, name)) {
        return NULL;
    }
    return apr_pstrcat(p, root, "/", directory_of(p, artifact.export_id), "/", name, NULL);
}

static int open_directory(const local_store_t *store, const char *path)
{
    return openat(store->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static int sync_directory(const local_store_t *store, const char *path)
{
    int fd = open_directory(store, path);
    int status;

    if (fd < 0) {
        return errno;
    }
    status = udm_store_local_sync(fd);
    close(fd);
    return status;
}

/* Whether the directory that was opened still is the one whose path was given. */
static udm_error_t *check_place(apr_pool_t *p, const local_store_t *store)
{
    struct stat now;

    if (stat(store->base.root, &now) == 0 && now.st_dev == store->info.st_dev &&
        now.st_ino == store->info.st_ino) {
        return NULL;
    }
    return udm_error_detail(
        p,
        udm_error_status(p, UDM_E_STORE, ESTALE, "the store was unmounted or replaced meanwhile"),
        "%s is not the directory that it was", store->base.root);
}

/* The directory of an export; made when it is the first one there. */
static udm_error_t *make_directory(const local_store_t *store, apr_pool_t *p, const char *path)
{
    int status;

    if (mkdirat(store->root, path, 0750) != 0) {
        if (errno != EEXIST) {
            return error_at(p, store, errno, path);
        }
    }
    else if (fchmodat(store->root, path, store->directory_mode, 0) != 0) {
        return error_at(p, store, errno, path);
    }
    /* Also when it was there: whoever made it may have died before this, or not be there yet. */
    status = udm_store_local_sync(store->root);
    return status != 0 ? udm_store_local_error(p, status, store->base.root) : NULL;
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
    local_store_t *s = (local_store_t *)store;
    udm_object_t *o = apr_pcalloc(p, sizeof(*o));
    udm_error_t *error;

    if (!udm_text_is_uuid(export_id)) {
        return udm_error_make(p, UDM_E_INTERNAL, "the id of an export is no UUID");
    }
    o->pool = p;
    o->store = s;
    o->directory = directory_of(p, export_id);
    o->path = apr_pstrcat(p, o->directory, "/", udm_artifact_draft(p, export_id, part), NULL);
    error = check_place(p, s);
    if (error == NULL) {
        error = make_directory(s, p, o->directory);
    }
    if (error != NULL) {
        return error;
    }
    o->fd = openat(s->root, o->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (o->fd < 0) {
        return error_at(p, s, errno, o->path);
    }
    apr_pool_cleanup_register(p, o, object_cleanup, apr_pool_cleanup_null);
    if (fchmod(o->fd, 0640) != 0) {
        return error_at(p, s, errno, o->path);
    }
    o->buffer = malloc(BUFFER_SIZE);
    if (o->buffer == NULL) {
        return error_at(p, s, ENOMEM, o->path);
    }
    *object = o;
    return NULL;
}

/*
 * Has the disk begin with what it has not got yet, so that at the end there is little left to wait for.
 * Only fsync() makes it last, and says whether it went well.
 */
static void begin_writeback(udm_object_t *object)
{
    if (object->written - object->begun >= WRITEBACK_SIZE) {
        (void)sync_file_range(object->fd, object->begun, object->written - object->begun,
                              SYNC_FILE_RANGE_WRITE);
        object->begun = object->written;
    }
}

static udm_error_t *flush_object(udm_object_t *object)
{
    int status = udm_store_local_write(object->fd, object->buffer, object->used);

    if (status == 0) {
        object->written += (off_t)object->used;
        begin_writeback(object);
    }
    object->used = 0;
    return status != 0 ? error_at(object->pool, object->store, status, object->path) : NULL;
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
        error = error_at(object->pool, object->store, errno, object->path);
    }
    object_close(object);
    return error;
}

/* Renames without ever replacing; where the kernel or the file system cannot, by way of a link. */
static int rename_new(int root, const char *from, const char *to)
{
    if (renameat2(root, from, root, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) {
        return errno;
    }
    if (linkat(root, from, root, to, 0) != 0) {
        return errno;
    }
    return unlinkat(root, from, 0) != 0 ? errno : 0;
}

static udm_error_t *local_publish(udm_object_t *object, const char *name)
{
    const local_store_t *store = object->store;
    const char *path = apr_pstrcat(object->pool, object->directory, "/", name, NULL);
    udm_artifact_t artifact;
    udm_error_t *error;
    int status;

    if (!is_object_name(&artifact, name) ||
        strncmp(artifact.export_id, object->directory, 2) != 0 || object->fd >= 0) {
        return udm_error_make(object->pool, UDM_E_INTERNAL, "an object cannot be called \"%s\"",
                              name);
    }
    error = check_place(object->pool, store);
    if (error != NULL) {
        return error;
    }
    status = rename_new(store->root, object->path, path);
    if (status == EEXIST) {
        return udm_error_status(object->pool, UDM_E_STORE, status,
                                "the store has an object \"%s\" already", name);
    }
    if (status == 0) {
        status = sync_directory(store, object->directory);
    }
    return status != 0 ? error_at(object->pool, store, status, path) : NULL;
}

static udm_error_t *local_remove(udm_store_t *store, apr_pool_t *p, const char *name)
{
    const local_store_t *s = (local_store_t *)store;
    const char *directory, *path;
    udm_artifact_t artifact;
    int status;

    if (!udm_artifact_parse(&artifact, name)) {
        return udm_error_make(p, UDM_E_INTERNAL, "\"%s\" is not the name of an object", name);
    }
    directory = directory_of(p, artifact.export_id);
    path = apr_pstrcat(p, directory, "/", name, NULL);
    if (unlinkat(s->root, path, 0) != 0) {
        return errno == ENOENT ? NULL : error_at(p, s, errno, path);
    }
    status = sync_directory(s, directory);
    return status != 0 ? error_at(p, s, status, path) : NULL;
}

static udm_error_t *local_remove_export(udm_store_t *store, apr_pool_t *p, const char *export_id)
{
    const local_store_t *s = (local_store_t *)store;
    const char *directory, *start;
    apr_size_t length;
    struct dirent *found;
    int status = 0;
    bool removed = false;
    DIR *dir;
    int fd;

    if (!udm_text_is_uuid(export_id)) {
        return udm_error_make(p, UDM_E_INTERNAL, "the id of an export is no UUID");
    }
    directory = directory_of(p, export_id);
    start = apr_pstrcat(p, UDM_ARTIFACT_PREFIX, export_id, ".", NULL);
    length = strlen(start);
    fd = open_directory(s, directory);
    dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        status = errno;
        if (fd >= 0) {
            close(fd);
        }
        /* No directory, no objects. */
        return status == ENOENT ? NULL : error_at(p, s, status, directory);
    }
    while ((found = readdir(dir)) != NULL) {
        if (strncmp(found->d_name, start, length) == 0) {
            if (unlinkat(fd, found->d_name, 0) == 0) {
                removed = true;
            }
            else if (errno != ENOENT) {
                status = errno;
            }
        }
    }
    if (status == 0 && removed) {
        status = udm_store_local_sync(fd);
    }
    closedir(dir);
    return status != 0 ? error_at(p, s, status, directory) : NULL;
}

static void listing_close(udm_store_listing_t *listing)
{
    if (listing->dir != NULL) {
        closedir(listing->dir);
        listing->dir = NULL;
    }
}

static apr_status_t listing_cleanup(void *data)
{
    listing_close(data);
    return APR_SUCCESS;
}

static udm_error_t *local_list(udm_store_listing_t **listing, udm_store_t *store, apr_pool_t *p)
{
    udm_store_listing_t *l = apr_pcalloc(p, sizeof(*l));

    l->store = (local_store_t *)store;
    apr_pool_cleanup_register(p, l, listing_cleanup, apr_pool_cleanup_null);
    *listing = l;
    return NULL;
}

/* Opens the next directory that there is. What has another form than ours is passed over. */
static int listing_open(udm_store_listing_t *l)
{
    int status = ENOENT;
    int fd;

    while (l->number < DIRECTORIES && (status == ENOENT || status == ENOTDIR || status == ELOOP)) {
        apr_snprintf(l->directory, sizeof(l->directory), "%02x", (unsigned)l->number++);
        fd = open_directory(l->store, l->directory);
        l->dir = fd >= 0 ? fdopendir(fd) : NULL;
        status = l->dir != NULL ? 0 : errno;
        if (l->dir == NULL && fd >= 0) {
            close(fd);
        }
    }
    return status == ENOTDIR || status == ELOOP ? ENOENT : status;
}

/* Adds a name, if it is one that this store gives. */
static void listing_add(apr_array_header_t *found, apr_pool_t *p, const udm_store_listing_t *l,
                        const char *name)
{
    udm_artifact_t artifact;
    udm_stored_t *stored;
    struct stat info;
    time_t changed;

    if (!udm_artifact_parse(&artifact, name) || strncmp(artifact.export_id, l->directory, 2) != 0) {
        return;
    }
    if (fstatat(dirfd(l->dir), name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) {
        return;
    }
    /* A copy of a file may have the time of its original: it is as new as its place here. */
    changed = info.st_mtime > info.st_ctime ? info.st_mtime : info.st_ctime;
    stored = apr_array_push(found);
    stored->name = apr_pstrdup(p, name);
    stored->changed = apr_time_from_sec((apr_time_t)changed);
}

static udm_error_t *local_next(apr_array_header_t **found, bool *more, udm_store_listing_t *l,
                               apr_pool_t *p, int limit)
{
    int status = 0;

    *found = apr_array_make(p, 8, sizeof(udm_stored_t));
    *more = true;
    for (int looked = 0; looked < limit; looked++) {
        struct dirent *entry;

        if (l->dir == NULL) {
            status = listing_open(l);
            if (l->dir == NULL) {
                *more = status != ENOENT;
                break;
            }
        }
        errno = 0;
        entry = readdir(l->dir);
        if (entry != NULL) {
            listing_add(*found, p, l, entry->d_name);
            continue;
        }
        status = errno;
        listing_close(l);
        if (status != 0) {
            break;
        }
    }
    return *more && status != 0 ? error_at(p, l->store, status, l->directory) : NULL;
}

static apr_status_t store_cleanup(void *data)
{
    close(((local_store_t *)data)->root);
    return APR_SUCCESS;
}

udm_error_t *udm_store_local_open(udm_store_t **store, apr_pool_t *p, const char *root,
                                  const char *installation)
{
    local_store_t *s = apr_pcalloc(p, sizeof(*s));
    udm_error_t *error = NULL;

    s->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->root < 0) {
        return udm_store_local_error(p, errno, root);
    }
    if (fstat(s->root, &s->info) != 0) {
        error = udm_store_local_error(p, errno, root);
    }
    if (error == NULL && installation != NULL) {
        error = udm_store_local_check(p, s->root, root, installation);
    }
    if (error != NULL) {
        close(s->root);
        return error;
    }
    apr_pool_cleanup_register(p, s, store_cleanup, apr_pool_cleanup_null);
    s->directory_mode = 0750 | (s->info.st_mode & S_ISGID);
    s->base.kind = "local";
    s->base.root = apr_pstrdup(p, root);
    s->base.create = local_create;
    s->base.write = local_write;
    s->base.finish = local_finish;
    s->base.publish = local_publish;
    s->base.remove = local_remove;
    s->base.remove_export = local_remove_export;
    s->base.list = local_list;
    s->base.next = local_next;
    *store = &s->base;
    return NULL;
}
