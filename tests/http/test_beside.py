"""Trouble that one has is not another's: a tenant's lock, a frozen backend, a VirtualHost's dead database,
a server that takes no changes any more. Whoever is beside it is answered as ever."""
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from udmtest.env import Environment
from udmtest.process import wait_for
from udmtest.site import Site

OURS, OTHER = "harbour-insurance", "lakeside-energy"
BESIDE = "beside.example.org"
JOBS = "/v10/export/jobs"
TROUBLE = r"UDM0030|dbd:error|AH0062[0-9]|AH0063[0-9]|AH02653|connection to server"


@pytest.fixture(scope="module")
def site():
    """With a PostgreSQL of its own, and a VirtualHost whose database nobody runs."""
    environment = Environment()
    result = Site(environment)
    httpd = result.httpd
    dead = [line.replace(environment.postgres.socket, "/nowhere") for line in httpd.dbd]
    assert dead != httpd.dbd
    httpd.after = [f"<VirtualHost 127.0.0.1:{httpd.port}>", "ServerName localhost", "</VirtualHost>",
                   f"<VirtualHost 127.0.0.1:{httpd.port}>", f"ServerName {BESIDE}", *dead, "</VirtualHost>"]
    result.start_httpd()
    result.upload_certificate(OURS)
    result.upload_certificate(OTHER)
    yield result
    result.close()
    lines = environment.unexpected_log_lines()
    leaks = environment.close()
    assert not lines, "unexpected in the logs:\n" + "\n".join(lines)
    assert not leaks, f"credentials in logs: {leaks}"


def backends(site):
    return [pid for pid, in site.sql("SELECT pid FROM pg_stat_activity WHERE usename = 'udm_httpd'"
                                     " AND datname = current_database()")]


def test_a_dead_database_of_another_host(site):
    """Its requests are 503; those to this one are not, though they come one after the other."""
    site.httpd.allow_log(TROUBLE)
    dead, alive = site.client(), site.client()
    for _ in range(30):
        answer = dead.get(JOBS, headers={"Host": BESIDE})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert alive.get(JOBS).status_code in (200, 204)


def test_a_row_of_another_tenant_is_locked(site):
    """Who waits for it holds neither the batch nor all of the pool."""
    site.httpd.allow_log("UDM0030|UDM0080")
    ended = []
    start = threading.Barrier(17)

    def waits(_number):
        client = site.client(OURS)
        start.wait()
        status = client.post(JOBS, json=client.job()).status_code
        ended.append(status)
        return status

    other = site.client(OTHER)
    with site.connect(autocommit=False) as locker, ThreadPoolExecutor(16) as pool:
        locker.execute("SELECT FROM udm.tenant WHERE ccid = %s FOR UPDATE", [OURS])
        waiting = [pool.submit(waits, i) for i in range(16)]
        start.wait()
        wait_for(lambda: site.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'udm_httpd'"
                                  " AND wait_event_type = 'Lock'")[0][0] > 0, 20, "somebody to wait: " + repr(ended))
        for _ in range(10):
            assert other.post(JOBS, json=other.job(data_type="Interaction")).status_code == 202
        before = list(ended)
        locker.rollback()
        statuses = {future.result() for future in waiting}
    # All of them were done before the first of the others gave up, or was answered after the lock.
    assert 202 not in before, before
    assert statuses <= {202, 503}, statuses


def test_a_frozen_backend(site):
    """Whoever is on it is told after some seconds; the others go on with other connections."""
    site.httpd.allow_log(TROUBLE)
    client = site.client()
    assert client.get(JOBS).status_code in (200, 204)
    frozen = backends(site)
    assert frozen
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(12) as pool:
            def asks(number):
                own = site.client(OURS if number % 2 else OTHER)
                return [own.get(JOBS).status_code for _ in range(5)]
            statuses = [status for each in pool.map(asks, range(12)) for status in each]
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    assert set(statuses) <= {200, 204, 503}, set(statuses)
    # A batch may have been on each of them; nobody met one twice.
    assert statuses.count(503) <= 12 + len(frozen), statuses
    for _ in range(20):
        assert client.get(JOBS).status_code in (200, 204)


@pytest.mark.parametrize("target", ["read-write", None])
def test_a_server_that_takes_no_changes(site, target):
    """As an old primary after a failover: nobody stays on it, and all is well once it is back."""
    httpd = site.httpd
    plain = httpd.dbd
    if target:
        httpd.dbd = [line.replace("connect_timeout=3", f"connect_timeout=3 target_session_attrs={target}")
                     for line in plain]
    httpd.stop()
    httpd.start()
    httpd.allow_log(TROUBLE)
    try:
        client = site.client()
        assert client.post(JOBS, json=client.job()).status_code == 202
        site.sql(f"ALTER DATABASE {site.database} SET default_transaction_read_only = on")
        site.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'udm_httpd'"
                 " AND datname = current_database()")
        httpd.allow_log(TROUBLE)
        answer = client.post(JOBS, json=client.job())
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    finally:
        with site.connect() as admin:
            admin.execute("SET default_transaction_read_only = off")
            admin.execute(f"ALTER DATABASE {site.database} RESET default_transaction_read_only")
    # No connection from before is used for long: the very next changes go through.
    httpd.allow_log(TROUBLE)
    wait_for(lambda: client.post(JOBS, json=client.job()).status_code == 202, 20, "a new connection")
    for _ in range(12):
        assert client.post(JOBS, json=client.job()).status_code == 202
    httpd.dbd = plain


def test_times_without_an_end(site):
    """A key that is good for ever is good, and those beside it are, too."""
    for_ever = site.client(key=site.new_key(expires_at="infinity"))
    long_gone = site.client(key=site.new_key(expires_at="-infinity"))
    site.sql("UPDATE udm.file SET expires_at = 'infinity'")

    def asks(number):
        return [(site.client(), for_ever, long_gone)[number % 3].get(JOBS).status_code for _ in range(5)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(asks, range(12)))
    for number, statuses in enumerate(answers):
        assert set(statuses) <= ({401} if number % 3 == 2 else {200, 204}), (number, statuses)
    assert site.client().get("/v10/file-metadatas").status_code in (200, 204)
