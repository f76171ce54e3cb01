"""Processes, users, ports, and waiting for what is to become true."""
import os
import pwd
import signal
import socket
import subprocess
import time


def wait_for(condition, timeout=30.0, what="the condition", interval=0.05):
    """Calls condition() until it is true and returns what it gave; fails after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(interval)


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Account:
    """The user that servers run as: this one, or www-data when this one is root.

    PostgreSQL refuses to run as root, and a server that drops its rights half-way hides mistakes in
    the rights of files; so everything runs as one plain user from the start.
    """

    def __init__(self):
        self.is_root = os.geteuid() == 0
        entry = pwd.getpwnam("www-data") if self.is_root else pwd.getpwuid(os.geteuid())
        self.name, self.uid, self.gid = entry.pw_name, entry.pw_uid, entry.pw_gid

    def own(self, path):
        if self.is_root:
            os.chown(path, self.uid, self.gid)
        return path

    def popen_args(self):
        if not self.is_root:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def run(self, args, check=True, env=None, **kwargs):
        """Runs a program as this account and returns the CompletedProcess, output as text."""
        done = subprocess.run(args, env=env or clean_environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              errors="replace", **self.popen_args(), **kwargs)
        if check and done.returncode != 0:
            raise AssertionError(f"{args[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done


def clean_environment(**more):
    """The environment of a server: nothing of the tester's own settings."""
    keep = {k: v for k, v in os.environ.items()
            if not k.startswith(("PG", "UDM_", "APACHE_", "LD_PRELOAD"))
            and k.lower() not in ("http_proxy", "https_proxy", "all_proxy")}
    keep.update({"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"})
    keep.update(more)
    return keep


def alive(pid):
    """Whether a process runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def end_process(process, sig=signal.SIGTERM, timeout=20.0):
    """Ends a Popen: `sig`, then SIGKILL when it does not go. Returns its exit status."""
    if process.poll() is None:
        process.send_signal(sig)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"pid {process.pid} did not end within {timeout:g} s of {sig!r}")
    return process.returncode
