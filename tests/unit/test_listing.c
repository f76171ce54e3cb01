/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_listing.c: the query of a list: decoding, paging, order and filters.
 */
#include <stdlib.h>
#include <string.h>

#include "core/listing.h"
#include "unit.h"

#define ALL UDM_ALL_VERSIONS

static const udm_filter_spec_t filters[] = {
    {"title", UDM_FILTER_CONTAINS, "title", ALL},
    {"status", UDM_FILTER_STATUS, "status", UDM_V10 | UDM_V4},
    {"jobId", UDM_FILTER_ID, "job_id", UDM_V10},
    {"suspend", UDM_FILTER_BOOLEAN, "suspended", ALL},
    {"scheduleType", UDM_FILTER_SCHEDULE, "schedule_type", ALL},
    {"startDate", UDM_FILTER_FROM, "created_at", ALL},
    {"endDate", UDM_FILTER_TO, "created_at", ALL},
    {NULL, 0, NULL, 0}};
static const udm_order_spec_t orders[] = {{"exportAttachments", "attach", "boolean", UDM_V10},
                                          {"id", "id", "bigint", ALL},
                                          {"title", "title", "text", ALL},
                                          {"createdDate", "created_at", "timestamptz", ALL},
                                          {NULL, NULL, NULL, 0}};
static const udm_listing_spec_t spec = {filters, orders};

static udm_error_t *parse_version(udm_listing_t **listing, const char *raw, udm_version version)
{
    apr_table_t *query;

    unit_ok(udm_listing_query(&query, pool, raw));
    return udm_listing_parse(listing, pool, &spec, version, query);
}

static udm_error_t *parse(udm_listing_t **listing, const char *raw)
{
    return parse_version(listing, raw, UDM_V10);
}

static void fails(const char *raw, const char *words)
{
    udm_listing_t *listing = (udm_listing_t *)-1;

    unit_fails(parse(&listing, raw), UDM_E_INVALID, words);
    ck_assert_ptr_null(listing);
}

/* Expects one filter of this name, and gives its value. */
static const char *filter_of(const char *raw, const char *name)
{
    udm_listing_t *listing;

    unit_ok(parse(&listing, raw));
    ck_assert_int_eq(listing->filters->nelts, 1);
    ck_assert_str_eq(APR_ARRAY_IDX(listing->filters, 0, udm_filter_t).spec->parameter, name);
    return APR_ARRAY_IDX(listing->filters, 0, udm_filter_t).value;
}

START_TEST(test_query)
{
    apr_table_t *query;

    unit_ok(udm_listing_query(&query, pool, NULL));
    ck_assert(apr_is_empty_table(query));
    unit_ok(udm_listing_query(&query, pool, ""));
    ck_assert(apr_is_empty_table(query));
    unit_ok(udm_listing_query(&query, pool, "a=1+2%2b%C3%a4&b&=x&c==&a=9&%61b=%26&&"));
    ck_assert_str_eq(apr_table_get(query, "a"), "1 2+\xc3\xa4");
    ck_assert_str_eq(apr_table_get(query, "b"), "");
    ck_assert_str_eq(apr_table_get(query, "c"), "=");
    ck_assert_str_eq(apr_table_get(query, "ab"), "&");
    ck_assert_ptr_null(apr_table_get(query, ""));
}
END_TEST

START_TEST(test_broken_query)
{
    static const struct {
        const char *raw;
        const char *words;
    } bad[] = {
        {"a=%", "two hex digits"},   {"a=%4", "two hex digits"}, {"a=%4&b=1", "two hex digits"},
        {"a=%zz", "two hex digits"}, {"%=1", "two hex digits"},  {"a=%00", "NUL"},
        {"a%00b=1", "NUL"},          {"a=%ff", "not UTF-8"},     {"a=%c3", "not UTF-8"},
        {"\xff=1", "not UTF-8"}};
    apr_table_t *query;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        unit_fails(udm_listing_query(&query, pool, bad[i].raw), UDM_E_INVALID, bad[i].words);
    }
}
END_TEST

START_TEST(test_defaults)
{
    udm_listing_t *listing;

    unit_ok(parse(&listing, "from=&size=&descAsc=&orderField=&title=&status=&bgUpdate=x&other=1"));
    ck_assert_int_eq(listing->from, 0);
    ck_assert_int_eq(listing->size, 999999999);
    ck_assert(!listing->descending);
    ck_assert_str_eq(listing->order->field, "createdDate");
    ck_assert_int_eq(listing->filters->nelts, 0);
}
END_TEST

START_TEST(test_paging)
{
    udm_listing_t *listing;

    unit_ok(parse(&listing, "from=20&size=10&descAsc=TRUE&orderField=title&size=11&Size=12"));
    ck_assert_int_eq(listing->from, 20);
    ck_assert_int_eq(listing->size, 10);
    ck_assert(listing->descending);
    ck_assert_str_eq(listing->order->field, "title");
    unit_ok(parse(&listing, "from=0&size=1&descAsc=false"));
    ck_assert_int_eq(listing->from, 0);
    ck_assert_int_eq(listing->size, 1);
    ck_assert(!listing->descending);
    /* names count as they are written */
    unit_ok(parse(&listing, "SIZE=5&TITLE=x"));
    ck_assert_int_eq(listing->size, 999999999);
    ck_assert_int_eq(listing->filters->nelts, 0);

    fails("from=-1", "from must be a whole number from 0");
    fails("from=x", "from must be");
    fails("from=1.5", "from must be");
    fails("from=9223372036854775808", "from must be");
    fails("size=0", "size must be a whole number from 1");
    fails("size=-5", "size must be");
    fails("size=10abc", "size must be");
    fails("size=+5", "size must be"); /* a + is a space */
    fails("descAsc=1", "true (descending) or false (ascending)");
    fails("orderField=nothing", "orderField must be one of: exportAttachments, id, title, "
                                "createdDate");
    fails("orderField=created_at", "orderField must be one of");
}
END_TEST

START_TEST(test_filters)
{
    udm_listing_t *listing;

    ck_assert_str_eq(filter_of("title=50%25_%5C", "title"), "50%_\\");
    ck_assert_str_eq(filter_of("status=COMPLETED", "status"), "COMPLETED");
    ck_assert_str_eq(filter_of("status=in+progress", "status"), "IN_PROGRESS");
    ck_assert_str_eq(filter_of("status=in_Progress", "status"), "IN_PROGRESS");
    ck_assert_str_eq(filter_of("jobId=0042", "jobId"), "42");
    ck_assert_str_eq(filter_of("suspend=True", "suspend"), "true");
    ck_assert_str_eq(filter_of("suspend=FALSE", "suspend"), "false");
    ck_assert_str_eq(filter_of("scheduleType=Immediately", "scheduleType"), "immediately");
    ck_assert_str_eq(filter_of("scheduleType=once", "scheduleType"), "once");
    ck_assert_str_eq(filter_of("scheduleType=recurring", "scheduleType"), "recurring");
    ck_assert_str_eq(filter_of("startDate=2026-11-24", "startDate"), "2026-11-24T00:00:00.000000Z");
    ck_assert_str_eq(filter_of("endDate=2026-11-24T08:00:00.0000019%2B02:00", "endDate"),
                     "2026-11-24T06:00:00.000001Z");
    ck_assert_str_eq(filter_of("endDate=1969-12-31T23:59:59.999999Z", "endDate"),
                     "1969-12-31T23:59:59.999999Z");
    unit_ok(parse(&listing, "title=a&status=failed&jobId=1"));
    ck_assert_int_eq(listing->filters->nelts, 3);

    fails("status=COMPLETE",
          "status must be one of: SCHEDULED (Scheduled), QUEUED (Queued), IN_PROGRESS (In "
          "Progress), COMPLETED (Completed), FAILED (Failed), CANCELLED (Cancelled), SUSPENDED "
          "(Suspended)");
    fails("jobId=0", "jobId must be an id");
    fails("jobId=1;drop", "jobId must be");
    fails("suspend=yes", "suspend must be true or false");
    fails("scheduleType=cron", "scheduleType must be one of: immediately, once, recurring");
    fails("startDate=yesterday", "startDate must be a date");
    fails("endDate=2026-02-30", "endDate must be a date");
}
END_TEST

START_TEST(test_versions)
{
    static const udm_order_spec_t newer[] = {{"name", "name", "text", UDM_V10},
                                             {"size", "size", "bigint", UDM_V4 | UDM_V10},
                                             {NULL, NULL, NULL, 0}};
    static const udm_listing_spec_t no_date = {filters, newer};
    apr_table_t *query = apr_table_make(pool, 1);
    udm_listing_t *listing;

    /* what a version has not is unknown there: not even a bad value matters */
    unit_ok(parse_version(&listing, "jobId=x&status=FAILED", UDM_V4));
    ck_assert_int_eq(listing->filters->nelts, 1);
    ck_assert_str_eq(APR_ARRAY_IDX(listing->filters, 0, udm_filter_t).value, "FAILED");
    unit_ok(parse_version(&listing, "jobId=1&status=x&title=a", UDM_V3));
    ck_assert_int_eq(listing->filters->nelts, 1);
    unit_fails(parse_version(&listing, "jobId=x", UDM_V10), UDM_E_INVALID, "jobId must be");

    /* but an order by what its items have not is refused, with those that they have */
    unit_ok(parse_version(&listing, "orderField=exportAttachments", UDM_V10));
    ck_assert_str_eq(listing->order->field, "exportAttachments");
    unit_fails(parse_version(&listing, "orderField=exportAttachments", UDM_V4), UDM_E_INVALID,
               "orderField must be one of: id, title, createdDate");
    unit_ok(parse_version(&listing, "", UDM_V4));
    ck_assert_str_eq(listing->order->field, "createdDate");

    /* without createdDate, the first that the version has */
    unit_ok(udm_listing_parse(&listing, pool, &no_date, UDM_V10, query));
    ck_assert_str_eq(listing->order->field, "name");
    unit_ok(udm_listing_parse(&listing, pool, &no_date, UDM_V4, query));
    ck_assert_str_eq(listing->order->field, "size");
}
END_TEST

START_TEST(test_mutations)
{
    static const char seed[] = "from=20&size=10&descAsc=true&orderField=title&title=a%20b%C3%A4"
                               "&status=In+Progress&jobId=77&suspend=false&scheduleType=once"
                               "&startDate=2026-11-24T06%3A00%3A00Z&endDate=2026-11-25";
    uint32_t state = 521288629u;
    int i, good = 0;

    for (i = 0; i < 4000; i++) {
        char *raw = unit_mutate(&state, seed);
        udm_listing_t *listing = NULL;
        apr_table_t *query;
        udm_error_t *error = udm_listing_query(&query, pool, raw);

        if (!error) {
            error = udm_listing_parse(&listing, pool, &spec, UDM_V10, query);
            ck_assert((error == NULL) == (listing != NULL));
        }
        good += !error;
        if (error) {
            ck_assert_int_eq(error->kind, UDM_E_INVALID);
        }
        else {
            ck_assert(listing->from >= 0 && listing->size >= 1);
        }
        free(raw);
        apr_pool_clear(pool);
    }
    ck_assert_int_gt(good, 0);
    ck_assert_int_lt(good, 4000);
}
END_TEST

TCase *listing_case(void)
{
    TCase *tc = unit_case("listing");

    tcase_add_test(tc, test_query);
    tcase_add_test(tc, test_broken_query);
    tcase_add_test(tc, test_defaults);
    tcase_add_test(tc, test_paging);
    tcase_add_test(tc, test_filters);
    tcase_add_test(tc, test_versions);
    tcase_add_test(tc, test_mutations);
    return tc;
}
