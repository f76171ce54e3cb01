/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h: tries out what is registered for a source, for the person who registered it.
 */
#ifndef UDM_WORKER_CHECK_H
#define UDM_WORKER_CHECK_H

#include "worker/settings.h"

/*
 * Prints to stdout, for each type of the source (name or alias): which columns leave, which is what, and
 * what to mind; or why no run of it can succeed. Changes nothing.
 * @return EXIT_SUCCESS when every type can be read, else EXIT_FAILURE
 */
int udm_check_run(apr_pool_t *p, const udm_settings_t *settings, const char *source);

#endif
