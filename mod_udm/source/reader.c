/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.c: whether the role that reads a source can do no more than that.
 */
#include "source/private.h"

/* What a reader must not be able to do, be it by an attribute of its own or by a role that it can become:
 * the number in reader_sql, and how a reason says it. */
static const char *const reader_rights[] = {
    "is a superuser",
    "can create roles (CREATEROLE)",
    "can pass by row-level security (BYPASSRLS)",
    "can read the whole cluster as a replica does (REPLICATION)",
    "can create databases (CREATEDB)",
    "can run programs on the server (pg_execute_server_program)",
    "can read files of the server (pg_read_server_files)",
    "can write files of the server (pg_write_server_files)",
    "can write all data (pg_write_all_data)",
    "can end others' sessions (pg_signal_backend)",
    "can rebuild others' tables (pg_maintain)",
    "can have others' data replicated (pg_create_subscription)",
    "was granted functions that reach files of the server (pg_read_file, lo_import and the like)",
};

/* Reading much (pg_read_all_data) is a reader's trade, as long as it cannot use schema udm. */
/* clang-format off */
static const char reader_sql[] =
    "SELECT (SELECT min(w.n) FROM pg_roles m,"
    " LATERAL (VALUES (0, m.rolsuper), (1, m.rolcreaterole), (2, m.rolbypassrls),"
    " (3, m.rolreplication), (4, m.rolcreatedb), (5, m.rolname = 'pg_execute_server_program'),"
    " (6, m.rolname = 'pg_read_server_files'), (7, m.rolname = 'pg_write_server_files'),"
    " (8, m.rolname = 'pg_write_all_data'), (9, m.rolname = 'pg_signal_backend'),"
    " (10, m.rolname = 'pg_maintain'), (11, m.rolname = 'pg_create_subscription'),"
    " (12, EXISTS (SELECT FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang"
    " WHERE p.proname IN ('pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'pg_stat_file',"
    " 'lo_import', 'lo_export', 'pg_file_write', 'dblink_connect_u')"
    /* what anybody may call so is in another language */
    " AND l.lanname IN ('internal', 'c')"
    " AND has_function_privilege(m.oid, p.oid, 'EXECUTE')))) w (n, has)"
    " WHERE w.has AND (pg_has_role(session_user, m.oid, 'MEMBER')"
    " OR pg_has_role(current_user, m.oid, 'MEMBER'))),"
    " EXISTS (SELECT FROM pg_namespace n, pg_roles m WHERE n.nspname = 'udm'"
    " AND (pg_has_role(session_user, m.oid, 'MEMBER')"
    " OR pg_has_role(current_user, m.oid, 'MEMBER'))"
    " AND has_schema_privilege(m.oid, n.oid, 'USAGE, CREATE')),"
    " EXISTS (SELECT FROM pg_roles m WHERE m.rolname IN ('udm_owner', 'udm_httpd', 'udm_worker')"
    " AND (pg_has_role(session_user, m.oid, 'MEMBER')"
    " OR pg_has_role(current_user, m.oid, 'MEMBER')))";
/* clang-format on */

/*
 * Whoever can do more than read what was granted could be made to do it by a view that somebody
 * registers: read other tenants' jobs and keys, files of the server, or give itself more rights.
 */
udm_error_t *udm_source_check_reader(udm_source_t *s)
{
    udm_result_t *result;
    udm_error_t *error = udm_source_query(&result, s, "its catalog", reader_sql, 0, NULL);

    if (error) {
        return error;
    }
    if (udm_result_text(result, 0, 0)) {
        return udm_source_lasting(
            udm_error_make(s->pool, UDM_E_SOURCE,
                           "the reader of source \"%s\" %s: give the source a role that can read "
                           "its relations and nothing else",
                           s->type->source, reader_rights[udm_result_int(result, 0, 0)]));
    }
    if (udm_result_bool(result, 0, 1)) {
        return udm_source_lasting(udm_error_make(
            s->pool, UDM_E_SOURCE, "the reader of source \"%s\" can use schema udm: revoke it",
            s->type->source));
    }
    if (udm_result_bool(result, 0, 2)) {
        /* roles are those of the whole cluster, and the schema may be in another database of it */
        return udm_source_lasting(
            udm_error_make(s->pool, UDM_E_SOURCE,
                           "the reader of source \"%s\" is, or can become, a role of the service "
                           "itself: give the source a role that can read its relations and "
                           "nothing else",
                           s->type->source));
    }
    return NULL;
}
