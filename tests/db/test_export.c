/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_export.c: whole exports of a real database into a real store, decrypted by stock OpenSSL,
 * unpacked by other people's tools and compared with what PostgreSQL's own to_json says.
 */
#include "dbtest.h"
#include "export_edges.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_escape.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "../unit/scratch.h"
#include "core/calendar.h"
#include "core/text.h"
#include "db/catalog.h"
#include "export/export.h"

#define EXPORT_ID "0b3c7c1e-1111-4222-8333-444455556666"

/* Of the running test. */
typedef struct bench_t {
    const char *dir;
    const char *store_dir;
    const char *key;
    udm_store_t *store;
    udm_export_settings_t settings;
    udm_export_watch_t watch;
    udm_run_t run;
    apr_array_header_t *parts;
    apr_int64_t rows;
} bench_t;

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, 0600), 0);
}

/* The key that the decryption uses. */
static void write_key(const bench_t *b, EVP_PKEY *key)
{
    FILE *file = fopen(b->key, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    ck_assert_int_eq(fclose(file), 0);
}

static bench_t *prepare(void)
{
    bench_t *b = apr_pcalloc(pool, sizeof(*b));

    b->dir = scratch_dir();
    b->store_dir = apr_pstrcat(pool, b->dir, "/store", NULL);
    b->key = apr_pstrcat(pool, b->dir, "/key.pem", NULL);
    b->settings.source_dir = apr_pstrcat(pool, b->dir, "/sources", NULL);
    b->settings.spool_dir = apr_pstrcat(pool, b->dir, "/spool", NULL);
    b->settings.max_part_size = APR_INT64_C(512) << 20;
    b->settings.max_parts = 1000;
    b->settings.max_row = APR_INT64_C(64) << 20;
    ck_assert_int_eq(mkdir(b->store_dir, 0750), 0);
    ck_assert_int_eq(mkdir(b->settings.source_dir, 0750), 0);
    ck_assert_int_eq(mkdir(b->settings.spool_dir, 0750), 0);
    write_text(apr_pstrcat(pool, b->settings.source_dir, "/demo", NULL),
               dbtest_conninfo("udm_test_reader"));
    write_key(b, dbtest_private_key);
    dbtest_ok(udm_store_local_open(&b->store, pool, b->store_dir, NULL));
    dbtest_ok(udm_stop_make(&b->watch.stop, pool));
    b->run.now = apr_time_now();
    b->run.id = 13;
    b->run.job_id = 12;
    b->run.ccid = "acme";
    b->run.window_all = true;
    b->run.window_from = UDM_NO_TIME;
    b->run.window_to = UDM_NO_TIME;
    b->run.media = apr_array_make(pool, 1, sizeof(const char *));
    b->run.export_id = EXPORT_ID;
    b->run.certificate_pem = dbtest_certificate_pem;
    return b;
}

static udm_error_t *try_export(bench_t *b, const char *source, const char *type)
{
    udm_data_type_t *data_type;

    dbtest_ok(udm_catalog_type(&data_type, pool, dbtest_worker(), source, type));
    b->run.source = source;
    b->run.type = type;
    return udm_export_run(&b->parts, &b->rows, pool, &b->settings, data_type, &b->run, b->store,
                          &b->watch);
}

static const char *sha256_of(const char *data, apr_size_t size)
{
    unsigned char digest[32];

    ck_assert_int_eq(EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL), 1);
    return apr_pescape_hex(pool, digest, sizeof(digest), 0);
}

/* Nothing of the export is in the store, and nothing in the spool directory. */
static void check_nothing_left(const bench_t *b)
{
    ck_assert_int_eq(scratch_run("test -z \"$(find %s -name 'export-*')\"", b->store_dir), 0);
    ck_assert_int_eq(scratch_run("test -z \"$(ls -A %s)\"", b->settings.spool_dir), 0);
}

/* Exports, checks the parts, decrypts and unpacks them into <dir>/out. */
static void export_and_unpack(bench_t *b, const char *source, const char *type)
{
    bool gcm = b->run.encryption == UDM_ENCRYPTION_CMS_GCM;
    const char *suffix = gcm ? ".p7m" : ".smime";

    dbtest_ok(try_export(b, source, type));
    ck_assert_int_ge(b->parts->nelts, 1);
    ck_assert_int_eq(scratch_run("mkdir %s/plain %s/out", b->dir, b->dir), 0);
    ck_assert_int_eq(scratch_run("test -z \"$(find %s -name '*.part')\"", b->store_dir), 0);
    ck_assert_int_eq(scratch_run("test -z \"$(ls -A %s)\"", b->settings.spool_dir), 0);
    for (int i = 0; i < b->parts->nelts; i++) {
        const udm_part_t *part = &APR_ARRAY_IDX(b->parts, i, udm_part_t);
        const char *path = udm_store_local_path(pool, b->store_dir, part->name);
        const char *wanted =
            i == b->parts->nelts - 1
                ? apr_psprintf(pool, "export-" EXPORT_ID ".zip%s", suffix)
                : apr_psprintf(pool, "export-" EXPORT_ID ".z%02d%s", i + 1, suffix);
        apr_size_t size;
        const char *data;

        ck_assert_str_eq(part->name, wanted);
        ck_assert_ptr_nonnull(path);
        data = scratch_read(&size, path);
        ck_assert_int_eq(part->size, (apr_int64_t)size);
        ck_assert_str_eq(part->sha256, sha256_of(data, size));
        ck_assert_int_eq(scratch_run("openssl %s -decrypt -inkey %s -in %s -out %s/plain/%.*s",
                                     gcm ? "cms -inform DER" : "smime", b->key, path, b->dir,
                                     (int)(strlen(part->name) - strlen(suffix)), part->name),
                         0);
    }
    if (b->parts->nelts == 1) {
        ck_assert_int_eq(
            scratch_run("cd %s/out && unzip -qq ../plain/export-%s.zip", b->dir, EXPORT_ID), 0);
    }
    else {
        ck_assert_int_eq(
            scratch_run(
                "cd %s/out && 7z x -bd ../plain/export-%s.zip >../log || { cat ../log; false; }",
                b->dir, EXPORT_ID),
            0);
    }
}

static const char *out_file(const bench_t *b, const char *name)
{
    apr_size_t size;

    return scratch_read(&size, apr_pstrcat(pool, b->dir, "/out/", name, NULL));
}

/* The manifest, after its hashes and sizes were compared with the files. */
static json_t *check_manifest(const bench_t *b)
{
    json_error_t fault;
    json_t *manifest = json_loads(out_file(b, "META-INF/manifest.json"), 0, &fault);
    json_t *entries, *entry;
    size_t i;

    ck_assert_msg(manifest != NULL, "%s", fault.text);
    ck_assert_str_eq(json_string_value(json_object_get(manifest, "exportId")), EXPORT_ID);
    ck_assert_int_eq(json_integer_value(json_object_get(manifest, "jobId")), 12);
    ck_assert_int_eq(json_integer_value(json_object_get(manifest, "runId")), 13);
    ck_assert_int_eq(json_integer_value(json_object_get(manifest, "rows")), b->rows);
    ck_assert_str_eq(json_string_value(json_object_get(manifest, "source")), b->run.source);
    ck_assert_uint_eq(strlen(json_string_value(json_object_get(manifest, "certificate"))), 64);
    ck_assert_str_ne(json_string_value(json_object_get(manifest, "snapshot")), "");
    entries = json_object_get(manifest, "entries");
    json_array_foreach(entries, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        apr_size_t size;
        const char *data = scratch_read(&size, apr_pstrcat(pool, b->dir, "/out/", name, NULL));

        ck_assert_int_eq(json_integer_value(json_object_get(entry, "size")), (json_int_t)size);
        ck_assert_str_eq(json_string_value(json_object_get(entry, "sha256")),
                         sha256_of(data, size));
    }
    ck_assert_int_eq(scratch_run("test $(find %s/out -type f | wc -l) = %d", b->dir,
                                 (int)json_array_size(entries) + 1),
                     0);
    return manifest;
}

/* All lines that SQL gives, each ended. */
static const char *sql_lines(const char *sql)
{
    const char *text;

    text = dbtest_value(apr_psprintf(
        pool, "SELECT string_agg(line || E'\\n', '' ORDER BY n) FROM (%s) x (n, line)", sql));
    return text != NULL ? text : "";
}

/* What a time is in a file: UTC, microseconds, Z. */
#define TIME(column)                                                                               \
    "coalesce(to_json(to_char(" column " AT TIME ZONE 'UTC', "                                     \
    "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'))::text, 'null')"

#define INTERACTIONS                                                                               \
    "SELECT id, '{\"id\":' || to_json(id) || ',\"ccid\":' || to_json(ccid) || ',\"start_date\":' " \
    "|| " TIME("start_date") " || ',\"entity_type\":' || entity_type || ',\"media_type\":' "       \
                             "|| to_json(media_type) || ',\"subject\":' || to_json(subject) || "   \
                             "',\"duration\":' "                                                   \
                             "|| duration || '}' FROM demo.interaction WHERE ccid = 'acme' AND "   \
                             "entity_type = "

START_TEST(lines)
{
    bench_t *b = prepare();
    json_t *manifest;

    b->run.export_attachments = true;
    export_and_unpack(b, "UCS", "Interaction");
    ck_assert_int_eq(b->rows, 6);
    ck_assert_int_eq(b->parts->nelts, 1);
    ck_assert_int_eq(atomic_load(&b->watch.percent), 100);
    ck_assert_int_eq(atomic_load(&b->watch.rows), 6);
    ck_assert_str_eq(out_file(b, "EMAIL_IN-12.json"), sql_lines(INTERACTIONS "0"));
    ck_assert_str_eq(out_file(b, "CHAT-12.json"), sql_lines(INTERACTIONS "2"));
    ck_assert_str_eq(out_file(b, "PHONE_CALL-12.json"), sql_lines(INTERACTIONS "3"));
    ck_assert_str_eq(out_file(b, "CHAT-Attachment-12.json"),
                     "{\"id\":\"doc1\",\"entityid\":\"ixn1\",\"name\":\"file1.txt\","
                     "\"mimeType\":\"text/plain\",\"size\":9,\"content\":\"Y29udGVudCAx\"}\n"
                     "{\"id\":\"doc4\",\"entityid\":\"ixn4\",\"name\":\"file4.txt\","
                     "\"mimeType\":\"text/plain\",\"size\":9,\"content\":\"Y29udGVudCA0\"}\n");
    manifest = check_manifest(b);
    ck_assert_uint_eq(json_array_size(json_object_get(manifest, "entries")), 4);
    ck_assert_ptr_null(json_object_get(manifest, "filters"));
    json_decref(manifest);
}
END_TEST

/* The filters narrow rows and attachments alike, and the manifest says them. */
START_TEST(filtered)
{
    bench_t *b = prepare();
    json_t *manifest, *filters;

    dbtest_exec("SELECT udm.register_attributes('UCS', 'Interaction')");
    b->run.export_attachments = true;
    b->run.filters = "[{\"value\": \"4%\\\"\", \"operator\": \"ne\", \"attribute\": \"subject\"},"
                     " {\"attribute\":\"id\",\"operator\":\"in\",\"value\":[\"ixn1\",\"ixn3\"]}]";
    export_and_unpack(b, "UCS", "Interaction");
    ck_assert_int_eq(b->rows, 2);
    ck_assert_str_eq(out_file(b, "EMAIL_IN-12.json"), sql_lines(INTERACTIONS "0 AND id = 'ixn3'"));
    ck_assert_str_eq(out_file(b, "CHAT-12.json"), sql_lines(INTERACTIONS "2 AND id = 'ixn1'"));
    ck_assert_str_eq(out_file(b, "CHAT-Attachment-12.json"),
                     "{\"id\":\"doc1\",\"entityid\":\"ixn1\",\"name\":\"file1.txt\","
                     "\"mimeType\":\"text/plain\",\"size\":9,\"content\":\"Y29udGVudCAx\"}\n");
    manifest = check_manifest(b);
    ck_assert_uint_eq(json_array_size(json_object_get(manifest, "entries")), 3);
    filters = json_loads(b->run.filters, 0, NULL);
    ck_assert(json_equal(json_object_get(manifest, "filters"), filters));
    json_decref(filters);
    json_decref(manifest);
}
END_TEST

/* A sub-type that is not registered goes by the name of the type. */
START_TEST(unknown_sub_type)
{
    bench_t *b = prepare();

    dbtest_exec("UPDATE demo.interaction SET entity_type = 99 WHERE id = 'ixn1';"
                "UPDATE demo.interaction SET entity_type = NULL WHERE id = 'ixn2'");
    export_and_unpack(b, "UCS", "Interaction");
    ck_assert_ptr_nonnull(strstr(out_file(b, "Interaction-12.json"), "\"id\":\"ixn1\""));
    ck_assert_ptr_nonnull(strstr(out_file(b, "Interaction-12.json"), "\"id\":\"ixn2\""));
    json_decref(check_manifest(b));
}
END_TEST

START_TEST(records)
{
    bench_t *b = prepare();
    json_t *manifest;

    dbtest_exec("UPDATE demo.interaction SET id = '../x/' || id WHERE id = 'ixn2';"
                "UPDATE demo.interaction SET id = '' WHERE id = 'ixn3'");
    b->run.export_attachments = true;
    export_and_unpack(b, "UCSX", "Interaction");
    ck_assert_int_eq(b->rows, 6);
    ck_assert_ptr_nonnull(strstr(out_file(b, "ixn1.json"), "{\"id\":\"ixn1\",\"ccid\":\"acme\""));
    ck_assert_ptr_nonnull(strstr(out_file(b, "%2E%2E%2Fx%2Fixn2.json"), "\"id\":\"../x/ixn2\""));
    ck_assert_int_eq(scratch_run("ls %s/out/row-*.json >/dev/null", b->dir), 0);
    ck_assert_ptr_nonnull(
        strstr(out_file(b, "ixn4-attachment-doc4.json"), "\"content\":\"Y29udGVudCA0\"}\n"));
    manifest = check_manifest(b);
    ck_assert_uint_eq(json_array_size(json_object_get(manifest, "entries")), 8);
    json_decref(manifest);
}
END_TEST

/* Keys that Windows takes for devices, and a key and an id that are too long together. */
START_TEST(records_of_odd_keys)
{
    bench_t *b = prepare();

    dbtest_exec("UPDATE demo.interaction SET id = 'Nul.txt' WHERE id = 'ixn2';"
                "UPDATE demo.document SET entityid = repeat('k', 190), id = repeat('i', 190)"
                " WHERE id = 'doc1';"
                "UPDATE demo.interaction SET id = repeat('k', 190) WHERE id = 'ixn1'");
    b->run.export_attachments = true;
    export_and_unpack(b, "UCSX", "Interaction");
    ck_assert_ptr_nonnull(strstr(out_file(b, "%4Eul.txt.json"), "\"id\":\"Nul.txt\""));
    ck_assert_int_eq(scratch_run("test $(ls %s/out | grep -c ^kkk) = 2", b->dir), 0);
    json_decref(check_manifest(b));
}
END_TEST

/* No row is lost when two have one key. */
START_TEST(records_of_one_key)
{
    bench_t *b = prepare();

    dbtest_exec("UPDATE demo.interaction SET id = 'same'");
    export_and_unpack(b, "UCSX", "Interaction");
    out_file(b, "same.json");
    out_file(b, "same-2.json");
    out_file(b, "same-6.json");
    json_decref(check_manifest(b));
}
END_TEST

START_TEST(no_rows)
{
    bench_t *b = prepare();
    json_t *manifest, *window;

    b->run.window_all = false;
    b->run.window_from = 0;
    b->run.window_to = apr_time_from_sec(86400);
    export_and_unpack(b, "UCS", "Interaction");
    ck_assert_int_eq(b->rows, 0);
    manifest = check_manifest(b);
    ck_assert_uint_eq(json_array_size(json_object_get(manifest, "entries")), 0);
    window = json_object_get(manifest, "window");
    ck_assert(json_is_false(json_object_get(window, "all")));
    ck_assert_str_eq(json_string_value(json_object_get(window, "from")),
                     "1970-01-01T00:00:00.000Z");
    ck_assert_str_eq(json_string_value(json_object_get(window, "to")), "1970-01-02T00:00:00.000Z");
    json_decref(manifest);
}
END_TEST

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
    bench_t *b = prepare();
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
    export_and_unpack(b, "iWD", "Kinds");
    ck_assert_int_eq(b->rows, 3000);
    got = out_file(b, "Kinds-12.json");
    expected = sql_lines(apr_pstrcat(pool, "SELECT id, ", wanted, " || '}' FROM demo.kinds", NULL));
    while (*got != '\0' && *expected != '\0') {
        const char *line = apr_pstrmemdup(pool, got, strcspn(got, "\n"));

        ck_assert_str_eq(line, apr_pstrmemdup(pool, expected, strcspn(expected, "\n")));
        got += strlen(line) + 1;
        expected += strlen(line) + 1;
    }
    ck_assert_str_eq(got, expected);
}
END_TEST

/* The SQL of `format`, with `sql` for each of its places. */
static const char *filled(const char *format, const char *sql)
{
    const char *text = "";

    for (const char *at = format; *at != '\0';) {
        apr_size_t plain = strcspn(at, "%");
        bool place = at[plain] == '%';

        text = apr_pstrcat(pool, text, apr_pstrmemdup(pool, at, plain), place ? sql : "", NULL);
        at += plain + (!place ? 0 : strncmp(at + plain, "%1$s", 4) == 0 ? 4 : 2);
    }
    return text;
}

/* The SQL of a value in one of its shapes. */
static const char *edge_value(int i)
{
    const edge_t *edge = &edges[i / EDGE_SHAPES];

    return edge_is_alone(edge) ? edge->value
                               : filled(edge_shapes[i % EDGE_SHAPES].value, edge->value);
}

/* The JSON in SQL that is expected of a shape of a value. */
static const char *edge_wanted(const edge_t *edge, int shape, const char *value)
{
    const char *text = edge->text != NULL ? filled(edge->text, edge->value) : NULL;

    if (text == NULL) {
        return apr_psprintf(pool, "to_json(%s)::text", value);
    }
    return edge_shapes[shape].text != NULL ? filled(edge_shapes[shape].text, text) : text;
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
    bench_t *b = prepare();
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
    export_and_unpack(b, "iWD", "Edges");
    got = out_file(b, "Edges-12.json");
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

/* A large relation in 64 KiB files, and the largest number of rows in progress. */
START_TEST(split)
{
    bench_t *b = prepare();

    dbtest_exec("INSERT INTO demo.interaction SELECT md5(n::text), 'acme', now(), (ARRAY[0, 2, 3])"
                "[1 + n % 3], 'chat', md5('s' || n), n FROM generate_series(1, 20000) n");
    b->run.file_split_bytes = 65536;
    export_and_unpack(b, "UCS", "Interaction");
    ck_assert_int_eq(b->rows, 20006);
    ck_assert_int_gt(b->parts->nelts, 5);
    for (int i = 0; i < b->parts->nelts; i++) {
        const udm_part_t *part = &APR_ARRAY_IDX(b->parts, i, udm_part_t);

        /* The first one is the marker, the last one what is left. */
        ck_assert_int_le(part->size, i == 0 ? 2000 : 65536);
        if (i > 0 && i < b->parts->nelts - 1) {
            ck_assert_int_gt(part->size, 64000);
        }
    }
    json_decref(check_manifest(b));
}
END_TEST

/* More files than there may be: nothing of them is left, and the size that the reason names will do. */
START_TEST(too_many_parts)
{
    bench_t *b = prepare();
    udm_error_t *error;
    const char *size;

    dbtest_exec("INSERT INTO demo.interaction SELECT md5(n::text), 'acme', now(), (ARRAY[0, 2, 3])"
                "[1 + n % 3], 'chat', md5('s' || n), n FROM generate_series(1, 20000) n;"
                "ANALYZE demo.interaction");
    b->run.file_split_bytes = 65536;
    b->settings.max_parts = 4 + _i;
    error = try_export(b, _i % 2 == 0 ? "UCS" : "UCSX", "Interaction");
    dbtest_fails(error, UDM_E_INVALID,
                 apr_psprintf(pool,
                              "more than %d files of up to 64KiB, and no more are allowed here",
                              b->settings.max_parts));
    check_nothing_left(b);
    size = strstr(error->reason, "a fileSplitSize of ");
    ck_assert_ptr_nonnull(size);
    size = apr_pstrdup(pool, size + strlen("a fileSplitSize of "));
    ck_assert(udm_text_parse_size(&b->run.file_split_bytes,
                                  apr_pstrmemdup(pool, size, strcspn(size, " "))));
    export_and_unpack(b, b->run.source, "Interaction");
    ck_assert_int_le(b->parts->nelts, b->settings.max_parts);
    ck_assert_int_eq(b->rows, 20006);
    /* Just as many as there are may be. */
    b->settings.max_parts = b->parts->nelts;
    b->run.export_id = "0b3c7c1e-1111-4222-8333-444455556667";
    dbtest_ok(try_export(b, b->run.source, "Interaction"));
    ck_assert_int_eq(b->parts->nelts, b->settings.max_parts);
}
END_TEST

/* Where no larger files are allowed, less must be exported. */
START_TEST(too_many_largest_parts)
{
    bench_t *b = prepare();

    dbtest_exec("INSERT INTO demo.interaction SELECT md5(n::text), 'acme', now(), (ARRAY[0, 2, 3])"
                "[1 + n % 3], 'chat', md5('s' || n), n FROM generate_series(1, 20000) n");
    b->settings.max_part_size = 65536;
    b->settings.max_parts = 4;
    dbtest_fails(try_export(b, "UCS", "Interaction"), UDM_E_INVALID, "a shorter time frame");
    b->settings.max_part_size = 100000;
    b->run.file_split_bytes = 65536;
    dbtest_fails(try_export(b, "UCS", "Interaction"), UDM_E_INVALID, "ask for no fileSplitSize");
    check_nothing_left(b);
}
END_TEST

/* The same in the other way of encryption, for an RSA key, then for an EC key; whole, and split. */
START_TEST(cms_gcm)
{
    bench_t *b = prepare();

    dbtest_exec("INSERT INTO demo.interaction SELECT md5(n::text), 'acme', now(), (ARRAY[0, 2, 3])"
                "[1 + n % 3], 'chat', md5('s' || n), n FROM generate_series(1, 5000) n");
    b->run.encryption = UDM_ENCRYPTION_CMS_GCM;
    if (_i & 1) {
        b->run.certificate_pem = dbtest_ec_certificate_pem;
        write_key(b, dbtest_ec_private_key);
    }
    if (_i & 2) {
        b->run.file_split_bytes = 65536;
    }
    export_and_unpack(b, "UCS", "Interaction");
    ck_assert_int_eq(b->rows, 5006);
    ck_assert((b->parts->nelts > 2) == (_i >= 2));
    for (int i = 1; i < b->parts->nelts - 1; i++) {
        apr_int64_t size = APR_ARRAY_IDX(b->parts, i, udm_part_t).size;

        ck_assert_int_le(size, 65536);
        ck_assert_int_gt(size, 65000);
    }
    json_decref(check_manifest(b));
}
END_TEST

/* Content that does not come with its row. */
START_TEST(large_attachment)
{
    bench_t *b = prepare();
    const char *line;

    dbtest_exec("UPDATE demo.document SET content = (SELECT string_agg(sha256(n::text::bytea), '')"
                " FROM generate_series(1, 100000) n) || '\\x010203' WHERE id = 'doc1';"
                "UPDATE demo.document SET content = NULL WHERE id = 'doc4'");
    b->run.export_attachments = true;
    export_and_unpack(b, "UCS", "Interaction");
    line = out_file(b, "CHAT-Attachment-12.json");
    ck_assert_ptr_nonnull(strstr(line, "\"size\":3200003,\"content\":\""));
    ck_assert_ptr_nonnull(strstr(line,
                                 "\"id\":\"doc4\",\"entityid\":\"ixn4\",\"name\":\"file4.txt\","
                                 "\"mimeType\":\"text/plain\",\"size\":null,"
                                 "\"content\":null}\n"));
    line = strstr(line, "\"content\":\"") + 11;
    ck_assert_str_eq(apr_pstrmemdup(pool, line, strcspn(line, "\"")),
                     dbtest_value("SELECT replace(encode(content, 'base64'), E'\\n', '') "
                                  "FROM demo.document WHERE id = 'doc1'"));
}
END_TEST

/* Large contents of two attachments with one entity and id. `relation`: what demo.document becomes. */
static void make_twins(const char *relation)
{
    dbtest_exec("UPDATE demo.document SET id = 'doc1', entityid = 'ixn1' WHERE ccid = 'acme';"
                "UPDATE demo.document SET content = decode(repeat('ab', 1100000), 'hex')"
                " WHERE name = 'file1.txt';"
                "UPDATE demo.document SET content = decode(repeat('cd', 1100000), 'hex')"
                " WHERE name = 'file4.txt'");
    dbtest_exec(relation);
    dbtest_exec("GRANT SELECT ON demo.document TO udm_test_reader");
}

/* Each has its own content, whatever kind of table they are in. */
START_TEST(twin_attachments)
{
    static const char *const relations[] = {
        "SELECT 1",
        "CREATE MATERIALIZED VIEW demo.m AS SELECT * FROM demo.document;"
        "ALTER TABLE demo.document RENAME TO paper;"
        "ALTER MATERIALIZED VIEW demo.m RENAME TO document",
        "ALTER TABLE demo.document RENAME TO paper;"
        "CREATE TABLE demo.document (LIKE demo.paper) PARTITION BY LIST (name);"
        "CREATE TABLE demo.d1 PARTITION OF demo.document FOR VALUES IN ('file1.txt');"
        "CREATE TABLE demo.d2 PARTITION OF demo.document DEFAULT;"
        "INSERT INTO demo.document SELECT * FROM demo.paper",
        "CREATE TABLE demo.child () INHERITS (demo.document);"
        "WITH gone AS (DELETE FROM ONLY demo.document WHERE name = 'file4.txt' RETURNING *)"
        " INSERT INTO demo.child SELECT * FROM gone",
        /* Of different sizes also a view tells them apart. */
        "UPDATE demo.document SET content = content || '\\x00' WHERE name = 'file1.txt';"
        "ALTER TABLE demo.document RENAME TO paper;"
        "CREATE VIEW demo.document AS SELECT * FROM demo.paper",
        /* Two of the same content are no trouble in a view either. */
        "UPDATE demo.document SET content = decode(repeat('ab', 1100000), 'hex')"
        " WHERE name = 'file4.txt'; ALTER TABLE demo.document RENAME TO paper;"
        "CREATE VIEW demo.document AS SELECT * FROM demo.paper",
    };
    bench_t *b = prepare();
    const char *text, *wanted;

    make_twins(relations[_i]);
    b->run.export_attachments = true;
    export_and_unpack(b, "UCS", "Interaction");
    text = out_file(b, "CHAT-Attachment-12.json");
    for (int n = 1; n <= 4; n += 3) {
        const char *name = apr_psprintf(pool, "\"name\":\"file%d.txt\"", n);
        const char *line = strstr(text, name);

        ck_assert_ptr_nonnull(line);
        line = strstr(line, "\"content\":\"") + 11;
        wanted = dbtest_value(apr_psprintf(pool,
                                           "SELECT translate(encode(content, 'base64'), E'\\n', '')"
                                           " FROM demo.document WHERE name = 'file%d.txt'",
                                           n));
        ck_assert_uint_eq(strcspn(line, "\""), strlen(wanted));
        ck_assert_int_eq(strncmp(line, wanted, strlen(wanted)), 0);
    }
}
END_TEST

/* Where nothing tells the two apart, the run fails for good and says which they are. */
START_TEST(twin_attachments_of_a_view)
{
    bench_t *b = prepare();
    udm_error_t *error;

    make_twins(_i == 0 ? "ALTER TABLE demo.document RENAME TO paper;"
                         "CREATE VIEW demo.document AS SELECT * FROM demo.paper"
                       : "REVOKE ALL ON demo.document FROM udm_test_reader");
    if (_i == 1) { /* a reader that may read the columns alone */
        dbtest_exec("REVOKE ALL ON demo.document FROM udm_test_reader;"
                    "GRANT SELECT (id, ccid, entityid, name, mimetype, content) ON demo.document"
                    " TO udm_test_reader");
    }
    b->run.export_attachments = true;
    error = try_export(b, "UCS", "Interaction");
    dbtest_fails(error, UDM_E_SOURCE, "nothing tells their contents apart");
    ck_assert(udm_source_permanent(error));
    ck_assert_str_eq(error->about, "id \"doc1\" of \"ixn1\"");
    ck_assert_ptr_null(strstr(udm_error_line(pool, error), "doc1"));
    ck_assert_ptr_nonnull(strstr(udm_error_told(pool, error), "apart, so give each an id of its "
                                                              "own: id \"doc1\" of \"ixn1\""));
    check_nothing_left(b);
}
END_TEST

START_TEST(no_certificate)
{
    bench_t *b = prepare();

    b->run.certificate_pem = NULL;
    dbtest_fails(try_export(b, "UCS", "Interaction"), UDM_E_CERTIFICATE, "upload one");
    b->run.certificate_pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    dbtest_fails(try_export(b, "UCS", "Interaction"), UDM_E_CERTIFICATE, "certificate");
    /* Whoever stored it did so for cms-gcm, which does not hold any more. */
    b->run.certificate_pem = dbtest_ec_certificate_pem;
    dbtest_fails(try_export(b, "UCS", "Interaction"), UDM_E_CERTIFICATE, "UDMEncryption cms-gcm");
    check_nothing_left(b);
}
END_TEST

START_TEST(source_missing)
{
    bench_t *b = prepare();

    unlink(apr_pstrcat(pool, b->settings.source_dir, "/demo", NULL));
    dbtest_fails(try_export(b, "UCS", "Interaction"), UDM_E_SOURCE, "");
    check_nothing_left(b);
}
END_TEST

START_TEST(spool_missing)
{
    bench_t *b = prepare();

    ck_assert_int_eq(rmdir(b->settings.spool_dir), 0);
    dbtest_fails(try_export(b, "UCS", "Interaction"), UDM_E_STORE, "no spool directory");
}
END_TEST

START_TEST(stopped)
{
    bench_t *b = prepare();

    udm_stop_raise(&b->watch.stop);
    dbtest_fails(try_export(b, "UCS", "Interaction"), UDM_E_STOPPED, "stopped");
    check_nothing_left(b);
}
END_TEST

/* A row that breaks in the middle: an error that names the column, and nothing is left. */
START_TEST(breaks_half_way)
{
    bench_t *b = prepare();

    dbtest_exec("CREATE VIEW demo.breaks AS SELECT n AS id, md5(n::text) AS a, 1 / (5000 - n) AS x"
                " FROM generate_series(1, 10000) n;"
                "GRANT SELECT ON demo.breaks TO udm_test_reader;"
                "SELECT udm.register_type('iWD', 'Breaks', 'demo.breaks', 'id', "
                "tenants => ARRAY['acme'])");
    b->run.file_split_bytes = 65536;
    dbtest_fails(try_export(b, "iWD", "Breaks"), UDM_E_SOURCE, "");
    check_nothing_left(b);
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
                             n, type, n, n, filled(value, apr_itoa(pool, size)), n, kind, n, n, n,
                             n, n));
    return apr_psprintf(pool, "Wide%d", n);
}

/* Of each kind a row below the limit is exported, and one above it is named. */
START_TEST(row_limit)
{
    bench_t *b = prepare();
    udm_error_t *error;

    dbtest_exec("CREATE TYPE demo.parts AS (n integer, t text);"
                "CREATE DOMAIN demo.long_text AS text;"
                "GRANT USAGE ON TYPE demo.parts, demo.long_text TO udm_test_reader");
    b->settings.max_row = 1048576;
    for (int i = 0; i < (int)(sizeof(wide_kinds) / sizeof(wide_kinds[0])); i++) {
        const char *type = make_wide(i, wide_kinds[i].type, wide_kinds[i].value,
                                     _i == 0 ? 900000 : 1200000, "VIEW");

        b->run.export_id = apr_psprintf(pool, "0b3c7c1e-1111-4222-8333-%012d", i);
        error = try_export(b, "iWD", type);
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
        check_nothing_left(b);
    }
}
END_TEST

/* No column is too large, but all of them together are. */
START_TEST(row_limit_of_columns)
{
    bench_t *b = prepare();
    udm_error_t *error;

    make_wide(0, "text, y bytea, z jsonb",
              "repeat('x', 400000), decode(repeat('ab', 350000), 'hex'), to_jsonb(repeat('x', %d))",
              _i % 2 == 0 ? 290000 : 310000, _i < 2 ? "VIEW" : "MATERIALIZED VIEW");
    b->settings.max_row = 1048576;
    error = try_export(b, "iWD", "Wide0");
    if (_i % 2 == 0) {
        dbtest_ok(error);
        return;
    }
    dbtest_fails(error, UDM_E_SOURCE, "its column \"x\" is the largest part of it");
    ck_assert_str_eq(error->about, "the one whose \"id\" is \"2\"");
    check_nothing_left(b);
}
END_TEST

/*
 * A row of very many columns of a fixed size passes the source's own look, and is found when it comes.
 * Its key is known where files are called by it.
 */
START_TEST(row_limit_on_the_way)
{
    bench_t *b = prepare();
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
    error = try_export(b, _i == 0 ? "iWD" : "Each", "Grown");
    dbtest_fails(error, UDM_E_SOURCE,
                 "larger than the 64KiB that are allowed here; its column \"x1\"");
    ck_assert(udm_source_permanent(error));
    ck_assert_str_eq(error->about,
                     _i == 0 ? "row 1 of those that were read" : "the one whose \"id\" is \"1\"");
    check_nothing_left(b);
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
    bench_t *b = prepare();
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
        error = try_export(b, "iWD", type);
        dbtest_fails(error, UDM_E_SOURCE, "its column \"x\" is the largest part of it");
        /* The source itself found it: whoever counts rows read it. */
        ck_assert_str_eq(error->about, "the one whose \"id\" is \"2\"");
        check_nothing_left(b);
    }
}
END_TEST

/* A key and a subtype are read as such besides the columns. */
START_TEST(row_limit_of_keys)
{
    bench_t *b = prepare();
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
    error = try_export(b, _i == 2 ? "iWD" : "Each", "Keyed");
    dbtest_fails(
        error, UDM_E_SOURCE,
        apr_psprintf(pool, "its column \"%s\" is the largest part of it", _i == 2 ? "kind" : "id"));
    ck_assert_ptr_nonnull(strstr(error->about, "the one whose \"id\" is \""));
    ck_assert_uint_lt(strlen(error->about), 300);
    check_nothing_left(b);
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
    bench_t *b = prepare();
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
        error = try_export(b, "iWD", apr_psprintf(pool, "Many%d", i));
        dbtest_fails(error, UDM_E_SOURCE, "larger than the 1MiB that are allowed here");
        ck_assert_str_eq(error->about, "the one whose \"id\" is \"2\"");
        check_nothing_left(b);
    }
}
END_TEST

/* What goes with an attachment's content is a row, too. */
START_TEST(row_limit_of_attachments)
{
    bench_t *b = prepare();

    dbtest_exec("UPDATE demo.document SET name = repeat('n', 2000000) WHERE id = 'doc4'");
    b->settings.max_row = 1048576;
    b->run.export_attachments = true;
    dbtest_fails(try_export(b, "UCS", "Interaction"), UDM_E_SOURCE,
                 "an id, name or type of more than "
                 "1MiB");
    check_nothing_left(b);
}
END_TEST

static long peak_kib(void)
{
    struct rusage usage;

    ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

/* Ten times the rows, in either layout: the same memory. */
START_TEST(flat_memory)
{
    bench_t *b = prepare();
    const char *source = _i == 0 ? "iWD" : "Each";
    long before;

    dbtest_exec(apr_psprintf(
        pool,
        "SELECT udm.register_source('Each', 'DataSync', layout => 'records', connection => 'demo');"
        "CREATE VIEW demo.few AS SELECT n AS id, md5(n::text) AS a, now() AS t"
        " FROM generate_series(1, 20000) n;"
        "CREATE VIEW demo.many AS SELECT n AS id, md5(n::text) AS a, now() AS t"
        " FROM generate_series(1, 200000) n;"
        "GRANT SELECT ON demo.few, demo.many TO udm_test_reader;"
        "SELECT udm.register_type('%s', 'Few', 'demo.few', 'id', tenants => ARRAY['acme']),"
        " udm.register_type('%s', 'Many', 'demo.many', 'id', tenants => ARRAY['acme'])",
        source, source));
    dbtest_ok(try_export(b, source, "Few"));
    before = peak_kib();
    b->run.export_id = "0b3c7c1e-1111-4222-8333-444455556667";
    dbtest_ok(try_export(b, source, "Many"));
    ck_assert_int_eq(b->rows, 200000);
    /* AddressSanitizer holds freed memory back, so that its peak says nothing. */
#ifndef __SANITIZE_ADDRESS__
    ck_assert_int_lt(peak_kib() - before, 8 * 1024);
#else
    (void)before;
#endif
}
END_TEST

TCase *export_case(void)
{
    TCase *tc = dbtest_case("export");

    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, lines);
    tcase_add_test(tc, filtered);
    tcase_add_test(tc, unknown_sub_type);
    tcase_add_test(tc, records);
    tcase_add_test(tc, records_of_odd_keys);
    tcase_add_test(tc, records_of_one_key);
    tcase_add_test(tc, no_rows);
    tcase_add_test(tc, as_to_json);
    tcase_add_loop_test(tc, edges_of_types, 0, ODD_SESSIONS);
    tcase_add_test(tc, split);
    tcase_add_loop_test(tc, too_many_parts, 0, 6);
    tcase_add_test(tc, too_many_largest_parts);
    tcase_add_loop_test(tc, cms_gcm, 0, 4);
    tcase_add_test(tc, large_attachment);
    tcase_add_loop_test(tc, twin_attachments, 0, 6);
    tcase_add_loop_test(tc, twin_attachments_of_a_view, 0, 2);
    tcase_add_test(tc, no_certificate);
    tcase_add_test(tc, source_missing);
    tcase_add_test(tc, spool_missing);
    tcase_add_test(tc, stopped);
    tcase_add_test(tc, breaks_half_way);
    tcase_add_loop_test(tc, flat_memory, 0, 2);
    tcase_add_loop_test(tc, row_limit, 0, 2);
    tcase_add_loop_test(tc, row_limit_of_columns, 0, 4);
    tcase_add_loop_test(tc, row_limit_on_the_way, 0, 2);
    tcase_add_loop_test(tc, row_limit_of_what_grows, 0, 2);
    tcase_add_loop_test(tc, row_limit_of_keys, 0, 3);
    tcase_add_test(tc, row_limit_of_many_columns);
    tcase_add_test(tc, row_limit_of_attachments);
    return tc;
}
