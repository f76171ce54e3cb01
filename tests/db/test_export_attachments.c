/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_export_attachments.c: large contents of attachments, and those of two with one entity and id.
 */
#include "dbtest.h"
#include "exporttest.h"

#include <string.h>

#include <apr_strings.h>

/* Content that does not come with its row. */
START_TEST(large_attachment)
{
    exporttest_t *b = exporttest_prepare();
    const char *line;

    dbtest_exec("UPDATE demo.document SET content = (SELECT string_agg(sha256(n::text::bytea), '')"
                " FROM generate_series(1, 100000) n) || '\\x010203' WHERE id = 'doc1';"
                "UPDATE demo.document SET content = NULL WHERE id = 'doc4'");
    b->run.export_attachments = true;
    exporttest_unpack(b, "UCS", "Interaction");
    line = exporttest_file(b, "CHAT-Attachment-12.json");
    ck_assert_ptr_nonnull(strstr(line, "\"size\":3200003,\"content\":\""));
    ck_assert_ptr_nonnull(strstr(line,
                                 "\"id\":\"doc4\",\"entityid\":\"ixn4\",\"name\":\"file4.txt\","
                                 "\"mimeType\":\"text/plain\",\"size\":null,"
                                 "\"content\":null}\n"));
    line = strstr(line, "\"content\":\"") + 11;
    ck_assert_str_eq(apr_pstrmemdup(pool, line, strcspn(line, "\"")),
                     dbtest_value("SELECT replace(encode(content, 'base64'), E'\\n', '') "
                                  "FROM demo.document WHERE id = 'doc1'"));
}
END_TEST

/* Large contents of two attachments with one entity and id. `relation`: what demo.document becomes. */
static void make_twins(const char *relation)
{
    dbtest_exec("UPDATE demo.document SET id = 'doc1', entityid = 'ixn1' WHERE ccid = 'acme';"
                "UPDATE demo.document SET content = decode(repeat('ab', 1100000), 'hex')"
                " WHERE name = 'file1.txt';"
                "UPDATE demo.document SET content = decode(repeat('cd', 1100000), 'hex')"
                " WHERE name = 'file4.txt'");
    dbtest_exec(relation);
    dbtest_exec("GRANT SELECT ON demo.document TO udm_test_reader");
}

/* Each has its own content, whatever kind of table they are in. */
START_TEST(twin_attachments)
{
    static const char *const relations[] = {
        "SELECT 1",
        "CREATE MATERIALIZED VIEW demo.m AS SELECT * FROM demo.document;"
        "ALTER TABLE demo.document RENAME TO paper;"
        "ALTER MATERIALIZED VIEW demo.m RENAME TO document",
        "ALTER TABLE demo.document RENAME TO paper;"
        "CREATE TABLE demo.document (LIKE demo.paper) PARTITION BY LIST (name);"
        "CREATE TABLE demo.d1 PARTITION OF demo.document FOR VALUES IN ('file1.txt');"
        "CREATE TABLE demo.d2 PARTITION OF demo.document DEFAULT;"
        "INSERT INTO demo.document SELECT * FROM demo.paper",
        "CREATE TABLE demo.child () INHERITS (demo.document);"
        "WITH gone AS (DELETE FROM ONLY demo.document WHERE name = 'file4.txt' RETURNING *)"
        " INSERT INTO demo.child SELECT * FROM gone",
        /* Of different sizes also a view tells them apart. */
        "UPDATE demo.document SET content = content || '\\x00' WHERE name = 'file1.txt';"
        "ALTER TABLE demo.document RENAME TO paper;"
        "CREATE VIEW demo.document AS SELECT * FROM demo.paper",
        /* Two of the same content are no trouble in a view either. */
        "UPDATE demo.document SET content = decode(repeat('ab', 1100000), 'hex')"
        " WHERE name = 'file4.txt'; ALTER TABLE demo.document RENAME TO paper;"
        "CREATE VIEW demo.document AS SELECT * FROM demo.paper",
    };
    exporttest_t *b = exporttest_prepare();
    const char *text, *wanted;

    make_twins(relations[_i]);
    b->run.export_attachments = true;
    exporttest_unpack(b, "UCS", "Interaction");
    text = exporttest_file(b, "CHAT-Attachment-12.json");
    for (int n = 1; n <= 4; n += 3) {
        const char *name = apr_psprintf(pool, "\"name\":\"file%d.txt\"", n);
        const char *line = strstr(text, name);

        ck_assert_ptr_nonnull(line);
        line = strstr(line, "\"content\":\"") + 11;
        wanted = dbtest_value(apr_psprintf(pool,
                                           "SELECT translate(encode(content, 'base64'), E'\\n', '')"
                                           " FROM demo.document WHERE name = 'file%d.txt'",
                                           n));
        ck_assert_uint_eq(strcspn(line, "\""), strlen(wanted));
        ck_assert_int_eq(strncmp(line, wanted, strlen(wanted)), 0);
    }
}
END_TEST

/* Where nothing tells the two apart, the run fails for good and says which they are. */
START_TEST(twin_attachments_of_a_view)
{
    exporttest_t *b = exporttest_prepare();
    udm_error_t *error;

    make_twins(_i == 0 ? "ALTER TABLE demo.document RENAME TO paper;"
                         "CREATE VIEW demo.document AS SELECT * FROM demo.paper"
                       : "REVOKE ALL ON demo.document FROM udm_test_reader");
    if (_i == 1) { /* a reader that may read the columns alone */
        dbtest_exec("REVOKE ALL ON demo.document FROM udm_test_reader;"
                    "GRANT SELECT (id, ccid, entityid, name, mimetype, content) ON demo.document"
                    " TO udm_test_reader");
    }
    b->run.export_attachments = true;
    error = exporttest_try(b, "UCS", "Interaction");
    dbtest_fails(error, UDM_E_SOURCE, "nothing tells their contents apart");
    ck_assert(udm_source_permanent(error));
    ck_assert_str_eq(error->about, "id \"doc1\" of \"ixn1\"");
    ck_assert_ptr_null(strstr(udm_error_line(pool, error), "doc1"));
    ck_assert_ptr_nonnull(strstr(udm_error_told(pool, error), "apart, so give each an id of its "
                                                              "own: id \"doc1\" of \"ixn1\""));
    exporttest_nothing_left(b);
}
END_TEST

TCase *export_attachments_case(void)
{
    TCase *tc = dbtest_case("export_attachments");

    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, large_attachment);
    tcase_add_loop_test(tc, twin_attachments, 0, 6);
    tcase_add_loop_test(tc, twin_attachments_of_a_view, 0, 2);
    return tc;
}
