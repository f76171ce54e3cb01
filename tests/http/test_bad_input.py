"""What is wrong in a request is said in the answer, and nothing is changed by it."""
import gzip
import json
import socket

import pytest
from cryptography import x509

from udmtest.crypto import Certificate, ec_key, private_pem, rsa_key

JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def nothing_changes(site, client):
    """Every test of this module must leave the installation as it was."""
    def state():
        return site.sql("SELECT (SELECT count(*) FROM udm.job), (SELECT count(*) FROM udm.run),"
                        " (SELECT json_agg(c ORDER BY ccid)::text FROM udm.certificate c)")
    before = state()
    yield
    assert state() == before


def problem(answer, status, *words):
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    for word in words:
        assert word.lower() in answer.text.lower()
    return answer.json()


@pytest.mark.parametrize("body, word", [
    (b"", "no body"), (b"{", "line"), (b"not json", "line"), (b"[]", ""), (b"null", ""), (b"{}", ""),
    (b'{"title":"\xff"}', "utf-8"), (b"[" * 1000 + b"]" * 1000, "deep"),
    (b'{"a":1,"a":2}', "duplicate"), (b'{"title":"\\u0000"}', "")])
def test_body_that_is_no_job(client, body, word):
    problem(client.post("/v10/export/jobs", data=body, headers=JSON), 400, word)


def test_every_fault_is_named(client):
    body = client.job(source="", title="", schedule={}, time_frame={"dateFrom": "yesterday"})
    body["jobParams"] = {"media": "email"}
    answer = problem(client.post("/v10/export/jobs", json=body), 400)
    pointers = {e["pointer"] for e in answer["errors"]}
    assert {"/source", "/title", "/timeFrame/dateFrom", "/jobParams/type", "/jobParams/media"} <= pointers
    assert all(e["detail"] for e in answer["errors"])


@pytest.mark.parametrize("change, pointer", [
    ({"source": "NOPE"}, "/source"), ({"data_type": "NOPE"}, "/jobParams/type"),
    ({"family": "DataSync"}, "/type"), ({"media": ["pigeon"]}, "/jobParams/media"),
    ({"time_frame": {"dateFrom": "2026-02-30"}}, "/timeFrame/dateFrom"),
    ({"time_frame": {"dateFrom": "2026-02-02", "dateTo": "2026-02-01"}}, "/timeFrame/dateTo"),
    ({"split": "1 KB"}, "/jobParams/fileSplitSize"), ({"split": "much"}, "/jobParams/fileSplitSize"),
    ({"schedule": {"startDate": "soon"}}, "/schedulerParam/startDate"),
    ({"title": "x" * 256}, "/title")])
def test_wrong_member(client, change, pointer):
    answer = problem(client.post("/v10/export/jobs", json=client.job(**change)), 400)
    assert [e for e in answer["errors"] if e["pointer"].startswith(pointer)], answer


@pytest.mark.parametrize("key", ["x" * 256, '"' + "x" * 256 + '"', "x" * 8000, '"' + '\\"' * 256 + '"', '""'])
def test_key_of_a_retry_that_is_too_long(client, key):
    problem(client.post("/v10/export/jobs", json=client.job(), headers={"Idempotency-Key": key}), 400,
            "Idempotency-Key", "255")


@pytest.mark.parametrize("name", ["x" * 256, "%C3%A4" * 128, "x" * 8000])
def test_name_of_a_certificate_that_is_too_long(site, client, name):
    problem(client.upload_certificate(site.env.certificate.pem, name), 400, "255")


def test_body_of_another_type(client):
    for kind in ("text/plain", "application/xml", "application/jsonp", None):
        answer = client.post("/v10/export/jobs", data=json.dumps(client.job()).encode(),
                             headers={"Content-Type": kind} if kind else {})
        problem(answer, 415, "application/json")


def test_a_packed_body(site, client):
    """It says which header is at fault, and what is taken (RFC 9110 12.5.3)."""
    packed = gzip.compress(json.dumps(client.job()).encode())
    for coding in ("gzip", "GZIP", "br", "zstd", "x-gzip", "deflate", "identity, gzip", "gzip,identity", ", br"):
        for method, path, kind in (("POST", "/v10/export/jobs", "application/json"),
                                   ("POST", "/v4/export/jobs", "application/json"),
                                   ("POST", "/v10/cipher/x.pem", "application/x-pem-file"),
                                   ("POST", "/v10/cipher/x.pem", "multipart/form-data; boundary=b"),
                                   ("POST", "/v10/export/jobs", "text/plain")):
            answer = client.request(method, path, data=packed,
                                    headers={"Content-Type": kind, "Content-Encoding": coding})
            problem(answer, 415, "Content-Encoding")
            assert answer.headers["Accept-Encoding"] == "identity"
    for coding in ("identity", "Identity", "", ", identity"):
        problem(client.post("/v10/export/jobs", data=b"{}", headers={**JSON, "Content-Encoding": coding}), 400)
    # one that is of another type, or has no body, says that
    answer = client.post("/v10/export/jobs", data=b"x", headers={"Content-Type": "text/plain"})
    assert "Accept-Encoding" not in answer.headers
    problem(client.post("/v10/export/jobs", headers={**JSON, "Content-Encoding": "gzip"}), 400, "no body")


@pytest.mark.parametrize("coding, status", [("gzip, chunked", 415), ("GZIP,chunked", 415), ("deflate , chunked", 415),
                                            ("chunked", 400), ("Chunked", 400)])
def test_a_packed_transfer(site, client, coding, status):
    """The other header that can say so; httpd takes the pieces apart, and leaves the rest."""
    body = gzip.compress(json.dumps(client.job()).encode()) if status == 415 else b"{"
    head = (f"POST /udm/v10/export/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nx-api-key: {client.key}\r\n"
            f"Authorization: Bearer {client.token}\r\nContent-Type: application/json\r\nTransfer-Encoding: {coding}\r\n\r\n")
    with socket.create_connection(("127.0.0.1", site.httpd.port), 10) as raw:
        raw.sendall(head.encode() + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        answer = b""
        while data := raw.recv(65536):
            answer += data
    assert int(answer.split()[1]) == status, answer
    assert (b"Transfer-Encoding says" in answer) == (status == 415)


def test_a_parameter_twice(client):
    for path in ("/v10/export/jobs?size=1&size=x", "/v10/export/history?from=1&from=1", "/v4/export/jobs?title=a&title=b",
                 "/v3/file-metadatas?name=a&name=", "/v10/data/types?source=UCS&source=UCSX",
                 "/v10/data/sub-types?source=UCS&dataType=Contact&dataType=Contact", "/v10/export/jobs?si%7ae=1&size=1"):
        problem(client.get(path), 400, "twice")
    # lists are given at once or one by one, and what is unknown is passed over
    assert client.get("/v10/data/attributes?entities=Contact&entities=Interaction").status_code == 200
    assert len(client.get("/v10/files?filename=a&filename=b").json()) == 2
    assert client.get("/v10/data/types?x=1&x=2").status_code == 200


def test_body_over_the_limit(client):
    big = json.dumps(client.job(description="x" * 1100000)).encode()
    problem(client.post("/v10/export/jobs", data=big, headers=JSON), 413, "1048576")
    problem(client.post("/v10/export/jobs", data=iter([big]), headers=JSON), 413, "1048576")


def test_limit_of_the_server(site, client):
    """LimitRequestBody is httpd's, but its answer is JSON like every other."""
    site.httpd.location = ["LimitRequestBody 1000"]
    site.httpd.stop()
    site.httpd.start()
    try:
        big = json.dumps(client.job(description="x" * 3000)).encode()
        site.httpd.allow_log("AH01587|AH01588|AH01589")
        for data in (big, iter([big])):
            problem(site.client().post("/v10/export/jobs", data=data, headers=JSON), 413)
    finally:
        site.httpd.location = []
        site.httpd.stop()
        site.httpd.start()


def test_a_length_that_is_only_said(site, client):
    """Where any body is taken, one that was announced and does not come costs nothing."""
    site.httpd.location = ["LimitRequestBody 0", "UDMMaxBody 9223372036854775807"]
    site.httpd.stop()
    site.httpd.start()
    try:
        with socket.create_connection(("127.0.0.1", site.httpd.port), 20) as s:
            s.sendall((f"POST /udm/v10/export/jobs HTTP/1.1\r\nHost: x\r\nx-api-key: {client.key}\r\n"
                       f"Authorization: Bearer {client.token}\r\nContent-Type: application/json\r\n"
                       "Content-Length: 9223372036854775807\r\n\r\n{").encode())
            s.shutdown(socket.SHUT_WR)
            answer = s.recv(65536)
        assert answer.startswith(b"HTTP/1.1 400") and b"could not be read" in answer, answer
        # what comes is taken, also beyond what room is made for at once
        big = json.dumps({"unknown": "x" * 3000000}).encode()
        problem(client.post("/v10/export/jobs", data=big, headers=JSON), 400, "/title")
    finally:
        site.httpd.location = []
        site.httpd.stop()
        site.httpd.start()


def test_broken_chunks(site, client):
    with socket.create_connection(("127.0.0.1", site.httpd.port), 20) as s:
        s.sendall((f"POST /udm/v10/export/jobs HTTP/1.1\r\nHost: x\r\nx-api-key: {client.key}\r\n"
                   f"Authorization: Bearer {client.token}\r\nContent-Type: application/json\r\n"
                   "Transfer-Encoding: chunked\r\n\r\nnonsense\r\n").encode())
        site.httpd.allow_log("AH01590|AH02751")
        answer = s.recv(65536)
        while b"\r\n\r\n" not in answer or not answer.rstrip().endswith(b"}"):
            more = s.recv(65536)
            assert more, answer
            answer += more
    assert answer.startswith(b"HTTP/1.1 400") and answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "a b", "a\tb", "ü".encode(), '"a"b"',
                                 '"a\\b"', '"a b"', '"a\\"'])
def test_bad_idempotency_key(client, key):
    answer = client.post("/v10/export/jobs", json=client.job(), headers={"Idempotency-Key": key})
    problem(answer, 400, "Idempotency-Key", "255")


@pytest.mark.parametrize("ids", ["", "?jobIDs=", "?jobIDs=,%20,", "?jobIDs=1,x", "?jobIDs=0", "?jobIDs=1,-2",
                                 "?jobIDs=1.5", "?jobIDs=99999999999999999999", "?jobids",
                                 "?jobIDs=" + ",".join(["1"] * 1001)])
def test_bad_ids(client, ids):
    for path in ("/v10/export/jobs", "/v4/export/jobs", "/v10/export/history", "/v4/export/history"):
        problem(client.delete(path + ids), 400, "jobIDs")


def test_bad_ids_name_the_first_and_delete_nothing(client):
    answer = problem(client.delete("/v10/export/jobs?jobIDs=1,2x,3y"), 400, "2x", "nothing was deleted")
    assert "3y" not in answer["detail"]
    # bytes that are no text do not get as far as that
    problem(client.delete("/v10/export/jobs?jobIDs=%ff"), 400)


def test_no_certificate(site):
    client = site.client("lakeside-energy")
    problem(client.post("/v10/export/jobs", json=client.job()), 400, "certificate")


NO_KEY_ENCIPHERMENT = x509.KeyUsage(
    digital_signature=True, content_commitment=False, data_encipherment=False, key_agreement=False,
    key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    key_encipherment=False)

# What is uploaded, made from a folder for certificates and a good one; and a word of the answer.
BAD_CERTIFICATES = {
    "expired": (lambda d, good: Certificate(d, key=good.key, days=-1).pem, "expired"),
    "not yet": (lambda d, good: Certificate(d, key=good.key, start_days=1, days=3).pem, "not"),
    "1024 bit": (lambda d, good: Certificate(d, key=rsa_key(1024)).pem, "2048"),
    "EC": (lambda d, good: Certificate(d, key=ec_key()).pem, "RSA"),
    "key usage": (lambda d, good: Certificate(d, key=good.key, key_usage=NO_KEY_ENCIPHERMENT).pem,
                  "usage"),
    "private key": (lambda d, good: private_pem(good.key), "private key"),
    "both": (lambda d, good: good.pem + private_pem(good.key), "private key"),
    "chain": (lambda d, good: good.pem + Certificate(d, key=good.key).pem, "one"),
    "rubbish": (lambda d, good: "rubbish", "PEM"),
    "broken": (lambda d, good: good.pem.replace("MII", "!!!"), ""),
    "cut": (lambda d, good: good.pem[:len(good.pem) // 2], ""),
    "empty": (lambda d, good: "", "empty"),
}


@pytest.mark.parametrize("kind", BAD_CERTIFICATES)
def test_certificate_that_is_none(site, client, kind):
    make, word = BAD_CERTIFICATES[kind]
    pem = make(site.env.make_directory("bad-certificates"), site.env.certificate)
    problem(client.upload_certificate(pem), 400, word)


def test_certificate_in_der(site, client):
    answer = client.post("/v10/cipher/c.der", files={"file": ("c.der", site.env.certificate.der)})
    problem(answer, 400, "DER")


@pytest.mark.parametrize("name", ["%01", "a%0Ab", "a%7Fb", "a%C2%80b", "a%C2%9Bb", "%FF", "%5C", "%C3%A9" * 128])
def test_certificate_names_that_are_none(site, client, name):
    answer = client.post(f"/v10/cipher/{name}", files={"file": ("c.pem", site.env.certificate.pem)})
    problem(answer, 400, "plain file name")


def test_certificate_too_large(site, client):
    pem = site.env.certificate.pem
    problem(client.upload_certificate(pem + "x" * 70000), 413)
    problem(client.upload_certificate("x" * 10_000_000), 413)


def test_certificate_forms(site, client):
    pem = site.env.certificate.pem
    path = "/v10/cipher/c.pem"
    boundary = {"Content-Type": "multipart/form-data; boundary=b"}
    part = 'Content-Disposition: form-data; name="file"; filename="c.pem"'
    problem(client.post(path), 400, "no body")
    problem(client.post(path, data=pem, headers=JSON), 415, "multipart/form-data")
    problem(client.post(path, data=pem, headers={"Content-Type": "multipart/form-data"}), 400, "boundary")
    problem(client.post(path, files={"other": ("c.pem", pem)}), 400, '\\"file\\"')
    for body in (f"--b\r\n{part}\r\n\r\n{pem}",                       # no end
                 f"--b\r\n{part}\r\n{pem}\r\n--b--\r\n",              # no empty line
                 f"--c\r\n{part}\r\n\r\n{pem}\r\n--c--\r\n",          # another boundary
                 f"--b\r\n{part}\r\n\r\n{pem}\r\n--b\r\n{part}\r\n\r\n{pem}\r\n--b--",  # twice
                 f"--b\r\n{part}\r\nContent-Transfer-Encoding: base64\r\n\r\n{pem}\r\n--b--",
                 "--b\r\n", "--b", "--", "--b--"):
        problem(client.post(path, data=body, headers=boundary), 400)


@pytest.mark.parametrize("name, status", [("..", 404), ("a%5Cb", 400), ("a%01b", 400),
                                          ("a%7fb", 400), ("x" * 256, 400), ("%ff", 400)])
def test_certificate_with_a_bad_name(site, client, name, status):
    problem(client.upload_certificate(site.env.certificate.pem, name), status)


def test_role_without_the_right(site):
    site.sql("INSERT INTO udm.role (name, may_certificate) VALUES ('reader', false)"
             " ON CONFLICT DO NOTHING")
    client = site.client(token=site.env.tokens.token(roles=["reader"]))
    problem(client.upload_certificate(site.env.certificate.pem), 403, "right")
