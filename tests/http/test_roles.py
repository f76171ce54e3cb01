"""What a role grants is what there is; a role without the right to write sees and changes nothing."""
import pytest

from udmtest.answers import left, problem
from udmtest.api import Client
from udmtest.env import EXPORTER, IWD
from udmtest.operations import MADE_UP, OPERATIONS, Target, World
from udmtest.process import wait_for

BOTH = (EXPORTER, IWD)


@pytest.fixture(scope="module")
def world(env):
    result = World(env)
    result.ids = {"UCS": result.rows.job(run="COMPLETED", title="of UCS"),
                  "Tables": result.rows.job(run="COMPLETED", title="of Tables", family="DataSync",
                                            source="Tables", type="Note")}
    result.names = {
        source: result.rows.file(run, job, source=source, job_title="of " + source,
                                 type="Note" if source == "Tables" else "Interaction")
        for source, (job, run) in result.ids.items()}
    yield result
    result.close()


@pytest.fixture(scope="module")
def as_(world):
    """A client by the roles of its key and of its token (None: no token)."""
    made = {}

    def client(key_roles, token_roles=None):
        name = str(key_roles), str(token_roles)
        if name not in made:
            made[name] = Client(
                world.site.httpd.url, secrets=world.site.env.secrets,
                key=world.site.new_key(roles=key_roles),
                token=None if token_roles is None else world.site.env.tokens.token(roles=token_roles))
        return made[name]
    return client


def seen(client, version="v10"):
    """The sources of all that a client sees, by every way there is."""
    ways = {"v10": ("/v10/export/jobs", "/v10/export/history", "/v10/file-metadatas", "/v10/data/types"),
            "v4": ("/v4/export/jobs", "/v4/export/history"),
            "v3": ("/v3/file-metadatas", "/v3/data/types")}[version]
    result = []
    for path in ways:
        answer = client.get(path)
        assert answer.status_code in (200, 204), answer.text
        items = answer.json() if answer.status_code == 200 else []
        result.append({i["source"] for i in (items["items"] if isinstance(items, dict) else items)}
                      - {"UCSX"})
    assert len(set(map(frozenset, result))) == 1, result
    return result[0]


@pytest.mark.parametrize("key, token, sources", [
    (BOTH, BOTH, {"UCS", "Tables"}), (BOTH, [EXPORTER], {"UCS"}), (BOTH, [IWD], {"Tables"}),
    ([EXPORTER], BOTH, {"UCS"}), ([EXPORTER], [IWD], set()), ([IWD], [EXPORTER], set()),
    (["*"], [EXPORTER], {"UCS"}), (["*"], BOTH, {"UCS", "Tables"}), (["*"], ["*"], set()),
    (BOTH, [], set()), (BOTH, ["made up"], set()), (["Nobody"], BOTH, set()),
    (["Reader"], [IWD], {"Tables"}), (BOTH, [{"name": EXPORTER}], {"UCS"})])
def test_rights_are_those_in_common(as_, key, token, sources):
    """'*' is a word of keys: a token cannot say it. A role may be an object with a name."""
    for version in ("v10", "v4", "v3"):
        assert seen(as_(key, token), version) == sources


@pytest.mark.parametrize("key, sources", [(BOTH, {"UCS", "Tables"}), ([EXPORTER], {"UCS"}),
                                          ([IWD], {"Tables"}), (["*"], {"UCS", "Tables"}),
                                          (["Nobody"], set()), (["Reader"], {"UCS", "Tables"})])
def test_a_key_alone_has_its_own_rights(as_, key, sources):
    for version in ("v4", "v3"):
        assert seen(as_(key), version) == sources


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if (o.parameter or o.many) in MADE_UP
                                       and not o.changes], ids=str)
def test_read_only_sees(world, as_, operation):
    target = world.good(operation)
    client = as_(["Reader"]) if operation.need == "key" else as_(["*"], ["Reader"])
    world.check_success(target, world.send(target, client), False)


@pytest.mark.parametrize("key, token", [(["Reader"], BOTH), (["*"], ["Reader"]), (BOTH, ["Reader"])])
def test_read_only_changes_nothing(world, as_, key, token):
    """Whichever of the two credentials it is that only reads."""
    client = as_(key, token)
    for operation in OPERATIONS:
        if not operation.changes:
            continue
        target = world.good(operation)
        before = world.rows.state()
        answer = world.send(target, client)
        if operation.many:
            assert [str(n) for n in left(answer, 500)] == [str(target.name)]
        else:
            problem(answer, 403)
        assert world.rows.state() == before


@pytest.mark.parametrize("version", ["v10", "v4"])
@pytest.mark.parametrize("source, data_type, family, roles", [
    ("UCS", "Interaction", "UCS", (IWD,)), ("Tables", "Note", "DataSync", (EXPORTER,))])
def test_jobs_only_for_what_is_granted(world, as_, version, source, data_type, family, roles):
    operation = next(o for o in OPERATIONS if (o.method, o.route) == ("POST", f"/{version}/export/jobs"))
    body = world.body(operation, source=source, data_type=data_type, family=family)
    before = world.rows.state()
    for client in (as_(["*"], roles), as_(roles, BOTH), *([as_(roles)] if version == "v4" else [])):
        problem(client.post(operation.route, json=body), 403)
    assert world.rows.state() == before
    granted = ({EXPORTER, IWD} - set(roles)).pop()
    assert as_(["*"], [granted]).post(operation.route, json=body).status_code == 202


@pytest.mark.parametrize("version", ["v10", "v4"])
def test_a_job_cannot_be_moved_out_of_the_role(world, as_, version):
    """PUT needs the right to what the job is now and to what it is to be."""
    operation = next(o for o in OPERATIONS if (o.method, o.version) == ("PUT", version))
    notes = world.body(operation, source="Tables", data_type="Note", family="DataSync")
    ucs = world.body(operation)
    mine = world.good(operation)
    client = as_(["*"], [EXPORTER])
    before = world.rows.state()
    problem(client.put(mine.path, json=notes), 403)
    other = world.good(operation, source="Tables", data_type="Note")
    before = world.rows.state()
    problem(client.put(other.path, json=ucs), 404)
    assert world.rows.state() == before
    assert as_(["*"], BOTH).put(mine.path, json=notes).status_code == 200
    assert world.rows.get("job", mine.name, "source") == ("Tables",)


@pytest.mark.parametrize("version", ["v10", "v3"])
def test_certificates_need_a_right_of_their_own(world, as_, version):
    operation = next(o for o in OPERATIONS if o.body == "certificate" and o.version == version)
    target = world.good(operation)
    before = world.rows.state()
    for key, token in ((["*"], ["Reader"]), (["*"], ["Writer without certificate"]),
                       (["Writer without certificate"], BOTH), (["*"], [])):
        problem(world.send(target, as_(key, token)), 403)
    if version == "v3":
        problem(world.send(target, as_(["Reader"])), 403)
    assert world.rows.state() == before
    assert world.send(target, as_(["*"], [IWD])).status_code == 201


def words(client, path):
    answer = client.get(path)
    assert answer.status_code in (200, 204), answer.text
    return answer.json() if answer.status_code == 200 else []


def test_the_catalog_is_that_of_the_role(as_):
    exporter, iwd, nobody = as_(["*"], [EXPORTER]), as_(["*"], [IWD]), as_(["*"], ["Nobody"])
    for version in ("v10", "v3"):
        assert {s["value"] for s in words(exporter, f"/{version}/data/sources")} == {"UCS", "UCSX"}
        assert {s["value"] for s in words(iwd, f"/{version}/data/sources")} == {"Tables"}
        assert words(nobody, f"/{version}/data/sources") == []
        assert {(t["source"], t["name"]) for t in words(iwd, f"/{version}/data/types")} \
            == {("Tables", "Note")}
        assert words(iwd, f"/{version}/data/types?source=UCS") == []
        sub_types = words(exporter, f"/{version}/data/sub-types")
        assert {s["source"] for s in sub_types} == {"UCS", "UCSX"} \
            and {s["dataType"] for s in sub_types} == {"Interaction"}
        assert words(iwd, f"/{version}/data/sub-types") == []
        document = problem(iwd.get(f"/{version}/data/sub-types?source=UCS"), 400, "Tables")
        assert "UCSX" not in document["detail"]
    labels = words(iwd, "/v10/resources/labels")
    assert set(labels["sources"]) == {"Tables"} and set(labels["types"]) == {"Note"}
    assert labels["media"] == {}
    labels = words(exporter, "/v10/resources/labels")
    assert {"UCS", "UCSX"} == set(labels["sources"]) and labels["media"]
    assert {"Interaction", "Contact"} == set(labels["types"])


def test_attributes_are_those_of_the_role(as_):
    exporter, iwd = as_(["*"], [EXPORTER]), as_(["*"], [IWD])
    assert {a["name"] for a in words(iwd, "/v10/data/attributes?entities=Note")} == {"id", "body", "at"}
    assert words(exporter, "/v10/data/attributes?entities=Note") == []
    assert {a["entity"] for a in words(exporter, "/v10/data/attributes?entities=Interaction,Note")} \
        == {"Interaction"}
    assert words(iwd, "/v10/data/attributes?entities=Interaction,made up") == []
    mixed = words(as_(["*"], BOTH), "/v10/data/attributes?entities=Note,Contact")
    assert [a["entity"] for a in mixed] == sorted((a["entity"] for a in mixed),
                                                  key=["Note", "Contact"].index)


def test_by_id_and_in_bulk(world, as_):
    """Outside the role by id: unknown. In bulk: left."""
    client = as_(["*"], [EXPORTER])
    (job, run), name = world.ids["Tables"], world.names["Tables"]
    for path, status in ((f"/v10/export/jobs/{job}", 404), (f"/v10/export/history/{run}", 404),
                         (f"/v10/export/history/{run}/progress", 400), (f"/v10/files/{name}", 404),
                         (f"/v4/export/jobs/{job}", 404), (f"/v3/files/{name}", 404)):
        problem(client.get(path), status)
        assert as_(["*"], [IWD]).get(path).status_code in (200, 303)
    assert left(client.delete(f"/v10/export/jobs?jobIDs={job}"), 500) == [job]
    assert left(client.delete(f"/v10/export/history?jobIDs={run}"), 500) == [run]
    assert left(client.delete("/v10/files", params={"filename": name}), 500) == [name]
    assert left(client.get("/v10/files", params={"filename": name}), 404) == [{"path": name}]
    assert world.send(Target(next(o for o in OPERATIONS if o.route == "/v10/export/jobs/{id}"), job),
                      as_(["*"], [IWD])).status_code == 200


def test_a_role_that_is_taken_away_is_gone_soon(world, as_):
    client = as_(["*"], ["Reader"])
    assert client.get("/v10/export/jobs").status_code == 200
    world.site.sql("UPDATE udm.role SET may_read = false WHERE name = 'Reader'")
    try:
        wait_for(lambda: client.get("/v10/export/jobs").status_code == 204, 5, "the role to be gone")
    finally:
        world.site.sql("UPDATE udm.role SET may_read = true WHERE name = 'Reader'")
