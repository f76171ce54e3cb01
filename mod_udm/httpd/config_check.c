/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * config_check.c: the rules between directives, and the worker's settings that come of them.
 */
#include <string.h>
#include <unistd.h>

#include <httpd.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <unixd.h>

#include <apr_file_info.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_user.h>
#include <libpq-fe.h>

#include "httpd/config.h"
#include "httpd/dbd.h"

APLOG_USE_MODULE(udm);

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

/* The smallest DBDMax that is said anywhere, or else `least`. */
static int smallest_pool(const ap_directive_t *tree, int least)
{
    for (; tree; tree = tree->next) {
        if (!ap_cstr_casecmp(tree->directive, "DBDMax")) {
            apr_int64_t said = apr_strtoi64(tree->args, NULL, 10);

            least = said > 0 && said < least ? (int)said : least;
        }
        least = smallest_pool(tree->first_child, least);
    }
    return least;
}

/* @return true when a connection string holds a password, for whichever database it is */
static bool has_password(const char *params)
{
    PQconninfoOption *options = PQconninfoParse(params, NULL), *option;
    const char *at;
    bool found = false;

    for (option = options; option && option->keyword && !found; option++) {
        found = option->val && strstr(option->keyword, "password");
    }
    PQconninfoFree(options);
    /* none of libpq's: "pass=", "password=", "passwd=" ... */
    for (at = params; (at = ap_strcasestr(at, "pass")) != NULL && !found; at++) {
        const char *end = at;

        for (; apr_isalpha(*end); end++) {
        }
        for (; apr_isspace(*end); end++) {
        }
        found = *end == '=' && ap_cstr_casecmpn(at, "passfile", 8);
    }
    return found;
}

/* Takes passwords out of what mod_info shows of the configuration, and says where they stand. */
static void hide_passwords(ap_directive_t *tree, apr_pool_t *pconf, apr_pool_t *ptemp,
                           server_rec *s)
{
    for (; tree; tree = tree->next) {
        const char *args = tree->args;

        hide_passwords(tree->first_child, pconf, ptemp, s);
        if (!ap_cstr_casecmp(tree->directive, "DBDParams") &&
            has_password(ap_getword_conf(ptemp, &args))) {
            tree->args = apr_pstrdup(pconf, "\"(holds a password)\"");
            ap_log_error(
                APLOG_MARK, APLOG_WARNING, 0, s,
                "UDM0420: DBDParams (%s:%d): holds a password, which whoever can read the "
                "configuration can read, too: put it into a file that only httpd's user can "
                "read, and name that with passfile= in place of it",
                tree->filename, tree->line_num);
        }
    }
}

int udm_config_hide_passwords(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    hide_passwords(ap_conftree, pconf, ptemp, s);
    return OK;
}

/* @return true when there are requests that are not answered without a token */
static bool asks_for_token(const udm_dir_t *dir)
{
    switch (dir->require) {
    case UDM_REQUIRE_TOKEN:
    case UDM_REQUIRE_BOTH:
        return true;
    case UDM_REQUIRE_KEY:
    case UDM_REQUIRE_ANY:
        return false;
    case UDM_REQUIRE_UNSET:
    case UDM_REQUIRE_DEFAULT:
        break;
    }
    return (udm_config_versions(dir) & UDM_V10) != 0; /* the older ones ask for the key alone */
}

/* What sections with UDM On need. */
static int check_mounts(const udm_server_t *conf, server_rec *s, apr_pool_t *p)
{
    const udm_server_t *own = udm_config_server(s);
    const udm_mount_t *mount;
    const udm_dir_t *dir;
    int faults = 0;
    int i;

    for (i = 0; i < own->mounts->nelts; i++) {
        mount = &APR_ARRAY_IDX(own->mounts, i, udm_mount_t);
        dir = udm_config_merge_dir(p, ap_get_module_config(s->lookup_defaults, &udm_module),
                                   (void *)mount->dir);
        if (!dir->token_keys && asks_for_token(dir)) {
            /* another section of the same path may set them, so this is no fault */
            ap_log_error(
                APLOG_MARK, APLOG_WARNING, 0, s,
                "UDM0021: UDM On (%s): asks for tokens, and without UDMTokenKeys none can be "
                "verified; UDMRequire key asks for none",
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

/* Notes where the API begins, on any server. */
static void note_mounts(udm_server_t *conf, apr_pool_t *pconf, server_rec *s)
{
    int i, k;

    conf->mount_paths = apr_array_make(pconf, 2, sizeof(const char *));
    for (; s; s = s->next) {
        const udm_server_t *own = udm_config_server(s);

        for (i = 0; i < own->mounts->nelts; i++) {
            const char *path = APR_ARRAY_IDX(own->mounts, i, udm_mount_t).dir->mount;

            for (k = 0; k < conf->mount_paths->nelts &&
                        strcmp(path, APR_ARRAY_IDX(conf->mount_paths, k, const char *)) != 0;
                 k++) {
            }
            if (k == conf->mount_paths->nelts) {
                APR_ARRAY_PUSH(conf->mount_paths, const char *) = path;
            }
        }
    }
    conf->log_forensic = ap_find_linked_module("mod_log_forensic.c") != NULL;
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
        else if (is_directory(p, program)) {
            FAULT(s, "UDM0450: UDMWorker On: %s is a directory, and no program", program);
        }
        if (geteuid() == 0 && ap_unixd_config.user_id == 0) {
            FAULT(s, "UDM0018: UDMWorker On: needs User, so that the worker does not run as root");
        }
    }
    return faults;
}

int udm_config_check(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *s)
{
    udm_server_t *conf = udm_config_main();
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

    note_mounts(conf, pconf, s);
    conf->connections = smallest_pool(ap_conftree, UDM_DEFAULT_CONNECTIONS);
    for (server = s; server; server = server->next) {
        const udm_server_t *own = udm_config_server(server);

        faults += check_mounts(conf, server, ptemp);
        for (i = 0; i < own->key_files->nelts; i++) {
            udm_error_t *error =
                udm_key_file_load(APR_ARRAY_IDX(own->key_files, i, udm_key_file_t *), pconf);

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
                        "history-retention %d\n"
                        "tombstone-retention %d\n"
                        "audit-retention %d\n"
                        "max-part-size %" APR_INT64_T_FMT "\n"
                        "max-parts %d\n"
                        "max-row %" APR_INT64_T_FMT "\n"
                        "slots %d\n"
                        "%s",
                        conf->worker_database, conf->store, conf->source_dir,
                        conf->spool_dir ? "spool-dir " : "", conf->spool_dir ? conf->spool_dir : "",
                        conf->spool_dir ? "\n" : "", udm_config_retention(conf),
                        conf->history_retention, conf->tombstone_retention, conf->audit_retention,
                        udm_config_max_part_size(conf), udm_config_max_parts(conf),
                        udm_config_max_row(conf), udm_config_slots(conf), user);
    return text;
}
