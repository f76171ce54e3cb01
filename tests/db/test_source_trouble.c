/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_source_trouble.c: sources and readers that are refused, what goes wrong while rows come in, and
 * what ends a wait.
 */
#include "dbtest.h"

#include <pthread.h>
#include <string.h>

#include <apr_strings.h>

#include "sourcetest.h"

START_TEST(refuses_connection_files)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    udm_error_t *error;

    sourcetest_folder();
    type->connection = "absent";
    error = sourcetest_refused(type, sourcetest_run("acme"));
    dbtest_fails(error, UDM_E_SOURCE, "\"absent\" of source \"UCS\" does not exist");
    ck_assert(udm_source_permanent(error));
    type->connection = "../demo";
    dbtest_fails(sourcetest_refused(type, sourcetest_run("acme")), UDM_E_SOURCE, "a-z");
    type->connection = "";
    dbtest_fails(sourcetest_refused(type, sourcetest_run("acme")), UDM_E_SOURCE, "a-z");
    type->connection = "other_one";
    sourcetest_file("other_one", "host=/nowhere password=hunter2", 0644);
    error = sourcetest_refused(type, sourcetest_run("acme"));
    dbtest_fails(error, UDM_E_SOURCE, "readable for everybody");
    ck_assert_ptr_null(strstr(udm_error_line(pool, error), "hunter2"));
    sourcetest_file("other_one", "host=/nowhere password=hunter2", 0640);
    error = sourcetest_refused(type, sourcetest_run("acme"));
    dbtest_fails(error, UDM_E_SOURCE, "the source \"UCS\" does not answer");
    ck_assert(!udm_source_permanent(error));
    ck_assert_ptr_null(strstr(error->reason, "nowhere"));
    ck_assert_ptr_null(strstr(udm_error_line(pool, error), "hunter2"));
    sourcetest_file("other_one",
                    apr_pstrcat(pool, "# the reader\n", dbtest_conninfo("udm_test_reader"),
                                "\n# password=no\n connect_timeout=7\n", NULL),
                    0644);
    ck_assert_str_eq(sourcetest_rows(sourcetest_opened(type, sourcetest_run("acme")), 2),
                     "- 1,- 2,- 3");
}
END_TEST

START_TEST(refuses_readers_with_rights)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    udm_error_t *error;

    sourcetest_folder();
    sourcetest_file("demo", dbtest_conninfo(NULL), 0640);
    error = sourcetest_refused(type, sourcetest_run("acme"));
    dbtest_fails(error, UDM_E_SOURCE, "superuser");
    ck_assert(udm_source_permanent(error));
    sourcetest_file("demo", dbtest_conninfo("udm_httpd"), 0640);
    dbtest_fails(sourcetest_refused(type, sourcetest_run("acme")), UDM_E_SOURCE,
                 "can use schema udm");
    sourcetest_file("demo", dbtest_conninfo("udm_test_reader"), 0640);
    dbtest_exec("GRANT USAGE ON SCHEMA udm TO udm_test_reader");
    error = sourcetest_refused(type, sourcetest_run("acme"));
    dbtest_fails(error, UDM_E_SOURCE, "the reader of source \"UCS\" can use schema udm: revoke it");
    ck_assert(udm_source_permanent(error));
    dbtest_exec("REVOKE USAGE ON SCHEMA udm FROM udm_test_reader;"
                "GRANT USAGE ON SCHEMA udm TO PUBLIC");
    dbtest_fails(sourcetest_refused(type, sourcetest_run("acme")), UDM_E_SOURCE,
                 "can use schema udm");
    /* By SET ROLE it could. Roles are shared by all databases: nothing of it may stay. */
    dbtest_exec("REVOKE USAGE ON SCHEMA udm FROM PUBLIC;"
                "CREATE ROLE udm_test_member LOGIN NOINHERIT; GRANT udm_owner TO udm_test_member");
    sourcetest_file("demo", dbtest_conninfo("udm_test_member"), 0640);
    error = sourcetest_refused(type, sourcetest_run("acme"));
    dbtest_exec("DROP ROLE udm_test_member");
    dbtest_fails(error, UDM_E_SOURCE, "can use schema udm");
}
END_TEST

/* By an attribute of its own, by a role that it is in, and by one that it may only become. */
START_TEST(refuses_readers_that_can_more)
{
    static const struct {
        const char *attribute; /* of the role, or a role to be in */
        const char *words;
    } more[] = {{"CREATEROLE", "can create roles (CREATEROLE)"},
                {"BYPASSRLS", "can pass by row-level security (BYPASSRLS)"},
                {"REPLICATION", "as a replica does (REPLICATION)"},
                {"CREATEDB", "can create databases (CREATEDB)"},
                {"SUPERUSER", "is a superuser"},
                {"pg_execute_server_program", "can run programs on the server"},
                {"pg_read_server_files", "can read files of the server"},
                {"pg_write_server_files", "can write files of the server"},
                {"pg_write_all_data", "can write all data"},
                {"pg_signal_backend", "can end others' sessions"}};
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    size_t i;

    sourcetest_folder();
    sourcetest_file("demo", dbtest_conninfo("udm_test_member"), 0640);
    for (i = 0; i < sizeof(more) / sizeof(*more); i++) {
        bool role = strncmp(more[i].attribute, "pg_", 3) == 0;
        udm_error_t *own, *member;

        dbtest_exec(apr_psprintf(pool,
                                 role ? "CREATE ROLE udm_test_member LOGIN IN ROLE %s"
                                      : "CREATE ROLE udm_test_member LOGIN %s",
                                 more[i].attribute));
        own = sourcetest_refused(type, sourcetest_run("acme"));
        dbtest_exec(apr_psprintf(pool,
                                 role ? "DROP ROLE udm_test_member;"
                                        "CREATE ROLE udm_test_group IN ROLE %s;"
                                        "CREATE ROLE udm_test_member LOGIN NOINHERIT IN ROLE "
                                        "udm_test_group"
                                      : "DROP ROLE udm_test_member;"
                                        "CREATE ROLE udm_test_group %s;"
                                        "CREATE ROLE udm_test_member LOGIN NOINHERIT IN ROLE "
                                        "udm_test_group",
                                 more[i].attribute));
        member = sourcetest_refused(type, sourcetest_run("acme"));
        dbtest_exec("DROP ROLE udm_test_member; DROP ROLE udm_test_group");
        dbtest_fails(own, UDM_E_SOURCE, more[i].words);
        dbtest_fails(own, UDM_E_SOURCE, "the reader of source \"UCS\" ");
        dbtest_fails(own, UDM_E_SOURCE, "a role that can read its relations and nothing else");
        ck_assert(udm_source_permanent(own));
        dbtest_fails(member, UDM_E_SOURCE, more[i].words);
    }
    /* Whoever logs in as another one can become that one again. */
    dbtest_exec("CREATE ROLE udm_test_member LOGIN CREATEROLE IN ROLE udm_test_reader;"
                "ALTER ROLE udm_test_member SET role = udm_test_reader");
    {
        udm_error_t *error = sourcetest_refused(type, sourcetest_run("acme"));

        dbtest_exec("DROP ROLE udm_test_member");
        dbtest_fails(error, UDM_E_SOURCE, "can create roles (CREATEROLE)");
    }
}
END_TEST

/* Functions that are nobody's until somebody is granted them. */
START_TEST(refuses_readers_of_files)
{
    static const char *const functions[] = {
        "pg_read_file(text)",          "pg_read_file(text, bigint, bigint)",
        "pg_read_binary_file(text)",   "pg_ls_dir(text)",
        "pg_stat_file(text, boolean)", "lo_import(text)",
        "lo_import(text, oid)",        "lo_export(oid, text)"};
    static const char *const whom[] = {"udm_test_member", "udm_test_group", "PUBLIC"};
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    size_t i;

    sourcetest_folder();
    sourcetest_file("demo", dbtest_conninfo("udm_test_member"), 0640);
    dbtest_exec("CREATE ROLE udm_test_group; CREATE ROLE udm_test_member LOGIN IN ROLE "
                "udm_test_group, udm_test_reader");
    for (i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
        const char *name = whom[i % 3];
        udm_error_t *error;

        dbtest_exec(apr_psprintf(pool, "GRANT EXECUTE ON FUNCTION pg_catalog.%s TO %s",
                                 functions[i], name));
        error = sourcetest_refused(type, sourcetest_run("acme"));
        dbtest_exec(apr_psprintf(pool, "REVOKE EXECUTE ON FUNCTION pg_catalog.%s FROM %s",
                                 functions[i], name));
        dbtest_fails(error, UDM_E_SOURCE, "was granted functions that reach files of the server");
        ck_assert(udm_source_permanent(error));
    }
    /* what somebody else made, and called so, reaches nothing */
    dbtest_exec("CREATE FUNCTION demo.pg_read_file(text) RETURNS text LANGUAGE sql AS 'SELECT $1'");
    sourcetest_opened(type, sourcetest_run("acme"));
    dbtest_exec("DROP FUNCTION demo.pg_read_file(text);"
                "DROP ROLE udm_test_member; DROP ROLE udm_test_group");
}
END_TEST

/* In another database of the cluster there is no schema udm that would show it. */
START_TEST(refuses_roles_of_the_service)
{
    static const char *const roles[] = {"udm_owner", "udm_httpd", "udm_worker"};
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    size_t i;

    sourcetest_folder();
    sourcetest_file("demo", dbtest_conninfo("udm_test_member"), 0640);
    for (i = 0; i < sizeof(roles) / sizeof(*roles); i++) {
        udm_error_t *error;

        dbtest_exec(apr_psprintf(pool,
                                 "CREATE ROLE udm_test_member LOGIN NOINHERIT IN ROLE %s;"
                                 "ALTER SCHEMA udm RENAME TO elsewhere",
                                 roles[i]));
        error = sourcetest_refused(type, sourcetest_run("acme"));
        dbtest_exec("ALTER SCHEMA elsewhere RENAME TO udm; DROP ROLE udm_test_member");
        dbtest_fails(error, UDM_E_SOURCE, "is, or can become, a role of the service itself");
        ck_assert(udm_source_permanent(error));
    }
}
END_TEST

START_TEST(refuses_what_is_not_there)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    udm_error_t *error;

    sourcetest_folder();
    dbtest_exec("REVOKE SELECT ON demo.contact FROM udm_test_reader");
    error = sourcetest_refused(type, sourcetest_run("acme"));
    dbtest_fails(error, UDM_E_SOURCE, "may not read demo.contact");
    ck_assert(udm_source_permanent(error));
    dbtest_exec("GRANT SELECT (id, ccid, created) ON demo.contact TO udm_test_reader");
    dbtest_fails(sourcetest_refused(type, sourcetest_run("acme")), UDM_E_SOURCE,
                 "may not read demo.contact");
    dbtest_exec("GRANT SELECT ON demo.contact TO udm_test_reader;"
                "ALTER TABLE demo.contact RENAME ccid TO centre");
    error = sourcetest_refused(type, sourcetest_run("acme"));
    dbtest_fails(error, UDM_E_SOURCE, "demo.contact of source \"UCS\" has no column \"ccid\"");
    ck_assert(udm_source_permanent(error));
    type->relation_name = "gone";
    error = sourcetest_refused(type, sourcetest_run("acme"));
    dbtest_fails(error, UDM_E_SOURCE, "no relation demo.gone");
    ck_assert(udm_source_permanent(error));
}
END_TEST

/* A row that cannot be made ends the reading with an error, never as if it were the last one. */
START_TEST(error_in_the_middle)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    udm_source_t *source;
    const unsigned char *tuple;
    udm_error_t *error;
    apr_size_t size;
    int count = 0;

    sourcetest_folder();
    dbtest_exec("CREATE VIEW demo.bad AS SELECT id, ccid, 1 / (3 - id) AS x FROM demo.contact;"
                "GRANT SELECT ON demo.bad TO udm_test_reader");
    type->relation_name = "bad";
    type->time_column = NULL;
    source = sourcetest_opened(type, sourcetest_run("acme"));
    dbtest_ok(udm_source_rows(source));
    while ((error = udm_source_next(&tuple, &size, source)) == NULL && tuple) {
        count++;
    }
    dbtest_fails(error, UDM_E_SOURCE, "22012");
    ck_assert(udm_source_permanent(error));
    ck_assert_int_eq(count, 2);
}
END_TEST

/* More rows than fit a socket's buffers, so that the server is still at it. */
static udm_source_t *endless(const udm_stop_t *stop)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    udm_source_t *source;

    sourcetest_folder();
    dbtest_exec("CREATE VIEW demo.endless AS SELECT n AS id, 'acme'::text AS ccid,"
                " repeat('x', 1000) AS x FROM generate_series(1, 1000) n,"
                " generate_series(1, 1000) m, generate_series(1, 1000) o;"
                "GRANT SELECT ON demo.endless TO udm_test_reader");
    type->relation_name = "endless";
    type->time_column = NULL;
    dbtest_ok(
        udm_source_open(&source, pool, sourcetest_path(), type, sourcetest_run("acme"), stop));
    return source;
}

START_TEST(connection_lost_in_the_middle)
{
    udm_source_t *source = endless(NULL);
    const unsigned char *tuple;
    udm_error_t *error;
    apr_size_t size;

    dbtest_ok(udm_source_rows(source));
    dbtest_ok(udm_source_next(&tuple, &size, source));
    ck_assert_ptr_nonnull(tuple);
    dbtest_kill_connections();
    while ((error = udm_source_next(&tuple, &size, source)) == NULL && tuple) {
    }
    dbtest_fails(error, UDM_E_SOURCE, "the source \"UCS\" does not answer");
    ck_assert(!udm_source_permanent(error));
}
END_TEST

static void *stop_main(void *data)
{
    udm_stop_raise(data);
    return NULL;
}

typedef struct stop_later_t {
    const char *when; /* SQL that counts what is waited for */
    udm_stop_t *stop;
    udm_pg_t *db;
    apr_pool_t *pool;
    pthread_t thread;
} stop_later_t;

/* Stops once the server is at it, which another connection sees. */
static void *stop_later_main(void *data)
{
    stop_later_t *later = data;
    udm_result_t *result;

    do {
        if (udm_pg_query_text(&result, later->pool, later->db, later->when, 0, NULL)) {
            return NULL;
        }
    } while (udm_result_int(result, 0, 0) == 0);
    udm_stop_raise(later->stop);
    return NULL;
}

static udm_stop_t *new_stop(void)
{
    udm_stop_t *stop = apr_palloc(pool, sizeof(*stop));

    dbtest_ok(udm_stop_make(stop, pool));
    return stop;
}

static void stop_later(stop_later_t *later, const char *condition)
{
    ck_assert_int_eq(apr_pool_create(&later->pool, NULL), APR_SUCCESS);
    later->when = apr_pstrcat(pool,
                              "SELECT count(*) FROM pg_stat_activity WHERE usename ="
                              " 'udm_test_reader' AND datname = current_database() AND ",
                              condition, NULL);
    later->stop = new_stop();
    dbtest_ok(udm_pg_connect(&later->db, later->pool, dbtest_conninfo(NULL), "udm-test",
                             UDM_E_DATABASE, NULL));
    ck_assert_int_eq(pthread_create(&later->thread, NULL, stop_later_main, later), 0);
}

/* The reader's connections end, of which a connection that is in no transaction learns. */
static void nobody_reads(stop_later_t *later)
{
    udm_result_t *result;

    do {
        dbtest_ok(udm_pg_query_text(&result, later->pool, later->db,
                                    "SELECT count(*) FROM pg_stat_activity WHERE usename ="
                                    " 'udm_test_reader' AND datname = current_database()",
                                    0, NULL));
    } while (udm_result_int(result, 0, 0) > 0);
}

/* While the server computes and sends nothing; the server itself then stops, too. */
START_TEST(stop_ends_a_wait)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    const unsigned char *tuple;
    udm_source_t *source;
    stop_later_t later;
    udm_error_t *error;
    apr_size_t size;
    apr_pool_t *own;

    sourcetest_folder();
    ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
    dbtest_exec("CREATE VIEW demo.slow AS SELECT n AS id, 'acme'::text AS ccid,"
                " pg_sleep(600)::text AS x FROM generate_series(1, 9) n;"
                "GRANT SELECT ON demo.slow TO udm_test_reader");
    type->relation_name = "slow";
    type->time_column = NULL;
    stop_later(&later, "wait_event = 'PgSleep'");
    dbtest_ok(
        udm_source_open(&source, own, sourcetest_path(), type, sourcetest_run("acme"), later.stop));
    error = udm_source_rows(source);
    if (!error) {
        error = udm_source_next(&tuple, &size, source);
    }
    pthread_join(later.thread, NULL);
    dbtest_fails(error, UDM_E_STOPPED, "stopped");
    apr_pool_destroy(own);
    nobody_reads(&later);
    apr_pool_destroy(later.pool);
}
END_TEST

/* Somebody holds the relation: no row was asked for yet. */
START_TEST(stop_ends_the_wait_for_a_lock)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    udm_source_t *source;
    stop_later_t later;
    udm_error_t *error;
    apr_pool_t *own;

    sourcetest_folder();
    ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
    dbtest_exec("CREATE TABLE demo.locked AS SELECT 1 AS id, 'acme'::text AS ccid;"
                "GRANT SELECT ON demo.locked TO udm_test_reader");
    type->relation_name = "locked";
    type->time_column = NULL;
    dbtest_exec("BEGIN; LOCK TABLE demo.locked IN ACCESS EXCLUSIVE MODE");
    stop_later(&later, "wait_event_type = 'Lock'");
    error =
        udm_source_open(&source, own, sourcetest_path(), type, sourcetest_run("acme"), later.stop);
    pthread_join(later.thread, NULL);
    dbtest_fails(error, UDM_E_STOPPED, "stopped");
    apr_pool_destroy(own);
    /* Though the lock is still held. */
    nobody_reads(&later);
    dbtest_exec("ROLLBACK");
    apr_pool_destroy(later.pool);
}
END_TEST

START_TEST(stop_ends_a_stream)
{
    const unsigned char *tuple;
    udm_source_t *source;
    udm_error_t *error;
    udm_stop_t *stop = new_stop();
    apr_size_t size;
    pthread_t thread;

    source = endless(stop);
    dbtest_ok(udm_source_rows(source));
    dbtest_ok(udm_source_next(&tuple, &size, source));
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_main, stop), 0);
    while ((error = udm_source_next(&tuple, &size, source)) == NULL) {
        ck_assert_ptr_nonnull(tuple);
    }
    pthread_join(thread, NULL);
    dbtest_fails(error, UDM_E_STOPPED, "stopped");
    dbtest_fails(udm_source_next(&tuple, &size, source), UDM_E_STOPPED, "stopped");
}
END_TEST

START_TEST(begins_one_thing_at_a_time)
{
    const unsigned char *tuple;
    udm_source_t *source;
    apr_size_t size;

    sourcetest_folder();
    source = sourcetest_opened(sourcetest_type("UCS", "Contact"), sourcetest_run("acme"));
    dbtest_fails(udm_source_next(&tuple, &size, source), UDM_E_INTERNAL, "no rows");
    dbtest_ok(udm_source_rows(source));
    dbtest_fails(udm_source_rows(source), UDM_E_INTERNAL, "to their end");
    ck_assert_str_eq(sourcetest_rest(source, 2), "- 1,- 2,- 3");
    ck_assert_str_eq(sourcetest_rows(source, 2), "- 1,- 2,- 3");
}
END_TEST

/* A view that somebody registers cannot write, and finds no schema but its own. */
START_TEST(session_is_fenced_in)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");

    sourcetest_folder();
    dbtest_exec(
        "CREATE VIEW demo.session AS SELECT 1 AS id, 'acme'::text AS ccid,"
        " concat_ws('|', current_setting('search_path'), current_setting('TimeZone'),"
        " current_setting('transaction_read_only'),"
        " current_setting('transaction_isolation'), current_setting('statement_timeout'),"
        " (SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid())) AS x;"
        "GRANT SELECT ON demo.session TO udm_test_reader");
    type->relation_name = "session";
    type->time_column = NULL;
    ck_assert_ptr_nonnull(
        strstr(sourcetest_rows(sourcetest_opened(type, sourcetest_run("acme")), 5),
               "pg_catalog, pg_temp|UTC|on|repeatable read|0|udm-worker"));
}
END_TEST

TCase *source_trouble_case(void)
{
    TCase *tc = dbtest_case("source_trouble");

    tcase_add_test(tc, refuses_connection_files);
    tcase_add_test(tc, refuses_readers_with_rights);
    tcase_add_test(tc, refuses_readers_that_can_more);
    tcase_add_test(tc, refuses_readers_of_files);
    tcase_add_test(tc, refuses_roles_of_the_service);
    tcase_add_test(tc, refuses_what_is_not_there);
    tcase_add_test(tc, error_in_the_middle);
    tcase_add_test(tc, connection_lost_in_the_middle);
    tcase_add_test(tc, stop_ends_a_wait);
    tcase_add_test(tc, stop_ends_the_wait_for_a_lock);
    tcase_add_test(tc, stop_ends_a_stream);
    tcase_add_test(tc, begins_one_thing_at_a_time);
    tcase_add_test(tc, session_is_fenced_in);
    return tc;
}
