# shellcheck shell=bash
# packages.sh: which packages each command and each suite takes, and installing those that are missing.
#
# All packages are Debian's, but for the linter of conf/openapi.json, which is npm's.

# With libcheck: a tree that was configured without it would have no tests once it is there.
packages_build=(gcc libc6-dev make autoconf automake libtool pkg-config apache2-dev libapr1-dev
    libaprutil1-dev libjansson-dev libssl-dev libcjose-dev libpq-dev libisal-dev zlib1g-dev
    check util-linux)
packages_httpd=(apache2-bin libaprutil1-dbd-pgsql)
# What sql/demo/load.sh makes its rows of.
packages_content=(fortunes fortunes-min debian-faq tango-icon-theme sound-icons)
packages_demo=("${packages_build[@]}" postgresql "${packages_httpd[@]}" "${packages_content[@]}" openssl curl jq
    unzip)
# tests/conftest.py imports the harness for every suite, and the harness all of these.
packages_pytest=(python3-pytest python3-requests python3-psycopg python3-jwt python3-cryptography)
# Readers of archives that share no code with ours nor with each other.
packages_readers=(unzip p7zip-full libarchive-tools python3)
packages_openapi=()
# An npm from elsewhere is as good.
command -v npm >/dev/null || packages_openapi=(nodejs npm ca-certificates)
# clang, for its UBSan: it finds what gcc's does not look for, like arithmetic on a null pointer.
packages_asan=(clang libclang-rt-dev)
# The harness, a load, an archive by hand, and peers that are made of PHP and Node.
packages_bench=("${packages_demo[@]}" "${packages_pytest[@]}" wrk zip php-fpm php-pgsql php-apcu
    "${packages_openapi[@]}")
packages_lint=("${packages_build[@]}" clang-format clang-tidy cppcheck shellcheck python3 "${packages_openapi[@]}")

# What a suite's tests call or import is here: what they do not find they skip, or fail.
suite_packages() { # SUITE...: prints what they take, each once
    local suite list
    for suite in "$@"; do
        list=("${packages_build[@]}")
        case $suite in
        unit) list+=("${packages_readers[@]}" zip openssl) ;;
        db) list+=(postgresql openssl unzip p7zip-full) ;;
        schedule) list+=("${packages_pytest[@]}" python3-croniter) ;;
        sql) list=("${packages_pytest[@]}" postgresql "${packages_content[@]}" util-linux) ;;
        http) list+=("${packages_pytest[@]}" postgresql "${packages_httpd[@]}" "${packages_content[@]}"
            "${packages_readers[@]}" "${packages_openapi[@]}" python3-jsonschema openssl curl wget jq) ;;
        worker) list+=("${packages_pytest[@]}" postgresql openssl unzip pgbouncer) ;;
        decrypt) list+=("${packages_pytest[@]}" postgresql "${packages_httpd[@]}" "${packages_content[@]}"
            "${packages_readers[@]}" zip openssl) ;;
        # rotatelogs is of apache2-utils; libfaketime sets the clock of one program only.
        faults) list+=("${packages_pytest[@]}" postgresql "${packages_httpd[@]}" "${packages_content[@]}"
            apache2-utils openssl unzip p7zip-full curl libfaketime) ;;
        esac
        printf '%s\n' "${list[@]}"
    done | sort -u
}

as_root() {
    if is_root; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "need root for: $* (sudo is not installed; run this once as root)"
    fi
}

# A subshell, for its trap. Some packages would start a service, which nobody asked for.
apt_install() (
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'as_root rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 0755 "$policy"
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o Dpkg::Use-Pty=0 "$@" >/dev/null
)

postgres_bin() { # the newest installed server's programs
    local dir newest=''
    for dir in /usr/lib/postgresql/*/bin; do
        [ -x "$dir/initdb" ] || continue
        if [ -z "$newest" ] || [ "$(basename "$(dirname "$dir")")" -gt "$(basename "$(dirname "$newest")")" ]; then
            newest=$dir
        fi
    done
    printf '%s' "$newest"
}

# Installs what is missing; `postgresql` is any installed server, of whichever packages. A machine that
# has everything needs no network.
need() { # PACKAGE...
    local package missing=() server=''
    for package in "$@"; do
        if [ "$package" = postgresql ]; then
            [ -n "$(postgres_bin)" ] || server=postgresql
        elif [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null || true)" != 'ii ' ]; then
            missing+=("$package")
        fi
    done
    if [ ${#missing[@]} -eq 0 ] && [ -z "$server" ]; then
        return
    fi
    command -v apt-get >/dev/null || die "this machine has no apt-get; install: ${missing[*]} $server"
    say "installing Debian packages: ${missing[*]} $server"
    as_root apt-get update -qq
    if [ ${#missing[@]} -gt 0 ]; then
        apt_install "${missing[@]}"
    fi
    if [ -n "$server" ]; then
        # The package would make and start a cluster on port 5432, which nobody asked for.
        say "PostgreSQL is installed without its usual cluster on port 5432"
        apt_install postgresql-common
        local dir=/etc/postgresql-common/createcluster.d rc=0
        as_root mkdir -p "$dir"
        printf 'create_main_cluster = false\n' | as_root tee "$dir/udm-dev.conf" >/dev/null
        apt_install postgresql || rc=$?
        as_root rm -f "$dir/udm-dev.conf"
        [ "$rc" -eq 0 ] || die "apt-get failed"
    fi
}

# Installs what its lockfile pins, below build/ and once for each lockfile. Where that cannot be done
# the tests and the lint that need it say so, and fail.
prepare_spectral() {
    local dir=$build/openapi from=$top/tests/openapi
    mkdir -p "$dir"
    (
        flock 8
        cmp -s "$from/package-lock.json" "$dir/node_modules/lock" && exit
        say "installing the linter of conf/openapi.json in build/openapi"
        cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$dir/"
        cd "$dir" && npm ci --loglevel=error && cp package-lock.json node_modules/lock
    ) 8>"$dir/lock" || say "it could not be installed (behind a TLS proxy set NODE_EXTRA_CA_CERTS): what needs it will fail"
}
