"""Exports that go on all the time, of all kinds, over a table that is written to meanwhile; and, once it
is quiet, the proof that whatever happened did not matter: every run done once, every file whole, every
row exported once, nothing left behind."""
import datetime
import hashlib
import json
import os
import shutil
import subprocess
import threading

import psycopg

from .process import clean_environment, wait_for
from .stream import Stream

BASE = 3000  # rows that are there from the beginning, all of them before LIVE
LIVE = datetime.datetime(2021, 1, 1, tzinfo=datetime.timezone.utc)
BURST = 40  # rows that are written together
EVERY_2_SECONDS = "*/2 * * * * ?"
SPLIT = 65536
READER = "udm_test_churn"
MARK = ".udm-store"

# Reading takes its time: 10 ms for every 25 rows. Most rows are of the second sub-type: what is of it
# is put aside while the source is read, and encrypted after that.
SCHEMA = f"""
ALTER DATABASE {{database}} SET synchronous_commit = on;
CREATE SCHEMA churn;
CREATE TABLE churn.event (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL,
                          ccid text NOT NULL DEFAULT 'acme', kind text NOT NULL, words text NOT NULL);
CREATE INDEX ON churn.event (at);
CREATE FUNCTION churn.words(n bigint) RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(md5(n::text || '/' || i), '') FROM generate_series(1, 40) i $$;
INSERT INTO churn.event (at, kind, words)
    SELECT timestamptz '2020-01-01Z' + n * interval '1 minute', CASE n % 4 WHEN 0 THEN 'a' ELSE 'b' END,
           churn.words(n) FROM generate_series(1, {BASE}) n;
CREATE VIEW churn.slow AS
    SELECT e.*, CASE WHEN id % 25 = 0 THEN pg_sleep(0.01)::text END AS slept FROM churn.event e;
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{READER}') THEN
        CREATE ROLE {READER} LOGIN;
    END IF;
END $$;
GRANT USAGE ON SCHEMA churn TO {READER};
GRANT SELECT ON churn.slow TO {READER};
SELECT udm.register_source('Churn', 'DataSync', connection => 'churn');
SELECT udm.register_type('Churn', 'Event', 'churn.slow', 'id', tenant_column => 'ccid',
                         time_column => 'at', subtype_column => 'kind', settle_seconds => 1);
SELECT udm.register_sub_type('Churn', 'Event', 'a', 'A'), udm.register_sub_type('Churn', 'Event', 'b', 'B');
"""
WRITE = ("INSERT INTO churn.event (at, kind, words)"
         " SELECT now(), CASE n %% 4 WHEN 0 THEN 'a' ELSE 'b' END, churn.words(n)"
         " FROM generate_series(1, %s) n")


class Churn(Stream):
    """Recurring jobs that take what is new, and jobs that run once over what was there before."""

    def __init__(self, queue):
        self.site = queue
        with queue.connect() as connection:
            connection.execute(SCHEMA.format(database=queue.database))
        queue.write_source("churn", queue.env.postgres.dsn(queue.database, READER))
        self.recurring, self.once = [], []
        self.verified = {}  # run: the ids of its rows
        self.files = 0  # that were verified
        self.over, self.writer = threading.Event(), None
        self.connection = None

    def ask(self, statement, parameters=None):
        """The rows of a query, on a connection that stays."""
        for attempt in (1, 2):
            try:
                if self.connection is None:
                    self.connection = self.site.connect()
                return self.connection.execute(statement, parameters).fetchall()
            except psycopg.Error:
                self.connection = None
                if attempt == 2:
                    raise
        return None

    # Work

    def start(self):
        for split in (None, None, SPLIT, SPLIT):
            self.recurring.append(self.add_recurring(split))
        self.feed()
        self.writer = threading.Thread(target=self.write)
        self.writer.start()

    def add_recurring(self, split):
        return self.sql(
            "INSERT INTO udm.job (ccid, family, source, type, title, time_all, date_from, schedule_type,"
            " schedule, next_run_at, status, file_split_size, file_split_bytes) VALUES ('acme', 'DataSync',"
            " 'Churn', 'Event', 'again', false, %s, 'recurring', %s, now(), 'SCHEDULED', %s::bigint::text,"
            " %s) RETURNING id", [LIVE, json.dumps({"cron": EVERY_2_SECONDS}), split, split])[0][0]

    def add_once(self, split):
        """As a job that was due is made, without its run: that is the worker's."""
        return self.sql(
            "INSERT INTO udm.job (ccid, family, source, type, title, time_all, date_from, date_to,"
            " schedule_type, schedule, next_run_at, status, file_split_size, file_split_bytes) VALUES"
            " ('acme', 'DataSync', 'Churn', 'Event', 'once', false, '2019-01-01Z', %s, 'once', '{}', now(),"
            " 'SCHEDULED', %s::bigint::text, %s) RETURNING id", [LIVE, split, split])[0][0]

    def feed(self, ready=3):
        """Sees to it that so many jobs that run once wait for a slot."""
        waiting = self.sql("SELECT count(*) FROM udm.job j LEFT JOIN udm.run r ON r.job_id = j.id"
                           " WHERE j.schedule_type = 'once' AND (r.id IS NULL OR r.status = 'QUEUED')")[0][0]
        for _ in range(ready - waiting):
            self.once.append(self.add_once(SPLIT if len(self.once) % 3 else None))
        self.site.hint()

    def write(self):
        """Rows with the times of their transactions, until it is over, whatever the server does."""
        while not self.over.is_set():
            try:
                with self.site.connect() as connection:
                    while not self.over.is_set():
                        with connection.transaction():
                            connection.execute(WRITE, [BURST])
                            self.over.wait(0.1)
                        self.over.wait(0.2)
            except psycopg.Error:
                self.over.wait(0.1)

    def hold(self):
        """A connection with a transaction that has written a row, so that windows do not settle."""
        connection = self.site.connect()
        connection.execute("BEGIN")
        connection.execute(WRITE, [1])
        return connection

    # The store

    def stored(self, export_id):
        """How many files of an attempt have their names, and how many do not yet."""
        folder = os.path.join(self.site.store, export_id[:2])
        try:
            names = [n for n in os.listdir(folder) if n.startswith(f"export-{export_id}.")]
        except FileNotFoundError:
            return 0, 0
        parts = sum(name.endswith(".part") for name in names)
        return len(names) - parts, parts

    def everything(self):
        """All files below the store and the spool, whatever they are called."""
        return sorted(name for top in (self.site.store, self.site.spool)
                      for _, _, names in os.walk(top) for name in names if name != MARK)

    def path(self, name):
        return os.path.join(self.site.store, name[len("export-"):][:2], name)

    # Runs

    def verify(self, run_id):
        """The files of a completed run are what their rows and the manifest say; gives the ids of the
        rows in them."""
        if run_id in self.verified:
            return self.verified[run_id]
        run = self.sql("SELECT export_id::text, file_name, file_size, row_count, job_id FROM udm.run"
                       " WHERE id = %s AND status = 'COMPLETED'", [run_id])[0]
        files = self.sql("SELECT name, part, size, sha256 FROM udm.file WHERE run_id = %s ORDER BY part",
                         [run_id])
        stem = f"export-{run[0]}"
        assert [f[0] for f in files] == [f"{stem}.z{n:02}.smime" for n in range(1, len(files))] + \
            [f"{stem}.zip.smime"], (run, files)
        assert [f[1] for f in files] == list(range(1, len(files) + 1))
        assert run[1] == files[-1][0] and run[2] == sum(f[2] for f in files)
        paths, sums = [], []
        for name, _, size, sha256 in files:
            with open(self.path(name), "rb") as f:
                content = f.read()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (size, sha256), name
            paths.append(self.path(name))
            sums += ["--sha256", sha256]
        ids = self.decrypted(run_id, sums + paths)
        assert len(ids) == run[3] and len(set(ids)) == len(ids), f"run {run_id}: {len(ids)} rows, {run}"
        self.files += len(files)
        self.verified[run_id] = ids
        return ids

    def decrypted(self, run_id, args):
        """udm-decrypt finds no fault; gives the ids, after a look at each row."""
        out = os.path.join(self.site.env.make_directory(self.site.name, "out"), str(run_id))
        program = os.path.join(self.site.env.build, "udm-decrypt")
        done = subprocess.run([program, "-k", self.site.certificate.key_path, "-o", out, *args],
                              env=clean_environment(**self.site.env.sanitizer_environment()),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, f"run {run_id}: {done.stdout}"
        ids = []
        for name in os.listdir(out):
            if name != "META-INF":
                with open(os.path.join(out, name), encoding="utf-8") as f:
                    for row in map(json.loads, f):
                        assert len(row["words"]) == 1280 and row["ccid"] == "acme"
                        ids.append(row["id"])
        shutil.rmtree(out)
        return ids

    def expire(self, files):
        """Lets at least so many files of verified runs be over; gives how many, 0 if there are not
        enough."""
        runs, count = [], 0
        for run_id, has in self.sql("SELECT run_id, count(*) FROM udm.file WHERE removed_at IS NULL"
                                    " GROUP BY run_id HAVING count(*) > 1 ORDER BY count(*) DESC LIMIT %s",
                                    [files]):
            if count >= files:
                break
            self.verify(run_id)
            runs.append(run_id)
            count += has
        if count < files:
            return 0
        self.sql("UPDATE udm.file SET expires_at = now() WHERE run_id = ANY (%s)", [runs])
        return count

    # The end

    def drain(self, timeout):
        """Nothing new; everything that was begun comes to its end."""
        self.over.set()
        self.writer.join()
        end = self.now()
        for job in self.recurring:
            self.wait_watermark(job, end, timeout)
        # A plan that is dropped makes the job CANCELLED, unless a run of it is still to come to its end.
        self.sql("UPDATE udm.job SET next_run_at = NULL WHERE schedule_type = 'recurring'")

        def idle():
            self.site.hint()
            return self.sql("SELECT count(*) FROM udm.job j WHERE next_run_at IS NOT NULL OR EXISTS (SELECT"
                            " FROM udm.run r WHERE r.job_id = j.id AND status IN ('QUEUED', 'IN_PROGRESS'))"
                            )[0][0] == 0
        wait_for(idle, timeout, "all runs to end", interval=0.2)
        wait_for(lambda: self.sql("SELECT count(*) FROM udm.file WHERE purged_at IS NULL"
                                  " AND (removed_at IS NOT NULL OR expires_at < now())")[0][0] == 0,
                 timeout, "what is over to be purged", interval=0.2)
        wait_for(lambda: self.everything() == self.listed(), timeout, "the store to be swept", interval=0.2)

    def listed(self):
        return sorted(name for name, in self.sql("SELECT name FROM udm.file WHERE purged_at IS NULL"))

    def assert_whole(self):
        """After drain(). Gives the figures."""
        assert self.everything() == self.listed()
        runs = self.sql("SELECT id, status, status_reason FROM udm.run ORDER BY id")
        assert [run for run in runs if run[1] != "COMPLETED"] == []
        # The rows of the table are what counts, not what somebody believes to have committed.
        table = dict(self.sql("SELECT id, at FROM churn.event"))
        base = {i for i, at in table.items() if at < LIVE}
        assert len(base) == BASE
        done = dict(self.sql("SELECT object, count(*) FROM udm.audit WHERE action = 'run.complete'"
                             " GROUP BY object"))
        assert done == {str(run[0]): 1 for run in runs}
        assert self.sql("SELECT * FROM udm.audit WHERE action = 'run.fail'") == []
        for job in self.once:
            one, = self.runs(job)
            assert set(self.verify(one["id"])) == base, f"job {job}"
        for job in self.recurring:
            self.assert_once(job, {i: at for i, at in table.items() if at >= LIVE})
        assert set(self.verified) == {run[0] for run in runs}
        shown = set(self.sql("SELECT DISTINCT schedule_type, status FROM udm.job"))
        assert shown <= {("once", "COMPLETED"), ("recurring", "COMPLETED"), ("recurring", "CANCELLED")}
        return (f"{len(runs)} runs completed with up to"
                f" {self.sql('SELECT max(attempt) FROM udm.run')[0][0]} attempts, {self.files} files whole,"
                f" {sum(map(len, self.verified.values()))} rows exported")

    def assert_once(self, job, rows):
        """The windows are one line without gap or overlap; each row is in the one its time says."""
        runs = self.runs(job)
        assert runs[0]["window_from"] == LIVE
        for before, after in zip(runs, runs[1:]):
            assert after["window_from"] == before["window_to"], (before, after)
            assert after["scheduled_at"] > before["scheduled_at"]
        assert self.watermark(job) == runs[-1]["window_to"]
        found = {}
        for run in runs:
            for i in self.verify(run["id"]):
                assert i not in found, f"row {i} was exported twice by job {job}"
                assert run["window_from"] <= rows[i] < run["window_to"], (i, run)
                found[i] = run["id"]
        missing = {i: at for i, at in rows.items() if i not in found}
        assert not missing, f"job {job}: {len(missing)} of {len(rows)} rows are lost: {missing}"

    def close(self):
        self.over.set()
        if self.writer is not None:
            self.writer.join()
        if self.connection is not None:
            self.connection.close()
