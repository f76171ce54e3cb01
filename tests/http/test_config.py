"""What is wrong in the configuration is said by apache2 -t: directive, value, what is allowed."""
import os
import re

import pytest

from udmtest.httpd import Httpd
from udmtest.site import Site


@pytest.fixture(scope="module")
def site(env):
    """An installation whose httpd is checked and never started."""
    result = Site(env, "empty")
    yield result
    result.close()


@pytest.fixture
def httpd(site):
    """A configuration of its own for each test."""
    return Httpd(site.env, site.env.make_directory(site.name, site.env.unique("conf")),
                 site.env.postgres.dsn(site.database, "udm_httpd"),
                 [f"UDMStore {site.store}", f"UDMLinkKeyFile {site.link_key_file}"])


def refused(httpd, *words):
    status, text = httpd.check()
    assert status != 0, text
    for word in words:
        assert word in text, text
    assert "Syntax OK" not in text


def accepted(httpd):
    status, text = httpd.check()
    assert status == 0 and "Syntax OK" in text, text


def test_good(httpd):
    accepted(httpd)


@pytest.mark.parametrize("line, words", [
    ("UDMRetention 0", ["UDMRetention", '"0"', "1 to 3650"]),
    ("UDMRetention 9999", ["3650"]), ("UDMRetention soon", ["soon"]),
    ("UDMHistoryRetention 0", ["UDMHistoryRetention", '"forever"', "1 to 36500"]),
    ("UDMTombstoneRetention never", ["never", '"forever"']), ("UDMAuditRetention 29", ["30 to 36500"]),
    ("UDMWorkerSlots 65", ["UDMWorkerSlots", "1 to 64"]),
    ("UDMMaxPartSize 1KiB", ["UDMMaxPartSize", "65536"]),
    ("UDMMaxPartSize lots", ["lots", "KiB"]),
    ("UDMMaxParts 0", ["UDMMaxParts", "1 to 100000"]),
    ("UDMMaxParts 100001", ["UDMMaxParts", "1 to 100000"]),
    ("UDMMaxRow 1KiB", ["UDMMaxRow", "65536"]),
    ("UDMMaxRow none", ["none", "KiB"]),
    ("UDMWorker perhaps", ["UDMWorker", "perhaps", "On or Off"]),
    ('UDMWorkerDatabase "host=x password=hidden123"', ["UDMWorkerDatabase", "passfile="]),
    ('UDMWorkerDatabase "postgresql://u:hidden123@h/d"', ["passfile="]),
    ('UDMWorkerDatabase "hidden123 nonsense"', ["UDMWorkerDatabase", "libpq"]),
    ("UDMStore /does/not/exist", ["UDMStore", "/does/not/exist", "directory"]),
    ("UDMSourceDir /does/not/exist", ["UDMSourceDir"]),
    ("UDMSpoolDir /does/not/exist", ["UDMSpoolDir"]),
    ("UDMVersions", ["UDMVersions", "v10, v4 or v3"]), ("UDMVersions v10 v5", ['"v5"', "v10, v4 or v3"]),
    ("UDMVersions none", ["UDMVersions"]), ("UDMEnvelope boxed", ["UDMEnvelope", "bare or wrapped"]),
    ("UDMEncryption aes", ["UDMEncryption", '"aes"', "smime or cms-gcm"]), ("UDMEncryption smime cms-gcm", [""]),
    ("UDMSunset soon", ["UDMSunset", "none", "YYYY-MM-DD"]), ("UDMSunset 2025-12-31", ["2026-01-01"]),
    ("UDMSunset 2027-02-29", ["UDMSunset"]),
    ("UDMRequire everything", ["UDMRequire", "default, key, token, both or any"]),
    ("UDMPublicURL api.example.com", ["UDMPublicURL", "https://"]),
    ("UDMPublicURL https://h/?x=1", ["UDMPublicURL"]), ("UDMPublicURL ftp://h/", ["UDMPublicURL"]),
    ("UDMLinkTTL 8d", ["UDMLinkTTL"]), ("UDMLinkTTL 0", ["7 days"]), ("UDMLinkTTL 700000", ["7 days"]),
    ("UDMTokenSkew -1", ["UDMTokenSkew"]), ("UDMKeyCache 6s", ["UDMKeyCache", "5 s"]),
    ("UDMKeyCache 0", ["UDMKeyCache", "Off"]), ("UDMMaxBody 10", ["UDMMaxBody", "1024"]),
    ("UDMTokenIssuer \"\"", ["UDMTokenIssuer"]), ("UDMCertificateUpload x", ["On or Off"]),
    ("UDM On", ["UDM", "not allowed"]),
    ('<Directory "/">\nUDM On\n</Directory>', ["UDM On", "<Location"]),
    ('<LocationMatch "^/x">\nUDM On\n</LocationMatch>', ["UDM On", "<Location"]),
    ('<Location ~ "^/x">\nUDM On\n</Location>', ["UDM On", "<Location"]),
    ('<Location "/x*">\nUDM On\n</Location>', ["UDM On", "<Location"]),
    ('<Location "/x//y">\nUDM On\n</Location>', ["UDM On", "<Location"]),
    ('<Location "//x">\nUDM On\n</Location>', ["UDM On", "<Location"]),
    ('<Location "/x/../y">\nUDM On\n</Location>', ["UDM On", "<Location"]),
    ('<Location "/x/./">\nUDM On\n</Location>', ["UDM On", "<Location"]),
    ('<Location "/x">\n<If "true">\nUDM On\n</If>\n</Location>', ["UDM On", "<Location"]),
    ('<Location "/x">\nUDM Perhaps\n</Location>', ["On or Off"]),
    ('<Location "/x">\nRequire udm-role\n</Location>', ["udm-role"]),
    ('<VirtualHost *:1>\nUDMStore /tmp\n</VirtualHost>', ["UDMStore", "VirtualHost"])])
def test_bad_value(httpd, line, words):
    httpd.server = line.split("\n")
    status, text = httpd.check()
    assert status != 0
    for word in words:
        assert word in text, text
    assert "hidden123" not in text


@pytest.mark.parametrize("line", [
    "UDMRetention 3650", "UDMHistoryRetention 1", "UDMHistoryRetention Forever", "UDMTombstoneRetention 36500",
    "UDMAuditRetention 30", "UDMMaxPartSize 64KiB", "UDMMaxParts 1", "UDMMaxRow 64KiB", "UDMLinkTTL 7200s",
    "UDMLinkTTL 10", "UDMTokenSkew 0",
    "UDMKeyCache off", "UDMKeyCache 5s", "UDMKeyCache 100ms",
    "UDMVersions v3", "UDMVersions v3 v10 v4", "UDMEnvelope Wrapped", "UDMSunset 2026-01-01",
    "UDMSunset 2027-06-30T12:00:00+02:00", "UDMSunset None", "UDMEncryption smime", "UDMEncryption CMS-GCM",
    "UDMPublicURL http://localhost:8080/udm/", "UDMRequire Both", "UDMMaxBody 1KiB",
    '<IfModule udm_module>\n<Location "/x/">\nUDM On\n</Location>\n</IfModule>',
    '<Location "/x">\n<IfModule udm_module>\nUDM On\n</IfModule>\n</Location>',
    '<Location "/">\nUDM On\n</Location>',
    '<VirtualHost *:1>\n<Location "/x">\nUDM On\n</Location>\n</VirtualHost>'])
def test_good_value(httpd, line):
    httpd.server = line.split("\n")
    accepted(httpd)


def test_what_udm_on_needs(httpd):
    settings = httpd.settings
    httpd.settings = settings[1:]
    refused(httpd, "UDM On", "needs UDMStore")
    httpd.settings = settings[:1]
    refused(httpd, "needs UDMLinkKeyFile")
    httpd.settings, dbd = settings, httpd.dbd
    httpd.dbd = ["DBDMin 0"]
    refused(httpd, "DBDriver pgsql")
    httpd.dbd = []
    httpd.modules = [m for m in httpd.modules if m != "dbd"]
    refused(httpd, "load mod_dbd")
    assert dbd


@pytest.mark.parametrize("lines, asked", [
    ([], True), (["UDMRequire default"], True), (["UDMRequire both"], True), (["UDMRequire token"], True),
    (["UDMVersions v10 v3"], True), (["UDMVersions v4", "UDMRequire token"], True), (["UDMRequire key"], False),
    (["UDMRequire any"], False), (["UDMVersions v4 v3"], False), (["UDMVersions v3", "UDMRequire default"], False)])
@pytest.mark.parametrize("where", ["location", "server"])
def test_no_keys_for_tokens(httpd, lines, asked, where):
    """Said where a token is asked for, and there alone."""
    httpd.base_location = [line for line in httpd.base_location if "UDMTokenKeys" not in line]
    setattr(httpd, where, lines)
    status, text = httpd.check()
    assert status == 0, text
    assert ("UDM0021" in text) == asked, text


def test_the_second_mount_of_the_readme(site, httpd):
    """It is taken as it stands there, beside the first one, by who has no token issuer."""
    with open(os.path.join(site.env.top, "README.md"), encoding="utf-8") as f:
        snippets = re.findall(r"```apache\n(.*?)```", f.read(), re.S)
    second = next(s for s in snippets if '<Location "/data-download">' in s)
    first = next(s for s in snippets if '<Location "/udm">' in s)
    httpd.server = second.split("\n") + first[first.index("<Location"):].split("\n")
    httpd.base_location = [*httpd.base_location, "UDMRequire key"]
    status, text = httpd.check()
    assert status == 0 and "UDM0021" not in text, text


def test_link_key_file(site, httpd):
    path = os.path.join(httpd.directory, "keys")
    httpd.settings[1] = f"UDMLinkKeyFile {path}"
    refused(httpd, "UDMLinkKeyFile", path, "cannot be read")
    for content, mode, word in (("ab12\n", 0o600, "64"), ("x" * 64 + "\n", 0o600, "hex"),
                                ("", 0o600, ""), ("12" * 32 + "\n", 0o604, "everybody")):
        with open(path, "w", encoding="ascii") as f:
            f.write(content)
        os.chmod(site.env.account.own(path), mode)
        refused(httpd, "UDMLinkKeyFile", path, word)
        status, text = httpd.check()
        assert not content.strip() or content.strip() not in text
    with open(path, "w", encoding="ascii") as f:
        f.write("12" * 32 + "\n")
    os.chmod(path, 0o600)
    accepted(httpd)


def test_token_keys(site, httpd):
    path = os.path.join(httpd.directory, "jwks.json")
    httpd.location = [f"UDMTokenKeys {path}"]
    refused(httpd, "UDMTokenKeys", path, "cannot be read")
    for content in ("", "nonsense", "{}", '{"keys":[]}', '{"keys":[{"kty":"oct","k":"AAAA"}]}'):
        with open(path, "w", encoding="ascii") as f:
            f.write(content)
        site.env.account.own(path)
        refused(httpd, "UDMTokenKeys", path)


def test_what_the_worker_needs(site, httpd):
    httpd.server = ["UDMWorker On"]
    refused(httpd, "UDMWorkerDatabase", "UDMSourceDir", "UDM0017")
    httpd.server = [f"UDMWorker On {site.env.worker}", f"UDMSourceDir {site.sources}",
                    'UDMWorkerDatabase "host=/nowhere dbname=udm user=udm_worker"']
    accepted(httpd)
    httpd.server[0] = "UDMWorker On /does/not/exist"
    refused(httpd, "/does/not/exist", "cannot be executed")
    httpd.server[0] = f"UDMWorker On {site.sources}"
    refused(httpd, site.sources, "is a directory")


def test_dump(site, httpd):
    httpd.server = [f"UDMSourceDir {site.sources}", f"UDMSpoolDir {site.spool}", "UDMWorkerSlots 3",
                    "UDMRetention 7", "UDMMaxPartSize 1MiB", "UDMMaxParts 7", "UDMMaxRow 2MiB",
                    "UDMHistoryRetention 400", "UDMAuditRetention 1000",
                    'UDMWorkerDatabase "host=/nowhere dbname=udm user=udm_worker passfile=/x"']
    httpd.write()
    done = site.env.account.run(["/usr/sbin/apache2", "-t", "-D", "DUMP_UDM_WORKER", "-f", httpd.conf],
                                env=httpd.environment())
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    settings = dict(lines)
    assert len(settings) == len(lines)
    assert settings["database"] == "host=/nowhere dbname=udm user=udm_worker passfile=/x"
    assert (settings["store"], settings["source-dir"], settings["spool-dir"]) == \
        (site.store, site.sources, site.spool)
    assert (settings["retention"], settings["max-part-size"], settings["slots"]) == ("7", "1048576", "3")
    assert (settings["max-parts"], settings["max-row"]) == ("7", "2097152")
    assert [settings[f"{kind}-retention"] for kind in ("history", "tombstone", "audit")] == ["400", "0", "1000"]
    assert set(settings) <= {"database", "store", "source-dir", "spool-dir", "retention", "history-retention",
                             "tombstone-retention", "audit-retention", "max-part-size", "max-parts", "max-row",
                             "slots", "user", "group"}
    httpd.server = []
    refused_status, text = httpd.check("-D", "DUMP_UDM_WORKER")
    assert refused_status != 0 and "needs UDMWorkerDatabase" in text


def test_dump_names_user_and_group(site, httpd):
    httpd.server = ["User www-data", "Group www-data", f"UDMSourceDir {site.sources}",
                    'UDMWorkerDatabase "dbname=udm"']
    status, text = httpd.check("-D", "DUMP_UDM_WORKER")
    assert status == 0 and "user www-data\ngroup www-data\n" in text


def test_sample_configuration(site, httpd):
    """conf/udm.conf is taken as it is, but for its paths."""
    with open(os.path.join(site.env.top, "conf", "udm.conf"), encoding="utf-8") as f:
        sample = f.read()
    for path, here in (("/var/lib/udm/store", site.store), ("/etc/udm/link.key", site.link_key_file),
                       ("/etc/udm/sources", site.sources), ("/var/lib/udm/spool", site.spool),
                       ("/etc/udm/jwks.json", site.env.tokens.jwks_path)):
        assert path in sample
        sample = sample.replace(path, here)
    # what is commented out is taken, too
    full = sample.replace("#UDM", "UDM").replace("UDMWorker On", f"UDMWorker On {site.env.worker}")
    head = httpd.config().split("DBDriver")[0]
    for text in (sample, full):
        status, said = httpd.check(text=head + text)
        assert status == 0, said


def test_connections_of_the_samples_fit_debian(site):
    """6 children, two generations of them in a graceful restart; a worker of one slot, and four that
    still finish their runs; max_connections 100, 3 of them for superusers."""
    for name in ("conf/udm.conf", "README.md"):
        with open(os.path.join(site.env.top, name), encoding="utf-8") as f:
            most = [int(n) for n in re.findall(r"^\s*DBDMax +(\d+)$", f.read(), re.M)]
        assert most, name
        for number in most:
            assert 2 * 6 * number + 5 * (2 + 3 * 1) <= 100 - 3, f"{name}: DBDMax {number}"


def test_every_directive_is_in_the_sample(site):
    with open(os.path.join(site.env.top, "mod_udm", "httpd", "directive.c"), encoding="utf-8") as f:
        table = f.read()
    with open(os.path.join(site.env.top, "mod_udm", "httpd", "config.c"), encoding="utf-8") as f:
        source = f.read()
    with open(os.path.join(site.env.top, "conf", "udm.conf"), encoding="utf-8") as f:
        sample = f.read()
    names = re.findall(r'AP_INIT_\w+\(\s*"(\w+)"', table)
    assert len(names) == len(set(names)) >= 24
    for name in names:
        assert re.search(rf"^\s*#?{name} ", sample, re.M), f"{name} is not in conf/udm.conf"
    # and every setting of a section has its rule for merging
    with open(os.path.join(site.env.top, "mod_udm", "httpd", "config.h"), encoding="utf-8") as f:
        struct = re.search(r"struct udm_dir_t \{(.*?)\} udm_dir_t", f.read(), re.S)[1]
    fields = re.findall(r"(\w+);", re.sub(r"/\*.*?\*/", "", struct))
    assert len(fields) >= 16
    for field in fields:
        assert f"dir->{field} = add->{field};" in source, f"{field} is not merged"
