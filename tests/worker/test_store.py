"""The store never changes unnoticed: an empty directory in its place is not taken for it."""
import os
import shutil

import pytest

from udmtest.process import wait_for

DELETE = "removed_at = now(), removal = 'deleted'"
MARK = ".udm-store"


class Volume:
    """The store as a volume that can be unmounted: then an empty directory is in its place."""

    def __init__(self, queue):
        self.path, self.away = queue.store, queue.store + ".away"
        self.account = queue.env.account

    def unmount(self):
        os.rename(self.path, self.away)
        os.mkdir(self.path)
        os.chmod(self.path, 0o2750)
        self.account.own(self.path)

    def mount(self):
        """Fails when anything was written meanwhile."""
        os.rmdir(self.path)
        os.rename(self.away, self.path)


@pytest.fixture
def volume(queue):
    return Volume(queue)


def started(queue, **settings):
    worker = queue.start_worker(**settings)
    wait_for(lambda: "UDM0234" in worker.watch.text(), 30, "the worker to be ready")
    return worker


def wait_said(worker, words, times=1):
    wait_for(lambda: worker.watch.text().count(words) >= times, 30, f"the worker to say {words}")


def since(queue):
    return queue.sql("SELECT store_since FROM udm.installation")[0][0]


def completed(queue, run_id, attempt=1):
    run = queue.wait_status(run_id, "COMPLETED", "FAILED")
    assert (run["status"], run["attempt"]) == ("COMPLETED", attempt), run


def test_the_first_directory_becomes_the_store(queue):
    assert since(queue) is None
    worker = started(queue)
    with open(os.path.join(queue.store, MARK), encoding="ascii") as f:
        assert f.read() == f"{queue.sql('SELECT id FROM udm.installation')[0][0]}\n"
    first = since(queue)
    assert first is not None
    assert worker.watch.text().count("UDM0226") == 1
    worker.stop()
    worker.start()
    wait_said(worker, "UDM0234", 2)
    assert since(queue) == first and worker.watch.text().count("UDM0226") == 1


def test_a_mark_that_was_not_noted_is(queue):
    """Whoever wrote it died before it could note it."""
    worker = started(queue)
    worker.kill()
    queue.sql("UPDATE udm.installation SET store_since = NULL")
    worker.start()
    wait_said(worker, "UDM0234", 2)
    assert since(queue) is not None


def test_not_mounted_at_the_start(queue, volume):
    started(queue).stop()
    volume.unmount()
    process = queue.spawn()
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    line, = [line for line in out.splitlines() if " error: " in line]
    assert "UDM0233" in line and "not mounted?" in line and "SELECT udm.new_store()" in line
    assert f"{queue.store}/{MARK}" in line
    volume.mount()
    started(queue)


def test_not_mounted_while_idle(queue, volume):
    """Nothing is exported into it, and nothing is taken for gone because it is not there."""
    worker = started(queue, slots=2, log_level="debug")
    first = queue.add("Plain")
    completed(queue, first)
    name, = queue.listed()
    volume.unmount()
    worker.allow_log("UDM0222|UDM0240")
    queue.sql(f"UPDATE udm.file SET {DELETE}")
    second = queue.add("Plain")
    wait_said(worker, "UDM0240")
    wait_said(worker, "UDM0222", 4)
    assert worker.watch.text().count(" error: UDM0222") == 1
    assert all("not mounted?" in line for line in worker.watch.text().splitlines() if "UDM0222" in line)
    assert queue.sql("SELECT purged_at FROM udm.file WHERE name = %s", [name]) == [(None,)]
    run = queue.run(second)
    assert (run["status"], run["attempt"]) == ("QUEUED", 0)
    volume.mount()
    completed(queue, second)
    wait_for(lambda: name not in queue.stored(), 30, "the removed file to leave the store")
    wait_for(lambda: queue.sql("SELECT purged_at IS NOT NULL FROM udm.file WHERE name = %s",
                               [name])[0][0], 30, "the purge to be noted")
    assert "UDM0227" in worker.watch.text()
    assert worker.running()


def test_unmounted_in_the_middle_of_a_run(queue, volume):
    queue.hold()
    worker = started(queue, retry_delay=0, max_part_size="64 KiB")
    run_id = queue.add()
    queue.wait_held()
    wait_for(queue.stored, 20, "the export to write")
    volume.unmount()
    worker.allow_log("UDM0213|UDM0222")
    queue.open()
    wait_said(worker, "UDM0213")
    assert "the store was unmounted or replaced meanwhile" in worker.watch.text()
    wait_said(worker, "UDM0222")
    assert queue.run(run_id)["status"] == "QUEUED" and queue.listed() == []
    volume.mount()
    # What was begun there was removed there.
    completed(queue, run_id, attempt=2)
    assert queue.stored() == queue.listed()


def test_a_new_store_on_purpose(queue, volume):
    worker = started(queue)
    completed(queue, queue.add("Plain"))
    volume.unmount()
    worker.allow_log("UDM0222")
    run_id = queue.add("Plain")
    wait_said(worker, "UDM0222")
    assert os.listdir(queue.store) == []
    queue.sql("SELECT udm.new_store()")
    completed(queue, run_id)
    assert MARK in os.listdir(queue.store) and since(queue) is not None
    assert worker.watch.text().count("UDM0226") == 2
    assert queue.sql("SELECT subject, detail->>'since' IS NOT NULL FROM udm.audit"
                     " WHERE action = 'store.new'") == [("udm_admin", True)]
    # It is guarded as the first one was.
    shutil.rmtree(queue.store)
    os.rename(volume.away, queue.store)
    volume.unmount()
    wait_said(worker, " error: UDM0222", 1)
    assert os.listdir(queue.store) == []


def test_an_idle_worker_does_not_hold_the_store(queue):
    """Or nobody could unmount it."""
    worker = started(queue, slots=3)
    completed(queue, queue.add("Plain"))

    def holds():
        found = []
        for fd in os.listdir(f"/proc/{worker.pid}/fd"):
            try:
                found.append(os.readlink(f"/proc/{worker.pid}/fd/{fd}"))
            except FileNotFoundError:
                pass
        return [path for path in found if path.startswith(queue.store)]
    wait_for(lambda: not holds(), 20, "the store to be let go")
