"""udm.run_count: at every moment, for every transaction, what counting udm.run would give."""
import random
import threading

import psycopg
import pytest

CCID, OTHER = "harbour-insurance", "lakeside-energy"
INSERT = ("INSERT INTO udm.run (job_id, ccid, source, type, title, window_all)"
          " SELECT nextval('udm.job_or_run_id'), %s, 'UCS', %s, 't', true"
          " FROM generate_series(1, %s) RETURNING id")
COUNTED = ("SELECT ccid, source, type, sum(rows) FROM udm.run_count GROUP BY 1, 2, 3"
           " HAVING sum(rows) <> 0 ORDER BY 1, 2, 3")
IS = "SELECT ccid, source, type, count(*) FROM udm.run GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"


@pytest.fixture
def name(env):
    result = env.create_database("demo")
    yield result
    env.postgres.drop_database(result)


@pytest.fixture
def connect(env, name):
    """Connections as a role; they end with the test."""
    made = []

    def one(user="udm_admin", autocommit=True):
        made.append(env.postgres.connect(name, user, autocommit=autocommit))
        return made[-1]
    yield one
    for connection in made:
        connection.close()


def check(connection):
    """In one snapshot, for a statement sees one."""
    both = connection.execute(f"SELECT (SELECT array_agg(c::text) FROM ({COUNTED}) c),"
                              f" (SELECT array_agg(c::text) FROM ({IS}) c)").fetchone()
    assert both[0] == both[1]
    return both[0]


def rows(connection):
    return connection.execute("SELECT count(*) FROM udm.run_count").fetchone()[0]


def test_statements_of_any_size(connect):
    db = connect()
    for size in (0, 1, 2, 63, 64, 65, 500):
        db.execute(INSERT, [CCID, "Interaction", size])
        db.execute(INSERT, [OTHER, "Contact", size])
        check(db)
    db.execute("DELETE FROM udm.run WHERE id % 3 = 0")
    assert check(db)
    db.execute("DELETE FROM udm.run")
    assert check(db) is None


@pytest.mark.parametrize("user", ["udm_httpd", "udm_worker"])
def test_neither_role_says_how_many(connect, user):
    db = connect(user)
    for statement in ("UPDATE udm.run_count SET rows = 0", "DELETE FROM udm.run_count",
                      "INSERT INTO udm.run_count VALUES ('a', 'b', 'c', 1)", "SELECT udm.recount_runs()"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(statement)


def test_nobody_sees_what_is_not_committed(connect):
    mine, other = connect(autocommit=False), connect()
    other.execute(INSERT, [CCID, "Interaction", 70])
    before = check(other)
    mine.execute(INSERT, [CCID, "Interaction", 90])
    mine.execute("DELETE FROM udm.run WHERE id = (SELECT min(id) FROM udm.run)")
    assert check(mine) != before and check(other) == before
    mine.rollback()
    assert check(other) == before
    mine.execute(INSERT, [CCID, "Interaction", 90])
    mine.execute("SAVEPOINT s")
    mine.execute("DELETE FROM udm.run")
    mine.execute("ROLLBACK TO s")
    mine.commit()
    assert check(other) == check(mine) != before


def test_one_does_not_wait_for_another(connect):
    """Two transactions that both add up, at once: neither waits, and both count."""
    a, b = connect(autocommit=False), connect(autocommit=False)
    b.execute("SET statement_timeout = '20s'")
    a.execute(INSERT, [CCID, "Interaction", 100])
    b.execute(INSERT, [CCID, "Interaction", 200])
    b.commit()
    a.commit()
    assert check(a) == [f"({CCID},UCS,Interaction,300)"]


def test_stays_small(connect):
    db = connect()
    for _ in range(1500):
        db.execute(INSERT, [CCID, "Interaction", 1])
    check(db)
    # one addition in 64 adds up: that none of 700 in a row does happens once in 60,000 times
    assert rows(db) < 700


def test_many_at_once(connect):
    """Inserts, deletes and what is rolled back, of both contact centres, while somebody looks."""
    faults = []

    def work(seed, db):
        dice = random.Random(seed)
        made = []
        for _ in range(120):
            try:
                if made and dice.random() < 0.4:
                    db.execute("DELETE FROM udm.run WHERE id = ANY (%s)", [made])
                    gone, kept = made, []
                else:
                    ids = db.execute(INSERT, [dice.choice((CCID, OTHER)), dice.choice(("Contact", "Interaction")),
                                              dice.choice((1, 1, 3, 80))]).fetchall()
                    gone, kept = [], made + [i for (i,) in ids]
                if dice.random() < 0.2:
                    db.rollback()
                    made = gone or made
                else:
                    db.commit()
                    made = kept
            except psycopg.Error as e:
                faults.append(e)
                return
    threads = [threading.Thread(target=work, args=(i, connect(autocommit=False))) for i in range(6)]
    looker = connect()
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        check(looker)
    for t in threads:
        t.join()
    assert not faults
    assert check(looker)


def test_past_the_triggers(connect):
    """recount_runs() mends what they could not see."""
    db = connect("udm_admin")
    db.execute(INSERT, [OTHER, "Contact", 5])
    db.execute("SET session_replication_role = replica")
    db.execute(INSERT, [CCID, "Interaction", 10])
    db.execute("RESET session_replication_role")
    with pytest.raises(AssertionError):
        check(db)
    db.execute("SELECT udm.recount_runs()")
    assert check(db) and rows(db) == 2


def test_a_row_stays_what_it_is(connect):
    connect().execute(INSERT, [CCID, "Interaction", 3])
    db = connect("udm_admin")  # nobody else may try
    for column, value in (("ccid", OTHER), ("source", "UCSX"), ("type", "Contact")):
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            db.execute(f"UPDATE udm.run SET {column} = %s", [value])
        db.execute(f"UPDATE udm.run SET {column} = {column}, title = 'new'")
    check(db)


def test_rows_that_were_there_before(env):
    """The migration counts them."""
    name = env.unique("counted")
    dsn = env.postgres.create_database(name)
    env.migrate(dsn, "--to", "7")
    env.postgres.sql("SELECT udm.create_tenant(%s)", [CCID], dbname=name)
    with env.postgres.connect(name) as db:
        db.execute(INSERT, [CCID, "Interaction", 7])
        env.migrate(dsn)
        assert check(db) == [f"({CCID},UCS,Interaction,7)"]
    env.postgres.drop_database(name)
