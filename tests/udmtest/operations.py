"""The table of operations (tests/http/operations.json), and a world in which each can be called.

A line of the table says: version, method and path; need, the credentials ("both", "key", "optional");
success, its status; empty, the status when there is nothing to show; errors, the documented ones;
shape, of the body (shapes.py); parameter, what the path names; many, what the query names; query,
each parameter with its kind; required, those that must be sent; body, what must be sent; etag, whether
the answer has one; wrapped, false where no envelope goes around the body.
"""
import http.client
import json
import os

from .answers import left, problem, unwrap
from .api import Client
from .env import EXPORTER, IWD
from .rows import Rows
from .shapes import check_shape
from .site import CENTRES, Site

HOME, OTHER = CENTRES
MADE_UP = {"job": "987654321987", "run": "987654321987",
           "file": "export-00000000-0000-4000-8000-000000000000.zip.smime"}
DEPRECATED = {"v4": "@1767225600", "v3": "@1767225600"}
JSON = {"Content-Type": "application/json"}

# What exists beside the demo data: one data type of the other family, and roles with less.
CATALOG = """
CREATE SCHEMA tables;
CREATE TABLE tables.note (ccid text NOT NULL, id bigint PRIMARY KEY, body text, at timestamptz);
GRANT USAGE ON SCHEMA tables TO udm_reader_ucs;
GRANT SELECT ON tables.note TO udm_reader_ucs;
SELECT udm.register_source('Tables', 'DataSync', connection => 'ucs');
SELECT udm.register_type('Tables', 'Note', 'tables.note', 'id', tenant_column => 'ccid',
                         time_column => 'at');
SELECT udm.register_attributes('Tables', 'Note');
INSERT INTO udm.role (name, may_read, may_write, may_certificate) VALUES
    ('Reader', true, false, false), ('Nobody', true, true, true),
    ('Writer without certificate', true, true, false);
INSERT INTO udm.role_grant (role, family) VALUES ('Reader', 'UCS'), ('Reader', 'DataSync'),
    ('Writer without certificate', 'UCS'), ('Writer without certificate', 'DataSync');
"""


class Operation:
    def __init__(self, line):
        self.line = line
        self.version, self.method, self.path = line["version"], line["method"], line["path"]
        self.need, self.success = line["need"], line["success"]
        self.errors, self.empty = line["errors"], line.get("empty")
        self.shape, self.parameter = line.get("shape"), line.get("parameter")
        self.many, self.body = line.get("many"), line.get("body")
        self.query, self.required = line.get("query", {}), line.get("required", [])
        self.etag, self.wraps = line.get("etag", False), line.get("wrapped", True)

    @property
    def route(self):
        return f"/{self.version}{self.path}"

    @property
    def changes(self):
        return self.method != "GET"

    @property
    def conditional(self):
        """Whether it changes a job that has an entity tag."""
        return self.changes and self.parameter == "job"

    def __str__(self):
        return f"{self.method} {self.route}"


def load(path=os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "http",
                           "operations.json")):
    with open(path, encoding="ascii") as f:
        return [Operation(line) for line in json.load(f)]


OPERATIONS = load()


def allowed(operation):
    """The methods of an operation's path, as Allow lists them."""
    methods = {o.method for o in OPERATIONS if o.route == operation.route} | {"OPTIONS"}
    return methods | {"HEAD"} if "GET" in methods else methods


def job_body(operation, **change):
    """A job as the operation's version has it."""
    body = Client.job(**{"title": "made by a test", **change})
    if operation.version == "v4":
        del body["jobParams"]["exportAttachments"]
        body["suspended"] = "false"
        if operation.method == "POST":
            del body["type"]
    return body


class Target:
    """A request: where to, what with, and what it is about."""

    def __init__(self, operation, name=None, **kwargs):
        self.operation, self.name, self.kwargs = operation, name, kwargs
        self.params = kwargs.setdefault("params", {})

    @property
    def path(self):
        head, brace, tail = self.operation.route.partition("{")
        return head + str(self.name) + tail.partition("}")[2] if brace else head


class World:
    """A site with mounts of every kind, and objects to call the operations on."""

    MOUNTS = {"/wrapped": ["UDMEnvelope wrapped"], "/current": ["UDMVersions v10"],
              "/older": ["UDMVersions v4 v3"]}

    def __init__(self, env, prepare=None):
        """`prepare`, if given, is called with this before httpd starts."""
        self.site = Site(env)
        with self.site.connect() as connection:
            connection.execute(CATALOG)
        self.site.httpd.mounts = dict(self.MOUNTS)
        if prepare:
            prepare(self)
        self.site.start_httpd()
        self.site.upload_certificate()
        self.rows = Rows(self.site)
        self._clients = {}

    def close(self):
        self.rows.close()
        for client in self._clients.values():
            client.session.close()
        self.site.close()

    # Callers

    def client(self, need="both", ccid=HOME, roles=None, mount="/udm"):
        """Who holds what `need` asks for, and `roles` in the credential that decides: the token
        (beside a key with every right), or the key where it is alone."""
        name = need, ccid, roles, mount
        if name not in self._clients:
            roles = (EXPORTER, IWD) if roles is None else roles
            key = self.site.new_key(ccid, roles if need == "key" else ("*",))
            token = self.site.env.tokens.token(ccid, roles) if need == "both" else None
            self._clients[name] = Client(self.site.httpd.at(mount), secrets=self.site.env.secrets,
                                         key=key, token=token)
        return self._clients[name]

    def caller(self, operation, wrapped=False, **kwargs):
        """A client with just the credentials that the operation asks for."""
        need = "key" if operation.need == "key" else "both"
        return self.client(need, mount="/wrapped" if wrapped else "/udm", **kwargs)

    def stranger(self, wrapped=False, **credentials):
        """A client with these credentials only."""
        return Client(self.site.httpd.at("/wrapped" if wrapped else "/udm"),
                      secrets=self.site.env.secrets, **credentials)

    # Objects

    def make(self, kind, operation=None, ccid=HOME, source="UCS", data_type="Interaction",
             title="a row"):
        """An object that the operation can be called on; gives what names it."""
        more = {"ccid": ccid, "source": source, "type": data_type, "title": title,
                "family": "UCS" if source.startswith("UCS") else "DataSync"}
        path = operation.path if operation else ""
        if kind == "job":
            if "/cancel/" in path or "/suspend/" in path:
                return self.rows.job(**more)[0]
            if "/resume/" in path:
                return self.rows.job(run="SUSPENDED", suspended=True, **more)[0]
            if operation is not None and operation.method == "PUT":
                return self.rows.job(run=None, schedule_type="once", **more)[0]
            return self.rows.job(run="COMPLETED", **more)[0]
        job, run = self.rows.job(run="COMPLETED", **more)
        if kind == "run":
            return run
        return self.rows.file(run, job, ccid=ccid, source=source, type=data_type, job_title=title)

    @staticmethod
    def body(operation, **change):
        return job_body(operation, **change)

    def good(self, operation, name=None, **make):
        """A request that succeeds, on an object of its own unless `name` says which."""
        kind = operation.parameter or operation.many
        if name is None and kind in MADE_UP:
            name = self.make(kind, operation, **make)
        if operation.parameter == "certificate":
            return Target(operation, "uploaded.pem", files={
                "file": ("x.pem", self.site.env.certificate.pem, "application/x-pem-file")})
        if operation.many:
            return Target(operation, name, params={operation.required[0]: str(name)})
        if operation.body == "job":
            return Target(operation, name, json=self.body(operation))
        if operation.path in ("/export/jobs", "/export/history", "/file-metadatas"):
            self.make({"/export/jobs": "job", "/export/history": "run"}.get(operation.path, "file"))
        return Target(operation, name)

    def made_up(self, operation):
        """The same request for what does not exist."""
        return self.good(operation, MADE_UP[operation.parameter or operation.many])

    def send(self, target, client, headers=None, method=None, path=None):
        """Sends a request and looks at what every answer must have."""
        operation = target.operation
        kwargs = dict(target.kwargs)
        answer = client.request(method or operation.method, path or target.path,
                                headers={**kwargs.pop("headers", {}), **(headers or {})}, **kwargs)
        assert answer.headers["X-Request-Id"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "<html" not in answer.text.lower()
        assert answer.headers.get("Deprecation") == DEPRECATED.get(operation.version)
        assert "Sunset" not in answer.headers
        if answer.status_code in (204, 303, 304):
            assert answer.content == b""
        return answer

    def raw(self, operation, client, target):
        """Status and body for a request target as it is: requests tidies what it is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.site.httpd.port, timeout=20)
        try:
            headers = {"x-api-key": client.key}
            if client.token:
                headers["Authorization"] = "Bearer " + client.token
            connection.request(operation.method, target, headers=headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    # Answers

    def check_success(self, target, answer, wrapped):
        """The documented success, whole: status, body, headers, and that it is done."""
        operation = target.operation
        assert answer.status_code == operation.success, f"{answer.status_code} {answer.text}"
        value = None
        if operation.shape is None:
            assert answer.content == b""
        else:
            value = unwrap(answer, wrapped and operation.wraps)
            check_shape(operation.shape, operation.version, value)
        assert ("ETag" in answer.headers) >= operation.etag
        assert ("Deprecation" in answer.headers) == (operation.version != "v10")
        self.check_effect(target, answer, value)
        return value

    def check_effect(self, target, answer, value):
        operation = target.operation
        kind, method = operation.parameter or operation.many, operation.method
        if method == "DELETE" and kind == "file":
            assert self.rows.connection.execute(
                "SELECT removal FROM udm.file WHERE name = %s", [target.name]).fetchone() == ("deleted",)
        elif method == "DELETE":
            assert self.rows.get(kind, target.name, "id") is None
        elif method == "PUT":
            assert self.rows.get("job", target.name, "title") == ("made by a test",)
            assert value["id"] == int(target.name)
        elif operation.body == "job":
            assert self.rows.get("job", value["id"], "title") == ("made by a test",)
            assert answer.headers["Location"].endswith(f"{operation.route}/{value['id']}")
        elif operation.body == "certificate":
            assert value == "uploaded.pem"
            assert self.rows.connection.execute("SELECT name FROM udm.certificate WHERE ccid = %s",
                                                [HOME]).fetchone() == ("uploaded.pem",)
        elif operation.changes:
            expected = {"cancel": ("CANCELLED", False), "suspend": ("SUSPENDED", True),
                        "resume": ("QUEUED", False)}[operation.path.split("/")[3]]
            assert self.rows.get("job", target.name, "status", "suspended") == expected
        elif operation.success == 303:
            assert f"/download/{target.name}?" in answer.headers["Location"]
        elif operation.many:
            assert f"/download/{target.name}?" in value[0]["path"]
        elif operation.parameter in ("job", "run") and operation.shape != "progress":
            assert value["id"] == int(target.name)

    def check_unknown(self, target, answer, wrapped):
        """The documented answer for an object that does not exist."""
        operation = target.operation
        if operation.many:
            status = 404 if operation.method == "GET" else 500
            name = target.name if operation.many == "file" else int(target.name)
            assert left(answer, status, wrapped) == ([{"path": name}] if status == 404 else [name])
        elif operation.method == "DELETE" and operation.parameter == "file":
            assert (answer.status_code, answer.content) == (204, b"")
        else:
            status = 404 if 404 in operation.errors else 400
            document = problem(answer, status, wrapped=wrapped)
            assert str(target.name) not in document["detail"]
