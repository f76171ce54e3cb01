"""A PgBouncer before a PostgreSQL, which lends a session to each transaction."""
import os
import shutil
import subprocess

import psycopg

from .process import clean_environment, end_process, wait_for


def program():
    found = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
    assert found, "there is no pgbouncer: install the package of that name"
    return found


class Pooler:
    """Everybody is trusted, as by the server; each user has `sessions` of the server at most."""

    def __init__(self, env, users, mode="transaction", sessions=1):
        self.env = env
        self.directory = env.make_directory(env.unique("pooler"), mode=0o700)
        self.log = os.path.join(self.directory, "pgbouncer.log")
        self.process = None
        self._write("users", "".join(f'"{user}" ""\n' for user in users))
        self.conf = self._write("pgbouncer.ini", "\n".join((
            "[databases]", f"* = host={env.postgres.socket} port={env.postgres.port}",
            "[pgbouncer]", "listen_addr =", "listen_port = 6432", f"unix_socket_dir = {self.directory}",
            "auth_type = trust", f"auth_file = {self.directory}/users", f"pool_mode = {mode}",
            f"default_pool_size = {sessions}", "")))

    def _write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return self.env.account.own(path)

    def start(self):
        with open(self.log, "ab") as log:
            self.env.account.own(self.log)
            self.process = subprocess.Popen(
                [program(), self.conf], env=clean_environment(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True, **self.env.account.popen_args())
        self.env.finalizers.append(self.stop)
        wait_for(lambda: os.path.exists(os.path.join(self.directory, ".s.PGSQL.6432")), 30,
                 "PgBouncer to listen")
        return self

    def stop(self):
        if self.process is not None:
            process, self.process = self.process, None
            end_process(process, timeout=30)

    def dsn(self, dbname, user):
        return f"host={self.directory} port=6432 dbname={dbname} user={user}"

    def connect(self, dbname, user, **kwargs):
        # What psycopg would prepare belongs to a session that it does not keep.
        return psycopg.connect(self.dsn(dbname, user), prepare_threshold=None, **kwargs)
