"""What a role that may do nothing but connect can hold up: nothing."""
import pytest
from psycopg import errors

HASH = "0" * 64

# The numbers that anybody can work out: those under which there once was a lock.
NUMBERS = ["hashtextextended('udm.purge', 0)", "hashtextextended('udm.end_tenants', 0)",
           "hashtextextended(json_build_array('udm.idempotency', 'acme', 'v10', 'key')::text, 0)",
           "hashtext('udm-migrate')"]


@pytest.fixture
def place(env):
    """A database with an old run, and the name of a role that may connect to it."""
    name, role = env.create_database("empty"), env.unique("stranger")
    env.postgres.sql(f"CREATE ROLE {role} LOGIN")
    env.postgres.sql(f"GRANT CONNECT ON DATABASE {name} TO {role}")
    env.postgres.sql("SELECT udm.create_tenant('acme')", dbname=name)
    env.postgres.sql("INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, status, created_at, finished_at)"
                     " VALUES (1, 'acme', 'S', 'T', 't', true, 'COMPLETED', '2020-01-01', '2020-01-01')", dbname=name)
    yield name, role
    env.postgres.drop_database(name)
    env.postgres.sql(f"DROP ROLE {role}")


def run(env, place, statement, user="udm_worker"):
    return env.postgres.sql(statement, dbname=place[0], user=user)


PURGE = "SELECT gone FROM udm.purge_runs(1, 0, 10)"


def test_no_advisory_lock_is_in_the_way(env, place):
    with env.postgres.connect(*place) as stranger:
        for number in NUMBERS:
            stranger.execute(f"SELECT pg_advisory_lock({number})")
        assert run(env, place, PURGE) == [(1,)]
        assert run(env, place, BEGIN, "udm_httpd") == [(True, None)]


def test_a_contact_centre_leaves_meanwhile(env, place):
    """By the worker's hand, which takes another latch."""
    env.postgres.sql("UPDATE udm.tenant SET ending_since = now()", dbname=place[0])
    with env.postgres.connect(*place) as stranger:
        for number in NUMBERS:
            stranger.execute(f"SELECT pg_advisory_lock({number})")
        assert run(env, place, "SELECT udm.end_tenants(10)") == [(True,)]


def test_one_purges_at_a_time(env, place):
    with env.postgres.connect(place[0], "udm_worker", autocommit=False) as first:
        assert first.execute(PURGE).fetchone() == (1,)
        assert run(env, place, PURGE) == [(0,)]
        first.rollback()
    assert run(env, place, PURGE) == [(1,)]


@pytest.mark.parametrize("call", [PURGE, "SELECT udm.end_tenants(10)"])
def test_a_latch_that_is_lost_is_said(env, place, call):
    env.postgres.sql("DELETE FROM udm.latch; UPDATE udm.tenant SET ending_since = now()", dbname=place[0])
    with pytest.raises(errors.RaiseException, match="udm.latch has lost its row"):
        run(env, place, call)


@pytest.mark.parametrize("statement", [
    "SELECT FROM udm.latch FOR UPDATE", "BEGIN; LOCK TABLE udm.latch", "SELECT channel FROM udm.installation",
    "BEGIN; LOCK TABLE udm.schema_version IN ACCESS SHARE MODE", "SELECT udm.take_latch('purge')",
    "SELECT udm.begin_retry('acme', 'v10', 'key', '')"])
def test_what_is_ours_is_not_theirs(env, place, statement):
    with pytest.raises(errors.InsufficientPrivilege):
        run(env, place, statement, place[1])


def test_nothing_of_ours_takes_an_advisory_lock(env, place):
    assert run(env, place, "SELECT proname FROM pg_proc WHERE pronamespace = 'udm'::regnamespace"
                           " AND prosrc ~ 'advisory'", "udm_admin") == []


# Requests that are sent twice

BEGIN = f"SELECT mine, answer FROM udm.begin_retry('acme', 'v10', 'key', '{HASH}')"


def test_a_key_is_one_requests_at_a_time(env, place):
    with env.postgres.connect(place[0], "udm_httpd", autocommit=False) as first, \
            env.postgres.connect(place[0], "udm_httpd") as second:
        assert first.execute(BEGIN).fetchone() == (True, None)
        assert second.execute(BEGIN).fetchone() == (False, None)
        assert second.execute("SHOW lock_timeout").fetchone() == ("0",)
        first.rollback()
        assert second.execute(BEGIN).fetchone() == (True, None)


# The channel of the workers

def test_nobody_else_wakes_the_workers(env, place):
    """What is notified where anybody can, nobody hears; what a job does, those who may know where to listen."""
    name, role = place
    channel = env.postgres.sql("SELECT channel FROM udm.installation", dbname=name)[0][0]
    with env.postgres.connect(name, "udm_worker") as worker, env.postgres.connect(name, role) as stranger:
        heard = {who: [] for who in (worker, stranger)}
        for who, got in heard.items():
            who.add_notify_handler(got.append)
        stranger.execute("LISTEN udm_run")
        worker.execute(f"LISTEN {channel}")
        stranger.execute("SELECT pg_notify('udm_run', n::text) FROM generate_series(1, 10000) n")
        run(env, place, "INSERT INTO udm.run (job_id, ccid, source, type, title, window_all)"
                        " VALUES (2, 'acme', 'S', 'T', 't', true)", "udm_admin")
        for who in heard:
            who.execute("SELECT 1")
        assert [(n.channel, n.payload) for n in heard[worker]] == [(channel, "")]
        assert [n.channel for n in heard[stranger]] == ["udm_run"] * 10000
    assert len(channel) == len("udm_run_") + 32
