/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_export_limits.c: exports of more files than there may be, and of rows that are too large.
 */
#include "dbtest.h"
#include "exporttest.h"

#include <string.h>

#include <apr_strings.h>

#include "core/text.h"

/* More files than there may be: nothing of them is left, and the size that the reason names will do. */
START_TEST(too_many_parts)
{
    exporttest_t *b = exporttest_prepare();
    udm_error_t *error;
    const char *size;

    dbtest_exec("INSERT INTO demo.interaction SELECT md5(n::text), 'acme', now(), (ARRAY[0, 2, 3])"
                "[1 + n % 3], 'chat', md5('s' || n), n FROM generate_series(1, 20000) n;"
                "ANALYZE demo.interaction");
    b->run.file_split_bytes = 65536;
    b->settings.max_parts = 4 + _i;
    error = exporttest_try(b, _i % 2 == 0 ? "UCS" : "UCSX", "Interaction");
    dbtest_fails(error, UDM_E_INVALID,
                 apr_psprintf(pool,
                              "more than %d files of up to 64KiB, and no more are allowed here",
                              b->settings.max_parts));
    exporttest_nothing_left(b);
    size = strstr(error->reason, "a fileSplitSize of ");
    ck_assert_ptr_nonnull(size);
    size = apr_pstrdup(pool, size + strlen("a fileSplitSize of "));
    ck_assert(udm_text_parse_size(&b->run.file_split_bytes,
                                  apr_pstrmemdup(pool, size, strcspn(size, " "))));
    exporttest_unpack(b, b->run.source, "Interaction");
    ck_assert_int_le(b->parts->nelts, b->settings.max_parts);
    ck_assert_int_eq(b->rows, 20006);
    /* Just as many as there are may be. */
    b->settings.max_parts = b->parts->nelts;
    b->run.export_id = "0b3c7c1e-1111-4222-8333-444455556667";
    dbtest_ok(exporttest_try(b, b->run.source, "Interaction"));
    ck_assert_int_eq(b->parts->nelts, b->settings.max_parts);
    b->settings.max_parts--;
    b->run.export_id = "0b3c7c1e-1111-4222-8333-444455556668";
    dbtest_fails(exporttest_try(b, b->run.source, "Interaction"), UDM_E_INVALID,
                 "the export would");
}
END_TEST

/* Where no larger files are allowed, less must be exported. */
START_TEST(too_many_largest_parts)
{
    exporttest_t *b = exporttest_prepare();

    dbtest_exec("INSERT INTO demo.interaction SELECT md5(n::text), 'acme', now(), (ARRAY[0, 2, 3])"
                "[1 + n % 3], 'chat', md5('s' || n), n FROM generate_series(1, 20000) n");
    b->settings.max_part_size = 65536;
    b->settings.max_parts = 4;
    dbtest_fails(exporttest_try(b, "UCS", "Interaction"), UDM_E_INVALID, "a shorter time frame");
    b->settings.max_part_size = 100000;
    b->run.file_split_bytes = 65536;
    dbtest_fails(exporttest_try(b, "UCS", "Interaction"), UDM_E_INVALID,
                 "ask for no fileSplitSize");
    exporttest_nothing_left(b);
}
END_TEST

/* Kinds of columns, and the SQL of a value of some %d bytes. */
static const struct {
    const char *type;
    const char *value;
} wide_kinds[] = {
    {"text", "repeat('x', %d)"},
    {"text", "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, %d / 32) i)"},
    {"varchar", "repeat('x', %d)"},
    {"bpchar", "repeat('x', %d)::bpchar"},
    {"bytea", "decode(repeat('ab', %d), 'hex')"},
    {"json", "to_json(repeat('x', %d))"},
    {"jsonb", "to_jsonb(repeat('x', %d))"},
    {"jsonb", "(SELECT jsonb_agg(md5(i::text)) FROM generate_series(1, %d / 36) i)"},
    {"text[]", "array_fill(repeat('x', 996), ARRAY[%d / 1000])"},
    {"text[]", "array_fill('x'::text, ARRAY[%d / 5])"},
    {"bytea[]", "ARRAY[decode(repeat('ab', %d), 'hex')]"},
    {"bigint[]", "array_fill(1234567890123, ARRAY[2, %d / 24])"},
    {"xml", "xmlelement(name a, repeat('x', %d))"},
    {"tstzrange[]", "array_fill('[2026-01-01,2026-01-02)'::tstzrange, ARRAY[%d / 60])"},
    {"demo.parts", "ROW(1, repeat('x', %d))::demo.parts"},
    {"demo.long_text", "repeat('x', %d)"},
};

/* demo.wide<n>: a small row, then one of some `size` bytes, then a small one. */
static const char *make_wide(int n, const char *type, const char *value, int size, const char *kind)
{
    dbtest_exec(apr_psprintf(pool,
                             "CREATE TABLE demo.kept%d (id integer, a text, x %s);"
                             "INSERT INTO demo.kept%d (id, a) VALUES (1, 'a');"
                             "INSERT INTO demo.kept%d VALUES (2, 'b', %s);"
                             "INSERT INTO demo.kept%d (id) VALUES (3);"
                             "CREATE %s demo.wide%d AS SELECT * FROM demo.kept%d;"
                             "GRANT SELECT ON demo.wide%d TO udm_test_reader;"
                             "SELECT udm.register_type('iWD', 'Wide%d', 'demo.wide%d', 'id', "
                             "tenants => ARRAY['acme'])",
                             n, type, n, n, exporttest_filled(value, apr_itoa(pool, size)), n, kind,
                             n, n, n, n, n));
    return apr_psprintf(pool, "Wide%d", n);
}

/* Of each kind a row below the limit is exported, and one above it is named. */
START_TEST(row_limit)
{
    exporttest_t *b = exporttest_prepare();
    udm_error_t *error;

    dbtest_exec("CREATE TYPE demo.parts AS (n integer, t text);"
                "CREATE DOMAIN demo.long_text AS text;"
                "GRANT USAGE ON TYPE demo.parts, demo.long_text TO udm_test_reader");
    b->settings.max_row = 1048576;
    for (int i = 0; i < (int)(sizeof(wide_kinds) / sizeof(wide_kinds[0])); i++) {
        const char *type = make_wide(i, wide_kinds[i].type, wide_kinds[i].value,
                                     _i == 0 ? 900000 : 1200000, "VIEW");

        b->run.export_id = apr_psprintf(pool, "0b3c7c1e-1111-4222-8333-%012d", i);
        error = exporttest_try(b, "iWD", type);
        if (_i == 0) {
            dbtest_ok(error);
            ck_assert_int_eq(b->rows, 3);
            continue;
        }
        dbtest_fails(
            error, UDM_E_SOURCE,
            apr_psprintf(pool,
                         "a row of type \"%s\" of source \"iWD\" is larger than the 1MiB "
                         "that are allowed here; its column \"x\" is the largest part of it",
                         type));
        ck_assert(udm_source_permanent(error));
        ck_assert_str_eq(error->about, "the one whose \"id\" is \"2\"");
        exporttest_nothing_left(b);
    }
}
END_TEST

/* No column is too large, but all of them together are. */
START_TEST(row_limit_of_columns)
{
    exporttest_t *b = exporttest_prepare();
    udm_error_t *error;

    make_wide(0, "text, y bytea, z jsonb",
              "repeat('x', 400000), decode(repeat('ab', 350000), 'hex'), to_jsonb(repeat('x', %d))",
              _i % 2 == 0 ? 290000 : 310000, _i < 2 ? "VIEW" : "MATERIALIZED VIEW");
    b->settings.max_row = 1048576;
    error = exporttest_try(b, "iWD", "Wide0");
    if (_i % 2 == 0) {
        dbtest_ok(error);
        return;
    }
    dbtest_fails(error, UDM_E_SOURCE, "its column \"x\" is the largest part of it");
    ck_assert_str_eq(error->about, "the one whose \"id\" is \"2\"");
    exporttest_nothing_left(b);
}
END_TEST

/*
 * A row of very many columns of a fixed size passes the source's own look, and is found when it comes.
 * Its key is known where files are called by it.
 */
START_TEST(row_limit_on_the_way)
{
    exporttest_t *b = exporttest_prepare();
    udm_error_t *error;

    dbtest_exec("SELECT udm.register_source('Each', 'DataSync', layout => 'records', connection => "
                "'demo');"
                "DO $do$ BEGIN EXECUTE (SELECT 'CREATE VIEW demo.grown AS SELECT n AS id, '"
                " || string_agg(format('repeat(''x'', 63)::name AS x%s', i), ', ')"
                " || ' FROM generate_series(1, 3) n' FROM generate_series(1, 1100) i); END $do$;"
                "GRANT SELECT ON demo.grown TO udm_test_reader;"
                "SELECT udm.register_type(s, 'Grown', 'demo.grown', 'id', tenants => ARRAY['acme'])"
                " FROM unnest(ARRAY['iWD', 'Each']) s");
    b->settings.max_row = 65536;
    error = exporttest_try(b, _i == 0 ? "iWD" : "Each", "Grown");
    dbtest_fails(error, UDM_E_SOURCE,
                 "larger than the 64KiB that are allowed here; its column \"x1\"");
    ck_assert(udm_source_permanent(error));
    ck_assert_str_eq(error->about,
                     _i == 0 ? "row 1 of those that were read" : "the one whose \"id\" is \"1\"");
    exporttest_nothing_left(b);
}
END_TEST

/* Small where they are stored, and large when they are sent. */
static const struct {
    const char *type;
    const char *value;
} grown_kinds[] = {
    {"jsonb", "(SELECT jsonb_agg(('1e' || 131000)::numeric) FROM generate_series(1, 20))"},
    {"jsonb[]", "ARRAY[(SELECT jsonb_agg(('1e' || 131000)::numeric) FROM generate_series(1, 20))]"},
    {"numrange[]", "array_fill(numrange(1, ('1e' || 131000)::numeric), ARRAY[20])"},
    {"demo.amount", "ROW(('1e' || 131000)::numeric, repeat('x', 1500000))::demo.amount"},
    {"demo.amount[]", "array_fill(ROW(('1e' || 131000)::numeric, '')::demo.amount, ARRAY[20])"},
    {"integer[]", "array_fill(NULL::integer, ARRAY[500000])"},
    {"text[]", "array_fill(NULL::text, ARRAY[500000])"},
    {"varbit", "repeat('0', 1500000)::varbit"},
    {"demo.long_word[]", "array_fill(repeat('x', 60), ARRAY[30000])::demo.long_word[]"},
};

START_TEST(row_limit_of_what_grows)
{
    const char *twenty = "xxxxxxxxxxxxxxxxxxxx";
    exporttest_t *b = exporttest_prepare();
    const char *type;
    udm_error_t *error;

    dbtest_exec(apr_psprintf(pool,
                             "CREATE TYPE demo.amount AS (n numeric, t text);"
                             "CREATE TYPE demo.long_word AS ENUM ('%s%s%s');"
                             "GRANT USAGE ON TYPE demo.amount, demo.long_word TO udm_test_reader",
                             twenty, twenty, twenty));
    b->settings.max_row = 1048576;
    for (int i = 0; i < (int)(sizeof(grown_kinds) / sizeof(grown_kinds[0])); i++) {
        type = make_wide(i, grown_kinds[i].type, grown_kinds[i].value, 0,
                         _i == 0 ? "TABLE" : "MATERIALIZED VIEW");
        error = exporttest_try(b, "iWD", type);
        dbtest_fails(error, UDM_E_SOURCE, "its column \"x\" is the largest part of it");
        /* The source itself found it: whoever counts rows read it. */
        ck_assert_str_eq(error->about, "the one whose \"id\" is \"2\"");
        exporttest_nothing_left(b);
    }
}
END_TEST

/* A key and a subtype are read as such besides the columns. */
START_TEST(row_limit_of_keys)
{
    exporttest_t *b = exporttest_prepare();
    udm_error_t *error;

    dbtest_exec(apr_psprintf(
        pool,
        "SELECT udm.register_source('Each', 'DataSync', layout => 'records', connection => 'demo');"
        "CREATE TABLE demo.keyed AS SELECT %s AS id, %s AS kind, 1 AS n FROM"
        " generate_series(1, 2) n; GRANT SELECT ON demo.keyed TO udm_test_reader;"
        "SELECT udm.register_type('%s', 'Keyed', 'demo.keyed', 'id', columns => '{n}',"
        " tenants => ARRAY['acme']%s)",
        _i == 0   ? "repeat('k', 2000000)"
        : _i == 1 ? "decode(repeat('ab', 700000), 'hex')"
                  : "n",
        _i == 2 ? "repeat('k', 2000000)" : "'a'::text", _i == 2 ? "iWD" : "Each",
        _i == 2 ? ", subtype_column => 'kind'" : ""));
    b->settings.max_row = 1048576;
    error = exporttest_try(b, _i == 2 ? "iWD" : "Each", "Keyed");
    dbtest_fails(
        error, UDM_E_SOURCE,
        apr_psprintf(pool, "its column \"%s\" is the largest part of it", _i == 2 ? "kind" : "id"));
    ck_assert_ptr_nonnull(strstr(error->about, "the one whose \"id\" is \""));
    ck_assert_uint_lt(strlen(error->about), 300);
    exporttest_nothing_left(b);
}
END_TEST

/* Of as many columns as a table has, none is large. */
START_TEST(row_limit_of_many_columns)
{
    static const char *const columns[][2] = {
        {"text", "repeat('x', 1000)"},
        {"varchar(4000)", "repeat('x', 1000)"},
        {"numeric", "repeat('9', 2500)::numeric"},
        {"jsonb", "to_jsonb(repeat('x', 1000))"},
        {"integer[]", "array_fill(1, ARRAY[130])"},
    };
    exporttest_t *b = exporttest_prepare();
    udm_error_t *error;

    b->settings.max_row = 1048576;
    for (int i = 0; i < (int)(sizeof(columns) / sizeof(columns[0])); i++) {
        dbtest_exec(apr_psprintf(
            pool,
            "DO $do$ BEGIN EXECUTE (SELECT format('CREATE VIEW demo.many%d AS SELECT n AS id, %%s"
            " FROM generate_series(1, 2) n', string_agg(format("
            "'(CASE n WHEN 2 THEN %%s END)::%s AS c%%s', $v$%s$v$, i), ', '))"
            " FROM generate_series(1, 1500) i); END $do$;"
            "GRANT SELECT ON demo.many%d TO udm_test_reader;"
            "SELECT udm.register_type('iWD', 'Many%d', 'demo.many%d', 'id',"
            " tenants => ARRAY['acme'])",
            i, columns[i][0], columns[i][1], i, i, i));
        error = exporttest_try(b, "iWD", apr_psprintf(pool, "Many%d", i));
        dbtest_fails(error, UDM_E_SOURCE, "larger than the 1MiB that are allowed here");
        ck_assert_str_eq(error->about, "the one whose \"id\" is \"2\"");
        exporttest_nothing_left(b);
    }
}
END_TEST

/* What goes with an attachment's content is a row, too. */
START_TEST(row_limit_of_attachments)
{
    exporttest_t *b = exporttest_prepare();

    dbtest_exec("UPDATE demo.document SET name = repeat('n', 2000000) WHERE id = 'doc4'");
    b->settings.max_row = 1048576;
    b->run.export_attachments = true;
    dbtest_fails(exporttest_try(b, "UCS", "Interaction"), UDM_E_SOURCE,
                 "an id, name or type of more than 1MiB");
    exporttest_nothing_left(b);
}
END_TEST

TCase *export_limits_case(void)
{
    TCase *tc = dbtest_case("export_limits");

    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, too_many_parts, 0, 6);
    tcase_add_test(tc, too_many_largest_parts);
    tcase_add_loop_test(tc, row_limit, 0, 2);
    tcase_add_loop_test(tc, row_limit_of_columns, 0, 4);
    tcase_add_loop_test(tc, row_limit_on_the_way, 0, 2);
    tcase_add_loop_test(tc, row_limit_of_what_grows, 0, 2);
    tcase_add_loop_test(tc, row_limit_of_keys, 0, 3);
    tcase_add_test(tc, row_limit_of_many_columns);
    tcase_add_test(tc, row_limit_of_attachments);
    return tc;
}
