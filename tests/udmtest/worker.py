"""The program udm-worker with a settings file of its own."""
import os
import signal
import subprocess

from .logs import LogWatch
from .process import clean_environment, end_process


class Worker:
    """One worker. `settings` overrides the site's: {"slots": 2}; None leaves a line out."""

    def __init__(self, env, directory, name, settings):
        self.env, self.name = env, name
        self.settings = dict(settings)
        self.conf = os.path.join(directory, f"{name}.conf")
        self.log = os.path.join(directory, f"{name}.log")
        self.watch = LogWatch(self.log)
        self.process = None
        self.prefix, self.environment = [], {}  # a program that starts it, and variables for it
        env.watches.append(self.watch)
        env.logs.append(self.log)

    def write(self):
        with open(self.conf, "w", encoding="utf-8") as f:
            for name, value in self.settings.items():
                if value is not None:
                    f.write(f"{name} {value}\n")
        return self.conf

    def start(self, *args):
        assert self.process is None, "the worker runs already"
        self.write()
        with open(self.log, "ab") as log:
            self.env.account.own(self.log)
            self.process = subprocess.Popen(
                [*self.prefix, self.env.worker, "-c", self.conf, *args],
                env=clean_environment(**self.env.sanitizer_environment(), **self.environment),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **self.env.account.popen_args())
        return self

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, sig=signal.SIGTERM, timeout=30.0):
        """Ends it; gives its exit status. A worker that ended by itself before is a failure."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        assert process.poll() is None, \
            f"{self.name} had ended with {process.returncode}:\n{self.watch.text()[-3000:]}"
        return end_process(process, sig, timeout)

    def kill(self):
        return self.stop(signal.SIGKILL)

    def memory_peak(self):
        """VmHWM in bytes."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")

    def memory(self):
        """Bytes of its own that are in memory now."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as f:
            for line in f:
                if line.startswith("Private_Dirty:"):
                    return int(line.split()[1]) * 1024
        raise AssertionError("no Private_Dirty")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def allow_log(self, pattern):
        """A line of trouble that this test expects."""
        self.watch.allow(pattern)
