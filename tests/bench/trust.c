/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * trust.c: UDMTrust, for the benchmark `auth` alone: takes everybody who asks below a section for
 * one and the same principal, without a look at any credential. All else is done as ever, so what
 * a request costs less here is what authentication costs.
 */
#include <httpd.h>
#include <http_config.h>
#include <http_request.h>

#include <apr_strings.h>

#include "core/principal.h"
#include "httpd/request.h"

module AP_MODULE_DECLARE_DATA udm_trust_module;

static void *create_dir(apr_pool_t *p, char *path)
{
    udm_principal_t *who = apr_pcalloc(p, sizeof(*who));

    who->subject = "everybody";
    who->rights = apr_array_make(p, 16, sizeof(udm_right_t));
    who->roles = apr_array_make(p, 1, sizeof(const char *));
    return who;
}

/* UDMTrust CCID SOURCE/TYPE: one more thing that everybody may read and write. */
static const char *set_trust(cmd_parms *cmd, void *dir, const char *ccid, const char *right)
{
    udm_principal_t *who = dir;
    udm_right_t *made = apr_array_push(who->rights);

    who->ccid = ccid;
    made->source = ap_getword(cmd->pool, &right, '/');
    made->type = right;
    made->read = made->write = true;
    return NULL;
}

static const command_rec commands[] = {
    AP_INIT_TAKE2("UDMTrust", set_trust, NULL, ACCESS_CONF, "a contact centre and SOURCE/TYPE"),
    {NULL}};

static int trust(request_rec *r)
{
    udm_request_t *q = ap_get_module_config(r->request_config, &udm_module);
    const udm_principal_t *who = ap_get_module_config(r->per_dir_config, &udm_trust_module);

    if (!q || !who->ccid) {
        return DECLINED;
    }
    q->who = (udm_principal_t *)who;
    q->audit.who = q->who;
    r->user = apr_pstrdup(r->pool, who->subject);
    return OK;
}

static void register_hooks(apr_pool_t *p)
{
    ap_hook_check_authn(trust, NULL, NULL, APR_HOOK_FIRST, AP_AUTH_INTERNAL_PER_CONF);
}

AP_DECLARE_MODULE(udm_trust) = {
    STANDARD20_MODULE_STUFF, create_dir,         NULL, NULL, NULL, commands,
    register_hooks,          AP_MODULE_FLAG_NONE};
