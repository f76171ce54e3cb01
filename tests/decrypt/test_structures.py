"""What a forger can make of the structure alone: sizes, counts and places that lie, parts of it that are
missing, and envelopes that are built in other ways."""
import os
import random
import resource
import struct
import zlib

import pytest

from decrypt import making
from decrypt.making import EXPORT_ID, MANIFEST, Entry, archive, encrypt, manifest, noise, some_entries, write_parts
from decrypt.test_forged import refuse, with_document

MAX16, MAX32 = 0xffff, 0xffffffff


def zip64(*values, disk=None):
    """ZIP64's extra field with these values of 8 bytes."""
    content = b"".join(struct.pack("<Q", value) for value in values)
    content += b"" if disk is None else struct.pack("<I", disk)
    return struct.pack("<HH", 1, len(content)) + content


PAD = b"\x35\xd9\0\0"

# Of an entry "hello world\n" that says its sizes in front: what its local header says instead.
LOCAL = {
    "zip64 that is not needed": {"size": MAX32, "packed_size": MAX32, "extra": zip64(12, 14), "version": 45},
    "zip64 beside the sizes": {"extra": zip64(12, 14), "version": 45},
    "zip64 for one of them": {"size": MAX32, "extra": zip64(12, 14), "version": 45},
    "zip64 that lies": {"size": MAX32, "packed_size": MAX32, "extra": zip64(1 << 40, 1 << 40), "version": 45},
    "zip64 that is negative": {"size": MAX32, "packed_size": MAX32, "extra": zip64(2 ** 64 - 1, 2 ** 63),
                               "version": 45},
    "zip64 of another length": {"size": MAX32, "packed_size": MAX32, "extra": zip64(12), "version": 45},
    "zip64 that reaches further": {"size": MAX32, "packed_size": MAX32, "version": 45,
                                   "extra": b"\1\0\xff\xff" + bytes(16)},
    "another field of that length": {"size": MAX32, "packed_size": MAX32, "version": 45,
                                     "extra": b"ux\x10\0" + bytes(16)},
    "another version": {"version": 45},
    "padding": {"extra": PAD, "version": 45},
    "a cut field": {"extra": b"\1\0\x10", "version": 45},
}
# The same of its header in the directory.
CENTRAL = {
    "zip64 that is not needed": {"central_size": MAX32, "central_packed_size": MAX32,
                                 "central_extra": zip64(12, 14), "central_version": 45},
    "zip64 for the place": {"central_offset": MAX32, "central_extra": zip64(0), "central_version": 45},
    "zip64 for the part": {"central_disk": MAX16, "central_extra": zip64(disk=0), "central_version": 45},
    "zip64 that is missing": {"central_offset": MAX32},
    "zip64 with more in it": {"central_offset": MAX32, "central_extra": zip64(1 << 32, 1 << 32),
                              "central_version": 45},
    "zip64 twice": {"central_offset": MAX32, "central_extra": zip64(1 << 32) * 2, "central_version": 45},
    "zip64 behind padding": {"central_offset": MAX32, "central_extra": PAD + zip64(1 << 32),
                             "central_version": 45},
    "zip64 that lies": {"central_offset": MAX32, "central_extra": zip64(1 << 32), "central_version": 45},
    "padding twice": {"central_extra": PAD * 2},
    "a cut field": {"central_extra": b"\x35\xd9\1\0"},
    "half a field": {"central_extra": b"\x35\xd9\0"},
    "a lot of it": {"central_extra": PAD * 1000},
    "a comment": {"central_comment": b"hello"},
    "another part": {"central_disk": 1},
    "a part of which there is none": {"central_disk": MAX16 - 1},
    "another version": {"central_version": 45},
}


@pytest.mark.parametrize("lie", LOCAL)
def test_local_fields(decrypt, lie):
    entries = [Entry("first.json", b"1\n"), Entry("a.json", b"hello world\n", known=True, **LOCAL[lie])]
    refuse(decrypt, archive(entries), "is damaged or forged")


@pytest.mark.parametrize("lie", CENTRAL)
@pytest.mark.parametrize("known", [False, True])
def test_fields_of_the_directory(decrypt, lie, known):
    entries = [Entry("first.json", b"1\n"), Entry("a.json", b"hello world\n", known=known, **CENTRAL[lie])]
    refuse(decrypt, archive(entries), "its directory ")


def test_entries_over_one_another(decrypt):
    """Two of the directory's entries in one place, and one that stands inside of another's data."""
    inner = archive([Entry("b.json", b"2\n")], with_manifest=False)[0]
    first = Entry("a.json", inner, data=b"\1" + struct.pack("<HH", len(inner), len(inner) ^ MAX16) + inner)
    for other in (Entry("b.json", b"2\n", central_offset=0),
                  Entry("b.json", b"2\n", central_offset=30 + len("a.json") + 5)):
        refuse(decrypt, archive([first, other, manifest([first, other])], with_manifest=False),
               "its directory says something else")
        refuse(decrypt, archive([first, manifest([first, other])], with_manifest=False), "does not have")
        other.at = (0, 0)
        refuse(decrypt, archive([first, manifest([first])], with_manifest=False,
                                directory=[*map(placed, [first]), other]), "")


def placed(entry):
    entry.at = getattr(entry, "at", (0, 0))
    return entry


@pytest.mark.parametrize("entries", [65534, 65535, 65536])
def test_the_most_that_a_directory_counts(decrypt, entries):
    """With ZIP64's end where 16 bits do not hold the number, and not without it, whatever stands there."""
    content = [Entry(f"{n}.json", b"1\n", known=True) for n in range(entries - 1)]
    files = write_parts(decrypt.directory, archive(content, zip64=True), decrypt.certificate, making.CMS_DER)
    decrypt.good("--test", *files)
    for count in (entries & MAX16, min(entries, MAX16)):
        files = write_parts(decrypt.directory, archive(content, count=count), decrypt.certificate,
                            making.CMS_DER)
        if entries < MAX16:
            decrypt.good("--test", *files)
        else:
            decrypt.bad("--test", *files, words="its end does not fit")


def borders(volume):
    """Where records of the structure begin: their signatures."""
    found, at = [], 0
    while (at := volume.find(b"PK", at)) >= 0:
        if volume[at + 2:at + 4] in (b"\1\2", b"\3\4", b"\5\6", b"\6\6", b"\6\7", b"\7\x08"):
            found.append(at)
        at += 2
    return found


@pytest.mark.parametrize("how", [{}, {"zip64": True}, {"limit": 4096}])
def test_cut_at_the_borders(decrypt, how):
    """At the beginning of each record, and one byte beside it; with the parts behind it, and without."""
    entries = [Entry("a.json", noise(90, 5)), Entry("b.json", b"1\n", known=True), Entry("c.json", noise(9000, 6))]
    volumes = archive(entries, **how)
    paths = write_parts(decrypt.directory, volumes, decrypt.certificate, making.CMS_DER)
    decrypt.good("--test", *paths)
    tried = 0
    for disk, volume in enumerate(volumes):
        for size in sorted({at + n for at in borders(volume) for n in (-1, 0, 1, 4)} & set(range(len(volume)))):
            with open(paths[disk], "wb") as f:
                f.write(encrypt(volume[:size], decrypt.certificate, making.CMS_DER))
            decrypt.bad("-o", "out", *paths)
            if disk + 1 < len(paths):
                decrypt.bad("--test", *paths[:disk + 1])
            tried += 1
        with open(paths[disk], "wb") as f:
            f.write(encrypt(volume, decrypt.certificate, making.CMS_DER))
    assert tried > 30


def test_records_that_are_moved(decrypt):
    """Each record of the structure twice, none, and in the place of the one behind it."""
    volume = archive([Entry("a.json", noise(90, 5)), Entry("b.json", b"1\n", known=True)], zip64=True)[0]
    at = [*borders(volume), len(volume)]
    pieces = [volume[start:end] for start, end in zip(at, at[1:])]
    for n, piece in enumerate(pieces):
        for changed in ([*pieces[:n], piece, *pieces[n:]], pieces[:n] + pieces[n + 1:],
                        [*pieces[:n], *pieces[n:n + 2][::-1], *pieces[n + 2:]]):
            if changed != pieces:
                files = write_parts(decrypt.directory, [b"".join(changed)], decrypt.certificate)
                decrypt.bad("-o", "out", *files)


# Manifests

def test_two_manifests(decrypt):
    entries = [Entry("a.json", b"1\n")]
    for second in (manifest(entries), manifest([*entries, manifest(entries)]), Entry(MANIFEST, b"{}")):
        refuse(decrypt, archive([*entries, manifest(entries), second], with_manifest=False),
               "its directory lacks an entry")


def test_a_manifest_of_another_part(decrypt):
    """It names what the other archive has."""
    entries, others = some_entries(), [Entry("Other-12.json", b"2\n"), *some_entries()[1:]]
    refuse(decrypt, with_document(entries, manifest(others).content), "has another name")
    volumes = archive(entries, 65536)
    strange = archive([Entry("Chat-12.json", b'{"a":2}\n'), *entries[1:]], 65536)
    assert len(volumes) == len(strange) > 2
    for n in (0, len(volumes) - 1):
        assert volumes[n] != strange[n]
        refuse(decrypt, [*volumes[:n], strange[n], *volumes[n + 1:]], "damaged")


@pytest.mark.parametrize("spoil", [
    lambda t: t.replace(b'"rows": 1', b'"rows": 1, "rows": 1', 1),
    lambda t: t.replace(b'"name"', b'"name": "Chat-12.json", "name"', 1),
    lambda t: t.replace(b'"sha256"', b'"sha256": "' + b"0" * 64 + b'", "sha256"', 1),
    lambda t: t.replace(b'"exportId"', b'"exportId": "%s", "exportId"' % EXPORT_ID.encode(), 1),
    lambda t: t.replace(b'"exportId"', rb'"\u0065xportId": "x", "exportId"', 1),
    lambda t: t.replace(b'"entries"', b'"entries": [], "entries"', 1),
    lambda t: t.replace(b'Chat-12.json', rb'Chat-12.json\u0000', 1),
    lambda t: t.replace(b'Chat-12.json', rb'Chat-12.json\u0000/../x', 1),
    lambda t: t.replace(b'Chat-12.json', b'Chat-12.json\0', 1),
    lambda t: t.replace(b'"size": 8', b'"size": 8e0', 1), lambda t: t.replace(b'"size": 8', b'"size": +8', 1),
    lambda t: t.replace(b'"size": 8', b'"size": 18446744073709551624', 1),
    lambda t: t.replace(b'"rows": 1', b'"rows": 9223372036854775808', 1),
    lambda t: t.replace(b'"rows": 1', b'"rows": ' + b"9" * 100000, 1),
    lambda t: t.replace(b'"exportId"', b'"x": ' + b"1" * 8192 + b'oops, "exportId"', 1),
    lambda t: t.replace(b'"exportId"', b'"x": ' + b"1" * 100000 + b'.e, "exportId"', 1),
    lambda t: t.replace(b'"exportId"', b'"x": ' + b"[" * 1000000 + b', "exportId"', 1),
    lambda t: t.replace(b'"exportId"', b'"x": ' + b'{"a":' * 1000000 + b', "exportId"', 1),
    lambda t: b"\xef\xbb\xbf" + t, lambda t: t.decode().encode("utf-16"), lambda t: t + b"\0",
    lambda t: t + t, lambda t: t.replace(b"{", b"/**/{", 1), lambda t: t.replace(b'"', b"'"),
])
def test_documents_that_are_forged(decrypt, spoil):
    entries = some_entries()
    text = spoil(manifest(entries).content)
    assert text != manifest(entries).content
    refuse(decrypt, with_document(entries, text), "manifest")


@pytest.mark.skipif("UDM_SANITIZE" in os.environ, reason="sanitizers take memory of their own")
@pytest.mark.parametrize("filling", [b" ", b"1", b'"x"', b'{"a":0}', b"[[[[[[[[]]]]]]]]"])
def test_a_bomb_for_a_manifest(decrypt, filling):
    """64 MiB of it: whatever it is made of, it passes through the same memory."""
    entries = some_entries()
    head, tail = manifest(entries).content.split(b'"exportId"', 1)
    middle = b'"exportId"' + tail
    if filling == b" ":
        block, between, behind = filling * (1 << 20), b"", b""
    elif filling == b"1":
        block, between, behind = filling * (1 << 20), b'"x":"', b'",'
    else:
        block, between, behind = (filling + b",") * ((1 << 20) // len(filling)), b'"x":[', b"0],"
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data, crc, size = b"", 0, 0
    for piece in (head + between, *[block] * 64, behind + middle):
        data += packer.compress(piece)
        crc, size = zlib.crc32(piece, crc), size + len(piece)
    bomb = Entry(MANIFEST, b"", data=data + packer.flush(), crc=crc, size=size)
    assert size > 60 * len(bomb.data)
    files = write_parts(decrypt.directory, archive([*entries, bomb], with_manifest=False), decrypt.certificate)
    decrypt.good("--test", *files, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (48 << 20,) * 2))


# Envelopes

class Element:
    """An element of DER, which is written in the ways that BER has. `kind`: "long" has more octets of
    length than it takes."""

    def __init__(self, tag, content=b"", inner=None, kind="definite"):
        self.tag, self.content, self.inner, self.kind = tag, content, inner, kind

    @classmethod
    def read(cls, data, at=0):
        """The element there, and where it ends."""
        tag, size, at = data[at], data[at + 1], at + 2
        if size >= 0x80:
            at, size = at + size - 0x80, int.from_bytes(data[at:at + size - 0x80], "big")
        end = at + size
        if not tag & 0x20:
            return cls(tag, data[at:end]), end
        inner = []
        while at < end:
            element, at = cls.read(data, at)
            inner.append(element)
        return cls(tag, inner=inner), end

    def every(self):
        yield self
        for element in self.inner or ():
            yield from element.every()

    def written(self):
        content = self.content if self.inner is None else b"".join(e.written() for e in self.inner)
        size = len(content)
        if self.kind == "indefinite":
            return bytes([self.tag, 0x80]) + content + b"\0\0"
        if self.kind == "long":
            return bytes([self.tag, 0x88]) + size.to_bytes(8, "big") + content
        octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
        return bytes([self.tag]) + (bytes([size]) if size < 0x80 else bytes([0x80 + len(octets)]) + octets) + content


def envelope(certificate, how, data=None):
    """The envelope of an archive, its recipients, and the element of its content and what it is in."""
    top, _ = Element.read(encrypt(archive(some_entries())[0] if data is None else data, certificate, how))
    enveloped = top.inner[1].inner[0]
    return top, enveloped.inner[1], enveloped.inner[2]


def chunks(content, dice, depth=0):
    """Content in pieces, some of them in pieces again, some of them empty."""
    result = []
    while content or not result:
        size = dice.choice([0, 1, 15, 16, 17, 1000, 70000])
        if depth < 4 and dice.random() < 0.3:
            result.append(Element(0x24, inner=chunks(content[:size], dice, depth + 1)))
        else:
            result.append(Element(4, content[:size]))
        content = content[size:]
    return result


def decrypted(decrypt, element, **kwargs):
    with open(decrypt.path("f"), "wb") as f:
        f.write(element if isinstance(element, bytes) else element.written())
    return decrypt.bad("-o", "out", "f", **kwargs) if kwargs else decrypt.good("--test", "f")


@pytest.mark.parametrize("how", [making.CMS_DER, making.GCM])
def test_lengths_of_all_kinds(decrypt, how):
    """One after another as BER may have it: all of them are the same envelope."""
    dice = random.Random(how[2])
    for _ in range(25):
        top, _, content = envelope(decrypt.certificate, how)
        content.inner[2] = Element(0xa0, inner=chunks(content.inner[2].content, dice))
        for element in top.every():
            if element.inner is not None:
                element.kind = dice.choice(["definite", "long", "indefinite"])
        decrypted(decrypt, top)


@pytest.mark.parametrize("how", [making.CMS_DER, making.GCM])
def test_elements_that_are_missing(decrypt, how):
    """None of those around the content, each twice, and each cut off where it begins."""
    def places(top):
        enveloped = top.inner[1].inner[0]
        return [(e, n) for e in (top, top.inner[1], enveloped, enveloped.inner[2]) for n in range(len(e.inner))]
    count = len(places(envelope(decrypt.certificate, how)[0]))
    for n in range(count):
        for twice in (False, True):
            top, *_ = envelope(decrypt.certificate, how)
            parent, at = places(top)[n]
            parent.inner[at:at + 1] = [parent.inner[at]] * 2 if twice else []
            decrypted(decrypt, top, words="")
        top, *_ = envelope(decrypt.certificate, how)
        parent, at = places(top)[n]
        text = top.written()
        decrypted(decrypt, text[:text.index(parent.inner[at].written())], words="cut short")
        # An element that says to be longer than the one that it is in.
        parent.inner[at].content += b"x"
        longer = parent.inner[at]
        if longer.inner is None:
            wrong = top.written().replace(longer.written(), longer.written()[:-1], 1)
            decrypted(decrypt, wrong, words="")


def test_envelopes_in_one_another(decrypt):
    inner = encrypt(archive(some_entries())[0], decrypt.certificate, making.CMS_DER)
    for how in (making.SMIME, making.CMS_DER, making.GCM):
        refused = encrypt(inner, decrypt.certificate, how)
        decrypted(decrypt, refused, words="not the first part of an export")


@pytest.mark.parametrize("how", [making.CMS_DER, making.GCM])
def test_other_content(decrypt, how):
    for last in (2, 3, 5, 6):
        top, _, content = envelope(decrypt.certificate, how)
        content.inner[0].content = content.inner[0].content[:-1] + bytes([last])
        decrypted(decrypt, top, words="not plain data")


@pytest.mark.parametrize("how", [making.CMS_DER, making.GCM])
@pytest.mark.parametrize("count,words", [(0, "this key does not open it"), (50, None),
                                         (1000, "its header is too long")])
def test_numbers_of_recipients(decrypt, how, count, words):
    top, recipients, _ = envelope(decrypt.certificate, how)
    recipients.inner = recipients.inner * count
    decrypted(decrypt, top, **({} if words is None else {"words": words}))


@pytest.mark.parametrize("kind", ["definite", "indefinite"])
def test_content_that_is_nested(decrypt, kind):
    for depth, words in ((3, None), (100, "nested too deep"), (5000, "nested too deep")):
        top, _, content = envelope(decrypt.certificate, making.CMS_DER)
        text = content.inner[2].content
        if kind == "indefinite":
            text = b"\x24\x80" * depth + Element(4, text).written() + b"\0\0" * depth
        else:
            text = Element(4, text).written()
            for _ in range(depth):
                text = Element(0x24, text).written()
        content.inner[2] = Element(0xa0, text)
        decrypted(decrypt, top, **({} if words is None else {"words": words}))


@pytest.mark.parametrize("kind", ["definite", "indefinite"])
def test_header_that_is_nested(decrypt, kind):
    """In the place of a recipient, and in the attributes that nobody reads."""
    deep = b""
    for _ in range(1000):
        deep = b"\x30\x80" + deep + b"\0\0" if kind == "indefinite" else Element(0x30, deep).written()
    top, recipients, _ = envelope(decrypt.certificate, making.CMS_DER)
    recipients.inner.append(Element(0x30, deep))
    decrypted(decrypt, top, words="is damaged")
    top, *_ = envelope(decrypt.certificate, making.CMS_DER)
    top.inner[1].inner[0].inner.append(Element(0xa1, deep, kind=kind))
    decrypted(decrypt, top, **({"words": "nested too deep"} if kind == "indefinite" else {}))
