/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_settle.c: which transactions of a source a moving window waits for, and what its reader can
 * learn of the oldest.
 */
#include "dbtest.h"

#include <unistd.h>

#include <apr_strings.h>

#include "sourcetest.h"
#include "core/calendar.h"

#define LOOKS 400
#define PAUSE apr_time_from_msec(50)

static udm_error_t *look(bool *settled, const char **barrier)
{
    return udm_source_settle(settled, barrier, pool, sourcetest_path(),
                             sourcetest_type("UCS", "Interaction"), NULL);
}

static bool settled(const char **barrier)
{
    bool is;

    dbtest_ok(look(&is, barrier));
    ck_assert_ptr_nonnull(*barrier);
    return is;
}

/* The server's own short transactions, like those of autovacuum, are waited for. */
static void assert_settles(const char **barrier)
{
    int i;

    for (i = 0; i < LOOKS && !settled(barrier); i++) {
        apr_sleep(PAUSE);
    }
    ck_assert_int_lt(i, LOOKS);
}

/* Another client of the source, with a transaction that has begun by this. */
static udm_pg_t *client(const char *more, const char *sql)
{
    udm_pg_t *db;

    dbtest_ok(udm_pg_connect(&db, pool, apr_pstrcat(pool, dbtest_conninfo(NULL), more, NULL),
                             "udm-test", UDM_E_DATABASE, NULL));
    dbtest_ok(udm_pg_exec(pool, db, "BEGIN"));
    dbtest_ok(udm_pg_exec(pool, db, sql));
    return db;
}

static void finish(udm_pg_t *db, const char *sql)
{
    dbtest_ok(udm_pg_exec(pool, db, sql));
}

#define WRITE                                                                                      \
    "INSERT INTO demo.interaction (id, ccid, start_date) VALUES ('new', 'acme', "                  \
    "clock_timestamp())"
#define READ "SELECT count(*) FROM demo.interaction"

START_TEST(an_open_writer_is_waited_for)
{
    const char *barrier = NULL, *first;
    udm_pg_t *old, *newer;

    sourcetest_folder();
    old = client("", WRITE);
    ck_assert(!settled(&barrier));
    first = barrier;
    newer = client("", WRITE);
    ck_assert(!settled(&barrier));
    ck_assert_ptr_eq(barrier, first); /* it stands once it is set */
    finish(old, "COMMIT");
    /* One that began later does not matter. */
    assert_settles(&barrier);
    ck_assert_ptr_eq(barrier, first);
    barrier = NULL;
    ck_assert(!settled(&barrier));
    finish(newer, "ROLLBACK");
    assert_settles(&barrier);
}
END_TEST

/* A subtransaction that is over does not end the one around it. */
START_TEST(subtransactions_belong_to_theirs)
{
    const char *barrier = NULL;
    udm_pg_t *db;

    sourcetest_folder();
    db = client("", "SAVEPOINT a");
    finish(db, WRITE);
    finish(db, "RELEASE SAVEPOINT a");
    ck_assert(!settled(&barrier));
    finish(db, "COMMIT");
    assert_settles(&barrier);
}
END_TEST

START_TEST(readers_are_not_waited_for)
{
    const char *barrier = NULL;
    udm_pg_t *reader, *repeatable;

    sourcetest_folder();
    reader = client("", READ);
    repeatable = client("", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    finish(repeatable, READ);
    assert_settles(&barrier);
    finish(reader, "COMMIT");
    finish(repeatable, "COMMIT");
}
END_TEST

/* Each look ends its connection. */
START_TEST(looks_leave_nothing_behind)
{
    const char *barrier = NULL;
    int i;

    sourcetest_folder();
    for (i = 0; i < 20; i++) {
        settled(&barrier);
    }
    for (i = 0; i < LOOKS; i++) {
        if (apr_atoi64(dbtest_value("SELECT count(*) FROM pg_stat_activity WHERE usename ="
                                    " 'udm_test_reader' AND datname = current_database()")) == 0) {
            return;
        }
        apr_sleep(PAUSE);
    }
    ck_abort_msg("the connections stay open");
}
END_TEST

START_TEST(source_away)
{
    const char *barrier = NULL;
    apr_time_t began;
    udm_error_t *error;
    bool is = true;

    sourcetest_folder();
    sourcetest_file("demo", "host=/nonexistent password=hunter2", 0640);
    error = look(&is, &barrier);
    dbtest_fails(error, UDM_E_SOURCE, "does not answer");
    ck_assert(!udm_source_permanent(error));
    ck_assert(!is);
    ck_assert_ptr_null(barrier);
    unlink(apr_pstrcat(pool, sourcetest_path(), "/demo", NULL));
    error = look(&is, &barrier);
    dbtest_fails(error, UDM_E_SOURCE, "does not exist");
    ck_assert(udm_source_permanent(error));
    error = udm_source_oldest_writer(&began, pool, sourcetest_path(),
                                     sourcetest_type("UCS", "Interaction"), NULL);
    dbtest_fails(error, UDM_E_SOURCE, "does not exist");
    ck_assert_int_eq(began, UDM_NO_TIME);
}
END_TEST

/* ---- the oldest ---- */

static udm_error_t *oldest(apr_time_t *began)
{
    return udm_source_oldest_writer(began, pool, sourcetest_path(),
                                    sourcetest_type("UCS", "Interaction"), NULL);
}

/* Membership is of the whole cluster: each test says which it wants. */
static void may_see(bool all)
{
    dbtest_exec(all ? "GRANT pg_read_all_stats TO udm_test_reader"
                    : "REVOKE pg_read_all_stats FROM udm_test_reader");
}

static apr_time_t began_at(udm_pg_t *db)
{
    udm_result_t *row;

    dbtest_ok(udm_pg_query_text(&row, pool, db, "SELECT " UDM_PG_TIME("now()"), 0, NULL));
    return udm_result_time(row, 0, 0);
}

START_TEST(the_oldest_writer)
{
    udm_pg_t *reader, *old, *newer, *elsewhere;
    apr_time_t began;

    sourcetest_folder();
    may_see(true);
    reader = client("", READ);
    elsewhere = client(" dbname=postgres", "SELECT pg_current_xact_id()");
    old = client("", WRITE);
    newer = client("", WRITE);
    dbtest_ok(oldest(&began));
    ck_assert_int_eq(began, began_at(old));
    ck_assert(began_at(elsewhere) < began);
    finish(old, "COMMIT");
    dbtest_ok(oldest(&began));
    ck_assert_int_eq(began, began_at(newer));
    finish(newer, "COMMIT");
    finish(elsewhere, "COMMIT");
    finish(reader, "COMMIT");
    may_see(false);
}
END_TEST

START_TEST(there_is_no_writer)
{
    udm_pg_t *reader;
    apr_time_t began = 0;

    sourcetest_folder();
    may_see(false);
    reader = client("", READ);
    dbtest_ok(oldest(&began));
    ck_assert_int_eq(began, UDM_NO_TIME);
    finish(reader, "COMMIT");
}
END_TEST

/* A writer is there, and since when is not to be seen: then nothing is made up. */
START_TEST(the_oldest_writer_is_not_to_be_seen)
{
    udm_error_t *error;
    apr_time_t began = 0;
    udm_pg_t *writer;

    sourcetest_folder();
    may_see(_i == 1);
    if (_i == 1) {
        /* The server does not know it itself. */
        dbtest_exec(apr_psprintf(pool, "ALTER DATABASE %s SET track_activities = off",
                                 dbtest_value("SELECT current_database()")));
    }
    writer = client("", WRITE);
    error = oldest(&began);
    dbtest_fails(error, UDM_E_SOURCE, "pg_read_all_stats");
    dbtest_fails(error, UDM_E_SOURCE, "source \"UCS\"");
    ck_assert(udm_source_permanent(error));
    ck_assert_int_eq(began, UDM_NO_TIME);
    finish(writer, "COMMIT");
    may_see(false);
}
END_TEST

TCase *settle_case(void)
{
    TCase *tc = dbtest_case("settle");

    tcase_add_test(tc, an_open_writer_is_waited_for);
    tcase_add_test(tc, subtransactions_belong_to_theirs);
    tcase_add_test(tc, readers_are_not_waited_for);
    tcase_add_test(tc, looks_leave_nothing_behind);
    tcase_add_test(tc, source_away);
    tcase_add_test(tc, the_oldest_writer);
    tcase_add_test(tc, there_is_no_writer);
    tcase_add_loop_test(tc, the_oldest_writer_is_not_to_be_seen, 0, 2);
    return tc;
}
