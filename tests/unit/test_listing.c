/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_listing.c: the query of a list: decoding, paging, order and filters.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "core/listing.h"

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

    unit_ok(parse(&listing, "from=20&size=10&descAsc=TRUE&orderField=title"));
    ck_assert_int_eq(listing->from, 20);
    ck_assert_int_eq(listing->size, 10);
    ck_assert(listing->descending);
    ck_assert_str_eq(listing->order->field, "title");
    unit_ok(parse(&listing, "from=0&size=1&descAsc=false"));
    ck_assert_int_eq(listing->from, 0);
    ck_assert_int_eq(listing->size, 1);
    ck_assert(!listing->descending);
    unit_ok(parse(&listing, "from=0&size=0"));
    ck_assert_int_eq(listing->size, 0);

    fails("from=-1", "from must be a whole number from 0");
    fails("from=x", "from must be");
    fails("from=1.5", "from must be");
    fails("from=9223372036854775808", "from must be");
    fails("size=-1", "size must be a whole number from 0");
    fails("size=-5", "size must be");
    fails("size=10abc", "size must be");
    fails("size=+5", "size must be"); /* a + is a space */
    fails("descAsc=1", "true (descending) or false (ascending)");
    fails("orderField=nothing", "orderField must be one of: exportAttachments, id, title, "
                                "createdDate");
    fails("orderField=created_at", "orderField must be one of");
}
END_TEST

/* Names count as they are written; what differs in case alone is a mistake that is told. */
START_TEST(test_names)
{
    static const char *const known[] = {"jobIDs", "a", NULL};
    udm_listing_t *listing;
    apr_table_t *query;

    fails("SIZE=5", "the parameter SIZE must be written size");
    fails("TITLE=x", "the parameter TITLE must be written title");
    fails("title=x&Title=y", "Title must be written title");
    fails("JobID=1", "JobID must be written jobId");
    fails("DescAsc=&x=1", "DescAsc must be written descAsc");
    fails("orderfield=title", "orderfield must be written orderField");
    fails("bgupdate=1", "bgUpdate");
    fails("Cursor=1", "cursor");
    fails("%41fter=x", "after");
    /* what a version does not have is unknown to it in any spelling */
    unit_ok(parse_version(&listing, "JOBID=1&Cursor=x&AFTER=x&after=x&BGUPDATE=1", UDM_V4));
    unit_ok(parse_version(&listing, "STATUS=1", UDM_V3));
    unit_ok(parse(&listing, "titles=x&itle=x&tit le=x&%C4%B0d=1"));
    unit_ok(udm_listing_query(&query, pool, "b=1&jobids=2"));
    unit_fails(udm_listing_names(pool, query, known), UDM_E_INVALID,
               "jobids must be written jobIDs");
    unit_ok(udm_listing_query(&query, pool, "b=1&jobIDs=2&jobID=3"));
    unit_ok(udm_listing_names(pool, query, known));
}
END_TEST

/* The print of a list as it is asked for. */
static const char *print_of(const char *raw)
{
    udm_listing_t *listing;

    unit_ok(parse(&listing, raw));
    return listing->print;
}

START_TEST(test_cursor)
{
    static const char *const others[] = {"descAsc=true&title=a",
                                         "orderField=id&title=a",
                                         "title=b",
                                         "title=a&suspend=true",
                                         "",
                                         "title=A",
                                         "status=FAILED"};
    udm_cursor_t cursor = {print_of("title=a"), 3000, "77:80:78,79", "k\xc3\xa4y \"'\\", 42};
    const char *text = udm_cursor_text(pool, &cursor);
    udm_listing_t *listing;
    size_t i;

    unit_ok(parse(&listing, ""));
    ck_assert(!listing->cursor && !listing->after);
    unit_ok(parse(&listing, "cursor=false&from=7"));
    ck_assert(!listing->cursor && !listing->after);
    unit_ok(parse(&listing, "cursor=TRUE&from=7"));
    ck_assert(listing->cursor && !listing->after);
    fails("cursor=maybe", "cursor must be true or false");

    unit_ok(parse(&listing, apr_pstrcat(pool, "size=5&from=0&title=a&after=", text, NULL)));
    ck_assert(listing->cursor);
    ck_assert_int_eq(listing->after->count, 3000);
    ck_assert_str_eq(listing->after->snapshot, "77:80:78,79");
    ck_assert_str_eq(listing->after->key, "k\xc3\xa4y \"'\\");
    ck_assert_int_eq(listing->after->id, 42);
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        fails(apr_pstrcat(pool, others[i], "&after=", text, NULL), "for the same orderField");
    }
    ck_assert_str_ne(print_of("title=a%0A1%0Ab"), print_of("title=a&suspend=true"));
    /* two that are of one column */
    ck_assert_str_ne(print_of("startDate=2026-11-24"), print_of("endDate=2026-11-24"));
    fails(apr_pstrcat(pool, "title=a&from=1&after=", text, NULL), "from must be 0 beside after");
    fails(apr_pstrcat(pool, "title=a&size=0&after=", text, NULL), "size must be at least 1");
    fails("cursor=true&size=0", "size must be at least 1");
    unit_ok(parse_version(&listing, "cursor=maybe&after=x&size=0", UDM_V4));
    ck_assert(!listing->cursor && !listing->after);
}
END_TEST

/* Texts that were never made here. */
START_TEST(test_bad_cursors)
{
    static const char *const snapshots[] = {
        "", "1", "1:2", "x", "0:5:", "5:4:", "5:9:4", "5:9:9", "5:9:7,6", "5:9:7,7", "5:9:7,",
        "5:9:,7", "5:9: 7", "-1:9:", "5:9:7;",
        "18446744073709551616:18446744073709551617:", "5:9:7,8'--",
        "4294967296:4294967297:", "5:4294967296:", "5:8589934592:4294967296",
        /* what would be small again in 64 bits */
        "18446744073709551617:18446744073709551618:", "1:18446744073709551625:",
        "5:9:18446744073709551622"};
    static const char *const texts[] = {"x",
                                        "!",
                                        "a=b",
                                        "W10",
                                        "W10=",
                                        "bnVsbA",
                                        "e30",
                                        "WyJhIiwxLCIxOjE6IiwiayIsMSwxXQ",
                                        "WyJhIiwtMSwiMToxOiIsImsiLDFd",
                                        "WyJhIiwxLCIxOjE6IiwiayIsMF0",
                                        "\xc3\xa4",
                                        "WyJhIiwxLCIxOjE6IixudWxsLDFd",
                                        "WyJhIiwwLCIxOjE6IiwiayIsMV0"};
    udm_cursor_t good = {"a", 1, "5:9:6,8", "k", 1}, cursor = {NULL, -1, NULL, NULL, -1};
    uint32_t state = 4711;
    const char *text;
    size_t i;

    ck_assert(udm_cursor_parse(&cursor, pool, udm_cursor_text(pool, &good)));
    ck_assert_str_eq(cursor.snapshot, "5:9:6,8");
    cursor.count = -1;
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ck_assert_msg(!udm_cursor_parse(&cursor, pool, texts[i]), "%s", texts[i]);
    }
    for (i = 0; i < sizeof(snapshots) / sizeof(snapshots[0]); i++) {
        good.snapshot = snapshots[i];
        text = udm_cursor_text(pool, &good);
        ck_assert_msg(!udm_cursor_parse(&cursor, pool, text), "%s", snapshots[i]);
    }
    ck_assert_int_eq(cursor.count, -1);
    good.snapshot = "18446744073709551614:18446744073709551615:";
    ck_assert(udm_cursor_parse(&cursor, pool, udm_cursor_text(pool, &good)));
    cursor.count = -1;
    /* One character more than whole bytes take. */
    for (good.key = ""; strlen(text = udm_cursor_text(pool, &good)) % 4 != 0;) {
        good.key = apr_pstrcat(pool, good.key, "k", NULL);
    }
    ck_assert(!udm_cursor_parse(&cursor, pool, apr_pstrcat(pool, text, "A", NULL)));
    ck_assert_int_eq(cursor.count, -1);
    good.key = "k";
    good.snapshot = "5:9:";
    text = udm_cursor_text(pool, &good);
    for (i = 0; i < 20000; i++) {
        char *changed = unit_mutate(&state, text);

        if (udm_cursor_parse(&cursor, pool, changed)) {
            ck_assert(cursor.id > 0 && cursor.count > 0);
        }
        free(changed);
        apr_pool_clear(pool);
        text = udm_cursor_text(pool, &good);
    }
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

START_TEST(test_twice)
{
    static const char *const bad[] = {"size=1&size=x",
                                      "size=1&size=1",
                                      "from=0&size=1&from=",
                                      "title=a&title=b",
                                      "descAsc=true&%64escAsc=true",
                                      "orderField=id&x=y&orderField=id",
                                      "jobId=1&jobId=2"};
    static const char *const good[] = {"size=1&xsize=3&xsize=4", "other=1&other=2", "=1&=2",
                                       "size=1&&&"};
    udm_listing_t *listing;
    apr_table_t *query;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        unit_ok(udm_listing_query(&query, pool, bad[i]));
        unit_fails(udm_listing_parse(&listing, pool, &spec, UDM_V10, query), UDM_E_INVALID,
                   "twice");
    }
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        unit_ok(udm_listing_query(&query, pool, good[i]));
        unit_ok(udm_listing_parse(&listing, pool, &spec, UDM_V10, query));
    }
    /* what a version does not have is unknown to it */
    unit_ok(udm_listing_query(&query, pool, "jobId=1&jobId=2"));
    unit_ok(udm_listing_parse(&listing, pool, &spec, UDM_V4, query));
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
            ck_assert(listing->from >= 0 && listing->size >= 0);
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
    tcase_add_test(tc, test_names);
    tcase_add_test(tc, test_cursor);
    tcase_add_test(tc, test_bad_cursors);
    tcase_add_test(tc, test_filters);
    tcase_add_test(tc, test_versions);
    tcase_add_test(tc, test_twice);
    tcase_add_test(tc, test_mutations);
    return tc;
}
