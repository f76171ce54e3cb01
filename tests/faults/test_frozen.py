"""A worker that stands still for longer than its leases last: what it had is done by another one, and
when it goes on it changes nothing and cleans up after itself."""
import random
import re

import pytest

from udmtest.churn import Churn
from udmtest.moments import Moments
from udmtest.process import wait_for
from udmtest.schedules import SEED

# Nobody sweeps: what is to leave the store is taken out by the one who put it there.
SETTINGS = {"slots": 2, "retry_delay": 0}
LOST = ("UDM0218", "UDM0219", "UDM0228")


def gave_up(worker, run_id):
    """Whether it says so. (A number is followed by a blank or a colon.)"""
    return any(re.search(rf"{tag}: run {run_id}\b", worker.watch.text()) for tag in LOST)


def state(queue, churn):
    """All that a worker could change."""
    tables = {table: queue.sql(f"SELECT * FROM udm.{table} t ORDER BY {order}") for table, order in (
        ("job", "id"), ("run", "id"), ("run_progress", "run_id"), ("file", "id"), ("audit", "t::text"))}
    return tables, churn.everything()


@pytest.mark.parametrize("aim", ["copy", "publish", "completing",
                                 pytest.param("settling", marks=pytest.mark.full),
                                 pytest.param("encryption", marks=pytest.mark.full)])
def test_woken_too_late(queue, figures, aim):
    churn = Churn(queue)
    first = queue.start_worker(**SETTINGS)
    moments = Moments(churn, first, random.Random(f"{SEED} {aim}"))
    moments.ready = 1
    if aim == "settling":
        churn.recurring.append(churn.add_recurring(None))
    end = moments.hit(aim)
    runs = {run[0]: run[1] for run in moments.mine()}
    end()
    second = queue.start_worker(**SETTINGS)
    for run_id in runs:
        assert queue.wait_status(run_id, "COMPLETED", timeout=120)["attempt"] == 2
    # Nothing else goes on: what changes then is the first one's doing.
    queue.sql("UPDATE udm.job SET next_run_at = NULL")
    wait_for(lambda: queue.sql("SELECT count(*) FROM udm.run WHERE status <> 'COMPLETED'")[0][0] == 0, 120,
             "all runs to end")
    wait_for(lambda: churn.everything() == churn.listed(), 30, "the second one's store to be clean")
    before = state(queue, churn)
    # To make it complete the run again, its connection was ended.
    first.allow_log("UDM0235|UDM0210" if aim == "completing" else "UDM0235")
    print(f"runs of the first one: {runs}")
    moments.thaw()
    try:
        for run_id in runs:
            wait_for(lambda: gave_up(first, run_id), 60, f"the first one to give run {run_id} up")
    finally:
        print(first.watch.text())
    wait_for(lambda: churn.everything() == churn.listed(), 30, "the first one to clean up")
    assert state(queue, churn) == before
    churn.once = [job for job, in queue.sql("SELECT id FROM udm.job WHERE schedule_type = 'once'")]
    for run_id in [run for run, in queue.sql("SELECT id FROM udm.run")]:
        churn.verify(run_id)
    # Both go on.
    second.stop()
    job = churn.add_once(None)
    assert queue.wait_status(queue.wait_job(job), "COMPLETED", "FAILED")["status"] == "COMPLETED"
    figures(f"frozen in {aim}: {len(runs)} runs taken over, {churn.files} files whole")
    churn.close()
