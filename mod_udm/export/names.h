/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h: makes names of entries that every file system takes, and keeps them apart, in memory that
 * does not depend on their number.
 */
#ifndef UDM_EXPORT_NAMES_H
#define UDM_EXPORT_NAMES_H

#include "export/buffer.h"

typedef struct udm_names_t udm_names_t;

udm_names_t *udm_names_make(apr_pool_t *p);

/*
 * Puts ".json" behind `name`, and before it "-2", "-3", ... when the name was given out before (in
 * either case of letters, since file systems that tell them apart are not everywhere). No name is
 * given out twice; a few among millions get a number without need. `name` is made of udm_zip_name; of
 * one that Windows takes for a device ("con", "aux.1") the first letter is percent-encoded, and one
 * that is longer than file systems take ends in a hash.
 */
void udm_names_finish(udm_names_t *names, udm_buffer_t *name);

#endif
