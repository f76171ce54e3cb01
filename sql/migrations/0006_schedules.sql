-- Recurring jobs: when their schedule was accepted, and what a moving window waits for. And that this
-- installation has a store, so that an empty directory in its place is not taken for one.

SET LOCAL ROLE udm_owner;

ALTER TABLE udm.job ADD COLUMN schedule_since timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN udm.job.schedule_since IS
    'When the schedule was accepted: the startDate of a recurrence that names none. A PUT sets it.';

ALTER TABLE udm.run ADD COLUMN settle_barrier text, ADD COLUMN settle_since timestamptz;
COMMENT ON COLUMN udm.run.settle_barrier IS
    'Transaction id in the source: a moving window is read once all that were given a lower one are '
    'over, so that no row which is stamped inside the window is committed after it was read.';

-- A worker marks a directory as the store only while this is NULL.
ALTER TABLE udm.installation ADD COLUMN store_since timestamptz;
COMMENT ON COLUMN udm.installation.store_since IS
    'Since when there is a store; a directory without its mark is then an error, for it may be the one '
    'below a volume that is not mounted. NULL: the next directory that a worker finds becomes it.';
UPDATE udm.installation SET store_since = now() WHERE EXISTS (SELECT FROM udm.file);
GRANT UPDATE (store_since) ON udm.installation TO udm_worker;

-- Begins a new store, in place of one that is lost: call it when the new, empty directory is where
-- the workers look for it.
CREATE FUNCTION udm.new_store() RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$
    INSERT INTO udm.audit (subject, action, detail)
    SELECT session_user, 'store.new', jsonb_build_object('since', store_since) FROM udm.installation;
    UPDATE udm.installation SET store_since = NULL;
$$;
REVOKE ALL ON FUNCTION udm.new_store() FROM PUBLIC;

-- For whose a file in the store is.
CREATE INDEX run_by_export ON udm.run (export_id);

RESET ROLE;
