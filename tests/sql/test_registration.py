"""What registration looks at in this database, what it refuses, and what it says loudly."""
import psycopg
import pytest
from psycopg import errors

SCHEMA = """
CREATE SCHEMA shop;
CREATE TABLE shop.t (id integer, ccid text, "Secret Word" text, at timestamptz, m text, gone text);
ALTER TABLE shop.t DROP gone;
CREATE TABLE shop.uuids (id integer, ccid uuid, num integer);
CREATE TABLE shop.files (id text, ccid text, entity integer, name text, mime text, content bytea);
CREATE TABLE shop.nothing ();
CREATE INDEX an_index ON shop.t (id);
CREATE SEQUENCE shop.a_sequence;
CREATE TYPE shop.a_type AS (id integer, ccid text);
CREATE DOMAIN shop.moment AS timestamptz;
CREATE TABLE shop.moments (id integer, ccid text, at shop.moment);
CREATE TABLE shop.policed (id integer, ccid text);
ALTER TABLE shop.policed ENABLE ROW LEVEL SECURITY;
CREATE VIEW shop.over_policed AS SELECT * FROM shop.policed;
CREATE VIEW shop.over_view AS SELECT * FROM shop.over_policed;
CREATE MATERIALIZED VIEW shop.stored AS SELECT * FROM shop.policed WITH NO DATA;
CREATE EXTENSION postgres_fdw;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
CREATE FOREIGN TABLE shop.far (id integer, ccid text, at timestamptz) SERVER far;
CREATE FOREIGN TABLE shop.far_files (id text, ccid text, entity integer, name text, mime text, content bytea)
    SERVER far;
CREATE VIEW shop.near AS SELECT id, ccid, at FROM shop.t;
CREATE VIEW shop.both AS SELECT * FROM shop.near UNION ALL SELECT id, ccid, at FROM shop.far;
CREATE VIEW shop.over_both AS SELECT id, (SELECT max(ccid) FROM shop.both) AS ccid, at FROM shop.t;
CREATE MATERIALIZED VIEW shop.kept AS SELECT * FROM shop.both WITH NO DATA;
CREATE VIEW shop.over_kept AS SELECT * FROM shop.kept;
CREATE MATERIALIZED VIEW shop.yesterday AS SELECT * FROM shop.near;
CREATE VIEW shop.over_yesterday AS SELECT * FROM shop.yesterday;
CREATE TABLE shop.replica (id integer, ccid text, at timestamptz);
CREATE VIEW shop.over_replica AS SELECT * FROM shop.replica;
-- As CREATE SUBSCRIPTION would have it, if there were a publisher.
INSERT INTO pg_subscription_rel VALUES (1, 'shop.replica'::regclass, 'r', NULL);
CREATE TABLE shop.parted (id integer, ccid text, at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE shop.parted_more PARTITION OF shop.parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')
    PARTITION BY RANGE (at);
CREATE FOREIGN TABLE shop.parted_far PARTITION OF shop.parted_more
    FOR VALUES FROM ('2026-01-01') TO ('2026-06-01') SERVER far;
CREATE SCHEMA open_to_all; GRANT CREATE ON SCHEMA open_to_all TO PUBLIC;
CREATE SCHEMA open_to_one; GRANT CREATE ON SCHEMA open_to_one TO udm_worker;
CREATE SCHEMA "Closed";
CREATE SCHEMA left_behind;
DO $$ BEGIN CREATE ROLE udm_test_planter; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
CREATE FUNCTION left_behind.f() RETURNS integer LANGUAGE sql AS 'SELECT 1';
ALTER FUNCTION left_behind.f() OWNER TO udm_test_planter;
SELECT udm.create_tenant('acme');
SELECT udm.register_source('S', 'DataSync'), udm.register_source('R', 'DataSync', remote => true);
SELECT udm.register_type('S', 'Files', 'shop.t', 'id', tenant_column => 'ccid', time_column => 'at',
                         columns => '{id}'),
       udm.register_type('S', 'Still', 'shop.t', 'id', tenant_column => 'ccid', time_column => 'at',
                         columns => '{id}', moving_window => false);
"""


@pytest.fixture(scope="module")
def shop(env):
    name = env.create_database("empty")
    with env.postgres.connect(name) as connection:
        connection.execute(SCHEMA)
    return name


def said(env, database, call):
    """Severity, words and hint of what a registration says beside its result."""
    notices = []
    with env.postgres.connect(database) as connection:
        connection.add_notice_handler(lambda d: notices.append(
            (d.severity_nonlocalized, d.message_primary, d.message_hint or "")))
        connection.execute(f"SELECT udm.register_{call}")
    return notices


T = "type('S', 'T', {}, 'id', tenant_column => 'ccid'"


def test_all_columns_are_said_loudly(env, shop):
    (severity, words, hint), = said(env, shop, T.format("'shop.t'") + ")")
    assert severity == "WARNING"
    assert words == ("columns are not given: an export of S/T has all columns of shop.t:"
                     ' id, ccid, "Secret Word", at, m')
    assert "added later" in hint and "columns => ARRAY" in hint
    # Of another database they are not known here.
    (severity, words, hint), = said(env, shop, "type('R', 'T', 'far.t', 'id', tenant_column => 'ccid')")
    assert (severity, words) == ("WARNING", "columns are not given: an export of R/T has all columns of far.t")
    assert "udm-worker --check-source" in hint
    # What is given needs no words.
    assert said(env, shop, T.format("'shop.t'") + ", columns => '{id}')") == []
    assert said(env, shop, "type('R', 'T', 'far.t', 'id', tenant_column => 'ccid', columns => '{id}')") == []


@pytest.mark.parametrize("call, words", [
    ("'shop.uuids', 'id', tenant_column => 'ccid'", 'tenant_column "ccid" is of type uuid, not text'),
    ("'shop.uuids', 'id', tenant_column => 'num'", 'tenant_column "num" is of type integer, not text'),
    ("'shop.policed', 'id', tenant_column => 'ccid'",
     "row-level security is on for shop.policed: exports fail unless the reader sees all rows"),
    ("'shop.over_view', 'id', tenant_column => 'ccid'", "row-level security is on for shop.policed:"),
    ("'shop.stored', 'id', tenant_column => 'ccid'",
     "the materialized view shop.stored is not populated: exports fail until it is refreshed"),
])
def test_what_may_go_wrong_is_a_warning(env, shop, call, words):
    notices = said(env, shop, f"type('S', 'T', {call}, columns => '{{id}}')")
    assert [severity for severity, _, _ in notices] == ["WARNING"]
    assert words in notices[0][1]


def test_policies_that_are_meant(env, shop):
    assert said(env, shop, T.format("'shop.over_view'") + ", columns => '{id}', row_security => true)") == []
    assert env.postgres.sql("SELECT row_security, moving_window, search_path FROM udm.data_type"
                            " WHERE source = 'S' AND name = 'T'", dbname=shop) == [(True, True, None)]
    assert env.postgres.sql("SELECT detail->'rowSecurity', detail->'columns' FROM udm.audit"
                            " WHERE action = 'catalog.type' ORDER BY id DESC LIMIT 1", dbname=shop) == \
        [(True, ["id"])]
    # Once more without it, and they are not.
    said(env, shop, T.format("'shop.over_view'") + ", columns => '{id}')")
    assert env.postgres.sql("SELECT row_security FROM udm.data_type WHERE source = 'S' AND name = 'T'",
                            dbname=shop) == [(False,)]


@pytest.mark.parametrize("relation, found", [
    ("far", "shop.far"), ("both", "shop.far"), ("over_both", "shop.far"), ("parted", "shop.parted_far"),
    ("over_kept", "shop.far")])
def test_moving_windows_over_another_server(env, shop, relation, found):
    call = T.format(f"'shop.{relation}'") + ", columns => '{id}'"
    with pytest.raises(errors.FeatureNotSupported, match="come from another server.*: " + found) as error:
        said(env, shop, call + ", time_column => 'at')")
    assert "moving_window => false" in error.value.diag.message_hint
    assert said(env, shop, call + ")") == []
    assert said(env, shop, call + ", time_column => 'at', moving_window => false)") == []


@pytest.mark.parametrize("relation, words", [
    ("yesterday", "next refresh of a materialized view on: shop.yesterday"),
    ("over_yesterday", "next refresh of a materialized view on: shop.yesterday"),
    ("replica", "come by a subscription, later than they were written: shop.replica"),
    ("over_replica", "come by a subscription, later than they were written: shop.replica")])
def test_moving_windows_over_late_rows(env, shop, relation, words):
    call = T.format(f"'shop.{relation}'") + ", columns => '{id}'"
    with pytest.raises(errors.FeatureNotSupported, match=words) as error:
        said(env, shop, call + ", time_column => 'at')")
    assert "moving_window => false" in error.value.diag.message_hint
    assert said(env, shop, call + ")") == []
    assert said(env, shop, call + ", time_column => 'at', moving_window => false)") == []


def test_attachments_of_another_server(env, shop):
    call = "attachments('S', '{}', 'shop.{}', 'id', 'entity', 'name', 'mime', 'content', 'ccid')"
    with pytest.raises(errors.FeatureNotSupported, match="shop.far_files"):
        said(env, shop, call.format("Files", "far_files"))
    assert said(env, shop, call.format("Still", "far_files")) == []
    assert said(env, shop, call.format("Files", "files")) == []


@pytest.mark.parametrize("relation, words", [
    ("nothing", "shop.nothing has no columns"), ("an_index", "shop.an_index is not a table or a view"),
    ("a_sequence", "shop.a_sequence is not a table or a view"),
    ("a_type", "shop.a_type is not a table or a view")])
def test_what_has_no_rows(env, shop, relation, words):
    with pytest.raises(psycopg.Error, match=words):
        said(env, shop, T.format(f"'shop.{relation}'") + ")")
    with pytest.raises(psycopg.Error, match=words):
        said(env, shop, f"attachments('S', 'Files', 'shop.{relation}', 'id', 'id', 'id', 'id', 'id', 'ccid')")


def test_time_may_be_a_domain(env, shop):
    assert said(env, shop, T.format("'shop.moments'") + ", columns => '{id}', time_column => 'at')") == []
    with pytest.raises(psycopg.Error, match="neither a timestamp nor a date"):
        said(env, shop, T.format("'shop.uuids'") + ", time_column => 'ccid')")


@pytest.mark.parametrize("path, words", [
    ("'{open_to_all}'", "schema open_to_all cannot be in the search_path: PUBLIC may create in it"),
    ("'{shop,open_to_one}'", "schema open_to_one cannot be in the search_path: udm_worker may create in it"),
    ("'{nowhere}'", "there is no schema nowhere in this database"), ("'{closed}'", "no schema closed"),
    ("'{}'", "search_path must be a list"), ("'{{shop}}'", "search_path must be a list"),
    ("'{NULL}'", "search_path must name schemas"), ("'{\"\"}'", "search_path must name schemas"),
    ("'{pg_temp}'", "search_path must name schemas"), ("'{pg_catalog}'", "search_path must name schemas"),
    ("'{\"$user\"}'", "search_path must name schemas"), ("'{\"shop, public\"}'", "there is no schema"),
])
def test_search_paths_that_are_refused(env, shop, path, words):
    with pytest.raises(psycopg.Error, match=words):
        said(env, shop, T.format("'shop.t'") + f", search_path => {path})")


def test_what_others_have_left_in_a_search_path(env, shop):
    (severity, words, hint), = said(env, shop, T.format("'shop.t'")
                                    + ", columns => '{id}', search_path => '{left_behind}')")
    assert severity == "WARNING" and "Exports fail" in hint
    assert words == ("schema left_behind in the search_path holds what others than its owner have made:"
                     " function left_behind.f() of udm_test_planter")


def test_search_path(env, shop):
    for source in ("S", "R"):
        said(env, shop, f"type('{source}', 'P', 'shop.t', 'id', tenant_column => 'ccid', columns => '{{id}}',"
                        " search_path => '{shop,Closed}')")
        assert env.postgres.sql("SELECT search_path FROM udm.data_type WHERE source = %s AND name = 'P'",
                                [source], dbname=shop) == [(["shop", "Closed"],)]
    with pytest.raises(psycopg.Error, match="search_path must name schemas"):
        said(env, shop, "type('R', 'P', 'a.b', 'id', tenant_column => 'ccid', search_path => '{pg_temp}')")


@pytest.mark.parametrize("call, words, hint", [
    ("source('N', 'ucs')", 'family "ucs" is not known', "One of UCS, DataSync."),
    ("source('N', NULL)", "family .* is not known", "UCS"),
    ("source('N', 'UCS', 'json')", 'layout "json" is not known', "records"),
    ("source('N N', 'UCS')", 'connection "n n" is not made of', "UDMSourceDir"),
    ("source('N', 'UCS', connection => '../x')", "is not made of a-z", "connection =>"),
    ("attribute('R', 'T', 'x', kind => 'text')", 'kind "text" is not known: it must be string, number', ""),
    ("attribute('S', 'Files', 'id', kind => 'int')", 'kind "int" is not known', ""),
])
def test_words_that_are_not_known(env, shop, call, words, hint):
    said(env, shop, "type('R', 'T', 'far.t', 'id', tenant_column => 'ccid', columns => '{id}')")
    with pytest.raises(psycopg.Error, match=words) as error:
        said(env, shop, call)
    assert hint in (error.value.diag.message_hint or "")


def test_what_was_registered_before(env):
    """Types of an older schema go on as they were: no policies, no path, windows that move."""
    name = env.unique("before")
    dsn = env.postgres.create_database(name)
    env.migrate(dsn, "--to", "10")
    env.postgres.sql("CREATE TABLE public.t (id integer, ccid text)", dbname=name)
    env.postgres.sql("SELECT udm.register_source('S', 'DataSync'),"
                     " udm.register_type('S', 'T', 'public.t', 'id', 'ccid')", dbname=name)
    env.migrate(dsn)
    assert env.postgres.sql("SELECT row_security, search_path, moving_window FROM udm.data_type",
                            dbname=name) == [(False, None, True)]
    # By place as it was.
    assert env.postgres.sql("SELECT udm.register_type('S', 'T', 'public.t', 'id', 'ccid', NULL, NULL, NULL,"
                            " NULL, NULL, 'label', 7)", dbname=name) == [("S/T",)]


@pytest.mark.parametrize("role", ["udm_httpd", "udm_worker"])
@pytest.mark.parametrize("call", ["relations_below('shop.t')", "check_relation('shop.t', true, true)",
                                  "check_search_path('{shop}', true)"])
def test_service_roles_cannot_look(env, shop, role, call):
    with pytest.raises(errors.InsufficientPrivilege):
        env.postgres.sql(f"SELECT udm.{call}", dbname=shop, user=role)


# Names

@pytest.mark.parametrize("call,error,words", [
    ("register_type('S', 'N', 'shop.t', 'id', tenant_column => 'ccid', columns => '{}')",
     errors.InvalidParameterValue, "columns must name each column"),
    ("register_type('S', 'N', 'shop.t', 'id', tenant_column => 'ccid', columns => '{id,m,id}')",
     errors.InvalidParameterValue, "columns must name each column"),
    ("register_type('R', 'N', 'shop.t', 'id', tenant_column => 'ccid', columns => '{id,NULL}')",
     errors.InvalidParameterValue, "columns must name each column"),
    ("register_media('S', 'Files', 'v', '')", errors.CheckViolation, "media_name"),
    ("register_media('S', 'Files', 'v', repeat('m', 256))", errors.CheckViolation, "at most 255 characters, and this one has 256"),
    ("register_sub_type('S', 'Files', 'v', '')", errors.CheckViolation, "sub_type_name"),
    ("register_sub_type('S', 'Files', 'v', repeat('m', 256))", errors.CheckViolation, "at most 255 characters, and this one has 256"),
    ("register_source('N', 'UCS', alias => '')", errors.CheckViolation, "source_alias"),
    ("register_source('N', 'UCS', alias => repeat('m', 256))", errors.CheckViolation, "alias of udm.source has at most 255"),
    ("register_source('N', 'UCS', alias => 'S')", errors.UniqueViolation, "the name of another source"),
    ("register_source('R', 'UCS', alias => 'S')", errors.UniqueViolation, "the name of another source"),
    ("register_source('first', 'UCS')", errors.UniqueViolation, 'is the alias of source "second"'),
    ("rename_source('S', 'first')", errors.UniqueViolation, "already")])
def test_names_that_are_none(env, shop, call, error, words):
    with env.postgres.connect(shop, autocommit=False) as connection:
        connection.execute("SELECT udm.register_source('second', 'UCS', alias => 'first')")
        with pytest.raises(error) as caught:
            connection.execute(f"SELECT udm.{call}")
        assert words in str(caught.value)


def test_names_that_are_some(env, shop):
    with env.postgres.connect(shop, autocommit=False) as connection:
        connection.execute("SELECT udm.register_source('second', 'UCS', alias => 'first')")
        connection.execute("SELECT udm.register_media('S', 'Files', 'v', repeat('m', 255))")
        connection.execute("SELECT udm.rename_source('second', 'first')")  # its own alias
        connection.execute("SELECT udm.register_source('first', 'UCS', alias => 'second')")
        connection.rollback()


# Every function that an admin calls with texts, with arguments that are good. Those that write nothing of
# what they are given say that there is no such thing.
CALLS = {
    "create_tenant": "'new', 'New'",
    "create_api_key": "'acme', 'label', '{*}'",
    "revoke_api_key": "'0123456789ab'",
    "remove_api_key": "'0123456789ab'",
    "set_encryption": "'acme', 'smime'",
    "set_quota": "'acme'",
    "register_source": "'New', 'UCS', 'lines', 'new', 'label', 'alias'",
    "register_type": "'R', 'New', 'far.t', 'id', NULL, '{acme}', 'at', 'kind', 'm', '{id}', 'label', 60, false, '{shop}'",
    "register_attachments": "'R', 'T', 'far.f', 'id', 'entity', 'name', 'mime', 'content', 'ccid'",
    "register_attribute": "'R', 'T', 'x', 'name', 'label', 'string'",
    "register_attributes": "'S', 'Files'",
    "register_media": "'S', 'Files', 'v', 'name', 'label'",
    "register_sub_type": "'S', 'Files', 'v', 'name', 'label'",
    "rename_type": "'S', 'Files', 'New'",
    "rename_source": "'S', 'New'",
    "rename_tenant": "'acme', 'new'",
    "remove_type": "'S', 'Files'",
    "remove_source": "'S', true",
    "remove_attribute": "'R', 'T', 'there'",
    "remove_media": "'S', 'Files', 'm'",
    "remove_sub_type": "'S', 'Files', 'k'",
    "remove_attachments": "'R', 'T'",
    "remove_role": "'iWD Administrator'",
    "remove_tenant": "'acme'",
}
# What the others and the programs call: their texts come from these, or have limits before they come here.
INSIDE = {"audit_write", "begin_retry", "bytes_free_at", "claim_run", "over_quota", "queue_room", "lock_ready_run", "remove_quota", "carry_history", "carry_names", "check_column",
          "check_new_name", "check_search_path", "counted", "end_all", "end_tenant_step",
          "gone_reason", "goes_on", "hold_gone", "hold_jobs", "is_registered", "job_status", "make_runs",
          "may_certificate", "may_purge", "rights", "run_count_fold", "suspend_gone", "take_latch"}


def test_no_text_is_without_a_limit(env, shop):
    """No function is forgotten here: each text of it, made long, is refused."""
    functions = {name: types.split(",") for name, types in env.postgres.sql(
        "SELECT p.proname, (SELECT string_agg(t::regtype::text, ',' ORDER BY n) FROM unnest(p.proargtypes) WITH"
        " ORDINALITY a (t, n)) FROM pg_proc p WHERE p.pronamespace = 'udm'::regnamespace"
        " AND p.proargtypes::regtype[] && '{text,text[]}'::regtype[]", dbname=shop)}
    assert set(functions) == set(CALLS) | INSIDE
    with env.postgres.connect(shop, autocommit=False) as db:
        db.execute("SELECT udm.register_type('R', 'T', 'far.t', 'id', tenant_column => 'ccid', columns => '{id}'),"
                   " udm.register_attribute('R', 'T', 'there', kind => 'string'),"
                   " udm.register_attachments('R', 'T', 'far.f', 'id', 'entity', 'name', 'mime', 'content', 'ccid'),"
                   " udm.register_media('S', 'Files', 'm', 'm'), udm.register_sub_type('S', 'Files', 'k', 'k')")
        for function, arguments in CALLS.items():
            with db.transaction(force_rollback=True):
                values = list(db.execute(f"SELECT {arguments}").fetchone())
            types = functions[function][:len(values)]
            call = f"SELECT udm.{function}({', '.join('%s::' + t for t in types)})"
            with db.transaction(force_rollback=True):
                db.execute(call, values)
            for i, kind in enumerate(types):
                if kind not in ("text", "text[]"):
                    continue
                much = list(values)
                much[i] = ["x" * 100000] if kind == "text[]" else "x" * 100000
                try:
                    with db.transaction(force_rollback=True):
                        assert db.execute(call, much).fetchone() == (False,), (function, i)
                except psycopg.Error as error:
                    assert error.sqlstate not in ("54000", "XX000"), (function, i, str(error)[:100])
        db.rollback()
