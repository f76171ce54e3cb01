/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h: what the directives say: one record for the installation, one for each section.
 */
#ifndef UDM_HTTPD_CONFIG_H
#define UDM_HTTPD_CONFIG_H

#include <stdbool.h>

#include <httpd.h>
#include <http_config.h>

#include <apr_hash.h>

#include "core/encryption.h"
#include "core/route.h"
#include "httpd/key_file.h"

/* What AuthType calls us. */
#define UDM_AUTH_TYPE "UDM"

/* A directive that was not given. */
#define UDM_UNSET (-1)

#define UDM_DEFAULT_SLOTS         1
#define UDM_DEFAULT_RETENTION     30
#define UDM_DEFAULT_MAX_PART_SIZE (APR_INT64_C(512) * 1024 * 1024)
#define UDM_DEFAULT_MAX_PARTS     1000
#define UDM_DEFAULT_MAX_ROW       (APR_INT64_C(64) * 1024 * 1024)
#define UDM_DEFAULT_LINK_TTL      apr_time_from_sec(900)
#define UDM_DEFAULT_SKEW          apr_time_from_sec(60)
#define UDM_DEFAULT_KEY_CACHE     apr_time_from_sec(2)
#define UDM_DEFAULT_MAX_BODY      (APR_INT64_C(1024) * 1024)
#define UDM_DEFAULT_CONNECTIONS   10 /* mod_dbd's own DBDMax */
#define UDM_DEFAULT_TENANT_CLAIM  "contact_center_id"
#define UDM_DEFAULT_ROLES_CLAIM   "authorities"

/* Which credentials UDMRequire asks for; UDM_REQUIRE_DEFAULT is what each operation documents. */
typedef enum {
    UDM_REQUIRE_UNSET,
    UDM_REQUIRE_DEFAULT,
    UDM_REQUIRE_KEY,
    UDM_REQUIRE_TOKEN,
    UDM_REQUIRE_BOTH,
    UDM_REQUIRE_ANY
} udm_require;

/* How JSON answers are dressed; see core/json.h. */
typedef enum { UDM_ENVELOPE_UNSET, UDM_ENVELOPE_BARE, UDM_ENVELOPE_WRAPPED } udm_envelope;

/* A section that says UDM On. */
typedef struct udm_mount_t {
    server_rec *server;
    const char *where; /* file and line, for messages */
    const struct udm_dir_t *dir;
} udm_mount_t;

typedef struct udm_supervisor_t udm_supervisor_t;

/* What is said once for the installation; of the main server. */
typedef struct udm_server_t {
    int worker;
    const char *worker_program;
    const char *worker_database;
    int worker_slots;
    const char *source_dir;
    const char *store;
    const char *spool_dir;
    int retention;           /* days */
    int history_retention;   /* days; 0: for ever; */
    int tombstone_retention; /* likewise; */
    int audit_retention;     /* likewise */
    apr_int64_t max_part_size;
    int max_parts;
    apr_int64_t max_row;
    udm_key_file_t *link_keys;
    apr_array_header_t *mounts;    /* of udm_mount_t; every server has its own list */
    apr_array_header_t *key_files; /* of udm_key_file_t *; likewise */
    /* of const char *: the paths of all mounts of all servers; NULL until the check */
    apr_array_header_t *mount_paths;
    bool log_forensic;            /* mod_log_forensic is there */
    int connections;              /* the smallest DBDMax of all servers */
    apr_hash_t *children;         /* of udm_child_t, by server_rec *; NULL until there is a child */
    udm_supervisor_t *supervisor; /* of the worker that httpd runs; NULL if none */
} udm_server_t;

/* What a section says. Read through the functions below, which know the defaults. */
typedef struct udm_dir_t {
    int enabled;
    const char *mount; /* path of the section that said UDM On; "" for "/" */
    int versions;      /* mask of udm_version; 0 when not said */
    udm_envelope envelope;
    int encryption;     /* udm_encryption */
    const char *sunset; /* of deprecated versions, an HTTP date; "": none; NULL: not said */
    udm_require require;
    const char *public_url; /* without a slash at its end */
    apr_interval_time_t link_ttl;
    udm_key_file_t *token_keys;
    const char *token_issuer;
    const char *token_audience;
    const char *token_tenant_claim;
    const char *token_roles_claim;
    apr_interval_time_t token_skew;
    apr_interval_time_t key_cache; /* 0: off */
    apr_int64_t max_body;
    int certificate_upload;
} udm_dir_t;

extern module AP_MODULE_DECLARE_DATA udm_module;

void *udm_config_create_server(apr_pool_t *p, server_rec *s);
void *udm_config_create_dir(apr_pool_t *p, char *path);
void *udm_config_merge_dir(apr_pool_t *p, void *base, void *add);
extern const command_rec udm_config_commands[]; /* directive.c */

/* What the main server says; never NULL. */
udm_server_t *udm_config_main(void);

/* What holds for a request where it is now. */
const udm_dir_t *udm_config_dir(const request_rec *r);

/* @return true when the section says another AuthType than ours */
bool udm_config_others_auth(request_rec *r);

/* What is said in one server; never NULL. */
udm_server_t *udm_config_server(const server_rec *s);

/* Values with their defaults. */
int udm_config_slots(const udm_server_t *conf);
int udm_config_retention(const udm_server_t *conf);
apr_int64_t udm_config_max_part_size(const udm_server_t *conf);
int udm_config_max_parts(const udm_server_t *conf);
apr_int64_t udm_config_max_row(const udm_server_t *conf);
apr_interval_time_t udm_config_link_ttl(const udm_dir_t *dir);
apr_interval_time_t udm_config_key_cache(const udm_dir_t *dir);
apr_int64_t udm_config_max_body(const udm_dir_t *dir);
bool udm_config_certificate_upload(const udm_dir_t *dir);
udm_encryption udm_config_encryption(const udm_dir_t *dir);
int udm_config_versions(const udm_dir_t *dir);
bool udm_config_wrapped(const udm_dir_t *dir);

/*
 * Checks what no directive can check alone, and loads the key files. Runs for configtest too. This
 * and what follows is in config_check.c.
 * @return OK, or a status once every fault is logged
 */
int udm_config_check(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *s);

/* A check_config hook that goes before mod_info's: keeps passwords out of what that shows. */
int udm_config_hide_passwords(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                              server_rec *s);

/* What UDMWorker On runs. */
const char *udm_config_worker_program(const udm_server_t *conf);

/* The worker's settings, lines of "name value": what the worker is told, and what
 * -D DUMP_UDM_WORKER prints. */
const char *udm_config_worker_settings(apr_pool_t *p, const udm_server_t *conf);

#endif
