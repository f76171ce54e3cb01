/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_control_states.c: what each change makes of a job in every state that it can be in, and
 * which runs may be deleted.
 */
#include "dbtest.h"
#include "controltest.h"
#include "queuetest.h"

#include <string.h>

#include <apr_strings.h>

#include "db/queue.h"

/* For each state: what it is, and what cancel, suspend, resume, PUT and DELETE make of it; "!" is
 * an error that says so, "=" that nothing changes. */
static const char *const table[STATES][6] = {
    [PLANNED] = {"SCHEDULED+d / ", "CANCELLED / ", "SUSPENDED+s+d / ", "=", "QUEUED+r / QUEUED",
                 "gone / "},
    [HALTED] = {"SUSPENDED+s+d / ", "CANCELLED / ", "=", "SCHEDULED+d / ", "QUEUED+r / QUEUED",
                "gone / "},
    [QUEUED] = {"QUEUED+r / QUEUED", "CANCELLED+r / CANCELLED", "SUSPENDED+s+r / SUSPENDED", "=",
                "QUEUED+r / QUEUED", "gone / CANCELLED"},
    [HELD] = {"SUSPENDED+s+r / SUSPENDED", "CANCELLED+r / CANCELLED", "=", "QUEUED+r / QUEUED",
              "QUEUED+r / QUEUED", "gone / CANCELLED"},
    [RUNNING] = {"IN_PROGRESS+r / IN_PROGRESS", "CANCELLED+r / CANCELLED",
                 "SUSPENDED+s+r / SUSPENDED", "=", "!has started", "!in progress"},
    [WAITING] = {"SUSPENDED+s+r / SUSPENDED", "CANCELLED+r / CANCELLED", "=", "QUEUED+r / QUEUED",
                 "!has started", "gone / CANCELLED"},
    [BACK] = {"QUEUED+r / QUEUED", "CANCELLED+r / CANCELLED", "SUSPENDED+s+r / SUSPENDED", "=",
              "!has started", "gone / CANCELLED"},
    [OVER] = {"FAILED+r / FAILED", "!over", "!over", "!over", "!has started", "gone / FAILED"},
    [CALLED_OFF] = {"CANCELLED / ", "!over", "!over", "!over", "!over", "gone / "},
    [AGAIN_PLANNED] = {"SCHEDULED+d / ", "!no run to cancel", "SUSPENDED+s+d / ", "=",
                       "QUEUED+r / QUEUED", "gone / "},
    [AGAIN_QUEUED] = {"QUEUED+d+r / QUEUED", "SCHEDULED+d+r / CANCELLED",
                      "SUSPENDED+s+d+r / SUSPENDED", "=", "QUEUED+r / QUEUED", "gone / CANCELLED"},
    [AGAIN_RUNNING] = {"IN_PROGRESS+d+r / IN_PROGRESS", "SCHEDULED+d+r / CANCELLED",
                       "SUSPENDED+s+d+r / SUSPENDED", "=", "!wait", "!in progress"},
    [AGAIN_WAITING] = {"SUSPENDED+s+d+r / SUSPENDED", "SUSPENDED+s+d+r / CANCELLED", "=",
                       "QUEUED+d+r / QUEUED", "!wait", "gone / CANCELLED"},
    [AGAIN_LAST] = {"IN_PROGRESS+r / IN_PROGRESS", "CANCELLED+r / CANCELLED",
                    "SUSPENDED+s+r / SUSPENDED", "=", "!wait", "!in progress"},
    [AGAIN_OVER] = {"FAILED+r / FAILED", "!over", "!over", "!over", "QUEUED+r / FAILED QUEUED",
                    "gone / FAILED"},
};

START_TEST(every_change_in_every_state)
{
    int s = _i, c;

    for (c = UDM_CHANGE_CANCEL; c <= UDM_CHANGE_DELETE; c++) {
        const char *expected = table[s][1 + c];
        apr_int64_t id = controltest_make((controltest_state_t)s);
        const char *before = controltest_state(id);
        udm_error_t *error;

        ck_assert_str_eq(before, table[s][0]);
        error = controltest_change((udm_change)c, id);
        if (*expected == '!') {
            dbtest_fails(error, UDM_E_INVALID, expected + 1);
            ck_assert_str_eq(controltest_state(id), before);
            ck_assert_str_eq(controltest_audits(controltest_change_names[c], id), "0");
            continue;
        }
        dbtest_ok(error);
        ck_assert_msg(strcmp(controltest_state(id), *expected == '=' ? before : expected) == 0,
                      "state %d: %s makes '%s' of '%s'", s, controltest_change_names[c],
                      controltest_state(id), before);
        ck_assert_str_eq(controltest_audits(controltest_change_names[c], id),
                         *expected == '=' ? "0" : "1");
        /* Once more: what may be said twice changes nothing the second time. */
        if (c == UDM_CHANGE_SUSPEND || c == UDM_CHANGE_RESUME) {
            before = controltest_state(id);
            dbtest_ok(controltest_change((udm_change)c, id));
            ck_assert_str_eq(controltest_state(id), before);
            ck_assert_str_eq(controltest_audits(controltest_change_names[c], id),
                             *expected == '=' ? "0" : "1");
        }
        ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run r FULL JOIN udm.run_progress p"
                                      " ON p.run_id = r.id WHERE r.id IS NULL OR p.run_id IS NULL"),
                         "0");
    }
}
END_TEST

/* The same for the deletion of the history record. */
START_TEST(run_delete_in_every_state)
{
    static const struct {
        controltest_state_t from;
        const char *to;
    } tests[] = {
        {QUEUED, "CANCELLED / "},
        {HELD, "CANCELLED / "},
        {RUNNING, "!in progress"},
        {WAITING, "CANCELLED / "},
        {BACK, "CANCELLED / "},
        {OVER, "FAILED / "},
        {AGAIN_QUEUED, "SCHEDULED+d / "},
        {AGAIN_RUNNING, "!in progress"},
        {AGAIN_WAITING, "SUSPENDED+s+d / "},
        {AGAIN_LAST, "!in progress"},
        {AGAIN_OVER, "FAILED / "},
    };
    size_t i;

    for (i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
        apr_int64_t id = controltest_make(tests[i].from);
        apr_int64_t run = controltest_only_run();
        const char *before = controltest_state(id);
        udm_error_t *error = controltest_run_delete(run, dbtest_principal("acme"));

        if (*tests[i].to == '!') {
            dbtest_fails(error, UDM_E_INVALID, tests[i].to + 1);
            ck_assert_str_eq(controltest_state(id), before);
            ck_assert_str_eq(controltest_audits("run.delete", run), "0");
            continue;
        }
        dbtest_ok(error);
        ck_assert_str_eq(controltest_state(id), tests[i].to);
        ck_assert_str_eq(controltest_audits("run.delete", run), "1");
        ck_assert_str_eq(dbtest_value("SELECT count(*) FROM udm.run_progress"), "0");
        dbtest_fails(controltest_run_delete(run, dbtest_principal("acme")), UDM_E_NOT_FOUND,
                     "there is no history record with this id");
    }
}
END_TEST

/* The job's latest run is the latest that is left; records outlive their job. */
START_TEST(run_delete_of_several)
{
    udm_principal_t *who = dbtest_principal("acme");
    apr_int64_t id = controltest_make(AGAIN_OVER);
    apr_int64_t first = controltest_only_run(), last;
    apr_time_t next;
    int made;

    dbtest_exec("UPDATE udm.job SET next_run_at = now()");
    dbtest_ok(queuetest_schedule(&made, &next, pool, dbtest_worker()));
    ck_assert_int_eq(made, 1);
    last = apr_atoi64(dbtest_value("SELECT max(id) FROM udm.run"));
    /* An old record goes while a run waits, and changes nothing for that. */
    dbtest_exec("INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, status)"
                " SELECT id, ccid, source, type, title, true, 'COMPLETED' FROM udm.job");
    dbtest_exec("UPDATE udm.run SET id = 0 WHERE status = 'COMPLETED'");
    dbtest_ok(controltest_run_delete(first, who));
    ck_assert_str_eq(controltest_state(id), "QUEUED+r / COMPLETED QUEUED");
    ck_assert_str_eq(dbtest_value("SELECT latest_run_id FROM udm.job"), udm_pg_int(pool, last));
    dbtest_ok(controltest_run_delete(last, who));
    /* An older run is not the latest one, and would belie the status. */
    ck_assert_str_eq(controltest_state(id), "CANCELLED / COMPLETED");
    ck_assert_str_eq(dbtest_value("SELECT latest_run_id IS NULL FROM udm.job"), "t");

    id = controltest_make(OVER);
    first = controltest_only_run();
    dbtest_ok(controltest_change(UDM_CHANGE_DELETE, id));
    ck_assert_str_eq(controltest_state(id), "gone / FAILED");
    dbtest_ok(controltest_run_delete(first, who));
    ck_assert_str_eq(controltest_state(id), "gone / ");
}
END_TEST

TCase *control_states_case(void)
{
    TCase *tc = dbtest_case("control_states");

    tcase_add_loop_test(tc, every_change_in_every_state, 0, STATES);
    tcase_add_test(tc, run_delete_in_every_state);
    tcase_add_test(tc, run_delete_of_several);
    return tc;
}
