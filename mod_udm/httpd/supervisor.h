/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor.h: UDMWorker On: httpd runs udm-worker as a process of its own.
 */
#ifndef UDM_HTTPD_SUPERVISOR_H
#define UDM_HTTPD_SUPERVISOR_H

#include <httpd.h>

/* Starts the worker, in the pass of post_config that counts. @return OK, or a logged fault */
int udm_supervisor_start(apr_pool_t *pconf, server_rec *s);

/* Called in the parent every few seconds: starts a worker that died, after a while. */
int udm_supervisor_monitor(server_rec *s);

/* Lets go of what belongs to the parent alone; called in each new child. */
void udm_supervisor_child_init(void);

#endif
