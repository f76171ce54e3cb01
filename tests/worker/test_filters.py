"""An export with attribute filters holds the rows that SQL gives, and says what it was filtered by."""
import json
import os
import subprocess

import pytest

PLAIN = ("id", "ccid", "at", "words")


def ids(lines):
    return sorted(json.loads(line)["id"] for line in lines)


def manifest(queue, run_id):
    """The manifest of an export whose files rows_of() has decrypted."""
    name = queue.sql("SELECT name FROM udm.file WHERE run_id = %s", [run_id])[0][0]
    path = os.path.join(queue.env.make_directory(queue.name, "out"), name)
    return json.loads(subprocess.run(["unzip", "-p", path, "META-INF/manifest.json"],
                                     stdout=subprocess.PIPE, check=True).stdout)


def test_the_rows_that_sql_gives(queue):
    word = queue.sql("SELECT substr(words, 100, 3) FROM gated.plain WHERE id = 77")[0][0]
    cases = [
        ([{"attribute": "id", "operator": "in", "value": [1, 2999, 3000, 4000]}],
         "id IN (1, 2999, 3000)"),
        ([{"attribute": "words", "operator": "contains", "value": word.upper()},
          {"attribute": "at", "operator": "ge", "value": "2026-01-02T01:00:00+01:00"}],
         f"words ILIKE '%{word}%' AND at >= '2026-01-02 00:00Z'"),
        ([{"attribute": "id", "operator": "gt", "value": 9007199254740993}], "false"),
        ([], "true"),
    ]
    queue.start_worker()
    for filters, condition in cases:
        run_id = queue.add("Plain", filters=filters)
        run = queue.wait_status(run_id, "COMPLETED", "FAILED")
        assert run["status"] == "COMPLETED", run
        expected = [row[0] for row in queue.sql(
            f"SELECT id FROM gated.plain WHERE {condition.replace('%', '%%')} ORDER BY id", [])]
        if expected:
            assert ids(queue.rows_of(run_id)) == expected, condition
        assert queue.sql("SELECT row_count FROM udm.run WHERE id = %s", [run_id]) == [(len(expected),)]
        if expected:
            assert manifest(queue, run_id).get("filters", []) == filters


def test_a_due_job_hands_its_filters_to_the_run(queue):
    filters = [{"attribute": "id", "operator": "le", "value": 3}]
    queue.start_worker()
    job_id = queue.sql(
        "INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, schedule,"
        " next_run_at, status, filters) VALUES ('acme', 'DataSync', 'Gated', 'Plain', 'later', true,"
        " 'once', '{}', now(), 'SCHEDULED', %s::jsonb) RETURNING id", [json.dumps(filters)])[0][0]
    run_id = queue.wait_job(job_id)
    assert queue.wait_status(run_id, "COMPLETED", "FAILED")["status"] == "COMPLETED"
    assert ids(queue.rows_of(run_id)) == [1, 2, 3]


@pytest.mark.parametrize("change, words", [
    ("DELETE FROM udm.attribute WHERE name = 'words'",
     'the filter on attribute "words" cannot be applied any more: type "Plain" of source "Gated" has no'
     ' such attribute'),
    ("UPDATE udm.attribute SET kind = 'date' WHERE name = 'words'",
     'the filter on attribute "words" cannot be applied any more: its value must be a date'),
    ("ALTER TABLE gated.plain RENAME words TO phrases",
     'the filter on attribute "words" cannot be applied any more: gated.plain has no column "words"'),
])
def test_a_filter_that_fits_no_more_fails_the_run(queue, change, words):
    queue.sql(change)
    worker = queue.start_worker()
    worker.allow_log("UDM0214")
    run = queue.wait_status(queue.add("Plain", filters=[
        {"attribute": "words", "operator": "eq", "value": "x"}]), "FAILED")
    assert words in run["reason"] and run["attempt"] == 1
    assert queue.stored() == []
