"""Fixtures of udm-decrypt: it needs no server, so only test_exports.py starts any."""
import os
import subprocess

import pytest

from udmtest.crypto import Certificate, ec_key
from udmtest.env import TOP
from udmtest.process import clean_environment

BUILD = os.path.abspath(os.environ.get("UDM_BUILD", os.path.join(TOP, "build", "test")))


class Decrypt:
    """The program, run in a directory of its own."""

    def __init__(self, directory, certificate):
        self.directory, self.certificate = str(directory), certificate
        self.program = os.path.join(BUILD, "udm-decrypt")
        assert os.path.exists(self.program), f"{self.program} is missing: make udm-decrypt"

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def command(self, *args, key=None):
        return [self.program, "-k", key or self.certificate.key_path, *map(str, args)]

    @staticmethod
    def environment():
        more = {}
        if os.environ.get("UDM_SANITIZE"):
            more = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99",
                    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99"}
        return clean_environment(**more)

    def run(self, *args, key=None, **kwargs):
        """Runs it to its end. Nothing half done is ever left."""
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(self.command(*args, key=key), cwd=self.directory, env=self.environment(),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)
        assert done.returncode in (0, 1, 2, 3) or done.returncode < 0, done.stderr
        assert self.leftovers() == []
        return done

    def leftovers(self):
        return [name for name in os.listdir(self.directory) if name.startswith(".udm-decrypt")]

    def good(self, *args, **kwargs):
        done = self.run(*args, **kwargs)
        assert done.returncode == 0, done.stderr
        return done

    def bad(self, *args, status=1, words="", target="out", **kwargs):
        """It fails, says why, and nothing has a name."""
        done = self.run(*args, **kwargs)
        assert done.returncode == status, f"{done.returncode}: {done.stdout}{done.stderr}"
        assert words in done.stderr, done.stderr
        assert not os.path.lexists(self.path(target))
        return done

    def read(self, *parts):
        with open(self.path(*parts), "rb") as f:
            return f.read()

    def tree(self, *parts):
        """{name: content} of everything below a directory; fails on what is no plain file."""
        top = self.path(*parts)
        found = {}
        for folder, folders, names in os.walk(top):
            for name in folders:
                assert not os.path.islink(os.path.join(folder, name))
            for name in names:
                path = os.path.join(folder, name)
                assert os.path.isfile(path) and not os.path.islink(path)
                assert os.stat(path).st_mode & 0o777 == 0o600
                with open(path, "rb") as f:
                    found[os.path.relpath(path, top)] = f.read()
        return found


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """Certificates by name: rsa, other (RSA as well), ec."""
    directory = str(tmp_path_factory.mktemp("keys"))
    return {"rsa": Certificate(directory, "rsa"), "other": Certificate(directory, "other"),
            "ec": Certificate(directory, "ec", key=ec_key())}


@pytest.fixture
def decrypt(tmp_path, keys):
    return Decrypt(tmp_path, keys["rsa"])
