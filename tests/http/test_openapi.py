"""The description of the API and the API are the same thing, at every kind of mount.

The document is linted, and then believed: each operation in it is called as it says, each answer
must be one that it documents, with the headers, the media type and the members that it documents.
"""
import copy
import json
import os
import subprocess

import jsonschema
import pytest

from udmtest.api import Client
from udmtest.env import TOP
from udmtest.files import PublishedFile
from udmtest.site import Site

LINTER = os.path.join(TOP, "build", "openapi", "node_modules")
FOLDER = os.path.join(TOP, "tests", "openapi")
FILE = os.path.join(TOP, "conf", "openapi.json")
METHODS = ("get", "put", "post", "delete")
MOUNTS = {
    "/udm": [],
    "/wrapped": ["UDMEnvelope wrapped"],
    "/v10-alone": ["UDMVersions v10"],
    "/old": ["UDMVersions v3 v4", "UDMEnvelope wrapped", "UDMSunset 2040-01-01"],
}
# What exists only sometimes; every other member of an answer is always there.
OPTIONAL = {"Problem": {"errors"}, "JobInfo": {"statusReason"}, "JobInfoV4": {"statusReason"},
            "JobInfoPage": {"next"}, "FilePage": {"next"},
            "JobDefinitionV4": {"dateFrom", "dateTo", "immediately", "cron", "runs", "startDate"}}
NOT_NOW = "2040-01-01T00:00:00Z"

with open(FILE, encoding="utf-8") as f:
    DOCUMENT = json.load(f)


def operations(document):
    """(method, path, operation) of a document."""
    return [(method, path, item[method]) for path, item in document["paths"].items()
            for method in METHODS if method in item]


def names(document=DOCUMENT):
    return [operation["operationId"] for _method, _path, operation in operations(document)]


def resolve(document, item):
    """What a reference means, or the thing itself."""
    while "$ref" in item:
        target = document
        for part in item["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        item = target
    return item


class Api:
    """One mount with its document."""

    def __init__(self, site, mount):
        self.site, self.mount = site, mount
        self.client = Client(site.httpd.at(mount), site.key(), site.env.tokens.token(),
                             site.env.secrets)
        self.nobody = Client(self.client.base)
        self.answer = self.nobody.get("/openapi.json")
        assert self.answer.status_code == 200, self.answer.text
        self.document = self.answer.json()
        self.wrapped = "UDMEnvelope wrapped" in MOUNTS[mount]
        self.operations = {o["operationId"]: (method, path, o)
                           for method, path, o in operations(self.document)}

    def call(self, name, path=(), client=None, **kwargs):
        """Calls an operation; `path` holds the values of its path's parameters."""
        method, template, operation = self.operations[name]
        client = client or (self.nobody if operation["security"] == [] else self.client)
        answer = client.request(method.upper(), template.format(**dict(path)), **kwargs)
        self.check(operation, answer)
        return answer

    def check(self, operation, answer):
        """An answer must be one that the operation documents; gives its JSON."""
        where = f"{operation['operationId']} at {self.mount}: {answer.status_code} {answer.text[:500]}"
        assert str(answer.status_code) in operation["responses"], where
        documented = resolve(self.document, operation["responses"][str(answer.status_code)])
        for header, definition in documented.get("headers", {}).items():
            if header == "Sunset" and not any(s.startswith("UDMSunset") for s in MOUNTS[self.mount]):
                continue
            assert header in answer.headers, f"no {header}: {where}"
            self.validate(resolve(self.document, definition)["schema"], header_value(
                resolve(self.document, definition), answer.headers[header]), where)
        if "content" not in documented:
            assert answer.content == b"", where
            return
        media = answer.headers["Content-Type"].partition(";")[0]
        assert media in documented["content"], f"{media}: {where}"
        if media.endswith("json"):
            self.validate(documented["content"][media]["schema"], answer.json(), where)

    def validate(self, schema, value, where):
        validator = jsonschema.Draft202012Validator(
            schema, resolver=jsonschema.RefResolver("", self.document))
        faults = [f"/{'/'.join(map(str, e.absolute_path))}: {e.message}"
                  for e in validator.iter_errors(value)]
        assert not faults, f"{where}\n" + "\n".join(faults)


def header_value(definition, text):
    return int(text) if definition["schema"]["type"] == "integer" else text


@pytest.fixture(scope="module")
def site(env):
    result = Site(env)
    result.httpd.location = MOUNTS["/udm"]
    result.httpd.mounts = {path: lines for path, lines in MOUNTS.items() if path != "/udm"}
    result.start_httpd()
    result.upload_certificate()
    yield result
    result.close()


@pytest.fixture(scope="module")
def apis(site):
    return {mount: Api(site, mount) for mount in MOUNTS}


@pytest.fixture(params=list(MOUNTS), ids=lambda m: m[1:])
def api(request, apis):
    return apis[request.param]


# The document by itself

def lint(*paths):
    """What the linter has to say of files: the texts by path. It is an error to be without it."""
    with open(os.path.join(FOLDER, "package-lock.json"), "rb") as wanted:
        try:
            with open(os.path.join(LINTER, "lock"), "rb") as installed:
                ready = installed.read() == wanted.read()
        except FileNotFoundError:
            ready = False
    assert ready, f"the linter is not in {LINTER}: ./dev test installs it, which takes npm and a network"
    done = subprocess.run([os.path.join(LINTER, ".bin", "spectral"), "lint", "--quiet",
                           "--fail-severity=hint", "--format=json",
                           "--ruleset", os.path.join(FOLDER, "ruleset.yaml"), *paths],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    result = {path: [] for path in paths}
    for finding in json.loads(done.stdout):
        place = "/".join(map(str, finding["path"]))
        result[finding["source"]].append(f"{finding['code']} at {place}: {finding['message']}")
    assert done.returncode == int(any(result.values())), done.stdout
    return result


@pytest.fixture(scope="module")
def findings(apis, tmp_path_factory):
    """What the linter says of the file, of what each mount serves, and of a document with faults."""
    broken = copy.deepcopy(DOCUMENT)
    broken["components"]["schemas"]["Nobody"] = {"type": "string"}
    del broken["paths"]["/v10/version"]["get"]["tags"]
    progress = broken["paths"]["/v10/export/history/{id}/progress"]["get"]["responses"]["200"]
    progress["content"]["application/json"]["example"]["progress"] = 101
    folder = tmp_path_factory.mktemp("openapi")
    documents = {"broken": json.dumps(broken).encode(),
                 **{mount: api.answer.content for mount, api in apis.items()}}
    paths = {name: folder / f"{name.strip('/')}.json" for name in documents}
    for name, path in paths.items():
        path.write_bytes(documents[name])
    found = lint(FILE, *map(str, paths.values()))
    return {"file": found[FILE], **{name: found[str(path)] for name, path in paths.items()}}


@pytest.mark.parametrize("name", ["file", *MOUNTS])
def test_document_is_clean(findings, name):
    assert findings[name] == []


def test_linter_finds_faults(findings):
    """A clean bill is worth something only from one who looks."""
    for rule in ("oas3-unused-component", "operation-tags", "oas3-valid-media-example"):
        assert any(finding.startswith(rule) for finding in findings["broken"]), rule
    assert len(findings["broken"]) == 3


def test_the_bare_document_is_the_file(apis):
    expected = copy.deepcopy(DOCUMENT)
    expected["servers"] = [{"url": apis["/udm"].client.base}]
    for _method, _path, operation in operations(expected):
        for response in operation["responses"].values():
            for media in response.get("content", {}).values():
                media.pop("x-udm-bare", None)
    assert apis["/udm"].document == expected


def test_operations_of_versions(apis):
    assert len(names()) == len(set(names()))
    for mount, versions in (("/udm", ("v10", "v4", "v3")), ("/v10-alone", ("v10",)), ("/old", ("v4", "v3"))):
        beside = {"fileDownload", "openapiGet"}
        assert set(names(apis[mount].document)) == beside | {n for n in names() if n.startswith(versions)}


def test_references_lead_somewhere_and_nothing_is_left_over(api):
    document = api.document
    used, waiting = set(), [{k: v for k, v in document.items() if k != "components"}]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            reference = item.get("$ref")
            if isinstance(reference, str) and reference not in used:
                used.add(reference)
                waiting.append(resolve(document, {"$ref": reference}))
            for requirement in item.get("security", []):
                used |= {"#/components/securitySchemes/" + name for name in requirement}
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    assert used == {f"#/components/{kind}/{name}" for kind, entries in document["components"].items()
                    for name in entries}
    assert {tag["name"] for tag in document["tags"]} == \
        {tag for _method, _path, o in operations(document) for tag in o["tags"]}
    assert "x-udm-" not in json.dumps(document).replace("x-udm-extension", "")


def test_answers_are_described_to_the_last_member():
    """An answer with a member too few or too many must not pass for a good one."""
    def look(schema, name):
        if schema.get("type") == "object" and "properties" in schema:
            assert schema.get("additionalProperties") is False, name
            missing = set(schema["properties"]) - set(schema.get("required", ()))
            assert missing <= OPTIONAL.get(name, set()), name
        for key, child in schema.get("properties", {}).items():
            follow(child, name)
        if isinstance(schema.get("items"), dict):
            follow(schema["items"], name)

    def follow(schema, name):
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name in seen:
                return
            seen.add(name)
        look(resolve(DOCUMENT, schema), name)

    seen = set()
    for _method, _path, operation in operations(DOCUMENT):
        if operation["operationId"] == "openapiGet":
            continue
        for response in operation["responses"].values():
            for media in resolve(DOCUMENT, response).get("content", {}).values():
                follow(media.get("schema", {}), operation["operationId"])
    assert {"JobInfo", "JobInfoV4", "FileMetadata", "Problem", "CertificateInfo"} <= seen


def test_the_document_is_cached(api):
    tag = api.answer.headers["ETag"]
    assert api.call("openapiGet", headers={"If-None-Match": tag}).status_code == 304


# Everything in it is called

class World:
    """Makes what an operation needs, through the mount that has all versions."""

    def __init__(self, site):
        self.site, self.client = site, Client(site.httpd.url, site.key(), site.env.tokens.token(),
                                              site.env.secrets)

    def job(self, **more):
        """One that has not begun, and its id."""
        return self.client.create_job(schedule={"startDate": NOT_NOW}, **more)["id"]

    def suspended(self):
        return self.job(suspended=True)

    def file(self):
        """A finished file with its job and its history record."""
        return PublishedFile(self.site)

    def failed(self):
        """A history record with a reason."""
        run = self.file().run_id
        self.site.sql("UPDATE udm.run SET status = 'FAILED', status_reason = 'the source is away',"
                      " file_name = NULL, file_size = 0 WHERE id = %s", [run])
        return run


@pytest.fixture(scope="module")
def world(site):
    return World(site)


def by_id(make):
    return lambda world: ({"id": make(world)}, {})


def by_query(name, make):
    return lambda world: ({}, {name: make(world)})


# How to call an operation so that it succeeds: parameters of its path and of its query.
CALLS = {
    "CertificateUpload": lambda world: ({"certificatefilename": "exports.pem"}, {}),
    "JobGet": by_id(World.job), "JobDelete": by_id(World.job), "JobReplace": by_id(World.job),
    "JobCancel": by_id(World.job), "JobSuspend": by_id(World.job),
    "JobResume": by_id(World.suspended),
    "JobDeleteMany": by_query("jobIDs", lambda w: f"{w.job()},{w.job()}"),
    "HistoryGet": by_id(World.failed), "HistoryDelete": by_id(lambda w: w.file().run_id),
    "HistoryProgress": by_id(lambda w: w.file().run_id),
    "HistoryDeleteMany": by_query("jobIDs", lambda w: f"{w.file().run_id}"),
    "FileLinkMany": by_query("filename", lambda w: f"{w.file().name},{w.file().name}"),
    "FileDeleteMany": by_query("filename", lambda w: w.file().name),
    "FileLink": lambda world: ({"filename": world.file().name}, {}),
    "FileDelete": lambda world: ({"filename": world.file().name}, {}),
}
EXPECTED = {"CertificateUpload": 201, "JobCreate": 202, "FileLink": 303}


def stem(name):
    """What an operation is called in every version."""
    return name.removeprefix("v10").removeprefix("v4").removeprefix("v3")


def expected(operation):
    name = stem(operation["operationId"])
    if name in EXPECTED:
        return EXPECTED[name]
    return 204 if "Delete" in name else 200


def bodies(document, operation):
    """The arguments for requests with each example of a body; one without a body if there is none."""
    if "requestBody" not in operation:
        return [{}]
    result = []
    for media, content in resolve(document, operation["requestBody"])["content"].items():
        example = content["example"]
        if media == "multipart/form-data":
            result.append({"files": {k: ("file.pem", v) for k, v in example.items()}})
        else:
            result.append({"headers": {"Content-Type": media},
                           "data": json.dumps(example) if media.endswith("json") else example})
    return result


def unwrapped(api, operation, answer):
    """The body that the bare API would have; the envelope must be there exactly where it belongs."""
    body = answer.json()
    bare = stem(operation["operationId"]) in ("openapiGet", "JobSuspend", "JobResume") and \
        not operation["operationId"].startswith("v10")
    if not api.wrapped or bare:
        return body
    assert list(body) == ["status", "data"] and \
        body["status"] == {"code": 0, "detail": {}, "message": "successful"}
    return body["data"]


@pytest.mark.parametrize("mount", ["/udm", "/wrapped", "/old"], ids=lambda m: m[1:])
@pytest.mark.parametrize("name", [n for n in names() if n != "fileDownload"])
def test_operation(apis, world, name, mount):
    """As documented, with each of its examples, at a mount with and one without envelopes."""
    api = apis[mount]
    if name not in api.operations:
        assert mount == "/old" and name.startswith("v10")
        return
    method, _path, operation = api.operations[name]
    assert operation.get("deprecated", False) is name.startswith(("v3", "v4"))
    if "List" in name:
        world.file(), world.job()
    for body in bodies(api.document, operation):
        path, query = CALLS.get(stem(name), lambda w: ({}, {}))(world)
        answer = api.call(name, path, params=query, **body)
        assert answer.status_code == expected(operation), answer.text
        if answer.content:
            data = unwrapped(api, operation, answer)
            if isinstance(data, list):
                assert data
            if "count" in data:
                assert data["items"]


@pytest.mark.parametrize("mount", ["/udm", "/old"], ids=lambda m: m[1:])
@pytest.mark.parametrize("name", [o["operationId"] for _m, _p, o in operations(DOCUMENT)
                                  if o["security"] != []])
def test_operation_says_no(apis, name, mount):
    """Without credentials, for made-up ids and names, and for bad values of what has a type."""
    api = apis[mount]
    if name not in api.operations:
        return
    _method, _path, operation = api.operations[name]
    made_up = {"id": 999999999, "filename": "nothing", "certificatefilename": "x.pem"}
    if {} not in operation["security"]:
        assert api.call(name, made_up, client=api.nobody).status_code == 401
    else:
        assert api.call(name, made_up, client=api.nobody).status_code == 200
        assert api.call(name, made_up, headers={"x-api-key": "nonsense"}).status_code == 401
    # 406 only where the answer would be JSON
    answer = api.call(name, made_up, headers={"Accept": "text/html"})
    assert (answer.status_code == 406) is ("406" in operation["responses"])
    parameters = [resolve(api.document, p) for p in operation.get("parameters", ())]
    if any(p["in"] == "query" for p in parameters):
        assert api.call(name, made_up, params=b"no-text=%ff").status_code == 400
    for p in parameters:
        schema = p["schema"]
        if p["in"] == "path" and p["name"] == "id":
            for bad in ("x", "0", "-1"):
                assert api.call(name, {"id": bad}).status_code == 400
            answer = api.call(name, made_up, **bodies(api.document, operation)[0])
            assert answer.status_code in (400, 404)
        elif p["in"] == "query" and p.get("required"):
            assert api.call(name).status_code == 400
        elif p["in"] == "query" and ("enum" in schema or schema["type"] != "string"
                                     and schema["type"] != "array"):
            for bad in ("nonsense", *([str(schema["minimum"] - 1)] if "minimum" in schema else [])):
                answer = api.call(name, params={p["name"]: bad})
                assert answer.status_code == 400, (p["name"], bad)
                assert p["name"] in answer.text
                for value in schema.get("enum", ()):
                    assert value in answer.text


@pytest.mark.parametrize("name", [o["operationId"] for _m, _p, o in operations(DOCUMENT)
                                  if any(resolve(DOCUMENT, p)["in"] == "query"
                                         for p in o.get("parameters", ())) and "List" in o["operationId"]])
def test_parameters(apis, world, name):
    """Each value that the document names is taken."""
    api = apis["/udm"]
    world.file(), world.job()
    _method, _path, operation = api.operations[name]
    for p in (resolve(api.document, p) for p in operation["parameters"]):
        schema = p["schema"]
        values = [*schema.get("enum", ()), *schema.get("examples", ())]
        if "default" in schema:
            values.append(schema["default"])
        if schema["type"] == "boolean":
            values += [True, False]
        values += {"integer": [1], "array": ["Interaction,EMAIL_IN"]}.get(schema["type"], [])
        if p["name"] == "source":
            values += ["UCS", "Contact History"]
        if p["name"] == "dataType":
            values.append("Interaction")
        if p["name"] == "after":
            values.append(api.call(name, params={"cursor": "true", "size": 1}).json()["next"])
        for value in values or ["a"]:
            answer = api.call(name, params={p["name"]: str(value).lower() if value in (True, False)
                                            else str(value)})
            assert answer.status_code in (200, 204), (p["name"], value, answer.text)


def test_a_default_is_what_is_done(apis, world):
    """A parameter that is not sent does what the document says it does."""
    for _ in range(3):
        world.file()
    api = apis["/udm"]
    for name in ("v10JobList", "v10HistoryList", "v10FileMetadataList"):
        _method, _path, operation = api.operations[name]
        defaults = {p["name"]: str(p["schema"]["default"]).lower() if p["schema"]["type"] == "boolean"
                    else p["schema"]["default"]
                    for p in (resolve(api.document, p) for p in operation["parameters"])
                    if "default" in p["schema"]}
        assert set(defaults) == {"orderField", "descAsc", "from", "size", "cursor"}
        assert api.call(name).json() == api.call(name, params=defaults).json()


@pytest.mark.parametrize("mount", ["/udm", "/old"], ids=lambda m: m[1:])
def test_entity_tags(apis, world, mount):
    """Where an ETag is documented it does what it is for."""
    api = apis[mount]
    tagged = 0
    for name, (method, _path, operation) in api.operations.items():
        if method != "get" or "304" not in operation["responses"] or name == "fileDownload":
            continue
        path, _query = CALLS.get(stem(name), lambda w: ({}, {}))(world)
        tag = api.call(name, path).headers["ETag"]
        assert api.call(name, path, headers={"If-None-Match": tag}).status_code == 304
        assert api.call(name, path, headers={"If-None-Match": '"another"'}).status_code == 200
        assert api.call(name, path, headers={"If-Match": '"another"'}).status_code == 412
        tagged += 1
    assert tagged == (9 if mount == "/udm" else 5)
    for name, (method, _path, operation) in api.operations.items():
        if method != "get":
            path, query = CALLS.get(stem(name), lambda w: ({}, {}))(world)
            sent = bodies(api.document, operation)[0] if "requestBody" in operation else {}
            answer = api.call(name, path, params=query, **{
                **sent, "headers": {"If-Match": '"another"', **sent.get("headers", {})}})
            assert (answer.status_code == 412) == ("412" in operation["responses"]), name


@pytest.mark.parametrize("version", ["v10", "v4"])
def test_idempotency_key(apis, version):
    """The codes that only this header brings."""
    api = apis["/udm"]
    name = version + "JobCreate"
    body = bodies(api.document, api.operations[name][2])[0]
    headers = {**body["headers"], "Idempotency-Key": f"openapi-{version}"}
    first = api.call(name, headers=headers, data=body["data"])
    again = api.call(name, headers=headers, data=body["data"])
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert api.call(name, headers=headers, data=body["data"] + " ").status_code == 422
    assert api.call(name, headers={**headers, "Idempotency-Key": "not visible"},
                    data=body["data"]).status_code == 400


@pytest.mark.parametrize("name", [o["operationId"] for _m, _p, o in operations(DOCUMENT)
                                  if "requestBody" in o])
def test_bodies_that_are_refused(apis, world, name):
    api = apis["/udm"]
    good = bodies(api.document, api.operations[name][2])[-1]
    path, _query = CALLS.get(stem(name), lambda w: ({}, {}))(world)
    large = good["data"] + " " * (5 << 20)
    for headers, body, status in ((good["headers"], "", 400), (good["headers"], "{", 400),
                                  (good["headers"], large, 413),
                                  ({"Content-Type": "text/plain"}, good["data"], 415),
                                  ({**good["headers"], "Content-Encoding": "gzip"}, good["data"], 415)):
        assert api.call(name, path, headers=headers, data=body).status_code == status
    if "application/json" in good["headers"].values():
        faults = api.call(name, path, headers=good["headers"], data="{}")
        assert faults.status_code == 400 and len(faults.json()["errors"]) >= 5


# Bodies against their schemas: what the document allows is taken, and what it does not is refused.

def members(document, schema, body, path=()):
    """Every member that a body may have: its path, its schema, whether it is required, and a value."""
    schema = resolve(document, schema)
    for name, child in schema.get("properties", {}).items():
        child = resolve(document, child)
        value = body.get(name)
        yield (*path, name), child, name in schema.get("required", ()), value
        if isinstance(value, dict):
            yield from members(document, child, value, (*path, name))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield from members(document, child["items"], value[0], (*path, name, 0))


def replaced(body, path, value):
    whole = copy.deepcopy(body)
    part = whole
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    return whole


def variants(schema, value):
    """Values on both sides of each limit of a schema."""
    yield None
    types = schema["type"] if isinstance(schema.get("type"), list) else [schema.get("type")]
    if "string" in types and "enum" not in schema:
        text = value if isinstance(value, str) else "x"
        most = schema.get("maxLength", 100000)
        yield from (text[:1] * most, text[:1] * (most + 1), "", " ", "\x01", "ä" * most, "00" + text,
                    "0" * most + text, text[:1] + "\n" + text)
    if "array" in types:
        items = resolve(DOCUMENT, schema["items"])
        one = value[0] if isinstance(value, list) and value else "x"
        yield from ([one] * schema["maxItems"], [one] * (schema["maxItems"] + 1), [], [None], [[]])
        if items.get("maxLength"):
            yield from (["x" * items["maxLength"]], ["x" * (items["maxLength"] + 1)], [""])
    if "boolean" in types:
        yield from (True, False, "true", 1, 0)
    yield from (5, {}, [], 1.5)


@pytest.mark.parametrize("name", ["v10JobCreate", "v4JobCreate"])
def test_bodies_against_their_schemas(apis, name):
    """A refusal that the schema foresees, and none that is about form where it foresees none."""
    api = apis["/udm"]
    operation = api.operations[name][2]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator(
        schema, resolver=jsonschema.RefResolver("", api.document))
    body = json.loads(bodies(api.document, operation)[0]["data"])
    body["schedulerParam"] = {"cron": "0 6 * * *", "runs": "12", "startDate": NOT_NOW}
    body["jobParams"].update({
        "type": "Interaction", "fileSplitSize": "100 MB",
        "filters": [{"attribute": "subject", "operator": "eq", "value": "x"}]})
    if name.startswith("v4"):
        body["fileSplitSize"] = body["jobParams"].pop("fileSplitSize")  # where that is, it wins
    assert api.call(name, data=json.dumps(body), headers={"Content-Type": "application/json"}) \
        .status_code == 202
    tried = refused = 0
    for path, child, _required, value in members(api.document, schema, body):
        for other in variants(child, value):
            sent = replaced(body, path, other)
            answer = api.call(name, data=json.dumps(sent), headers={"Content-Type": "application/json"})
            pointer = "/" + "/".join(map(str, path))
            about = [e for e in answer.json().get("errors", ()) if e["pointer"].startswith(pointer)]
            valid = validator.is_valid(sent)
            where = f"{pointer} = {str(other)[:60]!r}: {answer.text[:400]}"
            tried += 1
            if not valid:
                refused += 1
                assert answer.status_code == 400, where
            elif about:
                # a rule that no schema can say: of meaning, not of form
                assert all(any(word in e["detail"] for word in BEYOND) for e in about), where
    assert tried > 150 and refused > 50


# Faults of bodies that fit their schemas.
BEYOND = ("bytes", "there is no", "there is none", "attribute is of the kind", "is of family", "cannot",
          "beside cron", "at least 65536", "number of bytes", "day of", "minute", "cron", "field",
          "asks for no run", "RFC 3339", "later than", "must be an array", "1 to 2147483647",
          "must be a string, a number")


def test_no_certificate(site, apis):
    """What a contact centre that has none is told."""
    other = site.client("lakeside-energy")
    for name in ("v10CertificateGet", "v3CertificateGet"):
        assert apis["/udm"].call(name, client=other).status_code == 404
    body = bodies(DOCUMENT, apis["/udm"].operations["v10JobCreate"][2])[0]
    assert apis["/udm"].call("v10JobCreate", client=other, **body).status_code == 400


def test_tenants_do_not_mix(site, apis):
    """Every operation with credentials documents the 403 of two that do not belong together."""
    mixed = site.client(token=site.env.tokens.token("lakeside-energy"))
    path = {"id": 1, "filename": "x", "certificatefilename": "x"}
    for name, (_method, _path, operation) in apis["/udm"].operations.items():
        if operation["security"]:
            assert apis["/udm"].call(name, path, client=mixed).status_code == 403, name


@pytest.mark.parametrize("mount", ["/udm", "/wrapped", "/old"], ids=lambda m: m[1:])
def test_documented_arrays(apis, world, mount):
    """Errors whose body is an array of what was not done."""
    api = apis[mount]
    for name in api.operations:
        if stem(name) == "FileLinkMany":
            answer = api.call(name, params={"filename": "nothing"})
            status, rest = 404, [{"path": "nothing"}]
        elif stem(name) == "FileDeleteMany":
            answer = api.call(name, params={"filename": f"nothing,{world.file().name}"})
            status, rest = 500, ["nothing"]
        elif stem(name) in ("JobDeleteMany", "HistoryDeleteMany"):
            answer = api.call(name, params={"jobIDs": "999999999"})
            status, rest = 500, [999999999]
        else:
            continue
        assert answer.status_code == status
        assert (answer.json()["data"] if api.wrapped else answer.json()) == rest
        if api.wrapped:
            assert answer.json()["status"]["code"] == status


@pytest.mark.parametrize("mount", ["/udm", "/old"], ids=lambda m: m[1:])
def test_download(apis, world, mount):
    api = apis[mount]
    file = world.file()
    name = next(n for n in api.operations if stem(n) == "FileLink")
    link = api.call(name, {"filename": file.name}).headers["Location"]
    _method, template, operation = api.operations["fileDownload"]
    base, _, query = link.partition("?")
    assert base == api.client.base + template.format(name=file.name)
    assert [part.partition("=")[0] for part in query.split("&")] == \
        [p["name"] for p in operation["parameters"] if p.get("in") == "query"]
    tag = None
    for headers, status in (({}, 200), ({"Range": "bytes=2-"}, 206), ({"Range": "bytes=99-"}, 416),
                            ({"If-Match": '"another"'}, 412)):
        answer = api.nobody.get(link, headers=headers)
        assert answer.status_code == status, answer.text
        api.check(operation, answer)
        tag = answer.headers.get("ETag", tag)
    answer = api.nobody.get(link, headers={"If-None-Match": tag})
    assert answer.status_code == 304
    api.check(operation, answer)
    answer = api.nobody.get(link[:-1] + ("0" if link[-1] != "0" else "1"))
    assert answer.status_code == 403
    api.check(operation, answer)
    for removal, status in (("expired", 410), ("deleted", 404)):
        world.site.sql("UPDATE udm.file SET removed_at = now(), removal = %s WHERE id = %s",
                       [removal, file.id])
        answer = api.nobody.get(link)
        assert answer.status_code == status
        api.check(operation, answer)


def test_a_real_export(site, apis, world):
    """A job of the document's example, through a worker, and every way to look at it."""
    api = apis["/udm"]
    worker = site.start_worker()
    created = api.call("v10JobCreate", **bodies(api.document, api.operations["v10JobCreate"][2])[0])
    job = created.json()["id"]
    run = world.client.wait_job(job)
    assert worker.stop() == 0
    for version in ("v10", "v4"):
        api.call(version + "JobGet", {"id": job})
        api.call(version + "HistoryGet", {"id": run["id"]})
        assert api.call(version + "HistoryProgress", {"id": run["id"]}).json() == {
            "progress": 100, "status": "COMPLETED"}
    definition = api.call("v4JobGet", {"id": job}).json()
    assert definition["jobParams"]["type"] == run["type"]
    for version in ("v10", "v3"):
        for item in api.call(version + "FileMetadataList", params={"name": run["fileName"]}).json()["items"]:
            api.call(version + "FileLink", {"filename": item["name"]})
