/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * base64.h: base64 of RFC 4648 with padding, for the bulk of an export.
 */
#ifndef UDM_EXPORT_BASE64_H
#define UDM_EXPORT_BASE64_H

#include <apr.h>

/* How many characters `size` bytes become. */
#define UDM_BASE64_SIZE(size) (((size) + 2) / 3 * 4)

/* Writes UDM_BASE64_SIZE(size) characters, and nothing behind them. @return where they end */
char *udm_base64(char *to, const unsigned char *from, apr_size_t size);

#endif
