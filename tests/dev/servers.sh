# shellcheck shell=bash
# servers.sh: private servers: as which user they run, whether they do by their pid files, how they
# end, and a PostgreSQL of one's own.

# as_user NAME COMMAND...: as that user when root, else as oneself.
as_user() {
    local user=$1
    shift
    if is_root; then
        # The user may not be able to enter the folder that this was typed in.
        (cd / && exec runuser -u "$user" -- "$@")
    else
        "$@"
    fi
}

is_up() { # PIDFILE PROGRAM: whether that process lives and is what it was
    local pid
    [ -s "$1" ] || return 1
    read -r pid <"$1" || true
    # A zombie has ended: PID 1 of a container may never collect it.
    [[ $pid =~ ^[0-9]+$ ]] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] &&
        ! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null
}
wait_until() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}
is_down() { ! is_up "$@"; }

end_by_pid_file() { # PIDFILE PROGRAM SIGNAL
    local pid
    if is_up "$1" "$2"; then
        read -r pid <"$1"
        kill "-$3" "$pid" || die "cannot end $2 (pid $pid): it belongs to $(stat -c %U "/proc/$pid")"
        if ! wait_until 30 is_down "$1" "$2"; then
            say "$2 (pid $pid) does not end; killing it"
            kill -KILL "$pid"
            wait_until 10 is_down "$1" "$2" || die "pid $pid lives on"
        fi
        say "stopped $2"
    fi
    rm -f "$1"
}

init_cluster() { # DIRECTORY: data in DIRECTORY/data, the socket in DIRECTORY
    local dir=$1
    mkdir -p "$dir"
    # Who may enter the socket's directory is whoever runs the servers, and nobody else.
    if is_root; then
        chown postgres:www-data "$dir"
    fi
    chmod 0750 "$dir"
    as_user postgres "$(postgres_bin)/initdb" -D "$dir/data" -U udm_admin -E UTF8 --locale=C.UTF-8 \
        --auth-local=peer --auth-host=reject --no-sync >/dev/null
    as_user postgres tee -a "$dir/data/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$dir'
max_connections = 200
shared_buffers = 128MB
max_wal_size = 4GB
wal_level = minimal
max_wal_senders = 0
log_line_prefix = '%m [%p] %u@%d %a '
CONF
    local system_user=postgres
    is_root || system_user=$(id -un)
    # Only root and the one who runs PostgreSQL are the superuser; the others are who they say.
    as_user postgres tee "$dir/data/pg_hba.conf" >/dev/null <<CONF
local all udm_admin peer map=udm
local all all trust
CONF
    as_user postgres tee "$dir/data/pg_ident.conf" >/dev/null <<CONF
udm root udm_admin
udm $system_user udm_admin
CONF
}

start_cluster() { # DIRECTORY
    as_user postgres "$(postgres_bin)/pg_ctl" -D "$1/data" -l "$1/postgres.log" -s -w -t 120 start \
        </dev/null >/dev/null 2>&1 8>&- 9>&- || {
        tail -20 "$1/postgres.log" >&2
        die "PostgreSQL did not start"
    }
}
