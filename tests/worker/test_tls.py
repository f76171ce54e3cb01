"""Sources that are reached by TLS."""
from udmtest.tls import Terminator


def test_no_row_stays_in_a_record(queue):
    """Each export comes to its end, wherever the borders of rows and of records are."""
    terminator = Terminator(queue.env)
    queue.write_source("gated", terminator.dsn(queue.database, "udm_test_gated"))
    # libpq's buffer has room for a row of 32 kB and hardly for the end of the stream behind it, of which
    # a part then stays in the record.
    queue.sql("UPDATE gated.plain SET words = repeat('x', 32768 - 50 - id * 7 % 240) WHERE id <= 120;"
              " DELETE FROM gated.plain WHERE id > 120")
    worker = queue.start_worker(slots=2)
    try:
        ends = range(1, 121, 3)
        runs = [queue.add("Plain", filters=[{"attribute": "id", "operator": "le", "value": end}])
                for end in ends]
        for end, run in zip(ends, runs):
            assert queue.wait_status(run, "COMPLETED", "FAILED", timeout=120)["status"] == "COMPLETED"
            assert len(queue.rows_of(run)) == end
    finally:
        worker.stop()
        terminator.close()
