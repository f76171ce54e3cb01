/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c: makes what the threads of a child share, when the child begins.
 */
#include "httpd/child.h"

#include <apr_hash.h>
#include <apr_strings.h>

#include "httpd/auth.h"
#include "httpd/config.h"
#include "httpd/handler.h"
#include "httpd/supervisor.h"

/* Half of them for each, so that two may have their troubles at a time. */
static udm_child_t *make(apr_pool_t *pchild, int connections)
{
    udm_child_t *child = apr_pcalloc(pchild, sizeof(*child));

    if (udm_lookups_create(&child->lookups, pchild) != APR_SUCCESS) {
        child->lookups = NULL;
    }
    child->shares = udm_shares_create(pchild, connections > 1 ? (connections + 1) / 2 : 1);
    child->credentials = udm_batch_create(pchild, true, udm_auth_ask);
    child->jobs = udm_batch_create(pchild, true, udm_handler_ask_jobs);
    child->new_jobs = udm_batch_create(pchild, false, udm_handler_ask_new_jobs);
    child->downloads = udm_batch_create(pchild, false, udm_handler_ask_downloads);
    return child;
}

void udm_child_init(apr_pool_t *pchild, server_rec *s)
{
    udm_server_t *conf = udm_config_main();
    apr_hash_t *children = apr_hash_make(pchild);
    int i;

    for (; s; s = s->next) {
        udm_server_t *own = udm_config_server(s);

        /* By server, for those without a directive of ours have the main server's configuration. */
        apr_hash_set(children, apr_pmemdup(pchild, &s, sizeof(s)), sizeof(s),
                     make(pchild, conf->connections));
        for (i = 0; i < own->key_files->nelts; i++) {
            udm_key_file_child_init(APR_ARRAY_IDX(own->key_files, i, udm_key_file_t *), pchild);
        }
    }
    conf->children = children;
    udm_supervisor_child_init();
}

udm_child_t *udm_child_of(const request_rec *r)
{
    return apr_hash_get(udm_config_main()->children, &r->server, sizeof(r->server));
}
