"""How much memory an export takes, and how fast it is: the demo contact centre at one size and at
ten times that size, in both layouts. Run it with ./dev bench [SCALE] (default 1)."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from udmtest.env import Environment  # noqa: E402
from udmtest.site import Site  # noqa: E402

# What the peak may grow by when there are ten times the rows.
ALLOWED = 8 << 20


def measure(env, scale):
    """{layout: (rows, seconds, peak bytes)} at one scale; a fresh worker for each export."""
    site = Site(env, scale=scale)
    site.start_httpd()
    site.upload_certificate()
    result = {}
    for layout, source in (("lines", "UCS"), ("records", "UCSX")):
        worker = site.start_worker()
        client = site.client()
        start = time.monotonic()
        job = client.create_job(source=source, attachments=True, title=f"bench {layout} {scale}")
        run = client.wait_job(job["id"], timeout=3600)
        seconds = time.monotonic() - start
        rows = site.sql("SELECT row_count FROM udm.run WHERE id = %s", [run["id"]])[0][0]
        result[layout] = (rows, seconds, worker.memory_peak())
        worker.stop()
        print(f"{layout:8} scale {scale:>5}: {rows:>9} rows  {run['fileSize'] / 1e6:8.1f} MB"
              f"  {seconds:7.1f} s  {rows / seconds:9.0f} rows/s"
              f"  peak {result[layout][2] / 1048576:6.1f} MiB", flush=True)
    site.close()
    env.postgres.drop_database(site.database)
    return result


def main():
    small = sys.argv[1] if len(sys.argv) > 1 else "1"
    large = f"{float(small) * 10:g}"
    env = Environment()
    try:
        one, ten = measure(env, small), measure(env, large)
    finally:
        env.close()
    bad = False
    for layout in one:
        growth = ten[layout][2] - one[layout][2]
        bad |= growth > ALLOWED
        print(f"{layout}: ten times the rows, {growth / 1048576:+.1f} MiB"
              f" ({'more than' if growth > ALLOWED else 'within'} {ALLOWED >> 20} MiB)")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
