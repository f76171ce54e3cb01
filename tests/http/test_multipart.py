"""Forms as different clients write them are all taken."""
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
