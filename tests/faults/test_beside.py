"""Trouble beside: somebody holds, floods or freezes what is shared, and others go on as if nothing were."""
import os
import signal
import time

import pytest

from udmtest.process import wait_for

LEASE = 10  # seconds
SMALL = "bray"  # a contact centre that wants little


@pytest.fixture
def others(queue):
    queue.add_centre(SMALL)
    return queue


class Lock:
    """Somebody at psql, in the middle of a transaction."""

    def __init__(self, queue, *statements):
        self.connection = queue.connect(autocommit=False)
        for statement, parameter in statements:
            self.connection.execute(statement, [parameter])

    def release(self):
        self.connection.close()


def lease(queue, run_id):
    return queue.sql("SELECT lease_until FROM udm.run_progress WHERE run_id = %s", [run_id])[0][0]


def wait_renewed(queue, runs):
    """Until the lease of each run lasts for longer than it did when this began, by more than a lease."""
    for run_id, first in [(run_id, lease(queue, run_id)) for run_id in runs]:
        wait_for(lambda: (lease(queue, run_id) - first).total_seconds() > LEASE + 2, 4 * LEASE,
                 f"the lease of run {run_id} to be renewed")


def backends(queue, duty=None):
    """The worker's connections: {pid: application_name}."""
    return {pid: name for pid, name in queue.sql(
        "SELECT pid, application_name FROM pg_stat_activity WHERE datname = %s AND usename = 'udm_worker'",
        [queue.database]) if duty is None or name == f"udm-worker {duty}"}


def done(queue, run_id, timeout=60):
    run = queue.wait_status(run_id, "COMPLETED", "FAILED", timeout=timeout)
    assert (run["status"], run["attempt"]) == ("COMPLETED", 1), run


@pytest.mark.parametrize("what", ["run", "job"])
def test_somebody_holds_a_run_that_goes_on(queue, what):
    """For longer than a lease: neither that run nor the one in the other slot loses its lease."""
    queue.hold()
    worker = queue.start_worker(slots=2)
    runs = [queue.add(), queue.add()]
    queue.wait_held(2)
    lock = Lock(queue, (f"SELECT FROM udm.{what} WHERE id = (SELECT {'id' if what == 'run' else 'job_id'}"
                        " FROM udm.run WHERE id = %s) FOR UPDATE", runs[0]))
    wait_renewed(queue, runs)
    lock.release()
    queue.open()
    for run_id in runs:
        done(queue, run_id)
    assert "UDM0235" not in worker.watch.text()


@pytest.mark.parametrize("what", ["run", "run_progress", "job"])
def test_somebody_holds_what_waits(queue, what):
    """The queue does not stand: what comes after it is exported meanwhile."""
    worker = queue.worker()
    held = queue.add("Plain")
    column = {"run": "id", "run_progress": "run_id", "job": "id"}[what]
    lock = Lock(queue, (f"SELECT FROM udm.{what} WHERE {column} = (SELECT"
                        f" {'job_id' if what == 'job' else 'id'} FROM udm.run WHERE id = %s) FOR UPDATE", held))
    worker.start()
    for _ in range(3):
        done(queue, queue.add("Plain"))
    assert queue.run(held)["status"] == "QUEUED"
    lock.release()
    done(queue, held)


def test_thousands_of_jobs_are_due_at_once(others, figures):
    """Leases are renewed meanwhile, another contact centre's job gets its turn, and SIGTERM is heard."""
    queue = others
    queue.hold()
    worker = queue.start_worker()
    held = queue.add()
    queue.wait_held()
    insert = ("INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, schedule,"
              " next_run_at, status) SELECT %s, 'DataSync', 'Gated', 'Plain', 'due', true, 'once', '{}',"
              " now() + n * interval '1 us', 'SCHEDULED' FROM generate_series(1, %s) n RETURNING id")
    with queue.connect() as connection, connection.transaction():
        connection.execute(insert, ["acme", 60000])
        job = connection.execute(insert, [SMALL, 1]).fetchone()[0]
    begin = time.monotonic()
    done(queue, queue.wait_job(job))
    small = time.monotonic() - begin
    first = lease(queue, held)
    wait_for(lambda: (lease(queue, held) - first).total_seconds() > 5, LEASE, "the lease to be renewed")
    left = queue.sql("SELECT count(*) FROM udm.job WHERE next_run_at IS NOT NULL")[0][0]
    begin = time.monotonic()
    assert worker.stop() == 0
    end = time.monotonic() - begin
    figures(f"60,000 jobs due at once: another one's after {small:.1f} s; {left} left at SIGTERM,"
            f" which took {end:.1f} s")
    run = queue.run(held)
    assert (run["status"], run["attempt"]) == ("QUEUED", 0)
    assert left > 0 and "UDM0235" not in worker.watch.text()


@pytest.mark.parametrize("duty", ["leases", "planner", "purger"])
def test_a_backend_stands_still(queue, figures, duty):
    """One of the worker's connections does not answer any more: the others' work goes on, and it ends."""
    queue.hold()
    worker = queue.start_worker(slots=2)
    worker.allow_log("UDM0210")
    held = queue.add()
    queue.wait_held()
    pid, = wait_for(lambda: backends(queue, duty), 30, f"the {duty}")
    os.kill(pid, signal.SIGSTOP)
    try:
        done(queue, queue.add("Plain"))
        wait_renewed(queue, [held])
        # A new one takes over.
        wait_for(lambda: set(backends(queue, duty)) - {pid}, 60, f"another connection of the {duty}")
        (other,) = set(backends(queue, duty)) - {pid}
        os.kill(other, signal.SIGSTOP)
        try:
            begin = time.monotonic()
            assert worker.stop() == 0
            end = time.monotonic() - begin
        finally:
            os.kill(other, signal.SIGCONT)
    finally:
        os.kill(pid, signal.SIGCONT)
    figures(f"with a frozen {duty} SIGTERM took {end:.1f} s")
    run = queue.run(held)
    assert (run["status"], run["attempt"]) == ("QUEUED", 0)
    assert "UDM0235" not in worker.watch.text() and "UDM0237" not in worker.watch.text()
    assert end < LEASE


def test_the_slots_backends_stand_still(queue, figures):
    """What runs keeps its lease, and is handed back by another connection."""
    queue.hold()
    worker = queue.start_worker(slots=2)
    worker.allow_log("UDM0210")
    held = queue.add()
    queue.wait_held()
    frozen = wait_for(lambda: len(backends(queue, "slot")) == 3 and backends(queue, "slot"), 30, "all slots")
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_renewed(queue, [held])
        begin = time.monotonic()
        assert worker.stop() == 0
        figures(f"with frozen slots SIGTERM took {time.monotonic() - begin:.1f} s")
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    run = queue.run(held)
    assert (run["status"], run["attempt"]) == ("QUEUED", 0)


def test_one_has_all_slots(others, figures):
    """25 long exports of one contact centre beside a small one of another."""
    queue = others
    queue.hold()
    queue.start_worker(slots=2)
    for _ in range(25):
        queue.add()
    queue.wait_held(2)
    begin = time.monotonic()
    done(queue, queue.add("Plain", ccid=SMALL))
    figures(f"beside 25 long exports a small one took {time.monotonic() - begin:.1f} s")
    assert queue.readers("query LIKE 'COPY%%'") == 2


def test_one_has_a_long_queue(others, figures):
    """10,000 small ones wait, and 200 are due every second: another one's comes with the next turns."""
    queue = others
    with queue.connect() as connection:
        connection.execute(
            "INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, schedule,"
            " next_run_at, status) SELECT 'acme', 'DataSync', 'Gated', 'Plain', 'due', true, 'recurring',"
            " '{\"cron\": \"* * * * * ?\", \"type\": \"recurring\"}', now(), 'SCHEDULED'"
            " FROM generate_series(1, 200)")
        connection.execute(
            "WITH r AS (INSERT INTO udm.run (job_id, ccid, source, type, title, window_all)"
            " SELECT -n, 'acme', 'Gated', 'Plain', 'x', true FROM generate_series(1, 10000) n RETURNING id)"
            " INSERT INTO udm.run_progress (run_id) SELECT id FROM r")
    worker = queue.start_worker(slots=2)
    wait_for(lambda: queue.sql("SELECT count(*) FROM udm.run WHERE status = 'COMPLETED'")[0][0] > 5, 60,
             "exports to go on")
    begin = time.monotonic()
    small = queue.add("Plain", ccid=SMALL)
    done(queue, small)
    seconds = time.monotonic() - begin
    before = queue.sql("SELECT count(*) FROM udm.run r, udm.run s WHERE s.id = %s AND r.id <> s.id"
                       " AND r.started_at BETWEEN s.created_at AND s.started_at", [small])[0][0]
    figures(f"beside a long queue a small one took {seconds:.1f} s, behind {before} others")
    assert before <= 4
    worker.stop()


def test_the_server_becomes_read_only(queue):
    """A failover: every connection leaves the server that takes no changes, the listening one, too."""
    worker = queue.start_worker(database=queue.env.postgres.dsn(queue.database, "udm_worker")
                                + " target_session_attrs=read-write")
    worker.allow_log("UDM0210")
    done(queue, queue.add("Plain"))
    before = wait_for(lambda: len(backends(queue)) == 5 and set(backends(queue)), 30, "all connections")
    postgres = queue.env.postgres
    try:
        postgres.sql("ALTER SYSTEM SET default_transaction_read_only = on")
        postgres.sql("SELECT pg_reload_conf()")
        wait_for(lambda: not before & set(backends(queue)), 60, "all connections to be left")
    finally:
        postgres.sql("ALTER SYSTEM RESET default_transaction_read_only")
        postgres.sql("SELECT pg_reload_conf()")
    wait_for(lambda: len(backends(queue)) == 5, 60, "all connections to be back")
    done(queue, queue.add("Plain"))
    assert queue.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name ="
                     " 'udm-worker planner'", [queue.database])[0][0] == 1
