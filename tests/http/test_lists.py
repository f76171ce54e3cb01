"""Lists against a model of them in Python: filters, order, pages, and lists too long to hold."""
import datetime
import json
import os
import random
import re
import socket
import subprocess

import pytest

from udmtest.env import TOP
from udmtest.operations import HOME, OTHER, World
from udmtest.process import wait_for
from udmtest.shapes import STATUSES

SEED = 20261124
WORDS = ["alpha", "Alpha Beta", "100%", "under_score", "Ünïcode", "x", "weekly EXPORT", "a\\b", "'quoted'"]
ROWS = 120


@pytest.fixture(scope="module")
def world(env):
    result = World(env)
    result.random = random.Random(SEED)
    fill(result)
    yield result
    result.close()


def fill(world):
    """Rows of every kind for both contact centres, with many equal values."""
    rng = world.random
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)

    def some(*values):
        return rng.choice(values)

    def instant():
        return some(None, start + datetime.timedelta(days=rng.randrange(5)))

    for n in range(ROWS):
        source, kind = some(("UCS", "Interaction"), ("UCS", "Contact"), ("UCSX", "Contact"),
                            ("Tables", "Note"))
        status = some(*(s for s in STATUSES if s != "SCHEDULED"))
        date_from, date_to = instant(), instant()
        common = {"source": source, "type": kind, "ccid": some(HOME, HOME, HOME, OTHER),
                  "title": rng.choice(WORDS) + some("", f" {n % 7}")}
        size = some(None, ("1 MiB", 1 << 20), ("100 MB", 10 ** 8))
        shared = {"description": some(None, "", *WORDS[:3]), "media": some([], ["email"], ["chat", "email"]),
                  "export_attachments": some(True, False), "file_split_size": size and size[0],
                  "file_split_bytes": size and size[1],
                  "created_at": start + datetime.timedelta(hours=rng.randrange(30))}
        name = some(None, f"export-{n:08d}.zip.smime")
        bounds = {"date_from": date_from, "date_to": date_to, "time_all": not (date_from or date_to)}
        window = {"run_window_from": date_from, "run_window_to": date_to,
                  "run_window_all": not (date_from or date_to)}
        job, run = world.rows.job(
            run=status, family="DataSync" if source == "Tables" else "UCS",
            suspended=some(True, False), schedule_type=some("immediately", "once", "recurring"),
            run_percent=rng.randrange(101), run_file_name=name, run_file_size=name and n % 5,
            **{"run_" + k: v for k, v in shared.items()}, **window, **bounds, **shared, **common)
        world.rows.file(run, job, ccid=common["ccid"], source=source, type=kind, size=n % 9,
                        job_title=common["title"], days=some(1, 2, 30, 0, -1),
                        created_at=shared["created_at"])


# How each list is asked for, and what its rows are in SQL: a row as the API shows it.
MILLIS = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"


def info(table, first, last, parent):
    return (f"{table}.id, {table}.type, {table}.source, {table}.title,"
            f" coalesce({table}.file_split_size, '') AS \"fileSplitSize\", r.file_name AS \"fileName\","
            f" coalesce(r.file_size, 0) AS \"fileSize\", {table}.status,"
            f" {MILLIS.format(table + '.created_at')} AS \"createdDate\","
            f" {MILLIS.format(first)} AS \"dateFrom\", {MILLIS.format(last)} AS \"dateTo\","
            f" coalesce({table}.description, '') AS description, to_json({table}.media) AS media,"
            f" CASE {table}.status WHEN 'COMPLETED' THEN 100 WHEN 'QUEUED' THEN 0 WHEN 'SUSPENDED' THEN 0"
            f" WHEN 'SCHEDULED' THEN 0 ELSE p.percent END AS progress, {parent} AS \"parentId\","
            f" {table}.export_attachments AS \"exportAttachments\","
            f" coalesce({table}.file_split_bytes, 0) AS _bytes")


MODELS = {
    "jobs": f"SELECT {info('j', 'j.date_from', 'j.date_to', '0')}, j.suspended AS _suspended,"
            " j.schedule_type AS _schedule, r.status_reason AS _reason FROM udm.job j"
            " JOIN udm.run r ON r.id = j.latest_run_id JOIN udm.run_progress p ON p.run_id = r.id"
            " WHERE j.ccid = %s",
    "runs": f"SELECT {info('r', 'r.window_from', 'r.window_to', 'r.job_id')}, r.status_reason AS _reason"
            " FROM udm.run r JOIN udm.run_progress p ON p.run_id = r.id WHERE r.ccid = %s",
    "files": "SELECT f.id, f.name, f.size, f.type, f.source, f.job_title AS \"jobTitle\","
             f" f.job_id AS \"jobId\", f.run_id AS \"historyId\", {MILLIS.format('f.created_at')} AS"
             f" \"createdDate\", {MILLIS.format('f.expires_at')} AS \"expirationDate\","
             " greatest(0, ceil(extract(epoch FROM f.expires_at - now()) / 86400))::integer AS"
             " \"remainingDays\", f.sha256, f.expires_at AS _expires FROM udm.file f WHERE f.ccid = %s",
}
PATHS = {("v10", "jobs"): "/v10/export/jobs", ("v4", "jobs"): "/v4/export/jobs",
         ("v10", "runs"): "/v10/export/history", ("v4", "runs"): "/v4/export/history",
         ("v10", "files"): "/v10/file-metadatas", ("v3", "files"): "/v3/file-metadatas"}


def model(world, kind, version, ccid=HOME):
    """All rows of a list, by id, as items; members with a leading _ are for filters and order."""
    cursor = world.rows.connection.execute(MODELS[kind] + " ORDER BY 1", [ccid])
    names = [d.name for d in cursor.description]
    items = []
    for row in cursor:
        item = dict(zip(names, row))
        if item.get("status") in ("FAILED", "CANCELLED"):
            item["statusReason"] = item["_reason"]
        if version != "v10" and "exportAttachments" in item:
            item["_attachments"] = item.pop("exportAttachments")
        items.append(item)
    return items


def shown(item):
    return {k: v for k, v in item.items() if not k.startswith("_")}


def order_key(field):
    """How an item sorts: open beginnings first, open ends last, sizes by what they mean."""
    def key(item):
        value = item.get(field)
        if field == "fileSplitSize":
            value = item["_bytes"]
        elif field == "remainingDays":
            value = item["_expires"]
        elif field == "dateFrom":
            value = value or ""
        elif field == "dateTo":
            value = value or "9"
        elif value is None:
            value = ""
        return value, item["id"]
    return key


# Filters: a parameter, values to try, and whether an item is among those that match.
def contains(member):
    return lambda item, value: value.lower() in (item[member] or "").lower()


TEXTS = ["alpha", "ALPHA", "%", "_", "ünï", "\\", "'", "no such", "x"]
FILTERS = {
    "title": (["jobs", "runs"], TEXTS, contains("title")),
    "type": (["jobs", "runs", "files"], ["note", "Interaction", "t"], contains("type")),
    "source": (["jobs", "runs", "files"], ["ucs", "UCSX", "Tab"], contains("source")),
    "scheduleType": (["jobs"], ["immediately", "once", "recurring"],
                     lambda item, value: item["_schedule"] == value),
    "suspend": (["jobs"], ["true", "false"], lambda item, value: item["_suspended"] == (value == "true")),
    "status": (["runs"], ["COMPLETED", "In Progress", "in progress", "FAILED", "suspended"],
               lambda item, value: item["status"] == value.upper().replace(" ", "_")),
    "fileName": (["runs"], ["export", "SMIME", "0000001"], contains("fileName")),
    "jobId": (["runs"], None, lambda item, value: item["parentId"] == int(value)),
    "historyId": (["files"], None, lambda item, value: item["historyId"] == int(value)),
    "jobTitle": (["files"], TEXTS, contains("jobTitle")),
    "name": (["files"], ["export-", "A"], contains("name")),
    "startDate": (["files"], ["2026-01-01", "2026-01-01T12:00:00Z", "2026-01-02T02:00:00+02:00"],
                  lambda item, value: item["createdDate"] >= utc(value)),
    "endDate": (["files"], ["2026-01-02", "2026-01-01 12:00:00Z", "2026-01-01T23:00:00-01:00"],
                lambda item, value: item["createdDate"] < utc(value)),
}
NEW_IN_V10 = {("jobs", "source"), ("runs", "source"), ("runs", "jobId"), ("files", "source"),
              ("files", "historyId")}


def utc(text):
    text = re.sub("Z$", "+00:00", text)
    when = datetime.datetime.fromisoformat(text if len(text) > 10 else text + "T00:00:00+00:00")
    return when.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def ask(world, version, kind, **params):
    answer = world.client().get(PATHS[version, kind], params=params)
    if answer.status_code == 204:
        assert kind != "files" and answer.content == b""
        return {"count": 0, "items": []}
    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert page["from"] == int(params.get("from", 0))
    assert page["size"] == int(params.get("size", 999999999))
    return page


def fields(items):
    return sorted({name for item in items for name in item
                   if not name.startswith("_") and name != "media"} | (
                       {"statusReason"} if "parentId" in items[0] else set()))


@pytest.mark.parametrize("version, kind", PATHS)
def test_everything_in_every_order(world, version, kind):
    items = model(world, kind, version)
    assert len(items) > ROWS / 2 and ask(world, version, kind)["items"] == [
        shown(i) for i in sorted(items, key=order_key("createdDate"))]
    for field in fields(items):
        for down in ("true", "false"):
            page = ask(world, version, kind, orderField=field, descAsc=down)
            expected = sorted(items, key=order_key(field), reverse=down == "true")
            assert [i["id"] for i in page["items"]] == [i["id"] for i in expected], (field, down)
            assert page["items"] == [shown(i) for i in expected] and page["count"] == len(items)


@pytest.mark.parametrize("version, kind", PATHS)
def test_random_questions(world, version, kind):
    """Filters, order and pages in combination. A version ignores what only v10 has."""
    rng = random.Random(f"{SEED} {version} {kind}")
    items = model(world, kind, version)
    usable = {name: values for name, (kinds, values, _) in FILTERS.items() if kind in kinds}
    for name in [n for n, v in usable.items() if v is None]:
        usable[name] = [str(i["parentId" if name == "jobId" else "historyId"]) for i in items[:5]] + ["1"]
    for _ in range(60):
        params = {name: rng.choice(usable[name])
                  for name in rng.sample(sorted(usable), rng.randrange(min(4, len(usable) + 1)))}
        matching = [i for i in items if all(
            FILTERS[name][2](i, value) for name, value in params.items()
            if version == "v10" or (kind, name) not in NEW_IN_V10)]
        field, down = rng.choice(fields(items)), rng.random() < 0.5
        matching.sort(key=order_key(field), reverse=down)
        params.update(orderField=field, descAsc=str(down).lower())
        start, size = rng.choice([(0, 999999999), (0, 1), (1, 3), (5, 20), (1000, 2)])
        if (start, size) != (0, 999999999):
            params.update({"from": start, "size": size})
        page = ask(world, version, kind, **params)
        assert page["count"] == len(matching), params
        assert page["items"] == [shown(i) for i in matching[start:start + size]], params


@pytest.mark.parametrize("version, kind", PATHS)
def test_pages_make_the_whole(world, version, kind):
    for field, down, size in (("createdDate", "false", 7), ("title" if kind != "files" else "jobTitle",
                                                           "true", 11)):
        whole = ask(world, version, kind, orderField=field, descAsc=down)["items"]
        pages = [ask(world, version, kind, orderField=field, descAsc=down, size=size, **{"from": n})["items"]
                 for n in range(0, len(whole) + size, size)]
        assert sum(pages, []) == whole and pages[-1] == []


def test_versions_see_the_same(world):
    for version, kind in PATHS:
        if version != "v10":
            ids = [[i["id"] for i in ask(world, v, kind)["items"]] for v in ("v10", version)]
            assert ids[0] == ids[1]


def test_the_loop_of_the_documentation(world):
    """doc/api.md shows how to go from page to page: as it stands there, but for a smaller page."""
    with open(os.path.join(TOP, "doc", "api.md"), encoding="utf-8") as f:
        loop = re.search(r"```sh\n(.*?)```", f.read(), re.DOTALL).group(1)
    assert "size=500" in loop
    client = world.client()
    program = ('set -eu\nudm() { curl -sS -H "x-api-key: $KEY" -H "Authorization: Bearer $TOKEN" "$@"; }\n'
               + loop.replace("size=500", "size=3"))
    done = subprocess.run(["bash", "-c", program], check=True, stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "UDM_URL": client.base, "KEY": client.key,
                               "TOKEN": client.token})
    whole = ask(world, "v10", "runs", status="FAILED")["items"]
    assert [json.loads(line) for line in done.stdout.splitlines()] == whole and len(whole) > 6


RENAMES = {"type": "SELECT udm.rename_type('UCS', 'Interaction', 'Call')",
           "source": "SELECT udm.rename_source('UCS', 'Calls')",
           "tenant": f"SELECT udm.rename_tenant('{HOME}', 'another-name')"}


@pytest.mark.parametrize("what", RENAMES)
def test_pages_behind_a_new_name(env, what):
    """What was found of a credential a moment ago says the old one: that is no end of the list."""
    world = World(env, prepare=lambda w: w.site.httpd.mounts.update(
        {"/keyed": ["UDMRequire key", "UDMKeyCache 5s"]}))
    try:
        made = [int(world.make("job")) for _ in range(6)]
        client = world.client("key", mount="/keyed")
        page = client.get("/v10/export/jobs?orderField=id&size=2&cursor=true").json()
        ids = [item["id"] for item in page["items"]]
        world.site.sql(RENAMES[what])
        while "next" in page:
            page = client.get("/v10/export/jobs?orderField=id&size=2", params={"after": page["next"]}).json()
            ids += [item["id"] for item in page["items"]]
        assert ids == made
    finally:
        world.close()


# Long lists

def grow(world, rows):
    """A history of so many records."""
    world.site.sql("INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, status,"
                   " created_at) SELECT n, %s, 'UCS', 'Contact', 'long ' || n, true, 'COMPLETED',"
                   " timestamptz '2026-01-01Z' + n * interval '1 second'"
                   " FROM generate_series(1, %s) n", [HOME, rows])
    world.site.sql("VACUUM ANALYZE udm.run")


@pytest.fixture
def another(env):
    result = World(env)
    yield result
    result.close()


def children(site):
    with open(f"/proc/{site.httpd.process.pid}/task/{site.httpd.process.pid}/children",
              encoding="ascii") as f:
        return f.read().split()


def resident(site):
    """What the children of httpd hold in memory of their own."""
    total = 0
    for pid in children(site):
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            for line in f:
                if line.startswith(("Private_Dirty:", "Private_Clean:")):
                    total += int(line.split()[1]) * 1024
    return total


def read_all(world, path):
    """Reads a list in pieces, without holding it; gives the number of items and its length."""
    count = length = 0
    tail = b""
    with world.client().get(path, stream=True) as answer:
        assert answer.status_code == 200 and "Content-Length" not in answer.headers
        for piece in answer.iter_content(1 << 16):
            length += len(piece)
            count += (tail + piece).count(b'"parentId":')
            tail = piece[-len(b'"parentId":') + 1:]
            last = piece[-40:]
    assert last.rstrip().endswith(b'"size":999999999}')
    return count, length


def check_long(world, rows, paths):
    read_all(world, paths[0])
    before = resident(world.site)
    for path in paths:
        count, length = read_all(world, path)
        assert count == rows
        grown = resident(world.site) - before
        print(f"{path}: {rows} rows, {length >> 20} MiB, memory of httpd grew by {grown >> 10} KiB")
        assert "UDM_SANITIZE" in os.environ or grown < 16 << 20  # a sanitizer keeps what is freed


def check_streams(world):
    """The first bytes come while the last row is not yet read, and meanwhile no connection to the
    database is held: with a pool of one another request is answered."""
    httpd, client = world.site.httpd, world.client()
    lines = httpd.dbd
    httpd.stop()
    httpd.dbd = [line for line in lines if not line.startswith(("DBDMin", "DBDKeep", "DBDMax"))] \
        + ["DBDMin 0", "DBDKeep 1", "DBDMax 1"]
    httpd.start()
    try:
        with socket.socket() as s:
            s.settimeout(60)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
            s.connect(("127.0.0.1", httpd.port))
            s.sendall((f"GET /udm/v10/export/history HTTP/1.1\r\nHost: x\r\nx-api-key: {client.key}\r\n"
                       f"Authorization: Bearer {client.token}\r\nConnection: close\r\n\r\n").encode())
            tail = s.recv(1000)
            assert tail.startswith(b"HTTP/1.1 200")
            assert client.get("/v10/export/history?size=3").json()["items"]
            # Who asks for the last row only now sees what has become of it.
            world.site.sql("UPDATE udm.run SET title = 'changed meanwhile' WHERE id = (SELECT id FROM"
                           " udm.run WHERE ccid = %s ORDER BY created_at DESC, id DESC LIMIT 1)", [HOME])
            while piece := s.recv(1 << 18):
                tail = (tail + piece)[-2000:]
            assert tail.endswith(b"0\r\n\r\n") and b"changed meanwhile" in tail
    finally:
        httpd.stop()
        httpd.dbd = lines
        httpd.start()


def check_late_commits(world):
    """A record that has the lowest id, and is committed while the list is on its way, is not in it."""
    client = world.client()
    with world.site.connect() as late, socket.socket() as s:
        late.execute("BEGIN")
        late.execute("INSERT INTO udm.run (id, job_id, ccid, source, type, title, window_all, status,"
                     " created_at) SELECT min(id) - 1, 1, %s, 'UCS', 'Contact', 'too late', true,"
                     " 'COMPLETED', '2099-01-01' FROM udm.run WHERE ccid = %s", [HOME, HOME])
        s.settimeout(60)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
        s.connect(("127.0.0.1", world.site.httpd.port))
        s.sendall((f"GET /udm/v10/export/history HTTP/1.0\r\nx-api-key: {client.key}\r\n"
                   f"Authorization: Bearer {client.token}\r\n\r\n").encode())
        text = s.recv(1000)
        assert b'"count":' in text
        late.execute("COMMIT")
        pieces = [text]
        while piece := s.recv(1 << 18):
            pieces.append(piece)
        page = json.loads(b"".join(pieces).partition(b"\r\n\r\n")[2])
        assert len(page["items"]) == page["count"]
        assert page["items"][-1]["title"] != "too late"
    again = client.get("/v10/export/history?from=1&size=1&descAsc=true").json()
    assert again["count"] == page["count"] + 1
    world.site.sql("DELETE FROM udm.run WHERE title = 'too late'")


def check_broken_off(world):
    """A client that goes away in the middle costs no more than that."""
    client = world.client()
    for _ in range(5):
        with client.get("/v10/export/history", stream=True) as answer:
            next(answer.iter_content(100))
    wait_for(lambda: world.rows.connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = 'udm-httpd'"
        " AND state <> 'idle'", [world.site.database]).fetchone()[0] == 0, 30, "the lists to end")
    assert client.get("/v10/version").status_code == 200


def test_a_long_list_is_streamed(another):
    grow(another, 30000)
    check_long(another, 30000, ["/v10/export/history", "/v10/export/history?orderField=title&descAsc=true",
                                "/v4/export/history?orderField=id&descAsc=true"])
    check_streams(another)
    check_late_commits(another)
    check_broken_off(another)


@pytest.mark.full
def test_a_million_records_are_streamed(another):
    grow(another, 1000000)
    check_long(another, 1000000, ["/v10/export/history", "/v10/export/history?orderField=id&descAsc=true"])
    check_streams(another)
