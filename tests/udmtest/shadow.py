"""Somebody with CREATE on schema public of every database, who has something of their own for every name
that PostgreSQL has: functions, aggregates, operators, types and relations. Each of them writes a line in
the server's log that says who called it, and fails, so that neither a rolled back nor a read-only
transaction hides it. In the databases public comes first, unless a session says something else.

UDM_TEST_SHADOW=1 makes every database of the suites such a one.
"""

MARK = "UDM-SHADOW"
ROLE = "udm_test_shadower"

# As that role, so that nothing of it needs more than CREATE on public.
SQL = """
CREATE FUNCTION public.udm_shadow(what pg_catalog.text) RETURNS pg_catalog.bool LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $shadow$
BEGIN
    RAISE LOG 'UDM-SHADOW % was called by % as %', $1, session_user, current_user;
    RAISE EXCEPTION 'UDM-SHADOW % was called', $1;
END
$shadow$;

-- Relations: views, which call whatever they say as whoever reads them.
DO $do$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT c.relname FROM pg_class c
              WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind IN ('r', 'v') LOOP
        BEGIN
            EXECUTE format('CREATE VIEW public.%I AS SELECT true AS shadow FROM'
                           ' public.udm_shadow(%L) f WHERE f', r.relname, 'relation ' || r.relname);
            EXECUTE format('GRANT SELECT ON public.%I TO PUBLIC', r.relname);
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
END
$do$;

-- Functions and aggregates, with the very same arguments; where PostgreSQL's own takes "any" of them,
-- with whatever there is.
DO $do$
DECLARE
    f      record;
    any_to text;
BEGIN
    FOR f IN SELECT p.proname, p.oid::regprocedure AS id, p.prorettype, p.proretset,
                    array_to_string(ARRAY(SELECT CASE WHEN a.type = '"any"'::regtype THEN '%1$s'
                                                      ELSE format_type(a.type, NULL) END
                                            FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, n)
                                           ORDER BY a.n), ', ') AS arguments
               FROM pg_proc p
              WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind IN ('f', 'a', 'w')
                AND p.prorettype NOT IN ('internal'::regtype, 'trigger'::regtype, 'cstring'::regtype,
                                         'event_trigger'::regtype, 'language_handler'::regtype)
                AND NOT p.proargtypes::oid[] && ARRAY['internal'::regtype::oid, 'cstring'::regtype::oid]
    LOOP
        FOREACH any_to IN ARRAY CASE WHEN f.arguments LIKE '%\\%1$s%'
                                     THEN ARRAY['anyelement', 'text', 'integer', 'bigint', 'boolean',
                                                'timestamptz', 'text[]']
                                     ELSE ARRAY[''] END LOOP
            BEGIN
                EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s%s LANGUAGE plpgsql'
                               ' SET search_path = pg_catalog, pg_temp AS %L', f.proname,
                               format(f.arguments, any_to), CASE WHEN f.proretset THEN 'SETOF ' END,
                               format_type(f.prorettype, NULL),
                               format('BEGIN PERFORM public.udm_shadow(%L); END', 'function ' || f.id));
            EXCEPTION WHEN OTHERS THEN
                NULL;
            END;
        END LOOP;
    END LOOP;
END
$do$;

DO $do$
DECLARE
    o record;
    n integer := 0;
BEGIN
    FOR o IN SELECT oprname, format_type(nullif(oprleft, 0), NULL) AS l, format_type(oprright, NULL) AS r,
                    format_type(oprresult, NULL) AS result
               FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprright <> 0 LOOP
        n := n + 1;
        BEGIN
            EXECUTE format('CREATE FUNCTION public.udm_shadow_operator_%s(%s) RETURNS %s LANGUAGE plpgsql'
                           ' SET search_path = pg_catalog, pg_temp AS %L', n, concat_ws(', ', o.l, o.r),
                           o.result, format('BEGIN PERFORM public.udm_shadow(%L); END',
                                            format('operator %s (%s, %s)', o.oprname, o.l, o.r)));
            EXECUTE format('CREATE OPERATOR public.%s (%s RIGHTARG = %s, FUNCTION ='
                           ' public.udm_shadow_operator_%s)', o.oprname, 'LEFTARG = ' || o.l || ',', o.r, n);
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
END
$do$;

DO $do$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT typname, oid::regtype AS id FROM pg_type
              WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typname !~ '^_' LOOP
        BEGIN
            EXECUTE format('CREATE DOMAIN public.%I AS %s CHECK (public.udm_shadow(%L))', t.typname, t.id,
                           'type ' || t.id);
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
END
$do$;
"""

COUNT = """
SELECT (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
       (SELECT count(*) FROM pg_operator WHERE oprnamespace = 'public'::regnamespace),
       (SELECT count(*) FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'd'),
       (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace)
"""


def plant(postgres, name):
    """Makes all that in a database that has its schema. Gives how many functions, operators, types and
    relations."""
    postgres.sql(f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN"
                 f" CREATE ROLE {ROLE} LOGIN; END IF; END $$", dbname=name)
    postgres.sql(f'GRANT CONNECT, TEMPORARY ON DATABASE "{name}" TO PUBLIC')
    postgres.sql("GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC", dbname=name)
    # Each session is to say it itself, not only its role.
    for role in ("udm_httpd", "udm_worker", "udm_owner"):
        postgres.sql(f"ALTER ROLE {role} RESET search_path")
    with postgres.connect(name, ROLE) as connection:
        connection.execute(SQL)
    return postgres.sql(COUNT, dbname=name)[0]


def come_first(postgres, name):
    """A copy of such a database does not have its settings."""
    postgres.sql(f'ALTER DATABASE "{name}" SET search_path = public, pg_catalog')
