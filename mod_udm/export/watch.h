/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h: how far an export is, and whether it is to end.
 */
#ifndef UDM_EXPORT_WATCH_H
#define UDM_EXPORT_WATCH_H

#include <stdatomic.h>

#include "core/stop.h"

/* Shared between the thread that exports and the one that keeps its lease. */
typedef struct udm_export_watch_t {
    udm_stop_t stop;    /* raised by the keeper: end at once, publish nothing */
    atomic_int percent; /* set by the exporter */
    atomic_llong rows;  /* set by the exporter */
} udm_export_watch_t;

#endif
