/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_source_steady.c: somebody changes a relation while an export of it begins: its rows are those of
 * before or of after, or it is tried again, and never something else.
 */
#include "dbtest.h"

#include <pthread.h>
#include <string.h>

#include <apr_strings.h>

#include "sourcetest.h"
#include "source/private.h"

/* A transaction of somebody else, which ends once a reader waits for it. */
typedef struct other_t {
    apr_pool_t *pool;
    udm_pg_t *db;
    udm_pg_t *watch;
    pthread_t thread;
} other_t;

static void *commit_later(void *data)
{
    other_t *other = data;
    udm_result_t *result;

    do {
        if (udm_pg_query_text(&result, other->pool, other->watch,
                              "SELECT count(*) FROM pg_stat_activity WHERE usename ="
                              " 'udm_test_reader' AND datname = current_database()"
                              " AND wait_event_type = 'Lock'",
                              0, NULL)) {
            return NULL;
        }
    } while (udm_result_int(result, 0, 0) == 0);
    udm_pg_exec(other->pool, other->db, "COMMIT");
    return NULL;
}

static void begin(other_t *other, const char *sql)
{
    ck_assert_int_eq(apr_pool_create(&other->pool, NULL), APR_SUCCESS);
    dbtest_ok(udm_pg_connect(&other->db, other->pool, dbtest_conninfo(NULL), "udm-test",
                             UDM_E_DATABASE, NULL));
    dbtest_ok(udm_pg_connect(&other->watch, other->pool, dbtest_conninfo(NULL), "udm-test",
                             UDM_E_DATABASE, NULL));
    dbtest_ok(udm_pg_exec(other->pool, other->db, apr_pstrcat(pool, "BEGIN;", sql, NULL)));
    ck_assert_int_eq(pthread_create(&other->thread, NULL, commit_later, other), 0);
}

static void end(other_t *other)
{
    pthread_join(other->thread, NULL);
    apr_pool_destroy(other->pool);
}

/* What a run gives that begins while the transaction is open. */
static const char *rows_during(const char *relation, const char *sql, int fields)
{
    udm_source_t *source;
    const char *rows;
    apr_pool_t *own;
    other_t other;

    ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
    begin(&other, sql);
    dbtest_ok(udm_source_open(&source, own, sourcetest_path(), sourcetest_plain(relation),
                              sourcetest_run("acme"), NULL));
    rows = sourcetest_rows(source, fields);
    apr_pool_destroy(own);
    end(&other);
    return rows;
}

/* Reads all, to the error at the end. */
static udm_error_t *read_error(udm_source_t *source)
{
    const unsigned char *tuple;
    udm_error_t *error = udm_source_rows(source);
    apr_size_t size;

    do {
        error = error ? error : udm_source_next(&tuple, &size, source);
    } while (!error && tuple);
    return error;
}

/* What was replaced before the reader came to it, but after its snapshot. */
static void changed_meanwhile(const char *relation, const char *sql, const char *words)
{
    udm_source_t *source;
    udm_error_t *error;
    apr_pool_t *own;

    ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
    dbtest_ok(udm_source_open(&source, own, sourcetest_path(), sourcetest_plain(relation),
                              sourcetest_run("acme"), NULL));
    dbtest_exec(sql);
    error = read_error(source);
    if (words) {
        dbtest_fails(error, UDM_E_SOURCE, words);
        ck_assert(!udm_source_permanent(error));
    }
    else {
        dbtest_ok(error);
    }
    apr_pool_destroy(own);
}

#define TABLE                                                                                      \
    "CREATE TABLE demo.t AS SELECT n AS id, 'acme'::text AS ccid FROM generate_series(1, 3) n;"    \
    "GRANT SELECT ON demo.t TO udm_test_reader;"

START_TEST(filled_anew)
{
    static const char *const changes[][2] = {
        {"TRUNCATE demo.t; INSERT INTO demo.t VALUES (7, 'acme')", "- 7"},
        {"ALTER TABLE demo.t ALTER id TYPE text USING id + 10", "- 11,- 12,- 13"},
        {"ALTER TABLE demo.t ALTER id TYPE bigint", "- 1,- 2,- 3"},
        {"DROP TABLE demo.t; CREATE TABLE demo.t AS SELECT 8 AS id, 'acme' AS ccid;"
         "GRANT SELECT ON demo.t TO udm_test_reader",
         "- 8"},
        {"CREATE TABLE demo.u AS SELECT 9 AS id, 'acme' AS ccid; ALTER TABLE demo.t RENAME TO old;"
         "ALTER TABLE demo.u RENAME TO t; GRANT SELECT ON demo.t TO udm_test_reader",
         "- 9"},
        {"LOCK TABLE demo.t; DELETE FROM demo.t WHERE id > 1", "- 1"},
    };
    apr_size_t i;

    sourcetest_folder();
    for (i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        dbtest_exec("DROP TABLE IF EXISTS demo.t, demo.old;" TABLE);
        ck_assert_str_eq(rows_during("t", changes[i][0], 2), changes[i][1]);
    }
}
END_TEST

/* What a view is made of, however deep, is locked with it; and what it is made of is another thing. */
START_TEST(filled_anew_below_a_view)
{
    sourcetest_folder();
    dbtest_exec(TABLE "CREATE VIEW demo.v1 AS SELECT * FROM demo.t;"
                      "CREATE VIEW demo.v2 AS SELECT * FROM demo.v1;"
                      "GRANT SELECT ON demo.v2 TO udm_test_reader");
    ck_assert_str_eq(rows_during("v2", "TRUNCATE demo.t; INSERT INTO demo.t VALUES (7, 'acme')", 2),
                     "- 7");
    ck_assert_str_eq(rows_during("v2",
                                 "CREATE OR REPLACE VIEW demo.v1 AS SELECT id + 1 AS id, ccid"
                                 " FROM demo.t; TRUNCATE demo.t; INSERT INTO demo.t VALUES"
                                 " (1, 'acme')",
                                 2),
                     "- 2");
}
END_TEST

START_TEST(filled_anew_partition)
{
    sourcetest_folder();
    dbtest_exec("CREATE TABLE demo.p (id integer, ccid text) PARTITION BY RANGE (id);"
                "CREATE TABLE demo.p1 PARTITION OF demo.p FOR VALUES FROM (0) TO (5);"
                "CREATE TABLE demo.p2 PARTITION OF demo.p FOR VALUES FROM (5) TO (9);"
                "INSERT INTO demo.p SELECT n, 'acme' FROM generate_series(1, 8) n;"
                "GRANT SELECT ON demo.p TO udm_test_reader");
    ck_assert_str_eq(rows_during("p", "TRUNCATE demo.p1; INSERT INTO demo.p VALUES (2, 'acme')", 2),
                     "- 2,- 5,- 6,- 7,- 8");
}
END_TEST

/* Of another type, with the same bytes: the value is the one that the type says. */
START_TEST(view_of_another_type)
{
    udm_source_t *source;
    const char *rows;
    other_t other;

    sourcetest_folder();
    dbtest_exec(TABLE "CREATE VIEW demo.v AS SELECT id, ccid, 100::bigint AS x FROM demo.t;"
                      "GRANT SELECT ON demo.v TO udm_test_reader");
    begin(&other, "DROP VIEW demo.v; CREATE VIEW demo.v AS SELECT id, ccid,"
                  " 100::double precision AS x FROM demo.t;"
                  "GRANT SELECT ON demo.v TO udm_test_reader");
    source = sourcetest_opened(sourcetest_plain("v"), sourcetest_run("acme"));
    ck_assert_int_eq(APR_ARRAY_IDX(udm_source_columns(source), 2, udm_column_t).type, 701);
    rows = sourcetest_rows(source, 2);
    ck_assert_str_eq(rows, "- 1,- 2,- 3");
    end(&other);
}
END_TEST

/* Locks on thousands of partitions that need not be read would leave none to others. */
START_TEST(many_partitions)
{
    const char *held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessShareLock' AND"
                       " relation::regclass::text LIKE 'demo.part%'";
    udm_data_type_t *type = sourcetest_plain("parts");
    udm_run_t *run = sourcetest_run("acme");
    udm_source_t *source;

    sourcetest_folder();
    dbtest_exec(
        "CREATE TABLE demo.parts (id integer, ccid text, created timestamptz)"
        " PARTITION BY RANGE (created);"
        "DO $$ BEGIN FOR n IN 0..299 LOOP EXECUTE format('CREATE TABLE demo.part%s PARTITION"
        " OF demo.parts FOR VALUES FROM (%L) TO (%L)', n,"
        " timestamptz '2026-01-01Z' + n * interval '1 day',"
        " timestamptz '2026-01-02Z' + n * interval '1 day'); END LOOP; END $$;"
        "INSERT INTO demo.parts SELECT n, 'acme', timestamptz '2026-01-01Z' + n * interval"
        " '1 day' FROM generate_series(0, 299) n; GRANT SELECT ON demo.parts TO"
        " udm_test_reader");
    type->time_column = "created";
    run->window_all = false;
    run->window_from = apr_time_from_sec(INT64_C(1767225600));
    run->window_to = run->window_from + apr_time_from_sec(2 * 86400);
    source = sourcetest_opened(type, run);
    ck_assert_str_eq(sourcetest_rows(source, 2), "- 0,- 1");
    ck_assert_str_eq(dbtest_value(held), "3");
}
END_TEST

START_TEST(attachments_filled_anew)
{
    udm_run_t *run = sourcetest_run("acme");
    udm_source_t *source;
    other_t other;

    sourcetest_folder();
    run->export_attachments = true;
    begin(&other,
          "TRUNCATE demo.document; INSERT INTO demo.document VALUES ('docX', 'acme', 'ixn1',"
          " 'n', 'm', 'x')");
    source = sourcetest_opened(sourcetest_type("UCS", "Interaction"), run);
    sourcetest_rows(source, 2);
    dbtest_ok(udm_source_attachments(source));
    ck_assert_str_eq(sourcetest_rest(source, 3), "2 ixn1 docX");
    end(&other);
}
END_TEST

/* A reader with rights on columns alone cannot lock the table. */
START_TEST(reader_that_cannot_lock)
{
    static const char *const changes[] = {
        "TRUNCATE demo.t; INSERT INTO demo.t VALUES (7, 'acme')",
        "ALTER TABLE demo.t ALTER id TYPE bigint",
        "ALTER TABLE demo.t DROP id; ALTER TABLE demo.t ADD id double precision DEFAULT 1;"
        "GRANT SELECT (id, ccid) ON demo.t TO udm_test_reader",
        "CREATE TABLE demo.u AS SELECT 9 AS id, 'acme'::text AS ccid; DROP TABLE demo.t;"
        "ALTER TABLE demo.u RENAME TO t; GRANT SELECT (id, ccid) ON demo.t TO udm_test_reader",
    };
    apr_size_t i;

    sourcetest_folder();
    for (i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        udm_source_t *source = NULL;
        udm_error_t *error;
        apr_pool_t *own;
        other_t other;

        dbtest_exec("DROP TABLE IF EXISTS demo.t;" TABLE
                    "REVOKE SELECT ON demo.t FROM udm_test_reader;"
                    "GRANT SELECT (id, ccid) ON demo.t TO udm_test_reader");
        changed_meanwhile("t", "SELECT 1", NULL);
        ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
        begin(&other, changes[i]);
        error = udm_source_open(&source, own, sourcetest_path(), sourcetest_plain("t"),
                                sourcetest_run("acme"), NULL);
        error = error ? error : read_error(source);
        dbtest_fails(error, UDM_E_SOURCE, "was replaced or filled anew");
        ck_assert(!udm_source_permanent(error));
        apr_pool_destroy(own);
        end(&other);
    }
}
END_TEST

/* What changes after the snapshot in a table that a function reads. */
static void changed_before(const char *made, const char *sql)
{
    dbtest_exec("DROP TABLE IF EXISTS demo.p, demo.a, demo.b, demo.c, demo.rest CASCADE");
    dbtest_exec(made);
    dbtest_exec("CREATE FUNCTION demo.f() RETURNS SETOF demo.p LANGUAGE plpgsql STABLE SECURITY"
                " DEFINER AS 'BEGIN RETURN QUERY SELECT * FROM demo.p; END';"
                "CREATE VIEW demo.v AS SELECT * FROM demo.f(); GRANT SELECT ON demo.v TO"
                " udm_test_reader");
    changed_meanwhile("v", "SELECT 1", NULL);
    changed_meanwhile("v", apr_pstrcat(pool, "BEGIN; ", sql, "; COMMIT", NULL),
                      "was replaced or filled anew");
}

#define PARTITIONED                                                                                \
    "CREATE TABLE demo.p (id integer, ccid text) PARTITION BY RANGE (id);"                         \
    "CREATE TABLE demo.a PARTITION OF demo.p FOR VALUES FROM (0) TO (5);"                          \
    "CREATE TABLE demo.rest PARTITION OF demo.p FOR VALUES FROM (5) TO (9);"                       \
    "CREATE TABLE demo.b (ccid text, id integer);"                                                 \
    "INSERT INTO demo.p VALUES (1, 'acme')"

#define INHERITED                                                                                  \
    "CREATE TABLE demo.p (id integer, ccid text);"                                                 \
    "CREATE TABLE demo.a () INHERITS (demo.p); CREATE TABLE demo.c (x text) INHERITS (demo.p);"    \
    "CREATE TABLE demo.b (x text, ccid text, id integer);"                                         \
    "INSERT INTO demo.a VALUES (1, 'acme')"

/* Rows that move to where they cannot be seen yet, from where they are looked for no more. */
START_TEST(parts_that_come_and_go)
{
    sourcetest_folder();
    changed_before(PARTITIONED,
                   "INSERT INTO demo.b (id, ccid) SELECT id, ccid FROM demo.a;"
                   "ALTER TABLE demo.p DETACH PARTITION demo.a;"
                   "ALTER TABLE demo.p ATTACH PARTITION demo.b FOR VALUES FROM (0) TO (5)");
    changed_before(PARTITIONED, "ALTER TABLE demo.p DETACH PARTITION demo.a;"
                                "INSERT INTO demo.p SELECT id + 5, ccid FROM demo.a");
    changed_before(PARTITIONED,
                   "INSERT INTO demo.p SELECT id + 5, ccid FROM demo.a; DROP TABLE demo.a");
    changed_before(INHERITED,
                   "INSERT INTO demo.b (id, ccid) SELECT id, ccid FROM demo.a;"
                   "ALTER TABLE demo.a NO INHERIT demo.p; ALTER TABLE demo.b INHERIT demo.p");
    changed_before(INHERITED, "INSERT INTO demo.c (id, ccid) SELECT id, ccid FROM demo.a;"
                              "ALTER TABLE demo.a NO INHERIT demo.p");
    changed_before(INHERITED,
                   "INSERT INTO demo.c (id, ccid) SELECT id, ccid FROM demo.a; DROP TABLE demo.a");
}
END_TEST

/* A table becomes a child whoever reads its parent: rows that were copied to it before come twice. */
START_TEST(child_that_comes)
{
    sourcetest_folder();
    dbtest_exec("CREATE TABLE demo.p (id integer, ccid text);"
                "INSERT INTO demo.p SELECT n, 'acme' FROM generate_series(1, 3) n;"
                "CREATE TABLE demo.b (x text, ccid text, id integer);"
                "INSERT INTO demo.b (id, ccid) SELECT id, ccid FROM demo.p WHERE id < 3;"
                "GRANT SELECT ON demo.p TO udm_test_reader");
    changed_meanwhile("p",
                      "BEGIN; DELETE FROM ONLY demo.p WHERE id < 3;"
                      "ALTER TABLE demo.b INHERIT demo.p; COMMIT",
                      "was replaced or filled anew");
    ck_assert_str_eq(
        sourcetest_rows(sourcetest_opened(sourcetest_plain("p"), sourcetest_run("acme")), 2),
        "- 1,- 2,- 3");
}
END_TEST

/* A function is what it is now, and its rows are those of the snapshot. */
START_TEST(function_replaced)
{
    static const char old_f[] =
        "CREATE OR REPLACE FUNCTION demo.f() RETURNS SETOF demo.t LANGUAGE plpgsql STABLE SECURITY"
        " DEFINER AS 'BEGIN RETURN QUERY SELECT * FROM demo.inner_f(); END'";
    const char *again = "was replaced or filled anew";

    sourcetest_folder();
    dbtest_exec(TABLE
                "CREATE TABLE demo.u (LIKE demo.t);"
                "CREATE FUNCTION demo.inner_f() RETURNS SETOF demo.t LANGUAGE plpgsql STABLE AS"
                " 'BEGIN RETURN QUERY SELECT * FROM demo.t; END'");
    dbtest_exec(old_f);
    dbtest_exec("CREATE FUNCTION demo.eq(integer, text) RETURNS boolean LANGUAGE sql AS"
                " 'SELECT $1::text = $2';"
                "CREATE OPERATOR demo.=== (FUNCTION = demo.eq, LEFTARG = integer, RIGHTARG = text);"
                "CREATE VIEW demo.v AS SELECT * FROM demo.f();"
                "CREATE VIEW demo.o AS SELECT * FROM demo.t WHERE id OPERATOR(demo.===) '1';"
                "GRANT SELECT ON demo.v, demo.o TO udm_test_reader");
    changed_meanwhile("v", "SELECT 1", NULL);
    changed_meanwhile(
        "v",
        "BEGIN; INSERT INTO demo.u SELECT * FROM demo.t;"
        "CREATE OR REPLACE FUNCTION demo.f() RETURNS SETOF demo.t LANGUAGE plpgsql"
        " STABLE SECURITY DEFINER AS 'BEGIN RETURN QUERY SELECT * FROM demo.u; END'; COMMIT",
        again);
    dbtest_exec("TRUNCATE demo.u");
    dbtest_exec(old_f);
    changed_meanwhile(
        "v",
        "BEGIN; INSERT INTO demo.u SELECT * FROM demo.t;"
        "CREATE OR REPLACE FUNCTION demo.inner_f() RETURNS SETOF demo.t LANGUAGE plpgsql"
        " STABLE AS 'BEGIN RETURN QUERY SELECT * FROM demo.u; END'; COMMIT",
        again);
    changed_meanwhile("v",
                      "DROP FUNCTION demo.inner_f(); CREATE FUNCTION demo.inner_f() RETURNS SETOF"
                      " demo.t LANGUAGE plpgsql STABLE SECURITY DEFINER AS"
                      " 'BEGIN RETURN QUERY SELECT * FROM demo.u LIMIT 0; END'",
                      again);
    changed_meanwhile("o",
                      "CREATE OR REPLACE FUNCTION demo.eq(integer, text) RETURNS boolean LANGUAGE"
                      " sql AS 'SELECT false'",
                      again);
    /* Whoever calls none does not mind. */
    changed_meanwhile("t",
                      "CREATE OR REPLACE FUNCTION demo.eq(integer, text) RETURNS boolean LANGUAGE"
                      " sql AS 'SELECT true'",
                      NULL);
}
END_TEST

/* The words of an enum are those of now, too. */
START_TEST(enum_renamed)
{
    sourcetest_folder();
    dbtest_exec(
        "CREATE TYPE demo.mood AS ENUM ('good', 'bad');"
        "CREATE TABLE demo.t AS SELECT n AS id, 'acme'::text AS ccid, 'good'::demo.mood AS m"
        " FROM generate_series(1, 3) n;"
        "CREATE VIEW demo.v AS SELECT * FROM demo.t WHERE m::text = 'good';"
        "GRANT SELECT ON demo.t, demo.v TO udm_test_reader");
    changed_meanwhile("v", "ALTER TYPE demo.mood RENAME VALUE 'good' TO 'fine'",
                      "was replaced or filled anew");
    changed_meanwhile("t", "ALTER TYPE demo.mood ADD VALUE 'better'", NULL);
}
END_TEST

/* So are the names in a value that has some: rows read before would have others than those read after. */
START_TEST(composite_changed)
{
    const char *again = "was replaced or filled anew";

    sourcetest_folder();
    dbtest_exec("CREATE TYPE demo.inner AS (x integer); CREATE DOMAIN demo.dom AS demo.inner;"
                "CREATE TYPE demo.pair AS (a integer, b text, c demo.dom[]);"
                "CREATE TABLE demo.row (k integer, l text);"
                "CREATE TYPE demo.holder AS (r demo.row);"
                "CREATE DOMAIN demo.held AS demo.holder[];"
                "CREATE TABLE demo.t AS SELECT n AS id, 'acme'::text AS ccid,"
                " ROW(1, 'x', NULL)::demo.pair AS p, NULL::demo.held AS h"
                " FROM generate_series(1, 3) n; CREATE TABLE demo.aside (x integer);"
                "CREATE TYPE demo.within AS (x integer);"
                "CREATE VIEW demo.v AS SELECT id, ccid, to_json(ROW(id)::demo.within) FROM demo.t;"
                "GRANT SELECT ON demo.t, demo.v TO udm_test_reader");
    changed_meanwhile("t", "SELECT 1", NULL);
    changed_meanwhile("v", "ALTER TYPE demo.within RENAME ATTRIBUTE x TO y", again);
    changed_meanwhile("t", "ALTER TYPE demo.pair RENAME ATTRIBUTE a TO z", again);
    changed_meanwhile("t", "ALTER TYPE demo.pair ADD ATTRIBUTE e integer", again);
    changed_meanwhile("t", "ALTER TYPE demo.pair DROP ATTRIBUTE e", again);
    changed_meanwhile("t", "ALTER TYPE demo.inner RENAME ATTRIBUTE x TO y", again);
    changed_meanwhile("t", "ALTER TABLE demo.row RENAME k TO m", again);
    changed_meanwhile("t", "ALTER TABLE demo.row ADD n integer", again);
    changed_meanwhile("t",
                      "INSERT INTO demo.row VALUES (1); ALTER TABLE demo.aside ADD y integer;"
                      "CREATE TYPE demo.other AS (x integer);"
                      "ALTER DOMAIN demo.dom ADD CHECK (VALUE IS NOT NULL) NOT VALID",
                      NULL);
}
END_TEST

/* A function's tables are known only once it has read them. */
START_TEST(what_a_function_reads)
{
    const char *again = "was replaced or filled anew";

    sourcetest_folder();
    dbtest_exec(
        TABLE "CREATE TABLE demo.inner_t AS SELECT 5 AS id;"
              "CREATE VIEW demo.inner_v AS SELECT 5 AS id; CREATE TABLE demo.aside (x integer);"
              "CREATE FUNCTION demo.f() RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER AS"
              " 'BEGIN RETURN (SELECT sum(id) FROM demo.inner_t) + (SELECT sum(id) FROM"
              " demo.inner_v); END';"
              "CREATE VIEW demo.v AS SELECT t.id, t.ccid, demo.f() AS x FROM demo.t t;"
              "GRANT SELECT ON demo.v TO udm_test_reader");
    changed_meanwhile("v", "SELECT 1", NULL);
    changed_meanwhile("v", "TRUNCATE demo.inner_t; INSERT INTO demo.inner_t VALUES (1)", again);
    changed_meanwhile("v", "CREATE OR REPLACE VIEW demo.inner_v AS SELECT 6 AS id", again);
    changed_meanwhile(
        "v", "DROP VIEW demo.inner_v; CREATE TABLE demo.inner_v AS SELECT 5::bigint AS id", again);
    /* What is not read, and what changes nothing. */
    changed_meanwhile(
        "v",
        "TRUNCATE demo.aside; GRANT SELECT ON demo.inner_t, demo.v TO udm_test_reader;"
        "ANALYZE demo.inner_t; CREATE INDEX ON demo.inner_t (id);"
        "INSERT INTO demo.inner_t VALUES (2); DELETE FROM demo.inner_t;"
        "ALTER TABLE demo.inner_t SET (autovacuum_enabled = false)",
        NULL);
    changed_meanwhile("v", "VACUUM FULL demo.aside", NULL);
    changed_meanwhile("v", "VACUUM demo.inner_t", NULL);
}
END_TEST

/* A worker's locks are gone when it ends. */
START_TEST(what_a_function_reads_in_parallel)
{
    sourcetest_folder();
    dbtest_exec(TABLE
                "CREATE TABLE demo.inner_t AS SELECT 5 AS id;"
                "CREATE FUNCTION demo.f() RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER"
                " PARALLEL SAFE AS 'BEGIN RETURN (SELECT sum(id) FROM demo.inner_t); END';"
                "CREATE VIEW demo.v AS SELECT t.id, t.ccid, demo.f() AS x FROM demo.t t;"
                "GRANT SELECT ON demo.v TO udm_test_reader;"
                "DO $$ DECLARE s text; BEGIN FOREACH s IN ARRAY ARRAY['parallel_setup_cost',"
                " 'parallel_tuple_cost', 'min_parallel_table_scan_size',"
                " 'parallel_leader_participation'] LOOP EXECUTE format('ALTER ROLE udm_test_reader"
                " IN DATABASE %I SET %I = 0', current_database(), s); END LOOP; END $$");
    changed_meanwhile("v", "SELECT 1", NULL);
    changed_meanwhile("v", "TRUNCATE demo.inner_t; INSERT INTO demo.inner_t VALUES (1)",
                      "was replaced or filled anew");
}
END_TEST

START_TEST(materialized_view_refreshed)
{
    udm_source_t *source;
    udm_error_t *error;
    apr_pool_t *own;
    other_t other;

    sourcetest_folder();
    dbtest_exec(TABLE "CREATE MATERIALIZED VIEW demo.m AS SELECT * FROM demo.t;"
                      "CREATE VIEW demo.v AS SELECT * FROM demo.m;"
                      "GRANT SELECT ON demo.m, demo.v TO udm_test_reader");
    ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
    begin(&other, "REFRESH MATERIALIZED VIEW demo.m");
    dbtest_ok(udm_source_open(&source, own, sourcetest_path(), sourcetest_plain("v"),
                              sourcetest_run("acme"), NULL));
    error = read_error(source);
    dbtest_fails(error, UDM_E_SOURCE, "was replaced or filled anew");
    ck_assert(!udm_source_permanent(error));
    apr_pool_destroy(own);
    end(&other);
    /* Once it is open, a refresh waits. */
    source = sourcetest_opened(sourcetest_plain("m"), sourcetest_run("acme"));
    ck_assert_str_eq(
        dbtest_value("SELECT count(*) FROM pg_locks WHERE relation = 'demo.m'::regclass"
                     " AND mode = 'AccessShareLock'"),
        "1");
    ck_assert_str_eq(sourcetest_rows(source, 2), "- 1,- 2,- 3");
}
END_TEST

/* Whoever holds a lock for good makes the run try again, after the 10 s that a reader waits. */
START_TEST(locked_for_good)
{
    udm_error_t *error;

    sourcetest_folder();
    dbtest_exec(TABLE);
    dbtest_exec("BEGIN; LOCK TABLE demo.t");
    error = sourcetest_refused(sourcetest_plain("t"), sourcetest_run("acme"));
    dbtest_exec("ROLLBACK");
    dbtest_fails(error, UDM_E_SOURCE, "demo.t is locked");
    ck_assert(!udm_source_permanent(error));
}
END_TEST

TCase *source_steady_case(void)
{
    TCase *tc = dbtest_case("source_steady");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, filled_anew);
    tcase_add_test(tc, filled_anew_below_a_view);
    tcase_add_test(tc, filled_anew_partition);
    tcase_add_test(tc, view_of_another_type);
    tcase_add_test(tc, many_partitions);
    tcase_add_test(tc, attachments_filled_anew);
    tcase_add_test(tc, reader_that_cannot_lock);
    tcase_add_test(tc, parts_that_come_and_go);
    tcase_add_test(tc, child_that_comes);
    tcase_add_test(tc, function_replaced);
    tcase_add_test(tc, enum_renamed);
    tcase_add_test(tc, composite_changed);
    tcase_add_test(tc, what_a_function_reads);
    tcase_add_test(tc, what_a_function_reads_in_parallel);
    tcase_add_test(tc, materialized_view_refreshed);
    tcase_add_test(tc, locked_for_good);
    return tc;
}
