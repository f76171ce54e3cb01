"""Disks that are full, read-only or not there: for the store and for the spool."""
import os

import pytest

from udmtest.breaking import Volume, assert_no_growth, ready
from udmtest.process import wait_for

ROWS = 3000
FULL = "the store is full"
FULL_ONLY = pytest.mark.full
# An export of type Plain does not fit into it, one of type Few does.
TIGHT = "1536k"
AMPLE = "64m"
SMALL = {"max_part_size": "64 KiB"}

FEW = """
CREATE VIEW gated.few AS SELECT * FROM gated.plain WHERE id <= 10;
-- Rows of two kinds: those of the second are spooled until those of the first are all written.
CREATE VIEW gated.kinds AS SELECT p.*, CASE WHEN id % 2 = 0 THEN 'b' ELSE 'a' END AS kind FROM gated.plain p;
GRANT SELECT ON gated.few, gated.kinds TO udm_test_gated;
SELECT udm.register_type('Gated', 'Few', 'gated.few', 'id', tenant_column => 'ccid', time_column => 'at');
SELECT udm.register_type('Gated', 'Kinds', 'gated.kinds', 'id', tenant_column => 'ccid',
                         time_column => 'at', subtype_column => 'kind');
SELECT udm.register_sub_type('Gated', 'Kinds', v, v) FROM unnest(ARRAY['a', 'b']) v;
"""


@pytest.fixture
def disks(queue):
    """Makes volumes in place of folders; the queue's data has the types Few and Kinds, too."""
    with queue.connect() as connection:
        connection.execute(FEW)
    volumes = []

    def make(path, size):
        volume = Volume(queue.env, path, size)
        volumes.append(volume)
        return volume
    yield make
    for worker in queue.workers:
        if worker.process is not None and worker.running():
            worker.stop()
        worker.process = None
    for volume in reversed(volumes):
        volume.close()


def on_disk(queue, disks, size, **settings):
    """A worker whose store is a volume."""
    path = queue.store
    volume = disks(path, size)
    queue.store = volume.view
    worker = queue.worker(store=path, **settings)
    worker.prefix = volume.prefix
    return volume, ready(worker.start())


def again(queue, run_id):
    """A new run of the same job."""
    return queue.sql(
        "WITH r AS (INSERT INTO udm.run (job_id, ccid, source, type, title, window_all)"
        " SELECT job_id, ccid, source, type, title, window_all FROM udm.run WHERE id = %s RETURNING id),"
        " p AS (INSERT INTO udm.run_progress (run_id) SELECT id FROM r) SELECT id FROM r",
        [run_id])[0][0]


def failed(queue, run_id, reason, attempts):
    """It has failed for this reason, which tells a person what and nobody where."""
    run = queue.wait_status(run_id, "FAILED", "COMPLETED", timeout=120)
    assert (run["status"], run["reason"], run["attempt"]) == ("FAILED", reason, attempts), run
    assert run["job"] == "FAILED"
    assert "/" not in run["reason"]
    assert queue.sql("SELECT count(*) FROM udm.file WHERE run_id = %s", [run_id]) == [(0,)]
    assert queue.sql("SELECT detail->>'reason' FROM udm.audit WHERE action = 'run.fail' AND object = %s",
                     [str(run_id)]) == [(reason,)]


def completed(queue, run_id, attempt=1, rows=ROWS):
    run = queue.wait_status(run_id, "FAILED", "COMPLETED", timeout=120)
    assert (run["status"], run["attempt"]) == ("COMPLETED", attempt), run
    assert queue.sql("SELECT row_count FROM udm.run WHERE id = %s", [run_id]) == [(rows,)]
    if rows:
        assert len(queue.rows_of(run_id)) == rows


def nothing_but_listed(queue):
    wait_for(lambda: [name for name in queue.stored() if name != "filler"] == queue.listed(), 60,
             "the store to hold what is listed and nothing else")


def test_larger_than_the_store(queue, disks):
    volume, worker = on_disk(queue, disks, TIGHT, attempts=6, retry_delay=0, slots=2)
    worker.allow_log("UDM021[34].*the store is full")
    big = queue.add("Plain")
    failed(queue, big, FULL, 6)
    nothing_but_listed(queue)
    assert queue.listed() == []
    # Small ones go on beside it, and after it; one that meets the full store is tried again.
    bigs = [queue.add("Plain") for _ in range(2)]
    smalls = [queue.add("Few") for _ in range(4)]
    for run_id in smalls:
        run = queue.wait_status(run_id, "FAILED", "COMPLETED", timeout=120)
        assert run["status"] == "COMPLETED", run
        assert len(queue.rows_of(run_id)) == 10
    for run_id in bigs:
        failed(queue, run_id, FULL, 6)
    nothing_but_listed(queue)
    assert len(queue.listed()) == len(smalls)
    volume.resize(AMPLE)
    completed(queue, again(queue, big))
    nothing_but_listed(queue)
    assert worker.running() and "UDM0222" not in worker.watch.text()


def test_in_parts_and_filled_by_another(queue, disks):
    """Some of the parts are whole already when there is no room for the next."""
    volume, worker = on_disk(queue, disks, AMPLE, attempts=1, **SMALL)
    queue.hold()
    run_id = queue.add()
    queue.wait_held()
    wait_for(lambda: sum(name.endswith(".part") for name in queue.stored()) > 3, 60, "parts")
    volume.fill(leave=0)
    worker.allow_log("UDM0214.*the store is full")
    queue.open()
    failed(queue, run_id, FULL, 1)
    nothing_but_listed(queue)
    volume.empty()
    wait_for(lambda: again_completed(queue, run_id), 120, "the same job to complete")
    assert len(queue.listed()) > 3
    nothing_but_listed(queue)
    assert worker.running()


def again_completed(queue, run_id):
    run = queue.wait_status(again(queue, run_id), "FAILED", "COMPLETED", timeout=120)
    assert run["status"] == "COMPLETED", run
    return True


def test_comes_back_between_attempts(queue, disks):
    volume, worker = on_disk(queue, disks, AMPLE, attempts=3, retry_delay=1)
    volume.fill(leave=262144)
    worker.allow_log("UDM0213.*the store is full")
    run_id = queue.add("Plain")
    wait_for(lambda: "UDM0213" in worker.watch.text(), 60, "the first attempt to fail")
    volume.empty()
    run = queue.wait_status(run_id, "FAILED", "COMPLETED", timeout=120)
    assert run["status"] == "COMPLETED" and run["attempt"] > 1, run
    nothing_but_listed(queue)


def test_failing_again_and_again_costs_nothing(queue, disks):
    _, worker = on_disk(queue, disks, TIGHT, attempts=1)

    def fail():
        worker.allow_log("UDM0214.*the store is full")
        failed(queue, queue.add("Plain"), FULL, 1)
    assert_no_growth(worker, fail)
    nothing_but_listed(queue)
    completed(queue, queue.add("Few"), rows=10)


def test_full_spool(queue, disks):
    spool = disks(queue.spool, "256k")
    worker = queue.worker(attempts=1)
    worker.prefix = spool.prefix
    reason = "the spool directory is full"
    # Without room for anything, the worker does not say that it is ready.
    worker.allow_log(f"UDM0233.*{reason}")
    worker.start()
    assert worker.process.wait(60) == 1 and "UDM0234" not in worker.watch.text()
    worker.process = None
    spool.resize(TIGHT)
    ready(worker.start())
    spool.resize("256k")

    def fail():
        worker.allow_log(f"UDM0214.*{reason}")
        failed(queue, queue.add("Kinds"), reason, 1)
    fail()
    # What needs less of it goes on.
    completed(queue, queue.add("Few"), rows=10)
    assert_no_growth(worker, fail, times=10)
    nothing_but_listed(queue)
    spool.resize(AMPLE)
    completed(queue, queue.add("Kinds"))
    assert os.listdir(spool.view) == []


def test_read_only_store(queue, disks):
    volume, worker = on_disk(queue, disks, AMPLE, attempts=2, retry_delay=0)
    first = queue.add("Few")
    completed(queue, first, rows=10)
    volume.read_only(True)
    worker.allow_log("UDM021[34].*the store is read-only")
    worker.allow_log("UDM0240.*the store is read-only")
    queue.sql("UPDATE udm.file SET removed_at = now(), removal = 'deleted'")
    second = queue.add("Plain")
    failed(queue, second, "the store is read-only", 2)
    wait_for(lambda: "UDM0240" in worker.watch.text(), 60, "the removed file to stay")
    assert queue.sql("SELECT purged_at FROM udm.file") == [(None,)]
    volume.read_only(False)
    completed(queue, again(queue, second))
    wait_for(lambda: queue.sql("SELECT count(*) FROM udm.file WHERE removed_at IS NOT NULL"
                               " AND purged_at IS NULL") == [(0,)], 60, "the removed file to go")
    assert len(queue.stored()) == 1 and worker.running()


def test_unmounted_in_the_middle(queue, disks):
    volume, worker = on_disk(queue, disks, AMPLE, retry_delay=0, slots=2, **SMALL)
    queue.hold()
    run_id = queue.add()
    queue.wait_held()
    wait_for(queue.stored, 60, "the export to write")
    volume.unmount()
    below = volume.view
    worker.allow_log("UDM0213|UDM0222")
    queue.open()
    wait_for(lambda: "was unmounted or replaced meanwhile" in worker.watch.text(), 60, "the worker to say so")
    other = queue.add("Few")
    wait_for(lambda: "UDM0222" in worker.watch.text(), 60, "the worker to wait for the store")
    assert os.listdir(below) == [], "something was written below the volume"
    assert queue.run(other)["status"] == "QUEUED" and queue.listed() == []
    volume.mount()
    for run in (run_id, other):
        assert queue.wait_status(run, "FAILED", "COMPLETED", timeout=120)["status"] == "COMPLETED"
    nothing_but_listed(queue)
    assert os.listdir(below) != []
    volume.unmount()
    assert os.listdir(below) == []
    volume.mount()
    assert worker.running()


# Moments at which a disk of a given size is not full

@pytest.mark.parametrize("call, text", [
    ("fsync", ".1.part"),  # the first part cannot be made durable
    pytest.param("fsync", ".7.part", marks=FULL_ONLY),  # one in the middle
    pytest.param("renameat2", ".z01.smime", marks=FULL_ONLY),  # nothing can be published
    ("renameat2", ".zip.smime"),  # all but the last part were
])
def test_full_at_the_end(queue, refuse, call, text):
    rule = os.path.join(queue.directory, "refuse")
    worker = queue.worker(attempts=2, retry_delay=0, **SMALL)
    worker.environment = {"LD_PRELOAD": refuse, "UDM_TEST_REFUSE": rule}
    ready(worker.start())
    with open(rule, "w", encoding="ascii") as f:
        f.write(f"{call} {text}\n")
    worker.allow_log("UDM021[34].*the store is full")
    run_id = queue.add("Plain")
    failed(queue, run_id, FULL, 2)
    assert queue.stored() == []
    os.unlink(rule)
    again_completed(queue, run_id)
    assert len(queue.listed()) > 7
    nothing_but_listed(queue)
    assert worker.running()
