"""UDMKeyCache: what was found of a key or a token a moment ago. It is never believed for longer than
the directive says, nor for anybody else, nor past the end of the key or the token."""
import concurrent.futures
import time

import pytest

from udmtest.answers import problem
from udmtest.env import EXPORTER
from udmtest.process import wait_for

JOBS = "/v10/export/jobs"
OTHER = "lakeside-energy"


@pytest.fixture(scope="module")
def site(site):
    """/udm keeps nothing, /short for 1 s, /long for 5 s: the longest there is."""
    site.httpd.stop()
    site.httpd.location = ["UDMKeyCache Off"]
    site.httpd.mounts = {"/short": ["UDMKeyCache 1s"], "/long": ["UDMKeyCache 5s"]}
    # one child, so that no request finds another one's memory
    site.httpd.MPM = {name: ["ServerLimit 1" if line.startswith("ServerLimit") else line
                             for line in lines if not line.startswith("MaxRequestWorkers")]
                      + ["MaxRequestWorkers 25", "MaxSpareThreads 25"]
                      for name, lines in site.httpd.MPM.items() if name != "prefork"}
    site.httpd.mpm = "event"
    site.httpd.start()
    yield site
    site.httpd.mounts, site.httpd.location = {}, []


def status(client):
    return client.get(JOBS).status_code


def asked(site, key):
    """Was PostgreSQL asked about a key since unnote()? It then notes the use."""
    return site.sql("SELECT last_used_at IS NOT NULL FROM udm.api_key WHERE key_id = %s",
                    [key.split("_")[1]])[0][0]


def unnote(site, key):
    site.sql("UPDATE udm.api_key SET last_used_at = NULL WHERE key_id = %s", [key.split("_")[1]])


def test_second_request_asks_nobody(site):
    key = site.new_key()
    client = site.client(key=key, mount="/long")
    assert status(client) in (200, 204) and asked(site, key)
    unnote(site, key)
    assert status(client) in (200, 204)
    assert not asked(site, key), "the key was looked up again at once"


def test_off_asks_each_time(site):
    key = site.new_key()
    client = site.client(key=key)
    for _ in range(2):
        unnote(site, key)
        assert status(client) in (200, 204) and asked(site, key)
    site.sql("SELECT udm.revoke_api_key(%s)", [key])
    assert status(client) == 401


def test_off_believes_nobody_elses_memory(site):
    """One Location remembers a key, another one does not."""
    key = site.new_key()
    long, off = site.client(key=key, mount="/long"), site.client(key=key)
    assert status(long) in (200, 204)
    site.sql("SELECT udm.revoke_api_key(%s)", [key])
    assert status(off) == 401


@pytest.mark.parametrize("with_token", [True, False])
def test_revoked_key_stops_within_the_time(site, with_token):
    key = site.new_key()
    path = JOBS if with_token else "/v10/version"
    client = site.client(key=key, mount="/short", **({} if with_token else {"token": None}))
    assert client.get(path).status_code in (200, 204)
    site.sql("SELECT udm.revoke_api_key(%s)", [key])
    wait_for(lambda: client.get(path).status_code == 401, 5, "the key to stop working")
    for _ in range(3):
        assert client.get(path).status_code == 401


def test_roles_that_change(site):
    key = site.new_key()
    client = site.client(key=key, mount="/short")
    client.upload_certificate(site.env.certificate.pem)
    job = client.create_job()
    path = f"{JOBS}/{job['id']}"
    assert client.get(path).status_code == 200
    site.sql("UPDATE udm.api_key SET roles = '{iWD Administrator}' WHERE key_id = %s", [key.split("_")[1]])
    wait_for(lambda: client.get(path).status_code == 404, 5, "the role to be gone")
    site.sql("UPDATE udm.api_key SET roles = %s WHERE key_id = %s", [[EXPORTER], key.split("_")[1]])
    wait_for(lambda: client.get(path).status_code == 200, 5, "the role to be back")


def used_in_time(make, *seconds):
    """A client of make(seconds) that was let in before its time was over: on a busy machine the
    shorter ones may not be."""
    for left in seconds:
        client = make(left)
        if status(client) in (200, 204):
            return client
    raise AssertionError(f"nobody was let in, not even for {left} s")


def test_off_sees_changed_rights_at_once(site):
    """What a set of roles may do is kept until something changes that it depends on."""
    site.sql("INSERT INTO udm.role (name) VALUES ('Passing')")
    client = site.client(key=site.new_key(roles=["Passing"]), token=None)

    def sources():
        answer = client.get("/v3/data/types")
        assert answer.status_code in (200, 204), answer.text
        return {x["source"] for x in answer.json()} if answer.status_code == 200 else set()
    for _ in range(2):
        assert sources() == set()
        site.sql("INSERT INTO udm.role_grant (role, source, type) VALUES ('Passing', 'UCS', 'Interaction')")
        assert sources() == sources() == {"UCS"}
        site.sql("UPDATE udm.role SET may_read = false WHERE name = 'Passing'")
        assert sources() == set()
        site.sql("UPDATE udm.role SET may_read = true WHERE name = 'Passing'")
        assert sources() == {"UCS"}
        site.sql("DELETE FROM udm.role_grant WHERE role = 'Passing'")


def test_expired_key_stops_at_its_instant(site):
    """Its end is remembered with it."""
    expires = None

    def make(seconds):
        nonlocal expires
        expires = site.sql("SELECT now() + make_interval(secs => %s)", [seconds])[0][0]
        return site.client(key=site.new_key(expires_at=expires), mount="/long")

    def over():
        return site.sql("SELECT clock_timestamp() >= %s", [expires])[0][0]
    client = used_in_time(make, 1.5, 6, 24)
    seen = set()
    while not over():
        seen.add(status(client))
    assert status(client) == 401
    assert seen <= {200, 204, 401}
    assert problem(client.get(JOBS), 401)["detail"] == "the API key has expired"


def test_expired_token_stops_at_its_instant(site):
    """exp, and the 60 s that clocks may differ."""
    client = used_in_time(lambda left: site.client(token=site.env.tokens.token(lifetime=left - 60),
                                                   mount="/long"), 2, 8, 30)
    wait_for(lambda: status(client) == 401, 60, "the token to end")


def test_credentials_do_not_stand_for_others(site):
    """Each pair by itself: a good key beside another's token, a key cut short, another secret."""
    key, token = site.key(), site.env.tokens.token()
    long = site.client(mount="/long", token=token)
    assert status(long) in (200, 204)
    assert status(site.client(mount="/long", token=site.env.tokens.token(OTHER))) == 403
    assert status(site.client(mount="/long", key=site.key(OTHER), token=token)) == 403
    for bad in (key[:-1], key[:-1] + ("0" if key[-1] != "0" else "1"), key + "0"):
        assert status(site.client(mount="/long", key=bad, token=token)) == 401
    forged = token[:-20] + ("A" if token[-20] != "A" else "B") + token[-19:]
    for bad in (forged, token + "A", token[:-1]):
        assert status(site.client(mount="/long", key=key, token=bad)) == 401
    # and after all that the good ones are still good
    assert status(long) in (200, 204)


def test_subject_and_tenant_are_ones_own(site):
    """Two tokens of one key, each with its own subject, in the audit."""
    names = ("ann", "bob")
    clients = [site.client(mount="/long", token=site.env.tokens.token(subject=name)) for name in names]
    clients[0].upload_certificate(site.env.certificate.pem)
    for client in clients * 2:
        client.create_job(title="whose")
    rows = site.sql("SELECT subject, count(*) FROM udm.audit WHERE action = 'job.create'"
                    " AND subject = ANY (%s) GROUP BY subject ORDER BY subject", [list(names)])
    assert rows == [("ann", 2), ("bob", 2)]
    other = site.client(OTHER, mount="/long")
    job = clients[0].get(JOBS).json()["items"][0]["id"]
    assert clients[0].get(f"{JOBS}/{job}").status_code == 200
    assert other.get(f"{JOBS}/{job}").status_code == 404


def test_refusal_is_not_remembered(site):
    """A key that is made good works at once."""
    key = site.new_key()
    site.sql("SELECT udm.revoke_api_key(%s)", [key])
    client = site.client(key=key, mount="/long")
    assert status(client) == 401
    site.sql("UPDATE udm.api_key SET revoked_at = NULL WHERE key_id = %s", [key.split("_")[1]])
    assert status(client) in (200, 204)


def test_more_holders_than_fit(site):
    """2,000 different tokens at once: each gets its own answer, and memory has its bounds."""
    tokens = [site.env.tokens.token(("harbour-insurance", OTHER)[i % 2], subject=f"holder {i}")
              for i in range(2000)]
    keys = (site.key(), site.key(OTHER))

    def ask(i):
        client = site.client(key=keys[i // 2 % 2], token=tokens[i], mount="/long")
        return i % 2 == i // 2 % 2, client.get("/v10/data/sources").status_code
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for matches, code in pool.map(ask, range(len(tokens))):
            assert code == (200 if matches else 403)


def test_what_is_kept_is_given_up(site):
    """Replaced while requests hold it: many threads, a lifetime that ends all the time."""
    end = time.monotonic() + 3

    def ask(_):
        mine = site.client(mount="/short")
        codes = set()
        while time.monotonic() < end:
            codes.add(mine.get("/v10/data/sources").status_code)
        return codes
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set().union(*pool.map(ask, range(8))) == {200}
