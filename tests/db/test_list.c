/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_list.c: the three lists against the same questions asked in plain SQL, over random rows that
 * need several batches: every order field in both directions, every filter; what an item shows.
 */
#include "dbtest.h"
#include "listtest.h"

#include <string.h>

#include <apr_strings.h>

#include "db/file.h"
#include "db/job.h"
#include "db/list.h"

/* More than two batches of acme's visible rows, with ties in every column that may have them. */
const char listtest_rows[] =
    "SET session_replication_role = replica;" /* no triggers: nobody is to be told of these rows */
    "SELECT setseed(0.4711);"
    "INSERT INTO udm.job (ccid, family, source, type, title, description, time_all, date_from,"
    " date_to, media, export_attachments, file_split_size, file_split_bytes, schedule_type,"
    " schedule, suspended, status, created_at)"
    " SELECT CASE WHEN random() < 0.9 THEN 'acme' ELSE 'other' END, 'UCS', t.source, t.type,"
    " (ARRAY['100% of it', 'under_score', 'back\\slash', 'it''s \"quoted\"', '\xc3\x9c"
    "bung', 'plain', 'Plain', 'plain'])[1 + floor(random() * 8)] || CASE WHEN random() < 0.5 THEN"
    " ' ' || floor(random() * 40) ELSE '' END,"
    " CASE WHEN random() < 0.5 THEN 'text ' || floor(random() * 9) END, false,"
    " CASE WHEN random() < 0.7 THEN timestamptz '2026-01-01Z' + floor(random() * 9) * interval '1 "
    "day'"
    " END,"
    " CASE WHEN random() < 0.7 THEN timestamptz '2026-02-01Z' + floor(random() * 9) * interval '1 "
    "day'"
    " END, CASE WHEN random() < 0.3 THEN '{Chat,Email}'::text[] ELSE '{}' END, random() < 0.5,"
    " CASE WHEN b > 0 THEN b || ' KB' END, CASE WHEN b > 0 THEN b * 1000 END,"
    " (ARRAY['immediately', 'once', 'recurring'])[1 + floor(random() * 3)], '{}', random() < 0.3,"
    " (ARRAY['SCHEDULED', 'QUEUED', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELLED',"
    " 'SUSPENDED'])[1 + floor(random() * 7)],"
    " timestamptz '2026-03-01Z' + floor(random() * 300) * interval '0.000001 second'"
    " FROM (SELECT floor(random() * 5)::bigint * 100 AS b, floor(random() * 4)::int AS k"
    " FROM generate_series(1, 3200)) g"
    " JOIN (VALUES (0, 'UCS', 'Interaction'), (1, 'UCS', 'Contact'), (2, 'UCSX', 'Interaction'),"
    " (3, 'iWD', 'Task')) t (k, source, type) USING (k);"
    /* Some have run: once or twice, and only the last one may be active. */
    "INSERT INTO udm.run (job_id, ccid, source, type, title, description, window_from, window_to,"
    " window_all, media, export_attachments, file_split_size, file_split_bytes, status,"
    " status_reason, ready_at, created_at, file_name, file_size)"
    " SELECT j.id, j.ccid, j.source, j.type, j.title, j.description, j.date_from, j.date_to,"
    " j.date_from IS NULL AND j.date_to IS NULL, j.media, j.export_attachments, j.file_split_size,"
    " j.file_split_bytes, CASE WHEN n = 1 THEN (ARRAY['COMPLETED', 'FAILED', 'CANCELLED'])"
    "[1 + floor(random() * 3)] ELSE (ARRAY['QUEUED', 'IN_PROGRESS', 'COMPLETED', 'FAILED',"
    " 'CANCELLED', 'SUSPENDED'])[1 + floor(random() * 6)] END, 'reason', '2100-01-01Z',"
    " j.created_at + n *"
    " floor(random() * 5) * interval '1 second',"
    " CASE WHEN random() < 0.6 THEN 'export-' || floor(random() * 90) || '.zip.smime' END,"
    " CASE WHEN random() < 0.6 THEN floor(random() * 9)::bigint * 1000000000 END"
    " FROM udm.job j, generate_series(1, 2) n WHERE random() < 0.8;"
    "UPDATE udm.job j SET latest_run_id = (SELECT max(r.id) FROM udm.run r WHERE r.job_id = j.id);"
    "INSERT INTO udm.run_progress (run_id, percent) SELECT id, floor(random() * 100) FROM udm.run"
    " WHERE random() < 0.9;"
    "INSERT INTO udm.file (name, run_id, job_id, ccid, source, type, job_title, part, size, sha256,"
    " created_at, expires_at, removed_at, removal)"
    " SELECT 'export-' || gen_random_uuid() || '.z11.smime', r.id, r.job_id, r.ccid,"
    " r.source, r.type, r.title, 11, floor(random() * 9) * 1000,"
    " repeat(md5(floor(random() * 50)::text), 2), r.created_at,"
    " r.created_at + floor(random() * 90) * interval '1 day',"
    " CASE WHEN gone THEN now() END, CASE WHEN gone THEN 'deleted' END"
    " FROM (SELECT *, random() < 0.1 AS gone FROM udm.run) r;"
    "RESET session_replication_role;"
    "SELECT udm.recount_runs()";

/* Why each of those runs waits. */
#define ATTEMPT "'attempt 0 failed: reason; the next one is due at 2100-01-01T00:00:00Z'"

/* The lists as plain relations, each column named as the API names it. */
static const char *const relations[] = {
    [UDM_LIST_JOBS] =
        "(SELECT j.id, j.ccid, j.type, j.source, j.title, file_split_bytes AS \"fileSplitSize\","
        " (SELECT file_name FROM udm.run r WHERE r.id = latest_run_id) AS \"fileName\","
        " coalesce((SELECT file_size FROM udm.run r WHERE r.id = latest_run_id), 0) AS "
        "\"fileSize\","
        " status, created_at AS \"createdDate\", date_from AS \"dateFrom\", date_to AS \"dateTo\","
        " description, CASE status WHEN 'COMPLETED' THEN 100 WHEN 'QUEUED' THEN 0"
        " WHEN 'SCHEDULED' THEN 0 WHEN 'SUSPENDED' THEN 0 ELSE coalesce((SELECT percent"
        " FROM udm.run_progress WHERE run_id = latest_run_id), 0) END AS progress, 0 AS "
        "\"parentId\", CASE WHEN j.status IN ('FAILED', 'CANCELLED') THEN coalesce((SELECT"
        " status_reason FROM udm.run r WHERE r.id = latest_run_id), CASE j.status"
        " WHEN 'CANCELLED' THEN 'cancelled on request' ELSE 'the record of it was deleted' END)"
        " WHEN status = 'SUSPENDED' THEN (SELECT status_reason FROM udm.run r"
        " WHERE r.id = latest_run_id AND r.status = 'SUSPENDED')"
        " WHEN status = 'QUEUED' THEN (SELECT " ATTEMPT
        " FROM udm.run r WHERE r.id = latest_run_id)"
        " END AS \"statusReason\","
        " export_attachments AS \"exportAttachments\", schedule_type, suspended FROM udm.job j) x",
    [UDM_LIST_RUNS] =
        "(SELECT id, ccid, type, source, title, file_split_bytes AS \"fileSplitSize\","
        " file_name AS \"fileName\", coalesce(file_size, 0) AS \"fileSize\", status,"
        " created_at AS \"createdDate\", window_from AS \"dateFrom\", window_to AS \"dateTo\","
        " description, CASE status WHEN 'COMPLETED' THEN 100 WHEN 'QUEUED' THEN 0"
        " WHEN 'SUSPENDED' THEN 0 ELSE coalesce((SELECT percent FROM udm.run_progress"
        " WHERE run_id = id), 0) END AS progress, job_id AS \"parentId\","
        " CASE WHEN status IN ('FAILED', 'CANCELLED', 'SUSPENDED') THEN status_reason"
        " WHEN status = 'QUEUED' THEN " ATTEMPT " END AS \"statusReason\","
        " export_attachments AS \"exportAttachments\" FROM udm.run) x",
    [UDM_LIST_FILES] =
        "(SELECT id, ccid, name, size, type, source, job_title AS \"jobTitle\","
        " job_id AS \"jobId\", run_id AS \"historyId\", created_at AS \"createdDate\","
        " expires_at AS \"expirationDate\", expires_at AS \"remainingDays\", sha256"
        " FROM udm.file WHERE removed_at IS NULL) x",
};

const udm_listing_spec_t *listtest_spec(udm_list_kind kind)
{
    return kind == UDM_LIST_JOBS   ? udm_job_listing()
           : kind == UDM_LIST_RUNS ? udm_run_listing()
                                   : udm_file_listing();
}

udm_principal_t *listtest_reader(void)
{
    udm_principal_t *who = dbtest_principal("acme");

    who->rights->nelts--; /* all but iWD's */
    *(udm_right_t *)apr_array_push(who->rights) = (udm_right_t){"iWD", "Task", false, true, false};
    return who;
}

/* Parses a query as httpd does. */
static udm_listing_t *parse_as(apr_pool_t *p, udm_list_kind kind, udm_version version,
                               const char *query)
{
    udm_listing_t *listing;
    apr_table_t *table;

    dbtest_ok(udm_listing_query(&table, p, query));
    dbtest_ok(udm_listing_parse(&listing, p, listtest_spec(kind), version, table));
    return listing;
}

udm_listing_t *listtest_parse(apr_pool_t *p, udm_list_kind kind, const char *query)
{
    return parse_as(p, kind, UDM_V10, query);
}

apr_int64_t listtest_id(udm_list_kind kind, const apr_array_header_t *batch, int i)
{
    if (kind == UDM_LIST_FILES) {
        return APR_ARRAY_IDX(batch, i, udm_file_info_t *)->id;
    }
    return APR_ARRAY_IDX(batch, i, udm_job_info_t *)->id;
}

/* All ids of a list, in order, with commas; reads each batch over another connection. */
const char *listtest_read(apr_pool_t *p, apr_int64_t *count, udm_list_kind kind, const char *query)
{
    apr_array_header_t *ids = apr_array_make(p, 4096, sizeof(const char *));
    apr_array_header_t *batch;
    udm_list_t *list;
    apr_pool_t *own;
    bool indexed = !strstr(query, "orderField=") || strstr(query, "orderField=id") ||
                   strstr(query, "orderField=createdDate");
    int most = 1000;
    int batches = 0;
    int i;

    ck_assert_int_eq(apr_pool_create(&own, p), APR_SUCCESS);
    dbtest_ok(udm_list_open(&list, count, p, dbtest_httpd(), kind, listtest_parse(p, kind, query),
                            listtest_reader()));
    do {
        apr_pool_clear(own);
        dbtest_ok(
            udm_list_next(&batch, own, batches++ % 2 ? dbtest_worker() : dbtest_httpd(), list));
        ck_assert_int_le(batch->nelts, most);
        most = indexed || most == UDM_LIST_BATCH_MAX ? most : 2 * most;
        for (i = 0; i < batch->nelts; i++) {
            APR_ARRAY_PUSH(ids, const char *) = udm_pg_int(p, listtest_id(kind, batch, i));
        }
    } while (batch->nelts > 0);
    apr_pool_destroy(own);
    return apr_array_pstrcat(p, ids, ',');
}

/* The same in plain SQL. */
static const char *plain(apr_pool_t *p, udm_list_kind kind, const char *where, const char *order_by,
                         const char *limit)
{
    const char *text = dbtest_value(
        apr_pstrcat(p,
                    "SELECT string_agg(id::text, ',' ORDER BY n) FROM (SELECT id, row_number()"
                    " OVER (ORDER BY ",
                    order_by, ") AS n FROM ", relations[kind], " WHERE" VISIBLE " AND (", where,
                    ")) y ", limit, NULL));

    return text ? text : "";
}

apr_int64_t listtest_count(const char *ids)
{
    apr_int64_t count = *ids ? 1 : 0;

    for (; *ids; ids++) {
        count += *ids == ',';
    }
    return count;
}

/* Compares ids without printing thousands of them. */
void listtest_same(const char *got, const char *expected, const char *what)
{
    size_t at = 0;

    while (got[at] && got[at] == expected[at]) {
        at++;
    }
    ck_assert_msg(got[at] == expected[at], "%s: differs after %zu bytes: '%.40s' is not '%.40s'",
                  what, at, got + at, expected + at);
}

/* Every order field in both directions; NULL is smallest, but an open end is largest. */
static void check_orders(udm_list_kind kind)
{
    const udm_order_spec_t *order;
    int descending;

    dbtest_exec(listtest_rows);
    for (order = listtest_spec(kind)->orders; order->field; order++) {
        for (descending = 0; descending < 2; descending++) {
            const char *direction = descending ? "DESC" : "ASC";
            bool last = strcmp(order->field, "dateTo") == 0;
            const char *nulls = last == !descending ? "LAST" : "FIRST";
            const char *query, *got, *expected;
            apr_int64_t count;
            apr_pool_t *p;

            ck_assert_int_eq(apr_pool_create(&p, pool), APR_SUCCESS);
            query = apr_psprintf(p, "orderField=%s&descAsc=%s", order->field,
                                 descending ? "true" : "false");
            got = listtest_read(p, &count, kind, query);
            expected = plain(p, kind, "true",
                             apr_psprintf(p, "\"%s\" %s NULLS %s, id %s", order->field, direction,
                                          nulls, direction),
                             "");
            ck_assert_int_gt(listtest_count(expected), 2000);
            listtest_same(got, expected, query);
            ck_assert_int_eq(count, listtest_count(expected));
            apr_pool_destroy(p);
        }
    }
}

START_TEST(job_orders)
{
    check_orders(UDM_LIST_JOBS);
}
END_TEST

START_TEST(run_orders)
{
    check_orders(UDM_LIST_RUNS);
}
END_TEST

START_TEST(file_orders)
{
    check_orders(UDM_LIST_FILES);
}
END_TEST

typedef struct filter_test_t {
    udm_list_kind kind;
    const char *query;
    const char *where; /* NULL: nothing may match */
} filter_test_t;

static const filter_test_t filter_tests[] = {
    {UDM_LIST_JOBS, "", "true"},
    {UDM_LIST_JOBS, "title=PLAIN", "title ~* 'plain'"},
    {UDM_LIST_JOBS, "title=%25", "position('%' in title) > 0"},
    {UDM_LIST_JOBS, "title=0%25%20of", "position('0% of' in title) > 0"},
    {UDM_LIST_JOBS, "title=_", "position('_' in title) > 0"},
    {UDM_LIST_JOBS, "title=%5C", "position(chr(92) in title) > 0"},
    {UDM_LIST_JOBS, "title='s%20%22q", "position(chr(39) || 's \"q' in title) > 0"},
    {UDM_LIST_JOBS, "title='%20OR%20true--", NULL},
    {UDM_LIST_JOBS, "title=%24%24", NULL},
    {UDM_LIST_JOBS, "title=BUNG", "title LIKE '_bung%'"},
    {UDM_LIST_JOBS, "type=cont", "type = 'Contact'"},
    {UDM_LIST_JOBS, "type=Task", NULL},
    {UDM_LIST_JOBS, "source=ucsx", "source = 'UCSX'"},
    {UDM_LIST_JOBS, "source=ucs", "true"},
    {UDM_LIST_JOBS, "suspend=true", "suspended"},
    {UDM_LIST_JOBS, "suspend=false", "NOT suspended"},
    {UDM_LIST_JOBS, "scheduleType=once", "schedule_type = 'once'"},
    {UDM_LIST_JOBS, "scheduleType=recurring&suspend=true&title=a&source=UCS&type=inter",
     "schedule_type = 'recurring' AND suspended AND title ~* 'a' AND type = 'Interaction'"},
    {UDM_LIST_RUNS, "", "true"},
    {UDM_LIST_RUNS, "status=FAILED", "status = 'FAILED'"},
    {UDM_LIST_RUNS, "status=in%20progress", "status = 'IN_PROGRESS'"},
    {UDM_LIST_RUNS, "status=SCHEDULED", NULL},
    {UDM_LIST_RUNS, "fileName=EXPORT-1", "\"fileName\" LIKE 'export-1%'"},
    {UDM_LIST_RUNS, "fileName=.", "\"fileName\" IS NOT NULL"},
    {UDM_LIST_RUNS, "title=_&type=Interaction&source=x&status=COMPLETED",
     "position('_' in title) > 0 AND source = 'UCSX' AND status = 'COMPLETED'"},
    {UDM_LIST_FILES, "", "true"},
    {UDM_LIST_FILES, "jobTitle=slash", "\"jobTitle\" ~ 'slash'"},
    {UDM_LIST_FILES, "name=A1", "name LIKE '%a1%'"},
    {UDM_LIST_FILES, "name=.z11.smime", "true"},
    {UDM_LIST_FILES, "type=contact&source=ucs", "type = 'Contact'"},
    {UDM_LIST_FILES, "startDate=2026-03-01T00:00:00.000100Z",
     "\"createdDate\" >= '2026-03-01 00:00:00.000100Z'"},
    {UDM_LIST_FILES, "endDate=2026-03-01T00:00:00.000100Z",
     "\"createdDate\" < '2026-03-01 00:00:00.000100Z'"},
    {UDM_LIST_FILES, "startDate=2026-03-01T02:00:02%2B02:00&endDate=2026-03-01T00:00:05Z",
     "\"createdDate\" >= '2026-03-01 00:00:02Z' AND \"createdDate\" < '2026-03-01 00:00:05Z'"},
    {UDM_LIST_FILES, "endDate=2026-03-01", NULL},
};

START_TEST(filters)
{
    const char *some_job, *some_run;
    apr_int64_t count;
    size_t i;

    dbtest_exec(listtest_rows);
    dbtest_ok(udm_pg_exec(pool, dbtest_httpd(), "SET TimeZone = 'Asia/Kolkata'"));
    for (i = 0; i < sizeof(filter_tests) / sizeof(*filter_tests); i++) {
        const filter_test_t *t = &filter_tests[i];
        const char *expected =
            plain(pool, t->kind, t->where ? t->where : "false", "\"createdDate\", id", "");
        const char *got = listtest_read(pool, &count, t->kind, t->query);

        ck_assert_msg(!t->where == (listtest_count(expected) == 0), "%s: useless", t->query);
        listtest_same(got, expected, t->query);
        ck_assert_int_eq(count, listtest_count(expected));
    }

    some_job = dbtest_value("SELECT job_id FROM udm.file WHERE removed_at IS NULL AND" VISIBLE
                            " GROUP BY job_id ORDER BY count(*) DESC, job_id LIMIT 1");
    listtest_same(
        listtest_read(pool, &count, UDM_LIST_RUNS, apr_pstrcat(pool, "jobId=", some_job, NULL)),
        plain(pool, UDM_LIST_RUNS, apr_pstrcat(pool, "\"parentId\" = ", some_job, NULL),
              "\"createdDate\", id", ""),
        "jobId");
    ck_assert_int_eq(count, 2);
    some_run =
        dbtest_value("SELECT run_id FROM udm.file WHERE removed_at IS NULL AND" VISIBLE " LIMIT 1");
    listtest_read(pool, &count, UDM_LIST_FILES, apr_pstrcat(pool, "historyId=", some_run, NULL));
    ck_assert_int_eq(count, 1);
    listtest_read(pool, &count, UDM_LIST_RUNS, "jobId=9223372036854775807");
    ck_assert_int_eq(count, 0);
}
END_TEST

/* An item of a list is what its own address shows. */
static void same_info(const udm_job_info_t *a, const udm_job_info_t *b)
{
    ck_assert_int_eq(a->id, b->id);
    ck_assert_int_eq(a->parent_id, b->parent_id);
    ck_assert_str_eq(a->type, b->type);
    ck_assert_str_eq(a->source, b->source);
    ck_assert_str_eq(a->title, b->title);
    ck_assert_str_eq(a->file_split_size, b->file_split_size);
    ck_assert_pstr_eq(a->file_name, b->file_name);
    ck_assert_int_eq(a->file_size, b->file_size);
    ck_assert_str_eq(a->status, b->status);
    ck_assert_pstr_eq(a->status_reason, b->status_reason);
    ck_assert_int_eq(a->created, b->created);
    ck_assert_int_eq(a->date_from, b->date_from);
    ck_assert_int_eq(a->date_to, b->date_to);
    ck_assert_str_eq(a->description, b->description);
    ck_assert_int_eq(a->media->nelts, b->media->nelts);
    ck_assert_int_eq(a->progress, b->progress);
    ck_assert_int_eq(a->export_attachments, b->export_attachments);
}

START_TEST(items_are_what_get_shows)
{
    apr_array_header_t *batch;
    udm_job_info_t *info;
    udm_file_info_t *file;
    apr_int64_t count;
    udm_list_t *list;
    int i;

    dbtest_exec(listtest_rows);
    dbtest_ok(udm_list_open(&list, &count, pool, dbtest_httpd(), UDM_LIST_JOBS,
                            listtest_parse(pool, UDM_LIST_JOBS, "size=200"), listtest_reader()));
    dbtest_ok(udm_list_next(&batch, pool, dbtest_httpd(), list));
    for (i = 0; i < 200; i++) {
        const udm_job_info_t *item = APR_ARRAY_IDX(batch, i, udm_job_info_t *);

        dbtest_ok(udm_job_get(&info, pool, dbtest_httpd(), listtest_reader(), item->id));
        same_info(item, info);
    }
    dbtest_ok(udm_list_open(&list, &count, pool, dbtest_httpd(), UDM_LIST_RUNS,
                            listtest_parse(pool, UDM_LIST_RUNS, "size=200"), listtest_reader()));
    dbtest_ok(udm_list_next(&batch, pool, dbtest_httpd(), list));
    for (i = 0; i < 200; i++) {
        const udm_job_info_t *item = APR_ARRAY_IDX(batch, i, udm_job_info_t *);

        dbtest_ok(udm_run_get(&info, pool, dbtest_httpd(), listtest_reader(), item->id));
        same_info(item, info);
    }
    dbtest_exec("UPDATE udm.file SET expires_at = now() + interval '2 days 1 hour'"
                " WHERE id = (SELECT min(id) FROM udm.file WHERE removed_at IS NULL AND" VISIBLE
                ")");
    dbtest_ok(udm_list_open(&list, &count, pool, dbtest_httpd(), UDM_LIST_FILES,
                            listtest_parse(pool, UDM_LIST_FILES, "orderField=id&size=1"),
                            listtest_reader()));
    dbtest_ok(udm_list_next(&batch, pool, dbtest_httpd(), list));
    ck_assert_int_eq(batch->nelts, 1);
    file = APR_ARRAY_IDX(batch, 0, udm_file_info_t *);
    ck_assert_int_eq(file->remaining_days, 3);
    ck_assert_str_eq(file->ccid, "acme");
    dbtest_exec("UPDATE udm.file SET expires_at = '2000-01-01Z'");
    dbtest_ok(udm_list_open(&list, &count, pool, dbtest_httpd(), UDM_LIST_FILES,
                            listtest_parse(pool, UDM_LIST_FILES, "size=1"), listtest_reader()));
    dbtest_ok(udm_list_next(&batch, pool, dbtest_httpd(), list));
    ck_assert_int_eq(APR_ARRAY_IDX(batch, 0, udm_file_info_t *)->remaining_days, 0);
}
END_TEST

START_TEST(nothing_for_nobody)
{
    udm_principal_t *who = dbtest_principal_of("acme", "nowhere", "nothing", true, true);
    apr_array_header_t *batch;
    apr_int64_t count = -1;
    udm_list_t *list;
    int kind;

    dbtest_exec(listtest_rows);
    for (kind = UDM_LIST_JOBS; kind <= UDM_LIST_FILES; kind++) {
        dbtest_ok(udm_list_open(&list, &count, pool, dbtest_httpd(), (udm_list_kind)kind,
                                listtest_parse(pool, (udm_list_kind)kind, ""), who));
        ck_assert_int_eq(count, 0);
        dbtest_ok(udm_list_next(&batch, pool, dbtest_httpd(), list));
        ck_assert_int_eq(batch->nelts, 0);
    }
    who->rights->nelts = 0;
    dbtest_ok(udm_list_open(&list, &count, pool, dbtest_httpd(), UDM_LIST_JOBS,
                            listtest_parse(pool, UDM_LIST_JOBS, ""), who));
    ck_assert_int_eq(count, 0);
}
END_TEST

/* The deprecated versions have fewer parameters and fields: what they lack is unknown to them. */
START_TEST(each_version_has_its_own)
{
    static const struct {
        udm_list_kind kind;
        udm_version version;
        const char *parameter;
    } lacks[] = {{UDM_LIST_JOBS, UDM_V4, "source=nowhere"},
                 {UDM_LIST_RUNS, UDM_V4, "source=nowhere"},
                 {UDM_LIST_RUNS, UDM_V4, "jobId=1"},
                 {UDM_LIST_FILES, UDM_V3, "source=nowhere"},
                 {UDM_LIST_FILES, UDM_V3, "historyId=1"}};
    static const struct {
        udm_list_kind kind;
        udm_version version;
        const char *parameters; /* each of which narrows the list to nothing */
    } has[] = {{UDM_LIST_JOBS, UDM_V4, "type=-1- title=-1- scheduleType=x suspend=x"},
               {UDM_LIST_RUNS, UDM_V4, "title=-1- fileName=-1- type=-1- status=x"},
               {UDM_LIST_FILES, UDM_V3, "startDate=x endDate=x name=-1- jobTitle=-1- type=-1-"}};
    udm_listing_t *listing;
    apr_table_t *table;
    size_t i;

    for (i = 0; i < sizeof(lacks) / sizeof(*lacks); i++) {
        ck_assert_int_eq(
            parse_as(pool, lacks[i].kind, lacks[i].version, lacks[i].parameter)->filters->nelts, 0);
        ck_assert_int_eq(listtest_parse(pool, lacks[i].kind, lacks[i].parameter)->filters->nelts,
                         1);
    }
    for (i = 0; i < sizeof(has) / sizeof(*has); i++) {
        char *state = NULL;
        char *one;

        for (one = apr_strtok(apr_pstrdup(pool, has[i].parameters), " ", &state); one;
             one = apr_strtok(NULL, " ", &state)) {
            udm_error_t *error;

            dbtest_ok(udm_listing_query(&table, pool, one));
            error = udm_listing_parse(&listing, pool, listtest_spec(has[i].kind), has[i].version,
                                      table);
            if (strchr(one, '=')[1] == 'x') {
                dbtest_fails(error, UDM_E_INVALID, "the parameter");
                continue;
            }
            dbtest_ok(error);
            ck_assert_int_eq(listing->filters->nelts, 1);
        }
    }
    for (i = UDM_LIST_JOBS; i <= UDM_LIST_RUNS; i++) {
        udm_error_t *error;

        dbtest_ok(udm_listing_query(&table, pool, "orderField=exportAttachments"));
        dbtest_ok(
            udm_listing_parse(&listing, pool, listtest_spec((udm_list_kind)i), UDM_V10, table));
        error = udm_listing_parse(&listing, pool, listtest_spec((udm_list_kind)i), UDM_V4, table);
        dbtest_fails(error, UDM_E_INVALID, "createdDate");
        ck_assert_ptr_null(strstr(error->reason, "exportAttachments"));
    }
}
END_TEST

/* Both versions see the same rows in the same order. */
START_TEST(versions_see_the_same)
{
    static const char *const queries[] = {"", "orderField=title&descAsc=true&title=a&size=1500",
                                          "orderField=status&suspend=false"};
    apr_int64_t count;
    size_t i;

    dbtest_exec(listtest_rows);
    for (i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
        udm_listing_t *listing = parse_as(pool, UDM_LIST_JOBS, UDM_V4, queries[i]);
        const char *expected = listtest_read(pool, &count, UDM_LIST_JOBS, queries[i]);
        const char *got = "";
        apr_array_header_t *batch;
        apr_int64_t matches;
        udm_list_t *list;
        int k;

        dbtest_ok(udm_list_open(&list, &matches, pool, dbtest_httpd(), UDM_LIST_JOBS, listing,
                                listtest_reader()));
        ck_assert_int_eq(matches, count);
        do {
            apr_array_header_t *ids = apr_array_make(pool, 4096, sizeof(const char *));

            dbtest_ok(udm_list_next(&batch, pool, dbtest_httpd(), list));
            for (k = 0; k < batch->nelts; k++) {
                APR_ARRAY_PUSH(ids, const char *) =
                    udm_pg_int(pool, listtest_id(UDM_LIST_JOBS, batch, k));
            }
            got = apr_pstrcat(pool, got, *got && ids->nelts > 0 ? "," : "",
                              apr_array_pstrcat(pool, ids, ','), NULL);
        } while (batch->nelts > 0);
        listtest_same(got, expected, queries[i]);
    }
}
END_TEST

TCase *list_case(void)
{
    TCase *tc = dbtest_case("list");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, job_orders);
    tcase_add_test(tc, run_orders);
    tcase_add_test(tc, file_orders);
    tcase_add_test(tc, filters);
    tcase_add_test(tc, items_are_what_get_shows);
    tcase_add_test(tc, nothing_for_nobody);
    tcase_add_test(tc, each_version_has_its_own);
    tcase_add_test(tc, versions_see_the_same);
    return tc;
}
