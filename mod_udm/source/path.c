/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * source_path.c: the search_path that the functions of a type need.
 *
 * Whoever may create in a schema of it can put something of his own in the way of what a function
 * means, so only schemas are taken in which nobody but their owner may. pg_catalog comes first and the
 * temporary schema last, and the statements of this room name all that they use with its schema.
 */
#include <apr_strings.h>

#include "source/private.h"

/* clang-format off */
static const char schemas_sql[] =
    "SELECT s.name, n.oid IS NOT NULL,"
    " (SELECT string_agg(CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END,"
    "   ', ') FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a"
    "   WHERE a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner)"
    " FROM unnest($1::text[]) WITH ORDINALITY s (name, place)"
    " LEFT JOIN pg_namespace n ON n.nspname = s.name ORDER BY s.place";
/* clang-format on */

static udm_error_t *unfit(const udm_source_t *s, const char *schema, const char *why)
{
    return udm_source_lasting(udm_error_make(s->pool, UDM_E_SOURCE,
                                             "schema \"%s\" in the search_path of type \"%s\" of "
                                             "source \"%s\" %s",
                                             schema, s->type->name, s->type->source, why));
}

udm_error_t *udm_source_set_path(udm_source_t *s, udm_pg_t *db)
{
    const char *path = "SET LOCAL search_path = pg_catalog, ";
    udm_result_t *rows;
    const char *names;
    udm_error_t *error;
    int i;

    if (!s->type->search_path) {
        return NULL;
    }
    names = udm_pg_array(s->pool, s->type->search_path);
    error = udm_pg_query_text(&rows, s->pool, db, schemas_sql, 1, &names);
    for (i = 0; !error && i < rows->rows; i++) {
        const char *schema = udm_result_text(rows, i, 0);
        const char *others = udm_result_text(rows, i, 2);

        if (!udm_result_bool(rows, i, 1)) {
            return unfit(s, schema, "does not exist");
        }
        if (others) {
            return udm_error_detail(
                s->pool,
                unfit(s, schema,
                      "is one in which others than its owner may create, who could put something "
                      "of their own in the way of what a function calls: revoke CREATE on it"),
                "it is granted to %s", others);
        }
        path = apr_pstrcat(s->pool, path, udm_pg_identifier(s->pool, schema), ", ", NULL);
    }
    if (!error) {
        error = udm_pg_exec(s->pool, db, apr_pstrcat(s->pool, path, "pg_temp", NULL));
    }
    return error ? udm_source_explain_error(s, error, "its session") : NULL;
}
