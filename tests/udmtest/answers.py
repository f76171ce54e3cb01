"""What answers of the API look like, bare and in an envelope, and when two of them are the same."""
import re

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

# Headers that differ between two answers to the same request.
PASSING = ("Date", "X-Request-Id", "Keep-Alive", "Connection")


def unwrap(answer, wrapped):
    """The bare body of an answer whose mount does or does not wrap."""
    assert answer.headers["Content-Type"] == "application/json", answer.headers
    body = answer.json()
    if not wrapped:
        return body
    assert list(body) == ["status", "data"], body
    assert body["status"] == {"code": 0, "detail": {}, "message": "successful"}
    return body["data"]


def problem(answer, status, *words, wrapped=False):
    """The problem document of an answer, which must be of this status and hold the words."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    body = answer.json()
    if wrapped:
        assert answer.headers["Content-Type"] == "application/json"
        assert list(body) == ["status"] and list(body["status"]) == ["code", "detail", "message"]
        envelope, body = body["status"], body["status"]["detail"]
        assert (envelope["code"], envelope["message"]) == (status, body["title"])
    else:
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(body) - {"errors"} == {"type", "title", "status", "detail"}, body
    assert body["status"] == status and body["type"] == "about:blank"
    assert body["title"] and body["detail"]
    for word in words:
        assert word.lower() in answer.text.lower(), f"no {word!r} in {answer.text}"
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    else:
        assert "WWW-Authenticate" not in answer.headers
    if status == 405:
        assert answer.headers["Allow"]
    return body


def left(answer, status, wrapped=False):
    """The documented array of what was not done."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    if not wrapped:
        assert isinstance(body, list)
        return body
    assert set(body) == {"status", "data"} and body["status"]["code"] == status
    assert body["status"]["detail"]["status"] == status
    assert body["status"]["message"] == body["status"]["detail"]["title"]
    return body["data"]


def essence(answer, without=()):
    """All of an answer that an outsider could tell it from another by: status, headers, body."""
    headers = {k.lower(): v for k, v in answer.headers.items()
               if k.lower() not in {h.lower() for h in (*PASSING, *without)}}
    return answer.status_code, headers, answer.content


def assert_same(one, other):
    """Nothing tells the one answer from the other."""
    assert essence(one) == essence(other)
