/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * result.c: reads the values of a result, which come as text.
 */
#include "pg/result.h"

#include <string.h>

#include <apr_strings.h>
#include <jansson.h>

#include "core/calendar.h"

const char *udm_result_text(const udm_result_t *result, int row, int column)
{
    if (PQgetisnull(result->result, row, column)) {
        return NULL;
    }
    return PQgetvalue(result->result, row, column);
}

apr_int64_t udm_result_int(const udm_result_t *result, int row, int column)
{
    const char *text = udm_result_text(result, row, column);

    return text ? apr_atoi64(text) : 0;
}

bool udm_result_bool(const udm_result_t *result, int row, int column)
{
    const char *text = udm_result_text(result, row, column);

    return text && *text == 't';
}

apr_time_t udm_result_time(const udm_result_t *result, int row, int column)
{
    const char *text = udm_result_text(result, row, column);

    return text ? apr_atoi64(text) : UDM_NO_TIME;
}

apr_array_header_t *udm_result_array(apr_pool_t *p, const udm_result_t *result, int row, int column)
{
    const char *text = udm_result_text(result, row, column);
    apr_array_header_t *array = apr_array_make(p, 4, sizeof(const char *));
    json_t *json = text && strcmp(text, "[]") != 0 ? json_loads(text, 0, NULL) : NULL;
    json_t *item;
    size_t i;

    json_array_foreach(json, i, item)
    {
        if (json_is_string(item)) {
            APR_ARRAY_PUSH(array, const char *) = apr_pstrdup(p, json_string_value(item));
        }
    }
    json_decref(json);
    return array;
}
