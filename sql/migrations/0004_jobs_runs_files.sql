-- The queue and its history. A job is what a client asked for; a run is one execution of it (the
-- API calls it a history record); a file is one downloadable part of what a run made.
--
-- PostgreSQL is the only coordinator: a worker claims a run with FOR UPDATE SKIP LOCKED, holds it by
-- a lease in udm.run_progress, and every later change of the run names worker_id and attempt (the
-- fence), so that a worker which lost its lease changes nothing.

SET LOCAL ROLE udm_owner;

-- One sequence for both, so that a job's id can never be some other run's id.
CREATE SEQUENCE udm.job_or_run_id;

CREATE TABLE udm.job (
    id                  bigint PRIMARY KEY DEFAULT nextval('udm.job_or_run_id'),
    ccid                text NOT NULL REFERENCES udm.tenant (ccid),
    family              text NOT NULL CHECK (family IN ('UCS', 'DataSync')),
    source              text NOT NULL,
    type                text NOT NULL,
    title               text NOT NULL,
    description         text,
    time_all            boolean NOT NULL,
    date_from           timestamptz,
    date_to             timestamptz,
    media               text[] NOT NULL DEFAULT '{}',
    export_attachments  boolean NOT NULL DEFAULT false,
    file_split_size     text,
    file_split_bytes    bigint CHECK (file_split_bytes > 0),
    schedule_type       text NOT NULL CHECK (schedule_type IN ('immediately', 'once', 'recurring')),
    schedule            jsonb NOT NULL,
    next_run_at         timestamptz,
    runs_left           integer CHECK (runs_left >= 0),
    watermark           timestamptz,
    suspended           boolean NOT NULL DEFAULT false,
    status              text NOT NULL CHECK (status IN ('SCHEDULED', 'QUEUED', 'IN_PROGRESS', 'COMPLETED',
                                                        'FAILED', 'CANCELLED', 'SUSPENDED')),
    latest_run_id       bigint,
    created_at          timestamptz NOT NULL DEFAULT now(),
    created_by          text,
    changed_at          timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN udm.job.schedule IS 'schedulerParam as the client sent it.';
COMMENT ON COLUMN udm.job.status IS 'Status of the latest run, or SCHEDULED / SUSPENDED between runs.';
COMMENT ON COLUMN udm.job.watermark IS
    'End of the last completed moving window. It lives here, not in the history, and moves in the '
    'transaction that completes the run.';
CREATE INDEX job_by_tenant ON udm.job (ccid, created_at, id);
CREATE INDEX job_due ON udm.job (next_run_at) WHERE next_run_at IS NOT NULL AND NOT suspended;

-- A run carries its own copy of what it was asked to do: a later PUT or DELETE of the job does not
-- rewrite history. job_id is therefore no foreign key.
CREATE TABLE udm.run (
    id                  bigint PRIMARY KEY DEFAULT nextval('udm.job_or_run_id'),
    job_id              bigint NOT NULL,
    ccid                text NOT NULL REFERENCES udm.tenant (ccid),
    source              text NOT NULL,
    type                text NOT NULL,
    title               text NOT NULL,
    description         text,
    window_from         timestamptz,
    window_to           timestamptz,
    window_all          boolean NOT NULL,
    moves_watermark     boolean NOT NULL DEFAULT false,
    media               text[] NOT NULL DEFAULT '{}',
    export_attachments  boolean NOT NULL DEFAULT false,
    file_split_size     text,
    file_split_bytes    bigint,
    status              text NOT NULL DEFAULT 'QUEUED'
                        CHECK (status IN ('QUEUED', 'IN_PROGRESS', 'COMPLETED', 'FAILED',
                                          'CANCELLED', 'SUSPENDED')),
    status_reason       text,
    scheduled_at        timestamptz NOT NULL DEFAULT now(),
    ready_at            timestamptz NOT NULL DEFAULT now(),
    created_at          timestamptz NOT NULL DEFAULT now(),
    created_by          text,
    started_at          timestamptz,
    finished_at         timestamptz,
    attempt             integer NOT NULL DEFAULT 0,
    worker_id           text,
    export_id           uuid,
    file_name           text,
    file_size           bigint,
    row_count           bigint,
    CHECK (window_all OR num_nonnulls(window_from, window_to) > 0)
);
COMMENT ON COLUMN udm.run.ready_at IS 'Not claimed before: settle time of a moving window, or back-off.';
COMMENT ON COLUMN udm.run.export_id IS 'The UUID in the file names of the latest attempt.';
CREATE INDEX run_by_tenant ON udm.run (ccid, created_at, id);
CREATE INDEX run_by_job ON udm.run (job_id, id);
CREATE INDEX run_claimable ON udm.run (ready_at, id) WHERE status IN ('QUEUED', 'IN_PROGRESS');
-- Never two runs of a job at once, whatever the code believes.
CREATE UNIQUE INDEX run_one_active_per_job ON udm.run (job_id)
    WHERE status IN ('QUEUED', 'IN_PROGRESS', 'SUSPENDED');

-- What changes every few seconds is kept apart from the run and narrow: with half of each page free
-- the updates stay HOT, so an export that holds a snapshot for hours does not bloat the queue.
CREATE TABLE udm.run_progress (
    run_id       bigint PRIMARY KEY REFERENCES udm.run (id) ON DELETE CASCADE,
    lease_until  timestamptz,
    percent      smallint NOT NULL DEFAULT 0 CHECK (percent BETWEEN 0 AND 100),
    rows_done    bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE udm.file (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL UNIQUE CHECK (name ~ '^export-[0-9a-f-]{36}\.z(ip|[0-9]{2,5})\.(smime|p7m)$'),
    run_id      bigint NOT NULL,
    job_id      bigint NOT NULL,
    ccid        text NOT NULL REFERENCES udm.tenant (ccid),
    source      text NOT NULL,
    type        text NOT NULL,
    job_title   text NOT NULL,
    part        integer NOT NULL CHECK (part > 0),
    size        bigint NOT NULL,
    sha256      text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    removed_at  timestamptz,
    removal     text CHECK (removal IN ('expired', 'deleted')),
    CHECK ((removed_at IS NULL) = (removal IS NULL))
);
COMMENT ON COLUMN udm.file.removed_at IS
    'Set when the file is gone from the store: the row stays as a tombstone, for the 410.';
CREATE INDEX file_by_tenant ON udm.file (ccid, created_at, id);
CREATE INDEX file_by_run ON udm.file (run_id);
CREATE INDEX file_expiring ON udm.file (expires_at) WHERE removed_at IS NULL;

-- A hint only: workers also poll. The payload is empty so that a burst folds into one notification.
CREATE FUNCTION udm.run_notify() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    PERFORM pg_notify('udm_run', '');
    RETURN NULL;
END
$$;
-- For each row, not each statement: an idle worker's UPDATE that finds nothing must not wake itself.
CREATE TRIGGER run_notify_insert AFTER INSERT ON udm.run
    FOR EACH ROW EXECUTE FUNCTION udm.run_notify();
CREATE TRIGGER run_notify_status AFTER UPDATE OF status ON udm.run
    FOR EACH ROW WHEN (NEW.status IS DISTINCT FROM OLD.status
                       AND NEW.status IN ('QUEUED', 'CANCELLED', 'SUSPENDED'))
    EXECUTE FUNCTION udm.run_notify();
CREATE TRIGGER job_notify AFTER INSERT OR UPDATE OF next_run_at, suspended ON udm.job
    FOR EACH ROW WHEN (NEW.next_run_at IS NOT NULL OR NEW.suspended)
    EXECUTE FUNCTION udm.run_notify();

GRANT USAGE ON SEQUENCE udm.job_or_run_id TO udm_httpd, udm_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON udm.job, udm.run TO udm_httpd;
GRANT SELECT, INSERT ON udm.run_progress TO udm_httpd;
GRANT SELECT, UPDATE ON udm.file TO udm_httpd;
GRANT SELECT, UPDATE ON udm.job TO udm_worker;
GRANT SELECT, INSERT, UPDATE ON udm.run, udm.file TO udm_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON udm.run_progress TO udm_worker;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA udm FROM PUBLIC;
GRANT EXECUTE ON FUNCTION udm.rights(text[], text), udm.may_certificate(text[]) TO udm_httpd;

RESET ROLE;
