"""What belongs to another contact centre does not exist: no answer, by status, header or byte, tells
its ids and names from made-up ones, and no list, filter or bulk operation reaches it."""
import pytest

from udmtest.answers import assert_same, essence, left, problem
from udmtest.files import PublishedFile
from udmtest.operations import HOME, MADE_UP, OPERATIONS, OTHER, Target
from udmtest.process import wait_for

NAMING = [o for o in OPERATIONS if (o.parameter or o.many) in MADE_UP]
LISTS = {"jobs": "/export/jobs", "runs": "/export/history", "files": "/file-metadatas"}


@pytest.fixture(scope="module")
def world(world):
    world.site.upload_certificate(OTHER)
    return world


@pytest.fixture(scope="module")
def theirs(world):
    """One of each, of the other contact centre, as its own client and a worker made them."""
    published = PublishedFile(world.site, ccid=OTHER, title="theirs alone")
    job = world.site.client(OTHER).create_job(title="theirs alone")["id"]
    run = world.site.client(OTHER).runs(job)[0]["id"]
    return {"job": [published.job_id, job], "run": [published.run_id, run], "file": [published.name]}


def callers(world, operation):
    """All that may call it: v3 and v4 take a token beside the key, too."""
    yield world.client("both")
    if operation.need == "key":
        yield world.client("key")


@pytest.mark.parametrize("operation", NAMING, ids=str)
def test_theirs_is_as_made_up(world, theirs, operation):
    kind = operation.parameter or operation.many
    for client in callers(world, operation):
        for name in theirs[kind]:
            before = world.rows.state()
            target, nothing = world.good(operation, name), world.made_up(operation)
            there, not_there = world.send(target, client), world.send(nothing, client)
            if operation.many:
                assert essence(there, ["Content-Length"])[:2] == essence(not_there, ["Content-Length"])[:2]
            else:
                assert_same(there, not_there)
            world.check_unknown(target, there, False)
            assert world.rows.state() == before


@pytest.mark.parametrize("operation", [o for o in NAMING if o.parameter == "job" and o.changes], ids=str)
def test_a_condition_tells_nothing(world, theirs, operation):
    """Nor does If-Match: there is no 412 for what does not exist."""
    for match in ('"x"', "*"):
        headers = {"If-Match": match}
        client = world.client("both")
        there = world.send(world.good(operation, theirs["job"][0]), client, headers=headers)
        assert_same(there, world.send(world.made_up(operation), client, headers=headers))
        assert there.status_code in (400, 404)


@pytest.mark.parametrize("operation", [o for o in NAMING if o.parameter and o.method == "GET"], ids=str)
def test_head_tells_nothing(world, theirs, operation):
    client = world.client("both")
    for headers in ({}, {"If-None-Match": "*"}, {"If-Match": "*"}):
        there = world.send(world.good(operation, theirs[operation.parameter][0]), client, headers, "HEAD")
        assert_same(there, world.send(world.made_up(operation), client, headers, "HEAD"))


@pytest.mark.parametrize("body", ["{", "{}", '{"title": 1}'])
@pytest.mark.parametrize("version", ["v10", "v4"])
def test_a_bad_body_tells_nothing(world, theirs, version, body):
    operation = next(o for o in OPERATIONS if (o.method, o.version) == ("PUT", version))
    answers = [world.client().put(Target(operation, name).path, data=body,
                                  headers={"Content-Type": "application/json"})
               for name in (theirs["job"][0], MADE_UP["job"])]
    assert_same(*answers)
    assert answers[0].status_code in (400, 404)


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.shape in LISTS], ids=str)
def test_lists_do_not_hold_it(world, theirs, operation):
    mine = str(world.make(operation.shape[:-1], title="mine"))
    for client in callers(world, operation):
        found = world.send(Target(operation), client).json()
        key = "name" if operation.shape == "files" else "id"
        names = [item[key] for item in found["items"]]
        assert mine in map(str, names) and found["count"] == len(names)
        assert not set(names) & set(theirs[operation.shape[:-1]])
        text = "jobTitle" if operation.shape == "files" else "title"
        for params in ({text: "theirs alone"}, {text: "theirs alone", "orderField": "id"},
                       *({n: theirs[k][0]} for n, k in (("jobId", "job"), ("historyId", "run"),
                                                        ("name", "file"), ("fileName", "file"))
                         if n in operation.query)):
            answer = world.send(Target(operation, params=params), client)
            assert answer.status_code == (operation.empty or 200)
            assert operation.empty or (answer.json()["count"], answer.json()["items"]) == (0, [])


@pytest.mark.parametrize("operation", [o for o in NAMING if o.many], ids=str)
def test_bulk_names_what_was_asked_and_no_more(world, theirs, operation):
    """Mine is done (a link only if all are there), theirs is left like what was never there."""
    kind = operation.many
    mine, their, nothing = str(world.make(kind, operation)), str(theirs[kind][0]), MADE_UP[kind]
    target = Target(operation, mine, params={operation.required[0]: f"{their},{mine},{nothing}"})
    answer = world.send(target, world.client())
    expected = [their, nothing] if kind == "file" else [int(their), int(nothing)]
    if operation.method == "GET":
        assert left(answer, 404) == [{"path": n} for n in expected]
        return
    assert left(answer, 500) == expected
    world.check_effect(target, answer, None)
    if kind == "file":
        assert world.site.sql("SELECT removed_at FROM udm.file WHERE name = %s", [their])[0][0] is None
    else:
        assert world.rows.get(kind, their, "id")


def test_certificates_are_apart(world):
    """Each sees and replaces its own."""
    mine, their = world.client(), world.client(ccid=OTHER)
    before = their.get("/v10/cipher").json()
    assert mine.upload_certificate(world.site.env.certificate.pem, "mine.pem").status_code == 201
    assert mine.get("/v10/cipher").json()["name"] == "mine.pem"
    assert their.get("/v10/cipher").json() == before and before["ccid"] == OTHER
    world.site.sql("DELETE FROM udm.certificate WHERE ccid = %s", [OTHER])
    for version in ("v10", "v3"):
        problem(their.get(f"/{version}/cipher"), 404)
    world.site.upload_certificate(OTHER)


def test_data_that_another_owns_is_not_in_the_catalog(world):
    """A relation that lists its owners is there for them alone."""
    world.site.sql("SELECT udm.register_source('Owned', 'DataSync', connection => 'ucs')")
    world.site.sql("SELECT udm.register_type('Owned', 'Secret', 'tables.note', 'id',"
                   " tenants => ARRAY[%s])", [OTHER])
    world.site.sql("SELECT udm.register_attributes('Owned', 'Secret')")
    mine, their = world.client(), world.client(ccid=OTHER)
    wait_for(lambda: "Owned" in their.get("/v10/data/sources").text, 5, "the new source to be seen")
    for path in ("/v10/data/sources", "/v3/data/sources", "/v10/data/types", "/v3/data/types",
                 "/v10/resources/labels", "/v10/data/attributes"):
        assert "Owned" in their.get(path).text or "Secret" in their.get(path).text
        assert "Owned" not in mine.get(path).text and "Secret" not in mine.get(path).text
    for params in ({"source": "Owned"}, {"source": "Owned", "dataType": "Secret"}, {"dataType": "Secret"}):
        hidden = mine.get("/v10/data/sub-types", params=params)
        assert hidden.status_code == 400
        made_up = {k: "Never" + v[5:] for k, v in params.items()}
        assert_same(hidden, mine.get("/v10/data/sub-types", params=made_up))
        assert their.get("/v10/data/sub-types", params=params).status_code == 204
    assert mine.get("/v10/data/types?source=Owned").status_code == 204
    body = mine.job(source="Owned", family="DataSync", data_type="Secret")
    hidden = mine.post("/v10/export/jobs", json=body)
    body["source"] = "Never"
    made_up = mine.post("/v10/export/jobs", json=body)
    assert hidden.status_code == made_up.status_code in (400, 403)
    assert hidden.text.replace("Owned", "Never") == made_up.text


def test_a_link_is_no_way_to_ask(world, theirs):
    """Only who may see a file gets a link to it; the link then needs nobody."""
    name = theirs["file"][0]
    problem(world.client().get(f"/v10/files/{name}"), 404)
    link = world.client(ccid=OTHER).link(name)
    assert world.stranger().get(link).status_code == 200
    assert world.client().get(link).status_code == 200
    assert HOME not in link and OTHER not in link
