-- Nobody waits for what is not theirs: neither a request for another one's commit, nor a worker for
-- the length of the queue.

SET LOCAL ROLE udm_owner;

-- What is under way is few rows, however many wait.
CREATE INDEX run_in_progress ON udm.run (id) WHERE status = 'IN_PROGRESS';

-- A transaction that notifies holds a lock of the whole server until it is durable, so that those
-- that do commit one after the other. Whoever promises a notification for later gives it when the
-- commit is over.
CREATE OR REPLACE FUNCTION udm.run_notify() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF current_setting('udm.notifies_later', true) IS DISTINCT FROM 'on' THEN
        PERFORM pg_notify('udm_run', '');
    END IF;
    RETURN NULL;
END
$$;

-- The lock that lets jobs of the contact centre be stored meanwhile: they refer to its row.
CREATE OR REPLACE FUNCTION udm.set_encryption(ccid text, mode text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    old text;
BEGIN
    SELECT t.encryption INTO old FROM udm.tenant t WHERE t.ccid = $1 FOR NO KEY UPDATE;
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

RESET ROLE;
