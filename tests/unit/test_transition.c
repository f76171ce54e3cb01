/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_transition.c: every change in every state, against rules of its own wording, and what must
 * hold after any of them.
 */
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "core/transition.h"

/* The five changes of a job, and the deleting of a history record. */
#define RUN_DELETE   5
#define CHANGE_COUNT 6
#define STATE_COUNT  64

static const char *const change_names[] = {"cancel",  "suspend", "resume",
                                           "replace", "delete",  "delete the record"};
static const char *const run_names[] = {"no run", "QUEUED", "IN_PROGRESS", "SUSPENDED"};

static udm_job_state_t state_of(int number)
{
    udm_job_state_t state = {number & 1, number & 2, number & 4, number & 8,
                             (udm_status)(number >> 4)};

    return state;
}

static const char *name_of(int change, const udm_job_state_t *from)
{
    return apr_psprintf(pool, "%s a %s%s%s%s job with %s", change_names[change],
                        from->recurring ? "recurring" : "one-off", from->suspended ? " held" : "",
                        from->due ? " due" : "", from->started ? " started" : "",
                        run_names[from->run]);
}

static udm_error_t *apply(udm_transition_t *to, int change, const udm_job_state_t *from)
{
    return change == RUN_DELETE ? udm_transition_run_delete(to, pool, from)
                                : udm_transition_job(to, pool, (udm_change)change, from);
}

/* Whether such a job can exist. */
static bool is_possible(const udm_job_state_t *from)
{
    bool over = from->run == UDM_STATUS_NONE && !from->due;

    if (from->run == UDM_STATUS_IN_PROGRESS && !from->started) {
        return false;
    }
    if (over && from->suspended) {
        return false;
    }
    return from->run == UDM_STATUS_NONE || (from->run == UDM_STATUS_SUSPENDED) == from->suspended;
}

/* One line of a table. */
typedef struct {
    const char *what;
    const char *result;
} rule;

/*
 * One letter for each part of a state: r or o (recurring, one-off), h or f (held back, free), d or
 * l (due, nothing left), s or v (started, virgin), and the run: n q p u (none, queued, in progress,
 * suspended). A dot means either. The first line that fits counts.
 */
static bool fits(const char *pattern, const udm_job_state_t *from)
{
    char is[6] = {0};
    int i;

    is[0] = from->recurring ? 'r' : 'o';
    is[1] = from->suspended ? 'h' : 'f';
    is[2] = from->due ? 'd' : 'l';
    is[3] = from->started ? 's' : 'v';
    is[4] = "nqpu"[from->run];
    for (i = 0; i < 5; i++) {
        if (pattern[i] != '.' && pattern[i] != is[i]) {
            return false;
        }
    }
    return true;
}

/* The results: "same", "!" and words of the refusal, or run, job, held afterwards, unplanned. */
static const rule cancel_rules[] = {
    {"..l.n", "!its work is over"},
    {"r.d.n", "!there is no run to cancel: suspend or delete the job"},
    {"o.d.n", "keep write free unplan"},
    {"o.d..", "cancelled write free unplan"},
    {"o.l..", "cancelled write free"},
    {"rhd..", "cancelled write held"},
    {"rfd..", "cancelled write free"},
    {"r.l..", "cancelled write free"},
    {NULL, NULL}};
static const rule suspend_rules[] = {
    {"..l.n", "!its work is over"},    {".h...", "same held"},
    {".f..q", "suspended write held"}, {".f..p", "suspended write held"},
    {".f...", "keep write held"},      {NULL, NULL}};
static const rule resume_rules[] = {{"..l.n", "!its work is over"}, {".f...", "same free"},
                                    {".h..u", "queued write free"}, {".h..n", "keep write free"},
                                    {".h...", "keep write free"},   {NULL, NULL}};
static const rule replace_rules[] = {{"r...p", "!wait until it is over, or cancel it"},
                                     {"r..sq", "!wait until it is over, or cancel it"},
                                     {"r..su", "!wait until it is over, or cancel it"},
                                     {"r...n", "keep plan"},
                                     {"r....", "forget plan"},
                                     {"o..s.", "!its run has started; create another job"},
                                     {"o...p", "!its run has started; create another job"},
                                     {"o.l.n", "!its work is over; create another job"},
                                     {"o...n", "keep plan"},
                                     {"o....", "forget plan"},
                                     {NULL, NULL}};
static const rule delete_rules[] = {{"....p", "!in progress; cancel it first"},
                                    {"....n", "keep delete"},
                                    {".....", "cancelled delete"},
                                    {NULL, NULL}};
static const rule run_delete_rules[] = {{"....p", "!in progress; cancel its job first"},
                                        {".h..n", "forget keep held"},
                                        {".f..n", "forget keep free"},
                                        {"o.d..", "forget write free unplan"},
                                        {"r.l..", "forget write free"},
                                        {"o.l..", "forget write free"},
                                        {"rhd..", "forget write held"},
                                        {"rfd..", "forget write free"},
                                        {NULL, NULL}};
static const rule *const rules[] = {cancel_rules,  suspend_rules, resume_rules,
                                    replace_rules, delete_rules,  run_delete_rules};

/* A transition in the words of the rules. */
static const char *words_of(const udm_transition_t *to)
{
    static const char *const runs[] = {"keep", "cancelled", "suspended", "queued", "forget"};
    static const char *const jobs[] = {"keep", "write", "plan", "delete"};
    bool gone = to->job == UDM_JOB_PLAN || to->job == UDM_JOB_DELETE;

    if (to->same) {
        return to->suspended ? "same held" : "same free";
    }
    return apr_pstrcat(pool, runs[to->run], " ", jobs[to->job],
                       gone            ? ""
                       : to->suspended ? " held"
                                       : " free",
                       to->unplan ? " unplan" : "", NULL);
}

START_TEST(test_whole_table)
{
    int change, number;

    for (change = 0; change < CHANGE_COUNT; change++) {
        for (number = 0; number < STATE_COUNT; number++) {
            udm_job_state_t from = state_of(number);
            const rule *r = rules[change];
            udm_transition_t to;
            udm_error_t *error = apply(&to, change, &from);
            const char *name = name_of(change, &from);

            while (r->what && !fits(r->what, &from)) {
                r++;
            }
            ck_assert_msg(r->what != NULL, "no rule: %s", name);
            if (*r->result == '!') {
                ck_assert_msg(error != NULL, "allowed: %s", name);
                unit_fails(error, UDM_E_INVALID, r->result + 1);
                continue;
            }
            ck_assert_msg(!error, "refused: %s", name);
            ck_assert_msg(strcmp(words_of(&to), r->result) == 0, "%s: %s, not %s", name,
                          words_of(&to), r->result);
        }
    }
}
END_TEST

/* The state of the job once what the transition says is written. */
static udm_job_state_t after(const udm_job_state_t *from, const udm_transition_t *to)
{
    udm_job_state_t state = *from;

    state.suspended = to->suspended;
    state.due = from->due && !to->unplan;
    switch (to->run) {
    case UDM_RUN_TO_SUSPENDED:
        state.run = UDM_STATUS_SUSPENDED;
        break;
    case UDM_RUN_TO_QUEUED:
        state.run = UDM_STATUS_QUEUED;
        break;
    case UDM_RUN_TO_CANCELLED:
    case UDM_RUN_FORGET:
        state.run = UDM_STATUS_NONE;
        break;
    case UDM_RUN_KEEP:
        break;
    }
    return state;
}

START_TEST(test_what_always_holds)
{
    int change, number, allowed = 0;

    for (change = 0; change < CHANGE_COUNT; change++) {
        for (number = 0; number < STATE_COUNT; number++) {
            udm_job_state_t from = state_of(number), now;
            const char *name = name_of(change, &from);
            udm_transition_t to, second;

            if (!is_possible(&from) || apply(&to, change, &from)) {
                continue;
            }
            allowed++;
            now = after(&from, &to);
            if (to.same) {
                ck_assert_msg(to.run == UDM_RUN_KEEP && to.job == UDM_JOB_KEEP && !to.unplan &&
                                  to.suspended == from.suspended,
                              "%s", name);
            }
            /* only a run that never began, or one whose record is deleted, is forgotten */
            ck_assert_msg(to.run != UDM_RUN_FORGET || change == RUN_DELETE || !from.started, "%s",
                          name);
            ck_assert_msg(!to.unplan || (from.due && !to.suspended), "%s", name);
            ck_assert_msg((to.job == UDM_JOB_PLAN) == (change == UDM_CHANGE_REPLACE), "%s", name);
            ck_assert_msg((to.job == UDM_JOB_DELETE) == (change == UDM_CHANGE_DELETE), "%s", name);
            if (to.job == UDM_JOB_PLAN || to.job == UDM_JOB_DELETE) {
                ck_assert_msg(now.run == UDM_STATUS_NONE, "%s", name);
                continue;
            }
            ck_assert_msg(is_possible(&now), "leads to what cannot be: %s", name);
            /* whatever is over is free, and nothing of it is written that is not said to be */
            ck_assert_msg(now.run != UDM_STATUS_NONE || now.due || !now.suspended, "%s", name);
            ck_assert_msg(to.job == UDM_JOB_WRITE || (to.suspended == from.suspended && !to.unplan),
                          "%s", name);
            /* suspend and resume are idempotent; nothing can be cancelled twice */
            if (change == UDM_CHANGE_SUSPEND || change == UDM_CHANGE_RESUME) {
                unit_ok(apply(&second, change, &now));
                ck_assert_msg(second.same, "%s", name);
            }
            if (change == UDM_CHANGE_CANCEL) {
                ck_assert_msg(apply(&second, change, &now) != NULL, "%s", name);
            }
        }
    }
    ck_assert_int_gt(allowed, 40);
}
END_TEST

/* What was suspended and resumed goes on as if nothing had been. */
START_TEST(test_suspend_and_resume)
{
    int number;

    for (number = 0; number < STATE_COUNT; number++) {
        udm_job_state_t from = state_of(number), now;
        udm_transition_t to;

        if (!is_possible(&from) || from.suspended || apply(&to, UDM_CHANGE_SUSPEND, &from)) {
            continue;
        }
        now = after(&from, &to);
        unit_ok(apply(&to, UDM_CHANGE_RESUME, &now));
        now = after(&now, &to);
        ck_assert_int_eq(now.suspended, false);
        ck_assert_int_eq(now.due, from.due);
        /* one that was in progress begins again */
        ck_assert_int_eq(now.run,
                         from.run == UDM_STATUS_IN_PROGRESS ? UDM_STATUS_QUEUED : from.run);
    }
}
END_TEST

START_TEST(test_unknown_change)
{
    udm_job_state_t from = state_of(0);
    udm_transition_t to;

    unit_fails(udm_transition_job(&to, pool, (udm_change)99, &from), UDM_E_INTERNAL, "no such");
}
END_TEST

TCase *transition_case(void)
{
    TCase *tc = unit_case("transition");

    tcase_add_test(tc, test_whole_table);
    tcase_add_test(tc, test_what_always_holds);
    tcase_add_test(tc, test_suspend_and_resume);
    tcase_add_test(tc, test_unknown_change);
    return tc;
}
