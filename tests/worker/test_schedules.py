"""Jobs that run again and again, with workers that are there, are busy, or are away."""
import pytest

from udmtest.process import wait_for
from udmtest.stream import Stream


@pytest.fixture
def stream(queue):
    return Stream(queue)


def plain(stream, **kwargs):
    return stream.job(source="Gated", data_type="Plain", all_rows=True, **kwargs)


def assert_one_after_the_other(stream, job):
    """Never two runs for one time, never two at once, each at a full second, none early."""
    runs = [run for run in stream.runs(job) if run["started_at"]]
    for run in runs:
        assert run["scheduled_at"].microsecond == 0
        assert run["started_at"] >= run["scheduled_at"]
    for before, after in zip(runs, runs[1:]):
        assert after["scheduled_at"] > before["scheduled_at"]
        assert after["started_at"] >= before["finished_at"]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_second(queue, stream, workers):
    for _ in range(workers):
        queue.start_worker(slots=2)
    jobs = [plain(stream) for _ in range(3)]
    for job in jobs:
        stream.wait_runs(job, 3)
        assert_one_after_the_other(stream, job)
    assert queue.sql("SELECT count(*) FROM udm.run WHERE attempt > 1 OR status = 'FAILED'") == [(0,)]


def test_a_count_of_runs(queue, stream):
    queue.start_worker()
    job = plain(stream, runs=3)
    wait_for(lambda: queue.sql("SELECT status FROM udm.job WHERE id = %s", [job]) == [("COMPLETED",)], 60,
             "the job to be over")
    assert queue.sql("SELECT runs_left, next_run_at FROM udm.job WHERE id = %s", [job]) == [(0, None)]
    assert [run["status"] for run in stream.runs(job)] == ["COMPLETED"] * 3
    assert_one_after_the_other(stream, job)


def test_runs_go_on_after_one_that_fails(queue, stream):
    worker = queue.start_worker()
    worker.allow_log("UDM0214")
    queue.sql("ALTER TABLE gated.plain RENAME TO away")
    job = plain(stream)
    stream.wait_runs(job, 2, "status = 'FAILED'")
    queue.sql("ALTER TABLE gated.away RENAME TO plain")
    stream.wait_runs(job, 1)
    worker.allow_log("UDM0214")
    assert_one_after_the_other(stream, job)


def test_missed_while_no_worker_was_there(queue, stream):
    worker = queue.start_worker()
    job = plain(stream)
    stream.wait_runs(job, 2)
    assert worker.stop() == 0
    last = stream.runs(job)[-1]
    stream.wait_clock(4)
    before = stream.now()
    assert stream.runs(job)[-1]["id"] == last["id"]
    worker.start()
    following = stream.wait_runs(job, 1, f"id > {last['id']}")[0]
    # At the last of the missed times: there is none between that and when it was made.
    missed = (following["scheduled_at"] - before).total_seconds()
    assert missed > -1, "an earlier one of the missed times"
    stream.wait_runs(job, 2, f"id > {last['id']} AND status = 'COMPLETED'")
    assert_one_after_the_other(stream, job)


def test_missed_while_the_last_one_was_busy(queue, stream):
    queue.hold()
    queue.start_worker(slots=2)
    job = stream.job(source="Gated", data_type="Held", all_rows=True)
    queue.wait_held()
    stream.wait_clock(3)
    assert len(stream.runs(job)) == 1
    queue.open()
    runs = stream.wait_runs(job, 2)
    assert (runs[1]["scheduled_at"] - runs[0]["scheduled_at"]).total_seconds() >= 3
    # One run for all that was missed, at the last of those times.
    assert runs[1]["scheduled_at"] >= runs[0]["finished_at"].replace(microsecond=0)
    assert_one_after_the_other(stream, job)


def test_a_worker_that_is_killed(queue, stream):
    queue.hold()
    worker = queue.start_worker()
    job = stream.job(source="Gated", data_type="Held", all_rows=True)
    queue.wait_held()
    run = stream.runs(job)[0]
    worker.kill()
    queue.open()
    queue.expire(run["id"])
    worker.start()
    runs = stream.wait_runs(job, 2)
    assert (runs[0]["id"], runs[0]["attempt"]) == (run["id"], 2)
    assert runs[1]["attempt"] == 1


def test_a_run_is_begun_when_it_is_ready(queue):
    """Slots look for work every 5 seconds. A second attempt after 1 would begin 4 s late by that."""
    queue.write_source("gated", "host=/nonexistent")
    worker = queue.start_worker(slots=1, attempts=2, retry_delay=1)
    late = []
    for _ in range(4):
        worker.allow_log("UDM021[34]")
        run_id = queue.add("Plain")
        queue.wait_status(run_id, "FAILED")
        late += queue.sql("SELECT extract(epoch FROM started_at - ready_at) FROM udm.run"
                          " WHERE id = %s AND attempt = 2", [run_id])[0]
    # The quickest, because the machine may be slow; by looking alone, none is that quick.
    assert min(late) < 2, late
