"""How long an export takes, beside PostgreSQL alone and beside the shell pipeline that one would
write instead; what a file for each record costs; and whether rows cost the same however many.

An export's time is that of its run: from the claim (started_at) to the transaction that lists the
published files (finished_at), both of PostgreSQL's clock. The files are durable by then; what stands
beside it writes to /dev/null, or to a file that nobody syncs.
"""
import collections
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import zlib

from bench.measure import timed
from bench.site import BenchSite
from udmtest.postgres import bin_dir
from udmtest.process import clean_environment, wait_for

MIB = 1 << 20

# The most memory that a worker may have had, in MiB.
MEMORY = "<= 32"

CENTRE = "harbour-insurance"  # it has 200,000 interactions at scale 1, and nine more
SCALE, QUICK_SCALE = "7.5", "0.05"

# How many rows growth has.
GROWTH, QUICK_GROWTH = (100_000, 1_000_000, 10_000_000), (1_000, 10_000, 100_000)

Export = collections.namedtuple("Export", "seconds rows peak files sums")


# ---- exports ----

@contextlib.contextmanager
def running(site):
    """A site with httpd; the contact centre has a certificate."""
    with site:
        site.start_httpd()
        site.upload_certificate(CENTRE)
        yield site


@contextlib.contextmanager
def working(site):
    """A worker of its own, so that the peak of its memory belongs to the exports made with it."""
    worker = site.start_worker()
    yield worker
    worker.stop()


def export(site, worker, source, data_type="Interaction", family="UCS"):
    """Makes an export; its peak is the worker's so far, in MiB. The files are for the caller to remove."""
    job = site.client(CENTRE).create_job(source=source, data_type=data_type, family=family)
    with site.connect() as connection:
        # Not by way of the API, so that httpd has nothing to do meanwhile.
        run = wait_for(lambda: connection.execute(
            "SELECT id, status, status_reason, row_count,"
            " extract(epoch FROM finished_at - started_at)::float8 FROM udm.run"
            " WHERE job_id = %s AND finished_at IS NOT NULL", [job["id"]]).fetchone(),
            3600, f"the export of {source}/{data_type}", interval=0.1)
        assert run[1] == "COMPLETED", f"{source}/{data_type}: {run[1]}: {run[2]}"
        files = connection.execute("SELECT name, sha256 FROM udm.file WHERE run_id = %s", [run[0]]).fetchall()
    return Export(run[4], run[3], worker.memory_peak() / MIB,
                  [os.path.join(site.store, name[len("export-"):][:2], name) for name, _ in files],
                  [sha256 for _, sha256 in files])


def remove(paths):
    """Removes files, and lets the disk be done with them before the next round."""
    for path in paths:
        os.remove(path)
    os.sync()


def exports(site, times, rows, *args):
    """So many exports of so many rows, one after the other with one worker; their files are removed."""
    made = []
    with working(site) as worker:
        for _ in range(times):
            made.append(export(site, worker, *args))
            remove(made[-1].files)
            assert made[-1].rows == rows, f"{args}: {made[-1].rows:,} rows, not {rows:,}"
    return made


def decrypt(site, made, *arguments):
    """udm-decrypt verifies every hash, too."""
    sums = [word for sha256 in made.sums for word in ("--sha256", sha256)]
    timed([os.path.join(site.env.build, "udm-decrypt"), "-k", site.env.certificate.key_path, *sums,
           *arguments, *made.files], stdout=subprocess.DEVNULL)


# ---- what stands beside ----

def environment():
    """PostgreSQL's own psql, for Debian's wrapper of it takes a moment to start."""
    return clean_environment(PATH=bin_dir() + ":/usr/bin:/bin", PGTZ="UTC")


def query(site, data_type):
    """The rows and columns of the export, asked for as one would."""
    return site.sql(
        "SELECT format('SELECT %%s FROM %%I.%%I WHERE %%I = %%L',"
        " (SELECT string_agg(quote_ident(name), ', ' ORDER BY n)"
        "    FROM unnest(columns) WITH ORDINALITY AS c (name, n)),"
        " relation_schema, relation_name, tenant_column, %s::text)"
        " FROM udm.data_type WHERE source = 'UCS' AND name = %s", [CENTRE, data_type])[0][0]


def copy_command(site, select, reader="udm_reader_ucs"):
    return ["psql", "-X", "-q", "-d", site.dsn(reader), "-c", f"COPY ({select}) TO STDOUT"]


def copy_alone(site, *args):
    """(a): the rows as text, for nobody."""
    return timed(copy_command(site, *args), env=environment(), stdout=subprocess.DEVNULL)


def pipeline_file(site):
    return os.path.join(site.directory, "pipeline.smime")


def pipeline(bench, site, select):
    """(b): a file for the same certificate."""
    return timed([os.path.join(bench.top, "tests", "bench", "peers", "pipeline.sh"),
                  site.dsn("udm_reader_ucs"), select, site.env.certificate.path, pipeline_file(site)],
                 env=environment())


def pipeline_once(bench, site, select):
    seconds = pipeline(bench, site, select)
    remove([pipeline_file(site)])
    return seconds


# ---- that they do the same ----

def sample(paths):
    """Of files of JSON lines: how many lines, how many bytes, and a few hundred of the rows, by their
    first members. Which ones depends on those alone, so the same rows give the same sample."""
    lines, size, rows = 0, 0, {}
    for path in paths:
        with open(path, "rb") as f:
            for line in f:
                lines += 1
                size += len(line)
                start = line[:line.index(b",")]
                if zlib.crc32(start) % 3000 == 0:
                    rows[start] = json.loads(line)
    return lines, size, rows


def comparable(row):
    """PostgreSQL writes the same moment as +00:00 and without zeros at the end."""
    row = dict(row)
    for name in ("startDate", "modifiedDate", "endDate"):
        if row[name] is not None:
            seconds, _, fraction = row[name].removesuffix("Z").removesuffix("+00:00").partition(".")
            row[name] = f"{seconds}.{fraction:0<6}"
    return row


def read_export(site, made):
    target = os.path.join(site.directory, "decrypted")
    decrypt(site, made, "-o", target)
    try:
        return sample([entry.path for entry in os.scandir(target) if entry.is_file()])
    finally:
        shutil.rmtree(target)


def read_pipeline(site):
    """With the tools that everybody has."""
    archive, target = (os.path.join(site.directory, "pipeline" + end) for end in (".zip", ".json"))
    timed(["openssl", "cms", "-decrypt", "-binary", "-inform", "SMIME", "-in", pipeline_file(site),
           "-inkey", site.env.certificate.key_path, "-out", archive])
    with open(target, "wb") as f:
        timed(["unzip", "-p", archive], stdout=f)
    try:
        return sample([target])
    finally:
        remove([archive, target])


def check_copy(site, select, rows, columns):
    """Reads what psql writes; gives its bytes."""
    lines, size = 0, 0
    with subprocess.Popen(copy_command(site, select), env=environment(), stdout=subprocess.PIPE) as psql:
        for line in psql.stdout:
            # A tab or the end of a line in a value is written as an escape.
            assert lines > 0 or line.count(b"\t") + 1 == columns, line
            lines += 1
            size += len(line)
    assert psql.returncode == 0 and lines == rows, f"COPY gives {lines:,} rows, not {rows:,}"
    return size


def check_same(bench, site, data_type, select):
    """Each of the three once, and what comes out; gives the rows and the bytes of one. It also warms up:
    the rounds find the table, and memory for the files, where this leaves them."""
    bench.say(f"export: checking that all do the same with {data_type}")
    with working(site) as worker:
        made = export(site, worker, "UCS", data_type)
    lines, size, ours = read_export(site, made)
    remove(made.files)
    assert lines == made.rows, f"{lines:,} lines of {made.rows:,} rows"
    pipeline(bench, site, select)
    lines, _, theirs = read_pipeline(site)
    remove([pipeline_file(site)])
    assert lines == made.rows, f"the pipeline has {lines:,} lines of {made.rows:,} rows"
    assert ours and {key: comparable(row) for key, row in ours.items()} == \
        {key: comparable(row) for key, row in theirs.items()}, "the pipeline's values are others"
    text = check_copy(site, select, made.rows, len(next(iter(ours.values()))))
    bench.fact(f"{data_type} as JSON", f"{size / 1e6:,.0f} MB")
    bench.fact(f"{data_type} as text", f"{text / 1e6:,.0f} MB")
    assert bench.quick or (made.rows >= 1_500_000 and size >= 700e6)
    return made.rows, round(size / made.rows)


# ---- the benchmarks ----

# The same interactions with half of their columns: rows of about 500 bytes of JSON, beside 1,200.
BRIEF = ("ixnId", "status", "entityTypeId", "mediaTypeId", "typeId", "subtypeId", "ownerId", "contactId",
         "startDate", "modifiedDate", "endDate", "subject", "queueName", "allAttributes", "isSpam")

BRIEF_SQL = """
SELECT udm.register_type('UCS', 'Brief', 'ucs.interaction', 'ixnId', tenant_column => 'ccid',
                         time_column => 'startDate', subtype_column => 'entityTypeId',
                         columns => '{columns}');
SELECT udm.register_sub_type(source, 'Brief', value, 'BRIEF_' || name, label)
  FROM udm.sub_type WHERE source = 'UCS' AND type = 'Interaction';
INSERT INTO udm.role_grant (role, family, source, type)
SELECT role, family, source, 'Brief' FROM udm.role_grant WHERE source = 'UCS' AND type = 'Interaction';
"""


def demo_site(bench):
    site = BenchSite(bench, scale=QUICK_SCALE if bench.quick else SCALE)
    try:
        with site.connect() as connection:
            connection.execute(BRIEF_SQL.format(columns="{%s}" % ",".join(BRIEF)))
    except BaseException:
        site.env.close()
        raise
    return site


def demo(bench):
    """The site whose interactions both of the next exports take; it is there until all benchmarks are
    over, for it takes minutes to make."""
    return bench.keep("demo", lambda: running(demo_site(bench)))


def run_export(bench):
    site = demo(bench)

    def ours():
        made, = exports(site, 1, rows, "UCS", data_type)
        peaks.append(made.peak)
        return made.seconds

    for data_type in ("Brief", "Interaction"):
        select = query(site, data_type)
        rows, size = check_same(bench, site, data_type, select)
        what = f"{rows:,} interactions of {size:,} bytes, lines"
        peaks = []
        times, alone = bench.pairs(7, ours, lambda: copy_alone(site, select))
        bench.line("export", what, "psql COPY alone", "s", times, alone, "<= 1.1")
        times, piped = bench.pairs(2, ours, lambda: pipeline_once(bench, site, select))
        bench.line("export", what, "psql, zip, openssl", "s", times, piped, ">= 3", swap=True)
        bench.limit("export", f"{what}: most memory of the worker", "MiB", peaks, MEMORY)


def run_export_records(bench):
    site = demo(bench)
    with working(site) as worker:
        made = export(site, worker, "UCSX")
    decrypt(site, made, "--test")
    remove(made.files)
    peaks = []

    def records():
        again, = exports(site, 1, made.rows, "UCSX")
        peaks.append(again.peak)
        return again.seconds

    times, lines = bench.pairs(3, records, lambda: exports(site, 1, made.rows, "UCS")[0].seconds)
    bench.line("export-records", f"{made.rows:,} interactions, a file for each", "lines", "s", times,
               lines, "<= 4")
    bench.limit("export-records", "most memory of the worker", "MiB", peaks, MEMORY)


GROWTH_SQL = """
CREATE SCHEMA growth;
CREATE ROLE udm_reader_growth LOGIN;
GRANT USAGE ON SCHEMA growth TO udm_reader_growth;
SELECT udm.create_tenant('{centre}', 'Growth');
SELECT udm.register_source('Growth', 'DataSync', connection => 'growth');
"""

# Ten columns, about 200 bytes of JSON; the first rows of all tables are the same.
GROWTH_TABLE = """
CREATE TABLE growth.t{rows} WITH (autovacuum_enabled = off) AS
SELECT n AS id, '2024-01-01Z'::timestamptz + n * interval '1.5 s' AS created,
       'Customer ' || n AS name, (ARRAY['Rotterdam', 'Kraków', 'Łódź', 'Oslo'])[1 + n % 4] AS city,
       (n % 100000)::numeric / 100 AS amount, n % 3 = 0 AS active, (n % 1000) / 7.0::float8 AS score,
       CASE WHEN n % 5 > 0 THEN (n % 50)::int END AS visits, md5(n::text)::uuid AS code,
       CASE WHEN n % 4 > 0 THEN 'said "no" ' || n % 977 || ' times' END AS note
  FROM generate_series(1, {rows}::bigint) AS n;
GRANT SELECT ON growth.t{rows} TO udm_reader_growth;
SELECT udm.register_type('Growth', 'Of{rows}', 'growth.t{rows}', key_column => 'id',
                         tenants => ARRAY['{centre}']);
"""


def growth_site(bench, sizes):
    """A table of each size, registered as an administrator does it."""
    site = BenchSite(bench, database="empty")
    try:
        site.write_source("growth", site.dsn("udm_reader_growth"))
        with site.connect() as connection:
            connection.execute(GROWTH_SQL.format(centre=CENTRE))
            connection.execute(f'GRANT CONNECT ON DATABASE "{connection.info.dbname}" TO udm_reader_growth')
            for rows in sizes:
                connection.execute(GROWTH_TABLE.format(rows=rows, centre=CENTRE))
        site.settle()
    except BaseException:
        site.env.close()
        raise
    return site


def run_growth(bench):
    sizes = QUICK_GROWTH if bench.quick else GROWTH
    with running(growth_site(bench, sizes)) as site:
        costs, alone, peaks = ({rows: [] for rows in sizes} for _ in range(3))

        def measure(rows, times):
            """Microseconds of a row, the median of so many exports."""
            made = exports(site, times, rows, "Growth", f"Of{rows}", "DataSync")
            peaks[rows].append(made[0].peak)  # of the first one, for not all sizes have as many
            return statistics.median(one.seconds for one in made) * 1e6 / rows

        small, middle, large = sizes
        measure(large, 1)  # so that memory for the largest file has been used before
        for i in range(bench.rounds(3)):
            for rows in sizes if i % 2 == 0 else sizes[::-1]:
                costs[rows].append(measure(rows, {small: 5, middle: 3, large: 1}[rows]))
                alone[rows].append(copy_alone(site, f"SELECT * FROM growth.t{rows}", "udm_reader_growth")
                                   * 1e6 / rows)
        beside = f"{middle:,} rows"
        bench.line("growth", f"a row of {large:,}", beside, "µs", costs[large], costs[middle], "<= 1.15")
        bench.line("growth", f"a row of {small:,}", beside, "µs", costs[small], costs[middle], "<= 1.3")
        # What PostgreSQL's share of it is: a small table stays in its memory, a large one does not.
        for rows in (large, small):
            bench.line("growth", f"psql COPY alone, a row of {rows:,}", beside, "µs", alone[rows],
                       alone[middle], "")
        bench.limit("growth", f"worker's memory, {large:,} rows above {middle:,}", "MiB",
                    [max(peaks[large]) - max(peaks[middle])], "<= 2")
