# shellcheck shell=bash
# bench.sh: ./dev bench: builds what is measured and hands over to tests/bench/bench.py.
. "$parts/packages.sh"
. "$parts/build.sh"

cmd_bench() {
    need "${packages_bench[@]}"
    say "building in build/release"
    build_in release -- mod_udm.la udm-worker udm-decrypt
    UDM_BUILD=$build/release PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 "$top/tests/bench/bench.py" "$@"
}
