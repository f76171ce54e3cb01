"""What a benchmark says, and how it is measured: ratios of one run, never times to be compared with
another machine's."""
import contextlib
import dataclasses
import operator
import os
import statistics
import subprocess
import sys
import time


@dataclasses.dataclass
class Line:
    """One line of the table: what was measured, beside what, and whether it is as wanted."""
    bench: str    # "get"
    what: str     # "GET of a job, both credentials"
    beside: str   # "Fastify, a process per core"; "" for a limit of its own
    ours: float
    theirs: float | None
    unit: str     # of both: "s", "requests/s", "MiB"
    ratio: float  # what `wanted` is about; the median of the rounds
    low: float    # the smallest and the largest of the rounds
    high: float
    wanted: str   # ">= 1.6", "<= 1.1"; "" for a line that only informs

    @property
    def met(self):
        if not self.wanted:
            return True
        sign, limit = self.wanted.split()
        return {">=": operator.ge, "<=": operator.le}[sign](self.ratio, float(limit))


class Bench:
    """Collects the lines of a run. `directory`: a folder for whatever a benchmark leaves behind."""

    def __init__(self, top, directory, quick=False):
        self.top, self.directory, self.quick = top, directory, quick
        self.cores = len(os.sched_getaffinity(0))
        self.lines, self.facts = [], {}
        self._kept, self._ends = {}, contextlib.ExitStack()
        os.makedirs(directory, exist_ok=True)

    def keep(self, name, make):
        """What several benchmarks of a run share: the context that make() gives, entered when it is first
        asked for, left by close()."""
        if name not in self._kept:
            self._kept[name] = self._ends.enter_context(make())
        return self._kept[name]

    def close(self):
        self._ends.close()

    def say(self, text):
        print(f"   {text}", file=sys.stderr, flush=True)

    def fact(self, name, value):
        """A version or a size that the figures depend on."""
        self.facts[name] = value

    def rounds(self, count):
        """How many rounds to run; few when only the benchmark itself is tried."""
        return 1 if self.quick else count

    def pairs(self, rounds, ours, theirs):
        """Runs both in turn, `rounds` times, the first one changing; each gives a figure. Two lists."""
        a, b = [], []
        for i in range(self.rounds(rounds)):
            for measure, into in ((ours, a), (theirs, b))[::1 if i % 2 == 0 else -1]:
                into.append(measure())
        return a, b

    def line(self, bench, what, beside, unit, ours, theirs, wanted, swap=False):
        """Adds a line from the figures of the rounds: the ratio is ours / theirs of each round, with
        `swap` theirs / ours ("times faster" where figures are seconds)."""
        ratios = [(b / a if swap else a / b) for a, b in zip(ours, theirs)]
        return self._add(Line(bench, what, beside, statistics.median(ours), statistics.median(theirs),
                              unit, statistics.median(ratios), min(ratios), max(ratios), wanted))

    def limit(self, bench, what, unit, values, wanted):
        """Adds a line with a limit of its own: `wanted` is about the median of the values."""
        middle = statistics.median(values)
        return self._add(Line(bench, what, "", middle, None, unit, middle, min(values), max(values),
                              wanted))

    def _add(self, line):
        self.lines.append(line)
        self.say(f"{line.bench}: {line.what}"
                 + (f", beside {line.beside}" if line.beside else "")
                 + f": {line.ratio:.2f} ({line.low:.2f} to {line.high:.2f})"
                 + (f", wanted {line.wanted}: {'met' if line.met else 'NOT MET'}" if line.wanted else ""))
        return line


def timed(command, **kwargs):
    """Seconds that a command takes; it must succeed."""
    start = time.monotonic()
    subprocess.run(command, check=True, **kwargs)
    return time.monotonic() - start
