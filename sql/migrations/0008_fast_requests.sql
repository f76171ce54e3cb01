-- What each request asks: rights without a plan made anew for each call, and how long the history is
-- without counting it.

SET LOCAL ROLE udm_owner;

-- A function of SQL with a SET of its own is planned anew each time it is called, and the caller's
-- statement cannot take it in. These run with the rights of who calls them and name every relation
-- with its schema, so they need none.
ALTER FUNCTION udm.rights(text[], text) RESET ALL;
ALTER FUNCTION udm.may_certificate(text[]) RESET ALL;

-- How many rows udm.run has: the sum of what each change added. Nothing here is ever updated, so
-- that two transactions never wait for one another; now and then a change adds up what is there.
CREATE TABLE udm.run_count (
    ccid    text NOT NULL,
    source  text NOT NULL,
    type    text NOT NULL,
    rows    bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE INDEX run_count_by_tenant ON udm.run_count (ccid, source, type) INCLUDE (rows);

-- Puts one row in the place of all those that no other transaction is adding up.
CREATE FUNCTION udm.run_count_fold(ccid text, source text, type text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$
    WITH mine AS MATERIALIZED (
        SELECT c.ctid AS id FROM udm.run_count c
         WHERE (c.ccid, c.source, c.type) = ($1, $2, $3) FOR UPDATE SKIP LOCKED),
    gone AS (
        DELETE FROM udm.run_count c USING mine WHERE c.ctid = mine.id RETURNING c.rows)
    INSERT INTO udm.run_count (ccid, source, type, rows)
    SELECT $1, $2, $3, sum(gone.rows) FROM gone HAVING count(*) > 0
$$;

CREATE FUNCTION udm.run_counted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    kind record;
BEGIN
    FOR kind IN SELECT ccid, source, type, count(*) AS rows
                  FROM changed GROUP BY ccid, source, type LOOP
        INSERT INTO udm.run_count (ccid, source, type, rows)
        VALUES (kind.ccid, kind.source, kind.type,
                CASE TG_OP WHEN 'INSERT' THEN kind.rows ELSE -kind.rows END);
        IF random() * 64 < kind.rows THEN
            PERFORM udm.run_count_fold(kind.ccid, kind.source, kind.type);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
CREATE TRIGGER run_counted_insert AFTER INSERT ON udm.run
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION udm.run_counted();
CREATE TRIGGER run_counted_delete AFTER DELETE ON udm.run
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION udm.run_counted();
-- What a row is about never changes, or it would be counted under what it was.
CREATE FUNCTION udm.run_keeps_kind() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION 'ccid, source and type of udm.run do not change'
        USING ERRCODE = 'feature_not_supported', HINT = 'They say whose history the record is.';
END
$$;
CREATE TRIGGER run_keeps_kind BEFORE UPDATE OF ccid, source, type ON udm.run
    FOR EACH ROW WHEN ((NEW.ccid, NEW.source, NEW.type) IS DISTINCT FROM (OLD.ccid, OLD.source, OLD.type))
    EXECUTE FUNCTION udm.run_keeps_kind();

-- After rows went past the triggers (session_replication_role, TRUNCATE, DISABLE TRIGGER).
CREATE FUNCTION udm.recount_runs() RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$
    LOCK TABLE udm.run, udm.run_count IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM udm.run_count;
    INSERT INTO udm.run_count (ccid, source, type, rows)
    SELECT ccid, source, type, count(*) FROM udm.run GROUP BY ccid, source, type
$$;
COMMENT ON FUNCTION udm.recount_runs() IS
    'Counts the history anew, after rows were written or removed past the triggers of udm.run.';
SELECT udm.recount_runs();

-- A page is found in the index alone, however deep it is.
DROP INDEX udm.run_by_tenant;
CREATE INDEX run_by_tenant ON udm.run (ccid, created_at, id) INCLUDE (source, type);

GRANT SELECT ON udm.run_count TO udm_httpd;
REVOKE ALL ON FUNCTION udm.run_count_fold(text, text, text), udm.run_counted(), udm.run_keeps_kind(),
    udm.recount_runs() FROM PUBLIC;

RESET ROLE;
