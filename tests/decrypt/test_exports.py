"""Exports as the real worker makes them, through the API: whole and in parts, both layouts, with
attachments, and empty."""
import hashlib
import json
import os
import shutil
import subprocess
import zipfile

import pytest

from udmtest.crypto import smime_decrypt
from udmtest.site import Site

from decrypt.conftest import Decrypt
from decrypt.making import MANIFEST


@pytest.fixture(scope="module")
def demo(env):
    result = Site(env)
    result.start_httpd()
    result.upload_certificate()
    result.start_worker()
    yield result
    result.close()


class Fetched:
    """An export and its files as a customer has them after the download."""

    def __init__(self, demo, directory, **job):
        client = demo.client()
        self.job = client.create_job(**job)
        self.run = client.wait_job(self.job["id"], timeout=120)
        self.files, self.sums = [], []
        for file in client.files(self.run["id"]):
            path = os.path.join(directory, file["name"])
            shutil.move(client.download(file["name"], directory), path)
            self.files.append(path)
            self.sums += ["--sha256", file["sha256"]]


@pytest.fixture
def program(env, tmp_path):
    return Decrypt(tmp_path, env.certificate)


JOBS = {
    "lines": {"source": "UCS"},
    "lines and attachments": {"source": "UCS", "attachments": True},
    "records and attachments": {"source": "UCSX", "attachments": True},
    "empty": {"source": "UCS", "time_frame": {"dateFrom": "1990-01-01", "dateTo": "1990-01-02"}},
    "parts": {"source": "UCS", "attachments": True, "split": "64KiB"},
    "records in parts": {"source": "UCSX", "attachments": True, "split": "70000"},
}


@pytest.mark.parametrize("name", JOBS)
def test_round_trip(demo, program, name):
    export = Fetched(demo, program.directory, **JOBS[name])
    assert (len(export.files) > 2) == ("split" in JOBS[name])
    done = program.good("-o", "out", *export.sums, *export.files)
    assert "not proven" not in done.stderr
    found = program.tree("out")
    manifest = json.loads(found.pop(MANIFEST))
    assert {e["name"]: e["sha256"] for e in manifest["entries"]} == \
        {n: hashlib.sha256(c).hexdigest() for n, c in found.items()}
    assert (manifest["jobId"], manifest["runId"]) == (export.job["id"], export.run["id"])
    rows = sum(content.count(b"\n") for content in found.values())
    assert (rows == 0) == (name == "empty")

    listed = program.good("--list", *export.files).stdout.splitlines()[1:]
    assert [line.split() for line in listed] == \
        [[str(e["size"]), str(e["rows"]), e["name"]] for e in manifest["entries"]]

    program.good("--zip", "out.zip", *reversed(export.files))
    for command in (["unzip", "-tqq"], ["7z", "t", "-bd"], ["bsdtar", "-xOf"]):
        tool = subprocess.run([*command, program.path("out.zip")], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        assert tool.returncode == 0 and tool.stderr == b"", tool.stderr[-2000:]
    with zipfile.ZipFile(program.path("out.zip")) as z:
        assert z.namelist() == [e["name"] for e in manifest["entries"]] + [MANIFEST]
        assert all(z.read(n) == c for n, c in found.items())


def test_the_same_as_stock_tools(demo, program):
    """One archive in one piece is, byte for byte, what openssl smime -decrypt gives."""
    export = Fetched(demo, program.directory, source="UCS")
    smime_decrypt(program.certificate.key_path, export.files[0], program.path("stock.zip"))
    program.good("--zip", "out.zip", *export.files)
    assert program.read("out.zip") == program.read("stock.zip")


def test_parts_one_by_one(demo, program):
    """Each part missing, and the first bytes of each changed."""
    export = Fetched(demo, program.directory, source="UCS", attachments=True, split="64KiB")
    for n, path in enumerate(export.files):
        others = export.files[:n] + export.files[n + 1:]
        program.bad("-o", "out", *others, words="missing" if len(others) > 1 else "")
    for path in export.files[:3] + export.files[-1:]:
        whole = program.read(path)
        with open(path, "wb") as f:
            f.write(whole[:-200] + whole[-100:])
        program.bad("-o", "out", *export.files)
        with open(path, "wb") as f:
            f.write(whole)
    program.good("-o", "out", *export.files)
