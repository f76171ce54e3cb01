"""An installation as one runs it, for the benchmarks: everything is durable, and on a disk.

    with BenchSite(bench, scale="1") as site:   # the demo data, scale as of UDM_DEMO_SCALE (0.05)
        site.start_httpd()                      # nothing runs until asked for, but PostgreSQL
        worker = site.start_worker(slots=2)     # settings of udm-worker, "_" for "-"

A BenchSite is a udmtest Site, so it has all of that; what benchmarks need of it:

    site.dsn(user)                libpq string of its database: udm_admin, udm_httpd, udm_worker,
                                  udm_reader_ucs; peers use the same socket with site.socket
    site.sql(text, parameters)    as udm_admin; gives the rows
    site.client(ccid)             a client of the API with key and token (both contact centres have data)
    site.key(ccid), site.new_key(ccid, roles), site.env.tokens.token(ccid)
    site.upload_certificate()     through the API; without one no job is taken
    site.start_worker(), site.httpd.port, site.httpd.mount, site.store, site.directory
    site.settle()                 vacuums and writes a checkpoint, so that no round pays for what went before

The servers' settings are what an administrator would choose for two cores; see POSTGRES and BenchHttpd.
"""
import os
import re
import subprocess
import tempfile

from udmtest.env import Environment
from udmtest.httpd import APACHE, Httpd
from udmtest.postgres import Postgres, bin_dir
from udmtest.process import Account, clean_environment
from udmtest.site import Site

POSTGRES = ("fsync = on", "full_page_writes = on", "synchronous_commit = on", "wal_level = replica",
            "max_wal_senders = 10", "shared_buffers = 512MB", "max_wal_size = 4GB",
            "checkpoint_timeout = 15min", "effective_cache_size = 2GB", "random_page_cost = 1.1",
            "timezone = 'UTC'")


class BenchHttpd(Httpd):
    """A httpd for two cores and some dozens of clients that stay: of its MPMs worker, whose threads stay
    with their connections (event, which is for thousands of them, gives four fifths of the requests per
    second). There is no access log: none of the peers writes one either."""

    MPM = {"worker": ["StartServers 1", "ServerLimit 2", "ThreadsPerChild 64", "MinSpareThreads 32",
                     "MaxSpareThreads 128", "MaxRequestWorkers 128"]}

    SERVER = ("LogLevel warn", "KeepAlive On", "MaxKeepAliveRequests 0")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, mpm="worker", **kwargs)
        self.dbd[-3:] = ["DBDMin 16", "DBDKeep 16", "DBDMax 16"]
        self.server += self.SERVER

    def config(self):
        return "".join(line + "\n" for line in super().config().splitlines()
                       if not line.startswith(("CustomLog", "KeepAliveTimeout")))


class BenchEnvironment(Environment):
    """The folder is on a disk, the cluster durable, and a database no copy of another one."""

    @property
    def postgres(self):
        if self._postgres is None:
            self._postgres = Postgres(self.make_directory("pg"), self.account)
            self._postgres.create(*POSTGRES)
            self._postgres.start()
            self.logs.append(self._postgres.log)
        return self._postgres

    def create_database(self, kind="demo", scale="0.05"):
        name = self.unique("udm")
        dsn = self.postgres.create_database(name)
        self.migrate(dsn)
        if kind == "demo":
            subprocess.run([os.path.join(self.top, "sql", "demo", "load.sh"), dsn], check=True,
                           env=clean_environment(UDM_DEMO_SCALE=scale), stdout=subprocess.DEVNULL)
        return name


def make_environment(bench):
    """A folder of the checkout if the servers' user can get there and a socket's path is not too long
    (see Environment); else one of /var/tmp, which is no file system in memory."""
    account, base = Account(), "/var/tmp"
    reached = account.run(["test", "-x", bench.directory], check=False).returncode == 0
    if reached and len(bench.directory) < 40:
        base = bench.directory
    before, tempfile.tempdir = tempfile.tempdir, base
    try:
        return BenchEnvironment()
    finally:
        tempfile.tempdir = before


def version(*command):
    """The first version number that a program tells."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=True)
    return re.search(r"\d+\.\d+(\.\d+)*", done.stdout).group()


class BenchSite(Site):
    """See above. Ends everything that it started when it is left."""

    def __init__(self, bench, scale="0.05", database="demo"):
        env = make_environment(bench)
        try:
            super().__init__(env, database, str(scale))
            self.httpd = BenchHttpd(env, self.httpd.directory, self.dsn("udm_httpd"),
                                    self.httpd.settings)
            self.settle()
        except BaseException:
            env.close()
            raise
        bench.fact("PostgreSQL", version(bin_dir() + "/postgres", "--version"))
        bench.fact("httpd", version(APACHE, "-v"))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.env.close()

    @property
    def socket(self):
        """The folder of the database's socket: the host of a connection."""
        return self.env.postgres.socket

    def dsn(self, user="udm_admin"):
        return self.env.postgres.dsn(self.database, user)

    def settle(self):
        with self.connect() as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")
