/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_archive.c: blocks through the relay into an archive: entries that are open side by side come
 * out whole, and whichever side ends early, the other one does, too.
 */
#include <jansson.h>
#include <unistd.h>

#include "scratch.h"
#include "export/archive.h"
#include "export/relay.h"

#define ENTRIES 5
#define UNSPLIT ((apr_int64_t)1 << 40)

/* Where the archive goes; past `most` bytes it fails. */
typedef struct file_t {
    FILE *file;
    apr_pool_t *pool;
    apr_int64_t most;
    apr_int64_t size;
} file_t;

typedef struct bench_t {
    const char *dir;
    apr_pool_t *archive_pool;
    file_t file;
    udm_stop_t stop;
    udm_archive_t *archive;
    udm_relay_t *relay;
} bench_t;

static udm_error_t *file_open(void *context)
{
    return NULL;
}

static udm_error_t *file_write(void *context, const void *data, apr_size_t size)
{
    file_t *file = context;

    file->size += (apr_int64_t)size;
    if (file->size > file->most) {
        return udm_error_make(file->pool, UDM_E_STORE, "the store is full");
    }
    ck_assert_uint_eq(fwrite(data, 1, size, file->file), size);
    return NULL;
}

static udm_error_t *file_close(void *context)
{
    return NULL;
}

static udm_error_t *file_prepend(void *context, const void *data, apr_size_t size)
{
    return NULL;
}

static apr_status_t bench_free(void *data)
{
    bench_t *b = data;

    fclose(b->file.file);
    return APR_SUCCESS;
}

static udm_error_t *take_block(void *context, const udm_block_t *block)
{
    return udm_archive_take(context, block);
}

static bench_t *bench_make(apr_int64_t capacity, apr_int64_t most)
{
    bench_t *b = apr_pcalloc(pool, sizeof(*b));
    udm_volume_target_t target = {file_open, file_write, file_close, file_prepend, &b->file};

    b->dir = scratch_dir();
    b->file.file = fopen(apr_pstrcat(pool, b->dir, "/out.zip", NULL), "wb");
    b->file.most = most;
    ck_assert_ptr_nonnull(b->file.file);
    unit_ok(udm_stop_make(&b->stop, pool));
    b->archive_pool = udm_relay_pool(pool);
    b->file.pool = b->archive_pool;
    apr_pool_cleanup_register(pool, b, bench_free, apr_pool_cleanup_null);
    unit_ok(udm_archive_open(&b->archive, b->archive_pool, &target, capacity, b->dir,
                             apr_time_now(), &b->stop));
    unit_ok(udm_relay_start(&b->relay, pool, take_block, b->archive));
    return b;
}

/* Puts a piece of noise (so that it does not compress) into the block, and the same into `copy`. */
static void add_noise(udm_block_t *block, udm_buffer_t *copy, uint32_t *state, apr_size_t size)
{
    for (apr_size_t i = 0; i < size; i += 4) {
        uint32_t noise = unit_random(state);

        udm_buffer_add(block->bytes, &noise, sizeof(noise));
        if (copy != NULL) {
            udm_buffer_add(copy, &noise, sizeof(noise));
        }
    }
}

/* One block that is all of one entry's. */
static bool put_noise(bench_t *b, int entry, const char *name, uint32_t *state, bool ends)
{
    udm_block_t *block = udm_relay_block(b->relay);

    udm_block_open(block, entry, name);
    add_noise(block, NULL, state, UDM_BLOCK_SIZE);
    udm_block_close(block, 1, ends);
    return udm_relay_put(b->relay, block);
}

static json_t *finish(bench_t *b)
{
    udm_run_t run = {.export_id = "e", .source = "s", .type = "t", .ccid = "c", .filters = "[]"};
    udm_manifest_head_t head = {&run, "1:2:", "f", apr_time_now(), 0};
    json_t *manifest;
    apr_size_t size;

    run.media = apr_array_make(pool, 1, sizeof(const char *));
    run.window_all = true;
    unit_ok(udm_relay_finish(b->relay, false));
    unit_ok(udm_archive_finish(b->archive, &head));
    fflush(b->file.file);
    ck_assert_int_eq(scratch_run("cd %s && mkdir x && unzip -qq out.zip -d x", b->dir), 0);
    manifest = json_loads(
        scratch_read(&size, apr_pstrcat(pool, b->dir, "/x/META-INF/manifest.json", NULL)), 0, NULL);
    ck_assert_ptr_nonnull(manifest);
    return manifest;
}

/* Several entries take turns, in pieces of any size; then numbers are used again. */
START_TEST(side_by_side)
{
    bench_t *b = bench_make(UNSPLIT, INT64_MAX);
    uint32_t state = 4711;
    udm_buffer_t *copies[2 * ENTRIES];
    int rows[2 * ENTRIES] = {0};
    const char *first = NULL;
    json_t *manifest, *entries, *entry;
    size_t i;

    for (int round = 0; round < 2; round++) {
        int left[ENTRIES];

        for (int e = 0; e < ENTRIES; e++) {
            copies[round * ENTRIES + e] = udm_buffer_make(pool);
            left[e] = 20 + (int)(unit_random(&state) % 20);
        }
        for (int open = ENTRIES; open > 0;) {
            udm_block_t *block = udm_relay_block(b->relay);

            ck_assert_int_eq(block->count, 0);
            ck_assert_uint_eq(block->bytes->size, 0);
            for (int n = 0; n < 4 && open > 0; n++) {
                int e = (int)(unit_random(&state) % ENTRIES);
                int at = round * ENTRIES + e;
                char *name = apr_psprintf(pool, "entry-%d.json", at);

                if (left[e] == 0) {
                    continue;
                }
                first = first != NULL ? first : name;
                udm_block_open(block, e, rows[at] == 0 ? name : NULL);
                add_noise(block, copies[at], &state, unit_random(&state) % 100000);
                udm_block_close(block, 2, --left[e] == 0);
                rows[at] += 2;
                open -= left[e] == 0;
            }
            ck_assert(udm_relay_put(b->relay, block));
        }
    }
    manifest = finish(b);
    entries = json_object_get(manifest, "entries");
    ck_assert_uint_eq(json_array_size(entries), 2 * ENTRIES);
    /* What began first was there to be written straight away. */
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(entries, 0), "name")), first);
    json_array_foreach(entries, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        int at = atoi(name + 6);
        apr_size_t size;
        const char *data = scratch_read(&size, apr_pstrcat(pool, b->dir, "/x/", name, NULL));

        ck_assert_int_eq(json_integer_value(json_object_get(entry, "rows")), rows[at]);
        ck_assert_uint_eq(size, copies[at]->size);
        ck_assert(size == 0 || memcmp(data, copies[at]->data, size) == 0);
    }
    json_decref(manifest);
}
END_TEST

/* Many small entries in one block, one after the other. */
START_TEST(many_in_a_block)
{
    bench_t *b = bench_make(UNSPLIT, INT64_MAX);
    udm_block_t *block = udm_relay_block(b->relay);
    json_t *manifest;

    for (int i = 0; i < 1000; i++) {
        udm_block_open(block, 0, apr_psprintf(pool, "%d.json", i));
        udm_buffer_format(block->bytes, "%d", i * i);
        udm_block_close(block, 1, true);
    }
    ck_assert(udm_relay_put(b->relay, block));
    manifest = finish(b);
    ck_assert_uint_eq(json_array_size(json_object_get(manifest, "entries")), 1000);
    ck_assert_int_eq(scratch_run("cd %s/x && for i in 0 1 31 999; do"
                                 " test \"$(cat $i.json)\" = $((i * i)) || exit 1; done",
                                 b->dir),
                     0);
    json_decref(manifest);
}
END_TEST

/* Rows of any size go through, but not two of them at once: memory is for one, and the next. */
/* A piece may have nothing yet: what is behind its end can be pointed at all the same. */
START_TEST(of_an_empty_block)
{
    udm_block_t *block = udm_block_make(pool);

    ck_assert_ptr_nonnull(block->bytes->data);
    udm_block_open(block, 0, NULL);
    ck_assert_uint_eq(udm_block_close(block, 0, false)->size, 0);
    udm_buffer_grow(block->bytes, (apr_size_t)4 * UDM_BLOCK_SIZE);
    udm_block_clear(block);
    ck_assert_ptr_nonnull(block->bytes->data);
}
END_TEST

START_TEST(huge_rows)
{
    bench_t *b = bench_make(UNSPLIT, INT64_MAX);
    uint32_t state = 11;
    udm_block_t *seen[4];
    int blocks = 0;

    for (int i = 0; i < 12; i++) {
        udm_block_t *block = udm_relay_block(b->relay);
        int known = 0;

        while (known < blocks && seen[known] != block) {
            known++;
        }
        if (known == blocks) {
            ck_assert_int_lt(blocks, 3);
            seen[blocks++] = block;
        }
        udm_block_open(block, 0, apr_psprintf(pool, "%d.json", i));
        add_noise(block, NULL, &state, 4 << 20);
        udm_block_close(block, 1, true);
        ck_assert(udm_relay_put(b->relay, block));
    }
    json_decref(finish(b));
}
END_TEST

/* The reader learns that the other side failed, and why; however much it still puts, it never waits. */
START_TEST(store_full)
{
    bench_t *b = bench_make(UDM_BLOCK_SIZE, 3 * UDM_BLOCK_SIZE);
    uint32_t state = 7;
    int puts = 0;

    while (put_noise(b, 0, puts == 0 ? "a.json" : NULL, &state, false)) {
        ck_assert_int_lt(++puts, 100);
    }
    ck_assert(udm_relay_failed(b->relay));
    ck_assert(!put_noise(b, 0, NULL, &state, false));
    unit_fails(udm_relay_finish(b->relay, true), UDM_E_STORE, "full");
}
END_TEST

START_TEST(stopped)
{
    bench_t *b = bench_make(UNSPLIT, INT64_MAX);
    uint32_t state = 7;
    int puts = 0;

    ck_assert(put_noise(b, 0, "a.json", &state, false));
    udm_stop_raise(&b->stop);
    while (put_noise(b, 0, NULL, &state, false)) {
        ck_assert_int_lt(++puts, 100);
    }
    unit_fails(udm_relay_finish(b->relay, true), UDM_E_STOPPED, "stopped");
}
END_TEST

/* A reader that failed leaves what waits to nobody. */
START_TEST(aborted)
{
    bench_t *b = bench_make(UNSPLIT, INT64_MAX);
    uint32_t state = 7;

    for (int i = 0; i < 8; i++) {
        ck_assert(put_noise(b, 0, i == 0 ? "a.json" : NULL, &state, false));
    }
    unit_ok(udm_relay_finish(b->relay, true));
}
END_TEST

TCase *archive_case(void)
{
    TCase *tc = unit_case("archive");

    tcase_add_test(tc, side_by_side);
    tcase_add_test(tc, many_in_a_block);
    tcase_add_test(tc, of_an_empty_block);
    tcase_add_test(tc, huge_rows);
    tcase_add_test(tc, store_full);
    tcase_add_test(tc, stopped);
    tcase_add_test(tc, aborted);
    return tc;
}
