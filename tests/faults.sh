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
            sample $verb 7 "an allocation of $from" "$work/memory"
        done
    done
else
    skip "allocations" "tests/faults/memory.so cannot be preloaded: it needs glibc"
fi

# ---- system calls ----
cat > calls << EOF
#!/bin/sh
exec $tools/syscalls -l log -d \$DEED -n \$AT \$ONLY "\$@"
EOF
chmod +x calls
from=
if ! "$tools/syscalls" true 2> err; then
    skip "system calls" "no ptrace here"
    finish
fi
export DEED ONLY=
for DEED in ENOSPC EIO EINTR SHORT KILL; do
    for verb in verify phantom convert predict resume; do
        sample $verb 6 "a call ($DEED)" "$work/calls"
    done
done

# A signal that comes while a file is opened or synced is no failure.  Libraries answer for what
# they open of the system.
DEED=EINTR
for verb in verify phantom convert predict eval embed import export resume; do
    cd "$work" && reference $verb
    for ONLY in '-c open' '-c sync'; do
        fresh
        run $verb env AT=0 "$work/calls"
        all=$(sed -n 's/^calls //p' log) wrong= at=1
        [ "${all:-0}" -gt 0 ] || continue
        while [ $at -le "$all" ]; do
            fresh
            run $verb env AT=$at "$work/calls"
            got=$?
            { [ $got = "$(cat "$ref/$verb/status")" ] && same $verb; } ||
                grep -q '^hit open /\(proc\|sys\|dev\)/' log ||
                wrong="$wrong $got: $(head -n 1 log);"
            at=$((at + 1 + all / 6))
        done
        cd "$work"
        [ -z "$wrong" ]
        ok $? "$verb does its work when ${ONLY#-c } returns EINTR:$wrong"
    done
done

# Folders that cannot be read: a list of volumes is not taken for a shorter one, nor a run for
# one without checkpoints.
DEED=EIO ONLY='-c list'
sample convert 20 "a folder's list (EIO)" "$work/calls"
sample resume 20 "a folder's list (EIO)" "$work/calls"
ONLY='-c open -b made'
sample resume 25 "opening in a run (EIO)" "$work/calls"

# ---- what a killed process leaves in a run ----
fresh && cp -r ../in/stopped made && mv made/ckpt-2 made/.ckpt-2.old && rm -r made/ckpt-*
cp -r made/.ckpt-2.old made/.ckpt-2.tmp
echo half > made/model.safetensors.tmp-99999999
run resume
[ $? = 0 ] && grep -q "ckpt-2: going on" err
ok $? "a checkpoint that made way for another that did not come is there"
[ -z "$(leftovers)$(ls -a made | grep '^[.]ckpt')" ]
ok $? "unfinished files of a killed run are gone"

# ---- signals that end the program: no unfinished file stays ----

# ends SIGNAL STATUS VERB TEXT: the signal comes once a path has TEXT
ends() {
    fresh
    run "$3" "$tools/syscalls" -b "$4" -n 3 -d "$1"
    got=$?
    [ $got = "$2" ] && [ -z "$(leftovers)" ]
    ok $? "$3 is ended by SIG$1 (status $got, want $2) and leaves $(leftovers | head -n 1)"
}
for signal in 'HUP 129' 'INT 130' 'PIPE 141' 'TERM 143'; do
    ends $signal doctor .voco-doctor
    ends $signal import made.safetensors.tmp
    ends $signal embed made.h5.tmp
done

# Signals during a save, three of them: the checkpoint is complete, and the run goes on.
cd "$work" && reference finetune
for signal in TERM USR1 XCPU; do
    for at in 5 40; do
        fresh
        run finetune "$tools/syscalls" -b .ckpt- -n $at -r 2 -d $signal
        got=$?
        run finetune
        [ $? = 0 ] && [ $got = 75 ] && why= && same finetune
        ok $? "three SIG$signal from call $at of a save on: status $got, then the same bits"
    done
done
finish
