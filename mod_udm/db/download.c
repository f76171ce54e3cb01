/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * download.c: looks files up and audits their download, all in one statement and one commit.
 */
#include "db/download.h"

#include <string.h>

#include <apr_strings.h>

/* clang-format off */
static const udm_statement_t note = {
    "udm_download_note",
    "WITH f AS MATERIALIZED (SELECT a.n, a.size = f.size AS whole, a.address, a.request, f.ccid, f.name,"
    " f.size, f.sha256, f.created_at, coalesce(f.removal, CASE WHEN f.expires_at <= now() THEN"
    " 'expired' END) AS gone"
    " FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) WITH ORDINALITY"
    " AS a (name, size, address, request, n) JOIN udm.file f ON f.name = a.name)"
    " SELECT n - 1, gone, size, sha256, " UDM_PG_TIME("created_at") ","
    " CASE WHEN gone IS NULL AND whole THEN udm.audit_write(ccid, NULL, NULL, 'file.download', name,"
    " address, request, NULL) END FROM f"};
/* clang-format on */

enum { ROW_INDEX, ROW_GONE, ROW_SIZE, ROW_SHA256, ROW_CREATED };

/* What a row says of the download that it is about. */
static void take_row(udm_download_t *d, const udm_result_t *rows, int row)
{
    const char *gone = udm_result_text(rows, row, ROW_GONE);

    d->error = NULL;
    if (gone && strcmp(gone, "expired") == 0) {
        d->error = udm_error_make(d->pool, UDM_E_GONE, "the time that this file is kept is over");
    }
    else if (gone) {
        d->error = udm_error_make(d->pool, UDM_E_NOT_FOUND, "there is no file of this name");
    }
    d->listed_size = udm_result_int(rows, row, ROW_SIZE);
    d->created = udm_result_time(rows, row, ROW_CREATED);
    d->sha256 = apr_pstrdup(d->pool, udm_result_text(rows, row, ROW_SHA256));
}

udm_error_t *udm_download_many(apr_pool_t *p, udm_pg_t *db, udm_download_t *const *downloads,
                               int count)
{
    apr_array_header_t *lists[4];
    const char *values[4];
    udm_result_t *rows;
    udm_error_t *error;
    int i;

    for (i = 0; i < 4; i++) {
        lists[i] = apr_array_make(p, count, sizeof(const char *));
    }
    for (i = 0; i < count; i++) {
        APR_ARRAY_PUSH(lists[0], const char *) = downloads[i]->name;
        APR_ARRAY_PUSH(lists[1], const char *) = udm_pg_int(p, downloads[i]->size);
        APR_ARRAY_PUSH(lists[2], const char *) = downloads[i]->client_address;
        APR_ARRAY_PUSH(lists[3], const char *) = downloads[i]->request_id;
    }
    for (i = 0; i < 4; i++) {
        values[i] = udm_pg_array(p, lists[i]);
    }
    error = udm_pg_query(&rows, p, db, &note, 4, values);
    if (error) {
        return error;
    }
    for (i = 0; i < count; i++) {
        downloads[i]->error =
            udm_error_make(downloads[i]->pool, UDM_E_NOT_FOUND, "there is no file of this name");
    }
    for (i = 0; i < rows->rows; i++) {
        take_row(downloads[udm_result_int(rows, i, ROW_INDEX)], rows, i);
    }
    return NULL;
}
