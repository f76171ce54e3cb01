/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.c: the entries: local header, compressed data, descriptor. What they say must agree with
 * what is there; names are checked before anything is made of them.
 *
 * zlib inflates, though ISA-L is faster: what is called good here must be so for the tools that people
 * have, and ISA-L reads codes that zlib, and so most of them, refuse.
 */
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#define ZLIB_CONST
#include <zlib.h>

#include "decrypt/archive.h"
#include "decrypt/directory.h"
#include "decrypt/manifest.h"
#include "decrypt/walk.h"

#define OUT_SIZE 65536

typedef struct reader_t {
    udm_walk_t walk;
    EVP_MD *md;
    EVP_MD_CTX *hash;
    udm_manifest_t *manifest; /* while it is the entry under way */
    udm_note_t note;          /* of the entry under way */
    char name[UDM_ZIP_ENTRY_NAME_MAX + 1];
    z_stream inflate;
    unsigned char last; /* byte of the compressed data so far */
    unsigned char out[OUT_SIZE];
} reader_t;

/*
 * The names that an export gives: letters, digits, "._-" and "%" of a code; no dot in front, nor
 * two together. So it stays in its folder, everywhere.
 */
static bool is_harmless(const char *name)
{
    apr_size_t size = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789._%-");

    return size != 0 && size <= 255 && name[size] == '\0' && name[0] != '.' &&
           name[size - 1] != '.' && strstr(name, "..") == NULL && strcasecmp(name, "META-INF") != 0;
}

/* Notes the name of the entry as hashes. */
static void note_name(reader_t *r)
{
    char folded[sizeof(r->name)];
    apr_size_t size = strlen(r->name);

    for (apr_size_t i = 0; i <= size; i++) {
        char c = r->name[i];

        folded[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    SHA256((const unsigned char *)r->name, size, r->note.name);
    SHA256((const unsigned char *)folded, size, r->note.folded);
}

/* Reads the header into the note. Sizes stay -1 when they follow the data. */
static udm_error_t *read_local(reader_t *r)
{
    udm_walk_t *walk = &r->walk;
    const unsigned char *at;
    apr_size_t name_size, extra_size;
    udm_error_t *error = udm_walk_whole(&at, walk, UDM_ZIP_LOCAL_SIZE);

    if (error != NULL) {
        return error;
    }
    memset(&r->note, 0, sizeof(r->note));
    r->note.flags = (uint16_t)udm_get16(at + 6);
    r->note.time = (uint16_t)udm_get16(at + 10);
    r->note.date = (uint16_t)udm_get16(at + 12);
    r->note.crc = udm_get32(at + 14);
    name_size = udm_get16(at + 26);
    extra_size = udm_get16(at + 28);
    if (udm_get16(at + 4) != (extra_size == 0 ? UDM_ZIP_VERSION : UDM_ZIP_VERSION_ZIP64) ||
        udm_get16(at + 8) != UDM_ZIP_DEFLATE ||
        (r->note.flags & ~UDM_ZIP_HAS_DESCRIPTOR) != UDM_ZIP_UTF8 ||
        name_size > UDM_ZIP_ENTRY_NAME_MAX || (extra_size != 0 && extra_size != 20)) {
        return udm_walk_damaged(walk, "an entry is not as an export makes it");
    }
    error = udm_walk_whole(&at, walk, UDM_ZIP_LOCAL_SIZE + name_size + extra_size);
    if (error != NULL) {
        return error;
    }
    memcpy(r->name, at + UDM_ZIP_LOCAL_SIZE, name_size);
    r->name[name_size] = '\0';
    if (strlen(r->name) != name_size ||
        (!is_harmless(r->name) && strcmp(r->name, UDM_MANIFEST_NAME) != 0)) {
        return udm_walk_damaged(walk, "an entry has a name that an export does not give");
    }
    note_name(r);
    r->note.disk = udm_joined_disk(walk->joined);
    r->note.offset = udm_joined_offset(walk->joined);
    r->note.copy = udm_output_at(walk->output);
    r->note.compressed = udm_get32(at + 18);
    r->note.size = udm_get32(at + 22);
    if ((r->note.flags & UDM_ZIP_HAS_DESCRIPTOR) != 0) {
        if (r->note.crc != 0 || r->note.compressed != 0 || r->note.size != 0 || extra_size != 0) {
            return udm_walk_damaged(walk, "an entry has its sizes in two places");
        }
        r->note.compressed = r->note.size = -1;
    }
    else if (extra_size != 0) {
        const unsigned char *extra = at + UDM_ZIP_LOCAL_SIZE + name_size;

        if (udm_get16(extra) != UDM_ZIP_EXTRA_ZIP64 || udm_get16(extra + 2) != 16 ||
            r->note.size != UDM_ZIP_MAX32 || r->note.compressed != UDM_ZIP_MAX32) {
            return udm_walk_damaged(walk, "an entry is not as an export makes it");
        }
        r->note.size = (apr_int64_t)udm_get64(extra + 4);
        r->note.compressed = (apr_int64_t)udm_get64(extra + 12);
        if (udm_get64(extra + 4) < UDM_ZIP_MAX32 && udm_get64(extra + 12) < UDM_ZIP_MAX32) {
            return udm_walk_damaged(walk, "an entry is not as an export makes it");
        }
    }
    error = udm_output_raw(walk->output, at, UDM_ZIP_LOCAL_SIZE + name_size + extra_size);
    udm_joined_skip(walk->joined, UDM_ZIP_LOCAL_SIZE + name_size + extra_size);
    return error;
}

static udm_error_t *hash_error(reader_t *r)
{
    ERR_clear_error();
    return udm_error_make(r->walk.pool, UDM_E_INTERNAL, "SHA-256 cannot be computed");
}

/* A piece of content. */
static udm_error_t *take_content(reader_t *r, const unsigned char *data, apr_size_t size)
{
    udm_error_t *error;

    if (EVP_DigestUpdate(r->hash, data, size) != 1) {
        return hash_error(r);
    }
    error = udm_output_content(r->walk.output, data, size);
    if (error == NULL && r->manifest != NULL) {
        error = udm_manifest_write(r->manifest, data, size);
    }
    return error;
}

/* zlib stands behind the last block, in whose last byte so many bits are left. */
#define LAST_BLOCK  (64 | 128)
#define UNUSED_BITS 7

/*
 * Inflates one piece of input, from one end of a block to the next; counts what came out of it. What is
 * left of the last byte is nothing: zlib passes over it.
 */
static udm_error_t *inflate_piece(bool *end, apr_int64_t *size, uint32_t *crc, reader_t *r)
{
    z_stream *z = &r->inflate;
    udm_error_t *error = NULL;
    bool last;

    do {
        uInt before = z->avail_in;
        apr_size_t got;
        int rc;

        z->next_out = r->out;
        z->avail_out = OUT_SIZE;
        rc = inflate(z, Z_BLOCK);
        got = OUT_SIZE - z->avail_out;
        if (rc == Z_MEM_ERROR) {
            return udm_error_make(r->walk.pool, UDM_E_INTERNAL, "there is no memory");
        }
        if (z->avail_in != before) {
            r->last = z->next_in[-1];
        }
        last = rc == Z_OK && (z->data_type & LAST_BLOCK) == LAST_BLOCK;
        if ((rc != Z_OK && rc != Z_STREAM_END && (rc != Z_BUF_ERROR || z->avail_in != 0)) ||
            (last && r->last >> (8 - (z->data_type & UNUSED_BITS)) != 0)) {
            return udm_walk_damaged(&r->walk, "compressed data are broken");
        }
        *end = rc == Z_STREAM_END;
        *size += (apr_int64_t)got;
        *crc = (uint32_t)crc32_z(*crc, r->out, got);
        error = take_content(r, r->out, got);
    } while (error == NULL && !*end && (z->avail_in != 0 || z->avail_out == 0 || last));
    return error;
}

/* Reads the data, which volumes may cut anywhere. */
static udm_error_t *read_data(apr_int64_t *compressed, apr_int64_t *size, uint32_t *crc,
                              reader_t *r)
{
    z_stream *z = &r->inflate;
    udm_error_t *error = NULL;
    bool end = false;

    *compressed = *size = 0;
    *crc = 0;
    inflateReset(z);
    while (error == NULL && !end) {
        const unsigned char *data;
        apr_size_t have;

        error = udm_joined_peek(&data, &have, r->walk.joined, 1);
        if (error == NULL && have == 0) {
            error = udm_joined_next(r->walk.joined);
        }
        else if (error == NULL) {
            apr_size_t taken;

            z->next_in = data;
            z->avail_in = (uInt)have;
            error = inflate_piece(&end, size, crc, r);
            if (error != NULL) {
                return error;
            }
            taken = have - z->avail_in;
            *compressed += (apr_int64_t)taken;
            error = udm_output_raw(r->walk.output, data, taken);
            udm_joined_skip(r->walk.joined, taken);
        }
    }
    return error;
}

/* The descriptor behind the data. */
static udm_error_t *read_descriptor(reader_t *r, bool large)
{
    const unsigned char *at;
    apr_size_t size = large ? 24 : 16;
    udm_error_t *error = udm_walk_header(&at, &r->walk, size);

    if (error != NULL) {
        return error;
    }
    if (udm_get32(at) != UDM_ZIP_DESCRIPTOR) {
        return udm_walk_damaged(&r->walk, "an entry lacks its sizes");
    }
    r->note.crc = udm_get32(at + 4);
    r->note.compressed = (apr_int64_t)(large ? udm_get64(at + 8) : udm_get32(at + 8));
    r->note.size = (apr_int64_t)(large ? udm_get64(at + 16) : udm_get32(at + 12));
    error = udm_output_raw(r->walk.output, at, size);
    udm_joined_skip(r->walk.joined, size);
    return error;
}

static udm_error_t *read_entry(reader_t *r)
{
    apr_int64_t compressed, size;
    uint32_t crc;
    udm_error_t *error = read_local(r);

    if (error == NULL && EVP_DigestInit_ex2(r->hash, r->md, NULL) != 1) {
        error = hash_error(r);
    }
    if (error == NULL) {
        error = udm_output_begin(r->walk.output, r->name);
    }
    if (error == NULL) {
        error = read_data(&compressed, &size, &crc, r);
    }
    if (error == NULL) {
        error = udm_output_end(r->walk.output);
    }
    if (error == NULL && (r->note.flags & UDM_ZIP_HAS_DESCRIPTOR) != 0) {
        error = read_descriptor(r, size >= UDM_ZIP_MAX32 || compressed >= UDM_ZIP_MAX32);
    }
    if (error != NULL) {
        return error;
    }
    if (crc != r->note.crc || size != r->note.size || compressed != r->note.compressed) {
        return udm_walk_damaged(&r->walk, "an entry's CRC-32 or size is wrong");
    }
    return EVP_DigestFinal_ex(r->hash, r->note.sha256, NULL) == 1 ? NULL : hash_error(r);
}

/* A split archive begins with a marker, one in a single piece must not. */
static udm_error_t *read_marker(reader_t *r)
{
    bool split = !udm_joined_is_last(r->walk.joined);
    const unsigned char *at;
    apr_size_t size;
    uint32_t found;
    udm_error_t *error = udm_joined_peek(&at, &size, r->walk.joined, 4);

    if (error != NULL) {
        return error;
    }
    found = size >= 4 ? udm_get32(at) : 0;
    if (found == (split ? UDM_ZIP_SPLIT : UDM_ZIP_LOCAL)) {
        udm_joined_skip(r->walk.joined, split ? 4 : 0);
        return NULL;
    }
    if (found == UDM_ZIP_SPLIT || found == UDM_ZIP_LOCAL) {
        return udm_error_make(r->walk.pool, UDM_E_UNPROCESSABLE,
                              split
                                  ? "%s: is no first part, but another one of several, or a whole "
                                    "export, which is to be given alone"
                                  : "%s: is the first of several parts; give all of them",
                              udm_joined_path(r->walk.joined));
    }
    return udm_error_make(r->walk.pool, UDM_E_UNPROCESSABLE,
                          "%s: is not the first part of an export, or is damaged, or this key does "
                          "not open it",
                          udm_joined_path(r->walk.joined));
}

/* The last entry: everything is compared with it as it comes. */
static udm_error_t *begin_manifest(reader_t *r, FILE *list)
{
    if (list != NULL) {
        fprintf(list, "%14s %12s  %s\n", "size", "rows", "name");
    }
    return udm_manifest_open(&r->manifest, r->walk.pool, r->walk.notes, list);
}

/* Whether the header at hand is that of the manifest. */
static udm_error_t *is_manifest(bool *manifest, reader_t *r)
{
    const unsigned char *at;
    apr_size_t size;
    apr_size_t name_size = strlen(UDM_MANIFEST_NAME);
    udm_error_t *error =
        udm_joined_peek(&at, &size, r->walk.joined, UDM_ZIP_LOCAL_SIZE + name_size);

    *manifest = error == NULL && size >= UDM_ZIP_LOCAL_SIZE + name_size &&
                udm_get16(at + 26) == name_size &&
                memcmp(at + UDM_ZIP_LOCAL_SIZE, UDM_MANIFEST_NAME, name_size) == 0;
    return error;
}

static udm_error_t *read_entries(udm_archive_sum_t *sum, reader_t *r, const char *export_id,
                                 FILE *list)
{
    udm_error_t *error = NULL;

    while (error == NULL && r->manifest == NULL) {
        const unsigned char *at;
        bool manifest = false;

        error = udm_walk_header(&at, &r->walk, 4);
        if (error == NULL && udm_get32(at) != UDM_ZIP_LOCAL) {
            error = udm_walk_damaged(&r->walk, udm_get32(at) == UDM_ZIP_CENTRAL
                                                   ? "it has no manifest"
                                                   : "something stands where an entry must");
        }
        if (error == NULL) {
            error = is_manifest(&manifest, r);
        }
        if (error == NULL && manifest) {
            error = begin_manifest(r, list);
        }
        if (error == NULL) {
            error = read_entry(r);
        }
        if (error == NULL && manifest) {
            error = udm_manifest_finish(r->manifest, export_id);
        }
        if (error == NULL) {
            error = udm_notes_add(r->walk.notes, &r->note);
            sum->entries += !manifest;
            sum->size += manifest ? 0 : r->note.size;
        }
    }
    return error;
}

static apr_status_t reader_free(void *data)
{
    reader_t *r = data;

    EVP_MD_CTX_free(r->hash);
    EVP_MD_free(r->md);
    inflateEnd(&r->inflate);
    return APR_SUCCESS;
}

udm_error_t *udm_archive_read(udm_archive_sum_t *sum, apr_pool_t *p, udm_joined_t *joined,
                              udm_output_t *output, const char *export_id, FILE *list)
{
    reader_t *r = apr_pcalloc(p, sizeof(*r));
    udm_error_t *error;

    memset(sum, 0, sizeof(*sum));
    r->walk.pool = p;
    r->walk.joined = joined;
    r->walk.output = output;
    r->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    r->hash = EVP_MD_CTX_new();
    apr_pool_cleanup_register(p, r, reader_free, apr_pool_cleanup_null);
    if (r->md == NULL || r->hash == NULL) {
        return hash_error(r);
    }
    if (inflateInit2(&r->inflate, -MAX_WBITS) != Z_OK) {
        return udm_error_make(p, UDM_E_INTERNAL, "there is no memory");
    }
    error = udm_notes_open(&r->walk.notes, p, udm_output_folder(output));
    if (error == NULL) {
        error = read_marker(r);
    }
    if (error == NULL) {
        error = read_entries(sum, r, export_id, list);
    }
    if (error == NULL) {
        error = udm_notes_check_unique(r->walk.notes);
    }
    return error != NULL ? error : udm_directory_read(&r->walk);
}
