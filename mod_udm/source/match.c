/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * match.c: SQL that compares: a column with a value, an attachment with its row. What has not the same
 * bytes is not the same, whatever a type or a collation finds equal.
 */
#include <apr_strings.h>

#include "source/private.h"
#include "source/type.h"

const char *udm_source_same_text(apr_pool_t *p, const char *a, const char *b)
{
    return apr_psprintf(p, "(%s)::text COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) (%s)::text",
                        a, b);
}

/* Whether equal values have equal bytes, so that their = is enough. */
static bool is_exact(const attribute_t *a)
{
    return (a->type == TYPE_TEXT || a->type == TYPE_VARCHAR) && !a->loose;
}

/*
 * That a column has the value which `text`, an expression of type text, is the text of. It is cast to
 * the column's type, not the column to text, so that an index can be used. Values may be equal that
 * have not the same text ('007' and '7' as integers, long names cut to 63 bytes, 'acme' and 'ACME'
 * where the collation finds them so), so the texts must have the same bytes, too.
 */
const char *udm_source_has_value(apr_pool_t *p, const char *column, const attribute_t *a,
                                 const char *text)
{
    const char *same = udm_source_same_text(p, column, text);
    const char *equal;

    if (!a->equality) {
        return apr_pstrcat(p, "(", same, ")", NULL);
    }
    equal = apr_psprintf(p, "%s OPERATOR(pg_catalog.=) (%s)::%s", column, text, a->cast);
    return is_exact(a) ? equal : apr_psprintf(p, "(%s AND %s)", equal, same);
}

const char *udm_source_is_tenants(apr_pool_t *p, const char *column, const attribute_t *a)
{
    return udm_source_has_value(p, column, a, UDM_SOURCE_CCID);
}

/*
 * That a row is of one of the media. Their values are whatever the type takes for its own, so that
 * only where it is a text the bytes count.
 */
const char *udm_source_is_of_media(apr_pool_t *p, const char *column, const attribute_t *a)
{
    const char *values = apr_psprintf(p, "pg_catalog.current_setting('udm.media')::%s[]", a->cast);
    const char *same = apr_psprintf(
        p, "%s::text COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) ANY ((%s)::text[])", column,
        values);
    const char *equal;

    if (!a->equality) {
        return same;
    }
    equal = apr_psprintf(p, "%s OPERATOR(pg_catalog.=) ANY (%s)", column, values);
    return !a->words || is_exact(a) ? equal : apr_pstrcat(p, equal, " AND ", same, NULL);
}

/* That an attachment hangs on a row: by their own = where they have the same one. */
const char *udm_source_hangs_on(apr_pool_t *p, const char *entity, const attribute_t *e,
                                const char *key, const attribute_t *k)
{
    const char *same = udm_source_same_text(p, entity, key);
    const char *equal;

    if (e->type != k->type || e->collation != k->collation || !e->equality) {
        return same;
    }
    equal = apr_psprintf(p, "%s OPERATOR(pg_catalog.=) %s", entity, key);
    return e->loose ? apr_pstrcat(p, equal, " AND ", same, NULL) : equal;
}
