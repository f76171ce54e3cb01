"""PostgreSQL goes and comes back: 503 with Retry-After meanwhile, and no restart of httpd."""
import concurrent.futures
import signal

import pytest

from udmtest.env import Environment
from udmtest.process import wait_for
from udmtest.site import Site


@pytest.fixture(scope="module")
def site(request):
    """With a PostgreSQL of its own: other tests must not see it stop."""
    environment = Environment()
    result = Site(environment, "empty")
    for ccid in ("harbour-insurance", "lakeside-energy"):
        result.sql("SELECT udm.create_tenant(%s)", [ccid])
    result.start_httpd()
    yield result
    lines = environment.unexpected_log_lines()
    leaks = environment.close()
    assert not lines, "unexpected in the logs:\n" + "\n".join(lines)
    assert not leaks, f"credentials in logs: {leaks}"


def problem(answer, status):
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.json()


def expect_trouble(site):
    site.httpd.allow_log(r"UDM0030|dbd:error|AH0062[0-9]|AH0063[0-9]|AH02653|connection to server")


def new_client(site, **kwargs):
    """A client that connects for each request: while PostgreSQL restarts, httpd may close an idle
    connection at the moment it is used again."""
    client = site.client(**kwargs)
    client.session.headers["Connection"] = "close"
    return client


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_restart_between_requests(site, how):
    """A pooled connection that died unseen costs no request, and prepared statements come back."""
    client = new_client(site)
    for _ in range(3):
        assert client.get("/v10/export/jobs").status_code == 204
    site.env.postgres.restart(how)
    expect_trouble(site)
    for _ in range(10):
        assert client.get("/v10/export/jobs").status_code == 204
        assert client.get("/v10/cipher").status_code == 404


def test_down_and_back(site):
    client = new_client(site)
    assert client.get("/v10/export/jobs").status_code == 204
    site.env.postgres.stop()
    expect_trouble(site)
    try:
        for method, path in (("GET", "/v10/export/jobs"), ("GET", "/v10/version"),
                             ("POST", "/v10/export/jobs"), ("GET", "/v10/cipher")):
            answer = client.request(method, path)
            body = problem(answer, 503)
            assert answer.headers["Retry-After"] == "2"
            assert site.env.postgres.socket not in answer.text and "udm_httpd" not in answer.text
            assert "again" in body["detail"]
        # what needs no database is answered as ever
        assert client.request("OPTIONS", "/v10/export/jobs").status_code == 204
        assert client.get("/v10/nothing").status_code == 404
        assert site.client(token="nonsense").get("/v10/export/jobs").status_code == 401
    finally:
        site.env.postgres.start()
    expect_trouble(site)
    wait_for(lambda: client.get("/v10/export/jobs").status_code == 204, 20, "the database to be back")
    for _ in range(10):
        assert client.get("/v10/export/jobs").status_code == 204


def test_httpd_starts_without_a_database(site):
    site.httpd.stop()
    site.env.postgres.stop()
    expect_trouble(site)
    try:
        site.httpd.start()
        problem(site.client(token=site.env.tokens.token(), key=site.key()).get("/v10/export/jobs"), 503)
    finally:
        site.env.postgres.start()
    expect_trouble(site)
    wait_for(lambda: site.client().get("/v10/export/jobs").status_code == 204, 20, "the database")


def test_slow_client_holds_no_connection(site):
    """With one connection for all: neither a body that trickles in nor a list read slowly keeps it."""
    import socket
    dbd = list(site.httpd.dbd)
    site.httpd.stop()
    site.httpd.dbd = [x for x in dbd if not x.startswith(("DBDKeep", "DBDMax"))] + ["DBDKeep 1", "DBDMax 1"]
    site.sql("INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, schedule,"
             " status, description) SELECT 'harbour-insurance', 'UCS', 'UCS', 'Contact', 'slow', true,"
             " 'once', '{}', 'SCHEDULED', repeat('x', 3000) FROM generate_series(1, 8000)")
    # the type is not in this catalog, so a key with every right is needed to see it
    try:
        site.httpd.start()
        client = site.client(key=site.new_key(roles=["*"]), token=None)
        site.sql("SELECT udm.register_source('UCS', 'UCS')")
        site.httpd.location = ["UDMRequire any"]
        site.httpd.stop()
        site.httpd.start()
        head = f"Host: x\r\nx-api-key: {client.key}\r\n"
        with socket.create_connection(("127.0.0.1", site.httpd.port)) as post, \
                socket.create_connection(("127.0.0.1", site.httpd.port)) as get:
            post.sendall((f"POST /udm/v10/export/jobs HTTP/1.1\r\n{head}Content-Length: 1000\r\n"
                          "Content-Type: application/json\r\n\r\n{").encode())
            get.sendall(f"GET /udm/v10/export/jobs HTTP/1.1\r\n{head}\r\n".encode())
            assert get.recv(10).startswith(b"HTTP/1.1 2")
            for _ in range(5):
                assert client.get("/v10/cipher", timeout=10).status_code == 404
    finally:
        site.httpd.stop()
        site.httpd.dbd, site.httpd.location = dbd, []
        site.httpd.start()
        site.sql("DELETE FROM udm.job")


def test_many_at_once(site):
    """More clients than connections: all are served."""
    client = new_client(site)

    def ask(_):
        return client.get("/v10/cipher").status_code
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(ask, range(300)))
    assert set(answers) == {404}


def test_list_that_breaks_off_is_not_well_ended(site):
    """The body of a list that cannot be completed must not look whole."""
    import http.client
    site.sql("SELECT udm.register_source('UCS', 'UCS')")
    site.sql("CREATE TABLE public.t (id text, ccid text)")
    site.sql("SELECT udm.register_type('UCS', 'Contact', 'public.t', 'id', 'ccid')")
    site.sql("INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, schedule,"
             " status, description) SELECT 'harbour-insurance', 'UCS', 'UCS', 'Contact', 'broken', true,"
             " 'once', '{}', 'SCHEDULED', repeat('x', 3900) FROM generate_series(1, 20000)")
    site.httpd.location = ["UDMRequire any"]
    site.httpd.stop()
    site.httpd.start()
    connection = http.client.HTTPConnection("127.0.0.1", site.httpd.port, timeout=30)
    try:
        connection.request("GET", "/udm/v10/export/jobs", headers={"x-api-key": site.new_key(roles=["*"])})
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.read(100000).startswith(b'{"count":20000,')
        # 80 MB do not fit into any buffer, so the list is still being read when this happens
        site.httpd.allow_log("UDM0060|UDM0030|UDM0040")
        site.sql("ALTER TABLE udm.job RENAME TO job_elsewhere")
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            answer.read()
    finally:
        connection.close()
        site.sql("ALTER TABLE IF EXISTS udm.job_elsewhere RENAME TO job")
        site.sql("DELETE FROM udm.job")
        site.httpd.location = []
        site.httpd.stop()
        site.httpd.start()
