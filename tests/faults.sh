#!/bin/sh
# Failures made on purpose: of allocations, of system calls, by kills, signals and full disks.
# A sample of the campaign of tools/reliability.sh (doc/reliability.md), and what it found.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"
. "$srcdir/tests/faults/verbs.sh"

if ldd "$voco" 2> /dev/null | grep -q 'libasan\|libubsan'; then
    skip "all" "the sanitizers allocate and trap themselves"
    finish
fi
prepare

# fresh: an empty folder beside ./in
fresh() { cd "$work" && rm -rf try && mkdir try && cd try; }

# sample VERB LIMIT WHAT COMMAND...: LIMIT numbers N spread over the calls that the run makes;
# COMMAND in front has @ for N, and writes a line "calls" to ./log
sample() {
    verb=$1 limit=$2 what=$3
    shift 3
    reference "$verb"
    wrong= tried=0
    fresh
    run "$verb" env AT=0 "$@"
    all=$(awk -v from="$from" '/^calls/ && (NF == 2 || $2 == from) { n = $NF } END { print n + 0 }' log)
    step=$((all / limit + 1))
    at=1
    while [ $at -le "$all" ]; do
        fresh
        run "$verb" env AT=$at "$@"
        judge "$verb" $?
        [ "$verdict" = ok ] || wrong="$wrong $what $at: $verdict ($(head -n 1 log));"
        tried=$((tried + 1)) at=$((at + step))
    done
    cd "$work"
    echo "$wrong" > out
    cp try/err err
    [ -z "$wrong" ] && [ $tried -gt 0 ]
    ok $? "$verb, $what fails: $tried of $all"
}

# ---- allocations ----
cat > memory << EOF
#!/bin/sh
VOCO_FAULT_AT=\$AT LD_PRELOAD=$tools/memory.so exec "\$@"
EOF
chmod +x memory
export VOCO_FAULT_LOG=log VOCO_FAULT_FROM=voco
if env LD_PRELOAD="$tools/memory.so" true 2> err && [ ! -s err ]; then
    for from in voco libc; do
        VOCO_FAULT_FROM=$from
        for verb in verify plan model phantom convert predict eval; do
            sample $verb 10 "an allocation of $from" "$work/memory"
        done
    done
else
    skip "allocations" "tests/faults/memory.so cannot be preloaded: it needs glibc"
fi

# ---- system calls ----
cat > calls << EOF
#!/bin/sh
exec $tools/syscalls -l log -d \$DEED -n \$AT "\$@"
EOF
chmod +x calls
from=
if "$tools/syscalls" true 2> err; then
    for DEED in ENOSPC EIO EINTR SHORT KILL; do
        export DEED
        for verb in verify phantom convert predict; do
            sample $verb 10 "a call ($DEED)" "$work/calls"
        done
    done
else
    skip "system calls" "no ptrace here"
fi
finish
