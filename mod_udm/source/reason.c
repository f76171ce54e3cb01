/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * reason.c: asks the source, and says in words that a tenant may read what is wrong where it fails.
 */
#include <string.h>

#include <apr_strings.h>

#include "source/private.h"

bool udm_source_permanent(const udm_error_t *error)
{
    return error->kind == UDM_E_SOURCE && error->status == APR_EINVAL;
}

/* What libpq says of a connection that it cannot make tells neither from the other in every language. */
const char *udm_source_away(apr_pool_t *p, const udm_data_type_t *type)
{
    return apr_psprintf(p, "the source \"%s\" does not answer or does not let its reader in",
                        type->source);
}

udm_error_t *udm_source_lasting(udm_error_t *error)
{
    error->status = APR_EINVAL;
    return error;
}

udm_error_t *udm_source_stopped(const udm_source_t *s)
{
    return udm_error_make(s->pool, UDM_E_STOPPED, "the export was stopped");
}

udm_error_t *udm_source_explain_error(const udm_source_t *s, udm_error_t *error, const char *rel)
{
    apr_pool_t *p = s->pool;
    const char *source = s->type->source;
    const char *state = error->sqlstate;
    bool lasting = false;

    if (udm_stop_raised(s->stop)) {
        return udm_source_stopped(s);
    }
    if (strcmp(state, "42501") == 0) {
        error->reason = apr_psprintf(p, "the reader of source \"%s\" may not read %s", source, rel);
        lasting = true;
    }
    else if (strcmp(state, "42P01") == 0 || strcmp(state, "42703") == 0 ||
             strcmp(state, "3F000") == 0) {
        error->reason = apr_psprintf(p,
                                     "%s of source \"%s\" has changed: it or one of its columns "
                                     "does not exist",
                                     rel, source);
        lasting = true;
    }
    else if (strcmp(state, "57014") == 0 || strcmp(state, "55P03") == 0) {
        error->reason =
            apr_psprintf(p, "the source \"%s\" took too long, or %s is locked", source, rel);
    }
    else if (error->kind == UDM_E_DATABASE || *state == '\0') {
        error->reason = apr_psprintf(p, "the source \"%s\" does not answer", source);
    }
    else {
        error->reason =
            apr_psprintf(p, "%s of source \"%s\" cannot be read (SQLSTATE %s)", rel, source, state);
        /* What is wrong with a statement or a value is wrong the next time, too. */
        lasting = strncmp(state, "42", 2) == 0 || strncmp(state, "22", 2) == 0 ||
                  strncmp(state, "0A", 2) == 0 || strncmp(state, "54", 2) == 0;
    }
    error->kind = UDM_E_SOURCE;
    error->status = lasting ? APR_EINVAL : APR_SUCCESS;
    return error;
}

/* Longest value that a reason holds. */
#define ABOUT_MAX 200

const char *udm_source_about(apr_pool_t *p, const char *value)
{
    apr_size_t size = strlen(value);

    if (size <= ABOUT_MAX) {
        return apr_pstrcat(p, "\"", value, "\"", NULL);
    }
    for (size = ABOUT_MAX; size > ABOUT_MAX - 4 && ((unsigned char)value[size] & 0xc0) == 0x80;) {
        size--;
    }
    return apr_psprintf(p, "\"%.*s...\"", (int)size, value);
}

udm_error_t *udm_source_query(udm_result_t **result, udm_source_t *s, const char *rel,
                              const char *sql, int count, const char *const *values)
{
    udm_error_t *error = udm_pg_query_text(result, s->pool, s->db, sql, count, values);

    return error ? udm_source_explain_error(s, error, rel) : NULL;
}
