/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_source_terms.c: what a registration says besides columns (policies, a search_path, no moving
 * windows), and the words for what cannot be read without it.
 */
#include "dbtest.h"

#include <string.h>

#include <apr_strings.h>

#include "sourcetest.h"
#include "source/private.h"

static const char *rows_of(const udm_data_type_t *type)
{
    return sourcetest_rows_of(type, sourcetest_run("acme"), 2);
}

/* The error of a run, at its beginning or while its rows are read. */
static udm_error_t *error_of(const udm_data_type_t *type, const udm_run_t *run)
{
    const unsigned char *tuple;
    udm_source_t *source;
    udm_error_t *error;
    apr_size_t size;
    apr_pool_t *own;

    ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
    error = udm_source_open(&source, own, sourcetest_path(), type, run, NULL);
    if (!error) {
        error = udm_source_rows(source);
    }
    do {
        error = error ? error : udm_source_next(&tuple, &size, source);
    } while (!error && tuple);
    error = error ? udm_error_copy(pool, error) : NULL;
    apr_pool_destroy(own);
    return error;
}

static void fails(const udm_data_type_t *type, bool for_good, const char *words)
{
    udm_error_t *error = error_of(type, sourcetest_run("acme"));

    dbtest_fails(error, UDM_E_SOURCE, words);
    ck_assert_int_eq(udm_source_permanent(error), for_good);
}

/* ---- policies ---- */

#define POLICED                                                                                    \
    "CREATE TABLE demo.t AS SELECT n AS id, 'acme'::text AS ccid FROM generate_series(1, 4) n;"    \
    "ALTER TABLE demo.t ENABLE ROW LEVEL SECURITY;"                                                \
    "CREATE POLICY half ON demo.t USING (id % 2 = 0);"                                             \
    "GRANT SELECT ON demo.t TO udm_test_reader;"

START_TEST(policies_are_not_met_in_silence)
{
    static const char *const relations[] = {"t", "invoker", "f"};
    apr_size_t i;

    sourcetest_folder();
    dbtest_exec(POLICED "CREATE VIEW demo.owners AS SELECT * FROM demo.t;"
                        "CREATE VIEW demo.invoker WITH (security_invoker) AS SELECT * FROM demo.t;"
                        "CREATE FUNCTION demo.count() RETURNS bigint LANGUAGE plpgsql STABLE AS"
                        " 'BEGIN RETURN (SELECT count(*) FROM demo.t); END';"
                        "CREATE VIEW demo.f AS SELECT demo.count() AS id, 'acme'::text AS ccid;"
                        "GRANT SELECT ON ALL TABLES IN SCHEMA demo TO udm_test_reader");
    for (i = 0; i < 3; i++) {
        udm_data_type_t *type = sourcetest_plain(relations[i]);

        fails(type, true, "row-level security");
        fails(type, true, "row_security => true");
        type->row_security = true;
        ck_assert_str_eq(rows_of(type), i < 2 ? "- 2,- 4" : "- 2");
    }
    /* Whom no policy holds reads all: the owner of a view does. */
    ck_assert_str_eq(rows_of(sourcetest_plain("owners")), "- 1,- 2,- 3,- 4");
    dbtest_exec("ALTER TABLE demo.t DISABLE ROW LEVEL SECURITY");
    ck_assert_str_eq(rows_of(sourcetest_plain("t")), "- 1,- 2,- 3,- 4");
}
END_TEST

START_TEST(policies_of_attachments)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Interaction");
    udm_run_t *run = sourcetest_run("acme");
    udm_source_t *source;

    sourcetest_folder();
    dbtest_exec("ALTER TABLE demo.document ENABLE ROW LEVEL SECURITY");
    ck_assert_str_ne(rows_of(type), "");
    run->export_attachments = true;
    dbtest_fails(sourcetest_refused(type, run), UDM_E_SOURCE, "demo.document of source \"UCS\"");
    type->row_security = true;
    source = sourcetest_opened(type, run);
    dbtest_ok(udm_source_attachments(source));
    ck_assert_str_eq(sourcetest_rest(source, 3), "");
}
END_TEST

/* A right that is not there is still called that. */
START_TEST(no_right_is_no_policy)
{
    udm_data_type_t *type = sourcetest_plain("t");

    sourcetest_folder();
    dbtest_exec(POLICED "REVOKE SELECT ON demo.t FROM udm_test_reader");
    type->row_security = true;
    fails(type, true, "may not read demo.t");
}
END_TEST

/* ---- a search_path ---- */

#define PATH_FUNCTIONS                                                                             \
    "CREATE SCHEMA shop; CREATE SCHEMA more; GRANT USAGE ON SCHEMA shop, more TO udm_test_reader;" \
    "CREATE TABLE shop.price AS SELECT 7 AS amount;"                                               \
    "CREATE FUNCTION more.twice(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1 * 2';"         \
    "SET search_path = shop, more, public;"                                                        \
    "CREATE FUNCTION shop.amount() RETURNS integer LANGUAGE plpgsql STABLE AS"                     \
    " 'BEGIN RETURN twice((SELECT amount FROM price)); END';"                                      \
    "CREATE FUNCTION shop.plain() RETURNS integer LANGUAGE sql STABLE AS"                          \
    " 'SELECT amount FROM price';"                                                                 \
    "RESET search_path;"                                                                           \
    "CREATE VIEW demo.v AS SELECT shop.amount() AS id, 'acme'::text AS ccid;"                      \
    "CREATE VIEW demo.p AS SELECT shop.plain() AS id, 'acme'::text AS ccid;"                       \
    "GRANT SELECT ON ALL TABLES IN SCHEMA demo, shop TO udm_test_reader;"

static udm_data_type_t *with_path(const char *relation, const char *first, const char *second)
{
    udm_data_type_t *type = sourcetest_plain(relation);

    type->search_path = apr_array_make(pool, 2, sizeof(const char *));
    APR_ARRAY_PUSH(type->search_path, const char *) = first;
    if (second) {
        APR_ARRAY_PUSH(type->search_path, const char *) = second;
    }
    return type;
}

START_TEST(functions_that_need_a_search_path)
{
    sourcetest_folder();
    dbtest_exec(PATH_FUNCTIONS);
    fails(sourcetest_plain("v"), true, "registered with the search_path that its functions need");
    fails(sourcetest_plain("p"), true, "registered with the search_path that its functions need");
    fails(with_path("v", "shop", NULL), true, "not found in the search_path of the type");
    ck_assert_str_eq(rows_of(with_path("v", "shop", "more")), "- 14");
    ck_assert_str_eq(rows_of(with_path("p", "shop", NULL)), "- 7");
    dbtest_exec("ALTER FUNCTION shop.plain() SET search_path = shop");
    ck_assert_str_eq(rows_of(sourcetest_plain("p")), "- 7");
}
END_TEST

/* Content that is worked out by such a function comes over the second connection, too. */
START_TEST(search_path_of_slices)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Interaction");
    udm_run_t *run = sourcetest_run("acme");
    const udm_content_t of = {"ixn1", "doc1", "10", NULL, NULL};
    unsigned char data[16];
    udm_source_t *source;
    apr_size_t got;

    sourcetest_folder();
    dbtest_exec(PATH_FUNCTIONS
                "CREATE VIEW demo.files AS SELECT id, ccid, entityid, name, mimetype,"
                " convert_to('content ' || shop.amount(), 'UTF8') AS content FROM demo.document;"
                "GRANT SELECT ON demo.files TO udm_test_reader");
    type->attachment_relation = "files";
    type->search_path = with_path("v", "shop", "more")->search_path;
    run->export_attachments = true;
    source = sourcetest_opened(type, run);
    dbtest_ok(udm_source_slice(data, &got, source, &of, 0, sizeof(data)));
    ck_assert_uint_eq(got, strlen("content 14"));
}
END_TEST

/* Who may create in a schema of the path could take the place of what a function means. */
START_TEST(search_path_that_others_may_fill)
{
    sourcetest_folder();
    dbtest_exec(PATH_FUNCTIONS "GRANT CREATE ON SCHEMA more TO PUBLIC");
    fails(with_path("v", "shop", "more"), true, "schema \"more\" in the search_path");
    fails(with_path("v", "shop", "more"), true, "others than its owner may create");
    dbtest_exec("REVOKE CREATE ON SCHEMA more FROM PUBLIC;"
                "GRANT CREATE ON SCHEMA more TO udm_test_reader");
    fails(with_path("v", "shop", "more"), true, "others than its owner may create");
    dbtest_exec("REVOKE CREATE ON SCHEMA more FROM udm_test_reader");
    ck_assert_str_eq(rows_of(with_path("v", "shop", "more")), "- 14");
    fails(with_path("v", "shop", "nowhere"), true,
          "schema \"nowhere\" in the search_path of type "
          "\"Contact\" of source \"UCS\" does not exist");
    fails(with_path("v", "shop", "a\"; RESET ROLE; --"), true, "does not exist");
}
END_TEST

/* What somebody put there while he could does as much harm once he cannot any more. */
START_TEST(search_path_that_others_have_filled)
{
    static const char *const planted[][2] = {
        {"CREATE FUNCTION shop.twice(integer) RETURNS integer LANGUAGE sql AS 'SELECT 0'",
         "function shop.twice(integer) of udm_test_planter"},
        {"CREATE OPERATOR shop.* (FUNCTION = pg_catalog.int4pl, LEFTARG = integer, RIGHTARG ="
         " integer)",
         "operator shop.*(integer,integer) of udm_test_planter"},
        {"CREATE TYPE shop.word AS ENUM ('x')", "type shop.word of udm_test_planter"},
        {"CREATE VIEW shop.price2 AS SELECT 0 AS amount", "shop.price2 of udm_test_planter"},
    };
    const udm_data_type_t *type = with_path("v", "shop", "more");

    sourcetest_folder();
    dbtest_exec(PATH_FUNCTIONS "DO $$ BEGIN CREATE ROLE udm_test_planter; EXCEPTION WHEN"
                               " duplicate_object THEN NULL; END $$;");
    for (apr_size_t i = 0; i < sizeof(planted) / sizeof(*planted); i++) {
        udm_error_t *error;

        dbtest_exec(apr_pstrcat(pool,
                                "BEGIN; GRANT CREATE, USAGE ON SCHEMA shop TO udm_test_planter;"
                                "SET LOCAL ROLE udm_test_planter;",
                                planted[i][0],
                                ";"
                                "RESET ROLE; REVOKE CREATE ON SCHEMA shop FROM udm_test_planter;"
                                "COMMIT",
                                NULL));
        error = error_of(type, sourcetest_run("acme"));
        dbtest_fails(error, UDM_E_SOURCE, "schema \"shop\" in the search_path of type");
        ck_assert(udm_source_permanent(error));
        ck_assert_ptr_nonnull(strstr(error->reason, "that owns neither it nor what is exported"));
        ck_assert_ptr_nonnull(strstr(error->detail, planted[i][1]));
        /* Who owns what is exported, or can become the schema's owner, could do so anyway. */
        dbtest_exec("ALTER VIEW demo.v OWNER TO udm_test_planter");
        dbtest_exec("GRANT SELECT ON demo.v TO udm_test_reader");
        ck_assert_str_ne(rows_of(type), "");
        dbtest_exec("ALTER VIEW demo.v OWNER TO CURRENT_USER; DROP OWNED BY udm_test_planter");
    }
    ck_assert_str_eq(rows_of(type), "- 14");
}
END_TEST

/* What is in a schema of the path does not take the place of what the statements themselves use. */
START_TEST(search_path_shadows_nothing_of_ours)
{
    udm_data_type_t *type;
    udm_run_t *run = sourcetest_run("acme");
    udm_source_t *source;

    sourcetest_folder();
    dbtest_exec(
        "CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO udm_test_reader;"
        "CREATE EXTENSION citext SCHEMA shop;"
        "CREATE FUNCTION shop.eq(varchar, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
        "CREATE OPERATOR shop.= (FUNCTION = shop.eq, LEFTARG = varchar, RIGHTARG = text);"
        "CREATE FUNCTION shop.eq2(varchar, varchar) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
        "CREATE OPERATOR shop.= (FUNCTION = shop.eq2, LEFTARG = varchar, RIGHTARG = varchar);"
        "CREATE FUNCTION shop.ge(timestamp, timestamptz) RETURNS boolean LANGUAGE sql AS"
        " 'SELECT true';"
        "CREATE OPERATOR shop.>= (FUNCTION = shop.ge, LEFTARG = timestamp, RIGHTARG = timestamptz);"
        "CREATE FUNCTION shop.to_json(interval) RETURNS json LANGUAGE sql AS 'SELECT ''0''::json';"
        "CREATE FUNCTION shop.lower(varchar) RETURNS text LANGUAGE sql AS 'SELECT ''x''';"
        "CREATE FUNCTION shop.octet_length(varchar) RETURNS integer LANGUAGE sql AS 'SELECT 0';"
        "CREATE FUNCTION shop.count(integer) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';"
        "CREATE TYPE shop.text AS ENUM ('x'); CREATE TYPE shop.numeric AS ENUM ('x');"
        "CREATE TABLE demo.t (id varchar, ccid varchar, ci shop.citext, at timestamp, i interval,"
        " m varchar, f double precision);"
        "INSERT INTO demo.t VALUES ('1', 'acme', 'acme', '2026-01-01', '1 day', 'chat', 1.5),"
        " ('2', 'other', 'ACME', '2026-01-01', '1 day', 'chat', 1.5),"
        " ('3', 'acme', 'Acme', '2025-01-01', '1 day', 'email', 2.5);"
        "CREATE TABLE demo.d (id varchar, ccid varchar, entityid varchar, name varchar, mt varchar,"
        " content varchar);"
        "INSERT INTO demo.d VALUES ('d1', 'acme', '1', 'n', 'm', 'abc'),"
        " ('d2', 'other', '1', 'n', 'm', 'abc'), ('d3', 'acme', '9', 'n', 'm', 'abc');"
        "GRANT SELECT ON ALL TABLES IN SCHEMA demo TO udm_test_reader;"
        "SELECT udm.register_type('iWD', 'S', 'demo.t', 'id', tenant_column => 'ccid',"
        " time_column => 'at', media_column => 'm', columns => '{i}', search_path => '{shop}'),"
        " udm.register_attachments('iWD', 'S', 'demo.d', 'id', 'entityid', 'name', 'mt', 'content',"
        " 'ccid'), udm.register_attributes('iWD', 'S'), udm.register_attribute('iWD', 'S', 'm'),"
        " udm.register_attribute('iWD', 'S', 'f'), udm.register_media('iWD', 'S', 'chat', 'chat')");
    type = sourcetest_type("iWD", "S");
    ck_assert_str_eq(APR_ARRAY_IDX(type->search_path, 0, const char *), "shop");
    ck_assert_str_eq(sourcetest_rows(sourcetest_opened(type, run), 3),
                     "- 1 \"1 day\",- 3 \"1 day\"");
    run->window_all = false;
    run->window_from = apr_time_from_sec(1750000000);
    APR_ARRAY_PUSH(run->media, const char *) = "chat";
    run->filters = "[{\"attribute\":\"m\",\"operator\":\"contains\",\"value\":\"HA\"},"
                   "{\"attribute\":\"m\",\"operator\":\"ne\",\"value\":\"x\"},"
                   "{\"attribute\":\"m\",\"operator\":\"in\",\"value\":[\"chat\"]},"
                   "{\"attribute\":\"f\",\"operator\":\"eq\",\"value\":1.5}]";
    run->export_attachments = true;
    source = sourcetest_opened(type, run);
    ck_assert_str_eq(sourcetest_rows(source, 2), "- 1");
    dbtest_ok(udm_source_attachments(source));
    ck_assert_str_eq(sourcetest_rest(source, 7), "- 1 d1 n m 3 abc");
    type->tenant_column = "ci";
    ck_assert_str_eq(sourcetest_rows(sourcetest_opened(type, sourcetest_run("acme")), 2), "- 1");
}
END_TEST

/* ---- rows of another server ---- */

static void make_foreign(void)
{
    const char *database = dbtest_value("SELECT current_database()");
    const char *host = dbtest_value("SELECT split_part(current_setting('unix_socket_directories'),"
                                    " ',', 1)");

    dbtest_exec(apr_psprintf(
        pool,
        "CREATE EXTENSION postgres_fdw;"
        "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '%s', dbname '%s');"
        "CREATE USER MAPPING FOR udm_test_reader SERVER far"
        " OPTIONS (user 'udm_test_reader', password_required 'false');"
        "CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'udm_test_reader');"
        "CREATE FOREIGN TABLE demo.far (id bigint, ccid text, created timestamptz) SERVER far"
        " OPTIONS (schema_name 'demo', table_name 'contact');"
        "CREATE FOREIGN TABLE demo.far_files (id text, ccid text, entityid text, name text,"
        " mimetype text, content bytea) SERVER far"
        " OPTIONS (schema_name 'demo', table_name 'document');"
        "CREATE VIEW demo.v AS SELECT * FROM demo.far UNION ALL SELECT id, ccid, created"
        " FROM demo.contact WHERE false;"
        "CREATE TABLE demo.parts (id bigint, ccid text, created timestamptz)"
        " PARTITION BY RANGE (created);"
        "CREATE TABLE demo.near PARTITION OF demo.parts"
        " FOR VALUES FROM ('2026-01-01Z') TO (MAXVALUE);"
        "CREATE FOREIGN TABLE demo.old PARTITION OF demo.parts"
        " FOR VALUES FROM (MINVALUE) TO ('2026-01-01Z') SERVER far"
        " OPTIONS (schema_name 'demo', table_name 'contact');"
        "GRANT SELECT ON ALL TABLES IN SCHEMA demo TO udm_test_reader",
        host, database));
}

/* A run that goes on where the last one ended, from this day of January on. */
static udm_run_t *moving(int day)
{
    udm_run_t *run = sourcetest_run("acme");

    run->moves_watermark = true;
    run->window_all = false;
    run->window_from = apr_time_from_sec(INT64_C(1767225600) + (day - 1) * INT64_C(86400));
    run->window_to = run->window_from + apr_time_from_sec(864000);
    return run;
}

START_TEST(moving_windows_over_another_server)
{
    static const char *const relations[] = {"far", "v", "parts"};
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    udm_error_t *error;
    apr_size_t i;

    sourcetest_folder();
    make_foreign();
    for (i = 0; i < 3; i++) {
        type->relation_name = relations[i];
        error = sourcetest_refused(type, moving(-30));
        dbtest_fails(error, UDM_E_SOURCE, "come from another server (a foreign table)");
        ck_assert(udm_source_permanent(error));
    }
    /* What a function reads shows when it was read. */
    dbtest_exec("CREATE FUNCTION demo.f() RETURNS SETOF demo.contact LANGUAGE plpgsql STABLE AS"
                " 'BEGIN RETURN QUERY SELECT c.* FROM demo.contact c JOIN demo.far f USING (id);"
                " END'; CREATE VIEW demo.by_function AS SELECT * FROM demo.f();"
                "GRANT SELECT ON demo.by_function TO udm_test_reader");
    type->relation_name = "by_function";
    error = error_of(type, moving(-30));
    dbtest_fails(error, UDM_E_SOURCE, "come from another server (a foreign table)");
    ck_assert(udm_source_permanent(error));
    ck_assert_str_eq(rows_of(type), "- 1,- 2,- 3");
    /* What is not read does no harm, though a view is made of it. */
    dbtest_exec(
        "CREATE VIEW demo.once AS SELECT id, ccid, created FROM demo.contact UNION ALL"
        " SELECT * FROM demo.far WHERE false; GRANT SELECT ON demo.once TO udm_test_reader");
    type->relation_name = "once";
    ck_assert_ptr_null(error_of(type, moving(-30)));
    /* Windows that stay where they are. */
    type->relation_name = "far";
    ck_assert_str_eq(rows_of(type), "- 1,- 2,- 3");
    /* Partitions that the window has left behind need not be read. */
    type->relation_name = "parts";
    ck_assert_str_eq(sourcetest_rows(sourcetest_opened(type, moving(1)), 2), "");
    /* The window is over the rows, and what hangs on them is written with them. */
    type = sourcetest_type("UCS", "Interaction");
    type->attachment_relation = "far_files";
    ck_assert_ptr_nonnull(sourcetest_opened(type, moving(1)));
    {
        udm_run_t *run = moving(1);

        run->export_attachments = true;
        dbtest_fails(sourcetest_refused(type, run), UDM_E_SOURCE, "rows of demo.far_files");
    }
}
END_TEST

/* Rows that come later than they were written, so that the window they belong to is over by then. */
START_TEST(moving_windows_over_late_rows)
{
    static const char *const relations[][2] = {
        {"kept",
         "rows of demo.kept in source \"UCS\" are those of a materialized view (demo.kept)"},
        {"over_kept", "a materialized view (demo.kept)"},
        {"by_function", "a materialized view (demo.kept)"},
        {"replica", "(by a subscription, to demo.replica)"},
        {"over_replica", "(by a subscription, to demo.replica)"},
        {"linked", "come from another server (by dblink)"},
        {"over_linked", "come from another server (by dblink)"},
    };
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    apr_size_t i;

    sourcetest_folder();
    dbtest_exec("CREATE EXTENSION dblink SCHEMA demo;"
                "CREATE MATERIALIZED VIEW demo.kept AS SELECT * FROM demo.contact;"
                "CREATE VIEW demo.over_kept AS SELECT * FROM demo.kept;"
                "CREATE FUNCTION demo.f() RETURNS SETOF demo.contact LANGUAGE plpgsql STABLE AS"
                " 'BEGIN RETURN QUERY SELECT * FROM demo.kept; END';"
                "CREATE VIEW demo.by_function AS SELECT * FROM demo.f();"
                "CREATE TABLE demo.replica AS SELECT * FROM demo.contact;"
                "CREATE VIEW demo.over_replica AS SELECT * FROM demo.replica;"
                /* As CREATE SUBSCRIPTION would have it, if there were a publisher. */
                "INSERT INTO pg_subscription_rel VALUES (1, 'demo.replica'::regclass, 'r', NULL);"
                "CREATE VIEW demo.linked AS SELECT c.* FROM demo.contact c LEFT JOIN"
                " demo.dblink(NULL, 'SELECT 1') d (id bigint) ON false;"
                "CREATE VIEW demo.over_linked AS SELECT * FROM demo.linked;"
                "GRANT SELECT ON ALL TABLES IN SCHEMA demo TO udm_test_reader");
    for (i = 0; i < sizeof(relations) / sizeof(*relations); i++) {
        udm_error_t *error;

        type->relation_name = relations[i][0];
        error = error_of(type, moving(-30));
        dbtest_fails(error, UDM_E_SOURCE, relations[i][1]);
        ck_assert(udm_source_permanent(error));
        ck_assert_str_eq(rows_of(type), "- 1,- 2,- 3");
    }
    type->relation_name = "contact";
    ck_assert_ptr_null(error_of(type, moving(-30)));
}
END_TEST

START_TEST(types_without_moving_windows)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    udm_error_t *error;

    sourcetest_folder();
    ck_assert(type->moving_window);
    ck_assert_str_ne(sourcetest_rows(sourcetest_opened(type, moving(1)), 2), "");
    type->moving_window = false;
    error = sourcetest_refused(type, moving(1));
    dbtest_fails(error, UDM_E_SOURCE, "registered without moving windows");
    ck_assert(udm_source_permanent(error));
    ck_assert_str_ne(rows_of(type), "");
}
END_TEST

/* ---- what is no table ---- */

START_TEST(what_has_no_rows)
{
    sourcetest_folder();
    dbtest_exec("CREATE TABLE demo.empty ();"
                "CREATE TABLE demo.dropped (x integer); ALTER TABLE demo.dropped DROP x;"
                "CREATE INDEX an_index ON demo.contact (id); CREATE SEQUENCE demo.a_sequence;"
                "CREATE TYPE demo.a_type AS (id integer, ccid text);"
                "CREATE MATERIALIZED VIEW demo.later AS SELECT * FROM demo.contact WITH NO DATA;"
                "CREATE VIEW demo.over AS SELECT * FROM demo.later;"
                "GRANT SELECT ON ALL TABLES IN SCHEMA demo TO udm_test_reader");
    fails(sourcetest_plain("empty"), true, "demo.empty of source \"UCS\" has no columns");
    fails(sourcetest_plain("dropped"), true, "demo.dropped of source \"UCS\" has no columns");
    fails(sourcetest_plain("nothing"), true, "there is no relation demo.nothing");
    fails(sourcetest_plain("an_index"), true, "is an index, not a table or a view");
    fails(sourcetest_plain("a_sequence"), true, "is a sequence, not a table or a view");
    fails(sourcetest_plain("a_type"), true, "is a composite type, not a table or a view");
    fails(sourcetest_plain("later"), false, "is a materialized view that is not populated");
    fails(sourcetest_plain("over"), false, "a materialized view that has never been refreshed");
    dbtest_exec("REFRESH MATERIALIZED VIEW demo.later");
    ck_assert_str_eq(rows_of(sourcetest_plain("later")), "- 1,- 2,- 3");
    ck_assert_str_eq(rows_of(sourcetest_plain("over")), "- 1,- 2,- 3");
}
END_TEST

/* A reader that may read a view, but not call the function in it. */
START_TEST(what_the_reader_may_not)
{
    sourcetest_folder();
    dbtest_exec("CREATE TABLE demo.hidden AS SELECT 1 AS id;"
                "CREATE FUNCTION demo.f() RETURNS bigint LANGUAGE plpgsql STABLE AS"
                " 'BEGIN RETURN (SELECT id FROM demo.hidden); END';"
                "CREATE VIEW demo.v AS SELECT demo.f() AS id, 'acme'::text AS ccid;"
                "GRANT SELECT ON demo.v TO udm_test_reader");
    fails(sourcetest_plain("v"), true, "may not read demo.v, or something that it is made of");
    dbtest_exec("REVOKE USAGE ON SCHEMA demo FROM udm_test_reader");
    fails(sourcetest_plain("v"), true, "may not read demo.v");
}
END_TEST

TCase *source_terms_case(void)
{
    TCase *tc = dbtest_case("source_terms");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, policies_are_not_met_in_silence);
    tcase_add_test(tc, policies_of_attachments);
    tcase_add_test(tc, no_right_is_no_policy);
    tcase_add_test(tc, functions_that_need_a_search_path);
    tcase_add_test(tc, search_path_of_slices);
    tcase_add_test(tc, search_path_that_others_may_fill);
    tcase_add_test(tc, search_path_that_others_have_filled);
    tcase_add_test(tc, search_path_shadows_nothing_of_ours);
    tcase_add_test(tc, moving_windows_over_another_server);
    tcase_add_test(tc, moving_windows_over_late_rows);
    tcase_add_test(tc, types_without_moving_windows);
    tcase_add_test(tc, what_has_no_rows);
    tcase_add_test(tc, what_the_reader_may_not);
    return tc;
}
