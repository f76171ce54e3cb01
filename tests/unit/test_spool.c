/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_spool.c: what goes into a spool comes out of it, and is nowhere to be read meanwhile.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scratch.h"
#include "export/spool.h"

static udm_error_t *to_buffer(void *context, const void *data, apr_size_t size)
{
    udm_buffer_add(context, data, size);
    return NULL;
}

static udm_error_t *fails(void *context, const void *data, apr_size_t size)
{
    return udm_error_make(pool, UDM_E_STOPPED, "no more");
}

START_TEST(round_trip)
{
    static const apr_size_t sizes[] = {0, 1, 65535, 65536, 65537, 131072, 300001};
    apr_size_t size = sizes[_i];
    udm_buffer_t *out = udm_buffer_make(pool);
    udm_sink_t sink = {to_buffer, out};
    unsigned char *data = apr_palloc(pool, size + 1);
    unsigned char *back = apr_palloc(pool, size + 16);
    uint32_t state = 7;
    udm_spool_t *spool;
    apr_size_t got;

    for (apr_size_t i = 0; i < size; i++) {
        data[i] = (unsigned char)unit_random(&state);
    }
    unit_ok(udm_spool_open(&spool, pool, scratch_dir()));
    for (apr_size_t done = 0; done < size;) {
        apr_size_t take = 1 + unit_random(&state) % 20000;

        take = take < size - done ? take : size - done;
        unit_ok(udm_spool_write(spool, data + done, take));
        done += take;
    }
    ck_assert_int_eq(udm_spool_size(spool), (apr_int64_t)size);
    for (int again = 0; again < 2; again++) {
        unit_ok(udm_spool_rewind(spool));
        unit_ok(udm_spool_read(back, &got, spool, size / 3));
        ck_assert_uint_eq(got, size / 3);
        unit_ok(udm_spool_read(back + got, &got, spool, size + 16 - size / 3));
        ck_assert_uint_eq(got, size - size / 3);
        ck_assert(memcmp(back, data, size) == 0);
        unit_ok(udm_spool_read(back, &got, spool, 1));
        ck_assert_uint_eq(got, 0);
    }
    unit_ok(udm_spool_empty(spool, &sink));
    ck_assert_uint_eq(out->size, size);
    ck_assert(size == 0 || memcmp(out->data, data, size) == 0);
    unit_fails(udm_spool_write(spool, "x", 1), UDM_E_INTERNAL, "being read");
}
END_TEST

/* The descriptor of the spool: the last one that is open. */
static int descriptor(void)
{
    int fd = dup(0);

    close(fd);
    return fd - 1;
}

START_TEST(nothing_to_read)
{
    static const char secret[] = "a sentence that nobody may find";
    const char *dir = scratch_dir();
    udm_spool_t *spool;
    struct stat info;
    char raw[200000];
    ssize_t size;
    int fd;

    unit_ok(udm_spool_open(&spool, pool, dir));
    fd = descriptor();
    for (int i = 0; i < 5000; i++) {
        unit_ok(udm_spool_write(spool, secret, sizeof(secret) - 1));
    }
    unit_ok(udm_spool_rewind(spool));
    ck_assert_int_eq(scratch_run("test -z \"$(ls -A %s)\"", dir), 0);
    ck_assert_int_eq(fstat(fd, &info), 0);
    ck_assert_int_eq(info.st_nlink, 0);
    ck_assert_int_eq(info.st_mode & 07777, 0600);
    ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    size = pread(fd, raw, sizeof(raw), 0);
    ck_assert_int_eq(size, 5000 * (sizeof(secret) - 1));
    ck_assert_ptr_null(memmem(raw, (size_t)size, "sentence", 8));
    udm_spool_close(spool);
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

/* Two spools of the same content have nothing in common: each has its own key. */
START_TEST(own_keys)
{
    const char *dir = scratch_dir();
    char raw[2][64];

    for (int i = 0; i < 2; i++) {
        udm_spool_t *spool;
        int fd;

        unit_ok(udm_spool_open(&spool, pool, dir));
        fd = descriptor();
        unit_ok(udm_spool_write(spool, apr_pcalloc(pool, 64), 64));
        unit_ok(udm_spool_rewind(spool));
        ck_assert_int_eq(pread(fd, raw[i], 64, 0), 64);
        udm_spool_close(spool);
    }
    ck_assert(memcmp(raw[0], raw[1], 64) != 0);
}
END_TEST

typedef struct watched_t {
    int fd;
    apr_int64_t size; /* of all that came */
    blkcnt_t blocks;  /* the least that the file took meanwhile */
} watched_t;

static udm_error_t *watch(void *context, const void *data, apr_size_t size)
{
    watched_t *watched = context;
    struct stat info;

    ck_assert_int_eq(fstat(watched->fd, &info), 0);
    watched->blocks = info.st_blocks < watched->blocks ? info.st_blocks : watched->blocks;
    watched->size += (apr_int64_t)size;
    return NULL;
}

/* What was moved out takes no room any more while the rest follows. */
START_TEST(gives_back)
{
    const apr_size_t size = 8 << 20;
    watched_t watched = {-1, 0, 0};
    udm_sink_t sink = {watch, &watched};
    udm_spool_t *spool;
    struct stat info;

    unit_ok(udm_spool_open(&spool, pool, scratch_dir()));
    watched.fd = descriptor();
    unit_ok(udm_spool_write(spool, apr_pcalloc(pool, size), size));
    unit_ok(udm_spool_rewind(spool));
    ck_assert_int_eq(fstat(watched.fd, &info), 0);
    watched.blocks = info.st_blocks;
    unit_ok(udm_spool_empty(spool, &sink));
    ck_assert_int_eq(watched.size, (apr_int64_t)size);
    ck_assert_int_lt(watched.blocks, info.st_blocks / 2);
}
END_TEST

START_TEST(errors)
{
    const char *dir = scratch_dir();
    udm_sink_t sink = {fails, NULL};
    udm_spool_t *spool;
    udm_error_t *error = udm_spool_open(&spool, pool, "/nonexistent/spool");

    unit_fails(error, UDM_E_STORE, "there is no spool directory");
    ck_assert_ptr_null(strstr(error->reason, "/nonexistent"));
    ck_assert_int_eq(error->status, ENOENT);
    unit_ok(udm_spool_open(&spool, pool, dir));
    unit_ok(udm_spool_write(spool, "x", 1));
    unit_fails(udm_spool_empty(spool, &sink), UDM_E_STOPPED, "no more");
    /* Where there is no room. /dev/full is what a full disk looks like. */
    unit_ok(udm_spool_open(&spool, pool, dir));
    if (access("/dev/full", W_OK) == 0) {
        int fd = open("/dev/full", O_RDWR | O_CLOEXEC);

        ck_assert_int_ge(dup2(fd, fd - 1), 0);
        close(fd);
        unit_ok(udm_spool_write(spool, "x", 1));
        error = udm_spool_rewind(spool);
        unit_fails(error, UDM_E_STORE, "the spool directory is full");
        ck_assert_int_eq(error->status, ENOSPC);
    }
}
END_TEST

/* What is said before a worker calls itself ready. */
START_TEST(tried)
{
    const char *dir = scratch_dir();
    struct stat facts;

    unit_ok(udm_spool_try(pool, dir));
    ck_assert_int_eq(stat(dir, &facts), 0);
    ck_assert_int_eq(facts.st_nlink, 2);
    ck_assert_int_eq(rmdir(dir), 0); /* nothing is left in it */
    unit_fails(udm_spool_try(pool, dir), UDM_E_STORE, "there is no spool directory");
    ck_assert_int_eq(mkdir(dir, 0700), 0);
}
END_TEST

TCase *spool_case(void)
{
    TCase *tc = unit_case("spool");

    tcase_add_loop_test(tc, round_trip, 0, 7);
    tcase_add_test(tc, nothing_to_read);
    tcase_add_test(tc, own_keys);
    tcase_add_test(tc, gives_back);
    tcase_add_test(tc, errors);
    tcase_add_test(tc, tried);
    return tc;
}
