/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * listtest.h: what the tests of lists share; it is in test_list.c.
 */
#ifndef UDM_LISTTEST_H
#define UDM_LISTTEST_H

#include "db/job.h"
#include "db/list.h"

/* Asked of every list: whose rows they are, and which. */
#define VISIBLE                                                                                    \
    " ccid = 'acme' AND (source = 'UCS' AND type IN ('Interaction', 'Contact')"                    \
    " OR source = 'UCSX' AND type = 'Interaction')"

/* One job of acme's, as SQL: made by the superuser, of the title and day given. */
#define NEW_JOB(title, day)                                                                        \
    "INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, schedule,"   \
    " status, created_at) VALUES ('acme', 'UCS', 'UCS', 'Contact', '" title "', true, 'once',"     \
    " '{}', 'QUEUED', '" day "')"

/* The SQL of more than two batches of acme's visible rows in each list. */
extern const char listtest_rows[];

const udm_listing_spec_t *listtest_spec(udm_list_kind kind);

/* Who may read all of acme's but what is of iWD. */
udm_principal_t *listtest_reader(void);

/* Parses a query as httpd does. */
udm_listing_t *listtest_parse(apr_pool_t *p, udm_list_kind kind, const char *query);

/* The id of an item of a batch. */
apr_int64_t listtest_id(udm_list_kind kind, const apr_array_header_t *batch, int i);

/* All ids of a list, in order, with commas, and how many there are in it; and how many those are. */
const char *listtest_read(apr_pool_t *p, apr_int64_t *count, udm_list_kind kind, const char *query);
apr_int64_t listtest_count(const char *ids);

/* Compares ids without printing thousands of them. */
void listtest_same(const char *got, const char *expected, const char *what);

#endif
