"""Programs and schema of different versions: httpd answers 503, the worker does not run, and both say
what to do. And what the programs ask for in vain of a schema that fits: nothing."""
import os
import re

import pytest

from udmtest.process import wait_for
from udmtest.site import Site

LATER = "INSERT INTO udm.schema_version (version, name, sha256) VALUES (9999, 'later', '')"
NOT_LATER = "DELETE FROM udm.schema_version WHERE version = 9999"


@pytest.fixture
def site(env):
    result = Site(env, "demo")
    result.start_httpd()
    result.upload_certificate()
    yield result
    result.close()


@pytest.fixture
def newest(site):
    return site.sql("SELECT max(version) FROM udm.schema_version")[0][0]


def is_out_of_service(answer):
    if answer.status_code != 503:
        return False
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"]
    assert "being upgraded" in answer.json()["detail"]
    assert "udm-migrate" not in answer.text and "schema" not in answer.text
    return True


def test_a_later_schema_is_noticed_and_left_again(site):
    client = site.client()
    assert client.get("/v10/export/jobs").status_code == 204
    site.sql(LATER)
    site.httpd.allow_log("UDM0030")
    for method, path in (("GET", "/v10/export/jobs"), ("GET", "/v10/cipher"), ("GET", "/v10/data/sources")):
        wait_for(lambda m=method, p=path: is_out_of_service(client.request(m, p)), 20, "503")
    assert is_out_of_service(client.post("/v10/export/jobs", json=client.job()))
    assert re.search(r"UDM0030: .*is newer than this program, made for version \d+", site.httpd.watch.text())
    site.httpd.allow_log("UDM0030")
    site.sql(NOT_LATER)
    wait_for(lambda: client.get("/v10/export/jobs").status_code == 204, 20, "the service to be back")
    for _ in range(10):
        assert client.get("/v10/export/jobs").status_code == 204


def test_an_earlier_schema(site, newest):
    client = site.client()
    site.sql("DELETE FROM udm.schema_version WHERE version = %s", [newest])
    site.httpd.allow_log("UDM0030")
    wait_for(lambda: is_out_of_service(client.get("/v10/export/jobs")), 20, "503")
    assert re.search(r"UDM0030: .*schema udm is of version \d+ and .*: run udm-migrate",
                     site.httpd.watch.text())


def test_httpd_that_starts_on_one(env, newest, site):
    other = Site(env, "demo")
    other.sql("DELETE FROM udm.schema_version WHERE version = %s", [newest])
    other.start_httpd()
    other.httpd.allow_log("UDM0030")
    assert is_out_of_service(other.client().get("/v10/export/jobs"))
    other.close()


def test_no_schema_at_all(site):
    client = site.client()
    client.get("/v10/version")
    site.sql("ALTER SCHEMA udm RENAME TO away")
    site.httpd.allow_log("UDM0030")
    assert is_out_of_service(client.get("/v10/export/jobs"))
    assert "run udm-migrate" in site.httpd.watch.text()
    site.sql("ALTER SCHEMA away RENAME TO udm")
    wait_for(lambda: client.get("/v10/export/jobs").status_code == 204, 20, "the service to be back")


@pytest.mark.parametrize("change", ["ALTER TABLE udm.job RENAME TO work",
                                    "ALTER TABLE udm.job RENAME COLUMN title TO name",
                                    "REVOKE INSERT (ccid) ON udm.job FROM udm_httpd",
                                    "ALTER FUNCTION udm.audit_write(text, text, text, text, text, text, text,"
                                    " jsonb) RENAME TO audit_put"])
def test_what_a_later_one_took_away_is_no_error_of_ours(site, change):
    """Even before the version is looked at again."""
    client = site.client()
    job = client.create_job(data_type="Contact")["id"]
    assert client.get(f"/v10/export/jobs/{job}").status_code == 200
    site.sql(LATER + "; " + change)
    site.httpd.allow_log("UDM0030")
    for _ in range(3):
        assert is_out_of_service(client.post("/v10/export/jobs", json=client.job()))


# The worker

def test_worker_does_not_start(site, newest):
    """It says what to do and ends with a status after which nobody starts it again."""
    for statement, words in (("DELETE FROM udm.schema_version WHERE version = %s", "run udm-migrate"),
                             ("INSERT INTO udm.schema_version SELECT %s, '', '';" + LATER,
                              "is newer than this program")):
        site.sql(statement.replace("%s", str(newest)))
        worker = site.start_worker()
        worker.allow_log("UDM0400")
        assert worker.process.wait(30) == 78
        worker.process = None
        assert "UDM0400: the worker does not run: schema udm is of version" in worker.watch.text()
        assert words in worker.watch.text() and "UDM0234" not in worker.watch.text()
        assert worker.watch.text().count("error") == 1


def test_worker_ends_when_the_schema_changes(site):
    worker = site.start_worker()
    wait_for(lambda: "UDM0234" in worker.watch.text(), 30, "the worker to be ready")
    site.sql(LATER)
    worker.allow_log("UDM0400|UDM0210")
    assert worker.process.wait(60) == 78
    worker.process = None
    assert "UDM0400" in worker.watch.text()


def test_systemd_does_not_start_it_over_and_over(env):
    with open(os.path.join(env.top, "conf", "udm-worker.service"), encoding="utf-8") as f:
        unit = f.read().splitlines()
    assert "Restart=on-failure" in unit and "RestartPreventExitStatus=78" in unit


def test_supervised_worker_is_not_started_over_and_over(env, site):
    other = Site(env, "demo")
    other.sql(LATER)
    other.httpd.server = [f"UDMWorker On {env.worker}", f"UDMSourceDir {other.sources}",
                          f"UDMSpoolDir {other.spool}",
                          f"UDMWorkerDatabase \"{env.postgres.dsn(other.database, 'udm_worker')}\""]
    other.start_httpd()
    log = other.httpd.watch
    other.httpd.allow_log("UDM0082|UDM0400|UDM0210")
    wait_for(lambda: log.text().count("UDM0082") >= 2, 60, "the second try")
    assert "(exit status or signal 78)" in log.text(), log.text()
    assert "UDM0400" in log.text()
    first, second = [float(m.group(1)) * 60 + float(m.group(2)) for m in
                     re.finditer(r":(\d\d):(\d\d\.\d+) \d+\] \[udm:notice\].* UDM0080", log.text())][:2]
    assert (second - first) % 3600 >= 1
    # Once it fits, the next try is the last.
    other.sql(NOT_LATER)
    other.httpd.allow_log("UDM0082|UDM0400|UDM0210")
    wait_for(lambda: "UDM0234" in log.text(), 60, "the worker to be ready")
    other.close()


# What is asked for in vain

def errors_of(text):
    return [line for line in text.splitlines() if re.search(r"\b(ERROR|FATAL|WARNING):", line)]


def test_normal_work_makes_no_errors_in_the_server(env, site, tmp_path):
    """Not with the first statement of a connection, nor after one was reset."""
    with open(env.postgres.log, encoding="utf-8") as f:
        f.seek(0, 2)
        client = site.client()
        worker = site.start_worker()
        for _ in range(3):
            job = client.create_job(data_type="Contact")
            run = client.wait_job(job["id"])
            client.download(run["fileName"], tmp_path)
            for path in ("/v10/export/jobs", "/v10/export/history", "/v10/cipher",
                         f"/v10/export/jobs/{job['id']}", "/v10/data/sources", "/v10/data/types"):
                assert client.get(path).status_code in (200, 404)
            assert client.delete(f"/v10/files/{run['fileName']}").status_code in (200, 204)
            site.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'udm_httpd'"
                     " AND datname = current_database()")
            site.httpd.allow_log("UDM0030|dbd:error")
        worker.stop()
        lines = errors_of(f.read())
    assert [x for x in lines if "terminating connection" not in x] == []
