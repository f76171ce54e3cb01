/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c: writes whole lines with one write(2) each, so that threads never mix theirs.
 */
#include "worker/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_SIZE 4096

static const char *const names[] = {"error", "warn", "info", "debug"};

bool udm_log_level_parse(udm_log_level *level, const char *text)
{
    int i;

    for (i = 0; i <= UDM_LOG_DEBUG; i++) {
        if (strcmp(text, names[i]) == 0) {
            *level = (udm_log_level)i;
            return true;
        }
    }
    return false;
}

void udm_log(udm_log_level limit, udm_log_level level, const char *message, ...)
{
    char line[LINE_MAX_SIZE];
    struct timespec now;
    struct tm when;
    size_t used;
    size_t i;
    va_list args;
    int more;

    if (level > limit) {
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &when);
    used = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &when);
    used += (size_t)snprintf(line + used, sizeof(line) - used,
                             ".%03ldZ udm-worker[%ld] %s: ", now.tv_nsec / 1000000, (long)getpid(),
                             names[level]);
    va_start(args, message);
    more = vsnprintf(line + used, sizeof(line) - used - 1, message, args);
    va_end(args);
    i = used;
    if (more > 0) {
        used += (size_t)more < sizeof(line) - used - 1 ? (size_t)more : sizeof(line) - used - 2;
    }
    /* What a database or a file name says must not begin a line of its own. */
    for (; i < used; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = ' ';
        }
    }
    line[used++] = '\n';
    /* There is nowhere to say that the log cannot be written. */
    if (write(STDERR_FILENO, line, used) < 0) {
        return;
    }
}
