/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * source_private.h: what the files of a source share: source_connection.c finds the reader,
 * source_hold.c keeps its connection, source_width.c limits its rows, source_filter.c reads the filters of a run, source_query.c turns all that into statements, source.c
 * runs them.
 */
#ifndef UDM_SOURCE_PRIVATE_H
#define UDM_SOURCE_PRIVATE_H

#include "db/source.h"

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
    udm_db_t *db;
    udm_db_t *slices; /* the second connection; NULL until it is needed */
    PGcancel *cancel;
    const udm_stop_t *stop;
    relation_t rows;
    relation_t files;
    apr_array_header_t *filters; /* of source_filter_t */
    apr_array_header_t *columns;
    const char *from; /* the window's bounds in SQL; NULL: it has none */
    const char *to;
    const char *rows_sql;
    const char *files_sql;
    const char *slice_sql;
    const char *twins_sql; /* how many contents an entity, id and size stand for; NULL: by place */
    apr_int64_t max_row;   /* 0: no limit */
    const char *large_sql; /* which row is too large; NULL: none can be */
    apr_array_header_t *wide_names; /* of const char *: columns, by the number that it gives */
    bool swollen;                   /* the connection holds more memory than it needs */
    const char *snapshot;
    const char *exported; /* snapshot id for the second connection */
    apr_int64_t estimate;
    const relation_t *reading; /* of the COPY in progress, else NULL */
    bool header_done;
    char *buffer; /* of the last row, from libpq */
};

/* Marks an error that no second try will cure. @return it */
udm_error_t *udm_source_lasting(udm_error_t *error);

/* The reason of a connection that cannot be made. */
const char *udm_source_away(apr_pool_t *p, const udm_data_type_t *type);

/* What a failed statement means, in words that a tenant may read; `rel` is what it read. */
udm_error_t *udm_source_explain_error(const udm_source_t *s, udm_error_t *error, const char *rel);

/* Runs a statement on the first connection; `rel` as above. */
udm_error_t *udm_source_query(udm_result_t **result, udm_source_t *s, const char *rel,
                              const char *sql, int count, const char *const *values);

/* The libpq string in the file `<source_dir>/<connection>` of the type's source. */
udm_error_t *udm_source_read_connection(const char **conninfo, apr_pool_t *p,
                                        const char *source_dir, const udm_data_type_t *type);

/* A connection that was kept, and knows nothing of the run it was made for, or a new one. */
udm_error_t *udm_source_hold_take(udm_db_t **db, udm_source_hold_t *hold, apr_pool_t *p,
                                  const char *conninfo, const udm_stop_t *stop);

/* Closes what was taken last. */
void udm_source_hold_drop(udm_source_hold_t *hold);

/* Keeps what was taken last, unless its run did not come to its end. */
void udm_source_hold_give_back(udm_source_hold_t *hold);

/*
 * A condition on a row "r" under which it is too large to be sent, and s->large_sql; NULL where no row
 * can be. `key` is the key in SQL, `where` the whole clause of the statement, or "".
 */
udm_error_t *udm_source_limit_rows(const char **condition, udm_source_t *s, const char *key,
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

/* Makes rows_sql and columns and, with `files`, files_sql, slice_sql and twins_sql, from what the catalog of the
 * source's database says about the relations. */
udm_error_t *udm_source_make_statements(udm_source_t *s, bool files);

/* The array literal of the values that the media names of the run stand for. */
udm_error_t *udm_source_media_values(const char **literal, udm_source_t *s);

#endif
