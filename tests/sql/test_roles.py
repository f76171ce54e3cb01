"""What each role of the database may do, statement by statement, and what it must not."""
import pytest
from psycopg import errors

CCID = "harbour-insurance"
ROLES = ("udm_httpd", "udm_worker")

JOB = ("ccid family source type title description time_all date_from date_to media export_attachments"
       " file_split_size file_split_bytes schedule_type schedule next_run_at suspended"
       " latest_run_id filters runs_left schedule_since encryption")

# Every right that a role has in schema udm, and none beside: for each table the rights on all of it, and
# those on some columns.
RIGHTS = {
    "udm_httpd": {
        "api_key": {"SELECT": "*", "UPDATE": "last_used_at"},
        "attribute": {"SELECT": "*"},
        "certificate": {"SELECT": "*", "INSERT": "ccid name pem size fingerprint not_before not_after",
                        "UPDATE": "name pem size fingerprint not_before not_after modified_at"},
        "data_type": {"SELECT": "*"},
        "file": {"SELECT": "*", "UPDATE": "removed_at removal"},
        "gone_type": {"SELECT": "*"},
        "idempotency": {"SELECT": "*", "INSERT": "ccid version key body_sha256 job_id source type answer",
                        "UPDATE": "body_sha256 job_id source type answer created_at"},
        "installation": {"SELECT": "*"},
        "job": {"SELECT": "*", "DELETE": "*", "INSERT": JOB + " id created_by status_reason",
                "UPDATE": JOB.replace("ccid ", "") + " changed_at watermark status_reason"},
        "job_or_run_id": {"USAGE": "*"},
        "media": {"SELECT": "*"},
        "quota": {"SELECT": "*"},
        "rights_generation": {"SELECT": "*"},
        "role": {"SELECT": "*"},
        "role_grant": {"SELECT": "*"},
        "run": {"SELECT": "*", "DELETE": "*",
                "UPDATE": "status status_reason finished_at ready_at worker_id attempt"},
        "run_count": {"SELECT": "*"},
        "run_progress": {"SELECT": "*"},
        "schema_version": {"SELECT": "*"},
        "source": {"SELECT": "*"},
        "sub_type": {"SELECT": "*"},
        "tenant": {"SELECT": "*"},
        "turn": {"SELECT": "*"},
        "worker": {"SELECT": "*"},
    },
    "udm_worker": {
        "attribute": {"SELECT": "*"},
        "certificate": {"SELECT": "*"},
        "data_type": {"SELECT": "*"},
        "file": {"SELECT": "*", "UPDATE": "removed_at removal purged_at",
                 "INSERT": "name run_id job_id ccid source type job_title part size sha256 expires_at"},
        "idempotency": {"SELECT": "*", "DELETE": "*"},
        "installation": {"SELECT": "*", "UPDATE": "store_since"},
        "job": {"SELECT": "*", "UPDATE": "status status_reason latest_run_id watermark next_run_at runs_left"},
        "job_or_run_id": {"USAGE": "*"},
        "media": {"SELECT": "*"},
        "quota": {"SELECT": "*"},
        "run": {"SELECT": "*",
                "UPDATE": "status status_reason attempt worker_id export_id started_at finished_at ready_at"
                          " settle_barrier settle_since window_to file_name file_size row_count"},
        "run_progress": {"SELECT": "*", "UPDATE": "lease_until percent rows_done export_id"},
        "schema_version": {"SELECT": "*"},
        "source": {"SELECT": "*"},
        "sub_type": {"SELECT": "*"},
        "tenant": {"SELECT": "*"},
        "turn": {"SELECT": "*", "UPDATE": "served_at waits_until"},
        "worker": {"SELECT": "*", "DELETE": "*", "INSERT": "id host pid version slots state",
                   "UPDATE": "state seen_at"},
    },
}
FUNCTIONS = {
    "udm_httpd": {"audit_write", "begin_retry", "is_registered", "job_status", "make_runs", "may_certificate",
                  "over_quota", "rights"},
    "udm_worker": {"audit_write", "bytes_free_at", "claim_run", "end_tenants", "forget_gone_types", "hold_gone", "is_registered",
                   "job_status", "lock_free_job", "lock_interrupted_run", "lock_ready_run", "make_runs",
                   "purge_audit", "purge_files", "purge_jobs", "purge_runs", "queue_room", "whose_turn"},
}


@pytest.fixture(scope="module")
def demo(env):
    """A database with the demo data that the module may change."""
    return env.create_database("demo")


@pytest.fixture
def run_as(env, demo):
    """Runs one statement as a role and undoes it."""
    def one(role, statement, parameters=None):
        with env.postgres.connect(demo, role, autocommit=False) as db:
            try:
                cursor = db.execute(statement, parameters)
                return cursor.fetchall() if cursor.description else None
            finally:
                db.rollback()
    return one


@pytest.mark.parametrize("role", [*ROLES, "udm_reader_ucs", "PUBLIC"])
def test_rights_are_those_and_no_others(env, demo, role):
    rows = env.postgres.sql(
        "SELECT c.relname, a.privilege_type, '*' FROM pg_class c, aclexplode(c.relacl) a"
        " WHERE c.relnamespace = 'udm'::regnamespace AND a.grantee = %(role)s::regrole"
        " UNION ALL"
        " SELECT c.relname, a.privilege_type, t.attname::text FROM pg_class c"
        "   JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a"
        "  WHERE c.relnamespace = 'udm'::regnamespace AND a.grantee = %(role)s::regrole",
        {"role": "-" if role == "PUBLIC" else role}, dbname=demo)
    found = {}
    for table, right, column in rows:
        found.setdefault(table, {}).setdefault(right, set()).add(column)
    expected = {table: {right: set(columns.split()) for right, columns in rights.items()}
                for table, rights in RIGHTS.get(role, {}).items()}
    assert found == expected


@pytest.mark.parametrize("role", [*ROLES, "udm_reader_ucs"])
def test_functions_are_those_and_no_others(env, demo, role):
    rows = env.postgres.sql("SELECT proname FROM pg_proc WHERE pronamespace = 'udm'::regnamespace"
                            " AND has_function_privilege(%s, oid, 'EXECUTE')", [role], dbname=demo)
    assert {name for name, in rows} == FUNCTIONS.get(role, set())


def test_schemas_are_those_and_no_others(env, demo):
    """Nobody makes anything in them, and only the programs' roles come into schema udm."""
    rows = env.postgres.sql(
        "SELECT n.nspname, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,"
        "       a.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) a"
        " WHERE n.nspname IN ('udm', 'public') AND a.grantee NOT IN (n.nspowner, 'udm_owner'::regrole)",
        dbname=demo)
    assert sorted(rows) == [("public", "PUBLIC", "USAGE"), *(("udm", role, "USAGE") for role in ROLES)]


def test_rights_are_not_handed_on(env, demo):
    """Neither by those who have them, nor to what is still to be made."""
    rows = env.postgres.sql(
        "SELECT name FROM (SELECT relname, relowner, relacl FROM pg_class WHERE relnamespace = 'udm'::regnamespace"
        "   UNION ALL SELECT c.relname || '.' || t.attname, c.relowner, t.attacl FROM pg_attribute t"
        "     JOIN pg_class c ON c.oid = t.attrelid WHERE c.relnamespace = 'udm'::regnamespace"
        "   UNION ALL SELECT proname, proowner, proacl FROM pg_proc WHERE pronamespace = 'udm'::regnamespace"
        "   UNION ALL SELECT nspname, nspowner, nspacl FROM pg_namespace WHERE nspname = 'udm') o (name, owner, acl),"
        " aclexplode(o.acl) a WHERE a.is_grantable AND a.grantee <> o.owner", dbname=demo)
    assert rows == []
    rows = env.postgres.sql(
        "SELECT d.defaclobjtype, a.grantee::regrole::text, a.privilege_type FROM pg_default_acl d,"
        " aclexplode(d.defaclacl) a WHERE a.grantee <> d.defaclrole", dbname=demo)
    assert rows == []


def test_roles_are_nothing_else(env, demo):
    """No attribute of a role that lets it out of its rights, and no membership."""
    rows = env.postgres.sql(
        "SELECT rolname FROM pg_roles WHERE rolname ~ '^udm_(httpd|worker|owner|reader_ucs)$'"
        " AND NOT (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)"
        " AND NOT EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid) ORDER BY 1", dbname=demo)
    assert [name for name, in rows] == ["udm_httpd", "udm_owner", "udm_reader_ucs", "udm_worker"]
    assert env.postgres.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'udm_owner'") == [(False,)]


def test_every_object_is_the_owners(env, demo):
    rows = env.postgres.sql(
        "SELECT relname FROM pg_class WHERE relnamespace = 'udm'::regnamespace"
        " AND relowner <> 'udm_owner'::regrole"
        " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'udm'::regnamespace"
        " AND proowner <> 'udm_owner'::regrole", dbname=demo)
    assert rows == []


def test_every_function_looks_for_names_in_one_place(env, demo):
    rows = env.postgres.sql(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'udm'::regnamespace"
        " AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']", dbname=demo)
    assert rows == []


@pytest.mark.parametrize("role", ["udm_owner", *ROLES])
def test_sessions_of_the_roles_do_so_from_the_start(env, demo, role):
    assert env.postgres.sql("SELECT setting FROM pg_db_role_setting s, unnest(setconfig) AS setting"
                            " WHERE setrole = %s::regrole AND setting ~ '^search_path'", [role],
                            dbname=demo) == [("search_path=pg_catalog, pg_temp",)]


# What they may do

MAY = [
    ("udm_httpd", "UPDATE udm.api_key SET last_used_at = now()"),
    ("udm_httpd", "UPDATE udm.file SET removed_at = now(), removal = 'deleted'"),
    ("udm_httpd", "UPDATE udm.run SET status = 'CANCELLED', status_reason = '', finished_at = now()"),
    ("udm_httpd", "UPDATE udm.job SET suspended = false, next_run_at = NULL, changed_at = now()"),
    ("udm_httpd", "DELETE FROM udm.run"), ("udm_httpd", "DELETE FROM udm.job"),
    ("udm_httpd", f"SELECT * FROM udm.rights('{{*}}', '{CCID}')"),
    ("udm_httpd", "SELECT udm.may_certificate('{*}')"),
    ("udm_httpd", "SELECT FROM udm.certificate FOR UPDATE"),
    ("udm_worker", "SELECT FROM udm.run r JOIN udm.run_progress p ON p.run_id = r.id FOR UPDATE OF r, p"),
    ("udm_worker", "SELECT FROM udm.job FOR UPDATE"),
    ("udm_worker", "SELECT FROM udm.installation FOR UPDATE"),
    ("udm_worker", "UPDATE udm.file SET purged_at = now() WHERE removed_at IS NOT NULL"),
    ("udm_worker", "UPDATE udm.run_progress SET lease_until = now(), percent = 1, rows_done = 1"),
    ("udm_worker", "DELETE FROM udm.idempotency"),
    ("udm_worker", "LISTEN udm_run"),
]


@pytest.mark.parametrize("role, statement", MAY)
def test_may(run_as, role, statement):
    run_as(role, statement)


# What they must not

MUST_NOT = [
    # what an export holds, whose it is, and that it is unchanged
    *((role, f"UPDATE udm.{table} SET {column} = {column}") for role in ROLES
      for table, columns in (("file", "name run_id job_id ccid source type part size sha256 created_at"
                                      " expires_at"),
                             ("job", "id ccid created_at created_by version"),
                             ("run", "id job_id ccid source type created_at created_by window_from media"
                                     " filters window_all moves_watermark"),
                             ("certificate", "ccid"), ("tenant", "ccid name encryption"))
      for column in columns.split()),
    ("udm_httpd", "UPDATE udm.file SET purged_at = now()"),
    ("udm_httpd", "INSERT INTO udm.file (name) VALUES ('x')"), ("udm_httpd", "DELETE FROM udm.file"),
    ("udm_httpd", "UPDATE udm.run SET export_id = gen_random_uuid()"),
    ("udm_httpd", "UPDATE udm.job SET status = 'COMPLETED'"),
    ("udm_httpd", "INSERT INTO udm.job (status) VALUES ('COMPLETED')"),
    *((role, statement) for role in ROLES for statement in (
        "INSERT INTO udm.run (job_id) VALUES (1)", "INSERT INTO udm.run_progress (run_id) VALUES (1)")),
    ("udm_httpd", "UPDATE udm.run SET file_name = ''"),
    ("udm_httpd", "UPDATE udm.run_progress SET percent = 100"),
    ("udm_httpd", "DELETE FROM udm.run_progress"),
    ("udm_httpd", "UPDATE udm.idempotency SET ccid = ''"), ("udm_httpd", "DELETE FROM udm.idempotency"),
    ("udm_worker", "INSERT INTO udm.job (id) VALUES (1)"), ("udm_worker", "DELETE FROM udm.job"),
    ("udm_worker", "INSERT INTO udm.run (id) VALUES (1)"), ("udm_worker", "DELETE FROM udm.run"),
    ("udm_worker", "UPDATE udm.job SET media = '{}'"), ("udm_worker", "UPDATE udm.job SET filters = '[]'"),
    ("udm_worker", "UPDATE udm.run SET media = '{}'"), ("udm_worker", "UPDATE udm.run SET filters = '[]'"),
    ("udm_worker", "INSERT INTO udm.quota (ccid) VALUES ('x')"), ("udm_worker", "DELETE FROM udm.turn"),
    ("udm_worker", "SELECT udm.set_quota('x')"), ("udm_httpd", "SELECT udm.set_quota('x')"),
    ("udm_httpd", "UPDATE udm.quota SET queued = 1"), ("udm_httpd", "UPDATE udm.turn SET waits_until = now()"),
    ("udm_httpd", "SELECT udm.queue_room('x')"), ("udm_worker", "SELECT udm.over_quota('x', '{1}', '{t}', '{t}')"),
    ("udm_worker", "DELETE FROM udm.run_progress"), ("udm_worker", "DELETE FROM udm.file"),
    ("udm_worker", "INSERT INTO udm.idempotency (ccid) VALUES ('')"),
    ("udm_worker", "SELECT secret_sha256 FROM udm.api_key"),
    ("udm_worker", "UPDATE udm.certificate SET pem = ''"),
    # their own rights
    ("udm_httpd", "UPDATE udm.api_key SET roles = '{*}'"),
    ("udm_httpd", "UPDATE udm.api_key SET revoked_at = NULL"),
    ("udm_httpd", "UPDATE udm.api_key SET expires_at = NULL"),
    ("udm_httpd", "UPDATE udm.role SET may_write = true"),
    ("udm_httpd", "INSERT INTO udm.role_grant (role) VALUES ('iWD Administrator')"),
    ("udm_httpd", "UPDATE udm.rights_generation SET generation = 0"),
    ("udm_httpd", "INSERT INTO udm.api_key (key_id, ccid, label, secret_sha256, roles)"
                  f" VALUES ('0123456789ab', '{CCID}', 'x', sha256(''), '{{*}}')"),
    *((role, statement) for role in ROLES for statement in (
        "INSERT INTO udm.audit (action) VALUES ('test')",
        "INSERT INTO udm.audit (at, action) VALUES (now(), 'test')",
        "SELECT 1 FROM udm.audit", "UPDATE udm.audit SET action = 'x'", "DELETE FROM udm.audit",
        "TRUNCATE udm.audit", "SELECT nextval('udm.audit_id_seq')",
        "UPDATE udm.data_type SET tenant_column = NULL", "UPDATE udm.source SET connection = 'x'",
        "UPDATE udm.attribute SET kind = 'string'", "DELETE FROM udm.media", "DELETE FROM udm.sub_type",
        "INSERT INTO udm.schema_version VALUES (999, '', '')", "UPDATE udm.installation SET id = id",
        "SELECT setval('udm.job_or_run_id', 1)", "UPDATE udm.run_count SET rows = 0",
        "SELECT udm.recount_runs()", "SELECT udm.run_count_fold('', '', '')", "SELECT udm.new_store()",
        "CREATE TABLE udm.mine ()", "CREATE FUNCTION udm.mine() RETURNS void LANGUAGE sql AS ''",
        "ALTER TABLE udm.audit DISABLE TRIGGER ALL", "SET ROLE udm_owner", "CREATE SCHEMA mine",
        "COPY udm.tenant TO PROGRAM 'true'", "CREATE ROLE mine", "SET session_replication_role = replica",
        "SELECT 1 FROM ucs.interaction", "SELECT 1 FROM ucs.contact", "SELECT 1 FROM ucs.document")),
    # the reader reads
    *(("udm_reader_ucs", f"SELECT 1 FROM udm.{table}")
      for table in ("job", "run", "file", "api_key", "certificate", "source", "audit", "tenant")),
    *(("udm_reader_ucs", statement) for statement in (
        "DELETE FROM ucs.interaction", "INSERT INTO ucs.contact SELECT * FROM ucs.contact",
        "UPDATE ucs.document SET name = ''", "CREATE TABLE ucs.mine ()", "SET ROLE udm_owner",
        "SELECT udm.audit_write(NULL, NULL, NULL, 'x', NULL, NULL, NULL, NULL)", "CREATE SCHEMA mine")),
]


@pytest.mark.parametrize("role, statement", MUST_NOT)
def test_must_not(run_as, role, statement):
    with pytest.raises(errors.InsufficientPrivilege):
        run_as(role, statement)


# The audit

WRITE = "SELECT udm.audit_write(%s, 'somebody', NULL, %s, 'object', '192.0.2.1', 'r-1', '{\"a\": 1}')"


# What each of them writes.
ACTIONS = {
    "udm_httpd": ["certificate.upload", "file.delete", "file.download", "file.link", "job.cancel", "job.create",
                  "job.delete", "job.replace", "job.resume", "job.suspend", "run.delete"],
    "udm_worker": ["file.expire", "run.complete", "run.fail"],
}
ADMINS = ["tenant.create", "tenant.remove", "api-key.create", "api-key.revoke", "catalog.type", "store.new", "role.remove",
          "audit.purge", "history.purge", "tenant", "Tenant.create", " tenant.create", "tenant.create ", "job.test", "",
          None]


@pytest.mark.parametrize("role, action", [(role, action) for role in ROLES for action in ACTIONS[role]])
def test_audit_says_itself_who_and_when(env, demo, role, action):
    before = env.postgres.sql("SELECT clock_timestamp()")[0][0]
    number = env.postgres.sql(WRITE, [CCID, action], dbname=demo, user=role)[0][0]
    row = env.postgres.sql("SELECT database_role, ccid, subject, action, object, client_address, request_id,"
                           " detail->>'a', at BETWEEN %s AND clock_timestamp() FROM udm.audit WHERE id = %s",
                           [before, number], dbname=demo)
    assert row == [(role, CCID, "somebody", action, "object", "192.0.2.1", "r-1", "1", True)]


@pytest.mark.parametrize("role, action", [(role, action) for role in ROLES for other in ROLES if other != role
                                          for action in ACTIONS[other] + ADMINS])
def test_audit_of_what_others_do_is_not_theirs(run_as, role, action):
    with pytest.raises(errors.InsufficientPrivilege, match="is not for role"):
        run_as(role, WRITE, [CCID, action])


def test_audit_of_a_login_of_another_name(env, demo, run_as):
    """Who was let into a role writes what that one does."""
    env.postgres.sql("CREATE ROLE udm_test_front LOGIN IN ROLE udm_httpd")
    try:
        env.postgres.sql(f'GRANT CONNECT ON DATABASE "{demo}" TO udm_test_front')
        run_as("udm_test_front", WRITE, [CCID, "job.create"])
        for action in ADMINS + ACTIONS["udm_worker"]:
            with pytest.raises(errors.InsufficientPrivilege, match="is not for role udm_test_front"):
                run_as("udm_test_front", WRITE, [CCID, action])
    finally:
        env.postgres.sql("DROP OWNED BY udm_test_front; DROP ROLE udm_test_front", dbname=demo)


def test_audit_of_an_admin_says_who_was_logged_in(env, demo):
    env.postgres.sql("SELECT udm.create_tenant('audited')", dbname=demo)
    assert env.postgres.sql("SELECT database_role, subject FROM udm.audit WHERE ccid = 'audited'",
                            dbname=demo) == [("udm_admin", "udm_admin")]
