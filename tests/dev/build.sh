# shellcheck shell=bash
# build.sh: builds out of tree, below build/, for whichever command wants programs.

# A tree that was configured in place cannot be built elsewhere; then a copy of the sources is.
choose_source() {
    if [ -f "$top/config.status" ]; then
        src=$build/src
        mkdir -p "$src"
        local name
        for name in mod_udm conf doc sql tests Makefile.am configure.ac dev LICENSE CHANGES CONTRIBUTING.md \
            SECURITY.md README.md .clang-format; do
            [ ! -e "$top/$name" ] || cp -Rup "$top/$name" "$src/"
        done
        find "$src" \( -name '*.o' -o -name '*.lo' -o -name '*.la' -o -name .libs -o -name .deps \) \
            -prune -exec rm -rf {} +
    fi
}

# build_in NAME CONFIGURE-ARGUMENTS -- MAKE-TARGETS: build/NAME, out of tree; skips what is up to date.
build_in() {
    local dir=$build/$1 log args=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        args+=("$1")
        shift
    done
    shift
    mkdir -p "$dir"
    log=$dir/build.log
    choose_source
    (
        flock 8 && cd "$src" &&
            if [ ! -x configure ] || [ configure.ac -nt configure ]; then
                autoreconf -i
            fi
    ) 8>"$build/autoreconf.lock" >"$log" 2>&1 || build_failed "$log"
    (
        flock 8 && cd "$dir" &&
            if [ ! -f config.status ] || [ "$(cat configured-with 2>/dev/null)" != "$src ${args[*]}" ]; then
                "$src/configure" "${args[@]}" && printf '%s\n' "$src ${args[*]}" >configured-with
            fi && make -j"$(nproc)" "$@"
    ) 8>"$dir/build.lock" >>"$log" 2>&1 || build_failed "$log"
}

build_failed() {
    tail -40 "$1" >&2
    die "the build failed; all of it is in $1"
}
