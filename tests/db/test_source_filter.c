/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_source_filter.c: the rows that a filter lets through are those that plain SQL finds; and
 * what becomes of a filter that fits no more.
 */
#include "dbtest.h"
#include "filtertest.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <jansson.h>

#include "sourcetest.h"

/* One row for each number; every thirteenth is of the other contact centre, and each column has NULLs. */
static const char kinds_sql[] =
    "CREATE TYPE demo.colour AS ENUM ('red', 'green', 'blue');"
    "CREATE DOMAIN demo.word AS varchar(40);"
    "CREATE TABLE demo.kinds (id text PRIMARY KEY, ccid text, s text, v varchar(40), c char(6),"
    " nm name, u uuid, e demo.colour, dom demo.word, si smallint, i integer, b bigint, n numeric,"
    " f4 real, f8 double precision, bo boolean, d date, ts timestamp, tz timestamptz);"
    "INSERT INTO demo.kinds"
    " SELECT 'k' || k, CASE WHEN k % 13 = 4 THEN 'other' ELSE 'acme' END, w, w, left(w, 6), w,"
    " md5((k % 7)::text)::uuid, (ARRAY['red', 'green', 'blue', NULL])[1 + k % 4]::demo.colour, w,"
    " nullif(k % 9, 8) - 3, nullif(k % 11, 10) * 1000, nullif(k % 6, 5) * 1844674407370955161,"
    " (ARRAY['9007199254740993', '-0.1', '123456789012345678901234567890.5', NULL, 'NaN',"
    " '0.30'])[1 + k % 6]::numeric,"
    " (ARRAY[0.1, 16777216, NULL, 'NaN', -0.25])[1 + k % 5]::real,"
    " (ARRAY[0.1, 9007199254740992, 0.30000000000000004, NULL, 'Infinity', 1e300])[1 + k % 6]"
    "::double precision,"
    " (ARRAY[true, false, NULL])[1 + k % 3], nullif(date '2026-02-27' + k % 6, '2026-03-04'),"
    " nullif(timestamp '2026-02-28 23:30' + (k % 8) * interval '15 min',"
    " timestamp '2026-03-01 01:15'),"
    " nullif(timestamptz '2026-02-28 23:30Z' + (k % 8) * interval '15 min'"
    " + interval '1 microsecond', timestamptz '2026-02-28 23:30:00.000001Z')"
    " FROM (SELECT k, (ARRAY['alpha', 'Beta', 'Zoë ÉCOLE', '', NULL, '100%', 'a_b', '李雷',"
    " 'Ab', 'zoë école'])[1 + k % 10] AS w FROM generate_series(1, 120) k) x;"
    "GRANT SELECT ON demo.kinds TO udm_test_reader;"
    "SELECT udm.register_type('iWD', 'Kinds', 'demo.kinds', 'id', tenant_column => 'ccid'),"
    " udm.register_attributes('iWD', 'Kinds')";

const char *filtertest_filter_json(const char *attribute, const char *operator, const char * value)
{
    json_t *name = json_string(attribute);
    char *text = json_dumps(name, JSON_ENCODE_ANY);
    const char *json;

    json = apr_psprintf(pool, "[{\"attribute\":%s,\"operator\":\"%s\",\"value\":%s}]",
                        text, operator, value);
    free(text);
    json_decref(name);
    return json;
}

static udm_run_t *filtered_run(const char *ccid, const char *filters)
{
    udm_run_t *run = sourcetest_run(ccid);

    run->filters = filters;
    return run;
}

const char *filtertest_through(const udm_data_type_t *type, const char *filters)
{
    return sourcetest_rows_of(type, filtered_run("acme", filters), 2);
}

const char *filtertest_by_sql(const char *relation, const char *condition)
{
    return dbtest_value(apr_psprintf(pool,
                                     "SELECT coalesce(string_agg('- ' || id, ',' ORDER BY"
                                     " ('- ' || id) COLLATE \"C\"), '') FROM %s"
                                     " WHERE ccid = 'acme' AND (%s)",
                                     relation, condition));
}

udm_data_type_t *filtertest_kinds(void)
{
    sourcetest_folder();
    dbtest_exec(kinds_sql);
    dbtest_exec("SET TimeZone = 'UTC'");
    return sourcetest_type("iWD", "Kinds");
}

/* What a filter lets through, what SQL finds, and that this is neither nothing nor everything. */
static void same_rows(const udm_data_type_t *type, const char *attribute, const char *operator,
                      const char * value, const char *condition)
{
    const char *found =
        filtertest_through(type, filtertest_filter_json(attribute, operator, value));
    const char *wanted = filtertest_by_sql("demo.kinds", condition);

    if (strcmp(found, wanted) != 0) {
        ck_abort_msg("%s %s %s: through come\n  %s\nbut SQL says of %s\n  %s", attribute, operator,
                     value, found, condition, wanted);
    }
    ck_assert_msg(*wanted && strcmp(wanted, filtertest_by_sql("demo.kinds", "true")) != 0,
                  "%s %s %s tells no rows apart", attribute, operator, value);
}

typedef struct case_t {
    const char *attribute;
    const char *operator;
    const char *value;
    const char *condition;
} case_t;

static const case_t cases[] = {
    {"s", "eq", "\"Beta\"", "s = 'Beta'"},
    {"s", "eq", "\"\"", "s = ''"},
    {"s", "ne", "\"Beta\"", "s <> 'Beta' OR s IS NULL"},
    {"s", "lt", "\"a\"", "s < 'a'"},
    {"s", "le", "\"alpha\"", "s <= 'alpha'"},
    {"s", "gt", "\"alpha\"", "s > 'alpha'"},
    {"s", "ge", "\"zo\\u00eb \\u00e9cole\"", "s >= 'zoë école'"},
    {"s", "contains", "\"\\u00c9COLE\"", "s IN ('Zoë ÉCOLE', 'zoë école')"},
    {"s", "contains", "\"%\"", "s = '100%'"},
    {"s", "contains", "\"_\"", "s = 'a_b'"},
    {"s", "contains", "\"B\"", "s IN ('Beta', 'a_b', 'Ab')"},
    {"s", "contains", "\"\"", "s IS NOT NULL"},
    {"s", "in", "[\"\",\"Beta\",\"\\u674e\\u96f7\",\"none\"]", "s IN ('', 'Beta', '李雷')"},
    {"v", "eq", "\"\\u674e\\u96f7\"", "v = '李雷'"},
    {"v", "in", "[\"Ab\"]", "v = 'Ab'"},
    {"v", "contains", "\"ZO\\u00cb\"", "v ILIKE '%zoë%'"},
    /* Of fixed length: what fills it up does not count. */
    {"c", "eq", "\"Beta\"", "s = 'Beta'"},
    {"c", "in", "[\"Beta\",\"Ab\"]", "s IN ('Beta', 'Ab')"},
    {"nm", "eq", "\"Beta\"", "nm = 'Beta'"},
    {"dom", "eq", "\"Beta\"", "dom = 'Beta'"},
    {"u", "eq", "\"cfcd2084-95d5-65ef-66e7-dff9f98764da\"", "u = md5('0')::uuid"},
    {"u", "in", "[\"cfcd2084-95d5-65ef-66e7-dff9f98764da\",\"no uuid\"]", "u = md5('0')::uuid"},
    {"u", "contains", "\"CFCD\"", "u = md5('0')::uuid"},
    {"e", "eq", "\"green\"", "e = 'green'"},
    {"e", "ne", "\"green\"", "e IS DISTINCT FROM 'green'"},
    {"e", "in", "[\"green\",\"purple\"]", "e = 'green'"},
    {"si", "eq", "-3", "si = -3"},
    {"si", "lt", "99999999999", "si IS NOT NULL"},
    {"si", "gt", "-2.5", "si > -2.5"},
    {"i", "in", "[1000,2000.0,\"3e3\"]", "i IN (1000, 2000, 3000)"},
    {"i", "ne", "1000", "i IS DISTINCT FROM 1000"},
    {"i", "ge", "5000", "i >= 5000"},
    {"i", "le", "\"0\"", "i <= 0"},
    {"b", "eq", "1844674407370955161", "b = 1844674407370955161"},
    {"b", "lt", "\"9223372036854775808\"", "b IS NOT NULL"},
    {"b", "gt", "5534023222112865482", "b > 5534023222112865482"},
    {"n", "eq", "9007199254740993", "n = 9007199254740993"},
    {"n", "eq", "0.3", "n = 0.3"},
    {"n", "eq", "\"123456789012345678901234567890.50\"", "n = 123456789012345678901234567890.5"},
    {"n", "lt", "0", "n < 0"},
    {"n", "gt", "1e29", "n > 1e29"},
    {"n", "in", "[0.3,-0.1,1e5]", "n IN (0.3, -0.1)"},
    /* Floating point goes by what it is written like. */
    {"f4", "eq", "0.1", "f4 = 0.1::real"},
    {"f4", "eq", "16777216", "f4 = 16777216"},
    {"f4", "lt", "0", "f4 < 0"},
    {"f4", "gt", "16777216", "f4 = 'NaN'"},
    {"f8", "eq", "0.1", "f8 = 0.1"},
    {"f8", "eq", "9007199254740992", "f8 = 9007199254740992"},
    {"f8", "ne", "0.1", "f8 IS DISTINCT FROM 0.1"},
    {"f8", "eq", "0.30000000000000004", "f8 = 0.30000000000000004"},
    {"f8", "gt", "\"1e308\"", "f8 = 'Infinity'"},
    {"f8", "in", "[\"1e300\",0.1]", "f8 IN (1e300, 0.1)"},
    {"bo", "eq", "true", "bo"},
    {"bo", "ne", "true", "bo IS NOT TRUE"},
    {"bo", "in", "[false]", "NOT bo"},
    {"bo", "in", "[false,true]", "bo IS NOT NULL"},
    {"d", "eq", "\"2026-02-28\"", "d = '2026-02-28'"},
    {"d", "ne", "\"2026-02-28\"", "d IS DISTINCT FROM '2026-02-28'"},
    {"d", "lt", "\"2026-03-01\"", "d < '2026-03-01'"},
    {"d", "ge", "\"2026-03-01T00:00:00Z\"", "d >= '2026-03-01'"},
    {"d", "in", "[\"2026-02-28\",\"2026-03-01\"]", "d IN ('2026-02-28', '2026-03-01')"},
    {"ts", "eq", "\"2026-02-28T23:45:00Z\"", "ts = '2026-02-28 23:45'"},
    {"ts", "lt", "\"2026-03-01\"", "ts < '2026-03-01'"},
    {"ts", "ge", "\"2026-03-01T01:00:00+01:00\"", "ts >= '2026-03-01 00:00'"},
    {"ts", "in", "[\"2026-02-28 23:30\",\"2026-03-01\"]",
     "ts IN ('2026-02-28 23:30', '2026-03-01 00:00')"},
    {"ts", "ne", "\"2026-03-01\"", "ts IS DISTINCT FROM '2026-03-01'"},
    {"tz", "eq", "\"2026-02-28T23:45:00.000001Z\"", "tz = '2026-02-28 23:45:00.000001Z'"},
    {"tz", "le", "\"2026-02-28T18:45:00.000001-05:00\"", "tz <= '2026-02-28 23:45:00.000001Z'"},
    {"tz", "gt", "\"2026-02-28T23:45:00Z\"", "tz > '2026-02-28 23:45Z'"},
    {"tz", "in", "[\"2026-03-01T00:00:00.000001Z\"]", "tz = '2026-03-01 00:00:00.000001Z'"},
};

START_TEST(the_rows_that_sql_finds)
{
    const udm_data_type_t *type = filtertest_kinds();
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        same_rows(type, cases[i].attribute, cases[i].operator, cases[i].value, cases[i].condition);
    }
}
END_TEST

/* Whatever the reader's role and its database are set up for. */
START_TEST(the_rows_whatever_the_session)
{
    const udm_data_type_t *type = filtertest_kinds();
    apr_size_t i;

    dbtest_exec("DO $$ BEGIN"
                " EXECUTE format('ALTER ROLE udm_test_reader IN DATABASE %I SET TimeZone = %L',"
                " current_database(), 'America/New_York');"
                " EXECUTE format('ALTER ROLE udm_test_reader IN DATABASE %I SET DateStyle = %L',"
                " current_database(), 'SQL, DMY');"
                " EXECUTE format('ALTER ROLE udm_test_reader IN DATABASE %I"
                " SET extra_float_digits = 0', current_database()); END $$");
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strchr("dtf", *cases[i].attribute) != NULL) {
            same_rows(type, cases[i].attribute, cases[i].operator, cases[i].value,
                      cases[i].condition);
        }
    }
}
END_TEST

START_TEST(filters_add_up)
{
    const udm_data_type_t *type = filtertest_kinds();
    const char *value = "", *many = "[";
    int i;

    ck_assert_str_eq(
        filtertest_through(type, "[{\"attribute\":\"bo\",\"operator\":\"eq\",\"value\":true},"
                                 "{\"attribute\":\"i\",\"operator\":\"ge\",\"value\":1000},"
                                 "{\"attribute\":\"i\",\"operator\":\"lt\",\"value\":4000}]"),
        filtertest_by_sql("demo.kinds", "bo AND i >= 1000 AND i < 4000"));
    ck_assert_str_eq(filtertest_through(type, "[]"), filtertest_by_sql("demo.kinds", "true"));
    /* As large as a job may make them. */
    for (i = 0; i < UDM_FILTER_VALUES_MAX - 1; i++) {
        value = apr_psprintf(pool, "\"%0*d\",", UDM_FILTER_VALUE_MAX, i);
        many = i % 100 == 0 ? apr_pstrcat(pool, many, value, NULL)
                            : apr_pstrcat(pool, many, "\"x\",", NULL);
    }
    many = filtertest_filter_json("s", "in", apr_pstrcat(pool, many, "\"Beta\"]", NULL));
    ck_assert_str_eq(filtertest_through(type, many), filtertest_by_sql("demo.kinds", "s = 'Beta'"));
    value = "[";
    for (i = 0; i < UDM_FILTERS_MAX; i++) {
        value = apr_psprintf(pool, "%s%s{\"attribute\":\"i\",\"operator\":\"ne\",\"value\":%d000}",
                             value, i ? "," : "", i + 5);
    }
    ck_assert_str_eq(filtertest_through(type, apr_pstrcat(pool, value, "]", NULL)),
                     filtertest_by_sql("demo.kinds", "i IS NULL OR i < 5000"));
}
END_TEST

START_TEST(attachments_follow_the_filter)
{
    udm_source_t *source;
    udm_run_t *run;

    sourcetest_folder();
    dbtest_exec("SELECT udm.register_attributes('UCS', 'Interaction')");
    run = filtered_run("acme",
                       filtertest_filter_json("subject", "in", "[\"subject 4\",\"subject 5\"]"));
    run->export_attachments = true;
    source = sourcetest_opened(sourcetest_type("UCS", "Interaction"), run);
    ck_assert_str_eq(sourcetest_rows(source, 2), "2 ixn4,3 ixn5");
    dbtest_ok(udm_source_attachments(source));
    ck_assert_str_eq(sourcetest_rest(source, 3), "2 ixn4 doc4");
}
END_TEST

/* Together with time, media and whose rows they are. */
START_TEST(filters_narrow_what_is_asked_for)
{
    udm_run_t *run;

    sourcetest_folder();
    dbtest_exec("SELECT udm.register_attributes('UCS', 'Interaction')");
    run = filtered_run("acme", filtertest_filter_json("duration", "ge", "20"));
    APR_ARRAY_PUSH(run->media, const char *) = "Chat";
    ck_assert_str_eq(
        sourcetest_rows(sourcetest_opened(sourcetest_type("UCS", "Interaction"), run), 2),
        "2 ixn4");
    run = filtered_run("other", filtertest_filter_json("duration", "gt", "0"));
    ck_assert_str_eq(
        sourcetest_rows(sourcetest_opened(sourcetest_type("UCS", "Interaction"), run), 2),
        "0 ixn9,2 ixn7,3 ixn8");
}
END_TEST

/* Refused for good, with words that name the attribute. */
static void no_more(const udm_data_type_t *type, const char *filters, const char *attribute,
                    const char *words)
{
    udm_error_t *error = sourcetest_refused(type, filtered_run("acme", filters));

    dbtest_fails(error, UDM_E_SOURCE, words);
    if (attribute) {
        dbtest_fails(error, UDM_E_SOURCE,
                     apr_psprintf(pool, "the filter on attribute \"%s\"", attribute));
    }
    ck_assert(udm_source_permanent(error));
}

START_TEST(what_fits_no_more)
{
    const char *filters = filtertest_filter_json("s", "eq", "\"007\"");
    udm_data_type_t *type = filtertest_kinds();

    no_more(type, filtertest_filter_json("gone", "eq", "1"), "gone",
            "type \"Kinds\" of source \"iWD\" has no such attribute");
    dbtest_exec("ALTER TABLE demo.kinds RENAME s TO t");
    no_more(type, filters, "s", "demo.kinds has no column \"s\"");
    /* The column is another, and what the catalog says is not. */
    dbtest_exec("ALTER TABLE demo.kinds ADD s integer");
    ck_assert_str_eq(filtertest_through(type, filters), "");
    dbtest_exec("ALTER TABLE demo.kinds ALTER i TYPE text");
    no_more(type, filtertest_filter_json("i", "eq", "1"), "i",
            "it is of kind number, but column \"i\" of demo.kinds is of type text");
    dbtest_exec("ALTER TABLE demo.kinds ALTER bo TYPE text, ALTER d TYPE timestamptz,"
                " ALTER ts TYPE date, ALTER tz TYPE text");
    no_more(type, filtertest_filter_json("bo", "eq", "true"), "bo",
            "of kind boolean, but column \"bo\"");
    no_more(type, filtertest_filter_json("tz", "eq", "\"2026-01-01\""), "tz",
            "of kind datetime, but column");
    /* A day and an instant can be told from one another, whichever the column is now. */
    ck_assert_str_eq(filtertest_through(type, filtertest_filter_json("d", "eq", "\"2026-02-28\"")),
                     filtertest_by_sql("demo.kinds", "d >= '2026-02-28' AND d < '2026-03-01'"));
    ck_assert_str_eq(filtertest_through(type, filtertest_filter_json("ts", "eq", "\"2026-02-28\"")),
                     filtertest_by_sql("demo.kinds", "ts = '2026-02-28'"));
    /* What the catalog says is another kind. */
    dbtest_exec("SELECT udm.register_attributes('iWD', 'Kinds')");
    type = sourcetest_type("iWD", "Kinds");
    no_more(type, filtertest_filter_json("s", "eq", "\"Beta\""), "s", "its value must be");
    ck_assert_str_eq(filtertest_through(type, filtertest_filter_json("i", "eq", "\"1000\"")),
                     filtertest_by_sql("demo.kinds", "i = '1000'"));
    no_more(type, filtertest_filter_json("i", "eq", "1000"), "i", "its value must be");
    no_more(type, filtertest_filter_json("si", "contains", "1"), "si", "its operator must be");
    dbtest_exec("DELETE FROM udm.attribute");
    no_more(sourcetest_type("iWD", "Kinds"), filters, "s", "has no such attribute");
    no_more(type, "no JSON", NULL, "the filters of the run cannot be read");
    no_more(type, "{}", NULL, "the filters of the run cannot be read");
    no_more(type, "[{\"attribute\":\"s\"}]", NULL, "the filters of the run cannot be read");
}
END_TEST

/* A source whose database knows fewer characters. */
START_TEST(value_that_the_source_does_not_know)
{
    const char *name =
        apr_pstrcat(pool, dbtest_value("SELECT current_database()"), "_latin1", NULL);
    udm_data_type_t *type;
    apr_pool_t *own;
    udm_pg_t *db;

    filtertest_kinds();
    dbtest_exec(apr_psprintf(pool,
                             "CREATE DATABASE %s ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
                             " TEMPLATE template0",
                             name));
    ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
    dbtest_ok(udm_pg_connect(&db, own,
                             apr_pstrcat(pool, dbtest_conninfo(NULL), " dbname=", name, NULL),
                             "udm-test", UDM_E_DATABASE, NULL));
    dbtest_ok(
        udm_pg_exec(pool, db,
                    "CREATE SCHEMA demo; CREATE TABLE demo.kinds (id text, ccid text, s text);"
                    "INSERT INTO demo.kinds VALUES ('k1', 'acme', 'Zo\xc3\xab');"
                    "GRANT USAGE ON SCHEMA demo TO udm_test_reader;"
                    "GRANT SELECT ON demo.kinds TO udm_test_reader"));
    apr_pool_destroy(own);
    sourcetest_file("demo",
                    apr_pstrcat(pool, dbtest_conninfo("udm_test_reader"), " dbname=", name, NULL),
                    0640);
    type = sourcetest_type("iWD", "Kinds");
    ck_assert_str_eq(filtertest_through(type, filtertest_filter_json("s", "eq", "\"Zo\xc3\xab\"")),
                     "- k1");
    no_more(type, filtertest_filter_json("s", "eq", "\"\xe6\x9d\x8e\""), "s",
            "does not take its value");
    dbtest_exec(apr_psprintf(pool, "DROP DATABASE %s WITH (FORCE)", name));
}
END_TEST

/* An index on the column serves; the reader's backend reports what it did when it ends. */
START_TEST(uses_an_index)
{
    static const char *const filters[][3] = {{"s", "eq", "\"4711\""},
                                             {"s", "in", "[\"4711\",\"4712\"]"},
                                             {"at", "lt", "\"2026-01-01T00:00:09Z\""},
                                             {"n", "eq", "4711"}};
    udm_data_type_t *type;
    int before;
    int i;

    sourcetest_folder();
    dbtest_exec("CREATE TABLE demo.large AS SELECT n::text AS id, 'acme'::text AS ccid,"
                " n::varchar AS s, timestamp '2026-01-01' + n * interval '1 s' AS at,"
                " n::numeric AS n FROM generate_series(1, 50000) n;"
                "CREATE INDEX ON demo.large (s); CREATE INDEX ON demo.large (at);"
                "CREATE INDEX ON demo.large (n); ANALYZE demo.large;"
                "GRANT SELECT ON demo.large TO udm_test_reader;"
                "SELECT udm.register_type('iWD', 'Large', 'demo.large', 'id',"
                " tenant_column => 'ccid'), udm.register_attributes('iWD', 'Large'),"
                " pg_stat_force_next_flush()");
    type = sourcetest_type("iWD", "Large");
    before = sourcetest_scans("large", "seq");
    for (i = 0; i < 4; i++) {
        int index = sourcetest_scans("large", "idx");

        ck_assert_str_ne(filtertest_through(type, filtertest_filter_json(
                                                      filters[i][0], filters[i][1], filters[i][2])),
                         "");
        while (sourcetest_scans("large", "seq") == before &&
               sourcetest_scans("large", "idx") == index) {
            dbtest_exec("SELECT pg_sleep(0.01)");
        }
        ck_assert_int_eq(sourcetest_scans("large", "seq"), before);
    }
}
END_TEST

TCase *source_filter_case(void)
{
    TCase *tc = dbtest_case("source_filter");

    tcase_set_timeout(tc, 20); /* hundreds of connections */

    tcase_add_test(tc, the_rows_that_sql_finds);
    tcase_add_test(tc, the_rows_whatever_the_session);
    tcase_add_test(tc, filters_add_up);
    tcase_add_test(tc, attachments_follow_the_filter);
    tcase_add_test(tc, filters_narrow_what_is_asked_for);
    tcase_add_test(tc, what_fits_no_more);
    tcase_add_test(tc, value_that_the_source_does_not_know);
    tcase_add_test(tc, uses_an_index);
    return tc;
}
