/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * output.c: a directory or file with a name of its own beside the one asked for, for nobody but its
 * owner; renamed at the end, over nothing.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "core/zip_format.h"
#include "decrypt/output.h"

#define BUFFER_SIZE 131072

struct udm_output_t {
    apr_pool_t *pool;
    udm_output_kind kind;
    const char *path;
    const char *folder;
    char *temporary; /* NULL once it has its name */
    int fd;          /* of the directory, or of the archive */
    int entry;       /* of the file under way in the directory */
    apr_int64_t at;
    apr_size_t size; /* of what waits in `buffer` */
    unsigned char *buffer;
};

/* A second error number while cleaning up is nobody's business. */
static udm_error_t *write_error(udm_output_t *o)
{
    return udm_error_make(o->pool, UDM_E_STORE, "%s: cannot be written: %s", o->path,
                          strerror(errno));
}

static void remove_all(int fd)
{
    DIR *dir = fdopendir(dup(fd));
    const struct dirent *entry;

    unlinkat(fd, UDM_MANIFEST_NAME, 0);
    if (dir == NULL) {
        return;
    }
    rewinddir(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            unlinkat(fd, entry->d_name, 0) != 0) {
            unlinkat(fd, entry->d_name, AT_REMOVEDIR);
        }
    }
    closedir(dir);
}

static apr_status_t output_free(void *data)
{
    udm_output_t *o = data;

    if (o->entry >= 0) {
        close(o->entry);
    }
    if (o->temporary != NULL && o->kind == UDM_OUTPUT_DIRECTORY) {
        if (o->fd >= 0) {
            remove_all(o->fd);
        }
        rmdir(o->temporary);
    }
    else if (o->temporary != NULL) {
        unlink(o->temporary);
    }
    if (o->fd >= 0) {
        close(o->fd);
    }
    free(o->buffer);
    return APR_SUCCESS;
}

static udm_error_t *exists(udm_output_t *o)
{
    return udm_error_make(o->pool, UDM_E_INVALID, "%s exists already, and is not touched", o->path);
}

/* The path without slashes at its end, and the folder it is in. */
static void split_path(udm_output_t *o, const char *path)
{
    char *copy = apr_pstrdup(o->pool, path);
    const char *slash;
    apr_size_t size = strlen(copy);

    while (size > 1 && copy[size - 1] == '/') {
        copy[--size] = '\0';
    }
    o->path = copy;
    slash = strrchr(copy, '/');
    o->folder = slash == NULL   ? "."
                : slash == copy ? "/"
                                : apr_pstrmemdup(o->pool, copy, (apr_size_t)(slash - copy));
}

udm_error_t *udm_output_open(udm_output_t **output, apr_pool_t *p, udm_output_kind kind,
                             const char *path)
{
    udm_output_t *o = apr_pcalloc(p, sizeof(*o));
    struct stat info;
    char *name;

    o->pool = p;
    o->kind = kind;
    o->fd = o->entry = -1;
    *output = o;
    if (kind == UDM_OUTPUT_NONE) {
        const char *dir = getenv("TMPDIR");

        o->folder = dir != NULL && *dir != '\0' ? dir : "/tmp";
        return NULL;
    }
    split_path(o, path);
    if (lstat(o->path, &info) == 0) {
        return exists(o);
    }
    apr_pool_cleanup_register(p, o, output_free, apr_pool_cleanup_null);
    name = apr_pstrcat(p, o->folder, "/.udm-decrypt-XXXXXX", NULL);
    if (kind == UDM_OUTPUT_DIRECTORY) {
        if (mkdtemp(name) == NULL) {
            return write_error(o);
        }
        o->temporary = name;
        o->fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    }
    else {
        o->buffer = malloc(BUFFER_SIZE);
        o->fd = mkstemp(name);
        if (o->fd >= 0) {
            o->temporary = name;
            fcntl(o->fd, F_SETFD, FD_CLOEXEC);
        }
        if (o->buffer == NULL) {
            return udm_error_make(p, UDM_E_INTERNAL, "there is no memory");
        }
    }
    return o->fd >= 0 ? NULL : write_error(o);
}

const char *udm_output_folder(const udm_output_t *output)
{
    return output->folder;
}

static udm_error_t *write_all(udm_output_t *o, int fd, const unsigned char *data, apr_size_t size)
{
    while (size != 0) {
        ssize_t done = write(fd, data, size);

        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return write_error(o);
        }
        data += done;
        size -= (apr_size_t)done;
    }
    return NULL;
}

udm_error_t *udm_output_begin(udm_output_t *output, const char *name)
{
    if (output->kind != UDM_OUTPUT_DIRECTORY) {
        return NULL;
    }
    if (strcmp(name, UDM_MANIFEST_NAME) == 0 && mkdirat(output->fd, "META-INF", 0700) != 0) {
        return write_error(output);
    }
    output->entry =
        openat(output->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (output->entry < 0 && errno == EEXIST) {
        return udm_error_make(output->pool, UDM_E_UNPROCESSABLE,
                              "two entries of the archive have the same name: %s", name);
    }
    return output->entry >= 0 ? NULL : write_error(output);
}

udm_error_t *udm_output_content(udm_output_t *output, const void *data, apr_size_t size)
{
    return output->kind == UDM_OUTPUT_DIRECTORY ? write_all(output, output->entry, data, size)
                                                : NULL;
}

udm_error_t *udm_output_end(udm_output_t *output)
{
    int fd = output->entry;

    output->entry = -1;
    return fd < 0 || close(fd) == 0 || errno == EINTR ? NULL : write_error(output);
}

static udm_error_t *flush(udm_output_t *o)
{
    apr_size_t size = o->size;

    o->size = 0;
    return write_all(o, o->fd, o->buffer, size);
}

udm_error_t *udm_output_raw(udm_output_t *output, const void *data, apr_size_t size)
{
    const unsigned char *from = data;
    udm_error_t *error = NULL;

    if (output->kind != UDM_OUTPUT_ARCHIVE) {
        return NULL;
    }
    output->at += (apr_int64_t)size;
    while (error == NULL && size != 0) {
        apr_size_t take = BUFFER_SIZE - output->size;

        if (take > size) {
            take = size;
        }
        memcpy(output->buffer + output->size, from, take);
        output->size += take;
        from += take;
        size -= take;
        if (output->size == BUFFER_SIZE) {
            error = flush(output);
        }
    }
    return error;
}

apr_int64_t udm_output_at(const udm_output_t *output)
{
    return output->at;
}

/* Renames over nothing: what has come into being under that name meanwhile stays. */
static int rename_new(const char *from, const char *to)
{
    struct stat info;

#ifdef RENAME_NOREPLACE
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return -1;
    }
#endif
    /* A file system that cannot: as near to it as can be. */
    if (lstat(to, &info) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

udm_error_t *udm_output_finish(udm_output_t *output)
{
    int folder;
    udm_error_t *error = NULL;

    if (output->kind == UDM_OUTPUT_NONE) {
        return NULL;
    }
    if (output->kind == UDM_OUTPUT_ARCHIVE) {
        error = flush(output);
        if (error == NULL && fsync(output->fd) != 0) {
            error = write_error(output);
        }
    }
    /* One call for any number of files. */
    else if (syncfs(output->fd) != 0) {
        error = write_error(output);
    }
    if (error != NULL) {
        return error;
    }
    if (rename_new(output->temporary, output->path) != 0) {
        return errno == EEXIST || errno == ENOTEMPTY ? exists(output) : write_error(output);
    }
    output->temporary = NULL;
    folder = open(output->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        fsync(folder);
        close(folder);
    }
    return NULL;
}
