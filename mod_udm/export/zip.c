/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * zip.c: the framing of APPNOTE.TXT (6.3.x): local headers, data descriptors, the central directory
 * and its ends.
 *
 * An entry whose sizes are not known when it begins has them in a data descriptor behind it, with
 * sizes of 4 bytes, or of 8 once one of them needs it. Its local header says nothing of ZIP64: that
 * is what readers without a central directory (java.util.zip.ZipInputStream) go by.
 */
#include <openssl/sha.h>

#include "core/zip_format.h"
#include "export/spool.h"
#include "export/zip.h"

#define LARGE_EXTRA_SIZE  (4 + 8 + 8)
#define CENTRAL_EXTRA_MAX (4 + 8 + 8 + 8 + 4)
#define ENDS_SIZE         (UDM_ZIP_END64_SIZE + UDM_ZIP_LOCATOR_SIZE + UDM_ZIP_END_SIZE + 1)
#define NAME_ENDING       40 /* left free for the hash of a long name */

/* One entry of the central directory as it waits in the spool; its name follows. */
typedef struct central_t {
    apr_int64_t size;
    apr_int64_t compressed;
    apr_int64_t offset;
    uint32_t disk; /* without those in front */
    uint32_t crc;
    uint16_t flags;
    uint16_t name_size;
} central_t;

struct udm_zip_t {
    apr_pool_t *pool;
    udm_volumes_t *volumes;
    udm_spool_t *directory;
    uint16_t date, time;
    uint64_t entries;
    apr_int64_t directory_size; /* the most that the central directory can take */
    central_t central;          /* of the entry under way */
    char name[UDM_ZIP_ENTRY_NAME_MAX];
};

udm_error_t *udm_zip_open(udm_zip_t **zip, apr_pool_t *p, udm_volumes_t *volumes,
                          const char *spool_dir, apr_time_t created)
{
    udm_zip_t *z = apr_pcalloc(p, sizeof(*z));
    apr_time_exp_t when;

    apr_time_exp_gmt(&when, created);
    z->date = (uint16_t)(((when.tm_year - 80) << 9) | ((when.tm_mon + 1) << 5) | when.tm_mday);
    z->time = (uint16_t)((when.tm_hour << 11) | (when.tm_min << 5) | (when.tm_sec / 2));
    z->pool = p;
    z->volumes = volumes;
    *zip = z;
    return udm_spool_open(&z->directory, p, spool_dir);
}

udm_error_t *udm_zip_begin(udm_zip_t *zip, const char *name, const udm_entry_sum_t *sum)
{
    unsigned char header[UDM_ZIP_LOCAL_SIZE + UDM_ZIP_ENTRY_NAME_MAX + LARGE_EXTRA_SIZE];
    unsigned char *to = header;
    central_t *central = &zip->central;
    apr_size_t name_size = strlen(name);
    bool large = sum != NULL && (sum->size >= UDM_ZIP_MAX32 || sum->compressed >= UDM_ZIP_MAX32);
    apr_size_t size = UDM_ZIP_LOCAL_SIZE + name_size + (large ? LARGE_EXTRA_SIZE : 0);
    udm_error_t *error;

    if (name_size > UDM_ZIP_ENTRY_NAME_MAX) {
        return udm_error_make(zip->pool, UDM_E_INTERNAL, "the name of an entry is too long");
    }
    /* Info-ZIP's `zip -s 0` loses its place when a volume ends between a header and its data. */
    error = udm_volumes_whole(zip->volumes, size + 1);
    if (error != NULL) {
        return error;
    }
    memset(central, 0, sizeof(*central));
    memcpy(zip->name, name, name_size);
    central->name_size = (uint16_t)name_size;
    central->disk = udm_volumes_disk(zip->volumes);
    central->offset = udm_volumes_offset(zip->volumes);
    central->flags = UDM_ZIP_UTF8 | (sum == NULL ? UDM_ZIP_HAS_DESCRIPTOR : 0);

    to = udm_put32(to, UDM_ZIP_LOCAL);
    to = udm_put16(to, large ? UDM_ZIP_VERSION_ZIP64 : UDM_ZIP_VERSION);
    to = udm_put16(to, central->flags);
    to = udm_put16(to, UDM_ZIP_DEFLATE);
    to = udm_put16(to, zip->time);
    to = udm_put16(to, zip->date);
    to = udm_put32(to, sum != NULL ? sum->crc : 0);
    to = udm_put32(to, large ? UDM_ZIP_MAX32 : sum != NULL ? (uint32_t)sum->compressed : 0);
    to = udm_put32(to, large ? UDM_ZIP_MAX32 : sum != NULL ? (uint32_t)sum->size : 0);
    to = udm_put16(to, (unsigned)name_size);
    to = udm_put16(to, large ? LARGE_EXTRA_SIZE : 0);
    memcpy(to, name, name_size);
    to += name_size;
    if (large) {
        to = udm_put16(to, UDM_ZIP_EXTRA_ZIP64);
        to = udm_put16(to, LARGE_EXTRA_SIZE - 4);
        to = udm_put64(to, (uint64_t)sum->size);
        to = udm_put64(to, (uint64_t)sum->compressed);
    }
    return udm_volumes_write(zip->volumes, header, (apr_size_t)(to - header));
}

udm_error_t *udm_zip_write(udm_zip_t *zip, const void *data, apr_size_t size)
{
    return udm_volumes_write(zip->volumes, data, size);
}

udm_error_t *udm_zip_end(udm_zip_t *zip, const udm_entry_sum_t *sum)
{
    central_t *central = &zip->central;
    udm_error_t *error = NULL;

    if ((central->flags & UDM_ZIP_HAS_DESCRIPTOR) != 0) {
        unsigned char descriptor[24];
        unsigned char *to = descriptor;

        to = udm_put32(to, UDM_ZIP_DESCRIPTOR);
        to = udm_put32(to, sum->crc);
        if (sum->size >= UDM_ZIP_MAX32 || sum->compressed >= UDM_ZIP_MAX32) {
            to = udm_put64(to, (uint64_t)sum->compressed);
            to = udm_put64(to, (uint64_t)sum->size);
        }
        else {
            to = udm_put32(to, (uint32_t)sum->compressed);
            to = udm_put32(to, (uint32_t)sum->size);
        }
        error = udm_volumes_whole(zip->volumes, (apr_size_t)(to - descriptor));
        if (error == NULL) {
            error = udm_volumes_write(zip->volumes, descriptor, (apr_size_t)(to - descriptor));
        }
    }
    central->crc = sum->crc;
    central->size = sum->size;
    central->compressed = sum->compressed;
    zip->entries++;
    zip->directory_size +=
        UDM_ZIP_CENTRAL_SIZE + central->name_size + CENTRAL_EXTRA_MAX + UDM_ZIP_PAD_SIZE;
    if (error == NULL) {
        error = udm_spool_write(zip->directory, central, sizeof(*central));
    }
    if (error == NULL) {
        error = udm_spool_write(zip->directory, zip->name, central->name_size);
    }
    return error;
}

/*
 * Writes one entry of the central directory and adds its size to `size`. Nothing but entries may
 * stand in the directory, so one that would end where a volume must not end is padded.
 */
static udm_error_t *write_central(udm_zip_t *zip, apr_int64_t *size, const central_t *central,
                                  const char *name)
{
    unsigned char record[UDM_ZIP_CENTRAL_SIZE + UDM_ZIP_ENTRY_NAME_MAX + CENTRAL_EXTRA_MAX +
                         UDM_ZIP_PAD_SIZE];
    unsigned char extra[CENTRAL_EXTRA_MAX + UDM_ZIP_PAD_SIZE];
    unsigned char *to = record;
    unsigned char *e = extra + 4;
    apr_size_t extra_size = 0;
    apr_size_t whole;
    apr_int64_t offset = central->offset;
    uint32_t disk = central->disk + udm_volumes_lead(zip->volumes);
    bool zip64;
    udm_error_t *error;

    if (central->size >= UDM_ZIP_MAX32) {
        e = udm_put64(e, (uint64_t)central->size);
    }
    if (central->compressed >= UDM_ZIP_MAX32) {
        e = udm_put64(e, (uint64_t)central->compressed);
    }
    if (offset >= UDM_ZIP_MAX32) {
        e = udm_put64(e, (uint64_t)offset);
    }
    if (disk >= UDM_ZIP_MAX16) {
        e = udm_put32(e, disk);
    }
    zip64 = e > extra + 4;
    if (zip64) {
        extra_size = (apr_size_t)(e - extra);
        udm_put16(udm_put16(extra, UDM_ZIP_EXTRA_ZIP64), (unsigned)extra_size - 4);
    }
    whole = UDM_ZIP_CENTRAL_SIZE + central->name_size + extra_size;
    error = udm_volumes_whole(zip->volumes, whole + UDM_ZIP_PAD_SIZE);
    if (error != NULL) {
        return error;
    }
    if (udm_volumes_size(zip->volumes, whole) % UDM_ZIP_VOLUME_BLOCK == 0) {
        udm_put16(udm_put16(extra + extra_size, UDM_ZIP_EXTRA_PAD), 0);
        extra_size += UDM_ZIP_PAD_SIZE;
        whole += UDM_ZIP_PAD_SIZE;
    }
    to = udm_put32(to, UDM_ZIP_CENTRAL);
    to = udm_put16(to, UDM_ZIP_MADE_BY);
    to = udm_put16(to, zip64 ? UDM_ZIP_VERSION_ZIP64 : UDM_ZIP_VERSION);
    to = udm_put16(to, central->flags);
    to = udm_put16(to, UDM_ZIP_DEFLATE);
    to = udm_put16(to, zip->time);
    to = udm_put16(to, zip->date);
    to = udm_put32(to, central->crc);
    to = udm_put32(to, udm_zip_most32((uint64_t)central->compressed));
    to = udm_put32(to, udm_zip_most32((uint64_t)central->size));
    to = udm_put16(to, central->name_size);
    to = udm_put16(to, (unsigned)extra_size);
    to = udm_put16(to, 0);
    to = udm_put16(to, udm_zip_most16(disk));
    to = udm_put16(to, 0);
    to = udm_put32(to, UDM_ZIP_MODE_0600);
    to = udm_put32(to, udm_zip_most32((uint64_t)offset));
    memcpy(to, name, central->name_size);
    to += central->name_size;
    memcpy(to, extra, extra_size);
    *size += (apr_int64_t)whole;
    return udm_volumes_write(zip->volumes, record, whole);
}

/* The ends of the archive: one piece, in the last volume. */
static udm_error_t *write_ends(udm_zip_t *zip, uint32_t disk, apr_int64_t offset, apr_int64_t size,
                               uint64_t entries_here)
{
    unsigned char ends[ENDS_SIZE];
    unsigned char *to = ends;
    uint32_t here;
    bool zip64;
    apr_size_t whole;
    apr_int64_t at;
    udm_error_t *error;

    error = udm_volumes_whole(zip->volumes, ENDS_SIZE);
    if (error != NULL) {
        return error;
    }
    disk += udm_volumes_lead(zip->volumes);
    here = udm_volumes_disk(zip->volumes) + udm_volumes_lead(zip->volumes);
    at = udm_volumes_offset(zip->volumes);
    if (at == 0) {
        entries_here = 0;
    }
    zip64 = zip->entries >= UDM_ZIP_MAX16 || size >= UDM_ZIP_MAX32 || offset >= UDM_ZIP_MAX32 ||
            here >= UDM_ZIP_MAX16;
    if (zip64) {
        to = udm_put32(to, UDM_ZIP_END64);
        to = udm_put64(to, UDM_ZIP_END64_SIZE - 12);
        to = udm_put16(to, UDM_ZIP_MADE_BY);
        to = udm_put16(to, UDM_ZIP_VERSION_ZIP64);
        to = udm_put32(to, here);
        to = udm_put32(to, disk);
        to = udm_put64(to, entries_here);
        to = udm_put64(to, zip->entries);
        to = udm_put64(to, (uint64_t)size);
        to = udm_put64(to, (uint64_t)offset);
        to = udm_put32(to, UDM_ZIP_END64_LOCATOR);
        to = udm_put32(to, here);
        to = udm_put64(to, (uint64_t)at);
        to = udm_put32(to, here + 1);
    }
    to = udm_put32(to, UDM_ZIP_END);
    to = udm_put16(to, udm_zip_most16(here));
    to = udm_put16(to, udm_zip_most16(disk));
    to = udm_put16(to, udm_zip_most16(entries_here));
    to = udm_put16(to, udm_zip_most16(zip->entries));
    to = udm_put32(to, udm_zip_most32((uint64_t)size));
    to = udm_put32(to, udm_zip_most32((uint64_t)offset));
    /* A comment of one byte, only so that the size is no multiple. */
    whole = (apr_size_t)(to - ends) + 2;
    if (udm_volumes_size(zip->volumes, whole) % UDM_ZIP_VOLUME_BLOCK == 0) {
        to = udm_put16(to, 1);
        *to = '\n';
        whole++;
    }
    else {
        udm_put16(to, 0);
    }
    return udm_volumes_write(zip->volumes, ends, whole);
}

udm_error_t *udm_zip_finish(udm_zip_t *zip)
{
    central_t central;
    char name[UDM_ZIP_ENTRY_NAME_MAX];
    apr_int64_t size = 0;
    apr_int64_t offset = 0;
    uint32_t disk = 0;
    uint32_t last = 0;
    uint64_t here = 0;
    apr_size_t got;
    udm_error_t *error;

    /* Numbers of volumes depend on whether there are several, so this must be settled first. */
    error = udm_volumes_ending(zip->volumes, zip->directory_size + ENDS_SIZE);
    if (error == NULL) {
        error = udm_spool_rewind(zip->directory);
    }
    for (uint64_t i = 0; error == NULL && i < zip->entries; i++) {
        error = udm_spool_read(&central, &got, zip->directory, sizeof(central));
        if (error == NULL) {
            error = udm_spool_read(name, &got, zip->directory, central.name_size);
        }
        if (error == NULL && got != central.name_size) {
            error = udm_error_make(zip->pool, UDM_E_STORE, "the spool was cut short");
        }
        if (error == NULL) {
            apr_int64_t before = size;

            error = write_central(zip, &size, &central, name);
            /* An entry is never cut, so it is in the volume where it ends. */
            if (i == 0) {
                disk = udm_volumes_disk(zip->volumes);
                offset = udm_volumes_offset(zip->volumes) - (size - before);
            }
            here = i == 0 || udm_volumes_disk(zip->volumes) != last ? 1 : here + 1;
            last = udm_volumes_disk(zip->volumes);
        }
    }
    if (error == NULL && zip->entries == 0) {
        disk = udm_volumes_disk(zip->volumes);
        offset = udm_volumes_offset(zip->volumes);
    }
    if (error == NULL) {
        error = write_ends(zip, disk, offset, size, here);
    }
    if (error == NULL) {
        error = udm_volumes_finish(zip->volumes);
    }
    udm_spool_close(zip->directory);
    return error;
}

void udm_zip_name_cut(udm_buffer_t *name, apr_size_t keep, const void *data, apr_size_t size)
{
    unsigned char hash[UDM_SHA256_SIZE];

    SHA256(data, size, hash);
    if (name->data[keep - 1] == '%') {
        keep -= 1;
    }
    else if (name->data[keep - 2] == '%') {
        keep -= 2;
    }
    name->size = keep;
    udm_buffer_char(name, '-');
    udm_buffer_hex(name, hash, (UDM_ZIP_NAME_HASH - 1) / 2);
}

void udm_zip_name(udm_buffer_t *name, const void *data, apr_size_t size)
{
    static const char hex[] = "0123456789ABCDEF";
    const unsigned char *from = data;
    apr_size_t start = name->size;

    for (apr_size_t i = 0; i < size; i++) {
        unsigned char c = from[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '_' || c == '-';

        if (c == '.') {
            plain = i != 0 && i + 1 != size && from[i - 1] != '.';
        }
        if (plain) {
            udm_buffer_char(name, (char)c);
        }
        else {
            char code[3] = {'%', hex[c >> 4], hex[c & 15]};

            udm_buffer_add(name, code, sizeof(code));
        }
        if (name->size - start > UDM_ZIP_NAME_MAX) {
            udm_zip_name_cut(name, start + UDM_ZIP_NAME_MAX - NAME_ENDING, from, size);
            return;
        }
    }
}
