/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * error.c: makes, completes, copies and prints the one error type.
 */
#include <stdarg.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "core/error.h"

/* Every kind of error starts here, so that no field is ever left unset. */
static udm_error_t *new_error(apr_pool_t *p, udm_error_kind kind, apr_status_t status,
                              const char *reason)
{
    udm_error_t *error = apr_pcalloc(p, sizeof(*error));

    error->kind = kind;
    error->status = status;
    error->reason = reason;
    return error;
}

udm_error_t *udm_error_make(apr_pool_t *p, udm_error_kind kind, const char *reason, ...)
{
    udm_error_t *error;
    va_list args;

    va_start(args, reason);
    error = new_error(p, kind, APR_SUCCESS, apr_pvsprintf(p, reason, args));
    va_end(args);
    return error;
}

udm_error_t *udm_error_status(apr_pool_t *p, udm_error_kind kind, apr_status_t status,
                              const char *reason, ...)
{
    udm_error_t *error;
    va_list args;
    char text[200];

    va_start(args, reason);
    error = new_error(p, kind, status, apr_pvsprintf(p, reason, args));
    va_end(args);
    if (status != APR_SUCCESS) {
        error->detail = apr_pstrdup(p, apr_strerror(status, text, sizeof(text)));
    }
    return error;
}

udm_error_t *udm_error_detail(apr_pool_t *p, udm_error_t *error, const char *detail, ...)
{
    va_list args;
    char *text;
    apr_size_t size;

    va_start(args, detail);
    text = apr_pvsprintf(p, detail, args);
    va_end(args);
    /* what others say ends with a line feed, or is nothing at all */
    for (size = strlen(text); size > 0 && apr_isspace(text[size - 1]); size--) {
    }
    text[size] = '\0';
    error->detail = size > 0 ? text : NULL;
    return error;
}

void udm_error_fault(udm_error_t **error, apr_pool_t *p, const char *pointer, const char *detail,
                     ...)
{
    udm_fault_t *fault;
    va_list args;

    if (!*error) {
        *error = udm_error_make(p, UDM_E_INVALID, "the request body is not valid: see errors");
    }
    if (!(*error)->faults) {
        (*error)->faults = apr_array_make(p, 4, sizeof(udm_fault_t));
    }
    if ((*error)->faults->nelts >= UDM_FAULTS_MAX) {
        (*error)->more_faults = true;
        (*error)->reason = "the request body is not valid: see errors, which has the first 100 "
                           "faults; there are more";
        return;
    }
    fault = apr_array_push((*error)->faults);
    fault->pointer = apr_pstrdup(p, pointer);
    va_start(args, detail);
    fault->detail = apr_pvsprintf(p, detail, args);
    va_end(args);
}

bool udm_error_is_full(const udm_error_t *error)
{
    return error && error->more_faults;
}

udm_error_t *udm_error_copy(apr_pool_t *p, const udm_error_t *error)
{
    udm_error_t *copy;
    int i;

    if (!error) {
        return NULL;
    }
    copy = apr_pmemdup(p, error, sizeof(*error));
    copy->reason = apr_pstrdup(p, error->reason);
    copy->detail = apr_pstrdup(p, error->detail);
    copy->about = apr_pstrdup(p, error->about);
    if (error->faults) {
        copy->faults = apr_array_copy(p, error->faults);
        for (i = 0; i < copy->faults->nelts; i++) {
            udm_fault_t *fault = &APR_ARRAY_IDX(copy->faults, i, udm_fault_t);

            fault->pointer = apr_pstrdup(p, fault->pointer);
            fault->detail = apr_pstrdup(p, fault->detail);
        }
    }
    return copy;
}

int udm_error_http_status(const udm_error_t *error)
{
    switch (error->kind) {
    case UDM_E_INVALID:
    case UDM_E_CERTIFICATE: /* a job without a certificate to encrypt to */
        return 400;
    case UDM_E_UNAUTHENTICATED:
        return 401;
    case UDM_E_FORBIDDEN:
        return 403;
    case UDM_E_NOT_FOUND:
        return 404;
    case UDM_E_METHOD:
        return 405;
    case UDM_E_CONFLICT:
        return 409;
    case UDM_E_GONE:
        return 410;
    case UDM_E_PRECONDITION:
        return 412;
    case UDM_E_TOO_LARGE:
        return 413;
    case UDM_E_MEDIA_TYPE:
        return 415;
    case UDM_E_UNPROCESSABLE:
        return 422;
    case UDM_E_QUOTA:
        return 429;
    case UDM_E_DATABASE:
    case UDM_E_SOURCE:
    case UDM_E_STORE:
        return 503;
    case UDM_E_INTERNAL:
    case UDM_E_LOST: /* the worker's own: no request ever ends with these two */
    case UDM_E_STOPPED:
        break;
    }
    return 500;
}

const char *udm_error_told(apr_pool_t *p, const udm_error_t *error)
{
    return error->about ? apr_pstrcat(p, error->reason, ": ", error->about, NULL) : error->reason;
}

const char *udm_error_line(apr_pool_t *p, const udm_error_t *error)
{
    char *line =
        apr_pstrcat(p, error->reason, error->detail ? ": " : "", error->detail ? error->detail : "",
                    error->sqlstate[0] ? " (SQLSTATE " : "", error->sqlstate,
                    error->sqlstate[0] ? ")" : "", NULL);
    char *c;

    /* what the other side sent must not be able to begin a log line of its own */
    for (c = line; *c; c++) {
        if (apr_iscntrl(*c)) {
            *c = ' ';
        }
    }
    return line;
}
