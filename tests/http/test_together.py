"""What many requests ask at the same time is asked of the database together: each gets its own answer."""
from concurrent.futures import ThreadPoolExecutor

import pytest

from udmtest.answers import problem

CENTRES = ("harbour-insurance", "lakeside-energy")
JOBS = "/v10/export/jobs"


@pytest.fixture(scope="module")
def clients(site):
    """By contact centre; each request is verified anew, so that credentials are asked together, too."""
    site.httpd.stop()
    site.httpd.location = ["UDMKeyCache Off"]
    site.httpd.mpm = "event"
    site.httpd.start()
    for ccid in CENTRES:
        site.client(ccid).upload_certificate(site.env.certificate.pem)
    yield {ccid: site.client(ccid) for ccid in CENTRES}
    site.httpd.location = []


def at_once(function, items):
    with ThreadPoolExecutor(24) as threads:
        return list(threads.map(function, items))


def test_jobs_of_two_tenants(site, clients):
    """More at once than go together, good ones among bad ones, of two contact centres."""
    def post(i):
        client = site.client(CENTRES[i % 2])
        if i % 10 == 7:
            problem(client.post(JOBS, json=client.job(source="Nowhere")), 400)
            return None
        answer = client.post(JOBS, json=client.job(title=f"together {i}"), headers={"X-Request-Id": f"together-{i}"})
        assert answer.status_code == 202, answer.text
        assert answer.json()["title"] == f"together {i}"
        return i, answer.json()["id"]

    made = dict(x for x in at_once(post, range(200)) if x)
    assert len(set(made.values())) == len(made) == 180

    def read(i):
        own, other = (site.client(ccid) for ccid in (CENTRES[i % 2], CENTRES[1 - i % 2]))
        answer = own.get(f"{JOBS}/{made[i]}")
        assert answer.status_code == 200 and answer.json()["title"] == f"together {i}", answer.text
        problem(other.get(f"{JOBS}/{made[i]}"), 404)

    at_once(read, made)
    rows = site.sql("SELECT j.id, j.ccid, j.title, r.title, a.ccid FROM udm.job j"
                    " JOIN udm.run r ON r.id = j.latest_run_id JOIN udm.run_progress p ON p.run_id = r.id"
                    " JOIN udm.audit a ON a.object = j.id::text AND a.action = 'job.create'"
                    " AND a.request_id = 'together-' || substr(j.title, 10)")
    assert sorted(rows) == sorted((made[i], CENTRES[i % 2], f"together {i}", f"together {i}", CENTRES[i % 2])
                                  for i in made)


def test_credentials_good_and_bad(site, clients):
    keys = [site.new_key(ccid) for ccid in CENTRES]
    revoked = site.new_key(CENTRES[0])
    site.sql("SELECT udm.revoke_api_key(%s)", [revoked])

    def ask(i):
        kind = i % 4
        if kind == 3:
            problem(site.client(CENTRES[0], key=revoked).get("/v10/data/sources"), 401)
        elif kind == 2:
            problem(site.client(CENTRES[0], key=keys[1]).get("/v10/data/sources"), 403)
        else:
            assert site.client(CENTRES[kind], key=keys[kind]).get("/v10/data/sources").status_code == 200
    at_once(ask, range(160))


def test_one_locked_tenant_makes_no_other_fail(site, clients):
    """Whoever waits for another one's lock in vain says so to its own client alone."""
    with site.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("SELECT FROM udm.tenant WHERE ccid = %s FOR UPDATE", [CENTRES[0]])

        def post(i):
            client = site.client(CENTRES[i > 0])
            return client.post(JOBS, json=client.job(title=f"locked {i}"), timeout=60).status_code
        statuses = at_once(post, range(24))
    assert statuses == [503] + [202] * 23
    site.httpd.allow_log("UDM0030")
