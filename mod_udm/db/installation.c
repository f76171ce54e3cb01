/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * installation.c: the schema's version, this installation's id and store, and its workers' rows.
 */
#include "db/installation.h"

#include <apr_strings.h>

#include "pg/transaction.h"

/* How long the version of the schema is taken for what it was. */
#define SCHEMA_AGE apr_time_from_sec(5)

/* ---- the version of the schema ---- */

bool udm_installation_wrong_schema(const udm_error_t *error)
{
    return error->kind == UDM_E_DATABASE && error->status == APR_EINVAL;
}

static udm_error_t *wrong_schema(apr_pool_t *p, int version)
{
    udm_error_t *error =
        udm_error_make(p, UDM_E_DATABASE, "the service is being upgraded: try again later");

    error->status = version == 0 ? APR_ENOENT : APR_EINVAL;
    if (version > udm_schema_version) {
        return udm_error_detail(
            p, error,
            "schema udm is of version %d, which is newer than this program, made "
            "for version %d: install and restart the programs of that version",
            version, udm_schema_version);
    }
    if (version == 0) {
        return udm_error_detail(p, error,
                                "the database has no schema udm that this role can use: run "
                                "udm-migrate, which makes version %d",
                                udm_schema_version);
    }
    return udm_error_detail(p, error,
                            "schema udm is of version %d and this program is made for version %d: "
                            "run udm-migrate",
                            version, udm_schema_version);
}

static const udm_statement_t version_select = {
    "udm_schema_version",
    "SELECT max(version), pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'"
    " FROM udm.schema_version"};

/* After a failover the old server may still answer, with what it has. */
static udm_error_t *check_server(apr_pool_t *p, udm_pg_t *db, bool standby, bool read_only)
{
    udm_pg_target target = standby || read_only ? udm_pg_target_of(db->conn) : UDM_PG_ANY;
    udm_error_t *error;

    if (target == UDM_PG_ANY || (target == UDM_PG_PRIMARY && !standby)) {
        return NULL;
    }
    udm_pg_give_up(db);
    error = udm_error_make(p, UDM_E_DATABASE, "the database does not answer; try again later");
    return udm_error_detail(p, error, "the server takes no changes any more: leaving it");
}

udm_error_t *udm_installation_check(apr_pool_t *p, udm_pg_t *db)
{
    apr_time_t seen = udm_session_checked(db->session);
    apr_time_t now = apr_time_now();
    udm_result_t *row;
    udm_error_t *error;
    int version = 0;

    if (seen <= now && now - seen < SCHEMA_AGE) {
        return NULL;
    }
    udm_session_set_checked(db->session, 0);
    error = udm_pg_query(&row, p, db, &version_select, 0, NULL);
    if (error && !udm_pg_undefined(error)) {
        return error;
    }
    if (!error) {
        version = (int)udm_result_int(row, 0, 0);
        error = check_server(p, db, udm_result_bool(row, 0, 1), udm_result_bool(row, 0, 2));
        if (error) {
            return error;
        }
    }
    if (version != udm_schema_version) {
        return wrong_schema(p, version);
    }
    udm_session_set_checked(db->session, now);
    return NULL;
}

/* ---- the store ---- */

#define INSTALLATION "SELECT id::text, store_since IS NOT NULL FROM udm.installation"

static const udm_statement_t installation = {"udm_installation_read", INSTALLATION};
static const udm_statement_t installation_lock = {"udm_installation_lock",
                                                  INSTALLATION " FOR UPDATE"};
static const udm_statement_t begin_store = {"udm_installation_begin_store",
                                            "UPDATE udm.installation SET store_since = now()"};

static udm_error_t *no_installation(apr_pool_t *p)
{
    return udm_error_make(p, UDM_E_INTERNAL,
                          "the database has no row in udm.installation: run udm-migrate again");
}

static udm_error_t *read_installation(const char **id, bool *has_store, apr_pool_t *p, udm_pg_t *db,
                                      const udm_statement_t *statement)
{
    udm_result_t *result;
    udm_error_t *error;

    *id = NULL;
    *has_store = false;
    error = udm_pg_query(&result, p, db, statement, 0, NULL);
    if (!error && result->rows == 0) {
        return no_installation(p);
    }
    if (!error) {
        *id = udm_result_text(result, 0, 0);
        *has_store = udm_result_bool(result, 0, 1);
    }
    return error;
}

udm_error_t *udm_installation_read(const char **id, bool *has_store, apr_pool_t *p, udm_pg_t *db)
{
    return read_installation(id, has_store, p, db, &installation);
}

typedef struct marking_t {
    udm_installation_mark *mark;
    void *baton;
} marking_t;

/* First the mark, then the note: a mark without the note is found by whoever comes next. */
static udm_error_t *mark_and_note(apr_pool_t *p, udm_pg_t *db, void *baton)
{
    const marking_t *marking = baton;
    udm_result_t *result;
    udm_error_t *error;
    bool has_store;
    const char *id;

    error = read_installation(&id, &has_store, p, db, &installation_lock);
    if (error || has_store) {
        return error;
    }
    error = marking->mark(p, id, marking->baton);
    return error ? error : udm_pg_query(&result, p, db, &begin_store, 0, NULL);
}

udm_error_t *udm_installation_begin_store(apr_pool_t *p, udm_pg_t *db, udm_installation_mark *mark,
                                          void *baton)
{
    marking_t marking = {mark, baton};

    return udm_transaction(p, db, mark_and_note, &marking);
}

/* ---- workers ---- */

static const udm_statement_t channel = {"udm_installation_channel",
                                        "SELECT channel FROM udm.installation"};

udm_error_t *udm_installation_listen(apr_pool_t *p, udm_pg_t *db)
{
    udm_result_t *result;
    udm_error_t *error = udm_pg_query(&result, p, db, &channel, 0, NULL);

    if (!error && result->rows == 0) {
        error = no_installation(p);
    }
    /* Of a-z, 0-9 and _, as the column says. */
    return error
               ? error
               : udm_pg_exec(p, db, apr_pstrcat(p, "LISTEN ", udm_result_text(result, 0, 0), NULL));
}

/* The row that is there is only updated, in columns without an index: its page is all that changes. */
static const udm_statement_t beat = {
    "udm_heartbeat_write",
    "INSERT INTO udm.worker AS w (id, host, pid, version, slots, state)"
    " VALUES ($1, $2, $3::integer, $4, $5::integer, $6)"
    " ON CONFLICT (id) DO UPDATE SET seen_at = now(), state = excluded.state"};

static const udm_statement_t forget = {
    "udm_heartbeat_forget",
    "DELETE FROM udm.worker WHERE id <> $1 AND seen_at < now() - interval '1 day'"};

udm_error_t *udm_heartbeat_write(apr_pool_t *p, udm_pg_t *db, const udm_heartbeat_t *heartbeat)
{
    const char *values[6] = {heartbeat->id,
                             heartbeat->host,
                             udm_pg_int(p, heartbeat->pid),
                             heartbeat->version,
                             udm_pg_int(p, heartbeat->slots),
                             heartbeat->state};
    udm_result_t *result;

    return udm_pg_query(&result, p, db, &beat, 6, values);
}

udm_error_t *udm_heartbeat_forget(apr_pool_t *p, udm_pg_t *db, const char *id)
{
    udm_result_t *result;

    return udm_pg_query(&result, p, db, &forget, 1, &id);
}
