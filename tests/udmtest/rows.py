"""Jobs, history records and files put straight into the database, in any state."""
import uuid

from .site import CENTRES

ACTIVE = ("QUEUED", "IN_PROGRESS", "SUSPENDED")


class Rows:
    """Makes rows in a site's database, as the API and a worker would have left them."""

    def __init__(self, site):
        self.connection = site.connect()

    def close(self):
        self.connection.close()

    def insert(self, table, **values):
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join(["%s"] * len(values))
        return self.connection.execute(f"INSERT INTO udm.{table} ({names}) VALUES ({marks})"
                                       " RETURNING id", list(values.values())).fetchone()[0]

    def job(self, ccid=CENTRES[0], run="QUEUED", **more):
        """A job and, unless `run` is None, its run in that state; gives the job's id and the run's.

        A recurring job is due in an hour; suspended=True as a client would have made it."""
        run_values = {k[4:]: more.pop(k) for k in [k for k in more if k.startswith("run_")]}
        kind = more.get("schedule_type", "immediately")
        values = {"ccid": ccid, "family": "UCS", "source": "UCS", "type": "Interaction",
                  "title": "a row", "time_all": True, "schedule_type": kind,
                  "schedule": '{"cron":"0 0 * * *"}' if kind == "recurring" else '{}',
                  "status": run or ("SUSPENDED" if more.get("suspended") else "SCHEDULED"), **more}
        job = self.insert("job", **values)
        if kind == "recurring" or (kind == "once" and run is None):
            self.connection.execute("UPDATE udm.job SET next_run_at = now() + interval '1 hour'"
                                    " WHERE id = %s", [job])
        if run is None:
            return job, None
        record = self.run(job, status=run, **{k: values[k] for k in
                                              ("ccid", "source", "type", "title")}, **run_values)
        self.connection.execute("UPDATE udm.job SET latest_run_id = %s WHERE id = %s", [record, job])
        return job, record

    def run(self, job, status="COMPLETED", percent=0, **more):
        """One more history record of a job."""
        values = {"job_id": job, "ccid": CENTRES[0], "source": "UCS", "type": "Interaction",
                  "title": "a row", "window_all": True, "status": status, **more}
        run = self.insert("run", **values)
        if status != "QUEUED":
            self.connection.execute("UPDATE udm.run SET started_at = now(), attempt = 1 WHERE id = %s",
                                    [run])
        if status == "IN_PROGRESS":
            self.connection.execute("UPDATE udm.run SET worker_id = 'nobody' WHERE id = %s", [run])
        if status not in ACTIVE:
            self.connection.execute("UPDATE udm.run SET finished_at = now() WHERE id = %s", [run])
        if status in ("FAILED", "CANCELLED"):
            self.connection.execute("UPDATE udm.run SET status_reason = 'because' WHERE id = %s", [run])
        self.connection.execute(
            "INSERT INTO udm.run_progress (run_id, percent, lease_until) VALUES (%s, %s,"
            " CASE WHEN %s THEN now() + interval '1 day' END)",
            [run, percent, status == "IN_PROGRESS"])
        return run

    def file(self, run, job, **more):
        """The row of a file that is in no store; gives its name."""
        name = f"export-{uuid.uuid4()}.zip.smime"
        expires = more.pop("days", 30)
        values = {"name": name, "run_id": run, "job_id": job, "ccid": CENTRES[0], "source": "UCS",
                  "type": "Interaction", "job_title": "a row", "part": 1, "size": 1,
                  "sha256": "0" * 64, "expires_at": "infinity", **more}
        file = self.insert("file", **values)
        self.connection.execute("UPDATE udm.file SET expires_at = now() + make_interval(days => %s)"
                                " WHERE id = %s", [expires, file])
        return values["name"]

    def get(self, table, row, *columns):
        """Some columns of a row, or None."""
        names = ", ".join(columns)
        return self.connection.execute(f"SELECT {names} FROM udm.{table} WHERE id = %s",
                                       [row]).fetchone()

    def state(self):
        """All that a request could have changed, as one value: a row that is written has a new xmin."""
        tables = " UNION ALL ".join(
            f"SELECT '{table}', count(*), sum(xmin::text::bigint) FROM udm.{table}"
            for table in ("job", "run", "file", "certificate", "idempotency"))
        return self.connection.execute(
            f"{tables} UNION ALL SELECT 'audit', count(*), 0 FROM udm.audit WHERE action NOT LIKE 'api-key%'"
        ).fetchall()
