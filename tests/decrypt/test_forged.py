"""What a forger can make who has the certificate: nothing of it is ever taken, and nothing of it is
ever written outside of the directory."""
import json
import os
import resource
import struct
import zlib

import pytest

from decrypt.making import (EXPORT_ID, MANIFEST, Bits, Entry, archive, manifest, some_entries,
                            write_parts)


def refuse(decrypt, volumes, words, target="out"):
    """In every mode, and nothing is left anywhere."""
    files = write_parts(decrypt.directory, volumes, decrypt.certificate)
    before = sorted(os.listdir(decrypt.directory))
    above = sorted(os.listdir(os.path.dirname(decrypt.directory)))
    decrypt.bad("-o", target, *files, words=words, target=target)
    decrypt.bad("--zip", "out.zip", *files, words=words, target="out.zip")
    decrypt.bad("--test", *files, words=words)
    decrypt.bad("--list", *files, words=words)
    assert sorted(os.listdir(decrypt.directory)) == before
    assert sorted(os.listdir(os.path.dirname(decrypt.directory))) == above


@pytest.mark.parametrize("name", [
    b"../out-of-it.json", b"/tmp/absolute.json", b"a/b.json", b"..", b".", b"", b".hidden", b"a..b", b"end.",
    b"a\\b.json", b"c:d.json", b"a b.json", b"a\nb.json", b"a\0b.json", b"\x1b[2J.json", b"G\xc3\xa4ste.json",
    b"META-INF/other.json", b"META-INF", b"meta-inf", b"META-INF/", b"x" * 256, b"dir/", b"a*b.json",
])
def test_hostile_names(decrypt, name):
    entries = [Entry("first.json", b"1\n"), Entry(name, b"evil\n"), Entry("last.json", b"2\n")]
    refuse(decrypt, archive(entries), "a name that an export does not give")


def test_the_longest_name(decrypt):
    entries = [Entry("x" * 250 + ".json", b"1\n")]
    files = write_parts(decrypt.directory, archive(entries), decrypt.certificate)
    decrypt.good("-o", "out", *files)


@pytest.mark.parametrize("other", ["a.json", "A.JSON", "a.Json"])
@pytest.mark.parametrize("between", [0, 300])
def test_the_same_name_twice(decrypt, other, between):
    entries = [Entry("a.json", b"1\n")] + [Entry(f"n{i}.json", b"x") for i in range(between)]
    refuse(decrypt, archive(entries + [Entry(other, b"2\n")]), "the same name")


@pytest.mark.parametrize("mode", [0o120777, 0o40755, 0o20600, 0o60600, 0o10600, 0o140600, 0, 0o600, 0o100644,
                                  0o104600, 0o100700])
def test_links_and_devices(decrypt, mode):
    entries = [Entry("a.json", b"/etc/passwd", mode=mode), Entry("b.json", b"1\n")]
    refuse(decrypt, archive(entries), "its directory says something else")


LIES = {
    "crc": ({"crc": 1}, "CRC-32 or size"),
    "size": ({"size": 7}, "CRC-32 or size"),
    "size in zip64's place": ({"size": 0xffffffff}, ""),
    "packed size": ({"packed_size": 3}, "CRC-32 or size"),
    "directory's crc": ({"central_crc": 1}, "its directory says something else"),
    "directory's size": ({"central_size": 1}, "its directory says something else"),
    "directory's name": ({"central_name": b"b.json"}, "its directory says something else"),
    "directory's offset": ({"central_offset": 0}, "its directory says something else"),
    "stored": ({"method": 0, "data": b"hello world\n"}, "not as an export makes it"),
    "another method": ({"method": 12}, "not as an export makes it"),
    "encrypted": ({"flags": 0x809}, "not as an export makes it"),
    "no utf-8": ({"flags": 0x008}, "not as an export makes it"),
    "unicode path": ({"extra": b"up\x0b\0\1\0\0\0\0../x"}, "not as an export makes it"),
    "directory's unicode path": ({"central_extra": b"up\x0b\0\1\0\0\0\0../xyz"},
                                 "its directory says something else"),
    "directory's zip64": ({"central_extra": b"\1\0\x08\0" + bytes(8)}, "its directory says something else"),
    "directory's padding": ({"central_extra": b"\x35\xd9\0\0"}, "its directory says something else"),
    "directory's padding with something in it": ({"central_extra": b"\x35\xd9\4\0hide"},
                                                 "its directory says something else"),
    "directory's empty zip64": ({"central_extra": b"\1\0\0\0"}, "its directory says something else"),
    "no deflate": ({"data": b"\xff" * 30}, "compressed data are broken"),
    "cut deflate": ({"data": b"\xcaH"}, ""),
}


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("lie", LIES)
def test_lies(decrypt, lie, known):
    lies, words = LIES[lie]
    entries = [Entry("first.json", b"1\n"), Entry("a.json", b"hello world\n", known=known, **lies),
               Entry("last.json", b"2\n")]
    refuse(decrypt, archive(entries), words)


def test_two_sizes(decrypt):
    volumes = archive([Entry("a.json", b"1\n")])
    refuse(decrypt, [volumes[0][:14] + b"\1\2\3\4" + volumes[0][18:]], "two places")


@pytest.mark.parametrize("lies,words", [
    ({"in_front": b"#!/bin/sh\n"}, "not the first part"),
    ({"between": b"PK\5\6" + bytes(18)}, "its directory lacks an entry"),
    ({"between": b"\0"}, "its directory lacks an entry"),
    ({"behind": b"x"}, ""),
    ({"count": 3}, "its end does not fit"),
    ({"count": 0}, "its end does not fit"),
    ({"with_manifest": False}, "it has no manifest"),
    ({"comment": b"\n"}, "its end does not fit"),
    ({"comment": b"x"}, "its end does not fit"),
    ({"comment": b"hello"}, "its end does not fit"),
])
def test_structure(decrypt, lies, words):
    refuse(decrypt, archive([Entry("a.json", b"1\n")], **lies), words)


def test_directory_of_others(decrypt):
    """A reader of the directory would see other entries than one of the local headers."""
    entries = some_entries()
    everything = entries + [manifest(entries)]
    for shown in (everything[1:], everything[:-1], everything[:2] + everything[3:],
                  [everything[1], everything[0]] + everything[2:], everything + everything[:1], []):
        refuse(decrypt, archive(everything, with_manifest=False, directory=shown), "")


def test_an_archive_in_front_of_another(decrypt):
    first = archive([Entry("a.json", b"1\n")])[0]
    refuse(decrypt, [first + archive([Entry("b.json", b"1\n")])[0]], "behind its end")


def test_nothing_behind_the_manifest(decrypt):
    first = Entry("a.json", b"1\n")
    refuse(decrypt, archive([first, manifest([first]), Entry("b.json", b"evil\n")], with_manifest=False),
           "its directory lacks an entry")


# What inflates for one reader and not for another. Each stands for "aaaaa", or would.

A, END = ord("a"), 256
GOOD = {A: 1, END: 2, 258: 2}


def dynamic(literals=None, distances=None, symbols=(A,) * 5, padding=0, **more):
    bits = Bits()
    literal, _ = bits.dynamic(GOOD if literals is None else literals, distances or {}, **more)
    for symbol in symbols:
        bits.code(literal, symbol)
    return bits.code(literal, END).end(padding) if END in literal else bits.end(padding)


def copied(distances, symbol, literals=None, fixed=False):
    """An "a", then a match of 4 that goes back by the distance of this code."""
    bits = Bits()
    if fixed:
        bits.put(1, 1).put(1, 2)
        literal = Bits.codes({**dict.fromkeys(range(144), 8), **dict.fromkeys(range(144, 256), 9),
                              **dict.fromkeys(range(256, 280), 7), **dict.fromkeys(range(280, 288), 8)})
        distance = Bits.codes(dict.fromkeys(range(32), 5))
    else:
        literal, distance = bits.dynamic(literals or GOOD, distances)
    return bits.code(literal, A).code(literal, 258).code(distance, symbol).code(literal, END).end()


SOUND = {
    "no distances": dynamic(),
    "one distance of one bit": copied({0: 1}, 0),
    "two distances": copied({0: 1, 1: 1}, 0),
    "fixed": copied(None, 0, fixed=True),
    "stored": b"\1\5\0\xfa\xff" + b"aaaaa",
    "a block of nothing in front": b"\0\0\0\xff\xff" + dynamic(),
}
UNSOUND = {
    "literals that are incomplete": dynamic({A: 2, END: 2}),
    "literals that are incomplete, all long": dynamic({A: 9, END: 9, 7: 9}),
    "one literal": dynamic({A: 2, END: 1}),
    "literals that are too many": dynamic({A: 1, END: 1, 7: 1}),
    "distances that are incomplete": copied({0: 2, 1: 2}, 0),
    "one distance of two bits": copied({0: 2}, 0),
    "distances that are incomplete and not used": dynamic(distances={0: 2, 1: 2}),
    "distances that are too many": copied({0: 1, 1: 1, 2: 1}, 0),
    "lengths of lengths that are incomplete": dynamic(lengths=dict.fromkeys(range(15), 4)),
    "lengths of lengths that are too many": dynamic(lengths=dict.fromkeys(range(17), 4)),
    "more literals than there are": dynamic(hlit=288),
    "more distances than there are": dynamic(hdist=31),
    "no end": dynamic({A: 1, 7: 1}),
    "a distance that there is not": copied(None, 30, fixed=True),
    "a distance further back than the beginning": copied({0: 1, 1: 1}, 1),
    "a stored block of another length": b"\1\5\0\xfb\xff" + b"aaaaa",
    "a block of another kind": b"\7" + dynamic(),
    "a last byte that is not used up": dynamic(hlit=270, padding=1),
}


def inflate(data):
    reader = zlib.decompressobj(-15)
    try:
        content = reader.decompress(data)
    except zlib.error:
        return None
    return content if reader.eof and not reader.unused_data else None


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("name", SOUND)
def test_deflate_that_is_sound(decrypt, name, known):
    assert inflate(SOUND[name]) == b"aaaaa"
    entries = [Entry("a.json", b"aaaaa", known=known, data=SOUND[name]), Entry("b.json", b"1\n")]
    decrypt.good("--test", *write_parts(decrypt.directory, archive(entries), decrypt.certificate))


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("name", UNSOUND)
def test_deflate_that_is_not(decrypt, name, known):
    """Sizes, CRC-32 and hash are those of what a reader who does not look would see."""
    # zlib alone passes over what is left of the last byte.
    assert inflate(UNSOUND[name]) is None or "last byte" in name
    entries = [Entry("a.json", b"aaaaa", known=known, data=UNSOUND[name]), Entry("b.json", b"1\n")]
    refuse(decrypt, archive(entries), "compressed data are broken")


# Manifests

def document(entries, **more):
    return json.loads(manifest(entries, **more).content)


def with_document(entries, text):
    return archive([*entries, Entry(MANIFEST, text)], with_manifest=False)


def change(path, value):
    """A change of the manifest: delete=... when the value is None."""
    def apply(doc):
        at = doc
        for step in path[:-1]:
            at = at[step]
        if value is None:
            del at[path[-1]]
        else:
            at[path[-1]] = value
    return apply


CHANGES = {
    "another hash": change(["entries", 1, "sha256"], "0" * 64),
    "no hash": change(["entries", 1, "sha256"], None),
    "half a hash": change(["entries", 1, "sha256"], "00"),
    "hash of another kind": change(["entries", 1, "sha256"], 5),
    "another size": change(["entries", 1, "size"], 1),
    "size of another kind": change(["entries", 1, "size"], "0"),
    "negative size": change(["entries", 0, "size"], -8),
    "size with a fraction": change(["entries", 0, "size"], 8.0),
    "size too large": change(["entries", 0, "size"], 1 << 70),
    "no size": change(["entries", 0, "size"], None),
    "another name": change(["entries", 0, "name"], "x.json"),
    "no name": change(["entries", 0, "name"], None),
    "a very long name": change(["entries", 0, "name"], "x" * 9000),
    "an entry less": change(["entries", 1], None),
    "the last one less": change(["entries", 4], None),
    "none": change(["entries"], []),
    "no entries": change(["entries"], None),
    "entries of another kind": change(["entries"], {}),
    "an entry of another kind": change(["entries", 2], "Chat-12.json"),
    "an entry in a list": change(["entries", 2], [{}]),
    "another export": change(["exportId"], "1" + EXPORT_ID[1:]),
    "no export": change(["exportId"], None),
    "export of another kind": change(["exportId"], 7),
    "rows of another kind": change(["entries", 0, "rows"], "1"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_manifest_that_lies(decrypt, name):
    entries = some_entries()
    doc = document(entries)
    CHANGES[name](doc)
    refuse(decrypt, with_document(entries, json.dumps(doc).encode()), "")


def test_manifest_with_one_more(decrypt):
    entries = some_entries()
    doc = document(entries)
    doc["entries"].append(doc["entries"][0])
    refuse(decrypt, with_document(entries, json.dumps(doc).encode()), "the archive does not have")


@pytest.mark.parametrize("spoil", [
    lambda t: t[:-1], lambda t: t + b"x", lambda t: t + b"{}", lambda t: b"", lambda t: b"[]",
    lambda t: b"7", lambda t: b"[" * 200 + b"]" * 200, lambda t: t.replace(b'"size": 8', b'"size": 08'),
    lambda t: t.replace(b'"size"', b'"size" "size"', 1), lambda t: t.replace(b"}", b",}", 1),
    lambda t: t.replace(b'"rows"', b'"size": 8, "rows"', 1), lambda t: t.replace(b"null", b"nul", 1),
    lambda t: t.replace(b'"exportId"', b'"exportId": "x", "exportId"', 1),
    lambda t: t.replace(b'"exportId"', b'"x": "\\ud800", "exportId"', 1),
    lambda t: t.replace(b'"exportId"', b'"x": "\\udc00", "exportId"', 1),
    lambda t: t.replace(b'"exportId"', b'"x": "\\u0000", "exportId"', 1),
    lambda t: t.replace(b'"exportId"', b'"x": "\\x", "exportId"', 1),
    lambda t: t.replace(b'"exportId"', b'"x": "\xff", "exportId"', 1),
    lambda t: t.replace(b'"exportId"', b'"x": "\n", "exportId"', 1),
    lambda t: t.replace(b'"exportId"', b'"x": [1}, "exportId"', 1),
    lambda t: t.replace(b'"exportId"', b'"x": 1.e5, "exportId"', 1),
    lambda t: t[:-1] + b', "entries": []}',
])
def test_manifest_that_is_broken(decrypt, spoil):
    entries = some_entries()
    refuse(decrypt, with_document(entries, spoil(manifest(entries).content)), "")


def test_manifest_with_more_in_it(decrypt):
    """What is not known is passed over, however it looks."""
    entries = some_entries()
    text = json.dumps(document(
        entries, filters=[{"name": "x" * 10000, "size": [1, {"entries": [[]]}]}], unknown=None,
        text="\U0001f600\u00e4\"\\/\b\f\n\r\t", numbers=[0, -1, 1.5, 1e300, 2.5e-7, True, False]))
    files = write_parts(decrypt.directory, with_document(entries, text.encode()), decrypt.certificate)
    decrypt.good("-o", "out", *files)


def test_escapes_in_a_name(decrypt):
    entries = some_entries()
    text = manifest(entries).content.replace(b'"Chat-12.json"', rb'"\u0043hat\u002D12\u002ejson"')
    files = write_parts(decrypt.directory, with_document(entries, text), decrypt.certificate)
    decrypt.good("-o", "out", *files)


@pytest.mark.skipif("UDM_SANITIZE" in os.environ, reason="sanitizers take memory of their own")
def test_a_bomb_is_bounded_by_the_disk_alone(decrypt):
    """Where nothing is written, 256 MiB of nothing pass through the same memory."""
    block = bytes(1 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data, crc, size = b"", 0, 0
    for _ in range(256):
        data += packer.compress(block)
        crc, size = zlib.crc32(block, crc), size + len(block)
    entry = Entry("bomb.json", b"", data=data + packer.flush(), crc=crc, size=size)
    files = write_parts(decrypt.directory, archive([entry]), decrypt.certificate)
    limit = 48 << 20

    def limits():
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    # The manifest of the maker does not know its size: it is refused only there.
    decrypt.bad("--test", *files, words="bomb.json is damaged", preexec_fn=limits)


def test_zip64_lies(decrypt):
    """Ends of ZIP64 that say something else than the others."""
    volume = archive([Entry("a.json", b"1\n")])[0]
    end = volume[-22:]
    disk, first, here, total, size, offset = struct.unpack("<HHHHII", end[4:20])
    assert disk == first == 0

    def with64(**lies):
        v = {"here": here, "total": total, "size": size, "offset": offset, "at": len(volume) - 22,
             "disks": 1, **lies}
        return volume[:-22] + struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 3 << 8 | 45, 45, 0, 0, v["here"], v["total"],
                                          v["size"], v["offset"]) + \
            struct.pack("<IIQI", 0x07064b50, 0, v["at"], v["disks"]) + end
    files = write_parts(decrypt.directory, [with64()], decrypt.certificate)
    decrypt.good("--test", *files)
    for name in ("here", "total", "size", "offset", "at", "disks"):
        refuse(decrypt, [with64(**{name: 5})], "its end does not fit")
