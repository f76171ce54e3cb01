/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * private.h: what the files of this room share. A source is opened by open.c: connection.c finds the
 * reader, hold.c keeps its connection, session.c connects it, steady.c begins the transaction, reader.c
 * looks what it may do, path.c sets its search_path, relation.c looks its relations up, filter.c reads the
 * filters of a run, width.c limits its rows, match.c and select.c turn all that into statements, plan.c has
 * them planned. Then copy.c reads the rows and slice.c large contents. check.c tries a type out, settle.c
 * asks where a window ends, reason.c says what went wrong.
 */
#ifndef UDM_SOURCE_PRIVATE_H
#define UDM_SOURCE_PRIVATE_H

#include "source/source.h"

/* A column of a relation, its type without domains. */
typedef struct attribute_t {
    const char *name;
    Oid type;
    Oid element;      /* 0 unless an array */
    const char *cast; /* the type as SQL writes it in a cast */
    Oid collation;    /* 0 where the type has none */
    bool equality;    /* its own = is used, with an index: that of common types */
    bool loose;       /* values with different bytes may be equal (nondeterministic collation) */
    bool words;       /* of a kind of text */
} attribute_t;

typedef struct relation_t {
    const char *shown; /* "schema.name", for reasons */
    const char *sql;   /* quoted */
    char kind;         /* pg_class.relkind */
    bool filled;       /* pg_class.relispopulated */
    apr_array_header_t *attributes;
} relation_t;

/* A filter of the run that fits the catalog. */
typedef struct source_filter_t {
    const udm_attribute_t *attribute;
    udm_filter_test test;
    const char *value;   /* as text; of UDM_TEST_IN an array literal */
    const char *setting; /* which current_setting() reads it */
} source_filter_t;

struct udm_source_t {
    apr_pool_t *pool;
    const udm_data_type_t *type;
    const udm_run_t *run;
    const char *conninfo;
    udm_source_hold_t *hold; /* which db is from; NULL: from none */
    udm_pg_t *db;
    udm_pg_t *slices; /* the second connection; NULL until it is needed */
    PGcancel *cancel;
    bool pooled; /* the session is lent by a pooler: nothing may be left in it */
    bool locked; /* before the snapshot was taken: rows, and files if they are read */
    const udm_stop_t *stop;
    relation_t rows;
    relation_t files;
    apr_array_header_t *filters; /* of source_filter_t */
    apr_array_header_t *columns;
    const char *from; /* the window's bounds in SQL; NULL: it has none */
    const char *to;
    const char *rows_sql;
    const char *files_sql;
    const char *slice_sql; /* makes a cursor of the slices of a content */
    apr_int64_t slice_at;  /* which it gives next; 0: there is none */
    const char *twin_sql; /* up to two rows that an entity, id and size stand for; NULL: by place */
    const char *twins_sql;          /* how many contents they stand for */
    apr_int64_t max_row;            /* 0: no limit */
    const char *large_sql;          /* which row is too large; NULL: none can be */
    apr_array_header_t *wide_names; /* of const char *: columns, by the number that it gives */
    bool swollen;                   /* the connection holds more memory than it needs */
    bool foreign;            /* some of the rows, or of the files, come from another server */
    apr_int64_t late_before; /* relations of late rows that are locked before rows are read */
    const char *snapshot;
    const char *exported; /* snapshot id for the second connection */
    apr_int64_t estimate;
    const relation_t *reading; /* of the COPY in progress, else NULL */
    bool header_done;
    char *buffer; /* of the last row, from libpq */
};

/* How long a source may be silent, in ms: one that sorts much before its first row is not frozen. */
#define UDM_SOURCE_SILENCE 3600000

/* Marks an error that no second try will cure. @return it */
udm_error_t *udm_source_lasting(udm_error_t *error);

/* The reason of a connection that cannot be made. */
const char *udm_source_away(apr_pool_t *p, const udm_data_type_t *type);

/* What a failed statement means, in words that a tenant may read; `rel` is what it read. */
udm_error_t *udm_source_explain_error(const udm_source_t *s, udm_error_t *error, const char *rel);

/* The same of a statement that reads rows, after the relation and its columns were found. */
udm_error_t *udm_source_explain_statement(const udm_source_t *s, udm_error_t *error,
                                          const char *rel);

/* Begins the transaction of the first connection, with the relations locked; sets `pooled` and
 * `locked`. The snapshot is taken by the next statement. */
udm_error_t *udm_source_begin(udm_source_t *s, bool files);

/* Begins one on another connection, with the snapshot of the first. */
udm_error_t *udm_source_join(udm_source_t *s, udm_pg_t *db);

/* Statements of which the last says, run after one that reads rows, whether they may be of another moment than the
 * snapshot (true; NULL is false), and how many relations of late rows were read by then; and the error that the
 * first is; `rel` as above. */
extern const char udm_source_changed_sql[];
udm_error_t *udm_source_changed(const udm_source_t *s, const char *rel);

/* Holds the columns against the types that the statement itself has, where nothing was locked. */
udm_error_t *udm_source_check_types(udm_source_t *s);

/* Checks and sets the search_path of the type, for this transaction; nothing without one. */
udm_error_t *udm_source_set_path(udm_source_t *s, udm_pg_t *db);

/* Plans a statement: whether it can be run at all, how many rows are expected (at least 1), whether
 * any of them come from another server. */
udm_error_t *udm_source_plan(apr_int64_t *rows, bool *foreign, udm_source_t *s,
                             const relation_t *relation, const char *sql);

/* Whether rows may come that are older than others which were there before them. */
typedef struct udm_source_late_t {
    const char *why;     /* "come ..."; NULL where it is not known that they do */
    const char *instead; /* what to do: "register ..." */
    bool calls;          /* a view calls functions, of which it cannot be known */
} udm_source_late_t;

/* Looks for that in what is locked by now; sets s->late_before. `foreign`: as the plan says. */
udm_error_t *udm_source_find_late(udm_source_late_t *late, udm_source_t *s, bool foreign);

/* Refuses a window that goes on where the last one ended, where late rows could be missed. */
udm_error_t *udm_source_check_window(udm_source_t *s, const relation_t *relation, bool foreign);

/* Runs a statement on the first connection; `rel` as above. */
udm_error_t *udm_source_query(udm_result_t **result, udm_source_t *s, const char *rel,
                              const char *sql, int count, const char *const *values);

/* The error of a run that was stopped. */
udm_error_t *udm_source_stopped(const udm_source_t *s);

/* Connects as the reader, with a connection of `hold`, which may be NULL. */
udm_error_t *udm_source_connect(udm_pg_t **db, udm_source_t *s, udm_source_hold_t *hold);

/* Refuses a reader that can do more than read. */
udm_error_t *udm_source_check_reader(udm_source_t *s);

/* Sets what statements read by current_setting() for this transaction, the tenant and the media, and the
 * bounds of the window in `s`. As the first statement of the transaction it takes the snapshot. */
udm_error_t *udm_source_bind_settings(udm_source_t *s, udm_pg_t *db, const char *media);

/* Looks a relation and its columns up. */
udm_error_t *udm_source_load_relation(relation_t *relation, udm_source_t *s, const char *schema,
                                      const char *name);

/* A column by its name, or NULL; and the error of one that is not there. */
const attribute_t *udm_source_attribute(const relation_t *relation, const char *name);
udm_error_t *udm_source_no_column(udm_source_t *s, const relation_t *relation, const char *name);

/* Adds a column of the rows "r" to the output, and its expression to the select list. */
void udm_source_add_column(udm_source_t *s, apr_array_header_t *expressions, const attribute_t *a);

/* The libpq string in the file `<source_dir>/<connection>` of the type's source. */
udm_error_t *udm_source_read_connection(const char **conninfo, apr_pool_t *p,
                                        const char *source_dir, const udm_data_type_t *type);

/* A connection that was kept, and knows nothing of the run it was made for, or a new one. */
udm_error_t *udm_source_hold_take(udm_pg_t **db, udm_source_hold_t *hold, apr_pool_t *p,
                                  const char *conninfo, const udm_stop_t *stop);

/* Closes what was taken last. */
void udm_source_hold_drop(udm_source_hold_t *hold);

/* Keeps what was taken last, unless its run did not come to its end. What is `pooled` is only kept
 * until the server has ended the transaction: who closes before makes the pooler close its session. */
void udm_source_hold_give_back(udm_source_hold_t *hold, bool pooled);

/*
 * A condition on a row "r" under which it is too large to be sent, and s->large_sql; NULL where no row
 * can be. `subtype` and `key` may be NULL; `where` is the whole clause of the statement, or "".
 */
udm_error_t *udm_source_limit_rows(const char **condition, udm_source_t *s,
                                   const attribute_t *subtype, const attribute_t *key,
                                   const char *where);

/* A text in SQL that ends the statement where the condition holds, and is `otherwise` elsewhere. */
const char *udm_source_refusing(apr_pool_t *p, const char *condition, const char *otherwise);

/* Whether that is what ended it. */
bool udm_source_is_too_large(const udm_error_t *error);

/* Which row ended the statement of the rows, by large_sql; before it there was a savepoint udm_rows. */
udm_error_t *udm_source_explain_large(udm_source_t *s);

/* Checks the filters of the run against the attributes of the type. */
udm_error_t *udm_source_read_filters(udm_source_t *s);

/* Makes their values known to the first connection, for this transaction only. */
udm_error_t *udm_source_bind_filters(udm_source_t *s);

/* The condition of one filter; `column` and `a` are its column in SQL, NULL when there is none. */
udm_error_t *udm_source_filter_sql(const char **sql, const udm_source_t *s,
                                   const source_filter_t *filter, const char *column,
                                   const attribute_t *a);

/* SQL that is true where two texts have the same bytes. */
const char *udm_source_same_text(apr_pool_t *p, const char *a, const char *b);

/* The tenant, in SQL. */
#define UDM_SOURCE_CCID "pg_catalog.current_setting('udm.ccid')"

/* SQL that is true where a column has the value that `text`, SQL of type text, is the text of; where it is
 * the tenant's; where it is one of the media; where an attachment's entity is the key of a row. */
const char *udm_source_has_value(apr_pool_t *p, const char *column, const attribute_t *a,
                                 const char *text);
const char *udm_source_is_tenants(apr_pool_t *p, const char *column, const attribute_t *a);
const char *udm_source_is_of_media(apr_pool_t *p, const char *column, const attribute_t *a);
const char *udm_source_hangs_on(apr_pool_t *p, const char *entity, const attribute_t *e,
                                const char *key, const attribute_t *k);

/* Makes rows_sql and columns and, with `files`, files_sql, slice_sql and twins_sql, from what the catalog of the
 * source's database says about the relations. */
udm_error_t *udm_source_make_statements(udm_source_t *s, bool files);

/* The array literal of the values that the media names of the run stand for. */
udm_error_t *udm_source_media_values(const char **literal, udm_source_t *s);

#endif
