/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * value.c: writes parameters and identifiers for SQL.
 */
#include "pg/value.h"

#include <string.h>

#include <apr_strings.h>

#include "core/calendar.h"

const char *udm_pg_int(apr_pool_t *p, apr_int64_t value)
{
    return apr_psprintf(p, "%" APR_INT64_T_FMT, value);
}

const char *udm_pg_time_of(apr_pool_t *p, const char *expression)
{
    return apr_psprintf(p, UDM_PG_TIME("%s"), expression, expression, expression);
}

const char *udm_pg_time(apr_pool_t *p, apr_time_t value)
{
    return value == UDM_NO_TIME ? NULL : udm_pg_int(p, value);
}

/* Copies `text` between two `quote`s, with `escape` before each character of `special`. */
static char *quote_into(char *out, const char *text, char quote, char escape, const char *special)
{
    *out++ = quote;
    for (; *text; text++) {
        if (strchr(special, *text)) {
            *out++ = escape;
        }
        *out++ = *text;
    }
    *out++ = quote;
    return out;
}

const char *udm_pg_array(apr_pool_t *p, const apr_array_header_t *values)
{
    apr_size_t size = 3;
    char *literal;
    char *out;
    int i;

    for (i = 0; i < values->nelts; i++) {
        const char *value = APR_ARRAY_IDX(values, i, const char *);

        size += value ? 2 * strlen(value) + 3 : sizeof("NULL,");
    }
    literal = out = apr_palloc(p, size);
    *out++ = '{';
    for (i = 0; i < values->nelts; i++) {
        if (i > 0) {
            *out++ = ',';
        }
        if (APR_ARRAY_IDX(values, i, const char *)) {
            out = quote_into(out, APR_ARRAY_IDX(values, i, const char *), '"', '\\', "\"\\");
        }
        else {
            memcpy(out, "NULL", 4);
            out += 4;
        }
    }
    *out++ = '}';
    *out = '\0';
    return literal;
}

const char *udm_pg_identifier(apr_pool_t *p, const char *name)
{
    char *quoted = apr_palloc(p, 2 * strlen(name) + 3);

    *quote_into(quoted, name, '"', '"', "\"") = '\0';
    return quoted;
}
