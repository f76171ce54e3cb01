/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * retry.c: creates a job once, however often the same request is sent.
 */
#include <string.h>

#include "core/json.h"
#include "db/job_private.h"
#include "pg/transaction.h"

/* The lock of a key, held to the end of the transaction. An array of JSON keeps the parts apart. */
static const udm_statement_t retry_lock = {
    "udm_retry_lock",
    "SELECT pg_try_advisory_xact_lock(hashtextextended(json_build_array('udm.idempotency',"
    " $1::text, $2::text, $3::text)::text, 0))"};

static const udm_statement_t retry_select = {
    "udm_retry_select", "SELECT body_sha256, job_id, source, type, answer FROM udm.idempotency"
                        " WHERE ccid = $1 AND version = $2 AND key = $3"
                        " AND created_at > now() - interval '24 hours'"};

/* An older record is no longer good for an answer, only in the way. */
static const udm_statement_t retry_insert = {
    "udm_retry_insert",
    "INSERT INTO udm.idempotency (ccid, version, key, body_sha256, job_id, source, type, answer)"
    " VALUES ($1, $2, $3, $4, $5::bigint, $6, $7, $8)"
    " ON CONFLICT (ccid, version, key) DO UPDATE SET body_sha256 = excluded.body_sha256,"
    " job_id = excluded.job_id, source = excluded.source, type = excluded.type,"
    " answer = excluded.answer, created_at = now()"};

#define RETRY_KEY_VALUES 3
#define RETRY_VALUES     8

/* What one attempt works on. */
typedef struct once_t {
    const char **answer;
    apr_int64_t *id;
    const udm_job_t *job;
    const udm_retry_t *retry;
    const udm_audit_t *audit;
} once_t;

/* Gives the answer of then again, to whoever might have asked for it then. */
static udm_error_t *answer_again(once_t *once, apr_pool_t *p, const udm_result_t *row)
{
    const char *source = udm_result_text(row, 0, 2);
    const char *type = udm_result_text(row, 0, 3);

    if (!udm_principal_may(once->audit->who, source, type, true)) {
        return udm_error_make(p, UDM_E_FORBIDDEN,
                              "this Idempotency-Key was sent before for data outside your role");
    }
    if (strcmp(udm_result_text(row, 0, 0), once->retry->body_sha256) != 0) {
        return udm_error_make(p, UDM_E_UNPROCESSABLE,
                              "this Idempotency-Key was sent before with another body: send a new "
                              "key with a new request");
    }
    *once->id = udm_result_int(row, 0, 1);
    *once->answer = udm_result_text(row, 0, 4);
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

    error = udm_pg_query(&row, p, db, &retry_lock, RETRY_KEY_VALUES, values);
    if (error) {
        return error;
    }
    if (!udm_result_bool(row, 0, 0)) {
        return udm_error_make(p, UDM_E_CONFLICT,
                              "a request with this Idempotency-Key is still running");
    }
    error = udm_pg_query(&row, p, db, &retry_select, RETRY_KEY_VALUES, values);
    if (error) {
        return error;
    }
    if (row->rows > 0) {
        return answer_again(once, p, row);
    }
    error = udm_job_create(&info, p, db, once->job, once->audit);
    if (error) {
        return error;
    }
    answer = udm_json_text(p, udm_json_own(p, udm_job_info_json(p, info, once->retry->version)));
    values[4] = udm_pg_int(p, info->id);
    values[5] = info->source;
    values[6] = info->type;
    values[7] = answer;
    error = udm_pg_query(&row, p, db, &retry_insert, RETRY_VALUES, values);
    if (!error) {
        *once->id = info->id;
        *once->answer = answer;
    }
    return error;
}

udm_error_t *udm_job_create_once(const char **answer, apr_int64_t *id, apr_pool_t *p, udm_pg_t *db,
                                 const udm_job_t *job, const udm_retry_t *retry,
                                 const udm_audit_t *audit)
{
    once_t once = {answer, id, job, retry, audit};
    udm_error_t *error;

    *answer = NULL;
    *id = 0;
    error = udm_transaction(p, db, create_once, &once);
    if (error) {
        *answer = NULL;
        *id = 0;
    }
    return error;
}
