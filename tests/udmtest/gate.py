"""A source whose reading a test can hold up: the state "in progress" for as long as it needs it."""
from .process import wait_for

ROWS = 400
LOCK = 4712  # an advisory lock: whoever holds it stops the reading of the last rows of type Held

SCHEMA = f"""
CREATE SCHEMA held;
CREATE FUNCTION held.pass() RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
BEGIN
    WHILE NOT pg_try_advisory_lock_shared({LOCK}) LOOP
        PERFORM pg_sleep(0.02);
    END LOOP;
    RETURN pg_advisory_unlock_shared({LOCK});
END $$;
CREATE TABLE held.plain AS
    SELECT n AS id, 'harbour-insurance'::text AS ccid,
           timestamptz '2026-01-01Z' + n * interval '1 minute' AS at, repeat(md5(n::text), 200) AS words
      FROM generate_series(1, {ROWS}) n;
CREATE VIEW held.held AS
    SELECT p.*, CASE WHEN id > {ROWS} - 10 THEN held.pass() END AS passed FROM held.plain p;
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'udm_test_held') THEN
        CREATE ROLE udm_test_held LOGIN;
    END IF;
END $$;
GRANT USAGE ON SCHEMA held TO udm_test_held;
GRANT SELECT ON ALL TABLES IN SCHEMA held TO udm_test_held;
SELECT udm.register_source('Gate', 'DataSync', connection => 'held');
SELECT udm.register_type('Gate', 'Held', 'held.held', 'id', tenant_column => 'ccid', time_column => 'at');
SELECT udm.register_type('Gate', 'Plain', 'held.plain', 'id', tenant_column => 'ccid', time_column => 'at');
"""


class Gate:
    """hold() and open() for one site; the types are Gate/Held and, never held up, Gate/Plain."""

    def __init__(self, site):
        self.site = site
        with site.connect() as connection:
            connection.execute(SCHEMA)
        site.write_source("held", site.env.postgres.dsn(site.database, "udm_test_held"))
        self.connection = None

    def hold(self):
        if self.connection is None:
            self.connection = self.site.connect()
            self.connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])

    def open(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def readers(self):
        """How many exports are in the middle of their rows."""
        return self.site.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
                             " AND usename = 'udm_test_held' AND state = 'active'"
                             " AND query LIKE 'COPY%%'", [self.site.database])[0][0]

    def wait_held(self, readers=1):
        wait_for(lambda: self.readers() == readers, 60, f"{readers} exports to be held up")
