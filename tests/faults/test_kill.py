"""A worker that is killed at any moment, and a database that goes away at any moment: nothing is lost,
nothing comes twice, nothing is left behind."""
import collections
import random
import signal

import pytest

from udmtest.churn import READER, Churn
from udmtest.moments import Moments
from udmtest.schedules import SEED

# What died is swept at once; what was interrupted is tried for as long as it takes.
SETTINGS = {"slots": 2, "attempts": 100, "retry_delay": 0, "sweep_interval": 1, "orphan_age": 0,
            "dead_attempt_age": 0}
# What a worker says of a database that is away, as queue and as source, however long it is.
OUTAGE = r"UDM0210: |UDM0213: .* the source \"Churn\" |UDM0213: .* the database |UDM02[12]5: .* database" \
         r"|UDM0235: "


@pytest.fixture
def churn(queue):
    result = Churn(queue)
    yield result
    result.close()


@pytest.fixture
def moments(request, queue, churn, figures):
    seed = f"{SEED} {request.node.name}"
    print(f"seed: {seed}")
    result = Moments(churn, queue.start_worker(**SETTINGS), random.Random(seed))
    churn.start()
    yield result
    figures(f"{request.node.name}: {result} (seed {SEED})")


def short_and_long(few, many):
    return pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.full)])


@short_and_long(8, 100)
def test_killed(churn, moments, figures, count):
    for end in moments.each(count):
        moments.worker.kill()
        end()
        moments.worker.start()
    churn.drain(300)
    figures(f"{count} kills: {churn.assert_whole()}")


@short_and_long(3, 25)
def test_database_restarts(queue, churn, moments, figures, count):
    how = collections.Counter()
    for end in moments.each(count):
        sig = moments.rng.choice([signal.SIGINT, signal.SIGQUIT])
        how[sig] += 1
        moments.worker.allow_log(OUTAGE)
        queue.env.postgres.process.send_signal(sig)
        moments.thaw()
        queue.env.postgres.restart(sig)
        end()
    churn.drain(300)
    figures(f"{how[signal.SIGINT]} fast and {how[signal.SIGQUIT]} immediate restarts of the database:"
            f" {churn.assert_whole()}")


@short_and_long(4, 25)
def test_connections_are_ended(queue, churn, moments, figures, count):
    ended = collections.Counter()
    for end in moments.each(count):
        moments.worker.allow_log(OUTAGE)
        found = churn.ask("SELECT pid, usename FROM pg_stat_activity WHERE datname = %s"
                          " AND usename IN ('udm_worker', %s)", [queue.database, READER])
        for pid, user in moments.rng.sample(found, moments.rng.randint(1, len(found))):
            queue.sql("SELECT pg_terminate_backend(%s)", [pid])
            ended[user] += 1
        moments.thaw()
        end()
    churn.drain(300)
    figures(f"{ended['udm_worker']} connections of the worker and {ended[READER]} of its readers ended at"
            f" {count} moments: {churn.assert_whole()}")
