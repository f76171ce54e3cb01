/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h: the lists of jobs, runs and files. Every list filters by the principal's tenant and rights:
 * what is not visible does not exist.
 */
#ifndef UDM_DB_LIST_H
#define UDM_DB_LIST_H

#include "core/job.h"
#include "core/listing.h"
#include "core/principal.h"
#include "pg/client.h"

/* What the three lists offer (decisions 1.4). Static. */
const udm_listing_spec_t *udm_job_listing(void);
const udm_listing_spec_t *udm_run_listing(void);
const udm_listing_spec_t *udm_file_listing(void);

#define UDM_LIST_BATCH_MAX 8000

typedef enum { UDM_LIST_JOBS, UDM_LIST_RUNS, UDM_LIST_FILES } udm_list_kind;

/*
 * A list under way. It is read in keyset batches, so that no connection is held between them; what it
 * sees is fixed by udm_list_open, so later rows do not appear in the middle.
 */
typedef struct udm_list_t udm_list_t;

/*
 * Counts the matches and fixes the list. `count` gets all matches, whatever from and size say. Behind
 * a cursor both are those of the first page, and nothing is asked of the database yet.
 * @return also UDM_E_INVALID for a cursor whose place is none in this order
 */
udm_error_t *udm_list_open(udm_list_t **list, apr_int64_t *count, apr_pool_t *p, udm_pg_t *db,
                           udm_list_kind kind, const udm_listing_t *listing,
                           const udm_principal_t *who);

/*
 * The next batch into `batch` (pointers to udm_job_info_t or udm_file_info_t, by kind), in `p`; an
 * empty one ends the list. `p` may be cleared between batches, `list` lives on. A batch has at most
 * 1,000 rows where an index gives the order, else more from batch to batch, up to
 * UDM_LIST_BATCH_MAX: each of them sorts all that is left.
 */
udm_error_t *udm_list_next(apr_array_header_t **batch, apr_pool_t *p, udm_pg_t *db,
                           udm_list_t *list);

/*
 * Where the next page begins (udm_listing_t's `after`), once the list is read to its end, in `p`. NULL
 * when no row is left behind the page, or when no cursor was asked for.
 */
const char *udm_list_cursor(apr_pool_t *p, const udm_list_t *list);

#endif
