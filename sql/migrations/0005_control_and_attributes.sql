-- What the whole API needs beyond creating and reading: attributes that jobs filter by, files that a
-- client deletes, and requests that may be sent twice.

SET LOCAL ROLE udm_owner;

-- Columns of a data type that jobs may filter by. Nothing is one before it is registered.
CREATE TABLE udm.attribute (
    source       text NOT NULL,
    type         text NOT NULL,
    name         text NOT NULL CHECK (name <> '' AND length(name) <= 255),
    column_name  text NOT NULL,
    label        text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('string', 'number', 'boolean', 'date', 'datetime')),
    PRIMARY KEY (source, type, name),
    FOREIGN KEY (source, type) REFERENCES udm.data_type (source, name)
        ON UPDATE CASCADE ON DELETE CASCADE
);
COMMENT ON COLUMN udm.attribute.kind IS 'How values are compared, whatever the exact type of the column is.';

-- The kind of a type of PostgreSQL; NULL for what cannot be compared with a value of JSON.
CREATE FUNCTION udm.attribute_kind(type regtype) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT CASE
        WHEN t.typtype = 'd' THEN udm.attribute_kind(t.typbasetype)
        WHEN t.typtype = 'e' OR $1 IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype,
                                       'name'::regtype, 'uuid'::regtype) THEN 'string'
        WHEN $1 IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'numeric'::regtype,
                    'real'::regtype, 'double precision'::regtype) THEN 'number'
        WHEN $1 = 'boolean'::regtype THEN 'boolean'
        WHEN $1 = 'date'::regtype THEN 'date'
        WHEN $1 IN ('timestamp'::regtype, 'timestamptz'::regtype) THEN 'datetime'
        END
      FROM pg_type t WHERE t.oid = $1
$$;

-- One attribute. The kind is read off the column where the relation is in this database, and must be
-- given where it is not.
CREATE FUNCTION udm.register_attribute(source text, type text, column_name text, name text DEFAULT NULL,
                                       label text DEFAULT NULL, kind text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
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

-- Every exported column that can be one, under its own name; gives how many.
CREATE FUNCTION udm.register_attributes(source text, type text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    dt  udm.data_type;
    rel regclass;
    col name;
    n   integer := 0;
BEGIN
    SELECT * INTO dt FROM udm.data_type d WHERE d.source = $1 AND d.name = $2;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no data type %/%', $1, $2
            USING HINT = 'Add it first: SELECT udm.register_type(...).';
    END IF;
    IF (SELECT s.remote FROM udm.source s WHERE s.name = $1) THEN
        RAISE EXCEPTION 'the relation is in another database, so its columns are not known here'
            USING HINT = 'SELECT udm.register_attribute(..., kind => ...) for each.';
    END IF;
    rel := to_regclass(format('%I.%I', dt.relation_schema, dt.relation_name));
    IF rel IS NULL THEN
        RAISE EXCEPTION 'there is no relation %.% in this database', dt.relation_schema,
            dt.relation_name USING ERRCODE = 'undefined_table';
    END IF;
    FOR col IN
        SELECT a.attname FROM pg_attribute a
         WHERE a.attrelid = rel
           AND a.attnum > 0 AND NOT a.attisdropped AND udm.attribute_kind(a.atttypid) IS NOT NULL
           AND (dt.columns IS NULL OR a.attname = ANY (dt.columns))
           AND a.attname IS DISTINCT FROM dt.tenant_column
         ORDER BY a.attnum
    LOOP
        PERFORM udm.register_attribute($1, $2, col);
        n := n + 1;
    END LOOP;
    RETURN n;
END
$$;

ALTER TABLE udm.job ADD COLUMN filters jsonb NOT NULL DEFAULT '[]'
    CHECK (jsonb_typeof(filters) = 'array');
ALTER TABLE udm.run ADD COLUMN filters jsonb NOT NULL DEFAULT '[]'
    CHECK (jsonb_typeof(filters) = 'array');
COMMENT ON COLUMN udm.job.filters IS 'jobParams.filters: [{attribute, operator, value}].';

-- A file is gone for clients from removed_at on, and gone from the store from purged_at on.
ALTER TABLE udm.file ADD COLUMN purged_at timestamptz,
    ADD CHECK (purged_at IS NULL OR removed_at IS NOT NULL);
COMMENT ON COLUMN udm.file.removed_at IS
    'Not handed out from then on, and the worker takes it out of the store: the row stays as a '
    'tombstone, for the 410.';
CREATE INDEX file_to_purge ON udm.file (id) WHERE removed_at IS NOT NULL AND purged_at IS NULL;
CREATE TRIGGER file_notify_removed AFTER UPDATE OF removed_at ON udm.file
    FOR EACH ROW WHEN (NEW.removed_at IS NOT NULL AND OLD.removed_at IS NULL)
    EXECUTE FUNCTION udm.run_notify();

-- Answers to POSTs that carried an Idempotency-Key, for those who send the same again.
CREATE TABLE udm.idempotency (
    ccid         text NOT NULL REFERENCES udm.tenant (ccid),
    version      text NOT NULL,
    key          text NOT NULL CHECK (key <> '' AND length(key) <= 255),
    body_sha256  text NOT NULL CHECK (body_sha256 ~ '^[0-9a-f]{64}$'),
    job_id       bigint NOT NULL,
    source       text NOT NULL,
    type         text NOT NULL,
    answer       text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (ccid, version, key)
);
COMMENT ON TABLE udm.idempotency IS 'Good for 24 hours, then swept by a worker.';
CREATE INDEX idempotency_by_age ON udm.idempotency (created_at);

-- Lists by id, whichever share of all rows a tenant has.
CREATE INDEX job_by_tenant_and_id ON udm.job (ccid, id);
CREATE INDEX run_by_tenant_and_id ON udm.run (ccid, id);
CREATE INDEX file_by_tenant_and_id ON udm.file (ccid, id);

GRANT SELECT ON udm.attribute TO udm_httpd, udm_worker;
GRANT SELECT, INSERT, UPDATE ON udm.idempotency TO udm_httpd;
GRANT SELECT, DELETE ON udm.idempotency TO udm_worker;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA udm FROM PUBLIC;
GRANT EXECUTE ON FUNCTION udm.rights(text[], text), udm.may_certificate(text[]) TO udm_httpd;

RESET ROLE;
