/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact.h: the names of the files of an export: of several, "export-<uuid>.z01.smime" and so
 * on, the last one, or the only one, "export-<uuid>.zip.smime" (or .p7m, by its encryption); and of
 * one that is being written, "export-<uuid>.1.part".
 */
#ifndef UDM_CORE_ARTIFACT_H
#define UDM_CORE_ARTIFACT_H

#include <stdbool.h>

#include <apr_pools.h>

#include "core/encryption.h"
#include "core/text.h"

/* What all of them begin with; the UUID follows. */
#define UDM_ARTIFACT_PREFIX "export-"

/* The highest number that a part has; the last part has none. */
#define UDM_ARTIFACT_PART_MAX 99999

/* The part that has no number. */
#define UDM_ARTIFACT_LAST 0

/* What a name says. */
typedef struct udm_artifact_t {
    char export_id[UDM_UUID_SIZE + 1];
    bool draft;                /* a ".part": being written, or left behind */
    int part;                  /* its number, or UDM_ARTIFACT_LAST */
    udm_encryption encryption; /* not of a draft, whose name does not tell */
} udm_artifact_t;

/*
 * Takes a name apart, which is safe as a part of a path then: nothing but what is made here has
 * this form. @return false when it has another
 */
bool udm_artifact_parse(udm_artifact_t *artifact, const char *name);

/* The name of a part, and without its encryption's suffix: that of the ZIP volume in it. */
const char *udm_artifact_name(apr_pool_t *p, const char *export_id, int part,
                              udm_encryption encryption);
const char *udm_artifact_volume(apr_pool_t *p, const char *export_id, int part);

/* The name of a part while it is written; `part` counts from 1, the last one too. */
const char *udm_artifact_draft(apr_pool_t *p, const char *export_id, int part);

#endif
