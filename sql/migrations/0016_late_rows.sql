-- Registration looks for more: rows that come later than they were written, which a window that moves on
-- would miss, and what others have left behind in a schema of a search_path.

SET LOCAL ROLE udm_owner;

-- What has to be minded about a relation of this database, be it registered for rows or for files.
CREATE OR REPLACE FUNCTION udm.check_relation(relation regclass, row_security boolean, moving boolean)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c     pg_class;
    found text;
BEGIN
    SELECT * INTO c FROM pg_class WHERE oid = $1;
    IF c.relkind NOT IN ('r', 'p', 'v', 'm', 'f') THEN
        RAISE EXCEPTION '% is not a table or a view', $1 USING ERRCODE = 'wrong_object_type';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped)
    THEN
        RAISE EXCEPTION '% has no columns', $1 USING ERRCODE = 'undefined_column';
    END IF;
    SELECT string_agg(b.below::text, ', ' ORDER BY b.below::text) INTO found
      FROM udm.relations_below($1) b WHERE b.kind = 'f';
    IF $3 AND found IS NOT NULL THEN
        RAISE EXCEPTION 'rows of % come from another server, where it is not known what is still being written: %',
            $1, found
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Register a source that reads from that server itself, or give '
                         'moving_window => false: then no job can take what came since its last run.';
    END IF;
    SELECT string_agg(b.below::text, ', ' ORDER BY b.below::text) INTO found
      FROM udm.relations_below($1) b WHERE b.kind = 'm';
    IF $3 AND found IS NOT NULL THEN
        RAISE EXCEPTION 'rows of % are there only from the next refresh of a materialized view on: %', $1, found
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Register what it is made of, or give moving_window => false: then no job can '
                         'take what came since its last run.';
    END IF;
    SELECT string_agg(b.below::text, ', ' ORDER BY b.below::text) INTO found
      FROM udm.relations_below($1) b JOIN pg_subscription_rel r ON r.srrelid = b.below;
    IF $3 AND found IS NOT NULL THEN
        RAISE EXCEPTION 'rows of % come by a subscription, later than they were written: %', $1, found
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Register a source that reads from the server that publishes them, or give '
                         'moving_window => false: then no job can take what came since its last run.';
    END IF;
    SELECT string_agg(b.below::text, ', ' ORDER BY b.below::text) INTO found
      FROM udm.relations_below($1) b JOIN pg_class r ON r.oid = b.below
     WHERE r.relrowsecurity AND NOT b.stored;
    IF NOT $2 AND found IS NOT NULL THEN
        RAISE WARNING 'row-level security is on for %: exports fail unless the reader sees all rows',
            found
            USING HINT = 'row_security => true says that what the policies hide shall not leave.';
    END IF;
    IF NOT c.relispopulated THEN
        RAISE WARNING 'the materialized view % is not populated: exports fail until it is refreshed', $1;
    END IF;
END
$$;

-- The schemas that functions need. In another database they are looked at when a run begins.
CREATE OR REPLACE FUNCTION udm.check_search_path(search_path text[], remote boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s      text;
    ns     pg_namespace;
    others text;
BEGIN
    IF cardinality($1) = 0 OR array_ndims($1) > 1 THEN
        RAISE EXCEPTION 'search_path must be a list of schemas'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'search_path => ARRAY[''shop''].';
    END IF;
    FOREACH s IN ARRAY coalesce($1, '{}') LOOP
        IF s IS NULL OR s = '' OR s ~ '^pg_' OR s = '$user' THEN
            RAISE EXCEPTION 'search_path must name schemas, and % is none that can be taken',
                coalesce(quote_ident(s), 'NULL')
                USING ERRCODE = 'invalid_schema_name',
                      HINT = 'pg_catalog is always first and pg_temp always last.';
        END IF;
        CONTINUE WHEN $2;
        SELECT * INTO ns FROM pg_namespace n WHERE n.nspname = s;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no schema % in this database', quote_ident(s)
                USING ERRCODE = 'invalid_schema_name';
        END IF;
        SELECT string_agg(CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END, ', ')
          INTO others
          FROM aclexplode(coalesce(ns.nspacl, acldefault('n', ns.nspowner))) a
         WHERE a.privilege_type = 'CREATE' AND a.grantee <> ns.nspowner;
        IF others IS NOT NULL THEN
            RAISE EXCEPTION 'schema % cannot be in the search_path: % may create in it', quote_ident(s),
                others
                USING ERRCODE = 'insufficient_privilege',
                      HINT = format('Whoever may could put something in the way of what a function '
                                    'calls: REVOKE CREATE ON SCHEMA %I FROM %s.', s, others);
        END IF;
        SELECT string_agg(pg_describe_object(x.class, x.oid, 0) || ' of ' || pg_get_userbyid(x.owner), ', ')
          INTO others
          FROM (SELECT 'pg_proc'::regclass, oid, proowner FROM pg_proc WHERE pronamespace = ns.oid
                UNION ALL
                SELECT 'pg_operator'::regclass, oid, oprowner FROM pg_operator WHERE oprnamespace = ns.oid
                UNION ALL
                SELECT 'pg_type'::regclass, oid, typowner FROM pg_type
                 WHERE typnamespace = ns.oid AND typelem = 0) x (class, oid, owner)
         WHERE NOT pg_has_role(x.owner, ns.nspowner, 'MEMBER')
           AND NOT pg_has_role(x.owner, (SELECT datdba FROM pg_database
                                          WHERE datname = current_database()), 'MEMBER');
        IF others IS NOT NULL THEN
            RAISE WARNING 'schema % in the search_path holds what others than its owner have made: %',
                quote_ident(s), others
                USING HINT = 'Exports fail unless they own the relation, too: drop it, or give it to the '
                             'schema''s owner.';
        END IF;
    END LOOP;
END
$$;

RESET ROLE;
