/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_export.c: whole exports of a real database into a real store, decrypted by stock OpenSSL and
 * unpacked by other people's tools; and those that cannot be made.
 */
#include "dbtest.h"
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

const char *exporttest_sql_lines(const char *sql)
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
    ck_assert_str_eq(exporttest_file(b, "EMAIL_IN-12.json"),
                     exporttest_sql_lines(INTERACTIONS "0"));
    ck_assert_str_eq(exporttest_file(b, "CHAT-12.json"), exporttest_sql_lines(INTERACTIONS "2"));
    ck_assert_str_eq(exporttest_file(b, "PHONE_CALL-12.json"),
                     exporttest_sql_lines(INTERACTIONS "3"));
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
                     exporttest_sql_lines(INTERACTIONS "0 AND id = 'ixn3'"));
    ck_assert_str_eq(exporttest_file(b, "CHAT-12.json"),
                     exporttest_sql_lines(INTERACTIONS "2 AND id = 'ixn1'"));
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
