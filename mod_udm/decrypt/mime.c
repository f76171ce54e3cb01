/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * mime.c: reads, hashes and decodes: headers in any order and case, lines that end in LF or CRLF.
 *
 * OpenSSL's EVP_DecodeUpdate takes four times as long, and takes a "-" for the end of it all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "decrypt/mime.h"

#define RAW_SIZE  65536
#define DER_SIZE  (RAW_SIZE / 4 * 3 + 3)
#define HEAD_MOST 16384

/* What a character that is none of the 64 is in `digit`. */
#define NOT_BASE64 0xff

struct udm_mime_t {
    apr_pool_t *pool;
    const char *path;
    const volatile sig_atomic_t *stop;
    int fd;
    bool text;  /* base64, else DER */
    bool ended; /* the file did */
    EVP_MD_CTX *hash;
    apr_size_t at, size; /* of what is in `raw` */
    uint32_t group;      /* of the four characters under way */
    int group_size;
    int padding;
    unsigned char digit[256];
    unsigned char raw[RAW_SIZE];
    unsigned char der[DER_SIZE];
};

static udm_error_t *damaged(udm_mime_t *m, const char *what)
{
    return udm_error_make(m->pool, UDM_E_UNPROCESSABLE, "%s: %s", m->path, what);
}

static udm_error_t *hash_error(apr_pool_t *p)
{
    ERR_clear_error();
    return udm_error_make(p, UDM_E_INTERNAL, "SHA-256 cannot be computed");
}

static apr_status_t mime_free(void *data)
{
    udm_mime_t *m = data;

    if (m->fd >= 0) {
        close(m->fd);
    }
    EVP_MD_CTX_free(m->hash);
    return APR_SUCCESS;
}

/* Fills `raw` as far as the file goes. */
static udm_error_t *fill(udm_mime_t *m)
{
    m->at = m->size = 0;
    while (m->size < RAW_SIZE && !m->ended) {
        ssize_t got;

        if (*m->stop) {
            return udm_error_make(m->pool, UDM_E_STOPPED, "interrupted");
        }
        got = read(m->fd, m->raw + m->size, RAW_SIZE - m->size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return udm_error_make(m->pool, UDM_E_STORE, "%s: cannot be read: %s", m->path,
                                  strerror(errno));
        }
        m->ended = got == 0;
        m->size += (apr_size_t)got;
    }
    return EVP_DigestUpdate(m->hash, m->raw, m->size) == 1 ? NULL : hash_error(m->pool);
}

/* The value of a header line when it has this name, else NULL. */
static const char *header_value(const char *line, const char *name)
{
    apr_size_t size = strlen(name);

    if (strncasecmp(line, name, size) != 0) {
        return NULL;
    }
    line += size;
    line += strspn(line, " \t");
    if (*line != ':') {
        return NULL;
    }
    line++;
    return line + strspn(line, " \t");
}

/* Whether a value is this word, alone or before parameters. */
static bool is_word(const char *value, const char *word)
{
    apr_size_t size = strlen(word);

    return strncasecmp(value, word, size) == 0 && strchr(" \t;", value[size]) != NULL;
}

/* Reads the headers, which stand in the first piece of the file. */
static udm_error_t *read_head(udm_mime_t *m)
{
    apr_size_t most = m->size < HEAD_MOST ? m->size : HEAD_MOST;
    bool type = false;
    bool encoding = false;

    while (true) {
        const unsigned char *end = memchr(m->raw + m->at, '\n', most - m->at);
        const char *value;
        char *line;

        if (end == NULL) {
            return damaged(m, "is neither S/MIME text nor DER");
        }
        line = apr_pstrmemdup(m->pool, (char *)m->raw + m->at, (apr_size_t)(end - m->raw) - m->at);
        m->at = (apr_size_t)(end - m->raw) + 1;
        line[strcspn(line, "\r")] = '\0';
        if (*line == '\0') {
            break;
        }
        if ((value = header_value(line, "Content-Type")) != NULL) {
            type = is_word(value, "application/pkcs7-mime") ||
                   is_word(value, "application/x-pkcs7-mime");
            if (!type) {
                return damaged(m, "is not encrypted S/MIME: its Content-Type is not "
                                  "application/pkcs7-mime");
            }
        }
        else if ((value = header_value(line, "Content-Transfer-Encoding")) != NULL) {
            encoding = true;
            m->text = is_word(value, "base64");
            if (!m->text && !is_word(value, "binary")) {
                return damaged(m, "its Content-Transfer-Encoding is neither base64 nor binary");
            }
        }
    }
    if (!type || !encoding) {
        return damaged(m, "is neither S/MIME text nor DER");
    }
    return NULL;
}

static udm_error_t *open_file(udm_mime_t **mime, apr_pool_t *p, const char *path,
                              const volatile sig_atomic_t *stop)
{
    udm_mime_t *m = apr_pcalloc(p, sizeof(*m));
    struct stat info;

    m->pool = p;
    m->path = path;
    m->stop = stop;
    m->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    m->hash = EVP_MD_CTX_new();
    apr_pool_cleanup_register(p, m, mime_free, apr_pool_cleanup_null);
    if (m->fd < 0 || fstat(m->fd, &info) != 0) {
        return udm_error_make(p, UDM_E_STORE, "%s: cannot be opened: %s", path, strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        return udm_error_make(p, UDM_E_STORE, "%s: is not a regular file", path);
    }
    if (m->hash == NULL || EVP_DigestInit_ex(m->hash, EVP_sha256(), NULL) != 1) {
        return hash_error(p);
    }
#ifdef POSIX_FADV_SEQUENTIAL
    posix_fadvise(m->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
#endif
    *mime = m;
    return NULL;
}

udm_error_t *udm_mime_open(udm_mime_t **mime, apr_pool_t *p, const char *path,
                           const volatile sig_atomic_t *stop)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    udm_mime_t *m;
    udm_error_t *error = open_file(&m, p, path, stop);

    if (error == NULL) {
        error = fill(m);
    }
    if (error != NULL) {
        return error;
    }
    memset(m->digit, NOT_BASE64, sizeof(m->digit));
    for (int i = 0; i < 64; i++) {
        m->digit[(unsigned char)digits[i]] = (unsigned char)i;
    }
    *mime = m;
    if (m->size == 0) {
        return damaged(m, "is empty");
    }
    /* DER begins with a SEQUENCE, which no header line does: "0" is no letter. */
    return m->raw[0] == 0x30 ? NULL : read_head(m);
}

/* One character that the fast path did not take: white space, padding, or of a broken group. */
static udm_error_t *decode_one(udm_mime_t *m, unsigned char **to)
{
    unsigned char c = m->raw[m->at++];

    if (c == '\n' || c == '\r' || c == ' ' || c == '\t') {
        return NULL;
    }
    if (c == '=' && m->group_size >= 2 && m->group_size + m->padding < 4) {
        m->padding++;
    }
    else if (m->digit[c] != NOT_BASE64 && m->padding == 0) {
        m->group = m->group << 6 | m->digit[c];
        m->group_size++;
    }
    else {
        return damaged(m, "is damaged: its base64 is broken");
    }
    if (m->group_size + m->padding == 4) {
        uint32_t group = m->group << (6 * m->padding);

        *(*to)++ = (unsigned char)(group >> 16);
        if (m->padding < 2) {
            *(*to)++ = (unsigned char)(group >> 8);
        }
        if (m->padding < 1) {
            *(*to)++ = (unsigned char)group;
            m->group = 0;
            m->group_size = 0;
        }
        else {
            /* Nothing but white space may follow. */
            m->group_size = 4;
        }
    }
    return NULL;
}

static udm_error_t *decode(udm_mime_t *m, unsigned char **end)
{
    const unsigned char *digit = m->digit;
    unsigned char *to = m->der;

    while (m->at < m->size) {
        udm_error_t *error;

        while (m->group_size == 0 && m->size - m->at >= 4) {
            const unsigned char *from = m->raw + m->at;
            unsigned a = digit[from[0]], b = digit[from[1]], c = digit[from[2]], d = digit[from[3]];

            if (((a | b | c | d) & 0xc0) != 0) {
                break;
            }
            to[0] = (unsigned char)(a << 2 | b >> 4);
            to[1] = (unsigned char)(b << 4 | c >> 2);
            to[2] = (unsigned char)(c << 6 | d);
            to += 3;
            m->at += 4;
        }
        if (m->at < m->size) {
            error = decode_one(m, &to);
            if (error != NULL) {
                return error;
            }
        }
    }
    *end = to;
    return NULL;
}

udm_error_t *udm_mime_read(udm_mime_t *mime, const unsigned char **data, apr_size_t *size)
{
    *data = mime->der;
    *size = 0;
    while (*size == 0) {
        unsigned char *end;
        udm_error_t *error;

        if (mime->at == mime->size) {
            error = fill(mime);
            if (error != NULL) {
                return error;
            }
            if (mime->size == 0) {
                break;
            }
        }
        if (mime->text) {
            error = decode(mime, &end);
            if (error != NULL) {
                return error;
            }
            *size = (apr_size_t)(end - mime->der);
        }
        else {
            *data = mime->raw + mime->at;
            *size = mime->size - mime->at;
            mime->at = mime->size;
        }
    }
    if (*size == 0 && mime->text && mime->padding == 0 && mime->group_size != 0) {
        return damaged(mime, "is damaged: its base64 was cut short");
    }
    return NULL;
}

const char *udm_mime_path(const udm_mime_t *mime)
{
    return mime->path;
}

udm_error_t *udm_mime_sha256(unsigned char digest[UDM_SHA256_SIZE], udm_mime_t *mime)
{
    return EVP_DigestFinal_ex(mime->hash, digest, NULL) == 1 ? NULL : hash_error(mime->pool);
}

udm_error_t *udm_mime_hash_file(unsigned char digest[UDM_SHA256_SIZE], apr_pool_t *p,
                                const char *path, const volatile sig_atomic_t *stop)
{
    apr_pool_t *scratch;
    udm_mime_t *m;
    udm_error_t *error;

    apr_pool_create(&scratch, p);
    error = open_file(&m, scratch, path, stop);
    while (error == NULL && !m->ended) {
        error = fill(m);
    }
    if (error == NULL) {
        error = udm_mime_sha256(digest, m);
    }
    error = error != NULL ? udm_error_copy(p, error) : NULL;
    apr_pool_destroy(scratch);
    return error;
}
