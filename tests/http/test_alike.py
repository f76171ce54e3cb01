"""Contact centres whose ids only differ in case, in columns that find them equal, through the API."""
import json
import zipfile

import pytest

from udmtest.crypto import smime_decrypt
from udmtest.site import Site

CENTRES = ("acme", "Acme", "ACME")
KINDS = {"Text": "text COLLATE alike.nocase", "Varchar": "varchar(30) COLLATE alike.nocase",
         "Char": "char(12) COLLATE alike.nocase", "Citext": "alike.citext", "Domain": "alike.word"}


@pytest.fixture(scope="module")
def alike(env):
    site = Site(env, database="empty")
    with site.connect() as connection:
        connection.execute("""
            CREATE SCHEMA alike;
            CREATE COLLATION alike.nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
            CREATE EXTENSION citext SCHEMA alike;
            CREATE DOMAIN alike.word AS text COLLATE alike.nocase;
            DO $$ BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'udm_test_alike') THEN
                    CREATE ROLE udm_test_alike LOGIN;
                END IF;
            END $$;
            SELECT udm.register_source('Alike', 'DataSync', connection => 'alike')""")
        for ccid in CENTRES:
            connection.execute("SELECT udm.create_tenant(%s)", [ccid])
        for name, kind in KINDS.items():
            connection.execute(f"""
                CREATE TABLE alike."{name}" (id {kind}, ccid {kind}, m {kind}, s {kind}, at timestamptz);
                CREATE TABLE alike."{name}Files" (id {kind}, ccid {kind}, entity {kind}, name text, mime text,
                                                  content text);
                INSERT INTO alike."{name}" SELECT k, c, m, k, now() FROM unnest(ARRAY['acme', 'Acme', 'ACME']) c,
                    unnest(ARRAY['key', 'KEY']) k, unnest(ARRAY['chat', 'CHAT']) m;
                INSERT INTO alike."{name}Files" SELECT i, c, k, 'n', 'text/plain', c || '/' || k || '/' || i
                    FROM unnest(ARRAY['acme', 'Acme', 'ACME']) c, unnest(ARRAY['key', 'KEY']) k,
                         unnest(ARRAY['id', 'ID']) i;
                SELECT udm.register_type('Alike', '{name}', 'alike."{name}"', 'id', tenant_column => 'ccid',
                                         media_column => 'm', columns => '{{id,ccid,m}}'),
                       udm.register_attachments('Alike', '{name}', 'alike."{name}Files"', 'id', 'entity',
                                                'name', 'mime', 'content', 'ccid'),
                       udm.register_media('Alike', '{name}', 'chat', 'Small'),
                       udm.register_media('Alike', '{name}', 'CHAT', 'Large')""")
            # A domain or a type of others has no kind that registration knows.
            connection.execute("INSERT INTO udm.attribute (source, type, name, column_name, label, kind)"
                               " VALUES ('Alike', %s, 's', 's', 's', 'string')", [name])
        connection.execute("GRANT USAGE ON SCHEMA alike TO udm_test_alike;"
                           "GRANT SELECT ON ALL TABLES IN SCHEMA alike TO udm_test_alike")
    site.write_source("alike", env.postgres.dsn(site.database, "udm_test_alike"))
    site.start_httpd()
    site.start_worker(slots=2)
    for ccid in CENTRES:
        site.upload_certificate(ccid)
    yield site
    site.close()


def exported(site, ccid, job, directory):
    """The lines of each file of a job, without its number."""
    client = site.client(ccid)
    fetched = client.download(client.wait_job(job["id"])["fileName"], directory)
    plain = smime_decrypt(site.env.certificate.key_path, fetched, fetched + ".zip")
    with zipfile.ZipFile(plain) as archive:
        return {name.split(f"-{job['id']}.")[0]: [json.loads(line) for line in
                                                  archive.read(name).decode().splitlines()]
                for name in archive.namelist() if not name.startswith("META-INF/")}


@pytest.mark.parametrize("name", KINDS)
def test_each_has_its_own(alike, tmp_path, name):
    def create(ccid, **more):
        return alike.client(ccid).create_job(source="Alike", family="DataSync", data_type=name,
                                             attachments=True, **more)
    jobs = {ccid: create(ccid) for ccid in CENTRES}
    small = create("ACME", media=["Small"])
    body = alike.client("Acme").job(source="Alike", family="DataSync", data_type=name)
    body["jobParams"]["filters"] = [{"attribute": "s", "operator": "eq", "value": "KEY"}]
    answer = alike.client("Acme").post("/v10/export/jobs", json=body)
    assert answer.status_code == 202, answer.text
    for ccid, job in jobs.items():
        found = exported(alike, ccid, job, tmp_path)
        # The blanks of char(n) are part of what it gives.
        rows = sorted((r["id"].strip(), r["ccid"].strip(), r["m"].strip()) for r in found[name])
        assert rows == [(k, ccid, m) for k in ("KEY", "key") for m in ("CHAT", "chat")]
        # Each row has its files; of each key there are two rows.
        contents = sorted((f["entityid"], f["id"], f["content"]) for f in found[f"{name}-Attachment"])
        assert len(contents) == 8 and len(set(contents)) == 4
        assert {(entity, file_id) for entity, file_id, _ in contents} == \
            {(k, i) for k in ("KEY", "key") for i in ("ID", "id")}
    assert {(r["ccid"].strip(), r["m"].strip()) for r in exported(alike, "ACME", small, tmp_path)[name]} == \
        {("ACME", "chat")}
    filtered = exported(alike, "Acme", answer.json(), tmp_path)[name]
    assert [(r["ccid"].strip(), r["id"].strip()) for r in filtered] == [("Acme", "KEY")] * 2
