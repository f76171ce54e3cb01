-- How things end: what is registered is renamed and removed by functions that carry along, or name,
-- what hangs on it; contact centres leave; history and audit end after a time; and what waits can say
-- why: workers are known, and so is what an attempt failed of.

SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL ROLE udm_owner;

-- ---- who works ----

CREATE TABLE udm.worker (
    id          text PRIMARY KEY,
    host        text NOT NULL,
    pid         integer NOT NULL,
    version     text NOT NULL,
    slots       integer NOT NULL,
    state       text NOT NULL CHECK (state IN ('ready', 'no-store', 'ending', 'ended')),
    started_at  timestamptz NOT NULL DEFAULT now(),
    seen_at     timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
COMMENT ON TABLE udm.worker IS
    'One row for each udm-worker, written every 10 seconds. One that was not seen for 30 seconds is '
    'gone; its row goes a day later, when another worker is there.';
GRANT SELECT ON udm.worker TO udm_httpd;
GRANT SELECT, DELETE, INSERT (id, host, pid, version, slots, state), UPDATE (state, seen_at)
    ON udm.worker TO udm_worker;

-- ---- why something waits ----

ALTER TABLE udm.job ADD COLUMN status_reason text;
COMMENT ON COLUMN udm.job.status_reason IS
    'Why the job is SUSPENDED or CANCELLED, if it was not its owner who wanted it so.';
COMMENT ON COLUMN udm.run.status_reason IS
    'Why the run FAILED, is CANCELLED or SUSPENDED; while it is QUEUED, what the last attempt failed of.';
GRANT UPDATE (status_reason) ON udm.job, udm.run TO udm_httpd;
GRANT UPDATE (status, status_reason, ready_at, worker_id, attempt) ON udm.run TO udm_worker;

-- ---- types that are gone ----

-- What there was, for those who have jobs, history or files of it. Written by the trigger below,
-- however a type ends; dropped by a worker when nothing is left of it.
CREATE TABLE udm.gone_type (
    source   text NOT NULL,
    type     text NOT NULL,
    family   text,
    tenants  text[],
    gone_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, type)
);
COMMENT ON TABLE udm.gone_type IS
    'Data types that are not registered any more, or not for every contact centre that had them.';
COMMENT ON COLUMN udm.gone_type.tenants IS 'Whom it is gone for; NULL: everybody.';
CREATE TRIGGER rights_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON udm.gone_type
    FOR EACH STATEMENT EXECUTE FUNCTION udm.rights_changed();

GRANT SELECT ON udm.gone_type TO udm_httpd;

-- Whether a data type is registered for a contact centre.
CREATE FUNCTION udm.is_registered(source text, type text, ccid text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM udm.data_type d WHERE d.source = $1 AND d.name = $2
                      AND (d.tenants IS NULL OR $3 = ANY (d.tenants)))
$$;

CREATE FUNCTION udm.gone_reason(source text, type text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('type "%s" of source "%s" is not registered any more', $2, $1)
$$;

-- What there was does not run, and says why. Order of locks: runs, then jobs.
CREATE FUNCTION udm.suspend_gone(source text, type text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE udm.run r SET status = 'SUSPENDED', status_reason = udm.gone_reason($1, $2)
     WHERE r.source = $1 AND r.type = $2 AND r.status IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED')
       AND NOT udm.is_registered($1, $2, r.ccid);
    WITH held AS (
        UPDATE udm.job j
           SET suspended = true, status = 'SUSPENDED', status_reason = udm.gone_reason($1, $2)
         WHERE j.source = $1 AND j.type = $2
           AND (j.next_run_at IS NOT NULL OR j.status IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED'))
           AND NOT udm.is_registered($1, $2, j.ccid)
        RETURNING j.id, j.ccid, j.status_reason)
    INSERT INTO udm.audit (ccid, subject, action, object, detail)
    SELECT h.ccid, session_user, 'job.suspend', h.id::text, jsonb_build_object('reason', h.status_reason)
      FROM held h
$$;

CREATE FUNCTION udm.data_type_ends() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lost text[] := OLD.tenants; -- NULL: everybody
BEGIN
    IF current_setting('udm.renames', true) = 'on' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF NEW.tenants IS NULL THEN
            RETURN NULL;
        END IF;
        IF OLD.tenants IS NOT NULL THEN
            SELECT array_agg(t) INTO lost FROM unnest(OLD.tenants) t WHERE t <> ALL (NEW.tenants);
            IF lost IS NULL THEN
                RETURN NULL;
            END IF;
        END IF;
    ELSE
        INSERT INTO udm.audit (subject, action, object, detail)
        VALUES (session_user, 'catalog.type-removed', OLD.source || '/' || OLD.name,
                jsonb_build_object('relation', format('%I.%I', OLD.relation_schema, OLD.relation_name)));
    END IF;
    -- Of a contact centre that is leaving nothing is kept.
    SELECT CASE WHEN lost IS NOT NULL THEN coalesce(array_agg(t.ccid), '{}') END INTO lost
      FROM udm.tenant t WHERE t.ccid = ANY (lost) AND t.ending_since IS NULL;
    IF cardinality(lost) = 0 THEN
        RETURN NULL;
    END IF;
    INSERT INTO udm.gone_type AS g (source, type, family, tenants)
    VALUES (OLD.source, OLD.name, (SELECT s.family FROM udm.source s WHERE s.name = OLD.source), lost)
    ON CONFLICT ON CONSTRAINT gone_type_pkey DO UPDATE
       SET family = excluded.family, gone_at = now(),
           tenants = CASE WHEN num_nulls(g.tenants, excluded.tenants) = 0
                          THEN (SELECT array_agg(DISTINCT t) FROM unnest(g.tenants || excluded.tenants) t)
                     END;
    PERFORM udm.suspend_gone(OLD.source, OLD.name);
    RETURN NULL;
END
$$;
CREATE TRIGGER data_type_ends AFTER DELETE OR UPDATE OF tenants ON udm.data_type
    FOR EACH ROW EXECUTE FUNCTION udm.data_type_ends();

-- What was suspended for want of its type stays so, but can go on.
CREATE FUNCTION udm.data_type_begins() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was   text := udm.gone_reason(NEW.source, NEW.name);
    words text := format('type "%s" of source "%s" was not registered for a while and is again: resume the job',
                         NEW.name, NEW.source);
BEGIN
    UPDATE udm.run r SET status_reason = words
     WHERE r.source = NEW.source AND r.type = NEW.name AND r.status = 'SUSPENDED' AND r.status_reason = was
       AND udm.is_registered(NEW.source, NEW.name, r.ccid);
    UPDATE udm.job j SET status_reason = words
     WHERE j.source = NEW.source AND j.type = NEW.name AND j.status = 'SUSPENDED' AND j.status_reason = was
       AND udm.is_registered(NEW.source, NEW.name, j.ccid);
    IF NEW.tenants IS NULL THEN
        DELETE FROM udm.gone_type g WHERE g.source = NEW.source AND g.type = NEW.name;
    END IF;
    RETURN NULL;
END
$$;
-- Triggers fire by their names: what ends comes after what begins.
CREATE TRIGGER data_type_begins AFTER INSERT OR UPDATE OF tenants ON udm.data_type
    FOR EACH ROW EXECUTE FUNCTION udm.data_type_begins();

-- A worker that met a run whose type is gone: 'held' when that is so, 'registered' when the run should
-- be tried again (it was renamed meanwhile, say), 'lost' when the run is not the worker's any more.
CREATE FUNCTION udm.hold_gone(run bigint, worker text, attempt integer, export uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r      udm.run;
    reason text;
BEGIN
    SELECT * INTO r FROM udm.run x
     WHERE x.id = $1 AND x.worker_id = $2 AND x.attempt = $3 AND x.export_id = $4
       AND x.status = 'IN_PROGRESS' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'lost';
    END IF;
    IF udm.is_registered(r.source, r.type, r.ccid) THEN
        RETURN 'registered';
    END IF;
    reason := udm.gone_reason(r.source, r.type);
    UPDATE udm.run x SET status = 'SUSPENDED', status_reason = reason, worker_id = NULL,
           attempt = greatest(x.attempt - 1, 0) WHERE x.id = r.id;
    UPDATE udm.run_progress p SET lease_until = NULL, percent = 0, rows_done = 0 WHERE p.run_id = r.id;
    UPDATE udm.job j SET suspended = true, status = 'SUSPENDED', status_reason = reason
     WHERE j.id = r.job_id;
    INSERT INTO udm.audit (ccid, subject, action, object, detail)
    VALUES (r.ccid, $2, 'job.suspend', r.job_id::text, jsonb_build_object('reason', reason));
    RETURN 'held';
END
$$;

-- Rights go on for what is gone, so that those who have something of it see it, and can end it.
DROP FUNCTION udm.rights(text[], text);
CREATE FUNCTION udm.rights(roles text[], ccid text)
RETURNS TABLE (source text, type text, may_read boolean, may_write boolean, gone boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH known AS MATERIALIZED (
        SELECT t.source, t.name AS type, s.family, false AS gone
          FROM udm.data_type t JOIN udm.source s ON s.name = t.source
         WHERE t.tenants IS NULL OR $2 = ANY (t.tenants)
        UNION ALL
        SELECT g.source, g.type, g.family, true
          FROM udm.gone_type g
         WHERE (g.tenants IS NULL OR $2 = ANY (g.tenants)) AND NOT udm.is_registered(g.source, g.type, $2))
    SELECT k.source, k.type, true, true, k.gone FROM known k WHERE '*' = ANY ($1)
    UNION ALL
    SELECT k.source, k.type, bool_or(r.may_read), bool_or(r.may_write), k.gone
      FROM known k
      JOIN udm.role_grant g ON (g.family IS NULL OR g.family = k.family)
                           AND (g.source IS NULL OR g.source = k.source)
                           AND (g.type IS NULL OR g.type = k.type)
      JOIN udm.role r ON r.name = g.role
     WHERE r.name = ANY ($1) AND NOT '*' = ANY ($1)
     GROUP BY k.source, k.type, k.gone
$$;
COMMENT ON FUNCTION udm.rights(text[], text) IS
    'What a set of roles may do with each data type of a contact centre; gone: the type is not '
    'registered any more, and the right is for what is left of it.';

-- ---- renaming ----

-- What has a name keeps it but for the functions below, which carry along all that says it.
CREATE FUNCTION udm.keeps_name() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('udm.renames', true) IS DISTINCT FROM 'on' THEN
        RAISE EXCEPTION 'jobs, history and files name it, too'
            USING ERRCODE = 'feature_not_supported',
                  HINT = format('SELECT udm.rename_%s(...) carries them along.', TG_ARGV[0]);
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER keeps_name BEFORE UPDATE OF name ON udm.source FOR EACH ROW
    WHEN (NEW.name IS DISTINCT FROM OLD.name) EXECUTE FUNCTION udm.keeps_name('source');
CREATE TRIGGER keeps_name BEFORE UPDATE OF source, name ON udm.data_type FOR EACH ROW
    WHEN ((NEW.source, NEW.name) IS DISTINCT FROM (OLD.source, OLD.name))
    EXECUTE FUNCTION udm.keeps_name('type');
CREATE TRIGGER keeps_name BEFORE UPDATE OF ccid ON udm.tenant FOR EACH ROW
    WHEN (NEW.ccid IS DISTINCT FROM OLD.ccid) EXECUTE FUNCTION udm.keeps_name('tenant');

-- Nobody but the owner of the table may say that he renames.
CREATE OR REPLACE FUNCTION udm.run_keeps_kind() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('udm.renames', true) = 'on' AND pg_has_role(current_user, 'udm_owner', 'USAGE') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'ccid, source and type of udm.run do not change'
        USING ERRCODE = 'feature_not_supported', HINT = 'They say whose history the record is.';
END
$$;

ALTER TABLE udm.api_key DROP CONSTRAINT api_key_ccid_fkey,
    ADD CONSTRAINT api_key_ccid_fkey FOREIGN KEY (ccid) REFERENCES udm.tenant (ccid) ON UPDATE CASCADE;
ALTER TABLE udm.certificate DROP CONSTRAINT certificate_ccid_fkey,
    ADD CONSTRAINT certificate_ccid_fkey FOREIGN KEY (ccid) REFERENCES udm.tenant (ccid) ON UPDATE CASCADE;
ALTER TABLE udm.job DROP CONSTRAINT job_ccid_fkey,
    ADD CONSTRAINT job_ccid_fkey FOREIGN KEY (ccid) REFERENCES udm.tenant (ccid) ON UPDATE CASCADE;
ALTER TABLE udm.run DROP CONSTRAINT run_ccid_fkey,
    ADD CONSTRAINT run_ccid_fkey FOREIGN KEY (ccid) REFERENCES udm.tenant (ccid) ON UPDATE CASCADE;
ALTER TABLE udm.file DROP CONSTRAINT file_ccid_fkey,
    ADD CONSTRAINT file_ccid_fkey FOREIGN KEY (ccid) REFERENCES udm.tenant (ccid) ON UPDATE CASCADE;
ALTER TABLE udm.idempotency DROP CONSTRAINT idempotency_ccid_fkey,
    ADD CONSTRAINT idempotency_ccid_fkey FOREIGN KEY (ccid) REFERENCES udm.tenant (ccid) ON UPDATE CASCADE;

-- No job or run is written while names change. Others lock jobs and runs in more than one order, so
-- each try is given up before anybody would call it a deadlock.
CREATE FUNCTION udm.begin_rename() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was text := current_setting('lock_timeout');
BEGIN
    FOR i IN 1 .. 60 LOOP
        BEGIN
            PERFORM set_config('lock_timeout', '500ms', true);
            LOCK TABLE udm.run, udm.job IN EXCLUSIVE MODE;
            PERFORM set_config('lock_timeout', was, true), set_config('udm.renames', 'on', true);
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.05);
        END;
    END LOOP;
    RAISE EXCEPTION 'jobs and runs are being written all the time: try again'
        USING ERRCODE = 'lock_not_available';
END
$$;

-- Carries along all that names a source (with p_type NULL) or one type of it. A run that goes on
-- begins again, so that no export has both names.
CREATE FUNCTION udm.carry_names(p_source text, p_type text, new_source text, new_type text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE udm.run r
       SET status = CASE r.status WHEN 'IN_PROGRESS' THEN 'QUEUED' ELSE r.status END,
           worker_id = CASE r.status WHEN 'IN_PROGRESS' THEN NULL ELSE r.worker_id END,
           attempt = CASE r.status WHEN 'IN_PROGRESS' THEN greatest(r.attempt - 1, 0) ELSE r.attempt END,
           source = $3, type = coalesce($4, r.type)
     WHERE r.source = $1 AND (r.type = $2 OR $2 IS NULL);
    UPDATE udm.job j
       SET status = CASE j.status WHEN 'IN_PROGRESS' THEN 'QUEUED' ELSE j.status END,
           source = $3, type = coalesce($4, j.type)
     WHERE j.source = $1 AND (j.type = $2 OR $2 IS NULL);
    UPDATE udm.file f SET source = $3, type = coalesce($4, f.type)
     WHERE f.source = $1 AND (f.type = $2 OR $2 IS NULL);
    UPDATE udm.idempotency i SET source = $3, type = coalesce($4, i.type)
     WHERE i.source = $1 AND (i.type = $2 OR $2 IS NULL);
    UPDATE udm.run_count c SET source = $3, type = coalesce($4, c.type)
     WHERE c.source = $1 AND (c.type = $2 OR $2 IS NULL);
    UPDATE udm.gone_type g SET source = $3, type = coalesce($4, g.type)
     WHERE g.source = $1 AND (g.type = $2 OR $2 IS NULL);
    -- A grant that names the type and no source is for other sources, too: it stays, and one is added.
    INSERT INTO udm.role_grant (role, family, source, type)
    SELECT DISTINCT g.role, g.family, $3, coalesce($4, g.type) FROM udm.role_grant g
     WHERE CASE WHEN $2 IS NULL THEN g.source = $1
                ELSE g.type = $2 AND (g.source = $1
                     OR (g.source IS NULL AND (g.family IS NULL OR g.family =
                         (SELECT s.family FROM udm.source s WHERE s.name = $3)))) END
       AND NOT EXISTS (SELECT FROM udm.role_grant o
                        WHERE (o.role, o.source, o.type) IS NOT DISTINCT FROM (g.role, $3, coalesce($4, g.type))
                          AND o.family IS NOT DISTINCT FROM g.family);
    DELETE FROM udm.role_grant g WHERE g.source = $1 AND (g.type = $2 OR $2 IS NULL);
END
$$;

CREATE FUNCTION udm.check_new_name(name text, is_taken boolean, has_left boolean) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce($1, '') = '' OR length($1) > 255 THEN
        RAISE EXCEPTION 'a name has 1 to 255 characters' USING ERRCODE = 'invalid_parameter_value';
    ELSIF $2 THEN
        RAISE EXCEPTION 'there is a "%" already', $1 USING ERRCODE = 'unique_violation';
    ELSIF $3 THEN
        RAISE EXCEPTION 'there are jobs, history or files of an earlier "%"', $1
            USING ERRCODE = 'unique_violation', HINT = 'Take another name, or they would become one.';
    END IF;
END
$$;

CREATE FUNCTION udm.rename_type(source text, name text, new_name text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM udm.data_type d WHERE d.source = $1 AND d.name = $2;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no data type %/%', $1, $2
            USING HINT = (SELECT 'There are: ' || coalesce(string_agg(d.source || '/' || d.name, ', ' ORDER BY d.source, d.name), 'none')
                            FROM udm.data_type d);
    END IF;
    PERFORM udm.check_new_name($3, EXISTS (SELECT FROM udm.data_type d WHERE d.source = $1 AND d.name = $3),
                               EXISTS (SELECT FROM udm.gone_type g WHERE g.source = $1 AND g.type = $3));
    PERFORM udm.begin_rename();
    UPDATE udm.data_type d SET name = $3, label = CASE WHEN d.label = $2 THEN $3 ELSE d.label END
     WHERE d.source = $1 AND d.name = $2;
    PERFORM udm.carry_names($1, $2, $1, $3);
    INSERT INTO udm.audit (subject, action, object, detail)
    VALUES (session_user, 'catalog.type-renamed', $1 || '/' || $3, jsonb_build_object('old', $1 || '/' || $2));
    PERFORM set_config('udm.renames', 'off', true);
    RETURN $1 || '/' || $3;
END
$$;
COMMENT ON FUNCTION udm.rename_type(text, text, text) IS
    'Renames a data type, and with it jobs, history, files and grants. Runs that go on begin again.';

CREATE FUNCTION udm.rename_source(name text, new_name text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM udm.source s WHERE s.name = $1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no source "%"', $1
            USING HINT = (SELECT 'There are: ' || coalesce(string_agg(s.name, ', ' ORDER BY s.name), 'none') FROM udm.source s);
    END IF;
    -- Whoever sends another source's alias means that one.
    PERFORM udm.check_new_name($2, EXISTS (SELECT FROM udm.source s WHERE s.name = $2
                                              OR (s.alias = $2 AND s.name <> $1)),
                               EXISTS (SELECT FROM udm.gone_type g WHERE g.source = $2));
    PERFORM udm.begin_rename();
    -- Whoever sends the old name goes on finding the source, unless it has an alias that is used.
    UPDATE udm.source s
       SET name = $2, label = CASE WHEN s.label = $1 THEN $2 ELSE s.label END,
           alias = CASE WHEN s.alias = $2 THEN $1
                        WHEN s.alias IS NULL AND NOT EXISTS (SELECT FROM udm.source o WHERE o.alias = $1) THEN $1
                        ELSE s.alias END
     WHERE s.name = $1;
    PERFORM udm.carry_names($1, NULL, $2, NULL);
    INSERT INTO udm.audit (subject, action, object, detail)
    VALUES (session_user, 'catalog.source-renamed', $2, jsonb_build_object('old', $1));
    PERFORM set_config('udm.renames', 'off', true);
    RETURN $2;
END
$$;
COMMENT ON FUNCTION udm.rename_source(text, text) IS
    'Renames a source, and with it jobs, history, files and grants; the old name becomes its alias if '
    'it has none. Runs that go on begin again.';

-- The rows of the contact centre in what is exported are not ours: they must say the new id, too.
CREATE FUNCTION udm.rename_tenant(ccid text, new_ccid text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ending timestamptz;
BEGIN
    SELECT t.ending_since INTO ending FROM udm.tenant t WHERE t.ccid = $1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no contact centre "%"', $1;
    ELSIF ending IS NOT NULL THEN
        RAISE EXCEPTION 'contact centre "%" is being removed', $1;
    END IF;
    PERFORM udm.check_new_name($2, EXISTS (SELECT FROM udm.tenant t WHERE t.ccid = $2), false);
    PERFORM udm.begin_rename();
    UPDATE udm.run r SET status = 'QUEUED', worker_id = NULL, attempt = greatest(r.attempt - 1, 0)
     WHERE r.ccid = $1 AND r.status = 'IN_PROGRESS';
    UPDATE udm.job j SET status = 'QUEUED' WHERE j.ccid = $1 AND j.status = 'IN_PROGRESS';
    UPDATE udm.tenant t SET ccid = $2, name = CASE WHEN t.name = $1 THEN $2 ELSE t.name END WHERE t.ccid = $1;
    UPDATE udm.run_count c SET ccid = $2 WHERE c.ccid = $1;
    UPDATE udm.data_type d SET tenants = array_replace(d.tenants, $1, $2) WHERE $1 = ANY (d.tenants);
    UPDATE udm.gone_type g SET tenants = array_replace(g.tenants, $1, $2) WHERE $1 = ANY (g.tenants);
    INSERT INTO udm.audit (ccid, subject, action, object, detail)
    VALUES ($1, session_user, 'tenant.rename', $2, jsonb_build_object('old', $1, 'new', $2)),
           ($2, session_user, 'tenant.rename', $2, jsonb_build_object('old', $1, 'new', $2));
    PERFORM set_config('udm.renames', 'off', true);
    RETURN $2;
END
$$;
COMMENT ON FUNCTION udm.rename_tenant(text, text) IS
    'Changes the id of a contact centre, and with it keys, certificate, jobs, history and files; the '
    'audit keeps the old one. The rows to export and the tokens must say the new id from then on.';

-- ---- removing ----

CREATE FUNCTION udm.counted(n bigint, one text, many text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN $1 = 1 THEN '1 ' || $2 WHEN $1 > 1 THEN $1 || ' ' || $3 END
$$;

-- What goes on of a source, a type or a contact centre (NULL: any), in words; NULL: nothing.
CREATE FUNCTION udm.goes_on(p_source text, p_type text, p_ccid text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH jobs AS (
        SELECT j.id FROM udm.job j
         WHERE (j.source = $1 OR $1 IS NULL) AND (j.type = $2 OR $2 IS NULL) AND (j.ccid = $3 OR $3 IS NULL)
           AND (j.next_run_at IS NOT NULL OR j.status IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED'))),
    runs AS (
        SELECT r.id, r.status FROM udm.run r
         WHERE (r.source = $1 OR $1 IS NULL) AND (r.type = $2 OR $2 IS NULL) AND (r.ccid = $3 OR $3 IS NULL)
           AND r.status IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED')),
    files AS (
        SELECT count(*) AS n FROM udm.file f
         WHERE (f.source = $1 OR $1 IS NULL) AND (f.type = $2 OR $2 IS NULL) AND (f.ccid = $3 OR $3 IS NULL)
           AND f.removed_at IS NULL)
    SELECT nullif(concat_ws(', ',
               (SELECT udm.counted(count(*), 'job', 'jobs') || ' (' || (SELECT string_agg(few.id::text, ', ')
                   FROM (SELECT id FROM jobs ORDER BY id LIMIT 5) few) || CASE WHEN count(*) > 5 THEN ', ...'
                   ELSE '' END || ')' FROM jobs),
               (SELECT udm.counted(count(*), 'run in progress', 'runs in progress') FROM runs
                 WHERE status = 'IN_PROGRESS'),
               (SELECT udm.counted(count(*), 'run that waits', 'runs that wait') FROM runs
                 WHERE status <> 'IN_PROGRESS'),
               (SELECT udm.counted(n, 'file', 'files') FROM files)), '')
$$;

-- Ends all of that: jobs and runs are cancelled, files leave the store. History stays.
CREATE FUNCTION udm.end_all(p_source text, p_type text, p_ccid text, reason text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE udm.run r SET status = 'CANCELLED', status_reason = $4, finished_at = now()
     WHERE (r.source = $1 OR $1 IS NULL) AND (r.type = $2 OR $2 IS NULL) AND (r.ccid = $3 OR $3 IS NULL)
       AND r.status IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED');
    WITH ended AS (
        UPDATE udm.job j SET status = 'CANCELLED', status_reason = $4, suspended = false, next_run_at = NULL,
               changed_at = now()
         WHERE (j.source = $1 OR $1 IS NULL) AND (j.type = $2 OR $2 IS NULL) AND (j.ccid = $3 OR $3 IS NULL)
           AND (j.next_run_at IS NOT NULL OR j.status IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED'))
        RETURNING j.id, j.ccid)
    INSERT INTO udm.audit (ccid, subject, action, object, detail)
    SELECT e.ccid, session_user, 'job.cancel', e.id::text, jsonb_build_object('reason', $4) FROM ended e;
    WITH gone AS (
        UPDATE udm.file f SET removed_at = now(), removal = 'deleted'
         WHERE (f.source = $1 OR $1 IS NULL) AND (f.type = $2 OR $2 IS NULL) AND (f.ccid = $3 OR $3 IS NULL)
           AND f.removed_at IS NULL RETURNING f.ccid, f.name)
    INSERT INTO udm.audit (ccid, subject, action, object, detail)
    SELECT g.ccid, session_user, 'file.delete', g.name, jsonb_build_object('reason', $4) FROM gone g
$$;

CREATE FUNCTION udm.remove_type(source text, name text, cascade boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    going text;
BEGIN
    PERFORM FROM udm.data_type d WHERE d.source = $1 AND d.name = $2 FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no data type %/%', $1, $2
            USING HINT = (SELECT 'There are: ' || coalesce(string_agg(d.source || '/' || d.name, ', ' ORDER BY d.source, d.name), 'none')
                            FROM udm.data_type d);
    END IF;
    going := udm.goes_on($1, $2, NULL);
    IF going IS NOT NULL AND NOT coalesce($3, false) THEN
        RAISE EXCEPTION 'data type %/% is in use: %', $1, $2, going
            USING ERRCODE = 'dependent_objects_still_exist',
                  HINT = 'With cascade => true its jobs are cancelled and its files removed; history stays.';
    END IF;
    PERFORM udm.end_all($1, $2, NULL, format('type "%s" of source "%s" was removed', $2, $1));
    DELETE FROM udm.data_type d WHERE d.source = $1 AND d.name = $2;
    RETURN $1 || '/' || $2;
END
$$;
COMMENT ON FUNCTION udm.remove_type(text, text, boolean) IS
    'Removes a data type that nothing goes on with; with cascade its jobs are cancelled and its files '
    'removed. History and audit stay, for those who could see them.';

CREATE FUNCTION udm.remove_source(name text, cascade boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    types text;
    one   text;
BEGIN
    PERFORM FROM udm.source s WHERE s.name = $1 FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no source "%"', $1
            USING HINT = (SELECT 'There are: ' || coalesce(string_agg(s.name, ', ' ORDER BY s.name), 'none') FROM udm.source s);
    END IF;
    SELECT string_agg(d.name || coalesce(' (' || udm.goes_on($1, d.name, NULL) || ')', ''), '; ' ORDER BY d.name)
      INTO types FROM udm.data_type d WHERE d.source = $1;
    IF types IS NOT NULL AND NOT coalesce($2, false) THEN
        RAISE EXCEPTION 'source "%" has data types: %', $1, types
            USING ERRCODE = 'dependent_objects_still_exist',
                  HINT = 'Remove them first, or with cascade => true: jobs are cancelled and files removed; '
                         'history stays.';
    END IF;
    FOR one IN SELECT d.name FROM udm.data_type d WHERE d.source = $1 ORDER BY d.name LOOP
        PERFORM udm.remove_type($1, one, true);
    END LOOP;
    DELETE FROM udm.source s WHERE s.name = $1;
    INSERT INTO udm.audit (subject, action, object) VALUES (session_user, 'catalog.source-removed', $1);
    RETURN $1;
END
$$;
COMMENT ON FUNCTION udm.remove_source(text, boolean) IS
    'Removes a source without data types; with cascade the types, too, as udm.remove_type does.';

-- Jobs of a type that need something of it: they wait for their owners, or the removal is refused.
CREATE FUNCTION udm.hold_jobs(jobs bigint[], what text, reason text, cascade boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF cardinality($1) = 0 OR $1 IS NULL THEN
        RETURN;
    END IF;
    IF NOT coalesce($4, false) THEN
        RAISE EXCEPTION '% is in use: % (%)', $2, udm.counted(cardinality($1), 'job', 'jobs'),
            array_to_string($1[1:5], ', ') || CASE WHEN cardinality($1) > 5 THEN ', ...' ELSE '' END
            USING ERRCODE = 'dependent_objects_still_exist',
                  HINT = 'With cascade => true these jobs are suspended, with the reason.';
    END IF;
    UPDATE udm.run r SET status = 'SUSPENDED', status_reason = $3
     WHERE r.job_id = ANY ($1) AND r.status IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED');
    UPDATE udm.job j SET suspended = true, status = 'SUSPENDED', status_reason = $3 WHERE j.id = ANY ($1);
    INSERT INTO udm.audit (ccid, subject, action, object, detail)
    SELECT j.ccid, session_user, 'job.suspend', j.id::text, jsonb_build_object('reason', $3)
      FROM udm.job j WHERE j.id = ANY ($1);
END
$$;

CREATE FUNCTION udm.remove_attribute(source text, type text, name text, cascade boolean DEFAULT false)
RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM udm.attribute a WHERE a.source = $1 AND a.type = $2 AND a.name = $3 FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no attribute "%" of %/%', $3, $1, $2
            USING HINT = (SELECT 'There are: ' || coalesce(string_agg(a.name, ', ' ORDER BY a.name), 'none')
                            FROM udm.attribute a WHERE a.source = $1 AND a.type = $2);
    END IF;
    PERFORM udm.hold_jobs(
        ARRAY(SELECT j.id FROM udm.job j WHERE j.source = $1 AND j.type = $2
                 AND j.filters @> jsonb_build_array(jsonb_build_object('attribute', $3))
                 AND (j.next_run_at IS NOT NULL OR j.status IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED'))
               ORDER BY j.id),
        format('attribute "%s" of %s/%s', $3, $1, $2),
        format('attribute "%s", which a filter of this job names, is not registered any more', $3), $4);
    DELETE FROM udm.attribute a WHERE a.source = $1 AND a.type = $2 AND a.name = $3;
    INSERT INTO udm.audit (subject, action, object)
    VALUES (session_user, 'catalog.attribute-removed', $1 || '/' || $2 || '/' || $3);
    RETURN $3;
END
$$;

CREATE FUNCTION udm.remove_media(source text, type text, name text, cascade boolean DEFAULT false)
RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM udm.media m WHERE m.source = $1 AND m.type = $2 AND m.name = $3 FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no medium "%" of %/%', $3, $1, $2
            USING HINT = (SELECT 'There are: ' || coalesce(string_agg(m.name, ', ' ORDER BY m.name), 'none')
                            FROM udm.media m WHERE m.source = $1 AND m.type = $2);
    END IF;
    PERFORM udm.hold_jobs(
        ARRAY(SELECT j.id FROM udm.job j WHERE j.source = $1 AND j.type = $2 AND $3 = ANY (j.media)
                 AND (j.next_run_at IS NOT NULL OR j.status IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED'))
               ORDER BY j.id),
        format('medium "%s" of %s/%s', $3, $1, $2),
        format('medium "%s", which this job names, is not registered any more', $3), $4);
    DELETE FROM udm.media m WHERE m.source = $1 AND m.type = $2 AND m.name = $3;
    INSERT INTO udm.audit (subject, action, object)
    VALUES (session_user, 'catalog.media-removed', $1 || '/' || $2 || '/' || $3);
    RETURN $3;
END
$$;

-- Rows of the entity type are exported on, under their value: no job names a sub-type.
CREATE FUNCTION udm.remove_sub_type(source text, type text, name text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM udm.sub_type v WHERE v.source = $1 AND v.type = $2 AND v.name = $3;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no sub-type "%" of %/%', $3, $1, $2
            USING HINT = (SELECT 'There are: ' || coalesce(string_agg(v.name, ', ' ORDER BY v.name), 'none')
                            FROM udm.sub_type v WHERE v.source = $1 AND v.type = $2);
    END IF;
    INSERT INTO udm.audit (subject, action, object)
    VALUES (session_user, 'catalog.sub-type-removed', $1 || '/' || $2 || '/' || $3);
    RETURN $3;
END
$$;

CREATE FUNCTION udm.remove_attachments(source text, type text, cascade boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM udm.data_type d
      WHERE d.source = $1 AND d.name = $2 AND d.attachment_relation IS NOT NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there are no attachments of %/%', $1, $2;
    END IF;
    PERFORM udm.hold_jobs(
        ARRAY(SELECT j.id FROM udm.job j WHERE j.source = $1 AND j.type = $2 AND j.export_attachments
                 AND (j.next_run_at IS NOT NULL OR j.status IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED'))
               ORDER BY j.id),
        format('the registration of attachments of %s/%s', $1, $2),
        'attachments, which this job asks for, are not registered any more', $3);
    UPDATE udm.data_type d
       SET attachment_schema = NULL, attachment_relation = NULL, attachment_tenant_column = NULL,
           attachment_id_column = NULL, attachment_entity_column = NULL, attachment_name_column = NULL,
           attachment_mime_column = NULL, attachment_content_column = NULL
     WHERE d.source = $1 AND d.name = $2;
    INSERT INTO udm.audit (subject, action, object)
    VALUES (session_user, 'catalog.attachments-removed', $1 || '/' || $2);
    RETURN $1 || '/' || $2;
END
$$;

-- A key that is good is revoked first; its id stays in the audit.
CREATE FUNCTION udm.remove_api_key(key text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id  text := CASE WHEN $1 LIKE 'udm\_%' THEN split_part($1, '_', 2) ELSE $1 END;
    was udm.api_key;
BEGIN
    SELECT * INTO was FROM udm.api_key k WHERE k.key_id = id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF was.revoked_at IS NULL AND coalesce(was.expires_at > now(), true) THEN
        RAISE EXCEPTION 'API key % ("%") of contact centre "%" is good', id, was.label, was.ccid
            USING ERRCODE = 'dependent_objects_still_exist',
                  HINT = 'Revoke it first: SELECT udm.revoke_api_key(''...'').';
    END IF;
    DELETE FROM udm.api_key k WHERE k.key_id = id;
    INSERT INTO udm.audit (ccid, subject, key_id, action, object)
    VALUES (was.ccid, session_user, id, 'api-key.remove', was.label);
    RETURN true;
END
$$;

-- Keys name roles; which tokens do, nobody here knows.
CREATE FUNCTION udm.remove_role(name text, cascade boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    keys text;
BEGIN
    PERFORM FROM udm.role r WHERE r.name = $1 FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no role "%"', $1;
    END IF;
    SELECT string_agg(k.key_id || ' ("' || k.label || '")', ', ' ORDER BY k.key_id) INTO keys
      FROM udm.api_key k
     WHERE $1 = ANY (k.roles) AND k.revoked_at IS NULL AND coalesce(k.expires_at > now(), true);
    IF keys IS NOT NULL AND NOT coalesce($2, false) THEN
        RAISE EXCEPTION 'role "%" is in use by the API keys: %', $1, keys
            USING ERRCODE = 'dependent_objects_still_exist',
                  HINT = 'With cascade => true they lose the role.';
    END IF;
    UPDATE udm.api_key k SET roles = array_remove(k.roles, $1) WHERE $1 = ANY (k.roles);
    DELETE FROM udm.role r WHERE r.name = $1;
    INSERT INTO udm.audit (subject, action, object, detail)
    VALUES (session_user, 'role.remove', $1, jsonb_build_object('keys', keys));
    RETURN $1;
END
$$;

-- ---- contact centres that leave ----

ALTER TABLE udm.tenant ADD COLUMN ending_since timestamptz;
COMMENT ON COLUMN udm.tenant.ending_since IS
    'Since when the contact centre is being removed: no credential of it is good, nothing of it runs, '
    'and the workers take its files out of the store, then its rows, and last the row of it.';

CREATE FUNCTION udm.key_of_who_stays() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM udm.tenant t WHERE t.ccid = NEW.ccid AND t.ending_since IS NOT NULL) THEN
        RAISE EXCEPTION 'contact centre "%" is being removed', NEW.ccid;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER key_of_who_stays BEFORE INSERT OR UPDATE OF revoked_at, ccid ON udm.api_key FOR EACH ROW
    WHEN (NEW.revoked_at IS NULL) EXECUTE FUNCTION udm.key_of_who_stays();

-- One step towards the end of a contact centre, of at most so many rows; true: there is more to do
-- now, false: nothing, or files and exports are still to be waited for. Whatever ends a step, the
-- next one goes on.
CREATE FUNCTION udm.end_tenant_step(ccid text, batch integer) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    -- What a request that was under way has made meanwhile.
    IF EXISTS (SELECT FROM udm.run r WHERE r.ccid = $1 AND r.status IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED'))
       OR EXISTS (SELECT FROM udm.job j WHERE j.ccid = $1
                     AND (j.next_run_at IS NOT NULL OR j.status IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED')))
       OR EXISTS (SELECT FROM udm.file f WHERE f.ccid = $1 AND f.removed_at IS NULL) THEN
        PERFORM udm.end_all(NULL, NULL, $1, 'the contact center is being removed');
    END IF;
    DELETE FROM udm.file f WHERE f.id IN (
        SELECT x.id FROM udm.file x WHERE x.ccid = $1 AND x.purged_at IS NOT NULL LIMIT $2);
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n > 0 THEN
        RETURN true;
    END IF;
    IF EXISTS (SELECT FROM udm.file f WHERE f.ccid = $1)
       OR EXISTS (SELECT FROM udm.run r JOIN udm.run_progress p ON p.run_id = r.id
                   WHERE r.ccid = $1 AND p.lease_until > now()) THEN
        RETURN false;
    END IF;
    DELETE FROM udm.run r WHERE r.id IN (SELECT x.id FROM udm.run x WHERE x.ccid = $1 LIMIT $2);
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n > 0 THEN
        RETURN true;
    END IF;
    DELETE FROM udm.job j WHERE j.id IN (SELECT x.id FROM udm.job x WHERE x.ccid = $1 LIMIT $2);
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n > 0 THEN
        RETURN true;
    END IF;
    -- Whoever still writes something of it holds on to its row: nothing does after this, and what was
    -- written has to go first.
    PERFORM FROM udm.tenant t WHERE t.ccid = $1 FOR UPDATE;
    IF EXISTS (SELECT FROM udm.job j WHERE j.ccid = $1) OR EXISTS (SELECT FROM udm.run r WHERE r.ccid = $1)
       OR EXISTS (SELECT FROM udm.file f WHERE f.ccid = $1) THEN
        RETURN true;
    END IF;
    DELETE FROM udm.idempotency i WHERE i.ccid = $1;
    DELETE FROM udm.api_key k WHERE k.ccid = $1;
    DELETE FROM udm.certificate c WHERE c.ccid = $1;
    UPDATE udm.data_type d SET tenants = array_remove(d.tenants, $1) WHERE $1 = ANY (d.tenants);
    UPDATE udm.gone_type g SET tenants = array_remove(g.tenants, $1) WHERE $1 = ANY (g.tenants);
    DELETE FROM udm.gone_type g WHERE g.tenants = '{}';
    DELETE FROM udm.run_count c WHERE c.ccid = $1;
    DELETE FROM udm.tenant t WHERE t.ccid = $1;
    INSERT INTO udm.audit (ccid, subject, action, object) VALUES ($1, session_user, 'tenant.removed', $1);
    RETURN false;
END
$$;

CREATE FUNCTION udm.remove_tenant(ccid text, cascade boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t     udm.tenant;
    going text;
BEGIN
    SELECT * INTO t FROM udm.tenant x WHERE x.ccid = $1 FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no contact centre "%"', $1;
    END IF;
    going := nullif(concat_ws(', ', udm.goes_on(NULL, NULL, $1),
        (SELECT udm.counted(count(*), 'job that is over', 'jobs that are over') FROM udm.job j
          WHERE j.ccid = $1 AND j.next_run_at IS NULL AND j.status IN ('COMPLETED', 'FAILED', 'CANCELLED')),
        (SELECT udm.counted(coalesce(sum(c.rows), 0)::bigint, 'history record', 'history records')
           FROM udm.run_count c WHERE c.ccid = $1),
        (SELECT udm.counted(count(*), 'API key', 'API keys') FROM udm.api_key k
          WHERE k.ccid = $1 AND k.revoked_at IS NULL AND coalesce(k.expires_at > now(), true)),
        (SELECT 'the relation of ' || string_agg(d.source || '/' || d.name, ', ' ORDER BY d.source, d.name)
           FROM udm.data_type d WHERE d.tenants = ARRAY[$1])), '');
    IF going IS NOT NULL AND t.ending_since IS NULL AND NOT coalesce($2, false) THEN
        RAISE EXCEPTION 'contact centre "%" is in use: %', $1, going
            USING ERRCODE = 'dependent_objects_still_exist',
                  HINT = 'With cascade => true all that is its own ends: keys, jobs, files and history; '
                         'the audit stays.';
    END IF;
    IF t.ending_since IS NULL THEN
        UPDATE udm.tenant x SET ending_since = now() WHERE x.ccid = $1;
        UPDATE udm.api_key k SET revoked_at = now() WHERE k.ccid = $1 AND k.revoked_at IS NULL;
        INSERT INTO udm.audit (ccid, subject, action, object, detail)
        VALUES ($1, session_user, 'tenant.remove', $1, jsonb_build_object('had', going));
    END IF;
    PERFORM udm.end_all(NULL, NULL, $1, 'the contact center is being removed');
    -- A long history is left to the workers, so that no transaction lasts.
    FOR i IN 1 .. 10 LOOP
        EXIT WHEN NOT udm.end_tenant_step($1, 10000);
    END LOOP;
    IF NOT EXISTS (SELECT FROM udm.tenant x WHERE x.ccid = $1) THEN
        RETURN 'removed';
    END IF;
    RETURN 'ending: the workers go on' || coalesce(' when ' || nullif(concat_ws(' and ',
        (SELECT udm.counted(count(*), 'file is', 'files are') || ' out of the store' FROM udm.file f
          WHERE f.ccid = $1 AND f.purged_at IS NULL HAVING count(*) > 0),
        (SELECT udm.counted(count(*), 'export has', 'exports have') || ' stopped' FROM udm.run r
           JOIN udm.run_progress p ON p.run_id = r.id WHERE r.ccid = $1 AND p.lease_until > now()
         HAVING count(*) > 0)), ''), '');
END
$$;
COMMENT ON FUNCTION udm.remove_tenant(text, boolean) IS
    'Removes a contact centre and all that is its own, but the audit. Files leave the store first, so '
    'the workers do the rest; what is left to do it says, also when it is called again.';

-- What the workers do of it.
CREATE FUNCTION udm.end_tenants(batch integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    one  text;
    more boolean := false;
BEGIN
    IF NOT EXISTS (SELECT FROM udm.tenant t WHERE t.ending_since IS NOT NULL)
       OR NOT pg_try_advisory_xact_lock(hashtextextended('udm.end_tenants', 0)) THEN
        RETURN false;
    END IF;
    FOR one IN SELECT t.ccid FROM udm.tenant t WHERE t.ending_since IS NOT NULL ORDER BY t.ccid
                  FOR NO KEY UPDATE SKIP LOCKED LOOP
        more := udm.end_tenant_step(one, $1) OR more;
    END LOOP;
    RETURN more;
END
$$;

-- ---- growth ----
--
-- Each of these looks at the next `batch` rows behind `after`, oldest first, and deletes those of them
-- that are over for `days`; `last` is where the next call goes on, NULL when all that it saw was younger.
-- Rows come in the order of their age, so none needs an index on it. One worker does so at a time.

CREATE FUNCTION udm.may_purge(days integer, fewest integer, what text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF $1 IS NULL OR $1 < $2 THEN
        RAISE EXCEPTION '% is kept for % days at least', $3, $2 USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN pg_try_advisory_xact_lock(hashtextextended('udm.purge', 0));
END
$$;

-- Records of runs, and with the last one of a job that is over the job. A record stays as long as a
-- file of it is in the store, or a job shows it that may run again.
CREATE FUNCTION udm.purge_runs(days integer, after bigint, batch integer, OUT last bigint, OUT gone bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before  timestamptz := now() - make_interval(days => $1);
    seen    integer;
    oldest  timestamptz;
    runs    bigint[];
    jobs    bigint[];
    ended   bigint := 0;
BEGIN
    gone := 0;
    IF NOT udm.may_purge($1, 1, 'the history') THEN
        RETURN;
    END IF;
    WITH look AS MATERIALIZED (
        SELECT r.id, r.job_id, r.created_at, r.finished_at, r.status FROM udm.run r
         WHERE r.id > $2 ORDER BY r.id LIMIT $3)
    SELECT max(l.id), count(*), min(l.created_at),
           array_agg(l.id) FILTER (WHERE l.is_over), array_agg(DISTINCT l.job_id) FILTER (WHERE l.is_over)
      INTO last, seen, oldest, runs, jobs
      FROM (SELECT x.*, x.status IN ('COMPLETED', 'FAILED', 'CANCELLED')
                        AND coalesce(x.finished_at, x.created_at) < before
                        AND NOT EXISTS (SELECT FROM udm.file f WHERE f.run_id = x.id AND f.purged_at IS NULL)
                        AND NOT EXISTS (SELECT FROM udm.job j WHERE j.id = x.job_id
                                           AND j.latest_run_id = x.id AND j.next_run_at IS NOT NULL) AS is_over
              FROM look x) l;
    IF seen < $3 OR oldest >= before THEN
        last := NULL;
    END IF;
    IF runs IS NULL THEN
        RETURN;
    END IF;
    WITH free AS (SELECT x.id FROM udm.run x WHERE x.id = ANY (runs) FOR UPDATE SKIP LOCKED)
    DELETE FROM udm.run r USING free WHERE r.id = free.id;
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM udm.job j WHERE j.id = ANY (jobs) AND j.next_run_at IS NULL AND j.changed_at < before
       AND NOT EXISTS (SELECT FROM udm.run r WHERE r.job_id = j.id);
    GET DIAGNOSTICS ended = ROW_COUNT;
    INSERT INTO udm.audit (subject, action, detail)
    VALUES (session_user, 'history.purge', jsonb_build_object('days', $1, 'runs', gone, 'jobs', ended));
END
$$;

-- Jobs that are over and have no record any more, or never had one.
CREATE FUNCTION udm.purge_jobs(days integer, after bigint, batch integer, OUT last bigint, OUT gone bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before  timestamptz := now() - make_interval(days => $1);
    seen    integer;
    oldest  timestamptz;
    jobs    bigint[];
BEGIN
    gone := 0;
    IF NOT udm.may_purge($1, 1, 'the history') THEN
        RETURN;
    END IF;
    WITH look AS MATERIALIZED (
        SELECT j.id, j.created_at, j.changed_at, j.next_run_at FROM udm.job j
         WHERE j.id > $2 ORDER BY j.id LIMIT $3)
    SELECT max(l.id), count(*), min(l.created_at),
           array_agg(l.id) FILTER (WHERE l.next_run_at IS NULL AND greatest(l.changed_at, l.created_at) < before
                                     AND NOT EXISTS (SELECT FROM udm.run r WHERE r.job_id = l.id))
      INTO last, seen, oldest, jobs FROM look l;
    IF seen < $3 OR oldest >= before THEN
        last := NULL;
    END IF;
    IF jobs IS NULL THEN
        RETURN;
    END IF;
    DELETE FROM udm.job j WHERE j.id = ANY (jobs) AND j.next_run_at IS NULL
       AND NOT EXISTS (SELECT FROM udm.run r WHERE r.job_id = j.id);
    GET DIAGNOSTICS gone = ROW_COUNT;
    INSERT INTO udm.audit (subject, action, detail)
    VALUES (session_user, 'history.purge', jsonb_build_object('days', $1, 'runs', 0, 'jobs', gone));
END
$$;

-- Tombstones of files: their names are unknown from then on, a 404 in place of the 410.
CREATE FUNCTION udm.purge_files(days integer, after bigint, batch integer, OUT last bigint, OUT gone bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before  timestamptz := now() - make_interval(days => $1);
    seen    integer;
    oldest  timestamptz;
    files   bigint[];
BEGIN
    gone := 0;
    IF NOT udm.may_purge($1, 1, 'what is known of a removed file') THEN
        RETURN;
    END IF;
    WITH look AS MATERIALIZED (
        SELECT f.id, f.created_at, f.purged_at FROM udm.file f WHERE f.id > $2 ORDER BY f.id LIMIT $3)
    SELECT max(l.id), count(*), min(l.created_at), array_agg(l.id) FILTER (WHERE l.purged_at < before)
      INTO last, seen, oldest, files FROM look l;
    IF seen < $3 OR oldest >= before THEN
        last := NULL;
    END IF;
    DELETE FROM udm.file f WHERE f.id = ANY (files);
    GET DIAGNOSTICS gone = ROW_COUNT;
END
$$;

-- The one way past the trigger of udm.audit: what is older than the time given, oldest first, and
-- never what is younger than 30 days. It says in the audit what it took.
CREATE FUNCTION udm.purge_audit(days integer, after bigint, batch integer, OUT last bigint, OUT gone bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before  timestamptz := now() - make_interval(days => $1);
    seen    integer;
    oldest  timestamptz;
    highest bigint;
BEGIN
    gone := 0;
    IF NOT udm.may_purge($1, 30, 'the audit') THEN
        RETURN;
    END IF;
    WITH look AS MATERIALIZED (
        SELECT a.id, a.at FROM udm.audit a WHERE a.id > $2 ORDER BY a.id LIMIT $3)
    SELECT max(l.id), count(*), min(l.at), max(l.id) FILTER (WHERE l.at < before)
      INTO last, seen, oldest, highest FROM look l;
    IF seen < $3 OR oldest >= before THEN
        last := NULL;
    END IF;
    IF highest IS NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('udm.purges_audit', 'on', true);
    DELETE FROM udm.audit a WHERE a.id > $2 AND a.id <= highest AND a.at < before;
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM set_config('udm.purges_audit', 'off', true);
    INSERT INTO udm.audit (subject, action, detail)
    VALUES (session_user, 'audit.purge', jsonb_build_object('days', $1, 'before', before, 'rows', gone));
END
$$;

-- Whoever says that he purges still deletes nothing that is young.
CREATE OR REPLACE FUNCTION udm.audit_is_append_only() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('udm.purges_audit', true) = 'on'
       AND current_user = 'udm_owner' THEN
        IF TG_LEVEL = 'STATEMENT' THEN
            RETURN NULL;
        ELSIF OLD.at < now() - interval '30 days' THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'udm.audit is append-only: % is not allowed', lower(TG_OP)
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'What is old ends by UDMAuditRetention, or udm.purge_audit().';
END
$$;
CREATE TRIGGER audit_is_append_only_but BEFORE DELETE ON udm.audit
    FOR EACH ROW EXECUTE FUNCTION udm.audit_is_append_only();

-- A gone type of which nothing is left.
CREATE FUNCTION udm.forget_gone_types() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM udm.gone_type g
     WHERE coalesce((SELECT sum(c.rows) FROM udm.run_count c
                      WHERE c.source = g.source AND c.type = g.type), 0) <= 0
       AND NOT EXISTS (SELECT FROM udm.job j WHERE j.source = g.source AND j.type = g.type)
       AND NOT EXISTS (SELECT FROM udm.file f WHERE f.source = g.source AND f.type = g.type)
$$;

-- ---- what is gone already ----

INSERT INTO udm.gone_type (source, type, family, tenants)
SELECT x.source, x.type, coalesce((SELECT s.family FROM udm.source s WHERE s.name = x.source), max(x.family)),
       array_agg(DISTINCT x.ccid)
  FROM (SELECT source, type, family, ccid FROM udm.job GROUP BY 1, 2, 3, 4
        UNION ALL SELECT source, type, NULL, ccid FROM udm.run_count GROUP BY 1, 2, 4 HAVING sum(rows) > 0
        UNION ALL SELECT source, type, NULL, ccid FROM udm.file GROUP BY 1, 2, 4) x
 WHERE NOT udm.is_registered(x.source, x.type, x.ccid)
 GROUP BY x.source, x.type;
SELECT udm.suspend_gone(source, type) FROM udm.gone_type;

REVOKE ALL ON FUNCTION udm.is_registered(text, text, text), udm.gone_reason(text, text),
    udm.suspend_gone(text, text), udm.data_type_ends(), udm.data_type_begins(),
    udm.hold_gone(bigint, text, integer, uuid), udm.rights(text[], text), udm.keeps_name(),
    udm.begin_rename(), udm.carry_names(text, text, text, text), udm.check_new_name(text, boolean, boolean),
    udm.rename_type(text, text, text), udm.rename_source(text, text), udm.rename_tenant(text, text),
    udm.counted(bigint, text, text), udm.goes_on(text, text, text), udm.end_all(text, text, text, text),
    udm.remove_type(text, text, boolean), udm.remove_source(text, boolean),
    udm.hold_jobs(bigint[], text, text, boolean), udm.remove_attribute(text, text, text, boolean),
    udm.remove_media(text, text, text, boolean), udm.remove_sub_type(text, text, text),
    udm.remove_attachments(text, text, boolean), udm.remove_api_key(text), udm.remove_role(text, boolean),
    udm.key_of_who_stays(), udm.end_tenant_step(text, integer), udm.remove_tenant(text, boolean), udm.end_tenants(integer),
    udm.may_purge(integer, integer, text), udm.purge_runs(integer, bigint, integer),
    udm.purge_jobs(integer, bigint, integer), udm.purge_files(integer, bigint, integer),
    udm.purge_audit(integer, bigint, integer), udm.forget_gone_types() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION udm.rights(text[], text), udm.is_registered(text, text, text) TO udm_httpd;
GRANT EXECUTE ON FUNCTION udm.is_registered(text, text, text), udm.hold_gone(bigint, text, integer, uuid),
    udm.end_tenants(integer), udm.purge_runs(integer, bigint, integer), udm.purge_jobs(integer, bigint, integer),
    udm.purge_files(integer, bigint, integer), udm.purge_audit(integer, bigint, integer),
    udm.forget_gone_types() TO udm_worker;

RESET ROLE;
