/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_db.c: connections, statements, values on their way in and out, and errors.
 */
#include "dbtest.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>

#include "core/calendar.h"

/* Runs SQL with one parameter as httpd's role. */
static udm_result_t *query(const char *sql, const char *value)
{
    udm_result_t *result;

    dbtest_ok(udm_pg_query_text(&result, pool, dbtest_httpd(), sql, 1, &value));
    return result;
}

START_TEST(connects_with_defaults)
{
    udm_result_t *row = query("SELECT current_setting('application_name'), $1::text,"
                              " current_setting('client_encoding')",
                              NULL);

    ck_assert_str_eq(udm_result_text(row, 0, 0), "udm-test");
    ck_assert_str_eq(udm_result_text(row, 0, 2), "UTF8");
}
END_TEST

START_TEST(connects_as_the_string_says)
{
    const char *conninfo = apr_pstrcat(pool, dbtest_conninfo("udm_httpd"),
                                       " application_name=mine client_encoding=LATIN1", NULL);
    udm_result_t *row;
    udm_pg_t *db;

    dbtest_ok(udm_pg_connect(&db, pool, conninfo, "udm-test", UDM_E_DATABASE, NULL));
    dbtest_ok(udm_pg_query_text(&row, pool, db,
                                "SELECT current_setting('application_name'),"
                                " current_setting('client_encoding')",
                                0, NULL));
    ck_assert_str_eq(udm_result_text(row, 0, 0), "mine");
    ck_assert_str_eq(udm_result_text(row, 0, 1), "LATIN1");
}
END_TEST

START_TEST(closes_with_its_pool)
{
    const char *open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'closing'";
    apr_pool_t *own;
    udm_pg_t *db;
    int i;

    ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
    dbtest_ok(
        udm_pg_connect(&db, own, dbtest_conninfo("udm_httpd"), "closing", UDM_E_DATABASE, NULL));
    ck_assert_str_eq(dbtest_value(open), "1");
    apr_pool_destroy(own);
    for (i = 0; strcmp(dbtest_value(open), "0") != 0; i++) {
        ck_assert_int_lt(i, 100000);
    }
}
END_TEST

START_TEST(connection_errors_tell_nothing)
{
    udm_error_t *error;
    udm_pg_t *db;

    error = udm_pg_connect(&db, pool, "host=/nowhere dbname=d user=u password=sesame", "x",
                           UDM_E_DATABASE, NULL);
    dbtest_fails(error, UDM_E_DATABASE, "the database does not answer");
    ck_assert_ptr_null(db);
    ck_assert_ptr_null(strstr(error->reason, "nowhere"));
    ck_assert_ptr_nonnull(strstr(error->detail, "nowhere"));
    ck_assert_ptr_null(strstr(udm_error_line(pool, error), "sesame"));

    error = udm_pg_connect(&db, pool, "host=/nowhere", "x", UDM_E_SOURCE, NULL);
    dbtest_fails(error, UDM_E_SOURCE, "does not answer");

    error = udm_pg_connect(&db, pool, "password sesame", "x", UDM_E_DATABASE, NULL);
    dbtest_fails(error, UDM_E_DATABASE, "cannot be read");
    ck_assert_ptr_null(strstr(udm_error_line(pool, error), "sesame"));
}
END_TEST

START_TEST(reads_values)
{
    udm_result_t *row = query("SELECT $1::text, '', 42, -9007199254740993::bigint, true, false,"
                              " NULL::boolean, NULL::bigint, " UDM_PG_TIME("NULL::timestamptz"),
                              NULL);

    ck_assert_int_eq(row->rows, 1);
    ck_assert_ptr_null(udm_result_text(row, 0, 0));
    ck_assert_str_eq(udm_result_text(row, 0, 1), "");
    ck_assert_int_eq(udm_result_int(row, 0, 2), 42);
    ck_assert_int_eq(udm_result_int(row, 0, 3), -9007199254740993LL);
    ck_assert(udm_result_bool(row, 0, 4));
    ck_assert(!udm_result_bool(row, 0, 5));
    ck_assert(!udm_result_bool(row, 0, 6));
    ck_assert_int_eq(udm_result_int(row, 0, 7), 0);
    ck_assert(udm_result_time(row, 0, 8) == UDM_NO_TIME);
}
END_TEST

START_TEST(times_are_exact)
{
    static const char *const texts[] = {"1970-01-01T00:00:00.000000", "2026-11-24T06:07:08.123456",
                                        "1969-12-31T23:59:59.999999", "0001-01-01T00:00:00.000001",
                                        "9999-12-31T23:59:59.999999", "2255-06-05T23:47:34.740993"};
    size_t i;

    dbtest_ok(udm_pg_exec(pool, dbtest_httpd(), "SET TimeZone = 'Asia/Kolkata'"));
    for (i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        udm_result_t *row;
        apr_time_t when;

        ck_assert(udm_calendar_parse(&when, texts[i]));
        row =
            query("SELECT to_char(" UDM_PG_TIME_IN(
                      "$1") " AT TIME ZONE 'UTC',"
                            " 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), " UDM_PG_TIME(UDM_PG_TIME_IN("$1")),
                  udm_pg_time(pool, when));
        ck_assert_str_eq(udm_result_text(row, 0, 0), texts[i]);
        ck_assert(udm_result_time(row, 0, 1) == when);
    }
    ck_assert_ptr_null(udm_pg_time(pool, UDM_NO_TIME));
    ck_assert(PQgetisnull(query("SELECT " UDM_PG_TIME_IN("$1"), NULL)->result, 0, 0));
}
END_TEST

START_TEST(arrays_survive)
{
    static const char *const values[] = {"",           "plain",       "a,b", "{x}",
                                         "\"quoted\"", "back\\slash", " ",   "NULL",
                                         "it's",       "\xc3\xa4\n",  "$1"};
    apr_array_header_t *in = apr_array_make(pool, 4, sizeof(const char *));
    apr_array_header_t *out;
    size_t i;

    out = udm_result_array(pool, query("SELECT to_json($1::text[])::text", udm_pg_array(pool, in)),
                           0, 0);
    ck_assert_int_eq(out->nelts, 0);
    for (i = 0; i < sizeof(values) / sizeof(*values); i++) {
        APR_ARRAY_PUSH(in, const char *) = values[i];
    }
    out = udm_result_array(pool, query("SELECT to_json($1::text[])::text", udm_pg_array(pool, in)),
                           0, 0);
    ck_assert_int_eq(out->nelts, in->nelts);
    for (i = 0; i < sizeof(values) / sizeof(*values); i++) {
        ck_assert_str_eq(APR_ARRAY_IDX(out, i, const char *), values[i]);
    }
    out = udm_result_array(pool, query("SELECT to_json($1::text[])::text", NULL), 0, 0);
    ck_assert_int_eq(out->nelts, 0);
}
END_TEST

START_TEST(identifiers_are_quoted)
{
    const char *name = "a\"b; DROP TABLE x --";

    ck_assert_str_eq(udm_pg_identifier(pool, "plain"), "\"plain\"");
    dbtest_exec(
        apr_pstrcat(pool, "CREATE TABLE public.", udm_pg_identifier(pool, name), " (n int)", NULL));
    ck_assert_str_eq(dbtest_value("SELECT relname FROM pg_class WHERE relname LIKE 'a%b;%'"), name);
}
END_TEST

static const udm_statement_t add = {"udm_test_add", "SELECT $1::int + $2::int"};
static const udm_statement_t prepared = {
    "udm_test_prepared", "SELECT count(*) FROM pg_prepared_statements WHERE name = 'udm_test_add'"};

/* Runs `add` and checks its answer. */
static void run_add(udm_pg_t *db)
{
    const char *values[2] = {"2", "3"};
    udm_result_t *row;

    dbtest_ok(udm_pg_query(&row, pool, db, &add, 2, values));
    ck_assert_int_eq(udm_result_int(row, 0, 0), 5);
}

static apr_int64_t is_prepared(udm_pg_t *db)
{
    udm_result_t *row;

    dbtest_ok(udm_pg_query_text(&row, pool, db, prepared.sql, 0, NULL));
    return udm_result_int(row, 0, 0);
}

START_TEST(statements_stay_prepared)
{
    udm_pg_t *db = dbtest_httpd();

    ck_assert_int_eq(is_prepared(db), 0);
    run_add(db);
    ck_assert_int_eq(is_prepared(db), 1);
    run_add(db);
    ck_assert_int_eq(is_prepared(db), 1);
    dbtest_ok(udm_pg_exec(pool, db, "DEALLOCATE ALL"));
    run_add(db);
    ck_assert_int_eq(is_prepared(db), 1);
}
END_TEST

START_TEST(statements_work_in_transactions)
{
    udm_pg_t *db = dbtest_httpd();

    dbtest_ok(udm_pg_exec(pool, db, "BEGIN"));
    run_add(db);
    ck_assert_int_eq(is_prepared(db), 0);
    ck_assert_int_eq(PQtransactionStatus(db->conn), PQTRANS_INTRANS);
    dbtest_ok(udm_pg_exec(pool, db, "COMMIT"));
}
END_TEST

START_TEST(heals_after_a_reset)
{
    udm_pg_t *db = udm_pg_wrap(pool, dbtest_httpd()->conn);

    run_add(db);
    dbtest_kill_connections();
    {
        const char *values[2] = {"2", "3"};
        udm_result_t *row;

        dbtest_fails(udm_pg_query(&row, pool, db, &add, 2, values), UDM_E_DATABASE,
                     "the database does not answer");
        ck_assert_ptr_null(row);
    }
    PQreset(db->conn);
    run_add(db);
    ck_assert_int_eq(is_prepared(db), 1);
}
END_TEST

/* A wrong statement must not be taken for an unknown name, nor leave the connection in a state. */
START_TEST(bad_sql_is_internal)
{
    static const udm_statement_t wrong = {"udm_test_wrong", "SELECT nothing_of_the_kind"};
    udm_error_t *error;
    udm_result_t *row;

    error = udm_pg_query(&row, pool, dbtest_httpd(), &wrong, 0, NULL);
    dbtest_fails(error, UDM_E_INTERNAL, "the log says more");
    ck_assert_str_eq(error->sqlstate, "42703");
    ck_assert_ptr_null(strstr(error->reason, "nothing_of_the_kind"));
    ck_assert_ptr_nonnull(strstr(error->detail, "nothing_of_the_kind"));
    ck_assert_ptr_nonnull(strstr(error->detail, "udm_test_wrong"));
    run_add(dbtest_httpd());
}
END_TEST

/* Runs SQL that fails, as the superuser, and checks which error it makes. */
static udm_error_t *failing(const char *sql, udm_error_kind kind, const char *sqlstate)
{
    udm_pg_t *db = dbtest_admin();
    udm_error_t *error = udm_pg_exec(pool, db, sql);

    /* After some it is given up. */
    ck_assert(PQstatus(db->conn) == CONNECTION_OK || udm_pg_reset(db->conn));
    ck_assert_msg(error != NULL, "no error: %s", sql);
    ck_assert_msg(error->kind == kind, "kind %d: %s", (int)error->kind, sql);
    ck_assert_str_eq(error->sqlstate, sqlstate);
    ck_assert_ptr_null(strstr(error->reason, "ERROR"));
    ck_assert_ptr_null(strchr(error->detail, '\n'));
    return error;
}

/* Raises an error with this SQLSTATE. */
static const char *raise_sql(const char *sqlstate)
{
    return apr_psprintf(pool, "DO $$ BEGIN RAISE EXCEPTION 'raised' USING ERRCODE = '%s'; END $$",
                        sqlstate);
}

START_TEST(errors_by_sqlstate)
{
    static const char *const passing[] = {"08006", "08000", "53300", "53100", "57P01",
                                          "57P03", "40001", "40P01", "25006"};
    size_t i;

    for (i = 0; i < sizeof(passing) / sizeof(*passing); i++) {
        udm_error_t *error = failing(raise_sql(passing[i]), UDM_E_DATABASE, passing[i]);

        ck_assert_ptr_nonnull(strstr(error->reason, "try again later"));
        ck_assert_str_eq(error->detail, "raised");
    }
    failing(raise_sql("42501"), UDM_E_INTERNAL, "42501");
    failing(raise_sql("57000"), UDM_E_INTERNAL, "57000");
    failing(raise_sql("22P02"), UDM_E_INTERNAL, "22P02");
}
END_TEST

START_TEST(errors_that_really_happen)
{
    udm_error_t *error;

    error = failing("INSERT INTO udm.tenant (ccid, name) VALUES ('acme', 'again')", UDM_E_CONFLICT,
                    "23505");
    ck_assert_ptr_nonnull(strstr(error->detail, "tenant_pkey"));
    dbtest_exec("SET statement_timeout = 50");
    error = failing("SELECT pg_sleep(60)", UDM_E_DATABASE, "57014");
    ck_assert_ptr_nonnull(strstr(error->reason, "took too long"));
    dbtest_exec("SET statement_timeout = 0");

    dbtest_ok(udm_pg_exec(pool, dbtest_worker(), "BEGIN; UPDATE udm.job SET status = status"));
    failing("BEGIN; LOCK TABLE udm.job IN EXCLUSIVE MODE NOWAIT", UDM_E_DATABASE, "55P03");
    dbtest_exec("ROLLBACK");
    dbtest_ok(udm_pg_exec(pool, dbtest_worker(), "ROLLBACK"));

    dbtest_exec("SET default_transaction_read_only = on");
    failing("INSERT INTO udm.tenant (ccid, name) VALUES ('new', 'new')", UDM_E_DATABASE, "25006");
}
END_TEST

START_TEST(copy_is_no_answer)
{
    udm_error_t *error = udm_pg_exec(pool, dbtest_admin(), "COPY udm.tenant TO STDOUT");

    dbtest_fails(error, UDM_E_INTERNAL, "not expected");
}
END_TEST

START_TEST(lost_connection_is_database)
{
    udm_pg_t *db = dbtest_httpd();
    udm_error_t *error;

    dbtest_kill_connections();
    error = udm_pg_exec(pool, db, "SELECT 1");
    dbtest_fails(error, UDM_E_DATABASE, "does not answer");
    error = udm_pg_exec(pool, db, "SELECT 1");
    dbtest_fails(error, UDM_E_DATABASE, "does not answer");
    dbtest_fails(udm_pg_error(pool, db, NULL), UDM_E_DATABASE, "does not answer");
}
END_TEST

/*
 * A server that lets one client in, waits until it is told to, says as its last words what PostgreSQL
 * says when another of its processes has crashed, and is gone.
 */
static void serve_once(int listener, int told)
{
    static const char welcome[] = "R\0\0\0\10\0\0\0\0Z\0\0\0\5I";
    static const char last_words[] = "N\0\0\0\45SWARNING\0C57P02\0Mgoing away now\0";
    char startup[1024];
    int client = accept(listener, NULL, NULL);

    if (client < 0 || read(client, startup, sizeof(startup)) <= 0 ||
        write(client, welcome, sizeof(welcome) - 1) < 0 || read(told, startup, 1) != 1 ||
        write(client, last_words, sizeof(last_words)) < 0) {
        _exit(1);
    }
    _exit(0);
}

START_TEST(last_words_are_no_answer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char directory[] = "/tmp/udm-db-XXXXXX";
    int told[2], status;
    udm_error_t *error;
    udm_pg_t *broken;
    int listener;
    pid_t server;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    apr_snprintf(address.sun_path, sizeof(address.sun_path), "%s/.s.PGSQL.5432", directory);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(pipe(told), 0);
    server = fork();
    if (server == 0) {
        serve_once(listener, told[0]);
    }
    close(listener);
    error = udm_pg_connect(
        &broken, pool, apr_pstrcat(pool, "host=", directory, " port=5432 user=x dbname=x", NULL),
        "udm-test", UDM_E_DATABASE, NULL);
    unlink(address.sun_path);
    rmdir(directory);
    dbtest_ok(error);
    ck_assert_int_eq(write(told[1], "", 1), 1);
    ck_assert_int_eq(waitpid(server, &status, 0), server);
    ck_assert_int_eq(status, 0);
    dbtest_fails(udm_pg_exec(pool, broken, "SELECT 1"), UDM_E_DATABASE, "does not answer");
    ck_assert_int_eq(PQstatus(broken->conn), CONNECTION_BAD);
}
END_TEST

/* The roles that the programs connect as can do no more than they need. */
START_TEST(roles_are_narrow)
{
    static const char *const httpd[] = {"UPDATE udm.audit SET subject = NULL",
                                        "DELETE FROM udm.audit",
                                        "UPDATE udm.api_key SET revoked_at = NULL",
                                        "INSERT INTO udm.tenant VALUES ('x', 'x')",
                                        "SELECT * FROM demo.interaction",
                                        "SELECT udm.create_api_key('acme', 'x', '{*}')"};
    static const char *const worker[] = {"SELECT * FROM udm.api_key", "DELETE FROM udm.audit",
                                         "SELECT * FROM demo.interaction",
                                         "UPDATE udm.certificate SET pem = ''"};
    size_t i;

    for (i = 0; i < sizeof(httpd) / sizeof(*httpd); i++) {
        udm_error_t *error = udm_pg_exec(pool, dbtest_httpd(), httpd[i]);

        ck_assert_msg(error && strcmp(error->sqlstate, "42501") == 0, "httpd: %s", httpd[i]);
    }
    for (i = 0; i < sizeof(worker) / sizeof(*worker); i++) {
        udm_error_t *error = udm_pg_exec(pool, dbtest_worker(), worker[i]);

        ck_assert_msg(error && strcmp(error->sqlstate, "42501") == 0, "worker: %s", worker[i]);
    }
}
END_TEST

TCase *db_case(void)
{
    TCase *tc = dbtest_case("db");

    tcase_add_test(tc, connects_with_defaults);
    tcase_add_test(tc, connects_as_the_string_says);
    tcase_add_test(tc, closes_with_its_pool);
    tcase_add_test(tc, connection_errors_tell_nothing);
    tcase_add_test(tc, reads_values);
    tcase_add_test(tc, times_are_exact);
    tcase_add_test(tc, arrays_survive);
    tcase_add_test(tc, identifiers_are_quoted);
    tcase_add_test(tc, statements_stay_prepared);
    tcase_add_test(tc, statements_work_in_transactions);
    tcase_add_test(tc, heals_after_a_reset);
    tcase_add_test(tc, bad_sql_is_internal);
    tcase_add_test(tc, errors_by_sqlstate);
    tcase_add_test(tc, errors_that_really_happen);
    tcase_add_test(tc, copy_is_no_answer);
    tcase_add_test(tc, lost_connection_is_database);
    tcase_add_test(tc, last_words_are_no_answer);
    tcase_add_test(tc, roles_are_narrow);
    return tc;
}
