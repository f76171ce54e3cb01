"""Exports as the real worker makes them, through the API: whole and in parts, both layouts, with
attachments, and empty."""
import hashlib
import json
import os
import random
import shutil
import subprocess
import zipfile

import pytest

from udmtest.crypto import Certificate, cms_decrypt, ec_key, smime_decrypt
from udmtest.site import Site

from decrypt.conftest import Decrypt
from decrypt.making import MANIFEST


@pytest.fixture(scope="module")
def demo(env):
    result = Site(env)
    result.httpd.mounts = {"/modern": ["UDMEncryption cms-gcm"]}
    result.start_httpd()
    result.upload_certificate()
    result.start_worker()
    yield result
    result.close()


class Fetched:
    """An export and its files as a customer has them after the download."""

    def __init__(self, demo, directory, mount=None, **job):
        client = demo.client(mount=mount)
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


@pytest.fixture(scope="module")
def ec_program(env, demo):
    """For a customer with an EC key, whose certificate stands in for the other one."""
    certificate = Certificate(env.make_directory("keys"), "ec", key=ec_key("P-384"))

    def make(directory):
        answer = demo.client(mount="/modern").upload_certificate(certificate.pem)
        assert answer.status_code == 201, answer.text
        return Decrypt(directory, certificate)
    yield make
    demo.upload_certificate()


# How the files are encrypted: the key, and what they are called.
WAYS = {"smime": ".smime", "cms-gcm": ".p7m", "cms-gcm for EC": ".p7m"}


@pytest.fixture(params=WAYS)
def way(request, demo, env, tmp_path, ec_program):
    """(what reads it, the mount, the end of names)"""
    ending = WAYS[request.param]
    if request.param.endswith("EC"):
        return ec_program(tmp_path), "/modern", ending
    demo.upload_certificate()
    return Decrypt(tmp_path, env.certificate), "/modern" if ending == ".p7m" else None, ending


@pytest.mark.parametrize("way, name", [(w, n) for w in WAYS for n in JOBS
                                       if w != "cms-gcm for EC" or n in ("lines", "parts")], indirect=["way"])
def test_round_trip(demo, way, name):
    program, mount, ending = way
    export = Fetched(demo, program.directory, mount, **JOBS[name])
    assert (len(export.files) > 2) == ("split" in JOBS[name])
    assert all(f.endswith(ending) for f in export.files) and export.files[-1].endswith(".zip" + ending)
    assert export.run["fileName"] == os.path.basename(export.files[-1])
    if "split" in JOBS[name]:
        most = {"64KiB": 65536}.get(JOBS[name]["split"], 70000)
        assert max(os.path.getsize(f) for f in export.files) <= most
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


def test_the_same_as_stock_tools(demo, way):
    """One archive in one piece is, byte for byte, what stock OpenSSL gives."""
    program, mount, ending = way
    export = Fetched(demo, program.directory, mount, source="UCS")
    decrypt = smime_decrypt if ending == ".smime" else cms_decrypt
    decrypt(program.certificate.key_path, export.files[0], program.path("stock.zip"))
    program.good("--zip", "out.zip", *export.files)
    assert program.read("out.zip") == program.read("stock.zip")


@pytest.mark.parametrize("way", ["smime", "cms-gcm"], indirect=True)
def test_no_volume_is_a_multiple_of_16_kib(demo, way):
    """Info-ZIP joins no others: as the decrypted parts are, zip -s 0 makes one archive of them."""
    program, mount, ending = way
    export = Fetched(demo, program.directory, mount, source="UCS", attachments=True, split="64KiB")
    decrypt = smime_decrypt if ending == ".smime" else cms_decrypt
    for path in export.files:
        volume = decrypt(program.certificate.key_path, path, path[:-len(ending)])
        assert os.path.getsize(volume) % 16384 != 0
    done = subprocess.run(["zip", "-q", "-s", "0", export.files[-1][:-len(ending)], "--out",
                           program.path("joined.zip")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    program.good("-o", "out", *export.files)
    with zipfile.ZipFile(program.path("joined.zip")) as z:
        found = program.tree("out")
        assert {n: z.read(n) for n in z.namelist()} == found


@pytest.mark.parametrize("of", ["RSA", "EC"])
def test_flipped_bits_of_cms_gcm(demo, program, ec_program, tmp_path, of):
    """Wherever a bit of the content or its tag is another, nothing gets a name; nor with the sum that
    the API gives, wherever it is."""
    demo.upload_certificate()
    if of == "EC":
        program = ec_program(tmp_path)
    export = Fetched(demo, program.directory, "/modern", source="UCS",
                     time_frame={"dateFrom": "1990-01-01", "dateTo": "1990-01-02"})
    whole, path = program.read(export.files[0]), export.files[0]
    dice = random.Random(5083)
    # What stands in front names the recipient and holds its key; then aes-256-gcm, nonce, content, tag.
    content = whole.index(bytes.fromhex("060960864801650304012e"))
    places = [content + 11, len(whole) - 7, len(whole) - 22, len(whole) - 30,
              *(dice.randrange(content + 40, len(whole)) for _ in range(25))]
    for at in places:
        with open(path, "wb") as f:
            f.write(whole[:at] + bytes([whole[at] ^ 1 << dice.randrange(8)]) + whole[at + 1:])
        program.bad("-o", "out", path)
        program.bad("--zip", "out", path)
    for at in (dice.randrange(len(whole)) for _ in range(25)):
        with open(path, "wb") as f:
            f.write(whole[:at] + bytes([whole[at] ^ 1 << dice.randrange(8)]) + whole[at + 1:])
        program.bad("-o", "out", *export.sums, path)
    with open(path, "wb") as f:
        f.write(whole)
    program.good("-o", "out", *export.sums, path)


def test_a_part_of_another_export(demo, program):
    """Each part of cms-gcm is whole by itself; that they belong together, the archive says."""
    demo.upload_certificate()
    one, two = (Fetched(demo, program.directory, "/modern", source="UCS", attachments=True, split=split)
                for split in ("64KiB", "70000"))
    program.bad("-o", "out", *one.files[:-2], two.files[-2], one.files[-1])
    shutil.copy(two.files[1], one.files[1])
    program.bad("-o", "out", *one.files)


def test_parts_one_by_one(demo, way):
    """Each part missing, and the first bytes of each changed."""
    program, mount, _ = way
    export = Fetched(demo, program.directory, mount, source="UCS", attachments=True, split="64KiB")
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
