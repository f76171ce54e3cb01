/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * list.c: the lists of jobs, runs and files: what can be filtered and sorted by, and reading in
 * keyset batches.
 *
 * Each batch starts behind the last row of the one before: WHERE (order, id) > (last order, last
 * id). So a list holds no connection between batches, and by createdDate or id it costs no more at
 * its end than at its start, for it walks an index. Any other order makes each batch sort all that
 * is left, so its batches grow. What a list promises: the count is that of its opening; rows made
 * later do not appear; a row that is removed meanwhile is not there or was there; sorted by
 * createdDate, id or anything else that does not change, each other row appears exactly once. A row
 * whose order field changes while the list is read (a status, say) may be met twice or missed.
 *
 * A client's text reaches SQL as a parameter only; the expressions are those of the tables here.
 */
#include "db/job.h"

#include <string.h>

#include <apr_strings.h>

#include "db/row.h"

/* Rows of a first batch, and of each where an index gives the order. */
#define BATCH_ROWS 1000

/* The two halves of UDM_DB_TIME, for an expression that is not known before. */
#define TIME_BEFORE "(extract(epoch FROM "
#define TIME_AFTER  ") * 1000000)::bigint"

/* An instant that may be open, as a number that sorts: open beginnings first, open ends last. */
#define OPEN_FROM(x) "coalesce(" UDM_DB_TIME(x) ", '-9223372036854775808'::bigint)"
#define OPEN_TO(x)   "coalesce(" UDM_DB_TIME(x) ", 9223372036854775807)"

static const udm_filter_spec_t job_filters[] = {
    {"scheduleType", UDM_FILTER_SCHEDULE, "j.schedule_type", UDM_ALL_VERSIONS},
    {"type", UDM_FILTER_CONTAINS, "j.type", UDM_ALL_VERSIONS},
    {"suspend", UDM_FILTER_BOOLEAN, "j.suspended", UDM_ALL_VERSIONS},
    {"title", UDM_FILTER_CONTAINS, "j.title", UDM_ALL_VERSIONS},
    {"source", UDM_FILTER_CONTAINS, "j.source", UDM_V10},
    {NULL, UDM_FILTER_CONTAINS, NULL, 0}};

static const udm_order_spec_t job_orders[] = {
    {"id", "j.id", "bigint", UDM_ALL_VERSIONS},
    {"type", "j.type", "text", UDM_ALL_VERSIONS},
    {"source", "j.source", "text", UDM_ALL_VERSIONS},
    {"title", "j.title", "text", UDM_ALL_VERSIONS},
    {"fileSplitSize", "coalesce(j.file_split_bytes, 0)", "bigint", UDM_ALL_VERSIONS},
    {"fileName", "coalesce(r.file_name, '')", "text", UDM_ALL_VERSIONS},
    {"fileSize", "coalesce(r.file_size, 0)", "bigint", UDM_ALL_VERSIONS},
    {"status", "j.status", "text", UDM_ALL_VERSIONS},
    {"createdDate", "j.created_at", "timestamptz", UDM_ALL_VERSIONS},
    {"dateFrom", OPEN_FROM("j.date_from"), "bigint", UDM_ALL_VERSIONS},
    {"dateTo", OPEN_TO("j.date_to"), "bigint", UDM_ALL_VERSIONS},
    {"description", "coalesce(j.description, '')", "text", UDM_ALL_VERSIONS},
    {"progress", UDM_JOB_PROGRESS, "integer", UDM_ALL_VERSIONS},
    {"parentId", "0::bigint", "bigint", UDM_ALL_VERSIONS},
    {"statusReason", "coalesce(" UDM_JOB_REASON ", '')", "text", UDM_ALL_VERSIONS},
    {"exportAttachments", "j.export_attachments", "boolean", UDM_V10},
    {NULL, NULL, NULL, 0}};

static const udm_filter_spec_t run_filters[] = {
    {"jobId", UDM_FILTER_ID, "r.job_id", UDM_V10},
    {"type", UDM_FILTER_CONTAINS, "r.type", UDM_ALL_VERSIONS},
    {"fileName", UDM_FILTER_CONTAINS, "coalesce(r.file_name, '')", UDM_ALL_VERSIONS},
    {"status", UDM_FILTER_STATUS, "r.status", UDM_ALL_VERSIONS},
    {"title", UDM_FILTER_CONTAINS, "r.title", UDM_ALL_VERSIONS},
    {"source", UDM_FILTER_CONTAINS, "r.source", UDM_V10},
    {NULL, UDM_FILTER_CONTAINS, NULL, 0}};

static const udm_order_spec_t run_orders[] = {
    {"id", "r.id", "bigint", UDM_ALL_VERSIONS},
    {"type", "r.type", "text", UDM_ALL_VERSIONS},
    {"source", "r.source", "text", UDM_ALL_VERSIONS},
    {"title", "r.title", "text", UDM_ALL_VERSIONS},
    {"fileSplitSize", "coalesce(r.file_split_bytes, 0)", "bigint", UDM_ALL_VERSIONS},
    {"fileName", "coalesce(r.file_name, '')", "text", UDM_ALL_VERSIONS},
    {"fileSize", "coalesce(r.file_size, 0)", "bigint", UDM_ALL_VERSIONS},
    {"status", "r.status", "text", UDM_ALL_VERSIONS},
    {"createdDate", "r.created_at", "timestamptz", UDM_ALL_VERSIONS},
    {"dateFrom", OPEN_FROM("r.window_from"), "bigint", UDM_ALL_VERSIONS},
    {"dateTo", OPEN_TO("r.window_to"), "bigint", UDM_ALL_VERSIONS},
    {"description", "coalesce(r.description, '')", "text", UDM_ALL_VERSIONS},
    {"progress", UDM_RUN_PROGRESS, "integer", UDM_ALL_VERSIONS},
    {"parentId", "r.job_id", "bigint", UDM_ALL_VERSIONS},
    {"statusReason",
     "coalesce(CASE WHEN r.status IN ('FAILED', 'CANCELLED') THEN r.status_reason END, '')", "text",
     UDM_ALL_VERSIONS},
    {"exportAttachments", "r.export_attachments", "boolean", UDM_V10},
    {NULL, NULL, NULL, 0}};

static const udm_filter_spec_t file_filters[] = {
    {"historyId", UDM_FILTER_ID, "f.run_id", UDM_V10},
    {"jobTitle", UDM_FILTER_CONTAINS, "f.job_title", UDM_ALL_VERSIONS},
    {"name", UDM_FILTER_CONTAINS, "f.name", UDM_ALL_VERSIONS},
    {"type", UDM_FILTER_CONTAINS, "f.type", UDM_ALL_VERSIONS},
    {"source", UDM_FILTER_CONTAINS, "f.source", UDM_V10},
    {"endDate", UDM_FILTER_TO, "f.created_at", UDM_ALL_VERSIONS},
    {"startDate", UDM_FILTER_FROM, "f.created_at", UDM_ALL_VERSIONS},
    {NULL, UDM_FILTER_CONTAINS, NULL, 0}};

/* Remaining days sort like the expiry, which does not change from one batch to the next. */
static const udm_order_spec_t file_orders[] = {
    {"id", "f.id", "bigint", UDM_ALL_VERSIONS},
    {"name", "f.name", "text", UDM_ALL_VERSIONS},
    {"size", "f.size", "bigint", UDM_ALL_VERSIONS},
    {"type", "f.type", "text", UDM_ALL_VERSIONS},
    {"source", "f.source", "text", UDM_ALL_VERSIONS},
    {"jobTitle", "f.job_title", "text", UDM_ALL_VERSIONS},
    {"jobId", "f.job_id", "bigint", UDM_ALL_VERSIONS},
    {"historyId", "f.run_id", "bigint", UDM_ALL_VERSIONS},
    {"createdDate", "f.created_at", "timestamptz", UDM_ALL_VERSIONS},
    {"expirationDate", "f.expires_at", "timestamptz", UDM_ALL_VERSIONS},
    {"remainingDays", "f.expires_at", "timestamptz", UDM_ALL_VERSIONS},
    {"sha256", "f.sha256", "text", UDM_ALL_VERSIONS},
    {NULL, NULL, NULL, 0}};

static const udm_listing_spec_t job_listing = {job_filters, job_orders};
static const udm_listing_spec_t run_listing = {run_filters, run_orders};
static const udm_listing_spec_t file_listing = {file_filters, file_orders};

const udm_listing_spec_t *udm_job_listing(void)
{
    return &job_listing;
}

const udm_listing_spec_t *udm_run_listing(void)
{
    return &run_listing;
}

const udm_listing_spec_t *udm_file_listing(void)
{
    return &file_listing;
}

/* What differs between the three lists. */
typedef struct list_table_t {
    const char *columns;
    int column_count;
    const char *tables;
    const char *id;
    const char *where; /* $1 the tenant, $2 and $3 the rights */
} list_table_t;

static const list_table_t list_tables[] = {
    [UDM_LIST_JOBS] = {UDM_JOB_COLUMNS, UDM_JOB_COLUMN_COUNT, UDM_JOB_TABLES, "j.id",
                       "j.ccid = $1 AND " UDM_ROW_VISIBLE("j", "$2", "$3")},
    [UDM_LIST_RUNS] = {UDM_RUN_COLUMNS, UDM_JOB_COLUMN_COUNT, UDM_RUN_TABLES, "r.id",
                       "r.ccid = $1 AND " UDM_ROW_VISIBLE("r", "$2", "$3")},
    [UDM_LIST_FILES] = {UDM_FILE_COLUMNS, UDM_FILE_COLUMN_COUNT, "udm.file f", "f.id",
                        "f.ccid = $1 AND f.removed_at IS NULL"
                        " AND " UDM_ROW_VISIBLE("f", "$2", "$3")},
};

/* Parameters of every statement of a list; the filters' values come behind them. */
enum {
    VALUE_CCID,
    VALUE_SOURCES,
    VALUE_TYPES,
    VALUE_HIGHEST, /* NULL while counting */
    VALUE_KEY,     /* of the last row that was read; NULL before the first */
    VALUE_KEY_ID,
    VALUE_FILTERS
};

struct udm_list_t {
    udm_list_kind kind;
    apr_int64_t from;
    apr_int64_t left;  /* how many rows may still come */
    apr_int64_t batch; /* rows of the next batch */
    bool indexed;      /* an index gives the order */
    bool started;
    const char *from_where; /* SQL from FROM on, the same for counting and reading */
    const char *order_by;
    const char *key; /* SQL of the order field as it travels */
    apr_array_header_t *values;
    apr_pool_t *key_pool; /* of the last key alone, so that a long list needs no more */
};

/* One filter as SQL, its value as parameter `number`. */
static const char *filter_sql(apr_pool_t *p, const udm_filter_spec_t *spec, int number)
{
    switch (spec->kind) {
    case UDM_FILTER_CONTAINS:
        return apr_psprintf(p, " AND strpos(lower(%s), lower($%d::text)) > 0", spec->expression,
                            number);
    case UDM_FILTER_STATUS:
    case UDM_FILTER_SCHEDULE:
        return apr_psprintf(p, " AND %s = $%d::text", spec->expression, number);
    case UDM_FILTER_ID:
        return apr_psprintf(p, " AND %s = $%d::bigint", spec->expression, number);
    case UDM_FILTER_BOOLEAN:
        return apr_psprintf(p, " AND %s = $%d::boolean", spec->expression, number);
    case UDM_FILTER_FROM:
        return apr_psprintf(p, " AND %s >= $%d::timestamptz", spec->expression, number);
    case UDM_FILTER_TO:
        return apr_psprintf(p, " AND %s < $%d::timestamptz", spec->expression, number);
    }
    return " AND false";
}

/*
 * Builds the SQL of a list. The conditions on NULL parameters cost nothing: these statements are
 * planned with their values. Instants travel as microseconds, so that no setting of a session can
 * change them on the way.
 */
static void build(apr_pool_t *p, udm_list_t *list, const udm_listing_t *listing)
{
    const list_table_t *table = &list_tables[list->kind];
    const udm_order_spec_t *order = listing->order;
    bool instant = strcmp(order->sql_type, "timestamptz") == 0;
    const char *direction = listing->descending ? " DESC" : "";
    const char *from_where;
    int i;

    from_where = apr_pstrcat(
        p, " FROM ", table->tables, " WHERE ", table->where, " AND ($4::bigint IS NULL OR ",
        table->id, " <= $4)", " AND ($6::bigint IS NULL OR (", order->expression, ", ", table->id,
        listing->descending ? ") < (" : ") > (",
        instant ? UDM_DB_TIME_IN("$5") : "$5::", instant ? "" : order->sql_type, ", $6))", NULL);
    for (i = 0; i < listing->filters->nelts; i++) {
        const udm_filter_t *filter = &APR_ARRAY_IDX(listing->filters, i, udm_filter_t);

        from_where =
            apr_pstrcat(p, from_where, filter_sql(p, filter->spec, VALUE_FILTERS + i + 1), NULL);
        APR_ARRAY_PUSH(list->values, const char *) = apr_pstrdup(p, filter->value);
    }
    list->from_where = from_where;
    list->order_by = apr_pstrcat(p, " ORDER BY ", order->expression, direction, ", ", table->id,
                                 direction, NULL);
    list->key = instant ? apr_pstrcat(p, TIME_BEFORE, order->expression, TIME_AFTER, NULL)
                        : order->expression;
}

udm_error_t *udm_list_open(udm_list_t **list, apr_int64_t *count, apr_pool_t *p, udm_db_t *db,
                           udm_list_kind kind, const udm_listing_t *listing,
                           const udm_principal_t *who)
{
    udm_list_t *made = apr_pcalloc(p, sizeof(*made));
    const char **values;
    udm_result_t *row;
    udm_error_t *error;

    *list = NULL;
    made->kind = kind;
    made->from = listing->from;
    made->left = listing->size;
    made->batch = BATCH_ROWS;
    made->indexed = strcmp(listing->order->field, "createdDate") == 0 ||
                    strcmp(listing->order->field, "id") == 0;
    made->values = apr_array_make(p, VALUE_FILTERS + 8, sizeof(const char *));
    made->values->nelts = VALUE_FILTERS;
    values = (const char **)made->values->elts;
    values[VALUE_CCID] = apr_pstrdup(p, who->ccid);
    udm_row_rights(&values[VALUE_SOURCES], &values[VALUE_TYPES], p, who, false);
    build(p, made, listing);

    error = udm_db_query_text(
        &row, p, db,
        apr_pstrcat(p, "SELECT count(*), max(", list_tables[kind].id, ")", made->from_where, NULL),
        made->values->nelts, (const char **)made->values->elts);
    if (error) {
        return error;
    }
    *count = udm_result_int(row, 0, 0);
    values = (const char **)made->values->elts;
    values[VALUE_HIGHEST] = udm_result_text(row, 0, 1);
    if (made->from >= *count) {
        made->left = 0;
    }
    apr_pool_create(&made->key_pool, p);
    *list = made;
    return NULL;
}

udm_error_t *udm_list_next(apr_array_header_t **batch, apr_pool_t *p, udm_db_t *db,
                           udm_list_t *list)
{
    const list_table_t *table = &list_tables[list->kind];
    apr_int64_t limit = list->left < list->batch ? list->left : list->batch;
    const char **values = (const char **)list->values->elts;
    udm_result_t *rows;
    udm_error_t *error;
    const char *sql;
    int i;

    *batch = apr_array_make(p, 0, sizeof(void *));
    if (limit == 0) {
        return NULL;
    }
    sql =
        apr_pstrcat(p, "SELECT ", table->columns, ", ", list->key, list->from_where, list->order_by,
                    apr_psprintf(p, " LIMIT %" APR_INT64_T_FMT " OFFSET %" APR_INT64_T_FMT, limit,
                                 list->started ? 0 : list->from),
                    NULL);
    error = udm_db_query_text(&rows, p, db, sql, list->values->nelts, values);
    if (error) {
        return error;
    }
    *batch = apr_array_make(p, rows->rows, sizeof(void *));
    for (i = 0; i < rows->rows; i++) {
        APR_ARRAY_PUSH(*batch, void *) = list->kind == UDM_LIST_FILES
                                             ? (void *)udm_row_file(p, rows, i)
                                             : (void *)udm_row_job(p, rows, i);
    }
    list->started = true;
    if (!list->indexed && list->batch < UDM_LIST_BATCH_MAX) {
        list->batch *= 2;
    }
    list->left = rows->rows < limit ? 0 : list->left - rows->rows;
    if (list->left > 0) {
        apr_pool_clear(list->key_pool);
        values[VALUE_KEY] =
            apr_pstrdup(list->key_pool, udm_result_text(rows, i - 1, table->column_count));
        values[VALUE_KEY_ID] = apr_pstrdup(list->key_pool, udm_result_text(rows, i - 1, 0));
    }
    return NULL;
}
