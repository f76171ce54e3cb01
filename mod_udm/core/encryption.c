/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * encryption.c: the words for the two ways of encryption.
 */
#include <string.h>
#include <strings.h>

#include "core/encryption.h"

static const struct {
    const char *name;
    const char *suffix;
    const char *media_type;
} words[] = {
    [UDM_ENCRYPTION_SMIME] = {"smime", ".smime",
                              "application/pkcs7-mime; smime-type=enveloped-data"},
    [UDM_ENCRYPTION_CMS_GCM] = {"cms-gcm", ".p7m",
                                "application/pkcs7-mime; smime-type=authEnveloped-data"},
};

bool udm_encryption_parse(udm_encryption *encryption, const char *word)
{
    udm_encryption e;

    for (e = UDM_ENCRYPTION_SMIME; word && e <= UDM_ENCRYPTION_CMS_GCM; e++) {
        if (strcasecmp(word, words[e].name) == 0) {
            *encryption = e;
            return true;
        }
    }
    return false;
}

const char *udm_encryption_name(udm_encryption encryption)
{
    return words[encryption].name;
}

const char *udm_encryption_suffix(udm_encryption encryption)
{
    return words[encryption].suffix;
}

const char *udm_encryption_media_type(const char *file_name)
{
    const char *suffix = words[UDM_ENCRYPTION_CMS_GCM].suffix;
    size_t length = strlen(file_name), end = strlen(suffix);
    bool gcm = length >= end && strcmp(file_name + length - end, suffix) == 0;

    return words[gcm ? UDM_ENCRYPTION_CMS_GCM : UDM_ENCRYPTION_SMIME].media_type;
}
