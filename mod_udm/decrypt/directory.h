/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * directory.h: the central directory of an archive whose entries were walked through, and its end.
 */
#ifndef UDM_DECRYPT_DIRECTORY_H
#define UDM_DECRYPT_DIRECTORY_H

#include <stdbool.h>

#include "decrypt/walk.h"

/*
 * Reads the central directory and the end of the archive, compares them with the notes, and writes
 * those of a copy. @return UDM_E_UNPROCESSABLE when anything is not as it must be
 */
udm_error_t *udm_directory_read(udm_walk_t *walk);

/*
 * How many parts an archive has, from the last bytes of its last one.
 * @return false when they are not the end of an archive
 */
bool udm_directory_parts(uint32_t *parts, const unsigned char *tail, apr_size_t size);

/* As many bytes as udm_directory_parts wants. */
#define UDM_DIRECTORY_TAIL 128

#endif
