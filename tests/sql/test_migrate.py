"""The program udm-migrate: what it says, who may run it and on what, and that nobody's functions are
called by it."""
import os
import re
import shutil
import subprocess

import psycopg
import pytest

from udmtest.env import TOP
from udmtest.postgres import Postgres
from udmtest.process import clean_environment

PROGRAM = os.path.join(TOP, "sql", "udm-migrate")
MIGRATIONS = os.path.join(TOP, "sql", "migrations")
NUMBERS = sorted(int(f[:4]) for f in os.listdir(MIGRATIONS) if re.fullmatch(r"\d{4}_\w+\.sql", f))


def run(*args, **kwargs):
    return subprocess.run([PROGRAM, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=kwargs.pop("env", None) or clean_environment(), **kwargs)


@pytest.fixture
def fresh(env):
    """Name and DSN of an empty database."""
    name = env.unique("migrate")
    yield name, env.postgres.create_database(name)
    env.postgres.drop_database(name)


@pytest.fixture
def roles(env):
    """Makes roles that end with the test, with whatever they own."""
    made = []

    def one(stem, attributes):
        made.append(env.unique(stem))
        env.postgres.sql(f"CREATE ROLE {made[-1]} {attributes}")
        return made[-1]
    yield one
    for role in reversed(made):
        for name, in env.postgres.sql("SELECT datname FROM pg_database WHERE datallowconn"):
            env.postgres.sql(f"DROP OWNED BY {role} CASCADE", dbname=name)
        env.postgres.sql(f"DROP ROLE {role}")


# What it says

@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_is_no_error(option):
    done = run(option)
    assert (done.returncode, done.stderr) == (0, "")
    assert "udm-migrate [--to N] CONNINFO" in done.stdout and "CREATEROLE" in done.stdout


@pytest.mark.parametrize("args", [[], ["a", "b"], ["--unknown", "a"], ["--to"], ["--to", "1"], ["--to", "x", "a"],
                                  ["--to", "10000", "a"], ["--to", "99999999999999999999", "a"]])
def test_misuse_is_one(args):
    done = run(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "udm-migrate [--to N] CONNINFO" in done.stderr


def test_says_a_line_for_each_migration_and_nothing_else(fresh):
    done = run(fresh[1])
    assert done.returncode == 0 and done.stderr == ""
    assert [re.sub(r"applied (\d{4})_\w+", r"\1", line) for line in done.stdout.splitlines()] \
        == [f"udm-migrate: {n:04}" for n in NUMBERS]
    done = run(fresh[1])
    assert (done.returncode, done.stdout, done.stderr) == (0, "udm-migrate: nothing to do\n", "")


def test_runs_where_its_user_may_not_be(env, fresh, tmp_path):
    """As with sudo -u postgres in root's home: nothing complains."""
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "closed").chmod(0)
    if os.geteuid() != 0:
        pytest.skip("only root can be where it may not")
    user = env.account.popen_args().get("user") or "nobody"
    # The sources may be in a closed home, too.
    installed = env.make_directory(env.unique("installed"))
    shutil.copy(PROGRAM, installed)
    shutil.copytree(MIGRATIONS, os.path.join(installed, "migrations"))
    done = subprocess.run(["runuser", "-u", str(user) if not isinstance(user, int) else "www-data", "--",
                           os.path.join(installed, os.path.basename(PROGRAM)), fresh[1]], cwd=inner,
                          env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    (tmp_path / "closed").chmod(0o700)
    assert done.returncode == 0 and done.stderr == ""


def test_folder_of_migrations_may_be_relative(fresh, tmp_path):
    shutil.copytree(MIGRATIONS, tmp_path / "some")
    done = run(fresh[1], env=clean_environment(UDM_MIGRATIONS="some"), cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""


# What it refuses, before anything is changed

def test_a_folder_without_migrations(fresh, tmp_path):
    done = run(fresh[1], env=clean_environment(UDM_MIGRATIONS=str(tmp_path)))
    assert (done.returncode, done.stderr) == (1, f"udm-migrate: there are no migrations in {tmp_path}\n")


def test_a_version_that_it_does_not_know(env, fresh, tmp_path):
    name, dsn = fresh
    copy = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, copy)
    late = NUMBERS[-1] + 5
    (copy / f"{late:04}_of_a_later_one.sql").write_text("CREATE TABLE udm.late ();\n")
    assert run("--to", str(NUMBERS[-2]), dsn).returncode == 0
    shutil.copy(copy / f"{late:04}_of_a_later_one.sql", tmp_path)
    for n in NUMBERS[-1:]:
        for f in copy.glob(f"{n:04}_*"):
            f.unlink()
    assert run(dsn, env=clean_environment(UDM_MIGRATIONS=str(copy))).returncode == 0
    done = run(dsn)
    assert done.returncode == 1 and done.stdout == ""
    assert f"has version {late}, which this udm-migrate does not know" in done.stderr
    assert env.postgres.sql("SELECT array_agg(version ORDER BY version) FROM udm.schema_version",
                            dbname=name) == [([*NUMBERS[:-1], late],)]


def test_an_edited_one_before_a_new_one_is_applied(env, fresh, tmp_path):
    name, dsn = fresh
    copy = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, copy)
    assert run("--to", "3", dsn).returncode == 0
    third = next(copy.glob("0003_*"))
    third.write_text(third.read_text() + "\n-- more\n")
    done = run(dsn, env=clean_environment(UDM_MIGRATIONS=str(copy)))
    assert done.returncode == 1 and third.stem in done.stderr and "has changed since" in done.stderr
    assert env.postgres.sql("SELECT max(version) FROM udm.schema_version", dbname=name) == [(3,)]


@pytest.mark.parametrize("what", ["schema", "table", "view"])
def test_a_schema_of_somebody_else(env, fresh, roles, what):
    """Whoever may create schemas makes udm first: nothing in it is looked at."""
    name, dsn = fresh
    other = roles("stranger", "LOGIN")
    env.postgres.sql(f"GRANT CREATE ON DATABASE {name} TO {other}")
    if what == "schema":
        env.postgres.sql("CREATE SCHEMA udm", dbname=name, user=other)
    else:
        assert run("--to", "1", dsn).returncode == 0
        env.postgres.sql("DROP TABLE udm.schema_version", dbname=name)
        if what == "table":
            env.postgres.sql("CREATE TABLE udm.schema_version (version integer, sha256 text)", dbname=name)
            env.postgres.sql(f"ALTER TABLE udm.schema_version OWNER TO {other}", dbname=name)
        else:
            env.postgres.sql("CREATE VIEW udm.schema_version AS SELECT 1 AS version, 1 / 0 AS sha256", dbname=name)
            env.postgres.sql("ALTER VIEW udm.schema_version OWNER TO udm_owner", dbname=name)
    done = run(dsn)
    assert done.returncode == 1 and "is none that udm-migrate made" in done.stderr


# Who may be in its way

@pytest.mark.parametrize("to", [0, NUMBERS[-2]])
def test_who_holds_its_lock_is_named(env, fresh, roles, to):
    """Where there is nothing yet, anybody may hold it: it ends, and says who. Later that takes a right."""
    name, dsn = fresh
    stranger = roles("stranger", "LOGIN")
    dsn += " options='-c lock_timeout=200'"
    if to:
        assert run("--to", str(to), dsn).returncode == 0
        env.postgres.sql(f"GRANT CONNECT ON DATABASE {name} TO {stranger}")
    with env.postgres.connect(name, stranger) as db:
        db.execute("SELECT pg_advisory_lock(hashtext('udm-migrate'))")
        done = run(dsn)
        if to:
            assert done.returncode == 0, done.stderr
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute("BEGIN; LOCK TABLE udm.schema_version IN ACCESS SHARE MODE")
        else:
            assert done.returncode != 0 and "pg_terminate_backend" in done.stderr
            assert f"another session has the lock of udm-migrate: process {db.info.backend_pid} of role {stranger}" \
                in done.stderr
    assert run(dsn).returncode == 0


def test_another_one_at_work_is_named(env, fresh):
    name, dsn = fresh
    dsn += " options='-c lock_timeout=200'"
    assert run("--to", str(NUMBERS[-2]), dsn).returncode == 0
    with env.postgres.connect(name, autocommit=False) as db:
        db.execute("LOCK TABLE udm.schema_version IN EXCLUSIVE MODE")
        done = run(dsn)
        assert done.returncode != 0 and f"process {db.info.backend_pid} of role udm_admin" in done.stderr


# Whose functions it calls

SHADOWS = """
CREATE FUNCTION public.caught(text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN EXECUTE format('ALTER ROLE %I SUPERUSER', $1); END $$;
CREATE FUNCTION public.pg_advisory_xact_lock(integer) RETURNS void LANGUAGE sql AS $$
    SELECT public.caught('{role}') $$;
CREATE FUNCTION public.hashtext(unknown) RETURNS integer LANGUAGE sql AS $$
    SELECT public.caught('{role}'); SELECT 1 $$;
CREATE FUNCTION public.to_regclass(unknown) RETURNS regclass LANGUAGE sql AS $$
    SELECT public.caught('{role}'); SELECT NULL::regclass $$;
CREATE FUNCTION public.format(text, text, text) RETURNS text LANGUAGE sql AS $$
    SELECT public.caught('{role}'); SELECT '' $$;
CREATE FUNCTION public.max(integer) RETURNS integer LANGUAGE sql AS $$
    SELECT public.caught('{role}'); SELECT 1 $$;
CREATE FUNCTION public.same(name, text) RETURNS boolean LANGUAGE sql AS $$
    SELECT public.caught('{role}'); SELECT true $$;
CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.same);
CREATE OPERATOR public.<> (LEFTARG = name, RIGHTARG = text, FUNCTION = public.same);
CREATE FUNCTION public.same(integer, integer) RETURNS boolean LANGUAGE sql AS $$
    SELECT public.caught('{role}'); SELECT true $$;
CREATE OPERATOR public.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = public.same);
CREATE FUNCTION public.spy() RETURNS boolean LANGUAGE sql AS $$ SELECT public.caught('{role}'); SELECT true $$;
CREATE VIEW public.pg_roles AS SELECT ''::text AS rolname, public.spy() AS rolsuper;
CREATE VIEW public.pg_proc AS SELECT 0::oid AS oid, public.spy() AS x;
CREATE DOMAIN public.text AS pg_catalog.text CHECK (public.spy());
CREATE DOMAIN public.int8 AS pg_catalog.int8 CHECK (public.spy());
"""


def shadow(env, name, role):
    env.postgres.sql("GRANT CREATE ON SCHEMA public TO PUBLIC", dbname=name)
    with env.postgres.connect(name, role) as db:
        for statement in re.split(r";\n(?=CREATE)", SHADOWS.format(role=role).strip()):
            try:
                db.execute(statement)
            except psycopg.errors.InvalidFunctionDefinition:
                pass  # not of unknown, in some versions
        # They are called where nobody looks out.
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute("SET search_path = public, pg_catalog; SELECT pg_advisory_xact_lock(1)")


def is_superuser(env, role):
    return env.postgres.sql("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [role])[0][0]


@pytest.mark.parametrize("path", ['"$user", public', "public, pg_catalog", "public, pg_temp, pg_catalog"])
@pytest.mark.parametrize("options", ["", " options='-c client_min_messages=error'",
                                     " options='-c search_path=public,pg_catalog'"])
def test_nobody_becomes_superuser_by_it(env, fresh, roles, path, options):
    name, dsn = fresh
    role = roles("shadower", "LOGIN")
    shadow(env, name, role)
    env.postgres.sql(f"ALTER DATABASE {name} SET search_path = {path}")
    done = run(dsn + options)
    assert done.returncode == 0, done.stderr
    assert not is_superuser(env, role)
    assert env.postgres.sql("SELECT count(*) FROM udm.schema_version", dbname=name) == [(len(NUMBERS),)]
    assert run(dsn + options).returncode == 0
    assert not is_superuser(env, role)


@pytest.mark.parametrize("start", NUMBERS[:-1])
def test_nor_by_an_upgrade(env, fresh, roles, start):
    name, dsn = fresh
    role = roles("shadower", "LOGIN")
    assert run("--to", str(start), dsn).returncode == 0
    env.postgres.sql(f"GRANT CONNECT ON DATABASE {name} TO {role}")
    shadow(env, name, role)
    env.postgres.sql(f"ALTER DATABASE {name} SET search_path = public, pg_catalog")
    done = run(dsn)
    assert done.returncode == 0, done.stderr
    assert not is_superuser(env, role)


# Who else can run it

@pytest.fixture(scope="module")
def cluster(env):
    """A cluster without our roles."""
    result = Postgres(env.make_directory("managed"), env.account)
    result.create()
    result.start()
    env.logs.append(result.log)
    yield result
    result.stop()


@pytest.fixture
def owned(cluster, env):
    """A login without any right but to make roles, and a database that it owns."""
    login, name = env.unique("manager"), env.unique("managed")
    cluster.sql(f"CREATE ROLE {login} LOGIN CREATEROLE")
    cluster.sql(f"CREATE DATABASE {name} OWNER {login}")
    yield login, name
    cluster.drop_database(name)
    for role, in cluster.sql("SELECT rolname FROM pg_roles WHERE rolname ~ '^udm_(owner|httpd|worker)$'"):
        cluster.sql(f"DROP ROLE {role}")
    cluster.sql(f"DROP OWNED BY {login}")
    cluster.sql(f"DROP ROLE {login}")


def test_a_login_that_owns_the_database_and_makes_roles(cluster, owned):
    login, name = owned
    done = run(cluster.dsn(name, login))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert cluster.sql("SELECT count(*) FROM udm.schema_version", dbname=name) == [(len(NUMBERS),)]
    assert "nothing to do" in run(cluster.dsn(name, login)).stdout
    assert cluster.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'udm'",
                       dbname=name) == [("udm_owner",)]
    assert cluster.sql("SELECT rolname FROM pg_roles WHERE rolname ~ '^udm_[^a]' AND (rolsuper OR rolcreaterole"
                       " OR rolcreatedb OR rolinherit OR rolcanlogin <> (rolname <> 'udm_owner'))") == []
    # And it can do an admin's work.
    with cluster.connect(name, login) as db:
        db.execute("SELECT udm.create_tenant('acme')")
        assert db.execute("SELECT udm.create_api_key('acme', 'x', '{*}')").fetchone()[0].startswith("udm_")
    assert cluster.sql("SELECT DISTINCT database_role FROM udm.audit", dbname=name) == [(login,)]
    assert cluster.sql("SELECT count(*) FROM udm.tenant", dbname=name, user="udm_httpd") == [(1,)]
    assert cluster.sql("SELECT has_database_privilege('udm_worker', current_database(), 'CONNECT'),"
                       " EXISTS (SELECT FROM pg_database, aclexplode(datacl) a WHERE datname ="
                       " current_database() AND grantee = 0)", dbname=name) == [(True, False)]


def test_an_upgrade_by_such_a_login(cluster, owned):
    login, name = owned
    for to in NUMBERS:
        done = run("--to", str(to), cluster.dsn(name, login))
        assert done.returncode == 0 and done.stderr == "", done.stderr


def test_an_upgrade_by_another_one_than_who_made_it(cluster, owned):
    login, name = owned
    assert run("--to", str(NUMBERS[-2]), cluster.dsn(name)).returncode == 0
    done = run(cluster.dsn(name, login))
    assert done.returncode == 0, done.stderr


def test_a_login_that_may_not(cluster, owned):
    login, name = owned
    cluster.sql(f"ALTER ROLE {login} NOCREATEROLE")
    done = run(cluster.dsn(name, login))
    assert done.returncode != 0 and "permission denied to create role" in done.stderr
    assert cluster.sql("SELECT to_regnamespace('udm')", dbname=name) == [(None,)]
    # The next one sets what a role has, which is not this login's to change.
    assert run("--to", "10", cluster.dsn(name)).returncode == 0
    done = run(cluster.dsn(name, login))
    assert done.returncode != 0 and "must be in udm_owner" in done.stderr
    assert f"GRANT udm_owner TO {login}" in done.stderr
    assert cluster.sql("SELECT max(version) FROM udm.schema_version", dbname=name) == [(10,)]
    # Whoever can let it in does, and then it goes on, with words about what is not its own.
    cluster.sql(f"GRANT udm_owner TO {login}")
    done = run(cluster.dsn(name, login))
    assert done.returncode == 0 and "ALTER ROLE udm_httpd SET search_path" in done.stderr


@pytest.mark.parametrize("role", ["udm_httpd", "udm_worker"])
def test_a_program_by_mistake(cluster, owned, role):
    """It is not told to let in those that are kept out."""
    _, name = owned
    for number in ("1", str(NUMBERS[-2])):
        assert run("--to", number, cluster.dsn(name)).returncode == 0
        done = run(cluster.dsn(name, role))
        assert done.returncode != 0 and f"role {role} is that of a program" in done.stderr
        assert "GRANT" not in done.stderr


def test_a_database_of_another_one(cluster, owned):
    """Who comes into it is for its owner to say: what to run is said."""
    login, name = owned
    cluster.sql(f"ALTER DATABASE {name} OWNER TO udm_admin")
    cluster.sql(f"GRANT CREATE ON DATABASE {name} TO {login}")
    done = run(cluster.dsn(name, login))
    assert done.returncode == 0, done.stderr
    assert f"PUBLIC keeps CONNECT, TEMPORARY on database {name}, which is not yours" in done.stderr
    assert f"REVOKE ALL ON DATABASE {name} FROM PUBLIC" in done.stderr


# Who comes into the database

def may(env, name, role, right):
    return env.postgres.sql("SELECT has_database_privilege(%s, %s, %s)", [role, name, right])[0][0]


def test_a_database_of_ours_is_nobody_elses(env, fresh, roles):
    name, dsn = fresh
    stranger = roles("stranger", "LOGIN")
    env.postgres.sql("GRANT CREATE ON SCHEMA public TO PUBLIC", dbname=name)
    done = run(dsn)
    assert done.returncode == 0 and done.stderr == ""
    for right in ("CONNECT", "TEMPORARY", "CREATE"):
        assert not may(env, name, stranger, right)
    assert not env.postgres.sql("SELECT has_schema_privilege(%s, 'public', 'CREATE')", [stranger],
                                dbname=name)[0][0]
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        env.postgres.connect(name, stranger)
    for role in ("udm_httpd", "udm_worker"):
        assert may(env, name, role, "CONNECT")
        assert not may(env, name, role, "TEMPORARY") and not may(env, name, role, "CREATE")


def test_whoever_uses_a_shared_database_goes_on(env, fresh, roles):
    """An upgrade cuts off nobody who can be found, and says who else has to be let in."""
    name, dsn = fresh
    stranger, reader = roles("stranger", "LOGIN"), roles("reader", "LOGIN")
    group, backup = roles("team", "NOLOGIN"), roles("backup", "LOGIN IN ROLE pg_read_all_data")
    member, guest = roles("member", f"LOGIN NOINHERIT IN ROLE {group}"), roles("guest", "LOGIN")
    env.postgres.sql("CREATE TABLE public.customer (id integer)", dbname=name)
    env.postgres.sql(f"GRANT SELECT ON public.customer TO {reader}", dbname=name)
    env.postgres.sql(f"ALTER TABLE public.customer OWNER TO {group}", dbname=name)
    env.postgres.sql("GRANT CREATE ON SCHEMA public TO PUBLIC", dbname=name)
    with env.postgres.connect(name, guest):
        done = run(dsn)
    assert done.returncode == 0
    assert "was taken from PUBLIC" in done.stderr and f"GRANT CONNECT ON DATABASE {name} TO" in done.stderr
    for role in (reader, group, member, backup, guest):
        assert may(env, name, role, "CONNECT") and may(env, name, role, "TEMPORARY"), role
        assert re.search(rf"\b{role}\b", done.stderr)
    assert not may(env, name, stranger, "CONNECT") and stranger not in done.stderr
    # What others go on creating they go on creating, and that is said, too.
    assert "everybody may create objects in schema public" in done.stderr
    assert env.postgres.sql("SELECT has_schema_privilege(%s, 'public', 'CREATE')", [reader],
                            dbname=name) == [(True,)]
