/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_link.c: signed links: keys, signatures, what was tampered with, expiry.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "core/link.h"

#define KEY_1   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define KEY_2   "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define KEY_3   "00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff"
#define EXPIRES apr_time_from_sec(1795500000)

/* printf 'GET\na.zip.smime\n1795500000' | openssl dgst -sha256 -mac HMAC -macopt hexkey:KEY_1 */
#define QUERY                                                                                      \
    "expires=1795500000&signature="                                                                \
    "2a4a034605b29039d754974c56e85fd81dc3114385daf057e8ec2c8055fd00e1"

static udm_link_keys_t *keys_of(const char *text)
{
    udm_link_keys_t *keys;

    unit_ok(udm_link_keys_parse(&keys, pool, text, strlen(text)));
    return keys;
}

static udm_error_t *check(const char *query, apr_time_t now)
{
    return udm_link_check(pool, keys_of(KEY_1 "\n"), "a.zip.smime", query, now);
}

START_TEST(test_known_signature)
{
    ck_assert_str_eq(udm_link_query(pool, keys_of(KEY_1), "a.zip.smime", EXPIRES + 999999), QUERY);
    ck_assert_str_ne(udm_link_query(pool, keys_of(KEY_2), "a.zip.smime", EXPIRES), QUERY);
    ck_assert_str_ne(udm_link_query(pool, keys_of(KEY_1), "b.zip.smime", EXPIRES), QUERY);
    unit_ok(check(QUERY, EXPIRES - 1));
}
END_TEST

START_TEST(test_expiry)
{
    unit_ok(check(QUERY, 0));
    unit_fails(check(QUERY, EXPIRES), UDM_E_GONE, "expired");
    unit_fails(check(QUERY, EXPIRES + 1), UDM_E_GONE, "expired");
    /* an expired link whose signature is wrong is wrong, not expired */
    unit_fails(udm_link_check(pool, keys_of(KEY_2), "a.zip.smime", QUERY, EXPIRES + 1),
               UDM_E_FORBIDDEN, "signature");
}
END_TEST

START_TEST(test_tampering)
{
    const char *signature = strstr(QUERY, "signature=") + strlen("signature=");
    size_t i;

    unit_fails(udm_link_check(pool, keys_of(KEY_1), "b.zip.smime", QUERY, 0), UDM_E_FORBIDDEN,
               "signature");
    for (i = 0; i < strlen(QUERY); i++) {
        char *query = apr_pstrdup(pool, QUERY);

        query[i] = query[i] == '0' ? '1' : '0';
        unit_fails(check(query, 0), UDM_E_FORBIDDEN, "link");
    }
    /* one form only: no other order, case, name, or addition */
    unit_fails(check(NULL, 0), UDM_E_FORBIDDEN, "not complete");
    unit_fails(check("", 0), UDM_E_FORBIDDEN, "not complete");
    unit_fails(check("expires=1795500000", 0), UDM_E_FORBIDDEN, "not complete");
    unit_fails(check(QUERY "&", 0), UDM_E_FORBIDDEN, "not complete");
    unit_fails(check(QUERY "0", 0), UDM_E_FORBIDDEN, "not complete");
    unit_fails(check("&" QUERY, 0), UDM_E_FORBIDDEN, "not complete");
    unit_fails(check("x=1&" QUERY, 0), UDM_E_FORBIDDEN, "not complete");
    unit_fails(check(apr_pstrcat(pool, "expires=01795500000&signature=", signature, NULL), 0),
               UDM_E_FORBIDDEN, "signature");
    unit_fails(check(apr_pstrcat(pool, "expires=&signature=", signature, NULL), 0), UDM_E_FORBIDDEN,
               "not complete");
    unit_fails(check(apr_pstrcat(pool, "expires=-1&signature=", signature, NULL), 0),
               UDM_E_FORBIDDEN, "not complete");
    unit_fails(
        check(apr_pstrcat(pool, "expires=99999999999999999999&signature=", signature, NULL), 0),
        UDM_E_FORBIDDEN, "not complete");
    unit_fails(check("signature=0&expires=1795500000", 0), UDM_E_FORBIDDEN, "not complete");
    unit_fails(check("expires=1795500000&signature="
                     "ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789",
                     0),
               UDM_E_FORBIDDEN, "not complete");
}
END_TEST

START_TEST(test_previous_key)
{
    udm_link_keys_t *before = keys_of(KEY_1 "\n");
    udm_link_keys_t *after = keys_of(KEY_2 "\n" KEY_1 "\n");
    const char *old = udm_link_query(pool, before, "f", EXPIRES);
    const char *new = udm_link_query(pool, after, "f", EXPIRES);

    unit_ok(udm_link_check(pool, after, "f", old, 0));
    unit_ok(udm_link_check(pool, after, "f", new, 0));
    unit_fails(udm_link_check(pool, before, "f", new, 0), UDM_E_FORBIDDEN, "signature");
    unit_fails(udm_link_check(pool, keys_of(KEY_3 "\n" KEY_2), "f", old, 0), UDM_E_FORBIDDEN,
               "signature");
}
END_TEST

START_TEST(test_key_file)
{
    udm_link_keys_t *keys;
    const char *query = udm_link_query(pool, keys_of(KEY_1), "f", EXPIRES);

    keys = keys_of("# made today\n\n" KEY_1 " \r\n# the old one\r\n" KEY_2 "\r\n");
    ck_assert_str_eq(udm_link_query(pool, keys, "f", EXPIRES), query);
    /* a longer key is another key, in all its length */
    ck_assert_str_ne(udm_link_query(pool, keys_of(KEY_1 KEY_2), "f", EXPIRES),
                     udm_link_query(pool, keys_of(KEY_1 KEY_3), "f", EXPIRES));
    keys = keys_of("0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF");
    ck_assert_str_eq(udm_link_query(pool, keys, "f", EXPIRES), query);
}
END_TEST

static void key_file_fails(const char *text, apr_size_t size, const char *words)
{
    udm_link_keys_t *keys = (udm_link_keys_t *)-1;
    udm_error_t *error = udm_link_keys_parse(&keys, pool, text, size);

    unit_fails(error, UDM_E_INVALID, words);
    ck_assert_ptr_null(keys);
    ck_assert_ptr_null(strstr(udm_error_line(pool, error), "0123456789")); /* no digit of a key */
}

START_TEST(test_bad_key_file)
{
#define FAILS(text, words) key_file_fails(text, sizeof(text) - 1, words)
    FAILS("", "holds no key");
    FAILS("\n# only a comment\n", "holds no key");
    FAILS("0123456789abcdef\n", "line 1 of the link key file has 16 characters");
    FAILS(KEY_1 "0\n", "has 65 characters");
    FAILS("#\n" KEY_1 "\n0123456789abcdez0123456789abcdef0123456789abcdef0123456789abcdef",
          "line 3 of the link key file is no key");
    FAILS(KEY_1 "\n" KEY_2 "\n" KEY_3 "\n", "line 3 of the link key file is a third key");
    FAILS(KEY_1 "\n\0\n", "line 2 of the link key file holds a NUL");
    FAILS("0123456789abcdef 123456789abcdef0123456789abcdef0123456789abcdef", "line 1");
#undef FAILS
}
END_TEST

START_TEST(test_mutations)
{
    udm_link_keys_t *keys = keys_of(KEY_1);
    uint32_t state = 123456789u;
    apr_pool_t *scratch;
    int i;

    apr_pool_create(&scratch, pool);
    for (i = 0; i < 4000; i++) {
        char *query = unit_mutate(&state, QUERY);
        char *file = unit_mutate(&state, "# c\n" KEY_2 "\n" KEY_1 "\n");
        udm_error_t *error = udm_link_check(scratch, keys, "a.zip.smime", query, 0);
        udm_link_keys_t *others;

        ck_assert((error == NULL) == (strcmp(query, QUERY) == 0));
        error = udm_link_keys_parse(&others, scratch, file, strlen(file));
        ck_assert((error == NULL) == (others != NULL));
        free(query);
        free(file);
        apr_pool_clear(scratch);
    }
}
END_TEST

TCase *link_case(void)
{
    TCase *tc = unit_case("link");

    tcase_add_test(tc, test_known_signature);
    tcase_add_test(tc, test_expiry);
    tcase_add_test(tc, test_tampering);
    tcase_add_test(tc, test_previous_key);
    tcase_add_test(tc, test_key_file);
    tcase_add_test(tc, test_bad_key_file);
    tcase_add_test(tc, test_mutations);
    return tc;
}
