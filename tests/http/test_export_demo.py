"""The truth test: what a customer unpacks is what the database holds, value by value and byte by
byte, of this contact centre and nobody else."""
import base64
import hashlib
import json
import os
import subprocess
import zipfile

import pytest

from udmtest.crypto import smime_decrypt
from udmtest.site import CENTRES, Site

MINE, OTHER = CENTRES
ENTITIES = {0: "EMAIL_IN", 1: "EMAIL_OUT", 2: "CHAT", 3: "PHONE_CALL", 5: "CALLBACK", 6: "COBROWSE",
            7: "INTERACTION"}
MANIFEST = "META-INF/manifest.json"


def parse(text):
    """JSON with numbers as they are written: 1.50 is not 1.5, and no digit is lost."""
    return json.loads(text, parse_float=lambda s: ("number", s), parse_int=lambda s: ("number", s))


def as_the_export_writes(site, relation, where="true"):
    """SQL that gives (key columns..., JSON text) of the rows, times in UTC with Z and microseconds."""
    columns = site.sql(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 1 AND NOT attisdropped ORDER BY attnum", [relation])
    parts = []
    for name, kind in columns:
        value = f'i."{name}"'
        if kind == "timestamp with time zone":
            value = f"to_char({value} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        parts.append(f'{value} AS "{name}"')
    return (f"SELECT ccid, row_to_json(x)::text FROM {relation} i"
            f" CROSS JOIN LATERAL (SELECT {', '.join(parts)}) x WHERE {where}")


def expected_rows(site, relation, key, where="true"):
    """{key: parsed row} of this contact centre."""
    rows = {}
    for ccid, text in site.sql(as_the_export_writes(site, relation, where)):
        if ccid == MINE:
            row = parse(text)
            rows[row[key]] = row
    return rows


def expected_attachments(site, where="true"):
    """{id: the attachment as the export writes it}, of the interactions that `where` picks."""
    rows = site.sql('SELECT d.id, d.entityid, d.name, d."mimeType", d.content, i."entityTypeId"'
                    "  FROM ucs.document d JOIN ucs.interaction i"
                    '    ON i.ccid = d.ccid AND i."ixnId" = d.entityid'
                    f" WHERE d.ccid = %s AND ({where})", [MINE])
    return {r[0]: {"entityid": r[1], "name": r[2], "mimeType": r[3], "content": r[4], "entity": r[5]}
            for r in rows}


class Export:
    """One finished export, fetched, decrypted and checked from outside."""

    def __init__(self, site, client, directory, timeout=120.0, **job):
        self.job = client.create_job(**job)
        self.run = client.wait_job(self.job["id"], timeout=timeout)
        self.files = client.files(self.run["id"])
        assert [f["name"] for f in self.files] == [self.run["fileName"]], "not split"
        fetched = client.download(self.run["fileName"], directory)
        with open(fetched, "rb") as f:
            digest = hashlib.file_digest(f, "sha256").hexdigest()
        assert digest == self.files[0]["sha256"]
        assert os.path.getsize(fetched) == self.files[0]["size"] == self.run["fileSize"]
        self.zip = smime_decrypt(site.env.certificate.key_path, fetched, 
                                 os.path.join(directory, f"plain-{self.run['id']}.zip"))
        self.archive = zipfile.ZipFile(self.zip)
        self.names = self.archive.namelist()

    def check_archive(self):
        """Four readers that share no code accept it."""
        for command in (["unzip", "-tqq"], ["7z", "t", "-bd"], ["bsdtar", "-tf"]):
            done = subprocess.run([*command, self.zip], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, errors="replace")
            assert done.returncode == 0, f"{command[0]}: {done.stdout[-2000:]}"
        assert self.archive.testzip() is None
        assert len(set(self.names)) == len(self.names)

    def check_manifest(self, rows, fingerprint):
        manifest = json.loads(self.archive.read(MANIFEST))
        assert [e["name"] for e in manifest["entries"]] == [n for n in self.names if n != MANIFEST]
        total = 0
        for entry in manifest["entries"]:
            data = self.archive.read(entry["name"])
            assert entry["size"] == len(data), entry["name"]
            assert entry["sha256"] == hashlib.sha256(data).hexdigest(), entry["name"]
            assert entry["rows"] == data.count(b"\n"), entry["name"]
            total += entry["rows"] if "ttachment" not in entry["name"] else 0
        assert total == rows == manifest["rows"]
        assert manifest["jobId"] == self.job["id"] and manifest["runId"] == self.run["id"]
        assert manifest["certificate"] == fingerprint
        return manifest

    def records(self, name):
        """The JSON objects of an entry, one a line."""
        text = self.archive.read(name).decode("utf-8")
        assert text == "" or text.endswith("\n")
        return [parse(line) for line in text.split("\n")[:-1]]


def same_rows(got, expected, key):
    """Row by row, value by value, and the keys in their order."""
    assert len(got) == len(expected)
    for row in got:
        want = expected[row[key]]
        assert list(row.items()) == list(want.items()), row[key]
    assert len({row[key] for row in got}) == len(got)


def same_attachment(got, want):
    assert list(got) == ["id", "entityid", "name", "mimeType", "size", "content"]
    assert (got["entityid"], got["name"], got["mimeType"]) == \
        (want["entityid"], want["name"], want["mimeType"])
    if want["content"] is None:
        assert got["content"] is None and got["size"] is None
    else:
        assert base64.b64decode(got["content"], validate=True) == want["content"], got["id"]
        assert got["size"] == ("number", str(len(want["content"])))


@pytest.fixture(scope="module", params=["0.05", pytest.param("1", marks=pytest.mark.full)])
def demo(request, env):
    """A site with a worker, a certificate, and a client that may see the one contact centre."""
    result = Site(env, scale=request.param)
    result.start_httpd()
    result.upload_certificate()
    result.start_worker()
    yield result
    result.close()


def test_lines_layout_with_attachments(demo, tmp_path):
    export = Export(demo, demo.client(), tmp_path, source="UCS", attachments=True)
    export.check_archive()
    expected = expected_rows(demo, "ucs.interaction", "ixnId")
    export.check_manifest(len(expected), demo.env.certificate.fingerprint)
    got = []
    for name in (f"{e}-{export.job['id']}.json" for e in ENTITIES.values()):
        rows = export.records(name)
        assert {ENTITIES[int(r["entityTypeId"][1])] for r in rows} == {name.rpartition("-")[0]}
        got += rows
    same_rows(got, expected, "ixnId")
    wanted = expected_attachments(demo)
    found = {}
    for name in export.names:
        if "-Attachment-" in name:
            for record in export.records(name):
                assert ENTITIES[wanted[record["id"]]["entity"]] == name.partition("-")[0]
                assert record["id"] not in found
                found[record["id"]] = record
    assert found.keys() == wanted.keys()
    for key, record in found.items():
        same_attachment(record, wanted[key])
    rows = {f"{e}-{export.job['id']}.json" for e in ENTITIES.values()}
    files = {f"{ENTITIES[w['entity']]}-Attachment-{export.job['id']}.json" for w in wanted.values()}
    assert set(export.names) == rows | files | {MANIFEST}


def test_records_layout_with_attachments(demo, tmp_path):
    export = Export(demo, demo.client(), tmp_path, source="UCSX", attachments=True)
    export.check_archive()
    expected = expected_rows(demo, "ucs.interaction", "ixnId")
    export.check_manifest(len(expected), demo.env.certificate.fingerprint)
    wanted = expected_attachments(demo)
    got, found = [], {}
    for name in export.names:
        if name == MANIFEST:
            continue
        (record,) = export.records(name)
        if "ixnId" in record:
            assert name == record["ixnId"] + ".json"
            got.append(record)
        else:
            assert record["id"] not in found
            assert record["entityid"] in name and record["id"] in name
            found[record["id"]] = record
    same_rows(got, expected, "ixnId")
    assert found.keys() == wanted.keys()
    for key, record in found.items():
        same_attachment(record, wanted[key])


def test_contacts(demo, tmp_path):
    export = Export(demo, demo.client(), tmp_path, source="Contact History", data_type="Contact")
    export.check_archive()
    expected = expected_rows(demo, "ucs.contact", "id")
    export.check_manifest(len(expected), demo.env.certificate.fingerprint)
    assert set(export.names) == {f"Contact-{export.job['id']}.json", MANIFEST}
    same_rows(export.records(f"Contact-{export.job['id']}.json"), expected, "id")


def test_window_is_half_open_and_media_filter(demo, tmp_path):
    """[from, to) on startDate to the microsecond, e-mail and chat alone, no row without a date."""
    start, end = demo.sql(
        "SELECT to_char(f AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
        "       to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        "  FROM (SELECT min(\"startDate\"), max(\"startDate\") FROM ucs.interaction"
        "         WHERE ccid = %s AND \"mediaTypeId\" = 102"
        "           AND \"startDate\" BETWEEN now() - interval '300 days' AND now() - interval '100 days')"
        "       AS bounds (f, t)", [MINE])[0]
    export = Export(demo, demo.client(), tmp_path, time_frame={"dateFrom": start, "dateTo": end},
                    media=["email", "Chat"], attachments=True)
    where = (f"i.\"startDate\" >= '{start}' AND i.\"startDate\" < '{end}'"
             ' AND i."mediaTypeId" IN (102, 105)')
    expected = expected_rows(demo, "ucs.interaction", "ixnId", where)
    assert len(expected) > 50
    manifest = export.check_manifest(len(expected), demo.env.certificate.fingerprint)
    got = [r for e in ("EMAIL_IN", "EMAIL_OUT", "CHAT")
           for r in export.records(f"{e}-{export.job['id']}.json")]
    same_rows(got, expected, "ixnId")
    assert manifest["window"]["all"] is False
    wanted = expected_attachments(demo, where)
    found = [r["id"] for n in export.names if "-Attachment-" in n for r in export.records(n)]
    assert sorted(found) == sorted(wanted)


def test_nothing_in_the_window(demo, tmp_path):
    export = Export(demo, demo.client(), tmp_path,
                    time_frame={"dateFrom": "1990-01-01", "dateTo": "1990-01-02"})
    export.check_archive()
    export.check_manifest(0, demo.env.certificate.fingerprint)
    assert export.names == [MANIFEST]


def test_the_other_centre_gets_its_own(demo, tmp_path):
    """Rows with the same ids exist in both: each centre gets its own text."""
    demo.upload_certificate(OTHER)
    mine = Export(demo, demo.client(MINE), tmp_path, source="UCS", attachments=True)
    other = Export(demo, demo.client(OTHER), tmp_path, source="UCS", attachments=True)
    shared = demo.sql('SELECT a."ixnId", a."tenantId", b."tenantId" FROM ucs.interaction a'
                      ' JOIN ucs.interaction b USING ("ixnId") WHERE a.ccid = %s AND b.ccid = %s',
                      [MINE, OTHER])
    assert len(shared) > 100
    for export, column in ((mine, 1), (other, 2)):
        tenant = {str(row[column]) for row in shared}
        rows = {r["ixnId"]: r for e in ENTITIES.values()
                for r in export.records(f"{e}-{export.job['id']}.json")}
        assert {r["tenantId"][1] for r in rows.values()} == tenant
        assert all(row[0] in rows for row in shared)
    # And neither the job nor the file of the other exists for this one.
    stranger = demo.client(OTHER)
    assert stranger.get(f"/v10/export/jobs/{mine.job['id']}").status_code == 404
    assert stranger.get(f"/v10/files/{mine.run['fileName']}").status_code == 404
    assert stranger.runs(mine.job["id"]) == []
