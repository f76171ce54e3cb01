"""Whoever may create in schema public has their own functions, operators, types and relations for every
name: nothing of ours uses them, from the first statement of a session on.

The whole suites in such databases: ./dev test full http worker with UDM_TEST_SHADOW=1.
"""
import psycopg
import pytest

from udmtest import shadow
from udmtest.env import Environment
from udmtest.process import wait_for
from udmtest.site import Site


@pytest.fixture(scope="module")
def site(request):
    """With a PostgreSQL of its own."""
    environment = Environment(shadows=True)
    result = Site(environment, "demo")
    result.start_httpd()
    yield result
    result.close()
    lines = environment.unexpected_log_lines()
    leaks = environment.close()
    assert not lines, "unexpected in the logs:\n" + "\n".join(lines)
    assert not leaks, f"credentials in logs: {leaks}"


@pytest.fixture
def calls(site):
    """What was called during the test: a function that gives it."""
    with open(site.env.postgres.log, encoding="utf-8") as f:
        f.seek(0, 2)
        yield lambda: [line for line in f if f"LOG:  {shadow.MARK}" in line]


@pytest.mark.parametrize("statement", [
    "SELECT to_json('{a}'::pg_catalog.text[])", "SELECT count(pg_catalog.now())", "SELECT 1 = 1",
    "SELECT pg_advisory_xact_lock(1)", "SELECT * FROM pg_roles", "SELECT 'a'::text", "SELECT now()",
    "SELECT max(1)", "SELECT lower('A' OPERATOR(pg_catalog.||) 'B')", "SELECT 'a' || 'b'",
    "SELECT current_setting('a', true)", "SELECT '2026-01-01'::timestamptz"])
@pytest.mark.parametrize("role", ["udm_httpd", "udm_worker", "udm_reader_ucs"])
def test_whoever_does_not_look_out_calls_them(site, calls, role, statement):
    site.env.postgres_watch.allow(shadow.MARK)
    with pytest.raises(psycopg.errors.RaiseException, match=shadow.MARK):
        with site.connect(role) as connection:
            connection.execute("RESET search_path; SET search_path = public, pg_catalog")
            connection.execute(statement)
    lines = calls()
    assert lines and all(f"called by {role} as {role}" in line for line in lines)


def test_there_are_many(site):
    functions, operators, types, relations = site.sql(shadow.COUNT)[0]
    assert functions > 2500 and operators > 700 and types > 50 and relations > 120


def test_requests(site, calls):
    site.upload_certificate()
    client = site.client()
    job = client.create_job(data_type="Contact")
    for path in ("/v10/version", "/v10/cipher", "/v10/data/sources", "/v10/data/types", "/v10/export/jobs",
                 "/v10/export/history", "/v10/file-metadatas", f"/v10/export/jobs/{job['id']}",
                 "/v10/export/jobs?sortBy=title&title=x", "/v4/export/jobs"):
        assert client.get(path).status_code in (200, 204), path
    # and in sessions that were lost and made anew
    site.httpd.allow_log("UDM0030|dbd:error|AH0062[0-9]|AH0063[0-9]")
    site.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'udm_httpd'")
    for _ in range(5):
        assert client.get("/v10/export/jobs").status_code == 200
    assert client.post("/v10/export/jobs", json=client.job(), headers={"Idempotency-Key": "k"}).status_code == 202
    assert client.put(f"/v10/export/jobs/suspend/{job['id']}").status_code < 500
    assert client.delete(f"/v10/export/jobs/{job['id']}").status_code < 500
    assert calls() == []


def test_runs(site, calls, tmp_path):
    site.upload_certificate()
    client = site.client()
    worker = site.start_worker()
    run = client.wait_job(client.create_job(data_type="Interaction", attachments=True)["id"])
    client.download(run["fileName"], tmp_path)
    assert client.delete(f"/v10/files/{run['fileName']}").status_code < 300
    # a moving window, which asks the source whether it has settled
    body = client.job(data_type="Contact")
    body["schedulerParam"] = {"cron": "0 3 * * *", "immediately": True}
    body["timeFrame"] = {}
    answer = client.post("/v10/export/jobs", json=body)
    assert answer.status_code == 202, answer.text
    # its settle time is over
    site.sql("UPDATE udm.run SET ready_at = now() WHERE job_id = %s", [answer.json()["id"]])
    wait_for(lambda: site.sql("SELECT 1 FROM udm.run WHERE job_id = %s AND settle_barrier IS NOT NULL"
                              " AND status = 'COMPLETED'", [answer.json()["id"]]), 60, "the moving window")
    assert worker.stop() == 0
    assert calls() == []


def test_migrating(site, calls):
    """From the start, and once more where all is there."""
    name = site.env.unique("shadowed")
    dsn = site.env.postgres.create_database(name)
    site.env.migrate(dsn, "--to", "1")
    shadow.plant(site.env.postgres, name)
    shadow.come_first(site.env.postgres, name)
    site.env.migrate(dsn)
    assert "nothing to do" in site.env.migrate(dsn).stdout
    assert calls() == []
