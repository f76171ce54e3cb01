"""UDMEnvelope wrapped: every JSON answer is the bare one in an envelope, and nothing else changes."""
import re

import pytest

from udmtest.api import Client
from udmtest.files import PublishedFile
from udmtest.site import Site

WRAPPED = "/data-download"
GOOD = {"code": 0, "detail": {}, "message": "successful"}
UNKNOWN = "export-00000000-0000-4000-8000-000000000000.zip.smime"


@pytest.fixture(scope="module")
def site(env):
    result = Site(env)
    result.httpd.mounts = {WRAPPED: ["UDMEnvelope wrapped"]}
    result.httpd.start()
    yield result
    result.close()


@pytest.fixture(scope="module")
def wrapped(site, client):
    """The same caller at the mount that wraps."""
    return Client(site.httpd.at(WRAPPED), client.key, client.token, site.env.secrets)


def data(answer, status=200):
    """What is in the envelope of a success."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert list(body) == ["status", "data"] and body["status"] == GOOD
    return body["data"]


def same_error(wrapped_answer, bare_answer):
    """Both say the same no, each in its form."""
    assert wrapped_answer.status_code == bare_answer.status_code >= 400
    assert bare_answer.headers["Content-Type"] == "application/problem+json"
    assert wrapped_answer.headers["Content-Type"] == "application/json"
    problem = bare_answer.json()
    assert wrapped_answer.json() == {"status": {"code": problem["status"], "detail": problem,
                                                "message": problem["title"]}}


def test_reading(site, client, wrapped):
    published = PublishedFile(site, title="to be read")
    for path in ("/v10/version", "/v3/version", "/v10/cipher", "/v10/data/sources", "/v10/data/types",
                 "/v10/data/sub-types", "/v10/data/attributes", "/v10/data/job-statuses",
                 "/v10/resources/labels", f"/v10/export/jobs/{published.job_id}",
                 f"/v4/export/jobs/{published.job_id}", f"/v10/export/history/{published.run_id}",
                 f"/v4/export/history/{published.run_id}/progress", "/v10/export/jobs?title=to%20be",
                 "/v4/export/history?title=to%20be", "/v3/file-metadatas?jobTitle=to%20be",
                 "/v10/file-metadatas?jobTitle=there%20is%20none"):
        bare = client.get(path)
        assert bare.status_code == 200, f"{path}: {bare.text}"
        answer = wrapped.get(path)
        assert data(answer) == bare.json(), path
        # the tag is that of what is inside
        assert answer.headers.get("ETag") == bare.headers.get("ETag"), path
        head = wrapped.request("HEAD", path)
        assert head.content == b"" and head.headers["Content-Type"] == "application/json"


def test_long_list(site, client, wrapped):
    site.sql("INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, schedule,"
             " status) SELECT 'harbour-insurance', 'UCS', 'UCS', 'Contact', 'many ' || n, true,"
             " 'once', '{}', 'SCHEDULED' FROM generate_series(1, 2500) n")
    page = data(wrapped.get("/v10/export/jobs?title=many%20&orderField=id"))
    assert [item["title"] for item in page["items"]] == [f"many {n}" for n in range(1, 2501)]
    assert page["count"] == 2500
    site.sql("DELETE FROM udm.job WHERE title LIKE 'many %%'")


def test_errors(client, wrapped):
    for method, path in (("GET", "/v10/export/jobs/999999"), ("GET", "/v10/export/jobs/x"),
                         ("GET", "/v10/nothing"), ("GET", "/v11/version"), ("PUT", "/v10/version"),
                         ("GET", "/v10/export/jobs?size=-1"), ("GET", "/v10/files/" + UNKNOWN),
                         ("DELETE", "/v10/export/jobs/999999"), ("DELETE", "/v3/files"),
                         ("GET", "/download/x?expires=1&signature=" + "0" * 64)):
        same_error(wrapped.request(method, path), client.request(method, path))
    body = client.job(title="")
    same_error(wrapped.post("/v10/export/jobs", json=body), client.post("/v10/export/jobs", json=body))
    assert wrapped.post("/v10/export/jobs", json=body).json()["status"]["detail"]["errors"]
    html = {"Accept": "text/html"}
    same_error(wrapped.get("/v10/version", headers=html), client.get("/v10/version", headers=html))


def test_errors_without_credentials(site):
    bare, wrapped = Client(site.httpd.url), Client(site.httpd.at(WRAPPED))
    for path in ("/v10/version", "/v3/cipher", "/v10/export/jobs"):
        same_error(wrapped.get(path), bare.get(path))
        assert wrapped.get(path).headers["WWW-Authenticate"].startswith("Bearer ")


def test_errors_that_httpd_makes(site, client, wrapped):
    published = PublishedFile(site, content=b"0123456789")
    past = {"Range": "bytes=99-"}
    answers = [c.get(c.link(published.name), headers=past) for c in (wrapped, client)]
    assert answers[0].headers["Content-Range"] == "bytes */10"
    same_error(*answers)


def test_arrays_of_what_is_missing(site, client, wrapped):
    """Documented bodies of a 404 and a 500: an array, and no line in the error log for either."""
    published = PublishedFile(site)
    for path, method, status, left in (
            (f"/v3/files?filename={UNKNOWN},{published.name}", "GET", 404, [{"path": UNKNOWN}]),
            (f"/v3/files?filename={UNKNOWN}", "DELETE", 500, [UNKNOWN]),
            ("/v10/export/jobs?jobIDs=999998,999999", "DELETE", 500, [999998, 999999]),
            ("/v4/export/history?jobIDs=999999", "DELETE", 500, [999999])):
        bare, answer = client.request(method, path), wrapped.request(method, path)
        assert (bare.status_code, bare.json()) == (status, left)
        assert bare.headers["Content-Type"] == answer.headers["Content-Type"] == "application/json"
        body = answer.json()
        assert answer.status_code == status and list(body) == ["status", "data"]
        assert body["data"] == left and body["status"]["code"] == status
        assert body["status"]["detail"]["status"] == status
        assert body["status"]["message"] == body["status"]["detail"]["title"]
    assert "UDM0040" not in site.httpd.watch.text()


def test_changing(site, client, wrapped):
    later = {"startDate": "2099-01-01"}
    answer = wrapped.post("/v10/export/jobs", json=client.job(schedule=later))
    info = data(answer, 202)
    path = f"/v10/export/jobs/{info['id']}"
    assert answer.headers["Location"] == site.httpd.at(WRAPPED) + path
    assert data(wrapped.put(path, json=client.job(schedule=later, title="new")))["title"] == "new"
    assert data(wrapped.post("/v10/export/jobs/suspend/" + path.split("/")[-1]))["status"] == "SUSPENDED"
    assert data(wrapped.post("/v10/cipher/c.pem", data=site.env.certificate.pem, headers={
        "Content-Type": "application/x-pem-file"}), 201) == "c.pem"
    links = data(wrapped.get(f"/v10/files?filename={PublishedFile(site).name}"))
    assert links[0]["path"].startswith(site.httpd.at(WRAPPED) + "/download/")
    site.env.secrets.add(links[0]["path"].split("signature=")[1])


def test_v4_answers_of_their_own_are_not_wrapped_twice(client, wrapped):
    job = client.create_job(schedule={"startDate": "2099-01-01"})["id"]
    for verb in ("suspend", "resume"):
        for who in (client, wrapped):
            answer = who.post(f"/v4/export/jobs/{verb}/{job}")
            assert (answer.status_code, answer.json()) == (200, {"status": GOOD})


def test_empty_stays_empty(site, client, wrapped):
    published = PublishedFile(site)
    job = client.create_job(schedule={"startDate": "2099-01-01"})["id"]
    for method, path, status in (("GET", "/v10/export/jobs?title=there%20is%20none", 204),
                                 ("GET", f"/v10/files/{published.name}", 303),
                                 ("POST", f"/v10/export/jobs/cancel/{job}", 200),
                                 ("DELETE", f"/v10/files/{published.name}", 204),
                                 ("DELETE", f"/v10/export/jobs?jobIDs={job}", 204),
                                 ("OPTIONS", "/v10/version", 204)):
        answer = wrapped.request(method, path)
        assert (answer.status_code, answer.content) == (status, b""), path


def test_description_says_which(client, wrapped):
    """The description itself is the same kind of document everywhere; it describes its own mount."""
    bare, other = client.get("/openapi.json").json(), wrapped.get("/openapi.json").json()
    assert bare["openapi"] == other["openapi"] == "3.1.0"
    assert bare["paths"].keys() == other["paths"].keys()
    assert other["servers"][0]["url"].endswith(WRAPPED) and bare["servers"] != other["servers"]
    schema = other["paths"]["/v10/version"]["get"]["responses"]["200"]["content"]["application/json"]
    assert re.search('"data"', str(schema).replace("'", '"'))


def test_the_inner_section_decides(site, client):
    text = site.httpd.config() + (f'<Location "{WRAPPED}/v3">\nUDMEnvelope bare\n</Location>\n'
                                  '<Location "/udm/v4">\nUDMEnvelope wrapped\n</Location>\n')
    site.httpd.stop()
    # after the LoadModule that makes it known
    site.httpd.start(text.replace("\nErrorLog", "\nUDMEnvelope wrapped\nErrorLog", 1))
    try:
        def is_wrapped(url, path):
            return list(Client(url, client.key, client.token).get(path).json()) == ["status", "data"]
        # the main server says wrapped, so /udm is, too
        assert is_wrapped(site.httpd.url, "/v10/version")
        assert is_wrapped(site.httpd.at(WRAPPED), "/v10/version")
        assert not is_wrapped(site.httpd.at(WRAPPED), "/v3/version")
        assert is_wrapped(site.httpd.url, "/v3/version")
    finally:
        site.httpd.stop()
        site.httpd.start()
