"""How many requests the API answers, beside the same operations on Fastify and on PHP-FPM.

Everything runs on this machine: PostgreSQL, one server at a time, and wrk with 32 connections that are
kept alive. Before anything is timed, all servers must give the same answers: the same bytes where they
answer, the same status where they refuse. There is no access log, and no worker that takes the jobs.

Credentials: a server may remember for KEY_CACHE seconds what it found of them, as the module does by
itself; the peers do the same. `get` is measured without that as well: each request's key is looked up
and its token's signature verified.
"""
import contextlib
import json
import os
import subprocess

import requests

from udmtest.crypto import rsa_key
from udmtest.env import EXPORTER, IWD

from bench.peers import FASTIFY, PEERS, PHP
from bench.site import BenchSite, version

HERE = os.path.dirname(os.path.abspath(__file__))
CENTRE, OTHER = "harbour-insurance", "lakeside-energy"
UDM = "mod_udm"

KEY_CACHE = 2  # seconds: what UDMKeyCache is by itself
CONNECTIONS, THREADS = 32, 2
ROUNDS = 5

# What differs between two jobs that were asked for in the same words.
PASSING = ("id", "createdDate")


# Load

def seconds(bench):
    """How long one measurement takes."""
    return 2 if bench.quick else 5


def credentials(site, ccid=CENTRE, **more):
    """The headers of a good request."""
    return {"x-api-key": site.key(ccid), "Authorization": "Bearer " + site.env.tokens.token(ccid), **more}


def lua(value):
    """A value of JSON as Lua writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{lua(k)}] = {lua(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(map(lua, value)) + "}"
    return "nil" if value is None else json.dumps(value)


def load(bench, site, url, paths, method="GET", headers=None, body=None, connections=CONNECTIONS,
         times=1):
    """How many requests a server answers, and in what time, each of them well. `url` ends in the mount; `times`: how
    much longer than usual it takes."""
    mount = url[url.index("/", len("http://")):]
    plan = os.path.join(site.directory, "plan.lua")
    with open(plan, "w", encoding="utf-8") as f:
        f.write("return " + lua({"method": method, "headers": headers or credentials(site), "body": body,
                                 "paths": [mount + path for path in paths]}) + "\n")
    done = subprocess.run(
        ["wrk", f"-t{THREADS}", f"-c{connections}", f"-d{times * seconds(bench)}s", "--timeout", "30s",
         "-s", os.path.join(HERE, "load.lua"), url, "--", plan], check=True, stdout=subprocess.PIPE, text=True)
    result = json.loads(done.stdout.strip().splitlines()[-1])
    wrong = {name: result[name] for name in ("connect", "read", "write", "status", "timeout") if result[name]}
    assert not wrong and result["requests"], f"{method} {url}{paths[0]}: not every answer was good: {result}"
    return result


def rate(result):
    return result["requests"] / result["seconds"]


def in_turn(bench, measures):
    """Each server's figures, a list for each: all in every round, and in each round another one first.
    A first round, of one measurement each, only warms up."""
    names = list(measures)
    figures = {name: [] for name in names}
    for name in names:
        measures[name]()
    for i in range(bench.rounds(ROUNDS)):
        for name in names[i % len(names):] + names[:i % len(names)]:
            figures[name].append(measures[name]())
    return figures


def compare(bench, name, what, measures, wanted):
    """Measures all servers and adds a line for each peer; `wanted` by the names of the peers."""
    figures = in_turn(bench, measures)
    for peer in measures:
        if peer != UDM:
            bench.line(name, what, peer, "requests/s", figures[UDM], figures[peer], wanted[peer])


@contextlib.contextmanager
def servers(bench, site, cache=KEY_CACHE):
    """The URLs of all servers, by name. Ours has a mount with the cache and one without."""
    with contextlib.ExitStack() as stack:
        urls = {UDM: site.httpd.url if cache else site.httpd.at("/uncached")}
        for name, start in PEERS:
            urls[name] = stack.enter_context(start(bench, site, cache))
        yield urls


@contextlib.contextmanager
def installation(bench):
    """A site that answers; both contact centres have data, one has a certificate."""
    bench.fact("wrk", version_of_wrk())
    with BenchSite(bench, scale="0.01") as site:
        site.httpd.mounts["/uncached"] = ["UDMKeyCache Off"]
        site.start_httpd()
        site.upload_certificate(CENTRE)
        yield site


def version_of_wrk():
    done = subprocess.run(["wrk", "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.split()[1]


# The same answers

def ask(url, path, headers, method="GET", body=None):
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url + path, headers=headers, data=body, allow_redirects=False,
                               timeout=60)


def same(urls, what, status, path, headers, **more):
    """Asks all servers; the status must be this one, and what is no error must be of the same bytes."""
    answers = {name: ask(url, path, headers, **more) for name, url in urls.items()}
    ours = answers[UDM]
    for name, answer in answers.items():
        assert answer.status_code == status, f"{what}: {name} says {answer.status_code} {answer.text}"
        # Each makes its tags of something else: of what it shows, or of the version that it has.
        assert bool(answer.headers.get("ETag")) == bool(ours.headers.get("ETag")), f"{what}: {name}'s tag"
        if status == 200:
            assert answer.content == ours.content, f"{what}: {name} says {answer.text}, not {ours.text}"
        elif status >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json" \
                and answer.json()["status"] == status, f"{what}: {name} says {answer.text}"
    return answers


def check_credentials(site, urls, path):
    """Every server refuses the same credentials, for a path that good ones may read."""
    good, tokens = credentials(site), site.env.tokens

    def bearer(ccid=CENTRE, **claims):
        return {**good, "Authorization": "Bearer " + tokens.token(ccid, **claims)}

    def key(text):
        return {**good, "x-api-key": text}
    revoked = site.new_key(CENTRE)
    site.sql("SELECT udm.revoke_api_key(%s)", [revoked])
    expired = site.new_key(CENTRE, expires_at="2020-01-01")
    digit = "0" if good["x-api-key"][-1] != "0" else "1"
    signed = good["Authorization"]
    forged = signed[:-4] + ("AAAA" if signed[-4:] != "AAAA" else "BBBB")
    hour = 3600
    for what, status, headers in (
            ("good credentials", 200, good),
            ("no credentials", 401, {}),
            ("a key alone", 401, {"x-api-key": good["x-api-key"]}),
            ("a token alone", 401, {"Authorization": signed}),
            ("a key that is none", 401, key("udm_1_2")),
            ("a wrong secret", 401, key(good["x-api-key"][:-1] + digit)),
            ("an unknown key", 401, key("udm_" + "0" * 12 + "_" + "0" * 64)),
            ("a revoked key", 401, key(revoked)),
            ("an expired key", 401, key(expired)),
            ("a forged signature", 401, {**good, "Authorization": forged}),
            ("rubbish for a token", 401, {**good, "Authorization": "Bearer x.y.z"}),
            ("another's signature", 401, bearer(key=rsa_key())),
            ("an expired token", 401, bearer(lifetime=-hour)),
            ("a token for later", 401, bearer(nbf=4102444800)),
            ("a token without an end", 401, bearer(omit=["exp"])),
            ("a token of no tenant", 403, bearer(omit=["contact_center_id"])),
            ("a token of another tenant", 403, bearer(OTHER)),
            ("good ones again", 200, good)):
        same(urls, what, status, path, headers)


# get

def add_jobs(site):
    """Jobs in every state, put straight into the database; gives the ids of this tenant's that the
    exporter's role may read, of one beyond that role, and of one of another tenant's."""
    def job(ccid=CENTRE, source="UCS", data_type="Interaction", status="COMPLETED", run=True, **more):
        values = {"ccid": ccid, "family": "UCS", "source": source, "type": data_type, "title": "a job",
                  "time_all": True, "schedule_type": "immediately", "schedule": "{}", "status": status, **more}
        made = insert("job", values)
        if run:
            ended = status in ("COMPLETED", "FAILED", "CANCELLED")
            record = insert("run", {
                "job_id": made, "ccid": ccid, "source": source, "type": data_type, "title": values["title"],
                "window_all": True, "status": status, "finished_at": "now" if ended else None,
                "status_reason": "the disk was full" if status == "FAILED" else None,
                "file_name": f"export-{made}.zip.smime" if status == "COMPLETED" else None,
                "file_size": 123456 if status == "COMPLETED" else None})
            site.sql("INSERT INTO udm.run_progress (run_id, percent) VALUES (%s, 42)", [record])
            site.sql("UPDATE udm.job SET latest_run_id = %s WHERE id = %s", [record, made])
        return made

    def insert(table, values):
        marks = ", ".join(["%s"] * len(values))
        return site.sql(f"INSERT INTO udm.{table} ({', '.join(values)}) VALUES ({marks}) RETURNING id",
                        list(values.values()))[0][0]
    mine = [job(title=f"Wöchentlicher Export / \"{i}\" \\ 日本", description=None if i % 2 else "für alle")
            for i in range(50)]
    mine += [job(status=status) for status in ("FAILED", "CANCELLED", "IN_PROGRESS", "QUEUED")]
    mine += [job(status="CANCELLED", run=False), job(status="SCHEDULED", run=False),
             job(time_all=False, date_from="2026-01-01 00:00:00.123456+00", date_to="2026-02-01 00:00+00",
                 media=["email", "chat"], export_attachments=True, file_split_size="10 MB")]
    return mine, job(data_type="Contact"), job(ccid=OTHER)


def check_get(site, urls, mine, other_type, foreign):
    good = credentials(site)
    paths = {job: f"/v10/export/jobs/{job}" for job in (*mine, other_type, foreign)}
    for job in mine:
        same(urls, f"job {job}", 200, paths[job], good)
    for name, url in urls.items():
        tag = ask(url, paths[mine[0]], good).headers["ETag"]
        same({UDM: url}, f"{name}'s tag that is still good", 304, paths[mine[0]], {**good, "If-None-Match": tag})
    same(urls, "another tenant's job", 404, paths[foreign], good)
    same(urls, "no job", 404, "/v10/export/jobs/999999999", good)
    same(urls, "no id", 400, "/v10/export/jobs/x", good)
    # What key and token have in common counts, and neither alone.
    weak = {"x-api-key": site.new_key(CENTRE, roles=[IWD])}
    same(urls, "a key without the role", 404, paths[mine[0]], {**good, **weak})
    weak = {"Authorization": "Bearer " + site.env.tokens.token(CENTRE, roles=[IWD])}
    same(urls, "a token without the role", 404, paths[mine[0]], {**good, **weak})
    site.sql("INSERT INTO udm.role (name) VALUES ('bench') ON CONFLICT DO NOTHING")
    site.sql("INSERT INTO udm.role_grant (role, source, type) VALUES ('bench', 'UCS', 'Interaction')"
             " ON CONFLICT DO NOTHING")
    weak = {"x-api-key": site.new_key(CENTRE, roles=["*"]),
            "Authorization": "Bearer " + site.env.tokens.token(CENTRE, roles=["bench"])}
    same(urls, "a token for another type", 404, paths[other_type], {**good, **weak})
    same(urls, "a token for this type", 200, paths[mine[0]], {**good, **weak})
    check_credentials(site, urls, paths[mine[0]])


def run_get(bench):
    with installation(bench) as site:
        mine, other_type, foreign = add_jobs(site)
        site.settle()
        paths = [f"/v10/export/jobs/{job}" for job in mine]
        for cache, what in ((KEY_CACHE, f"a job, credentials remembered for {KEY_CACHE} s"),
                            (0, "a job, credentials verified each time")):
            with servers(bench, site, cache) as urls:
                check_get(site, urls, mine, other_type, foreign)
                compare(bench, "get", what,
                        {name: lambda url=url: rate(load(bench, site, url, paths))
                         for name, url in urls.items()},
                        {FASTIFY: ">= 1.6", PHP: ">= 2"})


# list

ADD_RUNS = """
INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, status, file_name, file_size, row_count,
                     created_at, scheduled_at, ready_at, started_at, finished_at, status_reason, attempt)
SELECT 1 + n / 100, %(ccid)s, 'UCS', CASE WHEN n %% 3 = 0 THEN 'Contact' ELSE 'Interaction' END,
       'Nightly export ' || n / 100, true, CASE WHEN n %% 20 = 0 THEN 'FAILED' ELSE 'COMPLETED' END,
       CASE WHEN n %% 20 > 0 THEN 'export-' || gen_random_uuid() || '.zip.smime' END,
       CASE WHEN n %% 20 > 0 THEN 1000000 + n END, 5000 + n, t, t, t, t, t + interval '1 minute',
       CASE WHEN n %% 20 = 0 THEN 'the source did not answer' END, 1
  FROM (SELECT n, now() - interval '1 minute' * (%(count)s - n) AS t
          FROM generate_series(1, %(count)s) n) x
"""


def add_runs(site, ccid, count):
    """A history of many years. Nothing listens, so the triggers that wake a worker are left out."""
    with site.connect() as connection:
        connection.execute("ALTER TABLE udm.run DISABLE TRIGGER run_notify_insert")
        connection.execute(ADD_RUNS, {"ccid": ccid, "count": count})
        connection.execute("ALTER TABLE udm.run ENABLE TRIGGER run_notify_insert")
        connection.execute("INSERT INTO udm.run_progress (run_id, percent, rows_done) SELECT id, 100, row_count"
                           " FROM udm.run WHERE ccid = %s", [ccid])


def run_list(bench):
    many, few = (1_000, 100) if bench.quick else (1_000_000, 100)
    deep = many * 9 // 10
    with installation(bench) as site:
        add_runs(site, CENTRE, many)
        add_runs(site, OTHER, few)
        site.settle()
        with servers(bench, site) as urls:
            # A peer computes 900,000 rows for the deep page, which takes it seconds: of 32 at once none would
            # be answered in time.
            pages = (("first page of 50, out of", many, CENTRE, "/v10/export/history?size=50", ">= 2",
                      CONNECTIONS),
                     ("first page of 50, out of", few, OTHER, "/v10/export/history?size=50", ">= 2",
                      CONNECTIONS),
                     (f"from={deep}, 50, out of", many, CENTRE, f"/v10/export/history?from={deep}&size=50",
                      ">= 1", THREADS))
            for what, count, ccid, path, wanted, connections in pages:
                answers = same(urls, what, 200, path, credentials(site, ccid))
                page = answers[UDM].json()
                assert page["count"] == count and len(page["items"]) == 50, page
                check_credentials(site, urls, path)
                times = 4 if connections == THREADS else 1
                compare(bench, "list", f"{what} {count:,}",
                        {name: lambda url=url: rate(load(bench, site, url, [path], connections=connections,
                                                         headers=credentials(site, ccid), times=times))
                         for name, url in urls.items()}, {FASTIFY: wanted, PHP: wanted})


# auth

def build_trust(bench, site):
    """Builds the module that takes everybody for the same principal; see trust.c."""
    target = os.path.join(site.directory, "mod_udm_trust.so")
    words = subprocess.run(["pkg-config", "--cflags", "apr-1", "apr-util-1", "jansson", "libpq"],
                           check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    include = subprocess.run(["apxs", "-q", "INCLUDEDIR"], check=True, stdout=subprocess.PIPE,
                             text=True).stdout.strip()
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-D_GNU_SOURCE", f"-I{include}",
                    f"-I{os.path.join(bench.top, 'mod_udm')}", *words, os.path.join(HERE, "trust.c"),
                    "-o", target], check=True)
    return target


def run_auth(bench):
    with BenchSite(bench, scale="0.01") as site:
        bench.fact("wrk", version_of_wrk())
        rights = site.sql("SELECT source, type FROM udm.rights(ARRAY[%s, %s], %s)", [EXPORTER, IWD, CENTRE])
        site.httpd.server.append(f"LoadModule udm_trust_module {build_trust(bench, site)}")
        site.httpd.mounts["/trusted"] = [f"UDMTrust {CENTRE} \"{source}/{data_type}\""
                                         for source, data_type in rights]
        site.httpd.mounts["/uncached"] = ["UDMKeyCache Off"]
        site.start_httpd()
        mine, _, foreign = add_jobs(site)
        site.settle()
        paths = [f"/v10/export/jobs/{job}" for job in mine]
        trusted = site.httpd.at("/trusted")
        for path in paths:
            open_answer = ask(trusted, path, {})
            assert open_answer.status_code == 200, open_answer.text
            assert open_answer.content == ask(site.httpd.url, path, credentials(site)).content
        assert ask(trusted, f"/v10/export/jobs/{foreign}", {}).status_code == 404
        figures = in_turn(bench, {mount: lambda url=site.httpd.at(mount): rate(load(bench, site, url, paths))
                                  for mount in (site.httpd.mount, "/trusted", "/uncached")})
        for mount, what, wanted in ((site.httpd.mount, f"a job, credentials remembered for {KEY_CACHE} s",
                                     ">= 0.85"),
                                    ("/uncached", "a job, credentials verified each time", "")):
            bench.line("auth", what, "the same, nothing checked", "requests/s", figures[mount],
                       figures["/trusted"], wanted)


# post

JOB = {"source": "UCS", "type": "UCS", "title": "?", "timeFrame": {"dateFrom": "2026-01-01",
       "dateTo": "2026-02-01T00:00:00Z"}, "schedulerParam": {"immediately": True},
       "jobParams": {"type": "Interaction", "media": [], "exportAttachments": True, "fileSplitSize": "100 MB"},
       "suspended": False}

LATER = "2090-01-01T00:00:00Z"

# Everything that a POST writes, but ids and times.
ROWS = """
SELECT j - ARRAY['id', 'created_at', 'changed_at', 'schedule_since', 'latest_run_id', 'made_in'],
       r - ARRAY['id', 'job_id', 'created_at', 'scheduled_at', 'ready_at', 'made_in'], p - ARRAY['run_id'],
       a - ARRAY['id', 'at', 'object']
  FROM (SELECT id, latest_run_id, to_jsonb(j) AS j FROM udm.job j) j
  LEFT JOIN (SELECT id, to_jsonb(r) AS r FROM udm.run r) r ON r.id = j.latest_run_id
  LEFT JOIN (SELECT run_id, to_jsonb(p) AS p FROM udm.run_progress p) p ON p.run_id = r.id
  LEFT JOIN (SELECT object, to_jsonb(a) AS a FROM udm.audit a WHERE action = 'job.create') a
       ON a.object = j.id::text
 WHERE j.id = %s
"""


def check_post(site, urls):
    """All servers take the same jobs, write the same rows, and refuse the same jobs."""
    path, good = "/v10/export/jobs", credentials(site, **{"Content-Type": "application/json"})

    def post(what, status, headers=good, params=None, **more):
        job = {**JOB, "jobParams": {**JOB["jobParams"], **(params or {})}, **more}
        job = {name: value for name, value in job.items() if value is not None}
        return same(urls, what, status, path, headers, method="POST", body=json.dumps(job).encode())
    for what, more in (
            ("a job", {}), ("an alias", {"source": "Contact History"}),
            ("media", {"params": {"media": ["EMAIL", "chat", "email"], "exportAttachments": False}}),
            ("a suspended job", {"suspended": True, "title": "später", "description": "\"quoted\""}),
            ("a job for later", {"schedulerParam": {"startDate": LATER}}),
            ("all rows", {"timeFrame": {"all": True}}), ("no frame", {"timeFrame": {}, "schedulerParam": {}})):
        # The same request id, so that the audit's is the same.
        answers = post(what, 202, {**good, "X-Request-Id": "bench"}, **more)
        bodies = {name: {k: v for k, v in answer.json().items() if k not in PASSING}
                  for name, answer in answers.items()}
        rows = {name: site.sql(ROWS, [answer.json()["id"]]) for name, answer in answers.items()}
        for name in urls:
            assert bodies[name] == bodies[UDM], f"{what}: {name} says {bodies[name]}, not {bodies[UDM]}"
            assert list(answers[name].json()) == list(answers[UDM].json()), f"{what}: {name}"
            assert without_now(rows[name]) == without_now(rows[UDM]), \
                f"{what}: {name} wrote {rows[name]}, not {rows[UDM]}"
            location = answers[name].headers["Location"]
            assert location == f"{urls[name]}{path}/{answers[name].json()['id']}", location
            assert answers[name].headers["ETag"], name
    post("an unknown source", 400, source="nothing")
    post("an unknown type", 400, params={"type": "nothing"})
    post("the wrong family", 400, type="DataSync")
    post("an unknown medium", 400, params={"media": ["pigeon"]})
    post("no title", 400, title=None)
    post("a title of blanks", 400, title=" ")
    post("a title that is too long", 400, title="x" * 256)
    post("a control character", 400, title="a\tb")
    post("a time frame that ends first", 400, timeFrame={"dateFrom": "2026-02-01", "dateTo": "2026-01-01"})
    post("a number for a string", 400, title=7)
    post("a word for a boolean", 400, suspended="false")
    post("parts that are too small", 400, params={"fileSplitSize": "1"})
    post("no certificate", 400, {**good, **credentials(site, OTHER)})
    post("a key without the role", 403, {**good, "x-api-key": site.new_key(CENTRE, roles=[IWD])})
    same(urls, "no JSON", 400, path, good, method="POST", body=b"{")
    same(urls, "nobody", 401, path, {"Content-Type": "application/json"}, method="POST", body=b"{}")


def without_now(rows):
    """Without the times that are those of the request: the end of a run up to now, and when it is due."""
    [[job, run, progress, audit]] = rows
    if job["schedule"] != {"startDate": LATER}:
        job = {**job, "next_run_at": job["next_run_at"] is None}
    if run and not run["window_all"] and run["window_from"] is None:
        run = {**run, "window_to": run["window_to"] is None}
    return job, run, progress, audit


def run_post(bench):
    before, after = json.dumps(JOB).split("?")
    history = 1_000 if bench.quick else 100_000
    with installation(bench) as site:
        # PostgreSQL looks up what a row refers to by a plan of each connection. One that was made while
        # the table was all but empty reads all of it each time, until autovacuum comes by.
        add_runs(site, CENTRE, history)
        site.settle()
        with servers(bench, site) as urls:
            check_post(site, urls)
            site.settle()

            def measure(url):
                jobs = site.sql("SELECT count(*) FROM udm.job")[0][0]
                result = load(bench, site, url, ["/v10/export/jobs"], "POST",
                              credentials(site, **{"Content-Type": "application/json"}), [before, after])
                made = site.sql("SELECT count(*) FROM udm.job")[0][0] - jobs
                # What was under way when time was up may be stored as well.
                assert 0 <= made - result["requests"] <= 2 * CONNECTIONS, (made, result)
                return rate(result)
            compare(bench, "post", f"a job is created, after {history:,} runs",
                    {name: lambda url=url: measure(url) for name, url in urls.items()},
                    {FASTIFY: ">= 1.5", PHP: ">= 1.5"})
