"""How others know of a worker, what it says of what waits, and how it ends what is over."""
import os
import signal
import time

import pytest

from udmtest.process import wait_for

READY, AWAY = "UDM0234", "UDM0222"


def started(queue, **settings):
    worker = queue.start_worker(**settings)
    wait_for(lambda: READY in worker.watch.text(), 30, "the worker to be ready")
    return worker


def workers(queue, columns="state"):
    return queue.sql(f"SELECT {columns} FROM udm.worker ORDER BY started_at, id")


def wait_state(queue, *states):
    wait_for(lambda: workers(queue) == [(s,) for s in states], 30, f"workers to be {states}", 0.02)


# Who works

def test_a_worker_is_known_from_its_begin_to_its_end(queue):
    begin = queue.sql("SELECT now()")[0][0]
    first = started(queue, slots=3)
    wait_state(queue, "ready")
    row = workers(queue, "pid, slots, host, version, started_at, seen_at, id")[0]
    assert row[:3] == (first.pid, 3, os.uname().nodename) and row[3] not in ("", "unknown")
    assert begin <= row[4] <= row[5] and row[6].startswith(f"{os.uname().nodename}/{first.pid}/")
    second = started(queue)
    wait_state(queue, "ready", "ready")
    first.stop()
    assert workers(queue) == [("ended",), ("ready",)]
    second.kill()
    assert workers(queue) == [("ended",), ("ready",)]  # until it is not seen for 30 s
    # Rarely, and at a change.
    seen = workers(queue, "seen_at")[0]
    third = started(queue)
    wait_state(queue, "ended", "ready", "ready")
    assert workers(queue, "seen_at")[0] == seen
    third.stop()


def test_it_is_seen_again_and_again(queue):
    started(queue)
    wait_state(queue, "ready")
    queue.sql("UPDATE udm.worker SET seen_at = '2026-01-01'")
    wait_for(lambda: workers(queue, "seen_at > now() - interval '1 minute'") == [(True,)], 30, "the next beat")


def test_one_without_its_store_says_so(queue):
    worker = started(queue)
    wait_state(queue, "ready")
    worker.allow_log(AWAY)
    worker.allow_log("UDM0240")
    os.rename(queue.store, queue.store + ".away")
    queue.add("Plain")
    wait_state(queue, "no-store")
    os.rename(queue.store + ".away", queue.store)
    wait_state(queue, "ready")


def test_one_that_finishes_takes_no_more(queue):
    """Its supervisor is gone: it finishes what runs, and nobody is to wait for it."""
    queue.hold()
    run = queue.add("Held")
    worker = queue.worker()
    read, write = os.pipe()
    process = queue.spawn("--supervised", settings={}, stdin=read)
    os.close(read)
    text = "".join(f"{name} {value}\n" for name, value in worker.settings.items()) + "end\n"
    os.write(write, text.encode())
    queue.wait_held()
    os.close(write)
    wait_state(queue, "ending")
    queue.open()
    queue.wait_status(run, "COMPLETED")
    process.communicate(timeout=30)
    assert workers(queue) == [("ended",)]


@pytest.mark.parametrize("spoil, words", [
    (lambda path: os.rmdir(path), "there is no spool directory"),
    (lambda path: os.chmod(path, 0o500), "the spool directory cannot be written"),
])
def test_the_spool_is_tried_before_it_is_ready(queue, spoil, words):
    if os.geteuid() == 0 and queue.env.account.popen_args() == {} and "written" in words:
        pytest.skip("root may write everywhere")
    spoil(queue.spool)
    process = queue.spawn()
    text, _ = process.communicate(timeout=30)
    assert process.returncode == 1 and words in text and "UDM0233" in text and READY not in text
    assert workers(queue) == [] or workers(queue) == [("ended",)]
    os.path.isdir(queue.spool) and os.chmod(queue.spool, 0o750)


# What it says of what waits

def test_what_an_attempt_failed_of_stays_with_the_run(queue):
    queue.write_source("gated", "host=/nonexistent password=hunter2 dbname=x")
    worker = queue.start_worker(attempts=3, retry_delay=3600)
    worker.allow_log("UDM0213")
    run_id = queue.add("Plain")
    wait_for(lambda: queue.run(run_id)["reason"], 30, "an attempt to fail")
    run = queue.run(run_id)
    assert (run["status"], run["attempt"], run["job"]) == ("QUEUED", 1, "QUEUED")
    assert run["reason"] == 'the source "Gated" does not answer or does not let its reader in'
    assert "hunter2" not in run["reason"]
    queue.write_source("gated", queue.env.postgres.dsn(queue.database, "udm_test_gated"))
    queue.set_run(run_id, "ready_at = now()")
    assert queue.wait_status(run_id, "COMPLETED")["reason"] is None


# What is over

def test_a_type_that_goes_stops_what_runs(queue):
    worker = started(queue)
    queue.hold()
    run_id = queue.add("Held")
    queue.wait_held()
    queue.sql("DELETE FROM udm.data_type WHERE name = 'Held'")
    run = queue.run(run_id)
    assert (run["status"], run["job"]) == ("SUSPENDED", "SUSPENDED") and "not registered" in run["reason"]
    wait_for(lambda: "UDM0219" in worker.watch.text(), 30, "the export to stop")
    queue.open()
    assert queue.stored() == []
    # Something else goes on.
    assert queue.wait_status(queue.add("Plain"), "COMPLETED", "FAILED")["status"] == "COMPLETED"


def test_another_source_of_the_name_is_not_read(queue):
    """One that has the name of a removed source as its alias is not what the job was about."""
    run_id = queue.add("Plain", source="Gone")
    queue.sql("UPDATE udm.source SET alias = 'Gone' WHERE name = 'Gated'")
    worker = started(queue)
    worker.allow_log("UDM0520")
    run = queue.wait_status(run_id, "SUSPENDED", "COMPLETED", "FAILED")
    assert run["reason"] == 'type "Plain" of source "Gone" is not registered any more'


def test_a_type_that_is_renamed_under_a_run(queue):
    worker = started(queue)
    worker.allow_log("UDM0218|UDM0228")
    queue.hold()
    run_id = queue.add("Held")
    queue.wait_held()
    queue.sql("SELECT udm.rename_type('Gated', 'Held', 'Kept')")
    queue.open()
    assert queue.wait_status(run_id, "COMPLETED", "FAILED")["status"] == "COMPLETED"
    assert queue.sql("SELECT DISTINCT source, type FROM udm.file") == [("Gated", "Kept")]
    assert len(queue.rows_of(run_id)) == 3000


def leave(queue):
    return queue.sql("SELECT udm.remove_tenant('acme', cascade => true)")[0][0]


def rows_left(queue):
    tables = [r[0] for r in queue.sql("SELECT table_name FROM information_schema.columns"
                                      " WHERE table_schema = 'udm' AND column_name = 'ccid' AND table_name <> 'audit'")]
    return {t for t in tables if queue.sql(f"SELECT EXISTS (SELECT FROM udm.{t} WHERE ccid = 'acme')")[0][0]}


def wait_left(queue):
    wait_for(lambda: rows_left(queue) == set(), 60, "the contact centre to be gone", 0.05)
    assert queue.stored() == []
    assert queue.sql("SELECT count(*) FROM udm.audit WHERE ccid = 'acme' AND action = 'tenant.removed'") == [(1,)]


def test_a_contact_centre_leaves(queue):
    worker = started(queue, slots=2)
    for _ in range(3):
        queue.wait_status(queue.add("Plain"), "COMPLETED")
    queue.hold()
    queue.add("Held")
    queue.wait_held()
    assert len(queue.stored()) >= 3
    assert "3 files" in leave(queue)
    wait_left(queue)
    queue.open()
    worker.stop()
    assert queue.stored() == []


def test_a_contact_centre_leaves_whoever_dies_meanwhile(queue):
    """With the store away nothing goes; killed in the middle, the next worker goes on."""
    worker = started(queue)
    for _ in range(4):
        queue.wait_status(queue.add("Plain"), "COMPLETED")
    worker.kill()
    leave(queue)
    assert "run" in rows_left(queue) and len(queue.stored()) == 4
    os.rename(queue.store, queue.store + ".away")
    first = queue.spawn()
    first.communicate(timeout=30)
    os.rename(queue.store + ".away", queue.store)
    assert "run" in rows_left(queue) and len(queue.stored()) == 4
    second = started(queue)
    second.kill()
    started(queue)
    wait_left(queue)


def test_history_ends_after_the_time_that_is_set(queue):
    worker = started(queue)
    runs = [queue.add("Plain") for _ in range(3)]
    for run_id in runs:
        queue.wait_status(run_id, "COMPLETED")
    worker.stop()
    queue.sql("UPDATE udm.run SET created_at = now() - interval '20 days', finished_at = now() - interval '20 days'"
              " WHERE id <> %s", [runs[2]])
    queue.sql("UPDATE udm.job SET created_at = now() - interval '20 days', changed_at = now() - interval '20 days'")
    queue.sql("UPDATE udm.file SET created_at = now() - interval '20 days', expires_at = now() - interval '15 days',"
              " removed_at = now() - interval '15 days', removal = 'expired', purged_at = now() - interval '15 days'"
              " WHERE run_id = %s", [runs[0]])
    queue.sql("INSERT INTO udm.audit (at, action) VALUES (now() - interval '50 days', 'old')")
    # For ever is what is not set.
    worker = started(queue)
    worker.stop()
    assert queue.sql("SELECT count(*) FROM udm.run") == [(3,)]
    worker = started(queue, history_retention=10, tombstone_retention=10, audit_retention=40)
    wait_for(lambda: "UDM0522" in worker.watch.text(), 30, "the old to be gone")
    # The second one's file is in the store yet.
    assert queue.sql("SELECT id FROM udm.run ORDER BY id") == [(runs[1],), (runs[2],)]
    assert queue.sql("SELECT count(*) FROM udm.job") == [(2,)]
    assert queue.sql("SELECT count(*) FROM udm.file WHERE run_id = %s", [runs[0]]) == [(0,)]
    assert queue.sql("SELECT count(*) FROM udm.audit WHERE action = 'old'") == [(0,)]
    assert "history records 1, jobs without any 0, removed files 1" in worker.watch.text()


@pytest.mark.parametrize("setting, words", [
    ({"history_retention": 36501}, "history-retention"), ({"audit_retention": 29}, "30 to 36500"),
    ({"tombstone_retention": "soon"}, "0 for ever"), ({"audit_retention": -1}, "0 for ever")])
def test_what_may_be_set(queue, setting, words):
    process = queue.spawn(settings=setting)
    text, _ = process.communicate(timeout=30)
    assert process.returncode != 0 and "is not allowed" in text and words in text, text


# What a type has lost

def test_a_run_without_the_attachments_it_asks_for_fails(queue):
    queue.sql("CREATE TABLE gated.files (id int, entity int, ccid text, name text, mime text, content bytea)")
    queue.sql("SELECT udm.register_attachments('Gated', 'Plain', 'gated.files', 'id', 'entity', 'name', 'mime',"
              " 'content', 'ccid'), udm.remove_attachments('Gated', 'Plain')")
    asks, plain = queue.add("Plain"), queue.add("Plain")
    queue.set_run(asks, "export_attachments = true")
    worker = queue.start_worker()
    worker.allow_log("UDM0214.*attachments")
    assert queue.wait_status(asks, "FAILED", "COMPLETED")["reason"] == \
        "attachments, which this job asks for, are not registered any more"
    assert queue.run(asks)["job"] == "FAILED"
    queue.wait_status(plain, "COMPLETED")


def test_a_run_asks_a_type_that_never_had_any(queue):
    run = queue.add("Plain")
    queue.set_run(run, "export_attachments = true")
    queue.start_worker()
    queue.wait_status(run, "COMPLETED")


# Who may wake a worker

def looks(queue, tell):
    """How often a worker's sessions ask the database something, while it is told again and again."""
    seen = set()
    for _ in range(40):
        tell()
        seen.update(queue.sql("SELECT pid, query_start FROM pg_stat_activity WHERE datname = %s"
                              " AND usename = 'udm_worker'", [queue.database]))
        time.sleep(0.05)
    return len(seen)


def test_a_stranger_does_not_wake_it(queue):
    role = queue.env.unique("stranger")
    queue.sql(f"CREATE ROLE {role} LOGIN")
    queue.sql(f"GRANT CONNECT ON DATABASE {queue.database} TO {role}")
    started(queue)
    wait_state(queue, "ready")
    try:
        with queue.connect(role) as stranger:
            by_stranger = looks(queue, lambda: stranger.execute(
                "SELECT pg_notify('udm_run', n || repeat('x', 7000)) FROM generate_series(1, 500) n"))
        by_us = looks(queue, queue.hint)
        # Told without an end it still looks only now and then: every 200 ms, in each of its sessions.
        assert by_stranger * 2 < by_us < 150
    finally:
        queue.sql(f"REVOKE CONNECT ON DATABASE {queue.database} FROM {role}")
        queue.sql(f"DROP ROLE {role}")
