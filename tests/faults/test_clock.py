"""Clocks that are set: that of a worker's host, and that of PostgreSQL.

libfaketime is preloaded: the clock is off by what a file says, which is changed while the program runs.
"""
import glob
import os

import pytest

from udmtest.breaking import Remote, ready
from udmtest.env import Environment
from udmtest.postgres import Postgres
from udmtest.process import wait_for
from udmtest.queue import Queue
from udmtest.stream import INSERT, Stream

ROWS = 3000
HOUR, DAY = 3600, 86400


class Clock:
    """The clock of programs that are started with `environment`."""

    def __init__(self, env, name):
        found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if not found:
            pytest.skip("libfaketime is not installed (Debian package libfaketime)")
        if os.environ.get("UDM_SANITIZE"):
            pytest.skip("nothing is preloaded beside a sanitizer")
        self.path = os.path.join(env.make_directory("clock"), name)
        self.set(0)
        # What never is set, is not: neither of a real host.
        self.environment = {"LD_PRELOAD": found[0], "FAKETIME_TIMESTAMP_FILE": self.path,
                            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                            "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DISABLE_SHM": "1"}

    def set(self, seconds):
        """Off by so much from now on."""
        with open(self.path + ".new", "w", encoding="ascii") as f:
            f.write(f"{seconds:+d}\n")
        os.chmod(self.path + ".new", 0o644)
        os.rename(self.path + ".new", self.path)


def assert_done(queue, run_id, attempt=1):
    run = queue.wait_status(run_id, "COMPLETED", "FAILED", timeout=120)
    assert (run["status"], run["attempt"]) == ("COMPLETED", attempt), run


def assert_done_once(queue, run_id):
    run = queue.wait_status(run_id, "COMPLETED", "FAILED", timeout=120)
    assert run["status"] == "COMPLETED", run
    assert queue.sql("SELECT count(*) FROM udm.audit WHERE action = 'run.complete' AND object = %s",
                     [str(run_id)])[0][0] == 1
    assert len(queue.rows_of(run_id)) == ROWS
    return run


# The clock of a worker's host

@pytest.mark.parametrize("first, second", [pytest.param(HOUR, -HOUR, marks=pytest.mark.full), (-DAY, DAY)])
def test_of_a_worker(queue, make_certificate, first, second):
    """Set twice in the middle of everything: no lease is lost, no run doubled, no window moved."""
    # By the clock of the database it is good for as long as this lasts.
    queue.certificate = make_certificate(seconds=DAY // 2)
    queue.store_certificate(queue.certificate)
    clock = Clock(queue.env, queue.name)
    stream = Stream(queue)
    worker = queue.worker(slots=3, retry_delay=1)
    worker.environment = clock.environment
    ready(worker.start())
    # One whose clock is right would take over what this one loses.
    ready(queue.start_worker(slots=1))
    committed = {}
    queue.hold()
    held = queue.add()
    queue.wait_held()
    holder = queue.run(held)["worker"]
    job = stream.job()
    with queue.connect() as connection:
        def write():
            committed.update([connection.execute(INSERT.format("clock_timestamp()")).fetchone()])
        for count, seconds in enumerate((first, second), start=1):
            write()
            before = stream.wait_runs(job, 1)[-1]
            clock.set(seconds)
            wait_for(lambda: worker.watch.text().count("UDM0243") >= count, 60, "the worker to notice")
            lease = queue.sql("SELECT lease_until FROM udm.run_progress WHERE run_id = %s", [held])[0][0]
            write()
            after = stream.wait_runs(job, 2, f"status = 'COMPLETED' AND id > {before['id']}")
            # Jobs are due by the clock of the database.
            for run in after:
                assert run["scheduled_at"] <= run["started_at"] <= stream.now()
                assert (run["started_at"] - run["scheduled_at"]).total_seconds() < HOUR / 2
            wait_for(lambda: queue.sql("SELECT now() > %s + interval '2 s'", [lease])[0][0], 120,
                     "a lease's time")
            run = queue.run(held)
            assert (run["status"], run["attempt"], run["worker"]) == ("IN_PROGRESS", 1, holder)
            assert_done(queue, queue.add("Plain"))
        write()
        end = stream.now()
    stream.wait_watermark(job, end)
    stream.assert_each_once(job, committed)
    queue.open()
    assert_done(queue, held)
    assert_done_once(queue, held)
    assert "its lease" not in worker.watch.text()
    assert queue.sql("SELECT count(*) FROM udm.run WHERE attempt > 1 OR status = 'FAILED'") == [(0,)]
    # What it waits for between attempts it does not wait for by the clock.
    queue.sql("ALTER TABLE gated.plain RENAME TO away")
    queue.write_source("gated", "host=/nonexistent")
    worker.allow_log("UDM0213")
    for other in queue.workers:
        other.allow_log("UDM0213")
    again = queue.add("Plain")
    wait_for(lambda: queue.run(again)["attempt"] == 1 and queue.run(again)["status"] == "QUEUED", 60,
             "the first attempt to fail")
    clock.set(first)
    queue.sql("ALTER TABLE gated.away RENAME TO plain")
    queue.write_source("gated", queue.env.postgres.dsn(queue.database, "udm_test_gated"))
    run = assert_done_once(queue, again)
    assert run["attempt"] > 1
    for other in queue.workers:
        other.allow_log("UDM0213")
    wait_for(lambda: [n for n in queue.stored() if n.endswith(".part")] == [], 30, "the store to be clean")


# The clock of PostgreSQL

@pytest.fixture
def skewed(env):
    """A queue in a PostgreSQL whose clock can be set; its source Gated is in one whose clock is right."""
    own = Environment()
    clock = Clock(own, "postgres")
    own._postgres = cluster = Postgres(own.make_directory("pg"), own.account)
    cluster.create()
    cluster.environment = clock.environment
    cluster.start()
    own.logs.append(cluster.log)
    queue = Queue(own)
    queue.clock = clock
    queue.remote = Remote(queue, env.postgres)
    yield queue
    clock.set(0)
    queue.remote.open()
    queue.close()
    queue.remote.close()
    lines = own.unexpected_log_lines()
    assert not own.close(), "credentials in logs"
    assert not lines, "unexpected in the logs:\n" + "\n".join(lines)


def gaps(runs):
    return [(after["scheduled_at"] - before["scheduled_at"]).total_seconds()
            for before, after in zip(runs, runs[1:])]


def test_of_postgres_forward_and_back(skewed):
    queue, clock = skewed, skewed.clock
    stream = Stream(queue)
    committed = {}
    job = stream.job()
    worker = ready(queue.start_worker(slots=2))
    worker.allow_log("UDM021[0-9]|UDM0235")

    def write():
        committed.update([queue.sql(INSERT.format("clock_timestamp()"))[0]])
    write()
    last = stream.wait_runs(job, 2)[-1]
    clock.set(DAY)
    wait_for(lambda: (stream.now() - last["scheduled_at"]).total_seconds() > DAY / 2, 30,
             "PostgreSQL to see its clock set")
    write()
    stream.wait_watermark(job, stream.now(), timeout=120)
    runs = stream.runs(job)
    # All that was missed is one run.
    assert sum(gap > DAY / 2 for gap in gaps(runs)) == 1
    assert len([run for run in runs if run["id"] > last["id"]]) < HOUR
    stream.assert_each_once(job, committed)
    # Back: what was scheduled is not scheduled again, and everything else goes on.
    clock.set(0)
    wait_for(lambda: stream.now() < runs[-1]["scheduled_at"], 30, "PostgreSQL to see its clock set back")
    wait_for(lambda: not stream.runs(job, "status IN ('QUEUED', 'IN_PROGRESS')")
             or stream.runs(job, "ready_at > now() AND status = 'QUEUED'"), 60, "what runs to end")
    worker.allow_log("UDM021[0-9]|UDM0235")
    quiet = stream.runs(job)
    for _ in range(4):
        assert_done(queue, queue.add("Plain"))
        queue.hint()
    stream.wait_clock(3)
    assert [run["id"] for run in stream.runs(job)] == [run["id"] for run in quiet]
    # Forward once more: it takes up where it was.
    clock.set(2 * DAY)
    write()
    stream.wait_watermark(job, stream.now(), timeout=120)
    stream.assert_each_once(job, committed)
    times = [run["scheduled_at"] for run in stream.runs(job)]
    assert times == sorted(set(times)), "a time was scheduled twice"
    assert worker.running()
    worker.allow_log("UDM021[0-9]|UDM0235")


@pytest.mark.parametrize("steps", [(DAY, 0), pytest.param((-DAY, 0), marks=pytest.mark.full)])
def test_of_postgres_in_the_middle_of_a_run(skewed, steps):
    """Its lease may seem to be over, and somebody else may begin anew: it is completed once."""
    queue, remote = skewed, skewed.remote
    remote.hold()
    run_id = queue.add()
    workers = [ready(queue.start_worker(slots=1, max_part_size="64 KiB")) for _ in range(2)]
    for worker in workers:
        worker.allow_log("UDM0235|UDM021[0-9]")
    remote.wait_held()
    for seconds in steps:
        queue.clock.set(seconds)
        now = queue.sql("SELECT clock_timestamp()")[0][0]
        # Whoever has it then renews a lease that is one of this clock.
        wait_for(lambda: queue.sql("SELECT lease_until BETWEEN now() AND now() + interval '11 s'"
                                   " AND lease_until > %s FROM udm.run_progress WHERE run_id = %s",
                                   [now, run_id])[0][0], 120, "the lease to be renewed")
    remote.open()
    run = queue.wait_status(run_id, "COMPLETED", "FAILED", timeout=120)
    assert run["status"] == "COMPLETED", run
    assert queue.sql("SELECT count(*) FROM udm.audit WHERE action = 'run.complete' AND object = %s",
                     [str(run_id)]) == [(1,)]
    wait_for(lambda: queue.stored() == queue.listed(), 60, "the store to hold what is listed")
    assert queue.sql("SELECT row_count FROM udm.run WHERE id = %s", [run_id]) == [(ROWS,)]
    assert all(worker.running() for worker in workers)


def test_of_postgres_back_when_a_worker_has_died(skewed):
    """Its lease is one of a day that has not come: still nobody waits for longer than a lease."""
    queue, remote = skewed, skewed.remote
    queue.clock.set(DAY)
    first = ready(queue.start_worker())
    remote.hold()
    run_id = queue.add()
    remote.wait_held()
    first.kill()
    queue.clock.set(0)
    wait_for(lambda: queue.sql("SELECT lease_until > now() + interval '1 hour' FROM udm.run_progress"
                               " WHERE run_id = %s", [run_id])[0][0], 30, "the clock to be back")
    ready(queue.start_worker())
    wait_for(lambda: queue.run(run_id)["attempt"] == 2, 90, "the run to be taken over")
    remote.open()
    assert_done_once(queue, run_id)
    assert queue.stored() == queue.listed()
