"""Forms as different clients write them are all taken."""
import subprocess

import pytest


@pytest.mark.parametrize("form", [
    "--b\r\n{part}\r\n\r\n{pem}\r\n--b--\r\n",
    "preamble\r\n--b\r\n{part}\r\n\r\n{pem}\r\n--b--",
    "\r\n--b \t\r\n{part}\r\n\r\n{pem}\r\n--b--\r\nepilogue",
    "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n--b\r\n{part}\r\n\r\n{pem}\r\n--b--",
    "--b\r\n\r\nno headers\r\n--b\r\n{part}\r\nContent-Type: text/plain\r\n\r\n{pem}\r\n--b--"])
@pytest.mark.parametrize("disposition", ['form-data; name="file"; filename="a; name=x.pem"',
                                         "Form-Data; Filename=a.pem; NAME=file"])
def test_form_is_taken(site, client, form, disposition):
    body = form.format(part="content-disposition: " + disposition, pem=site.env.certificate.pem)
    answer = client.post("/v10/cipher/form.pem", data=body,
                         headers={"Content-Type": 'multipart/form-data; boundary="b"'})
    assert (answer.status_code, answer.text) == (201, '"form.pem"')
    assert client.get("/v10/cipher").json()["size"] == len(site.env.certificate.pem)


@pytest.mark.parametrize("kind", [
    "application/json; boundary=b", "application/json;boundary=b", "application/json ; Boundary=\"b\"",
    "text/plain; charset=utf-8; boundary=b", "application/x-pem-file; boundary=b",
    "application/octet-stream; boundary=b", "MULTIPART/Form-Data; boundary=b"])
def test_a_boundary_makes_a_form(site, client, kind):
    """Whatever media type its client gave: the boundary says how the body is to be read."""
    body = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n{}\r\n--b--\r\n"
    answer = client.post("/v10/cipher/form.pem", data=body.format(site.env.certificate.pem),
                         headers={"Content-Type": kind})
    assert (answer.status_code, answer.text) == (201, '"form.pem"')
    answer = client.post("/v10/cipher/form.pem", data=site.env.certificate.pem,
                         headers={"Content-Type": kind})
    assert answer.status_code == 400 and "does not occur" in answer.json()["detail"]
    answer = client.post("/v10/cipher/form.pem", data=body.format(site.env.certificate.pem),
                         headers={"Content-Type": kind, "Content-Encoding": "gzip"})
    assert answer.status_code == 415


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "boundary=b",
                                  "application/json; x=boundary", "text/plain; boundaries=b"])
def test_without_a_boundary_the_type_counts(site, client, kind):
    answer = client.post("/v10/cipher/form.pem", data=site.env.certificate.pem,
                         headers={"Content-Type": kind})
    assert answer.status_code == 415


@pytest.mark.parametrize("version", ["v10", "v3"])
def test_the_documented_line(site, client, version, tmp_path):
    """Usage lines send a form as application/json; curl then adds the boundary to that."""
    path = tmp_path / "my.pem"
    path.write_text(site.env.certificate.pem)
    headers = ["-H", "x-api-key: " + client.key, "-H", "Authorization: Bearer " + client.token]
    done = subprocess.run(["curl", "-sS", "-X", "POST", "--header", "Content-Type: application/json",
                           "--header", "Accept: application/json", *headers, "-F", f"file=@{path}",
                           f"{client.base}/{version}/cipher/my.pem"], stdout=subprocess.PIPE,
                          text=True, check=True)
    assert done.stdout == '"my.pem"'


@pytest.mark.parametrize("name", ["x" * 255, "x" + "ä" * 127])
def test_the_longest_name(site, client, name):
    answer = client.upload_certificate(site.env.certificate.pem, name)
    assert (answer.status_code, answer.json()) == (201, name)
    assert client.get("/v10/cipher").json()["name"] == name
