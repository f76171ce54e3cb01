/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_job_info.c: JobInfo, and the definition that a job shows of itself.
 */
#include <string.h>

#include "unit.h"
#include "jobtest.h"
#include "core/calendar.h"
#include "core/job.h"
#include "core/json.h"

/* The definition of a job as v4 shows it. */
static const char *shown(const udm_job_t *job, apr_int64_t id)
{
    return udm_json_text(pool, udm_json_own(pool, udm_job_json(pool, job, id)));
}

START_TEST(test_definition)
{
    udm_job_t *job = jobtest_takes(
        "{'description':'D','timeFrame':{'dateFrom':'2026-01-01','dateTo':'2026-02-01T00:00:00+"
        "01:00'},'schedulerParam':{'startDate':'2026-11-24','immediately':false,'x':1},"
        "'jobParams':{'type':'Contact','media':['voice','email'],'exportAttachments':true,"
        "'fileSplitSize':'100 MB','filters':[{'value':[1,'a'],'operator':'in','attribute':'b',"
        "'x':1}]},'suspended':true}");
    static const char whole[] =
        "{\"id\":77,\"source\":\"UCS\",\"title\":\"Weekly\",\"timeFrame\":{\"all\":false,"
        "\"dateFrom\":\"2026-01-01T00:00:00.000Z\",\"dateTo\":\"2026-01-31T23:00:00.000Z\"},"
        "\"fileSplitSize\":\"100 MB\",\"description\":\"D\",\"schedulerParam\":{"
        "\"immediately\":false,\"startDate\":\"2026-11-24T00:00:00.000Z\"},\"jobParams\":{"
        "\"fileSplitSize\":\"100 MB\",\"type\":\"Contact\",\"media\":[\"voice\",\"email\"]},"
        "\"suspended\":\"true\"}";
    json_t *again;

    ck_assert_str_eq(shown(job, 77), whole);
    ck_assert_str_eq(shown(jobtest_takes("{}"), 1),
                     "{\"id\":1,\"source\":\"UCS\",\"title\":\"Weekly\",\"timeFrame\":{\"all\":"
                     "true},\"fileSplitSize\":\"\",\"description\":\"\",\"schedulerParam\":{"
                     "\"immediately\":true},\"jobParams\":{\"fileSplitSize\":\"\",\"type\":"
                     "\"Interaction\",\"media\":[]},\"suspended\":\"false\"}");
    /* what is shown can be sent back, and means the same: what v4 does not show is kept */
    unit_ok(udm_json_parse(&again, pool, whole, strlen(whole)));
    unit_ok(udm_job_parse(&job, pool, again, UDM_V4, apr_time_now()));
    ck_assert_str_eq(shown(job, 77), whole);
    ck_assert(job->keeps_filters && job->keeps_attachments);
    job = jobtest_takes_version("{'jobParams':{'type':'Contact','media':[],'filters':[],"
                                "'exportAttachments':false}}",
                                UDM_V4);
    ck_assert(!job->keeps_filters && !job->keeps_attachments);
    job = jobtest_takes("{}");
    ck_assert(!job->keeps_filters && !job->keeps_attachments);
    /* what was stored long ago and is no instant is shown as it is */
    job->schedule_json = "{\"startDate\":\"soon\",\"cron\":\"0 6 * * *\"}";
    ck_assert_ptr_nonnull(strstr(shown(job, 77), "{\"startDate\":\"soon\",\"cron\":"));
    job->schedule_json = "{\"startDate\":\"2026-11-24 08:00:00.123456+02:00\"}";
    ck_assert_ptr_nonnull(strstr(shown(job, 77), "{\"startDate\":\"2026-11-24T06:00:00.123Z\"}"));
}
END_TEST

START_TEST(test_info)
{
    udm_job_info_t info = {.id = 42,
                           .parent_id = 41,
                           .type = "Interaction",
                           .source = "UCS",
                           .title = "T",
                           .file_split_size = "1 GB",
                           .file_name = "export-1.zip.smime",
                           .file_size = 9000000000,
                           .status = "FAILED",
                           .status_reason = "the store is full",
                           .created = 1795500000123456,
                           .date_from = 0,
                           .date_to = 1795500000000000,
                           .description = "D",
                           .progress = 100,
                           .export_attachments = true};
    json_t *json;

    info.media = apr_array_make(pool, 2, sizeof(const char *));
    APR_ARRAY_PUSH(info.media, const char *) = "voice";
    APR_ARRAY_PUSH(info.media, const char *) = "email";
    json = udm_json_own(pool, udm_job_info_json(pool, &info, UDM_V10));
    ck_assert_str_eq(
        udm_json_text(pool, json),
        "{\"id\":42,\"type\":\"Interaction\",\"source\":\"UCS\",\"title\":\"T\","
        "\"fileSplitSize\":\"1 GB\",\"fileName\":\"export-1.zip.smime\",\"fileSize\":9000000000,"
        "\"status\":\"FAILED\",\"createdDate\":\"2026-11-24T06:00:00.123Z\","
        "\"dateFrom\":\"1970-01-01T00:00:00.000Z\",\"dateTo\":\"2026-11-24T06:00:00.000Z\","
        "\"description\":\"D\",\"media\":[\"voice\",\"email\"],\"progress\":100,\"parentId\":41,"
        "\"exportAttachments\":true,\"statusReason\":\"the store is full\"}");
    json = udm_json_own(pool, udm_job_info_json(pool, &info, UDM_V4));
    ck_assert_ptr_null(json_object_get(json, "exportAttachments"));
    ck_assert_ptr_nonnull(json_object_get(json, "parentId"));
}
END_TEST

START_TEST(test_info_without)
{
    udm_job_info_t info = {.id = 1,
                           .type = "Contact",
                           .source = "UCS",
                           .title = "T",
                           .file_split_size = "",
                           .status = "QUEUED",
                           .created = 0,
                           .date_from = UDM_NO_TIME,
                           .date_to = UDM_NO_TIME,
                           .description = ""};
    json_t *json = udm_json_own(pool, udm_job_info_json(pool, &info, UDM_V10));

    ck_assert_str_eq(
        udm_json_text(pool, json),
        "{\"id\":1,\"type\":\"Contact\",\"source\":\"UCS\",\"title\":\"T\","
        "\"fileSplitSize\":\"\",\"fileName\":null,\"fileSize\":0,\"status\":\"QUEUED\","
        "\"createdDate\":\"1970-01-01T00:00:00.000Z\",\"dateFrom\":null,"
        "\"dateTo\":null,\"description\":\"\",\"media\":[],\"progress\":0,"
        "\"parentId\":0,\"exportAttachments\":false}");
}
END_TEST

TCase *job_info_case(void)
{
    TCase *tc = unit_case("job_info");

    tcase_add_test(tc, test_definition);
    tcase_add_test(tc, test_info);
    tcase_add_test(tc, test_info_without);
    return tc;
}
