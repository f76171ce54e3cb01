/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_list_pages.c: the pages and batches of a list make the whole of it, whatever is written
 * meanwhile.
 */
#include "dbtest.h"
#include "listtest.h"

#include <string.h>

#include <apr_strings.h>

#include "db/list.h"

START_TEST(pages_make_the_whole)
{
    static const struct {
        udm_list_kind kind;
        const char *order;
    } lists[] = {{UDM_LIST_JOBS, "orderField=title&descAsc=true"},
                 {UDM_LIST_JOBS, "orderField=createdDate"},
                 {UDM_LIST_JOBS, "orderField=createdDate&type=a"},
                 {UDM_LIST_JOBS, "orderField=exportAttachments"},
                 {UDM_LIST_RUNS, "orderField=id"},
                 {UDM_LIST_RUNS, "orderField=createdDate&descAsc=true"},
                 {UDM_LIST_RUNS, ""},
                 {UDM_LIST_FILES, "orderField=id&descAsc=true"}};
    static const int sizes[] = {397, 999, 1000, 1001, 2001};
    apr_int64_t count, total;
    size_t i, k;

    dbtest_exec(listtest_rows);
    for (i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        const char *whole = listtest_read(pool, &total, lists[i].kind, lists[i].order);

        for (k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
            const char *pages = "";
            apr_int64_t from;
            apr_pool_t *p;

            ck_assert_int_eq(apr_pool_create(&p, pool), APR_SUCCESS);
            for (from = 0; from < total; from += sizes[k]) {
                const char *page =
                    listtest_read(p, &count, lists[i].kind,
                                  apr_psprintf(p, "%s&from=%" APR_INT64_T_FMT "&size=%d",
                                               lists[i].order, from, sizes[k]));

                ck_assert_int_eq(count, total);
                ck_assert_int_eq(listtest_count(page),
                                 from + sizes[k] <= total ? sizes[k] : total - from);
                pages = apr_pstrcat(p, pages, *pages ? "," : "", page, NULL);
            }
            listtest_same(pages, whole, lists[i].order);
            apr_pool_destroy(p);
        }
    }
    listtest_read(pool, &total, UDM_LIST_JOBS, "");
    ck_assert_str_eq(listtest_read(pool, &count, UDM_LIST_JOBS,
                                   apr_psprintf(pool, "from=%" APR_INT64_T_FMT, total)),
                     "");
    ck_assert_int_eq(count, total);
    ck_assert_str_eq(listtest_read(pool, &count, UDM_LIST_JOBS, "from=9223372036854775807&size=1"),
                     "");
    ck_assert_int_eq(count, total);
}
END_TEST

START_TEST(later_rows_stay_out)
{
    apr_array_header_t *batch;
    apr_int64_t count, seen = 0;
    udm_list_t *list;
    int i;

    dbtest_exec(listtest_rows);
    dbtest_ok(
        udm_list_open(&list, &count, pool, dbtest_httpd(), UDM_LIST_JOBS,
                      listtest_parse(pool, UDM_LIST_JOBS, "orderField=createdDate&descAsc=true"),
                      listtest_reader()));
    for (i = 0;; i++) {
        dbtest_ok(udm_list_next(&batch, pool, dbtest_httpd(), list));
        if (batch->nelts == 0) {
            break;
        }
        seen += batch->nelts;
        /* Would come last (and first), were it not too late. */
        dbtest_exec(
            "INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type,"
            " schedule, status, created_at) SELECT 'acme', 'UCS', 'UCS', 'Contact', 'late',"
            " true, 'once', '{}', 'QUEUED', t::timestamptz"
            " FROM (VALUES ('2000-01-01Z'), ('2100-01-01Z')) v (t)");
    }
    ck_assert_int_eq(i, 3);
    ck_assert_int_eq(seen, count);
    dbtest_ok(udm_list_next(&batch, pool, dbtest_httpd(), list));
    ck_assert_int_eq(batch->nelts, 0);
}
END_TEST

/* What has the lower id, or the earlier time, may be committed later: it is not part of the list. */
START_TEST(late_commits_stay_out)
{
    static const char *const queries[] = {"orderField=createdDate&descAsc=true",
                                          "orderField=createdDate", "orderField=id",
                                          "orderField=id&descAsc=true", "orderField=title"};
    apr_array_header_t *batch;
    apr_int64_t count, seen = 0;
    udm_list_t *list;
    int i;

    dbtest_exec(listtest_rows);
    /* its ids are in the middle of the others, its times before, among and behind theirs */
    dbtest_exec("BEGIN;" NEW_JOB("a late", "2000-01-01Z") ";" NEW_JOB(
        "plain late", "2026-03-01 00:00:00.00015Z") ";" NEW_JOB("z late", "2100-01-01Z"));
    dbtest_exec("SAVEPOINT part;" NEW_JOB("zz late", "2100-01-02Z") ";RELEASE SAVEPOINT part");
    dbtest_ok(udm_pg_exec(pool, dbtest_httpd(),
                          "INSERT INTO udm.job (ccid, family, source, type, title, time_all,"
                          " schedule_type, schedule)"
                          " VALUES ('acme', 'UCS', 'UCS', 'Contact', 'later id', true, 'once',"
                          " '{}')"));
    dbtest_ok(udm_list_open(&list, &count, pool, dbtest_httpd(), UDM_LIST_JOBS,
                            listtest_parse(pool, UDM_LIST_JOBS, queries[_i]), listtest_reader()));
    for (i = 0;; i++) {
        int k;

        dbtest_ok(udm_list_next(&batch, pool, dbtest_httpd(), list));
        if (batch->nelts == 0) {
            break;
        }
        for (k = 0; k < batch->nelts; k++) {
            ck_assert_ptr_null(strstr(APR_ARRAY_IDX(batch, k, udm_job_info_t *)->title, " late"));
        }
        seen += batch->nelts;
        if (i == 0) {
            dbtest_exec("COMMIT");
        }
    }
    ck_assert_int_eq(seen, count);
    /* and is part of the next one */
    listtest_read(pool, &count, UDM_LIST_JOBS, queries[_i]);
    ck_assert_int_eq(count, seen + 4);
}
END_TEST

/* The dump of another cluster has transactions that are still to come here; they are all over. */
START_TEST(restored_rows_are_there)
{
    apr_int64_t count;

    dbtest_exec(listtest_rows);
    dbtest_exec("SET session_replication_role = replica;"
                "UPDATE udm.job SET made_in = '4294967296999' WHERE id % 2 = 0;"
                "UPDATE udm.run SET made_in = NULL WHERE id % 2 = 0;"
                "UPDATE udm.file SET made_in = '18446744073709551615' WHERE id % 3 = 0");
    ck_assert_int_eq(listtest_count(listtest_read(pool, &count, UDM_LIST_JOBS, "")), count);
    ck_assert_int_eq(listtest_count(listtest_read(pool, &count, UDM_LIST_RUNS, "")), count);
    ck_assert_int_eq(listtest_count(listtest_read(pool, &count, UDM_LIST_FILES, "")), count);
}
END_TEST

/* A batch that failed can be asked for again. */
START_TEST(goes_on_after_an_error)
{
    udm_pg_t *db = udm_pg_wrap(pool, dbtest_httpd()->conn);
    apr_array_header_t *batch;
    apr_int64_t count, first;
    udm_list_t *list;

    dbtest_exec(listtest_rows);
    dbtest_ok(udm_list_open(&list, &count, pool, db, UDM_LIST_JOBS,
                            listtest_parse(pool, UDM_LIST_JOBS, "orderField=id"),
                            listtest_reader()));
    dbtest_ok(udm_list_next(&batch, pool, db, list));
    first = listtest_id(UDM_LIST_JOBS, batch, 999);
    dbtest_kill_connections();
    dbtest_fails(udm_list_next(&batch, pool, db, list), UDM_E_DATABASE, "does not answer");
    ck_assert_int_eq(batch->nelts, 0);
    PQreset(db->conn);
    dbtest_ok(udm_list_next(&batch, pool, db, list));
    ck_assert_int_eq(batch->nelts, 1000);
    ck_assert_int_gt(listtest_id(UDM_LIST_JOBS, batch, 0), first);
}
END_TEST

/* Batches that must sort grow, up to a limit; those that an index orders do not. */
START_TEST(batches_grow)
{
    static const int by_title[] = {1000, 2000, 4000, 8000, 8000, 500, 0};
    static const int by_id[] = {1000, 1000, 1000, 1000, 1000, 1000, 1000};
    static const char *const queries[] = {"orderField=title", "orderField=id&descAsc=true", ""};
    apr_array_header_t *batch;
    apr_int64_t count;
    udm_list_t *list;
    apr_pool_t *p;
    int i, k;

    dbtest_exec("INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type,"
                " schedule, status) SELECT 'acme', 'UCS', 'UCS', 'Contact', 't' || n % 7, true,"
                " 'once', '{}', 'QUEUED' FROM generate_series(1, 23500) n");
    ck_assert_int_eq(apr_pool_create(&p, pool), APR_SUCCESS);
    for (k = 0; k < 3; k++) {
        dbtest_ok(udm_list_open(&list, &count, pool, dbtest_httpd(), UDM_LIST_JOBS,
                                listtest_parse(pool, UDM_LIST_JOBS, queries[k]),
                                listtest_reader()));
        ck_assert_int_eq(count, 23500);
        for (i = 0; i < 7; i++) {
            apr_pool_clear(p);
            dbtest_ok(udm_list_next(&batch, p, dbtest_httpd(), list));
            ck_assert_int_eq(batch->nelts, k == 0 ? by_title[i] : by_id[i]);
        }
    }
}
END_TEST

TCase *list_pages_case(void)
{
    TCase *tc = dbtest_case("list_pages");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, pages_make_the_whole);
    tcase_add_test(tc, later_rows_stay_out);
    tcase_add_loop_test(tc, late_commits_stay_out, 0, 5);
    tcase_add_test(tc, restored_rows_are_there);
    tcase_add_test(tc, goes_on_after_an_error);
    tcase_add_test(tc, batches_grow);
    return tc;
}
