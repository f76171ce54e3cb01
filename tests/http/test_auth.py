"""Who is let in, who is not, and that no configuration opens the door by accident."""
import base64
import json
import time

import pytest

from udmtest.api import Client
from udmtest.crypto import ec_key, public_pem, rsa_key
from udmtest.process import wait_for

JOBS = "/v10/export/jobs"


def problem(answer, status):
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="UDM"')
    else:
        assert "WWW-Authenticate" not in answer.headers
    return answer.json()


def test_both_credentials_are_asked_for(site):
    assert site.client().get(JOBS).status_code in (200, 204)
    for missing in ({"key": None}, {"token": None}, {"key": None, "token": None}):
        answer = site.client(**missing).get(JOBS)
        detail = problem(answer, 401)["detail"]
        assert "x-api-key" in detail and "Authorization" in detail
        assert "error=" not in answer.headers["WWW-Authenticate"]
    # a POST is refused before its body counts
    problem(site.client(key=None).post(JOBS, data=b"x" * 100000), 401)


def test_version_asks_for_the_key_alone(site):
    assert site.client(token=None).get("/v10/version").status_code == 200
    problem(site.client(key=None).get("/v10/version"), 401)
    problem(site.client(token="nonsense").get("/v10/version"), 401)


def test_labels_ask_for_nothing(site):
    """None is needed; each that is sent must be good, and shows what it may see."""
    path = "/v10/resources/labels"
    answer = Client(site.httpd.url).get(path)
    assert answer.status_code == 200
    labels = answer.json()
    assert list(labels) == ["statuses", "types", "sources", "media", "scheduleTypes"]
    assert labels["types"] == labels["sources"] == labels["media"] == {}
    assert labels["statuses"]["IN_PROGRESS"] == "In Progress" and len(labels["statuses"]) == 7
    assert labels["scheduleTypes"] == {"immediately": "Immediately", "once": "Once",
                                       "recurring": "Recurring"}
    for more in ({}, {"key": None}, {"token": None}):
        seen = site.client(**more).get(path).json()
        assert {"UCS", "UCSX"} <= set(seen["sources"]) and seen["types"] and seen["media"], more
        assert seen["statuses"] == labels["statuses"]
    nobodys = site.client(token=site.env.tokens.token(roles=["nothing"])).get(path)
    assert nobodys.json() == labels
    for bad in ({"key": "nonsense"}, {"token": "nonsense"}, {"key": "nonsense", "token": None}):
        problem(site.client(**bad).get(path), 401)
    problem(site.client(token=site.env.tokens.token("lakeside-energy")).get(path), 403)


def test_bad_keys(site):
    good = site.key()
    revoked = site.new_key()
    site.sql("SELECT udm.revoke_api_key(%s)", [revoked])
    expired = site.new_key(expires_at="2020-01-01")
    for bad in ("nonsense", good[:-1] + ("0" if good[-1] != "0" else "1"), good + "0", good[4:],
                good.upper(), f"{good}, {good}", "udm_000000000000_" + "0" * 64, revoked, expired):
        answer = site.client(key=bad).get(JOBS)
        problem(answer, 401)
        assert bad not in answer.text
    reasons = {problem(site.client(key=bad).get(JOBS), 401)["detail"]
               for bad in ("nonsense", "udm_000000000000_" + "0" * 64, revoked)}
    assert len(reasons) == 1, "unknown, wrong and revoked must not be told apart"


def test_revoked_key_stops_at_once(site):
    key = site.new_key()
    client = site.client(key=key)
    assert client.get(JOBS).status_code in (200, 204)
    site.sql("SELECT udm.revoke_api_key(%s)", [key])
    wait_for(lambda: client.get(JOBS).status_code == 401, 5, "the key to stop working")


def unsigned(**claims):
    """alg none, and no signature."""
    def encode(data):
        return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()
    payload = {"sub": "x", "exp": int(time.time()) + 999, "contact_center_id": "harbour-insurance",
               "authorities": ["iWD Administrator"]}
    payload.update(claims)
    return encode({"alg": "none", "typ": "JWT"}) + "." + encode(payload) + "."


def hs256_with_public_key(tokens):
    """The public key as an HMAC secret. Made by hand: a good library refuses to."""
    import hashlib
    import hmac
    head, body, _ = unsigned().split(".")
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "rsa-1"}).encode()).rstrip(b"=")
    text = head.decode() + "." + body
    mac = hmac.new(public_pem(tokens.keys["rsa-1"]).encode(), text.encode(), hashlib.sha256).digest()
    return text + "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


BAD_TOKENS = {
    "nonsense": lambda t: "nonsense",
    "expired": lambda t: t.token(lifetime=-120),
    "no exp": lambda t: t.token(omit=["exp"]),
    "not before": lambda t: t.token(nbf=int(time.time()) + 3600),
    "another key": lambda t: t.token(key=rsa_key()),
    "unknown kid": lambda t: t.token(kid="rsa-1", headers={"kid": "other"}),
    "alg none": lambda t: unsigned(),
    "HS256 with the public key": hs256_with_public_key,
    "ES256 against the RSA key": lambda t: t.token(key=ec_key(), algorithm="ES256"),
    "crit": lambda t: t.token(headers={"crit": ["exp"]}),
    "tampered": lambda t: t.token().replace(".ey", ".eY"),
    "long": lambda t: t.token(junk="x" * 20000),
    "two dots more": lambda t: t.token() + "..",
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_bad_tokens(site, kind):
    # httpd itself takes 8190 bytes of a header
    token = BAD_TOKENS[kind](site.env.tokens)
    answer = site.client(token=token).get(JOBS)
    if kind == "long":
        assert answer.status_code == 400
        return
    problem(answer, 401)
    challenge = answer.headers["WWW-Authenticate"]
    assert 'error="invalid_token"' in challenge and "error_description=" in challenge
    assert token not in answer.text
    # a bad token beside a good key is bad wherever it is sent
    problem(site.client(token=token).get("/v10/version"), 401)


@pytest.mark.parametrize("header", ["Basic dTpw", "Bearer", "Bearer ", "token", "bearerx y"])
def test_other_schemes(site, header):
    problem(site.client(token=None).get(JOBS, headers={"Authorization": header}), 401)


def test_scheme_in_any_case(site):
    token = site.env.tokens.token()
    for scheme in ("bearer", "BEARER"):
        answer = site.client(token=None).get(JOBS, headers={"Authorization": f"{scheme} {token}"})
        assert answer.status_code in (200, 204)


def test_two_tenants(site):
    problem(site.client(token=site.env.tokens.token("lakeside-energy")).get(JOBS), 403)
    problem(site.client(token=site.env.tokens.token("nobody")).get(JOBS), 403)
    problem(site.client(token=site.env.tokens.token(omit=["contact_center_id"])).get(JOBS), 403)


def test_rights_are_what_both_grant(site):
    client = site.client(key=site.new_key(roles=["iWD Administrator"]))
    assert client.get("/v10/data/sources").status_code == 204
    client = site.client(key=site.new_key(roles=["*"]))
    assert client.get("/v10/data/sources").status_code == 200


def test_new_jwks_is_read_without_a_restart(site):
    tokens = site.env.tokens
    tokens.keys["ec-2"] = ec_key()
    try:
        token = tokens.token(kid="ec-2", algorithm="ES256")
        client = site.client(token=token)
        problem(client.get(JOBS), 401)
        tokens.write()
        wait_for(lambda: client.get(JOBS).status_code != 401, 20, "the new key to be known")
        # a file that is no JWKS leaves the keys as they are, and is logged
        with open(tokens.jwks_path, "w", encoding="ascii") as f:
            f.write("nonsense")
        site.httpd.allow_log("UDM0001")
        wait_for(lambda: client.get(JOBS).status_code and "UDM0001" in site.httpd.watch.text(), 20,
                 "the bad file to be noticed")
        assert site.client().get(JOBS).status_code in (200, 204)
        tokens.remove_key("ec-2")
        wait_for(lambda: client.get(JOBS).status_code == 401, 20, "the key to be forgotten")
        assert site.client().get(JOBS).status_code in (200, 204)
    finally:
        tokens.keys.pop("ec-2", None)
        tokens.write()


class TestConfigured:
    """The door with other directives. Each test starts httpd anew with lines of its own: after a
    graceful restart the generation before may still answer for a moment."""

    @pytest.fixture(autouse=True)
    def restore(self, site):
        if "authz_host" not in site.httpd.modules:
            site.httpd.modules.append("authz_host")
        before = (list(site.httpd.base_location), list(site.httpd.location), list(site.httpd.server))
        yield
        site.httpd.base_location, site.httpd.location, site.httpd.server = before
        site.httpd.stop()
        site.httpd.start()

    def restart(self, site, base=None, location=(), server=()):
        if base is not None:
            site.httpd.base_location = base
        site.httpd.location, site.httpd.server = list(location), list(server)
        site.httpd.stop()
        site.httpd.start()

    @pytest.mark.parametrize("auth", [[], ["Require all granted"], ["AuthType None"],
                                      ["AuthType None", "Require all granted"]])
    def test_without_auth_type_the_handler_asks(self, site, auth):
        self.restart(site, ["UDM On", f"UDMTokenKeys {site.env.tokens.jwks_path}", *auth])
        anonymous = Client(site.httpd.url)
        for path in (JOBS, "/v10/version", "/v10/cipher", "/v10/files/x", "/v10/data/sources"):
            answer = anonymous.get(path)
            assert answer.status_code == 401 and answer.json()["status"] == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")
        assert anonymous.post(JOBS, json={}).status_code == 401
        assert site.client().get(JOBS).status_code in (200, 204)

    def test_auth_type_below_a_granted_parent(self, site):
        """An inherited "Require all granted" would switch authentication off."""
        self.restart(site, ["UDM On", "AuthType UDM", f"UDMTokenKeys {site.env.tokens.jwks_path}"],
                    server=['<Location "/">', "Require all granted", "</Location>"])
        assert Client(site.httpd.url).get(JOBS).status_code == 401
        assert site.client().get(JOBS).status_code in (200, 204)

    def test_valid_user_lets_links_through(self, site):
        self.restart(site, location=["Require valid-user"])
        link = "/download/export-x?expires=1&signature=" + "0" * 64
        answer = Client(site.httpd.url).get(link)
        assert answer.status_code == 403 and "signature" in answer.json()["detail"]
        problem(Client(site.httpd.url).get(JOBS), 401)
        assert site.client().get(JOBS).status_code in (200, 204)

    @pytest.mark.parametrize("require, good, bad", [
        ("key", {"token": None}, {"key": None}), ("token", {"key": None}, {"token": None}),
        ("both", {}, {"key": None}), ("any", {"key": None}, {"key": None, "token": None})])
    def test_require_holds_for_all_but_links(self, site, require, good, bad):
        self.restart(site, location=[f"UDMRequire {require}"])
        for path in (JOBS, "/v10/version", "/v3/version", "/v10/resources/labels"):
            assert site.client(**good).get(path).status_code in (200, 204), path
            problem(site.client(**bad).get(path), 401)
        assert Client(site.httpd.url).get("/openapi.json").status_code == 200
        problem(Client(site.httpd.url).get("/download/x"), 403)

    def test_require_udm_role(self, site):
        self.restart(site, [x for x in site.httpd.base_location if not x.startswith("Require")],
                    location=['Require udm-role "UDM UCSX Exporter" other'])
        assert site.client().get(JOBS).status_code in (200, 204)
        site.httpd.allow_log("AH01631|AH01797|AH01630|authoriz")
        other = site.client(token=site.env.tokens.token(roles=["iWD Administrator"]))
        problem(other.get(JOBS), 403)
        # what is the same for everybody needs no role, but a name that lacks it is refused
        assert Client(site.httpd.url).get("/v10/resources/labels").status_code == 200
        problem(other.get("/v10/resources/labels"), 403)
        problem(Client(site.httpd.url).get(JOBS), 401)

    def test_other_rules_of_the_server_answer_in_json(self, site):
        self.restart(site, [x for x in site.httpd.base_location if not x.startswith("Require")],
                    location=["Require ip 192.0.2.1", 'ErrorDocument 403 "/nothing.html"'])
        site.httpd.allow_log("AH01630|AH01631|AH01797")
        problem(site.client().get(JOBS), 403)

    def test_require_key(self, site):
        self.restart(site, location=["UDMRequire key"])
        assert site.client(token=None).get(JOBS).status_code in (200, 204)
        assert site.client(token="nonsense").get(JOBS).status_code == 401
        assert site.client(key=None).get(JOBS).status_code == 401

    def test_require_token(self, site):
        self.restart(site, location=["UDMRequire token"])
        assert site.client(key=None).get(JOBS).status_code in (200, 204)
        assert site.client(key="nonsense").get(JOBS).status_code == 401
        assert site.client(token=None).get("/v10/version").status_code == 401

    def test_require_any(self, site):
        self.restart(site, location=["UDMRequire any"])
        assert site.client(key=None).get(JOBS).status_code in (200, 204)
        assert site.client(token=None).get(JOBS).status_code in (200, 204)
        assert site.client(token=None, key=None).get(JOBS).status_code == 401
        assert site.client(token="nonsense").get(JOBS).status_code == 401

    def test_no_token_keys(self, site):
        self.restart(site, [x for x in site.httpd.base_location if "TokenKeys" not in x],
                    location=["UDMRequire key"])
        assert site.client(token=None).get(JOBS).status_code in (200, 204)
        assert site.client().get(JOBS).status_code == 401

    def test_issuer_audience_and_claims(self, site):
        self.restart(site, location=["UDMTokenIssuer https://idp", "UDMTokenAudience udm",
                                    "UDMTokenTenantClaim tenant", "UDMTokenRolesClaim groups",
                                    "UDMTokenSkew 1s"])
        tokens = site.env.tokens
        good = {"iss": "https://idp", "aud": ["a", "udm"], "tenant": "harbour-insurance",
                "groups": [{"name": "UDM UCSX Exporter"}], "authorities": []}

        def status(**change):
            return site.client(token=tokens.token(**{**good, **change})).get("/v10/data/sources").status_code
        assert status() == 200
        assert status(iss="https://other") == 401
        assert status(aud="other") == 401
        assert status(lifetime=-30) == 401
        assert status(tenant="lakeside-energy") == 403
        assert status(groups=[]) == 204

    def test_claims_by_path(self, site):
        self.restart(site, location=["UDMTokenTenantClaim org.example.centre",
                                    "UDMTokenRolesClaim realm_access.roles"])
        good = {"org.example": {"centre": "harbour-insurance"}, "authorities": [],
                "realm_access": {"roles": ["offline_access", "UDM UCSX Exporter"]}}

        def status(typ="JWT", **change):
            token = site.env.tokens.token(headers={"typ": typ}, omit=["contact_center_id"],
                                          **{**good, **change})
            return site.client(token=token).get("/v10/data/sources").status_code
        assert status() == status("application/at+jwt") == status("at+JWT") == 200
        assert status("application/logout+jwt") == 401
        assert status(realm_access={"roles": []}) == 204
        assert status(**{"org.example": {"centre": "lakeside-energy"}}) == 403
        assert status(**{"org.example": {"other": "harbour-insurance"}}) == 403

    def test_certificate_upload_off(self, site):
        self.restart(site, location=["UDMCertificateUpload Off"])
        problem(site.client().upload_certificate(site.env.certificate.pem), 403)

    def test_inner_section_overrides(self, site):
        # sections hold in the order of the file, so these stand behind the outer one
        self.restart(site, location=["</Location>", '<Location "/udm/v10/cipher">',
                                    "UDMCertificateUpload Off", "</Location>",
                                    '<Location "/udm/v10/data">', "UDM Off"])
        problem(site.client().upload_certificate(site.env.certificate.pem), 403)
        assert site.client().get("/v10/data/sources").status_code == 404
        assert site.client().get(JOBS).status_code in (200, 204)

    def test_auth_type_guards_other_content(self, site):
        self.restart(site, server=[f'DocumentRoot "{site.store}"', '<Location "/">', "AuthType UDM",
                                  "AuthName UDM", 'Require udm-role "iWD Administrator"',
                                  f"UDMTokenKeys {site.env.tokens.jwks_path}", "</Location>"])
        root = site.httpd.url[:-len(site.httpd.mount)]
        assert Client(root).get("/nothing").status_code == 401
        assert Client(root, site.key(), site.env.tokens.token()).get("/nothing").status_code == 404

    def test_mount_at_the_root(self, site):
        mount, site.httpd.mount = site.httpd.mount, "/"
        try:
            self.restart(site)
            base = f"http://127.0.0.1:{site.httpd.port}"
            client = Client(base, site.key(), site.env.tokens.token())
            assert client.get("/v10/version").status_code == 200
            problem(client.get("/nothing"), 404)
        finally:
            site.httpd.mount = mount
