/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * retention.c: ends what is over. What the functions of the schema remove, they remove with rights that a
 * worker has not, and they hold on to the least ages that are allowed, whatever a worker asks for.
 */
#include <apr_strings.h>

#include "core/artifact.h"
#include "db/retention.h"

/* Rows that are looked at in one step, as text for SQL. */
#define BATCH        "2000"
#define EXPIRE_BATCH "100"
#define FORGET_BATCH 10000

#define TEXT_OF(x)  TEXT_OF_(x)
#define TEXT_OF_(x) #x

/* ---- rows that are over ---- */

static const udm_statement_t purges[] = {
    [UDM_RETENTION_RUNS] = {"udm_retention_runs",
                            "SELECT * FROM udm.purge_runs($1::integer, $2::bigint, " BATCH ")"},
    [UDM_RETENTION_JOBS] = {"udm_retention_jobs",
                            "SELECT * FROM udm.purge_jobs($1::integer, $2::bigint, " BATCH ")"},
    [UDM_RETENTION_FILES] = {"udm_retention_files",
                             "SELECT * FROM udm.purge_files($1::integer, $2::bigint, " BATCH ")"},
    [UDM_RETENTION_AUDIT] = {"udm_retention_audit",
                             "SELECT * FROM udm.purge_audit($1::integer, $2::bigint, " BATCH ")"},
};

static const udm_statement_t end_tenants = {"udm_retention_end_tenants",
                                            "SELECT udm.end_tenants(" BATCH ")"};
static const udm_statement_t forget_types = {"udm_retention_forget_types",
                                             "SELECT udm.forget_gone_types()"};

udm_error_t *udm_retention_purge(apr_int64_t *gone, apr_int64_t *after, apr_pool_t *p, udm_pg_t *db,
                                 udm_retention_kind kind, int days)
{
    const char *values[2] = {udm_pg_int(p, days), udm_pg_int(p, *after)};
    udm_result_t *row;
    udm_error_t *error = udm_pg_query(&row, p, db, &purges[kind], 2, values);

    *gone = *after = 0;
    if (!error) {
        *after = udm_result_int(row, 0, 0);
        *gone = udm_result_int(row, 0, 1);
    }
    return error;
}

udm_error_t *udm_retention_end_tenants(bool *more, apr_pool_t *p, udm_pg_t *db)
{
    udm_result_t *row;
    udm_error_t *error = udm_pg_query(&row, p, db, &end_tenants, 0, NULL);

    *more = !error && udm_result_bool(row, 0, 0);
    return error;
}

udm_error_t *udm_retention_forget_types(apr_pool_t *p, udm_pg_t *db)
{
    udm_result_t *row;

    return udm_pg_query(&row, p, db, &forget_types, 0, NULL);
}

/* ---- files and retries that are over ---- */

/*
 * What expires now comes with what was removed before: a statement does not see its own changes. In
 * any order, because one that cannot be taken out of the store must not stand before the others for
 * ever.
 */
/* clang-format off */
static const udm_statement_t purge = {
    "udm_retention_due_files",
    "WITH due AS ("
    "  SELECT f.id FROM udm.file f WHERE f.expires_at <= now() AND f.removed_at IS NULL"
    "   ORDER BY f.expires_at LIMIT " EXPIRE_BATCH
    "   FOR UPDATE SKIP LOCKED),"
    " expired AS ("
    "  UPDATE udm.file f SET removed_at = now(), removal = 'expired'"
    "    FROM due WHERE f.id = due.id RETURNING f.id, f.name, f.ccid),"
    " audited AS MATERIALIZED ("
    "  SELECT id, name, udm.audit_write(ccid, session_user, NULL, 'file.expire', name, NULL, NULL,"
    "         NULL) FROM expired)"
    "SELECT x.id, x.name"
    "  FROM (SELECT id, name FROM audited"
    "        UNION ALL"
    "        SELECT id, name FROM udm.file WHERE removed_at IS NOT NULL AND purged_at IS NULL) x"
    " ORDER BY random() LIMIT $1::integer"};

/* Locked in one order, whoever else notes the same files. */
static const udm_statement_t purged = {
    "udm_retention_files_gone",
    "WITH gone AS ("
    "  SELECT id FROM udm.file"
    "   WHERE id = ANY ($1::bigint[]) AND removed_at IS NOT NULL AND purged_at IS NULL"
    "   ORDER BY id FOR UPDATE)"
    "UPDATE udm.file f SET purged_at = now() FROM gone WHERE f.id = gone.id"};

static const udm_statement_t forget_retries = {
    "udm_retention_forget_retries",
    "WITH gone AS ("
    "  DELETE FROM udm.idempotency WHERE ctid = ANY (ARRAY("
    "    SELECT ctid FROM udm.idempotency WHERE created_at < now() - interval '24 hours'"
    "     LIMIT " TEXT_OF(FORGET_BATCH) "))"
    "  RETURNING 1)"
    "SELECT count(*) FROM gone"};
/* clang-format on */

udm_error_t *udm_retention_due_files(apr_array_header_t **files, apr_pool_t *p, udm_pg_t *db,
                                     int limit)
{
    const char *value = udm_pg_int(p, limit);
    udm_result_t *result;
    udm_error_t *error;
    int i;

    *files = apr_array_make(p, 4, sizeof(udm_due_file_t));
    error = udm_pg_query(&result, p, db, &purge, 1, &value);
    for (i = 0; !error && i < result->rows; i++) {
        udm_due_file_t *file = apr_array_push(*files);

        file->id = udm_result_int(result, i, 0);
        file->name = udm_result_text(result, i, 1);
    }
    return error;
}

udm_error_t *udm_retention_files_gone(apr_pool_t *p, udm_pg_t *db, const apr_array_header_t *ids)
{
    apr_array_header_t *texts = apr_array_make(p, ids->nelts, sizeof(const char *));
    udm_result_t *result;
    const char *value;
    int i;

    for (i = 0; i < ids->nelts; i++) {
        APR_ARRAY_PUSH(texts, const char *) = udm_pg_int(p, APR_ARRAY_IDX(ids, i, apr_int64_t));
    }
    value = udm_pg_array(p, texts);
    return udm_pg_query(&result, p, db, &purged, 1, &value);
}

udm_error_t *udm_retention_forget_retries(apr_pool_t *p, udm_pg_t *db)
{
    udm_result_t *result;
    udm_error_t *error;

    do {
        error = udm_pg_query(&result, p, db, &forget_retries, 0, NULL);
    } while (!error && udm_result_int(result, 0, 0) == FORGET_BATCH);
    return error;
}

/* ---- what is in the store and belongs to nothing ---- */

/*
 * One look at files and runs together: a run that is completed meanwhile is either in progress or
 * listed, never neither.
 */
/* clang-format off */
static const udm_statement_t orphan = {
    "udm_retention_orphans",
    "SELECT n.i - 1,"
    "       n.draft OR EXISTS (SELECT FROM udm.file f WHERE f.name = n.name)"
    "       OR EXISTS (SELECT FROM udm.run r WHERE r.export_id = n.export_id)"
    "  FROM unnest($1::text[], $2::uuid[], $3::boolean[])"
    "       WITH ORDINALITY AS n (name, export_id, draft, i)"
    " WHERE NOT EXISTS (SELECT FROM udm.file f"
    "                    WHERE f.name = n.name AND f.purged_at IS NULL)"
    "   AND NOT EXISTS (SELECT FROM udm.run r"
    "                    WHERE r.export_id = n.export_id AND r.status = 'IN_PROGRESS')"};
/* clang-format on */

udm_error_t *udm_retention_orphans(apr_array_header_t **orphans, apr_pool_t *p, udm_pg_t *db,
                                   const apr_array_header_t *names)
{
    apr_array_header_t *ids = apr_array_make(p, names->nelts, sizeof(const char *));
    apr_array_header_t *drafts = apr_array_make(p, names->nelts, sizeof(const char *));
    const char *values[3];
    udm_result_t *result;
    udm_error_t *error;
    int i;

    for (i = 0; i < names->nelts; i++) {
        const char *name = APR_ARRAY_IDX(names, i, const char *);
        udm_artifact_t artifact;

        if (!udm_artifact_parse(&artifact, name)) {
            return udm_error_make(p, UDM_E_INTERNAL, "\"%s\" is not the name of an object", name);
        }
        APR_ARRAY_PUSH(ids, const char *) = apr_pstrdup(p, artifact.export_id);
        APR_ARRAY_PUSH(drafts, const char *) = artifact.draft ? "t" : "f";
    }
    values[0] = udm_pg_array(p, names);
    values[1] = udm_pg_array(p, ids);
    values[2] = udm_pg_array(p, drafts);
    *orphans = apr_array_make(p, 4, sizeof(udm_orphan_t));
    error = udm_pg_query(&result, p, db, &orphan, 3, values);
    for (i = 0; !error && i < result->rows; i++) {
        udm_orphan_t *found = apr_array_push(*orphans);

        found->index = (int)udm_result_int(result, i, 0);
        found->dead = udm_result_bool(result, i, 1);
    }
    return error;
}
