"""What is registered is renamed and removed with all that hangs on it, or that is named; contact centres leave."""
import threading
import uuid

import psycopg
import pytest

from udmtest.process import wait_for

CCID, OTHER = "acme", "other"
HASH = "0" * 64

SCHEMA = """
CREATE SCHEMA ends;
CREATE TABLE ends.one (id int, ccid text, at timestamptz, medium text, kind text);
CREATE TABLE ends.attached (id int, entity int, ccid text, name text, mime text, content bytea);
SELECT udm.create_tenant('acme'), udm.create_tenant('other');
SELECT udm.register_source('Src', 'DataSync'), udm.register_source('More', 'UCS');
SELECT udm.register_type('Src', 'T', 'ends.one', 'id', tenant_column => 'ccid', time_column => 'at',
                         subtype_column => 'kind', media_column => 'medium');
SELECT udm.register_type('Src', 'U', 'ends.one', 'id', tenants => ARRAY['acme', 'other']);
SELECT udm.register_type('More', 'T', 'ends.one', 'id', tenant_column => 'ccid');
SELECT udm.register_attachments('Src', 'T', 'ends.attached', 'id', 'entity', 'name', 'mime', 'content', 'ccid');
SELECT udm.register_attributes('Src', 'T');
SELECT udm.register_media('Src', 'T', 'e', 'Email'), udm.register_sub_type('Src', 'T', 'k', 'Kind');
INSERT INTO udm.role (name) VALUES ('OneType'), ('OneSource'), ('AnyT'), ('AllSync');
INSERT INTO udm.role_grant (role, family, source, type) VALUES
    ('OneType', 'DataSync', 'Src', 'T'), ('OneSource', NULL, 'Src', NULL), ('AnyT', NULL, NULL, 'T'),
    ('AllSync', 'DataSync', NULL, NULL);
"""


class World:
    def __init__(self, env):
        self.env, self.name = env, env.create_database("empty")
        self.db = self.connect()
        self.db.execute(SCHEMA)

    def connect(self, user="udm_admin", autocommit=True):
        return self.env.postgres.connect(self.name, user, autocommit=autocommit)

    def sql(self, text, args=None):
        cursor = self.db.execute(text, args)
        return cursor.fetchall() if cursor.description else None

    def value(self, text, args=None):
        return self.sql(text, args)[0][0]

    def job(self, status="QUEUED", source="Src", kind="T", ccid=CCID, recurs=False, file=None, **more):
        """A job with a run of this status (None: none), and a file; gives the ids of job and run."""
        over = status in ("COMPLETED", "FAILED", "CANCELLED")
        job = self.value(
            "INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, schedule, status,"
            " next_run_at, filters, media, export_attachments) VALUES (%s, (SELECT family FROM udm.source"
            " WHERE name = %s), %s, %s, 't', true, %s, '{}', %s, %s, %s::jsonb, %s, %s) RETURNING id",
            [ccid, source, source, kind, "recurring" if recurs else "immediately",
             "SCHEDULED" if status is None or (over and recurs) else status,
             "2100-01-01" if recurs or status is None else None, more.get("filters", "[]"),
             more.get("media", []), more.get("attachments", False)])
        if status is None:
            return job, None
        run = self.value(
            "INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, status, worker_id, attempt, export_id)"
            " VALUES (%s, %s, %s, %s, 't', true, %s, %s, 1, gen_random_uuid()) RETURNING id",
            [job, ccid, source, kind, status, "w/1" if status == "IN_PROGRESS" else None])
        self.sql("INSERT INTO udm.run_progress (run_id, lease_until) VALUES (%s, %s)",
                 [run, "2100-01-01" if status == "IN_PROGRESS" else None])
        self.sql("UPDATE udm.job SET latest_run_id = %s WHERE id = %s", [run, job])
        if file:
            self.file(run, job, source, kind, ccid)
        return job, run

    def file(self, run, job, source="Src", kind="T", ccid=CCID):
        self.sql("INSERT INTO udm.file (name, run_id, job_id, ccid, source, type, job_title, part, size, sha256,"
                 " expires_at) VALUES (%s, %s, %s, %s, %s, %s, 't', 1, 1, %s, '2100-01-01')",
                 [f"export-{uuid.uuid4()}.zip.smime", run, job, ccid, source, kind, HASH])

    def rights(self, role, ccid=CCID):
        return {tuple(r) for r in self.sql("SELECT source, type, gone FROM udm.rights(ARRAY[%s], %s)", [role, ccid])}

    def counted(self):
        """What udm.run_count says, which is what counting would."""
        said, so = self.sql(
            "SELECT (SELECT array_agg(c::text) FROM (SELECT ccid, source, type, sum(rows) FROM udm.run_count"
            " GROUP BY 1, 2, 3 HAVING sum(rows) <> 0 ORDER BY 1, 2, 3) c),"
            " (SELECT array_agg(c::text) FROM (SELECT ccid, source, type, count(*) FROM udm.run"
            " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3) c)")[0]
        assert said == so
        return said

    def states(self, job):
        return self.sql("SELECT j.status, r.status, j.source, j.type, r.source, r.type, j.ccid FROM udm.job j"
                        " LEFT JOIN udm.run r ON r.id = j.latest_run_id WHERE j.id = %s", [job])[0]

    def refused(self, text, *words):
        with pytest.raises(psycopg.Error) as caught:
            self.sql(text)
        for word in words:
            assert word in str(caught.value), str(caught.value)

    def audited(self, action):
        return self.value("SELECT count(*) FROM udm.audit WHERE action = %s AND subject = session_user", [action])


@pytest.fixture
def world(env):
    result = World(env)
    yield result
    result.db.close()
    env.postgres.drop_database(result.name)


# Renaming

def everywhere(world, column, value):
    """The tables of the schema in which some row has this value in the column, but for the audit."""
    tables = [r[0] for r in world.sql(
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'udm' AND column_name = %s"
        " AND table_name <> 'audit'", [column])]
    return {t for t in tables if world.value(f"SELECT EXISTS (SELECT FROM udm.{t} WHERE {column} = %s)", [value])}


def filled(world):
    """Something of Src/T in every table that names it."""
    jobs = {status: world.job(status, file=status == "COMPLETED") for status in
            ("QUEUED", "IN_PROGRESS", "SUSPENDED", "COMPLETED", "FAILED", None)}
    world.sql("INSERT INTO udm.idempotency (ccid, version, key, body_sha256, job_id, source, type, answer)"
              " VALUES ('acme', 'v10', 'k', %s, 1, 'Src', 'T', '{}')", [HASH])
    world.sql("SELECT udm.create_api_key('acme', 'k', '{OneType}')")
    world.sql("INSERT INTO udm.certificate (ccid, name, pem, size, fingerprint, not_before, not_after)"
              " VALUES ('acme', 'c', 'pem', 1, %s, now(), now())", [HASH])
    return jobs


def test_a_type_is_renamed_with_all_that_names_it(world):
    jobs = filled(world)
    other = world.job("COMPLETED", source="More")
    before = everywhere(world, "type", "T")
    assert world.value("SELECT udm.rename_type('Src', 'T', 'New')") == "Src/New"
    named = everywhere(world, "type", "New")
    assert named >= {"job", "run", "file", "idempotency", "run_count", "role_grant", "attribute", "media", "sub_type"}
    assert before >= named
    # What is of another source has its name still, and so has the grant that is for both.
    assert world.states(other[0])[2:6] == ("More", "T", "More", "T")
    assert everywhere(world, "type", "T") == {"job", "run", "run_count", "role_grant"}
    for status, (job, _) in jobs.items():
        shown = {"IN_PROGRESS": "QUEUED", None: "SCHEDULED"}.get(status, status)
        assert world.states(job)[:4] == (shown, None if status is None else shown, "Src", "New")
    assert world.sql("SELECT worker_id, attempt FROM udm.run WHERE id = %s", [jobs["IN_PROGRESS"][1]]) == [(None, 0)]
    assert any("New" in row for row in world.counted())
    assert ("Src", "New", False) in world.rights("OneType") & world.rights("OneSource") & world.rights("AnyT")
    assert ("More", "T", False) in world.rights("AnyT") and world.rights("OneType") == {("Src", "New", False)}
    assert world.audited("catalog.type-renamed") == 1 and world.sql("SELECT * FROM udm.gone_type") == []


def test_a_source_is_renamed_with_all_that_names_it(world):
    jobs = filled(world)
    world.sql("SELECT udm.rename_source('Src', 'New')")
    assert everywhere(world, "source", "Src") == set()
    assert everywhere(world, "source", "New") >= {"job", "run", "file", "idempotency", "run_count", "role_grant",
                                                  "attribute", "media", "sub_type", "data_type"}
    for job, run in jobs.values():
        assert world.states(job)[2:6] == ("New", "T", "New" if run else None, "T" if run else None)
    world.counted()
    assert world.rights("OneSource") == {("New", "T", False), ("New", "U", False)}
    assert world.sql("SELECT alias, label FROM udm.source WHERE name = 'New'") == [("Src", "New")]
    # Back again: the alias goes the other way.
    world.sql("SELECT udm.rename_source('New', 'Src')")
    assert world.sql("SELECT alias, label FROM udm.source WHERE name = 'Src'") == [("New", "Src")]
    assert world.audited("catalog.source-renamed") == 2


def test_what_a_source_had_goes_with_it(world):
    job, _ = world.job("COMPLETED", kind="U")
    world.sql("SELECT udm.remove_type('Src', 'U')")
    world.sql("SELECT udm.rename_source('Src', 'New')")
    assert ("New", "U", True) in world.rights("OneSource") and world.states(job)[2] == "New"


@pytest.mark.parametrize("new", ["fresh", "ACME"])
def test_a_contact_centre_is_renamed_with_all_that_names_it(world, new):
    jobs = filled(world)
    world.job("COMPLETED", ccid=OTHER)
    world.sql("SELECT udm.rename_tenant('acme', %s)", [new])
    assert everywhere(world, "ccid", "acme") == set()
    assert everywhere(world, "ccid", new) >= {"tenant", "api_key", "certificate", "job", "run", "file", "idempotency",
                                              "run_count"}
    assert world.states(jobs["IN_PROGRESS"][0])[:2] == ("QUEUED", "QUEUED")
    world.counted()
    assert world.value("SELECT tenants FROM udm.data_type WHERE name = 'U'") == [new, "other"]
    assert world.sql("SELECT * FROM udm.gone_type") == []
    assert world.sql("SELECT ccid FROM udm.audit WHERE action = 'tenant.rename' ORDER BY id") == [("acme",), (new,)]
    assert world.value("SELECT name FROM udm.tenant WHERE ccid = %s", [new]) == new


@pytest.mark.parametrize("call, words", [
    ("udm.rename_type('Src', 'X', 'Y')", ("no data type Src/X", "Src/T")),
    ("udm.rename_type('Src', 'T', 'U')", ("already",)),
    ("udm.rename_type('Src', 'T', '')", ("1 to 255",)),
    ("udm.rename_source('X', 'Y')", ('no source "X"', "More")),
    ("udm.rename_source('Src', 'More')", ("already",)),
    ("udm.rename_tenant('nobody', 'x')", ('no contact centre "nobody"',)),
    ("udm.rename_tenant('acme', 'other')", ("already",)),
    ("udm.rename_tenant('acme', repeat('x', 256))", ("1 to 255",)),
    ("udm.remove_type('Src', 'X')", ("no data type Src/X", "Src/U")),
    ("udm.remove_source('X')", ('no source "X"',)),
    ("udm.remove_tenant('nobody')", ('no contact centre "nobody"',)),
    ("udm.remove_attribute('Src', 'T', 'x')", ('no attribute "x"', "kind")),
    ("udm.remove_media('Src', 'T', 'x')", ('no medium "x"', "Email")),
    ("udm.remove_sub_type('Src', 'T', 'x')", ('no sub-type "x"', "Kind")),
    ("udm.remove_attachments('Src', 'U')", ("no attachments of Src/U",)),
    ("udm.remove_role('x')", ('no role "x"',)),
])
def test_refusals_say_what_there_is(world, call, words):
    world.refused(f"SELECT {call}", *words)


def test_two_histories_do_not_become_one(world):
    world.job("COMPLETED", kind="U")
    world.sql("SELECT udm.remove_type('Src', 'U')")
    world.refused("SELECT udm.rename_type('Src', 'T', 'U')", "earlier")


@pytest.mark.parametrize("statement, function", [
    ("UPDATE udm.source SET name = 'x' WHERE name = 'Src'", "rename_source"),
    ("UPDATE udm.data_type SET name = 'x' WHERE name = 'U'", "rename_type"),
    ("UPDATE udm.tenant SET ccid = 'x' WHERE ccid = 'acme'", "rename_tenant"),
    ("UPDATE udm.run SET source = 'x'", "do not change"),
])
def test_nothing_is_renamed_past_the_functions(world, statement, function):
    world.job("COMPLETED")
    world.refused(statement, function)


def test_a_rename_waits_for_who_is_at_work(world):
    """Whoever holds a job and then makes a run of it, and whoever does it the other way round."""
    job, run = world.job("QUEUED", recurs=True)
    errors = []

    def rename():
        with world.connect() as db:
            try:
                db.execute("SELECT udm.rename_type('Src', 'T', 'New')")
            except psycopg.Error as error:
                errors.append(error)
    with world.connect(autocommit=False) as scheduler, world.connect(autocommit=False) as control:
        scheduler.execute("SELECT FROM udm.job WHERE id <> %s FOR UPDATE", [job])
        control.execute("SELECT FROM udm.run WHERE id = %s FOR UPDATE", [run])
        thread = threading.Thread(target=rename)
        thread.start()
        wait_for(lambda: world.value("SELECT count(*) FROM pg_locks WHERE mode = 'ExclusiveLock' AND NOT granted"
                                     " AND relation = 'udm.run'::regclass"), 30, "the rename to wait", 0.005)
        scheduler.execute("INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, status)"
                          " VALUES (1, 'acme', 'Src', 'T', 't', true, 'COMPLETED')")
        control.execute("SELECT FROM udm.job WHERE id = %s FOR UPDATE", [job])
        scheduler.commit()
        control.commit()
        thread.join()
    assert errors == []
    assert world.value("SELECT count(*) FROM udm.run WHERE type = 'New'") == 2
    world.counted()


@pytest.mark.parametrize("rename", ["type('Src', 'T', 'New')", "source('Src', 'New')", "tenant('acme', 'New')"])
def test_others_write_while_a_long_history_is_renamed(world, rename):
    """Whoever renames is stopped at the last row of what is over: others write meanwhile, and so they do of it."""
    world.sql("INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, status)"
              " SELECT 0, 'acme', 'Src', 'T', 't', true, 'COMPLETED' FROM generate_series(1, 100)")
    job, run = world.job("COMPLETED", file=True)
    going, _ = world.job("IN_PROGRESS")
    errors = []

    def change():
        with world.connect() as db:
            try:
                db.execute(f"SELECT udm.rename_{rename}")
            except psycopg.Error as error:
                errors.append(error)
    with world.connect(autocommit=False) as reader, world.connect("udm_httpd") as writer:
        reader.execute("SELECT FROM udm.file WHERE run_id = %s FOR UPDATE", [run])
        thread = threading.Thread(target=change)
        thread.start()
        wait_for(lambda: world.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), 30, "the rename to wait", 0.01)
        writer.execute("SET lock_timeout = '5s'")
        for ccid, source in ((OTHER, "More"), (CCID, "Src")):
            new = writer.execute(
                "INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, schedule, latest_run_id)"
                " VALUES (%s, 'UCS', %s, 'T', 't', true, 'once', '{}', nextval('udm.job_or_run_id')) RETURNING id",
                [ccid, source]).fetchone()[0]
            writer.execute("SELECT udm.make_runs(ARRAY[%s]::bigint[], ARRAY[now()], NULL)", [new])
            writer.execute("UPDATE udm.job SET suspended = true WHERE id = %s", [going])
        reader.rollback()
        thread.join()
    assert errors == []
    # What was written meanwhile has the new name, too.
    column = {"t": "type", "s": "source"}.get(rename[0]) if not rename.startswith("tenant") else "ccid"
    old = {"type": "T", "source": "Src", "ccid": "acme"}[column]
    assert world.value(f"SELECT count(*) FROM udm.run WHERE {column} = 'New'") == 103
    assert world.value(f"SELECT count(*) FROM udm.run WHERE {column} = %s AND source <> 'More'", [old]) == 0
    assert world.states(new)[{"type": 3, "source": 2, "ccid": 6}[column]] == "New"
    assert world.states(going)[0] == "QUEUED"
    world.counted()


# Removing

def test_a_type_in_use_is_not_removed(world):
    ids = [world.job("QUEUED")[0] for _ in range(6)] + [world.job("IN_PROGRESS")[0], world.job(None)[0]]
    world.job("COMPLETED", file=True)
    world.refused("SELECT udm.remove_type('Src', 'T')", "Src/T is in use", f"8 jobs ({ids[0]}, {ids[1]}, ", ", ...)",
                  "1 run in progress", "6 runs that wait", "1 file", "cascade => true")
    world.refused("SELECT udm.remove_source('Src')", "T (8 jobs", "U", "cascade => true")
    assert world.sql("SELECT * FROM udm.gone_type") == []


def test_a_type_is_removed_with_what_goes_on(world):
    jobs = filled(world)
    history = world.value("SELECT count(*) FROM udm.run")
    world.sql("SELECT udm.remove_type('Src', 'T', cascade => true)")
    for status, (job, run) in jobs.items():
        ended = status if status in ("COMPLETED", "FAILED") else "CANCELLED"
        assert world.states(job)[:2] == (ended, ended if run else None)
    assert world.sql("SELECT DISTINCT status_reason FROM udm.job WHERE status = 'CANCELLED'") == \
        [('type "T" of source "Src" was removed',)]
    assert world.sql("SELECT removal, removed_at IS NOT NULL FROM udm.file") == [("deleted", True)]
    assert world.value("SELECT count(*) FROM udm.run") == history
    world.counted()
    for role in ("OneType", "OneSource", "AnyT", "AllSync", "*"):
        assert ("Src", "T", True) in world.rights(role)
    assert ("Src", "T", True) not in world.rights("iWD Nobody")
    assert world.audited("job.cancel") == 4 and world.audited("file.delete") == 1
    assert world.audited("catalog.type-removed") == 1


def test_a_type_that_nothing_goes_on_with(world):
    world.job("COMPLETED")
    assert world.value("SELECT udm.remove_type('Src', 'T')") == "Src/T"
    assert ("Src", "T", True) in world.rights("OneType")
    # It comes back, and with it nothing is gone.
    world.sql("SELECT udm.register_type('Src', 'T', 'ends.one', 'id', tenant_column => 'ccid')")
    assert world.rights("OneType") == {("Src", "T", False)} and world.sql("SELECT * FROM udm.gone_type") == []


def test_a_source_is_removed_with_its_types(world):
    job, _ = world.job("QUEUED")
    world.sql("SELECT udm.remove_source('Src', true)")
    assert world.states(job)[:2] == ("CANCELLED", "CANCELLED")
    assert world.rights("AllSync") == {("Src", "T", True), ("Src", "U", True)}  # by the family it had
    assert world.value("SELECT count(*) FROM udm.source WHERE name = 'Src'") == 0
    assert world.audited("catalog.source-removed") == 1
    world.sql("SELECT udm.register_source('Empty', 'UCS'); ")
    world.sql("SELECT udm.remove_source('Empty')")


def test_gone_for_some(world):
    mine, _ = world.job("QUEUED", kind="U")
    theirs, _ = world.job("QUEUED", kind="U", ccid=OTHER)
    world.sql("SELECT udm.register_type('Src', 'U', 'ends.one', 'id', tenants => ARRAY['other'])")
    assert world.states(mine)[:2] == ("SUSPENDED", "SUSPENDED") and world.states(theirs)[:2] == ("QUEUED", "QUEUED")
    assert world.rights("OneSource") == {("Src", "T", False), ("Src", "U", True)}
    assert world.rights("OneSource", OTHER) == {("Src", "T", False), ("Src", "U", False)}
    # Narrower still, then gone: each loses it when it does.
    world.sql("SELECT udm.remove_type('Src', 'U', true)")
    assert ("Src", "U", True) in world.rights("OneSource", OTHER) & world.rights("OneSource")
    assert world.states(mine)[0] == "CANCELLED"
    world.sql("SELECT udm.register_type('Src', 'U', 'ends.one', 'id', tenants => ARRAY['acme'])")
    assert ("Src", "U", False) in world.rights("OneSource") and ("Src", "U", True) in world.rights("OneSource", OTHER)


def test_what_a_tenant_column_let_everybody_have(world):
    job, _ = world.job("IN_PROGRESS")
    world.sql("SELECT udm.register_type('Src', 'T', 'ends.one', 'id', tenants => ARRAY['other'])")
    assert world.states(job)[:2] == ("SUSPENDED", "SUSPENDED")
    assert ("Src", "T", True) in world.rights("OneType") and ("Src", "T", False) in world.rights("OneType", OTHER)


@pytest.mark.parametrize("call, more, reason", [
    ("udm.remove_attribute('Src', 'T', 'medium'{})", {"filters": '[{"attribute": "medium", "operator": "eq", "value": "x"}]'},
     'attribute "medium"'),
    ("udm.remove_media('Src', 'T', 'Email'{})", {"media": ["Email"]}, 'medium "Email"'),
    ("udm.remove_attachments('Src', 'T'{})", {"attachments": True}, "attachments"),
])
def test_what_jobs_name_of_a_type(world, call, more, reason):
    job, _ = world.job("QUEUED", **more)
    other, _ = world.job("QUEUED")
    done, _ = world.job("COMPLETED", **more)
    world.refused("SELECT " + call.format(""), f"1 job ({job})", "cascade => true")
    world.sql("SELECT " + call.format(", cascade => true"))
    assert world.states(job)[:2] == ("SUSPENDED", "SUSPENDED") and world.states(other)[0] == "QUEUED"
    assert world.states(done)[0] == "COMPLETED"
    assert reason in world.value("SELECT status_reason FROM udm.job WHERE id = %s", [job])
    world.refused("SELECT " + call.format(""), "there")  # none any more
    assert world.value("SELECT count(*) FROM udm.audit WHERE action LIKE 'catalog.%-removed'") == 1


def test_attachments_that_were_there_are_missed(world):
    """A type that never had any is another thing than one that has lost them, however it did."""
    def lost(name):
        return world.value("SELECT attachments_removed_at IS NOT NULL FROM udm.data_type WHERE source = 'Src'"
                           " AND name = %s", [name])
    again = ("SELECT udm.register_attachments('Src', 'T', 'ends.attached', 'id', 'entity', 'name', 'mime',"
             " 'content', 'ccid')")
    assert not lost("T") and not lost("U")
    world.sql("SELECT udm.remove_attachments('Src', 'T')")
    assert lost("T")
    world.sql("UPDATE udm.data_type SET label = 'x'")
    assert lost("T") and not lost("U")
    world.sql(again)
    assert not lost("T")
    world.sql("SELECT udm.register_type('Src', 'T', 'ends.one', 'id', tenant_column => 'ccid')")
    assert lost("T")


# What the audit says when a row is deleted past the functions. None: the programs delete there and say so
# themselves, or it follows from something else.
DELETED = {
    "api_key": ("api-key.remove", "{key}"), "attribute": ("catalog.attribute-removed", "Src/T/medium"),
    "certificate": ("certificate.remove", "acme"), "data_type": ("catalog.type-removed", "Src/T"),
    "media": ("catalog.media-removed", "Src/T/Email"), "role": ("role.remove", "OneType"),
    "role_grant": ("role.grant-removed", "OneType/DataSync/Src/T"), "source": ("catalog.source-removed", "More"),
    "sub_type": ("catalog.sub-type-removed", "Src/T/Kind"), "tenant": ("tenant.removed", "typo"),
    "quota": ("tenant.quota-removed", "acme"),
    "file": None, "idempotency": None, "job": None, "run": None, "run_progress": None, "worker": None,
    "audit": None, "gone_type": None, "installation": None, "latch": None, "rights_generation": None,
    "run_count": None, "schema_version": None, "turn": None,
}


def test_whatever_is_deleted_is_said(world):
    """No table is forgotten here."""
    tables = {r[0] for r in world.sql("SELECT relname FROM pg_class WHERE relnamespace = 'udm'::regnamespace"
                                      " AND relkind IN ('r', 'p')")}
    assert tables == set(DELETED)
    filled(world)
    world.sql("SELECT udm.create_tenant('typo'), udm.set_quota('acme', 5)")
    key = world.value("SELECT key_id FROM udm.api_key")
    statements = {
        "data_type": "name = 'T' AND source = 'Src'", "role": "name = 'OneType'", "role_grant": "role = 'OneType'",
        "source": "name = 'More'", "tenant": "ccid = 'typo'", "attribute": "name = 'medium'"}
    world.sql("DELETE FROM udm.data_type WHERE source = 'More'")
    for table, said in DELETED.items():
        if said is None:
            continue
        last = world.value("SELECT max(id) FROM udm.audit")
        with world.db.transaction(force_rollback=True):
            world.sql(f"DELETE FROM udm.{table} WHERE {statements.get(table, 'true')}")
            found = world.sql("SELECT action, object, subject = session_user FROM udm.audit WHERE id > %s"
                              " AND action <> 'job.suspend'", [last])
            assert found == [(said[0], said[1].format(key=key), True)], table
        with world.db.transaction(force_rollback=True):
            world.sql(f"TRUNCATE udm.{table} CASCADE")
            assert (said[0], None) in world.sql("SELECT action, object FROM udm.audit WHERE id > %s", [last]), table


def test_a_sub_type_is_removed(world):
    world.job("QUEUED")
    assert world.value("SELECT udm.remove_sub_type('Src', 'T', 'Kind')") == "Kind"
    assert world.sql("SELECT * FROM udm.sub_type") == [] and world.audited("catalog.sub-type-removed") == 1


def test_keys_and_roles_are_removed(world):
    key = world.value("SELECT udm.create_api_key('acme', 'night', '{OneType,AnyT}')")
    old = world.value("SELECT udm.create_api_key('acme', 'old', '{OneType}', now() - interval '1 day')")
    world.refused(f"SELECT udm.remove_api_key('{key}')", '"night"', "is good", "revoke_api_key")
    world.refused("SELECT udm.remove_role('OneType')", '"night"', "cascade => true")
    world.sql("SELECT udm.remove_role('OneType', cascade => true)")
    assert world.value("SELECT roles FROM udm.api_key WHERE label = 'night'") == ["AnyT"]
    assert world.rights("OneType") == set()
    world.sql("SELECT udm.revoke_api_key(%s)", [key])
    assert [world.value("SELECT udm.remove_api_key(%s)", [k]) for k in (key, old, key)] == [True, True, False]
    assert world.audited("api-key.remove") == 2 and world.audited("role.remove") == 1


# Contact centres that leave

def left(world, ccid=CCID):
    return everywhere(world, "ccid", ccid)


def test_one_that_has_nothing_leaves_at_once(world):
    world.sql("SELECT udm.create_tenant('typo')")
    assert world.value("SELECT udm.remove_tenant('typo')") == "removed"
    assert left(world, "typo") == set()
    assert world.sql("SELECT action FROM udm.audit WHERE ccid = 'typo' ORDER BY id") == \
        [("tenant.create",), ("tenant.remove",), ("tenant.removed",)]


def test_one_in_use_is_not_removed(world):
    filled(world)
    world.sql("UPDATE udm.data_type SET tenants = '{acme}' WHERE name = 'U'")
    world.refused("SELECT udm.remove_tenant('acme')", "is in use", "4 jobs", "1 run in progress", "2 runs that wait",
                  "1 file", "2 jobs that are over", "5 history records", "1 API key", "Src/U", "cascade => true")
    assert world.value("SELECT ending_since FROM udm.tenant WHERE ccid = 'acme'") is None


def test_one_leaves_with_all_that_is_its_own(world):
    filled(world)
    theirs, _ = world.job("QUEUED", ccid=OTHER, file=True)
    said = world.value("SELECT udm.remove_tenant('acme', cascade => true)")
    assert "1 file is out of the store" in said and "1 export has stopped" in said
    # Nothing of it goes on from now on.
    assert world.value("SELECT count(*) FROM udm.api_key WHERE revoked_at IS NULL") == 0
    assert world.value("SELECT count(*) FROM udm.run WHERE ccid = 'acme' AND status IN ('QUEUED', 'IN_PROGRESS',"
                       " 'SUSPENDED')") == 0
    assert world.value("SELECT count(*) FROM udm.file WHERE ccid = 'acme' AND removed_at IS NULL") == 0
    worker = world.connect("udm_worker")
    step = "SELECT udm.end_tenants(2)"
    assert worker.execute(step).fetchone()[0] is False and "run" in left(world)
    # What a request that was under way has made is ended, too.
    late, _ = world.job("QUEUED", file=True)
    assert worker.execute(step).fetchone()[0] is False and world.states(late)[0] == "CANCELLED"
    world.sql("UPDATE udm.file SET purged_at = now() WHERE ccid = 'acme' AND removed_at IS NOT NULL")
    while worker.execute(step).fetchone()[0]:
        pass
    # The export that has not stopped is waited for.
    assert "file" not in left(world) and "run" in left(world)
    world.sql("UPDATE udm.run_progress SET lease_until = now()")
    while worker.execute(step).fetchone()[0]:
        world.counted()
    worker.close()
    assert left(world) == set()
    assert world.value("SELECT tenants FROM udm.data_type WHERE name = 'U'") == ["other"]
    assert world.sql("SELECT * FROM udm.gone_type") == []
    assert world.counted() is not None and world.states(theirs)[0] == "QUEUED"
    assert world.value("SELECT count(*) FROM udm.audit WHERE ccid = 'acme' AND action = 'tenant.removed'") == 1
    assert world.value("SELECT count(*) FROM udm.run_count WHERE ccid = 'acme'") == 0
    world.sql("SELECT udm.create_tenant('acme')")


def test_called_again_it_says_how_far_it_is(world):
    world.job("COMPLETED", file=True)
    assert "1 file" in world.value("SELECT udm.remove_tenant('acme', true)")
    assert "1 file" in world.value("SELECT udm.remove_tenant('acme')")
    world.refused("SELECT udm.rename_tenant('acme', 'x')", "being removed")
    world.refused("SELECT udm.create_api_key('acme', 'again', '{*}')", "being removed")
    world.sql("UPDATE udm.file SET purged_at = now()")
    assert world.value("SELECT udm.remove_tenant('acme')") == "removed" and left(world) == set()


# The functions that are told of a contact centre, with what each is called with for one that leaves: it
# refuses. None: for another reason.
OF_CENTRES = {
    "create_tenant": "'acme'",
    "create_api_key": "'acme', 'again', '{*}'",
    "rename_tenant": "'acme', 'x'",
    "set_encryption": "'acme', 'cms-gcm'",
    "register_type": "'Src', 'New', 'ends.one', 'id', tenants => ARRAY['other', 'acme']",
    "set_quota": "'acme', 1",
    "remove_quota": None, "lock_ready_run": None, "bytes_free_at": None, "over_quota": None, "queue_room": None,
    "remove_tenant": None,  # goes on
    "end_tenant_step": None, "is_registered": None, "rights": None, "run_count_fold": None,  # of the programs
    "audit_write": None, "begin_retry": None, "end_all": None, "goes_on": None,
}


def test_nothing_new_of_one_that_leaves(world):
    """No function that takes a contact centre is forgotten here."""
    named = {r[0] for r in world.sql(
        "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'udm'::regnamespace"
        " AND p.proargnames[1:p.pronargs] && '{ccid,new_ccid,p_ccid,tenants,tenant}'")}
    assert named == set(OF_CENTRES)
    world.job("COMPLETED", file=True)
    world.sql("SELECT udm.register_type('Src', 'Old', 'ends.one', 'id', tenants => ARRAY['acme', 'other'])")
    assert "1 file" in world.value("SELECT udm.remove_tenant('acme', true)")
    for function, arguments in OF_CENTRES.items():
        if arguments:
            world.refused(f"SELECT udm.{function}({arguments})", 'contact centre "acme" is being removed')
    for statement in ("UPDATE udm.tenant SET ending_since = NULL WHERE ccid = 'acme'",
                      "UPDATE udm.data_type SET tenants = tenants || '{acme}'::text[], tenant_column = NULL"
                      " WHERE name = 'T'"):
        world.refused(statement, 'contact centre "acme" is being removed')
    # Where it is named already it goes on to be, until it is gone.
    world.sql("UPDATE udm.data_type SET label = 'x', tenants = tenants WHERE name = 'Old'")
    world.sql("UPDATE udm.file SET purged_at = now()")
    assert world.value("SELECT udm.remove_tenant('acme')") == "removed" and left(world) == set()


def test_a_long_history_is_left_to_the_workers(world):
    world.sql("INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, status)"
              " SELECT 1, 'acme', 'Src', 'T', 't', true, 'COMPLETED' FROM generate_series(1, 100001)")
    world.refused("SELECT udm.remove_tenant('acme')", "100001 history records")
    assert world.value("SELECT udm.remove_tenant('acme', true)") == "ending: the workers go on"
    with world.connect("udm_worker") as worker:
        while worker.execute("SELECT udm.end_tenants(2000)").fetchone()[0]:
            pass
    assert left(world) == set()


# Who may do what

@pytest.mark.parametrize("role", ["udm_httpd", "udm_worker"])
def test_the_services_may_do_no_more_than_they_need(world, role):
    may = {"udm_httpd": {"rights", "is_registered", "may_certificate", "audit_write", "begin_retry", "job_status",
                         "make_runs", "over_quota"},
           "udm_worker": {"is_registered", "hold_gone", "end_tenants", "purge_runs", "purge_jobs", "purge_files",
                          "purge_audit", "forget_gone_types", "audit_write", "claim_run", "lock_free_job",
                          "lock_interrupted_run", "lock_ready_run", "whose_turn", "job_status",
                          "make_runs", "bytes_free_at", "queue_room"}}[role]
    functions = {r[0] for r in world.sql(
        "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'udm'::regnamespace AND p.prorettype <> 'trigger'::regtype"
        " AND has_function_privilege(%s, p.oid, 'EXECUTE')", [role])}
    assert functions <= may
    db = world.connect(role)
    for statement in ("UPDATE udm.gone_type SET family = 'UCS'", "DELETE FROM udm.tenant", "DELETE FROM udm.audit",
                      "UPDATE udm.worker SET id = 'x'", "SELECT udm.end_tenant_step('acme', 10)",
                      "UPDATE udm.tenant SET ending_since = now()"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(statement)
    db.close()


@pytest.mark.parametrize("who", ["udm_admin", "udm_owner"])
@pytest.mark.parametrize("statement", ["DELETE FROM udm.audit", "UPDATE udm.audit SET action = 'x'",
                                       "TRUNCATE udm.audit"])
def test_saying_that_one_purges_is_not_enough(world, who, statement):
    """Not even the owner of the table, who says it, deletes what is young."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
        world.db.execute(f"SET ROLE {who}; SET udm.purges_audit = 'on'; {statement}")
    assert "append-only" in str(caught.value) and "UDMAuditRetention" in str(caught.value)


@pytest.mark.parametrize("function, least", [("purge_audit", 30), ("purge_runs", 1), ("purge_jobs", 1),
                                             ("purge_files", 1)])
@pytest.mark.parametrize("days", [None, -1, 0, 29])
def test_nothing_young_is_purged(world, function, least, days):
    db = world.connect("udm_worker")
    if days is None or days < least:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            db.execute(f"SELECT udm.{function}(%s, 0, 10)", [days])
        assert f"{least} days at least" in str(caught.value)
    else:
        db.execute(f"SELECT udm.{function}(%s, 0, 10)", [days])
    db.close()


def test_what_was_gone_before_the_upgrade(env):
    """Jobs, history and files of types that were deleted while nothing looked after them."""
    name = env.create_database("empty")
    dsn = env.postgres.dsn(name, "udm_admin")
    with env.postgres.connect(name) as db:
        db.execute("DROP SCHEMA udm CASCADE")
        env.migrate(dsn, "--to", "10")
        db.execute("""
            SELECT udm.create_tenant('acme'), udm.register_source('Src', 'DataSync'), udm.register_source('Old', 'UCS');
            INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, schedule, status, next_run_at)
            VALUES ('acme', 'DataSync', 'Src', 'T', 'recurs', true, 'recurring', '{}', 'FAILED', now()),
                   ('acme', 'UCS', 'None', 'T', 'over', true, 'once', '{}', 'FAILED', NULL);
            INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, status)
            VALUES (1, 'acme', 'Src', 'T', 't', true, 'QUEUED'), (2, 'acme', 'Old', 'X', 't', true, 'FAILED')""")
        env.migrate(dsn)
        assert db.execute("SELECT title, status, suspended, status_reason FROM udm.job ORDER BY title").fetchall() == [
            ("over", "FAILED", False, None),
            ("recurs", "SUSPENDED", True, 'type "T" of source "Src" is not registered any more')]
        assert db.execute("SELECT status FROM udm.run ORDER BY id").fetchall() == [("SUSPENDED",), ("FAILED",)]
        assert set(db.execute("SELECT source, type, gone FROM udm.rights('{iWD Administrator}', 'acme')")) == \
            {("Src", "T", True)}
        assert len(db.execute("SELECT * FROM udm.rights('{*}', 'acme')").fetchall()) == 3
        assert db.execute("SELECT * FROM udm.rights('{*}', 'other')").fetchall() == []
    env.postgres.drop_database(name)


def test_a_job_that_comes_while_a_contact_centre_leaves(world):
    """What a request writes at that moment is waited for, and goes, too."""
    answers, errors = [], []
    world.sql("SELECT udm.register_type('Src', 'Own', 'ends.one', 'id', tenants => ARRAY['other'])")

    def remove():
        with world.connect() as db:
            try:
                answers.append(db.execute("SELECT udm.remove_tenant('other', true)").fetchone()[0])
            except psycopg.Error as error:
                errors.append(error)

    with world.connect("udm_httpd", autocommit=False) as request:
        request.execute("INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, schedule,"
                        " next_run_at) VALUES ('other', 'UCS', 'More', 'T', 't', true, 'once', '{}', '2100-01-01')")
        thread = threading.Thread(target=remove)
        thread.start()
        wait_for(lambda: world.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), 30, "the removal to wait", 0.01)
        request.commit()
        thread.join()
    assert (answers, errors) == (["removed"], [])
    assert everywhere(world, "ccid", "other") == set()
    assert world.value("SELECT tenants FROM udm.data_type WHERE name = 'Own'") == []
