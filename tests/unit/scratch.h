/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * scratch.h: a directory for one test, and the tools of other people that read what we write.
 */
#ifndef UDM_SCRATCH_H
#define UDM_SCRATCH_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "unit.h"

static inline apr_status_t scratch_remove(void *path)
{
    char *command = NULL;

    if (asprintf(&command, "chmod -R u+rwX '%s' && rm -rf '%s'", (char *)path, (char *)path) > 0 &&
        system(command) != 0) {
        fprintf(stderr, "%s is left behind\n", (char *)path);
    }
    free(command);
    return APR_SUCCESS;
}

/* A new directory, gone with the pool of the test. */
static inline const char *scratch_dir(void)
{
    const char *base = getenv("TMPDIR");
    char *path = apr_pstrcat(pool, base != NULL ? base : "/tmp", "/udm-unit-XXXXXX", NULL);

    ck_assert_ptr_nonnull(mkdtemp(path));
    apr_pool_cleanup_register(pool, path, scratch_remove, apr_pool_cleanup_null);
    return path;
}

/* Runs a shell command. @return its exit code */
static inline int scratch_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline int scratch_run(const char *format, ...)
{
    va_list args;
    char *command;
    int status;

    va_start(args, format);
    command = apr_pvsprintf(pool, format, args);
    va_end(args);
    status = system(command);
    return status < 0 ? -1 : (status & 0x7f) != 0 ? 128 : (status >> 8) & 0xff;
}

static inline bool scratch_have(const char *tool)
{
    return scratch_run("command -v %s >/dev/null 2>&1", tool) == 0;
}

/* A whole file, in the pool of the test. */
static inline const char *scratch_read(apr_size_t *size, const char *path)
{
    FILE *file = fopen(path, "rb");
    char *data;
    long end;

    ck_assert_msg(file != NULL, "%s cannot be read", path);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    end = ftell(file);
    ck_assert_int_ge(end, 0);
    rewind(file);
    data = apr_palloc(pool, (apr_size_t)end + 1);
    *size = fread(data, 1, (apr_size_t)end, file);
    ck_assert_uint_eq(*size, (apr_size_t)end);
    data[end] = '\0';
    fclose(file);
    return data;
}

#endif
