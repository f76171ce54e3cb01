/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * source.c: reads a data type from the database that holds it, as the reader of that source.
 *
 * Everything runs in one REPEATABLE READ transaction that is opened here and never committed. While
 * rows come in, the thread waits on the socket and on a pipe, so that udm_source_cancel ends the wait
 * without blocking whoever calls it.
 */
#include "db/source.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>
#include <jansson.h>

#include "core/text.h"

#define CONNECTION_FILE_MAX 16384

/* A dead peer is noticed within a minute or so; the connection file may say otherwise. */
#define NETWORK_DEFAULTS                                                                           \
    "keepalives_idle=30 keepalives_interval=10 keepalives_count=3 tcp_user_timeout=60000 "

/* Types of PostgreSQL that never change their number; see pg_type.dat. */
enum {
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_NAME = 19,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_JSON = 114,
    TYPE_FLOAT4 = 700,
    TYPE_FLOAT8 = 701,
    TYPE_BPCHAR = 1042,
    TYPE_VARCHAR = 1043,
    TYPE_DATE = 1082,
    TYPE_TIMESTAMP = 1114,
    TYPE_TIMESTAMPTZ = 1184,
    TYPE_NUMERIC = 1700,
    TYPE_UUID = 2950,
    TYPE_JSONB = 3802
};

/* What is read in its binary form; everything else as its to_json(). */
static const Oid fast_types[] = {
    TYPE_BOOL, TYPE_BYTEA,     TYPE_NAME,   TYPE_INT8,   TYPE_INT2,    TYPE_INT4,
    TYPE_TEXT, TYPE_JSON,      TYPE_FLOAT4, TYPE_FLOAT8, TYPE_BPCHAR,  TYPE_VARCHAR,
    TYPE_DATE, TYPE_TIMESTAMP, TYPE_UUID,   TYPE_JSONB,  TYPE_NUMERIC, TYPE_TIMESTAMPTZ};

static const char copy_signature[11] = "PGCOPY\n\377\r\n";

/* A column of a relation, its type without domains. */
typedef struct attribute_t {
    const char *name;
    Oid type;
    Oid element;      /* 0 unless an array */
    const char *cast; /* the type as SQL writes it in a cast */
} attribute_t;

typedef struct relation_t {
    const char *shown; /* "schema.name", for reasons */
    const char *sql;   /* quoted */
    apr_array_header_t *attributes;
} relation_t;

struct udm_source_t {
    apr_pool_t *pool;
    const udm_data_type_t *type;
    const udm_run_t *run;
    const char *conninfo;
    udm_db_t *db;
    udm_db_t *slices; /* the second connection; NULL until it is needed */
    PGcancel *cancel;
    int wake[2]; /* a pipe: readable once cancelled */
    atomic_bool cancelled;
    relation_t rows;
    relation_t files;
    apr_array_header_t *columns;
    const char *rows_sql;
    const char *files_sql;
    const char *slice_sql;
    const char *snapshot;
    const char *exported; /* snapshot id for the second connection */
    apr_int64_t estimate;
    const relation_t *reading; /* of the COPY in progress, else NULL */
    bool header_done;
    char *buffer; /* of the last row, from libpq */
};

bool udm_source_permanent(const udm_error_t *error)
{
    return error->kind == UDM_E_SOURCE && error->status == APR_EINVAL;
}

/* An error that no second try will cure. */
static udm_error_t *permanent(udm_error_t *error)
{
    error->status = APR_EINVAL;
    return error;
}

/* ---- the connection file ---- */

static bool is_connection_name(const char *name)
{
    return *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(name);
}

/* Lines become spaces, lines that start with '#' go, so that a long string may be laid out. */
static void join_lines(char *text)
{
    char *in = text;
    char *out = text;
    bool start = true;

    while (*in) {
        if (start && *in == '#') {
            in += strcspn(in, "\n");
            continue;
        }
        start = *in == '\n';
        *out++ = (char)(isspace((unsigned char)*in) ? ' ' : *in);
        in++;
    }
    *out = '\0';
}

static udm_error_t *read_connection(const char **conninfo, apr_pool_t *p, const char *source_dir,
                                    const udm_data_type_t *type)
{
    const char *path = apr_pstrcat(p, source_dir, "/", type->connection, NULL);
    udm_error_t *error = NULL;
    struct stat info;
    apr_size_t size = 0;
    char *text;
    ssize_t got;
    int fd;

    if (!is_connection_name(type->connection)) {
        return permanent(
            udm_error_make(p, UDM_E_SOURCE,
                           "the name of source \"%s\"'s connection file is not made of "
                           "a-z, 0-9, _ and -",
                           type->source));
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        apr_status_t status = fd < 0 ? errno : APR_SUCCESS;

        error = udm_error_status(p, UDM_E_SOURCE, status,
                                 "the connection file \"%s\" of source \"%s\" %s", type->connection,
                                 type->source,
                                 status == ENOENT   ? "does not exist"
                                 : status == EACCES ? "is not readable for the worker"
                                 : status           ? "cannot be opened"
                                                    : "is not a regular file");
        error = permanent(udm_error_detail(p, error, "%s: %s", path,
                                           error->detail ? error->detail : "not a regular file"));
        goto out;
    }
    text = apr_palloc(p, CONNECTION_FILE_MAX + 1);
    while ((got = read(fd, text + size, CONNECTION_FILE_MAX + 1 - size)) > 0) {
        size += (apr_size_t)got;
    }
    if (got < 0 || size > CONNECTION_FILE_MAX) {
        error = permanent(udm_error_make(p, UDM_E_SOURCE,
                                         "the connection file \"%s\" of source \"%s\" cannot be "
                                         "read or is larger than 16 KiB",
                                         type->connection, type->source));
        goto out;
    }
    text[size] = '\0';
    join_lines(text);
    if ((info.st_mode & S_IROTH) && (strstr(text, "password") || strstr(text, "://"))) {
        error = permanent(udm_error_make(p, UDM_E_SOURCE,
                                         "the connection file \"%s\" of source \"%s\" may hold a "
                                         "password and is readable for everybody: take that right "
                                         "away (chmod o-r)",
                                         type->connection, type->source));
        goto out;
    }
    text += strspn(text, " ");
    *conninfo = strncmp(text, "postgres://", 11) == 0 || strncmp(text, "postgresql://", 13) == 0
                    ? text
                    : apr_pstrcat(p, NETWORK_DEFAULTS, text, NULL);

out:
    if (fd >= 0) {
        close(fd);
    }
    return error;
}

/* ---- errors ---- */

/* What a failed statement means, in words that a tenant may read; `rel` is what it read. */
static udm_error_t *source_error(const udm_source_t *s, udm_error_t *error, const char *rel)
{
    apr_pool_t *p = s->pool;
    const char *source = s->type->source;
    const char *state = error->sqlstate;
    bool lasting = false;

    if (atomic_load(&s->cancelled)) {
        return udm_error_make(p, UDM_E_STOPPED, "the export was stopped");
    }
    if (strcmp(state, "42501") == 0) {
        error->reason = apr_psprintf(p, "the reader of source \"%s\" may not read %s", source, rel);
        lasting = true;
    }
    else if (strcmp(state, "42P01") == 0 || strcmp(state, "42703") == 0 ||
             strcmp(state, "3F000") == 0) {
        error->reason = apr_psprintf(p,
                                     "%s of source \"%s\" has changed: it or one of its columns "
                                     "does not exist",
                                     rel, source);
        lasting = true;
    }
    else if (strcmp(state, "57014") == 0 || strcmp(state, "55P03") == 0) {
        error->reason =
            apr_psprintf(p, "the source \"%s\" took too long, or %s is locked", source, rel);
    }
    else if (error->kind == UDM_E_DATABASE || *state == '\0') {
        error->reason = apr_psprintf(p, "the source \"%s\" does not answer", source);
    }
    else {
        error->reason =
            apr_psprintf(p, "%s of source \"%s\" cannot be read (SQLSTATE %s)", rel, source, state);
        /* What is wrong with a statement or a value is wrong the next time, too. */
        lasting = strncmp(state, "42", 2) == 0 || strncmp(state, "22", 2) == 0 ||
                  strncmp(state, "0A", 2) == 0;
    }
    error->kind = UDM_E_SOURCE;
    error->status = lasting ? APR_EINVAL : APR_SUCCESS;
    return error;
}

/* ---- what there is to read ---- */

static udm_error_t *query(udm_result_t **result, udm_source_t *s, const char *rel, const char *sql,
                          int count, const char *const *values)
{
    udm_error_t *error = udm_db_query_text(result, s->pool, s->db, sql, count, values);

    return error ? source_error(s, error, rel) : NULL;
}

/*
 * A superuser, or a role that can use schema udm (also as a member of one that can), could read other
 * tenants' jobs and keys through a view that somebody registers.
 */
static udm_error_t *check_reader(udm_source_t *s)
{
    udm_result_t *result;
    udm_error_t *error;

    error = query(&result, s, "its catalog",
                  "SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), "
                  "EXISTS (SELECT FROM pg_namespace n, pg_roles m WHERE n.nspname = 'udm' "
                  "AND pg_has_role(current_user, m.oid, 'MEMBER') "
                  "AND has_schema_privilege(m.oid, n.oid, 'USAGE, CREATE'))",
                  0, NULL);
    if (error) {
        return error;
    }
    if (udm_result_bool(result, 0, 0)) {
        return permanent(
            udm_error_make(s->pool, UDM_E_SOURCE,
                           "the reader of source \"%s\" is a superuser: give the "
                           "source a role that can read its relations and nothing else",
                           s->type->source));
    }
    if (udm_result_bool(result, 0, 1)) {
        return permanent(udm_error_make(s->pool, UDM_E_SOURCE,
                                        "the reader of source \"%s\" can use schema udm: revoke it",
                                        s->type->source));
    }
    return NULL;
}

static const attribute_t *find_attribute(const relation_t *relation, const char *name)
{
    int i;

    for (i = 0; i < relation->attributes->nelts; i++) {
        const attribute_t *a = &APR_ARRAY_IDX(relation->attributes, i, attribute_t);

        if (strcmp(a->name, name) == 0) {
            return a;
        }
    }
    return NULL;
}

/* The columns of a relation, with domains followed down to the type below them. */
static udm_error_t *load_relation(relation_t *relation, udm_source_t *s, const char *schema,
                                  const char *name)
{
    const char *values[] = {schema, name};
    apr_pool_t *p = s->pool;
    udm_result_t *result;
    udm_error_t *error;
    int i;

    relation->shown = apr_pstrcat(p, schema, ".", name, NULL);
    relation->sql =
        apr_pstrcat(p, udm_db_identifier(p, schema), ".", udm_db_identifier(p, name), NULL);
    error = query(&result, s, relation->shown,
                  "WITH RECURSIVE base AS ("
                  " SELECT a.attnum, a.attname, a.atttypid AS typid"
                  "   FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
                  "   JOIN pg_namespace n ON n.oid = c.relnamespace"
                  "  WHERE n.nspname = $1::text AND c.relname = $2::text"
                  "    AND a.attnum > 0 AND NOT a.attisdropped"
                  " UNION ALL"
                  " SELECT b.attnum, b.attname, t.typbasetype"
                  "   FROM base b JOIN pg_type t ON t.oid = b.typid WHERE t.typtype = 'd')"
                  "SELECT b.attname, b.typid::bigint,"
                  "       CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END::bigint,"
                  "       format_type(b.typid, -1)"
                  "  FROM base b JOIN pg_type t ON t.oid = b.typid"
                  " WHERE t.typtype <> 'd' ORDER BY b.attnum",
                  2, values);
    if (error) {
        return error;
    }
    if (result->rows == 0) {
        return permanent(udm_error_make(p, UDM_E_SOURCE, "there is no relation %s in source \"%s\"",
                                        relation->shown, s->type->source));
    }
    relation->attributes = apr_array_make(p, result->rows, sizeof(attribute_t));
    for (i = 0; i < result->rows; i++) {
        attribute_t *a = apr_array_push(relation->attributes);

        a->name = udm_result_text(result, i, 0);
        a->type = (Oid)udm_result_int(result, i, 1);
        a->element = (Oid)udm_result_int(result, i, 2);
        a->cast = udm_result_text(result, i, 3);
    }
    return NULL;
}

static bool is_fast(Oid type)
{
    apr_size_t i;

    for (i = 0; i < sizeof(fast_types) / sizeof(fast_types[0]); i++) {
        if (fast_types[i] == type) {
            return true;
        }
    }
    return false;
}

/* Adds a column to the output and its expression to the select list. */
static void add_column(udm_source_t *s, apr_array_header_t *expressions, const attribute_t *a)
{
    udm_column_t *column = apr_array_push(s->columns);
    const char *sql = apr_pstrcat(s->pool, "r.", udm_db_identifier(s->pool, a->name), NULL);

    column->name = a->name;
    column->type = a->type;
    if (is_fast(a->type)) {
        column->json = a->type == TYPE_JSON || a->type == TYPE_JSONB;
    }
    else if (is_fast(a->element)) {
        column->element = a->element;
    }
    else {
        column->type = TYPE_TEXT;
        column->json = true;
        sql = apr_pstrcat(s->pool, "to_json(", sql, ")::text", NULL);
    }
    APR_ARRAY_PUSH(expressions, const char *) = sql;
}

static udm_error_t *no_column(udm_source_t *s, const relation_t *relation, const char *name)
{
    return permanent(udm_error_make(s->pool, UDM_E_SOURCE,
                                    "%s of source \"%s\" has no column \"%s\"", relation->shown,
                                    s->type->source, name));
}

/* ---- the statements ---- */

/* "alias"."name", after making sure that the column is there. `name` may be NULL: then no column. */
static udm_error_t *column_sql(const char **sql, const attribute_t **attribute, udm_source_t *s,
                               const relation_t *relation, const char *alias, const char *name)
{
    const attribute_t *a = name ? find_attribute(relation, name) : NULL;

    *sql = NULL;
    *attribute = a;
    if (name && !a) {
        return no_column(s, relation, name);
    }
    if (a) {
        *sql = apr_pstrcat(s->pool, alias, ".", udm_db_identifier(s->pool, name), NULL);
    }
    return NULL;
}

static void add_condition(apr_array_header_t *conditions, const char *condition)
{
    APR_ARRAY_PUSH(conditions, const char *) = condition;
}

static const char *joined(apr_pool_t *p, const apr_array_header_t *conditions, const char *with)
{
    const char *text = "";
    int i;

    for (i = 0; i < conditions->nelts; i++) {
        text =
            apr_pstrcat(p, text, i ? with : "", APR_ARRAY_IDX(conditions, i, const char *), NULL);
    }
    return text;
}

/*
 * The conditions of the main rows: tenant, window, media. The setting is cast to the column's type,
 * not the column to text, so that an index of the relation can be used.
 */
static udm_error_t *row_conditions(apr_array_header_t *conditions, udm_source_t *s)
{
    const udm_data_type_t *type = s->type;
    const attribute_t *a;
    apr_pool_t *p = s->pool;
    udm_error_t *error;
    const char *sql;

    error = column_sql(&sql, &a, s, &s->rows, "r", type->tenant_column);
    if (error) {
        return error;
    }
    if (sql) {
        add_condition(conditions,
                      apr_psprintf(p, "%s = current_setting('udm.ccid')::%s", sql, a->cast));
    }
    error = column_sql(&sql, &a, s, &s->rows, "r", type->time_column);
    if (error) {
        return error;
    }
    if (!s->run->window_all) {
        if (!sql) {
            return permanent(udm_error_make(p, UDM_E_SOURCE,
                                            "type \"%s\" of source \"%s\" has no time column, so "
                                            "it cannot be exported by time frame",
                                            type->name, type->source));
        }
        if (s->run->window_from != UDM_NO_TIME) {
            add_condition(
                conditions,
                apr_pstrcat(p, sql, " >= current_setting('udm.from')::timestamptz", NULL));
        }
        if (s->run->window_to != UDM_NO_TIME) {
            add_condition(conditions,
                          apr_pstrcat(p, sql, " < current_setting('udm.to')::timestamptz", NULL));
        }
    }
    error = column_sql(&sql, &a, s, &s->rows, "r", type->media_column);
    if (error) {
        return error;
    }
    if (s->run->media->nelts > 0) {
        if (!sql) {
            return permanent(udm_error_make(p, UDM_E_SOURCE,
                                            "type \"%s\" of source \"%s\" has no media column",
                                            type->name, type->source));
        }
        add_condition(conditions, apr_psprintf(p, "%s = ANY (current_setting('udm.media')::%s[])",
                                               sql, a->cast));
    }
    return NULL;
}

static const char *where(apr_pool_t *p, const apr_array_header_t *conditions)
{
    return conditions->nelts ? apr_pstrcat(p, " WHERE ", joined(p, conditions, " AND "), NULL) : "";
}

/* The select list of the rows, and the columns that come of it. */
static udm_error_t *make_rows_sql(udm_source_t *s)
{
    const udm_data_type_t *type = s->type;
    apr_array_header_t *conditions = apr_array_make(s->pool, 4, sizeof(const char *));
    apr_array_header_t *list = apr_array_make(s->pool, 32, sizeof(const char *));
    const attribute_t *a;
    udm_error_t *error;
    const char *sql;
    int i;

    s->columns = apr_array_make(s->pool, 32, sizeof(udm_column_t));
    error = column_sql(&sql, &a, s, &s->rows, "r", type->subtype_column);
    if (error) {
        return error;
    }
    APR_ARRAY_PUSH(list, const char *) =
        sql ? apr_pstrcat(s->pool, sql, "::text", NULL) : "NULL::text";
    error = column_sql(&sql, &a, s, &s->rows, "r", type->key_column);
    if (error) {
        return error;
    }
    APR_ARRAY_PUSH(list, const char *) = apr_pstrcat(s->pool, sql, "::text", NULL);
    if (type->columns) {
        for (i = 0; i < type->columns->nelts; i++) {
            const char *name = APR_ARRAY_IDX(type->columns, i, const char *);

            a = find_attribute(&s->rows, name);
            if (!a) {
                return no_column(s, &s->rows, name);
            }
            add_column(s, list, a);
        }
    }
    else {
        for (i = 0; i < s->rows.attributes->nelts; i++) {
            add_column(s, list, &APR_ARRAY_IDX(s->rows.attributes, i, attribute_t));
        }
    }
    error = row_conditions(conditions, s);
    if (error) {
        return error;
    }
    s->rows_sql = apr_pstrcat(s->pool, "SELECT ", joined(s->pool, list, ", "), " FROM ",
                              s->rows.sql, " r", where(s->pool, conditions), NULL);
    return NULL;
}

static udm_error_t *make_files_sql(udm_source_t *s)
{
    const udm_data_type_t *type = s->type;
    apr_array_header_t *conditions = apr_array_make(s->pool, 4, sizeof(const char *));
    const attribute_t *id_type, *entity_type, *content_type, *tenant_type, *key_type, *other;
    const char *id, *entity, *name, *mime, *content, *tenant, *key, *subtype, *same;
    const relation_t *f = &s->files;
    apr_pool_t *p = s->pool;
    udm_error_t *error;

    error = column_sql(&id, &id_type, s, f, "a", type->attachment_id_column);
    error = error ? error
                  : column_sql(&entity, &entity_type, s, f, "a", type->attachment_entity_column);
    error = error ? error : column_sql(&name, &other, s, f, "a", type->attachment_name_column);
    error = error ? error : column_sql(&mime, &other, s, f, "a", type->attachment_mime_column);
    error = error ? error
                  : column_sql(&content, &content_type, s, f, "a", type->attachment_content_column);
    error = error ? error
                  : column_sql(&tenant, &tenant_type, s, f, "a", type->attachment_tenant_column);
    error = error ? error : column_sql(&key, &key_type, s, &s->rows, "r", type->key_column);
    error = error ? error : column_sql(&subtype, &other, s, &s->rows, "r", type->subtype_column);
    error = error ? error : row_conditions(conditions, s);
    if (error) {
        return error;
    }
    if (!id_type || !entity_type || !content_type || !key_type) {
        return udm_error_make(p, UDM_E_INTERNAL, "the catalog entry of %s is not whole", f->shown);
    }
    switch (content_type->type) {
    case TYPE_BYTEA:
        break;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_JSON:
        content = apr_pstrcat(p, "convert_to(", content, "::text, 'UTF8')", NULL);
        break;
    default:
        return permanent(udm_error_make(p, UDM_E_SOURCE,
                                        "column \"%s\" of %s in source \"%s\" is of type %s; "
                                        "content must be bytea or text",
                                        content_type->name, f->shown, type->source,
                                        content_type->cast));
    }
    if (tenant_type) {
        tenant = apr_psprintf(p, "%s = current_setting('udm.ccid')::%s", tenant, tenant_type->cast);
        add_condition(conditions, tenant);
    }
    same = key_type->type == entity_type->type ? "" : "::text";
    s->files_sql = apr_psprintf(
        p,
        "SELECT %s::text, %s::text, %s::text, %s::text, %s::text, octet_length(%s)::text, "
        "CASE WHEN octet_length(%s) <= %d THEN %s END "
        "FROM %s a JOIN %s r ON %s%s = %s%s%s",
        subtype ? subtype : "NULL", entity, id, name, mime, content, content, UDM_SOURCE_SLICE,
        content, f->sql, s->rows.sql, entity, same, key, same, where(p, conditions));
    s->slice_sql = apr_psprintf(p,
                                "SELECT substring(%s FROM $3::integer FOR $4::integer) FROM %s a "
                                "WHERE %s = $1::%s AND %s = $2::%s%s%s LIMIT 1",
                                content, f->sql, entity, entity_type->cast, id, id_type->cast,
                                tenant ? " AND " : "", tenant ? tenant : "");
    return NULL;
}

/* The values that the media names of the run stand for. */
static udm_error_t *media_values(const char **literal, udm_source_t *s)
{
    const apr_array_header_t *known = s->type->media;
    apr_array_header_t *values = apr_array_make(s->pool, 4, sizeof(const char *));
    int i, j;

    for (i = 0; i < s->run->media->nelts; i++) {
        const char *name = APR_ARRAY_IDX(s->run->media, i, const char *);
        bool found = false;

        for (j = 0; known && j < known->nelts; j++) {
            const udm_value_t *value = &APR_ARRAY_IDX(known, j, udm_value_t);

            if (strcmp(value->name, name) == 0) {
                APR_ARRAY_PUSH(values, const char *) = value->value;
                found = true;
            }
        }
        if (!found) {
            return permanent(udm_error_make(s->pool, UDM_E_SOURCE,
                                            "type \"%s\" of source \"%s\" has no media \"%s\" "
                                            "any more",
                                            s->type->name, s->type->source, name));
        }
    }
    *literal = udm_db_array(s->pool, values);
    return NULL;
}

/* ---- opening ---- */

static apr_status_t source_close(void *data)
{
    udm_source_t *s = data;
    char ignored[256];

    if (s->buffer) {
        PQfreemem(s->buffer);
    }
    /* Nothing else tells the server that nobody reads any more, before it next sends something. */
    if (s->cancel && s->db && PQtransactionStatus(s->db->conn) == PQTRANS_ACTIVE) {
        PQcancel(s->cancel, ignored, sizeof(ignored));
    }
    PQfreeCancel(s->cancel);
    if (s->wake[0] >= 0) {
        close(s->wake[0]);
        close(s->wake[1]);
    }
    return APR_SUCCESS;
}

/* The session: nothing of it may depend on how the reader's role or its database is set up. */
static const char session_sql[] =
    "SET search_path = pg_catalog; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD';"
    "SET IntervalStyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = 'hex';"
    "SET statement_timeout = 0; SET lock_timeout = '10s'; SET row_security = on;"
    "SET idle_in_transaction_session_timeout = 0; SET default_transaction_read_only = on;"
    "SET client_encoding = 'UTF8'";

static udm_error_t *connect_reader(udm_db_t **db, udm_source_t *s)
{
    udm_error_t *error;

    error = udm_db_connect(db, s->pool, s->conninfo, "udm-worker", UDM_E_SOURCE);
    if (error) {
        error->reason = apr_psprintf(s->pool, "the source \"%s\" does not answer", s->type->source);
        return error;
    }
    error = udm_db_exec(s->pool, *db, session_sql);
    return error ? source_error(s, error, "its session") : NULL;
}

/* The values that a statement reads with current_setting(), for this transaction only. */
static udm_error_t *bind_settings(udm_source_t *s, udm_db_t *db, const char *media)
{
    const char *values[4];
    udm_result_t *result;
    udm_error_t *error;

    values[0] = s->run->ccid;
    values[1] = udm_db_time(s->pool, s->run->window_from);
    values[2] = udm_db_time(s->pool, s->run->window_to);
    values[3] = media;
    error = udm_db_query_text(&result, s->pool, db,
                              "SELECT set_config('udm.ccid', $1::text, true),"
                              " set_config('udm.from', coalesce(" UDM_DB_TIME_IN(
                                  "$2") "::text, ''), true),"
                                        " set_config('udm.to', coalesce(" UDM_DB_TIME_IN(
                                            "$3") "::text, ''), true),"
                                                  " set_config('udm.media', $4::text, true)",
                              4, values);
    return error ? source_error(s, error, "its session") : NULL;
}

/* Plans a statement: says whether it can be run at all, and how many rows are expected. */
static udm_error_t *explain(apr_int64_t *rows, udm_source_t *s, const relation_t *relation,
                            const char *sql)
{
    udm_result_t *result;
    udm_error_t *error;
    json_t *json;

    error = query(&result, s, relation->shown,
                  apr_pstrcat(s->pool, "EXPLAIN (FORMAT JSON) ", sql, NULL), 0, NULL);
    if (error) {
        return error;
    }
    json = json_loads(udm_result_text(result, 0, 0), 0, NULL);
    *rows = (apr_int64_t)json_number_value(
        json_object_get(json_object_get(json_array_get(json, 0), "Plan"), "Plan Rows"));
    json_decref(json);
    if (*rows < 1) {
        *rows = 1;
    }
    return NULL;
}

static bool owns_relation(const udm_data_type_t *type, const char *ccid)
{
    int i;

    for (i = 0; i < type->tenants->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(type->tenants, i, const char *), ccid) == 0) {
            return true;
        }
    }
    return false;
}

udm_error_t *udm_source_open(udm_source_t **source, apr_pool_t *p, const char *source_dir,
                             const udm_data_type_t *type, const udm_run_t *run)
{
    udm_source_t *s = apr_pcalloc(p, sizeof(*s));
    bool files = run->export_attachments && type->attachment_relation;
    const char *media = "{}";
    udm_result_t *result;
    udm_error_t *error;
    apr_int64_t ignored;

    *source = NULL;
    s->pool = p;
    s->type = type;
    s->run = run;
    s->wake[0] = s->wake[1] = -1;
    atomic_init(&s->cancelled, false);
    /* Without a column that tells them apart, every row belongs to each of the tenants. */
    if (!type->tenant_column && (!type->tenants || !owns_relation(type, run->ccid))) {
        return permanent(udm_error_make(p, UDM_E_SOURCE,
                                        "type \"%s\" of source \"%s\" does not belong to this "
                                        "contact centre",
                                        type->name, type->source));
    }
    error = read_connection(&s->conninfo, p, source_dir, type);
    if (!error) {
        error = media_values(&media, s);
    }
    if (!error) {
        error = connect_reader(&s->db, s);
    }
    if (error) {
        return error;
    }
    s->cancel = PQgetCancel(s->db->conn);
    if (pipe2(s->wake, O_CLOEXEC | O_NONBLOCK) != 0) {
        s->wake[0] = s->wake[1] = -1;
        error = udm_error_status(p, UDM_E_INTERNAL, errno, "no pipe can be made");
        apr_pool_cleanup_register(p, s, source_close, apr_pool_cleanup_null);
        return error;
    }
    apr_pool_cleanup_register(p, s, source_close, apr_pool_cleanup_null);
    error = udm_db_exec(p, s->db, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    if (error) {
        return source_error(s, error, "its session");
    }
    error = query(&result, s, "its session", "SELECT pg_current_snapshot()::text", 0, NULL);
    if (error) {
        return error;
    }
    s->snapshot = udm_result_text(result, 0, 0);
    error = check_reader(s);
    error = error ? error : bind_settings(s, s->db, media);
    error = error ? error : load_relation(&s->rows, s, type->relation_schema, type->relation_name);
    error = error ? error : make_rows_sql(s);
    error = error ? error : explain(&s->estimate, s, &s->rows, s->rows_sql);
    if (!error && files) {
        error = load_relation(&s->files, s, type->attachment_schema, type->attachment_relation);
        error = error ? error : make_files_sql(s);
        error = error ? error : explain(&ignored, s, &s->files, s->files_sql);
        error = error ? error
                      : query(&result, s, "its session", "SELECT pg_export_snapshot()", 0, NULL);
        if (!error) {
            s->exported = udm_result_text(result, 0, 0);
        }
    }
    if (!error) {
        *source = s;
    }
    return error;
}

const apr_array_header_t *udm_source_columns(const udm_source_t *source)
{
    return source->columns;
}

apr_int64_t udm_source_estimate(udm_source_t *source)
{
    return source->estimate;
}

const char *udm_source_snapshot(const udm_source_t *source)
{
    return source->snapshot;
}

/* ---- reading ---- */

static udm_error_t *stopped(udm_source_t *s)
{
    return udm_error_make(s->pool, UDM_E_STOPPED, "the export was stopped");
}

/* An error of the connection itself, or of `result`, which is cleared. */
static udm_error_t *read_error(udm_source_t *s, PGresult *result)
{
    const relation_t *relation = s->reading;
    udm_error_t *error;

    if (atomic_load(&s->cancelled)) {
        PQclear(result);
        return stopped(s);
    }
    error = udm_db_error(s->pool, s->db, result);
    PQclear(result);
    return source_error(s, error, relation ? relation->shown : "a relation");
}

/* Waits until the server has sent something or somebody cancelled. */
static udm_error_t *wait_input(udm_source_t *s)
{
    struct pollfd fds[2];

    fds[0].fd = PQsocket(s->db->conn);
    fds[0].events = POLLIN;
    fds[1].fd = s->wake[0];
    fds[1].events = POLLIN;
    while (poll(fds, 2, -1) < 0) {
        if (errno != EINTR && errno != EAGAIN) {
            return udm_error_status(s->pool, UDM_E_INTERNAL, errno, "poll failed");
        }
    }
    if (atomic_load(&s->cancelled)) {
        return stopped(s);
    }
    return PQconsumeInput(s->db->conn) ? NULL : read_error(s, NULL);
}

static udm_error_t *next_result(PGresult **result, udm_source_t *s)
{
    udm_error_t *error = NULL;

    *result = NULL;
    while (!error && PQisBusy(s->db->conn)) {
        error = wait_input(s);
    }
    if (!error) {
        *result = PQgetResult(s->db->conn);
    }
    return error;
}

static udm_error_t *begin_copy(udm_source_t *s, const relation_t *relation, const char *sql)
{
    PGresult *result;
    udm_error_t *error;

    if (s->reading) {
        return udm_error_make(s->pool, UDM_E_INTERNAL, "the rows before are not read to their end");
    }
    if (atomic_load(&s->cancelled)) {
        return stopped(s);
    }
    s->reading = relation;
    s->header_done = false;
    if (!PQsendQuery(s->db->conn,
                     apr_pstrcat(s->pool, "COPY (", sql, ") TO STDOUT (FORMAT binary)", NULL))) {
        return read_error(s, NULL);
    }
    error = next_result(&result, s);
    if (error) {
        return error;
    }
    if (PQresultStatus(result) != PGRES_COPY_OUT) {
        return read_error(s, result);
    }
    PQclear(result);
    return NULL;
}

udm_error_t *udm_source_rows(udm_source_t *source)
{
    return begin_copy(source, &source->rows, source->rows_sql);
}

udm_error_t *udm_source_attachments(udm_source_t *source)
{
    if (!source->files_sql) {
        return udm_error_make(source->pool, UDM_E_INTERNAL,
                              "this source was opened without attachments");
    }
    return begin_copy(source, &source->files, source->files_sql);
}

static apr_uint32_t get_uint32(const unsigned char *in)
{
    return (apr_uint32_t)in[0] << 24 | (apr_uint32_t)in[1] << 16 | (apr_uint32_t)in[2] << 8 | in[3];
}

static udm_error_t *bad_stream(udm_source_t *s)
{
    return udm_error_make(s->pool, UDM_E_SOURCE,
                          "the source \"%s\" sent something that is not binary COPY data",
                          s->type->source);
}

/* Skips signature, flags and extension, which stand before the first tuple. */
static udm_error_t *skip_header(const unsigned char **in, apr_size_t *size, udm_source_t *s)
{
    const apr_size_t fixed = sizeof(copy_signature) + 8;
    apr_uint32_t extension;

    if (*size < fixed || memcmp(*in, copy_signature, sizeof(copy_signature)) != 0 ||
        (get_uint32(*in + sizeof(copy_signature)) & 0xffff0000u)) {
        return bad_stream(s);
    }
    extension = get_uint32(*in + sizeof(copy_signature) + 4);
    if (*size - fixed < extension) {
        return bad_stream(s);
    }
    *in += fixed + extension;
    *size -= fixed + extension;
    s->header_done = true;
    return NULL;
}

/* After the trailer: the server still has to say that the statement went well. */
static udm_error_t *end_copy(udm_source_t *s)
{
    PGresult *result;
    udm_error_t *error;
    bool ended = false;

    for (;;) {
        error = next_result(&result, s);
        if (error) {
            return error;
        }
        if (!result) {
            break;
        }
        if (PQresultStatus(result) != PGRES_COMMAND_OK) {
            return read_error(s, result);
        }
        ended = true;
        PQclear(result);
    }
    if (!ended) {
        return read_error(s, NULL);
    }
    s->reading = NULL;
    return NULL;
}

udm_error_t *udm_source_next(const unsigned char **tuple, apr_size_t *size, udm_source_t *source)
{
    udm_source_t *s = source;
    bool trailer = false;
    udm_error_t *error;
    const unsigned char *in;
    apr_size_t left;
    int got;

    *tuple = NULL;
    *size = 0;
    if (!s->reading) {
        return udm_error_make(s->pool, UDM_E_INTERNAL, "no rows are being read");
    }
    for (;;) {
        if (s->buffer) {
            PQfreemem(s->buffer);
            s->buffer = NULL;
        }
        if (atomic_load_explicit(&s->cancelled, memory_order_relaxed)) {
            return stopped(s);
        }
        got = PQgetCopyData(s->db->conn, &s->buffer, 1);
        if (got == 0) {
            error = wait_input(s);
            if (error) {
                return error;
            }
            continue;
        }
        if (got < 0) {
            break;
        }
        in = (const unsigned char *)s->buffer;
        left = (apr_size_t)got;
        if (!s->header_done) {
            error = skip_header(&in, &left, s);
            if (error) {
                return error;
            }
            if (left == 0) {
                continue;
            }
        }
        if (left < 2 || trailer) {
            return bad_stream(s);
        }
        if (in[0] == 0xff && in[1] == 0xff) {
            trailer = true;
            continue;
        }
        *tuple = in;
        *size = left;
        return NULL;
    }
    if (got == -2) {
        return read_error(s, NULL);
    }
    error = end_copy(s);
    if (!error && !trailer) {
        return bad_stream(s);
    }
    return error;
}

/* The second connection joins the snapshot of the first. */
static udm_error_t *open_slices(udm_source_t *s)
{
    udm_error_t *error;
    udm_db_t *db;
    const char *begin;

    error = connect_reader(&db, s);
    if (error) {
        return error;
    }
    begin = apr_psprintf(s->pool,
                         "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; "
                         "SET TRANSACTION SNAPSHOT '%s'",
                         s->exported);
    error = udm_db_exec(s->pool, db, begin);
    if (error) {
        return source_error(s, error, "its snapshot");
    }
    error = bind_settings(s, db, "{}");
    if (!error) {
        s->slices = db;
    }
    return error;
}

udm_error_t *udm_source_slice(unsigned char *data, apr_size_t *got, udm_source_t *source,
                              const char *entity, const char *id, apr_int64_t offset,
                              apr_size_t size)
{
    udm_source_t *s = source;
    const char *values[4];
    char from[32], length[32];
    udm_error_t *error = NULL;
    PGresult *result;

    *got = 0;
    if (!s->exported) {
        return udm_error_make(s->pool, UDM_E_INTERNAL,
                              "this source was opened without attachments");
    }
    if (atomic_load(&s->cancelled)) {
        return stopped(s);
    }
    if (!s->slices) {
        error = open_slices(s);
        if (error) {
            return error;
        }
    }
    /* No pool here: an attachment may have many slices, and the pool lives as long as the run. */
    apr_snprintf(from, sizeof(from), "%" APR_INT64_T_FMT, offset + 1);
    apr_snprintf(length, sizeof(length), "%" APR_SIZE_T_FMT, size);
    values[0] = entity;
    values[1] = id;
    values[2] = from;
    values[3] = length;
    result = PQexecParams(s->slices->conn, s->slice_sql, 4, NULL, values, NULL, NULL, 1);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        error = source_error(s, udm_db_error(s->pool, s->slices, result), s->files.shown);
    }
    else if (PQntuples(result) == 1 && !PQgetisnull(result, 0, 0) &&
             (apr_size_t)PQgetlength(result, 0, 0) <= size) {
        *got = (apr_size_t)PQgetlength(result, 0, 0);
        memcpy(data, PQgetvalue(result, 0, 0), *got);
    }
    PQclear(result);
    return error;
}

void udm_source_cancel(udm_source_t *source)
{
    ssize_t ignored;

    atomic_store(&source->cancelled, true);
    ignored = write(source->wake[1], "", 1);
    (void)ignored;
}
