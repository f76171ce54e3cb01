/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * dbtest.h: what the database tests share: a fresh database for each test, with a small catalog.
 *
 * The cluster is a scratch one: UDM_TEST_DSN is the libpq string of its superuser, and every role
 * may log in without a password. Every test starts with
 *
 *   tenants   acme and other; acme has a certificate (dbtest_certificate_pem), other has none
 *   UCS       alias "Contact History", family UCS, connection "demo":
 *             Interaction (demo.interaction: 6 rows of acme, 3 of other; media, subtypes,
 *             attachments) and Contact (demo.contact; no media)
 *   UCSX      family UCS, layout records: Interaction (the same relation)
 *   iWD       family DataSync: Task (demo.task; whole relation of acme, no time column)
 *
 * the role Reader of the API, which may read family UCS but change nothing, and the database role
 * udm_test_reader, which may read schema demo and nothing else.
 */
#ifndef UDM_DBTEST_H
#define UDM_DBTEST_H

#include <apr_pools.h>
#include <check.h>
#include <openssl/evp.h>

#include "core/job.h"
#include "core/principal.h"
#include "db/tenant.h"
#include "pg/client.h"

/* The pool of the running test; made before it, destroyed after it. */
extern apr_pool_t *pool;

/* acme's certificate, and the key that belongs to it. Made once for the whole run. */
extern const char *dbtest_certificate_pem;
extern EVP_PKEY *dbtest_private_key;

/* Another one, with an EC key, which is not stored anywhere. */
extern const char *dbtest_ec_certificate_pem;
extern EVP_PKEY *dbtest_ec_private_key;

/* A new test case whose tests have `pool` and a database of their own. */
TCase *dbtest_case(const char *name);

/* A connection string for the test's database as this role. */
const char *dbtest_conninfo(const char *role);

/* Connections to the test's database; opened when first asked for, closed after the test. */
udm_pg_t *dbtest_httpd(void);
udm_pg_t *dbtest_worker(void);
udm_pg_t *dbtest_admin(void);

/* As the superuser: runs SQL; returns the first column of the first row (NULL for NULL or none). */
void dbtest_exec(const char *sql);
const char *dbtest_value(const char *sql);

/* A principal that may do everything with the fixture's types. */
udm_principal_t *dbtest_principal(const char *ccid);
/* The same with rights for one type only. */
udm_principal_t *dbtest_principal_of(const char *ccid, const char *source, const char *type,
                                     bool read, bool write);
/* Who shows these good credentials, with all rights, as httpd finds it out; `key` or `claims` may be
 * NULL. */
udm_principal_t *dbtest_authenticated(const udm_apikey_t *key, const udm_token_claims_t *claims);
/* A good job of acme's UCS/Interaction that runs at once; the tests change what they are about. */
udm_job_t *dbtest_job(void);

/* Whether a notification has come in on the connection that listens. */
bool dbtest_notified(udm_pg_t *db);

/* Gives a job another schedule: schedulerParam as JSON with ' for ". */
void dbtest_schedule(udm_job_t *job, const char *json);

/* One run, in an hour. */
void dbtest_later(udm_job_t *job);
/* What to write beside what `who` does. */
const udm_audit_t *dbtest_audit(const udm_principal_t *who);

/* Ends every other connection to the test's database. */
void dbtest_kill_connections(void);

/* Fails the test, with the error's line, unless `error` is NULL. */
#define dbtest_ok(error) dbtest_ok_at((error), __FILE__, __LINE__)
void dbtest_ok_at(const udm_error_t *error, const char *file, int line);

/* Fails the test unless `error` is of this kind and its reason (or a fault) contains `words`. */
#define dbtest_fails(error, kind, words)                                                           \
    dbtest_fails_at((error), (kind), (words), __FILE__, __LINE__)
void dbtest_fails_at(const udm_error_t *error, udm_error_kind kind, const char *words,
                     const char *file, int line);

/* Fails the test unless the error has a fault at `pointer` that contains `words`. */
void dbtest_fault(const udm_error_t *error, const char *pointer, const char *words);

TCase *db_case(void);
TCase *session_case(void);
TCase *tenant_case(void);
TCase *catalog_case(void);
TCase *job_case(void);
TCase *job_many_case(void);
TCase *job_refused_case(void);
TCase *retry_case(void);
TCase *control_case(void);
TCase *control_states_case(void);
TCase *ends_case(void);
TCase *replace_case(void);
TCase *race_case(void);
TCase *file_case(void);
TCase *list_case(void);
TCase *list_pages_case(void);
TCase *list_cursor_case(void);
TCase *queue_case(void);
TCase *queue_claim_case(void);
TCase *queue_schedule_case(void);
TCase *turns_case(void);
TCase *quota_case(void);
TCase *quota_bytes_case(void);
TCase *purge_case(void);
TCase *source_case(void);
TCase *source_session_case(void);
TCase *source_slices_case(void);
TCase *source_trouble_case(void);
TCase *source_filter_case(void);
TCase *source_filter_hostile_case(void);
TCase *source_bytes_case(void);
TCase *source_hold_case(void);
TCase *source_steady_case(void);
TCase *source_terms_case(void);
TCase *export_case(void);
TCase *export_types_case(void);
TCase *export_limits_case(void);
TCase *export_attachments_case(void);
TCase *recurring_case(void);
TCase *recurring_window_case(void);
TCase *settle_case(void);
TCase *waits_case(void);

#endif
