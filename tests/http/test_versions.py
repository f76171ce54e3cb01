"""Which versions a section offers, what it says of those that end, and that sections do not mix."""
import email.utils

import pytest

from udmtest.api import Client
from udmtest.files import PublishedFile
from udmtest.site import Site

DEPRECATED = "@1767225600"  # 2026-01-01 UTC
SUNSET = "Wed, 30 Jun 2027 00:00:00 GMT"


@pytest.fixture(scope="module")
def site(env):
    """/udm offers what the main server says, v10 and v4; others say otherwise."""
    result = Site(env)
    httpd = result.httpd
    httpd.server = ["UDMVersions v4 v10", "UDMSunset 2027-06-30"]
    httpd.mounts = {"/all": ["UDMVersions v3 v4 v10", "UDMSunset none"], "/new": ["UDMVersions v10"]}
    httpd.modules.append("rewrite")
    httpd.start(httpd.config() + """
        <Location "/udm/v3">
            UDMVersions v3
            UDMSunset 2027-12-24T18:00:00+01:00
        </Location>
        <Location "/all">
            <If "reqenv('ONLY') == 'v10'">
                UDMVersions v10
            </If>
        </Location>
        RewriteEngine On
        RewriteCond "%{HTTP:X-Only}" "v10"
        RewriteRule "^" "-" [E=ONLY:v10]
        RewriteRule "^/short/(.*)" "/all/v3/$1" [PT]
        RewriteRule "^/other/(.*)" "/new/v3/$1" [PT]
        """)
    yield result
    result.close()


def at(site, client, mount):
    return Client(site.httpd.at(mount), client.key, client.token)


def problem(answer, status):
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.json()


def test_each_section_has_its_own(site, client):
    # /udm/v3 is a section of its own: what it says replaces the rest, below it
    for mount, on in (("/udm", {"v10", "v4", "v3"}), ("/all", {"v10", "v4", "v3"}), ("/new", {"v10"})):
        who = at(site, client, mount)
        assert who.get("/v10/version").status_code == 200
        for path in ("/v4/export/jobs", "/v3/version"):
            answer = who.get(path)
            assert (answer.status_code in (200, 204)) == (path[1:3] in on), (mount, path)


def test_off_is_said_whatever_is_asked(site, client):
    who, anonymous = at(site, client, "/new"), Client(site.httpd.at("/new"))
    for caller in (who, anonymous):
        for method, path in (("GET", "/v3/version"), ("GET", "/v3/nothing"), ("POST", "/v4/export/jobs"),
                             ("OPTIONS", "/v4/export/jobs"), ("PUT", "/v3/version"), ("GET", "/v3"),
                             ("DELETE", "/v4/export/jobs/1")):
            answer = caller.request(method, path)
            detail = problem(answer, 404)["detail"]
            assert path[1:3] in detail and "v10" in detail
            assert "Deprecation" not in answer.headers and "Allow" not in answer.headers
    detail = problem(who.get("/v7/version"), 404)["detail"]
    assert "v10" in detail and "v3" not in detail


def test_a_section_that_changes_on_the_way(site, client):
    """What the <If> looks at is not there yet when the request is recognised."""
    who = at(site, client, "/all")
    assert who.get("/v3/version").status_code == 200
    problem(who.get("/v3/version", headers={"X-Only": "v10"}), 404)
    assert who.get("/v10/version", headers={"X-Only": "v10"}).status_code == 200


def test_the_path_that_a_rewrite_gives_counts(site, client):
    # nothing of the first path is the module's
    assert Client(site.httpd.at("/short"), client.key).get("/version").json()["name"] == "mod_udm"
    problem(Client(site.httpd.at("/other"), client.key).get("/version"), 404)
    problem(Client(site.httpd.at("/short")).get("/version"), 401)


@pytest.mark.parametrize("method, path, headers, status", [
    ("GET", "/v3/version", {}, 200), ("HEAD", "/v3/version", {}, 200),
    ("GET", "/v4/export/jobs?title=there%20is%20none", {}, 204), ("OPTIONS", "/v4/export/jobs", {}, 204),
    ("GET", "/v4/export/jobs/999999", {}, 404), ("GET", "/v4/export/jobs/x", {}, 400),
    ("GET", "/v3/nothing", {}, 404), ("PATCH", "/v3/version", {}, 405),
    ("GET", "/v3/version", {"Accept": "text/html"}, 406), ("GET", "/v3/version", {"x-api-key": "no"}, 401),
    ("POST", "/v4/export/jobs", {"Content-Type": "text/plain"}, 415)])
def test_deprecation_is_said_with_every_answer(site, client, method, path, headers, status):
    body = b"x" if method == "POST" else None
    for mount, sunset in (("/udm", SUNSET), ("/all", None)):
        answer = at(site, client, mount).request(method, path, headers=headers, data=body)
        assert answer.status_code == status, answer.text
        assert answer.headers["Deprecation"] == DEPRECATED
        if mount == "/udm" and path.startswith("/v3"):
            sunset = "Fri, 24 Dec 2027 17:00:00 GMT"
        assert answer.headers.get("Sunset") == sunset
        assert sunset is None or email.utils.parsedate_to_datetime(sunset)


def test_what_is_not_deprecated_does_not_say_so(site, client):
    published = PublishedFile(site)
    link = at(site, client, "/udm").link(published.name)
    site.env.secrets.add(link.split("signature=")[1])
    for url in ("/v10/version", "/v10/nothing", "/nothing", "/openapi.json", link):
        answer = at(site, client, "/udm").get(url)
        assert "Deprecation" not in answer.headers and "Sunset" not in answer.headers, url
    assert "Deprecation" not in Client(site.httpd.url).get("/v10/version").headers


def test_description_of_each_section(site, client):
    def versions(mount):
        answer = Client(site.httpd.at(mount)).get("/openapi.json")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-cache"
        document = answer.json()
        assert document["servers"] == [{"url": site.httpd.at(mount)}]
        # who has it already is told so
        again = Client(site.httpd.at(mount)).get("/openapi.json",
                                                 headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        return {path.split("/")[1] for path in document["paths"]} - {"download", "openapi.json"}
    assert versions("/udm") == {"v10", "v4"}
    assert versions("/all") == {"v10", "v4", "v3"}
    assert versions("/new") == {"v10"}


def test_a_virtual_host_inherits_and_replaces(site, client):
    httpd = site.httpd
    text = httpd.config()
    httpd.stop()
    httpd.start(text + f"""
        <VirtualHost *:{httpd.port}>
            ServerName localhost
        </VirtualHost>
        <VirtualHost *:{httpd.port}>
            ServerName old.example
            UDMVersions v3
        </VirtualHost>""")
    try:
        for host, path, status in (("localhost", "/v10/version", 200), ("localhost", "/v3/version", 404),
                                   ("old.example", "/v3/version", 200),
                                   ("old.example", "/v10/version", 404)):
            answer = client.get(path, headers={"Host": host})
            assert answer.status_code == status, (host, path, answer.text)
    finally:
        httpd.stop()
        httpd.start()
