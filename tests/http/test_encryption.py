"""How files are encrypted: what UDMEncryption says where a job is sent to, unless the contact centre
has a way of its own; and the certificates that go with it."""
import pytest

from udmtest.answers import problem
from udmtest.crypto import Certificate, ec_key, with_rsa_numbers
from udmtest.site import CENTRES, Site

CENTRE = CENTRES[0]
NAME = {"smime": ".zip.smime", "cms-gcm": ".zip.p7m"}


@pytest.fixture(scope="module")
def both(env):
    """/udm has the default, /modern cms-gcm but for its v4."""
    result = Site(env)
    result.httpd.mounts = {"/modern": ["UDMEncryption cms-gcm"]}
    result.httpd.after = ['<Location "/modern/v4">', "UDMEncryption smime", "</Location>"]
    result.start_httpd()
    result.start_worker()
    yield result
    result.close()


@pytest.fixture
def site(both):
    """With the usual certificate, and nothing said for the contact centre."""
    both.sql("SELECT udm.set_encryption(%s, NULL)", [CENTRE])
    both.upload_certificate()
    return both


@pytest.fixture(scope="module")
def ec(env):
    return Certificate(env.make_directory("keys"), "ec", key=ec_key("P-384"))


def later(client, **more):
    """The body of a job that waits."""
    return client.job(data_type="Contact", schedule={"startDate": "2099-01-01T00:00:00Z"}, **more)


def kept(site, job):
    return site.sql("SELECT encryption FROM udm.job WHERE id = %s", [job["id"]])[0][0]


def exported(client):
    run = client.wait_job(client.create_job(data_type="Contact")["id"])
    name = run["fileName"]
    assert [f["name"] for f in client.files(run["id"])] == [name]
    return name


@pytest.mark.parametrize("of_centre", [None, "smime", "cms-gcm"])
@pytest.mark.parametrize("mount, here", [("/udm", "smime"), ("/modern", "cms-gcm")])
def test_files(site, mount, here, of_centre):
    site.sql("SELECT udm.set_encryption(%s, %s)", [CENTRE, of_centre])
    assert exported(site.client(mount=mount)).endswith(NAME[of_centre or here])


def test_a_job_keeps_what_held_where_it_was_sent(site):
    old, new = site.client(), site.client(mount="/modern")
    jobs = {"smime": old.post("/v10/export/jobs", json=later(old)).json(),
            "cms-gcm": new.post("/v10/export/jobs", json=later(new)).json()}
    for word, job in jobs.items():
        assert kept(site, job) == word
    # A PUT is a new definition; anything else is none.
    job = jobs["smime"]
    for action in ("suspend", "resume"):
        assert new.post(f"/v10/export/jobs/{action}/{job['id']}").status_code == 200
    assert kept(site, job) == "smime"
    for client, word in ((new, "cms-gcm"), (old, "smime"), (new, "cms-gcm")):
        assert client.put(f"/v10/export/jobs/{job['id']}", json=later(client)).status_code == 200
        assert kept(site, job) == word


def test_a_section_within(site):
    client = site.client(mount="/modern")
    v4 = client.post("/v4/export/jobs", json=later(client))
    assert v4.status_code == 202, v4.text
    assert kept(site, v4.json()) == "smime"


def test_what_waits_goes_by_the_centre(site):
    """What is set for a contact centre holds for runs that are begun from then on."""
    client = site.client()
    job = client.post("/v10/export/jobs", json=client.job(
        data_type="Contact", schedule={"immediately": True}, suspended=True)).json()
    site.sql("SELECT udm.set_encryption(%s, 'cms-gcm')", [CENTRE])
    assert client.post(f"/v10/export/jobs/resume/{job['id']}").status_code == 200
    assert client.wait_job(job["id"])["fileName"].endswith(".p7m")


@pytest.mark.parametrize("of_centre, mount, taken", [
    (None, "/udm", False), (None, "/modern", True), ("smime", "/modern", False), ("cms-gcm", "/udm", True)])
def test_ec_certificate(site, ec, of_centre, mount, taken):
    site.sql("SELECT udm.set_encryption(%s, %s)", [CENTRE, of_centre])
    before = site.sql("SELECT fingerprint FROM udm.certificate WHERE ccid = %s", [CENTRE])
    answer = site.client(mount=mount).upload_certificate(ec.pem)
    if taken:
        assert answer.status_code == 201, answer.text
        assert exported(site.client(mount=mount)).endswith(".p7m")
    else:
        detail = problem(answer, 400)["detail"]
        assert "EC key" in detail and "UDMEncryption cms-gcm" in detail and "RSA" in detail
        assert site.sql("SELECT fingerprint FROM udm.certificate WHERE ccid = %s", [CENTRE]) == before


def test_other_curves(site, env):
    from cryptography.hazmat.primitives.asymmetric import ec as curves
    directory = env.make_directory("keys")
    client = site.client(mount="/modern")
    for curve in (curves.SECP256K1(), curves.BrainpoolP256R1(), curves.SECP224R1()):
        pem = Certificate(directory, key=curves.generate_private_key(curve)).pem
        assert "P-256, P-384 or P-521" in problem(client.upload_certificate(pem), 400)["detail"]
    for name in ("P-256", "P-384", "P-521"):
        assert client.upload_certificate(Certificate(directory, key=ec_key(name)).pem).status_code == 201


ODD = {"exponent 1": {"exponent": 1}, "exponent 0": {"exponent": 0}, "exponent 2": {"exponent": 2},
       "exponent 3": {"exponent": 3}, "even": {"exponent": 65538}, "negative": {"exponent": -65537},
       "as large as the modulus": {"exponent": (1 << 2048) + 1}, "huge": {"exponent": (1 << 16383) + 1},
       "even modulus": {"modulus": 1 << 2047}, "negative modulus": {"modulus": -(1 << 2047) - 1},
       "a power": {"modulus": ((1 << 1279) - 1) ** 2}, "a prime": {"modulus": (1 << 2203) - 1}}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("mount", ["/udm", "/modern"])
def test_odd_keys(site, mount, odd):
    """Nobody could read what is encrypted to them, or everybody could."""
    before = site.sql("SELECT fingerprint FROM udm.certificate WHERE ccid = %s", [CENTRE])
    pem = with_rsa_numbers(site.env.certificate, **ODD[odd])
    answer = site.client(mount=mount).upload_certificate(pem)
    assert "the certificate's RSA key is" in problem(answer, 400)["detail"] or \
        "the certificate's key is unsafe" in problem(answer, 400)["detail"]
    assert site.sql("SELECT fingerprint FROM udm.certificate WHERE ccid = %s", [CENTRE]) == before


def test_odd_keys_that_are_stored(site):
    """From a time when they were taken: no job is, and a run says why."""
    client = site.client()
    job = client.post("/v10/export/jobs", json=client.job(
        data_type="Contact", schedule={"immediately": True}, suspended=True)).json()

    def store(**numbers):
        site.sql("UPDATE udm.certificate SET pem = %s WHERE ccid = %s",
                 [with_rsa_numbers(site.env.certificate, **numbers), CENTRE])
    for numbers, words in (({"exponent": 1}, "public exponent must be odd"),
                           ({"modulus": (1 << 2203) - 1}, "the certificate's key is unsafe")):
        store(**numbers)
        for worker in site.workers:
            worker.allow_log(words)
        if "exponent" in numbers:
            assert words in problem(client.post("/v10/export/jobs", json=later(client)), 400)["detail"]
        assert client.post(f"/v10/export/jobs/resume/{job['id']}").status_code == 200
        run = client.wait_job(job["id"], "FAILED")
        assert words in run["statusReason"] and client.files(run["id"]) == []
        site.upload_certificate()
        job = client.post("/v10/export/jobs", json=client.job(
            data_type="Contact", schedule={"immediately": True}, suspended=True)).json()


def test_other_certificates(site, env):
    """What is odd and harmless is taken: dates at both ends of time, a name with a NUL in it."""
    client = site.client()
    directory = env.make_directory("keys")
    for certificate in (Certificate(directory, days=365 * 7900), Certificate(directory, subject="a\0b")):
        assert client.upload_certificate(certificate.pem).status_code == 201
        assert exported(client).endswith(".smime")


def test_a_job_that_could_not_be_encrypted(site, ec):
    """An EC certificate that is stored, where smime holds: no job is taken, and no PUT."""
    old, new = site.client(), site.client(mount="/modern")
    waiting = old.post("/v10/export/jobs", json=later(old)).json()
    assert new.upload_certificate(ec.pem).status_code == 201
    count = site.sql("SELECT count(*) FROM udm.job")
    for answer in (old.post("/v10/export/jobs", json=later(old)),
                   old.post("/v10/export/jobs", json=old.job()),
                   old.post("/v10/export/jobs", json=later(old), headers={"Idempotency-Key": "ec"}),
                   new.post("/v4/export/jobs", json=later(new)),
                   old.put(f"/v10/export/jobs/{waiting['id']}", json=later(old))):
        detail = problem(answer, 400)["detail"]
        assert "UDMEncryption cms-gcm" in detail and "/cipher/" in detail
    assert site.sql("SELECT count(*) FROM udm.job") == count and kept(site, waiting) == "smime"
    # Each of them is fine where cms-gcm holds.
    assert new.post("/v10/export/jobs", json=later(new), headers={"Idempotency-Key": "ec"}).status_code == 202
    assert new.put(f"/v10/export/jobs/{waiting['id']}", json=later(new)).status_code == 200
    site.sql("SELECT udm.set_encryption(%s, 'cms-gcm')", [CENTRE])
    assert old.post("/v10/export/jobs", json=later(old)).status_code == 202
    site.sql("SELECT udm.set_encryption(%s, 'smime')", [CENTRE])
    problem(new.post("/v10/export/jobs", json=later(new)), 400)


def test_a_run_that_cannot_be_encrypted(site, ec):
    """The job was taken when all was well; its run says what is wrong now, and leaves nothing."""
    client = site.client()
    job = client.post("/v10/export/jobs", json=client.job(
        data_type="Contact", schedule={"immediately": True}, suspended=True)).json()
    assert site.client(mount="/modern").upload_certificate(ec.pem).status_code == 201
    for worker in site.workers:
        worker.allow_log("EC key")
    assert client.post(f"/v10/export/jobs/resume/{job['id']}").status_code == 200
    run = client.wait_job(job["id"], "FAILED")
    assert "EC key" in run["statusReason"] and "UDMEncryption cms-gcm" in run["statusReason"]
    assert client.files(run["id"]) == []


def test_other_centres_are_not_touched(site):
    site.sql("SELECT udm.set_encryption(%s, 'cms-gcm')", [CENTRE])
    client = site.client(CENTRES[1])
    site.upload_certificate(CENTRES[1])
    assert exported(client).endswith(".smime")
