"""One installation: a database, a store, keys for links, an httpd, any number of workers."""
import os
import secrets as random_secrets

from .api import Client
from .env import EXPORTER, IWD
from .httpd import Httpd
from .worker import Worker

CENTRES = ("harbour-insurance", "lakeside-energy")


class Site:
    """Nothing runs until start_httpd() and start_worker()."""

    def __init__(self, env, database="demo", scale="0.05"):
        """`database` is "demo" or "empty" (the schema alone, no tenant)."""
        self.env = env
        self.name = env.unique("site")
        self.directory = env.make_directory(self.name)
        self.store = env.make_directory(self.name, "store", mode=0o2750)
        self.sources = env.make_directory(self.name, "sources", mode=0o750)
        self.spool = env.make_directory(self.name, "spool", mode=0o700)
        self.database = env.create_database(database, scale)
        self.link_key_file = os.path.join(self.directory, "link.keys")
        self.write_link_keys(random_secrets.token_hex(32))
        self.write_source("ucs", env.postgres.dsn(self.database, "udm_reader_ucs"))
        self.httpd = Httpd(env, env.make_directory(self.name, "httpd"),
                           env.postgres.dsn(self.database, "udm_httpd"),
                           [f"UDMStore {self.store}", f"UDMLinkKeyFile {self.link_key_file}"])
        self.workers = []
        self._keys = {}
        env.finalizers.append(self.close)

    def write_link_keys(self, *keys):
        """The current key and, if given, the one before."""
        with open(os.open(self.link_key_file + ".new", os.O_WRONLY | os.O_CREAT, 0o600), "w",
                  encoding="ascii") as f:
            f.write("".join(self.env.secrets.add(k) + "\n" for k in keys))
        self.env.account.own(self.link_key_file + ".new")
        os.rename(self.link_key_file + ".new", self.link_key_file)

    def write_source(self, name, text):
        """A connection file below UDMSourceDir."""
        path = os.path.join(self.sources, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640), "w",
                  encoding="utf-8") as f:
            f.write(text + "\n")
        self.env.account.own(path)
        return path

    def sql(self, statement, parameters=None, user="udm_admin"):
        return self.env.postgres.sql(statement, parameters, self.database, user)

    def hint(self):
        """Tells the workers that there may be something to do."""
        self.sql("SELECT pg_notify(channel, '') FROM udm.installation")

    def connect(self, user="udm_admin", **kwargs):
        return self.env.postgres.connect(self.database, user, **kwargs)

    def new_key(self, ccid=CENTRES[0], roles=(EXPORTER, IWD), expires_at=None, label="test"):
        """A new API key."""
        return self.env.secrets.add(self.sql("SELECT udm.create_api_key(%s, %s, %s, %s)",
                                             [ccid, label, list(roles), expires_at])[0][0])

    def key(self, ccid=CENTRES[0]):
        """An API key with both roles; always the same for one contact centre."""
        if ccid not in self._keys:
            self._keys[ccid] = self.new_key(ccid)
        return self._keys[ccid]

    def client(self, ccid=CENTRES[0], mount=None, **kwargs):
        """A client with key and token of a contact centre; key=None or token=None for less. `mount`
        is one of httpd.mounts."""
        credentials = {"key": None if "key" in kwargs else self.key(ccid),
                       "token": None if "token" in kwargs else self.env.tokens.token(ccid)}
        credentials.update(kwargs)
        return Client(self.httpd.at(mount) if mount else self.httpd.url, secrets=self.env.secrets,
                      **credentials)

    def upload_certificate(self, ccid=CENTRES[0], certificate=None):
        """Through the API; gives the Certificate."""
        certificate = certificate or self.env.certificate
        answer = self.client(ccid).upload_certificate(certificate.pem)
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}"
        return certificate

    def start_httpd(self):
        self.httpd.start()
        return self.httpd

    def worker_settings(self):
        return {"database": self.env.postgres.dsn(self.database, "udm_worker"),
                "store": self.store, "source-dir": self.sources, "spool-dir": self.spool}

    def worker(self, **settings):
        """A worker that is not started; names with "_" for "-": worker(retry_delay=1)."""
        merged = self.worker_settings()
        merged.update({k.replace("_", "-"): v for k, v in settings.items()})
        worker = Worker(self.env, self.directory, self.env.unique("worker"), merged)
        self.workers.append(worker)
        return worker

    def start_worker(self, **settings):
        return self.worker(**settings).start()

    def close(self):
        for worker in self.workers:
            if worker.process is not None:
                if worker.running():
                    worker.stop()
                worker.process = None
        self.httpd.stop()
