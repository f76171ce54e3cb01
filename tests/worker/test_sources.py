"""Sources as they are met outside: changed while an export begins, behind a pooler, tried out first."""
import json

import pytest

from udmtest.pooler import Pooler
from udmtest.process import clean_environment, wait_for
from udmtest.stream import Stream

READER = "udm_test_gated"


@pytest.fixture
def other(queue):
    """A transaction of somebody else."""
    connection = queue.connect()
    connection.execute("BEGIN")
    yield connection
    connection.close()


def waits(queue):
    """Whether a reader waits for a lock."""
    return queue.sql("SELECT count(*) > 0 FROM pg_stat_activity WHERE usename = %s AND datname = %s"
                     " AND wait_event_type = 'Lock'", [READER, queue.database])[0][0]


# Changed while an export begins

@pytest.mark.parametrize("change, rows", [
    ("TRUNCATE gated.plain; INSERT INTO gated.plain VALUES (7, 'acme', now(), 'new')", [7]),
    ("DROP VIEW gated.held, gated.slow; ALTER TABLE gated.plain ALTER id TYPE float8", None),
    ("CREATE TABLE gated.next AS SELECT * FROM gated.plain WHERE id > 2990;"
     " DROP TABLE gated.plain CASCADE; ALTER TABLE gated.next RENAME TO plain;"
     " GRANT SELECT ON gated.plain TO udm_test_gated", list(range(2991, 3001)))])
def test_filled_anew_while_an_export_begins(queue, other, change, rows):
    """It waits, and has what is there then: never nothing, and no value of another type."""
    other.execute(change)
    queue.start_worker()
    run_id = queue.add("Plain")
    wait_for(lambda: waits(queue), 60, "the export to wait")
    other.execute("COMMIT")
    run = queue.wait_status(run_id, "COMPLETED", "FAILED")
    assert (run["status"], run["attempt"]) == ("COMPLETED", 1), run
    assert sorted(json.loads(row)["id"] for row in queue.rows_of(run_id)) == (rows or list(range(1, 3001)))


def test_what_cannot_be_locked_is_tried_again(queue, other):
    queue.sql("REVOKE SELECT ON gated.plain FROM udm_test_gated;")
    queue.sql("GRANT SELECT (id, ccid, at, words) ON gated.plain TO udm_test_gated")
    other.execute("TRUNCATE gated.plain; INSERT INTO gated.plain VALUES (7, 'acme', now(), 'new')")
    worker = queue.start_worker(retry_delay=0)
    worker.allow_log("UDM0213.*replaced or filled anew")
    run_id = queue.add("Plain")
    wait_for(lambda: waits(queue), 60, "the export to wait")
    other.execute("COMMIT")
    run = queue.wait_status(run_id, "COMPLETED", "FAILED")
    assert (run["status"], run["attempt"]) == ("COMPLETED", 2), run
    assert [json.loads(row)["id"] for row in queue.rows_of(run_id)] == [7]


# Behind a pooler

SETTINGS = {"search_path", "TimeZone", "DateStyle", "row_security", "statement_timeout", "lock_timeout",
            "default_transaction_read_only", "bytea_output"}


def settings(connection):
    """What a session is set to. Nothing may be set to ask it: each name stands with its schema."""
    rows = connection.execute("SELECT name, setting, source FROM pg_catalog.pg_settings").fetchall()
    return sorted((name, setting) for name, setting, source in rows
                  if name in SETTINGS or (source == "session" and name != "application_name"))


def sessions(pooler, database, user, count):
    """What is set in each of the server's sessions that the pooler lends, and their processes."""
    connections = [pooler.connect(database, user) for _ in range(count)]
    # A transaction that goes on keeps its session, so that the next one is another.
    result = [(c.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()[0], settings(c)) for c in connections]
    for connection in connections:
        connection.commit()
    for connection in connections:
        connection.close()
    assert len({pid for pid, _ in result}) == count
    return dict(result)


@pytest.mark.parametrize("count", [1, 2])
def test_nothing_stays_in_a_pooled_session(queue, count):
    pooler = Pooler(queue.env, [READER], sessions=count).start()
    with queue.connect() as connection:
        connection.execute("""
            CREATE TABLE gated.file AS SELECT 'f' || id AS id, ccid, id AS entity, 'n' AS name,
                'text/plain' AS mime, repeat('x', 3000000) AS content FROM gated.plain WHERE id = 7;
            GRANT SELECT ON gated.file TO udm_test_gated;
            SELECT udm.register_attachments('Gated', 'Plain', 'gated.file', 'id', 'entity', 'name', 'mime',
                                            'content', 'ccid')""")
    before = sessions(pooler, queue.database, READER, count)
    queue.write_source("gated", pooler.dsn(queue.database, READER))
    worker = queue.start_worker(slots=2)
    runs = [queue.add("Plain") for _ in range(4)]
    if count > 1:
        # Large content comes over a second connection.
        queue.set_run(runs[0], "export_attachments = true")
    for run_id in runs:
        run = queue.wait_status(run_id, "COMPLETED", "FAILED")
        assert run["status"] == "COMPLETED", run
    worker.stop()
    after = sessions(pooler, queue.database, READER, count)
    assert set(map(str, after.values())) == set(map(str, before.values()))
    # One that is closed within a transaction, as slices are, is not lent again.
    assert count > 1 or after.keys() == before.keys()


def test_moving_window_through_a_pooler(queue):
    stream = Stream(queue)
    pooler = Pooler(queue.env, ["udm_test_stream"]).start()
    queue.write_source("stream", pooler.dsn(queue.database, "udm_test_stream"))
    before = sessions(pooler, queue.database, "udm_test_stream", 1)
    job = stream.job()
    with queue.connect() as connection:
        at = connection.execute("INSERT INTO stream.event (ccid, at) VALUES ('acme', clock_timestamp())"
                                " RETURNING at").fetchone()[0]
    worker = queue.start_worker()
    stream.wait_runs(job, 2)
    # The first windows may have ended before the row, where it took long to come here.
    stream.wait_watermark(job, at)
    worker.stop()
    assert sum(run["row_count"] or 0 for run in stream.runs(job)) == 1
    after = sessions(pooler, queue.database, "udm_test_stream", 1)
    assert list(after.values()) == list(before.values())


# Tried out

def check(queue, source, *more):
    worker = queue.worker()
    path = worker.write()
    queue.env.account.own(path)
    return queue.env.account.run([queue.env.worker, "-c", path, "--check-source", source, *more],
                                 check=False,
                                 env=clean_environment(**queue.env.sanitizer_environment()))


def test_what_would_leave(queue):
    done = check(queue, "Gated")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0] == 'source "Gated"'
    plain = lines[lines.index('type "Plain"'):]
    assert plain[1].startswith(f'read as {READER} in database "{queue.database}" of a PostgreSQL ')
    assert plain[2].startswith("relation: gated.plain, about ") and plain[2].endswith('rows of "acme"')
    assert "tenant column: ccid (text)" in plain and "key column: id (integer)" in plain
    assert "time column: at (timestamp with time zone)" in plain
    assert "leaves: id (integer), ccid (text), at (timestamp with time zone), words (text)" in plain
    assert any("columns are not given" in line for line in plain)


def test_rows_that_come_late(queue):
    with queue.connect() as connection:
        connection.execute("""
            CREATE MATERIALIZED VIEW gated.m AS SELECT * FROM gated.plain;
            CREATE VIEW gated.over_m AS SELECT * FROM gated.m;
            CREATE FUNCTION gated.one() RETURNS integer LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 1; END';
            CREATE VIEW gated.calls AS SELECT *, gated.one() FROM gated.plain;
            GRANT SELECT ON gated.m, gated.over_m, gated.calls TO udm_test_gated;
            SELECT udm.register_source('Late', 'DataSync', connection => 'gated', remote => true);
            SELECT udm.register_type('Late', name, 'gated.' || relation, 'id', tenant_column => 'ccid',
                                     time_column => 'at', columns => '{id}', moving_window => moves)
              FROM (VALUES ('Over', 'over_m', true), ('Calls', 'calls', true), ('Still', 'calls', false),
                           ('Plain', 'plain', true)) t (name, relation, moves)""")
    done = check(queue, "Late")
    assert (done.returncode, done.stderr) == (0, "")
    found = {part.split('"')[0]: part for part in done.stdout.split('  type "')[1:]}
    assert "materialized view (gated.m), which has them only from its next refresh on: jobs that" in found["Over"]
    assert "warning: a view calls functions" in found["Calls"]
    assert "warning" not in found["Still"] and "warning" not in found["Plain"]


def test_what_cannot_be_read(queue):
    with queue.connect() as connection:
        connection.execute("""
            CREATE TABLE gated.t (id integer, ccid uuid, at date, doubled text);
            ALTER TABLE gated.t ENABLE ROW LEVEL SECURITY;
            CREATE MATERIALIZED VIEW gated.m AS SELECT * FROM gated.plain WITH NO DATA;
            GRANT SELECT ON gated.t, gated.m TO udm_test_gated;
            SELECT udm.create_tenant('00000000-0000-4000-8000-000000000001');
            SELECT udm.register_source('Far', 'DataSync', connection => 'gated', alias => 'a far one',
                                       remote => true);
            SELECT udm.register_type('Far', 'Gone', 'gated.gone', 'id', tenant_column => 'ccid'),
                   udm.register_type('Far', 'Half', 'gated.plain', 'id', tenant_column => 'centre'),
                   udm.register_type('Far', 'Later', 'gated.m', 'id', tenant_column => 'ccid'),
                   udm.register_type('Far', 'Policed', 'gated.t', 'id', tenant_column => 'ccid'),
                   udm.register_type('Far', 'Uuid', 'gated.t', 'id', tenant_column => 'ccid',
                                     columns => '{id}', row_security => true);
            SELECT udm.register_attribute('Far', 'Uuid', 'at', kind => 'number'),
                   udm.register_attribute('Far', 'Uuid', 'nothing', kind => 'string')""")
    done = check(queue, "a far one")
    assert done.returncode == 1 and done.stderr == ""
    parts = done.stdout.split('  type "')
    assert parts[0] == 'source "Far"\n'
    found = {part.split('"')[0]: part for part in parts[1:]}
    assert 'error: there is no relation gated.gone in source "Far"' in found["Gone"]
    assert 'has no column "centre"' in found["Half"]
    assert "is a materialized view that is not populated" in found["Later"]
    assert "row-level security" in found["Policed"]
    uuid = found["Uuid"]
    assert "error" not in uuid and "leaves: id (integer)\n" in uuid
    assert 'rows of "00000000-0000-4000-8000-000000000001"' in uuid
    assert "warning: the tenant column is no text" in uuid
    assert "warning: row-level security is meant to hold" in uuid
    assert "kind number, but column \"at\" of gated.t is of type date" in uuid
    assert 'has no column "nothing"' in uuid
    # Of the other contact centres none has an id that such a column could hold, of which it is told.
    queue.sql("SELECT udm.create_tenant('0')")
    assert 'contact centre "0": column "ccid" of gated.t' in check(queue, "Far").stdout


def test_what_is_called_anything_acts_on_no_terminal(queue):
    odd = "a\x1b[31m\u009b31m\u0085\u00a0\u00e9"
    with queue.connect() as connection:
        connection.execute(f"""
            CREATE TABLE gated.odd (id integer, "{odd}" text);
            GRANT SELECT ON gated.odd TO udm_test_gated;
            SELECT udm.register_source('{odd}', 'UCS', connection => 'gated', remote => true);
            SELECT udm.register_type('{odd}', 'T', 'gated.odd', 'id', tenants => ARRAY['acme'])""")
    shown = "a?[31m?31m?\u00a0\u00e9"
    done = check(queue, odd)
    assert done.returncode == 0 and f'source "{shown}"\n' in done.stdout and f", {shown} (text)\n" in done.stdout
    done = check(queue, odd + "x")
    assert done.returncode == 1 and "there are: Gated," in done.stderr
    assert not any(c in done.stderr for c in "\x1b\u009b\u0085"), done.stderr


def test_check_of_nothing(queue):
    done = check(queue, "Nowhere")
    assert done.returncode == 1 and 'there is no source "Nowhere"; there are: Gated' in done.stderr
    queue.sql("SELECT udm.register_source('Bare', 'DataSync')")
    done = check(queue, "Bare")
    assert done.returncode == 1 and "no type is registered for it" in done.stdout
    queue.write_source("gated", "host=/nowhere user=x password=hunter2hunter2")
    done = check(queue, "Gated")
    assert done.returncode == 1 and "does not answer or does not let its reader in" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
    assert check(queue, "Gated", "--pid-file", "x").returncode == 2


@pytest.mark.parametrize("change,words", [
    ("INSERT INTO udm.schema_version (version, name, sha256) VALUES (1000, 'x', 'x')", "newer than this program"),
    ("DELETE FROM udm.schema_version WHERE version = (SELECT max(version) FROM udm.schema_version)",
     "run udm-migrate")])
def test_a_check_by_a_program_of_another_version(queue, change, words):
    queue.sql(change)
    done = check(queue, "Gated")
    assert done.returncode == 78 and words in done.stderr and done.stdout == "", done.stderr


def test_check_changes_nothing(queue):
    def state():
        return queue.sql("SELECT (SELECT count(*) FROM udm.run), (SELECT count(*) FROM udm.audit)")
    before = state(), queue.stored()
    check(queue, "Gated")
    assert (state(), queue.stored()) == before
