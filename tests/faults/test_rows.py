"""Rows of any size: what they take of the worker's memory, and where they end."""
import os

import pytest

from udmtest.process import wait_for

MIB = 1 << 20
KINDS = {
    "Words": "repeat('x', {size})",
    "Bytes": "decode(repeat('ab', {size}), 'hex')",
    "Json": "to_json(repeat('x', {size}))",
    "Jsonb": "to_jsonb(repeat('x', {size}))",
    "Texts": "array_fill(repeat('x', 1000), ARRAY[{size} / 1004])",
    "Short": "array_fill('xxxx'::text, ARRAY[{size} / 8])",
}
# What a run may take beside its row: blocks on their way, buffers, a compressor.
BESIDE = 16 * MIB


def add_rows(queue, size):
    """A type for each kind, of one row of some `size` bytes between two small ones."""
    for kind, value in KINDS.items():
        queue.sql(f"CREATE VIEW gated.{kind} AS SELECT 'customer-' || n AS id, 'acme'::text AS ccid,"
                  f" CASE WHEN n = 7 THEN {value.format(size=size)} END AS part"
                  " FROM generate_series(6, 8) n")
        queue.sql(f"GRANT SELECT ON gated.{kind} TO udm_test_gated")
        queue.sql(f"SELECT udm.register_type('Gated', '{kind}', 'gated.{kind.lower()}', 'id',"
                  " tenant_column => 'ccid')")


def ended(queue, data_type):
    """A run of its own, from its begin to its end."""
    run_id = queue.add(data_type)
    queue.hint()
    return queue.wait_status(run_id, "COMPLETED", "FAILED", timeout=300)


def completed(queue, data_type):
    run = ended(queue, data_type)
    assert run["status"] == "COMPLETED", run


def measured(queue, worker, size):
    """The most memory of each kind, above what a run of small rows takes; and that it is given back."""
    add_rows(queue, size)
    completed(queue, "Plain")
    base, peaks = worker.memory(), {}
    for kind in KINDS:
        with open(f"/proc/{worker.pid}/clear_refs", "w", encoding="ascii") as f:
            f.write("5")
        completed(queue, kind)
        peaks[kind] = worker.memory_peak()
        wait_for(lambda: worker.memory() < base + BESIDE, 20, "the memory to be given back")
    return peaks


@pytest.mark.parametrize("size, limit", [
    (24 * MIB, "32MiB"),
    pytest.param(200 * MIB, "256MiB", marks=pytest.mark.full),
])
def test_memory_of_a_large_row(queue, figures, size, limit):
    """libpq has the row twice, and nobody else has it whole."""
    worker = queue.start_worker(max_row=limit)
    peaks = measured(queue, worker, size)
    figures(f"a row of {size / MIB:.0f} MiB: peaks "
            + ", ".join(f"{kind} {peak / MIB:.0f} MiB" for kind, peak in peaks.items()))
    if not os.environ.get("UDM_SANITIZE"):
        assert all(peak < 2 * size + 2 * BESIDE for peak in peaks.values()), peaks


def test_a_row_above_the_limit(queue):
    """It is not sent, fails the run at once, and is named to its owner, not in the log."""
    worker = queue.start_worker(max_row="2MiB")
    add_rows(queue, 6 * MIB)
    for kind in KINDS:
        worker.watch.allow("UDM0214")
        run = ended(queue, kind)
        assert (run["status"], run["attempt"]) == ("FAILED", 1)
        assert run["reason"] == (
            f'a row of type "{kind}" of source "Gated" is larger than the 2MiB that are allowed here;'
            ' its column "part" is the largest part of it: the one whose "id" is "customer-7"')
    assert "customer-" not in worker.watch.text()
    assert worker.watch.text().count("is the largest part of it") == len(KINDS)
    assert queue.stored() == []
    if not os.environ.get("UDM_SANITIZE"):
        assert worker.memory_peak() < 2 * BESIDE
