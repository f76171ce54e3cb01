/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * scheduletest.h: what the tests of schedules share; it is in test_schedule.c.
 */
#ifndef UDM_SCHEDULETEST_H
#define UDM_SCHEDULETEST_H

#include "core/calendar.h"

/* The time of a text. */
apr_time_t scheduletest_instant(const char *text);

/* Compares with a time in short form; NULL: never. */
void scheduletest_is_at(apr_time_t when, const char *expected, const char *what);

#endif
