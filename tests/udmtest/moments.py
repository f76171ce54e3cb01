"""The moments in which a worker can be hit. It is stopped with SIGSTOP at each of them, which is what
makes it possible to say for sure where it was; what comes then comes before it takes another step."""
import collections
import os
import signal
import time
import uuid

import psycopg

from .churn import READER
from .process import wait_for

# What a worker can be doing, in order. "completing": the transaction that completes a run is under way
# and will be rolled back; "committed": it will be committed, and nobody will hear of it.
PHASES = ("claimed", "settling", "copy", "encryption", "publish", "completing", "committed", "purge", "sweep")
AIMS = PHASES[1:]  # "claimed" comes by itself, and "idle"
ORPHANS = 300
PURGED = 40
NEEDLE = "%UPDATE udm.run r SET status = 'COMPLETED'%"


class Moments:
    """Finds moments, for one worker that may be started again and again."""

    def __init__(self, churn, worker, rng):
        self.churn, self.worker, self.rng = churn, worker, rng
        self.site = churn.site
        self.counts = collections.Counter()
        self.aimed = set()  # those that were hit because they were wanted
        self.orphans = None
        self.blocker = None  # the process id of the server whose lock a completion is to wait for
        self.ready = 3  # jobs that wait

    def each(self, count):
        """Stops the worker in so many moments. Yields what is to be called once the worker has been
        dealt with and may go on."""
        for aim in self.aims(count):
            yield self.hit(aim)
        # Whatever came of it, all of it was tried.
        assert self.aimed >= set(AIMS) or count < len(AIMS)

    def aims(self, count):
        """Each kind once, as far as they go; after that, as many at random as are aimed at."""
        first, rest = list(AIMS), []
        while len(first) + len(rest) < count:
            rest += [None] * len(AIMS) + list(AIMS)
        self.rng.shuffle(first)
        self.rng.shuffle(rest)
        return (first + rest)[:count]

    def __str__(self):
        return ", ".join(f"{phase} {self.counts[phase]}" for phase in (*PHASES, "idle"))

    # Stop and go

    def freeze(self):
        self.worker.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: set(self.states()) == {"T"}, 30, "the worker to stop", interval=0.0005)

    def states(self):
        """Of all threads."""
        found = []
        for thread in os.listdir(f"/proc/{self.worker.pid}/task"):
            try:
                with open(f"/proc/{self.worker.pid}/task/{thread}/stat", encoding="latin-1") as f:
                    found.append(f.read().rpartition(")")[2].split()[0])
            except (FileNotFoundError, ProcessLookupError):
                pass  # it has ended
        return found

    def thaw(self):
        self.worker.process.send_signal(signal.SIGCONT)

    # Where it is

    def mine(self):
        """The runs that the worker has, the one that it began last first: id, attempt's id, whether it
        settles a window, job."""
        return self.churn.ask(
            "SELECT r.id, r.export_id::text, r.settle_barrier IS NOT NULL, r.job_id FROM udm.run r"
            " WHERE r.status = 'IN_PROGRESS' AND r.worker_id LIKE '%%/' || %s || '/%%'"
            " ORDER BY r.started_at DESC", [self.worker.pid])

    def reading(self):
        """How many exports are in the middle of reading their source."""
        return self.churn.ask("SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND usename = %s"
                              " AND state = 'active' AND query LIKE 'COPY%%'",
                              [self.site.database, READER])[0][0]

    def blocked(self):
        """The process ids of the servers in which a completion waits for our lock. (For one of the
        worker's own it would wait as long as the worker stands.)"""
        return [pid for pid, in self.churn.ask(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s AND usename = 'udm_worker'"
            " AND wait_event_type = 'Lock' AND query LIKE %s AND %s = ANY (pg_blocking_pids(pid))",
            [self.site.database, NEEDLE, self.blocker])]

    def purging(self):
        """Some of what is to leave the store has left it, and that is not noted yet."""
        pending = [name for name, in self.churn.ask(
            "SELECT name FROM udm.file WHERE removed_at IS NOT NULL AND purged_at IS NULL")]
        there = sum(os.path.exists(self.churn.path(name)) for name in pending)
        return 0 < there < len(pending)

    def sweeping(self):
        return self.orphans is not None and 0 < len(self.stray()) < ORPHANS

    def stray(self):
        try:
            return [n for n in os.listdir(self.orphans[0]) if n in self.orphans[1]]
        except FileNotFoundError:
            return []

    def of_runs(self):
        """What the worker is doing for its runs. Who has begun last reads, if not all do."""
        found, readers = [], self.reading()
        for _, export_id, settles, _ in self.mine():
            published, parts = self.churn.stored(export_id)
            if published:
                found.append("publish" if parts else "completing")
            elif readers > 0:
                readers -= 1
                found.append("copy")
            elif parts:
                found.append("encryption")
            else:
                found.append("settling" if settles else "claimed")
        return found

    def phases(self):
        """All that it is in the middle of; nothing: it is idle."""
        found = self.of_runs()
        if self.purging():
            found.append("purge")
        if self.sweeping():
            found.append("sweep")
        return found

    # Aiming

    def hit(self, aim):
        """Stops the worker in the wanted phase (None: whatever comes at a random time). Gives what ends
        the preparations."""
        self.churn.feed(self.ready)
        wait_for(self.mine, 120, "the worker to run something", interval=0.005)
        if aim is None:
            time.sleep(self.rng.uniform(0, 2))
            self.freeze()
            end = self.nothing
        else:
            end = getattr(self, "aim_" + aim)()
        found = self.phases()
        if aim == "committed":
            found.append(aim)
        if aim is not None:
            self.aimed.add(aim)
            # It was in it as it stood, whatever the server has done for it since.
            found += [] if aim in found else [aim]
        self.counts.update(found or ["idle"])
        return end

    @staticmethod
    def nothing():
        """No preparations to end."""

    def stop_when(self, condition, prepare=None, delay=0, timeout=180):
        """Stops the worker up to `delay` seconds after condition() became true; it still is when the
        worker stands."""
        end = time.monotonic() + timeout
        fed = 0
        while True:
            if time.monotonic() - fed > 1:
                fed = time.monotonic()
                self.churn.feed(self.ready)
                if prepare is not None:
                    prepare()
            if condition():
                time.sleep(self.rng.uniform(0, delay))
                self.freeze()
                if condition():
                    return
                self.thaw()
            assert time.monotonic() < end, f"waited {timeout:g} s in vain for a moment of {condition}"
            time.sleep(0.001)

    def aim_at(self, phase, delay):
        self.stop_when(lambda: phase in self.of_runs(), delay=delay)
        return self.nothing

    def aim_copy(self):
        return self.aim_at("copy", 0.8)

    def aim_encryption(self):
        return self.aim_at("encryption", 0.005)

    def aim_publish(self):
        self.stop_when(self.publishing)
        return self.nothing

    def publishing(self):
        """Some files of an attempt have their names, and some do not yet. On a quick disk that takes
        less than a question to the server: for a while only the store is looked at."""
        attempts = [run[1] for run in self.mine()]
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            if any(all(self.churn.stored(attempt)) for attempt in attempts):
                return True
        return False

    def aim_settling(self):
        writer = self.churn.hold()
        self.stop_when(lambda: "settling" in self.of_runs(), delay=0.3)
        return lambda: self.commit(writer)

    @staticmethod
    def commit(writer):
        try:
            writer.execute("COMMIT")
        except psycopg.Error:
            pass  # the server went away: there is no such row
        writer.close()

    def aim_completing(self):
        """A lock on the job is the last thing that completes a run."""
        blocker = self.block()

        def end():
            # The one who would still commit it goes, too.
            for pid in self.blocked():
                self.site.sql("SELECT pg_terminate_backend(%s, 10000)", [pid])
            self.commit(blocker)
        return end

    def aim_committed(self):
        blocker = self.block()
        before = {run[0] for run in self.mine()}
        self.commit(blocker)
        # A claim that it sent before it stood may still come to its end: that is one more.
        wait_for(lambda: not self.blocked() and before - {run[0] for run in self.mine()}, 60,
                 "the completion to be committed", interval=0.005)
        return self.nothing

    def block(self):
        """Stops the worker while the completion of a run waits; gives the connection it waits for."""
        blocker = self.site.connect()
        self.blocker = blocker.info.backend_pid

        def lock():
            # Anew each time, and only of what still runs: the next run of a job that has ended meanwhile
            # must not wait for it when the worker claims it, and with it all that it might complete.
            blocker.execute("ROLLBACK")
            blocker.execute("BEGIN")
            runs = self.mine()
            for run in runs:
                blocker.execute("SELECT FROM udm.job WHERE id = %s FOR UPDATE SKIP LOCKED", [run[3]])
            if {run[0] for run in runs} - {run[0] for run in self.mine()}:
                blocker.execute("ROLLBACK")
        self.stop_when(self.blocked, lock)
        return blocker

    def aim_purge(self):
        def prepare():
            if not self.churn.ask("SELECT EXISTS (SELECT FROM udm.file WHERE removed_at IS NOT NULL"
                                  " AND purged_at IS NULL)")[0][0]:
                self.churn.expire(PURGED)
        self.stop_when(self.purging, prepare)
        return self.nothing

    def aim_sweep(self):
        self.stop_when(self.sweeping, self.litter)
        return self.nothing

    def litter(self):
        """Leaves parts of attempts that nobody knows in the store, once those of before are gone."""
        if self.orphans is not None and self.stray():
            return
        folder = os.path.join(self.site.store, "00")
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o2750)
        self.site.env.account.own(folder)
        names = [f"export-00{str(uuid.uuid4())[2:]}.1.part" for _ in range(ORPHANS)]
        for name in names:
            with open(os.path.join(folder, name), "w", encoding="ascii") as f:
                f.write("x")
        self.orphans = (folder, set(names))
