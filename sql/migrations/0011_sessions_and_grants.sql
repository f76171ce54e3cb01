-- Names mean what was meant, and nobody may do more than their statements do.
--
-- Whoever may create something in a schema of the database, or in their temporary one, can make a
-- function, an operator or a table that is called like another one. So every function of ours looks
-- for names in pg_catalog alone, with the temporary schema last (it is first where it is not named),
-- and so do the sessions of our roles from their first statement.

SET LOCAL search_path = pg_catalog, pg_temp;

-- ---- who comes into the database ----
--
-- Nobody by being anybody: whoever has something to do with this database is let in by name. In a
-- database that others use, too, that is everyone who owns something here or was granted something,
-- who is in one of PostgreSQL's own groups (a backup or a monitor, say), and who is connected now.

DO $$
DECLARE
    db      pg_catalog.pg_database;
    shared  boolean;
    guest   record;
    guests  text := '';
    taken   text;
BEGIN
    SELECT * INTO db FROM pg_catalog.pg_database d WHERE d.datname = current_database();
    SELECT string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) INTO taken
      FROM aclexplode(coalesce(db.datacl, acldefault('d', db.datdba))) a WHERE a.grantee = 0;
    IF NOT pg_has_role(current_user, db.datdba, 'USAGE') THEN
        IF taken IS NOT NULL THEN
            RAISE WARNING 'PUBLIC keeps % on database %, which is not yours', taken, quote_ident(db.datname)
                USING HINT = format('Its owner should run: GRANT CONNECT ON DATABASE %1$I TO udm_httpd,'
                                    ' udm_worker; REVOKE ALL ON DATABASE %1$I FROM PUBLIC; and GRANT CONNECT'
                                    ' to each reader.', db.datname);
        END IF;
        RETURN;
    END IF;
    shared := EXISTS (
        SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('udm', 'information_schema')
           AND n.nspname !~ '^pg_'
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                            WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
                              AND d.deptype = 'e'));
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO udm_httpd, udm_worker', db.datname);
    IF taken IS NOT NULL THEN
        FOR guest IN
            WITH known AS (
                SELECT s.refobjid AS id FROM pg_catalog.pg_shdepend s
                 WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.dbid = db.oid
                UNION
                SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname ~ '^pg_'
                UNION
                SELECT a.usesysid FROM pg_catalog.pg_stat_activity a WHERE a.datid = db.oid)
            SELECT DISTINCT r.rolname
              FROM pg_catalog.pg_roles r JOIN known k
                ON r.oid = k.id OR (r.rolcanlogin AND pg_has_role(r.oid, k.id, 'MEMBER'))
             WHERE NOT r.rolsuper AND r.oid <> db.datdba AND r.rolname !~ '^pg_'
               AND r.rolname NOT IN ('udm_owner', 'udm_httpd', 'udm_worker')
               AND NOT EXISTS (SELECT FROM aclexplode(db.datacl) a
                                WHERE a.grantee = r.oid AND a.privilege_type = 'CONNECT')
             ORDER BY r.rolname
        LOOP
            EXECUTE format('GRANT CONNECT%s ON DATABASE %I TO %I',
                           CASE WHEN shared THEN ', TEMPORARY' ELSE '' END, db.datname, guest.rolname);
            guests := guests || ', ' || quote_ident(guest.rolname);
        END LOOP;
        EXECUTE format('REVOKE CONNECT, TEMPORARY, CREATE ON DATABASE %I FROM PUBLIC', db.datname);
        IF shared THEN
            RAISE WARNING '% on database % was taken from PUBLIC; CONNECT and TEMPORARY were given to: %',
                    taken, quote_ident(db.datname), coalesce(nullif(substr(guests, 3), ''), 'nobody')
                USING HINT = format('Everyone else needs it by name: GRANT CONNECT ON DATABASE %I TO ...;',
                                    db.datname);
        END IF;
    END IF;
    -- In schema public others may have put what they go on creating.
    IF EXISTS (SELECT FROM pg_catalog.pg_namespace n,
                           aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
                WHERE n.nspname = 'public' AND a.grantee = 0 AND a.privilege_type = 'CREATE') THEN
        IF NOT shared AND pg_has_role(current_user, (SELECT n.nspowner FROM pg_catalog.pg_namespace n
                                                      WHERE n.nspname = 'public'), 'USAGE') THEN
            REVOKE CREATE ON SCHEMA public FROM PUBLIC;
        ELSE
            RAISE WARNING 'everybody may create objects in schema public of database %',
                    quote_ident(db.datname)
                USING HINT = 'Unless something needs it: REVOKE CREATE ON SCHEMA public FROM PUBLIC;';
        END IF;
    END IF;
END
$$;

-- Where another role than the one that made them applies this, the sessions still say it themselves.
DO $$
DECLARE
    r text;
BEGIN
    FOREACH r IN ARRAY ARRAY['udm_owner', 'udm_httpd', 'udm_worker'] LOOP
        BEGIN
            EXECUTE format('ALTER ROLE %I SET search_path = pg_catalog, pg_temp', r);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE WARNING 'role % is not yours to change', r
                USING HINT = format('Whoever made it should run: ALTER ROLE %I SET search_path ='
                                    ' pg_catalog, pg_temp;', r);
        END;
    END LOOP;
END
$$;

SET LOCAL ROLE udm_owner;

DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT p.oid FROM pg_catalog.pg_proc p
              WHERE p.pronamespace = 'udm'::regnamespace AND p.prokind = 'f' LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', f);
    END LOOP;
END
$$;

-- A function of SQL with a SET of its own is planned anew each time it is called; these keep their plans.
CREATE OR REPLACE FUNCTION udm.rights(roles text[], ccid text)
RETURNS TABLE (source text, type text, may_read boolean, may_write boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT t.source, t.name, true, true
      FROM udm.data_type t
     WHERE '*' = ANY ($1) AND (t.tenants IS NULL OR $2 = ANY (t.tenants))
    UNION ALL
    SELECT t.source, t.name, bool_or(r.may_read), bool_or(r.may_write)
      FROM udm.data_type t
      JOIN udm.source s ON s.name = t.source
      JOIN udm.role_grant g ON (g.family IS NULL OR g.family = s.family)
                           AND (g.source IS NULL OR g.source = t.source)
                           AND (g.type IS NULL OR g.type = t.name)
      JOIN udm.role r ON r.name = g.role
     WHERE r.name = ANY ($1) AND NOT '*' = ANY ($1) AND (t.tenants IS NULL OR $2 = ANY (t.tenants))
     GROUP BY t.source, t.name;
END
$$;

CREATE OR REPLACE FUNCTION udm.may_certificate(roles text[]) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN '*' = ANY ($1)
        OR EXISTS (SELECT FROM udm.role r WHERE r.name = ANY ($1) AND r.may_certificate);
END
$$;

-- ---- the audit ----

-- Of what was written before, nobody knows.
ALTER TABLE udm.audit ADD COLUMN database_role text;
ALTER TABLE udm.audit ALTER COLUMN database_role SET DEFAULT session_user;
COMMENT ON COLUMN udm.audit.database_role IS
    'Who was logged in to the database: the server says it, unlike subject, which the caller says.';

-- The one way in which the programs write the audit: each role of what its programs do. When, and who
-- was logged in, is not theirs to say. What an admin does is written by the functions that do it, past
-- this one, so it stands here for nobody. Who is logged in counts, and what that role is in: a login of
-- another name that was let into udm_httpd may write no more than that.
CREATE FUNCTION udm.audit_write(ccid text, subject text, key_id text, action text, object text,
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
COMMENT ON FUNCTION udm.audit_write(text, text, text, text, text, text, text, jsonb) IS
    'Adds a row to udm.audit, with the time and the role of the session; gives its id.';
REVOKE ALL ON FUNCTION udm.audit_write(text, text, text, text, text, text, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION udm.audit_write(text, text, text, text, text, text, text, jsonb)
    TO udm_httpd, udm_worker;
REVOKE INSERT ON udm.audit FROM udm_httpd, udm_worker;

-- ---- what each role writes ----
--
-- Column by column, as its statements do: whose a job, a run or a file is does not change, nor does
-- what is known of a file's content.

REVOKE INSERT, UPDATE ON udm.certificate, udm.job, udm.run, udm.file, udm.idempotency, udm.run_progress
    FROM udm_httpd;
REVOKE INSERT, UPDATE, DELETE ON udm.job, udm.run, udm.file, udm.run_progress FROM udm_worker;

GRANT INSERT (ccid, name, pem, size, fingerprint, not_before, not_after),
      UPDATE (name, pem, size, fingerprint, not_before, not_after, modified_at)
    ON udm.certificate TO udm_httpd;
GRANT INSERT (id, ccid, family, source, type, title, description, time_all, date_from, date_to, media,
              export_attachments, file_split_size, file_split_bytes, schedule_type, schedule,
              next_run_at, suspended, status, latest_run_id, created_by, filters, runs_left,
              schedule_since, encryption),
      UPDATE (family, source, type, title, description, time_all, date_from, date_to, media,
              export_attachments, file_split_size, file_split_bytes, schedule_type, schedule,
              next_run_at, suspended, status, latest_run_id, filters, runs_left, changed_at,
              schedule_since, encryption, watermark)
    ON udm.job TO udm_httpd;
GRANT INSERT (id, job_id, ccid, source, type, title, description, window_all, window_from, window_to,
              moves_watermark, media, export_attachments, file_split_size, file_split_bytes, filters,
              scheduled_at, ready_at, created_by),
      UPDATE (status, status_reason, finished_at, ready_at, worker_id, attempt)
    ON udm.run TO udm_httpd;
GRANT INSERT (run_id) ON udm.run_progress TO udm_httpd;
GRANT UPDATE (removed_at, removal) ON udm.file TO udm_httpd;
GRANT INSERT (ccid, version, key, body_sha256, job_id, source, type, answer),
      UPDATE (body_sha256, job_id, source, type, answer, created_at)
    ON udm.idempotency TO udm_httpd;

GRANT UPDATE (status, latest_run_id, watermark, next_run_at, runs_left) ON udm.job TO udm_worker;
GRANT INSERT (job_id, ccid, source, type, title, description, window_all, window_from, window_to,
              moves_watermark, media, export_attachments, filters, file_split_size, file_split_bytes,
              scheduled_at, ready_at, created_by),
      UPDATE (status, status_reason, attempt, worker_id, export_id, started_at, finished_at, ready_at,
              settle_barrier, settle_since, window_to, file_name, file_size, row_count)
    ON udm.run TO udm_worker;
GRANT INSERT (run_id), UPDATE (lease_until, percent, rows_done) ON udm.run_progress TO udm_worker;
GRANT INSERT (name, run_id, job_id, ccid, source, type, job_title, part, size, sha256, expires_at),
      UPDATE (removed_at, removal, purged_at)
    ON udm.file TO udm_worker;

RESET ROLE;
