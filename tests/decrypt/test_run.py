"""The program itself: usage, keys, places, signals, full disks, copies in one piece, memory."""
import hashlib
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import termios
import zipfile
import zlib

import pytest

from udmtest.process import wait_for

from decrypt import making
from decrypt.making import EXPORT_ID, MANIFEST, Entry, archive, noise, some_entries, write_parts


@pytest.fixture
def files(decrypt):
    return write_parts(decrypt.directory, archive(some_entries()), decrypt.certificate)


@pytest.mark.parametrize("content, words", [
    ([b"1"], "verified: 1 file, 1 byte\n"), ([b""], "verified: 1 file, 0 bytes\n"),
    ([b"1", b"2"], "verified: 2 files, 2 bytes\n")])
def test_what_is_said_in_the_end(decrypt, content, words):
    entries = [Entry(f"{n}.json", c) for n, c in enumerate(content)]
    done = decrypt.good("--test", *write_parts(decrypt.directory, archive(entries), decrypt.certificate))
    assert done.stdout == words


def test_help_and_version(decrypt):
    done = subprocess.run([decrypt.program, "--help"], stdout=subprocess.PIPE, text=True, check=True)
    for option in re.findall(r'"(-[-a-z0-9]+)"', open(os.path.join(
            os.path.dirname(__file__), "../../mod_udm/decrypt/options.c"), encoding="utf-8").read()):
        assert re.search(rf"(^|[ ,\[]){option}\b", done.stdout, re.M) or option == "-h", option
    assert all(len(line) <= 100 for line in done.stdout.splitlines())
    done = subprocess.run([decrypt.program, "--version"], stdout=subprocess.PIPE, text=True, check=True)
    assert re.fullmatch(r"udm-decrypt \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("arguments,words", [
    (["-o", "out"], "the files of an export"), (["--what", "f"], "no option"), (["-x", "f"], "no option"),
    (["-o"], "wants a value"), (["--zip="], "wants a value"), (["-o", ""], "wants a value"),
    (["-o", "out", "--zip", "z", "f"], "only one of"), (["--list", "--test", "f"], "only one of"),
    (["--sha256", "0" * 64, "--sha256sums", "s", "f"], "either"), (["f"], "-o DIR"),
])
def test_wrong_usage(decrypt, arguments, words):
    decrypt.bad(*arguments, status=2, words=words)


def test_no_key(decrypt, files):
    done = subprocess.run([decrypt.program, *files], cwd=decrypt.directory, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and "-k KEY" in done.stderr


def test_default_directory(decrypt, files):
    done = decrypt.good(*files)
    assert f"in export-{EXPORT_ID}" in done.stdout
    assert set(decrypt.tree(f"export-{EXPORT_ID}")) == {e.name.decode() for e in some_entries()} | {MANIFEST}
    assert os.stat(decrypt.path(f"export-{EXPORT_ID}")).st_mode & 0o777 == 0o700


def test_all_forms_of_options(decrypt, files):
    decrypt.good("--output=a b", "--", *files)
    decrypt.good("--output", "c/", *files)
    os.mkdir(decrypt.path("deep"))
    decrypt.good("-o", decrypt.path("deep", "er"), *files)
    assert decrypt.tree("a b") == decrypt.tree("c") == decrypt.tree("deep", "er")


def test_what_exists_is_not_touched(decrypt, files):
    os.mkdir(decrypt.path("dir"))
    with open(decrypt.path("file"), "wb") as f:
        f.write(b"mine")
    os.symlink("nowhere", decrypt.path("link"))
    for name in ("dir", "file", "link"):
        for option in ("-o", "--zip"):
            done = decrypt.run(option, name, *files)
            assert done.returncode == 2 and "exists already" in done.stderr
    assert os.listdir(decrypt.path("dir")) == [] and decrypt.read("file") == b"mine"
    assert not os.path.lexists(decrypt.path("nowhere"))


def test_places_that_cannot_be(decrypt, files):
    decrypt.bad("-o", "none/out", *files, status=3, words="cannot be written", target="none")
    decrypt.bad("--zip", "none/out", *files, status=3, words="cannot be written", target="none")
    decrypt.bad("-o", "out", "none.zip.smime", status=3, words="cannot be opened")
    decrypt.bad("-o", "out", ".", status=3, words="not a regular file")


# Keys

def convert(key_path, target, *args):
    subprocess.run(["openssl", "pkey", "-in", key_path, "-out", target, *args], check=True,
                   stderr=subprocess.DEVNULL)
    return target


def test_forms_of_keys(decrypt, files):
    key = decrypt.certificate.key_path
    decrypt.good("--test", *files, key=convert(key, decrypt.path("k1"), "-traditional"))
    encrypted = convert(key, decrypt.path("k2"), "-aes256", "-passout", "pass:secret words")
    with open(decrypt.path("pass"), "w", encoding="ascii") as f:
        f.write("secret words\nsecond line\n")
    decrypt.good("--test", "--passphrase-file", "pass", *files, key=encrypted)
    with open(decrypt.path("pass"), "w", encoding="ascii") as f:
        f.write("other words\n")
    decrypt.bad("-o", "out", "--passphrase-file", "pass", *files, key=encrypted, words="wrong passphrase")
    decrypt.bad("-o", "out", "--passphrase-file", "none", *files, key=encrypted, status=3,
                words="cannot be opened")
    decrypt.bad("-o", "out", *files, key=decrypt.path("none"), status=3, words="cannot be opened")
    decrypt.bad("-o", "out", *files, key=decrypt.certificate.path, words="no private key")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ED25519", "-out", decrypt.path("ed")], check=True)
    decrypt.bad("-o", "out", *files, key=decrypt.path("ed"), words="neither an RSA nor an EC key")
    decrypt.bad("-o", "out", *files, key=encrypted, words="wrong passphrase", start_new_session=True)


def test_passphrase_on_the_terminal(decrypt, files):
    key = convert(decrypt.certificate.key_path, decrypt.path("k"), "-aes256", "-passout", "pass:a secret")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(decrypt.directory)
        os.execve(decrypt.program, decrypt.command("-o", "out", *files, key=key), decrypt.environment())
    # What is typed before the program stops the echo would be seen.
    wait_for(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO, 30, "the echo to be off",
             interval=0.005)
    os.write(terminal, b"a secret\n")
    seen = b""
    while True:
        select.select([terminal], [], [], 30)
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        seen += data
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, seen
    assert b"passphrase" in seen and b"a secret" not in seen and os.path.isdir(decrypt.path("out"))


# --list and --zip

def test_list(decrypt, files):
    lines = decrypt.good("--list", *files).stdout.splitlines()
    assert [line.split() for line in lines[1:]] == \
        [[str(e.size), str(e.rows), e.name.decode()] for e in some_entries()]


def test_list_into_a_full_pipe(decrypt, files):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(decrypt.command("--list", *files), stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3 and "cannot be written" in done.stderr


def readers(path, entries):
    """Four readers that share no code accept an archive, without a warning."""
    for command in (["unzip", "-tqq"], ["7z", "t", "-bd"], ["bsdtar", "-xOf"]):
        done = subprocess.run([*command, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 0 and done.stderr == b"", done.stderr[-2000:]
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None
        assert z.namelist() == [e.name.decode() for e in entries] + [MANIFEST]
        assert all(z.read(e.name.decode()) == e.content for e in entries)
        assert all(i.external_attr >> 16 == 0o100600 for i in z.infolist())


@pytest.mark.parametrize("limit", [0, 4096, 65536])
def test_zip(decrypt, limit):
    entries = some_entries()
    files = write_parts(decrypt.directory, archive(entries, limit), decrypt.certificate)
    decrypt.good("--zip", "out.zip", *files)
    readers(decrypt.path("out.zip"), entries)
    assert os.stat(decrypt.path("out.zip")).st_mode & 0o777 == 0o600
    if not limit:
        assert decrypt.read("out.zip") == archive(entries)[0]


def test_zip_of_an_empty_export(decrypt):
    files = write_parts(decrypt.directory, archive([]), decrypt.certificate)
    decrypt.good("--zip", "out.zip", *files)
    readers(decrypt.path("out.zip"), [])
    assert "0 files, 0 bytes" in decrypt.good("-o", "out", *files).stdout
    assert set(decrypt.tree("out")) == {MANIFEST}


# What ends it early

def test_full_disk(decrypt):
    """A file may not become larger than so much: the same as a disk that is full."""
    files = write_parts(decrypt.directory, archive([Entry("large.json", noise(400000))]), decrypt.certificate)

    def limits():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200000, 200000))
    decrypt.bad("-o", "out", *files, status=3, words="cannot be written: File too large", preexec_fn=limits)
    decrypt.bad("--zip", "out", *files, status=3, words="cannot be written: File too large", preexec_fn=limits)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_really_full_disk(decrypt):
    disk = decrypt.path("disk")
    os.mkdir(disk)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], stderr=subprocess.PIPE)
    if done.returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        files = write_parts(decrypt.directory, archive([Entry("large.json", noise(900000))]),
                            decrypt.certificate)
        for option in ("-o", "--zip"):
            decrypt.bad(option, "disk/out", *files, status=3, words="No space left", target="disk/out")
            assert os.listdir(disk) == []
    finally:
        subprocess.run(["umount", disk], check=True)


def make_large(directory, certificate, megabytes):
    """An export of so much content that deflate halves, in one part: one block of it over and over."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    block = noise(1 << 20)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    crc, digest = 0, hashlib.sha256()
    for _ in range(megabytes):
        crc = zlib.crc32(block, crc)
        digest.update(block)
    size = megabytes << 20
    entry = Entry("large.json", data=packed * megabytes + packer.flush(), crc=crc, size=size)
    said = (b'{"entries":[{"name":"large.json","sha256":"%s","size":%d}],"exportId":"%s"}' %
            (digest.hexdigest().encode(), size, EXPORT_ID.encode()))
    clear, path = (os.path.join(directory, name) for name in ("clear", f"export-{EXPORT_ID}.zip.smime"))
    with open(clear, "wb") as f:
        f.write(archive([entry, Entry(MANIFEST, said)], with_manifest=False)[0])
    subprocess.run(["openssl", *making.CMS_TEXT, "-in", clear, "-out", path, certificate.path], check=True)
    os.unlink(clear)
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory, keys):
    """An export of 300 MB, which takes long enough to be in the middle of it."""
    path = make_large(str(tmp_path_factory.mktemp("large")), keys["rsa"], 300)
    yield path
    os.unlink(path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.parametrize("option", ["-o", "--zip"])
def test_signals(decrypt, large, number, option):
    """In the middle: as soon as there is something beside the place, it is held until the signal is
    there. Where it was faster, once more. One that whoever runs the tests ignores is ignored by right, so
    that is taken back first."""
    for _ in range(10):
        process = subprocess.Popen(decrypt.command(option, "out", large), cwd=decrypt.directory,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=decrypt.environment(),
                                   preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
        wait_for(lambda: process.poll() is not None or decrypt.leftovers(), 30, "a beginning", interval=0.001)
        process.send_signal(signal.SIGSTOP)
        if decrypt.leftovers():
            break
        process.send_signal(signal.SIGCONT)
        process.communicate()
        subprocess.run(["rm", "-rf", decrypt.path("out")], check=True)
    assert not os.path.lexists(decrypt.path("out"))
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == -number, said
    assert b"interrupted" in said
    assert decrypt.leftovers() == [] and not os.path.lexists(decrypt.path("out"))


# Memory

# What forks counts as well, until it is another program: so that must be small.
MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def peak(decrypt, *args):
    """The most memory that a run took, in KiB."""
    done = subprocess.run([sys.executable, "-S", "-c", MEASURE, *decrypt.command(*args)],
                          cwd=decrypt.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    return int(re.search(r"^peak (\d+)$", done.stdout, re.M)[1])


sanitized = pytest.mark.skipif("UDM_SANITIZE" in os.environ, reason="sanitizers take memory of their own")


def check_memory(decrypt, path, megabytes):
    for args in (["--test"], ["--zip", "out.zip"], ["-o", "out"]):
        kib = peak(decrypt, *args, path)
        print(f"{args[0]}: {kib} KiB")
        assert kib < 32 << 10
    assert os.path.getsize(decrypt.path("out", "large.json")) == megabytes << 20
    with zipfile.ZipFile(decrypt.path("out.zip")) as z:
        assert z.infolist()[0].file_size == megabytes << 20
    subprocess.run(["unzip", "-tqq", decrypt.path("out.zip")], check=True)
    subprocess.run(["rm", "-rf", decrypt.path("out"), decrypt.path("out.zip")], check=True)


@sanitized
def test_memory_of_a_large_file(decrypt, large):
    check_memory(decrypt, large, 300)


@sanitized
@pytest.mark.full
def test_memory_of_a_very_large_file(decrypt):
    """Beyond what 2 GiB of a whole file would be to a tool that reads all of it."""
    check_memory(decrypt, make_large(decrypt.directory, decrypt.certificate, 3500), 3500)


@sanitized
@pytest.mark.parametrize("count", [70000, pytest.param(700000, marks=pytest.mark.full)])
def test_memory_of_many_entries(decrypt, count):
    """More than 65535: the ends are those of ZIP64."""
    files = write_parts(decrypt.directory, many(count), decrypt.certificate)
    for args in (["--test"], ["--zip", "out.zip"]):
        kib = peak(decrypt, *args, *files)
        print(f"{args[0]}: {kib} KiB")
        assert kib < 32 << 10
    with zipfile.ZipFile(decrypt.path("out.zip")) as z:
        assert len(z.infolist()) == count + 1
        assert z.read("7.json") == b'{"id":7}\n'


def many(count):
    """An archive of so many small entries, with the ends that it needs."""
    entries = [Entry(f"{n}.json", b'{"id":%d}\n' % n, known=True) for n in range(count)]
    return archive(entries, zip64=True)
