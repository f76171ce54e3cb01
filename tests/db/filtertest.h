/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * filtertest.h: what the tests of filters share; it is in test_source_filter.c.
 */
#ifndef UDM_FILTERTEST_H
#define UDM_FILTERTEST_H

#include "sourcetest.h"

/* The filters of a run: one, whose value is JSON. */
const char *filtertest_filter_json(const char *attribute, const char *operator, const char * value);

/* The keys of the rows that come through; the source is closed again. */
const char *filtertest_through(const udm_data_type_t *type, const char *filters);

/* The same by SQL that a person would write. */
const char *filtertest_by_sql(const char *relation, const char *condition);

/* A type with a column of each kind that can be asked for. */
udm_data_type_t *filtertest_kinds(void);

#endif
