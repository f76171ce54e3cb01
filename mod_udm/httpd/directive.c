/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * directive.c: the directives: what each takes and what it says of a value that it does not take.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <httpd.h>
#include <http_config.h>
#include <http_core.h>

#include <apr_fnmatch.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_uri.h>
#include <libpq-fe.h>

#include "core/calendar.h"
#include "core/text.h"
#include "httpd/config.h"

/* What stands in the configuration of the server that a directive is read for. */
static udm_server_t *server_conf(cmd_parms *cmd)
{
    return udm_config_server(cmd->server);
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

/* What most directives are: a value of one kind, and where it goes. */
typedef struct value_t {
    const char *(*read)(cmd_parms *cmd, void *field, const char *arg, const struct value_t *value);
    bool once;         /* said once: the field is of udm_server_t, else of udm_dir_t */
    apr_size_t offset; /* of the field, whose type `read` knows */
    apr_int64_t min;
    apr_int64_t max;
    const char *allowed; /* of a duration */
    bool off;            /* a duration may be Off, which is 0 */
} value_t;

/* int */
static const char *read_flag(cmd_parms *cmd, void *field, const char *arg, const value_t *value)
{
    int *flag = field;

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

/* int */
static const char *read_int(cmd_parms *cmd, void *field, const char *arg, const value_t *value)
{
    apr_int64_t number;

    if (!udm_text_parse_id(&number, arg) || number < value->min || number > value->max) {
        return bad(cmd, arg,
                   apr_psprintf(cmd->pool, "a whole number from %d to %d", (int)value->min,
                                (int)value->max));
    }
    *(int *)field = (int)number;
    return NULL;
}

/* int: a number of days, or 0 for ever */
static const char *read_keep(cmd_parms *cmd, void *field, const char *arg, const value_t *value)
{
    apr_int64_t days = 0;

    if (ap_cstr_casecmp(arg, "forever") &&
        (!udm_text_parse_id(&days, arg) || days < value->min || days > value->max)) {
        return bad(cmd, arg,
                   apr_psprintf(cmd->pool, "\"forever\", or a number of days from %d to %d",
                                (int)value->min, (int)value->max));
    }
    *(int *)field = (int)days;
    return NULL;
}

/* apr_int64_t */
static const char *read_size(cmd_parms *cmd, void *field, const char *arg, const value_t *value)
{
    apr_int64_t size;

    if (!udm_text_parse_size(&size, arg) || size < value->min) {
        return bad(cmd, arg,
                   apr_psprintf(cmd->pool,
                                "a size of at least %" APR_INT64_T_FMT
                                " bytes: bytes, or with KB, MB, GB, KiB, MiB or GiB",
                                value->min));
    }
    *(apr_int64_t *)field = size;
    return NULL;
}

/* apr_interval_time_t */
static const char *read_duration(cmd_parms *cmd, void *field, const char *arg, const value_t *value)
{
    apr_interval_time_t duration = 0;

    if (!(value->off && !ap_cstr_casecmp(arg, "off")) &&
        (ap_timeout_parameter_parse(arg, &duration, "s") != APR_SUCCESS || duration < value->min ||
         duration > value->max)) {
        return bad(cmd, arg, value->allowed);
    }
    *(apr_interval_time_t *)field = duration;
    return NULL;
}

/* const char * */
static const char *read_path(cmd_parms *cmd, void *field, const char *arg, const value_t *value)
{
    const char **path = field;

    *path = *arg ? ap_server_root_relative(cmd->pool, arg) : NULL;
    return *path ? NULL : bad(cmd, arg, "a path, absolute or below ServerRoot");
}

/* const char * */
static const char *read_text(cmd_parms *cmd, void *field, const char *arg, const value_t *value)
{
    *(const char **)field = arg;
    return *arg ? NULL : bad(cmd, arg, "a text that is not empty");
}

static const char *set_value(cmd_parms *cmd, void *dirv, const char *arg)
{
    const value_t *value = cmd->info;
    const char *error = value->once ? once(cmd) : NULL;
    char *record = value->once ? (char *)server_conf(cmd) : dirv;

    return error ? error : value->read(cmd, record + value->offset, arg, value);
}

/* What set_value() is told of a field: its kind, and which values are taken. */
#define VALUE(...)        ((void *)&(const value_t){__VA_ARGS__})
#define ONCE(kind, field) .read = read_##kind, .once = true, .offset = offsetof(udm_server_t, field)
#define HERE(kind, field) .read = read_##kind, .offset = offsetof(udm_dir_t, field)

#define FROM_TO(least, most) .min = (least), .max = (most)

static const char *set_worker(cmd_parms *cmd, void *dirv, const char *arg, const char *program)
{
    udm_server_t *conf = server_conf(cmd);
    const char *error = once(cmd);

    if (!error) {
        error = read_flag(cmd, &conf->worker, arg, NULL);
    }
    if (!error && program) {
        error = read_path(cmd, &conf->worker_program, program, NULL);
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

/* Notes a key file, so that it is loaded when the configuration is checked. */
static const char *read_key_file(cmd_parms *cmd, udm_key_file_t **file, udm_key_file_kind kind,
                                 const char *arg)
{
    const char *path;
    const char *error = read_path(cmd, &path, arg, NULL);

    if (!error) {
        *file = udm_key_file_make(cmd->pool, kind, path);
        APR_ARRAY_PUSH(server_conf(cmd)->key_files, udm_key_file_t *) = *file;
    }
    return error;
}

static const char *set_link_key_file(cmd_parms *cmd, void *dirv, const char *arg)
{
    const char *error = once(cmd);

    return error ? error : read_key_file(cmd, &server_conf(cmd)->link_keys, UDM_KEY_FILE_LINK, arg);
}

/* @return false for a path that httpd makes another one of before it looks for sections */
static bool is_plain_path(apr_pool_t *p, const char *path)
{
    char *tidied = apr_pstrdup(p, path);

    ap_getparents(tidied);
    ap_no2slash(tidied);
    return strcmp(tidied, path) == 0 && !apr_fnmatch_test(path);
}

/* The path of the section is where the API begins, so it must be one path and no pattern. */
static const char *set_udm(cmd_parms *cmd, void *dirv, const char *arg)
{
    udm_dir_t *dir = dirv;
    const char *error = read_flag(cmd, &dir->enabled, arg, NULL);
    const ap_directive_t *section = cmd->directive->parent;
    udm_mount_t *mount;
    char *path;
    apr_size_t length;

    if (error || !dir->enabled) {
        return error;
    }
    if (!section || ap_cstr_casecmp(section->directive, "<Location") || !cmd->path ||
        cmd->path[0] != '/' || !is_plain_path(cmd->temp_pool, cmd->path)) {
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

/* All versions of a section stand in one line, so that it is plain which ones are on. */
static const char *set_versions(cmd_parms *cmd, void *dirv, int argc, char *const argv[])
{
    static const char allowed[] = "v10, v4 or v3, or several of them";
    udm_dir_t *dir = dirv;
    udm_version version;
    int mask = 0;
    int i;

    for (i = 0; i < argc; i++) {
        if (!udm_version_parse(&version, argv[i])) {
            return bad(cmd, argv[i], allowed);
        }
        mask |= version;
    }
    dir->versions = mask;
    return mask ? NULL : bad(cmd, "", allowed);
}

static const char *set_envelope(cmd_parms *cmd, void *dirv, const char *arg)
{
    udm_dir_t *dir = dirv;

    if (!ap_cstr_casecmp(arg, "bare")) {
        dir->envelope = UDM_ENVELOPE_BARE;
    }
    else if (!ap_cstr_casecmp(arg, "wrapped")) {
        dir->envelope = UDM_ENVELOPE_WRAPPED;
    }
    else {
        return bad(cmd, arg, "bare or wrapped");
    }
    return NULL;
}

/* RFC 9745: what is deprecated does not end before it was deprecated. */
static const char *set_sunset(cmd_parms *cmd, void *dirv, const char *arg)
{
    udm_dir_t *dir = dirv;
    apr_time_t when;
    char *date;

    if (!ap_cstr_casecmp(arg, "none")) {
        dir->sunset = "";
        return NULL;
    }
    if (!udm_calendar_parse(&when, arg) || when < apr_time_from_sec(UDM_DEPRECATED_SINCE)) {
        return bad(cmd, arg,
                   "none, or a date from 2026-01-01 on, when v4 and v3 were deprecated: "
                   "YYYY-MM-DD or as in RFC 3339");
    }
    date = apr_palloc(cmd->pool, APR_RFC822_DATE_LEN);
    apr_rfc822_date(date, when);
    dir->sunset = date;
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

static const char *set_token_keys(cmd_parms *cmd, void *dirv, const char *arg)
{
    udm_dir_t *dir = dirv;

    return read_key_file(cmd, &dir->token_keys, UDM_KEY_FILE_TOKEN, arg);
}

static const char *set_encryption(cmd_parms *cmd, void *dirv, const char *arg)
{
    udm_dir_t *dir = dirv;
    udm_encryption encryption;

    if (!udm_encryption_parse(&encryption, arg)) {
        return bad(cmd, arg, "smime or cms-gcm");
    }
    dir->encryption = encryption;
    return NULL;
}

#define ANYWHERE (RSRC_CONF | ACCESS_CONF)
#define KEEP_MAX 36500 /* days */

const command_rec udm_config_commands[] = {
    AP_INIT_TAKE12("UDMWorker", set_worker, NULL, RSRC_CONF,
                   "On or Off (default): whether httpd runs the worker, and the program if it is "
                   "not the installed udm-worker."),
    AP_INIT_TAKE1("UDMWorkerDatabase", set_worker_database, NULL, RSRC_CONF,
                  "The worker's libpq connection string, without a password."),
    AP_INIT_TAKE1("UDMWorkerSlots", set_value, VALUE(ONCE(int, worker_slots), FROM_TO(1, 64)),
                  RSRC_CONF, "How many exports the worker runs at a time, 1 (default) to 64."),
    AP_INIT_TAKE1("UDMSourceDir", set_value, VALUE(ONCE(path, source_dir)), RSRC_CONF,
                  "The directory of the files that say how the worker connects to each source."),
    AP_INIT_TAKE1("UDMStore", set_value, VALUE(ONCE(path, store)), RSRC_CONF,
                  "The directory of the finished files: the worker writes it, httpd reads it."),
    AP_INIT_TAKE1("UDMSpoolDir", set_value, VALUE(ONCE(path, spool_dir)), RSRC_CONF,
                  "The directory for the worker's encrypted spool files; default: the store."),
    AP_INIT_TAKE1("UDMRetention", set_value, VALUE(ONCE(int, retention), FROM_TO(1, 3650)),
                  RSRC_CONF, "For how many days files are kept, 1 to 3650; default 30."),
    AP_INIT_TAKE1("UDMHistoryRetention", set_value,
                  VALUE(ONCE(keep, history_retention), FROM_TO(1, KEEP_MAX)), RSRC_CONF,
                  "For how many days the records of runs that are over are kept, and jobs that are "
                  "over with them; default forever."),
    AP_INIT_TAKE1("UDMTombstoneRetention", set_value,
                  VALUE(ONCE(keep, tombstone_retention), FROM_TO(1, KEEP_MAX)), RSRC_CONF,
                  "For how many days it is known of a removed file that there was one (410, then "
                  "404); default forever."),
    /* the database refuses less, too: see udm.purge_audit() */
    AP_INIT_TAKE1("UDMAuditRetention", set_value,
                  VALUE(ONCE(keep, audit_retention), FROM_TO(30, KEEP_MAX)), RSRC_CONF,
                  "For how many days the audit is kept, at least 30; default forever."),
    AP_INIT_TAKE1("UDMMaxPartSize", set_value, VALUE(ONCE(size, max_part_size), .min = 65536),
                  RSRC_CONF,
                  "The size of the largest downloadable file, at least 64KiB; default 512MiB."),
    AP_INIT_TAKE1("UDMMaxParts", set_value, VALUE(ONCE(int, max_parts), FROM_TO(1, 100000)),
                  RSRC_CONF,
                  "How many files an export may be split into, 1 to 100000; default 1000."),
    AP_INIT_TAKE1("UDMMaxRow", set_value, VALUE(ONCE(size, max_row), .min = 65536), RSRC_CONF,
                  "The size of the largest row of a source, at least 64KiB; default 64MiB."),
    AP_INIT_TAKE1("UDMLinkKeyFile", set_link_key_file, NULL, RSRC_CONF,
                  "The file of the keys that sign download links: a line of 64 or more hex digits, "
                  "the previous key on a second line."),
    AP_INIT_TAKE1("UDM", set_udm, NULL, ACCESS_CONF,
                  "On in a <Location \"/path\">: the API begins at this path. Off: not here."),
    AP_INIT_TAKE_ARGV("UDMVersions", set_versions, NULL, ANYWHERE,
                      "The versions of the API that are offered here: v10, v4, v3; default all."),
    AP_INIT_TAKE1("UDMEnvelope", set_envelope, NULL, ANYWHERE,
                  "bare (default): JSON answers as the API documents them, or wrapped: inside "
                  "{\"status\": ..., \"data\": ...}."),
    AP_INIT_TAKE1(
        "UDMSunset", set_sunset, NULL, ANYWHERE,
        "The date on which v4 and v3 will end, for the header Sunset, or none (default)."),
    AP_INIT_TAKE1("UDMRequire", set_require, NULL, ANYWHERE,
                  "Which credentials are asked for: default (what each operation documents), key, "
                  "token, both or any."),
    AP_INIT_TAKE1("UDMPublicURL", set_public_url, NULL, ANYWHERE,
                  "The absolute URL of the section as clients see it, for links; default: what the "
                  "request says."),
    AP_INIT_TAKE1("UDMLinkTTL", set_value,
                  VALUE(HERE(duration, link_ttl),
                        FROM_TO(apr_time_from_sec(1), apr_time_from_sec(7 * 86400)),
                        .allowed = "a time from 1 s to 7 days, such as 900s"),
                  ANYWHERE, "How long a download link is good, 1 s to 7 days; default 900 s."),
    AP_INIT_TAKE1("UDMTokenKeys", set_token_keys, NULL, ANYWHERE,
                  "The JWKS file with the public keys that tokens are verified with."),
    AP_INIT_TAKE1("UDMTokenIssuer", set_value, VALUE(HERE(text, token_issuer)), ANYWHERE,
                  "What the claim iss of a token must be; default: not checked."),
    AP_INIT_TAKE1("UDMTokenAudience", set_value, VALUE(HERE(text, token_audience)), ANYWHERE,
                  "What the claim aud of a token must be or hold; default: not checked."),
    AP_INIT_TAKE1("UDMTokenTenantClaim", set_value, VALUE(HERE(text, token_tenant_claim)), ANYWHERE,
                  "The claim that names the contact centre, or a path to it; default "
                  "contact_center_id."),
    AP_INIT_TAKE1("UDMTokenRolesClaim", set_value, VALUE(HERE(text, token_roles_claim)), ANYWHERE,
                  "The claim that lists the roles, or a path to it (realm_access.roles); default "
                  "authorities."),
    AP_INIT_TAKE1("UDMTokenSkew", set_value,
                  VALUE(HERE(duration, token_skew), FROM_TO(0, apr_time_from_sec(3600)),
                        .allowed = "a time from 0 s to 1 hour, such as 60s"),
                  ANYWHERE,
                  "How far the clocks of issuer and server may differ, 0 s to 1 hour; default 60 "
                  "s."),
    /* a revoked key must stop working within 5 s, so nothing is kept for longer */
    AP_INIT_TAKE1(
        "UDMKeyCache", set_value,
        VALUE(HERE(duration, key_cache), FROM_TO(apr_time_from_msec(100), apr_time_from_sec(5)),
              .off = true, .allowed = "Off, or a time from 100 ms to 5 s, such as 2s"),
        ANYWHERE,
        "For how long what was found of a key or a token is used again, 100 ms to 5 s, or "
        "Off; default 2 s."),
    AP_INIT_TAKE1("UDMMaxBody", set_value, VALUE(HERE(size, max_body), .min = 1024), ANYWHERE,
                  "The size of the largest request body of a job, at least 1KiB; default 1MiB."),
    AP_INIT_TAKE1("UDMCertificateUpload", set_value, VALUE(HERE(flag, certificate_upload)),
                  ANYWHERE,
                  "On (default) or Off: whether certificates can be replaced through the API."),
    AP_INIT_TAKE1("UDMEncryption", set_encryption, NULL, ANYWHERE,
                  "How the files of jobs that are created here are encrypted: smime (default) or "
                  "cms-gcm."),
    {.name = NULL}};
