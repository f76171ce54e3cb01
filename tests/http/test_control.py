"""cancel, suspend, resume, PUT and DELETE in every state a job can be in, and with a worker at work."""
import os
import time

import pytest

from udmtest.answers import problem
from udmtest.gate import ROWS, Gate
from udmtest.operations import HOME, OPERATIONS, job_body
from udmtest.process import wait_for
from udmtest.rows import Rows
from udmtest.site import Site

# The states: how a job is made (rows.py), and per change what comes of it: None for a 400, else the
# job's status, whether it is suspended, and the status of its run (None: there is none).
AT_REST = {
    "waiting": dict(run=None, schedule_type="once"),
    "waiting, suspended": dict(run=None, schedule_type="once", suspended=True, status="SUSPENDED"),
    "queued": dict(run="QUEUED"),
    "in progress": dict(run="IN_PROGRESS"),
    "suspended": dict(run="SUSPENDED", suspended=True),
    "completed": dict(run="COMPLETED"),
    "failed": dict(run="FAILED"),
    "cancelled": dict(run="CANCELLED"),
    "recurring, between": dict(run="COMPLETED", schedule_type="recurring"),
    "recurring, between, suspended": dict(run="COMPLETED", schedule_type="recurring", suspended=True,
                                          status="SUSPENDED"),
    "recurring, in progress": dict(run="IN_PROGRESS", schedule_type="recurring"),
    "recurring, suspended": dict(run="SUSPENDED", schedule_type="recurring", suspended=True),
}
GONE = ()
EXPECTED = {
    "waiting": {"cancel": ("CANCELLED", False, None), "suspend": ("SUSPENDED", True, None),
                "resume": ("SCHEDULED", False, None), "PUT": ("QUEUED", False, "QUEUED"), "DELETE": GONE},
    "waiting, suspended": {"cancel": ("CANCELLED", False, None), "suspend": ("SUSPENDED", True, None),
                           "resume": ("SCHEDULED", False, None), "PUT": ("QUEUED", False, "QUEUED"),
                           "DELETE": GONE},
    "queued": {"cancel": ("CANCELLED", False, "CANCELLED"), "suspend": ("SUSPENDED", True, "SUSPENDED"),
               "resume": ("QUEUED", False, "QUEUED"), "PUT": ("QUEUED", False, "QUEUED"), "DELETE": GONE},
    "in progress": {"cancel": ("CANCELLED", False, "CANCELLED"),
                    "suspend": ("SUSPENDED", True, "SUSPENDED"),
                    "resume": ("IN_PROGRESS", False, "IN_PROGRESS"), "PUT": None, "DELETE": None},
    "suspended": {"cancel": ("CANCELLED", False, "CANCELLED"), "suspend": ("SUSPENDED", True, "SUSPENDED"),
                  "resume": ("QUEUED", False, "QUEUED"), "PUT": None, "DELETE": GONE},
    "completed": {"cancel": None, "suspend": None, "resume": None, "PUT": None, "DELETE": GONE},
    "failed": {"cancel": None, "suspend": None, "resume": None, "PUT": None, "DELETE": GONE},
    "cancelled": {"cancel": None, "suspend": None, "resume": None, "PUT": None, "DELETE": GONE},
    "recurring, between": {"cancel": None, "suspend": ("SUSPENDED", True, "COMPLETED"),
                           "resume": ("SCHEDULED", False, "COMPLETED"), "PUT": ("QUEUED", False, "QUEUED"),
                           "DELETE": GONE},
    "recurring, between, suspended": {"cancel": None, "suspend": ("SUSPENDED", True, "COMPLETED"),
                                      "resume": ("SCHEDULED", False, "COMPLETED"),
                                      "PUT": ("QUEUED", False, "QUEUED"), "DELETE": GONE},
    "recurring, in progress": {"cancel": ("SCHEDULED", False, "CANCELLED"),
                               "suspend": ("SUSPENDED", True, "SUSPENDED"),
                               "resume": ("IN_PROGRESS", False, "IN_PROGRESS"), "PUT": None,
                               "DELETE": None},
    "recurring, suspended": {"cancel": ("SUSPENDED", True, "CANCELLED"),
                             "suspend": ("SUSPENDED", True, "SUSPENDED"),
                             "resume": ("QUEUED", False, "QUEUED"), "PUT": None, "DELETE": GONE},
}
CHANGES = ("cancel", "suspend", "resume", "PUT", "DELETE")
POSTS = {o.version: o for o in OPERATIONS if o.method == "POST" and o.body == "job"}


def change(client, what, job, version="v10", headers=None, **body):
    path = f"/{version}/export/jobs"
    if what in ("cancel", "suspend", "resume"):
        return client.post(f"{path}/{what}/{job}", headers=headers)
    if what == "DELETE":
        return client.delete(f"{path}/{job}", headers=headers)
    return client.put(f"{path}/{job}", headers=headers, json=job_body(POSTS[version], **body))


@pytest.mark.parametrize("version", ["v10", "v4"])
@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("state", AT_REST)
def test_every_change_in_every_state(world, state, what, version):
    job, run = world.rows.job(**AT_REST[state])
    expected = EXPECTED[state][what]
    before = world.rows.state()
    answer = change(world.client(), what, job, version)
    if expected is None:
        problem(answer, 400)
        assert world.rows.state() == before
        return
    if expected == GONE:
        assert (answer.status_code, answer.content) == (204, b"")
        assert world.rows.get("job", job, "id") is None
        # history stays, and nothing of it waits any longer
        if run is not None:
            assert world.rows.get("run", run, "status")[0] in ("COMPLETED", "FAILED", "CANCELLED")
        return
    assert answer.status_code == 200, answer.text
    status, suspended, run_status = expected
    row = world.rows.get("job", job, "status", "suspended", "latest_run_id", "next_run_at IS NOT NULL")
    assert row[:2] == (status, suspended)
    latest = row[2] and world.rows.get("run", row[2], "status")[0]
    assert latest == run_status
    # at most one run is not over, and what is planned is planned
    assert world.site.sql("SELECT count(*) FROM udm.run WHERE job_id = %s AND status IN"
                          " ('QUEUED', 'IN_PROGRESS', 'SUSPENDED')", [job])[0][0] \
        == (run_status in ("QUEUED", "IN_PROGRESS", "SUSPENDED"))
    if what != "PUT":
        assert row[3] == ((state.startswith("waiting") and what != "cancel") or state.startswith("rec"))
    shown = world.client().get(f"/v10/export/jobs/{job}").json()
    assert shown["status"] == status
    # and the answer is that state
    if what == "PUT" or (version == "v10" and what != "cancel"):
        assert answer.json()["status"] == status and answer.json()["id"] == job
    elif what != "cancel":
        assert answer.json() == {"status": {"code": 0, "detail": {}, "message": "successful"}}
    else:
        assert answer.content == b""
    # once more: the same, or no longer possible, but never something else
    if what in ("suspend", "resume"):
        before = world.rows.state()
        assert change(world.client(), what, job, version).status_code == 200
        assert world.rows.state() == before


@pytest.mark.parametrize("state", AT_REST)
@pytest.mark.parametrize("version", ["v10", "v4"])
def test_deleting_a_history_record(world, state, version):
    job, run = world.rows.job(**AT_REST[state])
    if run is None:
        return
    before = world.rows.state()
    answer = world.client().delete(f"/{version}/export/history/{run}")
    if "in progress" in state:
        problem(answer, 400, "progress")
        assert world.rows.state() == before
        return
    assert answer.status_code == 204 and world.rows.get("run", run, "id") is None
    status, suspended = world.rows.get("job", job, "status", "suspended")
    if state in ("queued", "suspended"):
        assert (status, suspended) == ("CANCELLED", False)
    elif state == "recurring, suspended":
        assert (status, suspended) == ("SUSPENDED", True)
    assert world.client().get(f"/v10/export/jobs/{job}").status_code == 200


def test_put_replaces_the_definition(world):
    job, _ = world.rows.job(run=None, schedule_type="once", title="before", description="before")
    answer = change(world.client(), "PUT", job, title="after", data_type="Contact", split="1 MiB",
                    schedule={"startDate": "2099-01-01"})
    info = answer.json()
    assert (info["id"], info["title"], info["type"], info["fileSplitSize"], info["description"],
            info["status"]) == (job, "after", "Contact", "1 MiB", "", "SCHEDULED")
    definition = world.client().get(f"/v4/export/jobs/{job}").json()
    assert definition["schedulerParam"] == {"startDate": "2099-01-01T00:00:00.000Z"}
    assert definition["jobParams"]["type"] == "Contact"
    # what v4 shows can be sent back as it is
    definition["title"] = "and again"
    again = world.client().put(f"/v4/export/jobs/{job}", json=definition)
    assert again.status_code == 200, again.text
    assert world.client().get(f"/v4/export/jobs/{job}").json() == definition


def test_v4_keeps_what_it_cannot_say(world):
    """A client of v4 that sends back what it has read does not widen the export."""
    client = world.client()
    body = client.job(schedule={"startDate": "2099-01-01"}, attachments=True)
    body["jobParams"]["filters"] = [{"attribute": "subject", "operator": "eq", "value": "a"}]
    job = client.post("/v10/export/jobs", json=body).json()["id"]

    def stored():
        return world.site.sql("SELECT export_attachments, filters FROM udm.job WHERE id = %s", [job])

    before = stored()
    assert before == [(True, body["jobParams"]["filters"])]
    definition = client.get(f"/v4/export/jobs/{job}").json()
    assert list(definition["jobParams"]) == ["fileSplitSize", "type", "media"]
    definition["title"] = "only another title"
    assert client.put(f"/v4/export/jobs/{job}", json=definition).status_code == 200
    assert stored() == before
    # what it does say, and other data, is another matter
    definition["jobParams"]["filters"] = []
    assert client.put(f"/v4/export/jobs/{job}", json=definition).status_code == 200
    assert stored() == [(True, [])]
    definition["jobParams"] = {"type": "Contact", "media": []}
    assert client.put(f"/v4/export/jobs/{job}", json=definition).status_code == 200
    assert stored() == [(False, [])]


def test_nobody_overwrites_what_he_has_not_seen(world):
    """Two read, both write: the second is told."""
    job, _ = world.rows.job(run=None, schedule_type="once")
    for version in ("v10", "v4"):
        client = world.client()
        tag = client.get(f"/{version}/export/jobs/{job}").headers["ETag"]
        later = {"startDate": f"2099-01-0{version[1]}"}
        assert change(client, "PUT", job, version, {"If-Match": tag}, description=version,
                      schedule=later).status_code == 200
        before = world.rows.state()
        for what in CHANGES:
            problem(change(client, what, job, version, {"If-Match": tag}), 412)
        assert world.rows.state() == before


def test_bulk_of_all_states(world):
    jobs = {state: world.rows.job(**AT_REST[state])[0] for state in AT_REST}
    busy = [jobs[s] for s in AT_REST if EXPECTED[s]["DELETE"] is None]
    answer = world.client().delete("/v4/export/jobs", params={"jobIDs": ",".join(map(str, jobs.values()))})
    assert (answer.status_code, answer.json()) == (500, busy)
    for job in jobs.values():
        assert (world.rows.get("job", job, "id") is None) == (job not in busy)


# With a worker

class Workshop(Site):
    """One contact centre with a source that can be held up, and a worker with one slot."""

    def __init__(self, env):
        super().__init__(env, database="empty")
        self.sql("SELECT udm.create_tenant(%s)", [HOME])
        self.gate = Gate(self)
        self.start_httpd()
        self.upload_certificate()
        self.rows = Rows(self)
        self.me = self.client()
        self.start_worker(slots=1)

    def create(self, data_type="Held", **more):
        return self.me.create_job(source="Gate", family="DataSync", data_type=data_type, **more)["id"]

    def in_progress(self):
        """A job whose export is held in the middle."""
        self.gate.hold()
        job = self.create()
        self.gate.wait_held()
        assert self.status(job) == "IN_PROGRESS"
        return job

    def status(self, job):
        return self.me.get(f"/v10/export/jobs/{job}").json()["status"]

    def stored(self):
        return [n for _, _, names in os.walk(self.store) for n in names if n != ".udm-store"]

    def stopped(self):
        """Waits until nothing is read any more and no part of a file is left; says how long it took."""
        start = time.monotonic()
        files = {r[0] for r in self.sql("SELECT name FROM udm.file")}
        wait_for(lambda: self.gate.readers() == 0 and set(self.stored()) == files, 60, "the export to stop")
        print(f"stopped {time.monotonic() - start:.2f} s after the answer")

    def exported(self, job):
        """The rows that the only completed run of a job says it has exported."""
        return self.sql("SELECT row_count FROM udm.run WHERE job_id = %s AND status = 'COMPLETED'", [job])


@pytest.fixture(scope="module")
def workshop(env):
    result = Workshop(env)
    yield result
    result.gate.open()
    result.rows.close()
    result.close()


@pytest.fixture(autouse=True)
def opened(request):
    yield
    if "workshop" in request.fixturenames:
        request.getfixturevalue("workshop").gate.open()


@pytest.mark.parametrize("version", ["v10", "v4"])
def test_cancel_stops_a_run(workshop, version):
    job = workshop.in_progress()
    assert change(workshop.me, "cancel", job, version).status_code == 200
    workshop.stopped()
    run = workshop.me.runs(job)[0]
    assert (run["status"], run["fileName"]) == ("CANCELLED", None) and run["statusReason"]
    assert workshop.status(job) == "CANCELLED" and workshop.me.files(run["id"]) == []
    problem(change(workshop.me, "cancel", job, version), 400)
    # the slot is free
    workshop.me.wait_job(workshop.create("Plain"))


@pytest.mark.parametrize("version", ["v10", "v4"])
def test_suspend_and_resume_a_run(workshop, version):
    job = workshop.in_progress()
    for _ in range(2):
        assert change(workshop.me, "suspend", job, version).status_code == 200
    workshop.stopped()
    run = workshop.me.runs(job)[0]
    assert (run["status"], workshop.status(job)) == ("SUSPENDED", "SUSPENDED")
    assert run["progress"] == 0
    # others pass it
    workshop.me.wait_job(workshop.create("Plain"))
    assert workshop.status(job) == "SUSPENDED"
    workshop.gate.open()
    for _ in range(2):
        assert change(workshop.me, "resume", job, version).status_code == 200
    done = workshop.me.wait_job(job)
    assert done["id"] == run["id"] and workshop.exported(job) == [(ROWS,)]
    assert len(workshop.me.files(run["id"])) == 1


def test_a_run_in_progress_is_not_deleted(workshop):
    job = workshop.in_progress()
    run = workshop.me.runs(job)[0]["id"]
    for version in ("v10", "v4"):
        problem(change(workshop.me, "DELETE", job, version), 400, "progress")
        problem(workshop.me.delete(f"/{version}/export/history/{run}"), 400, "progress")
        answer = workshop.me.delete(f"/{version}/export/jobs?jobIDs={job}")
        assert (answer.status_code, answer.json()) == (500, [job])
        answer = workshop.me.delete(f"/{version}/export/history?jobIDs={run}")
        assert (answer.status_code, answer.json()) == (500, [run])
        problem(change(workshop.me, "PUT", job, version, source="Gate", family="DataSync",
                       data_type="Plain"), 400)
    workshop.gate.open()
    assert workshop.me.wait_job(job)["id"] == run
    file = workshop.me.files(run)[0]["name"]
    # deleting job and record keeps the file
    assert workshop.me.delete(f"/v10/export/history/{run}").status_code == 204
    assert change(workshop.me, "DELETE", job).status_code == 204
    assert workshop.me.get(f"/v10/files/{file}").status_code == 303


def test_what_waits_behind_another(workshop):
    """With the only slot taken, four jobs wait: one goes on, the others are changed before."""
    first = workshop.in_progress()
    names = ("kept", "cancelled", "deleted", "replaced")
    jobs = {name: workshop.create("Held" if name == "replaced" else "Plain") for name in names}
    assert {workshop.status(j) for j in jobs.values()} == {"QUEUED"}
    assert change(workshop.me, "cancel", jobs["cancelled"]).status_code == 200
    assert change(workshop.me, "DELETE", jobs["deleted"]).status_code == 204
    replaced = change(workshop.me, "PUT", jobs["replaced"], source="Gate", family="DataSync",
                      data_type="Plain")
    assert (replaced.status_code, replaced.json()["status"]) == (200, "QUEUED")
    workshop.gate.open()
    workshop.me.wait_job(first)
    workshop.me.wait_job(jobs["kept"])
    workshop.me.wait_job(jobs["replaced"])
    assert len(workshop.me.runs(jobs["replaced"])) == 1 and workshop.exported(jobs["replaced"]) == [(ROWS,)]
    assert workshop.me.runs(jobs["cancelled"])[0]["status"] == "CANCELLED"
    assert [r[0] for r in workshop.sql("SELECT status FROM udm.run WHERE job_id = %s",
                                       [jobs["deleted"]])] == ["CANCELLED"]


def test_made_suspended(workshop):
    """No run before it is resumed, and one after."""
    job = workshop.create("Plain", suspended=True)
    assert workshop.status(job) == "SUSPENDED"
    workshop.me.wait_job(workshop.create("Plain"))
    assert workshop.me.runs(job) == []
    assert change(workshop.me, "resume", job).status_code == 200
    workshop.me.wait_job(job)


def test_a_deleted_file_leaves_the_store(workshop):
    job = workshop.create("Plain")
    name = workshop.me.wait_job(job)["fileName"]
    link = workshop.me.link(name)
    assert name in workshop.stored()
    assert workshop.me.delete(f"/v10/files/{name}").status_code == 204
    assert workshop.me.get(link).status_code in (404, 410)
    assert workshop.me.get(f"/v10/files/{name}").status_code in (404, 410)
    wait_for(lambda: name not in workshop.stored(), 60, "the file to leave the store")


# One resource, and whether it has changed

@pytest.mark.parametrize("path", ["/v10/export/jobs/{job}", "/v4/export/jobs/{job}",
                                  "/v10/export/history/{run}", "/v4/export/history/{run}",
                                  "/v10/cipher", "/v3/cipher"])
def test_304_until_it_changes(world, path):
    job, run = world.rows.job(run="QUEUED")
    client, path = world.client(), path.format(job=job, run=run)
    tag = client.get(path).headers["ETag"]
    for method in ("GET", "HEAD"):
        answer = client.request(method, path, headers={"If-None-Match": tag})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
    if "cipher" in path:
        assert client.upload_certificate(world.site.env.certificate.pem, f"{job}.pem").status_code == 201
    elif "/v4/export/jobs" in path:
        assert change(client, "PUT", job, "v4", description="new").status_code == 200
    else:
        assert client.post(f"/v10/export/jobs/cancel/{job}").status_code == 200
    answer = client.get(path, headers={"If-None-Match": tag})
    assert answer.status_code == 200 and answer.headers["ETag"] != tag
