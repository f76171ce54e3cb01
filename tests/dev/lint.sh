# shellcheck shell=bash
# lint.sh: ./dev lint: other people's linters, and checks of our own, one after the other.
. "$parts/packages.sh"
. "$parts/build.sh"
. "$parts/sessions.sh"

cmd_lint() {
    need "${packages_lint[@]}"
    cd "$top"
    local rc=0 c_files all_files tag suite packages
    mapfile -t all_files < <(find mod_udm tests -name '*.[ch]' | LC_ALL=C sort)
    mapfile -t c_files < <(find mod_udm -name '*.c' | LC_ALL=C sort)
    say "clang-format"
    clang-format --dry-run --Werror "${all_files[@]}" || rc=1
    say "shellcheck"
    # By dev it reads those of tests/dev, which are parts of it.
    shellcheck -x -a -P tests/dev dev || rc=1
    shellcheck .ci/run sql/udm-migrate sql/demo/*.sh tests/bench/peers/*.sh || rc=1
    say "spectral"
    prepare_spectral
    "$build/openapi/node_modules/.bin/spectral" lint --quiet --fail-severity=hint \
        --ruleset tests/openapi/ruleset.yaml conf/openapi.json || rc=1
    say "log tags"
    # Each UDMnnnn stands at one place in the code, so that a log line leads to it.
    tag=$(grep -rhoE '"(UDM[0-9]{4}): ' mod_udm --include='*.c' | sort | uniq -d | tr -d '":')
    if [ -n "$tag" ]; then
        printf 'used twice: %s\n' "$tag"
        rc=1
    fi
    say "sessions and names"
    lint_sessions || rc=1
    say "rooms"
    /usr/bin/python3 tests/dev/rooms.py || rc=1
    say "packages"
    for suite in sql schedule http worker decrypt faults; do
        mapfile -t packages < <(suite_packages "$suite")
        /usr/bin/python3 tests/dev/imports.py "$suite" "${packages[@]}" || rc=1
    done
    say "cppcheck"
    # missingIncludeSystem: the system's headers are not read; they are the compiler's concern.
    # unusedFunction is not enabled: callers are in other files and in the tests.
    # constParameter*, constVariable: callbacks of APR, httpd and libcheck fix their signatures.
    # normalCheckLevelMaxBranches: says only that cppcheck stopped to look, which is fine.
    cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr --enable=warning,performance,portability \
        --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches \
        -D__GNUC__ -DAP_DECLARE_DATA= -j"$(nproc)" -Imod_udm "${c_files[@]}" || rc=1
    say "clang-tidy"
    build_in release -- config.h
    # The analyzer reads one file at a time: told nothing, it takes it that an error may be made and
    # yet be NULL, and calls everything that is set on success unset.
    cat >"$build/analyzer.h" <<'HEADER'
#include "core/error.h"
static inline udm_error_t *udm_lint_error(udm_error_t *error)
{
    if (error == NULL)
        __builtin_unreachable();
    return error;
}
#define udm_error_make(...) udm_lint_error(udm_error_make(__VA_ARGS__))
#define udm_error_status(...) udm_lint_error(udm_error_status(__VA_ARGS__))
#define udm_error_detail(...) udm_lint_error(udm_error_detail(__VA_ARGS__))
HEADER
    local flags
    read -ra flags <<<"$(pkg-config --cflags apr-1 apr-util-1 jansson libcrypto cjose libpq libisal zlib)"
    flags+=("-I$(apxs -q INCLUDEDIR)" -Imod_udm "-I$build/release" -std=gnu11 -DHAVE_CONFIG_H
        '-DUDM_BINDIR="/usr/bin"' '-DUDM_VERSION="0"')
    printf '%s\0' "${c_files[@]}" | (
        # What clang-tidy says of suppressed warnings goes to standard error.
        export flags_text="${flags[*]}"
        # shellcheck disable=SC2016 # the inner shell expands them
        xargs -0 -n 1 -P "$(nproc)" sh -c 'case $1 in
            */core/error.c) ;;
            *) flags_text="$flags_text -include $0" ;;
            esac
            clang-tidy --quiet "$1" -- $flags_text 2>/dev/null' "$build/analyzer.h"
    ) || rc=1
    [ "$rc" -eq 0 ] || die "lint found something"
    say "clean"
}
