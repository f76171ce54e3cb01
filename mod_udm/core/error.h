/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h: the one error type of the project.
 *
 * A function that can fail returns `udm_error_t *`: NULL is success. The error, and every string in
 * it, lives in the pool it was made with. `reason` is for the person at the other end (a client, or
 * whoever reads a run's statusReason): it never holds a credential, a connection string, a libpq
 * message or another tenant's data. `detail` is for the log. `about` is for the tenant alone, behind
 * the reason: it may hold a value of theirs, and never goes into a log.
 */
#ifndef UDM_CORE_ERROR_H
#define UDM_CORE_ERROR_H

#include <stdbool.h>

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_tables.h>

typedef enum {
    UDM_E_INTERNAL,        /* a bug, or an answer nobody expected: 500 */
    UDM_E_INVALID,         /* what was sent is wrong, or does not fit the state: 400 */
    UDM_E_UNAUTHENTICATED, /* 401 */
    UDM_E_FORBIDDEN,       /* 403 */
    UDM_E_NOT_FOUND,       /* 404 */
    UDM_E_METHOD,          /* 405 */
    UDM_E_CONFLICT,        /* 409 */
    UDM_E_GONE,            /* 410 */
    UDM_E_PRECONDITION,    /* 412 */
    UDM_E_TOO_LARGE,       /* 413 */
    UDM_E_MEDIA_TYPE,      /* 415 */
    UDM_E_UNPROCESSABLE,   /* 422 */
    UDM_E_QUOTA,           /* the contact center has as much as it may have: 429 */
    UDM_E_DATABASE,        /* PostgreSQL does not answer, or refused for want of something: 503 */
    UDM_E_SOURCE,          /* a source is out of reach or does not fit its catalog entry */
    UDM_E_CERTIFICATE,     /* no certificate, or one that cannot be used (any more) */
    UDM_E_STORE,           /* the store cannot be read or written; status says why (ENOSPC, ...) */
    UDM_E_LOST,            /* the lease is another worker's: change nothing more */
    UDM_E_STOPPED          /* stopped on purpose: cancelled, suspended or handed back */
} udm_error_kind;

/* One fault of a request body. `pointer` is a JSON Pointer (RFC 6901). */
typedef struct udm_fault_t {
    const char *pointer;
    const char *detail;
} udm_fault_t;

typedef struct udm_error_t {
    udm_error_kind kind;
    apr_status_t status;        /* of the call that failed, else APR_SUCCESS */
    char sqlstate[6];           /* of the statement that failed, else "" */
    char routine[32];           /* of the server that reported it, where it said so, else "" */
    const char *reason;         /* never NULL */
    const char *detail;         /* NULL when there is no more to say */
    const char *about;          /* which of the tenant's own data it is about; NULL: none */
    apr_array_header_t *faults; /* of udm_fault_t; NULL when there are none */
    bool more_faults;           /* than are kept */
    int retry_after;            /* s: when another try is worth it; 0: not known */
} udm_error_t;

/* @return a new error; `reason` is a printf format. Lives as long as `p`. */
udm_error_t *udm_error_make(apr_pool_t *p, udm_error_kind kind, const char *reason, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with the status of the system call that failed: its text goes to `detail`. */
udm_error_t *udm_error_status(apr_pool_t *p, udm_error_kind kind, apr_status_t status,
                              const char *reason, ...) __attribute__((format(printf, 4, 5)));

/*
 * Sets `detail` (printf format), for the log; one that is empty is none, blanks at its end are not
 * kept. @return `error`, to be returned at once
 */
udm_error_t *udm_error_detail(apr_pool_t *p, udm_error_t *error, const char *detail, ...)
    __attribute__((format(printf, 3, 4)));

#define UDM_FAULTS_MAX 100 /* of one body */

/*
 * Adds one fault of a body; makes the UDM_E_INVALID error at the first one. Beyond UDM_FAULTS_MAX
 * none is kept, and the reason says that there are more.
 */
void udm_error_fault(udm_error_t **error, apr_pool_t *p, const char *pointer, const char *detail,
                     ...) __attribute__((format(printf, 4, 5)));

/* @return true once a fault was dropped: whoever goes through a long list may stop */
bool udm_error_is_full(const udm_error_t *error);

/* A copy that lives in `p`, for an error that leaves the pool it was made in. */
udm_error_t *udm_error_copy(apr_pool_t *p, const udm_error_t *error);

/* @return the HTTP status that answers this error, 400 to 503 */
int udm_error_http_status(const udm_error_t *error);

/* What the tenant is told: the reason, and what of their data it is about. */
const char *udm_error_told(apr_pool_t *p, const udm_error_t *error);

/* One line for the log: reason, detail, SQLSTATE. */
const char *udm_error_line(apr_pool_t *p, const udm_error_t *error);

#endif
