-- Each role writes the audit of what its programs do, and of nothing else.
--
-- What an admin does is written by the functions that do it, past this one, so it stands here for
-- nobody. Who is logged in counts, and what that role is in: a login of another name that was let
-- into udm_httpd may write no more than that.

SET LOCAL ROLE udm_owner;

CREATE OR REPLACE FUNCTION udm.audit_write(ccid text, subject text, key_id text, action text, object text,
                                client_address text, request_id text, detail jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    written bigint;
    writer  text := CASE
        WHEN $4 IN ('certificate.upload', 'file.delete', 'file.download', 'file.link', 'job.cancel',
                    'job.create', 'job.delete', 'job.replace', 'job.resume', 'job.suspend', 'run.delete')
            THEN 'udm_httpd'
        WHEN $4 IN ('file.expire', 'run.complete', 'run.fail') THEN 'udm_worker' END;
BEGIN
    IF writer IS NULL OR NOT pg_has_role(session_user, writer, 'MEMBER') THEN
        RAISE EXCEPTION 'the audit of "%" is not for role % to write', $4, quote_ident(session_user)
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO udm.audit (at, database_role, ccid, subject, key_id, action, object, client_address,
                           request_id, detail)
    VALUES (now(), session_user, $1, $2, $3, $4, $5, $6, $7, $8)
    RETURNING id INTO written;
    RETURN written;
END
$$;

RESET ROLE;
