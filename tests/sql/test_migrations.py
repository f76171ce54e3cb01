"""sql/migrations and sql/udm-migrate: every way to the newest schema ends in the same one, and the
database's roles can do what they must and nothing else."""
import hashlib
import os
import re
import shutil
import subprocess

import psycopg
import pytest
from psycopg import errors

from udmtest.env import TOP
from udmtest.postgres import bin_dir
from udmtest.process import clean_environment

MIGRATIONS = os.path.join(TOP, "sql", "migrations")
NUMBERS = sorted(int(f[:4]) for f in os.listdir(MIGRATIONS) if re.fullmatch(r"\d{4}_\w+\.sql", f))
KEY = re.compile(r"udm_([0-9a-f]{12})_([0-9a-f]{64})")


@pytest.fixture
def fresh(env):
    """Name and DSN of an empty database."""
    name = env.unique("migration")
    yield name, env.postgres.create_database(name)
    env.postgres.drop_database(name)


@pytest.fixture(scope="module")
def demo(env):
    """A database with the demo data that the module may change."""
    return env.create_database("demo")


def schema_dump(dsn):
    done = subprocess.run([bin_dir() + "/pg_dump", "-s", "-n", "udm", "-d", dsn],
                          env=clean_environment(), stdout=subprocess.PIPE, text=True, check=True)
    # Since 15.14 a dump has \restrict lines with a random word.
    return "".join(line for line in done.stdout.splitlines(True)
                   if not line.startswith(("--", "\\restrict", "\\unrestrict")))


def privileges(env, name):
    """What pg_dump -s shows of grants is in the order they were made; here they are sorted."""
    return env.postgres.sql(
        "SELECT c.oid::regclass::text, a.grantee::regrole::text, a.privilege_type"
        "  FROM pg_class c, aclexplode(c.relacl) a WHERE relnamespace = 'udm'::regnamespace"
        " UNION ALL SELECT p.oid::regprocedure::text, a.grantee::regrole::text, a.privilege_type"
        "  FROM pg_proc p, aclexplode(p.proacl) a WHERE pronamespace = 'udm'::regnamespace"
        " ORDER BY 1, 2, 3", dbname=name)


def test_fresh_applies_all_in_order(env, fresh):
    name, dsn = fresh
    out = env.migrate(dsn).stdout
    assert [int(n) for n in re.findall(r"applied (\d{4})_", out)] == NUMBERS
    rows = env.postgres.sql("SELECT version, name, sha256 FROM udm.schema_version ORDER BY 1", dbname=name)
    for (version, label, sha256), number in zip(rows, NUMBERS, strict=True):
        path = os.path.join(MIGRATIONS, f"{number:04}_{label}.sql")
        assert version == number
        with open(path, "rb") as f:
            assert sha256 == hashlib.sha256(f.read()).hexdigest()


def test_second_run_changes_nothing(env, fresh):
    _, dsn = fresh
    env.migrate(dsn)
    before = schema_dump(dsn)
    assert "nothing to do" in env.migrate(dsn).stdout
    assert schema_dump(dsn) == before


@pytest.mark.parametrize("start", NUMBERS[:-1])
def test_upgrade_from_every_number_gives_the_fresh_schema(env, fresh, start):
    name, dsn = fresh
    other = env.template("empty")
    env.migrate(dsn, "--to", str(start))
    assert env.postgres.sql("SELECT max(version) FROM udm.schema_version", dbname=name) == [(start,)]
    env.migrate(dsn)
    assert schema_dump(dsn) == schema_dump(env.postgres.dsn(other))
    assert privileges(env, name) == privileges(env, other)


def test_edited_migration_is_refused(env, fresh, tmp_path):
    name, dsn = fresh
    copy = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, copy)
    env.migrate(dsn)
    first = sorted(copy.iterdir())[0]
    first.write_text(first.read_text() + "\nCREATE TABLE udm.surprise ();\n")
    done = subprocess.run([os.path.join(TOP, "sql", "udm-migrate"), dsn],
                          env=clean_environment(UDM_MIGRATIONS=str(copy)), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode != 0
    assert first.stem in done.stdout and "has changed since" in done.stdout
    assert env.postgres.sql("SELECT to_regclass('udm.surprise')", dbname=name) == [(None,)]


def test_failing_migration_leaves_nothing(env, fresh, tmp_path):
    name, dsn = fresh
    copy = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, copy)
    number = NUMBERS[-1] + 1
    (copy / f"{number:04}_broken.sql").write_text("CREATE TABLE udm.half ();\nSELECT 1 / 0;\n")
    done = subprocess.run([os.path.join(TOP, "sql", "udm-migrate"), dsn],
                          env=clean_environment(UDM_MIGRATIONS=str(copy)), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode != 0 and "division by zero" in done.stdout
    assert env.postgres.sql("SELECT to_regclass('udm.half'), max(version) FROM udm.schema_version",
                            dbname=name) == [(None, NUMBERS[-1])]


def test_two_at_once(env, fresh):
    name, dsn = fresh
    program = os.path.join(TOP, "sql", "udm-migrate")
    both = [subprocess.Popen([program, dsn], env=clean_environment(), stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    said = [p.communicate(timeout=120)[0] for p in both]
    assert [p.returncode for p in both] == [0, 0], said
    assert env.postgres.sql("SELECT count(*) FROM udm.schema_version", dbname=name) == [(len(NUMBERS),)]


def test_a_database_that_is_not_utf8_is_refused(env, fresh):
    name, _ = fresh
    other = name + "_ascii"
    env.postgres.sql(f"CREATE DATABASE {other} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
                     " TEMPLATE template0", dbname="postgres")
    try:
        done = env.migrate(env.postgres.dsn(other), check=False)
        assert done.returncode == 1 and "SQL_ASCII" in done.stdout and "UTF8" in done.stdout
        assert env.postgres.sql("SELECT to_regnamespace('udm')", dbname=other) == [(None,)]
    finally:
        env.postgres.drop_database(other)


# Who can do what

@pytest.mark.parametrize("role", ["udm_httpd", "udm_worker"])
@pytest.mark.parametrize("table", ["interaction", "contact", "document"])
def test_service_roles_cannot_read_what_is_exported(env, demo, role, table):
    assert env.postgres.sql(f"SELECT count(*) > 0 FROM ucs.{table}", dbname=demo) == [(True,)]
    with pytest.raises(errors.InsufficientPrivilege):
        env.postgres.sql(f"SELECT 1 FROM ucs.{table} LIMIT 1", dbname=demo, user=role)


def test_reader_sees_its_schema_and_not_udm(env, demo):
    reader = {"dbname": demo, "user": "udm_reader_ucs"}
    assert env.postgres.sql("SELECT count(*) > 0 FROM ucs.interaction", **reader) == [(True,)]
    for table in ("job", "api_key", "certificate", "source", "audit", "tenant"):
        with pytest.raises(errors.InsufficientPrivilege):
            env.postgres.sql(f"SELECT 1 FROM udm.{table}", **reader)
    assert env.postgres.sql("SELECT has_schema_privilege('udm', 'USAGE')", **reader) == [(False,)]
    for statement in ("DELETE FROM ucs.interaction", "INSERT INTO ucs.contact SELECT * FROM ucs.contact",
                      "UPDATE ucs.document SET name = ''", "CREATE TABLE ucs.mine ()"):
        with pytest.raises(errors.InsufficientPrivilege):
            env.postgres.sql(statement, **reader)


@pytest.mark.parametrize("statement", ["UPDATE udm.audit SET action = 'x'", "DELETE FROM udm.audit",
                                       "TRUNCATE udm.audit"])
def test_audit_is_append_only_even_for_a_superuser(env, demo, statement):
    env.postgres.sql("INSERT INTO udm.audit (action) VALUES ('kept')", dbname=demo)
    with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
        env.postgres.sql(statement, dbname=demo)
    assert env.postgres.sql("SELECT count(*) > 0 FROM udm.audit WHERE action = 'kept'",
                            dbname=demo) == [(True,)]


@pytest.mark.parametrize("role", ["udm_httpd", "udm_worker"])
@pytest.mark.parametrize("call", [
    "udm.create_tenant('x')", "udm.create_api_key('harbour-insurance', 'x', '{*}')",
    "udm.revoke_api_key('000000000000')", "udm.register_source('x', 'UCS')",
    "udm.set_encryption('harbour-insurance', 'cms-gcm')",
    "udm.register_type('UCS', 'x', 'ucs.contact', 'id', tenant_column => 'ccid')"])
def test_service_roles_cannot_administrate(env, demo, role, call):
    with pytest.raises(errors.InsufficientPrivilege):
        env.postgres.sql(f"SELECT {call}", dbname=demo, user=role)


# Keys

def test_api_key_is_kept_as_a_hash_only(env, demo):
    key = env.postgres.sql("SELECT udm.create_api_key('harbour-insurance', 'hash', '{iWD Administrator}')",
                           dbname=demo)[0][0]
    key_id, secret = KEY.fullmatch(key).groups()
    assert env.postgres.sql("SELECT secret_sha256 FROM udm.api_key WHERE key_id = %s", [key_id],
                            dbname=demo) == [(hashlib.sha256(secret.encode()).digest(),)]
    dump = subprocess.run([bin_dir() + "/pg_dump", "-n", "udm", "-d", env.postgres.dsn(demo)],
                          env=clean_environment(), stdout=subprocess.PIPE, text=True, check=True).stdout
    assert key_id in dump and secret not in dump


def test_api_keys_differ(env, demo):
    keys = env.postgres.sql("SELECT udm.create_api_key('harbour-insurance', 'x', '{*}')"
                            " FROM generate_series(1, 50)", dbname=demo)
    assert len({KEY.fullmatch(k).group(2) for k, in keys}) == 50


@pytest.mark.parametrize("ccid, roles, reason", [
    ("nobody", "{*}", 'no contact centre "nobody"'),
    ("harbour-insurance", "{}", "not roles: none given"),
    ("harbour-insurance", "{Astronaut}", "not roles: 'Astronaut'"),
    ("harbour-insurance", "{NULL}", "not roles"),
])
def test_api_key_for_nobody_or_without_a_role(env, demo, ccid, roles, reason):
    with pytest.raises(errors.RaiseException, match=reason):
        env.postgres.sql("SELECT udm.create_api_key(%s, 'x', %s::text[])", [ccid, roles], dbname=demo)


def test_revoking_takes_the_id_or_the_key_and_is_audited(env, demo):
    def make():
        return env.postgres.sql("SELECT udm.create_api_key('lakeside-energy', 'r', '{*}')", dbname=demo)[0][0]

    def revoke(text):
        return env.postgres.sql("SELECT udm.revoke_api_key(%s)", [text], dbname=demo)[0][0]
    by_key, by_id = make(), make()
    assert revoke(by_key) is True and revoke(by_key) is False
    assert revoke(KEY.fullmatch(by_id).group(1)) is True
    assert revoke("000000000000") is False
    for key in (by_key, by_id):
        key_id = KEY.fullmatch(key).group(1)
        assert env.postgres.sql("SELECT revoked_at IS NOT NULL FROM udm.api_key WHERE key_id = %s",
                                [key_id], dbname=demo) == [(True,)]
        assert env.postgres.sql("SELECT action FROM udm.audit WHERE key_id = %s ORDER BY id", [key_id],
                                dbname=demo) == [("api-key.create",), ("api-key.revoke",)]


# Encryption

def encryption_of(env, name, ccid):
    return env.postgres.sql("SELECT encryption FROM udm.tenant WHERE ccid = %s", [ccid], dbname=name)[0][0]


def test_encryption_is_set_and_audited(env, demo):
    ccid, other = "lakeside-energy", "harbour-insurance"
    assert encryption_of(env, demo, ccid) is None
    changes = [(None, "cms-gcm"), ("cms-gcm", "smime"), ("smime", None), (None, None)]
    for _, mode in changes:
        env.postgres.sql("SELECT udm.set_encryption(%s, %s)", [ccid, mode], dbname=demo)
        assert encryption_of(env, demo, ccid) == mode
        assert encryption_of(env, demo, other) is None
    rows = env.postgres.sql("SELECT ccid, subject, object, detail->>'old', detail->>'new' FROM udm.audit"
                            " WHERE action = 'tenant.encryption' ORDER BY id", dbname=demo)
    assert rows == [(ccid, "udm_admin", new, old, new) for old, new in changes]


@pytest.mark.parametrize("ccid, mode, reason", [
    ("nobody", "smime", 'no contact centre "nobody"'), (None, "smime", "no contact centre"),
    ("nobody", None, 'no contact centre "nobody"'),
    ("lakeside-energy", "CMS-GCM", 'no encryption "CMS-GCM"'),
    ("lakeside-energy", "", 'no encryption ""')])
def test_encryption_that_is_none(env, demo, ccid, mode, reason):
    audit = "SELECT count(*) FROM udm.audit WHERE action = 'tenant.encryption'"
    before = env.postgres.sql(audit, dbname=demo), encryption_of(env, demo, "lakeside-energy")
    with pytest.raises(errors.RaiseException, match=reason):
        env.postgres.sql("SELECT udm.set_encryption(%s, %s)", [ccid, mode], dbname=demo)
    assert (env.postgres.sql(audit, dbname=demo), encryption_of(env, demo, "lakeside-energy")) == before


def test_jobs_of_before_are_smime(env, fresh):
    name, dsn = fresh
    env.migrate(dsn, "--to", "6")
    env.postgres.sql("SELECT udm.create_tenant('acme')", dbname=name)
    env.postgres.sql("INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type,"
                     " schedule, status) VALUES ('acme', 'UCS', 'UCS', 'Contact', 'old', true, 'once', '{}',"
                     " 'SCHEDULED')", dbname=name)
    env.migrate(dsn)
    assert env.postgres.sql("SELECT j.encryption, t.encryption FROM udm.job j JOIN udm.tenant t USING (ccid)",
                            dbname=name) == [("smime", None)]
    for table, word in (("job", "aes"), ("tenant", "aes"), ("job", None)):
        with pytest.raises((errors.CheckViolation, errors.NotNullViolation)):
            env.postgres.sql(f"UPDATE udm.{table} SET encryption = %s", [word], dbname=name)


# The catalog

@pytest.mark.parametrize("arguments, reason", [
    ("'UCS', 'T', 'ucs.contact', 'id'", "either tenant_column or tenants"),
    ("'UCS', 'T', 'ucs.contact', 'id', tenant_column => 'ccid', tenants => '{harbour-insurance}'",
     "either tenant_column or tenants"),
    ("'UCS', 'T', 'ucs.contact', 'id', tenants => '{}'", "not contact centres: none given"),
    ("'UCS', 'T', 'ucs.contact', 'id', tenants => '{nobody}'", "not contact centres: 'nobody'"),
    ("'UCS', 'T', 'ucs.contact', 'nokey', tenant_column => 'ccid'", 'no column "nokey"'),
    ("'UCS', 'T', 'ucs.contact', 'id', tenant_column => 'CCID'", 'no column "CCID"'),
    ("'UCS', 'T', 'ucs.contact', 'id', tenant_column => 'ccid', time_column => 'tenantId'",
     "neither a timestamp nor a date"),
    ("'UCS', 'T', 'ucs.contact', 'id', tenant_column => 'ccid', columns => '{id,\"x\"}'", 'no column "x"'),
    ("'UCS', 'T', 'ucs.nothing', 'id', tenant_column => 'ccid'", "no relation ucs.nothing"),
    ("'UCS', 'T', 'contact', 'id', tenant_column => 'ccid'", "schema.name"),
    ("'Nowhere', 'T', 'ucs.contact', 'id', tenant_column => 'ccid'", 'no source "Nowhere"'),
])
def test_registration_says_what_is_wrong(env, demo, arguments, reason):
    with pytest.raises(psycopg.Error, match=reason):
        env.postgres.sql(f"SELECT udm.register_type({arguments})", dbname=demo)
    assert env.postgres.sql("SELECT count(*) FROM udm.data_type WHERE name = 'T'", dbname=demo) == [(0,)]


def test_attachments_need_their_own_tenant_column(env, demo):
    with pytest.raises(psycopg.Error, match="tenant_column must be given"):
        env.postgres.sql("SELECT udm.register_attachments('UCS', 'Interaction', 'ucs.document', 'id',"
                         " 'entityid', 'name', 'mimeType', 'content')", dbname=demo)


# Attributes

@pytest.fixture(scope="module")
def attributes(env):
    """A database with a type of every kind of column, and one whose relation is elsewhere."""
    name = env.create_database("empty")
    with env.postgres.connect(name) as connection:
        connection.execute("""
            CREATE SCHEMA kinds;
            CREATE TYPE kinds.colour AS ENUM ('red');
            CREATE DOMAIN kinds.amount AS numeric(9,2);
            CREATE DOMAIN kinds.price AS kinds.amount CHECK (VALUE > 0);
            CREATE TABLE kinds.t (ccid text, id text, v varchar(9), c char(3), n name, u uuid,
                e kinds.colour, i2 smallint, i4 integer, i8 bigint, num numeric, p kinds.price,
                f4 real, f8 double precision, b boolean, d date, ts timestamp, tz timestamptz(3),
                j jsonb, a text[], by bytea, iv interval, tm time, gone integer, "Odd ""name" text);
            ALTER TABLE kinds.t DROP gone;
            SELECT udm.create_tenant('acme');
            SELECT udm.register_source('K', 'DataSync'), udm.register_source('R', 'DataSync', remote => true);
            SELECT udm.register_type('K', 'T', 'kinds.t', 'id', tenant_column => 'ccid'),
                   udm.register_type('K', 'Few', 'kinds.t', 'id', tenant_column => 'ccid',
                                     columns => '{id,j,d}'),
                   udm.register_type('R', 'T', 'far.away', 'id', tenant_column => 'ccid')""")
    return name


KINDS = {"id": "string", "v": "string", "c": "string", "n": "string", "u": "string", "e": "string",
         'Odd "name': "string", "i2": "number", "i4": "number", "i8": "number", "num": "number",
         "p": "number", "f4": "number", "f8": "number", "b": "boolean", "d": "date", "ts": "datetime",
         "tz": "datetime"}


def registered(env, name, source="K", data_type="T"):
    return {row[0]: row[1:] for row in env.postgres.sql(
        "SELECT name, column_name, label, kind FROM udm.attribute WHERE source = %s AND type = %s",
        [source, data_type], dbname=name)}


def test_all_columns_that_can_be_attributes(env, attributes):
    for _ in range(2):
        assert env.postgres.sql("SELECT udm.register_attributes('K', 'T')", dbname=attributes) == \
            [(len(KINDS),)]
        assert registered(env, attributes) == {n: (n, n, kind) for n, kind in KINDS.items()}
    # What is not exported is no attribute either, unless it is named.
    assert env.postgres.sql("SELECT udm.register_attributes('K', 'Few')", dbname=attributes) == [(2,)]
    assert set(registered(env, attributes, data_type="Few")) == {"id", "d"}
    assert env.postgres.sql("SELECT count(*) FROM udm.audit WHERE action = 'catalog.attribute'"
                            " AND object = 'K/Few/d'", dbname=attributes) == [(1,)]


def test_one_attribute(env, attributes):
    def register(arguments):
        return env.postgres.sql(f"SELECT udm.register_attribute('K', 'T', {arguments})",
                                dbname=attributes)[0][0]
    env.postgres.sql("DELETE FROM udm.attribute WHERE source = 'K'", dbname=attributes)
    assert register("'d'") == "d"
    assert register("'d', 'Day', 'The day'") == "Day"
    assert register("'i4', 'Number', kind => 'number'") == "Number"
    assert registered(env, attributes) == {"d": ("d", "d", "date"), "Day": ("d", "The day", "date"),
                                           "Number": ("i4", "Number", "number")}
    # The same name again replaces it.
    assert register("'ts', 'Day'") == "Day"
    assert registered(env, attributes)["Day"] == ("ts", "Day", "datetime")
    env.postgres.sql("DELETE FROM udm.data_type WHERE source = 'K' AND name = 'Few'", dbname=attributes)
    assert registered(env, attributes, data_type="Few") == {}


def test_attribute_of_another_database(env, attributes):
    assert env.postgres.sql("SELECT udm.register_attribute('R', 'T', 'x y', kind => 'date')",
                            dbname=attributes) == [("x y",)]
    assert registered(env, attributes, "R") == {"x y": ("x y", "x y", "date")}


@pytest.mark.parametrize("call, reason", [
    ("attribute('K', 'Nothing', 'id')", "no data type K/Nothing"),
    ("attribute('R', 'X', 'id', kind => 'string')", "no data type R/X"),
    ("attribute('K', 'T', 'nothing')", 'no column "nothing"'),
    ("attribute('K', 'T', 'ID')", 'no column "ID"'),
    ("attribute('K', 'T', 'gone')", 'no column "gone"'),
    ("attribute('K', 'T', 'ctid')", 'no column "ctid"'),
    ("attribute('K', 'T', 'j')", 'column "j" of kinds.t has a type that cannot be filtered by'),
    ("attribute('K', 'T', 'a')", "cannot be filtered by"),
    ("attribute('K', 'T', 'by')", "cannot be filtered by"),
    ("attribute('K', 'T', 'iv')", "cannot be filtered by"),
    ("attribute('K', 'T', 'tm')", "cannot be filtered by"),
    ("attribute('K', 'T', NULL)", "cannot be filtered by"),
    ("attribute('K', 'T', 'i4', kind => 'string')", 'column "i4" is of kind number, not string'),
    ("attribute('K', 'T', 'i4', '')", "attribute_name_check"),
    ("attribute('R', 'T', 'x')", "kind must be given"),
    ("attribute('R', 'T', 'x', kind => 'colour')",
     "it must be string, number, boolean, date or datetime"),
    ("attribute('R', 'T', NULL, kind => 'string')", "null value"),
    ("attributes('K', 'Nothing')", "no data type K/Nothing"),
    ("attributes('R', 'T')", "in another database"),
])
def test_attribute_registration_says_what_is_wrong(env, attributes, call, reason):
    before = env.postgres.sql("SELECT count(*) FROM udm.attribute", dbname=attributes)
    with pytest.raises(psycopg.Error, match=reason):
        env.postgres.sql(f"SELECT udm.register_{call}", dbname=attributes)
    assert env.postgres.sql("SELECT count(*) FROM udm.attribute", dbname=attributes) == before


def test_attribute_of_a_relation_that_is_gone(env, attributes):
    env.postgres.sql("CREATE TABLE kinds.short (id text)", dbname=attributes)
    env.postgres.sql("SELECT udm.register_type('K', 'Short', 'kinds.short', 'id', tenants => '{acme}')",
                     dbname=attributes)
    env.postgres.sql("DROP TABLE kinds.short", dbname=attributes)
    for call in ("attribute('K', 'Short', 'id')", "attributes('K', 'Short')"):
        with pytest.raises(errors.UndefinedTable, match="no relation kinds.short in this database"):
            env.postgres.sql(f"SELECT udm.register_{call}", dbname=attributes)


@pytest.mark.parametrize("role", ["udm_httpd", "udm_worker"])
@pytest.mark.parametrize("call", ["attribute('K', 'T', 'id')", "attributes('K', 'T')"])
def test_service_roles_cannot_register_attributes(env, attributes, role, call):
    with pytest.raises(errors.InsufficientPrivilege):
        env.postgres.sql(f"SELECT udm.register_{call}", dbname=attributes, user=role)


@pytest.mark.parametrize("role, statement", [
    ("udm_httpd", "INSERT INTO udm.attribute VALUES ('K', 'T', 'x', 'x', 'x', 'string')"),
    ("udm_worker", "UPDATE udm.attribute SET column_name = 'ccid'"),
    ("udm_httpd", "DELETE FROM udm.idempotency"),
    ("udm_worker", "UPDATE udm.idempotency SET answer = ''"),
    ("udm_worker", "INSERT INTO udm.idempotency (ccid) VALUES ('acme')")])
def test_service_roles_and_what_is_new(env, attributes, role, statement):
    with pytest.raises(errors.InsufficientPrivilege):
        env.postgres.sql(statement, dbname=attributes, user=role)


def test_demo_has_attributes(env, demo):
    rows = dict(env.postgres.sql("SELECT source || '/' || type, count(*) FROM udm.attribute GROUP BY 1",
                                 dbname=demo))
    assert set(rows) == {"UCS/Interaction", "UCS/Contact", "UCSX/Interaction", "UCSX/Contact"}
    assert rows["UCS/Interaction"] == rows["UCSX/Interaction"] > 20
    assert env.postgres.sql("SELECT count(*) FROM udm.attribute WHERE column_name = 'ccid'",
                            dbname=demo) == [(0,)]


def test_file_is_purged_after_it_is_removed(env, attributes):
    with pytest.raises(errors.CheckViolation):
        env.postgres.sql("INSERT INTO udm.file (name, run_id, job_id, ccid, source, type, job_title, part,"
                         " size, sha256, expires_at, purged_at) VALUES ('export-'"
                         " || gen_random_uuid() || '.zip.smime', 1, 1, 'acme', 'K', 'T', 'x', 1, 1,"
                         " repeat('0', 64), now(), now())", dbname=attributes)


@pytest.mark.parametrize("roles, expected", [
    (["UDM UCSX Exporter"], {("UCS", "Contact"), ("UCS", "Interaction"), ("UCSX", "Contact"),
                             ("UCSX", "Interaction")}),
    (["iWD Administrator"], set()),
    (["*"], {("UCS", "Contact"), ("UCS", "Interaction"), ("UCSX", "Contact"), ("UCSX", "Interaction")}),
    ([], set()), (["Astronaut"], set()),
])
def test_rights_of_roles(env, demo, roles, expected):
    rows = env.postgres.sql("SELECT source, type, may_read, may_write FROM udm.rights(%s, 'acme')",
                            [roles],
                            dbname=demo, user="udm_httpd")
    assert {row[:2] for row in rows} == expected and all(row[2] and row[3] for row in rows)


# The demo data

def test_demo_data_has_what_it_promises(env, demo):
    def one(statement):
        return env.postgres.sql(statement, dbname=demo)[0][0]
    entities = env.postgres.sql('SELECT ccid, array_agg(DISTINCT "entityTypeId" ORDER BY "entityTypeId")'
                                " FROM ucs.interaction GROUP BY 1 ORDER BY 1", dbname=demo)
    assert entities == [("harbour-insurance", [0, 1, 2, 3, 5, 6, 7]), ("lakeside-energy", [0, 1, 2, 3, 5, 6, 7])]
    # The same ids in both centres prove that only the tenant tells them apart.
    for table, key in (("interaction", "ixnId"), ("contact", "id"), ("document", "id")):
        assert one(f'SELECT count(*) FROM ucs.{table} a JOIN ucs.{table} b USING ("{key}")'
                   " WHERE a.ccid < b.ccid") > 5, table
    assert one('SELECT max(octet_length(text)) FROM ucs.interaction') > 5_000_000
    assert one("SELECT count(*) FROM ucs.interaction WHERE \"startDate\" IS NULL") == 4
    assert one("SELECT count(*) FROM ucs.interaction WHERE subject ~ '[\\x01-\\x08]'") > 0
    assert one("SELECT count(*) FROM ucs.document WHERE octet_length(content) > 1048576") > 0
    assert one("SELECT count(*) FROM ucs.document WHERE content IS NULL") > 0
    assert one("SELECT count(*) FROM ucs.document WHERE octet_length(content) = 0") > 0
    signatures = {"application/pdf": b"%PDF", "image/png": b"\x89PNG", "audio/x-wav": b"RIFF"}
    for mime, start in signatures.items():
        rows = env.postgres.sql('SELECT DISTINCT substring(content FROM 1 FOR 4) FROM ucs.document'
                                ' WHERE "mimeType" = %s', [mime], dbname=demo)
        assert rows == [(start,)], mime
    assert one("SELECT count(*) FROM udm.data_type WHERE 'ccid' = ANY (columns)") == 0
