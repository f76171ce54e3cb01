/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h: a clock that nobody sets, for how long something takes or lasts.
 */
#ifndef UDM_CORE_CLOCK_H
#define UDM_CORE_CLOCK_H

#include <time.h>

#include <apr_time.h>

/* Microseconds since some moment before this program began; for differences alone. */
static inline apr_interval_time_t udm_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return apr_time_from_sec(now.tv_sec) + now.tv_nsec / 1000;
}

static inline apr_int64_t udm_clock_ms(void)
{
    return udm_clock() / 1000;
}

#endif
