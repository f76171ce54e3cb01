/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * file.c: files by name: for a link, for many links, and to be deleted.
 */
#include "db/file.h"

#include <string.h>

#include "db/row.h"

/* The audit of one file `f`; $5 to $8 say who asks. */
#define FILES_AUDIT_WRITE(action, f)                                                               \
    "udm.audit_write(" f ".ccid, $5, $6, '" action "', " f ".name, $7, $8, NULL)"

/* Reads a file and audits the use of it, if there is one to use, in one statement. */
/* clang-format off */
static const udm_statement_t file_link_select = {
    "udm_file_link",
    "WITH f AS MATERIALIZED (SELECT * FROM udm.file f WHERE f.name = $1 AND f.ccid = $2"
    " AND " UDM_ROW_VISIBLE("f", "$3", "$4") ")"
    " SELECT " UDM_FILE_COLUMNS ", coalesce(f.removal, CASE WHEN f.expires_at <= now() THEN"
    " 'expired' END), CASE WHEN f.removed_at IS NULL AND f.expires_at > now() THEN "
    FILES_AUDIT_WRITE("file.link", "f") " END FROM f"};
/* clang-format on */

static udm_error_t *find_file(udm_file_info_t **info, apr_pool_t *p, udm_pg_t *db,
                              const udm_statement_t *statement, int count,
                              const char *const *values)
{
    const char *gone;
    udm_result_t *row;
    udm_error_t *error;

    *info = NULL;
    error = udm_pg_query(&row, p, db, statement, count, values);
    if (error) {
        return error;
    }
    gone = row->rows == 0 ? "deleted" : udm_result_text(row, 0, UDM_FILE_COLUMN_COUNT);
    if (!gone) {
        *info = udm_row_file(p, row, 0);
        return NULL;
    }
    if (strcmp(gone, "expired") == 0) {
        return udm_error_make(p, UDM_E_GONE, "the time that this file is kept is over");
    }
    return udm_error_make(p, UDM_E_NOT_FOUND, "there is no file of this name");
}

/* What every statement for a principal takes: which files, whose, which rights, who asks. */
static void file_values(const char **values, apr_pool_t *p, const char *names,
                        const udm_audit_t *audit, bool write)
{
    values[0] = names;
    values[1] = audit->who->ccid;
    udm_row_rights(&values[2], &values[3], p, audit->who, write);
    values[4] = audit->who->subject;
    values[5] = audit->who->key_id;
    values[6] = audit->client_address;
    values[7] = audit->request_id;
}
#define FILE_VALUES 8

udm_error_t *udm_file_link(udm_file_info_t **info, apr_pool_t *p, udm_pg_t *db, const char *name,
                           const udm_audit_t *audit)
{
    const char *values[FILE_VALUES];

    file_values(values, p, name, audit, false);
    return find_file(info, p, db, &file_link_select, FILE_VALUES, values);
}

/* clang-format off */
#define FILES_MINE                                                                                 \
    "f.name = ANY ($1::text[]) AND f.ccid = $2 AND f.removed_at IS NULL AND "                      \
    UDM_ROW_VISIBLE("f", "$3", "$4")

/* Of the names in $1 those that `found` lacks. */
#define FILES_NOT_IN(found)                                                                        \
    "SELECT a.name, a.n FROM unnest($1::text[]) WITH ORDINALITY a (name, n)"                       \
    " WHERE NOT EXISTS (SELECT FROM " found " g WHERE g.name = a.name)"

/*
 * Each file of `from`, audited. What is not read is not done, so that whoever has this as `audited`
 * ends with FILES_AND_AUDITED, which reads all of it and adds nothing.
 */
#define FILES_AUDIT(action, from)                                                                  \
    "SELECT " FILES_AUDIT_WRITE(action, "t") " AS id FROM " from
#define FILES_AND_AUDITED(names)                                                                   \
    " SELECT name FROM (" names                                                                    \
    " UNION ALL SELECT NULL, NULL FROM audited WHERE id IS NULL) AS left_over (name, n) ORDER BY n"

static const udm_statement_t files_link = {
    "udm_file_link_many",
    "WITH good AS MATERIALIZED (SELECT f.ccid, f.name FROM udm.file f"
    " WHERE " FILES_MINE " AND f.expires_at > now()),"
    " missing AS MATERIALIZED (" FILES_NOT_IN("good") "),"
    " audited AS MATERIALIZED ("
    FILES_AUDIT("file.link", "good t WHERE NOT EXISTS (SELECT FROM missing)") ")"
    FILES_AND_AUDITED("SELECT name, n FROM missing")};

/* Locked in one order, whichever was asked, so that two requests cannot wait for each other. */
static const udm_statement_t files_delete = {
    "udm_file_delete_many",
    "WITH mine AS MATERIALIZED (SELECT f.id FROM udm.file f WHERE " FILES_MINE
    " ORDER BY f.id FOR UPDATE),"
    " gone AS (UPDATE udm.file f SET removed_at = now(), removal = 'deleted'"
    " FROM mine WHERE f.id = mine.id RETURNING f.ccid, f.name),"
    " audited AS MATERIALIZED (" FILES_AUDIT("file.delete", "gone t") ")"
    FILES_AND_AUDITED(FILES_NOT_IN("gone"))};
/* clang-format on */

/* Runs a statement for many names that gives some of them back. */
static udm_error_t *files_query(apr_array_header_t **names, apr_pool_t *p, udm_pg_t *db,
                                const udm_statement_t *statement, const apr_array_header_t *asked,
                                const udm_audit_t *audit, bool write)
{
    const char *values[FILE_VALUES];
    udm_result_t *rows;
    udm_error_t *error;
    int i;

    *names = apr_array_make(p, 4, sizeof(const char *));
    file_values(values, p, udm_pg_array(p, asked), audit, write);
    error = udm_pg_query(&rows, p, db, statement, FILE_VALUES, values);
    for (i = 0; !error && i < rows->rows; i++) {
        APR_ARRAY_PUSH(*names, const char *) = udm_result_text(rows, i, 0);
    }
    return error;
}

udm_error_t *udm_file_link_many(apr_array_header_t **missing, apr_pool_t *p, udm_pg_t *db,
                                const apr_array_header_t *names, const udm_audit_t *audit)
{
    return files_query(missing, p, db, &files_link, names, audit, false);
}

udm_error_t *udm_file_delete_many(apr_array_header_t **left, apr_pool_t *p, udm_pg_t *db,
                                  const apr_array_header_t *names, const udm_audit_t *audit)
{
    return files_query(left, p, db, &files_delete, names, audit, true);
}
