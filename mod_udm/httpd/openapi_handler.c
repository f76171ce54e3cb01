/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * openapi_handler.c: GET <mount>/openapi.json: the description of the API, as it is here.
 *
 * Anybody may ask for it, so it must cost little: each child makes the text for a set of versions and
 * an envelope once, and puts in the address, which depends on the request, each time.
 */
#include <stdlib.h>
#include <string.h>

#include <httpd.h>

#include <apr_strings.h>

#include "core/json.h"
#include "core/openapi.h"
#include "httpd/child.h"
#include "httpd/handler.h"

/* Stands for the address in the text that is kept. */
#define ADDRESS "udm:address"

/* Makes the text that is kept; from malloc, for it may have to go again. */
static udm_error_t *make_text(char **text, request_rec *r, const udm_dir_t *dir)
{
    json_t *document;
    udm_error_t *error = udm_openapi_document(&document, r->pool, udm_config_versions(dir),
                                              udm_config_wrapped(dir), ADDRESS);

    *text = NULL;
    if (!error) {
        *text = json_dumps(document, JSON_COMPACT);
        json_decref(document);
        if (!*text) {
            error = udm_error_make(r->pool, UDM_E_INTERNAL, "there is no description of the API");
        }
    }
    return error;
}

/* The text for this section; it lives as long as the child. */
static udm_error_t *kept_text(const char **kept, request_rec *r, const udm_dir_t *dir)
{
    _Atomic(char *) *slot =
        &udm_child_of(r)->openapi[2 * udm_config_versions(dir) + udm_config_wrapped(dir)];
    char *text = atomic_load(slot);
    udm_error_t *error = text ? NULL : make_text(&text, r, dir);

    if (!error && atomic_load(slot) != text) {
        char *first = NULL;

        if (!atomic_compare_exchange_strong(slot, &first, text)) {
            free(text); /* another thread was quicker */
            text = first;
        }
    }
    *kept = text;
    return error;
}

int udm_handle_openapi(request_rec *r, udm_request_t *q)
{
    static const char address[] = "\"" ADDRESS "\"";
    const char *text, *at, *base;
    udm_error_t *error = kept_text(&text, r, q->dir);
    json_t *json;

    if (error) {
        return udm_respond_error(r, error);
    }
    at = strstr(text, address);
    json = json_string(udm_handler_base_url(r, q));
    base = json ? udm_json_text(r->pool, json) : "\"/\"";
    json_decref(json);
    return udm_respond_document(r, apr_pstrcat(r->pool, apr_pstrmemdup(r->pool, text, at - text),
                                               base, at + sizeof(address) - 1, NULL));
}
