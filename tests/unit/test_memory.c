/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_memory.c: what a request body costs in memory, whatever stands in which member: never more
 * than FACTOR times its size, and for a large one never more than CONSTANT and SLOPE times its size.
 *
 * Each body is read in a process of its own, of which the kernel says how much it has used at most.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>

#include "unit.h"
#include "core/job.h"
#include "core/json.h"
#include "core/listing.h"

#define FACTOR   100
#define SLOPE    10
#define CONSTANT (8 * 1024 * 1024)
#define NOISE    (512 * 1024) /* pages of code and stacks that are touched for the first time */
#define LARGE    (1024 * 1024)
#define SMALL    (74 * 1024)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEASURABLE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define MEASURABLE 0
#endif
#endif
#ifndef MEASURABLE
#define MEASURABLE 1
#endif

/* A field of /proc/self/status in bytes, or -1. */
static long status_of(const char *field)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[200];
    long kib = -1;

    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, field, strlen(field)) == 0) {
            kib = strtol(line + strlen(field) + 1, NULL, 10);
        }
    }
    if (file) {
        fclose(file);
    }
    return kib < 0 ? -1 : kib * 1024;
}

/* Forgets what this process has used at most so far. @return false where the kernel cannot */
static bool forget_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    bool good = file && fputs("5", file) >= 0;

    if (file && fclose(file) != 0) {
        good = false;
    }
    return good;
}

typedef void (*work_fn)(apr_pool_t *p, const char *text, apr_size_t size, int version);

/* How many bytes `work` needs at most, beyond what there was; -1 where that cannot be known. */
static long peak_of(work_fn work, const char *text, apr_size_t size, int version)
{
    int ends[2], status;
    long peak = -1;
    pid_t child;

    ck_assert_int_eq(pipe(ends), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        apr_pool_t *p;
        long before;

        apr_pool_create(&p, NULL);
        malloc_trim(0);
        if (forget_peak()) {
            before = status_of("VmRSS:");
            work(p, text, size, version);
            peak = status_of("VmHWM:") - before;
        }
        _exit(write(ends[1], &peak, sizeof(peak)) == (ssize_t)sizeof(peak) ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(read(ends[0], &peak, sizeof(peak)), sizeof(peak));
    close(ends[0]);
    close(ends[1]);
    return peak;
}

/* What becomes of a body before there is a database, and of the answer that refuses it. */
static void read_body(apr_pool_t *p, const char *text, apr_size_t size, int version)
{
    json_t *body, *problem;
    udm_job_t *job;
    udm_error_t *error = udm_json_parse(&body, p, text, size);

    if (!error) {
        error = udm_job_parse(&job, p, body, (udm_version)version, apr_time_now());
    }
    if (error) {
        problem = udm_json_problem(p, error);
        (void)udm_json_text(p, problem);
        json_decref(problem);
    }
}

static void check_cost(work_fn work, const char *text, int version, const char *what)
{
    long size = (long)strlen(text), peak = peak_of(work, text, (apr_size_t)size, version);

    if (peak < 0) {
        return;
    }
    ck_assert_msg(peak <= FACTOR * size + NOISE && peak <= CONSTANT + SLOPE * size + NOISE,
                  "%s: %ld bytes need %ld", what, size, peak);
}

/* Writes a piece; "%d" in it is its number. @return the place behind it */
static char *put_piece(char *at, const char *piece, int number)
{
    for (; *piece; piece++) {
        if (strncmp(piece, "%d", 2) == 0) {
            at += sprintf(at, "%d", number);
            piece++;
        }
        else {
            *at++ = *piece;
        }
    }
    return at;
}

/* A piece again and again, up to `size` bytes; with commas between when it begins with a +. */
static char *repeated(const char *before, const char *piece, const char *after, int size)
{
    char *text = malloc((size_t)size + 200), *at = put_piece(text, before, 0);
    bool commas = *piece == '+';
    int n;

    for (n = 0; at - text < size - 60; n++) {
        if (commas && n > 0) {
            *at++ = ',';
        }
        at = put_piece(at, piece + commas, n);
    }
    strcpy(at, after);
    return text;
}

/* A value of any size: a text before, a piece that is repeated ("+" first: with commas), one after. */
static const struct {
    const char *name, *before, *piece, *after;
} shapes[] = {
    {"short strings", "[", "+\"x\"", "]"},
    {"empty strings", "[", "+\"\"", "]"},
    {"numbers", "[", "+0", "]"},
    {"reals", "[", "+.5" /* no JSON: refused at the first one */, "]"},
    {"good reals", "[", "+1e9", "]"},
    {"nulls", "[", "+null", "]"},
    {"empty arrays", "[", "+[]", "]"},
    {"empty objects", "[", "+{}", "]"},
    {"objects of one", "[", "+{\"a\":{}}", "]"},
    {"members", "{", "+\"%d\":0", "}"},
    {"members with objects", "{", "+\"%d\":{}", "}"},
    {"one name again and again", "{", "+\"a\":0", "}"},
    {"depth", "", "[", ""},
    {"depth of objects", "", "{\"a\":", ""},
    {"a long string", "\"", "long text ", "\""},
    {"a string of escapes", "\"", "\\u0001", "\""},
    {"a long number", "1", "0", ""},
    {"a long real", "0.", "0", "1"},
    {"zeros", "\"", "0", "1\""},
    {"filters", "[", "+{\"attribute\":\"a\",\"operator\":\"in\",\"value\":[1,[],{}]}", "]"},
    {"names of media", "[", "+\"medium %d\"", "]"}};

/* Where a body has a value: the text before it, and behind it. */
#define PARAMS_BEFORE                                                                              \
    "{\"source\":\"UCS\",\"type\":\"UCS\",\"title\":\"T\",\"timeFrame\":{\"all\":true},"           \
    "\"schedulerParam\":{},\"suspended\":false,\"jobParams\":{\"type\":\"Contact\",\"media\":[],"
static const struct {
    const char *before, *after;
} places[] = {
    {"", ""},
    {"{\"source\":", "}"},
    {"{\"type\":", "}"},
    {"{\"title\":", "}"},
    {"{\"description\":", "}"},
    {"{\"suspended\":", "}"},
    {"{\"fileSplitSize\":", "}"},
    {"{\"timeFrame\":", "}"},
    {"{\"timeFrame\":{\"all\":", "}}"},
    {"{\"timeFrame\":{\"dateFrom\":", "}}"},
    {"{\"timeFrame\":{\"dateTo\":", "}}"},
    {"{\"schedulerParam\":", "}"},
    {"{\"schedulerParam\":{\"immediately\":", "}}"},
    {"{\"schedulerParam\":{\"cron\":", "}}"},
    {"{\"schedulerParam\":{\"runs\":", "}}"},
    {"{\"schedulerParam\":{\"startDate\":", "}}"},
    {"{\"jobParams\":", "}"},
    {"{\"jobParams\":{\"type\":", "}}"},
    {"{\"jobParams\":{\"media\":", "}}"},
    {"{\"jobParams\":{\"exportAttachments\":", "}}"},
    {"{\"jobParams\":{\"fileSplitSize\":", "}}"},
    {PARAMS_BEFORE "\"filters\":", "}}"},
    {PARAMS_BEFORE "\"filters\":[{\"attribute\":", "}]}}"},
    {PARAMS_BEFORE "\"filters\":[{\"operator\":", "}]}}"},
    {PARAMS_BEFORE "\"filters\":[{\"attribute\":\"a\",\"operator\":\"eq\",\"value\":", "}]}}"},
    {PARAMS_BEFORE "\"filters\":[{\"attribute\":\"a\",\"operator\":\"in\",\"value\":", "}]}}"},
    {PARAMS_BEFORE "\"unknown\":", "}}"},
    {"{\"unknown\":", "}"}};

/* `_i` is the shape. */
START_TEST(test_bodies)
{
    static const int sizes[] = {SMALL, LARGE};
    static const int versions[] = {UDM_V10, UDM_V4};
    size_t place, k, v;

    if (!MEASURABLE) {
        return;
    }
    for (k = 0; k < 2; k++) {
        char *value = repeated(shapes[_i].before, shapes[_i].piece, shapes[_i].after, sizes[k]);

        for (place = 0; place < sizeof(places) / sizeof(places[0]); place++) {
            const char *text =
                apr_pstrcat(pool, places[place].before, value, places[place].after, NULL);

            for (v = 0; v < 2; v++) {
                check_cost(read_body, text, versions[v],
                           apr_psprintf(pool, "%s in %s", shapes[_i].name, places[place].before));
            }
            apr_pool_clear(pool);
        }
        free(value);
    }
}
END_TEST

/* The first hundred faults are kept, and that there are more is said. */
START_TEST(test_faults_have_an_end)
{
    char *value = repeated("[", "+{}", "]", 45000);
    char *ones = repeated("[", "+1", "]", 1900);
    const char *text = apr_pstrcat(pool,
                                   PARAMS_BEFORE "\"filters\":[{\"attribute\":\"a\","
                                                 "\"operator\":\"in\",\"value\":",
                                   value, "}]}}", NULL);
    udm_error_t *error;
    udm_job_t *job;
    json_t *body;

    unit_ok(udm_json_parse(&body, pool, text, strlen(text)));
    error = udm_job_parse(&job, pool, body, UDM_V10, apr_time_now());
    unit_fails(error, UDM_E_INVALID, "at most 1000 values");
    ck_assert_int_eq(error->faults->nelts, 1);
    ck_assert(!udm_error_is_full(error));

    text = apr_pstrcat(pool, "{\"jobParams\":{\"type\":\"T\",\"media\":", ones, "}}", NULL);
    unit_ok(udm_json_parse(&body, pool, text, strlen(text)));
    error = udm_job_parse(&job, pool, body, UDM_V10, apr_time_now());
    unit_fails(error, UDM_E_INVALID, "there are more");
    ck_assert_int_eq(error->faults->nelts, UDM_FAULTS_MAX);
    ck_assert(udm_error_is_full(error));
    free(value);
    free(ones);
}
END_TEST

/* What is read of a query string, by a list that has them all. */
static const udm_filter_spec_t filters[] = {{"title", UDM_FILTER_CONTAINS, "t", UDM_ALL_VERSIONS},
                                            {"status", UDM_FILTER_STATUS, "s", UDM_ALL_VERSIONS},
                                            {"jobId", UDM_FILTER_ID, "j", UDM_ALL_VERSIONS},
                                            {NULL, 0, NULL, 0}};
static const udm_order_spec_t orders[] = {{"id", "id", "bigint", UDM_ALL_VERSIONS},
                                          {NULL, NULL, NULL, 0}};
static const udm_listing_spec_t spec = {filters, orders};

static void read_query(apr_pool_t *p, const char *text, apr_size_t size, int version)
{
    udm_listing_t *listing;
    apr_table_t *query;
    udm_error_t *error = udm_listing_query(&query, p, text);

    if (!error) {
        error = udm_listing_parse(&listing, p, &spec, (udm_version)version, query);
    }
    if (error) {
        (void)udm_json_text(p, udm_json_problem(p, error));
    }
}

START_TEST(test_queries)
{
    static const char *const pieces[] = {
        "&", "a&", "a=&", "=&", "%41=%41&", "a%d&", "a,", "title=x&", "status=x&", "size=&", "0"};
    static const char *const before[] = {"", "title=", "status=", "jobId=", "size=", "orderField="};
    size_t i, k;

    if (!MEASURABLE) {
        return;
    }
    for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        for (k = 0; k < sizeof(before) / sizeof(before[0]); k++) {
            char *text = repeated(before[k], pieces[i], "", SMALL);

            check_cost(read_query, text, UDM_V10, text);
            free(text);
        }
    }
}
END_TEST

TCase *memory_case(void)
{
    TCase *tc = unit_case("memory");

    tcase_add_loop_test(tc, test_bodies, 0, (int)(sizeof(shapes) / sizeof(shapes[0])));
    tcase_add_test(tc, test_faults_have_an_end);
    tcase_add_test(tc, test_queries);
    return tc;
}
