"""Sources that change, vanish, hang, or are started anew, before an export and in the middle of one."""
import os
import threading

import pytest

from udmtest.breaking import Remote, Silent, assert_no_growth, ready, remote_cluster
from udmtest.process import wait_for

ROWS = 3000
SMALL = {"max_part_size": "64 KiB"}
FULL = pytest.mark.full
# The settings of a worker in which a hanging source is met once and not again.
ONCE = {"attempts": 1, "slots": 2}
AWAY = 'the source "Gated" does not answer or does not let its reader in'


@pytest.fixture(scope="module")
def cluster(env):
    result = remote_cluster(env)
    yield result
    result.stop()


@pytest.fixture
def remote(queue, cluster):
    """The source Gated in another PostgreSQL; source Near stays in the queue's."""
    with queue.connect() as connection:
        connection.execute("""
            CREATE SCHEMA near;
            CREATE TABLE near.plain AS SELECT n AS id, 'acme'::text AS ccid FROM generate_series(1, 10) n;
            GRANT USAGE ON SCHEMA near TO udm_test_gated;
            GRANT SELECT ON near.plain TO udm_test_gated;
            SELECT udm.register_source('Near', 'DataSync', connection => 'near');
            SELECT udm.register_type('Near', 'Plain', 'near.plain', 'id', tenant_column => 'ccid');
            """)
    queue.write_source("near", queue.env.postgres.dsn(queue.database, "udm_test_gated"))
    result = Remote(queue, cluster)
    yield result
    result.go_on()
    for worker in queue.workers:
        if worker.process is not None and worker.running():
            worker.stop()
        worker.process = None
    result.close()


@pytest.fixture
def silent():
    result = Silent()
    yield result
    result.close()


def near(queue):
    """Something else to do, which is done: the worker's other slot goes on."""
    run = queue.wait_status(queue.add("Plain", source="Near"), "FAILED", "COMPLETED", timeout=120)
    assert run["status"] == "COMPLETED", run


def assert_done(queue, run_id, attempt=1, rows=ROWS):
    run = queue.wait_status(run_id, "COMPLETED", "FAILED", timeout=120)
    assert (run["status"], run["attempt"]) == ("COMPLETED", attempt), run
    assert queue.sql("SELECT row_count FROM udm.run WHERE id = %s", [run_id]) == [(rows,)]
    assert rows == 0 or len(queue.rows_of(run_id)) == rows
    wait_for(lambda: queue.stored() == queue.listed(), 30, "the store to hold what is listed")


def assert_failed(queue, worker, run_id, *words, attempt=1):
    """Failed for a reason with these words, which shows neither SQL nor whereabouts."""
    run = queue.wait_status(run_id, "COMPLETED", "FAILED", timeout=120)
    assert (run["status"], run["attempt"]) == ("FAILED", attempt), run
    for word in words:
        assert word in run["reason"]
    for word in ("SELECT", "COPY", "ERROR", "relation \"", queue.directory, "host=", "user="):
        assert word not in run["reason"], run["reason"]
    assert queue.stored() == queue.listed() and worker.running()
    return run


# What changed before the run

CHANGES = [
    ("DROP TABLE gated.plain CASCADE", ["gated.plain", '"Gated"']),
    ("ALTER TABLE gated.plain DROP COLUMN ccid CASCADE", ["gated.plain", '"Gated"']),
    ("ALTER TABLE gated.plain DROP COLUMN id CASCADE", ["gated.plain", '"Gated"']),
    ("DROP SCHEMA gated CASCADE", ["gated.plain", '"Gated"']),
    ("REVOKE SELECT ON gated.plain FROM udm_test_gated", ["gated.plain", '"Gated"', "may not read"]),
    ("REVOKE USAGE ON SCHEMA gated FROM udm_test_gated", ["gated.plain", '"Gated"', "may not read"]),
    # Of a type that no tenant's id can be compared with.
    ("ALTER TABLE gated.plain ALTER COLUMN ccid TYPE integer USING 0", ["gated.plain", '"Gated"']),
]


@pytest.mark.parametrize("change, words", [pytest.param(*change, marks=FULL if n % 2 else ())
                                           for n, change in enumerate(CHANGES)])
def test_changed_since_it_was_registered(queue, remote, change, words):
    # The view on it would be in the way.
    remote.sql("DROP VIEW gated.held, gated.slow")
    remote.sql(change)
    worker = ready(queue.start_worker(attempts=3, retry_delay=0))
    worker.allow_log("UDM0214")
    assert_failed(queue, worker, queue.add("Plain"), *words)


@FULL
def test_failing_again_and_again_costs_nothing(queue, remote):
    remote.sql("DROP TABLE gated.plain CASCADE")
    worker = ready(queue.start_worker())

    def fail():
        worker.allow_log("UDM0214")
        assert_failed(queue, worker, queue.add("Plain"), "gated.plain")
    assert_no_growth(worker, fail)


# What is changed in the middle of it

@pytest.mark.parametrize("change, rows", [
    ("DROP TABLE gated.plain CASCADE", None), ("TRUNCATE gated.plain", 0),
    pytest.param("ALTER TABLE gated.plain DROP COLUMN words CASCADE", ROWS, marks=FULL),
    pytest.param("ALTER TABLE gated.plain ALTER COLUMN id TYPE bigint", ROWS, marks=FULL)])
def test_changed_in_the_middle(queue, remote, change, rows):
    """Whoever changes a relation waits for the export, which gets all that it began with."""
    remote.sql("CREATE VIEW gated.rest AS SELECT id, ccid, at, CASE WHEN id > 2990 THEN gated.pass() END"
               " AS passed FROM gated.plain; GRANT SELECT ON gated.rest TO udm_test_gated")
    queue.sql("UPDATE udm.data_type SET relation_name = 'rest' WHERE name = 'Held'")
    if "TYPE" in change:
        change = f"DROP VIEW gated.rest, gated.held, gated.slow; {change}"
    worker = ready(queue.start_worker(attempts=1))
    remote.hold()
    run_id = queue.add()
    remote.wait_held()
    changed = threading.Thread(target=remote.sql, args=(change,))
    changed.start()
    wait_for(lambda: remote.sql("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0], 60,
             "the change to wait")
    remote.open()
    assert_done(queue, run_id)
    changed.join(60)
    assert not changed.is_alive()
    run_id = queue.add("Plain")
    if rows is None:
        worker.allow_log("UDM0214")
        assert_failed(queue, worker, run_id, "gated.plain")
    else:
        assert_done(queue, run_id, rows=rows)


def test_read_rights_taken_in_the_middle(queue, remote):
    worker = ready(queue.start_worker(attempts=1))
    remote.hold()
    run_id = queue.add()
    remote.wait_held()
    remote.sql("ALTER ROLE udm_test_gated NOLOGIN")
    try:
        remote.open()
        assert_done(queue, run_id)
        worker.allow_log("UDM0214")
        assert_failed(queue, worker, queue.add("Plain"), AWAY)
    finally:
        remote.sql("ALTER ROLE udm_test_gated LOGIN")
    assert_done(queue, queue.add("Plain"))


# The file that says where it is

def test_connection_file(queue, remote):
    worker = ready(queue.start_worker(attempts=3, retry_delay=0))
    path = os.path.join(queue.sources, "gated")
    with open(path, encoding="utf-8") as f:
        good = f.read()

    def refused(*words, attempt=1):
        worker.allow_log("UDM021[34]")
        assert_failed(queue, worker, queue.add("Plain"), *words, attempt=attempt)
    assert_done(queue, queue.add("Plain"))
    os.chmod(path, 0)
    refused('the connection file "gated" of source "Gated"', "is not readable for the worker")
    os.unlink(path)
    refused('the connection file "gated" of source "Gated"', "does not exist")
    os.mkdir(path)
    refused('the connection file "gated" of source "Gated"', "is not a regular file")
    os.rmdir(path)
    queue.write_source("gated", "this is no libpq string")
    refused('"Gated"', attempt=3)
    # Read anew for each run; no restart is needed.
    queue.write_source("gated", good)
    assert_done(queue, queue.add("Plain"))
    remote.sql("DELETE FROM gated.plain WHERE id > 10")
    other = Remote(queue, remote.cluster)
    try:
        assert_done(queue, queue.add("Plain"))
        remote.connect_to(good)
        assert_done(queue, queue.add("Plain"), rows=10)
    finally:
        other.close()


# A source that hangs. Each way to hang gives the id of a run that is stuck in it.

def hang_in_login(queue, remote, silent):
    """It takes connections and says nothing; libpq gives up after five seconds."""
    remote.connect_to(f"{silent.target} dbname=x user=x")
    run_id = queue.add()
    wait_for(lambda: silent.connections, 60, "the worker to connect")
    return run_id


def hang_before_rows(queue, remote, silent):
    """Somebody has locked the relation."""
    locker = remote.connect()
    locker.execute("BEGIN")
    locker.execute("LOCK TABLE gated.plain IN ACCESS EXCLUSIVE MODE")
    remote.locker = locker
    run_id = queue.add()
    wait_for(lambda: remote.readers("wait_event_type = 'Lock'"), 60, "the worker to wait for the lock")
    return run_id


def hang_in_rows(queue, remote, silent):
    """Its process is stopped in the middle of the rows."""
    remote.hold()
    run_id = queue.add()
    remote.stop(remote.wait_held())
    return run_id


def hang_altogether(queue, remote, silent):
    """So is the process that would take a request to cancel."""
    run_id = hang_in_rows(queue, remote, silent)
    remote.stop(remote.cluster.process.pid)
    return run_id


def settle_hang(remote):
    """It is as it was."""
    remote.go_on()
    remote.open()
    if getattr(remote, "locker", None) is not None:
        remote.locker.close()
        remote.locker = None


STOPS = {
    "cancel": ("UPDATE udm.run SET status = 'CANCELLED', finished_at = now() WHERE id = %s",
               "UPDATE udm.job SET status = 'CANCELLED' WHERE latest_run_id = %s"),
    "suspend": ("UPDATE udm.run SET status = 'SUSPENDED' WHERE id = %s",
                "UPDATE udm.job SET status = 'SUSPENDED', suspended = true WHERE latest_run_id = %s")}


@pytest.mark.parametrize("how", ["cancel", pytest.param("suspend", marks=FULL)])
@pytest.mark.parametrize("hang", [hang_before_rows, hang_in_rows, hang_altogether,
                                  hang_in_login])
def test_a_hanging_source_is_let_go_of(queue, remote, silent, hang, how):
    """While it still hangs: the slot is free, and the other one never was in trouble."""
    worker = ready(queue.start_worker(**ONCE, **SMALL))
    run_id = hang(queue, remote, silent)
    near(queue)
    with queue.connect() as connection:
        with connection.transaction():
            for statement in STOPS[how]:
                connection.execute(statement, [run_id])
    wait_for(lambda: f"UDM0219: run {run_id} stopped: cancelled or suspended" in worker.watch.text(), 60,
             "the run to be let go of")
    for _ in range(3):
        near(queue)
    status = {"cancel": "CANCELLED", "suspend": "SUSPENDED"}[how]
    assert queue.run(run_id)["status"] == status
    assert queue.stored() == queue.listed()
    settle_hang(remote)
    # The server has learnt of it, too.
    wait_for(lambda: not remote.readers(), 60, "nobody to read any more")
    assert worker.running()


@pytest.mark.parametrize("hang", [hang_before_rows, pytest.param(hang_in_rows, marks=FULL),
                                  hang_altogether])
def test_a_worker_ends_though_a_source_hangs(queue, remote, silent, hang):
    """In time, with status 0, and what it did is handed back: no attempt is lost."""
    worker = ready(queue.start_worker(**ONCE, **SMALL))
    run_id = hang(queue, remote, silent)
    # It would be killed after 20 s by its own clock, with another status.
    assert worker.stop(timeout=60) == 0
    assert "UDM0237" not in worker.watch.text()
    run = queue.run(run_id)
    assert (run["status"], run["attempt"], run["job"]) == ("QUEUED", 0, "QUEUED")
    assert queue.stored() == []
    settle_hang(remote)
    ready(queue.start_worker(**SMALL))
    run = queue.wait_status(run_id, "COMPLETED", "FAILED", timeout=120)
    assert (run["status"], run["attempt"]) == ("COMPLETED", 1), run
    assert queue.stored() == queue.listed()


def test_a_hanging_source_does_not_lose_the_lease(queue, remote, silent):
    """It hangs for longer than a lease lasts, and goes on where it was."""
    worker = ready(queue.start_worker(**ONCE))
    run_id = hang_in_rows(queue, remote, silent)
    ready(queue.start_worker(slots=1))
    first = queue.sql("SELECT lease_until FROM udm.run_progress WHERE run_id = %s", [run_id])[0][0]
    # By the clock of the database that much more than one lease has passed.
    wait_for(lambda: queue.sql("SELECT now() > %s + interval '3 s'", [first])[0][0], 120, "a lease's time")
    assert queue.sql("SELECT lease_until > now() FROM udm.run_progress WHERE run_id = %s", [run_id]) == \
        [(True,)]
    near(queue)
    settle_hang(remote)
    assert_done(queue, run_id)
    assert worker.running()


def test_silent_from_the_beginning(queue, remote, silent):
    """A source that takes connections and says nothing is not waited for; nor does that add up."""
    remote.connect_to(f"{silent.target} dbname=x user=x connect_timeout=2")
    worker = ready(queue.start_worker(attempts=2, retry_delay=0, slots=2))
    worker.allow_log("UDM021[34]")
    run_id = queue.add("Plain")
    near(queue)
    assert_failed(queue, worker, run_id, AWAY, attempt=2)
    remote.connect_to(remote.dsn())
    assert_done(queue, queue.add("Plain"))


def test_locked_for_too_long(queue, remote, silent):
    """An attempt does not wait for a lock for ever; the next one finds it open."""
    worker = ready(queue.start_worker(attempts=2, retry_delay=1, slots=2))
    worker.allow_log("UDM0213.*took too long, or gated.held is locked")
    run_id = hang_before_rows(queue, remote, silent)
    near(queue)
    wait_for(lambda: "UDM0213" in worker.watch.text(), 120, "the first attempt to give up")
    settle_hang(remote)
    assert_done(queue, run_id, attempt=2)


# A source that goes away and comes back

@pytest.mark.parametrize("how", ["restart", pytest.param("crash", marks=FULL),
                                 pytest.param("terminate", marks=FULL)])
def test_gone_in_the_middle(queue, remote, how):
    worker = ready(queue.start_worker(attempts=3, retry_delay=1, **SMALL))
    worker.allow_log("UDM0213")
    remote.hold()
    run_id = queue.add()
    pid = remote.wait_held()
    wait_for(queue.stored, 60, "the export to write")
    if how == "terminate":
        remote.sql("SELECT pg_terminate_backend(%s)", [pid])
    else:
        # Whoever holds the gate goes with it.
        remote.cluster.restart(*([] if how == "restart" else [3]))
    wait_for(lambda: "UDM0213" in worker.watch.text(), 60, "the attempt to fail")
    remote.open()
    run = queue.wait_status(run_id, "COMPLETED", "FAILED", timeout=120)
    assert run["status"] == "COMPLETED" and run["attempt"] > 1, run
    assert queue.sql("SELECT row_count FROM udm.run WHERE id = %s", [run_id]) == [(ROWS,)]
    assert queue.stored() == queue.listed() and worker.running()
    assert "UDM0210" not in worker.watch.text()


def test_stays_away(queue, remote):
    worker = ready(queue.start_worker(attempts=2, retry_delay=0, slots=2))
    remote.cluster.stop()
    try:
        worker.allow_log("UDM021[34]")
        assert_failed(queue, worker, queue.add("Plain"), AWAY, attempt=2)
        near(queue)
    finally:
        remote.cluster.start()
    assert_done(queue, queue.add("Plain"))


@FULL
def test_login_refused(queue, remote):
    remote.connect_to(remote.dsn("nobody_at_all"))
    worker = ready(queue.start_worker(attempts=2, retry_delay=0))
    worker.allow_log("UDM021[34]")
    run = assert_failed(queue, worker, queue.add("Plain"), AWAY, attempt=2)
    assert "nobody_at_all" not in run["reason"]
    # For the one who can mend it, the log says more.
    assert 'role "nobody_at_all" does not exist' in worker.watch.text()


@FULL
def test_too_many_connections(queue, remote):
    remote.sql("ALTER ROLE udm_test_gated CONNECTION LIMIT 0")
    worker = ready(queue.start_worker(attempts=5, retry_delay=1))
    try:
        worker.allow_log("UDM0213")
        run_id = queue.add("Plain")
        wait_for(lambda: "UDM0213" in worker.watch.text(), 60, "the first attempt to fail")
        assert "too many connections" in worker.watch.text()
    finally:
        remote.sql("ALTER ROLE udm_test_gated CONNECTION LIMIT -1")
    run = queue.wait_status(run_id, "COMPLETED", "FAILED", timeout=120)
    assert run["status"] == "COMPLETED" and run["attempt"] > 1, run


def test_the_queue_knows_nothing_of_it(queue, remote, silent):
    """Twenty runs of a dead source and twenty of a good one, at once: the good ones do not wait."""
    remote.connect_to("host=/nonexistent dbname=x")
    worker = ready(queue.start_worker(attempts=1, slots=2))
    worker.allow_log("UDM0214")
    bad = [queue.add("Plain") for _ in range(20)]
    good = [queue.add("Plain", source="Near") for _ in range(20)]
    for run_id in good:
        assert queue.wait_status(run_id, "COMPLETED", "FAILED", timeout=120)["status"] == "COMPLETED"
    for run_id in bad:
        assert queue.wait_status(run_id, "COMPLETED", "FAILED", timeout=120)["reason"] == AWAY
    assert worker.running()
