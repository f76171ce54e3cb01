/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_export_types.c: values of every type are written as PostgreSQL's own to_json writes them,
 * whatever the session of the reader is set to.
 */
#include "dbtest.h"
#include "export_edges.h"
#include "exporttest.h"

#include "../unit/scratch.h"

/* Columns of every kind, and the SQL that says what is expected of each. */
static const struct {
    const char *name;
    const char *type;
    const char *value; /* of row n */
    const char *text;  /* the JSON; NULL: to_json */
} kinds[] = {
    {"id", "integer", "n", NULL},
    {"b", "boolean", "n % 2 = 0", NULL},
    {"i2", "smallint", "(n * 37 % 65536 - 32768)::smallint", NULL},
    {"i8", "bigint", "n::bigint * 3074457345618258 * (1 - n % 2 * 2)", NULL},
    {"num", "numeric",
     "CASE n % 9 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN '-Infinity' "
     "WHEN 3 THEN 0 WHEN 4 THEN ('0e-' || n % 30)::numeric "
     "ELSE (CASE WHEN n % 2 = 0 THEN '-' ELSE '' END || (n * 7919) || 'e' || n % 41 - 20)::numeric "
     "END",
     NULL},
    {"num2", "numeric(20,6)", "n * 1234.5678 - 500000", NULL},
    {"num3", "numeric", "CASE n WHEN 1 THEN '1e5000' WHEN 2 THEN '-1.5e-3000' END::numeric", NULL},
    {"f8", "float8",
     "CASE n % 4 WHEN 0 THEN n / 10.0::float8 WHEN 1 THEN random() * power(10::float8, n % 600 - "
     "300) "
     "WHEN 2 THEN power(2::float8, n % 1023) WHEN 3 THEN (n * 4503599627370497.0)::float8 END",
     NULL},
    {"f8b", "float8",
     "CASE n % 6 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' WHEN 2 THEN '-0' "
     "WHEN 3 THEN power(2::float8, -(n % 1074)) WHEN 4 THEN ('4.94e-' || 300 + n % 24)::float8 "
     "ELSE -random() END",
     NULL},
    {"f8c", "float8", "('1e' || n % 617 - 308)::float8", NULL},
    {"f8d", "float8", "(n || '00000000000' || n || 'e' || n % 20 - 15)::float8", NULL},
    {"f4", "float4",
     "CASE n % 5 WHEN 0 THEN n / 10.0 WHEN 1 THEN random() * power(10::float8, n % 70 - 35) "
     "WHEN 2 THEN power(2::float8, n % 127) WHEN 3 THEN power(2::float8, -(n % 149)) "
     "ELSE n * 16777.3 END::float4",
     NULL},
    {"f4b", "float4", "('1e' || n % 75 - 37)::float4", NULL},
    {"t", "text",
     "CASE n % 3 WHEN 0 THEN repeat(chr(n % 127 + 1), n % 40) || '\"\\/' || chr(n % 50000 + 256) "
     "WHEN 1 THEN repeat('aщ漢😀\t', n % 9) ELSE '' END",
     NULL},
    {"vc", "varchar(50)", "'v' || chr(1 + n % 31) || n", NULL},
    {"bp", "char(7)", "'c' || n", NULL},
    {"nm", "name", "('name' || n)::name", NULL},
    {"u", "uuid", "md5(n::text)::uuid", NULL},
    {"d", "date",
     "CASE n % 5 WHEN 0 THEN 'infinity'::date WHEN 1 THEN '-infinity'::date "
     "WHEN 2 THEN '4713-01-01 BC'::date + n * 911 ELSE '1970-01-01'::date + n * 1999 END",
     NULL},
    {"ts", "timestamp",
     "CASE n % 5 WHEN 0 THEN 'infinity'::timestamp WHEN 1 THEN '0001-12-31 BC'::timestamp "
     "+ n * interval '1 month 3.5 us' ELSE '2015-08-05 08:31:20.78'::timestamp "
     "+ n * interval '7 days 0.010203 s' END",
     NULL},
    {"tz", "timestamptz",
     "CASE n % 5 WHEN 0 THEN '-infinity'::timestamptz WHEN 1 THEN '0044-03-15 00:00:00+00 "
     "BC'::timestamptz + n * interval '13 hours' WHEN 2 THEN '9999-12-31 23:00+00'::timestamptz "
     "+ n * interval '1 day' ELSE '2015-08-05 08:31:20.78+02'::timestamptz "
     "+ n * interval '7 days 0.010203 s' END",
     "CASE WHEN NOT isfinite(tz) THEN to_json(tz)::text ELSE to_json(regexp_replace("
     "to_json(tz AT TIME ZONE 'UTC') #>> '{}', '^([^ .]*)(\\.[0-9]+)?( BC)?$', '\\1') || '.' || "
     "to_char(tz AT TIME ZONE 'UTC', 'US') || 'Z' || "
     "CASE WHEN tz < '0001-01-01 00:00+00' THEN ' BC' ELSE '' END)::text END"},
    {"by", "bytea", "decode(md5(n::text) || repeat('00', n % 5), 'hex')",
     "to_json(replace(encode(\"by\", 'base64'), E'\\n', ''))::text"},
    {"j", "json", "('{\"a\" :' || n || E',\\n \"b\":\"x\\\\n\\\\u0041щ\"\\r\\n}')::json",
     "translate(j::text, E'\\r\\n', '  ')"},
    {"jb", "jsonb", "jsonb_build_object('k', n, 'l', jsonb_build_array(1, 'щ\"', null))", NULL},
    {"ai", "integer[]", "CASE n % 3 WHEN 0 THEN '{}' WHEN 1 THEN ARRAY[n, NULL, -n] END", NULL},
    {"at", "text[]", "ARRAY[ARRAY['a\"' || n, NULL], ARRAY['', E'x\\ny']]", NULL},
    {"an", "numeric[]", "ARRAY[n / 3.0, 'NaN']", NULL},
    {"aj", "jsonb[]", "ARRAY[to_jsonb(n), NULL, '{\"a\": [1]}']", NULL},
    {"ad", "date[]", "ARRAY[ARRAY[ARRAY['2020-02-29'::date + n]]]", NULL},
    {"iv", "interval", "n * interval '1 day 2 hours'", NULL},
    {"tm", "time", "'10:11:12.5'::time + n * interval '1 s'", NULL},
    {"ip", "inet", "'10.0.0.0'::inet + n", NULL},
    {"rg", "int4range", "int4range(n, n + 5)", NULL},
    {"We\"ird", "text", "'x' || n", NULL},
    {"nul", "text", "NULL", NULL},
};

START_TEST(as_to_json)
{
    exporttest_t *b = exporttest_prepare();
    const char *columns = "", *values = "", *wanted = "'{' ";
    const char *got, *expected;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const char *name = udm_pg_identifier(pool, kinds[i].name);
        const char *comma = i == 0 ? "" : ", ";

        columns = apr_pstrcat(pool, columns, comma, name, " ", kinds[i].type, NULL);
        values = apr_pstrcat(pool, values, comma, kinds[i].value, NULL);
        wanted = apr_pstrcat(pool, wanted, i == 0 ? "" : "|| ',' ", "|| to_json('", kinds[i].name,
                             "'::text)::text", " || ':' || coalesce(",
                             kinds[i].text != NULL
                                 ? kinds[i].text
                                 : apr_pstrcat(pool, "to_json(", name, ")::text", NULL),
                             ", 'null')", NULL);
    }
    dbtest_exec("SET timezone = 'UTC'");
    dbtest_exec(apr_pstrcat(pool, "CREATE TABLE demo.kinds (", columns, ")", NULL));
    dbtest_exec(apr_pstrcat(pool, "INSERT INTO demo.kinds SELECT ", values,
                            " FROM generate_series(1, 3000) n;"
                            "GRANT SELECT ON demo.kinds TO udm_test_reader;"
                            "SELECT udm.register_type('iWD', 'Kinds', 'demo.kinds', 'id', "
                            "tenants => ARRAY['acme'])",
                            NULL));
    exporttest_unpack(b, "iWD", "Kinds");
    ck_assert_int_eq(b->rows, 3000);
    got = exporttest_file(b, "Kinds-12.json");
    expected = exporttest_sql_lines(
        apr_pstrcat(pool, "SELECT id, ", wanted, " || '}' FROM demo.kinds", NULL));
    while (*got != '\0' && *expected != '\0') {
        const char *line = apr_pstrmemdup(pool, got, strcspn(got, "\n"));

        ck_assert_str_eq(line, apr_pstrmemdup(pool, expected, strcspn(expected, "\n")));
        got += strlen(line) + 1;
        expected += strlen(line) + 1;
    }
    ck_assert_str_eq(got, expected);
}
END_TEST

/* The SQL of a value in one of its shapes. */
static const char *edge_value(int i)
{
    const edge_t *edge = &edges[i / EDGE_SHAPES];

    return edge_is_alone(edge) ? edge->value
                               : exporttest_filled(edge_shapes[i % EDGE_SHAPES].value, edge->value);
}

/* The JSON in SQL that is expected of a shape of a value. */
static const char *edge_wanted(const edge_t *edge, int shape, const char *value)
{
    const char *text = edge->text != NULL ? exporttest_filled(edge->text, edge->value) : NULL;

    if (text == NULL) {
        return apr_psprintf(pool, "to_json(%s)::text", value);
    }
    return edge_shapes[shape].text != NULL ? exporttest_filled(edge_shapes[shape].text, text)
                                           : text;
}

/* How the sessions of a reader may be set up. */
static const char *const odd_sessions[][12] = {
    {NULL},
    {"IntervalStyle = 'sql_standard'", "DateStyle = 'SQL, DMY'", "bytea_output = 'escape'",
     "extra_float_digits = -15", "TimeZone = 'America/New_York'", "quote_all_identifiers = on",
     "standard_conforming_strings = off", "xmlbinary = 'hex'", "transform_null_equals = on",
     "search_path = demo", NULL},
    {"IntervalStyle = 'iso_8601'", "DateStyle = 'Postgres, MDY'", "TimeZone = '<x>-13'",
     "array_nulls = off", "client_encoding = 'LATIN1'", "xmloption = 'document'",
     "default_transaction_isolation = 'serializable'", "default_transaction_read_only = off",
     "plan_cache_mode = 'force_generic_plan'", "parallel_setup_cost = 0", NULL},
    {"IntervalStyle = 'postgres_verbose'", "DateStyle = 'German'", "extra_float_digits = 3",
     "TimeZone = 'Asia/Kathmandu'", "statement_timeout = '5min'",
     "default_transaction_deferrable = on", "timezone_abbreviations = 'Australia'", NULL},
};
#define ODD_SESSIONS ((int)(sizeof(odd_sessions) / sizeof(odd_sessions[0])))

static void set_reader_up(const char *const *settings)
{
    for (int i = 0; settings[i] != NULL; i++) {
        dbtest_exec(apr_psprintf(pool,
                                 "DO $do$ BEGIN EXECUTE format($f$ALTER ROLE udm_test_reader IN"
                                 " DATABASE %%I SET %s$f$, current_database()); END $do$",
                                 settings[i]));
    }
}

/*
 * Every built-in type, at its edges, by itself and in arrays: a view with a column for each, of which
 * a single value that cannot be read would fail the export. Whatever the reader's sessions are like.
 */
START_TEST(edges_of_types)
{
    const char *columns = "1 AS id", *wanted = "1", *names = "", *unseen;
    exporttest_t *b = exporttest_prepare();
    udm_result_t *expected;
    const char *got;

    for (int i = 0; i < EDGE_COUNT; i++) {
        names = apr_pstrcat(pool, names, i == 0 ? "\"" : ",\"", edges[i].type, "\"", NULL);
    }
    unseen = dbtest_value(apr_psprintf(
        pool,
        "SELECT string_agg(typname, ' ') FROM pg_type WHERE oid < 10000 AND typtype IN"
        " ('b', 'r', 'm') AND typname NOT LIKE '\\_%%' AND typname NOT IN (%s) AND typname <>"
        " ALL ('{%s}')",
        edge_without_values, names));
    ck_assert_msg(unseen == NULL, "no value of %s", unseen);
    dbtest_exec(edge_types);
    for (int i = 0; i < EDGE_COUNT * EDGE_SHAPES; i++) {
        const edge_t *edge = &edges[i / EDGE_SHAPES];
        const char *value = edge_value(i);

        columns = apr_psprintf(pool, "%s, %s AS c%d", columns, value, i);
        wanted = apr_psprintf(pool, "%s, coalesce(%s, 'null')", wanted,
                              edge_wanted(edge, i % EDGE_SHAPES, value));
    }
    dbtest_exec(apr_psprintf(pool,
                             "CREATE VIEW demo.edges AS SELECT %s;"
                             "GRANT SELECT ON demo.edges TO udm_test_reader;"
                             "SELECT udm.register_type('iWD', 'Edges', 'demo.edges', 'id', "
                             "tenants => ARRAY['acme'])",
                             columns));
    set_reader_up(odd_sessions[_i]);
    dbtest_exec("SET timezone = 'UTC'; SET search_path = pg_catalog");
    dbtest_ok(udm_pg_query_text(&expected, pool, dbtest_admin(),
                                apr_pstrcat(pool, "SELECT ", wanted, NULL), 0, NULL));
    exporttest_unpack(b, "iWD", "Edges");
    got = exporttest_file(b, "Edges-12.json");
    ck_assert_int_eq(strncmp(got, "{\"id\":1", 7), 0);
    got += 7;
    for (int i = 0; i < EDGE_COUNT * EDGE_SHAPES; i++) {
        const char *text = udm_result_text(expected, 0, i + 1);
        const char *member = apr_psprintf(pool, ",\"c%d\":%s", i, text);

        if (strncmp(got, member, strlen(member)) != 0) {
            ck_abort_msg("%s, as %s: expected %.200s, got %.200s", edges[i / EDGE_SHAPES].value,
                         edge_shapes[i % EDGE_SHAPES].value, member, got);
        }
        got += strlen(member);
    }
    ck_assert_str_eq(got, "}\n");
}
END_TEST

TCase *export_types_case(void)
{
    TCase *tc = dbtest_case("export_types");

    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, as_to_json);
    tcase_add_loop_test(tc, edges_of_types, 0, ODD_SESSIONS);
    return tc;
}
