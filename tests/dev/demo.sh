# shellcheck shell=bash
# demo.sh: ./dev demo and ./dev stop: the demo's folder, database, keys and servers.
#
# What is done with them, one export through the API, is in demo_export.sh.
. "$parts/packages.sh"
. "$parts/build.sh"
. "$parts/servers.sh"
. "$parts/demo_export.sh"

demo=$build/demo

# Where the demo lives: build/demo, or a folder below /var/tmp that build/demo then points to, when
# the servers' users cannot reach the checkout or the path is too long for a socket.
prepare_demo_folder() {
    if [ -L "$demo" ] && [ ! -d "$demo" ]; then
        rm -f "$demo"
    fi
    if [ ! -d "$demo" ]; then
        mkdir -p "$build"
        local far=''
        if [ ${#demo} -gt 80 ]; then
            far=yes
        elif is_root && ! { (cd / && runuser -u postgres -- test -x "$build") &&
            (cd / && runuser -u www-data -- test -x "$build"); } 2>/dev/null; then
            far=yes
        fi
        if [ -n "$far" ]; then
            local elsewhere
            elsewhere=$(mktemp -d /var/tmp/udm-demo.XXXXXX)
            chmod 0755 "$elsewhere"
            ln -s "$elsewhere" "$demo"
            say "the servers' users cannot use $build; build/demo points to $elsewhere"
        else
            mkdir "$demo"
        fi
    fi
    [ -w "$demo/." ] || die "$demo belongs to $(stat -L -c %U "$demo"), who must type this"
    demo=$(readlink -f "$demo")
    mkdir -p "$demo/run" "$demo/bin" "$demo/sources" "$demo/httpd" "$demo/export" "$demo/store" "$demo/spool"
    chmod 0755 "$demo" "$demo/run" "$demo/bin"
    if is_root; then
        chown root:www-data "$demo/sources"
        chown www-data:www-data "$demo/store" "$demo/spool"
    fi
    chmod 0750 "$demo/sources"
    chmod 2750 "$demo/store"
    chmod 0700 "$demo/spool" "$demo/export"
}

demo_sql() { # OPTION...: psql's, with -c
    psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$dsn" -c "SET search_path = pg_catalog, pg_temp" "$@"
}

demo_postgres() {
    dsn="host=$demo/pg dbname=udm user=udm_admin"
    if [ ! -f "$demo/pg/ready" ]; then
        say "making a private PostgreSQL in $demo/pg"
        if is_up "$demo/run/postgres.pid" postgres; then
            end_by_pid_file "$demo/run/postgres.pid" postgres INT
        fi
        rm -rf "$demo/pg" "$demo/secrets"
        init_cluster "$demo/pg"
        start_cluster "$demo/pg"
        head -1 "$demo/pg/data/postmaster.pid" >"$demo/run/postgres.pid"
        createdb -h "$demo/pg" -U udm_admin udm
        "$top/sql/udm-migrate" "$dsn"
        say "filling it with the demo contact centre (about half a minute)"
        "$top/sql/demo/load.sh" "$dsn"
        touch "$demo/pg/ready"
    else
        if ! is_up "$demo/run/postgres.pid" postgres; then
            say "starting PostgreSQL"
            start_cluster "$demo/pg"
            head -1 "$demo/pg/data/postmaster.pid" >"$demo/run/postgres.pid"
        fi
        "$top/sql/udm-migrate" "$dsn" >/dev/null ||
            die "the demo's database does not fit this version: ./dev stop && rm -rf build/demo, then again"
    fi
    printf 'host=%s dbname=udm user=udm_reader_ucs\n' "$demo/pg" >"$demo/sources/ucs"
    chmod 0640 "$demo/sources/ucs"
    if is_root; then
        chown root:www-data "$demo/sources/ucs"
    fi
}

base64url() { basenc --base64url -w 0 | tr -d '='; }

# Keys, token and certificate are kept as long as the data are; a token is made anew once it expires.
demo_secrets() {
    local secrets=$demo/secrets n
    mkdir -p "$secrets"
    chmod 0700 "$secrets"
    umask 077
    if [ ! -s "$secrets/customer.key" ] || [ ! -s "$secrets/customer.crt" ]; then
        say "making the customer's key and certificate, the identity provider's key, an API key"
        openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=Demo customer' \
            -keyout "$secrets/customer.key" -out "$secrets/customer.crt" 2>/dev/null
    fi
    if [ ! -s "$secrets/token.key" ] || [ ! -s "$demo/httpd/jwks.json" ]; then
        openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$secrets/token.key" 2>/dev/null
        n=$(openssl rsa -in "$secrets/token.key" -noout -modulus 2>/dev/null)
        printf '{"keys":[{"kty":"RSA","kid":"demo-1","use":"sig","alg":"RS256","e":"AQAB","n":"%s"}]}\n' \
            "$(printf '%s' "${n#Modulus=}" | basenc --base16 -d | base64url)" >"$demo/httpd/jwks.json"
        rm -f "$secrets/token"
    fi
    if [ ! -s "$demo/httpd/link.keys" ]; then
        openssl rand -hex 32 >"$demo/httpd/link.keys"
    fi
    if [ ! -s "$secrets/api-key" ]; then
        demo_sql -c "SELECT udm.create_api_key('harbour-insurance', 'demo',
            '{UDM UCSX Exporter,iWD Administrator}')" >"$secrets/api-key"
    fi
    if [ ! -s "$secrets/token" ] || [ -z "$(find "$secrets/token" -mmin -1430)" ]; then
        make_token >"$secrets/token"
    fi
    umask 022
    if is_root; then
        chown www-data "$demo/httpd/link.keys" "$demo/httpd/jwks.json"
    fi
    chmod 0400 "$demo/httpd/link.keys"
    chmod 0644 "$demo/httpd/jwks.json"
    key=$(cat "$secrets/api-key")
    token=$(cat "$secrets/token")
}

worker_starts() { # how often a worker has said that it is ready
    grep -c 'UDM0234:' "$demo/worker.log" || true
}
worker_ready() { # more often than $1 times
    [ "$(worker_starts)" -gt "$1" ]
}

load_module() { # NAME: a LoadModule line, unless the server has it built in
    if ! "$apache" -l | grep -q "^  \(mod_\)\?$1\.c$"; then
        printf 'LoadModule %s_module %s/mod_%s.so\n' "$1" "$modules" "$1"
    fi
}

write_httpd_conf() { # PORT
    local module
    {
        printf 'ServerRoot "%s"\nServerName localhost\nListen 127.0.0.1:%s\n' "$demo/httpd" "$1"
        printf 'PidFile "%s/run/httpd.pid"\nErrorLog "%s/httpd/error.log"\n' "$demo" "$demo"
        for module in mpm_event authn_core authz_core authz_user dbd log_config; do
            load_module "$module"
        done
        if is_root; then
            printf 'User www-data\nGroup www-data\n'
        fi
        cat <<CONF
LoadModule udm_module "$demo/bin/mod_udm.so"
LogLevel warn
LogFormat "%h %u %t \"%r\" %>s %b" common
CustomLog "$demo/httpd/access.log" common

DBDriver pgsql
DBDParams "host=$demo/pg dbname=udm user=udm_httpd connect_timeout=3 application_name=udm-httpd options='-c statement_timeout=5000'"
DBDMin 1
DBDKeep 4
DBDMax 6

UDMStore "$demo/store"
UDMSpoolDir "$demo/spool"
UDMSourceDir "$demo/sources"
UDMLinkKeyFile "$demo/httpd/link.keys"
UDMWorkerDatabase "host=$demo/pg dbname=udm user=udm_worker"

<Location "/udm">
    UDM On
    AuthType UDM
    AuthName "UDM demo"
    Require valid-user
    UDMTokenKeys "$demo/httpd/jwks.json"
</Location>
CONF
    } >"$demo/httpd/httpd.conf"
}

install_program() { # FROM TO: says yes when it replaced another one
    if ! cmp -s "$1" "$2"; then
        [ ! -e "$2" ] || printf yes
        install -m 0755 "$1" "$2.new"
        mv -f "$2.new" "$2"
    fi
}

demo_servers() {
    local port=${UDM_PORT:-8080} changed
    apache=$(command -v apache2 || echo /usr/sbin/apache2)
    modules=$(apxs -q LIBEXECDIR)
    install_program "$build/release/udm-decrypt" "$demo/bin/udm-decrypt" >/dev/null
    changed=$(install_program "$build/release/.libs/mod_udm.so" "$demo/bin/mod_udm.so"
        install_program "$build/release/udm-worker" "$demo/bin/udm-worker")
    if is_up "$demo/run/httpd.pid" apache2; then
        port=$(sed -n 's/^Listen 127\.0\.0\.1://p' "$demo/httpd/httpd.conf")
        if [ -n "${UDM_PORT:-}" ] && [ "$UDM_PORT" != "$port" ]; then
            say "Apache runs on port $port already; ./dev stop first to change it"
        fi
    else
        if (exec 7<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            die "port $port is in use by another program: UDM_PORT=$((port + 1)) ./dev demo takes another"
        fi
        say "starting Apache on 127.0.0.1:$port"
        write_httpd_conf "$port"
        "$apache" -f "$demo/httpd/httpd.conf" -k start </dev/null 8>&- 9>&- || {
            tail -5 "$demo/httpd/error.log" >&2
            die "Apache did not start"
        }
        wait_until 20 is_up "$demo/run/httpd.pid" apache2 || {
            tail -5 "$demo/httpd/error.log" >&2
            die "Apache did not start"
        }
    fi
    url=http://127.0.0.1:$port/udm
    if ! is_up "$demo/run/udm-worker.pid" udm-worker; then
        say "starting udm-worker"
        "$apache" -t -D DUMP_UDM_WORKER -f "$demo/httpd/httpd.conf" >"$demo/worker.conf" 2>/dev/null ||
            die "apache2 -t -D DUMP_UDM_WORKER -f $demo/httpd/httpd.conf failed"
        touch "$demo/worker.log"
        ready=$(worker_starts)
        (
            cd /
            setsid "$demo/bin/udm-worker" -c "$demo/worker.conf" </dev/null >>"$demo/worker.log" 2>&1 8>&- 9>&- &
            printf '%s\n' $! >"$demo/run/udm-worker.pid"
        )
        wait_until 15 worker_ready "$ready" || {
            tail -5 "$demo/worker.log" >&2
            die "udm-worker did not start"
        }
    fi
    [ -z "$changed" ] || say "the programs changed: ./dev stop, then ./dev demo, runs the new ones"
}

cmd_demo() {
    need "${packages_demo[@]}"
    say "building in build/release"
    build_in release -- mod_udm.la udm-worker udm-decrypt
    prepare_demo_folder
    exec 9>"$demo/lock"
    flock 9
    demo_postgres
    demo_secrets
    demo_servers
    write_env
    demo_export
    cat <<END

Running: Apache at $url, PostgreSQL in $demo/pg, udm-worker.
  $build/demo/env has the address, key, token and files; load it with:  . build/demo/env
  logs: $demo/httpd/error.log, $demo/worker.log;  end it all with:  ./dev stop
END
}

cmd_stop() {
    [ -d "$demo/run" ] || { say "nothing is running"; return; }
    demo=$(readlink -f "$demo")
    exec 9>"$demo/lock"
    flock 9
    # The worker first, so that it can hand back what it does; the database last.
    end_by_pid_file "$demo/run/udm-worker.pid" udm-worker TERM
    end_by_pid_file "$demo/run/httpd.pid" apache2 TERM
    end_by_pid_file "$demo/run/postgres.pid" postgres INT
}
