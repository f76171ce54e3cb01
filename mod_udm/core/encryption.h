/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * encryption.h: the two ways in which files are encrypted, and the words for them: in directives,
 * in the database, in names of files and in headers (decisions 4.1, 4.4).
 */
#ifndef UDM_CORE_ENCRYPTION_H
#define UDM_CORE_ENCRYPTION_H

#include <stdbool.h>

typedef enum {
    UDM_ENCRYPTION_SMIME,  /* S/MIME enveloped-data as text: AES-256-CBC, RSA */
    UDM_ENCRYPTION_CMS_GCM /* CMS AuthEnvelopedData: AES-256-GCM, RSA-OAEP or ECDH */
} udm_encryption;

/* Reads "smime" or "cms-gcm", in any case. @return false for any other word; NULL is one */
bool udm_encryption_parse(udm_encryption *encryption, const char *word);

/* "smime", "cms-gcm" */
const char *udm_encryption_name(udm_encryption encryption);

/* What the name of a file ends with: ".smime", ".p7m" */
const char *udm_encryption_suffix(udm_encryption encryption);

/* Reads such a suffix, as it is written. @return false for anything else */
bool udm_encryption_parse_suffix(udm_encryption *encryption, const char *suffix);

/* The media type (RFC 8551) of such a file. */
const char *udm_encryption_media_type(udm_encryption encryption);

#endif
