/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_source_filter_hostile.c: the rows are the same whatever a value and a column are called:
 * what looks like SQL or JSON is only a value or a name.
 */
#include "dbtest.h"
#include "filtertest.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <jansson.h>

#include "sourcetest.h"

static const char *string_json(const char *text)
{
    json_t *json = json_string(text);
    char *dump = json_dumps(json, JSON_ENCODE_ANY);
    const char *copy = apr_pstrdup(pool, dump);

    free(dump);
    json_decref(json);
    return copy;
}

static const char *literal(const char *text)
{
    char *quoted = PQescapeLiteral(dbtest_admin()->conn, text, strlen(text));
    const char *copy = apr_pstrdup(pool, quoted);

    PQfreemem(quoted);
    return copy;
}

/* What might be taken for something else on its way into SQL, an array or a setting. */
static const char *const hostile[] = {
    "'",
    "''",
    "' OR true --",
    "$1",
    "$$",
    "current_setting('udm.ccid')",
    "{a,\"b\"}",
    "{}",
    "{",
    "NULL",
    "null",
    "\"",
    "\\",
    "\\\\",
    "\\'; SELECT 1",
    "a,b",
    " ",
    "  lead and trail  ",
    "%s%n",
    "%",
    "_",
    "/* */ --",
    "line\nline\r\n\ttab",
    "\x01\x7f",
    "\xef\xbb\xbf",
    "\xf0\x9f\x92\xbe \xe2\x80\xae",
    "e\xcc\x81",
    "a",
};
#define HOSTILE ((int)(sizeof(hostile) / sizeof(hostile[0])))

static const char *id_of(int number)
{
    return apr_psprintf(pool, "- h%02d", number);
}

START_TEST(values_are_only_values)
{
    udm_data_type_t *type;
    const char *all = "[", *wanted = "";
    int i;

    sourcetest_folder();
    dbtest_exec("CREATE TABLE demo.hostile (id text, ccid text, s text, v varchar(99));"
                "GRANT SELECT ON demo.hostile TO udm_test_reader;"
                "SELECT udm.register_type('iWD', 'Hostile', 'demo.hostile', 'id',"
                " tenant_column => 'ccid'), udm.register_attributes('iWD', 'Hostile')");
    for (i = 0; i < HOSTILE; i++) {
        const char *text = literal(hostile[i]);

        dbtest_exec(apr_psprintf(pool, "INSERT INTO demo.hostile VALUES ('h%02d', 'acme', %s, %s)",
                                 i, text, text));
        all = apr_pstrcat(pool, all, i ? "," : "", string_json(hostile[i]), NULL);
        wanted = apr_pstrcat(pool, wanted, i ? "," : "", id_of(i), NULL);
    }
    dbtest_exec("INSERT INTO demo.hostile SELECT id, 'other', s, v FROM demo.hostile");
    type = sourcetest_type("iWD", "Hostile");
    all = apr_pstrcat(pool, all, "]", NULL);
    ck_assert_str_eq(filtertest_through(type, filtertest_filter_json("s", "in", all)), wanted);
    ck_assert_str_eq(filtertest_through(type, filtertest_filter_json("v", "in", all)), wanted);
    for (i = 0; i < HOSTILE; i++) {
        const char *value = string_json(hostile[i]);
        const char *text = literal(hostile[i]);

        ck_assert_str_eq(filtertest_through(type, filtertest_filter_json("s", "eq", value)),
                         id_of(i));
        ck_assert_str_eq(
            filtertest_through(
                type, filtertest_filter_json("v", "in", apr_psprintf(pool, "[%s]", value))),
            id_of(i));
        ck_assert_str_eq(filtertest_through(type, filtertest_filter_json("s", "ne", value)),
                         filtertest_by_sql("demo.hostile", apr_psprintf(pool, "s <> %s", text)));
        ck_assert_str_eq(
            filtertest_through(type, filtertest_filter_json("v", "contains", value)),
            filtertest_by_sql(
                "demo.hostile",
                apr_psprintf(pool, "replace(lower(s), lower(%s), '') <> lower(s)", text)));
    }
}
END_TEST

/* Columns that are called like SQL. */
START_TEST(columns_are_only_columns)
{
    static const char *const names[] = {
        "a\"b",
        "\"; DROP TABLE demo.odd; --",
        "$1",
        "r.id",
        "select",
        "UPPER lower ",
        "%s",
        "current_setting('udm.ccid')",
        "r",
        "ccid2",
        "\xc3\xa9\xf0\x9f\x92\xbe",
        "'",
        "\\",
        "true",
        "a",
        "filter_0",
    };
    const int count = (int)(sizeof(names) / sizeof(names[0]));
    udm_data_type_t *type;
    const char *table = "CREATE TABLE demo.odd (id text, ccid text";
    int i;

    sourcetest_folder();
    for (i = 0; i < count; i++) {
        table = apr_pstrcat(pool, table, ", ", udm_pg_identifier(pool, names[i]), " text", NULL);
    }
    dbtest_exec(apr_pstrcat(pool, table, ")", NULL));
    dbtest_exec("GRANT SELECT ON demo.odd TO udm_test_reader;"
                "SELECT udm.register_type('iWD', 'Odd', 'demo.odd', 'id', tenant_column => 'ccid'),"
                " udm.register_attributes('iWD', 'Odd')");
    for (i = 0; i < count; i++) {
        dbtest_exec(
            apr_psprintf(pool, "INSERT INTO demo.odd (id, ccid, %s) VALUES ('h%02d', 'acme', 'x')",
                         udm_pg_identifier(pool, names[i]), i));
    }
    type = sourcetest_type("iWD", "Odd");
    ck_assert_int_eq(type->attributes->nelts, count + 1);
    for (i = 0; i < count; i++) {
        ck_assert_str_eq(filtertest_through(type, filtertest_filter_json(names[i], "eq", "\"x\"")),
                         id_of(i));
        ck_assert_str_eq(
            filtertest_through(type, filtertest_filter_json(names[i], "in", "[\"x\"]")), id_of(i));
    }
}
END_TEST

/* The name of an attribute need not be that of its column. */
START_TEST(attribute_names_its_column)
{
    udm_data_type_t *type;

    filtertest_kinds();
    dbtest_exec("DELETE FROM udm.attribute;"
                "SELECT udm.register_attribute('iWD', 'Kinds', 's', 'i'),"
                " udm.register_attribute('iWD', 'Kinds', 'i', 'Number of \"things\"')");
    type = sourcetest_type("iWD", "Kinds");
    ck_assert_str_eq(filtertest_through(type, filtertest_filter_json("i", "eq", "\"Beta\"")),
                     filtertest_by_sql("demo.kinds", "s = 'Beta'"));
    ck_assert_str_eq(
        filtertest_through(type, filtertest_filter_json("Number of \"things\"", "eq", "1000")),
        filtertest_by_sql("demo.kinds", "i = 1000"));
}
END_TEST

TCase *source_filter_hostile_case(void)
{
    TCase *tc = dbtest_case("source_filter_hostile");

    tcase_set_timeout(tc, 20); /* hundreds of connections */
    tcase_add_test(tc, values_are_only_values);
    tcase_add_test(tc, columns_are_only_columns);
    tcase_add_test(tc, attribute_names_its_column);
    return tc;
}
