"""Every change, link and download leaves its line: who, what, to what, from where, in which request."""
import uuid

import pytest

from udmtest.files import PublishedFile
from udmtest.operations import HOME, OPERATIONS, OTHER

ACTIONS = {"POST /cipher/{certificatefilename}": "certificate.upload", "POST /export/jobs": "job.create",
           "PUT /export/jobs/{id}": "job.replace", "DELETE /export/jobs/{id}": "job.delete",
           "DELETE /export/jobs": "job.delete", "POST /export/jobs/cancel/{id}": "job.cancel",
           "POST /export/jobs/suspend/{id}": "job.suspend", "POST /export/jobs/resume/{id}": "job.resume",
           "DELETE /export/history/{id}": "run.delete", "DELETE /export/history": "run.delete",
           "GET /files/{filename}": "file.link", "GET /files": "file.link",
           "DELETE /files/{filename}": "file.delete", "DELETE /files": "file.delete"}


def lines(world, request):
    return world.rows.connection.execute(
        "SELECT ccid, subject, key_id, action, object, client_address FROM udm.audit"
        " WHERE request_id = %s ORDER BY id", [request]).fetchall()


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_one_line_each(world, operation):
    """What changes something or gives a link leaves one line, and what reads leaves none."""
    action = ACTIONS.get(f"{operation.method} {operation.path}")
    assert action or not operation.changes
    client, request = world.caller(operation), uuid.uuid4().hex
    target = world.good(operation)
    answer = world.send(target, client, headers={"X-Request-Id": request})
    assert answer.headers["X-Request-Id"] == request
    value = world.check_success(target, answer, False)
    if action is None:
        assert lines(world, request) == []
        return
    names = {"job.create": lambda: str(value["id"]), "certificate.upload": lambda: "uploaded.pem"}
    # The subject of a key that is alone is its label.
    found = lines(world, request)
    assert len(found) == 1
    ccid, subject, key_id, what, what_to, address = found[0]
    assert (ccid, key_id, address) == (HOME, client.key.split("_")[1], "127.0.0.1")
    assert subject == ("tester" if client.token else "test")
    assert what.split(".")[0] == action.split(".")[0]
    if action != "certificate.upload":
        assert what == action
        assert what_to == names.get(action, lambda: str(target.name))()


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.many], ids=str)
def test_one_line_for_each_of_many(world, operation):
    kind, request = operation.many, uuid.uuid4().hex
    names = [str(world.make(kind, operation)) for _ in range(3)]
    asked = {operation.required[0]: ",".join([*names, names[0]])}
    answer = world.caller(operation).request(operation.method, operation.route, params=asked,
                                             headers={"X-Request-Id": request})
    assert answer.status_code == operation.success
    found = lines(world, request)
    assert sorted(line[4] for line in found) == sorted(names)
    assert {line[3] for line in found} == {ACTIONS[f"{operation.method} {operation.path}"]}


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.parameter in ("job", "run", "file")
                                       and f"{o.method} {o.path}" in ACTIONS], ids=str)
def test_what_is_refused_leaves_none(world, operation):
    request = uuid.uuid4().hex
    headers = {"X-Request-Id": request}
    target = world.good(operation)
    world.send(world.made_up(operation), world.caller(operation), headers=headers)
    world.send(target, world.caller(operation, ccid=OTHER), headers=headers)
    world.send(target, world.stranger(), headers=headers)
    assert lines(world, request) == []


@pytest.mark.parametrize("change", ["suspend", "resume"])
def test_what_is_so_already_leaves_none(world, change):
    job, _ = world.rows.job(**({"run": "SUSPENDED", "suspended": True} if change == "suspend" else {}))
    request = uuid.uuid4().hex
    answer = world.client().post(f"/v10/export/jobs/{change}/{job}", headers={"X-Request-Id": request})
    assert answer.status_code == 200 and lines(world, request) == []


def test_a_download_names_the_owner(world):
    """Nobody logs in for a download: the line has the contact centre, the file and the address."""
    published = PublishedFile(world.site, content=b"content")
    link = world.client().link(published.name)
    request = uuid.uuid4().hex
    answer = world.stranger().get(link, headers={"X-Request-Id": request, "x-api-key": "anything"})
    assert answer.status_code == 200
    assert lines(world, request) == [(HOME, None, None, "file.download", published.name, "127.0.0.1")]


def test_no_line_can_be_changed(world):
    with pytest.raises(Exception, match="permission denied|append-only"):
        world.site.sql("DELETE FROM udm.audit", user="udm_httpd")
    with pytest.raises(Exception, match="append-only"):
        world.site.sql("UPDATE udm.audit SET subject = 'x'")
