-- Nobody's trouble is another's: leases are renewed without the run's row; a claim waits for nobody, and
-- goes by turns of contact centres; and each of them can have limits.

SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL ROLE udm_owner;

-- ---- leases ----
--
-- A renewal locks the row of udm.run_progress alone and looks there for the id of its attempt. Whoever
-- takes a run over writes a new id, under the same lock and in the transaction that takes the run, and
-- no id is ever used twice: so a lease that was taken over is never renewed by whoever had it before.
-- How a run ends clears the id, so that no renewal comes after the end either.

ALTER TABLE udm.run_progress ADD COLUMN export_id uuid;
COMMENT ON COLUMN udm.run_progress.export_id IS
    'udm.run.export_id of the attempt whose lease this is; NULL once it ended.';
-- What goes on while this migration is applied goes on under its lease.
UPDATE udm.run_progress p SET export_id = r.export_id FROM udm.run r
 WHERE r.id = p.run_id AND r.status = 'IN_PROGRESS';
GRANT UPDATE (export_id) ON udm.run_progress TO udm_worker;

CREATE OR REPLACE FUNCTION udm.hold_gone(run bigint, worker text, attempt integer, export uuid) RETURNS text
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
    UPDATE udm.run_progress p SET lease_until = NULL, export_id = NULL, percent = 0, rows_done = 0
     WHERE p.run_id = r.id;
    UPDATE udm.job j SET suspended = true, status = 'SUSPENDED', status_reason = reason
     WHERE j.id = r.job_id;
    INSERT INTO udm.audit (ccid, subject, action, object, detail)
    VALUES (r.ccid, $2, 'job.suspend', r.job_id::text, jsonb_build_object('reason', reason));
    RETURN 'held';
END
$$;

-- ---- limits ----

CREATE TABLE udm.quota (
    ccid            text PRIMARY KEY REFERENCES udm.tenant (ccid) ON UPDATE CASCADE ON DELETE CASCADE,
    running         integer CHECK (running > 0),
    queued          integer CHECK (queued > 0),
    recurring       integer CHECK (recurring >= 0),
    least_interval  interval CHECK (least_interval > interval '0' AND least_interval <= interval '1 year'),
    bytes_per_day   bigint CHECK (bytes_per_day > 0)
);
COMMENT ON TABLE udm.quota IS 'What a contact centre may have at most; NULL, or no row: no limit. See udm.set_quota.';
COMMENT ON COLUMN udm.quota.running IS 'Exports that run at once, in all workers.';
COMMENT ON COLUMN udm.quota.queued IS 'Runs that wait in the queue.';
COMMENT ON COLUMN udm.quota.recurring IS 'Recurring jobs that are planned and not suspended.';
COMMENT ON COLUMN udm.quota.least_interval IS 'Between two runs of a recurring job.';
COMMENT ON COLUMN udm.quota.bytes_per_day IS
    'Of the files that its exports made in the last 24 hours, whatever became of them: then nothing new begins.';
GRANT SELECT ON udm.quota TO udm_httpd, udm_worker;

-- By its name a deletion is known that needs no word of its own.
CREATE FUNCTION udm.remove_quota(ccid text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM udm.quota q WHERE q.ccid = $1;
END
$$;
REVOKE ALL ON FUNCTION udm.remove_quota(text) FROM PUBLIC;

CREATE FUNCTION udm.set_quota(ccid text, running integer DEFAULT NULL, queued integer DEFAULT NULL,
                              recurring integer DEFAULT NULL, least_interval interval DEFAULT NULL,
                              bytes_per_day bigint DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old    jsonb;
    ending timestamptz;
BEGIN
    SELECT t.ending_since INTO ending FROM udm.tenant t WHERE t.ccid = $1 FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no contact centre "%"', $1
            USING HINT = 'Add it first: SELECT udm.create_tenant(''...'').';
    ELSIF ending IS NOT NULL THEN
        RAISE EXCEPTION 'contact centre "%" is being removed', $1;
    ELSIF least($2, $3, $6) < 1 OR $4 < 0 OR $5 <= interval '0' OR $5 > interval '1 year' THEN
        RAISE EXCEPTION 'a limit is a number from 1 on, or an interval that is longer than none and at most a year'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'NULL is no limit; recurring may be 0.';
    END IF;
    -- Jobs are locked before the limits, as by everybody. What is planned already keeps the distance, too.
    UPDATE udm.job j SET next_run_at = r.scheduled_at + $5,
           status_reason = CASE WHEN j.suspended THEN j.status_reason
                                ELSE 'runs of a recurring job of the contact center are at least ' || $5 || ' apart' END
      FROM udm.run r
     WHERE r.id = j.latest_run_id AND j.ccid = $1 AND j.schedule_type = 'recurring'
       AND j.next_run_at < r.scheduled_at + $5;
    SELECT to_jsonb(q) - 'ccid' INTO old FROM udm.quota q WHERE q.ccid = $1 FOR UPDATE;
    IF num_nonnulls($2, $3, $4, $5, $6) > 0 THEN
        INSERT INTO udm.quota AS q VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT ON CONSTRAINT quota_pkey DO UPDATE
           SET running = excluded.running, queued = excluded.queued, recurring = excluded.recurring,
               least_interval = excluded.least_interval, bytes_per_day = excluded.bytes_per_day;
    ELSE
        PERFORM udm.remove_quota($1);
    END IF;
    UPDATE udm.turn t SET waits_until = NULL WHERE t.ccid = $1 AND t.waits_until IS NOT NULL;
    INSERT INTO udm.audit (ccid, subject, action, object, detail)
    VALUES ($1, session_user, 'tenant.quota', $1, jsonb_build_object('old', old, 'new',
            (SELECT to_jsonb(q) - 'ccid' FROM udm.quota q WHERE q.ccid = $1)));
    PERFORM pg_notify(i.channel, '') FROM udm.installation i;
END
$$;
COMMENT ON FUNCTION udm.set_quota(text, integer, integer, integer, interval, bigint) IS
    'Sets all limits of a contact centre; what is not named, or NULL, has none. What is under way stays.';

-- From when on the files of the last 24 hours are fewer bytes than that; NULL: they are. Reads from the
-- newest on, and no more of them than it takes.
CREATE FUNCTION udm.bytes_free_at(ccid text, most bigint) RETURNS timestamptz
LANGUAGE sql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
    SELECT m.created_at + interval '24 hours'
      FROM (SELECT f.created_at,
                   sum(f.size) OVER (ORDER BY f.created_at DESC, f.id DESC ROWS UNBOUNDED PRECEDING) AS bytes
              FROM udm.file f WHERE f.ccid = $1 AND f.created_at > now() - interval '24 hours') m
     WHERE m.bytes >= $2 LIMIT 1
$$;

-- Which of what is to be is beyond a limit of the contact centre: of each job whether it makes a run now,
-- and whether more runs of it follow (`jobs` has NULL for a new one). Gives the place in the arrays, which
-- limit, its value, and in how many seconds it is worth another try. Until the transaction ends nobody else
-- fills what is left: who does the same waits, and so looks at what has been committed.
CREATE FUNCTION udm.over_quota(ccid text, jobs bigint[], run boolean[], recur boolean[])
RETURNS TABLE (n integer, quota text, most bigint, wait integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    q       udm.quota;
    waiting bigint;
    planned bigint;
    free    timestamptz;
BEGIN
    -- In the order of whoever removes or renames the contact centre.
    PERFORM FROM udm.tenant t WHERE t.ccid = $1 FOR KEY SHARE;
    SELECT x.* INTO q FROM udm.quota x WHERE x.ccid = $1 FOR NO KEY UPDATE;
    -- The order is that of the indexes, which have nothing of what is over.
    SELECT count(*) INTO waiting FROM (
        SELECT FROM udm.run r WHERE r.status = 'QUEUED' AND r.ccid = $1
         ORDER BY r.ready_at, r.id LIMIT coalesce(q.queued, 0)) w;
    SELECT count(*) INTO planned FROM (
        SELECT FROM udm.job j WHERE j.ccid = $1 AND j.schedule_type = 'recurring' AND j.next_run_at IS NOT NULL
           AND NOT j.suspended AND j.id <> ALL (array_remove($2, NULL))
         ORDER BY j.next_run_at, j.id LIMIT coalesce(q.recurring, 0)) p;
    free := CASE WHEN true = ANY ($3) AND q.bytes_per_day IS NOT NULL
                 THEN udm.bytes_free_at($1, q.bytes_per_day) END;
    FOR i IN 1 .. cardinality($2) LOOP
        IF $3[i] AND waiting >= q.queued THEN
            quota := 'queued'; most := q.queued; wait := 60;
        ELSIF $3[i] AND free IS NOT NULL THEN
            quota := 'bytes_per_day'; most := q.bytes_per_day;
            wait := greatest(1, ceil(extract(epoch FROM free - now())));
        ELSIF $4[i] AND planned >= q.recurring
              -- One that is there already is no more than there was.
              AND NOT EXISTS (SELECT FROM udm.job j WHERE j.id = $2[i] AND j.schedule_type = 'recurring'
                                 AND j.next_run_at IS NOT NULL AND NOT j.suspended) THEN
            quota := 'recurring'; most := q.recurring; wait := 3600;
        ELSE
            waiting := waiting + $3[i]::integer;
            planned := planned + $4[i]::integer;
            CONTINUE;
        END IF;
        n := i;
        RETURN NEXT;
    END LOOP;
END
$$;

-- How many more runs of a contact centre may come into the queue, for whoever makes those that are due;
-- NULL: any number. The same lock, but nobody is waited for: what somebody holds has no room for now.
CREATE FUNCTION udm.queue_room(ccid text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    q udm.quota;
BEGIN
    PERFORM FROM udm.tenant t WHERE t.ccid = $1 FOR KEY SHARE SKIP LOCKED;
    IF FOUND THEN
        SELECT x.* INTO q FROM udm.quota x WHERE x.ccid = $1 FOR NO KEY UPDATE SKIP LOCKED;
    END IF;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    RETURN q.queued - (SELECT count(*) FROM (
        SELECT FROM udm.run r WHERE r.status = 'QUEUED' AND r.ccid = $1
         ORDER BY r.ready_at, r.id LIMIT q.queued) w);
END
$$;

-- ---- turns ----

-- When a contact centre was last served. Its row is also what those lock who count what it has running.
CREATE TABLE udm.turn (
    ccid        text PRIMARY KEY REFERENCES udm.tenant (ccid) ON UPDATE CASCADE ON DELETE CASCADE,
    served_at   timestamptz,
    waits_until timestamptz
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
COMMENT ON TABLE udm.turn IS 'When a run of a contact centre was last claimed: whose turn it is.';
COMMENT ON COLUMN udm.turn.waits_until IS
    'From when on its exports are below bytes_per_day again, as a claim found out: none adds that up before.';
INSERT INTO udm.turn (ccid) SELECT ccid FROM udm.tenant;
GRANT SELECT, UPDATE (served_at, waits_until) ON udm.turn TO udm_worker;
GRANT SELECT ON udm.turn TO udm_httpd;
-- Why a job waits, whoever plans its next run says.
GRANT UPDATE (status_reason) ON udm.job TO udm_worker;
GRANT INSERT (status_reason) ON udm.job TO udm_httpd;

CREATE FUNCTION udm.tenant_takes_turns() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO udm.turn (ccid) VALUES (NEW.ccid);
    RETURN NULL;
END
$$;
CREATE TRIGGER tenant_takes_turns AFTER INSERT ON udm.tenant
    FOR EACH ROW EXECUTE FUNCTION udm.tenant_takes_turns();

-- Who waits is found without looking at all that waits, and so is whose jobs are due.
CREATE INDEX run_by_turn ON udm.run (ccid, ready_at, id) WHERE status = 'QUEUED';
CREATE INDEX job_by_turn ON udm.job (ccid, next_run_at, id) WHERE next_run_at IS NOT NULL AND NOT suspended;

-- Locks a job that nobody holds, or that is gone.
CREATE FUNCTION udm.lock_free_job(job bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM udm.job j WHERE j.id = $1 FOR NO KEY UPDATE SKIP LOCKED;
    RETURN FOUND OR NOT EXISTS (SELECT FROM udm.job j WHERE j.id = $1);
END
$$;

-- Locks the first run of a contact centre that is ready, with all that a claim will change; NULL: there
-- is none that nobody holds. However many somebody holds, this does not take long.
CREATE FUNCTION udm.lock_ready_run(ccid text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    at    timestamptz := '-infinity';
    after bigint := 0;
    job   bigint;
BEGIN
    FOR i IN 1 .. 100 LOOP
        SELECT r.ready_at, r.id, r.job_id INTO at, after, job
          FROM udm.run r JOIN udm.run_progress p ON p.run_id = r.id
         WHERE r.status = 'QUEUED' AND r.ccid = $1 AND r.ready_at <= now()
           AND (r.ready_at, r.id) > (at, after)
         ORDER BY r.ready_at, r.id LIMIT 1 FOR NO KEY UPDATE OF r, p SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN NULL;
        ELSIF udm.lock_free_job(job) THEN
            RETURN after;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- Locks a run whose worker was not heard of for too long. Run and progress are both locked, so that the
-- newest version of both is looked at: with the run alone, one that was claimed a moment ago would be
-- judged by its old, empty lease.
CREATE FUNCTION udm.lock_interrupted_run(reserve boolean, OUT id bigint, OUT held boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    next record;
BEGIN
    held := false;
    FOR next IN
        SELECT r.id, r.job_id FROM udm.run r JOIN udm.run_progress p ON p.run_id = r.id
         WHERE r.status = 'IN_PROGRESS' AND (p.lease_until IS NULL OR p.lease_until < now())
           AND NOT ($1 AND EXISTS (
               SELECT FROM udm.run o JOIN udm.run_progress q ON q.run_id = o.id
                WHERE o.status = 'IN_PROGRESS' AND o.ccid = r.ccid AND q.lease_until >= now()))
         ORDER BY r.ready_at, r.id
    LOOP
        SELECT r.id INTO id FROM udm.run r JOIN udm.run_progress p ON p.run_id = r.id
         WHERE r.id = next.id AND r.status = 'IN_PROGRESS'
           AND (p.lease_until IS NULL OR p.lease_until < now())
           FOR NO KEY UPDATE OF r, p SKIP LOCKED;
        IF FOUND AND udm.lock_free_job(next.job_id) THEN
            RETURN;
        END IF;
        held := true;
    END LOOP;
    id := NULL;
END
$$;

-- Contact centres that have a run which is ready, in the order in which it is their turn.
CREATE FUNCTION udm.whose_turn(reserve boolean) RETURNS TABLE (ccid text, may_run integer, may_make bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
BEGIN
    RETURN QUERY
    WITH RECURSIVE waiting AS (
        (SELECT r.ccid, r.ready_at FROM udm.run r WHERE r.status = 'QUEUED'
          ORDER BY r.ccid, r.ready_at, r.id LIMIT 1)
        UNION ALL
        SELECT n.* FROM waiting w, LATERAL (
            SELECT r.ccid, r.ready_at FROM udm.run r WHERE r.status = 'QUEUED' AND r.ccid > w.ccid
             ORDER BY r.ccid, r.ready_at, r.id LIMIT 1) n),
    under_way AS MATERIALIZED (
        SELECT r.ccid, count(*) AS runs FROM udm.run r WHERE r.status = 'IN_PROGRESS' GROUP BY r.ccid)
    SELECT w.ccid, q.running, q.bytes_per_day
      FROM waiting w LEFT JOIN under_way u ON u.ccid = w.ccid LEFT JOIN udm.turn t ON t.ccid = w.ccid
      LEFT JOIN udm.quota q ON q.ccid = w.ccid
     WHERE w.ready_at <= now() AND (q.bytes_per_day IS NULL OR t.waits_until IS NULL OR t.waits_until <= now())
       AND coalesce(u.runs, 0) < CASE WHEN $1 THEN 1 ELSE coalesce(q.running, 2147483647) END
     ORDER BY coalesce(u.runs, 0), t.served_at NULLS FIRST, w.ready_at, w.ccid;
END
$$;

-- Claims a run: one that was interrupted, or the first of the contact centre whose turn it is. That is
-- the one that has the fewest under way; of those, whoever was served longest ago; of those, whose run has
-- waited longest. With `reserve`, one that has nothing under way. Whatever somebody holds is passed over,
-- and `held` tells that there was such a thing. `run` is NULL when there is none.
--
-- A contact centre for which somebody else claims at this moment comes after the others. Where there is
-- a limit, only one claims at a time, so that none is passed.
--
-- The commit is not waited for: a claim that a crash of the server takes back has changed nothing, and
-- whoever made it fails at the fence. Before the source is touched, a renewal makes it last.
CREATE FUNCTION udm.claim_run(worker text, lease interval, reserve boolean, OUT run udm.run,
                              OUT previous uuid, OUT interrupted boolean, OUT encryption text, OUT pem text,
                              OUT held boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    next    record;
    claimed bigint;
    busy    text[] := '{}';
    one     text;
    free    timestamptz;
BEGIN
    SELECT i.id, i.held INTO claimed, held FROM udm.lock_interrupted_run($3) i;
    interrupted := claimed IS NOT NULL;
    IF claimed IS NULL THEN
        FOR next IN SELECT w.ccid, w.may_run, w.may_make FROM udm.whose_turn($3) w LOOP
            PERFORM FROM udm.turn t WHERE t.ccid = next.ccid FOR NO KEY UPDATE SKIP LOCKED;
            IF NOT FOUND THEN
                held := true;
                IF num_nonnulls(next.may_run, next.may_make) = 0 AND NOT $3 THEN
                    busy := busy || next.ccid;
                END IF;
                CONTINUE;
            END IF;
            IF (next.may_run IS NOT NULL OR $3)
               AND (SELECT count(*) FROM udm.run r WHERE r.status = 'IN_PROGRESS' AND r.ccid = next.ccid)
                   >= (CASE WHEN $3 THEN 1 ELSE next.may_run END) THEN
                CONTINUE;
            END IF;
            IF next.may_make IS NOT NULL THEN
                free := udm.bytes_free_at(next.ccid, next.may_make);
                IF free IS NOT NULL THEN
                    UPDATE udm.turn t SET waits_until = free WHERE t.ccid = next.ccid;
                    CONTINUE;
                END IF;
            END IF;
            claimed := udm.lock_ready_run(next.ccid);
            EXIT WHEN claimed IS NOT NULL;
            held := held OR EXISTS (SELECT FROM udm.run r WHERE r.status = 'QUEUED' AND r.ccid = next.ccid
                                       AND r.ready_at <= now());
        END LOOP;
    END IF;
    IF claimed IS NULL THEN
        FOREACH one IN ARRAY busy LOOP
            claimed := udm.lock_ready_run(one);
            EXIT WHEN claimed IS NOT NULL;
        END LOOP;
    END IF;
    IF claimed IS NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT r.export_id INTO previous FROM udm.run r WHERE r.id = claimed;
    UPDATE udm.run r SET status = 'IN_PROGRESS', attempt = r.attempt + 1, worker_id = $1,
           export_id = gen_random_uuid(), started_at = now()
     WHERE r.id = claimed RETURNING r.* INTO run;
    UPDATE udm.run_progress p
       SET lease_until = now() + $2, export_id = run.export_id, percent = 0, rows_done = 0
     WHERE p.run_id = claimed;
    UPDATE udm.job j SET status = 'IN_PROGRESS', latest_run_id = claimed WHERE j.id = run.job_id;
    UPDATE udm.turn t SET served_at = clock_timestamp()
      FROM (SELECT x.ccid FROM udm.turn x WHERE x.ccid = run.ccid FOR NO KEY UPDATE SKIP LOCKED) free
     WHERE t.ccid = free.ccid;
    SELECT coalesce(t.encryption, j.encryption, 'smime'), x.pem INTO encryption, pem
      FROM udm.tenant t LEFT JOIN udm.job j ON j.id = run.job_id LEFT JOIN udm.certificate x ON x.ccid = t.ccid
     WHERE t.ccid = run.ccid;
END
$$;

REVOKE ALL ON FUNCTION udm.set_quota(text, integer, integer, integer, interval, bigint),
    udm.bytes_free_at(text, bigint), udm.over_quota(text, bigint[], boolean[], boolean[]), udm.queue_room(text),
    udm.tenant_takes_turns(), udm.lock_free_job(bigint), udm.lock_ready_run(text),
    udm.lock_interrupted_run(boolean), udm.whose_turn(boolean), udm.claim_run(text, interval, boolean)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION udm.lock_free_job(bigint), udm.lock_ready_run(text),
    udm.lock_interrupted_run(boolean), udm.whose_turn(boolean), udm.claim_run(text, interval, boolean),
    udm.bytes_free_at(text, bigint), udm.queue_room(text)
    TO udm_worker;
GRANT EXECUTE ON FUNCTION udm.over_quota(text, bigint[], boolean[], boolean[]) TO udm_httpd;

-- ---- what goes along, and what is said ----

CREATE TRIGGER says_removed AFTER DELETE ON udm.quota FOR EACH ROW
    WHEN (pg_catalog.pg_trigger_depth() = 0) EXECUTE FUNCTION udm.says_removed('tenant.quota-removed', 'ccid');
CREATE TRIGGER says_truncated AFTER TRUNCATE ON udm.quota FOR EACH STATEMENT
    EXECUTE FUNCTION udm.says_removed('tenant.quota-removed');

CREATE OR REPLACE FUNCTION udm.rename_tenant(ccid text, new_ccid text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ending timestamptz;
BEGIN
    SELECT t.ending_since INTO ending FROM udm.tenant t WHERE t.ccid = $1 FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no contact centre "%"', $1;
    ELSIF ending IS NOT NULL THEN
        RAISE EXCEPTION 'contact centre "%" is being removed', $1;
    END IF;
    PERFORM udm.check_new_name($2, EXISTS (SELECT FROM udm.tenant t WHERE t.ccid = $2), false);
    PERFORM set_config('udm.renames', 'on', true);
    INSERT INTO udm.tenant
    SELECT (jsonb_populate_record(t, jsonb_build_object('ccid', $2, 'name', CASE t.name WHEN $1 THEN $2 ELSE t.name END))).*
      FROM udm.tenant t WHERE t.ccid = $1;
    -- What is over, while others write: see udm.carry_history().
    UPDATE udm.run r SET ccid = $2 WHERE r.ccid = $1 AND r.status IN ('COMPLETED', 'FAILED', 'CANCELLED');
    UPDATE udm.job j SET ccid = $2 WHERE j.ccid = $1 AND j.next_run_at IS NULL
       AND j.status IN ('COMPLETED', 'FAILED', 'CANCELLED');
    UPDATE udm.file f SET ccid = $2 WHERE f.ccid = $1;
    PERFORM udm.begin_rename();
    PERFORM FROM udm.tenant t WHERE t.ccid = $1 FOR UPDATE;
    UPDATE udm.run r
       SET ccid = $2,
           status = CASE r.status WHEN 'IN_PROGRESS' THEN 'QUEUED' ELSE r.status END,
           worker_id = CASE r.status WHEN 'IN_PROGRESS' THEN NULL ELSE r.worker_id END,
           attempt = CASE r.status WHEN 'IN_PROGRESS' THEN greatest(r.attempt - 1, 0) ELSE r.attempt END
     WHERE r.ccid = $1;
    UPDATE udm.job j SET ccid = $2, status = CASE j.status WHEN 'IN_PROGRESS' THEN 'QUEUED' ELSE j.status END
     WHERE j.ccid = $1;
    UPDATE udm.file f SET ccid = $2 WHERE f.ccid = $1;
    UPDATE udm.idempotency i SET ccid = $2 WHERE i.ccid = $1;
    UPDATE udm.api_key k SET ccid = $2 WHERE k.ccid = $1;
    UPDATE udm.certificate c SET ccid = $2 WHERE c.ccid = $1;
    UPDATE udm.run_count c SET ccid = $2 WHERE c.ccid = $1;
    UPDATE udm.quota q SET ccid = $2 WHERE q.ccid = $1;
    UPDATE udm.turn new SET served_at = old.served_at, waits_until = old.waits_until
      FROM udm.turn old WHERE new.ccid = $2 AND old.ccid = $1;
    UPDATE udm.data_type d SET tenants = array_replace(d.tenants, $1, $2) WHERE $1 = ANY (d.tenants);
    UPDATE udm.gone_type g SET tenants = array_replace(g.tenants, $1, $2) WHERE $1 = ANY (g.tenants);
    DELETE FROM udm.tenant t WHERE t.ccid = $1;
    INSERT INTO udm.audit (ccid, subject, action, object, detail)
    VALUES ($1, session_user, 'tenant.rename', $2, jsonb_build_object('old', $1, 'new', $2)),
           ($2, session_user, 'tenant.rename', $2, jsonb_build_object('old', $1, 'new', $2));
    PERFORM set_config('udm.renames', 'off', true);
    RETURN $2;
END
$$;

RESET ROLE;
