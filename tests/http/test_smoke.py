"""Does anything work at all: version, sources and types, one job from POST to plaintext."""
import re
import subprocess
import zipfile

from udmtest.crypto import smime_decrypt


def test_version_needs_the_key_alone(site):
    answer = site.client(token=None).get("/v10/version")
    assert answer.status_code == 200 and answer.json()["version"]
    assert site.client(key=None, token=None).get("/v10/version").status_code == 401


def test_sources_and_types(client):
    assert {s["value"] for s in client.get("/v10/data/sources").json()} == {"UCS", "UCSX"}
    types = client.get("/v10/data/types", params={"source": "UCS"}).json()
    assert {(t["name"], t["source"]) for t in types} == {("Interaction", "UCS"), ("Contact", "UCS")}


def test_unknown_path_is_a_problem_document(client):
    answer = client.get("/v10/nothing")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == 404


def test_one_export(site, client, tmp_path):
    worker = site.start_worker()
    job = client.create_job(data_type="Contact", title="smoke")
    run = client.wait_job(job["id"])
    assert re.fullmatch(r"export-[0-9a-f-]{36}\.zip\.smime", run["fileName"])
    assert run["parentId"] == job["id"] and run["progress"] == 100
    path = client.download(run["fileName"], tmp_path)
    plain = smime_decrypt(site.env.certificate.key_path, path, str(tmp_path / "plain.zip"))
    with zipfile.ZipFile(plain) as archive:
        assert f"Contact-{job['id']}.json" in archive.namelist()
    assert worker.stop() == 0


def test_the_certificate_is_the_only_way_in(site, client, tmp_path):
    """Another key does not open the export."""
    worker = site.start_worker()
    run = client.wait_job(client.create_job(data_type="Contact")["id"])
    worker.stop()
    path = client.download(run["fileName"], tmp_path)
    other = tmp_path / "other.key"
    subprocess.run(["openssl", "genrsa", "-out", other, "2048"], check=True, stderr=subprocess.DEVNULL)
    done = subprocess.run(["openssl", "smime", "-decrypt", "-inkey", other, "-in", path, "-out",
                           tmp_path / "no.zip"], stderr=subprocess.PIPE)
    assert done.returncode != 0 or not zipfile.is_zipfile(tmp_path / "no.zip")
