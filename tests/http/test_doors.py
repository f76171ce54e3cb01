"""Whatever is below a mount is answered for those alone who are let in, by whomever: proxies, files,
scripts, other handlers, in any order of the modules, whatever else the sections say."""
import http.server
import os
import socket
import threading

import pytest
import requests

from udmtest.answers import problem
from udmtest.api import Client
from udmtest.process import wait_for
from udmtest.site import Site

SECRET = "what nobody may see without a credential"


class Backend:
    """An HTTP server that says SECRET to everybody, and notes who came."""

    def __init__(self):
        seen = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                seen.append((self.command, self.path, dict(self.headers)))
                body = SECRET.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "public, max-age=600")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = answer

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def backend():
    result = Backend()
    yield result
    result.close()


@pytest.fixture(scope="module")
def stopped(env):
    """An installation whose httpd each test starts with lines of its own."""
    result = Site(env)
    result.httpd.modules += ["alias", "rewrite", "proxy", "proxy_http", "authz_host", "access_compat", "cgi",
                             "status", "dir", "mime", "include", "cache", "cache_socache", "socache_shmcb",
                             "authn_file", "auth_basic", "headers", "filter"]
    docs = result.docs = env.make_directory(result.name, "docs")
    for name, text, mode in (("x.txt", SECRET, 0o644), ("index.html", SECRET, 0o644),
                             ("x.cgi", f"#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n{SECRET}'\n", 0o755),
                             ("page.shtml", '<!--#include virtual="/udm/docs/x.txt" -->', 0o644),
                             ("free.txt", "free", 0o644)):
        path = os.path.join(docs, name)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(env.account.own(path), mode)
    result.started = None
    yield result
    result.close()


# What stands beside the mount, and what is asked for. {b} is the backend, {docs} a directory.
DOORS = {
    "ProxyPass": (["ProxyPass /udm/console {b}"], "/console/x"),
    "ProxyPass of all": (["ProxyPass /udm {b}"], "/x"),
    "ProxyPass nocanon": (["ProxyPass /udm/console {b} nocanon"], "/console/x"),
    "ProxyPass servlet": (["ProxyPass /udm/console {b} mapping=servlet"], "/console/x"),
    "ProxyPassMatch": (["ProxyPassMatch ^/udm/m/(.*)$ {b}/$1"], "/m/x"),
    "ProxyPass in a Location": (['<Location "/udm/l">', "ProxyPass {b}", "</Location>"], "/l/x"),
    "ProxyPassMatch in a LocationMatch": (['<LocationMatch "^/udm/lm/(.*)">', "ProxyPassMatch {b}/$1",
                                           "</LocationMatch>"], "/lm/x"),
    "ProxyPass below a version": (["ProxyPass /udm/v10/console {b}"], "/v10/console/x"),
    "ProxyPass of a version that there is none of": (["ProxyPass /udm/v11 {b}"], "/v11/x"),
    "ProxyPass of the labels": (["ProxyPass /udm/v10/resources/labels {b}"], "/v10/resources/labels"),
    "ProxyPass of the description": (["ProxyPass /udm/openapi.json {b}"], "/openapi.json"),
    "ProxyPass of the downloads": (["ProxyPass /udm/download {b}"], "/download/x"),
    "ProxyPass of a route": (["ProxyPass /udm/v10/version {b}"], "/v10/version"),
    "RewriteRule P": (["RewriteEngine On", "RewriteRule ^/udm/rw/(.*) {b}/$1 [P]"], "/rw/x"),
    "RewriteRule P of the description": (["RewriteEngine On", "RewriteRule ^/udm/open {b}/ [P]"], "/openapi.json"),
    "RewriteRule P in a Location": (['<Location "/udm/rl">', "RewriteEngine On", "RewriteRule .* {b}/ [P]",
                                     "</Location>"], "/rl/x"),
    "RewriteRule P in the Location of the description": (
        ['<Location "/udm/openapi.json">', "RewriteEngine On", "RewriteRule .* {b}/ [P]", "</Location>"],
        "/openapi.json"),
    "RewriteRule P in the Location of the downloads": (
        ['<Location "/udm/download">', "RewriteEngine On", "RewriteRule .* {b}/ [P]", "</Location>"], "/download/x"),
    "RewriteRule to a proxy": (
        ["ProxyPass /udm/console {b}", '<Location "/udm/elsewhere">', "RewriteEngine On",
         "RewriteRule .* /udm/console/x", "</Location>"], "/elsewhere"),
    "SetHandler proxy": (['<Location "/udm/sp">', 'SetHandler "proxy:{b}/"', "</Location>"], "/sp/x"),
    "ForceType": (["Alias /udm/docs {docs}", '<Location "/udm">', "ForceType text/plain", "</Location>"],
                  "/docs/x.txt"),
    "SetHandler server-status": (['<Location "/udm/status">', "SetHandler server-status", "</Location>"], "/status"),
    "Alias": (["Alias /udm/docs {docs}"], "/docs/x.txt"),
    "AliasMatch": (["AliasMatch ^/udm/am/(.*) {docs}/$1"], "/am/x.txt"),
    "Alias of all": (["Alias /udm {docs}"], "/x.txt"),
    "DirectoryIndex": (["Alias /udm/docs {docs}", "DirectoryIndex index.html"], "/docs/"),
    "FallbackResource": (["Alias /udm/docs {docs}", '<Location "/udm/docs">',
                          "FallbackResource /udm/docs/x.txt", "</Location>"], "/docs/nothing"),
    "ScriptAlias": (["ScriptAlias /udm/cgi {docs}"], "/cgi/x.cgi"),
    "RewriteRule to a file": (["RewriteEngine On", "RewriteRule ^/udm/rf/(.*) {docs}/$1"], "/rf/x.txt"),
    "RewriteRule PT": (["RewriteEngine On", "RewriteRule ^/udm/pt/(.*) /udm/docs/$1 [PT]", "Alias /udm/docs {docs}"],
                       "/pt/x.txt"),
    "Action": (["LoadModule actions_module /usr/lib/apache2/modules/mod_actions.so", "ScriptAlias /udm/cgi {docs}",
                '<Location "/udm/action">', "Action thing /udm/cgi/x.cgi virtual", "SetHandler thing",
                "</Location>"], "/action/x"),
}

# What the sections say of who is let in, in the mount's own section.
LOCKS = {
    "valid-user": ["AuthType UDM", 'AuthName "UDM"', "Require valid-user"],
    "granted": ["AuthType UDM", 'AuthName "UDM"', "Require all granted"],
    "any": ["AuthType UDM", 'AuthName "UDM"', "<RequireAny>", "Require ip 127.0.0.1", "Require valid-user",
            "</RequireAny>"],
    "satisfy": ["AuthType UDM", 'AuthName "UDM"', "Require valid-user", "Order allow,deny", "Allow from all",
                "Satisfy any"],
    "limit": ["AuthType UDM", 'AuthName "UDM"', "<Limit PUT>", "Require valid-user", "</Limit>"],
    "merged": ["AuthType UDM", 'AuthName "UDM"', "AuthMerging Or", "Require valid-user"],
    "no AuthType": [], "AuthType None": ["AuthType None", "Require all granted"],
}


def start(site, backend, lines, lock, first=False, require="UDMRequire key", more=()):
    """Starts httpd with these lines beside the mount; `first`: mod_udm is loaded before all others."""
    def fill(line):
        return line.format(b=backend.url, docs=site.docs)
    httpd = site.httpd
    httpd.base_location = ["UDM On", f"UDMTokenKeys {site.env.tokens.jwks_path}", require, *LOCKS[lock]]
    httpd.server = [f'DocumentRoot "{site.store}"', "TypesConfig /dev/null", "AddOutputFilter INCLUDES .shtml",
                    f'<Directory "{site.docs}">', "Require all granted", "Options +ExecCGI +Includes +FollowSymLinks",
                    "</Directory>", *more]
    # what is said for the mount as a whole stands before what is said of a part
    httpd.after = [fill(line) for line in lines]
    text = httpd.config().split("\n")
    if first:
        own = next(line for line in text if line.startswith("LoadModule udm_module"))
        text.remove(own)
        text.insert(next(i for i, line in enumerate(text) if line.startswith("LoadModule")), own)
    if site.started != text:
        httpd.stop()
        httpd.start("\n".join(text))
        site.started = text
    del backend.seen[:]


def assert_shut(site, backend, path, **credentials):
    for method in ("GET", "HEAD", "POST", "OPTIONS", "PATCH"):
        answer = site.client(**credentials).request(method, path)
        assert answer.status_code == 401, (method, answer.status_code, answer.text)
        assert SECRET not in answer.text and answer.headers["WWW-Authenticate"].startswith("Bearer ")
        if method == "GET":
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["status"] == 401
    assert backend.seen == []


@pytest.mark.parametrize("first", [False, True], ids=["after", "before"])
@pytest.mark.parametrize("door", DOORS)
def test_nobody_comes_in_without_a_credential(stopped, backend, door, first):
    lines, path = DOORS[door]
    start(stopped, backend, lines, "valid-user", first)
    assert_shut(stopped, backend, path, key=None, token=None)
    assert_shut(stopped, backend, path, key="udm_000000000000_" + "0" * 64, token=None)
    assert_shut(stopped, backend, path, token="nonsense")
    answer = stopped.client(token=None).get(path)
    assert answer.status_code == 200, answer.text
    assert SECRET in answer.text or "Apache Server Status" in answer.text, "it is answered by whom it was given to"


@pytest.mark.parametrize("lock", [name for name in LOCKS if name != "valid-user"])
@pytest.mark.parametrize("door", ["ProxyPass", "ProxyPass of the labels", "RewriteRule P",
                                  "RewriteRule P in the Location of the description", "Alias", "ScriptAlias",
                                  "SetHandler server-status", "FallbackResource"])
def test_no_section_opens_it(stopped, backend, lock, door):
    lines, path = DOORS[door]
    start(stopped, backend, lines, lock)
    assert_shut(stopped, backend, path, key=None, token=None)
    assert_shut(stopped, backend, path, key="udm_000000000000_" + "0" * 64, token=None)
    assert stopped.client(token=None).get(path).status_code == 200


# What is answered before there is a handler: names of files, and where something is.
HINTS = {
    "mod_dir's slash": (["Alias /udm/docs {docs}"], "/docs"),
    "mod_speling": (["Alias /udm/docs {docs}", "LoadModule speling_module /usr/lib/apache2/modules/mod_speling.so",
                     "CheckSpelling On"], "/docs/X.tx"),
    "mod_negotiation": (["Alias /udm/docs {docs}", '<Directory "{docs}">', "Options +MultiViews",
                         "AddType text/plain .txt", "AddLanguage en .free", "</Directory>",
                         "LoadModule negotiation_module /usr/lib/apache2/modules/mod_negotiation.so"], "/docs/x"),
    "RewriteRule R in a Location": (['<Location "/udm/rr">', "RewriteEngine On", "RewriteRule .* {b}/secret [R]",
                                     "</Location>"], "/rr/x"),
    "RewriteRule G in a Location": (['<Location "/udm/rg">', "RewriteEngine On", "RewriteRule .* - [G]",
                                     "</Location>"], "/rg/x"),
}


@pytest.mark.parametrize("lock", ["valid-user", "granted", "no AuthType", "AuthType None"])
@pytest.mark.parametrize("hint", HINTS)
def test_nobody_is_told_what_there_is(stopped, backend, hint, lock):
    lines, path = HINTS[hint]
    start(stopped, backend, lines, lock)
    for method in ("GET", "HEAD", "POST", "OPTIONS", "PROPFIND"):
        for client in (stopped.client(key=None, token=None), stopped.client(key="nonsense", token=None)):
            answer = client.request(method, path, allow_redirects=False)
            assert answer.status_code == 401, (method, answer.status_code, answer.headers, answer.text)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    stopped.httpd.allow_log("AH00687")
    known = stopped.client(token=None).get(path, allow_redirects=False)
    assert known.status_code in (200, 300, 301, 302, 404, 406, 410), known.text
    assert stopped.client(token=None).get("/nothing").status_code == 404


@pytest.mark.parametrize("require, good, bad", [
    ("UDMRequire both", {}, {"key": None}), ("UDMRequire default", {}, {"token": None}),
    ("UDMRequire token", {"key": None}, {"token": None}), ("UDMRequire any", {"key": None}, {"key": None, "token": None}),
    ("UDMVersions v3 v4", {"token": None}, {"key": None}), ("UDMVersions v10", {}, {"token": None})])
@pytest.mark.parametrize("lock", ["valid-user", "no AuthType"])
def test_what_is_asked_for_is_what_the_mount_says(stopped, backend, lock, require, good, bad):
    start(stopped, backend, DOORS["ProxyPass"][0] + DOORS["ProxyPass of the labels"][0], lock, require=require)
    for path in ("/console/x", "/v10/resources/labels"):
        assert_shut(stopped, backend, path, **bad)
        assert stopped.client(**good).get(path).text == SECRET
        del backend.seen[:]


@pytest.mark.parametrize("first", [False, True], ids=["after", "before"])
def test_no_spelling_of_the_path_opens_it(stopped, backend, first):
    """What the proxy takes for its path, and the section for the mount's, however many slashes it has."""
    start(stopped, backend, ["ProxyPass /udm/console {b}", "ProxyPass //udm//v10 {b}", "Alias /udm/docs {docs}"],
          "valid-user", first, more=["MergeSlashes Off", "AllowEncodedSlashes On"])
    for path in ("/udm/console/x", "//udm/console/x", "/udm//console/x", "///udm///console///x", "/%75dm/console/x",
                 "/udm/./console/x", "/x/../udm/console/x", "/udm/v10/../console/x", "/udm/console/%2e%2e/console/x",
                 "/udm/console%2fx", "/udm/console/../openapi.json/../console/x", "//udm//v10/version",
                 "//udm/v10/version", "/udm/docs/x.txt", "//udm//docs//x.txt", "/udm/openapi.json/../console/x",
                 "/udm/console?x", "/udm/console/;x", "http://localhost/udm/console/x"):
        with socket.create_connection(("127.0.0.1", stopped.httpd.port), 10) as raw:
            raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while data := raw.recv(65536):
                answer += data
        assert SECRET.encode() not in answer, path
        assert int(answer.split()[1]) in (400, 401, 404), (path, answer)
    assert backend.seen == []
    assert stopped.client(token=None).get("/console/x").text == SECRET


def test_a_role_is_asked_for(stopped, backend):
    start(stopped, backend, ["ProxyPass /udm/console {b}", '<Location "/udm/console">',
                             'Require udm-role "iWD Administrator"', "</Location>"], "valid-user")
    stopped.httpd.allow_log("AH01631|AH01630")
    other = stopped.client(key=stopped.new_key(roles=["UDM UCSX Exporter"]), token=None)
    problem(other.get("/console/x"), 403)
    assert_shut(stopped, backend, "/console/x", key=None, token=None)
    assert stopped.client(token=None).get("/console/x").text == SECRET


def test_two_tenants_are_refused(stopped, backend):
    start(stopped, backend, DOORS["ProxyPass"][0], "valid-user", require="UDMRequire both")
    answer = stopped.client(token=stopped.env.tokens.token("lakeside-energy")).get("/console/x")
    problem(answer, 403)
    assert backend.seen == []


def test_the_api_is_as_it_was(stopped, backend):
    """Beside all that: what is open stays open, as long as the module answers it."""
    start(stopped, backend, DOORS["ProxyPass"][0] + DOORS["Alias"][0], "valid-user")
    anonymous = Client(stopped.httpd.url)
    assert anonymous.get("/openapi.json").status_code == 200
    problem(anonymous.get("/download/x"), 403)
    for path in ("/v10/nothing", "/v10", "/v7/x", "/download", "/download/a/b"):
        problem(anonymous.get(path), 404)
    for path in ("/v", "/vx", "/v10x", "/downloads", "/openapi.jsonx", "/", ""):
        problem(anonymous.get(path) if path else anonymous.get(anonymous.base), 401)
    problem(anonymous.post("/openapi.json"), 405)
    assert anonymous.request("OPTIONS", "/v10/export/jobs").status_code == 204
    problem(anonymous.get("/nothing"), 401)
    problem(stopped.client(token=None).get("/nothing"), 404)
    problem(stopped.client(token=None).request("OPTIONS", "/nothing"), 404)
    assert backend.seen == []


def test_other_requests_lead_there(stopped, backend):
    """A page that includes, and an error page: they are asked for by whoever asks for the first."""
    start(stopped, backend, ["Alias /udm/docs {docs}", "Alias /free {docs}", "ProxyPass /udm/console {b}",
                             "ErrorDocument 404 /udm/console/lost"], "valid-user")
    stopped.httpd.allow_log("AH01374|unable to include|authoriz")
    for client in (Client(stopped.httpd.at("/free")), stopped.client(key="nonsense", token=None)):
        client.base = stopped.httpd.at("/free")
        for path in ("/page.shtml", "/nothing"):
            answer = client.get(path)
            assert SECRET not in answer.text, path
            assert answer.status_code in (200, 401, 404)
    assert backend.seen == []
    client = stopped.client(token=None)
    client.base = stopped.httpd.at("/free")
    assert SECRET in client.get("/page.shtml").text
    assert SECRET in client.get("/nothing").text


def test_no_cache_opens_it(stopped, backend):
    """mod_cache answers before anybody is asked who he is."""
    start(stopped, backend, ["ProxyPass /udm/console {b}", "ProxyPass /free {b}"], "valid-user",
          more=["CacheEnable socache /", "CacheSocache shmcb", "CacheIgnoreHeaders Set-Cookie",
                'CacheStorePrivate On', "CacheStoreNoStore On", 'CacheIgnoreCacheControl On'])
    free = Client(stopped.httpd.at("/free"))
    for _ in range(3):
        assert free.get("/x").text == SECRET
    assert len(backend.seen) == 1, "the cache is at work elsewhere"
    del backend.seen[:]
    client = stopped.client(token=None)
    for _ in range(2):
        assert client.get("/console/x").text == SECRET
    assert len(backend.seen) == 2
    del backend.seen[:]
    assert_shut(stopped, backend, "/console/x", key=None, token=None)


def test_what_is_opened_on_purpose(stopped, backend):
    """UDM Off takes a part away from the mount, and another AuthType guards its own."""
    users = os.path.join(stopped.httpd.directory, "users")
    with open(users, "w", encoding="ascii") as f:
        f.write("ann:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=\n")  # "test"
    stopped.env.account.own(users)
    start(stopped, backend, ["ProxyPass /udm {b}", '<Location "/udm/open">', "UDM Off", "Require all granted",
                             "AuthType None", "</Location>", '<Location "/udm/basic">', "AuthType Basic",
                             "AuthName basic", "AuthBasicProvider file", f'AuthUserFile "{users}"',
                             "Require valid-user", "</Location>"], "valid-user")
    anonymous = Client(stopped.httpd.url)
    assert anonymous.get("/open/x").text == SECRET
    assert anonymous.get("/basic/x", auth=("ann", "test")).text == SECRET
    del backend.seen[:]
    stopped.httpd.allow_log("AH01617|AH01618")
    for auth in (("ann", "wrong"), ("x", "test"), None):
        assert anonymous.get("/basic/x", auth=auth).status_code == 401
    assert stopped.client(token=None).get("/basic/x").status_code == 401
    assert backend.seen == []


def test_what_a_backend_sees(stopped, backend):
    """The headers as they came, as with any other AuthType; RequestHeader takes them away."""
    start(stopped, backend, ["ProxyPass /udm/console {b}", "ProxyPass /udm/other {b}", '<Location "/udm/other">',
                             "RequestHeader unset x-api-key", "RequestHeader unset Authorization",
                             'RequestHeader set X-Remote-User "expr=%{{REMOTE_USER}}"', "</Location>"], "valid-user")
    client = stopped.client()
    assert client.get("/console/x?a=b").status_code == 200
    method, path, headers = backend.seen.pop()
    assert (method, path) == ("GET", "/x?a=b")
    assert headers["x-api-key"] == client.key and headers["Authorization"] == "Bearer " + client.token
    assert client.get("/other/x").status_code == 200
    _, _, headers = backend.seen.pop()
    assert {"x-api-key", "authorization"}.isdisjoint(k.lower() for k in headers)
    assert headers["X-Remote-User"] == "harbour-insurance/" + client.key.split("_")[1]


def test_a_proxy_sends_on_what_it_was_sent(stopped, backend):
    """What is hidden from the logs is not hidden from a server behind: of a forward proxy, of another path."""
    key = stopped.new_key()
    link = "/udm/download/export-6f1c2d3e-1111-4222-8333-abcdefabcdef.zip.smime?expires=1&signature=" + "ab" * 32
    start(stopped, backend, ["ProxyRequests On", "ProxyPass /other {b} nocanon", "ProxyPass /canonical {b}"], "valid-user")
    with requests.Session() as session:
        session.trust_env = False
        for path in (link, "/udm/v10/x?key=" + key, "/app?signature=" + "cd" * 32):
            for url, proxies in ((backend.url + path, {"http": stopped.httpd.at("")}),
                                 (stopped.httpd.at("/other" + path), None),
                                 (stopped.httpd.at("/canonical" + path), None)):
                assert session.get(url, proxies=proxies, timeout=60).text == SECRET
                assert backend.seen.pop()[1] == path


def test_the_logs_name_who(stopped, backend):
    start(stopped, backend, ["ProxyPass /udm/console {b}"], "valid-user", require="UDMRequire any",
          more=['LogFormat "%u|%r" all'])
    key = stopped.new_key(label="a label of three words")
    token = stopped.env.tokens.token(subject='a "b"\n|c/d é%')
    for credentials in ({"key": key, "token": None}, {"key": key, "token": token}, {"key": None, "token": token},
                        {"key": None, "token": stopped.env.tokens.token(omit=["sub"])}):
        for path in ("/console/who", "/v10/version?who"):
            assert stopped.client(**credentials).get(path).status_code == 200
    assert Client(stopped.httpd.url).get("/openapi.json?who").status_code == 200

    def read():
        with open(stopped.httpd.access_log, encoding="utf-8") as f:
            lines = [line.split("|")[0] for line in f if "who" in line]
        return lines if len(lines) == 9 else None
    by_key = "harbour-insurance/" + key.split("_")[1]
    by_token = "harbour-insurance/a%20%22b%22%0A%7Cc%2Fd%20%C3%A9%25"
    assert wait_for(read, 20, "the access log") == [by_key] * 4 + [by_token] * 2 + ["harbour-insurance/"] * 2 + ["-"]
