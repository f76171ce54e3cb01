"""No log holds a credential, however it was spelled and wherever it was put: the access log in any
format, the error log, mod_status, mod_log_forensic, mod_info."""
import base64
import os
import re
import socket
import subprocess
import threading
import urllib.parse

import pytest

from udmtest.api import Client
from udmtest.process import wait_for
from udmtest.resources import children
from udmtest.site import Site

# Everything that a log format can name and a credential can get into.
FORMAT = (r"%r|%q|%U|%f|%m|%u|%{Referer}i|%{User-Agent}i|%{x-api-key}i|%{Authorization}i|%{Cookie}i"
          r"|%{X-Other}i|%{X-Request-Id}i|%{X-Request-Id}o|%{Location}o|%{COPY}e|%{TOKEN}e|%{QUERY}e"
          r"|%{udm-request-id}n|%V|%>s")
SIGNATURE = "8f14e45fceea167a5a36dedd4bea2543f4a0b2c5d9e1a7b3c6d8e0f1a2b3c4d5"
LINK = "/udm/download/export-6f1c2d3e-1111-4222-8333-abcdefabcdef.zip.smime?expires=1767225600"


@pytest.fixture(scope="module")
def site(env):
    result = Site(env)
    result.offsets = {}
    httpd = result.httpd
    forensic = os.path.join(httpd.directory, "forensic.log")
    env.logs.append(forensic)
    httpd.modules += ["status", "info", "log_forensic", "unique_id", "rewrite", "setenvif", "authz_host", "http2"]
    httpd.server = [
        "Protocols h2c http/1.1",
        "LogLevel info", "ExtendedStatus On", f'LogFormat "{FORMAT}" all', f'ForensicLog "{forensic}"',
        "SetEnvIf x-api-key (.*) COPY=$1", "SetEnvIf Authorization (.*) TOKEN=$1",
        "RewriteEngine On", "RewriteRule ^/short/(.*) /udm/$1 [PT]",
        "RewriteRule .* - [E=QUERY:%{QUERY_STRING}]",
        '<Location "/status">', "SetHandler server-status", "</Location>",
        '<Location "/info">', "SetHandler server-info", "</Location>",
        '<Location "/denied">', "Require all denied", "</Location>"]
    httpd.location = ["</Location>", '<Location "/udm/v10/denied">', "Require all denied"]
    # a password that nothing asks for: the connections are trusted
    httpd.dbd = [line.replace('DBDParams "', 'DBDParams "password=correct-horse-battery ') for line in httpd.dbd]
    httpd.allow_log("UDM0420")
    result.start_httpd()
    yield result
    result.close()


def talk(site, line, headers=()):
    """A request as it is written here, byte by byte; gives the answer."""
    text = "\r\n".join([line, "Host: localhost", "Connection: close", *headers, "", ""])
    with socket.create_connection(("127.0.0.1", site.httpd.port), 10) as raw:
        raw.sendall(text.encode("latin-1"))
        answer = b""
        while data := raw.recv(65536):
            answer += data
    return answer.decode("latin-1")


def logs(site):
    """All that was written since the last call, the last request too."""
    marker = site.env.unique("marker")
    talk(site, f"GET /udm/{marker} HTTP/1.1")
    paths = [site.httpd.access_log, site.httpd.error_log, os.path.join(site.httpd.directory, "forensic.log")]

    def read():
        texts = []
        for path in paths:
            with open(path, encoding="latin-1") as f:
                f.seek(site.offsets.get(path, 0))
                texts.append(f.read())
        return texts if marker in texts[0] and marker in texts[2] else None
    texts = wait_for(read, 20, "the logs")
    for path, text in zip(paths, texts):
        site.offsets[path] = site.offsets.get(path, 0) + len(text)
    return "".join(texts)


def pieces(secret, size):
    """A log must not hold so many characters of it in a row."""
    return {secret[i:i + size].lower() for i in range(len(secret) - size + 1)}


def decoded(text):
    """As a reader may see it: httpd escapes, and a URL in a URL is encoded again."""
    text = re.sub(r"\\x([0-9a-f]{2})", r"%\1", text)
    for _ in range(4):
        text = urllib.parse.unquote(text, encoding="latin-1")
    return text.lower()


def assert_hidden(text, *secrets, size=12):
    text = decoded(text)
    for secret in secrets:
        found = sorted(piece for piece in pieces(secret, size) if piece in text)
        assert not found, re.findall(".*" + re.escape(found[0]) + ".*", text)[:3]


def encode(text):
    return "".join(f"%{ord(c):02x}" for c in text)


def spellings(key, token):
    """Request targets that hold a credential, each in a spelling of its own."""
    ident, secret = key.split("_")[1:]
    link = LINK + "&signature="
    return [
        link + SIGNATURE, LINK + "&SIGNATURE=" + SIGNATURE, LINK + "&signature%3D" + SIGNATURE,
        LINK + "&signatur%65=" + SIGNATURE, link + "%20" + SIGNATURE, link + "+" + SIGNATURE,
        LINK + "&signature%20=" + SIGNATURE, link + "&" + SIGNATURE, link + encode(SIGNATURE),
        LINK + "&signature%253D" + SIGNATURE, LINK + "%26signature=" + SIGNATURE,
        LINK.replace("?", "%3F") + "&signature=" + SIGNATURE, "/udm/download/" + SIGNATURE,
        LINK.replace("download/", "download%2f") + "&signature=" + SIGNATURE,
        LINK.replace("/udm", "//udm/./") + "&signature=" + SIGNATURE,
        LINK.replace("/udm", "/%75dm") + "&signature=" + SIGNATURE,
        LINK.replace("/udm", "/UDM") + "&signature=" + SIGNATURE,
        LINK.replace("/udm", "/other") + "&signature=" + SIGNATURE,
        LINK.replace("/udm", "/short") + "&signature=" + SIGNATURE,
        "http://localhost" + link + SIGNATURE, "http://elsewhere.example" + link + SIGNATURE,
        "/udm/../../download/x?expires=1&signature=" + SIGNATURE,
        "/udm/../../udm/download/x?expires=1&signatur%65=%20" + SIGNATURE,
        "/udm/../../" + key, "/..%2f" + key, "/udm/%00" + key, "/udm/%zz?k=" + key,
        "/udm/v10/" + key, "/udm/v10/denied/" + key, "/denied/" + key, "/udm/v10/files/" + key,
        "/udm/v10/export/jobs?key=" + key, "/udm/v10/export/jobs?x-api-key=udm%5F" + ident + "%5f" + secret,
        "/udm/v10/export/jobs?k=" + encode(key), "/udm/v10/export/jobs?k=" + key.upper(),
        "/udm/v10/export/jobs?k=udm_" + ident + "_%20" + secret, "/udm/v10/export/jobs?k=" + secret,
        "/udm/v10/" + encode(key), "/udm/v10/%75dm_" + ident + "/" + secret, "/udm?" + key, "/short/" + key,
        "/other?" + key, "/other/" + encode(key),
        "/udm/v10/version?access_token=" + token, "/udm/v10/" + token, "/udm/v10/version?t=" + encode(token)]


@pytest.fixture(scope="module")
def credentials(site):
    """A key and a token that are good, and their secret parts."""
    key, token = site.new_key(), site.env.tokens.token()
    return key, token, (key.split("_")[2], token.split(".")[1], token.split(".")[2], SIGNATURE)


def allow(site):
    # what httpd itself says of paths that it refuses, and of what a section denies
    site.httpd.allow_log("AH10244|AH01630|AH00135")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "X"])
def test_request_lines(site, credentials, method):
    key, token, secrets = credentials
    allow(site)
    for target in spellings(key, token):
        talk(site, f"{method} {target} HTTP/1.1")
    text = logs(site)
    assert_hidden(text, *secrets)
    assert "AH10244" in text and "AH01630" in text
    assert LINK + "&signature=REDACTED" in text, "what is no secret is still there"
    assert key[:16] + "REDACTED" in text


@pytest.mark.parametrize("line", [
    # without a method, with blanks, with a version that there is none of, too long
    "{target}", "GET {target}", "GET  {target} HTTP/1.1", "GET {target} x HTTP/1.1", "GET {target} HTTP/9.9",
    "GET {target} HTTX/1.1", "GET\t{target} HTTP/1.1", "{target} GET HTTP/1.1", "GET {target}{long} HTTP/1.1",
    "GET {target}\x7f HTTP/1.1", "GET {target}\xff HTTP/1.1", "CONNECT {target} HTTP/1.1"])
@pytest.mark.parametrize("unsafe", [False, True])
def test_lines_that_are_refused(site, credentials, line, unsafe):
    """httpd refuses them before any module sees a request, or takes them in its unsafe mode."""
    key, token, secrets = credentials
    allow(site)
    if unsafe != ("HttpProtocolOptions Unsafe" in site.httpd.server):
        site.httpd.server = [x for x in site.httpd.server if not x.startswith("HttpProtocolOptions")]
        site.httpd.server += ["HttpProtocolOptions Unsafe"] if unsafe else []
        site.httpd.allow_log("UDM0420")
        site.httpd.stop()
        site.httpd.start()
    for target in (LINK + "&signature=" + SIGNATURE, LINK + "&signature= " + SIGNATURE, "/udm/v10/" + key,
                   "/udm/v10/version?key=" + key, "/udm/x?access_token=" + token):
        talk(site, line.format(target=target, long="x" * 9000))
    assert_hidden(logs(site), *secrets)


def test_a_bad_header_beside_them(site, credentials):
    """The request line is read, and the request refused before a module sees it."""
    key, token, secrets = credentials
    for header in ("nonsense", "Content-Length: x", "Transfer-Encoding: x", "Host: bad host", "X: " + "y" * 9000,
                   "Content-Length: -1", "x y: z", "Expect: magic"):
        for target in (LINK + "&signature=" + SIGNATURE, "/udm/v10/version?key=" + key, "/x?k=" + key):
            talk(site, f"GET {target} HTTP/1.1", [header])
    assert_hidden(logs(site), *secrets)
    assert_hidden(Client(site.httpd.at("/status")).get("/").text, *secrets)


@pytest.mark.parametrize("name", ["Referer", "User-Agent", "Cookie", "X-Other", "X-Request-Id", "x-api-key",
                                  "Authorization", "Host", "Origin"])
@pytest.mark.parametrize("path", ["/udm/v10/version", "/udm/v10/denied", "/denied", "/udm/../../x",
                                  "/short/v10/version", "/udm/download/x"])
def test_headers(site, credentials, name, path):
    """Where another request's URL goes, and where a credential belongs."""
    key, token, secrets = credentials
    allow(site)
    ours = path not in ("/denied", "/short/v10/version")  # that is seen to be ours too late for one log
    values = ["http://localhost" + LINK + "&signature=" + SIGNATURE,
              "http://localhost" + LINK + "&signatur%65%3d%20" + SIGNATURE,
              "http://localhost" + LINK.replace("download/", "download//./") + "&signature=" + SIGNATURE,
              "http://localhost/udm/v10/" + key, "http://localhost/x?k=" + encode(key), key]
    if ours:
        values += [LINK + "&signature=" + SIGNATURE[:20] + "&" + SIGNATURE[20:], "curl " + SIGNATURE + "?",
                   "http://localhost/x?access_token=" + token, "/" + token]
    if name == "Authorization":  # whoever it was sent to, nobody else has such names
        values += [scheme + base64.b64encode(text.encode()).decode() for scheme in ("Basic ", "basic  ")
                   for text in (key + ":", key + ":x", "x:" + key)]
    if name in ("x-api-key", "Authorization") and ours:
        values += [token, "Bearer " + token, "Basic " + base64.b64encode(key.encode()).decode(), key[4:],
                   "Bearer " + key]
    for value in values:
        talk(site, f"GET {path} HTTP/1.1", [f"{name}: {value}"])
    hidden = [*secrets]
    if name == "Authorization":
        hidden += [base64.b64encode(text.encode()).decode()[30:] for text in (key + ":", key + ":x", "x:" + key)]
    assert_hidden(logs(site), *hidden)


def test_a_key_is_no_request_id(site, credentials):
    key, _, secrets = credentials
    answer = site.client().get("/v10/export/jobs/1", headers={"X-Request-Id": key})
    assert answer.headers["X-Request-Id"] != key
    request = "0123456789abcdef0123456789abcdef"  # as other servers make them
    assert site.client().get("/v10/export/jobs/1", headers={"X-Request-Id": request}).headers["X-Request-Id"] == request
    text = logs(site)
    assert_hidden(text, *secrets)
    assert f"|{request}|{request}|" in text


def test_good_credentials_and_links(site, credentials):
    """What works is no more in a log than what does not."""
    key, token, secrets = credentials
    client = Client(site.httpd.url, key, token)
    assert client.get("/v10/export/jobs").status_code in (200, 204)
    assert client.get("/v10/export/jobs?k=" + key).status_code in (200, 204)
    assert client.post("/v10/export/jobs", data=b"x").status_code in (400, 415)
    assert_hidden(logs(site), *secrets)


def test_another_application_is_left_alone(site):
    """What looks like a secret elsewhere is that application's, and stays as it is."""
    commit, signed = "/git/" + "ab12" * 10, "/app?expires=1&signature=" + "cd34" * 16
    referer = "http://h/app?expires=2&signature=" + "ef56" * 16
    beside = [path + signed for path in ("/udm-ui", "/udm_old", "/udm.git", "/udm2", "/UDM-ui", "/x/udm")]
    beside.append("/udm-ui" + commit)
    for target in (commit, signed, *beside):
        talk(site, f"GET {target} HTTP/1.1", ["Referer: " + referer, "Authorization: Basic dXNlcjpwYXNz"])
    text = logs(site)
    for whole in (commit, signed, *beside, referer, "Basic dXNlcjpwYXNz"):
        assert whole in text


def test_status_shows_none(site, credentials):
    """Neither afterwards nor while a request is under way."""
    key, token, secrets = credentials
    allow(site)
    page = Client(site.httpd.at("/status"))
    for target in spellings(key, token):
        talk(site, f"GET {target} HTTP/1.1")
        assert_hidden(page.get("/").text, *secrets)
    for target in (f"/udm/v10/export/jobs?key={key}", f"/short/v10/export/jobs?x=%75dm{key[3:]}"):
        with socket.create_connection(("127.0.0.1", site.httpd.port), 10) as raw:
            raw.sendall((f"POST {target} HTTP/1.1\r\nHost: localhost\r\nx-api-key: {key}\r\n"
                         f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
                         "Content-Length: 9\r\n\r\n").encode())
            shown = wait_for(lambda: (text := page.get("/").text) and "POST " in text and text, 10,
                             "the request to be shown")
            assert_hidden(shown, *secrets)
    assert_hidden(logs(site), *secrets)


def test_over_http2(site, credentials):
    """Whose requests are made of frames."""
    key, token, secrets = credentials
    allow(site)
    page = Client(site.httpd.at("/status"))
    for target in spellings(key, token):
        if target.startswith("/") and "\t" not in target:
            done = subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "--path-as-is", "--globoff", "-o", "/dev/null",
                                   "-w", "%{http_version}", "-H", f"Referer: http://h{target}", "-H", f"x-api-key: {key}",
                                   f"http://127.0.0.1:{site.httpd.port}{target}"], stdout=subprocess.PIPE, text=True,
                                  timeout=60)
            assert done.stdout == "2", target
        # mod_http2 itself shows the first 40 bytes of a path: never enough for the secret of a key
        assert_hidden(page.get("/").text, *secrets, size=24)
    assert_hidden(logs(site), *secrets)


def test_a_long_line_costs_no_memory(site):
    """What is hidden in one is found in one pass: 40 clients at once, 8 KB each."""
    query = "udm_0000000000000&" * 450
    server = children(site.httpd.process.pid)

    def peak():
        total = 0
        for child in server:
            with open(f"/proc/{child.pid}/status", encoding="ascii") as f:
                total += int(re.search(r"VmHWM:\s+(\d+) kB", f.read())[1])
        return total
    talk(site, "GET /udm/v10/x HTTP/1.1")
    before = peak()

    def ask():
        for _ in range(5):
            assert talk(site, f"GET /udm/x?{query} HTTP/1.1", ["Referer: /" + query[:8000]]).startswith("HTTP/1.1 401")
    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # 40 requests with a line and a header of 8 KB: a hundred times that, in kB
    assert peak() - before < 40 * 16 * 100


def test_a_password_is_not_shown(site):
    assert "UDM0420" in site.httpd.watch.text()
    page = Client(site.httpd.at("/info")).get("/").text
    assert "DBDParams" in page and "holds a password" in page
    assert "correct-horse" not in page and "correct-horse" not in site.httpd.watch.text()
    assert site.client().get("/v10/export/jobs").status_code in (200, 204), "it is still used"


@pytest.mark.parametrize("params, warned", [
    ("dbname=udm password=battery", True), ("dbname=udm password = 'a b'", True),
    ("dbname=udm sslpassword=battery", True), ("postgresql://u:battery@h/udm", True),
    ("postgresql://h/udm?password=battery", True), ("host=h,user=u,pass=battery", True),
    ("dbname=udm passfile=/etc/udm/pass", False), ("dbname=password", False), ("dbname=udm", False)])
def test_a_password_in_the_configuration(site, params, warned):
    """Said by apache2 -t, and kept out of its dump; a VirtualHost's, too."""
    before = list(site.httpd.dbd), list(site.httpd.server)
    try:
        site.httpd.dbd = ["DBDriver pgsql", f'DBDParams "{params}"']
        site.httpd.server = [*before[1], "<VirtualHost *:1>", *site.httpd.dbd, "</VirtualHost>"]
        for more in ([], ["-D", "DUMP_CONFIG"]):
            status, text = site.httpd.check(*more)
            assert status == 0, text
            assert text.count("UDM0420") == (2 if warned else 0), text
            assert "battery" not in text
            assert not more or "DBDParams" in text
    finally:
        site.httpd.dbd, site.httpd.server = before
        site.httpd.write()


# What stands below a mount beside the API, and writes down what it does not find or does not know.
NEIGHBOURS = [
    "Alias /udm/docs {docs}", "ScriptAlias /udm/cgi {docs}", "Alias /udm/v10/docs {docs}", "AliasMatch ^/udm/am/(.*) {docs}/$1",
    "ProxyPass /udm/gone http://127.0.0.1:1/", "ProxyPass /udm/v10/gone http://127.0.0.1:1/ nocanon",
    "CheckSpelling On", "DirectoryIndex nothing.html", "RewriteRule ^/udm/rf/(.*) {docs}/$1",
    '<Directory "{docs}">', "Require all granted", "Options +MultiViews -FollowSymLinks +ExecCGI", "</Directory>",
    '<Location "/udm/basic">', *(BASIC := ["AuthType Basic", "AuthName basic", "AuthBasicProvider file",
                                           "AuthUserFile {users}", "Require valid-user"]), "</Location>",
    "ProxyPass /udm/basic/gone http://127.0.0.1:1/",
    '<Location "/udm/anonymous">', "AuthType Basic", "AuthName anon", "AuthBasicProvider anon", "Anonymous *",
    "Anonymous_LogEmail On", "Anonymous_VerifyEmail Off", "Require valid-user", "</Location>",
    '<Location "/udm/digest">', "AuthType Digest", "AuthName digest", "AuthUserFile {users}", "Require valid-user",
    "</Location>", '<Location "/basic">', *BASIC, "</Location>",
    '<Location "/udm/role">', "Require udm-role Nobody", "</Location>", "Alias /udm/role/docs {docs}",
    "ProxyPass /udm/role/gone http://127.0.0.1:1/",
    '<Location "/udm/v10/files">', "Require udm-role Nobody", "</Location>"]


# What they say, each time.
OTHERS = r"AH\d+:|End of script output"


@pytest.fixture(scope="module", params=[False, True], ids=["after", "before"])
def beside(env, request):
    """Such an installation; mod_udm is loaded after all of them, or before."""
    result = Site(env)
    result.offsets = {}
    httpd = result.httpd
    env.logs.append(os.path.join(httpd.directory, "forensic.log"))
    httpd.modules += ["log_forensic", "rewrite", "alias", "dir", "mime", "negotiation", "speling", "cgi", "include",
                      "proxy", "proxy_http", "auth_basic", "auth_digest", "authn_file", "authn_anon", "status"]
    docs, users = env.make_directory(result.name, "docs"), os.path.join(httpd.directory, "users")
    for path, text in ((users, "ann:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=\n"), (os.path.join(docs, "file"), "text"),
                       (os.path.join(docs, "page.shtml"), '<!--#include virtual="/udm/docs/$QUERY_STRING" -->')):
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        env.account.own(path)
    os.symlink("/etc", os.path.join(docs, "link"))
    httpd.server = [
        "LogLevel info", "TraceEnable On", f'LogFormat "{FORMAT}" all', "TypesConfig /dev/null", f'DocumentRoot "{docs}"',
        f'ForensicLog "{os.path.join(httpd.directory, "forensic.log")}"', "RewriteEngine On",
        "RewriteRule ^/short/(.*) /udm/$1 [PT]", '<Location "/status">', "SetHandler server-status", "</Location>"]
    httpd.after = [line.format(docs=docs, users=users) if "{" in line else line for line in NEIGHBOURS]
    text = httpd.config().split("\n")
    if request.param:
        own = next(line for line in text if line.startswith("LoadModule udm_module"))
        text.remove(own)
        text.insert(next(i for i, line in enumerate(text) if line.startswith("LoadModule")), own)
    httpd.start("\n".join(text))
    yield result
    result.close()


@pytest.mark.parametrize("known", [False, True], ids=["anybody", "somebody"])
def test_paths_that_others_look_for(beside, credentials, known):
    """A file, a script, a proxy that does not answer: what they say of a path shows no credential in it."""
    key, token, secrets = credentials
    beside.httpd.allow_log(OTHERS)
    mine = [f"x-api-key: {beside.key()}", f"Authorization: Bearer {beside.env.tokens.token()}"] if known else []
    link = "download/export-1.zip%3Fexpires=1%26signature=" + SIGNATURE
    whole = [key, token, link, encode(token), token + "/" + "x" * 300, "%25" + encode(token)[1:], token + ".html"]
    pieces = [SIGNATURE, SIGNATURE + "x" * 300, key.replace("_", "/"), key.split("_")[2]]
    proxies, folders = ["gone", "v10/gone", "basic/gone", "role/gone", "v10/cipher"], [
        "docs", "cgi", "v10/docs", "am", "rf", "docs/link", "docs/file", "cgi/file", "basic", "role", "role/docs",
        "v10/files", "v10", "nothing"]
    for prefix, values, where in (
            ("/udm/", [*whole, "x?" + token], [*folders, *proxies]), ("/udm/", pieces, folders),
            # what is nobody's when it comes
            ("/short/", [key, token, link], [*folders, *proxies]),
            # a hash may be another's name; but the proxy does not tell that it has failed to ask for it
            ("/udm/", pieces, ["gone"])):
        for value in values:
            for folder in where:
                talk(beside, f"GET {prefix}{folder}/{value} HTTP/1.1", mine)
    text = logs(beside)
    assert_hidden(text, *secrets)


@pytest.mark.parametrize("path", ["/udm/basic/x", "/udm/basic/gone/x", "/udm/anonymous/x", "/udm/digest/x", "/udm/digest/x?{key}",
                                  "/udm/digest/x?{token}", "/basic/x"])
def test_names_that_others_ask_for(beside, credentials, path):
    """Another AuthType writes down whom it does not know: a credential is nobody's name."""
    key, token, secrets = credentials
    beside.httpd.allow_log(OTHERS)
    names = [key, encode(key), key.upper(), "http://h" + LINK + "&signature=" + SIGNATURE]
    values = [key, "udm " + key, "Bearer " + key, "Basic dXNlcjpwYXNz, Basic " + base64.b64encode(key.encode()).decode()]
    if path != "/basic/x":  # where a token may be that application's
        names.append(token)
        values += [token, "x\t" + token, "Digest " + token]
    for name in names:
        for text in (name, name + ":", name + ":x", "x:" + name, " " + name + ":"):
            values += [scheme + base64.b64encode(text.encode()).decode()
                       for scheme in ("Basic ", "basic  ", "BASIC \t ")]
        for field in () if path == "/basic/x" else ("username", "realm", "nonce", "uri", "opaque", "algorithm", "qop", "nc"):
            fields = {"username": "u", "realm": "digest", "nonce": "n", "uri": path.split("?")[0], "response": "0" * 32, "cnonce": "c",
                      "nc": "00000001", "qop": "auth", "algorithm": "MD5", field: name}
            values.append("Digest " + ", ".join(f'{k}="{v}"' for k, v in fields.items()))
            values.append("Digest " + ", ".join(f'{k}="{v}"' for k, v in {**fields, field: name[0] + "\\" + name[1:]}.items()))
    for value in values:
        answer = talk(beside, f"GET {path.format(key=key, token=token)} HTTP/1.1", ["Authorization: " + value])
        assert answer.split()[1] in ("401", "400"), (value, answer)
    text = logs(beside)
    assert_hidden(text, *secrets, *(base64.b64encode(name.encode()).decode()[:40] for name in names))
    # who is let in, and who is not, is as it was
    good = base64.b64encode(b"ann:test").decode()
    if path in ("/udm/basic/gone/x", "/basic/x"):
        assert talk(beside, f"GET {path} HTTP/1.1", ["Authorization: Basic " + good]).split()[1] in ("404", "503")
        talk(beside, f"GET {path} HTTP/1.1", ["Authorization: Basic " + base64.b64encode(b"bob:test").decode()])
        assert "user bob not found" in logs(beside)


def test_trace(beside, credentials):
    """Below a mount it is no method, whatever TraceEnable says; elsewhere it is httpd's."""
    key, token, _ = credentials
    beside.httpd.allow_log(OTHERS)
    headers = [f"x-api-key: {key}", f"Authorization: Bearer {token}", "Max-Forwards: 0"]
    for path in ("", "/", "/x", "/docs/file", "/docs", "/cgi/file", "/am/file", "/rf/file", "/gone/x", "/v10/gone/x", "/v10/docs/file",
                 "/v10/version", "/v10/export/jobs", "/v10/nothing", "/openapi.json", "/download/x", "/basic/x"):
        for prefix in ("/udm", "/short"):
            if prefix + path != "/short":
                answer = talk(beside, f"TRACE {prefix}{path} HTTP/1.1", headers)
                assert answer.startswith("HTTP/1.1 405 "), (path, answer)
                allow = re.search(r"^Allow: (.*)\r$", answer, re.M)[1].split(", ")
                assert "GET" in allow or path == "/v10/nothing", allow
                assert "TRACE" not in allow and "application/problem+json" in answer
                assert key not in answer and token not in answer
    assert "X-Other: echo" in talk(beside, "TRACE /x HTTP/1.1", ["X-Other: echo"])


def test_odd_requests(beside, credentials):
    """Places of a request that few things use."""
    key, token, secrets = credentials
    beside.httpd.allow_log(OTHERS)
    for line, header in ((f"GET http://{key}:x@localhost/udm/x HTTP/1.1", "X: y"), (f"GET http://{token}:x@localhost/udm/x HTTP/1.1", "X: y"),
                         (f"GET {key}://u:p@localhost/udm/x HTTP/1.1", "X: y"), (f"GET http://u:p@{key}/udm/x HTTP/1.1", "X: y"),
                         ("OPTIONS * HTTP/1.1", "Authorization: Bearer " + token), ("GET /udm/x HTTP/1.1", key + ": x"),
                         ("GET /x HTTP/1.1", key + ": x"), (f"GET /UDM/docs/{token} HTTP/1.1", "X: y"),
                         (f"GET /short/x?{token} HTTP/1.1", "Authorization: Bearer " + token),
                         ("GET /short/x HTTP/1.1", "X-Other: " + token)):
        talk(beside, line, [header])
    assert_hidden(logs(beside), *secrets)


def test_a_hash_is_a_name(beside):
    """What merely looks like a piece of a credential: where names come from elsewhere."""
    beside.httpd.allow_log(OTHERS)
    client = beside.client()
    for path in ("/gone/" + SIGNATURE, "/gone/" + "a-long-title-" * 8):
        assert client.get(path).status_code == 503, path
    assert client.post(f"/v10/cipher/{SIGNATURE}.pem", data=b"x").status_code in (400, 415)
    assert client.request("OPTIONS", f"/v10/cipher/{SIGNATURE}.pem").status_code == 204
    answer = client.get("/docs/" + SIGNATURE)
    assert answer.status_code == 404 and "has no place in a path" in answer.json()["detail"]
