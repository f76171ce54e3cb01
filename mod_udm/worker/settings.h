/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h: the worker's settings: lines "name value", '#' comments.
 */
#ifndef UDM_WORKER_SETTINGS_H
#define UDM_WORKER_SETTINGS_H

#include "core/error.h"
#include "worker/log.h"

#define UDM_SLOTS_MAX 64

typedef struct udm_settings_t {
    const char *database; /* libpq string; may hold a password, so it is never shown */
    const char *store;
    const char *source_dir;
    const char *spool_dir;
    int retention_days;
    int history_days;   /* that a record is kept when its run is over; 0: for ever; */
    int tombstone_days; /* that it is known that there was a file; 0: for ever; */
    int audit_days;     /* that the audit is kept; 0: for ever */
    apr_int64_t max_part_size;
    int max_parts;       /* files that an export may be split into */
    apr_int64_t max_row; /* bytes of a row, as a source sends it */
    int slots;
    const char *user;  /* NULL: not set */
    const char *group; /* NULL: the user's own */
    udm_log_level log_level;
    int attempts;     /* how often an export is tried that may work later */
    int settle_limit; /* seconds that a moving window waits for older writers in its source */
    int retry_delay;  /* seconds before the second attempt; six times as long before each further */
    int sweep_interval; /* seconds from one look for orphans in the store to the next */
    int orphan_age;     /* seconds that one stays there of which nothing is known */
    int dead_age;       /* seconds that one stays there whose attempt is known to be over */
} udm_settings_t;

/*
 * Reads settings from text; `name` is that of the file, for messages.
 * @return UDM_E_INVALID that names file, line, setting, value and what is allowed
 */
udm_error_t *udm_settings_parse(udm_settings_t **settings, apr_pool_t *p, const char *name,
                                const char *text);

/* Reads a settings file. */
udm_error_t *udm_settings_load(udm_settings_t **settings, apr_pool_t *p, const char *path);

/* Reads settings from a stream up to a line "end"; not a byte after it is taken. */
udm_error_t *udm_settings_receive(udm_settings_t **settings, apr_pool_t *p, int fd);

#endif
