"""Each operation answers what the API reference says, and says no in the same manner everywhere."""
import http.client
import json
import re

import pytest

from udmtest.api import Client
from udmtest.files import PublishedFile

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
JOB_INFO = ["id", "type", "source", "title", "fileSplitSize", "fileName", "fileSize", "status",
            "createdDate", "dateFrom", "dateTo", "description", "media", "progress", "parentId",
            "exportAttachments"]


def problem(answer, status):
    """The problem document of an answer, which must be one of this status."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status and body["type"] == "about:blank"
    assert body["title"] and body["detail"]
    return body


def site_get(site, client, target):
    """Status and body of a request whose target is sent as it is: requests tidies what it is given."""
    connection = http.client.HTTPConnection("127.0.0.1", site.httpd.port, timeout=20)
    try:
        connection.request("GET", target, headers={"x-api-key": client.key,
                                                   "Authorization": "Bearer " + client.token})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_version(site):
    answer = site.client(token=None).get("/v10/version")
    assert answer.status_code == 200
    assert list(answer.json()) == ["version", "buildNumber", "changeset", "name"]
    assert answer.json()["name"] == "mod_udm" and answer.json()["version"]


def test_headers_of_every_answer(client):
    for path, status in (("/v10/version", 200), ("/v10/nothing", 404), ("/v10/export/jobs/0", 400)):
        answer = client.get(path)
        assert answer.status_code == status
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Length"] == str(len(answer.content))
        assert answer.headers["X-Request-Id"]


def test_request_id_is_echoed_when_it_is_harmless(client):
    assert client.get("/v10/version", headers={"X-Request-Id": "abc-1.2_3"}).headers["X-Request-Id"] \
        == "abc-1.2_3"
    for bad in ("a b", "x" * 129, "<script>"):
        echoed = client.get("/v10/version", headers={"X-Request-Id": bad}).headers["X-Request-Id"]
        assert echoed and echoed != bad


def test_certificate(site):
    client = site.client("lakeside-energy")
    problem(client.get("/v10/cipher"), 404)
    pem = site.env.certificate.pem
    answer = client.upload_certificate(pem, "my%20key.pem")
    assert (answer.status_code, answer.json()) == (201, "my key.pem")
    info = client.get("/v10/cipher").json()
    assert list(info) == ["ccid", "name", "size", "lastModified"]
    assert (info["ccid"], info["name"], info["size"]) == ("lakeside-energy", "my key.pem", len(pem))
    assert TIME.match(info["lastModified"])


def test_certificate_as_raw_pem_replaces_the_first(site):
    client = site.client("lakeside-energy")
    answer = client.post("/v10/cipher/raw.pem", data=site.env.certificate.pem,
                         headers={"Content-Type": "application/x-pem-file"})
    assert (answer.status_code, answer.json()) == (201, "raw.pem")
    assert client.get("/v10/cipher").json()["name"] == "raw.pem"
    rows = site.sql("SELECT detail FROM udm.audit WHERE ccid = 'lakeside-energy'"
                    " AND action LIKE 'certificate%%' ORDER BY id")
    assert rows and site.env.certificate.fingerprint in json.dumps(rows[-1][0])


@pytest.mark.parametrize("name", ["%20", "a%C2%A0b", "%C3%A9" * 127 + "x"])
def test_certificate_names_that_are_some(site, client, name):
    answer = client.post(f"/v10/cipher/{name}", files={"file": ("c.pem", site.env.certificate.pem)})
    assert answer.status_code == 201, answer.text


def test_sources_and_types(client):
    sources = client.get("/v10/data/sources")
    assert sources.status_code == 200
    assert [list(s) for s in sources.json()] == [["label", "value"]] * len(sources.json())
    assert {"UCS", "UCSX"} <= {s["value"] for s in sources.json()}
    types = client.get("/v10/data/types", params={"source": "UCS"}).json()
    assert sorted(t["name"] for t in types) == ["Contact", "Interaction"]
    assert {t["source"] for t in types} == {"UCS"}
    assert client.get("/v10/data/types?source=Contact%20History").json() == types
    assert len(client.get("/v10/data/types?").json()) == 4


def test_no_sources_without_a_role(site):
    client = site.client(token=site.env.tokens.token(roles=["somebody else's"]))
    for path in ("/v10/data/sources", "/v10/data/types", "/v10/data/types?source=nonsense"):
        answer = client.get(path)
        assert (answer.status_code, answer.content) == (204, b"")


def test_job_is_created_and_seen(client):
    body = client.job(title="tëst 🙂 \"quoted\" \\ back", media=["email"], attachments=True,
                      time_frame={"dateFrom": "2026-01-01", "dateTo": "2026-02-01T00:00:00+02:00"},
                      description="why", split="1 MiB")
    answer = client.post("/v10/export/jobs", json=body)
    assert answer.status_code == 202, answer.text
    info = answer.json()
    assert list(info) == JOB_INFO
    assert (info["title"], info["type"], info["source"]) == (body["title"], "Interaction", "UCS")
    assert (info["dateFrom"], info["dateTo"]) == ("2026-01-01T00:00:00.000Z",
                                                  "2026-01-31T22:00:00.000Z")
    assert (info["status"], info["fileName"], info["parentId"]) == ("QUEUED", None, 0)
    assert info["media"] == ["email"] and info["exportAttachments"] is True
    assert TIME.match(info["createdDate"])
    assert answer.headers["Location"] == f"{client.base}/v10/export/jobs/{info['id']}"
    assert client.get(f"/v10/export/jobs/{info['id']}").json() == info
    run = client.runs(info["id"])[0]
    assert run["parentId"] == info["id"] and run["id"] != info["id"]
    assert client.get(f"/v10/export/history/{run['id']}").json() == run
    progress = client.get(f"/v10/export/history/{run['id']}/progress")
    assert progress.json() == {"progress": 0, "status": "QUEUED"}
    # one sequence: the id of the one is never an id of the other
    problem(client.get(f"/v10/export/history/{info['id']}"), 404)
    problem(client.get(f"/v10/export/jobs/{run['id']}"), 404)


def test_job_json_with_charset(client):
    answer = client.post("/v10/export/jobs", data=json.dumps(client.job()),
                         headers={"Content-Type": "Application/JSON ; charset=utf-8"})
    assert answer.status_code == 202


def test_job_is_audited(site, client):
    before = site.sql("SELECT count(*) FROM udm.audit WHERE action = 'job.create'")[0][0]
    answer = client.post("/v10/export/jobs", json=client.job(), headers={"X-Request-Id": "audit-1"})
    rows = site.sql("SELECT ccid, subject, key_id, object, host(client_address::inet), request_id"
                    " FROM udm.audit WHERE action = 'job.create' ORDER BY id DESC LIMIT 1")
    assert site.sql("SELECT count(*) FROM udm.audit WHERE action = 'job.create'")[0][0] == before + 1
    assert rows[0] == ("harbour-insurance", "tester", client.key.split("_")[1],
                       str(answer.json()["id"]), "127.0.0.1", "audit-1")


@pytest.mark.parametrize("key", ["x", "x" * 255, '"quoted"', '"a\\"b\\\\c"',
                                 "8e03978e-40d5-43dd-bc93-6894a57f9324"])
def test_sent_twice_is_done_once(site, client, key):
    def send():
        return client.post("/v10/export/jobs", json=client.job(), headers={"Idempotency-Key": key})
    first, again = send(), send()
    assert first.status_code == again.status_code == 202
    assert first.content == again.content
    for name in ("Location", "ETag", "Content-Type"):
        assert first.headers[name] == again.headers[name]
    assert site.sql("SELECT count(*) FROM udm.idempotency WHERE job_id = %s", [first.json()["id"]]) == [(1,)]


def test_quotes_around_a_key_are_no_part_of_it(client):
    answers = [client.post("/v10/export/jobs", json=client.job(), headers={"Idempotency-Key": key})
               for key in ("same-key", '"same-key"')]
    assert answers[0].json() == answers[1].json()


def test_one_resource_is_asked_for_again(site, client):
    """Tags: 304 for what the client has, 412 for what it does not, and the same in a 202."""
    published = PublishedFile(site)
    created = client.post("/v10/export/jobs", json=client.job())
    paths = [f"/v10/export/jobs/{published.job_id}", f"/v4/export/jobs/{published.job_id}",
             f"/v10/export/history/{published.run_id}", f"/v10/export/history/{published.run_id}/progress",
             "/v10/cipher", f"/v10/export/jobs/{created.json()['id']}"]
    for path in paths:
        answer = client.get(path)
        assert answer.headers["Cache-Control"] == "private, no-cache"
        tag = answer.headers["ETag"]
        assert re.fullmatch(r'"[0-9a-f]{32}"', tag)
        for method in ("GET", "HEAD"):
            again = client.request(method, path, headers={"If-None-Match": f'"other", W/{tag}'})
            assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
            assert again.headers["Cache-Control"] == "private, no-cache"
        assert client.get(path, headers={"If-None-Match": '"other"'}).content == answer.content
        assert client.get(path, headers={"If-Match": f'"other", {tag}'}).content == answer.content
        problem(client.get(path, headers={"If-Match": '"other"'}), 412)
        # there is no date to compare with, so these say nothing (RFC 9110 13.1)
        for name in ("If-Modified-Since", "If-Unmodified-Since"):
            for date in ("Mon, 01 Jan 2001 00:00:00 GMT", "Fri, 31 Dec 2100 00:00:00 GMT"):
                assert client.get(path, headers={name: date}).status_code == 200
    assert tag == created.headers["ETag"]
    assert "ETag" not in client.post("/v4/export/jobs", json=client.job()).headers


def test_many_are_deleted(client):
    """However the ids are written, each counts once; what is gone already is left."""
    def new():
        return client.create_job(schedule={"startDate": "2099-01-01"})["id"]
    a, b, c = new(), new(), new()
    answer = client.delete(f"/v10/export/jobs?jobIDs={a},%20{b}%20,,{a}&jobIDs={b}")
    assert (answer.status_code, answer.content) == (204, b"")
    answer = client.delete(f"/v10/export/jobs?jobIDs={b},{c},{b}")
    assert (answer.status_code, answer.json()) == (500, [b])
    assert [client.get(f"/v10/export/jobs/{i}").status_code for i in (a, b, c)] == [404] * 3


def test_lists(site, client):
    ids = [client.create_job(title=f"listed {i}")["id"] for i in range(3)]
    page = client.get("/v10/export/jobs", params={"title": "LISTED", "orderField": "id",
                                                  "descAsc": "true", "from": 1, "size": 1}).json()
    assert list(page) == ["count", "from", "items", "size"]
    assert (page["count"], page["from"], page["size"]) == (3, 1, 1)
    assert [item["id"] for item in page["items"]] == [ids[1]]
    past = client.get("/v10/export/jobs?title=listed&from=99")
    assert past.status_code == 200 and past.json()["items"] == [] and past.json()["count"] == 3
    assert client.get("/v10/export/history?title=listed").json()["count"] == 3
    none = client.get("/v10/export/history?title=there%20is%20none")
    assert (none.status_code, none.content) == (204, b"")
    assert client.get("/v10/export/jobs?title=there%20is%20none").status_code == 204
    for bad in ("orderField=nonsense", "size=-1", "from=-1", "descAsc=perhaps", "suspend=7"):
        problem(client.get("/v10/export/jobs?" + bad), 400)
    problem(client.get("/v10/export/history?status=nonsense"), 400)
    problem(client.get("/v10/export/jobs?title=%ff"), 400)
    # requests would repair this one
    status, body = site_get(site, client, "/udm/v10/export/jobs?title=%zz")
    assert status == 400 and b'"status":400' in body


def test_long_list_is_streamed_whole(site, client):
    site.sql("INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type,"
             " schedule, status) SELECT 'harbour-insurance', 'UCS', 'UCS', 'Contact', 'long ' || n, true,"
             " 'once', '{}', 'SCHEDULED' FROM generate_series(1, 3500) n")
    answer = client.get("/v10/export/jobs?title=long%20&orderField=id")
    assert answer.status_code == 200 and "Content-Length" not in answer.headers
    page = answer.json()
    assert page["count"] == 3500
    assert [i["title"] for i in page["items"]] == [f"long {n}" for n in range(1, 3501)]
    head = client.request("HEAD", "/v10/export/jobs?title=long%20")
    assert (head.status_code, head.content) == (200, b"")
    site.sql("DELETE FROM udm.job WHERE title LIKE 'long %%'")


def test_file_metadata(site, client):
    empty = client.get("/v10/file-metadatas?jobTitle=there%20is%20none")
    assert empty.status_code == 200
    assert empty.json() == {"count": 0, "from": 0, "items": [], "size": 999999999}
    published = PublishedFile(site, content=b"x" * 1234, title="for metadata")
    item = client.get("/v10/file-metadatas?jobTitle=for%20meta").json()["items"][0]
    assert list(item) == ["id", "name", "size", "type", "source", "jobTitle", "jobId", "historyId",
                          "createdDate", "expirationDate", "remainingDays", "sha256"]
    assert (item["name"], item["size"], item["sha256"]) == (published.name, 1234, published.sha256)
    assert (item["jobId"], item["historyId"], item["remainingDays"]) == (published.job_id,
                                                                       published.run_id, 30)
    assert TIME.match(item["createdDate"]) and TIME.match(item["expirationDate"])


@pytest.mark.parametrize("path", ["/v10/export/jobs/999999", "/v10/export/history/999999",
                                  "/v10/files/export-00000000-0000-0000-0000-000000000000.zip.smime",
                                  "/v10/files/nothing", "/v10/nothing", "/v11/version", "/v4/version",
                                  "/", "/v10", "/openapi", "/v3/export/jobs",
                                  "/v10/files/" + "x" * 5000, "/v10/files/%ff%fe"])
def test_unknown(client, path):
    problem(client.get(path), 404)


@pytest.mark.parametrize("path", ["/v10/files/../../../../etc/passwd", "/v10/files/%2e%2e",
                                  "/v10/files/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/v10/files/a%00b",
                                  "/v10/files/..%2f..%2fetc%2fpasswd"])
def test_no_path_leads_out(site, client, path):
    site.httpd.allow_log("AH10244")
    status, body = site_get(site, client, "/udm" + path)
    # outside the mount and for %00 and %2f the answer is httpd's own
    assert status in (400, 404) and b"root:" not in body


def test_the_mount_itself_is_no_resource(site, client):
    status, body = site_get(site, client, "/udm")
    assert status == 404 and b'"status":404' in body


def test_unknown_progress_is_a_400(client):
    problem(client.get("/v10/export/history/999999/progress"), 400)
    for bad in ("x", "0", "-1", "1e3", "99999999999999999999"):
        problem(client.get(f"/v10/export/history/{bad}/progress"), 400)
        problem(client.get(f"/v10/export/jobs/{bad}"), 400)


@pytest.mark.parametrize("path, allow", [
    ("/v10/version", {"GET", "HEAD", "OPTIONS"}), ("/openapi.json", {"GET", "HEAD", "OPTIONS"}),
    ("/v10/export/jobs", {"DELETE", "GET", "HEAD", "OPTIONS", "POST"}),
    ("/v10/cipher/x", {"OPTIONS", "POST"}), ("/v4/export/jobs/cancel/1", {"OPTIONS", "POST"}),
    ("/v10/export/jobs/1", {"DELETE", "GET", "HEAD", "OPTIONS", "PUT"})])
def test_methods(site, path, allow):
    client = Client(site.httpd.url)
    options = client.request("OPTIONS", path)
    assert (options.status_code, options.content) == (204, b"")
    assert set(options.headers["Allow"].split(", ")) == allow
    for method in ("PATCH", "TRACE", "PROPFIND"):
        answer = client.request(method, path)
        problem(answer, 405)
        assert set(answer.headers["Allow"].split(", ")) == allow
    problem(client.request("OPTIONS", "/v10/nothing"), 404)


def test_head_is_get_without_the_body(client):
    for path in ("/v10/version", "/v10/data/sources", "/v10/export/jobs/0"):
        get, head = client.get(path), client.request("HEAD", path)
        assert head.content == b"" and head.status_code == get.status_code
        assert head.headers["Content-Length"] == get.headers["Content-Length"]
        assert head.headers["Content-Type"] == get.headers["Content-Type"]


@pytest.mark.parametrize("accept, status", [
    ("application/json", 200), ("*/*", 200), ("text/html, application/*;q=0.1", 200),
    ("application/problem+json", 200), ("text/html", 406), ("application/json;q=0", 406),
    ("text/*;q=1, application/json; q=0.0", 406)])
def test_accept(client, accept, status):
    answer = client.get("/v10/version", headers={"Accept": accept})
    assert answer.status_code == status
    if status == 406:
        problem(answer, 406)


def test_tenants_do_not_see_each_other(site, client):
    mine = PublishedFile(site, title="mine alone")
    job = client.create_job(title="mine alone")["id"]
    other = site.client("lakeside-energy")
    run = client.runs(job)[0]["id"]
    unknown = other.get("/v10/export/jobs/999999").content
    for path, status in ((f"/v10/export/jobs/{job}", 404), (f"/v10/export/history/{run}", 404),
                         (f"/v10/export/history/{run}/progress", 400), (f"/v10/files/{mine.name}", 404)):
        problem(other.get(path), status)
        assert client.get(path).status_code in (200, 303)
    assert other.get(f"/v10/export/jobs/{job}").content == unknown
    for path in ("/v10/export/jobs", "/v10/export/history"):
        assert other.get(path + "?title=mine").status_code == 204
    assert other.get("/v10/file-metadatas?jobTitle=mine").json()["count"] == 0


def test_roles_hide_what_they_do_not_grant(site, client):
    job = client.create_job()["id"]
    outsider = site.client(token=site.env.tokens.token(roles=["iWD Administrator"]))
    problem(outsider.get(f"/v10/export/jobs/{job}"), 404)
    assert outsider.get("/v10/export/jobs").status_code == 204
    problem(outsider.post("/v10/export/jobs", json=client.job()), 403)
