/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_session.c: what a session is before its first statement, what is known of it later, and which
 * schema the programs take.
 */
#include "dbtest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "sourcetest.h"
#include "db/installation.h"

/* Anybody's, and better for these arguments than PostgreSQL's own. Whoever calls one fails. */
static const char shadow_sql[] =
    "GRANT CREATE ON SCHEMA public TO PUBLIC;"
    "ALTER ROLE udm_httpd RESET search_path; ALTER ROLE udm_worker RESET search_path;"
    "CREATE FUNCTION public.caught() RETURNS text LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION 'shadow called by %', current_user USING ERRCODE = 'UD001'; END $$;"
    "CREATE FUNCTION public.to_json(text[]) RETURNS json LANGUAGE sql AS"
    " $$ SELECT public.caught()::json $$;"
    "CREATE FUNCTION public.count(timestamptz) RETURNS bigint LANGUAGE sql AS"
    " $$ SELECT public.caught()::bigint $$;"
    "CREATE FUNCTION public.lower(text[]) RETURNS text LANGUAGE sql AS $$ SELECT public.caught() "
    "$$;"
    "CREATE FUNCTION public.ours(integer, text) RETURNS boolean LANGUAGE sql AS"
    " $$ SELECT public.caught()::boolean $$;"
    "CREATE OPERATOR public.= (LEFTARG = integer, RIGHTARG = text, FUNCTION = public.ours);"
    "CREATE TABLE public.pg_stat_activity (n integer)";

/* As it was for the roles, which all databases share. */
static const char unshadow_sql[] = "ALTER ROLE udm_httpd SET search_path = pg_catalog, pg_temp;"
                                   "ALTER ROLE udm_worker SET search_path = pg_catalog, pg_temp";

static const char call_sql[] = "SELECT to_json($1::text[])::text,"
                               " current_setting('search_path'), (SELECT count(xact_start) FROM"
                               " pg_stat_activity) > 0";

static void calls_no_shadow(udm_pg_t *db)
{
    static const udm_statement_t call = {"udm_test_call", call_sql};
    const char *value = "{a}";
    udm_result_t *row;

    dbtest_ok(udm_pg_query(&row, pool, db, &call, 1, &value));
    ck_assert_str_eq(udm_result_text(row, 0, 0), "[\"a\"]");
    ck_assert_str_eq(udm_result_text(row, 0, 1), "pg_catalog, pg_temp");
    dbtest_ok(udm_pg_query_text(&row, pool, db, call_sql, 1, &value));
    ck_assert_str_eq(udm_result_text(row, 0, 0), "[\"a\"]");
}

static udm_pg_t *opened(const char *role)
{
    udm_pg_t *db;

    dbtest_ok(udm_pg_connect(&db, pool, dbtest_conninfo(role), "udm-test", UDM_E_DATABASE, NULL));
    return db;
}

START_TEST(no_shadow_is_called)
{
    static const char *const roles[] = {"udm_httpd", "udm_worker", "udm_test_reader", NULL};
    PGconn *raw;
    PGresult *result;
    size_t i;

    dbtest_exec(shadow_sql);
    /* They do win where nobody looks out. */
    raw = PQconnectdb(dbtest_conninfo("udm_test_reader"));
    result = PQexec(raw, "SELECT to_json('{a}'::text[])");
    ck_assert_str_eq(PQresultErrorField(result, PG_DIAG_SQLSTATE), "UD001");
    PQclear(result);
    for (i = 0; i < sizeof(roles) / sizeof(*roles); i++) {
        udm_pg_t *db = opened(roles[i]);

        calls_no_shadow(db);
        calls_no_shadow(udm_pg_wrap(pool, db->conn));
        PQreset(db->conn);
        calls_no_shadow(db);
        dbtest_ok(udm_pg_discard(pool, db));
        calls_no_shadow(db);
    }
    /* One that somebody else made, reset before its first use and later. */
    PQreset(raw);
    calls_no_shadow(udm_pg_wrap(pool, raw));
    PQreset(raw);
    calls_no_shadow(udm_pg_wrap(pool, raw));
    PQfinish(raw);
    dbtest_exec(unshadow_sql);
}
END_TEST

/* What is set in a transaction goes with it; what a transaction needs it has. */
START_TEST(transactions_are_set_up)
{
    udm_pg_t *db = opened("udm_test_reader");
    udm_result_t *row;
    PGconn *raw;

    dbtest_exec(shadow_sql);
    dbtest_ok(udm_pg_begin(pool, db, "READ ONLY"));
    calls_no_shadow(db);
    dbtest_ok(udm_pg_exec(pool, db, "ROLLBACK"));
    /* nothing is left of it in the session, which gets its own when it is used without */
    ck_assert(!udm_session_pinned(db->session));
    calls_no_shadow(db);
    ck_assert(udm_session_pinned(db->session));
    /* a transaction that others began, and roll back */
    raw = PQconnectdb(dbtest_conninfo("udm_test_reader"));
    PQclear(PQexec(raw, "BEGIN"));
    dbtest_ok(udm_pg_query_text(&row, pool, udm_pg_wrap(pool, raw),
                                "SELECT to_json('{a}'::text[])::text", 0, NULL));
    PQclear(PQexec(raw, "ROLLBACK"));
    calls_no_shadow(udm_pg_wrap(pool, raw));
    PQfinish(raw);
    dbtest_exec(unshadow_sql);
}
END_TEST

START_TEST(sources_call_no_shadow)
{
    udm_data_type_t *type = sourcetest_type("UCS", "Contact");
    const char *barrier = NULL;
    apr_time_t began;
    bool settled;

    sourcetest_folder();
    dbtest_exec(shadow_sql);
    dbtest_ok(udm_source_settle(&settled, &barrier, pool, sourcetest_path(), type, NULL));
    ck_assert_ptr_nonnull(barrier);
    dbtest_ok(udm_source_oldest_writer(&began, pool, sourcetest_path(), type, NULL));
    ck_assert_str_eq(sourcetest_rows(sourcetest_opened(type, sourcetest_run("acme")), 2),
                     "- 1,- 2,- 3");
    dbtest_exec(unshadow_sql);
}
END_TEST

/* What asks a source where a window ends writes nothing, and yet needs an id of its own. */
START_TEST(read_only_transactions_have_an_id)
{
    udm_pg_t *db = opened("udm_worker");
    udm_result_t *row;

    dbtest_ok(udm_pg_begin(pool, db, "ISOLATION LEVEL READ COMMITTED, READ ONLY"));
    dbtest_ok(udm_pg_query_text(&row, pool, db, "SELECT pg_current_xact_id()::text", 0, NULL));
    ck_assert_int_gt(udm_result_int(row, 0, 0), 0);
    dbtest_fails(udm_pg_exec(pool, db, "UPDATE udm.installation SET store_since = now()"),
                 UDM_E_DATABASE, "try again later");
}
END_TEST

/* ---- statements ---- */

static const udm_statement_t one = {"udm_test_one", "SELECT 1"};

static void run_one(udm_pg_t *db)
{
    udm_result_t *row;

    dbtest_ok(udm_pg_query(&row, pool, db, &one, 0, NULL));
    ck_assert_int_eq(udm_result_int(row, 0, 0), 1);
}

/* How often the server said that something is wrong while `one` ran. */
static int complaints(udm_pg_t *db)
{
    char *text = NULL;
    size_t size = 0;
    FILE *trace = open_memstream(&text, &size);
    const char *at;
    int count = 0;

    PQtrace(db->conn, trace);
    run_one(db);
    PQuntrace(db->conn);
    fclose(trace);
    for (at = text; (at = strstr(at, "ErrorResponse")) != NULL; at++) {
        count++;
    }
    free(text);
    return count;
}

START_TEST(no_statement_is_asked_for_in_vain)
{
    udm_pg_t *db = opened("udm_httpd");

    ck_assert_int_eq(complaints(db), 0);
    ck_assert_int_eq(complaints(db), 0);
    ck_assert_int_eq(complaints(udm_pg_wrap(pool, db->conn)), 0);
    PQreset(db->conn);
    ck_assert_int_eq(complaints(db), 0);
    ck_assert_int_eq(complaints(db), 0);
    dbtest_ok(udm_pg_discard(pool, db));
    ck_assert_int_eq(complaints(db), 0);
    /* Somebody else forgets it for us, which cannot be known before. */
    PQclear(PQexec(db->conn, "DEALLOCATE ALL"));
    ck_assert_int_eq(complaints(db), 1);
    ck_assert_int_eq(complaints(db), 0);
    /* Somebody else has one of that name: it may be that pooler's doing. */
    PQclear(PQexec(db->conn, "DEALLOCATE ALL"));
    PQclear(PQprepare(db->conn, one.name, one.sql, 0, NULL));
    udm_session_forget(db->session);
    ck_assert_int_eq(complaints(db), 1);
    ck_assert_int_eq(complaints(db), 0);
}
END_TEST

START_TEST(where_each_statement_meets_another_session_none_is_prepared)
{
    udm_pg_t *db = opened("udm_httpd");

    udm_session_set_wanders(db->session);
    ck_assert_int_eq(complaints(db), 0);
    ck_assert(!udm_session_has(db->session, one.name));
    PQreset(db->conn);
    ck_assert(!udm_session_wanders(db->session));
    run_one(db);
    ck_assert(udm_session_has(db->session, one.name));
}
END_TEST

/* ---- the version of the schema ---- */

START_TEST(the_schema_is_of_this_version)
{
    udm_pg_t *db = opened("udm_worker");

    ck_assert_int_eq(udm_schema_version,
                     atoi(dbtest_value("SELECT max(version) FROM udm.schema_version")));
    dbtest_ok(udm_installation_check(pool, db));
    ck_assert(udm_session_checked(db->session) != 0);
}
END_TEST

/* Fails the test unless the check says so. */
static void is_wrong(udm_pg_t *db, bool of_another_version, const char *words)
{
    udm_error_t *error;

    udm_session_set_checked(db->session, 0);
    error = udm_installation_check(pool, db);
    dbtest_fails(error, UDM_E_DATABASE, "try again later");
    ck_assert_ptr_null(strstr(error->reason, "udm-migrate"));
    ck_assert_ptr_nonnull(strstr(error->detail, words));
    ck_assert_int_eq(udm_installation_wrong_schema(error), of_another_version);
}

START_TEST(another_schema_is_refused)
{
    udm_pg_t *db = opened("udm_httpd");

    dbtest_exec("INSERT INTO udm.schema_version (version, name, sha256) VALUES (9999, '', '')");
    is_wrong(db, true, "version 9999, which is newer than this program");
    dbtest_exec("DELETE FROM udm.schema_version WHERE version > 7");
    is_wrong(db, true, "schema udm is of version 7");
    is_wrong(db, true, "run udm-migrate");
    dbtest_exec("DELETE FROM udm.schema_version");
    is_wrong(db, false, "run udm-migrate");
    dbtest_exec("ALTER TABLE udm.schema_version RENAME TO another");
    is_wrong(db, false, "run udm-migrate");
    dbtest_exec("ALTER TABLE udm.another RENAME TO schema_version;"
                "REVOKE USAGE ON SCHEMA udm FROM udm_httpd");
    is_wrong(db, false, "run udm-migrate");
    dbtest_exec("GRANT USAGE ON SCHEMA udm TO udm_httpd; ALTER SCHEMA udm RENAME TO away");
    is_wrong(db, false, "run udm-migrate");
}
END_TEST

/* It is looked at again once a statement meets what it does not know. */
START_TEST(a_schema_that_changes_is_noticed)
{
    static const char *const wrong[] = {"SELECT nothing FROM udm.tenant", "SELECT udm.nothing()",
                                        "SELECT FROM udm.nothing", "SELECT FROM nothing.tenant",
                                        "SELECT FROM udm.audit"};
    udm_pg_t *db = opened("udm_httpd");
    udm_result_t *row;
    udm_error_t *error;
    size_t i;

    for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        dbtest_ok(udm_installation_check(pool, db));
        ck_assert(udm_session_checked(db->session) != 0);
        error = udm_pg_query_text(&row, pool, db, wrong[i], 0, NULL);
        dbtest_fails(error, UDM_E_INTERNAL, "not expected");
        ck_assert(udm_pg_undefined(error));
        ck_assert(udm_session_checked(db->session) == 0);
    }
    dbtest_ok(udm_installation_check(pool, db));
    error = udm_pg_query_text(&row, pool, db, "SELECT 1 / 0", 0, NULL);
    ck_assert(!udm_pg_undefined(error));
    ck_assert(udm_session_checked(db->session) != 0);
}
END_TEST

TCase *session_case(void)
{
    TCase *tc = dbtest_case("session");

    tcase_add_test(tc, no_shadow_is_called);
    tcase_add_test(tc, transactions_are_set_up);
    tcase_add_test(tc, sources_call_no_shadow);
    tcase_add_test(tc, read_only_transactions_have_an_id);
    tcase_add_test(tc, no_statement_is_asked_for_in_vain);
    tcase_add_test(tc, where_each_statement_meets_another_session_none_is_prepared);
    tcase_add_test(tc, the_schema_is_of_this_version);
    tcase_add_test(tc, another_schema_is_refused);
    tcase_add_test(tc, a_schema_that_changes_is_noticed);
    return tc;
}
