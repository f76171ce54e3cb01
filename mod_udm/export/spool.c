/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * spool.c: the encrypted spool: AES-256-CTR, a fresh random key for each, so the counter starts at
 * zero. The file has no name as soon as it exists, so nothing is left of it whatever happens.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "export/spool.h"

#define BLOCK_SIZE 32768

/* How much udm_spool_copy gives back at a time. */
#define PUNCH_SIZE (1 << 20)

/* How much udm_spool_try writes: 1 MiB. */
#define TRY_BLOCKS 32

struct udm_spool_t {
    apr_pool_t *pool;
    const char *dir;
    int fd;
    EVP_CIPHER_CTX *cipher;
    unsigned char key[32];
    unsigned char *block; /* BLOCK_SIZE bytes: being filled, or being read */
    apr_size_t used;      /* of block */
    apr_size_t read;      /* of block, while reading */
    apr_int64_t size;
    bool reading;
};

void udm_spool_close(udm_spool_t *spool)
{
    if (spool->fd >= 0) {
        close(spool->fd);
        spool->fd = -1;
    }
    EVP_CIPHER_CTX_free(spool->cipher);
    spool->cipher = NULL;
    OPENSSL_cleanse(spool->key, sizeof(spool->key));
    if (spool->block != NULL) {
        OPENSSL_cleanse(spool->block, BLOCK_SIZE);
        free(spool->block);
        spool->block = NULL;
    }
}

static apr_status_t spool_cleanup(void *data)
{
    udm_spool_close(data);
    return APR_SUCCESS;
}

/* Why the spool failed, for a person; where, for the log. */
static udm_error_t *spool_error(const udm_spool_t *spool, int status)
{
    const char *reason = "the spool directory cannot be used";

    if (status == ENOSPC || status == EDQUOT) {
        reason = "the spool directory is full";
    }
    else if (status == EACCES || status == EPERM || status == EROFS) {
        reason = "the spool directory cannot be written";
    }
    else if (status == ENOENT || status == ENOTDIR) {
        reason = "there is no spool directory";
    }
    return udm_error_detail(spool->pool,
                            udm_error_status(spool->pool, UDM_E_STORE, status, "%s", reason),
                            "%s: %s", spool->dir, strerror(status));
}

static udm_error_t *cipher_error(const udm_spool_t *spool)
{
    ERR_clear_error();
    return udm_error_make(spool->pool, UDM_E_INTERNAL, "the spool cannot be encrypted");
}

/* A file without a name; where the file system cannot make one, the name goes at once. */
static int open_unlinked(apr_pool_t *p, const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        char *name = apr_pstrcat(p, dir, "/udm-spool-XXXXXX", NULL);

        fd = mkostemp(name, O_CLOEXEC);
        if (fd >= 0) {
            unlink(name);
        }
    }
    return fd;
}

static udm_error_t *start_cipher(udm_spool_t *spool)
{
    static const unsigned char zero[16];

    if (EVP_EncryptInit_ex(spool->cipher, EVP_aes_256_ctr(), NULL, spool->key, zero) != 1) {
        return cipher_error(spool);
    }
    return NULL;
}

udm_error_t *udm_spool_open(udm_spool_t **spool, apr_pool_t *p, const char *dir)
{
    udm_spool_t *s = apr_pcalloc(p, sizeof(*s));

    s->pool = p;
    s->dir = dir;
    s->fd = open_unlinked(p, dir);
    if (s->fd < 0) {
        return spool_error(s, errno);
    }
    apr_pool_cleanup_register(p, s, spool_cleanup, apr_pool_cleanup_null);
    s->block = malloc(BLOCK_SIZE);
    s->cipher = EVP_CIPHER_CTX_new();
    if (s->block == NULL || s->cipher == NULL || RAND_bytes(s->key, sizeof(s->key)) != 1) {
        return cipher_error(s);
    }
    *spool = s;
    return start_cipher(s);
}

/* Encrypts the block in place and writes it out. */
static udm_error_t *flush_block(udm_spool_t *spool)
{
    apr_size_t done = 0;
    int size;

    if (spool->used == 0) {
        return NULL;
    }
    if (EVP_EncryptUpdate(spool->cipher, spool->block, &size, spool->block, (int)spool->used) !=
        1) {
        return cipher_error(spool);
    }
    while (done < spool->used) {
        ssize_t n = write(spool->fd, spool->block + done, spool->used - done);

        if (n > 0) {
            done += (apr_size_t)n;
        }
        else if (n == 0 || errno != EINTR) {
            return spool_error(spool, n == 0 ? EIO : errno);
        }
    }
    spool->used = 0;
    return NULL;
}

udm_error_t *udm_spool_write(udm_spool_t *spool, const void *data, apr_size_t size)
{
    const unsigned char *from = data;

    if (spool->reading) {
        return udm_error_make(spool->pool, UDM_E_INTERNAL, "the spool is being read");
    }
    while (size != 0) {
        apr_size_t room = BLOCK_SIZE - spool->used;
        apr_size_t take = size < room ? size : room;

        memcpy(spool->block + spool->used, from, take);
        spool->used += take;
        spool->size += (apr_int64_t)take;
        from += take;
        size -= take;
        if (spool->used == BLOCK_SIZE) {
            udm_error_t *error = flush_block(spool);

            if (error != NULL) {
                return error;
            }
        }
    }
    return NULL;
}

apr_int64_t udm_spool_size(const udm_spool_t *spool)
{
    return spool->size;
}

udm_error_t *udm_spool_rewind(udm_spool_t *spool)
{
    udm_error_t *error = NULL;

    if (!spool->reading) {
        error = flush_block(spool);
        if (error != NULL) {
            return error;
        }
        spool->reading = true;
    }
    spool->used = spool->read = 0;
    if (lseek(spool->fd, 0, SEEK_SET) != 0) {
        return spool_error(spool, errno);
    }
    return start_cipher(spool);
}

/* The next block, decrypted; `used` stays 0 at the end. */
static udm_error_t *fill_block(udm_spool_t *spool)
{
    ssize_t n;
    int size;

    do {
        n = read(spool->fd, spool->block, BLOCK_SIZE);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return spool_error(spool, errno);
    }
    spool->read = 0;
    spool->used = (apr_size_t)n;
    if (n > 0 && EVP_EncryptUpdate(spool->cipher, spool->block, &size, spool->block, (int)n) != 1) {
        return cipher_error(spool);
    }
    return NULL;
}

udm_error_t *udm_spool_read(void *data, apr_size_t *got, udm_spool_t *spool, apr_size_t size)
{
    unsigned char *to = data;

    *got = 0;
    while (size != 0) {
        apr_size_t take = spool->used - spool->read;

        if (take == 0) {
            udm_error_t *error = fill_block(spool);

            if (error != NULL) {
                return error;
            }
            if (spool->used == 0) {
                break;
            }
            continue;
        }
        if (take > size) {
            take = size;
        }
        memcpy(to, spool->block + spool->read, take);
        spool->read += take;
        *got += take;
        to += take;
        size -= take;
    }
    return NULL;
}

/*
 * Gives back what was read: the disk need not hold it twice, and what follows is written into memory
 * that is at hand. Where the file system cannot, it comes back with the file.
 */
static void punch(const udm_spool_t *spool, off_t from, off_t size)
{
    (void)fallocate(spool->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, size);
}

udm_error_t *udm_spool_empty(udm_spool_t *spool, const udm_sink_t *sink)
{
    udm_error_t *error = udm_spool_rewind(spool);
    off_t done = 0;
    off_t punched = 0;

    while (error == NULL) {
        error = fill_block(spool);
        if (error != NULL || spool->used == 0) {
            break;
        }
        error = sink->write(sink->context, spool->block, spool->used);
        done += (off_t)spool->used;
        spool->used = 0;
        if (done - punched >= PUNCH_SIZE) {
            punch(spool, punched, done - punched);
            punched = done;
        }
    }
    udm_spool_close(spool);
    return error;
}

udm_error_t *udm_spool_try(apr_pool_t *p, const char *dir)
{
    static const char zeros[BLOCK_SIZE];
    udm_spool_t *spool = NULL;
    udm_error_t *error = udm_spool_open(&spool, p, dir);
    int i;

    for (i = 0; !error && i < TRY_BLOCKS; i++) {
        error = udm_spool_write(spool, zeros, sizeof(zeros));
    }
    if (!error) {
        error = udm_spool_rewind(spool);
    }
    if (spool) {
        udm_spool_close(spool);
    }
    return error;
}
