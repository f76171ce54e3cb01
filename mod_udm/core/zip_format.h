/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * zip_format.h: the numbers of a ZIP archive (APPNOTE.TXT 6.3.x) as an export writes them and
 * udm-decrypt wants them.
 */
#ifndef UDM_CORE_ZIP_FORMAT_H
#define UDM_CORE_ZIP_FORMAT_H

#include <stdint.h>

/* What a record begins with. */
#define UDM_ZIP_LOCAL         0x04034b50U
#define UDM_ZIP_DESCRIPTOR    0x08074b50U
#define UDM_ZIP_CENTRAL       0x02014b50U
#define UDM_ZIP_END           0x06054b50U
#define UDM_ZIP_END64         0x06064b50U
#define UDM_ZIP_END64_LOCATOR 0x07064b50U
#define UDM_ZIP_SPLIT         0x08074b50U /* the first of several volumes */

/* Bytes of a record, without names, extra fields and comments. */
#define UDM_ZIP_LOCAL_SIZE   30
#define UDM_ZIP_CENTRAL_SIZE 46
#define UDM_ZIP_END64_SIZE   56
#define UDM_ZIP_LOCATOR_SIZE 20
#define UDM_ZIP_END_SIZE     22
#define UDM_ZIP_PAD_SIZE     4

#define UDM_ZIP_VERSION        20 /* of what is needed to read deflate */
#define UDM_ZIP_VERSION_ZIP64  45
#define UDM_ZIP_MADE_BY        (3 << 8 | UDM_ZIP_VERSION_ZIP64) /* Unix */
#define UDM_ZIP_DEFLATE        8
#define UDM_ZIP_HAS_DESCRIPTOR 0x0008
#define UDM_ZIP_UTF8           0x0800
#define UDM_ZIP_MODE_0600      (0100600U << 16)
#define UDM_ZIP_EXTRA_ZIP64    0x0001
#define UDM_ZIP_EXTRA_PAD      0xd935 /* as zipalign pads; nobody reads what is in it */

/* From these on a number stands in ZIP64's fields. */
#define UDM_ZIP_MAX16 0xffffU
#define UDM_ZIP_MAX32 0xffffffffU

/* Bytes of the longest name of an entry. */
#define UDM_ZIP_ENTRY_NAME_MAX 511

/*
 * No volume's size is a multiple of this, one that would be is padded: Info-ZIP's `zip -s 0`
 * corrupts an entry that spans three such volumes, without an error.
 */
#define UDM_ZIP_VOLUME_BLOCK 16384

/* The last entry, which says what the others are. */
#define UDM_MANIFEST_NAME "META-INF/manifest.json"

static inline unsigned udm_get16(const unsigned char *at)
{
    return at[0] | (unsigned)at[1] << 8;
}

static inline uint32_t udm_get32(const unsigned char *at)
{
    return udm_get16(at) | (uint32_t)udm_get16(at + 2) << 16;
}

static inline uint64_t udm_get64(const unsigned char *at)
{
    return udm_get32(at) | (uint64_t)udm_get32(at + 4) << 32;
}

/* Each returns where the next one goes. */
static inline unsigned char *udm_put16(unsigned char *to, unsigned value)
{
    to[0] = (unsigned char)value;
    to[1] = (unsigned char)(value >> 8);
    return to + 2;
}

static inline unsigned char *udm_put32(unsigned char *to, uint32_t value)
{
    return udm_put16(udm_put16(to, value & 0xffffU), value >> 16);
}

static inline unsigned char *udm_put64(unsigned char *to, uint64_t value)
{
    return udm_put32(udm_put32(to, (uint32_t)value), (uint32_t)(value >> 32));
}

/* What stands in a field that is too small for a number: that it is elsewhere. */
static inline unsigned udm_zip_most16(uint64_t value)
{
    return value < UDM_ZIP_MAX16 ? (unsigned)value : UDM_ZIP_MAX16;
}

static inline uint32_t udm_zip_most32(uint64_t value)
{
    return value < UDM_ZIP_MAX32 ? (uint32_t)value : UDM_ZIP_MAX32;
}

#endif
