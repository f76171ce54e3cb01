"""What others notice of somebody's trouble: the same measurement in rounds without and with it, in turns.

The clients that are measured are a process of their own: what makes the trouble must not take time from
them but in the servers. All latencies are in seconds from when a request was due, so that one that is
late makes those after it late, as it does for a client."""
import multiprocessing
import os
import re
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from urllib.parse import urlsplit

from .load import fetch
from .postgres import connect

# What a latency may reach however short it is without the trouble. Of some 400 samples the 99th
# percentile is the fourth worst: one checkpoint, one log that is flushed, or two time slices of the
# scheduler while more programs than there are processors want to run, and servers, clients and trouble
# share two of them here. A wait that the product makes is far above: it looks for its turn after 250 ms,
# for work after 5 s, and gives a server up after some seconds.
NOISE = 0.025
# The same for the end of a process, which one thread may look for once a second.
END_NOISE = 1.0

WAIT_LONGER = "others wait longer"


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


class Side:
    """The rounds without the trouble, or those with it."""

    def __init__(self):
        self.took, self.wrong, self.ends, self.leases = [], [], [], []

    def add(self, took, wrong):
        self.took += took
        self.wrong += wrong

    @property
    def end(self):
        return max(self.ends)


class Comparison:
    """`name` is <what is shared>/<the trouble>; `lost` counts attempts and jobs, beside what `wrong` has.
    What takes no longer than `noise` is not long, nor an end that comes by `end_limit`."""

    def __init__(self, name, noise=NOISE, end_limit=0.0):
        self.name, self.quiet, self.troubled = name, Side(), Side()
        self.lost, self.noise, self.end_limit = 0, noise, end_limit

    def side(self, troubled):
        return self.troubled if troubled else self.quiet

    def ratio(self, noise=0.0):
        """Of the 99th percentiles."""
        quiet, troubled = (percentile(side.took, 0.99) for side in (self.quiet, self.troubled))
        return troubled / max(quiet, noise)

    def line(self):
        def figures(share):
            return " -> ".join(f"{1000 * percentile(side.took, share):.1f}"
                               for side in (self.quiet, self.troubled))
        parts = [f"p50 {figures(0.5)} ms", f"p99 {figures(0.99)} ms ({self.ratio():.2f})",
                 f"{len(self.quiet.took)} and {len(self.troubled.took)} samples",
                 f"{len(self.quiet.wrong) + len(self.troubled.wrong)} answers, {self.lost} attempts lost"]
        if self.troubled.leases:
            parts.append(f"least lease {min(self.quiet.leases):.1f} -> {min(self.troubled.leases):.1f} s")
        parts.append(f"shutdown {self.quiet.end:.1f} -> {self.troubled.end:.1f} s")
        return f"beside {self.name}: {', '.join(parts)}"

    def complaints(self):
        """What is worse for others than it may be: none, or some words for each."""
        found = []
        if self.ratio(self.noise) > 2:
            found.append(WAIT_LONGER)
        if self.quiet.wrong or self.troubled.wrong:
            found.append(f"others lose something: {(self.quiet.wrong + self.troubled.wrong)[:3]}")
        if self.lost:
            found.append("attempts are lost")
        if self.troubled.leases and min(self.troubled.leases) <= 0:
            found.append("a lease runs out")
        if self.troubled.end > max(2 * max(self.quiet.end, END_NOISE), self.end_limit):
            found.append("the end takes longer")
        return found


class Clients:
    """The process in which the measured ones are. Made before there is any thread."""

    def __init__(self):
        self.pool = ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
        self.pool.submit(os.getpid).result()

    def run(self, function, *args):
        return self.pool.submit(function, *args).result()

    def close(self):
        self.pool.shutdown()


# ---- in that process ----

def ask_evenly(port, asks, rate, count, threads=4):
    """`count` requests at an even rate, each over a connection of its own, of the kinds in `asks` in
    turns: (method, path, headers, body, the status, the size of the file to fetch by the link that is the
    answer, or None, and the port of another server to ask). That fetch is part of the request. Gives
    (seconds of each, what was wrong, the secrets of links)."""
    begin = time.monotonic() + 0.05
    took, wrong, secrets, lock = [], [], [], threading.Lock()

    def ask(method, path, headers, body, status, follow, other=None):
        got, head, text = fetch(other or port, method, path, headers, body)
        if got != status:
            raise AssertionError(f"{method} {path}: {got} {text[:200]!r}")
        if follow:
            link = urlsplit(head["Location"])
            secrets.append(re.search("signature=([0-9a-f]{64})", head["Location"]).group(1))
            got, _, text = fetch(port, "GET", f"{link.path}?{link.query}", {})
            if (got, len(text)) != (200, follow):
                raise AssertionError(f"GET of a link: {got}, {len(text)} bytes: {text[:200]!r}")

    def client(first):
        for number in range(first, count, threads):
            due = begin + number / rate
            time.sleep(max(0, due - time.monotonic()))
            error = None
            try:
                ask(*asks[number % len(asks)])
            except Exception as e:  # noqa: BLE001 - whatever it is, it is a lost request
                error = repr(e)
            with lock:
                took.append(time.monotonic() - due)
                if error:
                    wrong.append(error)
    workers = [threading.Thread(target=client, args=[number]) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return took, wrong, secrets


def export_in_turn(dsn, insert, centres, held, seconds, most=20.0):
    """Small exports of some contact centres, each ordered when the one before is there; as many as there
    is time for. `held` is a run whose lease is looked at meanwhile, or None. Gives (seconds of each, what
    was wrong, the seconds that its lease had left)."""
    took, wrong, leases = [], [], []
    end = time.monotonic() + seconds

    def wait(connection, run, begin):
        while True:
            status, attempt, lease = connection.execute(
                "SELECT r.status, r.attempt, (SELECT extract(epoch FROM p.lease_until - clock_timestamp())"
                "::float FROM udm.run_progress p WHERE p.run_id = %s) FROM udm.run r WHERE r.id = %s",
                [held, run]).fetchone()
            if lease is not None:
                leases.append(lease)
            if status in ("COMPLETED", "FAILED") or time.monotonic() - begin > most:
                return status, attempt
            time.sleep(0.005)

    def order(ccid):
        with connect(dsn) as connection:
            while time.monotonic() < end:
                begin = time.monotonic()
                run = connection.execute(insert, [ccid]).fetchone()[0]
                came = wait(connection, run, begin)
                took.append(time.monotonic() - begin)
                if came != ("COMPLETED", 1):
                    wrong.append(f"run {run}: {came}")
                    break
    threads = [threading.Thread(target=order, args=[ccid]) for ccid in centres]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took, wrong, leases
