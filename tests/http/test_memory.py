"""What a request costs the server in memory, whatever is in it: in proportion to its size.

The unit tests measure each member of a body by itself; here it is the whole server that is looked at.
"""
import json
import threading
import uuid

import pytest

from udmtest.resources import children

JSON = {"Content-Type": "application/json"}
MIB = 1 << 20
# What tests/unit/test_memory.c allows for reading a body of 1 MiB, and the body itself with its way
# through httpd.
MOST = 18 * MIB + 8 * MIB
AT_ONCE = 3


def peak(site):
    """What the server's processes have used at most since they began, in bytes."""
    total = 0
    for child in children(site.httpd.process.pid):
        with open(f"/proc/{child.pid}/status", encoding="ascii") as f:
            total += sum(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:"))
    return total


def many(text, size=MIB - 2000):
    return "[" + ",".join([text] * (size // (len(text) + 1))) + "]"


def body(client, **params):
    """A job with texts of JSON for some members of jobParams."""
    job = client.job(media=["@media"])
    job["jobParams"]["filters"] = "@filters"
    text = json.dumps(job)
    text = text.replace('["@media"]', params.get("media", "[]"))
    return text.replace('"@filters"', params.get("filters", "[]")).encode()


def bodies(client):
    wrong = '{"attribute":"a","operator":"in","value":%s}'
    yield "media", body(client, media=many('"x"'))
    yield "media that are none", body(client, media=many("1"))
    yield "objects for media", body(client, media=many("{}"))
    yield "a thousand media that there are not", body(client, media=many('"%s"' % ("x" * 250), 253000))
    yield "filters", body(client, filters=many("[]"))
    yield "values", body(client, filters="[" + wrong % many("1") + "]")
    yield "filters with all values there may be", body(
        client, filters="[" + ",".join([wrong % many("1", 2000)] * 20) + "]")
    yield "filters with faults alone", body(
        client, filters="[" + ",".join([wrong % many("[]", 2800)] * 20) + "]")
    yield "a long title", json.dumps(client.job(title="x" * (MIB - 2000))).encode()
    yield "zeros", json.dumps(client.job(split="0" * (MIB - 2000) + "1 MB")).encode()
    yield "unknown members", json.dumps(
        {**client.job(), **{f"m{n}": {} for n in range(70000)}}).encode()


def at_once(call):
    """The answers to several requests at the same time."""
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(call())) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == AT_ONCE
    return answers


@pytest.fixture(scope="module")
def job(site):
    return site.client().create_job(schedule={"startDate": "2040-01-01"})["id"]


@pytest.mark.parametrize("way", ["POST v10", "POST v4", "PUT v10", "PUT v4", "POST with a key"])
def test_bodies(site, client, job, way):
    method, _, rest = way.partition(" ")
    version = "v4" if rest == "v4" else "v10"
    path = f"/{version}/export/jobs" + (f"/{job}" if method == "PUT" else "")

    def call(data):
        headers = {**JSON, "Idempotency-Key": str(uuid.uuid4())} if "key" in rest else JSON
        return site.client().request(method, path, data=data, headers=headers)

    assert call(b"{}").status_code == 400
    for name, data in bodies(client):
        before = peak(site)
        for answer in at_once(lambda data=data: call(data)):
            assert answer.status_code == 400, (name, answer.text[:300])
            assert len(answer.json().get("errors", [])) <= 100, name
            assert len(answer.content) < 200000, name
        grown = peak(site) - before
        assert grown <= AT_ONCE * MOST, f"{name}: {grown / MIB:.1f} MiB"


def test_there_are_more_faults(client):
    """Not all are listed, and that is said; what may be sent stands in each of them."""
    answer = client.post("/v10/export/jobs", json=client.job(media=[f"no {n}" for n in range(1000)]))
    assert answer.status_code == 400
    assert "there are more" in answer.json()["detail"]
    assert [e["pointer"] for e in answer.json()["errors"]] == [
        f"/jobParams/media/{n}" for n in range(100)]
    assert all("chat" in e["detail"] for e in answer.json()["errors"])
    answer = client.post("/v10/export/jobs", json=client.job(media=["no"] * 1001))
    assert [e["detail"] for e in answer.json()["errors"]] == ["must have at most 1000 media"]


@pytest.mark.parametrize("query", [
    "DELETE /v10/export/jobs?jobIDs=" + ",".join(["x"] * 3900),
    "DELETE /v10/export/history?" + "jobIDs=1&" * 880,
    "GET /v10/files?filename=" + "a," * 3900, "DELETE /v10/files?filename=" + "a," * 3900,
    "GET /v10/export/jobs?" + "a&" * 3900, "GET /v10/data/attributes?entities=" + "a," * 3900,
    "GET /v10/file-metadatas?name=" + "%41" * 2600])
def test_queries(site, client, query):
    method, _, path = query.partition(" ")
    client.request(method, path)
    before = peak(site)
    for answer in at_once(lambda: site.client().request(method, path)):
        assert answer.status_code in (200, 204, 400, 404, 500), answer.text[:300]
    assert peak(site) - before <= AT_ONCE * 100 * len(query) + 4 * MIB
