/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_etag.c: entity tags, and what If-Match lets through.
 */
#include <string.h>

#include "unit.h"
#include "core/etag.h"
#include "core/json.h"

static const char *tag_of(json_t *json)
{
    return udm_etag_make(pool, udm_json_own(pool, json));
}

START_TEST(test_make)
{
    const char *tag = tag_of(json_pack("{s:i}", "a", 1));

    /* the first half of the SHA-256 of {"a":1} */
    ck_assert_str_eq(tag, "\"015abd7f5cc57a2dd94b7590f04ad808\"");
    ck_assert_str_eq(tag, tag_of(json_pack("{s:i}", "a", 1)));
    ck_assert_str_ne(tag, tag_of(json_pack("{s:i}", "a", 2)));
    ck_assert_str_ne(tag, tag_of(json_pack("{s:s}", "a", "1")));
    ck_assert_ptr_null(tag_of(json_string_nocheck("\xff")));
}
END_TEST

START_TEST(test_allows)
{
    static const char tag[] = "\"abc\"";

    ck_assert(udm_etag_allows(NULL, tag));
    ck_assert(udm_etag_allows(NULL, NULL));
    ck_assert(udm_etag_allows("*", tag));
    ck_assert(udm_etag_allows(" *\t", tag));
    ck_assert(udm_etag_allows("\"abc\"", tag));
    ck_assert(udm_etag_allows(" \"abc\" ", tag));
    ck_assert(udm_etag_allows("\"x\", \"abc\"", tag));
    ck_assert(udm_etag_allows("\"x\",\"abc\",\"y\"", tag));
    ck_assert(udm_etag_allows(",, \"x\" ,\t, \"abc\",", tag));
    ck_assert(udm_etag_allows("\"a,b\", \"abc\"", tag));
    ck_assert(udm_etag_allows("W/\"abc\", \"abc\"", tag));
}
END_TEST

/* As proxies write it that compress: nginx, Apache, Jetty, Caddy. */
START_TEST(test_changed_on_the_way)
{
    static const char *const good[] = {
        "W/\"abc\"",           "\"abc-gzip\"",    "\"abc-br\"",
        "\"abc-zstd\"",        "\"abc--gzip\"",   "\"abc;gzip\"",
        "W/\"abc-gzip\"",      "\"abc-deflate\"", "\"x\", \"abc-x-gzip\"",
        "\"x-gzip\",W/\"abc\""};
    static const char *const bad[] = {"\"abc-\"",    "\"abcgzip\"",     "\"abc-gzip-\"",
                                      "\"abc-gz\"",  "\"abc-gzip-br\"", "\"abd-gzip\"",
                                      "\"ab-gzip\"", "\"-gzip\"",       "W/\"abd\"",
                                      "W/W/\"abc\"", "\"abc-GZIPX\"",   "\"abc-gzip"};
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(udm_etag_names(good[i], "\"abc\""), "%s", good[i]);
        ck_assert(udm_etag_allows(good[i], "\"abc\""));
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!udm_etag_names(bad[i], "\"abc\""), "%s", bad[i]);
    }
    ck_assert(!udm_etag_names(NULL, "\"abc\""));
    ck_assert(!udm_etag_names("*", "\"abc\""));
    ck_assert(!udm_etag_names("\"abc\"", NULL));
}
END_TEST

START_TEST(test_forbids)
{
    static const char *const bad[] = {
        "",      " ",         ",",     "\"\"",         "\"ab\"",   "\"abcd\"", "\"ABC\"",   "abc",
        "W/abc", "w/\"abc\"", "\"abc", "\"x, \"abc\"", "*, \"x\"", "**",       "x, \"abc\""};
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!udm_etag_allows(bad[i], "\"abc\""), "%s", bad[i]);
    }
    ck_assert(!udm_etag_allows("\"abc\"", NULL));
}
END_TEST

TCase *etag_case(void)
{
    TCase *tc = unit_case("etag");

    tcase_add_test(tc, test_make);
    tcase_add_test(tc, test_allows);
    tcase_add_test(tc, test_changed_on_the_way);
    tcase_add_test(tc, test_forbids);
    return tc;
}
