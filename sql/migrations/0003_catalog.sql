-- What can be exported. Nothing is found out by itself: an admin registers each data type, and says
-- whose rows it holds. The worker reads the catalog, never the other way round.

SET LOCAL ROLE udm_owner;

CREATE TABLE udm.source (
    name        text PRIMARY KEY CHECK (name <> '' AND length(name) <= 255),
    alias       text UNIQUE,
    label       text NOT NULL,
    family      text NOT NULL CHECK (family IN ('UCS', 'DataSync')),
    layout      text NOT NULL CHECK (layout IN ('lines', 'records')),
    connection  text NOT NULL CHECK (connection ~ '^[a-z0-9_-]+$'),
    remote      boolean NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN udm.source.layout IS 'lines: one JSON Lines file per entity type; records: one file per row.';
COMMENT ON COLUMN udm.source.connection IS
    'Name of the file below UDMSourceDir that holds the libpq string of the reader.';
COMMENT ON COLUMN udm.source.remote IS
    'The relations are in another database, so registration cannot look them up.';

CREATE TABLE udm.data_type (
    source             text NOT NULL REFERENCES udm.source (name) ON UPDATE CASCADE,
    name               text NOT NULL CHECK (name <> '' AND length(name) <= 255),
    label              text NOT NULL,
    relation_schema    text NOT NULL,
    relation_name      text NOT NULL,
    tenant_column      text,
    tenants            text[],
    key_column         text NOT NULL,
    time_column        text,
    subtype_column     text,
    media_column       text,
    columns            text[],
    attachment_schema         text,
    attachment_relation       text,
    attachment_tenant_column  text,
    attachment_id_column      text,
    attachment_entity_column  text,
    attachment_name_column    text,
    attachment_mime_column    text,
    attachment_content_column text,
    settle_seconds     integer NOT NULL DEFAULT 60 CHECK (settle_seconds BETWEEN 0 AND 86400),
    created_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, name),
    CONSTRAINT data_type_says_whose_rows CHECK (num_nonnulls(tenant_column, tenants) = 1),
    CONSTRAINT data_type_attachments_whole CHECK (
        num_nonnulls(attachment_schema, attachment_relation, attachment_id_column,
                     attachment_entity_column, attachment_name_column, attachment_mime_column,
                     attachment_content_column) IN (0, 7)),
    -- An attachment belongs to a tenant on its own account: ids need not be unique across tenants.
    CONSTRAINT data_type_attachments_say_whose CHECK (
        attachment_relation IS NULL OR (attachment_tenant_column IS NULL) = (tenant_column IS NULL))
);
COMMENT ON COLUMN udm.data_type.columns IS 'What is exported, in this order; NULL: every column.';
COMMENT ON COLUMN udm.data_type.tenants IS 'The contact centres that own the whole relation.';

-- Entity types of a data type: the value in subtype_column, and the name the API and files use.
CREATE TABLE udm.sub_type (
    source  text NOT NULL,
    type    text NOT NULL,
    value   text NOT NULL,
    name    text NOT NULL,
    label   text NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    PRIMARY KEY (source, type, value),
    UNIQUE (source, type, name),
    FOREIGN KEY (source, type) REFERENCES udm.data_type (source, name)
        ON UPDATE CASCADE ON DELETE CASCADE
);

-- Media of a data type: the value in media_column, and the name that jobs ask for.
CREATE TABLE udm.media (
    source  text NOT NULL,
    type    text NOT NULL,
    value   text NOT NULL,
    name    text NOT NULL,
    label   text NOT NULL,
    PRIMARY KEY (source, type, value),
    UNIQUE (source, type, name),
    FOREIGN KEY (source, type) REFERENCES udm.data_type (source, name)
        ON UPDATE CASCADE ON DELETE CASCADE
);

CREATE FUNCTION udm.register_source(
    name text, family text, layout text DEFAULT 'lines', connection text DEFAULT NULL,
    label text DEFAULT NULL, alias text DEFAULT NULL, remote boolean DEFAULT false) RETURNS text
LANGUAGE sql SET search_path = pg_catalog AS $$
    INSERT INTO udm.audit (subject, action, object) VALUES (session_user, 'catalog.source', $1);
    INSERT INTO udm.source (name, family, layout, connection, label, alias, remote)
    VALUES ($1, $2, $3, coalesce($4, lower($1)), coalesce($5, $1), $6, $7)
    ON CONFLICT (name) DO UPDATE
       SET family = excluded.family, layout = excluded.layout, connection = excluded.connection,
           label = excluded.label, alias = excluded.alias, remote = excluded.remote
    RETURNING name
$$;
COMMENT ON FUNCTION udm.register_source(text, text, text, text, text, text, boolean) IS
    'Adds a source, or replaces its definition. connection names a file below UDMSourceDir.';

-- Checks one column name against the catalog of this database.
CREATE FUNCTION udm.check_column(relation regclass, column_name text, what text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF $2 IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = $1 AND attname = $2
                                   AND attnum > 0 AND NOT attisdropped) THEN
        RAISE EXCEPTION '% has no column "%", given as %', $1, $2, $3
            USING ERRCODE = 'undefined_column',
                  HINT = (SELECT 'It has: ' || string_agg(quote_ident(attname), ', ' ORDER BY attnum)
                            FROM pg_attribute
                           WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped);
    END IF;
END
$$;

-- One call for each data type. Exactly one of tenant_column (the column that holds the ccid) and
-- tenants (who owns the whole relation) must be given: there is no default, so that a forgotten
-- argument can never mean "everybody sees everything".
CREATE FUNCTION udm.register_type(
    source text, name text, relation text, key_column text,
    tenant_column text DEFAULT NULL, tenants text[] DEFAULT NULL,
    time_column text DEFAULT NULL, subtype_column text DEFAULT NULL,
    media_column text DEFAULT NULL, columns text[] DEFAULT NULL, label text DEFAULT NULL,
    settle_seconds integer DEFAULT 60) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    src     udm.source;
    parts   text[] := parse_ident($3);
    rel     regclass;
    c       text;
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
    IF NOT src.remote THEN
        rel := to_regclass(format('%I.%I', parts[1], parts[2]));
        IF rel IS NULL THEN
            RAISE EXCEPTION 'there is no relation %.% in this database', parts[1], parts[2]
                USING ERRCODE = 'undefined_table',
                      HINT = 'A source in another database is registered with remote => true.';
        END IF;
        PERFORM udm.check_column(rel, $4, 'key_column'), udm.check_column(rel, $5, 'tenant_column'),
                udm.check_column(rel, $7, 'time_column'), udm.check_column(rel, $8, 'subtype_column'),
                udm.check_column(rel, $9, 'media_column');
        FOREACH c IN ARRAY coalesce($10, '{}') LOOP
            PERFORM udm.check_column(rel, c, 'columns');
        END LOOP;
        IF $7 IS NOT NULL AND (SELECT atttypid NOT IN ('timestamptz'::regtype, 'timestamp'::regtype,
                                                       'date'::regtype)
                                 FROM pg_attribute WHERE attrelid = rel AND attname = $7) THEN
            RAISE EXCEPTION 'time_column "%" is neither a timestamp nor a date', $7;
        END IF;
    END IF;
    INSERT INTO udm.data_type (source, name, label, relation_schema, relation_name, tenant_column,
                               tenants, key_column, time_column, subtype_column, media_column,
                               columns, settle_seconds)
    VALUES ($1, $2, coalesce($11, $2), parts[1], parts[2], $5, $6, $4, $7, $8, $9, $10, $12)
    ON CONFLICT ON CONSTRAINT data_type_pkey DO UPDATE
       SET label = excluded.label, relation_schema = excluded.relation_schema,
           relation_name = excluded.relation_name, tenant_column = excluded.tenant_column,
           tenants = excluded.tenants, key_column = excluded.key_column,
           time_column = excluded.time_column, subtype_column = excluded.subtype_column,
           media_column = excluded.media_column, columns = excluded.columns,
           settle_seconds = excluded.settle_seconds,
           attachment_schema = NULL, attachment_relation = NULL, attachment_tenant_column = NULL,
           attachment_id_column = NULL, attachment_entity_column = NULL,
           attachment_name_column = NULL, attachment_mime_column = NULL,
           attachment_content_column = NULL;
    -- Whose rows these are is the one thing that must never change unnoticed.
    INSERT INTO udm.audit (subject, action, object, detail)
    VALUES (session_user, 'catalog.type', $1 || '/' || $2,
            jsonb_build_object('relation', $3, 'tenantColumn', $5, 'tenants', to_jsonb($6)));
    RETURN $1 || '/' || $2;
END
$$;

-- Files that hang on the rows of a data type: entity_column holds the key of the row.
CREATE FUNCTION udm.register_attachments(
    source text, type text, relation text, id_column text, entity_column text, name_column text,
    mime_column text, content_column text, tenant_column text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
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

CREATE FUNCTION udm.register_sub_type(source text, type text, value text, name text,
                                      label text DEFAULT NULL) RETURNS text
LANGUAGE sql SET search_path = pg_catalog AS $$
    INSERT INTO udm.audit (subject, action, object)
    VALUES (session_user, 'catalog.sub-type', $1 || '/' || $2 || '/' || $4);
    INSERT INTO udm.sub_type (source, type, value, name, label)
    VALUES ($1, $2, $3, $4, coalesce($5, $4))
    ON CONFLICT (source, type, value) DO UPDATE SET name = excluded.name, label = excluded.label
    RETURNING name
$$;

CREATE FUNCTION udm.register_media(source text, type text, value text, name text,
                                   label text DEFAULT NULL) RETURNS text
LANGUAGE sql SET search_path = pg_catalog AS $$
    INSERT INTO udm.audit (subject, action, object)
    VALUES (session_user, 'catalog.media', $1 || '/' || $2 || '/' || $4);
    INSERT INTO udm.media (source, type, value, name, label)
    VALUES ($1, $2, $3, $4, coalesce($5, $4))
    ON CONFLICT (source, type, value) DO UPDATE SET name = excluded.name, label = excluded.label
    RETURNING name
$$;

-- What a set of roles may do with each data type that can hold rows of a contact centre. '*' stands
-- for every right. A relation that belongs to others does not exist here: neither does its name.
CREATE FUNCTION udm.rights(roles text[], ccid text)
RETURNS TABLE (source text, type text, may_read boolean, may_write boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT t.source, t.name, true, true
      FROM udm.data_type t
     WHERE '*' = ANY ($1) AND (t.tenants IS NULL OR $2 = ANY (t.tenants))
    UNION ALL
    SELECT t.source, t.name, bool_or(r.may_read), bool_or(r.may_write)
      FROM udm.data_type t
      JOIN udm.source s ON s.name = t.source
      JOIN udm.role_grant g ON (g.family IS NULL OR g.family = s.family)
                           AND (g.source IS NULL OR g.source = t.source)
                           AND (g.type IS NULL OR g.type = t.name)
      JOIN udm.role r ON r.name = g.role
     WHERE r.name = ANY ($1) AND NOT '*' = ANY ($1) AND (t.tenants IS NULL OR $2 = ANY (t.tenants))
     GROUP BY t.source, t.name
$$;

CREATE FUNCTION udm.may_certificate(roles text[]) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT '*' = ANY ($1) OR EXISTS (SELECT FROM udm.role WHERE name = ANY ($1) AND may_certificate)
$$;

GRANT SELECT ON udm.source, udm.data_type, udm.sub_type, udm.media TO udm_httpd, udm_worker;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA udm FROM PUBLIC;
GRANT EXECUTE ON FUNCTION udm.rights(text[], text), udm.may_certificate(text[]) TO udm_httpd;

RESET ROLE;
