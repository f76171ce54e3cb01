/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_principal.c: rights, and what two sets of them have in common.
 */
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "core/principal.h"

static apr_array_header_t *rights(const udm_right_t *list, int count)
{
    apr_array_header_t *array = apr_array_make(pool, 1, sizeof(udm_right_t));
    int i;

    for (i = 0; i < count; i++) {
        APR_ARRAY_PUSH(array, udm_right_t) = list[i];
    }
    return array;
}

START_TEST(test_may)
{
    static const udm_right_t list[] = {{"UCS", "Interaction", true, false, false},
                                       {"UCS", "Contact", false, true, false},
                                       {"UCS", "Interaction", false, true, false}};
    udm_principal_t who = {.ccid = "cc", .rights = rights(list, 2)};

    ck_assert(udm_principal_may(&who, "UCS", "Interaction", false));
    ck_assert(!udm_principal_may(&who, "UCS", "Interaction", true));
    ck_assert(udm_principal_may(&who, "UCS", "Contact", true));
    ck_assert(!udm_principal_may(&who, "UCS", "Contact", false));
    ck_assert(!udm_principal_may(&who, "UCSX", "Interaction", false));
    ck_assert(!udm_principal_may(&who, "UCS", "interaction", false));
    ck_assert(!udm_principal_may(&who, "", "", false));
    who.rights = rights(list, 3); /* several roles may grant one type */
    ck_assert(udm_principal_may(&who, "UCS", "Interaction", true));
    who.rights = rights(list, 0);
    ck_assert(!udm_principal_may(&who, "UCS", "Interaction", false));
    who.rights = NULL;
    ck_assert(!udm_principal_may(&who, "UCS", "Interaction", false));
}
END_TEST

START_TEST(test_common)
{
    static const udm_right_t a[] = {{"UCS", "Interaction", true, true, false},
                                    {"UCS", "Contact", true, false, false},
                                    {"UCSX", "Contact", true, true, false}};
    static const udm_right_t b[] = {{"UCS", "Contact", false, true, false},
                                    {"UCS", "Interaction", true, false, false},
                                    {"DataSync", "Task", true, true, false}};
    static const udm_right_t more[] = {{"UCS", "Interaction", true, false, false},
                                       {"UCS", "Interaction", false, true, false}};
    udm_principal_t who = {.ccid = "cc"};

    who.rights = udm_principal_common(pool, rights(a, 3), rights(b, 3));
    ck_assert_int_eq(who.rights->nelts, 1); /* Contact: one reads, the other writes: nothing */
    ck_assert(udm_principal_may(&who, "UCS", "Interaction", false));
    ck_assert(!udm_principal_may(&who, "UCS", "Interaction", true));
    who.rights = udm_principal_common(pool, rights(b, 3), rights(a, 3));
    ck_assert_int_eq(who.rights->nelts, 1); /* and the other way round */
    ck_assert(udm_principal_may(&who, "UCS", "Interaction", false));
    ck_assert(!udm_principal_may(&who, "UCS", "Interaction", true));
    who.rights = udm_principal_common(pool, rights(a, 1), rights(more, 2));
    ck_assert(udm_principal_may(&who, "UCS", "Interaction", false));
    ck_assert(udm_principal_may(&who, "UCS", "Interaction", true));
    who.rights = udm_principal_common(pool, rights(more, 2), rights(a, 1));
    ck_assert(udm_principal_may(&who, "UCS", "Interaction", false));
    ck_assert(udm_principal_may(&who, "UCS", "Interaction", true));
    ck_assert_int_eq(udm_principal_common(pool, rights(a, 3), rights(b, 0))->nelts, 0);
    ck_assert_int_eq(udm_principal_common(pool, rights(a, 0), rights(b, 3))->nelts, 0);
}
END_TEST

/* A copy lives on when what it was made of is gone. */
START_TEST(test_copy)
{
    static const udm_right_t list[] = {{"UCS", "Interaction", true, false, false},
                                       {"UCSX", "Contact", false, true, false}};
    udm_principal_t who = {.certificate = true, .good_for = 5};
    udm_principal_t *copy;
    apr_pool_t *other;

    ck_assert_int_eq(apr_pool_create(&other, pool), APR_SUCCESS);
    who.ccid = apr_pstrdup(other, "cc");
    who.subject = apr_pstrdup(other, "somebody");
    who.rights = apr_array_copy(other, rights(list, 2));
    APR_ARRAY_IDX(who.rights, 0, udm_right_t).source = apr_pstrdup(other, "UCS");
    who.roles = apr_array_make(other, 1, sizeof(const char *));
    APR_ARRAY_PUSH(who.roles, const char *) = apr_pstrdup(other, "role");
    copy = udm_principal_copy(pool, &who);
    memset((char *)who.ccid, 'x', 2);
    memset((char *)who.subject, 'x', 2);
    memset((char *)APR_ARRAY_IDX(who.rights, 0, udm_right_t).source, 'x', 2);
    memset((char *)APR_ARRAY_IDX(who.roles, 0, const char *), 'x', 2);
    apr_pool_destroy(other);
    ck_assert_str_eq(copy->ccid, "cc");
    ck_assert_str_eq(copy->subject, "somebody");
    ck_assert_ptr_null(copy->key_id);
    ck_assert(copy->certificate);
    ck_assert_int_eq(copy->good_for, 5);
    ck_assert_int_eq(copy->roles->nelts, 1);
    ck_assert_str_eq(APR_ARRAY_IDX(copy->roles, 0, const char *), "role");
    ck_assert_int_eq(copy->rights->nelts, 2);
    ck_assert(udm_principal_may(copy, "UCS", "Interaction", false));
    ck_assert(!udm_principal_may(copy, "UCS", "Interaction", true));
    ck_assert(udm_principal_may(copy, "UCSX", "Contact", true));
}
END_TEST

TCase *principal_case(void)
{
    TCase *tc = unit_case("principal");

    tcase_add_test(tc, test_may);
    tcase_add_test(tc, test_common);
    tcase_add_test(tc, test_copy);
    return tc;
}
