/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * directory.c: the central directory and the ends of the archive. Readers that begin there must
 * find exactly what was walked through. A copy in one piece gets a directory of its own.
 */
#include <string.h>

#include <openssl/sha.h>

#include "decrypt/directory.h"

#define EXTRA_MOST 64

/* What the ends must say. */
typedef struct directory_t {
    udm_walk_t *walk;
    uint32_t disk;      /* where the directory begins */
    apr_int64_t offset; /* and at which byte of it */
    apr_int64_t size;
    apr_int64_t entries;
    apr_int64_t entries_here; /* in the volume of the last entry */
    uint32_t last;            /* that volume */
    apr_int64_t copy;         /* where that of the copy begins */
} directory_t;

/* The values of one central header, those of ZIP64 put in. */
typedef struct central_t {
    uint64_t compressed, size, offset;
    uint32_t disk;
    bool zip64, padded;
} central_t;

/* Takes a value of 8 bytes out of the extra field when the header's own says so. */
static bool take64(uint64_t *value, const unsigned char **at, const unsigned char *end)
{
    if (*value != UDM_ZIP_MAX32) {
        return true;
    }
    if (end - *at < 8) {
        return false;
    }
    *value = udm_get64(*at);
    *at += 8;
    return *value >= UDM_ZIP_MAX32;
}

/* Reads ZIP64's field: what does not fit into the header, and nothing else. */
static bool read_zip64(central_t *c, const unsigned char *at, const unsigned char *end)
{
    const unsigned char *start = at;

    c->zip64 = true;
    if (!take64(&c->size, &at, end) || !take64(&c->compressed, &at, end) ||
        !take64(&c->offset, &at, end)) {
        return false;
    }
    if (c->disk == UDM_ZIP_MAX16) {
        if (end - at < 4 || udm_get32(at) < UDM_ZIP_MAX16) {
            return false;
        }
        c->disk = udm_get32(at);
        at += 4;
    }
    return at != start && at == end;
}

/* Reads the extra fields: ZIP64's where it is needed, and behind it an empty one that pads. */
static bool read_extra(central_t *c, const unsigned char *extra, apr_size_t size)
{
    const unsigned char *end = extra + size;

    c->zip64 = c->padded = false;
    while (extra != end) {
        apr_size_t left = (apr_size_t)(end - extra);
        unsigned kind, length;

        if (left < 4 || left - 4 < udm_get16(extra + 2)) {
            return false;
        }
        kind = udm_get16(extra);
        length = udm_get16(extra + 2);
        extra += 4;
        if (kind == UDM_ZIP_EXTRA_ZIP64 && !c->zip64 && !c->padded) {
            if (!read_zip64(c, extra, extra + length)) {
                return false;
            }
        }
        else if (kind == UDM_ZIP_EXTRA_PAD && length == 0 && !c->padded) {
            c->padded = true;
        }
        else {
            return false;
        }
        extra += length;
    }
    return c->zip64 || (c->size != UDM_ZIP_MAX32 && c->compressed != UDM_ZIP_MAX32 &&
                        c->offset != UDM_ZIP_MAX32 && c->disk != UDM_ZIP_MAX16);
}

/* The same entry in the copy's directory: an ordinary file, whatever else. */
static udm_error_t *write_central(udm_walk_t *walk, const udm_note_t *note,
                                  const unsigned char *name, apr_size_t name_size)
{
    unsigned char header[UDM_ZIP_CENTRAL_SIZE + UDM_ZIP_ENTRY_NAME_MAX];
    unsigned char extra[4 + 8 + 8 + 8];
    unsigned char *to = header;
    unsigned char *e = extra + 4;
    apr_size_t extra_size;
    udm_error_t *error;

    if (note->size >= UDM_ZIP_MAX32) {
        e = udm_put64(e, (uint64_t)note->size);
    }
    if (note->compressed >= UDM_ZIP_MAX32) {
        e = udm_put64(e, (uint64_t)note->compressed);
    }
    if (note->copy >= UDM_ZIP_MAX32) {
        e = udm_put64(e, (uint64_t)note->copy);
    }
    extra_size = e == extra + 4 ? 0 : (apr_size_t)(e - extra);
    udm_put16(udm_put16(extra, UDM_ZIP_EXTRA_ZIP64), (unsigned)(e - extra) - 4);
    to = udm_put32(to, UDM_ZIP_CENTRAL);
    to = udm_put16(to, UDM_ZIP_MADE_BY);
    to = udm_put16(to, extra_size != 0 ? UDM_ZIP_VERSION_ZIP64 : UDM_ZIP_VERSION);
    to = udm_put16(to, note->flags);
    to = udm_put16(to, UDM_ZIP_DEFLATE);
    to = udm_put16(to, note->time);
    to = udm_put16(to, note->date);
    to = udm_put32(to, note->crc);
    to = udm_put32(to, udm_zip_most32((uint64_t)note->compressed));
    to = udm_put32(to, udm_zip_most32((uint64_t)note->size));
    to = udm_put16(to, (unsigned)name_size);
    to = udm_put16(to, (unsigned)extra_size);
    to = udm_put16(to, 0);
    to = udm_put16(to, 0);
    to = udm_put16(to, 0);
    to = udm_put32(to, UDM_ZIP_MODE_0600);
    to = udm_put32(to, udm_zip_most32((uint64_t)note->copy));
    memcpy(to, name, name_size);
    to += name_size;
    error = udm_output_raw(walk->output, header, (apr_size_t)(to - header));
    return error != NULL ? error : udm_output_raw(walk->output, extra, extra_size);
}

/* Whether a volume that ended so many bytes from here would have to be padded. */
static bool is_block(const udm_walk_t *walk, apr_size_t size)
{
    return (udm_joined_offset(walk->joined) + (apr_int64_t)size) % UDM_ZIP_VOLUME_BLOCK == 0;
}

/* One header of the directory against what was noted of the entry. */
static udm_error_t *read_central(directory_t *d, const udm_note_t *note)
{
    udm_walk_t *walk = d->walk;
    unsigned char hash[UDM_SHA256_SIZE];
    const unsigned char *at;
    apr_size_t name_size, extra_size, size;
    central_t c;
    udm_error_t *error = udm_walk_header(&at, walk, UDM_ZIP_CENTRAL_SIZE);

    if (error != NULL) {
        return error;
    }
    name_size = udm_get16(at + 28);
    extra_size = udm_get16(at + 30);
    size = UDM_ZIP_CENTRAL_SIZE + name_size + extra_size;
    if (udm_get32(at) != UDM_ZIP_CENTRAL || name_size > UDM_ZIP_ENTRY_NAME_MAX ||
        extra_size > EXTRA_MOST || udm_get16(at + 32) != 0) {
        return udm_walk_damaged(walk, "its directory lacks an entry");
    }
    error = udm_walk_whole(&at, walk, size);
    if (error != NULL) {
        return error;
    }
    if (d->entries == 0) {
        d->disk = udm_joined_disk(walk->joined);
        d->offset = udm_joined_offset(walk->joined);
    }
    d->entries_here =
        d->entries != 0 && d->last == udm_joined_disk(walk->joined) ? d->entries_here + 1 : 1;
    d->last = udm_joined_disk(walk->joined);
    d->entries++;
    d->size += (apr_int64_t)size;
    c.compressed = udm_get32(at + 20);
    c.size = udm_get32(at + 24);
    c.offset = udm_get32(at + 42);
    c.disk = udm_get16(at + 34);
    SHA256(at + UDM_ZIP_CENTRAL_SIZE, name_size, hash);
    if (!read_extra(&c, at + UDM_ZIP_CENTRAL_SIZE + name_size, extra_size) ||
        memcmp(hash, note->name, sizeof(hash)) != 0 || udm_get16(at + 8) != note->flags ||
        udm_get16(at + 10) != UDM_ZIP_DEFLATE || udm_get16(at + 12) != note->time ||
        udm_get16(at + 14) != note->date || udm_get32(at + 16) != note->crc ||
        c.compressed != (uint64_t)note->compressed || c.size != (uint64_t)note->size ||
        c.offset != (uint64_t)note->offset || c.disk != note->disk ||
        udm_get16(at + 4) != UDM_ZIP_MADE_BY ||
        udm_get16(at + 6) != (c.zip64 ? UDM_ZIP_VERSION_ZIP64 : UDM_ZIP_VERSION) ||
        udm_get16(at + 36) != 0 || udm_get32(at + 38) != UDM_ZIP_MODE_0600 ||
        (c.padded && !is_block(walk, size - UDM_ZIP_PAD_SIZE))) {
        return udm_walk_damaged(walk, "its directory says something else of an entry than the "
                                      "entry itself");
    }
    error = write_central(walk, note, at + UDM_ZIP_CENTRAL_SIZE, name_size);
    udm_joined_skip(walk->joined, size);
    return error;
}

/* Whether a number is what it must be: the most that fits where the one of ZIP64 counts. */
static bool fits(uint64_t found, uint64_t wanted, uint64_t most, bool zip64)
{
    return found == (wanted < most ? wanted : most) && (zip64 || wanted < most);
}

/* The end and locator of ZIP64, if they are there; `at` stands at them. */
static udm_error_t *read_end64(bool *zip64, directory_t *d, uint64_t entries_here)
{
    udm_walk_t *walk = d->walk;
    const unsigned char *at;
    uint32_t here = udm_joined_disk(walk->joined);
    uint64_t offset = (uint64_t)udm_joined_offset(walk->joined);
    udm_error_t *error = udm_walk_whole(&at, walk, 4);

    *zip64 = error == NULL && udm_get32(at) == UDM_ZIP_END64;
    if (!*zip64) {
        return error;
    }
    error = udm_walk_whole(&at, walk, UDM_ZIP_END64_SIZE + UDM_ZIP_LOCATOR_SIZE);
    if (error != NULL) {
        return error;
    }
    if (udm_get64(at + 4) != UDM_ZIP_END64_SIZE - 12 || udm_get16(at + 12) != UDM_ZIP_MADE_BY ||
        udm_get16(at + 14) != UDM_ZIP_VERSION_ZIP64 || udm_get32(at + 16) != here ||
        udm_get32(at + 20) != d->disk || udm_get64(at + 24) != entries_here ||
        udm_get64(at + 32) != (uint64_t)d->entries || udm_get64(at + 40) != (uint64_t)d->size ||
        udm_get64(at + 48) != (uint64_t)d->offset ||
        udm_get32(at + UDM_ZIP_END64_SIZE) != UDM_ZIP_END64_LOCATOR ||
        udm_get32(at + UDM_ZIP_END64_SIZE + 4) != here ||
        udm_get64(at + UDM_ZIP_END64_SIZE + 8) != offset ||
        udm_get32(at + UDM_ZIP_END64_SIZE + 16) != here + 1) {
        return udm_walk_damaged(walk, "its end does not fit its entries");
    }
    udm_joined_skip(walk->joined, UDM_ZIP_END64_SIZE + UDM_ZIP_LOCATOR_SIZE);
    return NULL;
}

/* The end: a comment is at most a line feed that pads, and behind it is nothing. */
static udm_error_t *read_end(directory_t *d)
{
    udm_walk_t *walk = d->walk;
    const unsigned char *at;
    apr_size_t size;
    uint32_t here;
    uint64_t entries_here;
    bool zip64;
    udm_error_t *error = udm_walk_header(&at, walk, UDM_ZIP_END_SIZE);

    if (error != NULL) {
        return error;
    }
    here = udm_joined_disk(walk->joined);
    entries_here = d->last == here ? (uint64_t)d->entries_here : 0;
    error = read_end64(&zip64, d, entries_here);
    if (error == NULL) {
        error = udm_walk_whole(&at, walk, UDM_ZIP_END_SIZE);
    }
    if (error != NULL) {
        return error;
    }
    size = UDM_ZIP_END_SIZE + udm_get16(at + 20);
    if (udm_get32(at) != UDM_ZIP_END || !fits(udm_get16(at + 4), here, UDM_ZIP_MAX16, zip64) ||
        !fits(udm_get16(at + 6), d->disk, UDM_ZIP_MAX16, zip64) ||
        !fits(udm_get16(at + 8), entries_here, UDM_ZIP_MAX16, zip64) ||
        !fits(udm_get16(at + 10), (uint64_t)d->entries, UDM_ZIP_MAX16, zip64) ||
        !fits(udm_get32(at + 12), (uint64_t)d->size, UDM_ZIP_MAX32, zip64) ||
        !fits(udm_get32(at + 16), (uint64_t)d->offset, UDM_ZIP_MAX32, zip64) ||
        size > UDM_ZIP_END_SIZE + 1) {
        return udm_walk_damaged(walk, "its end does not fit its entries");
    }
    error = udm_walk_whole(&at, walk, size);
    if (error != NULL) {
        return error;
    }
    if (size > UDM_ZIP_END_SIZE &&
        (at[UDM_ZIP_END_SIZE] != '\n' || !is_block(walk, UDM_ZIP_END_SIZE))) {
        return udm_walk_damaged(walk, "its end does not fit its entries");
    }
    udm_joined_skip(walk->joined, size);
    error = udm_joined_peek(&at, &size, walk->joined, 1);
    if (error == NULL && (size != 0 || !udm_joined_is_last(walk->joined))) {
        error = udm_walk_damaged(walk, "something stands behind its end");
    }
    return error;
}

/* The ends of the copy. */
static udm_error_t *write_ends(directory_t *d)
{
    unsigned char ends[UDM_ZIP_END64_SIZE + UDM_ZIP_LOCATOR_SIZE + UDM_ZIP_END_SIZE];
    unsigned char *to = ends;
    udm_output_t *output = d->walk->output;
    apr_int64_t at = udm_output_at(output);
    uint64_t entries = (uint64_t)d->entries;
    uint64_t size = (uint64_t)(at - d->copy);
    unsigned most = udm_zip_most16(entries);

    if (entries >= UDM_ZIP_MAX16 || size >= UDM_ZIP_MAX32 || d->copy >= UDM_ZIP_MAX32) {
        to = udm_put32(to, UDM_ZIP_END64);
        to = udm_put64(to, UDM_ZIP_END64_SIZE - 12);
        to = udm_put16(to, UDM_ZIP_MADE_BY);
        to = udm_put16(to, UDM_ZIP_VERSION_ZIP64);
        to = udm_put32(to, 0);
        to = udm_put32(to, 0);
        to = udm_put64(to, entries);
        to = udm_put64(to, entries);
        to = udm_put64(to, size);
        to = udm_put64(to, (uint64_t)d->copy);
        to = udm_put32(to, UDM_ZIP_END64_LOCATOR);
        to = udm_put32(to, 0);
        to = udm_put64(to, (uint64_t)at);
        to = udm_put32(to, 1);
    }
    to = udm_put32(to, UDM_ZIP_END);
    to = udm_put16(to, 0);
    to = udm_put16(to, 0);
    to = udm_put16(to, most);
    to = udm_put16(to, most);
    to = udm_put32(to, udm_zip_most32(size));
    to = udm_put32(to, udm_zip_most32((uint64_t)d->copy));
    to = udm_put16(to, 0);
    return udm_output_raw(output, ends, (apr_size_t)(to - ends));
}

udm_error_t *udm_directory_read(udm_walk_t *walk)
{
    directory_t d = {.walk = walk, .copy = udm_output_at(walk->output)};
    udm_error_t *error = udm_notes_rewind(walk->notes);

    for (apr_int64_t i = 0; error == NULL && i < udm_notes_count(walk->notes); i++) {
        udm_note_t note;

        error = udm_notes_read(&note, walk->notes);
        if (error == NULL) {
            error = read_central(&d, &note);
        }
    }
    if (error == NULL) {
        error = read_end(&d);
    }
    return error != NULL ? error : write_ends(&d);
}

bool udm_directory_parts(uint32_t *parts, const unsigned char *tail, apr_size_t size)
{
    for (apr_size_t comment = 0; comment <= 1; comment++) {
        const unsigned char *at;

        if (size < UDM_ZIP_END_SIZE + comment) {
            return false;
        }
        at = tail + size - UDM_ZIP_END_SIZE - comment;
        if (udm_get32(at) == UDM_ZIP_END && udm_get16(at + 20) == comment) {
            *parts = udm_get16(at + 4);
            if (*parts == UDM_ZIP_MAX16) {
                if (at - tail < UDM_ZIP_LOCATOR_SIZE ||
                    udm_get32(at - UDM_ZIP_LOCATOR_SIZE) != UDM_ZIP_END64_LOCATOR) {
                    return false;
                }
                *parts = udm_get32(at - 4) - 1;
            }
            *parts += 1;
            return true;
        }
    }
    return false;
}
