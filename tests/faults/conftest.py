"""Fixtures of the tests in which something breaks, and the figures that they print."""
import os
import subprocess

import pytest

from udmtest.queue import make_certificate, queue  # noqa: F401

FIGURES = pytest.StashKey()


@pytest.fixture
def figures(request):
    """figures("kills: 8"): a line that is printed at the end, whatever becomes of the test."""
    lines = request.config.stash.setdefault(FIGURES, [])
    return lines.append


@pytest.fixture(scope="module")
def refuse(env):
    """The library, where the servers' user can read it."""
    if os.environ.get("UDM_SANITIZE"):
        pytest.skip("nothing is preloaded beside a sanitizer")
    path = os.path.join(env.make_directory("refuse"), "refuse.so")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "refuse.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-o", path, source, "-ldl"], check=True)
    return path


def pytest_terminal_summary(terminalreporter, config):
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)
