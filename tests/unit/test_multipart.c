/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_multipart.c: forms as clients write them, and forms that are made to cost memory.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "core/multipart.h"

#define TYPE "multipart/form-data; boundary=b"

/* Reads the field "file" of a body. @return its content, or NULL with `error` */
static const char *field_of(udm_error_t **error, const char *type, const char *body, size_t size)
{
    const char *field;
    apr_size_t field_size;

    *error = udm_multipart_field(&field, &field_size, pool, type, body, size, "file");
    return *error ? NULL : apr_pstrmemdup(pool, field, field_size);
}

/* One part with these headers. */
static const char *form(const char *headers)
{
    return apr_pstrcat(pool, "--b\r\n", headers, "\r\n\r\nthe content\r\n--b--\r\n", NULL);
}

START_TEST(test_headers_of_a_part)
{
    static const char *const good[] = {
        "Content-Disposition: form-data; name=file", "content-disposition:form-data;name=\"file\"",
        "Content-Disposition: form-data; filename=\"a; name=x\"; name=\"file\"",
        "Content-Disposition: form-data; x=\"\\\"; name=\\\"y\"; name=\"fi\\le\"",
        "Content-Disposition: form-data; filename=\"C:\\\\new\\\\a.pem\"; name=\"file\"",
        "Content-Disposition: form-data;\r\n name=\"file\";\r\n\tfilename=\"a\"",
        "Content-Disposition:\r\n form-data\r\n ; name=file",
        ("X: folded\r\n Content-Disposition: form-data; name=x\r\nContent-Disposition: form-data; "
         "name=file"),
        "Content-Transfer-Encoding: binary \r\nContent-Disposition: form-data; name=file ",
        "Content-Disposition: form-data; name=file; name=other",
        "Content-Disposition: attachment; name=file",
        /* of a curl whose user gave the form another media type */
        "Content-Disposition: attachment; name=\"file\"; filename=\"a.pem\""};
    static const char *const without[] = {"Content-Disposition: form-data; name=\"file",
                                          "Content-Disposition: inline; name=file",
                                          "Content-Disposition: form-datas; name=file",
                                          "Content-Disposition: form-data; names=file",
                                          "Content-Disposition: form-data; name=\"file\\\"",
                                          "Content-Disposition: form-data; file",
                                          "Content-Disposition: form-data; name = file",
                                          "X: y\r\n Content-Disposition: form-data; name=file",
                                          "Content-Disposition: form-data; x=\"name=file",
                                          "Content-Dispositions: form-data; name=file"};
    udm_error_t *error;
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const char *body = form(good[i]), *content = field_of(&error, TYPE, body, strlen(body));

        unit_ok(error);
        ck_assert_str_eq(content, "the content");
    }
    for (i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
        const char *body = form(without[i]);

        field_of(&error, TYPE, body, strlen(body));
        ck_assert_msg(error != NULL, "%s", without[i]);
        unit_fails(error, UDM_E_INVALID, "no field \"file\"");
    }
}
END_TEST

/* A body of half a megabyte: `before`, then `piece` again and again, then `after`. */
static char *repeated(size_t *size, const char *before, const char *piece, const char *after)
{
    size_t limit = 524288;
    char *body = malloc(limit + strlen(before) + strlen(piece) + strlen(after) + 1);

    strcpy(body, before);
    for (*size = strlen(body); *size < limit; *size += strlen(piece)) {
        strcpy(body + *size, piece);
    }
    strcpy(body + *size, after);
    *size += strlen(after);
    return body;
}

START_TEST(test_takes_no_memory)
{
#define BEFORE "--b\r\nContent-Disposition: form-data"
#define AFTER  "; name=file\r\n\r\nthe content\r\n--b--\r\n"
    static const struct {
        const char *before, *piece, *after;
    } cases[] = {{BEFORE, "; a=\"b\"", AFTER},
                 {BEFORE, "; a=b", AFTER},
                 {BEFORE, "; a=\"\\\\\"", AFTER},
                 {BEFORE, "; name=\"", AFTER},
                 {BEFORE, ";", AFTER},
                 {BEFORE, "=", AFTER},
                 {BEFORE "; name=\"", "\\\\", "\"" AFTER},
                 {BEFORE "; filename=\"", "x", "\"" AFTER},
                 {BEFORE, ";\r\n a=\"b\"", AFTER},
                 {"--b\r\n", "X: y\r\n", "Content-Disposition: form-data" AFTER},
                 {"--b\r\nX: y", "\r\n folded", "\r\nContent-Disposition: form-data" AFTER},
                 {"--b\r\n", "\r", "Content-Disposition: form-data" AFTER},
                 {"--b\r\n", "Content-Disposition:\r\n", "Content-Disposition: form-data" AFTER},
                 {"", "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n", BEFORE AFTER},
                 {"", "--b\r\n\r\n\r\n", BEFORE AFTER},
                 {"", "\r\n--b", AFTER},
                 {"", "\r\n--", AFTER}};
    size_t i, size, taken;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *body = repeated(&size, cases[i].before, cases[i].piece, cases[i].after);
        const char *field;
        apr_size_t field_size;

        taken = unit_memory();
        udm_multipart_field(&field, &field_size, pool, TYPE, body, size, "file");
        taken = unit_memory() - taken;
        /* the one that is asked for may be long itself */
        ck_assert_msg(taken <= 2 * size, "%s: %zu bytes", cases[i].piece, taken);
        free(body);
    }
}
END_TEST

START_TEST(test_the_boundary)
{
    const char *body = form("Content-Disposition: form-data; name=file");
    char *type;
    udm_error_t *error;
    size_t size, taken;

    ck_assert_str_eq(field_of(&error, "multipart/form-data; x=\"; boundary=y\"; Boundary=\"b\"",
                              body, strlen(body)),
                     "the content");
    field_of(&error, "multipart/form-data; boundary=\"b", body, strlen(body));
    unit_fails(error, UDM_E_INVALID, "names no boundary");
    type = repeated(&size, "multipart/form-data", "; a=\"b\"", "; boundary=b");
    taken = unit_memory();
    ck_assert_str_eq(field_of(&error, type, body, strlen(body)), "the content");
    ck_assert_uint_le(unit_memory() - taken, 65536);
    free(type);
}
END_TEST

START_TEST(test_any_body)
{
    uint32_t state = 4711;
    const char *body = form("Content-Disposition: form-data;\r\n name=\"fi\\le\"; x=\"\\\"\"");
    udm_error_t *error;
    int i;

    for (i = 0; i < 20000; i++) {
        char *changed = unit_mutate(&state, body);

        field_of(&error, TYPE, changed, strlen(changed));
        free(changed);
    }
}
END_TEST

TCase *multipart_case(void)
{
    TCase *tc = unit_case("multipart");

    tcase_add_test(tc, test_headers_of_a_part);
    tcase_add_test(tc, test_takes_no_memory);
    tcase_add_test(tc, test_the_boundary);
    tcase_add_test(tc, test_any_body);
    return tc;
}
