/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_principal.c: rights, and what two sets of them have in common.
 */
#include "core/principal.h"
#include "unit.h"

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
    static const udm_right_t list[] = {{"UCS", "Interaction", true, false},
                                       {"UCS", "Contact", false, true},
                                       {"UCS", "Interaction", false, true}};
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
    static const udm_right_t a[] = {{"UCS", "Interaction", true, true},
                                    {"UCS", "Contact", true, false},
                                    {"UCSX", "Contact", true, true}};
    static const udm_right_t b[] = {{"UCS", "Contact", false, true},
                                    {"UCS", "Interaction", true, false},
                                    {"DataSync", "Task", true, true}};
    static const udm_right_t more[] = {{"UCS", "Interaction", true, false},
                                       {"UCS", "Interaction", false, true}};
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

TCase *principal_case(void)
{
    TCase *tc = unit_case("principal");

    tcase_add_test(tc, test_may);
    tcase_add_test(tc, test_common);
    return tc;
}
