"""Files that are cut, changed, missing, mixed up: never a good end with other content, never a name
for what is not verified."""
import hashlib
import os
import random
import shutil

import pytest

from decrypt import making
from decrypt.making import EXPORT_ID, Entry, archive, encrypt, noise, part_names, some_entries, write_parts

MODES = {"smime": making.SMIME, "der": making.CMS_DER, "gcm": making.GCM, "gcm ber": making.GCM_BER}
OTHER_ID = "1" + EXPORT_ID[1:]


@pytest.fixture
def parts(decrypt):
    """An export of at least 5 parts."""
    entries = some_entries() + [Entry("large.json", noise(300000, 9)), Entry("end.json", b"1\n")]
    files = write_parts(decrypt.directory, archive(entries, 65536), decrypt.certificate)
    assert len(files) >= 5
    return files


@pytest.mark.parametrize("mode", MODES)
def test_cut_short(decrypt, keys, mode):
    text = encrypt(archive(some_entries())[0], keys["rsa"], MODES[mode])
    stop = len(text.rstrip())  # line ends behind everything may be missing
    places = [0, 1, 2, 10, 40, 100, 200, 400, 800, 1500, 3000, *range(10000, stop, stop // 10),
              *range(stop - 40, stop, 3), stop - 1]
    for size in places:
        with open(decrypt.path("f"), "wb") as f:
            f.write(text[:size])
        decrypt.bad("-o", "out", "f")


@pytest.mark.parametrize("mode", MODES)
def test_flipped_bits(decrypt, keys, mode):
    """With AES-GCM every bit counts but those around the envelope; without it, those that change the
    content at least."""
    dice = random.Random(20260 + len(mode))
    entries = some_entries()
    good = {e.name.decode(): e.content for e in entries}
    text = encrypt(archive(entries)[0], keys["rsa"], MODES[mode])
    harmless = 0
    for turn in range(200 if mode == "smime" else 70):
        # Half of them where there is structure: at either end.
        at = dice.randrange(len(text)) if turn % 2 else dice.choice(
            [dice.randrange(1500), len(text) - 1 - dice.randrange(1500)])
        changed = bytearray(text)
        changed[at] ^= 1 << dice.randrange(8)
        with open(decrypt.path("f"), "wb") as f:
            f.write(changed)
        done = decrypt.run("-o", "out", "f")
        assert done.returncode in (0, 1), done.stderr
        if done.returncode == 0:
            harmless += 1
            found = decrypt.tree("out")
            found.pop(making.MANIFEST)
            assert found == good, at
            shutil.rmtree(decrypt.path("out"))
        else:
            assert not os.path.exists(decrypt.path("out"))
    assert harmless < 30


def test_bits_of_the_archive(decrypt, keys):
    """The same below the encryption, as CBC lets a forger do it: everything that means something is
    looked at."""
    dice = random.Random(4)
    volume = archive([Entry("a.json", noise(900, 5)), Entry("b.json", b"1\n", known=True)])[0]
    for _ in range(90):
        at = dice.randrange(len(volume))
        changed = bytearray(volume)
        changed[at] ^= 1 << dice.randrange(8)
        with open(decrypt.path("f"), "wb") as f:
            f.write(encrypt(bytes(changed), keys["rsa"], making.CMS_DER))
        decrypt.bad("-o", "out", "f")


@pytest.mark.parametrize("how", [{}, {"zip64": True}, {"limit": 4096}])
def test_every_byte_of_the_structure(decrypt, how):
    """Headers, descriptors, the directory, its ends, what pads and marks: there is no byte that could
    be another, whether one bit of it is changed or all of them."""
    data = []
    entries = [Entry("a.json", noise(90, 5)), Entry("b.json", b"1\n", known=True),
               Entry("c.json", noise(9000, 6), known="limit" in how)]
    if "limit" not in how:
        del entries[2]
    volumes = archive(entries, data=data, **how)
    assert (len(volumes) > 1) == ("limit" in how)
    decrypt.good("--test", *write_parts(decrypt.directory, volumes, decrypt.certificate, making.CMS_DER))
    paths = [decrypt.path(name) for name in part_names(len(volumes), "p7m")]
    taken, tried = [], 0
    for disk, volume in enumerate(volumes):
        content = {at for d, start, end in data if d == disk for at in range(start, end)}
        for at in sorted(set(range(len(volume))) - content):
            for mask in (1 << at % 8, 0xff):
                changed = bytearray(volume)
                changed[at] ^= mask
                with open(paths[disk], "wb") as f:
                    f.write(encrypt(bytes(changed), decrypt.certificate, making.CMS_DER))
                tried += 1
                if decrypt.run("--test", *paths).returncode == 0:
                    taken.append((disk, at, mask, volume[max(at - 8, 0):at + 8]))
        with open(paths[disk], "wb") as f:
            f.write(encrypt(volume, decrypt.certificate, making.CMS_DER))
    assert taken == [] and tried > 500


def test_gcm_tag(decrypt, keys):
    """The content is whole and the manifest fits, and yet: nothing without the tag."""
    text = encrypt(archive(some_entries())[0], keys["rsa"], making.GCM)
    with open(decrypt.path("f"), "wb") as f:
        f.write(text[:-1] + bytes([text[-1] ^ 1]))
    decrypt.bad("-o", "out", "f", words="damaged or forged")
    decrypt.bad("--zip", "out", "f", words="damaged or forged")


# Parts

def test_all_orders(decrypt, parts):
    for order in (parts, parts[::-1], parts[2:] + parts[:2]):
        decrypt.good("--test", *order)


def test_missing_parts(decrypt, parts):
    last = len(parts) - 1
    for missing in range(last):
        words = f"missing: export-{EXPORT_ID}.z{missing + 1:02d}"
        decrypt.bad("-o", "out", *parts[:missing], *parts[missing + 1:], words=words)
    decrypt.bad("-o", "out", *parts[:last], words="the last one (.zip)")
    decrypt.bad("-o", "out", parts[0], words="parts of the export are missing")
    decrypt.bad("-o", "out", parts[last], words="")
    decrypt.bad("-o", "out", parts[0], parts[last], words=f"export-{EXPORT_ID}.z02, export-{EXPORT_ID}.z03")


def test_the_same_part_twice(decrypt, parts):
    copy = decrypt.path(os.path.basename(parts[1]).replace(".smime", " (1).smime"))
    shutil.copy(parts[1], copy)
    decrypt.bad("-o", "out", *parts, copy, words="are the same part")
    decrypt.bad("-o", "out", *parts, parts[0], words="are the same part")


def test_names_changed_by_browsers(decrypt, parts):
    for pattern in ("{} (1).smime", "{}(1).smime", "{}.smime.txt", "{}.smime.part", "{}", "copy of {}.smime",
                    "{} (2).p7m"):
        renamed = []
        for path in parts:
            renamed.append(decrypt.path(pattern.format(os.path.basename(path)[:-len(".smime")])))
            shutil.copy(path, renamed[-1])
        decrypt.good("--test", *renamed[::-1])


def test_names_that_tell_nothing(decrypt, parts):
    """Then the order counts in which they were given."""
    renamed = []
    for n, path in enumerate(parts):
        renamed.append(decrypt.path(f"part-{chr(ord('a') + n)}"))
        shutil.copy(path, renamed[-1])
    decrypt.good("-o", "out", *renamed)
    shutil.rmtree(decrypt.path("out"))
    decrypt.bad("-o", "out", *renamed[::-1])
    decrypt.bad("-o", "out", renamed[1], renamed[0], *renamed[2:])
    decrypt.bad("-o", "out", *renamed[:-2], renamed[-1], words="parts of the export are missing")
    decrypt.bad(*renamed, status=2, words="-o DIR")
    decrypt.bad("-o", "out", parts[0], *renamed[1:], words="its name does not tell which part it is")


def test_a_part_of_another_export(decrypt, parts):
    entries = [Entry(e.name, noise(e.size, e.name), known=e.known) for e in some_entries()] + \
        [Entry("large.json", noise(300000, 10)), Entry("end.json", b"2\n")]
    other = write_parts(decrypt.directory, archive(entries, 65536, export_id=OTHER_ID), decrypt.certificate,
                        export_id=OTHER_ID)
    decrypt.good("--test", *other)
    decrypt.bad("-o", "out", parts[0], other[1], *parts[2:], words="are of different exports")
    for n in range(len(parts)):
        shutil.copy(parts[n], decrypt.path("kept"))
        shutil.copy(other[n], parts[n])
        decrypt.bad("-o", "out", *parts)
        shutil.copy(decrypt.path("kept"), parts[n])
    decrypt.good("--test", *parts)


def test_swapped_parts(decrypt, parts):
    shutil.copy(parts[1], decrypt.path("kept"))
    shutil.copy(parts[2], parts[1])
    shutil.copy(decrypt.path("kept"), parts[2])
    decrypt.bad("-o", "out", *parts)


def test_another_export_under_this_name(decrypt):
    volumes = archive(some_entries(), export_id=OTHER_ID)
    files = write_parts(decrypt.directory, volumes, decrypt.certificate)
    decrypt.bad("-o", "out", *files, words="the name of another export")


def test_a_whole_export_and_something(decrypt, parts):
    whole = write_parts(decrypt.directory, archive(some_entries()), decrypt.certificate)
    shutil.copy(whole[0], decrypt.path("first"))
    shutil.copy(parts[0], decrypt.path("second"))
    decrypt.bad("-o", "out", "second", words="first of several parts")
    decrypt.bad("-o", "out", "first", "second")
    decrypt.bad("-o", "out", "second", "first", words="one is of another export")


@pytest.mark.parametrize("limit", [4096, 5000, 16384, 16385, 16400, 20000, 32768, 48151])
def test_parts_of_all_sizes(decrypt, keys, limit):
    dice = random.Random(limit)
    entries = [Entry(f"entry-{n}.json", noise(dice.randrange(60000 if n % 7 == 0 else 3000), n), known=n % 3 == 0)
               for n in range(25)]
    volumes = archive(entries, limit)
    files = []
    for name, volume in zip(part_names(len(volumes)), volumes):
        files.append(decrypt.path(name))
        with open(files[-1], "wb") as f:
            f.write(encrypt(volume, keys["rsa"]))
    decrypt.good("-o", "out", *files)
    found = decrypt.tree("out")
    assert {e.name.decode(): e.content for e in entries}.items() <= found.items()


# The anchor

def sums(files):
    result = []
    for path in files:
        with open(path, "rb") as f:
            result.append(hashlib.sha256(f.read()).hexdigest())
    return result


def test_sha256(decrypt, parts):
    hashes = sums(parts)
    order = list(zip(parts, hashes))
    random.Random(1).shuffle(order)
    options = [a for _, h in order for a in ("--sha256", h)]
    done = decrypt.good("--test", *options, *(path for path, _ in order))
    assert "not proven" not in done.stderr
    decrypt.good("--test", *[a.upper() if len(a) == 64 else a for a in options], *(p for p, _ in order))
    options[1], options[3] = options[3], options[1]
    decrypt.bad("-o", "out", *options, *(p for p, _ in order), words="its SHA-256 is not the one")
    decrypt.bad("-o", "out", *options[2:], *(p for p, _ in order), status=2,
                words="once for each file: there are 6 files, and 5 sums")
    decrypt.bad("-o", "out", "--sha256", "12", parts[0], status=2, words="64 hex digits")


def test_sha256sums(decrypt, parts):
    def write(lines):
        with open(decrypt.path("SUMS"), "w", encoding="ascii") as f:
            f.write("".join(line + "\n" for line in lines))
    lines = [f"{h}  {os.path.basename(p)}" for p, h in zip(parts, sums(parts))]
    write(lines + ["0" * 64 + " *something-else"])
    decrypt.good("--test", "--sha256sums", "SUMS", *parts)
    write(lines[:-1])
    decrypt.bad("-o", "out", "--sha256sums", "SUMS", *parts, status=2, words="has no line for")
    write(["0" * 64 + lines[0][64:], *lines[1:]])
    decrypt.bad("-o", "out", "--sha256sums", "SUMS", *parts, words="its SHA-256 is not the one")
    write(["rubbish", *lines])
    decrypt.bad("-o", "out", "--sha256sums", "SUMS", *parts, status=2, words="as sha256sum writes it")
    decrypt.bad("-o", "out", "--sha256sums", "NONE", *parts, status=3, words="cannot be opened")


def test_a_forgery_is_stopped_by_the_sum_alone(decrypt):
    """An export that is perfect, and not the one that the API speaks of."""
    files = write_parts(decrypt.directory, archive(some_entries()), decrypt.certificate)
    (true,) = sums(files)
    forged = [Entry("Chat-12.json", b'{"a":2}\n')]
    write_parts(decrypt.directory, archive(forged), decrypt.certificate)
    decrypt.good("--test", *files)
    decrypt.bad("-o", "out", "--sha256", true, *files, words="damaged or forged")
