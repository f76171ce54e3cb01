/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h: jansson tied to pools, and problem documents (RFC 9457).
 */
#ifndef UDM_CORE_JSON_H
#define UDM_CORE_JSON_H

#include <apr_pools.h>
#include <jansson.h>

#include "core/error.h"

/* Deepest nesting that a request body may have; jansson alone would take 2048. */
#define UDM_JSON_MAX_DEPTH 64

/*
 * How many values a request body may have. A value of two bytes ("{}") becomes up to 250 in memory, so
 * it is this that bounds what a body needs: see tests/unit/test_memory.c. The largest job that keeps to
 * every other limit has some 21,100.
 */
#define UDM_JSON_MAX_VALUES 25000

/* Releases `json` with the pool. @return `json`, so that it can be tied where it is made */
json_t *udm_json_own(apr_pool_t *p, json_t *json);

/*
 * Reads one JSON document: UTF-8, no duplicate keys, no NUL in strings, at most UDM_JSON_MAX_DEPTH
 * deep and of UDM_JSON_MAX_VALUES values. The document is released with `p`.
 * @return UDM_E_INVALID that says line, column and what is wrong
 */
udm_error_t *udm_json_parse(json_t **json, apr_pool_t *p, const char *text, apr_size_t size);

/* Compact text of `json`, in `p`; keys in the order they were set. */
const char *udm_json_text(apr_pool_t *p, const json_t *json);

/*
 * JSON text that grows: for what is written often. Whoever puts something there puts commas and
 * brackets, too. Text must be UTF-8, as the database has it.
 *
 * An export has a writer of its own (export/buffer.h): it escapes as PostgreSQL does, where this
 * does as jansson, checks the UTF-8 of whatever source, and is what an export's time goes into.
 */
typedef struct udm_json_out_t {
    apr_pool_t *pool;
    char *text;
    apr_size_t size, capacity;
} udm_json_out_t;

/* An empty one with room for `capacity` bytes before it has to move. */
udm_json_out_t *udm_json_out(apr_pool_t *p, apr_size_t capacity);
/* As it stands. */
void udm_json_put(udm_json_out_t *out, const char *raw);
/* A string in quotes, escaped as udm_json_text does; NULL is null. */
void udm_json_put_string(udm_json_out_t *out, const char *text);
void udm_json_put_int(udm_json_out_t *out, apr_int64_t value);
/* What was put there; ended by a NUL. */
const char *udm_json_out_text(udm_json_out_t *out);

/*
 * The problem document of an error: type ("about:blank"), title (the status' reason phrase),
 * status, detail (the reason), and errors[{pointer,detail}] when the body had faults.
 */
json_t *udm_json_problem(apr_pool_t *p, const udm_error_t *error);

/*
 * The envelope of UDMEnvelope wrapped (decisions 1.1): {"status":{"code":0,...},"data":<bare>}. A
 * list that is streamed writes the two texts around its own. Takes over `bare`; a new reference.
 */
#define UDM_JSON_ENVELOPE_BEFORE                                                                   \
    "{\"status\":{\"code\":0,\"detail\":{},\"message\":\"successful\"},\"data\":"
#define UDM_JSON_ENVELOPE_AFTER "}"
json_t *udm_json_envelope(json_t *bare);

/* {"status":{"code":0,"detail":{},"message":"successful"}}: v4's answer to suspend and resume. */
json_t *udm_json_success(void);

/*
 * The envelope of an error: code is the HTTP status, detail the problem document, message its title;
 * `data` is the array that some errors have for a body, else NULL. Takes over both.
 */
json_t *udm_json_error_envelope(int http_status, json_t *problem, json_t *data);

/* The reason phrase of an HTTP status ("Not Found"). Static. */
const char *udm_json_title(int http_status);

#endif
