"""httpd is restarted gracefully and its logs are rotated, again and again, while clients ask and
exports run: nobody notices, and nothing grows."""
import glob
import os
import random
import re
import shutil

import pytest

from udmtest.files import PublishedFile
from udmtest.gate import Gate
from udmtest.load import Load, SlowDownload
from udmtest.process import wait_for
from udmtest.resources import children, descriptors, memory, shared_maps
from udmtest.site import Site

FULL = bool(os.environ.get("UDM_TEST_FULL"))
SLOTS = 2
ROTATELOGS = shutil.which("rotatelogs", path="/usr/bin:/usr/sbin")
# What the parent's memory may grow by. httpd loads every module anew at a restart; a few pages may
# differ by where the allocator put things.
GROWTH, GROWTH_EACH = 128 << 10, 16 << 10
# An old child may have one slow client left; it keeps its place in the scoreboard so long.
PLENTY = {"event": ["StartServers 1", "ThreadsPerChild 25", "MinSpareThreads 10", "MaxSpareThreads 50",
                    "MaxRequestWorkers 50", "ServerLimit 16"],
          "prefork": ["StartServers 4", "MinSpareServers 4", "MaxSpareServers 10",
                      "MaxRequestWorkers 40"]}
PLENTY["worker"] = PLENTY["event"]


class Soak(Site):
    """A site whose httpd runs the worker, with clients and exports."""

    def __init__(self, env):
        super().__init__(env)
        self.gate = Gate(self)
        self.httpd.MPM = PLENTY
        # A client that waits for all of a slow test is no trouble.
        self.httpd.server = ["Timeout 900", f"UDMWorker On {env.worker}", f"UDMSourceDir {self.sources}",
                             f"UDMSpoolDir {self.spool}", f"UDMWorkerSlots {SLOTS}",
                             f'UDMWorkerDatabase "{env.postgres.dsn(self.database, "udm_worker")}"']
        self.big = PublishedFile(self, content=random.Random(2).randbytes(24 << 20), title="slow")
        self.load = None
        self.held, self.downloads = [], []

    def begin(self, mpm="event"):
        self.httpd.mpm = mpm
        self.start_httpd()
        if not self.sql("SELECT FROM udm.certificate"):
            self.upload_certificate()
        if self.load is None:
            self.load = Load(self)
        self.load.resume()

    def end(self):
        """Whatever state a test left it in."""
        if self.load:
            self.load.close()
        self.gate.open()
        self.close()

    @property
    def parent(self):
        return self.httpd.process.pid

    def make_held(self):
        """An export in the middle of its rows."""
        self.gate.hold()
        client = self.client()
        client.session.headers["Connection"] = "close"
        self.held.append(client.create_job(source="Gate", data_type="Held", family="DataSync")["id"])
        self.gate.wait_held(len(self.held))

    def release(self):
        """Lets the exports and the slow clients go on to their end."""
        self.gate.open()
        for download in self.downloads:
            download.finish()
        self.wait_completed(self.held)
        self.held, self.downloads = [], []

    def wait_completed(self, jobs):
        def ended():
            return self.sql("SELECT bool_and(status IN ('COMPLETED', 'FAILED', 'CANCELLED'))"
                            " FROM udm.job WHERE id = ANY(%s)", [jobs])[0][0]
        wait_for(lambda: not jobs or ended(), 120, "the exports to end", 0.1)
        self.assert_completed(jobs)

    def assert_completed(self, jobs):
        """Each was run once, in one attempt, and says so once."""
        rows = self.sql(
            "SELECT j.id, j.status, r.status, r.attempt, (SELECT count(*) FROM udm.audit a"
            " WHERE a.action = 'run.complete' AND a.object = r.id::text), (SELECT count(*)"
            " FROM udm.file f WHERE f.run_id = r.id)"
            " FROM udm.job j LEFT JOIN udm.run r ON r.job_id = j.id WHERE j.id = ANY(%s) ORDER BY 1",
            [list(jobs)])
        assert rows == [(job, "COMPLETED", "COMPLETED", 1, 1, 1) for job in sorted(jobs)]

    def restart(self, rotate=False):
        """A graceful restart in the middle of an export and of a download; gives the children there
        were before it."""
        self.make_held()
        self.downloads.append(SlowDownload(self.load, self.big))
        before = {child.pid for child in children(self.parent)}
        if rotate:
            self.httpd.rotate_logs()
        self.httpd.reload()
        self.load.wait_answered(25)
        return before

    def settle(self, before):
        """Nobody asks, nothing runs, all of the earlier generations is gone; gives what is held."""
        self.load.pause()
        self.release()
        self.wait_completed(self.load.jobs)
        wait_for(lambda: not before & {c.pid for c in children(self.parent)}, 120,
                 "the children of earlier generations to end")
        wait_for(lambda: all(c.state != "Z" for c in children(self.parent)), 60, "no zombies")

        def too_many():
            servers = sum(c.name == "apache2" for c in children(self.parent))
            allowed = {"udm_httpd": servers * 12, "udm_worker": 2 + 3 * SLOTS}
            return [row for row in self.connections() if row[1] > allowed.get(row[0], 0)]
        wait_for(lambda: not too_many(), 60, "no more connections to the database than there may be")
        now = children(self.parent)
        assert [c.name for c in now].count("udm-worker") == 1
        # Nothing of them writes into a log that has been moved away.
        for child in [self.parent, *(c.pid for c in now)]:
            assert not set(self.httpd.rotated) & set(descriptors(child))
        return {"descriptors": descriptors(self.parent), "shared": shared_maps(self.parent),
                "connections": sum(row[1] for row in self.connections()), **memory(self.parent)}

    def connections(self):
        return self.sql("SELECT usename, count(*) FROM pg_stat_activity WHERE datname = %s"
                        " AND usename <> 'udm_admin' GROUP BY 1", [self.database])

    def lines(self, paths):
        """How often each request stands in these access logs."""
        found = {}
        for path in paths:
            with open(path, encoding="utf-8") as f:
                for number in re.findall(r'"request-(\d+)"', f.read()):
                    found[int(number)] = found.get(int(number), 0) + 1
        return found


@pytest.fixture(scope="module")
def soak(env):
    result = Soak(env)
    yield result
    result.end()


@pytest.fixture
def round_of(soak):
    """Ends httpd after each test, and forgets what was asked in it."""
    yield soak
    soak.gate.open()
    soak.held, soak.downloads = [], []
    if soak.load:
        soak.load.pause()
        soak.load.wrong, soak.load.jobs = [], []
    soak.httpd.stop()
    soak.httpd.error_to = soak.httpd.access_to = None


def assert_all_answered(soak, first):
    """No request was lost, each job that was asked for is there once, and no run was interrupted."""
    load = soak.load
    assert not load.wrong, f"{len(load.wrong)} of {load.sent - first}: {load.wrong[:5]}"
    asked = soak.sql("SELECT id FROM udm.job WHERE title LIKE 'request-%%'"
                     " AND split_part(title, '-', 2)::int > %s", [first])
    assert sorted(row[0] for row in asked) == sorted(load.jobs)
    soak.assert_completed(load.jobs)
    for path in [*soak.httpd.rotated, soak.httpd.error_log]:
        with open(path, encoding="utf-8", errors="replace") as f:
            assert "handed back" not in f.read()


def test_restarts_and_rotations(round_of, figures):
    soak = round_of
    restarts, warm_up, rotate_at = (20, 3, {4, 7, 11, 12, 18}) if FULL else (4, 2, {3})
    first = soak.load.sent if soak.load else 0
    soak.begin()
    for number in range(1, restarts + 1):
        before = soak.restart(rotate=number in rotate_at)
        if number % 3 or number == restarts:
            soak.release()
        if number == warm_up:
            early = soak.settle(before)
            soak.load.resume()
    late = soak.settle(before)
    figures(f"soak: {soak.load.sent - first} requests and {len(soak.load.jobs)} jobs over {restarts}"
            f" graceful restarts and {len(rotate_at)} rotations of the logs; {len(soak.load.wrong)} lost;"
            f" httpd's parent: Rss {early['Rss'] >> 10} -> {late['Rss'] >> 10} KiB,"
            f" Anonymous {early['Anonymous'] >> 10} -> {late['Anonymous'] >> 10} KiB,"
            f" descriptors {len(early['descriptors'])} -> {len(late['descriptors'])},"
            f" connections to PostgreSQL {early['connections']} -> {late['connections']}")
    assert_all_answered(soak, first)
    assert (late["descriptors"], late["shared"]) == (early["descriptors"], early["shared"])
    if not os.environ.get("UDM_SANITIZE"):
        for what in ("Rss", "Anonymous"):
            assert late[what] - early[what] <= GROWTH + GROWTH_EACH * (restarts - warm_up), what
    assert len(soak.httpd.rotated) == 2 * len(rotate_at)
    logs = [path for path in soak.httpd.rotated if "access" in path] + [soak.httpd.access_log]
    assert all(os.path.getsize(path) for path in logs)
    wanted = {n: 1 for n in range(first + 1, soak.load.sent + 1)}
    # The line is written when the answer has been sent.
    wait_for(lambda: len(soak.lines(logs)) >= len(wanted), 30, "a line of each request")
    assert soak.lines(logs) == wanted


@pytest.mark.parametrize("mpm", ["worker", "prefork"])
def test_other_mpms(round_of, figures, mpm):
    soak = round_of
    if not os.path.exists(f"/usr/lib/apache2/modules/mod_mpm_{mpm}.so"):
        pytest.skip(f"mpm_{mpm} is not installed")
    first, restarts = soak.load.sent if soak.load else 0, 4 if FULL else 2
    soak.begin(mpm)
    for _ in range(restarts):
        before = soak.restart()
    soak.settle(before)
    figures(f"soak, mpm_{mpm}: {soak.load.sent - first} requests over {restarts} graceful restarts;"
            f" {len(soak.load.wrong)} lost")
    assert_all_answered(soak, first)


def test_piped_logs(round_of, figures):
    """httpd ends the program that a log is piped to at each restart; what the children of the
    generation before write after that is lost, with any module. Nothing else may be."""
    soak = round_of
    if not ROTATELOGS:
        pytest.skip("rotatelogs is not installed: apache2-utils")
    httpd, first = soak.httpd, soak.load.sent if soak.load else 0
    pattern = os.path.join(httpd.directory, "piped")
    httpd.access_to = f"|{ROTATELOGS} {pattern}.%Y%m%d-%H%M%S 1"
    httpd.error_to = f"|{ROTATELOGS} -n 1 {httpd.error_log} 86400"
    httpd.allow_log("AH00488: long lost child")  # those programs
    soak.begin()
    for _ in range(4 if FULL else 2):
        before = soak.restart()
    soak.settle(before)
    assert_all_answered(soak, first)
    found = soak.lines(glob.glob(pattern + ".*"))
    lost = soak.load.sent - first - len(found)
    figures(f"soak, piped logs: {soak.load.sent - first} requests, {lost} of them not in the access log")
    assert set(found.values()) == {1} and lost * 10 < len(found)
    assert [c.name for c in children(soak.parent)].count("rotatelogs") == 2


def test_the_end_hands_back(round_of):
    """The end of httpd in the middle of an export is no attempt, and the next start goes on."""
    soak = round_of
    soak.begin()
    soak.load.pause()
    soak.make_held()
    [job] = soak.held
    soak.httpd.stop()
    assert soak.sql("SELECT status, attempt, worker_id FROM udm.run WHERE job_id = %s", [job]) \
        == [("QUEUED", 0, None)]
    soak.start_httpd()
    soak.gate.wait_held()
    soak.release()
