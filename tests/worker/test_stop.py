"""Cancel, suspend and resume of a run in progress, as the API writes them into the database."""
import time

import pytest

from udmtest.process import wait_for

ROWS = 3000
SMALL = {"max_part_size": "64 KiB"}

CANCEL = ("UPDATE udm.run SET status = 'CANCELLED', status_reason = 'cancelled on request',"
          " finished_at = now() WHERE id = %s",
          "UPDATE udm.job SET status = 'CANCELLED' WHERE latest_run_id = %s")
SUSPEND = ("UPDATE udm.run SET status = 'SUSPENDED' WHERE id = %s",
           "UPDATE udm.job SET status = 'SUSPENDED', suspended = true WHERE latest_run_id = %s")
RESUME = ("UPDATE udm.run SET status = 'QUEUED', worker_id = NULL, ready_at = now(),"
          " attempt = greatest(attempt - 1, 0) WHERE id = %s",
          "UPDATE udm.job SET status = 'QUEUED', suspended = false WHERE latest_run_id = %s")


def change(queue, run_id, *changes):
    """All of it in one transaction."""
    with queue.connect() as connection:
        with connection.transaction():
            for statements in changes:
                for statement in statements:
                    connection.execute(statement, [run_id])


def wait_stopped(queue):
    """Until the server reads nothing more and nothing of the export is left; gives the seconds."""
    begin = time.monotonic()
    wait_for(lambda: queue.readers("state = 'active'") == 0, 30, "the statement to be cancelled", 0.02)
    wait_for(lambda: queue.stored() == [], 30, "the output to be gone", 0.02)
    return time.monotonic() - begin


def assert_done_once(queue, run_id):
    run = queue.wait_status(run_id, "COMPLETED", "FAILED")
    assert (run["status"], run["job"], run["attempt"]) == ("COMPLETED", "COMPLETED", 1), run
    assert len(queue.rows_of(run_id)) == ROWS
    assert queue.stored() == queue.listed()
    assert queue.sql("SELECT count(*) FROM udm.audit WHERE action = 'run.complete' AND object = %s",
                     [str(run_id)])[0][0] == 1


@pytest.mark.parametrize("how, status", [(CANCEL, "CANCELLED"), (SUSPEND, "SUSPENDED")])
def test_a_slow_source_is_stopped(queue, record_property, how, status):
    """The server is in one statement for ten minutes; only a cancel ends it."""
    worker = queue.start_worker(**SMALL)
    run_id = queue.add("Slow")
    queue.wait_held()
    wait_for(queue.stored, 20, "the export to write")
    change(queue, run_id, how)
    seconds = wait_stopped(queue)
    record_property("seconds", f"{seconds:.2f}")
    print(f"{status}: stopped after {seconds:.2f} s")
    assert queue.run(run_id)["status"] == status
    wait_for(lambda: "UDM0219" in worker.watch.text(), 10, "the worker to say so")
    # The slot is free again, and the run stays as it is.
    other = queue.add("Plain")
    assert queue.wait_status(other, "COMPLETED", "FAILED")["status"] == "COMPLETED"
    run = queue.run(run_id)
    assert (run["status"], run["job"]) == (status, status)
    assert queue.stored() == queue.listed()


def test_resumed_it_goes_on(queue):
    queue.hold()
    queue.start_worker(**SMALL)
    run_id = queue.add()
    queue.wait_held()
    wait_for(queue.stored, 20, "the export to write")
    change(queue, run_id, SUSPEND)
    wait_stopped(queue)
    queue.open()
    change(queue, run_id, RESUME)
    run = queue.wait_status(run_id, "COMPLETED", "FAILED")
    assert (run["status"], run["job"], run["attempt"]) == ("COMPLETED", "COMPLETED", 1), run
    assert queue.stored() == queue.listed()
    assert queue.sql("SELECT row_count FROM udm.run WHERE id = %s", [run_id]) == [(ROWS,)]


@pytest.mark.parametrize("slots", [1, 2])
def test_resumed_before_the_worker_has_noticed(queue, slots):
    """The attempt that was under way has lost the run and may not spoil the one that comes after."""
    queue.hold()
    worker = queue.start_worker(slots=slots)
    run_id = queue.add()
    queue.wait_held()
    change(queue, run_id, SUSPEND, RESUME)
    wait_for(lambda: "UDM0219" in worker.watch.text(), 30, "the first attempt to be stopped")
    queue.open()
    assert_done_once(queue, run_id)


def test_suspended_when_all_is_published(queue):
    """Between the last file and the completion: what was published goes again, and is listed nowhere."""
    worker = queue.start_worker()
    worker.allow_log("UDM0210")
    wait_for(lambda: "UDM0234" in worker.watch.text(), 30, "the worker to be ready")
    with queue.connect() as blocker:
        with blocker.transaction():
            blocker.execute("LOCK TABLE udm.file IN ACCESS EXCLUSIVE MODE")
            run_id = queue.add("Plain")
            wait_for(lambda: queue.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND usename = 'udm_worker'"
                " AND wait_event_type = 'Lock' AND query LIKE '%%INSERT INTO udm.file%%'",
                [queue.database])[0][0], 30, "the completion to wait")
            assert [name for name in queue.stored() if name.endswith(".smime")] != []
            change(queue, run_id, SUSPEND)
    wait_stopped(queue)
    run = queue.run(run_id)
    assert (run["status"], run["job"]) == ("SUSPENDED", "SUSPENDED")
    assert queue.listed() == []
    change(queue, run_id, RESUME)
    assert_done_once(queue, run_id)
