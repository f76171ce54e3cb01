/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * list.c: the lists of jobs, runs and files: what can be filtered and sorted by, and reading in
 * keyset batches.
 *
 * Each batch starts behind the last row of the one before: WHERE (order, id) > (last order, last
 * id). So a list holds no connection between batches, and by createdDate or id it costs no more at
 * its end than at its start, for it walks an index. Any other order makes each batch sort all that
 * is left, so its batches grow. What a list promises: the count is that of its opening; rows that were not
 * committed then do not appear; a row that is removed meanwhile is not there or was there; sorted by
 * createdDate, id or anything else that does not change, each other row appears exactly once. A row
 * whose order field changes while the list is read (a status, say) may be met twice or missed, and one
 * that a change brings into a filter or out of it may be there or not.
 *
 * A cursor carries this from page to page: the place, the count and the snapshot of the first page.
 * Batches and pages behind the first see what that snapshot sees of the transactions that made the rows
 * (made_in), which no later change of a row touches. An id says nothing: a lower one may be committed
 * later.
 *
 * A client's text reaches SQL as a parameter only; the expressions are those of the tables here.
 */
#include "db/list.h"

#include <errno.h>
#include <string.h>

#include <apr_strings.h>

#include "db/row.h"

/* Rows of a first batch, and of each where an index gives the order. */
#define BATCH_ROWS 1000

/* From which row on a page is looked for from the nearer end of the list. */
#define DEEP 1000

/* Up to how many rights the statements are kept prepared. */
#define PAIRS_PREPARED 16

/* An instant that may be open, as a number that sorts: open beginnings first, open ends last. */
#define OPEN_FROM(x) "coalesce(" UDM_PG_TIME(x) ", '-9223372036854775808'::bigint)"
#define OPEN_TO(x)   "coalesce(" UDM_PG_TIME(x) ", 9223372036854775807)"

/* By as much of a long text as a person looks at, and as a cursor can carry. */
#define LONG_TEXT(x) "left(coalesce(" x ", ''), 200)"

/*
 * SQL: the row was there at the beginning. One that claims a transaction of the future was restored
 * from a dump of another cluster, and was there, too.
 */
#define WAS_THERE(table, snapshot)                                                                 \
    " AND (", table, ".made_in IS NULL OR pg_visible_in_snapshot(", table,                         \
        ".made_in, " snapshot "::pg_snapshot) OR ", table,                                         \
        ".made_in >= pg_snapshot_xmax(pg_current_snapshot()))"

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
    {"description", LONG_TEXT("j.description"), "text", UDM_ALL_VERSIONS},
    {"progress", UDM_JOB_PROGRESS, "integer", UDM_ALL_VERSIONS},
    {"parentId", "0::bigint", "bigint", UDM_ALL_VERSIONS},
    {"statusReason", LONG_TEXT(UDM_JOB_REASON), "text", UDM_ALL_VERSIONS},
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
    {"description", LONG_TEXT("r.description"), "text", UDM_ALL_VERSIONS},
    {"progress", UDM_RUN_PROGRESS, "integer", UDM_ALL_VERSIONS},
    {"parentId", "r.job_id", "bigint", UDM_ALL_VERSIONS},
    {"statusReason", LONG_TEXT(UDM_RUN_REASON), "text", UDM_ALL_VERSIONS},
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
    const char *table;    /* the one that says which rows there are */
    const char *relation; /* the same, as FROM has it */
    const char *where;    /* $1 the tenant; the rights come behind it */
    const char *counted;  /* what says how many rows there are, of which it knows no more than ccid,
                             source and type; NULL: nothing does */
} list_table_t;

static const list_table_t list_tables[] = {
    [UDM_LIST_JOBS] = {UDM_JOB_COLUMNS, UDM_JOB_COLUMN_COUNT, UDM_JOB_TABLES, "j", "udm.job j",
                       "j.ccid = $1", NULL},
    [UDM_LIST_RUNS] = {UDM_RUN_COLUMNS, UDM_JOB_COLUMN_COUNT, UDM_RUN_TABLES, "r", "udm.run r",
                       "r.ccid = $1", "udm.run_count c WHERE c.ccid = $1"},
    [UDM_LIST_FILES] = {UDM_FILE_COLUMNS, UDM_FILE_COLUMN_COUNT, "udm.file f", "f", "udm.file f",
                        "f.ccid = $1 AND f.removed_at IS NULL", NULL},
};

/* Parameters of a statement that opens a list; the filters' values come behind them. */
enum { OPEN_CCID, OPEN_SOURCES, OPEN_TYPES, OPEN_LIMIT, OPEN_OFFSET, OPEN_FILTERS };

/* Parameters of a statement that goes on with one. */
enum { NEXT_CCID, NEXT_SOURCES, NEXT_TYPES, NEXT_SNAPSHOT, NEXT_KEY, NEXT_KEY_ID, NEXT_FILTERS };

struct udm_list_t {
    udm_list_kind kind;
    apr_int64_t left;     /* how many rows may still come */
    apr_int64_t batch;    /* rows of the next batch */
    bool indexed;         /* an index gives the order */
    bool peeks;           /* a cursor was asked for: the last batch looks one row further */
    bool more;            /* there is such a row */
    udm_cursor_t cursor;  /* its key and id are those of the last row read */
    udm_result_t *first;  /* the first batch, until it is asked for */
    const char *next_sql; /* without LIMIT */
    const char **values;  /* of next_sql */
    int count;
    apr_pool_t *key_pool; /* of the last key alone, so that a long list needs no more */
};

/* The pieces that the statements of one list are made of. */
typedef struct sql_t {
    const list_table_t *table;
    const char *id;
    const char *rights;
    const char *key; /* the order field as it travels */
    const char *order;
    const char *reversed;
} sql_t;

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

/* All filters, the value of the first one as the parameter behind `before` others. */
static const char *filters_sql(apr_pool_t *p, const udm_listing_t *listing, int before)
{
    const char *sql = "";
    int i;

    for (i = 0; i < listing->filters->nelts; i++) {
        const udm_filter_t *filter = &APR_ARRAY_IDX(listing->filters, i, udm_filter_t);

        sql = apr_pstrcat(p, sql, filter_sql(p, filter->spec, before + i + 1), NULL);
    }
    return sql;
}

/*
 * The rights as a condition on each row by itself. A join with the pairs would say the same, but
 * would cost the order that an index gives.
 */
static const char *rights_sql(apr_pool_t *p, const char *table, int pairs)
{
    const char *sql = " AND (";
    int i;

    if (pairs == 0) {
        /* nothing: but the parameters must be of some type */
        return " AND ($2::text[] IS NULL AND $3::text[] IS NULL)";
    }
    for (i = 1; i <= pairs; i++) {
        sql = apr_psprintf(p, "%s%s(%s.source = ($2::text[])[%d] AND %s.type = ($3::text[])[%d])",
                           sql, i > 1 ? " OR " : "", table, i, table, i);
    }
    return apr_pstrcat(p, sql, ")", NULL);
}

/*
 * The statement that opens a list: the first rows, and in each of them the count and the snapshot that
 * sees them, so that all of it is of one moment. There is a row of NULLs when the page has none. `limit`
 * is as large as the first batch or larger; it stands in the text to tell the planner how few rows
 * are meant, whatever the parameters of a prepared statement will be.
 */
static const char *open_sql(apr_pool_t *p, const sql_t *sql, const char *count, const char *filters,
                            const char *limit)
{
    const list_table_t *table = sql->table;

    return apr_pstrcat(
        p, "SELECT page.*, total.* FROM (SELECT (", count,
        "), pg_current_snapshot()::text) total LEFT JOIN LATERAL (SELECT * FROM (SELECT ",
        table->columns, ", ", sql->key, " FROM ", table->tables, " WHERE ", table->where,
        sql->rights, filters, sql->order, limit,
        ") few LIMIT $4::bigint OFFSET $5::bigint)"
        " page ON true",
        NULL);
}

/*
 * The same for a page that lies deep: its ids are found first, from the end that is nearer. Only
 * one of the two halves is run: the condition on the total is decided before any row is read.
 */
static const char *open_deep_sql(apr_pool_t *p, const sql_t *sql, const char *count,
                                 const char *filters, const char *limit)
{
    const list_table_t *table = sql->table;
    const char *rows = apr_pstrcat(p, "(SELECT ", sql->id, " FROM ", table->relation, " WHERE ",
                                   table->where, sql->rights, filters, NULL);

    return apr_pstrcat(
        p, "WITH total AS MATERIALIZED (SELECT (", count,
        ") AS n, pg_current_snapshot()::text AS snapshot), page AS MATERIALIZED (SELECT id FROM (",
        rows, " AND (SELECT n - $5::bigint >= $5::bigint FROM total)", sql->order,
        " LIMIT $4::bigint OFFSET $5::bigint) UNION ALL ", rows,
        " AND (SELECT n - $5::bigint < $5::bigint AND n > $5::bigint FROM total)", sql->reversed,
        " LIMIT (SELECT greatest(least($4::bigint, n - $5::bigint), 0) FROM total)"
        " OFFSET (SELECT greatest(greatest(n - $5::bigint, 0) - $4::bigint, 0) FROM total))) ids",
        limit, ") SELECT ", table->columns, ", ", sql->key,
        ", total.n, total.snapshot FROM total LEFT JOIN (page JOIN ", table->tables, " ON ",
        sql->id, " = page.id) ON true", sql->order, NULL);
}

/*
 * The statement of all batches but the first, but for its LIMIT. Instants travel as microseconds, so that
 * no setting of a session can change them on the way.
 */
static const char *next_sql(apr_pool_t *p, const sql_t *sql, const udm_listing_t *listing,
                            bool instant)
{
    const list_table_t *table = sql->table;
    const udm_order_spec_t *order = listing->order;

    return apr_pstrcat(p, "SELECT ", table->columns, ", ", sql->key, " FROM ", table->tables,
                       " WHERE ", table->where, sql->rights, WAS_THERE(table->table, "$4"),
                       " AND (", order->expression, ", ", sql->id,
                       listing->descending ? ") < (" : ") > (",
                       instant ? UDM_PG_TIME_IN("$5") : "$5::", instant ? "" : order->sql_type,
                       ", $6::bigint)", filters_sql(p, listing, NEXT_FILTERS), sql->order, NULL);
}

/* What of a list never changes, for its statements. */
static void pieces(sql_t *sql, apr_pool_t *p, const list_table_t *table,
                   const udm_listing_t *listing, int pairs, bool instant)
{
    const char *order = listing->order->expression;
    const char *up = listing->descending ? " DESC" : "";
    const char *down = listing->descending ? "" : " DESC";

    sql->table = table;
    sql->id = apr_pstrcat(p, table->table, ".id", NULL);
    sql->rights = rights_sql(p, table->table, pairs);
    sql->key = instant ? udm_pg_time_of(p, order) : order;
    sql->order = apr_pstrcat(p, " ORDER BY ", order, up, ", ", sql->id, up, NULL);
    sql->reversed = apr_pstrcat(p, " ORDER BY ", order, down, ", ", sql->id, down, NULL);
}

/* The values that every statement of a list begins with, and those of the filters. */
static const char **list_values(apr_pool_t *p, const udm_listing_t *listing,
                                const udm_principal_t *who, int before)
{
    const char **values = apr_pcalloc(p, sizeof(*values) * (before + listing->filters->nelts));
    int i;

    values[OPEN_CCID] = apr_pstrdup(p, who->ccid);
    udm_row_rights(&values[OPEN_SOURCES], &values[OPEN_TYPES], p, who, false);
    for (i = 0; i < listing->filters->nelts; i++) {
        values[before + i] = apr_pstrdup(p, APR_ARRAY_IDX(listing->filters, i, udm_filter_t).value);
    }
    return values;
}

/* How many (source, type) pairs the principal may read. */
static int readable(const udm_principal_t *who)
{
    int pairs = 0, i;

    for (i = 0; i < who->rights->nelts; i++) {
        pairs += APR_ARRAY_IDX(who->rights, i, udm_right_t).read;
    }
    return pairs;
}

/* How many rows the next batch is to read: with one that is only looked at, if it is the last. */
static apr_int64_t batch_limit(const udm_list_t *list)
{
    apr_int64_t limit = list->left < list->batch ? list->left : list->batch;

    return limit + (list->peeks && limit == list->left);
}

/*
 * Reads the count and the first batch. What lists are mostly asked for, all rows in an order that
 * an index gives, is kept prepared: a few statements for each number of rights.
 */
static udm_error_t *open_list(udm_result_t **rows, apr_pool_t *p, udm_pg_t *db,
                              const udm_list_t *list, const sql_t *sql,
                              const udm_listing_t *listing, const udm_principal_t *who, int pairs)
{
    static const int limits[] = {64, 256, 1024, 4096};
    apr_int64_t limit = batch_limit(list);
    bool deep = list->indexed && listing->from >= DEEP;
    apr_int64_t reach = limit + (deep || listing->from > DEEP ? 0 : listing->from);
    const char *filters = filters_sql(p, listing, OPEN_FILTERS);
    const char **values = list_values(p, listing, who, OPEN_FILTERS);
    const char *few = "", *count, *text;
    udm_statement_t statement;
    int count_values = OPEN_FILTERS + listing->filters->nelts;
    int size = 0;

    values[OPEN_LIMIT] = udm_pg_int(p, limit);
    values[OPEN_OFFSET] = udm_pg_int(p, listing->from);
    while (size < 4 && (limits[size] < reach || (!deep && listing->from > DEEP))) {
        size++;
    }
    if (size < 4) {
        few = apr_psprintf(p, " LIMIT %d", limits[size]);
    }
    count = sql->table->counted && listing->filters->nelts == 0
                ? apr_pstrcat(p, "SELECT coalesce(sum(c.rows), 0)::bigint FROM ",
                              sql->table->counted, rights_sql(p, "c", pairs), NULL)
                : apr_pstrcat(p, "SELECT count(*) FROM ", sql->table->relation, " WHERE ",
                              sql->table->where, sql->rights, filters, NULL);
    text = (deep ? open_deep_sql : open_sql)(p, sql, count, filters, few);
    if (!list->indexed || listing->filters->nelts > 0 || size == 4 || pairs > PAIRS_PREPARED) {
        return udm_pg_query_text(rows, p, db, text, count_values, values);
    }
    statement.sql = text;
    statement.name = apr_psprintf(p, "udm_list_%d_%s_%s_%s%d_%d", (int)list->kind,
                                  strcmp(listing->order->field, "id") == 0 ? "id" : "created",
                                  listing->descending ? "desc" : "asc", deep ? "deep_" : "",
                                  limits[size], pairs);
    return udm_pg_query(rows, p, db, &statement, count_values, values);
}

/* What a key can be that PostgreSQL reads as the type that a list is sorted by. */
static const struct {
    const char *sql_type;
    apr_int64_t least, most;
} key_ranges[] = {{"integer", APR_INT32_MIN, APR_INT32_MAX},
                  {"bigint", APR_INT64_MIN, APR_INT64_MAX},
                  /* microseconds since 1970: the years 1 to 9999 */
                  {"timestamptz", -62135596800000000, 253402300799999999}};

/* A cursor comes from a client: what is no place in the list is its mistake, and not the server's. */
static udm_error_t *check_key(apr_pool_t *p, const udm_order_spec_t *order, const char *key)
{
    bool good =
        strcmp(order->sql_type, "boolean") != 0 || strcmp(key, "t") == 0 || strcmp(key, "f") == 0;
    apr_size_t i;

    for (i = 0; i < sizeof(key_ranges) / sizeof(key_ranges[0]); i++) {
        if (strcmp(order->sql_type, key_ranges[i].sql_type) == 0) {
            char *end;
            apr_int64_t value;

            errno = 0;
            value = apr_strtoi64(key, &end, 10);
            good = errno == 0 && end > key && !*end && value >= key_ranges[i].least &&
                   value <= key_ranges[i].most;
        }
    }
    return good ? NULL
                : udm_error_make(p, UDM_E_INVALID,
                                 "the parameter after does not name a place in this list");
}

udm_error_t *udm_list_open(udm_list_t **list, apr_int64_t *count, apr_pool_t *p, udm_pg_t *db,
                           udm_list_kind kind, const udm_listing_t *listing,
                           const udm_principal_t *who)
{
    const list_table_t *table = &list_tables[kind];
    bool instant = strcmp(listing->order->sql_type, "timestamptz") == 0;
    udm_list_t *made = apr_pcalloc(p, sizeof(*made));
    int pairs = readable(who);
    udm_result_t *rows;
    udm_error_t *error;
    sql_t sql;

    *list = NULL;
    made->kind = kind;
    made->left = listing->size;
    made->batch = BATCH_ROWS;
    made->peeks = listing->cursor;
    made->indexed = strcmp(listing->order->field, "createdDate") == 0 ||
                    strcmp(listing->order->field, "id") == 0;
    pieces(&sql, p, table, listing, pairs, instant);
    if (listing->after) {
        made->cursor = *listing->after;
        error = check_key(p, listing->order, made->cursor.key);
    }
    else {
        error = open_list(&rows, p, db, made, &sql, listing, who, pairs);
    }
    if (error) {
        return error;
    }
    if (!listing->after) {
        made->first = rows;
        made->cursor.count = udm_result_int(rows, 0, table->column_count + 1);
        made->cursor.snapshot = udm_result_text(rows, 0, table->column_count + 2);
        made->cursor.list = listing->print;
    }
    *count = made->cursor.count;
    made->next_sql = next_sql(p, &sql, listing, instant);
    made->values = list_values(p, listing, who, NEXT_FILTERS);
    made->values[NEXT_SNAPSHOT] = made->cursor.snapshot;
    made->values[NEXT_KEY] = made->cursor.key;
    made->values[NEXT_KEY_ID] = udm_pg_int(p, made->cursor.id);
    made->count = NEXT_FILTERS + listing->filters->nelts;
    apr_pool_create(&made->key_pool, p);
    *list = made;
    return NULL;
}

/* Takes the first batch, which is there already, or reads one. */
static udm_error_t *read_batch(udm_result_t **rows, apr_pool_t *p, udm_pg_t *db, udm_list_t *list,
                               apr_int64_t limit)
{
    const char *sql;

    if (list->first) {
        *rows = list->first;
        list->first = NULL;
        if (!udm_result_text(*rows, 0, 0)) {
            (*rows)->rows = 0;
        }
        return NULL;
    }
    sql = apr_psprintf(p, "%s LIMIT %" APR_INT64_T_FMT, list->next_sql, limit);
    return udm_pg_query_text(rows, p, db, sql, list->count, list->values);
}

udm_error_t *udm_list_next(apr_array_header_t **batch, apr_pool_t *p, udm_pg_t *db,
                           udm_list_t *list)
{
    apr_int64_t limit = list->left < list->batch ? list->left : list->batch;
    udm_result_t *rows;
    udm_error_t *error;
    int i;

    *batch = apr_array_make(p, 0, sizeof(void *));
    if (limit == 0) {
        return NULL;
    }
    error = read_batch(&rows, p, db, list, batch_limit(list));
    if (error) {
        return error;
    }
    if (rows->rows > limit) {
        rows->rows = (int)limit;
        list->more = true;
    }
    *batch = apr_array_make(p, rows->rows, sizeof(void *));
    for (i = 0; i < rows->rows; i++) {
        APR_ARRAY_PUSH(*batch, void *) = list->kind == UDM_LIST_FILES
                                             ? (void *)udm_row_file(p, rows, i)
                                             : (void *)udm_row_job(p, rows, i);
    }
    if (!list->indexed && list->batch < UDM_LIST_BATCH_MAX) {
        list->batch *= 2;
    }
    list->left = rows->rows < limit ? 0 : list->left - rows->rows;
    if (list->left > 0 || list->more) {
        apr_pool_clear(list->key_pool);
        list->values[NEXT_KEY] = apr_pstrdup(
            list->key_pool, udm_result_text(rows, i - 1, list_tables[list->kind].column_count));
        list->values[NEXT_KEY_ID] = apr_pstrdup(list->key_pool, udm_result_text(rows, i - 1, 0));
        list->cursor.id = udm_result_int(rows, i - 1, 0);
    }
    return NULL;
}

const char *udm_list_cursor(apr_pool_t *p, const udm_list_t *list)
{
    udm_cursor_t cursor = list->cursor;

    cursor.key = list->values[NEXT_KEY];
    return list->more ? udm_cursor_text(p, &cursor) : NULL;
}
