/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h: reads the rows of a data type: a connection of its own, one snapshot, binary COPY.
 *
 * COPY takes no parameters, so values (tenant, window, media, filters) reach it through set_config() with
 * bound parameters and current_setting(); identifiers come from the catalog and are quoted by
 * udm_pg_identifier alone.
 */
#ifndef UDM_SOURCE_SOURCE_H
#define UDM_SOURCE_SOURCE_H

#include "core/data_type.h"
#include "core/run.h"
#include "core/stop.h"
#include "pg/client.h"

typedef struct udm_source_t udm_source_t;

/* A column that is read: its name in the output and what its binary form is. */
typedef struct udm_column_t {
    const char *name;
    Oid type;    /* as sent: base type of a domain, or text for what is read as its text or JSON */
    bool json;   /* text that is JSON already (json, jsonb, to_json of anything else) */
    Oid element; /* of an array with a fast path, else 0 */
    Oid array;   /* the array's own type, then */
} udm_column_t;

/*
 * Keeps the connection of a run for the next one with the same connection file, for a moment: a new
 * one costs more than the reading of some rows. For one thread. The connection closes with `p`.
 */
typedef struct udm_source_hold_t udm_source_hold_t;

#define UDM_SOURCE_HOLD_MS 2000

udm_source_hold_t *udm_source_hold_make(apr_pool_t *p);

/*
 * Closes a connection that was not used for UDM_SOURCE_HOLD_MS.
 * @return whether there still is one, so that this is to be called again
 */
bool udm_source_hold_expire(udm_source_hold_t *hold);

/*
 * Connects as the reader that the file `<source_dir>/<connection>` names, locks what it reads (ACCESS
 * SHARE) and then begins the snapshot (REPEATABLE READ, READ ONLY), refuses a reader that can use
 * schema udm, and checks that the relation and its columns exist. Closed with `p`.
 * The relation is planned once here, so most of what cannot be read is found before the first row.
 * Raising `stop` (which may be NULL) ends whatever waits for the source from then on; the server is
 * told when it is closed.
 * @return UDM_E_SOURCE with a reason that a tenant may read, or UDM_E_STOPPED
 */
udm_error_t *udm_source_open(udm_source_t **source, apr_pool_t *p, const char *source_dir,
                             const udm_data_type_t *type, const udm_run_t *run,
                             const udm_stop_t *stop);

/*
 * The same with a connection that `hold` keeps, and keeps again when the source is closed, unless what
 * came over it made it large: `p` goes before `hold`. A row of more than `max_row` bytes (0: of any
 * size) is a lasting UDM_E_SOURCE, mostly before it is sent (width.c): whoever reads still has to
 * look, for one may be larger as it is sent than where it is kept.
 */
udm_error_t *udm_source_open_held(udm_source_t **source, apr_pool_t *p, const char *source_dir,
                                  const udm_data_type_t *type, const udm_run_t *run,
                                  const udm_stop_t *stop, udm_source_hold_t *hold,
                                  apr_int64_t max_row);

/*
 * Whether every transaction that might have stamped a row before the first look is over.
 * `barrier` is NULL at the first look, which sets it (in `p`) for the later ones. Asked with a
 * connection of its own, before udm_source_open takes its snapshot.
 * @return a lasting UDM_E_SOURCE when the source is a standby, which cannot know
 */
udm_error_t *udm_source_settle(bool *settled, const char **barrier, apr_pool_t *p,
                               const char *source_dir, const udm_data_type_t *type,
                               const udm_stop_t *stop);

/*
 * When the oldest transaction that writes in the source began, by the source's clock; UDM_NO_TIME
 * when there is none.
 * @return a lasting UDM_E_SOURCE when the reader may not see that (pg_read_all_stats)
 */
udm_error_t *udm_source_oldest_writer(apr_time_t *began, apr_pool_t *p, const char *source_dir,
                                      const udm_data_type_t *type, const udm_stop_t *stop);

/* What trying a type out found: lines for a person. */
typedef struct udm_source_trial_t {
    const char *reader;
    const char *database;
    const char *server; /* its version */
    const char *relation;
    apr_int64_t estimate;         /* rows of the contact centre, as the planner guesses */
    apr_array_header_t *roles;    /* of const char *: which column is what */
    apr_array_header_t *columns;  /* of const char *: what leaves, in this order */
    apr_array_header_t *warnings; /* of const char * */
} udm_source_trial_t;

/*
 * Does for everything of a type what a run of `ccid` would do before its first row, and reads one row.
 * Fills `trial`, unless it returns an error.
 * The connection closes with `p`.
 * @return what udm_source_open returns
 */
udm_error_t *udm_source_try(udm_source_trial_t *trial, apr_pool_t *p, const char *source_dir,
                            const udm_data_type_t *type, const char *ccid);

/*
 * Whether a UDM_E_SOURCE stays the same however often it is tried again: no connection file, a
 * relation or column that is not there, a reader with too many rights or too few. Such errors carry
 * the status APR_EINVAL. Everything else (no answer, a lock, a conflict) may pass.
 */
bool udm_source_permanent(const udm_error_t *error);

/* The error of a row that is too large; `column` is the largest of it, or NULL. */
udm_error_t *udm_source_too_large(apr_pool_t *p, const udm_data_type_t *type, apr_int64_t limit,
                                  const char *column);

/* A value of the tenant's for udm_error_t.about: quoted, and cut where it is long. */
const char *udm_source_about(apr_pool_t *p, const char *value);

/* Columns of the rows, in output order (of udm_column_t). */
const apr_array_header_t *udm_source_columns(const udm_source_t *source);

/* How many rows the planner expects, for progress; never fails the run. At least 1. */
apr_int64_t udm_source_estimate(udm_source_t *source);

/* The snapshot (pg_current_snapshot()), for the manifest. */
const char *udm_source_snapshot(const udm_source_t *source);

/*
 * Begins to read the rows: each row has two more fields in front, the subtype value and the key,
 * both as text (subtype NULL when the type has no subtype column, key NULL unless its files are
 * called by it).
 */
udm_error_t *udm_source_rows(udm_source_t *source);

/*
 * Begins to read the attachments of the rows: subtype, entity, id, name, mimeType, size (all as
 * text), content (bytea), table and place (as text; NULL unless rows of the relation have a place of
 * their own). Content above UDM_SOURCE_SLICE bytes comes as NULL, to be fetched with
 * udm_source_slice; NULL content has a NULL size too.
 */
udm_error_t *udm_source_attachments(udm_source_t *source);

#define UDM_SOURCE_SLICE 1048576

/* Whose content is fetched: the fields of an attachment's row. */
typedef struct udm_content_t {
    const char *entity; /* without a place neither of the two is NULL */
    const char *id;
    const char *size;
    const char *table; /* NULL without a place */
    const char *place;
} udm_content_t;

/*
 * Reads `size` bytes from `offset` (0-based) of one attachment's content into `data`, in the same
 * snapshot but over a second connection, so that it works while rows are being read. The first slice is
 * the one from 0, and each other one follows the one before it and is as large, but for the last, which may
 * be smaller: the source has the content ready in the meantime. `got` gets how many bytes there were.
 * @return also a lasting UDM_E_SOURCE at the first slice when it cannot be told from another one: same
 * entity, id and size in a relation whose rows have no place, and other content
 */
udm_error_t *udm_source_slice(unsigned char *data, apr_size_t *got, udm_source_t *source,
                              const udm_content_t *of, apr_int64_t offset, apr_size_t size);

/*
 * The next row as COPY's binary tuple, which may turn out to be no good: only the end says that all
 * rows are of the snapshot. A tuple is a 16-bit field count, then length and bytes of each field, all
 * in network order. Valid until the next call. `tuple` gets NULL at the end.
 */
udm_error_t *udm_source_next(const unsigned char **tuple, apr_size_t *size, udm_source_t *source);

#endif
