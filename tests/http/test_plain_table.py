"""The way of the README for any table: pgbench's accounts, in another database, registered by one
call and exported through the API."""
import json
import subprocess
import zipfile

import pytest

from udmtest.crypto import smime_decrypt
from udmtest.postgres import bin_dir
from udmtest.process import clean_environment, wait_for
from udmtest.site import Site


@pytest.fixture(scope="module")
def bench(env):
    """An installation for one tenant, acme, and a database `shop` of somebody else."""
    site = Site(env, database="empty")
    site.shop = env.unique("shop")
    env.postgres.create_database(site.shop)
    subprocess.run([bin_dir() + "/pgbench", "-i", "-q", "-s", "1", "-h", env.postgres.socket, "-p",
                    str(env.postgres.port), "-U", "udm_admin", site.shop], env=clean_environment(),
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    site.reader = env.unique("udm_reader_bench")
    env.postgres.sql(f"CREATE ROLE {site.reader} LOGIN", dbname=site.shop)
    env.postgres.sql(f"GRANT SELECT ON public.pgbench_accounts TO {site.reader}", dbname=site.shop)
    site.write_source("bench", f"host={env.postgres.socket} port={env.postgres.port}"
                               f" dbname={site.shop} user={site.reader}")
    site.sql("SELECT udm.create_tenant('acme', 'Acme Ltd'), udm.create_tenant('other')")
    site.sql("SELECT udm.register_source('Bench', 'DataSync', connection => 'bench', remote => true)")
    site.sql("SELECT udm.register_type('Bench', 'Account', 'public.pgbench_accounts',"
             " key_column => 'aid', tenants => ARRAY['acme'])")
    site.start_httpd()
    site.start_worker()
    site.upload_certificate("acme")
    yield site
    site.close()


def test_a_plain_table_arrives_whole(bench, tmp_path):
    client = bench.client("acme")
    assert [s["value"] for s in client.get("/v10/data/sources").json()] == ["Bench"]
    job = client.create_job(source="Bench", family="DataSync", data_type="Account")
    run = client.wait_job(job["id"], timeout=120)
    fetched = client.download(run["fileName"], tmp_path)
    plain = smime_decrypt(bench.env.certificate.key_path, fetched, str(tmp_path / "plain.zip"))
    with zipfile.ZipFile(plain) as archive:
        assert set(archive.namelist()) == {f"Account-{job['id']}.json", "META-INF/manifest.json"}
        lines = archive.read(f"Account-{job['id']}.json").decode().splitlines()
    rows = bench.env.postgres.sql("SELECT row_to_json(a) FROM public.pgbench_accounts a", dbname=bench.shop)
    assert len(lines) == len(rows) == 100000
    key = "aid"
    expected = {row[key]: row for row, in rows}
    for line in lines:
        row = json.loads(line)
        assert list(row.items()) == list(expected.pop(row[key]).items())
    assert not expected


def test_who_does_not_own_the_relation_gets_none_of_it(bench):
    """`tenants` names acme; to the other centre the source itself does not exist."""
    bench.upload_certificate("other")
    client = bench.client("other")
    answer = client.post("/v10/export/jobs", json=client.job(source="Bench", family="DataSync",
                                                             data_type="Account"))
    assert answer.status_code == 400, answer.text
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/source"]
    assert bench.sql("SELECT count(*) FROM udm.file WHERE ccid = 'other'") == [(0,)]


def test_a_reader_that_can_see_schema_udm_is_refused(bench):
    """A connection file that points back into the installation's own database."""
    bench.sql(f"GRANT USAGE ON SCHEMA udm TO {bench.reader}")
    try:
        bench.write_source("own", f"host={bench.env.postgres.socket} port={bench.env.postgres.port}"
                                  f" dbname={bench.database} user={bench.reader}")
        bench.sql("SELECT udm.register_source('Own', 'DataSync', connection => 'own')")
        bench.sql("SELECT udm.register_type('Own', 'Tenant', 'udm.tenant', key_column => 'ccid',"
                  " tenant_column => 'ccid')")
        client = bench.client("acme")
        # What a set of roles may do is kept for a moment.
        wait_for(lambda: "Own" in client.get("/v10/data/sources").text, 30, "the source to be seen")
        job = client.create_job(source="Own", family="DataSync", data_type="Tenant")
        run = client.wait_job(job["id"], status="FAILED")
        assert "schema udm" in run["statusReason"] and bench.reader not in run["statusReason"]
        for worker in bench.workers:
            worker.allow_log("UDM02")
    finally:
        bench.sql(f"REVOKE USAGE ON SCHEMA udm FROM {bench.reader}")
        bench.sql("DELETE FROM udm.data_type WHERE source = 'Own'")
        bench.sql("DELETE FROM udm.source WHERE name = 'Own'")
