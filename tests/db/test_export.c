/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_export.c: whole exports of a real database into a real store, decrypted by stock OpenSSL,
 * unpacked by other people's tools and compared with what PostgreSQL's own to_json says.
 */
#include "dbtest.h"
#include "export_edges.h"
#include "exporttest.h"

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

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, 0600), 0);
}

/* The key that the decryption uses. */
static void write_key(const exporttest_t *b, EVP_PKEY *key)
{
    FILE *file = fopen(b->key, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    ck_assert_int_eq(fclose(file), 0);
}

exporttest_t *exporttest_prepare(void)
{
    exporttest_t *b = apr_pcalloc(pool, sizeof(*b));

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

udm_error_t *exporttest_try(exporttest_t *b, const char *source, const char *type)
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

void exporttest_nothing_left(const exporttest_t *b)
{
    ck_assert_int_eq(scratch_run("test -z \"$(find %s -name 'export-*')\"", b->store_dir), 0);
    ck_assert_int_eq(scratch_run("test -z \"$(ls -A %s)\"", b->settings.spool_dir), 0);
}

void exporttest_unpack(exporttest_t *b, const char *source, const char *type)
{
    bool gcm = b->run.encryption == UDM_ENCRYPTION_CMS_GCM;
    const char *suffix = gcm ? ".p7m" : ".smime";

    dbtest_ok(exporttest_try(b, source, type));
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

const char *exporttest_file(const exporttest_t *b, const char *name)
{
    apr_size_t size;

    return scratch_read(&size, apr_pstrcat(pool, b->dir, "/out/", name, NULL));
}

/* The manifest, after its hashes and sizes were compared with the files. */
static json_t *check_manifest(const exporttest_t *b)
{
    json_error_t fault;
    json_t *manifest = json_loads(exporttest_file(b, "META-INF/manifest.json"), 0, &fault);
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

const char *exporttest_filled(const char *format, const char *sql)
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
    exporttest_t *b = exporttest_prepare();
    json_t *manifest;

    b->run.export_attachments = true;
    exporttest_unpack(b, "UCS", "Interaction");
    ck_assert_int_eq(b->rows, 6);
    ck_assert_int_eq(b->parts->nelts, 1);
    ck_assert_int_eq(atomic_load(&b->watch.percent), 100);
    ck_assert_int_eq(atomic_load(&b->watch.rows), 6);
    ck_assert_str_eq(exporttest_file(b, "EMAIL_IN-12.json"), sql_lines(INTERACTIONS "0"));
    ck_assert_str_eq(exporttest_file(b, "CHAT-12.json"), sql_lines(INTERACTIONS "2"));
    ck_assert_str_eq(exporttest_file(b, "PHONE_CALL-12.json"), sql_lines(INTERACTIONS "3"));
    ck_assert_str_eq(exporttest_file(b, "CHAT-Attachment-12.json"),
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
    exporttest_t *b = exporttest_prepare();
    json_t *manifest, *filters;

    dbtest_exec("SELECT udm.register_attributes('UCS', 'Interaction')");
    b->run.export_attachments = true;
    b->run.filters = "[{\"value\": \"4%\\\"\", \"operator\": \"ne\", \"attribute\": \"subject\"},"
                     " {\"attribute\":\"id\",\"operator\":\"in\",\"value\":[\"ixn1\",\"ixn3\"]}]";
    exporttest_unpack(b, "UCS", "Interaction");
    ck_assert_int_eq(b->rows, 2);
    ck_assert_str_eq(exporttest_file(b, "EMAIL_IN-12.json"),
                     sql_lines(INTERACTIONS "0 AND id = 'ixn3'"));
    ck_assert_str_eq(exporttest_file(b, "CHAT-12.json"),
                     sql_lines(INTERACTIONS "2 AND id = 'ixn1'"));
    ck_assert_str_eq(exporttest_file(b, "CHAT-Attachment-12.json"),
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
    exporttest_t *b = exporttest_prepare();

    dbtest_exec("UPDATE demo.interaction SET entity_type = 99 WHERE id = 'ixn1';"
                "UPDATE demo.interaction SET entity_type = NULL WHERE id = 'ixn2'");
    exporttest_unpack(b, "UCS", "Interaction");
    ck_assert_ptr_nonnull(strstr(exporttest_file(b, "Interaction-12.json"), "\"id\":\"ixn1\""));
    ck_assert_ptr_nonnull(strstr(exporttest_file(b, "Interaction-12.json"), "\"id\":\"ixn2\""));
    json_decref(check_manifest(b));
}
END_TEST

START_TEST(records)
{
    exporttest_t *b = exporttest_prepare();
    json_t *manifest;

    dbtest_exec("UPDATE demo.interaction SET id = '../x/' || id WHERE id = 'ixn2';"
                "UPDATE demo.interaction SET id = '' WHERE id = 'ixn3'");
    b->run.export_attachments = true;
    exporttest_unpack(b, "UCSX", "Interaction");
    ck_assert_int_eq(b->rows, 6);
    ck_assert_ptr_nonnull(
        strstr(exporttest_file(b, "ixn1.json"), "{\"id\":\"ixn1\",\"ccid\":\"acme\""));
    ck_assert_ptr_nonnull(
        strstr(exporttest_file(b, "%2E%2E%2Fx%2Fixn2.json"), "\"id\":\"../x/ixn2\""));
    ck_assert_int_eq(scratch_run("ls %s/out/row-*.json >/dev/null", b->dir), 0);
    ck_assert_ptr_nonnull(
        strstr(exporttest_file(b, "ixn4-attachment-doc4.json"), "\"content\":\"Y29udGVudCA0\"}\n"));
    manifest = check_manifest(b);
    ck_assert_uint_eq(json_array_size(json_object_get(manifest, "entries")), 8);
    json_decref(manifest);
}
END_TEST

/* Keys that Windows takes for devices, and a key and an id that are too long together. */
START_TEST(records_of_odd_keys)
{
    exporttest_t *b = exporttest_prepare();

    dbtest_exec("UPDATE demo.interaction SET id = 'Nul.txt' WHERE id = 'ixn2';"
                "UPDATE demo.document SET entityid = repeat('k', 190), id = repeat('i', 190)"
                " WHERE id = 'doc1';"
                "UPDATE demo.interaction SET id = repeat('k', 190) WHERE id = 'ixn1'");
    b->run.export_attachments = true;
    exporttest_unpack(b, "UCSX", "Interaction");
    ck_assert_ptr_nonnull(strstr(exporttest_file(b, "%4Eul.txt.json"), "\"id\":\"Nul.txt\""));
    ck_assert_int_eq(scratch_run("test $(ls %s/out | grep -c ^kkk) = 2", b->dir), 0);
    json_decref(check_manifest(b));
}
END_TEST

/* No row is lost when two have one key. */
START_TEST(records_of_one_key)
{
    exporttest_t *b = exporttest_prepare();

    dbtest_exec("UPDATE demo.interaction SET id = 'same'");
    exporttest_unpack(b, "UCSX", "Interaction");
    exporttest_file(b, "same.json");
    exporttest_file(b, "same-2.json");
    exporttest_file(b, "same-6.json");
    json_decref(check_manifest(b));
}
END_TEST

START_TEST(no_rows)
{
    exporttest_t *b = exporttest_prepare();
    json_t *manifest, *window;

    b->run.window_all = false;
    b->run.window_from = 0;
    b->run.window_to = apr_time_from_sec(86400);
    exporttest_unpack(b, "UCS", "Interaction");
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

/* A large relation in 64 KiB files, and the largest number of rows in progress. */
START_TEST(split)
{
    exporttest_t *b = exporttest_prepare();

    dbtest_exec("INSERT INTO demo.interaction SELECT md5(n::text), 'acme', now(), (ARRAY[0, 2, 3])"
                "[1 + n % 3], 'chat', md5('s' || n), n FROM generate_series(1, 20000) n");
    b->run.file_split_bytes = 65536;
    exporttest_unpack(b, "UCS", "Interaction");
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

/* The same in the other way of encryption, for an RSA key, then for an EC key; whole, and split. */
START_TEST(cms_gcm)
{
    exporttest_t *b = exporttest_prepare();

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
    exporttest_unpack(b, "UCS", "Interaction");
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

START_TEST(no_certificate)
{
    exporttest_t *b = exporttest_prepare();

    b->run.certificate_pem = NULL;
    dbtest_fails(exporttest_try(b, "UCS", "Interaction"), UDM_E_CERTIFICATE, "upload one");
    b->run.certificate_pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    dbtest_fails(exporttest_try(b, "UCS", "Interaction"), UDM_E_CERTIFICATE, "certificate");
    /* Whoever stored it did so for cms-gcm, which does not hold any more. */
    b->run.certificate_pem = dbtest_ec_certificate_pem;
    dbtest_fails(exporttest_try(b, "UCS", "Interaction"), UDM_E_CERTIFICATE,
                 "UDMEncryption cms-gcm");
    exporttest_nothing_left(b);
}
END_TEST

START_TEST(source_missing)
{
    exporttest_t *b = exporttest_prepare();

    unlink(apr_pstrcat(pool, b->settings.source_dir, "/demo", NULL));
    dbtest_fails(exporttest_try(b, "UCS", "Interaction"), UDM_E_SOURCE, "");
    exporttest_nothing_left(b);
}
END_TEST

START_TEST(spool_missing)
{
    exporttest_t *b = exporttest_prepare();

    ck_assert_int_eq(rmdir(b->settings.spool_dir), 0);
    dbtest_fails(exporttest_try(b, "UCS", "Interaction"), UDM_E_STORE, "no spool directory");
}
END_TEST

START_TEST(stopped)
{
    exporttest_t *b = exporttest_prepare();

    udm_stop_raise(&b->watch.stop);
    dbtest_fails(exporttest_try(b, "UCS", "Interaction"), UDM_E_STOPPED, "stopped");
    exporttest_nothing_left(b);
}
END_TEST

/* A row that breaks in the middle: an error that names the column, and nothing is left. */
START_TEST(breaks_half_way)
{
    exporttest_t *b = exporttest_prepare();

    dbtest_exec("CREATE VIEW demo.breaks AS SELECT n AS id, md5(n::text) AS a, 1 / (5000 - n) AS x"
                " FROM generate_series(1, 10000) n;"
                "GRANT SELECT ON demo.breaks TO udm_test_reader;"
                "SELECT udm.register_type('iWD', 'Breaks', 'demo.breaks', 'id', "
                "tenants => ARRAY['acme'])");
    b->run.file_split_bytes = 65536;
    dbtest_fails(exporttest_try(b, "iWD", "Breaks"), UDM_E_SOURCE, "");
    exporttest_nothing_left(b);
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
    exporttest_t *b = exporttest_prepare();
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
    dbtest_ok(exporttest_try(b, source, "Few"));
    before = peak_kib();
    b->run.export_id = "0b3c7c1e-1111-4222-8333-444455556667";
    dbtest_ok(exporttest_try(b, source, "Many"));
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
    tcase_add_loop_test(tc, cms_gcm, 0, 4);
    tcase_add_test(tc, no_certificate);
    tcase_add_test(tc, source_missing);
    tcase_add_test(tc, spool_missing);
    tcase_add_test(tc, stopped);
    tcase_add_test(tc, breaks_half_way);
    tcase_add_loop_test(tc, flat_memory, 0, 2);
    return tc;
}
