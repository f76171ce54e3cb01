"""The program udm-worker: settings, signals, supervision, privileges."""
import os
import re
import signal
import subprocess

import pytest

from udmtest.process import clean_environment, wait_for


def ended(process, timeout=30):
    """Exit status and output of a program that ends by itself."""
    out, _ = process.communicate(timeout=timeout)
    return process.returncode, out


def test_version_help_usage(env):
    def run(*args):
        return env.account.run([env.worker, *args], check=False)
    assert re.fullmatch(r"udm-worker \d+\.\d+\.\d+\n", run("--version").stdout)
    assert run("--help").stdout.startswith("usage: udm-worker -c FILE")
    for args in ([], ["--nonsense"], ["-c"], ["-c", "x", "--supervised"], ["--check-source"],
                 ["--check-source", "x"], ["--supervised", "--check-source", "x"]):
        done = run(*args)
        assert done.returncode == 2 and "usage:" in done.stderr


@pytest.mark.parametrize("line, words", [
    ("colour red", 'there is no setting "colour"; there are: database, store'),
    ("slots 0", 'slots "0" is not allowed: it must be a whole number from 1 to 64'),
    ("slots many", 'slots "many" is not allowed'),
    ("slots", 'slots "" is not allowed'),
    ("retention 1.5", 'retention "1.5" is not allowed: it must be a whole number from 1 to'),
    ("max-part-size 1 KB", "at least 64 KiB"),
    ("max-part-size big", 'max-part-size "big" is not allowed'),
    ("max-parts 0", 'max-parts "0" is not allowed: it must be a whole number from 1 to 100000'),
    ("max-row 1 KB", "at least 64 KiB"),
    ("log-level loud", "error, warn, info or debug"),
    ("store relative/path", "an absolute path"),
    ("attempts 3\nattempts 3", "attempts is given twice"),
    ("sweep-interval 0", "it must be a whole number from 1 to 86400"),
    ("group www-data", "group needs a user"),
])
def test_bad_settings(env, tmp_path, line, words):
    name = line.split()[0]
    lines = {"database": "database host=/x password=hunter2hunter2", "store": "store /x",
             "source-dir": "source-dir /x"}
    lines[name] = line
    path = tmp_path / "worker.conf"
    path.write_text("# a comment\n\n" + "\n".join(lines.values()) + "\n")
    done = subprocess.run([env.worker, "-c", str(path)], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, env=clean_environment(**env.sanitizer_environment()))
    assert done.returncode == 1
    assert words in done.stdout
    assert re.search(rf"{re.escape(str(path))}:(\d+: )?", done.stdout)
    assert "UDM0200" in done.stdout and "hunter2" not in done.stdout


@pytest.mark.parametrize("missing", ["database", "store", "source-dir"])
def test_missing_settings(env, tmp_path, missing):
    lines = {"database": "x", "store": "/x", "source-dir": "/x"}
    del lines[missing]
    path = tmp_path / "worker.conf"
    path.write_text("".join(f"{k} {v}\n" for k, v in lines.items()))
    done = subprocess.run([env.worker, "-c", str(path)], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, env=clean_environment(**env.sanitizer_environment()))
    assert done.returncode == 1
    assert f"{missing} is missing" in done.stdout


def test_no_settings_file(env):
    done = env.account.run([env.worker, "-c", "/nonexistent/worker.conf"], check=False)
    assert done.returncode == 1
    assert "/nonexistent/worker.conf: cannot be opened: No such file" in done.stderr


def supervised(queue, lines=None, end="end\n"):
    """A supervised worker that has been told its settings."""
    process = queue.spawn("--supervised", stdin=subprocess.PIPE)
    settings = {**queue.worker_settings(), **(lines or {})}
    process.stdin.write("".join(f"{k} {v}\n" for k, v in settings.items()) + end)
    process.stdin.flush()
    return process


def test_supervised_drains_at_the_end_of_stdin(queue):
    queue.hold()
    first = queue.add()
    process = supervised(queue)
    queue.wait_held()
    process.stdin.close()
    process.stdin = None
    second = queue.add("Plain")
    # It still holds the first run, by its lease, and claims no other.
    wait_for(lambda: queue.sql("SELECT lease_until > now() + interval '9 s' FROM udm.run_progress"
                               " WHERE run_id = %s", [first])[0][0], 20, "the lease to be renewed")
    assert queue.run(first)["status"] == "IN_PROGRESS"
    queue.open()
    status, out = ended(process)
    assert status == 0, out
    assert queue.run(first)["status"] == "COMPLETED"
    assert queue.run(second)["status"] == "QUEUED"


@pytest.mark.parametrize("how", ["stop", "SIGTERM", "SIGINT"])
def test_supervised_hands_back(queue, how):
    queue.hold()
    run_id = queue.add()
    process = supervised(queue)
    queue.wait_held()
    if how == "stop":
        process.stdin.write("stop\n")
        process.stdin.flush()
        process.wait(30)
    else:
        process.send_signal(getattr(signal, how))
        process.wait(30)
    status, out = ended(process)
    assert status == 0, out
    run = queue.run(run_id)
    assert (run["status"], run["attempt"]) == ("QUEUED", 0)
    assert queue.stored() == []


def test_supervised_stop_while_draining(queue):
    queue.hold()
    run_id = queue.add()
    process = supervised(queue)
    queue.wait_held()
    process.stdin.write("stop\n")
    process.stdin.close()
    process.stdin = None
    status, out = ended(process)
    assert status == 0, out
    assert queue.run(run_id)["status"] == "QUEUED"


def test_supervised_without_end(queue):
    process = supervised(queue, end="")
    process.stdin.close()
    process.stdin = None
    status, out = ended(process)
    assert status == 1
    assert 'stdin: ended before the line "end"' in out


@pytest.mark.parametrize("slots, words", [(1, "UDM0234: ready: 1 slot, as "), (4, "UDM0234: ready: 4 slots, as ")])
def test_idle_worker_ends_at_once(queue, slots, words):
    worker = queue.start_worker(slots=slots)
    wait_for(lambda: words in worker.watch.text(), 30, "the worker to be ready")
    assert worker.stop() == 0


def test_ends_while_the_database_is_away(queue):
    worker = queue.start_worker(database="host=/nonexistent dbname=x password=hunter2hunter2")
    worker.allow_log("UDM0210")
    wait_for(lambda: "UDM0210" in worker.watch.text(), 30, "the worker to notice")
    assert "hunter2" not in worker.watch.text()
    assert worker.stop() == 0


def test_no_schema_is_waited_for(queue):
    """A worker that is started before udm-migrate begins once the schema is there."""
    queue.sql("ALTER SCHEMA udm RENAME TO udm_away")
    worker = queue.start_worker()
    worker.allow_log("UDM0210")
    wait_for(lambda: "UDM0210" in worker.watch.text(), 30, "the worker to notice")
    queue.sql("ALTER SCHEMA udm_away RENAME TO udm")
    wait_for(lambda: "UDM0234" in worker.watch.text(), 60, "the worker to be ready")


def test_store_of_another_installation(queue):
    worker = queue.start_worker()
    wait_for(lambda: "UDM0234" in worker.watch.text(), 30, "the worker to be ready")
    worker.stop()
    queue.sql("UPDATE udm.installation SET id = gen_random_uuid()")
    status, out = ended(queue.spawn())
    assert status == 1
    assert "UDM0233" in out and "installation" in out


def test_no_store(queue):
    status, out = ended(queue.spawn(settings={"store": "/nonexistent/store"}))
    assert status == 1
    assert "UDM0233" in out


def test_pid_file(queue):
    path = os.path.join(queue.env.make_directory(queue.name, "run"), "udm-worker.pid")
    worker = queue.worker().start("--pid-file", path)
    wait_for(lambda: os.path.exists(path) and open(path, encoding="ascii").read().strip(), 30, "the file")
    with open(path, encoding="ascii") as f:
        assert int(f.read()) == worker.pid
    second = queue.worker()
    status, out = ended(queue.spawn("-c", second.write(), "--pid-file", path))
    assert status == 1
    assert "another udm-worker holds it" in out
    with open(path, encoding="ascii") as f:
        assert int(f.read()) == worker.pid
    worker.kill()
    # What a killed worker left behind is in nobody's way.
    worker.start("--pid-file", path)
    wait_for(lambda: open(path, encoding="ascii").read().strip() == str(worker.pid), 30, "the new pid")
    assert worker.stop() == 0
    assert not os.path.exists(path)


def as_root(queue, **settings):
    path = queue.worker(**settings).write()
    return queue.spawn("-c", path, user=0, group=0, extra_groups=[])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_needs_a_user(queue):
    status, out = ended(as_root(queue))
    assert status == 1
    assert "does not run as root: set user" in out
    status, out = ended(as_root(queue, user="root"))
    assert status == 1 and "is root: set another" in out
    status, out = ended(as_root(queue, user="nobody-of-this-name"))
    assert status == 1 and 'no user "nobody-of-this-name"' in out
    status, out = ended(as_root(queue, user="www-data", group="no-such-group"))
    assert status == 1 and 'no group "no-such-group"' in out
    # which is no number, and not that of root's group
    for wrong in ("#", "#www-data", "#33x", "#-1", "#4294967295", "#4294967296"):
        status, out = ended(as_root(queue, user="www-data", group=wrong))
        assert status == 1 and f'no group "{wrong}"' in out
        status, out = ended(as_root(queue, user=wrong))
        assert status == 1 and f'no user "{wrong}"' in out


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("by_number", [False, True])
def test_root_becomes_the_user(queue, by_number):
    account = queue.env.account
    user = f"#{account.uid}" if by_number else account.name
    run_id = queue.add("Plain")
    process = as_root(queue, user=user, group=account.name)
    assert queue.wait_status(run_id, "COMPLETED", "FAILED")["status"] == "COMPLETED"
    with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    assert status["Uid"].split() == [str(account.uid)] * 4
    assert status["Gid"].split() == [str(account.gid)] * 4
    assert "0" not in status["Groups"].split()
    assert int(status["CapEff"], 16) == 0
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 0


def test_user_is_not_used_without_root(queue):
    worker = queue.start_worker(user="daemon")
    worker.allow_log("UDM0201")
    assert queue.wait_status(queue.add("Plain"), "COMPLETED", "FAILED")["status"] == "COMPLETED"
    assert "UDM0201: user daemon is not used" in worker.watch.text()


def test_log_lines(queue):
    worker = queue.start_worker(log_level="info")
    queue.wait_status(queue.add("Plain"), "COMPLETED")
    worker.stop()
    for line in worker.watch.text().splitlines():
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z udm-worker\[\d+\] info: UDM02\d\d: .+",
                            line), line
