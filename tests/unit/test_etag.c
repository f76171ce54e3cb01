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

#define OURS "0123456789abcdef0123456789abcdef"

/* What is left of a list to be compared elsewhere. */
START_TEST(test_list)
{
    static const struct {
        const char *sent;
        const char *taken;
    } lists[] = {
        {"\"" OURS "\"", "\"" OURS "\""},
        {" ,W/\"" OURS "\" ,\"" OURS "-gzip\", W/\"" OURS ";x-gzip\"",
         "\"" OURS "\" \"" OURS "\" \"" OURS "\""},
        {"\"x\", \"\xff\", \"\", \"*\"", ""},
        {"\"" OURS "0\", \"" OURS "-\", \"" OURS "gzip\", \"" OURS "-gz\"", ""},
        {"\"0123456789ABCDEF0123456789ABCDEF\", \"0123\"", ""},
        {"", ""},
        {"*, \"" OURS "\"", ""},
        {OURS, ""},
        {"\"" OURS "\", x, \"" OURS "\"", "\"" OURS "\""},
        {"\"" OURS, ""},
        {"W/W/\"" OURS "\"", ""},
    };
    size_t i;

    ck_assert_ptr_null(udm_etag_list(pool, NULL));
    ck_assert_ptr_null(udm_etag_list(pool, "*"));
    ck_assert_ptr_null(udm_etag_list(pool, " *\t"));
    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        apr_array_header_t *tags = udm_etag_list(pool, lists[i].sent);

        ck_assert_ptr_nonnull(tags);
        ck_assert_str_eq(apr_array_pstrcat(pool, tags, ' '), lists[i].taken);
    }
}
END_TEST

TCase *etag_case(void)
{
    TCase *tc = unit_case("etag");

    tcase_add_test(tc, test_list);
    tcase_add_test(tc, test_make);
    tcase_add_test(tc, test_allows);
    tcase_add_test(tc, test_changed_on_the_way);
    tcase_add_test(tc, test_forbids);
    return tc;
}
