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

RESET ROLE;
