/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h: the worker's log: one line on stderr for each event.
 *
 *   2026-11-24T08:00:00.000Z udm-worker[4711] info: UDMnnnn: message
 */
#ifndef UDM_WORKER_LOG_H
#define UDM_WORKER_LOG_H

#include <stdbool.h>

#include <apr_pools.h>

typedef enum { UDM_LOG_ERROR, UDM_LOG_WARN, UDM_LOG_INFO, UDM_LOG_DEBUG } udm_log_level;

/* @return false when `text` is none of error, warn, info, debug */
bool udm_log_level_parse(udm_log_level *level, const char *text);

/*
 * Writes a line when `level` is at or above `limit` in weight. The message begins with its tag
 * ("UDMnnnn: ", unique in the project) and never holds a credential. Any thread may call this.
 */
void udm_log(udm_log_level limit, udm_log_level level, const char *message, ...)
    __attribute__((format(printf, 3, 4)));

#endif
