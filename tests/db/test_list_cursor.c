/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_list_cursor.c: lists that are read page by page, each from where the one before it ended.
 */
#include "dbtest.h"
#include "listtest.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

/* The ids of a page, with commas; `next` gets what leads to the one behind it, in `pool`, or NULL. */
static const char *read_page(apr_pool_t *p, const char **next, apr_int64_t *count,
                             udm_list_kind kind, const char *query)
{
    apr_array_header_t *ids = apr_array_make(p, 4096, sizeof(const char *));
    apr_array_header_t *batch;
    udm_list_t *list;
    int i;

    dbtest_ok(udm_list_open(&list, count, p, dbtest_httpd(), kind, listtest_parse(p, kind, query),
                            listtest_reader()));
    do {
        dbtest_ok(udm_list_next(&batch, p, dbtest_httpd(), list));
        for (i = 0; i < batch->nelts; i++) {
            APR_ARRAY_PUSH(ids, const char *) = udm_pg_int(p, listtest_id(kind, batch, i));
        }
    } while (batch->nelts > 0);
    *next = apr_pstrdup(pool, udm_list_cursor(p, list));
    return apr_array_pstrcat(p, ids, ',');
}

/* All pages behind one another, each row once, whatever is made and removed on the way. */
static void check_cursor(udm_list_kind kind, const char *query, int size, bool busy)
{
    apr_int64_t first, count, total = 0;
    const char *pages = "", *next = NULL, *whole = listtest_read(pool, &first, kind, query);
    apr_pool_t *p;

    ck_assert_int_eq(apr_pool_create(&p, pool), APR_SUCCESS);
    do {
        const char *asked = apr_psprintf(p, "%s&size=%d&%s%s", query, size,
                                         next ? "after=" : "cursor=true", next ? next : "");
        const char *page = read_page(p, &next, &count, kind, asked);

        ck_assert_int_eq(count, first);
        total += listtest_count(page);
        ck_assert_msg(next ? listtest_count(page) == size : total == count, "%s: %d", query, size);
        pages = apr_pstrcat(pool, pages, *pages && *page ? "," : "", page, NULL);
        apr_pool_clear(p);
        if (busy) {
            dbtest_exec(NEW_JOB("a", "2000-01-01Z") ";" NEW_JOB("m", "2026-03-01Z") ";" NEW_JOB(
                "z", "2100-01-"
                     "01Z"));
        }
    } while (next);
    listtest_same(pages, whole, query);
    apr_pool_destroy(p);
}

START_TEST(cursors_make_the_whole)
{
    udm_list_kind kind = (udm_list_kind)_i;
    const udm_order_spec_t *order;
    int descending;

    dbtest_exec(listtest_rows);
    for (order = listtest_spec(kind)->orders; order->field; order++) {
        for (descending = 0; descending < 2; descending++) {
            check_cursor(kind,
                         apr_psprintf(pool, "orderField=%s&descAsc=%s", order->field,
                                      descending ? "true" : "false"),
                         999, kind == UDM_LIST_JOBS);
        }
    }
    check_cursor(kind, "type=a", 1000, false);
    check_cursor(kind, "type=a", 1001, false);
    check_cursor(kind, "orderField=id", 5000, false);
    check_cursor(kind, "type=no+such", 10, false);
}
END_TEST

/* What is removed between two pages is gone, be it the very row that the cursor stands at. */
START_TEST(cursors_survive_deletes)
{
    const char *next, *page, *query = "orderField=title&size=700&cursor=true";
    apr_int64_t count, left, seen = 0, removed;

    dbtest_exec(listtest_rows);
    page = read_page(pool, &next, &count, UDM_LIST_JOBS, query);
    seen = listtest_count(page);
    /* all of the page, and some of what comes */
    removed =
        strtoll(dbtest_value(apr_pstrcat(
                    pool, "WITH gone AS (DELETE FROM udm.job WHERE id IN (", page,
                    ") OR id % 10 = 3 RETURNING *) SELECT count(*) FROM gone WHERE" VISIBLE, NULL)),
                NULL, 10);
    ck_assert_int_gt(removed, seen);
    listtest_read(pool, &left, UDM_LIST_JOBS, "");
    while (next) {
        page = read_page(pool, &next, &count, UDM_LIST_JOBS,
                         apr_pstrcat(pool, "orderField=title&size=700&after=", next, NULL));
        left -= listtest_count(page);
    }
    ck_assert_int_eq(left, 0);
}
END_TEST

/* A page of one list is no place in another, also where both are sorted by the same column. */
START_TEST(cursors_are_of_one_list)
{
    static const udm_list_kind kinds[] = {UDM_LIST_JOBS, UDM_LIST_RUNS, UDM_LIST_FILES};
    const udm_listing_spec_t *specs[] = {udm_job_listing(), udm_run_listing(), udm_file_listing()};
    const udm_order_spec_t *a, *b;
    int i, k, same = 0;

    for (i = 0; i < 3; i++) {
        for (k = 0; k < 3; k++) {
            for (a = specs[i]->orders; a->field; a++) {
                for (b = specs[k]->orders; b->field; b++) {
                    const char *prints[] = {
                        listtest_parse(pool, kinds[i],
                                       apr_pstrcat(pool, "orderField=", a->field, NULL))
                            ->print,
                        listtest_parse(pool, kinds[k],
                                       apr_pstrcat(pool, "orderField=", b->field, NULL))
                            ->print};

                    ck_assert_msg((a == b) == (strcmp(prints[0], prints[1]) == 0), "%s, %s",
                                  a->field, b->field);
                    same += i != k && strcmp(a->expression, b->expression) == 0;
                }
            }
        }
    }
    ck_assert_int_gt(same, 0);
}
END_TEST

/* A key that PostgreSQL could not read is told the client, and not a fault of the server. */
START_TEST(cursors_of_nowhere)
{
    static const struct {
        const char *order, *key;
        bool good;
    } keys[] = {{"id", "1", true},
                {"id", "x", false},
                {"id", "", false},
                {"id", "9223372036854775808", false},
                {"createdDate", "-5", true},
                {"createdDate", "2026-01-01", false},
                {"createdDate", "9223372036854775807", false},
                {"createdDate", "-9223372036854775808", false},
                {"createdDate", "-62135596800000000", true},
                {"createdDate", "253402300799999999", true},
                {"progress", "100", true},
                {"progress", "2147483648", false},
                {"exportAttachments", "t", true},
                {"exportAttachments", "maybe", false},
                {"title", "", true},
                {"title", "\xc3\xa4' --", true},
                {"dateTo", "-9223372036854775808", true},
                {"dateTo", "1.5", false}};
    apr_int64_t count;
    udm_list_t *list;
    size_t i;

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *query = apr_pstrcat(pool, "orderField=", keys[i].order, NULL);
        udm_cursor_t cursor = {listtest_parse(pool, UDM_LIST_JOBS, query)->print, 7,
                               "10:10:", keys[i].key, 1};
        udm_listing_t *listing = listtest_parse(
            pool, UDM_LIST_JOBS,
            apr_pstrcat(pool, query, "&after=", udm_cursor_text(pool, &cursor), NULL));
        apr_array_header_t *batch;
        udm_error_t *error = udm_list_open(&list, &count, pool, dbtest_httpd(), UDM_LIST_JOBS,
                                           listing, listtest_reader());

        if (!keys[i].good) {
            dbtest_fails(error, UDM_E_INVALID, "after");
            continue;
        }
        dbtest_ok(error);
        ck_assert_int_eq(count, 7);
        dbtest_ok(udm_list_next(&batch, pool, dbtest_httpd(), list));
    }
}
END_TEST

TCase *list_cursor_case(void)
{
    TCase *tc = dbtest_case("list_cursor");

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, cursors_make_the_whole, UDM_LIST_JOBS, UDM_LIST_FILES + 1);
    tcase_add_test(tc, cursors_survive_deletes);
    tcase_add_test(tc, cursors_are_of_one_list);
    tcase_add_test(tc, cursors_of_nowhere);
    return tc;
}
