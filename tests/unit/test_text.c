/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_text.c: hex, UUID, UTF-8, sizes and ids.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "core/text.h"

START_TEST(test_hex)
{
    unsigned char bytes[3] = {0};

    ck_assert_str_eq(udm_text_sha256(pool, "a\0b", 3),
                     "59b271ae1bbcb1d31d41929817f4b16fb439eb4f31520b5ad1d5ce98920a7138");
    ck_assert(udm_text_unhex(bytes, 3, "00fF1A"));
    ck_assert_mem_eq(bytes, "\x00\xff\x1a", 3);
    ck_assert(!udm_text_unhex(bytes, 3, "00ff1"));
    ck_assert(!udm_text_unhex(bytes, 3, "00ff1a0"));
    ck_assert(!udm_text_unhex(bytes, 3, "00ff1g"));
    ck_assert(!udm_text_unhex(bytes, 3, "00:f1a"));
    ck_assert(!udm_text_unhex(bytes, 3, ""));
    ck_assert(udm_text_unhex(bytes, 0, ""));
}
END_TEST

START_TEST(test_uuid)
{
    const char *uuid = udm_text_uuid(pool);
    size_t i;

    ck_assert_uint_eq(strlen(uuid), 36);
    for (i = 0; i < 36; i++) {
        ck_assert_msg(i == 8 || i == 13 || i == 18 || i == 23
                          ? uuid[i] == '-'
                          : uuid[i] != '\0' && strchr("0123456789abcdef", uuid[i]) != NULL,
                      "%s", uuid);
    }
    ck_assert_int_eq(uuid[14], '4');
    ck_assert_ptr_nonnull(strchr("89ab", uuid[19]));
    ck_assert_str_ne(uuid, udm_text_uuid(pool));
    ck_assert(udm_text_is_uuid(uuid));
    ck_assert(!udm_text_is_uuid("") && !udm_text_is_uuid(uuid + 1) &&
              !udm_text_is_uuid(apr_pstrcat(pool, uuid, "0", NULL)) &&
              !udm_text_is_uuid("0B3C7C1E-1111-4222-8333-444455556666") &&
              !udm_text_is_uuid("0b3c7c1e-1111-4222-8333-44445555666g") &&
              !udm_text_is_uuid("0b3c7c1e01111-4222-8333-444455556666"));
}
END_TEST

START_TEST(test_utf8)
{
    static const char *const good[] = {"",
                                       "plain",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "a\xc3\xa4z"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc3",
                                      "\xc3(",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xe2\x82",
                                      "\xe2(\xac",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xf0\x90\x80",
                                      "\xff",
                                      "\xfe"};
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(udm_text_is_utf8(good[i], strlen(good[i])), "good %d", (int)i);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!udm_text_is_utf8(bad[i], strlen(bad[i])), "bad %d", (int)i);
    }
    ck_assert(!udm_text_is_utf8("a\0b", 3));
    ck_assert(!udm_text_is_utf8("\xc3\xa4", 1)); /* the size counts, not the NUL */
    ck_assert_uint_eq(udm_text_utf8_prefix("ab\xc3\xa4\xff", 5), 4);
    ck_assert_uint_eq(udm_text_characters("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), 4);
    ck_assert(udm_text_has_control("a\n") && udm_text_has_control("\x7f") &&
              udm_text_has_control("a\xc2\x80") && udm_text_has_control("\xc2\x9f"));
    ck_assert(!udm_text_has_control("") && !udm_text_has_control("a \xc2\xa0\xc3\x80"));
}
END_TEST

START_TEST(test_size)
{
    static const struct {
        const char *text;
        apr_int64_t bytes;
    } good[] = {{"1", 1},
                {"65536", 65536},
                {"10KB", 10000},
                {"10 kb", 10000},
                {"10 MB", 10000000},
                {"2GB", 2000000000},
                {"64KiB", 65536},
                {"64 kib", 65536},
                {"1 MIB", 1048576},
                {"3GiB", 3221225472},
                {"9223372036854775807", APR_INT64_MAX}};
    static const char *const bad[] = {"",
                                      "0",
                                      "0 MB",
                                      "-1",
                                      "+1",
                                      "1.5 MB",
                                      "MB",
                                      "1 TB",
                                      "1 B",
                                      "1 ",
                                      " 1",
                                      "1  MB",
                                      "1MB ",
                                      "0x10",
                                      "1e3",
                                      "1K",
                                      "9223372036854775808",
                                      "99999999999999999999",
                                      "9223372036854775807 KB",
                                      "9223372037 GB"};
    apr_int64_t bytes;
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(udm_text_parse_size(&bytes, good[i].text), "%s", good[i].text);
        ck_assert_msg(bytes == good[i].bytes, "%s", good[i].text);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!udm_text_parse_size(&bytes, bad[i]), "%s", bad[i]);
    }
}
END_TEST

/* What is written is read as no less, and not as much more. */
START_TEST(test_size_text)
{
    static const apr_int64_t sizes[] = {1,       1024,         65536,     65537,     100000,
                                        1048576, 16 * 1048576, 100000000, 1234567890};

    ck_assert_str_eq(udm_text_size(pool, 65536), "64KiB");
    ck_assert_str_eq(udm_text_size(pool, 65537), "65KiB");
    ck_assert_str_eq(udm_text_size(pool, 1048576), "1MiB");
    ck_assert_str_eq(udm_text_size(pool, 1500000), "1465KiB");
    ck_assert_str_eq(udm_text_size(pool, APR_INT64_C(64) << 20), "64MiB");
    ck_assert_str_eq(udm_text_size(pool, APR_INT64_C(3) << 30), "3GiB");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        apr_int64_t bytes;

        ck_assert(udm_text_parse_size(&bytes, udm_text_size(pool, sizes[i])));
        ck_assert_int_ge(bytes, sizes[i]);
        ck_assert_int_le(bytes, sizes[i] + sizes[i] / 16 + 1024);
    }
}
END_TEST

START_TEST(test_id)
{
    apr_int64_t id;

    ck_assert(udm_text_parse_id(&id, "1") && id == 1);
    ck_assert(udm_text_parse_id(&id, "9223372036854775807") && id == APR_INT64_MAX);
    ck_assert(!udm_text_parse_id(&id, "9223372036854775808"));
    ck_assert(!udm_text_parse_id(&id, "0"));
    ck_assert(!udm_text_parse_id(&id, ""));
    ck_assert(!udm_text_parse_id(&id, "-1"));
    ck_assert(!udm_text_parse_id(&id, "1a"));
    ck_assert(!udm_text_parse_id(&id, " 1"));
    ck_assert(!udm_text_parse_id(&id, "1 "));
    ck_assert(!udm_text_parse_id(&id, "0x1"));
}
END_TEST

START_TEST(test_equal_secret)
{
    ck_assert(udm_text_equal_secret("abc", "abd", 2));
    ck_assert(!udm_text_equal_secret("abc", "abd", 3));
    ck_assert(udm_text_equal_secret("", "", 0));
}
END_TEST

START_TEST(test_count)
{
    ck_assert_str_eq(udm_text_count(pool, 0, "slot"), "0 slots");
    ck_assert_str_eq(udm_text_count(pool, 1, "slot"), "1 slot");
    ck_assert_str_eq(udm_text_count(pool, 2, "slot"), "2 slots");
    ck_assert_str_eq(udm_text_count(pool, 11, "file"), "11 files");
    ck_assert_str_eq(udm_text_count(pool, 21, "file"), "21 files");
    ck_assert_str_eq(udm_text_count(pool, APR_INT64_MAX, "byte"), "9223372036854775807 bytes");
}
END_TEST

TCase *text_case(void)
{
    TCase *tc = unit_case("text");

    tcase_add_test(tc, test_hex);
    tcase_add_test(tc, test_uuid);
    tcase_add_test(tc, test_utf8);
    tcase_add_test(tc, test_size);
    tcase_add_test(tc, test_size_text);
    tcase_add_test(tc, test_id);
    tcase_add_test(tc, test_equal_secret);
    tcase_add_test(tc, test_count);
    return tc;
}
