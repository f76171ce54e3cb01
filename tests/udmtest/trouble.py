"""Trouble with what is shared: context managers, in which somebody holds, floods, freezes or breaks it.

Each takes the site and whose trouble it is, and fails at its end unless it was there all the while: that
nobody notices it must not be for lack of it. What it yields is called before the server is told to end, if
that is to wait for what the trouble holds. Floods are one or two clients that ask one request after
the other with a pause between: a flood that takes all of the processors' time makes everybody slower by
the share that is fair, and keeping that out is what stands before httpd."""
import itertools
import json
import os
import secrets
import signal
import socket
import threading
from contextlib import contextmanager

from .api import Client
from .crypto import rsa_key
from .load import fetch
from .process import alive, wait_for
from .rows import Rows

JOBS = "/udm/v10/export/jobs"
DEAD, SILENT = "dead.example.org", "silent.example.org"  # VirtualHosts whose database is that
PAUSE = 0.02
SLOW_READERS, GREEDY = 13, 12  # there are 12 connections to the database
BIG = 4000  # jobs of a list that no socket's buffers hold
WAITING = ("FROM pg_stat_activity WHERE usename = 'udm_httpd' AND datname = current_database()"
           " AND wait_event_type = 'Lock'")
LOCK_TENANT = "SELECT FROM udm.tenant WHERE ccid = %s FOR UPDATE"
FAR = {"type": "recurring", "cron": "0 0 1 1 *"}
GONE = 0  # instead of a status: httpd ended meanwhile


class Crowd:
    """Threads that do something again and again; `did` has what each time came of it."""

    def __init__(self, count, what, pause=PAUSE):
        self.what, self.pause, self.did, self.over = what, pause, [], threading.Event()
        self.threads = [threading.Thread(target=self._main, args=[i], daemon=True) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def _main(self, number):
        while not self.over.is_set():
            try:
                came = self.what(number)
            except OSError:
                came = GONE
            except Exception as e:  # noqa: BLE001 - told by who looks at `did`
                came = repr(e)
            self.did.append(came)
            self.over.wait(self.pause)

    def end(self):
        self.over.set()

    def join(self):
        self.end()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "somebody in trouble is not answered at all"


@contextmanager
def crowd(count, what, *allowed, before=None, pause=PAUSE):
    """Nothing but one of `allowed` comes of what they do. `before` is called before they are waited for,
    but not waited for another time."""
    people = Crowd(count, what, pause)
    try:
        yield people
    finally:
        people.end()
        if before:
            before()
        people.join()
    assert people.did and set(people.did) <= {GONE, None, *allowed}, f"{len(people.did)}: {set(people.did)}"


def head_of(site, whom):
    client = site.client(whom)
    return {"x-api-key": client.key, "Authorization": "Bearer " + client.token}


def ask(site, headers, method="GET", path=JOBS, body=None):
    """The status of one request."""
    if body is not None:
        headers = {**headers, "Content-Type": "application/json"}
    return fetch(site.httpd.port, method, path, headers, body)[0]


@contextmanager
def locked(site, statement, *parameters):
    """Somebody at psql, in the middle of a transaction."""
    connection = site.connect(autocommit=False)
    try:
        connection.execute(statement, parameters)
        yield connection
    finally:
        connection.close()


def waiting(site):
    """httpd's sessions that wait for a lock."""
    return [pid for pid, in site.sql("SELECT pid " + WAITING)]


@contextmanager
def frozen(pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            if alive(pid):
                os.kill(pid, signal.SIGCONT)


def new_job(site):
    """The body of a POST of a job that is not due in this test."""
    return json.dumps(Client.job(schedule=FAR, title=site.name))


# ---- of httpd: its pool of connections ----

@contextmanager
def frozen_backend(site, whom):
    """The one that makes a job of theirs, where nothing is held but what is theirs."""
    head, body = head_of(site, whom), new_job(site)
    with locked(site, LOCK_TENANT, whom) as lock:
        people = Crowd(1, lambda _: ask(site, head, "POST", body=body))
        try:
            pids = wait_for(lambda: waiting(site), 20, "a session to wait")
            with frozen(pids):
                lock.rollback()
                yield
                people.end()
                assert set(people.did) <= {GONE, 503}, people.did
        finally:
            people.join()


@contextmanager
def dying_backends(site, whom):
    """Those that make a job of theirs, one or two a second: whoever borrows such a connection next
    makes it anew, and pays for that."""
    head, body = head_of(site, whom), new_job(site)
    killed = []
    with site.connect() as killer, locked(site, LOCK_TENANT, whom) as lock:
        def kill(_number):
            killed.extend(killer.execute("SELECT pg_terminate_backend(pid) " + WAITING).fetchall())
        with crowd(2, lambda _: ask(site, head, "POST", body=body), 202, 503, before=lock.rollback), \
                crowd(1, kill, pause=1):
            yield
    assert killed


@contextmanager
def slow_readers(site, whom):
    """Of a long list: more than there are connections."""
    if not site.sql("SELECT 1 FROM udm.job WHERE ccid = %s AND title = 'big' LIMIT 1", [whom]):
        site.sql("INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, schedule,"
                 " status, description) SELECT %s, 'UCS', 'UCS', 'Interaction', 'big', true, 'once', '{}',"
                 " 'SCHEDULED', repeat('x', 3000) FROM generate_series(1, %s)", [whom, BIG])
    head = "".join(f"{name}: {value}\r\n" for name, value in head_of(site, whom).items())
    readers = []

    def read(_number):
        for reader in list(readers):
            try:
                got = reader.recv(512)
            except OSError:
                got = b""
            assert got or not readers, "a list is at its end"

    def let_go():
        them = list(readers)
        readers.clear()
        for reader in them:
            reader.close()
    try:
        for _ in range(SLOW_READERS):
            reader = socket.socket()
            readers.append(reader)
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.settimeout(30)
            reader.connect(("127.0.0.1", site.httpd.port))
            reader.sendall(f"GET {JOBS} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
            assert reader.recv(12) == b"HTTP/1.1 200"
        with crowd(1, read):
            yield let_go
    finally:
        let_go()


@contextmanager
def greedy_client(site, whom):
    """More requests than there are connections, each of which waits for a lock on a job of its own."""
    head, rows = head_of(site, whom), Rows(site)
    jobs = [rows.job(whom, run=None, schedule_type="once")[0] for _ in range(GREEDY)]
    rows.close()
    with locked(site, "SELECT FROM udm.job WHERE id = ANY(%s) FOR UPDATE", jobs) as lock, \
            crowd(GREEDY, lambda number: ask(site, head, "POST", f"{JOBS}/suspend/{jobs[number]}"),
                  200, 202, 503, before=lock.rollback):
        wait_for(lambda: waiting(site), 20, "a session to wait")
        yield


@contextmanager
def silent_host(site, whom):
    """The server of another VirtualHost's database takes connections and says nothing."""
    def let_go():
        for connection in site.silent.connections:
            connection.close()
    before = len(site.silent.connections)
    head = {**head_of(site, whom), "Host": SILENT}
    with crowd(1, lambda _: ask(site, head), 503, before=let_go):
        wait_for(lambda: len(site.silent.connections) > before, 20, "it to be asked")
        yield


@contextmanager
def dead_host(site, whom):
    """There is no server of another VirtualHost's database."""
    head = {**head_of(site, whom), "Host": DEAD}
    with crowd(2, lambda _: ask(site, head), 503):
        yield


# ---- of httpd: the rest ----

@contextmanager
def locked_tenant(site, whom):
    """Somebody holds the row of a contact centre that makes jobs."""
    head, body = head_of(site, whom), new_job(site)
    with locked(site, LOCK_TENANT, whom) as lock, \
            crowd(8, lambda _: ask(site, head, "POST", body=body), 202, 503, before=lock.rollback):
        wait_for(lambda: waiting(site), 20, "a session to wait")
        yield


@contextmanager
def unknown_keys(site, _whom):
    def unknown():
        return {"x-api-key": f"udm_{secrets.token_hex(6)}_{secrets.token_hex(32)}"}
    with crowd(2, lambda _: ask(site, unknown()), 401):
        yield


@contextmanager
def bad_tokens(site, whom):
    """Well-formed ones of somebody who has not the key, each another one."""
    if not hasattr(site, "forged"):
        key = rsa_key()
        site.forged = itertools.cycle([site.env.tokens.token(whom, key=key) for _ in range(100)])
    with crowd(2, lambda _: ask(site, {"Authorization": f"Bearer {next(site.forged)}"}), 401):
        yield


@contextmanager
def rotation(site, whom):
    """There is a new link key, which the other httpd has and this one has not read yet."""
    with open(site.link_key_file, encoding="ascii") as f:
        site.write_link_keys(secrets.token_hex(32), f.readline().strip())
    site.other.reload()
    for _ in range(8):  # its new children are there
        fetch(site.other.port, "GET", JOBS + "?size=1", head_of(site, whom))
    yield


@contextmanager
def full_store(site, whom):
    """One contact centre's exports find no room."""
    client = site.client(whom)

    def export(_number):
        job = client.create_job(source="Gate", data_type="Plain", family="DataSync")["id"]
        return wait_for(lambda: [s for s, in site.sql("SELECT status FROM udm.job WHERE id = %s", [job])
                                 if s in ("COMPLETED", "FAILED")], 60, "the export to end")[0]
    site.volume.fill(leave=0)
    try:
        with crowd(1, export, "FAILED"):
            yield
    finally:
        site.volume.empty()


def runs(queue, condition):
    return queue.sql(f"SELECT count(*) FROM udm.run WHERE {condition}")[0][0]


# ---- of the worker ----
#
# Each takes the queue, the contact centre, and the worker, which has one slot beside the one that it has
# for whoever has nothing under way; in some, an export of theirs is on the former all the while.

def backends(queue, duty):
    return [pid for pid, in queue.sql("SELECT pid FROM pg_stat_activity WHERE datname = %s AND"
                                      " application_name = %s", [queue.database, f"udm-worker {duty}"])]


FIRST = "tavi"  # a contact centre that is not measured

DUE = ("INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, schedule,"
       " next_run_at, status) SELECT %s, 'DataSync', 'Gated', 'Plain', 'due', true, %s, %s, now(),"
       " 'SCHEDULED' FROM generate_series(1, %s)")


@contextmanager
def many_runs(queue, whom, _worker):
    """10,000 small ones."""
    queue.sql("WITH r AS (INSERT INTO udm.run (job_id, ccid, source, type, title, window_all)"
              " SELECT -n, %s, 'Gated', 'Plain', 'x', true FROM generate_series(1, 10000) n RETURNING id)"
              " INSERT INTO udm.run_progress (run_id) SELECT id FROM r", [whom])
    wait_for(lambda: runs(queue, "job_id < 0 AND status = 'COMPLETED'"),
             60, "exports to go on")
    yield
    assert runs(queue, "job_id < 0 AND status = 'QUEUED'") > 100


@contextmanager
def long_exports(queue, whom, _worker):
    """25 that take all of the time."""
    queue.hold()
    try:
        for _ in range(25):
            queue.add(ccid=whom)
        queue.wait_held()
        yield
    finally:
        queue.open()


@contextmanager
def every_second(queue, whom, _worker):
    """200 jobs that are due every second."""
    queue.sql(DUE, [whom, "recurring", '{"cron": "* * * * * ?", "type": "recurring"}', 200])
    wait_for(lambda: runs(queue, "title = 'due'") >= 200, 60, "their runs")
    yield


@contextmanager
def many_due(queue, whom, _worker):
    """7,000 jobs are due at once."""
    queue.sql(DUE, [whom, "once", "{}", 7000])
    yield
    assert runs(queue, "title = 'due'") > 0


def frozen_duty(duty):
    """The server's process for one duty of the worker stands still."""
    @contextmanager
    def trouble(queue, _whom, _worker):
        with frozen(wait_for(lambda: backends(queue, duty), 20, f"the {duty}")):
            yield
    return trouble


@contextmanager
def frozen_planner(queue, whom, worker):
    """The same for the one that hears of new runs, from when somebody has waited for that to be noticed."""
    with frozen_duty("planner")(queue, whom, worker):
        queue.wait_status(queue.add("Plain", ccid=FIRST), "COMPLETED")
        yield


def locked_run(what):
    """Somebody holds a row of a run that waits, and of the one that is under way."""
    @contextmanager
    def trouble(queue, whom, _worker):
        queue.add("Plain", ccid=whom)
        mine, theirs = {"run": ("id", "id"), "run_progress": ("run_id", "id"), "job": ("id", "job_id")}[what]
        with locked(queue, f"SELECT FROM udm.{what} WHERE {mine} IN (SELECT {theirs} FROM udm.run"
                    " WHERE ccid = %s AND status IN ('QUEUED', 'IN_PROGRESS')) FOR UPDATE", whom):
            yield
    return trouble


@contextmanager
def slow_spool(queue, whom, worker):
    """Of a disk that is busy, for exports that need much of it: of type Kinds (test_matrix.py)."""
    path = worker.environment["UDM_TEST_REFUSE"]
    with open(path, "w", encoding="ascii") as f:
        f.write("slow-write /spool/")
    for _ in range(25):
        queue.add("Kinds", ccid=whom)
    wait_for(lambda: runs(queue, "type = 'Kinds' AND status = 'IN_PROGRESS'"),
             60, "an export to begin")
    try:
        yield
        assert runs(queue, "type = 'Kinds' AND status = 'COMPLETED'") < 10
    finally:
        os.unlink(path)
