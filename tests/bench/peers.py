"""What the API is measured beside: the same operations as users of Fastify and of PHP-FPM write them.

Both talk to the site's own database, over its socket and as its own role udm_httpd, with the statements
of peers/sql. A peer's context gives its base URL; it runs while the context does.
"""
import contextlib
import glob
import json
import os
import shutil
import socket
import subprocess

from udmtest.crypto import public_pem
from udmtest.httpd import APACHE, MODULES, static_modules
from udmtest.process import clean_environment, end_process, free_port, wait_for

from bench.site import BenchHttpd, version

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")

# Connections (Fastify: of each process; PHP: children) that gave the most requests per second on two
# cores, of 2, 4, 8 and 16.
FASTIFY_POOL = 4
PHP_CHILDREN = 8

FASTIFY = "Fastify, a process per core"
PHP = "Apache and PHP-FPM"


def statements():
    result = {}
    for path in glob.glob(os.path.join(HERE, "sql", "*.sql")):
        with open(path, encoding="utf-8") as f:
            result[os.path.basename(path)[:-len(".sql")]] = f.read()
    return result


def settings(site, url, cache):
    """What both peers are told. `cache`: seconds that they may take for granted what they found of
    credentials, 0 for none."""
    return {"url": url, "cache": cache, "sql": statements(), "public_key": public_pem(site.env.tokens.keys["rsa-1"]),
            "socket": site.socket, "database": site.database,
            "dsn": f"{site.dsn('udm_httpd')} application_name=php options='-c statement_timeout=30000'"}


def answers(port):
    """Whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


@contextlib.contextmanager
def running(site, what, command, ready, **environment):
    """A server in the foreground, as the account that httpd has."""
    log = os.path.join(site.directory, f"{what}.log")
    with open(log, "wb") as f:
        process = subprocess.Popen(command, env=clean_environment(**environment), cwd=site.directory,
                                   stdin=subprocess.DEVNULL, stdout=f, stderr=f, start_new_session=True,
                                   **site.env.account.popen_args())

    def check():
        if process.poll() is not None:
            with open(log, encoding="utf-8", errors="replace") as f:
                raise AssertionError(f"{what} ended with {process.returncode}:\n{f.read()[-3000:]}")
        return ready()
    try:
        wait_for(check, 60, f"{what} to listen")
        yield process
        check()
    finally:
        end_process(process)


# Fastify

def node():
    """The npm that ./dev takes may be of a Node outside of /usr/bin."""
    return shutil.which("node") or "/usr/bin/node"


def install(bench, name):
    """Installs what the lockfile of peers/<name> pins, below build/ and once for each lockfile; gives the
    folder of the peer's own files and the one of what it needs."""
    origin, target = os.path.join(HERE, name), os.path.join(bench.directory, name)
    os.makedirs(target, exist_ok=True)
    with open(os.path.join(origin, "package-lock.json"), "rb") as f:
        lock = f.read()
    mark = os.path.join(target, "node_modules", "lock")
    if not os.path.exists(mark) or open(mark, "rb").read() != lock:
        bench.say(f"installing build/bench/{name}")
        for file in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(os.path.join(origin, file), target)
        subprocess.run(["npm", "ci", "--loglevel=error"], cwd=target, check=True, stdout=subprocess.DEVNULL)
        with open(mark, "wb") as f:
            f.write(lock)
    return origin, os.path.join(target, "node_modules")


def install_fastify(bench, site):
    """Gives a folder that the servers' account can read."""
    origin, modules = install(bench, "fastify")
    folder = os.path.join(site.directory, "fastify")
    shutil.copytree(modules, os.path.join(folder, "node_modules"))
    for name in ("server.js", "jobs.js"):
        shutil.copy(os.path.join(origin, name), folder)
    return folder


@contextlib.contextmanager
def fastify(bench, site, cache, pool=FASTIFY_POOL):
    folder, port = install_fastify(bench, site), free_port()
    url = f"http://127.0.0.1:{port}/udm"
    conf = os.path.join(folder, "settings.json")
    with open(conf, "w", encoding="utf-8") as f:
        json.dump({**settings(site, url, cache), "port": port, "pool": pool, "processes": bench.cores}, f)
    bench.fact("Node", version(node(), "--version"))
    for name in ("fastify", "@fastify/jwt", "pg"):
        with open(os.path.join(folder, "node_modules", name, "package.json"), encoding="utf-8") as f:
            bench.fact(name, json.load(f)["version"])
    with running(site, "fastify", [node(), os.path.join(folder, "server.js"), conf],
                 lambda: answers(port), NODE_ENV="production"):
        yield url
    shutil.rmtree(folder)


# Apache and PHP-FPM

def php_fpm():
    """The newest one that is installed."""
    found = sorted(glob.glob("/usr/sbin/php-fpm[0-9]*"), key=lambda p: [int(n) for n in p[17:].split(".")])
    assert found, "no /usr/sbin/php-fpm: install php-fpm, php-pgsql and php-apcu"
    return found[-1]


def php_value(value):
    """A string, a number or a dictionary as PHP writes it."""
    if isinstance(value, dict):
        return "[" + ", ".join(f"{php_value(k)} => {php_value(v)}" for k, v in value.items()) + "]"
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fpm_conf(folder, children):
    return f"""[global]
error_log = {folder}/fpm.log
daemonize = no
[bench]
listen = {folder}/fpm.sock
listen.backlog = 511
pm = static
pm.max_children = {children}
pm.max_requests = 0
php_admin_value[opcache.enable] = 1
php_admin_value[opcache.validate_timestamps] = 0
php_admin_value[display_errors] = 0
php_admin_value[log_errors] = 1
php_admin_value[expose_php] = 0
php_admin_value[apc.enabled] = 1
php_admin_value[pgsql.allow_persistent] = 1
"""


def php_httpd_conf(folder, port, children):
    """The httpd before PHP-FPM: as ours, in one process, for its connections to PHP are of a process."""
    static = static_modules()
    modules = ["mpm_worker", "authz_core", "proxy", "proxy_fcgi", "setenvif"]
    lines = [f'ServerRoot "{folder}"', "ServerName localhost", f"Listen 127.0.0.1:{port}",
             "PidFile httpd.pid", *(f"LoadModule {m}_module {MODULES}/mod_{m}.so" for m in modules
                                    if m not in static and f"mod_{m}" not in static),
             *BenchHttpd.MPM["worker"], *BenchHttpd.SERVER, "ServerLimit 1", "MaxRequestWorkers 64",
             "MaxSpareThreads 64", f"ErrorLog {folder}/error.log", "Timeout 60", "ProxyTimeout 60",
             f'DocumentRoot "{folder}"',
             f'<Proxy "fcgi://localhost" enablereuse=on max={children} timeout=60>', "</Proxy>",
             '<Location "/udm">', f'SetHandler "proxy:unix:{folder}/fpm.sock|fcgi://localhost"',
             "CGIPassAuth On", f'ProxyFCGISetEnvIf "true" SCRIPT_FILENAME "{folder}/index.php"',
             f'ProxyFCGISetEnvIf "true" UDM_SETTINGS "{folder}/settings.php"', "</Location>"]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def php(bench, site, cache, children=PHP_CHILDREN):
    folder, port = site.env.make_directory(site.name, "php"), free_port()
    url = f"http://127.0.0.1:{port}/udm"
    for name in ("index.php", "auth.php", "jobs.php"):
        shutil.copy(os.path.join(HERE, "php", name), folder)
    files = {"settings.php": f"<?php return {php_value(settings(site, url, cache))};\n",
             "fpm.conf": fpm_conf(folder, children), "httpd.conf": php_httpd_conf(folder, port, children)}
    for name, text in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)
    bench.fact("PHP", version(php_fpm(), "--version"))
    with running(site, "php-fpm", [php_fpm(), "-F", "-y", f"{folder}/fpm.conf"],
                 lambda: os.path.exists(f"{folder}/fpm.sock")):
        with running(site, "php-httpd", [APACHE, "-D", "FOREGROUND", "-f", f"{folder}/httpd.conf"],
                     lambda: answers(port)):
            yield url
    shutil.rmtree(folder)


PEERS = ((FASTIFY, fastify), (PHP, php))
