"""A table that is written to while recurring jobs export it, and what they have exported."""
import json
import os
import random
import subprocess
import threading

from .crypto import smime_decrypt
from .process import wait_for

SCHEMA = """
CREATE SCHEMA stream;
CREATE TABLE stream.event (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ccid text NOT NULL,
                           at timestamptz NOT NULL);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'udm_test_stream') THEN
        CREATE ROLE udm_test_stream LOGIN;
    END IF;
END $$;
REVOKE pg_read_all_stats FROM udm_test_stream;
GRANT USAGE ON SCHEMA stream TO udm_test_stream;
GRANT SELECT ON stream.event TO udm_test_stream;
SELECT udm.register_source('Stream', 'DataSync', connection => 'stream');
"""
INSERT = "INSERT INTO stream.event (ccid, at) VALUES ('acme', {}) RETURNING id, at"
EVERY_SECOND = "* * * * * ?"


class Stream:
    """Stream/Event in a site's database; its reader may not see what other roles do."""

    def __init__(self, site, settle_seconds=1):
        self.site = site
        with site.connect() as connection:
            connection.execute(SCHEMA)
            connection.execute(
                "SELECT udm.register_type('Stream', 'Event', 'stream.event', 'id', tenant_column =>"
                " 'ccid', time_column => 'at', settle_seconds => %s)", [settle_seconds])
        site.write_source("stream", site.env.postgres.dsn(site.database, "udm_test_stream"))

    def sql(self, statement, parameters=None):
        return self.site.sql(statement, parameters)

    def let_reader_see(self):
        self.sql("GRANT pg_read_all_stats TO udm_test_stream")

    # Jobs

    def job(self, cron=EVERY_SECOND, source="Stream", data_type="Event", all_rows=False, runs=None):
        """A recurring job, due at the next second, as the API would have made it; gives its id."""
        schedule = {"cron": cron, **({"runs": str(runs)} if runs else {})}
        return self.sql(
            "INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, schedule,"
            " next_run_at, runs_left, status) VALUES ('acme', 'DataSync', %s, %s, 'again', %s,"
            " 'recurring', %s, date_trunc('second', now()) + interval '1 s', %s, 'SCHEDULED') RETURNING id",
            [source, data_type, all_rows, json.dumps(schedule), runs])[0][0]

    def runs(self, job, condition="true"):
        """The job's runs, oldest first, as dictionaries."""
        names = ("id", "status", "scheduled_at", "window_from", "window_to", "settle_barrier",
                 "status_reason", "row_count", "attempt", "started_at", "finished_at", "ready_at")
        rows = self.sql(f"SELECT {', '.join(names)} FROM udm.run WHERE job_id = %s AND {condition}"
                        " ORDER BY id", [job])
        return [dict(zip(names, row)) for row in rows]

    def wait_runs(self, job, count, condition="status = 'COMPLETED'", timeout=60):
        def enough():
            # Workers look every few seconds by themselves; the hint makes them look at once.
            self.site.hint()
            found = self.runs(job, condition)
            return found if len(found) >= count else None
        return wait_for(enough, timeout, f"{count} runs of job {job} with {condition}", interval=0.2)

    def watermark(self, job):
        return self.sql("SELECT watermark FROM udm.job WHERE id = %s", [job])[0][0]

    def now(self):
        return self.sql("SELECT clock_timestamp()")[0][0]

    def wait_clock(self, seconds):
        """Until so many seconds have passed by the clock of the database."""
        since = self.now()
        wait_for(lambda: (self.now() - since).total_seconds() >= seconds, seconds + 60, "the clock",
                 interval=0.2)

    def wait_watermark(self, job, after, timeout=90):
        """Until everything that was stamped before `after` is exported."""
        def past():
            self.site.hint()
            return (self.watermark(job) or after) > after
        wait_for(past, timeout, f"job {job} to come past {after}", interval=0.2)

    # What was exported

    def rows_of(self, run):
        if run["row_count"] == 0:
            return []
        name = self.sql("SELECT name FROM udm.file WHERE run_id = %s", [run["id"]])[0][0]
        path = os.path.join(self.site.store, name[len("export-"):][:2], name)
        target = os.path.join(self.site.env.make_directory(self.site.name, "out"), name)
        smime_decrypt(self.site.certificate.key_path, path, target)
        text = subprocess.run(["unzip", "-p", target, "-x", "META-INF/*"], stdout=subprocess.PIPE,
                              check=True).stdout
        return [json.loads(line) for line in text.splitlines()]

    def assert_each_once(self, job, committed):
        """The windows of the completed runs are one line without gap or overlap, and every row that
        was committed is in just one of them: the one that its time says."""
        runs = self.runs(job, "status = 'COMPLETED'")
        assert runs[0]["window_from"] is None
        for before, after in zip(runs, runs[1:]):
            assert after["window_from"] == before["window_to"], (before, after)
            assert after["window_to"] >= after["window_from"]
        assert self.watermark(job) == runs[-1]["window_to"]
        found = {}
        for run in runs:
            rows = self.rows_of(run)
            assert len(rows) == run["row_count"]
            for row in rows:
                assert row["id"] not in found, f"row {row['id']} was exported twice"
                found[row["id"]] = run
        missing = {i: at for i, at in committed.items() if i not in found}
        assert not missing, f"{len(missing)} of {len(committed)} rows are lost: {missing}"
        assert set(found) == set(committed), "rows that were rolled back are exported"
        for i, run in found.items():
            assert run["window_from"] is None or committed[i] >= run["window_from"]
            assert committed[i] < run["window_to"]


class Writers:
    """Clients that write rows until they are told to stop; `committed` maps ids to times.

    Some commit row by row, some hold their transaction open for longer than a window lasts, some
    roll back; times are those of the transaction or of the moment."""

    def __init__(self, stream, count=3, seed=20261124):
        self.stream, self.committed, self.errors = stream, {}, []
        self.over, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self.main, args=(random.Random(seed + n), n))
                        for n in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def stop(self):
        """Gives a time after the last row's."""
        self.over.set()
        for thread in self.threads:
            thread.join()
        assert not self.errors, self.errors
        return self.stream.now()

    def main(self, rng, number):
        try:
            with self.stream.site.connect() as connection:
                while not self.over.is_set():
                    self.one(connection, rng, hold=number % 2 == 0)
        except Exception as error:  # told by stop()
            self.errors.append(error)

    def one(self, connection, rng, hold):
        connection.execute("BEGIN")
        # The first row comes right after BEGIN: the time of a transaction that writes later is one
        # that the settle time must cover.
        rows = [connection.execute(INSERT.format(rng.choice(["now()", "clock_timestamp()"]))).fetchone()]
        if rng.random() < 0.3:
            connection.execute("SAVEPOINT s")
            connection.execute(INSERT.format("clock_timestamp()"))
            connection.execute("ROLLBACK TO SAVEPOINT s")
        if hold:
            self.over.wait(rng.uniform(0, 3))
            rows.append(connection.execute(INSERT.format("clock_timestamp()")).fetchone())
            rows.append(connection.execute(INSERT.format("now()")).fetchone())
        else:
            self.over.wait(rng.uniform(0, 0.05))
        if rng.random() < 0.15:
            connection.execute("ROLLBACK")
            return
        connection.execute("COMMIT")
        with self.lock:
            self.committed.update(rows)
