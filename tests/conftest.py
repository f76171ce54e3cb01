"""Fixtures of the pytest suites. Run them with ./dev test."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

pytest.register_assert_rewrite("udmtest")

from udmtest.env import Environment  # noqa: E402
from udmtest.site import Site  # noqa: E402


# So that quiet_logs can look at the environment without making one.
ENVIRONMENT = pytest.StashKey()


@pytest.fixture(scope="session")
def env():
    """The session's PostgreSQL, keys and folders."""
    environment = Environment()
    yield environment
    leaks = environment.close()
    assert not leaks, f"credentials in logs: {leaks}"


@pytest.fixture(scope="module")
def site(env):
    """An installation with the demo data and a running httpd, of which the module may do anything."""
    result = Site(env)
    result.start_httpd()
    yield result
    result.close()


@pytest.fixture(scope="module")
def client(site):
    """harbour-insurance, with key and token, and a certificate in place."""
    site.upload_certificate()
    return site.client()


@pytest.fixture(autouse=True)
def quiet_logs(request):
    """A line of trouble in a server's log that the test did not expect (allow_log) fails it."""
    yield
    environment = request.session.stash.get(ENVIRONMENT, None)
    if environment is not None:
        lines = environment.unexpected_log_lines()
        assert not lines, "unexpected in the logs:\n" + "\n".join(lines)


@pytest.hookimpl(hookwrapper=True)
def pytest_fixture_setup(fixturedef, request):
    outcome = yield
    if fixturedef.argname == "env" and outcome.excinfo is None:
        request.session.stash[ENVIRONMENT] = outcome.get_result()


def pytest_collection_modifyitems(config, items):
    """What is marked full runs only when asked for by -m full or UDM_TEST_FULL."""
    if os.environ.get("UDM_TEST_FULL") or "full" in (config.getoption("-m") or ""):
        return
    keep = [item for item in items if "full" not in item.keywords]
    config.hook.pytest_deselected(items=[item for item in items if "full" in item.keywords])
    items[:] = keep


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter):
    """Says last how many operations of the API were tried in how many cases, of those that passed."""
    yield
    names = [report.nodeid.partition("test_case[")[2] for report in terminalreporter.stats.get("passed", [])
             if "test_operations.py::test_case[" in report.nodeid]
    if names:
        operations = {name.partition(" - ")[0] for name in names}
        terminalreporter.write_line(f"operations: {len(operations)}, cases: {len(names)}")
