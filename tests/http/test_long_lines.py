"""Requests whose line is long: what the API promises in bulk fits, and what does not fit is told."""
import os
import re
import socket

import pytest

from udmtest.api import Client
from udmtest.env import TOP
from udmtest.operations import DEPRECATED, World

LIMIT = 8190  # httpd's own
NAME = "export-00000000-0000-4000-8000-{:012}.zip.smime"


@pytest.fixture(scope="module")
def world(env):
    result = World(env)
    # httpd's word for what it refuses by itself
    result.site.httpd.allow_log(r"AH00565: request failed: client's request-line exceeds LimitRequestLine")
    yield result
    result.close()


def restart(world, *lines):
    world.site.httpd.stop()
    world.site.httpd.server = list(lines)
    world.site.httpd.start()


@pytest.fixture
def promised(world):
    """The server with the limit that the sample configuration has."""
    with open(os.path.join(TOP, "conf", "udm.conf"), encoding="utf-8") as f:
        line = re.search(r"^LimitRequestLine \d+$", f.read(), re.MULTILINE).group(0)
    restart(world, line)
    yield int(line.split()[1])
    restart(world)


def check(answer, limit, wrapped=False, version="v10"):
    assert answer.status_code == 414, answer.text
    assert answer.headers["Content-Type"] == ("application/json" if wrapped
                                              else "application/problem+json")
    document = answer.json()["status"]["detail"] if wrapped else answer.json()
    assert document["status"] == 414 and document["title"] == "URI Too Long"
    assert str(limit) in document["detail"]
    assert answer.headers["Cache-Control"] == "no-store" and answer.headers["X-Request-Id"]
    assert answer.headers.get("Deprecation") == DEPRECATED.get(version)


@pytest.mark.parametrize("path", ["/v10/files", "/v3/files", "/v10/export/jobs", "/v4/export/history",
                                  "/v10/nothing", "/v10/files/x", ""])
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_a_problem(world, method, path):
    for mount, wrapped in (("/udm", False), ("/wrapped", True)):
        answer = world.client(mount=mount).request(method, path + "?filename=" + "a" * LIMIT) if path \
            else Client(world.site.httpd.at(mount)).request(method, "/?" + "a" * LIMIT)
        check(answer, LIMIT, wrapped, path.split("/")[1] if path else None)


def test_a_long_path(world):
    answer = world.client().get("/v10/files/" + "a" * LIMIT)
    check(answer, LIMIT)


def test_what_is_not_ours_stays_httpds(world):
    base = f"http://127.0.0.1:{world.site.httpd.port}"
    for path in ("/", "/udmx/v10/files", "/elsewhere/udm"):
        answer = Client(base).request("GET", path + "?" + "a" * LIMIT)
        assert answer.status_code == 414 and "html" in answer.headers["Content-Type"], path


def raw(world, line):
    """The answer to a request line as it is."""
    with socket.create_connection(("127.0.0.1", world.site.httpd.port), 20) as s:
        s.sendall(line.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


def test_odd_lines(world):
    """Whatever stands where the address should be, there is an answer, and only one."""
    long = "a" * LIMIT
    for target in ("http://localhost/udm/v10/files?" + long, "HTTP://x/udm/v10?" + long,
                   "/udm/v10/files?x=http://x/y&" + long):
        answer = raw(world, "GET " + target)
        assert answer.startswith("HTTP/1.1 414 ") and "application/problem+json" in answer, target[:60]
    for target in ("", " ", long, "http://" + long, "http:///" + long, "://udm" + long, "*" + long,
                   "localhost:80" + long, "//udm/" + long, "?/udm/" + long):
        answer = raw(world, "GET " + target)
        assert answer.count("HTTP/1.1 4") == 1, target[:60]


def test_no_credential_in_the_log(world):
    """The line that was cut off is logged like any other."""
    secret = "udm_0123456789ab_" + "5" * 64
    world.client().get(f"/v10/files?key={secret}&signature={'7' * 64}&" + "a" * LIMIT)
    with open(world.site.httpd.access_log, encoding="utf-8") as f:
        text = f.read()
    assert "5" * 64 not in text and "7" * 64 not in text


def test_what_is_promised_fits(world, promised):
    """A thousand names of files, and a thousand of the longest ids, be their commas encoded or not."""
    client = world.client()
    for comma in (",", "%2C"):
        names = [NAME.format(n) for n in range(1000)]
        answer = client.delete("/v10/files?filename=" + comma.join(names))
        assert answer.status_code == 500 and answer.json() == names
        ids = [9223372036854774807 + n for n in range(1000)]
        for path in ("/v10/export/jobs", "/v4/export/history"):
            answer = client.delete(f"{path}?jobIDs=" + comma.join(map(str, ids)))
            assert answer.status_code == 500 and answer.json() == ids
    check(client.delete("/v10/files?filename=" + "a" * promised), promised)
    # the limit of links is their own
    answer = client.get("/v10/files?filename=" + ",".join(names))
    assert answer.status_code == 400 and "100" in answer.json()["detail"]


def test_many_are_deleted(world, promised):
    """More than a hundred, in one request."""
    job, run = world.rows.job(run="COMPLETED")
    names = [world.rows.file(run, job) for _ in range(150)]
    answer = world.client().delete("/v10/files?filename=" + ",".join(names))
    assert answer.status_code == 204
    assert world.site.sql("SELECT count(*) FROM udm.file WHERE run_id = %s AND removal = 'deleted'",
                          [run]) == [(150,)]
