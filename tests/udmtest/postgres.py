"""A private PostgreSQL: a data directory and a socket below a temporary directory, no TCP."""
import glob
import os
import signal
import subprocess

import psycopg

from .process import clean_environment, end_process, wait_for


def bin_dir():
    """Where the newest installed server's programs are."""
    found = [d for d in glob.glob("/usr/lib/postgresql/*/bin") if os.access(d + "/initdb", os.X_OK)]
    found.sort(key=lambda d: float(d.split("/")[4]))
    if not found:
        raise AssertionError("no PostgreSQL server below /usr/lib/postgresql: install postgresql-15")
    return found[-1]


# Names mean what they mean in PostgreSQL, whatever somebody made in the database.
PIN = "-c search_path=pg_catalog,pg_temp"


def connect(dsn, **kwargs):
    """The same as Postgres.connect(), for who has only a connection string: another process."""
    kwargs = {"autocommit": True, **kwargs}
    kwargs["options"] = f"{kwargs.get('options', '')} {PIN}".strip()
    return psycopg.connect(dsn, **kwargs)


class Postgres:
    """One cluster. Its superuser is udm_admin; who can reach the socket's directory is trusted."""

    def __init__(self, directory, account, port=5432):
        self.directory, self.account, self.port = directory, account, port
        self.data = os.path.join(directory, "data")
        self.socket = directory
        self.log = os.path.join(directory, "postgres.log")
        self.process = None
        self.environment = {}  # variables for the server

    def create(self, *settings):
        """Makes the cluster. Durability is off: a test cluster does not outlive its test."""
        self.account.run([bin_dir() + "/initdb", "-D", self.data, "-U", "udm_admin", "-A", "trust",
                          "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])
        lines = ["listen_addresses = ''", f"unix_socket_directories = '{self.socket}'",
                 f"port = {self.port}", "fsync = off", "full_page_writes = off",
                 "synchronous_commit = off", "wal_level = minimal", "max_wal_senders = 0",
                 "max_wal_size = 2GB", "shared_buffers = 64MB", "max_connections = 100",
                 "timezone = 'Europe/Paris'", "log_line_prefix = '%m [%p] %u@%d %a '", *settings]
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")

    def start(self):
        with open(self.log, "ab") as log:
            self.account.own(self.log)
            self.process = subprocess.Popen(
                [bin_dir() + "/postgres", "-D", self.data], env=clean_environment(**self.environment),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                **self.account.popen_args())
        wait_for(self._ready, 60, "PostgreSQL to accept connections")

    def _ready(self):
        if self.process.poll() is not None:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                raise AssertionError("PostgreSQL did not start:\n" + f.read()[-3000:])
        try:
            self.connect("postgres").close()
            return True
        except psycopg.OperationalError:
            return False

    def stop(self, sig=signal.SIGINT):
        """Fast shutdown; SIGQUIT is the one of a crash."""
        if self.process is not None:
            end_process(self.process, sig, 60)
            self.process = None

    def restart(self, sig=signal.SIGINT):
        self.stop(sig)
        self.start()

    def dsn(self, dbname="postgres", user="udm_admin"):
        return f"host={self.socket} port={self.port} dbname={dbname} user={user}"

    def connect(self, dbname="postgres", user="udm_admin", **kwargs):
        """A psycopg connection, in autocommit unless it says otherwise."""
        return connect(self.dsn(dbname, user), **kwargs)

    def sql(self, statement, parameters=None, dbname="postgres", user="udm_admin"):
        """Runs one statement on a connection of its own; gives the rows of a query, else None."""
        with self.connect(dbname, user) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else None

    def create_database(self, name, template="template0"):
        self.sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.dsn(name)

    def drop_database(self, name):
        self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
