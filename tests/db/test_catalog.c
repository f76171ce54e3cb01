/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_catalog.c: what is read out of the catalog, and for whom.
 */
#include "dbtest.h"

#include <string.h>

#include <apr_strings.h>

#include "db/catalog.h"

/* Attributes of the fixture's types; those of UCS and UCSX differ. */
static void register_attributes(void)
{
    dbtest_exec(
        "SELECT udm.register_attributes('UCS', 'Interaction'),"
        " udm.register_attribute('UCSX', 'Interaction', 'subject', label => 'Another word'),"
        " udm.register_attribute('UCSX', 'Interaction', 'subject', 'only X'),"
        " udm.register_attributes('UCS', 'Contact'),"
        " udm.register_attribute('iWD', 'Task', 'title', 'Title', 'The title')");
}

static apr_array_header_t *names_of(const char *const *names, int count)
{
    apr_array_header_t *array = apr_array_make(pool, 4, sizeof(const char *));
    int i;

    for (i = 0; i < count; i++) {
        APR_ARRAY_PUSH(array, const char *) = names[i];
    }
    return array;
}

/* "name/label" of every value, with commas. */
static const char *shown_values(const apr_array_header_t *values)
{
    const char *text = "";
    int i;

    for (i = 0; i < values->nelts; i++) {
        const udm_value_t *v = &APR_ARRAY_IDX(values, i, udm_value_t);

        ck_assert_str_eq(v->value, v->name);
        text = apr_pstrcat(pool, text, i ? "," : "", v->name, "/", v->label, NULL);
    }
    return text;
}

static const char *sub_types(const udm_principal_t *who, const char *source, const char *type)
{
    apr_array_header_t *found;
    const char *text = "";
    int i;

    dbtest_ok(udm_catalog_sub_types(&found, pool, dbtest_httpd(), who, source, type));
    for (i = 0; i < found->nelts; i++) {
        const udm_sub_type_t *s = &APR_ARRAY_IDX(found, i, udm_sub_type_t);

        text = apr_pstrcat(pool, text, i ? "," : "", s->source, "/", s->type, "/", s->name,
                           s->enabled ? "" : "-", NULL);
    }
    return text;
}

static udm_error_t *no_sub_types(const udm_principal_t *who, const char *source, const char *type)
{
    apr_array_header_t *found;
    udm_error_t *error = udm_catalog_sub_types(&found, pool, dbtest_httpd(), who, source, type);

    ck_assert_int_eq(found->nelts, 0);
    return error;
}

/* "entity.name" of every attribute, with spaces. */
static const char *attributes(const udm_principal_t *who, const apr_array_header_t *entities)
{
    apr_array_header_t *found;
    const char *text = "";
    int i;

    dbtest_ok(udm_catalog_attributes(&found, pool, dbtest_httpd(), who, entities));
    for (i = 0; i < found->nelts; i++) {
        const udm_attribute_t *a = &APR_ARRAY_IDX(found, i, udm_attribute_t);

        ck_assert_ptr_null(a->column);
        text = apr_pstrcat(pool, text, i ? " " : "", a->entity, ".", a->name, NULL);
    }
    return text;
}

START_TEST(type_has_its_attributes)
{
    const udm_attribute_t *a;
    udm_data_type_t *type;
    const char *text = "";
    int i;

    dbtest_ok(udm_catalog_type(&type, pool, dbtest_worker(), "UCS", "Interaction"));
    ck_assert_int_eq(type->attributes->nelts, 0);
    register_attributes();
    dbtest_ok(udm_catalog_type(&type, pool, dbtest_worker(), "Contact History", "Interaction"));
    for (i = 0; i < type->attributes->nelts; i++) {
        a = &APR_ARRAY_IDX(type->attributes, i, udm_attribute_t);
        ck_assert_str_eq(a->column, a->name);
        ck_assert_ptr_null(a->entity);
        text = apr_pstrcat(pool, text, i ? " " : "", a->name, ":", udm_attribute_kind_name(a->kind),
                           NULL);
    }
    ck_assert_str_eq(text, "duration:number entity_type:number id:string media_type:string"
                           " start_date:datetime subject:string");
    dbtest_ok(udm_catalog_type(&type, pool, dbtest_worker(), "iWD", "Task"));
    ck_assert_int_eq(type->attributes->nelts, 1);
    a = &APR_ARRAY_IDX(type->attributes, 0, udm_attribute_t);
    ck_assert_str_eq(a->name, "Title");
    ck_assert_str_eq(a->column, "title");
    ck_assert_str_eq(a->label, "The title");
}
END_TEST

START_TEST(sub_types_by_source_and_type)
{
    const udm_principal_t *who = dbtest_principal("acme");

    dbtest_exec("UPDATE udm.sub_type SET enabled = false WHERE source = 'UCSX' AND name = 'CHAT'");
    ck_assert_str_eq(
        sub_types(who, NULL, NULL),
        "UCS/Interaction/CHAT,UCS/Interaction/EMAIL_IN,UCS/Interaction/PHONE_CALL,"
        "UCSX/Interaction/CHAT-,UCSX/Interaction/EMAIL_IN,UCSX/Interaction/PHONE_CALL");
    ck_assert_str_eq(sub_types(who, "UCS", NULL),
                     "UCS/Interaction/CHAT,UCS/Interaction/EMAIL_IN,UCS/Interaction/PHONE_CALL");
    ck_assert_str_eq(sub_types(who, "Contact History", "Interaction"),
                     sub_types(who, "UCS", "Interaction"));
    ck_assert_str_eq(sub_types(who, NULL, "Interaction"), sub_types(who, NULL, NULL));
    /* Visible, and without sub-types. */
    ck_assert_str_eq(sub_types(who, "UCS", "Contact"), "");
    ck_assert_str_eq(sub_types(who, "iWD", NULL), "");
}
END_TEST

/* A source's name beats another one's alias. */
START_TEST(sub_types_by_alias)
{
    const udm_principal_t *who = dbtest_principal("acme");

    dbtest_exec("UPDATE udm.source SET alias = 'UCSX' WHERE name = 'UCS'");
    ck_assert_str_eq(sub_types(who, "UCSX", NULL),
                     "UCSX/Interaction/CHAT,UCSX/Interaction/EMAIL_IN,UCSX/Interaction/PHONE_CALL");
}
END_TEST

/* Unknown and invisible get the same words, which name what there is and not what was asked for. */
START_TEST(sub_types_of_what_is_not_visible)
{
    const udm_principal_t *all = dbtest_principal("acme");
    const udm_principal_t *some = dbtest_principal_of("acme", "UCS", "Contact", true, false);
    const udm_principal_t *none = dbtest_principal_of("acme", "UCS", "Contact", false, true);
    udm_error_t *error;

    error = no_sub_types(all, "nowhere", NULL);
    dbtest_fails(error, UDM_E_INVALID, "the parameter source must be one of: UCS, UCSX, iWD");
    ck_assert_ptr_null(strstr(error->reason, "nowhere"));
    error = no_sub_types(some, "iWD", NULL);
    dbtest_fails(error, UDM_E_INVALID, "the parameter source must be one of: UCS");
    ck_assert_str_eq(error->reason, no_sub_types(some, "made up", NULL)->reason);
    error = no_sub_types(some, "UCS", "Interaction");
    dbtest_fails(error, UDM_E_INVALID, "the parameter dataType must be one of: Contact");
    ck_assert_str_eq(error->reason, no_sub_types(some, "UCS", "made up")->reason);
    ck_assert_str_eq(error->reason, no_sub_types(some, NULL, "Interaction")->reason);
    /* A type of another source is none of this one. */
    dbtest_fails(no_sub_types(all, "iWD", "Interaction"), UDM_E_INVALID, "must be one of: Task");
    dbtest_fails(no_sub_types(all, NULL, "x"), UDM_E_INVALID,
                 "must be one of: Contact, Interaction, Task");
    dbtest_fails(no_sub_types(none, "UCS", NULL), UDM_E_INVALID, "must be one of: none");
    ck_assert_str_eq(sub_types(some, NULL, NULL), "");
    ck_assert_str_eq(sub_types(none, NULL, NULL), "");
}
END_TEST

START_TEST(attributes_by_entity)
{
    static const char *const asked[] = {"Task", "CHAT", "nothing", "Contact", "Task", "CHAT"};
    const udm_principal_t *who = dbtest_principal("acme");

    ck_assert_str_eq(attributes(who, NULL), "");
    register_attributes();
    ck_assert_str_eq(attributes(who, names_of(asked, 1)), "Task.Title");
    ck_assert_str_eq(attributes(who, names_of(asked, 6)),
                     "Task.Title CHAT.duration CHAT.entity_type CHAT.id CHAT.media_type CHAT.only X"
                     " CHAT.start_date CHAT.subject Contact.created Contact.id Contact.name");
    ck_assert_str_eq(attributes(who, names_of(asked + 2, 1)), "");
    ck_assert_str_eq(attributes(who, names_of(asked, 0)), "");
    ck_assert_str_eq(attributes(who, NULL),
                     "Contact.created Contact.id Contact.name Interaction.duration"
                     " Interaction.entity_type Interaction.id Interaction.media_type"
                     " Interaction.only X Interaction.start_date Interaction.subject Task.Title");
}
END_TEST

START_TEST(attributes_say_kind_and_label)
{
    static const char *const asked[] = {"Interaction"};
    const udm_principal_t *x = dbtest_principal_of("acme", "UCSX", "Interaction", true, true);
    apr_array_header_t *found;
    const udm_attribute_t *a;

    register_attributes();
    dbtest_ok(udm_catalog_attributes(&found, pool, dbtest_httpd(), dbtest_principal("acme"),
                                     names_of(asked, 1)));
    a = &APR_ARRAY_IDX(found, 6, udm_attribute_t);
    ck_assert_str_eq(a->name, "subject");
    ck_assert_str_eq(a->label, "subject");
    ck_assert_int_eq(a->kind, UDM_ATTRIBUTE_STRING);
    ck_assert_int_eq(APR_ARRAY_IDX(found, 5, udm_attribute_t).kind, UDM_ATTRIBUTE_DATETIME);
    ck_assert_int_eq(APR_ARRAY_IDX(found, 0, udm_attribute_t).kind, UDM_ATTRIBUTE_NUMBER);
    /* Where the other source is not visible, its word does not count. */
    dbtest_ok(udm_catalog_attributes(&found, pool, dbtest_httpd(), x, names_of(asked, 1)));
    ck_assert_int_eq(found->nelts, 2);
    ck_assert_str_eq(APR_ARRAY_IDX(found, 1, udm_attribute_t).label, "Another word");
}
END_TEST

START_TEST(attributes_follow_the_rights)
{
    static const char *const asked[] = {"Task", "CHAT", "Interaction", "Contact"};

    register_attributes();
    ck_assert_str_eq(
        attributes(dbtest_principal_of("acme", "iWD", "Task", true, false), names_of(asked, 4)),
        "Task.Title");
    ck_assert_str_eq(attributes(dbtest_principal_of("acme", "UCS", "Contact", true, false), NULL),
                     "Contact.created Contact.id Contact.name");
    ck_assert_str_eq(attributes(dbtest_principal_of("acme", "UCS", "Contact", false, true), NULL),
                     "");
}
END_TEST

START_TEST(labels_of_what_is_visible)
{
    udm_labels_t labels;

    dbtest_exec("UPDATE udm.data_type SET label = 'Gespräche' WHERE source = 'UCS'"
                " AND name = 'Interaction';"
                "SELECT udm.register_media('UCSX', 'Interaction', 'fax', 'Fax', 'Telefax'),"
                " udm.register_media('UCSX', 'Interaction', 'chat', 'Chat', 'another')");
    dbtest_ok(udm_catalog_labels(&labels, pool, dbtest_httpd(), dbtest_principal("acme")));
    ck_assert_str_eq(shown_values(labels.types), "Contact/Contact,Interaction/Gespräche,Task/Task");
    ck_assert_str_eq(shown_values(labels.sources), "UCS/UCS,UCSX/UCSX,iWD/Workload");
    ck_assert_str_eq(shown_values(labels.media), "Chat/Chat,Email/Email,Fax/Telefax,Voice/Voice");
    dbtest_ok(udm_catalog_labels(&labels, pool, dbtest_httpd(),
                                 dbtest_principal_of("acme", "UCSX", "Interaction", true, false)));
    ck_assert_str_eq(shown_values(labels.types), "Interaction/Interaction");
    ck_assert_str_eq(shown_values(labels.sources), "UCSX/UCSX");
    ck_assert_str_eq(shown_values(labels.media),
                     "Chat/another,Email/Email,Fax/Telefax,Voice/Voice");
    dbtest_ok(udm_catalog_labels(&labels, pool, dbtest_httpd(),
                                 dbtest_principal_of("acme", "iWD", "Task", false, true)));
    ck_assert_int_eq(labels.types->nelts + labels.sources->nelts + labels.media->nelts, 0);
}
END_TEST

START_TEST(database_away)
{
    const udm_principal_t *who = dbtest_principal("acme");
    apr_array_header_t *found;
    udm_labels_t labels;

    dbtest_httpd();
    dbtest_kill_connections();
    dbtest_fails(udm_catalog_sub_types(&found, pool, dbtest_httpd(), who, "UCS", NULL),
                 UDM_E_DATABASE, "does not answer");
    dbtest_fails(udm_catalog_attributes(&found, pool, dbtest_httpd(), who, NULL), UDM_E_DATABASE,
                 "does not answer");
    dbtest_fails(udm_catalog_labels(&labels, pool, dbtest_httpd(), who), UDM_E_DATABASE,
                 "does not answer");
}
END_TEST

TCase *catalog_case(void)
{
    TCase *tc = dbtest_case("catalog");

    tcase_add_test(tc, type_has_its_attributes);
    tcase_add_test(tc, sub_types_by_source_and_type);
    tcase_add_test(tc, sub_types_by_alias);
    tcase_add_test(tc, sub_types_of_what_is_not_visible);
    tcase_add_test(tc, attributes_by_entity);
    tcase_add_test(tc, attributes_say_kind_and_label);
    tcase_add_test(tc, attributes_follow_the_rights);
    tcase_add_test(tc, labels_of_what_is_visible);
    tcase_add_test(tc, database_away);
    return tc;
}
