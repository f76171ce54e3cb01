"""A queue for the tests of the worker: one contact centre, and data whose reading a test can hold up."""
import json
import os
import signal
import subprocess

import pytest

from .crypto import Certificate, smime_decrypt
from .process import clean_environment, wait_for
from .site import Site

ROWS = 3000
GATE = 4711  # an advisory lock: whoever holds it stops the reading of the last rows of type Gated

SCHEMA = f"""
CREATE SCHEMA gated;
-- Waits as long as somebody holds the gate, however long that is.
CREATE FUNCTION gated.pass() RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
BEGIN
    WHILE NOT pg_try_advisory_lock_shared({GATE}) LOOP
        PERFORM pg_sleep(0.02);
    END LOOP;
    RETURN pg_advisory_unlock_shared({GATE});
END $$;
CREATE TABLE gated.plain AS
    SELECT n AS id, 'acme'::text AS ccid, timestamptz '2026-01-01Z' + n * interval '1 minute' AS at,
           (SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 40) i) AS words
      FROM generate_series(1, {ROWS}) n;
CREATE VIEW gated.held AS
    SELECT p.*, CASE WHEN id > {ROWS} - 10 THEN gated.pass() END AS passed FROM gated.plain p;
-- The last rows never come: one statement of the server that goes on for ten minutes.
CREATE VIEW gated.slow AS
    SELECT p.*, CASE WHEN id > {ROWS} - 10 THEN pg_sleep(600)::text END AS passed FROM gated.plain p;
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'udm_test_gated') THEN
        CREATE ROLE udm_test_gated LOGIN;
    END IF;
END $$;
GRANT USAGE ON SCHEMA gated TO udm_test_gated;
GRANT SELECT ON ALL TABLES IN SCHEMA gated TO udm_test_gated;
SELECT udm.create_tenant('acme');
SELECT udm.register_source('Gated', 'DataSync', connection => 'gated');
SELECT udm.register_type('Gated', 'Held', 'gated.held', 'id', tenant_column => 'ccid',
                         time_column => 'at');
SELECT udm.register_type('Gated', 'Slow', 'gated.slow', 'id', tenant_column => 'ccid',
                         time_column => 'at');
SELECT udm.register_type('Gated', 'Plain', 'gated.plain', 'id', tenant_column => 'ccid',
                         time_column => 'at');
SELECT udm.register_attributes('Gated', 'Plain');
"""


class Queue(Site):
    """A site without httpd: jobs are put into the database, and workers take them from there."""

    def __init__(self, env):
        super().__init__(env, database="empty")
        with self.connect() as connection:
            connection.execute(SCHEMA)
        self.write_source("gated", env.postgres.dsn(self.database, "udm_test_gated"))
        self.certificate = env.certificate
        self.store_certificate(self.certificate)
        self.gate = None

    def store_certificate(self, certificate, ccid="acme"):
        self.sql("INSERT INTO udm.certificate (ccid, name, pem, size, fingerprint, not_before, not_after)"
                 " VALUES (%s, 'c', %s, 1000, %s, now(), now()) ON CONFLICT (ccid) DO UPDATE"
                 " SET pem = excluded.pem, fingerprint = excluded.fingerprint",
                 [ccid, certificate.pem, certificate.fingerprint])

    def add_centre(self, ccid):
        """Another contact centre, of which the source has no row."""
        self.sql("SELECT udm.create_tenant(%s)", [ccid])
        self.store_certificate(self.certificate, ccid)

    # Jobs and runs

    def add(self, data_type="Held", source="Gated", title="a run", filters=(), ccid="acme"):
        """A job that is due, with its run; gives the run's id."""
        return self.sql(
            "WITH j AS (INSERT INTO udm.job (ccid, family, source, type, title, time_all,"
            " schedule_type, schedule, status, filters) VALUES (%s, 'DataSync', %s, %s, %s, true,"
            " 'immediately', '{}', 'QUEUED', %s::jsonb) RETURNING *),"
            " r AS (INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, filters)"
            " SELECT id, ccid, source, type, title, true, filters FROM j RETURNING id),"
            " p AS (INSERT INTO udm.run_progress (run_id) SELECT id FROM r)"
            " SELECT id FROM r",
            [ccid, source, data_type, title, json.dumps(list(filters))])[0][0]

    def run(self, run_id):
        """status, attempt, status_reason, worker_id of a run, and its job's status."""
        row = self.sql("SELECT r.status, r.attempt, r.status_reason, r.worker_id, j.status FROM udm.run r"
                       " JOIN udm.job j ON j.id = r.job_id WHERE r.id = %s", [run_id])[0]
        return dict(zip(("status", "attempt", "reason", "worker", "job"), row))

    def wait_status(self, run_id, *statuses, timeout=60):
        def reached():
            run = self.run(run_id)
            return run if run["status"] in statuses else None
        return wait_for(reached, timeout, f"run {run_id} to be {' or '.join(statuses)}")

    def wait_job(self, job_id):
        """Until a job has a run; gives the run's id."""
        return wait_for(lambda: self.sql("SELECT id FROM udm.run WHERE job_id = %s", [job_id]), 30,
                        f"job {job_id} to get its run")[0][0]

    def set_run(self, run_id, assignment):
        self.sql(f"UPDATE udm.run SET {assignment} WHERE id = %s", [run_id])

    def set_job(self, run_id, assignment):
        self.sql(f"UPDATE udm.job SET {assignment} WHERE id = (SELECT job_id FROM udm.run WHERE id = %s)",
                 [run_id])

    def expire(self, run_id):
        """As if the worker had not been heard of for the time of a lease."""
        self.sql("UPDATE udm.run_progress SET lease_until = now() - interval '1 s' WHERE run_id = %s",
                 [run_id])

    # The gate

    def hold(self):
        """From now on, reading type Held stops short of its end."""
        self.gate = self.connect()
        self.gate.execute("SELECT pg_advisory_lock(%s)", [GATE])

    def open(self):
        if self.gate is not None:
            self.gate.close()
            self.gate = None

    def readers(self, condition="true"):
        """How many connections read the source, or those of them of which SQL says `condition`."""
        return self.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
                        f" AND usename = 'udm_test_gated' AND {condition}", [self.database])[0][0]

    def wait_held(self, readers=1):
        """Until so many exports are in the middle of their rows."""
        wait_for(lambda: self.readers("query LIKE 'COPY%%' AND wait_event = 'PgSleep'") >= readers,
                 30, f"{readers} exports to be held up")

    # The store

    def stored(self):
        """The names of all files in the store, without its mark."""
        return sorted(name for _, _, names in os.walk(self.store) for name in names
                      if name != ".udm-store")

    def listed(self):
        return sorted(row[0] for row in self.sql("SELECT name FROM udm.file"))

    def rows_of(self, run_id):
        """The lines of data in the files of a run, after decryption as a customer does it."""
        names = [r[0] for r in self.sql("SELECT name FROM udm.file WHERE run_id = %s ORDER BY part",
                                        [run_id])]
        assert len(names) == 1
        path = os.path.join(self.store, names[0][len("export-"):][:2], names[0])
        target = os.path.join(self.env.make_directory(self.name, "out"), names[0])
        smime_decrypt(self.certificate.key_path, path, target)
        entries = subprocess.run(["unzip", "-Z1", target], stdout=subprocess.PIPE, text=True, check=True)
        data = [e for e in entries.stdout.splitlines() if not e.startswith("META-INF/")]
        text = subprocess.run(["unzip", "-p", target, *data], stdout=subprocess.PIPE, check=True).stdout
        return text.splitlines()

    def spawn(self, *args, settings=None, **kwargs):
        """A worker's process with a settings file, not watched: for what is to end by itself."""
        worker = self.worker(**(settings or {}))
        arguments = [self.env.worker, *args] if args else [self.env.worker, "-c", worker.write()]
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs = {**self.env.account.popen_args(), **kwargs}
        return subprocess.Popen(arguments, env=clean_environment(**self.env.sanitizer_environment()),
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs)


@pytest.fixture
def queue(env):
    result = Queue(env)
    yield result
    result.open()
    for worker in result.workers:
        # A test that failed may have left one stopped.
        if worker.process is not None and worker.running():
            worker.process.send_signal(signal.SIGCONT)
    result.close()


@pytest.fixture
def make_certificate(env):
    def make(**kwargs):
        return Certificate(env.make_directory("keys"), **kwargs)
    return make
