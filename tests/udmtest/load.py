"""Clients that keep on asking, each request over a connection of its own, and what became of each."""
import hashlib
import http.client
import json
import random
import re
import threading
import time
from urllib.parse import urlsplit

from .api import Client
from .files import PublishedFile
from .process import wait_for

WAIT = 60.0  # how long an answer may take: what takes longer is lost


class Wrong(Exception):
    """An answer that a client would complain of."""


def fetch(port, method, path, headers, body=None):
    """One request over a connection of its own: status, headers, body. A cut body is an exception."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
    try:
        connection.request(method, path, body, {**headers, "Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


class Load:
    """`rate` requests a second of all kinds; pause() and resume() at will. Each has a number, which
    is the Referer in the access log.

    wrong   (number, what was asked, what was wrong with the answer)
    times   number -> when it was sent and when its answer was there
    jobs    the ids of the jobs that were asked for, all of them for one small export
    """

    def __init__(self, site, rate=50, threads=8, seed=1):
        self.site, self.rate, self.port = site, rate, site.httpd.port
        client = site.client()
        self.headers = {"x-api-key": client.key, "Authorization": "Bearer " + client.token}
        self.mount = site.httpd.mount
        noise = random.Random(seed)
        self.file = PublishedFile(site, content=noise.randbytes(200_000), title="to be fetched")
        self.sent, self.wrong, self.times, self.jobs = 0, [], {}, []
        self._links, self._noise = [], noise
        self._lock, self._running, self._over = threading.Lock(), threading.Event(), False
        self._next, self._busy = time.monotonic(), 0
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def resume(self):
        with self._lock:
            self._next = time.monotonic()
        self._running.set()

    def pause(self):
        """Waits for what is under way."""
        with self._lock:
            self._running.clear()
        wait_for(lambda: self._busy == 0, WAIT + 30, "all requests to be answered")

    def close(self):
        self._over = True
        self._running.set()
        for thread in self._threads:
            thread.join()

    def answered(self, since):
        """How many requests that were sent after the time `since` have their answer."""
        return sum(1 for sent, _ in list(self.times.values()) if sent > since)

    def wait_answered(self, count):
        """Until so many requests that are sent from now on have their answer."""
        since = time.monotonic()
        wait_for(lambda: self.answered(since) >= count or self.wrong, 120, "requests to be answered")

    # One thread

    def _turn(self):
        """Waits until the next request is due; gives its number."""
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next, now - 1) + 1 / self.rate
            due = self._next
        if due > now:
            time.sleep(due - now)
        with self._lock:
            if not self._running.is_set() or self._over:
                return None
            self.sent += 1
            self._busy += 1
            return self.sent

    def _work(self):
        while not self._over:
            self._running.wait()
            number = self._turn()
            if number is None:
                continue
            kind = self._noise.choices(*zip(*KINDS))[0]
            begin = time.monotonic()
            try:
                kind(self, number)
            except Exception as e:  # noqa: BLE001 - whatever it is, it is a lost request
                self.wrong.append((number, kind.__name__, repr(e)))
            with self._lock:
                self.times[number] = (begin, time.monotonic())
                self._busy -= 1

    def ask(self, number, status, method, path, body=None, credentials=True):
        headers = {"Referer": f"request-{number}"}
        if credentials:
            headers.update(self.headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        got, headers, text = fetch(self.port, method, path, headers, body)
        if got != status:
            raise Wrong(f"{got} {text[:300]!r}")
        return headers, text

    # What is asked

    def get_job(self, number):
        _, text = self.ask(number, 200, "GET", f"{self.mount}/v10/export/jobs/{self.file.job_id}")
        if json.loads(text)["id"] != self.file.job_id:
            raise Wrong("another job")

    def list_jobs(self, number):
        _, text = self.ask(number, 200, "GET", f"{self.mount}/v10/export/jobs?size=10&sort=-id")
        if not json.loads(text)["items"]:
            raise Wrong("no jobs")

    def list_files(self, number):
        path = f"{self.mount}/v10/file-metadatas?historyId={self.file.run_id}"
        _, text = self.ask(number, 200, "GET", path)
        if [f["sha256"] for f in json.loads(text)["items"]] != [self.file.sha256]:
            raise Wrong("not the file")

    def post_job(self, number):
        body = Client.job(source="Gate", data_type="Plain", family="DataSync",
                          title=f"request-{number}")
        _, text = self.ask(number, 202, "POST", f"{self.mount}/v10/export/jobs", body)
        with self._lock:
            self.jobs.append(json.loads(text)["id"])

    def get_link(self, number):
        headers, _ = self.ask(number, 303, "GET", f"{self.mount}/v10/files/{self.file.name}")
        link = headers["Location"]
        self.site.env.secrets.add(re.search("signature=([0-9a-f]{64})", link).group(1))
        self._links = [*self._links[-3:], link]

    def download(self, number):
        if not self._links:
            return self.get_link(number)
        parts = urlsplit(self._noise.choice(self._links))
        _, content = self.ask(number, 200, "GET", f"{parts.path}?{parts.query}", credentials=False)
        if hashlib.sha256(content).hexdigest() != self.file.sha256:
            raise Wrong("another content")
        return None


KINDS = ((Load.get_job, 30), (Load.list_jobs, 12), (Load.list_files, 15), (Load.post_job, 6),
         (Load.get_link, 15), (Load.download, 22))


class SlowDownload:
    """A download whose client reads a little and then waits for as long as it likes."""

    def __init__(self, load, published):
        self.sha256 = published.sha256
        status, headers, _ = fetch(load.port, "GET", f"{load.mount}/v10/files/{published.name}",
                                   load.headers)
        assert status == 303
        link = urlsplit(headers["Location"])
        self.connection = http.client.HTTPConnection("127.0.0.1", load.port, timeout=WAIT)
        self.connection.request("GET", f"{link.path}?{link.query}", headers={"Connection": "close"})
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200
        self.hash = hashlib.sha256(self.answer.read(1 << 16))

    def finish(self):
        """Reads on to the end; fails unless it is all of it."""
        while block := self.answer.read(1 << 20):
            self.hash.update(block)
        self.connection.close()
        assert self.hash.hexdigest() == self.sha256, "the download was cut"
