/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: runs the database tests in a scratch cluster, and is the support of them all;
 * CK_RUN_CASE=name in the environment runs one case. Exits with 77 (skipped) without UDM_TEST_DSN.
 *
 * One database gets the migrations and the fixture; each test works in a copy of it.
 */
#include "dbtest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "core/calendar.h"

#define EXIT_SKIPPED 77

apr_pool_t *pool;
const char *dbtest_certificate_pem;
const char *dbtest_ec_certificate_pem;
EVP_PKEY *dbtest_ec_private_key;
EVP_PKEY *dbtest_private_key;

/* Set once by main: the database that is copied, and the superuser's string. */
static const char *dsn;
static const char *template_name;

/* Of the running test. */
static const char *database;
static udm_pg_t *httpd_db, *worker_db, *admin_db;

static const char fixture[] =
    "SELECT udm.create_tenant('acme', 'Acme'), udm.create_tenant('other', 'Other');"
    "CREATE SCHEMA demo;"
    "CREATE TABLE demo.interaction (id text, ccid text, start_date timestamptz, entity_type "
    "integer,"
    " media_type text, subject text, duration integer);"
    "INSERT INTO demo.interaction SELECT 'ixn' || n, CASE WHEN n <= 6 THEN 'acme' ELSE 'other' END,"
    " CASE WHEN n <> 6 THEN timestamptz '2026-01-01 00:00Z' + n * interval '1 day' END,"
    " (ARRAY[0, 2, 3])[1 + n % 3], (ARRAY['email', 'chat', 'voice'])[1 + n % 3], 'subject ' || n,"
    " n * 10 FROM generate_series(1, 9) n;"
    "CREATE TABLE demo.document (id text, ccid text, entityid text, name text, mimetype text,"
    " content bytea);"
    "INSERT INTO demo.document SELECT 'doc' || n, CASE WHEN n <= 6 THEN 'acme' ELSE 'other' END,"
    " 'ixn' || n, 'file' || n || '.txt', 'text/plain', convert_to('content ' || n, 'UTF8')"
    " FROM generate_series(1, 9, 3) n;"
    "CREATE TABLE demo.contact (id bigint, ccid text, created timestamptz, name text);"
    "INSERT INTO demo.contact SELECT n, CASE WHEN n <= 3 THEN 'acme' ELSE 'other' END,"
    " timestamptz '2026-01-01 00:00Z' + n * interval '1 day', 'name ' || n"
    " FROM generate_series(1, 5) n;"
    "CREATE TABLE demo.task (id integer, title text);"
    "INSERT INTO demo.task SELECT n, 'task ' || n FROM generate_series(1, 4) n;"
    "SELECT udm.register_source('UCS', 'UCS', connection => 'demo', alias => 'Contact History'),"
    " udm.register_source('UCSX', 'UCS', layout => 'records', connection => 'demo'),"
    " udm.register_source('iWD', 'DataSync', connection => 'demo', label => 'Workload');"
    "SELECT udm.register_type(s, 'Interaction', 'demo.interaction', 'id', tenant_column => 'ccid',"
    " time_column => 'start_date', subtype_column => 'entity_type', media_column => 'media_type')"
    " FROM unnest(ARRAY['UCS', 'UCSX']) s;"
    "SELECT udm.register_type('UCS', 'Contact', 'demo.contact', 'id', tenant_column => 'ccid',"
    " time_column => 'created');"
    "SELECT udm.register_type('iWD', 'Task', 'demo.task', 'id', tenants => ARRAY['acme']);"
    "SELECT udm.register_attachments(s, 'Interaction', 'demo.document', 'id', 'entityid', 'name',"
    " 'mimetype', 'content', 'ccid') FROM unnest(ARRAY['UCS', 'UCSX']) s;"
    "SELECT udm.register_sub_type(s, 'Interaction', v, n) FROM unnest(ARRAY['UCS', 'UCSX']) s,"
    " (VALUES ('0', 'EMAIL_IN'), ('2', 'CHAT'), ('3', 'PHONE_CALL')) x (v, n);"
    "SELECT udm.register_media(s, 'Interaction', v, n) FROM unnest(ARRAY['UCS', 'UCSX']) s,"
    " (VALUES ('email', 'Email'), ('chat', 'Chat'), ('voice', 'Voice')) x (v, n);"
    "INSERT INTO udm.role (name, may_read, may_write) VALUES ('Reader', true, false);"
    "INSERT INTO udm.role_grant (role, family) VALUES ('Reader', 'UCS');"
    "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'udm_test_reader') THEN"
    " CREATE ROLE udm_test_reader LOGIN NOSUPERUSER; END IF; END $$;"
    "GRANT USAGE ON SCHEMA demo TO udm_test_reader;"
    "GRANT SELECT ON ALL TABLES IN SCHEMA demo TO udm_test_reader;";

/* A value of a connection string, quoted. */
static const char *quote_value(apr_pool_t *p, const char *value)
{
    char *quoted = apr_palloc(p, 2 * strlen(value) + 3);
    char *out = quoted;

    *out++ = '\'';
    for (; *value; value++) {
        if (*value == '\'' || *value == '\\') {
            *out++ = '\\';
        }
        *out++ = *value;
    }
    *out++ = '\'';
    *out = '\0';
    return quoted;
}

/* The superuser's string with another database, and another role unless that is NULL. */
static const char *conninfo_for(apr_pool_t *p, const char *role, const char *dbname)
{
    PQconninfoOption *options = PQconninfoParse(dsn, NULL);
    const char *text = apr_pstrcat(p, "dbname=", quote_value(p, dbname), NULL);
    PQconninfoOption *o;

    for (o = options; o && o->keyword; o++) {
        if (o->val && strcmp(o->keyword, "dbname") != 0 &&
            !(role && strcmp(o->keyword, "user") == 0)) {
            text = apr_pstrcat(p, text, " ", o->keyword, "=", quote_value(p, o->val), NULL);
        }
    }
    PQconninfoFree(options);
    return role ? apr_pstrcat(p, text, " user=", quote_value(p, role), NULL) : text;
}

/* Runs SQL in a database that is not the test's; outside a test there is no assertion to fail. */
static bool run_sql(apr_pool_t *p, const char *conninfo, const char *sql)
{
    udm_error_t *error;
    apr_pool_t *own;
    udm_pg_t *db;

    if (apr_pool_create(&own, p) != APR_SUCCESS) {
        return false;
    }
    error = udm_pg_connect(&db, own, conninfo, "udm-test", UDM_E_DATABASE, NULL);
    if (!error) {
        error = udm_pg_exec(own, db, sql);
    }
    if (error) {
        fprintf(stderr, "tests/db: %s\n", udm_error_line(own, error));
        error = udm_error_copy(p, error);
    }
    apr_pool_destroy(own);
    return !error;
}

static void setup(void)
{
    apr_pool_t *p;

    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&p, pool), APR_SUCCESS);
    database = apr_psprintf(pool, "%s_%ld", template_name, (long)getpid());
    ck_assert(run_sql(p, dsn,
                      apr_psprintf(p, "CREATE DATABASE %s TEMPLATE %s", database, template_name)));
    apr_pool_destroy(p);
}

static void teardown(void)
{
    apr_pool_t *p;

    ck_assert_int_eq(apr_pool_create(&p, NULL), APR_SUCCESS);
    database = apr_pstrdup(p, database);
    apr_pool_destroy(pool);
    httpd_db = worker_db = admin_db = NULL;
    ck_assert(run_sql(p, dsn, apr_psprintf(p, "DROP DATABASE %s WITH (FORCE)", database)));
    apr_pool_destroy(p);
    pool = NULL;
}

TCase *dbtest_case(const char *name)
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, setup, teardown);
    return tc;
}

const char *dbtest_conninfo(const char *role)
{
    return conninfo_for(pool, role, database);
}

/* The cached connection, or a new one. */
static udm_pg_t *connection(udm_pg_t **db, const char *role)
{
    if (!*db) {
        dbtest_ok(
            udm_pg_connect(db, pool, dbtest_conninfo(role), "udm-test", UDM_E_DATABASE, NULL));
    }
    return *db;
}

udm_pg_t *dbtest_httpd(void)
{
    return connection(&httpd_db, "udm_httpd");
}

udm_pg_t *dbtest_worker(void)
{
    return connection(&worker_db, "udm_worker");
}

udm_pg_t *dbtest_admin(void)
{
    return connection(&admin_db, NULL);
}

void dbtest_exec(const char *sql)
{
    dbtest_ok(udm_pg_exec(pool, dbtest_admin(), sql));
}

const char *dbtest_value(const char *sql)
{
    udm_result_t *result;

    dbtest_ok(udm_pg_query_text(&result, pool, dbtest_admin(), sql, 0, NULL));
    return result->rows > 0 ? udm_result_text(result, 0, 0) : NULL;
}

/* Adds one right. */
static void grant(udm_principal_t *who, const char *source, const char *type, bool read, bool write)
{
    udm_right_t *right = apr_array_push(who->rights);

    right->source = source;
    right->type = type;
    right->read = read;
    right->write = write;
}

udm_principal_t *dbtest_principal_of(const char *ccid, const char *source, const char *type,
                                     bool read, bool write)
{
    udm_principal_t *who = apr_pcalloc(pool, sizeof(*who));

    who->ccid = ccid;
    who->subject = "tester";
    who->rights = apr_array_make(pool, 4, sizeof(udm_right_t));
    who->roles = apr_array_make(pool, 1, sizeof(const char *));
    who->certificate = true;
    grant(who, source, type, read, write);
    return who;
}

udm_principal_t *dbtest_principal(const char *ccid)
{
    udm_principal_t *who = dbtest_principal_of(ccid, "UCS", "Interaction", true, true);

    grant(who, "UCS", "Contact", true, true);
    grant(who, "UCSX", "Interaction", true, true);
    grant(who, "iWD", "Task", true, true);
    return who;
}

udm_job_t *dbtest_job(void)
{
    udm_job_t *job = apr_pcalloc(pool, sizeof(*job));

    job->family = "UCS";
    job->source = "UCS";
    job->type = "Interaction";
    job->title = "All of it";
    job->time_all = true;
    job->date_from = job->date_to = UDM_NO_TIME;
    job->media = apr_array_make(pool, 2, sizeof(const char *));
    job->filters = apr_array_make(pool, 2, sizeof(udm_job_filter_t));
    dbtest_schedule(job, "{'immediately':true}");
    return job;
}

void dbtest_schedule(udm_job_t *job, const char *json)
{
    udm_error_t *error = NULL;
    json_t *parsed;
    char *text = apr_pstrdup(pool, json);
    char *c;

    for (c = text; *c; c++) {
        *c = (char)(*c == '\'' ? '"' : *c);
    }
    parsed = json_loads(text, JSON_DECODE_INT_AS_REAL, NULL);
    ck_assert_ptr_nonnull(parsed);
    job->schedule_json = text;
    job->schedule_since = apr_time_now();
    ck_assert(udm_schedule_parse(&job->schedule, &error, pool, "", parsed, job->schedule_since));
    job->schedule_type = udm_schedule_type_of(&job->schedule);
    json_decref(parsed);
}

void dbtest_later(udm_job_t *job)
{
    dbtest_schedule(
        job, apr_psprintf(pool, "{'startDate':'%s'}",
                          udm_calendar_text(pool, apr_time_now() + apr_time_from_sec(3600))));
}

udm_principal_t *dbtest_authenticated(const udm_apikey_t *key, const udm_token_claims_t *claims)
{
    udm_credentials_t shown = {.pool = pool, .key = key, .claims = claims};

    dbtest_ok(
        udm_tenant_credentials(pool, dbtest_httpd(), (udm_credentials_t *const[]){&shown}, 1));
    dbtest_ok(shown.error);
    dbtest_ok(udm_tenant_rights(pool, dbtest_httpd(), &shown));
    if (shown.use_is_news) {
        dbtest_ok(udm_tenant_key_used(pool, dbtest_httpd(), key));
    }
    return shown.who;
}

bool dbtest_notified(udm_pg_t *db)
{
    PGnotify *notification;
    bool any = false;

    dbtest_ok(udm_pg_exec(pool, db, "SELECT 1"));
    while ((notification = PQnotifies(db->conn)) != NULL) {
        PQfreemem(notification);
        any = true;
    }
    return any;
}

const udm_audit_t *dbtest_audit(const udm_principal_t *who)
{
    udm_audit_t *audit = apr_pcalloc(pool, sizeof(*audit));

    audit->who = who;
    audit->client_address = "192.0.2.1";
    audit->request_id = "request-1";
    return audit;
}

void dbtest_kill_connections(void)
{
    udm_pg_t *db;
    udm_result_t *result;
    apr_pool_t *p;

    ck_assert_int_eq(apr_pool_create(&p, pool), APR_SUCCESS);
    dbtest_ok(udm_pg_connect(&db, p, dbtest_conninfo(NULL), "udm-test", UDM_E_DATABASE, NULL));
    /* Waits up to five seconds for each, so that they are gone when this returns. */
    dbtest_ok(udm_pg_query_text(&result, p, db,
                                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                                " WHERE datname = current_database()"
                                " AND pid <> pg_backend_pid()",
                                0, NULL));
    apr_pool_destroy(p);
}

void dbtest_ok_at(const udm_error_t *error, const char *file, int line)
{
    if (error) {
        const udm_fault_t *fault = error->faults && error->faults->nelts > 0
                                       ? (const udm_fault_t *)error->faults->elts
                                       : NULL;

        ck_abort_msg("%s:%d: %s %s %s", file, line, udm_error_line(pool, error),
                     fault ? fault->pointer : "", fault ? fault->detail : "");
    }
}

void dbtest_fails_at(const udm_error_t *error, udm_error_kind kind, const char *words,
                     const char *file, int line)
{
    int i;

    if (!error) {
        ck_abort_msg("%s:%d: no error; expected: %s", file, line, words);
    }
    if (error->kind != kind) {
        ck_abort_msg("%s:%d: error of kind %d, expected %d: %s", file, line, (int)error->kind,
                     (int)kind, udm_error_line(pool, error));
    }
    for (i = 0; error->faults && i < error->faults->nelts; i++) {
        if (strstr(APR_ARRAY_IDX(error->faults, i, udm_fault_t).detail, words)) {
            return;
        }
    }
    if (!strstr(error->reason, words)) {
        ck_abort_msg("%s:%d: '%s' does not say '%s'", file, line, udm_error_line(pool, error),
                     words);
    }
}

void dbtest_fault(const udm_error_t *error, const char *pointer, const char *words)
{
    const char *all = "";
    int i;

    ck_assert_ptr_nonnull(error);
    ck_assert_int_eq(error->kind, UDM_E_INVALID);
    for (i = 0; error->faults && i < error->faults->nelts; i++) {
        const udm_fault_t *fault = &APR_ARRAY_IDX(error->faults, i, udm_fault_t);

        if (strcmp(fault->pointer, pointer) == 0 && strstr(fault->detail, words)) {
            return;
        }
        all = apr_pstrcat(pool, all, "\n  ", fault->pointer, ": ", fault->detail, NULL);
    }
    ck_abort_msg("no fault at %s that says '%s'; there are:%s", pointer, words, all);
}

/* A self-signed certificate for a key, valid from an hour ago for ten years. */
static bool make_certificate(const char **pem, apr_pool_t *p, EVP_PKEY *key)
{
    X509 *x509 = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    X509_NAME *name = X509_get_subject_name(x509);
    char *text;
    long size;
    bool good;

    good = key && X509_set_version(x509, 2) && ASN1_INTEGER_set(X509_get_serialNumber(x509), 1) &&
           X509_gmtime_adj(X509_getm_notBefore(x509), -3600) &&
           X509_gmtime_adj(X509_getm_notAfter(x509), 3650L * 86400) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"acme", -1,
                                      -1, 0) &&
           X509_set_issuer_name(x509, name) && X509_set_pubkey(x509, key) &&
           X509_sign(x509, key, EVP_sha256()) && PEM_write_bio_X509(bio, x509);
    size = BIO_get_mem_data(bio, &text);
    if (good) {
        *pem = apr_pstrmemdup(p, text, (apr_size_t)size);
    }
    BIO_free(bio);
    X509_free(x509);
    return good;
}

/* Runs the migrations' own program, so that the tests see what an admin gets. */
static bool migrate(apr_pool_t *p)
{
    const char *srcdir = getenv("srcdir");
    const char *program = getenv("UDM_TEST_MIGRATE");
    const char *conninfo = conninfo_for(p, NULL, template_name);
    int status = -1;
    pid_t pid;

    if (!program) {
        program = apr_pstrcat(p, srcdir ? srcdir : ".", "/sql/udm-migrate", NULL);
    }
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stdout)) {
            _exit(126);
        }
        execlp("sh", "sh", program, conninfo, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "tests/db: %s failed\n", program);
        return false;
    }
    return true;
}

/* The database that the tests copy. */
static bool make_template(apr_pool_t *p)
{
    const char *sql =
        apr_psprintf(p,
                     "%s INSERT INTO udm.certificate (ccid, name, pem, size,"
                     " fingerprint, not_before, not_after) VALUES ('acme', 'acme.pem',"
                     " '%s', %d, repeat('ab', 32), now() - interval '1 hour', now() +"
                     " interval '10 years')",
                     fixture, dbtest_certificate_pem, (int)strlen(dbtest_certificate_pem));

    return run_sql(p, dsn,
                   apr_psprintf(p, "CREATE DATABASE %s ENCODING 'UTF8' TEMPLATE template0",
                                template_name)) &&
           migrate(p) && run_sql(p, conninfo_for(p, NULL, template_name), sql);
}

/* Removes the template and what a crashed test left behind. */
static void drop_databases(apr_pool_t *p)
{
    udm_result_t *rows;
    udm_pg_t *db;
    int i;

    if (udm_pg_connect(&db, p, dsn, "udm-test", UDM_E_DATABASE, NULL) ||
        udm_pg_query_text(&rows, p, db,
                          "SELECT datname FROM pg_database"
                          " WHERE datname = $1 OR starts_with(datname, $1 || '_')",
                          1, &template_name)) {
        return;
    }
    for (i = 0; i < rows->rows; i++) {
        udm_pg_exec(p, db,
                    apr_psprintf(p, "DROP DATABASE %s WITH (FORCE)",
                                 udm_pg_identifier(p, udm_result_text(rows, i, 0))));
    }
}

int main(void)
{
    Suite *suite;
    SRunner *runner;
    apr_pool_t *p;
    int failed = 1;

    dsn = getenv("UDM_TEST_DSN");
    if (!dsn || !*dsn) {
        fprintf(stderr, "tests/db: skipped: UDM_TEST_DSN is not set\n");
        return EXIT_SKIPPED;
    }
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&p, NULL) != APR_SUCCESS) {
        return EXIT_FAILURE;
    }
    template_name = apr_psprintf(p, "udm_test_%ld", (long)getpid());
    dbtest_private_key = EVP_RSA_gen(2048);
    dbtest_ec_private_key = EVP_EC_gen("P-256");
    if (make_certificate(&dbtest_certificate_pem, p, dbtest_private_key) &&
        make_certificate(&dbtest_ec_certificate_pem, p, dbtest_ec_private_key) &&
        make_template(p)) {
        suite = suite_create("db");
        suite_add_tcase(suite, db_case());
        suite_add_tcase(suite, session_case());
        suite_add_tcase(suite, tenant_case());
        suite_add_tcase(suite, catalog_case());
        suite_add_tcase(suite, job_case());
        suite_add_tcase(suite, job_many_case());
        suite_add_tcase(suite, job_refused_case());
        suite_add_tcase(suite, retry_case());
        suite_add_tcase(suite, control_case());
        suite_add_tcase(suite, control_states_case());
        suite_add_tcase(suite, ends_case());
        suite_add_tcase(suite, replace_case());
        suite_add_tcase(suite, race_case());
        suite_add_tcase(suite, file_case());
        suite_add_tcase(suite, list_case());
        suite_add_tcase(suite, list_pages_case());
        suite_add_tcase(suite, list_cursor_case());
        suite_add_tcase(suite, queue_case());
        suite_add_tcase(suite, queue_claim_case());
        suite_add_tcase(suite, queue_schedule_case());
        suite_add_tcase(suite, turns_case());
        suite_add_tcase(suite, quota_case());
        suite_add_tcase(suite, quota_bytes_case());
        suite_add_tcase(suite, purge_case());
        suite_add_tcase(suite, source_case());
        suite_add_tcase(suite, source_session_case());
        suite_add_tcase(suite, source_slices_case());
        suite_add_tcase(suite, source_trouble_case());
        suite_add_tcase(suite, source_bytes_case());
        suite_add_tcase(suite, source_hold_case());
        suite_add_tcase(suite, source_steady_case());
        suite_add_tcase(suite, source_terms_case());
        suite_add_tcase(suite, source_filter_case());
        suite_add_tcase(suite, source_filter_hostile_case());
        suite_add_tcase(suite, export_case());
        suite_add_tcase(suite, export_types_case());
        suite_add_tcase(suite, export_limits_case());
        suite_add_tcase(suite, export_attachments_case());
        suite_add_tcase(suite, recurring_case());
        suite_add_tcase(suite, recurring_window_case());
        suite_add_tcase(suite, settle_case());
        suite_add_tcase(suite, waits_case());
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
    }
    drop_databases(p);
    EVP_PKEY_free(dbtest_private_key);
    apr_pool_destroy(p);
    apr_terminate();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
