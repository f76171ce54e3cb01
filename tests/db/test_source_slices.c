/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_source_slices.c: attachments, the slices that they are read in, and rows that are large.
 */
#include "dbtest.h"

#include <string.h>

#include <apr_strings.h>

#include "sourcetest.h"
#include "source/private.h"

/* Which relations are asked for rows that are too large: those that can have one. */
START_TEST(looks_for_large_rows)
{
    static const struct {
        const char *relation;
        bool asked;
    } cases[] = {
        {"TABLE demo.l AS SELECT * FROM demo.contact", false},
        {"TABLE demo.l AS SELECT id, ccid, repeat('x', 1000000) AS t FROM demo.contact", false},
        {"MATERIALIZED VIEW demo.l AS SELECT * FROM demo.contact", false},
        {"TABLE demo.l AS SELECT id, ccid, (SELECT string_agg(md5(n::text || i), '')"
         " FROM generate_series(1, 30000) i) AS t FROM generate_series(1, 2) n, demo.contact",
         true},
        {"MATERIALIZED VIEW demo.l AS SELECT id, ccid, (SELECT string_agg(md5(n::text || i), '')"
         " FROM generate_series(1, 30000) i) AS t FROM generate_series(1, 2) n, demo.contact",
         true},
        {"VIEW demo.l AS SELECT * FROM demo.contact", true},
        {"VIEW demo.l AS SELECT id, ccid::varchar(20), name::char(100), id::numeric AS n, now(),"
         " 'a'::name AS m, id = 1 AS b FROM demo.contact",
         false},
        {"VIEW demo.l AS SELECT id, ccid::varchar(20), name::varchar(20000) FROM demo.contact",
         true},
        {"VIEW demo.l AS SELECT id, ccid::varchar(20), ARRAY[id] AS ids FROM demo.contact", true},
        {"VIEW demo.l AS SELECT id, ccid::varchar(20), to_jsonb(id) AS j FROM demo.contact", true},
        {"VIEW demo.l AS SELECT id, ccid::varchar(20), int4range(1, 2) AS r FROM demo.contact",
         true},
    };
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    udm_source_t *source;

    sourcetest_folder();
    type->relation_name = "l";
    type->time_column = NULL;
    dbtest_exec(apr_psprintf(pool, "CREATE %s; GRANT SELECT ON demo.l TO udm_test_reader",
                             cases[_i].relation));
    dbtest_ok(udm_source_open_held(&source, pool, sourcetest_path(), type, sourcetest_run("acme"),
                                   NULL, NULL, APR_INT64_C(64) << 20));
    ck_assert_msg((source->large_sql != NULL) == cases[_i].asked, "%s", cases[_i].relation);
    ck_assert_int_eq(strstr(source->rows_sql, "row_too_large") != NULL, cases[_i].asked);
    sourcetest_rows(source, 2);
    /* Nor without a limit. */
    ck_assert_ptr_null(sourcetest_opened(type, sourcetest_run("acme"))->large_sql);
}
END_TEST

/* Rows of a table count for its partitions and for those that inherit. */
START_TEST(looks_for_large_rows_of_children)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    udm_source_t *source;

    sourcetest_folder();
    dbtest_exec(_i == 0
                    ? "CREATE TABLE demo.l (id integer, ccid text, t text) PARTITION BY LIST (id);"
                      "CREATE TABLE demo.l1 PARTITION OF demo.l DEFAULT"
                    : "CREATE TABLE demo.l (id integer, ccid text, t text);"
                      "CREATE TABLE demo.l1 () INHERITS (demo.l)");
    dbtest_exec("GRANT SELECT ON demo.l TO udm_test_reader");
    type->relation_name = "l";
    type->time_column = NULL;
    for (int n = 0; n < 2; n++) {
        dbtest_ok(udm_source_open_held(&source, pool, sourcetest_path(), type,
                                       sourcetest_run("acme"), NULL, NULL, APR_INT64_C(64) << 20));
        ck_assert_int_eq(source->large_sql != NULL, n);
        dbtest_exec("INSERT INTO demo.l1 SELECT 1, 'acme', (SELECT string_agg(md5(i::text), '')"
                    " FROM generate_series(1, 30000) i)");
    }
}
END_TEST

START_TEST(attachments_and_slices)
{
    udm_run_t *run = sourcetest_run("acme");
    unsigned char *data = apr_palloc(pool, 3000000);
    udm_source_t *source;
    const unsigned char *tuple;
    udm_content_t of = {"ixn4", "doc4", "2000000", NULL, NULL};
    apr_size_t size, got;

    sourcetest_folder();
    if (_i == 1) { /* whose rows have no place */
        dbtest_exec("ALTER TABLE demo.document RENAME TO paper;"
                    "CREATE VIEW demo.document AS SELECT * FROM demo.paper;"
                    "GRANT SELECT ON demo.document TO udm_test_reader");
    }
    dbtest_exec(
        "UPDATE demo.document SET content = convert_to(repeat('0123456789', 200000), 'UTF8')"
        " WHERE id = 'doc4'; UPDATE demo.document SET content = NULL WHERE id = 'doc1';"
        /* The same ids at another contact centre. */
        "INSERT INTO demo.document VALUES ('doc4', 'other', 'ixn4', 'secret', 'x', 'xx'),"
        " ('doc9', 'acme', 'ixn2', 'small', 'm', 'abc'), ('doc8', 'acme', 'ixn8', 'not his',"
        " 'm', 'abc')");
    run->export_attachments = true;
    source = sourcetest_opened(sourcetest_type("UCS", "Interaction"), run);
    if (_i == 0) {
        of.table = dbtest_value("SELECT 'demo.document'::regclass::oid::text");
        of.place = dbtest_value("SELECT ctid::text FROM demo.document"
                                " WHERE id = 'doc4' AND ccid = 'acme'");
    }
    dbtest_ok(udm_source_attachments(source));
    dbtest_ok(udm_source_next(&tuple, &size, source));
    ck_assert_ptr_nonnull(tuple);
    /* While rows are being read. */
    dbtest_ok(udm_source_slice(data, &got, source, &of, 0, 1048576));
    ck_assert_uint_eq(got, 1048576);
    ck_assert_int_eq(memcmp(data, "0123456789", 10), 0);
    dbtest_fails(udm_source_slice(data, &got, source, &of, 1999995, 1048576), UDM_E_INTERNAL,
                 "in order");
    dbtest_ok(udm_source_slice(data, &got, source, &of, 1048576, 951424));
    ck_assert_uint_eq(got, 951424);
    ck_assert_int_eq(memcmp(data, "67890", 5), 0);
    ck_assert_int_eq(memcmp(data + 951419, "56789", 5), 0);
    /* From the beginning again, and from where it was not read to its end. */
    for (int i = 0; i < 2; i++) {
        dbtest_ok(udm_source_slice(data, &got, source, &of, 0, 1000));
        ck_assert_uint_eq(got, 1000);
        ck_assert_int_eq(memcmp(data + 995, "56789", 5), 0);
    }
    sourcetest_rest(source, 0);
    dbtest_ok(udm_source_attachments(source));
    ck_assert_str_eq(sourcetest_rest(source, 7), "2 ixn1 doc1 file1.txt text/plain - -,"
                                                 "2 ixn4 doc4 file4.txt text/plain 2000000 -,"
                                                 "3 ixn2 doc9 small m 3 abc");
}
END_TEST

/* However many slices there are, the content is worked out (or unpacked, or converted) once for all. */
START_TEST(slices_of_what_is_dear)
{
    const udm_content_t of = {"ixn4", "doc4", "4000000", NULL, NULL};
    udm_data_type_t *type = sourcetest_type("UCS", "Interaction");
    unsigned char *data = apr_palloc(pool, 500000);
    udm_run_t *run = sourcetest_run("acme");
    udm_source_t *source;
    apr_size_t got;

    sourcetest_folder();
    dbtest_exec("CREATE FUNCTION demo.dear() RETURNS bytea LANGUAGE plpgsql STABLE AS $f$"
                " DECLARE n integer := coalesce(nullif(current_setting('demo.calls', true), ''),"
                "  '0'); BEGIN PERFORM set_config('demo.calls', (n + 1)::text, false);"
                " IF n >= 4 THEN RAISE 'called again'; END IF;"
                " RETURN convert_to(repeat('0123456789', 400000), 'UTF8'); END $f$;"
                "CREATE VIEW demo.files AS SELECT id, ccid, entityid, name, mimetype,"
                " demo.dear() AS content FROM demo.document WHERE id = 'doc4';"
                "GRANT SELECT ON demo.files TO udm_test_reader");
    type->attachment_relation = "files";
    run->export_attachments = true;
    source = sourcetest_opened(type, run);
    for (apr_int64_t at = 0; at < 4000000; at += 500000) {
        dbtest_ok(udm_source_slice(data, &got, source, &of, at, 500000));
        ck_assert_uint_eq(got, 500000);
        ck_assert_int_eq(memcmp(data, "0123456789", 10), 0);
    }
}
END_TEST

START_TEST(attachments_follow_the_window)
{
    udm_run_t *run = sourcetest_run("acme");
    udm_source_t *source;

    sourcetest_folder();
    run->export_attachments = true;
    APR_ARRAY_PUSH(run->media, const char *) = "Email";
    source = sourcetest_opened(sourcetest_type("UCS", "Interaction"), run);
    dbtest_ok(udm_source_attachments(source));
    ck_assert_str_eq(sourcetest_rest(source, 3), "");
    run->export_attachments = false;
    source = sourcetest_opened(sourcetest_type("UCS", "Interaction"), run);
    dbtest_fails(udm_source_attachments(source), UDM_E_INTERNAL, "without attachments");
}
END_TEST

TCase *source_slices_case(void)
{
    TCase *tc = dbtest_case("source_slices");

    tcase_add_test(tc, slices_of_what_is_dear);
    tcase_add_loop_test(tc, looks_for_large_rows, 0, 11);
    tcase_add_loop_test(tc, looks_for_large_rows_of_children, 0, 2);
    tcase_add_loop_test(tc, attachments_and_slices, 0, 2);
    tcase_add_test(tc, attachments_follow_the_window);
    return tc;
}
