"""Archives as an export has them, and as a forger might have them; and their encryption with stock
OpenSSL."""
import hashlib
import json
import os
import struct
import subprocess
import zlib

MANIFEST = "META-INF/manifest.json"
EXPORT_ID = "0d9f3a52-6f0e-4f57-9d2b-1f3a64c3b5aa"
BLOCK = 16384
MAX32 = 0xffffffff
WHEN = (0x6c2b, 0x5d78)


def deflate(data, level=6):
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


class Entry:
    """One entry. What is given in `lies` stands in the archive instead of the truth: crc, size,
    packed_size, data, central_crc, central_size, central_name, central_offset, central_disk,
    central_comment, central_version, central_packed_size, flags, method, mode, version, extra,
    central_extra."""

    def __init__(self, name, content=b"", known=False, rows=None, **lies):
        self.name = name if isinstance(name, bytes) else name.encode()
        self.content, self.known, self.lies = content, known, lies
        self.rows = content.count(b"\n") if rows is None else rows
        self.data = lies.get("data", deflate(content))
        self.crc, self.size, self.packed = zlib.crc32(content), len(content), len(self.data)

    def lie(self, what, truth):
        return self.lies.get(what, truth)


def manifest(entries, export_id=EXPORT_ID, **more):
    """The manifest of these entries as an Entry."""
    document = {"product": "mod_udm", "exportId": export_id, "window": {"all": True, "from": None},
                **more,
                "entries": [{"name": e.name.decode("latin-1"), "sha256": hashlib.sha256(e.content).hexdigest(),
                             "size": len(e.content), "rows": e.rows} for e in entries]}
    return Entry(MANIFEST, json.dumps(document).encode())


class Volumes:
    """Cuts as an export does: headers whole, data anywhere, no size a multiple of 16 KiB. `data` gets
    (volume, from, to) of what was cut."""

    def __init__(self, limit):
        self.limit = limit - 1 if limit and limit % BLOCK == 0 else limit
        self.done, self.now = [], bytearray(b"PK\7\10" if limit else b"")
        self.data = []

    def next(self):
        if len(self.now) % BLOCK == 0:
            self.now += b"\0"
        self.done.append(bytes(self.now))
        self.now = bytearray()

    def whole(self, data):
        if self.limit and len(self.now) + len(data) + 1 > self.limit:
            self.next()
        at = (len(self.done), len(self.now))
        self.now += data
        return at

    def cut(self, data):
        while data:
            room = self.limit - len(self.now) if self.limit else len(data)
            if room == 0:
                self.next()
                continue
            start = len(self.now)
            self.now += data[:room]
            self.data.append((len(self.done), start, len(self.now)))
            data = data[room:]

    def finish(self):
        return self.done + [bytes(self.now)]


def archive(entries, limit=0, with_manifest=True, in_front=b"", behind=b"", between=b"", count=None,
            directory=None, zip64=False, data=None, comment=b"", **more):
    """The volumes of an archive, one unless `limit` is given. `directory`: the entries that the
    central directory has, when it has others. `data` gets the places of compressed data."""
    entries = list(entries)
    if with_manifest:
        entries.append(manifest(entries, **more))
    out = Volumes(limit)
    out.cut(in_front)
    for e in entries:
        flags = e.lie("flags", 0x800 | (0 if e.known else 8))
        extra = e.lie("extra", b"")
        e.at = out.whole(struct.pack(
            "<IHHHHHIIIHH", 0x04034b50, e.lie("version", 20), flags, e.lie("method", 8), *WHEN,
            e.lie("crc", e.crc) if e.known else 0, e.lie("packed_size", e.packed) if e.known else 0,
            e.lie("size", e.size) if e.known else 0, len(e.name), len(extra)) + e.name + extra)
        out.cut(e.data)
        if not e.known:
            out.whole(struct.pack("<IIII", 0x08074b50, e.lie("crc", e.crc),
                                  e.lie("packed_size", e.packed), e.lie("size", e.size)))
    out.cut(between)
    first, size, here, last = None, 0, 0, None
    for e in entries if directory is None else directory:
        name, extra = e.lie("central_name", e.name), e.lie("central_extra", b"")
        comment_of = e.lie("central_comment", b"")
        record = struct.pack(
            "<IHHHHHHIIIHHHHHII", 0x02014b50, 3 << 8 | 45, e.lie("central_version", 20), e.lie("flags", 0x800 | (0 if e.known else 8)),
            e.lie("method", 8), *WHEN, e.lie("central_crc", e.lie("crc", e.crc)),
            e.lie("central_packed_size", e.lie("packed_size", e.packed)),
            e.lie("central_size", e.lie("size", e.size)), len(name), len(extra), len(comment_of),
            e.lie("central_disk", e.at[0]), 0, e.lie("mode", 0o100600) << 16,
            e.lie("central_offset", e.at[1])) + name + extra + comment_of
        at = out.whole(record)
        first = first or at
        here = here + 1 if last == at[0] else 1
        last = at[0]
        size += len(record)
    total = len(entries) if count is None else count
    first = first or (len(out.done), len(out.now))
    if out.limit and len(out.now) + 24 > out.limit:
        out.next()
        here = 0
    disk = len(out.done)
    end64 = b""
    if zip64:
        end64 = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 3 << 8 | 45, 45, disk, first[0], here, total, size, first[1])
        end64 += struct.pack("<IIQI", 0x07064b50, disk, len(out.now), disk + 1)
        here, total = min(here, 0xffff), min(total, 0xffff)
    end = end64 + struct.pack("<IHHHHIIH", 0x06054b50, disk, first[0], here if count is None else count, total,
                      size, first[1], len(comment)) + comment
    if (len(out.now) + len(end)) % BLOCK == 0 and limit:
        end = end[:-2] + b"\1\0\n"
    out.whole(end + behind)
    if data is not None:
        data += out.data
    return out.finish()


class Bits:
    """Deflate, bit by bit (RFC 1951)."""

    def __init__(self):
        self.value, self.size = 0, 0

    def put(self, value, size):
        self.value |= value << self.size
        self.size += size
        return self

    def code(self, codes, symbol):
        """A Huffman code goes from its top bit on."""
        value, size = codes[symbol]
        for n in range(size):
            self.put(value >> (size - 1 - n) & 1, 1)
        return self

    def end(self, padding=0):
        while self.size % 8:
            self.put(padding, 1)
        return self.value.to_bytes(self.size // 8, "little")

    @staticmethod
    def codes(lengths):
        """{symbol: length} to {symbol: (code, length)}."""
        result, code, last = {}, 0, 0
        for size, symbol in sorted((size, symbol) for symbol, size in lengths.items()):
            code <<= size - last
            result[symbol] = (code, size)
            code, last = code + 1, size
        return result

    def dynamic(self, literals, distances, lengths=None, last=1, hlit=None, hdist=None):
        """The header of a block. `lengths`: of the codes that the lengths are written in."""
        hlit = max([256, *literals]) + 1 if hlit is None else hlit
        hdist = max([0, *distances]) + 1 if hdist is None else hdist
        lengths = dict.fromkeys(range(16), 4) if lengths is None else lengths
        self.put(last, 1).put(2, 2).put(hlit - 257, 5).put(hdist - 1, 5).put(15, 4)
        for symbol in (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15):
            self.put(lengths.get(symbol, 0), 3)
        how = self.codes(lengths)
        for n in range(hlit):
            self.code(how, literals.get(n, 0))
        for n in range(hdist):
            self.code(how, distances.get(n, 0))
        return self.codes(literals), self.codes(distances)


def part_names(count, ending="smime", export_id=EXPORT_ID):
    return [f"export-{export_id}.z{n:02d}.{ending}" for n in range(1, count)] + \
        [f"export-{export_id}.zip.{ending}"]


# How stock OpenSSL encrypts; what the certificate is for decides between RSA and ECDH.
SMIME = ("smime", "-encrypt", "-aes256", "-binary")
CMS_TEXT = ("cms", "-encrypt", "-aes256", "-binary", "-stream", "-outform", "SMIME")
CMS_DER = ("cms", "-encrypt", "-aes256", "-binary", "-outform", "DER")
CMS_BER = ("cms", "-encrypt", "-aes256", "-binary", "-stream", "-outform", "DER")
GCM = ("cms", "-encrypt", "-aes-256-gcm", "-binary", "-outform", "DER")
GCM_BER = ("cms", "-encrypt", "-aes-256-gcm", "-binary", "-stream", "-outform", "DER")
GCM_TEXT = ("cms", "-encrypt", "-aes-256-gcm", "-binary", "-stream", "-outform", "SMIME")


def encrypt(data, certificate, how=SMIME, options=()):
    """The envelope of these bytes."""
    recipient = ("-recip", certificate.path) if options else (certificate.path,)
    done = subprocess.run(["openssl", *how, *recipient, *options], input=data,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def write_parts(directory, volumes, certificate, how=SMIME, options=(), export_id=EXPORT_ID):
    """Encrypts volumes into a directory; gives the paths."""
    ending = "p7m" if "DER" in how else "smime"
    paths = []
    for name, volume in zip(part_names(len(volumes), ending, export_id), volumes):
        paths.append(os.path.join(directory, name))
        with open(paths[-1], "wb") as f:
            f.write(encrypt(volume, certificate, how, options))
    return paths


def noise(size, seed=1):
    """Text that deflate halves."""
    out, state = bytearray(), hashlib.sha256(str(seed).encode()).digest()
    while len(out) < size:
        state = hashlib.sha256(state).digest()
        out += state.hex().encode() + b"\n"
    return bytes(out[:size])


def some_entries():
    return [Entry("Chat-12.json", b'{"a":1}\n'), Entry("empty.json"),
            Entry("known.json", noise(100000, 1), known=True),
            Entry("G%C3%A4ste-12.json", noise(200000, 2)), Entry("last.json", noise(70, 3), known=True)]
