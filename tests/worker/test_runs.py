"""What becomes of a run: done, failed, stopped, interrupted."""
import os
import re
import shutil
import signal

import pytest

from udmtest.process import wait_for
from udmtest.proxy import Proxy

ROWS = 3000
# So small that finished volumes are in the store while the rows still come in.
SMALL = {"max_part_size": "64 KiB"}


def assert_done(queue, run_id, attempt=1):
    """The run is completed, whole, and the store holds what is listed and nothing else."""
    run = queue.wait_status(run_id, "COMPLETED", "FAILED")
    assert run["status"] == "COMPLETED" and run["job"] == "COMPLETED", run
    assert run["attempt"] == attempt
    assert len(queue.rows_of(run_id)) == ROWS
    assert queue.stored() == queue.listed()
    assert queue.sql("SELECT count(*) FROM udm.audit WHERE action = 'run.complete' AND object = %s",
                     [str(run_id)])[0][0] == 1


def test_completes(queue):
    queue.start_worker()
    run_id = queue.add()
    assert_done(queue, run_id)
    assert queue.sql("SELECT percent, rows_done, lease_until IS NULL, row_count, file_size FROM"
                     " udm.run_progress JOIN udm.run ON id = run_id WHERE id = %s", [run_id])[0][:4] == \
        (100, ROWS, True, ROWS)
    assert queue.sql("SELECT r.file_size = sum(f.size) FROM udm.run r JOIN udm.file f ON f.run_id = r.id"
                     " GROUP BY r.file_size")[0][0]


def test_too_many_files(queue):
    """Not tried again, nothing is left, and the owner reads what would do."""
    worker = queue.start_worker(max_parts=3, **SMALL)
    worker.watch.allow("UDM0214")
    run_id = queue.add("Plain")
    run = queue.wait_status(run_id, "FAILED", "COMPLETED")
    assert (run["status"], run["attempt"]) == ("FAILED", 1)
    assert run["reason"] == (
        "the export would have more than 3 files of up to 64KiB, and no more are allowed here: export"
        " less at a time, with a shorter time frame or with filters")
    assert queue.stored() == []


def test_progress_is_noted(queue):
    queue.hold()
    queue.start_worker()
    run_id = queue.add()
    queue.wait_held()
    wait_for(lambda: queue.sql("SELECT percent > 0 AND percent < 100 AND rows_done > 0 AND lease_until >"
                               " now() FROM udm.run_progress WHERE run_id = %s", [run_id])[0][0],
             20, "progress")
    queue.open()
    assert_done(queue, run_id)


def test_a_due_job_gets_its_run(queue):
    queue.start_worker()
    job_id = queue.sql(
        "INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, schedule,"
        " next_run_at, status) VALUES ('acme', 'DataSync', 'Gated', 'Plain', 'later', true, 'once', '{}',"
        " now() + interval '1 second', 'SCHEDULED') RETURNING id")[0][0]
    run_id = wait_for(lambda: queue.sql("SELECT id FROM udm.run WHERE job_id = %s", [job_id]), 30,
                      "the run")[0][0]
    assert_done(queue, run_id)


def test_killed_in_the_middle_another_worker_goes_on(queue):
    """The real time of a lease passes here."""
    queue.hold()
    first = queue.start_worker(**SMALL)
    run_id = queue.add()
    queue.wait_held()
    wait_for(queue.stored, 20, "the first attempt to write")
    queue.start_worker()
    first.kill()
    assert any(name.endswith(".part") for name in queue.stored())
    wait_for(lambda: queue.run(run_id)["attempt"] == 2, 40, "the second attempt")
    queue.open()
    assert_done(queue, run_id, attempt=2)


def test_killed_in_the_middle_and_started_again(queue):
    queue.hold()
    worker = queue.start_worker()
    run_id = queue.add()
    queue.wait_held()
    worker.kill()
    queue.open()
    queue.expire(run_id)
    worker.start()
    assert_done(queue, run_id, attempt=2)


def test_killed_too_often(queue):
    queue.hold()
    worker = queue.worker(attempts=2, **SMALL)
    run_id = queue.add()
    for attempt in (1, 2):
        worker.start()
        wait_for(lambda: queue.run(run_id)["attempt"] == attempt, 30, "the next attempt")
        queue.wait_held()
        wait_for(queue.stored, 20, "the attempt to write")
        worker.kill()
        queue.expire(run_id)
        # The server has not noticed that its reader is gone: at the gate it sends nothing.
        queue.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
                  " AND usename = 'udm_test_gated'", [queue.database])
    worker.allow_log("UDM0214")
    worker.start()
    run = queue.wait_status(run_id, "FAILED")
    assert run["reason"] == "the export was interrupted 2 times"
    assert run["job"] == "FAILED"
    assert queue.stored() == []


def test_sigterm_hands_back(queue):
    queue.hold()
    worker = queue.start_worker(slots=2, **SMALL)
    runs = [queue.add(), queue.add()]
    queue.wait_held(2)
    wait_for(queue.stored, 20, "the exports to write")
    assert worker.stop() == 0
    assert "UDM0230" in worker.watch.text()
    for run_id in runs:
        run = queue.run(run_id)
        assert (run["status"], run["attempt"], run["worker"], run["job"]) == ("QUEUED", 0, None, "QUEUED")
    assert queue.stored() == []
    queue.open()
    queue.start_worker()
    for run_id in runs:
        assert_done_alone(queue, run_id)


def assert_done_alone(queue, run_id):
    run = queue.wait_status(run_id, "COMPLETED", "FAILED")
    assert (run["status"], run["attempt"]) == ("COMPLETED", 1)


def test_two_workers_do_each_run_once(queue):
    runs = [queue.add("Plain") for _ in range(20)]
    queue.start_worker(slots=3)
    queue.start_worker(slots=3)
    for run_id in runs:
        assert_done_alone(queue, run_id)
    assert queue.stored() == queue.listed()
    assert len(queue.listed()) == len(runs)
    assert queue.sql("SELECT count(*), count(DISTINCT object) FROM udm.audit"
                     " WHERE action = 'run.complete'")[0] == (20, 20)


def test_cancelled_in_the_middle(queue):
    queue.hold()
    queue.start_worker(**SMALL)
    run_id = queue.add()
    queue.wait_held()
    wait_for(queue.stored, 20, "the export to write")
    queue.set_run(run_id, "status = 'CANCELLED', status_reason = 'by hand'")
    # The gate stays shut: what ends the wait is the cancel alone.
    wait_for(lambda: queue.stored() == [], 10, "the output to be gone")
    wait_for(lambda: queue.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND usename ="
                               " 'udm_test_gated'", [queue.database])[0][0] == 0, 10, "the reader to end")
    run = queue.run(run_id)
    assert (run["status"], run["reason"]) == ("CANCELLED", "by hand")
    assert_done_alone(queue, queue.add("Plain"))


def test_suspended_in_the_middle(queue):
    queue.hold()
    queue.start_worker()
    run_id = queue.add()
    queue.wait_held()
    queue.set_job(run_id, "suspended = true")
    run = queue.wait_status(run_id, "SUSPENDED")
    assert (run["job"], run["attempt"]) == ("SUSPENDED", 0)
    assert queue.stored() == []
    queue.open()
    queue.set_job(run_id, "suspended = false, status = 'QUEUED'")
    queue.set_run(run_id, "status = 'QUEUED'")
    assert_done(queue, run_id)


def test_a_worker_that_slept_too_long_changes_nothing(queue):
    queue.hold()
    first = queue.start_worker()
    run_id = queue.add()
    queue.wait_held()
    first.process.send_signal(signal.SIGSTOP)
    queue.expire(run_id)
    queue.open()
    queue.start_worker()
    queue.wait_status(run_id, "COMPLETED")
    first.allow_log("UDM0235")
    first.process.send_signal(signal.SIGCONT)
    # In the middle, at the end, or when what it wrote was taken away under its feet.
    wait_for(lambda: re.search("UDM0218|UDM0219|UDM0228", first.watch.text()), 30,
             "the first worker to give up")
    wait_for(lambda: queue.stored() == queue.listed(), 10, "its output to be gone")
    assert_done(queue, run_id, attempt=2)


def test_no_certificate(queue):
    queue.sql("DELETE FROM udm.certificate")
    worker = queue.start_worker()
    worker.allow_log("UDM0214")
    run = queue.wait_status(queue.add("Plain"), "FAILED")
    assert "certificate" in run["reason"] and run["attempt"] == 1
    assert queue.stored() == []
    assert queue.sql("SELECT detail->>'reason' FROM udm.audit WHERE action = 'run.fail'") == \
        [(run["reason"],)]


def test_expired_certificate(queue, make_certificate):
    queue.store_certificate(make_certificate(days=-1))
    worker = queue.start_worker()
    worker.allow_log("UDM0214")
    run = queue.wait_status(queue.add("Plain"), "FAILED")
    assert "expired" in run["reason"] and run["attempt"] == 1


def test_no_connection_file(queue):
    os.unlink(os.path.join(queue.sources, "gated"))
    worker = queue.start_worker()
    worker.allow_log("UDM0214")
    run = queue.wait_status(queue.add("Plain"), "FAILED")
    assert run["reason"] == 'the connection file "gated" of source "Gated" does not exist'
    assert run["attempt"] == 1
    assert queue.sources not in run["reason"]


@pytest.mark.parametrize("role, words", [("udm_httpd", "can use schema udm"),
                                         ("udm_admin", "is a superuser")])
def test_reader_with_too_many_rights(queue, role, words):
    queue.write_source("gated", queue.env.postgres.dsn(queue.database, role))
    worker = queue.start_worker()
    worker.allow_log("UDM0214")
    run = queue.wait_status(queue.add("Plain"), "FAILED")
    assert words in run["reason"] and run["attempt"] == 1


def test_relation_is_gone(queue):
    queue.sql("DROP TABLE gated.plain CASCADE")
    worker = queue.start_worker()
    worker.allow_log("UDM0214")
    run = queue.wait_status(queue.add("Plain"), "FAILED")
    assert "gated.plain" in run["reason"] and run["attempt"] == 1


def test_type_is_not_registered_any_more(queue):
    queue.sql("DELETE FROM udm.data_type WHERE name = 'Plain'")
    worker = queue.start_worker()
    worker.allow_log("UDM0520")
    run = queue.wait_status(queue.add("Plain"), "FAILED", "SUSPENDED")
    assert run == {"status": "SUSPENDED", "job": "SUSPENDED", "attempt": 0, "worker": None,
                   "reason": 'type "Plain" of source "Gated" is not registered any more'}


def test_source_away_is_tried_again(queue):
    queue.write_source("gated", "host=/nonexistent password=hunter2 dbname=x")
    worker = queue.start_worker(attempts=3, retry_delay=0)
    worker.allow_log("UDM021[34]")
    run = queue.wait_status(queue.add("Plain"), "FAILED")
    assert (run["reason"], run["attempt"]) == \
        ('the source "Gated" does not answer or does not let its reader in', 3)
    assert "hunter2" not in worker.watch.text()


def test_source_comes_back(queue):
    queue.write_source("gated", "host=/nonexistent")
    worker = queue.start_worker(attempts=2, retry_delay=1)
    worker.allow_log("UDM0213")
    run_id = queue.add("Plain")
    wait_for(lambda: "UDM0213" in worker.watch.text(), 30, "the first attempt")
    queue.write_source("gated", queue.env.postgres.dsn(queue.database, "udm_test_gated"))
    assert_done(queue, run_id, attempt=2)


def test_read_only_store(queue):
    worker = queue.start_worker(attempts=1)
    wait_for(lambda: "UDM0234" in worker.watch.text(), 30, "the worker to be ready")
    os.chmod(queue.store, 0o2550)
    worker.allow_log("UDM021[234]")
    run_id = queue.add("Plain")
    run = queue.wait_status(run_id, "FAILED")
    os.chmod(queue.store, 0o2750)
    assert run["reason"] == "the store is read-only"
    assert_done(queue, queue.add("Plain"))


def test_spool_is_gone(queue):
    worker = queue.start_worker(attempts=1)
    wait_for(lambda: "UDM0234" in worker.watch.text(), 30, "the worker to be ready")
    shutil.rmtree(queue.spool)
    worker.allow_log("UDM021[34]")
    run = queue.wait_status(queue.add("Plain"), "FAILED")
    assert "spool" in run["reason"]
    assert queue.stored() == []


def test_database_restarts_while_idle(queue):
    worker = queue.start_worker()
    wait_for(lambda: "UDM0234" in worker.watch.text(), 30, "the worker to be ready")
    worker.allow_log("UDM0210")
    queue.env.postgres.restart()
    wait_for(lambda: "UDM0211" in worker.watch.text(), 60, "the worker to be back")
    # Once for each of its connections at most: one may be back before the other is missed.
    assert 1 <= worker.watch.text().count(" error: UDM0210") <= 2
    assert_done(queue, queue.add("Plain"))


def test_database_restarts_in_the_middle(queue):
    queue.hold()
    worker = queue.start_worker(retry_delay=0)
    run_id = queue.add()
    queue.wait_held()
    worker.allow_log("UDM021[0-9]|UDM0235")
    queue.env.postgres.restart()
    queue.open()
    run = queue.wait_status(run_id, "COMPLETED", "FAILED", timeout=90)
    assert run["status"] == "COMPLETED", run
    assert len(queue.rows_of(run_id)) == ROWS
    assert queue.stored() == queue.listed()


def test_connection_lost_while_completing(queue):
    """The files are there, the row is not yet: that is tried again, not exported again."""
    worker = queue.start_worker()
    wait_for(lambda: "UDM0234" in worker.watch.text(), 30, "the worker to be ready")
    worker.allow_log("UDM0210")
    with queue.connect() as blocker:
        with blocker.transaction():
            blocker.execute("LOCK TABLE udm.file IN ACCESS EXCLUSIVE MODE")
            run_id = queue.add("Plain")
            waiting = wait_for(lambda: queue.sql(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s AND usename = 'udm_worker'"
                " AND wait_event_type = 'Lock' AND query LIKE '%%INSERT INTO udm.file%%'",
                [queue.database]), 30, "the completion to wait")
            queue.sql("SELECT pg_terminate_backend(%s, 5000)", [waiting[0][0]])
            wait_for(lambda: "UDM0210" in worker.watch.text(), 30, "the worker to notice")
    assert_done(queue, run_id)


@pytest.mark.parametrize("refused", [False, True])
def test_completed_without_an_answer(queue, refused):
    """The way to the database breaks while it completes the run; and perhaps, when it is there again,
    it refuses to say what became of that: what may be completed is not removed."""
    queue.hold()
    proxy = Proxy(queue.env, queue.database, "udm_worker")
    worker = queue.start_worker(database=proxy.dsn)
    worker.allow_log("UDM0210|UDM0217" if refused else "UDM0210")
    run_id = queue.add()
    queue.wait_held()
    with queue.connect() as blocker:
        with blocker.transaction():
            blocker.execute("SELECT FROM udm.job FOR UPDATE")
            queue.open()
            wait_for(lambda: queue.sql(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s AND usename = 'udm_worker'"
                " AND wait_event_type = 'Lock' AND query LIKE '%%INSERT INTO udm.file%%'",
                [queue.database]), 30, "the completion to wait")
            proxy.cut()
            wait_for(lambda: "UDM0210" in worker.watch.text(), 30, "the worker to notice")
    queue.wait_status(run_id, "COMPLETED")
    if refused:
        queue.sql("REVOKE UPDATE ON udm.run FROM udm_worker")
    proxy.open()
    words = "UDM0217" if refused else "UDM0216"
    wait_for(lambda: words in worker.watch.text(), 60, "the worker to end the run")
    if refused:
        queue.sql("GRANT UPDATE ON udm.run TO udm_worker")
    assert_done(queue, run_id)
    assert queue.wait_status(queue.add("Plain"), "COMPLETED", "FAILED")["status"] == "COMPLETED"
