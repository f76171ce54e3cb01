-- What a registration says of a type besides its columns: whether policies are meant, which
-- search_path its functions need, whether windows may move. And what it looks at, and says loudly.

SET LOCAL ROLE udm_owner;

ALTER TABLE udm.data_type
    ADD COLUMN row_security boolean NOT NULL DEFAULT false,
    ADD COLUMN search_path text[] CHECK (cardinality(search_path) > 0),
    ADD COLUMN moving_window boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN udm.data_type.row_security IS
    'Policies of the source''s database are meant to hide rows; false: a run that meets one fails.';
COMMENT ON COLUMN udm.data_type.search_path IS
    'Schemas that functions of the relation need, between pg_catalog and pg_temp; NULL: none.';
COMMENT ON COLUMN udm.data_type.moving_window IS
    'Whether jobs may take what came since their last run.';

-- What no job could name is no name.
ALTER TABLE udm.media
    ADD CONSTRAINT media_name_is_one CHECK (name <> '' AND length(name) <= 255) NOT VALID;
ALTER TABLE udm.sub_type
    ADD CONSTRAINT sub_type_name_is_one CHECK (name <> '' AND length(name) <= 255) NOT VALID;
ALTER TABLE udm.source
    ADD CONSTRAINT source_alias_is_one CHECK (alias <> '' AND length(alias) <= 255) NOT VALID;

CREATE OR REPLACE FUNCTION udm.register_source(
    name text, family text, layout text DEFAULT 'lines', connection text DEFAULT NULL,
    label text DEFAULT NULL, alias text DEFAULT NULL, remote boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF $2 IS NULL OR $2 NOT IN ('UCS', 'DataSync') THEN
        RAISE EXCEPTION 'family "%" is not known', $2
            USING ERRCODE = 'invalid_parameter_value', HINT = 'One of UCS, DataSync.';
    END IF;
    IF $3 IS NULL OR $3 NOT IN ('lines', 'records') THEN
        RAISE EXCEPTION 'layout "%" is not known', $3
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'lines: one file of JSON Lines for each entity type; records: one file for '
                         'each row.';
    END IF;
    IF coalesce($4, lower($1)) !~ '^[a-z0-9_-]+$' THEN
        RAISE EXCEPTION 'connection "%" is not made of a-z, 0-9, _ and -', coalesce($4, lower($1))
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'It is the name of a file below UDMSourceDir: connection => ''...''.';
    END IF;
    -- A name goes before an alias, so clients that send one would be given other data than before.
    IF EXISTS (SELECT FROM udm.source s WHERE s.name = $6 AND s.name <> $1)
       AND NOT EXISTS (SELECT FROM udm.source s WHERE s.name = $1 AND s.alias = $6) THEN
        RAISE EXCEPTION 'alias "%" is the name of another source', $6 USING ERRCODE = 'unique_violation';
    END IF;
    IF NOT EXISTS (SELECT FROM udm.source s WHERE s.name = $1)
       AND EXISTS (SELECT FROM udm.source s WHERE s.alias = $1) THEN
        RAISE EXCEPTION '"%" is the alias of source "%"', $1, (SELECT s.name FROM udm.source s WHERE s.alias = $1)
            USING ERRCODE = 'unique_violation',
                  HINT = 'Take another name, or register that source with another alias first.';
    END IF;
    INSERT INTO udm.audit (subject, action, object) VALUES (session_user, 'catalog.source', $1);
    INSERT INTO udm.source (name, family, layout, connection, label, alias, remote)
    VALUES ($1, $2, $3, coalesce($4, lower($1)), coalesce($5, $1), $6, $7)
    ON CONFLICT ON CONSTRAINT source_pkey DO UPDATE
       SET family = excluded.family, layout = excluded.layout, connection = excluded.connection,
           label = excluded.label, alias = excluded.alias, remote = excluded.remote;
    RETURN $1;
END
$$;

-- A relation and all that its rows come from: partitions and children, and what views are made of;
-- stored: only what a refresh of a materialized view reads. What functions read cannot be known.
CREATE FUNCTION udm.relations_below(relation regclass)
RETURNS TABLE (below regclass, kind "char", stored boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE part (oid, stored) AS (
        SELECT $1::oid, false
        UNION
        SELECT x.oid, p.stored OR c.relkind = 'm'
          FROM part p JOIN pg_class c ON c.oid = p.oid
         CROSS JOIN LATERAL (
               SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = p.oid
               UNION ALL
               SELECT d.refobjid
                 FROM pg_rewrite w
                 JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                                 AND d.refclassid = 'pg_class'::regclass
                WHERE w.ev_class = p.oid AND c.relkind IN ('v', 'm') AND d.refobjid <> p.oid) x (oid))
    SELECT c.oid::regclass, c.relkind, bool_and(p.stored)
      FROM part p JOIN pg_class c ON c.oid = p.oid GROUP BY c.oid, c.relkind
$$;

-- What has to be minded about a relation of this database, be it registered for rows or for files.
CREATE FUNCTION udm.check_relation(relation regclass, row_security boolean, moving boolean)
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
CREATE FUNCTION udm.check_search_path(search_path text[], remote boolean) RETURNS void
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
    END LOOP;
END
$$;

-- One call for each data type. Exactly one of tenant_column (the column that holds the ccid) and
-- tenants (who owns the whole relation) must be given: there is no default, so that a forgotten
-- argument can never mean "everybody sees everything".
DROP FUNCTION udm.register_type(text, text, text, text, text, text[], text, text, text, text[], text,
                                integer);
CREATE FUNCTION udm.register_type(
    source text, name text, relation text, key_column text,
    tenant_column text DEFAULT NULL, tenants text[] DEFAULT NULL,
    time_column text DEFAULT NULL, subtype_column text DEFAULT NULL,
    media_column text DEFAULT NULL, columns text[] DEFAULT NULL, label text DEFAULT NULL,
    settle_seconds integer DEFAULT 60, row_security boolean DEFAULT false,
    search_path text[] DEFAULT NULL, moving_window boolean DEFAULT true) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    src     udm.source;
    parts   text[] := parse_ident($3);
    rel     regclass;
    c       text;
    leave   text;
    kind    text;
    unknown text;
BEGIN
    SELECT * INTO src FROM udm.source s WHERE s.name = $1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no source "%"', $1
            USING HINT = 'Add it first: SELECT udm.register_source(...).';
    END IF;
    IF array_length(parts, 1) IS DISTINCT FROM 2 THEN
        RAISE EXCEPTION 'relation "%" must be given as schema.name', $3;
    END IF;
    IF num_nonnulls($5, $6) <> 1 THEN
        RAISE EXCEPTION 'give either tenant_column or tenants for %.%', $1, $2
            USING HINT = 'tenant_column: the column that holds the ccid of each row. '
                         'tenants: the contact centres that own every row of the relation.';
    END IF;
    SELECT string_agg(quote_nullable(t), ', ') INTO unknown
      FROM unnest($6) t WHERE t IS NULL OR NOT EXISTS (SELECT FROM udm.tenant WHERE ccid = t);
    IF unknown IS NOT NULL OR cardinality($6) = 0 THEN
        RAISE EXCEPTION 'not contact centres: %', coalesce(unknown, 'none given')
            USING HINT = 'Add them first: SELECT udm.create_tenant(''...'').';
    END IF;
    IF cardinality($10) = 0 OR cardinality($10) <> (SELECT count(DISTINCT x) FROM unnest($10) x) THEN
        RAISE EXCEPTION 'columns must name each column that may leave, once'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM udm.check_search_path($14, src.remote);
    IF NOT src.remote THEN
        rel := to_regclass(format('%I.%I', parts[1], parts[2]));
        IF rel IS NULL THEN
            RAISE EXCEPTION 'there is no relation %.% in this database', parts[1], parts[2]
                USING ERRCODE = 'undefined_table',
                      HINT = 'A source in another database is registered with remote => true.';
        END IF;
        PERFORM udm.check_relation(rel, $13, $7 IS NOT NULL AND $15);
        PERFORM udm.check_column(rel, $4, 'key_column'), udm.check_column(rel, $5, 'tenant_column'),
                udm.check_column(rel, $7, 'time_column'), udm.check_column(rel, $8, 'subtype_column'),
                udm.check_column(rel, $9, 'media_column');
        FOREACH c IN ARRAY coalesce($10, '{}') LOOP
            PERFORM udm.check_column(rel, c, 'columns');
        END LOOP;
        IF $7 IS NOT NULL AND udm.attribute_kind((SELECT atttypid FROM pg_attribute
                WHERE attrelid = rel AND attname = $7)::regtype) NOT IN ('datetime', 'date') THEN
            RAISE EXCEPTION 'time_column "%" is neither a timestamp nor a date', $7;
        END IF;
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO leave
          FROM pg_attribute WHERE attrelid = rel AND attnum > 0 AND NOT attisdropped;
        SELECT format_type(a.atttypid, a.atttypmod) INTO kind
          FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
         WHERE a.attrelid = rel AND a.attname = $5 AND t.typcategory <> 'S';
        IF kind IS NOT NULL THEN
            RAISE WARNING 'tenant_column "%" is of type %, not text', $5, kind
                USING HINT = 'A contact centre has rows only where its id is exactly what the value '
                             'looks like as text.';
        END IF;
    END IF;
    IF $10 IS NULL THEN
        RAISE WARNING 'columns are not given: an export of %/% has all columns of %', $1, $2,
            $3 || coalesce(': ' || leave, '')
            USING HINT = 'So it has those that are added later. columns => ARRAY[...] says which '
                         'may.' || CASE WHEN src.remote THEN ' udm-worker --check-source shows them.'
                                        ELSE '' END;
    END IF;
    INSERT INTO udm.data_type (source, name, label, relation_schema, relation_name, tenant_column,
                               tenants, key_column, time_column, subtype_column, media_column,
                               columns, settle_seconds, row_security, search_path, moving_window)
    VALUES ($1, $2, coalesce($11, $2), parts[1], parts[2], $5, $6, $4, $7, $8, $9, $10, $12, $13, $14,
            $15)
    ON CONFLICT ON CONSTRAINT data_type_pkey DO UPDATE
       SET label = excluded.label, relation_schema = excluded.relation_schema,
           relation_name = excluded.relation_name, tenant_column = excluded.tenant_column,
           tenants = excluded.tenants, key_column = excluded.key_column,
           time_column = excluded.time_column, subtype_column = excluded.subtype_column,
           media_column = excluded.media_column, columns = excluded.columns,
           settle_seconds = excluded.settle_seconds, row_security = excluded.row_security,
           search_path = excluded.search_path, moving_window = excluded.moving_window,
           attachment_schema = NULL, attachment_relation = NULL, attachment_tenant_column = NULL,
           attachment_id_column = NULL, attachment_entity_column = NULL,
           attachment_name_column = NULL, attachment_mime_column = NULL,
           attachment_content_column = NULL;
    -- Whose rows these are, and which of them and of their columns leave, must never change unnoticed.
    INSERT INTO udm.audit (subject, action, object, detail)
    VALUES (session_user, 'catalog.type', $1 || '/' || $2,
            jsonb_build_object('relation', $3, 'tenantColumn', $5, 'tenants', to_jsonb($6),
                               'columns', to_jsonb($10), 'rowSecurity', $13,
                               'searchPath', to_jsonb($14)));
    RETURN $1 || '/' || $2;
END
$$;

-- Files that hang on the rows of a data type: entity_column holds the key of the row.
CREATE OR REPLACE FUNCTION udm.register_attachments(
    source text, type text, relation text, id_column text, entity_column text, name_column text,
    mime_column text, content_column text, tenant_column text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dt    udm.data_type;
    parts text[] := parse_ident($3);
    rel   regclass;
BEGIN
    SELECT * INTO dt FROM udm.data_type d WHERE d.source = $1 AND d.name = $2;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no data type %/%', $1, $2
            USING HINT = 'Add it first: SELECT udm.register_type(...).';
    END IF;
    IF array_length(parts, 1) IS DISTINCT FROM 2 THEN
        RAISE EXCEPTION 'relation "%" must be given as schema.name', $3;
    END IF;
    IF (dt.tenant_column IS NULL) <> ($9 IS NULL) THEN
        RAISE EXCEPTION 'tenant_column must be given exactly when %/% has one', $1, $2
            USING HINT = 'Ids need not be unique across contact centres, so an attachment needs its own.';
    END IF;
    IF NOT (SELECT remote FROM udm.source s WHERE s.name = $1) THEN
        rel := to_regclass(format('%I.%I', parts[1], parts[2]));
        IF rel IS NULL THEN
            RAISE EXCEPTION 'there is no relation %.% in this database', parts[1], parts[2]
                USING ERRCODE = 'undefined_table';
        END IF;
        PERFORM udm.check_relation(rel, dt.row_security, dt.time_column IS NOT NULL AND dt.moving_window);
        PERFORM udm.check_column(rel, $4, 'id_column'), udm.check_column(rel, $5, 'entity_column'),
                udm.check_column(rel, $6, 'name_column'), udm.check_column(rel, $7, 'mime_column'),
                udm.check_column(rel, $8, 'content_column'), udm.check_column(rel, $9, 'tenant_column');
    END IF;
    UPDATE udm.data_type d
       SET attachment_schema = parts[1], attachment_relation = parts[2],
           attachment_tenant_column = $9, attachment_id_column = $4, attachment_entity_column = $5,
           attachment_name_column = $6, attachment_mime_column = $7, attachment_content_column = $8
     WHERE d.source = $1 AND d.name = $2;
    INSERT INTO udm.audit (subject, action, object, detail)
    VALUES (session_user, 'catalog.attachments', $1 || '/' || $2,
            jsonb_build_object('relation', $3, 'tenantColumn', $9));
    RETURN $1 || '/' || $2;
END
$$;

-- One attribute. The kind is read off the column where the relation is in this database, and must be
-- given where it is not.
CREATE OR REPLACE FUNCTION udm.register_attribute(
    source text, type text, column_name text, name text DEFAULT NULL,
    label text DEFAULT NULL, kind text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dt    udm.data_type;
    rel   regclass;
    known text := $6;
BEGIN
    SELECT * INTO dt FROM udm.data_type d WHERE d.source = $1 AND d.name = $2;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no data type %/%', $1, $2
            USING HINT = 'Add it first: SELECT udm.register_type(...).';
    END IF;
    IF $6 NOT IN ('string', 'number', 'boolean', 'date', 'datetime') THEN
        RAISE EXCEPTION 'kind "%" is not known: it must be string, number, boolean, date or datetime', $6
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT (SELECT s.remote FROM udm.source s WHERE s.name = $1) THEN
        rel := to_regclass(format('%I.%I', dt.relation_schema, dt.relation_name));
        IF rel IS NULL THEN
            RAISE EXCEPTION 'there is no relation %.% in this database', dt.relation_schema,
                dt.relation_name USING ERRCODE = 'undefined_table';
        END IF;
        PERFORM udm.check_column(rel, $3, 'column_name');
        SELECT udm.attribute_kind(a.atttypid) INTO known
          FROM pg_attribute a WHERE a.attrelid = rel AND a.attname = $3;
        IF known IS NULL THEN
            RAISE EXCEPTION 'column "%" of %.% has a type that cannot be filtered by', $3,
                dt.relation_schema, dt.relation_name
                USING HINT = 'Text, numbers, booleans, dates, timestamps, uuid and enums can.';
        END IF;
        IF $6 IS NOT NULL AND $6 <> known THEN
            RAISE EXCEPTION 'column "%" is of kind %, not %', $3, known, $6;
        END IF;
    ELSIF known IS NULL THEN
        RAISE EXCEPTION 'the relation is in another database, so kind must be given'
            USING HINT = 'One of string, number, boolean, date, datetime.';
    END IF;
    INSERT INTO udm.attribute (source, type, name, column_name, label, kind)
    VALUES ($1, $2, coalesce($4, $3), $3, coalesce($5, $4, $3), known)
    ON CONFLICT ON CONSTRAINT attribute_pkey DO UPDATE
       SET column_name = excluded.column_name, label = excluded.label, kind = excluded.kind;
    INSERT INTO udm.audit (subject, action, object)
    VALUES (session_user, 'catalog.attribute', $1 || '/' || $2 || '/' || coalesce($4, $3));
    RETURN coalesce($4, $3);
END
$$;

REVOKE ALL ON FUNCTION udm.relations_below(regclass), udm.check_relation(regclass, boolean, boolean),
    udm.check_search_path(text[], boolean),
    udm.register_type(text, text, text, text, text, text[], text, text, text, text[], text, integer,
                      boolean, text[], boolean) FROM PUBLIC;

RESET ROLE;
