/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact.c: makes and reads "export-<uuid>.z(ip|[0-9]{2,5}).(smime|p7m)" and
 * "export-<uuid>.[0-9]{1,6}.part".
 */
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "core/artifact.h"

/* Steps over a text. @return false when something else stands there */
static bool skip(const char **at, const char *text)
{
    apr_size_t size = strlen(text);

    if (strncmp(*at, text, size) != 0) {
        return false;
    }
    *at += size;
    return true;
}

/* Reads a number of so many digits and steps over it. @return false when there is none */
static bool number(int *value, const char **at, apr_size_t least, apr_size_t most)
{
    apr_size_t digits = strspn(*at, "0123456789");

    if (digits < least || digits > most) {
        return false;
    }
    *value = (int)strtol(*at, NULL, 10);
    *at += digits;
    return true;
}

bool udm_artifact_parse(udm_artifact_t *artifact, const char *name)
{
    memset(artifact, 0, sizeof(*artifact));
    if (!skip(&name, UDM_ARTIFACT_PREFIX)) {
        return false;
    }
    apr_cpystrn(artifact->export_id, name, sizeof(artifact->export_id));
    if (!udm_text_is_uuid(artifact->export_id)) {
        return false;
    }
    name += UDM_UUID_SIZE;
    if (!skip(&name, ".z")) {
        artifact->draft = true;
        return skip(&name, ".") && number(&artifact->part, &name, 1, 6) &&
               strcmp(name, ".part") == 0;
    }
    return (skip(&name, "ip") || number(&artifact->part, &name, 2, 5)) &&
           udm_encryption_parse_suffix(&artifact->encryption, name);
}

const char *udm_artifact_volume(apr_pool_t *p, const char *export_id, int part)
{
    return part == UDM_ARTIFACT_LAST
               ? apr_pstrcat(p, UDM_ARTIFACT_PREFIX, export_id, ".zip", NULL)
               : apr_psprintf(p, UDM_ARTIFACT_PREFIX "%s.z%02d", export_id, part);
}

const char *udm_artifact_name(apr_pool_t *p, const char *export_id, int part,
                              udm_encryption encryption)
{
    return apr_pstrcat(p, udm_artifact_volume(p, export_id, part),
                       udm_encryption_suffix(encryption), NULL);
}

const char *udm_artifact_draft(apr_pool_t *p, const char *export_id, int part)
{
    return apr_psprintf(p, UDM_ARTIFACT_PREFIX "%s.%d.part", export_id, part);
}
