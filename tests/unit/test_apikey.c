/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_apikey.c: the form of an API key.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_escape.h>
#include <apr_strings.h>

#include "unit.h"
#include "core/apikey.h"

#define ID     "0123456789ab"
#define SECRET "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY    "udm_" ID "_" SECRET

START_TEST(test_good)
{
    udm_apikey_t key;

    ck_assert(udm_apikey_parse(&key, KEY));
    ck_assert_str_eq(key.id, ID);
    /* printf '%s' SECRET | sha256sum */
    ck_assert_str_eq(apr_pescape_hex(pool, key.secret_sha256, sizeof(key.secret_sha256), 0),
                     "2a8abfa8cb9906290437854193ca6bca41d4d4e26d1d454bd66a35158095e737");
}
END_TEST

START_TEST(test_bad)
{
    static const char *const bad[] = {"",
                                      "udm_",
                                      "udm_" ID,
                                      "udm_" ID "_",
                                      "udm_" ID "-" SECRET,
                                      "UDM_" ID "_" SECRET,
                                      " " KEY,
                                      KEY " ",
                                      KEY "0",
                                      "udm_" ID "_" SECRET "\n",
                                      "udm_0123456789aB_" SECRET,
                                      "udm_0123456789ag_" SECRET,
                                      "udm_0123456789a__" SECRET,
                                      "udx_" ID "_" SECRET};
    udm_apikey_t key;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!udm_apikey_parse(&key, bad[i]), "%s", bad[i]);
        ck_assert_str_eq(key.id, "");
    }
    ck_assert(!udm_apikey_parse(&key, NULL));
}
END_TEST

/* Every single character counts. */
START_TEST(test_each_character)
{
    udm_apikey_t good, key;
    size_t i;

    ck_assert(udm_apikey_parse(&good, KEY));
    for (i = 0; i < strlen(KEY); i++) {
        char *text = apr_pstrdup(pool, KEY);

        text[i] = text[i] == '0' ? '1' : '0';
        if (i < 4 || i == 16) {
            ck_assert(!udm_apikey_parse(&key, text));
        }
        else {
            ck_assert(udm_apikey_parse(&key, text));
            ck_assert(memcmp(&key, &good, sizeof(key)) != 0);
        }
        text[i] = 'F';
        ck_assert(!udm_apikey_parse(&key, text));
    }
}
END_TEST

START_TEST(test_mutations)
{
    uint32_t state = 362436069u;
    udm_apikey_t key;
    int i;

    for (i = 0; i < 4000; i++) {
        char *text = unit_mutate(&state, KEY);

        if (udm_apikey_parse(&key, text)) {
            ck_assert_uint_eq(strlen(text), strlen(KEY));
        }
        free(text);
    }
}
END_TEST

TCase *apikey_case(void)
{
    TCase *tc = unit_case("apikey");

    tcase_add_test(tc, test_good);
    tcase_add_test(tc, test_bad);
    tcase_add_test(tc, test_each_character);
    tcase_add_test(tc, test_mutations);
    return tc;
}
