"""What a contact centre may have at most: below it, at it, beyond it, and when there is room again."""
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from udmtest.answers import problem
from udmtest.operations import HOME, OPERATIONS, OTHER, job_body

POSTS = {o.version: o for o in OPERATIONS if o.method == "POST" and o.body == "job"}
VERSIONS = ("v10", "v4")
DAILY = {"cron": "0 3 * * *"}
LATER = {"startDate": "2099-01-01"}
UNDER = {f"{version}{'-wrapped' if wrapped else ''}": (version, wrapped)
         for version in VERSIONS for wrapped in (False, True)}


@pytest.fixture(scope="module")
def world(world):
    world.site.upload_certificate(OTHER)
    return world


@pytest.fixture(autouse=True)
def nothing_there(world):
    world.site.sql("DELETE FROM udm.job")
    world.site.sql("DELETE FROM udm.run")
    world.site.sql("UPDATE udm.file SET created_at = created_at - interval '2 days'")
    yield
    limit(world)


def limit(world, **limits):
    named = ", ".join(f"{name} => '{value}'" for name, value in limits.items())
    world.site.sql(f"SELECT udm.set_quota('{HOME}'{', ' + named if named else ''})")


def path(version, *rest):
    return "/".join((f"/{version}/export/jobs",) + tuple(map(str, rest)))


@pytest.fixture(params=list(UNDER))
def api(request, world):
    return Api(world, *UNDER[request.param])


class Api:
    def __init__(self, world, version="v10", wrapped=False):
        self.world, self.version, self.wrapped = world, version, wrapped
        self.http = world.client(mount="/wrapped" if wrapped else "/udm")

    def body(self, schedule=None, **more):
        return job_body(POSTS[self.version], **({"schedule": schedule} if schedule else {}), **more)

    def post(self, schedule=None, http=None, **more):
        return (http or self.http).post(path(self.version), json=self.body(schedule), **more)

    def taken(self, schedule=None, **more):
        answer = self.post(schedule, **more)
        assert answer.status_code == 202, answer.text
        return (answer.json()["data"] if self.wrapped else answer.json())["id"]

    def put(self, job, schedule=None):
        return self.http.put(path(self.version, job), json=self.body(schedule))

    def change(self, what, job):
        return self.http.post(path(self.version, what, job))

    def refused(self, answer, quota, value, after):
        """429, with all that is known of it, and nothing was changed."""
        document = problem(answer, 429, f'as its quota \\"{quota}\\" allows ({value}): ', wrapped=self.wrapped)
        assert document["title"] == "Too Many Requests"
        lowest, highest = after if isinstance(after, tuple) else (after, after)
        assert lowest <= int(answer.headers["Retry-After"]) <= highest
        assert ("Deprecation" in answer.headers) == (self.version == "v4")
        return document

    def status(self, job):
        return self.world.client().get(path("v10", job)).json()["status"]


def test_queued(world, api):
    limit(world, queued=2)
    first, second = api.taken(), api.taken()
    later = api.taken(LATER)
    before = world.rows.state()
    api.refused(api.post(), "queued", 2, 60)
    api.refused(api.post({**DAILY, "immediately": True}), "queued", 2, 60)
    api.refused(api.put(later), "queued", 2, 60)
    assert world.rows.state() == before
    assert api.put(first).status_code == 200 and api.status(later) == "SCHEDULED"
    assert api.taken(http=world.client(ccid=OTHER, mount="/wrapped" if api.wrapped else "/udm"))
    assert api.change("suspend", second).status_code == 200
    third = api.taken()
    api.refused(api.change("resume", second), "queued", 2, 60)
    assert api.status(second) == "SUSPENDED"
    assert api.change("cancel", third).status_code == 200
    assert api.change("resume", second).status_code == 200
    # Once there is room it goes through.
    api.refused(api.post(), "queued", 2, 60)
    world.site.sql("UPDATE udm.run SET status = 'IN_PROGRESS' WHERE job_id = %s", [second])
    api.taken()


def test_queued_with_a_key_for_retries(world, api):
    """A refusal is no answer that is given again."""
    limit(world, queued=1)
    job = api.taken()
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    for _ in range(2):
        api.refused(api.post(headers=headers), "queued", 1, 60)
    assert api.change("cancel", job).status_code == 200
    again = [api.taken(headers=headers) for _ in range(2)]
    assert again[0] == again[1]


def test_queued_by_many_at_once(world):
    """However many come together, and go to the database together: as many as have room are taken."""
    limit(world, queued=13)
    api = Api(world)

    def post(i):
        client = world.site.client(OTHER if i % 4 == 3 else HOME)
        if i % 3 == 1:
            return i, api.post(http=client, headers={"Idempotency-Key": uuid.uuid4().hex})
        return i, api.post(http=client)

    with ThreadPoolExecutor(24) as threads:
        answers = list(threads.map(post, range(120)))
    for i, answer in answers:
        assert answer.status_code in ((202,) if i % 4 == 3 else (202, 429)), answer.text
        if answer.status_code == 429:
            api.refused(answer, "queued", 13, 60)
    assert sum(answer.status_code == 202 for i, answer in answers if i % 4 != 3) == 13
    assert world.site.sql("SELECT ccid, count(*) FROM udm.run WHERE status = 'QUEUED' GROUP BY 1 ORDER BY 1") == \
        [(HOME, 13), (OTHER, 30)]


def test_recurring(world, api):
    limit(world, recurring=2)
    first, _second = api.taken(DAILY), api.taken({"runs": "weekly", "startDate": "2099-01-01"})
    once = api.taken(LATER)
    before = world.rows.state()
    api.refused(api.post({"runs": "daily"}), "recurring", 2, 3600)
    api.refused(api.put(once, DAILY), "recurring", 2, 3600)
    assert world.rows.state() == before
    api.taken()
    api.taken(DAILY, http=world.client(ccid=OTHER, mount="/wrapped" if api.wrapped else "/udm"))
    assert api.put(first, {"runs": "monthly", "startDate": "2099-01-01"}).status_code == 200
    assert api.change("suspend", first).status_code == 200
    assert api.put(once, DAILY).status_code == 200
    api.refused(api.change("resume", first), "recurring", 2, 3600)
    assert api.http.delete(path(api.version, once)).status_code == 204
    assert api.change("resume", first).status_code == 200
    limit(world, recurring=0)
    api.refused(api.post(DAILY), "recurring", 0, 3600)


def test_recurring_by_many_at_once(world):
    limit(world, recurring=5)
    api = Api(world)
    with ThreadPoolExecutor(16) as threads:
        statuses = list(threads.map(lambda _: api.post(DAILY, http=world.site.client()).status_code, range(40)))
    assert sorted(statuses) == [202] * 5 + [429] * 35


def test_least_interval(world, api):
    """No waiting would make such a schedule a good one: it is a fault of the body, which says why."""
    existing = api.taken({"cron": "0 * * * *"})
    limit(world, least_interval="6 hours")
    before = world.rows.state()
    for schedule, member in (({"cron": "0 * * * *"}, "cron"), ({"cron": "0 3,4 1 1 *"}, "cron"),
                             ({"runs": "hourly"}, "runs"), ({"cron": "0 0 */4 * * ?"}, "cron")):
        for answer in (api.post(schedule), api.put(existing, schedule)):
            document = problem(answer, 400, "at least 06:00:00 apart", wrapped=api.wrapped)
            assert [e["pointer"] for e in document["errors"]] == [f"/schedulerParam/{member}"]
    assert world.rows.state() == before
    for schedule in (DAILY, {"cron": "0 */6 * * *"}, {"runs": "weekly", "startDate": "2099-01-01"}, None):
        api.taken(schedule)
    api.taken({"runs": "hourly"}, http=world.client(ccid=OTHER, mount="/wrapped" if api.wrapped else "/udm"))
    job = api.taken({**DAILY, "immediately": True})
    assert world.rows.get("job", job, "next_run_at >= created_at + interval '6 hours'") == (True,)


def test_bytes_per_day(world, api):
    job, run = world.rows.job(run="COMPLETED")
    for size, ago in ((5000, 25), (400, 23), (600, 2)):
        name = world.rows.file(run, job, size=size)
        world.site.sql("UPDATE udm.file SET created_at = now() - make_interval(hours => %s) WHERE name = %s",
                       [ago, name])
    limit(world, bytes_per_day=1001)
    suspended = api.taken()
    assert api.change("suspend", suspended).status_code == 200
    limit(world, bytes_per_day=1000)
    before = world.rows.state()
    # Until the one of 23 hours ago is a day old.
    api.refused(api.post(), "bytes_per_day", 1000, (3500, 3600))
    api.refused(api.change("resume", suspended), "bytes_per_day", 1000, (3500, 3600))
    assert world.rows.state() == before
    later = api.taken(LATER)
    api.refused(api.put(later), "bytes_per_day", 1000, (3500, 3600))
    api.taken(DAILY)
    api.taken(http=world.client(ccid=OTHER, mount="/wrapped" if api.wrapped else "/udm"))
    # One that is deleted was made all the same; one that is a day old was not made today.
    assert world.client().delete(f"/v10/files/{name}").status_code == 204
    api.refused(api.post(), "bytes_per_day", 1000, (3500, 3600))
    limit(world, bytes_per_day=600)
    api.refused(api.post(), "bytes_per_day", 600, (79000, 79200))
    world.site.sql("UPDATE udm.file SET created_at = created_at - interval '23 hours'")
    api.taken()


def test_nobody_waits_for_another(world):
    """Somebody holds the limits of one contact centre: its clients are told, and others notice nothing."""
    limit(world, queued=5)
    api = Api(world)
    with world.site.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("SELECT FROM udm.quota FOR UPDATE")
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda i: api.post(http=world.site.client(OTHER if i else HOME),
                                                          timeout=60).status_code, range(8)))
    assert answers == [503] + [202] * 7
    world.site.httpd.allow_log("UDM0030")
    api.taken()
