"""UDMWorker On: httpd runs the worker. A script stands in for it, that notes what it is told."""
import hashlib
import os
import signal
import stat
import zipfile

import pytest

from udmtest.crypto import smime_decrypt
from udmtest.process import alive, wait_for
from udmtest.site import Site

# Notes its settings, then how its stdin ended; runs on after the end of stdin until it is let go.
# (bash does not start with a sanitizer's library preloaded, as httpd has it in such a build.)
SCRIPT = """#!/usr/bin/env -S -u LD_PRELOAD bash
echo "start $$ $* $(cut -d' ' -f5 /proc/$$/stat)" >> {log}
while read -r line; do
    echo "$$ $line" >> {log}
    [ "$line" = stop ] && exit 0
done
echo "$$ eof" >> {log}
while [ -e {log} ] && [ ! -e {log}.finish ]; do sleep 0.05; done
echo "$$ finished" >> {log}
"""


@pytest.fixture
def site(env):
    result = Site(env, "empty")
    result.log = os.path.join(result.directory, "said")
    script = os.path.join(result.directory, "worker.sh")
    with open(script, "w", encoding="ascii") as f:
        f.write(SCRIPT.format(log=result.log))
    os.chmod(script, os.stat(script).st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    result.httpd.server = [f"UDMWorker On {script}", f"UDMSourceDir {result.sources}",
                           "UDMWorkerSlots 2", 'UDMWorkerDatabase "dbname=udm user=udm_worker"']
    yield result
    with open(result.log + ".finish", "w", encoding="ascii"):
        pass
    result.close()


def said(site):
    try:
        with open(site.log, encoding="ascii") as f:
            return f.read().splitlines()
    except FileNotFoundError:
        return []


def starts(site):
    return [int(line.split()[1]) for line in said(site) if line.startswith("start")]


def settled(site, count):
    """Waits until `count` workers were started and the last has its settings; gives its pid."""
    wait_for(lambda: len(starts(site)) == count and f"{starts(site)[-1]} end" in said(site), 20,
             "the worker to have its settings")
    return starts(site)[-1]


def test_settings_and_stop(site):
    site.start_httpd()
    pid = settled(site, 1)
    lines = said(site)
    start = lines[0].split()
    assert start[2] == "--supervised" and start[3] == str(pid), "in a process group of its own"
    settings = [line.split(" ", 1)[1] for line in lines[1:]]
    assert settings[-1] == "end"
    assert f"store {site.store}" in settings and "slots 2" in settings
    assert "database dbname=udm user=udm_worker" in settings
    site.httpd.stop()
    assert not alive(pid), "httpd waits until the worker has handed back"
    assert said(site)[-1] == f"{pid} stop" and len(starts(site)) == 1


def test_graceful_restart_lets_it_finish(site):
    site.start_httpd()
    first = settled(site, 1)
    site.httpd.reload()
    second = settled(site, 2)
    wait_for(lambda: f"{first} eof" in said(site), 20, "the first worker to see the end of stdin")
    assert alive(first) and first != second, "its runs go on"
    site.httpd.reload()
    third = settled(site, 3)
    wait_for(lambda: f"{second} eof" in said(site), 20, "the second worker to see the end of stdin")
    # the children of httpd hold nothing that would hide the end of a generation
    with open(site.log + ".finish", "w", encoding="ascii"):
        pass
    wait_for(lambda: not alive(first) and not alive(second), 20, "the old workers to end")
    assert alive(third) and len(starts(site)) == 3
    os.unlink(site.log + ".finish")
    assert f"{first} stop" not in said(site)


def test_the_end_of_httpd_ends_the_workers_of_earlier_generations(site):
    site.start_httpd()
    first = settled(site, 1)
    site.httpd.reload()
    second = settled(site, 2)
    wait_for(lambda: f"{first} eof" in said(site), 20, "the first worker to see the end of stdin")
    site.httpd.stop()
    assert not alive(first) and not alive(second)
    assert f"{first} finished" not in said(site), "it was told to end, by a signal"


def test_only_so_many_may_finish(site):
    """Restarts in a row do not pile up workers: the fifth that would be left behind hands back."""
    site.start_httpd()
    pids = [settled(site, 1)]
    for count in range(2, 8):
        site.httpd.reload()
        pids.append(settled(site, count))
        wait_for(lambda: any(f"{pids[-2]} {end}" in said(site) for end in ("eof", "stop")), 20,
                 "the worker before to be let go")
    ends = [[line.split()[1] for line in said(site) if line.split()[0] == str(pid)][-1] for pid in pids]
    assert ends == ["eof"] * 4 + ["stop"] * 2 + ["end"]
    wait_for(lambda: not alive(pids[4]) and not alive(pids[5]), 20, "those that handed back to end")
    # when one has finished, there is room again
    os.kill(pids[0], signal.SIGTERM)
    wait_for(lambda: not os.path.exists(f"/proc/{pids[0]}"), 20, "httpd to notice the end of the first")
    site.httpd.reload()
    settled(site, 8)
    wait_for(lambda: f"{pids[6]} eof" in said(site), 20, "the one before to be let go")
    site.httpd.stop()
    assert not any(alive(pid) for pid in [*pids, *starts(site)])


def test_a_restart_without_a_worker(site):
    """At a restart, a worker that cannot be started is tried again; httpd answers meanwhile."""
    site.start_httpd()
    first = settled(site, 1)
    program = os.path.join(site.directory, "worker.sh")
    with open(program, encoding="ascii") as f:
        good = f.read()

    def replace(text):
        with open(program + ".new", "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(program + ".new", 0o755)
        os.rename(program + ".new", program)
    replace("#!/nonexistent/shell\n")
    site.httpd.allow_log("UDM0081")
    site.httpd.reload()
    wait_for(lambda: f"{first} eof" in said(site), 20, "the first worker to be let go")
    assert "UDM0081: cannot start the worker" in site.httpd.watch.text()
    assert site.client(key=None, token=None).get("/v10/version").status_code == 401
    replace(good)
    assert alive(settled(site, 2))


def test_it_is_started_again(site):
    site.start_httpd()
    first = settled(site, 1)
    site.httpd.allow_log("UDM0082")
    os.kill(first, signal.SIGKILL)
    second = None
    wait_for(lambda: len(starts(site)) == 2, 40, "the worker to be started again")
    second = settled(site, 2)
    assert second != first and alive(second)
    site.httpd.stop()
    assert not alive(second)


def test_httpd_killed(site):
    site.start_httpd()
    pid = settled(site, 1)
    process, site.httpd.process = site.httpd.process, None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: f"{pid} eof" in said(site), 20, "the worker to see the end of stdin")


def test_off_starts_none(site):
    site.httpd.server[0] = "UDMWorker Off"
    site.start_httpd()
    site.httpd.stop()
    assert said(site) == []


def test_real_worker_from_job_to_download(env):
    """With nothing but httpd started: a job is exported, linked and downloaded."""
    site = Site(env)
    site.httpd.server = [f"UDMWorker On {env.worker}", f"UDMSourceDir {site.sources}",
                         f"UDMSpoolDir {site.spool}",
                         f'UDMWorkerDatabase "{env.postgres.dsn(site.database, "udm_worker")}"']
    site.start_httpd()
    try:
        certificate = site.upload_certificate()
        client = site.client()
        job = client.create_job(data_type="Contact")
        run = client.wait_job(job["id"])
        assert run["progress"] == 100 and run["fileName"].endswith(".zip.smime")
        [item] = client.files(run["id"])
        path = client.download(item["name"], site.directory)
        with open(path, "rb") as f:
            content = f.read()
        assert len(content) == item["size"] == run["fileSize"]
        assert hashlib.sha256(content).hexdigest() == item["sha256"]
        smime_decrypt(certificate.key_path, path, path + ".zip")
        with zipfile.ZipFile(path + ".zip") as archive:
            assert archive.testzip() is None
            assert "META-INF/manifest.json" in archive.namelist()
        # a reload in the middle loses nothing
        site.httpd.reload()
        client = site.client()
        job = client.create_job(data_type="Contact")
        assert client.wait_job(job["id"])["fileName"]
    finally:
        site.close()
