/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_source_hold.c: a source's connection that is kept for the next run: when it is, when it is not,
 * and that nothing of one run is left to the next.
 */
#include "dbtest.h"
#include "sourcetest.h"

#include <apr_strings.h>

/* The reader's sessions, by their process; "" for none. */
static const char *sessions(void)
{
    return dbtest_value("SELECT coalesce(string_agg(pid::text, ',' ORDER BY pid), '')"
                        " FROM pg_stat_activity WHERE usename = 'udm_test_reader'"
                        " AND datname = current_database()");
}

/* Waits until there is no session any more: the server notices only after the client has closed. */
static void wait_closed(void)
{
    while (*sessions()) {
        apr_sleep(10000);
    }
}

/* Opens with the connection that is kept, in a pool of its own, which closes it. */
static udm_source_t *open_held(apr_pool_t **own, udm_source_hold_t *hold, const char *ccid,
                               udm_data_type_t *type)
{
    udm_source_t *source;

    ck_assert_int_eq(apr_pool_create(own, pool), APR_SUCCESS);
    dbtest_ok(udm_source_open_held(&source, *own, sourcetest_path(), type, sourcetest_run(ccid),
                                   NULL, hold, 0));
    return source;
}

/* A whole run: how many rows it gave. */
static int run_held(udm_source_hold_t *hold, const char *ccid, udm_data_type_t *type)
{
    const unsigned char *tuple;
    udm_source_t *source;
    apr_pool_t *own;
    apr_size_t size;
    int count = 0;

    source = open_held(&own, hold, ccid, type);
    dbtest_ok(udm_source_rows(source));
    for (;;) {
        dbtest_ok(udm_source_next(&tuple, &size, source));
        if (!tuple) {
            break;
        }
        count++;
    }
    apr_pool_destroy(own);
    return count;
}

START_TEST(one_session_for_many_runs)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Interaction");
    udm_source_hold_t *hold = udm_source_hold_make(pool);
    const char *first;

    sourcetest_folder();
    ck_assert(!udm_source_hold_expire(hold));
    ck_assert_int_eq(run_held(hold, "acme", type), 6);
    first = sessions();
    ck_assert_str_ne(first, "");
    ck_assert(udm_source_hold_expire(hold));
    /* The rows of the other contact centre, though the session is the same. */
    ck_assert_int_eq(run_held(hold, "other", type), 3);
    ck_assert_int_eq(run_held(hold, "acme", type), 6);
    ck_assert_str_eq(sessions(), first);
}
END_TEST

/* What libpq took for a large row it never gives back, so such a session is not kept. */
START_TEST(not_after_a_large_row)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    udm_source_hold_t *hold = udm_source_hold_make(pool);

    sourcetest_folder();
    dbtest_exec("UPDATE demo.contact SET name = repeat('x', 1000000) WHERE id = 2");
    ck_assert_int_eq(run_held(hold, "acme", type), 3);
    ck_assert(udm_source_hold_expire(hold));
    dbtest_exec("UPDATE demo.contact SET name = repeat('x', 1100000) WHERE id = 2");
    ck_assert_int_eq(run_held(hold, "acme", type), 3);
    ck_assert(!udm_source_hold_expire(hold));
    wait_closed();
    ck_assert_int_eq(run_held(hold, "other", type), 2);
    ck_assert(udm_source_hold_expire(hold));
}
END_TEST

/* A snapshot that is held keeps the source from cleaning up. */
START_TEST(no_snapshot_between_runs)
{
    udm_source_hold_t *hold = udm_source_hold_make(pool);

    sourcetest_folder();
    run_held(hold, "acme", sourcetest_type("UCS", "Interaction"));
    while (*dbtest_value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'udm_test_reader'"
                         " AND (state <> 'idle' OR backend_xmin IS NOT NULL)") != '0') {
        apr_sleep(10000);
    }
}
END_TEST

/* What a view of the source leaves in the session is gone in the next run. */
START_TEST(nothing_is_left_to_the_next)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    udm_source_hold_t *hold = udm_source_hold_make(pool);
    const char *left = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    apr_pool_t *own;

    sourcetest_folder();
    dbtest_exec("CREATE VIEW demo.leaves AS SELECT 1 AS id, 'acme'::text AS ccid,"
                " pg_advisory_lock(4711)::text AS x,"
                " set_config('statement_timeout', '20ms', false) AS y,"
                " set_config('search_path', 'demo', false) AS z;"
                "CREATE VIEW demo.finds AS SELECT 1 AS id, 'acme'::text AS ccid,"
                " 1 / (current_setting('search_path') = 'pg_catalog, pg_temp'"
                "      AND current_setting('statement_timeout') = '0')::integer AS x;"
                "GRANT SELECT ON demo.leaves, demo.finds TO udm_test_reader");
    type->time_column = NULL;
    type->relation_name = "leaves";
    ck_assert_int_eq(run_held(hold, "acme", type), 1);
    ck_assert_str_eq(dbtest_value(left), "1");
    type->relation_name = "finds";
    open_held(&own, hold, "acme", type);
    ck_assert_str_eq(dbtest_value(left), "0");
    apr_pool_destroy(own);
    ck_assert_int_eq(run_held(hold, "acme", type), 1);
}
END_TEST

/* The server ended the session meanwhile: the next run does not notice. */
START_TEST(a_lost_session_is_made_anew)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Interaction");
    udm_source_hold_t *hold = udm_source_hold_make(pool);

    sourcetest_folder();
    run_held(hold, "acme", type);
    dbtest_exec("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE usename = 'udm_test_reader'");
    ck_assert_int_eq(run_held(hold, "acme", type), 6);
    ck_assert_str_ne(sessions(), "");
}
END_TEST

/* A relation that got another column meanwhile is read as it is now. */
START_TEST(relation_is_looked_up_again)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Interaction");
    udm_source_hold_t *hold = udm_source_hold_make(pool);
    udm_source_t *source;
    apr_pool_t *own;
    int columns;

    type->columns = NULL;
    sourcetest_folder();
    source = open_held(&own, hold, "acme", type);
    columns = udm_source_columns(source)->nelts;
    apr_pool_destroy(own);
    dbtest_exec("ALTER TABLE demo.interaction ADD COLUMN one_more text");
    source = open_held(&own, hold, "acme", type);
    ck_assert_int_eq(udm_source_columns(source)->nelts, columns + 1);
    apr_pool_destroy(own);
}
END_TEST

START_TEST(another_connection_file)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Interaction");
    udm_source_hold_t *hold = udm_source_hold_make(pool);
    const char *first;

    sourcetest_folder();
    run_held(hold, "acme", type);
    first = sessions();
    sourcetest_file(
        "demo",
        apr_pstrcat(pool, dbtest_conninfo("udm_test_reader"), " application_name=other", NULL),
        0600);
    run_held(hold, "acme", type);
    while (strchr(sessions(), ',')) {
        apr_sleep(10000);
    }
    ck_assert_str_ne(sessions(), first);
}
END_TEST

/* A reader that got too many rights is refused, whichever session it has. */
START_TEST(reader_is_checked_again)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Interaction");
    udm_source_hold_t *hold = udm_source_hold_make(pool);
    udm_source_t *source;
    apr_pool_t *own;

    sourcetest_folder();
    run_held(hold, "acme", type);
    dbtest_exec("GRANT USAGE ON SCHEMA udm TO udm_test_reader");
    ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
    dbtest_fails(udm_source_open_held(&source, own, sourcetest_path(), type, sourcetest_run("acme"),
                                      NULL, hold, 0),
                 UDM_E_SOURCE, "can use schema udm");
    apr_pool_destroy(own);
    dbtest_exec("REVOKE USAGE ON SCHEMA udm FROM udm_test_reader");
}
END_TEST

/* What was broken off may still be at work on the server. */
START_TEST(unfinished_is_not_kept)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Interaction");
    udm_source_hold_t *hold = udm_source_hold_make(pool);
    udm_source_t *source;
    apr_pool_t *own;

    sourcetest_folder();
    source = open_held(&own, hold, "acme", type);
    dbtest_ok(udm_source_rows(source));
    apr_pool_destroy(own);
    ck_assert(!udm_source_hold_expire(hold));
    wait_closed();
}
END_TEST

START_TEST(closes_when_nobody_comes)
{
    udm_source_hold_t *hold = udm_source_hold_make(pool);

    sourcetest_folder();
    run_held(hold, "acme", sourcetest_type("UCS", "Interaction"));
    while (udm_source_hold_expire(hold)) {
        apr_sleep(10000);
    }
    wait_closed();
}
END_TEST

TCase *source_hold_case(void)
{
    TCase *tc = dbtest_case("source_hold");

    tcase_add_test(tc, one_session_for_many_runs);
    tcase_add_test(tc, not_after_a_large_row);
    tcase_add_test(tc, no_snapshot_between_runs);
    tcase_add_test(tc, nothing_is_left_to_the_next);
    tcase_add_test(tc, a_lost_session_is_made_anew);
    tcase_add_test(tc, relation_is_looked_up_again);
    tcase_add_test(tc, another_connection_file);
    tcase_add_test(tc, reader_is_checked_again);
    tcase_add_test(tc, unfinished_is_not_kept);
    tcase_add_test(tc, closes_when_nobody_comes);
    return tc;
}
