# shellcheck shell=bash
# asan.sh: ./dev asan: suites on programs built with sanitizers.
. "$parts/test.sh"

# sanitized BUILD COMPILER CONFIGURE-ARGUMENTS...: builds and runs what ./dev asan runs.
sanitized() {
    local name=$1 compiler=$2
    local sanitize=(ASAN_OPTIONS=detect_leaks=0:halt_on_error=1
        UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1)
    shift 2
    say "building in build/$name"
    build_in "$name" --enable-werror CC="$compiler" "$@" -- \
        tests/unit/unit tests/db/db mod_udm.la udm-worker udm-decrypt
    say "unit"
    run_check unit "$build/$name/tests/unit/unit" "${sanitize[@]}"
    say "db"
    run_db "$build/$name" "${sanitize[@]}"
    say "http worker decrypt"
    UDM_SANITIZE=$compiler run_pytest "$build/$name" http worker decrypt
}

cmd_asan() {
    local packages
    mapfile -t packages < <(suite_packages unit db http worker decrypt)
    need "${packages[@]}" "${packages_asan[@]}"
    prepare_spectral
    sanitized asan gcc --enable-sanitizers CFLAGS='-O1 -g'
    # One runtime in the programs and in httpd, which has it preloaded, as the worker it starts then has.
    sanitized ubsan clang --enable-sanitizers=undefined CFLAGS='-O1 -g' \
        LDFLAGS="-shared-libsan -Wl,-rpath,$(clang --print-runtime-dir)"
    verdict
}
