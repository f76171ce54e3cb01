/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * respond.h: how requests are answered: headers, bodies, envelopes, problem documents.
 *
 * Every function here takes over the JSON it is given, writes headers and body, and returns what a
 * handler returns. Where the section says UDMEnvelope wrapped, JSON gets its envelope unless the
 * function says otherwise.
 */
#ifndef UDM_HTTPD_RESPOND_H
#define UDM_HTTPD_RESPOND_H

#include <httpd.h>
#include <jansson.h>

#include "core/error.h"

/* An answer that nobody keeps. */
int udm_respond_json(request_rec *r, int status, json_t *json);

/* The same, of compact text. */
int udm_respond_text(request_rec *r, int status, const char *text);

/*
 * One resource, with its entity tag: 304 when the client has it (If-None-Match), 412 when it wanted
 * another one (If-Match).
 */
int udm_respond_resource(request_rec *r, json_t *json);
int udm_respond_resource_text(request_rec *r, const char *text);
/* The same for one whose tag is known. */
int udm_respond_resource_tagged(request_rec *r, const char *etag, const char *text);

/* The same for a text of JSON that everybody may have, and that is never wrapped. */
int udm_respond_document(request_rec *r, const char *text);

/* 200 with a body that the API documents in this shape: never wrapped. */
int udm_respond_as_is(request_rec *r, json_t *json);

/*
 * A status whose body is documented as an array of what was not done; wrapped it is the envelope of
 * an error. `reason` is for a person. No 500 of this kind is a mistake of the server.
 */
int udm_respond_left(request_rec *r, int status, const char *reason, json_t *left);

int udm_respond_empty(request_rec *r, int status);
int udm_respond_error(request_rec *r, const udm_error_t *error);
/* The error under another status than its kind stands for. */
int udm_respond_error_as(request_rec *r, int status, const udm_error_t *error);

/*
 * Refuses a request before its handler is reached. httpd makes the answer, so that other modules add
 * to it what they add to errors (Header always).
 * @return the status, for a hook
 */
int udm_respond_refuse(request_rec *r, const udm_error_t *error);

/* The headers that every answer has. */
void udm_respond_headers(request_rec *r);

/* Has httpd take the tag for what the client names, if a proxy has changed it there. */
void udm_respond_recognize_tag(request_rec *r, const char *etag);

/* Lets httpd send all of the answer: a fragment of JSON is of no use to anybody. */
void udm_respond_whole(request_rec *r);

/* @return true when answers get an envelope here */
bool udm_respond_wraps(request_rec *r);

/* The body of an error under a status that httpd itself chose, and its media type. */
const char *udm_respond_problem_text(const char **type, request_rec *r, int status);

#endif
