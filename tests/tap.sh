# What the tests of the command line share: to be sourced in the build folder.  They speak
# TAP, and make check counts each line (tests/driver.sh).
# The test then stands in a scratch folder, $work, that goes when it ends.
set -u
voco=$PWD/voco
build=$PWD
srcdir=$(cd "${srcdir:-.}" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/voco-cli-XXXXXX") || exit 99
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work" || exit 99
n=0 failed=0

# ok STATUS NAME: a test that is passed when STATUS is 0; ./out and ./err are shown if not
ok() {
    n=$((n + 1))
    if [ "$1" = 0 ]; then echo "ok $n - $2"; else
        failed=$((failed + 1))
        echo "not ok $n - $2"
        sed 's/^/# out: /' out
        sed 's/^/# err: /' err
    fi
}
# skip NAME WHY: a test that cannot run here
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }

# expect STATUS TEXT NAME COMMAND...: the status, and TEXT somewhere in what was printed
expect() {
    want=$1 text=$2 name=$3
    shift 3
    "$@" > out 2> err
    got=$?
    cat out err | grep -q -e "$text" && [ "$got" = "$want" ]
    ok $? "$name (status $got, want $want; '$text')"
}

# hash_of FILE: the hash of a store at the end of what convert or verify printed
hash_of() { sed -n 's/.*hash \([0-9a-f]*\)$/\1/p' "$1"; }

# finish: the plan, behind the last test; make check counts the lines, others see the status
finish() {
    echo "1..$n"
    [ $failed = 0 ] || echo "# $failed of $n failed"
    exit $((failed > 0))
}
