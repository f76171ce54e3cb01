"""A private httpd with the module, on a free port of 127.0.0.1."""
import os
import re
import signal
import socket
import subprocess

from .logs import LogWatch
from .process import clean_environment, end_process, free_port, wait_for

APACHE = "/usr/sbin/apache2"
MODULES = "/usr/lib/apache2/modules"


def static_modules():
    done = subprocess.run([APACHE, "-l"], stdout=subprocess.PIPE, text=True, check=True)
    return set(re.findall(r"(\w+)\.c", done.stdout))


class Httpd:
    """One server. Its parts may be replaced before start() or reload():

    server    lines of the main server, in addition to the usual ones
    location  lines in <Location "/udm">, in addition to the usual ones
    mounts    more Locations: their paths, and the lines in each in addition to the usual ones
    after     lines of the main server behind all that
    dbd       the lines for mod_dbd
    error_to, access_to   where the logs go instead of their files: a piped program
    config()  the whole file
    """

    MPM = {
        "event": ["StartServers 1", "ThreadsPerChild 25", "MinSpareThreads 10", "MaxSpareThreads 50",
                  "MaxRequestWorkers 50", "ServerLimit 4"],
        "worker": ["StartServers 1", "ThreadsPerChild 25", "MinSpareThreads 10", "MaxSpareThreads 50",
                  "MaxRequestWorkers 50", "ServerLimit 4"],
        "prefork": ["StartServers 2", "MaxRequestWorkers 20"],
    }

    def __init__(self, env, directory, dsn, settings, mpm=None):
        """`dsn` is what mod_dbd connects with; `settings` the UDM lines of the main server."""
        self.env, self.directory, self.settings = env, directory, list(settings)
        self.mpm = mpm or os.environ.get("MPM", "event")
        self.port = free_port()
        self.mount = "/udm"
        self.modules = ["authn_core", "authz_core", "authz_user", "dbd"]
        self.server, self.location, self.after, self.mounts = [], [], [], {}
        self.base_location = ["UDM On", "AuthType UDM", 'AuthName "UDM"', "Require valid-user",
                              f"UDMTokenKeys {env.tokens.jwks_path}"]
        self.dbd = ["DBDriver pgsql",
                    f"DBDParams \"{dsn} connect_timeout=3 application_name=udm-httpd "
                    "options='-c statement_timeout=5000'\"",
                    "DBDMin 0", "DBDKeep 4", "DBDMax 12"]
        self.conf = os.path.join(directory, "httpd.conf")
        self.error_log = os.path.join(directory, "error.log")
        self.access_log = os.path.join(directory, "access.log")
        self.error_to = self.access_to = None
        self.watch = LogWatch(self.error_log)
        self.process = None
        self.rotated = []
        env.account.own(directory)
        env.watches.append(self.watch)
        env.logs += [self.error_log, self.access_log]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{self.mount}"

    def at(self, path):
        """The URL of another mount."""
        return f"http://127.0.0.1:{self.port}{path}"

    def section(self, path, more=()):
        """The lines of a mount's Location."""
        return [f'<Location "{path}">', *("    " + x for x in [*self.base_location, *more]),
                "</Location>"]

    def config(self):
        static = static_modules()
        load = [f"mpm_{self.mpm}", *self.modules]
        lines = [f'ServerRoot "{self.directory}"', "ServerName localhost",
                 f"Listen 127.0.0.1:{self.port}", "PidFile httpd.pid"]
        lines += [f"LoadModule {m}_module {MODULES}/mod_{m}.so" for m in load
                  if f"mod_{m}" not in static and m not in static]
        lines += [f"LoadModule udm_module {self.env.module}", *self.MPM[self.mpm],
                  f'ErrorLog "{self.error_to or self.error_log}"', "LogLevel warn udm:info",
                  'LogFormat "%h %u %t \\"%r\\" %>s %b \\"%{Referer}i\\" %U%q" all',
                  f'CustomLog "{self.access_to or self.access_log}" all', "Timeout 20", "KeepAliveTimeout 2",
                  "GracefulShutdownTimeout 10", *self.dbd, *self.settings, *self.server,
                  *self.section(self.mount, self.location)]
        for path, more in self.mounts.items():
            lines += self.section(path, more)
        lines += self.after
        return "\n".join(lines) + "\n"

    def write(self, text=None):
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(self.config() if text is None else text)
        return self.conf

    def environment(self):
        return clean_environment(**self.env.sanitizer_environment(preload=True))

    def check(self, *args, text=None):
        """`apache2 -t`: (exit status, everything it said). Writes the configuration."""
        self.write(text)
        done = self.env.account.run([APACHE, "-t", "-f", self.conf, *args], check=False,
                                    env=self.environment())
        return done.returncode, done.stdout + done.stderr

    def start(self, text=None):
        assert self.process is None, "httpd runs already"
        self.write(text)
        for path in (self.error_log, self.access_log):
            with open(path, "ab"):
                self.env.account.own(path)
        before = self.watch.text().count("resuming normal operations")
        with open(self.error_log, "ab") as log:
            self.process = subprocess.Popen(
                [APACHE, "-D", "FOREGROUND", "-f", self.conf], env=self.environment(),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True,
                **self.env.account.popen_args())
        wait_for(lambda: self._ready(before), 60, "httpd to listen and to be configured")

    def _ready(self, before):
        if self.process.poll() is not None:
            self.process = None
            raise AssertionError("httpd did not start:\n" + self.watch.text()[-4000:])
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            # It listens before it has read its configuration for the second time.
            return self.watch.text().count("resuming normal operations") > before
        except OSError:
            return False

    def reload(self, text=None):
        """A graceful restart with the configuration as it is now; waits for the new generation."""
        assert self.process is not None, "httpd does not run"
        self.write(text)
        before = self.watch.text().count("resuming normal operations")
        self.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: self.watch.text().count("resuming normal operations") > before
                 or self.process.poll() is not None, 30, "httpd to reload")
        assert self.process.poll() is None, "httpd ended:\n" + self.watch.text()[-3000:]

    def rotate_logs(self):
        """Renames the logs, as logrotate does before it has httpd reload."""
        number = len(self.rotated) // 2 + 1
        for path in (self.error_log, self.access_log):
            os.rename(path, f"{path}.{number}")
            self.rotated.append(f"{path}.{number}")
            self.env.logs.append(f"{path}.{number}")
        self.env.watches.append(self.watch.renamed(f"{self.error_log}.{number}"))

    def stop(self, graceful=False):
        """A graceful end; unless that is what is tested, SIGTERM follows soon.

        At SIGTERM alone mpm_event closes its workers' sockets while they may be freeing them, and a
        child can crash of that with any module (seen with a static file and 2.4.71).
        """
        if self.process is not None:
            process, self.process = self.process, None
            if not graceful:
                process.send_signal(signal.SIGWINCH)
                try:
                    process.wait(3)
                except subprocess.TimeoutExpired:
                    pass
            end_process(process, signal.SIGWINCH if graceful else signal.SIGTERM, 40)

    def allow_log(self, pattern):
        """A line of trouble that this test expects."""
        self.watch.allow(pattern)
