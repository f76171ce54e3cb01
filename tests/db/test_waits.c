/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_waits.c: no wait for PostgreSQL is without an end, and nobody is left on a server that takes no
 * changes any more.
 */
#include "dbtest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_strings.h>

#include "core/calendar.h"
#include "db/installation.h"
#include "db/job.h"
#include "queuetest.h"

#define SHORT 300 /* ms of patience, where the other side never answers */

static udm_pg_t *opened(const char *conninfo)
{
    udm_pg_t *db;

    dbtest_ok(udm_pg_connect(&db, pool, conninfo, "udm-test", UDM_E_DATABASE, NULL));
    return db;
}

/* A port of 127.0.0.1 at which connections are made and nobody answers. */
static int silent(int *listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(*listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(*listener, 8), 0);
    ck_assert_int_eq(getsockname(*listener, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin_port);
}

/* ---- answers ---- */

/* A backend that is frozen, as by a debugger or a full disk below it. */
START_TEST(a_frozen_server_is_not_waited_for)
{
    static const udm_statement_t prepared = {"udm_test_waits", "SELECT 1"};
    udm_pg_t *db = opened(dbtest_conninfo(NULL));
    pid_t backend = PQbackendPID(db->conn);
    udm_result_t *result;
    udm_error_t *error;

    dbtest_ok(udm_pg_exec(pool, db, "SELECT 1"));
    db->patience = SHORT;
    ck_assert_int_eq(kill(backend, SIGSTOP), 0);
    if (_i == 0) {
        error = udm_pg_exec(pool, db, "SELECT 1");
    }
    else if (_i == 1) {
        error = udm_pg_query(&result, pool, db, &prepared, 0, NULL);
    }
    else {
        /* More than any socket takes, so that already the sending would wait. */
        const char *large =
            apr_pstrcat(pool, "SELECT length('",
                        memset(apr_pcalloc(pool, 8 << 20), 'x', (8 << 20) - 1), "')", NULL);

        error = udm_pg_query_text(&result, pool, db, large, 0, NULL);
    }
    ck_assert_int_eq(kill(backend, SIGCONT), 0);
    dbtest_fails(error, UDM_E_DATABASE, "does not answer");
    ck_assert_ptr_nonnull(strstr(error->detail, "no answer within"));
    /* Its late answer is nobody's. */
    ck_assert_int_eq(PQstatus(db->conn), CONNECTION_BAD);
    dbtest_fails(udm_pg_exec(pool, db, "SELECT 1"), UDM_E_DATABASE, "does not answer");
    ck_assert(udm_pg_reset(db->conn));
    dbtest_ok(udm_pg_exec(pool, udm_pg_wrap(pool, db->conn), "SELECT 1"));
}
END_TEST

/* What takes longer than that is no fault where no limit is meant. */
START_TEST(without_a_limit_it_takes_as_long_as_it_takes)
{
    udm_pg_t *db = opened(dbtest_conninfo(NULL));
    udm_result_t *result;

    db->patience = 0;
    dbtest_ok(udm_pg_query_text(&result, pool, db, "SELECT pg_sleep(0.5), 7", 0, NULL));
    ck_assert_int_eq(udm_result_int(result, 0, 1), 7);
}
END_TEST

/* ---- connections ---- */

START_TEST(a_host_that_does_not_answer_is_left)
{
    udm_error_t *error;
    udm_pg_t *db;
    int listener;
    int port = silent(&listener);

    error = udm_pg_connect(
        &db, pool,
        apr_psprintf(pool, "host=127.0.0.1 port=%d user=x dbname=x connect_timeout=1", port),
        "udm-test", UDM_E_DATABASE, NULL);
    dbtest_fails(error, UDM_E_DATABASE, "does not answer");
    ck_assert_ptr_nonnull(strstr(error->detail, "no connection within 1000 ms"));
    close(listener);
}
END_TEST

/* The other hosts are tried, whichever of them it is that does not answer. */
START_TEST(the_next_host_is_tried)
{
    const char *socket_dir = dbtest_value("SHOW unix_socket_directories");
    const char *name = dbtest_value("SELECT current_database()");
    int listener;
    int port = silent(&listener);
    udm_pg_t *db;

    db = opened(apr_psprintf(pool,
                             _i == 0 ? "host='127.0.0.1,%s' port=%d,5432 user=udm_worker dbname=%s "
                                       "connect_timeout=1 target_session_attrs=read-write"
                                     : "host='/nowhere,%s' port=5432 application_name=%d "
                                       "user=udm_worker dbname=%s",
                             socket_dir, port, name));
    if (_i == 0) {
        ck_assert_str_eq(PQport(db->conn), "5432");
    }
    ck_assert_str_eq(PQhost(db->conn), socket_dir);
    close(listener);
}
END_TEST

static void *raise_when_dialled(void *data)
{
    void *const *both = data;
    int *listener = both[1];

    ck_assert_int_ge(accept(*listener, NULL, NULL), 0);
    udm_stop_raise(both[0]);
    return NULL;
}

START_TEST(a_connect_hears_stop)
{
    udm_stop_t *stop = apr_palloc(pool, sizeof(*stop));
    pthread_t thread;
    udm_pg_t *db;
    int listener;
    int port = silent(&listener);
    void *both[] = {stop, &listener};

    dbtest_ok(udm_stop_make(stop, pool));
    ck_assert_int_eq(pthread_create(&thread, NULL, raise_when_dialled, both), 0);
    /* Without it this would take longer than a test may. */
    dbtest_fails(udm_pg_connect(&db, pool,
                                apr_psprintf(pool,
                                             "host=127.0.0.1,127.0.0.1,127.0.0.1 port=%d user=x "
                                             "dbname=x connect_timeout=60",
                                             port),
                                "udm-test", UDM_E_SOURCE, stop),
                 UDM_E_STOPPED, "");
    pthread_join(thread, NULL);
    close(listener);
}
END_TEST

/* ---- a server that is not the one any more ---- */

START_TEST(a_server_that_takes_no_changes_is_left)
{
    udm_pg_t *db = opened(dbtest_conninfo(NULL));
    udm_error_t *error;

    dbtest_ok(udm_pg_exec(pool, db, "SET default_transaction_read_only = on"));
    if (_i == 0) {
        error = udm_pg_exec(pool, db, "UPDATE udm.tenant SET ccid = ccid");
    }
    else {
        udm_result_t *result;

        error = udm_pg_query_text(&result, pool, db, "UPDATE udm.tenant SET ccid = ccid", 0, NULL);
    }
    dbtest_fails(error, UDM_E_DATABASE, "does not answer");
    ck_assert_str_eq(error->sqlstate, "25006");
    ck_assert_int_eq(PQstatus(db->conn), CONNECTION_BAD);
}
END_TEST

/* A source is read only, and what a view wants to change there is the view's fault. */
START_TEST(a_source_is_not_left_for_that)
{
    udm_pg_t *db;

    dbtest_ok(udm_pg_connect(&db, pool, dbtest_conninfo(NULL), "udm-test", UDM_E_SOURCE, NULL));
    dbtest_ok(udm_pg_exec(pool, db, "SET default_transaction_read_only = on"));
    dbtest_fails(udm_pg_exec(pool, db, "UPDATE udm.tenant SET ccid = ccid"), UDM_E_DATABASE, "");
    ck_assert_int_eq(PQstatus(db->conn), CONNECTION_OK);
}
END_TEST

/* Who only reads finds out, too, where the connection string says which server is meant. */
START_TEST(readers_leave_it_as_well)
{
    static const char *const wanted[] = {"read-write", "any", "primary"};
    udm_pg_t *db = opened(apr_pstrcat(pool, dbtest_conninfo("udm_httpd"),
                                      " target_session_attrs=", wanted[_i], NULL));
    udm_error_t *error;

    dbtest_ok(udm_installation_check(pool, db));
    dbtest_ok(udm_pg_exec(pool, db, "SET default_transaction_read_only = on"));
    udm_session_set_checked(db->session, 0);
    error = udm_installation_check(pool, db);
    if (_i == 0) {
        dbtest_fails(error, UDM_E_DATABASE, "does not answer");
        ck_assert_int_eq(PQstatus(db->conn), CONNECTION_BAD);
    }
    else {
        /* It is a primary, if one that takes no changes. */
        dbtest_ok(error);
    }
}
END_TEST

/* ---- times without an end ---- */

/* What an administrator may well write: never, and always. */
START_TEST(infinite_times_are_times)
{
    udm_result_t *row;
    int i;
    static const char *const times[] = {"infinity", "-infinity", "294276-12-31 23:59+00",
                                        "4713-01-01 00:00 BC"};

    for (i = 0; i < 4; i++) {
        dbtest_ok(
            udm_pg_query_text(&row, pool, dbtest_admin(),
                              apr_psprintf(pool,
                                           "SELECT " UDM_PG_TIME("x.at") "," UDM_PG_TIME_LEFT(
                                               "x.at") " FROM (SELECT '%s'::timestamptz AS at) x",
                                           times[i]),
                              0, NULL));
        ck_assert(i % 2 == 0 ? udm_result_time(row, 0, 1) > 0 : udm_result_time(row, 0, 1) < 0);
        ck_assert_str_eq(udm_calendar_text(pool, udm_result_time(row, 0, 0)),
                         i % 2 == 0 ? "9999-12-31T23:59:59.999Z" : "0001-01-01T00:00:00.000Z");
    }
    dbtest_ok(udm_pg_query_text(&row, pool, dbtest_admin(),
                                "SELECT " UDM_PG_TIME("NULL::timestamptz"), 0, NULL));
    ck_assert(udm_result_time(row, 0, 0) == UDM_NO_TIME);
}
END_TEST

/* No run ready, no job due, ever: as good as none. */
START_TEST(a_job_that_is_due_at_infinity_holds_up_nobody)
{
    udm_job_info_t *info;
    apr_time_t next;
    int made;
    udm_job_t *job = dbtest_job();

    dbtest_later(job);
    dbtest_ok(
        udm_job_create(&info, pool, dbtest_httpd(), job, dbtest_audit(dbtest_principal("acme"))));
    dbtest_exec("UPDATE udm.job SET next_run_at = 'infinity'");
    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    ck_assert_int_eq(made, 0);
}
END_TEST

TCase *waits_case(void)
{
    TCase *tc = dbtest_case("waits");

    tcase_add_loop_test(tc, a_frozen_server_is_not_waited_for, 0, 3);
    tcase_add_test(tc, without_a_limit_it_takes_as_long_as_it_takes);
    tcase_add_test(tc, a_host_that_does_not_answer_is_left);
    tcase_add_loop_test(tc, the_next_host_is_tried, 0, 2);
    tcase_add_test(tc, a_connect_hears_stop);
    tcase_add_loop_test(tc, a_server_that_takes_no_changes_is_left, 0, 2);
    tcase_add_test(tc, a_source_is_not_left_for_that);
    tcase_add_loop_test(tc, readers_leave_it_as_well, 0, 3);
    tcase_add_test(tc, infinite_times_are_times);
    tcase_add_test(tc, a_job_that_is_due_at_infinity_holds_up_nobody);
    return tc;
}
