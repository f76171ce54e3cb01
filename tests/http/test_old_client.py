"""The way of the clients that were written for /data-download: v4 history in its envelope, v3 files
with all headers sent again to where the redirect leads, openssl, unzip."""
import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request
import zipfile

import pytest
import requests

from udmtest.process import clean_environment
from udmtest.site import Site

TITLE = "nightly interactions"


@pytest.fixture(scope="module")
def old(env):
    site = Site(env)
    site.httpd.mounts = {"/data-download": ["UDMEnvelope wrapped", "UDMVersions v4 v3"]}
    site.start_httpd()
    site.start_worker()
    site.upload_certificate()
    client = site.client()
    # three exports, of which one has another title, and one that has no file yet
    site.jobs = [client.create_job(title=title, time_frame={"dateFrom": "2020-01-01", "dateTo": "2100-01-01"})
                 ["id"] for title in (TITLE, "something else", TITLE)]
    for job in site.jobs:
        client.wait_job(job, timeout=120)
    site.jobs.append(client.create_job(title=TITLE, suspended=True)["id"])
    site.base = site.httpd.at("/data-download")
    site.headers = {"x-api-key": client.key, "Authorization": "Bearer " + client.token,
                    "Content-Type": "application/json"}
    yield site
    site.close()


def fetch(old, path, **params):
    """As such scripts do it: urllib sends every header again when it follows a redirect."""
    url = f"{old.base}/{path}" + ("?" + urllib.parse.urlencode(params) if params else "")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, headers=old.headers), timeout=60) as answer:
        return answer.status, answer.geturl(), answer.read()


def history(old, **params):
    status, _, body = fetch(old, "v4/export/history", orderField="createdDate", descAsc="true", **params)
    return json.loads(body)["data"] if status == 200 else None


def newest(old):
    return history(old, title=TITLE, size=100000)["items"][0]


def open_export(old, path, directory):
    """openssl and unzip, as they are; gives the lines of the interactions."""
    plain = os.path.join(directory, "export.zip")
    subprocess.run(["openssl", "smime", "-decrypt", "-inkey", old.env.certificate.key_path, "-in", path,
                    "-out", plain], check=True)
    out = os.path.join(directory, "out")
    subprocess.run(["unzip", "-q", plain, "-d", out], check=True)
    lines = []
    for name in os.listdir(out):
        if name.endswith(".json"):
            with open(os.path.join(out, name), encoding="utf-8") as f:
                lines += [json.loads(line) for line in f]
    return lines


def check(old, path, directory):
    rows = open_export(old, path, directory)
    count = old.sql("SELECT count(*) FROM ucs.interaction WHERE ccid = 'harbour-insurance'"
                    " AND \"startDate\" >= '2020-01-01' AND \"startDate\" < '2100-01-01'")[0][0]
    assert len(rows) == count > 1000
    assert len({row["ixnId"] for row in rows}) == count


def test_history(old):
    data = history(old, title=TITLE, size=100000)
    assert (data["count"], data["size"]) == (2, 100000) and data["count"] <= data["size"]
    items = data["items"]
    assert [i["title"] for i in items] == [TITLE] * 2
    assert [i["parentId"] for i in items] == [old.jobs[2], old.jobs[0]]
    assert items[0]["createdDate"] >= items[1]["createdDate"] and items[0]["id"] > items[1]["id"]
    for item in items:
        assert item["status"] == "COMPLETED" and item["fileName"] and item["fileSize"] > 0
    # what is new since the last time: larger ids
    assert [i["id"] for i in items if i["id"] > items[1]["id"]] == [items[0]["id"]]
    assert history(old, title="there is none", size=10) is None


def test_urllib(old, tmp_path):
    item = newest(old)
    status, url, body = fetch(old, "v3/files/" + item["fileName"])
    assert status == 200 and "/data-download/download/" in url and len(body) == item["fileSize"]
    path = tmp_path / item["fileName"]
    path.write_bytes(body)
    check(old, str(path), str(tmp_path))


def test_requests_with_the_headers_of_a_session(old, tmp_path):
    item = newest(old)
    session = requests.Session()
    session.trust_env = False
    session.headers.update(old.headers)
    answer = session.get(f"{old.base}/v3/files/{item['fileName']}", timeout=60)
    assert answer.status_code == 200 and [r.status_code for r in answer.history] == [303]
    path = tmp_path / item["fileName"]
    path.write_bytes(answer.content)
    check(old, str(path), str(tmp_path))


@pytest.mark.parametrize("program", [
    lambda url, path, headers: ["curl", "-sSfL", "-o", path, *headers("-H"), url],
    lambda url, path, headers: ["curl", "-sSfL", "--location-trusted", "-o", path, *headers("-H"), url],
    lambda url, path, headers: ["wget", "-q", "-O", path, *headers("--header"), url]],
    ids=["curl -L", "curl --location-trusted", "wget"])
def test_programs(old, tmp_path, program):
    item = newest(old)
    path = str(tmp_path / item["fileName"])

    def headers(option):
        return [x for name, value in old.headers.items() for x in (option, f"{name}: {value}")]
    done = subprocess.run(program(f"{old.base}/v3/files/{item['fileName']}", path, headers),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=clean_environment(), check=False)
    assert done.returncode == 0, done.stdout
    assert os.path.getsize(path) == item["fileSize"]
    check(old, path, str(tmp_path))


def test_a_broken_download_is_continued(old, tmp_path):
    """curl -C - goes on where it stopped."""
    item = newest(old)
    path = tmp_path / item["fileName"]
    _, _, body = fetch(old, "v3/files/" + item["fileName"])
    path.write_bytes(body[:len(body) // 3])
    key = f"x-api-key: {old.headers['x-api-key']}"
    subprocess.run(["curl", "-sSfL", "-C", "-", "-o", str(path), "-H", key,
                    f"{old.base}/v3/files/{item['fileName']}"], check=True, env=clean_environment())
    assert path.read_bytes() == body


def test_a_wrong_key_is_told_in_the_envelope(old):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(f"{old.base}/v4/export/history", headers={"x-api-key": "wrong"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        opener.open(request, timeout=60)
    assert caught.value.code == 401
    assert json.loads(caught.value.read())["status"]["code"] == 401


def test_the_archive_is_as_unzip_says(old, tmp_path):
    """Python's own reader agrees with it."""
    item = newest(old)
    path = tmp_path / "x.smime"
    path.write_bytes(fetch(old, "v3/files/" + item["fileName"])[2])
    open_export(old, str(path), str(tmp_path))
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        assert archive.testzip() is None and "META-INF/manifest.json" in archive.namelist()
