"""Both encryption modes, as stock OpenSSL writes them."""
import re
import subprocess

import pytest

from decrypt import making
from decrypt.making import archive, encrypt, some_entries, write_parts

OAEP = ("-keyopt", "rsa_padding_mode:oaep")
OAEP_SHA256 = (*OAEP, "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256")
WAYS = {
    "smime": (making.SMIME, ()), "cms text": (making.CMS_TEXT, ()), "cms der": (making.CMS_DER, ()),
    "cms ber": (making.CMS_BER, ()), "gcm der": (making.GCM, ()), "gcm ber": (making.GCM_BER, ()),
    "gcm text": (making.GCM_TEXT, ()), "gcm oaep": (making.GCM_BER, OAEP),
    "gcm oaep sha256": (making.GCM_BER, OAEP_SHA256), "cbc oaep": (making.CMS_BER, OAEP_SHA256),
}


def check(decrypt, entries, target="out"):
    found = decrypt.tree(target)
    manifest = found.pop(making.MANIFEST)
    assert manifest == making.manifest(entries).content
    assert found == {e.name.decode(): e.content for e in entries}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("limit", [0, 65536])
def test_openssl(decrypt, keys, way, limit):
    how, options = WAYS[way]
    entries = some_entries()
    files = write_parts(decrypt.directory, archive(entries, limit), keys["rsa"], how, options)
    assert (len(files) > 1) == bool(limit)
    done = decrypt.good("-o", "out", *reversed(files))
    assert "not proven" in done.stderr
    check(decrypt, entries)


@pytest.mark.parametrize("how", [making.CMS_DER, making.GCM, making.GCM_BER])
def test_ec(decrypt, keys, how):
    entries = some_entries()
    files = write_parts(decrypt.directory, archive(entries), keys["ec"], how)
    decrypt.good("-o", "out", *files, key=keys["ec"].key_path)
    check(decrypt, entries)
    decrypt.bad("-o", "no", *files, words="this key does not open it", target="no")


@pytest.mark.parametrize("how", [making.CMS_DER, making.GCM_TEXT])
def test_several_recipients(decrypt, keys, how):
    """Whoever of them, and whichever stands first."""
    data = archive(some_entries())[0]
    for order in (("other", "rsa", "ec"), ("ec", "rsa", "other")):
        first, *more = (keys[name] for name in order)
        text = encrypt(data, first, how, sum((("-recip", c.path) for c in more), ()))
        with open(decrypt.path("f"), "wb") as f:
            f.write(text)
        for name in order:
            decrypt.good("--test", "f", key=keys[name].key_path)


@pytest.mark.parametrize("way", WAYS)
def test_wrong_key(decrypt, keys, way):
    how, options = WAYS[way]
    files = write_parts(decrypt.directory, archive(some_entries()), keys["rsa"], how, options)
    decrypt.bad("-o", "out", *files, key=keys["other"].key_path, words="this key does not open it")
    decrypt.bad("-o", "out", *files, key=keys["ec"].key_path, words="this key does not open it")


def variants(text):
    """The same S/MIME text as other mailers write it."""
    head, _, body = text.partition(b"\n\n")
    lines = head.split(b"\n")
    yield text.replace(b"\n", b"\r\n")
    yield b"\n".join(reversed(lines)) + b"\n\n" + body
    yield b"\n".join(line.upper() if line.startswith(b"Content-T") else line.lower() for line in lines) \
        + b"\n\n" + body
    yield b"X-Folded: a\n b\n\tc\nFrom: somebody\n" + text
    yield re.sub(rb"(?i)application/(x-)?pkcs7-mime", b"application/pkcs7-mime", text)
    yield head + b"\n\n" + body.replace(b"\n", b"")
    yield head + b"\n\n" + body.replace(b"\n", b" \t\r\n\r\n")
    yield head + b"\n\n" + body.rstrip(b"\n")


def test_text_of_other_mailers(decrypt, keys):
    text = encrypt(archive(some_entries())[0], keys["rsa"])
    for variant in variants(text):
        with open(decrypt.path("f"), "wb") as f:
            f.write(variant)
        decrypt.good("--test", "f")


@pytest.mark.parametrize("content,words", [
    (b"", "is empty"),
    (b"hello\n", "neither S/MIME text nor DER"),
    (b"\n", "neither S/MIME text nor DER"),
    (b"Subject: x\n" * 5000, "neither S/MIME text nor DER"),
    (b"Content-Type: text/plain\n\nhello\n", "Content-Type"),
    (b"Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: 8bit\n\nhello\n",
     "Content-Transfer-Encoding"),
    (b"Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\nMA*=\n", "base64"),
    (b"Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\nMAA=MAA=\n", "base64"),
    (b"Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\nMIAG\n", "cut short"),
    (b"0", "cut short"), (b"0\x80\0\0", "is damaged"), (b"0" + b"\x89" + b"\1" * 9, "is damaged"),
    (b"0\x88\x7f" + b"\xff" * 7 + b"\6\1", "is damaged"),
    (b"0\x80" * 500, "is damaged"), (b"\x30\x03\x06\x05\x01", "is damaged"),
])
def test_no_envelope(decrypt, content, words):
    with open(decrypt.path("f"), "wb") as f:
        f.write(content)
    decrypt.bad("-o", "out", "f", words=words)


def test_other_kinds_of_cms(decrypt, keys):
    data = archive(some_entries())[0]
    for how, words in ((("cms", "-data_create", "-outform", "DER"), "another kind"),
                       (("cms", "-encrypt", "-des3", "-binary", "-outform", "DER"), "neither AES"),
                       (("cms", "-encrypt", "-aes-256-ctr", "-binary", "-outform", "DER"), "is encrypted")):
        recipient = [keys["rsa"].path] if "-encrypt" in how else []
        done = subprocess.run(["openssl", *how, *recipient], input=data, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        if done.returncode != 0:
            continue  # this OpenSSL does not make that
        with open(decrypt.path("f"), "wb") as f:
            f.write(done.stdout)
        decrypt.bad("-o", "out", "f", words=words)


def test_behind_the_end(decrypt, keys):
    data = archive(some_entries())[0]
    for how in (making.CMS_DER, making.GCM_BER):
        with open(decrypt.path("f"), "wb") as f:
            f.write(encrypt(data, keys["rsa"], how) + b"x")
        decrypt.bad("-o", "out", "f", words="behind its end")
