/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_source_session.c: what is read is the same whatever the session of the reader is set to.
 */
#include "dbtest.h"

#include <string.h>

#include <apr_strings.h>

#include "sourcetest.h"

/* The rows as they are sent, in hex. */
static const char *bytes_of(const udm_data_type_t *type)
{
    const unsigned char *tuple;
    const char *all = "";
    udm_source_t *source;
    apr_pool_t *own;
    apr_size_t size;

    ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
    dbtest_ok(udm_source_open(&source, own, sourcetest_path(), type, sourcetest_run("acme"), NULL));
    dbtest_ok(udm_source_rows(source));
    for (;;) {
        char *hex;

        dbtest_ok(udm_source_next(&tuple, &size, source));
        if (!tuple) {
            break;
        }
        hex = apr_palloc(own, 2 * size + 1);
        for (apr_size_t i = 0; i < size; i++) {
            apr_snprintf(hex + 2 * i, 3, "%02x", tuple[i]);
        }
        all = apr_pstrcat(own, all, hex, "\n", NULL);
    }
    all = apr_pstrdup(pool, all);
    apr_pool_destroy(own);
    return all;
}

/* What a session can be set to of all that anybody may set: the ends of a range, the words of an enum. */
static const char other_settings[] =
    "SELECT s.name, v.value FROM pg_settings s CROSS JOIN LATERAL ("
    " SELECT unnest(s.enumvals) UNION ALL"
    " SELECT unnest('{on,off}'::text[]) WHERE s.vartype = 'bool' UNION ALL"
    " SELECT unnest(ARRAY[s.min_val, s.max_val]) UNION ALL"
    " SELECT '1' WHERE s.vartype = 'integer' AND 1 BETWEEN s.min_val::numeric AND "
    "s.max_val::numeric"
    "  AND s.unit IS NULL UNION ALL"
    " SELECT t.value FROM (VALUES ('DateStyle', 'SQL, DMY'), ('DateStyle', 'German'),"
    "  ('DateStyle', 'Postgres, MDY'), ('TimeZone', 'Asia/Kathmandu'), ('TimeZone', '<x>-13'),"
    "  ('client_encoding', 'LATIN1'), ('lc_monetary', 'POSIX'), ('lc_numeric', 'POSIX'),"
    "  ('lc_time', 'POSIX'), ('search_path', 'demo'), ('timezone_abbreviations', 'Australia'))"
    "  t (name, value) WHERE t.name = s.name) v (value)"
    " WHERE s.context = 'user' AND v.value <> s.setting AND s.name NOT LIKE 'transaction\\_%'"
    " ORDER BY 1, 2";

/*
 * How the reader's role is set up changes neither a value, nor which rows there are, nor what a text in
 * a function stands for.
 */
START_TEST(values_are_the_same_in_any_session)
{
    udm_data_type_t *type;
    udm_result_t *settings;
    const char *plain, *role;

    sourcetest_folder();
    dbtest_exec(
        "CREATE TYPE demo.pair AS (a integer, b interval);"
        "CREATE TABLE demo.gin (words integer[]);"
        "INSERT INTO demo.gin SELECT ARRAY[1, n] FROM generate_series(1, 5000) n;"
        "CREATE INDEX ON demo.gin USING gin (words); ANALYZE demo.gin;"
        "CREATE FUNCTION demo.said(text) RETURNS text[] LANGUAGE plpgsql STABLE AS $f$"
        " DECLARE x text; BEGIN EXECUTE 'SELECT ' || $1 INTO x; RETURN ARRAY[x]; END $f$;"
        "CREATE VIEW demo.every AS SELECT 1 AS id, 'acme'::text AS ccid,"
        " '1234567.89'::money AS money, ARRAY['-1.5'::money] AS moneys, 1.1::float8 / 3 AS f8,"
        " 1.1::float4 / 3 AS f4, point(0.1::float8 / 3, 2) AS point, '\\x005cff'::bytea AS bytes,"
        " ARRAY['\\x005cff'::bytea] AS bytess, timestamptz '2026-07-01 12:00Z' AS tz,"
        " timestamp '2026-02-01 12:00' AS ts, date '2026-02-01' AS d, '1 day 2 hours'::interval AS "
        "i,"
        " time '12:00' AS t, timetz '12:00+01' AS ttz, tstzrange('2026-02-01Z', '2026-03-01Z') AS "
        "r,"
        " ROW(1, '1 mon -1 sec')::demo.pair AS pair, ARRAY[date '2026-02-01'] AS ds,"
        " xmlelement(name x, '\\x00ff'::bytea) AS x, 'demo.gin'::regclass AS class,"
        " 'demo.pair'::regtype AS typ, to_jsonb(now() - now()) AS j, 'a b'::tsvector AS v,"
        " (SELECT count(*) FROM demo.gin WHERE words @> ARRAY[1]) AS found,"
        " to_char(1234.5, 'L9G999D99') AS n, to_char(date '2026-02-01', 'TMMonth') AS mon,"
        " current_setting('lc_monetary') AS lcm, current_setting('lc_numeric') AS lcn,"
        " current_setting('lc_time') AS lct,"
        " demo.said($$'02/03/04'::date$$) AS s1, demo.said($$'2026-02-01 12:00 "
        "EST'::timestamptz$$),"
        " demo.said($$'2026-02-01'::timestamptz$$) AS s3, demo.said($$'a\\b'$$) AS s4,"
        " demo.said($$'{NULL}'::text[]$$) AS s5, demo.said($$NULL = NULL$$) AS s6,"
        " demo.said($$e'\\''$$) AS s7, demo.said($$xml 'a'$$) AS s8;"
        "GRANT SELECT ON demo.every TO udm_test_reader");
    type = sourcetest_type("UCS", "Contact");
    type->relation_name = "every";
    type->time_column = NULL;
    role = dbtest_value("SELECT format('ALTER ROLE udm_test_reader IN DATABASE %I ',"
                        " current_database())");
    /* Else nobody would use the index; and to compile each statement takes long. */
    dbtest_exec("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET enable_seqscan = off',"
                " current_database()); EXECUTE format('ALTER DATABASE %I SET jit = off',"
                " current_database()); END $$");
    plain = bytes_of(type);
    dbtest_ok(udm_pg_query_text(&settings, pool, dbtest_admin(), other_settings, 0, NULL));
    ck_assert_int_gt(settings->rows, 100);
    for (int i = 0; i < settings->rows; i++) {
        const char *name = udm_result_text(settings, i, 0);
        const char *value = udm_result_text(settings, i, 1);

        dbtest_exec(apr_psprintf(pool, "%sSET %s = '%s'", role, name, value));
        if (strcmp(bytes_of(type), plain) != 0) {
            ck_abort_msg("other values with %s = %s", name, value);
        }
        dbtest_exec(apr_psprintf(pool, "%sRESET %s", role, name));
    }
}
END_TEST

/* As integers '7' and '007' are equal, as contact centres they are not. */
START_TEST(tenants_that_a_cast_makes_equal)
{
    udm_data_type_t *type;

    sourcetest_folder();
    dbtest_exec("CREATE TABLE demo.numbered (id integer, centre integer);"
                "INSERT INTO demo.numbered VALUES (1, 7), (2, 8);"
                "GRANT SELECT ON demo.numbered TO udm_test_reader");
    type = sourcetest_type("iWD", "Task");
    type->relation_name = "numbered";
    type->tenants = NULL;
    type->tenant_column = "centre";
    ck_assert_str_eq(sourcetest_rows(sourcetest_opened(type, sourcetest_run("7")), 2), "- 1");
    ck_assert_str_eq(sourcetest_rows(sourcetest_opened(type, sourcetest_run("007")), 2), "");
}
END_TEST

TCase *source_session_case(void)
{
    TCase *tc = dbtest_case("source_session");

    tcase_add_test(tc, values_are_the_same_in_any_session);
    tcase_add_test(tc, tenants_that_a_cast_makes_equal);
    return tc;
}
