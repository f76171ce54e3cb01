# shellcheck shell=bash
# test.sh: ./dev test: runs suites against servers of their own and counts what came of them.
. "$parts/packages.sh"
. "$parts/build.sh"
. "$parts/servers.sh"

passed=0 failed=0 skipped=0

scratch=
clean_up() {
    local rc=$?
    if [ -n "$scratch" ]; then
        [ ! -s "$scratch/pg/data/postmaster.pid" ] ||
            as_user postgres "$(postgres_bin)/pg_ctl" -D "$scratch/pg/data" -s -m immediate -w stop || true
        rm -rf "$scratch"
    fi
    exit "$rc"
}

make_scratch() {
    if [ -z "$scratch" ]; then
        scratch=$(mktemp -d /tmp/udm-dev.XXXXXX)
        chmod 0755 "$scratch"
        trap clean_up EXIT
    fi
}

# Adds what a libcheck program says: "87%: Checks: 12, Failures: 1, Errors: 0".
count_check() { # LOG STATUS
    local line checks failures errors
    line=$(grep -E '^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+' "$1" | tail -1)
    if [ -z "$line" ]; then
        failed=$((failed + 1))
        return
    fi
    read -r checks failures errors <<<"$(sed -E 's/.*Checks: ([0-9]+), Failures: ([0-9]+), Errors: ([0-9]+).*/\1 \2 \3/' <<<"$line")"
    failed=$((failed + failures + errors))
    passed=$((passed + checks - failures - errors))
    if [ "$2" -ne 0 ] && [ $((failures + errors)) -eq 0 ]; then
        failed=$((failed + 1))
    fi
}

run_check() { # NAME PROGRAM [VARIABLE=VALUE...]
    local name=$1 program=$2 log rc=0
    shift 2
    make_scratch
    log=$scratch/$name.log
    (cd "$src" && env CK_DEFAULT_TIMEOUT=120 srcdir="$src" "$@" "$program") >"$log" 2>&1 || rc=$?
    cat "$log"
    count_check "$log" "$rc"
}

run_db() { # BUILD [VARIABLE=VALUE...]
    local dir=$1
    shift
    make_scratch
    init_cluster "$scratch/pg"
    printf 'fsync = off\nsynchronous_commit = off\n' |
        as_user postgres tee -a "$scratch/pg/data/postgresql.conf" >/dev/null
    start_cluster "$scratch/pg"
    run_check db "$dir/tests/db/db" UDM_TEST_DSN="host=$scratch/pg dbname=postgres user=udm_admin" "$@"
    as_user postgres "$(postgres_bin)/pg_ctl" -D "$scratch/pg/data" -s -m fast -w stop
    rm -rf "$scratch/pg"
}

run_pytest() { # BUILD FOLDERS...
    local dir=$1 rc=0 counts
    shift
    make_scratch
    (cd "$top/tests" && UDM_BUILD=$dir PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -q \
        --junitxml="$scratch/pytest.xml" "$@") || rc=$?
    # 5: no tests collected, which an empty folder of a suite means.
    if [ ! -s "$scratch/pytest.xml" ]; then
        [ "$rc" -eq 5 ] || failed=$((failed + 1))
        return
    fi
    counts=$(sed -n 's/.*<testsuite [^>]*errors="\([0-9]*\)" failures="\([0-9]*\)" skipped="\([0-9]*\)" tests="\([0-9]*\)".*/\1 \2 \3 \4/p' "$scratch/pytest.xml" | head -1)
    local errors failures skips tests
    read -r errors failures skips tests <<<"${counts:-1 0 0 1}"
    # A test that passed and then failed in its teardown is one test and one error.
    failed=$((failed + errors + failures))
    skipped=$((skipped + skips))
    passed=$((passed + tests - errors - failures - skips))
    if [ "$rc" -ne 0 ] && [ "$rc" -ne 5 ] && [ $((errors + failures)) -eq 0 ]; then
        failed=$((failed + 1))
    fi
    rm -f "$scratch/pytest.xml"
}

verdict() {
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ] || exit 1
}

cmd_test() {
    local suite suites=() folders=()
    for suite in "$@"; do
        case $suite in
        unit | db | sql | schedule | http | worker | decrypt | faults) suites+=("$suite") ;;
        full) export UDM_TEST_FULL=1 ;;
        *) die "there is no suite '$suite'; there are: unit db sql schedule http worker decrypt faults, and full for the long tests too" ;;
        esac
    done
    [ ${#suites[@]} -gt 0 ] || suites=(unit db sql schedule http worker decrypt faults)
    local want=" ${suites[*]} " targets=() packages
    mapfile -t packages < <(suite_packages "${suites[@]}")
    need "${packages[@]}"
    case $want in *' unit '*) targets+=(tests/unit/unit) ;; esac
    case $want in *' db '*) targets+=(tests/db/db) ;; esac
    case $want in *' schedule '*) targets+=(tests/schedule/next) ;; esac
    case $want in *' http '* | *' worker '* | *' decrypt '* | *' faults '*) targets+=(mod_udm.la udm-worker udm-decrypt) ;; esac
    if [ ${#targets[@]} -gt 0 ]; then
        say "building in build/test"
        build_in test --enable-werror -- "${targets[@]}"
    fi
    for suite in "${suites[@]}"; do
        case $suite in
        unit) say "unit"; run_check unit "$build/test/tests/unit/unit" ;;
        db) say "db"; run_db "$build/test" ;;
        *) folders+=("$suite") ;;
        esac
    done
    if [ ${#folders[@]} -gt 0 ]; then
        case $want in *' http '*) prepare_spectral ;; esac
        say "${folders[*]}"
        run_pytest "$build/test" "${folders[@]}"
    fi
    # Once more where somebody has their own for every name in the database.
    folders=()
    case $want in *' http '*) folders+=(http) ;; esac
    case $want in *' worker '*) folders+=(worker) ;; esac
    if [ -n "${UDM_TEST_FULL:-}" ] && [ ${#folders[@]} -gt 0 ]; then
        say "${folders[*]}, in shadowed databases"
        UDM_TEST_FULL='' UDM_TEST_SHADOW=1 run_pytest "$build/test" "${folders[@]}"
    fi
    verdict
}

