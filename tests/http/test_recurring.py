"""Recurring jobs through the API: made, shown, listed, changed, and run."""
import datetime
import re

import pytest

from udmtest.answers import problem
from udmtest.operations import OPERATIONS, job_body
from udmtest.process import wait_for

POSTS = {o.version: o for o in OPERATIONS if o.method == "POST" and o.body == "job"}
VERSIONS = ("v10", "v4")
DAILY = {"cron": "0 3 * * *"}


def jobs(version, *rest):
    return "/".join((f"/{version}/export/jobs",) + tuple(map(str, rest)))


def create(world, version, schedule, **more):
    """POSTs a job; gives the JobInfo."""
    more.setdefault("time_frame", {})
    body = job_body(POSTS[version], schedule=schedule, **more)
    answer = world.client().post(jobs(version), json=body)
    assert answer.status_code == POSTS[version].success, answer.text
    return answer.json()


def plan(world, job):
    """next_run_at, runs_left, how many runs there are."""
    return world.rows.get("job", job, "next_run_at", "runs_left",
                          "(SELECT count(*) FROM udm.run r WHERE r.job_id = udm.job.id)")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("schedule, runs, left", [
    (DAILY, 0, None), ({"cron": "0 0 3 ? * MON-FRI"}, 0, None), ({"cron": "0 3 * * *", "runs": "5"}, 0, 5),
    ({"cron": "0 3 * * *", "immediately": True}, 1, None),
    ({"cron": "0 3 * * *", "immediately": True, "runs": "2"}, 1, 1), ({"runs": "hourly"}, 0, None),
    ({"runs": "Daily"}, 1, None), ({"runs": "weekly", "startDate": "2099-01-01"}, 0, None),
    ({"runs": "monthly", "startDate": "2026-01-31T06:00:00Z"}, 0, None)])
def test_made_and_shown(world, version, schedule, runs, left):
    info = create(world, version, schedule, title="again")
    assert info["status"] == ("QUEUED" if runs else "SCHEDULED")
    next_run, runs_left, count = plan(world, info["id"])
    assert (runs_left, count) == (left, runs)
    assert next_run > datetime.datetime.now(datetime.timezone.utc)
    assert world.client().get(jobs("v10", info["id"])).json()["status"] == info["status"]
    definition = world.client().get(jobs("v4", info["id"])).json()
    shown = dict(definition["schedulerParam"])
    if "startDate" in schedule:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", shown["startDate"])
        assert shown["startDate"].startswith(schedule["startDate"].rstrip("Z"))
        shown["startDate"] = schedule["startDate"]
    assert shown == schedule
    # and what is shown can be sent back
    answer = world.client().put(jobs("v4", info["id"]), json=definition)
    assert answer.status_code == 200, answer.text
    assert world.client().get(jobs("v4", info["id"])).json() == definition
    assert plan(world, info["id"])[1:] == (left, runs)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("schedule, member", [
    ({"cron": "every day"}, "cron"), ({"cron": "60 * * * *"}, "cron"), ({"cron": ""}, "cron"),
    ({"cron": 5}, "cron"), ({"cron": "0 0 30 2 *"}, "cron"), ({"cron": "0 0 3 * * ? 2020"}, "cron"),
    ({"cron": "0 3 * * *", "runs": "0"}, "runs"), ({"cron": "0 3 * * *", "runs": "-1"}, "runs"),
    ({"cron": "0 3 * * *", "runs": 3}, "runs"), ({"cron": "0 3 * * *", "runs": "daily"}, "runs"),
    ({"runs": "3"}, "runs"), ({"runs": "yearly"}, "runs"),
    ({"runs": "daily", "startDate": "soon"}, "startDate"),
    ({"cron": "0 3 * * *", "immediately": True, "startDate": "2099-01-01"}, "startDate"),
    ({"cron": "0 3 * * *", "immediately": "yes"}, "immediately")])
def test_faults(world, version, schedule, member):
    body = job_body(POSTS[version], schedule=schedule)
    existing = create(world, version, DAILY)["id"]
    before = world.rows.state()
    document = problem(world.client().post(jobs(version), json=body), 400)
    assert [e["pointer"] for e in document["errors"]] == [f"/schedulerParam/{member}"]
    assert problem(world.client().put(jobs(version, existing), json=body), 400)["errors"] == \
        document["errors"]
    assert world.rows.state() == before


def test_every_fault_at_once(world):
    body = job_body(POSTS["v10"], schedule={"cron": "x", "runs": "y", "startDate": "z", "immediately": 1},
                    title="")
    document = problem(world.client().post(jobs("v10"), json=body), 400)
    assert {e["pointer"] for e in document["errors"]} == {
        "/title", "/schedulerParam/cron", "/schedulerParam/runs", "/schedulerParam/startDate",
        "/schedulerParam/immediately"}


@pytest.mark.parametrize("version", VERSIONS)
def test_listed(world, version):
    made = {"recurring": create(world, version, DAILY, title=f"listed {version}")["id"],
            "once": create(world, version, {"startDate": "2099-01-01"}, title=f"listed {version}")["id"],
            "immediately": create(world, version, {}, title=f"listed {version}")["id"]}
    for kind, job in made.items():
        page = world.client().get(jobs(version), params={"scheduleType": kind,
                                                         "title": f"listed {version}"}).json()
        assert (page["count"], [item["id"] for item in page["items"]]) == (1, [job])


@pytest.mark.parametrize("version", VERSIONS)
def test_between_runs(world, version):
    client, job = world.client(), create(world, version, DAILY)["id"]
    planned = plan(world, job)
    problem(client.post(jobs(version, "cancel", job)), 400, "suspend", "delete")
    for what, status in (("suspend", "SUSPENDED"), ("resume", "SCHEDULED")):
        for _ in range(2):
            assert client.post(jobs(version, what, job)).status_code == 200
            assert client.get(jobs("v10", job)).json()["status"] == status
            assert plan(world, job) == planned
    assert client.delete(jobs(version, job)).status_code == 204


@pytest.mark.parametrize("version", VERSIONS)
def test_while_a_run_waits(world, version):
    client = world.client()
    job = create(world, version, {"cron": "0 3 * * *", "immediately": True})["id"]
    planned = plan(world, job)
    assert client.post(jobs(version, "cancel", job)).status_code == 200
    assert client.get(jobs("v10", job)).json()["status"] == "SCHEDULED"
    assert [run["status"] for run in client.runs(job)] == ["CANCELLED"]
    assert plan(world, job) == planned
    # and it is planned anew, as something else
    body = job_body(POSTS[version], schedule={"startDate": "2099-01-01"})
    body.setdefault("type", "UCS")
    answer = client.put(jobs(version, job), json=body)
    assert (answer.status_code, answer.json()["status"]) == (200, "SCHEDULED"), answer.text
    page = client.get(jobs("v10"), params={"scheduleType": "recurring", "size": 1000}).json()
    assert job not in [item["id"] for item in page["items"]]


def test_suspended_from_the_beginning(world):
    job = create(world, "v10", {"runs": "daily"}, suspended=True)
    assert (job["status"], plan(world, job["id"])[2]) == ("SUSPENDED", 0)
    assert world.client().post(jobs("v10", "resume", job["id"])).json()["status"] == "SCHEDULED"


def test_runs_again_and_again(world):
    """With a worker: each run a history record of its own, the job between them."""
    client = world.client()
    world.site.sql("UPDATE udm.data_type SET settle_seconds = 0")
    job = create(world, "v10", {"cron": "* * * * * ?", "runs": "3"}, time_frame={"dateFrom": "2026-01-01"})
    worker = world.site.start_worker()

    def over():
        world.site.hint()
        return client.get(jobs("v10", job["id"])).json()["status"] == "COMPLETED"
    wait_for(over, 60, "the job to be over", interval=0.2)
    assert worker.stop() == 0
    runs = client.runs(job["id"])
    assert [run["status"] for run in runs] == ["COMPLETED"] * 3
    assert len({run["fileName"] for run in runs}) == 3
    assert runs[0]["dateFrom"] == "2026-01-01T00:00:00.000Z"
    for before, after in zip(runs, runs[1:]):
        assert after["dateFrom"] == before["dateTo"]
    problem(client.post(jobs("v10", "suspend", job["id"])), 400, "over")
