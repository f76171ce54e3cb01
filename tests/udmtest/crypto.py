"""Keys, certificates and tokens as a customer and an identity provider would make them."""
import base64
import datetime
import json
import os
import subprocess
import time
import uuid

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID


def rsa_key(bits=2048):
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def ec_key(curve="P-256"):
    return ec.generate_private_key({"P-256": ec.SECP256R1, "P-384": ec.SECP384R1,
                                    "P-521": ec.SECP521R1}[curve]())


def private_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption()).decode()


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM,
                                         serialization.PublicFormat.SubjectPublicKeyInfo).decode()


class Certificate:
    """A self-signed certificate and its key, also as files. days may be negative: expired; with
    seconds, it is valid for so long from now."""

    def __init__(self, directory, name="customer", key=None, days=365, start_days=-1, key_usage=None,
                 seconds=None, subject=None):
        self.key = key or rsa_key()
        now = datetime.datetime.utcnow()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject or name)])
        start = now + datetime.timedelta(days=min(start_days, days - 1))
        end = now + (datetime.timedelta(days=days) if seconds is None
                     else datetime.timedelta(seconds=seconds))
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
                   .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(start).not_valid_after(end))
        if key_usage is not None:
            builder = builder.add_extension(key_usage, critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.der = self.certificate.public_bytes(serialization.Encoding.DER)
        self.fingerprint = self.certificate.fingerprint(hashes.SHA256()).hex()
        stem = os.path.join(directory, f"{name}-{uuid.uuid4().hex[:8]}")
        self.path, self.key_path = stem + ".crt", stem + ".key"
        with open(self.path, "w", encoding="ascii") as f:
            f.write(self.pem)
        with open(os.open(self.key_path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write(private_pem(self.key))


def _der(tag, content):
    size = len(content)
    head = bytes([size]) if size < 128 else \
        bytes([0x80 + (size.bit_length() + 7) // 8]) + size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag]) + head + content


def _der_integer(n):
    return _der(2, n.to_bytes(n.bit_length() // 8 + 1, "big", signed=True))


def with_rsa_numbers(certificate, exponent=None, modulus=None):
    """PEM of a certificate with other numbers in its RSA key; its signature does not fit them."""
    public = certificate.key.public_key()
    numbers = public.public_numbers()
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    key = _der(0x30, _der_integer(numbers.n if modulus is None else modulus) +
               _der_integer(numbers.e if exponent is None else exponent))
    algorithm = spki[4:19]
    assert algorithm == bytes.fromhex("300d06092a864886f70d0101010500")
    tbs = certificate.certificate.tbs_certificate_bytes
    rest = certificate.der[certificate.der.index(tbs) + len(tbs):]
    assert tbs[:2] == b"\x30\x82" and spki in tbs
    tbs = _der(0x30, tbs[4:].replace(spki, _der(0x30, algorithm + _der(3, b"\0" + key))))
    text = base64.encodebytes(_der(0x30, tbs + rest)).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"


def smime_decrypt(key_path, source, target):
    """What a customer types. Fails with OpenSSL's words."""
    done = subprocess.run(["openssl", "smime", "-decrypt", "-inkey", key_path, "-in", source,
                           "-out", target], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"openssl smime -decrypt: {done.stdout}"
    return target


def cms_decrypt(key_path, source, target):
    """The same for the files of cms-gcm."""
    done = subprocess.run(["openssl", "cms", "-decrypt", "-inform", "DER", "-inkey", key_path, "-in", source,
                           "-out", target], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"openssl cms -decrypt: {done.stdout}"
    return target


class TokenAuthority:
    """An identity provider: signing keys, their JWKS as a file, and tokens."""

    def __init__(self, directory, secrets=None):
        self.jwks_path = os.path.join(directory, "jwks.json")
        self.secrets = secrets
        self.keys = {}
        self.add_key("rsa-1", rsa_key())

    def add_key(self, kid, key):
        self.keys[kid] = key
        self.write()

    def remove_key(self, kid):
        del self.keys[kid]
        self.write()

    def write(self):
        """Writes the JWKS, in place of the old one at once."""
        with open(self.jwks_path + ".new", "w", encoding="ascii") as f:
            json.dump({"keys": [self.jwk(kid) for kid in self.keys]}, f)
        os.chmod(self.jwks_path + ".new", 0o644)
        os.rename(self.jwks_path + ".new", self.jwks_path)

    def jwk(self, kid):
        key = self.keys[kid]
        algorithm = jwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) \
            else jwt.algorithms.RSAAlgorithm
        if algorithm is jwt.algorithms.RSAAlgorithm:
            jwk = json.loads(algorithm.to_jwk(key.public_key()))
        else:
            jwk = ec_jwk(key)
        jwk.pop("key_ops", None)
        jwk.update({"kid": kid, "use": "sig"})
        return jwk

    def token(self, ccid="harbour-insurance", roles=("UDM UCSX Exporter", "iWD Administrator"),
              subject="tester", kid="rsa-1", algorithm="RS256", lifetime=3600, headers=None,
              omit=(), key=None, **claims):
        """A signed token. `omit` names standard claims to leave out; claims override."""
        now = int(time.time())
        payload = {"sub": subject, "iat": now, "exp": now + lifetime, "contact_center_id": ccid,
                   "authorities": list(roles), "jti": uuid.uuid4().hex}
        payload.update(claims)
        for name in omit:
            payload.pop(name, None)
        head = {"kid": kid}
        head.update(headers or {})
        if head["kid"] is None:
            del head["kid"]
        text = jwt.encode(payload, self.keys[kid or "rsa-1"] if key is None else key,
                          algorithm=algorithm, headers=head)
        if self.secrets is not None:
            self.secrets.add(text)
        return text


def ec_jwk(key):
    numbers = key.public_key().public_numbers()
    size = (key.curve.key_size + 7) // 8

    def encode(n):
        return base64.urlsafe_b64encode(n.to_bytes(size, "big")).rstrip(b"=").decode()
    name = {256: "P-256", 384: "P-384", 521: "P-521"}[key.curve.key_size]
    return {"kty": "EC", "crv": name, "x": encode(numbers.x), "y": encode(numbers.y)}
