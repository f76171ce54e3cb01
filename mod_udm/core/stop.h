/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * stop.h: how one thread ends the waits of another.
 */
#ifndef UDM_CORE_STOP_H
#define UDM_CORE_STOP_H

#include <stdatomic.h>
#include <stdbool.h>

#include <apr_pools.h>

#include "core/error.h"

/* What ends waits: raised by one thread, seen by the one that waits. Made once, used again and again. */
typedef struct udm_stop_t {
    atomic_bool raised;
    int fd; /* readable once raised */
} udm_stop_t;

/* Makes one that is not raised; it lives as long as `p`. */
udm_error_t *udm_stop_make(udm_stop_t *stop, apr_pool_t *p);

/* Raises it; never waits. Any thread. */
void udm_stop_raise(udm_stop_t *stop);

/* Takes it back. Not while somebody waits. */
void udm_stop_lower(udm_stop_t *stop);

/* NULL is never raised. */
bool udm_stop_raised(const udm_stop_t *stop);

#endif
