"""Files that are removed or expired leave the store, whatever else the worker does."""
import os
import shutil
import time

import pytest

from udmtest.process import wait_for

DELETE = "removed_at = now(), removal = 'deleted'"


def exported(queue, count=1):
    """Runs exports; gives the names of their files."""
    runs = [queue.add("Plain") for _ in range(count)]
    for run_id in runs:
        assert queue.wait_status(run_id, "COMPLETED", "FAILED")["status"] == "COMPLETED"
    names = queue.listed()
    assert len(names) == count and queue.stored() == names
    return names


def set_file(queue, name, assignment):
    queue.sql(f"UPDATE udm.file SET {assignment} WHERE name = %s", [name])


def purged(queue, name):
    return queue.sql("SELECT purged_at IS NOT NULL FROM udm.file WHERE name = %s", [name])[0][0]


def wait_purged(queue, name):
    begin = time.monotonic()
    wait_for(lambda: name not in queue.stored(), 30, f"{name} to leave the store", 0.02)
    wait_for(lambda: purged(queue, name), 30, f"{name} to be noted as gone", 0.02)
    return time.monotonic() - begin


def path_of(queue, name):
    return os.path.join(queue.store, name[len("export-"):][:2], name)


@pytest.mark.parametrize("assignment, removal", [(DELETE, "deleted"),
                                                 ("expires_at = now()", "expired")])
def test_a_file_leaves_the_store(queue, record_property, assignment, removal):
    queue.start_worker()
    gone, stays = exported(queue, 2)
    set_file(queue, gone, assignment)
    seconds = wait_purged(queue, gone)
    record_property("seconds", f"{seconds:.2f}")
    print(f"{removal}: out of the store after {seconds:.2f} s")
    assert queue.stored() == [stays]
    rows = queue.sql("SELECT removal, removed_at <= purged_at FROM udm.file WHERE name = %s", [gone])
    assert rows == [(removal, True)]
    assert queue.sql("SELECT count(*) FROM udm.audit WHERE action = 'file.expire' AND object = %s"
                     " AND ccid = 'acme'", [gone])[0][0] == (1 if removal == "expired" else 0)
    assert not purged(queue, stays)


def test_slots_that_are_busy_do_not_keep_it(queue):
    worker = queue.start_worker(slots=1)
    name, = exported(queue)
    queue.hold()
    run_id = queue.add()
    queue.wait_held()
    set_file(queue, name, DELETE)
    wait_purged(queue, name)
    assert queue.run(run_id)["status"] == "IN_PROGRESS"
    queue.open()
    assert queue.wait_status(run_id, "COMPLETED", "FAILED")["status"] == "COMPLETED"
    assert "UDM0241" in worker.watch.text()


def test_what_was_removed_while_nothing_ran(queue):
    worker = queue.start_worker()
    first, second, third = exported(queue, 3)
    worker.stop()
    set_file(queue, first, DELETE)
    set_file(queue, second, "expires_at = now() - interval '1 day'")
    # Gone already, by somebody's hand or by a worker that died before it could note it.
    set_file(queue, third, DELETE)
    os.unlink(path_of(queue, third))
    worker.start()
    for name in (first, second, third):
        wait_purged(queue, name)
    assert queue.stored() == []


def complaints(worker, level=""):
    return worker.watch.text().count(f"{level}: UDM0240")


def wait_complaint(worker):
    """Until one more turn has found that something stays."""
    before = complaints(worker)
    wait_for(lambda: complaints(worker) > before, 30, "the worker to try it")


def test_one_that_cannot_be_removed_does_not_hold_up_the_others(queue):
    worker = queue.start_worker(log_level="debug")
    names = exported(queue, 4)
    stuck = names[0]
    folder = os.path.dirname(path_of(queue, stuck))
    others = [n for n in names[1:] if os.path.dirname(path_of(queue, n)) != folder]
    os.chmod(folder, 0o550)
    worker.allow_log("UDM0240")
    set_file(queue, stuck, DELETE)
    wait_complaint(worker)
    for name in others:
        set_file(queue, name, DELETE)
        wait_purged(queue, name)
    wait_complaint(worker)
    assert not purged(queue, stuck) and stuck in queue.stored()
    # Each turn tries it again, and it is said once a minute.
    assert complaints(worker, " error") == 1 < complaints(worker)
    os.chmod(folder, 0o2750)
    wait_purged(queue, stuck)
    assert worker.running()


def test_a_store_that_is_away_is_no_empty_store(queue):
    """A file is not taken for gone because its store is not mounted, or another one is."""
    worker = queue.start_worker(log_level="debug")
    name, = exported(queue)
    worker.allow_log("UDM0240|UDM0222")
    away = queue.store + ".away"
    os.rename(queue.store, away)
    set_file(queue, name, DELETE)
    wait_complaint(worker)
    assert not purged(queue, name)
    other = queue.store + ".other"
    os.mkdir(other, 0o755)
    with open(os.path.join(other, ".udm-store"), "w", encoding="ascii") as f:
        f.write("another installation\n")
    os.rename(other, queue.store)
    wait_for(lambda: "another installation" in worker.watch.text(), 30, "the worker to meet it")
    assert not purged(queue, name)
    shutil.rmtree(queue.store)
    os.rename(away, queue.store)
    wait_purged(queue, name)
    assert worker.running()


def test_two_workers_at_once(queue):
    for _ in range(2):
        queue.start_worker(slots=2)
    names = exported(queue, 12)
    queue.sql(f"UPDATE udm.file SET {DELETE}")
    for name in names:
        wait_purged(queue, name)
    assert queue.stored() == []


def test_retries_are_forgotten(queue):
    queue.sql("INSERT INTO udm.idempotency (ccid, version, key, body_sha256, job_id, source, type, answer,"
              " created_at) SELECT 'acme', 'v10', n, repeat('0', 64), 1, 'Gated', 'Plain', '{}',"
              " now() - n * interval '23 hours' FROM generate_series(1, 2) n")
    queue.start_worker()
    wait_for(lambda: queue.sql("SELECT key FROM udm.idempotency") == [("1",)], 30,
             "the older one to be forgotten")
