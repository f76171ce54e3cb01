"""Orphans leave the store: what belongs to no run and to no list of files, after a while."""
import os
import uuid

from udmtest.process import wait_for

MARK = ".udm-store"
# Swept again and again; what nothing is known of stays for a day, what is over may go at once.
SETTINGS = {"sweep_interval": 1, "dead_attempt_age": 0, "log_level": "debug"}


def put(queue, export_id=None, end="zip.smime", folder=None, name=None):
    """Writes a file into the store, as somebody who died; gives its name."""
    name = name or f"export-{export_id or uuid.uuid4()}.{end}"
    folder = os.path.join(queue.store, folder if folder is not None else name[len("export-"):][:2])
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o2750)
    queue.env.account.own(folder)
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as f:
        f.write("x")
    queue.env.account.own(path)
    return name


def sweeps(worker):
    return worker.watch.text().count("UDM0242")


def wait_swept(worker):
    """Until a sweep that began after now is over."""
    before = sweeps(worker)
    wait_for(lambda: sweeps(worker) >= before + 2, 30, "a sweep")


def export_id(queue, run_id):
    return queue.sql("SELECT export_id::text FROM udm.run WHERE id = %s", [run_id])[0][0]


def exported(queue, data_type="Plain"):
    run_id = queue.add(data_type)
    assert queue.wait_status(run_id, "COMPLETED", "FAILED")["status"] == "COMPLETED"
    return run_id


def test_what_is_over_goes_and_the_rest_stays(queue):
    worker = queue.start_worker(**SETTINGS)
    run_id = exported(queue)
    listed = queue.listed()
    over = queue.sql("INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, status, export_id)"
                     " SELECT 1000000 + n, 'acme', 'Gated', 'Plain', 'x', true, s, gen_random_uuid()"
                     " FROM unnest('{CANCELLED,FAILED,COMPLETED}'::text[]) WITH ORDINALITY AS u (s, n)"
                     " RETURNING export_id::text")
    gone = [put(queue, e, end) for e, in over for end in ("zip.smime", "z01.smime", "1.part")]
    # Another part of a completed run than those that it has, and parts of unknown attempts.
    gone += [put(queue, export_id(queue, run_id), "z01.smime"), put(queue, end="1.part"),
             put(queue, end="12345.part")]
    stays = [put(queue), put(queue, end="z02.p7m")]
    foreign = [put(queue, name="notes.txt", folder=""), put(queue, name="notes.txt", folder="0b"),
               put(queue, folder=""), put(queue, name="export-x.zip.smime", folder="ab"),
               put(queue, name=f"export-{uuid.uuid4()}.1.part.bak", folder="cd"),
               put(queue, name=f"export-{uuid.uuid4()}.zip", folder="ef"),
               put(queue, name=f"EXPORT-{uuid.uuid4()}.1.part", folder="00")]
    wait_for(lambda: not set(gone) & set(queue.stored()), 30, "the orphans to be gone")
    wait_swept(worker)
    assert queue.stored() == sorted(listed + stays + foreign)
    assert os.path.exists(os.path.join(queue.store, MARK))
    # What was taken out is said, once; sweeps that removed nothing are not.
    lines = [line for line in worker.watch.text().splitlines() if " info: UDM0242" in line]
    assert sum(int(line.split("store: ")[1].split()[0]) for line in lines) == len(gone)
    assert 0 < len(lines) < sweeps(worker)
    worker.stop()
    # A day later; and what is listed is not touched, whatever its age.
    worker.settings["orphan-age"] = 0
    worker.start()
    wait_swept(worker)
    assert queue.stored() == sorted(listed + foreign)


def test_young_ones_stay(queue):
    worker = queue.start_worker(sweep_interval=1, log_level="debug")
    run_id = exported(queue)
    queue.sql("DELETE FROM udm.file")
    listed = queue.stored()
    names = [put(queue), put(queue, end="1.part"), put(queue, export_id(queue, run_id), "z01.smime")]
    # The time of a file's contents does not tell how long it is here.
    for name in names:
        os.utime(os.path.join(queue.store, name[len("export-"):][:2], name), (0, 0))
    wait_swept(worker)
    assert queue.stored() == sorted(names + listed)


def test_a_run_in_progress_keeps_what_it_writes(queue):
    queue.hold()
    worker = queue.start_worker(**{**SETTINGS, "orphan_age": 0, "max_part_size": "64 KiB"})
    run_id = queue.add()
    queue.wait_held()
    wait_for(queue.stored, 20, "the export to write")
    parts = queue.stored()
    assert all(name.endswith(".part") for name in parts)
    published = put(queue, export_id(queue, run_id), "z77.smime")
    wait_swept(worker)
    assert set(parts) | {published} <= set(queue.stored())
    queue.open()
    run = queue.wait_status(run_id, "COMPLETED", "FAILED")
    assert (run["status"], run["attempt"]) == ("COMPLETED", 1)
    wait_for(lambda: queue.stored() == queue.listed(), 30, "the surplus to be swept")


def test_a_killed_worker_s_run_is_cancelled(queue):
    """Nobody claims it again, who would remove what it left behind."""
    queue.hold()
    first = queue.start_worker(max_part_size="64 KiB")
    run_id = queue.add()
    queue.wait_held()
    wait_for(queue.stored, 20, "the export to write")
    first.kill()
    assert queue.stored()
    worker = queue.start_worker(**SETTINGS)
    wait_swept(worker)
    assert queue.stored()
    queue.set_run(run_id, "status = 'CANCELLED', finished_at = now()")
    wait_for(lambda: queue.stored() == [], 30, "its parts to be swept")
    assert worker.running()


def test_removed_files_are_the_purge_s(queue):
    """One that is to leave the store is noted when it has left it; one that is there after that is
    an orphan."""
    worker = queue.start_worker(**SETTINGS)
    exported(queue)
    name, = queue.listed()
    queue.sql("UPDATE udm.file SET removed_at = now(), removal = 'deleted'")
    wait_for(lambda: queue.sql("SELECT purged_at IS NOT NULL FROM udm.file")[0][0], 30, "the purge")
    put(queue, name=name)
    wait_for(lambda: name not in queue.stored(), 30, "it to be swept")
    wait_for(lambda: "out of the store: 1 of 1 objects" in worker.watch.text(), 30, "it to be said")


def test_more_than_a_batch(queue):
    """Those that nothing is known of are not yet old enough."""
    worker = queue.worker(**SETTINGS)
    for n in range(600):
        put(queue, f"00000000-0000-4000-8000-{n:012d}", "1.part")
        put(queue, f"ff000000-0000-4000-8000-{n:012d}")
    worker.start()
    wait_for(lambda: sweeps(worker) > 0, 60, "the first sweep")
    assert "orphans taken out of the store: 600 of 1200 objects" in worker.watch.text()
    assert len(queue.stored()) == 600


def test_one_that_cannot_be_removed_does_not_keep_the_others(queue):
    worker = queue.worker(**SETTINGS)
    stuck = put(queue, "00000000-0000-4000-8000-000000000000", "1.part")
    other = put(queue, "10000000-0000-4000-8000-000000000000", "1.part")
    hidden = put(queue, "08000000-0000-4000-8000-000000000000", "1.part")
    os.chmod(os.path.join(queue.store, "00"), 0o550)
    os.chmod(os.path.join(queue.store, "08"), 0)
    worker.allow_log("UDM0240")
    worker.start()
    wait_for(lambda: "UDM0242" in worker.watch.text(), 30, "a sweep")
    assert "UDM0240" in worker.watch.text() and "out of the store: 1 of" in worker.watch.text()
    os.chmod(os.path.join(queue.store, "08"), 0o2750)
    assert queue.stored() == sorted([stuck, hidden])
    os.chmod(os.path.join(queue.store, "00"), 0o2750)
    wait_for(lambda: queue.stored() == [], 30, "the others to be swept")
    assert other not in queue.stored()
