"""What is gone or being removed, as clients see it, and why something waits."""
import threading

import pytest

from udmtest.answers import problem
from udmtest.files import PublishedFile
from udmtest.operations import HOME, OTHER, World
from udmtest.process import wait_for

GONE = 'type "Contact" of source "UCS" is not registered any more'


@pytest.fixture
def world(env):
    result = World(env)
    result.site.upload_certificate(HOME)
    yield result
    result.close()


def items(client, path, version="v10"):
    answer = client.get(f"/{version}{path}")
    assert answer.status_code in (200, 204), answer.text
    return answer.json()["items"] if answer.status_code == 200 else []


def removed(world, how):
    """A recurring job of UCS/Contact and a finished file of it, whose type then goes."""
    client = world.site.client(HOME)
    job = client.create_job(data_type="Contact", schedule={"cron": "0 2 * * *"})["id"]
    file = PublishedFile(world.site, data_type="Contact")
    world.site.sql(how)
    # What somebody may do is remembered for as long as UDMKeyCache says.
    wait_for(lambda: "Contact" not in client.get("/v10/data/types", params={"source": "UCS"}).text, 20,
             "the type to be gone", 0.1)
    return client, job, file


@pytest.mark.parametrize("how", ["DELETE FROM udm.data_type WHERE name = 'Contact'",
                                 "UPDATE udm.data_type SET tenant_column = NULL, tenants = ARRAY['lakeside-energy']"
                                 " WHERE name = 'Contact'"])
def test_owners_see_and_end_what_is_gone(world, how):
    client, job, file = removed(world, how)
    assert "Interaction" in client.get("/v10/data/types", params={"source": "UCS"}).text
    for version in ("v10", "v4"):
        assert job in [i["id"] for i in items(client, "/export/jobs", version)]
        assert file.run_id in [i["id"] for i in items(client, "/export/history", version)]
        answer = client.get(f"/{version}/export/jobs/{job}")
        assert answer.status_code == 200, answer.text
    shown = client.get(f"/v10/export/jobs/{job}").json()
    assert (shown["status"], shown["statusReason"]) == ("SUSPENDED", GONE)
    assert [i for i in items(client, "/export/jobs") if i["id"] == job] == [shown]
    assert file.name in [i["name"] for i in items(client, "/file-metadatas")]
    answer = client.get(client.link(file.name))
    assert answer.status_code == 200 and answer.content == file.content
    # It does not run, and nothing new of it is made.
    problem(client.post(f"/v10/export/jobs/resume/{job}"), 400, "not registered any more")
    problem(client.post("/v10/export/jobs", json=client.job(data_type="Contact")), 400)
    # With a key that has no right to it, it is not there.
    other = world.site.client(HOME, key=world.site.new_key(HOME, ["iWD Administrator"]))
    assert other.get(f"/v10/export/jobs/{job}").status_code == 404
    assert world.site.client(OTHER).get(f"/v10/export/jobs/{job}").status_code == 404
    # A new definition of what there is, or an end.
    body = client.job(schedule={"startDate": "2100-01-01T00:00:00Z"})
    second = client.put(f"/v10/export/jobs/{job}", json=body)
    assert second.status_code == 200, second.text
    shown = client.get(f"/v10/export/jobs/{job}").json()
    assert shown["type"] == "Interaction" and shown["status"] == "SCHEDULED" and "statusReason" not in shown
    for path in (f"jobs?jobIDs={job},{file.job_id}", f"history?jobIDs={file.run_id}"):
        answer = client.delete(f"/v10/export/{path}")
        assert answer.status_code in (200, 204), answer.text
    assert client.delete(f"/v10/files/{file.name}").status_code == 204


def test_a_renamed_type_is_found_by_its_new_name(world):
    client, job, file = removed(world, "SELECT udm.rename_type('UCS', 'Contact', 'Person')")
    wait_for(lambda: "Person" in client.get("/v10/data/types", params={"source": "UCS"}).text, 20, "the new name", 0.1)
    shown = client.get(f"/v10/export/jobs/{job}").json()
    assert (shown["type"], shown["status"]) == ("Person", "SCHEDULED")
    assert [i["type"] for i in items(client, "/file-metadatas") if i["name"] == file.name] == ["Person"]
    assert client.get(client.link(file.name)).status_code == 200
    # A job takes the new name, and the source's old one after that was renamed, too.
    world.site.sql("SELECT udm.rename_source('UCSX', 'Former')")
    assert client.create_job(data_type="Person")["type"] == "Person"
    wait_for(lambda: "Former" in client.get("/v10/data/sources").text, 20, "the new name", 0.1)
    assert client.create_job(source="UCSX")["source"] == "Former"


def during(world, change, call):
    """The answer of a call that is made while a change of the catalog is not committed yet."""
    answers = []
    with world.site.connect(autocommit=False) as admin:
        admin.execute(change)
        caller = threading.Thread(target=lambda: answers.append(call()))
        caller.start()
        wait_for(lambda: world.site.sql("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0] > 0, 20,
                 "the call to wait", 0.05)
        admin.commit()
        caller.join()
    return answers[0]


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "once"}], ids=["plain", "with a key"])
def test_a_job_that_is_sent_during_a_rename_is_nobodys_never(world, headers):
    client = world.site.client(HOME)
    # The type is not found by its old name any more, the source is.
    answer = during(world, "SELECT udm.rename_type('UCS', 'Contact', 'Person')",
                    lambda: client.post("/v10/export/jobs", json=client.job(data_type="Contact"), headers=headers))
    assert problem(answer, 400)["errors"][0]["pointer"] == "/jobParams/type"
    assert world.site.sql("SELECT count(*) FROM udm.job")[0][0] == 0
    world.site.sql("UPDATE udm.source SET alias = NULL WHERE name = 'UCS'")
    client = world.site.client(HOME, key=world.site.new_key(HOME, ["*"]))
    answer = during(world, "SELECT udm.rename_source('UCS', 'Former')",
                    lambda: client.post("/v10/export/jobs", json=client.job(), headers=headers))
    assert answer.status_code in (202, 403), answer.text # the right to the new name may not be known yet
    assert world.site.sql("SELECT count(*) FROM udm.job WHERE source = 'UCS'")[0][0] == 0


def test_what_is_remembered_of_a_contact_centre_makes_nothing_new(world):
    client = world.site.client(OTHER)
    world.site.upload_certificate(OTHER)
    key = {"Idempotency-Key": "once"}
    answer = during(world, "SELECT udm.rename_tenant('%s', 'renamed')" % OTHER,
                    lambda: client.post("/v10/export/jobs", json=client.job()))
    problem(answer, 403, "not known here")
    # For as long as UDMKeyCache says the key is taken for that of the old id.
    for call in (lambda: client.post("/v10/export/jobs", json=client.job(), headers=key),
                 lambda: client.upload_certificate(world.site.env.certificate.pem)):
        assert problem(call(), 403)
    assert world.site.sql("SELECT count(*) FROM udm.certificate WHERE ccid = %s", [OTHER])[0][0] == 0


def test_a_contact_centre_that_leaves_is_let_in_no_more(world):
    file = PublishedFile(world.site, ccid=OTHER)
    client = world.site.client(OTHER)
    token = world.site.client(OTHER, key=None)
    world.site.upload_certificate(OTHER)
    link = client.link(file.name)
    said = world.site.sql("SELECT udm.remove_tenant(%s, cascade => true)", [OTHER])[0][0]
    assert "1 file is out of the store" in said
    # A key is remembered for as long as UDMKeyCache says.
    wait_for(lambda: client.get("/v10/export/jobs").status_code == 401, 20, "the key to be refused", 0.2)
    assert client.get("/v4/export/jobs").status_code == 401
    wait_for(lambda: token.get("/v10/export/jobs").status_code in (401, 403), 20, "the token to be refused", 0.2)
    assert client.get(link).status_code in (404, 410)
    assert world.site.client(HOME).get("/v10/export/jobs").status_code in (200, 204)
    world.site.sql("SELECT udm.rename_tenant(%s, 'new-home')", [HOME])
    wait_for(lambda: world.site.client(HOME).get("/v10/export/jobs").status_code == 403, 20,
             "the token of the old id to be refused", 0.2)


def test_a_record_that_waits_says_why(world):
    client = world.site.client(HOME)
    job = client.create_job()["id"]
    assert "statusReason" not in client.get(f"/v10/export/jobs/{job}").json()
    world.site.sql("UPDATE udm.run SET ready_at = now() - interval '1 minute'")
    for path, version in ((f"/export/jobs/{job}", "v10"), (f"/export/history/{job + 1}", "v4")):
        answer = client.get(f"/{version}{path}")
        assert answer.status_code == 200 and answer.json()["statusReason"] == "no worker has been seen yet", answer.text
    world.site.sql("INSERT INTO udm.worker (id, host, pid, version, slots, state, seen_at)"
                   " VALUES ('w', 'h', 1, '1', 1, 'ready', '2026-01-02 03:04:05Z')")
    world.site.sql("UPDATE udm.run SET status_reason = 'the source does not answer', attempt = 2, ready_at = '2100-01-01Z'")
    [record] = [i for i in items(client, "/export/history") if i["parentId"] == job]
    assert record["statusReason"] == \
        "attempt 2 failed: the source does not answer; the next one is due at 2100-01-01T00:00:00Z"
    world.site.sql("UPDATE udm.run SET status_reason = NULL, ready_at = now() - interval '1 minute'")
    [shown] = [i for i in items(client, "/export/jobs") if i["id"] == job]
    assert shown["statusReason"] == "no worker has been seen since 2026-01-02T03:04:05Z"
    sorted_ = client.get("/v10/export/history?orderField=statusReason&descAsc=true").json()["items"]
    assert sorted_[0]["parentId"] == job
    # A worker takes it, and the sentence goes.
    world.site.start_worker()
    client.wait_job(job)
    assert "statusReason" not in client.get(f"/v10/export/jobs/{job}").json()
