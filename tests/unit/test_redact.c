/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_redact.c: every spelling of a credential that a log could hold, and what must stay readable.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "core/redact.h"

#define ID     "0123456789ab"
#define SECRET "00112233445566778899aabbccddeeffc0ffee5511998822c0ffee5511998822"
#define KEY    "udm_" ID "_" SECRET
#define SIG    "8f14e45fceea167a5a36dedd4bea2543f4a0b2c5d9e1a7b3c6d8e0f1a2b3c4d5"
#define LINK                                                                                       \
    "/udm/download/export-6f1c2d3e-1111-4222-8333-abcdefabcdef.zip.smime?expires=1767225600"
#define JWT "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"

/* Percent-encodes each byte of `text` whose turn it is: 1 all of them, 2 every second. */
static const char *encoded(const char *text, int step, const char *percent, const char *digits)
{
    const char *made = "";
    int i;

    for (i = 0; text[i]; i++) {
        char byte[3] = {text[i], '\0', '\0'};

        if (i % step == 0) {
            byte[0] = digits[(unsigned char)text[i] >> 4];
            byte[1] = digits[text[i] & 15];
        }
        made = apr_pstrcat(pool, made, i % step == 0 ? percent : "", byte, NULL);
    }
    return made;
}

/* Decodes until nothing changes, as a reader of the log may. */
static char *decoded(const char *text)
{
    char *copy = apr_pstrdup(pool, text), *at = copy;

    while ((at = strchr(at, '%')) != NULL) {
        char digits[3] = {at[1], at[1] ? at[2] : '\0', '\0'}, *end;
        long byte = strtol(digits, &end, 16);

        if (end == digits + 2 && byte != 0 && digits[0] != '-' && digits[0] != '+') {
            *at = (char)byte;
            memmove(at + 1, at + 3, strlen(at + 3) + 1);
            at = copy;
        }
        else {
            at++;
        }
    }
    return copy;
}

/* Fails if eight characters in a row of a secret are left, however they are spelled. */
static void no_secret(const char *text, udm_redact_scope scope)
{
    static const char *const secrets[] = {SECRET, SIG, "c2lnbmF0dXJlLW9mLXRoZS10b2tlbg",
                                          "eyJzdWIiOiJhIn0"};
    const char *made = udm_redact(pool, text, scope), *plain = decoded(made);
    size_t i, at;

    for (i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        for (at = 0; at + 8 <= strlen(secrets[i]); at++) {
            const char *piece = apr_pstrmemdup(pool, secrets[i] + at, 8);

            ck_assert_msg(!strcasestr(plain, piece), "%s -> %s", text, made);
        }
    }
    ck_assert_msg(strstr(made, UDM_REDACTED), "%s -> %s", text, made);
    /* what was hidden once may be hidden again */
    ck_assert_str_eq(udm_redact(pool, made, scope), made);
}

START_TEST(test_spellings)
{
    static const char *const texts[] = {
        "GET " LINK "&signature=" SIG " HTTP/1.1",
        "GET " LINK "&SIGNATURE=" SIG " HTTP/1.1",
        "GET " LINK "&signature%3D" SIG " HTTP/1.1",
        "GET " LINK "&signature%3d" SIG " HTTP/1.1",
        "GET " LINK "&signatur%65=" SIG " HTTP/1.1",
        "GET " LINK "%26%73ignature=" SIG " HTTP/1.1",
        "GET " LINK "&signature= " SIG " HTTP/1.1",
        "GET " LINK "&signature=%20" SIG " HTTP/1.1",
        "GET " LINK "&signature=+" SIG " HTTP/1.1",
        "GET " LINK "&signature =" SIG " HTTP/1.1",
        "GET " LINK "&signature%20=" SIG " HTTP/1.1",
        "GET " LINK "&signature=%00" SIG " HTTP/1.1",
        "GET " LINK "&signature=\t" SIG " HTTP/1.1",
        "GET " LINK "&signature=&" SIG " HTTP/1.1",
        "GET " LINK "&signature=8f14e45fceea167a#5a36dedd4bea2543f4a0b2c5d9e1a7b3c6d8 HTTP/1.1",
        "GET " LINK "&signature=8f14e45fceea167a 5a36dedd4bea2543 f4a0b2c5d9e1a7b3 HTTP/1.1",
        "GET " LINK "&signature%253D" SIG " HTTP/1.1",
        "GET " LINK "&%2573ignature=" SIG " HTTP/1.1",
        "GET " LINK "&signature=%38%66"
        "14e45fceea167a5a36dedd4bea2543f4a0b2 HTTP/1.1",
        "GET " LINK "&signature=" SIG,
        "GET /udm/../../x?signature=" SIG " HTTP/1.1",
        "GET /udm/download%2fx%3Fexpires=1%26signature=" SIG " HTTP/1.0",
        "GET /udm/download/" SIG " HTTP/1.0",
        "GET /udm/v10/" KEY " HTTP/1.1",
        "GET /udm/v10/" KEY "?a=b HTTP/1.1",
        "GET /udm/v10/x?key=" KEY " HTTP/1.1",
        "GET /udm/v10/x?key=udm%5F" ID "%5F" SECRET " HTTP/1.1",
        "GET /udm/v10/x?key=udm%5f" ID "_" SECRET " HTTP/1.1",
        "GET /udm/v10/x?key=%75dm_" ID "_" SECRET " HTTP/1.1",
        "GET /udm/v10/x?key=UDM_" ID "_" SECRET " HTTP/1.1",
        "GET /udm/v10/x?key=udm_0123456789AB_00112233445566778899AABBCCDDEEFF HTTP/1.1",
        "GET /udm/v10/x?key=udm_%30"
        "123456789ab_" SECRET " HTTP/1.1",
        "GET /udm/v10/x?key=udm_" ID "%255F" SECRET " HTTP/1.1",
        "GET /udm/v10/x?key=udm_" ID "_%30%30"
        "112233445566 HTTP/1.1",
        "GET /udm/v10/x?key=udm_" ID "_0011223344556677 HTTP/1.1",
        "GET /udm/v10/x?key=udm_" ID "_" SECRET "0123 HTTP/1.1",
        "GET /udm/v10/x?key=udm_" ID "_ " SECRET " HTTP/1.1",
        "GET /udm/v10/x?key=udm_" ID "_%00" SECRET " HTTP/1.1",
        "GET /udm/v10/x?key=udm_" ID "/" SECRET " HTTP/1.1",
        "GET /udm/v10/x?key=udm_" ID "-" SECRET " HTTP/1.1",
        "GET /udm/v10/x?key=xudm_" ID "_" SECRET " HTTP/1.1",
        "GET /udm/v10/x?key=udm_" ID "/../" SECRET " HTTP/1.1",
        "GET /udm/v10/x?key=udm-" ID "-" SECRET " HTTP/1.1",
        "GET /udm/v10/x?key=" SECRET " HTTP/1.1",
        "GET /udm/v10/x?secret=00112233445566778899aabbccddeeffc HTTP/1.1",
        "GET /udm/v10/x?access_token=" JWT " HTTP/1.1",
        "GET /udm/v10/x?access_token=%65yJhbGciOiJSUzI1NiJ9%2EeyJzdWIiOiJhIn0.c2lnbmF0 HTTP/1.1",
        "GET /udm/v10/x?Authorization=Bearer%20" JWT " HTTP/1.1",
        "GET /udm/v10/" JWT " HTTP/1.1",
        "GET /udm/v10/x?a=" JWT "&b=" KEY "&c=" KEY "&signature=" SIG " HTTP/1.1",
        KEY,
        "Bearer " JWT,
        "https://portal/?next=https%3A%2F%2Fapi%2Fudm%2Fdownload%2Fx%3Fsignature%3D" SIG,
    };
    /* in a header of a request that is none of ours */
    static const char *const links[] = {
        "http://h" LINK "&signature=" SIG,
        "http://h/a//download//export-1.zip?expires=1&signature=" SIG,
        "http://h/a/download/./export-1.zip?expires=1&signature=" SIG,
        "http://h/a/./download///././/export-1.zip?expires=1&signature=" SIG,
        "http://h/a/download%2f%2Fexport-1.zip?expires=1&signature=" SIG,
        "http://h/a/download/%2e/export-1.zip?expires=1&signature=" SIG,
        "http://h/a/downloa%64/%65xport-1.zip?signature%3D" SIG "&expires=1",
    };
    static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
    size_t i;
    int step;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        no_secret(texts[i], UDM_REDACT_OURS);
    }
    for (i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        no_secret(links[i], UDM_REDACT_OTHERS);
    }
    for (step = 1; step <= 3; step++) {
        no_secret(encoded("x?key=" KEY, step, "%", lower), UDM_REDACT_OURS);
        no_secret(encoded("x?key=" KEY, step, "%", upper), UDM_REDACT_OURS);
        no_secret(encoded("x?key=" KEY, step, "%25", upper), UDM_REDACT_OURS);
        no_secret(encoded("x?key=" KEY, step, "%2525", upper), UDM_REDACT_OURS);
        no_secret(encoded("x?a&signature=" SIG, step, "%", lower), UDM_REDACT_OURS);
        no_secret(encoded("x?a&signature=" SIG, step, "%25", lower), UDM_REDACT_OURS);
        no_secret(encoded("x?token=" JWT, step, "%", lower), UDM_REDACT_OURS);
        no_secret(encoded(LINK "&signature=" SIG, step, "%", lower), UDM_REDACT_OTHERS);
        no_secret(encoded(KEY, step, "%", lower), UDM_REDACT_OTHERS);
    }
}
END_TEST

/* What may be ours or another's: tokens, but neither pieces nor the words of other links. */
START_TEST(test_tokens)
{
    static const char *const left[] = {"/git/commit/" SECRET, "/app?expires=1&signature=" SIG,
                                       "/keys/udm_" ID "/" SECRET, "/eyJ/eyJ.a/x", "/a/eyJhbGci"};
    size_t i;

    no_secret("/docs/" JWT, UDM_REDACT_TOKENS);
    no_secret("/docs/" JWT ".html", UDM_REDACT_TOKENS);
    no_secret(encoded("/docs/" JWT, 1, "%25", "0123456789abcdef"), UDM_REDACT_TOKENS);
    no_secret("/docs/" KEY "/x", UDM_REDACT_TOKENS);
    no_secret("/docs" LINK "&signature=" SIG, UDM_REDACT_TOKENS);
    for (i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
        ck_assert_ptr_eq(udm_redact(pool, left[i], UDM_REDACT_TOKENS), left[i]);
    }
}
END_TEST

START_TEST(test_what_is_left)
{
    static const struct {
        const char *text, *ours, *others;
    } cases[] = {
        {"GET /udm/v10/x?key=" KEY "&a=b HTTP/1.1",
         "GET /udm/v10/x?key=udm_" ID "REDACTED&a=b HTTP/1.1",
         "GET /udm/v10/x?key=udm_" ID "REDACTED&a=b HTTP/1.1"},
        {"GET " LINK "&signature=" SIG " HTTP/1.1", "GET " LINK "&signature=REDACTED HTTP/1.1",
         "GET " LINK "&signature=REDACTED HTTP/1.1"},
        {"/x?key=udm%5F" ID "%5f" SECRET "%26y", "/x?key=udm%5F" ID "REDACTED%26y",
         "/x?key=udm%5F" ID "REDACTED%26y"},
        {"a=" KEY "&b=" KEY, "a=udm_" ID "REDACTED&b=udm_" ID "REDACTED",
         "a=udm_" ID "REDACTED&b=udm_" ID "REDACTED"},
        /* another application's */
        {"/app?expires=1&signature=" SIG, "/app?expires=1&signature=REDACTED", NULL},
        {"/app/download/x/export-1?signature=" SIG, "/app/download/x/export-1?signature=REDACTED",
         NULL},
        {"/app/downloads/export-1?signature=" SIG, "/app/downloads/export-1?signature=REDACTED",
         NULL},
        {"/app/download/.export-1?signature=" SIG, "/app/download/.export-1?signature=REDACTED",
         NULL},
        {"/git/commit/" SECRET, "/git/commit/REDACTED", NULL},
        {"/app?token=" JWT, "/app?token=REDACTED", NULL},
        /* nobody's */
        {"GET /udm/v10/export/jobs?title=signatures HTTP/1.1", NULL, NULL},
        {"GET /udm/v10/x?signature= HTTP/1.1", NULL, NULL},
        {"GET /udm/v10/x?signature=", NULL, NULL},
        {"GET " LINK " HTTP/1.1", NULL, NULL},
        {"/udm/v10/files/export-6f1c2d3e-1111-4222-8333-abcdefabcdef.zip.smime", NULL, NULL},
        {"/udm/v10/x?source=udm_reader_bench", NULL, NULL},
        {"/udm/v10/x?key=udm_" ID, NULL, NULL},
        {"/udm/v10/x?key=udm_" ID "&size=1000000", NULL, NULL},
        {"/udm/v10/keys/udm_" ID "/export-6f1c2d3e", NULL, NULL},
        {"/udm/v10/x?title=100%&name=%zz%4", NULL, NULL},
        {"/udm/v10/x?id=0123456789abcdef0123456789abcdef", NULL, NULL},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", NULL, NULL},
        {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)", NULL, NULL},
        {"%", NULL, NULL},
        {"", NULL, NULL}};
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *text = cases[i].text, *ours = udm_redact(pool, text, UDM_REDACT_OURS),
                   *others = udm_redact(pool, text, UDM_REDACT_OTHERS);

        /* what holds nothing is not even copied */
        if (!cases[i].ours) {
            ck_assert_ptr_eq(ours, text);
        }
        if (!cases[i].others) {
            ck_assert_ptr_eq(others, text);
        }
        ck_assert_str_eq(ours, cases[i].ours ? cases[i].ours : text);
        ck_assert_str_eq(others, cases[i].others ? cases[i].others : text);
    }
    ck_assert_ptr_null(udm_redact(pool, NULL, UDM_REDACT_OURS));
}
END_TEST

static const char *run_of(char c, int size)
{
    char *text = apr_palloc(pool, (apr_size_t)size + 1);

    memset(text, c, (apr_size_t)size);
    text[size] = '\0';
    return text;
}

/* On either side of each limit. What stands in the middle is what is long or short; no run of hex. */
START_TEST(test_limits)
{
    static const struct {
        const char *before;
        char c;
        int least; /* so many of them are hidden, one less is not */
        const char *after, *hidden;
        udm_redact_scope scope;
    } cases[] = {
        {"/x?a=", 'f', 33, "&b", "/x?a=REDACTED&b", UDM_REDACT_OURS},
        {"/x?a=ghijklm", 'z', 73, "&b", "/x?a=REDACTED&b", UDM_REDACT_OURS},
        {"/x?a=eyJ", 'z', 12, ".&b", "/x?a=REDACTED&b", UDM_REDACT_OURS},
        {"/x?a=eyJ", 'z', 37, "&b", "/x?a=REDACTED&b", UDM_REDACT_OURS},
        {"/x?a=eyJ", 'z', 36, "=&b", "/x?a=REDACTED&b", UDM_REDACT_OURS},
        {"/x/udm_" ID "/", '1', 8, "/b", "/x/udm_" ID "REDACTED/b", UDM_REDACT_OURS},
        {"/x/udm_" ID "_", '1', 16, "/b", "/x/udm_" ID "REDACTED/b", UDM_REDACT_OTHERS},
        {"signature=", 'z', 1, "", "signature=REDACTED", UDM_REDACT_OURS},
    };
    const char *text;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        text = apr_pstrcat(pool, cases[i].before, run_of(cases[i].c, cases[i].least),
                           cases[i].after, NULL);
        ck_assert_str_eq(udm_redact(pool, text, cases[i].scope), cases[i].hidden);
        text = apr_pstrcat(pool, cases[i].before, run_of(cases[i].c, cases[i].least - 1),
                           cases[i].after, NULL);
        ck_assert_str_eq(udm_redact(pool, text, cases[i].scope), text);
    }
    /* so few different characters are a name, be it ever so long */
    text = apr_pstrcat(pool, "/x?a=ghijkl", run_of('z', 300), "&b", NULL);
    ck_assert_str_eq(udm_redact(pool, text, UDM_REDACT_OURS), text);
    /* what may stand between the id of a key and its secret */
    text = apr_pstrcat(pool, "udm_" ID, run_of('/', 8), "11112222 ", NULL);
    ck_assert_str_eq(udm_redact(pool, text, UDM_REDACT_OURS), "udm_" ID "REDACTED ");
    text = apr_pstrcat(pool, "udm_" ID, run_of('/', 9), "11112222 ", NULL);
    ck_assert_str_eq(udm_redact(pool, text, UDM_REDACT_OURS), text);
}
END_TEST

/* Values so short that nothing but their name makes them secrets. */
START_TEST(test_names_alone)
{
    static const char *const cases[][2] = {
        {"/x?signature=abc", "/x?signature=REDACTED"},
        {"/x?signature:abc HTTP/1.1", "/x?signature:REDACTED HTTP/1.1"},
        {"/x?signature%3aabc", "/x?signature%3aREDACTED"},
        {"/x?signature=%00abc", "/x?signature=%00REDACTED"},
        {"/x?signature=+abc", "/x?signature=+REDACTED"},
        {"/x?signature+=%20abc", "/x?signature+=%20REDACTED"},
        {"/x?signature%00=abc", "/x?signature%00=REDACTED"},
        {"/x?signature%252525253dabc", NULL},
        {"/x?signature%2525253dabc", "/x?signature%2525253dREDACTED"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_str_eq(udm_redact(pool, cases[i][0], UDM_REDACT_OURS),
                         cases[i][1] ? cases[i][1] : cases[i][0]);
    }
}
END_TEST

/* Texts that make a reader begin anew at each of their places: half a megabyte of each. */
START_TEST(test_grows_with_the_text_alone)
{
    static const char *const pieces[] = {"udm_0000000000000&",
                                         "udm_00000000000_",
                                         "signature=",
                                         "signature ",
                                         "signature\t",
                                         "eyJ.",
                                         "eyJ",
                                         "eyJhbGciOiJSUzI1NiJ9.x ",
                                         "%25",
                                         "%2525",
                                         "%75dm_",
                                         "0",
                                         "udm_0123456789ab ",
                                         "udm_0123456789ab   ",
                                         "/download/export-",
                                         "HTTP/",
                                         "0123456789abcdef0123456789abcdef "};
    char *text = malloc(APR_INT64_C(524288) + 64);
    size_t i, size, taken, piece;

    for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        piece = strlen(pieces[i]);
        for (size = 0; size + piece < 524288; size += piece) {
            memcpy(text + size, pieces[i], piece);
        }
        text[size] = '\0';
        taken = unit_memory();
        udm_redact(pool, text, UDM_REDACT_OURS);
        udm_redact(pool, text, UDM_REDACT_OTHERS);
        taken = unit_memory() - taken;
        ck_assert_msg(taken <= 24 * size, "%s: %zu bytes for %zu", pieces[i], taken, size);
    }
    free(text);
}
END_TEST

START_TEST(test_any_text)
{
    uint32_t state = 77;
    int i;

    for (i = 0; i < 20000; i++) {
        char *text =
            unit_mutate(&state, "/x%3f?a=%75dm_" ID "_00ff%26signature%253D=00ff eyJhb.c=");
        const char *made = udm_redact(pool, text, i % 2 ? UDM_REDACT_OURS : UDM_REDACT_OTHERS);

        ck_assert_str_eq(udm_redact(pool, made, i % 2 ? UDM_REDACT_OURS : UDM_REDACT_OTHERS), made);
        free(text);
    }
}
END_TEST

TCase *redact_case(void)
{
    TCase *tc = unit_case("redact");

    tcase_add_test(tc, test_spellings);
    tcase_add_test(tc, test_tokens);
    tcase_add_test(tc, test_what_is_left);
    tcase_add_test(tc, test_limits);
    tcase_add_test(tc, test_names_alone);
    tcase_add_test(tc, test_grows_with_the_text_alone);
    tcase_add_test(tc, test_any_text);
    return tc;
}
