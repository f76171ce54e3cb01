/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_source_bytes.c: names and ids are the same where their bytes are, whatever the collation, type or
 * operator of a column finds equal.
 */
#include "dbtest.h"

#include <string.h>

#include <apr_strings.h>

#include "sourcetest.h"
#include "source/private.h"

/* Collations that take no notice of case, and of accents; a type and a domain with them. */
static const char collations[] =
    "CREATE COLLATION demo.nocase (provider = icu, locale = 'und-u-ks-level2',"
    " deterministic = false);"
    "CREATE COLLATION demo.noaccent (provider = icu, locale = 'und-u-ks-level1',"
    " deterministic = false);"
    "CREATE DOMAIN demo.word AS text COLLATE demo.nocase;"
    "CREATE DOMAIN demo.short_word AS demo.word CHECK (length(VALUE) < 20);"
    "CREATE EXTENSION citext SCHEMA demo;"
    "CREATE DOMAIN demo.ciword AS demo.citext;";

/* Types of which at least one is equal to all that are alike. */
static const char *const types[] = {
    "text COLLATE demo.nocase",
    "varchar COLLATE demo.nocase",
    "varchar(40) COLLATE demo.noaccent",
    "char(9) COLLATE demo.nocase",
    "char(9)",
    "demo.word",
    "demo.short_word",
    "demo.citext",
    "demo.ciword",
    "name",
    "text",
    "varchar(9)",
    "text COLLATE \"C\"",
};
#define TYPES ((int)(sizeof(types) / sizeof(types[0])))

static const char *const alike[] = {"acme", "Acme", "ACME", "acm\xc3\xa9"};

static const char *files_of(const udm_data_type_t *type, udm_run_t *run, int fields)
{
    udm_source_t *source;
    const char *rows;
    apr_pool_t *own;

    run->export_attachments = true;
    ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
    dbtest_ok(udm_source_open(&source, own, sourcetest_path(), type, run, NULL));
    dbtest_ok(udm_source_attachments(source));
    rows = sourcetest_rest(source, fields);
    apr_pool_destroy(own);
    return rows;
}

static void table(const char *sql, ...) __attribute__((format(printf, 1, 2)));

static void table(const char *sql, ...)
{
    va_list args;

    va_start(args, sql);
    dbtest_exec(apr_pvsprintf(pool, sql, args));
    va_end(args);
    dbtest_exec("GRANT SELECT ON ALL TABLES IN SCHEMA demo TO udm_test_reader");
}

START_TEST(tenants)
{
    int i, j;

    sourcetest_folder();
    dbtest_exec(collations);
    for (i = 0; i < TYPES; i++) {
        table("DROP TABLE IF EXISTS demo.t CASCADE; CREATE TABLE demo.t (id text, ccid %s);"
              "INSERT INTO demo.t VALUES ('1', 'acme'), ('2', 'Acme'), ('3', 'ACME'),"
              " ('4', E'acm\\u00e9'), ('5', 'acme x');"
              "CREATE VIEW demo.v AS SELECT * FROM demo.t;",
              types[i]);
        for (j = 0; j < 4; j++) {
            const char *one = apr_psprintf(pool, "- %d", j + 1);

            ck_assert_str_eq(sourcetest_rows_of(sourcetest_plain("t"), sourcetest_run(alike[j]), 2),
                             one);
            ck_assert_str_eq(sourcetest_rows_of(sourcetest_plain("v"), sourcetest_run(alike[j]), 2),
                             one);
        }
        ck_assert_str_eq(sourcetest_rows_of(sourcetest_plain("t"), sourcetest_run("aCME"), 2), "");
        ck_assert_str_eq(sourcetest_rows_of(sourcetest_plain("t"), sourcetest_run("acme "), 2), "");
    }
}
END_TEST

/* Types of which others are alike: numbers, enums, and what has no equality at all. */
START_TEST(tenants_of_other_types)
{
    static const char *const cases[][4] = {
        {"integer", "7", "8", "07"},
        {"numeric", "7.0", "7", "7.00"},
        {"bytea", "\\x61", "\\x62", "a"},
        {"json", "{\"a\":1}", "{\"a\": 1}", "{}"},
        {"xml", "<a/>", "<a></a>", "<b/>"},
        {"demo.kind", "acme", "ACME", NULL},
        {"\"char\"", "a", "b", "ab"},
        {"uuid", "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b",
         "00000000-0000-4000-8000-00000000000A"},
    };
    apr_size_t i;

    sourcetest_folder();
    dbtest_exec("CREATE TYPE demo.kind AS ENUM ('acme', 'ACME')");
    for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        table("DROP TABLE IF EXISTS demo.t; CREATE TABLE demo.t (id text, ccid %s);"
              "INSERT INTO demo.t VALUES ('1', '%s'), ('2', '%s')",
              cases[i][0], cases[i][1], cases[i][2]);
        ck_assert_str_eq(sourcetest_rows_of(sourcetest_plain("t"), sourcetest_run(cases[i][1]), 2),
                         "- 1");
        ck_assert_str_eq(sourcetest_rows_of(sourcetest_plain("t"), sourcetest_run(cases[i][2]), 2),
                         "- 2");
        if (cases[i][3]) {
            ck_assert_str_eq(
                sourcetest_rows_of(sourcetest_plain("t"), sourcetest_run(cases[i][3]), 2), "");
        }
    }
}
END_TEST

/* Interactions whose keys, contact centres, media and sub-types only differ in case. */
START_TEST(attachments)
{
    int i, j, k;

    sourcetest_folder();
    dbtest_exec(collations);
    for (i = 0; i < TYPES; i++) {
        for (j = 0; j < 2; j++) {
            udm_data_type_t *type = sourcetest_type("UCS", "Interaction");
            /* Of one type both, or the key of another: then even the collations are not the same. */
            const char *key = j ? "text COLLATE demo.noaccent" : types[i];

            table("DROP TABLE IF EXISTS demo.r, demo.d; CREATE TABLE demo.r (id %s, ccid %s);"
                  "CREATE TABLE demo.d (id %s, entityid %s, ccid %s, name text, mimetype text,"
                  " content bytea);"
                  "INSERT INTO demo.r SELECT k, c FROM unnest(ARRAY['key', 'KEY']) k,"
                  " unnest(ARRAY['acme', 'Acme', 'ACME']) c;"
                  "INSERT INTO demo.d SELECT d, k, c, concat(c, ' ', k, ' ', d), 'm',"
                  " convert_to(repeat(concat(c, k, d), CASE d WHEN 'doc' THEN 1 ELSE 150000 END),"
                  " 'UTF8') FROM unnest(ARRAY['key', 'KEY']) k,"
                  " unnest(ARRAY['acme', 'Acme', 'ACME']) c, unnest(ARRAY['doc', 'DOC']) d",
                  key, types[i], types[i], types[i], types[i]);
            type->relation_name = "r";
            type->time_column = type->subtype_column = type->media_column = NULL;
            type->attachment_relation = "d";
            for (k = 0; k < 3; k++) {
                const char *c = alike[k];

                ck_assert_str_eq(files_of(type, sourcetest_run(c), 4),
                                 apr_psprintf(pool,
                                              "- KEY DOC %s KEY DOC,- KEY doc %s KEY doc,"
                                              "- key DOC %s key DOC,- key doc %s key doc",
                                              c, c, c, c));
            }
        }
    }
}
END_TEST

/* The content of one attachment, of those whose ids and entities are alike. */
START_TEST(slices)
{
    int i;

    sourcetest_folder();
    dbtest_exec(collations);
    for (i = 0; i < TYPES; i++) {
        udm_data_type_t *type = sourcetest_type("UCS", "Interaction");
        udm_run_t *run = sourcetest_run("ACME");
        const udm_content_t of = {"key", "Doc", "10", NULL, NULL};
        unsigned char data[64];
        udm_source_t *source;
        apr_pool_t *own;
        apr_size_t got;

        /* the rows of a view have no place, so that the values themselves tell them apart */
        table("DROP VIEW IF EXISTS demo.d; DROP TABLE IF EXISTS demo.b;"
              "CREATE TABLE demo.b (id %s, entityid %s, ccid %s,"
              " name text, mimetype text, content bytea);"
              "INSERT INTO demo.b SELECT d, k, c, 'n', 'm', convert_to(concat(c, k, d), 'UTF8')"
              " FROM unnest(ARRAY['key', 'KEY']) k, unnest(ARRAY['acme', 'ACME']) c,"
              " unnest(ARRAY['doc', 'DOC', 'Doc']) d; CREATE VIEW demo.d AS SELECT * FROM demo.b",
              types[i], types[i], types[i]);
        type->attachment_relation = "d";
        run->export_attachments = true;
        ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
        dbtest_ok(udm_source_open(&source, own, sourcetest_path(), type, run, NULL));
        dbtest_ok(udm_source_slice(data, &got, source, &of, 0, sizeof(data)));
        ck_assert_uint_eq(got, strlen("ACMEkeyDoc"));
        ck_assert_int_eq(memcmp(data, "ACMEkeyDoc", got), 0);
        apr_pool_destroy(own);
    }
}
END_TEST

START_TEST(media)
{
    int i;

    sourcetest_folder();
    dbtest_exec(collations);
    for (i = 0; i < TYPES; i++) {
        udm_data_type_t *type;
        udm_run_t *run = sourcetest_run("acme");

        table("DROP TABLE IF EXISTS demo.t; CREATE TABLE demo.t (id text, ccid text, m %s);"
              "INSERT INTO demo.t VALUES ('1', 'acme', 'chat'), ('2', 'acme', 'Chat'),"
              " ('3', 'acme', 'CHAT'), ('4', 'acme', 'email');"
              "DELETE FROM udm.media; SELECT udm.register_type('iWD', 'M', 'demo.t', 'id',"
              " tenant_column => 'ccid', media_column => 'm', columns => '{id}'),"
              " udm.register_media('iWD', 'M', 'chat', 'lower'),"
              " udm.register_media('iWD', 'M', 'CHAT', 'upper')",
              types[i]);
        type = sourcetest_type("iWD", "M");
        APR_ARRAY_PUSH(run->media, const char *) = "lower";
        ck_assert_str_eq(sourcetest_rows_of(type, run, 2), "- 1");
        APR_ARRAY_PUSH(run->media, const char *) = "upper";
        ck_assert_str_eq(sourcetest_rows_of(type, run, 2), "- 1,- 3");
    }
}
END_TEST

/* Media that are numbers, and text that is filled with blanks as its type says. */
START_TEST(media_as_their_type_has_them)
{
    static const char *const cases[][3] = {
        {"integer", "7", "007"}, {"numeric(9,2)", "7.00", "7"}, {"char(9)", "chat", "chat     "}};
    apr_size_t i;

    sourcetest_folder();
    for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        udm_run_t *run = sourcetest_run("acme");

        table("DROP TABLE IF EXISTS demo.t; CREATE TABLE demo.t (id text, ccid text, m %s);"
              "INSERT INTO demo.t VALUES ('1', 'acme', '%s'), ('2', 'acme', '8');"
              "DELETE FROM udm.media; SELECT udm.register_type('iWD', 'M', 'demo.t', 'id',"
              " tenant_column => 'ccid', media_column => 'm', columns => '{id}'),"
              " udm.register_media('iWD', 'M', '%s', 'it')",
              cases[i][0], cases[i][1], cases[i][2]);
        APR_ARRAY_PUSH(run->media, const char *) = "it";
        ck_assert_str_eq(sourcetest_rows_of(sourcetest_type("iWD", "M"), run, 2), "- 1");
    }
}
END_TEST

static const char *filtered(const udm_data_type_t *type, const char *operator, const char * value)
{
    udm_run_t *run = sourcetest_run("acme");

    run->filters = apr_psprintf(
        pool, "[{\"attribute\":\"s\",\"operator\":\"%s\",\"value\":%s}]", operator, value);
    return sourcetest_rows_of(type, run, 2);
}

START_TEST(filters)
{
    int i;

    sourcetest_folder();
    dbtest_exec(collations);
    for (i = 0; i < TYPES; i++) {
        udm_data_type_t *type;

        table("DROP TABLE IF EXISTS demo.t; CREATE TABLE demo.t (id text, ccid text, s %s);"
              "INSERT INTO demo.t VALUES ('1', 'acme', 'abc'), ('2', 'acme', 'Abc'),"
              " ('3', 'acme', 'ABC'), ('4', 'acme', NULL), ('5', 'acme', 'xyz');"
              "SELECT udm.register_type('iWD', 'F', 'demo.t', 'id', tenant_column => 'ccid',"
              " columns => '{id}'); DELETE FROM udm.attribute;"
              "INSERT INTO udm.attribute (source, type, name, column_name, label, kind)"
              " VALUES ('iWD', 'F', 's', 's', 's', 'string')",
              types[i]);
        type = sourcetest_type("iWD", "F");
        ck_assert_str_eq(filtered(type, "eq", "\"abc\""), "- 1");
        ck_assert_str_eq(filtered(type, "eq", "\"ABC\""), "- 3");
        ck_assert_str_eq(filtered(type, "ne", "\"abc\""), "- 2,- 3,- 4,- 5");
        ck_assert_str_eq(filtered(type, "in", "[\"Abc\",\"xyz\",\"XYZ\"]"), "- 2,- 5");
        ck_assert_str_eq(filtered(type, "contains", "\"bC\""), "- 1,- 2,- 3");
    }
}
END_TEST

/* What is contained is found in the letters of the column, not in those of the database. */
START_TEST(letters_of_collations)
{
    static const char *const letters[] = {"\"C\"", "\"und-x-icu\"", "\"tr-x-icu\"", "\"lt-x-icu\"",
                                          "demo.nocase"};
    udm_data_type_t *type;
    apr_size_t i;

    sourcetest_folder();
    dbtest_exec(collations);
    for (i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        table("DROP TABLE IF EXISTS demo.t; CREATE TABLE demo.t (id text, ccid text, s text "
              "COLLATE %s);"
              "INSERT INTO demo.t VALUES ('1', 'acme', E'IZM\\u0130R M\\u00dcLL\\u00ccR'),"
              " ('2', 'acme', 'other');"
              "SELECT udm.register_type('iWD', 'F', 'demo.t', 'id', tenant_column => 'ccid',"
              " columns => '{id}'); DELETE FROM udm.attribute;"
              "INSERT INTO udm.attribute (source, type, name, column_name, label, kind)"
              " VALUES ('iWD', 'F', 's', 's', 's', 'string')",
              letters[i]);
        type = sourcetest_type("iWD", "F");
        ck_assert_str_eq(filtered(type, "contains", "\"IZM\""), "- 1");
        ck_assert_str_eq(filtered(type, "contains", "\"M\\u00dcLL\""), "- 1");
        ck_assert_str_eq(filtered(type, "contains", "\"IZM\\u0130R M\\u00dcLL\\u00ccR\""), "- 1");
        ck_assert_str_eq(filtered(type, "contains", "\"\\u00dcX\""), "");
    }
}
END_TEST

/* The bytes are looked at among what the index finds. */
START_TEST(index_serves)
{
    static const char *const indexed[] = {"text",
                                          "varchar(40)",
                                          "text COLLATE \"C\"",
                                          "char(9)",
                                          "text COLLATE demo.nocase",
                                          "demo.short_word"};
    apr_size_t i;

    sourcetest_folder();
    dbtest_exec(collations);
    for (i = 0; i < sizeof(indexed) / sizeof(*indexed); i++) {
        udm_source_t *source;
        udm_result_t *plan;
        const char *text = "";
        apr_pool_t *own;
        int j;

        table("DROP TABLE IF EXISTS demo.t; CREATE TABLE demo.t (id integer, ccid %s);"
              "INSERT INTO demo.t SELECT n, n %% 1000 FROM generate_series(1, 20000) n;"
              "CREATE INDEX ON demo.t (ccid); ANALYZE demo.t",
              indexed[i]);
        ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
        dbtest_ok(udm_source_open(&source, own, sourcetest_path(), sourcetest_plain("t"),
                                  sourcetest_run("77"), NULL));
        dbtest_ok(udm_source_query(&plan, source, "the plan",
                                   apr_pstrcat(pool, "EXPLAIN ", source->rows_sql, NULL), 0, NULL));
        for (j = 0; j < plan->rows; j++) {
            text = apr_pstrcat(pool, text, udm_result_text(plan, j, 0), "\n", NULL);
        }
        ck_assert_msg(strstr(text, "Index Cond: ((") || strstr(text, "Index Cond: ("), "%s: %s",
                      indexed[i], text);
        apr_pool_destroy(own);
    }
}
END_TEST

/* Nothing in schema udm takes texts for equal that are not the same. */
START_TEST(catalog_compares_bytes)
{
    ck_assert_str_eq(
        dbtest_value("SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
                     " LEFT JOIN pg_collation l ON l.oid = a.attcollation"
                     " WHERE c.relnamespace = 'udm'::regnamespace AND a.attnum > 0"
                     " AND (NOT l.collisdeterministic OR a.atttypid = 'bpchar'::regtype)"),
        "0");
    dbtest_exec("SELECT udm.create_tenant('ACME'), udm.create_tenant('Acme')");
    ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.tenant WHERE ccid ILIKE 'acme'"), "3");
}
END_TEST

TCase *source_bytes_case(void)
{
    TCase *tc = dbtest_case("source_bytes");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, tenants);
    tcase_add_test(tc, tenants_of_other_types);
    tcase_add_test(tc, attachments);
    tcase_add_test(tc, slices);
    tcase_add_test(tc, media);
    tcase_add_test(tc, media_as_their_type_has_them);
    tcase_add_test(tc, filters);
    tcase_add_test(tc, letters_of_collations);
    tcase_add_test(tc, index_serves);
    tcase_add_test(tc, catalog_compares_bytes);
    return tc;
}
