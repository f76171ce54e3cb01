"""0014_lists: rows from before it get the form of new ones, and every list goes on to show them."""
import pytest

MANY = 1000000


@pytest.fixture
def fresh(env):
    name = env.unique("lists")
    yield name, env.postgres.create_database(name)
    env.postgres.drop_database(name)


def test_rows_from_before(env, fresh):
    name, dsn = fresh

    def sql(text, *values):
        return env.postgres.sql(text, values, dbname=name)

    env.migrate(dsn, "--to", "10")
    sql("SELECT udm.create_tenant('acme', 'Acme')")
    sql("INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, status, schedule,"
        " file_split_size, file_split_bytes) SELECT 'acme', 'UCS', 'UCS', 'Contact', 'T', true, 'recurring',"
        " 'SCHEDULED', jsonb_build_object('cron', '0 6 * * *', 'runs', r), s, 100000000"
        " FROM (VALUES (repeat('0', %s) || '100 MB', repeat('0', %s) || '12'), ('100 MB', '12'),"
        " ('100 MB', 'daily'), (NULL, NULL)) v (s, r)",
        MANY, MANY)
    sql("INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, file_split_size,"
        " file_split_bytes) SELECT id, ccid, source, type, title, true, file_split_size, file_split_bytes"
        " FROM udm.job")
    before = sql("SELECT id, xmin::text FROM udm.job WHERE file_split_size IS NULL")
    env.migrate(dsn)
    assert sql("SELECT file_split_size, schedule FROM udm.job ORDER BY id") == [
        ("100 MB", {"cron": "0 6 * * *", "runs": "12"}), ("100 MB", {"cron": "0 6 * * *", "runs": "12"}),
        ("100 MB", {"cron": "0 6 * * *", "runs": "daily"}), (None, {"cron": "0 6 * * *", "runs": None})]
    assert sql("SELECT file_split_size FROM udm.run ORDER BY id") == [
        ("100 MB",), ("100 MB",), ("100 MB",), (None,)]
    # what needs no change is not written anew
    assert sql("SELECT id, xmin::text FROM udm.job WHERE file_split_size IS NULL") == before
    # and nobody takes a row from before for one that is still to come
    assert sql("SELECT DISTINCT made_in FROM udm.job") == [(None,)]
    assert sql("INSERT INTO udm.file (name, run_id, job_id, ccid, source, type, job_title, part, size,"
               " sha256, expires_at) SELECT 'export-' || gen_random_uuid() || '.zip.smime', id, job_id,"
               " ccid, source, type, title, 1, 0, repeat('0', 64), now() FROM udm.run LIMIT 1"
               " RETURNING made_in = pg_current_xact_id()") == [(True,)]
    # a dump in another cluster: its transactions mean nothing there
    sql("UPDATE udm.run SET made_in = '5000000000'")
    sql("SELECT udm.restored()")
    assert sql("SELECT made_in FROM udm.job UNION ALL SELECT made_in FROM udm.run"
               " UNION ALL SELECT made_in FROM udm.file") == [(None,)] * 9
