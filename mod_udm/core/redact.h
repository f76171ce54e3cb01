/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * redact.h: takes credentials out of a text that goes to a log: API keys, signatures of links,
 * tokens; in whatever percent-encoding, and in time and memory in proportion to the text.
 */
#ifndef UDM_CORE_REDACT_H
#define UDM_CORE_REDACT_H

#include <apr_pools.h>

/* What stands in place of a credential. */
#define UDM_REDACTED "REDACTED"

typedef enum {
    /* What belongs to a request to the API: whatever may be a credential, or a piece of one. */
    UDM_REDACT_OURS,
    /* What may be meant for us or for somebody else: what is hidden of the latter, and tokens. */
    UDM_REDACT_TOKENS,
    /* What belongs to somebody else: whole API keys and links to files, and nothing that could be
     * another application's. */
    UDM_REDACT_OTHERS
} udm_redact_scope;

/*
 * Hides what is secret. Of an API key "udm_" and its id stay, of a link all up to "signature=".
 * @return `text` itself when it holds nothing secret (so NULL for NULL), else a copy in `p`
 */
const char *udm_redact(apr_pool_t *p, const char *text, udm_redact_scope scope);

#endif
