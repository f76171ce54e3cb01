-- Who may do what, and which schema this is.
--
-- udm_owner   owns every object; nobody logs in as it.
-- udm_httpd   what Apache connects as: tenants, keys, catalog, jobs; never the exported data.
-- udm_worker  what udm-worker connects as: the queue, files; never the exported data either, which
--             it reads over a second connection, as the reader of the source.
--
-- The login roles get no password here: give them one, or let pg_hba.conf map them.

DO $$
DECLARE
    r text;
BEGIN
    FOREACH r IN ARRAY ARRAY['udm_owner', 'udm_httpd', 'udm_worker'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
            EXECUTE format('CREATE ROLE %I %s NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT', r,
                           CASE r WHEN 'udm_owner' THEN 'NOLOGIN' ELSE 'LOGIN' END);
        END IF;
    END LOOP;
END
$$;

CREATE SCHEMA udm AUTHORIZATION udm_owner;
REVOKE ALL ON SCHEMA udm FROM PUBLIC;
GRANT USAGE ON SCHEMA udm TO udm_httpd, udm_worker;

-- Every object below belongs to udm_owner, whoever applies the migration.
SET LOCAL ROLE udm_owner;

CREATE TABLE udm.schema_version (
    version     integer PRIMARY KEY CHECK (version > 0),
    name        text NOT NULL,
    sha256      text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE udm.schema_version IS 'One row for each migration that was applied, oldest first.';

-- One row: the store carries the same id, so that a worker never sweeps another installation's files.
CREATE TABLE udm.installation (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id          uuid NOT NULL DEFAULT gen_random_uuid(),
    created_at  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO udm.installation DEFAULT VALUES;

GRANT SELECT ON udm.schema_version, udm.installation TO udm_httpd, udm_worker;

RESET ROLE;
