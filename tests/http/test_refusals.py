"""What other modules add to answers is on refusals, too: CORS, HSTS and the like."""
import pytest

from udmtest.answers import problem
from udmtest.api import Client
from udmtest.site import Site

ORIGIN = "https://portal.example"
ADDED = {"Access-Control-Allow-Origin": ORIGIN, "Strict-Transport-Security": "max-age=31536000",
         "X-Frame-Options": "DENY"}


@pytest.fixture(scope="module")
def site(env):
    result = Site(env)
    httpd = result.httpd
    httpd.modules += ["headers", "authz_host"]
    httpd.server = [f'Header always set {name} "{value}"' for name, value in ADDED.items()]
    httpd.mounts = {"/wrapped": ["UDMEnvelope wrapped"], "/shut": ["UDMVersions v10"]}
    httpd.after = ['<Location "/shut/v10/data">', "Require all denied", "</Location>",
                   '<Location "/udm/v10/files">', 'ErrorDocument 401 "https://login.example/"', "</Location>",
                   '<Location "/guarded">', "AuthType UDM", "AuthName UDM", "Require valid-user",
                   f"UDMTokenKeys {env.tokens.jwks_path}", 'ErrorDocument 401 "<p>no</p>"', "</Location>"]
    result.start_httpd()
    yield result
    result.close()


def assert_added(answer):
    for name, value in ADDED.items():
        assert answer.headers.get(name) == value, (answer.status_code, name)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_on_each_refusal(site, method):
    ok = method == "GET"
    anonymous = Client(site.httpd.url)
    other = site.client(token=site.env.tokens.token("lakeside-energy"))
    for client, path, status in ((anonymous, "/v10/export/jobs", 401), (anonymous, "/nothing", 401),
                                 (site.client(key="nonsense"), "/v10/export/jobs", 401),
                                 (site.client(token="nonsense"), "/v10/export/jobs", 401),
                                 (other, "/v10/export/jobs", 403), (site.client(), "/v10/nothing", 404),
                                 (anonymous, "/v10/files", 401)):
        answer = client.request(method, path)
        if method == "POST" and path == "/v10/files":
            status = 405
        assert answer.status_code == status, (path, answer.text)
        assert_added(answer)
        if status == 401:
            assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="UDM"')
        assert answer.headers["X-Request-Id"] and answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if ok:
            problem(answer, status)
    assert_added(site.client().request(method, "/v10/version"))


def test_what_is_wrong_is_still_said(site):
    detail = problem(Client(site.httpd.url).get("/v10/version"), 401)["detail"]
    assert detail == "send an API key in the header x-api-key"
    answer = site.client(token="nonsense").get("/v10/version")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    answer = Client(site.httpd.at("/wrapped")).get("/v10/version")
    assert problem(answer, 401, wrapped=True)["detail"] == detail
    assert_added(answer)
    answer = Client(site.httpd.url).get("/v3/version")
    assert answer.headers["Deprecation"]
    problem(answer, 401)


def test_where_a_rule_of_the_server_refuses(site):
    site.httpd.allow_log("AH01630")
    answer = site.client(mount="/shut").get("/v10/data/sources")
    problem(answer, 403, "the rules of this server")
    assert_added(answer)


def test_where_no_mount_is(site):
    answer = Client(site.httpd.at("/guarded")).get("/")
    assert_added(answer)
    assert "x-api-key" in problem(answer, 401)["detail"]


def test_a_connection_goes_on(site):
    """A refused POST does not leave its body for the next request to be read from."""
    client = Client(site.httpd.url)
    for _ in range(3):
        problem(client.post("/v10/export/jobs", data=b"GET /udm/v10/x HTTP/1.1\r\n\r\n" * 2000), 401)
        problem(client.get("/v10/nothing"), 404)


def test_preflight(site):
    """A browser asks without any credential."""
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "x-api-key,authorization,content-type"}
    for path in ("/v10/export/jobs", "/v10/cipher/x", "/v4/export/jobs/1"):
        answer = Client(site.httpd.url).request("OPTIONS", path, headers=asked)
        assert answer.status_code == 204 and answer.content == b"" and answer.headers["Allow"]
        assert_added(answer)


def test_when_the_database_is_away(site):
    """What is asked in front of the handler, and fails."""
    dbd, site.httpd.dbd = site.httpd.dbd, [line.replace("dbname=", "dbname=not_") for line in site.httpd.dbd]
    try:
        site.httpd.stop()
        site.httpd.allow_log("UDM00|AH006|dbd")
        site.httpd.start()
        answer = site.client().get("/v10/export/jobs")
        problem(answer, 503)
        assert answer.headers["Retry-After"]
        assert_added(answer)
    finally:
        site.httpd.dbd = dbd
        site.httpd.stop()
        site.httpd.allow_log("UDM00|AH006|dbd")
        site.httpd.start()
