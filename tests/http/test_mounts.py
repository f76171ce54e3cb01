"""Several mounts of one server, each with its own versions, envelope and headers; proxies before it;
and changes of all that while it is in use."""
import http.client
import json
import threading
import time

import pytest

from udmtest.answers import problem, unwrap
from udmtest.api import Client
from udmtest.files import PublishedFile
from udmtest.operations import World
from udmtest.process import wait_for

SUNSET = "Wed, 30 Jun 2027 00:00:00 GMT"
DEPRECATION = "@1767225600"
NAMED = "api.example.test"


class Mounts(World):
    MOUNTS = {
        "/data-download": ["UDMEnvelope wrapped", "UDMVersions v4 v3", "UDMSunset 2027-06-30"],
        "/current": ["UDMVersions v10"],
        "/public": ["UDMPublicURL https://api.example.com/udm"],
        "/outer": ["UDMVersions v10 v3", "UDMSunset 2027-06-30"],
    }


def nested(path, *lines):
    return [f'<Location "{path}">', *lines, "</Location>"]


@pytest.fixture(scope="module")
def world(env):
    def prepare(self):
        httpd = self.site.httpd
        httpd.modules = [*httpd.modules, "remoteip"]
        httpd.location = ["UDMSunset 2027-06-30"]
        httpd.server = ["RemoteIPHeader X-Forwarded-For", "RemoteIPInternalProxy 127.0.0.1"]
        httpd.after = [*nested("/outer/v3", "UDMEnvelope wrapped", "UDMSunset none"),
                       *nested("/current/v10/export", "UDMEnvelope wrapped"),
                       f"<VirtualHost 127.0.0.1:{httpd.port}>", "ServerName localhost", "</VirtualHost>",
                       f"<VirtualHost 127.0.0.1:{httpd.port}>", f"ServerName {NAMED}",
                       "UDMVersions v3", "UDMEnvelope wrapped", *httpd.section("/elsewhere"),
                       "</VirtualHost>"]
    result = Mounts(env, prepare)
    yield result
    result.close()


def at(world, mount, **credentials):
    found = world.client()
    return Client(world.site.httpd.at(mount), secrets=found.secrets,
                  **{"key": found.key, "token": found.token, **credentials})


def test_each_mount_has_its_versions(world):
    for mount, versions in (("/udm", {"v10", "v4", "v3"}), ("/data-download", {"v4", "v3"}),
                            ("/current", {"v10"}), ("/outer", {"v10", "v3"})):
        client = at(world, mount)
        for version in ("v10", "v4", "v3"):
            path = f"/{version}/" + ("export/jobs" if version != "v3" else "version")
            answer = client.get(path)
            assert (answer.status_code in (200, 204)) == (version in versions), (mount, version)
            if version not in versions:
                document = problem(answer, 404, "switched off", wrapped=mount == "/data-download")
                assert version in document["detail"]
                assert all(v in document["detail"] for v in versions)
            # whatever is below it, and by any method
            answer = client.request("PATCH", f"/{version}/nothing/at/all")
            problem(answer, 404, wrapped=mount == "/data-download"
                    or (mount, version) == ("/outer", "v3"))
            assert ("switched off" in answer.text) == (version not in versions)


def test_envelopes_are_by_mount(world):
    for path in ("/v3/version", "/v3/data/job-statuses"):
        bare = at(world, "/udm").get(path)
        wrapped = at(world, "/data-download").get(path)
        assert unwrap(wrapped, True) == unwrap(bare, False)
    problem(at(world, "/data-download").get("/v3/nothing"), 404, wrapped=True)
    problem(at(world, "/data-download", key=None, token=None).get("/v3/version"), 401, wrapped=True)
    problem(at(world, "/udm").get("/v3/nothing"), 404)


def test_a_nested_location_overrides(world):
    client = at(world, "/outer")
    assert unwrap(client.get("/v10/version"), False)["name"] == "mod_udm"
    assert unwrap(client.get("/v3/version"), True)["name"] == "mod_udm"
    assert "Sunset" not in client.get("/v3/version").headers
    problem(client.get("/v4/export/jobs"), 404, "v3", "v10")
    world.make("job")
    client = at(world, "/current")
    assert unwrap(client.get("/v10/data/job-statuses"), False)
    page = unwrap(client.get("/v10/export/jobs?size=1"), True)
    assert page["count"] >= 1 and len(page["items"]) == 1
    posted = client.post("/v10/export/jobs", json=client.job())
    assert posted.headers["Location"] == f"{client.base}/v10/export/jobs/{unwrap_status(posted, 202)['id']}"


def unwrap_status(answer, status):
    assert answer.status_code == status, answer.text
    return unwrap(answer, True)


def test_deprecation_and_sunset(world):
    for mount, sunset in (("/udm", SUNSET), ("/data-download", SUNSET), ("/public", None)):
        wrapped = mount == "/data-download"
        for path, status in (("/v3/version", 200), ("/v4/export/jobs/0", 400), ("/v3/nothing", 404),
                             ("/v4/export/jobs/999999999", 404)):
            answer = at(world, mount).get(path)
            assert answer.status_code == status
            if status != 404 or "jobs" in path:
                assert answer.headers["Deprecation"] == DEPRECATION
                assert answer.headers.get("Sunset") == sunset
        refused = at(world, mount, key=None, token=None).get("/v3/version")
        problem(refused, 401, wrapped=wrapped)
        assert (refused.headers["Deprecation"], refused.headers.get("Sunset")) == (DEPRECATION, sunset)
    for answer in (at(world, "/udm").get("/v10/version"), at(world, "/udm").get("/v10/nothing"),
                   at(world, "/udm", key=None).get("/v10/version")):
        assert "Deprecation" not in answer.headers and "Sunset" not in answer.headers


def test_a_virtual_host_of_its_own(world):
    """It is asked for by name. httpd gives it the main server's Locations, too: with its own versions
    and envelope where they say nothing."""
    client = at(world, "/elsewhere")
    named = {"Host": NAMED}
    assert unwrap(client.get("/v3/version", headers=named), True)["name"] == "mod_udm"
    problem(client.get("/v10/version", headers=named), 404, "v3", wrapped=True)
    assert client.get("/v3/version").status_code == 404
    inherited = at(world, "/udm")
    assert unwrap(inherited.get("/v3/version", headers=named), True)["name"] == "mod_udm"
    problem(inherited.get("/v10/version", headers=named), 404, "switched off", wrapped=True)
    assert unwrap(inherited.get("/v10/version"), False)["name"] == "mod_udm"
    name = world.make("file")
    link = client.get(f"/v3/files/{name}", headers=named).headers["Location"]
    assert link.startswith(f"http://{NAMED}/elsewhere/download/{name}?")


def test_the_public_url_decides_alone(world):
    client, name = at(world, "/public"), world.make("file")
    forwarded = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher",
                 "Forwarded": "host=evil.example", "Host": "also-evil.example"}
    for headers in ({}, forwarded):
        link = client.get(f"/v10/files/{name}", headers=headers).headers["Location"]
        assert link.startswith(f"https://api.example.com/udm/download/{name}?")
        many = client.get("/v10/files", params={"filename": name}, headers=headers).json()
        assert many[0]["path"].startswith("https://api.example.com/udm/download/")
        posted = client.post("/v10/export/jobs", json=client.job(), headers=headers)
        assert posted.headers["Location"] \
            == f"https://api.example.com/udm/v10/export/jobs/{posted.json()['id']}"
        document = client.get("/openapi.json", headers=headers).json()
        assert [s["url"] for s in document["servers"]] == ["https://api.example.com/udm"]


def test_forwarded_hosts_are_not_believed(world):
    client, name = at(world, "/udm"), world.make("file")
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher", "Forwarded": "host=evil"}
    assert client.get(f"/v10/files/{name}", headers=headers).headers["Location"].startswith(client.base)
    posted = client.post("/v10/export/jobs", json=client.job(), headers=headers)
    assert posted.headers["Location"].startswith(client.base)


def test_the_client_behind_a_trusted_proxy(world):
    """mod_remoteip says who that is; nobody else does."""
    client = at(world, "/udm")
    for number, (headers, address) in enumerate((
            ({"X-Forwarded-For": "203.0.113.7"}, "203.0.113.7"),
            ({"X-Forwarded-For": "198.51.100.1, 203.0.113.8"}, "203.0.113.8"),
            ({"X-Forwarded-For": "2001:db8::1"}, "2001:db8::1"),
            ({"X-Real-IP": "203.0.113.9", "Forwarded": "for=203.0.113.9"}, "127.0.0.1"))):
        request = f"remote-{number}"
        answer = client.post("/v10/export/jobs", json=client.job(),
                             headers={**headers, "X-Request-Id": request})
        assert answer.status_code == 202
        assert world.site.sql("SELECT client_address FROM udm.audit WHERE request_id = %s",
                              [request]) == [(address,)]


def test_downloads_through_the_second_mount(world):
    """A link of one mount is good at the other: it is one store with one key."""
    published = PublishedFile(world.site, content=b"shared")
    link = at(world, "/data-download").get(f"/v3/files/{published.name}").headers["Location"]
    assert "/data-download/download/" in link
    assert world.stranger().get(link).content == b"shared"
    assert world.stranger().get(link.replace("/data-download/", "/udm/")).content == b"shared"


# Changes while it is in use

OLD, NEW = [], ["UDMEnvelope wrapped", "UDMVersions v10 v4"]


def belongs(path, status, kind, body):
    """Which configurations an answer can be of; none when it is torn or wrong."""
    value = json.loads(body)
    name = path.split("/")[2]
    if status == 200 and kind == "application/json":
        inner = value.get("data") if "status" in value else value
        if inner and inner.get("name") == "mod_udm":
            return {"new"} if "data" in value else {"old"}
    if name == "v3" and status == 404:
        return {"new"} if value["status"]["code"] == 404 else set()
    return set()


def test_a_graceful_restart_loses_no_request(env):
    world = World(env)
    try:
        httpd, client = world.site.httpd, world.client()
        world.site.httpd.mounts = {}
        httpd.location = list(OLD)
        httpd.reload()
        stop, seen, wrong = threading.Event(), [], []
        headers = {"x-api-key": client.key, "Authorization": "Bearer " + client.token,
                   "Connection": "close"}

        def load(path):
            while not stop.is_set():
                try:
                    connection = http.client.HTTPConnection("127.0.0.1", httpd.port, timeout=20)
                    connection.request("GET", path, headers=headers)
                    answer = connection.getresponse()
                    which = belongs(path, answer.status, answer.headers["Content-Type"], answer.read())
                    connection.close()
                    (seen if which else wrong).append(which or (path, answer.status))
                except Exception as e:  # noqa: BLE001 - whatever it is, it is a lost request
                    wrong.append((path, repr(e)))

        threads = [threading.Thread(target=load, args=(p,)) for p in ("/udm/v10/version", "/udm/v3/version")
                   for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            end, count = time.monotonic() + 10, 0
            while time.monotonic() < end and count < 6:
                httpd.location = list(NEW if count % 2 == 0 else OLD)
                httpd.reload()
                count += 1
                mark = len(seen)
                kind = {"new"} if count % 2 else {"old"}
                wait_for(lambda: kind in seen[mark:] or wrong, 30, f"answers of restart {count}")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not wrong, wrong[:5]
        assert count >= 1 and len(seen) > 20
        print(f"{len(seen)} requests over {count} graceful restarts")
    finally:
        world.close()
