/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * path.c: the search_path that the functions of a type need.
 *
 * Whoever may create in a schema of it can put something of his own in the way of what a function
 * means, so only schemas are taken in which nobody but their owner may, and nobody else has: of those who
 * once could, what they made stays. Whoever can become the owner of the schema, of the database or of what
 * is exported could do as much without that. pg_catalog comes first and the temporary schema last, and the
 * statements of this room name all that they use with its schema.
 */
#include <apr_strings.h>

#include "source/private.h"

/* clang-format off */
static const char schemas_sql[] =
    "SELECT s.name, n.oid IS NOT NULL,"
    " (SELECT string_agg(CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END,"
    "   ', ') FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a"
    "   WHERE a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner),"
    /* A table or a view has a type of its name. */
    " (SELECT format('%s of %s', pg_describe_object(x.class, x.oid, 0), pg_get_userbyid(x.owner))"
    "   FROM (SELECT 'pg_proc'::regclass, oid, proowner FROM pg_proc WHERE pronamespace = n.oid"
    "    UNION ALL SELECT 'pg_operator'::regclass, oid, oprowner FROM pg_operator"
    "     WHERE oprnamespace = n.oid"
    "    UNION ALL SELECT 'pg_type'::regclass, oid, typowner FROM pg_type WHERE typnamespace = n.oid)"
    "    x (class, oid, owner)"
    "   WHERE NOT pg_has_role(x.owner, n.nspowner, 'MEMBER')"
    "    AND NOT pg_has_role(x.owner, (SELECT datdba FROM pg_database"
    "         WHERE datname = current_database()), 'MEMBER')"
    "    AND NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace m ON m.oid = c.relnamespace"
    "         WHERE (m.nspname = $2::text AND c.relname = $3::text"
    "          OR m.nspname = $4::text AND c.relname = $5::text)"
    "          AND pg_has_role(x.owner, c.relowner, 'MEMBER')) ORDER BY 1 LIMIT 1)"
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
    const char *values[5] = {NULL, s->type->relation_schema, s->type->relation_name,
                             s->type->attachment_schema, s->type->attachment_relation};
    udm_result_t *rows;
    udm_error_t *error;
    int i;

    if (!s->type->search_path) {
        return NULL;
    }
    values[0] = udm_pg_array(s->pool, s->type->search_path);
    error = udm_pg_query_text(&rows, s->pool, db, schemas_sql, 5, values);
    for (i = 0; !error && i < rows->rows; i++) {
        const char *schema = udm_result_text(rows, i, 0);
        const char *others = udm_result_text(rows, i, 2);
        const char *planted = udm_result_text(rows, i, 3);

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
        if (planted) {
            return udm_error_detail(
                s->pool,
                unfit(s, schema,
                      "holds something of a role that owns neither it nor what is exported, which "
                      "may be in the way of what a function calls: drop it, or give it to the "
                      "schema's owner"),
                "it is %s", planted);
        }
        path = apr_pstrcat(s->pool, path, udm_pg_identifier(s->pool, schema), ", ", NULL);
    }
    if (!error) {
        error = udm_pg_exec(s->pool, db, apr_pstrcat(s->pool, path, "pg_temp", NULL));
    }
    return error ? udm_source_explain_error(s, error, "its session") : NULL;
}
