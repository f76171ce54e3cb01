-- Contact centres (tenants), the credentials they show, the certificate they read exports with,
-- and the record of everything that was done.

SET LOCAL ROLE udm_owner;

CREATE TABLE udm.tenant (
    ccid        text PRIMARY KEY CHECK (ccid <> '' AND length(ccid) <= 255),
    name        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN udm.tenant.ccid IS 'The contact centre id: what keys, tokens and rows name.';

-- Roles say what may be done (read, write, certificate) and, by udm.role_grant, with which data.
CREATE TABLE udm.role (
    name             text PRIMARY KEY CHECK (name <> '' AND name <> '*'),
    may_read         boolean NOT NULL DEFAULT true,
    may_write        boolean NOT NULL DEFAULT true,
    may_certificate  boolean NOT NULL DEFAULT false
);

-- A grant matches a data type when every column of it that is not NULL is equal.
CREATE TABLE udm.role_grant (
    role    text NOT NULL REFERENCES udm.role (name) ON DELETE CASCADE,
    family  text CHECK (family IN ('UCS', 'DataSync')),
    source  text,
    type    text,
    UNIQUE (role, family, source, type)
);

INSERT INTO udm.role (name, may_read, may_write, may_certificate) VALUES
    ('UDM UCSX Exporter', true, true, true),
    ('iWD Administrator', true, true, true);
INSERT INTO udm.role_grant (role, family, source, type) VALUES
    ('UDM UCSX Exporter', 'UCS', 'UCS',  'Interaction'),
    ('UDM UCSX Exporter', 'UCS', 'UCS',  'Contact'),
    ('UDM UCSX Exporter', 'UCS', 'UCSX', 'Interaction'),
    ('UDM UCSX Exporter', 'UCS', 'UCSX', 'Contact'),
    ('iWD Administrator', 'DataSync', NULL, NULL);

CREATE TABLE udm.api_key (
    key_id         text PRIMARY KEY CHECK (key_id ~ '^[0-9a-f]{12}$'),
    ccid           text NOT NULL REFERENCES udm.tenant (ccid),
    label          text NOT NULL,
    secret_sha256  bytea NOT NULL CHECK (length(secret_sha256) = 32),
    roles          text[] NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz,
    revoked_at     timestamptz,
    last_used_at   timestamptz
);
COMMENT ON COLUMN udm.api_key.secret_sha256 IS
    'SHA-256 of the secret. A secret has 244 random bits, so a fast hash is enough.';

CREATE TABLE udm.certificate (
    ccid         text PRIMARY KEY REFERENCES udm.tenant (ccid),
    name         text NOT NULL,
    pem          text NOT NULL,
    size         integer NOT NULL,
    fingerprint  text NOT NULL CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
    not_before   timestamptz NOT NULL,
    not_after    timestamptz NOT NULL,
    modified_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN udm.certificate.fingerprint IS 'SHA-256 over the DER form, lower-case hex.';

CREATE TABLE udm.audit (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at              timestamptz NOT NULL DEFAULT now(),
    ccid            text,
    subject         text,
    key_id          text,
    action          text NOT NULL,
    object          text,
    client_address  text,
    request_id      text,
    detail          jsonb
);
CREATE INDEX audit_ccid_at ON udm.audit (ccid, at);

CREATE FUNCTION udm.audit_is_append_only() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'udm.audit is append-only: % is not allowed', lower(TG_OP)
        USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON udm.audit
    FOR EACH STATEMENT EXECUTE FUNCTION udm.audit_is_append_only();

CREATE FUNCTION udm.create_tenant(ccid text, name text DEFAULT NULL) RETURNS text
LANGUAGE sql SET search_path = pg_catalog AS $$
    INSERT INTO udm.audit (ccid, subject, action) VALUES ($1, session_user, 'tenant.create');
    INSERT INTO udm.tenant (ccid, name) VALUES ($1, coalesce($2, $1)) RETURNING ccid
$$;
COMMENT ON FUNCTION udm.create_tenant(text, text) IS 'Adds a contact centre; returns its ccid.';

-- The key is returned here and never again: only its hash is kept.
CREATE FUNCTION udm.create_api_key(ccid text, label text, roles text[],
                                   expires_at timestamptz DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    -- Two version 4 UUIDs: 244 bits from the server's strong random source, without pgcrypto.
    secret  text := replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
    id      text := right(replace(gen_random_uuid()::text, '-', ''), 12);
    unknown text;
BEGIN
    IF NOT EXISTS (SELECT FROM udm.tenant t WHERE t.ccid = $1) THEN
        RAISE EXCEPTION 'there is no contact centre "%"', $1
            USING HINT = 'Add it first: SELECT udm.create_tenant(''...'').';
    END IF;
    SELECT string_agg(quote_nullable(r), ', ') INTO unknown
      FROM unnest($3) r
     WHERE r IS NULL OR (r <> '*' AND NOT EXISTS (SELECT FROM udm.role WHERE name = r));
    IF unknown IS NOT NULL OR coalesce(array_length($3, 1), 0) = 0 THEN
        RAISE EXCEPTION 'not roles: %', coalesce(unknown, 'none given')
            USING HINT = (SELECT 'A key needs at least one of: '
                                 || string_agg(quote_literal(name), ', ' ORDER BY name)
                                 || ', or ''*'' for every right.' FROM udm.role);
    END IF;
    INSERT INTO udm.api_key (key_id, ccid, label, secret_sha256, roles, expires_at)
    VALUES (id, $1, $2, sha256(convert_to(secret, 'UTF8')), $3, $4);
    INSERT INTO udm.audit (ccid, subject, key_id, action, object)
    VALUES ($1, session_user, id, 'api-key.create', $2);
    RETURN 'udm_' || id || '_' || secret;
END
$$;

-- Takes the key's id or the whole key, so that a leaked one can be pasted as it was found.
CREATE FUNCTION udm.revoke_api_key(key text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    id    text := CASE WHEN $1 LIKE 'udm\_%' THEN split_part($1, '_', 2) ELSE $1 END;
    owner text;
BEGIN
    UPDATE udm.api_key SET revoked_at = now() WHERE key_id = id AND revoked_at IS NULL
    RETURNING ccid INTO owner;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO udm.audit (ccid, subject, key_id, action) VALUES (owner, session_user, id, 'api-key.revoke');
    RETURN true;
END
$$;

GRANT SELECT ON udm.tenant, udm.role, udm.role_grant, udm.api_key TO udm_httpd;
GRANT UPDATE (last_used_at) ON udm.api_key TO udm_httpd;
GRANT SELECT, INSERT, UPDATE ON udm.certificate TO udm_httpd;
GRANT SELECT ON udm.tenant, udm.certificate TO udm_worker;
GRANT INSERT ON udm.audit TO udm_httpd, udm_worker;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA udm FROM PUBLIC;

RESET ROLE;
