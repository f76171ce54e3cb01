"""Certificates that expire, are replaced or go while there is work that needs them."""
import datetime
import os
import subprocess

import pytest

from udmtest.breaking import assert_no_growth, ready
from udmtest.crypto import smime_decrypt
from udmtest.process import wait_for
from udmtest.stream import INSERT, Stream

ROWS = 3000


@pytest.fixture
def api(queue):
    """The API of the queue's contact centre."""
    queue.start_httpd()
    return queue.client("acme")


def upload(api, certificate):
    answer = api.upload_certificate(certificate.pem)
    assert answer.status_code == 201, answer.text
    return certificate


def is_over(certificate):
    """By the clock of this host, which all of this runs on; a second more for the fraction."""
    return datetime.datetime.utcnow() > certificate.certificate.not_valid_after + \
        datetime.timedelta(seconds=1)


def decrypts(queue, run_id, key_path):
    name = queue.sql("SELECT name FROM udm.file WHERE run_id = %s", [run_id])[0][0]
    path = os.path.join(queue.store, name[len("export-"):][:2], name)
    target = os.path.join(queue.env.make_directory(queue.name, "out"), f"{run_id}.zip")
    try:
        smime_decrypt(key_path, path, target)
    except AssertionError:
        return False
    return subprocess.run(["unzip", "-tqq", target], stdout=subprocess.DEVNULL).returncode == 0


def held_job(api, **kwargs):
    return api.create_job(source="Gated", data_type="Held", family="DataSync", **kwargs)["id"]


def test_expires_between_post_and_run(queue, api, make_certificate):
    worker = queue.worker()
    certificate = upload(api, make_certificate(seconds=15))
    job = held_job(api)
    wait_for(lambda: is_over(certificate), 90, "the certificate to expire")
    worker.allow_log("UDM0214")
    ready(worker.start())
    record = api.wait_job(job, "FAILED")
    assert "certificate" in record["statusReason"] and "expired" in record["statusReason"]
    assert queue.sql("SELECT attempt FROM udm.run WHERE job_id = %s", [job]) == [(1,)]
    assert queue.stored() == [] and worker.running()
    # From now on it is told at once.
    answer = api.post("/v10/export/jobs", json=api.job(source="Gated", data_type="Held", family="DataSync"))
    assert answer.status_code == 400 and "expired" in answer.text
    upload(api, queue.certificate)
    assert api.wait_job(held_job(api))["status"] == "COMPLETED"


def test_replaced_in_the_middle(queue, api, make_certificate):
    """The export goes on for the one that it began with, and the next one takes the new one."""
    ready(queue.start_worker())
    old, new = upload(api, make_certificate()), make_certificate()
    queue.hold()
    job = held_job(api)
    queue.wait_held()
    upload(api, new)
    queue.open()
    first = api.wait_job(job)["id"]
    second = api.wait_job(held_job(api))["id"]
    assert decrypts(queue, first, old.key_path) and not decrypts(queue, first, new.key_path)
    assert decrypts(queue, second, new.key_path) and not decrypts(queue, second, old.key_path)
    assert queue.stored() == queue.listed()


def test_replaced_between_attempts(queue, api, make_certificate):
    """What is begun anew is begun for whoever holds the key by then."""
    worker = ready(queue.start_worker(retry_delay=0))
    old, new = upload(api, make_certificate()), make_certificate()
    queue.hold()
    job = held_job(api)
    queue.wait_held()
    upload(api, new)
    worker.allow_log("UDM0213")
    queue.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'udm_test_gated'"
              " AND datname = %s", [queue.database])
    wait_for(lambda: "UDM0213" in worker.watch.text(), 60, "the first attempt to fail")
    queue.open()
    run = api.wait_job(job)["id"]
    assert decrypts(queue, run, new.key_path) and not decrypts(queue, run, old.key_path)


@pytest.mark.parametrize("how", ["expired", pytest.param("deleted", marks=pytest.mark.full)])
def test_a_recurring_job_goes_on_without_a_gap(queue, make_certificate, how):
    """Runs fail, for a reason that says what to do; the window of the first that works covers theirs."""
    stream = Stream(queue)
    committed = {}
    worker = ready(queue.start_worker())
    with queue.connect() as connection:
        def write():
            committed.update([connection.execute(INSERT.format("clock_timestamp()")).fetchone()])
        write()
        job = stream.job()
        done = stream.wait_runs(job, 1)[-1]
        worker.allow_log("UDM0214")
        if how == "expired":
            # Valid when it was uploaded, which was a while ago.
            queue.store_certificate(make_certificate(seconds=-1))
        else:
            queue.sql("DELETE FROM udm.certificate")
        write()
        failed = stream.wait_runs(job, 2, f"status = 'FAILED' AND id > {done['id']}")
        write()
        for run in failed:
            assert ("expired" if how == "expired" else "upload one") in run["status_reason"]
            assert run["attempt"] == 1
            assert queue.sql("SELECT count(*) FROM udm.file WHERE run_id = %s", [run["id"]]) == [(0,)]
        last = stream.runs(job, "status = 'COMPLETED'")[-1]
        assert stream.watermark(job) == last["window_to"] < failed[-1]["window_to"]
        assert queue.sql("SELECT status FROM udm.job WHERE id = %s", [job])[0][0] in ("SCHEDULED", "QUEUED",
                                                                                     "IN_PROGRESS")
        queue.store_certificate(queue.certificate)
        write()
        end = stream.now()
        stream.wait_watermark(job, end)
    worker.allow_log("UDM0214")
    stream.assert_each_once(job, committed)
    following = next(r for r in stream.runs(job, "status = 'COMPLETED'") if r["id"] > failed[-1]["id"])
    assert following["window_from"] == last["window_to"]
    queue.set_job(following["id"], "suspended = true")
    assert worker.running()


@pytest.mark.full
def test_failing_again_and_again_costs_nothing(queue, make_certificate):
    queue.store_certificate(make_certificate(days=-1))
    worker = ready(queue.start_worker())

    def fail():
        worker.allow_log("UDM0214")
        run = queue.wait_status(queue.add("Plain"), "FAILED", "COMPLETED")
        assert run["status"] == "FAILED" and "expired" in run["reason"], run
    assert_no_growth(worker, fail)
    assert queue.stored() == []
