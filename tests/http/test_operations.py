"""Every operation of the API, every answer that is documented for it, bare and in an envelope.

The cases are made from the table in operations.json, which says what there is; CASES below says what
is tried with each. A line of the table without a case for one of its statuses fails, and so does a
difference between the table and what the server says of itself in /openapi.json.
"""
import pytest

from udmtest.answers import assert_same, essence, left, problem, unwrap
from udmtest.operations import IWD, JSON, MADE_UP, OPERATIONS, OTHER, Target, allowed

ROUTES = {(o.method, o.route) for o in OPERATIONS}

# A bad value of each kind of query parameter, and words that the answer must hold: what is legal.
BAD_QUERY = {
    "boolean": [("perhaps", ["true", "false"]), ("1", ["true", "false"])],
    "integer": [("x", []), ("-1", []), ("1.5", []), ("99999999999999999999", [])],
    "order": [("nonsense", ["createdDate", "id"]), ("createdDate;--", ["createdDate"])],
    "status": [("nonsense", ["IN_PROGRESS", "In Progress", "CANCELLED"])],
    "schedule": [("sometimes", ["immediately", "once", "recurring"])],
    "instant": [("yesterday", []), ("2026-02-30", [])],
    "id": [("x", []), ("0", []), ("-5", [])],
    "text": [("\udcff", ["utf-8"])],
    "source": [("NOPE", ["UCS", "Tables"])],
    "data type": [("NOPE", ["Interaction", "Note"])],
    "ids": [("x", []), ("1,x", []), ("0", []), (" , ", []), ("1;2", []), ("1,99999999999999999999", [])],
    "names": [(",".join([MADE_UP["file"]] * 101), ["100"]), (" , ", [])],
    "any names": [(" , ", [])],
    "cursor": [("x", ["next"]), ("WyJhIiwxLCIxOjE6IiwiayIsMV0", ["next"])],
    "any": [],
}


def unchanged(function):
    """A case after which everything must be as it was; it gets a target that was made before."""
    def case(world, operation, wrapped):
        target = world.good(operation)
        before = world.rows.state()
        function(world, target, wrapped)
        assert world.rows.state() == before
    return case


# What is let in

def refused(status, **credentials):
    """With these credentials: "good", "bad", or of the other contact centre."""
    def case(world, target, wrapped):
        values = {"key": {"good": world.site.key(), "other": world.site.key(OTHER),
                          "bad": world.site.key()[:-4] + "0000", None: None},
                  "token": {"good": world.client().token, "other": world.client(ccid=OTHER).token,
                            "bad": world.client().token[:-4] + "AAAA", None: None}}
        chosen = {kind: values[kind][credentials.get(kind)] for kind in values}
        caller = world.stranger(wrapped, **chosen)
        document = problem(world.send(target, caller), status, wrapped=wrapped)
        assert not any(v in str(document) for v in chosen.values() if v)
    return unchanged(case)


def let_in(**credentials):
    def case(world, operation, wrapped):
        values = {"key": world.site.key(), "token": world.client().token}
        caller = world.stranger(wrapped, **{kind: values[kind] if credentials.get(kind) else None
                                            for kind in values})
        target = world.good(operation)
        world.check_success(target, world.send(target, caller), wrapped)
    return case


def credential_cases(operation):
    both, optional = operation.need == "both", operation.need == "optional"
    alone = {"both": 401, "key": 401, "optional": 200}[operation.need]
    for name, sent, status in (
            ("no credential", {}, alone),
            ("the key alone", {"key": "good"}, 401 if both else 200),
            ("the token alone", {"token": "good"}, alone),
            ("key and token", {"key": "good", "token": "good"}, 200)):
        yield (name, status, refused(401, **sent) if status == 401 else let_in(**sent))
    yield "a bad key", 401, refused(401, key="bad", token="good" if both or optional else None)
    yield "a bad token", 401, refused(401, key="good", token="bad")
    yield "a key and another's token", 403, refused(403, key="good", token="other")
    yield "a token and another's key", 403, refused(403, key="other", token="good")


# What is there

def success(world, operation, wrapped):
    target = world.good(operation)
    world.check_success(target, world.send(target, world.caller(operation, wrapped)), wrapped)


def succeeds_with(**change):
    """Success although something about the request is unusual."""
    def case(world, operation, wrapped):
        target = world.good(operation)
        for name, value in change.get("query", {}).items():
            target.params.setdefault(name, value)
        answer = world.send(target, world.caller(operation, wrapped), headers=change.get("headers"))
        world.check_success(target, answer, wrapped)
    return case


def empty_part(suffix, below=False):
    """A path with an empty part at its end is none, nor is one whose parameter is empty."""
    def case(world, target, wrapped):
        path = target.path.partition(str(target.name))[0].rstrip("/") if below else target.path
        answer = world.send(target, world.caller(target.operation, wrapped), path=path + suffix)
        problem(answer, 404, wrapped=wrapped)
    return unchanged(case)


def other_capitals(name):
    def case(world, target, wrapped):
        for other in (name.upper(), name.lower(), name.swapcase()):
            if other != name:
                target.params[other] = target.params.get(name, "1")
                answer = world.send(target, world.caller(target.operation, wrapped))
                problem(answer, 400, f"{other} must be written {name}", wrapped=wrapped)
                del target.params[other]
    return unchanged(case)


def size_zero(world, operation, wrapped):
    """Nothing but the count, and nothing at all where there is none."""
    target = world.good(operation)
    target.params.update({"from": 0, "size": 0})
    client = world.caller(operation, wrapped)
    page = unwrap(world.send(target, client), wrapped)
    del target.params["size"]
    assert page == {"count": unwrap(world.send(target, client), wrapped)["count"], "from": 0,
                    "items": [], "size": 0} and page["count"] > 0
    if operation.empty:
        target.params.update({"title": "there is none", "size": 0})
        answer = world.send(target, client)
        assert (answer.status_code, answer.content) == (operation.empty, b"")


def pages(world, operation, wrapped):
    """Page by page to the end: all there was, and no further."""
    for _ in range(45):
        target = world.good(operation)
    client = world.caller(operation, wrapped)
    whole = unwrap(world.send(target, client), wrapped)
    assert "next" not in whole
    items, after = [], {"cursor": "true"}
    while after:
        target.kwargs["params"] = {"size": 40, **after}
        page = unwrap(world.send(target, client), wrapped)
        assert set(page) == {"count", "from", "items", "size"} | ({"next"} & set(page))
        assert (page["count"], page["from"], page["size"]) == (whole["count"], 0, 40)
        items += page["items"]
        after = {"after": page["next"]} if "next" in page else None
        world.good(operation)
    assert items == whole["items"] and len(items) == whole["count"]


def question_mark(world, operation, _wrapped):
    target = world.good(operation)
    assert world.raw(operation, world.caller(operation), "/udm" + target.path + "?") \
        == operation.success


def made_up(world, operation, wrapped):
    target = world.made_up(operation)
    before = world.rows.state()
    answer = world.send(target, world.caller(operation, wrapped))
    world.check_unknown(target, answer, wrapped)
    assert world.rows.state() == before


def not_visible(**caller):
    """To this caller the answer is that for an object that does not exist, to the byte."""
    def case(world, operation, wrapped):
        client = world.caller(operation, wrapped, **caller)
        target, other = world.good(operation), world.made_up(operation)
        before = world.rows.state()
        there, nothing = world.send(target, client), world.send(other, client)
        if operation.many:
            assert essence(there, ["Content-Length"])[:2] == essence(nothing, ["Content-Length"])[:2]
        else:
            assert_same(there, nothing)
        world.check_unknown(target, there, wrapped)
        assert world.rows.state() == before
    return case


def not_listed(**caller):
    def case(world, operation, wrapped):
        world.good(operation)
        answer = world.send(Target(operation), world.caller(operation, wrapped, **caller))
        if operation.empty:
            assert (answer.status_code, answer.content) == (operation.empty, b"")
        else:
            assert unwrap(answer, wrapped) == {"count": 0, "from": 0, "items": [], "size": 999999999}
    return case


def nothing_listed(world, operation, wrapped):
    """The status for nothing at all."""
    client, params = world.caller(operation, wrapped), {}
    if operation.path.startswith("/export/"):
        params = {"title": "there is none"}
    elif operation.path == "/data/sub-types":
        params = {"source": "Tables", "dataType": "Note"}
    else:
        client = world.caller(operation, wrapped, roles=("Nobody",))
    answer = world.send(Target(operation, params=params), client)
    assert (answer.status_code, answer.content) == (operation.empty, b"")


def version_off(world, operation, _wrapped):
    mount = "/older" if operation.version == "v10" else "/current"
    client = world.client("both", mount=mount)
    target = world.good(operation)
    before = world.rows.state()
    answer = client.request(operation.method, target.path, **target.kwargs)
    document = problem(answer, 404)
    on = ["v4", "v3"] if operation.version == "v10" else ["v10"]
    assert all(word in document["detail"] for word in [operation.version, "switched off", *on])
    assert world.rows.state() == before


def version_on(world, operation, _wrapped):
    mount = "/current" if operation.version == "v10" else "/older"
    need = "key" if operation.need == "key" else "both"
    target = world.good(operation)
    world.check_success(target, world.send(target, world.client(need, mount=mount)), False)


# Methods

def head(world, operation, wrapped):
    client, target = world.caller(operation, wrapped), world.good(operation)
    get, answer = world.send(target, client), world.send(target, client, method="HEAD")
    assert answer.content == b""
    # A length may be left out of a HEAD; a link is made anew each time.
    varying = ["Transfer-Encoding", "Content-Length", "Location"]
    if not operation.many:
        assert answer.headers.get("Content-Length") in (None, get.headers.get("Content-Length"))
    assert set(answer.headers) - set(varying) == set(get.headers) - set(varying)
    assert essence(answer, varying)[:2] == essence(get, varying)[:2]


def other_method(world, operation, wrapped):
    client, target = world.caller(operation, wrapped), world.good(operation)
    before = world.rows.state()
    for method in sorted({"PATCH", "DELETE", "PUT", "GET"} - allowed(operation)):
        answer = client.request(method, target.path)
        problem(answer, 405, wrapped=wrapped)
        assert set(answer.headers["Allow"].split(", ")) == allowed(operation)
    assert world.rows.state() == before


def options(world, operation, wrapped):
    answer = world.stranger(wrapped).request("OPTIONS", world.good(operation).path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert set(answer.headers["Allow"].split(", ")) == allowed(operation)


def not_acceptable(world, target, wrapped):
    answer = world.send(target, world.caller(target.operation, wrapped), headers={"Accept": "text/html"})
    problem(answer, 406, "application/json", wrapped=wrapped)


# What is wrong with a request

def bad_query(name, value, words):
    def case(world, target, wrapped):
        target.params[name] = value
        if value == "\udcff":
            target.params.pop(name)
            target = type(target)(target.operation, target.name)
            answer = world.send(target, world.caller(target.operation, wrapped),
                                path=f"{target.path}?{name}=%ff")
        else:
            answer = world.send(target, world.caller(target.operation, wrapped))
        document = problem(answer, 400, *words, wrapped=wrapped)
        assert name in document["detail"] or name in ("source", "dataType") or value == "\udcff"
    return unchanged(case)


def missing_query(name):
    def case(world, target, wrapped):
        for params in ({}, {name: ""}):
            target.kwargs["params"] = params
            problem(world.send(target, world.caller(target.operation, wrapped)), 400, name,
                    wrapped=wrapped)
    return unchanged(case)


def bad_id(value):
    def case(world, target, wrapped):
        target.name = value
        problem(world.send(target, world.caller(target.operation, wrapped)), 400, wrapped=wrapped)
    return unchanged(case)


def bad_body(status, *words, pointers=(), **kwargs):
    def case(world, target, wrapped):
        target.kwargs = {"params": {}, **{k: v(world, target) if callable(v) else v
                                          for k, v in kwargs.items()}}
        answer = world.send(target, world.caller(target.operation, wrapped))
        document = problem(answer, status, *words, wrapped=wrapped)
        assert set(pointers) <= {e["pointer"] for e in document.get("errors", [])}, document
    return unchanged(case)


def without(*path):
    """The good body less a member."""
    def body(world, target):
        whole = world.body(target.operation)
        part = whole
        for name in path[:-1]:
            part = part[name]
        del part[path[-1]]
        return whole
    return body


def outside(world, operation, wrapped):
    """Data outside the role, named in a POST, or in a PUT of a job that the role sees."""
    client = world.caller(operation, wrapped, roles=(IWD,))
    target = world.good(operation, **({"source": "Tables", "data_type": "Note"} if operation.parameter
                                      else {}))
    before = world.rows.state()
    problem(world.send(target, client), 403, wrapped=wrapped)
    assert world.rows.state() == before


def read_only(world, operation, wrapped):
    """What may be read but not written is 403 one by one, and left in bulk."""
    target = world.good(operation)
    before = world.rows.state()
    answer = world.send(target, world.caller(operation, wrapped, roles=("Reader",)))
    if operation.many:
        assert left(answer, 500, wrapped) \
            == [target.name if operation.many == "file" else int(target.name)]
    else:
        problem(answer, 403, wrapped=wrapped)
    assert world.rows.state() == before


def some_left(world, operation, wrapped):
    """What can be done is done, and the rest is named in the order asked."""
    kind, parameter = operation.many, operation.required[0]
    unknown = [MADE_UP[kind], MADE_UP[kind][:-12] + "000000000001.zip.smime" if kind == "file"
               else "987654321988"]
    target = world.good(operation)
    target.params[parameter] = f"{unknown[0]}, {target.name},{unknown[1]}"
    answer = world.send(target, world.caller(operation, wrapped))
    if operation.method == "GET":
        assert left(answer, 404, wrapped) == [{"path": name} for name in unknown]
        return
    assert left(answer, 500, wrapped) == [n if kind == "file" else int(n) for n in unknown]
    world.check_effect(target, answer, None)


def several(world, operation, wrapped):
    kind, parameter = operation.many, operation.required[0]
    names = [str(world.make(kind, operation)) for _ in range(3)]
    target = Target(operation, names[0], params={parameter: ",".join(reversed(names))})
    answer = world.send(target, world.caller(operation, wrapped))
    value = world.check_success(target if operation.method == "DELETE" else
                                Target(operation, names[2]), answer, wrapped)
    if operation.method == "GET":
        assert [n in v["path"] for n, v in zip(reversed(names), value)] == [True] * 3


def expired(world, operation, wrapped):
    job, run = world.rows.job(run="COMPLETED")
    name = world.rows.file(run, job, days=-1)
    answer = world.send(Target(operation, name), world.caller(operation, wrapped))
    problem(answer, 410, wrapped=wrapped)


def in_progress(world, operation, wrapped):
    job, run = world.rows.job(run="IN_PROGRESS")
    name = str(run if (operation.parameter or operation.many) == "run" else job)
    client = world.caller(operation, wrapped)
    before = world.rows.state()
    if operation.many:
        target = Target(operation, name, params={"jobIDs": name})
        assert left(world.send(target, client), 500, wrapped) == [int(name)]
    else:
        kwargs = {"json": world.body(operation)} if operation.body else {}
        problem(world.send(Target(operation, name, **kwargs), client), 400, wrapped=wrapped)
    assert world.rows.state() == before


def over(world, operation, wrapped):
    """A change of a job whose work is over."""
    job, _ = world.rows.job(run="COMPLETED")
    before = world.rows.state()
    kwargs = {"json": world.body(operation)} if operation.body else {}
    problem(world.send(Target(operation, job, **kwargs), world.caller(operation, wrapped)), 400,
            wrapped=wrapped)
    assert world.rows.state() == before


def no_certificate(world, operation, wrapped):
    client = world.caller(operation, wrapped, ccid=OTHER)
    if operation.shape == "certificate":
        problem(world.send(Target(operation), client), 404, wrapped=wrapped)
        return
    target = world.good(operation, ccid=OTHER)
    before = world.rows.state()
    problem(world.send(target, client), 400, "certificate", wrapped=wrapped)
    assert world.rows.state() == before


def no_right_to_certificates(world, operation, wrapped):
    target = world.good(operation)
    before = world.rows.state()
    for role in ("Reader", "Writer without certificate"):
        problem(world.send(target, world.caller(operation, wrapped, roles=(role,))), 403,
                wrapped=wrapped)
    assert world.rows.state() == before


def raw_certificate(world, operation, wrapped):
    target = Target(operation, "uploaded.pem", data=world.site.env.certificate.pem,
                    headers={"Content-Type": "application/x-pem-file"})
    world.check_success(target, world.send(target, world.caller(operation, wrapped)), wrapped)


# Conditions

def tags(world, operation, wrapped):
    client, target = world.caller(operation, wrapped), world.good(operation)
    tag = world.send(target, client).headers["ETag"]
    assert tag.startswith('"') and world.send(target, world.caller(operation)).headers["ETag"] == tag
    gzipped = tag[:-1] + '-gzip"'  # as proxies write it that compress
    for match in (tag, "*", f'"x", {tag}', "W/" + tag, gzipped, f'"x", W/{gzipped}'):
        answer = world.send(target, client, headers={"If-None-Match": match})
        assert (answer.status_code, answer.headers["ETag"]) == (304, tag)
    for headers in ({"If-None-Match": '"x"'}, {"If-Match": tag}, {"If-Match": "*"},
                    {"If-Match": "W/" + tag}, {"If-Match": gzipped}):
        world.check_success(target, world.send(target, client, headers=headers), wrapped)
    problem(world.send(target, client, headers={"If-Match": '"x"'}), 412, wrapped=wrapped)
    if "no-store" in world.send(target, client).headers["Cache-Control"]:
        raise AssertionError("a tag on what nobody may keep")


def tag_of_job(world, operation, client, name):
    answer = client.get(f"/{operation.version}/export/jobs/{name}")
    assert answer.status_code == 200
    return answer.headers["ETag"]


def condition_met(world, operation, wrapped):
    client, target = world.caller(operation, wrapped), world.good(operation)
    tag = tag_of_job(world, operation, client, target.name)
    answer = world.send(target, client, headers={"If-Match": f'"x", W/{tag[:-1]}-gzip"'})
    world.check_success(target, answer, wrapped)


def condition_not_met(world, target, wrapped):
    client = world.caller(target.operation, wrapped)
    tag = tag_of_job(world, target.operation, client, target.name)
    for match in ('"x"', 'W/"x"', tag[:-1] + '-"', "W/" + tag[1:-1]):
        answer = world.send(target, client, headers={"If-Match": match})
        problem(answer, 412, "If-Match", wrapped=wrapped)


# Which of these for which operation

def query_cases(operation):
    for name, kind in operation.query.items():
        for number, (value, words) in enumerate(BAD_QUERY[kind]):
            yield f"bad {name} {number + 1}", 400, bad_query(name, value, words)
        yield f"other capitals of {name}", 400, other_capitals(name)
    if "size" in operation.query:
        yield "size 0", 200, size_zero
    if "cursor" in operation.query:
        yield "pages", 200, pages
    for name in operation.required:
        yield f"no {name}", 400, missing_query(name)
    optional = [n for n in operation.query if n not in operation.required]
    if optional:
        yield "empty parameters", operation.success, succeeds_with(query=dict.fromkeys(optional, ""))
    newer = next((o for o in OPERATIONS if o.version == "v10" and o.version != operation.version
                  and (o.method, o.path) == (operation.method, operation.path)), None)
    added = set(newer.query) - set(operation.query) if newer else ()
    if added:
        yield "parameters of v10", operation.success, succeeds_with(query=dict.fromkeys(added, "?"))
    if "orderField" in operation.query and operation.version == "v4":
        yield "order of v10", 400, bad_query("orderField", "exportAttachments", ["createdDate"])


def object_cases(operation):
    kind = operation.parameter or operation.many
    if kind in ("job", "run"):
        if operation.parameter:
            for value in ("x", "0", "-1", "1e3", "99999999999999999999", "1%202", "007"):
                yield f"bad id {value}", 400, bad_id(value)
        if operation.method == "DELETE":
            yield "in progress", 400 if operation.parameter else 500, in_progress
    if kind in MADE_UP:
        status = 404 if 404 in operation.errors else 500 if operation.many else 400
        if (operation.method, operation.parameter) == ("DELETE", "file"):
            status = 204
        yield "made up", status, made_up
        yield "another contact centre's", status, not_visible(ccid=OTHER)
        yield "outside the role", status, not_visible(roles=(IWD,))
        if operation.changes:
            yield "read only", 500 if operation.many else 403, read_only
    if operation.many:
        yield "some left", status, some_left
        yield "several", operation.success, several
    if (operation.method, operation.parameter) == ("GET", "file"):
        yield "expired", 410, expired
    if operation.conditional:
        if operation.method != "DELETE":
            yield "over", 400, over
        if operation.method == "PUT":
            yield "in progress", 400, in_progress
        yield "condition met", operation.success, condition_met
        yield "condition not met", 412, unchanged(condition_not_met)
    if operation.etag:
        yield "entity tag", 304, tags
    if operation.shape in ("jobs", "runs", "files"):
        yield "another contact centre's are not listed", operation.empty or 200, not_listed(ccid=OTHER)
        yield "those outside the role are not listed", operation.empty or 200, \
            not_listed(roles=("Nobody",))


def body_cases(operation):
    if operation.body == "job":
        yield "no body", 400, bad_body(400, data=b"", headers=JSON)
        yield "no JSON", 400, bad_body(400, "line", data=b"{", headers=JSON)
        yield "an array", 400, bad_body(400, data=b"[]", headers=JSON)
        yield "text", 415, bad_body(415, "application/json", data=b"{}",
                                    headers={"Content-Type": "text/plain"})
        yield "too long", 413, bad_body(413, data=b" " * 1048577, headers=JSON)
        for path in (("source",), ("title",), ("timeFrame",), ("schedulerParam",), ("jobParams",),
                     ("jobParams", "type"), ("jobParams", "media"), ("suspended",)):
            yield f"no {path[-1]}" if len(path) == 1 else f"no {'/'.join(path)}", 400, \
                bad_body(400, pointers=["/" + "/".join(path)], json=without(*path))
        if operation.version == "v10":
            yield "no family", 400, bad_body(400, pointers=["/type"], json=without("type"))
        yield "outside the role in the body", 403, outside
        if not operation.parameter:
            yield "no certificate", 400, no_certificate
    if operation.body == "certificate":
        pem = {"Content-Type": "application/x-pem-file"}
        yield "raw PEM", 201, raw_certificate
        yield "rubbish", 400, bad_body(400, data=b"rubbish", headers=pem)
        yield "no file", 400, bad_body(400, "file", files={"other": ("x", b"y")})
        yield "JSON", 415, bad_body(415, data=b"{}", headers=JSON)
        yield "too long", 413, bad_body(413, data=b" " * 1048577, headers=pem)
        yield "no right to certificates", 403, no_right_to_certificates
    if operation.shape == "certificate":
        yield "no certificate", 404, no_certificate


def cases(operation):
    """All cases of an operation: name, status, function."""
    yield "success", operation.success, success
    yield from credential_cases(operation)
    yield "version on", operation.success, version_on
    yield "version off", 404, version_off
    yield "other methods", 405, other_method
    yield "OPTIONS", 204, options
    if operation.method == "GET":
        yield "HEAD", operation.success, head
    yield "unknown parameter", operation.success, succeeds_with(query={"nonsense": "1"})
    yield "trailing slash", 404, empty_part("/")
    if operation.parameter:
        yield "empty parameter", 404, empty_part("/", below=True)
        yield "empty parts", 404, empty_part("//", below=True)
    if not operation.required and not operation.body:
        yield "trailing question mark", operation.success, question_mark
    if operation.shape:
        yield "not acceptable", 406, unchanged(not_acceptable)
    if operation.empty:
        yield "nothing to list", operation.empty, nothing_listed
    yield from query_cases(operation)
    yield from object_cases(operation)
    yield from body_cases(operation)


CASES = {str(o): list(cases(o)) for o in OPERATIONS}


@pytest.mark.parametrize("operation, function", [
    pytest.param(operation, function, id=f"{operation} - {name}")
    for operation in OPERATIONS for name, _status, function in CASES[str(operation)]])
def test_case(world, operation, function):
    """Both ways: what a case makes, it makes for each."""
    for wrapped in (False, True):
        function(world, operation, wrapped)


def test_the_table_has_each_operation_once():
    assert len(OPERATIONS) == len(ROUTES)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_documented_status_has_a_case(operation):
    documented = {operation.success, *operation.errors} | ({operation.empty} - {None})
    assert documented <= {status for _, status, _ in CASES[str(operation)]}


@pytest.mark.parametrize("mount, versions", [("/udm", ("v10", "v4", "v3")), ("/wrapped", ("v10", "v4", "v3")),
                                             ("/current", ("v10",)), ("/older", ("v4", "v3"))])
def test_the_server_describes_the_same_operations(world, mount, versions):
    answer = world.stranger().get(world.site.httpd.at(mount) + "/openapi.json")
    assert answer.status_code == 200, answer.text
    methods = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
    served = {(m.upper(), path) for path, item in answer.json()["paths"].items() for m in item
              if m in methods and path not in ("/openapi.json", "/download/{name}")}
    assert {(m, p.split("{")[0]) for m, p in served} \
        == {(o.method, o.route.split("{")[0]) for o in OPERATIONS if o.version in versions}
    assert {p.count("{") for _, p in served} <= {0, 1} and len(served) == len(
        [o for o in OPERATIONS if o.version in versions])
