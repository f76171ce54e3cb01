"""Finished files without an export: for tests of what httpd does with them."""
import hashlib
import os
import uuid


def mark_store(site):
    """Makes the directory the site's store, as its first worker does."""
    mark = os.path.join(site.store, ".udm-store")
    if os.path.exists(mark):
        return
    installation = site.sql("UPDATE udm.installation SET store_since = now() RETURNING id::text")[0][0]
    with open(mark, "w", encoding="ascii") as f:
        f.write(installation + "\n")
    os.chmod(mark, 0o640)
    site.env.account.own(mark)


class PublishedFile:
    """A file in a site's store, with its job, its run and its row, as a worker would leave them."""

    def __init__(self, site, ccid="harbour-insurance", content=b"a file\n", title="published",
                 data_type="Interaction", source="UCS", days=30, suffix="smime"):
        self.site, self.ccid, self.content = site, ccid, content
        mark_store(site)
        export_id = str(uuid.uuid4())
        self.name = f"export-{export_id}.zip.{suffix}"
        self.sha256 = hashlib.sha256(content).hexdigest()
        directory = os.path.join(site.store, export_id[:2])
        os.makedirs(directory, exist_ok=True)
        site.env.account.own(directory)
        self.path = os.path.join(directory, self.name)
        with open(self.path, "wb") as f:
            f.write(content)
        site.env.account.own(self.path)
        self.job_id = site.sql(
            "INSERT INTO udm.job (ccid, family, source, type, title, time_all, schedule_type, schedule,"
            " status) VALUES (%s, 'UCS', %s, %s, %s, true, 'immediately', '{}', 'COMPLETED')"
            " RETURNING id", [ccid, source, data_type, title])[0][0]
        self.run_id = site.sql(
            "INSERT INTO udm.run (job_id, ccid, source, type, title, window_all, status, file_name,"
            " file_size, finished_at) VALUES (%s, %s, %s, %s, %s, true, 'COMPLETED', %s, %s, now())"
            " RETURNING id",
            [self.job_id, ccid, source, data_type, title, self.name, len(content)])[0][0]
        site.sql("INSERT INTO udm.run_progress (run_id, percent) VALUES (%s, 100)", [self.run_id])
        self.id = site.sql(
            "INSERT INTO udm.file (name, run_id, job_id, ccid, source, type, job_title, part, size,"
            " sha256, expires_at) VALUES (%s, %s, %s, %s, %s, %s, %s, 1, %s, %s,"
            " now() + make_interval(days => %s)) RETURNING id",
            [self.name, self.run_id, self.job_id, ccid, source, data_type, title, len(content),
             self.sha256, days])[0][0]
