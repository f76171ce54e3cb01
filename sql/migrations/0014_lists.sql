-- A list that is read in several transactions shows the rows of one moment: what was not there at its
-- beginning stays out, whatever its id. And numbers that were stored as they were sent, with any
-- number of zeros before them, get the form in which they are stored now.

SET LOCAL ROLE udm_owner;

-- The transaction that made the row, to be held against a snapshot. Rows that are there already have
-- none: every list sees them. The default is set afterwards, so that no row has to be written for it.
ALTER TABLE udm.job ADD COLUMN made_in xid8;
ALTER TABLE udm.job ALTER COLUMN made_in SET DEFAULT pg_catalog.pg_current_xact_id();
ALTER TABLE udm.run ADD COLUMN made_in xid8;
ALTER TABLE udm.run ALTER COLUMN made_in SET DEFAULT pg_catalog.pg_current_xact_id();
ALTER TABLE udm.file ADD COLUMN made_in xid8;
ALTER TABLE udm.file ALTER COLUMN made_in SET DEFAULT pg_catalog.pg_current_xact_id();
COMMENT ON COLUMN udm.job.made_in IS
    'The transaction that made the row; NULL for one from before there was this column.';
COMMENT ON COLUMN udm.run.made_in IS
    'The transaction that made the row; NULL for one from before there was this column.';
COMMENT ON COLUMN udm.file.made_in IS
    'The transaction that made the row; NULL for one from before there was this column.';

-- A dump that is restored in another cluster brings the numbers of transactions of the old one along.
CREATE FUNCTION udm.restored() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE udm.job SET made_in = NULL WHERE made_in IS NOT NULL;
    UPDATE udm.run SET made_in = NULL WHERE made_in IS NOT NULL;
    UPDATE udm.file SET made_in = NULL WHERE made_in IS NOT NULL
$$;
COMMENT ON FUNCTION udm.restored() IS
    'To be called once after the database was restored from a dump: all rows are from before.';
REVOKE ALL ON FUNCTION udm.restored() FROM PUBLIC;

UPDATE udm.job SET file_split_size = pg_catalog.ltrim(file_split_size, '0')
 WHERE file_split_size LIKE '0%';
UPDATE udm.run SET file_split_size = pg_catalog.ltrim(file_split_size, '0')
 WHERE file_split_size LIKE '0%';
UPDATE udm.job SET schedule = pg_catalog.jsonb_set(schedule, '{runs}',
                     pg_catalog.to_jsonb(pg_catalog.ltrim(schedule ->> 'runs', '0')))
 WHERE schedule ->> 'runs' LIKE '0%';

RESET ROLE;
