/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_source.c: what a source's reader gives, tenant by tenant, and what it refuses.
 */
#include "dbtest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "sourcetest.h"
#include "core/calendar.h"
#include "db/catalog.h"
#include "source/private.h"

/* Of the running test: a folder with connection files. */
static const char *folder;

static const char *file_path(const char *name)
{
    return apr_pstrcat(pool, folder, "/", name, NULL);
}

const char *sourcetest_path(void)
{
    return folder;
}

void sourcetest_file(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(file_path(name), "w");

    ck_assert_ptr_nonnull(file);
    ck_assert(fputs(text, file) >= 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(file_path(name), mode), 0);
}

static apr_status_t remove_folder(void *data)
{
    (void)data;
    unlink(file_path("demo"));
    unlink(file_path("other_one"));
    rmdir(folder);
    return APR_SUCCESS;
}

void sourcetest_folder(void)
{
    char *name = apr_pstrdup(pool, "/tmp/udm-source-XXXXXX");

    ck_assert_ptr_nonnull(mkdtemp(name));
    folder = name;
    apr_pool_cleanup_register(pool, NULL, remove_folder, apr_pool_cleanup_null);
    sourcetest_file("demo", dbtest_conninfo("udm_test_reader"), 0640);
}

udm_data_type_t *sourcetest_type(const char *source, const char *name)
{
    udm_data_type_t *type;

    dbtest_ok(udm_catalog_type(&type, pool, dbtest_worker(), source, name));
    type->records = true; /* so that the rows come with their keys */
    return type;
}

udm_data_type_t *sourcetest_plain(const char *relation)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");

    type->relation_name = relation;
    type->time_column = NULL;
    return type;
}

udm_run_t *sourcetest_run(const char *ccid)
{
    udm_run_t *run = apr_pcalloc(pool, sizeof(*run));

    run->id = 2;
    run->job_id = 1;
    run->ccid = ccid;
    run->window_all = true;
    run->window_from = UDM_NO_TIME;
    run->window_to = UDM_NO_TIME;
    run->media = apr_array_make(pool, 2, sizeof(const char *));
    return run;
}

udm_source_t *sourcetest_opened(const udm_data_type_t *type, const udm_run_t *run)
{
    udm_source_t *source;

    dbtest_ok(udm_source_open(&source, pool, folder, type, run, NULL));
    ck_assert_ptr_nonnull(source);
    return source;
}

udm_error_t *sourcetest_refused(const udm_data_type_t *type, const udm_run_t *run)
{
    udm_source_t *source;
    udm_error_t *error;
    apr_pool_t *own;

    ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
    error = udm_error_copy(pool, udm_source_open(&source, own, folder, type, run, NULL));
    ck_assert_ptr_null(source);
    apr_pool_destroy(own);
    return error;
}

/* A field as text, "-" for NULL; moves on. */
static const char *field(const unsigned char **in)
{
    apr_uint32_t size = (apr_uint32_t)(*in)[0] << 24 | (apr_uint32_t)(*in)[1] << 16 |
                        (apr_uint32_t)(*in)[2] << 8 | (*in)[3];
    const char *text;

    *in += 4;
    if (size == 0xffffffffu) {
        return "-";
    }
    text = apr_pstrmemdup(pool, (const char *)*in, size);
    *in += size;
    return text;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *sourcetest_rest(udm_source_t *source, int count)
{
    apr_array_header_t *all = apr_array_make(pool, 8, sizeof(const char *));
    const unsigned char *tuple;
    apr_size_t size;
    int i;

    for (;;) {
        const char *row = "";

        dbtest_ok(udm_source_next(&tuple, &size, source));
        if (!tuple) {
            break;
        }
        tuple += 2;
        for (i = 0; i < count; i++) {
            row = apr_pstrcat(pool, row, i ? " " : "", field(&tuple), NULL);
        }
        APR_ARRAY_PUSH(all, const char *) = row;
    }
    qsort(all->elts, (size_t)all->nelts, sizeof(const char *), by_text);
    return apr_array_pstrcat(pool, all, ',');
}

const char *sourcetest_rows(udm_source_t *source, int count)
{
    dbtest_ok(udm_source_rows(source));
    return sourcetest_rest(source, count);
}

const char *sourcetest_rows_of(const udm_data_type_t *type, const udm_run_t *run, int count)
{
    udm_source_t *source;
    const char *rows;
    apr_pool_t *own;

    ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
    dbtest_ok(udm_source_open(&source, own, folder, type, run, NULL));
    rows = sourcetest_rows(source, count);
    apr_pool_destroy(own);
    return rows;
}

int sourcetest_scans(const char *relation, const char *kind)
{
    return atoi(dbtest_value(apr_psprintf(
        pool, "SELECT %s_scan FROM pg_stat_user_tables WHERE relname = '%s'", kind, relation)));
}

START_TEST(reads_the_tenants_rows)
{
    udm_source_t *source;

    sourcetest_folder();
    source = sourcetest_opened(sourcetest_type("UCS", "Interaction"), sourcetest_run("acme"));
    ck_assert_str_eq(sourcetest_rows(source, 2), "0 ixn3,0 ixn6,2 ixn1,2 ixn4,3 ixn2,3 ixn5");
    ck_assert_str_eq(
        sourcetest_rows(
            sourcetest_opened(sourcetest_type("UCS", "Interaction"), sourcetest_run("other")), 2),
        "0 ixn9,2 ixn7,3 ixn8");
    ck_assert_str_eq(sourcetest_rows(sourcetest_opened(sourcetest_type("UCS", "Interaction"),
                                                       sourcetest_run("' OR true --")),
                                     2),
                     "");
    ck_assert_str_eq(
        sourcetest_rows(
            sourcetest_opened(sourcetest_type("UCS", "Contact"), sourcetest_run("acme")), 2),
        "- 1,- 2,- 3");
}
END_TEST

/* It costs the server and the line something, and the layout "lines" has no use for it. */
START_TEST(keys_come_only_where_files_are_called_by_them)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Interaction");

    sourcetest_folder();
    type->records = false;
    ck_assert_str_eq(sourcetest_rows(sourcetest_opened(type, sourcetest_run("other")), 2),
                     "0 -,2 -,3 -");
}
END_TEST

/*
 * A setting would be read anew for each row, and for what that costs PostgreSQL would rather take all
 * of a large table by way of its index.
 */
START_TEST(window_is_a_constant_to_the_planner)
{
    udm_run_t *run = sourcetest_run("acme");
    udm_source_t *source;
    udm_result_t *plan;
    const char *text = "";

    sourcetest_folder();
    run->window_all = false;
    ck_assert(udm_calendar_parse(&run->window_from, "1969-12-31T23:59:59.000001Z"));
    ck_assert(udm_calendar_parse(&run->window_to, "2026-02-01T00:00:00.999999Z"));
    source = sourcetest_opened(sourcetest_type("UCS", "Interaction"), run);
    dbtest_ok(udm_source_query(&plan, source, "the plan",
                               apr_pstrcat(pool, "EXPLAIN ", source->rows_sql, NULL), 0, NULL));
    for (int i = 0; i < plan->rows; i++) {
        text = apr_pstrcat(pool, text, udm_result_text(plan, i, 0), "\n", NULL);
    }
    ck_assert_ptr_nonnull(strstr(text, ">= '1969-12-31 23:59:59.000001+00'::timestamp"));
    ck_assert_ptr_nonnull(strstr(text, "< '2026-02-01 00:00:00.999999+00'::timestamp"));
}
END_TEST

START_TEST(reads_by_time)
{
    udm_run_t *run = sourcetest_run("acme");

    sourcetest_folder();
    run->window_all = false;
    ck_assert(udm_calendar_parse(&run->window_from, "2026-01-03T00:00:00Z"));
    /* ixn6 has no time, so it is in no interval. */
    ck_assert_str_eq(
        sourcetest_rows(sourcetest_opened(sourcetest_type("UCS", "Interaction"), run), 2),
        "0 ixn3,2 ixn4,3 ixn2,3 ixn5");
    ck_assert(udm_calendar_parse(&run->window_to, "2026-01-05T00:00:00Z"));
    ck_assert_str_eq(
        sourcetest_rows(sourcetest_opened(sourcetest_type("UCS", "Interaction"), run), 2),
        "0 ixn3,3 ixn2");
    run->window_from++;
    run->window_to++;
    ck_assert_str_eq(
        sourcetest_rows(sourcetest_opened(sourcetest_type("UCS", "Interaction"), run), 2),
        "0 ixn3,2 ixn4");
    run->window_from = UDM_NO_TIME;
    ck_assert_str_eq(
        sourcetest_rows(sourcetest_opened(sourcetest_type("UCS", "Interaction"), run), 2),
        "0 ixn3,2 ixn1,2 ixn4,3 ixn2");
}
END_TEST

/* Columns of type timestamp and date count as UTC, whatever the reader's zone is. */
START_TEST(reads_by_time_without_zone)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    udm_run_t *run = sourcetest_run("acme");

    sourcetest_folder();
    dbtest_exec("DO $$ BEGIN EXECUTE format('ALTER ROLE udm_test_reader IN DATABASE %I"
                " SET TimeZone = %L', current_database(), 'America/New_York'); END $$;"
                "CREATE TABLE demo.dated AS SELECT id, ccid, created::date FROM demo.contact;"
                "ALTER TABLE demo.contact ALTER created TYPE timestamp"
                " USING created AT TIME ZONE 'UTC';"
                "GRANT SELECT ON demo.dated TO udm_test_reader");
    run->window_all = false;
    ck_assert(udm_calendar_parse(&run->window_from, "2026-01-03T00:00:00Z"));
    ck_assert(udm_calendar_parse(&run->window_to, "2026-01-04T00:00:00Z"));
    ck_assert_str_eq(sourcetest_rows(sourcetest_opened(type, run), 2), "- 2");
    type->relation_name = "dated";
    ck_assert_str_eq(sourcetest_rows(sourcetest_opened(type, run), 2), "- 2");
}
END_TEST

START_TEST(reads_by_media)
{
    udm_run_t *run = sourcetest_run("acme");

    sourcetest_folder();
    APR_ARRAY_PUSH(run->media, const char *) = "Chat";
    ck_assert_str_eq(
        sourcetest_rows(sourcetest_opened(sourcetest_type("UCS", "Interaction"), run), 2),
        "2 ixn1,2 ixn4");
    APR_ARRAY_PUSH(run->media, const char *) = "Email";
    ck_assert_str_eq(
        sourcetest_rows(sourcetest_opened(sourcetest_type("UCS", "Interaction"), run), 2),
        "0 ixn3,0 ixn6,2 ixn1,2 ixn4");
    APR_ARRAY_PUSH(run->media, const char *) = "Fax";
    dbtest_fails(sourcetest_refused(sourcetest_type("UCS", "Interaction"), run), UDM_E_SOURCE,
                 "\"Fax\"");
}
END_TEST

START_TEST(reads_a_relation_of_listed_tenants)
{
    udm_run_t *run = sourcetest_run("acme");
    udm_error_t *error;

    sourcetest_folder();
    ck_assert_str_eq(sourcetest_rows(sourcetest_opened(sourcetest_type("iWD", "Task"), run), 2),
                     "- 1,- 2,- 3,- 4");
    error = sourcetest_refused(sourcetest_type("iWD", "Task"), sourcetest_run("other"));
    dbtest_fails(error, UDM_E_SOURCE, "does not belong to this contact centre");
    ck_assert(udm_source_permanent(error));
    run->window_all = false;
    run->window_from = 1;
    dbtest_fails(sourcetest_refused(sourcetest_type("iWD", "Task"), run), UDM_E_SOURCE,
                 "no time column");
}
END_TEST

/* A registration that names nobody gives nothing. */
START_TEST(refuses_a_type_of_nobody)
{
    udm_data_type_t *type = sourcetest_type("iWD", "Task");

    sourcetest_folder();
    type->tenants = NULL;
    dbtest_fails(sourcetest_refused(type, sourcetest_run("acme")), UDM_E_SOURCE, "does not belong");
}
END_TEST

/* Views, partitioned tables and materialized views are read like tables. */
START_TEST(reads_other_kinds_of_relation)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");

    sourcetest_folder();
    dbtest_exec("CREATE VIEW demo.v AS SELECT * FROM demo.contact;"
                "CREATE MATERIALIZED VIEW demo.m AS SELECT * FROM demo.contact;"
                "CREATE TABLE demo.p (LIKE demo.contact) PARTITION BY RANGE (id);"
                "CREATE TABLE demo.p1 PARTITION OF demo.p FOR VALUES FROM (0) TO (3);"
                "CREATE TABLE demo.p2 PARTITION OF demo.p FOR VALUES FROM (3) TO (9);"
                "INSERT INTO demo.p SELECT * FROM demo.contact;"
                "GRANT SELECT ON demo.v, demo.m, demo.p TO udm_test_reader");
    type->relation_name = "v";
    ck_assert_str_eq(sourcetest_rows(sourcetest_opened(type, sourcetest_run("acme")), 2),
                     "- 1,- 2,- 3");
    type->relation_name = "m";
    ck_assert_str_eq(sourcetest_rows(sourcetest_opened(type, sourcetest_run("acme")), 2),
                     "- 1,- 2,- 3");
    type->relation_name = "p";
    ck_assert_str_eq(sourcetest_rows(sourcetest_opened(type, sourcetest_run("acme")), 2),
                     "- 1,- 2,- 3");
}
END_TEST

/* Names that need quoting, and a tenant column that is no text. */
START_TEST(reads_strange_names_and_tenant_types)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    udm_error_t *error;

    sourcetest_folder();
    dbtest_exec(
        "CREATE DOMAIN demo.centre AS uuid CHECK (VALUE IS NOT NULL);"
        "CREATE TABLE demo.\"a \"\"b\" (\"Key\" text, \"select\" demo.centre);"
        "INSERT INTO demo.\"a \"\"b\" VALUES ('k1', '00000000-0000-4000-8000-000000000001'),"
        " ('k2', '00000000-0000-4000-8000-000000000002');"
        "GRANT SELECT ON demo.\"a \"\"b\" TO udm_test_reader");
    type->relation_name = "a \"b";
    type->key_column = "Key";
    type->tenant_column = "select";
    type->time_column = NULL;
    ck_assert_str_eq(
        sourcetest_rows(
            sourcetest_opened(type, sourcetest_run("00000000-0000-4000-8000-000000000002")), 2),
        "- k2");
    error = sourcetest_refused(type, sourcetest_run("acme"));
    dbtest_fails(error, UDM_E_SOURCE,
                 "column \"select\" of demo.a \"b in source \"UCS\" is of type uuid, and the id");
    ck_assert(udm_source_permanent(error));
}
END_TEST

static void column_is(udm_source_t *source, int n, const char *name, Oid type, bool json,
                      Oid element)
{
    const udm_column_t *column = &APR_ARRAY_IDX(udm_source_columns(source), n, udm_column_t);

    ck_assert_str_eq(column->name, name);
    ck_assert_msg(column->type == type && column->json == json && column->element == element,
                  "%s: type %u json %d element %u", name, column->type, column->json,
                  column->element);
}

START_TEST(describes_columns)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    udm_source_t *source;

    sourcetest_folder();
    dbtest_exec("CREATE DOMAIN demo.d1 AS numeric(9,2); CREATE DOMAIN demo.d2 AS demo.d1;"
                "CREATE TYPE demo.colour AS ENUM ('red');"
                "CREATE TABLE demo.wide (id int, ccid text, gone text, n demo.d2, js json,"
                " jb jsonb, ts timestamptz[], e demo.colour, i interval, x int GENERATED ALWAYS AS"
                " (id * 2) STORED, da demo.d1[]);"
                "ALTER TABLE demo.wide DROP gone;"
                "INSERT INTO demo.wide (id, ccid, n, e, i) VALUES (1, 'acme', 1.5, 'red', '1 day');"
                "GRANT SELECT ON demo.wide TO udm_test_reader");
    type->relation_name = "wide";
    type->time_column = NULL;
    source = sourcetest_opened(type, sourcetest_run("acme"));
    ck_assert_int_eq(udm_source_columns(source)->nelts, 10);
    column_is(source, 0, "id", 23, false, 0);
    column_is(source, 1, "ccid", 25, false, 0);
    column_is(source, 2, "n", 1700, false, 0);
    column_is(source, 3, "js", 114, true, 0);
    column_is(source, 4, "jb", 3802, true, 0);
    column_is(source, 5, "ts", 1185, false, 1184);
    column_is(source, 6, "e", 25, true, 0);
    column_is(source, 7, "i", 25, true, 0);
    column_is(source, 8, "x", 23, false, 0);
    /* Also of an array's elements the domain is followed. */
    column_is(source, 9, "da", APR_ARRAY_IDX(udm_source_columns(source), 9, udm_column_t).type,
              false, 1700);
    type->columns = apr_array_make(pool, 2, sizeof(const char *));
    APR_ARRAY_PUSH(type->columns, const char *) = "i";
    APR_ARRAY_PUSH(type->columns, const char *) = "e";
    source = sourcetest_opened(type, sourcetest_run("acme"));
    ck_assert_str_eq(sourcetest_rows(source, 4), "- 1 \"1 day\" \"red\"");
    APR_ARRAY_PUSH(type->columns, const char *) = "gone";
    dbtest_fails(sourcetest_refused(type, sourcetest_run("acme")), UDM_E_SOURCE,
                 "no column \"gone\"");
}
END_TEST

START_TEST(one_snapshot)
{
    udm_run_t *run = sourcetest_run("acme");
    udm_source_t *source;

    sourcetest_folder();
    run->export_attachments = true;
    source = sourcetest_opened(sourcetest_type("UCS", "Interaction"), run);
    ck_assert(strchr(udm_source_snapshot(source), ':') != NULL);
    dbtest_exec("DELETE FROM demo.interaction; DELETE FROM demo.document");
    ck_assert_str_eq(sourcetest_rows(source, 2), "0 ixn3,0 ixn6,2 ixn1,2 ixn4,3 ixn2,3 ixn5");
    dbtest_ok(udm_source_attachments(source));
    ck_assert_str_eq(sourcetest_rest(source, 4), "2 ixn1 doc1 file1.txt,2 ixn4 doc4 file4.txt");
}
END_TEST

START_TEST(estimates)
{
    sourcetest_folder();
    dbtest_exec("INSERT INTO demo.contact SELECT n, 'acme', now() FROM generate_series(10, 9999) n;"
                "ANALYZE demo.contact");
    ck_assert_int_gt(udm_source_estimate(sourcetest_opened(sourcetest_type("UCS", "Contact"),
                                                           sourcetest_run("acme"))),
                     9000);
    ck_assert_int_eq(udm_source_estimate(sourcetest_opened(sourcetest_type("UCS", "Contact"),
                                                           sourcetest_run("none"))),
                     1);
}
END_TEST

/* The setting is cast to the column's type, not the column to text, so that an index serves. */
START_TEST(uses_an_index)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    udm_source_t *source;
    apr_pool_t *own;
    int before;

    sourcetest_folder();
    ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
    dbtest_exec("CREATE TABLE demo.big (id integer, ccid uuid);"
                "INSERT INTO demo.big SELECT n, md5((n % 1000)::text)::uuid"
                " FROM generate_series(1, 20000) n; CREATE INDEX big_ccid ON demo.big (ccid);"
                "ANALYZE demo.big; GRANT SELECT ON demo.big TO udm_test_reader");
    type->relation_name = "big";
    type->time_column = NULL;
    dbtest_exec("SELECT pg_stat_force_next_flush()");
    before = sourcetest_scans("big", "seq");
    dbtest_ok(udm_source_open(&source, own, folder, type,
                              sourcetest_run(dbtest_value("SELECT md5('7')::uuid")), NULL));
    ck_assert_int_lt(udm_source_estimate(source), 200);
    ck_assert_uint_gt(strlen(sourcetest_rows(source, 2)), 20 * strlen("- 7"));
    /* The reader's backend reports what it did when it ends. */
    apr_pool_destroy(own);
    while (sourcetest_scans("big", "seq") + sourcetest_scans("big", "idx") == before) {
        dbtest_exec("SELECT pg_sleep(0.01)");
    }
    ck_assert_int_eq(sourcetest_scans("big", "seq"), before);
}
END_TEST

TCase *source_case(void)
{
    TCase *tc = dbtest_case("source");

    tcase_add_test(tc, reads_the_tenants_rows);
    tcase_add_test(tc, keys_come_only_where_files_are_called_by_them);
    tcase_add_test(tc, window_is_a_constant_to_the_planner);
    tcase_add_test(tc, reads_by_time);
    tcase_add_test(tc, reads_by_time_without_zone);
    tcase_add_test(tc, reads_by_media);
    tcase_add_test(tc, reads_a_relation_of_listed_tenants);
    tcase_add_test(tc, refuses_a_type_of_nobody);
    tcase_add_test(tc, reads_other_kinds_of_relation);
    tcase_add_test(tc, reads_strange_names_and_tenant_types);
    tcase_add_test(tc, describes_columns);
    tcase_add_test(tc, one_snapshot);
    tcase_add_test(tc, estimates);
    tcase_add_test(tc, uses_an_index);
    return tc;
}
