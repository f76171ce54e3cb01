"""Links to files: made by a 303, checked before anything else, served by httpd's own file path."""
import base64
import hashlib
import hmac
import os
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from udmtest.api import Client
from udmtest.files import PublishedFile
from udmtest.process import wait_for

CONTENT = bytes(range(256)) * 4000


def problem(answer, status):
    assert answer.status_code == status, f"{answer.status_code} {answer.content[:300]}"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    return answer.json()


def resign(link, key):
    """The link as the given key would sign it."""
    found = re.search(r"/download/([^?]+)\?expires=(\d+)&signature=", link)
    text = f"GET\n{found[1]}\n{found[2]}".encode()
    return link[:found.end()] + hmac.new(bytes.fromhex(key), text, hashlib.sha256).hexdigest()


@pytest.fixture(scope="module")
def published(site):
    return PublishedFile(site, content=CONTENT)


@pytest.fixture
def link(client, published):
    return client.link(published.name)


def test_redirect(site, client, published):
    before = int(time.time())
    answer = client.get(f"/v10/files/{published.name}")
    assert (answer.status_code, answer.content) == (303, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    found = re.fullmatch(re.escape(client.base) + "/download/" + re.escape(published.name)
                         + r"\?expires=(\d+)&signature=[0-9a-f]{64}", answer.headers["Location"])
    assert found, answer.headers["Location"]
    assert before + 900 <= int(found.group(1)) <= time.time() + 901
    assert site.sql("SELECT count(*) FROM udm.audit WHERE action = 'file.link' AND object = %s",
                    [published.name])[0][0] >= 1


def test_download(site, client, published, link):
    answer = Client(site.httpd.url).get(link)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["ETag"] == f'"{published.sha256}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Type"] == "application/pkcs7-mime; smime-type=enveloped-data"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{published.name}"'
    assert "no-store" in answer.headers["Cache-Control"]
    assert "Last-Modified" in answer.headers and answer.headers["Repr-Digest"] == digest(published)
    rows = site.sql("SELECT ccid, subject, host(client_address::inet) FROM udm.audit"
                    " WHERE action = 'file.download' AND object = %s ORDER BY id DESC LIMIT 1",
                    [published.name])
    assert rows[0][0] == "harbour-insurance" and rows[0][2] == "127.0.0.1"


def test_cms_gcm_has_a_type_of_its_own(site, client):
    """By its name, whatever the Location says now (RFC 8551)."""
    published = PublishedFile(site, suffix="p7m")
    link = client.link(published.name)
    answer = Client(site.httpd.url).get(link)
    assert (answer.status_code, answer.content) == (200, published.content)
    assert answer.headers["Content-Type"] == "application/pkcs7-mime; smime-type=authEnveloped-data"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{published.name}"'
    part = Client(site.httpd.url).get(link, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, published.content[2:6])
    files = client.get("/v10/file-metadatas?name=.P7M").json()
    assert [f["name"] for f in files["items"]] == [published.name] and files["count"] == 1


@pytest.mark.parametrize("size", [1, 16384, 16385])
def test_small_file(site, client, size):
    """Small ones are read into memory, larger ones are not: nobody can tell."""
    published = PublishedFile(site, content=CONTENT[:size])
    link, anonymous = client.link(published.name), Client(site.httpd.url)
    answer = anonymous.get(link)
    assert (answer.status_code, answer.content) == (200, published.content)
    assert answer.headers["Content-Length"] == str(size)
    assert answer.headers["Repr-Digest"] == digest(published)
    assert anonymous.request("HEAD", link).headers["Content-Length"] == str(size)
    part = anonymous.get(link, headers={"Range": "bytes=-1"})
    assert (part.status_code, part.content) == (206, published.content[-1:])
    assert part.headers["Content-Range"] == f"bytes {size - 1}-{size - 1}/{size}"


def test_many_at_once(site, client, published):
    """Their lines in the audit are written together; each still gets its own answer and its own line."""
    files = [PublishedFile(site, content=f"file {i}\n".encode() * 100) for i in range(40)]
    links = {f.name: client.link(f.name) for f in files}
    deleted, gone, spoiled = files[3], files[11], files[17]
    site.sql("UPDATE udm.file SET removed_at = now(), removal = 'deleted' WHERE id = %s", [deleted.id])
    site.sql("UPDATE udm.file SET expires_at = now() - interval '1 second' WHERE id = %s", [gone.id])
    os.unlink(spoiled.path)
    site.httpd.allow_log("UDM0040")
    bad = {deleted.name: 404, gone.name: 410, spoiled.name: 500}

    def fetch(i):
        file = files[i % len(files)]
        answer = Client(site.httpd.url).get(links[file.name], headers={"X-Request-Id": f"many-{i}"})
        if file.name in bad:
            problem(answer, bad[file.name])
            return None
        assert (answer.status_code, answer.content) == (200, file.content), answer.text[:300]
        assert answer.headers["ETag"] == f'"{file.sha256}"'
        return f"many-{i}", file.name

    with ThreadPoolExecutor(20) as threads:
        fetched = [x for x in threads.map(fetch, range(8 * len(files))) if x]
    assert len(fetched) == 8 * (len(files) - len(bad))
    assert sorted(fetched) == sorted(site.sql(
        "SELECT request_id, object FROM udm.audit WHERE action = 'file.download'"
        " AND request_id LIKE 'many-%%'"))


def digest(published):
    """Repr-Digest as RFC 9530 writes it: of the whole file."""
    return "sha-256=:" + base64.b64encode(bytes.fromhex(published.sha256)).decode() + ":"


def test_head(site, published, link):
    answer = Client(site.httpd.url).request("HEAD", link)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Repr-Digest"] == digest(published)
    assert answer.headers["Content-Length"] == str(len(CONTENT))


def test_ranges(site, published, link):
    anonymous = Client(site.httpd.url)
    answer = anonymous.get(link, headers={"Range": "bytes=1000-1999"})
    assert (answer.status_code, answer.content) == (206, CONTENT[1000:2000])
    assert answer.headers["Content-Range"] == f"bytes 1000-1999/{len(CONTENT)}"
    assert answer.headers["Repr-Digest"] == digest(published)
    answer = anonymous.get(link, headers={"Range": "bytes=-10", "If-Range": f'"{published.sha256}"'})
    assert (answer.status_code, answer.content) == (206, CONTENT[-10:])
    answer = anonymous.get(link, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert (answer.status_code, answer.content) == (200, CONTENT)
    answer = anonymous.get(link, headers={"Range": f"bytes={len(CONTENT)}-"})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


def test_conditions(site, published, link):
    anonymous = Client(site.httpd.url)
    answer = anonymous.get(link, headers={"If-None-Match": f'"{published.sha256}"'})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == f'"{published.sha256}"'
    assert anonymous.get(link, headers={"If-None-Match": '"x"'}).status_code == 200
    problem(anonymous.get(link, headers={"If-Match": '"x"'}), 412)
    for tag in (f'W/"{published.sha256}"', f'"{published.sha256}-gzip"'):
        assert anonymous.get(link, headers={"If-None-Match": tag}).status_code == 304
        assert anonymous.get(link, headers={"If-Match": tag}).status_code == 200
        # what a proxy has compressed is not completed with a part of the file itself
        part = {"Range": "bytes=0-9"}
        problem(anonymous.get(link, headers={"If-Match": tag, **part}), 412)
        assert anonymous.get(link, headers={"If-Range": tag, **part}).status_code == 200


def test_credentials_are_tolerated(site, link):
    for headers in ({"Authorization": "Bearer nonsense"}, {"x-api-key": "nonsense"},
                    {"Authorization": "Basic dTpw"}):
        assert Client(site.httpd.url).get(link, headers=headers).status_code == 200


def test_signature_is_the_documented_one(site, link):
    with open(site.link_key_file, encoding="ascii") as f:
        assert resign(link, f.read().split()[0]) == link


def test_one_character_changed(site, link):
    anonymous = Client(site.httpd.url)
    base = link.index("/download/") + len("/download/")
    for at in [base, base + 8, base + 20, link.index("expires=") + 8, link.index("&signature=") - 1,
               link.index("signature=") + 10, len(link) - 1]:
        swapped = {"0": "1"}.get(link[at], "0")
        answer = anonymous.get(link[:at] + swapped + link[at + 1:])
        problem(answer, 403)
    for other in (link[:-1], link + "0", link.replace("&signature", "&x=1&signature"),
                  link.split("?")[0], link.split("&")[0], link + "&x=1"):
        problem(anonymous.get(other), 403)
    problem(anonymous.request("POST", link), 405)


def test_upper_case_signature_is_another(site, link):
    at = link.index("signature=") + 10
    upper = link[:at] + link[at:].upper()
    if upper != link:
        problem(Client(site.httpd.url).get(upper), 403)


def test_expired(site, client, published):
    site.httpd.location = ["UDMLinkTTL 1s"]
    site.httpd.stop()
    site.httpd.start()
    try:
        link = site.client().link(published.name)
        anonymous = Client(site.httpd.url)
        wait_for(lambda: anonymous.get(link).status_code != 200, 10, "the link to expire")
        problem(anonymous.get(link), 410)
        # the signature is looked at first: nobody learns from a 410 that a forged link was near
        problem(anonymous.get(link[:-1] + ("0" if link[-1] != "0" else "1")), 403)
    finally:
        site.httpd.location = []
        site.httpd.stop()
        site.httpd.start()


def test_public_url(site, client, published):
    site.httpd.location = ["UDMPublicURL https://api.example.com:8443/data/"]
    site.httpd.stop()
    site.httpd.start()
    try:
        location = site.client().get(f"/v10/files/{published.name}").headers["Location"]
        assert location.startswith(f"https://api.example.com:8443/data/download/{published.name}?")
        path = location[len("https://api.example.com:8443/data"):]
        assert Client(site.httpd.url).get(site.httpd.url + path).status_code == 200
    finally:
        site.httpd.location = []
        site.httpd.stop()
        site.httpd.start()


def test_previous_key_still_opens(site, client, published):
    with open(site.link_key_file, encoding="ascii") as f:
        old = f.read().split()[0]
    link = client.link(published.name)
    new = os.urandom(32).hex()
    site.write_link_keys(new, old)
    anonymous = Client(site.httpd.url)
    # a child looks every few seconds: the new key is in use once it signs another way
    def signs_anew():
        made = client.link(published.name)
        return anonymous.get(made).status_code == 200 and resign(made, old) != made
    wait_for(signs_anew, 20, "the new key to sign")
    assert anonymous.get(link).status_code == 200
    site.write_link_keys(new)
    site.httpd.stop()
    site.httpd.start()
    problem(Client(site.httpd.url).get(link), 403)


def test_a_new_key_opens_at_once(site, client, published):
    """Another child, or another host, may sign with it before this one has looked at the file."""
    with open(site.link_key_file, encoding="ascii") as f:
        old = f.read().split()[0]
    link = client.link(published.name)
    anonymous = Client(site.httpd.url)
    for _ in range(5):
        new = os.urandom(32).hex()
        site.write_link_keys(new, old)
        assert anonymous.get(resign(link, new)).status_code == 200
        assert anonymous.get(link).status_code == 200
        problem(anonymous.get(resign(link, os.urandom(32).hex())), 403)


def test_a_key_file_that_vanishes_is_told(site, client, published):
    link = client.link(published.name)
    anonymous = Client(site.httpd.url)
    before = site.httpd.watch.text().count("UDM0003:")
    site.httpd.allow_log(r"UDM0003: .*link\.keys is not there any more")
    os.rename(site.link_key_file, site.link_key_file + ".away")
    try:
        for _ in range(10):
            problem(anonymous.get(link[:-4] + "0000"), 403)
        assert anonymous.get(link).status_code == 200
    finally:
        os.rename(site.link_key_file + ".away", site.link_key_file)
    children = 4 # once by each
    assert 1 <= site.httpd.watch.text().count("UDM0003:") - before <= children


def test_gone_and_deleted(site, client):
    expired = PublishedFile(site, days=-1)
    problem(client.get(f"/v10/files/{expired.name}"), 410)
    published = PublishedFile(site)
    link = client.link(published.name)
    anonymous = Client(site.httpd.url)
    assert anonymous.get(link).status_code == 200
    site.sql("UPDATE udm.file SET removed_at = now(), removal = 'expired' WHERE id = %s", [published.id])
    problem(anonymous.get(link), 410)
    site.sql("UPDATE udm.file SET removal = 'deleted' WHERE id = %s", [published.id])
    problem(anonymous.get(link), 404)
    problem(client.get(f"/v10/files/{published.name}"), 404)


def test_delete_one(site, client):
    """204 means that nothing of this name is there for the caller, and nothing else does."""
    published, foreign = PublishedFile(site), PublishedFile(site, "lakeside-energy")
    link = client.link(published.name)
    site.sql("INSERT INTO udm.role (name, may_write) VALUES ('reader', false)")
    site.sql("INSERT INTO udm.role_grant (role, source) VALUES ('reader', 'UCS')")
    links = "SELECT count(*) FROM udm.audit WHERE action = 'file.link'"
    before = site.sql(links)
    reader = site.client(token=site.env.tokens.token(roles=["reader"]))
    assert "not delete it" in problem(reader.delete(f"/v10/files/{published.name}"), 403)["detail"]
    for name in (foreign.name, "nothing", "%ff", "x" * 300, "a,b"):
        for who in (client, reader):
            answer = who.delete(f"/v10/files/{name}")
            assert (answer.status_code, answer.content) == (204, b""), name
    assert site.sql(links) == before, "nobody was given a link"
    assert Client(site.httpd.url).get(link).status_code == 200
    for _ in range(2):
        assert client.delete(f"/v10/files/{published.name}").status_code == 204
    assert reader.delete(f"/v10/files/{published.name}").status_code == 204
    problem(Client(site.httpd.url).get(link), 404)
    assert site.client("lakeside-energy").link(foreign.name)
    assert site.sql("SELECT object FROM udm.audit WHERE action = 'file.delete'") == [(published.name,)]


def test_many_links(site, client, published):
    other = PublishedFile(site)
    names = [other.name, published.name, other.name]
    for query in (",".join(names), " , ".join(names) + ",,", "&filename=".join(names)):
        answer = client.get("/v10/files?filename=" + query)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        links = [item["path"] for item in answer.json()]
        for link, name in zip(links, names, strict=True):
            site.env.secrets.add(link.split("signature=")[1])
            assert f"/download/{name}?" in link
            assert Client(site.httpd.url).get(link).status_code == 200
    many = ",".join([published.name] * 100)
    assert len(client.get("/v10/files?filename=" + many).json()) == 100
    for bad in ("", "?filename=", "?filename=,%20,", f"?filename={many},x"):
        assert "100" in problem(client.get("/v10/files" + bad), 400)["detail"]
    for bad in ("", "?filename=", "?filename=,%20,"):
        assert "filename" in problem(client.delete("/v10/files" + bad), 400)["detail"]
    assert client.link(published.name)


def test_listed_but_not_in_the_store(site, client):
    for spoil in (lambda f: os.unlink(f.path), lambda f: open(f.path, "ab").write(b"more")):
        published = PublishedFile(site)
        link = client.link(published.name)
        spoil(published)
        site.httpd.allow_log("UDM0040")
        answer = Client(site.httpd.url).get(link)
        detail = problem(answer, 500)["detail"]
        assert answer.headers["X-Request-Id"] in detail and site.store not in answer.text
        lines = [x for x in site.httpd.watch.text().splitlines() if "UDM0040" in x]
        assert published.name in lines[-1] and answer.headers["X-Request-Id"] in lines[-1]
        assert site.sql("SELECT count(*) FROM udm.audit WHERE action = 'file.download' AND"
                        f" request_id = '{answer.headers['X-Request-Id']}'") == [(0,)]


def test_store_away(site, client):
    """As when its volume is not mounted: that passes, and nothing was handed out."""
    published = PublishedFile(site)
    link = client.link(published.name)
    os.rename(site.store, site.store + ".away")
    try:
        os.mkdir(site.store)
        site.httpd.allow_log("UDM0071")
        answer = Client(site.httpd.url).get(link)
        assert "out of reach" in problem(answer, 503)["detail"] and answer.headers["Retry-After"]
        assert site.store not in answer.text
        assert site.sql("SELECT count(*) FROM udm.audit WHERE action = 'file.download' AND"
                        f" request_id = '{answer.headers['X-Request-Id']}'") == [(0,)]
        os.rmdir(site.store)
    finally:
        os.rename(site.store + ".away", site.store)
    assert Client(site.httpd.url).get(link).content == published.content


def test_signatures_are_not_logged(site, client, published, link):
    anonymous = Client(site.httpd.url)
    assert anonymous.get(link).status_code == 200
    signature = link.split("signature=")[1]
    anonymous.get(link + "0")
    anonymous.get(link.replace("/download/", "/download%2f"))
    anonymous.get(link.replace("/download/", "/downloads/"))
    anonymous.request("POST", link)
    # what somebody put between the digits does not save the rest of them
    anonymous.get(link.replace("signature=" + signature[:1], "signature=&"))
    # lines that httpd refuses before it has a path: too long, and without a method
    anonymous.get(link + "x" * 9000)
    path = link[link.index("/", 8):]
    with socket.create_connection(("127.0.0.1", site.httpd.port), 10) as raw:
        raw.sendall(path.encode() + b"\r\n\r\n")
        while raw.recv(65536):
            pass
    # some clients put the key where the reference once listed it
    key = client.key
    assert problem(anonymous.get("/v10/file-metadatas?x-api-key=" + key), 401)
    # the marker is the last line: what was asked before it is then written
    anonymous.get("/v10/marker-of-this-test")

    def log():
        with open(site.httpd.access_log, encoding="utf-8") as f:
            return f.read()
    wait_for(lambda: "marker-of-this-test" in log(), 10, "the access log")
    assert signature[1:] not in log() and signature[1:] not in site.httpd.watch.text()
    assert key.rsplit("_", 1)[1] not in log() and "x-api-key=" in log()
    assert signature not in log() and signature not in site.httpd.watch.text()
    assert f"{published.name}?expires=" in log() and "signature=REDACTED" in log()
