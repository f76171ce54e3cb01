/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * retry.c: creates a job once, however often the same request is sent.
 */
#include <string.h>

#include "db/job.h"
#include "db/job_private.h"
#include "db/row.h"
#include "pg/transaction.h"

/* The record of the key, held to the end of the transaction; whoever finds it held does not wait. */
static const udm_statement_t retry_begin = {
    "udm_retry_begin",
    "SELECT mine, sent_sha256, job_id, source, type, answer"
    ", " UDM_NEW_TAG("(answer::json ->> 'status')") " FROM udm.begin_retry($1, $2, $3, $4)"};

/* An older record is no longer good for an answer: this one takes its place. */
static const udm_statement_t retry_end = {
    "udm_retry_end", "UPDATE udm.idempotency SET body_sha256 = $4, job_id = $5::bigint,"
                     " source = $6, type = $7, answer = $8, created_at = now()"
                     " WHERE ccid = $1 AND version = $2 AND key = $3"};

enum { RETRY_MINE, RETRY_SENT, RETRY_JOB, RETRY_SOURCE, RETRY_TYPE, RETRY_ANSWER, RETRY_TAG };

#define SQLSTATE_NO_SUCH_KEY "23503"

#define RETRY_BEGIN_VALUES 4
#define RETRY_VALUES       8

/* What one attempt works on. */
typedef struct once_t {
    const char **answer;
    const char **etag;
    apr_int64_t *id;
    const udm_job_t *job;
    const udm_retry_t *retry;
    const udm_audit_t *audit;
} once_t;

/* Gives the answer of then again, to whoever might have asked for it then. */
static udm_error_t *answer_again(once_t *once, apr_pool_t *p, const udm_result_t *row)
{
    const char *source = udm_result_text(row, 0, RETRY_SOURCE);
    const char *type = udm_result_text(row, 0, RETRY_TYPE);

    if (!udm_principal_may(once->audit->who, source, type, true)) {
        return udm_error_make(p, UDM_E_FORBIDDEN,
                              "this Idempotency-Key was sent before for data outside your role");
    }
    if (strcmp(udm_result_text(row, 0, RETRY_SENT), once->retry->body_sha256) != 0) {
        return udm_error_make(p, UDM_E_UNPROCESSABLE,
                              "this Idempotency-Key was sent before with another body: send a new "
                              "key with a new request");
    }
    *once->id = udm_result_int(row, 0, RETRY_JOB);
    *once->answer = udm_result_text(row, 0, RETRY_ANSWER);
    *once->etag = udm_result_text(row, 0, RETRY_TAG);
    return NULL;
}

static udm_error_t *create_once(apr_pool_t *p, udm_pg_t *db, void *baton)
{
    once_t *once = baton;
    const char *values[RETRY_VALUES] = {once->audit->who->ccid,
                                        udm_version_name(once->retry->version), once->retry->key,
                                        once->retry->body_sha256};
    udm_job_info_t *info;
    udm_result_t *row;
    udm_error_t *error;
    const char *answer;

    error = udm_pg_query(&row, p, db, &retry_begin, RETRY_BEGIN_VALUES, values);
    if (error && strcmp(error->sqlstate, SQLSTATE_NO_SUCH_KEY) == 0) {
        return udm_tenant_unknown(p); /* what was shown was remembered from before */
    }
    if (error) {
        return error;
    }
    if (!udm_result_bool(row, 0, RETRY_MINE)) {
        return udm_error_make(p, UDM_E_CONFLICT,
                              "a request with this Idempotency-Key is still running");
    }
    if (udm_result_text(row, 0, RETRY_ANSWER)) {
        return answer_again(once, p, row);
    }
    error = udm_job_create(&info, p, db, once->job, once->audit);
    if (error) {
        return error;
    }
    answer = udm_job_info_text(p, info, once->retry->version);
    values[4] = udm_pg_int(p, info->id);
    values[5] = info->source;
    values[6] = info->type;
    values[7] = answer;
    error = udm_pg_query(&row, p, db, &retry_end, RETRY_VALUES, values);
    if (!error) {
        *once->id = info->id;
        *once->answer = answer;
        *once->etag = info->etag;
    }
    return error;
}

udm_error_t *udm_job_create_once(const char **answer, const char **etag, apr_int64_t *id,
                                 apr_pool_t *p, udm_pg_t *db, const udm_job_t *job,
                                 const udm_retry_t *retry, const udm_audit_t *audit)
{
    once_t once = {answer, etag, id, job, retry, audit};
    udm_error_t *error;

    *answer = *etag = NULL;
    *id = 0;
    error = udm_transaction(p, db, create_once, &once);
    if (error) {
        *answer = *etag = NULL;
        *id = 0;
    }
    return error;
}
