/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.c: the attribute filters of a run, from JSON to conditions on the rows. A value is
 * bound once, to a setting of its own, and the conditions read it from there.
 */
#include <string.h>

#include <apr_strings.h>
#include <jansson.h>

#include "source/private.h"
#include "source/type.h"

/* In the order of udm_attribute_kind: the type that values are compared as. */
static const char *const value_types[] = {"text", "numeric", "boolean", "date", "timestamptz"};

static const udm_attribute_t *find_attribute(const udm_data_type_t *type, const char *name)
{
    int i;

    for (i = 0; type->attributes && i < type->attributes->nelts; i++) {
        const udm_attribute_t *a = &APR_ARRAY_IDX(type->attributes, i, udm_attribute_t);

        if (strcmp(a->name, name) == 0) {
            return a;
        }
    }
    return NULL;
}

/* What was right when the job was made need not be so any more. */
static udm_error_t *misfit(const udm_source_t *s, const char *name, const char *why)
{
    return udm_source_lasting(
        udm_error_make(s->pool, UDM_E_SOURCE,
                       "the filter on attribute \"%s\" cannot be applied any more: %s", name, why));
}

static udm_error_t *read_filter(source_filter_t *filter, const udm_source_t *s,
                                const udm_job_filter_t *asked, int number)
{
    const udm_data_type_t *type = s->type;
    const udm_attribute_t *a = find_attribute(type, asked->attribute);
    const apr_array_header_t *values;
    apr_pool_t *p = s->pool;
    udm_error_t *faults = NULL;

    if (!a) {
        return misfit(s, asked->attribute,
                      apr_psprintf(p, "type \"%s\" of source \"%s\" has no such attribute",
                                   type->name, type->source));
    }
    values = udm_filter_values(&faults, p, "", asked, a->kind);
    if (!values) {
        const udm_fault_t *fault = &APR_ARRAY_IDX(faults->faults, 0, udm_fault_t);

        return misfit(s, a->name,
                      apr_psprintf(p, "its %s %s",
                                   strstr(fault->pointer, "operator") ? "operator" : "value",
                                   fault->detail));
    }
    filter->attribute = a;
    filter->test = asked->test;
    filter->value = asked->test == UDM_TEST_IN ? udm_pg_array(p, values)
                                               : APR_ARRAY_IDX(values, 0, const char *);
    filter->setting = apr_psprintf(p, "udm.filter_%d", number);
    return NULL;
}

udm_error_t *udm_source_read_filters(udm_source_t *s)
{
    const char *text = s->run->filters;
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;
    apr_array_header_t *asked;
    udm_error_t *error = NULL;
    int i;

    s->filters = apr_array_make(s->pool, 4, sizeof(source_filter_t));
    udm_filter_parse(&asked, &error, s->pool, "", json);
    json_decref(json);
    if (error || (text && !json)) {
        return udm_source_lasting(
            udm_error_make(s->pool, UDM_E_SOURCE, "the filters of the run cannot be read"));
    }
    for (i = 0; !error && i < asked->nelts; i++) {
        error = read_filter(apr_array_push(s->filters), s,
                            &APR_ARRAY_IDX(asked, i, udm_job_filter_t), i);
    }
    return error;
}

/* Through the type and back, so that a value which the server does not take is found here. */
udm_error_t *udm_source_bind_filters(udm_source_t *s)
{
    udm_error_t *error = NULL;
    int i;

    for (i = 0; !error && i < s->filters->nelts; i++) {
        const source_filter_t *filter = &APR_ARRAY_IDX(s->filters, i, source_filter_t);
        udm_result_t *result;

        error = udm_pg_query_text(
            &result, s->pool, s->db,
            apr_psprintf(s->pool, "SELECT set_config('%s', ($1::%s%s)::text, true)",
                         filter->setting, value_types[filter->attribute->kind],
                         filter->test == UDM_TEST_IN ? "[]" : ""),
            1, &filter->value);
        if (error && strncmp(error->sqlstate, "22", 2) == 0) {
            return misfit(s, filter->attribute->name,
                          "the database of the source does not take its value");
        }
        if (error) {
            error = udm_source_explain_error(s, error, "its session");
        }
    }
    return error;
}

/*
 * The column as the kind compares it; NULL when its type does not fit. A cast that is not needed is
 * not made, so that an index can be used. Floating point goes by its shortest text, which is what
 * exports show, because the cast to numeric rounds.
 */
static const char *comparable(apr_pool_t *p, const char *column, const attribute_t *a,
                              udm_attribute_kind kind)
{
    switch (a->type) {
    case TYPE_TEXT:
    case TYPE_VARCHAR:
        return kind == UDM_ATTRIBUTE_STRING ? column : NULL;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_NUMERIC:
        if (kind == UDM_ATTRIBUTE_NUMBER) {
            return column;
        }
        break;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        if (kind == UDM_ATTRIBUTE_NUMBER) {
            return apr_pstrcat(p, column, "::text::numeric", NULL);
        }
        break;
    case TYPE_BOOL:
        if (kind == UDM_ATTRIBUTE_BOOLEAN) {
            return column;
        }
        break;
    case TYPE_DATE:
        if (kind == UDM_ATTRIBUTE_DATE || kind == UDM_ATTRIBUTE_DATETIME) {
            return column;
        }
        break;
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        if (kind == UDM_ATTRIBUTE_DATETIME) {
            return column;
        }
        if (kind == UDM_ATTRIBUTE_DATE) {
            return apr_pstrcat(p, column, "::date", NULL);
        }
        break;
    default:
        break;
    }
    /* Everything has a text. */
    return kind == UDM_ATTRIBUTE_STRING ? apr_pstrcat(p, column, "::text", NULL) : NULL;
}

udm_error_t *udm_source_filter_sql(const char **sql, const udm_source_t *s,
                                   const source_filter_t *filter, const char *column,
                                   const attribute_t *a)
{
    static const char *const operators[] = {"=", NULL, "<", "<=", ">", ">="};
    /* Whether texts that are not the same may be equal. */
    bool bytes = a && a->loose && filter->attribute->kind == UDM_ATTRIBUTE_STRING;
    udm_attribute_kind kind = filter->attribute->kind;
    apr_pool_t *p = s->pool;
    const char *left, *right;

    *sql = NULL;
    if (!a) {
        return misfit(
            s, filter->attribute->name,
            apr_psprintf(p, "%s has no column \"%s\"", s->rows.shown, filter->attribute->column));
    }
    left = comparable(p, column, a, kind);
    if (!left) {
        return misfit(s, filter->attribute->name,
                      apr_psprintf(p, "it is of kind %s, but column \"%s\" of %s is of type %s",
                                   udm_attribute_kind_name(kind), a->name, s->rows.shown, a->cast));
    }
    right =
        apr_psprintf(p, "pg_catalog.current_setting('%s')::%s", filter->setting, value_types[kind]);
    switch (filter->test) {
    case UDM_TEST_IN:
        /* In a query of its own: the array is read once, not with each row. */
        *sql = apr_psprintf(p, "%s OPERATOR(pg_catalog.=) ANY (SELECT pg_catalog.unnest(%s[]))",
                            left, right);
        if (bytes) {
            *sql = apr_psprintf(p,
                                "%s AND %s COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) "
                                "ANY (SELECT pg_catalog.unnest(%s[]))",
                                *sql, left, right);
        }
        break;
    case UDM_TEST_CONTAINS:
        /*
         * Not every collation can look for a part of a text; what is a letter, and which is its small
         * one, each one says: beside the column, the value has the column's.
         */
        *sql = apr_psprintf(p,
                            "pg_catalog.strpos(pg_catalog.lower(%s) COLLATE pg_catalog.\"C\", "
                            "pg_catalog.lower(coalesce(%s, %s))) OPERATOR(pg_catalog.>) 0",
                            left, right, left);
        break;
    case UDM_TEST_NE:
        *sql = apr_psprintf(p, "(%s) IS NOT TRUE",
                            bytes ? udm_source_same_text(p, left, right)
                                  : apr_psprintf(p, "%s OPERATOR(pg_catalog.=) %s", left, right));
        break;
    default:
        *sql =
            apr_psprintf(p, "%s OPERATOR(pg_catalog.%s) %s", left, operators[filter->test], right);
        if (bytes && filter->test == UDM_TEST_EQ) {
            *sql = apr_pstrcat(p, *sql, " AND ", udm_source_same_text(p, left, right), NULL);
        }
        break;
    }
    return NULL;
}
