/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * next.c: answers test_schedule.py about schedules, line by line. Instants are microseconds.
 *
 *   in   next|last|first TAB schedulerParam TAB now TAB instant     (first needs no instant)
 *   out  an instant, never, or fault TAB pointer TAB detail
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>

#include "core/calendar.h"
#include "core/json.h"
#include "core/schedule.h"

static void answer(apr_pool_t *p, const char *question, const char *param, apr_time_t now,
                   apr_time_t instant)
{
    udm_schedule_t schedule;
    udm_error_t *error = NULL;
    apr_time_t when;
    json_t *json;

    error = udm_json_parse(&json, p, param, strlen(param));
    if (error) {
        printf("fault\t\t%s\n", error->reason);
        return;
    }
    if (!udm_schedule_parse(&schedule, &error, p, "/schedulerParam", json, now)) {
        const udm_fault_t *fault = &APR_ARRAY_IDX(error->faults, 0, udm_fault_t);

        printf("fault\t%s\t%s\n", fault->pointer, fault->detail);
        return;
    }
    if (strcmp(question, "first") == 0) {
        when = udm_schedule_first(&schedule, now);
    }
    else if (strcmp(question, "next") == 0) {
        when = udm_schedule_next(&schedule, instant);
    }
    else {
        when = udm_schedule_last(&schedule, instant);
    }
    if (when == UDM_NO_TIME) {
        puts("never");
    }
    else {
        printf("%" PRId64 "\n", (int64_t)when);
    }
}

int main(void)
{
    apr_pool_t *p;
    char line[4096], *part[4], *rest;
    int i;

    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&p, NULL) != APR_SUCCESS) {
        return EXIT_FAILURE;
    }
    while (fgets(line, sizeof(line), stdin)) {
        rest = line;
        for (i = 0; i < 4; i++) {
            part[i] = strsep(&rest, "\t\n");
            if (!part[i]) {
                fprintf(stderr, "bad line: %s\n", line);
                return EXIT_FAILURE;
            }
        }
        answer(p, part[0], part[1], strtoll(part[2], NULL, 10), strtoll(part[3], NULL, 10));
        apr_pool_clear(p);
    }
    apr_terminate();
    return EXIT_SUCCESS;
}
