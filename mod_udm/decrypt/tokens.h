/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * tokens.h: JSON (RFC 8259) as it comes in: told piece by piece to whoever listens, so a document
 * of any size needs the same memory.
 */
#ifndef UDM_DECRYPT_TOKENS_H
#define UDM_DECRYPT_TOKENS_H

#include <stdbool.h>

#include "core/error.h"

/* Deepest nesting. */
#define UDM_TOKENS_DEPTH 96

/* What is told of a string; the rest of a longer one is passed over. A longer number is refused. */
#define UDM_TOKENS_TEXT 4096

typedef enum {
    UDM_TOKEN_OBJECT,
    UDM_TOKEN_OBJECT_END,
    UDM_TOKEN_ARRAY,
    UDM_TOKEN_ARRAY_END,
    UDM_TOKEN_NAME,
    UDM_TOKEN_STRING,
    UDM_TOKEN_NUMBER,
    UDM_TOKEN_WORD /* true, false, null */
} udm_token_kind;

/*
 * `depth` counts the objects and arrays around the token (of a begin or an end: without its own).
 * `text` ends with a NUL that is not part of `size`.
 */
typedef udm_error_t *udm_token_fn(void *context, udm_token_kind kind, int depth, const char *text,
                                  apr_size_t size);

typedef struct udm_tokens_t udm_tokens_t;

udm_tokens_t *udm_tokens_make(apr_pool_t *p, udm_token_fn *listener, void *context);

/* @return UDM_E_UNPROCESSABLE when it is no JSON, or what the listener returned */
udm_error_t *udm_tokens_write(udm_tokens_t *tokens, const char *data, apr_size_t size);
udm_error_t *udm_tokens_finish(udm_tokens_t *tokens);

#endif
