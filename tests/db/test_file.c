/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_file.c: one file by its name, and many: links, downloads, deletion, and what is audited.
 */
#include "dbtest.h"

#include <string.h>

#include <apr_strings.h>

#include "db/download.h"
#include "db/file.h"
#include "db/queue.h"
#include "db/installation.h"

#define FILE_NAME "export-01234567-89ab-cdef-0123-456789abcdef.zip.smime"

/* One file of acme that expires this much after now. */
static void make_file(const char *expires)
{
    dbtest_exec(
        apr_psprintf(pool,
                     "DELETE FROM udm.file; INSERT INTO udm.file (name, run_id, job_id, ccid,"
                     " source, type, job_title, part, size, sha256, expires_at) VALUES ('%s',"
                     " 7, 6, 'acme', 'UCS', 'Interaction', 'title', 1, 6000000000,"
                     " repeat('0a', 32), now() + interval '%s')",
                     FILE_NAME, expires));
}

/* How many lines the audit has of this action. */
static const char *audited(const char *action)
{
    return dbtest_value(apr_psprintf(pool,
                                     "SELECT count(*) FROM udm.audit WHERE action = '%s'"
                                     " AND object = '" FILE_NAME "' AND ccid = 'acme'",
                                     action));
}

/* What is asked for by a link to a file that has this size in the store. */
static udm_download_t asked(const char *name, apr_int64_t size, const char *request)
{
    udm_download_t download = {.pool = pool,
                               .name = name,
                               .size = size,
                               .client_address = "192.0.2.9",
                               .request_id = request};

    return download;
}

/* One download of the one file. @return its error */
static udm_error_t *download_one(apr_int64_t size)
{
    udm_download_t download = asked(FILE_NAME, size, "request-9");
    udm_download_t *all[] = {&download};

    dbtest_ok(udm_download_many(pool, dbtest_httpd(), all, 1));
    return download.error;
}

START_TEST(file_by_name)
{
    udm_principal_t *who = dbtest_principal("acme");
    udm_file_info_t *info;

    make_file("36 hours");
    dbtest_ok(udm_file_link(&info, pool, dbtest_httpd(), FILE_NAME, dbtest_audit(who)));
    ck_assert_str_eq(info->name, FILE_NAME);
    ck_assert_int_gt(info->id, 0);
    ck_assert_int_eq(info->size, 6000000000LL);
    ck_assert_str_eq(info->type, "Interaction");
    ck_assert_str_eq(info->source, "UCS");
    ck_assert_str_eq(info->job_title, "title");
    ck_assert_int_eq(info->job_id, 6);
    ck_assert_int_eq(info->run_id, 7);
    ck_assert_int_eq(info->expires - info->created, apr_time_from_sec(36 * 3600));
    ck_assert_int_eq(info->remaining_days, 2);
    ck_assert_int_eq(strlen(info->sha256), 64);
    ck_assert_str_eq(info->ccid, "acme");
    ck_assert_str_eq(audited("file.link"), "1");
    ck_assert_str_eq(dbtest_value("SELECT subject || client_address FROM udm.audit"
                                  " WHERE action = 'file.link'"),
                     "tester192.0.2.1");

    /* What is not whole in the store is found, but not downloaded. */
    dbtest_ok(download_one(-1));
    dbtest_ok(download_one(5999999999LL));
    ck_assert_str_eq(audited("file.download"), "0");
    dbtest_ok(download_one(6000000000LL));
    ck_assert_str_eq(audited("file.download"), "1");
    ck_assert_str_eq(dbtest_value("SELECT (subject IS NULL)::text || client_address || request_id"
                                  " FROM udm.audit WHERE action = 'file.download'"),
                     "true192.0.2.9request-9");
}
END_TEST

/* Each one gets its own answer, and its own line in the audit. */
START_TEST(downloads_at_once)
{
    udm_download_t downloads[] = {asked("export-unknown", 1, "a"),
                                  asked(FILE_NAME, 6000000000LL, "b"), asked(FILE_NAME, 1, "c"),
                                  asked(FILE_NAME, 6000000000LL, NULL)};
    udm_download_t *all[] = {&downloads[0], &downloads[1], &downloads[2], &downloads[3]};

    make_file("36 hours");
    dbtest_ok(udm_download_many(pool, dbtest_httpd(), all, 4));
    dbtest_fails(downloads[0].error, UDM_E_NOT_FOUND, "there is no file of this name");
    for (int i = 1; i < 4; i++) {
        ck_assert_ptr_null(downloads[i].error);
        ck_assert_int_eq(downloads[i].listed_size, 6000000000LL);
        ck_assert_int_eq(strlen(downloads[i].sha256), 64);
        ck_assert_int_gt(downloads[i].created, 0);
    }
    ck_assert_str_eq(
        dbtest_value("SELECT string_agg(coalesce(request_id, '-'), ',' ORDER BY request_id)"
                     " FROM udm.audit WHERE action = 'file.download' AND ccid = 'acme'"
                     " AND object = '" FILE_NAME "'"),
        "b,-");
}
END_TEST

START_TEST(file_of_somebody_else)
{
    udm_file_info_t *info;

    make_file("36 hours");
    dbtest_fails(udm_file_link(&info, pool, dbtest_httpd(), FILE_NAME,
                               dbtest_audit(dbtest_principal("other"))),
                 UDM_E_NOT_FOUND, "there is no file of this name");
    dbtest_fails(
        udm_file_link(&info, pool, dbtest_httpd(), FILE_NAME,
                      dbtest_audit(dbtest_principal_of("acme", "UCS", "Contact", true, true))),
        UDM_E_NOT_FOUND, "there is no file of this name");
    dbtest_fails(udm_file_link(&info, pool, dbtest_httpd(), "nothing",
                               dbtest_audit(dbtest_principal("acme"))),
                 UDM_E_NOT_FOUND, "there is no file of this name");
    ck_assert_ptr_null(info);
    ck_assert_str_eq(audited("file.link"), "0");
}
END_TEST

/* Both ways to a file give the same answer when it is gone, and audit nothing. */
static void file_is_gone(udm_error_kind kind, const char *words)
{
    udm_file_info_t *info;

    dbtest_fails(udm_file_link(&info, pool, dbtest_httpd(), FILE_NAME,
                               dbtest_audit(dbtest_principal("acme"))),
                 kind, words);
    ck_assert_ptr_null(info);
    dbtest_fails(download_one(6000000000LL), kind, words);
    ck_assert_str_eq(audited("file.link"), "0");
    ck_assert_str_eq(audited("file.download"), "0");
}

START_TEST(file_past_its_time)
{
    udm_file_info_t *info;

    make_file("0 seconds");
    file_is_gone(UDM_E_GONE, "the time that this file is kept is over");
    make_file("1 hour");
    dbtest_exec("UPDATE udm.file SET removed_at = now(), removal = 'expired'");
    file_is_gone(UDM_E_GONE, "the time that this file is kept is over");
    /* The tombstone of another tenant's file is no news either. */
    dbtest_fails(udm_file_link(&info, pool, dbtest_httpd(), FILE_NAME,
                               dbtest_audit(dbtest_principal("other"))),
                 UDM_E_NOT_FOUND, "there is no file of this name");
}
END_TEST

START_TEST(file_deleted)
{
    make_file("1 hour");
    dbtest_exec("UPDATE udm.file SET removed_at = now(), removal = 'deleted'");
    file_is_gone(UDM_E_NOT_FOUND, "there is no file of this name");
}
END_TEST

/*
 * Files a0 to a3 of acme's UCS/Interaction, c0 of its UCS/Contact, b0 of other; d0 was deleted, and
 * the time of e0 is over.
 */
static void make_files(void)
{
    dbtest_exec(
        "INSERT INTO udm.file (name, run_id, job_id, ccid, source, type, job_title, part, size,"
        " sha256, expires_at, removed_at, removal) SELECT 'export-' || repeat(k, 36) ||"
        " '.z1' || n || '.smime', 7, 6, ccid, 'UCS', type, 'title', 1 + n, 1000, repeat('0a', 32),"
        " now() + age, CASE WHEN k = 'd' THEN now() END, CASE WHEN k = 'd' THEN 'deleted' END"
        " FROM (VALUES ('a', 3, 'acme', 'Interaction', interval '1 hour'),"
        " ('b', 0, 'other', 'Interaction', '1 hour'), ('c', 0, 'acme', 'Contact', '1 hour'),"
        " ('d', 0, 'acme', 'Interaction', '1 hour'),"
        " ('e', 0, 'acme', 'Interaction', '-1 hour')) v (k, last, ccid, type, age),"
        " generate_series(0, last) n");
}

/* The name of one of them by its short one, or the word itself. */
static const char *name_of(const char *word)
{
    char letters[37];

    if (strlen(word) != 2) {
        return word;
    }
    memset(letters, word[0], 36);
    letters[36] = '\0';
    return apr_psprintf(pool, "export-%s.z1%c.smime", letters, word[1]);
}

/* Names by their short ones, with blanks between them. */
static apr_array_header_t *names(const char *words)
{
    apr_array_header_t *array = apr_array_make(pool, 8, sizeof(const char *));
    char *state = NULL;
    char *word;

    for (word = apr_strtok(apr_pstrdup(pool, words), " ", &state); word;
         word = apr_strtok(NULL, " ", &state)) {
        APR_ARRAY_PUSH(array, const char *) = name_of(word);
    }
    return array;
}

static void same_names(const apr_array_header_t *got, const char *words)
{
    ck_assert_str_eq(apr_array_pstrcat(pool, got, ' '), apr_array_pstrcat(pool, names(words), ' '));
}

/* The short names in the audit, in order, each as often as it is there. */
static const char *audit_of(const char *action)
{
    const char *text = dbtest_value(
        apr_psprintf(pool,
                     "SELECT string_agg(substr(object, 8, 1) || substr(object, 47, 1), ' '"
                     " ORDER BY object) FROM udm.audit WHERE action = '%s' AND ccid = 'acme'"
                     " AND subject = 'tester' AND client_address = '192.0.2.1'"
                     " AND request_id = 'request-1'",
                     action));

    return text ? text : "";
}

static const char *link_many(const char *words, const udm_principal_t *who, const char *missing)
{
    apr_array_header_t *got;

    dbtest_ok(udm_file_link_many(&got, pool, dbtest_httpd(), names(words), dbtest_audit(who)));
    same_names(got, missing);
    return audit_of("file.link");
}

START_TEST(link_all_or_none)
{
    udm_principal_t *who = dbtest_principal("acme");

    make_files();
    ck_assert_str_eq(link_many("a3 b0 a0 nothing c0 d0 a1 e0 b0", who, "b0 nothing d0 e0 b0"), "");
    ck_assert_str_eq(
        link_many("a2", dbtest_principal_of("acme", "UCS", "Contact", true, true), "a2"), "");
    ck_assert_str_eq(link_many("a2 b0", dbtest_principal("other"), "a2"), "");
    /* Whoever may write but not read sees nothing. */
    ck_assert_str_eq(
        link_many("a2", dbtest_principal_of("acme", "UCS", "Interaction", false, true), "a2"), "");
    ck_assert_str_eq(link_many("a3 a0 c0 a3", who, ""), "a0 a3 c0");
    ck_assert_str_eq(
        link_many("a2", dbtest_principal_of("acme", "UCS", "Interaction", true, false), ""),
        "a0 a2 a3 c0");
}
END_TEST

START_TEST(names_are_no_sql)
{
    apr_array_header_t *hostile = apr_array_make(pool, 8, sizeof(const char *));
    apr_array_header_t *got;
    int i;

    make_files();
    APR_ARRAY_PUSH(hostile, const char *) = "{\"a\",b}";
    APR_ARRAY_PUSH(hostile, const char *) = "NULL";
    APR_ARRAY_PUSH(hostile, const char *) = "";
    APR_ARRAY_PUSH(hostile, const char *) = "a\\\"',$1";
    dbtest_ok(udm_file_link_many(&got, pool, dbtest_httpd(), hostile,
                                 dbtest_audit(dbtest_principal("acme"))));
    ck_assert_int_eq(got->nelts, 4);
    for (i = 0; i < 4; i++) {
        ck_assert_str_eq(APR_ARRAY_IDX(got, i, const char *),
                         APR_ARRAY_IDX(hostile, i, const char *));
    }
}
END_TEST

static const char *delete_many(const char *words, const udm_principal_t *who, const char *left)
{
    apr_array_header_t *got;

    dbtest_ok(udm_file_delete_many(&got, pool, dbtest_httpd(), names(words), dbtest_audit(who)));
    same_names(got, left);
    return audit_of("file.delete");
}

/* The short names of files that are there. */
static const char *there(void)
{
    return dbtest_value("SELECT string_agg(substr(name, 8, 1) || substr(name, 47, 1), ' '"
                        " ORDER BY name) FROM udm.file WHERE removed_at IS NULL");
}

START_TEST(delete_what_can_be)
{
    udm_principal_t *who = dbtest_principal("acme");
    udm_file_info_t *info;

    make_files();
    ck_assert_str_eq(
        delete_many("a0 b0", dbtest_principal_of("acme", "UCS", "Contact", true, true), "a0 b0"),
        "");
    ck_assert_str_eq(
        delete_many("a0", dbtest_principal_of("acme", "UCS", "Interaction", true, false), "a0"),
        "");
    ck_assert_str_eq(there(), "a0 a1 a2 a3 b0 c0 e0");
    ck_assert_str_eq(delete_many("nothing a3 b0 a0 d0 a3 c0", who, "nothing b0 d0"), "a0 a3 c0");
    ck_assert_str_eq(there(), "a1 a2 b0 e0");
    ck_assert_str_eq(delete_many("a0 a1", who, "a0"), "a0 a1 a3 c0");
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.file WHERE removal = 'deleted' AND"
                                  " removed_at IS NOT NULL AND purged_at IS NULL"),
                     "5");
    dbtest_fails(udm_file_link(&info, pool, dbtest_httpd(), name_of("a0"), dbtest_audit(who)),
                 UDM_E_NOT_FOUND, "there is no file of this name");
    ck_assert_str_eq(link_many("a0 a2", who, "a0"), "");
}
END_TEST

/* Deletion wakes the worker that takes files out of the store. */
START_TEST(deletion_tells_the_worker)
{
    PGconn *conn = dbtest_worker()->conn;
    PGnotify *notify;

    make_files();
    dbtest_ok(udm_installation_listen(pool, dbtest_worker()));
    delete_many("a0 a1", dbtest_principal("acme"), "");
    dbtest_ok(udm_pg_exec(pool, dbtest_worker(), "SELECT 1"));
    ck_assert(PQconsumeInput(conn));
    notify = PQnotifies(conn);
    ck_assert_ptr_nonnull(notify);
    PQfreemem(notify);
}
END_TEST

TCase *file_case(void)
{
    TCase *tc = dbtest_case("file");

    tcase_add_test(tc, file_by_name);
    tcase_add_test(tc, downloads_at_once);
    tcase_add_test(tc, file_of_somebody_else);
    tcase_add_test(tc, file_past_its_time);
    tcase_add_test(tc, file_deleted);
    tcase_add_test(tc, link_all_or_none);
    tcase_add_test(tc, names_are_no_sql);
    tcase_add_test(tc, delete_what_can_be);
    tcase_add_test(tc, deletion_tells_the_worker);
    return tc;
}
