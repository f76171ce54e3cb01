/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_job.c: what is taken as a job, every fault of one that is not, and JobInfo.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "jobtest.h"
#include "core/calendar.h"
#include "core/job.h"
#include "core/json.h"
#include "core/run.h"

/* A v10 body that is right, with ' for ". */
static const char base[] =
    "{'source':'UCS','type':'UCS','title':'Weekly','timeFrame':{'all':true},"
    "'schedulerParam':{'immediately':true},'jobParams':{'type':'Interaction','media':[]},"
    "'suspended':false}";

/* The document in a text with ' for ". */
static json_t *document(const char *text)
{
    char *copy = apr_pstrdup(pool, text), *c;
    json_t *json;

    for (c = copy; *c; c++) {
        if (*c == '\'') {
            *c = '"';
        }
    }
    unit_ok(udm_json_parse(&json, pool, copy, strlen(copy)));
    return json;
}

json_t *jobtest_changed(const char *changes)
{
    json_t *body = document(base), *with = document(changes), *value;
    const char *key;

    json_object_foreach(with, key, value)
    {
        if (json_is_null(value)) {
            json_object_del(body, key);
        }
        else {
            json_object_set(body, key, value);
        }
    }
    return body;
}

udm_job_t *jobtest_takes_version(const char *changes, udm_version version)
{
    udm_job_t *job;

    unit_ok(udm_job_parse(&job, pool, jobtest_changed(changes), version, apr_time_now()));
    ck_assert_ptr_nonnull(job);
    return job;
}

udm_job_t *jobtest_takes(const char *changes)
{
    return jobtest_takes_version(changes, UDM_V10);
}

/* Expects exactly one fault. */
static void refuses_version(const char *changes, const char *pointer, const char *words,
                            udm_version version)
{
    udm_job_t *job = (udm_job_t *)-1;
    udm_error_t *error =
        udm_job_parse(&job, pool, jobtest_changed(changes), version, apr_time_now());
    const udm_fault_t *fault;

    ck_assert_ptr_null(job);
    unit_fails(error, UDM_E_INVALID, words);
    ck_assert_msg(error->faults->nelts == 1, "%s: %d faults", changes, error->faults->nelts);
    fault = &APR_ARRAY_IDX(error->faults, 0, udm_fault_t);
    ck_assert_str_eq(fault->pointer, pointer);
}

void jobtest_refuses(const char *changes, const char *pointer, const char *words)
{
    refuses_version(changes, pointer, words, UDM_V10);
}

START_TEST(test_whole_job)
{
    udm_job_t *job = jobtest_takes(
        "{'source':'Contact History','type':'DataSync','title':'W\xc3\xb6"
        "chentlich','description':"
        "'two\\nlines','timeFrame':{'dateFrom':'2026-01-01','dateTo':'2026-02-01T00:00:00+01:00'},"
        "'schedulerParam':{'startDate':'2026-11-24T06:00:00Z'},'jobParams':{'type':'Contact',"
        "'media':['voice','email'],'exportAttachments':true,'fileSplitSize':'100 MB','filters':[],"
        "'unknown':1},'suspended':true,'unknown':{'a':1}}");

    ck_assert_str_eq(job->source, "Contact History");
    ck_assert_str_eq(job->family, "DataSync");
    ck_assert_str_eq(job->title, "W\xc3\xb6"
                                 "chentlich");
    ck_assert_str_eq(job->description, "two\nlines");
    ck_assert_str_eq(job->type, "Contact");
    ck_assert(!job->time_all);
    ck_assert_str_eq(udm_calendar_text(pool, job->date_from), "2026-01-01T00:00:00.000Z");
    ck_assert_str_eq(udm_calendar_text(pool, job->date_to), "2026-01-31T23:00:00.000Z");
    ck_assert_int_eq(job->schedule_type, UDM_SCHEDULE_ONCE);
    ck_assert_int_eq(job->schedule.start, 1795500000000000);
    ck_assert_str_eq(job->schedule_json, "{\"startDate\":\"2026-11-24T06:00:00Z\"}");
    ck_assert_int_eq(job->media->nelts, 2);
    ck_assert_str_eq(APR_ARRAY_IDX(job->media, 1, const char *), "email");
    ck_assert(job->export_attachments);
    ck_assert_str_eq(job->file_split_size, "100 MB");
    ck_assert_int_eq(job->file_split_bytes, 100000000);
    ck_assert(job->suspended);
}
END_TEST

START_TEST(test_least_job)
{
    udm_job_t *job = jobtest_takes("{}");

    ck_assert_ptr_null(job->description);
    ck_assert(job->time_all);
    ck_assert_int_eq(job->date_from, UDM_NO_TIME);
    ck_assert_int_eq(job->date_to, UDM_NO_TIME);
    ck_assert_int_eq(job->media->nelts, 0);
    ck_assert(!job->export_attachments);
    ck_assert_ptr_null(job->file_split_size);
    ck_assert_int_eq(job->file_split_bytes, 0);
    ck_assert(!job->suspended);
    ck_assert_int_eq(job->schedule_type, UDM_SCHEDULE_NOW);
    ck_assert_int_eq(job->schedule.start, UDM_NO_TIME);
}
END_TEST

START_TEST(test_every_fault_is_told)
{
    static const char *const pointers[] = {
        "/source", "/type", "/title", "/timeFrame", "/schedulerParam", "/jobParams", "/suspended"};
    udm_error_t *error;
    udm_job_t *job;
    size_t i;

    error = udm_job_parse(&job, pool, document("{}"), UDM_V10, apr_time_now());
    unit_fails(error, UDM_E_INVALID, "is required");
    ck_assert_int_eq(error->faults->nelts, 7);
    for (i = 0; i < 7; i++) {
        ck_assert_str_eq(APR_ARRAY_IDX(error->faults, i, udm_fault_t).pointer, pointers[i]);
        ck_assert_str_eq(APR_ARRAY_IDX(error->faults, i, udm_fault_t).detail, "is required");
    }
    error = udm_job_parse(&job, pool,
                          document("{'source':'','type':'X','title':5,'timeFrame':{'all':'yes',"
                                   "'dateFrom':1,'dateTo':'x'},'description':[],'schedulerParam':"
                                   "{'immediately':1,'startDate':2},'jobParams':{'media':['',3],"
                                   "'fileSplitSize':'1'},'suspended':'no'}"),
                          UDM_V10, apr_time_now());
    ck_assert_int_eq(error->faults->nelts, 14);
    unit_fails(udm_job_parse(&job, pool, document("[]"), UDM_V10, apr_time_now()), UDM_E_INVALID,
               "JSON object");
    unit_fails(udm_job_parse(&job, pool, document("'x'"), UDM_V10, apr_time_now()), UDM_E_INVALID,
               "JSON object");
}
END_TEST

START_TEST(test_names)
{
    const char *long_title = apr_psprintf(pool, "{'title':'%0255d'}", 1);
    char *umlauts = apr_pcalloc(pool, 2 * 255 + 1);
    int i;

    for (i = 0; i < 255; i++) {
        strcat(umlauts, "\xc3\xa4");
    }
    ck_assert_uint_eq(strlen(jobtest_takes(long_title)->title), 255);
    ck_assert_uint_eq(strlen(jobtest_takes(apr_psprintf(pool, "{'title':'%s'}", umlauts))->title),
                      510);
    jobtest_refuses(apr_psprintf(pool, "{'title':'%0256d'}", 1), "/title",
                    "at most 255 characters");
    jobtest_refuses(apr_psprintf(pool, "{'title':'%sx'}", umlauts), "/title",
                    "at most 255 characters");
    jobtest_refuses("{'title':''}", "/title", "must not be empty");
    jobtest_refuses("{'title':' \\t'}", "/title", "must not be empty");
    jobtest_refuses("{'title':'a\\nb'}", "/title", "control characters");
    jobtest_refuses("{'title':'a\\u007fb'}", "/title", "control characters");
    jobtest_refuses("{'title':'a\\u0085b'}", "/title", "control characters");
    jobtest_takes("{'title':'a\\u00a0b \\ud83d\\ude00'}");
    jobtest_refuses("{'source':''}", "/source", "must not be empty");
    jobtest_refuses("{'source':7}", "/source", "must be a string");
    jobtest_refuses("{'type':'ucs'}", "/type", "UCS or DataSync");
    jobtest_refuses("{'type':'Interaction'}", "/type", "jobParams.type");
    jobtest_takes(apr_psprintf(pool, "{'description':'%04000d'}", 1));
    jobtest_refuses(apr_psprintf(pool, "{'description':'%04001d'}", 1), "/description",
                    "at most 4000 characters");
    ck_assert_str_eq(jobtest_takes("{'description':''}")->description, "");
}
END_TEST

START_TEST(test_time_frame)
{
    udm_job_t *job;

    ck_assert(jobtest_takes("{'timeFrame':{'all':true}}")->time_all);
    /* All up to the scheduled time is not all: rows without a time, and later ones, stay out. */
    ck_assert(!jobtest_takes("{'timeFrame':{}}")->time_all);
    ck_assert(!jobtest_takes("{'timeFrame':{'all':false}}")->time_all);
    ck_assert(!jobtest_takes("{'timeFrame':{'all':null,'dateFrom':null,'dateTo':null}}")->time_all);
    job = jobtest_takes("{'timeFrame':{'dateFrom':'2026-01-01'}}");
    ck_assert(!job->time_all && job->date_to == UDM_NO_TIME);
    job = jobtest_takes("{'timeFrame':{'all':false,'dateTo':'2026-01-01'}}");
    ck_assert(!job->time_all && job->date_from == UDM_NO_TIME);

    jobtest_refuses("{'timeFrame':[]}", "/timeFrame", "must be an object");
    jobtest_refuses("{'timeFrame':{'all':1}}", "/timeFrame/all", "true or false");
    jobtest_refuses("{'timeFrame':{'all':true,'dateFrom':'2026-01-01'}}", "/timeFrame/all",
                    "beside");
    jobtest_refuses("{'timeFrame':{'all':true,'dateTo':'2026-01-01'}}", "/timeFrame/all", "beside");
    jobtest_refuses("{'timeFrame':{'dateFrom':'2026-01-02','dateTo':'2026-01-01'}}",
                    "/timeFrame/dateTo", "later than dateFrom");
    jobtest_refuses("{'timeFrame':{'dateFrom':'2026-01-01','dateTo':'2026-01-01T01:00:00+01:00'}}",
                    "/timeFrame/dateTo", "later than dateFrom");
    jobtest_refuses("{'timeFrame':{'dateFrom':''}}", "/timeFrame/dateFrom", "RFC 3339");
    jobtest_refuses("{'timeFrame':{'dateTo':'2026-02-30'}}", "/timeFrame/dateTo", "RFC 3339");
    jobtest_refuses("{'timeFrame':{'dateTo':1795500000}}", "/timeFrame/dateTo", "must be a string");
}
END_TEST

START_TEST(test_schedule)
{
    udm_job_t *job;

    ck_assert_int_eq(jobtest_takes("{'schedulerParam':{}}")->schedule_type, UDM_SCHEDULE_NOW);
    ck_assert_str_eq(jobtest_takes("{'schedulerParam':{}}")->schedule_json, "{}");
    job = jobtest_takes("{'schedulerParam':{'immediately':false,'startDate':'2001-01-01'}}");
    ck_assert_int_eq(job->schedule_type, UDM_SCHEDULE_ONCE); /* in the past: due at once */
    ck_assert_str_eq(udm_calendar_text(pool, job->schedule.start), "2001-01-01T00:00:00.000Z");

    jobtest_refuses("{'schedulerParam':'now'}", "/schedulerParam", "must be an object");
    jobtest_refuses("{'schedulerParam':{'immediately':false}}", "/schedulerParam/immediately",
                    "false alone");
    jobtest_refuses("{'schedulerParam':{'immediately':'true'}}", "/schedulerParam/immediately",
                    "without quotes");
    jobtest_refuses("{'schedulerParam':{'immediately':true,'startDate':'2030-01-01'}}",
                    "/schedulerParam/startDate", "beside immediately");
    jobtest_refuses("{'schedulerParam':{'startDate':'soon'}}", "/schedulerParam/startDate",
                    "RFC 3339");
    jobtest_refuses("{'schedulerParam':{'immediately':false,'cron':''}}", "/schedulerParam/cron",
                    "field");
    jobtest_refuses("{'schedulerParam':{'runs':'3'}}", "/schedulerParam/runs", "only beside cron");
    jobtest_refuses("{'schedulerParam':{'runs':3}}", "/schedulerParam/runs", "must be a string");

    job = jobtest_takes("{'schedulerParam':{'cron':'0 6 * * *','runs':'3'},'timeFrame':{}}");
    ck_assert_int_eq(job->schedule_type, UDM_SCHEDULE_RECURRING);
    ck_assert_int_eq(job->schedule.runs_max, 3);
    ck_assert(udm_job_window_moves(job));
    job = jobtest_takes("{'schedulerParam':{'runs':'daily','startDate':'2030-01-01'},'timeFrame':"
                        "{'dateFrom':'2026-01-01'}}");
    ck_assert_int_eq(job->schedule_type, UDM_SCHEDULE_RECURRING);
    ck_assert(udm_job_window_moves(job));
    ck_assert(!udm_job_window_moves(jobtest_takes("{'schedulerParam':{'runs':'daily'}}")));
    ck_assert(
        !udm_job_window_moves(jobtest_takes("{'schedulerParam':{'runs':'daily'},'timeFrame':"
                                            "{'dateFrom':'2026-01-01','dateTo':'2026-02-01'}}")));
    ck_assert(!udm_job_window_moves(jobtest_takes("{'schedulerParam':{},'timeFrame':{}}")));
}
END_TEST

START_TEST(test_params)
{
#define PARAMS(rest) "{'jobParams':{'type':'Interaction','media':[]," rest "}}"
    ck_assert(!jobtest_takes(PARAMS("'exportAttachments':false"))->export_attachments);
    ck_assert_int_eq(jobtest_takes(PARAMS("'fileSplitSize':'65536'"))->file_split_bytes, 65536);
    ck_assert_int_eq(jobtest_takes(PARAMS("'fileSplitSize':'1 GiB'"))->file_split_bytes,
                     1073741824);
    ck_assert_ptr_null(jobtest_takes(PARAMS("'fileSplitSize':''"))->file_split_size);
    jobtest_takes(PARAMS("'filters':[]"));
    jobtest_refuses("{'jobParams':{'media':[]}}", "/jobParams/type", "is required");
    jobtest_refuses("{'jobParams':{'type':'','media':[]}}", "/jobParams/type", "must not be empty");
    jobtest_refuses("{'jobParams':{'type':'Interaction'}}", "/jobParams/media", "is required");
    jobtest_refuses("{'jobParams':{'type':'Interaction','media':'voice'}}", "/jobParams/media",
                    "array of strings");
    jobtest_refuses("{'jobParams':{'type':'Interaction','media':['voice',null]}}",
                    "/jobParams/media/1", "not empty");
    jobtest_refuses("{'jobParams':{'type':'Interaction','media':['']}}", "/jobParams/media/0",
                    "not empty");
    jobtest_refuses(PARAMS("'exportAttachments':'true'"), "/jobParams/exportAttachments",
                    "without quotes");
    jobtest_refuses(PARAMS("'fileSplitSize':65536"), "/jobParams/fileSplitSize",
                    "must be a string");
    jobtest_refuses(PARAMS("'fileSplitSize':'65535'"), "/jobParams/fileSplitSize",
                    "at least 65536");
    jobtest_refuses(PARAMS("'fileSplitSize':'64KB'"), "/jobParams/fileSplitSize", "at least 65536");
    jobtest_refuses(PARAMS("'fileSplitSize':'1.5 GB'"), "/jobParams/fileSplitSize",
                    "number of bytes");
    ck_assert_int_eq(jobtest_takes(PARAMS("'filters':null"))->filters->nelts, 0);
    ck_assert_int_eq(jobtest_takes("{}")->filters->nelts, 0);
    jobtest_refuses(PARAMS("'filters':{}"), "/jobParams/filters", "must be an array");
    jobtest_refuses(
        PARAMS("'filters':[{'attribute':'a','operator':'eq','value':1},{'attribute':'a',"
               "'operator':'like','value':1}]"),
        "/jobParams/filters/1/operator", "must be one of: eq, ne");
#undef PARAMS
}
END_TEST

const char *jobtest_umlauts(int count)
{
    char *text = apr_palloc(pool, 2 * (apr_size_t)count + 1);
    int i;

    for (i = 0; i < count; i++) {
        memcpy(text + 2 * i, "\xc3\xa4", 2);
    }
    text[2 * count] = '\0';
    return text;
}

/* A number has one form, however many zeros it was sent with. */
START_TEST(test_leading_zeros)
{
    udm_job_t *job =
        jobtest_takes("{'jobParams':{'type':'T','media':[],'fileSplitSize':'000100 MB'}}");

    ck_assert_str_eq(job->file_split_size, "100 MB");
    ck_assert_int_eq(job->file_split_bytes, 100000000);
    job = jobtest_takes("{'schedulerParam':{'cron':'0 6 * * *','runs':'00012'}}");
    ck_assert_str_eq(job->schedule_json, "{\"cron\":\"0 6 * * *\",\"runs\":\"12\"}");
    ck_assert_int_eq(job->schedule.runs_max, 12);
    job = jobtest_takes("{'schedulerParam':{'runs':'Daily','startDate':'2026-11-24'}}");
    ck_assert_str_eq(job->schedule_json, "{\"runs\":\"Daily\",\"startDate\":\"2026-11-24\"}");
    jobtest_refuses("{'schedulerParam':{'cron':'0 6 * * *','runs':'0'}}", "/schedulerParam/runs",
                    "1 to");
    jobtest_refuses("{'jobParams':{'type':'T','media':[],'fileSplitSize':'000'}}",
                    "/jobParams/fileSplitSize", "number of bytes");
}
END_TEST

START_TEST(test_v4)
{
    udm_job_t *job =
        jobtest_takes_version("{'type':null,'suspended':'True','fileSplitSize':'1 MB'}", UDM_V4);

    ck_assert_ptr_null(job->family);
    ck_assert(job->suspended);
    ck_assert_int_eq(job->file_split_bytes, 1000000);
    job = jobtest_takes_version(
        "{'suspended':'false','fileSplitSize':'bad','jobParams':{'type':'Contact',"
        "'media':[],'fileSplitSize':'2 MB'}}",
        UDM_V4);
    ck_assert(!job->suspended);
    ck_assert_int_eq(job->file_split_bytes, 2000000); /* that of jobParams wins */
    ck_assert(jobtest_takes_version("{'suspended':true}", UDM_V4)->suspended);
    refuses_version("{'suspended':'maybe'}", "/suspended", "true or false", UDM_V4);
    refuses_version("{'suspended':null}", "/suspended", "is required", UDM_V4);
    refuses_version("{'fileSplitSize':'1'}", "/fileSplitSize", "at least 65536", UDM_V4);
    /* "" is what the API shows for none, so the other one counts */
    job = jobtest_takes_version("{'fileSplitSize':'3 MB','jobParams':{'type':'Contact','media':[],"
                                "'fileSplitSize':''}}",
                                UDM_V4);
    ck_assert_int_eq(job->file_split_bytes, 3000000);
    /* what is no family says nothing, as long as it is text */
    ck_assert_str_eq(jobtest_takes_version("{'type':'DataSync'}", UDM_V4)->family, "DataSync");
    ck_assert_str_eq(jobtest_takes_version("{'type':'UCS'}", UDM_V4)->family, "UCS");
    ck_assert_ptr_null(jobtest_takes_version("{'type':'Interaction'}", UDM_V4)->family);
    ck_assert_ptr_null(jobtest_takes_version("{'type':''}", UDM_V4)->family);
    refuses_version("{'type':5}", "/type", "must be a string", UDM_V4);
    job = jobtest_takes_version(
        "{'jobParams':{'type':'Contact','media':[],'filters':[{'attribute':'a',"
        "'operator':'in','value':[1]}]}}",
        UDM_V4);
    ck_assert_int_eq(job->filters->nelts, 1);
    /* and v10 is strict, and does not know the size at the top */
    jobtest_refuses("{'suspended':'true'}", "/suspended", "without quotes");
    jobtest_refuses("{'type':null}", "/type", "is required");
    ck_assert_int_eq(jobtest_takes("{'fileSplitSize':'1 MB'}")->file_split_bytes, 0);
}
END_TEST

START_TEST(test_lives_in_the_pool)
{
    json_t *body = json_incref(jobtest_changed(
        "{'title':'mine','jobParams':{'type':'Interaction','media':['voice'],'filters':"
        "[{'attribute':'a','operator':'eq','value':'b'}]}}"));
    const udm_job_filter_t *filter;
    apr_pool_t *own;
    udm_job_t *job;

    apr_pool_create(&own, NULL);
    unit_ok(udm_job_parse(&job, own, body, UDM_V10, apr_time_now()));
    json_decref(body);
    apr_pool_clear(pool);
    ck_assert_str_eq(job->title, "mine");
    ck_assert_str_eq(job->type, "Interaction");
    ck_assert_str_eq(APR_ARRAY_IDX(job->media, 0, const char *), "voice");
    filter = &APR_ARRAY_IDX(job->filters, 0, udm_job_filter_t);
    ck_assert_str_eq(filter->attribute, "a");
    ck_assert_str_eq(json_string_value(filter->value), "b");
    apr_pool_destroy(own);
}
END_TEST

START_TEST(test_words)
{
    const udm_label_t *status = udm_status_labels();
    int count;

    for (count = 0; status[count].value; count++) {
        ck_assert_ptr_nonnull(status[count].label);
    }
    ck_assert_int_eq(count, 7);
    ck_assert_str_eq(status[2].value, "IN_PROGRESS");
    ck_assert_str_eq(status[2].label, "In Progress");
    for (count = 0; status[count].value; count++) {
        udm_status known = udm_status_of(status[count].value);

        ck_assert_int_ne(known, UDM_STATUS_NONE);
        ck_assert_str_eq(udm_status_name(known), status[count].value);
        ck_assert(udm_status_is_active(known) == (strcmp(status[count].value, "QUEUED") == 0 ||
                                                  strcmp(status[count].value, "IN_PROGRESS") == 0 ||
                                                  strcmp(status[count].value, "SUSPENDED") == 0));
    }
    ck_assert_int_eq(udm_status_of("queued"), UDM_STATUS_NONE);
    ck_assert_ptr_null(udm_status_name(UDM_STATUS_NONE));
    ck_assert(!udm_status_is_active(UDM_STATUS_NONE));
    ck_assert_str_eq(udm_schedule_type_name(UDM_SCHEDULE_NOW), "immediately");
    ck_assert_str_eq(udm_schedule_type_name(UDM_SCHEDULE_ONCE), "once");
    ck_assert_str_eq(udm_schedule_type_name(UDM_SCHEDULE_RECURRING), "recurring");
}
END_TEST

START_TEST(test_mutations)
{
    static const char seed[] =
        "{\"source\":\"UCS\",\"type\":\"UCS\",\"title\":\"W\xc3\xb6\",\"description\":\"d\","
        "\"timeFrame\":{\"all\":false,\"dateFrom\":\"2026-01-01T10:00:00.5+02:00\","
        "\"dateTo\":\"2026-02-01\"},\"schedulerParam\":{\"startDate\":\"2026-11-24 06:00\"},"
        "\"jobParams\":{\"type\":\"Contact\",\"media\":[\"voice\",\"email\"],\"fileSplitSize\":"
        "\"100 MiB\",\"exportAttachments\":true,\"filters\":[{\"attribute\":\"a\",\"operator\":"
        "\"in\",\"value\":[1,\"b\"]}]},\"suspended\":false}";
    uint32_t state = 1812433253u;
    int i, good = 0;

    for (i = 0; i < 6000; i++) {
        char *text = unit_mutate(&state, seed);
        udm_job_t *job = NULL;
        json_t *body;

        if (!udm_json_parse(&body, pool, text, strlen(text))) {
            udm_error_t *error =
                udm_job_parse(&job, pool, body, i % 2 ? UDM_V10 : UDM_V4, apr_time_now());

            ck_assert((error == NULL) == (job != NULL));
            ck_assert(!error || error->faults->nelts > 0);
            good += !error;
        }
        free(text);
        apr_pool_clear(pool);
    }
    ck_assert_int_gt(good, 100);
    ck_assert_int_lt(good, 6000);
}
END_TEST

TCase *job_case(void)
{
    TCase *tc = unit_case("job");

    tcase_add_test(tc, test_whole_job);
    tcase_add_test(tc, test_least_job);
    tcase_add_test(tc, test_every_fault_is_told);
    tcase_add_test(tc, test_names);
    tcase_add_test(tc, test_time_frame);
    tcase_add_test(tc, test_schedule);
    tcase_add_test(tc, test_params);
    tcase_add_test(tc, test_leading_zeros);
    tcase_add_test(tc, test_v4);
    tcase_add_test(tc, test_lives_in_the_pool);
    tcase_add_test(tc, test_words);
    tcase_add_test(tc, test_mutations);
    return tc;
}
