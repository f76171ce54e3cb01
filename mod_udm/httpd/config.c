/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c: the records of the directives: made, merged, and read with their defaults.
 */
#include <httpd.h>
#include <http_config.h>
#include <http_core.h>
#include <http_main.h>

#include <apr_strings.h>

#include "httpd/config.h"

void *udm_config_create_server(apr_pool_t *p, server_rec *s)
{
    udm_server_t *conf = apr_pcalloc(p, sizeof(*conf));

    conf->worker = UDM_UNSET;
    conf->worker_slots = UDM_UNSET;
    conf->retention = UDM_UNSET;
    conf->history_retention = conf->tombstone_retention = conf->audit_retention = 0;
    conf->max_part_size = UDM_UNSET;
    conf->max_parts = UDM_UNSET;
    conf->max_row = UDM_UNSET;
    conf->mounts = apr_array_make(p, 2, sizeof(udm_mount_t));
    conf->key_files = apr_array_make(p, 2, sizeof(udm_key_file_t *));
    return conf;
}

void *udm_config_create_dir(apr_pool_t *p, char *path)
{
    udm_dir_t *dir = apr_pcalloc(p, sizeof(*dir));

    dir->enabled = UDM_UNSET;
    dir->envelope = UDM_ENVELOPE_UNSET;
    dir->encryption = UDM_UNSET;
    dir->require = UDM_REQUIRE_UNSET;
    dir->link_ttl = UDM_UNSET;
    dir->token_skew = UDM_UNSET;
    dir->key_cache = UDM_UNSET;
    dir->max_body = UDM_UNSET;
    dir->certificate_upload = UDM_UNSET;
    return dir;
}

void *udm_config_merge_dir(apr_pool_t *p, void *basev, void *addv)
{
    const udm_dir_t *base = basev;
    const udm_dir_t *add = addv;
    udm_dir_t *dir = apr_pmemdup(p, base, sizeof(*base));

    if (add->enabled != UDM_UNSET) {
        dir->enabled = add->enabled;
        dir->mount = add->mount;
    }
    if (add->versions) {
        dir->versions = add->versions;
    }
    if (add->envelope != UDM_ENVELOPE_UNSET) {
        dir->envelope = add->envelope;
    }
    if (add->encryption != UDM_UNSET) {
        dir->encryption = add->encryption;
    }
    if (add->sunset) {
        dir->sunset = add->sunset;
    }
    if (add->require != UDM_REQUIRE_UNSET) {
        dir->require = add->require;
    }
    if (add->public_url) {
        dir->public_url = add->public_url;
    }
    if (add->link_ttl != UDM_UNSET) {
        dir->link_ttl = add->link_ttl;
    }
    if (add->token_keys) {
        dir->token_keys = add->token_keys;
    }
    if (add->token_issuer) {
        dir->token_issuer = add->token_issuer;
    }
    if (add->token_audience) {
        dir->token_audience = add->token_audience;
    }
    if (add->token_tenant_claim) {
        dir->token_tenant_claim = add->token_tenant_claim;
    }
    if (add->token_roles_claim) {
        dir->token_roles_claim = add->token_roles_claim;
    }
    if (add->token_skew != UDM_UNSET) {
        dir->token_skew = add->token_skew;
    }
    if (add->key_cache != UDM_UNSET) {
        dir->key_cache = add->key_cache;
    }
    if (add->max_body != UDM_UNSET) {
        dir->max_body = add->max_body;
    }
    if (add->certificate_upload != UDM_UNSET) {
        dir->certificate_upload = add->certificate_upload;
    }
    return dir;
}

udm_server_t *udm_config_main(void)
{
    return udm_config_server(ap_server_conf);
}

udm_server_t *udm_config_server(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &udm_module);
}

const udm_dir_t *udm_config_dir(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &udm_module);
}

bool udm_config_others_auth(request_rec *r)
{
    const char *type = ap_auth_type(r);

    return type && ap_cstr_casecmp(type, UDM_AUTH_TYPE) && ap_cstr_casecmp(type, "None");
}

int udm_config_slots(const udm_server_t *conf)
{
    return conf->worker_slots == UDM_UNSET ? UDM_DEFAULT_SLOTS : conf->worker_slots;
}

int udm_config_retention(const udm_server_t *conf)
{
    return conf->retention == UDM_UNSET ? UDM_DEFAULT_RETENTION : conf->retention;
}

apr_int64_t udm_config_max_part_size(const udm_server_t *conf)
{
    return conf->max_part_size == UDM_UNSET ? UDM_DEFAULT_MAX_PART_SIZE : conf->max_part_size;
}

int udm_config_max_parts(const udm_server_t *conf)
{
    return conf->max_parts == UDM_UNSET ? UDM_DEFAULT_MAX_PARTS : conf->max_parts;
}

apr_int64_t udm_config_max_row(const udm_server_t *conf)
{
    return conf->max_row == UDM_UNSET ? UDM_DEFAULT_MAX_ROW : conf->max_row;
}

apr_interval_time_t udm_config_link_ttl(const udm_dir_t *dir)
{
    return dir->link_ttl == UDM_UNSET ? UDM_DEFAULT_LINK_TTL : dir->link_ttl;
}

apr_interval_time_t udm_config_key_cache(const udm_dir_t *dir)
{
    return dir->key_cache == UDM_UNSET ? UDM_DEFAULT_KEY_CACHE : dir->key_cache;
}

apr_int64_t udm_config_max_body(const udm_dir_t *dir)
{
    return dir->max_body == UDM_UNSET ? UDM_DEFAULT_MAX_BODY : dir->max_body;
}

bool udm_config_certificate_upload(const udm_dir_t *dir)
{
    return dir->certificate_upload != 0;
}

udm_encryption udm_config_encryption(const udm_dir_t *dir)
{
    return dir->encryption == UDM_UNSET ? UDM_ENCRYPTION_SMIME : (udm_encryption)dir->encryption;
}

int udm_config_versions(const udm_dir_t *dir)
{
    return dir->versions ? dir->versions : UDM_ALL_VERSIONS;
}

bool udm_config_wrapped(const udm_dir_t *dir)
{
    return dir->envelope == UDM_ENVELOPE_WRAPPED;
}
