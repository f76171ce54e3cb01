"""What breaks below a worker: a volume that is small, a source of its own, a server that never answers."""
import os
import signal
import socket
import subprocess
import threading

import pytest

from .postgres import Postgres
from .process import alive, clean_environment, wait_for
from .queue import GATE, SCHEMA


class Volume:
    """A file system of a few MiB that lies at `path` when it is mounted.

    Root mounts it for everybody. Anybody else does so in a namespace of their own, which a program
    has to enter: `prefix` is how. `view` is where the tester finds `path`.
    """

    def __init__(self, env, path, size):
        self.env, self.path, self.origin = env, path, path + ".volume"
        self.enter, self.prefix, self.view, self.holder = [], [], path, None
        os.makedirs(self.origin, exist_ok=True)
        account = env.account
        options = f"size={size},mode={os.stat(path).st_mode & 0o7777:o}"
        if account.is_root:
            options += f",uid={account.uid},gid={account.gid}"
        else:
            self._unshare()
        self.mounted, self.closed = False, False
        env.finalizers.append(self.close)
        self._run("mount", "-t", "tmpfs", "-o", options, "none", self.origin)
        self.mount()

    def _unshare(self):
        # As long as its input is open.
        self.holder = subprocess.Popen(["unshare", "-rm", "sh", "-c", "echo && exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, env=clean_environment())
        if not self.holder.stdout.readline():
            self.holder.wait()
            pytest.skip("nothing can be mounted: not root, and user namespaces are not to be had")
        self.enter = ["nsenter", "-t", str(self.holder.pid), "-U", "-m", "--preserve-credentials"]
        self.prefix = [*self.enter, "unshare", "-U", f"--map-user={self.env.account.uid}",
                       f"--map-group={self.env.account.gid}"]
        self.view = f"/proc/{self.holder.pid}/root{self.path}"

    def _run(self, *args, check=True):
        done = subprocess.run([*self.enter, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, env=clean_environment())
        assert not check or done.returncode == 0, f"{args}: {done.stdout}"

    def mount(self):
        self._run("mount", "--bind", self.origin, self.path)
        self.mounted = True

    def unmount(self):
        """Away at once, though somebody may still have files of it open."""
        self._run("umount", "-l", self.path)
        self.mounted = False

    def resize(self, size):
        # Without the options that it has by now: some say what is not to be said in a namespace.
        self._run("mount", "--options-mode=ignore", "-t", "tmpfs", "-o", f"remount,size={size}", "none",
                  self.origin)

    def read_only(self, yes):
        self._run("mount", "-o", f"remount,bind,{'ro' if yes else 'rw'}", self.path)

    def fill(self, leave):
        """Until only `leave` bytes are free."""
        path = os.path.join(self.view, "filler")
        with open(path, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(65536))
            except OSError:
                pass
            f.truncate(max(f.tell() - leave, 0))

    def empty(self):
        os.unlink(os.path.join(self.view, "filler"))

    def close(self):
        if self.closed:
            return
        self.closed = True
        if self.mounted:
            self._run("umount", "-l", self.path, check=False)
        self._run("umount", "-l", self.origin, check=False)
        if self.holder is not None:
            self.holder.stdin.close()
            self.holder.wait()
            self.holder.stdout.close()


class Remote:
    """The source "Gated" of a queue in a PostgreSQL of its own: what is done to it the queue's never
    feels."""

    def __init__(self, queue, cluster):
        self.queue, self.cluster = queue, cluster
        self.database = queue.env.unique("remote")
        cluster.create_database(self.database)
        # It is crashed: what was committed is to be there when it comes back.
        self.sql(f"ALTER DATABASE {self.database} SET synchronous_commit = on")
        self.sql(SCHEMA[:SCHEMA.index("SELECT udm.")])
        self.gate, self.stopped = None, []
        self.connect_to(self.dsn())

    def dsn(self, user="udm_test_gated", more=""):
        return f"{self.cluster.dsn(self.database, user)} {more}"

    def connect_to(self, text):
        self.queue.write_source("gated", text)

    def connect(self):
        return self.cluster.connect(self.database)

    def sql(self, statement, parameters=None):
        return self.cluster.sql(statement, parameters, self.database)

    def hold(self):
        self.gate = self.connect()
        self.gate.execute("SELECT pg_advisory_lock(%s)", [GATE])

    def open(self):
        if self.gate is not None:
            self.gate.close()
            self.gate = None

    def readers(self, condition="true"):
        """The processes of the server that read for a worker."""
        return [row[0] for row in self.sql(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s AND usename = 'udm_test_gated'"
            f" AND {condition}", [self.database])]

    def wait_held(self):
        """Until an export is in the middle of its rows; gives the pid of the server's process."""
        return wait_for(lambda: self.readers("query LIKE 'COPY%%' AND wait_event = 'PgSleep'"), 60,
                        "an export to be held up")[0]

    def stop(self, pid):
        """The process does nothing any more, and its connections stay."""
        os.kill(pid, signal.SIGSTOP)
        self.stopped.append(pid)

    def go_on(self):
        while self.stopped:
            pid = self.stopped.pop()
            if alive(pid):
                os.kill(pid, signal.SIGCONT)

    def close(self):
        self.go_on()
        self.open()
        self.cluster.drop_database(self.database)


class Silent:
    """Takes TCP connections and never says a word. Fields of a libpq string: `target`."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.target = f"host=127.0.0.1 port={self.listener.getsockname()[1]}"
        self.connections = []
        self.thread = threading.Thread(target=self._main, daemon=True)
        self.thread.start()

    def _main(self):
        while True:
            try:
                self.connections.append(self.listener.accept()[0])
            except OSError:
                return

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        for connection in self.connections:
            connection.close()


def remote_cluster(env):
    """A second PostgreSQL; who calls this stops it."""
    cluster = Postgres(env.make_directory(env.unique("pg-remote")), env.account)
    cluster.create()
    cluster.start()
    env.logs.append(cluster.log)
    return cluster


def ready(worker):
    wait_for(lambda: "UDM0234" in worker.watch.text(), 60, f"{worker.name} to be ready")
    return worker


def assert_no_growth(worker, fail, times=20):
    """Whatever fail() makes fail, the worker has no more files open and hardly more memory after."""
    for _ in range(5):
        fail()
    descriptors, memory = worker.descriptors(), worker.memory()
    for _ in range(times):
        fail()
    # A thread may be about to close something.
    wait_for(lambda: worker.descriptors() <= descriptors, 30, "descriptors to be closed again")
    grown = worker.memory() - memory
    # A sanitizer keeps for a while what was freed.
    assert grown < 1024 * 1024 or os.environ.get("UDM_SANITIZE"), f"{times} failures took {grown} bytes"
    return grown
