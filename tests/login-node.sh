#!/bin/bash
# A login node's first hour.  A user without root, network or a line in /etc/passwd makes an
# archive from a checkout, unpacks it, may not write to it, and has no autotools; libraries
# are in folders of their own; the names of the home and of TMPDIR have blanks.  The user
# builds in another folder, tests, installs, runs the demonstration and uninstalls.
#
# Usage: tests/login-node.sh        (of any checkout or archive; not part of make check)
#
# It speaks TAP.  Root becomes that user (TMPDIR must be in its reach), without network, and
# the system's copies of these libraries are hidden from it; anybody else stays who they are,
# and a comment says so.  CC and CFLAGS of the environment are kept.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
autotools='autoconf autoheader autom4te autoreconf aclocal automake libtoolize'
scripts='tests/check-cli.sh tests/check-man.sh tests/cli_convert.sh tests/cli_tasks.sh
         tests/cli_verify.sh'
n=0 failed=0

note() { printf '# %s\n' "$*"; }

# ok STATUS NAME: a line of TAP; behind a failure, the end of $work/log.
ok()
{
    n=$((n + 1))
    if [ "$1" = 0 ]; then
        echo "ok $n - $2"
        return
    fi
    failed=$((failed + 1))
    echo "not ok $n - $2"
    tail -n 40 "$work/log" | sed 's/^/# /'
}

# run NAME COMMAND...: a check that COMMAND succeeds; its seconds are part of the line.
run()
{
    local name=$1 start=$SECONDS status
    shift
    "$@" > "$work/log" 2>&1
    status=$?
    ok $status "$name ($((SECONDS - start)) s)"
    return $status
}

finish()
{
    echo "1..$n"
    exit $((failed > 0))
}

# ---- root prepares ----

# private NAME LIBRARY -IFOLDER PATTERN...: libs/NAME with include and lib, as --with-NAME
# wants it.  /etc/ld.so.conf does not know it.
private()
{
    local folder=$work/libs/$1 lib=$2 include=${3#-I} soname
    shift 3
    soname=$(readelf -d "$lib" | sed -n 's/.*SONAME.*\[\(.*\)\].*/\1/p')
    mkdir -p "$folder/include" "$folder/lib"
    # shellcheck disable=SC2048,SC2086
    (cd "$include" && cp -rL $* "$folder/include") &&
        cp -L "$lib" "$folder/lib/$soname" &&
        ln -s "$soname" "$folder/lib/$(basename "$lib")" &&
        readlink -f "$lib" >> "$work/hidden"
}

# flag OPTION MODULE: the first -I or -L that pkg-config knows, or that of the system.
flag()
{
    local found
    found=$(pkg-config "--$1" "$2" | tr ' ' '\n' | sed -n '1p')
    echo "${found:-$3}"
}

system=$(dirname "$(gcc -print-file-name=libzip.so)")
prepare()
{
    local blas hdf5
    blas=$(flag libs-only-L openblas "-L$system")
    hdf5=$(flag libs-only-L hdf5 "-L$system")
    mkdir -p "$work/checkout" "$work/home of a user/tmp 1"
    cp "$top/tests/login-node.sh" "$work"       # the user may not be able to read $top
    tar -C "$top" --exclude=./.git --exclude=./build --exclude=./build-check \
        --exclude=./build-demo -cf - . | tar -C "$work/checkout" -xf - &&
        private dnnl "$system/libdnnl.so" -I/usr/include 'dnnl*.h' oneapi &&
        private openblas "${blas#-L}/libopenblas.so" \
            "$(flag cflags-only-I openblas -I/usr/include)" '*.h' &&
        private hdf5 "${hdf5#-L}/libhdf5.so" \
            "$(flag cflags-only-I hdf5 -I/usr/include)" '*.h' &&
        private libzip "$system/libzip.so" -I/usr/include 'zip*.h'
}

# In a mount namespace of its own: a library that is not found where it was given is garbage.
hide()
{
    local file
    while read -r file; do
        mount --bind /dev/null "$file" || return
    done < "$work/hidden"
}

# ---- the user ----

# refuses TEXT COMMAND...: COMMAND fails and says TEXT.
refuses()
{
    local text=$1
    shift
    ! "$@" && grep -q -- "$text" "$work/log"
}

archive()
(
    chmod -R u+w checkout && (cd checkout && ./bootstrap) && mkdir first &&
        cd first && ../checkout/configure -q "${with[@]}" && make -s dist &&
        tar -xf voco-*.tar.xz && mv voco-*/ ../source && cd .. &&
        rm -rf first checkout && chmod -R a-w source
)

# Autotools that note each call and fail stand in front of the system's.
shadow()
{
    local tool name
    mkdir -p shadow
    for tool in $autotools; do
        for name in "$tool" "$(basename "$(readlink -f "$(command -v "$tool")")")"; do
            printf '#!/bin/sh\necho "$0 $*" >> "%s/called"\nexit 127\n' "$work" > "shadow/$name"
            chmod +x "shadow/$name"
        done
    done
    PATH=$work/shadow:$PATH
}

configure()
(
    mkdir -p build && cd build && ../source/configure --prefix="$prefix" "${with[@]}" "$@"
)

# The files that make install has to bring, by the sources.
expected()
{
    (cd source && echo bin/voco &&
        for page in man/*.[1-8]; do echo "share/man/man${page##*.}/${page#man/}"; done &&
        ls -d share/voco/tasks/*.json &&
        echo share/bash-completion/completions/voco && echo share/zsh/site-functions/_voco)
}

installed()             # FOLDER
{
    (cd "$1" && find . ! -type d | sed 's,^\./,,' | sort) > have &&
        expected | sort | diff - have
}

# The libraries that the program maps, the BLAS that it opens itself among them, are those of
# libs.
private_libraries()
{
    local name
    env LD_DEBUG=libs "$prefix/bin/voco" doctor "$HOME" || return
    for name in dnnl openblas hdf5 libzip; do
        grep -q "calling init: $work/libs/$name/lib/" log || return
    done
}

demo()
{
    mkdir "$HOME/demo 1" && ln -s "$prefix/bin/voco" "$HOME/demo 1/voco" &&
        VOCO_DEMO_STEPS=2 sh source/tools/demo.sh "$HOME/demo 1" &&
        "$prefix/bin/voco" verify "$HOME/demo 1/demo/store" "$HOME/demo 1/demo/run"
}

# Without the folders in the program the system's libraries are used, or LD_LIBRARY_PATH.
without_rpath()
{
    local name path=
    configure --disable-rpath && rm build/voco && make -s -C build voco || return
    ! readelf -d build/voco | grep -E 'R(UN)?PATH' || return
    for name in dnnl openblas hdf5 libzip; do path=$path:$work/libs/$name/lib; done
    [ -z "$root" ] || ! build/voco --version || return
    LD_LIBRARY_PATH=${path#:} build/voco doctor "$HOME"
}

first_hour()
{
    cd "$work" || exit 99
    prefix="$HOME/voco 0"
    with=(--with-dnnl="$work/libs/dnnl" --with-openblas="$work/libs/openblas"
          --with-hdf5="$work/libs/hdf5" --with-libzip=../libs/libzip)
    run 'an archive from a checkout' archive || finish
    shadow
    mkdir refused
    ln -s "$work/source" "$HOME/source"
    run 'sources in a folder with a blank in its path are refused' \
        refuses blank env -C refused "$HOME/source/configure"
    run 'a build folder with a blank in its path is refused' \
        refuses blank env -C "$HOME" "$work/source/configure"
    run 'a library with a blank in its path is refused' \
        refuses blank env -C refused ../source/configure "${with[@]}" --with-dnnl="$HOME"
    run 'configure, with libraries of its own' configure || finish
    run 'make' make -s -C build -j"$(nproc)" all || finish
    run 'make check, in part' env VOCO_TEST_LEVEL=short make -s -C build -j"$(nproc)" check \
        check_PROGRAMS=tests/test_base TESTS="tests/test_base $scripts"
    run 'make install DESTDIR' make -s -C build install DESTDIR="$work/staged" &&
        run 'files below DESTDIR' installed "staged$prefix"
    run 'make install' make -s -C build install && run 'installed files' installed "$prefix"
    run 'the program uses the libraries that configure was given' private_libraries
    run 'the demonstration' demo
    run 'make uninstall' make -s -C build uninstall
    find "$prefix" ! -type d > log 2>&1
    [ ! -s log ]
    ok $? 'nothing is left of the installation'
    run '--disable-rpath' without_rpath
    [ ! -e called ] || cp called log
    [ ! -e called ]
    ok $? 'no autotools were called'
    finish
}

case ${1-} in
'')
    work=$(mktemp -d "${TMPDIR:-/tmp}/voco-login-XXXXXX") || exit 99
    trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
    prepare > "$work/log" 2>&1
    status=$?
    [ $status = 0 ] || { ok 1 'libraries in folders of their own'; finish; }
    chmod a+rx "$work"
    if [ "$(id -u)" = 0 ] && unshare --mount --net true 2> /dev/null &&
            setpriv --reuid 54321 --regid 54321 --clear-groups test -x "$work"; then
        chown -R 54321:54321 "$work"
        unshare --mount --net bash "$0" --inside "$work"
    else
        note 'as this user, with the network and the libraries of the system'
        bash "$0" --user "$work" ''
    fi
    ;;
--inside)
    work=$2
    hide || exit 99
    exec setpriv --reuid 54321 --regid 54321 --clear-groups --no-new-privs \
        bash "$work/login-node.sh" --user "$work" root
    ;;
--user)
    work=$2 root=$3
    umask 022
    for name in $(compgen -e); do
        case $name in PATH | CC | CFLAGS) ;; *) unset "$name" ;; esac
    done
    export HOME="$work/home of a user" TMPDIR="$work/home of a user/tmp 1" LC_ALL=C.UTF-8
    first_hour
    ;;
*)
    echo "tests/login-node.sh takes no arguments" >&2
    exit 2
    ;;
esac
