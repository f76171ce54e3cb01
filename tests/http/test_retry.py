"""A POST that carries an Idempotency-Key may be sent again: it makes one job, and answers alike."""
import json
import threading
import uuid

import pytest

from udmtest.answers import problem, unwrap
from udmtest.operations import HOME, OPERATIONS, OTHER, job_body
from udmtest.process import wait_for

JOBS = {"v10": "/v10/export/jobs", "v4": "/v4/export/jobs"}


@pytest.fixture(scope="module")
def world(world):
    world.site.upload_certificate(OTHER)
    return world


@pytest.fixture
def key():
    return uuid.uuid4().hex


POSTS = {o.version: o for o in OPERATIONS if o.method == "POST" and o.body == "job"}


def body(version="v10", **change):
    return job_body(POSTS[version], **change)


def send(client, key, version="v10", job=None, **more):
    return client.post(JOBS[version], json=job or body(version), headers={"Idempotency-Key": key}, **more)


def jobs(world):
    return world.site.sql("SELECT count(*) FROM udm.job")[0][0]


@pytest.mark.parametrize("version", JOBS)
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "wrapped"])
def test_the_same_again_gives_the_same_answer(world, key, version, wrapped):
    client = world.client(mount="/wrapped" if wrapped else "/udm")
    before = jobs(world)
    first = send(client, key, version)
    again = send(client, key, version)
    assert first.status_code == again.status_code == 202
    assert first.content == again.content
    assert first.headers["Location"] == again.headers["Location"]
    assert jobs(world) == before + 1
    job = unwrap(first, wrapped)["id"]
    assert world.site.sql("SELECT count(*) FROM udm.audit WHERE action = 'job.create' AND object = %s",
                          [str(job)])[0][0] == 1


def test_the_answer_is_that_of_then(world, key):
    """Although the job has gone on, or is gone altogether."""
    first = send(world.client(), key)
    job = first.json()["id"]
    assert world.client().post(f"/v10/export/jobs/cancel/{job}").status_code == 200
    assert send(world.client(), key).content == first.content
    assert world.client().delete(f"/v10/export/jobs/{job}").status_code == 204
    assert send(world.client(), key).content == first.content


def test_another_body_is_refused(world, key):
    assert send(world.client(), key).status_code == 202
    before = jobs(world)
    problem(send(world.client(), key, job=body(description="another")), 422, "Idempotency-Key")
    assert jobs(world) == before
    # the bytes count, not what they mean
    spaced = world.client().post(JOBS["v10"], data=b" " + json.dumps(body()).encode(),
                                 headers={"Idempotency-Key": key, "Content-Type": "application/json"})
    problem(spaced, 422)


def test_tenants_and_versions_are_apart(world, key):
    answers = [send(world.client(ccid=ccid), key, version) for ccid in (HOME, OTHER) for version in JOBS]
    assert [a.status_code for a in answers] == [202] * 4
    assert len({a.json()["id"] for a in answers}) == 4
    # and so is another body of another contact centre
    other = uuid.uuid4().hex
    assert send(world.client(), other).status_code == 202
    assert send(world.client(ccid=OTHER), other, job=body(description="x")).status_code == 202


def test_only_success_is_kept(world, key):
    problem(send(world.client(), key, job=body(source="NOPE")), 400)
    problem(send(world.client(roles=("Nobody",)), key), 403)
    first = send(world.client(), key)
    assert first.status_code == 202
    assert send(world.client(), key).content == first.content


def test_who_may_not_write_learns_nothing(world, key):
    first = send(world.client(), key)
    assert first.status_code == 202
    for roles in (("Nobody",), ("iWD Administrator",), ("Reader",)):
        problem(send(world.client(roles=roles), key), 403)


def test_a_day_later_it_is_a_new_request(world, key):
    first = send(world.client(), key)
    world.site.sql("UPDATE udm.idempotency SET created_at = now() - interval '24 hours 1 second'"
                   " WHERE key = %s", [key])
    second = send(world.client(), key, job=body(description="another"))
    assert second.status_code == 202 and second.json()["id"] != first.json()["id"]
    assert send(world.client(), key, job=body(description="another")).content == second.content


@pytest.mark.parametrize("bad", ["", "x" * 256, "a b", "\u00e9", "\"\""])
def test_bad_keys(world, bad):
    before = jobs(world)
    problem(send(world.client(), bad.encode("latin-1")), 400, "Idempotency-Key")
    assert jobs(world) == before


def test_a_quoted_key_is_the_key(world, key):
    first = send(world.client(), key)
    assert send(world.client(), f'"{key}"').content == first.content
    assert send(world.client(), "x" * 255).status_code == 202


def test_without_a_key_each_is_a_job(world):
    before = jobs(world)
    for _ in range(2):
        assert world.client().post(JOBS["v10"], json=body()).status_code == 202
    assert jobs(world) == before + 2


def test_twenty_at_once_make_one_job(world, key):
    before = jobs(world)
    answers, barrier, client = [], threading.Barrier(20), world.client()

    def post():
        own = type(client)(client.base, client.key, client.token, client.secrets)
        barrier.wait()
        answers.append(send(own, key))

    threads = [threading.Thread(target=post) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert jobs(world) == before + 1
    assert len(answers) == 20 and {a.status_code for a in answers} <= {202, 409}
    assert len({a.content for a in answers if a.status_code == 202}) == 1
    for answer in answers:
        if answer.status_code == 409:
            problem(answer, 409, "Idempotency-Key")


def test_still_running_is_a_conflict(world, key):
    """A second request while the first one's transaction is open. A lock on what it must read to make
    the job holds the first up."""
    holder = world.site.connect()
    holder.execute("BEGIN")
    holder.execute("LOCK TABLE udm.job IN ACCESS EXCLUSIVE MODE")
    client = world.client()
    other = type(client)(client.base, client.key, client.token, client.secrets)
    first = []
    thread = threading.Thread(target=lambda: first.append(send(other, key)))
    thread.start()
    try:
        wait_for(lambda: world.rows.connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"
            " AND application_name = 'udm-httpd'", [world.site.database]).fetchone()[0] == 1, 20,
            "the first request to wait")
        problem(send(client, key), 409, "Idempotency-Key")
    finally:
        holder.execute("ROLLBACK")
        holder.close()
        thread.join()
    assert first[0].status_code == 202
    assert send(client, key).content == first[0].content
