/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_job_limits.c: how long the texts and the arrays of a job may be.
 */
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "jobtest.h"
#include "core/job.h"

/* Every member that is a text: the longest that is taken, or that has no fault of length alone. */
static const struct {
    const char *pointer;
    const char *before, *after; /* the body around the text */
    int most;
    udm_version version;
} texts[] = {
    {"/source", "{'source':'", "'}", 255, UDM_V10},
    {"/type", "{'type':'", "'}", 255, UDM_V10},
    {"/type", "{'type':'", "'}", 255, UDM_V4},
    {"/title", "{'title':'", "'}", 255, UDM_V10},
    {"/description", "{'description':'", "'}", 4000, UDM_V10},
    {"/description", "{'description':'", "'}", 4000, UDM_V4},
    {"/fileSplitSize", "{'fileSplitSize':'", "'}", 32, UDM_V4},
    {"/schedulerParam/cron", "{'schedulerParam':{'cron':'", "'}}", 1000, UDM_V10},
    {"/schedulerParam/runs", "{'schedulerParam':{'cron':'0 6 * * *','runs':'", "'}}", 32, UDM_V10},
    {"/jobParams/type", "{'jobParams':{'media':[],'type':'", "'}}", 255, UDM_V10},
    {"/jobParams/media/0", "{'jobParams':{'type':'T','media':['", "']}}", 255, UDM_V10},
    {"/jobParams/media/1", "{'jobParams':{'type':'T','media':['a','", "']}}", 255, UDM_V4},
    {"/jobParams/fileSplitSize", "{'jobParams':{'type':'T','media':[],'fileSplitSize':'", "'}}", 32,
     UDM_V10},
    {"/jobParams/filters/0/attribute",
     "{'jobParams':{'type':'T','media':[],'filters':[{'operator':'eq','value':1,'attribute':'",
     "'}]}}", 1000, UDM_V10},
    {"/jobParams/filters/0/value",
     "{'jobParams':{'type':'T','media':[],'filters':[{'attribute':'a','operator':'eq','value':'",
     "'}]}}", 1000, UDM_V10},
    {"/jobParams/filters/0/value/1",
     "{'jobParams':{'type':'T','media':[],'filters':[{'attribute':'a','operator':'in','value':[1,'",
     "']}]}}", 1000, UDM_V10},
};

/* Whether the body with a text of so many characters has a fault that speaks of the limit. */
static bool too_long(int i, int characters)
{
    const char *body =
        apr_pstrcat(pool, texts[i].before, jobtest_umlauts(characters), texts[i].after, NULL);
    const char *words = apr_psprintf(pool, "at most %d characters", texts[i].most);
    udm_job_t *job;
    udm_error_t *error =
        udm_job_parse(&job, pool, jobtest_changed(body), texts[i].version, apr_time_now());
    int k;

    for (k = 0; error && k < error->faults->nelts; k++) {
        const udm_fault_t *fault = &APR_ARRAY_IDX(error->faults, k, udm_fault_t);

        if (strcmp(fault->pointer, texts[i].pointer) == 0 && strstr(fault->detail, words)) {
            ck_assert_int_eq(error->faults->nelts, 1);
            return true;
        }
    }
    return false;
}

START_TEST(test_limits_of_texts)
{
    ck_assert(!too_long(_i, 0) || strcmp(texts[_i].pointer, "/jobParams/media/0") == 0 ||
              strcmp(texts[_i].pointer, "/jobParams/media/1") ==
                  0); /* which names the limit, too */
    ck_assert(!too_long(_i, 1));
    ck_assert(!too_long(_i, texts[_i].most));
    ck_assert(too_long(_i, texts[_i].most + 1));
    ck_assert(too_long(_i, 300000));
}
END_TEST

/* An array of `count` texts. */
static const char *texts_of(int count, const char *text)
{
    apr_array_header_t *all = apr_array_make(pool, count, sizeof(const char *));

    while (count-- > 0) {
        APR_ARRAY_PUSH(all, const char *) = apr_psprintf(pool, "%s", text);
    }
    return apr_array_pstrcat(pool, all, ',');
}

START_TEST(test_limits_of_arrays)
{
    static const char media[] = "{'jobParams':{'type':'T','media':[%s]}}";
    static const char values[] = "{'jobParams':{'type':'T','media':[],'filters':[{'attribute':'a',"
                                 "'operator':'in','value':[%s]}]}}";
    static const char filters[] = "{'jobParams':{'type':'T','media':[],'filters':[%s]}}";
    static const char filter[] = "{'attribute':'a','operator':'eq','value':1}";

    ck_assert_int_eq(jobtest_takes(apr_psprintf(pool, media, texts_of(1000, "'x'")))->media->nelts,
                     1000);
    jobtest_refuses(apr_psprintf(pool, media, texts_of(1001, "'x'")), "/jobParams/media",
                    "at most 1000 media");
    jobtest_takes(apr_psprintf(pool, values, texts_of(1000, "1")));
    jobtest_refuses(apr_psprintf(pool, values, texts_of(1001, "1")), "/jobParams/filters/0/value",
                    "at most 1000 values");
    jobtest_takes(apr_psprintf(pool, filters, texts_of(20, filter)));
    jobtest_refuses(apr_psprintf(pool, filters, texts_of(21, filter)), "/jobParams/filters",
                    "at most 20 filters");
    /* a job that is as large as each limit allows is not too large as a whole */
    jobtest_takes(apr_psprintf(
        pool, filters,
        texts_of(20, apr_psprintf(pool, "{'attribute':'a','operator':'in','value':[%s]}",
                                  texts_of(1000, "1")))));
}
END_TEST

TCase *job_limits_case(void)
{
    TCase *tc = unit_case("job_limits");

    tcase_add_loop_test(tc, test_limits_of_texts, 0, (int)(sizeof(texts) / sizeof(texts[0])));
    tcase_add_test(tc, test_limits_of_arrays);
    return tc;
}
