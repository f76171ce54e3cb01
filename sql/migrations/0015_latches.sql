-- What a stranger may hold up: nothing. Whoever may connect to the database may take any advisory lock
-- and notify on any channel whose name they know, so nothing of ours waits for the one or listens for
-- the other. And what an admin does to the catalog past our functions is refused or said, as it is there.

SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL ROLE udm_owner;

-- ---- one at a time ----

-- Locked, never written: by the functions of this schema, which have their owner's rights.
CREATE TABLE udm.latch (name text PRIMARY KEY);
INSERT INTO udm.latch (name) VALUES ('purge'), ('end_tenants');
COMMENT ON TABLE udm.latch IS
    'Who has locked a row does what its name says, and nobody else meanwhile. Nobody waits for one.';

-- Whether the caller has the latch now, to the end of its transaction.
CREATE FUNCTION udm.take_latch(name text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM udm.latch l WHERE l.name = $1 FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
        RETURN true;
    END IF;
    IF NOT EXISTS (SELECT FROM udm.latch l WHERE l.name = $1) THEN
        RAISE EXCEPTION 'udm.latch has lost its row "%"', $1
            USING HINT = format('INSERT INTO udm.latch (name) VALUES (%L);', $1);
    END IF;
    RETURN false;
END
$$;

CREATE OR REPLACE FUNCTION udm.end_tenants(batch integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    one  text;
    more boolean := false;
BEGIN
    IF NOT EXISTS (SELECT FROM udm.tenant t WHERE t.ending_since IS NOT NULL)
       OR NOT udm.take_latch('end_tenants') THEN
        RETURN false;
    END IF;
    FOR one IN SELECT t.ccid FROM udm.tenant t WHERE t.ending_since IS NOT NULL ORDER BY t.ccid
                  FOR NO KEY UPDATE SKIP LOCKED LOOP
        more := udm.end_tenant_step(one, $1) OR more;
    END LOOP;
    RETURN more;
END
$$;

CREATE OR REPLACE FUNCTION udm.may_purge(days integer, fewest integer, what text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF $1 IS NULL OR $1 < $2 THEN
        RAISE EXCEPTION '% is kept for % days at least', $3, $2 USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN udm.take_latch('purge');
END
$$;

-- The first request with a key writes its record before anything else, and completes it at its end, so
-- that another one meets it: with `mine` false while the first has not ended, with what was answered
-- then (`job_id` is not NULL) afterwards. A record is good for 24 hours. Runs as the caller.
CREATE FUNCTION udm.begin_retry(
    ccid text, version text, key text, body_sha256 text, OUT mine boolean, OUT sent_sha256 text,
    OUT job_id bigint, OUT source text, OUT type text, OUT answer text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
    r udm.idempotency;
BEGIN
    INSERT INTO udm.idempotency AS i (ccid, version, key, body_sha256, job_id, source, type, answer)
    VALUES ($1, $2, $3, $4, 0, '', '', '')
    ON CONFLICT ON CONSTRAINT idempotency_pkey DO UPDATE SET created_at = i.created_at
    RETURNING i.* INTO r;
    mine := true;
    IF r.job_id <> 0 AND r.created_at > now() - interval '24 hours' THEN
        sent_sha256 := r.body_sha256;
        job_id := r.job_id;
        source := r.source;
        type := r.type;
        answer := r.answer;
    END IF;
EXCEPTION WHEN lock_not_available THEN
    mine := false;
END
$$;

-- ---- hints for the workers ----

-- Nobody else can read the name of the channel, so nobody else can wake the workers.
ALTER TABLE udm.installation ADD COLUMN channel text NOT NULL
    DEFAULT 'udm_run_' || replace(gen_random_uuid()::text, '-', '') CHECK (channel ~ '^[a-z0-9_]{1,63}$');
COMMENT ON COLUMN udm.installation.channel IS
    'Where the workers LISTEN. Only who may read it can wake them: SELECT pg_notify(channel, '''').';

CREATE OR REPLACE FUNCTION udm.run_notify() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('udm.notifies_later', true) IS DISTINCT FROM 'on' THEN
        PERFORM pg_notify(i.channel, '') FROM udm.installation i;
    END IF;
    RETURN NULL;
END
$$;

-- ---- attachments that were registered ----

ALTER TABLE udm.data_type ADD COLUMN attachments_removed_at timestamptz;
COMMENT ON COLUMN udm.data_type.attachments_removed_at IS
    'Since when the type has no attachments any more: a run that asks for them fails and says so. NULL '
    'where it has some, and where it never had any, which makes no difference to a job.';

CREATE FUNCTION udm.attachments_end() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.attachment_relation IS NOT NULL THEN
        NEW.attachments_removed_at := NULL;
    ELSIF OLD.attachment_relation IS NOT NULL THEN
        NEW.attachments_removed_at := now();
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER attachments_end BEFORE UPDATE ON udm.data_type
    FOR EACH ROW EXECUTE FUNCTION udm.attachments_end();

-- ---- contact centres that leave ----

-- Nothing new is said of one that is being removed.
CREATE FUNCTION udm.who_stays() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    named   text[];
    leaving text;
BEGIN
    IF TG_TABLE_NAME = 'data_type' THEN
        named := NEW.tenants;
        IF TG_OP = 'UPDATE' THEN
            named := ARRAY(SELECT unnest(NEW.tenants) EXCEPT SELECT unnest(OLD.tenants));
        END IF;
    ELSE
        named := ARRAY[NEW.ccid];
    END IF;
    SELECT string_agg(format('"%s"', t.ccid), ', ' ORDER BY t.ccid) INTO leaving
      FROM udm.tenant t WHERE t.ccid = ANY (named) AND t.ending_since IS NOT NULL;
    IF leaving IS NOT NULL THEN
        RAISE EXCEPTION 'contact centre % is being removed', leaving
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'SELECT udm.remove_tenant(...) says what is left to do.';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER who_stays BEFORE INSERT OR UPDATE ON udm.tenant
    FOR EACH ROW EXECUTE FUNCTION udm.who_stays();
CREATE TRIGGER who_stays BEFORE INSERT OR UPDATE OF tenants ON udm.data_type
    FOR EACH ROW EXECUTE FUNCTION udm.who_stays();

-- ---- texts of the catalog ----

-- Whatever text is written to the catalog, also one of an array: it has a length that a person reads.
CREATE FUNCTION udm.texts_fit() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was  jsonb := CASE TG_OP WHEN 'UPDATE' THEN to_jsonb(OLD) ELSE '{}' END;
    long record;
BEGIN
    SELECT c.key, length(x.value) AS has INTO long
      FROM jsonb_each(to_jsonb(NEW)) c
     CROSS JOIN LATERAL jsonb_array_elements_text(
               CASE jsonb_typeof(c.value) WHEN 'array' THEN c.value ELSE jsonb_build_array(c.value) END) x
     WHERE c.value IS DISTINCT FROM was -> c.key AND length(x.value) > 255
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% of udm.% has at most 255 characters, and this one has %', long.key, TG_TABLE_NAME, long.has
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

-- ---- what is deleted ----

-- The functions that remove something say so themselves; whatever is deleted past them, this says. (What
-- goes with something else, by a foreign key, needs no word of its own.) The arguments are the action and
-- what the object is called by.
CREATE FUNCTION udm.says_removed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    callers text;
    gone    jsonb := '{}';
    object  text;
BEGIN
    GET DIAGNOSTICS callers = PG_CONTEXT;
    IF callers ~ '\mudm\.(remove_|rename_|carry_names|end_tenant)\w*\(' THEN
        RETURN NULL;
    END IF;
    IF TG_LEVEL = 'ROW' THEN
        gone := to_jsonb(OLD);
        SELECT string_agg(coalesce(gone ->> k.name, '*'), '/' ORDER BY k.n) INTO object
          FROM unnest(TG_ARGV[1:]) WITH ORDINALITY k (name, n);
    END IF;
    INSERT INTO udm.audit (ccid, subject, action, object, detail)
    VALUES (gone ->> 'ccid', session_user, TG_ARGV[0], object, jsonb_build_object('statement', TG_OP));
    RETURN NULL;
END
$$;

DO $$
DECLARE
    t record;
BEGIN
    FOR t IN VALUES
        ('source', 'catalog.source-removed', 'name'),
        ('data_type', 'catalog.type-removed', 'source, name'),
        ('sub_type', 'catalog.sub-type-removed', 'source, type, name'),
        ('media', 'catalog.media-removed', 'source, type, name'),
        ('attribute', 'catalog.attribute-removed', 'source, type, name'),
        ('role', 'role.remove', 'name'),
        ('role_grant', 'role.grant-removed', 'role, family, source, type'),
        ('tenant', 'tenant.removed', 'ccid'),
        ('api_key', 'api-key.remove', 'key_id'),
        ('certificate', 'certificate.remove', 'ccid')
    LOOP
        -- Of a type its own trigger says it, see udm.data_type_ends(); a certificate has limits of its own.
        IF t.column1 <> 'data_type' THEN
            EXECUTE format('CREATE TRIGGER says_removed AFTER DELETE ON udm.%I FOR EACH ROW'
                           ' WHEN (pg_catalog.pg_trigger_depth() = 0) EXECUTE FUNCTION udm.says_removed(%L, %s)',
                           t.column1, t.column2, t.column3);
        END IF;
        EXECUTE format('CREATE TRIGGER says_truncated AFTER TRUNCATE ON udm.%I FOR EACH STATEMENT'
                       ' EXECUTE FUNCTION udm.says_removed(%L)', t.column1, t.column2);
        IF t.column1 <> 'certificate' THEN
            EXECUTE format('CREATE TRIGGER texts_fit BEFORE INSERT OR UPDATE ON udm.%I'
                           ' FOR EACH ROW EXECUTE FUNCTION udm.texts_fit()', t.column1);
        END IF;
    END LOOP;
END
$$;

-- ---- renaming ----

-- What is over is carried along first, while others write: they do not touch it, or wait for this row
-- alone. What is left when udm.begin_rename() stops them is little.
CREATE FUNCTION udm.carry_history(p_source text, p_type text, new_source text, new_type text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM set_config('udm.renames', 'on', true);
    UPDATE udm.run r SET source = $3, type = coalesce($4, r.type)
     WHERE r.source = $1 AND (r.type = $2 OR $2 IS NULL) AND r.status IN ('COMPLETED', 'FAILED', 'CANCELLED');
    UPDATE udm.job j SET source = $3, type = coalesce($4, j.type)
     WHERE j.source = $1 AND (j.type = $2 OR $2 IS NULL) AND j.next_run_at IS NULL
       AND j.status IN ('COMPLETED', 'FAILED', 'CANCELLED');
    UPDATE udm.file f SET source = $3, type = coalesce($4, f.type)
     WHERE f.source = $1 AND (f.type = $2 OR $2 IS NULL);
END
$$;

CREATE OR REPLACE FUNCTION udm.rename_type(source text, name text, new_name text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM udm.data_type d WHERE d.source = $1 AND d.name = $2 FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no data type %/%', $1, $2
            USING HINT = (SELECT 'There are: ' || coalesce(string_agg(d.source || '/' || d.name, ', ' ORDER BY d.source, d.name), 'none')
                            FROM udm.data_type d);
    END IF;
    PERFORM udm.check_new_name($3, EXISTS (SELECT FROM udm.data_type d WHERE d.source = $1 AND d.name = $3),
                               EXISTS (SELECT FROM udm.gone_type g WHERE g.source = $1 AND g.type = $3));
    PERFORM udm.carry_history($1, $2, $1, $3);
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

CREATE OR REPLACE FUNCTION udm.rename_source(name text, new_name text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM udm.source s WHERE s.name = $1 FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no source "%"', $1
            USING HINT = (SELECT 'There are: ' || coalesce(string_agg(s.name, ', ' ORDER BY s.name), 'none') FROM udm.source s);
    END IF;
    -- Whoever sends another source's alias means that one.
    PERFORM udm.check_new_name($2, EXISTS (SELECT FROM udm.source s WHERE s.name = $2
                                              OR (s.alias = $2 AND s.name <> $1)),
                               EXISTS (SELECT FROM udm.gone_type g WHERE g.source = $2));
    PERFORM udm.carry_history($1, NULL, $2, NULL);
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

-- The rows of the contact centre in what is exported are not ours: they must say the new id, too.
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

REVOKE ALL ON FUNCTION udm.take_latch(text), udm.begin_retry(text, text, text, text), udm.attachments_end(),
    udm.who_stays(), udm.texts_fit(), udm.says_removed(), udm.carry_history(text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION udm.begin_retry(text, text, text, text) TO udm_httpd;

RESET ROLE;
