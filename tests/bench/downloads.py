"""Downloads by signed link, beside the same files served by the same httpd as static ones.

A link's signature is checked, the file looked up and the download written to the audit table before
the first byte goes out; the file itself takes httpd's own path. There are a file of 1 GiB, which
curl fetches, and 10,000 small ones, which wrk fetches over 32 connections that are kept alive.

The files are placed in the store by the benchmark, with rows such as a worker leaves: an export of
1 GiB would take longer than all the rest. The links of the small ones are signed here, as documented;
some of them are compared with what the API gives out.
"""
import hashlib
import hmac
import os
import time
import uuid

from bench.measure import timed
from bench.requests import load, rate
from bench.site import BenchSite, version
from udmtest.files import mark_store

CENTRE = "harbour-insurance"
LARGE, QUICK_LARGE = 1 << 30, 1 << 24
FILES, QUICK_FILES = 10_000, 100
SIZE = 6000  # of an export of ten rows
PLAIN = "/plain"
STATIC = "httpd's own static file"
ROUNDS = 5


def write_file(site, name, size):
    """A file in the store; gives its hash."""
    directory = os.path.join(site.store, name[len("export-"):][:2])
    if not os.path.isdir(directory):
        os.mkdir(directory, 0o750)
        site.env.account.own(directory)
    path = os.path.join(directory, name)
    block = os.urandom(min(size, 1 << 24))
    summed = hashlib.sha256()
    with open(path, "wb") as f:
        for at in range(0, size, len(block)):
            f.write(block[:size - at])
            summed.update(block[:size - at])
    os.chmod(path, 0o640)
    site.env.account.own(path)
    return summed.hexdigest()


def place(site, sizes):
    """Files of these sizes with their jobs, runs and rows; gives their names."""
    names = [f"export-{uuid.uuid4()}.zip.smime" for _ in sizes]
    sums = [write_file(site, name, size) for name, size in zip(names, sizes)]
    site.sql(
        "WITH f AS MATERIALIZED (SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[]) f (name, size, sum)),"
        " r AS (INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, status, file_name, file_size,"
        " finished_at) SELECT nextval('udm.job_or_run_id'), %s, 'UCS', 'Interaction', 'placed', true, 'COMPLETED',"
        " name, size, now() FROM f RETURNING *),"
        " p AS (INSERT INTO udm.run_progress (run_id, percent) SELECT id, 100 FROM r)"
        " INSERT INTO udm.file (name, run_id, job_id, ccid, source, type, job_title, part, size, sha256, expires_at)"
        " SELECT f.name, r.id, r.job_id, r.ccid, r.source, r.type, r.title, 1, f.size, f.sum,"
        " now() + interval '1 day' FROM f JOIN r ON r.file_name = f.name",
        [names, sizes, sums, CENTRE])
    return names


def signed(site, name, expires):
    """The link to a file, below the mount."""
    with open(site.link_key_file, encoding="ascii") as f:
        key = bytes.fromhex(f.readline().strip())
    mac = hmac.new(key, f"GET\n{name}\n{expires}".encode(), hashlib.sha256).hexdigest()
    return f"/download/{name}?expires={expires}&signature={mac}"


def plain(name):
    return f"/{name[len('export-'):][:2]}/{name}"


def check(site, names):
    """That a link made here is the API's, and that both ways give the same file."""
    client = site.client(CENTRE)
    for name in names:
        link = client.link(name)
        expires = int(link.partition("expires=")[2].partition("&")[0])
        assert link == site.httpd.url + signed(site, name, expires), link
        ours, theirs = client.get(link), client.get(site.httpd.at(PLAIN + plain(name)))
        assert ours.status_code == theirs.status_code == 200, f"{ours.status_code}, {theirs.status_code}"
        assert ours.content == theirs.content, f"{name} differs"
        changed = client.get(link[:-1] + ("0" if link[-1] != "0" else "1"))
        assert changed.status_code == 403, changed.status_code


def audited(site):
    return site.sql("SELECT count(*) FROM udm.audit WHERE action = 'file.download'")[0][0]


def measure_large(bench, site, name, expires):
    """Seconds of curl, which throws away what it gets."""
    def fetch(url):
        return timed(["curl", "-sSf", "-o", "/dev/null", url])
    ours, theirs = site.httpd.url + signed(site, name, expires), site.httpd.at(PLAIN + plain(name))
    fetch(theirs), fetch(ours)
    a, b = bench.pairs(2 * ROUNDS - 1, lambda: fetch(ours), lambda: fetch(theirs))
    bench.line("download", f"{'16 MiB' if bench.quick else '1 GiB'}, one connection (times as fast)", STATIC, "s",
               a, b, ">= 0.95", swap=True)


def measure_small(bench, site, names, expires):
    """Requests a second; each of ours is in the audit."""
    headers = {"Accept": "*/*"}
    links, paths = [signed(site, name, expires) for name in names], [plain(name) for name in names]

    def ours():
        before = audited(site)
        result = load(bench, site, site.httpd.url, links, headers=headers)
        assert audited(site) - before >= result["requests"], "downloads are missing in the audit"
        return rate(result)

    def theirs():
        return rate(load(bench, site, site.httpd.at(PLAIN), paths, headers=headers))
    theirs(), ours()
    site.settle()
    a, b = bench.pairs(ROUNDS, ours, theirs)
    bench.line("download", f"{len(names):,} files of {SIZE:,} bytes, 32 connections", STATIC, "requests/s", a, b,
               ">= 0.5")


def run_download(bench):
    with BenchSite(bench) as site:
        site.httpd.modules.append("alias")
        site.httpd.server += [f'Alias "{PLAIN}" "{site.store}"', f'<Directory "{site.store}">',
                              "    Require all granted", "</Directory>"]
        mark_store(site)
        site.start_httpd()
        bench.fact("wrk", version("sh", "-c", "wrk -v; true"))
        bench.fact("curl", version("curl", "--version"))
        expires = int(time.time()) + 86400
        large, = place(site, [QUICK_LARGE if bench.quick else LARGE])
        small = place(site, [SIZE] * (QUICK_FILES if bench.quick else FILES))
        site.settle()
        check(site, small[:5])
        measure_large(bench, site, large, expires)
        measure_small(bench, site, small, expires)
