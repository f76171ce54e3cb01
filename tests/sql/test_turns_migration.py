"""0017_turns: what goes on while it is applied goes on under its lease, and everybody has a turn."""
import pytest


@pytest.fixture
def fresh(env):
    name = env.unique("turns")
    yield name, env.postgres.create_database(name)
    env.postgres.drop_database(name)


def test_what_goes_on_keeps_its_lease(env, fresh):
    name, dsn = fresh

    def sql(text, *values):
        return env.postgres.sql(text, values, dbname=name)

    env.migrate(dsn, "--to", "16")
    sql("SELECT udm.create_tenant('acme', 'Acme')")
    sql("INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, status, worker_id, attempt,"
        " export_id) SELECT n, 'acme', 'UCS', 'Contact', 'x', true, s, 'w/1', 1, gen_random_uuid()"
        " FROM (VALUES (1, 'IN_PROGRESS'), (2, 'QUEUED'), (3, 'COMPLETED')) v (n, s)")
    sql("INSERT INTO udm.run_progress (run_id, lease_until) SELECT id, now() + interval '1 hour' FROM udm.run")
    env.migrate(dsn)
    assert sql("SELECT r.job_id, p.export_id IS NOT DISTINCT FROM r.export_id, p.export_id IS NULL,"
               " p.lease_until > now() FROM udm.run r JOIN udm.run_progress p ON p.run_id = r.id ORDER BY 1") \
        == [(1, True, False, True), (2, False, True, True), (3, False, True, True)]
    # It is nobody else's to claim.
    for job in (2, None):
        assert sql("SELECT (c.run).job_id FROM udm.claim_run('w/2', '10 s', false) c") == [(job,)]
    sql("SELECT udm.create_tenant('other', 'Other')")
    assert sql("SELECT ccid FROM udm.turn ORDER BY ccid") == [("acme",), ("other",)]
