-- One place for a job's state: what a job shows is decided here, whoever changes it; every run is made
-- here, so that its window is; and a number tells one state of a definition from another.

SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL ROLE udm_owner;

-- ---- what a job shows ----

-- From the status of its latest run (NULL: there is none), whether a next run is planned, whether the job
-- is suspended, and what it showed before (NULL: it is new). The only place that knows.
CREATE FUNCTION udm.job_status(was text, run text, due boolean, suspended boolean) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN $2 IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED') THEN $2
        WHEN $3 THEN CASE WHEN $4 THEN 'SUSPENDED' ELSE 'SCHEDULED' END
        -- It is over. How it ended it goes on to show, whatever becomes of the record of its run.
        WHEN $1 IN ('COMPLETED', 'FAILED', 'CANCELLED') THEN $1
        WHEN $1 IN ('QUEUED', 'IN_PROGRESS') AND $2 IS NOT NULL THEN $2
        -- What was planned, or waited, was dropped.
        ELSE 'CANCELLED' END
$$;
COMMENT ON COLUMN udm.job.status IS
    'What udm.job_status() makes of the latest run, next_run_at and suspended; kept by a trigger.';

-- A statement that changes the run and the job gets this for the job when the run has been changed: the
-- job's row comes out of a join with that of the run. A run that latest_run_id names and that is not
-- there yet is what the same statement makes.
CREATE FUNCTION udm.job_shows() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was text;
    run text;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        was := OLD.status;
        SELECT r.status INTO run FROM udm.run r WHERE r.id = NEW.latest_run_id;
        IF NOT FOUND AND NEW.latest_run_id IS DISTINCT FROM OLD.latest_run_id
           AND NEW.latest_run_id IS NOT NULL THEN
            run := 'QUEUED';
        END IF;
    ELSIF NEW.latest_run_id IS NOT NULL THEN
        run := 'QUEUED';
    END IF;
    NEW.status := udm.job_status(was, run, NEW.next_run_at IS NOT NULL, NEW.suspended);
    RETURN NEW;
END
$$;
CREATE TRIGGER job_shows_new BEFORE INSERT ON udm.job
    FOR EACH ROW WHEN (NEW.status IS NULL) EXECUTE FUNCTION udm.job_shows();
-- Every change of a job or its run names one of these. Who writes the status alone means that one: a
-- rename does, which puts what goes on back in the queue.
CREATE TRIGGER job_shows BEFORE UPDATE OF latest_run_id, next_run_at, suspended ON udm.job
    FOR EACH ROW EXECUTE FUNCTION udm.job_shows();

-- ---- whether a job has been changed ----

ALTER TABLE udm.job ADD COLUMN version bigint NOT NULL DEFAULT 1;
COMMENT ON COLUMN udm.job.version IS
    'Raised by each change of what the job is to do: part of the entity tags of the API.';

CREATE FUNCTION udm.job_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.version := OLD.version + 1;
    RETURN NEW;
END
$$;
CREATE TRIGGER job_changed BEFORE UPDATE ON udm.job
    FOR EACH ROW WHEN (
        (OLD.family, OLD.source, OLD.type, OLD.title, OLD.description, OLD.time_all, OLD.date_from,
         OLD.date_to, OLD.media, OLD.export_attachments, OLD.file_split_size, OLD.file_split_bytes,
         OLD.filters, OLD.schedule, OLD.suspended) IS DISTINCT FROM
        (NEW.family, NEW.source, NEW.type, NEW.title, NEW.description, NEW.time_all, NEW.date_from,
         NEW.date_to, NEW.media, NEW.export_attachments, NEW.file_split_size, NEW.file_split_bytes,
         NEW.filters, NEW.schedule, NEW.suspended))
    EXECUTE FUNCTION udm.job_changed();

-- ---- how a run is made ----

-- Makes the runs that latest_run_id of these jobs names, each scheduled at its instant, and their
-- progress; gives how many. `by` is who made each of them do so; NULL: whoever made the job. The caller
-- has locked or made the jobs and counts on the row that it has written, be it by the same statement.
--
-- Where a window begins and ends: as the job says, without a bound that it does not name. A job that
-- says nothing of time takes what there is up to its scheduled instant. One that recurs and has no end
-- takes what came since the last completed run (udm.job.watermark): its window ends at the scheduled
-- instant and is not read before its settle time is over. Before dateFrom it is empty, and ends there:
-- what came before is not for a later run either.
CREATE FUNCTION udm.make_runs(jobs bigint[], scheduled timestamptz[], by text[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made integer;
BEGIN
    WITH made AS (
        INSERT INTO udm.run (id, job_id, ccid, source, type, title, description, window_all, window_from,
                             window_to, moves_watermark, media, export_attachments, file_split_size,
                             file_split_bytes, filters, scheduled_at, ready_at, created_by)
        SELECT j.latest_run_id, j.id, j.ccid, j.source, j.type, j.title, j.description, j.time_all,
               CASE WHEN m.moves THEN coalesce(j.watermark, j.date_from) ELSE j.date_from END,
               CASE WHEN m.moves THEN greatest(a.at, j.watermark, j.date_from)
                    WHEN num_nonnulls(j.date_from, j.date_to) = 0 AND NOT j.time_all THEN a.at
                    ELSE j.date_to END,
               m.moves, j.media, j.export_attachments, j.file_split_size, j.file_split_bytes, j.filters,
               a.at,
               a.at + CASE WHEN m.moves THEN make_interval(secs => coalesce((
                   SELECT t.settle_seconds FROM udm.data_type t
                    WHERE t.source = j.source AND t.name = j.type), 0)) ELSE interval '0' END,
               coalesce($3[a.n], j.created_by)
          FROM unnest($1, $2) WITH ORDINALITY AS a (job, at, n) JOIN udm.job j ON j.id = a.job,
               LATERAL (SELECT j.schedule_type = 'recurring' AND NOT j.time_all AND j.date_to IS NULL) m (moves)
         ORDER BY a.n
        RETURNING id),
    progress AS (
        INSERT INTO udm.run_progress (run_id) SELECT m.id FROM made m)
    SELECT count(*) INTO made FROM made;
    RETURN made;
END
$$;
COMMENT ON FUNCTION udm.make_runs(bigint[], timestamptz[], text[]) IS
    'Every run is made here, and its window with it.';

REVOKE ALL ON FUNCTION udm.job_status(text, text, boolean, boolean), udm.job_shows(), udm.job_changed(),
    udm.make_runs(bigint[], timestamptz[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION udm.job_status(text, text, boolean, boolean),
    udm.make_runs(bigint[], timestamptz[], text[]) TO udm_httpd, udm_worker;
-- Nothing else makes one.
REVOKE INSERT ON udm.run, udm.run_progress FROM udm_httpd, udm_worker;
REVOKE INSERT (id, job_id, ccid, source, type, title, description, window_all, window_from, window_to,
               moves_watermark, media, export_attachments, file_split_size, file_split_bytes, filters,
               scheduled_at, ready_at, created_by)
    ON udm.run FROM udm_httpd, udm_worker;
REVOKE INSERT (run_id) ON udm.run_progress FROM udm_httpd, udm_worker;
-- Nor does the module say what a job shows.
REVOKE INSERT (status), UPDATE (status) ON udm.job FROM udm_httpd;

RESET ROLE;
