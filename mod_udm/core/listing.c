/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * listing.c: reads the query of a list by the list's own table.
 */
#include <string.h>

#include <apr_cstr.h>
#include <apr_escape.h>
#include <apr_strings.h>

#include "core/calendar.h"
#include "core/filter.h"
#include "core/job.h"
#include "core/listing.h"
#include "core/run.h"
#include "core/text.h"

#define DEFAULT_SIZE  999999999
#define DEFAULT_ORDER "createdDate"
#define PRINT_DIGITS  16 /* of a hash: a cursor of another list is a mistake, no attack */

/* The first value of a parameter, or NULL; names count as they are written. */
static const char *parameter(const apr_table_t *query, const char *name)
{
    const apr_array_header_t *entries = apr_table_elts(query);
    int i;

    for (i = 0; i < entries->nelts; i++) {
        const apr_table_entry_t *entry = &APR_ARRAY_IDX(entries, i, apr_table_entry_t);

        if (strcmp(entry->key, name) == 0) {
            return *entry->val ? entry->val : NULL;
        }
    }
    return NULL;
}

udm_error_t *udm_listing_once(apr_pool_t *p, const apr_table_t *query, const char *name)
{
    const apr_array_header_t *entries = apr_table_elts(query);
    int i, times = 0;

    for (i = 0; i < entries->nelts && times < 2; i++) {
        times += strcmp(APR_ARRAY_IDX(entries, i, apr_table_entry_t).key, name) == 0;
    }
    return times < 2
               ? NULL
               : udm_error_make(p, UDM_E_INVALID,
                                "the parameter %s is there twice, and stands for one value", name);
}

/* Each parameter of a list stands for one value. */
static udm_error_t *check_once(apr_pool_t *p, const apr_table_t *query, const char *const *known)
{
    udm_error_t *error = NULL;

    for (; *known && !error; known++) {
        error = udm_listing_once(p, query, *known);
    }
    return error;
}

/* Every complaint about a value: which parameter, and what it may be. */
static udm_error_t *bad_value(apr_pool_t *p, const char *name, const char *legal)
{
    return udm_error_make(p, UDM_E_INVALID, "the parameter %s must be %s", name, legal);
}

/* Reads "true" or "false" in any case. */
static bool parse_boolean(bool *value, const char *text)
{
    *value = apr_cstr_casecmp(text, "true") == 0;
    return *value || apr_cstr_casecmp(text, "false") == 0;
}

/* A whole number from 0 on; leaves the default where the parameter is absent. */
static udm_error_t *read_number(apr_int64_t *number, apr_pool_t *p, const apr_table_t *query,
                                const char *name)
{
    const char *text = parameter(query, name);

    if (!text) {
        return NULL;
    }
    if (strspn(text, "0") == strlen(text)) {
        *number = 0;
        return NULL;
    }
    if (!udm_text_parse_id(number, text)) {
        return bad_value(
            p, name, apr_psprintf(p, "a whole number from 0 to %" APR_INT64_T_FMT, APR_INT64_MAX));
    }
    return NULL;
}

/* Finds the order by its field; the message lists all that the version has. */
static udm_error_t *read_order(const udm_order_spec_t **order, apr_pool_t *p,
                               const udm_listing_spec_t *spec, udm_version version,
                               const apr_table_t *query)
{
    const char *text = parameter(query, "orderField");
    const udm_order_spec_t *o, *first = NULL;
    const char *legal = "";

    for (o = spec->orders; o->field; o++) {
        if (!(o->versions & (int)version)) {
            continue;
        }
        if (strcmp(o->field, text ? text : DEFAULT_ORDER) == 0) {
            *order = o;
            return NULL;
        }
        first = first ? first : o;
        legal = apr_pstrcat(p, legal, *legal ? ", " : "", o->field, NULL);
    }
    if (text) {
        return bad_value(p, "orderField", apr_pstrcat(p, "one of: ", legal, NULL));
    }
    /* a list without createdDate begins with its own default */
    *order = first ? first : spec->orders;
    return NULL;
}

/* A status by value or label, as its value. @return NULL for none, with `legal` saying which are */
static const char *find_status(const char **legal, apr_pool_t *p, const char *text)
{
    const udm_label_t *status;

    *legal = "one of: ";
    for (status = udm_status_labels(); status->value; status++) {
        if (apr_cstr_casecmp(status->value, text) == 0 ||
            apr_cstr_casecmp(status->label, text) == 0) {
            return status->value;
        }
        *legal = apr_pstrcat(p, *legal, status->value, " (", status->label, ")",
                             status[1].value ? ", " : "", NULL);
    }
    return NULL;
}

/* A schedule type by its name. @return NULL for none, with `legal` saying which are */
static const char *find_schedule(const char **legal, apr_pool_t *p, const char *text)
{
    int type;

    *legal = "one of: ";
    for (type = UDM_SCHEDULE_NOW; type <= UDM_SCHEDULE_RECURRING; type++) {
        const char *name = udm_schedule_type_name((udm_schedule_type)type);

        if (apr_cstr_casecmp(name, text) == 0) {
            return name;
        }
        *legal = apr_pstrcat(p, *legal, name, type < UDM_SCHEDULE_RECURRING ? ", " : "", NULL);
    }
    return NULL;
}

/* Checks one filter. @return the normal form, or NULL with `legal` saying what may be */
static const char *filter_value(const char **legal, apr_pool_t *p, udm_filter_kind kind,
                                const char *text)
{
    apr_time_t when;
    apr_int64_t id;
    bool yes;

    switch (kind) {
    case UDM_FILTER_CONTAINS:
        return text;
    case UDM_FILTER_STATUS:
        return find_status(legal, p, text);
    case UDM_FILTER_ID:
        *legal = "an id: a whole number from 1 on";
        return udm_text_parse_id(&id, text) ? apr_psprintf(p, "%" APR_INT64_T_FMT, id) : NULL;
    case UDM_FILTER_BOOLEAN:
        *legal = "true or false";
        return parse_boolean(&yes, text) ? (yes ? "true" : "false") : NULL;
    case UDM_FILTER_SCHEDULE:
        return find_schedule(legal, p, text);
    case UDM_FILTER_FROM:
    case UDM_FILTER_TO:
        *legal = "a date or an instant, like 2026-11-24 or 2026-11-24T06:00:00Z";
        return udm_calendar_parse(&when, text) ? udm_filter_time(p, when) : NULL;
    }
    return NULL;
}

udm_error_t *udm_listing_names(apr_pool_t *p, const apr_table_t *query, const char *const *known)
{
    const apr_array_header_t *entries = apr_table_elts(query);
    int i, k;

    for (i = 0; i < entries->nelts; i++) {
        const char *name = APR_ARRAY_IDX(entries, i, apr_table_entry_t).key;

        for (k = 0; known[k]; k++) {
            if (apr_cstr_casecmp(name, known[k]) == 0 && strcmp(name, known[k]) != 0) {
                return udm_error_make(p, UDM_E_INVALID,
                                      "the parameter %s must be written %s: capitals count in the "
                                      "names of parameters",
                                      name, known[k]);
            }
        }
    }
    return NULL;
}

/* The names of all parameters that a list has in one version. */
static const char *const *known_names(apr_pool_t *p, const udm_listing_spec_t *spec,
                                      udm_version version)
{
    apr_array_header_t *names = apr_array_make(p, 16, sizeof(const char *));
    const udm_filter_spec_t *f;

    APR_ARRAY_PUSH(names, const char *) = "from";
    APR_ARRAY_PUSH(names, const char *) = "size";
    APR_ARRAY_PUSH(names, const char *) = "orderField";
    APR_ARRAY_PUSH(names, const char *) = "descAsc";
    if (version == UDM_V10) {
        APR_ARRAY_PUSH(names, const char *) = "bgUpdate"; /* which nothing reads */
        APR_ARRAY_PUSH(names, const char *) = "cursor";
        APR_ARRAY_PUSH(names, const char *) = "after";
    }
    for (f = spec->filters; f->parameter; f++) {
        if (f->versions & (int)version) {
            APR_ARRAY_PUSH(names, const char *) = f->parameter;
        }
    }
    APR_ARRAY_PUSH(names, const char *) = NULL;
    return (const char *const *)names->elts;
}

/* What tells a list with its order and filters from others: a page of one is no place in another. */
static const char *print_of(apr_pool_t *p, const udm_listing_spec_t *spec,
                            const udm_listing_t *listing)
{
    apr_array_header_t *parts = apr_array_make(p, 8, sizeof(const char *));
    const char *text;
    int i;

    /* with the length of each value, for that may hold the character between the parts */
    APR_ARRAY_PUSH(parts, const char *) = spec->orders->expression; /* the id, of one table */
    APR_ARRAY_PUSH(parts, const char *) = listing->order->field;
    APR_ARRAY_PUSH(parts, const char *) = listing->descending ? "desc" : "asc";
    for (i = 0; i < listing->filters->nelts; i++) {
        const udm_filter_t *filter = &APR_ARRAY_IDX(listing->filters, i, udm_filter_t);

        APR_ARRAY_PUSH(parts, const char *) = filter->spec->parameter;
        APR_ARRAY_PUSH(parts, const char *) = apr_psprintf(p, "%d", (int)strlen(filter->value));
        APR_ARRAY_PUSH(parts, const char *) = filter->value;
    }
    text = apr_array_pstrcat(p, parts, '\n');
    return apr_pstrndup(p, udm_text_sha256(p, text, strlen(text)), PRINT_DIGITS);
}

/* Reads where a page begins, and whether its answer says where the next one does. */
static udm_error_t *read_cursor(udm_listing_t *listing, apr_pool_t *p, const apr_table_t *query)
{
    const char *after = parameter(query, "after"), *wanted = parameter(query, "cursor");
    udm_cursor_t *cursor = apr_palloc(p, sizeof(*cursor));

    if (wanted && !parse_boolean(&listing->cursor, wanted)) {
        return bad_value(p, "cursor", "true or false");
    }
    if (after) {
        if (!udm_cursor_parse(cursor, p, after) || strcmp(cursor->list, listing->print) != 0) {
            return bad_value(p, "after",
                             "what an answer of this list gave as next, for the same orderField, "
                             "descAsc and filters; begin again without it");
        }
        if (listing->from > 0) {
            return bad_value(p, "from", "0 beside after, which says where the page begins");
        }
        listing->after = cursor;
        listing->cursor = true;
    }
    if (listing->cursor && listing->size == 0) {
        return bad_value(p, "size", "at least 1 beside cursor or after");
    }
    return NULL;
}

udm_error_t *udm_listing_parse(udm_listing_t **listing, apr_pool_t *p,
                               const udm_listing_spec_t *spec, udm_version version,
                               const apr_table_t *query)
{
    const char *const *known = known_names(p, spec, version);
    udm_listing_t *made = apr_pcalloc(p, sizeof(*made));
    const udm_filter_spec_t *f;
    const char *text, *legal = "";
    udm_error_t *error;

    *listing = NULL;
    made->size = DEFAULT_SIZE;
    made->filters = apr_array_make(p, 4, sizeof(udm_filter_t));
    if ((error = udm_listing_names(p, query, known)) || (error = check_once(p, query, known)) ||
        (error = read_number(&made->from, p, query, "from")) ||
        (error = read_number(&made->size, p, query, "size")) ||
        (error = read_order(&made->order, p, spec, version, query))) {
        return error;
    }
    text = parameter(query, "descAsc");
    if (text && !parse_boolean(&made->descending, text)) {
        return bad_value(p, "descAsc", "true (descending) or false (ascending)");
    }
    for (f = spec->filters; f->parameter; f++) {
        text = f->versions & (int)version ? parameter(query, f->parameter) : NULL;
        if (text) {
            udm_filter_t *filter = apr_array_push(made->filters);

            filter->spec = f;
            filter->value = filter_value(&legal, p, f->kind, text);
            if (!filter->value) {
                return bad_value(p, f->parameter, legal);
            }
        }
    }
    made->print = print_of(p, spec, made);
    error = version == UDM_V10 ? read_cursor(made, p, query) : NULL;
    if (!error) {
        *listing = made;
    }
    return error;
}

/* Decodes one name or value of a query. @return NULL and sets `fault` when it is broken */
static const char *decode(const char **fault, apr_pool_t *p, const char *text, apr_size_t size)
{
    char *out = apr_pstrmemdup(p, text, size);

    switch (apr_unescape_url(out, out, APR_ESCAPE_STRING, NULL, NULL, 1, NULL)) {
    case APR_SUCCESS:
    case APR_NOTFOUND: /* nothing to decode */
        break;
    case APR_BADCH:
        *fault = "holds a NUL (%00)";
        return NULL;
    default:
        *fault = "holds a % that is not followed by two hex digits";
        return NULL;
    }
    if (!udm_text_is_utf8(out, strlen(out))) {
        *fault = "holds bytes that are not UTF-8";
        return NULL;
    }
    return out;
}

udm_error_t *udm_listing_query(apr_table_t **query, apr_pool_t *p, const char *raw)
{
    apr_table_t *made = apr_table_make(p, 8);
    const char *fault = NULL;

    *query = NULL;
    while (raw && *raw) {
        apr_size_t size = strcspn(raw, "&");
        apr_size_t name_size = strcspn(raw, "=&");
        apr_size_t value_at = name_size < size ? name_size + 1 : size;
        const char *name = decode(&fault, p, raw, name_size);
        const char *value = name ? decode(&fault, p, raw + value_at, size - value_at) : NULL;

        if (!value) {
            return udm_error_make(p, UDM_E_INVALID, "the query string %s", fault);
        }
        if (*name) {
            apr_table_addn(made, name, value);
        }
        raw += size + (raw[size] == '&');
    }
    *query = made;
    return NULL;
}
