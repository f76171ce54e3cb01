/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_zip.c: archives as 7-Zip, Info-ZIP, bsdtar and Python read them. What is not installed is not
 * asked.
 */
#include <unistd.h>

#include "scratch.h"
#include "core/zip_format.h"
#include "export/names.h"
#include "export/zip.h"

/* Volumes as files: "v1", "v2", ... in a directory. */
typedef struct files_t {
    const char *dir;
    FILE *file;
    int count;
    long size[4096];
} files_t;

typedef struct archive_t {
    files_t files;
    udm_volumes_t *volumes;
    udm_zip_t *zip;
    udm_entry_t *entry;
} archive_t;

static udm_error_t *file_open(void *context)
{
    files_t *files = context;

    files->file = fopen(apr_psprintf(pool, "%s/v%d", files->dir, ++files->count), "wb");
    ck_assert_ptr_nonnull(files->file);
    return NULL;
}

static udm_error_t *file_write(void *context, const void *data, apr_size_t size)
{
    files_t *files = context;

    ck_assert_uint_eq(fwrite(data, 1, size, files->file), size);
    return NULL;
}

static udm_error_t *file_close(void *context)
{
    files_t *files = context;

    if (files->count <= 4096) {
        files->size[files->count - 1] = ftell(files->file);
    }
    ck_assert_int_eq(fclose(files->file), 0);
    return NULL;
}

static udm_error_t *file_prepend(void *context, const void *data, apr_size_t size)
{
    files_t *files = context;
    FILE *file;

    ck_assert_int_eq(files->count, 1);
    ck_assert_int_eq(
        rename(apr_psprintf(pool, "%s/v1", files->dir), apr_psprintf(pool, "%s/v2", files->dir)),
        0);
    files->size[1] = files->size[0];
    files->size[0] = (long)size;
    files->count = 2;
    file = fopen(apr_psprintf(pool, "%s/v1", files->dir), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
    return NULL;
}

static udm_error_t *to_zip(void *context, const void *data, apr_size_t size)
{
    return udm_zip_write(context, data, size);
}

static udm_error_t *to_buffer(void *context, const void *data, apr_size_t size)
{
    udm_buffer_add(context, data, size);
    return NULL;
}

static archive_t *begin(apr_int64_t limit)
{
    archive_t *a = apr_pcalloc(pool, sizeof(*a));
    udm_volume_target_t target = {file_open, file_write, file_close, file_prepend, &a->files};

    a->files.dir = scratch_dir();
    unit_ok(udm_volumes_open(&a->volumes, pool, &target, limit));
    unit_ok(udm_zip_open(&a->zip, pool, a->volumes, a->files.dir, apr_time_from_sec(1795500000)));
    unit_ok(udm_entry_make(&a->entry, pool));
    return a;
}

/* Text that deflate halves, the same for the same seed. */
static const char *noise(apr_size_t size, uint32_t seed)
{
    char *text = apr_palloc(pool, size + 1);

    seed = seed * 2654435761U | 1;
    for (apr_size_t i = 0; i < size; i++) {
        text[i] = "0123456789abcdef"[unit_random(&seed) >> 9 & 15];
    }
    text[size] = '\0';
    return text;
}

static void add(archive_t *a, const char *name, const char *content, apr_size_t size)
{
    udm_sink_t sink = {to_zip, a->zip};
    udm_entry_sum_t sum;

    unit_ok(udm_zip_begin(a->zip, name, NULL));
    unit_ok(udm_entry_begin(a->entry, &sink));
    unit_ok(udm_entry_write(a->entry, content, size));
    unit_ok(udm_entry_finish(a->entry, &sum));
    ck_assert_int_eq(sum.size, (apr_int64_t)size);
    unit_ok(udm_zip_end(a->zip, &sum));
}

/* The same with the sizes in front, as for what comes out of a spool. */
static void add_known(archive_t *a, const char *name, const char *content, apr_size_t size)
{
    udm_buffer_t *compressed = udm_buffer_make(pool);
    udm_sink_t sink = {to_buffer, compressed};
    udm_entry_sum_t sum;

    unit_ok(udm_entry_begin(a->entry, &sink));
    unit_ok(udm_entry_write(a->entry, content, size));
    unit_ok(udm_entry_finish(a->entry, &sum));
    unit_ok(udm_zip_begin(a->zip, name, &sum));
    unit_ok(udm_zip_write(a->zip, compressed->data, compressed->size));
    unit_ok(udm_zip_end(a->zip, &sum));
}

/* Ends the archive and names its volumes: a.zip, or a.z01 ... a.zip. */
static int end(archive_t *a)
{
    unit_ok(udm_zip_finish(a->zip));
    for (int i = 1; i <= a->files.count; i++) {
        const char *from = apr_psprintf(pool, "%s/v%d", a->files.dir, i);
        const char *to = i == a->files.count ? apr_psprintf(pool, "%s/a.zip", a->files.dir)
                                             : apr_psprintf(pool, "%s/a.z%02d", a->files.dir, i);

        ck_assert_int_eq(rename(from, to), 0);
    }
    return a->files.count;
}

/* Every tool reads an archive in one piece, and finds `entries` in it. */
static void check_single(const char *path, int entries)
{
    if (scratch_have("unzip")) {
        ck_assert_int_eq(scratch_run("unzip -tqq %s", path), 0);
        ck_assert_int_eq(scratch_run("test $(unzip -Z1 %s | wc -l) = %d", path, entries), 0);
    }
    if (scratch_have("7z")) {
        ck_assert_int_eq(scratch_run("7z t %s >%s.log && ! grep -i warning %s.log && "
                                     "grep -q 'Everything is Ok' %s.log",
                                     path, path, path, path),
                         0);
    }
    if (scratch_have("bsdtar")) {
        ck_assert_int_eq(scratch_run("test $(bsdtar -tf %s | wc -l) = %d", path, entries), 0);
        ck_assert_int_eq(scratch_run("bsdtar -xOf %s >/dev/null", path), 0);
    }
    if (scratch_have("/usr/bin/python3")) {
        ck_assert_int_eq(scratch_run("/usr/bin/python3 -c '\n"
                                     "import sys, zipfile\n"
                                     "z = zipfile.ZipFile(sys.argv[1])\n"
                                     "assert z.testzip() is None\n"
                                     "assert len(set(z.namelist())) == %d, len(z.namelist())\n"
                                     "' %s",
                                     entries, path),
                         0);
    }
}

/* The volumes are well, 7-Zip reads them, and Info-ZIP joins them. */
static void check_split(archive_t *a, apr_int64_t limit, int entries)
{
    const char *dir = a->files.dir;
    apr_size_t size;

    for (int i = 0; i < a->files.count; i++) {
        ck_assert_int_le(a->files.size[i], limit);
        ck_assert_int_ne(a->files.size[i] % UDM_ZIP_VOLUME_BLOCK, 0);
    }
    if (a->files.count == 1) {
        ck_assert_mem_eq(scratch_read(&size, apr_pstrcat(pool, dir, "/a.zip", NULL)), "PK\3\4", 4);
        check_single(apr_pstrcat(pool, dir, "/a.zip", NULL), entries);
        return;
    }
    ck_assert_mem_eq(scratch_read(&size, apr_pstrcat(pool, dir, "/a.z01", NULL)), "PK\7\10", 4);
    ck_assert_int_eq(a->files.size[0], 4);
    ck_assert_mem_eq(scratch_read(&size, apr_pstrcat(pool, dir, "/a.z02", NULL)), "PK\3\4", 4);
    if (scratch_have("7z")) {
        ck_assert_int_eq(scratch_run("7z t %s/a.zip >%s/log && ! grep -i warning %s/log && "
                                     "grep -q 'Everything is Ok' %s/log",
                                     dir, dir, dir, dir),
                         0);
        ck_assert_int_eq(
            scratch_run("test $(7z l -slt %s/a.zip | grep -c '^CRC = ') = %d", dir, entries), 0);
    }
    if (scratch_have("zip")) {
        ck_assert_int_eq(
            scratch_run(
                "cd %s && zip -q -s 0 a.zip --out joined.zip >log 2>&1 || { cat log; false; }",
                dir),
            0);
        check_single(apr_pstrcat(pool, dir, "/joined.zip", NULL), entries);
    }
}

START_TEST(one_piece)
{
    archive_t *a = begin(1 << 20);

    add(a, "Chat-12.json", "{\"a\":1}\n", 8);
    add(a, "empty.json", "", 0);
    add_known(a, "known.json", noise(100000, 1), 100000);
    add(a, "G%C3%A4ste-12.json", noise(300000, 2), 300000);
    add(a, "META-INF/manifest.json", "{}", 2);
    ck_assert_int_eq(end(a), 1);
    check_split(a, 1 << 20, 5);
    if (scratch_have("unzip")) {
        apr_size_t size;
        const char *path = apr_psprintf(pool, "%s/out", a->files.dir);

        ck_assert_int_eq(scratch_run("unzip -p %s/a.zip known.json >%s", a->files.dir, path), 0);
        ck_assert_str_eq(scratch_read(&size, path), noise(100000, 1));
    }
}
END_TEST

START_TEST(nothing_in_it)
{
    archive_t *a = begin(1 << 20);

    add(a, "META-INF/manifest.json", "{}", 2);
    ck_assert_int_eq(end(a), 1);
    check_split(a, 1 << 20, 1);
}
END_TEST

START_TEST(more_than_65535)
{
    archive_t *a = begin(APR_INT64_C(1) << 32);

    for (int i = 0; i < 70000; i++) {
        char name[32], content[64];

        snprintf(name, sizeof(name), "%07d.json", i);
        snprintf(content, sizeof(content), "{\"id\":%d}\n", i);
        add(a, name, content, strlen(content));
    }
    ck_assert_int_eq(end(a), 1);
    check_split(a, APR_INT64_C(1) << 32, 70000);
}
END_TEST

/* Entries of all sizes, some over many volumes, in volumes of many sizes. */
START_TEST(split)
{
    static const apr_int64_t limits[] = {4096,  5000,  16384, 16385, 16400, 20000,
                                         32768, 47000, 48151, 65536, 100000};
    apr_int64_t limit = limits[_i];
    archive_t *a = begin(limit);
    uint32_t state = (uint32_t)_i + 1;
    int entries = 40;

    for (int i = 0; i < entries; i++) {
        apr_size_t size = unit_random(&state) % (i % 7 == 0 ? 200000 : 6000);
        const char *content = noise(size, state);

        if (i % 3 == 0) {
            add_known(a, apr_psprintf(pool, "known-%d.json", i), content, size);
        }
        else {
            add(a, apr_psprintf(pool, "entry-%d.json", i), content, size);
        }
    }
    ck_assert_int_gt(end(a), 1);
    check_split(a, limit, entries);
}
END_TEST

/* A central directory of many volumes; more entries than a disk field counts. */
START_TEST(split_directory)
{
    archive_t *a = begin(16384 + _i * 9);

    for (int i = 0; i < 3000; i++) {
        const char *name = apr_psprintf(pool, "%d-%s.json", i, noise((apr_size_t)i % 50, 3));

        add(a, name, name, strlen(name));
    }
    ck_assert_int_gt(end(a), 10);
    check_split(a, 16384 + _i * 9, 3000);
}
END_TEST

/* Around the size at which an archive in one piece becomes one of two. */
START_TEST(just_split)
{
    apr_size_t most = 0;
    int last = 1;

    for (apr_size_t size = 6000; last == 1; size += 2) {
        archive_t *a = begin(4096);

        ck_assert_uint_lt(size, 8000);
        add(a, "a.json", noise(size, 9), size);
        add(a, "META-INF/manifest.json", "{}", 2);
        last = end(a);
        if (last == 1) {
            most = a->files.size[0] > (long)most ? (apr_size_t)a->files.size[0] : most;
        }
        if (size % 512 == 0 || last > 1) {
            check_split(a, 4096, 2);
        }
    }
    /* Room for the marker and for what padding the directory may need is kept. */
    ck_assert_uint_ge(most, 3930);
}
END_TEST

/* A volume that a header ends early, at a multiple of 16 KiB: it gets a byte more. */
START_TEST(never_a_multiple)
{
    const char *content = noise(65536, 5);
    udm_buffer_t *nothing = udm_buffer_make(pool);
    udm_sink_t sink = {to_buffer, nothing};
    bool hit = false;

    for (apr_size_t size = 26000; size < 31000 && !hit; size += 100) {
        archive_t *a = begin(16384 + 20);
        udm_entry_sum_t sum;
        apr_int64_t left;

        add(a, "a.json", content, size);
        unit_ok(udm_entry_begin(a->entry, &sink));
        unit_ok(udm_entry_finish(a->entry, &sum));
        /* A name that makes header, nothing as content and descriptor end exactly there. */
        left = 16384 - udm_volumes_size(a->volumes, 0) - 30 - sum.compressed - 16;
        if (udm_volumes_lead(a->volumes) == 0 && left > 0 && left < 400) {
            add(a, apr_pstrmemdup(pool, content, (apr_size_t)left), "", 0);
            ck_assert(udm_volumes_lead(a->volumes) == 0);
            ck_assert_int_eq(udm_volumes_size(a->volumes, 0), 16384);
            add(a, "b.json", content, 50000);
            add(a, "c.json", content, 10);
            ck_assert_int_gt(end(a), 2);
            ck_assert_int_eq(a->files.size[1], 16385);
            check_split(a, 16384 + 20, 4);
            hit = true;
        }
        else {
            end(a);
        }
    }
    ck_assert(hit);
}
END_TEST

static const char *zip_name(const char *data, apr_size_t size)
{
    udm_buffer_t *name = udm_buffer_make(pool);

    udm_zip_name(name, data, size);
    udm_buffer_char(name, '\0');
    return name->data;
}

START_TEST(entry_names)
{
    static const char *const pairs[][2] = {
        {"0000EaA9Xz_-", "0000EaA9Xz_-"},
        {"a.b", "a.b"},
        {"a/b", "a%2Fb"},
        {"..", "%2E%2E"},
        {"../../etc/passwd", "%2E%2E%2F.%2E%2Fetc%2Fpasswd"},
        {"a..b", "a.%2Eb"},
        {".hidden", "%2Ehidden"},
        {"end.", "end%2E"},
        {"a\\b:c*d", "a%5Cb%3Ac%2Ad"},
        {"G\xc3\xa4ste", "G%C3%A4ste"},
        {"100%", "100%25"},
        {"a b\n", "a%20b%0A"},
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        const char *name = zip_name(pairs[i][0], strlen(pairs[i][0]));

        ck_assert_ptr_null(strstr(name, ".."));
        ck_assert_str_eq(name, pairs[i][1]);
    }
    ck_assert_str_eq(zip_name("a\0b", 3), "a%00b");
}
END_TEST

START_TEST(long_names)
{
    char key[1000];
    const char *a, *b;

    memset(key, 0xe4, sizeof(key));
    a = zip_name(key, 999);
    b = zip_name(key, 1000);
    ck_assert_str_ne(a, b);
    ck_assert_uint_le(strlen(a), UDM_ZIP_NAME_MAX);
    /* What was cut was not cut inside of a %E4. */
    ck_assert_uint_eq(strcspn(a, "-") % 3, 0);
}
END_TEST

static const char *unique(udm_names_t *names, const char *stem)
{
    udm_buffer_t *name = udm_buffer_make(pool);

    udm_buffer_text(name, stem);
    udm_names_finish(names, name);
    udm_buffer_char(name, '\0');
    return name->data;
}

START_TEST(names_are_unique)
{
    udm_names_t *names = udm_names_make(pool);
    int with_number = 0;

    ck_assert_str_eq(unique(names, "a"), "a.json");
    ck_assert_str_eq(unique(names, "a"), "a-2.json");
    ck_assert_str_eq(unique(names, "A"), "A-3.json");
    ck_assert_str_eq(unique(names, "a-2"), "a-2-2.json");
    ck_assert_str_eq(unique(names, "b"), "b.json");
    for (int i = 0; i < 200000; i++) {
        char stem[16];

        snprintf(stem, sizeof(stem), "k%d", i);
        with_number += strchr(unique(names, stem), '-') != NULL;
    }
    ck_assert_int_eq(with_number, 0);
}
END_TEST

/* One key for all rows: no name twice, and it does not take forever. */
START_TEST(names_of_one_key)
{
    udm_names_t *names = udm_names_make(pool);
    const char *last = "";

    for (int i = 0; i < 50000; i++) {
        const char *name = unique(names, "same");

        ck_assert_str_ne(name, last);
        last = name;
    }
    ck_assert_str_eq(last, "same-50000.json");
}
END_TEST

/* Of keys, as rows have them. */
static const char *of_key(udm_names_t *names, const char *key, const char *behind)
{
    udm_buffer_t *name = udm_buffer_make(pool);

    udm_zip_name(name, key, strlen(key));
    udm_buffer_text(name, behind);
    udm_names_finish(names, name);
    udm_buffer_char(name, '\0');
    return name->data;
}

/* What Windows takes for a device, with whatever ending, is no name; what only looks so is one. */
START_TEST(names_of_devices)
{
    static const char *const keys[][2] = {
        {"con", "%63on.json"},
        {"CON", "%43ON.json"},
        {"Prn", "%50rn.json"},
        {"aux", "%61ux.json"},
        {"nul", "%6Eul.json"},
        {"com0", "%63om0.json"},
        {"COM1", "%43OM1.json"},
        {"lpt9", "%6Cpt9.json"},
        {"aux.txt", "%61ux.txt.json"},
        {"nul.tar.gz", "%6Eul.tar.gz.json"},
        {"%63on", "%2563on.json"},
        {"con.", "con%2E.json"},
        {"con ", "con%20.json"},
        {" con", "%20con.json"},
        {"COM\xc2\xb9", "COM%C2%B9.json"},
        {"CONIN$", "CONIN%24.json"},
        {"con:", "con%3A.json"},
        {"cons", "cons.json"},
        {"co", "co.json"},
        {"com", "com.json"},
        {"com10", "com10.json"},
        {"lpta", "lpta.json"},
        {"a.con", "a.con.json"},
        {"con-1", "con-1.json"},
        {".con", "%2Econ.json"},
    };
    udm_names_t *names = udm_names_make(pool);

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        ck_assert_str_eq(of_key(names, keys[i][0], ""), keys[i][1]);
    }
    ck_assert_str_eq(of_key(names, "CON", ""), "%43ON-2.json");
    ck_assert_str_eq(of_key(names, "nul", "-attachment-1"), "nul-attachment-1.json");
    ck_assert_str_eq(of_key(names, "lpt1.x", "-attachment-1"), "%6Cpt1.x-attachment-1.json");
}
END_TEST

/* Two long keys in one name: no file system takes more than 255 bytes. */
START_TEST(names_of_two_keys)
{
    udm_names_t *names = udm_names_make(pool);
    const char *long_key = apr_pstrndup(pool, noise(400, 7), 180);

    for (int i = 0; i < 40; i++) {
        const char *behind = apr_psprintf(pool, "%.*s%%2F-attachment-%s", i,
                                          "0123456789012345678901234567890123456789", long_key);
        const char *name = of_key(names, "a", behind);
        const char *other = of_key(names, "a", apr_pstrcat(pool, behind, "x", NULL));
        const char *again = of_key(names, "a", behind);
        const char *code = strrchr(name, '%');

        ck_assert_uint_le(strlen(again), 255);
        ck_assert_str_ne(name, other);
        ck_assert_str_ne(name, again);
        ck_assert(code == NULL || (code[1] != '-' && code[2] != '-'));
    }
    for (int size = 1; size < 500; size++) {
        ck_assert_uint_le(strlen(of_key(names, "k", apr_psprintf(pool, "%0*d", size, 1))), 255);
    }
}
END_TEST

TCase *zip_case(void)
{
    TCase *tc = unit_case("zip");

    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, one_piece);
    tcase_add_test(tc, nothing_in_it);
    tcase_add_test(tc, more_than_65535);
    tcase_add_loop_test(tc, split, 0, 11);
    tcase_add_loop_test(tc, split_directory, 0, 4);
    tcase_add_test(tc, just_split);
    tcase_add_test(tc, never_a_multiple);
    tcase_add_test(tc, entry_names);
    tcase_add_test(tc, long_names);
    tcase_add_test(tc, names_are_unique);
    tcase_add_test(tc, names_of_one_key);
    tcase_add_test(tc, names_of_devices);
    tcase_add_test(tc, names_of_two_keys);
    return tc;
}
