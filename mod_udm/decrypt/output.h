/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * output.h: where the content goes: a directory, an archive in one piece, or nowhere. It has its
 * name only once udm_output_finish gave it; until then the pool's end removes it, whatever happened.
 */
#ifndef UDM_DECRYPT_OUTPUT_H
#define UDM_DECRYPT_OUTPUT_H

#include <stdbool.h>

#include "core/error.h"

typedef enum { UDM_OUTPUT_NONE, UDM_OUTPUT_DIRECTORY, UDM_OUTPUT_ARCHIVE } udm_output_kind;

typedef struct udm_output_t udm_output_t;

/* Fails when `path` exists; UDM_E_STORE when nothing can be made beside it. */
udm_error_t *udm_output_open(udm_output_t **output, apr_pool_t *p, udm_output_kind kind,
                             const char *path);

/* A folder beside the output, for temporary files. */
const char *udm_output_folder(const udm_output_t *output);

/* An entry into the directory; nothing for the other kinds. The name was checked. */
udm_error_t *udm_output_begin(udm_output_t *output, const char *name);
udm_error_t *udm_output_content(udm_output_t *output, const void *data, apr_size_t size);
udm_error_t *udm_output_end(udm_output_t *output);

/* Bytes of the archive; nothing for the other kinds. */
udm_error_t *udm_output_raw(udm_output_t *output, const void *data, apr_size_t size);
apr_int64_t udm_output_at(const udm_output_t *output);

/* Sees to it that everything is on the disk, then gives it its name. */
udm_error_t *udm_output_finish(udm_output_t *output);

#endif
