-- Which rights a set of roles has is worked out once, and again when something changed that they
-- depend on: what is asked with every request is only whether anything did.

SET LOCAL ROLE udm_owner;

CREATE TABLE udm.rights_generation (
    one_row     boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    generation  bigint NOT NULL
);
INSERT INTO udm.rights_generation (generation) VALUES (1);
COMMENT ON TABLE udm.rights_generation IS
    'One row: another number after every change of what udm.rights() and udm.may_certificate() read.';

CREATE FUNCTION udm.rights_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    UPDATE udm.rights_generation SET generation = generation + 1;
    RETURN NULL;
END
$$;
CREATE TRIGGER rights_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON udm.role
    FOR EACH STATEMENT EXECUTE FUNCTION udm.rights_changed();
CREATE TRIGGER rights_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON udm.role_grant
    FOR EACH STATEMENT EXECUTE FUNCTION udm.rights_changed();
CREATE TRIGGER rights_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON udm.source
    FOR EACH STATEMENT EXECUTE FUNCTION udm.rights_changed();
CREATE TRIGGER rights_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON udm.data_type
    FOR EACH STATEMENT EXECUTE FUNCTION udm.rights_changed();

GRANT SELECT ON udm.rights_generation TO udm_httpd;
REVOKE ALL ON FUNCTION udm.rights_changed() FROM PUBLIC;

RESET ROLE;
