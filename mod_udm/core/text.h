/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h: small conversions that APR, jansson and OpenSSL lack: hex, UUID, sizes, UTF-8.
 */
#ifndef UDM_CORE_TEXT_H
#define UDM_CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <apr_pools.h>

/* Bytes of a SHA-256. */
#define UDM_SHA256_SIZE 32

/* The SHA-256 of `size` bytes, in lower-case hex. */
const char *udm_text_sha256(apr_pool_t *p, const void *data, apr_size_t size);

/* Reads exactly 2 * `size` hex digits of either case. @return false when `text` is not that */
bool udm_text_unhex(unsigned char *data, apr_size_t size, const char *text);

/* The characters of a UUID as text. */
#define UDM_UUID_SIZE 36

/* @return true for a UUID in lower case, and nothing else */
bool udm_text_is_uuid(const char *text);

/* A random (version 4) UUID in lower case, from OpenSSL's generator. */
const char *udm_text_uuid(apr_pool_t *p);

/* @return true when the `size` bytes are well-formed UTF-8 (RFC 3629) without a NUL */
bool udm_text_is_utf8(const char *text, apr_size_t size);

/* @return how many of the `size` bytes, from the first on, are well-formed UTF-8 without a NUL */
apr_size_t udm_text_utf8_prefix(const char *text, apr_size_t size);

/* @return true when UTF-8 text holds a control character: C0, DEL or C1 (U+0080 to U+009F) */
bool udm_text_has_control(const char *text);

/* The number of characters (code points) of well-formed UTF-8. */
apr_size_t udm_text_characters(const char *text);

/*
 * A size in: decimal bytes, or with KB MB GB (powers of 1000) or KiB MiB GiB (powers of 1024), any
 * case, an optional space before the unit. @return false when it is none, 0, or above INT64_MAX
 */
bool udm_text_parse_size(apr_int64_t *bytes, const char *text);

/*
 * A size out, as udm_text_parse_size reads it: "64MiB"; in KiB, MiB or GiB, rounded up, with two digits
 * at least unless it is a whole number of them.
 */
const char *udm_text_size(apr_pool_t *p, apr_int64_t bytes);

/* A positive id: decimal digits only, 1 to INT64_MAX. */
bool udm_text_parse_id(apr_int64_t *id, const char *text);

/* So many of these: "1 slot", "2 slots", "0 slots". The noun is one whose plural has an s. */
const char *udm_text_count(apr_pool_t *p, apr_int64_t count, const char *noun);

/* Compares without telling by time where two byte strings of one length differ. */
bool udm_text_equal_secret(const void *a, const void *b, apr_size_t size);

/* A message of a library as one line: without what it ends with, and a space for each line end and tab
 * within. "" for NULL. */
const char *udm_text_line(apr_pool_t *p, const char *message);

#endif
