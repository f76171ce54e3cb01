"""A client of the API, as a customer would write one."""
import os
import re
import uuid

import requests

from .process import wait_for

ENDED = ("COMPLETED", "FAILED", "CANCELLED")


class Client:
    """Requests with an API key and a token; either may be None. Never follows a redirect by itself."""

    def __init__(self, base, key=None, token=None, secrets=None):
        self.base, self.key, self.token, self.secrets = base, key, token, secrets
        self.session = requests.Session()
        self.session.trust_env = False

    def request(self, method, path, headers=None, **kwargs):
        """`path` is relative to the mount, or a whole URL, which then gets no credentials."""
        head = {}
        if path.startswith("/"):
            if self.key:
                head["x-api-key"] = self.key
            if self.token:
                head["Authorization"] = "Bearer " + self.token
            path = self.base + path
        head.update(headers or {})
        kwargs.setdefault("allow_redirects", False)
        kwargs.setdefault("timeout", 60)
        answer = self.session.request(method, path, headers=head, **kwargs)
        found = re.search(r"signature=([0-9a-f]{64})", answer.headers.get("Location", ""))
        if found and self.secrets is not None:
            self.secrets.add(found.group(1))
        return answer

    def get(self, path, **kwargs):
        return self.request("GET", path, **kwargs)

    def post(self, path, **kwargs):
        return self.request("POST", path, **kwargs)

    def put(self, path, **kwargs):
        return self.request("PUT", path, **kwargs)

    def delete(self, path, **kwargs):
        return self.request("DELETE", path, **kwargs)

    def upload_certificate(self, pem, name="customer.pem"):
        return self.post(f"/v10/cipher/{name}", files={"file": (name, pem, "application/x-pem-file")})

    @staticmethod
    def job(source="UCS", data_type="Interaction", family="UCS", time_frame=None, attachments=False,
            media=(), split=None, schedule=None, title="an export", **more):
        """The body of a v10 job."""
        params = {"type": data_type, "media": list(media), "exportAttachments": attachments}
        if split is not None:
            params["fileSplitSize"] = split
        body = {"source": source, "type": family, "title": title,
                "timeFrame": {"all": True} if time_frame is None else time_frame,
                "schedulerParam": {"immediately": True} if schedule is None else schedule,
                "jobParams": params, "suspended": False}
        body.update(more)
        return body

    def create_job(self, **kwargs):
        """POSTs a job (see job()) and gives its JobInfo."""
        answer = self.post("/v10/export/jobs", json=self.job(**kwargs))
        assert answer.status_code == 202, f"{answer.status_code} {answer.text}"
        return answer.json()

    def runs(self, job_id):
        """The history records of a job, oldest first."""
        answer = self.get("/v10/export/history", params={"jobId": str(job_id)})
        if answer.status_code == 204:
            return []
        assert answer.status_code == 200, answer.text
        return [run for run in answer.json()["items"] if run["parentId"] == job_id]

    def wait_job(self, job_id, status="COMPLETED", timeout=60.0):
        """Waits until the latest run of a job has ended, in `status`; gives that history record."""
        def ended():
            records = self.runs(job_id)
            return records[-1] if records and records[-1]["status"] in ENDED else None
        run = wait_for(ended, timeout, f"job {job_id} to end", interval=0.1)
        assert run["status"] == status, f"job {job_id}: {run['status']}: {run.get('statusReason')}"
        return run

    def files(self, run_id):
        """The file metadata of a history record, in the order of their names."""
        answer = self.get("/v10/file-metadatas", params={"historyId": str(run_id)})
        assert answer.status_code == 200, answer.text
        items = [f for f in answer.json()["items"] if str(f["historyId"]) == str(run_id)]
        return sorted(items, key=lambda f: f["name"])

    def link(self, name):
        """The pre-signed URL of a file."""
        answer = self.get(f"/v10/files/{name}")
        assert answer.status_code == 303, f"{answer.status_code} {answer.text}"
        return answer.headers["Location"]

    def download(self, name, directory):
        """Fetches a file through its link, without credentials; gives the path."""
        path = os.path.join(directory, f"{uuid.uuid4().hex[:8]}-{name}")
        with self.request("GET", self.link(name), stream=True) as answer:
            assert answer.status_code == 200, answer.text
            with open(path, "wb") as f:
                for block in answer.iter_content(1 << 20):
                    f.write(block)
        return path
