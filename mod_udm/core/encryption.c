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

bool udm_encryption_parse_suffix(udm_encryption *encryption, const char *suffix)
{
    udm_encryption e;

    for (e = UDM_ENCRYPTION_SMIME; e <= UDM_ENCRYPTION_CMS_GCM; e++) {
        if (strcmp(suffix, words[e].suffix) == 0) {
            *encryption = e;
            return true;
        }
    }
    return false;
}

const char *udm_encryption_media_type(udm_encryption encryption)
{
    return words[encryption].media_type;
}
