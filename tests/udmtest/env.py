"""What one test session has: programs, a PostgreSQL with a demo database, keys, logs, secrets."""
import os
import platform
import shutil
import subprocess
import tempfile

from . import shadow
from .crypto import Certificate, TokenAuthority
from .logs import LogWatch, Secrets
from .postgres import Postgres
from .process import Account, clean_environment

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# The libraries of a compiler's sanitizers, each under the names that it may have.
RUNTIMES = {"gcc": [("libasan.so",), ("libubsan.so",)],
            "clang": [(f"libclang_rt.ubsan_standalone-{platform.machine()}.so",
                       "libclang_rt.ubsan_standalone.so")]}
EXPORTER, IWD = "UDM UCSX Exporter", "iWD Administrator"


def find_library(compiler, *names):
    for name in names:
        path = subprocess.run([compiler, f"-print-file-name={name}"], stdout=subprocess.PIPE, text=True,
                              check=True).stdout.strip()
        if os.path.isabs(path):
            return path
    raise AssertionError(f"{compiler} has none of {', '.join(names)}")


class Environment:
    """Made once a session; the parts that cost time are made when first asked for.

    UDM_BUILD       the build folder to take mod_udm.so and udm-worker from (build/test)
    UDM_SANITIZE    the compiler of that build when it has sanitizers: gcc or clang
    UDM_KEEP        set to keep the temporary directory
    UDM_TEST_SHADOW set to have somebody's own things for all names in every database (udmtest/shadow.py)
    """

    def __init__(self, shadows=None):
        self.top = TOP
        self.shadows = bool(os.environ.get("UDM_TEST_SHADOW")) if shadows is None else shadows
        self.build = os.path.abspath(os.environ.get("UDM_BUILD", os.path.join(TOP, "build", "test")))
        self.account = Account()
        # A socket's path may have 107 bytes, so a long TMPDIR is not used.
        base = tempfile.gettempdir()
        self.directory = tempfile.mkdtemp(prefix="udm-test-", dir=base if len(base) < 40 else "/tmp")
        self.account.own(self.directory)
        os.chmod(self.directory, 0o755)
        self.secrets = Secrets()
        self.watches, self.logs, self.finalizers = [], [], []
        self.tokens = TokenAuthority(self.make_directory("keys"), self.secrets)
        self._postgres = self._certificate = None
        self._templates = {}
        self._installed = False
        self._count = 0

    # Folders and programs

    def make_directory(self, *parts, mode=0o755):
        path = os.path.join(self.directory, *parts)
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
        return self.account.own(path)

    def unique(self, stem):
        self._count += 1
        return f"{stem}{self._count}"

    def _install(self):
        """Copies the build's programs to where the servers' user can read them."""
        if not self._installed:
            target = self.make_directory("bin")
            for path in (os.path.join(self.build, ".libs", "mod_udm.so"),
                         os.path.join(self.build, "udm-worker")):
                assert os.path.exists(path), f"{path} is missing: run ./dev test, or make in {self.build}"
                shutil.copy(path, target)
            self._installed = True
        return os.path.join(self.directory, "bin")

    @property
    def module(self):
        return os.path.join(self._install(), "mod_udm.so")

    @property
    def worker(self):
        return os.path.join(self._install(), "udm-worker")

    def sanitizer_environment(self, preload=False):
        """What a sanitized program needs; httpd itself is not, so the libraries are preloaded."""
        compiler = os.environ.get("UDM_SANITIZE")
        if not compiler:
            return {}
        result = {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0",
                  "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=0"}
        if preload:
            result["LD_PRELOAD"] = " ".join(find_library(compiler, *names) for names in RUNTIMES[compiler])
        return result

    # Databases

    @property
    def postgres(self):
        if self._postgres is None:
            self._postgres = Postgres(self.make_directory("pg"), self.account)
            self._postgres.create()
            self._postgres.start()
            self.logs.append(self._postgres.log)
            self.postgres_watch = LogWatch(self._postgres.log)
            self.watches.append(self.postgres_watch)
        return self._postgres

    def migrate(self, dsn, *args, check=True):
        """Runs sql/udm-migrate as the tester; gives the CompletedProcess."""
        done = subprocess.run([os.path.join(TOP, "sql", "udm-migrate"), *args, dsn],
                              env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
        assert not check or done.returncode == 0, done.stdout
        return done

    def template(self, kind, scale="0.05"):
        """The name of a database to copy: "empty" (migrated) or "demo" (with the demo data)."""
        name = f"template_{kind}_{scale}" if kind == "demo" else f"template_{kind}"
        if name not in self._templates:
            dsn = self.postgres.create_database(name)
            self.migrate(dsn)
            if kind == "demo":
                done = subprocess.run([os.path.join(TOP, "sql", "demo", "load.sh"), dsn],
                                      env=clean_environment(UDM_DEMO_SCALE=scale),
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                assert done.returncode == 0, done.stdout
            if self.shadows:
                shadow.plant(self.postgres, name)
            self._templates[name] = True
        return name

    def create_database(self, kind="demo", scale="0.05"):
        """A fresh database; gives its name."""
        name = self.unique("udm")
        self.postgres.create_database(name, self.template(kind, scale))
        # A copy has its original's id, and a store tells installations apart by it; nor has it a store.
        self.postgres.sql("UPDATE udm.installation SET id = gen_random_uuid(), store_since = NULL",
                          dbname=name)
        if self.shadows:
            shadow.come_first(self.postgres, name)
        return name

    @property
    def certificate(self):
        """The customer's certificate that most tests use."""
        if self._certificate is None:
            self._certificate = Certificate(self.make_directory("keys"))
        return self._certificate

    # The end

    def unexpected_log_lines(self):
        lines = []
        for watch in self.watches:
            lines += [f"{watch.path}: {line}" for line in watch.unexpected()]
        return lines

    def close(self):
        """Ends everything; gives the secrets that were found in logs."""
        for finalizer in reversed(self.finalizers):
            finalizer()
        if self._postgres is not None:
            self._postgres.stop()
        leaks = self.secrets.find(self.logs)
        if os.environ.get("UDM_KEEP"):
            print(f"\nkept: {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)
        return leaks
