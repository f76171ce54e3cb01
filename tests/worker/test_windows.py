"""Moving windows: what is written while jobs run again and again is exported once, whatever happens."""
import datetime

import pytest

from udmtest.process import wait_for
from udmtest.stream import INSERT, Stream, Writers

SECOND = datetime.timedelta(seconds=1)


@pytest.fixture
def stream(queue):
    return Stream(queue)


def write(connection, time="clock_timestamp()"):
    """A row; gives its id and time."""
    return connection.execute(INSERT.format(time)).fetchone()


def held(stream, time="now()"):
    """A connection with a transaction that has written a row, and that row."""
    connection = stream.site.connect()
    connection.execute("BEGIN")
    return connection, write(connection, time)


def settling(stream, job):
    """Until a run of the job waits for what is still being written; gives that run."""
    return stream.wait_runs(job, 1, "settle_barrier IS NOT NULL"
                            " AND status IN ('QUEUED', 'IN_PROGRESS')")[0]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_row_once(queue, stream, workers):
    job = stream.job()
    for _ in range(workers):
        queue.start_worker(slots=2)
    with Writers(stream) as writers:
        stream.wait_runs(job, 3)
        end = writers.stop()
    stream.wait_watermark(job, end)
    assert len(writers.committed) > 20
    stream.assert_each_once(job, writers.committed)


def test_every_row_once_without_settle_time(queue):
    """Times of the moment need none: whoever writes then is waited for."""
    stream = Stream(queue, settle_seconds=0)
    job = stream.job()
    queue.start_worker()
    committed = {}
    writer, late = held(stream, "clock_timestamp()")
    with queue.connect() as connection:
        for _ in range(3):
            run = settling(stream, job)
            committed.update([write(connection)])
            writer.execute("COMMIT")
            committed.update([late])
            writer.execute("BEGIN")
            late = write(writer)
            wait_for(lambda: stream.runs(job, f"id = {run['id']} AND status = 'COMPLETED'"), 60,
                     "the run to settle")
    writer.execute("ROLLBACK")
    stream.wait_watermark(job, stream.now())
    stream.assert_each_once(job, committed)
    writer.close()


def test_every_row_once_though_a_worker_is_killed(queue, stream):
    job = stream.job()
    worker = queue.start_worker()
    # The lock below is in the way of whoever looks for files that are over, too.
    worker.allow_log("UDM0210.*lock timeout")
    with Writers(stream) as writers:
        for _ in range(2):
            stream.wait_runs(job, len(stream.runs(job, "status = 'COMPLETED'")) + 1)
            with stream.site.connect() as blocker:
                # It has exported, and cannot say so.
                with blocker.transaction():
                    blocker.execute("LOCK TABLE udm.file IN ACCESS EXCLUSIVE MODE")
                    pid = wait_for(lambda: queue.sql(
                        "SELECT pid FROM pg_stat_activity WHERE datname = %s AND usename = 'udm_worker'"
                        " AND wait_event_type = 'Lock' AND query LIKE '%%INSERT INTO udm.file%%'",
                        [queue.database]), 60, "a run to be ready")[0][0]
                    worker.kill()
                    queue.sql("SELECT pg_terminate_backend(%s, 5000)", [pid])
            run = stream.runs(job, "status = 'IN_PROGRESS'")[0]
            queue.expire(run["id"])
            worker.start()
            done = wait_for(lambda: stream.runs(job, f"id = {run['id']} AND status = 'COMPLETED'"), 60,
                            "the run to be taken up")[0]
            assert done["attempt"] == 2 and done["window_to"] == run["window_to"]
        end = writers.stop()
    stream.wait_watermark(job, end)
    stream.assert_each_once(job, writers.committed)


def test_every_row_once_though_the_queue_was_full(queue, stream):
    """What is due beyond the quota stays due and says why; its window begins where the last one ended."""
    job = stream.job()
    queue.start_worker()
    with Writers(stream) as writers:
        stream.wait_runs(job, 2)
        # One that waits for long, and is all that may wait.
        queue.sql("INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, ready_at)"
                  " VALUES (-1, 'acme', 'Stream', 'Event', 'full', true, now() + interval '1 day')")
        queue.sql("SELECT udm.set_quota('acme', queued => 1)")
        wait_for(lambda: not stream.runs(job, "status IN ('QUEUED', 'IN_PROGRESS')"), 60, "the queue to be done")
        last = stream.runs(job)[-1]
        due = stream.now()
        for _ in range(3):
            stream.wait_clock(1)
            queue.hint()
        assert stream.runs(job)[-1]["id"] == last["id"]
        assert queue.sql("SELECT status, next_run_at <= %s FROM udm.job WHERE id = %s",
                         [due + SECOND, job]) == [("SCHEDULED", True)]
        queue.sql("SELECT udm.set_quota('acme', queued => 2)")
        stream.wait_runs(job, 2, f"id > {last['id']} AND status = 'COMPLETED'")
        end = writers.stop()
    stream.wait_watermark(job, end)
    stream.assert_each_once(job, writers.committed)


def test_every_row_once_though_runs_are_to_be_apart(queue, stream):
    job = stream.job()
    queue.start_worker()
    with Writers(stream) as writers:
        stream.wait_runs(job, 1)
        queue.sql("SELECT udm.set_quota('acme', least_interval => '3 seconds')")
        last = stream.runs(job)[-1]
        runs = stream.wait_runs(job, 3, f"id > {last['id']} AND status = 'COMPLETED'")
        for before, after in zip(runs, runs[1:]):
            assert after["scheduled_at"] - before["scheduled_at"] >= 3 * SECOND
        assert queue.sql("SELECT status_reason FROM udm.job WHERE id = %s", [job]) == \
            [("runs of a recurring job of the contact center are at least 00:00:03 apart",)]
        end = writers.stop()
    stream.wait_watermark(job, end)
    stream.assert_each_once(job, writers.committed)


def test_every_row_once_after_a_pause(queue, stream):
    job = stream.job()
    worker = queue.start_worker()
    with Writers(stream) as writers:
        stream.wait_runs(job, 2)
        assert worker.stop() == 0
        last = stream.runs(job)[-1]
        stream.wait_clock(4)
        worker.start()
        following = stream.wait_runs(job, 1, f"id > {last['id']}")[0]
        # What was missed is one run, at the latest of the times that were missed.
        assert (following["scheduled_at"] - last["scheduled_at"]).total_seconds() >= 4
        end = writers.stop()
    stream.wait_watermark(job, end)
    stream.assert_each_once(job, writers.committed)


def test_a_window_waits_in_the_queue(queue, stream):
    """The only slot does other work meanwhile, and waiting is no attempt."""
    queue.start_worker(slots=1)
    writer, row = held(stream)
    job = stream.job()
    run = settling(stream, job)
    other = stream.job(source="Gated", data_type="Plain", all_rows=True)
    stream.wait_runs(other, 3)
    waits = stream.runs(job)
    assert [r["id"] for r in waits] == [run["id"]]
    assert waits[0]["settle_barrier"] == run["settle_barrier"] and waits[0]["attempt"] <= 1
    writer.execute("COMMIT")
    writer.close()
    done = stream.wait_runs(job, 1)[0]
    assert (done["id"], done["attempt"], done["window_to"]) == (run["id"], 1, run["window_to"])
    stream.wait_watermark(job, row[1])
    stream.assert_each_once(job, dict([row]))


def test_readers_are_not_waited_for(queue, stream):
    queue.start_worker()
    with queue.connect() as reader:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        reader.execute("SELECT count(*) FROM stream.event")
        job = stream.job()
        stream.wait_runs(job, 2)
        reader.execute("COMMIT")


def test_a_window_ends_where_the_oldest_writer_began(queue, stream):
    stream.let_reader_see()
    with queue.connect() as connection:
        committed = dict([write(connection), write(connection)])
        writer, late = held(stream)
        committed.update([write(connection)])
        job = stream.job()
        worker = queue.start_worker(settle_limit=1)
        worker.allow_log("UDM0223")
        first = stream.wait_runs(job, 1)[0]
        assert first["window_to"] == late[1] < first["scheduled_at"]
        assert first["row_count"] == 2
        # As long as it is open, windows are empty.
        second = stream.wait_runs(job, 2)[1]
        assert (second["window_from"], second["window_to"], second["row_count"]) == (late[1], late[1], 0)
        committed.update([late, write(writer)])
        writer.execute("COMMIT")
    writer.close()
    stream.wait_watermark(job, stream.now())
    worker.allow_log("UDM0223")
    stream.assert_each_once(job, committed)


def test_an_old_writer_that_the_reader_cannot_see(queue, stream):
    with queue.connect() as connection:
        committed = dict([write(connection)])
        writer, late = held(stream)
        job = stream.job()
        worker = queue.start_worker(settle_limit=1)
        worker.allow_log("UDM0214")
        failed = stream.wait_runs(job, 1, "status = 'FAILED'")[0]
        assert "pg_read_all_stats" in failed["status_reason"]
        assert failed["attempt"] == 1 and stream.watermark(job) is None
        committed.update([late, write(connection)])
        writer.execute("COMMIT")
    writer.close()
    worker.allow_log("UDM0214")
    stream.wait_watermark(job, stream.now())
    stream.assert_each_once(job, committed)


def test_a_prepared_transaction(queue, stream):
    if queue.sql("SHOW max_prepared_transactions")[0][0] == "0":
        queue.sql("ALTER SYSTEM SET max_prepared_transactions = 5")
        queue.env.postgres.restart()
    stream.let_reader_see()
    writer, late = held(stream)
    writer.execute("PREPARE TRANSACTION 'late'")
    try:
        job = stream.job()
        worker = queue.start_worker(settle_limit=1)
        worker.allow_log("UDM0214")
        failed = stream.wait_runs(job, 1, "status = 'FAILED'")[0]
        assert "prepared transaction" in failed["status_reason"]
        assert "commit it or roll it back" in failed["status_reason"]
    finally:
        writer.execute("COMMIT PREPARED 'late'")
        writer.close()
    worker.allow_log("UDM0214")
    stream.wait_watermark(job, stream.now())
    stream.assert_each_once(job, dict([late]))


def test_cancelled_and_suspended_while_it_settles(queue, stream):
    writer, row = held(stream)
    job = stream.job()
    queue.start_worker()
    first = settling(stream, job)
    queue.set_run(first["id"], "status = 'CANCELLED', finished_at = now()")
    second = stream.wait_runs(job, 1, f"id > {first['id']} AND settle_barrier IS NOT NULL")[0]
    assert second["window_from"] is None and second["window_to"] > first["window_to"]
    queue.set_job(second["id"], "suspended = true, status = 'SUSPENDED'")
    queue.wait_status(second["id"], "SUSPENDED")
    writer.execute("COMMIT")
    writer.close()
    assert stream.watermark(job) is None
    queue.set_job(second["id"], "suspended = false, status = 'QUEUED'")
    queue.set_run(second["id"], "status = 'QUEUED'")
    queue.wait_status(second["id"], "COMPLETED")
    stream.wait_watermark(job, row[1])
    stream.assert_each_once(job, dict([row]))
