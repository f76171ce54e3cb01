"""How soon a run begins, beside a queue that one would take from npm; and how many small exports a
worker makes a second."""
import contextlib
import http.client
import json
import os
import queue
import re
import shutil
import statistics
import subprocess
import threading
import time
import urllib.parse

from bench import peers
from bench.site import BenchSite
from udmtest.crypto import smime_decrypt
from udmtest.env import IWD
from udmtest.process import clean_environment, end_process, wait_for

CENTRE = "bench"
ROWS = 10

SCHEMA = f"""
CREATE SCHEMA few;
CREATE TABLE few.notes AS
    SELECT n AS id, timestamptz '2026-01-01Z' + n * interval '1 minute' AS at,
           'note ' || md5(n::text) AS words FROM generate_series(1, {ROWS}) n;
CREATE ROLE udm_bench_few LOGIN;
GRANT USAGE ON SCHEMA few TO udm_bench_few;
GRANT SELECT ON few.notes TO udm_bench_few;
SELECT udm.create_tenant('{CENTRE}');
SELECT udm.register_source('Few', 'DataSync', connection => 'few');
SELECT udm.register_type('Few', 'Note', 'few.notes', 'id', tenants => ARRAY['{CENTRE}'],
                         time_column => 'at');
"""

# A block of so many, first of one and then of the other, in turn.
BLOCKS, BLOCK = 10, 20

# Between two of dispatch: whatever the one before left to do is over by then, on either side.
IDLE = 0.25

SMALL, QUICK_SMALL = 2000, 50

# Of 1, 2, 4 and 8 on two cores: 8 were a little faster and took twice the memory.
SLOTS = 4


@contextlib.contextmanager
def small_site(bench):
    """A contact centre with a data type of ten rows, and a certificate."""
    with BenchSite(bench, database="empty") as site:
        with site.connect() as connection:
            connection.execute(SCHEMA)
            connection.execute(f'GRANT CONNECT ON DATABASE "{connection.info.dbname}" TO udm_bench_few')
            durable = [connection.execute(f"SHOW {name}").fetchone()[0]
                       for name in ("fsync", "synchronous_commit", "full_page_writes")]
        assert durable == ["on"] * 3, durable
        site.write_source("few", site.dsn("udm_bench_few"))
        site.start_httpd()
        site.upload_certificate(CENTRE)
        yield site


# ---- dispatch ----

class Starts:
    """Reads the lines of a process and notes when each of them came."""

    def __init__(self, pattern, command, **kwargs):
        """`pattern` finds what begins; its group 1 is the name by which wait() knows it."""
        self.pattern, self.found, self.tail = re.compile(pattern), queue.Queue(), []
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True, **kwargs)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        # Unbuffered, and the clock is read first of all.
        rest = b""
        while True:
            block = os.read(self.process.stdout.fileno(), 65536)
            now = time.perf_counter()
            if not block:
                break
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                self.tail = self.tail[-20:] + [line.decode(errors="replace")]
                begun = self.pattern.search(self.tail[-1])
                if begun:
                    self.found.put((begun.group(1), now))

    def wait(self, name):
        """When `name` began. Nothing else may have."""
        try:
            begun, when = self.found.get(timeout=30)
        except queue.Empty:
            raise AssertionError(f"{name} does not begin:\n" + "\n".join(self.tail)) from None
        assert begun == name, f"{begun} begins, not {name}"
        return when

    def stop(self):
        end_process(self.process)
        self.thread.join()
        self.process.stdout.close()


class Poster:
    """A client with one connection, as thin as the peer's."""

    def __init__(self, site):
        url = urllib.parse.urlsplit(site.httpd.url)
        self.connection, self.used = http.client.HTTPConnection(url.hostname, url.port), 0
        self.path = url.path + "/v10/export/jobs"
        client = site.client(CENTRE)
        self.headers = {"x-api-key": site.new_key(CENTRE, [IWD]), "Authorization": f"Bearer {client.token}",
                        "Content-Type": "application/json"}
        self.body = json.dumps(client.job(source="Few", data_type="Note", family="DataSync"))

    def __call__(self):
        """Creates a job; gives its id and when that was asked for."""
        if time.monotonic() - self.used > 2:
            self.connection.close()
        asked = time.perf_counter()
        self.connection.request("POST", self.path, self.body, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        self.used = time.monotonic()
        assert answer.status == 202, f"{answer.status} {text[:500]}"
        return str(json.loads(text)["id"]), asked


@contextlib.contextmanager
def our_worker(site):
    """A worker as the package starts it, but for its log, which the benchmark reads."""
    starts = Starts(r"UDM0221: run \d+ of job (\d+) ",
                    [site.env.worker, "-c", site.worker().write()], env=clean_environment(),
                    **site.env.account.popen_args())
    try:
        yield starts
    finally:
        starts.stop()


@contextlib.contextmanager
def graphile(bench, site):
    """A graphile-worker with a database of its own in the same cluster; a way to add a job; its starts."""
    origin, modules = peers.install(bench, "graphile")
    folder = os.path.join(site.directory, "graphile")
    shutil.copytree(modules, os.path.join(folder, "node_modules"))
    shutil.copy(os.path.join(origin, "worker.js"), folder)
    site.env.postgres.create_database("graphile")
    bench.fact("Node", peers.version(peers.node(), "--version"))
    with open(os.path.join(folder, "node_modules", "graphile-worker", "package.json"), encoding="utf-8") as f:
        bench.fact("graphile-worker", json.load(f)["version"])
    url = f"postgres:///graphile?host={urllib.parse.quote(site.socket, safe='')}&user=udm_admin"
    starts = Starts(r"begins (\d+)", [peers.node(), os.path.join(folder, "worker.js"), url], cwd=folder,
                    env=clean_environment(NODE_ENV="production"), **site.env.account.popen_args())
    try:
        wait_for(lambda: site.env.postgres.sql(
            "SELECT to_regproc('graphile_worker.add_job') IS NOT NULL AND EXISTS (SELECT FROM"
            " pg_stat_activity WHERE datname = 'graphile' AND query LIKE 'LISTEN%%')",
            dbname="graphile")[0][0], 60, "graphile-worker to listen")
        with site.env.postgres.connect("graphile") as connection:
            number = 0

            def add():
                nonlocal number
                number += 1
                asked = time.perf_counter()
                connection.execute("SELECT graphile_worker.add_job('start', json_build_object('number',"
                                   " %s::integer))", [number], prepare=True)
                return str(number), asked
            yield add, starts
    finally:
        starts.stop()


def delays(add, starts, count):
    """Milliseconds from asking to the begin of the work, `count` times, idle before each. One more comes
    first and does not count: since the last block a connection may have been closed."""
    found = []
    for _ in range(count + 1):
        time.sleep(IDLE)
        name, asked = add()
        found.append((starts.wait(name) - asked) * 1000)
    return found[1:]


def run_dispatch(bench):
    """From POST, with its credentials checked, to the claim, which the worker notes after its commit;
    beside it from add_job to the start of the task's function. Both write a line into a pipe then."""
    count = 3 if bench.quick else BLOCK
    with small_site(bench) as site, graphile(bench, site) as (add, theirs), our_worker(site) as ours:
        post = Poster(site)
        delays(post, ours, 3)
        delays(add, theirs, 3)
        site.settle()
        a, b = bench.pairs(BLOCKS, lambda: delays(post, ours, count), lambda: delays(add, theirs, count))
    for what, blocks in (("ours", a), ("theirs", b)):
        every = sorted(x for block in blocks for x in block)
        bench.say(f"dispatch, {what}: p50 {statistics.median(every):.2f} ms, p90"
                  f" {every[len(every) * 9 // 10]:.2f} ms, n {len(every)}")
    bench.line("dispatch", "POST to the begin of the run, idle (p50 of each block)",
               "graphile-worker, add_job to the begin of the task", "ms",
               [statistics.median(x) for x in a], [statistics.median(x) for x in b], "<= 1")


# ---- small ----

def enqueue(site, count):
    """Jobs with their runs, as POST leaves them."""
    site.sql("WITH j AS (INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type,"
             " schedule, status) SELECT %s, 'DataSync', 'Few', 'Note', 'small ' || n, true, 'immediately',"
             " '{}', 'QUEUED' FROM generate_series(1, %s) n RETURNING *),"
             " r AS (INSERT INTO udm.run (job_id, ccid, source, type, title, window_all)"
             " SELECT id, ccid, source, type, title, true FROM j RETURNING id)"
             " INSERT INTO udm.run_progress (run_id) SELECT id FROM r", [CENTRE, count])


def check_file(site, name):
    """Decrypts a file as a customer does, and counts its rows."""
    path = os.path.join(site.store, name[len("export-"):][:2], name)
    target = os.path.join(site.directory, "decrypted.zip")
    smime_decrypt(site.env.certificate.key_path, path, target)
    names = subprocess.run(["unzip", "-Z1", target], stdout=subprocess.PIPE, text=True, check=True)
    data = [x for x in names.stdout.splitlines() if not x.startswith("META-INF/")]
    text = subprocess.run(["unzip", "-p", target, *data], stdout=subprocess.PIPE, text=True, check=True)
    lines = [json.loads(line) for line in text.stdout.splitlines()]
    assert [line["id"] for line in lines] == list(range(1, ROWS + 1)), f"{name}: {lines}"


def runs_per_second(bench, site, count, slots=SLOTS):
    """From the start of a worker that finds all of them in the queue to the last completion."""
    enqueue(site, count)
    site.settle()
    start = time.time()
    worker = site.start_worker(slots=slots)
    with site.connect() as connection:
        wait_for(lambda: connection.execute("SELECT NOT EXISTS (SELECT FROM udm.run WHERE status IN"
                                            " ('QUEUED', 'IN_PROGRESS'))").fetchone()[0],
                 600, f"{count} small exports", interval=0.2)
        states, last = connection.execute(
            "SELECT array_agg(DISTINCT status || ' ' || row_count), extract(epoch FROM max(finished_at))::float8"
            " FROM udm.run").fetchone()
        assert states == [f"COMPLETED {ROWS}"], states
        names = [row[0] for row in connection.execute(
            "SELECT name FROM (SELECT name FROM udm.file ORDER BY id DESC LIMIT %s) f ORDER BY random()"
            " LIMIT 5", [count])]
    worker.stop()
    for name in names:
        check_file(site, name)
    bench.say(f"small: {count / (last - start):.0f} runs/s with {slots} slots")
    return count / (last - start)


def run_small(bench):
    """Every one is claimed, read in a snapshot, encrypted, synced and listed by itself."""
    count = QUICK_SMALL if bench.quick else SMALL
    with small_site(bench) as site:
        values = [runs_per_second(bench, site, count) for _ in range(bench.rounds(3))]
    bench.limit("small", f"{count:,} exports of {ROWS} rows, start of the worker to the last one completed",
                "runs/s", values, ">= 100")
