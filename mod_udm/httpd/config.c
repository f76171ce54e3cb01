/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c: the directives: their values, defaults, merging, and the rules between them.
 */
#include <string.h>
#include <unistd.h>

#include <httpd.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_main.h>
#include <unixd.h>

#include <apr_file_info.h>
#include <apr_fnmatch.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_uri.h>
#include <apr_user.h>
#include <libpq-fe.h>

#include "core/text.h"
#include "httpd/config.h"
#include "httpd/dbd.h"

APLOG_USE_MODULE(udm);

void *udm_config_create_server(apr_pool_t *p, server_rec *s)
{
    udm_server_t *conf = apr_pcalloc(p, sizeof(*conf));

    conf->worker = UDM_UNSET;
    conf->worker_slots = UDM_UNSET;
    conf->retention = UDM_UNSET;
    conf->max_part_size = UDM_UNSET;
    conf->mounts = apr_array_make(p, 2, sizeof(udm_mount_t));
    conf->key_files = apr_array_make(p, 2, sizeof(udm_key_file_t *));
    return conf;
}

void *udm_config_create_dir(apr_pool_t *p, char *path)
{
    udm_dir_t *dir = apr_pcalloc(p, sizeof(*dir));

    dir->enabled = UDM_UNSET;
    dir->require = UDM_REQUIRE_UNSET;
    dir->link_ttl = UDM_UNSET;
    dir->token_skew = UDM_UNSET;
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
    return ap_get_module_config(ap_server_conf->module_config, &udm_module);
}

const udm_dir_t *udm_config_dir(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &udm_module);
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

apr_interval_time_t udm_config_link_ttl(const udm_dir_t *dir)
{
    return dir->link_ttl == UDM_UNSET ? UDM_DEFAULT_LINK_TTL : dir->link_ttl;
}

apr_int64_t udm_config_max_body(const udm_dir_t *dir)
{
    return dir->max_body == UDM_UNSET ? UDM_DEFAULT_MAX_BODY : dir->max_body;
}

bool udm_config_certificate_upload(const udm_dir_t *dir)
{
    return dir->certificate_upload != 0;
}

/* What stands in the configuration of the server that a directive is read for. */
static udm_server_t *server_conf(cmd_parms *cmd)
{
    return ap_get_module_config(cmd->server->module_config, &udm_module);
}

/* The installation has one store, one worker and one set of link keys. */
static const char *once(cmd_parms *cmd)
{
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

/* Says what is wrong with a value: directive, value, what is allowed. */
static const char *bad(cmd_parms *cmd, const char *value, const char *allowed)
{
    return apr_psprintf(cmd->pool, "%s \"%s\": must be %s", cmd->cmd->name, value, allowed);
}

static const char *read_flag(cmd_parms *cmd, int *flag, const char *arg)
{
    if (!ap_cstr_casecmp(arg, "on")) {
        *flag = 1;
    }
    else if (!ap_cstr_casecmp(arg, "off")) {
        *flag = 0;
    }
    else {
        return bad(cmd, arg, "On or Off");
    }
    return NULL;
}

static const char *read_int(cmd_parms *cmd, int *number, const char *arg, int min, int max)
{
    apr_int64_t value;

    if (!udm_text_parse_id(&value, arg) || value < min || value > max) {
        return bad(cmd, arg, apr_psprintf(cmd->pool, "a whole number from %d to %d", min, max));
    }
    *number = (int)value;
    return NULL;
}

static const char *read_size(cmd_parms *cmd, apr_int64_t *size, const char *arg, apr_int64_t min)
{
    apr_int64_t value;

    if (!udm_text_parse_size(&value, arg) || value < min) {
        return bad(cmd, arg,
                   apr_psprintf(cmd->pool,
                                "a size of at least %" APR_INT64_T_FMT
                                " bytes: bytes, or with KB, MB, GB, KiB, MiB or GiB",
                                min));
    }
    *size = value;
    return NULL;
}

static const char *read_duration(cmd_parms *cmd, apr_interval_time_t *duration, const char *arg,
                                 apr_interval_time_t min, apr_interval_time_t max,
                                 const char *allowed)
{
    apr_interval_time_t value;

    if (ap_timeout_parameter_parse(arg, &value, "s") != APR_SUCCESS || value < min || value > max) {
        return bad(cmd, arg, allowed);
    }
    *duration = value;
    return NULL;
}

static const char *read_path(cmd_parms *cmd, const char **path, const char *arg)
{
    *path = *arg ? ap_server_root_relative(cmd->pool, arg) : NULL;
    return *path ? NULL : bad(cmd, arg, "a path, absolute or below ServerRoot");
}

static const char *read_text(cmd_parms *cmd, const char **text, const char *arg)
{
    *text = arg;
    return *arg ? NULL : bad(cmd, arg, "a text that is not empty");
}

static const char *set_worker(cmd_parms *cmd, void *dirv, const char *arg, const char *program)
{
    udm_server_t *conf = server_conf(cmd);
    const char *error = once(cmd);

    if (!error) {
        error = read_flag(cmd, &conf->worker, arg);
    }
    if (!error && program) {
        error = read_path(cmd, &conf->worker_program, program);
    }
    return error;
}

/* A password would stand in the configuration, in dumps of it and in the worker's settings. */
static const char *set_worker_database(cmd_parms *cmd, void *dirv, const char *arg)
{
    const char *error = once(cmd);
    PQconninfoOption *options, *option;
    char *message = NULL;

    if (error) {
        return error;
    }
    options = PQconninfoParse(arg, &message);
    if (!options) {
        /* the message may quote a piece of the string, which may be a piece of a password */
        PQfreemem(message);
        return apr_pstrcat(cmd->pool, cmd->cmd->name,
                           ": must be a libpq connection string, such as "
                           "\"host=/run/postgresql dbname=udm user=udm_worker\"",
                           NULL);
    }
    for (option = options; option->keyword; option++) {
        if (option->val && strstr(option->keyword, "password")) {
            error = apr_psprintf(cmd->pool, "%s: must not hold %s=: use passfile=", cmd->cmd->name,
                                 option->keyword);
        }
    }
    PQconninfoFree(options);
    server_conf(cmd)->worker_database = arg;
    return error;
}

static const char *set_worker_slots(cmd_parms *cmd, void *dirv, const char *arg)
{
    const char *error = once(cmd);

    return error ? error : read_int(cmd, &server_conf(cmd)->worker_slots, arg, 1, 64);
}

static const char *set_source_dir(cmd_parms *cmd, void *dirv, const char *arg)
{
    const char *error = once(cmd);

    return error ? error : read_path(cmd, &server_conf(cmd)->source_dir, arg);
}

static const char *set_store(cmd_parms *cmd, void *dirv, const char *arg)
{
    const char *error = once(cmd);

    return error ? error : read_path(cmd, &server_conf(cmd)->store, arg);
}

static const char *set_spool_dir(cmd_parms *cmd, void *dirv, const char *arg)
{
    const char *error = once(cmd);

    return error ? error : read_path(cmd, &server_conf(cmd)->spool_dir, arg);
}

static const char *set_retention(cmd_parms *cmd, void *dirv, const char *arg)
{
    const char *error = once(cmd);

    return error ? error : read_int(cmd, &server_conf(cmd)->retention, arg, 1, 3650);
}

static const char *set_max_part_size(cmd_parms *cmd, void *dirv, const char *arg)
{
    const char *error = once(cmd);

    return error ? error : read_size(cmd, &server_conf(cmd)->max_part_size, arg, 65536);
}

/* Notes a key file, so that it is loaded when the configuration is checked. */
static const char *read_key_file(cmd_parms *cmd, udm_key_file_t **file, udm_keys_kind kind,
                                 const char *arg)
{
    const char *path;
    const char *error = read_path(cmd, &path, arg);

    if (!error) {
        *file = udm_keys_file(cmd->pool, kind, path);
        APR_ARRAY_PUSH(server_conf(cmd)->key_files, udm_key_file_t *) = *file;
    }
    return error;
}

static const char *set_link_key_file(cmd_parms *cmd, void *dirv, const char *arg)
{
    const char *error = once(cmd);

    return error ? error : read_key_file(cmd, &server_conf(cmd)->link_keys, UDM_KEYS_LINK, arg);
}

/* The path of the section is where the API begins, so it must be one path and no pattern. */
static const char *set_udm(cmd_parms *cmd, void *dirv, const char *arg)
{
    udm_dir_t *dir = dirv;
    const char *error = read_flag(cmd, &dir->enabled, arg);
    const ap_directive_t *section = cmd->directive->parent;
    udm_mount_t *mount;
    char *path;
    apr_size_t length;

    if (error || !dir->enabled) {
        return error;
    }
    if (!section || ap_cstr_casecmp(section->directive, "<Location") || !cmd->path ||
        cmd->path[0] != '/' || apr_fnmatch_test(cmd->path)) {
        return apr_psprintf(cmd->pool,
                            "%s On: must stand in a section <Location \"/path\"> of a plain path, "
                            "which is then where the API begins",
                            cmd->cmd->name);
    }
    path = apr_pstrdup(cmd->pool, cmd->path);
    for (length = strlen(path); length > 0 && path[length - 1] == '/'; length--) {
        path[length - 1] = '\0';
    }
    dir->mount = path;
    mount = apr_array_push(server_conf(cmd)->mounts);
    mount->server = cmd->server;
    mount->where =
        apr_psprintf(cmd->pool, "%s:%d", cmd->directive->filename, cmd->directive->line_num);
    mount->dir = dir;
    return NULL;
}

static const char *set_require(cmd_parms *cmd, void *dirv, const char *arg)
{
    static const char *const words[] = {"default", "key", "token", "both", "any", NULL};
    udm_dir_t *dir = dirv;
    int i;

    for (i = 0; words[i]; i++) {
        if (!ap_cstr_casecmp(arg, words[i])) {
            dir->require = (udm_require)(UDM_REQUIRE_DEFAULT + i);
            return NULL;
        }
    }
    return bad(cmd, arg, "default, key, token, both or any");
}

static const char *set_public_url(cmd_parms *cmd, void *dirv, const char *arg)
{
    udm_dir_t *dir = dirv;
    apr_uri_t uri;
    char *url = apr_pstrdup(cmd->pool, arg);
    apr_size_t length;
    const char *c;

    for (c = arg; *c && apr_isgraph(*c); c++) {
    }
    if (*c || apr_uri_parse(cmd->pool, arg, &uri) != APR_SUCCESS || !uri.scheme ||
        (strcmp(uri.scheme, "https") && strcmp(uri.scheme, "http")) || !uri.hostname ||
        !*uri.hostname || uri.user || uri.query || uri.fragment) {
        return bad(cmd, arg,
                   "the absolute URL of this section as clients see it, "
                   "https://host[:port][/prefix]");
    }
    for (length = strlen(url); length > 0 && url[length - 1] == '/'; length--) {
        url[length - 1] = '\0';
    }
    dir->public_url = url;
    return NULL;
}

static const char *set_link_ttl(cmd_parms *cmd, void *dirv, const char *arg)
{
    udm_dir_t *dir = dirv;

    return read_duration(cmd, &dir->link_ttl, arg, apr_time_from_sec(1),
                         apr_time_from_sec(7 * 86400), "a time from 1 s to 7 days, such as 900s");
}

static const char *set_token_keys(cmd_parms *cmd, void *dirv, const char *arg)
{
    udm_dir_t *dir = dirv;

    return read_key_file(cmd, &dir->token_keys, UDM_KEYS_TOKEN, arg);
}

static const char *set_token_issuer(cmd_parms *cmd, void *dirv, const char *arg)
{
    udm_dir_t *dir = dirv;

    return read_text(cmd, &dir->token_issuer, arg);
}

static const char *set_token_audience(cmd_parms *cmd, void *dirv, const char *arg)
{
    udm_dir_t *dir = dirv;

    return read_text(cmd, &dir->token_audience, arg);
}

static const char *set_token_tenant_claim(cmd_parms *cmd, void *dirv, const char *arg)
{
    udm_dir_t *dir = dirv;

    return read_text(cmd, &dir->token_tenant_claim, arg);
}

static const char *set_token_roles_claim(cmd_parms *cmd, void *dirv, const char *arg)
{
    udm_dir_t *dir = dirv;

    return read_text(cmd, &dir->token_roles_claim, arg);
}

static const char *set_token_skew(cmd_parms *cmd, void *dirv, const char *arg)
{
    udm_dir_t *dir = dirv;

    return read_duration(cmd, &dir->token_skew, arg, 0, apr_time_from_sec(3600),
                         "a time from 0 s to 1 hour, such as 60s");
}

static const char *set_max_body(cmd_parms *cmd, void *dirv, const char *arg)
{
    udm_dir_t *dir = dirv;

    return read_size(cmd, &dir->max_body, arg, 1024);
}

static const char *set_certificate_upload(cmd_parms *cmd, void *dirv, const char *arg)
{
    udm_dir_t *dir = dirv;

    return read_flag(cmd, &dir->certificate_upload, arg);
}

#define ANYWHERE (RSRC_CONF | ACCESS_CONF)

const command_rec udm_config_commands[] = {
    AP_INIT_TAKE12("UDMWorker", set_worker, NULL, RSRC_CONF,
                   "On or Off (default): whether httpd runs the worker, and the program if it is "
                   "not the installed udm-worker."),
    AP_INIT_TAKE1("UDMWorkerDatabase", set_worker_database, NULL, RSRC_CONF,
                  "The worker's libpq connection string, without a password."),
    AP_INIT_TAKE1("UDMWorkerSlots", set_worker_slots, NULL, RSRC_CONF,
                  "How many exports the worker runs at a time, 1 (default) to 64."),
    AP_INIT_TAKE1("UDMSourceDir", set_source_dir, NULL, RSRC_CONF,
                  "The directory of the files that say how the worker connects to each source."),
    AP_INIT_TAKE1("UDMStore", set_store, NULL, RSRC_CONF,
                  "The directory of the finished files: the worker writes it, httpd reads it."),
    AP_INIT_TAKE1("UDMSpoolDir", set_spool_dir, NULL, RSRC_CONF,
                  "The directory for the worker's encrypted spool files; default: the store."),
    AP_INIT_TAKE1("UDMRetention", set_retention, NULL, RSRC_CONF,
                  "For how many days files are kept, 1 to 3650; default 30."),
    AP_INIT_TAKE1("UDMMaxPartSize", set_max_part_size, NULL, RSRC_CONF,
                  "The size of the largest downloadable file, at least 64KiB; default 512MiB."),
    AP_INIT_TAKE1("UDMLinkKeyFile", set_link_key_file, NULL, RSRC_CONF,
                  "The file of the keys that sign download links: a line of 64 or more hex digits, "
                  "the previous key on a second line."),
    AP_INIT_TAKE1("UDM", set_udm, NULL, ACCESS_CONF,
                  "On in a <Location \"/path\">: the API begins at this path. Off: not here."),
    AP_INIT_TAKE1("UDMRequire", set_require, NULL, ANYWHERE,
                  "Which credentials are asked for: default (what each operation documents), key, "
                  "token, both or any."),
    AP_INIT_TAKE1("UDMPublicURL", set_public_url, NULL, ANYWHERE,
                  "The absolute URL of the section as clients see it, for links; default: what the "
                  "request says."),
    AP_INIT_TAKE1("UDMLinkTTL", set_link_ttl, NULL, ANYWHERE,
                  "How long a download link is good, 1 s to 7 days; default 900 s."),
    AP_INIT_TAKE1("UDMTokenKeys", set_token_keys, NULL, ANYWHERE,
                  "The JWKS file with the public keys that tokens are verified with."),
    AP_INIT_TAKE1("UDMTokenIssuer", set_token_issuer, NULL, ANYWHERE,
                  "What the claim iss of a token must be; default: not checked."),
    AP_INIT_TAKE1("UDMTokenAudience", set_token_audience, NULL, ANYWHERE,
                  "What the claim aud of a token must be or hold; default: not checked."),
    AP_INIT_TAKE1("UDMTokenTenantClaim", set_token_tenant_claim, NULL, ANYWHERE,
                  "The claim that names the contact centre; default contact_center_id."),
    AP_INIT_TAKE1("UDMTokenRolesClaim", set_token_roles_claim, NULL, ANYWHERE,
                  "The claim that lists the roles; default authorities."),
    AP_INIT_TAKE1("UDMTokenSkew", set_token_skew, NULL, ANYWHERE,
                  "How far the clocks of issuer and server may differ, 0 s to 1 hour; default 60 "
                  "s."),
    AP_INIT_TAKE1("UDMMaxBody", set_max_body, NULL, ANYWHERE,
                  "The size of the largest request body of a job, at least 1KiB; default 1MiB."),
    AP_INIT_TAKE1("UDMCertificateUpload", set_certificate_upload, NULL, ANYWHERE,
                  "On (default) or Off: whether certificates can be replaced through the API."),
    {NULL}};

/* Logs one fault of the configuration; goes to the terminal when the server starts. */
#define FAULT(s, ...)                                                                              \
    do {                                                                                           \
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, __VA_ARGS__);                                    \
        faults++;                                                                                  \
    } while (0)

/* @return true when `path` is a directory */
static bool is_directory(apr_pool_t *p, const char *path)
{
    apr_finfo_t finfo;
    apr_status_t status = apr_stat(&finfo, path, APR_FINFO_TYPE, p);

    return (status == APR_SUCCESS || status == APR_INCOMPLETE) && finfo.filetype == APR_DIR;
}

/* Does the configuration hold a "DBDriver pgsql" anywhere? mod_dbd itself cannot be asked. */
static bool has_pgsql_driver(const ap_directive_t *tree)
{
    for (; tree; tree = tree->next) {
        if ((!ap_cstr_casecmp(tree->directive, "DBDriver") && ap_strcasestr(tree->args, "pgsql")) ||
            has_pgsql_driver(tree->first_child)) {
            return true;
        }
    }
    return false;
}

/* What sections with UDM On need. */
static int check_mounts(const udm_server_t *conf, server_rec *s, apr_pool_t *p)
{
    const udm_server_t *own = ap_get_module_config(s->module_config, &udm_module);
    const udm_mount_t *mount;
    const udm_dir_t *dir;
    int faults = 0;
    int i;

    for (i = 0; i < own->mounts->nelts; i++) {
        mount = &APR_ARRAY_IDX(own->mounts, i, udm_mount_t);
        dir = udm_config_merge_dir(p, ap_get_module_config(s->lookup_defaults, &udm_module),
                                   (void *)mount->dir);
        if (!dir->token_keys && dir->require != UDM_REQUIRE_KEY) {
            /* another section of the same path may set them, so this is no fault */
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                         "UDM0021: UDM On (%s): without UDMTokenKeys no token can be verified; "
                         "UDMRequire key asks for none",
                         mount->where);
        }
        if (!conf->store) {
            FAULT(s, "UDM0010: UDM On (%s): needs UDMStore, the directory of the finished files",
                  mount->where);
        }
        if (!conf->link_keys) {
            FAULT(s, "UDM0011: UDM On (%s): needs UDMLinkKeyFile, the keys that sign links",
                  mount->where);
        }
        if (!udm_dbd_available()) {
            FAULT(s, "UDM0012: UDM On (%s): load mod_dbd: the database is reached through its pool",
                  mount->where);
        }
        else if (!has_pgsql_driver(ap_conftree)) {
            FAULT(s, "UDM0013: UDM On (%s): needs DBDriver pgsql and DBDParams", mount->where);
        }
    }
    return faults;
}

/* What UDMWorker On, or a dump of the worker's settings, needs. */
static int check_worker(const udm_server_t *conf, server_rec *s, apr_pool_t *p, bool dump)
{
    const char *what = dump ? "DUMP_UDM_WORKER" : "UDMWorker On";
    int faults = 0;

    if (!conf->worker_database) {
        FAULT(s, "UDM0014: %s: needs UDMWorkerDatabase, the worker's connection string", what);
    }
    if (!conf->store) {
        FAULT(s, "UDM0015: %s: needs UDMStore, the directory of the finished files", what);
    }
    if (!conf->source_dir) {
        FAULT(s, "UDM0016: %s: needs UDMSourceDir, the directory of the sources' connection files",
              what);
    }
    if (conf->worker == 1 && !dump) {
        const char *program = udm_config_worker_program(conf);

        if (access(program, X_OK) != 0) {
            FAULT(s, "UDM0017: UDMWorker On: %s cannot be executed: %s", program, strerror(errno));
        }
        if (geteuid() == 0 && ap_unixd_config.user_id == 0) {
            FAULT(s, "UDM0018: UDMWorker On: needs User, so that the worker does not run as root");
        }
    }
    return faults;
}

int udm_config_check(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *s)
{
    const udm_server_t *conf = udm_config_main();
    const struct {
        const char *directive;
        const char *path;
    } directories[] = {{"UDMStore", conf->store},
                       {"UDMSourceDir", conf->source_dir},
                       {"UDMSpoolDir", conf->spool_dir}};
    bool dump = ap_exists_config_define("DUMP_UDM_WORKER");
    server_rec *server;
    int faults = 0;
    int i;

    for (server = s; server; server = server->next) {
        const udm_server_t *own = ap_get_module_config(server->module_config, &udm_module);

        faults += check_mounts(conf, server, ptemp);
        for (i = 0; i < own->key_files->nelts; i++) {
            udm_error_t *error =
                udm_keys_load(APR_ARRAY_IDX(own->key_files, i, udm_key_file_t *), pconf);

            if (error) {
                FAULT(server, "UDM0019: %s", udm_error_line(ptemp, error));
            }
        }
    }
    if (conf->worker == 1 || dump) {
        faults += check_worker(conf, s, ptemp, dump);
    }
    for (i = 0; i < 3; i++) {
        if (directories[i].path && !is_directory(ptemp, directories[i].path)) {
            FAULT(s, "UDM0020: %s \"%s\": must be a directory that exists",
                  directories[i].directive, directories[i].path);
        }
    }
    return faults ? HTTP_INTERNAL_SERVER_ERROR : OK;
}

const char *udm_config_worker_program(const udm_server_t *conf)
{
    return conf->worker_program ? conf->worker_program : UDM_BINDIR "/udm-worker";
}

const char *udm_config_worker_settings(apr_pool_t *p, const udm_server_t *conf)
{
    const char *user = "";
    const char *text;
    char *name;

    /* User and Group matter only where there are privileges to give up */
    if (ap_unixd_config.user_name && ap_unixd_config.user_id != 0 &&
        ap_unixd_config.user_id != (uid_t)-1) {
        if (apr_uid_name_get(&name, ap_unixd_config.user_id, p) == APR_SUCCESS) {
            user = apr_pstrcat(p, "user ", name, "\n", NULL);
        }
        if (apr_gid_name_get(&name, ap_unixd_config.group_id, p) == APR_SUCCESS) {
            user = apr_pstrcat(p, user, "group ", name, "\n", NULL);
        }
    }
    text = apr_psprintf(p,
                        "database %s\n"
                        "store %s\n"
                        "source-dir %s\n"
                        "%s%s%s"
                        "retention %d\n"
                        "max-part-size %" APR_INT64_T_FMT "\n"
                        "slots %d\n"
                        "%s",
                        conf->worker_database, conf->store, conf->source_dir,
                        conf->spool_dir ? "spool-dir " : "", conf->spool_dir ? conf->spool_dir : "",
                        conf->spool_dir ? "\n" : "", udm_config_retention(conf),
                        udm_config_max_part_size(conf), udm_config_slots(conf), user);
    return text;
}
