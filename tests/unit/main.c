/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: runs the unit tests; CK_RUN_CASE=name in the environment runs one case.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_tables.h>

#include "unit.h"

apr_pool_t *pool;

static void make_pool(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
}

static void destroy_pool(void)
{
    apr_pool_destroy(pool);
    pool = NULL;
}

TCase *unit_case(const char *name)
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, make_pool, destroy_pool);
    tcase_set_timeout(tc, 120); /* for a hang only: sanitizers and busy machines are slow */
    return tc;
}

void unit_ok_at(const udm_error_t *error, const char *file, int line)
{
    if (error) {
        const udm_fault_t *fault = error->faults && error->faults->nelts > 0
                                       ? (const udm_fault_t *)error->faults->elts
                                       : NULL;

        ck_abort_msg("%s:%d: %s %s %s", file, line, udm_error_line(pool, error),
                     fault ? fault->pointer : "", fault ? fault->detail : "");
    }
}

void unit_fails_at(const udm_error_t *error, udm_error_kind kind, const char *words,
                   const char *file, int line)
{
    int i;

    if (!error) {
        ck_abort_msg("%s:%d: no error; expected: %s", file, line, words);
    }
    if (error->kind != kind) {
        ck_abort_msg("%s:%d: error of kind %d, expected %d: %s", file, line, (int)error->kind,
                     (int)kind, udm_error_line(pool, error));
    }
    if (strstr(error->reason, words)) {
        return;
    }
    for (i = 0; error->faults && i < error->faults->nelts; i++) {
        if (strstr(APR_ARRAY_IDX(error->faults, i, udm_fault_t).detail, words)) {
            return;
        }
    }
    ck_abort_msg("%s:%d: '%s' does not say '%s'", file, line, udm_error_line(pool, error), words);
}

size_t unit_memory(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

uint32_t unit_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

char *unit_mutate(uint32_t *state, const char *text)
{
    static const char likely[] = "{}[]\"\\/%&=.,:-+_ \t\n0123456789aZ\x7f\x80\xc3\xff";
    size_t size = strlen(text);
    unsigned changes = 1 + unit_random(state) % 4;
    char *work = malloc(size + changes + 1), *exact;

    memcpy(work, text, size + 1);
    for (; changes > 0; changes--) {
        size_t at = unit_random(state) % (size + 1);
        char c = likely[unit_random(state) % (sizeof(likely) - 1)];

        switch (unit_random(state) % 4) {
        case 0: /* change */
            if (at < size) {
                work[at] = c;
            }
            break;
        case 1: /* remove */
            if (at < size) {
                memmove(work + at, work + at + 1, size - at);
                size--;
            }
            break;
        case 2: /* cut off */
            if (unit_random(state) % 4 == 0) {
                work[at] = '\0';
                size = at;
            }
            break;
        default: /* insert, or double */
            memmove(work + at + 1, work + at, size - at + 1);
            size++;
            if (unit_random(state) % 2 == 0 || work[at] == '\0') {
                work[at] = c;
            }
            break;
        }
    }
    exact = malloc(size + 1);
    memcpy(exact, work, size + 1);
    free(work);
    return exact;
}

int main(void)
{
    Suite *suite = suite_create("unit");
    SRunner *runner;
    int failed;

    if (apr_initialize() != APR_SUCCESS) {
        return EXIT_FAILURE;
    }
    suite_add_tcase(suite, error_case());
    suite_add_tcase(suite, text_case());
    suite_add_tcase(suite, calendar_case());
    suite_add_tcase(suite, json_case());
    suite_add_tcase(suite, route_case());
    suite_add_tcase(suite, listing_case());
    suite_add_tcase(suite, job_case());
    suite_add_tcase(suite, job_limits_case());
    suite_add_tcase(suite, job_info_case());
    suite_add_tcase(suite, memory_case());
    suite_add_tcase(suite, filter_case());
    suite_add_tcase(suite, transition_case());
    suite_add_tcase(suite, etag_case());
    suite_add_tcase(suite, multipart_case());
    suite_add_tcase(suite, openapi_case());
    suite_add_tcase(suite, principal_case());
    suite_add_tcase(suite, apikey_case());
    suite_add_tcase(suite, token_case());
    suite_add_tcase(suite, token_keys_case());
    suite_add_tcase(suite, token_claims_case());
    suite_add_tcase(suite, link_case());
    suite_add_tcase(suite, artifact_case());
    suite_add_tcase(suite, redact_case());
    suite_add_tcase(suite, certificate_case());
    suite_add_tcase(suite, certificate_odd_case());
    suite_add_tcase(suite, certificate_fields_case());
    suite_add_tcase(suite, encode_case());
    suite_add_tcase(suite, encode_number_case());
    suite_add_tcase(suite, encode_parts_case());
    suite_add_tcase(suite, envelope_case());
    suite_add_tcase(suite, spool_case());
    suite_add_tcase(suite, schedule_case());
    suite_add_tcase(suite, cron_case());
    suite_add_tcase(suite, store_case());
    suite_add_tcase(suite, zip_case());
    suite_add_tcase(suite, archive_case());
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    apr_terminate();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
