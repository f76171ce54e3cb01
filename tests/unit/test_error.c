/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_error.c: errors: making, copying, their HTTP status and their line in the log.
 */
#include <errno.h>
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "core/error.h"

START_TEST(test_make)
{
    udm_error_t *error = udm_error_make(pool, UDM_E_NOT_FOUND, "no %s with id %d", "job", 7);

    ck_assert_int_eq(error->kind, UDM_E_NOT_FOUND);
    ck_assert_str_eq(error->reason, "no job with id 7");
    ck_assert_ptr_null(error->detail);
    ck_assert_ptr_null(error->faults);
    ck_assert_str_eq(error->sqlstate, "");
    ck_assert_int_eq(error->status, APR_SUCCESS);
}
END_TEST

START_TEST(test_status)
{
    udm_error_t *error = udm_error_status(pool, UDM_E_STORE, ENOSPC, "the store is full");

    ck_assert_int_eq(error->status, ENOSPC);
    ck_assert_str_eq(error->reason, "the store is full");
    ck_assert_ptr_nonnull(strstr(error->detail, "No space left"));
}
END_TEST

START_TEST(test_faults)
{
    udm_error_t *error = NULL;
    int i;

    for (i = 0; i < 150; i++) {
        udm_error_fault(&error, pool, apr_psprintf(pool, "/media/%d", i), "fault %d", i);
    }
    ck_assert_int_eq(error->kind, UDM_E_INVALID);
    ck_assert_int_eq(error->faults->nelts, 100);
    ck_assert_str_eq(APR_ARRAY_IDX(error->faults, 99, udm_fault_t).pointer, "/media/99");
    ck_assert_str_eq(APR_ARRAY_IDX(error->faults, 99, udm_fault_t).detail, "fault 99");
}
END_TEST

START_TEST(test_copy_outlives_its_pool)
{
    udm_error_t *error = NULL, *copy;
    apr_pool_t *child;

    ck_assert_ptr_null(udm_error_copy(pool, NULL));
    apr_pool_create(&child, pool);
    udm_error_fault(&error, child, apr_pstrdup(child, "/title"), "is %s", "required");
    udm_error_detail(child, error, "seen by %s", "the parser");
    apr_cpystrn(error->sqlstate, "23505", sizeof(error->sqlstate));
    copy = udm_error_copy(pool, error);
    memset((char *)error->reason, '#', strlen(error->reason));
    memset((char *)error->detail, '#', strlen(error->detail));
    memset((char *)APR_ARRAY_IDX(error->faults, 0, udm_fault_t).detail, '#', 3);
    memset((char *)APR_ARRAY_IDX(error->faults, 0, udm_fault_t).pointer, '#', 3);
    apr_pool_destroy(child);
    ck_assert_str_eq(copy->detail, "seen by the parser");
    ck_assert_str_eq(copy->sqlstate, "23505");
    ck_assert_ptr_null(strchr(copy->reason, '#'));
    ck_assert_str_eq(APR_ARRAY_IDX(copy->faults, 0, udm_fault_t).detail, "is required");
    ck_assert_str_eq(APR_ARRAY_IDX(copy->faults, 0, udm_fault_t).pointer, "/title");
}
END_TEST

START_TEST(test_http_status)
{
    static const struct {
        udm_error_kind kind;
        int status;
    } expected[] = {{UDM_E_INTERNAL, 500},  {UDM_E_INVALID, 400},    {UDM_E_UNAUTHENTICATED, 401},
                    {UDM_E_FORBIDDEN, 403}, {UDM_E_NOT_FOUND, 404},  {UDM_E_METHOD, 405},
                    {UDM_E_CONFLICT, 409},  {UDM_E_GONE, 410},       {UDM_E_PRECONDITION, 412},
                    {UDM_E_TOO_LARGE, 413}, {UDM_E_MEDIA_TYPE, 415}, {UDM_E_UNPROCESSABLE, 422},
                    {UDM_E_DATABASE, 503},  {UDM_E_SOURCE, 503},     {UDM_E_CERTIFICATE, 400},
                    {UDM_E_STORE, 503},     {UDM_E_LOST, 500},       {UDM_E_STOPPED, 500},
                    {UDM_E_QUOTA, 429}};
    size_t i;

    for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        ck_assert_int_eq(udm_error_http_status(udm_error_make(pool, expected[i].kind, "x")),
                         expected[i].status);
    }
}
END_TEST

START_TEST(test_line)
{
    udm_error_t *error = udm_error_make(pool, UDM_E_DATABASE, "the database refused");

    ck_assert_str_eq(udm_error_line(pool, error), "the database refused");
    /* nothing is not said, and what others end with a line feed ends the line */
    udm_error_detail(pool, error, "%s", "");
    ck_assert_ptr_null(error->detail);
    udm_error_detail(pool, error, " \n");
    ck_assert_ptr_null(error->detail);
    ck_assert_str_eq(udm_error_line(pool, error), error->reason);
    udm_error_detail(pool, error, "it says: %s\n", "no \r\n");
    ck_assert_str_eq(error->detail, "it says: no");
    udm_error_detail(pool, error, "ERROR: no\n  such\ttable");
    apr_cpystrn(error->sqlstate, "42P01", sizeof(error->sqlstate));
    ck_assert_str_eq(udm_error_line(pool, error),
                     "the database refused: ERROR: no   such table (SQLSTATE 42P01)");
}
END_TEST

/* What it is about is told, and outlives its pool, but goes into no log. */
START_TEST(test_told)
{
    udm_error_t *error = udm_error_make(pool, UDM_E_SOURCE, "a row is too large");
    const udm_error_t *copy;
    apr_pool_t *own;

    ck_assert_str_eq(udm_error_told(pool, error), "a row is too large");
    apr_pool_create(&own, pool);
    error->about = apr_pstrdup(own, "the one of Mrs. Miller");
    copy = udm_error_copy(pool, error);
    apr_pool_destroy(own);
    ck_assert_str_eq(udm_error_told(pool, copy), "a row is too large: the one of Mrs. Miller");
    ck_assert_str_eq(udm_error_line(pool, copy), "a row is too large");
}
END_TEST

TCase *error_case(void)
{
    TCase *tc = unit_case("error");

    tcase_add_test(tc, test_make);
    tcase_add_test(tc, test_status);
    tcase_add_test(tc, test_faults);
    tcase_add_test(tc, test_copy_outlives_its_pool);
    tcase_add_test(tc, test_http_status);
    tcase_add_test(tc, test_line);
    tcase_add_test(tc, test_told);
    return tc;
}
