"""An export beyond 5 GB, with an entry beyond 4 GiB: made, fetched in pieces, joined, decrypted and
compared, in little memory."""
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from udmtest.crypto import Certificate
from udmtest.process import wait_for
from udmtest.site import CENTRES, Site

GIB = 1 << 30
NEEDED = 30 * GIB  # of disk: the files, what they are made from, and what is made of them
LIMIT = 32 << 20   # of memory
# Text of 6 bits a character, which deflate cannot make smaller than 6/8, and which does not come
# again within its window.
ROW = 256 << 10
ROWS = 17_900
CONTENT = 2 << 20
ATTACHMENTS = 180
SPLIT = "512MiB"
BLOCKS = 64

# A row is made of a stored block as it is read, so that the database stays small.
SCHEMA = f"""
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE SCHEMA large;
CREATE FUNCTION large.noise(bytes integer) RETURNS bytea LANGUAGE sql VOLATILE AS
    $$ SELECT string_agg(public.gen_random_bytes(1024), NULL) FROM generate_series(1, bytes / 1024) $$;
CREATE TABLE large.block (k integer PRIMARY KEY, words text);
ALTER TABLE large.block ALTER words SET STORAGE EXTERNAL;
INSERT INTO large.block SELECT k, translate(encode(large.noise({ROW} / 4 * 3), 'base64'), E'\\n', '')
  FROM generate_series(0, {BLOCKS} - 1) k;
CREATE VIEW large.rows AS
    SELECT n AS id, '{CENTRES[0]}'::text AS ccid, n || ' ' || b.words AS words
      FROM generate_series(1, {{rows}}) n JOIN large.block b ON b.k = n % {BLOCKS};
CREATE TABLE large.document (id integer PRIMARY KEY, ccid text, entity integer, name text, mime text,
                             content bytea);
ALTER TABLE large.document ALTER content SET STORAGE EXTERNAL;
CREATE INDEX ON large.document (entity);
INSERT INTO large.document
    SELECT n, '{CENTRES[0]}', n * 7, n || '.bin', 'application/octet-stream', large.noise({CONTENT})
      FROM generate_series(1, {{attachments}}) n;
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'udm_test_large') THEN
        CREATE ROLE udm_test_large LOGIN;
    END IF;
END $$;
GRANT USAGE ON SCHEMA large TO udm_test_large;
GRANT SELECT ON ALL TABLES IN SCHEMA large TO udm_test_large;
SELECT udm.register_source('UCS', 'UCS', 'lines', connection => 'large');
SELECT udm.register_type('UCS', 'Interaction', 'large.rows', 'id', tenant_column => 'ccid');
SELECT udm.register_attachments('UCS', 'Interaction', 'large.document', 'id', 'entity', 'name',
                                'mime', 'content', tenant_column => 'ccid');
"""

MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


class Large(Site):
    """The site, and a directory in which a customer works."""

    def __init__(self, env, rows, attachments):
        super().__init__(env, "empty")
        self.rows, self.attachments = rows, attachments
        self.customer = env.make_directory(self.name, "customer")
        self.sql("SELECT udm.create_tenant(%s)", [CENTRES[0]])
        with self.connect() as connection:
            connection.execute(SCHEMA.format(rows=rows, attachments=attachments))
        self.write_source("large", env.postgres.dsn(self.database, "udm_test_large"))
        self.certificate = Certificate(self.customer)
        self.start_httpd()
        self.upload_certificate(certificate=self.certificate)

    def end(self):
        """Of what takes room nothing stays on the disk, whatever happened."""
        self.close()
        self.env.postgres.drop_database(self.database)
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.rmtree(self.customer)

    def decrypt(self, *args):
        """Runs udm-decrypt; gives the most memory that it took, in bytes."""
        program = [os.path.join(self.env.build, "udm-decrypt"), "-k", self.certificate.key_path]
        done = subprocess.run([sys.executable, "-S", "-c", MEASURE, *program, *args], cwd=self.customer,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stderr
        return int(re.search(r"^peak (\d+)$", done.stdout, re.M)[1]) << 10


class Watch:
    """Says how long each step took."""

    def __init__(self):
        self.steps, self.begin = [], time.monotonic()

    def step(self, name):
        now = time.monotonic()
        self.steps.append(f"{name} {now - self.begin:.0f} s")
        self.begin = now


def digest_of(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def fetch_resumed(client, name, path, size):
    """curl, killed on the way, and another that goes on from there."""
    curl = ["curl", "-sSf", "--noproxy", "*", "-o", path]
    begun = subprocess.Popen([*curl, "--limit-rate", "20M", client.link(name)])
    wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > size // 3, 300,
             "a part of the file", 0.02)
    begun.kill()
    begun.wait()
    assert os.path.getsize(path) < size
    subprocess.run([*curl, "--continue-at", "-", client.link(name)], check=True)


def fetch_pieces(client, name, path, size):
    """Three ranges, of which the last comes first."""
    piece = size // 3
    with open(path, "wb") as f:
        for begin, end in ((2 * piece, size - 1), (0, piece - 1), (piece, 2 * piece - 1)):
            f.seek(begin)
            with client.get(client.link(name), stream=True,
                            headers={"Range": f"bytes={begin}-{end}"}) as answer:
                assert answer.status_code == 206
                assert answer.headers["Content-Range"] == f"bytes {begin}-{end}/{size}"
                for block in answer.iter_content(1 << 20):
                    f.write(block)


def fetch_all(large, client, files):
    """Fetches every file, in one way or the other, and compares it with what the API says of it."""
    paths = []
    for number, file in enumerate(files):
        path = os.path.join(large.customer, file["name"])
        if number == 1:
            fetch_resumed(client, file["name"], path, file["size"])
        elif number == 2:
            fetch_pieces(client, file["name"], path, file["size"])
        else:
            shutil.move(client.download(file["name"], large.customer), path)
        assert (os.path.getsize(path), digest_of(path)) == (file["size"], file["sha256"])
        paths.append(path)
    return paths


def compare(large, folder, job):
    """Every row and every attachment, by its SHA-256, with those of the database."""
    wanted = dict(large.sql("SELECT id, sha256(convert_to(words, 'UTF8')) FROM large.rows"))
    assert len(wanted) == large.rows
    with open(os.path.join(folder, f"Interaction-{job}.json"), "rb") as f:
        for line in f:
            row = json.loads(line)
            assert hashlib.sha256(row["words"].encode()).digest() == wanted.pop(row["id"])
    assert not wanted
    wanted = dict(large.sql("SELECT id::text, sha256(content) FROM large.document"))
    assert len(wanted) == large.attachments
    with open(os.path.join(folder, f"Interaction-Attachment-{job}.json"), "rb") as f:
        for line in f:
            row = json.loads(line)
            assert hashlib.sha256(base64.b64decode(row["content"])).digest() == wanted.pop(row["id"])
    assert not wanted


def go_through(env, figures, rows, attachments, split):
    """From the job to the compared data; gives the sizes: of all files, of the largest entry."""
    large, watch = Large(env, rows, attachments), Watch()
    try:
        worker = large.start_worker()
        client = large.client()
        job = client.create_job(attachments=True, split=split, title="large")
        run = client.wait_job(job["id"], timeout=3600)
        watch.step("export")
        peaks = {"udm-worker": worker.memory_peak()}
        assert large.sql("SELECT row_count, attempt FROM udm.run WHERE id = %s", [run["id"]])[0][1] == 1
        files = client.files(run["id"])
        paths = fetch_all(large, client, files)
        total = sum(file["size"] for file in files)
        worker.stop()
        shutil.rmtree(large.store)
        watch.step("download")
        peaks["udm-decrypt -o"] = large.decrypt("-o", "out", *paths)
        watch.step("udm-decrypt -o")
        folder = os.path.join(large.customer, "out")
        largest = max(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))
        compare(large, folder, job["id"])
        shutil.rmtree(folder)
        watch.step("comparison")
        peaks["udm-decrypt --zip"] = large.decrypt("--zip", "out.zip", *reversed(paths))
        for path in paths:
            os.unlink(path)
        watch.step("udm-decrypt --zip")
        archive = os.path.join(large.customer, "out.zip")
        for tool in (["7z", "t", "-bd", archive], ["unzip", "-tqq", archive]):
            subprocess.run(tool, check=True, stdout=subprocess.DEVNULL)
            watch.step(" ".join(tool[:2]))
        figures(f"large export: {len(files)} files, {total / 1e9:.2f} GB, largest entry"
                f" {largest / GIB:.2f} GiB, archive {os.path.getsize(archive) / GIB:.2f} GiB;"
                f" {', '.join(watch.steps)}; peaks: "
                + ", ".join(f"{name} {peak / (1 << 20):.1f} MiB" for name, peak in peaks.items()))
        return total, largest, peaks, len(files)
    finally:
        large.end()


@pytest.mark.full
def test_beyond_five_gigabytes(env, figures):
    free = shutil.disk_usage(env.directory).free
    if free < NEEDED:
        pytest.skip(f"{free / GIB:.0f} of {NEEDED / GIB:.0f} GiB of disk are free at {env.directory}")
    total, largest, peaks, count = go_through(env, figures, ROWS, ATTACHMENTS, SPLIT)
    assert total > 5e9 and largest > 4 * GIB and count >= 9
    if not os.environ.get("UDM_SANITIZE"):
        assert all(peak <= LIMIT for peak in peaks.values()), peaks
