/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * refuse.c: preloaded into a program, makes a system call fail as a full disk makes it, at moments that
 * no small disk could be made to have. The file that UDM_TEST_REFUSE names says which: "CALL TEXT",
 * for CALL on a path that TEXT is a part of; when it does not exist, all goes well. "slow-write TEXT" makes
 * writes as slow as those to a busy disk: 500 KB/s.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether `call` on `path` is to fail. */
static int refused(const char *call, const char *path)
{
    const char *name = getenv("UDM_TEST_REFUSE");
    FILE *file = name != NULL ? fopen(name, "re") : NULL;
    char which[64], text[256];
    int is = 0;

    if (file != NULL) {
        is = fscanf(file, "%63s %255s", which, text) == 2 && strcmp(which, call) == 0 &&
             strstr(path, text) != NULL;
        fclose(file);
    }
    return is;
}

/* The same of an open file. */
static int refused_of(const char *call, int fd)
{
    char link[64], path[4096];
    ssize_t size;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    size = readlink(link, path, sizeof(path) - 1);
    if (size <= 0) {
        return 0;
    }
    path[size] = '\0';
    return refused(call, path);
}

int fsync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");

    if (refused_of("fsync", fd)) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd);
}

ssize_t write(int fd, const void *data, size_t size)
{
    ssize_t (*real)(int, const void *, size_t) =
        (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");

    if (refused_of("slow-write", fd)) {
        usleep((useconds_t)(2 * size));
    }
    return real(fd, data, size);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    int (*real)(int, const char *, int, const char *, unsigned) =
        (int (*)(int, const char *, int, const char *, unsigned))dlsym(RTLD_NEXT, "renameat2");

    if (refused("renameat2", to)) {
        errno = ENOSPC;
        return -1;
    }
    return real(from_dir, from, to_dir, to, flags);
}
