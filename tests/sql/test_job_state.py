"""0018_job_state: what a job shows, the window of a run, and whether a job has been changed, each in one
place of the database."""
import itertools

import psycopg
import pytest

RUNS = (None, "QUEUED", "IN_PROGRESS", "SUSPENDED", "COMPLETED", "FAILED", "CANCELLED")
SHOWN = ("SCHEDULED", *RUNS[1:])
ACTIVE, OVER = RUNS[1:4], RUNS[4:]


@pytest.fixture(scope="module")
def name(env):
    return env.create_database("empty")


@pytest.fixture
def db(env, name):
    with env.postgres.connect(name, autocommit=False) as connection:
        connection.execute("SELECT udm.create_tenant('acme')")
        yield connection
        connection.rollback()


def value(db, statement, *values):
    return db.execute(statement, values).fetchone()[0]


def shows(was, run, due, suspended):
    """The rules in other words than those of the function."""
    if run in ACTIVE:
        return run
    if due:
        return "SUSPENDED" if suspended else "SCHEDULED"
    if was in OVER:
        return was
    # of what was planned, or held, nothing has ended: it was dropped
    return run if was in ("QUEUED", "IN_PROGRESS") and run else "CANCELLED"


def test_what_a_job_shows(db):
    for state in itertools.product((None, *SHOWN), RUNS, (True, False), (True, False)):
        assert value(db, "SELECT udm.job_status(%s, %s, %s, %s)", *state) == shows(*state), state


def add_job(db, due=True, suspended=False, latest=False, **more):
    columns = {"ccid": "acme", "family": "UCS", "source": "UCS", "type": "T", "title": "t", "time_all": True,
               "schedule_type": "once", "schedule": "{}", "next_run_at": "2100-01-01Z" if due else None,
               "suspended": suspended, **more}
    job = value(db, f"INSERT INTO udm.job ({', '.join(columns)}, latest_run_id) VALUES"
                f" ({', '.join(['%s'] * len(columns))}, CASE WHEN %s THEN nextval('udm.job_or_run_id') END)"
                " RETURNING id", *columns.values(), latest)
    if latest:
        assert value(db, "SELECT udm.make_runs(ARRAY[%s]::bigint[], ARRAY[now()], NULL)", job) == 1
    return job


def status(db, job):
    return value(db, "SELECT status FROM udm.job WHERE id = %s", job)


@pytest.mark.parametrize("due, suspended, latest, shown", [
    (True, False, False, "SCHEDULED"), (True, True, False, "SUSPENDED"), (False, False, True, "QUEUED"),
    (True, False, True, "QUEUED"), (False, False, False, "CANCELLED")])
def test_a_new_job_shows_it(db, due, suspended, latest, shown):
    assert status(db, add_job(db, due, suspended, latest)) == shown


@pytest.mark.parametrize("change", ["latest_run_id = latest_run_id", "next_run_at = next_run_at",
                                    "suspended = suspended"])
@pytest.mark.parametrize("due", [True, False])
def test_a_statement_that_changes_run_and_job(db, change, due):
    """The job shows what became of the run in the same statement, whatever that says of its status."""
    job = add_job(db, due, latest=True)
    for run in ("IN_PROGRESS", "SUSPENDED", "QUEUED", "IN_PROGRESS", "COMPLETED"):
        db.execute("WITH r AS (UPDATE udm.run SET status = %s WHERE job_id = %s RETURNING *)"
                   f" UPDATE udm.job j SET {change}, status = 'FAILED' FROM r WHERE j.id = r.job_id", [run, job])
        assert status(db, job) == ("SCHEDULED" if run == "COMPLETED" and due else run)


def test_a_statement_that_makes_a_run(db):
    job = add_job(db)
    db.execute("WITH j AS (UPDATE udm.job SET latest_run_id = nextval('udm.job_or_run_id'), next_run_at = NULL"
               " WHERE id = %s RETURNING id) SELECT udm.make_runs(array_agg(id), ARRAY[now()], NULL) FROM j", [job])
    assert status(db, job) == "QUEUED"
    assert value(db, "SELECT count(*) FROM udm.run r JOIN udm.run_progress p ON p.run_id = r.id JOIN udm.job j"
                 " ON j.latest_run_id = r.id WHERE j.id = %s", job) == 1
    # and whatever becomes of the record, the job shows how it ended
    db.execute("UPDATE udm.run SET status = 'COMPLETED'")
    db.execute("UPDATE udm.job SET latest_run_id = latest_run_id")
    db.execute("DELETE FROM udm.run")
    db.execute("UPDATE udm.job SET latest_run_id = NULL")
    assert status(db, job) == "COMPLETED"


def test_what_was_planned_and_is_dropped(db):
    """Not how the last run ended, which was another one."""
    job = add_job(db, latest=True)
    db.execute("UPDATE udm.run SET status = 'COMPLETED'")
    db.execute("UPDATE udm.job SET suspended = false")
    assert status(db, job) == "SCHEDULED"
    db.execute("UPDATE udm.job SET next_run_at = NULL")
    assert status(db, job) == "CANCELLED"


WINDOWS = [
    # recurring, all, from, to, watermark: from, to, moves; 5 is the scheduled instant
    (False, True, None, None, None, None, None, False),
    (False, False, None, None, None, None, 5, False),
    (False, False, 1, None, None, 1, None, False),
    (False, False, None, 3, None, None, 3, False),
    (False, False, 1, 9, 4, 1, 9, False),
    (True, True, None, None, 4, None, None, False),
    (True, False, 1, 3, 4, 1, 3, False),
    (True, False, None, None, None, None, 5, True),
    (True, False, None, None, 4, 4, 5, True),
    (True, False, 1, None, None, 1, 5, True),
    (True, False, 1, None, 4, 4, 5, True),
    (True, False, 7, None, None, 7, 7, True),
    (True, False, 1, None, 8, 8, 8, True),
]


@pytest.mark.parametrize("recurs, all_, start, end, watermark, begins, ends, moves", WINDOWS)
def test_windows(db, recurs, all_, start, end, watermark, begins, ends, moves):
    def day(number):
        return None if number is None else f"2026-01-0{number} 00:00:00+00"
    job = add_job(db, latest=False, time_all=all_, date_from=day(start), date_to=day(end), watermark=day(watermark),
                  schedule_type="recurring" if recurs else "once", created_by="maker", filters='["f"]',
                  media=["a"], export_attachments=True, file_split_size="1 MB", file_split_bytes=1000000,
                  description="d")
    db.execute("UPDATE udm.job SET latest_run_id = nextval('udm.job_or_run_id')")
    db.execute("SELECT udm.make_runs(ARRAY[%s]::bigint[], ARRAY[%s]::timestamptz[], NULL)", [job, day(5)])
    row = db.execute("SELECT window_all, window_from = %s::timestamptz, window_to = %s::timestamptz, window_from IS NULL,"
                     " window_to IS NULL, moves_watermark, scheduled_at = %s AND ready_at = %s, created_by, title,"
                     " description, filters, media, export_attachments, file_split_size, file_split_bytes, status"
                     " FROM udm.run", [day(begins), day(ends), day(5), day(5)]).fetchall()
    assert row == [(all_, None if begins is None else True, None if ends is None else True, begins is None,
                    ends is None, moves, True, "maker", "t", "d", ["f"], ["a"], True, "1 MB", 1000000, "QUEUED")]


@pytest.mark.parametrize("moves", [True, False])
def test_a_moving_window_settles(db, moves):
    db.execute("SELECT udm.register_source('UCS', 'UCS')")
    db.execute("CREATE TABLE public.settles (id integer PRIMARY KEY, at timestamptz NOT NULL)")
    db.execute("SELECT udm.register_type('UCS', 'T', 'public.settles', 'id', time_column => 'at',"
               " tenants => '{acme}')")
    db.execute("UPDATE udm.data_type SET settle_seconds = 70")
    job = add_job(db, time_all=False, date_from="2026-01-01", schedule_type="recurring" if moves else "once")
    db.execute("UPDATE udm.job SET latest_run_id = nextval('udm.job_or_run_id')")
    db.execute("SELECT udm.make_runs(ARRAY[%s]::bigint[], ARRAY[now()], ARRAY['somebody'])", [job])
    assert db.execute("SELECT extract(epoch FROM ready_at - scheduled_at)::integer, created_by FROM udm.run").fetchone() \
        == (70 if moves else 0, "somebody")


def test_runs_of_jobs_that_are_there_alone(db):
    """Neither of others, nor two of one."""
    assert value(db, "SELECT udm.make_runs(ARRAY[0]::bigint[], ARRAY[now()], NULL)") == 0
    assert value(db, "SELECT udm.make_runs(NULL, NULL, NULL)") == 0
    job = add_job(db, latest=True)
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute("SELECT udm.make_runs(ARRAY[%s]::bigint[], ARRAY[now()], NULL)", [job])


CHANGES = ["family = 'DataSync'", "source = 'x'", "type = 'x'", "title = 'x'", "description = 'x'",
           "time_all = false", "date_from = now()", "date_to = now()", "media = '{a}'", "export_attachments = true",
           "file_split_size = 'x'", "file_split_bytes = 1", "filters = '[1]'", "schedule = '{\"a\": 1}'",
           "suspended = true"]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_raises_the_version(db, change):
    job, other = add_job(db), add_job(db)
    for expected in (2, 2):
        db.execute(f"UPDATE udm.job SET {change} WHERE id = %s", [job])
        assert value(db, "SELECT version FROM udm.job WHERE id = %s", job) == expected
    assert value(db, "SELECT version FROM udm.job WHERE id = %s", other) == 1


@pytest.mark.parametrize("change", ["latest_run_id = 1", "next_run_at = NULL", "watermark = now()", "runs_left = 3",
                                    "status = 'FAILED'", "changed_at = now()", "title = title"])
def test_what_its_runs_do_does_not(db, change):
    job = add_job(db)
    db.execute(f"UPDATE udm.job SET {change} WHERE id = %s", [job])
    assert value(db, "SELECT version FROM udm.job WHERE id = %s", job) == 1
