-- How files are encrypted: smime (S/MIME enveloped-data as text) or cms-gcm (CMS AuthEnvelopedData).

SET LOCAL ROLE udm_owner;

ALTER TABLE udm.job ADD COLUMN encryption text NOT NULL DEFAULT 'smime'
    CHECK (encryption IN ('smime', 'cms-gcm'));
COMMENT ON COLUMN udm.job.encryption IS
    'What UDMEncryption said where the job was created. A PUT sets it.';

ALTER TABLE udm.tenant ADD COLUMN encryption text CHECK (encryption IN ('smime', 'cms-gcm'));
COMMENT ON COLUMN udm.tenant.encryption IS
    'How the files of this contact centre are encrypted, whatever its jobs say; NULL: as they say.';

-- Holds for every upload of a certificate and every run that is begun from then on.
CREATE FUNCTION udm.set_encryption(ccid text, mode text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    old text;
BEGIN
    SELECT t.encryption INTO old FROM udm.tenant t WHERE t.ccid = $1 FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no contact centre "%"', $1
            USING HINT = 'Add it first: SELECT udm.create_tenant(''...'').';
    END IF;
    IF $2 NOT IN ('smime', 'cms-gcm') THEN
        RAISE EXCEPTION 'there is no encryption "%"', $2
            USING HINT = 'It is ''smime'', ''cms-gcm'', or NULL for what each Location says.';
    END IF;
    UPDATE udm.tenant t SET encryption = $2 WHERE t.ccid = $1;
    INSERT INTO udm.audit (ccid, subject, action, object, detail)
    VALUES ($1, session_user, 'tenant.encryption', $2, jsonb_build_object('old', old, 'new', $2));
END
$$;
COMMENT ON FUNCTION udm.set_encryption(text, text) IS
    'Sets how the files of a contact centre are encrypted: smime, cms-gcm, or NULL for what each '
    'Location says.';
REVOKE ALL ON FUNCTION udm.set_encryption(text, text) FROM PUBLIC;

RESET ROLE;
