"""Fixtures of the tests in which something breaks, and the figures that they print."""
import pytest

from udmtest.queue import make_certificate, queue  # noqa: F401

FIGURES = pytest.StashKey()


@pytest.fixture
def figures(request):
    """figures("kills: 8"): a line that is printed at the end, whatever becomes of the test."""
    lines = request.config.stash.setdefault(FIGURES, [])
    return lines.append


def pytest_terminal_summary(terminalreporter, config):
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)
