/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * relation.c: what the catalog of the source's database says about a relation and its columns.
 */
#include <string.h>

#include <apr_strings.h>

#include "source/private.h"
#include "source/type.h"

/* What is read in its binary form; everything else as its to_json(). */
static const Oid fast_types[] = {
    TYPE_CHAR, TYPE_OID,       TYPE_BOOL, TYPE_BYTEA,  TYPE_NAME,    TYPE_INT8,       TYPE_INT2,
    TYPE_INT4, TYPE_TEXT,      TYPE_JSON, TYPE_FLOAT4, TYPE_FLOAT8,  TYPE_BPCHAR,     TYPE_VARCHAR,
    TYPE_DATE, TYPE_TIMESTAMP, TYPE_UUID, TYPE_JSONB,  TYPE_NUMERIC, TYPE_TIMESTAMPTZ};

/* What PostgreSQL itself comes with has lower numbers (FirstNormalObjectId). */
#define FIRST_OF_OTHERS 16384

static bool is_fast(Oid type)
{
    apr_size_t i;

    for (i = 0; i < sizeof(fast_types) / sizeof(fast_types[0]); i++) {
        if (fast_types[i] == type) {
            return true;
        }
    }
    return false;
}

const attribute_t *udm_source_attribute(const relation_t *relation, const char *name)
{
    int i;

    for (i = 0; i < relation->attributes->nelts; i++) {
        const attribute_t *a = &APR_ARRAY_IDX(relation->attributes, i, attribute_t);

        if (strcmp(a->name, name) == 0) {
            return a;
        }
    }
    return NULL;
}

/*
 * The columns of a relation, with domains, also those of elements, followed down to the type below
 * them; one row without a column for a relation that has none.
 */
/* clang-format off */
static const char columns_sql[] =
    "WITH RECURSIVE rel AS ("
    " SELECT c.oid, c.relkind, c.relispopulated"
    "   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    "  WHERE n.nspname = $1::text AND c.relname = $2::text),"
    " base AS ("
    " SELECT a.attnum, a.attname, a.atttypid AS typid, a.attcollation"
    "   FROM pg_attribute a JOIN rel ON a.attrelid = rel.oid"
    "  WHERE a.attnum > 0 AND NOT a.attisdropped"
    " UNION ALL"
    " SELECT b.attnum, b.attname, t.typbasetype, b.attcollation"
    "   FROM base b JOIN pg_type t ON t.oid = b.typid WHERE t.typtype = 'd')"
    "SELECT b.attname, b.typid::bigint,"
    "       CASE WHEN t.typcategory = 'A' THEN (WITH RECURSIVE element AS ("
    "         SELECT t.typelem AS typid UNION ALL SELECT d.typbasetype"
    "           FROM element e JOIN pg_type d ON d.oid = e.typid WHERE d.typtype = 'd')"
    "        SELECT e.typid FROM element e JOIN pg_type d ON d.oid = e.typid"
    "         WHERE d.typtype <> 'd') ELSE 0 END::bigint,"
    "       format_type(b.typid, -1), b.attcollation::bigint,"
    "       t.typtype = 'e', t.typcategory = 'S', rel.relkind, rel.relispopulated"
    "  FROM rel LEFT JOIN (base b JOIN pg_type t ON t.oid = b.typid AND t.typtype <> 'd') ON true"
    " ORDER BY b.attnum";

static const char loose_sql[] =
    "SELECT oid::bigint FROM pg_collation WHERE oid = ANY ($1::oid[]) AND NOT collisdeterministic";
/* clang-format on */

/* What a relation that is none of rows is called; NULL for those that are. */
static const char *no_rows_of(char kind)
{
    switch (kind) {
    case 'r':
    case 'p':
    case 'v':
    case 'm':
    case 'f':
        return NULL;
    case 'i':
    case 'I':
        return "an index";
    case 'S':
        return "a sequence";
    case 'c':
        return "a composite type";
    default:
        return "something else";
    }
}

static udm_error_t *check_relation(const udm_source_t *s, const relation_t *relation)
{
    const char *is = no_rows_of(relation->kind);

    if (is) {
        return udm_source_lasting(udm_error_make(s->pool, UDM_E_SOURCE,
                                                 "%s of source \"%s\" is %s, not a table or a view",
                                                 relation->shown, s->type->source, is));
    }
    if (relation->attributes->nelts == 0) {
        return udm_source_lasting(udm_error_make(s->pool, UDM_E_SOURCE,
                                                 "%s of source \"%s\" has no columns",
                                                 relation->shown, s->type->source));
    }
    /* Not for ever: a refresh may come by itself. */
    if (!relation->filled) {
        return udm_error_make(s->pool, UDM_E_SOURCE,
                              "%s of source \"%s\" is a materialized view that is not populated: "
                              "REFRESH MATERIALIZED VIEW it first",
                              relation->shown, s->type->source);
    }
    return NULL;
}

/*
 * Which columns have a collation that finds texts equal whose bytes are not. PostgreSQL has none of its
 * own, so mostly there is nothing to ask.
 */
static udm_error_t *find_loose(relation_t *relation, udm_source_t *s)
{
    apr_array_header_t *oids = apr_array_make(s->pool, 4, sizeof(const char *));
    udm_result_t *result;
    const char *values[1];
    udm_error_t *error;
    int i, j;

    for (i = 0; i < relation->attributes->nelts; i++) {
        const attribute_t *a = &APR_ARRAY_IDX(relation->attributes, i, attribute_t);

        if (a->collation >= FIRST_OF_OTHERS) {
            APR_ARRAY_PUSH(oids, const char *) = udm_pg_int(s->pool, a->collation);
        }
    }
    if (oids->nelts == 0) {
        return NULL;
    }
    values[0] = udm_pg_array(s->pool, oids);
    error = udm_source_query(&result, s, relation->shown, loose_sql, 1, values);
    for (i = 0; !error && i < result->rows; i++) {
        for (j = 0; j < relation->attributes->nelts; j++) {
            attribute_t *a = &APR_ARRAY_IDX(relation->attributes, j, attribute_t);

            a->loose = a->loose || a->collation == (Oid)udm_result_int(result, i, 0);
        }
    }
    return error;
}

udm_error_t *udm_source_load_relation(relation_t *relation, udm_source_t *s, const char *schema,
                                      const char *name)
{
    const char *values[] = {schema, name};
    apr_pool_t *p = s->pool;
    udm_result_t *result;
    udm_error_t *error;
    int i;

    relation->shown = apr_pstrcat(p, schema, ".", name, NULL);
    relation->sql =
        apr_pstrcat(p, udm_pg_identifier(p, schema), ".", udm_pg_identifier(p, name), NULL);
    error = udm_source_query(&result, s, relation->shown, columns_sql, 2, values);
    if (error) {
        return error;
    }
    if (result->rows == 0) {
        return udm_source_lasting(udm_error_make(p, UDM_E_SOURCE,
                                                 "there is no relation %s in source \"%s\"",
                                                 relation->shown, s->type->source));
    }
    relation->attributes = apr_array_make(p, result->rows, sizeof(attribute_t));
    for (i = 0; i < result->rows && udm_result_text(result, i, 0); i++) {
        attribute_t *a = apr_array_push(relation->attributes);

        a->name = udm_result_text(result, i, 0);
        a->type = (Oid)udm_result_int(result, i, 1);
        a->element = (Oid)udm_result_int(result, i, 2);
        a->cast = udm_result_text(result, i, 3);
        a->collation = (Oid)udm_result_int(result, i, 4);
        a->equality = udm_result_bool(result, i, 5) || (is_fast(a->type) && a->type != TYPE_JSON);
        a->words = udm_result_bool(result, i, 6);
    }
    relation->kind = *udm_result_text(result, 0, 7);
    relation->filled = udm_result_bool(result, 0, 8);
    error = check_relation(s, relation);
    return error ? error : find_loose(relation, s);
}

void udm_source_add_column(udm_source_t *s, apr_array_header_t *expressions, const attribute_t *a)
{
    udm_column_t *column = apr_array_push(s->columns);
    const char *sql = apr_pstrcat(s->pool, "r.", udm_pg_identifier(s->pool, a->name), NULL);

    column->name = a->name;
    column->type = a->type;
    if (is_fast(a->type)) {
        column->json = a->type == TYPE_JSON || a->type == TYPE_JSONB;
    }
    else if (is_fast(a->element)) {
        column->element = a->element;
        column->array = a->type;
    }
    else {
        column->type = TYPE_TEXT;
        column->json = true;
        sql = apr_pstrcat(s->pool, "pg_catalog.to_json(", sql, ")::text", NULL);
    }
    APR_ARRAY_PUSH(expressions, const char *) = sql;
}

udm_error_t *udm_source_no_column(udm_source_t *s, const relation_t *relation, const char *name)
{
    return udm_source_lasting(udm_error_make(s->pool, UDM_E_SOURCE,
                                             "%s of source \"%s\" has no column \"%s\"",
                                             relation->shown, s->type->source, name));
}
