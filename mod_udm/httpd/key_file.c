/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * key_file.c: key files and their replacement while requests run.
 */
#include <stdatomic.h>
#include <stdbool.h>

#include <httpd.h>
#include <http_log.h>

#include <apr_file_io.h>
#include <apr_file_info.h>
#include <apr_strings.h>
#include <apr_thread_mutex.h>

#include "httpd/key_file.h"

APLOG_USE_MODULE(udm);

/* How often a file is looked at, and the largest one that is read. */
#define LOOK_EVERY apr_time_from_sec(5)
#define FILE_MAX   (1024 * 1024)

/* One reading of a file. */
typedef struct key_set_t {
    apr_pool_t *pool;
    int users; /* guarded by the file's lock; the file itself is a user while the set is current */
    const udm_link_keys_t *link;
    const udm_jwks_t *jwks;
} key_set_t;

struct udm_key_file_t {
    udm_key_file_kind kind;
    const char *path;
    apr_thread_mutex_t *lock; /* NULL in the parent */
    key_set_t *current;
    atomic_llong next_look;
    apr_thread_mutex_t *looking; /* guards what follows; taken before `lock` */
    /* how the file looked when it was last read, good or not */
    apr_time_t mtime;
    apr_off_t size;
    apr_ino_t inode;
    bool gone; /* and that was logged */
};

/* What a request holds. */
typedef struct key_use_t {
    udm_key_file_t *file;
    key_set_t *set;
} key_use_t;

udm_key_file_t *udm_key_file_make(apr_pool_t *p, udm_key_file_kind kind, const char *path)
{
    udm_key_file_t *file = apr_pcalloc(p, sizeof(*file));

    file->kind = kind;
    file->path = path;
    return file;
}

/* Names the file in front of what is wrong with it. */
static udm_error_t *wrong(const udm_key_file_t *file, apr_pool_t *p, const udm_error_t *cause)
{
    return udm_error_make(p, UDM_E_INVALID, "%s %s: %s",
                          file->kind == UDM_KEY_FILE_LINK ? "UDMLinkKeyFile" : "UDMTokenKeys",
                          file->path, udm_error_line(p, cause));
}

/* Reads and parses the file into `set`, everything in `p`; notes how the file looked. */
static udm_error_t *read_set(key_set_t **set, udm_key_file_t *file, apr_pool_t *p)
{
    apr_file_t *fd;
    apr_finfo_t finfo;
    apr_size_t size;
    char *text;
    apr_status_t status;
    udm_error_t *error;
    udm_link_keys_t *link;
    udm_jwks_t *jwks;

    *set = apr_pcalloc(p, sizeof(**set));
    (*set)->pool = p;
    status = apr_file_open(&fd, file->path, APR_READ | APR_BINARY, APR_OS_DEFAULT, p);
    if (status != APR_SUCCESS) {
        return wrong(file, p,
                     udm_error_status(p, UDM_E_INVALID, status, "the file cannot be read"));
    }
    status = apr_file_info_get(&finfo, APR_FINFO_NORM, fd);
    if (status != APR_SUCCESS && status != APR_INCOMPLETE) {
        apr_file_close(fd);
        return wrong(file, p, udm_error_status(p, UDM_E_INVALID, status, "the file has no state"));
    }
    file->mtime = finfo.mtime;
    file->size = finfo.size;
    file->inode = finfo.inode;
    if (finfo.filetype != APR_REG || finfo.size > FILE_MAX) {
        apr_file_close(fd);
        return wrong(file, p,
                     udm_error_make(p, UDM_E_INVALID, "not a regular file of at most 1 MiB"));
    }
    if (file->kind == UDM_KEY_FILE_LINK && (finfo.protection & APR_FPROT_WREAD)) {
        apr_file_close(fd);
        return wrong(file, p,
                     udm_error_make(p, UDM_E_INVALID,
                                    "everybody can read the file: whoever knows a key can make "
                                    "links; remove the right (chmod o-r)"));
    }
    size = (apr_size_t)finfo.size;
    text = apr_palloc(p, size + 1);
    status = apr_file_read_full(fd, text, size, &size);
    apr_file_close(fd);
    if (status != APR_SUCCESS && !APR_STATUS_IS_EOF(status)) {
        return wrong(file, p,
                     udm_error_status(p, UDM_E_INVALID, status, "the file cannot be read"));
    }
    text[size] = '\0';
    if (file->kind == UDM_KEY_FILE_LINK) {
        error = udm_link_keys_parse(&link, p, text, size);
        (*set)->link = error ? NULL : link;
    }
    else {
        error = udm_jwks_parse(&jwks, p, text, size);
        (*set)->jwks = error ? NULL : jwks;
    }
    return error ? wrong(file, p, error) : NULL;
}

udm_error_t *udm_key_file_load(udm_key_file_t *file, apr_pool_t *pconf)
{
    key_set_t *set;
    udm_error_t *error = read_set(&set, file, pconf);

    if (!error) {
        set->users = 1;
        file->current = set;
    }
    return error;
}

apr_status_t udm_key_file_child_init(udm_key_file_t *file, apr_pool_t *pchild)
{
    apr_status_t status;

    if (file->lock) {
        return APR_SUCCESS; /* servers without a directive of ours share the main server's */
    }
    /* what the parent read lives in its pool: no child ever frees it */
    if (file->current) {
        file->current->users++;
    }
    atomic_store(&file->next_look, apr_time_now() + LOOK_EVERY);
    status = apr_thread_mutex_create(&file->looking, APR_THREAD_MUTEX_DEFAULT, pchild);
    return status ? status : apr_thread_mutex_create(&file->lock, APR_THREAD_MUTEX_DEFAULT, pchild);
}

/* Gives a set up; the last user frees it. The file's lock is held. */
static void release(key_set_t *set)
{
    if (set && --set->users == 0) {
        apr_pool_destroy(set->pool);
    }
}

static apr_status_t release_cleanup(void *data)
{
    key_use_t *use = data;

    apr_thread_mutex_lock(use->file->lock);
    release(use->set);
    apr_thread_mutex_unlock(use->file->lock);
    return APR_SUCCESS;
}

/* Replaces the keys when the file has changed. `looking` is held. */
static void read_again(udm_key_file_t *file, request_rec *r)
{
    apr_finfo_t finfo;
    apr_pool_t *pool;
    key_set_t *set;
    udm_error_t *error;
    apr_status_t status;

    status =
        apr_stat(&finfo, file->path, APR_FINFO_MTIME | APR_FINFO_SIZE | APR_FINFO_INODE, r->pool);
    if (status != APR_SUCCESS && status != APR_INCOMPLETE) {
        /* the child may have no right to see the file at all: then a reload brings new keys */
        if (APR_STATUS_IS_ENOENT(status) && !file->gone) {
            file->gone = true;
            ap_log_rerror(
                APLOG_MARK, APLOG_ERR, status, r,
                "UDM0003: %s is not there any more; the keys that it had stay in use until "
                "httpd is restarted, which fails without it",
                file->path);
        }
        return;
    }
    file->gone = false;
    if (finfo.mtime == file->mtime && finfo.size == file->size && finfo.inode == file->inode) {
        return;
    }
    /* no parent and an allocator of its own: any thread may destroy it */
    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        return;
    }
    error = read_set(&set, file, pool);
    if (error) {
        file->mtime = finfo.mtime;
        file->size = finfo.size;
        file->inode = finfo.inode;
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "UDM0001: %s; the old keys stay in use",
                      udm_error_line(r->pool, error));
        apr_pool_destroy(pool);
        return;
    }
    set->users = 1;
    apr_thread_mutex_lock(file->lock);
    release(file->current);
    file->current = set;
    apr_thread_mutex_unlock(file->lock);
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "UDM0002: read %s again", file->path);
}

/* Looks at the file now, or waits for whoever does. */
static void look_now(udm_key_file_t *file, request_rec *r)
{
    apr_thread_mutex_lock(file->looking);
    read_again(file, r);
    apr_thread_mutex_unlock(file->looking);
}

/* Looks at the file when it is time. One thread does it, the others go on meanwhile. */
static void look(udm_key_file_t *file, request_rec *r)
{
    long long due = atomic_load(&file->next_look);

    if (apr_time_now() >= due &&
        atomic_compare_exchange_strong(&file->next_look, &due, APR_INT64_MAX)) {
        look_now(file, r);
        atomic_store(&file->next_look, apr_time_now() + LOOK_EVERY);
    }
}

/* The current set, held until the end of the request. */
static const key_set_t *use_set(udm_key_file_t *file, request_rec *r, bool now)
{
    key_use_t *use;

    if (!file->lock) {
        return file->current;
    }
    if (now) {
        look_now(file, r);
    }
    else {
        look(file, r);
    }
    use = apr_palloc(r->pool, sizeof(*use));
    use->file = file;
    apr_thread_mutex_lock(file->lock);
    use->set = file->current;
    if (use->set) {
        use->set->users++;
    }
    apr_thread_mutex_unlock(file->lock);
    apr_pool_cleanup_register(r->pool, use, release_cleanup, apr_pool_cleanup_null);
    return use->set;
}

const udm_link_keys_t *udm_key_file_link_keys(udm_key_file_t *file, request_rec *r)
{
    const key_set_t *set = use_set(file, r, false);

    return set ? set->link : NULL;
}

const udm_link_keys_t *udm_key_file_link_keys_now(udm_key_file_t *file, request_rec *r)
{
    const key_set_t *set = use_set(file, r, true);

    return set ? set->link : NULL;
}

const udm_jwks_t *udm_key_file_token_keys(udm_key_file_t *file, request_rec *r)
{
    const key_set_t *set = use_set(file, r, false);

    return set ? set->jwks : NULL;
}
