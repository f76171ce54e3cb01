/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_text.c: hex, UUID, UTF-8, instants, sizes and ids.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "core/text.h"

START_TEST(test_hex)
{
    unsigned char bytes[3] = {0};

    ck_assert_str_eq(udm_text_hex(pool, (const unsigned char *)"\x00\xff\x1a", 3), "00ff1a");
    ck_assert_str_eq(udm_text_hex(pool, NULL, 0), "");
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

START_TEST(test_time_out)
{
    ck_assert_ptr_null(udm_text_time(pool, UDM_NO_TIME));
    ck_assert_str_eq(udm_text_time(pool, 0), "1970-01-01T00:00:00.000Z");
    ck_assert_str_eq(udm_text_time(pool, 1795500000123999), "2026-11-24T06:00:00.123Z");
    ck_assert_str_eq(udm_text_time(pool, -1), "1969-12-31T23:59:59.999Z");
    ck_assert_str_eq(udm_text_time(pool, apr_time_from_sec(951782400)), "2000-02-29T00:00:00.000Z");
    ck_assert_str_eq(udm_text_time(pool, apr_time_from_sec(253402300799)),
                     "9999-12-31T23:59:59.000Z");
    ck_assert_str_eq(udm_text_time(pool, apr_time_from_sec(-62135596800)),
                     "0001-01-01T00:00:00.000Z");
}
END_TEST

START_TEST(test_time_in)
{
    static const struct {
        const char *text;
        apr_time_t when;
    } good[] = {{"2026-11-24T06:00:00.000Z", 1795500000000000},
                {"2026-11-24T06:00:00Z", 1795500000000000},
                {"2026-11-24t06:00:00z", 1795500000000000},
                {"2026-11-24 06:00:00", 1795500000000000},
                {"2026-11-24T06:00", 1795500000000000},
                {"2026-11-24T06:00Z", 1795500000000000},
                {"2026-11-24T08:00:00+02:00", 1795500000000000},
                {"2026-11-24T00:30:00-05:30", 1795500000000000},
                {"2026-11-24", 1795478400000000},
                {"1970-01-01T00:00:00.5Z", 500000},
                {"1970-01-01T00:00:00.123456789Z", 123456},
                {"1969-12-31T23:59:59.999999Z", -1},
                {"2000-02-29", 951782400000000},
                {"2024-02-29", 1709164800000000},
                {"0001-01-01", -62135596800000000},
                {"9999-12-31T23:59:59.999999Z", 253402300799999999}};
    static const char *const bad[] = {"",
                                      "now",
                                      "2026",
                                      "2026-11",
                                      "2026-11-24T",
                                      "2026-11-24Z",
                                      "2026-11-24T06",
                                      "2026-11-24T6:00",
                                      "2026-11-24T06:00:00.Z",
                                      "2026-11-24T06:00:00.1234567890Z",
                                      "2026-11-24T06:00:00,5Z",
                                      "2026-11-24T24:00:00Z",
                                      "2026-11-24T23:60:00Z",
                                      "2026-12-31T23:59:60Z",
                                      "2026-11-24T06:00:00+0200",
                                      "2026-11-24T06:00:00+24:00",
                                      "2026-11-24T06:00:00+02:60",
                                      "2026-11-24T06:00:00 Z",
                                      "2026-11-24  06:00:00",
                                      "2026-11-24T06:00:00ZZ",
                                      " 2026-11-24",
                                      "2026-11-24 ",
                                      "2026-00-10",
                                      "2026-13-10",
                                      "2026-11-00",
                                      "2026-11-31",
                                      "2026-02-29",
                                      "1900-02-29",
                                      "2100-02-29",
                                      "0000-01-01",
                                      "-2026-01-01",
                                      "12026-01-01",
                                      "2026-1-1",
                                      "0001-01-01T00:00:00+00:01",
                                      "9999-12-31T23:59:59-00:01",
                                      "20261124T060000Z"};
    apr_time_t when;
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        when = 1;
        ck_assert_msg(udm_text_parse_time(&when, good[i].text), "%s", good[i].text);
        ck_assert_msg(when == good[i].when, "%s", good[i].text);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!udm_text_parse_time(&when, bad[i]), "%s", bad[i]);
    }
}
END_TEST

/* Out and in again, over eight centuries with all their leap years. */
START_TEST(test_time_round_trip)
{
    apr_time_t when, again;
    int day;

    for (day = -146097; day < 146097; day += 13) {
        when = apr_time_from_sec((apr_int64_t)day * 86400 + 86399) + 999000;
        ck_assert(udm_text_parse_time(&again, udm_text_time(pool, when)));
        ck_assert_msg(again == when, "day %d", day);
        apr_pool_clear(pool);
    }
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
    tcase_add_test(tc, test_time_out);
    tcase_add_test(tc, test_time_in);
    tcase_add_test(tc, test_time_round_trip);
    tcase_add_test(tc, test_size);
    tcase_add_test(tc, test_size_text);
    tcase_add_test(tc, test_id);
    tcase_add_test(tc, test_equal_secret);
    tcase_add_test(tc, test_count);
    return tc;
}
