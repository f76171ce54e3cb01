/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * file_handler.c: /files: signed links to files, and deleting files.
 */
#include <string.h>

#include <httpd.h>
#include <http_protocol.h>

#include <apr_strings.h>
#include <jansson.h>

#include "core/link.h"
#include "core/text.h"
#include "db/file.h"
#include "httpd/dbd.h"
#include "httpd/handler.h"

#define NAME_MAX_SIZE 255

typedef struct file_work_t {
    request_rec *r;
    const udm_request_t *q;
    udm_file_info_t *info;
    apr_array_header_t *names;
    apr_array_header_t *left; /* those that are missing, or were not deleted */
    bool visible;
} file_work_t;

/* @return false for what can be the name of no file, and what PostgreSQL would not take */
static bool is_name(const char *name)
{
    return strlen(name) <= NAME_MAX_SIZE && udm_text_is_utf8(name, strlen(name));
}

/* Until when a link made now is good: rounded up to the second that the link can carry. */
static apr_time_t link_end(const udm_request_t *q)
{
    return apr_time_from_sec(
        apr_time_sec(apr_time_now() + udm_config_link_ttl(q->dir) + APR_USEC_PER_SEC - 1));
}

/* The signed link to a file. */
static const char *link_to(request_rec *r, const udm_request_t *q, const udm_link_keys_t *keys,
                           const char *name, apr_time_t end)
{
    return apr_pstrcat(r->pool, udm_handler_base_url(r, q), "/download/",
                       ap_escape_path_segment(r->pool, name), "?",
                       udm_link_query(r->pool, keys, name, end), NULL);
}

/* Reads the parameter filename: 1 to `most` names, or with 0 as many as the request line holds. */
static udm_error_t *read_names(apr_array_header_t **names, request_rec *r, int most)
{
    static const char *const known[] = {"filename", NULL};
    apr_table_t *query;
    udm_error_t *error = udm_handler_query(&query, r, known);

    if (error) {
        return error;
    }
    *names = udm_handler_items(r, query, "filename");
    if ((*names)->nelts == 0 || (most > 0 && (*names)->nelts > most)) {
        return udm_error_make(
            r->pool, UDM_E_INVALID, "the parameter filename must name %s, with commas between them",
            most > 0 ? apr_psprintf(r->pool, "1 to %d files", most) : "the files");
    }
    return NULL;
}

static udm_error_t *link_file(udm_pg_t *db, void *baton)
{
    file_work_t *work = baton;

    return udm_file_link(&work->info, work->r->pool, db, work->q->parameter, &work->q->audit);
}

int udm_handle_file_link(request_rec *r, udm_request_t *q)
{
    file_work_t work = {.r = r, .q = q};
    const udm_link_keys_t *keys = udm_key_file_link_keys(udm_config_main()->link_keys, r);
    udm_error_t *error;

    if (!is_name(q->parameter)) {
        error = udm_error_make(r->pool, UDM_E_NOT_FOUND, "there is no file of this name");
    }
    else {
        /* writes the audit, so it is not tried twice */
        error = udm_dbd_with(r, false, link_file, &work);
    }
    if (error) {
        return udm_respond_error(r, error);
    }
    apr_table_setn(r->headers_out, "Location", link_to(r, q, keys, work.info->name, link_end(q)));
    apr_table_setn(r->err_headers_out, "Referrer-Policy", "no-referrer");
    return udm_respond_empty(r, HTTP_SEE_OTHER);
}

static udm_error_t *link_files(udm_pg_t *db, void *baton)
{
    file_work_t *work = baton;

    return udm_file_link_many(&work->left, work->r->pool, db, work->names, &work->q->audit);
}

int udm_handle_file_link_many(request_rec *r, udm_request_t *q)
{
    file_work_t work = {.r = r, .q = q};
    const udm_link_keys_t *keys = udm_key_file_link_keys(udm_config_main()->link_keys, r);
    apr_time_t end = link_end(q);
    udm_error_t *error = read_names(&work.names, r, UDM_FILES_MAX);
    json_t *list;
    int i;

    if (!error) {
        error = udm_dbd_with(r, false, link_files, &work);
    }
    if (error) {
        return udm_respond_error(r, error);
    }
    list = json_array();
    if (work.left->nelts > 0) {
        for (i = 0; i < work.left->nelts; i++) {
            json_array_append_new(
                list, json_pack("{s:s}", "path", APR_ARRAY_IDX(work.left, i, const char *)));
        }
        return udm_respond_left(r, HTTP_NOT_FOUND,
                                "there are no files of some of these names: data lists them", list);
    }
    for (i = 0; i < work.names->nelts; i++) {
        const char *name = APR_ARRAY_IDX(work.names, i, const char *);

        json_array_append_new(list, json_pack("{s:s}", "path", link_to(r, q, keys, name, end)));
    }
    apr_table_setn(r->err_headers_out, "Referrer-Policy", "no-referrer");
    return udm_respond_json(r, HTTP_OK, list);
}

static udm_error_t *delete_files(udm_pg_t *db, void *baton)
{
    file_work_t *work = baton;

    return udm_file_delete_many(&work->left, work->r->pool, db, work->names, &work->q->audit);
}

int udm_handle_file_delete_many(request_rec *r, udm_request_t *q)
{
    file_work_t work = {.r = r, .q = q};
    udm_error_t *error = read_names(&work.names, r, 0);

    if (!error) {
        error = udm_dbd_with(r, false, delete_files, &work);
    }
    return error ? udm_respond_error(r, error) : udm_handler_respond_deleted(r, work.left, true);
}

/*
 * Deletes one file, or finds out whether it is there at all. Asking for links to it and to a name
 * that no file has makes and audits no link, and says whether this one is missing, too.
 */
static udm_error_t *delete_file(udm_pg_t *db, void *baton)
{
    file_work_t *work = baton;
    apr_array_header_t *missing;
    udm_error_t *error = delete_files(db, work);

    if (error || work->left->nelts == 0) {
        return error;
    }
    APR_ARRAY_PUSH(work->names, const char *) = "";
    error = udm_file_link_many(&missing, work->r->pool, db, work->names, &work->q->audit);
    work->visible = !error && missing->nelts == 1;
    return error;
}

int udm_handle_file_delete(request_rec *r, udm_request_t *q)
{
    file_work_t work = {.r = r, .q = q};
    udm_error_t *error = NULL;

    if (is_name(q->parameter)) {
        work.names = apr_array_make(r->pool, 2, sizeof(const char *));
        APR_ARRAY_PUSH(work.names, const char *) = q->parameter;
        error = udm_dbd_with(r, false, delete_file, &work);
    }
    if (!error && work.visible) {
        error = udm_error_make(r->pool, UDM_E_FORBIDDEN,
                               "you may read this file but not delete it: it takes a role that may "
                               "change data of its type");
    }
    /* what is not there is as good as deleted */
    return error ? udm_respond_error(r, error) : udm_respond_empty(r, HTTP_NO_CONTENT);
}
