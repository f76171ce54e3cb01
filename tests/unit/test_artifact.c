/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_artifact.c: names of the files of an export, made and read.
 */
#include <string.h>

#include <apr_strings.h>

#include "unit.h"
#include "core/artifact.h"

#define ID "0b3c7c1e-1111-4222-8333-444455556666"

static udm_artifact_t parse(const char *name)
{
    udm_artifact_t artifact;

    ck_assert_msg(udm_artifact_parse(&artifact, name), "%s", name);
    ck_assert_str_eq(artifact.export_id, ID);
    return artifact;
}

START_TEST(test_made_names_are_read)
{
    static const struct {
        const char *name;
        int part;
        udm_encryption encryption;
    } rows[] = {
        {"export-" ID ".zip.smime", UDM_ARTIFACT_LAST, UDM_ENCRYPTION_SMIME},
        {"export-" ID ".zip.p7m", UDM_ARTIFACT_LAST, UDM_ENCRYPTION_CMS_GCM},
        {"export-" ID ".z01.smime", 1, UDM_ENCRYPTION_SMIME},
        {"export-" ID ".z99.p7m", 99, UDM_ENCRYPTION_CMS_GCM},
        {"export-" ID ".z100.smime", 100, UDM_ENCRYPTION_SMIME},
        {"export-" ID ".z99999.smime", UDM_ARTIFACT_PART_MAX, UDM_ENCRYPTION_SMIME},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        udm_artifact_t artifact = parse(rows[i].name);

        ck_assert(!artifact.draft);
        ck_assert_int_eq(artifact.part, rows[i].part);
        ck_assert_int_eq(artifact.encryption, rows[i].encryption);
        ck_assert_str_eq(udm_artifact_name(pool, ID, rows[i].part, rows[i].encryption),
                         rows[i].name);
    }
    ck_assert_str_eq(udm_artifact_volume(pool, ID, 3), "export-" ID ".z03");
    ck_assert_str_eq(udm_artifact_volume(pool, ID, UDM_ARTIFACT_LAST), "export-" ID ".zip");
}
END_TEST

START_TEST(test_drafts)
{
    udm_artifact_t artifact = parse("export-" ID ".100000.part");

    ck_assert(artifact.draft);
    ck_assert_int_eq(artifact.part, UDM_ARTIFACT_PART_MAX + 1);
    ck_assert_str_eq(udm_artifact_draft(pool, ID, 100000), "export-" ID ".100000.part");
    artifact = parse("export-" ID ".1.part");
    ck_assert(artifact.draft);
    ck_assert_int_eq(artifact.part, 1);
}
END_TEST

START_TEST(test_nothing_else_is_one)
{
    static const char *const bad[] = {"",
                                      "export-",
                                      "export-" ID,
                                      "export-" ID ".",
                                      "export-" ID ".zip",
                                      "export-" ID ".z.smime",
                                      "export-" ID ".z1.smime",
                                      "export-" ID ".z123456.smime",
                                      "export-" ID ".z01ip.smime",
                                      "export-" ID ".z-1.smime",
                                      "export-" ID ".zip.SMIME",
                                      "export-" ID ".zip.smime/",
                                      "export-" ID ".zip.smime.",
                                      "export-" ID ".zip.smimex",
                                      "export-" ID ".zip.smime.p7m",
                                      "export-" ID ".part",
                                      "export-" ID "..part",
                                      "export-" ID ".+1.part",
                                      "export-" ID ".1234567.part",
                                      "export-" ID ".1.partial",
                                      "export-" ID ".z01.part",
                                      "export-" ID "0.zip.smime",
                                      "xport-" ID ".zip.smime",
                                      "Export-" ID ".zip.smime",
                                      "export-0B3C7C1E-1111-4222-8333-444455556666.zip.smime",
                                      "export-../../../../../../../../../etc/passwd.zip.smime",
                                      "export-0b3c7c1e-1111-4222-8333-44445555666.zip.smime",
                                      "export-0b3c7c1e01111-4222-8333-444455556666.zip.smime",
                                      "/export-" ID ".zip.smime",
                                      "export-" ID ".zip.smime\n"};
    udm_artifact_t artifact;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!udm_artifact_parse(&artifact, bad[i]), "%s", bad[i]);
    }
}
END_TEST

TCase *artifact_case(void)
{
    TCase *tc = unit_case("artifact");

    tcase_add_test(tc, test_made_names_are_read);
    tcase_add_test(tc, test_drafts);
    tcase_add_test(tc, test_nothing_else_is_one);
    return tc;
}
